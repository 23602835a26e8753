//! What serving needs of the store, and a store in memory for tests.

use std::collections::BTreeMap;
use std::pin::Pin;

use crate::model::alert::{AlertEvent, Cursor};
use crate::model::archive::{Entry, EntryKind};
use crate::model::frame::FrameKey;
use crate::model::ids::{CylinderCode, DeviceCode, FirmId, RecordId, Subject};
use crate::model::incident::{Incident, IncidentEvent, IncidentId};
use crate::model::obligation::{DueRow, Party};
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, FrameRow, RejectRow, ScanRow, StatusRow};
use crate::model::time::Wall;
use crate::model::visit::{ChainLink, VisitRow};
use crate::store::{
    ChangeQuery, IncidentQuery, LiftQuery, Numbered, RejectQuery, ReportQuery, ReportingQuery, StandingCursor,
    StandingQuery,
};

pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or is too busy: later it may work.
    #[error("the database is away: {0}")]
    Away(String),
    /// It refused what was asked: a bug of ours.
    #[error("the database refused: {0}")]
    Refused(String),
}

/// Queries, each one short transaction.
pub trait HistoryStore: Send + Sync {
    /// Frames of one device in order of their marks.
    fn frames(&self, page: FramePage) -> StoreFuture<'_, Vec<FrameRow>>;

    /// What happened to one subject, in order of time. What happened in the same ms comes in an order that doesn't
    /// change from call to call.
    fn timeline(&self, page: TimelinePage) -> StoreFuture<'_, Vec<Happened>>;

    /// One incident, as its last event left it.
    fn incident(&self, id: IncidentId) -> StoreFuture<'_, Option<Incident>>;

    /// What happened to an incident, in order, behind a cursor.
    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> StoreFuture<'_, Vec<IncidentEvent>>;

    /// Incidents by when they were received.
    fn incidents(&self, query: IncidentQuery) -> StoreFuture<'_, Vec<Incident>>;

    /// How many lifts there are, and how many of them reported.
    fn reporting(&self, query: ReportingQuery) -> StoreFuture<'_, (u64, u64)>;

    /// One entry of the archive.
    fn entry(&self, kind: EntryKind, code: Box<str>) -> StoreFuture<'_, Option<Entry>>;

    /// Entries of the archive behind that code, by code.
    fn entries(&self, kind: EntryKind, after: Option<Box<str>>, limit: usize) -> StoreFuture<'_, Vec<Entry>>;

    /// Lifts by what people know of them, by code.
    fn lifts(&self, query: LiftQuery) -> StoreFuture<'_, Vec<Entry>>;

    /// Cylinders that bore the code before they were relabelled, by the code that they bear now.
    fn relabelled(&self, code: CylinderCode) -> StoreFuture<'_, Vec<Entry>>;

    /// What was changed in one entry, in the order in which it was.
    fn changes(&self, query: ChangeQuery) -> StoreFuture<'_, Vec<Numbered<ChangeRow>>>;

    /// Records of maintenance of one device in order of their marks.
    fn links(&self, page: LinkPage) -> StoreFuture<'_, Vec<(LinkMark, ChainLink)>>;

    /// The record of a firm.
    fn visit(&self, firm: FirmId, record: RecordId) -> StoreFuture<'_, Option<VisitRow>>;

    /// What was due, as it stood.
    fn due(&self, query: StandingQuery) -> StoreFuture<'_, Vec<DueRow>>;

    /// Reports on one device, in the order of their numbers.
    fn reports(&self, query: ReportQuery) -> StoreFuture<'_, Vec<Numbered<ReportRow>>>;

    /// What was set aside, in the order of its numbers.
    fn rejects(&self, query: RejectQuery) -> StoreFuture<'_, Vec<Numbered<RejectRow>>>;

    /// By the reporter's own id.
    fn report(&self, party: Party, id: RecordId) -> StoreFuture<'_, Option<ReportRow>>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPage {
    pub device: DeviceCode,
    /// Only those behind it.
    pub after: Option<LinkMark>,
    pub limit: usize,
}

