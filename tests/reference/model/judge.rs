//! What becomes of each rule at one moment, by looking back.

use vigil::model::alert::{Certainty, EventKind, Reason};

use super::hearing::Hearing;
use super::lift::{Footing, Lift, Moment, Truth};
use super::rules::{Clear, Kind, RULES, Rule};
use crate::timeline::Item;
use crate::told::Told;

const REOPEN_MS: i64 = 60_000;
const REARM_MS: i64 = 600_000;
const DELAYED_MS: i64 = 5_000;

impl Lift {
    /// Asks every rule.
    pub(super) fn judge(&mut self, hearing: &Hearing, at_ms: i64, now_ms: i64, footing: Footing) {
        if self.moments.is_empty() {
            return;
        }
        (self.asked_ms, self.calm_to_ms) = (at_ms, i64::MIN);
        self.judged_ms = self.judged_ms.max(at_ms);
        for (nth, rule) in RULES.iter().enumerate() {
            if matches!(rule.kind, Kind::Silent { .. }) {
                continue;
            }
            if self.open(rule.id).is_some() {
                self.judge_open(nth, rule, at_ms, now_ms, footing);
            } else {
                self.judge_closed(nth, rule, at_ms, now_ms, footing);
            }
        }
        self.judge_silence(hearing, now_ms);
    }

    /// When a rule has to be asked again if nothing changes.
    pub(super) fn due(&self, nth: usize, at_ms: i64) -> Option<i64> {
        let rule = &RULES[nth];
        if self.moments.is_empty() {
            return None;
        }
        let is_armed = self.armed_from(nth, rule, at_ms).is_some();
        // A clear forgets what was counted: a rule that counts is armed again at once.
        let is_armed = is_armed || matches!(rule.kind, Kind::Counted { .. });
        let rearm = self.cleared_by_hand(rule).filter(|_| !is_armed).map(|at| at + REARM_MS);
        let due = match rule.kind {
            Kind::Silent { .. } => None,
            _ if self.open(rule.id).is_some() => self.clear_due(nth, rule, at_ms),
            Kind::Held { for_ms, drop_ms, .. } => self.hold_since(nth, rule, at_ms).map(|since_ms| {
                // One that isn't true now may end.
                self.false_since(nth, at_ms).map_or(since_ms + for_ms, |false_ms| false_ms + drop_ms)
            }),
            Kind::Counted { .. } => None,
        };
        due.into_iter().chain(rearm).filter(|due| *due > at_ms).min()
    }

    fn judge_closed(&mut self, nth: usize, rule: &'static Rule, at_ms: i64, now_ms: i64, footing: Footing) {
        let moment = self.moment_at(at_ms).expect("asked only after the first frame");
        let truth = moment.truths[nth];
        let is_held = match rule.kind {
            Kind::Held { for_ms, .. } => self.hold_since(nth, rule, at_ms).is_some_and(|since| at_ms - since >= for_ms),
            Kind::Counted { count, within_ms, each } => self.has_occurred(rule, at_ms, within_ms, each) >= count,
            Kind::Silent { .. } => false,
        };
        let gives_way = rule.unless.iter().any(|id| self.open(id).is_some());
        if !is_held || truth.suppress == Some(true) || gives_way || self.is_ending(nth, rule, at_ms) {
            return;
        }
        let true_ms = self.came_true(nth, rule, at_ms);
        let possible = Certainty::Possible;
        let (certainty, reason) = match (truth.when, footing) {
            (Some(false), _) => return,
            (Some(true), Footing::Sound) => (rule.certainty, Reason::ConditionHeld),
            (Some(true), Footing::CatchingUp) => (possible, Reason::CatchingUp),
            // A door on its way is known soon.
            (None, Footing::Sound | Footing::CatchingUp) if moment.facts.door_settles => return,
            (None, Footing::CatchingUp) if rule.is_critical() => (possible, Reason::CatchingUp),
            (_, Footing::Blind) if rule.is_critical() => (possible, Reason::IngestBlind),
            (None, _) if rule.is_critical() => (possible, Reason::ConditionUnknown),
            _ => return,
        };
        self.open_as(rule, certainty, reason, true_ms, now_ms, footing != Footing::CatchingUp);
    }

    /// When the hold fell due. If something else kept it from opening then, it comes true when that ends; a flicker that
    /// the hold bridges is nothing else.
    fn came_true(&self, nth: usize, rule: &Rule, at_ms: i64) -> i64 {
        let Kind::Held { for_ms, .. } = rule.kind else { return at_ms };
        let Some(since_ms) = self.hold_since(nth, rule, at_ms) else { return at_ms };
        let due_ms = since_ms + for_ms;
        let is_kept = |moment: &Moment| {
            let Truth { when, suppress, .. } = moment.truths[nth];
            suppress == Some(true) || when.is_none() && (!rule.is_critical() || moment.facts.door_settles)
        };
        let mut spans = self.spans_back(due_ms, at_ms).filter(|(from, to, _)| from < to);
        let waited = spans.any(|(_, _, moment)| is_kept(moment));
        let gave_way = rule.unless.iter().any(|id| self.was_open(id, due_ms));
        if waited || gave_way { at_ms } else { due_ms }
    }

