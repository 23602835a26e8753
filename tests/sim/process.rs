//! The service as one process: the real spine, feed and board; around them the client of the broker, the store's
//! writer, and the driver's housekeeping, step by step.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::watch;
use vigil::core::telemetry::heard::Way;
use vigil::feed::events::read_store;
use vigil::feed::outbox::Outbox;
use vigil::feed::{EventLog, Feed, Judged, LinkState, LogError, LogFuture};
use vigil::journal::{Journal as _, JournalReader};
use vigil::model::alert::Cursor;
use vigil::model::fill::GOOD_MS;
use vigil::model::record::{Health, Kind, PolicyText};
use vigil::model::time::{Elapsed, Wall};
use vigil::pages::Board;
use vigil::spine::driver::{Vitals, differs, keep_from, snapshot_is_needed};
use vigil::spine::input::{Durable, Input, Inputs};
use vigil::spine::recover::{Parts, RecoverError};
use vigil::spine::{Quotas, Released, Spine, SpineError};
use vigil::store::known::KnownStore;
use vigil::store::writer::Writer;

use crate::database::Database;
use crate::disk::Disk;
use crate::poison::Poisoned;
use crate::scribe::Scribe;
use crate::subscriber::Subscriber;

/// Inputs that may wait for the spine: few, so that it is reached.
const QUEUE: usize = 12;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) quotas: Quotas,
    pub(crate) inbox_retention_ms: i64,
    pub(crate) event_retention_ms: i64,
    pub(crate) snapshot_every_ms: i64,
}

/// What outlives a process.
pub(crate) struct House {
    pub(crate) inbox: Disk,
    pub(crate) outbox: Disk,
    pub(crate) poisoned: Poisoned,
    pub(crate) database: Arc<Database>,
    /// Oldest first.
    pub(crate) snapshots: Vec<SnapshotFile>,
    pub(crate) settings: Settings,
}

pub(crate) struct SnapshotFile {
    pub(crate) pos: u64,
    pub(crate) content: Bytes,
    pub(crate) damaged: bool,
}

pub(crate) struct Process {
    pub(crate) spine: Spine,
    pub(crate) feed: Arc<Feed>,
    pub(crate) board: Arc<Board>,
    pub(crate) inputs: Inputs,
    pub(crate) queue: Receiver<Input>,
    pub(crate) durable: Durable,
    pub(crate) subscriber: Subscriber,
    pub(crate) scribe: Scribe,
    pub(crate) inbox_reader: Box<dyn JournalReader>,
    pub(crate) outbox_reader: Box<dyn JournalReader>,
    pub(crate) housekept_at: i64,
    /// A snapshot that another thread is writing, and when that is done.
    pub(crate) writing: Option<(i64, SnapshotFile)>,
    snapshot_at: i64,
    snapshot_from: u64,
    /// Where the journals ended, and the last snapshot was, when they were last trimmed.
    trimmed_at: Option<(u64, u64, Option<u64>)>,
    health: Health,
    /// Elapsed time at its start, and when that was.
    began: (Elapsed, i64),
}

/// What a start came to.
pub(crate) enum Began {
    Up(Box<Process>),
    /// The spine was recovered and failed as it noted the start.
    Died(SpineError),
}

struct Log {
    outbox: Mutex<Outbox>,
    database: Arc<Database>,
}

impl EventLog for Log {
    fn after(&self, after: Cursor, limit: usize) -> LogFuture<'_> {
        let found = self.outbox.lock().expect("nobody panics with it").after(after, limit);
        Box::pin(async move {
            match found.map_err(|error| LogError::Unavailable(error.to_string()))? {
                Some(events) => Ok(events),
                None => read_store(&*self.database, after, limit).await,
            }
        })
    }
}

impl House {
    pub(crate) fn set_time(&self, wall: Wall) {
        self.inbox.set_time(wall);
        self.outbox.set_time(wall);
    }

