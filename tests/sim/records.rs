//! What must become of records, signatures and reports, item by item, and what a lift must be known to lack because of
//! them.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use vigil::limits;
use vigil::model::actor::{Actor, Scope};
use vigil::model::archive::{Lift, SiteKind, Worker};
use vigil::model::ids::{FirmId, RecordId};
use vigil::model::obligation::Party;
use vigil::model::report::{Report, ReportKind, ReportRow, ReportUpload};
use vigil::model::row::Row;
use vigil::model::time::{CivilDay, Elapsed};
use vigil::model::visit::{
    Digest, ItemResult, Problem, Sign, SignatureRow, Upload, Visit, VisitFlag, VisitKind, VisitRow,
};

use crate::cylinders::day;
use crate::faults::Fault;
use crate::ledger::{Answer, At, Item, Ledger, Taken};
use crate::links;

/// Of older work nobody knows any more whether it was told, but the store.
const KNOWN_DAYS: i32 = 390;
const AHEAD_MS: i64 = 5 * 60_000;
const DAY_MS: i64 = 86_400_000;
/// Items of a traction lift's list, `t01` on, by the kind of visit.
const ITEMS: [(VisitKind, usize); 4] =
    [(VisitKind::HalfMonth, 31), (VisitKind::Quarter, 44), (VisitKind::HalfYear, 59), (VisitKind::Year, 76)];

pub(crate) fn item(number: usize) -> String {
    format!("t{number:02}")
}

pub(crate) fn items_of(kind: VisitKind) -> usize {
    ITEMS.iter().find(|(own, _)| *own == kind).map_or(0, |(_, items)| *items)
}

type Name = (FirmId, RecordId);

/// What is known of a lift by its records and reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    links: u64,
    head: Digest,
    unsigned: Vec<(Name, u64, Elapsed)>,
    /// With the records that said they were rectified: open without any.
    hazards: Vec<(Name, Vec<Name>)>,
    /// Those that can still be corrected, by the day on which it was done.
    reports: Vec<(CivilDay, (Party, RecordId))>,
    /// Of each kind of `ITEMS` the last visits, which can still be taken back by a correction, and the last day of those
    /// before.
    visits: [Vec<(CivilDay, u32, Name)>; 4],
    visited_before: [Option<CivilDay>; 4],
    /// Those that passed and weren't corrected.
    pub(crate) drills: Vec<(CivilDay, (Party, RecordId))>,
    /// Something that has dates was first told of it.
    pub(crate) known_since: Option<CivilDay>,
    pub(crate) maintained_from: Option<CivilDay>,
    /// Years of inspection may be counted: what is due isn't the archive's date alone.
    pub(crate) has_years: bool,
}

impl File {
    pub(crate) fn chain(&self) -> (u64, Digest) {
        (self.links, self.head)
    }

    pub(crate) fn has_hazard(&self) -> bool {
        self.hazards.iter().any(|(_, by)| by.is_empty())
    }

    /// The last day of a visit of a kind, or of a greater one.
    pub(crate) fn visited_on(&self, kind: usize) -> Option<CivilDay> {
        let last = self.visits[kind..].iter().flatten().map(|(on, ..)| *on).max();
        last.max(self.visited_before[kind..].iter().flatten().copied().max())
    }

    fn note_visit(&mut self, kind: usize, on: CivilDay, name: Name) {
        // Of several on one day it is chance which goes first: by a part of the digest of its name, as in the service.
        let digest = Sha256::digest(format!("{}/{}", name.0, name.1).as_bytes());
        let chance = u32::from_be_bytes(digest[12..16].try_into().expect("they are four"));
        self.visits[kind].push((on, chance, name));
        self.visits[kind].sort();
        if self.visits[kind].len() > limits::VISITS_REMEMBERED {
            let (oldest, ..) = self.visits[kind].remove(0);
            self.visited_before[kind] = self.visited_before[kind].max(Some(oldest));
        }
    }

    /// Since when the oldest record has waited for a signature.
    pub(crate) fn unsigned_since(&self) -> Option<Elapsed> {
        self.unsigned.iter().map(|(_, _, since)| *since).min()
    }

    /// Nothing is left open of it, and what it ended is open again. Whether there is any such.
    fn take_back(&mut self, name: Name) -> bool {
        self.unsigned.retain(|(own, ..)| *own != name);
        self.hazards.retain(|(own, _)| *own != name);
        let mut is_back = false;
        for (_, by) in &mut self.hazards {
            let was_open = by.is_empty();
            by.retain(|own| *own != name);
            is_back |= !was_open && by.is_empty();
        }
        is_back
    }

