//! History in one SQLite file: the embedded default.
//!
//! One connection writes, with every commit synced; a few others read. All of them work on threads where blocking is
//! allowed.

mod commit;
mod maintain;
mod read;
mod value;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use read::{DIALECT, page};

use super::{
    AlertQuery, Batch, ChangeQuery, Checkpoint, Committed, DueQuery, FrameQuery, Fut, IncidentQuery, LiftQuery,
    LinkQuery, Maintained, Numbered, Options, RejectQuery, ReportQuery, ReportingQuery, ScanCursor, ScanQuery,
    StandingQuery, StatusQuery, Store, StoreError, select,
};
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

mod embedded {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

pub struct SqliteStore {
    inner: Arc<Inner>,
    /// One permit for each reader that may be at work.
    readers: Arc<Semaphore>,
}

struct Inner {
    path: PathBuf,
    options: Options,
    writer: Mutex<Connection>,
    idle_readers: Mutex<Vec<Connection>>,
}

impl SqliteStore {
    pub async fn open(path: impl Into<PathBuf>, options: Options) -> Result<Self, StoreError> {
        let path = path.into();
        let inner = blocking(move || {
            let writer = open_writer(&path)?;
            Ok(Inner { path, options, writer: Mutex::new(writer), idle_readers: Mutex::new(Vec::new()) })
        });
        Ok(Self { inner: Arc::new(inner.await?), readers: Arc::new(Semaphore::new(limits::STORE_READERS)) })
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Fut<'_, T> {
        let inner = self.inner.clone();
        Box::pin(blocking(move || work(&mut held(&inner.writer), &inner)))
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Fut<'_, T> {
        let (inner, readers) = (self.inner.clone(), self.readers.clone());
        Box::pin(async move {
            let permit = readers.acquire_owned().await.expect("nobody closes the semaphore");
            blocking(move || {
                let idle = held(&inner.idle_readers).pop();
                let reader = idle.map_or_else(|| open_reader(&inner.path), Ok)?;
                let found = work(&reader)?;
                held(&inner.idle_readers).push(reader);
                drop(permit);
                Ok(found)
            })
            .await
        })
    }
}

/// A panic while the lock was held can't have left half a transaction: rusqlite rolls back what is dropped.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(StoreError::unavailable(error)))
}

fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let named = |error: &dyn std::fmt::Display| StoreError::refused(format!("{}: {error}", path.display()));
    // Two processes that open a new file at once must not both create its tables.
    let lock_path = path.with_added_extension("lock");
    let lock = std::fs::File::create(&lock_path).map_err(|error| named(&error))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(|error| named(&error))?;

    let mut connection = Connection::open(path).map_err(|error| named(&error))?;
    connection.busy_timeout(Duration::from_millis(limits::STORE_BUSY_MS))?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(64);
    embedded::migrations::runner().run(&mut connection).map_err(|error| named(&error))?;
    Ok(connection)
}

fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(limits::STORE_BUSY_MS))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

