//! Which rules are compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::dispatch::RESCUE;
use crate::core::judge::built_in;
use crate::core::replay::MARKER_MS;
use crate::core::rules::{Family, Rule, RuleSet};
use crate::model::ids::RuleId;

use super::span::until_open_ms;

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
    /// Which send somebody: of those to try, and of those in force.
    sending: [BTreeSet<RuleId>; 2],
    /// How long the rules to try may take to open.
    opens_within_ms: BTreeMap<RuleId, i64>,
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
        let sending = |set: &RuleSet| {
            let sends = |rule: &&Rule| rule.family == Family::Elevator && rule.dispatch.as_deref() == Some(RESCUE);
            set.rules.iter().filter(|rule| sends(rule)).map(|rule| rule.id.clone()).collect()
        };
        rules.sending = [sending(new), sending(old)];
        for rule in new.all_rules() {
            let most_ms = rules.opens_within_ms.entry(rule.id.clone()).or_default();
            *most_ms = until_open_ms(rule, &new.moments).max(*most_ms);
        }
        rules
    }

    /// How long that rule may take to open, of those to try, after what it is about has begun.
    pub fn opens_within_ms(&self, rule: &RuleId) -> i64 {
        self.opens_within_ms.get(rule).copied().unwrap_or(0)
    }

    /// Whether that rule opens rescues, among those to try.
    pub fn sends(&self, rule: &RuleId) -> bool {
        self.sending[0].contains(rule)
    }

    /// The same among those in force.
    pub fn sent(&self, rule: &RuleId) -> bool {
        self.sending[1].contains(rule)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rules::parse;

    #[test]
    fn rules_of_lifts_are_compared_wherever_they_stand() {
        let rule = |id: &str, on: &str, when: &str| {
            format!(
                "[[rule]]\nid = \"{id}\"\non = \"{on}\"\nwhen = \"{when}\"\nseverity = \"minor\"\n\
                 certainty = \"observed\"\ntitle = {{ en = \"x\", zh = \"x\" }}\n"
            )
        };
        let set = |text: String| parse(&[("a.toml".into(), text.into())]).unwrap();
        let of_lifts = |ids: &[&str]| ids.iter().map(|id| rule(id, "elevator", "passenger")).collect::<String>();
        let silent = rule("silent", "elevator", "true") + "absent = { keep_alives = 3 }\n";
        let new = set(of_lifts(&["both", "added"]) + &silent + &rule("bottle", "cylinder", "days_overdue > 0"));
        let rules = Rules::of(&new, &set(of_lifts(&["both", "removed"])));
        let check = |id: &str, place: In, covers: bool, same_time_ms: i64| {
            let id = RuleId::parse(id).unwrap();
            assert_eq!((rules.place(&id), rules.covers(&id), rules.same_time_ms(&id)), (place, covers, same_time_ms));
        };
        check("both", In::Both, true, 1_000);
        check("added", In::New, true, 1_000);
        check("removed", In::Old, true, 1_000);
        check("silent", In::New, true, 6_000);
        check("gone", In::Neither, true, 1_000);
        check("bottle", In::Neither, false, 1_000);
        check("clock-wrong", In::Neither, false, 1_000);
    }
}
