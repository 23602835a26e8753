//! What holds of due dates whatever the facts.

use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cylinder::{self, CylinderFacts, Inspected};
use super::lift::{self, LiftFacts, OnDemand, VISITS};
use super::upkeep::{Counted, Upkeep, Visited};
use super::{Due, Dues};
use crate::core::tables::cylinders::Make;
use crate::core::tables::{self, Tables};
use crate::model::obligation::DueKind;
use crate::model::report::ReportKind;
use crate::model::time::CivilDay;

fn shipped() -> Tables {
    let files = [
        ("tables/lifts.toml", include_str!("../../../config/rules/tables/lifts.toml")),
        ("tables/cylinders.toml", include_str!("../../../config/rules/tables/cylinders.toml")),
    ];
    tables::parse(&files.map(|(name, text)| (name.into(), text.into()))).unwrap()
}

/// From 1990 to 2060.
fn day() -> impl Strategy<Value = CivilDay> {
    (7_305..32_872).prop_map(CivilDay)
}

fn some_day() -> impl Strategy<Value = Option<CivilDay>> {
    proptest::option::of(day())
}

/// As the archive tells them.
fn lift() -> impl Strategy<Value = LiftFacts> {
    let on_demand = proptest::option::of((1..200_u32, some_day()));
    (some_day(), some_day(), some_day(), some_day(), some_day(), on_demand).prop_map(
        |(base_on, inspected_on, inspection_due, known_since, maintained_from, on_demand)| LiftFacts {
            base_on,
            inspected_on,
            inspection_due,
            known_since,
            maintained_from,
            on_demand: on_demand.map(|(every_days, link_lost_on)| OnDemand { every_days, link_lost_on }),
            ..LiftFacts::default()
        },
    )
}

#[derive(Debug, Clone, Copy)]
enum Done {
    Reported(ReportKind, CivilDay, bool),
    Visited(DueKind, CivilDay),
}

fn done() -> impl Strategy<Value = Done> {
    prop_oneof![
        (prop::sample::select(ReportKind::ALL), day(), prop::bool::weighted(0.8))
            .prop_map(|(kind, on, passed)| Done::Reported(kind, on, passed)),
        (prop::sample::select(&VISITS[..]), day()).prop_map(|(kind, on)| Done::Visited(kind, on)),
    ]
}

/// What is kept of the archive's lift and of all that was done.
fn upkeep(facts: &LiftFacts, all: &[Done]) -> Upkeep {
    let mut upkeep = Upkeep {
        known_since: facts.known_since.into(),
        maintained_from: facts.maintained_from.into(),
        ..Upkeep::default()
    };
    for (key, done) in (1..).zip(all) {
        match *done {
            Done::Reported(kind, done_on, passed) => upkeep.note_report(Counted { key, done_on, kind, passed }),
            Done::Visited(kind, on) => {
                let nth = VISITS.iter().position(|visit| *visit == kind).unwrap() as u8;
                upkeep.note_visit(Visited { nth, on, key: NonZeroU32::new(key as u32) });
            }
        }
    }
    upkeep
}

fn after(facts: LiftFacts, all: &[Done]) -> LiftFacts {
    upkeep(&facts, all).facts(facts)
}

fn find(dues: &Dues, kind: DueKind) -> Option<&Due> {
    dues.iter().find(|due| due.kind == kind)
}

