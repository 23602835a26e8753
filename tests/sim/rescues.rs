//! What must become of rescues, worked out from what was told and asked, without the core: each alert that calls for one
//! leads to one, each step is legal, a timeline only grows, and each deadline fires once.

use std::collections::BTreeMap;

use vigil::limits;
use vigil::model::alert::{AlertEvent, EventKind};
use vigil::model::ids::{DeviceCode, Subject};
use vigil::model::incident::{Entry, Incident, IncidentEvent, IncidentId, Scene, Source, State, Step, What};
use vigil::model::record::{Action, Command, Outcome};
use vigil::model::row::Effects;
use vigil::model::time::Elapsed;

use crate::faults::Fault;
use crate::policies::{ACCEPT_MS, ARRIVE_IN_CITY_MS, ARRIVE_MS, REASSURE_MS};

type Deadlines = BTreeMap<What, Elapsed>;

#[derive(Debug, Clone)]
pub(crate) struct Rescue {
    pub(crate) incident: Incident,
    received: Elapsed,
    pub(crate) timeline: Vec<Entry>,
    /// What is told when it isn't met, and when that is.
    deadlines: Deadlines,
}

#[derive(Default)]
pub(crate) struct Rescues {
    pub(crate) all: BTreeMap<IncidentId, Rescue>,
    seq: u64,
    requests: BTreeMap<(Box<str>, Box<str>), Elapsed>,
    /// The canary: whoever is commanded later may arrive later.
    arrival_moves: bool,
    /// By position: what a command on an incident led to, and the request.
    answers: BTreeMap<u64, (Box<str>, Option<IncidentId>)>,
    pub(crate) counted: Vec<Fault>,
}

/// A step or a call; that somebody cleared an alert is told as what became of the alert.
fn is_of_people(event: &&IncidentEvent) -> bool {
    event.entry.actor.is_some() && event.entry.what != What::AlertCleared
}

/// An alert that somebody cleared is told as theirs, and every other one as nobody's.
fn check_cleared(entry: &Entry, command: Option<&Command>) -> Result<(), String> {
    if entry.what != What::AlertCleared {
        return Ok(());
    }
    let by = command.filter(|command| match &command.action {
        Action::Clear { alert, .. } => entry.alert.as_ref() == Some(alert),
        _ => false,
    });
    let expected = by.map(|command| (Source::Dispatcher, &*command.actor.id));
    match (entry.actor.as_deref(), expected) {
        (None, None) if entry.source != Source::Dispatcher => Ok(()),
        (Some(actor), Some((source, id))) if (entry.source, actor) == (source, id) => Ok(()),
        _ => Err(format!("is told as another's than of {expected:?}")),
    }
}

/// The state after an entry; `None`: it may not follow.
fn follows(before: State, what: What) -> Option<State> {
    use State::{Accepted, Arrived, Closed, Commanded, Freed, Received, TurnedOut};
    let (is_pending, is_answered) = (before.is_pending(), matches!(before, Accepted | TurnedOut | Arrived));
    let may = |is: bool, after: State| is.then_some(after);
    match what {
        What::Received | What::Retold => None,
        What::AlertCleared | What::Noted | What::Reassured | What::ReassuranceFailed => Some(before),
        What::AlertJoined => may(!before.is_over(), before),
        What::CallJoined
        | What::Proposed
        | What::SceneChanged
        | What::ReassuranceAsked
        | What::ReassuranceUnanswered
        | What::ArrivalLate => may(is_pending, before),
        What::Commanded => may(is_pending, Commanded),
        What::Unanswered => may(matches!(before, Received | Commanded), before),
        What::Accepted => may(before == Commanded, Accepted),
        What::Declined => may(matches!(before, Commanded | Accepted | TurnedOut), Received),
        What::TurnedOut => may(before == Accepted, TurnedOut),
        What::Arrived => may(matches!(before, Accepted | TurnedOut), Arrived),
        What::HandedOver => may(is_answered, before),
        What::Freed => may(is_pending, Freed),
        What::Closed => may(before == Freed, Closed),
        What::FalseAlarm => may(is_pending, State::FalseAlarm),
    }
}

fn what_of(step: &Step) -> What {
    match step {
        Step::Command(_) => What::Commanded,
        Step::Accept => What::Accepted,
        Step::Decline => What::Declined,
        Step::TurnOut => What::TurnedOut,
        Step::Arrive => What::Arrived,
        Step::HandOver(_) => What::HandedOver,
        Step::Free => What::Freed,
        Step::Close(_) => What::Closed,
        Step::FalseAlarm => What::FalseAlarm,
        Step::Note => What::Noted,
    }
}

fn fault_of(what: What) -> Option<Fault> {
    Some(match what {
        What::Received => Fault::IncidentOpened,
        What::AlertJoined | What::CallJoined => Fault::IncidentJoined,
        What::Unanswered => Fault::RescueUnanswered,
        What::ArrivalLate => Fault::RescueLate,
        What::ReassuranceUnanswered => Fault::ReassuranceUnanswered,
        What::Closed | What::FalseAlarm => Fault::IncidentEnded,
        What::HandedOver => Fault::RescueHandedOver,
        What::Accepted | What::TurnedOut | What::Arrived | What::Freed => Fault::RescueAdvanced,
        _ => return None,
    })
}

