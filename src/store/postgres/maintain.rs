//! What has to be done now and then: days to come, days to end, rows to delete.

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::connect::{self, within};
use super::evidence;
use super::partitions::{self, Days};
use crate::limits;
use crate::model::time::Wall;
use crate::store::columns::{Value, frame, names};
use crate::store::retention::{self, Aging};
use crate::store::{Maintained, Options, StoreError};

const MAINTENANCE_LOCK: i64 = 0x7669_6769_6c00_0002;

/// The connection is the caller's to close when this fails: it may still hold locks and settings.
pub(super) async fn maintain(
    client: &Object,
    options: &Options,
    first_kept: Option<i64>,
    now: Wall,
) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    let locked = client.query_one("SELECT pg_try_advisory_lock($1)", &[&MAINTENANCE_LOCK]).await;
    if !locked.and_then(|row| row.try_get(0)).map_err(connect::from)? {
        done.left = Some("another vigil is doing it".to_owned());
        return Ok(done);
    }
    // Evidence is looked up from alerts, which are few, to frames, by index. A plan that reads a whole day for it
    // would look cheaper to a planner that overrates how many alerts there are.
    let settings =
        format!("SET lock_timeout = {}; SET enable_hashjoin = off; SET enable_mergejoin = off", limits::STORE_LOCK_MS);
    run(client, &settings).await?;

    let today = retention::day_of(now);
    let days = within(limits::STORE_COMMIT_MS, async {
        let mut days = Days::load(client).await?;
        let ahead = today - 1..=today + limits::PARTITION_DAYS_AHEAD;
        done.days_created = days.add(client, ahead, first_kept, now).await?;
        Ok(days)
    })
    .await?;
    partitions::retire(client, &days, first_kept, &mut done).await?;
    for aging in retention::aging(options, &["late_frame", "frame_out_of_range"]) {
        if let Some(days) = aging.days {
            delete_rows(client, &aging, retention::cutoff(now, days), now, &mut done).await?;
        }
    }
    if let Some(days) = options.alert_retention_days {
        delete_alerts(client, retention::cutoff(now, days), now, &mut done).await?;
    }

    run(client, "RESET lock_timeout; RESET enable_hashjoin; RESET enable_mergejoin").await?;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MAINTENANCE_LOCK]).await.map_err(connect::from)?;
    Ok(done)
}

async fn run(client: &Object, sql: &str) -> Result<(), StoreError> {
    client.batch_execute(sql).await.map_err(connect::from)
}

async fn delete_rows(
    client: &Object,
    aging: &Aging,
    cutoff: Wall,
    now: Wall,
    done: &mut Maintained,
) -> Result<(), StoreError> {
    let Aging { table, column, holds_evidence, .. } = *aging;
    let times = [Value::Time(cutoff), Value::Time(now + retention::DAY_MS)];
    let found = query(client, &retention::first_kept_sql(table, column), &times).await?;
    let kept: Option<i64> = found.first().map(|row| row.try_get(0)).transpose().map_err(connect::from)?.flatten();
    let step = [Value::Big(kept.unwrap_or(i64::MAX)), STEP_ROWS];
    let (delete, columns) = (retention::delete_sql(table), names(frame::COLUMNS));
    if !holds_evidence {
        return in_steps(
            client,
            table,
            &format!("WITH gone AS ({delete} RETURNING 1) {COUNT_GONE}, 0::bigint"),
            &step,
            done,
        )
        .await;
    }
    let keep = retention::keep_evidence_sql("gone AS f WHERE true", &evidence::span());
    let sql = format!(
        "WITH gone AS ({delete} RETURNING {columns}), kept AS ({keep} RETURNING 1) \
         {COUNT_GONE}, (SELECT count(*) FROM kept)"
    );
    in_steps(client, table, &sql, &step, done).await
}

async fn delete_alerts(client: &Object, cutoff: Wall, now: Wall, done: &mut Maintained) -> Result<(), StoreError> {
    let counted = |delete: &str| format!("WITH gone AS ({delete} RETURNING 1) {COUNT_GONE}, 0::bigint");
    for (table, column) in retention::EVENTS {
        let times = [Value::Time(cutoff), Value::Time(now + retention::DAY_MS)];
        let found = query(client, &retention::first_kept_event_sql(table, column), &times).await?;
        let number = |row: &Row, i| row.try_get::<_, i64>(i).map_err(connect::from);
        let (epoch, seq) = match found.first() {
            Some(row) => (number(row, 0)?, number(row, 1)?),
            None => (i64::MAX, 0),
        };
        let step = [Value::Big(epoch), Value::Big(seq), STEP_ROWS];
        in_steps(client, table, &counted(&retention::delete_events_sql(table)), &step, done).await?;
    }
    for (table, delete) in [("alert", retention::DELETE_ALERTS), ("incident", retention::DELETE_INCIDENTS)] {
        in_steps(client, table, &counted(delete), &[Value::Time(cutoff), STEP_ROWS], done).await?;
    }
    let first_day = Value::Day(retention::first_day(cutoff));
    in_steps(client, "due", &counted(retention::DELETE_DUE), &[first_day, STEP_ROWS], done).await
}

/// How many rows have gone; beside it stands how many of them were kept elsewhere.
const COUNT_GONE: &str = "SELECT (SELECT count(*) FROM gone)";
const STEP_ROWS: Value<'static> = Value::Big(limits::DELETE_ROWS as i64);

/// Repeats `sql`, which makes rows go and counts them, until no more go, or the round has done its share.
async fn in_steps(
    client: &Object,
    table: &str,
    sql: &str,
    values: &[Value<'_>],
    done: &mut Maintained,
) -> Result<(), StoreError> {
    for _ in 0..limits::DELETE_STEPS {
        let counts = query(client, sql, values).await?;
        let count = |i| counts.first().map_or(Ok(0), |row| row.try_get::<_, i64>(i)).map_err(connect::from);
        let (gone, moved) = (count(0)?.unsigned_abs(), count(1)?.unsigned_abs());
        done.frames_moved += moved;
        done.rows_deleted += gone - moved;
        if gone < limits::DELETE_ROWS as u64 {
            return Ok(());
        }
    }
    done.left = Some(format!("{table} has more old rows"));
    Ok(())
}

async fn query(client: &Object, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
    let values = super::commit::params(values);
    within(limits::STORE_QUERY_MS, async { client.query(sql, &values).await.map_err(connect::from) }).await
}
