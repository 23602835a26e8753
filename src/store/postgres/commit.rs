//! Storing a batch: one transaction, which begins with the checkpoint.

use std::collections::BTreeMap;

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;

use super::{connect, copy, partitions::Days};
use crate::clock::Clock;
use crate::model::alert::AlertEvent;
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::Subject;
use crate::model::incident::IncidentEvent;
use crate::model::obligation::{DueKind, DueRow};
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, FrameRow, Order, RejectRow, Row, ScanRow, StatusRow};
use crate::model::time::CivilDay;
use crate::store::columns::visit::{self, ChainRow, People};
use crate::store::columns::{Value, alert, archive, frame, incident, misc, names, scan};
use crate::store::{Batch, Checkpoint, Committed, SetAside, StoreError};

/// A batch by the tables that its rows go to, each in outbox order.
#[derive(Default)]
pub(super) struct Sorted<'b> {
    pub frames: Vec<&'b FrameRow>,
    out_of_range: Vec<&'b FrameRow>,
    late_frames: Vec<&'b FrameRow>,
    scans: Vec<&'b ScanRow>,
    late_scans: Vec<&'b ScanRow>,
    rejects: Vec<&'b RejectRow>,
    statuses: Vec<&'b StatusRow>,
    changes: Vec<&'b ChangeRow>,
    /// The last one of each code.
    entries: BTreeMap<EntryKind, BTreeMap<&'b str, &'b Entry>>,
    dues: Vec<&'b DueRow>,
    reports: Vec<&'b ReportRow>,
    /// Visits and signatures.
    links: Vec<ChainRow<'b>>,
    people: Vec<People<'b>>,
    events: Vec<&'b AlertEvent>,
    incidents: Vec<&'b IncidentEvent>,
}

/// A due date, and the day from which on a later one of the same batch stands instead.
#[derive(Debug)]
pub(super) struct Standing<'b> {
    pub row: &'b DueRow,
    pub until_on: Option<CivilDay>,
}

impl<'b> Sorted<'b> {
    pub(super) fn new(batch: &'b Batch) -> Self {
        let mut sorted = Self::default();
        for effects in &batch.effects {
            effects.rows.iter().for_each(|row| sorted.add(row));
            sorted.events.extend(&effects.events);
            sorted.incidents.extend(&effects.incidents);
        }
        sorted
    }

    fn add(&mut self, row: &'b Row) {
        match row {
            Row::Frame(row) if row.order == Order::VeryLate => self.late_frames.push(row),
            Row::Frame(row) => self.frames.push(row),
            Row::Scan(row) if row.order == Order::VeryLate => self.late_scans.push(row),
            Row::Scan(row) => self.scans.push(row),
            Row::Reject(row) => self.rejects.push(row),
            Row::Status(row) => self.statuses.push(row),
            Row::Change(row) => self.changes.push(row),
            Row::Entry(entry) => {
                self.entries.entry(entry.kind()).or_default().insert(entry.code(), entry);
            }
            Row::Due(row) => self.dues.push(row),
            Row::Report(row) => self.reports.push(row),
            Row::Visit(row) => {
                self.links.push(ChainRow::Visit(row));
                self.people.extend(visit::people(row));
            }
            Row::Signature(row) => self.links.push(ChainRow::Signature(row)),
        }
    }

    /// Takes out the frames of days that have no partition.
    pub(super) fn keep_within(&mut self, days: &Days) {
        if self.frames.iter().any(|row| !days.has(row.effective_at)) {
            let (within, beyond) = self.frames.drain(..).partition(|row| days.has(row.effective_at));
            (self.frames, self.out_of_range) = (within, beyond);
        }
    }
}

/// Leaves the transaction open when it fails: closing the connection ends it.
pub(super) async fn commit(client: &Object, batch: &Batch, sorted: &Sorted<'_>) -> Result<Committed, StoreError> {
    begin(client, batch).await?;
    let mut writing = Writing { client, set_aside: Vec::new() };
    writing.apart("frame", &sorted.frames).await?;
    writing.apart("frame_out_of_range", &sorted.out_of_range).await?;
    writing.staged("late_frame", frame::COLUMNS, &sorted.late_frames).await?;
    writing.apart("scan", &sorted.scans).await?;
    writing.staged("scan", scan::COLUMNS, &sorted.late_scans).await?;
    writing.apart("reject", &sorted.rejects).await?;
    copy::all(client, "status", &sorted.statuses).await?;
    copy::all(client, "archive_change", &sorted.changes).await?;
    for (kind, entries) in &sorted.entries {
        let entries: Vec<_> = entries.values().copied().collect();
        writing.entries(*kind, &entries).await?;
    }
    writing.dues(&sorted.dues).await?;
    copy::all(client, "report", &sorted.reports).await?;
    copy::all(client, visit::TABLE, &sorted.links.iter().collect::<Vec<_>>()).await?;
    copy::all(client, visit::PEOPLE_TABLE, &sorted.people.iter().collect::<Vec<_>>()).await?;
    writing.events(&sorted.events).await?;
    writing.incidents(&sorted.incidents).await?;
    let set_aside = writing.set_aside;
    client.batch_execute("COMMIT").await.map_err(connect::from)?;
    Ok(Committed { to: batch.to.position, set_aside })
}

