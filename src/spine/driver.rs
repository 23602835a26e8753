//! The thread around the spine: waits for inputs and deadlines, tells the time, keeps the journals in bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::image::Image;
use super::input::{Durable, Input};
use super::{Quotas, Released, Spine, SpineError};
use crate::clock::Clock;
use crate::core::telemetry::heard::Way;
use crate::journal::SegmentInfo;
use crate::journal::snapshots::{SnapshotDir, SnapshotInfo};
use crate::limits;
use crate::model::record::{Health, Kind};
use crate::model::time::{Elapsed, Wall};
use crate::observe::{SnapshotWritten, emit};

/// How often the driver looks after itself when nothing comes.
const HOUSEKEEPING_MS: i64 = 1_000;
/// While inputs keep coming, groups begin so far apart: an fsync, and waking those who wait for it, costs as much for
/// one report as for a hundred. An input that comes after a pause doesn't wait.
const GROUP_EVERY: Duration = Duration::from_millis(4);
/// A group waits in such steps, and goes on when a step brought nothing more: a broker that sends no further message
/// before the last ones are acknowledged is not kept waiting.
const GATHER_STEP: Duration = Duration::from_millis(1);
/// What is left over from the last record, such as a new day's look at everything, may take so long at the end.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// What others tell the spine and read from it without going through the inbox.
#[derive(Debug, Default)]
pub struct Vitals {
    /// The position up to which the store has the outbox.
    pub stored_to: AtomicU64,
    /// How long the store has taken nothing although there is something to take, in ms.
    pub store_stalled_ms: AtomicI64,
    /// Messages dropped before the inbox since the start.
    pub dropped: Arc<AtomicU64>,
    /// The elapsed time at which the driver last came round.
    pub alive_at_ms: AtomicI64,
    /// Fullness of the fuller journal.
    pub fill_percent: AtomicU64,
    /// Positions after the last record of each journal.
    pub inbox_next: AtomicU64,
    pub outbox_next: AtomicU64,
}

/// Takes what the spine releases. Called from the spine's thread: must not wait for anybody.
pub trait Outlet: Send {
    fn released(&mut self, released: Released, standing: Standing);
}

/// Where the core stands after a group, or after a second without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Of the last record judged; `None`: none yet.
    pub inbox: Option<u64>,
    /// The position after the last entry of the outbox.
    pub outbox_next: u64,
    /// Up to when everything taken has been judged.
    pub wall: Wall,
    pub way: Way,
}

#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub quotas: Quotas,
    pub inbox_retention_ms: i64,
    pub event_retention_ms: i64,
    pub snapshot_every_ms: i64,
}

pub struct Driver {
    pub spine: Spine,
    pub inputs: Receiver<Input>,
    pub clock: Clock,
    pub durable: watch::Sender<Durable>,
    pub outlet: Box<dyn Outlet>,
    pub vitals: Arc<Vitals>,
    pub snapshots: Arc<SnapshotDir>,
    pub options: Options,
}

/// What the driver remembers from one round to the next.
struct Rounds {
    housekept_at: Elapsed,
    /// When the last snapshot was begun, and of which position.
    snapshot_at: Elapsed,
    snapshot_from: u64,
    /// Positions of the two newest snapshots.
    snapshots: [Option<u64>; 2],
    writing: Option<Receiver<Option<SnapshotInfo>>>,
    health: Health,
    stopping: bool,
}

impl Driver {
    /// Runs until it is told to stop, all senders are gone, or something fails.
    pub fn run(mut self) -> Result<(), SpineError> {
        let mut rounds = Rounds::new(&self);
        let mut group = Group::default();
        loop {
            rounds.stopping |= self.wait(&mut group);
            let (elapsed, wall) = (self.clock.elapsed(), self.clock.wall());
            let released = if !group.inputs.is_empty() {
                let durable = &self.durable;
                self.spine.take(group.inputs.drain(..), elapsed, wall, |now| _ = durable.send_replace(now))?
            } else if self.spine.next_deadline().is_some_and(|due| due <= elapsed) {
                self.spine.tick(elapsed, wall)?
            } else {
                Released::default()
            };
            let idle = released.records == 0;
            let due = elapsed - rounds.housekept_at >= HOUSEKEEPING_MS || self.fills_fast(&rounds);
            if !idle || due {
                self.release(released, wall);
            }
            if due || rounds.stopping {
                self.keep_house(&mut rounds, elapsed, wall)?;
            }
            if rounds.stopping {
                return self.stop(rounds, wall);
            }
        }
    }

