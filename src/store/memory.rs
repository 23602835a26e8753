//! History in memory, for tests: the contract in its plainest form. Nothing survives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::query::page_rows;
use super::{
    AlertCursor, AlertQuery, Batch, ChangeQuery, Checkpoint, Committed, DueQuery, FrameCursor, FrameQuery, Fut,
    IncidentQuery, LiftQuery, LinkCursor, LinkQuery, Maintained, Numbered, Options, RejectQuery, ReportQuery,
    ReportingQuery, ScanCursor, ScanQuery, SetAside, StandingCursor, StandingQuery, StatusQuery, Store, StoreError,
    retention,
};
use crate::core::cylinder::stored::TELLING;
use crate::limits;
use crate::model::alert::{Alert, AlertEvent, Cursor};
use crate::model::archive::{self, Entry, EntryKind};
use crate::model::ids::{AlertId, CylinderCode, DeviceCode, FirmId, RecordId, SiteCode, Subject};
use crate::model::incident::{Incident, IncidentEvent, IncidentId};
use crate::model::obligation::{DueRow, Party};
use crate::model::report::ReportRow;
use crate::model::row::{ChangeRow, FrameRow, Order, RejectRow, Row, ScanRow, StatusRow};
use crate::model::time::{CivilDay, Wall};
use crate::model::visit::{ChainLink, VisitRow};

pub struct MemoryStore {
    id: u128,
    options: Options,
    kept: Mutex<Kept>,
}

type LateFrame = (DeviceCode, u32, u64, Option<Wall>);
type LateScan = (SiteCode, Box<str>, u32, u64, Option<Wall>);

#[derive(Default)]
struct Kept {
    checkpoint: Option<Checkpoint>,
    /// Rows under the same cursor stay in the order in which they came.
    frames: BTreeMap<(DeviceCode, FrameCursor), Vec<FrameRow>>,
    late_frames: BTreeSet<LateFrame>,
    scans: BTreeMap<(CylinderCode, ScanCursor), Vec<ScanRow>>,
    late_scans: BTreeSet<LateScan>,
    statuses: Vec<Numbered<StatusRow>>,
    rejects: Vec<Numbered<RejectRow>>,
    changes: Vec<Numbered<ChangeRow>>,
    /// The last number given to a status, reject or change.
    dues: Vec<Due>,
    reports: Vec<Numbered<ReportRow>>,
    /// The last number given to one of these.
    last_n: u64,
    events: BTreeMap<(u32, u64), AlertEvent>,
    by_subject: BTreeMap<(Subject, AlertCursor), (u32, u64)>,
    alerts: BTreeMap<AlertId, Alert>,
    entries: BTreeMap<(EntryKind, String), Entry>,
    incident_events: BTreeMap<(u32, u64), IncidentEvent>,
    incidents: BTreeMap<IncidentId, Incident>,
    /// In the order in which they came.
    links: Vec<ChainLink>,
}

struct Due {
    n: u64,
    row: DueRow,
    /// From this day on a later row stands instead.
    until_on: Option<CivilDay>,
}

impl MemoryStore {
    pub fn new(options: Options) -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        let id = u128::from(RandomState::new().hash_one(0)) << 64 | u128::from(RandomState::new().hash_one(1));
        Self { id, options, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Kept) -> Result<T, StoreError>) -> Fut<'_, T> {
        let done = work(&mut self.kept());
        Box::pin(std::future::ready(done))
    }
}

