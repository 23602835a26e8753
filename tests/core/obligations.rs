//! What is due on lifts: told as history, whatever the order in which reports arrive.

use std::sync::Arc;

use proptest::prelude::*;
use vigil::core::Core;
use vigil::model::actor::Actor;
use vigil::model::archive::{Contract, ContractKind, Cylinder, Entry, Lift, Site, SiteKind};
use vigil::model::ids::{CylinderCode, DeviceCode, FirmId, RecordId, Subject};
use vigil::model::obligation::{DueKind, DueRow, Party};
use vigil::model::record::{Action, Command, ItemOutcome, Kind, Outcome, PolicyText, Record};
use vigil::model::report::{Report, ReportKind, ReportUpload};
use vigil::model::row::{Effects, Row};
use vigil::model::time::{CivilDay, Elapsed};
use vigil::store::memory::MemoryStore;
use vigil::store::{Batch, Checkpoint, Options, StandingCursor, StandingQuery, Store};

use crate::timeline::shipped;

const LIFT: &str = "31305001122014017242";
const DAY_MS: i64 = 86_400_000;

fn day(text: &str) -> CivilDay {
    CivilDay::parse(text).unwrap()
}

/// A core with a store behind it, at noon of some day.
struct World {
    core: Core,
    store: MemoryStore,
    at: Option<Checkpoint>,
    begins: CivilDay,
    now_ms: i64,
    requests: u32,
    due: Vec<DueRow>,
}

impl World {
    fn new(begins: &str) -> Self {
        let store = MemoryStore::new(Options::default());
        let (core, begins) = (Core::new(1), day(begins));
        let mut world = Self { core, store, at: None, begins, now_ms: DAY_MS / 2, requests: 0, due: Vec::new() };
        world.apply(Kind::Policy(shipped()));
        let body = Site {
            code: "INSP-01".parse().unwrap(),
            kind: SiteKind::InspectionBody,
            name: "A body".into(),
            address: None,
            district: None,
        };
        world.upsert(Entry::Site(body));
        world
    }

    fn apply(&mut self, kind: Kind) -> Option<Outcome> {
        let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
        let wall = self.begins.begins(&zone) + self.now_ms;
        let record = Record { pos: self.core.next(), elapsed: Elapsed(self.now_ms), wall, kind };
        let mut effects = self.core.apply(&record);
        let reply = effects.reply.take();
        self.keep(effects);
        while self.core.next_deadline().is_some_and(|due| due <= Elapsed(self.now_ms)) {
            let record = Record { pos: self.core.next(), elapsed: Elapsed(self.now_ms), wall, kind: Kind::Tick };
            let effects = self.core.apply(&record);
            self.keep(effects);
        }
        reply
    }

    fn keep(&mut self, effects: Effects) {
        self.due.extend(effects.rows.iter().filter_map(|row| match row {
            Row::Due(due) => Some(due.clone()),
            _ => None,
        }));
        let to = Checkpoint { journal: 1, epoch: 1, position: self.core.next(), hash: 0 };
        let batch = Batch { from: self.at.replace(to), to, effects: vec![effects] };
        block(self.store.commit(Arc::new(batch)));
    }

    fn command(&mut self, action: Action) -> Outcome {
        self.requests += 1;
        let request = format!("r-{}", self.requests).into();
        self.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action })).unwrap()
    }

    fn upsert(&mut self, entry: Entry) {
        let outcome = self.command(Action::Upsert(vec![entry]));
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }

    fn upload(&mut self, reports: &[Report]) -> Vec<ItemOutcome> {
        let uploads = reports.iter().map(|report| ReportUpload { report: report.clone(), looked_up: true });
        match self.command(Action::UploadReports(uploads.collect())) {
            Outcome::Items { items, .. } => items,
            other => panic!("{other:?}"),
        }
    }

    fn go_to(&mut self, text: &str) {
        self.now_ms = (day(text).0 - self.begins.0) as i64 * DAY_MS + DAY_MS / 2;
        self.apply(Kind::Tick);
    }

    /// The state goes to bytes and back.
    fn restart(&mut self) {
        self.core = Core::restore(self.core.freeze().encode().into()).unwrap();
    }

    fn overdue(&self, as_of: &str) -> Vec<String> {
        let as_of = day(as_of);
        let query = StandingQuery {
            as_of,
            due_before: as_of,
            subject: None,
            kinds: Vec::new(),
            districts: Vec::new(),
            party: None,
            after: None::<StandingCursor>,
            limit: 1_000,
        };
        let rows = block(self.store.due_standing(query));
        rows.iter().map(|row| format!("{} {}", row.kind.name(), row.due_on.unwrap())).collect()
    }
}

fn block<T>(answer: vigil::store::Fut<'_, T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer).unwrap()
}

