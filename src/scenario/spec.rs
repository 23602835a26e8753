//! What a timeline is made of.

use serde_json::{Map, Value};

use super::compose::Extra;
use crate::model::alert::{Certainty, EventKind, Reason, Severity};
use crate::model::archive::Entry;
use crate::model::ids::{DeviceCode, RecordId, RuleId, SiteCode, Subject};
use crate::model::incident;
use crate::model::report::Report;
use crate::model::visit::{Problem, VisitKind};

#[derive(Debug, Clone)]
pub struct Step {
    pub at_ms: i64,
    /// Where it begins in the file, in bytes.
    pub place: usize,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    /// One report of a lift's terminal.
    Report {
        lift: DeviceCode,
        frames: Vec<FrameSpec>,
        /// Pointers of what is bad in it on purpose.
        invalid: Vec<Box<str>>,
    },
    /// The report that the lift sent at that time, once more.
    Repeat {
        lift: DeviceCode,
        of_ms: i64,
    },
    /// One scan of a cylinder.
    Scan {
        site: SiteCode,
        fields: Map<String, Value>,
        invalid: Vec<Box<str>>,
        /// What the gun must be told.
        verdict: Option<Answer>,
    },
    /// What the lift's terminal says of its own connection.
    Status {
        lift: DeviceCode,
        online: bool,
    },
    Link(LinkStep),
    /// Whether our markers come back.
    Markers(bool),
    /// The service ends, and begins again after a while.
    Restart {
        down_ms: i64,
    },
    /// The terminal starts again: `boot` counts up. Or it is another one, which counts from the start.
    Terminal {
        lift: DeviceCode,
        replaced: bool,
    },
    /// How far the terminal's clock is off from now on.
    Clock {
        lift: DeviceCode,
        off_ms: i64,
    },
    /// Our own civil clock is set by so much.
    Wall {
        by_ms: i64,
    },
    Command(Command),
    /// The archive's entry is put in the place of what it had.
    Archive(Box<Entry>),
    /// Somebody uploads a report of an inspection, test, check or drill.
    Inspected {
        report: Box<Report>,
        /// The service is to refuse it.
        refused: bool,
    },

    /// A maintenance firm uploads a record of a visit that has just been finished.
    Visit(Box<VisitStep>),
    /// The use unit signs one.
    Sign {
        lift: DeviceCode,
        record: RecordId,
    },
    /// Somebody calls about a lift, and a dispatcher takes it down.
    Call {
        lift: DeviceCode,
        note: Box<str>,
    },
    Rescue(RescueStep),
    /// Other rules of the timeline's own, from here on.
    Reload(Extra),
    /// What must be open: exactly these, or none of them.
    Look {
        subject: Subject,
        rules: Vec<(RuleId, usize)>,
        exactly: bool,
    },
}

/// What a filling gun is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Allow,
    /// For just these reasons, ascending.
    Deny(Vec<Box<str>>),
    /// Nothing at all.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStep {
    Up,
    Down,
    Drained,
}

/// A record of a visit that saw to all that it must, by the firm that has the lift under contract.
#[derive(Debug, Clone)]
pub struct VisitStep {
    pub lift: DeviceCode,
    pub record: RecordId,
    pub kind: VisitKind,
    /// When it began, before the step.
    pub began_ms: i64,
    pub problem: Problem,
    pub supersedes: Option<RecordId>,
    pub rectifies: Vec<RecordId>,
    /// The service is to refuse it.
    pub refused: bool,
}

/// One step of the rescue of a lift, by a dispatcher.
#[derive(Debug, Clone)]
pub struct RescueStep {
    pub lift: DeviceCode,
    pub step: incident::Step,
    /// The service is to refuse it.
    pub refused: bool,
}

/// What a dispatcher asks for.
#[derive(Debug, Clone)]
pub struct Command {
    pub subject: Subject,
    pub rule: (RuleId, usize),
    /// Otherwise it is acknowledged.
    pub clears: bool,
    pub note: Option<Box<str>>,
    /// The service is to refuse it.
    pub refused: bool,
}

/// One frame: its fields as the wire contract names them, and when the terminal saw it.
#[derive(Debug, Clone)]
pub struct FrameSpec {
    pub fields: Map<String, Value>,
    pub claimed: Claimed,
}

/// The frame's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// So long before it is sent.
    Late(i64),
    /// That time of the timeline.
    At(i64),
    /// It names none.
    None,
}

/// An alert event that must come.
#[derive(Debug, Clone)]
pub struct Expected {
    /// In the file, in bytes.
    pub place: usize,
    /// When it must be published: both ends are good.
    pub from_ms: i64,
    pub to_ms: i64,
    pub kind: EventKind,
    pub subject: Subject,
    pub rule: (RuleId, usize),
    pub want: Want,
}

/// What else must be so. What isn't named may be anything.
#[derive(Debug, Clone, Default)]
pub struct Want {
    pub severity: Option<Severity>,
    pub certainty: Option<Certainty>,
    pub reason: Option<Reason>,
    /// The time of the event itself, which a late frame sets before that of its publication.
    pub came_true_ms: Option<i64>,
    pub delayed: Option<bool>,
    /// `none`: it sends nobody.
    pub dispatch: Option<Box<str>>,
    pub opening: Option<u32>,
    pub unregistered: Option<bool>,
    pub by: Option<Box<str>>,
    pub evidence: Vec<(Box<str>, Box<str>)>,
    /// `true`, `false` or `unknown`.
    pub occupied: Option<Box<str>>,
    /// Scope and place, as `feeder F12`; `none`: it stands alone.
    pub group: Option<Box<str>>,
    /// How many lifts the group has then.
    pub lifts: Option<u32>,
    pub flapping: Option<bool>,
}
