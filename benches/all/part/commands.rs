//! What the longest records cost the core, each alone: commands as large as they may be, a reload of the rules, the turn of a
//! day, and all of it with the state of a city.

use std::time::Duration;

use prost::Message as _;
use vigil::core::{Core, tables};
use vigil::limits::{
    BATCH_CYLINDERS, COMMAND_ITEMS, REPORT_ITEMS, TRANSFERRED, VISIT_NOTE_CHARS, VISIT_PHOTOS, VISITS,
};
use vigil::model::actor::Actor;
use vigil::model::archive::{Cylinder, Entry, Firm, Lift, Site, SiteKind, Worker};
use vigil::model::ids::CylinderCode;
use vigil::model::obligation::Party;
use vigil::model::record::{Action, Command, Kind, Link, Outcome, Record};
use vigil::model::report::{Report, ReportKind, ReportUpload};
use vigil::model::time::{CivilDay, Elapsed};
use vigil::model::visit::{Digest, ItemDone, ItemResult, Person, Photo, Problem, Sign, Upload, Visit, VisitKind};
use vigil::proto::v1;

use crate::load::{self, BEGAN, Lifts, device};
use crate::measure::{cpu_of, ms, percentile};
use crate::table::{Budget, Table};
use crate::{Bench, CYLINDERS, LIFTS};

/// No work of the core may take longer.
const APPLY_MS: f64 = 2.0;
const HOUR_MS: i64 = 3_600_000;
const STATION: &str = "6401-0001";
const BODY: &str = "640100-INSP";

pub fn measure(bench: &Bench, table: &mut Table) {
    let mut city = City { core: Core::new(1), elapsed: Elapsed(0), requests: 0 };
    let times = bench.quicker(40, 10);
    reload(&mut city, table, "a first policy");
    city.populate(table);
    archive(&mut city, table, times);
    records(&mut city, table, times);
    reports(&mut city, table, times);
    // With another rule in each of them, all subjects are looked at.
    for _ in 0..bench.quicker(3, 1) {
        reload(&mut city, table, "a reload of rules and tables");
    }
    sweeps(&mut city, table, "the turn of a day", bench.quicker(3, 1));
    let pauses = (0..times).map(|_| {
        let mut frozen = None;
        let took = cpu_of(|| frozen = Some(city.core.freeze()));
        drop(frozen);
        took
    });
    print(table, "the pause for a snapshot", pauses.collect());
}

struct City {
    core: Core,
    elapsed: Elapsed,
    requests: u64,
}

impl City {
    fn apply(&mut self, kind: Kind) -> (Duration, Option<Outcome>) {
        let record = Record { pos: self.core.next(), elapsed: self.elapsed, wall: BEGAN + self.elapsed.0, kind };
        let mut effects = None;
        // What letting go of the effects takes is the spine's, after it has written them down.
        let took = cpu_of(|| effects = Some(self.core.apply(&record)));
        (took, effects.and_then(|effects| effects.reply))
    }

    /// Takes a command and whatever is left over from it, so that the next one begins with nothing to do.
    fn command(&mut self, action: Action) -> Duration {
        self.requests += 1;
        let request = self.requests.to_string().into();
        let (took, reply) = self.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action }));
        match reply.expect("a command has an outcome") {
            Outcome::Done { changed, .. } => assert!(changed > 0, "it changes something"),
            Outcome::Items { items, .. } => {
                let refused =
                    items.iter().find(|item| !matches!(item, vigil::model::record::ItemOutcome::Taken { .. }));
                assert!(refused.is_none(), "{refused:?}");
            }
            Outcome::Findings { .. } => {}
            other => panic!("{other:?}"),
        }
        self.settle();
        took
    }

    /// The steps that were left over.
    fn settle(&mut self) -> Vec<Duration> {
        let mut steps = Vec::new();
        while !self.core.is_settled() {
            steps.push(self.apply(Kind::Tick).0);
        }
        steps
    }

    fn today(&self) -> CivilDay {
        CivilDay(((BEGAN + self.elapsed.0 + 8 * HOUR_MS).ms() / (24 * HOUR_MS)) as i32)
    }

    fn populate(&mut self, table: &mut Table) {
        self.apply(Kind::Link(Link::Up));
        self.apply(Kind::Link(Link::Heard { sent: Elapsed(0) }));
        let site = |code: &str, kind| Entry::Site(Site::new(code.parse().expect("a code"), kind, "Example site"));
        let stations = (0..20).map(|n| site(&format!("6401-{n:04}"), SiteKind::FillingStation));
        self.archive(stations.chain([site(BODY, SiteKind::InspectionBody)]).collect());
        let firms = (0..300).map(|n| Entry::Firm(Firm::new(firm(n), "Example maintenance")));
        self.archive(firms.collect());
        let worker = |n: u32| {
            let id = worker(n).parse().expect("an id");
            let certified_until = Some(CivilDay(30_000));
            Entry::Worker(Worker { firm: Some(firm(n / 2)), certified_until, ..Worker::new(id, "A Worker") })
        };
        self.archive((0..600).map(worker).collect());
        let times = groups(LIFTS, load::lift).map(|entries| self.command(Action::Upsert(entries))).collect();
        print(table, &format!("{COMMAND_ITEMS} new lifts"), times);
        let times = groups(CYLINDERS, load::cylinder).map(|entries| self.command(Action::Upsert(entries))).collect();
        print(table, &format!("{COMMAND_ITEMS} new cylinders"), times);
    }

    fn archive(&mut self, entries: Vec<Entry>) {
        entries.chunks(COMMAND_ITEMS).for_each(|some| _ = self.command(Action::Upsert(some.to_vec())));
    }
}

