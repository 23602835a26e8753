//! What is told about rules that are read again.

use metrics::{counter, gauge};
use tracing::{error, info, warn};

use super::Event;
use crate::model::ids::RuleId;
use crate::serve::reloads::Reloaded;

/// What made the rules be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadedBy {
    Call,
    File,
    Signal,
}

impl ReloadedBy {
    fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::File => "file",
            Self::Signal => "signal",
        }
    }
}

/// The rules were read again and are in force, or were already.
#[derive(Debug)]
pub struct RulesReloaded<'a> {
    pub by: ReloadedBy,
    /// Who asked; empty where nobody did.
    pub actor: &'a str,
    pub reloaded: &'a Reloaded,
}

impl Event for RulesReloaded<'_> {
    fn log(&self) {
        let (by, actor, Reloaded { version, position, difference }) = (self.by.name(), self.actor, self.reloaded);
        let Some(position) = position else {
            return info!(target: "vigil::rules", by, actor, version, "the rules were read again: nothing differs");
        };
        let ids = |ids: &[RuleId]| ids.iter().map(RuleId::as_str).collect::<Vec<_>>().join(" ");
        info!(target: "vigil::rules",
            by,
            actor,
            version,
            position,
            added = ids(&difference.added),
            changed = ids(&difference.changed),
            removed = ids(&difference.removed),
            reworded = ids(&difference.reworded),
            unchanged = difference.unchanged.len(),
            settings = difference.settings,
            "the rules were reloaded"
        );
        if !difference.removed_critical.is_empty() {
            let removed = ids(&difference.removed_critical);
            warn!(target: "vigil::rules", by, actor, version, removed, "critical rules judge no more");
        }
    }

    fn measure(&self) {
        let outcome = if self.reloaded.position.is_some() { "taken" } else { "same" };
        counter!("vigil_rules_reloads_total", "by" => self.by.name(), "outcome" => outcome).increment(1);
        gauge!("vigil_rules_refused").set(0.0);
    }
}

/// The rules were read again and refused: those before stay in force.
#[derive(Debug)]
pub struct RulesRefused<'a> {
    pub by: ReloadedBy,
    pub actor: &'a str,
    pub why: &'a str,
}

impl Event for RulesRefused<'_> {
    fn log(&self) {
        let Self { by, actor, why } = self;
        error!(target: "vigil::rules", by = by.name(), actor, "the rules were not reloaded, those in force stay: {why}");
    }

    fn measure(&self) {
        counter!("vigil_rules_reloads_total", "by" => self.by.name(), "outcome" => "refused").increment(1);
        gauge!("vigil_rules_refused").set(1.0);
    }
}