proptest! {
    #[test]
    fn the_order_of_arrival_is_irrelevant(facts in lift(), all in vec(done(), 0..24), turns in 0..24_usize) {
        let mut turned = all.clone();
        turned.rotate_left(turns % all.len().max(1));
        turned.reverse();
        let dues = |all: &[Done]| lift::due(&shipped(), &after(facts, all));
        prop_assert_eq!(dues(&all), dues(&turned));
    }

    /// But for a new base, after which other years count.
    #[test]
    fn no_record_moves_a_date_back(facts in lift(), before in vec(done(), 0..8), next in done()) {
        let is_base = matches!(next, Done::Reported(ReportKind::Installation | ReportKind::Renovation, ..));
        prop_assume!(!is_base);
        let tables = shipped();
        let dues = lift::due(&tables, &after(facts, &before));
        let later = lift::due(&tables, &after(facts, &[before, vec![next]].concat()));
        for due in &dues {
            let Some(now) = find(&later, due.kind) else {
                // Only testing ends.
                prop_assert_eq!(due.kind, DueKind::Testing);
                continue;
            };
            prop_assert!(now.due_on >= due.due_on, "{:?}: {} and then {}", next, due.due_on, now.due_on);
        }
    }

    /// A base older than the one that counts changes nothing either.
    #[test]
    fn an_older_base_moves_no_date(facts in lift(), before in vec(done(), 0..8), on in day()) {
        let older = after(facts, &[before.clone(), vec![Done::Reported(ReportKind::Renovation, on, true)]].concat());
        let facts = after(facts, &before);
        prop_assume!(facts.base_on.max(facts.renovated_on).is_some_and(|base_on| on < base_on));
        prop_assert_eq!(lift::due(&shipped(), &older), lift::due(&shipped(), &facts));
    }

    #[test]
    fn each_kind_is_due_once_and_in_the_order_of_kinds(facts in lift(), all in vec(done(), 0..12)) {
        let dues = lift::due(&shipped(), &after(facts, &all));
        prop_assert!(dues.is_sorted_by_key(|due| due.kind) && dues.windows(2).all(|pair| pair[0].kind != pair[1].kind));
        prop_assert!(!dues.spilled());
    }

    /// Whoever does a thing on its last day need not do it again at once.
    #[test]
    fn what_is_done_in_time_is_done(facts in lift(), before in vec(done(), 0..8)) {
        let tables = shipped();
        for due in lift::due(&tables, &after(facts, &before)) {
            let done = match due.kind {
                DueKind::Inspection => Done::Reported(ReportKind::Periodic, due.due_on, true),
                DueKind::Testing => Done::Reported(ReportKind::Testing, due.due_on, true),
                DueKind::SelfCheck => Done::Reported(ReportKind::SelfCheck, due.due_on, true),
                DueKind::Drill => Done::Reported(ReportKind::Drill, due.due_on, true),
                visit => Done::Visited(visit, due.due_on),
            };
            let next = lift::due(&tables, &after(facts, &[before.clone(), vec![done]].concat()));
            prop_assert!(find(&next, due.kind).is_none_or(|next| next.due_on > due.due_on), "{:?}: {:?}", due, next);
        }
    }

    #[test]
    fn no_date_overflows(days in vec(proptest::option::of(any::<i32>().prop_map(CivilDay)), 15), every_days in any::<u32>()) {
        let facts = LiftFacts {
            base_on: days[0],
            inspected_on: days[1],
            inspection_due: days[2],
            out_of_use_since: None,
            known_since: days[3],
            maintained_from: days[4],
            on_demand: Some(OnDemand { every_days, link_lost_on: days[5] }),
            visited_on: [days[6], days[7], days[8], days[9]],
            reported_on: days[10],
            tested_on: days[11],
            supervised_on: days[12],
            renovated_on: days[13],
            self_checked_on: days[14],
            drilled_on: days[0],
        };
        let dues = lift::due(&shipped(), &facts);
        prop_assert!(dues.iter().all(|due| Some(due.due_on) == facts.inspection_due || due.due_on <= CivilDay::LAST));
        let stopped = LiftFacts { out_of_use_since: days[3], ..facts };
        prop_assert_eq!(lift::restart_needs_inspection(&shipped(), &stopped, CivilDay(i32::MIN)), false);
    }

    /// Whichever of its two inspections is newer: an old report changes nothing of a newer one.
    #[test]
    fn an_old_report_moves_no_cylinder_back(
        medium in prop::sample::select(&["lpg", "nitrogen+oxygen", "chlorine", ""][..]),
        days in vec(some_day(), 3),
        on in day(),
        good_days in 0..2_000_i32,
    ) {
        let tables = shipped();
        let make = Make { kind: None, medium: Some(medium), made_on: days[0] };
        let facts = CylinderFacts { make, inspected_on: days[1], inspection_due: days[2], ..CylinderFacts::default() };
        let report = Inspected { on, valid_until: Some(CivilDay(on.0 + good_days)) };
        let inspection = |facts: &CylinderFacts<'_>| find(&cylinder::due(&tables, facts), DueKind::CylinderInspection).copied();
        let (before, after) = (inspection(&facts), inspection(&CylinderFacts { report: Some(report), ..facts }));
        if days[1].is_some_and(|inspected_on| inspected_on < on) {
            prop_assert!(after.is_some_and(|due| Some(due.due_on) <= report.valid_until), "{:?}", after);
        }
        if days[1].is_some_and(|inspected_on| inspected_on >= on) || (days[1].is_none() && days[2].is_some()) {
            prop_assert!(after.map(|due| due.due_on) >= before.map(|due| due.due_on), "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn a_mixture_has_the_shortest_interval_of_its_parts(parts in vec(prop::sample::select(MEDIA), 1..5)) {
        let tables = shipped();
        let years = |medium: &str| {
            let make = Make { kind: Some("seamless"), medium: Some(medium), made_on: None };
            tables.cylinders.interval(make).map(|interval| interval.years)
        };
        let shortest = parts.iter().map(|part| years(part)).min().flatten();
        prop_assert_eq!(years(&parts.join("+")), shortest);
    }
}

const MEDIA: &[&str] = &["nitrogen", "argon", "oxygen", "chlorine", "ammonia", "silane", "lpg"];