    /// No more than this is remembered; the oldest go first.
    fn bound_hazards(&mut self) {
        for (is_open, most) in [(true, limits::OPEN_HAZARDS), (false, limits::RECTIFIED_HAZARDS)] {
            while self.hazards.iter().filter(|(_, by)| by.is_empty() == is_open).count() > most {
                let oldest = self.hazards.iter().position(|(_, by)| by.is_empty() == is_open).expect("there are some");
                self.hazards.remove(oldest);
            }
        }
    }
}

impl Ledger {
    pub(crate) fn note_entry(&mut self, at: At, entry: &Lift) {
        let file = self.files.entry(entry.code).or_default();
        file.has_years |= entry.base_on.is_some() || entry.inspected_on.is_some();
        let has_dates = entry.contract.is_some()
            || entry.out_of_use_since.is_some()
            || entry.base_on.or(entry.inspected_on).or(entry.inspection_due).is_some();
        if has_dates {
            file.known_since.get_or_insert(at.today());
        }
        if let Some(contract) = entry.contract {
            file.maintained_from.get_or_insert(contract.from);
        }
    }

    pub(crate) fn upload_visits(&mut self, at: At, actor: &Actor, uploads: &[Upload]) -> (Vec<Row>, Answer) {
        let (mut rows, mut items) = (Vec::new(), Vec::new());
        for upload in uploads {
            let item = match self.refusal_of_visit(at, actor, upload) {
                Some(refusal) => refusal,
                None => {
                    let flags = self.flags(&upload.visit);
                    let names = flags.iter().map(|flag| flag.name()).collect();
                    rows.push(self.link(at, upload, flags));
                    Item::Taken(names)
                }
            };
            self.counted.extend(match &item {
                Item::Taken(_) => None,
                Item::Known => Some(Fault::RecordRepeated),
                Item::Exists => Some(Fault::RecordOfOtherContent),
                _ => Some(Fault::RecordRefused),
            });
            items.push(item);
        }
        (rows, Answer::Items(items))
    }

    fn refusal_of_visit(&self, at: At, actor: &Actor, upload: &Upload) -> Option<Item> {
        let Upload { visit, looked_up, .. } = upload;
        if matches!(&actor.scope, Scope::Firm(own) if *own != visit.firm) {
            return Some(Item::Denied);
        }
        if let Some(known) = self.visits.get(&(visit.firm, visit.record)) {
            return Some(if known.said == *visit { Item::Known } else { Item::Exists });
        }
        if !looked_up && at.today().0 - day(visit.ended_at).0 > KNOWN_DAYS {
            return Some(Item::Precondition);
        }
        if !self.lifts.contains_key(&visit.device) {
            return Some(Item::NotFound);
        }
        let faults = faults_of_visit(visit, at);
        if !faults.is_empty() {
            return Some(Item::Invalid(faults.into_iter().collect()));
        }
        match visit.supersedes.map(|old| self.visits.get(&(visit.firm, old))) {
            Some(None) => return Some(Item::NotFound),
            Some(Some(old)) if (old.superseded && !self.corrects_twice) || old.said.device != visit.device => {
                return Some(Item::Precondition);
            }
            _ => {}
        }
        let is_there =
            |id: &RecordId| self.visits.get(&(visit.firm, *id)).is_some_and(|other| other.said.device == visit.device);
        if visit.rectifies.iter().all(is_there) { None } else { Some(Item::NotFound) }
    }

    /// Ascending.
    fn flags(&self, visit: &Visit) -> Vec<VisitFlag> {
        let on = day(visit.ended_at);
        let entry = &self.lifts[&visit.device];
        let mut flags = BTreeSet::new();
        let mut set = |is: bool, flag| is.then(|| flags.insert(flag));
        set(
            visit.problem == Problem::None && visit.items.iter().any(|it| it.result == ItemResult::Failed),
            VisitFlag::FailedWithoutProblem,
        );
        set(!self.firms.contains_key(&visit.firm), VisitFlag::FirmUnknown);
        let is_contracted = entry.firm == Some(visit.firm) && entry.contract.is_none_or(|contract| contract.covers(on));
        set(!is_contracted, VisitFlag::NotContracted);
        for id in &visit.workers {
            let worker = self.workers.get(id);
            set(worker.is_none(), VisitFlag::WorkerUnknown);
            set(worker.is_some_and(|it: &Worker| it.firm != Some(visit.firm)), VisitFlag::ForeignWorker);
            let is_good = |it: &Worker| it.certified_until.is_some_and(|until| on <= until);
            set(worker.is_some_and(|it| !is_good(it)), VisitFlag::CertificateExpired);
        }
        flags.into_iter().collect()
    }

