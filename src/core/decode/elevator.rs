//! What a lift's frame may hold, and what becomes of what it may not.

use super::identity::{self, BOOT, BadIdentity, OBSERVED_AT_MS, SEQ};
use super::report::{Draft, FIELDS, LIST, OBSERVED_AT, OWNER};
use super::value::{Broken, Choice, Elements, Fault, Marks, Value, known, words};
use crate::limits;
use crate::model::frame::{Car, Direction, Door, Ended, Frame, FrameKey, Listed, Mode, Reported};

pub(super) const MODE: u8 = 4;
pub(super) const CAR: u8 = 5;
pub(super) const DIRECTION: u8 = 6;
pub(super) const DOOR_ZONE: u8 = 7;
pub(super) const DOOR: u8 = 8;
pub(super) const PASSENGER: u8 = 9;
pub(super) const FLOOR: u8 = 10;
pub(super) const FLOOR_LABEL: u8 = 11;
pub(super) const LOAD_KG: u8 = 12;
pub(super) const SPEED_MM_S: u8 = 13;
pub(super) const RUNS: u8 = 14;
pub(super) const RUN_HOURS: u8 = 15;
pub(super) const FAULTS: u8 = 16;
pub(super) const EVENTS: u8 = 17;
pub(super) const ALARMS: u8 = 18;
pub(super) const CONDITIONS: u8 = 19;
pub(super) const EXTRAS: u8 = 20;
pub(super) const CLEARED: u8 = 21;

#[derive(Default)]
pub(super) struct FrameDraft {
    frame: Frame,
    marks: Marks,
    /// By name, ascending. Unknown are those whose number could not be read.
    extras: Vec<(Box<str>, Reported<f64>)>,
    /// The first of the extras that were too many.
    extra_beyond: Option<Box<str>>,
}

impl Draft for FrameDraft {
    type Item = Frame;

    const NAMES: [&'static str; FIELDS] = {
        let mut names = [""; FIELDS];
        names[BOOT as usize] = "boot";
        names[SEQ as usize] = "seq";
        names[OBSERVED_AT_MS as usize] = "observed_at_ms";
        names[MODE as usize] = "mode";
        names[CAR as usize] = "car";
        names[DIRECTION as usize] = "direction";
        names[DOOR_ZONE as usize] = "door_zone";
        names[DOOR as usize] = "door";
        names[PASSENGER as usize] = "passenger";
        names[FLOOR as usize] = "floor";
        names[FLOOR_LABEL as usize] = "floor_label";
        names[LOAD_KG as usize] = "load_kg";
        names[SPEED_MM_S as usize] = "speed_mm_s";
        names[RUNS as usize] = "runs";
        names[RUN_HOURS as usize] = "run_hours";
        names[FAULTS as usize] = "faults";
        names[EVENTS as usize] = "events";
        names[ALARMS as usize] = "alarms";
        names[CONDITIONS as usize] = "conditions";
        names[EXTRAS as usize] = "extras";
        names[CLEARED as usize] = "cleared";
        names[OBSERVED_AT as usize] = "observed_at";
        names[OWNER as usize] = "device";
        names[LIST as usize] = "frames";
        names
    };

