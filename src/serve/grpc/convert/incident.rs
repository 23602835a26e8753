//! Incidents, their events, and what people ask of them.

use super::alert::list;
use super::{text, timestamp};
use crate::core::dispatch::kpi::{Kpis, Rate, Spans};
use crate::core::dispatch::machine;
use crate::limits;
use crate::model::actor::Actor;
use crate::model::alert::Place;
use crate::model::ids::{AlertId, DeviceCode, District, FirmId, RuleId};
use crate::model::incident::{
    Call, Caller, Cause, Ending, Incident, IncidentEvent, Leg, Party, Reassurance, State, Step, StepKind, Tier, Whom,
};
use crate::pages::IncidentFilter;
use crate::proto::v1;
use crate::serve::grpc::Violations;

pub(in super::super) fn incident(it: &Incident) -> v1::Incident {
    let scene = &it.scene;
    v1::Incident {
        id: it.id.to_string(),
        state: it.state.number(),
        device: text(scene.device.as_ref().map(DeviceCode::as_str)),
        rescue_code: text(scene.rescue_code.as_deref()),
        district: text(scene.place.district.as_ref().map(District::as_str)),
        address: text(scene.place.address.as_deref()),
        firm: text(scene.firm.as_ref().map(FirmId::as_str)),
        rule: text(scene.rule.as_ref().map(RuleId::as_str)),
        severity: it.severity.number(),
        certainty: it.certainty.number(),
        occupied: it.occupied,
        received_at: Some(timestamp(it.received_at)),
        changed_at: Some(timestamp(it.changed_at)),
        alerts: it
            .alerts
            .iter()
            .map(|joined| v1::IncidentAlert {
                alert_id: joined.alert.to_string(),
                open: joined.is_open,
                cleared_by_hand: joined.by_hand,
            })
            .collect(),
        sensors_say_over: it.sensors_say_over(),
        calls: it.calls,
        caller: it.caller.as_ref().map(caller),
        legs: it.legs.iter().map(leg).collect(),
        proposed: it.proposed.as_ref().map(party),
        accept_by_ms: it.accept_by_ms,
        arrive_by_ms: it.arrive_by_ms,
        arrival_late: it.arrival_late,
        freed_ms: it.freed_ms,
        over_ms: it.over_ms,
        ending: it.ending.as_ref().map(ending),
        entries: it.entries,
        possible: machine::legal(it.state).iter().map(|step| step.number()).collect(),
        reassurance: it.reassurance.map_or(0, Reassurance::number),
        unanswered_ms: it.unanswered_ms,
    }
}

fn caller(it: &Caller) -> v1::Caller {
    v1::Caller { name: text(it.name.as_deref()), phone: text(it.phone.as_deref()) }
}

fn party(it: &Party) -> v1::Party {
    let [id, name] = [&it.id, &it.name].map(|text| text.to_string());
    v1::Party { tier: it.tier.number(), id, name, phone: text(it.phone.as_deref()) }
}

fn leg(it: &Leg) -> v1::IncidentLeg {
    v1::IncidentLeg {
        party: Some(party(&it.party)),
        commanded_ms: it.commanded_ms,
        took_over: it.took_over,
        accepted_ms: it.accepted_ms,
        turned_out_ms: it.turned_out_ms,
        arrived_ms: it.arrived_ms,
        ended_ms: it.ended_ms,
        declined: it.declined,
    }
}

fn ending(it: &Ending) -> v1::IncidentEnding {
    let (cause, action) = (it.cause.number(), it.action.to_string());
    v1::IncidentEnding { persons_freed: Some(it.persons_freed), cause, action }
}

/// `previous` is the seq that the stream sent before; 0 outside streams.
pub(in super::super) fn incident_event(event: &IncidentEvent, previous: u64) -> v1::IncidentEvent {
    let entry = &event.entry;
    v1::IncidentEvent {
        epoch: entry.epoch,
        seq: entry.seq,
        previous_seq: previous,
        incident_id: event.incident.id.to_string(),
        kind: entry.what.number(),
        source: entry.source.number(),
        at: Some(timestamp(entry.at)),
        since_ms: entry.since_ms,
        actor: text(entry.actor.as_deref()),
        note: text(entry.note.as_deref()),
        party: entry.party.as_ref().map(party),
        alert_id: entry.alert.as_ref().map(AlertId::to_string).unwrap_or_default(),
        caller: entry.caller.as_ref().map(caller),
        ending: entry.ending.as_ref().map(ending),
        incident: Some(incident(&event.incident)),
    }
}

/// What `actor` asks for.
pub(in super::super) fn incident_filter(
    asked: v1::IncidentFilter,
    actor: Actor,
    violations: &mut Violations,
) -> IncidentFilter {
    let state = |n: &i32| State::from_number(*n).ok_or_else(|| format!("{n} is no state of an incident"));
    let (districts, devices) = (&asked.districts, &asked.devices);
    IncidentFilter {
        districts: list("filter.districts", districts, limits::FILTER_ITEMS, |t| District::parse(t), violations),
        devices: list("filter.devices", devices, limits::FILTER_SUBJECTS, |t| DeviceCode::parse(t), violations),
        states: list("filter.states", &asked.states, State::ALL.len(), state, violations),
        ..IncidentFilter::all(actor)
    }
}

