//! One rule for one subject: idle, held, open. Pure: what its conditions say comes in, transitions go out.

use thin_vec::ThinVec;

use super::tally::Tally;
use crate::core::rules::{Clear, Count, FlappingRule, Moments, Rule, Tri};
use crate::model::alert::{Acknowledged, Certainty, Cursor, Evidence, Reason, Severity};
use crate::model::time::{Elapsed, Wall};

/// A rule's number in the books: it stays the same when rules are reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleNo(pub u16);

/// Kept only while there is something to remember.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub rule: RuleNo,
    /// How many alerts it has opened for this subject, ever.
    pub openings: u32,
    pub phase: Phase,
    /// The alert that it opened last, as long as that may come back or keep it from opening.
    pub closed: Option<Box<Closed>>,
    /// What a counting rule has counted and may still need.
    pub tally: Tally,
    /// When it opened lately, ascending: as far as that may make it flap, and not more often than it takes.
    pub lately: ThinVec<Elapsed>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    Idle,
    Holding(Hold),
    Open(Box<Open>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub since: Elapsed,
    /// Since when the condition has been known false.
    pub false_since: Option<Elapsed>,
    pub waits: Wait,
}

/// What keeps a hold that fell due from opening. A change, not a timer, has it looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    No,
    /// We don't know whether it still is so.
    Footing,
    /// It is suppressed, superseded, or unknown.
    Condition,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub severity: Severity,
    pub certainty: Certainty,
    pub opened_at: Wall,
    /// When it last opened or reopened, in judged time.
    pub since: Elapsed,
    pub acknowledged: Option<Acknowledged>,
    /// What it was opened by may be over: it sends nobody until it is confirmed.
    pub unproven: bool,
    pub evidence: Vec<Evidence>,
    /// Since when the clear condition has been known true, and how long it was before it became unknown.
    pub clear_since: Option<Elapsed>,
    pub clear_done_ms: i64,
    /// How much of the time since the last frame was unknown and is taken off a quiet span already.
    pub stood_still_ms: i64,
    /// Whether people were in the car when it last opened or rose.
    pub occupied: Option<bool>,
    /// The event that began the group it belongs to.
    pub group: Option<Cursor>,
    pub flapping: bool,
    /// How many of the rule's crossings lay behind when it was told last.
    pub crossed: Option<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    pub at: Elapsed,
    /// A person cleared it: it opens again only once its condition was known false, or after a while.
    pub by_hand: bool,
    // What it goes on with should it reopen. In a large fleet many have cleared a while ago: no more is kept.
    pub severity: Severity,
    pub flapping: bool,
    pub opened_at: Wall,
    pub acknowledged: Option<Box<Acknowledged>>,
    pub group: Option<Cursor>,
}

const _: () = assert!(size_of::<Closed>() <= 56);

impl Closed {
    fn may_reopen(&self, moments: &Moments, at: Elapsed) -> bool {
        !self.by_hand && at - self.at <= moments.reopen_within_ms
    }
}

/// How far what is known can be trusted to be the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footing {
    Sound,
    /// The device's frames are late: what they say may be over.
    CatchingUp,
    /// We can't hear the device.
    Blind,
}

/// What the conditions of the rule say.
#[derive(Debug, Clone, Copy)]
pub struct Inputs {
    pub at: Elapsed,
    pub when: Tri,
    /// It is unknown for some seconds only.
    pub will_be_known: bool,
    /// Of the clear condition, with a frame that carries the rule's code already counted as false.
    pub clear: Tri,
    /// Something that the rule waits for is there.
    pub carried: bool,
    pub suppressed: bool,
    /// A stronger rule is open.
    pub superseded: bool,
    /// The highest that apply.
    pub severity: Severity,
    pub certainty: Certainty,
    /// How many of the rule's crossings lie behind.
    pub crossed: Option<u8>,
    pub footing: Footing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    Open { reopens: bool, severity: Severity, certainty: Certainty, reason: Reason, at: Elapsed },
    Raise { severity: Severity, certainty: Certainty, reason: Reason, at: Elapsed },
    Clear { reason: Reason, at: Elapsed },
}

impl Run {
    pub fn new(rule: RuleNo) -> Self {
        Self { rule, openings: 0, phase: Phase::Idle, closed: None, tally: Tally::default(), lately: ThinVec::new() }
    }

