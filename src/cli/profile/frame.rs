//! Frames as devices of ours would write them.

use serde_json::{Map, Value, json};

use crate::core::decode::profile::Mapped;
use crate::model::frame::{Ended, Frame, Listed, Reported};

/// In the words of `docs/devices.md`; with what of it is not known, and what could not be read.
pub(super) fn as_json(Mapped { frame, id }: &Mapped) -> Value {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| {
        all.insert(name.to_owned(), value);
    };
    match id {
        None => {
            put("boot", frame.key.boot.into());
            put("seq", frame.key.seq.into());
        }
        Some(id) => put("known_by", format!("{id:016x}").into()),
    }
    if let Some(at) = frame.claimed_at {
        put("observed_at", at.to_string().into());
    }
    for (name, value) in values(frame) {
        match value {
            Reported::Absent => {}
            Reported::Unknown => put(name, "unknown".into()),
            Reported::Known(value) => put(name, value),
        }
    }
    for (name, codes) in [("faults", &frame.faults), ("events", &frame.events), ("alarms", &frame.alarms)] {
        if *codes != Listed::default() {
            put(name, json!(codes.items));
        }
    }
    if frame.conditions != Listed::default() {
        put("conditions", json!(frame.conditions.items));
    }
    if !frame.cleared.is_empty() {
        put("cleared", frame.cleared.iter().map(Ended::text).collect());
    }
    if !frame.extras.is_empty() {
        put(
            "extras",
            frame.extras.iter().map(|(name, value)| (name.to_string(), json!(value))).collect::<Map<_, _>>().into(),
        );
    }
    if !frame.invalid.is_empty() {
        put("invalid", json!(frame.invalid));
    }
    all.into()
}

fn values(frame: &Frame) -> [(&'static str, Reported<Value>); 12] {
    fn of<T>(value: &Reported<T>, json: impl FnOnce(&T) -> Value) -> Reported<Value> {
        match value {
            Reported::Absent => Reported::Absent,
            Reported::Unknown => Reported::Unknown,
            Reported::Known(value) => Reported::Known(json(value)),
        }
    }
    [
        ("mode", of(&frame.mode, |it| it.name().into())),
        ("car", of(&frame.car, |it| it.name().into())),
        ("direction", of(&frame.direction, |it| it.name().into())),
        ("door_zone", of(&frame.door_zone, |it| (*it).into())),
        ("door", of(&frame.door, |it| it.name().into())),
        ("passenger", of(&frame.passenger, |it| (*it).into())),
        ("floor", of(&frame.floor, |it| (*it).into())),
        ("floor_label", of(&frame.floor_label, |it| (**it).into())),
        ("load_kg", of(&frame.load_kg, |it| (*it).into())),
        ("speed_mm_s", of(&frame.speed_mm_s, |it| (*it).into())),
        ("runs", of(&frame.runs, |it| (*it).into())),
        ("run_hours", of(&frame.run_hours, |it| (*it).into())),
    ]
}