/// A call as it was taken. It says where: by lift, plate or place.
pub(in super::super) fn call(asked: &v1::OpenIncidentRequest, violations: &mut Violations) -> Call {
    let most = limits::CALL_TEXT_CHARS;
    let who = asked.caller.clone().unwrap_or_default();
    let call = Call {
        device: violations.optional("device", &asked.device, DeviceCode::parse),
        rescue_code: violations.optional_text("rescue_code", &asked.rescue_code, limits::PHONE_CHARS),
        place: Place {
            district: violations.optional("district", &asked.district, District::parse),
            address: violations.optional_text("address", &asked.address, most),
        },
        caller: Caller {
            name: violations.optional_text("caller.name", &who.name, most),
            phone: violations.optional_text("caller.phone", &who.phone, limits::PHONE_CHARS),
        },
        occupied: asked.occupied,
        note: violations.optional_text("note", &asked.note, limits::NOTE_CHARS),
    };
    if asked.device.is_empty() && asked.rescue_code.is_empty() && asked.address.is_empty() {
        violations.add("device", "say where: `device`, `rescue_code` or `address`");
    }
    call
}

/// The step, with what comes with it.
pub(in super::super) fn step(asked: &v1::AdvanceIncidentRequest, violations: &mut Violations) -> Option<Step> {
    let kind = StepKind::from_number(asked.step).ok_or("is missing, or no step that this service knows");
    Some(match violations.take("step", kind)? {
        StepKind::Command => Step::Command(whom(asked, violations)?),
        StepKind::Accept => Step::Accept,
        StepKind::Decline => Step::Decline,
        StepKind::TurnOut => Step::TurnOut,
        StepKind::Arrive => Step::Arrive,
        StepKind::HandOver => Step::HandOver(whom(asked, violations)?),
        StepKind::Free => Step::Free,
        StepKind::Close => Step::Close(ending_from(asked.ending.clone().unwrap_or_default(), violations)?),
        StepKind::FalseAlarm => Step::FalseAlarm,
        StepKind::Note => {
            if asked.note.is_empty() {
                violations.add("note", "is missing");
            }
            Step::Note
        }
    })
}

fn whom(asked: &v1::AdvanceIncidentRequest, violations: &mut Violations) -> Option<Whom> {
    let tier = violations.take("tier", Tier::from_number(asked.tier).ok_or("is missing, or no tier"));
    let id = violations.optional_text("party_id", &asked.party_id, limits::TABLE_TEXT_CHARS);
    Some(Whom { tier: tier?, id })
}

fn ending_from(asked: v1::IncidentEnding, violations: &mut Violations) -> Option<Ending> {
    let persons = asked.persons_freed.ok_or("is missing: say how many people were freed, also when it is 0");
    let persons_freed = violations.take("ending.persons_freed", persons);
    if persons_freed.is_some_and(|persons| persons > limits::PERSONS_FREED) {
        violations.add("ending.persons_freed", format!("more than {} don't fit a lift", limits::PERSONS_FREED));
    }
    let cause = violations.take("ending.cause", Cause::from_number(asked.cause).ok_or("is missing, or no cause"));
    let action = violations.text("ending.action", &asked.action, limits::CALL_TEXT_CHARS);
    Some(Ending { persons_freed: persons_freed?, cause: cause?, action: action? })
}

/// `coverage`: how many lifts there are, and how many of them reported.
pub(in super::super) fn kpis(it: &Kpis, coverage: (u64, u64)) -> v1::GetKpisResponse {
    let by = |rates: &std::collections::BTreeMap<Box<str>, Rate>| {
        rates.iter().map(|(name, it)| v1::KpiRateOf { name: name.to_string(), rate: Some(rate(*it)) }).collect()
    };
    v1::GetKpisResponse {
        incidents: it.incidents,
        freed: it.freed,
        false_alarms: it.false_alarms,
        going: it.going,
        persons_freed: it.persons_freed,
        response: Some(spans(&it.response)),
        turnout: Some(spans(&it.turnout)),
        arrival: Some(spans(&it.arrival)),
        rescue: Some(spans(&it.rescue)),
        turnouts: Some(rate(it.turnouts)),
        in_time: Some(rate(it.in_time)),
        false_alarm: Some(rate(it.false_alarm)),
        false_alarm_by_rule: by(&it.false_alarm_by_rule),
        false_alarm_by_firm: by(&it.false_alarm_by_firm),
        false_alarm_by_terminal: by(&it.false_alarm_by_terminal),
        coverage: Some(v1::KpiRate { numerator: coverage.1, denominator: coverage.0 }),
    }
}

fn spans(it: &Spans) -> v1::KpiSpans {
    let (mean_ms, median_ms, p90_ms) = (it.mean_ms(), it.median_ms(), it.p90_ms());
    v1::KpiSpans { count: it.count(), of: it.of, mean_ms, median_ms, p90_ms }
}

fn rate(it: Rate) -> v1::KpiRate {
    v1::KpiRate { numerator: it.numerator, denominator: it.denominator }
}
