//! History in PostgreSQL: the store for production.

mod commit;
mod connect;
mod copy;
mod evidence;
mod maintain;
mod partitions;
mod value;

use std::sync::Arc;

use deadpool_postgres::Pool;
use tokio::sync::Mutex;

use self::commit::Sorted;
use self::connect::{Lease, within};
use self::partitions::Days;
use self::value::RowColumns;
use super::select::{self, Dialect, Select};
use super::{
    AlertQuery, Batch, ChangeQuery, Checkpoint, Committed, DueQuery, FrameQuery, Fut, IncidentQuery, LiftQuery,
    LinkQuery, Maintained, Numbered, Options, RejectQuery, ReportQuery, ReportingQuery, ScanCursor, ScanQuery,
    StandingQuery, StatusQuery, Store, StoreError, retention,
};
use crate::clock::Clock;
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

const DIALECT: Dialect = Dialect {
    never: "'-infinity'",
    // Of other collations small letters aren't Latin ones only.
    position_in_address: r#"strpos(lower(address COLLATE "C"),"#,
    // An index knows containment only.
    is_alias: "aliases @> ARRAY[$1::text]",
    frame_tables: &["frame", "frame_out_of_range", "late_frame", "evidence_frame"],
};

pub struct PostgresStore {
    pool: Pool,
    options: Options,
    clock: Clock,
    /// What is known of the partitions; `None`: to be looked up. Held while a batch is written: there is one writer.
    days: Mutex<Option<Days>>,
}

impl PostgresStore {
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        Self::open_server(connect::parse(url)?, options).await
    }

    pub async fn open_server(server: tokio_postgres::Config, options: Options) -> Result<Self, StoreError> {
        let pool = connect::pool(server)?;
        within(limits::STORE_COMMIT_MS, connect::migrate(&pool)).await?;
        Ok(Self { pool, options, clock: Clock::default(), days: Mutex::default() })
    }

    /// The first day of frames that retention leaves.
    fn first_kept(&self, now: Wall) -> Option<i64> {
        self.options.frame_retention_days.map(|days| retention::day_of(retention::cutoff(now, days)))
    }

    async fn write(&self, batch: &Batch) -> Result<Committed, StoreError> {
        let mut known = self.days.lock().await;
        let lease = Lease::from(&self.pool).await?;
        // Whatever fails, the partitions are looked up anew: it may be that one is gone.
        let mut days = match known.take() {
            Some(days) => days,
            None => Days::load(&lease).await?,
        };
        let mut sorted = Sorted::new(batch);
        let now = self.clock.wall();
        let wanted = sorted.frames.iter().map(|row| retention::day_of(row.effective_at));
        days.add(&lease, wanted, self.first_kept(now), now).await?;
        sorted.keep_within(&days);

        let committed = commit::commit(&lease, batch, &sorted).await?;
        lease.give_back();
        *known = Some(days);
        Ok(committed)
    }

    async fn page<T>(&self, select: Select<'_, T>) -> Result<Vec<T>, StoreError> {
        let lease = Lease::from(&self.pool).await?;
        let rows = async {
            let statement = lease.prepare_cached(&select.sql).await?;
            lease.query(&statement, &commit::params(&select.params)).await
        };
        let rows = within(limits::STORE_QUERY_MS, async { rows.await.map_err(connect::from) }).await?;
        lease.give_back();
        rows.iter().map(|row| (select.read)(&mut RowColumns::new(row, select.what))).collect()
    }
}

