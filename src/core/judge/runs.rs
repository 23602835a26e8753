//! The runs of one subject.

use std::ops::{Deref, DerefMut};

use thin_vec::ThinVec;

use super::run::{RuleNo, Run};

/// By rule number, ascending. It gives those of which there is something to remember; most subjects have none, or one or
/// two. How many alerts a rule has opened is remembered for ever, of every subject that ever had one: so it is kept apart,
/// in a tenth of the room.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    kept: ThinVec<Run>,
    /// Of rules without a run. One that has a run may be there as well, with a number that no longer counts.
    openings: ThinVec<(RuleNo, u32)>,
}

impl Runs {
    pub fn new() -> Self {
        Self::default()
    }

    /// The run of a rule, made if there is none.
    pub fn entry(&mut self, rule: RuleNo) -> &mut Run {
        let at = self.kept.partition_point(|run| run.rule < rule);
        if self.kept.get(at).is_none_or(|run| run.rule != rule) {
            // Room for no more than there is: of most lifts that is all there ever will be.
            self.kept.reserve_exact(1);
            let openings = self.opened_before(rule);
            self.kept.insert(at, Run { openings, ..Run::new(rule) });
        }
        &mut self.kept[at]
    }

    /// How many alerts the rule has opened.
    pub fn openings(&self, rule: RuleNo) -> u32 {
        let kept = self.kept.iter().find(|run| run.rule == rule);
        kept.map_or_else(|| self.opened_before(rule), |run| run.openings)
    }

    fn opened_before(&self, rule: RuleNo) -> u32 {
        let found = self.openings.binary_search_by_key(&rule, |(rule, _)| *rule);
        found.map_or(0, |at| self.openings[at].1)
    }

    /// Lets go of runs that remember nothing but how often they opened, and of their room.
    pub fn drop_blank(&mut self) {
        if !self.kept.iter().any(Run::is_blank) {
            return;
        }
        let openings = &mut self.openings;
        self.kept.retain(|run| {
            if run.is_blank() && run.openings > 0 {
                match openings.binary_search_by_key(&run.rule, |(rule, _)| *rule) {
                    Ok(at) => openings[at].1 = run.openings,
                    Err(at) => {
                        openings.reserve_exact(1);
                        openings.insert(at, (run.rule, run.openings));
                    }
                }
            }
            !run.is_blank()
        });
        self.kept.shrink_to_fit();
    }

    /// Every rule that has a run or has ever opened an alert, ascending; those without a run as one that remembers nothing
    /// else.
    pub fn all(&self) -> impl Iterator<Item = (RuleNo, u32, Option<&Run>)> {
        let mut kept = self.kept.iter().filter(|run| !run.is_blank() || run.openings > 0).peekable();
        let mut opened = self.openings.iter().peekable();
        std::iter::from_fn(move || {
            let rule = kept.peek().map(|run| run.rule);
            if let Some(&&(other, openings)) = opened.peek()
                && rule.is_none_or(|rule| other <= rule)
            {
                opened.next();
                if rule != Some(other) {
                    return Some((other, openings, None));
                }
            }
            kept.next().map(|run| (run.rule, run.openings, Some(run).filter(|run| !run.is_blank())))
        })
    }
}

/// Takes runs in the order of their rules.
impl FromIterator<Run> for Runs {
    fn from_iter<I: IntoIterator<Item = Run>>(runs: I) -> Self {
        let mut all = Self { kept: runs.into_iter().collect(), openings: ThinVec::new() };
        all.drop_blank();
        all
    }
}

/// What is remembered is the same, wherever it is kept.
impl PartialEq for Runs {
    fn eq(&self, other: &Self) -> bool {
        self.all().eq(other.all())
    }
}

impl Deref for Runs {
    type Target = [Run];

    fn deref(&self) -> &[Run] {
        &self.kept
    }
}

impl DerefMut for Runs {
    fn deref_mut(&mut self) -> &mut [Run] {
        &mut self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::judge::run::{Hold, Phase, Wait};
    use crate::model::time::Elapsed;

    fn holding(rule: u16, openings: u32) -> Run {
        let hold = Hold { since: Elapsed(1), false_since: None, waits: Wait::No };
        Run { openings, phase: Phase::Holding(hold), ..Run::new(RuleNo(rule)) }
    }

    fn told(runs: &Runs) -> Vec<(u16, u32, bool)> {
        runs.all().map(|(rule, openings, run)| (rule.0, openings, run.is_some())).collect()
    }

    #[test]
    fn numbers_outlive_runs_and_go_on_with_the_next() {
        let mut runs: Runs = [holding(2, 0), holding(5, 3), holding(7, 1)].into_iter().collect();
        assert_eq!(told(&runs), [(2, 0, true), (5, 3, true), (7, 1, true)]);
        for run in runs.iter_mut() {
            run.forget();
        }
        let before = runs.clone();
        runs.drop_blank();
        assert!(runs.is_empty() && runs == before, "{runs:?}");
        assert_eq!(told(&runs), [(5, 3, false), (7, 1, false)]);
        assert_eq!((runs.openings(RuleNo(5)), runs.openings(RuleNo(2))), (3, 0));
        runs.entry(RuleNo(6));
        let again = runs.entry(RuleNo(5));
        assert_eq!(again.openings, 3);
        *again = holding(5, 4);
        assert_eq!((told(&runs), runs.len()), (vec![(5, 4, true), (7, 1, false)], 2));
        assert_eq!(runs.openings(RuleNo(5)), 4);
        runs.entry(RuleNo(5)).forget();
        runs.drop_blank();
        assert_eq!(told(&runs), [(5, 4, false), (7, 1, false)]);
        assert!(runs != before);
    }
}
