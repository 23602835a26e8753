//! Parts of archive entries that many have in common, each in memory once.

use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{CylinderCommon, LiftCommon};

/// As the tables of subjects: one that grows, or is cleaned, is never a pause.
const PARTS: usize = 256;
/// A part isn't cleaned below this.
const CLEANED_FROM: usize = 16;

/// What is shared by content. Follows from the entries, and nothing in it has an order.
#[derive(Debug, Clone, Default)]
pub struct Pools {
    pub(super) lifts: Pool<LiftCommon>,
    pub(super) cylinders: Pool<CylinderCommon>,
}

#[derive(Debug, Clone)]
pub(super) struct Pool<T> {
    parts: Vec<Part<T>>,
    /// Seeded anew in every process.
    state: RandomState,
}

#[derive(Debug, Clone)]
struct Part<T> {
    table: HashTable<Arc<T>>,
    /// It is cleaned of what nobody else has any more when it holds so many.
    clean_at: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        let part = || Part { table: HashTable::new(), clean_at: CLEANED_FROM };
        Self { parts: std::iter::repeat_with(part).take(PARTS).collect(), state: RandomState::default() }
    }
}

impl<T: Hash + Eq> Pool<T> {
    /// Puts the one that all share in its place.
    pub(super) fn share(&mut self, it: &mut Arc<T>) {
        let Self { parts, state } = self;
        let hash = state.hash_one(&**it);
        // The table takes a slot from the low bits.
        let Part { table, clean_at } = &mut parts[(hash >> 48) as usize % PARTS];
        if let Some(shared) = table.find(hash, |other| **other == **it) {
            *it = shared.clone();
            return;
        }
        if table.len() >= *clean_at {
            table.retain(|it| Arc::strong_count(it) > 1);
            *clean_at = CLEANED_FROM.max(2 * table.len());
        }
        table.insert_unique(hash, it.clone(), |it| state.hash_one(&**it));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_kept_once_and_what_nobody_has_is_let_go_of() {
        let mut pool = Pool::default();
        let kept: Vec<Arc<u32>> = (0..1_000)
            .map(|n| {
                let mut it = Arc::new(n % 10);
                pool.share(&mut it);
                it
            })
            .collect();
        assert!(kept.iter().all(|it| Arc::ptr_eq(it, &kept[**it as usize])));
        for n in 10..200_000 {
            pool.share(&mut Arc::new(n));
        }
        let held: usize = pool.parts.iter().map(|part| part.table.len()).sum();
        assert!((10..=PARTS * CLEANED_FROM * 2).contains(&held), "{held}");
        let mut one = Arc::new(7);
        pool.share(&mut one);
        assert!(Arc::ptr_eq(&one, &kept[7]), "what is still used was let go of");
    }
}
