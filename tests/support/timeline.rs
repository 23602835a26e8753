//! The core with a simulated clock around it: what a shell does, without a shell.
//!
//! Markers come back every 5 s while the link is up, a `Tick` is appended exactly when the core asks for one, and after
//! every record what must always hold is checked.

use std::collections::BTreeMap;

use bytes::Bytes;
use vigil::core::Core;
use vigil::model::actor::Actor;
use vigil::model::alert::{Alert, AlertEvent, AlertState, EventKind};
use vigil::model::ids::AlertId;
use vigil::model::incident::IncidentEvent;
use vigil::model::record::{Action, Command, Kind, Link, Outcome, PolicyText, Record};
use vigil::model::row::{Effects, Row, Tally};
use vigil::model::time::{Elapsed, Wall};

/// Script times count from here: a Sunday, 10:00 in Shanghai.
pub(crate) const BEGAN_WALL: Wall = Wall(1_795_312_800_000);
/// The inbox is older than the scenario.
pub(crate) const BEGAN: Elapsed = Elapsed(5_000_000);
const MARKER_MS: i64 = 5_000;
/// However much falls due at once, the core must come to rest within so many ticks.
const TICKS_MAX: usize = 2_000;

pub(crate) struct Timeline {
    pub(crate) core: Core,
    pub(crate) now_ms: i64,
    /// How far civil time has been stepped.
    pub(crate) wall_step_ms: i64,
    /// When the next marker is sent, if any are.
    next_marker_ms: Option<i64>,
    pub(crate) events: Vec<AlertEvent>,
    pub(crate) rows: Vec<Row>,
    pub(crate) incidents: Vec<IncidentEvent>,
    /// Of the last record.
    pub(crate) effects: Effects,
    /// Of all records.
    pub(crate) tally: Tally,
    pub(crate) ticks: usize,
    /// Ticks that nobody asked for, this far apart.
    pub(crate) extra_ticks_ms: Option<i64>,
    /// What is open isn't compared after every record: for scenarios of very many.
    pub(crate) unchecked: bool,
    /// What the events say is open.
    folded: BTreeMap<AlertId, Alert>,
}

impl Timeline {
    /// Started under this policy, connected and drained.
    pub(crate) fn new(policy: &PolicyText) -> Self {
        let mut timeline = Self::bare();
        let reply = timeline.apply(Kind::Policy(policy.clone())).reply.clone();
        assert!(matches!(reply, Some(Outcome::Done { .. })), "{reply:?}");
        timeline.link_up();
        timeline.drained();
        timeline
    }

    /// Only started.
    pub(crate) fn bare() -> Self {
        let mut timeline = Self {
            core: Core::new(1),
            now_ms: 0,
            wall_step_ms: 0,
            next_marker_ms: None,
            events: Vec::new(),
            rows: Vec::new(),
            incidents: Vec::new(),
            effects: Effects::default(),
            tally: Tally::default(),
            ticks: 0,
            extra_ticks_ms: None,
            unchecked: false,
            folded: BTreeMap::new(),
        };
        timeline.apply(Kind::Start { version: "test".into() });
        timeline
    }

    pub(crate) fn elapsed(&self) -> Elapsed {
        BEGAN + self.now_ms
    }

    pub(crate) fn wall(&self) -> Wall {
        BEGAN_WALL + self.now_ms + self.wall_step_ms
    }

    /// Lets time pass, with markers and ticks as they fall due.
    pub(crate) fn advance_to(&mut self, to_ms: i64) {
        while let Some(next) =
            self.extra_ticks_ms.map(|every| (self.now_ms / every + 1) * every).filter(|at| *at < to_ms)
        {
            self.advance(next);
            self.append(Kind::Tick);
            self.rest();
        }
        self.advance(to_ms);
    }

    fn advance(&mut self, to_ms: i64) {
        assert!(to_ms >= self.now_ms, "time doesn't run backwards");
        loop {
            let deadline = self.core.next_deadline().map(|at| at - BEGAN);
            let tick_first = deadline.is_some_and(|at| self.next_marker_ms.is_none_or(|marker| at <= marker));
            let Some(next) = (if tick_first { deadline } else { self.next_marker_ms }).filter(|at| *at <= to_ms) else {
                break;
            };
            self.now_ms = next.max(self.now_ms);
            if tick_first {
                self.append(Kind::Tick);
                self.rest();
            } else {
                self.next_marker_ms = Some(self.now_ms + MARKER_MS);
                let sent = self.elapsed();
                self.apply(Kind::Link(Link::Heard { sent }));
            }
        }
        self.now_ms = to_ms;
    }

    /// Appends a record now, and the ticks that the core wants at once.
    pub(crate) fn apply(&mut self, kind: Kind) -> &Effects {
        self.append(kind);
        let effects = self.effects.clone();
        self.rest();
        self.effects = effects;
        &self.effects
    }

    fn rest(&mut self) {
        for _ in 0..TICKS_MAX {
            if self.core.is_settled() {
                return;
            }
            self.append(Kind::Tick);
        }
        panic!("the core wants ticks for ever: {:?} at {:?}", self.core.next_deadline(), self.elapsed());
    }

