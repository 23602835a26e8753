//! Those around the service, and what befalls it.

use vigil::model::actor::Actor;
use vigil::model::record::Action;
use vigil::model::time::CivilDay;

use crate::cylinders::day;
use crate::disk::{Failure, When};
use crate::faults::Fault;
use crate::lifts::Lift;
use crate::listeners::Surroundings;
use crate::papers;
use crate::world::{Check, World};

impl World {
    pub(crate) fn watch(&mut self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        if self.dice.chance(500) {
            let listener = self.dice.below(self.listeners.len() as u64) as usize;
            return self.listen(listener);
        }
        let watcher = self.dice.below(self.watchers.len() as u64) as usize;
        let read = self.watchers[watcher].read(process, &self.model, self.now, &mut self.dice, &mut self.faults);
        // What is neither in the outbox nor to be had from the store has to wait.
        read.or_else(|error| if self.store_away_until > 0 { Ok(()) } else { Err(format!("P3: {error}")) })
    }

    pub(crate) fn listen(&mut self, listener: usize) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let store_away = self.store_away_until > 0;
        let around = Surroundings { process, model: &self.model, start: self.starts, store_away };
        self.listeners[listener].read(&around, &mut self.dice, &mut self.faults)
    }

    pub(crate) fn ask(&mut self) -> Check {
        let today = self.today();
        let Some(process) = &self.process else { return Ok(()) };
        let now = (process.elapsed(self.now), today);
        let (model, lifts) = (&self.model, &self.lifts);
        self.asker.ask(&process.inputs, now, model, lifts, &mut self.dice, &mut self.faults);
        if self.dice.chance(700) {
            self.write();
        }
        Ok(())
    }

    /// Somebody who keeps the archive, visits lifts or inspects them.
    fn write(&mut self) {
        let (wall, today) = (self.wall(), self.today());
        let Some(process) = &self.process else { return };
        let codes: Vec<_> = self.lifts.iter().map(Lift::device).collect();
        if self.faults.is_enabled(Fault::TerminalReplacedByHand) && self.dice.chance(120) {
            let ix = self.dice.below(codes.len() as u64) as usize;
            let (elapsed, quiet) = (process.elapsed(self.now), self.is_quiet(ix));
            if quiet && self.lifts[ix].may_be_replaced() {
                let action = Action::ReplaceTerminal { device: codes[ix], terminal: Some("T-9".into()) };
                if self.asker.send(&process.inputs, elapsed, Actor::local_admin(), action) {
                    self.lifts[ix].replace();
                }
            }
            return;
        }
        let (elapsed, dice) = (process.elapsed(self.now), &mut self.dice);
        if self.faults.is_enabled(Fault::RescueAdvanced) && dice.chance(400) {
            let (actor, action) = papers::rescue(&codes, &self.model.incidents, dice);
            self.asker.send(&process.inputs, elapsed, actor, action);
            return;
        }
        let written = self.asker.compose(&codes, wall, today, dice, &self.faults);
        if let Some((actor, action)) = written {
            self.asker.send(&process.inputs, elapsed, actor, action);
        }
    }

    pub(crate) fn today(&self) -> CivilDay {
        day(self.wall())
    }

    pub(crate) fn people(&mut self) -> Check {
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

    pub(crate) fn misfortune(&mut self) -> Check {
        if self.store_away_until == 0 && self.faults.draw(&mut self.dice, Fault::StoreAway, 60) {
            self.store_away_until = self.now + self.dice.between(1_000, 1_500_000);
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
            self.arm();
        }
        if self.dice.chance(35) && !self.faults.over {
            self.crash(true);
        }
        Ok(())
    }

    fn arm(&mut self) {
        let disk = if self.dice.chance(600) { &self.house.inbox } else { &self.house.outbox };
        let on_files = disk.dir().is_some();
        let (fault, failure) = match self.dice.below(4) {
            0 | 1 => (Fault::SyncedAndDied, Failure::Done),
            2 if on_files => (Fault::WrittenPartly, Failure::Partly(self.dice.below(1_000) as u16)),
            _ => (Fault::WriteFailed, Failure::Undone),
        };
        let mut of_files =
            [(Fault::SegmentLost, When::SegmentBegins), (Fault::RemovalUndone, When::SegmentsGo)].into_iter();
        let of_files = of_files.find(|(fault, _)| on_files && self.faults.is_enabled(*fault) && self.dice.chance(200));
        if let Some((_, when)) = of_files {
            disk.arm(when, Failure::Done);
            self.armed = Some(Failure::Done);
        } else if self.faults.is_enabled(fault) {
            disk.arm(When::In(self.dice.below(8) as u32), failure);
            self.armed = Some(failure);
        }
    }

    pub(crate) fn set_clock(&mut self, by_ms: &[i64]) {
        let by_ms = *self.dice.pick(by_ms);
        self.note(format!("our clock is set by {by_ms} ms"));
        self.jump_ms += by_ms;
    }
}
