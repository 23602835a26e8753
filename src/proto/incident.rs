//! Incidents as journals and snapshots hold them. The numbers are the fields of `journal.proto`.

use prost::Message as _;

use crate::model::alert::{Certainty, Place, Severity};
use crate::model::ids::{AlertId, DeviceCode, District, FirmId, RuleId};
use crate::model::incident::{
    Call, Caller, Cause, Ending, Entry, Incident, IncidentEvent, IncidentId, Joined, Leg, Party, Reassurance, Scene,
    Source, State, Step, StepKind, Tier, What, Whom,
};
use crate::model::time::Wall;
use crate::proto::internal as wire;
use crate::proto::read::{Result, each, known, numbered, some_code, some_text, there};
use crate::proto::write::number;
use crate::proto::writer::Writer;

/// As stores keep it.
pub fn encode_event(it: &IncidentEvent) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_event(&mut Writer::new(&mut bytes), it);
    bytes
}

pub fn decode_event(bytes: &[u8]) -> Result<IncidentEvent> {
    event(wire::IncidentEvent::decode(bytes)?)
}

pub fn encode(it: &Incident) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_incident(&mut Writer::new(&mut bytes), it);
    bytes
}

pub fn decode(bytes: &[u8]) -> Result<Incident> {
    incident(wire::Incident::decode(bytes)?)
}

pub fn write_event(w: &mut Writer<'_>, it: &IncidentEvent) {
    w.message(1, |w| write_entry(w, &it.entry));
    w.message(2, |w| write_incident(w, &it.incident));
}

pub fn event(it: wire::IncidentEvent) -> Result<IncidentEvent> {
    Ok(IncidentEvent {
        entry: entry(there("an entry", it.entry)?)?,
        incident: incident(there("an incident", it.incident)?)?,
    })
}

pub fn write_entry(w: &mut Writer<'_>, it: &Entry) {
    w.uint(1, it.seq);
    w.uint(2, it.epoch);
    w.int(3, it.at.0);
    w.int(4, it.since_ms);
    w.uint(5, number(it.what.number()));
    w.uint(6, number(it.source.number()));
    w.some_text(7, it.actor.as_deref());
    w.some_text(8, it.note.as_deref());
    w.some_message(9, it.scene.as_deref(), write_scene);
    w.some_message(10, it.party.as_ref(), write_party);
    w.some_text(11, it.alert.as_ref().map(AlertId::to_string).as_deref());
    w.some_uint(12, it.severity.map(|it| number(it.number())));
    w.some_uint(13, it.certainty.map(|it| number(it.number())));
    w.some_uint(14, it.occupied);
    w.some_message(15, it.caller.as_ref(), write_caller);
    w.some_int(16, it.accept_by_ms);
    w.some_int(17, it.arrive_by_ms);
    w.some_message(18, it.ending.as_ref(), write_ending);
    w.some_int(19, it.reassure_by_ms);
}

pub fn entry(it: wire::IncidentEntry) -> Result<Entry> {
    Ok(Entry {
        seq: it.seq,
        epoch: it.epoch,
        at: Wall(it.at_ms),
        since_ms: it.since_ms,
        what: numbered("kind of entry", it.what, What::from_number)?,
        source: numbered("source", it.source, Source::from_number)?,
        actor: some_text(it.actor),
        note: some_text(it.note),
        scene: it.scene.map(scene).transpose()?.map(Box::new),
        party: it.party.map(party).transpose()?,
        alert: some_code(it.alert, AlertId::parse)?,
        severity: it.severity.map(|got| numbered("severity", got, Severity::from_number)).transpose()?,
        certainty: it.certainty.map(|got| numbered("certainty", got, Certainty::from_number)).transpose()?,
        occupied: it.occupied,
        caller: it.caller.map(caller),
        accept_by_ms: it.accept_by_ms,
        arrive_by_ms: it.arrive_by_ms,
        ending: it.ending.map(ending).transpose()?,
        reassure_by_ms: it.reassure_by_ms,
    })
}

