//! Retention: rows are deleted in steps, each a short transaction of its own, so that commits get in between.

use rusqlite::params;

use super::read::numbered;
use super::{Inner, held};
use crate::limits;
use crate::model::time::Wall;
use crate::store::{Maintained, StoreError, retention};

pub(super) fn maintain(inner: &Inner, now: Wall) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    let (frames, rejects) = (inner.options.frame_retention_days, inner.options.reject_retention_days);
    for (table, column, days) in [
        ("frame", "received_at", frames),
        ("late_frame", "received_at", frames),
        ("status", "received_at", frames),
        ("reject", "received_at", rejects),
        ("set_aside", "set_aside_at", rejects),
    ] {
        let Some(days) = days else { continue };
        delete_old(inner, (table, column), (retention::cutoff(now, days), now), &mut done)?;
    }
    Ok(done)
}

fn delete_old(
    inner: &Inner,
    (table, column): (&str, &str),
    (cutoff, now): (Wall, Wall),
    done: &mut Maintained,
) -> Result<(), StoreError> {
    let soon = now + retention::DAY_MS;
    let kept: Option<i64> = held(&inner.writer)
        .prepare_cached(&numbered(&retention::first_kept_sql(table, column)))?
        .query_row(params![cutoff.ms(), soon.ms()], |row| row.get(0))?;
    let delete = numbered(&retention::delete_sql(table));
    for _ in 0..limits::DELETE_STEPS {
        let deleted = held(&inner.writer)
            .prepare_cached(&delete)?
            .execute(params![kept.unwrap_or(i64::MAX), limits::DELETE_ROWS as i64])?;
        done.rows_deleted += deleted as u64;
        if deleted < limits::DELETE_ROWS {
            return Ok(());
        }
    }
    done.left = Some(format!("{table} has more old rows"));
    Ok(())
}
