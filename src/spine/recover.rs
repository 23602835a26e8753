//! Restart: the newest snapshot, then the tail of the inbox again. What the tail leads to is compared with what the
//! outbox already has of it, and only the rest is added.

use bytes::{Buf as _, Bytes};

use super::image::Part;
use super::input::Durable;
use super::poison::Poison;
use super::takeover::{self, Takeover};
use super::{Quotas, Spine, SpineError, apply, image};
use crate::core::snapshot::{Restoring, SnapshotError};
use crate::core::{CORE_VERSION, Core};
use crate::journal::codec::{self, CodecError};
use crate::journal::{Entry, Journal, JournalError};
use crate::limits;
use crate::model::record::{Kind, Record};
use crate::proto::internal as wire;

/// Records of the inbox read at a time while replaying.
pub(super) const READ_RECORDS: usize = 4_096;

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
    #[error("the entry at position {pos} of the outbox can't be read: {error}")]
    Entry { pos: u64, error: CodecError },
    #[error(
        "a newer vigil has run on these journals: its core is of version {got}, this program's of {ours}. Start that \
         version again. To go on with this one all the same, move inbox, outbox and snapshots away, keep them, and let \
         `vigil recover --from-store` begin new ones"
    )]
    Newer { got: u32, ours: u32 },
    #[error(
        "the outbox begins at position {first}, and what core version {judged_by} judged since {wanted} can't be compared \
         with it: let that version start once more and end by SIGTERM, then start this one"
    )]
    Trimmed { first: u64, wanted: u64, judged_by: u32 },
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
         this is a fault of vigil; please report it with a copy of the inbox"
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
    /// The core is of another version than the one that had judged them.
    pub takeover: Option<Takeover>,
}

impl Spine {
    pub fn recover(parts: Parts) -> Result<(Self, Replayed), RecoverError> {
        Self::recover_as(CORE_VERSION, parts)
    }

    /// The same, by a core that counts as of that version: how one version follows another can be tried before there
    /// is another.
    pub fn recover_as(version: u32, parts: Parts) -> Result<(Self, Replayed), RecoverError> {
        let Parts { inbox, outbox, poison, snapshot, quotas } = parts;
        let (core, outbox_from, judged_by) = match snapshot {
            Some(snapshot) => restore(snapshot, version, &*inbox, &*outbox)?,
            None => {
                let core = Core::new_as(version, inbox.identity().epoch);
                (core, 0, first_version(&*inbox)?.unwrap_or(version))
            }
        };
        if judged_by > version {
            return Err(RecoverError::Newer { got: judged_by, ours: version });
        }
        if core.next() < inbox.first() {
            return Err(RecoverError::NoSnapshot { first: inbox.first() });
        }
        let spine = Self {
            inbox,
            outbox,
            core,
            poison,
            quotas,
            durable: Durable::default(),
            refusing: false,
            group: Vec::new(),
            bytes: Vec::new(),
        };
        if judged_by < version {
            return takeover::take_over(spine, outbox_from, judged_by);
        }
        replay(spine, outbox_from)
    }
}

/// The core of a snapshot, and the outbox position that its next effects get, once it is sure that all belong together.
/// Also the version that took the snapshot, which is the one that judged what follows.
fn restore(
    snapshot: Bytes,
    version: u32,
    inbox: &dyn Journal,
    outbox: &dyn Journal,
) -> Result<(Core, u64, u32), RecoverError> {
    let mut points = (wire::JournalPoint::default(), wire::JournalPoint::default());
    let mut restoring = Restoring::new(version);
    for part in (image::Parts { input: snapshot.reader() }) {
        match part.map_err(|error| RecoverError::Snapshot(error.to_string()))? {
            Part::Inbox(point) => points.0 = point,
            Part::Outbox(point) => points.1 = point,
            Part::Core(piece) => {
                if restoring.taken_by().is_none() {
                    fits("the inbox", &points.0, inbox)?;
                    fits("the outbox", &points.1, outbox)?;
                }
                restoring.take(piece).map_err(|error| match error {
                    SnapshotError::CoreVersion { got, ours } => RecoverError::Newer { got, ours },
                    error => error.into(),
                })?;
            }
        }
    }
    let judged_by = restoring.taken_by().unwrap_or_default();
    Ok((restoring.finish()?, points.1.position, judged_by))
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

/// The version that the inbox begins with, where it says so and is whole.
fn first_version(inbox: &dyn Journal) -> Result<Option<u32>, RecoverError> {
    let mut entries = Vec::new();
    if inbox.first() == 0 {
        inbox.reader().read(0, 1, 1, &mut entries)?;
    }
    let Some(Entry { pos, payload, .. }) = entries.pop() else { return Ok(None) };
    match codec::decode_record(pos, payload).map_err(|error| RecoverError::Record { pos, error })?.kind {
        Kind::Core { version, .. } => Ok(Some(version)),
        _ => Ok(None),
    }
}

fn replay(mut spine: Spine, outbox_from: u64) -> Result<(Spine, Replayed), RecoverError> {
    let from = spine.core.next();
    match compare(&mut spine, outbox_from) {
        Ok(replayed) => Ok((spine, replayed)),
        // What can't be read, or is otherwise than it should be, may be the work of a newer version.
        Err(error @ (RecoverError::Record { .. } | RecoverError::Differs { .. })) => {
            let ours = spine.core.version();
            Err(newer_version(&*spine.inbox, from, ours).map_or(error, |got| RecoverError::Newer { got, ours }))
        }
        Err(error) => Err(error),
    }
}

/// A version above `ours` that has judged something from `from` on.
fn newer_version(inbox: &dyn Journal, from: u64, ours: u32) -> Option<u32> {
    let mut found = None;
    let mut note = |record: Record| {
        if let Kind::Core { version, .. } = record.kind {
            found = found.max(Some(version).filter(|version| *version > ours));
        }
    };
    let (mut reader, mut entries, mut next) = (inbox.reader(), Vec::new(), from);
    // What can't be read is passed over: there is an error to tell already.
    while reader.read(next, READ_RECORDS, limits::GROUP_BYTES, &mut entries).is_ok() && !entries.is_empty() {
        next += entries.len() as u64;
        entries.drain(..).flat_map(|entry| codec::decode_record(entry.pos, entry.payload)).for_each(&mut note);
    }
    found
}

fn compare(spine: &mut Spine, outbox_from: u64) -> Result<Replayed, RecoverError> {
    let Spine { inbox, outbox, core, poison, .. } = spine;
    let mut replayed = Replayed::default();
    let mut kept = Kept::new(&**outbox, outbox_from);
    let mut bytes = Vec::new();
    let mut reader = inbox.reader();
    let mut entries = Vec::new();
    loop {
        reader.read(core.next(), READ_RECORDS, limits::GROUP_BYTES, &mut entries)?;
        if entries.is_empty() {
            break;
        }
        for Entry { pos, payload, .. } in entries.drain(..) {
            let record = codec::decode_record(pos, payload).map_err(|error| RecoverError::Record { pos, error })?;
            if let Kind::Core { version, .. } = record.kind
                && version > core.version()
            {
                return Err(RecoverError::Newer { got: version, ours: core.version() });
            }
            let next_seq = core.seq() + 1;
            let effects = apply(core, &mut **poison, &record)?;
            replayed.records += 1;
            if effects.is_empty() {
                continue;
            }
            bytes.clear();
            codec::encode_effects(pos, &effects, &mut bytes);
            kept.meet(&mut **outbox, next_seq, pos, &bytes, &mut replayed)?;
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
