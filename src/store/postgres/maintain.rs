//! What has to be done now and then: days to come, days to end, rows to delete.

use deadpool_postgres::Object;

use super::connect::{self, within};
use super::partitions::{self, Days};
use crate::limits;
use crate::model::time::Wall;
use crate::store::columns::Value;
use crate::store::{Maintained, Options, StoreError, retention};

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
    run(client, &format!("SET lock_timeout = {}", limits::STORE_LOCK_MS)).await?;

    let today = retention::day_of(now);
    within(limits::STORE_COMMIT_MS, async {
        let mut days = Days::load(client).await?;
        let ahead = today - 1..=today + limits::PARTITION_DAYS_AHEAD;
        done.days_created = days.add(client, ahead, first_kept, now).await?;
        partitions::retire(client, &days, first_kept, &mut done).await
    })
    .await?;
    let (frames, rejects) = (options.frame_retention_days, options.reject_retention_days);
    for (table, column, days) in [
        ("late_frame", "received_at", frames),
        ("frame_out_of_range", "received_at", frames),
        ("status", "received_at", frames),
        ("reject", "received_at", rejects),
        ("set_aside", "set_aside_at", rejects),
    ] {
        let Some(days) = days else { continue };
        delete_old(client, (table, column), (retention::cutoff(now, days), now), &mut done).await?;
    }

    run(client, "RESET lock_timeout").await?;
    client.execute("SELECT pg_advisory_unlock($1)", &[&MAINTENANCE_LOCK]).await.map_err(connect::from)?;
    Ok(done)
}

async fn run(client: &Object, sql: &str) -> Result<(), StoreError> {
    client.batch_execute(sql).await.map_err(connect::from)
}

async fn delete_old(
    client: &Object,
    (table, column): (&str, &str),
    (cutoff, now): (Wall, Wall),
    done: &mut Maintained,
) -> Result<(), StoreError> {
    let first_kept = retention::first_kept_sql(table, column);
    let times = [Value::Time(cutoff), Value::Time(now + retention::DAY_MS)];
    let find = async { client.query_one(&first_kept, &super::commit::params(&times)).await.map_err(connect::from) };
    let kept: Option<i64> = within(limits::STORE_QUERY_MS, find).await?.try_get(0).map_err(connect::from)?;
    let before = Value::Big(kept.unwrap_or(i64::MAX));
    let values = [before, Value::Big(limits::DELETE_ROWS as i64)];
    for _ in 0..limits::DELETE_STEPS {
        let delete = retention::delete_sql(table);
        let delete = async { client.execute(&delete, &super::commit::params(&values)).await.map_err(connect::from) };
        let deleted = within(limits::STORE_QUERY_MS, delete).await?;
        done.rows_deleted += deleted;
        if deleted < limits::DELETE_ROWS as u64 {
            return Ok(());
        }
    }
    done.left = Some(format!("{table} has more old rows"));
    Ok(())
}
