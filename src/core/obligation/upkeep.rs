//! What is known of a lift's obligations beside its archive entry: what was done and when, and which dates were told.
//!
//! Of each sort of thing done only the latest day counts: so the order in which records arrive is irrelevant, and an old
//! one that arrives late moves no date back. Only what supersedes a record or report takes back what that said.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;

use thin_vec::ThinVec;

use super::Due;
use super::lift::LiftFacts;
use crate::core::tables::Source;
use crate::limits;
use crate::model::ids::District;
use crate::model::obligation::{DueKind, Party};
use crate::model::report::ReportKind;
use crate::model::time::CivilDay;

/// Of a lift of which something is due or done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// The day on which something was first known to be due.
    pub(crate) known_since: Day,
    /// Where the first maintenance contract that was told begins.
    pub(crate) maintained_from: Day,
    /// The last visits of each kind, in their order. Of those that are no longer remembered one by one the last day
    /// stands among them without a key, once a kind.
    pub(crate) visits: ThinVec<Visited>,
    /// By `TOLD`: each date as it was told last.
    pub(crate) told: [Told; TOLD.len()],
    /// The last reports, in the order of their days.
    pub(crate) reports: ThinVec<Counted>,
    pub(crate) rare: Option<Box<Seldom>>,
}

// A city has as many as lifts.
const _: () = assert!(size_of::<Upkeep>() <= 64);

/// What few lifts have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seldom {
    /// Since when the data link of an on-demand contract hasn't been healthy.
    pub(crate) link_lost_on: Day,
    /// Since when it is out of use, or was, if it must still be inspected because of that.
    pub(crate) idle_since: Day,
    /// By `ReportKind::ALL`: the latest day of reports that passed and are no longer remembered one by one.
    pub(crate) before: [Day; ReportKind::ALL.len()],
}

/// What may be due on a lift.
pub(crate) const TOLD: [DueKind; 8] = [
    DueKind::Inspection,
    DueKind::Testing,
    DueKind::HalfMonth,
    DueKind::Quarter,
    DueKind::HalfYear,
    DueKind::Year,
    DueKind::SelfCheck,
    DueKind::Drill,
];

/// A day that may be absent, without room for saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(i32);

impl Day {
    pub fn get(self) -> Option<CivilDay> {
        Some(CivilDay(self.0)).filter(|_| self != Self::default())
    }

    fn raise(&mut self, day: CivilDay) {
        self.0 = self.0.max(day.0);
    }
}

impl Default for Day {
    fn default() -> Self {
        Self(i32::MIN)
    }
}

impl From<Option<CivilDay>> for Day {
    fn from(day: Option<CivilDay>) -> Self {
        day.map_or(Self::default(), |day| Self(day.0))
    }
}

/// The day of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visited {
    /// Its place in `VISITS`.
    pub nth: u8,
    pub on: CivilDay,
    /// A part of the digest of its firm and id. None: its record can no longer be superseded.
    pub key: Option<NonZeroU32>,
}

// A lift has up to 16 of them.
const _: () = assert!(size_of::<Visited>() <= 12);

/// A report that may still be superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// A part of the digest of its reporter and id.
    pub key: u64,
    pub done_on: CivilDay,
    pub kind: ReportKind,
    pub passed: bool,
}

/// A date as it was told, in a number that differs for another one, but for one in four thousand million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told(pub(crate) u32);

impl Told {
    /// Nothing of the kind was due.
    pub const NOTHING: Self = Self(0);

    pub fn of(due: &Due, source: Option<&Source>, district: Option<&District>, party: Option<&Party>) -> Self {
        let mut hash = Fnv(0x811c_9dc5);
        let source = source.map(|source| (&source.text, source.assumed));
        (due.due_on.0, due.basis_on.map(|day| day.0), due.clause, source, district, party).hash(&mut hash);
        Self(hash.0.max(1))
    }
}

/// FNV-1a, 32 bits: the same in every run, since it stands in snapshots.
struct Fnv(u32);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        u64::from(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    }
}

