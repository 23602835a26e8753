//! What a counting rule has counted on one subject.

use thin_vec::ThinVec;

use crate::core::rules::{CodeTerm, Count};
use crate::model::alert::Evidence;
use crate::model::time::Elapsed;

/// One occurrence of something that a rule waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// Its place in `Rule::raising`.
    pub term: u16,
    /// In judged time.
    pub at: Elapsed,
}

/// The latest occurrences within the span that counts, ascending by time: no more than the rule counts to, of each
/// term where each is counted for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally(pub(crate) ThinVec<Occurrence>);

impl Tally {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, count: &Count, terms: &[u16], at: Elapsed) {
        self.forget(count, at);
        for &term in terms {
            let alike = |other: &Occurrence| !count.each || other.term == term;
            if self.0.iter().filter(|it| alike(it)).count() >= count.times as usize {
                let oldest = self.0.iter().position(alike).unwrap_or(0);
                self.0.remove(oldest);
            }
            // Room for no more than there is: in time most lifts have counted something.
            self.0.reserve_exact(1);
            self.0.push(Occurrence { term, at });
        }
    }

    pub(super) fn forget(&mut self, count: &Count, at: Elapsed) {
        self.0.retain(|it| at - it.at <= count.within_ms);
        self.0.shrink_to_fit();
    }

    pub(super) fn is_reached(&self, count: &Count) -> bool {
        let times = count.times as usize;
        if !count.each {
            return self.0.len() >= times;
        }
        self.0.iter().any(|one| self.0.iter().filter(|it| it.term == one.term).count() >= times)
    }

    /// How often each term has occurred, and how long ago the last time: `count(code(2))`, `3`.
    pub fn evidence(&self, raising: &[CodeTerm], now: Elapsed) -> Vec<Evidence> {
        let of = |(n, term): (usize, &CodeTerm)| {
            let mut occurred = self.0.iter().filter(|it| usize::from(it.term) == n);
            let last = occurred.next_back()?;
            let value = (occurred.count() + 1).to_string().into();
            Some(Evidence { name: format!("count({term})").into(), value, age_ms: Some((now - last.at).max(0)) })
        };
        raising.iter().enumerate().filter_map(of).collect()
    }
}

/// The places in `raising` of what has occurred. What came in several lists of one frame has occurred once.
pub fn terms(raising: &[CodeTerm], occurred: &[CodeTerm]) -> Vec<u16> {
    let is_same = |one: &CodeTerm, other: &CodeTerm| match (one, other) {
        (CodeTerm::Code(_, one), CodeTerm::Code(_, other)) => one == other,
        _ => one == other,
    };
    let mut terms: Vec<u16> = Vec::new();
    for (n, term) in (0u16..).zip(raising) {
        let is_told = |known: &u16| is_same(&raising[usize::from(*known)], term);
        if occurred.iter().any(|occurred| term.waits_for(occurred)) && !terms.iter().any(is_told) {
            terms.push(n);
        }
    }
    terms
}