    /// Replays what is there. The newest snapshot that is whole is used.
    pub(crate) fn recover(&self) -> Result<(Spine, [Box<dyn JournalReader>; 5]), RecoverError> {
        let (inbox, outbox) = (self.inbox.open()?, self.outbox.open()?);
        if let Some(dir) = self.inbox.dir() {
            self.poisoned.read(&dir.join("poison"))?;
        }
        let readers = [inbox.reader(), outbox.reader(), outbox.reader(), outbox.reader(), outbox.reader()];
        let snapshot = self.snapshots.iter().rev().find(|snapshot| !snapshot.damaged);
        let (spine, _) = Spine::recover(Parts {
            inbox: Box::new(inbox),
            outbox: Box::new(outbox),
            poison: Box::new(self.poisoned.clone()),
            snapshot: snapshot.map(|snapshot| snapshot.content.clone()),
            quotas: self.settings.quotas,
        })?;
        Ok((spine, readers))
    }

    /// Notes the start and sets up what stands around the spine.
    pub(crate) fn begin(
        &self,
        mut spine: Spine,
        readers: [Box<dyn JournalReader>; 5],
        policy: &PolicyText,
        now: i64,
        wall: Wall,
        nonce: u64,
    ) -> Began {
        let elapsed = spine.resumes_at(wall);
        let mut note = || {
            spine.enter(Kind::Start { version: "sim".into() }, elapsed, wall)?;
            if spine.core().policy() != policy {
                spine.enter(Kind::Policy(policy.clone()), elapsed, wall)?;
            }
            Ok(())
        };
        if let Err(error) = note() {
            return Began::Died(error);
        }
        let core = spine.core();
        let board = Arc::new(Board::restore(core.open_alerts(), Cursor { epoch: core.epoch(), seq: core.seq() }));
        let [inbox_reader, outbox_reader, to_store, to_feed, _] = readers;
        let log = Log { outbox: Mutex::new(Outbox::new(to_feed)), database: Arc::clone(&self.database) };
        let (sender, queue) = sync_channel(QUEUE);
        let inputs = Inputs::new(sender);
        let writer = Writer {
            store: Arc::clone(&self.database) as _,
            outbox: to_store,
            identity: spine.outbox().identity(),
            released: watch::channel(0).1,
            vitals: Arc::new(Vitals::default()),
            inputs: inputs.clone(),
            // Only a service that runs on disks notes which store it has met.
            known: KnownStore::new(Path::new("")),
        };
        Began::Up(Box::new(Process {
            feed: Arc::new(Feed::new(Arc::clone(&board), Arc::new(log))),
            board,
            inputs,
            queue,
            durable: Durable::default(),
            subscriber: Subscriber::new(nonce),
            scribe: Scribe::new(writer, Arc::clone(&self.database)),
            inbox_reader,
            outbox_reader,
            housekept_at: now,
            writing: None,
            snapshot_at: now,
            trimmed_at: None,
            snapshot_from: self.snapshots.last().map_or(0, |snapshot| snapshot.pos),
            health: Health::default(),
            began: (elapsed, now),
            spine,
        }))
    }
}

impl Process {
    pub(crate) fn elapsed(&self, now: i64) -> Elapsed {
        self.began.0 + (now - self.began.1)
    }

    /// When the driver wakes by itself to tick.
    pub(crate) fn tick_at(&self) -> i64 {
        let due = self.spine.next_deadline().map_or(i64::MAX, |due| due.0);
        due.saturating_sub(self.began.0.0).saturating_add(self.began.1)
    }

    /// What waits for the spine, at most so much of it.
    pub(crate) fn group(&self, most: usize) -> Vec<Input> {
        self.queue.try_iter().take(most).collect()
    }

