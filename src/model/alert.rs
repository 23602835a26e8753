//! Alerts and what happens to them. Severity and certainty are CAP's terms.

use std::cmp::Reverse;

use super::ids::{AlertId, District, PlaceId, RuleId};
use super::time::Wall;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant = $number),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// The number it is kept by in journals and databases.
            pub fn number(self) -> i32 {
                self as i32
            }

            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

pub(super) use named;

named!(
    /// Ascending: the greater, the graver.
    Severity { Warning = 1 "warning", Minor = 2 "minor", Major = 3 "major", Critical = 4 "critical" }
);
named!(
    /// How sure it is. Ascending.
    Certainty { Possible = 1 "possible", Likely = 2 "likely", Observed = 3 "observed" }
);
named!(
    AlertState { Open = 1 "open", Cleared = 2 "cleared" }
);
named!(
    EventKind {
        Opened = 1 "opened",
        /// The same condition came back within 60 s of a clear: the same alert goes on.
        Reopened = 2 "reopened",
        /// Its severity or certainty rose; or a day came closer (`crossed`), or it was corrected (`core-changed`).
        Raised = 3 "raised",
        Acknowledged = 4 "acknowledged",
        Cleared = 5 "cleared",
        /// It turned out to be one of many: it belongs to a group now, or to a wider one than before.
        Grouped = 6 "grouped",
    }
);
named!(
    /// What lifts that raise a rule together have in common. Ascending: the narrowest first.
    StormScope { Building = 1 "building", Feeder = 2 "feeder", District = 3 "district" }
);
named!(
    /// Why a transition happened. A bounded set: it is logged, counted and shown.
    Reason {
        ConditionHeld = 1 "condition-held",
        /// The hold fell due while its condition was unknown.
        ConditionUnknown = 2 "condition-unknown",
        /// The hold fell due while this service could not hear the devices.
        IngestBlind = 3 "ingest-blind",
        /// Frames of a backlog show it; what they say may be over.
        CatchingUp = 4 "catching-up",
        /// What was only possible is confirmed by later frames.
        Confirmed = 5 "confirmed",
        /// A condition of a higher severity became true.
        Escalated = 6 "escalated",
        Silence = 7 "silence",
        ConditionEnded = 8 "condition-ended",
        /// The source listed it once, but a newer frame doesn't.
        AlreadyOver = 9 "already-over",
        /// A stronger rule opened for the same device.
        Superseded = 10 "superseded",
        /// A frame came.
        Heard = 11 "heard",
        /// A person did it.
        Operator = 12 "operator",
        /// The rule is gone or has changed.
        RuleChanged = 13 "rule-changed",
        /// The archive has changed.
        ArchiveChanged = 14 "archive-changed",
        /// A civil day has turned.
        DayTurned = 15 "day-turned",
        /// A scan showed it.
        Scanned = 16 "scanned",
        /// A field that the rule needs was never reported.
        NeverReported = 17 "never-reported",
        /// This service found it in itself.
        SelfCheck = 18 "self-check",
        /// Another version of this service took over, and judges what was told before otherwise.
        CoreChanged = 19 "core-changed",
        /// So many lifts of a building, feeder or district raised the rule that it was taken for one thing.
        Storm = 20 "storm",
        /// The day on which something is due has come closer, to one of the distances that the rule names.
        Crossed = 21 "crossed",
        /// A record told of the maintenance that followed.
        Maintained = 22 "maintained",
        /// What was expected by a time didn't come.
        DeadlinePassed = 24 "deadline-passed",
    }
);

impl Reason {
    /// Whether it is what sensors say: not what a person did, nor that they are judged otherwise.
    pub fn is_by_sensors(self) -> bool {
        !matches!(self, Self::Operator | Self::RuleChanged | Self::CoreChanged | Self::ArchiveChanged)
    }
}

/// A place in the stream of alert events: all up to and including `seq` are behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor {
    pub epoch: u32,
    pub seq: u64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.epoch, self.seq)
    }
}

