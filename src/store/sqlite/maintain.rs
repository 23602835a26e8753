//! Retention: rows are deleted in steps, each a short transaction of its own, so that commits get in between.

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::read::numbered;
use super::{Inner, held};
use crate::limits;
use crate::model::time::Wall;
use crate::store::retention::{self, Aging};
use crate::store::{Maintained, StoreError};

const STEP_ROWS: i64 = limits::DELETE_ROWS as i64;

pub(super) fn maintain(inner: &Inner, now: Wall) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    for aging in retention::aging(&inner.options, &["frame", "late_frame"]) {
        if let Some(days) = aging.days {
            delete_rows(inner, &aging, retention::cutoff(now, days), now, &mut done)?;
        }
    }
    if let Some(days) = inner.options.alert_retention_days {
        delete_alerts(inner, retention::cutoff(now, days), now, &mut done)?;
    }
    Ok(done)
}

fn delete_rows(inner: &Inner, aging: &Aging, cutoff: Wall, now: Wall, done: &mut Maintained) -> Result<(), StoreError> {
    let Aging { table, column, holds_evidence, .. } = *aging;
    let soon = now + retention::DAY_MS;
    let kept: Option<i64> = held(&inner.writer)
        .prepare_cached(&numbered(&retention::first_kept_sql(table, column)))?
        .query_row(params![cutoff.ms(), soon.ms()], |row| row.get(0))?;
    let step = params![kept.unwrap_or(i64::MAX), STEP_ROWS];
    let oldest = format!("{table} AS f WHERE f.id IN (SELECT id FROM {table} WHERE id < $1 ORDER BY id LIMIT $2)");
    let keep = numbered(&retention::keep_evidence_sql(&oldest, &limits::EVIDENCE_MS.to_string()));
    let delete = numbered(&retention::delete_sql(table));
    in_steps(table, done, |done| {
        let mut writer = held(&inner.writer);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let moved = if holds_evidence { transaction.prepare_cached(&keep)?.execute(step)? } else { 0 };
        let gone = transaction.prepare_cached(&delete)?.execute(step)?;
        transaction.commit()?;
        done.frames_moved += moved as u64;
        done.rows_deleted += (gone - moved) as u64;
        Ok(gone)
    })
}

fn delete_alerts(inner: &Inner, cutoff: Wall, now: Wall, done: &mut Maintained) -> Result<(), StoreError> {
    let soon = now + retention::DAY_MS;
    let run = |sql: &str, step: &[&dyn rusqlite::ToSql], done: &mut Maintained| -> Result<usize, StoreError> {
        let gone = held(&inner.writer).prepare_cached(&numbered(sql))?.execute(step)?;
        done.rows_deleted += gone as u64;
        Ok(gone)
    };
    for (table, column) in retention::EVENTS {
        let kept: Option<(i64, i64)> = held(&inner.writer)
            .prepare_cached(&numbered(&retention::first_kept_event_sql(table, column)))?
            .query_row(params![cutoff.ms(), soon.ms()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (epoch, seq) = kept.unwrap_or((i64::MAX, 0));
        let delete = retention::delete_events_sql(table);
        in_steps(table, done, |done| run(&delete, params![epoch, seq, STEP_ROWS], done))?;
    }
    for (table, delete) in [("alert", retention::DELETE_ALERTS), ("incident", retention::DELETE_INCIDENTS)] {
        in_steps(table, done, |done| run(delete, params![cutoff.ms(), STEP_ROWS], done))?;
    }
    let first_day = retention::first_day(cutoff).to_string();
    in_steps("due", done, |done| run(retention::DELETE_DUE, params![first_day, STEP_ROWS], done))
}

/// Runs `step`, which returns how many rows have gone, until no more go, or the round has done its share.
fn in_steps(
    table: &str,
    done: &mut Maintained,
    mut step: impl FnMut(&mut Maintained) -> Result<usize, StoreError>,
) -> Result<(), StoreError> {
    for _ in 0..limits::DELETE_STEPS {
        if step(done)? < limits::DELETE_ROWS {
            return Ok(());
        }
    }
    done.left = Some(format!("{table} has more old rows"));
    Ok(())
}
