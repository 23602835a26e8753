//! A year of days, in the core and by hand.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

pub(crate) mod by_hand;
mod calendar;
pub(crate) mod core;
mod foretold;
mod world;

use self::calendar::{Calendar, Day};
use self::core::Costs;
use self::core::Vigil;
use self::foretold::Foretold;
pub(crate) use self::foretold::Line;

/// 1 June 2027: the year that begins then has a 29th of February.
const FIRST: (i32, u32, u32) = (2027, 6, 1);
pub(crate) const DAYS: Day = 366;
const RESTART_DAYS: Day = 40;

/// What came of it, with what was told and what should have been in order.
pub(crate) struct Lived {
    pub(crate) told: Vec<Line>,
    pub(crate) expected: Vec<Line>,
    pub(crate) costs: Costs,
    /// Of the core, at the end.
    pub(crate) snapshot: Vec<u8>,
}

/// Lifts and cylinders come into the archive, most on the first day; every day turns, then firms and inspection bodies upload
/// what they did, and cylinders are scanned. Now and then the core is restarted from a snapshot.
pub(crate) fn live(lifts: u64, cylinders: u64, seed: u64) -> Lived {
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
        vigil.happen(foretold.events(today), |nth| foretold.cylinder(nth));
        foretold.take(today);
        if (today - first) % RESTART_DAYS == 0 {
            vigil.restart();
        }
    }
    let (mut told, mut expected) = (vigil.told(), foretold.lines);
    told.sort();
    expected.sort();
    Lived { told, expected, snapshot: vigil.snapshot(), costs: vigil.costs }
}
