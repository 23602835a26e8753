//! Incidents, as far as their types allow.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{alert_id, device_code, district, firm_id, rule_id, text, wall};
use crate::model::alert::{Certainty, Place, Severity};
use crate::model::incident::{
    Call, Caller, Cause, Ending, Entry, Incident, IncidentEvent, IncidentId, Joined, Leg, Party, Reassurance, Scene,
    Source, State, Step, Tier, What, Whom,
};
use crate::model::record::Action;

pub fn incident_id() -> impl Strategy<Value = IncidentId> {
    (1..=u32::MAX, 1..=i64::MAX as u64).prop_map(|(epoch, number)| IncidentId { epoch, number })
}

fn place() -> impl Strategy<Value = Place> {
    (of(district()), of(text())).prop_map(|(district, address)| Place { district, address })
}

fn party() -> impl Strategy<Value = Party> {
    (select(Tier::ALL), text(), text(), of(text())).prop_map(|(tier, id, name, phone)| Party { tier, id, name, phone })
}

fn caller() -> impl Strategy<Value = Caller> {
    (of(text()), of(text())).prop_map(|(name, phone)| Caller { name, phone })
}

fn ending() -> impl Strategy<Value = Ending> {
    (any::<u32>(), select(Cause::ALL), text()).prop_map(|(persons_freed, cause, action)| Ending {
        persons_freed,
        cause,
        action,
    })
}

fn scene() -> impl Strategy<Value = Scene> {
    (of(device_code()), of(text()), place(), of(firm_id()), of(text()), of(rule_id())).prop_map(
        |(device, rescue_code, place, firm, terminal, rule)| Scene { device, rescue_code, place, firm, terminal, rule },
    )
}

pub(super) fn entry() -> impl Strategy<Value = Entry> {
    let head = (any::<u64>(), any::<u32>(), wall(), any::<i64>(), select(What::ALL), select(Source::ALL));
    let said = (of(text()), of(text()), of(scene()), of(party()), of(alert_id()));
    let sure = (of(select(Severity::ALL)), of(select(Certainty::ALL)), of(any::<bool>()));
    let rest = (of(caller()), of(any::<i64>()), of(any::<i64>()), of(ending()), of(any::<i64>()));
    (head, said, sure, rest).prop_map(|(head, said, sure, rest)| {
        let (seq, epoch, at, since_ms, what, source) = head;
        let (actor, note, scene, party, alert) = said;
        let (severity, certainty, occupied) = sure;
        let (caller, accept_by_ms, arrive_by_ms, ending, reassure_by_ms) = rest;
        Entry {
            seq,
            epoch,
            at,
            since_ms,
            what,
            source,
            actor,
            note,
            scene: scene.map(Box::new),
            party,
            alert,
            severity,
            certainty,
            occupied,
            caller,
            accept_by_ms,
            arrive_by_ms,
            ending,
            reassure_by_ms,
        }
    })
}

fn leg() -> impl Strategy<Value = Leg> {
    let times = (any::<i64>(), of(any::<i64>()), of(any::<i64>()), of(any::<i64>()), of(any::<i64>()));
    (party(), times, any::<bool>(), any::<bool>()).prop_map(|(party, times, took_over, declined)| {
        let (commanded_ms, accepted_ms, turned_out_ms, arrived_ms, ended_ms) = times;
        Leg { party, commanded_ms, took_over, accepted_ms, turned_out_ms, arrived_ms, ended_ms, declined }
    })
}

fn incident() -> impl Strategy<Value = Incident> {
    let sure = (select(State::ALL), select(Severity::ALL), select(Certainty::ALL), of(any::<bool>()));
    let joined = (alert_id(), any::<bool>(), any::<bool>());
    let joined = joined.prop_map(|(alert, is_open, by_hand)| Joined { alert, is_open, by_hand });
    let what = (vec(joined, 0..3), any::<u32>(), of(caller()), vec(leg(), 0..3), of(party()));
    let times = (vec(of(any::<i64>()), 3), any::<bool>(), of(any::<i64>()), of(any::<i64>()));
    let head = (incident_id(), scene(), wall(), wall(), any::<u32>());
    let words = (of(select(Reassurance::ALL)), of(any::<i64>()));
    (head, sure, what, times, of(ending()), words).prop_map(|(head, sure, what, times, ending, words)| {
        let (id, scene, received_at, changed_at, entries) = head;
        let (state, severity, certainty, occupied) = sure;
        let (alerts, calls, caller, legs, proposed) = what;
        let (due, arrival_late, freed_ms, over_ms) = times;
        let (accept_by_ms, arrive_by_ms, unanswered_ms) = (due[0], due[1], due[2]);
        let (reassurance, reassure_by_ms) = words;
        Incident {
            id,
            scene,
            state,
            severity,
            certainty,
            occupied,
            received_at,
            changed_at,
            alerts,
            calls,
            caller,
            legs,
            proposed,
            accept_by_ms,
            arrive_by_ms,
            unanswered_ms,
            arrival_late,
            freed_ms,
            over_ms,
            ending,
            entries,
            reassurance,
            reassure_by_ms,
        }
    })
}

pub fn event() -> impl Strategy<Value = IncidentEvent> {
    (entry(), incident()).prop_map(|(entry, incident)| IncidentEvent { entry, incident })
}

pub fn action() -> impl Strategy<Value = Action> {
    let call = (of(device_code()), of(text()), place(), caller(), of(any::<bool>()), of(text())).prop_map(
        |(device, rescue_code, place, caller, occupied, note)| {
            Action::OpenIncident(Call { device, rescue_code, place, caller, occupied, note })
        },
    );
    let whom = || (select(Tier::ALL), of(text())).prop_map(|(tier, id)| Whom { tier, id });
    let plain = [Step::Accept, Step::Decline, Step::TurnOut, Step::Arrive, Step::Free, Step::FalseAlarm, Step::Note];
    let step = prop_oneof![
        select(plain.to_vec()),
        whom().prop_map(Step::Command),
        whom().prop_map(Step::HandOver),
        ending().prop_map(Step::Close),
    ];
    let advance = (incident_id(), step, of(text())).prop_map(|(incident, step, note)| Action::AdvanceIncident {
        incident,
        step,
        note,
    });
    let adopt = (incident_id(), vec(entry(), 0..3))
        .prop_map(|(incident, timeline)| Action::AdoptIncident { incident, timeline });
    prop_oneof![call, advance, adopt]
}
