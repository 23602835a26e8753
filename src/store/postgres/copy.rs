//! Writing rows by binary COPY, and finding the ones that the server won't take.

use std::fmt::Debug;

use deadpool_postgres::Object;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use super::connect;
use crate::model::alert::AlertEvent;
use crate::model::archive::Entry;
use crate::model::row::{FrameRow, RejectRow, ScanRow, StatusRow};
use crate::store::columns::{Unfit, Value, alert, archive, frame, misc, names, scan};
use crate::store::{SetAside, StoreError};

/// Something with columns.
pub(super) trait Stored: Debug + Sync {
    /// For the reasons why one was set aside.
    const WHAT: &'static str;
    fn columns(&self) -> Vec<&'static str>;
    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit>;
}

impl Stored for FrameRow {
    const WHAT: &'static str = "frame";

    fn columns(&self) -> Vec<&'static str> {
        frame::COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        frame::push(self, out)
    }
}

impl Stored for ScanRow {
    const WHAT: &'static str = "scan";

    fn columns(&self) -> Vec<&'static str> {
        scan::COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        scan::push(self, out)
    }
}

impl Stored for RejectRow {
    const WHAT: &'static str = "reject";

    fn columns(&self) -> Vec<&'static str> {
        misc::REJECT_COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        misc::push_reject(self, out);
        Ok(())
    }
}

impl Stored for StatusRow {
    const WHAT: &'static str = "status";

    fn columns(&self) -> Vec<&'static str> {
        misc::STATUS_COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        misc::push_status(self, out);
        Ok(())
    }
}

impl Stored for Entry {
    const WHAT: &'static str = "entry";

    fn columns(&self) -> Vec<&'static str> {
        archive::columns(self.kind()).to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        archive::push(self, out);
        Ok(())
    }
}

impl Stored for AlertEvent {
    const WHAT: &'static str = "alert event";

    fn columns(&self) -> Vec<&'static str> {
        [alert::EVENT_COLUMNS, alert::ALERT_COLUMNS].concat()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        alert::push_event(self, out)
    }
}

/// A row that was set aside, and which of those given it was.
pub(super) struct Aside {
    pub at: usize,
    pub why: SetAside,
}

/// Writes all of `rows`, which have the same columns, or fails.
pub(super) async fn all<R: Stored>(client: &Object, table: &str, rows: &[&R]) -> Result<(), StoreError> {
    let unfit = copy(client, table, rows).await.map_err(connect::from)?;
    match unfit.first() {
        None => Ok(()),
        Some((_, unfit)) => Err(StoreError::refused(format!("{}: {unfit}", R::WHAT))),
    }
}

/// Writes `rows` except those that the server can't hold, which are found by halving.
pub(super) async fn apart<R: Stored>(client: &Object, table: &str, rows: &[&R]) -> Result<Vec<Aside>, StoreError> {
    let mut asides = Vec::new();
    let mut parts = Vec::new();
    let mut next = Some(0..rows.len()).filter(|whole| !whole.is_empty());
    while let Some(part) = next {
        let aside = |at, sqlstate: &str, detail| Aside {
            at,
            why: SetAside { what: R::WHAT, sqlstate: sqlstate.to_owned(), detail },
        };
        match copy(client, table, &rows[part.clone()]).await {
            Ok(unfit) => {
                // The commit releases it as well; only many of them must not pile up.
                if part.len() < rows.len() {
                    run(client, "RELEASE SAVEPOINT part").await?;
                }
                let found = unfit.into_iter().map(|(i, why)| aside(part.start + i, Unfit::SQLSTATE, why.to_string()));
                asides.extend(found);
            }
            Err(error) => {
                let Some(state) = error.code().filter(|state| state.code().starts_with("22")).cloned() else {
                    return Err(connect::from(error));
                };
                run(client, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part").await?;
                let middle = part.start + part.len() / 2;
                if part.len() == 1 {
                    let detail = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
                    asides.push(aside(part.start, state.code(), detail));
                } else {
                    // The first half is taken next, so that rows stay in order.
                    parts.extend([middle..part.end, part.start..middle]);
                }
            }
        }
        next = parts.pop();
    }
    Ok(asides)
}

async fn run(client: &Object, sql: &str) -> Result<(), StoreError> {
    client.batch_execute(sql).await.map_err(connect::from)
}

/// Leaves out, and returns, what no column can hold. It begins with the savepoint `part`.
async fn copy<R: Stored>(
    client: &Object,
    table: &str,
    rows: &[&R],
) -> Result<Vec<(usize, Unfit)>, tokio_postgres::Error> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns = first.columns();
    let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names(&columns));
    let statement = client.prepare_cached(&sql).await?;
    // Each value knows its own type.
    let types = vec![Type::UNKNOWN; columns.len()];
    // Both are sent before the first answer is awaited.
    let (saved, sink) = tokio::join!(biased; client.batch_execute("SAVEPOINT part"), client.copy_in(&statement));
    saved?;
    let writer = BinaryCopyInWriter::new(sink?, &types);
    tokio::pin!(writer);

    let mut unfit = Vec::new();
    let mut values = Vec::with_capacity(columns.len());
    for (i, row) in rows.iter().enumerate() {
        values.clear();
        match row.push(&mut values) {
            Ok(()) => writer.as_mut().write_raw(&values).await?,
            Err(why) => unfit.push((i, why)),
        }
    }
    writer.finish().await?;
    Ok(unfit)
}