    /// Takes it, and says how it stands in its lift's chain.
    fn link(&mut self, at: At, upload: &Upload, flags: Vec<VisitFlag>) -> Row {
        let visit = &upload.visit;
        let name = (visit.firm, visit.record);
        self.visits.insert(name, Taken { said: visit.clone(), superseded: false });
        let file = self.files.entry(visit.device).or_default();
        let mut counted = vec![Fault::RecordUploaded];
        if let Some(old) = visit.supersedes.map(|old| (visit.firm, old)) {
            counted.push(Fault::RecordCorrected);
            self.visits.get_mut(&old).expect("it was looked for").superseded = true;
            if file.take_back(old) {
                counted.push(Fault::HazardTakenBack);
            }
            file.visits.iter_mut().for_each(|visits| visits.retain(|(.., own)| *own != old));
            file.known_since.get_or_insert(at.today());
        }
        for old in &visit.rectifies {
            counted.push(Fault::HazardRectified);
            for (_, by) in file.hazards.iter_mut().filter(|(own, _)| *own == (visit.firm, *old)) {
                by.push(name);
                let spare = by.len().saturating_sub(limits::RECTIFIED_BY);
                by.drain(..spare);
            }
        }
        let number = file.links + 1;
        file.unsigned.push((name, number, at.elapsed));
        if file.unsigned.len() > limits::UNSIGNED_RECORDS {
            file.unsigned.remove(0);
        }
        if visit.problem != Problem::None {
            counted.push(Fault::HazardReported);
            file.hazards.push((name, Vec::new()));
        }
        file.bound_hazards();
        // A visit on demand is the half-monthly one of its contract.
        let kind = if visit.kind == VisitKind::OnDemand { VisitKind::HalfMonth } else { visit.kind };
        if let Some(nth) = ITEMS.iter().position(|(own, _)| *own == kind) {
            file.note_visit(nth, day(visit.ended_at), name);
            file.known_since.get_or_insert(at.today());
        }
        let mut row = VisitRow {
            visit: visit.clone(),
            number,
            recorded_at: at.wall,
            flags,
            people_digest: Digest::default(),
            salt: (!visit.people.is_empty()).then_some(upload.salt),
            link: Digest::default(),
        };
        row.people_digest = links::people(&row);
        row.link = links::visit(&file.head, &row);
        (file.links, file.head) = (number, row.link);
        self.counted.extend(counted);
        Row::Visit(Box::new(row))
    }

    pub(crate) fn sign(&mut self, at: At, sign: &Sign) -> (Vec<Row>, Answer) {
        let not_found = (Vec::new(), Answer::NotFound);
        let Some(file) = self.files.get_mut(&sign.device) else { return not_found };
        let name = (sign.firm, sign.record);
        let Some(at_place) = file.unsigned.iter().position(|(own, ..)| *own == name) else { return not_found };
        let (_, visit_number, _) = file.unsigned.remove(at_place);
        let (number, link) = (file.links + 1, Digest::default());
        let mut row = SignatureRow { sign: sign.clone(), number, visit_number, signed_at: at.wall, link };
        row.link = links::signature(&file.head, &row);
        (file.links, file.head) = (number, row.link);
        self.counted.push(Fault::RecordSigned);
        (vec![Row::Signature(row)], Answer::Done(1))
    }

    pub(crate) fn upload_reports(&mut self, at: At, actor: &Actor, uploads: &[ReportUpload]) -> (Vec<Row>, Answer) {
        let (mut rows, mut items) = (Vec::new(), Vec::new());
        for upload in uploads {
            let report = &upload.report;
            let item = self.refusal_of_report(at, actor, upload).unwrap_or_else(|| {
                self.note_report(at, report);
                let (recorded_by, recorded_at) = (actor.id.clone(), at.wall);
                rows.push(Row::Report(ReportRow { report: report.clone(), recorded_by, recorded_at }));
                Item::Taken(Vec::new())
            });
            self.counted.push(match &item {
                Item::Taken(_) if report.supersedes.is_some() => Fault::InspectionCorrected,
                Item::Taken(_) => Fault::InspectionReported,
                Item::Known => Fault::InspectionRepeated,
                Item::Exists => Fault::InspectionOfOtherContent,
                _ => Fault::InspectionRefused,
            });
            items.push(item);
        }
        (rows, Answer::Items(items))
    }

