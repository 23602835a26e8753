//! Every query, as SQL that both databases understand.
//!
//! Each is one statement over an index, cut to a page, so that no reader holds a transaction open for long.

use super::columns::{Read, Value, alert, archive, frame, incident, misc, names, obligation, scan, visit};
use super::query::page_rows;
use super::{
    AlertQuery, ChangeQuery, DueQuery, FrameQuery, IncidentQuery, LiftQuery, LinkQuery, Numbered, RejectQuery,
    ReportQuery, ReportingQuery, ScanCursor, ScanQuery, StandingQuery, StatusQuery,
};
use crate::core::cylinder::stored::TELLING;
use crate::limits;
use crate::model::alert::{Alert, AlertEvent, Cursor};
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::{AlertId, CylinderCode, DeviceCode, FirmId, RecordId};
use crate::model::incident::{Incident, IncidentEvent, IncidentId};
use crate::model::obligation::{DueRow, Party};
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, FrameRow, RejectRow, ScanRow, StatusRow};
use crate::model::time::Wall;
use crate::model::visit::{ChainLink, VisitRow};

/// What differs between the databases.
pub(super) struct Dialect {
    /// A time before all others, which a missing claimed time counts as.
    pub never: &'static str,
    /// Where in an address, its Latin letters made small, a text stands, from 1; 0: nowhere. The text and `)` follow.
    pub position_in_address: &'static str,
    /// Whether the code that is `$1` is among a cylinder's aliases.
    pub is_alias: &'static str,
    /// Frames are in these tables.
    pub frame_tables: &'static [&'static str],
}

pub(super) struct Select<'a, T> {
    /// Parameters are `$1` and so on.
    pub sql: String,
    pub params: Vec<Value<'a>>,
    /// What a row is, for errors.
    pub what: &'static str,
    pub read: Read<T>,
}

const NEVER: Wall = Wall(i64::MIN);
const FRAME_ORDER: &str = "effective_at, generation, boot, seq, arrival_order, claimed_at NULLS FIRST";
const SCAN_ORDER: &str = "effective_at, site, scanner, generation, boot, seq, arrival_order, claimed_at NULLS FIRST";

pub(super) fn frames<'a>(query: &'a FrameQuery, dialect: &Dialect) -> Select<'a, FrameRow> {
    let (columns, never) = (names(frame::COLUMNS), dialect.never);
    let part = |table: &&str| {
        // The range repeats the cursor's time, because a range is what the index can use.
        format!(
            "SELECT * FROM (SELECT {columns} FROM {table} \
             WHERE device = $1 AND effective_at >= $2 AND effective_at < $3 \
             AND (effective_at, generation, boot, seq, arrival_order, coalesce(claimed_at, {never})) \
             > ($2, $4, $5, $6, $7, $8) ORDER BY {FRAME_ORDER} LIMIT $9) AS part"
        )
    };
    let parts: Vec<_> = dialect.frame_tables.iter().map(part).collect();
    let sql = format!("{} ORDER BY {FRAME_ORDER} LIMIT $9", parts.join(" UNION ALL "));
    let after = query.after.filter(|after| after.effective_at >= query.from);
    let params = vec![
        Value::text(query.device.as_str()),
        Value::Time(after.map_or(query.from, |a| a.effective_at)),
        Value::Time(query.to),
        after.map_or(Value::Big(-1), |a| a.generation.into()),
        after.map_or(0, |a| a.boot).into(),
        Value::Big(after.map_or(0, |a| signed(a.seq))),
        Value::Small(after.map_or(0, |a| a.arrival_order)),
        Value::Time(after.and_then(|a| a.claimed_at).unwrap_or(NEVER)),
        limit(query.limit),
    ];
    Select { sql, params, what: "a frame", read: frame::read }
}

pub(super) fn scans<'a>(query: &'a ScanQuery, dialect: &Dialect) -> Select<'a, ScanRow> {
    let (columns, never) = (names(scan::COLUMNS), dialect.never);
    let sql = format!(
        "SELECT {columns} FROM scan WHERE cylinder = $1 AND effective_at >= $2 AND effective_at < $3 \
         AND (effective_at, site, scanner, generation, boot, seq, arrival_order, coalesce(claimed_at, {never})) \
         > ($2, $4, $5, $6, $7, $8, $9, $10) ORDER BY {SCAN_ORDER} LIMIT $11"
    );
    let after = query.after.as_ref().filter(|after| after.effective_at >= query.from);
    let params = vec![
        Value::text(query.cylinder.as_str()),
        Value::Time(after.map_or(query.from, |a| a.effective_at)),
        Value::Time(query.to),
        // No site's code is empty, so this is before all of them.
        Value::text(after.map_or("", |a| a.site.as_str())),
        Value::text(after.map_or("", |a| &a.scanner)),
        after.map_or(0, |a| a.generation).into(),
        after.map_or(0, |a| a.boot).into(),
        Value::Big(after.map_or(0, |a| signed(a.seq))),
        Value::Small(after.map_or(0, |a| a.arrival_order)),
        Value::Time(after.and_then(|a| a.claimed_at).unwrap_or(NEVER)),
        limit(query.limit),
    ];
    Select { sql, params, what: "a scan", read: scan::read }
}