    fn was_open(&self, id: &str, at_ms: i64) -> bool {
        let before = self.told.iter().rev().find(|told| told.rule == id && told.true_ms <= at_ms);
        before.is_some_and(|told| told.kind != EventKind::Cleared)
    }

    /// What ends it without being held is true.
    fn is_ending(&self, nth: usize, rule: &Rule, at_ms: i64) -> bool {
        let truth = self.moment_at(at_ms).expect("there is a frame").truths[nth];
        matches!(rule.clear, Clear::When(_)) && rule.clear_for_ms == 0 && truth.clear == Some(true) && !truth.is_carried
    }

    fn judge_open(&mut self, nth: usize, rule: &'static Rule, at_ms: i64, now_ms: i64, footing: Footing) {
        if let Some(other) = rule.unless.iter().find_map(|id| self.open(id)).copied() {
            let _ = other;
            return self.clear(rule, Reason::Superseded, at_ms, now_ms);
        }
        if self.clear_due(nth, rule, at_ms).is_some_and(|due| due <= at_ms) {
            return self.clear(rule, Reason::ConditionEnded, at_ms, now_ms);
        }
        let last = *self.open(rule.id).expect("it is open");
        let moment = self.moment_at(at_ms).expect("there is a frame");
        let severity = (rule.escalate)(&moment.facts).unwrap_or(rule.severity).max(last.severity);
        let is_sure = moment.truths[nth].when == Some(true) && footing == Footing::Sound;
        let certainty = if is_sure { rule.certainty.max(last.certainty) } else { last.certainty };
        let dispatch = if is_sure { rule.dispatch } else { last.dispatch };
        // What a backlog raised is confirmed even where that changes nothing that is shown.
        let is_confirmed = is_sure && self.unproven.remove(rule.id);
        if (severity, certainty) != (last.severity, last.certainty) || is_confirmed {
            let reason = if severity > last.severity { Reason::Escalated } else { Reason::Confirmed };
            self.tell(EventKind::Raised, reason, at_ms, now_ms, Told { severity, certainty, dispatch, ..last });
        }
    }

    /// Since when the condition has been held: from the first moment at which it was true after it was last known false
    /// for so long that this counts.
    pub(super) fn hold_since(&self, nth: usize, rule: &Rule, at_ms: i64) -> Option<i64> {
        let Kind::Held { drop_ms, .. } = rule.kind else { return None };
        let armed_ms = self.armed_from(nth, rule, at_ms)?;
        let (mut since, mut false_to) = (None, None);
        for (from_ms, to_ms, moment) in self.spans_back(armed_ms, at_ms) {
            match moment.truths[nth].when {
                Some(true) => since = Some(from_ms),
                Some(false) if false_to.unwrap_or(to_ms) - from_ms >= drop_ms => return since,
                _ => {}
            }
            let is_false = moment.truths[nth].when == Some(false);
            false_to = is_false.then(|| false_to.unwrap_or(to_ms));
        }
        since
    }

    fn false_since(&self, nth: usize, at_ms: i64) -> Option<i64> {
        let spans = self.spans_back(i64::MIN, at_ms);
        spans.take_while(|(_, _, moment)| moment.truths[nth].when == Some(false)).last().map(|(from_ms, ..)| from_ms)
    }

    /// What was true from when to when, the last first.
    fn spans_back(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, i64, &Moment)> {
        let behind = self.moments.partition_point(|moment| moment.from_ms <= to_ms);
        let ends = self.moments[..behind].iter().skip(1).map(|moment| moment.from_ms).chain([i64::MAX]).rev();
        let all = self.moments[..behind].iter().rev().zip(ends);
        // What ended just when it begins is no part of it.
        let all = all.take_while(move |(moment, end_ms)| moment.from_ms >= from_ms || *end_ms > from_ms);
        let clipped = all.map(move |(moment, end_ms)| (moment.from_ms.max(from_ms), end_ms.min(to_ms), moment));
        clipped.take_while(|(from, to, _)| from <= to)
    }

    fn cleared_by_hand(&self, rule: &Rule) -> Option<i64> {
        let last = self.last(rule).filter(|told| told.kind == EventKind::Cleared)?;
        (last.reason == Reason::Operator).then_some(last.true_ms)
    }

