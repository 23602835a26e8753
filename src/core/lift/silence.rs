//! A lift that says nothing: what is absent, and what isn't known any more.

use super::Lift;
use crate::core::judge::run::{Hold, Phase, Run, Transition, Wait};
use crate::core::judge::{self, Context};
use crate::core::policy::Policy;
use crate::core::rules::{Moments, RuleIx, Tri};
use crate::core::telemetry::heard::Heard;
use crate::model::alert::Reason;

impl Lift {
    /// Absence rules for what has been heard so far.
    pub fn judge_absence(&mut self, cx: &mut Context<'_>) {
        let Some((heard, _)) = self.heard else { return };
        let now = cx.books.now.elapsed;
        let silent_ms = cx.hearing.now().0 - heard.0;
        let keep_alive_ms = self.keep_alive_ms(&cx.policy.set.moments);
        for ix in cx.policy.absence_rules() {
            let Some(rule) = self.rule(cx.policy, *ix) else { continue };
            let run = judge::find(&self.runs, cx.policy.number(*ix));
            let is_open = run.is_some_and(|run| run.open().is_some());
            let closed = run.and_then(|run| run.closed.as_deref());
            let closed_at = closed.filter(|closed| closed.by_hand).map(|c| c.at);
            let within_ms = cx.policy.set.moments.reopen_within_ms;
            let reopens = !rule.is_critical() && closed.is_some_and(|c| !c.by_hand && now - c.at <= within_ms);
            let when = rule.when.eval(&self.facts(cx, None, None));
            if closed_at.is_some_and(|at| !when.is_false() && now - at < cx.policy.set.moments.rearm_ms) {
                continue;
            }
            if closed_at.is_some() {
                self.runs.entry(cx.policy.number(*ix)).closed = None;
            }
            let transition = match (is_open, when) {
                (true, Tri::False) => Transition::Clear { reason: Reason::ConditionEnded, at: now },
                (false, Tri::True) if silent_ms >= i64::from(rule.absent.unwrap_or(1)) * keep_alive_ms => {
                    let (severity, certainty) = (rule.severity, rule.certainty);
                    Transition::Open { reopens, severity, certainty, reason: Reason::Silence, at: now }
                }
                _ => continue,
            };
            let evidence = self.evidence(cx, *ix, rule, None, false);
            self.carry_out(cx, *ix, transition, evidence);
        }
    }

    /// Judges absence because heard time has come so far.
    pub fn fall_silent(&mut self, cx: &mut Context<'_>) {
        self.absence_judged_to = cx.hearing.now();
        self.judge_absence(cx);
        if self.is_silent(cx) && self.is_held_up() {
            // What held it up isn't known any more.
            self.look_again(cx);
        }
    }

    /// Whether something is due that is suppressed, or gives way.
    fn is_held_up(&self) -> bool {
        let is_held_up = |run: &Run| matches!(run.phase, Phase::Holding(Hold { waits: Wait::Condition, .. }));
        self.runs.iter().any(is_held_up)
    }

    /// The heard time at which an absence rule next falls due, or nothing is known any more of what something waits for.
    pub fn next_silence(&self, policy: &Policy) -> Option<Heard> {
        let (heard, _) = self.heard?;
        let keep_alive_ms = self.keep_alive_ms(&policy.set.moments);
        let due = |ix: &RuleIx| {
            let keep_alives = self.rule(policy, *ix)?.absent.unwrap_or(1);
            Some(Heard(heard.0 + i64::from(keep_alives) * keep_alive_ms))
        };
        let unknown = self.is_held_up().then(|| Heard(heard.0 + self.unknown_after_ms(&policy.set.moments)));
        let of_rules = policy.absence_rules().iter().filter_map(due);
        of_rules.chain(unknown).filter(|due| *due > self.absence_judged_to).min()
    }

    /// Whether nothing it reported is known any more.
    pub(super) fn is_silent(&self, cx: &Context<'_>) -> bool {
        let silent_ms = self.heard.map_or(0, |(heard, _)| cx.hearing.now().0 - heard.0);
        silent_ms >= self.unknown_after_ms(&cx.policy.set.moments)
    }

    /// After so long a silence nothing that it reported is known any more.
    pub(super) fn unknown_after_ms(&self, moments: &Moments) -> i64 {
        moments.unknown_after_ms.max(i64::from(moments.unknown_keep_alives) * self.keep_alive_ms(moments))
    }
}
