//! The few columns that hold JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::alert::Evidence;
use crate::model::archive::{Entrustment, FieldChange};
use crate::model::ids::SiteCode;
use crate::model::time::CivilDay;
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

#[derive(Serialize, Deserialize)]
struct EntrustmentJson {
    site: String,
    from: String,
    to: Option<String>,
}

/// `[{"site": "6401-B", "from": "2026-05-01", "to": null}, …]`; `None` if there are none.
pub(super) fn entrusted_text(entrusted: &[Entrustment]) -> Option<String> {
    let list: Vec<EntrustmentJson> = entrusted
        .iter()
        .map(|it| EntrustmentJson {
            site: it.site.to_string(),
            from: it.from.to_string(),
            to: it.to.map(|to| to.to_string()),
        })
        .collect();
    (!list.is_empty()).then(|| serde_json::to_string(&list).expect("texts always have a JSON form"))
}

pub(super) fn entrusted_from(text: Option<&str>) -> Result<Vec<Entrustment>, StoreError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let wrong = |error: &dyn std::fmt::Display| StoreError::corrupt("a cylinder's entrustments", error);
    let list: Vec<EntrustmentJson> = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let day = |text: &str| CivilDay::parse(text).ok_or_else(|| wrong(&format!("{text:?} is no day")));
    let read = |it: &EntrustmentJson| {
        Ok(Entrustment {
            site: SiteCode::parse(&it.site).map_err(|error| wrong(&error))?,
            from: day(&it.from)?,
            to: it.to.as_deref().map(day).transpose()?,
        })
    };
    list.iter().map(read).collect()
}

#[derive(Serialize, Deserialize)]
struct FieldChangeJson {
    field: Box<str>,
    before: Box<str>,
    after: Box<str>,
}

/// `[{"field": "firm", "before": "nx-lift", "after": "nx-2"}, …]`; `None` if there are none.
pub(super) fn changes_text(changes: &[FieldChange]) -> Option<String> {
    let list: Vec<FieldChangeJson> = changes
        .iter()
        .map(|it| FieldChangeJson { field: it.field.clone(), before: it.before.clone(), after: it.after.clone() })
        .collect();
    (!list.is_empty()).then(|| serde_json::to_string(&list).expect("texts always have a JSON form"))
}

pub(super) fn changes_from(text: Option<&str>) -> Result<Vec<FieldChange>, StoreError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let list: Vec<FieldChangeJson> =
        serde_json::from_str(text).map_err(|error| StoreError::corrupt("a change of the archive", error))?;
    Ok(list.into_iter().map(|it| FieldChange { field: it.field, before: it.before, after: it.after }).collect())
}
