//! What a lift is going to do next: acts, each at its moment.

use std::collections::VecDeque;

use super::truth::{IncidentKind, NearMissKind};
use crate::model::frame::{Door, Mode};
use crate::model::time::Wall;

/// One thing that happens to a lift. Acts at the same moment make one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing; the script ends here, and the lift plans anew.
    Wait,
    Door(Door),
    Load(u32),
    /// What the passenger sensor says instead of what is so; `None`: it is right again.
    Sense(Option<bool>),
    Depart {
        up: bool,
        speed_mm_s: i32,
    },
    Floor(i32),
    Stop {
        level: bool,
    },
    /// The car stands, and is moved by hand into the door zone, or its sensor flickers.
    Level(bool),
    Mode(Mode),
    Fault(Option<u32>),
    Alarm(bool),
    Trapped(bool),
    Event(u32),
    /// The terminal begins to hear: it says that it is online and what it sees.
    Hear {
        restarted: bool,
    },
    /// The terminal falls silent.
    Hush,
    /// The broker says so in its place.
    LastWill,
    /// The whole condition of this incident has come true.
    Began(IncidentKind),
    /// The passenger is free.
    Ended,
    /// Something begins that is no incident.
    NearMiss(NearMissKind),
    NearMissEnded,
}

/// Bounded by the longest activity, some forty acts.
#[derive(Debug, Default)]
pub(super) struct Script {
    acts: VecDeque<(Wall, Act)>,
    end: Wall,
}

impl Script {
    /// Goes on from `now`, where everything before has been played.
    pub(super) fn begin(&mut self, now: Wall) {
        self.end = self.end.max(now);
    }

    /// The moment of the last act.
    pub(super) fn end(&self) -> Wall {
        self.end
    }

    pub(super) fn after(&mut self, span_ms: i64, act: Act) {
        self.end = self.end + span_ms.max(0);
        self.acts.push_back((self.end, act));
    }

    /// At the same moment as the act before.
    pub(super) fn and(&mut self, act: Act) {
        self.after(0, act);
    }

    pub(super) fn at(&mut self, at: Wall, act: Act) {
        self.after(at - self.end, act);
    }

    pub(super) fn next_at(&self) -> Wall {
        self.acts.front().map_or(Wall::MAX, |(at, _)| *at)
    }

    /// The next act, if its moment has come.
    pub(super) fn take(&mut self, now: Wall) -> Option<Act> {
        (self.next_at() <= now).then(|| self.acts.pop_front())?.map(|(_, act)| act)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }
}
