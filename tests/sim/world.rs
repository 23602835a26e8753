//! One run: everything there is, and what happens to it, step by step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt as _;
use vigil::journal::memory::Crash;
use vigil::journal::{Journal as _, JournalError};
use vigil::model::record::PolicyText;
use vigil::model::time::{CivilDay, Wall};
use vigil::spine::{Quotas, Released, SpineError};
use vigil::store::{Batch, Store as _};

use crate::broker::{Broker, Message};
use crate::clients::{Asker, Watcher};
use crate::database::Database;
use crate::dice::Dice;
use crate::disk::{Disk, Failure, Poisoned};
use crate::faults::{Canary, Fault, Faults};
use crate::lifts::{Lift, Nature};
use crate::model::Model;
use crate::policies::Policies;
use crate::process::{Began, House, Process, Settings};
use crate::scribe::Scribe;
use crate::subscriber::Around;
use crate::trace::Trace;

/// What is wrong, in words that begin with the promise that was broken.
pub(crate) type Check = Result<(), String>;

const SEGMENT_BYTES: u64 = 16 * 1024;
/// Ticks in a row that bring no end are a fault.
const TICKS_MAX: u32 = 10_000;

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    /// Milliseconds since the run began. Nobody sets this clock.
    pub(crate) now: i64,
    /// When it began.
    pub(crate) epoch: i64,
    /// How far our wall clock is from it.
    jump_ms: i64,
    pub(crate) house: House,
    broker: Broker,
    pub(crate) lifts: Vec<Lift>,
    /// By arrival at the broker.
    transit: BTreeMap<(i64, u64), Message>,
    sent: u64,
    pub(crate) process: Option<Process>,
    down_until: i64,
    starts: u64,
    orphans: Vec<(i64, Arc<Batch>)>,
    had_orphans: bool,
    /// The state as it died, if it can be told.
    dead: Option<(u64, Vec<u8>)>,
    watchers: Vec<Watcher>,
    asker: Asker,
    policies: Policies,
    policy: PolicyText,
    pub(crate) model: Model,
    judged_to: usize,
    armed: Option<Failure>,
    store_away_until: i64,
    /// Spans in which nobody looked at the clock.
    pub(crate) interruptions: Vec<(i64, i64)>,
    /// Spans in which our clock can't be trusted to measure lateness.
    pub(crate) doubts: Vec<(i64, i64)>,
    pub(crate) trace: Trace,
    pub(crate) last: VecDeque<String>,
}

impl World {
    pub(crate) fn new(seed: u64, canary: Option<Canary>) -> Self {
        let mut dice = Dice::new(seed, 0);
        let faults = Faults::new(&mut dice, canary);
        let tight = faults.is_enabled(Fault::JournalsFull);
        let quota = if tight { dice.between(150_000, 400_000) as u64 } else { 1 << 40 };
        let settings = Settings {
            quotas: Quotas { inbox_bytes: quota, outbox_bytes: quota },
            inbox_retention_ms: dice.between(60_000, 1_200_000),
            event_retention_ms: dice.between(60_000, 1_200_000),
            snapshot_every_ms: dice.between(10_000, 180_000),
        };
        let database = Arc::new(Database::new());
        database.weather(|weather| weather.unconditional = canary == Some(Canary::CommitWithoutCheckpoint));
        let house = House {
            inbox: Disk::new(1, SEGMENT_BYTES),
            outbox: Disk::new(2, SEGMENT_BYTES),
            poisoned: Poisoned::default(),
            database,
            snapshots: Vec::new(),
            settings,
        };
        if canary == Some(Canary::SyncIsLie) {
            house.inbox.lie();
        }
        let lifts =
            natures(&mut dice).into_iter().enumerate().map(|(ix, nature)| Lift::new(ix, nature, seed)).collect();
        let policies = Policies::new(&mut dice);
        // Around midnight in the policy's zone, so that days turn.
        let epoch = 1_790_006_400_000 + dice.between(-1_800_000, 600_000);
        Self {
            broker: Broker::new(dice.between(4, 40) as usize),
            watchers: (0..dice.between(1, 3)).map(|_| Watcher::new()).collect(),
            policy: policies.any(&mut dice),
            asker: Asker::default(),
            model: Model::default(),
            transit: BTreeMap::new(),
            orphans: Vec::new(),
            interruptions: Vec::new(),
            doubts: Vec::new(),
            last: VecDeque::new(),
            trace: Trace::default(),
            process: None,
            dead: None,
            armed: None,
            had_orphans: false,
            now: 0,
            jump_ms: 0,
            sent: 0,
            starts: 0,
            down_until: 0,
            judged_to: 0,
            store_away_until: 0,
            policies,
            dice,
            faults,
            epoch,
            house,
            lifts,
        }
    }

