//! What is over: codes that late frames tell, alerts that can't come back, counts that are too old.

use super::Lift;
use super::facts::LiftFacts;
use crate::core::judge::run::Transition;
use crate::core::judge::{self, Context};
use crate::core::policy::Policy;
use crate::core::telemetry::registers::{self, Item};
use crate::model::alert::Reason;
use crate::model::time::Elapsed;

impl Lift {
    /// Lets go of alerts that can't come back any more, not even by a late frame's codes, and of what is too old to count:
    /// in time nearly every lift has had one. No timer does: it would bring the lift forward for nothing, while its frames
    /// may wait somewhere.
    pub(super) fn forget(&mut self, policy: &Policy) {
        let moments = &policy.set.moments;
        for at in 0..self.runs.len() {
            let run = &self.runs[at];
            let may_reopen_ms = moments.reopen_within_ms + moments.late_codes_ms;
            let is_past = run.closed.as_ref().is_some_and(|it| !it.by_hand && self.judged - it.at > may_reopen_ms);
            let count = match run.tally.is_empty() {
                true => None,
                false => self.rule_of(policy, run.rule).and_then(|(_, rule)| rule.count),
            };
            let (run, judged) = (&mut self.runs[at], self.judged);
            run.forget_openings(&policy.set.flapping, judged);
            if is_past {
                run.closed = None;
            }
            if let Some(count) = count {
                run.has_counted(&count, judged);
            }
        }
        self.runs.drop_blank();
    }

    /// A late frame's codes that a newer frame excludes: raised and cleared at once, for rules that open at once.
    pub(super) fn raise_what_is_over(&mut self, cx: &mut Context<'_>, over: &[Item], at: Elapsed) {
        for ix in cx.policy.lift_rules() {
            let Some(rule) = self.rule(cx.policy, *ix) else { continue };
            if rule.for_ms > 0
                || rule.count.is_some()
                || !registers::waited_for(over, &rule.raising)
                || judge::is_open(cx.policy, &self.runs, *ix)
            {
                continue;
            }
            let facts = LiftFacts { over, ..self.facts(cx, None, None) };
            let is_suppressed = rule.suppress.as_ref().is_some_and(|suppress| suppress.eval(&facts).is_true());
            if !rule.when.eval(&facts).is_true() || is_suppressed {
                continue;
            }
            let (severity, certainty) = judge::level(rule, &facts);
            let evidence = judge::evidence(rule, &facts, false);
            let closed = judge::find(&self.runs, cx.policy.number(*ix)).and_then(|run| run.closed.as_ref());
            let within_ms = cx.policy.set.moments.reopen_within_ms;
            let reopens = !rule.is_critical() && closed.is_some_and(|c| !c.by_hand && at - c.at <= within_ms);
            let reason = Reason::AlreadyOver;
            self.carry_out(cx, *ix, Transition::Open { reopens, severity, certainty, reason, at }, evidence);
            if !rule.clear.is_by_people() {
                self.carry_out(cx, *ix, Transition::Clear { reason, at }, Vec::new());
            }
        }
    }
}