impl Upkeep {
    /// Beside what the archive tells.
    pub fn facts(&self, archived: LiftFacts) -> LiftFacts {
        let done = |kind| self.done_on(kind);
        LiftFacts {
            known_since: self.known_since.get(),
            maintained_from: self.maintained_from.get(),
            visited_on: std::array::from_fn(|nth| self.visited_on(nth)),
            reported_on: done(ReportKind::Periodic),
            tested_on: done(ReportKind::Testing),
            supervised_on: done(ReportKind::MajorRepair),
            renovated_on: done(ReportKind::Renovation).max(done(ReportKind::Installation)),
            self_checked_on: done(ReportKind::SelfCheck),
            drilled_on: done(ReportKind::Drill),
            ..archived
        }
    }

    /// The last day on which it was done and passed.
    fn done_on(&self, kind: ReportKind) -> Option<CivilDay> {
        let passed = self.reports.iter().filter(|it| it.kind == kind && it.passed).map(|it| it.done_on).max();
        passed.max(self.rare.as_ref().and_then(|rare| rare.before[place_of(kind)].get()))
    }

    fn visited_on(&self, nth: usize) -> Option<CivilDay> {
        self.visits.iter().filter(|it| usize::from(it.nth) == nth).map(|it| it.on).max()
    }

    pub fn note_visit(&mut self, visit: Visited) {
        self.insert_visit(visit);
        let named = |it: &Visited| it.nth == visit.nth && it.key.is_some();
        if self.visits.iter().filter(|it| named(it)).count() > limits::VISITS_REMEMBERED
            && let Some(oldest) = self.visits.iter().position(named)
        {
            let mut last = Visited { key: None, ..self.visits.remove(oldest) };
            let nameless = self.visits.iter().position(|it| it.nth == visit.nth && it.key.is_none());
            if let Some(at) = nameless {
                last = last.max(self.visits.remove(at));
            }
            self.insert_visit(last);
        }
    }

    fn insert_visit(&mut self, visit: Visited) {
        let at = self.visits.partition_point(|it| *it <= visit);
        self.visits.reserve_exact(1);
        self.visits.insert(at, visit);
    }

    /// The visit was not as its record said. One that is no longer remembered lies behind later ones of its kind.
    pub fn withdraw_visit(&mut self, key: NonZeroU32) {
        self.visits.retain(|it| it.key != Some(key));
    }

    /// Since when the data link of an on-demand contract hasn't been healthy.
    pub fn link_lost_on(&self) -> Option<CivilDay> {
        self.rare.as_ref()?.link_lost_on.get()
    }

    pub fn set_link_lost_on(&mut self, day: Option<CivilDay>) {
        if self.link_lost_on() != day {
            self.rare.get_or_insert_default().link_lost_on = day.into();
            self.drop_blank();
        }
    }

    /// Since when it is out of use, or was, if it must still be inspected because of that.
    pub fn idle_since(&self) -> Option<CivilDay> {
        self.rare.as_ref()?.idle_since.get()
    }

    pub fn set_idle_since(&mut self, day: Option<CivilDay>) {
        if self.idle_since() != day {
            self.rare.get_or_insert_default().idle_since = day.into();
            self.drop_blank();
        }
    }

    fn drop_blank(&mut self) {
        self.rare = self.rare.take().filter(|rare| **rare != Seldom::default());
    }

    pub fn find(&self, key: u64) -> Option<&Counted> {
        self.reports.iter().find(|it| it.key == key)
    }

    pub fn note_report(&mut self, report: Counted) {
        let at = self.reports.partition_point(|it| it.done_on <= report.done_on);
        self.reports.reserve_exact(1);
        self.reports.insert(at, report);
        if self.reports.len() > limits::REPORTS_REMEMBERED {
            let oldest = self.reports.remove(0);
            if oldest.passed {
                self.rare.get_or_insert_default().before[place_of(oldest.kind)].raise(oldest.done_on);
            }
        }
    }

    /// What it said is no more.
    pub fn withdraw(&mut self, key: u64) {
        self.reports.retain(|it| it.key != key);
    }
}

