//! `vigil simulate` against a real broker and a real service, as whoever sizes a machine runs it.

#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use support::mosquitto::{Mosquitto, Settings};
use support::process::{self, Process};
use support::vigil::{BINARY, Vigil};
use vigil::cli::import::{Kind, Reader};

const FAULTS: [&str; 8] = ["lost", "repeated", "late", "reordered", "corrupt", "reboot", "clock", "silent"];
/// Far above what any of these takes.
const PATIENCE: Duration = Duration::from_secs(400);

struct Simulation {
    process: Process,
    out: std::sync::mpsc::Receiver<String>,
    err: std::sync::mpsc::Receiver<String>,
}

fn arguments(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

impl Simulation {
    fn start(line: &str) -> Self {
        let mut command = process::command(BINARY);
        command.arg("simulate").args(arguments(line));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (process, pipes) = Process::start(command);
        Self { process, out: process::lines(pipes.out.unwrap()), err: process::lines(pipes.err.unwrap()) }
    }

    /// Its exit code and the JSON object that it printed.
    fn result(mut self) -> (i32, Value) {
        let status = self.process.status_within(PATIENCE).and_then(|status| status.code());
        let said = self.err.try_iter().collect::<Vec<_>>().join("\n");
        let out = self.out.iter().collect::<Vec<_>>().join("\n");
        let result = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out:?}\n{said}"));
        (status.unwrap_or_else(|| panic!("it doesn't end:\n{said}")), result)
    }
}

/// Of a page of metrics: the sum of all series of that name, or the one with these labels.
fn metric(service: &Vigil, name: &str) -> u64 {
    let (_, text) = service.page("/metrics").unwrap();
    let value = |line: &str| line.strip_prefix(name)?.split(' ').next_back()?.parse::<f64>().ok();
    text.lines().filter_map(value).sum::<f64>() as u64
}

/// Flow: lifts with every fault and cylinders report to a service with the shipped rules. Then what it raised is judged
/// once more, by the file of what happened.
/// Asserts: nothing is missed, late or false; every fault occurred; every frame came in once, and what was
/// unreadable was set aside.
#[test]
fn with_every_fault_nothing_is_missed_and_nothing_false() {
    let broker = Mosquitto::start(Settings::default());
    let service = Vigil::with_sqlite(broker.addr());
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.jsonl");
    let judge = format!("--judge {} --truth {} --json", service.grpc_url(), truth.display());
    let (code, result) = Simulation::start(&format!(
        "--broker mqtt://{} {judge} --lifts 400 --cylinders 200 --rate 120 --for 100s --seed 6 --entrapments 900 --faults all --json-devices",
        broker.addr()
    ))
    .result();
    let judged = &result["judged"];
    assert_eq!((code, &judged["good"]), (0, &Value::Bool(true)), "{result:#}");
    assert!(judged["in_time"].as_u64() >= Some(8) && judged["near_misses"].as_u64() >= Some(5), "{result:#}");
    assert!(judged["latency_ms"]["count"].as_u64() > Some(0), "{result:#}");
    for fault in FAULTS {
        assert!(result["faults"][fault].as_u64() > Some(0), "{fault} never happened: {result:#}");
    }
    assert_eq!(result["acknowledged"], result["reports"]);
    let items = |what: &str| metric(&service, &format!("vigil_items_total{{what=\"{what}\"}}"));
    assert_eq!(Some(items("newer") + items("late")), result["frames"].as_u64());
    assert_eq!(Some(items("scan")), result["scans"].as_u64());
    assert_eq!(Some(items("reject")), result["faults"]["corrupt"].as_u64());

    let (code, again) = Simulation::start(&judge).result();
    assert_eq!(code, 0, "{again:#}");
    for count in ["incidents", "in_time", "late", "missed", "not_due", "false"] {
        assert_eq!(again[count], judged[count], "{count}");
    }
}

/// Asserts: what no rule looks for is missed, named and told by the exit code, and all else is found.
#[test]
fn with_a_rule_removed_its_incidents_are_missed() {
    const REMOVED: &str = "trapped-out-of-zone";
    let rules = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules")).unwrap() {
        let path = entry.unwrap().path();
        // Nothing falls due for lifts that no archive knows.
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once("[[rule]]").unwrap();
        let mut kept = vec![head.to_owned()];
        // Others give way to it by its name.
        let others = rest.split("[[rule]]").filter(|rule| !rule.contains(&format!("id = \"{REMOVED}\"")));
        kept.extend(
            others.map(|rule| {
                rule.replace(&format!("\"{REMOVED}\", "), "").replace(&format!("open('{REMOVED}') || "), "")
            }),
        );
        fs::write(rules.path().join(path.file_name().unwrap()), kept.join("[[rule]]")).unwrap();
    }
    let broker = Mosquitto::start(Settings::default());
    let service = Vigil::start_with(broker.addr(), "sqlite:vigil.db", rules.path());
    let (code, result) = Simulation::start(&format!(
        "--broker mqtt://{} --judge {} --lifts 150 --cylinders 0 --rate 60 --for 80s --seed 2 --entrapments 900 --json",
        broker.addr(),
        service.grpc_url()
    ))
    .result();
    let judged = &result["judged"];
    assert_eq!((code, &judged["false"]), (1, &Value::from(0)), "{result:#}");
    let missed = judged["missed_named"].as_array().unwrap();
    assert!(!missed.is_empty() && missed.iter().all(|it| it["rule"] == REMOVED), "{result:#}");
    assert_eq!(judged["missed"].as_u64(), Some(missed.len() as u64));
    assert!(judged["in_time"].as_u64() > Some(0), "the other rules are there: {result:#}");
}

