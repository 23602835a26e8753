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

/// The first row to keep: `$1` is the cutoff, `$2` a time after which no row can be.
///
/// Rows stand in the order of their time, as far as our clock was right: all before the first one to keep may go. Where
/// our clock was ahead for a while there are rows of the future; they must not shield those before them for ever.
pub(super) fn first_kept_sql(table: &str, column: &str) -> String {
    format!(
        "SELECT coalesce((SELECT id FROM {table} WHERE {column} >= $1 AND {column} <= $2 ORDER BY id LIMIT 1), \
         (SELECT id FROM {table} WHERE {column} >= $1 ORDER BY id LIMIT 1))"
    )
}

/// One step of deleting: at most `$2` rows with an id less than `$1`.
pub(super) fn delete_sql(table: &str) -> String {
    format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id < $1 ORDER BY id LIMIT $2)")
}