fn lift() -> Lift {
    let contract = Contract { from: day("2026-01-01"), to: None, kind: ContractKind::Calendar };
    Lift {
        district: Some("640104".parse().unwrap()),
        firm: FirmId::parse("F-1").ok(),
        contract: Some(contract),
        base_on: Some(day("2024-03-10")),
        inspected_on: Some(day("2025-03-01")),
        ..Lift::new(LIFT.parse::<DeviceCode>().unwrap())
    }
}

fn report(id: &str, kind: ReportKind, done_on: CivilDay, passed: bool) -> Report {
    let by_firm = matches!(kind, ReportKind::SelfCheck | ReportKind::Drill);
    Report {
        party: Party::parse(if by_firm { "firm:F-1" } else { "site:INSP-01" }).unwrap(),
        id: RecordId::parse(id).unwrap(),
        device: LIFT.parse().unwrap(),
        kind,
        done_on,
        passed,
        findings: if passed { Vec::new() } else { vec!["a finding".into()] },
        supersedes: None,
    }
}

/// Flow: a lift's testing of its second year falls overdue and is done; with it go other reports, a corrected one among
/// them, over months, with restarts; each day's question is asked when it has passed, and again at the end.
/// Asserts: a question as of a day has the same answer at any later time, and is right.
#[test]
fn what_was_overdue_as_of_a_day_stays_so() {
    let mut world = World::new("2026-01-01");
    world.upsert(Entry::Lift(lift()));
    let mut asked: Vec<(&str, Vec<String>)> = Vec::new();
    let visits = ["half-month 2026-01-16", "quarter 2026-04-01", "half-year 2026-06-30"];
    let overdue =
        |more: &[&str], visits: &[&str]| [more, visits].concat().iter().map(|it| it.to_string()).collect::<Vec<_>>();
    for (today, reports, expected) in [
        ("2026-01-16", vec![], overdue(&[], &[])),
        ("2026-01-17", vec![], overdue(&[], &visits[..1])),
        ("2026-03-31", vec![], overdue(&[], &visits[..1])),
        ("2026-04-01", vec![], overdue(&["testing 2026-03-31"], &["half-month 2026-01-16", "self-check 2026-03-31"])),
        // Failed: it meets nothing.
        (
            "2026-04-02",
            vec![report("T-1", ReportKind::Testing, day("2026-04-02"), false)],
            overdue(&["testing 2026-03-31"], &["half-month 2026-01-16", "quarter 2026-04-01", "self-check 2026-03-31"]),
        ),
        (
            "2026-04-05",
            vec![Report {
                supersedes: RecordId::parse("T-1").ok(),
                ..report("T-2", ReportKind::Testing, day("2026-04-02"), true)
            }],
            overdue(&[], &["half-month 2026-01-16", "quarter 2026-04-01", "self-check 2026-03-31"]),
        ),
        (
            "2026-07-02",
            vec![
                report("C-1", ReportKind::SelfCheck, day("2026-07-01"), true),
                report("D-1", ReportKind::Drill, day("2026-06-30"), true),
            ],
            overdue(&[], &visits),
        ),
    ] {
        world.go_to(today);
        let outcomes = world.upload(&reports);
        assert!(outcomes.iter().all(|it| matches!(it, ItemOutcome::Taken { .. })), "{outcomes:?}");
        assert_eq!(world.overdue(today), expected, "on {today}");
        asked.push((today, world.overdue(today)));
        let told = world.due.len();
        world.restart();
        world.apply(Kind::Tick);
        assert_eq!(world.due.len(), told, "a restart tells nothing");
        for (then, answer) in &asked {
            assert_eq!(world.overdue(then), *answer, "as of {then}, asked on {today}");
        }
    }
    // The lift is another district's, and its firm another.
    let told = world.due.len();
    world.upsert(Entry::Lift(Lift { district: Some("640105".parse().unwrap()), firm: None, ..lift() }));
    assert_eq!(world.due.len() - told, 8, "all that is due is another's");
    assert!(world.due[told..].iter().all(|row| row.party.is_none() && row.district == "640105".parse().ok()));
    for (then, answer) in &asked[..asked.len() - 1] {
        assert_eq!(world.overdue(then), *answer, "as of {then}, asked at the end");
    }
}

