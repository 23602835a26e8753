//! Where history is kept: rows and alert events, committed together with how far the outbox has been stored.
//!
//! Three implementations keep one contract (`tests/store.rs`): `postgres` for production, `sqlite` where one file
//! must do, `memory` for tests. Which one it is stands in the URL.

pub mod absent;
pub mod batches;
mod columns;
pub mod error;
pub mod known;
pub mod memory;
pub mod postgres;
pub mod query;
mod retention;
mod select;
pub mod sqlite;
pub mod writer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use error::StoreError;
pub use query::{
    AlertCursor, AlertQuery, ChangeQuery, DueQuery, FrameCursor, FrameQuery, IncidentQuery, LiftQuery, LinkCursor,
    LinkQuery, Numbered, RejectQuery, ReportQuery, ReportingQuery, ScanCursor, ScanQuery, StandingCursor,
    StandingQuery, StatusQuery,
};

use crate::limits;
use crate::model::alert::{Alert, AlertEvent, Cursor};
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::{AlertId, CylinderCode, DeviceCode, FirmId, RecordId};
use crate::model::incident::{Incident, IncidentEvent, IncidentId};
use crate::model::obligation::{DueRow, Party};
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, Effects, FrameRow, RejectRow, ScanRow, StatusRow};
use crate::model::time::Wall;
use crate::model::visit::{ChainLink, VisitRow};

/// What every call returns. Boxed by hand, so that a store can be a trait object.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// How far the outbox has been stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The id of the journal.
    pub journal: u128,
    pub epoch: u32,
    /// The next outbox position to store, at most 2^63 − 1.
    pub position: u64,
    /// The running hash before that position.
    pub hash: u32,
}

/// A stretch of the outbox.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What must be stored for this batch to fit; `None`: nothing was ever stored.
    pub from: Option<Checkpoint>,
    pub to: Checkpoint,
    pub effects: Vec<Effects>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// The position now stored.
    pub to: u64,
    /// Rows that the database would not take. Each is kept in the table `set_aside`.
    pub set_aside: Vec<SetAside>,
}

/// A row that was set aside so that its neighbours could be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// `frame`, `scan` or `reject`.
    pub what: &'static str,
    /// Of class 22, data exception.
    pub sqlstate: String,
    pub detail: String,
}

/// What one round of maintenance did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maintained {
    pub days_created: u32,
    pub days_dropped: u32,
    /// Without those that were moved.
    pub rows_deleted: u64,
    /// Frames from around alerts, put where they outlive the others.
    pub frames_moved: u64,
    /// Something is left for the next round, and why: a reader still looks at it, or the round has done its share.
    pub left: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many whole days of frames and statuses are kept; `None`: for ever.
    pub frame_retention_days: Option<u32>,
    /// The same for those of them from around the transitions of alerts.
    pub evidence_retention_days: Option<u32>,
    /// For alert events and reports, for alerts since they were cleared, for due dates since others stand instead.
    pub alert_retention_days: Option<u32>,
    pub scan_retention_days: Option<u32>,
    /// The same for rejects and for rows set aside.
    pub reject_retention_days: Option<u32>,
    /// How long PostgreSQL may take for a batch before the connection is given up.
    pub commit_limit_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            frame_retention_days: Some(400),
            evidence_retention_days: Some(1_830),
            alert_retention_days: Some(1_830),
            scan_retention_days: Some(4_400),
            reject_retention_days: Some(30),
            commit_limit_ms: limits::STORE_COMMIT_MS,
        }
    }
}

/// Reads return one page: at most `limit` rows and never more than `limits::PAGE_ROWS`; a shorter page is the last.
pub trait Store: Send + Sync {
    /// Drawn at random when its tables are made, so that it tells this store from all others but its own copies.
    fn id(&self) -> Fut<'_, u128>;

    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>>;

    /// Stores all of the batch, or nothing.
    ///
    /// After a transient error it is unknown whether it was stored. Committing the same batch again is safe: it fails
    /// with [`StoreError::CheckpointMoved`], which then says that `to` is what is stored.
    fn commit(&self, batch: Arc<Batch>) -> Fut<'_, Committed>;

    /// Sets the checkpoint whatever it was. Only `vigil recover` may.
    fn reset_checkpoint(&self, to: Checkpoint) -> Fut<'_, ()>;

