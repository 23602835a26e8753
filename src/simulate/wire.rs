//! Payloads as devices write them: `docs/devices.md` in protobuf and in the variety of JSON that it allows.

use bytes::Bytes;
use prost::encoding::{WireType, bool, double, encode_key, encode_varint, int32, int64, sint32, uint32, uint64};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::model::frame::{Car, Direction, Door, FrameKey, Mode};
use crate::model::scan::ScanEvent;
use crate::model::time::Wall;

/// How one device writes; it never changes its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf { names_itself: bool },
    Json { envelope: Envelope, rfc3339: bool, text_codes: bool },
}

/// What stands around a JSON report of one frame or scan. More than one are always listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Envelope {
    Bare,
    Array,
    Object,
}

/// What a report lists, and who it is from: their names differ between lifts and scanners.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporter<'a> {
    pub(super) items: &'static str,
    pub(super) by: &'static str,
    pub(super) code: &'a str,
}

impl<'a> Reporter<'a> {
    pub(super) fn lift(code: &'a str) -> Self {
        Self { items: "frames", by: "device", code }
    }

    pub(super) fn site(code: &'a str) -> Self {
        Self { items: "scans", by: "site", code }
    }
}

/// A lift's frame. What is `None` is not reported.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame<'a> {
    pub(super) key: FrameKey,
    pub(super) observed_at: Wall,
    pub(super) mode: Option<Mode>,
    pub(super) car: Option<Car>,
    pub(super) direction: Option<Direction>,
    pub(super) door_zone: Option<bool>,
    pub(super) door: Option<Door>,
    pub(super) passenger: Option<bool>,
    pub(super) floor: Option<i32>,
    pub(super) load_kg: Option<u32>,
    pub(super) speed_mm_s: Option<i32>,
    pub(super) runs: Option<u64>,
    pub(super) run_hours: Option<u32>,
    pub(super) faults: &'a [u32],
    pub(super) events: &'a [u32],
    pub(super) alarms: &'a [u32],
    pub(super) conditions: &'a [&'static str],
    pub(super) vibration_mg: Option<f64>,
}

/// A scan of a cylinder. Empty texts are not reported.
#[derive(Debug, Clone)]
pub(super) struct Scan<'a> {
    pub(super) key: FrameKey,
    pub(super) observed_at: Wall,
    pub(super) scanner: &'a str,
    pub(super) cylinder: &'a str,
    pub(super) event: ScanEvent,
    pub(super) operator: &'a str,
    pub(super) counterparty: &'a str,
    pub(super) medium: &'a str,
    pub(super) tare_g: Option<u32>,
    pub(super) gross_g: Option<u32>,
    pub(super) net_g: Option<u32>,
    pub(super) passed: Option<bool>,
    pub(super) request: &'a str,
}

/// Something that reports list.
pub(super) trait Item {
    fn protobuf(&self) -> Vec<u8>;
    fn json(&self, rfc3339: bool, text_codes: bool) -> Vec<u8>;

    fn encode(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Protobuf { .. } => self.protobuf().into(),
            Encoding::Json { rfc3339, text_codes, .. } => self.json(rfc3339, text_codes).into(),
        }
    }
}

/// Puts encoded items into one report.
pub(super) fn report(items: &[Bytes], encoding: Encoding, reporter: Reporter<'_>) -> Bytes {
    match encoding {
        Encoding::Protobuf { names_itself } => {
            let mut out = Vec::with_capacity(items.iter().map(|item| item.len() + 4).sum::<usize>() + 24);
            for item in items {
                blob(1, item, &mut out);
            }
            if names_itself {
                blob(2, reporter.code.as_bytes(), &mut out);
            }
            out.into()
        }
        Encoding::Json { envelope: Envelope::Bare, .. } if items.len() == 1 => items[0].clone(),
        Encoding::Json { envelope, .. } => {
            let list = items.join(&b","[..]);
            let mut out = Vec::with_capacity(list.len() + 64);
            if envelope == Envelope::Array {
                out.push(b'[');
                out.extend_from_slice(&list);
                out.push(b']');
            } else {
                let Reporter { items, by, code } = reporter;
                out.extend_from_slice(format!("{{\"{by}\":\"{code}\",\"{items}\":[").as_bytes());
                out.extend_from_slice(&list);
                out.extend_from_slice(b"]}");
            }
            out.into()
        }
    }
}