/// Flow: a table of intervals is changed, and changed back.
/// Asserts: only the dates that follow from it are told, each time.
#[test]
fn other_tables_tell_the_dates_that_they_change() {
    let mut world = World::new("2026-01-01");
    world.upsert(Entry::Lift(lift()));
    let told: Vec<DueKind> = world.due.iter().map(|row| row.kind).collect();
    assert_eq!(told, DueKind::ALL[..8], "each date once");
    let edited = PolicyText {
        rules: shipped()
            .rules
            .into_iter()
            .map(|(name, text)| {
                let edited = text.replace("quarter_days = 90", "quarter_days = 60");
                let text = if &*name == "tables/lifts.toml" { edited.into() } else { text };
                (name, text)
            })
            .collect(),
        ..shipped()
    };
    for (policy, due_on) in [(edited, "2026-03-02"), (shipped(), "2026-04-01")] {
        let before = world.due.len();
        world.apply(Kind::Policy(policy));
        let changed: Vec<_> = world.due[before..].iter().map(|row| (row.kind, row.due_on)).collect();
        assert_eq!(changed, [(DueKind::Quarter, Some(day(due_on)))]);
    }
}

/// Flow: the archive is told to a new store.
/// Asserts: so are all dates that stand.
/// Found by the simulation in seed 75: what the store said was due, and what the core would say, had other reasons.
#[test]
fn another_reason_for_the_same_date_is_told() {
    let mut world = World::new("2026-03-01");
    let code = CylinderCode::parse("CYL00001").unwrap();
    let known = Cylinder { inspection_due: Some(day("2026-09-19")), ..Cylinder::new(code) };
    let typed = Cylinder { kind: Some("lpg-welded".into()), ..known.clone() };
    for entry in [known, typed] {
        world.upsert(Entry::Cylinder(entry));
        let told = world.due.iter().rfind(|row| row.kind == DueKind::CylinderInspection).unwrap();
        assert_eq!(world.core.present_due(told).unwrap().clause, told.clause);
    }
}

/// Asserts: another firm is told for every date, though none has changed, and the same firm again isn't.
#[test]
fn a_change_of_firm_alone_is_told() {
    let mut world = World::new("2026-01-01");
    world.upsert(Entry::Lift(lift()));
    let dates = |rows: &[DueRow]| rows.iter().map(|row| (row.kind, row.due_on, row.basis_on)).collect::<Vec<_>>();
    let before = world.due.clone();
    let other = Lift { firm: FirmId::parse("F-2").ok(), ..lift() };
    for (entry, told) in [(other.clone(), &before[..]), (other, &[])] {
        let known = world.due.len();
        world.upsert(Entry::Lift(entry));
        let rows = &world.due[known..];
        assert_eq!(dates(rows), dates(told));
        assert!(rows.iter().all(|row| row.party == Party::parse("firm:F-2").ok()), "{rows:?}");
    }
}

#[test]
fn a_new_store_is_told_all_dates() {
    let mut world = World::new("2026-01-01");
    world.upsert(Entry::Lift(lift()));
    let told = world.due.clone();
    world.now_ms += 1_000;
    world.apply(Kind::Recovered { epoch: 2, retell: true });
    let again: Vec<_> = world.due[told.len()..].iter().map(|row| (row.kind, row.due_on, row.clause.clone())).collect();
    let before: Vec<_> = told.iter().map(|row| (row.kind, row.due_on, row.clause.clone())).collect();
    assert_eq!(again, before);
}

fn any_report() -> impl Strategy<Value = (ReportKind, i32, bool)> {
    (prop::sample::select(ReportKind::ALL), -900..0_i32, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What stands in the end doesn't depend on the order of arrival, nor on where the state went to bytes and back; what
    /// comes again changes nothing, and no date moves back by a report that is late, but where a base moves.
    #[test]
    fn the_order_of_arrival_is_irrelevant(
        reports in prop::collection::vec(any_report(), 1..10),
        by in any::<prop::sample::Index>(),
    ) {
        let today = day("2026-11-22");
        let reports: Vec<Report> = reports
            .into_iter()
            .enumerate()
            .map(|(n, (kind, days, passed))| report(&format!("R-{n}"), kind, CivilDay(today.0 + days), passed))
            .collect();
        let mut others = reports.clone();
        others.rotate_left(by.index(reports.len()));
        others.reverse();
        let stand = |reports: &[Report], restarts: bool| {
            let mut world = World::new("2026-11-22");
            world.upsert(Entry::Lift(lift()));
            for report in reports {
                let outcomes = world.upload(std::slice::from_ref(report));
                assert!(matches!(outcomes[..], [ItemOutcome::Taken { .. }]), "{outcomes:?}");
                if restarts {
                    world.restart();
                }
            }
            let told = world.due.len();
            let again = world.upload(reports);
            assert!(again.iter().all(|it| *it == ItemOutcome::Known), "{again:?}");
            assert_eq!(world.due.len(), told);
            let last = |kind: &DueKind| world.due.iter().rev().find(|row| row.kind == *kind).and_then(|row| row.due_on);
            assert!(world.due.iter().all(|row| row.subject == Subject::Device(LIFT.parse().unwrap())));
            DueKind::ALL[..8].iter().map(last).collect::<Vec<_>>()
        };
        prop_assert_eq!(stand(&reports, false), stand(&others, true));
    }
}