    pub fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            Phase::Idle | Phase::Holding(_) => None,
        }
    }

    /// From when on a code among the events counts for it, although one counts for a while: what has led to an alert
    /// that is over opens no other, and what came before an alert doesn't end it.
    pub fn events_from(&self, of_clear: bool) -> Option<Elapsed> {
        match (self.open(), &self.closed) {
            (Some(open), _) => of_clear.then_some(open.since),
            (None, Some(closed)) => Some(closed.at + 1),
            (None, None) => None,
        }
    }

    /// As if it had never been looked at; what it opened stays counted.
    pub fn forget(&mut self) {
        self.phase = Phase::Idle;
        self.closed = None;
        self.tally = Tally::default();
        self.lately = ThinVec::new();
    }

    /// An alert that has just opened is told with what lies behind by then.
    pub fn note_crossed(&mut self, inputs: &Inputs) {
        if let Phase::Open(open) = &mut self.phase {
            open.crossed = open.crossed.or(inputs.crossed);
        }
    }

    /// Whether there is nothing to remember but how often it opened.
    pub fn is_blank(&self) -> bool {
        self.phase == Phase::Idle && self.closed.is_none() && self.tally.is_empty() && self.lately.is_empty()
    }

    /// Counts an opening; whether the rule flaps by it.
    pub fn note_opening(&mut self, rule: &FlappingRule, at: Elapsed) -> bool {
        let at = self.lately.last().map_or(at, |last| at.max(*last));
        self.lately.retain(|before| at - *before <= rule.within_ms);
        // The rule may have asked for more of them before.
        while self.lately.len() >= rule.openings as usize {
            self.lately.remove(0);
        }
        self.lately.reserve_exact(1);
        self.lately.push(at);
        self.lately.len() == rule.openings as usize
    }

    /// Lets go of openings that no later one counts together with.
    pub fn forget_openings(&mut self, rule: &FlappingRule, at: Elapsed) {
        if self.lately.last().is_some_and(|last| at - *last > rule.within_ms) {
            self.lately = ThinVec::new();
        }
    }

    /// Counts occurrences, by their places among what the rule waits for. An open alert is quiet only from now on.
    pub fn note(&mut self, count: &Count, terms: &[u16], at: Elapsed) {
        self.tally.note(count, terms, at);
        if let Phase::Open(open) = &mut self.phase {
            open.clear_since = Some(at);
            open.clear_done_ms = 0;
        }
    }

    /// Whether what a counting rule waits for has occurred so often. Forgets what is too old to count.
    pub fn has_counted(&mut self, count: &Count, at: Elapsed) -> bool {
        self.tally.forget(count, at);
        self.tally.is_reached(count)
    }

    /// Moves the beginning of a quiet span past time of which nothing is known: `unknown_ms` is all of it since the last
    /// frame, of which no more than `passed_ms` can lie behind the last look.
    pub fn stand_still(&mut self, unknown_ms: i64, passed_ms: i64, is_frame: bool) {
        let Phase::Open(open) = &mut self.phase else { return };
        let more_ms = (unknown_ms - open.stood_still_ms).clamp(0, passed_ms.max(0));
        open.clear_since = open.clear_since.map(|since| since + more_ms);
        open.stood_still_ms = if is_frame { 0 } else { open.stood_still_ms + more_ms };
    }

    /// An alert that ends by quiet has been quiet since the last occurrence.
    pub fn begin_quiet(&mut self) {
        if let (Phase::Open(open), Some(last)) = (&mut self.phase, self.tally.0.last()) {
            open.clear_since.get_or_insert(last.at);
        }
    }

    /// Looks at the rule once. Holds and clears that begin or end without a transition are noted here; the caller
    /// carries out the transition, if there is one.
    pub fn step(&mut self, rule: &Rule, moments: &Moments, inputs: &Inputs) -> Option<Transition> {
        if let Phase::Open(open) = &mut self.phase {
            return open.step(rule, inputs);
        }
        if self.is_disarmed(moments, inputs) {
            return None;
        }
        let hold = self.hold(rule, inputs)?;
        let opening = opening(rule, &hold, inputs);
        if let Err(waits) = opening {
            self.phase = Phase::Holding(Hold { waits, ..hold });
        }
        let (certainty, reason) = opening.ok()?;
        let due = hold.since + rule.for_ms;
        Some(Transition::Open {
            reopens: self.closed.as_ref().is_some_and(|closed| closed.may_reopen(moments, inputs.at))
                && !rule.is_critical(),
            severity: inputs.severity,
            certainty,
            reason,
            at: if hold.waits == Wait::Condition { inputs.at } else { due.min(inputs.at) },
        })
    }

    /// After a clear by hand the rule waits until its condition was known false, or for a while. What was closed
    /// is forgotten once it can neither come back nor keep anything from opening.
    fn is_disarmed(&mut self, moments: &Moments, inputs: &Inputs) -> bool {
        let Some(closed) = &self.closed else { return false };
        let since_ms = inputs.at - closed.at;
        if closed.by_hand {
            if !inputs.when.is_false() && since_ms < moments.rearm_ms {
                return true;
            }
            self.closed = None;
        } else if since_ms > moments.reopen_within_ms + moments.late_codes_ms {
            self.closed = None;
        }
        false
    }

    /// The hold as it stands with these inputs; `None`: there is none.
    fn hold(&mut self, rule: &Rule, inputs: &Inputs) -> Option<Hold> {
        let hold = match (&self.phase, inputs.when) {
            (Phase::Holding(hold), Tri::False) => {
                let false_since = hold.false_since.unwrap_or(inputs.at);
                if inputs.at - false_since >= rule.drop_ms {
                    self.phase = Phase::Idle;
                    return None;
                }
                Hold { false_since: Some(false_since), ..*hold }
            }
            (Phase::Holding(hold), Tri::True | Tri::Unknown) => Hold { false_since: None, ..*hold },
            (_, Tri::True) => Hold { since: inputs.at, false_since: None, waits: Wait::No },
            (_, Tri::False | Tri::Unknown) => return None,
        };
        self.phase = Phase::Holding(hold);
        Some(hold)
    }

    /// The next moment at which time alone may change something.
    pub fn deadline(&self, rule: &Rule, moments: &Moments) -> Option<Elapsed> {
        let rearms = || self.closed.as_ref().filter(|c| c.by_hand).map(|c| c.at + moments.rearm_ms);
        match &self.phase {
            Phase::Idle => rearms(),
            Phase::Holding(Hold { false_since: Some(since), .. }) => Some(*since + rule.drop_ms),
            Phase::Holding(Hold { waits: Wait::No, since, .. }) => Some(*since + rule.for_ms),
            Phase::Holding(_) => None,
            Phase::Open(open) => open.clear_since.map(|since| since + (rule.clear_for_ms - open.clear_done_ms).max(0)),
        }
    }
}

