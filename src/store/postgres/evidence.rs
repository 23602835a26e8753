//! Frames from around alerts are moved to where they outlive their day, before it ends.

use deadpool_postgres::Object;

use super::commit::params;
use super::connect::{self, within};
use crate::limits;
use crate::model::time::Wall;
use crate::store::columns::{Value, frame, names};
use crate::store::retention::{DAY_MS, EVIDENCE};
use crate::store::{Maintained, StoreError};

/// How far around a transition, as SQL.
pub(super) fn span() -> String {
    format!("interval '{} ms'", limits::EVIDENCE_MS)
}

/// Moves what is evidence out of a day's table, attached or not. A step is one statement: it locks only rows that nobody
/// changes any more. `false`: the round has done its share, and some may be left.
pub(super) async fn keep(client: &Object, table: &str, day: i64, done: &mut Maintained) -> Result<bool, StoreError> {
    let (columns, span) = (names(frame::COLUMNS), span());
    // A frame that lies around several transitions is found several times; it is deleted, and so inserted, once.
    let sql = format!(
        "WITH moved AS (DELETE FROM {table} WHERE ctid = ANY (ARRAY( \
         SELECT f.ctid FROM alert_event AS e JOIN {table} AS f ON f.device = e.subject \
         AND f.effective_at >= e.at - {span} AND f.effective_at <= e.at + {span} \
         WHERE e.at >= $1 AND e.at < $2 LIMIT $3)) RETURNING {columns}) \
         INSERT INTO {EVIDENCE} ({columns}) SELECT {columns} FROM moved"
    );
    let [from, to] = [day, day + 1].map(|day| Wall(day.saturating_mul(DAY_MS)));
    let values = [
        Value::Time(from - limits::EVIDENCE_MS),
        Value::Time(to + limits::EVIDENCE_MS),
        Value::Big(limits::DELETE_ROWS as i64),
    ];
    for _ in 0..limits::DELETE_STEPS {
        let step = async { client.execute(&sql, &params(&values)).await.map_err(connect::from) };
        let moved = within(limits::STORE_QUERY_MS, step).await?;
        if moved == 0 {
            return Ok(true);
        }
        done.frames_moved += moved;
    }
    done.left = Some(format!("{table} has more frames from around alerts"));
    Ok(false)
}