/// The place of a record in its device's chain, and the store's own number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkMark {
    pub number: u64,
    pub n: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramePage {
    pub device: DeviceCode,
    /// `from` ≤ effective_at < `to`.
    pub from: Wall,
    pub to: Wall,
    /// Only those behind it.
    pub after: Option<FrameMark>,
    pub limit: usize,
}

/// The place of a frame in its device's history: frames are ordered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameMark {
    pub effective_at: Wall,
    pub generation: u32,
    pub key: FrameKey,
}

impl FrameMark {
    pub fn of(row: &FrameRow) -> Self {
        Self { effective_at: row.effective_at, generation: row.generation, key: row.frame.key }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePage {
    pub subject: Subject,
    /// `from` ≤ at < `to`.
    pub from: Wall,
    pub to: Wall,
    /// Of those at exactly `from`, how many of the first to leave out.
    pub skip: usize,
    pub limit: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    Alert(AlertEvent),
    Scan(ScanRow),
    Status(StatusRow),
    Record(ChainLink),
    /// Of its archive entry.
    Change(ChangeRow),
}

impl Happened {
    /// The time that timelines go by.
    pub fn at(&self) -> Wall {
        match self {
            Self::Alert(event) => event.at,
            Self::Scan(row) => row.effective_at,
            Self::Status(row) => row.received_at,
            Self::Record(link) => link.recorded_at(),
            Self::Change(row) => row.changed_at,
        }
    }

    fn is_of(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Alert(event), subject) => event.alert.id.subject == *subject,
            (Self::Scan(row), Subject::Cylinder(code)) => row.scan.cylinder == *code,
            (Self::Status(row), Subject::Device(code)) => row.device == *code,
            (Self::Record(link), Subject::Device(code)) => link.device() == *code,
            (Self::Change(row), subject) => {
                entry_of(subject).is_some_and(|(kind, code)| (row.kind, &*row.code) == (kind, &*code))
            }
            _ => false,
        }
    }
}

/// Where the archive has a subject.
pub fn entry_of(subject: &Subject) -> Option<(EntryKind, Box<str>)> {
    match subject {
        Subject::Device(code) => Some((EntryKind::Lift, code.as_str().into())),
        Subject::Cylinder(code) => Some((EntryKind::Cylinder, code.as_str().into())),
        Subject::Service | Subject::Incident(_) => None,
    }
}

/// A store that holds what it was built with.
#[derive(Debug, Clone, Default)]
pub struct MemoryHistory {
    pub frames: Vec<FrameRow>,
    pub happened: Vec<Happened>,
    pub entries: Vec<Entry>,
    pub incident_events: Vec<IncidentEvent>,
    pub dues: Vec<DueRow>,
    pub reports: Vec<ReportRow>,
    pub rejects: Vec<RejectRow>,
    pub changes: Vec<ChangeRow>,
    pub away: bool,
}

impl MemoryHistory {
    fn last_of_each(&self) -> BTreeMap<IncidentId, Incident> {
        self.incident_events.iter().map(|event| (event.incident.id, event.incident.clone())).collect()
    }

    fn answer<'a, T: Send + 'a>(&'a self, find: impl FnOnce() -> T) -> StoreFuture<'a, T> {
        let away = || StoreError::Away("connection refused".into());
        let result = if self.away { Err(away()) } else { Ok(find()) };
        Box::pin(std::future::ready(result))
    }
}

impl HistoryStore for MemoryHistory {
    fn frames(&self, page: FramePage) -> StoreFuture<'_, Vec<FrameRow>> {
        self.answer(|| {
            let wanted = |row: &&FrameRow| {
                row.device == page.device
                    && (page.from..page.to).contains(&row.effective_at)
                    && page.after.is_none_or(|after| FrameMark::of(row) > after)
            };
            let mut rows: Vec<_> = self.frames.iter().filter(wanted).collect();
            rows.sort_by_key(|row| FrameMark::of(row));
            rows.into_iter().take(page.limit).cloned().collect()
        })
    }