pub(super) fn telling_scans<'a>(
    after: Option<&'a (CylinderCode, ScanCursor)>,
    rows: usize,
    dialect: &Dialect,
) -> Select<'a, ScanRow> {
    let (columns, never) = (names(scan::COLUMNS), dialect.never);
    let events: Vec<String> = TELLING.iter().map(|event| format!("'{}'", event.name())).collect();
    let sql = format!(
        "SELECT {columns} FROM scan WHERE event IN ({}) AND cylinder >= $1 \
         AND (cylinder, effective_at, site, scanner, generation, boot, seq, arrival_order, coalesce(claimed_at, {never})) \
         > ($1, $2, $3, $4, $5, $6, $7, $8, $9) ORDER BY cylinder, {SCAN_ORDER} LIMIT $10",
        events.join(", ")
    );
    let (cylinder, after) = after.map_or((None, None), |(cylinder, after)| (Some(cylinder), Some(after)));
    let params = vec![
        Value::text(cylinder.map_or("", |code| code.as_str())),
        Value::Time(after.map_or(NEVER, |a| a.effective_at)),
        Value::text(after.map_or("", |a| a.site.as_str())),
        Value::text(after.map_or("", |a| &a.scanner)),
        after.map_or(0, |a| a.generation).into(),
        after.map_or(0, |a| a.boot).into(),
        Value::Big(after.map_or(0, |a| signed(a.seq))),
        Value::Small(after.map_or(0, |a| a.arrival_order)),
        Value::Time(after.and_then(|a| a.claimed_at).unwrap_or(NEVER)),
        limit(rows),
    ];
    Select { sql, params, what: "a scan", read: scan::read }
}

pub(super) fn statuses(query: &StatusQuery) -> Select<'_, Numbered<StatusRow>> {
    let columns = names(misc::STATUS_COLUMNS);
    let sql = format!(
        "SELECT id, {columns} FROM status WHERE device = $1 AND received_at >= $2 AND received_at < $3 AND id > $4 \
         ORDER BY id LIMIT $5"
    );
    let params = vec![
        Value::text(query.device.as_str()),
        Value::Time(query.from),
        Value::Time(query.to),
        Value::Big(query.after.map_or(0, signed)),
        limit(query.limit),
    ];
    Select { sql, params, what: "a status", read: misc::read_numbered_status }
}

pub(super) fn rejects(query: &RejectQuery) -> Select<'_, Numbered<RejectRow>> {
    let columns = names(misc::REJECT_COLUMNS);
    let mut sql = format!("SELECT id, {columns} FROM reject WHERE received_at >= $1 AND received_at < $2 AND id > $3");
    let after = query.after.map_or(0, signed);
    let mut params = vec![Value::Time(query.from), Value::Time(query.to), Value::Big(after)];
    let topic = query.topic.as_deref().map(|topic| ("topic", topic));
    let reason = query.reason.map(|reason| ("reason", reason.name()));
    for (column, wanted) in topic.into_iter().chain(reason) {
        params.push(Value::text(wanted));
        sql += &format!(" AND {column} = ${}", params.len());
    }
    params.push(limit(query.limit));
    sql += &format!(" ORDER BY id LIMIT ${}", params.len());
    Select { sql, params, what: "a reject", read: misc::read_numbered_reject }
}

pub(super) fn alert_events(query: &AlertQuery) -> Select<'_, AlertEvent> {
    let columns = event_columns();
    let sql = format!(
        "SELECT {columns} FROM alert_event WHERE subject = $1 AND at >= $2 AND at < $3 \
         AND (at, epoch, seq) > ($2, $4, $5) ORDER BY at, epoch, seq LIMIT $6"
    );
    let after = query.after.filter(|after| after.at >= query.from);
    let params = vec![
        Value::Text(query.subject.to_string().into()),
        Value::Time(after.map_or(query.from, |a| a.at)),
        Value::Time(query.to),
        after.map_or(Value::Big(-1), |a| a.epoch.into()),
        Value::Big(after.map_or(0, |a| signed(a.seq))),
        limit(query.limit),
    ];
    Select { sql, params, what: "an alert event", read: alert::read_event }
}

