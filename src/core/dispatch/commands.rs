//! What people do to incidents.

use std::collections::BTreeSet;

use super::{Says, machine};
use crate::core::lift::Lift;
use crate::core::{Core, Effects};
use crate::limits;
use crate::model::actor::{Actor, Role};
use crate::model::alert::{Certainty, Severity};
use crate::model::ids::DeviceCode;
use crate::model::incident::{Call, Incident, IncidentId, Scene, Source, Step, StepKind, Tier, What, Whom};
use crate::model::record::{Command, Outcome};

/// Lifts that are named when a rescue code is that of several.
const AMBIGUOUS_NAMED: usize = 10;

impl Core {
    /// Opens an incident for a call, or joins it to the one of its lift that stands.
    pub(in crate::core) fn take_call(&mut self, out: &mut Effects, command: &Command, call: &Call) -> Outcome {
        let found = match self.device_of(&command.actor, call) {
            Ok(found) => found,
            Err(outcome) => return outcome,
        };
        let mut scene = found.map_or_else(Scene::default, |device| self.scene_of(device));
        if found.is_none() {
            scene.rescue_code.clone_from(&call.rescue_code);
        }
        // What the caller says fills what the archive doesn't have.
        scene.place.district = scene.place.district.or(call.place.district);
        scene.place.address = scene.place.address.or_else(|| call.place.address.clone());
        if !command.actor.sees(scene.place.district.as_ref()) {
            let what = found.map_or_else(|| "that place".to_owned(), |device| format!("device {device}"));
            return Outcome::NotFound { what: what.into() };
        }
        let says = Says {
            actor: Some(&command.actor.id),
            note: call.note.as_deref(),
            severity: Some(severity_of(call)),
            // Somebody has seen or heard it.
            certainty: Some(Certainty::Observed),
            occupied: call.occupied,
            caller: Some(call.caller.clone()),
            ..Says::default()
        };
        if let Some(id) = self.standing(found, &scene) {
            if let Err(why) = self.incident(id).map_or(Ok(()), |it| machine::check(it, StepKind::Note)) {
                return Outcome::Precondition { why: why.into() };
            }
            self.write(out, id, What::CallJoined, Source::Call, says);
            self.reassure(out, id);
            return self.incident_done(id, true);
        }
        let at = self.present();
        let says = Says { accept_by_ms: self.accept_ms(scene.place.district.as_ref()), scene: Some(scene), ..says };
        let Some(id) = self.dispatch.open(at, out, Source::Call, says) else {
            out.tally.rescues_refused += 1;
            let most = limits::INCIDENTS;
            let why = format!("{most} incidents are going on, and no more are taken: close those that are over");
            return Outcome::Precondition { why: why.into() };
        };
        self.begin_rescue(out, id);
        self.reassure(out, id);
        self.incident_done(id, false)
    }

    /// The lift that a call is about, as far as it says.
    fn device_of(&self, actor: &Actor, call: &Call) -> Result<Option<DeviceCode>, Outcome> {
        if let Some(device) = call.device {
            let known = self.lift_at(&device).map(|_| Some(device));
            return known.ok_or_else(|| Outcome::NotFound { what: format!("device {device}").into() });
        }
        let Some(code) = call.rescue_code.as_deref() else { return Ok(None) };
        let lifts = self.lifts_by_rescue_code(code, call.place.district.as_ref());
        if lifts.len() > 1 {
            let why = format!(
                "{} lifts have the rescue code {code}: name the device, or its district{}",
                lifts.len(),
                self.lift_words(actor, &lifts)
            );
            return Err(Outcome::Precondition { why: why.into() });
        }
        Ok(lifts.first().map(|ix| self.lifts.get(*ix).code))
    }

    /// Which lifts those are, as far as whoever asks may see them.
    fn lift_words(&self, actor: &Actor, lifts: &BTreeSet<u32>) -> String {
        let seen =
            lifts.iter().map(|ix| self.lifts.get(*ix)).filter(|lift| actor.sees(lift.who().place.district.as_ref()));
        let word = |lift: &Lift| {
            let place = lift.who().place;
            format!("{} ({})", lift.code, place.address.as_deref().unwrap_or("address not known"))
        };
        let words: Vec<String> = seen.take(AMBIGUOUS_NAMED).map(word).collect();
        if words.is_empty() { String::new() } else { format!(": {}", words.join("; ")) }
    }

    /// The incident that a call belongs to: of the lift, or of the same plate that the archive doesn't know.
    fn standing(&self, device: Option<DeviceCode>, scene: &Scene) -> Option<IncidentId> {
        if let Some(device) = device {
            return self.dispatch.pending(device);
        }
        let code = scene.rescue_code.as_ref()?;
        let is_same = |it: &&Incident| {
            it.state.is_pending()
                && it.scene.rescue_code.as_ref() == Some(code)
                && it.scene.place.district == scene.place.district
        };
        self.dispatch.of(None).map(|kept| &kept.incident).find(is_same).map(|it| it.id)
    }