    pub(crate) fn publish(&self, released: &Released, wall: Wall) -> Result<(), String> {
        let link = match self.spine.way() {
            Way::Down => LinkState::Down,
            Way::Draining => LinkState::Draining,
            Way::Open => LinkState::Up,
        };
        // A replay's answers never come here, and what does is of now.
        let now = self.spine.core().now().elapsed;
        let old = released.downlinks.iter().find(|downlink| !(now..now + GOOD_MS + 1).contains(&downlink.good_until()));
        if let Some(downlink) = old {
            return Err(format!("at {now:?} an answer goes out that isn't of now: {downlink:?}"));
        }
        let position = self.spine.core().next().checked_sub(1);
        let judged = Judged { position, wall, link, store_stalled_ms: 0 };
        self.feed.publish(&released.events, judged).map_err(|gap| format!("P3: {gap}"))
    }

    /// The health to be noted, if it is another one than before.
    pub(crate) fn health(&mut self, now: i64) -> Option<Kind> {
        self.housekept_at = now;
        let health = Health {
            journal_fill_percent: self.spine.fill_percent(),
            store_stalled_ms: self.scribe.stalled_since.map_or(0, |since| (now - since).max(1)),
            dropped: 0,
        };
        differs(&health, &self.health).then(|| {
            self.health = health;
            Kind::Health(health)
        })
    }

    /// Reports may be taken again as soon as there is room.
    pub(crate) fn note_room(&mut self) {
        self.spine.note_fill();
        self.durable.withheld = self.spine.is_withheld();
    }

    pub(crate) fn begin_snapshot(&mut self, now: i64, settings: &Settings, takes_ms: i64) -> Result<(), SpineError> {
        let is_time = now - self.snapshot_at >= settings.snapshot_every_ms;
        let is_needed =
            || snapshot_is_needed(&self.spine.inbox().segments(), self.snapshot_from, settings.quotas.inbox_bytes);
        if self.writing.is_some() || !(is_time || is_needed()) {
            return Ok(());
        }
        let Some(image) = self.spine.freeze()? else { return Ok(()) };
        (self.snapshot_at, self.snapshot_from) = (now, image.inbox.position);
        let file = SnapshotFile { pos: image.inbox.position, content: image.encode().into(), damaged: false };
        self.writing = Some((now + takes_ms, file));
        Ok(())
    }

    pub(crate) fn trim(&mut self, house: &House, wall: Wall) -> Result<(), SpineError> {
        // Every second is more often than anything is written.
        let ends = (self.spine.inbox().next(), self.spine.outbox().next(), house.snapshots.last().map(|last| last.pos));
        if self.trimmed_at.replace(ends) == Some(ends) {
            return Ok(());
        }
        let Settings { quotas, inbox_retention_ms, event_retention_ms, .. } = house.settings;
        let older = house.snapshots.len().checked_sub(2).map(|older| house.snapshots[older].pos);
        let inbox_done = older.unwrap_or_default();
        let inbox = keep_from(&self.spine.inbox().segments(), inbox_done, inbox_retention_ms, quotas.inbox_bytes, wall);
        let outbox_done = if older.is_some() { self.scribe.stored_to() } else { 0 };
        let outbox =
            keep_from(&self.spine.outbox().segments(), outbox_done, event_retention_ms, quotas.outbox_bytes, wall);
        self.spine.trim(inbox, outbox)
    }

    /// The state as bytes, if it is one that a restart can be compared with.
    pub(crate) fn state(&self) -> Option<(u64, Vec<u8>)> {
        let core = self.spine.core();
        (core.is_settled() && core.next() == self.spine.inbox().next()).then(|| (core.next(), core.freeze().encode()))
    }

    pub(crate) fn read(
        &self,
        after: Cursor,
        limit: usize,
    ) -> Result<Vec<Arc<vigil::model::alert::AlertEvent>>, String> {
        let read = self.feed.read(after, limit).now_or_never().expect("nothing in it waits");
        read.map_err(|error| error.to_string())
    }
}
