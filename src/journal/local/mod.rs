//! A journal in a directory: one file a segment, named after its first position.

mod flusher;
mod open;
mod reader;
mod scan;
mod segment;
mod shared;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Identity, Journal, JournalError, JournalReader, SegmentInfo, chain, directory};
use crate::limits::{JOURNAL_BUFFER_BYTES, JOURNAL_RECORD_BYTES, SEGMENT_BYTES};
use flusher::Flusher;
pub use open::Cut;
use reader::LocalReader;
use scan::{Place, Scan};
use segment::{
    Frame, HEADER_BYTES, Header, RECORD_HEAD_BYTES, SYNC_POINT_BYTES, encode_sync_point, frame, push_record,
};
use shared::{Segment, Shared, WAYPOINT_BYTES, written_at};

#[derive(Debug, Clone)]
pub struct Options {
    /// Who the journal becomes if there is none in the directory yet.
    pub identity_if_new: Identity,
    /// A segment is closed once its records take this much.
    pub segment_bytes: u64,
    /// Reads the closed segments too while opening. Without it their damage is found when they are read.
    pub check_all: bool,
}

impl Options {
    pub fn new(identity_if_new: Identity) -> Self {
        Self { identity_if_new, segment_bytes: SEGMENT_BYTES, check_all: false }
    }
}

#[derive(Debug)]
pub struct Opened {
    pub journal: LocalJournal,
    /// What was cut off at the end, for the log.
    pub cut: Option<Cut>,
}

/// Draws an id for a new journal.
pub fn new_id() -> io::Result<u128> {
    let mut id = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut id)?;
    Ok(u128::from_le_bytes(id))
}

#[derive(Debug)]
pub struct LocalJournal {
    shared: Arc<Shared>,
    /// The segment being written. Opened for appending: nothing can be overwritten.
    file: File,
    header: Header,
    /// Where the file ends; what comes after is in `buffer`.
    written: Place,
    buffer: Vec<u8>,
    next: u64,
    hash: u32,
    /// Bytes that the segment's records take.
    record_bytes: u64,
    /// Found since the buffer was written last.
    waypoints: Vec<Place>,
    last_waypoint: u64,
    segment_bytes: u64,
    mark: u64,
    /// The position up to which everything is durable.
    synced: u64,
    failed: Option<Box<str>>,
    flusher: Flusher,
    /// Holds the directory's lock.
    _lock: File,
}

impl LocalJournal {
    /// Opens the journal in `dir`, or makes one. Refuses one that is damaged: what was once durable is never dropped.
    pub fn open(dir: impl Into<PathBuf>, options: &Options) -> Result<Opened, JournalError> {
        let dir = dir.into();
        let lock = open::lock(&dir)?;
        let found = open::open(&dir, options.identity_if_new, options.check_all)?;
        let header = found.segments.last().expect("opening finds or makes one").header;
        let journal = Self {
            shared: Arc::new(Shared::new(dir, found.segments)),
            file: found.file,
            header,
            written: found.end,
            buffer: Vec::new(),
            next: found.end.pos,
            hash: found.end.hash,
            record_bytes: found.record_bytes,
            waypoints: Vec::new(),
            last_waypoint: found.end.offset,
            segment_bytes: options.segment_bytes,
            mark: header.mark,
            synced: found.end.pos,
            failed: None,
            flusher: Flusher::new(),
            _lock: lock,
        };
        Ok(Opened { journal, cut: found.cut })
    }

    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    fn check_usable(&self) -> Result<(), JournalError> {
        self.failed.as_ref().map_or(Ok(()), |why| Err(JournalError::Failed { why: why.clone() }))
    }

    /// Runs what changes the disk. Once that has failed, nothing is tried again.
    fn or_fail<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, JournalError>) -> Result<T, JournalError> {
        self.check_usable()?;
        let result = work(self);
        if let Err(error) = &result {
            self.failed = Some(error.to_string().into());
        }
        result
    }

    fn path(&self) -> PathBuf {
        self.shared.segment_file(self.header.first)
    }

    /// Writes the buffer, and shows readers everything if `release`.
    fn write_out(&mut self, release: bool) -> Result<(), JournalError> {
        if !self.buffer.is_empty() {
            self.file.write_all(&self.buffer).map_err(JournalError::io("write", self.path()))?;
            let offset = self.written.offset + self.buffer.len() as u64;
            self.written = Place { pos: self.next, offset, hash: self.hash };
            self.flusher.wrote(self.buffer.len(), || self.shared.segment_file(self.header.first));
            self.buffer.clear();
        }
        let mut state = self.shared.state();
        let segment = state.last();
        segment.next = self.written.pos;
        segment.bytes = self.written.offset;
        segment.waypoints.append(&mut self.waypoints);
        if release {
            state.released = self.next;
        }
        Ok(())
    }

    fn sync_written(&mut self) -> Result<(), JournalError> {
        if self.synced == self.next {
            return Ok(());
        }
        self.file.sync_data().map_err(JournalError::io("sync", self.path()))?;
        self.synced = self.next;
        self.flusher.synced();
        // It becomes durable with whatever comes next; until then it survives the end of the process.
        let point = encode_sync_point(self.header.identity, self.next, self.hash);
        self.file.write_all(&point).map_err(JournalError::io("write", self.path()))?;
        self.written.offset += SYNC_POINT_BYTES as u64;
        self.shared.state().last().bytes = self.written.offset;
        Ok(())
    }

    /// Closes the segment and begins the next one. A segment without records is replaced.
    fn begin_segment(&mut self, epoch: u32) -> Result<(), JournalError> {
        self.write_out(false)?;
        self.file.sync_all().map_err(JournalError::io("sync", self.path()))?;
        self.synced = self.next;
        self.flusher.synced();
        let is_empty = self.next == self.header.first;
        let (previous_first, previous_bytes) = if is_empty {
            (self.header.previous_first, self.header.previous_bytes)
        } else {
            (self.header.first, self.written.offset)
        };
        let identity = Identity { epoch, ..self.header.identity };
        let (first, hash_before) = (self.next, self.hash);
        let header = Header { identity, first, mark: self.mark, hash_before, previous_first, previous_bytes };
        let closed_at = written_at(&self.file).map_err(JournalError::io("look at", self.path()))?;
        self.file = open::create(&self.shared.dir, &header)?;
        self.header = header;
        self.written = Place::start(&header);
        self.record_bytes = 0;
        self.last_waypoint = HEADER_BYTES as u64;
        let mut state = self.shared.state();
        if is_empty {
            state.segments.pop();
        } else {
            state.last().closed_at = Some(closed_at);
        }
        state.segments.push(Segment::new(header, first, HEADER_BYTES as u64));
        Ok(())
    }

    /// The running hash before a position that is still in the buffer.
    fn hash_in_buffer(&self, pos: u64) -> Option<u32> {
        let mut place = self.written;
        let mut rest = self.buffer.as_slice();
        while place.pos < pos {
            let Frame::Record { payload_bytes, hash_after } = frame(rest, self.header.identity, place.pos, place.hash)
            else {
                return None;
            };
            rest = &rest[RECORD_HEAD_BYTES + payload_bytes..];
            place = Place { pos: place.pos + 1, hash: hash_after, ..place };
        }
        Some(place.hash)
    }
}