    /// From when on a hold counts: after a clear by hand, once it was known false, or after a while.
    fn armed_from(&self, nth: usize, rule: &Rule, at_ms: i64) -> Option<i64> {
        if let Some(cleared_ms) = self.cleared_by_hand(rule) {
            let spans = self.spans_back(cleared_ms, at_ms);
            // Frames of the same ms may have come before it.
            let clear = self.told.iter().rposition(|told| told.rule == rule.id).map(|at| self.frames_when_told[at]);
            let since = |moment: &Moment| clear.is_none_or(|frames| moment.frames >= frames);
            let over = spans.filter(|(_, _, moment)| since(moment) && moment.truths[nth].when == Some(false)).last();
            let rearm_ms = cleared_ms + REARM_MS;
            let armed_ms = over.map_or(rearm_ms, |(from_ms, _, _)| rearm_ms.min(from_ms));
            return (armed_ms <= at_ms).then_some(armed_ms);
        }
        let last = self.last(rule).filter(|told| told.kind == EventKind::Cleared);
        Some(last.map_or(i64::MIN, |told| told.true_ms))
    }

    /// How often, in the time that counts: together, or the most frequent one alone.
    pub(super) fn has_occurred(&self, rule: &Rule, at_ms: i64, within_ms: i64, each: bool) -> usize {
        // A clear forgets what was counted.
        let clear = self.told.iter().rposition(|told| told.rule == rule.id && told.kind == EventKind::Cleared);
        let forgotten = clear.map_or(0, |at| self.frames_when_told[at]);
        let counts = |moment: &&Moment| {
            moment.from_ms >= at_ms - within_ms && moment.from_ms <= at_ms && moment.frames > forgotten
        };
        let moments = self.moments.iter().filter(counts);
        let occurred: Vec<&Item> =
            moments.flat_map(|moment| &moment.occurred).filter(|item| rule.items.contains(item)).collect();
        let alone = rule.items.iter().map(|item| occurred.iter().filter(|other| **other == item).count()).max();
        if each { alone.unwrap_or(0) } else { occurred.len() }
    }

    /// When it ends, or would have, if nothing changes.
    fn clear_due(&self, nth: usize, rule: &Rule, at_ms: i64) -> Option<i64> {
        match rule.clear {
            Clear::Manual | Clear::Frame => None,
            Clear::Quiet => self.quiet_due(nth, rule, at_ms),
            Clear::When(_) | Clear::WhenOver => self.clear_held_due(nth, rule, at_ms),
        }
    }

    /// What ends it must hold for a while. That stands still while it is not known.
    fn clear_held_due(&self, nth: usize, rule: &Rule, at_ms: i64) -> Option<i64> {
        let opened_ms = self.opened_ms(rule)?;
        let is_held = |moment: &Moment| moment.truths[nth].clear == Some(true) && !moment.truths[nth].is_carried;
        if !self.moment_at(at_ms).is_some_and(is_held) {
            return None;
        }
        let back = self.spans_back(opened_ms, at_ms);
        let lasts = back.take_while(|(_, _, moment)| is_held(moment) || moment.truths[nth].clear.is_none());
        let held_ms: i64 = lasts.filter(|(_, _, moment)| is_held(moment)).map(|(from, to, _)| to - from).sum();
        Some(at_ms + rule.clear_for_ms - held_ms)
    }

    /// Nothing occurred for so long, and no frame lists it any more. Time of which nothing is known doesn't count.
    fn quiet_due(&self, _nth: usize, rule: &Rule, at_ms: i64) -> Option<i64> {
        let occurs =
            |moment: &&Moment| moment.from_ms <= at_ms && moment.occurred.iter().any(|item| rule.items.contains(item));
        let last_ms = self.moments.iter().filter(occurs).map(|moment| moment.from_ms).max()?;
        let now = self.moment_at(at_ms)?;
        if now.facts.is_silent || rule.items.iter().any(|item| now.facts.listed.contains(item)) {
            return None;
        }
        // After so long a silence nothing is known of it.
        let known = |(from_ms, to_ms, moment): (i64, i64, &Moment)| {
            let known_to_ms = self.arrivals[moment.frames - 1] + self.unknown_after_ms();
            (to_ms.min(known_to_ms) - from_ms).max(0)
        };
        let quiet_ms: i64 = self.spans_back(last_ms, at_ms).map(known).sum();
        Some((at_ms + rule.clear_for_ms - quiet_ms).max(at_ms))
    }

    fn opened_ms(&self, rule: &Rule) -> Option<i64> {
        let opens = |told: &&Told| told.rule == rule.id && matches!(told.kind, EventKind::Opened | EventKind::Reopened);
        self.told.iter().rposition(|told| opens(&told)).map(|at| self.judged_when_told[at])
    }