impl Store for SqliteStore {
    fn id(&self) -> Fut<'_, u128> {
        self.read(commit::id)
    }

    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>> {
        self.read(commit::checkpoint)
    }

    fn commit(&self, batch: Arc<Batch>) -> Fut<'_, Committed> {
        self.write(move |writer, _| commit::commit(writer, &batch))
    }

    fn reset_checkpoint(&self, to: Checkpoint) -> Fut<'_, ()> {
        self.write(move |writer, _| commit::set_checkpoint(writer, &to))
    }

    fn frames(&self, query: FrameQuery) -> Fut<'_, Vec<FrameRow>> {
        self.read(move |reader| page(reader, &select::frames(&query, &DIALECT)))
    }

    fn scans(&self, query: ScanQuery) -> Fut<'_, Vec<ScanRow>> {
        self.read(move |reader| page(reader, &select::scans(&query, &DIALECT)))
    }

    fn telling_scans(&self, after: Option<(CylinderCode, ScanCursor)>, limit: usize) -> Fut<'_, Vec<ScanRow>> {
        self.read(move |reader| page(reader, &select::telling_scans(after.as_ref(), limit, &DIALECT)))
    }

    fn statuses(&self, query: StatusQuery) -> Fut<'_, Vec<Numbered<StatusRow>>> {
        self.read(move |reader| page(reader, &select::statuses(&query)))
    }

    fn rejects(&self, query: RejectQuery) -> Fut<'_, Vec<Numbered<RejectRow>>> {
        self.read(move |reader| page(reader, &select::rejects(&query)))
    }

    fn alert_events(&self, query: AlertQuery) -> Fut<'_, Vec<AlertEvent>> {
        self.read(move |reader| page(reader, &select::alert_events(&query)))
    }

    fn alert_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<AlertEvent>> {
        self.read(move |reader| page(reader, &select::alert_events_after(epoch, seq, limit)))
    }

    fn alert(&self, id: AlertId) -> Fut<'_, Option<Alert>> {
        self.read(move |reader| Ok(page(reader, &select::alert(&id))?.pop()))
    }

    fn incident_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        self.read(move |reader| page(reader, &select::incident_events_after(epoch, seq, limit)))
    }

    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        self.read(move |reader| page(reader, &select::incident_timeline(id, after, limit)))
    }

    fn incident(&self, id: IncidentId) -> Fut<'_, Option<Incident>> {
        self.read(move |reader| Ok(page(reader, &select::incident(id))?.pop()))
    }

    fn incidents(&self, query: IncidentQuery) -> Fut<'_, Vec<Incident>> {
        self.read(move |reader| page(reader, &select::incidents(&query)))
    }

    fn reporting(&self, query: ReportingQuery) -> Fut<'_, (u64, u64)> {
        self.read(move |reader| Ok(page(reader, &select::reporting(&query))?.pop().unwrap_or_default()))
    }

    fn entry(&self, kind: EntryKind, code: String) -> Fut<'_, Option<Entry>> {
        self.read(move |reader| Ok(page(reader, &select::entry(kind, &code))?.pop()))
    }

    fn entries(&self, kind: EntryKind, after: Option<String>, limit: usize) -> Fut<'_, Vec<Entry>> {
        self.read(move |reader| page(reader, &select::entries(kind, after.as_deref(), limit)))
    }

    fn lifts(&self, query: LiftQuery) -> Fut<'_, Vec<Entry>> {
        self.read(move |reader| page(reader, &select::lifts(&query, &DIALECT)))
    }

    fn relabelled(&self, code: CylinderCode) -> Fut<'_, Vec<Entry>> {
        self.read(move |reader| page(reader, &select::relabelled(&code, &DIALECT)))
    }

    fn changes(&self, query: ChangeQuery) -> Fut<'_, Vec<Numbered<ChangeRow>>> {
        self.read(move |reader| page(reader, &select::changes(&query)))
    }

    fn due_history(&self, query: DueQuery) -> Fut<'_, Vec<Numbered<DueRow>>> {
        self.read(move |reader| page(reader, &select::due_history(&query)))
    }

    fn due_standing(&self, query: StandingQuery) -> Fut<'_, Vec<DueRow>> {
        self.read(move |reader| page(reader, &select::due_standing(&query)))
    }

    fn reports(&self, query: ReportQuery) -> Fut<'_, Vec<Numbered<ReportRow>>> {
        self.read(move |reader| page(reader, &select::reports(&query)))
    }

    fn report(&self, party: Party, id: RecordId) -> Fut<'_, Option<ReportRow>> {
        self.read(move |reader| Ok(page(reader, &select::report(party, &id))?.pop().map(|found| found.row)))
    }

    fn links(&self, query: LinkQuery) -> Fut<'_, Vec<Numbered<ChainLink>>> {
        self.read(move |reader| page(reader, &select::links(&query)))
    }

    fn visit(&self, firm: FirmId, record: RecordId) -> Fut<'_, Option<VisitRow>> {
        self.read(move |reader| Ok(page(reader, &select::visit(&firm, &record))?.pop()))
    }

    fn chained(&self, after: Option<DeviceCode>, limit: usize) -> Fut<'_, Vec<DeviceCode>> {
        self.read(move |reader| page(reader, &select::chained(after.as_ref(), limit)))
    }

    fn maintain(&self, now: Wall) -> Fut<'_, Maintained> {
        let inner = self.inner.clone();
        Box::pin(blocking(move || maintain::maintain(&inner, now)))
    }

    fn ping(&self) -> Fut<'_, ()> {
        self.read(|reader| Ok(reader.query_row("SELECT 1", [], |_| Ok(()))?))
    }
}