    pub(crate) fn wall(&self) -> Wall {
        Wall(self.epoch + self.now + self.jump_ms)
    }

    fn note(&mut self, what: String) {
        self.trace.add(what.as_bytes());
        if self.last.len() == 40 {
            self.last.pop_front();
        }
        self.last.push_back(format!("{:>9} ms  {what}", self.now));
    }

    pub(crate) fn step(&mut self) -> Check {
        match self.dice.below(100) {
            0..12 => self.advance((1, 50))?,
            12..22 => self.advance((100, 3_000))?,
            22..24 => self.advance((5_000, 40_000))?,
            24..44 => {
                let most = self.dice.between(1, 8);
                self.receive(most);
            }
            44..62 => {
                let most = self.dice.between(1, 16) as usize;
                self.take(most)?;
            }
            62..74 => self.acknowledge()?,
            74..80 => self.scribe()?,
            80..88 => self.watch()?,
            88..92 => self.ask()?,
            92..97 => self.misfortune()?,
            _ => self.people()?,
        }
        let (inbox, outbox) = (self.model.inbox.last(), self.model.outbox.last());
        self.trace.add(
            &[inbox.map_or(0, |taken| taken.hash), outbox.map_or(0, |told| told.hash)].map(u32::to_le_bytes).concat(),
        );
        Ok(())
    }

    // --- Time ---

    /// Lets time pass, with all that falls due meanwhile.
    fn advance(&mut self, (least, most): (i64, i64)) -> Check {
        let target = self.now + self.dice.between(least, most);
        self.note(format!("advance to {target}"));
        let live = most > 50;
        let stall = live && self.process.is_some() && self.faults.draw(&mut self.dice, Fault::Stall, 40);
        if stall {
            self.interruptions.push((self.now, target));
        }
        loop {
            let next = self.next_due(stall).min(target);
            self.now = self.now.max(next);
            self.outside()?;
            if !stall {
                self.inside(live)?;
            }
            if self.now == target {
                return Ok(());
            }
        }
    }

    fn next_due(&self, stall: bool) -> i64 {
        let lifts = self.lifts.iter().map(|lift| lift.next_at).min().unwrap_or(i64::MAX);
        let transit = self.transit.first_key_value().map_or(i64::MAX, |((at, _), _)| *at);
        let orphans = self.orphans.iter().map(|(at, _)| *at).min().unwrap_or(i64::MAX);
        let outside = lifts.min(transit).min(orphans);
        let Some(process) = self.process.as_ref() else { return outside.min(self.down_until) };
        if stall {
            return outside;
        }
        let written = process.writing.as_ref().map_or(i64::MAX, |(at, _)| *at);
        let inside = process.tick_at().min(process.subscriber.next_at()).min(process.housekept_at + 1_000).min(written);
        outside.min(inside).max(self.now + 1)
    }

    /// What happens whether or not the service runs.
    fn outside(&mut self) -> Check {
        for ix in 0..self.lifts.len() {
            if self.lifts[ix].next_at <= self.now {
                self.speak(ix);
            }
        }
        while let Some(entry) = self.transit.first_entry().filter(|entry| entry.key().0 <= self.now) {
            self.broker.publish(entry.remove());
        }
        for (_, batch) in self.orphans.extract_if(.., |(at, _)| *at <= self.now) {
            let _moved = self.house.database.commit(batch).now_or_never();
        }
        if self.store_away_until > 0 && self.now >= self.store_away_until {
            self.store_away_until = 0;
            self.house.database.weather(|weather| weather.away = false);
        }
        if self.process.is_none() && self.now >= self.down_until {
            self.restart()?;
        }
        Ok(())
    }

