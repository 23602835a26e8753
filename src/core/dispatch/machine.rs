//! What may be done to an incident in each state, and what an entry makes of it. Pure: no tables, no time of its own.

use crate::limits;
use crate::model::alert::{Certainty, Severity};
use crate::model::incident::{Entry, Incident, IncidentId, Joined, Leg, Reassurance, Source, State, StepKind, What};

/// What people may do in each state. All that may happen in one but isn't listed is refused, and the legal steps named.
pub const LEGAL: &[(State, &[StepKind])] = {
    use State as S;
    use StepKind::{Accept, Arrive, Close, Command, Decline, FalseAlarm, Free, HandOver, Note, TurnOut};
    &[
        // People free themselves, or are freed by whoever is at hand, before anybody has come.
        (S::Received, &[Command, Free, FalseAlarm, Note]),
        (S::Commanded, &[Command, Accept, Decline, Free, FalseAlarm, Note]),
        (S::Accepted, &[Command, Decline, TurnOut, Arrive, HandOver, Free, FalseAlarm, Note]),
        (S::TurnedOut, &[Command, Decline, Arrive, HandOver, Free, FalseAlarm, Note]),
        (S::Arrived, &[Command, HandOver, Free, FalseAlarm, Note]),
        (S::Freed, &[Close, Note]),
        (S::Closed, &[Note]),
        (S::FalseAlarm, &[Note]),
    ]
};

pub fn legal(state: State) -> &'static [StepKind] {
    LEGAL.iter().find(|(of, _)| *of == state).map_or(&[], |(_, steps)| steps)
}

/// Whether a step may be taken; else why not, and what may.
pub fn check(incident: &Incident, step: StepKind) -> Result<(), String> {
    let (id, state) = (incident.id, incident.state);
    let legal = legal(state);
    if !legal.contains(&step) {
        let names: Vec<&str> = legal.iter().map(|step| step.name()).collect();
        let (step, state) = (step.name(), state.name());
        return Err(format!(
            "incident {id} is {state}, so that {step} is not possible: possible is {}",
            names.join(", ")
        ));
    }
    let is_repeatable = matches!(step, StepKind::Command | StepKind::Decline | StepKind::HandOver | StepKind::Note);
    if is_repeatable && incident.entries as usize >= limits::INCIDENT_ENTRIES {
        let most = limits::INCIDENT_ENTRIES;
        return Err(format!("the timeline of incident {id} has {most} entries: only what ends it is still taken"));
    }
    if matches!(step, StepKind::Command | StepKind::HandOver) && incident.legs.len() >= limits::INCIDENT_LEGS {
        let most = limits::INCIDENT_LEGS;
        return Err(format!("to incident {id} {most} parties have been sent: end it, and open another one"));
    }
    Ok(())
}

/// The state before the first entry, which is `Received`.
pub fn begin(id: IncidentId, first: &Entry) -> Incident {
    let mut incident = Incident {
        id,
        scene: first.scene.as_deref().cloned().unwrap_or_default(),
        state: State::Received,
        severity: Severity::Warning,
        certainty: Certainty::Possible,
        occupied: None,
        received_at: first.at,
        changed_at: first.at,
        alerts: Vec::new(),
        calls: 0,
        caller: None,
        legs: Vec::new(),
        proposed: None,
        accept_by_ms: None,
        arrive_by_ms: None,
        unanswered_ms: None,
        arrival_late: false,
        freed_ms: None,
        over_ms: None,
        ending: None,
        entries: 0,
        reassurance: None,
        reassure_by_ms: None,
    };
    take(&mut incident, first);
    incident
}

/// What all entries make of it; `None`: there are none.
pub fn fold(id: IncidentId, timeline: &[Entry]) -> Option<Incident> {
    let (first, rest) = timeline.split_first()?;
    let mut incident = begin(id, first);
    rest.iter().for_each(|entry| take(&mut incident, entry));
    Some(incident)
}

