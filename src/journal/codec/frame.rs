//! Frames outnumber everything else in the outbox by far. So they are read without the generated types in between.

use super::CodecError;
use super::fields::{Fields, Value};
use super::read::{order, time_source};
use crate::model::frame::{Car, Direction, Door, Ended, Frame, Mode, Reported};
use crate::model::ids::DeviceCode;
use crate::model::row::FrameRow;
use crate::model::time::Wall;
use crate::proto::read::{known, there};

type Result<T> = std::result::Result<T, CodecError>;

pub(super) fn frame_row(bytes: &[u8]) -> Result<FrameRow> {
    let (mut device, mut generation, mut frame) = (None, 0, None);
    let (mut received_at_ms, mut effective_at_ms, mut source_number, mut order_number) = (0, 0, 0, 0);
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => device = Some(DeviceCode::parse(value.text()?)?),
            2 => generation = value.u32()?,
            3 => frame = Some(self::frame(value.bytes()?)?),
            4 => received_at_ms = value.i64()?,
            5 => effective_at_ms = value.i64()?,
            6 => source_number = value.u32()?,
            7 => order_number = value.u32()?,
            _ => {}
        }
    }
    Ok(FrameRow {
        device: there("a device code", device)?,
        generation,
        frame: there("a frame", frame)?,
        received_at: Wall(received_at_ms),
        effective_at: Wall(effective_at_ms),
        time_source: time_source(source_number)?,
        order: order(order_number)?,
    })
}

fn frame(bytes: &[u8]) -> Result<Frame> {
    let mut it = Frame::default();
    let (mut unknown, mut partial) = (0, 0);
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => it.key.boot = value.u32()?,
            2 => it.key.seq = value.u64()?,
            3 => it.claimed_at = Some(Wall(value.i64()?)),
            4 => it.mode = named("mode", value, Mode::from_number)?,
            5 => it.car = named("car", value, Car::from_number)?,
            6 => it.direction = named("direction", value, Direction::from_number)?,
            7 => it.door_zone = Reported::Known(value.bool()?),
            8 => it.door = named("door", value, Door::from_number)?,
            9 => it.passenger = Reported::Known(value.bool()?),
            10 => it.floor = Reported::Known(value.sint32()?),
            11 => it.floor_label = Reported::Known(value.text()?.into()),
            12 => it.load_kg = Reported::Known(value.u32()?),
            13 => it.speed_mm_s = Reported::Known(value.sint32()?),
            14 => it.runs = Reported::Known(value.u64()?),
            15 => it.run_hours = Reported::Known(value.u32()?),
            16 => it.faults.items = value.packed()?,
            17 => it.events.items = value.packed()?,
            18 => it.alarms.items = value.packed()?,
            19 => it.conditions.items.push(value.text()?.into()),
            20 => it.extras.push(extra(value.bytes()?)?),
            21 => it.cleared.push(ended(value.bytes()?)?),
            22 => it.has_status = value.bool()?,
            23 => it.invalid.push(value.text()?.into()),
            24 => unknown = value.u32()?,
            25 => partial = value.u32()?,
            _ => {}
        }
    }
    it.faults.partial = has(partial, 16);
    it.events.partial = has(partial, 17);
    it.alarms.partial = has(partial, 18);
    it.conditions.partial = has(partial, 19);
    if unknown != 0 {
        mark_unknown(&mut it, unknown);
    }
    Ok(it)
}

fn has(bits: u32, field: u32) -> bool {
    bits & (1 << field) != 0
}

fn named<T>(what: &'static str, value: Value<'_>, find: impl FnOnce(i64) -> Option<T>) -> Result<Reported<T>> {
    Ok(Reported::Known(known(what, value.i64()?, find)?))
}

fn mark_unknown(it: &mut Frame, unknown: u32) {
    fn mark<T>(unknown: u32, field: u32, it: &mut Reported<T>) {
        if has(unknown, field) {
            *it = Reported::Unknown;
        }
    }
    mark(unknown, 4, &mut it.mode);
    mark(unknown, 5, &mut it.car);
    mark(unknown, 6, &mut it.direction);
    mark(unknown, 7, &mut it.door_zone);
    mark(unknown, 8, &mut it.door);
    mark(unknown, 9, &mut it.passenger);
    mark(unknown, 10, &mut it.floor);
    mark(unknown, 11, &mut it.floor_label);
    mark(unknown, 12, &mut it.load_kg);
    mark(unknown, 13, &mut it.speed_mm_s);
    mark(unknown, 14, &mut it.runs);
    mark(unknown, 15, &mut it.run_hours);
}

fn extra(bytes: &[u8]) -> Result<(Box<str>, f64)> {
    let (mut name, mut number) = ("", None);
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => name = value.text()?,
            2 => number = Some(value.double()?),
            _ => {}
        }
    }
    Ok((name.into(), there("a sensor's value", number)?))
}

fn ended(bytes: &[u8]) -> Result<Ended> {
    let mut what = None;
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => what = Some(Ended::Code(value.u32()?)),
            2 => what = Some(Ended::Condition(value.text()?.into())),
            _ => {}
        }
    }
    there("what has ended", what)
}