    /// Ascending by [`FrameCursor`].
    fn frames(&self, query: FrameQuery) -> Fut<'_, Vec<FrameRow>>;
    /// Ascending by [`ScanCursor`].
    fn scans(&self, query: ScanQuery) -> Fut<'_, Vec<ScanRow>>;
    /// Scans that say how a cylinder stands (`core::cylinder::stored::TELLING`), ascending by cylinder and [`ScanCursor`].
    fn telling_scans(&self, after: Option<(CylinderCode, ScanCursor)>, limit: usize) -> Fut<'_, Vec<ScanRow>>;
    /// In the order in which they were stored.
    fn statuses(&self, query: StatusQuery) -> Fut<'_, Vec<Numbered<StatusRow>>>;
    /// In the order in which they were stored.
    fn rejects(&self, query: RejectQuery) -> Fut<'_, Vec<Numbered<RejectRow>>>;
    /// What happened to the alerts of one subject, ascending by [`AlertCursor`].
    fn alert_events(&self, query: AlertQuery) -> Fut<'_, Vec<AlertEvent>>;
    /// Events of one epoch with a greater `seq`, ascending.
    fn alert_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<AlertEvent>>;
    /// The alert as its last event left it.
    fn alert(&self, id: AlertId) -> Fut<'_, Option<Alert>>;

    /// Events of incidents of one epoch with a greater `seq`, ascending.
    fn incident_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<IncidentEvent>>;
    /// What happened to one incident behind a cursor, ascending.
    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> Fut<'_, Vec<IncidentEvent>>;
    /// The incident as its last event left it.
    fn incident(&self, id: IncidentId) -> Fut<'_, Option<Incident>>;
    /// Ascending by when they were received, and by id.
    fn incidents(&self, query: IncidentQuery) -> Fut<'_, Vec<Incident>>;
    /// How many lifts there are, and how many of them reported.
    fn reporting(&self, query: ReportingQuery) -> Fut<'_, (u64, u64)>;

    fn entry(&self, kind: EntryKind, code: String) -> Fut<'_, Option<Entry>>;
    /// Ascending by code, which is compared byte by byte.
    fn entries(&self, kind: EntryKind, after: Option<String>, limit: usize) -> Fut<'_, Vec<Entry>>;

    /// Ascending by code.
    fn lifts(&self, query: LiftQuery) -> Fut<'_, Vec<Entry>>;
    /// Cylinders that bore the code before they were relabelled, ascending by the code that they bear now.
    fn relabelled(&self, code: CylinderCode) -> Fut<'_, Vec<Entry>>;
    /// In the order in which they were made.
    fn changes(&self, query: ChangeQuery) -> Fut<'_, Vec<Numbered<ChangeRow>>>;
    /// In the order in which they were stored.
    fn due_history(&self, query: DueQuery) -> Fut<'_, Vec<Numbered<DueRow>>>;
    /// Ascending by [`StandingCursor`].
    fn due_standing(&self, query: StandingQuery) -> Fut<'_, Vec<DueRow>>;
    /// In the order in which they were stored.
    fn reports(&self, query: ReportQuery) -> Fut<'_, Vec<Numbered<ReportRow>>>;
    /// By the reporter's own id.
    fn report(&self, party: Party, id: RecordId) -> Fut<'_, Option<ReportRow>>;
    /// Records of maintenance of one device, ascending by [`LinkCursor`].
    fn links(&self, query: LinkQuery) -> Fut<'_, Vec<Numbered<ChainLink>>>;
    /// The record of a firm, as it was first stored.
    fn visit(&self, firm: FirmId, record: RecordId) -> Fut<'_, Option<VisitRow>>;
    /// Devices that have records of maintenance, ascending.
    fn chained(&self, after: Option<DeviceCode>, limit: usize) -> Fut<'_, Vec<DeviceCode>>;

    /// Creates what the coming days need and drops what is older than its retention, in bounded steps.
    fn maintain(&self, now: Wall) -> Fut<'_, Maintained>;

    /// Whether the database answers.
    fn ping(&self) -> Fut<'_, ()>;
}

/// Opens the store that `url` names and brings its tables up to date.
///
/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, `sqlite:PATH`, or `memory:`, which forgets everything.
pub async fn open(url: &str, options: Options) -> Result<Arc<dyn Store>, StoreError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return Ok(Arc::new(sqlite::SqliteStore::open(path, options).await?));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(postgres::PostgresStore::open(url, options).await?));
    }
    if url == "memory:" {
        return Ok(Arc::new(memory::MemoryStore::new(options)));
    }
    // The URL isn't repeated: it may hold a password.
    let detail = "the store's URL must begin with postgres://, sqlite: or be memory:";
    Err(StoreError::Refused { detail: detail.to_owned() })
}
