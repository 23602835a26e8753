//! A year of days in the core: lifts and cylinders with all that falls due on them, against a calculation by hand that imports
//! nothing of what it checks. How many of each, and from which seed, say `VIGIL_YEAR_LIFTS`, `VIGIL_YEAR_CYLINDERS` and
//! `VIGIL_YEAR_SEED`. It prints what it took: a city's year is for a release build (`docs/benchmarks.md`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "year/mod.rs"]
mod year;

use std::collections::BTreeMap;

use bytes::Bytes;
use vigil::core::Core;
use year::by_hand::Told;
use year::core::{Costs, RULES};
use year::{DAYS, Line, Lived};

/// From so many of each on, each rule has something to say.
const MANY: u64 = 300;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Flow: lifts and cylinders come into the archive, most on the first day; every day turns, then firms and inspection bodies
/// upload what they did: in time, late, or failed; cylinders are filled, go round and are inspected, or not. Now and then the
/// core is restarted from a snapshot.
/// Asserts: every alert is told on the day and in the way that the calculation by hand foretells, and no other is; of each
/// rule there are some.
#[test]
fn a_year_of_days() {
    let (lifts, cylinders) = (number("VIGIL_YEAR_LIFTS", 400), number("VIGIL_YEAR_CYLINDERS", 2_000));
    let seed = number("VIGIL_YEAR_SEED", 1);
    let Lived { told, expected, costs, snapshot } = year::live(lifts, cylinders, seed);
    println!("{lifts} lifts, {cylinders} cylinders, {DAYS} days: {} events of alerts", told.len());
    let counts = count(&told);
    counts.iter().for_each(|((rule, told), count)| println!("  {rule} {told:?}: {count}"));
    print_costs(costs, &snapshot);
    if told != expected {
        differences(seed, &expected, &told);
    }
    for rule in RULES.iter().filter(|_| lifts >= MANY && cylinders >= MANY) {
        for of in [Told::Opened, Told::Cleared] {
            assert!(counts.contains_key(&(*rule, of)), "{rule} never {of:?}: the year is too calm");
        }
    }
}

/// Nothing is asserted of a speed: these are for people.
fn print_costs(costs: Costs, snapshot: &[u8]) {
    let mut core = None;
    // A copy of its own, as parts of it may go on being used.
    let took = allocation_counter::measure(|| core = Core::restore(Bytes::copy_from_slice(snapshot)).ok());
    drop(core);
    let mb = |bytes: f64| bytes / 1e6;
    let (in_memory, written) = (mb(took.bytes_current as f64), mb(snapshot.len() as f64));
    println!("  state: {in_memory:.1} MB in memory, {written:.1} MB as a snapshot");
    for (what, times) in costs.sorted() {
        let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
        let (p50, p99, most) = (at(0.5), at(0.99), times.last().copied().unwrap_or_default());
        println!("  {} of {what}, CPU: p50 {p50:?}, p99 {p99:?}, max {most:?}", times.len());
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
