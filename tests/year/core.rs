//! The core's side of the year: what it is told, what it tells, and how long that takes it.

use std::time::Duration;

use prost::Message as _;
use rustix::time::{ClockId, clock_gettime};
use vigil::app::policy;
use vigil::core::Core;
use vigil::core::rules;
use vigil::limits::{self, COMMAND_ITEMS};
use vigil::model::actor::Actor;
use vigil::model::alert::EventKind;
use vigil::model::archive::{Contract, ContractKind, Cylinder, Entry, Lift, Site, SiteKind};
use vigil::model::ids::{CylinderCode, DeviceCode, FirmId, RecordId, SiteCode, Subject, WorkerId};
use vigil::model::obligation::Party;
use vigil::model::record::{Action, Command, ItemOutcome, Kind, Outcome, PolicyText, Record};
use vigil::model::report::{Report, ReportKind, ReportUpload};
use vigil::model::time::{CivilDay, Elapsed, Wall};
use vigil::model::visit::{self, Problem, Sign, Visit, VisitKind};
use vigil::proto::v1::{CylinderScan, ScanEvent, ScanReport};

use super::by_hand::{self, Done, Event, Told};
use super::calendar::Day;
use super::world::{MAKES, Upload};

/// The rules that are compared.
pub(crate) const RULES: [&str; 8] = [
    "cylinder-inspection-due",
    "cylinder-overdue",
    "cylinder-past-life",
    "drill-overdue",
    "inspection-due",
    "inspection-overdue",
    "maintenance-overdue",
    "testing-overdue",
];

/// The one that inspects, and the one that fills.
const BODY: &str = "640100-INSP";
const STATION: &str = "640100-0001";
/// Scans in one report.
const SCANS: usize = 100;
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
    /// Of the scanner that each site has.
    scans: u64,
    told: Vec<(Day, String, &'static str, Told)>,
    pub(crate) costs: Costs,
}

/// What each record took, by what it was.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    pub(crate) sweeps: Vec<Duration>,
    pub(crate) commands: Vec<Duration>,
    pub(crate) scans: Vec<Duration>,
}

impl Costs {
    /// Each sort, in ascending order.
    pub(crate) fn sorted(mut self) -> [(&'static str, Vec<Duration>); 3] {
        [&mut self.sweeps, &mut self.commands, &mut self.scans].into_iter().for_each(|times| times.sort_unstable());
        [("a sweep's step", self.sweeps), ("a command", self.commands), ("a report of scans", self.scans)]
    }
}

/// What else the machine does must not count.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

impl Vigil {
    pub(crate) fn started(first: Day) -> Self {
        let began = Wall(i64::from(first) * DAY_MS - ZONE_MS);
        let (core, told, costs) = (Core::new(1), Vec::new(), Costs::default());
        let mut vigil = Self { core, today: first, began, now: began, requests: 0, records: 0, scans: 0, told, costs };
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
        let station = Site::new(SiteCode::parse(STATION).unwrap(), SiteKind::FillingStation, "Filling station");
        vigil.archive(vec![Entry::Site(body), Entry::Site(station)]);
        vigil
    }

    /// A civil day begins: all that falls due is looked at.
    pub(crate) fn turn(&mut self, today: Day) {
        self.today = today;
        self.now = Wall(i64::from(today) * DAY_MS - ZONE_MS);
        let (took, _) = self.apply(Kind::Tick);
        self.costs.sweeps.push(took);
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
            self.costs.sweeps.push(took);
        }
    }

