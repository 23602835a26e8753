//! What a version of the core holds against what the one before it told.

use std::collections::BTreeMap;

use super::{Core, Effects};
use crate::model::alert::{Alert, AlertEvent, AlertState, EventKind};
use crate::model::archive::Entry;
use crate::model::ids::{AlertId, Subject};
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
        self.retell_incidents(out, it.incident_seq);
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
    pub fn present_entry(&self, entry: &Entry) -> Option<Entry> {
        match entry {
            Entry::Lift(it) => self.lifts.get(self.lift_at(&it.code)?).archived().map(Entry::Lift),
            Entry::Cylinder(it) => self.cylinders.get(self.cylinder_named(&it.code)?).archived().map(Entry::Cylinder),
            Entry::Firm(it) => self.firms.get(&it.id).cloned().map(Entry::Firm),
            Entry::Site(it) => self.sites.get(&it.code).cloned().map(Entry::Site),
            Entry::Worker(it) => self.workers.get(&it.id).cloned().map(Entry::Worker),
        }
    }
}
