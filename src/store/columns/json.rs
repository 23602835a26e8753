//! The few columns that hold JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::alert::Evidence;
use crate::store::StoreError;

/// `{"name": number, …}`; `None` if there are none.
///
/// JSON numbers have no negative zero once PostgreSQL has stored them, and no infinities: those are written as
/// strings, which `(extras->>'name')::float8` reads just the same.
pub(super) fn extras_text(extras: &[(Box<str>, f64)]) -> Option<String> {
    if extras.is_empty() {
        return None;
    }
    let number = |value: f64| {
        let plain = value.is_finite() && !(value == 0.0 && value.is_sign_negative());
        if plain { serde_json::Value::from(value) } else { serde_json::Value::from(value.to_string()) }
    };
    let map: serde_json::Map<_, _> = extras.iter().map(|(name, value)| (name.to_string(), number(*value))).collect();
    Some(serde_json::Value::Object(map).to_string())
}

pub(super) fn extras_from(text: Option<&str>) -> Result<Vec<(Box<str>, f64)>, StoreError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let wrong = |error: &dyn std::fmt::Display| StoreError::corrupt("a frame's extras", format!("{error}: {text}"));
    // The digits are parsed by the standard library, which is exact; serde_json may be off by the last bit.
    let map: BTreeMap<Box<str>, Box<RawValue>> = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let number = |(name, raw): (Box<str>, Box<RawValue>)| {
        let value = raw.get().trim_matches('"').parse().map_err(|error: std::num::ParseFloatError| wrong(&error))?;
        Ok((name, value))
    };
    map.into_iter().map(number).collect()
}

#[derive(Serialize, Deserialize)]
struct EvidenceJson {
    name: Box<str>,
    value: Box<str>,
    age_ms: Option<i64>,
}

pub(super) fn evidence_text(evidence: &[Evidence]) -> String {
    let list: Vec<EvidenceJson> = evidence
        .iter()
        .map(|e| EvidenceJson { name: e.name.clone(), value: e.value.clone(), age_ms: e.age_ms })
        .collect();
    serde_json::to_string(&list).expect("texts and integers always have a JSON form")
}

pub(super) fn evidence_from(text: &str) -> Result<Vec<Evidence>, StoreError> {
    let list: Vec<EvidenceJson> =
        serde_json::from_str(text).map_err(|error| StoreError::corrupt("an alert's evidence", error))?;
    Ok(list.into_iter().map(|e| Evidence { name: e.name, value: e.value, age_ms: e.age_ms }).collect())
}
