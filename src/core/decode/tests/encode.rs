//! Frames and scans as devices send them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::model::frame::{Car, Direction, Door, Ended, Frame, Mode, Reported};
use crate::model::scan::Scan;
use crate::model::time::Wall;
use crate::proto::v1;

/// Of what was reported; an enum that isn't known has its own number.
fn number<T: Copy>(reported: Reported<T>, number: fn(T) -> i32, unknown: i32) -> i32 {
    match reported {
        Reported::Absent => 0,
        Reported::Unknown => unknown,
        Reported::Known(value) => number(value),
    }
}

fn ended(ended: &Ended) -> String {
    match ended {
        Ended::Code(code) => format!("{code:02}"),
        Ended::Condition(name) => name.to_string(),
    }
}

pub(super) fn frame(frame: &Frame) -> v1::ElevatorFrame {
    v1::ElevatorFrame {
        boot: frame.key.boot,
        seq: frame.key.seq,
        observed_at_ms: frame.claimed_at.map_or(0, Wall::ms),
        mode: number(frame.mode, Mode::number, 8),
        car: number(frame.car, Car::number, 0),
        direction: number(frame.direction, Direction::number, 0),
        door_zone: frame.door_zone.known().copied(),
        door: number(frame.door, Door::number, 1),
        passenger: frame.passenger.known().copied(),
        floor: frame.floor.known().copied(),
        floor_label: frame.floor_label.known().map(ToString::to_string).unwrap_or_default(),
        load_kg: frame.load_kg.known().copied(),
        speed_mm_s: frame.speed_mm_s.known().copied(),
        runs: frame.runs.known().copied(),
        run_hours: frame.run_hours.known().copied(),
        faults: frame.faults.items.clone(),
        events: frame.events.items.clone(),
        alarms: frame.alarms.items.clone(),
        conditions: frame.conditions.items.iter().map(ToString::to_string).collect(),
        extras: frame.extras.iter().map(|(name, n)| (name.to_string(), *n)).collect::<BTreeMap<_, _>>(),
        cleared: frame.cleared.iter().map(ended).collect(),
    }
}

fn name<T: Copy>(reported: Reported<T>, name: fn(T) -> &'static str) -> Json {
    match reported {
        Reported::Absent => Json::Null,
        Reported::Unknown => json!("unknown"),
        Reported::Known(value) => json!(name(value)),
    }
}

pub(super) fn frame_json(frame: &Frame) -> Json {
    json!({
        "boot": frame.key.boot,
        "seq": frame.key.seq,
        "observed_at": frame.claimed_at.map(|at| at.to_string()),
        "mode": name(frame.mode, Mode::name),
        "car": name(frame.car, Car::name),
        "direction": name(frame.direction, Direction::name),
        "door_zone": frame.door_zone.known(),
        "door": name(frame.door, Door::name),
        "passenger": frame.passenger.known(),
        "floor": frame.floor.known(),
        "floor_label": frame.floor_label.known().map(|label| label.as_ref()),
        "load_kg": frame.load_kg.known(),
        "speed_mm_s": frame.speed_mm_s.known(),
        "runs": frame.runs.known(),
        "run_hours": frame.run_hours.known(),
        "faults": frame.faults.items,
        "events": frame.events.items.iter().map(|code| format!("{code:02}")).collect::<Vec<_>>(),
        "alarms": frame.alarms.items,
        "conditions": frame.conditions.items.iter().map(|name| name.as_ref()).collect::<Vec<_>>(),
        "extras": frame.extras.iter().map(|(name, n)| (name.as_ref(), *n)).collect::<BTreeMap<_, _>>(),
        "cleared": frame.cleared.iter().map(ended).collect::<Vec<_>>(),
    })
}

pub(super) fn scan(scan: &Scan) -> v1::CylinderScan {
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    v1::CylinderScan {
        boot: scan.key.boot,
        seq: scan.key.seq,
        observed_at_ms: scan.claimed_at.map_or(0, Wall::ms),
        scanner: scan.scanner.to_string(),
        cylinder: scan.cylinder.to_string(),
        event: scan.event.number(),
        operator: text(&scan.operator),
        counterparty: text(&scan.counterparty),
        medium: text(&scan.medium),
        tare_g: scan.tare_g,
        gross_g: scan.gross_g,
        net_g: scan.net_g,
        pressure_kpa: scan.pressure_kpa,
        passed: scan.passed,
        findings: scan.findings.iter().map(ToString::to_string).collect(),
        latitude_e7: scan.latitude_e7,
        longitude_e7: scan.longitude_e7,
        request: text(&scan.request),
        valid_until_ms: scan.valid_until.map(Wall::ms),
    }
}

pub(super) fn scan_json(scan: &Scan) -> Json {
    json!({
        "boot": scan.key.boot,
        "seq": scan.key.seq,
        "observed_at_ms": scan.claimed_at.map(Wall::ms),
        "scanner": scan.scanner.as_ref(),
        "cylinder": scan.cylinder.as_str(),
        "event": scan.event.name(),
        "operator": scan.operator.as_deref(),
        "counterparty": scan.counterparty.as_deref(),
        "medium": scan.medium.as_deref(),
        "tare_g": scan.tare_g,
        "gross_g": scan.gross_g,
        "net_g": scan.net_g,
        "pressure_kpa": scan.pressure_kpa,
        "passed": scan.passed,
        "findings": scan.findings.iter().map(|text| text.as_ref()).collect::<Vec<_>>(),
        "latitude_e7": scan.latitude_e7,
        "longitude_e7": scan.longitude_e7,
        "request": scan.request.as_deref(),
        "valid_until": scan.valid_until.map(|at| at.to_string()),
    })
}