    fn apply(&mut self, kind: Kind) -> (Duration, Option<Outcome>) {
        let record = Record { pos: self.core.next(), elapsed: Elapsed(self.now - self.began), wall: self.now, kind };
        let before = cpu();
        let effects = self.core.apply(&record);
        let took = cpu() - before;
        for event in effects.events {
            let told = match event.kind {
                EventKind::Opened | EventKind::Reopened => Told::Opened,
                EventKind::Raised => Told::Raised,
                EventKind::Cleared => Told::Cleared,
                _ => continue,
            };
            let id = event.alert.id;
            if let Some(rule) = RULES.iter().find(|rule| **rule == id.rule.as_str()) {
                let code = match id.subject {
                    Subject::Device(code) => code.to_string(),
                    Subject::Cylinder(code) => code.to_string(),
                    Subject::Service | Subject::Incident(_) => continue,
                };
                self.told.push((self.today, code, rule, told));
            }
        }
        (took, effects.reply)
    }

    fn command(&mut self, action: Action) -> Outcome {
        self.requests += 1;
        let request = format!("request {}", self.requests).into();
        let (took, reply) = self.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action }));
        self.costs.commands.push(took);
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
        self.archive(all.enumerate().map(|(nth, (make, it))| cylinder(nth, make, it, it.extended)).collect());
    }

    /// What the archive tells of cylinders, then scans.
    pub(crate) fn happen<'a>(
        &mut self,
        events: &[(usize, Event)],
        by_hand: impl Fn(usize) -> (usize, &'a by_hand::Cylinder),
    ) {
        let extended = |(nth, event): &(usize, Event)| match event {
            Event::Extended(until) => {
                let (make, it) = by_hand(*nth);
                Some(cylinder(*nth, make, it, Some(*until)))
            }
            _ => None,
        };
        self.archive(events.iter().filter_map(extended).collect());
        let scanned: Vec<_> = events.iter().filter_map(|(nth, event)| self.scan(*nth, *event)).collect();
        for of_site in scanned.chunk_by(|(a, _), (b, _)| a == b) {
            for scans in of_site.chunks(SCANS) {
                let topic = format!("vigil/v1/cylinder/{}/scan", of_site[0].0);
                let scans = scans.iter().map(|(_, scan)| scan.clone()).collect();
                let payload = ScanReport { scans, site: String::new() }.encode_to_vec().into();
                let (took, _) = self.apply(Kind::Report { topic: topic.into(), payload });
                self.costs.scans.push(took);
            }
        }
        self.settle();
    }

    /// With the site that tells it.
    fn scan(&mut self, nth: usize, event: Event) -> Option<(&'static str, CylinderScan)> {
        let (site, event, passed, valid_until) = match event {
            Event::Extended(_) => return None,
            Event::Filled => (STATION, ScanEvent::Filled, None, None),
            Event::Dispatched => (STATION, ScanEvent::Dispatched, None, None),
            Event::Delivered => (STATION, ScanEvent::Delivered, None, None),
            Event::Returned => (STATION, ScanEvent::Returned, None, None),
            Event::Inspected { passed, valid_until } => (BODY, ScanEvent::Inspected, Some(passed), valid_until),
        };
        self.scans += 1;
        let scan = CylinderScan {
            boot: 1,
            seq: self.scans,
            observed_at_ms: self.now.ms(),
            scanner: "gun-1".into(),
            cylinder: cylinder_code(nth),
            event: event.into(),
            passed,
            valid_until_ms: valid_until.map(|until| i64::from(until) * DAY_MS - ZONE_MS),
            ..Default::default()
        };
        Some((site, scan))
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

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.core.freeze().encode()
    }
}

fn cylinder(nth: usize, make: usize, it: &by_hand::Cylinder, extended: Option<Day>) -> Entry {
    let some = |day: Option<Day>| day.map(CivilDay);
    let (kind, medium, _) = MAKES[make];
    Entry::Cylinder(Cylinder {
        kind: Some(kind.into()),
        medium: Some(medium.into()),
        made_on: Some(CivilDay(it.made)),
        inspected_on: some(it.inspected),
        inspection_due: some(it.own_date),
        extended_until: some(extended),
        ..Cylinder::new(CylinderCode::parse(&cylinder_code(nth)).unwrap())
    })
}
