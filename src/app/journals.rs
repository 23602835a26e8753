//! The data folder: journals, snapshots and what they lead back to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::AppError;
use crate::clock::Clock;
use crate::config::Config;
use crate::journal::local::{LocalJournal, Options, new_id};
use crate::journal::snapshots::SnapshotDir;
use crate::journal::{Identity, Journal, JournalError, JournalReader};
use crate::model::record::{Kind, PolicyText};
use crate::observe::{CoreTookOver, JournalTornTail, RecordSkipped, emit};
use crate::spine::poison::PoisonFile;
use crate::spine::recover::{Parts, RecoverError};
use crate::spine::retrace::Past;
use crate::spine::takeover::Takeover;
use crate::spine::{Quotas, Spine, SpineError, driver};

pub(super) struct Opened {
    pub(super) spine: Spine,
    pub(super) snapshots: SnapshotDir,
    /// The journals had been judged by another version of the core.
    took_over: bool,
    /// For the store's writer and for the feed.
    pub(super) outbox_readers: [Box<dyn JournalReader>; 2],
}

pub(super) fn quotas(config: &Config) -> Quotas {
    Quotas { inbox_bytes: config.journal.inbox_max_bytes, outbox_bytes: config.journal.outbox_max_bytes }
}

pub(super) fn is_poisoned(error: &AppError) -> bool {
    matches!(
        error,
        AppError::Spine(SpineError::Poisoned { .. })
            | AppError::Recover(RecoverError::Spine(SpineError::Poisoned { .. }))
    )
}

/// Opens what is there, or makes it, replays, and notes the start. Takes as long as the tail of the inbox is long.
pub(super) fn open(config: &Config, policy: PolicyText, clock: &Clock) -> Result<Opened, AppError> {
    let mut opened = replay(config, 1)?;
    if opened.took_over {
        snapshot(&mut opened, clock)?;
    }
    begin(&mut opened.spine, policy, clock)?;
    Ok(opened)
}

/// Whether there are journals already.
pub(super) fn exist(config: &Config) -> bool {
    ["inbox", "outbox"].iter().any(|name| config.service.data_dir.join(name).exists())
}

/// Opens what is there, or makes it with `epoch_if_new`, and replays.
pub(super) fn replay(config: &Config, epoch_if_new: u32) -> Result<Opened, AppError> {
    let dir = &config.service.data_dir;
    let snapshots = SnapshotDir::open(dir.join("snapshots")).map_err(RecoverError::Journal)?;
    let newest = snapshots.newest().map_err(RecoverError::Journal)?;
    for (file, what) in newest.iter().flat_map(|snapshot| &snapshot.skipped) {
        tracing::warn!(file = %file.display(), what, "a snapshot is damaged; an older one is used");
    }
    let inbox = open_journal(dir, "inbox", epoch_if_new)?;
    let outbox = open_journal(dir, "outbox", epoch_if_new)?;
    let poison = PoisonFile::open(poison_file(dir)).map_err(RecoverError::Journal)?;
    let readers = [outbox.reader(), outbox.reader()];
    let parts = Parts {
        inbox: Box::new(inbox),
        outbox: Box::new(outbox),
        poison: Box::new(poison),
        snapshot: newest.map(|snapshot| Bytes::from(snapshot.content)),
        quotas: quotas(config),
    };
    let began = std::time::Instant::now();
    let (spine, replayed) = Spine::recover(parts).inspect_err(|error| {
        if let RecoverError::Spine(SpineError::Poisoned { pos }) = error {
            emit(RecordSkipped { pos: *pos });
        }
    })?;
    let took_ms = began.elapsed().as_millis() as u64;
    tracing::info!(
        records = replayed.records,
        compared = replayed.compared,
        added = replayed.added,
        took_ms,
        core_version = spine.core().version(),
        "replayed the inbox"
    );
    if let Some(Takeover { from, to, way }) = replayed.takeover {
        emit(CoreTookOver { from, to, way });
    }
    Ok(Opened { spine, snapshots, took_over: replayed.takeover.is_some(), outbox_readers: readers })
}

/// What happened before, for whoever asks why.
pub(super) fn past(config: &Config, spine: &Spine, snapshots: Arc<SnapshotDir>) -> Result<Past, RecoverError> {
    let poison = PoisonFile::open(poison_file(&config.service.data_dir))?;
    Ok(Past {
        identity: spine.inbox().identity(),
        snapshots: Some(snapshots),
        inbox: Mutex::new(spine.inbox().reader()),
        poison: Box::new(poison),
    })
}

fn poison_file(data_dir: &Path) -> PathBuf {
    data_dir.join("inbox").join("poison")
}

/// What was judged by another version is never judged again once a snapshot of this one stands behind it.
fn snapshot(opened: &mut Opened, clock: &Clock) -> Result<(), SpineError> {
    opened.spine.settle()?;
    if let Some(image) = opened.spine.freeze()? {
        // Where it fails, which is told, the next one is tried in its turn; until then a start judges the tail anew.
        let _written = driver::write(&opened.snapshots, image, clock.wall());
    }
    Ok(())
}

/// Lets the clock go on from the last record, and notes the start.
pub(super) fn begin(spine: &mut Spine, policy: PolicyText, clock: &Clock) -> Result<(), SpineError> {
    let is_first = spine.core().next() == 0;
    clock.set_elapsed(spine.resumes_at(clock.wall()));
    if is_first {
        let kind = Kind::Core { version: spine.core().version(), epoch: spine.core().epoch() };
        spine.enter(kind, clock.elapsed(), clock.wall())?;
    }
    let start = Kind::Start { version: env!("CARGO_PKG_VERSION").into() };
    spine.enter(start, clock.elapsed(), clock.wall())?;
    if *spine.core().policy() != policy {
        spine.enter(Kind::Policy(policy), clock.elapsed(), clock.wall())?;
    }
    Ok(())
}

fn open_journal(dir: &Path, name: &'static str, epoch: u32) -> Result<LocalJournal, RecoverError> {
    let file = dir.join(name);
    let id = new_id().map_err(JournalError::io("read", "/dev/urandom"))?;
    let opened = LocalJournal::open(&file, &Options::new(Identity { id, epoch }))?;
    if let Some(cut) = &opened.cut {
        emit(JournalTornTail { journal: name, cut_bytes: cut.bytes });
    }
    Ok(opened.journal)
}
