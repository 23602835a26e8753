//! Restart: the newest snapshot, then the tail of the inbox again. What the tail leads to is compared with what the
//! outbox already has of it, and only the rest is added.

use bytes::Bytes;
use prost::Message as _;

use super::input::Durable;
use super::poison::Poison;
use super::{Image, Point, Quotas, Spine, SpineError, apply};
use crate::core::Core;
use crate::core::snapshot::SnapshotError;
use crate::journal::codec::{self, CodecError};
use crate::journal::{Entry, Identity, Journal, JournalError};
use crate::limits;
use crate::proto::internal as wire;

/// Records of the inbox read at a time while replaying.
const READ_RECORDS: usize = 4_096;

/// What a restart begins from.
pub struct Parts {
    pub inbox: Box<dyn Journal>,
    pub outbox: Box<dyn Journal>,
    pub poison: Box<dyn Poison>,
    /// The content of the newest snapshot; `None`: the inbox is replayed from its beginning.
    pub snapshot: Option<Bytes>,
    pub quotas: Quotas,
}

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Spine(#[from] SpineError),
    #[error("the record at position {pos} of the inbox can't be read: {error}")]
    Record { pos: u64, error: CodecError },
    #[error("the snapshot can't be read: {0}")]
    Snapshot(String),
    #[error("the snapshot can't be used: {0}")]
    Core(#[from] SnapshotError),
    #[error(
        "{what} and the snapshot don't belong together: {why}. Was one of them restored from a backup, or replaced? \
         `vigil recover` lists the ways on"
    )]
    Apart { what: &'static str, why: String },
    #[error(
        "the outbox is ahead of the inbox: {why}. The inbox has lost records that were durable; `vigil recover` lists the ways on"
    )]
    Ahead { why: String },
    #[error(
        "the inbox begins at position {first} and there is no snapshot from there on; `vigil recover` lists the ways on"
    )]
    NoSnapshot { first: u64 },
    #[error(
        "replaying the inbox gave other effects than the outbox has at position {pos} (from the inbox's position {cause}): \
         this is a fault of vigil, or the rules' meaning changed with the version; please report it with a copy of the inbox"
    )]
    Differs { pos: u64, cause: u64 },
}

/// What a restart found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Records of the inbox that were replayed.
    pub records: u64,
    /// Entries that the outbox had of them, and that were equal.
    pub compared: u64,
    /// Entries that it lacked.
    pub added: u64,
}

impl Spine {
    pub fn recover(parts: Parts) -> Result<(Self, Replayed), RecoverError> {
        let Parts { inbox, mut outbox, mut poison, snapshot, quotas } = parts;
        let mut core = match snapshot {
            Some(snapshot) => restore(snapshot, &*inbox, &mut *outbox)?,
            None => (Core::new(inbox.identity().epoch), 0),
        };
        let replayed = replay(&mut core.0, core.1, &*inbox, &mut *outbox, &mut *poison)?;
        let spine = Self {
            inbox,
            outbox,
            core: core.0,
            poison,
            quotas,
            durable: Durable::default(),
            refusing: false,
            group: Vec::new(),
            bytes: Vec::new(),
        };
        Ok((spine, replayed))
    }
}

/// The core of a snapshot, and the outbox position that its next effects get, once it is sure that all belong together.
fn restore(snapshot: Bytes, inbox: &dyn Journal, outbox: &mut dyn Journal) -> Result<(Core, u64), RecoverError> {
    let file = wire::SnapshotFile::decode(snapshot).map_err(|error| RecoverError::Snapshot(error.to_string()))?;
    fits("the inbox", &file.inbox.unwrap_or_default(), inbox)?;
    let at = file.outbox.unwrap_or_default();
    fits("the outbox", &at, outbox)?;
    Ok((Core::restore(file.core)?, at.position))
}