/// Whether a hold opens now, how sure it is and why; or what it waits for.
fn opening(rule: &Rule, hold: &Hold, inputs: &Inputs) -> Result<(Certainty, Reason), Wait> {
    if hold.false_since.is_some() || inputs.at - hold.since < rule.for_ms {
        return Err(hold.waits);
    }
    if inputs.suppressed || inputs.superseded {
        return Err(Wait::Condition);
    }
    let possible = Certainty::Possible.min(inputs.certainty);
    match (inputs.when, inputs.footing) {
        (Tri::True, Footing::Sound) => Ok((inputs.certainty, Reason::ConditionHeld)),
        // Late frames open what they say at once, but only as possible: a queued one may end it.
        (Tri::True, Footing::CatchingUp) => Ok((possible, Reason::CatchingUp)),
        // Silence is not safety: what is grave opens as possible, the rest waits until it is known.
        (_, Footing::Blind) if rule.is_critical() => Ok((possible, Reason::IngestBlind)),
        (_, Footing::Blind) => Err(Wait::Footing),
        (_, _) if inputs.will_be_known => Err(Wait::Condition),
        // Nor does what they leave unknown send anybody before they are in.
        (_, Footing::CatchingUp) if rule.is_critical() => Ok((possible, Reason::CatchingUp)),
        (_, _) if rule.is_critical() => Ok((possible, Reason::ConditionUnknown)),
        (_, _) => Err(Wait::Condition),
    }
}

impl Open {
    fn step(&mut self, rule: &Rule, inputs: &Inputs) -> Option<Transition> {
        if inputs.superseded {
            return Some(Transition::Clear { reason: Reason::Superseded, at: inputs.at });
        }
        if let Some(at) = self.cleared_at(rule, inputs) {
            return Some(Transition::Clear { reason: Reason::ConditionEnded, at });
        }
        let confirmed = inputs.when.is_true() && inputs.footing == Footing::Sound;
        let certainty = if confirmed { self.certainty.max(inputs.certainty) } else { self.certainty };
        let proven = confirmed && std::mem::take(&mut self.unproven);
        let severity = self.severity.max(inputs.severity);
        // What lay behind when it opened was told by that; so is what a rise tells.
        let before = self.crossed.or(inputs.crossed);
        self.crossed = inputs.crossed.or(before);
        if severity > self.severity {
            return Some(Transition::Raise { severity, certainty, reason: Reason::Escalated, at: inputs.at });
        }
        if proven || certainty > self.certainty {
            return Some(Transition::Raise { severity, certainty, reason: Reason::Confirmed, at: inputs.at });
        }
        (self.crossed > before).then_some(Transition::Raise {
            severity,
            certainty,
            reason: Reason::Crossed,
            at: inputs.at,
        })
    }

    /// When the clear condition had held long enough, if it has.
    fn cleared_at(&mut self, rule: &Rule, inputs: &Inputs) -> Option<Elapsed> {
        if matches!(rule.clear, Clear::Manual | Clear::Maintained | Clear::Heard) {
            return None;
        }
        match inputs.clear {
            Tri::True => {
                let since = *self.clear_since.get_or_insert(inputs.at);
                let due = since + (rule.clear_for_ms - self.clear_done_ms).max(0);
                if inputs.at >= due && inputs.carried {
                    // Quiet for long enough, but what it waits for still stands: it clears when that has gone.
                    self.clear_since = None;
                    self.clear_done_ms = rule.clear_for_ms;
                    return None;
                }
                (inputs.at >= due).then_some(due)
            }
            Tri::False => {
                self.clear_since = None;
                self.clear_done_ms = 0;
                None
            }
            // What was seen so far counts; the rest waits until it is known again.
            Tri::Unknown => {
                if let Some(since) = self.clear_since.take() {
                    // It may have begun with a new policy, and the frame at hand be from before that.
                    self.clear_done_ms += (inputs.at - since).max(0);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