    fn set<'a, V: Value<'a>>(&mut self, field: u8, value: V) -> Result<(), Broken> {
        let Self { frame, marks, .. } = self;
        match field {
            BOOT | SEQ | OBSERVED_AT_MS | OBSERVED_AT => {
                identity::set(&mut frame.key, &mut frame.claimed_at, marks, field, value)?;
            }
            MODE => frame.mode = marks.take(MODE, value.choice(mode()))?,
            CAR => frame.car = marks.take(CAR, value.choice(car()))?,
            DIRECTION => frame.direction = marks.take(DIRECTION, value.choice(direction()))?,
            DOOR_ZONE => frame.door_zone = marks.take(DOOR_ZONE, value.boolean())?,
            DOOR => frame.door = marks.take(DOOR, value.choice(door()))?,
            PASSENGER => frame.passenger = marks.take(PASSENGER, value.boolean())?,
            FLOOR => frame.floor = marks.take(FLOOR, value.sint32())?,
            FLOOR_LABEL => {
                frame.floor_label = marks.take(FLOOR_LABEL, words(value.text(), limits::FLOOR_LABEL_CHARS))?;
            }
            LOAD_KG => frame.load_kg = marks.take(LOAD_KG, value.uint32())?,
            SPEED_MM_S => frame.speed_mm_s = marks.take(SPEED_MM_S, value.sint32())?,
            RUNS => frame.runs = marks.take(RUNS, value.uint63())?,
            RUN_HOURS => frame.run_hours = marks.take(RUN_HOURS, value.uint32())?,
            FAULTS => codes(&mut frame.faults, marks, FAULTS, value)?,
            EVENTS => codes(&mut frame.events, marks, EVENTS, value)?,
            ALARMS => codes(&mut frame.alarms, marks, ALARMS, value)?,
            CONDITIONS => conditions(&mut frame.conditions, marks, value)?,
            CLEARED => cleared(&mut frame.cleared, marks, value)?,
            EXTRAS => self.extras(value)?,
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Frame, BadIdentity> {
        let Self { mut frame, marks, extras, extra_beyond } = self;
        identity::check(&marks, frame.key)?;
        frame.has_status = (MODE..=PASSENGER).any(|field| marks.is_present(field));
        if frame.car == Reported::Known(Car::Running) {
            frame.door_zone = Reported::Absent;
        }
        let mut bad_extras: Vec<Box<str>> = extra_beyond.into_iter().collect();
        for (name, number) in extras {
            match number {
                Reported::Known(number) => frame.extras.push((name, number)),
                Reported::Unknown | Reported::Absent => bad_extras.push(name),
            }
        }
        let bad_extras = bad_extras.iter().map(|name| format!("/extras/{name}").into()).collect();
        frame.invalid = marks.pointers(&Self::NAMES, bad_extras);
        Ok(frame)
    }

    fn key(item: &Frame) -> FrameKey {
        item.key
    }
}

impl FrameDraft {
    /// Whether a field, or any element of it, could not be taken.
    pub(super) fn is_bad(&self, field: u8) -> bool {
        self.marks.is_bad(field)
    }

    fn extras<'a, V: Value<'a>>(&mut self, value: V) -> Result<(), Broken> {
        let Self { marks, extras, extra_beyond, .. } = self;
        let read = value.entries(|name, number| {
            if !is_extra_name(&name) {
                // Such a name isn't repeated: it may be anything.
                return marks.mark_bad(EXTRAS);
            }
            let number = number.unwrap_or(Reported::Unknown);
            match extras.binary_search_by(|(known, _)| known.as_ref().cmp(name.as_ref())) {
                Ok(at) if number == Reported::Absent => drop(extras.remove(at)),
                Ok(at) => extras[at].1 = number,
                Err(_) if number == Reported::Absent => {}
                Err(at) if extras.len() < limits::EXTRAS => extras.insert(at, (name.into(), number)),
                Err(_) => _ = extra_beyond.get_or_insert_with(|| name.into()),
            }
        });
        match read {
            Ok(()) => Ok(()),
            Err(Fault::Field) => {
                marks.mark_bad(EXTRAS);
                Ok(())
            }
            Err(Fault::Item(broken)) => Err(broken),
        }
    }
}

fn mode() -> Choice<Mode> {
    Choice { name: Mode::from_name, number: Mode::from_number, unknown: Some(8) }
}

fn car() -> Choice<Car> {
    Choice { name: Car::from_name, number: Car::from_number, unknown: None }
}

fn direction() -> Choice<Direction> {
    Choice { name: Direction::from_name, number: Direction::from_number, unknown: None }
}

fn door() -> Choice<Door> {
    Choice { name: Door::from_name, number: Door::from_number, unknown: Some(1) }
}

fn codes<'a, V: Value<'a>>(list: &mut Listed<u32>, marks: &mut Marks, field: u8, value: V) -> Result<(), Broken> {
    let items = &mut list.items;
    let whole = marks.take_list(field, (Elements::Numbers, limits::CODES), value, |element| {
        match element.code()? {
            Reported::Known(0) => {}
            Reported::Known(code) => insert(items, code),
            Reported::Absent | Reported::Unknown => return Err(Fault::Field),
        }
        Ok(Reported::Known(()))
    })?;
    list.partial |= !whole;
    Ok(())
}

fn conditions<'a, V: Value<'a>>(list: &mut Listed<Box<str>>, marks: &mut Marks, value: V) -> Result<(), Broken> {
    let items = &mut list.items;
    let whole = marks.take_list(CONDITIONS, (Elements::Texts, limits::CONDITIONS), value, |element| {
        let text = known(words(element.text(), limits::CONDITION_CHARS)?).ok_or(Fault::Field)?;
        insert(items, text);
        Ok(Reported::Known(()))
    })?;
    list.partial |= !whole;
    Ok(())
}

fn cleared<'a, V: Value<'a>>(items: &mut Vec<Ended>, marks: &mut Marks, value: V) -> Result<(), Broken> {
    marks.take_list(CLEARED, (Elements::Texts, limits::CLEARED), value, |element| {
        match element.ended()? {
            Reported::Known(Ended::Code(0)) => {}
            Reported::Known(ended) => insert(items, ended),
            Reported::Absent | Reported::Unknown => return Err(Fault::Field),
        }
        Ok(Reported::Known(()))
    })?;
    Ok(())
}

/// Into an ascending list without repeats.
fn insert<T: Ord>(items: &mut Vec<T>, item: T) {
    if let Err(at) = items.binary_search(&item) {
        items.insert(at, item);
    }
}

fn is_extra_name(name: &str) -> bool {
    (1..=limits::EXTRA_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