    pub(super) fn armed_from_silence(&self, rule: &Rule, last_frame_ms: i64) -> i64 {
        match self.cleared_by_hand(rule) {
            Some(cleared_ms) if last_frame_ms < cleared_ms => cleared_ms + REARM_MS,
            _ => i64::MIN,
        }
    }

    /// Rules that need no hold tell what a late frame lists though it is over, and that it is.
    pub(super) fn raise_what_is_over(&mut self, hearing: &Hearing, over: &[Item], at_ms: i64, now_ms: i64) {
        for rule in RULES.iter().filter(|rule| matches!(rule.kind, Kind::Held { for_ms: 0, .. })) {
            let facts = &self.moments.last().expect("a frame came").facts;
            let is_suppressed = (rule.suppress)(facts) == Some(true);
            let waits_for_it = over.iter().any(|item| rule.items.contains(item));
            if !waits_for_it || is_suppressed || self.open(rule.id).is_some() {
                continue;
            }
            self.open_as(rule, rule.certainty, Reason::AlreadyOver, at_ms, now_ms, false);
            if !matches!(rule.clear, Clear::Manual) {
                self.clear(rule, Reason::AlreadyOver, at_ms, now_ms);
            }
        }
        self.judge_silence(hearing, now_ms);
    }

    /// Opens a new alert, or the last one again.
    pub(super) fn open_as(
        &mut self,
        rule: &'static Rule,
        certainty: Certainty,
        reason: Reason,
        at_ms: i64,
        now_ms: i64,
        dispatch: bool,
    ) {
        let last = self.last(rule).copied();
        // What a person has cleared comes back as another one.
        let reopens =
            |last: &Told| !rule.is_critical() && last.reason != Reason::Operator && at_ms - last.true_ms <= REOPEN_MS;
        let (kind, opening) = match last {
            Some(last) if reopens(&last) => (EventKind::Reopened, last.opening),
            Some(last) => (EventKind::Opened, last.opening + 1),
            None => (EventKind::Opened, 1),
        };
        // What is over is as grave as what is known now makes it.
        let moment = if reason == Reason::AlreadyOver { self.moments.last() } else { self.moment_at(at_ms) };
        let moment = moment.expect("there is a frame");
        let severity = (rule.escalate)(&moment.facts).unwrap_or(rule.severity);
        // A reopened alert is the one that it was.
        let severity =
            last.filter(|_| kind == EventKind::Reopened).map_or(severity, |last| last.severity.max(severity));
        let told = Told {
            told_ms: now_ms,
            lift: self.nth,
            rule: rule.id,
            kind,
            opening,
            severity,
            certainty,
            reason,
            true_ms: at_ms,
            delayed: false,
            dispatch: dispatch && rule.dispatch,
            unregistered: !self.spec.is_registered,
        };
        if matches!(reason, Reason::CatchingUp | Reason::AlreadyOver) {
            self.unproven.insert(rule.id);
        } else {
            self.unproven.remove(rule.id);
        }
        self.tell(kind, reason, at_ms, now_ms, told);
    }

    pub(super) fn clear(&mut self, rule: &'static Rule, reason: Reason, at_ms: i64, now_ms: i64) {
        let last = *self.open(rule.id).expect("it is open");
        self.tell(EventKind::Cleared, reason, at_ms, now_ms, last);
    }

    fn tell(&mut self, kind: EventKind, reason: Reason, at_ms: i64, now_ms: i64, told: Told) {
        let delayed = now_ms - at_ms > DELAYED_MS;
        self.frames_when_told.push(self.frames.len());
        self.judged_when_told.push(self.judged_ms);
        let told = Told { kind, reason, told_ms: now_ms, true_ms: at_ms, delayed, ..told };
        self.last_told.insert(told.rule, told);
        self.told.push(told);
    }

    pub(super) fn clear_by_hand(&mut self, hearing: &Hearing, id: &str, now_ms: i64) {
        if self.open(id).is_none() {
            return;
        }
        let rule = RULES.iter().find(|rule| rule.id == id).expect("timelines name rules that exist");
        self.clear(rule, Reason::Operator, now_ms, now_ms);
        self.look_again(hearing, now_ms);
    }

    pub(super) fn acknowledge(&mut self, id: &str, now_ms: i64) {
        let is_of = |told: &&Told| told.rule == id;
        let acknowledged = self.told.iter().filter(is_of).rev().take_while(|told| told.kind != EventKind::Opened);
        let is_first = !acknowledged.map(|told| told.kind).any(|kind| kind == EventKind::Acknowledged);
        if let Some(open) = self.open(id).copied().filter(|_| is_first) {
            self.tell(EventKind::Acknowledged, Reason::Operator, now_ms, now_ms, open);
        }
    }
}
