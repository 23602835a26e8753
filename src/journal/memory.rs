//! A journal without files, for tests and simulation. It keeps every promise of the local one but durability, and it
//! can be made to fail and to crash.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Entry, Identity, Journal, JournalError, JournalReader, SegmentInfo, chain, hash_of_nothing};
use crate::limits::{JOURNAL_RECORD_BYTES, SEGMENT_BYTES};

/// What outlives a crash: the disk under the journal. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct MemoryDisk(Arc<Mutex<Disk>>);

/// How much of what was not synced is still there after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Of the process: what was released is there.
    Process,
    /// Of the machine: only what was synced is there.
    Machine,
    /// Of the machine, and half of the record after the last synced one got onto the disk; opening cuts it off.
    Torn,
}

#[derive(Debug)]
struct Disk {
    id: u128,
    segment_bytes: u64,
    segments: Vec<Segment>,
    released: u64,
    synced: u64,
    /// Only the handle that was opened last may write.
    handle: u64,
    syncs: u64,
    fail_at_sync: Option<u64>,
    torn_bytes: u64,
}

#[derive(Debug)]
struct Segment {
    first: u64,
    epoch: u32,
    mark: u64,
    hash_before: u32,
    records: Vec<Entry>,
    bytes: u64,
}

impl Segment {
    fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    fn hash(&self) -> u32 {
        self.records.last().map_or(self.hash_before, |record| record.hash_after)
    }
}

impl Disk {
    fn last(&self) -> &Segment {
        self.segments.last().expect("a journal has a segment from the start")
    }

    fn last_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a journal has a segment from the start")
    }

    fn first(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.first)
    }

    fn holding(&self, pos: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.first <= pos);
        after.checked_sub(1).map(|n| &self.segments[n])
    }

    /// Ends the open handle, and all from `kept` on is gone.
    fn lose_from(&mut self, kept: u64) -> Vec<Entry> {
        self.handle += 1;
        self.released = self.released.min(kept);
        let last = self.last_mut();
        let lost = last.records.split_off((kept - last.first) as usize);
        last.bytes -= lost.iter().map(|record| frame_bytes(&record.payload)).sum::<u64>();
        lost
    }

    fn begin_segment(&mut self, epoch: u32, mark: u64) {
        let (first, hash_before) = (self.last().next(), self.last().hash());
        self.segments.retain(|segment| segment.first != first);
        self.segments.push(Segment { first, epoch, mark, hash_before, records: Vec::new(), bytes: 0 });
        self.synced = first;
    }
}

impl MemoryDisk {
    pub fn new(identity: Identity) -> Self {
        Self::with_segments_of(identity, SEGMENT_BYTES)
    }

    pub fn with_segments_of(identity: Identity, segment_bytes: u64) -> Self {
        let hash_before = hash_of_nothing(identity.id);
        let segment = Segment { first: 0, epoch: identity.epoch, mark: 0, hash_before, records: Vec::new(), bytes: 0 };
        Self(Arc::new(Mutex::new(Disk {
            id: identity.id,
            segment_bytes,
            segments: vec![segment],
            released: 0,
            synced: 0,
            handle: 0,
            syncs: 0,
            fail_at_sync: None,
            torn_bytes: 0,
        })))
    }

    /// Opens the journal on it. A handle from before can do nothing more. Returns also how many bytes were cut off.
    pub fn open(&self) -> (MemoryJournal, u64) {
        let mut disk = self.disk();
        disk.handle += 1;
        let next = disk.last().next();
        (disk.released, disk.synced) = (next, next);
        let mark = disk.last().mark;
        let cut_bytes = std::mem::take(&mut disk.torn_bytes);
        (MemoryJournal { disk: self.clone(), handle: disk.handle, mark, failed: None }, cut_bytes)
    }

    /// Lets the n-th sync from now on fail; 1 is the next.
    pub fn fail_sync(&self, nth: u64) {
        let mut disk = self.disk();
        disk.fail_at_sync = Some(disk.syncs + nth);
    }

    /// Ends the open handle and loses what such a crash loses.
    pub fn crash(&self, crash: Crash) {
        let mut disk = self.disk();
        let kept = if crash == Crash::Process { disk.released.max(disk.synced) } else { disk.synced };
        let torn = crash == Crash::Torn && disk.last().next() > kept;
        let lost = disk.lose_from(kept);
        disk.torn_bytes = if torn { frame_bytes(&lost[0].payload) / 2 } else { 0 };
    }

    /// A crash of the machine after which so many records behind the last synced one are there.
    pub fn crash_keeping(&self, records: u64) {
        let mut disk = self.disk();
        let kept = disk.synced.saturating_add(records).min(disk.last().next());
        disk.lose_from(kept);
        disk.torn_bytes = 0;
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a record takes of a segment; the same as on a real disk, so that segments end at the same records.
fn frame_bytes(payload: &[u8]) -> u64 {
    payload.len() as u64 + 8
}

#[derive(Debug)]
pub struct MemoryJournal {
    disk: MemoryDisk,
    handle: u64,
    mark: u64,
    failed: Option<Box<str>>,
}

impl MemoryJournal {
    fn usable(&self) -> Result<MutexGuard<'_, Disk>, JournalError> {
        let disk = self.disk.disk();
        match &self.failed {
            Some(why) => Err(JournalError::Failed { why: why.clone() }),
            None if disk.handle != self.handle => Err(JournalError::Failed { why: "it crashed".into() }),
            None => Ok(disk),
        }
    }
}

impl Journal for MemoryJournal {
    fn identity(&self) -> Identity {
        let disk = self.disk.disk();
        Identity { id: disk.id, epoch: disk.last().epoch }
    }

    fn first(&self) -> u64 {
        self.disk.disk().first()
    }

