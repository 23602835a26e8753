//! What the service does, one operation at a time.

use vigil::journal::JournalError;
use vigil::model::time::{Elapsed, Wall};
use vigil::spine::{Released, SpineError};

use crate::disk::Failure;
use crate::faults::{Canary, Fault};
use crate::process::{Process, SnapshotFile};
use crate::subscriber::{Around, Subscriber};
use crate::world::{Check, World};

/// Ticks in a row that bring no end are a fault.
const TICKS_MAX: u32 = 10_000;

impl World {
    /// What the service does by itself as time passes.
    pub(crate) fn inside(&mut self, live: bool) -> Check {
        self.look_after_connection();
        self.tick()?;
        self.keep_house()?;
        if live {
            self.pump()?;
            self.scribe()?;
        }
        Ok(())
    }

    pub(crate) fn tick(&mut self) -> Check {
        for _ in 0..TICKS_MAX {
            if self.faults.has(Canary::NoTicks) {
                return Ok(());
            }
            if self.process.as_ref().is_none_or(|process| process.tick_at() > self.now) {
                return Ok(());
            }
            self.run(|process, elapsed, wall| process.spine.tick(elapsed, wall))?;
        }
        Err("P12: ticks bring no end".to_owned())
    }

    /// Takes what is there, as the tasks of the service do when nothing holds them up.
    pub(crate) fn pump(&mut self) -> Check {
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

    /// One operation of the spine. It may end the process.
    pub(crate) fn run(
        &mut self,
        work: impl FnOnce(&mut Process, Elapsed, Wall) -> Result<Released, SpineError>,
    ) -> Check {
        let wall = self.wall();
        let Some(process) = &mut self.process else { return Ok(()) };
        let elapsed = process.elapsed(self.now);
        self.house.set_time(wall);
        match work(process, elapsed, wall) {
            Ok(released) => {
                process.publish(&released, wall)?;
                self.observe()
            }
            Err(SpineError::Journal(error)) => self.fail(&error),
            Err(SpineError::Poisoned { pos }) => self.fall(pos),
        }
    }

    /// A record has made the core fail, which ends the process.
    fn fall(&mut self, pos: u64) -> Check {
        self.check_fallen(pos)?;
        self.faults.count(Fault::RecordPanics);
        self.observe_rest()?;
        if self.dice.chance(500) {
            self.acknowledge()?;
        }
        self.crash(false);
        Ok(())
    }

    /// What a process that has just failed leaves in the inbox, some of it judged by nobody yet.
    fn observe_rest(&mut self) -> Check {
        let process = self.process.as_mut().expect("it has just failed");
        self.model.observe_inbox(&mut *process.inbox_reader, self.now)?;
        let (judged_to, end) = (process.spine.core().next(), self.model.inbox.len() as u64);
        if judged_to < end && self.faults.is_enabled(Fault::ReplayPanics) && self.dice.chance(600) {
            self.house.poisoned.make_deadly(judged_to + self.dice.below(end - judged_to));
        }
        Ok(())
    }

    /// P8: what makes the core fail does so because we wanted it, and once.
    pub(crate) fn check_fallen(&mut self, pos: u64) -> Check {
        let failures = self.house.poisoned.failures(pos);
        self.note(format!("the record at {pos} makes the core fail"));
        if failures == 1 {
            Ok(())
        } else {
            Err(format!("P8: the record at {pos} has made the core fail {failures} times"))
        }
    }

    /// A journal has failed, which ends the process; what was made durable before may have been acknowledged.
    pub(crate) fn fail(&mut self, error: &JournalError) -> Check {
        let Some(failure) = self.armed.take() else { return Err(format!("P1: {error}")) };
        self.note(format!("{error} ({failure:?})"));
        let fault = match error {
            _ if failure == Failure::Done => Fault::SyncedAndDied,
            _ if matches!(failure, Failure::Partly(_)) => Fault::WrittenPartly,
            JournalError::Io { doing: "sync", .. } => Fault::SyncFailed,
            _ => Fault::WriteFailed,
        };
        self.faults.count(fault);
        self.observe_rest()?;
        if self.dice.chance(500) {
            self.acknowledge()?;
        }
        self.crash(false);
        Ok(())
    }

    pub(crate) fn observe(&mut self) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        self.model.observe_inbox(&mut *process.inbox_reader, self.now)?;
        self.model.observe_outbox(&mut *process.outbox_reader)?;
        let judged_to = process.spine.core().next();
        self.model.check_judged(self.judged_to, judged_to, &self.house.poisoned)?;
        self.judged_to = judged_to as usize;
        Ok(())
    }

    pub(crate) fn take(&mut self, most: usize) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let (group, next) = (process.group(most), process.spine.inbox().next());
        if group.is_empty() {
            return Ok(());
        }
        self.note(format!("take {}", group.len()));
        if self.faults.is_enabled(Fault::RecordPanics) && self.dice.chance(5) {
            // Of an orderly lift as well: then it isn't orderly any more.
            self.house.poisoned.make_deadly(next + self.dice.below(group.len() as u64));
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

    pub(crate) fn around(&mut self) -> Option<(&mut Subscriber, Around<'_>)> {
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

    pub(crate) fn look_after_connection(&mut self) {
        if let Some((subscriber, mut around)) = self.around() {
            subscriber.look_after_connection(&mut around);
        }
    }

    pub(crate) fn receive(&mut self, most: i64) {
        self.look_after_connection();
        let Some((subscriber, mut around)) = self.around() else { return };
        for _ in 0..most {
            if !subscriber.receive(&mut around) {
                return;
            }
        }
    }

    pub(crate) fn acknowledge(&mut self) -> Check {
        self.around().map_or(Ok(()), |(subscriber, mut around)| subscriber.acknowledge(&mut around))
    }

    pub(crate) fn scribe(&mut self) -> Check {
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

    pub(crate) fn keep_house(&mut self) -> Check {
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
        let settings = self.house.settings;
        let Some(process) = &mut self.process else { return Ok(()) };
        let kept = process.begin_snapshot(now, &settings, takes_ms).and_then(|()| process.trim(&self.house, wall));
        match kept {
            Ok(()) => Ok(()),
            Err(SpineError::Journal(error)) => self.fail(&error),
            Err(error) => Err(format!("P8: {error}")),
        }
    }

    pub(crate) fn keep_snapshot(&mut self, mut file: SnapshotFile) {
        let snapshots = &mut self.house.snapshots;
        let all_whole = snapshots.iter().all(|snapshot| !snapshot.damaged) && snapshots.len() >= 2;
        file.damaged = all_whole && self.faults.draw(&mut self.dice, Fault::SnapshotDamaged, 100);
        snapshots.push(file);
        if snapshots.len() > 3 {
            snapshots.remove(0);
        }
    }
}
