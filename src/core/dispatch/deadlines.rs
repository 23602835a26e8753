//! What time does to incidents: an answer or an arrival that doesn't come, and the alerts that say so.

use super::{Says, Source};
use crate::core::judge::built_in::{self, ARRIVAL_LATE, BuiltIn, TIER_UNANSWERED};
use crate::core::{Core, Effects};
use crate::limits;
use crate::model::alert::{Evidence, Reason};
use crate::model::incident::{Incident, IncidentId, Party, Tier, What};

impl Core {
    /// Fires what is due, a bounded number at a time.
    pub(in crate::core) fn fire_deadlines(&mut self, out: &mut Effects) {
        let now = self.books.now.elapsed;
        for _ in 0..limits::FIRES_PER_RECORD {
            let due = self.dispatch.due.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id);
            let Some(id) = due else { return };
            self.miss(out, id);
        }
    }

    /// Notes what didn't come in time. Each time it takes away a deadline that has passed.
    fn miss(&mut self, out: &mut Effects, id: IncidentId) {
        let Some(kept) = self.dispatch.get(&id) else { return };
        let since_ms = self.books.now.elapsed - kept.received;
        let party = kept.incident.assignee().map(|leg| leg.party.clone());
        let next = next_tier(&kept.incident);
        let is_past = |by: Option<i64>| by.is_some_and(|by| by <= since_ms);
        if is_past(kept.incident.reassure_by_ms) {
            return self.write(out, id, What::ReassuranceUnanswered, Source::Deadline, Says::default());
        }
        let what = if is_past(kept.incident.accept_by_ms) { What::Unanswered } else { What::ArrivalLate };
        self.write(out, id, what, Source::Deadline, Says { party, ..Says::default() });
        self.go_on(out, id, next);
    }

    /// Commands the first tier, or asks somebody to, as the table of deadlines says: as long as nobody has been commanded, and
    /// once for whoever it is.
    pub(super) fn begin_rescue(&mut self, out: &mut Effects, id: IncidentId) {
        let is_new = |it: &&Incident| it.legs.is_empty() && it.unanswered_ms.is_none();
        let Some(incident) = self.incident(id).filter(is_new) else { return };
        let Some(party) = self.party_from(incident, Some(Tier::Firm)) else { return };
        if incident.proposed.as_ref() == Some(&party) {
            return;
        }
        let deadlines = self.policy.tables.dispatch.deadlines(incident.scene.place.district.as_ref());
        let commands = deadlines.is_some_and(|it| it.commands_first);
        self.send_or_propose(out, id, party, commands);
    }

    /// The same for the next tier. Where nobody further is known, nothing follows: the alert stands.
    pub(super) fn go_on(&mut self, out: &mut Effects, id: IncidentId, tier: Option<Tier>) {
        let Some(incident) = self.incident(id).filter(|incident| incident.state.is_pending()) else { return };
        let Some(party) = self.party_from(incident, tier) else { return };
        let deadlines = self.policy.tables.dispatch.deadlines(incident.scene.place.district.as_ref());
        let is_full = incident.legs.len() >= limits::INCIDENT_LEGS;
        let commands = !is_full && deadlines.is_some_and(|it| it.commands_next);
        self.send_or_propose(out, id, party, commands);
    }

    fn send_or_propose(&mut self, out: &mut Effects, id: IncidentId, party: Party, commands: bool) {
        if commands {
            self.send(out, id, party, Source::Deadline, Says::default());
        } else {
            self.write(out, id, What::Proposed, Source::Deadline, Says { party: Some(party), ..Says::default() });
        }
    }

    /// Commands a party, and sets the time by which it must answer. That by which somebody must be there stands from the
    /// first command on: who is trapped waits, whoever is sent. Once it has passed, it is set anew with the next command.
    pub(super) fn send(&mut self, out: &mut Effects, id: IncidentId, party: Party, source: Source, says: Says<'_>) {
        let Some(kept) = self.dispatch.get(&id) else { return };
        let incident = &kept.incident;
        let since_ms = self.books.now.elapsed - kept.received;
        let deadlines = self.policy.tables.dispatch.deadlines(incident.scene.place.district.as_ref());
        let has_arrived = incident.legs.iter().any(|leg| leg.arrived_ms.is_some());
        let anew = deadlines.filter(|_| !has_arrived).map(|it| since_ms + it.arrive_ms);
        let says = Says {
            party: Some(party),
            accept_by_ms: deadlines.map(|it| since_ms + it.accept_ms),
            arrive_by_ms: incident.arrive_by_ms.or(anew),
            ..says
        };
        self.write(out, id, What::Commanded, source, says);
    }

    /// By when somebody is to accept a rescue of which nobody is on it, if nobody is commanded from now on.
    pub(super) fn answer_due_ms(&self, id: IncidentId) -> Option<i64> {
        let kept = self.dispatch.get(&id)?;
        let accept_ms = self.accept_ms(kept.incident.scene.place.district.as_ref())?;
        Some(self.books.now.elapsed - kept.received + accept_ms)
    }

    /// Opens and clears the alerts on an incident as its last entry wants.
    pub(super) fn follow_deadlines(&mut self, out: &mut Effects, id: IncidentId) {
        let Some(what) = self.dispatch.get(&id).and_then(|kept| kept.timeline.last()).map(|entry| entry.what) else {
            return;
        };
        match what {
            What::Unanswered => {
                // After somebody declined, it may still stand for the silence before.
                self.lower(out, id, &TIER_UNANSWERED, Reason::Superseded);
                self.raise(out, id, &TIER_UNANSWERED);
            }
            What::ArrivalLate => self.raise(out, id, &ARRIVAL_LATE),
            // Somebody else is asked: should they not answer either, that is told as another alert.
            What::Commanded => self.lower(out, id, &TIER_UNANSWERED, Reason::Superseded),
            What::Accepted | What::HandedOver => self.lower(out, id, &TIER_UNANSWERED, Reason::ConditionEnded),
            What::Arrived => self.lower(out, id, &ARRIVAL_LATE, Reason::ConditionEnded),
            What::Freed | What::Closed | What::FalseAlarm => {
                self.lower(out, id, &TIER_UNANSWERED, Reason::ConditionEnded);
                self.lower(out, id, &ARRIVAL_LATE, Reason::ConditionEnded);
            }
            _ => {}
        }
    }

    fn raise(&mut self, out: &mut Effects, id: IncidentId, which: &BuiltIn) {
        let Some(kept) = self.dispatch.get(&id) else { return };
        let (who, evidence) = (kept.who(), evidence(&kept.incident));
        let number = self.books.number_of(which);
        let Some(runs) = self.dispatch.runs_mut(&id) else { return };
        // Each deadline is a case of its own: that a person cleared the one before keeps nothing from being told.
        runs.entry(number).closed = None;
        built_in::raise_to(
            &mut self.books,
            out,
            || who,
            runs,
            which,
            which.severity,
            Reason::DeadlinePassed,
            || evidence,
        );
    }

    fn lower(&mut self, out: &mut Effects, id: IncidentId, which: &BuiltIn, reason: Reason) {
        let Some(kept) = self.dispatch.get(&id).filter(|kept| built_in::has_any(&kept.runs)) else { return };
        let who = kept.who();
        let Some(runs) = self.dispatch.runs_mut(&id) else { return };
        built_in::clear(&mut self.books, out, || who, runs, which, reason);
    }
}

/// Behind whoever was asked last. Where nobody is known of who was, from the first one on.
fn next_tier(incident: &Incident) -> Option<Tier> {
    let asked = if incident.assignee().is_none() { incident.proposed.as_ref() } else { None };
    match asked.or(incident.legs.last().map(|leg| &leg.party)) {
        Some(party) => party.tier.next(),
        None => Some(Tier::Firm),
    }
}

fn evidence(incident: &Incident) -> Vec<Evidence> {
    let text = |name: &str, value: String| Evidence { name: name.into(), value: value.into(), age_ms: None };
    let mut evidence = vec![text("incident", incident.id.to_string())];
    evidence.extend(incident.scene.device.map(|device| text("device", device.to_string())));
    let asked = match incident.assignee() {
        Some(leg) => Some(("commanded", &leg.party)),
        None => incident.proposed.as_ref().map(|party| ("proposed", party)),
    };
    if let Some((how, party)) = asked {
        evidence.push(text("tier", party.tier.name().to_owned()));
        evidence.push(text(how, party.name.to_string()));
    }
    evidence
}
