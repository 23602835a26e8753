//! What becomes of our terms. `docs/cap.md` has the same tables; a test holds them against each other.

use crate::model::alert::{Certainty, Severity};
use crate::model::ids::Subject;

/// `Extreme` is for extraordinary threats: receivers interrupt broadcasts for it. No single lift is one.
pub(super) fn severity(it: Severity) -> &'static str {
    match it {
        Severity::Critical => "Severe",
        Severity::Major => "Moderate",
        Severity::Minor | Severity::Warning => "Minor",
    }
}

/// The words are CAP's own.
pub(super) fn certainty(it: Certainty) -> &'static str {
    match it {
        Certainty::Observed => "Observed",
        Certainty::Likely => "Likely",
        Certainty::Possible => "Possible",
    }
}

/// How soon somebody has to do something about it.
pub(super) fn urgency(it: Severity, is_over: bool) -> &'static str {
    match it {
        _ if is_over => "Past",
        Severity::Critical => "Immediate",
        Severity::Major => "Expected",
        Severity::Minor | Severity::Warning => "Future",
    }
}

/// What whoever gets the message should do. `Execute` is the instruction's plan: send somebody.
pub(super) fn response(it: Severity, is_rescue: bool, is_over: bool) -> &'static str {
    match it {
        _ if is_over => "AllClear",
        _ if is_rescue => "Execute",
        Severity::Critical | Severity::Major => "Assess",
        Severity::Minor | Severity::Warning => "Monitor",
    }
}

pub(super) fn categories(subject: Option<Subject>, is_rescue: bool) -> &'static [&'static str] {
    match subject {
        _ if is_rescue => &["Rescue", "Safety"],
        Some(Subject::Incident(_)) => &["Rescue", "Safety"],
        Some(Subject::Device(_) | Subject::Cylinder(_)) | None => &["Safety"],
        Some(Subject::Service) => &["Infra"],
    }
}

pub(super) fn severity_zh(it: Severity) -> &'static str {
    match it {
        Severity::Critical => "紧急",
        Severity::Major => "重要",
        Severity::Minor => "一般",
        Severity::Warning => "提示",
    }
}

pub(super) fn certainty_zh(it: Certainty) -> &'static str {
    match it {
        Certainty::Observed => "已观测到",
        Certainty::Likely => "很可能",
        Certainty::Possible => "可能",
    }
}
