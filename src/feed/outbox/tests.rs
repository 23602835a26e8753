use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::feed::testing::{event, lift};
use crate::journal::memory::{MemoryDisk, MemoryJournal};
use crate::journal::{Entry, Identity, Journal as _};
use crate::model::alert::EventKind;
use crate::model::row::Effects;

/// Counts the records that it gives out.
struct Counting {
    reader: Box<dyn JournalReader>,
    records: Arc<AtomicU64>,
}

impl JournalReader for Counting {
    fn read(
        &mut self,
        from: u64,
        max_records: usize,
        max_bytes: usize,
        out: &mut Vec<Entry>,
    ) -> Result<(), JournalError> {
        self.reader.read(from, max_records, max_bytes, out)?;
        self.records.fetch_add(out.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn seek_mark(&mut self, mark: u64) -> Option<u64> {
        self.reader.seek_mark(mark)
    }

    fn first(&self) -> u64 {
        self.reader.first()
    }

    fn next(&self) -> u64 {
        self.reader.next()
    }
}

/// An outbox in which every `every`-th entry has `each` events.
fn outbox(events: u64, each: u64, every: u64) -> MemoryJournal {
    let (mut journal, _) = MemoryDisk::with_segments_of(Identity { id: 2, epoch: 1 }, 64 * 1024).open();
    let mut bytes = Vec::new();
    for seq in (1..=events).step_by(each as usize) {
        journal.set_mark(seq);
        for n in 1..=every {
            let told = (seq..(seq + each).min(events + 1)).map(|seq| event(seq, lift(seq % 9), EventKind::Opened));
            let events = if n == every { told.collect() } else { Vec::new() };
            bytes.clear();
            codec::encode_effects(0, &Effects { events, ..Effects::default() }, &mut bytes);
            journal.append(&bytes).unwrap();
        }
    }
    journal.release().unwrap();
    journal
}

fn at(seq: u64) -> Cursor {
    Cursor { epoch: 1, seq }
}

/// Reads on until all is read, page by page, those who read one after the other; returns the records read.
fn read_all(outbox: &mut Outbox, records: &AtomicU64, from: &[u64], to: u64, page: usize) -> u64 {
    let before = records.load(Ordering::Relaxed);
    let mut places = from.to_vec();
    while places.iter().any(|place| *place < to) {
        for place in places.iter_mut().filter(|place| **place < to) {
            let events = outbox.after(at(*place), page).unwrap().unwrap();
            assert!(!events.is_empty() && events.len() <= page);
            for event in events {
                assert_eq!(event.cursor(), at(*place + 1));
                *place += 1;
            }
        }
    }
    records.load(Ordering::Relaxed) - before
}

/// Flow: one, eight and thirty-two readers read an outbox page by page, of which every entry, or every fiftieth, has events.
/// Asserts: what has events is read once for each of them, and a second time where it lies across two pages; everything else once
/// in all.
#[test]
fn a_page_costs_what_is_in_it_however_many_read_and_however_far_they_are_behind() {
    const EVENTS: u64 = 4_000;
    for (each, every) in [(1, 1), (3, 1), (1, 50), (5, 20)] {
        for readers in [1_u64, 8, 32] {
            let journal = outbox(EVENTS, each, every);
            let records = Arc::new(AtomicU64::new(0));
            let mut outbox =
                Outbox::new(Box::new(Counting { reader: journal.reader(), records: Arc::clone(&records) }));
            let from: Vec<u64> = (0..readers).map(|n| n * EVENTS / 2 / readers).collect();
            let read = read_all(&mut outbox, &records, &from, EVENTS, 64);
            let delivered: u64 = from.iter().map(|from| EVENTS - from).sum();
            println!(
                "{readers} readers, {each} events in each {every}. entry: {:.2} records read per event delivered",
                read as f64 / delivered as f64
            );
            let pages = delivered / 64 + readers;
            assert!(read <= journal.next() + delivered / each + 2 * (pages + readers), "{read} records");
        }
    }
}

/// Asserts: an index that is too small for all makes reading slower, and nothing else.
#[test]
fn an_index_that_is_thinned_out_gives_the_same() {
    let journal = outbox(2_000, 1, 3);
    let records = Arc::new(AtomicU64::new(0));
    let mut outbox = Outbox::new(Box::new(Counting { reader: journal.reader(), records: Arc::clone(&records) }));
    outbox.index_max = 50;
    read_all(&mut outbox, &records, &[0, 700, 1_999, 3], 2_000, 64);
    assert!(outbox.index.len() <= 50);
}

#[test]
fn what_was_trimmed_away_is_no_longer_known() {
    let mut journal = outbox(2_000, 1, 1);
    let mut outbox = Outbox::new(journal.reader());
    assert_eq!(outbox.after(at(0), 2_000).unwrap().unwrap().len(), 2_000);
    journal.trim(journal.next()).unwrap();
    let first = outbox.reader.first();
    assert!(first > 0 && outbox.after(at(0), 5).unwrap().is_none());
    assert_eq!(outbox.after(at(first), 5).unwrap().unwrap()[0].seq, first + 1);
    assert!(outbox.index.values().all(|pos| *pos >= first));
}

/// Asserts: who reads what is left of an epoch doesn't read all of those after it.
#[test]
fn an_epoch_ends_where_the_next_one_begins() {
    let mut journal = outbox(100, 1, 1);
    journal.set_mark(101);
    journal.raise_epoch(2).unwrap();
    let mut bytes = Vec::new();
    for seq in 101..=1_000 {
        journal.set_mark(seq);
        bytes.clear();
        let next = AlertEvent { epoch: 2, ..event(seq, lift(1), EventKind::Opened) };
        codec::encode_effects(0, &Effects { events: vec![next], ..Effects::default() }, &mut bytes);
        journal.append(&bytes).unwrap();
    }
    journal.release().unwrap();
    let records = Arc::new(AtomicU64::new(0));
    let mut outbox = Outbox::new(Box::new(Counting { reader: journal.reader(), records: Arc::clone(&records) }));
    assert_eq!(outbox.after(at(90), 64).unwrap().unwrap().len(), 10);
    assert!(records.load(Ordering::Relaxed) < 200);
    assert!(outbox.after(at(100), 64).unwrap().unwrap().is_empty());
    assert_eq!(outbox.after(Cursor { epoch: 2, seq: 100 }, 64).unwrap().unwrap().len(), 64);
}