    fn speak(&mut self, ix: usize) {
        let uid = self.model.published.len() as u64;
        let is_of_it = |message: &Message| message.topic.contains(&self.lifts[ix].code);
        let quiet = !self.transit.values().any(is_of_it) && !self.broker.holds(is_of_it);
        let lift = &mut self.lifts[ix];
        let sending = lift.speak(self.now, self.epoch, uid, self.model.frames(), quiet, &mut self.faults);
        let uid = self.model.publish(&sending.topic, &sending.payload, sending.published);
        if sending.lost {
            return;
        }
        let message = Message { uid: Some(uid), topic: sending.topic.into(), payload: sending.payload };
        for at in std::iter::once(0).chain(sending.again_after) {
            self.sent += 1;
            self.transit.insert((sending.arrives_at + at, self.sent), message.clone());
        }
    }

    /// What the service does by itself as time passes.
    fn inside(&mut self, live: bool) -> Check {
        self.look_after_connection();
        self.tick()?;
        self.keep_house()?;
        if live {
            self.pump()?;
            self.scribe()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Check {
        for _ in 0..TICKS_MAX {
            if self.process.as_ref().is_none_or(|process| process.tick_at() > self.now) {
                return Ok(());
            }
            self.run(|process, elapsed, wall| process.spine.tick(elapsed, wall))?;
        }
        Err("P12: ticks bring no end".to_owned())
    }

    /// Takes what is there, as the tasks of the service do when nothing holds them up.
    fn pump(&mut self) -> Check {
        for _ in 0..64 {
            let before = self.model.inbox.len();
            self.receive(16);
            self.take(64)?;
            self.acknowledge()?;
            if self.model.inbox.len() == before && !self.broker.has_waiting() {
                break;
            }
        }
        self.tick()
    }

    // --- The service ---

    /// One operation of the spine. It may end the process.
    fn run(
        &mut self,
        work: impl FnOnce(&mut Process, vigil::model::time::Elapsed, Wall) -> Result<Released, SpineError>,
    ) -> Check {
        let wall = self.wall();
        let Some(process) = &mut self.process else { return Ok(()) };
        let elapsed = if self.faults.has(Canary::TimersOnWallClock) {
            vigil::model::time::Elapsed(wall.0 - self.epoch)
        } else {
            process.elapsed(self.now)
        };
        self.house.set_time(wall);
        match work(process, elapsed, wall) {
            Ok(released) => {
                process.publish(&released, wall)?;
                self.observe()
            }
            Err(SpineError::Journal(error)) => self.fail(&error),
            Err(error) => Err(format!("P8: {error}")),
        }
    }

    /// A journal has failed, which ends the process; what was made durable before may have been acknowledged.
    fn fail(&mut self, error: &JournalError) -> Check {
        let Some(failure) = self.armed.take() else { return Err(format!("P1: {error}")) };
        self.note(format!("{error} ({failure:?})"));
        let fault = match error {
            _ if failure == Failure::Done => Fault::SyncedAndDied,
            JournalError::Io { doing: "sync", .. } => Fault::SyncFailed,
            _ => Fault::WriteFailed,
        };
        self.faults.count(fault);
        let process = self.process.as_mut().expect("it has just failed");
        self.model.observe_inbox(&mut *process.inbox_reader, self.now)?;
        if self.dice.chance(500) {
            self.acknowledge()?;
        }
        self.crash(false);
        Ok(())
    }

    fn observe(&mut self) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        self.model.observe_inbox(&mut *process.inbox_reader, self.now)?;
        self.model.observe_outbox(&mut *process.outbox_reader)?;
        let judged_to = process.spine.core().next();
        self.model.check_judged(self.judged_to, judged_to, &self.house.poisoned)?;
        self.judged_to = judged_to as usize;
        Ok(())
    }

    fn take(&mut self, most: usize) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let (group, next) = (process.group(most), process.spine.inbox().next());
        if group.is_empty() {
            return Ok(());
        }
        self.note(format!("take {}", group.len()));
        let first_is_report = matches!(group[0], vigil::spine::input::Input::Report { .. });
        if first_is_report && self.faults.draw(&mut self.dice, Fault::Poisoned, 4) {
            // Of an orderly lift as well: then it isn't orderly any more.
            self.house.poisoned.insert(next);
        }
        self.run(|process, elapsed, wall| {
            let Process { spine, durable, .. } = process;
            spine.take(group, elapsed, wall, |now| *durable = now)
        })?;
        if let Some(policy) = self.asker.listen(&mut self.model)? {
            self.policy = policy;
        }
        if self.process.as_ref().is_some_and(|process| process.durable.withheld) {
            self.faults.count(Fault::JournalsFull);
        }
        Ok(())
    }

