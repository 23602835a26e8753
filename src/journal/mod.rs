//! Append-only journals. The inbox and the outbox are two of them.
//!
//! Positions count records from 0 without a gap. Every record's CRC-32C is chained over those before it, so that the
//! running hash after a record vouches for all that the journal ever held up to there. Only [`local`] knows of files:
//! a journal can just as well live elsewhere.

pub mod codec;
pub mod local;
pub mod memory;
pub mod snapshots;

mod directory;
mod error;

use bytes::Bytes;

use crate::model::time::Wall;
pub use error::JournalError;

/// Which journal it is. Stands in its segments, in snapshots and in the store's checkpoint; if they differ, they don't
/// belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Drawn at random when the journal is made.
    pub id: u128,
    /// Raised by each recovery after which positions or numbers may mean something else.
    pub epoch: u32,
}

/// The writing side. There is one at a time, and it is not shared.
pub trait Journal: Send {
    fn identity(&self) -> Identity;

    /// The oldest position still held; equal to `next` when nothing is.
    fn first(&self) -> u64;

    /// The position that the next append gets.
    fn next(&self) -> u64;

    /// Adds a record and returns its position. It is buffered: readers see it after `release`, and it is durable
    /// after `sync`. The bytes that wait in memory are bounded; what is beyond is written early, but not shown.
    fn append(&mut self, payload: &[u8]) -> Result<u64, JournalError>;

    /// Hands everything appended to the operating system and shows it to readers. It survives the end of this
    /// process, not that of the machine.
    fn release(&mut self) -> Result<(), JournalError>;

    /// Releases everything and makes it durable. A failure is final: it is never retried, since after a failed fsync
    /// nobody knows what is on disk; every later call fails.
    fn sync(&mut self) -> Result<(), JournalError>;

    /// The running hash after the last append.
    fn hash(&self) -> u32;

    /// The running hash of everything before `pos`; `None` where that is trimmed away, or `pos` is beyond `next`.
    fn hash_at(&self, pos: u64) -> Result<Option<u32>, JournalError>;

    /// Independent of this writer and of other readers.
    fn reader(&self) -> Box<dyn JournalReader>;

    /// Drops the closed segments whose records all lie before `before`. The segment being written stays.
    fn trim(&mut self, before: u64) -> Result<(), JournalError>;

    fn size_bytes(&self) -> u64;

    /// Oldest first; the last one is the one being written.
    fn segments(&self) -> Vec<SegmentInfo>;

    /// A number that never falls, to be written into the header of each segment opened from now on. The outbox puts
    /// the seq of its next alert event there, so that a reader finds an event without reading everything before it.
    /// After opening it is that of the last segment: set it anew before the first append.
    fn set_mark(&mut self, mark: u64);

    /// Syncs, and begins a new segment under a higher epoch. Positions and the running hash go on.
    fn raise_epoch(&mut self, epoch: u32) -> Result<(), JournalError>;
}

/// The reading side. Sees what was released, checks every record that it reads, and never waits for the writer's disk.
pub trait JournalReader: Send {
    /// Puts records from position `from` on into `out`, which it clears first: at most `max_records`, and no further
    /// ones once their payloads reach `max_bytes`; so at least one, if one is there. Empty: nothing is released at
    /// `from` yet.
    fn read(
        &mut self,
        from: u64,
        max_records: usize,
        max_bytes: usize,
        out: &mut Vec<Entry>,
    ) -> Result<(), JournalError>;

    /// The first position of the newest segment whose mark is at most `mark`: whatever happened at `mark` or later
    /// stands there or behind. `None`: it may have been trimmed away.
    fn seek_mark(&mut self, mark: u64) -> Option<u64>;

    /// The oldest position still held.
    fn first(&self) -> u64;

    /// The position after the last one released.
    fn next(&self) -> u64;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub pos: u64,
    /// The running hash after this record.
    pub hash_after: u32,
    pub payload: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    pub first: u64,
    /// The position after its last record.
    pub next: u64,
    pub bytes: u64,
    /// When its last record was written; `None` for the one being written, and where the medium doesn't tell.
    pub closed_at: Option<Wall>,
}

/// The running hash of a journal that holds nothing yet. It depends on the id, so that a record copied from another
/// journal doesn't fit.
fn hash_of_nothing(id: u128) -> u32 {
    crc32c::crc32c(&id.to_le_bytes())
}

/// The running hash after `payload` was appended at `pos`. It is also the record's own checksum: a record that was
/// changed, moved, dropped or swapped breaks the chain.
fn chain(hash: u32, pos: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(hash, &pos.to_le_bytes()), payload)
}