    fn refusal_of_report(&self, at: At, actor: &Actor, upload: &ReportUpload) -> Option<Item> {
        let ReportUpload { report, looked_up } = upload;
        let is_theirs = match &actor.scope {
            Scope::Firm(own) => report.party == Party::Firm(*own),
            Scope::Site(own) => report.party == Party::Site(*own),
            Scope::All | Scope::Districts(_) => true,
        };
        let is_of_firms = matches!(report.kind, ReportKind::SelfCheck | ReportKind::Drill);
        let may_say = match report.party {
            Party::Firm(_) => is_of_firms,
            Party::Site(code) => {
                !is_of_firms && self.sites.get(&code).is_some_and(|site| site.kind == SiteKind::InspectionBody)
            }
        };
        if !is_theirs || !may_say {
            return Some(Item::Denied);
        }
        if let Some(known) = self.reports.get(&(report.party, report.id)) {
            return Some(if known.said == *report { Item::Known } else { Item::Exists });
        }
        if !looked_up && at.today().0 - report.done_on.0 > KNOWN_DAYS {
            return Some(Item::Precondition);
        }
        if !self.lifts.contains_key(&report.device) {
            return Some(Item::NotFound);
        }
        let faults = faults_of_report(report, at);
        if !faults.is_empty() {
            return Some(Item::Invalid(faults.into_iter().collect()));
        }
        let old = (report.party, report.supersedes?);
        match self.reports.get(&old) {
            None => Some(Item::NotFound),
            Some(known) if known.superseded || known.said.device != report.device => Some(Item::Precondition),
            Some(_) => {
                let remembered = self.files.get(&report.device).map_or(&[][..], |file| &file.reports);
                (!remembered.iter().any(|(_, own)| *own == old)).then_some(Item::Precondition)
            }
        }
    }

    fn note_report(&mut self, at: At, report: &Report) {
        let name = (report.party, report.id);
        self.reports.insert(name, Taken { said: report.clone(), superseded: false });
        let file = self.files.entry(report.device).or_default();
        file.known_since.get_or_insert(at.today());
        if let Some(old) = report.supersedes.map(|old| (report.party, old)) {
            self.reports.get_mut(&old).expect("it was looked for").superseded = true;
            file.reports.retain(|(_, own)| *own != old);
            file.drills.retain(|(_, own)| *own != old);
        }
        let behind = file.reports.partition_point(|(on, _)| *on <= report.done_on);
        file.reports.insert(behind, (report.done_on, name));
        if file.reports.len() > limits::REPORTS_REMEMBERED {
            file.reports.remove(0);
        }
        match report.kind {
            ReportKind::Drill if report.passed => file.drills.push((report.done_on, name)),
            ReportKind::Drill | ReportKind::SelfCheck | ReportKind::Testing => {}
            _ => file.has_years |= report.passed,
        }
    }
}

fn faults_of_visit(visit: &Visit, at: At) -> BTreeSet<Box<str>> {
    let mut faults = BTreeSet::new();
    let mut set = |is: bool, field: &str| is.then(|| faults.insert(field.into()));
    let workers: BTreeSet<_> = visit.workers.iter().collect();
    set(workers.len() < 2 || workers.len() != visit.workers.len(), "workers");
    let lasts_ms = visit.ended_at - visit.started_at;
    set(lasts_ms <= 0 || lasts_ms > DAY_MS || visit.ended_at - at.wall > AHEAD_MS, "ended_at");
    set(visit.supersedes == Some(visit.record), "supersedes");
    set(visit.rectifies.contains(&visit.record), "rectifies");
    let told: BTreeSet<&str> = visit.items.iter().map(|it| &*it.item).collect();
    set((1..=items_of(visit.kind)).any(|number| !told.contains(&*item(number))), "items");
    faults
}

fn faults_of_report(report: &Report, at: At) -> BTreeSet<Box<str>> {
    let mut faults = BTreeSet::new();
    let mut set = |is: bool, field: &str| is.then(|| faults.insert(field.into()));
    set(report.done_on > at.today(), "done_on");
    set(!report.passed && report.findings.is_empty(), "findings");
    set(report.supersedes == Some(report.id), "supersedes");
    faults
}
