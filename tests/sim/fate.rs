//! How a process ends and begins, and how a run comes to rest.

use vigil::journal::Journal as _;
use vigil::spine::recover::RecoverError;
use vigil::spine::{Released, SpineError};

use crate::disk::Disk;
use crate::faults::{Canary, Fault};
use crate::process::{Began, SnapshotFile};
use crate::scribe::Scribe;
use crate::world::{Check, World};

/// No story of a lift goes on for longer, once no new one begins.
const STORIES_END_S: i64 = 220;
/// Longer than outages and late reports last, and than three keep-alives after that.
const SILENCE_S: i64 = 500;

impl World {
    pub(crate) fn crash(&mut self, whole: bool) {
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
        let is_unnamed = [&self.house.inbox, &self.house.outbox].iter().any(|disk| disk.is_unnamed());
        let kind = if is_unnamed { Fault::CrashOfMachine } else { *self.dice.pick(&kinds) };
        let kind = if is_unnamed || self.faults.is_enabled(kind) { kind } else { Fault::CrashOfProcess };
        self.faults.count(kind);
        self.note(format!("{kind:?}"));
        for disk in [&self.house.inbox, &self.house.outbox] {
            disk.crash(kind, &mut self.dice, &mut self.faults);
        }
        let long = self.faults.draw(&mut self.dice, Fault::LongDowntime, 150);
        let down_ms = if long { self.dice.between(60_000, 400_000) } else { self.dice.between(50, 10_000) };
        self.down_until = self.now + down_ms;
        self.interruptions.push((self.now, self.down_until));
        if self.faults.draw(&mut self.dice, Fault::ClockSetWhileDown, 80) {
            self.jump_ms += *self.dice.pick(&[-7_200_000, -30_000, -6_000, 6_000, 40_000, 3_600_000, 100_000_000]);
        }
    }

    pub(crate) fn restart(&mut self) -> Check {
        self.starts += 1;
        let wall = self.wall();
        self.house.set_time(wall);
        let open = |disk: &Disk| disk.open().map_err(|error| format!("P1: {error}"));
        let (inbox, outbox) = (open(&self.house.inbox)?, open(&self.house.outbox)?);
        let (end, outbox_next) = ((inbox.next(), inbox.hash()), outbox.next());
        self.note(format!("start at inbox {} outbox {outbox_next}", end.0));
        drop((inbox, outbox));
        self.model.survive(end, outbox_next)?;
        self.house.poisoned.survive(end.0)?;
        self.judged_to = self.judged_to.min(end.0 as usize);
        self.house.outbox.mute(self.faults.has(Canary::ReplayAddsNothing));
        let recovered = self.house.recover();
        self.house.outbox.mute(false);
        let (spine, readers) = match recovered {
            Ok(recovered) => recovered,
            Err(RecoverError::Spine(SpineError::Poisoned { pos })) => return self.fall_again(pos),
            Err(error) => return Err(format!("P7: {error}")),
        };
        if let Some((pos, bytes)) = self.dead.take()
            && pos == spine.core().next()
            && (!spine.core().is_settled() || spine.core().freeze().encode() != bytes)
        {
            return Err(format!("P7: after the restart at position {pos} the state is not what it was"));
        }
        // Downtime is as long as the wall clock says: where that is wrong, elapsed time has leapt or lost some, and with it
        // what was known of the devices' clocks.
        let skew_ms = spine.resumes_at(wall).0 - self.now;
        if self.starts > 1 && skew_ms != self.skew_ms {
            self.leaps.push(self.now);
        }
        self.skew_ms = skew_ms;
        let nonce = self.starts;
        match self.house.begin(spine, readers, &self.policy, self.now, wall, nonce) {
            Began::Up(process) => self.process = Some(*process),
            Began::Died(error) => return Err(format!("P7: {error}")),
        }
        self.observe()
    }

    /// A record that nobody had judged yet has made the core fail while it was replayed: the next start goes on behind it.
    fn fall_again(&mut self, pos: u64) -> Check {
        self.check_fallen(pos)?;
        self.faults.count(Fault::ReplayPanics);
        for disk in [&self.house.inbox, &self.house.outbox] {
            disk.crash(Fault::CrashOfProcess, &mut self.dice, &mut self.faults);
        }
        self.down_until = self.now + self.dice.between(50, 1_000);
        self.interruptions.push((self.now, self.down_until));
        Ok(())
    }

    /// As a service manager ends it: synced, with a last snapshot.
    pub(crate) fn stop(&mut self) -> Check {
        self.acknowledge()?;
        self.run(|process, _, _| process.spine.sync().map(|()| Released::default()))?;
        let Some(process) = &mut self.process else { return Ok(()) };
        match process.spine.freeze() {
            Ok(Some(image)) => {
                let (pos, content) = (image.inbox.position, image.encode().into());
                self.keep_snapshot(SnapshotFile { pos, content, damaged: false });
            }
            Ok(None) => {}
            Err(SpineError::Journal(error)) => return self.fail(&error),
            Err(error) => return Err(format!("P8: {error}")),
        }
        self.crash(true);
        Ok(())
    }

    /// Nothing more goes wrong: everything must come right, and be told.
    pub(crate) fn settle(&mut self) -> Check {
        self.note("nothing more goes wrong".to_owned());
        self.faults.over = true;
        self.house
            .database
            .weather(|weather| (weather.away, weather.fail, weather.lose_answer) = (false, false, false));
        self.store_away_until = 0;
        // Long enough for every story to end, and then for every silence to be told.
        for round in 0..900 {
            if round == STORIES_END_S {
                self.lifts.iter_mut().for_each(|lift| lift.next_at = i64::MAX);
                self.stations.iter_mut().for_each(|station| station.next_at = i64::MAX);
            }
            self.advance((1_000, 1_000))?;
            for watcher in 0..self.watchers.len() {
                let Some(process) = &self.process else { continue };
                self.watchers[watcher].read(process, &self.model, self.now, &mut self.dice, &mut self.faults)?;
            }
            (0..self.listeners.len()).try_for_each(|listener| self.listen(listener))?;
            if round > STORIES_END_S + SILENCE_S && self.is_at_rest() {
                return Ok(());
            }
        }
        Err(format!("P4: it doesn't come to rest: {}", self.unrest()))
    }

    pub(crate) fn is_at_rest(&self) -> bool {
        let Some(process) = &self.process else { return false };
        self.transit.is_empty()
            && self.broker.is_idle_but_for_markers()
            && process.scribe.stored_to() == process.spine.outbox().next()
            && !self.watchers.iter().any(|watcher| watcher.is_behind(&self.model))
            && !self.listeners.iter().any(|listener| listener.is_behind(&self.model))
    }

    pub(crate) fn unrest(&self) -> String {
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
