//! Alerts as lines for people and as JSON for programs.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::time::{civil, from_proto, rfc3339, span};
use crate::model::alert::{AlertState, Certainty, EventKind, Reason, Severity, StormScope};
use crate::proto::v1::{Alert, AlertEvent, AlertGroup};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    En,
    Zh,
}

/// How lines look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) zone: TimeZone,
    pub(super) language: Language,
    pub(super) colour: bool,
}

impl Look {
    /// Time, severity, what happened, lift, address, title, evidence, how long it has stood.
    pub(super) fn event(&self, event: &AlertEvent) -> String {
        let alert = event.alert.clone().unwrap_or_default();
        let kind = name(EventKind::from_number(event.kind).map(EventKind::name));
        let mut line = format!("{} {}", civil(event.at.as_ref(), &self.zone), self.alert(&alert, kind, &event.reason));
        if let Some(stood_ms) = millis_between(&alert, event) {
            line += &format!(" | {} old", span(stood_ms));
        }
        line += &format!(" | {}", clean(&event.reason));
        if event.delayed {
            line += " | told late";
        }
        if !event.actor.is_empty() {
            line += &format!(" | by {}", clean(&event.actor));
        }
        if !event.note.is_empty() {
            line += &format!(": {}", clean(&event.note));
        }
        line + &format!(" | {}:{}", event.epoch, event.seq)
    }

    /// An alert that stands.
    pub(super) fn open(&self, alert: &Alert) -> String {
        format!("{} {}", civil(alert.opened_at.as_ref(), &self.zone), self.alert(alert, "open", ""))
    }

    /// `reason` is why it is as it is, where that is known.
    fn alert(&self, alert: &Alert, what: &str, reason: &str) -> String {
        let title = alert.title.clone().unwrap_or_default();
        let title = match self.language {
            Language::Zh if !title.zh.is_empty() => title.zh,
            Language::En | Language::Zh if !title.en.is_empty() => title.en,
            Language::En | Language::Zh => alert.rule.clone(),
        };
        let certainty = name(Certainty::from_number(alert.certainty).map(Certainty::name));
        let address = if alert.address.is_empty() { "address not known" } else { &alert.address };
        let mut line = format!(
            "{} {what:<12} {} | {} | {} ({certainty})",
            self.severity(alert.severity),
            clean(&alert.subject),
            clean(address),
            clean(&title),
        );
        let evidence: Vec<_> = alert
            .evidence
            .iter()
            .map(|e| {
                let age = e.age_ms.map(|ms| format!(" for {}", span(ms))).unwrap_or_default();
                format!("{}={}{age}", clean(&e.name), clean(&e.value))
            })
            .collect();
        if !evidence.is_empty() {
            line += &format!(" | {}", evidence.join(", "));
        }
        let is_over = AlertState::from_number(alert.state) == Some(AlertState::Cleared);
        line += match alert.occupied {
            Some(true) if is_over && is_by_sensors(reason) => " | the sensors no longer say so",
            Some(true) if is_over => " | people were in the car",
            Some(true) => " | people in the car",
            Some(false) => " | car empty",
            None => "",
        };
        if let Some(group) = &alert.group {
            line += &format!(" | {}", group_words(&alert.rule, group));
        }
        if alert.flapping {
            line += " | flapping";
        }
        line
    }

    fn severity(&self, number: i32) -> String {
        let severity = Severity::from_number(number);
        let padded = format!("{:<8}", name(severity.map(Severity::name)));
        let code = match severity {
            Some(Severity::Critical) => "1;31",
            Some(Severity::Major) => "31",
            Some(Severity::Minor) => "33",
            Some(Severity::Warning) | None => "36",
        };
        if self.colour { format!("\x1b[{code}m{padded}\x1b[0m") } else { padded }
    }
}

/// Whether sensors brought it about: not people, other rules or another version of the service.
fn is_by_sensors(reason: &str) -> bool {
    Reason::from_name(reason).is_some_and(Reason::is_by_sensors)
}

/// `group power-lost in feeder F12: 60 lifts`.
fn group_words(rule: &str, group: &AlertGroup) -> String {
    let scope = name(StormScope::from_number(group.scope).map(StormScope::name));
    format!("group {} in {scope} {}: {} lifts", clean(rule), clean(&group.place), group.lifts)
}

fn group_json(group: &AlertGroup) -> Value {
    json!({
        "id": group.id,
        "scope": name(StormScope::from_number(group.scope).map(StormScope::name)),
        "place": group.place,
        "began_at": rfc3339(group.began_at.as_ref()),
        "lifts": group.lifts,
    })
}

fn millis_between(alert: &Alert, event: &AlertEvent) -> Option<i64> {
    let opened = from_proto(alert.opened_at.as_ref())?;
    Some(from_proto(event.at.as_ref())?.as_millisecond() - opened.as_millisecond())
}

fn name(name: Option<&'static str>) -> &'static str {
    name.unwrap_or("unknown")
}

/// Without control characters: what devices and people wrote mustn't steer a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

pub(super) fn event_json(event: &AlertEvent) -> Value {
    json!({
        "epoch": event.epoch,
        "seq": event.seq,
        "previous_seq": event.previous_seq,
        "kind": name(EventKind::from_number(event.kind).map(EventKind::name)),
        "reason": event.reason,
        "at": rfc3339(event.at.as_ref()),
        "published_at": rfc3339(event.published_at.as_ref()),
        "delayed": event.delayed,
        "actor": event.actor,
        "note": event.note,
        "alert": event.alert.as_ref().map(alert_json),
    })
}

pub(super) fn alert_json(alert: &Alert) -> Value {
    let evidence = |e: &crate::proto::v1::Evidence| json!({ "name": e.name, "value": e.value, "age_ms": e.age_ms });
    json!({
        "id": alert.id,
        "subject": alert.subject,
        "rule": alert.rule,
        "opening": alert.opening,
        "state": name(AlertState::from_number(alert.state).map(AlertState::name)),
        "severity": name(Severity::from_number(alert.severity).map(Severity::name)),
        "certainty": name(Certainty::from_number(alert.certainty).map(Certainty::name)),
        "opened_at": rfc3339(alert.opened_at.as_ref()),
        "cleared_at": rfc3339(alert.cleared_at.as_ref()),
        "acknowledged": alert.acknowledged.as_ref().map(|a| json!({ "by": a.by, "at": rfc3339(a.at.as_ref()) })),
        "evidence": alert.evidence.iter().map(evidence).collect::<Vec<_>>(),
        "unregistered": alert.unregistered,
        "district": alert.district,
        "address": alert.address,
        "title": alert.title.as_ref().map(|t| json!({ "en": t.en, "zh": t.zh })),
        "dispatch": alert.dispatch,
        "occupied": alert.occupied,
        "group": alert.group.as_ref().map(group_json),
        "flapping": alert.flapping,
    })
}
