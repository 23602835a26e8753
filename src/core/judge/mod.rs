//! Rules at work: what conditions say goes into a run, what comes out becomes alert events.

pub mod built_in;
pub mod run;
pub mod runs;
pub mod tally;

use self::run::{Footing, Inputs, RuleNo, Run};
use self::runs::Runs;
use crate::core::books::{Books, ByHand, Label, Who};
use crate::core::policy::Policy;
use crate::core::rules::{Clear, Facts, Family, Rule, RuleIx, RuleSet, Term, Tri};
use crate::core::telemetry::heard::Hearing;
use crate::model::alert::{Certainty, Evidence, Severity};
use crate::model::row::Effects;
use crate::model::time::Elapsed;

/// What judging needs beside the subject itself.
pub struct Context<'a> {
    pub policy: &'a Policy,
    pub books: &'a mut Books,
    pub hearing: &'a Hearing,
    pub out: &'a mut Effects,
}

/// A subject's state as one rule's conditions read it.
pub trait Reading: Facts {
    /// How long ago a term's value was reported.
    fn age_ms(&self, _term: &Term) -> Option<i64> {
        None
    }

    /// Whether nothing that the subject reported is known any more.
    fn is_silent(&self) -> bool {
        false
    }

    /// Whether something that isn't known now will be in some seconds, whatever comes.
    fn will_be_known(&self) -> bool {
        false
    }
}

pub fn find(runs: &[Run], rule: RuleNo) -> Option<&Run> {
    runs.iter().find(|run| run.rule == rule)
}

pub fn is_open(policy: &Policy, runs: &[Run], rule: RuleIx) -> bool {
    find(runs, policy.number(rule)).is_some_and(|run| run.open().is_some())
}

/// What a rule's conditions say, of which `when` was asked already. `of_clear`: what counts for its clear condition.
/// `carried`: a code that the rule waits for is there.
pub fn inputs<F: Reading>(
    rule: &Rule,
    when: Tri,
    facts: &F,
    of_clear: &F,
    at: Elapsed,
    carried: bool,
    footing: Footing,
) -> Inputs {
    let clear = match &rule.clear {
        // Whether it is quiet so long as we hear nothing, nobody knows.
        Clear::Quiet => {
            if footing == Footing::Blind || facts.is_silent() {
                Tri::Unknown
            } else {
                Tri::True
            }
        }
        _ if carried => Tri::False,
        Clear::WhenFalse => !when,
        Clear::When(clear) => clear.eval(of_clear),
        Clear::Manual | Clear::Maintained | Clear::Heard => Tri::False,
    };
    let (severity, certainty) = level(rule, facts);
    Inputs {
        at,
        when,
        will_be_known: when.is_unknown() && facts.will_be_known(),
        clear,
        carried,
        suppressed: rule.suppress.as_ref().is_some_and(|suppress| suppress.eval(facts).is_true()),
        superseded: rule.unless.iter().any(|stronger| facts.is_open(*stronger)),
        severity,
        certainty,
        crossed: rule.crossed(facts),
        footing,
    }
}

/// The highest severity and certainty that apply.
pub fn level<F: Reading>(rule: &Rule, facts: &F) -> (Severity, Certainty) {
    let steps = rule.escalate.iter().filter(|step| step.when.eval(facts).is_true());
    steps.fold((rule.severity, rule.certainty), |(severity, certainty), step| {
        (
            step.severity.map_or(severity, |it| it.max(severity)),
            step.certainty.map_or(certainty, |it| it.max(certainty)),
        )
    })
}

/// The values that a rule's conditions read.
pub fn evidence<F: Reading>(rule: &Rule, facts: &F, of_clear: bool) -> Vec<Evidence> {
    let of = |terms: &[Term]| -> Vec<Evidence> {
        terms.iter().map(|t| Evidence { name: t.name(), value: t.value(facts), age_ms: facts.age_ms(t) }).collect()
    };
    match &rule.clear {
        Clear::When(clear) if of_clear => of(clear.terms()),
        _ if of_clear => of(rule.when.terms()),
        _ => {
            let mut evidence = of(rule.when.terms());
            evidence.extend(causes(rule, facts));
            evidence
        }
    }
}

/// What the rule names as causes, as far as it is so.
pub fn causes<F: Reading>(rule: &Rule, facts: &F) -> Vec<Evidence> {
    let are = rule.causes.iter().filter(|(when, _)| when.eval(facts).is_true());
    are.map(|(_, cause)| Evidence { name: "cause".into(), value: cause.clone(), age_ms: None }).collect()
}

/// What is due on a day is no storm, and doesn't flap: only what lifts report is counted with others.
pub fn label<'a>(set: &'a RuleSet, rule: &'a Rule) -> Label<'a> {
    let rules = (rule.family == Family::Elevator).then_some((&set.storm, &set.flapping));
    Label { title: &rule.title, dispatch: rule.dispatch.as_deref(), rules }
}

/// Lets go of what a run knew under a rule that has changed since or is gone.
pub fn forget_changed(cx: &mut Context<'_>, who: &Who, runs: &mut Runs, since_version: u32, at: Elapsed) {
    for run in runs.iter_mut() {
        if !cx.policy.has_changed(run.rule, since_version) {
            continue;
        }
        if run.open().is_some() {
            // The rule that could say it better is gone.
            let title = built_in::title_of_changed();
            let label = Label { title: &title, dispatch: None, rules: None };
            let clear = run::Transition::Clear { reason: crate::model::alert::Reason::RuleChanged, at };
            cx.books.carry_out(cx.out, who, run, &label, clear, Vec::new(), &ByHand::default());
        }
        run.forget();
    }
    runs.drop_blank();
}
