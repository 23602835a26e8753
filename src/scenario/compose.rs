//! The rules that a timeline is played under: those of a folder, and its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Action, Scenario};
use crate::core::judge::built_in;
use crate::core::rules::{self, Family, RuleFault, RuleSet};
use crate::model::ids::{RuleId, Subject};
use crate::model::record::PolicyText;

/// Rule files as (name, text).
pub type Files = Vec<(Box<str>, Box<str>)>;

/// Rules that stand in the timeline itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    pub text: Box<str>,
    /// The line of the file on which their first line stands.
    pub line: u32,
}

/// Every rule that is in force at some time, with what it is about.
type Known = BTreeMap<RuleId, Vec<Family>>;

/// The policy at the beginning, and that of each `reload` in the order of the steps.
pub(super) struct Policies {
    pub(super) first: PolicyText,
    pub(super) reloads: Vec<Arc<PolicyText>>,
}

pub(super) fn policies(scenario: &Scenario, folder: &Files) -> Result<Policies, Vec<RuleFault>> {
    let mut known = Known::new();
    let mut compile = |extra: Option<&Extra>| {
        let (files, set) = composed(scenario, folder, extra)?;
        for rule in set.rules {
            known.entry(rule.id).or_default().push(rule.family);
        }
        Ok::<_, Vec<RuleFault>>(policy(scenario, files))
    };
    let first = compile(scenario.extra_rules.as_ref())?;
    let mut reloads = Vec::new();
    // A step that is repeated brings the same rules each time.
    let mut compiled: BTreeMap<&str, Arc<PolicyText>> = BTreeMap::new();
    for step in &scenario.steps {
        let Action::Reload(extra) = &step.action else { continue };
        let policy = match compiled.get(&*extra.text) {
            Some(policy) => Arc::clone(policy),
            None => Arc::new(compile(Some(extra))?),
        };
        compiled.insert(&extra.text, Arc::clone(&policy));
        reloads.push(policy);
    }
    let misnamed = misnamed_rules(scenario, &known);
    if misnamed.is_empty() { Ok(Policies { first, reloads }) } else { Err(misnamed) }
}

fn policy(scenario: &Scenario, rules: Files) -> PolicyText {
    PolicyText { rules, zone: scenario.zone.clone(), tzdb: "bundled".into(), topic_prefix: "vigil/v1".into() }
}

/// The folder's files without what the timeline's own rules replace, and those.
fn composed(scenario: &Scenario, folder: &Files, extra: Option<&Extra>) -> Result<(Files, RuleSet), Vec<RuleFault>> {
    // First without them: what is wrong in the folder must be told by its own place.
    let set = rules::parse(folder)?;
    let Some(extra) = extra else { return Ok((folder.clone(), set)) };
    let own: toml::Table = extra.text.parse().unwrap_or_default();
    let mut files: Files = folder.iter().map(|(name, text)| (name.clone(), without(text, &own))).collect();
    files.push((scenario.file.clone(), extra.text.clone()));
    match rules::parse(&files) {
        Ok(set) => Ok((files, set)),
        Err(mut faults) => {
            for fault in &mut faults {
                if fault.file == scenario.file {
                    fault.line += extra.line - 1;
                    continue;
                }
                // It is these rules that are at fault there, and lines of a file that they take rules from are not its own.
                let is_whole = folder.iter().any(|file| files.contains(file) && file.0 == fault.file);
                let place = if is_whole { format!("{}:{}", fault.file, fault.line) } else { fault.file.to_string() };
                let message = format!("with these rules, {place} of the folder is wrong: {}", fault.message).into();
                *fault = RuleFault { file: scenario.file.clone(), line: extra.line, column: 1, message };
            }
            Err(faults)
        }
    }
}

/// The file without the rules, and the spans for all rules, that `own` has as well.
fn without(text: &str, own: &toml::Table) -> Box<str> {
    let Ok(mut table) = text.parse::<toml::Table>() else { return text.into() };
    let ids = |table: &toml::Table| -> BTreeSet<String> {
        let rules = table.get("rule").and_then(toml::Value::as_array).into_iter().flatten();
        rules.filter_map(|rule| rule.get("id")?.as_str().map(str::to_owned)).collect()
    };
    let own_ids = ids(own);
    let is_kept =
        |rule: &toml::Value| rule.get("id").and_then(toml::Value::as_str).is_none_or(|id| !own_ids.contains(id));
    let replaces = own.contains_key("elevator") && table.contains_key("elevator");
    if ids(&table).is_disjoint(&own_ids) && !replaces {
        return text.into();
    }
    if replaces {
        table.remove("elevator");
    }
    if let Some(rules) = table.get_mut("rule").and_then(toml::Value::as_array_mut) {
        rules.retain(is_kept);
        if rules.is_empty() {
            table.remove("rule");
        }
    }
    toml::to_string(&table).map_or_else(|_| text.into(), Into::into)
}

/// Rules that the timeline names and nobody has, or that are about something else: such a one would never open, and so
/// always be found closed.
fn misnamed_rules(scenario: &Scenario, known: &Known) -> Vec<RuleFault> {
    let mut named: Vec<(&(RuleId, usize), Option<Subject>)> = scenario.ignore.iter().map(|rule| (rule, None)).collect();
    named.extend(scenario.expected.iter().map(|expected| (&expected.rule, Some(expected.subject))));
    for step in &scenario.steps {
        match &step.action {
            Action::Look { rules, subject, .. } => named.extend(rules.iter().map(|rule| (rule, Some(*subject)))),
            Action::Command(command) => named.push((&command.rule, Some(command.subject))),
            _ => {}
        }
    }
    named.sort_by_key(|((_, at), _)| *at);
    named.dedup();
    let fault = |((id, at), subject): (&(RuleId, usize), Option<Subject>)| {
        Some(scenario.fault(*at, misnamed(id, subject, known)?))
    };
    named.into_iter().filter_map(fault).collect()
}

/// What is wrong with the name of a rule for that subject.
fn misnamed(id: &RuleId, subject: Option<Subject>, known: &Known) -> Option<String> {
    let built_in = || built_in::ALL.iter().map(|it| it.id);
    let Some(families) = known.get(id) else {
        if built_in().all(|other| other != id.as_str()) {
            let hint = rules::did_you_mean(id.as_str(), known.keys().map(RuleId::as_str).chain(built_in()));
            return Some(format!("there is no rule `{id}`{hint}"));
        }
        // Those of the service were found by their names.
        let is_cylinder = matches!(subject, Some(Subject::Cylinder(_)));
        return is_cylinder.then(|| format!("`{id}` is about lifts, not cylinders"));
    };
    let is_of_cylinders = |family: &Family| *family == Family::Cylinder;
    match subject? {
        Subject::Cylinder(_) if !families.iter().any(is_of_cylinders) => {
            Some(format!("`{id}` is about lifts, not cylinders"))
        }
        Subject::Device(_) if families.iter().all(is_of_cylinders) => {
            Some(format!("`{id}` is about cylinders: say which one with `cylinder`"))
        }
        _ => None,
    }
}
