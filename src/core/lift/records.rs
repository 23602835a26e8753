//! Rules on what is open of a lift's maintenance records, and alerts that maintenance ends.

use super::Lift;
use crate::core::judge::run::{Footing, Run, Transition};
use crate::core::judge::{self, Context, Reading};
use crate::core::maintenance::known::name;
use crate::core::maintenance::records::{Records, open_hours};
use crate::core::policy::Policy;
use crate::core::rules::{Clear, Facts, Field, Rule, RuleIx, Term, Value};
use crate::model::alert::{Evidence, Reason};
use crate::model::time::Elapsed;
use crate::model::visit::{Digest, Problem, Visit};

/// Records that an alert names.
const NAMED: usize = 3;

impl Lift {
    /// How many links its chain has, and the last one; `None`: it has no records.
    pub fn chain(&self) -> Option<(u64, Digest)> {
        self.records.as_ref().map(|records| (records.links, records.head))
    }

    /// When rules on records next have to be looked at.
    pub(super) fn next_of_records(&self, policy: &Policy) -> Option<Elapsed> {
        self.records.as_ref().filter(|_| !policy.record_rules().is_empty())?.next_due()
    }

    pub fn judge_records(&mut self, cx: &mut Context<'_>) {
        let now = cx.books.now.elapsed;
        let Some(records) = self.records.as_deref_mut() else { return };
        records.judged = now;
        let policy = cx.policy;
        for ix in policy.record_rules() {
            let Some(rule) = self.rule(policy, *ix) else { continue };
            let facts = RecordFacts { policy, runs: &self.runs, records: self.records.as_deref(), now };
            let when = rule.when.eval(&facts);
            if !when.is_true() && judge::find(&self.runs, policy.number(*ix)).is_none() {
                continue;
            }
            let inputs = judge::inputs(rule, when, &facts, &facts, now, false, Footing::Sound);
            let mut evidence = judge::evidence(rule, &facts, false);
            evidence.extend(self.named(rule));
            let run = self.runs.entry(policy.number(*ix));
            if let Some(transition) = run.step(rule, &policy.set.moments, &inputs) {
                self.carry_out(cx, *ix, transition, evidence);
            }
        }
        self.runs.drop_blank();
    }

    /// The records that a rule is about, the oldest first.
    fn named(&self, rule: &Rule) -> Vec<Evidence> {
        let reads = |fields: &[Field]| {
            rule.when.terms().iter().any(|term| matches!(term, Term::Field(field) if fields.contains(field)))
        };
        let evidence = |name: &str, value: String| Evidence { name: name.into(), value: value.into(), age_ms: None };
        let of = |name: &str| evidence("record", name.to_owned());
        let Some(records) = &self.records else { return Vec::new() };
        let mut named = Vec::new();
        if reads(&[Field::RecordUnsigned, Field::RecordUnsignedHours]) {
            named.extend(records.unsigned.iter().take(NAMED).map(|it| of(&it.name)));
        }
        if reads(&[Field::RecordProblems, Field::RecordProblemHours]) {
            for it in records.open_hazards().take(NAMED) {
                named.extend([evidence("problem", it.problem.name().into()), of(&it.name)]);
            }
        }
        named
    }

    /// Ends the alerts that wait for maintenance, if this visit began after they opened and left no problem.
    pub fn note_maintained(&mut self, cx: &mut Context<'_>, visit: &Visit) {
        if visit.problem != Problem::None {
            return;
        }
        let at = cx.books.now.elapsed;
        let policy = cx.policy;
        let mut has_cleared = false;
        for ix in policy.lift_rules() {
            let is_ended = |run: &Run| run.open().is_some_and(|open| open.opened_at <= visit.started_at);
            let waits = self.rule(policy, *ix).is_some_and(|rule| rule.clear == Clear::Maintained);
            if waits && judge::find(&self.runs, policy.number(*ix)).is_some_and(is_ended) {
                let value = name(&visit.firm, &visit.record);
                let evidence = vec![Evidence { name: "record".into(), value, age_ms: None }];
                self.carry_out(cx, *ix, Transition::Clear { reason: Reason::Maintained, at }, evidence);
                has_cleared = true;
            }
        }
        if has_cleared {
            self.look_again(cx);
        }
    }
}

/// What is open of a lift's records, as its rules' conditions read it.
pub(super) struct RecordFacts<'a> {
    pub(super) policy: &'a Policy,
    pub(super) runs: &'a [Run],
    pub(super) records: Option<&'a Records>,
    pub(super) now: Elapsed,
}

impl RecordFacts<'_> {
    fn oldest(&self, since: impl Iterator<Item = Elapsed>) -> Value {
        Value::Int(since.min().map_or(0, |since| open_hours(since, self.now)))
    }
}

impl Facts for RecordFacts<'_> {
    fn field(&self, field: Field) -> Value {
        let unsigned = self.records.map_or(&[][..], |it| &it.unsigned[..]);
        let problems = || self.records.into_iter().flat_map(Records::open_hazards);
        match field {
            Field::RecordUnsigned => Value::Int(unsigned.len() as i64),
            Field::RecordUnsignedHours => self.oldest(unsigned.iter().map(|it| it.since)),
            Field::RecordProblems => Value::Int(problems().count() as i64),
            Field::RecordProblemHours => self.oldest(problems().map(|it| it.since)),
            _ => Value::Unknown,
        }
    }

    fn is_open(&self, rule: RuleIx) -> bool {
        judge::is_open(self.policy, self.runs, rule)
    }
}

impl Reading for RecordFacts<'_> {}
