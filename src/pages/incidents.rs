//! The rescue incidents that are going on, and those that are over for a short while, folded from the events that watchers
//! get.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{Gap, Page};
use crate::core::dispatch::machine;
use crate::limits;
use crate::model::actor::Actor;
use crate::model::alert::{Cursor, Severity};
use crate::model::ids::{DeviceCode, District};
use crate::model::incident::{Entry, Incident, IncidentEvent, IncidentId, State, What};
use crate::model::time::Wall;

/// **Invariant:** what a call shows is exactly the fold of all events up to the cursor that it names.
#[derive(Debug, Default)]
pub struct Incidents(RwLock<Held>);

#[derive(Debug, Default)]
struct Held {
    all: BTreeMap<IncidentId, Shown>,
    /// The most urgent first.
    order: BTreeSet<IncidentPlace>,
    /// Those that are over, by when, oldest first.
    over: VecDeque<(Wall, IncidentId)>,
    cursor: Cursor,
}

#[derive(Debug)]
struct Shown {
    place: IncidentPlace,
    before: Vec<Before>,
    last: Arc<IncidentEvent>,
    /// Its incident is what its entry made of the one before.
    follows: bool,
}

/// An event with others after it.
#[derive(Debug)]
enum Before {
    /// The entry alone: the incident is what it made of the one before.
    Entry(Box<Entry>),
    /// It isn't, as when another version of the core had told it.
    Whole(Arc<IncidentEvent>),
}

impl Shown {
    /// Every event as it was told.
    fn timeline(&self) -> Vec<Arc<IncidentEvent>> {
        let mut timeline: Vec<Arc<IncidentEvent>> = Vec::with_capacity(self.before.len() + 1);
        for before in &self.before {
            let event = match before {
                Before::Whole(event) => Arc::clone(event),
                Before::Entry(entry) => {
                    let incident = after(timeline.last().map(|event| &event.incident), self.last.incident.id, entry);
                    Arc::new(IncidentEvent { entry: Entry::clone(entry), incident })
                }
            };
            timeline.push(event);
        }
        timeline.push(Arc::clone(&self.last));
        timeline
    }
}

/// What an entry makes of an incident; of none, if it is the first one.
fn after(before: Option<&Incident>, id: IncidentId, entry: &Entry) -> Incident {
    match before {
        None => machine::begin(id, entry),
        Some(before) => {
            let mut incident = before.clone();
            machine::take(&mut incident, entry);
            incident
        }
    }
}

/// Where an incident stands in a listing: those in which somebody may be trapped, then those that wait to be closed, then
/// those that are over; among them by severity, by whether people are in the car, and who waits longest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IncidentPlace {
    pub rank: u32,
    pub id: IncidentId,
}

impl IncidentPlace {
    pub fn of(it: &Incident) -> Self {
        let stage = if it.state.is_pending() { 0 } else { 1 + u32::from(it.state.is_over()) };
        let severity = Severity::Critical.number().abs_diff(it.severity.number());
        let occupied = match it.occupied {
            Some(true) => 0,
            None => 1,
            Some(false) => 2,
        };
        Self { rank: 100 * stage + 10 * severity + occupied, id: it.id }
    }
}

/// What is empty doesn't restrict; all that is given must fit. It can't be built without saying who asks.
#[derive(Debug, Clone)]
pub struct IncidentFilter {
    pub actor: Actor,
    pub districts: Vec<District>,
    pub devices: Vec<DeviceCode>,
    pub states: Vec<State>,
}

impl IncidentFilter {
    pub fn all(actor: Actor) -> Self {
        Self { actor, districts: Vec::new(), devices: Vec::new(), states: Vec::new() }
    }

    pub fn passes(&self, it: &Incident) -> bool {
        let (district, device) = (it.scene.place.district, it.scene.device);
        (self.districts.is_empty() || district.is_some_and(|own| self.districts.iter().any(|o| own.is_within(o))))
            && (self.devices.is_empty() || device.is_some_and(|own| self.devices.contains(&own)))
            && (self.states.is_empty() || self.states.contains(&it.state))
            && it.is_seen_by(&self.actor)
    }
}

/// One page of incidents, each as its last event left it.
#[derive(Debug, Clone)]
pub struct IncidentListing {
    pub incidents: Vec<Arc<IncidentEvent>>,
    /// There may be more behind the last one.
    pub more: bool,
    pub cursor: Cursor,
}

impl Incidents {
    /// Begins with what was told of the incidents up to `cursor`, in order: of each from how it was received on.
    pub fn restore(told: &[IncidentEvent], cursor: Cursor) -> Self {
        let mut held = Held::default();
        told.iter().for_each(|event| held.take(event));
        held.cursor = cursor;
        Self(RwLock::new(held))
    }

    pub fn cursor(&self) -> Cursor {
        self.read().cursor
    }

