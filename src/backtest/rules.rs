//! Which rules are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::judge::built_in;
use crate::core::replay::MARKER_MS;
use crate::core::rules::{Family, RuleSet};
use crate::model::ids::RuleId;

/// In which of the two sets a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum In {
    Both,
    /// Only among the rules in question.
    New,
    /// Only among those in force.
    Old,
    /// It has raised alerts, and is gone since.
    Neither,
}

impl In {
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::New => "new",
            Self::Old => "old",
            Self::Neither => "neither",
        }
    }
}

/// The rules of lifts. Those of cylinders and of what is due aren't compared, since they go by the archive, of which only
/// the present is known; nor is what the service says of itself or of a terminal.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    known: BTreeMap<RuleId, In>,
    others: BTreeSet<RuleId>,
    of_silence: BTreeSet<RuleId>,
}

/// Openings that are no further apart are at the same time.
const SAME_TIME_MS: i64 = 1_000;

impl Rules {
    pub fn of(new: &RuleSet, old: &RuleSet) -> Self {
        let mut rules = Self::default();
        for rule in new.rules.iter().chain(&old.rules) {
            if rule.family != Family::Elevator {
                rules.others.insert(rule.id.clone());
                continue;
            }
            if rule.absent.is_some() {
                rules.of_silence.insert(rule.id.clone());
            }
            let of_set = |set: &RuleSet| set.find(&rule.id).is_some();
            let place = match (of_set(new), of_set(old)) {
                (true, true) => In::Both,
                (true, false) => In::New,
                _ => In::Old,
            };
            rules.known.insert(rule.id.clone(), place);
        }
        rules
    }

    pub fn covers(&self, rule: &RuleId) -> bool {
        !self.others.contains(rule) && built_in::title_of(rule).is_none()
    }

    pub fn place(&self, rule: &RuleId) -> In {
        self.known.get(rule).copied().unwrap_or(In::Neither)
    }

    pub fn ids(&self) -> impl Iterator<Item = &RuleId> {
        self.known.keys()
    }

    /// Openings of that rule that are no further apart count as one time. Silence is told when the next marker comes
    /// back, and when that was isn't stored.
    pub fn same_time_ms(&self, rule: &RuleId) -> i64 {
        SAME_TIME_MS + if self.of_silence.contains(rule) { MARKER_MS } else { 0 }
    }
}
