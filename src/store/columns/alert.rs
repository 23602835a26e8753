//! The columns of an alert, and of the events that made it what it is.

use super::{Columns, Unfit, Value, big, json};
use crate::model::alert::{
    Acknowledged, Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Group, Place, Reason, Severity,
    StormScope, Title,
};
use crate::model::ids::{AlertId, District, PlaceId, RuleId, Subject};
use crate::store::StoreError;

/// Of the table `alert`, which has `epoch` and `seq` of the last event beside them.
pub(crate) const ALERT_COLUMNS: &[&str] = &[
    "subject",
    "rule",
    "opening",
    "state",
    "severity",
    "certainty",
    "opened_at",
    "cleared_at",
    "acknowledged_by",
    "acknowledged_at",
    "evidence",
    "unregistered",
    "district",
    "address",
    "title_en",
    "title_zh",
    "dispatch",
    "occupied",
    "flapping",
    "group_scope",
    "group_place",
    "group_epoch",
    "group_seq",
    "group_began_at",
    "group_lifts",
];

/// Of the table `alert_event`, before those of the alert.
pub(crate) const EVENT_COLUMNS: &[&str] =
    &["epoch", "seq", "kind", "reason", "at", "published_at", "delayed", "actor", "note"];

pub(crate) fn push_event<'a>(event: &'a AlertEvent, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let seq = big("seq", event.seq)?;
    out.extend([
        event.epoch.into(),
        seq,
        Value::text(event.kind.name()),
        Value::text(event.reason.name()),
        Value::Time(event.at),
        Value::Time(event.published_at),
        Value::Bool(event.delayed),
        Value::text_or_null(&event.actor),
        Value::text_or_null(&event.note),
    ]);
    push_alert(&event.alert, out)
}

pub(crate) fn push_alert<'a>(alert: &'a Alert, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let group = alert.group.as_ref();
    let group_seq = group.map(|group| big("group_seq", group.began.seq)).transpose()?;
    let acknowledged = alert.acknowledged.as_ref();
    out.extend([
        Value::Text(alert.id.subject.to_string().into()),
        Value::text(alert.id.rule.as_str()),
        alert.id.opening.into(),
        Value::text(alert.state.name()),
        Value::text(alert.severity.name()),
        Value::text(alert.certainty.name()),
        Value::Time(alert.opened_at),
        Value::time_or_null(alert.cleared_at),
        acknowledged.map_or(Value::Null, |a| Value::text(&a.by)),
        Value::time_or_null(acknowledged.map(|a| a.at)),
        Value::Json(json::evidence_text(&alert.evidence)),
        Value::Bool(alert.unregistered),
        alert.place.district.as_ref().map_or(Value::Null, |district| Value::text(district.as_str())),
        Value::text_or_null(&alert.place.address),
        Value::text(&alert.title.en),
        Value::text(&alert.title.zh),
        Value::text_or_null(&alert.dispatch),
        alert.occupied.map_or(Value::Null, Value::Bool),
        Value::Bool(alert.flapping),
        group.map_or(Value::Null, |group| Value::text(group.scope.name())),
        group.map_or(Value::Null, |group| Value::text(group.place.as_str())),
        Value::u32_or_null(group.map(|group| group.began.epoch)),
        group_seq.unwrap_or(Value::Null),
        Value::time_or_null(group.map(|group| group.began_at)),
        Value::u32_or_null(group.map(|group| group.lifts)),
    ]);
    Ok(())
}

pub(crate) fn read_event(columns: &mut dyn Columns) -> Result<AlertEvent, StoreError> {
    let c = columns;
    let (epoch, seq) = (c.number()?, c.number()?);
    let (kind, reason) = (c.named(EventKind::from_name)?, c.named(Reason::from_name)?);
    let (at, published_at, delayed) = (c.time()?, c.time()?, c.bool()?);
    let (actor, note) = (c.boxed()?, c.boxed()?);
    let alert = read_alert(c)?;
    Ok(AlertEvent {
        seq: c.present(seq)?,
        epoch: c.present(epoch)?,
        kind,
        reason,
        at: c.present(at)?,
        published_at: c.present(published_at)?,
        delayed: c.present(delayed)?,
        actor,
        note,
        alert,
    })
}

pub(crate) fn read_alert(columns: &mut dyn Columns) -> Result<Alert, StoreError> {
    let c = columns;
    let (subject, rule, opening) = (c.parsed(Subject::parse)?, c.parsed(RuleId::parse)?, c.number()?);
    let (state, severity) = (c.named(AlertState::from_name)?, c.named(Severity::from_name)?);
    let certainty = c.named(Certainty::from_name)?;
    let (opened_at, cleared_at) = (c.time()?, c.time()?);
    let (acknowledged_by, acknowledged_at) = (c.boxed()?, c.time()?);
    let (evidence, unregistered) = (c.json()?, c.bool()?);
    let (district, address) = (c.parsed(District::parse)?, c.boxed()?);
    let (en, zh, dispatch) = (c.boxed()?, c.boxed()?, c.boxed()?);
    let (occupied, flapping) = (c.bool()?, c.bool()?);
    let group = read_group(c)?;
    Ok(Alert {
        id: AlertId { subject: c.present(subject)?, rule: c.present(rule)?, opening: c.present(opening)? },
        state,
        severity,
        certainty,
        opened_at: c.present(opened_at)?,
        cleared_at,
        acknowledged: acknowledged_by.zip(acknowledged_at).map(|(by, at)| Acknowledged { by, at }),
        evidence: json::evidence_from(&c.present(evidence)?)?,
        unregistered: c.present(unregistered)?,
        place: Place { district, address },
        title: Title { en: c.present(en)?, zh: c.present(zh)? },
        dispatch,
        occupied,
        group,
        flapping: c.present(flapping)?,
    })
}

fn read_group(c: &mut dyn Columns) -> Result<Option<Group>, StoreError> {
    let scope = c.parsed(|name| StormScope::from_name(name).ok_or("no scope of a storm"))?;
    let place = c.parsed(PlaceId::parse)?;
    let (epoch, seq) = (c.number()?, c.number()?);
    let (began_at, lifts) = (c.time()?, c.number()?);
    let Some(scope) = scope else { return Ok(None) };
    let began = Cursor { epoch: c.present(epoch)?, seq: c.present(seq)? };
    Ok(Some(Group { scope, place: c.present(place)?, began, began_at: c.present(began_at)?, lifts: c.present(lifts)? }))
}
