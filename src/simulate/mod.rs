//! A seeded fleet of lifts and filling stations whose truth is known, and what holds alerts against that truth.
//!
//! **Invariant:** a [`Fleet`] is pure. It reads no clock and does no I/O: the same options and the same calls give
//! the same bytes. Each device has its own stream of random numbers, so that one lift more changes no other.
//! Only [`publisher`] touches the world.
//!
//! Lifts carry people, and do odd things that are no incidents: somebody telephones in a closed car, a worker stands
//! between floors in inspection mode, a door needs two tries, a sensor flickers. None of that may raise a trapped alert.
//! Some terminals have wrong clocks, send late, twice or out of order, fall silent, or restart. And now and then a
//! passenger is trapped, in one of the ways of [`IncidentKind`], until somebody opens the door.
//!
//! A [lifelike](Equip::lifelike) fleet also has what no rule can tell from an entrapment, and terminals that are cut off for
//! hours: its near misses say which alerts each of them may raise.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::Bytes;

use crate::limits;
use crate::model::archive::Entry;
use crate::model::time::Wall;

pub mod publisher;
pub mod score;
mod truth;
pub mod truth_file;

mod activity;
mod archive;
mod dice;
mod fault;
mod lift;
mod pace;
mod script;
mod station;
mod terminal;
mod wire;

#[cfg(test)]
mod tests;

pub use archive::{entries, is_of_fleet};
pub use fault::{Counts, Fault, Faults};
pub use pace::Pace;
pub use publisher::publish;
pub use score::Score;
pub use truth::{Incident, IncidentKind, NearMiss, NearMissKind, TOLERANCE_MS};

const TOPIC_PREFIX: &str = "vigil/v1";

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    pub seed: u64,
    /// At most `limits::SIMULATED_LIFTS`, `_CYLINDERS` and `_STATIONS`; what is beyond is cut.
    pub lifts: u32,
    pub cylinders: u32,
    /// Filling stations. Where there are cylinders there is at least one.
    pub stations: u32,
    pub began: Wall,
    pub pace: Pace,
}

/// How a fleet's terminals are made, and what befalls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Equip {
    pub faults: Faults,
    pub writing: Writing,
    /// How many samples of its state a lift's report has, up to `limits::SIMULATED_SAMPLES`. Those before the last repeat what
    /// stood until now: they make load, and change nothing.
    pub frames_per_report: u16,
    /// Terminals and scanners count their restarts from here on. The next run against the same service must give a higher
    /// one, or what it sends looks like repeats.
    pub first_boot: u32,
    /// Lifts and terminals also do what may raise a trapped alert for nobody, and what keeps an entrapment from being known
    /// in time or at all, as over a month they do.
    pub lifelike: bool,
}

impl Equip {
    /// Nothing goes wrong, and everything is protobuf.
    pub const PLAIN: Self =
        Self { faults: Faults::NONE, writing: Writing::Protobuf, frames_per_report: 1, first_boot: 0, lifelike: false };

    /// All that goes wrong.
    pub const LIFELIKE: Self =
        Self { faults: Faults::ALL, writing: Writing::Mixed, frames_per_report: 1, first_boot: 0, lifelike: true };

    /// All that is allowed, and most of what goes wrong.
    pub const DEMO: Self = Self {
        faults: Faults::NONE
            .with(Fault::Repeated)
            .with(Fault::Late)
            .with(Fault::Reordered)
            .with(Fault::Reboot)
            .with(Fault::Clock)
            .with(Fault::Silent),
        writing: Writing::Mixed,
        ..Self::PLAIN
    };
}

/// What reports are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    Protobuf,
    /// Half of the devices so, half in one of JSON's ways.
    Mixed,
}

/// One MQTT publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it is sent.
    pub at: Wall,
    pub topic: Arc<str>,
    pub payload: Bytes,
    pub qos: u8,
    pub retain: bool,
    /// A number of its device: messages of one device keep their order, those of two need not.
    pub lane: u32,
}

