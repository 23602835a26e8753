//! The daily partitions of `frame`.
//!
//! None of this makes readers wait: a new day is attached, not created in place, and an old one is detached
//! concurrently. Whoever reads for long only delays the end of an old day.

use std::collections::BTreeSet;

use deadpool_postgres::Object;
use tokio_postgres::error::SqlState;

use super::connect::{self, within};
use super::evidence;
use crate::limits;
use crate::model::time::{CivilDay, Wall};
use crate::store::{Maintained, StoreError, retention};

/// Marks a partition of which nothing is left to do but to drop it. What others detach is theirs.
const RETIRED: &str = "vigil: older than its retention";

/// The days that have a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Days(BTreeSet<i64>);

impl Days {
    pub(super) fn has(&self, at: Wall) -> bool {
        self.0.contains(&retention::day_of(at))
    }

    pub(super) async fn load(client: &Object) -> Result<Self, StoreError> {
        let sql = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid \
                   WHERE inhparent = 'frame'::regclass AND NOT inhdetachpending";
        Ok(Self(tables(client, sql).await?.iter().filter_map(|name| day_in(name)).collect()))
    }

    /// Creates what is missing of `wanted` and may be created at `now`.
    pub(super) async fn add(
        &mut self,
        client: &Object,
        wanted: impl IntoIterator<Item = i64>,
        first_kept: Option<i64>,
        now: Wall,
    ) -> Result<u32, StoreError> {
        let today = retention::day_of(now);
        let first = (today - limits::PARTITION_DAYS_BACK).max(first_kept.unwrap_or(i64::MIN));
        let window = first..=today + limits::PARTITION_DAYS_AHEAD;
        let missing: BTreeSet<_> =
            wanted.into_iter().filter(|day| window.contains(day) && !self.0.contains(day)).collect();
        if missing.is_empty() {
            return Ok(0);
        }
        for day in &missing {
            create(client, *day).await?;
        }
        let before = self.0.len();
        *self = Self::load(client).await?;
        Ok(self.0.len().saturating_sub(before) as u32)
    }

    pub(super) fn before(&self, first_kept: i64) -> Vec<i64> {
        self.0.range(..first_kept).copied().collect()
    }
}

async fn create(client: &Object, day: i64) -> Result<(), StoreError> {
    let (table, from, to) = (table_of(day), civil(day), civil(day + 1));
    // One simple query is one transaction.
    let sql = format!(
        "CREATE TABLE {table} (LIKE frame INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE); \
         ALTER TABLE frame ATTACH PARTITION {table} FOR VALUES FROM ('{from} 00:00Z') TO ('{to} 00:00Z')"
    );
    match client.batch_execute(&sql).await {
        // Somebody else was faster, or keeps a table of that name: what is really there is looked up afterwards.
        Err(error) if matches!(error.code(), Some(&SqlState::DUPLICATE_TABLE | &SqlState::UNIQUE_VIOLATION)) => Ok(()),
        done => done.map_err(connect::from),
    }
}

/// Ends the days before `first_kept`, as far as nobody looks at them. Their evidence is moved first, while they can still be
/// read, so that nobody misses it in between.
pub(super) async fn retire(
    client: &Object,
    days: &Days,
    first_kept: Option<i64>,
    done: &mut Maintained,
) -> Result<(), StoreError> {
    // A day whose end was interrupted blocks the end of others, so it comes first.
    let pending = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid \
                   WHERE inhparent = 'frame'::regclass AND inhdetachpending";
    for table in tables(client, pending).await? {
        if !patient(client, &format!("ALTER TABLE frame DETACH PARTITION {table} FINALIZE"), done).await? {
            return Ok(());
        }
    }
    for day in first_kept.map_or_else(Vec::new, |first_kept| days.before(first_kept)) {
        let table = table_of(day);
        if !evidence::keep(client, &table, day, done).await? {
            break;
        }
        if !patient(client, &format!("COMMENT ON TABLE {table} IS '{RETIRED}'"), done).await?
            || !patient(client, &format!("ALTER TABLE frame DETACH PARTITION {table} CONCURRENTLY"), done).await?
        {
            break;
        }
    }
    let detached = format!(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND NOT relispartition \
         AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'frame'::regclass) \
         AND obj_description(oid, 'pg_class') = '{RETIRED}'"
    );
    for table in tables(client, &detached).await? {
        let Some(day) = day_in(&table) else { continue };
        // Some may have come between the last look and the end of the day.
        if evidence::keep(client, &table, day, done).await?
            && patient(client, &format!("DROP TABLE {table}"), done).await?
        {
            done.days_dropped += 1;
        }
    }
    Ok(())
}

/// Runs what needs a lock. `false`: somebody held it for longer than we wait, so it is left for the next round.
async fn patient(client: &Object, sql: &str, done: &mut Maintained) -> Result<bool, StoreError> {
    match within(limits::STORE_COMMIT_MS, async { Ok(client.batch_execute(sql).await) }).await? {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            done.left = Some(format!("somebody still reads old frames: {sql}"));
            Ok(false)
        }
        Err(error) => Err(connect::from(error)),
    }
}

async fn tables(client: &Object, sql: &str) -> Result<Vec<String>, StoreError> {
    let rows = client.query(sql, &[]).await.map_err(connect::from)?;
    rows.iter().map(|row| row.try_get(0).map_err(connect::from)).collect()
}

fn civil(day: i64) -> CivilDay {
    CivilDay(i32::try_from(day).unwrap_or(i32::MAX))
}

fn table_of(day: i64) -> String {
    format!("frame_{}", civil(day).to_string().replace('-', ""))
}

/// The day in a name that [`table_of`] made.
fn day_in(table: &str) -> Option<i64> {
    let digits = table.strip_prefix("frame_").filter(|digits| digits.len() == 8 && digits.is_ascii())?;
    let day = CivilDay::parse(&format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]))?;
    Some(i64::from(day.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitions_name_tells_its_day() {
        for day in [0, 20_779, 2_932_896] {
            assert_eq!(day_in(&table_of(day)), Some(day));
        }
        for other in ["frame_out_of_range", "frame_2026112", "frame_20261322", "late_frame", "frame_2026年1"] {
            assert_eq!(day_in(other), None, "{other}");
        }
    }
}
