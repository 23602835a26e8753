//! The ids of records that were taken lately, so that each is taken once.
//!
//! A city's firms upload some hundred thousand a year: an id is a digest here, and stands with what it needs in 32 bytes
//! of a sorted page.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::limits;
use crate::model::ids::{DeviceCode, FirmId, RecordId};
use crate::model::obligation::Party;
use crate::model::time::CivilDay;
use crate::model::visit::Digest;

/// Half of the digest of a firm and its id of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Key(pub u128);

impl Key {
    pub fn of(firm: &FirmId, record: &RecordId) -> Self {
        Self::of_name(&name(firm, record))
    }

    pub fn of_name(name: &str) -> Self {
        Self(half(&super::digest(name)))
    }

    /// What a lift remembers of it.
    pub fn short(self) -> NonZeroU32 {
        NonZeroU32::new(self.0 as u32).unwrap_or(NonZeroU32::MIN)
    }
}

/// What tells a record from all others: neither part holds a slash.
pub fn name(firm: &FirmId, record: &RecordId) -> Box<str> {
    format!("{firm}/{record}").into()
}

impl Key {
    pub fn of_report(party: &Party, id: &RecordId) -> Self {
        // A firm's records have one slash.
        Self(half(&super::digest(&format!("report/{party}/{id}"))))
    }
}

fn half(digest: &Digest) -> u128 {
    let (half, _) = digest.0.split_first_chunk().expect("a digest has 32 bytes");
    u128::from_be_bytes(*half)
}

/// What is known of a record that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRecord {
    /// A part of the digest of what it says.
    pub content: u64,
    /// A part of the digest of the lift's code.
    pub device: u32,
    /// When it was taken.
    pub day: CivilDay,
    pub superseded: bool,
}

impl KnownRecord {
    pub fn device_of(device: &DeviceCode) -> u32 {
        (half(&super::digest(device.as_str())) >> 96) as u32
    }

    pub fn content_of(digest: &Digest) -> u64 {
        (half(digest) >> 64) as u64
    }
}

/// In 32 bytes: the sign bit of the day, which is never negative, says that it is superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    key: [u64; 2],
    content: u64,
    device: u32,
    day: i32,
}

const _: () = assert!(size_of::<Entry>() == 32);

const SUPERSEDED: i32 = i32::MIN;

impl Entry {
    fn new(key: Key, known: &KnownRecord) -> Self {
        let day = known.day.0.max(0);
        Self {
            key: [(key.0 >> 64) as u64, key.0 as u64],
            content: known.content,
            device: known.device,
            day: if known.superseded { day | SUPERSEDED } else { day },
        }
    }

    fn key(&self) -> Key {
        Key(u128::from(self.key[0]) << 64 | u128::from(self.key[1]))
    }

    fn known(&self) -> KnownRecord {
        KnownRecord {
            content: self.content,
            device: self.device,
            day: CivilDay(self.day & !SUPERSEDED),
            superseded: self.day & SUPERSEDED != 0,
        }
    }
}

/// A page is cut in two when it has so many, and a copy of one costs little.
const PAGE: usize = 64;

/// Sorted pages, none of them empty. Copies share them.
#[derive(Debug, Clone, Default)]
pub struct KnownRecords {
    pages: Vec<Arc<Vec<Entry>>>,
    count: usize,
    /// Pages before this key have been looked through for what is old.
    swept_to: Key,
}

impl KnownRecords {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// `None` also for one that came too long ago.
    pub fn find(&self, key: Key, today: CivilDay) -> Option<KnownRecord> {
        let page = &self.pages[self.page_of(key)?];
        let at = page.binary_search_by_key(&key, Entry::key).ok()?;
        Some(page[at].known()).filter(|known| !is_old(known, today))
    }

    /// Puts it in, or in the place of what is there.
    pub fn insert(&mut self, key: Key, known: &KnownRecord) {
        let entry = Entry::new(key, known);
        let Some(at) = self.page_of(key) else {
            self.pages.push(Arc::new(vec![entry]));
            self.count = 1;
            return;
        };
        let page = Arc::make_mut(&mut self.pages[at]);
        match page.binary_search_by_key(&key, Entry::key) {
            Ok(there) => page[there] = entry,
            Err(before) => {
                page.insert(before, entry);
                self.count += 1;
                if page.len() > PAGE {
                    let upper = page.split_off(PAGE / 2);
                    page.shrink_to_fit();
                    self.pages.insert(at + 1, Arc::new(upper));
                }
            }
        }
    }

