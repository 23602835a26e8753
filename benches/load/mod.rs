//! What the benchmarks send: lifts that carry people from floor to floor. Every frame changes something, holds begin and
//! end, and nobody is trapped.
#![allow(dead_code, unreachable_pub, reason = "each benchmark uses a part of it, and is a crate of its own")]

use bytes::Bytes;
use prost::Message as _;
use vigil::model::archive::Entry;
use vigil::model::time::Wall;
use vigil::proto::v1;
use vigil::simulate::{Fleet, FleetOptions, Pace};

/// One trip: door, passenger, car, in this order of frames.
const TRIP: [(v1::Door, bool, v1::Car); 8] = [
    (v1::Door::Closed, true, v1::Car::Stopped),
    (v1::Door::Closed, true, v1::Car::Running),
    (v1::Door::Closed, true, v1::Car::Running),
    (v1::Door::Closed, true, v1::Car::Stopped),
    (v1::Door::Opening, true, v1::Car::Stopped),
    (v1::Door::Open, true, v1::Car::Stopped),
    (v1::Door::Open, false, v1::Car::Stopped),
    (v1::Door::Closing, false, v1::Car::Stopped),
];

/// A city's lifts, which take turns.
pub struct Lifts {
    archive: Vec<Entry>,
    topics: Vec<Box<str>>,
    /// Frames that each of them has sent.
    sent: Vec<u64>,
    next: usize,
}

impl Lifts {
    pub fn new(lifts: u32) -> Self {
        Self::with_cylinders(lifts, 0)
    }

    pub fn with_cylinders(lifts: u32, cylinders: u32) -> Self {
        let began = Wall(1_795_305_600_000);
        let options = FleetOptions { seed: 1, lifts, cylinders, stations: 20, began, pace: Pace::REALISTIC };
        let archive = Fleet::new(&options).archive();
        let topics: Vec<Box<str>> = archive
            .iter()
            .filter_map(|entry| match entry {
                Entry::Lift(lift) => Some(format!("vigil/v1/elevator/{}/report", lift.code).into()),
                _ => None,
            })
            .collect();
        Self { archive, sent: vec![0; topics.len()], topics, next: 0 }
    }

    pub fn archive(&self) -> &[Entry] {
        &self.archive
    }

    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// The next lift's report of so many frames, as of now: its topic and payload.
    pub fn report(&mut self, frames: u64, now: Wall) -> (&str, Bytes) {
        let n = self.next;
        self.next = (n + 1) % self.topics.len();
        let first = self.sent[n];
        self.sent[n] += frames;
        let frame = |back: u64| frame(n as u64, first + frames - 1 - back, now - back as i64);
        let report = v1::ElevatorReport { frames: (0..frames).rev().map(frame).collect(), device: String::new() };
        (&self.topics[n], report.encode_to_vec().into())
    }
}

/// The k-th frame of the n-th lift, of some 50 bytes. Lifts are at different points of their trips.
fn frame(n: u64, k: u64, at: Wall) -> v1::ElevatorFrame {
    let step = n + k;
    let (door, passenger, car) = TRIP[(step % 8) as usize];
    let running = car == v1::Car::Running;
    let floor = ((step / 8 * 7 + step % 8 / 2) % 18) as i32;
    v1::ElevatorFrame {
        boot: 3,
        seq: 1_000 + k,
        observed_at_ms: at.ms(),
        mode: v1::Mode::Normal.into(),
        car: car.into(),
        direction: if running { v1::Direction::Up } else { v1::Direction::None }.into(),
        door_zone: (!running).then_some(true),
        door: door.into(),
        passenger: Some(passenger),
        floor: Some(floor),
        floor_label: (floor + 1).to_string(),
        load_kg: Some(if passenger { 75 } else { 0 }),
        speed_mm_s: Some(if running { 1_750 } else { 0 }),
        runs: Some(123_456 + step / 8),
        run_hours: Some(9_876),
        ..Default::default()
    }
}

/// The shipped rules, by file.
pub fn rule_files() -> Vec<(Box<str>, Box<str>)> {
    ["cylinder.toml", "elevator.toml", "inspection.toml"]
        .map(|name| {
            let text = std::fs::read_to_string(format!("{}/config/rules/{name}", env!("CARGO_MANIFEST_DIR")));
            (name.into(), text.expect("the shipped rules").into())
        })
        .to_vec()
}