    fn timeline(&self, page: TimelinePage) -> StoreFuture<'_, Vec<Happened>> {
        self.answer(|| {
            let wanted = |h: &&Happened| h.is_of(&page.subject) && (page.from..page.to).contains(&h.at());
            let mut found: Vec<_> = self.happened.iter().filter(wanted).collect();
            found.sort_by_key(|h| h.at());
            let skip = page.skip.min(found.iter().take_while(|h| h.at() == page.from).count());
            found.into_iter().skip(skip).take(page.limit).cloned().collect()
        })
    }

    fn incident(&self, id: IncidentId) -> StoreFuture<'_, Option<Incident>> {
        self.answer(|| self.last_of_each().remove(&id))
    }

    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> StoreFuture<'_, Vec<IncidentEvent>> {
        self.answer(|| {
            let behind = self.incident_events.iter().filter(|it| it.incident.id == id && it.cursor() > after);
            behind.take(limit).cloned().collect()
        })
    }

    fn incidents(&self, query: IncidentQuery) -> StoreFuture<'_, Vec<Incident>> {
        self.answer(|| {
            let mut found: Vec<_> = self.last_of_each().into_values().collect();
            found.retain(|it| {
                (query.from..query.to).contains(&it.received_at)
                    && query.after.is_none_or(|after| (it.received_at, it.id) > after)
            });
            found.sort_by_key(|it| (it.received_at, it.id));
            found.truncate(query.limit);
            found
        })
    }

    fn reporting(&self, query: ReportingQuery) -> StoreFuture<'_, (u64, u64)> {
        self.answer(|| {
            let lifts = self.entries.iter().filter_map(|entry| match entry {
                Entry::Lift(lift) => Some(lift),
                _ => None,
            });
            let mut counts = (0, 0);
            for lift in lifts.filter(|it| query.district.is_none_or(|of| it.district.is_some_and(|d| d.is_within(&of))))
            {
                let in_range = |row: &FrameRow| (query.from..query.to).contains(&row.effective_at);
                counts.0 += 1;
                counts.1 += u64::from(self.frames.iter().any(|row| row.device == lift.code && in_range(row)));
            }
            counts
        })
    }

    fn entry(&self, kind: EntryKind, code: Box<str>) -> StoreFuture<'_, Option<Entry>> {
        self.answer(|| self.entries.iter().find(|e| e.kind() == kind && e.code() == &*code).cloned())
    }

    fn entries(&self, kind: EntryKind, after: Option<Box<str>>, limit: usize) -> StoreFuture<'_, Vec<Entry>> {
        self.answer(|| {
            let wanted = |e: &&Entry| e.kind() == kind && after.as_deref().is_none_or(|after| e.code() > after);
            let mut found: Vec<_> = self.entries.iter().filter(wanted).cloned().collect();
            found.sort_by(|a, b| a.code().cmp(b.code()));
            found.truncate(limit);
            found
        })
    }

    fn lifts(&self, query: LiftQuery) -> StoreFuture<'_, Vec<Entry>> {
        self.answer(|| {
            let is_behind = |code: &str| query.after.as_deref().is_none_or(|after| code > after);
            let wanted =
                |e: &&Entry| is_behind(e.code()) && if let Entry::Lift(lift) = e { query.fits(lift) } else { false };
            let mut found: Vec<_> = self.entries.iter().filter(wanted).cloned().collect();
            found.sort_by(|a, b| a.code().cmp(b.code()));
            found.truncate(query.limit);
            found
        })
    }

    fn relabelled(&self, code: CylinderCode) -> StoreFuture<'_, Vec<Entry>> {
        self.answer(|| {
            let bore =
                |entry: &&Entry| if let Entry::Cylinder(it) = entry { it.aliases.contains(&code) } else { false };
            let mut found: Vec<_> = self.entries.iter().filter(bore).cloned().collect();
            found.sort_by(|a, b| a.code().cmp(b.code()));
            found
        })
    }

    fn links(&self, page: LinkPage) -> StoreFuture<'_, Vec<(LinkMark, ChainLink)>> {
        self.answer(|| {
            let links = (1..).zip(&self.happened).filter_map(|(n, happened)| match happened {
                Happened::Record(link) => Some((LinkMark { number: link.number(), n }, link.clone())),
                _ => None,
            });
            let wanted = |(mark, link): &(LinkMark, ChainLink)| {
                link.device() == page.device && page.after.is_none_or(|after| *mark > after)
            };
            let mut found: Vec<_> = links.filter(wanted).collect();
            found.sort_by_key(|(mark, _)| *mark);
            found.truncate(page.limit);
            found
        })
    }

    fn changes(&self, query: ChangeQuery) -> StoreFuture<'_, Vec<Numbered<ChangeRow>>> {
        self.answer(|| {
            let numbered = (1..).zip(&self.changes).map(|(n, row)| Numbered { n, row: row.clone() });
            let wanted = |it: &Numbered<ChangeRow>| {
                (it.row.kind, &*it.row.code) == (query.kind, query.code.as_str())
                    && (query.from..query.to).contains(&it.row.changed_at)
                    && query.after.is_none_or(|n| it.n > n)
            };
            numbered.filter(wanted).take(query.limit).collect()
        })
    }

    fn visit(&self, firm: FirmId, record: RecordId) -> StoreFuture<'_, Option<VisitRow>> {
        self.answer(|| {
            self.happened.iter().find_map(|happened| match happened {
                Happened::Record(ChainLink::Visit(row)) if (row.visit.firm, row.visit.record) == (firm, record) => {
                    Some((**row).clone())
                }
                _ => None,
            })
        })
    }

    /// By what stands now, whatever the day.
    fn due(&self, query: StandingQuery) -> StoreFuture<'_, Vec<DueRow>> {
        self.answer(|| {
            let is_wanted = |row: &&DueRow| {
                let lies = |wanted| row.district.is_some_and(|own| own.is_within(wanted));
                row.due_on.is_some_and(|due| due < query.due_before)
                    && (query.kinds.is_empty() || query.kinds.contains(&row.kind))
                    && (query.districts.is_empty() || query.districts.iter().any(lies))
                    && query.subject.is_none_or(|subject| row.subject == subject)
                    && query.party.is_none_or(|party| row.party == Some(party))
                    && query.after.is_none_or(|after| StandingCursor::of(row) > after)
            };
            let mut found: Vec<_> = self.dues.iter().filter(is_wanted).cloned().collect();
            found.sort_by_key(StandingCursor::of);
            found.truncate(query.limit);
            found
        })
    }

    fn rejects(&self, query: RejectQuery) -> StoreFuture<'_, Vec<Numbered<RejectRow>>> {
        self.answer(|| {
            let numbered = (1..).zip(&self.rejects).map(|(n, row)| Numbered { n, row: row.clone() });
            let is_wanted = |it: &Numbered<RejectRow>| {
                (query.from..query.to).contains(&it.row.received_at)
                    && query.after.is_none_or(|after| it.n > after)
                    && query.topic.as_deref().is_none_or(|topic| *it.row.topic == *topic)
                    && query.reason.is_none_or(|reason| it.row.reason == reason)
            };
            numbered.filter(is_wanted).take(query.limit).collect()
        })
    }

    fn reports(&self, query: ReportQuery) -> StoreFuture<'_, Vec<Numbered<ReportRow>>> {
        self.answer(|| {
            let numbered = (1..).zip(&self.reports).map(|(n, row)| Numbered { n, row: row.clone() });
            let wanted = numbered
                .filter(|it| it.row.report.device == query.device && query.after.is_none_or(|after| it.n > after));
            wanted.take(query.limit).collect()
        })
    }

    fn report(&self, party: Party, id: RecordId) -> StoreFuture<'_, Option<ReportRow>> {
        self.answer(|| self.reports.iter().find(|row| (row.report.party, row.report.id) == (party, id)).cloned())
    }
}
