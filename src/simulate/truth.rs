//! What really happens in a simulated fleet, to hold alerts against.

use super::score::TRAPPED_RULES;
use crate::model::ids::Subject;
use crate::model::time::Wall;

/// How long after its hold an alert may open and still be in time: transport, judging and publishing.
pub const TOLERANCE_MS: i64 = 10_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IncidentKind {
    /// The car stands between floors with a passenger inside.
    BetweenFloors,
    /// The same, because the main power is lost.
    PowerLost,
    /// The car stands at a floor; the door tried to open, failed (fault 03) and is closed.
    DoorFault,
    /// The car stands at a floor with a door that began to open, and jammed (fault 03).
    DoorJammed,
    /// The car stands at a floor with its door closed and nothing to show for it but the alarm button, pressed twice.
    AlarmPressed,
    /// The source says so itself.
    Reported,
    /// The car stands at a floor with its door closed, and nobody and nothing says a word.
    Quiet,
    /// A cylinder past its inspection date is filled all the same.
    CylinderOverdue,
    /// A cylinder that the archive doesn't know is scanned.
    CylinderUnregistered,
}

impl IncidentKind {
    /// The rules whose alert finds it.
    pub fn accept(self) -> &'static [&'static str] {
        match self {
            Self::BetweenFloors | Self::PowerLost => &["trapped-out-of-zone"],
            Self::DoorFault | Self::DoorJammed => &["trapped-in-zone"],
            Self::AlarmPressed => &["trapped-alarm"],
            Self::Reported => &["trapped-reported"],
            Self::Quiet => &["trapped-in-zone-quiet"],
            Self::CylinderOverdue => &["cylinder-overdue"],
            Self::CylinderUnregistered => &["cylinder-unregistered"],
        }
    }

    /// For how long that rule wants its condition to stand.
    pub fn hold_ms(self) -> i64 {
        match self {
            Self::BetweenFloors | Self::PowerLost => 30_000,
            Self::DoorFault | Self::DoorJammed => 45_000,
            Self::AlarmPressed => 10_000,
            Self::Quiet => 120_000,
            Self::Reported | Self::CylinderOverdue | Self::CylinderUnregistered => 0,
        }
    }

    pub const ALL: [Self; 9] = [
        Self::BetweenFloors,
        Self::PowerLost,
        Self::DoorFault,
        Self::DoorJammed,
        Self::AlarmPressed,
        Self::Reported,
        Self::Quiet,
        Self::CylinderOverdue,
        Self::CylinderUnregistered,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::BetweenFloors => "between-floors",
            Self::PowerLost => "power-lost",
            Self::DoorFault => "door-fault",
            Self::DoorJammed => "door-jammed",
            Self::AlarmPressed => "alarm-pressed",
            Self::Reported => "reported",
            Self::Quiet => "quiet",
            Self::CylinderOverdue => "cylinder-overdue",
            Self::CylinderUnregistered => "cylinder-unregistered",
        }
    }

    pub fn is_entrapment(self) -> bool {
        !matches!(self, Self::CylinderOverdue | Self::CylinderUnregistered)
    }
}

/// Odd, and no incident: none of it may raise an alert that somebody is trapped, but for what
/// [`NearMissKind::may_raise`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NearMissKind {
    /// Somebody stands in the closed car for a while: on the telephone.
    Idler,
    /// A worker stands between floors, in inspection mode.
    Inspection,
    ZoneFlicker,
    DoorFlicker,
    /// The door fails to open once, and opens at the second try.
    BriefDoorFault,
    AlarmWhileRunning,
    /// The car stops below the floor, and creeps up to it.
    Relevel,
    /// The one that raises an alert: power-lost, while the car is empty.
    PowerDip,
    /// The passenger sensor of an empty car flickers.
    PassengerFlicker,
    /// Somebody stands in the closed car for longer than the quiet rule waits.
    LongIdler,
    /// The passenger sensor of an empty, closed car sees somebody for minutes.
    Ghost,
    /// Firefighters use the lift, stop it between floors, and wait in it with the door closed.
    Fire,
    /// A terminal can't be heard: without power, or without a network. What it said last may have been a car with
    /// somebody in it, in the middle of a trip.
    CutOff,
    /// A source that may say one thing in four minutes said it while somebody was in a closed car that stood.
    SeenInPassing,
    /// A source goes on naming a code that is over: it never takes one back.
    NeverCleared,
}