impl Kept {
    fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        if self.checkpoint != batch.from {
            return Err(StoreError::CheckpointMoved { expected: batch.from, stored: self.checkpoint });
        }
        let events = || batch.effects.iter().flat_map(|effects| &effects.events);
        let mut numbers = BTreeSet::new();
        // Looked at before anything is changed: all of a batch is stored, or nothing.
        for event in events() {
            let number = (event.epoch, event.seq);
            if self.events.contains_key(&number) || !numbers.insert(number) {
                let detail = format!("alert event {} of epoch {} is stored already", event.seq, event.epoch);
                return Err(StoreError::refused(detail));
            }
        }
        let mut set_aside = Vec::new();
        for row in batch.effects.iter().flat_map(|effects| &effects.rows) {
            self.row(row, &mut set_aside);
        }
        events().for_each(|event| self.event(event));
        for event in batch.effects.iter().flat_map(|effects| &effects.incidents) {
            self.incident_events.insert((event.entry.epoch, event.entry.seq), event.clone());
            self.incidents.insert(event.incident.id, event.incident.clone());
        }
        self.checkpoint = Some(batch.to);
        Ok(Committed { to: batch.to.position, set_aside })
    }

    fn row(&mut self, row: &Row, set_aside: &mut Vec<SetAside>) {
        let mut unfit = |what, seq: u64| {
            let detail = format!("seq is {seq}, more than 2^63 - 1");
            set_aside.push(SetAside { what, sqlstate: "22003".to_owned(), detail });
        };
        match row {
            Row::Frame(row) => {
                let key = row.frame.key;
                if i64::try_from(key.seq).is_err() {
                    return unfit("frame", key.seq);
                }
                let late = (row.device, key.boot, key.seq, row.frame.claimed_at);
                if row.order != Order::VeryLate || self.late_frames.insert(late) {
                    self.frames.entry((row.device, FrameCursor::of(row))).or_default().push(row.clone());
                }
            }
            Row::Scan(row) => {
                let key = row.scan.key;
                if i64::try_from(key.seq).is_err() {
                    return unfit("scan", key.seq);
                }
                let late = (row.site, row.scan.scanner.clone(), key.boot, key.seq, row.scan.claimed_at);
                if row.order != Order::VeryLate || self.late_scans.insert(late) {
                    self.scans.entry((row.scan.cylinder, ScanCursor::of(row))).or_default().push(row.clone());
                }
            }
            Row::Reject(row) => {
                self.last_n += 1;
                self.rejects.push(Numbered { n: self.last_n, row: row.clone() });
            }
            Row::Status(row) => {
                self.last_n += 1;
                self.statuses.push(Numbered { n: self.last_n, row: row.clone() });
            }
            Row::Change(row) => {
                self.last_n += 1;
                self.changes.push(Numbered { n: self.last_n, row: row.clone() });
            }
            Row::Entry(entry) => {
                self.entries.insert((entry.kind(), entry.code().to_owned()), entry.clone());
            }
            Row::Due(row) => self.due(row),
            Row::Report(row) => {
                self.last_n += 1;
                self.reports.push(Numbered { n: self.last_n, row: row.clone() });
            }
            Row::Visit(row) => self.links.push(ChainLink::Visit(row.clone())),
            Row::Signature(row) => self.links.push(ChainLink::Signature(row.clone())),
        }
    }

    /// What stood before it stands no more.
    fn due(&mut self, row: &DueRow) {
        let same = |due: &&mut Due| StandingCursor::of(&due.row) == StandingCursor::of(row);
        for due in self.dues.iter_mut().filter(same) {
            due.until_on = Some(due.until_on.map_or(row.recorded_on, |until| until.min(row.recorded_on)));
        }
        self.last_n += 1;
        self.dues.push(Due { n: self.last_n, row: row.clone(), until_on: None });
    }

    fn event(&mut self, event: &AlertEvent) {
        let number = (event.epoch, event.seq);
        self.events.insert(number, event.clone());
        self.by_subject.insert((event.alert.id.subject, AlertCursor::of(event)), number);
        self.alerts.insert(event.alert.id.clone(), event.alert.clone());
    }

    fn maintain(&mut self, now: Wall, options: &Options) -> Maintained {
        let before = self.size();
        let cutoff = |days: Option<u32>| days.map_or(Wall(i64::MIN), |days| retention::cutoff(now, days));
        let (frames, evidence) = (cutoff(options.frame_retention_days), cutoff(options.evidence_retention_days));
        let events = &self.events;
        let is_evidence = |row: &FrameRow| {
            let subject = Subject::Device(row.device);
            let mut own = events.values().filter(|event| event.alert.id.subject == subject);
            own.any(|event| retention::is_around(row.effective_at, event.at))
        };
        self.frames.values_mut().for_each(|rows| {
            rows.retain(|row| row.received_at >= frames || (row.received_at >= evidence && is_evidence(row)));
        });
        self.frames.retain(|_, rows| !rows.is_empty());
        self.statuses.retain(|status| status.row.received_at >= frames);
        let rejects = cutoff(options.reject_retention_days);
        self.rejects.retain(|reject| reject.row.received_at >= rejects);
        let scans = cutoff(options.scan_retention_days);
        self.scans.values_mut().for_each(|rows| rows.retain(|row| row.received_at >= scans));
        self.scans.retain(|_, rows| !rows.is_empty());
        let alerts = cutoff(options.alert_retention_days);
        self.forget_alerts(alerts);
        self.forget_incidents(alerts);
        self.reports.retain(|report| report.row.recorded_at >= alerts);
        let first_day = retention::first_day(alerts);
        self.dues.retain(|due| due.until_on.is_none_or(|until| until >= first_day));
        Maintained { rows_deleted: (before - self.size()) as u64, ..Maintained::default() }
    }

    /// Events go from the oldest on, without leaving gaps; alerts once they have been cleared for long enough.
    fn forget_alerts(&mut self, cutoff: Wall) {
        let first_kept = self.events.iter().find(|(_, event)| event.published_at >= cutoff).map(|(number, _)| *number);
        self.events = first_kept.map_or_else(BTreeMap::new, |first| self.events.split_off(&first));
        let events = &self.events;
        self.by_subject.retain(|_, number| events.contains_key(number));
        self.alerts.retain(|_, alert| alert.cleared_at.is_none_or(|at| at >= cutoff));
    }

    /// Likewise; those that go on stay.
    fn forget_incidents(&mut self, cutoff: Wall) {
        let first_kept = self.incident_events.iter().find(|(_, event)| event.entry.at >= cutoff).map(|(at, _)| *at);
        self.incident_events = first_kept.map_or_else(BTreeMap::new, |first| self.incident_events.split_off(&first));
        self.incidents.retain(|_, it| !it.state.is_over() || it.changed_at >= cutoff);
    }

    fn size(&self) -> usize {
        let (frames, scans) = (self.frames.values().map(Vec::len), self.scans.values().map(Vec::len));
        let rows = frames.sum::<usize>() + scans.sum::<usize>() + self.statuses.len() + self.rejects.len();
        let incidents = self.incident_events.len() + self.incidents.len();
        rows + self.events.len() + self.alerts.len() + self.dues.len() + self.reports.len() + incidents
    }
}

