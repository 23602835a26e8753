//! How often each rule was raised, cleared and nearly missed: a run that shows little proves little.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::rules::RULES;

/// Each must have happened so often to each rule.
const WANTED: u64 = 100;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) opened: u64,
    pub(crate) cleared: u64,
    pub(crate) missed: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(pub(crate) BTreeMap<&'static str, Count>);

impl Counts {
    pub(crate) fn of(&mut self, rule: &'static str) -> &mut Count {
        self.0.entry(rule).or_default()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (rule, count) in &other.0 {
            let sum = self.of(rule);
            sum.opened += count.opened;
            sum.cleared += count.cleared;
            sum.missed += count.missed;
        }
    }

    /// The rules of which too little was seen.
    pub(crate) fn wanting(&self) -> Vec<&'static str> {
        let count = |rule| self.0.get(rule).copied().unwrap_or_default();
        let least = |count: Count| count.opened.min(count.cleared).min(count.missed);
        RULES.iter().map(|rule| rule.id).filter(|rule| least(count(*rule)) < WANTED).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24}{:>10}{:>10}{:>14}", "rule", "raised", "cleared", "nearly missed")?;
        for (rule, Count { opened, cleared, missed }) in &self.0 {
            writeln!(f, "{rule:<24}{opened:>10}{cleared:>10}{missed:>14}")?;
        }
        Ok(())
    }
}