    /// Lets go of old ones in the next pages, a bounded number of them at a time.
    pub fn sweep(&mut self, today: CivilDay) {
        let mut at = self.page_of(self.swept_to).unwrap_or(0);
        for _ in 0..limits::RECORD_PAGES_PER_COMMAND.min(self.pages.len()) {
            let Some(page) = self.pages.get_mut(at) else { break };
            if page.iter().any(|entry| is_old(&entry.known(), today)) {
                let kept: Vec<Entry> = page.iter().filter(|entry| !is_old(&entry.known(), today)).copied().collect();
                self.count -= page.len() - kept.len();
                if kept.is_empty() {
                    self.pages.remove(at);
                    continue;
                }
                *page = Arc::new(kept);
            }
            at += 1;
        }
        self.swept_to = self.pages.get(at).map_or(Key::default(), |page| page[0].key());
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Key, KnownRecord)> {
        self.pages.iter().flat_map(|page| page.iter()).map(|entry| (entry.key(), entry.known()))
    }

    pub fn swept_to(&self) -> Key {
        self.swept_to
    }

    /// From what `iter` and `swept_to` gave. `None`: they were not in order.
    pub fn restore(entries: impl Iterator<Item = (Key, KnownRecord)>, swept_to: Key) -> Option<Self> {
        let mut all: Vec<Entry> = Vec::new();
        for (key, known) in entries {
            if all.last().is_some_and(|last| last.key() >= key) {
                return None;
            }
            all.push(Entry::new(key, &known));
        }
        let pages = all.chunks(PAGE * 3 / 4).map(|page| Arc::new(page.to_vec())).collect();
        Some(Self { count: all.len(), pages, swept_to })
    }

    /// The page that has the key if any has.
    fn page_of(&self, key: Key) -> Option<usize> {
        let behind = self.pages.partition_point(|page| page[0].key() <= key);
        if self.pages.is_empty() { None } else { Some(behind.saturating_sub(1)) }
    }
}

/// Equal if they know the same, however it lies in pages.
impl PartialEq for KnownRecords {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

fn is_old(known: &KnownRecord, today: CivilDay) -> bool {
    today.days_since(known.day) > i64::from(limits::RECORD_DAYS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn known(day: i32, content: u64, superseded: bool) -> KnownRecord {
        KnownRecord { content, device: 7, day: CivilDay(day), superseded }
    }

    proptest! {
        #[test]
        fn it_knows_what_a_map_knows(steps in prop::collection::vec((0..300_u128, 0..3_u64, any::<bool>()), 1..600)) {
            let (mut records, mut map) = (KnownRecords::default(), BTreeMap::new());
            // Spread as digests are.
            let key = |n: u128| Key(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            for (n, content, superseded) in steps {
                let it = known(20_000, content, superseded);
                records.insert(key(n), &it);
                map.insert(key(n), it);
                prop_assert_eq!(records.len(), map.len());
            }
            for n in 0..300 {
                prop_assert_eq!(records.find(key(n), CivilDay(20_000)), map.get(&key(n)).copied());
            }
            let all: Vec<_> = records.iter().collect();
            prop_assert_eq!(&all, &map.into_iter().collect::<Vec<_>>());
            let again = KnownRecords::restore(all.into_iter(), records.swept_to());
            prop_assert_eq!(again, Some(records));
        }
    }

    #[test]
    fn old_ones_are_not_known_and_in_the_end_let_go_of() {
        let (mut records, first) = (KnownRecords::default(), 20_000);
        for n in 0..20_000_u128 {
            records.insert(Key(n << 90), &known(first + i32::from(n % 2 == 1), 1, false));
        }
        let last = CivilDay(first + limits::RECORD_DAYS);
        assert!(records.find(Key(0), last).is_some());
        let next = CivilDay(last.0 + 1);
        assert_eq!(records.find(Key(0), next), None);
        assert!(records.find(Key(1 << 90), next).is_some());
        for _ in 0..40 {
            records.sweep(next);
        }
        assert_eq!(records.len(), 10_000);
        for _ in 0..40 {
            records.sweep(CivilDay(next.0 + 1));
        }
        assert_eq!((records.len(), records.is_empty(), records.swept_to()), (0, true, Key(0)));
    }

    #[test]
    fn what_is_out_of_order_is_not_restored() {
        let entries = [(Key(2), known(1, 1, false)), (Key(2), known(1, 1, false))];
        assert_eq!(KnownRecords::restore(entries.into_iter(), Key(0)), None);
    }
}
