//! What inspection bodies and firms report of a lift: that it was inspected, tested, checked, or a rescue rehearsed.

use super::ids::{DeviceCode, RecordId};
use super::obligation::Party;
use super::row::bounded_set;
use super::time::{CivilDay, Wall};

bounded_set!(
    /// What was done.
    ReportKind {
        /// The periodic inspection.
        Periodic = 1 "periodic",
        Testing = 2 "testing",
        /// The supervisory inspection of an installation: years are counted from it.
        Installation = 3 "installation",
        /// That of a renovation: years are counted anew from it.
        Renovation = 4 "renovation",
        /// That of a major repair, which stands for the year's inspection.
        MajorRepair = 5 "major-repair",
        /// The firm's own check of each year.
        SelfCheck = 6 "self-check",
        /// A rehearsed rescue.
        Drill = 7 "drill",
    }
);

impl ReportKind {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// One report, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who reports.
    pub party: Party,
    /// The reporter's own id of it: with the reporter it is known again by that.
    pub id: RecordId,
    pub device: DeviceCode,
    pub kind: ReportKind,
    /// The day on which it was finished.
    pub done_on: CivilDay,
    pub passed: bool,
    /// What was found, at most `limits::FINDINGS`.
    pub findings: Vec<Box<str>>,
    /// The report that this one corrects: of the same reporter and lift.
    pub supersedes: Option<RecordId>,
}

/// A report on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportUpload {
    pub report: Report,
    /// The store was asked for a report of this reporter and id, and has none.
    pub looked_up: bool,
}

/// A report as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    pub report: Report,
    /// Who uploaded it.
    pub recorded_by: Box<str>,
    pub recorded_at: Wall,
}