fn write_scene(w: &mut Writer<'_>, it: &Scene) {
    w.some_text(1, it.device.as_ref().map(DeviceCode::as_str));
    w.some_text(2, it.rescue_code.as_deref());
    w.some_text(3, it.place.district.as_ref().map(District::as_str));
    w.some_text(4, it.place.address.as_deref());
    w.some_text(5, it.firm.as_ref().map(FirmId::as_str));
    w.some_text(6, it.rule.as_ref().map(RuleId::as_str));
    w.some_text(7, it.terminal.as_deref());
}

fn scene(it: wire::Scene) -> Result<Scene> {
    Ok(Scene {
        device: some_code(it.device, DeviceCode::parse)?,
        rescue_code: some_text(it.rescue_code),
        place: Place { district: some_code(it.district, District::parse)?, address: some_text(it.address) },
        firm: some_code(it.firm, FirmId::parse)?,
        terminal: some_text(it.terminal),
        rule: some_code(it.rule, RuleId::parse)?,
    })
}

fn write_party(w: &mut Writer<'_>, it: &Party) {
    w.uint(1, number(it.tier.number()));
    w.text(2, &it.id);
    w.text(3, &it.name);
    w.some_text(4, it.phone.as_deref());
}

fn party(it: wire::Party) -> Result<Party> {
    Ok(Party { tier: tier(it.tier)?, id: it.id.into(), name: it.name.into(), phone: some_text(it.phone) })
}

fn tier(got: u32) -> Result<Tier> {
    numbered("tier", got, Tier::from_number)
}

fn write_caller(w: &mut Writer<'_>, it: &Caller) {
    w.some_text(1, it.name.as_deref());
    w.some_text(2, it.phone.as_deref());
}

fn caller(it: wire::Caller) -> Caller {
    Caller { name: some_text(it.name), phone: some_text(it.phone) }
}

fn write_ending(w: &mut Writer<'_>, it: &Ending) {
    w.uint(1, it.persons_freed);
    w.uint(2, number(it.cause.number()));
    w.text(3, &it.action);
}

fn ending(it: wire::Ending) -> Result<Ending> {
    let cause = numbered("cause", it.cause, Cause::from_number)?;
    Ok(Ending { persons_freed: it.persons_freed, cause, action: it.action.into() })
}

pub(crate) fn write_incident(w: &mut Writer<'_>, it: &Incident) {
    w.text(1, &it.id.to_string());
    w.message(2, |w| write_scene(w, &it.scene));
    w.uint(3, number(it.state.number()));
    w.uint(4, number(it.severity.number()));
    w.uint(5, number(it.certainty.number()));
    w.some_uint(6, it.occupied);
    w.int(7, it.received_at.0);
    w.int(8, it.changed_at.0);
    for joined in &it.alerts {
        w.message(9, |w| {
            w.text(1, &joined.alert.to_string());
            w.uint(2, joined.is_open);
            w.uint(3, joined.by_hand);
        });
    }
    w.uint(10, it.calls);
    w.some_message(11, it.caller.as_ref(), write_caller);
    for leg in &it.legs {
        w.message(12, |w| write_leg(w, leg));
    }
    w.some_message(13, it.proposed.as_ref(), write_party);
    w.some_int(14, it.accept_by_ms);
    w.some_int(15, it.arrive_by_ms);
    w.uint(16, it.arrival_late);
    w.some_int(17, it.freed_ms);
    w.some_int(18, it.over_ms);
    w.some_message(19, it.ending.as_ref(), write_ending);
    w.uint(20, it.entries);
    w.some_uint(21, it.reassurance.map(|it| number(it.number())));
    w.some_int(22, it.reassure_by_ms);
    w.some_int(23, it.unanswered_ms);
}

pub(crate) fn incident(it: wire::Incident) -> Result<Incident> {
    let joined = |it: wire::JoinedAlert| {
        Ok(Joined { alert: AlertId::parse(&it.alert)?, is_open: it.is_open, by_hand: it.by_hand })
    };
    Ok(Incident {
        id: IncidentId::parse(&it.id)?,
        scene: scene(there("a scene", it.scene)?)?,
        state: numbered("state of an incident", it.state, State::from_number)?,
        severity: numbered("severity", it.severity, Severity::from_number)?,
        certainty: numbered("certainty", it.certainty, Certainty::from_number)?,
        occupied: it.occupied,
        received_at: Wall(it.received_at_ms),
        changed_at: Wall(it.changed_at_ms),
        alerts: each(it.alerts, joined)?,
        calls: it.calls,
        caller: it.caller.map(caller),
        legs: each(it.legs, leg)?,
        proposed: it.proposed.map(party).transpose()?,
        accept_by_ms: it.accept_by_ms,
        arrive_by_ms: it.arrive_by_ms,
        unanswered_ms: it.unanswered_since_ms,
        arrival_late: it.arrival_late,
        freed_ms: it.freed_since_ms,
        over_ms: it.over_since_ms,
        ending: it.ending.map(ending).transpose()?,
        entries: it.entries,
        reassurance: it.reassurance.map(|got| numbered("reassurance", got, Reassurance::from_number)).transpose()?,
        reassure_by_ms: it.reassure_by_ms,
    })
}