fn place_of(kind: ReportKind) -> usize {
    ReportKind::ALL.iter().position(|it| *it == kind).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::core::obligation::lift::VISITS;

    fn report() -> impl Strategy<Value = Counted> {
        (any::<u64>(), 0..400_i32, select(ReportKind::ALL), any::<bool>())
            .prop_map(|(key, day, kind, passed)| Counted { key, done_on: CivilDay(day), kind, passed })
    }

    fn visit() -> impl Strategy<Value = Visited> {
        (0..VISITS.len() as u8, 0..400_i32, any::<NonZeroU32>()).prop_map(|(nth, day, key)| Visited {
            nth,
            on: CivilDay(day),
            key: Some(key),
        })
    }

    fn upkeep_of(visits: &[Visited]) -> Upkeep {
        let mut upkeep = Upkeep::default();
        visits.iter().for_each(|it| upkeep.note_visit(*it));
        upkeep
    }

    #[test]
    fn what_a_visit_said_is_taken_back_as_long_as_it_is_remembered() {
        let visit = |day: i32| Visited { nth: 0, on: CivilDay(day), key: NonZeroU32::new(day as u32) };
        let days: Vec<Visited> = (1..=limits::VISITS_REMEMBERED as i32 + 1).map(visit).collect();
        let mut upkeep = upkeep_of(&days);
        for last in days.iter().rev() {
            assert_eq!(upkeep.facts(LiftFacts::default()).visited_on, [Some(last.on), None, None, None]);
            upkeep.withdraw_visit(last.key.unwrap());
        }
        let facts = upkeep.facts(LiftFacts::default());
        assert_eq!(facts.visited_on[0], Some(CivilDay(1)), "the first one had been let go of, and its day stays");
    }

    proptest! {
        #[test]
        fn the_order_in_which_visits_arrive_is_irrelevant(
            visits in prop::collection::vec(visit(), 0..6 * limits::VISITS_REMEMBERED),
            seed: prop::sample::Index,
        ) {
            let mut others = visits.clone();
            if !others.is_empty() {
                let by = seed.index(others.len());
                others.rotate_left(by);
                others[..by].reverse();
            }
            prop_assert_eq!(upkeep_of(&visits), upkeep_of(&others));
        }

        #[test]
        fn a_visit_that_is_corrected_leaves_nothing_behind(
            visits in prop::collection::vec(visit(), 0..limits::VISITS_REMEMBERED),
            other in visit(),
        ) {
            let before = upkeep_of(&visits);
            let mut upkeep = before.clone();
            upkeep.note_visit(other);
            for nth in 0..VISITS.len() {
                prop_assert!(upkeep.visited_on(nth) >= before.visited_on(nth), "a late visit moves no day back");
            }
            upkeep.withdraw_visit(other.key.unwrap());
            prop_assert_eq!(upkeep, before);
        }

        #[test]
        fn the_order_in_which_reports_arrive_is_irrelevant(
            reports in prop::collection::vec(report(), 0..3 * limits::REPORTS_REMEMBERED),
            seed: prop::sample::Index,
        ) {
            let facts = |reports: &[Counted]| {
                let mut upkeep = Upkeep::default();
                reports.iter().for_each(|it| upkeep.note_report(*it));
                upkeep.facts(LiftFacts::default())
            };
            let mut others = reports.clone();
            if !others.is_empty() {
                let by = seed.index(others.len());
                others.rotate_left(by);
                others[..by].reverse();
            }
            prop_assert_eq!(facts(&reports), facts(&others));
        }

        #[test]
        fn a_late_report_moves_no_day_back(
            reports in prop::collection::vec(report(), 0..2 * limits::REPORTS_REMEMBERED),
            late in report(),
        ) {
            let mut upkeep = Upkeep::default();
            reports.iter().for_each(|it| upkeep.note_report(*it));
            let before = upkeep.clone();
            upkeep.note_report(late);
            for kind in ReportKind::ALL {
                prop_assert!(upkeep.done_on(*kind) >= before.done_on(*kind));
            }
            upkeep.withdraw(late.key);
            if before.reports.len() < limits::REPORTS_REMEMBERED {
                prop_assert_eq!(upkeep, before, "what is withdrawn leaves nothing behind");
            }
        }
    }
}
