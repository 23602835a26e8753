//! Events and a log for the tests of this folder and its neighbours.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{EventLog, LogError, LogFuture};
use crate::model::alert::{
    Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Place, Reason, Severity, Title,
};
use crate::model::ids::{AlertId, DeviceCode, District, RuleId, Subject};
use crate::model::incident::{Entry, Source, What};
use crate::model::time::Wall;

pub(crate) fn lift(n: u64) -> Subject {
    Subject::Device(DeviceCode::parse(&format!("{:020}", n)).unwrap())
}

/// An event of epoch 1. The subject's number, by 3, gives the district: 640100, 640101 or 640102.
pub(crate) fn event(seq: u64, subject: Subject, kind: EventKind) -> AlertEvent {
    let n: u64 = subject.to_string().parse().unwrap_or(0);
    let cleared = kind == EventKind::Cleared;
    AlertEvent {
        seq,
        epoch: 1,
        kind,
        reason: Reason::ConditionHeld,
        at: Wall(1_000 * seq as i64),
        published_at: Wall(1_000 * seq as i64 + 5),
        delayed: false,
        actor: None,
        note: None,
        alert: Alert {
            id: AlertId { subject, rule: RuleId::parse("trapped-out-of-zone").unwrap(), opening: 1 },
            state: if cleared { AlertState::Cleared } else { AlertState::Open },
            severity: Severity::Critical,
            certainty: Certainty::Likely,
            opened_at: Wall(1_000),
            cleared_at: cleared.then_some(Wall(1_000 * seq as i64)),
            acknowledged: None,
            evidence: Vec::new(),
            unregistered: false,
            place: Place { district: District::parse(&format!("64010{}", n % 3)).ok(), address: None },
            title: Title::default(),
            dispatch: None,
            occupied: None,
            group: None,
            flapping: false,
        },
    }
}

/// A log that tests fill by hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryLog(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    events: Mutex<Vec<AlertEvent>>,
    away: AtomicBool,
    reads: AtomicUsize,
}

impl MemoryLog {
    pub(crate) fn extend(&self, events: Vec<AlertEvent>) {
        self.0.events.lock().unwrap().extend(events);
    }

    pub(crate) fn go_away(&self) {
        self.0.away.store(true, Ordering::Relaxed);
    }

    pub(crate) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::Relaxed)
    }
}

impl EventLog for MemoryLog {
    fn after(&self, after: Cursor, limit: usize) -> LogFuture<'_> {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        let result = if self.0.away.load(Ordering::Relaxed) {
            Err(LogError::Unavailable("away".into()))
        } else {
            let events = self.0.events.lock().unwrap();
            Ok(events.iter().filter(|e| e.cursor() > after).take(limit).cloned().collect())
        };
        Box::pin(std::future::ready(result))
    }
}

/// The entry of an incident of epoch 1, with nothing in it but what happened and when.
pub(crate) fn incident_entry(seq: u64, what: What) -> Entry {
    Entry {
        seq,
        epoch: 1,
        at: Wall(1_000 * seq as i64),
        since_ms: 1_000 * (seq as i64 - 1),
        what,
        source: Source::Dispatcher,
        actor: None,
        note: None,
        scene: None,
        party: None,
        alert: None,
        severity: None,
        certainty: None,
        occupied: None,
        caller: None,
        accept_by_ms: None,
        arrive_by_ms: None,
        ending: None,
        reassure_by_ms: None,
    }
}
