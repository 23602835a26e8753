//! A filling station's day: guns that ask over a real broker, at a rate of their own whether or not they are answered, with
//! every reason for a denial among their cylinders; the database is stopped half way.
//!
//! `VIGIL_STATION=whole` plays the size of the promise, and prints the distribution.

#[path = "station/day.rs"]
mod day;
mod support;

use std::time::Duration;

use day::{Played, SMALL, WHOLE, play};

/// The promise: PUBLISH to the answer heard, for 99 of 100.
const PROMISED: Duration = Duration::from_millis(300);

#[test]
fn a_stations_day() {
    let is_whole = std::env::var("VIGIL_STATION").is_ok_and(|size| size == "whole");
    let size = if is_whole { WHOLE } else { SMALL };
    let Played { took, per_s } = play(&size);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    eprintln!(
        "{} cylinders, {} guns, {} requests at {per_s:.0}/s: p50 {:?}, p99 {:?}, worst {:?}",
        size.cylinders,
        size.guns,
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
    if is_whole {
        assert!(at(0.99) <= PROMISED, "p99 {:?}", at(0.99));
    }
}
