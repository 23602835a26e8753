//! Storing a batch: one immediate transaction.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params_from_iter};

use super::value::is_the_rows_fault;
use crate::clock::Clock;
use crate::model::alert::AlertEvent;
use crate::model::archive::Entry;
use crate::model::incident::IncidentEvent;
use crate::model::obligation::DueRow;
use crate::model::row::{Order, Row};
use crate::store::columns::{Unfit, Value, alert, archive, frame, incident, misc, names, obligation, scan, visit};
use crate::store::{Batch, Checkpoint, Committed, SetAside, StoreError};

pub(super) fn id(connection: &Connection) -> Result<u128, StoreError> {
    let id: String = connection.query_row("SELECT store FROM identity", [], |row| row.get(0))?;
    u128::from_str_radix(&id, 16).map_err(|error| StoreError::corrupt("the store's id", error))
}

pub(super) fn checkpoint(connection: &Connection) -> Result<Option<Checkpoint>, StoreError> {
    let stored = connection
        .query_row("SELECT journal, epoch, position, hash FROM checkpoint", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((journal, epoch, position, hash)) = stored else { return Ok(None) };
    let wrong = |error: &dyn std::fmt::Display| StoreError::corrupt("the checkpoint", error);
    let journal = u128::from_str_radix(&journal, 16).map_err(|error| wrong(&error))?;
    let position = u64::try_from(position).map_err(|error| wrong(&error))?;
    Ok(Some(Checkpoint { journal, epoch, position, hash }))
}

pub(super) fn set_checkpoint(connection: &Connection, to: &Checkpoint) -> Result<(), StoreError> {
    let position = i64::try_from(to.position).map_err(StoreError::refused)?;
    let sql = "INSERT OR REPLACE INTO checkpoint (id, journal, epoch, position, hash) VALUES (1, ?, ?, ?, ?)";
    let journal = format!("{:032x}", to.journal);
    connection.prepare_cached(sql)?.execute((journal, to.epoch, position, to.hash))?;
    Ok(())
}

pub(super) fn commit(connection: &mut Connection, batch: &Batch) -> Result<Committed, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stored = checkpoint(&transaction)?;
    if stored != batch.from {
        return Err(StoreError::CheckpointMoved { expected: batch.from, stored });
    }
    let mut writing = Writing { connection: &transaction, set_aside: Vec::new() };
    for effects in &batch.effects {
        for row in &effects.rows {
            writing.row(row)?;
        }
        for event in &effects.events {
            writing.event(event)?;
        }
        for event in &effects.incidents {
            writing.incident(event)?;
        }
    }
    let set_aside = writing.set_aside;
    set_checkpoint(&transaction, &batch.to)?;
    transaction.commit()?;
    Ok(Committed { to: batch.to.position, set_aside })
}

struct Writing<'c> {
    connection: &'c Connection,
    set_aside: Vec<SetAside>,
}