pub(super) async fn id(client: &tokio_postgres::Client) -> Result<u128, StoreError> {
    let row = client.query_one("SELECT store FROM identity", &[]).await.map_err(connect::from)?;
    let wrong = |error: &dyn std::fmt::Display| StoreError::corrupt("the store's id", error);
    let id: &str = row.try_get(0).map_err(|error| wrong(&error))?;
    u128::from_str_radix(id, 16).map_err(|error| wrong(&error))
}

pub(super) async fn stored_checkpoint(client: &tokio_postgres::Client) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "SELECT journal, epoch, position, hash FROM checkpoint";
    let Some(row) = client.query_opt(sql, &[]).await.map_err(connect::from)? else { return Ok(None) };
    let wrong = |error: &dyn std::fmt::Display| StoreError::corrupt("the checkpoint", error);
    let number = |i: usize| row.try_get::<_, i64>(i).map_err(|error| wrong(&error));
    let journal: &str = row.try_get(0).map_err(|error| wrong(&error))?;
    Ok(Some(Checkpoint {
        journal: u128::from_str_radix(journal, 16).map_err(|error| wrong(&error))?,
        epoch: u32::try_from(number(1)?).map_err(|error| wrong(&error))?,
        position: u64::try_from(number(2)?).map_err(|error| wrong(&error))?,
        hash: u32::try_from(number(3)?).map_err(|error| wrong(&error))?,
    }))
}

/// As the columns journal, epoch, position and hash.
fn checkpoint_values(checkpoint: &Checkpoint) -> Result<[Value<'static>; 4], StoreError> {
    let journal = Value::Text(format!("{:032x}", checkpoint.journal).into());
    let position = i64::try_from(checkpoint.position).map_err(StoreError::refused)?;
    Ok([journal, checkpoint.epoch.into(), Value::Big(position), checkpoint.hash.into()])
}

pub(super) async fn set_checkpoint(client: &tokio_postgres::Client, to: &Checkpoint) -> Result<(), StoreError> {
    let sql = "INSERT INTO checkpoint (id, journal, epoch, position, hash) VALUES (1, $1, $2, $3, $4) \
               ON CONFLICT (id) DO UPDATE SET journal = $1, epoch = $2, position = $3, hash = $4";
    client.execute(sql, &params(&checkpoint_values(to)?)).await.map_err(connect::from)?;
    Ok(())
}

/// From here on the transaction holds the checkpoint's row, so that a second writer waits, and then finds it moved.
async fn begin(client: &Object, batch: &Batch) -> Result<(), StoreError> {
    let mut values = checkpoint_values(&batch.to)?.to_vec();
    let sql = match &batch.from {
        None => {
            "INSERT INTO checkpoint (id, journal, epoch, position, hash) VALUES (1, $1, $2, $3, $4) \
             ON CONFLICT DO NOTHING"
        }
        Some(from) => {
            values.extend(checkpoint_values(from)?);
            "UPDATE checkpoint SET journal = $1, epoch = $2, position = $3, hash = $4 \
             WHERE journal = $5 AND epoch = $6 AND position = $7 AND hash = $8"
        }
    };
    let statement = client.prepare_cached(sql).await.map_err(connect::from)?;
    let values = params(&values);
    // Both are sent before the first answer is awaited.
    let (begun, moved) = tokio::join!(biased; client.batch_execute("BEGIN"), client.execute(&statement, &values));
    begun.map_err(connect::from)?;
    if moved.map_err(connect::from)? == 1 {
        return Ok(());
    }
    let stored = stored_checkpoint(client).await?;
    Err(StoreError::CheckpointMoved { expected: batch.from, stored })
}

pub(super) fn params<'v>(values: &'v [Value<'_>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

struct Writing<'c> {
    client: &'c Object,
    set_aside: Vec<SetAside>,
}

