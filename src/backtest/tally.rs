//! The differences of all lifts, counted by rule.

use std::collections::BTreeMap;

use super::matching::{Change, Compared, Difference};
use super::rules::Rules;
use crate::limits;
use crate::model::ids::RuleId;

/// One rule, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    pub raised: u64,
    pub replayed: u64,
    pub reproduced: u64,
    pub gained: u64,
    pub lost: u64,
    pub moved: u64,
    /// Differences that the rules in force show as well, replayed: they are in none of the three above.
    pub unsure: u64,
    /// How much later alerts that moved would have opened.
    shifts: Shifts,
}

/// How much later things would have come: the first so many of them, and the largest of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shifts {
    ms: Vec<i64>,
    largest_ms: i64,
}

impl Shifts {
    pub fn add(&mut self, shift_ms: i64) {
        if shift_ms.abs() > self.largest_ms.abs() {
            self.largest_ms = shift_ms;
        }
        if self.ms.len() < limits::BACKTEST_SHIFTS {
            self.ms.push(shift_ms);
        }
    }

    /// `None`: there is none.
    pub fn median_and_largest(&self) -> Option<(i64, i64)> {
        let mut sorted = self.ms.clone();
        sorted.sort_unstable();
        let median = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
        Some((median, self.largest_ms))
    }
}

impl Tally {
    fn add(&mut self, compared: &Compared) {
        self.raised += compared.raised;
        self.replayed += compared.replayed;
        self.reproduced += compared.reproduced;
        for difference in &compared.differences {
            self.add_one(difference);
        }
    }

    fn add_one(&mut self, difference: &Difference) {
        if difference.unsure {
            self.unsure += 1;
            return;
        }
        match difference.change {
            Change::Gained => self.gained += 1,
            Change::Lost => self.lost += 1,
            Change::Moved => self.moved += 1,
        }
        difference.shift_ms().into_iter().for_each(|shift_ms| self.shifts.add(shift_ms));
    }

    /// The median and the largest shift of those that moved; `None`: none did.
    pub fn shift_ms(&self) -> Option<(i64, i64)> {
        self.shifts.median_and_largest()
    }

    pub fn is_quiet(&self) -> bool {
        self.raised == 0 && self.replayed == 0 && self.gained + self.lost + self.moved + self.unsure == 0
    }
}

#[derive(Debug, Clone, Default)]
pub struct Tallies {
    pub by_rule: BTreeMap<RuleId, Tally>,
    pub all: Tally,
}

impl Tallies {
    /// With every rule that is compared.
    pub fn of(rules: &Rules) -> Self {
        Self { by_rule: rules.ids().map(|rule| (rule.clone(), Tally::default())).collect(), all: Tally::default() }
    }

    /// One lift more.
    pub fn add(&mut self, compared: &BTreeMap<RuleId, Compared>) {
        for (rule, compared) in compared {
            self.by_rule.entry(rule.clone()).or_default().add(compared);
            self.all.add(compared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::Alert;
    use crate::model::time::Wall;

    /// Median and largest shift of alerts that moved by so much.
    fn check(shifts_ms: &[i64], want: Option<(i64, i64)>) {
        let at = |ms: i64| {
            let rule = RuleId::parse("offline").unwrap();
            Some(Alert { rule, opened_at: Wall(1_000_000 + ms), cleared_at: None, level: None })
        };
        let moved = |ms: &i64| Difference { change: Change::Moved, raised: at(0), replayed: at(*ms), unsure: false };
        let mut differences: Vec<Difference> = shifts_ms.iter().map(moved).collect();
        // These count for neither.
        differences.push(Difference { unsure: true, ..moved(&999_999) });
        differences.push(Difference { change: Change::Lost, replayed: None, ..moved(&0) });
        let mut tally = Tally::default();
        tally.add(&Compared { differences, ..Compared::default() });
        let counted = (tally.moved, tally.lost, tally.unsure);
        assert_eq!((tally.shift_ms(), counted), (want, (shifts_ms.len() as u64, 1, 1)), "{shifts_ms:?}");
    }

    #[test]
    fn shifts_have_a_median_and_a_largest() {
        check(&[], None);
        check(&[1_500], Some((1_500, 1_500)));
        check(&[30_000, -60_000, 10_000], Some((10_000, -60_000)));
        check(&[4_000, 1_000, 3_000, 2_000], Some((2_000, 4_000)));
    }
}
