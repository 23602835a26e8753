//! A store that may not be reachable when the service starts: it is opened when it can be, and is away until then.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_postgres::Config;

use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use super::{
    AlertQuery, Batch, ChangeQuery, Checkpoint, Committed, DueQuery, FrameQuery, Fut, IncidentQuery, LiftQuery,
    LinkQuery, Maintained, Numbered, Options, RejectQuery, ReportQuery, ReportingQuery, ScanCursor, ScanQuery,
    StandingQuery, StatusQuery, Store, StoreError,
};
use crate::model::alert::{Alert, AlertEvent, Cursor};
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::{AlertId, CylinderCode, DeviceCode, FirmId, RecordId};
use crate::model::incident::{Incident, IncidentEvent, IncidentId};
use crate::model::obligation::{DueRow, Party};
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, FrameRow, RejectRow, ScanRow, StatusRow};
use crate::model::time::Wall;
use crate::model::visit::{ChainLink, VisitRow};

pub struct OpenedLater {
    place: Place,
    options: Options,
    store: OnceCell<Arc<dyn Store>>,
}

enum Place {
    Sqlite(PathBuf),
    Postgres(Box<Config>),
}

impl OpenedLater {
    pub fn sqlite(file: PathBuf, options: Options) -> Self {
        Self { place: Place::Sqlite(file), options, store: OnceCell::new() }
    }

    pub fn postgres(server: Config, options: Options) -> Self {
        Self { place: Place::Postgres(Box::new(server)), options, store: OnceCell::new() }
    }

    async fn store(&self) -> Result<&dyn Store, StoreError> {
        let store = self.store.get_or_try_init(|| self.open()).await?;
        Ok(&**store)
    }

    async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.place {
            Place::Sqlite(file) => Arc::new(SqliteStore::open(file, self.options.clone()).await?),
            Place::Postgres(server) => {
                Arc::new(PostgresStore::open_server((**server).clone(), self.options.clone()).await?)
            }
        })
    }
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+) => {
        impl Store for OpenedLater {
            $(fn $name(&self, $($arg: $type),*) -> Fut<'_, $answer> {
                Box::pin(async move { self.store().await?.$name($($arg),*).await })
            })+
        }
    };
}

pass_on! {
    id() -> u128;
    checkpoint() -> Option<Checkpoint>;
    commit(batch: Arc<Batch>) -> Committed;
    reset_checkpoint(to: Checkpoint) -> ();
    frames(query: FrameQuery) -> Vec<FrameRow>;
    scans(query: ScanQuery) -> Vec<ScanRow>;
    telling_scans(after: Option<(CylinderCode, ScanCursor)>, limit: usize) -> Vec<ScanRow>;
    statuses(query: StatusQuery) -> Vec<Numbered<StatusRow>>;
    rejects(query: RejectQuery) -> Vec<Numbered<RejectRow>>;
    alert_events(query: AlertQuery) -> Vec<AlertEvent>;
    alert_events_after(epoch: u32, seq: u64, limit: usize) -> Vec<AlertEvent>;
    alert(id: AlertId) -> Option<Alert>;
    incident_events_after(epoch: u32, seq: u64, limit: usize) -> Vec<IncidentEvent>;
    incident_timeline(id: IncidentId, after: Cursor, limit: usize) -> Vec<IncidentEvent>;
    incident(id: IncidentId) -> Option<Incident>;
    incidents(query: IncidentQuery) -> Vec<Incident>;
    reporting(query: ReportingQuery) -> (u64, u64);
    entry(kind: EntryKind, code: String) -> Option<Entry>;
    entries(kind: EntryKind, after: Option<String>, limit: usize) -> Vec<Entry>;
    lifts(query: LiftQuery) -> Vec<Entry>;
    relabelled(code: CylinderCode) -> Vec<Entry>;
    changes(query: ChangeQuery) -> Vec<Numbered<ChangeRow>>;
    due_history(query: DueQuery) -> Vec<Numbered<DueRow>>;
    due_standing(query: StandingQuery) -> Vec<DueRow>;
    reports(query: ReportQuery) -> Vec<Numbered<ReportRow>>;
    report(party: Party, id: RecordId) -> Option<ReportRow>;
    links(query: LinkQuery) -> Vec<Numbered<ChainLink>>;
    visit(firm: FirmId, record: RecordId) -> Option<VisitRow>;
    chained(after: Option<DeviceCode>, limit: usize) -> Vec<DeviceCode>;
    maintain(now: Wall) -> Maintained;
    ping() -> ();
}
