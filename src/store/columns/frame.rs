//! The columns of a lift's frame.

use std::borrow::Cow;

use super::{Columns, Unfit, Value, big, json, order, order_number, time_source, time_source_number};
use crate::model::frame::{Car, Direction, Door, Ended, Frame, FrameKey, Mode, Names, Reported};
use crate::model::ids::DeviceCode;
use crate::model::row::FrameRow;
use crate::store::StoreError;

pub(crate) const COLUMNS: &[&str] = &[
    "device",
    "generation",
    "boot",
    "seq",
    "claimed_at",
    "received_at",
    "effective_at",
    "time_source",
    "arrival_order",
    "mode",
    "car",
    "direction",
    "door_zone",
    "door",
    "passenger",
    "floor",
    "floor_label",
    "load_kg",
    "speed_mm_s",
    "runs",
    "run_hours",
    "faults",
    "events",
    "alarms",
    "conditions",
    "cleared",
    "extras",
    "has_status",
    "unknown_fields",
    "partial_lists",
    "invalid_fields",
];

pub(crate) fn push<'a>(row: &'a FrameRow, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let frame = &row.frame;
    let seq = big("seq", frame.key.seq)?;
    let runs = frame.runs.known().map_or(Ok(Value::Null), |runs| big("runs", *runs))?;
    out.extend([
        Value::text(row.device.as_str()),
        row.generation.into(),
        frame.key.boot.into(),
        seq,
        Value::time_or_null(frame.claimed_at),
        Value::Time(row.received_at),
        Value::Time(row.effective_at),
        Value::Small(time_source_number(row.time_source)),
        Value::Small(order_number(row.order)),
        known(&frame.mode, |mode| Value::Small(mode.number() as i16)),
        known(&frame.car, |car| Value::Small(car.number() as i16)),
        known(&frame.direction, |direction| Value::Small(direction.number() as i16)),
        known(&frame.door_zone, |zone| Value::Bool(*zone)),
        known(&frame.door, |door| Value::Small(door.number() as i16)),
        known(&frame.passenger, |passenger| Value::Bool(*passenger)),
        known(&frame.floor, |floor| Value::Int(*floor)),
        known(&frame.floor_label, |label| Value::text(label)),
        known(&frame.load_kg, |load| (*load).into()),
        known(&frame.speed_mm_s, |speed| Value::Int(*speed)),
        runs,
        known(&frame.run_hours, |hours| (*hours).into()),
        Value::codes(&frame.faults.items),
        Value::codes(&frame.events.items),
        Value::codes(&frame.alarms.items),
        Value::texts(&frame.conditions.items),
        Value::list(frame.cleared.iter().map(Ended::text).collect()),
        json::extras_text(&frame.extras).map_or(Value::Null, Value::Json),
        Value::Bool(frame.has_status),
        Value::list(unknown_fields(frame)),
        Value::list(partial_lists(frame)),
        Value::texts(&frame.invalid),
    ]);
    Ok(())
}

pub(crate) fn read(columns: &mut dyn Columns) -> Result<FrameRow, StoreError> {
    let c = columns;
    let (device, generation) = (c.parsed(DeviceCode::parse)?, c.number()?);
    let (boot, seq) = (c.number()?, c.number()?);
    let (claimed_at, received_at, effective_at) = (c.time()?, c.time()?, c.time()?);
    let (time_source, order) = (time_source(c)?, order(c)?);
    let (mode, car, direction) = (c.small()?, c.small()?, c.small()?);
    let (door_zone, door, passenger) = (c.bool()?, c.small()?, c.bool()?);
    let (floor, floor_label, load_kg, speed_mm_s) = (c.int()?, c.boxed()?, c.number()?, c.int()?);
    let (runs, run_hours) = (c.number()?, c.number()?);
    let (faults, events, alarms) = (c.codes()?, c.codes()?, c.codes()?);
    let (conditions, cleared, extras) = (c.boxes()?, c.texts()?, c.json()?);
    let (has_status, unknown, partial, invalid) = (c.bool()?, c.texts()?, c.texts()?, c.boxes()?);

    let what = c.what();
    let enumerated = |number: Option<i16>| number.map(i64::from);
    let unknown = Names(&unknown);
    let partial = Names(&partial);
    let frame = Frame {
        key: FrameKey { boot: c.present(boot)?, seq: c.present(seq)? },
        claimed_at,
        mode: unknown.reported("mode", constant(what, enumerated(mode), Mode::from_number)?),
        car: unknown.reported("car", constant(what, enumerated(car), Car::from_number)?),
        direction: unknown.reported("direction", constant(what, enumerated(direction), Direction::from_number)?),
        door_zone: unknown.reported("door_zone", door_zone),
        door: unknown.reported("door", constant(what, enumerated(door), Door::from_number)?),
        passenger: unknown.reported("passenger", passenger),
        floor: unknown.reported("floor", floor),
        floor_label: unknown.reported("floor_label", floor_label),
        load_kg: unknown.reported("load_kg", load_kg),
        speed_mm_s: unknown.reported("speed_mm_s", speed_mm_s),
        runs: unknown.reported("runs", runs),
        run_hours: unknown.reported("run_hours", run_hours),
        faults: partial.listed("faults", faults),
        events: partial.listed("events", events),
        alarms: partial.listed("alarms", alarms),
        conditions: partial.listed("conditions", conditions),
        extras: json::extras_from(extras.as_deref())?,
        cleared: cleared.iter().map(|text| Ended::from_text(text)).collect(),
        has_status: c.present(has_status)?,
        invalid,
    };
    Ok(FrameRow {
        device: c.present(device)?,
        generation: c.present(generation)?,
        frame,
        received_at: c.present(received_at)?,
        effective_at: c.present(effective_at)?,
        time_source,
        order,
    })
}

fn known<'a, T>(reported: &'a Reported<T>, value: impl Fn(&'a T) -> Value<'a>) -> Value<'a> {
    reported.known().map_or(Value::Null, value)
}

/// The fields that the frame says are not known. In their columns they look like those it doesn't mention: NULL.
fn unknown_fields(frame: &Frame) -> Vec<Cow<'static, str>> {
    fn name<T>(name: &'static str, reported: &Reported<T>) -> Option<Cow<'static, str>> {
        matches!(reported, Reported::Unknown).then_some(Cow::Borrowed(name))
    }
    let fields = [
        name("mode", &frame.mode),
        name("car", &frame.car),
        name("direction", &frame.direction),
        name("door_zone", &frame.door_zone),
        name("door", &frame.door),
        name("passenger", &frame.passenger),
        name("floor", &frame.floor),
        name("floor_label", &frame.floor_label),
        name("load_kg", &frame.load_kg),
        name("speed_mm_s", &frame.speed_mm_s),
        name("runs", &frame.runs),
        name("run_hours", &frame.run_hours),
    ];
    fields.into_iter().flatten().collect()
}

fn partial_lists(frame: &Frame) -> Vec<Cow<'static, str>> {
    let lists = [
        ("faults", frame.faults.partial),
        ("events", frame.events.partial),
        ("alarms", frame.alarms.partial),
        ("conditions", frame.conditions.partial),
    ];
    lists.into_iter().filter(|(_, partial)| *partial).map(|(name, _)| Cow::Borrowed(name)).collect()
}

fn constant<T>(
    what: &'static str,
    number: Option<i64>,
    from_number: fn(i64) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let Some(number) = number else { return Ok(None) };
    let wrong = || StoreError::corrupt(what, format!("{number} is no constant of its column"));
    from_number(number).map(Some).ok_or_else(wrong)
}
