//! The core with a simulated clock around it: what a shell does, without a shell. Nobody sleeps.

use bytes::Bytes;

use crate::core::Core;
use crate::limits;
use crate::model::alert::AlertEvent;
use crate::model::downlink::Downlink;
use crate::model::fill::Verdict;
use crate::model::record::{Kind, Link, Outcome, Record};
use crate::model::row::Row;
use crate::model::time::{Elapsed, Wall};

/// The inbox is older than the timeline.
const BEGAN: Elapsed = Elapsed(86_400_000);
/// Markers are sent this often (`ingest`).
const MARKER_MS: i64 = 5_000;

pub struct Drive {
    pub core: Core,
    pub now_ms: i64,
    begins: Wall,
    /// How far our civil clock has been stepped.
    pub wall_step_ms: i64,
    /// When the next marker comes back, if any does.
    next_marker_ms: Option<i64>,
    /// The service is away until then.
    pub starts_at_ms: Option<i64>,
    pub is_up: bool,
    /// What the broker keeps for us while we are not connected.
    kept: Vec<Message>,
    /// Since they were last taken: what the core said, and when.
    pub events: Vec<(i64, AlertEvent)>,
    pub rows: Vec<(usize, Row)>,
    /// What filling guns were told, with the place of the step that asked.
    pub verdicts: Vec<(usize, Verdict)>,
    /// What can't be: a fault of this program, not of the rules.
    pub broken: Option<String>,
}

/// A message to the broker, with the place of the step that sent it.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: Box<str>,
    pub payload: Bytes,
    pub place: usize,
}

impl Drive {
    /// Not even started.
    pub fn new(begins: Wall) -> Self {
        Self {
            core: Core::new(1),
            now_ms: 0,
            begins,
            wall_step_ms: 0,
            next_marker_ms: None,
            starts_at_ms: None,
            is_up: false,
            kept: Vec::new(),
            events: Vec::new(),
            rows: Vec::new(),
            verdicts: Vec::new(),
            broken: None,
        }
    }

    pub fn elapsed(&self) -> Elapsed {
        BEGAN + self.now_ms
    }

    /// Our civil clock.
    pub fn wall(&self) -> Wall {
        self.begins + self.now_ms + self.wall_step_ms
    }

    /// From the beginning of the timeline, of a civil time that the core named.
    pub fn ms_of(&self, at: Wall) -> i64 {
        at - self.begins - self.wall_step_ms
    }

    pub fn is_away(&self) -> bool {
        self.starts_at_ms.is_some()
    }

    /// Lets time pass: markers come back, ticks come when the core asks for them, a service that was ended begins again.
    pub fn advance_to(&mut self, to_ms: i64) {
        while self.broken.is_none() {
            if let Some(starts_at_ms) = self.starts_at_ms {
                if starts_at_ms > to_ms {
                    break;
                }
                self.now_ms = starts_at_ms;
                self.start_again();
                continue;
            }
            let deadline = self.core.next_deadline().map(|at| (at - BEGAN).max(self.now_ms));
            let tick_first = deadline.is_some_and(|at| self.next_marker_ms.is_none_or(|marker| at <= marker));
            let next = if tick_first { deadline } else { self.next_marker_ms };
            let Some(next) = next.filter(|at| *at <= to_ms) else { break };
            self.now_ms = next;
            if tick_first {
                self.apply(Kind::Tick, 0);
            } else {
                self.marker();
            }
        }
        self.now_ms = self.now_ms.max(to_ms);
    }

    /// Appends a record now, and the ticks that the core wants at once.
    pub fn apply(&mut self, kind: Kind, place: usize) -> Option<Outcome> {
        if self.broken.is_some() {
            return None;
        }
        let reply = self.append(kind, place);
        for _ in 0..limits::SCENARIO_TICKS {
            if self.core.is_settled() {
                return reply;
            }
            self.append(Kind::Tick, place);
        }
        self.broken = Some(format!("the core asks for ticks without end at {:?}", self.elapsed()));
        reply
    }

    fn append(&mut self, kind: Kind, place: usize) -> Option<Outcome> {
        let record = Record { pos: self.core.next(), elapsed: self.elapsed(), wall: self.wall(), kind };
        let effects = self.core.apply(&record);
        self.events.extend(effects.events.into_iter().map(|event| (self.now_ms, event)));
        self.rows.extend(effects.rows.into_iter().map(|row| (place, row)));
        let answers = effects.downlinks.iter().filter_map(Downlink::fill);
        self.verdicts.extend(answers.map(|answer| (place, answer.verdict.clone())));
        effects.reply
    }

    /// A device publishes. The broker keeps it while nobody is connected.
    pub fn publish(&mut self, message: Message) {
        if self.is_up && !self.is_away() { self.deliver(message) } else { self.kept.push(message) }
    }

    fn deliver(&mut self, Message { topic, payload, place }: Message) {
        self.apply(Kind::Report { topic, payload }, place);
    }

    pub fn link_down(&mut self) {
        (self.is_up, self.next_marker_ms) = (false, None);
        self.apply(Kind::Link(Link::Down), 0);
    }

    /// Connected: what the broker kept comes at once.
    pub fn link_up(&mut self) {
        self.is_up = true;
        self.apply(Kind::Link(Link::Up), 0);
        for message in std::mem::take(&mut self.kept) {
            self.deliver(message);
        }
    }

    /// The first marker that was sent on this connection comes back.
    pub fn marker(&mut self) {
        self.next_marker_ms = Some(self.now_ms + MARKER_MS);
        let sent = self.elapsed();
        self.apply(Kind::Link(Link::Heard { sent }), 0);
    }

    pub fn lose_markers(&mut self) {
        self.next_marker_ms = None;
    }

    /// The service ends.
    pub fn end(&mut self, down_ms: i64) {
        (self.is_up, self.next_marker_ms) = (false, None);
        self.round_trip();
        self.starts_at_ms = Some(self.now_ms + down_ms);
    }

    fn start_again(&mut self) {
        self.starts_at_ms = None;
        self.start();
        self.link_up();
        self.marker();
    }

    pub fn start(&mut self) {
        self.apply(Kind::Start { version: "scenario".into() }, 0);
    }

    /// The state becomes bytes, and a core is made of them that goes on in the place of this one.
    pub fn round_trip(&mut self) {
        if !self.core.is_settled() {
            return;
        }
        let bytes = self.core.freeze().encode();
        match Core::restore(bytes.clone().into()) {
            Ok(core) if core.freeze().encode() == bytes => self.core = core,
            Ok(_) => self.broken = Some("a restored core's snapshot differs from the one it was restored from".into()),
            Err(error) => self.broken = Some(format!("a snapshot can't be restored: {error}")),
        }
    }
}
