//! Holds what was told against what was expected.

use super::span::show_ms;
use super::{Expected, Failure, Scenario, Want};
use crate::core::rules::line_and_column;
use crate::model::alert::AlertEvent;
use crate::model::ids::Subject;

/// An event, with when it was published and when it came true, from the beginning of the timeline.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) at_ms: i64,
    pub(super) came_true_ms: i64,
    /// What it is about: of a rescue, the lift.
    pub(super) about: Subject,
    pub(super) event: AlertEvent,
}

/// Each expectation takes one event; what is left over was expected by nobody.
pub(super) fn compare(scenario: &Scenario, heard: &[Heard]) -> Vec<Failure> {
    let mut left: Vec<&Heard> = heard.iter().collect();
    let mut failures = Vec::new();
    let mut unmet = Vec::new();
    let mut expected: Vec<&Expected> = scenario.expected.iter().collect();
    expected.sort_by_key(|it| it.from_ms);
    for it in expected {
        let fits = |heard: &&Heard| is_kind(it, heard) && (it.from_ms..=it.to_ms).contains(&heard.at_ms);
        let whole = left.iter().position(|heard| fits(heard) && wrong(&it.want, heard).is_empty());
        match whole.or_else(|| left.iter().position(fits)) {
            Some(at) => {
                let heard = left.remove(at);
                let wrong = wrong(&it.want, heard);
                if !wrong.is_empty() {
                    failures.push(failure(scenario, it, heard.at_ms, wrong.join(", ")));
                }
            }
            None => unmet.push(it),
        }
    }
    for it in unmet {
        let when = left.iter().position(|heard| is_kind(it, heard)).map(|at| left.remove(at).at_ms);
        let what = match when {
            Some(at_ms) => format!("it came at {}", show_ms(at_ms)),
            None => "it didn't come".into(),
        };
        failures.push(failure(scenario, it, it.from_ms, what));
    }
    failures.extend(left.into_iter().filter(|it| !is_ignored(scenario, it)).map(|heard| unexpected(scenario, heard)));
    failures
}

fn is_kind(expected: &Expected, heard: &Heard) -> bool {
    let event = &heard.event;
    event.kind == expected.kind && heard.about == expected.subject && event.alert.id.rule == expected.rule.0
}

fn is_ignored(scenario: &Scenario, heard: &Heard) -> bool {
    scenario.ignores(&heard.event.alert.id.rule)
}

fn failure(scenario: &Scenario, expected: &Expected, at_ms: i64, what: String) -> Failure {
    let (line, column) = line_and_column(&scenario.text, expected.place);
    let (kind, rule, name) = (expected.kind.name(), &expected.rule.0, scenario.name_of(expected.subject));
    let when = if expected.from_ms == expected.to_ms {
        format!("at {}", show_ms(expected.from_ms))
    } else {
        format!("from {} to {}", show_ms(expected.from_ms), show_ms(expected.to_ms))
    };
    Failure { line, column, message: format!("expected {rule} of {name} to be {kind} {when}: {what}"), at_ms }
}

/// By the place of the step before it.
fn unexpected(scenario: &Scenario, heard: &Heard) -> Failure {
    let before = scenario.steps.iter().rev().find(|step| step.at_ms <= heard.at_ms);
    let (line, column) = line_and_column(&scenario.text, before.map_or(0, |step| step.place));
    let (kind, id) = (heard.event.kind.name(), &heard.event.alert.id);
    let (rule, name, at) = (&id.rule, scenario.name_of(heard.about), show_ms(heard.at_ms));
    Failure {
        line,
        column,
        message: format!("nobody expected {rule} of {name} to be {kind} at {at}"),
        at_ms: heard.at_ms,
    }
}

/// What is not as wanted, each with what it is.
fn wrong(want: &Want, heard: &Heard) -> Vec<String> {
    let (event, alert) = (&heard.event, &heard.event.alert);
    let mut wrong = Vec::new();
    let mut check = |key: &str, want: Option<String>, got: String| {
        if let Some(want) = want.filter(|want| *want != got) {
            wrong.push(format!("{key} is {got}, not {want}"));
        }
    };
    check("severity", want.severity.map(|it| it.name().into()), alert.severity.name().into());
    check("certainty", want.certainty.map(|it| it.name().into()), alert.certainty.name().into());
    check("reason", want.reason.map(|it| it.name().into()), event.reason.name().into());
    check("came_true", want.came_true_ms.map(show_ms), show_ms(heard.came_true_ms));
    check("delayed", want.delayed.map(|it| it.to_string()), event.delayed.to_string());
    check("opening", want.opening.map(|it| it.to_string()), alert.id.opening.to_string());
    check("unregistered", want.unregistered.map(|it| it.to_string()), alert.unregistered.to_string());
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    check("dispatch", want.dispatch.as_ref().map(ToString::to_string), or_none(alert.dispatch.as_deref()));
    check("by", want.by.as_ref().map(ToString::to_string), or_none(event.actor.as_deref()));
    let group = alert.group.map(|it| format!("{} {}", it.scope.name(), it.place));
    check("group", want.group.as_ref().map(ToString::to_string), or_none(group.as_deref()));
    let lifts = alert.group.map_or(0, |group| group.lifts);
    check("lifts", want.lifts.map(|it| it.to_string()), lifts.to_string());
    check("flapping", want.flapping.map(|it| it.to_string()), alert.flapping.to_string());
    let occupied = alert.occupied.map_or("unknown".into(), |it| it.to_string());
    check("occupied", want.occupied.as_ref().map(ToString::to_string), occupied);
    for (name, value) in &want.evidence {
        let got = or_none(alert.evidence.iter().find(|it| it.name == *name).map(|it| &*it.value));
        let want = Some(value.to_string()).filter(|want| !is_same_number(want, &got));
        check(&format!("evidence of {name}"), want, got);
    }
    wrong
}

/// However they are written: `47.0` is 47.
fn is_same_number(one: &str, other: &str) -> bool {
    one.parse::<f64>().is_ok_and(|one| other.parse() == Ok(one))
}