    /// Waits for the first input, then takes whatever else is there: the group grows with the load. Returns whether
    /// to stop.
    fn wait(&mut self, group: &mut Group) -> bool {
        let until_due = self.spine.next_deadline().map_or(HOUSEKEEPING_MS, |due| due - self.clock.elapsed());
        let wait_ms = u64::try_from(until_due.clamp(0, HOUSEKEEPING_MS)).unwrap_or_default();
        match self.inputs.recv_timeout(Duration::from_millis(wait_ms)) {
            Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(input) => group.push(input),
            Err(RecvTimeoutError::Timeout) => return false,
        }
        group.gather(&self.inputs)
    }

    fn release(&mut self, released: Released, wall: Wall) {
        let standing = Standing {
            inbox: self.spine.core().next().checked_sub(1),
            outbox_next: self.spine.outbox().next(),
            wall,
            way: self.spine.way(),
        };
        self.vitals.inbox_next.store(self.spine.inbox().next(), Ordering::Relaxed);
        self.vitals.outbox_next.store(standing.outbox_next, Ordering::Release);
        self.outlet.released(released, standing);
    }

    /// Journals can fill within a second, and the warnings are to come before reports are withheld.
    fn fills_fast(&self, rounds: &Rounds) -> bool {
        self.spine.fill_percent() / FILL_STEP_PERCENT > rounds.health.journal_fill_percent / FILL_STEP_PERCENT
    }

    /// Once a second, or sooner: health, snapshots, trimming.
    fn keep_house(&mut self, rounds: &mut Rounds, elapsed: Elapsed, wall: Wall) -> Result<(), SpineError> {
        rounds.housekept_at = elapsed;
        self.vitals.alive_at_ms.store(elapsed.0, Ordering::Relaxed);
        let fill = self.spine.fill_percent();
        self.vitals.fill_percent.store(fill.into(), Ordering::Relaxed);
        self.say_withheld();
        let health = Health {
            journal_fill_percent: fill,
            store_stalled_ms: self.vitals.store_stalled_ms.load(Ordering::Relaxed),
            dropped: self.vitals.dropped.load(Ordering::Relaxed),
        };
        if differs(&health, &rounds.health) {
            rounds.health = health;
            let released = self.spine.enter(Kind::Health(health), elapsed, wall)?;
            self.release(released, wall);
        }
        self.collect_snapshot(rounds, wall);
        let is_time = elapsed - rounds.snapshot_at >= self.options.snapshot_every_ms;
        if rounds.writing.is_none() && (is_time || self.needs_snapshot(rounds.snapshot_from)) {
            self.begin_snapshot(rounds, elapsed, wall)?;
        }
        self.trim(rounds, wall)
    }

    /// Reports may be taken again as soon as there is room, also when none comes that would show it.
    fn say_withheld(&mut self) {
        self.spine.note_fill();
        let withheld = self.spine.is_withheld();
        self.durable.send_if_modified(|durable| std::mem::replace(&mut durable.withheld, withheld) != withheld);
    }

    fn needs_snapshot(&self, from: u64) -> bool {
        snapshot_is_needed(&self.spine.inbox().segments(), from, self.options.quotas.inbox_bytes)
    }

    fn begin_snapshot(&mut self, rounds: &mut Rounds, elapsed: Elapsed, wall: Wall) -> Result<(), SpineError> {
        let Some(image) = self.spine.freeze()? else { return Ok(()) };
        (rounds.snapshot_at, rounds.snapshot_from) = (elapsed, image.inbox.position);
        let (done, writing) = channel();
        let snapshots = Arc::clone(&self.snapshots);
        rounds.writing = Some(writing);
        // Should the thread not start, the receiver hears that nothing was written, and the next try is in its turn.
        let _unstarted = std::thread::Builder::new()
            .name("snapshot".into())
            .spawn(move || _ = done.send(write(&snapshots, image, wall)));
        Ok(())
    }

