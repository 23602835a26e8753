//! Writing rows by binary COPY, and finding the ones that the server won't take.

use std::fmt::Debug;
use std::pin::pin;

use bytes::{BufMut as _, BytesMut};
use deadpool_postgres::Object;
use futures_util::SinkExt as _;
use tokio_postgres::types::{IsNull, ToSql as _, Type};

use super::commit::Standing;
use super::connect;
use crate::model::alert::AlertEvent;
use crate::model::archive::Entry;
use crate::model::incident::IncidentEvent;
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, FrameRow, RejectRow, ScanRow, StatusRow};
use crate::store::columns::visit::{self, ChainRow, People};
use crate::store::columns::{Unfit, Value, alert, archive, frame, incident, misc, names, obligation, scan};
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

impl Stored for ChangeRow {
    const WHAT: &'static str = "change of the archive";

    fn columns(&self) -> Vec<&'static str> {
        misc::CHANGE_COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        misc::push_change(self, out);
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

impl Stored for Standing<'_> {
    const WHAT: &'static str = "due date";

    fn columns(&self) -> Vec<&'static str> {
        [obligation::DUE_COLUMNS, &[obligation::UNTIL]].concat()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        obligation::push_due(self.row, out);
        out.push(obligation::day(self.until_on));
        Ok(())
    }
}

impl Stored for ReportRow {
    const WHAT: &'static str = "report";

    fn columns(&self) -> Vec<&'static str> {
        obligation::REPORT_COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        obligation::push_report(self, out)
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

impl Stored for IncidentEvent {
    const WHAT: &'static str = "incident's event";

    fn columns(&self) -> Vec<&'static str> {
        incident::EVENT_COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        incident::push_event(self, out)
    }
}

impl Stored for ChainRow<'_> {
    const WHAT: &'static str = "record of maintenance";

    fn columns(&self) -> Vec<&'static str> {
        visit::COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        match self {
            Self::Visit(row) => visit::push_visit(row, out),
            Self::Signature(row) => visit::push_signature(row, out),
        }
    }
}

impl Stored for People<'_> {
    const WHAT: &'static str = "people of a record";

    fn columns(&self) -> Vec<&'static str> {
        visit::PEOPLE_COLUMNS.to_vec()
    }

    fn push<'a>(&'a self, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
        visit::push_people(self, out)
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
    // Both are sent before the first answer is awaited.
    let (saved, sink) = tokio::join!(biased; client.batch_execute("SAVEPOINT part"), client.copy_in(&statement));
    saved?;
    let mut sink = pin!(sink?);

    let mut unfit = Vec::new();
    let mut values = Vec::with_capacity(columns.len());
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
    chunk.put_slice(HEADER);
    for (i, row) in rows.iter().enumerate() {
        values.clear();
        match row.push(&mut values) {
            Ok(()) => put_row(&values, &mut chunk),
            Err(why) => unfit.push((i, why)),
        }
        if chunk.len() >= CHUNK_BYTES {
            sink.send(chunk.split().freeze()).await?;
            chunk.reserve(CHUNK_BYTES + CHUNK_BYTES / 8);
        }
    }
    chunk.put_i16(END);
    sink.send(chunk.freeze()).await?;
    sink.as_mut().finish().await?;
    Ok(unfit)
}

/// What a COPY in binary begins with: a signature, no flags, no further header.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Stands where the next row's count of fields would.
const END: i16 = -1;
/// Each chunk is a message to the server, and one to the task that holds the connection. The library's own writer of
/// this form makes one of every 4 KiB.
const CHUNK_BYTES: usize = 128 * 1024;

/// A count of fields, and each with its length, which is -1 for NULL.
fn put_row(values: &[Value<'_>], out: &mut BytesMut) {
    out.put_i16(values.len() as i16);
    for value in values {
        let at = out.len();
        out.put_i32(-1);
        // Each value knows its own type.
        let written = value.to_sql(&Type::UNKNOWN, out).expect("only lists beyond 2^31 elements have no such form");
        if let IsNull::No = written {
            let bytes = (out.len() - at - 4) as i32;
            out[at..at + 4].copy_from_slice(&bytes.to_be_bytes());
        }
    }
}
