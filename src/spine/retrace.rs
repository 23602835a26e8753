//! The core as it was: the newest snapshot from before a moment, and the inbox from there up to it. Only of one lift:
//! lifts don't depend on each other, and what others reported is passed over.

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::image::{self, Part};
use super::poison::Poison;
use super::recover::READ_RECORDS;
use crate::core::books::Now;
use crate::core::snapshot::{Restoring, SnapshotError};
use crate::core::{CORE_VERSION, Core};
use crate::journal::codec::{self, CodecError};
use crate::journal::memory::MemoryDisk;
use crate::journal::snapshots::{SnapshotDir, SnapshotInfo};
use crate::journal::{Identity, Journal as _, JournalError, JournalReader};
use crate::limits;
use crate::model::ids::DeviceCode;
use crate::model::record::Kind;
use crate::model::time::{Elapsed, Wall};

/// What the past is read from. Reads beside the spine, which goes on writing.
pub struct Past {
    pub identity: Identity,
    /// `None`: none are taken.
    pub snapshots: Option<Arc<SnapshotDir>>,
    pub inbox: Mutex<Box<dyn JournalReader>>,
    pub poison: Box<dyn Poison + Sync>,
}

/// A core of one lift, as it stood.
#[derive(Debug)]
pub struct Retraced {
    pub core: Core,
    /// The moment asked for, in the core's time.
    pub at: Now,
    /// The moment from which the inbox was judged again; `None`: nothing was recorded up to the moment asked for.
    pub from: Option<Wall>,
    /// The last record up to the moment.
    pub last: Option<Wall>,
    pub records: u64,
    /// Something that the inbox holds was judged by another version of the core.
    pub other_version: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum RetraceError {
    /// The oldest moment that can be judged again.
    #[error("the inbox reaches back to {oldest:?} only")]
    Beyond { oldest: Option<Wall> },
    #[error("nobody waits for it any more")]
    Cancelled,
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the record at position {pos} of the inbox can't be read: {error}")]
    Record { pos: u64, error: CodecError },
}

/// Where to begin.
struct Start {
    core: Core,
    from: Option<Wall>,
    other_version: bool,
}

impl Past {
    /// An inbox in which nothing was ever recorded.
    pub fn of_nothing() -> Self {
        let identity = Identity { id: 0, epoch: 1 };
        let (inbox, _) = MemoryDisk::new(identity).open();
        Self { identity, snapshots: None, inbox: Mutex::new(inbox.reader()), poison: Box::new(BTreeSet::new()) }
    }

    /// The core of that lift at a moment; `None`: now, which is `now`. It blocks, and ends early when `cancelled` is set.
    ///
    /// Civil time may have stepped: the moment is the first one at which the clock went past it.
    pub fn of(
        &self,
        device: &DeviceCode,
        at: Option<Wall>,
        now: Wall,
        cancelled: &AtomicBool,
    ) -> Result<Retraced, RetraceError> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let end = inbox.next();
        let Start { mut core, mut from, mut other_version } = self.begin(device, at, inbox.first())?;
        let (mut entries, mut records, mut last, mut beyond) = (Vec::new(), 0, from, None);
        'replay: while core.next() < end {
            inbox.read(core.next(), READ_RECORDS, limits::GROUP_BYTES, &mut entries)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries.drain(..).take_while(|entry| entry.pos < end) {
                if cancelled.load(Ordering::Relaxed) {
                    return Err(RetraceError::Cancelled);
                }
                let pos = entry.pos;
                let record =
                    codec::decode_record(pos, entry.payload).map_err(|error| RetraceError::Record { pos, error })?;
                if at.is_some_and(|at| record.wall > at) {
                    beyond = Some(record.elapsed);
                    break 'replay;
                }
                other_version |= matches!(record.kind, Kind::Core { version, .. } if version != CORE_VERSION);
                from.get_or_insert(record.wall);
                last = Some(record.wall);
                records += 1;
                if self.poison.holds(pos) {
                    core.pass(&record);
                } else {
                    core.apply_to(&record, device);
                }
            }
        }
        let at = moment(&core, at.unwrap_or(now), beyond);
        Ok(Retraced { core, at, from, last, records, other_version })
    }

    /// The newest state from before the moment that the inbox still leads on from.
    fn begin(&self, device: &DeviceCode, at: Option<Wall>, first: u64) -> Result<Start, RetraceError> {
        let all = self.snapshots.as_ref().map(|dir| dir.list()).transpose()?.unwrap_or_default();
        let reached: Vec<SnapshotInfo> = all.into_iter().filter(|info| info.pos >= first).collect();
        for info in reached.iter().rev().filter(|info| at.is_none_or(|at| info.taken_at <= at)) {
            if let Some(start) = self.restore(device, info)? {
                return Ok(start);
            }
        }
        if first > 0 {
            return Err(RetraceError::Beyond { oldest: reached.first().map(|info| info.taken_at) });
        }
        Ok(Start { core: Core::new(self.identity.epoch), from: None, other_version: false })
    }

    /// `None`: it is damaged, of another inbox or a newer version, or was pruned just now; an older one may do.
    fn restore(&self, device: &DeviceCode, info: &SnapshotInfo) -> Result<Option<Start>, RetraceError> {
        let Some(dir) = &self.snapshots else { return Ok(None) };
        let Some(content) = dir.open_one(info)? else { return Ok(None) };
        match restore_one(content, self.identity, device) {
            Ok(start) => Ok(start),
            Err(error) => {
                tracing::warn!(file = %info.file.display(), %error, "a snapshot can't be used; an older one is tried");
                Ok(None)
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    State(#[from] SnapshotError),
}

/// `None`: it is of another inbox.
fn restore_one(content: impl BufRead, inbox: Identity, device: &DeviceCode) -> Result<Option<Start>, Unfit> {
    let mut restoring = Restoring::one(CORE_VERSION, device);
    for part in (image::Parts { input: content }) {
        match part? {
            Part::Inbox(point) if *point.id != inbox.id.to_le_bytes() => return Ok(None),
            Part::Inbox(_) | Part::Outbox(_) => {}
            Part::Core(piece) => restoring.take(piece)?,
        }
    }
    let other_version = restoring.taken_by() != Some(CORE_VERSION);
    let core = restoring.finish()?;
    let from = Some(core.now().wall);
    Ok(Some(Start { core, from, other_version }))
}

/// The moment in the core's time: as long after its last record as it lies by the clock, and not beyond the next record.
fn moment(core: &Core, at: Wall, beyond: Option<Elapsed>) -> Now {
    let last = core.now();
    let elapsed = last.elapsed + (at - last.wall).max(0);
    Now { elapsed: beyond.map_or(elapsed, |next| elapsed.min(next)), wall: at }
}
