//! How one rule set differs from the one before it, by the ids of rules.

use super::{Rule, RuleSet};
use crate::model::ids::RuleId;

/// Each list ascending; a rule stands in one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    pub added: Vec<RuleId>,
    /// They judge otherwise, and begin anew.
    pub changed: Vec<RuleId>,
    /// Only titles, hints or tags differ: what was known goes on.
    pub reworded: Vec<RuleId>,
    pub removed: Vec<RuleId>,
    /// Those of them that were critical, or could rise to it.
    pub removed_critical: Vec<RuleId>,
    pub unchanged: Vec<RuleId>,
    /// What holds for all rules of lifts differs, when their alerts are grouped or tagged, or what stands for single lifts or districts.
    pub settings: bool,
}

impl Difference {
    pub fn between(before: &RuleSet, after: &RuleSet) -> Self {
        let mut difference = Self { settings: differ_in_settings(before, after), ..Self::default() };
        for rule in &after.rules {
            let list = match before.find(&rule.id).map(|ix| before.rule(ix)) {
                None => &mut difference.added,
                Some(old) if old.fingerprint != rule.fingerprint => &mut difference.changed,
                Some(old) if words(old) != words(rule) => &mut difference.reworded,
                Some(_) => &mut difference.unchanged,
            };
            list.push(rule.id.clone());
        }
        for rule in before.rules.iter().filter(|rule| after.find(&rule.id).is_none()) {
            difference.removed.push(rule.id.clone());
            if rule.may_be_critical() {
                difference.removed_critical.push(rule.id.clone());
            }
        }
        difference
    }
}

fn words(rule: &Rule) -> impl PartialEq + use<'_> {
    (&rule.title, &rule.todo, &rule.tags)
}

fn differ_in_settings(before: &RuleSet, after: &RuleSet) -> bool {
    before.moments != after.moments
        || (before.storm, before.flapping) != (after.storm, after.flapping)
        || before.overrides.by_name(&before.rules) != after.overrides.by_name(&after.rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rules::parse;

    const LIFT: &str = "[[rule]]\nid = \"doors\"\non = \"elevator\"\nwhen = \"car == STOPPED\"\nfor = \"5s\"\n\
                        severity = \"minor\"\ncertainty = \"likely\"\ntitle = { en = \"Doors\", zh = \"门\" }\n";

    /// What differs after `edit`, in words.
    fn check(edit: impl Fn(String) -> String, want: &str) {
        let set = |text: String| parse(&[("a.toml".into(), text.into())]).unwrap();
        let power = LIFT.replace("doors", "power");
        let before = format!("{LIFT}{power}");
        let difference = Difference::between(&set(before.clone()), &set(edit(before)));
        let lists = [
            ("added", &difference.added),
            ("changed", &difference.changed),
            ("reworded", &difference.reworded),
            ("removed", &difference.removed),
            ("unchanged", &difference.unchanged),
        ];
        let mut said: Vec<String> = Vec::new();
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            said.push(format!("{name} {}", list.iter().map(RuleId::as_str).collect::<Vec<_>>().join(" ")));
        }
        said.extend(difference.settings.then(|| "settings".into()));
        assert_eq!(said.join(", "), want);
    }

    #[test]
    fn each_rule_stands_in_one_list() {
        check(|text| text, "unchanged doors power");
        check(|text| format!("# a remark\n{text}"), "unchanged doors power");
        check(|text| format!("{text}{}", LIFT.replace("doors", "alone")), "added alone, unchanged doors power");
        check(|text| text.replacen("5s", "6s", 1), "changed doors, unchanged power");
        check(|text| text.replacen("Doors", "Gates", 1), "reworded doors, unchanged power");
        check(|text| text.replace("id = \"doors\"", "id = \"gates\""), "added gates, removed doors, unchanged power");
        check(|text| format!("[elevator]\nkeep_alive = \"10s\"\n{text}"), "unchanged doors power, settings");
        check(|text| format!("[storm]\nfeeder = 6\n{text}"), "unchanged doors power, settings");
        check(|text| format!("[flapping]\nopenings = 5\n{text}"), "unchanged doors power, settings");
    }
}
