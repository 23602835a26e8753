//! Which alerts somebody wants, and may see.

use crate::model::actor::Actor;
use crate::model::alert::{Alert, Severity};
use crate::model::ids::{District, RuleId, Subject};

/// What is empty doesn't restrict; all that is given must fit. It can't be built without saying who asks.
#[derive(Debug, Clone)]
pub struct Filter {
    pub actor: Actor,
    pub districts: Vec<District>,
    pub rules: Vec<RuleId>,
    pub minimum_severity: Option<Severity>,
    pub subjects: Vec<Subject>,
    pub unacknowledged_only: bool,
}

impl Filter {
    pub fn all(actor: Actor) -> Self {
        Self {
            actor,
            districts: Vec::new(),
            rules: Vec::new(),
            minimum_severity: None,
            subjects: Vec::new(),
            unacknowledged_only: false,
        }
    }

    pub fn passes(&self, alert: &Alert) -> bool {
        let district = alert.place.district.as_ref();
        self.minimum_severity.is_none_or(|minimum| alert.severity >= minimum)
            && (self.subjects.is_empty() || self.subjects.contains(&alert.id.subject))
            && (self.rules.is_empty() || self.rules.contains(&alert.id.rule))
            && (self.districts.is_empty() || district.is_some_and(|d| self.districts.iter().any(|o| d.is_within(o))))
            && !(self.unacknowledged_only && alert.acknowledged.is_some())
            && self.actor.sees(district)
    }
}