/// What an entry makes of the incident. Whether it may be made was asked before.
pub fn take(incident: &mut Incident, entry: &Entry) {
    let now = entry.since_ms;
    incident.entries += 1;
    incident.changed_at = entry.at;
    match entry.what {
        What::Received => {
            join(incident, entry);
            incident.accept_by_ms = entry.accept_by_ms;
        }
        What::AlertJoined | What::CallJoined => join(incident, entry),
        What::AlertCleared => {
            let cleared = incident.alerts.iter_mut().filter(|joined| Some(&joined.alert) == entry.alert.as_ref());
            let by_hand = entry.source != Source::Sensor;
            cleared.for_each(|joined| (joined.is_open, joined.by_hand) = (false, by_hand));
        }
        What::SceneChanged => {
            if let Some(scene) = &entry.scene {
                incident.scene = (**scene).clone();
            }
        }
        What::Proposed => incident.proposed = entry.party.clone(),
        What::Commanded => {
            send(incident, entry, false);
            incident.state = State::Commanded;
            (incident.accept_by_ms, incident.unanswered_ms) = (entry.accept_by_ms, None);
            incident.arrive_by_ms = entry.arrive_by_ms;
        }
        What::Unanswered => {
            let due_ms = incident.accept_by_ms.take().unwrap_or(now);
            incident.unanswered_ms = incident.unanswered_ms.or(Some(due_ms));
        }
        What::Accepted => {
            (incident.accept_by_ms, incident.unanswered_ms) = (None, None);
            reach(incident, State::Accepted, |leg| leg.accepted_ms = Some(now));
        }
        What::Declined => {
            // It was an answer, and nobody is on it: somebody else's is awaited from now on.
            incident.accept_by_ms = entry.accept_by_ms;
            reach(incident, State::Received, |leg| (leg.ended_ms, leg.declined) = (Some(now), true));
        }
        What::TurnedOut => reach(incident, State::TurnedOut, |leg| leg.turned_out_ms = Some(now)),
        What::ArrivalLate => (incident.arrive_by_ms, incident.arrival_late) = (None, true),
        What::Arrived => {
            incident.arrive_by_ms = None;
            reach(incident, State::Arrived, |leg| leg.arrived_ms = Some(now));
        }
        What::HandedOver => send(incident, entry, true),
        What::Freed => {
            incident.freed_ms = Some(now);
            end_rescue(incident, State::Freed);
        }
        What::Closed => {
            (incident.over_ms, incident.ending) = (Some(now), entry.ending.clone());
            end_rescue(incident, State::Closed);
        }
        What::FalseAlarm => {
            incident.over_ms = Some(now);
            end_rescue(incident, State::FalseAlarm);
        }
        What::ReassuranceAsked => {
            (incident.reassurance, incident.reassure_by_ms) = (Some(Reassurance::Asked), entry.reassure_by_ms);
        }
        What::Reassured => end_reassurance(incident, Reassurance::Done),
        What::ReassuranceFailed => end_reassurance(incident, Reassurance::Failed),
        What::ReassuranceUnanswered => end_reassurance(incident, Reassurance::Unanswered),
        What::Noted | What::Retold => {}
    }
}

fn join(incident: &mut Incident, entry: &Entry) {
    incident.severity = incident.severity.max(entry.severity.unwrap_or(Severity::Warning));
    incident.certainty = incident.certainty.max(entry.certainty.unwrap_or(Certainty::Possible));
    incident.occupied = entry.occupied.or(incident.occupied);
    if let Some(caller) = &entry.caller {
        incident.calls += 1;
        incident.caller = Some(caller.clone());
    }
    let Some(alert) = &entry.alert else { return };
    match incident.alerts.iter_mut().find(|joined| joined.alert == *alert) {
        Some(joined) => (joined.is_open, joined.by_hand) = (true, false),
        None => {
            // What is over says less than what stands.
            let over = incident.alerts.iter().position(|joined| !joined.is_open);
            if incident.alerts.len() >= limits::INCIDENT_ALERTS {
                let Some(over) = over else { return };
                incident.alerts.remove(over);
            }
            incident.alerts.push(Joined { alert: alert.clone(), is_open: true, by_hand: false });
        }
    }
}

/// Somebody else is on it from here on; by handing over, as far as whoever was there had come.
fn send(incident: &mut Incident, entry: &Entry, takes_over: bool) {
    let now = entry.since_ms;
    let Some(party) = entry.party.clone() else { return };
    if let Some(leg) = incident.legs.last_mut().filter(|leg| leg.ended_ms.is_none()) {
        leg.ended_ms = Some(now);
    }
    incident.proposed = None;
    // Who arrived without saying that they set out hands over no turn-out.
    let has_turned_out = incident.legs.last().is_some_and(|leg| leg.turned_out_ms.is_some());
    incident.legs.push(Leg {
        party,
        commanded_ms: now,
        took_over: takes_over,
        accepted_ms: takes_over.then_some(now),
        turned_out_ms: (takes_over && has_turned_out).then_some(now),
        arrived_ms: (takes_over && incident.state >= State::Arrived).then_some(now),
        ended_ms: None,
        declined: false,
    });
}

fn reach(incident: &mut Incident, state: State, note: impl FnOnce(&mut Leg)) {
    incident.state = state;
    if let Some(leg) = incident.legs.last_mut().filter(|leg| leg.ended_ms.is_none()) {
        note(leg);
    }
}

fn end_rescue(incident: &mut Incident, state: State) {
    incident.state = state;
    incident.proposed = None;
    (incident.accept_by_ms, incident.arrive_by_ms, incident.unanswered_ms) = (None, None, None);
    // Whoever is free needs no more words; the answer that may come still counts.
    incident.reassure_by_ms = None;
}

fn end_reassurance(incident: &mut Incident, how: Reassurance) {
    (incident.reassurance, incident.reassure_by_ms) = (Some(how), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_steps_once() {
        assert_eq!(LEGAL.len(), State::ALL.len());
        for (state, (of, steps)) in State::ALL.iter().zip(LEGAL) {
            assert_eq!(state, of);
            let mut sorted = steps.to_vec();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted, *steps, "{state:?}: ascending and without repeats");
            assert!(steps.contains(&StepKind::Note), "a note is always possible");
            assert_eq!(steps.contains(&StepKind::Free), state.is_pending());
        }
    }
}