/// What a fleet leaves behind as it goes.
#[derive(Debug, Default)]
struct Tape {
    out: Vec<Message>,
    truth: Vec<Incident>,
    near_misses: Vec<NearMiss>,
    counts: Counts,
}

/// Lifts before stations, each by its number: the order of what happens at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Actor {
    Lift(u32),
    Station(u32),
}

#[derive(Debug)]
pub struct Fleet {
    options: FleetOptions,
    now: Wall,
    lifts: Vec<lift::Lift>,
    stations: Vec<station::Station>,
    /// When each acts next; one entry an actor.
    agenda: BinaryHeap<Reverse<(Wall, Actor)>>,
    tape: Tape,
}

impl Fleet {
    /// With the demo's terminals.
    pub fn new(options: &FleetOptions) -> Self {
        Self::equipped(options, Equip::DEMO)
    }

    pub fn equipped(options: &FleetOptions, equip: Equip) -> Self {
        let mut options = options.clone();
        options.lifts = options.lifts.min(limits::SIMULATED_LIFTS);
        options.cylinders = options.cylinders.min(limits::SIMULATED_CYLINDERS);
        options.stations = options.stations.clamp(u32::from(options.cylinders > 0), limits::SIMULATED_STATIONS);
        options.pace = options.pace.sound();
        let lifts: Vec<_> =
            (0..options.lifts).map(|n| lift::Lift::new(&options, equip, n, archive::lift_code(n))).collect();
        let stations: Vec<_> = (0..options.stations).map(|n| station::Station::new(&options, equip, n)).collect();
        let mut agenda = BinaryHeap::with_capacity(lifts.len() + stations.len());
        agenda.extend((0..).zip(&lifts).map(|(n, lift)| Reverse((lift.next_at(), Actor::Lift(n)))));
        agenda.extend((0..).zip(&stations).map(|(n, station)| Reverse((station.next_at(), Actor::Station(n)))));
        Self { now: options.began, options, lifts, stations, agenda, tape: Tape::default() }
    }

    /// What happens up to and including `now`, in order. The caller bounds it by how far apart its calls are.
    pub fn advance(&mut self, now: Wall) -> Vec<Message> {
        while let Some(mut next) = self.agenda.peek_mut() {
            let Reverse((at, actor)) = *next;
            if at > now {
                break;
            }
            let next_at = match actor {
                Actor::Lift(n) => {
                    let lift = &mut self.lifts[n as usize];
                    lift.act(at, &mut self.tape);
                    lift.next_at()
                }
                Actor::Station(n) => {
                    let station = &mut self.stations[n as usize];
                    station.act(at, &mut self.tape);
                    station.next_at()
                }
            };
            *next = Reverse((next_at, actor));
        }
        self.now = self.now.max(now);
        std::mem::take(&mut self.tape.out)
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Wall {
        self.agenda.peek().map_or(Wall::MAX, |Reverse((at, _))| *at)
    }

    /// How far it has been advanced: [`Fleet::truth`] is complete up to here.
    pub fn now(&self) -> Wall {
        self.now
    }

    pub fn options(&self) -> &FleetOptions {
        &self.options
    }

    /// All firms, lifts, filling stations and registered cylinders, in this order.
    pub fn archive(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = archive::entries(&self.options).collect();
        let kept = entries.iter_mut().filter_map(|entry| if let Entry::Lift(lift) = entry { Some(lift) } else { None });
        for (entry, lift) in kept.zip(&self.lifts) {
            entry.keep_alive_s = Some(lift.keep_alive_s());
        }
        entries
    }

    /// All incidents so far, in the order in which they began. An incident keeps its place; only its end is added.
    pub fn truth(&self) -> &[Incident] {
        &self.tape.truth
    }

    /// All that looked like an incident so far and was none, in the order in which it began.
    pub fn near_misses(&self) -> &[NearMiss] {
        &self.tape.near_misses
    }

    pub fn counts(&self) -> Counts {
        self.tape.counts
    }
}