impl Writing<'_> {
    fn row(&mut self, row: &Row) -> Result<(), StoreError> {
        let mut values = Vec::new();
        match row {
            Row::Frame(row) => {
                let pushed = frame::push(row, &mut values);
                let sql = match row.order {
                    Order::VeryLate => insert_new("late_frame", frame::COLUMNS),
                    Order::Newer | Order::Late => insert("frame", frame::COLUMNS),
                };
                self.or_set_aside("frame", row, pushed, &sql, &values)
            }
            Row::Scan(row) => {
                let pushed = scan::push(row, &mut values);
                let sql = match row.order {
                    Order::VeryLate => insert_new("scan", scan::COLUMNS),
                    Order::Newer | Order::Late => insert("scan", scan::COLUMNS),
                };
                self.or_set_aside("scan", row, pushed, &sql, &values)
            }
            Row::Reject(row) => {
                misc::push_reject(row, &mut values);
                self.or_set_aside("reject", row, Ok(()), &insert("reject", misc::REJECT_COLUMNS), &values)
            }
            Row::Status(row) => {
                misc::push_status(row, &mut values);
                self.run(&insert("status", misc::STATUS_COLUMNS), &values)
            }
            Row::Entry(entry) => self.entry(entry),
            Row::Change(row) => {
                misc::push_change(row, &mut values);
                self.run(&insert("archive_change", misc::CHANGE_COLUMNS), &values)
            }
            Row::Due(row) => self.due(row),
            Row::Report(row) => {
                obligation::push_report(row, &mut values).map_err(StoreError::refused)?;
                self.run(&insert("report", obligation::REPORT_COLUMNS), &values)
            }
            Row::Visit(row) => {
                visit::push_visit(row, &mut values).map_err(StoreError::refused)?;
                self.run(&insert(visit::TABLE, visit::COLUMNS), &values)?;
                let Some(people) = visit::people(row) else { return Ok(()) };
                let mut values = Vec::new();
                visit::push_people(&people, &mut values).map_err(StoreError::refused)?;
                self.run(&insert(visit::PEOPLE_TABLE, visit::PEOPLE_COLUMNS), &values)
            }
            Row::Signature(row) => {
                visit::push_signature(row, &mut values).map_err(StoreError::refused)?;
                self.run(&insert(visit::TABLE, visit::COLUMNS), &values)
            }
        }
    }

    fn run(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        Ok(self.try_run(sql, values)?)
    }

    fn try_run(&self, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(params_from_iter(values)).map(drop)
    }

    fn or_set_aside(
        &mut self,
        what: &'static str,
        row: &impl std::fmt::Debug,
        pushed: Result<(), Unfit>,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        let (sqlstate, detail) = match pushed {
            Err(unfit) => (Unfit::SQLSTATE, unfit.to_string()),
            Ok(()) => match self.try_run(sql, values) {
                Ok(()) => return Ok(()),
                Err(error) if is_the_rows_fault(&error) => ("22000", error.to_string()),
                Err(error) => return Err(error.into()),
            },
        };
        let aside = SetAside { what, sqlstate: sqlstate.to_owned(), detail };
        let (content, mut values) = (misc::content(row), Vec::new());
        misc::push_set_aside(&aside, &content, Clock::default().wall(), &mut values);
        self.run(&insert("set_aside", misc::SET_ASIDE_COLUMNS), &values)?;
        self.set_aside.push(aside);
        Ok(())
    }

    fn entry(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut values = Vec::new();
        archive::push(entry, &mut values);
        self.run(&upsert(entry.kind().name(), archive::columns(entry.kind()), &["code"]), &values)
    }

    /// What stood before it stands no more.
    fn due(&self, row: &DueRow) -> Result<(), StoreError> {
        let mut values = Vec::new();
        obligation::push_due(row, &mut values);
        // A day of which something else was known stays so: where our clock was set back, what was told last counts.
        let sql =
            "UPDATE due SET until_on = ?1 WHERE subject = ?2 AND kind = ?3 AND (until_on IS NULL OR until_on > ?1)";
        self.run(sql, &[Value::Day(row.recorded_on), values[0].clone(), values[1].clone()])?;
        self.run(&insert("due", obligation::DUE_COLUMNS), &values)
    }

    fn event(&self, event: &AlertEvent) -> Result<(), StoreError> {
        let mut values = Vec::new();
        alert::push_event(event, &mut values).map_err(StoreError::refused)?;
        let columns = [alert::EVENT_COLUMNS, alert::ALERT_COLUMNS].concat();
        self.run(&insert("alert_event", &columns), &values)?;

        let mut alert = values.split_off(alert::EVENT_COLUMNS.len());
        alert.extend(values.into_iter().take(2));
        let columns = [alert::ALERT_COLUMNS, &["epoch", "seq"]].concat();
        self.run(&upsert("alert", &columns, &["subject", "rule", "opening"]), &alert)
    }

    fn incident(&self, event: &IncidentEvent) -> Result<(), StoreError> {
        let mut values = Vec::new();
        incident::push_event(event, &mut values).map_err(StoreError::refused)?;
        self.run(&insert("incident_event", incident::EVENT_COLUMNS), &values)?;
        values.clear();
        incident::push(&event.incident, &mut values).map_err(StoreError::refused)?;
        self.run(&upsert("incident", incident::COLUMNS, incident::KEY), &values)
    }
}

fn insert(table: &str, columns: &[&str]) -> String {
    let marks = vec!["?"; columns.len()].join(", ");
    format!("INSERT INTO {table} ({}) VALUES ({marks})", names(columns))
}

/// Leaves what is there under the same key.
fn insert_new(table: &str, columns: &[&str]) -> String {
    format!("{} ON CONFLICT DO NOTHING", insert(table, columns))
}

/// Replaces what is there under the same key.
fn upsert(table: &str, columns: &[&str], key: &[&str]) -> String {
    let set: Vec<_> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!("{} ON CONFLICT ({}) DO UPDATE SET {}", insert(table, columns), names(key), set.join(", "))
}