fn write_leg(w: &mut Writer<'_>, it: &Leg) {
    w.message(1, |w| write_party(w, &it.party));
    w.int(2, it.commanded_ms);
    w.uint(3, it.took_over);
    w.some_int(4, it.accepted_ms);
    w.some_int(5, it.turned_out_ms);
    w.some_int(6, it.arrived_ms);
    w.some_int(7, it.ended_ms);
    w.uint(8, it.declined);
}

fn leg(it: wire::Leg) -> Result<Leg> {
    Ok(Leg {
        party: party(there("a party", it.party)?)?,
        commanded_ms: it.commanded_since_ms,
        took_over: it.took_over,
        accepted_ms: it.accepted_since_ms,
        turned_out_ms: it.turned_out_since_ms,
        arrived_ms: it.arrived_since_ms,
        ended_ms: it.ended_since_ms,
        declined: it.declined,
    })
}

pub fn write_call(w: &mut Writer<'_>, it: &Call) {
    w.some_text(1, it.device.as_ref().map(DeviceCode::as_str));
    w.some_text(2, it.rescue_code.as_deref());
    w.some_text(3, it.place.district.as_ref().map(District::as_str));
    w.some_text(4, it.place.address.as_deref());
    w.message(5, |w| write_caller(w, &it.caller));
    w.some_uint(6, it.occupied);
    w.some_text(7, it.note.as_deref());
}

pub fn call(it: wire::Call) -> Result<Call> {
    Ok(Call {
        device: some_code(it.device, DeviceCode::parse)?,
        rescue_code: some_text(it.rescue_code),
        place: Place { district: some_code(it.district, District::parse)?, address: some_text(it.address) },
        caller: it.caller.map(caller).unwrap_or_default(),
        occupied: it.occupied,
        note: some_text(it.note),
    })
}

pub fn write_advance(w: &mut Writer<'_>, incident: &IncidentId, step: &Step, note: Option<&str>) {
    w.text(1, &incident.to_string());
    w.uint(2, number(step.kind().number()));
    if let Step::Command(whom) | Step::HandOver(whom) = step {
        w.message(3, |w| {
            w.uint(1, number(whom.tier.number()));
            w.some_text(2, whom.id.as_deref());
        });
    }
    if let Step::Close(ending) = step {
        w.message(4, |w| write_ending(w, ending));
    }
    w.some_text(5, note);
}

fn whom(it: Option<wire::Whom>) -> Result<Whom> {
    let it = there("who is sent", it)?;
    Ok(Whom { tier: tier(it.tier)?, id: some_text(it.id) })
}

pub fn advance(it: wire::AdvanceIncident) -> Result<(IncidentId, Step, Option<Box<str>>)> {
    let kind = known("step", it.step, |got| i32::try_from(got).ok().and_then(StepKind::from_number))?;
    let step = match kind {
        StepKind::Command => Step::Command(whom(it.whom)?),
        StepKind::Accept => Step::Accept,
        StepKind::Decline => Step::Decline,
        StepKind::TurnOut => Step::TurnOut,
        StepKind::Arrive => Step::Arrive,
        StepKind::HandOver => Step::HandOver(whom(it.whom)?),
        StepKind::Free => Step::Free,
        StepKind::Close => Step::Close(ending(there("how it ended", it.ending)?)?),
        StepKind::FalseAlarm => Step::FalseAlarm,
        StepKind::Note => Step::Note,
    };
    Ok((IncidentId::parse(&it.incident)?, step, some_text(it.note)))
}
