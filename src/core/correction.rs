//! What a version of the core holds against what the one before it told.

use std::collections::{BTreeMap, BTreeSet};

use super::dispatch::machine;
use super::{Core, Effects};
use crate::model::alert::{Alert, AlertEvent, AlertState, EventKind};
use crate::model::archive;
use crate::model::ids::{AlertId, DeviceCode, Subject};
use crate::model::incident::{Entry, IncidentEvent, IncidentId, What};
use crate::model::obligation::DueRow;
use crate::model::record::{Corrected, Correction};
use crate::model::time::Wall;

/// Alerts as their last events left them; what was open before the first of these events is there too.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Alerts(BTreeMap<AlertId, Alert>);

impl Alerts {
    pub fn take(&mut self, event: &AlertEvent) {
        self.0.insert(event.alert.id.clone(), event.alert.clone());
    }

    /// `open` are all that are open, whatever the events said of them.
    pub fn with_open(mut self, open: Vec<Alert>) -> Self {
        self.0.retain(|_, alert| alert.state == AlertState::Cleared);
        self.0.extend(open.into_iter().map(|alert| (alert.id.clone(), alert)));
        self
    }

    /// The ids that `other` doesn't have, ascending.
    pub fn unknown_to(&self, other: &Self) -> Vec<AlertId> {
        self.0.keys().filter(|id| !other.0.contains_key(id)).cloned().collect()
    }
}

impl FromIterator<Alert> for Alerts {
    fn from_iter<I: IntoIterator<Item = Alert>>(alerts: I) -> Self {
        Self(alerts.into_iter().map(|alert| (alert.id.clone(), alert)).collect())
    }
}

/// What has to be told so that those who know `told` know how `own` stands, by id. What both hold for over is left as
/// it was told.
pub fn differences(told: &Alerts, own: &Alerts, now: Wall) -> Vec<Corrected> {
    let of_own = own.0.iter().filter_map(|(id, alert)| of_own(told.0.get(id), alert, now));
    let lost = told.0.iter().filter(|(id, alert)| alert.state == AlertState::Open && !own.0.contains_key(id));
    let cleared = lost.map(|(_, alert)| {
        let alert = Alert { state: AlertState::Cleared, cleared_at: Some(now), ..alert.clone() };
        Corrected { kind: EventKind::Cleared, at: now, alert }
    });
    let mut all: Vec<Corrected> = of_own.chain(cleared).collect();
    all.sort_by(|a, b| a.alert.id.cmp(&b.alert.id));
    all
}

fn of_own(told: Option<&Alert>, own: &Alert, now: Wall) -> Option<Corrected> {
    let was = told.map(|told| told.state);
    let (kind, at) = match (own.state, was) {
        (AlertState::Open, None) => (EventKind::Opened, own.opened_at),
        (AlertState::Open, Some(AlertState::Cleared)) => (EventKind::Reopened, now),
        (AlertState::Open, Some(AlertState::Open)) => {
            let is_alike = told.is_some_and(|told| stand_alike(told, own));
            return (!is_alike).then(|| Corrected { kind: EventKind::Raised, at: now, alert: own.clone() });
        }
        (AlertState::Cleared, Some(AlertState::Cleared)) => return None,
        (AlertState::Cleared, _) => (EventKind::Cleared, own.cleared_at.unwrap_or(now)),
    };
    Some(Corrected { kind, at, alert: own.clone() })
}

/// Whether two tellings of an open alert make no difference to whoever acts on it. Where it is and what it is called
/// comes from the archive and the rules as they stand when it is told.
fn stand_alike(one: &Alert, other: &Alert) -> bool {
    let of = |it: &Alert| (it.severity, it.certainty, it.opened_at, it.dispatch.clone(), it.acknowledged.clone());
    of(one) == of(other)
}

/// Rescues by their id, each from how it was received on.
pub type Rescues = BTreeMap<IncidentId, Vec<Entry>>;

/// Adds what was told of rescues.
pub fn add_rescues(rescues: &mut Rescues, events: &[IncidentEvent]) {
    for event in events {
        rescues.entry(event.incident.id).or_default().push(event.entry.clone());
    }
}