fn firm(n: u32) -> vigil::model::ids::FirmId {
    format!("firm-{n}").parse().expect("it is a firm's id")
}

fn worker(n: u32) -> String {
    format!("W-{n}")
}

/// The longest, which is what is promised, and the others in a note.
fn print(table: &mut Table, what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let longest = ms(percentile(&times, 100.0));
    table.row(format!("{what}: the longest of {}", times.len()), "ms", longest).budget(Budget::AtMost(APPLY_MS));
    table.note(format!("{what}: p50 {:.2} ms, p90 {:.2}", ms(percentile(&times, 50.0)), ms(percentile(&times, 90.0))));
}

/// All of a kind in groups as large as they may be.
fn groups(all: u32, entry: impl Fn(u32) -> Entry + Copy) -> impl Iterator<Item = Vec<Entry>> {
    let group = move |first: u32| (first..all.min(first + COMMAND_ITEMS as u32)).map(entry).collect();
    (0..all).step_by(COMMAND_ITEMS).map(group)
}

/// So many of all, far from each other: none of them shares a page of memory with another.
fn scattered(of: u32, count: usize, nth: u32) -> impl Iterator<Item = u32> {
    let step = of / count as u32;
    (0..count as u32).map(move |n| n * step + nth % step)
}

fn cylinders(count: usize, nth: u32) -> Vec<CylinderCode> {
    scattered(CYLINDERS, count, nth).map(cylinder_code).collect()
}

fn archive(city: &mut City, table: &mut Table, times: u32) {
    for is_held in [false, true] {
        // A page that a snapshot still holds is copied before it is changed.
        let held = if is_held { ", while a snapshot is held" } else { "" };
        let run = |city: &mut City, table: &mut Table, n: usize, what: &str, action: &dyn Fn(u32) -> Action| {
            let one = |nth| {
                let frozen = is_held.then(|| city.core.freeze());
                let took = city.command(action(2 * nth + u32::from(is_held)));
                drop(frozen);
                took
            };
            let taken = (0..times / 2).map(one).collect();
            print(table, &format!("{n} {what}{held}"), taken);
        };
        let n = COMMAND_ITEMS;
        run(city, table, n, "lifts, changed", &|nth| {
            Action::Upsert(scattered(LIFTS, n, nth).map(changed_lift).collect())
        });
        run(city, table, n, "cylinders, changed", &|nth| {
            Action::Upsert(scattered(CYLINDERS, n, nth).map(changed_cylinder).collect())
        });
        run(city, table, n, "cylinders, relabelled", &|nth| {
            Action::Upsert(scattered(CYLINDERS, n, 100 + nth).map(relabelled).collect())
        });
        let today = city.today();
        run(city, table, TRANSFERRED, "cylinders, transferred", &|nth| Action::TransferCylinders {
            cylinders: cylinders(TRANSFERRED, 200 + nth),
            to: "6401-0000".parse().expect("it is a site's code"),
            on: today,
        });
        run(city, table, BATCH_CYLINDERS, "cylinders, checked at unloading", &|nth| Action::CheckBatch {
            site: STATION.parse().expect("it is a site's code"),
            cylinders: cylinders(BATCH_CYLINDERS, nth),
        });
    }
}

