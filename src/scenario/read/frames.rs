//! Frames and scans: fields by the names of the wire contract, and states that have a name.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Reader;
use crate::core::rules::did_you_mean;
use crate::core::rules::section::{Section, article, table};
use crate::scenario::{Claimed, FrameSpec};

/// What a frame may say, beside when the terminal saw it.
const FIELDS: &[&str] = &[
    "boot",
    "seq",
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
    "extras",
    "cleared",
];
const TIMES: &[&str] = &["as", "late", "claimed"];
const SCAN_FIELDS: &[&str] = &[
    "scanner",
    "boot",
    "seq",
    "cylinder",
    "event",
    "operator",
    "counterparty",
    "medium",
    "tare_g",
    "gross_g",
    "net_g",
    "pressure_kpa",
    "passed",
    "findings",
    "request",
    "valid_until",
];

/// States that are wanted in every second timeline.
fn well_known() -> BTreeMap<String, Map<String, Value>> {
    let state = |value: Value| value.as_object().cloned().unwrap_or_default();
    let stopped = |door_zone: bool, passenger: bool| {
        state(json!({
            "mode": "normal", "car": "stopped", "direction": "none", "door_zone": door_zone, "door": "closed",
            "passenger": passenger,
        }))
    };
    let running = state(json!({
        "mode": "normal", "car": "running", "direction": "up", "door": "closed", "passenger": true,
    }));
    [
        ("idle", stopped(true, false)),
        ("waiting", stopped(true, true)),
        ("stuck", stopped(false, true)),
        ("stuck_empty", stopped(false, false)),
        ("running", running),
    ]
    .map(|(name, state)| (name.to_owned(), state))
    .into()
}

impl<'a> Reader<'a> {
    pub(super) fn read_states(&mut self, top: &Section<'a>) {
        self.states = well_known();
        let Some((_, value)) = top.key("states") else { return };
        let Some((_, states)) = table("states", value, &mut self.faults) else { return };
        for (name, value) in states {
            let Some((start, state)) = table(name.get_ref(), value, &mut self.faults) else { continue };
            let fields = self.fields(state, start, "a state", &[FIELDS, &["as"]].concat());
            self.states.insert(name.get_ref().to_string(), fields);
        }
    }

    /// A frame is the name of a state, or a table of fields.
    pub(super) fn frame(&mut self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<FrameSpec> {
        if let DeValue::String(name) = value.get_ref() {
            let fields = self.state(name, value.span().start)?;
            return Some(FrameSpec { fields, claimed: Claimed::Late(0) });
        }
        let DeValue::Table(frame) = value.get_ref() else {
            let got = article(value.get_ref());
            let message = format!("`{key}` is a table of fields or the name of a state, not {got}");
            return self.faults.add(value.span().start, message);
        };
        let start = value.span().start;
        let fields = self.fields(frame, start, "a frame", &[FIELDS, TIMES].concat());
        let claimed = self.claimed(&Section::of(frame, start, "a frame"));
        Some(FrameSpec { fields, claimed })
    }

    fn claimed(&mut self, section: &Section<'_>) -> Claimed {
        let late_ms = self.span(section, "late", 0);
        let Some(claimed) = section.text("claimed", &mut self.faults) else {
            return Claimed::Late(late_ms.unwrap_or(0));
        };
        if section.has("late") {
            self.faults.add::<()>(claimed.span.start, "a frame has `late` or `claimed`, not both");
        }
        if claimed.value == "none" {
            return Claimed::None;
        }
        Claimed::At(self.span_of("claimed", &claimed, i64::MIN).unwrap_or(0))
    }

    /// The fields of a table, upon those of the state that it names.
    fn fields(
        &mut self,
        table: &'a DeTable<'a>,
        start: usize,
        what: &'static str,
        keys: &[&str],
    ) -> Map<String, Value> {
        let section = Section::new(table, start, what, keys, &mut self.faults);
        let base = section.text("as", &mut self.faults);
        let mut fields = base.and_then(|name| self.state(name.value, name.span.start)).unwrap_or_default();
        for (key, value) in table {
            let key = key.get_ref();
            if !TIMES.contains(&key.as_ref())
                && keys.contains(&key.as_ref())
                && let Some(value) = self.json(key, value)
            {
                fields.insert(key.to_string(), value);
            }
        }
        fields
    }

    fn state(&mut self, name: &str, at: usize) -> Option<Map<String, Value>> {
        if let Some(state) = self.states.get(name) {
            return Some(state.clone());
        }
        let names = self.states.keys().map(String::as_str);
        let hint = did_you_mean(name, names.clone());
        let hint = if hint.is_empty() { format!("; there are {}", names.collect::<Vec<_>>().join(", ")) } else { hint };
        self.faults.add(at, format!("there is no state `{name}`{hint}"))
    }

    /// The fields of a scan.
    pub(super) fn scan_fields(&mut self, table: &'a DeTable<'a>, start: usize) -> Map<String, Value> {
        let keys = [SCAN_FIELDS, &["site"]].concat();
        let mut fields = self.fields(table, start, "a scan", &keys);
        fields.remove("site");
        fields
    }

    fn json(&mut self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Value> {
        Some(match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Number(number.into()),
                Err(_) => return self.faults.add(value.span().start, format!("`{key}` is too large a number")),
            },
            DeValue::Float(number) => match number.as_str().parse().ok().and_then(Number::from_f64) {
                Some(number) => Value::Number(number),
                None => return self.faults.add(value.span().start, format!("`{key}` is no number that JSON has")),
            },
            DeValue::Array(items) => Value::Array(items.iter().filter_map(|item| self.json(key, item)).collect()),
            DeValue::Table(table) => {
                let of = |(name, value): (&'a Spanned<toml::de::DeString<'a>>, &'a Spanned<DeValue<'a>>)| {
                    Some((name.get_ref().to_string(), self.json(key, value)?))
                };
                Value::Object(table.iter().filter_map(of).collect())
            }
            DeValue::Datetime(_) => {
                return self.faults.add(value.span().start, format!("write `{key}` as a text in quotes"));
            }
        })
    }
}