    fn around(&mut self) -> Option<(&mut crate::subscriber::Subscriber, Around<'_>)> {
        let process = self.process.as_mut()?;
        let around = Around {
            now: self.now,
            elapsed: process.elapsed(self.now),
            durable: process.durable,
            inputs: &process.inputs,
            broker: &mut self.broker,
            model: &mut self.model,
            faults: &mut self.faults,
            dice: &mut self.dice,
        };
        Some((&mut process.subscriber, around))
    }

    fn look_after_connection(&mut self) {
        if let Some((subscriber, mut around)) = self.around() {
            subscriber.look_after_connection(&mut around);
        }
    }

    fn receive(&mut self, most: i64) {
        self.look_after_connection();
        let Some((subscriber, mut around)) = self.around() else { return };
        for _ in 0..most {
            if !subscriber.receive(&mut around) {
                return;
            }
        }
    }

    fn acknowledge(&mut self) -> Check {
        self.around().map_or(Ok(()), |(subscriber, mut around)| subscriber.acknowledge(&mut around))
    }

    fn scribe(&mut self) -> Check {
        for _ in 0..4 {
            let Some(process) = &mut self.process else { return Ok(()) };
            let released = process.spine.outbox().next();
            if process.scribe.next_at(released) > self.now {
                return Ok(());
            }
            if let Err(error) = process.scribe.step(self.now, released, &mut self.dice, &mut self.faults) {
                // Somebody else wrote to the store: only what an earlier process had sent off may have done that.
                if !self.had_orphans {
                    return Err(format!("P4: the store's writer ended: {error}"));
                }
                self.note(format!("the writer ended: {error}"));
                self.had_orphans = false;
                self.crash(true);
            }
        }
        Ok(())
    }

    fn keep_house(&mut self) -> Check {
        let (now, wall) = (self.now, self.wall());
        let Some(process) = &mut self.process else { return Ok(()) };
        if let Some((_, file)) = process.writing.take_if(|(at, _)| *at <= now) {
            self.keep_snapshot(file);
        }
        let Some(process) = &mut self.process else { return Ok(()) };
        if now - process.housekept_at < 1_000 {
            return Ok(());
        }
        process.note_room();
        if let Some(health) = process.health(now) {
            self.run(|process, elapsed, wall| process.spine.enter(health, elapsed, wall))?;
        }
        let takes_ms = self.dice.between(0, 5_000);
        let every_ms = self.house.settings.snapshot_every_ms;
        let Some(process) = &mut self.process else { return Ok(()) };
        let kept = process.begin_snapshot(now, every_ms, takes_ms).and_then(|()| process.trim(&self.house, wall));
        match kept {
            Ok(()) => Ok(()),
            Err(SpineError::Journal(error)) => self.fail(&error),
            Err(error) => Err(format!("P8: {error}")),
        }
    }

    fn keep_snapshot(&mut self, mut file: crate::process::SnapshotFile) {
        let snapshots = &mut self.house.snapshots;
        let all_whole = snapshots.iter().all(|snapshot| !snapshot.damaged) && snapshots.len() >= 2;
        file.damaged = all_whole && self.faults.draw(&mut self.dice, Fault::SnapshotDamaged, 100);
        snapshots.push(file);
        if snapshots.len() > 3 {
            snapshots.remove(0);
        }
    }

    // --- Its end and its beginning ---

    fn crash(&mut self, whole: bool) {
        let Some(process) = self.process.take() else { return };
        self.armed = None;
        self.dead = if whole { process.state() } else { None };
        self.broker.disconnect();
        if process.writing.is_some() {
            self.faults.count(Fault::SnapshotUnfinished);
        }
        if let Some((at, batch)) = Scribe::orphan(process.scribe)
            && self.faults.draw(&mut self.dice, Fault::CommitOrphaned, 500)
        {
            self.orphans.push((at + self.dice.between(0, 3_000), batch));
            self.had_orphans = true;
        }
        let kinds = [Fault::CrashOfProcess, Fault::CrashOfMachine, Fault::TornTail, Fault::PartOfTailKept];
        let kind = *self.dice.pick(&kinds);
        let kind = if self.faults.is_enabled(kind) { kind } else { Fault::CrashOfProcess };
        self.faults.count(kind);
        self.note(format!("{kind:?}"));
        for disk in [&self.house.inbox, &self.house.outbox] {
            disk.crash(match kind {
                Fault::CrashOfMachine => Crash::Machine,
                Fault::TornTail => Crash::Torn,
                Fault::PartOfTailKept => Crash::Partly(self.dice.below(6)),
                _ => Crash::Process,
            });
        }
        let long = self.faults.draw(&mut self.dice, Fault::LongDowntime, 150);
        let down_ms = if long { self.dice.between(60_000, 400_000) } else { self.dice.between(50, 10_000) };
        self.down_until = self.now + down_ms;
        self.interruptions.push((self.now, self.down_until));
        if self.faults.draw(&mut self.dice, Fault::ClockSetWhileDown, 80) {
            self.jump_ms += *self.dice.pick(&[-7_200_000, -30_000, -6_000, 6_000, 40_000, 3_600_000, 100_000_000]);
            self.doubts.push((self.now - 60_000, self.down_until + 700_000));
        }
    }

