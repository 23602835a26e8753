//! The rules as they stand for one lift.

use super::Lift;
use crate::core::judge::run::{RuleNo, Run, Transition};
use crate::core::judge::{self, Context};
use crate::core::policy::Policy;
use crate::core::rules::{Reach, Rule, RuleIx};
use crate::model::alert::Reason;

impl Lift {
    /// Finds out anew which overrides may concern it: after its archive entry or the policy has changed.
    pub fn find_reach(&mut self, policy: &Policy) {
        self.reach = self.reach_in(policy);
    }

    pub(super) fn reach_in(&self, policy: &Policy) -> Reach {
        policy.set.overrides.reach(&self.code, self.entry.as_ref().and_then(|entry| entry.district()))
    }

    /// A rule as it stands for this lift; `None`: it is switched off.
    pub(super) fn rule<'p>(&self, policy: &'p Policy, ix: RuleIx) -> Option<&'p Rule> {
        // It may not have followed a new policy yet.
        let reach = if self.policy == policy.version { self.reach } else { self.reach_in(policy) };
        if reach == Reach::NONE {
            return Some(policy.set.rule(ix));
        }
        policy.set.overrides.instead(reach, &self.code, ix).unwrap_or(Some(policy.set.rule(ix)))
    }

    pub(super) fn rule_of<'p>(&self, policy: &'p Policy, number: RuleNo) -> Option<(RuleIx, &'p Rule)> {
        let (ix, _) = policy.rule_of(number)?;
        Some((ix, self.rule(policy, ix)?))
    }

    /// Lets go of what rules knew that are switched off for it.
    pub(super) fn drop_switched_off(&mut self, cx: &mut Context<'_>, reason: Reason) {
        if self.reach == Reach::NONE {
            return;
        }
        let at = cx.books.now.elapsed;
        let off = |lift: &Self, run: &Run| {
            cx.policy.rule_of(run.rule).filter(|(ix, _)| lift.rule(cx.policy, *ix).is_none()).map(|(ix, _)| ix)
        };
        let off: Vec<RuleIx> = self.runs.iter().filter_map(|run| off(self, run)).collect();
        for ix in off {
            let number = cx.policy.number(ix);
            if judge::find(&self.runs, number).is_some_and(|run| run.open().is_some()) {
                self.carry_out(cx, ix, Transition::Clear { reason, at }, Vec::new());
            }
            self.runs.entry(number).forget();
        }
        self.runs.drop_blank();
    }

    /// Its archive entry has changed: other overrides may concern it, and rules that read the archive are looked at.
    pub fn entry_changed(&mut self, cx: &mut Context<'_>) {
        self.find_reach(cx.policy);
        self.drop_switched_off(cx, Reason::ArchiveChanged);
        self.look_again(cx);
    }
}