    fn collect_snapshot(&mut self, rounds: &mut Rounds, wall: Wall) {
        let Some(writing) = &rounds.writing else { return };
        match writing.try_recv() {
            Ok(Some(info)) => rounds.snapshots = [Some(info.pos), rounds.snapshots[0]],
            Ok(None) | Err(TryRecvError::Disconnected) => {}
            Err(TryRecvError::Empty) => return,
        }
        rounds.writing = None;
        if let Err(error) = self.snapshots.prune(wall) {
            tracing::warn!(%error, "old snapshots could not be removed");
        }
    }

    fn trim(&mut self, rounds: &Rounds, wall: Wall) -> Result<(), SpineError> {
        let Options { quotas, inbox_retention_ms, event_retention_ms, .. } = self.options;
        // The older of the two newest snapshots must do, should the newest turn out to be damaged.
        let inbox_done = rounds.snapshots[1].unwrap_or_default();
        let inbox = keep_from(&self.spine.inbox().segments(), inbox_done, inbox_retention_ms, quotas.inbox_bytes, wall);
        let snapshotted = rounds.snapshots[1].is_some();
        let outbox_done = if snapshotted { self.vitals.stored_to.load(Ordering::Acquire) } else { 0 };
        let outbox =
            keep_from(&self.spine.outbox().segments(), outbox_done, event_retention_ms, quotas.outbox_bytes, wall);
        self.spine.trim(inbox, outbox)
    }

    fn stop(mut self, mut rounds: Rounds, wall: Wall) -> Result<(), SpineError> {
        self.spine.sync()?;
        if let Some(writing) = rounds.writing.take() {
            let _finished = writing.recv();
        }
        // There is no snapshot of what is half done, and without one the next start judges the tail again.
        let began = Instant::now();
        while !self.spine.core().is_settled() && began.elapsed() < SETTLES_WITHIN {
            let released = self.spine.tick(self.clock.elapsed(), self.clock.wall())?;
            self.release(released, wall);
        }
        if let Some(image) = self.spine.freeze()? {
            write(&self.snapshots, image, wall);
        }
        Ok(())
    }
}

/// Inputs that become durable together.
#[derive(Default)]
struct Group {
    inputs: Vec<Input>,
    bytes: usize,
    /// When the one before was complete.
    last: Option<Instant>,
}

impl Group {
    fn push(&mut self, input: Input) {
        self.bytes += input.size_bytes();
        self.inputs.push(input);
    }

    fn is_full(&self) -> bool {
        self.inputs.len() >= limits::GROUP_RECORDS || self.bytes >= limits::GROUP_BYTES
    }

    /// Takes what is there, and more of what keeps coming. Returns whether to stop.
    fn gather(&mut self, inputs: &Receiver<Input>) -> bool {
        let mut stop = self.take_waiting(inputs);
        while !stop && !self.is_full() && self.last.is_some_and(|last| last.elapsed() < GROUP_EVERY) {
            let before = self.inputs.len();
            std::thread::sleep(GATHER_STEP);
            stop = self.take_waiting(inputs);
            if self.inputs.len() == before {
                break;
            }
        }
        self.bytes = 0;
        self.last = Some(Instant::now());
        stop
    }

    fn take_waiting(&mut self, inputs: &Receiver<Input>) -> bool {
        while !self.is_full() {
            match inputs.try_recv() {
                Ok(Input::Stop) | Err(TryRecvError::Disconnected) => return true,
                Ok(input) => self.push(input),
                Err(TryRecvError::Empty) => break,
            }
        }
        false
    }
}

impl Rounds {
    fn new(driver: &Driver) -> Self {
        let snapshots = driver.snapshots.list().unwrap_or_default();
        let mut newest_first = snapshots.iter().rev();
        let (elapsed, wall) = (driver.clock.elapsed(), driver.clock.wall());
        let (newest, older) = (newest_first.next(), newest_first.next());
        // Counted from the newest snapshot, not from the start: a service that ends again and again before its first
        // one is due would replay more each time. Elapsed time began with the inbox.
        let every_ms = driver.options.snapshot_every_ms;
        let snapshot_at = newest.map_or(Elapsed(0), |info| elapsed + -(wall - info.taken_at).clamp(0, every_ms));
        Self {
            housekept_at: elapsed,
            snapshot_at,
            snapshot_from: newest.map_or(0, |info| info.pos),
            snapshots: [newest.map(|info| info.pos), older.map(|info| info.pos)],
            writing: None,
            health: Health::default(),
            stopping: false,
        }
    }
}