    /// At most `limit` that pass, behind `after`; with those that are over if that is asked for.
    pub fn list(
        &self,
        filter: &IncidentFilter,
        with_over: bool,
        after: Option<&IncidentPlace>,
        limit: usize,
    ) -> IncidentListing {
        let held = self.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = held.order.range((from, Bound::Unbounded)).filter_map(|place| held.all.get(&place.id));
        let mut passing = behind.map(|shown| &shown.last).filter(|last| {
            let it = &last.incident;
            (with_over || !it.state.is_over()) && filter.passes(it)
        });
        let incidents = passing.by_ref().take(limit).map(Arc::clone).collect();
        let more = passing.next().is_some();
        IncidentListing { incidents, more, cursor: held.cursor }
    }

    /// What happened to an incident, the last event being how it stands.
    pub fn timeline(&self, id: &IncidentId) -> Option<Vec<Arc<IncidentEvent>>> {
        self.read().all.get(id).map(Shown::timeline)
    }

    /// How an incident stands.
    pub fn last(&self, id: &IncidentId) -> Option<Arc<IncidentEvent>> {
        self.read().all.get(id).map(|shown| Arc::clone(&shown.last))
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page<IncidentEvent> for Incidents {
    fn cursor(&self) -> Cursor {
        self.cursor()
    }

    fn apply(&self, events: &[IncidentEvent]) -> Result<(), Gap> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for event in Gap::check(held.cursor, events)? {
            held.take(event);
        }
        Ok(())
    }
}

impl Held {
    fn take(&mut self, event: &IncidentEvent) {
        self.cursor = event.cursor();
        let (id, place) = (event.incident.id, IncidentPlace::of(&event.incident));
        let last = Arc::new(event.clone());
        let was_over = match self.all.get_mut(&id) {
            Some(shown) if event.entry.what != What::Received => {
                self.order.remove(&shown.place);
                let told = std::mem::replace(&mut shown.last, last);
                shown.place = place;
                let was_over = told.incident.state.is_over();
                let follows = after(Some(&told.incident), id, &event.entry) == event.incident;
                let before = if std::mem::replace(&mut shown.follows, follows) {
                    Before::Entry(Box::new(told.entry.clone()))
                } else {
                    Before::Whole(told)
                };
                shown.before.push(before);
                was_over
            }
            None if event.entry.what != What::Received => {
                // A note on one that was let go: the store has the whole of it.
                return;
            }
            _ => {
                let follows = after(None, id, &event.entry) == event.incident;
                self.all.insert(id, Shown { place, before: Vec::new(), last, follows });
                false
            }
        };
        self.order.insert(place);
        if event.incident.state.is_over() && !was_over {
            self.over.push_back((event.entry.at, id));
        }
        let is_old = |(at, _): &(Wall, IncidentId)| event.entry.at - *at >= limits::INCIDENT_KEPT_MS;
        while self.over.len() > limits::INCIDENTS_OVER || self.over.front().is_some_and(is_old) {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        if let Some(shown) = self.over.pop_front().and_then(|(_, id)| self.all.remove(&id)) {
            self.order.remove(&shown.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::testing::incident_entry;

    const ID: IncidentId = IncidentId { epoch: 1, number: 7 };

    fn told(whats: &[What]) -> Vec<IncidentEvent> {
        let mut events: Vec<IncidentEvent> = Vec::new();
        for (seq, what) in (1..).zip(whats) {
            let entry = incident_entry(seq, *what);
            let incident = after(events.last().map(|event| &event.incident), ID, &entry);
            events.push(IncidentEvent { entry, incident });
        }
        events
    }

    /// Flow: a rescue with some dozen entries; another version of the core tells it otherwise in its midst.
    /// Asserts: its timeline is what was told, event by event, though the whole of it is kept of few.
    #[test]
    fn a_timeline_is_what_was_told_and_kept_as_its_entries() {
        let notes = [What::Noted; 30];
        let whats: Vec<What> =
            [What::Received, What::Proposed, What::Commanded, What::Accepted].iter().chain(&notes).copied().collect();
        let mut events = told(&whats);
        for event in &mut events[20..] {
            event.incident.calls += 1;
        }
        let page = Incidents::default();
        for (n, event) in events.iter().enumerate() {
            page.apply(std::slice::from_ref(event)).unwrap();
            let timeline = page.timeline(&ID).unwrap();
            assert!(timeline.iter().map(|it| &**it).eq(&events[..=n]), "after {n}");
            assert_eq!(page.last(&ID).unwrap().cursor(), event.cursor());
        }
        let held = page.read();
        let whole = held.all[&ID].before.iter().filter(|it| matches!(it, Before::Whole(_))).count();
        assert_eq!(whole, 1, "the one that was told otherwise");
    }
}
