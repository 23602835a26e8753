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

mod activity;
mod archive;
mod dice;
mod lift;
mod script;
mod station;
mod terminal;
mod wire;

#[cfg(test)]
mod tests;

pub use publisher::publish;
pub use score::Score;
pub use truth::{Incident, IncidentKind, TOLERANCE_MS};

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

/// How much happens. Pairs are the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// From the end of one trip to the next.
    pub idle_ms: (i64, i64),
    /// The longest time between two frames of a lift, 1 to 86,400 s; the archive says the same.
    pub keep_alive_s: u32,
    /// How often each lift traps somebody. The lifts' turns are spread evenly over this time.
    pub entrapment_every_ms: i64,
    /// The first lift traps its passenger within 10 s.
    pub first_at_once: bool,
    /// From the time at which the alert should have opened to the opening of the door.
    pub rescue_ms: (i64, i64),
    /// How often each lift does something odd; at least 6 min, or counts of repeated faults fill.
    pub oddity_every_ms: i64,
    /// How often each station begins to fill a cylinder.
    pub fill_every_ms: i64,
}

impl Pace {
    /// Much to see: with 200 lifts one entrapment every 20 to 50 s, freed within a minute or two.
    pub const DEMO: Self = Self {
        idle_ms: (20_000, 90_000),
        keep_alive_s: 20,
        entrapment_every_ms: 6_000_000,
        first_at_once: true,
        rescue_ms: (20_000, 60_000),
        oddity_every_ms: 1_200_000,
        fill_every_ms: 20_000,
    };

    /// As in a province: 0.55 % of the lifts a month trap somebody, for about 18 minutes.
    pub const REALISTIC: Self = Self {
        idle_ms: (60_000, 1_200_000),
        keep_alive_s: 60,
        entrapment_every_ms: 30 * 86_400_000 / 55 * 10_000,
        first_at_once: false,
        rescue_ms: (600_000, 1_500_000),
        oddity_every_ms: 21_600_000,
        fill_every_ms: 60_000,
    };

    fn keep_alive_ms(&self) -> i64 {
        i64::from(self.keep_alive_s) * 1_000
    }

    /// Makes it one that a fleet can live by: nothing takes no time or less.
    fn sound(self) -> Self {
        const CENTURY_MS: i64 = 100 * 365 * 86_400_000;
        let at_least = |least: i64, span_ms: i64| span_ms.clamp(least, CENTURY_MS);
        let pair = |least: i64, (from, to): (i64, i64)| (at_least(least, from), at_least(least, to));
        Self {
            idle_ms: pair(1, self.idle_ms),
            keep_alive_s: self.keep_alive_s.clamp(1, 86_400),
            entrapment_every_ms: at_least(60_000, self.entrapment_every_ms),
            first_at_once: self.first_at_once,
            // A rescue in a hurry would come before the time by which the alert is due.
            rescue_ms: pair(TOLERANCE_MS, self.rescue_ms),
            oddity_every_ms: at_least(360_000, self.oddity_every_ms),
            fill_every_ms: at_least(1, self.fill_every_ms),
        }
    }
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
    truth: Vec<Incident>,
}

impl Fleet {
    pub fn new(options: &FleetOptions) -> Self {
        let mut options = options.clone();
        options.lifts = options.lifts.min(limits::SIMULATED_LIFTS);
        options.cylinders = options.cylinders.min(limits::SIMULATED_CYLINDERS);
        options.stations = options.stations.clamp(u32::from(options.cylinders > 0), limits::SIMULATED_STATIONS);
        options.pace = options.pace.sound();
        let lifts: Vec<_> = (0..options.lifts).map(|n| lift::Lift::new(&options, n, archive::lift_code(n))).collect();
        let stations: Vec<_> = (0..options.stations).map(|n| station::Station::new(&options, n)).collect();
        let mut agenda = BinaryHeap::with_capacity(lifts.len() + stations.len());
        agenda.extend((0..).zip(&lifts).map(|(n, lift)| Reverse((lift.next_at(), Actor::Lift(n)))));
        agenda.extend((0..).zip(&stations).map(|(n, station)| Reverse((station.next_at(), Actor::Station(n)))));
        Self { now: options.began, options, lifts, stations, agenda, truth: Vec::new() }
    }

    /// What happens up to and including `now`, in order. The caller bounds it by how far apart its calls are.
    pub fn advance(&mut self, now: Wall) -> Vec<Message> {
        let mut out = Vec::new();
        while let Some(mut next) = self.agenda.peek_mut() {
            let Reverse((at, actor)) = *next;
            if at > now {
                break;
            }
            let next_at = match actor {
                Actor::Lift(n) => {
                    let lift = &mut self.lifts[n as usize];
                    lift.act(at, &mut out, &mut self.truth);
                    lift.next_at()
                }
                Actor::Station(n) => {
                    let station = &mut self.stations[n as usize];
                    station.act(at, &mut out, &mut self.truth);
                    station.next_at()
                }
            };
            *next = Reverse((next_at, actor));
        }
        self.now = self.now.max(now);
        out
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
        archive::entries(&self.options)
    }

    /// All incidents so far, in the order in which they began. An incident keeps its place; only its end is added.
    pub fn truth(&self) -> &[Incident] {
        &self.truth
    }
}