/// A value that made a transition true.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// As rules name it: `passenger`, `code(3)`, `extras['vibration_mg']`.
    pub name: Box<str>,
    /// As rules write it: `true`, `STOPPED`, `4.5`; `unknown` where it is not known.
    pub value: Box<str>,
    /// How long ago it was reported, at the time of the transition; `None`: never, or it has no such time.
    pub age_ms: Option<i64>,
}

/// What a dispatcher sees of where it is; taken from the archive at the time of the event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    pub district: Option<District>,
    pub address: Option<Box<str>>,
}

/// One transition of one alert, with the whole of the alert as it stands after it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertEvent {
    /// Gapless within `epoch`, and never falling.
    pub seq: u64,
    pub epoch: u32,
    pub kind: EventKind,
    pub reason: Reason,
    /// When it came true, in the judged time of its subject.
    pub at: Wall,
    /// When the core judged it.
    pub published_at: Wall,
    /// `at` lies more than 5 s before `published_at`.
    pub delayed: bool,
    /// Who did it, for what people do.
    pub actor: Option<Box<str>>,
    /// What that person wrote.
    pub note: Option<Box<str>>,
    pub alert: Alert,
}

impl AlertEvent {
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, seq: self.seq }
    }
}

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub id: AlertId,
    pub state: AlertState,
    pub severity: Severity,
    pub certainty: Certainty,
    pub opened_at: Wall,
    pub cleared_at: Option<Wall>,
    pub acknowledged: Option<Acknowledged>,
    /// Of its last transition that has any.
    pub evidence: Vec<Evidence>,
    /// The archive doesn't know its subject.
    pub unregistered: bool,
    pub place: Place,
    /// Titles by language, as the rule file gives them.
    pub title: Title,
    /// The rescue incident it opens or joins, by the rule's word for it (`rescue`).
    pub dispatch: Option<Box<str>>,
    /// Whether people were in the car when it last opened or rose; `None`: not known.
    pub occupied: Option<bool>,
    /// The many that it is one of.
    pub group: Option<Group>,
    /// Its rule opens again and again for this lift.
    pub flapping: bool,
}

impl Alert {
    /// What comes first in a list: the grave, among them the occupied, and those of which nobody knows before those that
    /// are empty.
    pub fn urgency(&self) -> Urgency {
        let occupied = match self.occupied {
            Some(true) => 0,
            None => 1,
            Some(false) => 2,
        };
        Urgency(Reverse(self.severity), occupied)
    }
}

/// Ascending: the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urgency(Reverse<Severity>, u8);

impl Urgency {
    /// As page tokens carry it: ascending as it is, and no more than that.
    pub fn number(self) -> u32 {
        10 * (9 - self.0.0.number().unsigned_abs()) + u32::from(self.1)
    }

    pub fn from_number(number: u32) -> Option<Self> {
        let occupied = u8::try_from(number % 10).ok().filter(|occupied| *occupied <= 2)?;
        let severity = 9_u32.checked_sub(number / 10).and_then(|n| Severity::from_number(i32::try_from(n).ok()?))?;
        Some(Self(Reverse(severity), occupied))
    }
}

/// A storm: lifts of one place that raised one rule together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    pub scope: StormScope,
    /// A building, a feeder, or a district's digits.
    pub place: PlaceId,
    /// The event that made it one. No two groups have the same.
    pub began: Cursor,
    /// When its first lift raised the rule.
    pub began_at: Wall,
    /// How many have joined it so far, each counted once. In an event: at that moment; in a list of what is open: now.
    pub lifts: u32,
}

impl Group {
    /// `power-lost/feeder/F12/1:4711`: unique, also across epochs.
    pub fn id(&self, rule: &RuleId) -> String {
        format!("{rule}/{}/{}/{}", self.scope.name(), self.place, self.began)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Title {
    pub en: Box<str>,
    pub zh: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub by: Box<str>,
    pub at: Wall,
}
