//! What is wrong with the terminal rather than with the lift.

use super::{Arrival, Lift, NEVER_REPORTED_AFTER_MS, UNREADABLE, UNREADABLE_AT, UNREADABLE_MAX, who};
use crate::core::judge::Context;
use crate::core::judge::built_in::{self, BuiltIn};
use crate::core::rules::Field;
use crate::core::telemetry::offset;
use crate::core::telemetry::registers::Held;
use crate::model::alert::{Evidence, Reason};
use crate::model::frame::Frame;

impl Lift {
    pub(super) fn say_order(&mut self, cx: &mut Context<'_>, was_broken: bool) {
        if self.order.is_broken() == was_broken {
            return;
        }
        if was_broken {
            self.clear_built_in(cx, &built_in::ORDER_BROKEN);
        } else {
            self.raise_built_in(cx, &built_in::ORDER_BROKEN, Reason::SelfCheck, Vec::new);
        }
    }

    /// What is wrong with the terminal rather than with the lift.
    pub(super) fn say_telemetry(&mut self, cx: &mut Context<'_>, frame: &Frame, arrival: &Arrival) {
        self.say_clock(cx, frame, arrival);
        let (bad, good) = UNREADABLE;
        if !frame.invalid.is_empty() {
            self.unreadable = self.unreadable.saturating_add(bad).min(UNREADABLE_MAX);
            if self.unreadable >= UNREADABLE_AT {
                let named = |p: &str| Evidence { name: "invalid".into(), value: p.into(), age_ms: Some(0) };
                let evidence = || frame.invalid.iter().take(8).map(|p| named(p)).collect();
                self.raise_built_in(cx, &built_in::UNREADABLE, Reason::SelfCheck, evidence);
            }
        } else if self.unreadable > 0 {
            self.unreadable = self.unreadable.saturating_sub(good);
            if self.unreadable == 0 {
                self.clear_built_in(cx, &built_in::UNREADABLE);
            }
        }
        if self.sighted_in != Some(cx.policy.version) {
            self.look_for_blind_rules(cx);
        }
    }

    pub(super) fn say_clock(&mut self, cx: &mut Context<'_>, frame: &Frame, arrival: &Arrival) {
        let Some(claimed) = frame.claimed_at else { return };
        if offset::is_wrong(claimed, arrival.wall) {
            let behind_ms = arrival.wall - claimed;
            let name = if behind_ms < 0 { "ahead_ms" } else { "behind_ms" };
            let value = || behind_ms.unsigned_abs().to_string().into();
            let wrong = || vec![Evidence { name: name.into(), value: value(), age_ms: Some(0) }];
            self.raise_built_in(cx, &built_in::CLOCK_WRONG, Reason::SelfCheck, wrong);
        } else {
            self.clear_built_in(cx, &built_in::CLOCK_WRONG);
        }
    }

    /// Critical rules that need what was never reported can't be judged, and say so.
    pub(super) fn look_for_blind_rules(&mut self, cx: &mut Context<'_>) {
        let registers = &self.registers;
        let missing = |field: &&Field| registers.held(**field) == Some(Held::Never);
        if !cx.policy.critical_fields().iter().any(|field| missing(&field)) {
            self.sighted_in = Some(cx.policy.version);
            self.clear_built_in(cx, &built_in::RULE_BLIND);
        } else if self.first_heard.is_some_and(|first| cx.books.now.elapsed - first >= NEVER_REPORTED_AFTER_MS) {
            let never = |f: &Field| Evidence { name: f.name().into(), value: "unknown".into(), age_ms: None };
            let policy = cx.policy;
            let evidence = || policy.critical_fields().iter().filter(missing).map(never).collect();
            let who = || who(self.code, self.entry.as_ref());
            built_in::raise(cx, who, &mut self.runs, &built_in::RULE_BLIND, Reason::NeverReported, evidence);
        }
    }

    pub(super) fn raise_built_in(
        &mut self,
        cx: &mut Context<'_>,
        which: &BuiltIn,
        reason: Reason,
        evidence: impl FnOnce() -> Vec<Evidence>,
    ) {
        let who = || who(self.code, self.entry.as_ref());
        built_in::raise(cx, who, &mut self.runs, which, reason, evidence);
    }

    pub(super) fn clear_built_in(&mut self, cx: &mut Context<'_>, which: &BuiltIn) {
        let who = || who(self.code, self.entry.as_ref());
        built_in::clear(cx.books, cx.out, who, &mut self.runs, which, Reason::ConditionEnded);
    }
}
