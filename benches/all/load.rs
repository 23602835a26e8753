//! What the benchmarks send: lifts that carry people from floor to floor. Every frame changes something, holds begin and
//! end, and nobody is trapped.
#![allow(dead_code, unreachable_pub, reason = "benchmarks and a test use it, each a part of it")]

use bytes::Bytes;
use prost::Message as _;
use vigil::model::archive::{Contract, ContractKind, Cylinder, Entrustment, Entry, Lift, Position};
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

/// As a real archive has it, every field filled. Ten of a building stand in for a city's; nothing is due in the first days.
pub fn lift(n: u32) -> Entry {
    let building = n / 10;
    let day = |days_ago: u32| CivilDay((BEGAN.ms() / 86_400_000) as i32 - days_ago as i32);
    Entry::Lift(Lift {
        catalogue: Some("3110".parse().expect("it has 4 digits")),
        registration: Some(device(n)),
        use_registration: Some(format!("梯11宁A{n:05}(26)").into()),
        address: Some(format!("Building {}, {} Example Road, Jinfeng District", building % 40, building / 40).into()),
        district: Some("640106".parse().expect("it has 6 digits")),
        position: Some(Position { latitude_e7: 384_871_933, longitude_e7: 1_062_309_087 + n as i32 }),
        rescue_code: Some(format!("{n:06}").into()),
        building: Some(format!("640106-{building:06}").parse().expect("it is a place")),
        feeder: Some(format!("F{}", building / 30).parse().expect("it is a place")),
        firm: Some(format!("firm-{}", building % 300).parse().expect("it is a firm's id")),
        contract: Some(Contract { from: day(7), to: Some(CivilDay(21_000)), kind: ContractKind::Calendar }),
        use_unit: Some(format!("An example property company no. {}", building / 20).into()),
        officer: Some("An Officer".into()),
        officer_phone: Some(format!("139{:08}", building / 20).into()),
        // Long, so that those that have spoken don't count as offline while others do.
        keep_alive_s: Some(3_600),
        terminal: Some(format!("EX-200 {n:08}").into()),
        base_on: Some(day(200 + n % 30)),
        inspected_on: Some(day(200 + n % 30)),
        inspection_due: Some(CivilDay(21_000)),
        ..Lift::new(device(n))
    })
}

/// As a real archive has it: twenty units, each with batches of four models bought in sixty months; a stamped number and a
/// tare for each; one in twenty was labelled anew, one in fifty is entrusted.
pub fn cylinder(n: u32) -> Entry {
    let site = |n: u32| format!("6401-{n:04}").parse().expect("it is a site's code");
    let (unit, month, model) = (n % 20, n / 20 % 60, n / 1_200 % 4);
    let made_on = CivilDay(18_600 + 30 * month as i32);
    let entrusted = || Entrustment { site: site((unit + 1) % 20), from: CivilDay(20_000), to: Some(CivilDay(21_000)) };
    Entry::Cylinder(Cylinder {
        aliases: (n % 20 == 7).then(|| format!("OLD-{n:08}").parse().expect("it is a code")).into_iter().collect(),
        stamped_number: Some(format!("A{n:09}").into()),
        kind: Some("lpg-welded".into()),
        medium: Some("lpg".into()),
        standard: Some("GB/T 5842-2022".into()),
        made_on: Some(made_on),
        volume_ml: Some([12_000, 26_200, 35_500, 118_000][model as usize]),
        tare_g: Some([7_000, 13_000, 16_500, 47_000][model as usize] + n % 400),
        max_fill_g: Some([5_000, 11_000, 14_900, 49_500][model as usize]),
        filling_unit: Some(site(unit)),
        filling_unit_since: Some(CivilDay(made_on.0 + 20)),
        entrusted: (n % 50 == 3).then(entrusted).into_iter().collect(),
        inspected_on: Some(CivilDay(20_400 + n as i32 % 300)),
        inspection_due: Some(CivilDay(21_000 + n as i32 % 300)),
        district: Some("640106".parse().expect("it has 6 digits")),
        ..Cylinder::new(format!("164001{n:06}").parse().expect("it has 12 digits"))
    })
}

/// The shipped rules, with the tables of intervals.
pub fn policy() -> PolicyText {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let rules = vigil::app::policy::read_folder(&folder).expect("the shipped rules");
    PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "bench".into(), topic_prefix: "vigil/v1".into() }
}
