//! Walks through one segment file, checking every record on the way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::{Buf as _, Bytes, BytesMut};

use super::super::{Entry, JournalError};
use super::segment::{Frame, HEADER_BYTES, Header, RECORD_HEAD_BYTES, SYNC_POINT_BYTES, frame};
use crate::limits::JOURNAL_READ_BYTES;

/// A place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pos: u64,
    pub(super) offset: u64,
    pub(super) hash: u32,
}

impl Place {
    /// Right behind the header.
    pub(super) fn start(header: &Header) -> Self {
        Self { pos: header.first, offset: HEADER_BYTES as u64, hash: header.hash_before }
    }
}

#[derive(Debug)]
pub(super) enum Step {
    Record(Entry),
    SyncPoint,
    /// Everything up to the given end was read.
    End,
    Bad(&'static str),
}

#[derive(Debug)]
pub(super) struct Scan {
    file: File,
    header: Header,
    place: Place,
    /// Bytes already read from `place.offset` on.
    ahead: Bytes,
}

impl Scan {
    pub(super) fn new(file: File, header: Header, place: Place) -> Self {
        Self { file, header, place, ahead: Bytes::new() }
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Where the next step begins.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Takes one step. Bytes from `end` on don't count as written yet.
    pub(super) fn step(&mut self, end: u64) -> io::Result<Step> {
        loop {
            let Place { pos, hash, offset } = self.place;
            match frame(&self.ahead, self.header.identity, pos, hash) {
                Frame::Short { .. } if offset >= end => return Ok(Step::End),
                Frame::Short { need } if offset + need as u64 > end => {
                    return Ok(Step::Bad("the file ends within a record"));
                }
                Frame::Short { need } => {
                    if !self.read_ahead(need, end)? {
                        return Ok(Step::Bad("the file is shorter than it was"));
                    }
                }
                Frame::Bad(why) => return Ok(Step::Bad(why)),
                Frame::SyncPoint => {
                    self.ahead.advance(SYNC_POINT_BYTES);
                    self.place.offset += SYNC_POINT_BYTES as u64;
                    return Ok(Step::SyncPoint);
                }
                Frame::Record { payload_bytes, hash_after } => {
                    self.ahead.advance(RECORD_HEAD_BYTES);
                    let payload = self.ahead.split_to(payload_bytes);
                    let offset = offset + (RECORD_HEAD_BYTES + payload_bytes) as u64;
                    self.place = Place { pos: pos + 1, offset, hash: hash_after };
                    return Ok(Step::Record(Entry { pos, hash_after, payload }));
                }
            }
        }
    }

    /// Takes one step where a record must still follow; `None`: it was a sync point.
    pub(super) fn record(&mut self, end: u64, file: &Path) -> Result<Option<Entry>, JournalError> {
        match self.step(end).map_err(JournalError::io("read", file))? {
            Step::Record(entry) => Ok(Some(entry)),
            Step::SyncPoint => Ok(None),
            Step::End => Err(self.damage(file, "the file ends before it should")),
            Step::Bad(what) => Err(self.damage(file, what)),
        }
    }

    /// Goes on to a position that the segment has.
    pub(super) fn skip_to(&mut self, pos: u64, end: u64, file: &Path) -> Result<(), JournalError> {
        while self.place.pos < pos {
            self.record(end, file)?;
        }
        Ok(())
    }

    /// That the present place is damaged.
    pub(super) fn damage(&self, file: &Path, what: &str) -> JournalError {
        JournalError::Damaged { file: file.to_owned(), offset: self.place.offset, what: what.into() }
    }

    fn read_ahead(&mut self, need: usize, end: u64) -> io::Result<bool> {
        let left = usize::try_from(end - self.place.offset).unwrap_or(usize::MAX);
        let mut chunk = BytesMut::zeroed(left.min(need.max(JOURNAL_READ_BYTES)));
        match self.file.read_exact_at(&mut chunk, self.place.offset) {
            Ok(()) => {
                self.ahead = chunk.freeze();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