fn fits(what: &'static str, at: &wire::JournalPoint, journal: &dyn Journal) -> Result<(), RecoverError> {
    let apart = |why: String| Err(RecoverError::Apart { what, why });
    let id = journal.identity().id;
    if *at.id != id.to_le_bytes() {
        return apart(format!("it is the journal {id:032x}, the snapshot is of another one"));
    }
    match journal.hash_at(at.position)? {
        Some(hash) if hash == at.hash => Ok(()),
        Some(_) => apart(format!("their contents differ before position {}", at.position)),
        // Trimmed away since: of the outbox that was stored, and what is left is compared entry by entry; that the inbox
        // lacks a part is found by the replay.
        None if at.position < journal.first() => Ok(()),
        None => {
            apart(format!("it holds {} to {}, the snapshot wants {}", journal.first(), journal.next(), at.position))
        }
    }
}

fn replay(
    core: &mut Core,
    outbox_from: u64,
    inbox: &dyn Journal,
    outbox: &mut dyn Journal,
    poison: &mut dyn Poison,
) -> Result<Replayed, RecoverError> {
    if core.next() < inbox.first() {
        return Err(RecoverError::NoSnapshot { first: inbox.first() });
    }
    let mut replayed = Replayed::default();
    let mut reader = inbox.reader();
    let mut kept = Kept::new(outbox, outbox_from);
    let (mut entries, mut bytes) = (Vec::new(), Vec::new());
    loop {
        reader.read(core.next(), READ_RECORDS, limits::GROUP_BYTES, &mut entries)?;
        if entries.is_empty() {
            break;
        }
        for Entry { pos, payload, .. } in entries.drain(..) {
            let record = codec::decode_record(pos, payload).map_err(|error| RecoverError::Record { pos, error })?;
            let next_seq = core.seq() + 1;
            let effects = apply(core, poison, &record)?;
            replayed.records += 1;
            if effects.is_empty() {
                continue;
            }
            bytes.clear();
            codec::encode_effects(pos, &effects, &mut bytes);
            kept.meet(outbox, next_seq, pos, &bytes, &mut replayed)?;
        }
    }
    if kept.next < kept.end {
        let why = format!("it has effects up to position {}, the inbox leads only to {}", kept.end, kept.next);
        return Err(RecoverError::Ahead { why });
    }
    outbox.release()?;
    Ok(replayed)
}

/// What the outbox already has of the tail.
struct Kept {
    reader: Box<dyn crate::journal::JournalReader>,
    entries: std::vec::IntoIter<Entry>,
    next: u64,
    end: u64,
}

impl Kept {
    fn new(outbox: &dyn Journal, from: u64) -> Self {
        Self { reader: outbox.reader(), entries: Vec::new().into_iter(), next: from, end: outbox.next() }
    }

    /// Compares one entry with what is there, or adds it behind the end.
    fn meet(
        &mut self,
        outbox: &mut dyn Journal,
        next_seq: u64,
        cause: u64,
        bytes: &[u8],
        so_far: &mut Replayed,
    ) -> Result<(), RecoverError> {
        if self.next >= self.end {
            outbox.set_mark(next_seq);
            outbox.append(bytes)?;
            so_far.added += 1;
            return Ok(());
        }
        // Entries that are trimmed away were stored long ago: there is nothing left to compare.
        if self.next >= self.reader.first() {
            let entry = match self.entries.next() {
                Some(entry) => Some(entry),
                None => self.refill()?,
            };
            if entry.is_none_or(|entry| entry.pos != self.next || entry.payload != bytes) {
                return Err(RecoverError::Differs { pos: self.next, cause });
            }
            so_far.compared += 1;
        }
        self.next += 1;
        Ok(())
    }

    fn refill(&mut self) -> Result<Option<Entry>, RecoverError> {
        let mut entries = Vec::new();
        self.reader.read(self.next, READ_RECORDS, limits::GROUP_BYTES, &mut entries)?;
        self.entries = entries.into_iter();
        Ok(self.entries.next())
    }
}

impl Image {
    /// The content of a snapshot file.
    pub fn encode(&self) -> Vec<u8> {
        let file = wire::SnapshotFile {
            inbox: Some(self.inbox.wire()),
            outbox: Some(self.outbox.wire()),
            core: self.core.encode().into(),
        };
        file.encode_to_vec()
    }
}

impl Point {
    fn wire(&self) -> wire::JournalPoint {
        let Identity { id, epoch } = self.identity;
        wire::JournalPoint { id: id.to_le_bytes().to_vec().into(), epoch, position: self.position, hash: self.hash }
    }
}