impl Journal for LocalJournal {
    fn identity(&self) -> Identity {
        self.header.identity
    }

    fn first(&self) -> u64 {
        self.shared.state().first()
    }

    fn next(&self) -> u64 {
        self.next
    }

    fn append(&mut self, payload: &[u8]) -> Result<u64, JournalError> {
        self.check_usable()?;
        if payload.len() > JOURNAL_RECORD_BYTES {
            return Err(JournalError::TooLarge { bytes: payload.len(), limit: JOURNAL_RECORD_BYTES });
        }
        if self.record_bytes >= self.segment_bytes {
            let epoch = self.header.identity.epoch;
            self.or_fail(|journal| journal.begin_segment(epoch))?;
        } else if self.buffer.len() + payload.len() > JOURNAL_BUFFER_BYTES {
            self.or_fail(|journal| journal.write_out(false))?;
        }
        let offset = self.written.offset + self.buffer.len() as u64;
        if offset >= self.last_waypoint + WAYPOINT_BYTES {
            self.waypoints.push(Place { pos: self.next, offset, hash: self.hash });
            self.last_waypoint = offset;
        }
        let pos = self.next;
        self.hash = chain(self.hash, pos, payload);
        push_record(&mut self.buffer, payload, self.hash);
        self.record_bytes += (RECORD_HEAD_BYTES + payload.len()) as u64;
        self.next += 1;
        Ok(pos)
    }

    fn release(&mut self) -> Result<(), JournalError> {
        self.or_fail(|journal| journal.write_out(true))
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.or_fail(|journal| {
            journal.write_out(true)?;
            journal.sync_written()
        })
    }

    fn hash(&self) -> u32 {
        self.hash
    }

    fn hash_at(&self, pos: u64) -> Result<Option<u32>, JournalError> {
        if pos > self.next || pos < self.first() {
            return Ok(None);
        }
        if pos >= self.written.pos {
            return Ok(self.hash_in_buffer(pos));
        }
        let Some(view) = self.shared.state().view(pos) else { return Ok(None) };
        let file = self.shared.segment_file(view.header.first);
        let opened = File::open(&file).map_err(JournalError::io("open", &file))?;
        let mut scan = Scan::new(opened, view.header, view.nearest);
        scan.skip_to(pos, view.bytes, &file)?;
        Ok(Some(scan.place().hash))
    }

    fn reader(&self) -> Box<dyn JournalReader> {
        Box::new(LocalReader::new(self.shared.clone()))
    }

    fn trim(&mut self, before: u64) -> Result<(), JournalError> {
        self.check_usable()?;
        let dropped: Vec<u64> = {
            let mut state = self.shared.state();
            let dropped = state.segments[1..].iter().take_while(|segment| segment.header.first <= before).count();
            state.segments.drain(..dropped).map(|segment| segment.header.first).collect()
        };
        // Oldest first, so that a crash leaves no gap; what it leaves is found again by the next start.
        for first in &dropped {
            let path = self.shared.segment_file(*first);
            std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
        if dropped.is_empty() { Ok(()) } else { directory::sync(&self.shared.dir) }
    }

    fn size_bytes(&self) -> u64 {
        self.shared.state().segments.iter().map(|segment| segment.bytes).sum::<u64>() + self.buffer.len() as u64
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        let mut infos = self.shared.state().infos();
        if let Some(last) = infos.last_mut() {
            last.next = self.next;
        }
        infos
    }

    fn set_mark(&mut self, mark: u64) {
        self.mark = mark;
    }

    fn raise_epoch(&mut self, epoch: u32) -> Result<(), JournalError> {
        let present = self.header.identity.epoch;
        if epoch <= present {
            return Err(JournalError::Epoch { asked: epoch, present });
        }
        self.or_fail(|journal| {
            journal.write_out(true)?;
            journal.begin_segment(epoch)
        })
    }
}
