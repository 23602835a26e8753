//! What is due when: the dates by which devices must be inspected, tested, maintained.

use std::fmt;

use super::ids::{CodeError, District, FirmId, SiteCode, Subject};
use super::row::bounded_set;
use super::time::{CivilDay, Wall};

bounded_set!(
    /// What has to be done. Rules name it in upper case, with `_` for the hyphen.
    DueKind {
        /// Of a lift: the periodic inspection (TSG T7001-2023).
        Inspection = 1 "inspection",
        /// Of a lift, in the years between inspections (TSG T7008-2023).
        Testing = 2 "testing",
        /// The maintenance visit of each half month (TSG T5002-2017); on-demand contracts set their own distance.
        HalfMonth = 3 "half-month",
        Quarter = 4 "quarter",
        HalfYear = 5 "half-year",
        Year = 6 "year",
        /// The firm's own check of each year.
        SelfCheck = 7 "self-check",
        /// A rehearsed rescue.
        Drill = 8 "drill",
        /// Of a gas cylinder (TSG 23-2021).
        CylinderInspection = 9 "cylinder-inspection",
        /// The end of a cylinder's design life, or of its extension.
        CylinderLife = 10 "cylinder-life",
    }
);

impl DueKind {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Who has to see to it, or says that it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A maintenance firm.
    Firm(FirmId),
    /// A filling unit or inspection body.
    Site(SiteCode),
}

impl Party {
    /// Reads what `Display` writes: `firm:F-12`, `site:6401-A`.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let wrong = || CodeError {
            what: "party",
            got: text.chars().take(64).collect(),
            want: "firm:ID or site:CODE, for example firm:F-12",
        };
        match text.split_once(':').ok_or_else(wrong)? {
            ("firm", id) => FirmId::parse(id).map(Self::Firm),
            ("site", code) => SiteCode::parse(code).map(Self::Site),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Firm(id) => write!(f, "firm:{id}"),
            Self::Site(code) => write!(f, "site:{code}"),
        }
    }
}

/// When something is due, as it stands from the moment it was recorded until another row says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    pub subject: Subject,
    pub kind: DueKind,
    /// The last day on which it can be done in time; `None`: nothing of this kind is due any more.
    pub due_on: Option<CivilDay>,
    /// The day that it is counted from.
    pub basis_on: Option<CivilDay>,
    /// Why: the clause and what follows from it.
    pub clause: Box<str>,
    pub district: Option<District>,
    pub party: Option<Party>,
    /// The civil day on which this came to be known: questions "as of" a day go by it.
    pub recorded_on: CivilDay,
    pub recorded_at: Wall,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_read_back_what_they_write() {
        for text in ["firm:F-12", "site:6401-A"] {
            assert_eq!(Party::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "firm", "firm:", "shop:6401-A", "site:ab", "F-12"] {
            assert!(Party::parse(bad).is_err(), "{bad:?}");
        }
    }
}