pub(super) fn alert_events_after(epoch: u32, seq: u64, rows: usize) -> Select<'static, AlertEvent> {
    let columns = event_columns();
    let sql = format!("SELECT {columns} FROM alert_event WHERE epoch = $1 AND seq > $2 ORDER BY seq LIMIT $3");
    Select {
        sql,
        params: vec![epoch.into(), Value::Big(signed(seq)), limit(rows)],
        what: "an alert event",
        read: alert::read_event,
    }
}

pub(super) fn alert(id: &AlertId) -> Select<'_, Alert> {
    let columns = names(alert::ALERT_COLUMNS);
    let sql = format!("SELECT {columns} FROM alert WHERE subject = $1 AND rule = $2 AND opening = $3");
    let subject = Value::Text(id.subject.to_string().into());
    Select {
        sql,
        params: vec![subject, Value::text(id.rule.as_str()), id.opening.into()],
        what: "an alert",
        read: alert::read_alert,
    }
}

pub(super) fn entry(kind: EntryKind, code: &str) -> Select<'_, Entry> {
    let columns = names(archive::columns(kind));
    let sql = format!("SELECT {columns} FROM {} WHERE code = $1", kind.name());
    Select { sql, params: vec![Value::text(code)], what: kind.name(), read: archive::reader(kind) }
}

pub(super) fn entries(kind: EntryKind, after: Option<&str>, rows: usize) -> Select<'_, Entry> {
    let columns = names(archive::columns(kind));
    let sql = format!("SELECT {columns} FROM {} WHERE code > $1 ORDER BY code LIMIT $2", kind.name());
    Select {
        sql,
        params: vec![Value::text(after.unwrap_or("")), limit(rows)],
        what: kind.name(),
        read: archive::reader(kind),
    }
}

pub(super) fn incident_events_after(epoch: u32, seq: u64, rows: usize) -> Select<'static, IncidentEvent> {
    let sql = "SELECT body FROM incident_event WHERE epoch = $1 AND seq > $2 ORDER BY seq LIMIT $3".to_owned();
    let params = vec![epoch.into(), Value::Big(signed(seq)), limit(rows)];
    Select { sql, params, what: "an incident's event", read: incident::read_event }
}

pub(super) fn incident_timeline(id: IncidentId, after: Cursor, rows: usize) -> Select<'static, IncidentEvent> {
    let sql = "SELECT body FROM incident_event WHERE incident_epoch = $1 AND incident_number = $2 \
               AND (epoch, seq) > ($3, $4) ORDER BY epoch, seq LIMIT $5";
    let [id, after] =
        [(id.epoch, id.number), (after.epoch, after.seq)].map(|(epoch, n)| [epoch.into(), Value::Big(signed(n))]);
    let params = id.into_iter().chain(after).chain([limit(rows)]).collect();
    Select { sql: sql.to_owned(), params, what: "an incident's event", read: incident::read_event }
}

pub(super) fn incident(id: IncidentId) -> Select<'static, Incident> {
    let sql = "SELECT body FROM incident WHERE epoch = $1 AND number = $2".to_owned();
    let params = vec![id.epoch.into(), Value::Big(signed(id.number))];
    Select { sql, params, what: "an incident", read: incident::read }
}

pub(super) fn incidents(query: &IncidentQuery) -> Select<'_, Incident> {
    let sql = "SELECT body FROM incident WHERE received_at >= $1 AND received_at < $2 \
               AND (received_at, epoch, number) > ($1, $3, $4) ORDER BY received_at, epoch, number LIMIT $5";
    let after = query.after.filter(|(at, _)| *at >= query.from);
    let params = vec![
        Value::Time(after.map_or(query.from, |(at, _)| at)),
        Value::Time(query.to),
        after.map_or(Value::Big(-1), |(_, id)| id.epoch.into()),
        Value::Big(after.map_or(0, |(_, id)| signed(id.number))),
        limit(query.limit),
    ];
    Select { sql: sql.to_owned(), params, what: "an incident", read: incident::read }
}

/// Asked lift by lift over the index of frames, so that a month costs no more than a day.
pub(super) fn reporting(query: &ReportingQuery) -> Select<'_, (u64, u64)> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT 1 FROM frame \
               WHERE frame.device = lift.code AND frame.effective_at >= $1 AND frame.effective_at < $2)) \
               FROM lift WHERE ($3 = '' OR substr(district, 1, length($3)) = $3) AND ($4 = '' OR firm = $4)";
    let params = vec![
        Value::Time(query.from),
        Value::Time(query.to),
        Value::text(query.district.as_ref().map_or("", |district| district.as_str())),
        Value::text(query.firm.as_ref().map_or("", |firm| firm.as_str())),
    ];
    Select { sql: sql.to_owned(), params, what: "a count of lifts", read: incident::read_reporting }
}