    fn next(&self) -> u64 {
        self.disk.disk().last().next()
    }

    fn append(&mut self, payload: &[u8]) -> Result<u64, JournalError> {
        let mut disk = self.usable()?;
        if payload.len() > JOURNAL_RECORD_BYTES {
            return Err(JournalError::TooLarge { bytes: payload.len(), limit: JOURNAL_RECORD_BYTES });
        }
        if disk.last().bytes >= disk.segment_bytes {
            let epoch = disk.last().epoch;
            disk.begin_segment(epoch, self.mark);
        }
        let last = disk.last_mut();
        let pos = last.next();
        let hash_after = chain(last.hash(), pos, payload);
        last.records.push(Entry { pos, hash_after, payload: Bytes::copy_from_slice(payload) });
        last.bytes += frame_bytes(payload);
        Ok(pos)
    }

    fn release(&mut self) -> Result<(), JournalError> {
        let mut disk = self.usable()?;
        disk.released = disk.last().next();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.release()?;
        let mut disk = self.usable()?;
        disk.syncs += 1;
        if disk.fail_at_sync == Some(disk.syncs) {
            drop(disk);
            let source = io::Error::other("the test wants it to fail");
            let error = JournalError::Io { doing: "sync", file: "memory".into(), source };
            self.failed = Some(error.to_string().into());
            return Err(error);
        }
        disk.synced = disk.last().next();
        Ok(())
    }

    fn hash(&self) -> u32 {
        self.disk.disk().last().hash()
    }

    fn hash_at(&self, pos: u64) -> Result<Option<u32>, JournalError> {
        let disk = self.disk.disk();
        let Some(segment) = disk.holding(pos).filter(|segment| pos <= segment.next()) else { return Ok(None) };
        Ok(Some(match pos - segment.first {
            0 => segment.hash_before,
            n => segment.records[n as usize - 1].hash_after,
        }))
    }

    fn reader(&self) -> Box<dyn JournalReader> {
        Box::new(MemoryReader(self.disk.clone()))
    }

    fn trim(&mut self, before: u64) -> Result<(), JournalError> {
        let mut disk = self.usable()?;
        let closed = disk.segments.len() - 1;
        let dropped = disk.segments[1..].iter().take(closed).take_while(|segment| segment.first <= before).count();
        disk.segments.drain(..dropped);
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.disk.disk().segments.iter().map(|segment| segment.bytes).sum()
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        let info = |s: &Segment| SegmentInfo { first: s.first, next: s.next(), bytes: s.bytes, closed_at: None };
        self.disk.disk().segments.iter().map(info).collect()
    }

    fn set_mark(&mut self, mark: u64) {
        self.mark = mark;
    }

    fn raise_epoch(&mut self, epoch: u32) -> Result<(), JournalError> {
        let present = self.identity().epoch;
        if epoch <= present {
            return Err(JournalError::Epoch { asked: epoch, present });
        }
        self.sync()?;
        let mark = self.mark;
        self.usable()?.begin_segment(epoch, mark);
        Ok(())
    }
}

struct MemoryReader(MemoryDisk);

impl JournalReader for MemoryReader {
    fn read(
        &mut self,
        from: u64,
        max_records: usize,
        max_bytes: usize,
        out: &mut Vec<Entry>,
    ) -> Result<(), JournalError> {
        out.clear();
        let disk = self.0.disk();
        if from < disk.first() {
            return Err(JournalError::Trimmed { wanted: from, first: disk.first() });
        }
        let mut bytes = 0;
        for segment in disk.segments.iter().filter(|segment| segment.next() > from) {
            for record in &segment.records[from.saturating_sub(segment.first) as usize..] {
                if record.pos >= disk.released || out.len() >= max_records || (bytes >= max_bytes && !out.is_empty()) {
                    return Ok(());
                }
                bytes += record.payload.len();
                out.push(record.clone());
            }
        }
        Ok(())
    }

    fn seek_mark(&mut self, mark: u64) -> Option<u64> {
        self.0.disk().segments.iter().rev().find(|segment| segment.mark <= mark).map(|segment| segment.first)
    }

    fn first(&self) -> u64 {
        self.0.disk().first()
    }

    fn next(&self) -> u64 {
        self.0.disk().released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { id: 7, epoch: 1 };

    #[test]
    fn a_crash_loses_what_it_may_and_nothing_else() {
        for (crash, left, cut) in [(Crash::Process, 2, 0), (Crash::Machine, 1, 0), (Crash::Torn, 1, 8)] {
            let disk = MemoryDisk::new(IDENTITY);
            let (mut journal, _) = disk.open();
            journal.append(b"synced").unwrap();
            journal.sync().unwrap();
            journal.append(b"released").unwrap();
            journal.release().unwrap();
            journal.append(b"appended").unwrap();
            disk.crash(crash);
            assert!(matches!(journal.append(b"late"), Err(JournalError::Failed { .. })));
            let (journal, cut_bytes) = disk.open();
            assert_eq!((journal.next(), cut_bytes), (left, cut), "{crash:?}");
        }
    }

    #[test]
    fn a_failed_sync_is_final() {
        let disk = MemoryDisk::new(IDENTITY);
        let (mut journal, _) = disk.open();
        disk.fail_sync(2);
        journal.append(b"a").unwrap();
        journal.sync().unwrap();
        journal.append(b"b").unwrap();
        assert!(matches!(journal.sync(), Err(JournalError::Io { .. })));
        assert!(matches!(journal.sync(), Err(JournalError::Failed { .. })));
        assert!(matches!(journal.append(b"c"), Err(JournalError::Failed { .. })));
        disk.crash(Crash::Machine);
        assert_eq!(disk.open().0.next(), 1);
    }
}