/// The truth of a run that was played to nobody, without the line about the run, which holds its date.
fn dry_truth(seed: u32, folder: &Path) -> Vec<String> {
    let file = folder.join(format!("{seed}.jsonl"));
    let line = format!(
        "--dry-run --lifts 100 --cylinders 100 --rate 20 --faults all --seed {seed} --for 20m --truth {} --json",
        file.display()
    );
    let (code, result) = Simulation::start(&line).result();
    assert_eq!((code, &result["judged"]), (0, &Value::Null));
    let text = fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_seed_gives_the_same_truth_again() {
    let folder = tempfile::tempdir().unwrap();
    let truth = dry_truth(3, folder.path());
    let kinds = |null: bool| {
        let lines = truth.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["rule"].is_null() == null).count()
    };
    assert!(kinds(false) > 100 && kinds(true) > 50, "{} incidents, {} near misses", kinds(false), kinds(true));
    assert!(truth.iter().any(|line| line.contains("cylinder:")));
    assert_eq!(truth, dry_truth(3, folder.path()));
    assert_ne!(truth, dry_truth(4, folder.path()));
}

/// Asserts: Ctrl-C ends a run without an end in order, with its figures and its truth.
#[test]
fn an_interrupt_ends_it_in_order() {
    let broker = Mosquitto::start(Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let (truth, archive) = (folder.path().join("truth.jsonl"), folder.path().join("archive"));
    let simulation = Simulation::start(&format!(
        "--broker mqtt://{} --lifts 50 --rate 50 --truth {} --archive {} --json",
        broker.addr(),
        truth.display(),
        archive.display()
    ));
    // The first line of progress comes after 10 s.
    let mut lines = simulation.err.iter();
    lines.find(|line| line.contains("reports/s")).expect("progress is told");
    simulation.process.signal(Signal::INT);
    let (code, result) = simulation.result();
    assert_eq!(code, 0, "{result:#}");
    assert!(result["reports"].as_u64() > Some(200) && result["reports"] == result["acknowledged"], "{result:#}");
    let head = fs::read_to_string(truth).unwrap();
    let head: Value = serde_json::from_str(head.lines().next().unwrap()).unwrap();
    assert_eq!((&head["seed"], &head["lifts"]), (&1.into(), &50.into()));
    for (file, kind, rows) in [
        ("firms.csv", Kind::Firms, 2),
        ("sites.csv", Kind::Sites, 1),
        ("lifts.csv", Kind::Lifts, 50),
        ("cylinders.csv", Kind::Cylinders, 491),
    ] {
        assert_eq!(importable_rows(kind, &fs::read(archive.join(file)).unwrap()), rows, "{file}");
    }
}

/// How many rows `vigil import` takes; all must be good.
fn importable_rows(kind: Kind, file: &[u8]) -> usize {
    let mut reader = Reader::new(kind, file, file).unwrap();
    let mut rows = 0;
    while let Some(row) = reader.next_row().unwrap() {
        assert!(row.is_ok(), "{row:?}");
        rows += 1;
    }
    rows
}

/// Asserts: it ends with this exit code, and says this, without touching anything.
fn check_flags(line: &str, code: i32, says: &str) {
    let output = Command::new(BINARY).arg("simulate").args(arguments(line)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line}: {said}");
    assert!(said.contains(says), "{line}: {said}");
}

#[test]
fn wrong_flags_are_told_in_words() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let empty = file.path().display();
    check_flags("", 1, "say where to play: --broker mqtt://HOST:PORT");
    check_flags("--broker http://127.0.0.1", 2, "has the scheme http; write it as mqtt://HOST:PORT");
    check_flags("--broker mqtt://127.0.0.1 --lifts 1000000", 2, "not in 0..=999999");
    check_flags("--broker mqtt://127.0.0.1 --for 1x", 2, "is not a span of time");
    check_flags(
        "--broker mqtt://127.0.0.1 --faults lost,wet",
        2,
        "\"wet\" is no fault: write all, none, or some of lost,",
    );
    check_flags("--broker mqtt://127.0.0.1 --lifts 10 --rate 11", 1, "a lift reports once a second at most");
    check_flags("--broker mqtt://127.0.0.1 --lifts 100 --rate 0.001", 1, "a lift reports once an hour at least");
    check_flags("--broker mqtt://127.0.0.1 --lifts 10 --entrapments 61", 1, "0 to 60 an hour");
    check_flags("--broker mqtt://127.0.0.1 --username a", 2, "--password-file");
    check_flags("--dry-run", 2, "--for");
    check_flags("--dry-run --for 1s --truth /no/such/folder/truth", 1, "/no/such/folder/truth can't be written");
    check_flags("--judge grpc://127.0.0.1:1 --truth /no/such/file", 1, "--truth /no/such/file can't be read");
    check_flags(&format!("--judge grpc://127.0.0.1:1 --truth {empty}"), 1, "it is empty");
    check_flags("--broker mqtt://127.0.0.1:1 --judge http://127.0.0.1:1 --lifts 1", 1, "is the service running there?");
}