pub(super) fn lifts<'a>(query: &'a LiftQuery, dialect: &Dialect) -> Select<'a, Entry> {
    let columns = names(archive::columns(EntryKind::Lift));
    let mut sql = format!("SELECT {columns} FROM lift WHERE code > $1");
    let mut params = vec![Value::text(query.after.as_deref().unwrap_or(""))];
    if let Some(code) = &query.rescue_code {
        params.push(Value::text(code));
        sql += &format!(" AND rescue_code = ${}", params.len());
    }
    if let Some(code) = &query.registration {
        params.push(Value::text(code));
        sql += &format!(" AND (registration = ${0} OR code = ${0})", params.len());
    }
    if let Some(part) = &query.address {
        params.push(Value::Text(part.to_ascii_lowercase().into()));
        sql += &format!(" AND {} ${}) > 0", dialect.position_in_address, params.len());
    }
    params.push(limit(query.limit));
    sql += &format!(" ORDER BY code LIMIT ${}", params.len());
    Select { sql, params, what: "a lift", read: archive::reader(EntryKind::Lift) }
}

/// Few cylinders were ever relabelled: only those are looked at.
pub(super) fn relabelled<'a>(code: &'a CylinderCode, dialect: &Dialect) -> Select<'a, Entry> {
    let columns = names(archive::columns(EntryKind::Cylinder));
    let sql = format!(
        "SELECT {columns} FROM cylinder WHERE aliases IS NOT NULL AND {} ORDER BY code LIMIT $2",
        dialect.is_alias
    );
    let params = vec![Value::text(code.as_str()), limit(limits::RELABELLED)];
    Select { sql, params, what: "a cylinder", read: archive::reader(EntryKind::Cylinder) }
}

pub(super) fn changes(query: &ChangeQuery) -> Select<'_, Numbered<ChangeRow>> {
    let columns = names(misc::CHANGE_COLUMNS);
    let sql = format!(
        "SELECT id, {columns} FROM archive_change WHERE kind = $1 AND code = $2 AND changed_at >= $3 \
         AND changed_at < $4 AND id > $5 ORDER BY id LIMIT $6"
    );
    let params = vec![
        Value::text(query.kind.name()),
        Value::text(&query.code),
        Value::Time(query.from),
        Value::Time(query.to),
        Value::Big(query.after.map_or(0, signed)),
        limit(query.limit),
    ];
    Select { sql, params, what: "a change of the archive", read: misc::read_numbered_change }
}

pub(super) fn due_history(query: &DueQuery) -> Select<'_, Numbered<DueRow>> {
    let columns = names(obligation::DUE_COLUMNS);
    let sql = format!("SELECT id, {columns} FROM due WHERE subject = $1 AND id > $2 ORDER BY id LIMIT $3");
    let subject = Value::Text(query.subject.to_string().into());
    let params = vec![subject, Value::Big(query.after.map_or(0, signed)), limit(query.limit)];
    Select { sql, params, what: "a due date", read: obligation::read_numbered_due }
}

pub(super) fn due_standing(query: &StandingQuery) -> Select<'_, DueRow> {
    let after = query.after;
    let mut params = vec![
        Value::Day(query.as_of),
        Value::Day(query.due_before),
        // No subject's name is empty, so this is before all of them.
        after.map_or(Value::text(""), |after| Value::Text(after.subject.to_string().into())),
        Value::Small(after.map_or(0, |after| obligation::kind_number(after.kind))),
    ];
    let mut wanted = String::new();
    let mut any_of = |column: &str, operator: &str, values: Vec<Value<'static>>| {
        let mut terms = Vec::new();
        for value in values {
            params.push(value);
            terms.push(format!("{column} {operator} ${}", params.len()));
        }
        if !terms.is_empty() {
            wanted += &format!(" AND ({})", terms.join(" OR "));
        }
    };
    let text = |text: String| Value::Text(text.into());
    any_of("subject", "=", query.subject.iter().map(|subject| text(subject.to_string())).collect());
    any_of("kind", "=", query.kinds.iter().map(|kind| Value::Small(obligation::kind_number(*kind))).collect());
    any_of("district", "LIKE", query.districts.iter().map(|district| text(format!("{district}%"))).collect());
    any_of("party", "=", query.party.iter().map(|party| text(party.to_string())).collect());
    params.push(limit(query.limit));
    let (columns, last) = (names(obligation::DUE_COLUMNS), params.len());
    // What still stands is most of it by far in a question of today, and has indexes of its own. What stood then and doesn't
    // now is nothing in such a question, which a look at an index tells: else all there is would be gone through for it.
    let part = |stands: &str, limit: &str| {
        format!(
            "SELECT * FROM (SELECT {columns} FROM due WHERE {stands} AND recorded_on <= $1 AND due_on < $2 \
             AND (subject, kind) > ($3, $4){wanted} ORDER BY subject, kind LIMIT {limit}) AS part"
        )
    };
    let limit = format!("${last}");
    let limit_if_any =
        format!("(SELECT CASE WHEN max(until_on) > $1 THEN ${last} ELSE 0 END FROM due WHERE until_on IS NOT NULL)");
    let parts = [part("until_on IS NULL", &limit), part("until_on > $1", &limit_if_any)].join(" UNION ALL ");
    let sql = format!("{parts} ORDER BY subject, kind LIMIT {limit}");
    Select { sql, params, what: "a due date", read: obligation::read_due }
}