/// In all that rules and dates go by.
fn changed_lift(n: u32) -> Entry {
    let Entry::Lift(it) = load::lift(n) else { unreachable!("it is a lift") };
    Entry::Lift(Lift {
        address: it.address.map(|address| format!("{address}, formerly another").into()),
        district: Some("640104".parse().expect("it has 6 digits")),
        firm: Some(firm(n % 300)),
        officer: Some("Another Officer".into()),
        base_on: it.base_on.map(|day| CivilDay(day.0 - 400)),
        inspection_due: Some(CivilDay(20_900)),
        ..it
    })
}

fn changed_cylinder(n: u32) -> Entry {
    let Entry::Cylinder(it) = load::cylinder(n) else { unreachable!("it is a cylinder") };
    Entry::Cylinder(Cylinder {
        tare_g: it.tare_g.map(|g| g + 1),
        made_on: it.made_on.map(|day| CivilDay(day.0 - 200)),
        inspected_on: it.inspected_on.map(|day| CivilDay(day.0 - 1_000)),
        inspection_due: Some(CivilDay(20_900)),
        ..it
    })
}

fn relabelled(n: u32) -> Entry {
    let Entry::Cylinder(it) = load::cylinder(n) else { unreachable!("it is a cylinder") };
    let aliases = ["X", "Y", "Z"].map(|letter| format!("{letter}-{n:08}").parse().expect("it is a code"));
    Entry::Cylinder(Cylinder { aliases: aliases.to_vec(), ..it })
}

fn cylinder_code(n: u32) -> CylinderCode {
    format!("164001{n:06}").parse().expect("it has 12 digits")
}

fn records(city: &mut City, table: &mut Table, times: u32) {
    let today = city.today();
    let report = |nth: u32, n: u32| {
        let report = Report {
            party: Party::Site(BODY.parse().expect("it is a site's code")),
            id: format!("R-{nth}-{n}").parse().expect("it is an id"),
            device: device(n),
            kind: [ReportKind::Periodic, ReportKind::Testing][nth as usize % 2],
            done_on: CivilDay(today.0 - 3),
            passed: false,
            findings: vec!["Something that is not as it should be".into(); 3],
            supersedes: None,
        };
        ReportUpload { report, looked_up: false }
    };
    let upload = |nth| Action::UploadReports(scattered(LIFTS, COMMAND_ITEMS, nth).map(|n| report(nth, n)).collect());
    let taken = (0..times).map(|nth| city.command(upload(nth))).collect();
    print(table, &format!("{COMMAND_ITEMS} reports of inspections"), taken);

    let now = BEGAN + city.elapsed.0;
    for (what, notes, photos) in
        [("yearly visits", 0, 4), ("yearly visits with all that they may have", 1, VISIT_PHOTOS)]
    {
        let visits = |nth: u32| -> Vec<Upload> {
            let lifts = scattered(LIFTS, VISITS, nth);
            lifts.map(|n| visit(format!("V-{notes}-{nth}-{n}"), n, now, notes, photos)).collect()
        };
        let taken = (0..times / 2).map(|nth| city.command(Action::UploadVisits(visits(nth)))).collect();
        print(table, &format!("{VISITS} {what}"), taken);
    }
    let sign = |n: u32| {
        let record = format!("V-0-0-{n}").parse().expect("it is an id");
        let firm = firm(n / 10 % 300);
        city.command(Action::Sign(Sign { device: device(n), firm, record, signatory: "officer".into(), note: None }))
    };
    let signed = scattered(LIFTS, VISITS, 0).map(sign).collect();
    print(table, "a signature", signed);
}

fn visit(record: String, n: u32, now: vigil::model::time::Wall, notes: usize, photos: usize) -> Upload {
    let class = tables::parse(&load::policy().rules).expect("the shipped tables").maintenance;
    let class = class.class_for(vigil::model::archive::Equipment::Lift, Some("3110")).expect("a list of items");
    let note = || (notes > 0).then(|| "n".repeat(VISIT_NOTE_CHARS).into());
    let item = |id: &str| ItemDone { item: id.into(), result: ItemResult::Good, note: note() };
    let photo = |n: usize| Photo {
        digest: Digest([n as u8; 32]),
        media: "image/jpeg".into(),
        bytes: 2_000_000,
        taken_at: Some(now - HOUR_MS),
        item: None,
    };
    let person = || Person { duty: "responsible".into(), name: "A Person".into(), phone: Some("13900000000".into()) };
    let firm_no = n / 10 % 300;
    let id = |nth| worker(2 * firm_no + nth).parse().expect("it is an id");
    let visit = Visit {
        firm: firm(firm_no),
        record: record.parse().expect("it is an id"),
        device: device(n),
        kind: VisitKind::Year,
        workers: vec![id(0), id(1)],
        recorder: id(0),
        started_at: now - 2 * HOUR_MS,
        ended_at: now - HOUR_MS,
        items: class.required(VisitKind::Year).map(|it| item(&it.id)).collect(),
        problem: Problem::None,
        note: note(),
        photos: (0..photos).map(photo).collect(),
        next_on: None,
        supersedes: None,
        rectifies: Vec::new(),
        people: vec![person(); 2],
    };
    Upload { visit, salt: [7; 16], looked_up: false }
}

