//! A store in memory that can be away, fail, and lose its answers.

use std::sync::{Arc, Mutex};

use vigil::model::alert::{Alert, AlertEvent, Cursor};
use vigil::model::archive::{Entry, EntryKind};
use vigil::model::ids::{AlertId, CylinderCode, DeviceCode, FirmId, RecordId};
use vigil::model::incident::{Incident, IncidentEvent, IncidentId};
use vigil::model::obligation::{DueRow, Party};
use vigil::model::report::ReportRow;
use vigil::model::row::{ChangeRow, FrameRow, RejectRow, Row, ScanRow, StatusRow};
use vigil::model::time::Wall;
use vigil::model::visit::{ChainLink, VisitRow};
use vigil::store::memory::MemoryStore;
use vigil::store::{
    AlertQuery, Batch, ChangeQuery, Checkpoint, Committed, DueQuery, FrameQuery, Fut, IncidentQuery, LiftQuery,
    LinkQuery, Maintained, Numbered, Options, RejectQuery, ReportQuery, ReportingQuery, ScanCursor, ScanQuery,
    StandingQuery, StatusQuery, Store, StoreError,
};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    pub(crate) away: bool,
    /// The next commit is not carried out.
    pub(crate) fail: bool,
    /// The next commit is carried out, and nobody hears of it.
    pub(crate) lose_answer: bool,
    /// The canary: whatever is stored, a batch fits.
    pub(crate) unconditional: bool,
    /// The canary: such rows are not stored.
    pub(crate) drops: Option<fn(&Row) -> bool>,
    /// The canary: somebody writes something else into records.
    pub(crate) tampers: bool,
}

pub(crate) struct Database {
    /// What is stored, for whoever checks it.
    pub(crate) inner: MemoryStore,
    weather: Mutex<Weather>,
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { detail: "the simulation wants it to be away".to_owned() }
}

impl Database {
    pub(crate) fn new() -> Self {
        let options = Options { frame_retention_days: None, reject_retention_days: None, ..Options::default() };
        Self { inner: MemoryStore::new(options), weather: Mutex::default() }
    }

    pub(crate) fn weather(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.weather.lock().expect("nobody panics with it"));
    }

    fn unless_away<'a, T: Send + 'a>(&'a self, ask: impl FnOnce(&'a MemoryStore) -> Fut<'a, T>) -> Fut<'a, T> {
        if self.weather.lock().expect("nobody panics with it").away {
            return Box::pin(std::future::ready(Err(unavailable())));
        }
        ask(&self.inner)
    }
}

fn without(batch: &Batch, unwanted: fn(&Row) -> bool) -> Batch {
    let mut batch = batch.clone();
    for effects in &mut batch.effects {
        effects.rows.retain(|row| !unwanted(row));
    }
    batch
}

fn tampered(batch: &Batch) -> Batch {
    let mut batch = batch.clone();
    for row in batch.effects.iter_mut().flat_map(|effects| &mut effects.rows) {
        if let Row::Visit(row) = row {
            row.visit.note = Some("all was well".into());
        }
    }
    batch
}

