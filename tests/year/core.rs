//! The core's side of the year: what it is told, what it tells, and how long that takes it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use vigil::app::policy;
use vigil::core::Core;
use vigil::core::rules;
use vigil::limits::{self, COMMAND_ITEMS};
use vigil::model::actor::Actor;
use vigil::model::alert::EventKind;
use vigil::model::archive::{Contract, ContractKind, Cylinder, Entry, Lift, Site, SiteKind};
use vigil::model::ids::{CylinderCode, DeviceCode, FirmId, RecordId, SiteCode, WorkerId};
use vigil::model::obligation::Party;
use vigil::model::record::{Action, Command, ItemOutcome, Kind, Outcome, PolicyText, Record};
use vigil::model::report::{Report, ReportKind, ReportUpload};
use vigil::model::time::{CivilDay, Elapsed, Wall};
use vigil::model::visit::{self, Problem, Sign, Visit, VisitKind};

use crate::by_hand::{self, Done, Told};
use crate::calendar::Day;
use crate::world::{MAKES, Upload};

/// The rules that are compared.
pub(crate) const RULES: [&str; 5] =
    ["drill-overdue", "inspection-due", "inspection-overdue", "maintenance-overdue", "testing-overdue"];

/// The one that inspects.
const BODY: &str = "640100-INSP";
const DAY_MS: i64 = 86_400_000;
/// Asia/Shanghai is so far ahead of UTC, in all years of the test.
const ZONE_MS: i64 = 8 * 3_600_000;
const TEN_O_CLOCK_MS: i64 = 10 * 3_600_000;

pub(crate) fn lift_code(nth: usize) -> String {
    format!("3110500112027{nth:07}")
}

pub(crate) fn cylinder_code(nth: usize) -> String {
    format!("164001{nth:06}")
}

pub(crate) struct Vigil {
    core: Core,
    today: Day,
    began: Wall,
    now: Wall,
    requests: u64,
    records: u64,
    told: Vec<(Day, String, &'static str, Told)>,
    sweeps: Vec<Duration>,
    commands: Vec<Duration>,
}

impl Vigil {
    pub(crate) fn started(first: Day) -> Self {
        let began = Wall(i64::from(first) * DAY_MS - ZONE_MS);
        let (core, commands, sweeps) = (Core::new(1), Vec::new(), Vec::new());
        let mut vigil =
            Self { core, today: first, began, now: began, requests: 0, records: 0, told: Vec::new(), sweeps, commands };
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
        let mut rules = policy::read_folder(&folder).unwrap();
        // What is done at a visit is judged elsewhere.
        rules.retain(|(name, _)| &**name != "tables/maintenance.toml");
        let policy =
            PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "test".into(), topic_prefix: "vigil/v1".into() };
        let set = rules::parse(&policy.rules).unwrap();
        let missing: Vec<&&str> =
            RULES.iter().filter(|rule| !set.rules.iter().any(|it| it.id.as_str() == **rule)).collect();
        assert!(missing.is_empty(), "not shipped: {missing:?}");
        assert!(matches!(vigil.apply(Kind::Policy(policy)).1, Some(Outcome::Done { .. })));
        vigil.settle();
        let body = Site::new(SiteCode::parse(BODY).unwrap(), SiteKind::InspectionBody, "Inspection body");
        vigil.archive(vec![Entry::Site(body)]);
        vigil
    }

    /// A civil day begins: all that falls due is looked at.
    pub(crate) fn turn(&mut self, today: Day) {
        self.today = today;
        self.now = Wall(i64::from(today) * DAY_MS - ZONE_MS);
        let (took, _) = self.apply(Kind::Tick);
        self.sweeps.push(took);
        self.settle();
        self.now = self.now + TEN_O_CLOCK_MS;
    }

    /// What it holds is written down and read again.
    pub(crate) fn restart(&mut self) {
        self.core = Core::restore(self.core.freeze().encode().into()).unwrap();
    }

