//! Alerts, their events, and filters.

use super::{text, timestamp};
use crate::feed::{Judged, LinkState};
use crate::limits;
use crate::model::actor::Actor;
use crate::model::alert::{Alert, AlertEvent, Cursor, EventKind, Group, Severity};
use crate::model::ids::{District, RuleId, Subject};
use crate::pages::Filter;
use crate::proto::v1;
use crate::serve::grpc::Violations;

pub(in super::super) fn alert(alert: &Alert) -> v1::Alert {
    v1::Alert {
        id: alert.id.to_string(),
        subject: alert.id.subject.to_string(),
        rule: alert.id.rule.to_string(),
        opening: alert.id.opening,
        state: alert.state.number(),
        severity: alert.severity.number(),
        certainty: alert.certainty.number(),
        opened_at: Some(timestamp(alert.opened_at)),
        cleared_at: alert.cleared_at.map(timestamp),
        acknowledged: alert
            .acknowledged
            .as_ref()
            .map(|a| v1::Acknowledgement { by: a.by.to_string(), at: Some(timestamp(a.at)) }),
        evidence: alert
            .evidence
            .iter()
            .map(|e| v1::Evidence { name: e.name.to_string(), value: e.value.to_string(), age_ms: e.age_ms })
            .collect(),
        unregistered: alert.unregistered,
        district: alert.place.district.map(|d| d.to_string()).unwrap_or_default(),
        address: text(alert.place.address.as_deref()),
        title: Some(v1::AlertTitle { en: alert.title.en.to_string(), zh: alert.title.zh.to_string() }),
        dispatch: text(alert.dispatch.as_deref()),
        occupied: alert.occupied,
        group: alert.group.as_ref().map(|it| group(&alert.id.rule, it)),
        flapping: alert.flapping,
    }
}

fn group(rule: &RuleId, group: &Group) -> v1::AlertGroup {
    v1::AlertGroup {
        id: group.id(rule),
        scope: group.scope.number(),
        place: group.place.to_string(),
        began_at: Some(timestamp(group.began_at)),
        lifts: group.lifts,
    }
}

/// `previous` is the seq that the stream sent before; 0 outside streams.
pub(in super::super) fn alert_event(event: &AlertEvent, previous: u64) -> v1::AlertEvent {
    v1::AlertEvent {
        epoch: event.epoch,
        seq: event.seq,
        previous_seq: previous,
        kind: event.kind.number(),
        reason: event.reason.name().to_owned(),
        at: Some(timestamp(event.at)),
        published_at: Some(timestamp(event.published_at)),
        delayed: event.delayed,
        actor: text(event.actor.as_deref()),
        note: text(event.note.as_deref()),
        alert: Some(alert(&event.alert)),
    }
}

pub(in super::super) fn heartbeat(scanned: Cursor, judged: Judged) -> v1::Heartbeat {
    let link = match judged.link {
        LinkState::Unknown => v1::LinkState::Unspecified,
        LinkState::Up => v1::LinkState::Up,
        LinkState::Down => v1::LinkState::Down,
        LinkState::Draining => v1::LinkState::Draining,
    };
    v1::Heartbeat {
        scanned: Some(v1::Cursor { epoch: scanned.epoch, seq: scanned.seq }),
        judged: judged.position.map(|position| v1::Judged { position, at: Some(timestamp(judged.wall)) }),
        link: link.into(),
        store_stalled_ms: judged.store_stalled_ms.try_into().unwrap_or(0),
    }
}

/// What `actor` asks for.
pub(in super::super) fn filter(asked: v1::AlertFilter, actor: Actor, violations: &mut Violations) -> Filter {
    let severity = Severity::from_number(asked.minimum_severity);
    if severity.is_none() && asked.minimum_severity != 0 {
        violations.add("filter.minimum_severity", format!("{} is no severity", asked.minimum_severity));
    }
    Filter {
        minimum_severity: severity,
        districts: list("filter.districts", &asked.districts, limits::FILTER_ITEMS, |t| District::parse(t), violations),
        rules: list("filter.rules", &asked.rules, limits::FILTER_ITEMS, |t| RuleId::parse(t), violations),
        subjects: list("filter.subjects", &asked.subjects, limits::FILTER_SUBJECTS, |t| Subject::parse(t), violations),
        ..Filter::all(actor)
    }
}

pub(in super::super) fn districts(asked: &[String], violations: &mut Violations) -> Vec<District> {
    list("districts", asked, limits::FILTER_ITEMS, |t| District::parse(t), violations)
}

pub(in super::super) fn kinds(asked: &[i32], violations: &mut Violations) -> Vec<EventKind> {
    let parse = |n: &i32| EventKind::from_number(*n).ok_or_else(|| format!("{n} is no kind of event"));
    list("kinds", asked, EventKind::ALL.len(), parse, violations)
}

/// The items that can be read; what is wrong with the others is noted.
pub(super) fn list<A, T, E: std::fmt::Display>(
    field: &str,
    asked: &[A],
    most: usize,
    parse: impl Fn(&A) -> Result<T, E>,
    violations: &mut Violations,
) -> Vec<T> {
    if asked.len() > most {
        violations.add(field, format!("holds {} items: at most {most} are taken", asked.len()));
        return Vec::new();
    }
    let take = |(i, item)| violations.take(&format!("{field}[{i}]"), parse(item));
    asked.iter().enumerate().filter_map(take).collect()
}
