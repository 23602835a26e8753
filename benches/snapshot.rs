//! What a snapshot costs the core, the thread that encodes it, the disk and a restart; and what a lift costs in memory.
//!
//! `cargo bench --bench snapshot`

use std::time::{Duration, Instant};

use vigil::core::Core;
use vigil::core::lift::Lift;
use vigil::limits::COMMAND_ITEMS;
use vigil::model::actor::Actor;
use vigil::model::archive::{self, Entry, Equipment};
use vigil::model::record::{Action, Command, Kind, Link, PolicyText, Record};
use vigil::model::time::{CivilDay, Elapsed, Wall};

const LIFTS: usize = 25_000;
/// Frames of each lift, a minute apart.
const ROUNDS: usize = 3;

fn main() {
    let before = resident_bytes();
    let core = fleet();
    let in_memory = (resident_bytes() - before) / LIFTS as u64;
    let (frozen, pause) = timed(|| core.freeze());
    let (bytes, encoding) = timed(|| frozen.encode());
    let (encoded, lifts) = (bytes.len(), core.lifts().len());
    let (restored, restoring) = timed(|| Core::restore(bytes.into()));
    assert!(restored.is_ok_and(|core| core.lifts().len() == LIFTS && lifts == LIFTS));
    println!("{LIFTS} lifts, each registered, in normal service");
    println!("in memory   {in_memory} B a lift, of which {} B are the lift itself", size_of::<Lift>());
    println!("in bytes    {} B a lift", encoded / LIFTS);
    println!("freezing    {pause:?}");
    println!("encoding    {encoding:?}");
    println!("restoring   {restoring:?}");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

fn fleet() -> Core {
    let mut core = Core::new(1);
    let mut apply = |at_s: usize, kind| {
        let elapsed = Elapsed(at_s as i64 * 1_000);
        core.apply(&Record { pos: core.next(), elapsed, wall: Wall(1_795_305_600_000) + elapsed.0, kind });
    };
    apply(0, Kind::Policy(policy()));
    apply(0, Kind::Link(Link::Up));
    for first in (0..LIFTS).step_by(COMMAND_ITEMS) {
        apply(0, upsert(first));
    }
    for round in 0..ROUNDS {
        let at_s = round * 60;
        apply(at_s, Kind::Link(Link::Heard { sent: Elapsed(at_s as i64 * 1_000) }));
        for lift in 0..LIFTS {
            apply(at_s, report(lift, round, at_s));
        }
    }
    while !core.is_settled() {
        core.apply(&Record { pos: core.next(), elapsed: core.now().elapsed, wall: core.now().wall, kind: Kind::Tick });
    }
    core
}

fn policy() -> PolicyText {
    PolicyText {
        rules: vec![
            ("elevator.toml".into(), include_str!("../config/rules/elevator.toml").into()),
            ("inspection.toml".into(), include_str!("../config/rules/inspection.toml").into()),
        ],
        zone: "Asia/Shanghai".into(),
        tzdb: "bundled".into(),
        topic_prefix: "vigil/v1".into(),
    }
}

fn code(lift: usize) -> String {
    format!("3130500112201{lift:07}")
}

fn upsert(first: usize) -> Kind {
    let action = Action::Upsert((first..first + COMMAND_ITEMS).map(entry).collect());
    Kind::Command(Command { request: format!("{first}").into(), actor: Actor::local_admin(), action })
}

fn entry(lift: usize) -> Entry {
    Entry::Lift(archive::Lift {
        code: code(lift).parse().expect("it has 20 digits"),
        equipment: Equipment::Lift,
        address: Some(format!("Building {}, {} Example Road, Jinfeng District", lift % 40, lift / 40).into()),
        district: Some("640106".parse().expect("it has 6 digits")),
        rescue_code: Some(format!("{lift:06}").into()),
        firm: Some("firm-1".parse().expect("it is a firm's id")),
        use_unit: Some("An example property company".into()),
        keep_alive_s: Some(60),
        inspection_due: Some(CivilDay(21_000)),
    })
}

fn report(lift: usize, round: usize, at_s: usize) -> Kind {
    let payload = format!(
        r#"{{"boot":12,"seq":{},"observed_at_ms":{},"mode":"normal","car":"stopped","direction":"none","door_zone":true,
        "door":"closed","passenger":false,"floor":{},"load_kg":0,"speed_mm_s":0,"runs":{},"run_hours":{}}}"#,
        1_000 + round,
        1_795_305_600_000 + at_s * 1_000 - 150,
        lift % 30,
        10_000 + lift,
        5_000 + round
    );
    Kind::Report { topic: format!("vigil/v1/elevator/{}/report", code(lift)).into(), payload: payload.into() }
}

/// What this process holds of the machine's memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0) * 1_024
}
