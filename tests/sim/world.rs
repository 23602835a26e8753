//! One run: everything there is, and what happens to it, step by step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt as _;
use vigil::model::record::PolicyText;
use vigil::model::row::Row;
use vigil::model::time::Wall;
use vigil::spine::Quotas;
use vigil::store::{Batch, Store as _};

use crate::broker::{Broker, Message};
use crate::clients::{Asker, Watcher};
use crate::cylinders::Yard;
use crate::database::Database;
use crate::dice::Dice;
use crate::disk::{Disk, Failure};
use crate::dues::Dates;
use crate::faults::{Canary, Fault, Faults};
use crate::ledger::Ledger;
use crate::lifts::{Lift, Nature, Sending};
use crate::listeners::Listener;
use crate::model::Model;
use crate::poison::Poisoned;
use crate::policies::Policies;
use crate::process::{House, Process, Settings};
use crate::rescues::Rescues;
use crate::stations::Station;
use crate::trace::Trace;

/// What is wrong, in words that begin with the promise that was broken.
pub(crate) type Check = Result<(), String>;

/// What the topics of lifts begin with.
const REPORTS: &str = "vigil/v1/elevator/";
const SEGMENT_BYTES: u64 = 4 * 1024;

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    /// Milliseconds since the run began. Nobody sets this clock.
    pub(crate) now: i64,
    /// When it began.
    pub(crate) epoch: i64,
    /// How far our wall clock is from it.
    pub(crate) jump_ms: i64,
    /// How far elapsed time is from `now`.
    pub(crate) skew_ms: i64,
    pub(crate) house: House,
    pub(crate) broker: Broker,
    pub(crate) lifts: Vec<Lift>,
    pub(crate) stations: Vec<Station>,
    /// By arrival at the broker.
    pub(crate) transit: BTreeMap<(i64, u64), Message>,
    pub(crate) sent: u64,
    pub(crate) process: Option<Process>,
    pub(crate) down_until: i64,
    pub(crate) starts: u64,
    pub(crate) orphans: Vec<(i64, Arc<Batch>)>,
    pub(crate) had_orphans: bool,
    /// The state as it died, if it can be told.
    pub(crate) dead: Option<(u64, Vec<u8>)>,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) asker: Asker,
    pub(crate) policies: Policies,
    pub(crate) policy: PolicyText,
    pub(crate) model: Model,
    pub(crate) yard: Yard,
    pub(crate) ledger: Ledger,
    pub(crate) rescues: Rescues,
    pub(crate) dates: Dates,
    pub(crate) judged_to: usize,
    pub(crate) armed: Option<Failure>,
    pub(crate) store_away_until: i64,
    /// Spans in which nobody looked at the clock.
    pub(crate) interruptions: Vec<(i64, i64)>,
    /// When elapsed time leapt, or lost some.
    pub(crate) leaps: Vec<i64>,
    pub(crate) trace: Trace,
    pub(crate) last: VecDeque<String>,
}