    /// Appends a record, and nothing else.
    pub(crate) fn append(&mut self, kind: Kind) {
        self.ticks += usize::from(kind == Kind::Tick);
        let record = Record { pos: self.core.next(), elapsed: self.elapsed(), wall: self.wall(), kind };
        self.effects = self.core.apply(&record);
        self.tally += self.effects.tally;
        for event in &self.effects.events {
            fold(&mut self.folded, &mut self.events, event);
        }
        self.rows.extend(self.effects.rows.iter().cloned());
        for event in &self.effects.incidents {
            assert_eq!(event.entry.seq, self.incidents.len() as u64 + 1, "seq of incidents has a gap");
            self.incidents.push(event.clone());
        }
        if self.unchecked {
            return;
        }
        let open: Vec<Alert> = self.core.open_alerts().into_iter().map(without_archive).collect();
        let folded: Vec<Alert> = self.folded.values().cloned().map(without_archive).collect();
        assert_eq!(open, folded, "what is open isn't what the events say");
    }

    pub(crate) fn report(&mut self, topic: &str, payload: impl Into<Bytes>) -> &Effects {
        self.apply(Kind::Report { topic: topic.into(), payload: payload.into() })
    }

    pub(crate) fn link_up(&mut self) {
        self.apply(Kind::Link(Link::Up));
    }

    /// The first marker sent on this connection comes back.
    pub(crate) fn drained(&mut self) {
        let sent = self.elapsed();
        self.apply(Kind::Link(Link::Heard { sent }));
        self.next_marker_ms = Some(self.now_ms + MARKER_MS);
    }

    pub(crate) fn link_down(&mut self) {
        self.next_marker_ms = None;
        self.apply(Kind::Link(Link::Down));
    }

    /// Markers stay away although the link seems up; with `true` they come back.
    pub(crate) fn markers(&mut self, on: bool) {
        self.next_marker_ms = on.then_some(self.now_ms);
    }

    /// The service ended and begins again.
    pub(crate) fn restart(&mut self) {
        self.next_marker_ms = None;
        self.apply(Kind::Start { version: "test".into() });
    }

    pub(crate) fn command(&mut self, request: &str, action: Action) -> Outcome {
        self.command_of(Actor::local_admin(), request, action)
    }

    pub(crate) fn command_of(&mut self, actor: Actor, request: &str, action: Action) -> Outcome {
        let command = Command { request: request.into(), actor, action };
        self.apply(Kind::Command(command)).reply.clone().expect("every command is answered")
    }
}

/// Notes an event, and checks that it follows from those before.
fn fold(open: &mut BTreeMap<AlertId, Alert>, events: &mut Vec<AlertEvent>, event: &AlertEvent) {
    let id = &event.alert.id;
    assert_eq!(event.seq, events.len() as u64 + 1, "seq has a gap");
    assert_eq!(event.delayed, event.published_at - event.at > 5_000, "{event:?}");
    let twice = open.keys().any(|other| other != id && (other.subject, &other.rule) == (id.subject, &id.rule));
    assert!(!twice, "two open alerts of one rule: {event:?}");
    let before = open.get(id);
    match event.kind {
        EventKind::Opened => {
            let openings = events.iter().filter(|e| e.kind == EventKind::Opened);
            let earlier = openings.filter(|e| (e.alert.id.subject, &e.alert.id.rule) == (id.subject, &id.rule)).count();
            assert_eq!(earlier as u64 + 1, u64::from(id.opening), "openings are counted from 1: {event:?}");
            assert!(before.is_none(), "opened twice: {event:?}");
        }
        EventKind::Reopened => {
            let was = events.iter().rev().find(|e| e.alert.id == *id).map(|e| e.kind);
            assert_eq!(was, Some(EventKind::Cleared), "{event:?}");
        }
        EventKind::Raised | EventKind::Acknowledged | EventKind::Cleared | EventKind::Grouped => {
            let before = before.unwrap_or_else(|| panic!("it isn't open: {event:?}"));
            let (was, is) = ((before.severity, before.certainty), (event.alert.severity, event.alert.certainty));
            assert!(is.0 >= was.0 && is.1 >= was.1, "severity and certainty only rise: {event:?}");
        }
    }
    if event.kind == EventKind::Cleared {
        assert_eq!(event.alert.state, AlertState::Cleared);
        open.remove(id);
    } else {
        assert_eq!(event.alert.state, AlertState::Open);
        open.insert(id.clone(), event.alert.clone());
    }
    events.push(event.clone());
}

/// Where it is follows the archive without an event of its own.
fn without_archive(alert: Alert) -> Alert {
    Alert { place: Default::default(), unregistered: false, title: Default::default(), ..alert }
}

/// The rules that are shipped.
pub(crate) fn shipped() -> PolicyText {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let rules = vigil::app::policy::read_folder(&folder).unwrap();
    PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "test".into(), topic_prefix: "vigil/v1".into() }
}

/// Every lift of a scenario is named by one capital letter.
pub(crate) fn lift_code(name: &str) -> String {
    assert!(name.len() == 1 && name.bytes().all(|b| b.is_ascii_uppercase()), "{name:?} is no lift's name");
    format!("3130500112201401724{name}")
}