    fn settle(&mut self) {
        while !self.core.is_settled() {
            let (took, _) = self.apply(Kind::Tick);
            self.sweeps.push(took);
        }
    }

    fn apply(&mut self, kind: Kind) -> (Duration, Option<Outcome>) {
        let record = Record { pos: self.core.next(), elapsed: Elapsed(self.now - self.began), wall: self.now, kind };
        let start = Instant::now();
        let effects = self.core.apply(&record);
        let took = start.elapsed();
        for event in effects.events {
            let told = match event.kind {
                EventKind::Opened | EventKind::Reopened => Told::Opened,
                EventKind::Raised => Told::Raised,
                EventKind::Cleared => Told::Cleared,
                _ => continue,
            };
            let id = event.alert.id;
            if let Some(rule) = RULES.iter().find(|rule| **rule == id.rule.as_str()) {
                self.told.push((self.today, id.subject.to_string(), rule, told));
            }
        }
        (took, effects.reply)
    }

    fn command(&mut self, action: Action) -> Outcome {
        self.requests += 1;
        let request = format!("request {}", self.requests).into();
        let (took, reply) = self.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action }));
        self.commands.push(took);
        reply.unwrap()
    }

    fn archive(&mut self, entries: Vec<Entry>) {
        for entries in entries.chunks(COMMAND_ITEMS) {
            let outcome = self.command(Action::Upsert(entries.to_vec()));
            assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        }
        self.settle();
    }

    pub(crate) fn archive_lifts<'a>(&mut self, lifts: impl Iterator<Item = (usize, &'a by_hand::Lift)>) {
        let some = |day: Option<Day>| day.map(CivilDay);
        let entry = |(nth, it): (usize, &by_hand::Lift)| {
            let kind = it
                .on_demand_days
                .map_or(ContractKind::Calendar, |days| ContractKind::OnDemand { every_days: days.try_into().unwrap() });
            Entry::Lift(Lift {
                base_on: some(it.base),
                inspected_on: some(it.inspected),
                inspection_due: some(it.own_date),
                contract: it.contract.map(|from| Contract { from: CivilDay(from), to: None, kind }),
                ..Lift::new(DeviceCode::parse(&lift_code(nth)).unwrap())
            })
        };
        self.archive(lifts.map(entry).collect());
    }

    pub(crate) fn archive_cylinders<'a>(&mut self, all: impl Iterator<Item = (usize, &'a by_hand::Cylinder)>) {
        let some = |day: Option<Day>| day.map(CivilDay);
        let entry = |(nth, (make, it)): (usize, (usize, &by_hand::Cylinder))| {
            let (kind, medium, _) = MAKES[make];
            Entry::Cylinder(Cylinder {
                kind: Some(kind.into()),
                medium: Some(medium.into()),
                made_on: Some(CivilDay(it.made)),
                inspected_on: some(it.inspected),
                inspection_due: some(it.own_date),
                ..Cylinder::new(CylinderCode::parse(&cylinder_code(nth)).unwrap())
            })
        };
        self.archive(all.enumerate().map(entry).collect());
    }

    pub(crate) fn upload(&mut self, uploads: &[(usize, Upload)]) {
        let is_visit = |(_, it): &&(usize, Upload)| matches!(it.done, Done::Visited(_));
        let visits: Vec<_> = uploads.iter().filter(is_visit).map(|(nth, it)| self.visit(*nth, it)).collect();
        for visits in visits.chunks(limits::VISITS) {
            self.items(Action::UploadVisits(visits.to_vec()));
        }
        for visit::Upload { visit: Visit { device, firm, record, .. }, .. } in visits {
            let sign = Sign { device, firm, record, signatory: "officer".into(), note: None };
            let outcome = self.command(Action::Sign(sign));
            assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        }
        let reports: Vec<_> =
            uploads.iter().filter(|it| !is_visit(it)).map(|(nth, it)| self.report(*nth, it)).collect();
        for reports in reports.chunks(COMMAND_ITEMS) {
            self.items(Action::UploadReports(reports.to_vec()));
        }
        self.settle();
    }

    fn items(&mut self, action: Action) {
        let Outcome::Items { items, .. } = self.command(action) else { panic!("no outcome an item") };
        let refused = items.iter().find(|item| !matches!(item, ItemOutcome::Taken { .. }));
        assert!(refused.is_none(), "{refused:?}");
    }

    fn visit(&mut self, nth: usize, upload: &Upload) -> visit::Upload {
        let Done::Visited(kind) = upload.done else { unreachable!("it is a visit") };
        self.records += 1;
        let at = |minutes: i64| Wall(i64::from(upload.done_on) * DAY_MS - ZONE_MS + (8 * 60 + minutes) * 60_000);
        let worker = |name: &str| WorkerId::parse(name).unwrap();
        let visit = Visit {
            firm: FirmId::parse("FIRM-1").unwrap(),
            record: RecordId::parse(&format!("V{}", self.records)).unwrap(),
            device: DeviceCode::parse(&lift_code(nth)).unwrap(),
            kind: [VisitKind::HalfMonth, VisitKind::Quarter, VisitKind::HalfYear, VisitKind::Year][kind],
            workers: vec![worker("W-1"), worker("W-2")],
            recorder: worker("W-1"),
            started_at: at(0),
            ended_at: at(40),
            items: Vec::new(),
            problem: Problem::None,
            note: None,
            photos: Vec::new(),
            next_on: None,
            supersedes: None,
            rectifies: Vec::new(),
            people: Vec::new(),
        };
        visit::Upload { visit, salt: [0; 16], looked_up: true }
    }

    fn report(&mut self, nth: usize, upload: &Upload) -> ReportUpload {
        self.records += 1;
        let firm = Party::Firm(FirmId::parse("FIRM-1").unwrap());
        let body = Party::Site(SiteCode::parse(BODY).unwrap());
        let (kind, party) = match upload.done {
            Done::Inspected => (ReportKind::Periodic, body),
            Done::Tested => (ReportKind::Testing, body),
            Done::Repaired => (ReportKind::MajorRepair, body),
            Done::Renovated => (ReportKind::Renovation, body),
            Done::Drilled => (ReportKind::Drill, firm),
            Done::Visited(_) => unreachable!("it is a report"),
        };
        let report = Report {
            party,
            id: RecordId::parse(&format!("R{}", self.records)).unwrap(),
            device: DeviceCode::parse(&lift_code(nth)).unwrap(),
            kind,
            done_on: CivilDay(upload.done_on),
            passed: upload.passed,
            findings: if upload.passed { Vec::new() } else { vec!["It failed".into()] },
            supersedes: None,
        };
        ReportUpload { report, looked_up: true }
    }

    pub(crate) fn told(&mut self) -> Vec<(Day, String, &'static str, Told)> {
        std::mem::take(&mut self.told)
    }

    /// Nothing is asserted of a speed: these are for people.
    pub(crate) fn print_costs(&self) {
        let snapshot = self.core.freeze().encode();
        let (bytes, mut core) = (snapshot.len(), None);
        // A copy of its own, as parts of it may go on being used.
        let restore = || core = Core::restore(Bytes::copy_from_slice(&snapshot)).ok();
        let took = allocation_counter::measure(restore);
        drop(core);
        println!(
            "  state: {:.1} MB in memory, {:.1} MB as a snapshot",
            took.bytes_current as f64 / 1e6,
            bytes as f64 / 1e6
        );
        for (what, times) in [("sweep step", &self.sweeps), ("command", &self.commands)] {
            let mut times = times.clone();
            times.sort();
            let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
            let (p50, p99, most) = (at(0.5), at(0.99), times.last().copied().unwrap_or_default());
            println!("  {} of a {what}: p50 {p50:?}, p99 {p99:?}, max {most:?}", times.len());
        }
    }
}
