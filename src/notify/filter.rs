//! Which events a target wants. What is empty doesn't restrict; all that is given must fit.

use crate::cap::Told;
use crate::model::alert::{EventKind, Severity};
use crate::model::ids::{District, RuleId};
use crate::model::incident::What;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub minimum_severity: Option<Severity>,
    pub rules: Vec<RuleId>,
    pub districts: Vec<District>,
    /// What happened: kinds of the events of alerts, …
    pub kinds: Vec<EventKind>,
    /// … or of the entries of incidents.
    pub entries: Vec<What>,
}

impl Filter {
    pub fn passes(&self, told: Told<'_>) -> bool {
        let (severity, rule, district) = match told {
            Told::Alert(event) => (event.alert.severity, Some(&event.alert.id.rule), event.alert.place.district),
            Told::Incident(event) => {
                let it = &event.incident;
                (it.severity, it.scene.rule.as_ref(), it.scene.place.district)
            }
        };
        let kind = match told {
            Told::Alert(event) => self.kinds.is_empty() || self.kinds.contains(&event.kind),
            Told::Incident(event) => self.entries.is_empty() || self.entries.contains(&event.entry.what),
        };
        kind && self.minimum_severity.is_none_or(|minimum| severity >= minimum)
            && (self.rules.is_empty() || rule.is_some_and(|rule| self.rules.contains(rule)))
            && (self.districts.is_empty()
                || district.is_some_and(|own| self.districts.iter().any(|o| own.is_within(o))))
    }
}