impl Input {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Report { topic, payload, .. } => topic.len() + payload.len(),
            _ => 0,
        }
    }
}

/// Not every percent is told.
const FILL_STEP_PERCENT: u8 = 5;

/// Whether people, or rules, would want to know.
pub fn differs(now: &Health, before: &Health) -> bool {
    const STEP_MS: i64 = 30_000;
    now.journal_fill_percent / FILL_STEP_PERCENT != before.journal_fill_percent / FILL_STEP_PERCENT
        || now.store_stalled_ms / STEP_MS != before.store_stalled_ms / STEP_MS
        || (now.store_stalled_ms == 0) != (before.store_stalled_ms == 0)
        || now.dropped != before.dropped
}

/// Writes a snapshot; that it failed is told, and the next one is tried in its turn.
pub(crate) fn write(snapshots: &SnapshotDir, image: Image, wall: Wall) -> Option<SnapshotInfo> {
    let began = Instant::now();
    let mut bytes = 0;
    let position = image.inbox.position;
    // The image goes before the sync, which may take long: until then every page that changes is copied.
    let write = |out: &mut dyn std::io::Write| {
        let image = image;
        bytes = image.write(out)?;
        Ok(())
    };
    match snapshots.write(position, wall, write) {
        Ok(info) => {
            let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
            emit(SnapshotWritten { bytes, took_ms });
            Some(info)
        }
        Err(error) => {
            tracing::error!(%error, "a snapshot could not be written: the inbox can't be trimmed until one is");
            None
        }
    }
}

/// Whether so much was written since the snapshot of position `from` that another one can't wait for its time: without
/// it the inbox can't be trimmed, and would withhold reports although nothing is wrong.
pub fn snapshot_is_needed(segments: &[SegmentInfo], from: u64, quota_bytes: u64) -> bool {
    let since = segments.iter().filter(|segment| segment.first >= from);
    let bytes: u64 = since.map(|segment| segment.bytes).sum();
    bytes >= quota_bytes / 100 * limits::JOURNAL_SNAPSHOT_PERCENT
}

/// The position to keep a journal from: what is still needed, what is younger than its retention, and, of the rest,
/// what a third of the quota has room for. Retention yields before anybody has to be told that a journal fills up.
pub fn keep_from(segments: &[SegmentInfo], needed_from: u64, retention_ms: i64, quota_bytes: u64, now: Wall) -> u64 {
    let kept_max = quota_bytes / 100 * limits::JOURNAL_RETAINED_PERCENT;
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    for segment in segments {
        let is_needed = segment.next > needed_from;
        let is_young = segment.closed_at.is_none_or(|at| now - at < retention_ms);
        if is_needed || (is_young && bytes <= kept_max) {
            return segment.first;
        }
        bytes -= segment.bytes;
    }
    needed_from
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> Vec<SegmentInfo> {
        let segment = |n: u64| SegmentInfo {
            first: n * 10,
            next: n * 10 + 10,
            bytes: 100,
            closed_at: Some(Wall(n as i64 * 1_000)),
        };
        (0..5).map(segment).collect()
    }

    #[test]
    fn a_snapshot_doesnt_wait_for_its_time_when_the_inbox_fills_up_since_the_last_one() {
        let check = |from, quota_bytes, expected| {
            assert_eq!(snapshot_is_needed(&segments(), from, quota_bytes), expected, "{from} {quota_bytes}");
        };
        check(0, 3_000, true);
        check(0, 3_200, false);
        // What lies before the snapshot, and the segment in whose midst it stands, don't count.
        check(20, 1_800, true);
        check(21, 1_800, false);
        check(50, 1_000, false);
    }

    #[test]
    fn a_journal_is_kept_as_long_as_needed_then_as_long_as_wanted_then_as_long_as_there_is_room() {
        let segments = segments();
        let check = |needed, retention_ms, quota, expected| {
            assert_eq!(
                keep_from(&segments, needed, retention_ms, quota, Wall(5_000)),
                expected,
                "{needed} {retention_ms} {quota}"
            );
        };
        check(0, 0, 10_000, 0);
        check(25, 0, 10_000, 20);
        check(50, 3_500, 10_000, 20);
        check(50, 100_000, 10_000, 0);
        check(50, 100_000, 1_000, 20);
        check(15, 100_000, 1_000, 10);
    }
}
