//! An event as JSON: the words of `vigil watch --json` and of the calls, in one object a delivery.

use serde_json::{Value, json};

use crate::cap::Told;
use crate::core::dispatch::machine;
use crate::model::alert::{Acknowledged, Alert, AlertEvent, Evidence, Group};
use crate::model::ids::RuleId;
use crate::model::incident::{Entry, Incident, IncidentEvent, Joined, Leg, Party, Reassurance, StepKind};
use crate::model::time::Wall;

/// `id` tells the event from all others, also those of other services.
pub(super) fn json(id: &str, instance: &str, target: &str, told: Told<'_>) -> Value {
    let event = match told {
        Told::Alert(event) => alert_event(event),
        Told::Incident(event) => incident_event(event),
    };
    json!({ "id": id, "instance": instance, "target": target, "stream": told.stream(), "event": event })
}

fn time(at: Wall) -> String {
    at.to_string()
}

fn alert_event(it: &AlertEvent) -> Value {
    json!({
        "epoch": it.epoch,
        "seq": it.seq,
        "kind": it.kind.name(),
        "reason": it.reason.name(),
        "at": time(it.at),
        "published_at": time(it.published_at),
        "delayed": it.delayed,
        "actor": it.actor,
        "note": it.note,
        "alert": alert(&it.alert),
    })
}

fn alert(it: &Alert) -> Value {
    let evidence = |it: &Evidence| json!({ "name": it.name, "value": it.value, "age_ms": it.age_ms });
    let acknowledged = |it: &Acknowledged| json!({ "by": it.by, "at": time(it.at) });
    json!({
        "id": it.id.to_string(),
        "subject": it.id.subject.to_string(),
        "rule": it.id.rule.as_str(),
        "opening": it.id.opening,
        "state": it.state.name(),
        "severity": it.severity.name(),
        "certainty": it.certainty.name(),
        "opened_at": time(it.opened_at),
        "cleared_at": it.cleared_at.map(time),
        "acknowledged": it.acknowledged.as_ref().map(acknowledged),
        "evidence": it.evidence.iter().map(evidence).collect::<Vec<_>>(),
        "unregistered": it.unregistered,
        "district": it.place.district.as_ref().map(|district| district.as_str()),
        "address": it.place.address,
        "title": { "en": it.title.en, "zh": it.title.zh },
        "dispatch": it.dispatch,
        "occupied": it.occupied,
        "group": it.group.as_ref().map(|group| self::group(group, &it.id.rule)),
        "flapping": it.flapping,
    })
}

fn group(it: &Group, rule: &RuleId) -> Value {
    json!({
        "id": it.id(rule),
        "scope": it.scope.name(),
        "place": it.place.as_str(),
        "began_at": time(it.began_at),
        "lifts": it.lifts,
    })
}

fn incident_event(it: &IncidentEvent) -> Value {
    let Entry { at, since_ms, what, source, actor, note, alert, .. } = &it.entry;
    json!({
        "epoch": it.entry.epoch,
        "seq": it.entry.seq,
        "kind": what.name(),
        "source": source.name(),
        "at": time(*at),
        "since_ms": since_ms,
        "actor": actor,
        "note": note,
        "party": it.entry.party.as_ref().map(party),
        "alert_id": alert.as_ref().map(ToString::to_string),
        "incident": incident(&it.incident),
    })
}

fn incident(it: &Incident) -> Value {
    let scene = &it.scene;
    let joined = |it: &Joined| json!({ "id": it.alert.to_string(), "open": it.is_open, "cleared_by_hand": it.by_hand });
    json!({
        "id": it.id.to_string(),
        "state": it.state.name(),
        "device": scene.device.as_ref().map(|device| device.as_str()),
        "rescue_code": scene.rescue_code,
        "district": scene.place.district.as_ref().map(|district| district.as_str()),
        "address": scene.place.address,
        "firm": scene.firm.as_ref().map(|firm| firm.as_str()),
        "rule": scene.rule.as_ref().map(RuleId::as_str),
        "severity": it.severity.name(),
        "certainty": it.certainty.name(),
        "occupied": it.occupied,
        "received_at": time(it.received_at),
        "changed_at": time(it.changed_at),
        "alerts": it.alerts.iter().map(joined).collect::<Vec<_>>(),
        "sensors_say_over": it.sensors_say_over(),
        "calls": it.calls,
        "caller": it.caller.as_ref().map(|it| json!({ "name": it.name, "phone": it.phone })),
        "legs": it.legs.iter().map(leg).collect::<Vec<_>>(),
        "proposed": it.proposed.as_ref().map(party),
        "accept_by_ms": it.accept_by_ms,
        "arrive_by_ms": it.arrive_by_ms,
        "unanswered_ms": it.unanswered_ms,
        "arrival_late": it.arrival_late,
        "freed_ms": it.freed_ms,
        "over_ms": it.over_ms,
        "ending": it.ending.as_ref().map(|it| {
            json!({ "persons_freed": it.persons_freed, "cause": it.cause.name(), "action": it.action })
        }),
        "reassurance": it.reassurance.map(Reassurance::name),
        "possible": machine::legal(it.state).iter().copied().map(StepKind::name).collect::<Vec<_>>(),
    })
}

fn leg(it: &Leg) -> Value {
    json!({
        "party": party(&it.party),
        "commanded_ms": it.commanded_ms,
        "took_over": it.took_over,
        "accepted_ms": it.accepted_ms,
        "turned_out_ms": it.turned_out_ms,
        "arrived_ms": it.arrived_ms,
        "ended_ms": it.ended_ms,
        "declined": it.declined,
    })
}

fn party(it: &Party) -> Value {
    json!({ "tier": it.tier.name(), "id": it.id, "name": it.name, "phone": it.phone })
}