/// Of devices: the largest ones.
fn reports(city: &mut City, table: &mut Table, times: u32) {
    let mut lifts = Lifts::new(LIFTS);
    let frames = REPORT_ITEMS as u64;
    let of_lift = (0..times).map(|_| {
        let (topic, payload) = lifts.report(frames, BEGAN + city.elapsed.0);
        let topic = topic.into();
        city.apply(Kind::Report { topic, payload }).0
    });
    let of_lift = of_lift.collect();
    print(table, &format!("a report of {frames} frames"), of_lift);
    city.settle();
    use v1::ScanEvent::{CheckedAfterFill, CheckedBeforeFill, Dispatched, FillRequested, Filled};
    // Every twentieth cylinder is the station's own (`load::cylinder`).
    let mut seq = 0;
    let mut print_scans =
        |city: &mut City, table: &mut Table, what: &str, scan: &dyn Fn(u32, u32) -> (CylinderCode, v1::ScanEvent)| {
            let reports = (0..times).map(|nth| {
                let scan = |k: u32| {
                    seq += 1;
                    let (cylinder, event) = scan(nth, k);
                    v1::CylinderScan {
                        boot: 1,
                        seq,
                        observed_at_ms: (BEGAN + city.elapsed.0).ms(),
                        scanner: "gun-1".into(),
                        cylinder: cylinder.to_string(),
                        event: event.into(),
                        passed: matches!(event, CheckedBeforeFill | CheckedAfterFill).then_some(true),
                        medium: "lpg".into(),
                        request: seq.to_string(),
                        ..Default::default()
                    }
                };
                let report =
                    v1::ScanReport { scans: (0..REPORT_ITEMS as u32).map(scan).collect(), site: String::new() };
                let topic = format!("vigil/v1/cylinder/{STATION}/scan").into();
                let took = city.apply(Kind::Report { topic, payload: report.encode_to_vec().into() }).0;
                city.elapsed = Elapsed(city.elapsed.0 + 1_000);
                took
            });
            let reports = reports.collect();
            print(table, &format!("a report of {REPORT_ITEMS} {what}"), reports);
            city.settle();
        };
    let round = [CheckedBeforeFill, Filled, CheckedAfterFill, Dispatched];
    print_scans(city, table, "scans of 250 fillings and what belongs to them", &|nth, k| {
        (cylinder_code((nth * 250 + k / 4) % 8_100 * 20 + 1), round[k as usize % 4])
    });
    print_scans(city, table, "requests to fill", &|nth, k| {
        (cylinder_code((nth * 1_000 + k) % 8_100 * 20 + 1), FillRequested)
    });
    print_scans(city, table, "fillings of others' cylinders without a check, two alerts each", &|nth, k| {
        (cylinder_code((nth * 1_000 + k) % 8_100 * 20), Filled)
    });
}

fn reload(city: &mut City, table: &mut Table, what: &str) {
    let mut text = load::policy();
    for (name, rules) in &mut text.rules {
        if !name.starts_with("tables/") {
            *rules = rules.replace("title = { en = \"", &format!("title = {{ en = \"{} ", city.requests)).into();
        }
    }
    city.requests += 1;
    let (took, reply) = city.apply(Kind::Policy(text));
    assert!(matches!(reply, Some(Outcome::Done { .. })), "{reply:?}");
    print(table, what, vec![took]);
    let steps = city.settle();
    if !steps.is_empty() && city.core.lifts().len() > 1_000 {
        print(table, &format!("{what}: a step of the sweep behind it"), steps);
    }
}

fn sweeps(city: &mut City, table: &mut Table, what: &str, days: u32) {
    let mut steps = Vec::new();
    for _ in 0..days {
        city.elapsed = Elapsed(city.elapsed.0 + 24 * HOUR_MS);
        steps.push(city.apply(Kind::Tick).0);
        steps.extend(city.settle());
    }
    print(table, &format!("{what}: a step of its sweep"), steps);
}
