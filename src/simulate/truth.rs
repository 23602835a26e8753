//! What really happens in a simulated fleet, to hold alerts against.

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

/// Odd, and no incident: none of it may raise an alert that somebody is trapped.
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
}

impl NearMissKind {
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
}

impl Incident {
    pub(super) fn new(subject: Subject, kind: IncidentKind, began_at: Wall, lateness_ms: i64) -> Self {
        let must_alert_by = began_at + (kind.hold_ms() + lateness_ms + TOLERANCE_MS);
        Self { subject, kind, began_at, must_alert_by, ended_at: None, lateness_ms }
    }

    /// The first moment at which its rule can find it.
    pub fn due_at(&self) -> Wall {
        self.began_at + self.kind.hold_ms()
    }

    pub fn accepts(&self, rule: &str) -> bool {
        self.kind.accept().contains(&rule)
    }
}