impl Rescue {
    /// P5: deadlines are set, met and missed as they must be.
    fn take_deadline(&mut self, entry: &Entry, now: Elapsed, arrival_moves: bool) -> Result<(), String> {
        let by = |ms: i64| self.received + ms;
        match entry.what {
            What::Commanded => {
                let in_city = self.incident.scene.place.district.is_some_and(|it| it.as_str().starts_with("6401"));
                let arrive_ms = if in_city { ARRIVE_IN_CITY_MS } else { ARRIVE_MS };
                let has_arrived = self.timeline.iter().any(|it| it.what == What::Arrived);
                let anew = (!has_arrived).then(|| now + arrive_ms);
                let stands = self.deadlines.get(&What::ArrivalLate).copied().filter(|_| !arrival_moves);
                let arrive = stands.or(anew);
                let expected = (Some(now + ACCEPT_MS), arrive);
                if (entry.accept_by_ms.map(by), entry.arrive_by_ms.map(by)) != expected {
                    return Err(format!("sets other deadlines than {expected:?}"));
                }
                self.deadlines.insert(What::Unanswered, now + ACCEPT_MS);
                arrive.into_iter().for_each(|at| _ = self.deadlines.insert(What::ArrivalLate, at));
            }
            What::ReassuranceAsked => _ = self.deadlines.insert(What::ReassuranceUnanswered, now + REASSURE_MS),
            What::Accepted => _ = self.deadlines.remove(&What::Unanswered),
            // Nobody is on it: somebody is waited for anew.
            What::Declined => {
                if entry.accept_by_ms.map(by) != Some(now + ACCEPT_MS) {
                    return Err("waits for somebody else by another time".to_owned());
                }
                self.deadlines.insert(What::Unanswered, now + ACCEPT_MS);
            }
            What::Arrived => _ = self.deadlines.remove(&What::ArrivalLate),
            What::Freed | What::Closed | What::FalseAlarm => self.deadlines.clear(),
            missed @ (What::Unanswered | What::ArrivalLate | What::ReassuranceUnanswered) => {
                match self.deadlines.remove(&missed) {
                    Some(at) if at <= now => {}
                    other => return Err(format!("is told at {now:?}, and its deadline was {other:?}")),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Rescues {
    pub(crate) fn new(arrival_moves: bool) -> Self {
        Self { arrival_moves, ..Self::default() }
    }

    /// Those in which somebody of the lift may still be trapped.
    fn pending(&self, device: DeviceCode) -> Vec<IncidentId> {
        let is_it = |it: &&Rescue| it.incident.scene.device == Some(device) && it.incident.state.is_pending();
        self.all.values().filter(is_it).map(|it| it.incident.id).collect()
    }

    /// Takes what one record led to.
    pub(crate) fn take(
        &mut self,
        pos: u64,
        now: Elapsed,
        command: Option<&Command>,
        effects: &Effects,
    ) -> Result<(), String> {
        self.take_command(pos, now, command, effects).map_err(|what| format!("P2: at {pos} {what}"))?;
        for event in &effects.incidents {
            check_cleared(&event.entry, command).map_err(|what| format!("P6: at {pos} {what}: {:?}", event.entry))?;
            self.take_entry(now, event).map_err(|what| {
                format!("P6: at {pos} the entry {:?} of incident {} {what}", event.entry, event.incident.id)
            })?;
        }
        for event in &effects.events {
            self.check_alert(event, effects).map_err(|what| format!("P6: at {pos} {what}: {event:?}"))?;
        }
        Ok(())
    }

    fn take_entry(&mut self, now: Elapsed, event: &IncidentEvent) -> Result<(), String> {
        let IncidentEvent { entry, incident } = event;
        self.seq += 1;
        if (entry.epoch, entry.seq) != (1, self.seq) {
            return Err(format!("should be number {}", self.seq));
        }
        self.counted.extend(fault_of(entry.what));
        let Some(rescue) = self.all.get_mut(&incident.id) else {
            let number = self.all.len() as u64 + 1;
            if entry.what != What::Received || incident.id != (IncidentId { epoch: 1, number }) {
                return Err(format!("doesn't begin incident {number}"));
            }
            if let Some(device) = incident.scene.device
                && !self.pending(device).is_empty()
            {
                return Err("begins another incident of a lift that has one".to_owned());
            }
            if entry.accept_by_ms != Some(ACCEPT_MS) {
                return Err("waits for somebody by another time".to_owned());
            }
            let deadlines = Deadlines::from([(What::Unanswered, now + ACCEPT_MS)]);
            let timeline = vec![entry.clone()];
            self.all.insert(incident.id, Rescue { incident: incident.clone(), received: now, timeline, deadlines });
            return Ok(());
        };
        if follows(rescue.incident.state, entry.what) != Some(incident.state) {
            return Err(format!("leads from {:?} to {:?}", rescue.incident.state, incident.state));
        }
        rescue.take_deadline(entry, now, self.arrival_moves)?;
        rescue.timeline.push(entry.clone());
        let (old, new) = (&rescue.incident, incident);
        let learned = entry.scene.as_deref().filter(|_| entry.what == What::SceneChanged);
        let is_same_lift = |it: &Scene| (it.device, &it.rule) == (old.scene.device, &old.scene.rule);
        let is_kept = *learned.filter(|it| is_same_lift(it)).unwrap_or(&old.scene) == new.scene
            && old.received_at == new.received_at
            && new.entries as usize == rescue.timeline.len()
            && entry.since_ms == now - rescue.received
            && new.calls >= old.calls
            && new.legs.len() >= old.legs.len()
            && old.legs.iter().zip(&new.legs).all(|(old, new)| old.party == new.party);
        if !is_kept {
            return Err(format!("changes what stood: {old:?} became {new:?}"));
        }
        rescue.incident = incident.clone();
        Ok(())
    }

    /// An alert that calls for a rescue leads to one, or joins the one that there is.
    fn check_alert(&self, event: &AlertEvent, effects: &Effects) -> Result<(), String> {
        let calls = |event: &&AlertEvent| {
            matches!(event.kind, EventKind::Opened | EventKind::Reopened | EventKind::Raised)
                && event.alert.dispatch.as_deref() == Some("rescue")
                && matches!(event.alert.id.subject, Subject::Device(_))
        };
        if !calls(&event) {
            return Ok(());
        }
        let is_same = |it: &&AlertEvent| it.alert.id == event.alert.id;
        let wanted = effects.events.iter().filter(calls).filter(is_same).count();
        let joined = effects.incidents.iter().filter(|it| {
            it.entry.alert.as_ref() == Some(&event.alert.id)
                && matches!(it.entry.what, What::Received | What::AlertJoined)
        });
        let joined = joined.count();
        let is_full = || self.all.values().any(|it| it.timeline.len() >= limits::INCIDENT_SENSOR_ENTRIES);
        if joined == wanted || is_full() {
            return Ok(());
        }
        Err(format!("{wanted} alerts call for a rescue, and {joined} joined one"))
    }

    /// What people ask for leads to one entry of theirs, and once.
    fn take_command(
        &mut self,
        pos: u64,
        now: Elapsed,
        command: Option<&Command>,
        effects: &Effects,
    ) -> Result<(), String> {
        let written: Vec<&IncidentEvent> = effects.incidents.iter().filter(is_of_people).collect();
        let Some(command) = command
            .filter(|command| matches!(command.action, Action::OpenIncident(_) | Action::AdvanceIncident { .. }))
        else {
            return if written.is_empty() { Ok(()) } else { Err(format!("nobody asked for {written:?}")) };
        };
        let request = &command.request;
        let key = (command.actor.id.clone(), request.clone());
        if let Some(since) = self.requests.get(&key) {
            // Others look at its answer. One that is still known after that time is known from the first one on.
            if written.is_empty() {
                return Ok(());
            }
            if now - *since <= limits::REQUEST_MS {
                return Err(format!("the repeated request {request} led to {written:?}"));
            }
        }
        self.requests.insert(key, now);
        let fits = match (&command.action, &written[..]) {
            (_, []) => true,
            (Action::OpenIncident(call), [event]) => {
                let pending = call.device.map_or(Vec::new(), |device| self.pending(device));
                match event.entry.what {
                    What::Received => pending.is_empty() && event.entry.source == Source::Call,
                    What::CallJoined => call.device.is_none() || pending == [event.incident.id],
                    _ => false,
                }
            }
            (Action::AdvanceIncident { incident, step, .. }, [event]) => {
                event.incident.id == *incident && event.entry.what == what_of(step)
            }
            _ => false,
        };
        if !fits {
            return Err(format!("request {request} led to {written:?}: {:?}", command.action));
        }
        self.answers.insert(pos, (request.clone(), written.first().map(|event| event.incident.id)));
        Ok(())
    }

    /// What was answered is what was written.
    pub(crate) fn check_answer(&self, command: &Command, outcome: &Outcome) -> Result<(), String> {
        let Outcome::Incident { position, incident, .. } = outcome else { return Ok(()) };
        match self.answers.get(position) {
            Some((request, Some(id))) if *request == command.request && id == incident => Ok(()),
            other => Err(format!("P2: request {} was answered {outcome:?}, and led to {other:?}", command.request)),
        }
    }

    /// P5: no deadline has passed without a word.
    pub(crate) fn check_deadlines(&self, now: Elapsed) -> Result<(), String> {
        let late = self.all.values().find_map(|it| {
            let (what, at) = it.deadlines.iter().find(|(_, at)| **at <= now)?;
            Some((it.incident.id, *what, *at))
        });
        match late {
            None => Ok(()),
            Some((id, what, at)) => {
                Err(format!("P5: it is {now:?}, and incident {id} was not told {what:?} of {at:?}"))
            }
        }
    }
}
