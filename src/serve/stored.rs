//! The store as serving needs it.

use std::sync::Arc;

use super::history::{
    FrameMark, FramePage, Happened, HistoryStore, LinkMark, LinkPage, StoreError, StoreFuture, TimelinePage, entry_of,
};
use crate::limits;
use crate::model::alert::{AlertEvent, Cursor};
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::{CylinderCode, DeviceCode, FirmId, RecordId, Subject};
use crate::model::incident::{Incident, IncidentEvent, IncidentId};
use crate::model::obligation::{DueRow, Party};
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, FrameRow, RejectRow, ScanRow};
use crate::model::time::Wall;
use crate::store::{
    self, AlertCursor, AlertQuery, ChangeQuery, FrameCursor, FrameQuery, IncidentQuery, LiftQuery, LinkCursor,
    LinkQuery, Numbered, RejectQuery, ReportQuery, ReportingQuery, ScanCursor, ScanQuery, StandingQuery, StatusQuery,
    Store,
};

use crate::model::visit::{ChainLink, VisitRow};

pub struct Stored(pub Arc<dyn Store>);

impl HistoryStore for Stored {
    fn frames(&self, page: FramePage) -> StoreFuture<'_, Vec<FrameRow>> {
        let FramePage { device, from, to, after, limit } = page;
        let query = FrameQuery { device, from, to, after: after.map(cursor), limit };
        Box::pin(async move { self.0.frames(query).await.map_err(away) })
    }

    fn timeline(&self, page: TimelinePage) -> StoreFuture<'_, Vec<Happened>> {
        Box::pin(self.read_timeline(page))
    }

    fn incident(&self, id: IncidentId) -> StoreFuture<'_, Option<Incident>> {
        Box::pin(async move { self.0.incident(id).await.map_err(away) })
    }

    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> StoreFuture<'_, Vec<IncidentEvent>> {
        Box::pin(async move { self.0.incident_timeline(id, after, limit).await.map_err(away) })
    }

    fn incidents(&self, query: IncidentQuery) -> StoreFuture<'_, Vec<Incident>> {
        Box::pin(async move { self.0.incidents(query).await.map_err(away) })
    }

    fn reporting(&self, query: ReportingQuery) -> StoreFuture<'_, (u64, u64)> {
        Box::pin(async move { self.0.reporting(query).await.map_err(away) })
    }

    fn entry(&self, kind: EntryKind, code: Box<str>) -> StoreFuture<'_, Option<Entry>> {
        Box::pin(async move { self.0.entry(kind, code.into()).await.map_err(away) })
    }

    fn entries(&self, kind: EntryKind, after: Option<Box<str>>, limit: usize) -> StoreFuture<'_, Vec<Entry>> {
        Box::pin(async move { self.0.entries(kind, after.map(Into::into), limit).await.map_err(away) })
    }

    fn lifts(&self, query: LiftQuery) -> StoreFuture<'_, Vec<Entry>> {
        Box::pin(async move { self.0.lifts(query).await.map_err(away) })
    }

    fn relabelled(&self, code: CylinderCode) -> StoreFuture<'_, Vec<Entry>> {
        Box::pin(async move { self.0.relabelled(code).await.map_err(away) })
    }

    fn changes(&self, query: ChangeQuery) -> StoreFuture<'_, Vec<Numbered<ChangeRow>>> {
        Box::pin(async move { self.0.changes(query).await.map_err(away) })
    }

    fn links(&self, page: LinkPage) -> StoreFuture<'_, Vec<(LinkMark, ChainLink)>> {
        let LinkPage { device, after, limit } = page;
        let after = after.map(|LinkMark { number, n }| LinkCursor { number, n });
        let query = LinkQuery { device, from: Wall(i64::MIN), to: Wall::MAX, after, limit };
        Box::pin(async move {
            let found = self.0.links(query).await.map_err(away)?;
            Ok(found.into_iter().map(|link| (LinkMark { number: link.row.number(), n: link.n }, link.row)).collect())
        })
    }

    fn visit(&self, firm: FirmId, record: RecordId) -> StoreFuture<'_, Option<VisitRow>> {
        Box::pin(async move { self.0.visit(firm, record).await.map_err(away) })
    }

    fn due(&self, query: StandingQuery) -> StoreFuture<'_, Vec<DueRow>> {
        Box::pin(async move { self.0.due_standing(query).await.map_err(away) })
    }

    fn rejects(&self, query: RejectQuery) -> StoreFuture<'_, Vec<Numbered<RejectRow>>> {
        Box::pin(async move { self.0.rejects(query).await.map_err(away) })
    }

    fn reports(&self, query: ReportQuery) -> StoreFuture<'_, Vec<Numbered<ReportRow>>> {
        Box::pin(async move { self.0.reports(query).await.map_err(away) })
    }

    fn report(&self, party: Party, id: RecordId) -> StoreFuture<'_, Option<ReportRow>> {
        Box::pin(async move { self.0.report(party, id).await.map_err(away) })
    }
}

