//! What decoding costs: `cargo bench --bench decode`.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use prost::Message as _;
use vigil::core::decode::{Decoded, decode};
use vigil::proto::v1;

const REPORT: &str = "vigil/v1/elevator/31305001122014017242/report";
const SCAN: &str = "vigil/v1/cylinder/6401-A/scan";
const ROUNDS: u32 = 7;

fn main() {
    let one = frame(1);
    let ten = (1..=10).map(frame).collect::<Vec<_>>();
    let json_frame = r#"{"boot":3,"seq":1000,"observed_at_ms":1795305600000,"mode":"normal","car":"stopped","door_zone":true,"door":"closed","passenger":true,"floor":12,"load_kg":75}"#;
    let json_time = r#"{"boot":3,"seq":1000,"observed_at":"2026-11-22T08:00:00.250+08:00","mode":"normal","car":"stopped","door":"closed","passenger":true,"faults":["03"]}"#;
    let json_ten = format!(r#"{{"frames":[{}]}}"#, [json_frame; 10].join(","));
    measure("protobuf, 1 frame", REPORT, 1, report(vec![one]));
    measure("protobuf, 10 frames", REPORT, 10, report(ten));
    measure("JSON, 1 bare frame", REPORT, 1, json_frame);
    measure("JSON, 1 bare frame with RFC 3339", REPORT, 1, json_time);
    measure("JSON, 10 frames", REPORT, 10, json_ten);
    measure("protobuf, 1 scan", SCAN, 1, v1::ScanReport { scans: vec![scan()], site: String::new() }.encode_to_vec());
    let worst = format!(r#"{{"seq":1,"faults":[{}1]}}"#, "0,".repeat(130_000));
    measure("JSON, 260 kB of one list", REPORT, 1, worst);
}

fn measure(what: &str, topic: &str, items: usize, payload: impl Into<Bytes>) {
    let payload = payload.into();
    match decode("vigil/v1", topic, &payload) {
        Decoded::Frames { items: found, .. } => assert_eq!(found.good.len(), items),
        Decoded::Scans { items: found, .. } => assert_eq!(found.good.len(), items),
        other => panic!("{what}: {other:?}"),
    }
    let calls = (40_000_000 / (payload.len() + 500)).max(10);
    // The least of several rounds: what disturbs a round only ever adds to it.
    let least = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..calls {
                black_box(decode("vigil/v1", topic, black_box(&payload)));
            }
            start.elapsed().as_nanos() / calls as u128
        })
        .min();
    println!("{what:34} {:>7} B {:>9} ns", payload.len(), least.unwrap_or_default());
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
