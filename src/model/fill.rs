//! Whether a cylinder may be filled: what a filling gun asks, and what it is told.

use super::ids::{CylinderCode, SiteCode};
use super::row::bounded_set;
use super::time::{Elapsed, Wall};

/// How long an answer is good. A request claimed longer ago than that is stale.
pub const GOOD_MS: i64 = 10_000;

/// Reasons that no rule gives: in the contract with the guns (`docs/devices.md`).
pub mod reason {
    pub const AT_INSPECTION: &str = "at-inspection";
    pub const DISABLED: &str = "disabled";
    pub const LOST: &str = "lost";
    /// Neither side says what is to be filled, or the archive doesn't.
    pub const NO_MEDIUM: &str = "no-medium";
    pub const NO_REQUEST: &str = "no-request";
    /// No rule in force says what must not be filled.
    pub const NO_RULES: &str = "no-rules";
    pub const RESERVED: &str = "reserved";
    pub const STALE: &str = "stale";
    pub const UNCHECKED: &str = "unchecked";
    /// Journals were lost or replaced, and nobody who may has told of the cylinder since.
    pub const UNCONFIRMED: &str = "unconfirmed";
    /// Also the id of a rule; said whether or not that is in force.
    pub const UNREGISTERED: &str = "cylinder-unregistered";
}

/// What those reasons mean that don't say it by themselves, in words for people.
pub fn hint(reasons: &[Box<str>]) -> String {
    const HINTS: [(&str, &str); 2] = [
        (
            reason::UNCHECKED,
            "unchecked: no passed check before filling counts since the last filling; one doesn't if when it was made is not certain \
             (the clock of its scanner is wrong, or it came late): check it again with the scanner connected",
        ),
        (
            reason::UNCONFIRMED,
            "unconfirmed: the service has lost some of its past; the cylinder's own unit has to scan it as returned",
        ),
    ];
    let applying = HINTS.iter().filter(|(of, _)| reasons.iter().any(|reason| **reason == **of));
    applying.map(|(_, words)| *words).collect::<Vec<_>>().join("; ")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Why the cylinder must not be filled: ids of rules and the words of [`reason`], ascending, without repeats. None:
    /// it may be.
    pub reasons: Vec<Box<str>>,
    pub expires_at: Wall,
}

impl Verdict {
    pub fn allows(&self) -> bool {
        self.reasons.is_empty()
    }

    pub fn issued_at(&self) -> Wall {
        self.expires_at + -GOOD_MS
    }
}

/// What goes to the gun that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillAnswer {
    pub site: SiteCode,
    pub scanner: Box<str>,
    /// As it was scanned: perhaps an earlier code of the cylinder.
    pub cylinder: CylinderCode,
    pub request: Option<Box<str>>,
    pub verdict: Verdict,
    /// Not to be sent after this.
    pub good_until: Elapsed,
}

/// What is wrong with one of many cylinders that are looked at together, as when a vehicle is unloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub cylinder: CylinderCode,
    /// As those of a verdict, but for what depends on a request; none: it is in order.
    pub reasons: Vec<Box<str>>,
}

bounded_set!(
    /// What scans say against filling a cylinder.
    Against {
        Disabled = 1 "disabled",
        Lost = 2 "lost",
        AtInspection = 3 "at-inspection",
        Scrapped = 4 "scrapped",
        Duplicate = 5 "duplicate",
    }
);

/// How a cylinder stood by the scans that the store has of it, where the journals were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub cylinder: CylinderCode,
    /// Each once.
    pub against: Vec<Against>,
    /// The last passed inspection by a registered body, and until when that said it is good.
    pub inspected_at: Option<Wall>,
    pub valid_until: Option<Wall>,
}

/// Who asks by a call, and about what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillRequest {
    pub site: SiteCode,
    /// The gun, 1 to 32 characters, as it names itself when it scans.
    pub scanner: Box<str>,
    pub cylinder: CylinderCode,
    pub medium: Option<Box<str>>,
    pub operator: Option<Box<str>>,
    /// How long ago it was asked when it reached the service, in ms; at least 0.
    pub age_ms: i64,
    /// When it reached the service.
    pub asked: Elapsed,
}
