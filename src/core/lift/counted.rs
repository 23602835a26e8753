//! What rules count on a lift, and the time in which nothing of it is known.

use super::Lift;
use crate::core::judge::{Context, tally};
use crate::core::rules::CodeTerm;
use crate::model::time::Elapsed;

impl Lift {
    /// Whether some rule counts what has occurred.
    pub(super) fn count(&mut self, cx: &Context<'_>, occurred: &[CodeTerm]) -> bool {
        let mut any = false;
        for ix in cx.policy.counting_rules() {
            let Some(rule) = self.rule(cx.policy, *ix) else { continue };
            let Some(count) = &rule.count else { continue };
            let terms = tally::terms(&rule.raising, occurred);
            if !terms.is_empty() {
                self.runs.entry(cx.policy.number(*ix)).note(count, &terms, self.judged);
                any = true;
            }
        }
        any
    }

    /// How much of the time since its last frame is unknown: it was silent for too long, or couldn't be heard.
    pub(super) fn unknown_ms(&self, cx: &Context<'_>, at: Elapsed) -> i64 {
        let Some((heard, arrived)) = self.heard else { return 0 };
        let heard_ms = cx.hearing.of_arrival(cx.books.now.elapsed).0 - heard.0;
        (at - arrived - heard_ms.min(self.unknown_after_ms(&cx.policy.set.moments))).max(0)
    }

    /// Takes time that is unknown off the spans for which it has to be quiet: no more than has passed in judged time.
    pub(super) fn stand_still(&mut self, cx: &Context<'_>, until: Elapsed, passed_ms: i64, is_frame: bool) {
        if self.runs.is_empty() {
            return;
        }
        let unknown_ms = self.unknown_ms(cx, until);
        for ix in cx.policy.counting_rules() {
            let number = cx.policy.number(*ix);
            if let Some(run) = self.runs.iter_mut().find(|run| run.rule == number) {
                run.stand_still(unknown_ms, passed_ms, is_frame);
            }
        }
    }
}
