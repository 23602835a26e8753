//! Stored frames, scans and what else happened.

use super::{alert_event, chain_link, device_change, text, timestamp};
use crate::model::frame::{Frame, Reported};
use crate::model::row::{FrameRow, Order, ScanRow, StatusRow, TimeSource};
use crate::proto::v1;
use crate::proto::v1::timeline_item::Item;
use crate::serve::history::Happened;

pub(in super::super) fn stored_frame(row: &FrameRow) -> v1::StoredFrame {
    v1::StoredFrame {
        generation: row.generation,
        frame: Some(frame(&row.frame)),
        received_at: Some(timestamp(row.received_at)),
        effective_at: Some(timestamp(row.effective_at)),
        time_source: time_source(row.time_source).into(),
        order: order(row.order).into(),
    }
}

fn frame(f: &Frame) -> v1::HistoryFrame {
    v1::HistoryFrame {
        boot: f.key.boot,
        seq: f.key.seq,
        claimed_at: f.claimed_at.map(timestamp),
        mode: f.mode.known().map_or(0, |v| v.number()),
        car: f.car.known().map_or(0, |v| v.number()),
        direction: f.direction.known().map_or(0, |v| v.number()),
        door_zone: f.door_zone.known().copied(),
        door: f.door.known().map_or(0, |v| v.number()),
        passenger: f.passenger.known().copied(),
        floor: f.floor.known().copied(),
        floor_label: f.floor_label.known().map(|label| label.to_string()),
        load_kg: f.load_kg.known().copied(),
        speed_mm_s: f.speed_mm_s.known().copied(),
        runs: f.runs.known().copied(),
        run_hours: f.run_hours.known().copied(),
        faults: f.faults.items.clone(),
        events: f.events.items.clone(),
        alarms: f.alarms.items.clone(),
        conditions: strings(&f.conditions.items),
        extras: f.extras.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
        cleared: f.cleared.iter().map(|ended| ended.text().into_owned()).collect(),
        has_status: f.has_status,
        unknown: unknown(f),
        invalid: strings(&f.invalid),
        partial: partial(f),
    }
}

fn partial(f: &Frame) -> Vec<String> {
    let lists = [
        ("faults", f.faults.partial),
        ("events", f.events.partial),
        ("alarms", f.alarms.partial),
        ("conditions", f.conditions.partial),
    ];
    lists.into_iter().filter(|(_, partial)| *partial).map(|(name, _)| name.to_owned()).collect()
}

fn unknown(f: &Frame) -> Vec<String> {
    fn is<T>(field: &Reported<T>) -> bool {
        matches!(field, Reported::Unknown)
    }
    let fields = [
        ("mode", is(&f.mode)),
        ("car", is(&f.car)),
        ("direction", is(&f.direction)),
        ("door_zone", is(&f.door_zone)),
        ("door", is(&f.door)),
        ("passenger", is(&f.passenger)),
        ("floor", is(&f.floor)),
        ("floor_label", is(&f.floor_label)),
        ("load_kg", is(&f.load_kg)),
        ("speed_mm_s", is(&f.speed_mm_s)),
        ("runs", is(&f.runs)),
        ("run_hours", is(&f.run_hours)),
    ];
    fields.into_iter().filter(|(_, unknown)| *unknown).map(|(name, _)| name.to_owned()).collect()
}

fn time_source(source: TimeSource) -> v1::TimeSource {
    match source {
        TimeSource::Claimed => v1::TimeSource::Claimed,
        TimeSource::Absent => v1::TimeSource::Absent,
        TimeSource::Wrong => v1::TimeSource::Wrong,
    }
}

fn order(order: Order) -> v1::ArrivalOrder {
    match order {
        Order::Newer => v1::ArrivalOrder::Newer,
        Order::Late => v1::ArrivalOrder::Late,
        Order::VeryLate => v1::ArrivalOrder::VeryLate,
    }
}

pub(in super::super) fn timeline_item(happened: &Happened) -> v1::TimelineItem {
    let item = match happened {
        Happened::Alert(event) => Item::AlertEvent(alert_event(event, 0)),
        Happened::Scan(row) => Item::Scan(stored_scan(row)),
        Happened::Status(row) => Item::Status(status(row)),
        Happened::Record(link) => Item::Record(chain_link(link)),
        Happened::Change(row) => Item::Change(device_change(row)),
    };
    v1::TimelineItem { at: Some(timestamp(happened.at())), item: Some(item) }
}

fn status(row: &StatusRow) -> v1::StatusChange {
    v1::StatusChange { online: row.online, received_at: Some(timestamp(row.received_at)) }
}

fn stored_scan(row: &ScanRow) -> v1::StoredScan {
    let scan = &row.scan;
    v1::StoredScan {
        site: row.site.to_string(),
        scanner: scan.scanner.to_string(),
        boot: scan.key.boot,
        seq: scan.key.seq,
        generation: row.generation,
        claimed_at: scan.claimed_at.map(timestamp),
        received_at: Some(timestamp(row.received_at)),
        effective_at: Some(timestamp(row.effective_at)),
        time_source: time_source(row.time_source).into(),
        order: order(row.order).into(),
        cylinder: scan.cylinder.to_string(),
        event: scan.event.number(),
        operator: text(scan.operator.as_deref()),
        counterparty: text(scan.counterparty.as_deref()),
        medium: text(scan.medium.as_deref()),
        tare_g: scan.tare_g,
        gross_g: scan.gross_g,
        net_g: scan.net_g,
        pressure_kpa: scan.pressure_kpa,
        passed: scan.passed,
        findings: strings(&scan.findings),
        latitude_e7: scan.latitude_e7,
        longitude_e7: scan.longitude_e7,
        request: text(scan.request.as_deref()),
        valid_until: scan.valid_until.map(timestamp),
        flags: row.flags.iter().map(|flag| flag.name().to_owned()).collect(),
        invalid: strings(&scan.invalid),
        verdict: row.verdict.as_ref().map(|verdict| v1::FillVerdict {
            allow: verdict.allows(),
            reasons: strings(&verdict.reasons),
            expires_at: Some(timestamp(verdict.expires_at)),
        }),
    }
}

fn strings(texts: &[Box<str>]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}