impl Store for MemoryStore {
    fn id(&self) -> Fut<'_, u128> {
        self.with(|_| Ok(self.id))
    }

    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>> {
        self.with(|kept| Ok(kept.checkpoint))
    }

    fn commit(&self, batch: Arc<Batch>) -> Fut<'_, Committed> {
        self.with(|kept| kept.commit(&batch))
    }

    fn reset_checkpoint(&self, to: Checkpoint) -> Fut<'_, ()> {
        self.with(|kept| {
            kept.checkpoint = Some(to);
            Ok(())
        })
    }

    fn frames(&self, query: FrameQuery) -> Fut<'_, Vec<FrameRow>> {
        self.with(|kept| {
            let wanted = kept.frames.iter().filter(|((device, cursor), _)| {
                *device == query.device
                    && (query.from..query.to).contains(&cursor.effective_at)
                    && query.after.is_none_or(|after| *cursor > after)
            });
            Ok(wanted.flat_map(|(_, rows)| rows.clone()).take(page_rows(query.limit)).collect())
        })
    }

    fn scans(&self, query: ScanQuery) -> Fut<'_, Vec<ScanRow>> {
        self.with(|kept| {
            let wanted = kept.scans.iter().filter(|((cylinder, cursor), _)| {
                *cylinder == query.cylinder
                    && (query.from..query.to).contains(&cursor.effective_at)
                    && query.after.as_ref().is_none_or(|after| cursor > after)
            });
            Ok(wanted.flat_map(|(_, rows)| rows.clone()).take(page_rows(query.limit)).collect())
        })
    }

    fn telling_scans(&self, after: Option<(CylinderCode, ScanCursor)>, limit: usize) -> Fut<'_, Vec<ScanRow>> {
        self.with(|kept| {
            let wanted = kept.scans.iter().filter(|(place, _)| after.as_ref().is_none_or(|after| *place > after));
            let rows = wanted.flat_map(|(_, rows)| rows.clone()).filter(|row| TELLING.contains(&row.scan.event));
            Ok(rows.take(page_rows(limit)).collect())
        })
    }

    fn statuses(&self, query: StatusQuery) -> Fut<'_, Vec<Numbered<StatusRow>>> {
        self.with(|kept| {
            let wanted = kept.statuses.iter().filter(|status| {
                status.row.device == query.device
                    && (query.from..query.to).contains(&status.row.received_at)
                    && query.after.is_none_or(|after| status.n > after)
            });
            Ok(wanted.take(page_rows(query.limit)).cloned().collect())
        })
    }

    fn rejects(&self, query: RejectQuery) -> Fut<'_, Vec<Numbered<RejectRow>>> {
        self.with(|kept| {
            let wanted = kept.rejects.iter().filter(|reject| {
                (query.from..query.to).contains(&reject.row.received_at)
                    && query.after.is_none_or(|after| reject.n > after)
                    && query.topic.as_deref().is_none_or(|topic| *reject.row.topic == *topic)
                    && query.reason.is_none_or(|reason| reject.row.reason == reason)
            });
            Ok(wanted.take(page_rows(query.limit)).cloned().collect())
        })
    }

    fn alert_events(&self, query: AlertQuery) -> Fut<'_, Vec<AlertEvent>> {
        self.with(|kept| {
            let wanted = kept.by_subject.iter().filter(|((subject, cursor), _)| {
                *subject == query.subject
                    && (query.from..query.to).contains(&cursor.at)
                    && query.after.is_none_or(|after| *cursor > after)
            });
            Ok(wanted.map(|(_, number)| kept.events[number].clone()).take(page_rows(query.limit)).collect())
        })
    }

    fn alert_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<AlertEvent>> {
        self.with(|kept| {
            let later = kept.events.range((epoch, seq)..=(epoch, u64::MAX));
            let later = later.filter(|(number, _)| number.1 > seq).map(|(_, event)| event.clone());
            Ok(later.take(page_rows(limit)).collect())
        })
    }

    fn alert(&self, id: AlertId) -> Fut<'_, Option<Alert>> {
        self.with(|kept| Ok(kept.alerts.get(&id).cloned()))
    }

    fn incident_events_after(&self, epoch: u32, seq: u64, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        self.with(|kept| {
            let later = kept.incident_events.range((epoch, seq)..=(epoch, u64::MAX)).filter(|(at, _)| at.1 > seq);
            Ok(later.map(|(_, event)| event.clone()).take(page_rows(limit)).collect())
        })
    }

    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> Fut<'_, Vec<IncidentEvent>> {
        self.with(|kept| {
            let later = kept.incident_events.values().filter(|event| event.incident.id == id && event.cursor() > after);
            Ok(later.take(page_rows(limit)).cloned().collect())
        })
    }

    fn incident(&self, id: IncidentId) -> Fut<'_, Option<Incident>> {
        self.with(|kept| Ok(kept.incidents.get(&id).cloned()))
    }

    fn incidents(&self, query: IncidentQuery) -> Fut<'_, Vec<Incident>> {
        self.with(|kept| {
            let mut wanted: Vec<_> = kept.incidents.values().map(|it| ((it.received_at, it.id), it)).collect();
            wanted.retain(|(key, it)| {
                (query.from..query.to).contains(&it.received_at) && query.after.is_none_or(|after| *key > after)
            });
            wanted.sort_by_key(|(key, _)| *key);
            Ok(wanted.into_iter().take(page_rows(query.limit)).map(|(_, it)| it.clone()).collect())
        })
    }

    fn reporting(&self, query: ReportingQuery) -> Fut<'_, (u64, u64)> {
        self.with(|kept| {
            let lifts = kept.entries.values().filter_map(|entry| match entry {
                Entry::Lift(lift) => Some(lift),
                _ => None,
            });
            let is_wanted = |lift: &&archive::Lift| {
                query.district.is_none_or(|wanted| lift.district.is_some_and(|own| own.is_within(&wanted)))
                    && query.firm.is_none_or(|wanted| lift.firm == Some(wanted))
            };
            let range = query.from..query.to;
            let mut counts = (0, 0);
            for lift in lifts.filter(is_wanted) {
                let mut frames = kept.frames.keys().filter(|(device, _)| *device == lift.code);
                counts.0 += 1;
                counts.1 += u64::from(frames.any(|(_, at)| range.contains(&at.effective_at)));
            }
            Ok(counts)
        })
    }

    fn entry(&self, kind: EntryKind, code: String) -> Fut<'_, Option<Entry>> {
        self.with(|kept| Ok(kept.entries.get(&(kind, code)).cloned()))
    }

    fn entries(&self, kind: EntryKind, after: Option<String>, limit: usize) -> Fut<'_, Vec<Entry>> {
        self.with(|kept| {
            let wanted = kept
                .entries
                .iter()
                .filter(|((own, code), _)| *own == kind && after.as_ref().is_none_or(|after| code > after));
            Ok(wanted.take(page_rows(limit)).map(|(_, entry)| entry.clone()).collect())
        })
    }

    fn lifts(&self, query: LiftQuery) -> Fut<'_, Vec<Entry>> {
        self.with(|kept| {
            let fits = |entry: &Entry| match entry {
                Entry::Lift(lift) => {
                    query.fits(lift) && query.after.as_deref().is_none_or(|after| lift.code.as_str() > after)
                }
                _ => false,
            };
            let found = kept.entries.values().filter(|entry| fits(entry));
            Ok(found.take(page_rows(query.limit)).cloned().collect())
        })
    }

    fn relabelled(&self, code: CylinderCode) -> Fut<'_, Vec<Entry>> {
        self.with(|kept| {
            let bore =
                |entry: &&Entry| if let Entry::Cylinder(it) = entry { it.aliases.contains(&code) } else { false };
            Ok(kept.entries.values().filter(bore).take(limits::RELABELLED).cloned().collect())
        })
    }

    fn changes(&self, query: ChangeQuery) -> Fut<'_, Vec<Numbered<ChangeRow>>> {
        self.with(|kept| {
            let wanted = kept.changes.iter().filter(|change| {
                (change.row.kind, &*change.row.code) == (query.kind, query.code.as_str())
                    && (query.from..query.to).contains(&change.row.changed_at)
                    && query.after.is_none_or(|after| change.n > after)
            });
            Ok(wanted.take(page_rows(query.limit)).cloned().collect())
        })
    }

    fn due_history(&self, query: DueQuery) -> Fut<'_, Vec<Numbered<DueRow>>> {
        self.with(|kept| {
            let wanted = kept
                .dues
                .iter()
                .filter(|due| due.row.subject == query.subject && query.after.is_none_or(|after| due.n > after));
            let wanted = wanted.map(|due| Numbered { n: due.n, row: due.row.clone() });
            Ok(wanted.take(page_rows(query.limit)).collect())
        })
    }

    fn due_standing(&self, query: StandingQuery) -> Fut<'_, Vec<DueRow>> {
        self.with(|kept| {
            let stood =
                |due: &&Due| due.row.recorded_on <= query.as_of && due.until_on.is_none_or(|until| until > query.as_of);
            let is_wanted = |row: &&DueRow| {
                let lies = |wanted| row.district.is_some_and(|own| own.is_within(wanted));
                row.due_on.is_some_and(|due| due < query.due_before)
                    && query.subject.is_none_or(|subject| row.subject == subject)
                    && (query.kinds.is_empty() || query.kinds.contains(&row.kind))
                    && (query.districts.is_empty() || query.districts.iter().any(lies))
                    && query.party.is_none_or(|party| row.party == Some(party))
                    && query.after.is_none_or(|after| StandingCursor::of(row) > after)
            };
            let wanted = kept.dues.iter().filter(stood).map(|due| &due.row).filter(is_wanted);
            let wanted: BTreeMap<_, _> = wanted.map(|row| (StandingCursor::of(row), row.clone())).collect();
            Ok(wanted.into_values().take(page_rows(query.limit)).collect())
        })
    }

    fn reports(&self, query: ReportQuery) -> Fut<'_, Vec<Numbered<ReportRow>>> {
        self.with(|kept| {
            let wanted = kept.reports.iter().filter(|report| {
                report.row.report.device == query.device && query.after.is_none_or(|after| report.n > after)
            });
            Ok(wanted.take(page_rows(query.limit)).cloned().collect())
        })
    }

    fn report(&self, party: Party, id: RecordId) -> Fut<'_, Option<ReportRow>> {
        self.with(|kept| {
            let mut rows = kept.reports.iter().map(|report| &report.row);
            Ok(rows.find(|row| row.report.party == party && row.report.id == id).cloned())
        })
    }

    fn links(&self, query: LinkQuery) -> Fut<'_, Vec<Numbered<ChainLink>>> {
        self.with(|kept| {
            let all = (1..).zip(&kept.links).filter(|(_, link)| link.device() == query.device);
            let all = all.filter(|(_, link)| (query.from..query.to).contains(&link.recorded_at()));
            let cursor = |n: u64, link: &ChainLink| LinkCursor { number: link.number(), n };
            let mut found: Vec<_> =
                all.filter(|(n, link)| query.after.is_none_or(|after| cursor(*n, link) > after)).collect();
            found.sort_by_key(|(n, link)| cursor(*n, link));
            found.truncate(page_rows(query.limit));
            Ok(found.into_iter().map(|(n, link)| Numbered { n, row: link.clone() }).collect())
        })
    }

    fn visit(&self, firm: FirmId, record: RecordId) -> Fut<'_, Option<VisitRow>> {
        self.with(|kept| {
            let visits = kept.links.iter().filter_map(|link| match link {
                ChainLink::Visit(row) => Some(row),
                ChainLink::Signature(_) => None,
            });
            let mut wanted = visits.filter(|row| (row.visit.firm, row.visit.record) == (firm, record));
            Ok(wanted.next().map(|row| (**row).clone()))
        })
    }

    fn chained(&self, after: Option<DeviceCode>, limit: usize) -> Fut<'_, Vec<DeviceCode>> {
        self.with(|kept| {
            let all: BTreeSet<DeviceCode> = kept.links.iter().map(ChainLink::device).collect();
            let wanted = all.into_iter().filter(|device| after.is_none_or(|after| *device > after));
            Ok(wanted.take(page_rows(limit)).collect())
        })
    }

    fn maintain(&self, now: Wall) -> Fut<'_, Maintained> {
        self.with(|kept| Ok(kept.maintain(now, &self.options)))
    }

    fn ping(&self) -> Fut<'_, ()> {
        self.with(|_| Ok(()))
    }
}