impl Stored {
    async fn read_timeline(&self, page: TimelinePage) -> Result<Vec<Happened>, StoreError> {
        let TimelinePage { subject, from, to, skip, limit } = page;
        let wanted = skip.saturating_add(limit);
        let mut happened = self.alerts(subject, from, to, wanted).await.map_err(away)?;
        // What happened in the same ms comes in the order of these, and page tokens count on that: what is new comes last.
        match subject {
            Subject::Device(device) => {
                happened.extend(self.statuses(device, from, to, wanted).await.map_err(away)?);
                happened.extend(self.records(device, from, to, wanted).await.map_err(away)?);
            }
            Subject::Cylinder(cylinder) => happened.extend(self.scans(cylinder, from, to, wanted).await.map_err(away)?),
            Subject::Service | Subject::Incident(_) => {}
        }
        if let Some((kind, code)) = entry_of(&subject) {
            happened.extend(self.entry_changes(kind, &code, from, to, wanted).await.map_err(away)?);
        }
        // Stable: what happened in the same ms stays in the order of the store.
        happened.sort_by_key(Happened::at);
        Ok(happened.into_iter().skip(skip).take(limit).collect())
    }

    async fn alerts(&self, subject: Subject, from: Wall, to: Wall, wanted: usize) -> Found {
        let mut found: Vec<AlertEvent> = Vec::new();
        while found.len() < wanted {
            let (after, limit) = (found.last().map(AlertCursor::of), page(wanted - found.len()));
            let next = self.0.alert_events(AlertQuery { subject, from, to, after, limit }).await?;
            let is_last = next.len() < limit;
            found.extend(next);
            if is_last {
                break;
            }
        }
        Ok(found.into_iter().map(Happened::Alert).collect())
    }

    async fn statuses(&self, device: DeviceCode, from: Wall, to: Wall, wanted: usize) -> Found {
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < wanted {
            let limit = page(wanted - found.len());
            let next = self.0.statuses(StatusQuery { device, from, to, after, limit }).await?;
            after = next.last().map(|last| last.n);
            let is_last = next.len() < limit;
            found.extend(next.into_iter().map(|status| Happened::Status(status.row)));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn records(&self, device: DeviceCode, from: Wall, to: Wall, wanted: usize) -> Found {
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < wanted {
            let limit = page(wanted - found.len());
            let next = self.0.links(LinkQuery { device, from, to, after, limit }).await?;
            after = next.last().map(LinkCursor::of);
            let is_last = next.len() < limit;
            found.extend(next.into_iter().map(|link| Happened::Record(link.row)));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn entry_changes(&self, kind: EntryKind, code: &str, from: Wall, to: Wall, wanted: usize) -> Found {
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < wanted {
            let limit = page(wanted - found.len());
            let next = self.0.changes(ChangeQuery { kind, code: code.into(), from, to, after, limit }).await?;
            after = next.last().map(|last| last.n);
            let is_last = next.len() < limit;
            found.extend(next.into_iter().map(|change| Happened::Change(change.row)));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn scans(&self, cylinder: CylinderCode, from: Wall, to: Wall, wanted: usize) -> Found {
        let mut found: Vec<ScanRow> = Vec::new();
        while found.len() < wanted {
            let (after, limit) = (found.last().map(ScanCursor::of), page(wanted - found.len()));
            let next = self.0.scans(ScanQuery { cylinder, from, to, after, limit }).await?;
            let is_last = next.len() < limit;
            found.extend(next);
            if is_last {
                break;
            }
        }
        Ok(found.into_iter().map(Happened::Scan).collect())
    }
}

type Found = Result<Vec<Happened>, store::StoreError>;

fn page(wanted: usize) -> usize {
    wanted.min(limits::PAGE_ROWS)
}

/// Behind everything that has this mark: a very late frame that repeats one stands with it.
fn cursor(mark: FrameMark) -> FrameCursor {
    let FrameMark { effective_at, generation, key } = mark;
    let (boot, seq) = (key.boot, key.seq);
    FrameCursor { effective_at, generation, boot, seq, arrival_order: i16::MAX, claimed_at: None }
}

fn away(error: store::StoreError) -> StoreError {
    if error.is_transient() { StoreError::Away(error.to_string()) } else { StoreError::Refused(error.to_string()) }
}
