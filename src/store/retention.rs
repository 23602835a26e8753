//! What is old enough to go. Days of retention are whole days of UTC.

use super::Options;
use super::columns::{frame, names};
use crate::limits;
use crate::model::time::{CivilDay, Wall};

pub(super) const DAY_MS: i64 = 86_400_000;

/// Where frames from around alerts go when their time has come, and stay for a time of their own.
///
/// Rows are moved in one statement or transaction, so each frame is in one place at any moment: whoever reads both
/// places at once sees it once, and a crash in between changes nothing.
pub(super) const EVIDENCE: &str = "evidence_frame";

/// A table of which rows go in the order in which they came.
pub(super) struct Aging {
    pub table: &'static str,
    /// What they are old by.
    pub column: &'static str,
    /// `None`: they stay for ever.
    pub days: Option<u32>,
    /// They are frames, of which those from around alerts stay longer.
    pub holds_evidence: bool,
}

/// All such tables; `frame_tables` are those of the frames that go row by row.
pub(super) fn aging(options: &Options, frame_tables: &[&'static str]) -> Vec<Aging> {
    let frame = |table: &&'static str| Aging {
        table,
        column: "received_at",
        days: options.frame_retention_days,
        holds_evidence: true,
    };
    let other = |table, column, days| Aging { table, column, days, holds_evidence: false };
    let others = [
        other("status", "received_at", options.frame_retention_days),
        other(EVIDENCE, "received_at", options.evidence_retention_days),
        other("scan", "received_at", options.scan_retention_days),
        other("reject", "received_at", options.reject_retention_days),
        other("set_aside", "set_aside_at", options.reject_retention_days),
        other("report", "recorded_at", options.alert_retention_days),
    ];
    frame_tables.iter().map(frame).chain(others).collect()
}

/// Puts the rows of `from`, called `f`, that lie around a transition of one of their device's alerts where they stay.
/// `span` is how far around, in SQL.
pub(super) fn keep_evidence_sql(from: &str, span: &str) -> String {
    let columns = names(frame::COLUMNS);
    format!(
        "INSERT INTO {EVIDENCE} ({columns}) SELECT {columns} FROM {from} AND EXISTS (SELECT 1 FROM alert_event AS e \
         WHERE e.subject = f.device AND e.at >= f.effective_at - {span} AND e.at <= f.effective_at + {span}) \
         ON CONFLICT DO NOTHING"
    )
}

/// Tables of events, numbered by epoch and seq, and what they are old by.
pub(super) const EVENTS: [(&str, &str); 2] = [("alert_event", "published_at"), ("incident_event", "at")];

/// The first event to keep, as [`first_kept_sql`] finds the first row. Events go from the oldest on, whatever has become of
/// their alerts and incidents: between those that are left there must be no gap.
pub(super) fn first_kept_event_sql(table: &str, column: &str) -> String {
    format!(
        "SELECT epoch, seq FROM \
         (SELECT epoch, seq FROM {table} WHERE {column} >= $1 ORDER BY epoch, seq LIMIT 1) AS first_ever UNION ALL \
         SELECT epoch, seq FROM (SELECT epoch, seq FROM {table} WHERE {column} >= $1 AND {column} <= $2 \
         ORDER BY epoch, seq LIMIT 1) AS first_not_ahead ORDER BY epoch DESC, seq DESC LIMIT 1"
    )
}

/// One step: at most `$3` events before (`$1`, `$2`).
pub(super) fn delete_events_sql(table: &str) -> String {
    format!(
        "DELETE FROM {table} WHERE (epoch, seq) IN (SELECT epoch, seq \
         FROM {table} WHERE (epoch, seq) < ($1, $2) ORDER BY epoch, seq LIMIT $3)"
    )
}

/// One step: at most `$2` incidents that are over and that nothing has happened to since `$1`. Others stay, however old.
pub(super) const DELETE_INCIDENTS: &str = "DELETE FROM incident WHERE (epoch, number) IN (SELECT epoch, number \
     FROM incident WHERE changed_at < $1 AND state IN ('closed', 'false-alarm') ORDER BY changed_at LIMIT $2)";

/// One step: at most `$2` alerts that were cleared before `$1`. An open one stays, however old it is.
pub(super) const DELETE_ALERTS: &str = "DELETE FROM alert WHERE (subject, rule, opening) IN (SELECT subject, rule, opening \
     FROM alert WHERE cleared_at < $1 ORDER BY cleared_at LIMIT $2)";

/// One step: at most `$2` due dates instead of which another stands since before `$1`, a civil day.
pub(super) const DELETE_DUE: &str =
    "DELETE FROM due WHERE id IN (SELECT id FROM due WHERE until_on < $1 ORDER BY until_on LIMIT $2)";

/// Whether a frame at `frame` is evidence of what happened to an alert at `event`.
pub(super) fn is_around(frame: Wall, event: Wall) -> bool {
    (frame - event).abs() <= limits::EVIDENCE_MS
}

/// The day that `at` falls on, counted from 1970-01-01.
pub(super) fn day_of(at: Wall) -> i64 {
    at.ms().div_euclid(DAY_MS)
}

/// The first civil day that is kept, as [`cutoff`] has the first moment.
pub(super) fn first_day(cutoff: Wall) -> CivilDay {
    CivilDay(day_of(cutoff).clamp(0, i64::from(CivilDay::LAST.0)) as i32)
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
