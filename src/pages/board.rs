//! The alerts that are open, folded from the same events that watchers get.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{Filter, Page, Told};
use crate::limits;
use crate::model::alert::{Alert, AlertEvent, AlertState, Cursor, Group, Urgency};
use crate::model::ids::AlertId;

/// **Invariant:** what a call shows is exactly the fold of all events up to the cursor that it names.
#[derive(Debug, Default)]
pub struct Board(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<AlertId, Arc<Alert>>,
    /// The open ones, the most urgent first.
    order: BTreeSet<Place>,
    /// How many lifts have joined the groups of open alerts, and how many of these alerts are open.
    groups: BTreeMap<Cursor, Joined>,
    /// The last ones cleared, oldest first, for whoever has just cleared one and wants to see it.
    cleared: VecDeque<Arc<Alert>>,
    cursor: Cursor,
}

#[derive(Debug, Clone, Copy, Default)]
struct Joined {
    lifts: u32,
    open: usize,
}

/// Where an open alert stands in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub urgency: Urgency,
    pub id: AlertId,
}

impl Place {
    pub fn of(alert: &Alert) -> Self {
        Self { urgency: alert.urgency(), id: alert.id.clone() }
    }
}

/// One page of open alerts, the most urgent first.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub alerts: Vec<Arc<Alert>>,
    /// There may be more behind the last one.
    pub more: bool,
    pub cursor: Cursor,
}

/// Events came that don't follow on what was there: a bug of ours, for which nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {got} was published after {had}: something between them is missing")]
pub struct Gap {
    pub had: Cursor,
    pub got: Cursor,
}

impl Gap {
    /// The events of `events` that are new at `had`. A later epoch may begin at any seq.
    pub fn check<E: Told>(had: Cursor, events: &[E]) -> Result<&[E], Self> {
        let known = events.iter().take_while(|e| e.cursor() <= had).count();
        let mut last = had;
        for event in &events[known..] {
            let got = event.cursor();
            let follows = got.epoch > last.epoch || (got.epoch == last.epoch && got.seq == last.seq + 1);
            if !follows {
                return Err(Self { had: last, got });
            }
            last = got;
        }
        Ok(&events[known..])
    }
}

impl Page<AlertEvent> for Board {
    fn cursor(&self) -> Cursor {
        self.cursor()
    }

    fn apply(&self, events: &[AlertEvent]) -> Result<(), Gap> {
        self.apply(events)
    }
}

impl Board {
    /// Begins with what was open at `cursor`.
    pub fn restore(open: impl IntoIterator<Item = Alert>, cursor: Cursor) -> Self {
        let mut state = State { cursor, ..State::default() };
        open.into_iter().for_each(|alert| state.put(Arc::new(alert)));
        Self(RwLock::new(state))
    }

    /// Takes events in order; those it knows already are passed over.
    pub fn apply(&self, events: &[AlertEvent]) -> Result<(), Gap> {
        if events.is_empty() {
            return Ok(());
        }
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for event in Gap::check(state.cursor, events)? {
            state.take(event);
        }
        Ok(())
    }

    pub fn cursor(&self) -> Cursor {
        self.read().cursor
    }

    /// At most `limit` alerts that pass, behind `after`.
    pub fn list(&self, filter: &Filter, after: Option<&Place>, limit: usize) -> Listing {
        let state = self.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = state.order.range((from, Bound::Unbounded)).filter_map(|place| state.open.get(&place.id));
        let mut passing = behind.filter(|alert| filter.passes(alert));
        let alerts = passing.by_ref().take(limit).map(|alert| state.shown(alert)).collect();
        let more = passing.next().is_some();
        Listing { alerts, more, cursor: state.cursor }
    }

    /// An alert that is open, or was cleared a short while ago.
    pub fn get(&self, id: &AlertId) -> Option<Arc<Alert>> {
        let state = self.read();
        let cleared = || state.cleared.iter().rev().find(|alert| alert.id == *id);
        state.open.get(id).map(|alert| state.shown(alert)).or_else(|| cleared().map(Arc::clone))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, event: &AlertEvent) {
        let alert = Arc::new(event.alert.clone());
        match alert.state {
            AlertState::Open => self.put(alert),
            AlertState::Cleared => {
                self.take_out(&alert.id);
                if self.cleared.len() == limits::BOARD_CLEARED {
                    self.cleared.pop_front();
                }
                self.cleared.push_back(alert);
            }
        }
        self.cursor = event.cursor();
    }

    fn put(&mut self, alert: Arc<Alert>) {
        if let Some(group) = &alert.group {
            let joined = self.groups.entry(group.began).or_default();
            *joined = Joined { lifts: joined.lifts.max(group.lifts), open: joined.open + 1 };
        }
        self.take_out(&alert.id);
        self.order.insert(Place::of(&alert));
        self.open.insert(alert.id.clone(), alert);
    }

    fn take_out(&mut self, id: &AlertId) {
        let Some(alert) = self.open.remove(id) else { return };
        self.order.remove(&Place::of(&alert));
        let Some(group) = &alert.group else { return };
        let Some(joined) = self.groups.get_mut(&group.began) else { return };
        joined.open -= 1;
        if joined.open == 0 {
            self.groups.remove(&group.began);
        }
    }

