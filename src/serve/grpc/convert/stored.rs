//! What clients of ours read back: stored frames and lifts, as the model has them.

use prost_types::Timestamp;

use super::archive::{ArchiveEntry, entry_from};
use super::wall;
use crate::model::archive::{Entry, Lift};
use crate::model::frame::{Car, Direction, Door, Ended, Frame, FrameKey, Mode, Names};
use crate::model::ids::DeviceCode;
use crate::model::row::{FrameRow, Order, TimeSource};
use crate::model::time::Wall;
use crate::proto::v1;
use crate::serve::grpc::Violations;

/// The frame, or what is wrong with it.
pub(in crate::serve) fn frame_row(device: DeviceCode, stored: &v1::StoredFrame) -> Result<FrameRow, String> {
    let told = stored.frame.as_ref().ok_or("frame: is missing")?;
    let time_source = match stored.time_source() {
        v1::TimeSource::Claimed => TimeSource::Claimed,
        v1::TimeSource::Absent => TimeSource::Absent,
        v1::TimeSource::Wrong => TimeSource::Wrong,
        v1::TimeSource::Unspecified => return Err("time_source: is missing".into()),
    };
    let order = match stored.order() {
        v1::ArrivalOrder::Newer => Order::Newer,
        v1::ArrivalOrder::Late => Order::Late,
        v1::ArrivalOrder::VeryLate => Order::VeryLate,
        v1::ArrivalOrder::Unspecified => return Err("order: is missing".into()),
    };
    Ok(FrameRow {
        device,
        generation: stored.generation,
        frame: frame(told)?,
        received_at: time("received_at", stored.received_at.as_ref())?,
        effective_at: time("effective_at", stored.effective_at.as_ref())?,
        time_source,
        order,
    })
}

/// The lift, or all that is wrong with it.
pub(in crate::serve) fn lift(told: &v1::Lift) -> Result<Lift, String> {
    let mut violations = Violations::default();
    match entry_from(ArchiveEntry::Lift(told.clone()), &mut violations) {
        Some(Entry::Lift(lift)) => Ok(lift),
        _ => Err(violations.check().err().map(|status| status.message().to_owned()).unwrap_or_default()),
    }
}

/// The entry, or all that is wrong with it.
pub(in crate::serve) fn entry(told: v1::ArchiveEntry) -> Result<Entry, String> {
    use v1::archive_entry::Entry as Listed;
    let asked = match told.entry.ok_or("is missing")? {
        Listed::Lift(lift) => ArchiveEntry::Lift(lift),
        Listed::Cylinder(cylinder) => ArchiveEntry::Cylinder(cylinder),
        Listed::Firm(firm) => ArchiveEntry::Firm(firm),
        Listed::Site(site) => ArchiveEntry::Site(site),
        Listed::Worker(worker) => ArchiveEntry::Worker(worker),
    };
    let mut violations = Violations::default();
    let entry = entry_from(asked, &mut violations);
    entry.ok_or_else(|| violations.check().err().map(|status| status.message().to_owned()).unwrap_or_default())
}

fn time(field: &str, at: Option<&Timestamp>) -> Result<Wall, String> {
    at.ok_or("is missing").and_then(wall).map_err(|why| format!("{field}: {why}"))
}

fn frame(f: &v1::HistoryFrame) -> Result<Frame, String> {
    let unknown = Names(&f.unknown);
    let partial = Names(&f.partial);
    let claimed_at = f.claimed_at.as_ref().map(|at| time("claimed_at", Some(at))).transpose()?;
    Ok(Frame {
        key: FrameKey { boot: f.boot, seq: f.seq },
        claimed_at,
        mode: unknown.reported("mode", constant("mode", f.mode, Mode::from_number)?),
        car: unknown.reported("car", constant("car", f.car, Car::from_number)?),
        direction: unknown.reported("direction", constant("direction", f.direction, Direction::from_number)?),
        door_zone: unknown.reported("door_zone", f.door_zone),
        door: unknown.reported("door", constant("door", f.door, Door::from_number)?),
        passenger: unknown.reported("passenger", f.passenger),
        floor: unknown.reported("floor", f.floor),
        floor_label: unknown.reported("floor_label", f.floor_label.as_deref().map(Into::into)),
        load_kg: unknown.reported("load_kg", f.load_kg),
        speed_mm_s: unknown.reported("speed_mm_s", f.speed_mm_s),
        runs: unknown.reported("runs", f.runs),
        run_hours: unknown.reported("run_hours", f.run_hours),
        faults: partial.listed("faults", f.faults.clone()),
        events: partial.listed("events", f.events.clone()),
        alarms: partial.listed("alarms", f.alarms.clone()),
        conditions: partial.listed("conditions", boxed(&f.conditions)),
        extras: f.extras.iter().map(|(name, value)| (name.as_str().into(), *value)).collect(),
        cleared: f.cleared.iter().map(|text| Ended::from_text(text)).collect(),
        has_status: f.has_status,
        invalid: boxed(&f.invalid),
    })
}

/// 0 is none.
fn constant<T>(field: &str, number: i32, from_number: fn(i64) -> Option<T>) -> Result<Option<T>, String> {
    match number {
        0 => Ok(None),
        n => from_number(n.into()).map(Some).ok_or_else(|| format!("{field}: {n} is not known to this version")),
    }
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::history::stored_frame;
    use super::*;
    use crate::model::arbitrary;

    proptest! {
        #[test]
        fn a_frame_reads_back_as_it_was_told(frame in arbitrary::frame(), at in arbitrary::wall()) {
            let device = "31305001122014017242".parse().unwrap();
            let (time_source, order) = (TimeSource::Absent, Order::VeryLate);
            let (received_at, effective_at) = (at, at + 1);
            let mut row = FrameRow { device, generation: 7, frame, received_at, effective_at, time_source, order };
            // Decoding refuses what this leaves out: times before 1970, and a code as a condition's name.
            let times = [&mut row.received_at, &mut row.effective_at];
            times.into_iter().chain(&mut row.frame.claimed_at).for_each(|at| at.0 = at.0.rem_euclid(Wall::LAST.0));
            row.frame.cleared.retain(|it| *it == Ended::from_text(&it.text()));
            let told = stored_frame(&row);
            prop_assert_eq!(frame_row(row.device, &told).unwrap(), row);
        }
    }

    #[test]
    fn what_is_missing_or_not_known_is_named() {
        let good = || {
            let frame = v1::HistoryFrame { boot: 1, seq: 1, ..Default::default() };
            let at = Some(Timestamp { seconds: 1, nanos: 0 });
            v1::StoredFrame {
                frame: Some(frame),
                received_at: at,
                effective_at: at,
                time_source: 1,
                order: 1,
                ..Default::default()
            }
        };
        let check = |change: &dyn Fn(&mut v1::StoredFrame), why: &str| {
            let mut stored = good();
            change(&mut stored);
            let read = frame_row("31305001122014017242".parse().unwrap(), &stored);
            assert_eq!(read.map(|_| ()).err().unwrap_or_default(), why);
        };
        check(&|_| {}, "");
        check(&|it| it.frame = None, "frame: is missing");
        check(&|it| it.order = 0, "order: is missing");
        check(&|it| it.time_source = 9, "time_source: is missing");
        check(&|it| it.received_at = None, "received_at: is missing");
        check(&|it| it.frame.as_mut().unwrap().mode = 99, "mode: 99 is not known to this version");
    }
}
