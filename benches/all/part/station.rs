//! A filling station's day, as `tests/station.rs` plays it: guns ask whether they may fill, and the database is away for half
//! of the time.

use crate::Bench;
use crate::day::{Played, SMALL, WHOLE, play};
use crate::measure::{ms, percentile};
use crate::table::{Budget, Table};

/// The promise.
const VERDICT_P99_MS: f64 = 300.0;

pub fn measure(bench: &Bench, table: &mut Table) {
    let size = bench.quicker(WHOLE, SMALL);
    let Played { took, per_s } = play(&size);
    let (guns, cylinders, asked) = (size.guns, size.cylinders, took.len());
    let what = format!("{cylinders} cylinders, {guns} guns, {asked} requests at {per_s:.0}/s: PUBLISH to verdict, p50");
    table.row(what, "ms", ms(percentile(&took, 50.0)));
    table.row("the same: p99", "ms", ms(percentile(&took, 99.0))).budget(Budget::AtMost(VERDICT_P99_MS));
    table.row("the same: longest", "ms", ms(percentile(&took, 100.0)));
    table.note("every request was answered, with the reasons that it should have");
}
