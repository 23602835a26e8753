//! The columns of incidents and of what happened to them. Those that people ask by stand apart; the whole is the body, in
//! the form of the journals (`journal.proto`).

use super::{Columns, Unfit, Value, big};
use crate::model::ids::{DeviceCode, District, FirmId, RuleId};
use crate::model::incident::{Incident, IncidentEvent};
use crate::proto::incident;
use crate::proto::read::CodecError;
use crate::store::StoreError;

pub(crate) const EVENT_COLUMNS: &[&str] = &[
    "epoch",
    "seq",
    "incident_epoch",
    "incident_number",
    "what",
    "source",
    "at",
    "since_ms",
    "tier",
    "party",
    "actor",
    "note",
    "body",
];

/// Of the table `incident`, each as its last event left it.
pub(crate) const COLUMNS: &[&str] =
    &["epoch", "number", "device", "district", "firm", "rule", "state", "received_at", "changed_at", "body"];
pub(crate) const KEY: &[&str] = &["epoch", "number"];

pub(crate) fn push_event<'a>(event: &'a IncidentEvent, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let (entry, id) = (&event.entry, event.incident.id);
    out.extend([
        entry.epoch.into(),
        big("seq", entry.seq)?,
        id.epoch.into(),
        big("incident_number", id.number)?,
        Value::text(entry.what.name()),
        Value::text(entry.source.name()),
        Value::Time(entry.at),
        Value::Big(entry.since_ms),
        entry.party.as_ref().map_or(Value::Null, |party| Value::text(party.tier.name())),
        entry.party.as_ref().map_or(Value::Null, |party| Value::text(&party.id)),
        Value::text_or_null(&entry.actor),
        Value::text_or_null(&entry.note),
        Value::Blob(incident::encode_event(event)),
    ]);
    Ok(())
}

pub(crate) fn push<'a>(it: &'a Incident, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let scene = &it.scene;
    out.extend([
        it.id.epoch.into(),
        big("number", it.id.number)?,
        scene.device.as_ref().map(DeviceCode::as_str).map_or(Value::Null, Value::text),
        scene.place.district.as_ref().map(District::as_str).map_or(Value::Null, Value::text),
        scene.firm.as_ref().map(FirmId::as_str).map_or(Value::Null, Value::text),
        scene.rule.as_ref().map(RuleId::as_str).map_or(Value::Null, Value::text),
        Value::text(it.state.name()),
        Value::Time(it.received_at),
        Value::Time(it.changed_at),
        Value::Blob(incident::encode(it)),
    ]);
    Ok(())
}

pub(crate) fn read_event(columns: &mut dyn Columns) -> Result<IncidentEvent, StoreError> {
    let body = columns.bytes()?;
    incident::decode_event(&body).map_err(|error| wrong(columns, &error))
}

pub(crate) fn read(columns: &mut dyn Columns) -> Result<Incident, StoreError> {
    let body = columns.bytes()?;
    incident::decode(&body).map_err(|error| wrong(columns, &error))
}

/// How many lifts there are, and how many of them reported.
pub(crate) fn read_reporting(columns: &mut dyn Columns) -> Result<(u64, u64), StoreError> {
    let (lifts, reported) = (columns.number()?, columns.number()?);
    Ok((columns.present(lifts)?, columns.present(reported)?))
}

fn wrong(columns: &dyn Columns, error: &CodecError) -> StoreError {
    StoreError::corrupt(columns.what(), error)
}