    /// An open alert with what has become of its group since it was told.
    fn shown(&self, alert: &Arc<Alert>) -> Arc<Alert> {
        let Some(group) = alert.group else { return Arc::clone(alert) };
        match self.groups.get(&group.began) {
            Some(joined) if joined.lifts > group.lifts => {
                let group = Some(Group { lifts: joined.lifts, ..group });
                Arc::new(Alert { group, ..Alert::clone(alert) })
            }
            _ => Arc::clone(alert),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::testing::{event, lift};
    use crate::model::actor::{Actor, Scope};
    use crate::model::alert::{EventKind, Severity, StormScope};
    use crate::model::ids::{District, PlaceId};
    use crate::model::time::Wall;

    fn ids(listing: &Listing) -> Vec<String> {
        listing.alerts.iter().map(|a| a.id.subject.to_string()).collect()
    }

    #[test]
    fn a_listing_is_the_fold_of_the_events_up_to_its_cursor() {
        let board = Board::default();
        let events = [
            event(1, lift(3), EventKind::Opened),
            event(2, lift(1), EventKind::Opened),
            event(3, lift(2), EventKind::Opened),
            event(4, lift(1), EventKind::Cleared),
        ];
        let everyone = Filter::all(Actor::local_admin());
        for (n, want) in [vec![3], vec![1, 3], vec![1, 2, 3], vec![2, 3]].into_iter().enumerate() {
            board.apply(&events[..=n]).unwrap();
            let listing = board.list(&everyone, None, 10);
            assert_eq!(ids(&listing), want.into_iter().map(|n| lift(n).to_string()).collect::<Vec<_>>());
            assert_eq!(listing.cursor, Cursor { epoch: 1, seq: n as u64 + 1 });
        }
        assert_eq!(board.get(&events[3].alert.id).unwrap().state, AlertState::Cleared);
    }

    /// Flow: three alerts of a group open, each knowing of one lift more; the last one clears first.
    /// Asserts: those that are open say how many lifts have joined by now, until none is open.
    #[test]
    fn a_group_is_shown_as_large_as_it_has_become() {
        let began = Cursor { epoch: 1, seq: 1 };
        let place = PlaceId::parse("F12").unwrap();
        let of = |seq: u64, kind: EventKind, n: u64, lifts: u32| {
            let mut event = event(seq, lift(n), kind);
            event.alert.group = Some(Group { scope: StormScope::Feeder, place, began, began_at: Wall(0), lifts });
            event
        };
        let board = Board::default();
        let everyone = Filter::all(Actor::local_admin());
        let lifts = || -> Vec<u32> {
            board.list(&everyone, None, 9).alerts.iter().map(|alert| alert.group.unwrap().lifts).collect()
        };
        for (event, want) in [
            (of(1, EventKind::Opened, 1, 1), vec![1]),
            (of(2, EventKind::Opened, 2, 2), vec![2, 2]),
            (of(3, EventKind::Opened, 3, 3), vec![3, 3, 3]),
            (of(4, EventKind::Cleared, 3, 3), vec![3, 3]),
            (of(5, EventKind::Raised, 1, 3), vec![3, 3]),
            (of(6, EventKind::Cleared, 1, 3), vec![3]),
            (of(7, EventKind::Cleared, 2, 3), vec![]),
        ] {
            board.apply(&[event]).unwrap();
            assert_eq!(lifts(), want);
        }
        assert!(board.read().groups.is_empty());
        let open = [of(1, EventKind::Opened, 1, 5).alert, of(2, EventKind::Opened, 2, 7).alert];
        let board = Board::restore(open, Cursor { epoch: 1, seq: 2 });
        assert_eq!(board.get(&of(1, EventKind::Opened, 1, 5).alert.id).unwrap().group.unwrap().lifts, 7);
    }

    #[test]
    fn the_most_urgent_come_first() {
        let mut all = Vec::new();
        for (n, (severity, occupied)) in (1..).zip(
            [Severity::Minor, Severity::Critical]
                .into_iter()
                .flat_map(|severity| [Some(false), None, Some(true)].map(|occupied| (severity, occupied))),
        ) {
            all.push(Alert { severity, occupied, ..event(n, lift(n), EventKind::Opened).alert });
        }
        for alert in &all {
            assert_eq!(Urgency::from_number(alert.urgency().number()), Some(alert.urgency()));
        }
        assert_eq!([0, 3, 53, 89, 100, u32::MAX].map(Urgency::from_number), [None; 6]);
        let board = Board::restore(all, Cursor { epoch: 1, seq: 6 });
        let listing = board.list(&Filter::all(Actor::local_admin()), None, 9);
        assert_eq!(ids(&listing), [6, 5, 4, 3, 2, 1].map(|n| lift(n).to_string()));
    }

    #[test]
    fn a_gap_is_refused_and_changes_nothing() {
        let board = Board::default();
        board.apply(&[event(1, lift(1), EventKind::Opened)]).unwrap();
        let gap = board.apply(&[event(2, lift(2), EventKind::Opened), event(4, lift(4), EventKind::Opened)]);
        assert_eq!(gap.unwrap_err().got.seq, 4);
        assert_eq!(board.cursor().seq, 1);
        assert_eq!(board.list(&Filter::all(Actor::local_admin()), None, 10).alerts.len(), 1);
    }

    #[test]
    fn pages_follow_on_each_other_and_show_only_the_own_district() {
        let open = (1..=9).map(|n| event(n, lift(n), EventKind::Opened).alert);
        let board = Board::restore(open, Cursor { epoch: 1, seq: 9 });
        let district = District::parse("640101").unwrap();
        let actor = Actor { scope: Scope::Districts(vec![district]), ..Actor::local_admin() };
        let filter = Filter { minimum_severity: Some(Severity::Major), ..Filter::all(actor) };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = board.list(&filter, after.as_ref(), 2);
            seen.extend(ids(&page));
            after = page.alerts.last().map(|alert| Place::of(alert));
            if !page.more {
                break;
            }
        }
        // Of the lifts of `testing`, every third lies in district 640101.
        assert_eq!(seen, [1, 4, 7].map(|n| lift(n).to_string()));
    }
}
