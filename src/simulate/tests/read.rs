//! Reads what the fleet sends, on its own: nothing here is shared with what writes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::simulate::Message;

/// A report's items as JSON objects of `docs/devices.md`, enums as names, with `observed_at_ms` and codes as numbers.
pub(super) fn items(message: &Message) -> Vec<Map<String, Value>> {
    let is_scan = message.topic.ends_with("/scan");
    let code = message.topic.split('/').nth(3).expect("a code in the topic");
    let (named, items) = match message.payload.first() {
        Some(b'{' | b'[') => json_items(&message.payload, is_scan),
        _ => protobuf_items(&message.payload, is_scan),
    };
    assert!(named.is_none_or(|named| named == code), "{message:?}");
    assert!(!items.is_empty(), "{message:?}");
    items
}

fn json_items(payload: &[u8], is_scan: bool) -> (Option<String>, Vec<Map<String, Value>>) {
    let (list, by) = if is_scan { ("scans", "site") } else { ("frames", "device") };
    let (named, items) = match serde_json::from_slice(payload).expect("JSON") {
        Value::Array(items) => (None, items),
        Value::Object(mut report) if report.contains_key(list) => {
            let named = report.get(by).map(|code| code.as_str().expect("a text").to_owned());
            let Some(Value::Array(items)) = report.remove(list) else { panic!("{list} is a list") };
            (named, items)
        }
        item => (None, vec![item]),
    };
    let objects = items.into_iter().map(|item| {
        let Value::Object(mut item) = item else { panic!("an item is an object") };
        if let Some(at) = item.remove("observed_at") {
            let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
            item.insert("observed_at_ms".into(), at.as_millisecond().into());
        }
        for list in ["faults", "events", "alarms"] {
            for code in item.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::String(text) = code {
                    *code = text.parse::<u32>().unwrap().into();
                }
            }
        }
        item
    });
    (named, objects.collect())
}

const MODES: [&str; 8] = [
    "stopped_service",
    "normal",
    "inspection",
    "fire_return",
    "firefighter",
    "emergency_power",
    "earthquake",
    "unknown",
];
const DOORS: [&str; 7] = ["unknown", "closing", "closed", "opening", "open", "locked", "not_fully_closed"];
const SCANS: [&str; 15] = [
    "registered",
    "stocked_in",
    "checked_before_fill",
    "fill_requested",
    "filled",
    "checked_after_fill",
    "dispatched",
    "delivered",
    "collected",
    "returned",
    "sent_for_inspection",
    "inspected",
    "disabled",
    "lost",
    "scrapped",
];

fn protobuf_items(payload: &[u8], is_scan: bool) -> (Option<String>, Vec<Map<String, Value>>) {
    let mut named = None;
    let mut items = Vec::new();
    for (tag, field) in fields(payload) {
        match (tag, field) {
            (1, Field::Bytes(item)) => items.push(if is_scan { scan(&item) } else { frame(&item) }),
            (2, Field::Bytes(code)) => named = Some(String::from_utf8(code).unwrap()),
            other => panic!("no such field in a report: {other:?}"),
        }
    }
    (named, items)
}

fn frame(bytes: &[u8]) -> Map<String, Value> {
    let mut item = Map::new();
    for (tag, field) in fields(bytes) {
        let (name, value) = match (tag, field) {
            (1, Field::Varint(n)) => ("boot", json!(n)),
            (2, Field::Varint(n)) => ("seq", json!(n)),
            (3, Field::Varint(n)) => ("observed_at_ms", json!(n as i64)),
            (4, Field::Varint(n)) => ("mode", json!(MODES[n as usize - 1])),
            (5, Field::Varint(n)) => ("car", json!(["stopped", "running"][n as usize - 1])),
            (6, Field::Varint(n)) => ("direction", json!(["none", "up", "down"][n as usize - 1])),
            (7, Field::Varint(n)) => ("door_zone", json!(n == 1)),
            (8, Field::Varint(n)) => ("door", json!(DOORS[n as usize - 1])),
            (9, Field::Varint(n)) => ("passenger", json!(n == 1)),
            (10, Field::Varint(n)) => ("floor", json!(zigzag(n))),
            (11, Field::Bytes(text)) => ("floor_label", json!(String::from_utf8(text).unwrap())),
            (12, Field::Varint(n)) => ("load_kg", json!(n)),
            (13, Field::Varint(n)) => ("speed_mm_s", json!(zigzag(n))),
            (14, Field::Varint(n)) => ("runs", json!(n)),
            (15, Field::Varint(n)) => ("run_hours", json!(n)),
            (16, Field::Bytes(codes)) => ("faults", packed(&codes)),
            (17, Field::Bytes(codes)) => ("events", packed(&codes)),
            (18, Field::Bytes(codes)) => ("alarms", packed(&codes)),
            (19, Field::Bytes(text)) => ("conditions", json!([String::from_utf8(text).unwrap()])),
            (20, Field::Bytes(entry)) => ("extras", extras(&entry)),
            other => panic!("no such field in a frame: {other:?}"),
        };
        assert!(item.insert(name.into(), value).is_none(), "{name} twice");
    }
    item
}

fn scan(bytes: &[u8]) -> Map<String, Value> {
    let texts = BTreeMap::from([
        (4, "scanner"),
        (5, "cylinder"),
        (7, "operator"),
        (8, "counterparty"),
        (9, "medium"),
        (18, "request"),
    ]);
    let mut item = Map::new();
    for (tag, field) in fields(bytes) {
        let (name, value) = match (tag, field) {
            (1, Field::Varint(n)) => ("boot", json!(n)),
            (2, Field::Varint(n)) => ("seq", json!(n)),
            (3, Field::Varint(n)) => ("observed_at_ms", json!(n as i64)),
            (6, Field::Varint(n)) => ("event", json!(SCANS[n as usize - 1])),
            (10, Field::Varint(n)) => ("tare_g", json!(n)),
            (11, Field::Varint(n)) => ("gross_g", json!(n)),
            (12, Field::Varint(n)) => ("net_g", json!(n)),
            (14, Field::Varint(n)) => ("passed", json!(n == 1)),
            (tag, Field::Bytes(text)) if texts.contains_key(&tag) => {
                (texts[&tag], json!(String::from_utf8(text).unwrap()))
            }
            other => panic!("no such field in a scan: {other:?}"),
        };
        assert!(item.insert(name.into(), value).is_none(), "{name} twice");
    }
    item
}

fn extras(entry: &[u8]) -> Value {
    match fields(entry).as_slice() {
        [(1, Field::Bytes(name)), (2, Field::Fixed64(value))] => {
            json!({ std::str::from_utf8(name).unwrap(): f64::from_bits(*value) })
        }
        other => panic!("no such entry: {other:?}"),
    }
}

#[derive(Debug, Clone)]
enum Field {
    Varint(u64),
    Fixed64(u64),
    Bytes(Vec<u8>),
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)),
            1 => Field::Fixed64(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let len = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, len).to_vec())
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn packed(mut bytes: &[u8]) -> Value {
    let mut codes = Vec::new();
    while !bytes.is_empty() {
        codes.push(varint(&mut bytes));
    }
    json!(codes)
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a varint has at most ten bytes");
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    taken
}

fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}