/// How rescues go on, where `own` are otherwise than those told: people act on what they were told. What only `own` has is added,
/// under a new id in `epoch` where its own is taken, unless a rescue of that lift was told. Without entries: not by that id.
pub fn rescues(told: &Rescues, own: &Rescues, epoch: u32, number: u64) -> Vec<(IncidentId, Vec<Entry>)> {
    // What was told anew only is not told from its beginning: it is the own one's.
    let told: BTreeMap<_, _> = told.iter().filter(|(_, it)| device_of(it).is_some()).collect();
    let pending: BTreeSet<DeviceCode> =
        told.iter().filter(|(id, it)| is_pending(***id, it)).filter_map(|(_, it)| device_of(it).flatten()).collect();
    let is_told = |timeline: &[Entry]| device_of(timeline).flatten().is_some_and(|device| pending.contains(&device));
    let mut all = Vec::new();
    let mut number = number.max(told.keys().map(|id| id.number).max().unwrap_or_default());
    for (id, timeline) in own {
        let is_pending = is_pending(*id, timeline);
        match told.get(id) {
            Some(it) if device_of(it) == device_of(timeline) => {}
            Some(_) if is_pending && !is_told(timeline) => {
                number += 1;
                all.push((IncidentId { epoch, number }, timeline.clone()));
            }
            None if is_pending && is_told(timeline) => all.push((*id, Vec::new())),
            Some(_) | None => {}
        }
    }
    for (id, timeline) in told {
        let is_alike = match own.get(id) {
            Some(own) => alike(own, timeline),
            // What is over long since is forgotten.
            None => machine::fold(*id, timeline).is_none_or(|it| it.state.is_over()),
        };
        if !is_alike {
            all.push((*id, timeline.clone()));
        }
    }
    all
}

/// Of what begins with how it was received: the lift, if it is of one.
fn device_of(timeline: &[Entry]) -> Option<Option<DeviceCode>> {
    let first = timeline.first().filter(|first| first.what == What::Received)?;
    Some(first.scene.as_ref().and_then(|scene| scene.device))
}

fn is_pending(id: IncidentId, timeline: &[Entry]) -> bool {
    machine::fold(id, timeline).is_some_and(|it| it.state.is_pending())
}

/// Whether two timelines make no difference to whoever acts on them.
fn alike(one: &[Entry], other: &[Entry]) -> bool {
    fn of(it: &Entry) -> impl PartialEq {
        (it.cursor(), it.what, it.since_ms, it.party.as_ref().map(|party| (party.tier, party.id.clone())))
    }
    device_of(one) == device_of(other) && one.len() == other.len() && one.iter().zip(other).all(|(a, b)| of(a) == of(b))
}

impl Core {
    pub(super) fn take_core(&mut self, pos: u64, epoch: u32) {
        // Without a snapshot nothing else says in which epoch the inbox began.
        if pos == 0 {
            self.books.epoch = epoch;
        }
    }

    pub(super) fn take_correction(&mut self, out: &mut Effects, it: &Correction) {
        self.books.epoch = self.books.epoch.max(it.epoch);
        self.books.seq = self.books.seq.max(it.seq);
        self.take_rescues(it.incident_seq, &it.rescues);
        if it.rescues.is_empty() {
            self.retell_incidents(it.incident_seq);
        }
        for id in &it.numbers {
            let number = self.books.number(&id.rule);
            let runs = match id.subject {
                Subject::Device(code) => self.lift_at(&code).map(|ix| &mut self.lifts.get_mut(ix).runs),
                Subject::Cylinder(code) => self.cylinder_named(&code).map(|ix| &mut self.cylinders.get_mut(ix).runs),
                Subject::Service => Some(&mut self.service.runs),
                Subject::Incident(id) => self.dispatch.runs_mut(&id),
            };
            if let Some(runs) = runs {
                let run = runs.entry(number);
                run.openings = run.openings.max(id.opening);
            }
        }
        for Corrected { kind, at, alert } in &it.alerts {
            self.books.correct(out, *kind, *at, alert.clone());
        }
    }

    /// When it is due now what was due as `told` says; `None`: its subject isn't known.
    pub fn present_due(&self, told: &DueRow) -> Option<DueRow> {
        let (policy, today, now) = (&self.policy, self.day(), self.books.now.wall);
        match told.subject {
            Subject::Device(code) => {
                Some(self.lifts.get(self.lift_at(&code)?).present_due(policy, told.kind, today, now))
            }
            Subject::Cylinder(code) => {
                Some(self.cylinders.get(self.cylinder_at(&code)?).present_due(policy, told.kind, today, now))
            }
            Subject::Service | Subject::Incident(_) => None,
        }
    }

    /// The archive's present entry for what `entry` is about.
    pub fn present_entry(&self, entry: &archive::Entry) -> Option<archive::Entry> {
        match entry {
            archive::Entry::Lift(it) => self.lifts.get(self.lift_at(&it.code)?).archived().map(archive::Entry::Lift),
            archive::Entry::Cylinder(it) => {
                self.cylinders.get(self.cylinder_named(&it.code)?).archived().map(archive::Entry::Cylinder)
            }
            archive::Entry::Firm(it) => self.firms.get(&it.id).cloned().map(archive::Entry::Firm),
            archive::Entry::Site(it) => self.sites.get(&it.code).cloned().map(archive::Entry::Site),
            archive::Entry::Worker(it) => self.workers.get(&it.id).cloned().map(archive::Entry::Worker),
        }
    }
}
