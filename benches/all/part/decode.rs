//! Decoding, beside what prost and serde_json alone take for the same bytes.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use serde::Deserialize;
use vigil::core::decode::{Decoded, decode};
use vigil::proto::v1;

use crate::Bench;
use crate::measure::{cpu_of, least};
use crate::table::Table;

const REPORT: &str = "vigil/v1/elevator/31305001122014017242/report";
const SCAN: &str = "vigil/v1/cylinder/6401-A/scan";
const ROUNDS: usize = 9;

/// What a program that trusts its devices would read a frame into.
#[derive(Deserialize)]
#[allow(dead_code, reason = "reading it is what counts")]
struct PlainFrame {
    boot: u32,
    seq: u64,
    observed_at_ms: i64,
    mode: String,
    car: String,
    door_zone: Option<bool>,
    door: String,
    passenger: Option<bool>,
    floor: Option<i32>,
    load_kg: Option<u32>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "reading it is what counts")]
struct PlainReport {
    frames: Vec<PlainFrame>,
}

pub fn measure(_: &Bench, table: &mut Table) {
    let json = r#"{"boot":3,"seq":1000,"observed_at_ms":1795305600000,"mode":"normal","car":"stopped","door_zone":true,"door":"closed","passenger":true,"floor":12,"load_kg":75}"#;
    let json_ten = format!(r#"{{"frames":[{}]}}"#, [json; 10].join(","));
    let scans = v1::ScanReport { scans: vec![scan()], site: String::new() }.encode_to_vec();
    let prost = |payload: &Bytes| drop(black_box(v1::ElevatorReport::decode(payload.clone())));
    case(table, "protobuf, 1 frame", REPORT, 1, report(vec![frame(1)]), prost);
    case(table, "protobuf, 10 frames", REPORT, 10, report((1..=10).map(frame).collect()), prost);
    case(table, "protobuf, 1 scan", SCAN, 1, scans, |payload| {
        drop(black_box(v1::ScanReport::decode(payload.clone())));
    });
    case(table, "JSON, 1 frame", REPORT, 1, json, |payload| {
        drop(black_box(serde_json::from_slice::<PlainFrame>(payload)));
    });
    case(table, "JSON, 10 frames", REPORT, 10, json_ten, |payload| {
        drop(black_box(serde_json::from_slice::<PlainReport>(payload)));
    });
    let worst = format!(r#"{{"seq":1,"faults":[{}1]}}"#, "0,".repeat(130_000));
    case(table, "JSON, 260 kB of one list", REPORT, 1, worst, |payload| {
        drop(black_box(serde_json::from_slice::<serde_json::Value>(payload)));
    });
}

fn case(table: &mut Table, what: &str, topic: &str, items: usize, payload: impl Into<Bytes>, floor: impl Fn(&Bytes)) {
    let payload = payload.into();
    match decode("vigil/v1", topic, &payload) {
        Decoded::Frames { items: found, .. } => assert_eq!(found.good.len(), items),
        Decoded::Scans { items: found, .. } => assert_eq!(found.good.len(), items),
        other => panic!("{what}: {other:?}"),
    }
    let calls = u32::try_from(40_000_000 / (payload.len() + 500)).unwrap_or_default().max(10);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(repeated(calls, || drop(black_box(decode("vigil/v1", topic, black_box(&payload))))));
        bare.push(repeated(calls, || floor(black_box(&payload))));
    }
    let name = format!("{what} ({} B), CPU", payload.len());
    table.row(name, "ns", least(ours).as_secs_f64() * 1e9).floor(least(bare).as_secs_f64() * 1e9);
}

fn repeated(calls: u32, work: impl Fn()) -> Duration {
    cpu_of(|| (0..calls).for_each(|_| work())) / calls
}

fn report(frames: Vec<v1::ElevatorFrame>) -> Vec<u8> {
    v1::ElevatorReport { frames, device: String::new() }.encode_to_vec()
}

fn frame(seq: u64) -> v1::ElevatorFrame {
    v1::ElevatorFrame {
        boot: 3,
        seq: 1_000 + seq,
        observed_at_ms: 1_795_305_600_000,
        mode: v1::Mode::Normal.into(),
        car: v1::Car::Stopped.into(),
        direction: v1::Direction::None.into(),
        door_zone: Some(true),
        door: v1::Door::Closed.into(),
        passenger: Some(true),
        floor: Some(12),
        floor_label: "12A".into(),
        load_kg: Some(75),
        speed_mm_s: Some(0),
        runs: Some(123_456),
        run_hours: Some(9_876),
        faults: vec![3],
        ..Default::default()
    }
}

fn scan() -> v1::CylinderScan {
    v1::CylinderScan {
        boot: 3,
        seq: 1_000,
        observed_at_ms: 1_795_305_600_000,
        scanner: "gun-07".into(),
        cylinder: "164001000123".into(),
        event: v1::ScanEvent::FillRequested.into(),
        operator: "6401-0042".into(),
        medium: "lpg".into(),
        tare_g: Some(16_500),
        request: "6401-A-gun-07-1000".into(),
        ..Default::default()
    }
}