impl World {
    pub(crate) fn new(seed: u64, canary: Option<Canary>) -> Self {
        let mut dice = Dice::new(seed, 0);
        let faults = Faults::new(&mut dice, canary);
        let tight = faults.is_enabled(Fault::JournalsFull);
        let quota = if tight { dice.between(80_000, 180_000) as u64 } else { 1 << 40 };
        let settings = Settings {
            quotas: Quotas { inbox_bytes: quota, outbox_bytes: quota },
            inbox_retention_ms: dice.between(60_000, 1_200_000),
            event_retention_ms: dice.between(60_000, 1_200_000),
            snapshot_every_ms: dice.between(10_000, 180_000),
        };
        let database = Arc::new(Database::new());
        database.weather(|weather| {
            weather.unconditional = canary == Some(Canary::CommitWithoutCheckpoint);
            weather.drops = match canary {
                Some(Canary::ScansNotStored) => Some(|row| matches!(row, Row::Scan(_))),
                Some(Canary::DatesNotStored) => Some(|row| matches!(row, Row::Due(_))),
                _ => None,
            };
            weather.drops_incidents = canary == Some(Canary::IncidentsNotStored);
            weather.tampers = canary == Some(Canary::RecordsTampered);
        });
        // Files cost several times as much as memory, and not every promise has to do with them.
        let on_files = seed.is_multiple_of(3) || canary == Some(Canary::DurablePageLost);
        let house = House {
            inbox: Disk::new(1, SEGMENT_BYTES, on_files),
            outbox: Disk::new(2, SEGMENT_BYTES, on_files),
            poisoned: Poisoned::default(),
            database,
            snapshots: Vec::new(),
            settings,
        };
        if canary == Some(Canary::SyncIsLie) {
            house.inbox.lie();
        }
        if canary == Some(Canary::PoisonForgotten) {
            house.poisoned.forget_all();
        }
        let lifts =
            natures(&mut dice).into_iter().enumerate().map(|(ix, nature)| Lift::new(ix, nature, seed)).collect();
        let policies = Policies::new(&mut dice);
        // Around midnight in the policy's zone, so that days turn.
        let epoch = 1_790_006_400_000 + dice.between(-1_800_000, 600_000);
        Self {
            broker: Broker::new(dice.between(4, 40) as usize),
            watchers: (0..dice.between(1, 3)).map(|_| Watcher::new()).collect(),
            listeners: (0..dice.between(1, 3)).map(|_| Listener::new(&mut dice)).collect(),
            policy: policies.any(&mut dice),
            asker: Asker::default(),
            model: Model::default(),
            yard: Yard::default(),
            ledger: Ledger::new(canary == Some(Canary::CorrectedTwice)),
            rescues: Rescues::new(canary == Some(Canary::ArrivalMoves)),
            dates: Dates::default(),
            stations: Station::all(seed, &mut dice),
            transit: BTreeMap::new(),
            orphans: Vec::new(),
            interruptions: Vec::new(),
            leaps: Vec::new(),
            last: VecDeque::new(),
            trace: Trace::default(),
            process: None,
            dead: None,
            armed: None,
            had_orphans: false,
            now: 0,
            jump_ms: 0,
            skew_ms: 0,
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

    pub(crate) fn note(&mut self, what: String) {
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
    pub(crate) fn advance(&mut self, (least, most): (i64, i64)) -> Check {
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

    pub(crate) fn next_due(&self, stall: bool) -> i64 {
        let lifts = self.lifts.iter().map(|lift| lift.next_at).min().unwrap_or(i64::MAX);
        let stations = self.stations.iter().map(|station| station.next_at).min().unwrap_or(i64::MAX);
        let transit = self.transit.first_key_value().map_or(i64::MAX, |((at, _), _)| *at);
        let orphans = self.orphans.iter().map(|(at, _)| *at).min().unwrap_or(i64::MAX);
        let outside = lifts.min(stations).min(transit).min(orphans);
        let Some(process) = self.process.as_ref() else { return outside.min(self.down_until) };
        if stall {
            return outside;
        }
        let written = process.writing.as_ref().map_or(i64::MAX, |(at, _)| *at);
        // Who may not connect yet hears of it from the housekeeping.
        let waits = process.durable.withheld && !process.subscriber.is_connected();
        let subscriber = if waits { i64::MAX } else { process.subscriber.next_at() };
        let inside = process.tick_at().min(subscriber).min(process.housekept_at + 1_000).min(written);
        outside.min(inside).max(self.now + 1)
    }

    /// What happens whether or not the service runs.
    pub(crate) fn outside(&mut self) -> Check {
        for ix in 0..self.lifts.len() {
            if self.lifts[ix].next_at <= self.now {
                self.speak(ix);
            }
        }
        for ix in 0..self.stations.len() {
            if self.stations[ix].next_at <= self.now {
                let (station, mark) = (&mut self.stations[ix], self.model.scans());
                let sending = station.speak(self.now, self.epoch, mark, &mut self.faults);
                self.send(sending);
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

    pub(crate) fn speak(&mut self, ix: usize) {
        let uid = self.model.published.len() as u64;
        let quiet = self.is_quiet(ix);
        let lift = &mut self.lifts[ix];
        let sending = lift.speak(self.now, self.epoch, uid, self.model.frames(), quiet, &mut self.faults);
        self.send(sending);
    }

    /// Whether nothing of a lift is on its way.
    pub(crate) fn is_quiet(&self, ix: usize) -> bool {
        let code = &self.lifts[ix].code;
        let is_of_it =
            |message: &Message| message.topic.strip_prefix(REPORTS).is_some_and(|rest| rest.starts_with(code));
        !self.transit.values().any(is_of_it) && !self.broker.holds(is_of_it)
    }

    fn send(&mut self, sending: Sending) {
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
}

fn natures(dice: &mut Dice) -> Vec<Nature> {
    let mut natures = vec![Nature::Orderly; dice.between(1, 3) as usize];
    natures.extend(vec![Nature::Wild; dice.between(1, 3) as usize]);
    natures.push(Nature::Chaotic);
    natures
}