    fn restart(&mut self) -> Check {
        self.starts += 1;
        let wall = self.wall();
        self.house.set_time(wall);
        let (inbox, outbox) = (self.house.inbox.open(), self.house.outbox.open());
        let (end, outbox_next) = ((inbox.next(), inbox.hash()), outbox.next());
        self.note(format!("start at inbox {} outbox {outbox_next}", end.0));
        drop((inbox, outbox));
        self.house.poisoned.forget_from(end.0);
        self.model.survive(end, outbox_next)?;
        self.judged_to = self.judged_to.min(end.0 as usize);
        self.house.outbox.mute(self.faults.has(Canary::ReplayAddsNothing));
        let (spine, readers) = self.house.recover().map_err(|error| format!("P7: {error}"))?;
        self.house.outbox.mute(false);
        if let Some((pos, bytes)) = self.dead.take()
            && pos == spine.core().next()
            && (!spine.core().is_settled() || spine.core().freeze().encode() != bytes)
        {
            return Err(format!("P7: after the restart at position {pos} the state is not what it was"));
        }
        let nonce = self.starts;
        match self.house.begin(spine, readers, &self.policy, self.now, wall, nonce) {
            Began::Up(process) => self.process = Some(*process),
            Began::Died(error) => return Err(format!("P7: {error}")),
        }
        self.observe()
    }

    /// As a service manager ends it: synced, with a last snapshot.
    fn stop(&mut self) -> Check {
        self.acknowledge()?;
        self.run(|process, _, _| process.spine.sync().map(|()| Released::default()))?;
        let Some(process) = &mut self.process else { return Ok(()) };
        match process.spine.freeze() {
            Ok(Some(image)) => {
                let (pos, content) = (image.inbox.position, image.encode().into());
                self.keep_snapshot(crate::process::SnapshotFile { pos, content, damaged: false });
            }
            Ok(None) => {}
            Err(SpineError::Journal(error)) => return self.fail(&error),
            Err(error) => return Err(format!("P8: {error}")),
        }
        self.crash(true);
        Ok(())
    }

    // --- Others ---

    fn watch(&mut self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let watcher = self.dice.below(self.watchers.len() as u64) as usize;
        let read = self.watchers[watcher].read(process, &self.model, self.now, &mut self.dice, &mut self.faults);
        // What is neither in the outbox nor to be had from the store has to wait.
        read.or_else(|error| if self.store_away_until > 0 { Ok(()) } else { Err(format!("P3: {error}")) })
    }

    fn ask(&mut self) -> Check {
        let today = self.today();
        let Some(process) = &self.process else { return Ok(()) };
        let elapsed = process.elapsed(self.now);
        let (model, lifts) = (&self.model, &self.lifts);
        self.asker.ask(&process.inputs, elapsed, model, lifts, today, &mut self.dice, &mut self.faults);
        Ok(())
    }

    /// The civil day where the policy's zone is, eight hours ahead of UTC.
    pub(crate) fn today(&self) -> CivilDay {
        CivilDay(((self.wall().0 + 8 * 3_600_000).div_euclid(86_400_000)) as i32)
    }

    fn people(&mut self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        if self.faults.draw(&mut self.dice, Fault::PolicyReload, 40) {
            let policy = self.policies.any(&mut self.dice);
            self.asker.reload(&process.inputs, true, policy);
        } else if self.faults.draw(&mut self.dice, Fault::PolicyRefused, 40) {
            self.asker.reload(&process.inputs, false, self.policies.bad());
        } else if self.faults.draw(&mut self.dice, Fault::CleanStop, 20) {
            self.note("clean stop".to_owned());
            return self.stop();
        }
        Ok(())
    }