impl Store for PostgresStore {
    fn id(&self) -> Fut<'_, u128> {
        Box::pin(within(limits::STORE_QUERY_MS, async {
            let lease = Lease::from(&self.pool).await?;
            let id = commit::id(&lease).await?;
            lease.give_back();
            Ok(id)
        }))
    }

    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>> {
        Box::pin(within(limits::STORE_QUERY_MS, async {
            let lease = Lease::from(&self.pool).await?;
            let stored = commit::stored_checkpoint(&lease).await?;
            lease.give_back();
            Ok(stored)
        }))
    }

    fn commit(&self, batch: Arc<Batch>) -> Fut<'_, Committed> {
        Box::pin(within(self.options.commit_limit_ms, async move { self.write(&batch).await }))
    }

    fn reset_checkpoint(&self, to: Checkpoint) -> Fut<'_, ()> {
        Box::pin(within(limits::STORE_QUERY_MS, async move {
            let lease = Lease::from(&self.pool).await?;
            commit::set_checkpoint(&lease, &to).await?;
            lease.give_back();
            Ok(())
        }))
    }

    fn frames(&self, query: FrameQuery) -> Fut<'_, Vec<FrameRow>> {
        Box::pin(async move { self.page(select::frames(&query, &DIALECT)).await })
    }

    fn scans(&self, query: ScanQuery) -> Fut<'_, Vec<ScanRow>> {
        Box::pin(async move { self.page(select::scans(&query, &DIALECT)).await })
    }

    fn telling_scans(&self, after: Option<(CylinderCode, ScanCursor)>, limit: usize) -> Fut<'_, Vec<ScanRow>> {
        Box::pin(async move { self.page(select::telling_scans(after.as_ref(), limit, &DIALECT)).await })
    }

    fn statuses(&self, query: StatusQuery) -> Fut<'_, Vec<Numbered<StatusRow>>> {
        Box::pin(async move { self.page(select::statuses(&query)).await })
    }

    fn rejects(&self, query: RejectQuery) -> Fut<'_, Vec<Numbered<RejectRow>>> {
        Box::pin(async move { self.page(select::rejects(&query)).await })
    }

    fn alert_events(&self, query: AlertQuery) -> Fut<'_, Vec<AlertEvent>> {
        Box::pin(async move { self.page(select::alert_events(&query)).await })
    }

    fn alert_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<AlertEvent>> {
        Box::pin(self.page(select::alert_events_after(epoch, seq, limit)))
    }

    fn alert(&self, id: AlertId) -> Fut<'_, Option<Alert>> {
        Box::pin(async move { Ok(self.page(select::alert(&id)).await?.pop()) })
    }

    fn incident_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        Box::pin(self.page(select::incident_events_after(epoch, seq, limit)))
    }

    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        Box::pin(self.page(select::incident_timeline(id, after, limit)))
    }

    fn incident(&self, id: IncidentId) -> Fut<'_, Option<Incident>> {
        Box::pin(async move { Ok(self.page(select::incident(id)).await?.pop()) })
    }

    fn incidents(&self, query: IncidentQuery) -> Fut<'_, Vec<Incident>> {
        Box::pin(async move { self.page(select::incidents(&query)).await })
    }

    fn reporting(&self, query: ReportingQuery) -> Fut<'_, (u64, u64)> {
        Box::pin(async move { Ok(self.page(select::reporting(&query)).await?.pop().unwrap_or_default()) })
    }

    fn entry(&self, kind: EntryKind, code: String) -> Fut<'_, Option<Entry>> {
        Box::pin(async move { Ok(self.page(select::entry(kind, &code)).await?.pop()) })
    }

    fn entries(&self, kind: EntryKind, after: Option<String>, limit: usize) -> Fut<'_, Vec<Entry>> {
        Box::pin(async move { self.page(select::entries(kind, after.as_deref(), limit)).await })
    }

    fn lifts(&self, query: LiftQuery) -> Fut<'_, Vec<Entry>> {
        Box::pin(async move { self.page(select::lifts(&query, &DIALECT)).await })
    }

    fn relabelled(&self, code: CylinderCode) -> Fut<'_, Vec<Entry>> {
        Box::pin(async move { self.page(select::relabelled(&code, &DIALECT)).await })
    }

    fn changes(&self, query: ChangeQuery) -> Fut<'_, Vec<Numbered<ChangeRow>>> {
        Box::pin(async move { self.page(select::changes(&query)).await })
    }

    fn due_history(&self, query: DueQuery) -> Fut<'_, Vec<Numbered<DueRow>>> {
        Box::pin(async move { self.page(select::due_history(&query)).await })
    }

    fn due_standing(&self, query: StandingQuery) -> Fut<'_, Vec<DueRow>> {
        Box::pin(async move { self.page(select::due_standing(&query)).await })
    }

    fn reports(&self, query: ReportQuery) -> Fut<'_, Vec<Numbered<ReportRow>>> {
        Box::pin(async move { self.page(select::reports(&query)).await })
    }

    fn report(&self, party: Party, id: RecordId) -> Fut<'_, Option<ReportRow>> {
        Box::pin(async move { Ok(self.page(select::report(party, &id)).await?.pop().map(|found| found.row)) })
    }

    fn links(&self, query: LinkQuery) -> Fut<'_, Vec<Numbered<ChainLink>>> {
        Box::pin(async move { self.page(select::links(&query)).await })
    }

    fn visit(&self, firm: FirmId, record: RecordId) -> Fut<'_, Option<VisitRow>> {
        Box::pin(async move { Ok(self.page(select::visit(&firm, &record)).await?.pop()) })
    }

    fn chained(&self, after: Option<DeviceCode>, limit: usize) -> Fut<'_, Vec<DeviceCode>> {
        Box::pin(async move { self.page(select::chained(after.as_ref(), limit)).await })
    }

    fn maintain(&self, now: Wall) -> Fut<'_, Maintained> {
        Box::pin(async move {
            let lease = Lease::from(&self.pool).await?;
            let done = maintain::maintain(&lease, &self.options, self.first_kept(now), now).await?;
            lease.give_back();
            *self.days.lock().await = None;
            Ok(done)
        })
    }

    fn ping(&self) -> Fut<'_, ()> {
        Box::pin(within(limits::STORE_QUERY_MS, async {
            let lease = Lease::from(&self.pool).await?;
            lease.batch_execute("SELECT 1").await.map_err(connect::from)?;
            lease.give_back();
            Ok(())
        }))
    }
}
