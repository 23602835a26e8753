//! What the benchmarks send: lifts that carry people from floor to floor. Every frame changes something, holds begin and
//! end, and nobody is trapped.
#![allow(dead_code, unreachable_pub, reason = "benchmarks and a test use it, each a part of it")]

use bytes::Bytes;
use prost::Message as _;
use vigil::model::archive::{Cylinder, Entry, Equipment, Lift};
use vigil::model::ids::DeviceCode;
use vigil::model::record::PolicyText;
use vigil::model::time::{CivilDay, Wall};
use vigil::proto::v1;

/// When simulated time begins.
pub const BEGAN: Wall = Wall(1_795_305_600_000);

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
    topics: Vec<Box<str>>,
    /// Frames that each of them has sent.
    sent: Vec<u64>,
    next: usize,
    stride: usize,
}

/// Lifts don't speak in the order in which they stand in memory, which a processor would foresee: each next one is so far
/// from the one before. A prime, so that all of them have their turn.
const STRIDE: usize = 7_919;

impl Lifts {
    pub fn new(lifts: u32) -> Self {
        let topic = |n| format!("vigil/v1/elevator/{}/report", device(n)).into();
        let stride = if (lifts as usize).is_multiple_of(STRIDE) { 1 } else { STRIDE };
        Self { topics: (0..lifts).map(topic).collect(), sent: vec![0; lifts as usize], next: 0, stride }
    }

    /// The next lift's report of so many frames, as of now: its topic and payload.
    pub fn report(&mut self, frames: u64, now: Wall) -> (&str, Bytes) {
        let n = self.next;
        self.next = (n + self.stride) % self.topics.len();
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

pub fn device(n: u32) -> DeviceCode {
    DeviceCode::parse(&format!("3130500112201{n:07}")).expect("it has 20 digits")
}

pub fn lift(n: u32) -> Entry {
    Entry::Lift(Lift {
        code: device(n),
        equipment: Equipment::Lift,
        address: Some(format!("Building {}, {} Example Road, Jinfeng District", n % 40, n / 40).into()),
        district: Some("640106".parse().expect("it has 6 digits")),
        rescue_code: Some(format!("{n:06}").into()),
        building: None,
        feeder: None,
        firm: Some(format!("firm-{}", n % 300).parse().expect("it is a firm's id")),
        use_unit: Some("An example property company".into()),
        // Long, so that those that have spoken don't count as offline while others do.
        keep_alive_s: Some(3_600),
        inspection_due: Some(CivilDay(21_000)),
    })
}

pub fn cylinder(n: u32) -> Entry {
    Entry::Cylinder(Cylinder {
        code: format!("164001{n:06}").parse().expect("it has 12 digits"),
        filling_unit: Some(format!("6401-{}", n % 20).parse().expect("it is a site's code")),
        medium: Some("lpg".into()),
        made_on: Some(CivilDay(18_000)),
        inspection_due: Some(CivilDay(21_000)),
        scrapped: false,
        district: Some("640106".parse().expect("it has 6 digits")),
    })
}

/// The shipped rules.
pub fn policy() -> PolicyText {
    let rules = ["cylinder.toml", "elevator.toml", "inspection.toml"].map(|name| {
        let text = std::fs::read_to_string(format!("{}/config/rules/{name}", env!("CARGO_MANIFEST_DIR")));
        (name.into(), text.expect("the shipped rules").into())
    });
    PolicyText {
        rules: rules.to_vec(),
        zone: "Asia/Shanghai".into(),
        tzdb: "bench".into(),
        topic_prefix: "vigil/v1".into(),
    }
}