pub(super) fn reports(query: &ReportQuery) -> Select<'_, Numbered<ReportRow>> {
    let columns = names(obligation::REPORT_COLUMNS);
    let sql = format!("SELECT id, {columns} FROM report WHERE device = $1 AND id > $2 ORDER BY id LIMIT $3");
    let device = Value::text(query.device.as_str());
    let params = vec![device, Value::Big(query.after.map_or(0, signed)), limit(query.limit)];
    Select { sql, params, what: "a report", read: obligation::read_numbered_report }
}

pub(super) fn report<'a>(party: Party, id: &'a RecordId) -> Select<'a, Numbered<ReportRow>> {
    let columns = names(obligation::REPORT_COLUMNS);
    let sql = format!("SELECT id, {columns} FROM report WHERE party = $1 AND report = $2 ORDER BY id LIMIT 1");
    let params = vec![Value::Text(party.to_string().into()), Value::text(id.as_str())];
    Select { sql, params, what: "a report", read: obligation::read_numbered_report }
}

pub(super) fn links(query: &LinkQuery) -> Select<'_, Numbered<ChainLink>> {
    let sql = format!(
        "{} WHERE l.device = $1 AND l.recorded_at >= $2 AND l.recorded_at < $3 AND (l.number, l.id) > ($4, $5) \
         ORDER BY l.number, l.id LIMIT $6",
        links_from()
    );
    let after = query.after;
    let params = vec![
        Value::text(query.device.as_str()),
        Value::Time(query.from),
        Value::Time(query.to),
        Value::Big(after.map_or(-1, |after| signed(after.number))),
        Value::Big(after.map_or(0, |after| signed(after.n))),
        limit(query.limit),
    ];
    Select { sql, params, what: "a record of maintenance", read: visit::read }
}

pub(super) fn visit<'a>(firm: &'a FirmId, record: &'a RecordId) -> Select<'a, VisitRow> {
    let sql =
        format!("{} WHERE l.firm = $1 AND l.record = $2 AND l.what = 'visit' ORDER BY l.id LIMIT 1", links_from());
    let params = vec![Value::text(firm.as_str()), Value::text(record.as_str())];
    Select { sql, params, what: "a record of maintenance", read: visit::read_visit }
}

pub(super) fn chained(after: Option<&DeviceCode>, rows: usize) -> Select<'static, DeviceCode> {
    let sql = format!("SELECT DISTINCT device FROM {} WHERE device > $1 ORDER BY device LIMIT $2", visit::TABLE);
    let after = after.map_or_else(String::new, ToString::to_string);
    let params = vec![Value::Text(after.into()), limit(rows)];
    Select { sql, params, what: "a device with records", read: visit::read_device }
}

fn links_from() -> String {
    let of = |alias: &str, columns: &[&str]| -> String {
        columns.iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
    };
    format!(
        "SELECT l.id, {}, {} FROM {} AS l LEFT JOIN {} AS p ON p.device = l.device AND p.number = l.number \
         AND l.what = 'visit'",
        of("l", visit::COLUMNS),
        of("p", visit::PEOPLE_VALUES),
        visit::TABLE,
        visit::PEOPLE_TABLE,
    )
}

fn event_columns() -> String {
    names(&[alert::EVENT_COLUMNS, alert::ALERT_COLUMNS].concat())
}

fn limit(rows: usize) -> Value<'static> {
    Value::Big(page_rows(rows) as i64)
}

/// Nothing stored is beyond 2^63 − 1, so nothing comes after such a cursor.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
