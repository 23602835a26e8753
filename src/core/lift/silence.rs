//! A lift that says nothing: what is absent, and what isn't known any more.

use super::Lift;
use crate::core::judge::run::{Footing, Hold, Phase, Run, Transition, Wait};
use crate::core::judge::{self, Context};
use crate::core::policy::Policy;
use crate::core::rules::{Field, Moments, Reads, RuleIx, Tri};
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
        let judged_to = std::mem::replace(&mut self.absence_judged_to, cx.hearing.now());
        self.judge_absence(cx);
        if self.is_silent(cx) && self.is_held_up() {
            // What held it up isn't known any more.
            self.look_again(cx);
        }
        if self.next_of_conditions(cx.policy, judged_to).is_some_and(|due| due <= self.absence_judged_to) {
            self.judge_by_silence(cx);
        }
    }

    /// Looks at the rules that ask for how long nothing was heard. What begins by that begins now, whatever its frames were
    /// judged to: what they say may be of before, but the silence is of the present.
    fn judge_by_silence(&mut self, cx: &mut Context<'_>) {
        let (now, footing) = (cx.books.now.elapsed, self.footing_by_clock(cx));
        if footing == Footing::Sound {
            self.fire_until(cx, now, footing);
        }
        let judged = std::mem::replace(&mut self.judged, now);
        self.judge(cx, Reads::field(Field::SilentS), None, footing);
        self.judged = judged;
    }

    /// How long nothing has come from it, up to a heard time; `None`: nothing ever has.
    pub(super) fn silent_ms(&self, heard_to: Heard) -> Option<i64> {
        // A frame counts as heard when it comes, and what is proven lies behind that.
        self.heard.map(|(heard, _)| (heard_to.0 - heard.0).max(0))
    }

    /// Whether it has been silent for so long that a frame may change what rules say of that.
    pub(super) fn has_silence_counted(&self, cx: &Context<'_>) -> bool {
        let first = cx.policy.silences_ms().first();
        first.is_some_and(|first| self.silent_ms(self.silence_judged_to(cx)).is_some_and(|silent| silent >= *first))
    }

    /// Up to which heard time conditions see it silent. What silence makes true becomes so in its turn, at the present, and
    /// not when something else has an old state looked at.
    pub(super) fn silence_judged_to(&self, cx: &Context<'_>) -> Heard {
        let heard_to = cx.hearing.now();
        let waits = self.next_of_conditions(cx.policy, self.absence_judged_to).filter(|due| *due <= heard_to);
        waits.map_or(heard_to, |due| Heard(due.0 - 1))
    }

    /// The next heard time behind another at which a rule that asks for it may change by silence alone.
    fn next_of_conditions(&self, policy: &Policy, judged_to: Heard) -> Option<Heard> {
        let silences_ms = policy.silences_ms();
        if silences_ms.is_empty() {
            return None;
        }
        let (heard, _) = self.heard?;
        let next = silences_ms.partition_point(|ms| heard.0 + ms <= judged_to.0);
        silences_ms.get(next).map(|ms| Heard(heard.0 + ms))
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
        let of_conditions = self.next_of_conditions(policy, self.absence_judged_to);
        of_rules.chain(unknown).chain(of_conditions).filter(|due| *due > self.absence_judged_to).min()
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