impl Writing<'_> {
    /// Sets aside what the server can't hold.
    async fn apart<R: copy::Stored>(&mut self, table: &str, rows: &[&R]) -> Result<(), StoreError> {
        let asides = copy::apart(self.client, table, rows).await?;
        for aside in asides {
            let content = misc::content(rows[aside.at]);
            let mut values = Vec::new();
            misc::push_set_aside(&aside.why, &content, Clock::default().wall(), &mut values);
            let columns = names(misc::SET_ASIDE_COLUMNS);
            let sql = format!("INSERT INTO set_aside ({columns}) VALUES ($1, $2, $3, $4, $5)");
            self.execute(&sql, &values).await?;
            self.set_aside.push(aside.why);
        }
        Ok(())
    }

    /// COPY can't pass over what is there already: so it goes to a table of this session, and from there on.
    async fn staged<R: copy::Stored>(&mut self, table: &str, columns: &[&str], rows: &[&R]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let stage = self.stage(table, columns).await?;
        self.apart(&stage, rows).await?;
        let columns = names(columns);
        self.execute(
            &format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {stage} ON CONFLICT DO NOTHING"),
            &[],
        )
        .await
    }

    async fn stage(&self, table: &str, columns: &[&str]) -> Result<String, StoreError> {
        let (stage, columns) = (format!("stage_{table}"), names(columns));
        let sql = format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS AS \
             SELECT {columns} FROM {table} WITH NO DATA"
        );
        self.client.batch_execute(&sql).await.map_err(connect::from)?;
        Ok(stage)
    }

    async fn entries(&self, kind: EntryKind, entries: &[&Entry]) -> Result<(), StoreError> {
        let (table, columns) = (kind.name(), archive::columns(kind));
        let stage = self.stage(table, columns).await?;
        copy::all(self.client, &stage, entries).await?;
        let (list, set) = (names(columns), replacing(columns));
        let sql = format!("INSERT INTO {table} ({list}) SELECT {list} FROM {stage} ON CONFLICT (code) DO UPDATE {set}");
        self.execute(&sql, &[]).await
    }

    /// What stood before these stands no more, and each of them until the next of its subject and kind.
    async fn dues(&self, dues: &[&DueRow]) -> Result<(), StoreError> {
        if dues.is_empty() {
            return Ok(());
        }
        let mut ends: BTreeMap<(Subject, DueKind), CivilDay> = BTreeMap::new();
        let standing = |row: &&'_ DueRow| {
            let until_on = ends.get(&(row.subject, row.kind)).copied();
            let end = until_on.map_or(row.recorded_on, |until| until.min(row.recorded_on));
            ends.insert((row.subject, row.kind), end);
            until_on
        };
        let mut untils: Vec<_> = dues.iter().rev().map(standing).collect();
        untils.reverse();
        let rows: Vec<Standing<'_>> =
            dues.iter().zip(untils).map(|(row, until_on)| Standing { row, until_on }).collect();
        let subjects = ends.keys().map(|(subject, _)| subject.to_string().into()).collect();
        let kinds: Vec<u32> = ends.keys().map(|(_, kind)| kind.number().unsigned_abs()).collect();
        let days = ends.values().map(|day| day.to_string().into()).collect();
        // A day of which something else was known stays so: where our clock was set back, what was told last counts.
        let sql = "UPDATE due SET until_on = s.day FROM (SELECT subject, kind, day::date AS day \
                   FROM unnest($1::text[], $2::bigint[], $3::text[]) AS given (subject, kind, day)) AS s \
                   WHERE due.subject = s.subject AND due.kind = s.kind AND (until_on IS NULL OR until_on > s.day)";
        self.execute(sql, &[Value::list(subjects), Value::Codes(&kinds), Value::list(days)]).await?;
        copy::all(self.client, "due", &rows.iter().collect::<Vec<_>>()).await
    }

    async fn events(&self, events: &[&AlertEvent]) -> Result<(), StoreError> {
        let Some(first) = events.iter().map(|event| (event.epoch, event.seq)).min() else { return Ok(()) };
        copy::all(self.client, "alert_event", events).await?;
        let columns = [alert::ALERT_COLUMNS, &["epoch", "seq"]].concat();
        let (list, set) = (names(&columns), replacing(&columns));
        let sql = format!(
            "INSERT INTO alert ({list}) \
             SELECT DISTINCT ON (subject, rule, opening) {list} FROM alert_event WHERE (epoch, seq) >= ($1, $2) \
             ORDER BY subject, rule, opening, epoch DESC, seq DESC \
             ON CONFLICT (subject, rule, opening) DO UPDATE {set}"
        );
        // The copy has taken it, so it fits.
        let seq = i64::try_from(first.1).map_err(StoreError::refused)?;
        self.execute(&sql, &[first.0.into(), Value::Big(seq)]).await
    }

    async fn incidents(&self, events: &[&IncidentEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        copy::all(self.client, "incident_event", events).await?;
        // A batch has few incidents, each of which may have several events.
        let last: BTreeMap<_, _> = events.iter().map(|event| (event.incident.id, &event.incident)).collect();
        let marks: Vec<String> = (1..=incident::COLUMNS.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "INSERT INTO incident ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE {}",
            names(incident::COLUMNS),
            marks.join(", "),
            names(incident::KEY),
            replacing(incident::COLUMNS)
        );
        for it in last.values() {
            let mut values = Vec::new();
            incident::push(it, &mut values).map_err(StoreError::refused)?;
            self.execute(&sql, &values).await?;
        }
        Ok(())
    }

    async fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        let statement = self.client.prepare_cached(sql).await.map_err(connect::from)?;
        self.client.execute(&statement, &params(values)).await.map_err(connect::from)?;
        Ok(())
    }
}

fn replacing(columns: &[&str]) -> String {
    let set: Vec<_> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!("SET {}", set.join(", "))
}