impl NearMissKind {
    /// The rules whose alert it explains: what they go by can't be told from an entrapment.
    pub fn may_raise(self) -> &'static [&'static str] {
        match self {
            Self::LongIdler | Self::Ghost | Self::Fire => &["trapped-in-zone-quiet"],
            Self::CutOff => &["trapped-out-of-zone", "trapped-in-zone", "trapped-in-zone-quiet", "trapped-alarm"],
            Self::SeenInPassing => &["trapped-out-of-zone", "trapped-in-zone", "trapped-in-zone-quiet"],
            Self::NeverCleared => &["trapped-in-zone", "trapped-reported", "trapped-alarm"],
            _ => &[],
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Idler => "idler",
            Self::Inspection => "inspection",
            Self::ZoneFlicker => "zone-flicker",
            Self::DoorFlicker => "door-flicker",
            Self::BriefDoorFault => "brief-door-fault",
            Self::AlarmWhileRunning => "alarm-while-running",
            Self::Relevel => "relevel",
            Self::PowerDip => "power-dip",
            Self::PassengerFlicker => "passenger-flicker",
            Self::LongIdler => "long-idler",
            Self::Ghost => "ghost",
            Self::Fire => "fire",
            Self::CutOff => "cut-off",
            Self::SeenInPassing => "seen-in-passing",
            Self::NeverCleared => "never-cleared",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    pub subject: Subject,
    pub kind: NearMissKind,
    pub began_at: Wall,
    pub ended_at: Option<Wall>,
}

/// One thing that must raise an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    pub subject: Subject,
    pub kind: IncidentKind,
    /// When all of the condition of its rule had come true, in real time: wrong clocks and late deliveries don't move it.
    pub began_at: Wall,
    /// `began_at`, the hold, how late its terminal delivers, and [`TOLERANCE_MS`].
    pub must_alert_by: Wall,
    /// When the door opened and set the passenger free. A cylinder's incident never ends.
    pub ended_at: Option<Wall>,
    /// How late its terminal may deliver, and be judged.
    pub lateness_ms: i64,
    /// All that could have shown it was lost on the way, before it had lasted as long as its rule waits.
    pub unseen: bool,
}

impl Incident {
    pub(super) fn new(subject: Subject, kind: IncidentKind, began_at: Wall, lateness_ms: i64) -> Self {
        let must_alert_by = began_at + (kind.hold_ms() + lateness_ms + TOLERANCE_MS);
        Self { subject, kind, began_at, must_alert_by, ended_at: None, lateness_ms, unseen: false }
    }

    /// Its terminal could not be heard for so long after it began, through no fault of its own.
    pub fn delay(&mut self, lateness_ms: i64) {
        self.lateness_ms = self.lateness_ms.max(lateness_ms);
        self.must_alert_by = self.due_at() + (self.lateness_ms + TOLERANCE_MS);
    }

    /// The first moment at which its rule can find it.
    pub fn due_at(&self) -> Wall {
        self.began_at + self.kind.hold_ms()
    }

    /// Whether an alert of that rule finds it. A stronger one keeps the quiet rule from opening, and says more.
    pub fn accepts(&self, rule: &str) -> bool {
        let is_stronger = self.kind == IncidentKind::Quiet && TRAPPED_RULES.contains(&rule);
        is_stronger || self.kind.accept().contains(&rule)
    }
}