impl Store for Database {
    fn id(&self) -> Fut<'_, u128> {
        self.unless_away(|store| store.id())
    }

    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>> {
        self.unless_away(|store| store.checkpoint())
    }

    fn commit(&self, batch: Arc<Batch>) -> Fut<'_, Committed> {
        let now = {
            let mut weather = self.weather.lock().expect("nobody panics with it");
            let now = *weather;
            (weather.fail, weather.lose_answer) = (false, false);
            now
        };
        Box::pin(async move {
            if now.away || now.fail {
                return Err(unavailable());
            }
            let batch = if now.unconditional {
                Arc::new(Batch { from: self.inner.checkpoint().await?, ..Batch::clone(&batch) })
            } else {
                batch
            };
            let batch = now.drops.map_or(batch.clone(), |unwanted| Arc::new(without(&batch, unwanted)));
            let batch = if now.tampers { Arc::new(tampered(&batch)) } else { batch };
            let committed = self.inner.commit(batch).await?;
            if now.lose_answer { Err(unavailable()) } else { Ok(committed) }
        })
    }

    fn reset_checkpoint(&self, to: Checkpoint) -> Fut<'_, ()> {
        self.unless_away(|store| store.reset_checkpoint(to))
    }

    fn frames(&self, query: FrameQuery) -> Fut<'_, Vec<FrameRow>> {
        self.unless_away(|store| store.frames(query))
    }

    fn scans(&self, query: ScanQuery) -> Fut<'_, Vec<ScanRow>> {
        self.unless_away(|store| store.scans(query))
    }

    fn telling_scans(&self, after: Option<(CylinderCode, ScanCursor)>, limit: usize) -> Fut<'_, Vec<ScanRow>> {
        self.unless_away(|store| store.telling_scans(after, limit))
    }

    fn statuses(&self, query: StatusQuery) -> Fut<'_, Vec<Numbered<StatusRow>>> {
        self.unless_away(|store| store.statuses(query))
    }

    fn rejects(&self, query: RejectQuery) -> Fut<'_, Vec<Numbered<RejectRow>>> {
        self.unless_away(|store| store.rejects(query))
    }

    fn alert_events(&self, query: AlertQuery) -> Fut<'_, Vec<AlertEvent>> {
        self.unless_away(|store| store.alert_events(query))
    }

    fn alert_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<AlertEvent>> {
        self.unless_away(|store| store.alert_events_after(epoch, seq, limit))
    }

    fn alert(&self, id: AlertId) -> Fut<'_, Option<Alert>> {
        self.unless_away(|store| store.alert(id))
    }

    fn relabelled(&self, code: CylinderCode) -> Fut<'_, Vec<Entry>> {
        self.unless_away(|store| store.relabelled(code))
    }

    fn incident_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        self.unless_away(|store| store.incident_events_after(epoch, seq, limit))
    }

    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        self.unless_away(|store| store.incident_timeline(id, after, limit))
    }

    fn incident(&self, id: IncidentId) -> Fut<'_, Option<Incident>> {
        self.unless_away(|store| store.incident(id))
    }

    fn incidents(&self, query: IncidentQuery) -> Fut<'_, Vec<Incident>> {
        self.unless_away(|store| store.incidents(query))
    }

    fn reporting(&self, query: ReportingQuery) -> Fut<'_, (u64, u64)> {
        self.unless_away(|store| store.reporting(query))
    }

    fn links(&self, query: LinkQuery) -> Fut<'_, Vec<Numbered<ChainLink>>> {
        self.unless_away(|store| store.links(query))
    }

    fn visit(&self, firm: FirmId, record: RecordId) -> Fut<'_, Option<VisitRow>> {
        self.unless_away(|store| store.visit(firm, record))
    }

    fn chained(&self, after: Option<DeviceCode>, limit: usize) -> Fut<'_, Vec<DeviceCode>> {
        self.unless_away(|store| store.chained(after, limit))
    }

    fn entry(&self, kind: EntryKind, code: String) -> Fut<'_, Option<Entry>> {
        self.unless_away(|store| store.entry(kind, code))
    }

    fn entries(&self, kind: EntryKind, after: Option<String>, limit: usize) -> Fut<'_, Vec<Entry>> {
        self.unless_away(|store| store.entries(kind, after, limit))
    }

    fn lifts(&self, query: LiftQuery) -> Fut<'_, Vec<Entry>> {
        self.unless_away(|store| store.lifts(query))
    }

    fn changes(&self, query: ChangeQuery) -> Fut<'_, Vec<Numbered<ChangeRow>>> {
        self.unless_away(|store| store.changes(query))
    }

    fn due_history(&self, query: DueQuery) -> Fut<'_, Vec<Numbered<DueRow>>> {
        self.unless_away(|store| store.due_history(query))
    }

    fn due_standing(&self, query: StandingQuery) -> Fut<'_, Vec<DueRow>> {
        self.unless_away(|store| store.due_standing(query))
    }

    fn reports(&self, query: ReportQuery) -> Fut<'_, Vec<Numbered<ReportRow>>> {
        self.unless_away(|store| store.reports(query))
    }

    fn report(&self, party: Party, id: RecordId) -> Fut<'_, Option<ReportRow>> {
        self.unless_away(|store| store.report(party, id))
    }

    fn maintain(&self, now: Wall) -> Fut<'_, Maintained> {
        self.unless_away(|store| store.maintain(now))
    }

    fn ping(&self) -> Fut<'_, ()> {
        self.unless_away(|store| store.ping())
    }
}
