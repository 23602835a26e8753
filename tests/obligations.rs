//! What falls due when: a test a case. The cases in `tests/obligations/` were worked by hand from the clauses; none of their
//! dates was produced by the code that they check. And tables that are wrong, in `tests/tables/`: each is refused with the
//! faults that it announces in lines that begin with `# expect: `.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, in its helpers too")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use vigil::core::obligation::cylinder::{self, CylinderFacts, Inspected};
use vigil::core::obligation::lift::{self, LiftFacts, OnDemand};
use vigil::core::obligation::{Clause, Due, Dues};
use vigil::core::policy;
use vigil::core::tables::cylinders::Make;
use vigil::core::tables::{self, Tables};
use vigil::model::obligation::DueKind;
use vigil::model::time::CivilDay;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    clause: String,
    arithmetic: String,
    #[serde(default)]
    lift: LiftCase,
    cylinder: Option<CylinderCase>,
    #[serde(default)]
    done: Vec<String>,
    due: BTreeMap<String, String>,
    #[serde(default)]
    restart: BTreeMap<String, bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LiftCase {
    base_on: Option<String>,
    inspected_on: Option<String>,
    inspection_due: Option<String>,
    out_of_use_since: Option<String>,
    known_since: Option<String>,
    maintained_from: Option<String>,
    on_demand_days: Option<u32>,
    link_lost_on: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CylinderCase {
    kind: Option<String>,
    medium: Option<String>,
    made_on: Option<String>,
    inspected_on: Option<String>,
    inspection_due: Option<String>,
    extended_until: Option<String>,
    report: Option<ReportCase>,
    scrapped: bool,
    used_on: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportCase {
    on: String,
    valid_until: Option<String>,
}

fn day(text: &str) -> CivilDay {
    CivilDay::parse(text).unwrap_or_else(|| panic!("{text:?} is no day"))
}

fn some_day(text: &Option<String>) -> Option<CivilDay> {
    text.as_deref().map(day)
}

impl LiftCase {
    fn facts(&self, done: &[String]) -> LiftFacts {
        let link_lost_on = some_day(&self.link_lost_on);
        let mut facts = LiftFacts {
            base_on: some_day(&self.base_on),
            inspected_on: some_day(&self.inspected_on),
            inspection_due: some_day(&self.inspection_due),
            out_of_use_since: some_day(&self.out_of_use_since),
            known_since: some_day(&self.known_since),
            maintained_from: some_day(&self.maintained_from),
            on_demand: self.on_demand_days.map(|every_days| OnDemand { every_days, link_lost_on }),
            ..LiftFacts::default()
        };
        for done in done {
            let words: Vec<&str> = done.split(' ').collect();
            let (on, kind, passed) = match words[..] {
                [on, kind] => (day(on), kind, true),
                [on, kind, "failed"] => (day(on), kind, false),
                _ => panic!("{done:?}"),
            };
            let last = match kind {
                "periodic" => &mut facts.reported_on,
                "testing" => &mut facts.tested_on,
                "installation" | "renovation" => &mut facts.renovated_on,
                "major-repair" => &mut facts.supervised_on,
                "self-check" => &mut facts.self_checked_on,
                "drill" => &mut facts.drilled_on,
                "half-month" | "on-demand" => &mut facts.visited_on[0],
                "quarter" => &mut facts.visited_on[1],
                "half-year" => &mut facts.visited_on[2],
                "year" => &mut facts.visited_on[3],
                other => panic!("{other:?}"),
            };
            if passed {
                *last = (*last).max(Some(on));
            }
        }
        facts
    }
}

impl CylinderCase {
    fn facts(&self) -> CylinderFacts<'_> {
        let make =
            Make { kind: self.kind.as_deref(), medium: self.medium.as_deref(), made_on: some_day(&self.made_on) };
        CylinderFacts {
            make,
            inspected_on: some_day(&self.inspected_on),
            inspection_due: some_day(&self.inspection_due),
            extended_until: some_day(&self.extended_until),
            report: self
                .report
                .as_ref()
                .map(|it| Inspected { on: day(&it.on), valid_until: some_day(&it.valid_until) }),
            scrapped: self.scrapped,
            used_on: some_day(&self.used_on),
        }
    }
}

fn on(dues: &Dues, kind: DueKind) -> Option<CivilDay> {
    let mut of_kind = dues.iter().filter(|due| due.kind == kind);
    let first = of_kind.next().map(|due| due.due_on);
    assert!(of_kind.next().is_none(), "twice {kind:?}: {dues:?}");
    first
}

fn check(tables: &Tables, case: &Case) -> Result<(), Failed> {
    let mut wrong = String::new();
    let facts = case.lift.facts(&case.done);
    let cylinder = case.cylinder.as_ref().map(CylinderCase::facts);
    let dues = cylinder.as_ref().map_or_else(|| lift::due(tables, &facts), |facts| cylinder::due(tables, facts));
    for (kind, wanted) in &case.due {
        let got = match (kind.as_str(), &cylinder) {
            ("inspection", Some(_)) => on(&dues, DueKind::CylinderInspection),
            ("life", Some(_)) => on(&dues, DueKind::CylinderLife),
            ("idle_until", Some(facts)) => cylinder::idle_until(tables, facts),
            (kind, None) => on(&dues, DueKind::from_name(kind).unwrap_or_else(|| panic!("{kind:?}"))),
            (kind, _) => panic!("{kind:?}"),
        };
        let got = got.map_or("none".to_owned(), |day| day.to_string());
        if got != *wanted {
            wrong += &format!("{kind} is due on {got}, by hand on {wanted}\n");
        }
    }
    for (on, wanted) in &case.restart {
        if lift::restart_needs_inspection(tables, &facts, day(on)) != *wanted {
            wrong += &format!("a run on {on} without inspection before: by hand {wanted}\n");
        }
    }
    match wrong.as_str() {
        "" => Ok(()),
        _ => Err(format!("{}: {}\n{wrong}{dues:#?}", case.clause, case.arithmetic).into()),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shipped() -> Tables {
    let files = vigil::app::policy::read_folder(&root().join("config/rules")).unwrap();
    tables::parse(&files).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn files(folder: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// A file is called after the table that it stands for, and what is wrong in it: `lifts.years-fall.toml`.
fn check_wrong(name: &str, text: &str) -> Result<(), Failed> {
    let table = name.split('.').next().unwrap_or_default();
    let expected: String =
        text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(|line| format!("{line}\n")).collect();
    let file = (format!("tables/{table}.toml").into(), text.into());
    // As a policy is checked.
    let got: String = match policy::check_rules(&[file]) {
        Ok(_) => String::new(),
        Err(faults) => faults.iter().map(|it| format!("{}:{}: {}\n", it.line, it.column, it.message)).collect(),
    };
    if expected.is_empty() {
        return Err("it announces nothing".into());
    }
    if got == expected { Ok(()) } else { Err(format!("expected:\n{expected}got:\n{got}").into()) }
}

/// Why something is due, as people read it.
fn words() -> Result<(), Failed> {
    let tables = shipped();
    let lift = |kind, clause| lift::words(&tables, &Due { kind, due_on: CivilDay(0), basis_on: None, clause });
    let lpg = Make { kind: Some("lpg-welded"), medium: Some("lpg"), made_on: Some(day("2020-01-01")) };
    let cylinder =
        |kind, clause| cylinder::words(&tables, lpg, &Due { kind, due_on: CivilDay(0), basis_on: None, clause });
    for (got, wanted) in [
        (lift(DueKind::Inspection, Clause::Year(7)), "TSG T7001-2023: year 7 after the base inspection"),
        (lift(DueKind::Testing, Clause::Year(5)), "TSG T7008-2023: year 5 after the base inspection"),
        (lift(DueKind::Inspection, Clause::Archive), "TSG T7001-2023: the date in the archive"),
        (
            lift(DueKind::Quarter, Clause::Visit { days: 90 }),
            "TSG T5002-2017: 90 days after the last visit of this kind or a greater one",
        ),
        (
            lift(DueKind::HalfMonth, Clause::OnDemand { days: 60 }),
            "Pilot rules of Shenzhen and Tianjin: on-demand contract, 60 days while the data link is healthy",
        ),
        (lift(DueKind::Drill, Clause::Months { months: 6 }), "TSG T5002-2017: 6 months after the last one"),
        (
            cylinder(DueKind::CylinderInspection, Clause::Interval { years: 4 }),
            "TSG 23-2021 §9.3: 4 years after the last inspection",
        ),
        (cylinder(DueKind::CylinderLife, Clause::Life { years: 8 }), "GB 5842-2006: design life of 8 years"),
    ] {
        if *got != *wanted {
            return Err(format!("{got}\nand not\n{wanted}").into());
        }
    }
    Ok(())
}

/// Old journals hold policies without tables: nothing follows from them but the archive's own dates.
fn without_tables() -> Result<(), Failed> {
    for (name, text) in files("tests/obligations") {
        let cases: Cases = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for case in cases.case.iter().filter(|case| case.cylinder.is_none()) {
            let facts = case.lift.facts(&case.done);
            let dues = lift::due(&Tables::default(), &facts);
            let wanted = facts.inspection_due.filter(|_| facts.out_of_use_since.is_none());
            if on(&dues, DueKind::Inspection) != wanted || dues.len() > 1 {
                return Err(format!("{}: {dues:?}", case.name).into());
            }
        }
    }
    let facts = CylinderFacts { inspection_due: Some(day("2026-05-10")), ..CylinderFacts::default() };
    let due_on = on(&cylinder::due(&Tables::default(), &facts), DueKind::CylinderInspection);
    if due_on == facts.inspection_due { Ok(()) } else { Err(format!("{due_on:?}").into()) }
}

fn main() -> ExitCode {
    let mut trials = vec![Trial::test("words", words), Trial::test("without_tables", without_tables)];
    let mut names = std::collections::BTreeSet::new();
    for (file, text) in files("tests/obligations") {
        let cases: Cases = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        for case in cases.case {
            assert!(!case.clause.is_empty() && !case.arithmetic.is_empty() && !case.due.is_empty(), "{}", case.name);
            let name = format!("{file}: {}", case.name);
            assert!(names.insert(name.clone()), "twice {name}");
            trials.push(Trial::test(name, move || check(&shipped(), &case)));
        }
    }
    assert!(names.len() >= 60, "{} cases", names.len());
    trials.extend(
        files("tests/tables")
            .into_iter()
            .map(|(name, text)| Trial::test(format!("wrong table: {name}"), move || check_wrong(&name, &text))),
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
