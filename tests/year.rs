//! A year of days in the core: lifts and cylinders with all that falls due on them, against a calculation by hand that imports
//! nothing of what it checks. How many of each, and from which seed, say `VIGIL_YEAR_LIFTS`, `VIGIL_YEAR_CYLINDERS` and
//! `VIGIL_YEAR_SEED`. It prints what it took: a city's year is for a release build (`docs/benchmarks.md`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "year/by_hand.rs"]
mod by_hand;
#[path = "year/calendar.rs"]
mod calendar;
#[path = "year/core.rs"]
mod core_side;
#[path = "year/foretold.rs"]
mod foretold;
#[path = "year/world.rs"]
mod world;

use std::collections::BTreeMap;

use by_hand::Told;
use calendar::{Calendar, Day};
use core_side::{RULES, Vigil};
use foretold::{Foretold, Line};

/// 1 June 2027: the year that begins then has a 29th of February.
const FIRST: (i32, u32, u32) = (2027, 6, 1);
const DAYS: Day = 366;
const RESTART_DAYS: Day = 40;
/// From so many lifts on, each rule has something to say.
const MANY: u64 = 300;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Flow: lifts and cylinders come into the archive, most on the first day; every day turns, then firms and inspection bodies
/// upload what they did: in time, late, or failed. Now and then the core is restarted from a snapshot.
/// Asserts: every alert is told on the day and in the way that the calculation by hand foretells, and no other is; of each
/// rule there are some.
#[test]
fn a_year_of_days() {
    let (lifts, cylinders) = (number("VIGIL_YEAR_LIFTS", 400), number("VIGIL_YEAR_CYLINDERS", 2_000));
    let seed = number("VIGIL_YEAR_SEED", 1);
    let calendar = Calendar::new();
    let first = calendar.day(FIRST.0, FIRST.1, FIRST.2);
    let last = first + DAYS - 1;
    let mut foretold = Foretold::new(calendar, seed, lifts, cylinders, first, last);
    let mut vigil = Vigil::started(first);
    for today in first..=last {
        vigil.turn(today);
        foretold.turn(today);
        if today == first {
            vigil.archive_cylinders(foretold.cylinders());
        }
        vigil.archive_lifts(foretold.entering(today));
        vigil.upload(foretold.uploads(today));
        foretold.take(today);
        if (today - first) % RESTART_DAYS == 0 {
            vigil.restart();
        }
    }

    let (mut told, mut expected) = (vigil.told(), foretold.lines);
    expected.retain(|(_, _, rule, _)| RULES.contains(rule));
    told.sort();
    expected.sort();
    println!("{lifts} lifts, {cylinders} cylinders, {DAYS} days: {} events of alerts", told.len());
    let counts = count(&told);
    counts.iter().for_each(|((rule, told), count)| println!("  {rule} {told:?}: {count}"));
    vigil.print_costs();
    if told != expected {
        differences(seed, &expected, &told);
    }
    for rule in RULES.iter().filter(|_| lifts >= MANY) {
        for of in [Told::Opened, Told::Cleared] {
            assert!(counts.contains_key(&(*rule, of)), "{rule} never {of:?}: the year is too calm");
        }
    }
}

fn count(lines: &[Line]) -> BTreeMap<(&'static str, Told), u64> {
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|(_, _, rule, told)| *counts.entry((*rule, *told)).or_default() += 1);
    counts
}

fn differences(seed: u64, expected: &[Line], told: &[Line]) {
    let missing: Vec<&Line> = expected.iter().filter(|line| told.binary_search(line).is_err()).take(10).collect();
    let surplus: Vec<&Line> = told.iter().filter(|line| expected.binary_search(line).is_err()).take(10).collect();
    panic!(
        "seed {seed}: {} told, {} by hand\nmissing: {missing:#?}\nsurplus: {surplus:#?}",
        told.len(),
        expected.len()
    );
}