/// A length-delimited field: text, a message, a packed list.
fn blob(tag: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn text(tag: u32, content: &str, out: &mut Vec<u8>) {
    if !content.is_empty() {
        blob(tag, content.as_bytes(), out);
    }
}

/// The floor as displayed: there is no floor 0, and basements count downwards.
fn floor_label(floor: i32) -> String {
    if floor < 0 { format!("B{}", floor.unsigned_abs()) } else { (i64::from(floor) + 1).to_string() }
}

fn identity(key: FrameKey, observed_at: Wall, out: &mut Vec<u8>) {
    uint32::encode(1, &key.boot, out);
    uint64::encode(2, &key.seq, out);
    int64::encode(3, &observed_at.ms(), out);
}

impl Item for Frame<'_> {
    fn protobuf(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        identity(self.key, self.observed_at, &mut out);
        let enums = [
            (4, self.mode.map(Mode::number)),
            (5, self.car.map(Car::number)),
            (6, self.direction.map(Direction::number)),
            (8, self.door.map(Door::number)),
        ];
        for (tag, number) in enums {
            if let Some(number) = number {
                int32::encode(tag, &number, &mut out);
            }
        }
        for (tag, flag) in [(7, self.door_zone), (9, self.passenger)] {
            if let Some(flag) = flag {
                bool::encode(tag, &flag, &mut out);
            }
        }
        if let Some(floor) = self.floor {
            sint32::encode(10, &floor, &mut out);
            text(11, &floor_label(floor), &mut out);
        }
        if let Some(speed) = self.speed_mm_s {
            sint32::encode(13, &speed, &mut out);
        }
        if let Some(runs) = self.runs {
            uint64::encode(14, &runs, &mut out);
        }
        for (tag, number) in [(12, self.load_kg), (15, self.run_hours)] {
            if let Some(number) = number {
                uint32::encode(tag, &number, &mut out);
            }
        }
        for (tag, codes) in [(16, self.faults), (17, self.events), (18, self.alarms)] {
            uint32::encode_packed(tag, codes, &mut out);
        }
        for condition in self.conditions {
            text(19, condition, &mut out);
        }
        if let Some(vibration) = self.vibration_mg {
            let mut entry = Vec::with_capacity(24);
            text(1, "vibration_mg", &mut entry);
            double::encode(2, &vibration, &mut entry);
            blob(20, &entry, &mut out);
        }
        out
    }

    fn json(&self, rfc3339: bool, text_codes: bool) -> Vec<u8> {
        to_json(&AsJson { item: self, rfc3339, text_codes })
    }
}

impl Item for Scan<'_> {
    fn protobuf(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        identity(self.key, self.observed_at, &mut out);
        text(4, self.scanner, &mut out);
        text(5, self.cylinder, &mut out);
        int32::encode(6, &self.event.number(), &mut out);
        text(7, self.operator, &mut out);
        text(8, self.counterparty, &mut out);
        text(9, self.medium, &mut out);
        for (tag, grams) in [(10, self.tare_g), (11, self.gross_g), (12, self.net_g)] {
            if let Some(grams) = grams {
                uint32::encode(tag, &grams, &mut out);
            }
        }
        if let Some(passed) = self.passed {
            bool::encode(14, &passed, &mut out);
        }
        text(18, self.request, &mut out);
        out
    }

    fn json(&self, rfc3339: bool, text_codes: bool) -> Vec<u8> {
        to_json(&AsJson { item: self, rfc3339, text_codes })
    }
}

fn to_json(item: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(item).expect("texts and finite numbers always make JSON")
}

struct AsJson<'a, T> {
    item: &'a T,
    rfc3339: bool,
    text_codes: bool,
}

impl<T> AsJson<'_, T> {
    fn identity<M: SerializeMap>(&self, key: FrameKey, observed_at: Wall, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("boot", &key.boot)?;
        map.serialize_entry("seq", &key.seq)?;
        if self.rfc3339 {
            map.serialize_entry("observed_at", &observed_at.to_string())
        } else {
            map.serialize_entry("observed_at_ms", &observed_at.ms())
        }
    }

    fn codes<M: SerializeMap>(&self, name: &'static str, codes: &[u32], map: &mut M) -> Result<(), M::Error> {
        if codes.is_empty() {
            Ok(())
        } else if self.text_codes {
            let texts: Vec<String> = codes.iter().map(|code| format!("{code:02}")).collect();
            map.serialize_entry(name, &texts)
        } else {
            map.serialize_entry(name, codes)
        }
    }
}

fn optional<M: SerializeMap>(name: &'static str, value: Option<impl Serialize>, map: &mut M) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}

impl Serialize for AsJson<'_, Frame<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let frame = self.item;
        let mut map = serializer.serialize_map(None)?;
        self.identity(frame.key, frame.observed_at, &mut map)?;
        optional("mode", frame.mode.map(Mode::name), &mut map)?;
        optional("car", frame.car.map(Car::name), &mut map)?;
        optional("direction", frame.direction.map(Direction::name), &mut map)?;
        optional("door_zone", frame.door_zone, &mut map)?;
        optional("door", frame.door.map(Door::name), &mut map)?;
        optional("passenger", frame.passenger, &mut map)?;
        optional("floor", frame.floor, &mut map)?;
        optional("floor_label", frame.floor.map(floor_label), &mut map)?;
        optional("load_kg", frame.load_kg, &mut map)?;
        optional("speed_mm_s", frame.speed_mm_s, &mut map)?;
        optional("runs", frame.runs, &mut map)?;
        optional("run_hours", frame.run_hours, &mut map)?;
        self.codes("faults", frame.faults, &mut map)?;
        self.codes("events", frame.events, &mut map)?;
        self.codes("alarms", frame.alarms, &mut map)?;
        optional("conditions", (!frame.conditions.is_empty()).then_some(frame.conditions), &mut map)?;
        optional("extras", frame.vibration_mg.map(|mg| serde_json::json!({ "vibration_mg": mg })), &mut map)?;
        map.end()
    }
}

impl Serialize for AsJson<'_, Scan<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scan = self.item;
        let mut map = serializer.serialize_map(None)?;
        self.identity(scan.key, scan.observed_at, &mut map)?;
        let texts = [
            ("scanner", scan.scanner),
            ("cylinder", scan.cylinder),
            ("event", scan.event.name()),
            ("operator", scan.operator),
            ("counterparty", scan.counterparty),
            ("medium", scan.medium),
            ("request", scan.request),
        ];
        for (name, text) in texts {
            optional(name, (!text.is_empty()).then_some(text), &mut map)?;
        }
        optional("tare_g", scan.tare_g, &mut map)?;
        optional("gross_g", scan.gross_g, &mut map)?;
        optional("net_g", scan.net_g, &mut map)?;
        optional("passed", scan.passed, &mut map)?;
        map.end()
    }
}
