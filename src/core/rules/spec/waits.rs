//! Which rule looks at which other one, by `open` or `unless`. Rules that wait for each other would never come to rest.

use crate::core::rules::expr::Term;
use crate::core::rules::{Clear, Expr, Rule, RuleIx};

/// A rule that in the end waits for itself.
pub(super) struct Cycle {
    pub(super) rule: RuleIx,
    pub(super) message: String,
}

/// Every rule after all that it waits for, and otherwise in the order of their ids.
pub(super) fn order(rules: &[Rule]) -> Result<Vec<RuleIx>, Cycle> {
    let awaited: Vec<Vec<RuleIx>> = rules.iter().map(awaited).collect();
    let mut order = Vec::with_capacity(rules.len());
    let mut placed = vec![false; rules.len()];
    while order.len() < rules.len() {
        let ready = |rule: &usize| !placed[*rule] && awaited[*rule].iter().all(|other| placed[usize::from(*other)]);
        let Some(next) = (0..rules.len()).find(ready) else {
            return Err(cycle(rules, &awaited, &placed));
        };
        placed[next] = true;
        order.extend(RuleIx::try_from(next));
    }
    Ok(order)
}

fn awaited(rule: &Rule) -> Vec<RuleIx> {
    let clear = match &rule.clear {
        Clear::When(expr) => Some(expr),
        Clear::WhenFalse | Clear::Manual | Clear::Maintained | Clear::Heard | Clear::Quiet => None,
    };
    let escalate = rule.escalate.iter().map(|step| &step.when).chain(rule.causes.iter().map(|(when, _)| when));
    let conditions = [Some(&rule.when), rule.suppress.as_ref(), clear].into_iter().flatten().chain(escalate);
    let opens = conditions.flat_map(Expr::terms).filter_map(|term| match term {
        Term::Open(rule, _) => Some(*rule),
        _ => None,
    });
    rule.unless.iter().copied().chain(opens).collect()
}

/// Follows what is still waited for until a rule comes up again.
fn cycle(rules: &[Rule], awaited: &[Vec<RuleIx>], placed: &[bool]) -> Cycle {
    let mut path: Vec<usize> = Vec::new();
    let mut rule = placed.iter().position(|placed| !placed).unwrap_or(0);
    while !path.contains(&rule) {
        path.push(rule);
        let next = awaited[rule].iter().map(|other| usize::from(*other)).find(|other| !placed[*other]);
        rule = next.unwrap_or(rule);
    }
    let start = path.iter().position(|seen| *seen == rule).unwrap_or(0);
    let mut names: Vec<&str> = path[start..].iter().map(|rule| rules[*rule].id.as_str()).collect();
    names.push(rules[rule].id.as_str());
    Cycle {
        rule: RuleIx::try_from(rule).unwrap_or(RuleIx::MAX),
        message: format!("rules wait for each other: {}", names.join(" → ")),
    }
}
