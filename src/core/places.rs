//! Where subjects stand in their tables, by what they go by. Follows from the tables; nothing in it has an order.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A table that grows has to move all that is in it. In so many parts, which grow at different times, that is never a
/// pause: of two million subjects some thousands are moved at once.
const PARTS: usize = 256;

/// Holds no codes: the subject itself, which is looked at next anyway, says whether it is the one.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// (a part of the hash, place).
    parts: Vec<HashTable<(u32, u32)>>,
    /// Seeded anew in every process, so that nobody can choose codes that collide.
    state: RandomState,
}

/// What a subject is looked up by: a part of the index, and a part of the hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    part: usize,
    short: u32,
}

impl Default for Places {
    fn default() -> Self {
        Self { parts: vec![HashTable::new(); PARTS], state: RandomState::default() }
    }
}

impl Places {
    /// `is`: whether the one that stands there is meant.
    pub(super) fn find<K: Hash + ?Sized>(&self, key: &K, is: impl Fn(u32) -> bool) -> Option<u32> {
        let Key { part, short } = self.key(key);
        let entry = self.parts[part].find(spread(short), |(hash, place)| *hash == short && is(*place))?;
        Some(entry.1)
    }

    /// All that may be meant, in no order, some of them twice.
    pub(super) fn all<K: Hash + ?Sized>(&self, key: &K) -> impl Iterator<Item = u32> {
        let Key { part, short } = self.key(key);
        let alike = self.parts[part].iter_hash(spread(short)).filter(move |(hash, _)| *hash == short);
        alike.map(|(_, place)| *place)
    }

    /// For one that isn't there yet.
    pub(super) fn insert<K: Hash + ?Sized>(&mut self, key: &K, place: u32) {
        let Key { part, short } = self.key(key);
        self.parts[part].insert_unique(spread(short), (short, place), |(hash, _)| spread(*hash));
    }

    pub(super) fn key<K: Hash + ?Sized>(&self, key: &K) -> Key {
        let hash = self.state.hash_one(key);
        Key { part: (hash >> 32) as usize % PARTS, short: hash as u32 }
    }

    /// Where it most likely stands, without a look at who stands there.
    pub(super) fn perhaps(&self, Key { part, short }: Key) -> Option<u32> {
        self.parts[part].find(spread(short), |(hash, _)| *hash == short).map(|(_, place)| *place)
    }
}

/// The table takes a slot from the low bits and tells slots apart by the high ones.
fn spread(short: u32) -> u64 {
    u64::from(short) << 32 | u64::from(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_at_its_own_place_and_no_other() {
        let codes: Vec<String> = (0..20_000).map(|n| format!("code {n}")).collect();
        let mut places = Places::default();
        let find = |places: &Places, code: &str| places.find(code, |place| codes[place as usize] == code);
        for (n, code) in (0..).zip(&codes) {
            assert_eq!(find(&places, code), None);
            places.insert(code.as_str(), n);
            assert_eq!(find(&places, code), Some(n));
        }
        assert!((0..).zip(&codes).all(|(n, code)| find(&places, code) == Some(n)));
        assert_eq!(find(&places, "another"), None);
    }

    #[test]
    fn no_insertion_moves_more_than_a_part() {
        let mut places = Places::default();
        (0..100_000u32).for_each(|n| places.insert(&n, n));
        let fullest = places.parts.iter().map(HashTable::len).max().unwrap();
        assert!(fullest < 2 * 100_000 / PARTS, "{fullest} in one part");
    }
}
