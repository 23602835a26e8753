//! What is old enough to go. Days of retention are whole days of UTC.

use crate::model::time::Wall;

pub(super) const DAY_MS: i64 = 86_400_000;

/// The day that `at` falls on, counted from 1970-01-01.
pub(super) fn day_of(at: Wall) -> i64 {
    at.ms().div_euclid(DAY_MS)
}

/// The first moment that is kept: today and the `days` before it.
pub(super) fn cutoff(now: Wall, days: u32) -> Wall {
    Wall((day_of(now) - i64::from(days)).saturating_mul(DAY_MS))
}