    /// One step of a rescue, by a dispatcher or by whoever is sent.
    pub(in crate::core) fn advance(
        &mut self,
        out: &mut Effects,
        command: &Command,
        id: IncidentId,
        step: &Step,
        note: Option<&str>,
    ) -> Outcome {
        let actor = &command.actor;
        let Some(incident) = self.incident(id).filter(|incident| incident.is_seen_by(actor)) else {
            return Outcome::NotFound { what: format!("incident {id}").into() };
        };
        let source = match may(incident, actor, step.kind()) {
            Ok(source) => source,
            Err(why) => return Outcome::Denied { why: why.into() },
        };
        if let Err(why) = machine::check(incident, step.kind()) {
            return Outcome::Precondition { why: why.into() };
        }
        let assignee = incident.assignee().map(|leg| leg.party.clone());
        let tier = assignee.as_ref().map(|party| party.tier);
        let accept_by_ms = if *step == Step::Decline { self.answer_due_ms(id) } else { None };
        let says = Says { actor: Some(&actor.id), note, accept_by_ms, ..Says::default() };
        match step {
            Step::Command(whom) => match self.party(incident, whom) {
                Some(party) => self.send(out, id, party, source, says),
                None => return unknown(whom),
            },
            Step::HandOver(whom) => match self.party(incident, whom) {
                Some(party) => self.write(out, id, What::HandedOver, source, Says { party: Some(party), ..says }),
                None => return unknown(whom),
            },
            Step::Close(ending) => {
                self.write(out, id, What::Closed, source, Says { ending: Some(ending.clone()), ..says });
            }
            Step::Accept
            | Step::Decline
            | Step::TurnOut
            | Step::Arrive
            | Step::Free
            | Step::FalseAlarm
            | Step::Note => {
                let party = if *step == Step::Note { None } else { assignee };
                self.write(out, id, what_of(step.kind()), source, Says { party, ..says });
            }
        }
        if *step == Step::Decline {
            self.go_on(out, id, tier.and_then(Tier::next));
        }
        self.incident_done(id, false)
    }

    fn incident_done(&self, id: IncidentId, joined: bool) -> Outcome {
        Outcome::Incident { position: self.next - 1, incident: id, joined }
    }
}

/// Whoever calls has seen or heard it, or is in it. A rescue that may be one of nobody is still to be looked after.
fn severity_of(call: &Call) -> Severity {
    match call.occupied {
        Some(true) => Severity::Critical,
        None => Severity::Major,
        Some(false) => Severity::Warning,
    }
}

/// Who may take a step, and what its entry says of where it comes from. A dispatcher may take all of them, for whoever
/// told it on the phone; who is sent, those that are theirs.
fn may(incident: &Incident, actor: &Actor, step: StepKind) -> Result<Source, String> {
    if actor.has(Role::Dispatcher) || actor.has(Role::Admin) {
        return Ok(Source::Dispatcher);
    }
    let id = incident.id;
    if !incident.is_assigned_to(actor) {
        return Err(format!(
            "incident {id} is not assigned to you: only who is on it, or a dispatcher, may advance it"
        ));
    }
    use StepKind::{Accept, Arrive, Close, Decline, Free, Note, TurnOut};
    match step {
        Accept | Decline | TurnOut | Arrive | Free | Close | Note => Ok(Source::Rescuer),
        _ => Err(format!("{} is for the dispatch centre: call it", step.name())),
    }
}

fn what_of(step: StepKind) -> What {
    match step {
        StepKind::Command => What::Commanded,
        StepKind::Accept => What::Accepted,
        StepKind::Decline => What::Declined,
        StepKind::TurnOut => What::TurnedOut,
        StepKind::Arrive => What::Arrived,
        StepKind::HandOver => What::HandedOver,
        StepKind::Free => What::Freed,
        StepKind::Close => What::Closed,
        StepKind::FalseAlarm => What::FalseAlarm,
        StepKind::Note => What::Noted,
    }
}

fn unknown(whom: &Whom) -> Outcome {
    let tier = whom.tier.name();
    let what = match &whom.id {
        Some(id) => format!("{tier} {id}"),
        None => format!("anybody of tier {tier}"),
    };
    Outcome::NotFound { what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::State;

    #[test]
    fn every_step_has_its_entry() {
        let mut whats: Vec<What> = StepKind::ALL.iter().map(|step| what_of(*step)).collect();
        whats.sort();
        whats.dedup();
        assert_eq!(whats.len(), StepKind::ALL.len());
        assert!(State::ALL.iter().all(|state| machine::legal(*state).contains(&StepKind::Note)));
    }
}