    fn misfortune(&mut self) -> Check {
        if self.store_away_until == 0 && self.faults.draw(&mut self.dice, Fault::StoreAway, 60) {
            self.store_away_until = self.now + self.dice.between(1_000, 400_000);
            self.house.database.weather(|weather| weather.away = true);
        }
        if self.faults.draw(&mut self.dice, Fault::ClockForward, 20) {
            self.set_clock(&[1_000, 10_000, 120_000, 3_600_000, 90_000_000]);
        }
        if self.faults.draw(&mut self.dice, Fault::ClockBackward, 20) {
            self.set_clock(&[-1_000, -10_000, -120_000, -3_600_000, -90_000_000]);
        }
        if self.process.is_none() {
            return Ok(());
        }
        if self.faults.draw(&mut self.dice, Fault::Disconnect, 120) {
            let longest_ms = if self.dice.chance(200) { 300_000 } else { 8_000 };
            let back_at = self.now + self.dice.between(200, longest_ms);
            self.note("disconnect".to_owned());
            if let Some((subscriber, around)) = self.around() {
                subscriber.disconnect(around.broker, back_at);
            }
        }
        if self.armed.is_none() && self.dice.chance(40) {
            let failure = if self.dice.chance(500) { Failure::Undone } else { Failure::Done };
            let needed = [(Failure::Undone, Fault::WriteFailed), (Failure::Done, Fault::SyncedAndDied)];
            if needed.iter().any(|(which, fault)| *which == failure && self.faults.is_enabled(*fault)) {
                let disk = if self.dice.chance(600) { &self.house.inbox } else { &self.house.outbox };
                disk.arm(self.dice.below(8) as u32, failure);
                self.armed = Some(failure);
            }
        }
        if self.dice.chance(35) && !self.faults.over {
            self.crash(true);
        }
        Ok(())
    }

    fn set_clock(&mut self, by_ms: &[i64]) {
        let by_ms = *self.dice.pick(by_ms);
        self.note(format!("our clock is set by {by_ms} ms"));
        self.jump_ms += by_ms;
        if self.process.is_none() {
            self.doubts.push((self.now - 400_000, self.now + 700_000));
        }
    }

    // --- The end ---

    /// Nothing more goes wrong: everything must come right, and be told.
    pub(crate) fn settle(&mut self) -> Check {
        self.note("nothing more goes wrong".to_owned());
        self.faults.over = true;
        self.house
            .database
            .weather(|weather| (weather.away, weather.fail, weather.lose_answer) = (false, false, false));
        self.store_away_until = 0;
        for round in 0..600 {
            // Long enough for every story to end.
            if round == 220 {
                self.lifts.iter_mut().for_each(|lift| lift.next_at = i64::MAX);
            }
            self.advance((1_000, 1_000))?;
            for watcher in 0..self.watchers.len() {
                let Some(process) = &self.process else { continue };
                self.watchers[watcher].read(process, &self.model, self.now, &mut self.dice, &mut self.faults)?;
            }
            if round > 300 && self.is_at_rest() {
                return Ok(());
            }
        }
        Err(format!("P4: it doesn't come to rest: {}", self.unrest()))
    }

    fn is_at_rest(&self) -> bool {
        let Some(process) = &self.process else { return false };
        self.transit.is_empty()
            && self.broker.is_idle_but_for_markers()
            && process.scribe.stored_to() == process.spine.outbox().next()
            && !self.watchers.iter().any(|watcher| watcher.is_behind(&self.model))
    }

    fn unrest(&self) -> String {
        let Some(process) = &self.process else { return "it is down".to_owned() };
        format!(
            "{} on their way, broker idle: {}, stored to {} of {}, connected: {}, withheld: {}",
            self.transit.len(),
            self.broker.is_idle_but_for_markers(),
            process.scribe.stored_to(),
            process.spine.outbox().next(),
            process.subscriber.is_connected(),
            process.durable.withheld
        )
    }

    pub(crate) fn redelivered(&self) -> u64 {
        self.broker.redelivered
    }
}

fn natures(dice: &mut Dice) -> Vec<Nature> {
    let mut natures = vec![Nature::Orderly; dice.between(1, 3) as usize];
    natures.extend(vec![Nature::Wild; dice.between(1, 3) as usize]);
    natures.push(Nature::Chaotic);
    natures
}
