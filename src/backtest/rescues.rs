//! How rescues ended, held against what would have been raised: which of the real ones nobody would have been told of, and
//! which of the false ones would have been saved.

use super::alerts::Alert;
use super::matching::TOLERANCE_MS;
use super::tally::Shifts;
use crate::model::ids::RuleId;
use crate::model::time::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was closed, and people were freed.
    Real,
    FalseAlarm,
}

/// One that is over, and of which it is known how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescue {
    /// As people write it.
    pub incident: Box<str>,
    pub received_at: Wall,
    /// When people were free, or it was found to be a false alarm.
    pub ended_at: Wall,
    /// A rule opened it; else a call did.
    pub by_rule: bool,
    pub ending: Ending,
}

/// What the two rule sets would have told of a rescue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub rescue: Rescue,
    /// When the first alert that sends somebody opened: by the rules in force, and by those in question.
    pub in_force: Option<Wall>,
    pub new: Option<Wall>,
}

impl Told {
    /// A rule opened it, and the rules in force, replayed, would not: the frames don't tell all that the service went by.
    pub fn is_unsure(&self) -> bool {
        self.rescue.by_rule && self.in_force.is_none()
    }

    /// How much later it would have been told.
    pub fn shift_ms(&self) -> Option<i64> {
        Some(self.new? - self.in_force?)
    }
}

/// `sends`: which rules send somebody, of those in force and of those in question.
pub fn hold(
    rescue: Rescue,
    in_force: (&[Alert], impl Fn(&RuleId) -> bool),
    new: (&[Alert], impl Fn(&RuleId) -> bool),
) -> Told {
    let (in_force, new) = (first(&rescue, in_force.0, in_force.1), first(&rescue, new.0, new.1));
    Told { rescue, in_force, new }
}

/// The first alert that sends somebody and was open while the rescue went on, or not long before.
fn first(rescue: &Rescue, alerts: &[Alert], sends: impl Fn(&RuleId) -> bool) -> Option<Wall> {
    let began = rescue.received_at - TOLERANCE_MS;
    let was_open =
        |alert: &&Alert| alert.opened_at <= rescue.ended_at && alert.cleared_at.is_none_or(|cleared| cleared >= began);
    alerts.iter().filter(was_open).filter(|alert| sends(&alert.rule)).map(|alert| alert.opened_at).min()
}

/// All of them, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rescues {
    pub real: u64,
    /// Of the real ones: told by the rules in force, and not by those in question; and the other way round, where only a
    /// caller had told of it.
    pub missed: u64,
    pub found: u64,
    pub false_alarms: u64,
    /// Of the false alarms, the same.
    pub saved: u64,
    pub added: u64,
    /// In none of the four above.
    pub unsure: u64,
    /// Of the real ones that both tell of.
    pub later: Shifts,
}

impl Rescues {
    pub fn add(&mut self, told: &Told) {
        let ending = told.rescue.ending;
        match ending {
            Ending::Real => self.real += 1,
            Ending::FalseAlarm => self.false_alarms += 1,
        }
        if told.is_unsure() {
            self.unsure += 1;
            return;
        }
        match (ending, told.in_force.is_some(), told.new.is_some()) {
            (Ending::Real, true, false) => self.missed += 1,
            (Ending::Real, false, true) => self.found += 1,
            (Ending::Real, true, true) => told.shift_ms().into_iter().for_each(|ms| self.later.add(ms)),
            (Ending::FalseAlarm, true, false) => self.saved += 1,
            (Ending::FalseAlarm, false, true) => self.added += 1,
            (_, false, false) | (Ending::FalseAlarm, true, true) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000;

    fn at(s: i64) -> Wall {
        Wall(1_795_305_600_000 + s * S)
    }

    /// Opened and cleared, in s after the rescue was received.
    fn alerts(rule: &str, times: &[(i64, Option<i64>)]) -> Vec<Alert> {
        let alert = |(opened, cleared): &(i64, Option<i64>)| Alert {
            rule: RuleId::parse(rule).unwrap(),
            opened_at: at(*opened),
            cleared_at: cleared.map(at),
            level: None,
        };
        times.iter().map(alert).collect()
    }

    fn rescue(by_rule: bool, ending: Ending) -> Rescue {
        Rescue { incident: "1-1".into(), received_at: at(0), ended_at: at(1_200), by_rule, ending }
    }

    /// What is counted of one rescue that lasts 20 min: (missed, found, saved, added, unsure), and how much later it is told.
    fn check(by_rule: bool, ending: Ending, old: &[(i64, Option<i64>)], new: &[(i64, Option<i64>)]) -> [u64; 5] {
        let (old, new) = (alerts("trapped", old), alerts("trapped", new));
        let told = hold(rescue(by_rule, ending), (&old, |_: &RuleId| true), (&new, |_: &RuleId| true));
        let mut all = Rescues::default();
        all.add(&told);
        assert_eq!(all.real + all.false_alarms, 1);
        [all.missed, all.found, all.saved, all.added, all.unsure]
    }

    #[test]
    fn what_ended_is_held_against_what_would_have_been_told() {
        use Ending::{FalseAlarm, Real};
        let raised = [(0, Some(900))];
        assert_eq!(check(true, Real, &raised, &raised), [0; 5]);
        assert_eq!(check(true, Real, &raised, &[]), [1, 0, 0, 0, 0]);
        // It comes, and too late: people are free by then.
        assert_eq!(check(true, Real, &raised, &[(1_201, None)]), [1, 0, 0, 0, 0]);
        assert_eq!(check(true, Real, &raised, &[(1_200, None)]), [0; 5]);
        assert_eq!(check(false, Real, &[], &raised), [0, 1, 0, 0, 0]);
        assert_eq!(check(false, Real, &[], &[]), [0; 5], "only the caller would have told, as he did");
        assert_eq!(check(true, FalseAlarm, &raised, &[]), [0, 0, 1, 0, 0]);
        assert_eq!(check(false, FalseAlarm, &[], &raised), [0, 0, 0, 1, 0]);
        assert_eq!(check(true, FalseAlarm, &raised, &raised), [0; 5]);
        // What the rules in force don't raise again is not by the rules.
        assert_eq!(check(true, Real, &[], &[]), [0, 0, 0, 0, 1]);
        // An alert that was over ten minutes before is another case.
        assert_eq!(check(true, Real, &raised, &[(-900, Some(-601))]), [1, 0, 0, 0, 0]);
        assert_eq!(check(true, Real, &raised, &[(-900, Some(-600))]), [0; 5]);
    }

    #[test]
    fn only_rules_that_send_somebody_count_and_the_first_of_them() {
        let old = [alerts("trapped", &[(30, None)]), alerts("other", &[(0, None)])].concat();
        let new = alerts("trapped", &[(60, None), (90, None)]);
        let sends = |rule: &RuleId| rule.as_str() == "trapped";
        let told = hold(rescue(true, Ending::Real), (&old, sends), (&new, sends));
        assert_eq!((told.in_force, told.new, told.shift_ms()), (Some(at(30)), Some(at(60)), Some(30 * S)));
        let mut all = Rescues::default();
        all.add(&told);
        assert_eq!(all.later.median_and_largest(), Some((30 * S, 30 * S)));
    }
}
