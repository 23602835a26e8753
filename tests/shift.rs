//! A dispatcher's shift, by a client that isn't ours, on the real service beside a real broker and database.
//!
//! Answers are awaited for 6 s and the database is away for 10 s at least, so that nobody has to wait for the test;
//! `VIGIL_SHIFT_ACCEPT_S=180` awaits them as long as the shipped table does, `VIGIL_SHIFT_OUTAGE_S=120` keeps it away for 2 min.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use support::mosquitto::{Mosquitto, Settings};
use support::postgres::Postgres;
use support::process::{self, Process};
use support::python;
use support::service::Service;

const DEVICE: &str = "31106401052012000157";

/// The shipped rules, with a station, and so long to answer.
fn rules(folder: &Path, accept_s: u64) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let tables = folder.join("rules/tables");
    std::fs::create_dir_all(&tables).unwrap();
    for (from, to) in [(shipped.clone(), folder.join("rules")), (shipped.join("tables"), tables.clone())] {
        for file in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    let table = tables.join("dispatch.toml");
    let text =
        std::fs::read_to_string(&table).unwrap().replace("accept = \"3m\"", &format!("accept = \"{accept_s}s\""));
    assert!(text.contains(&format!("accept = \"{accept_s}s\"")), "the shipped table awaits answers for 3 min");
    let station = "\n[[station]]\nid = \"6401-GRID\"\nname = \"grid\"\ndistricts = [\"6401\"]\n";
    let words = "\n[[reassure]]\ngood_for = \"60s\"\n";
    std::fs::write(table, text + station + words).unwrap();
    folder.join("rules")
}

/// Flow: a terminal reports somebody trapped, and a caller says so; the firm is commanded and silent, and the service killed
/// while it is; the database goes away; somebody calls about another lift, and is called off; the station is commanded, arrives
/// and frees two; the database comes back.
/// Asserts: one incident for both; the terminal reassures whoever is trapped; `tier-unanswered` at its time, though the service
/// was killed; every step works without the database, and watchers are told of each; nothing is missing or doubled in it
/// afterwards; what isn't possible is refused with what is; a later watcher is told the same; figures are those that follow from
/// the timeline.
#[test]
fn a_shift_by_a_client_that_is_not_ours() {
    let seconds = |variable: &str, default: u64| std::env::var(variable).map_or(default, |text| text.parse().unwrap());
    let (accept_s, outage_s) = (seconds("VIGIL_SHIFT_ACCEPT_S", 6), seconds("VIGIL_SHIFT_OUTAGE_S", 10));
    let folder = tempfile::tempdir().unwrap();
    let generated = folder.path().join("generated");
    std::fs::create_dir(&generated).unwrap();
    python::generate(&generated);
    let broker = Mosquitto::start(Settings::default());
    let mut database = Postgres::start(true);
    let url = database.database();
    let mut service = Service::prepare(broker.addr(), &url);
    service.set("VIGIL_RULES_DIR", rules(folder.path(), accept_s).display());
    service.start_and_wait();

    let modules = generated.to_str().unwrap();
    let (port, address) = (broker.port().to_string(), service.grpc().to_string());
    let mut terminal = Partner::start("device.py", &[&port, DEVICE, modules]);
    assert_eq!(terminal.line(Duration::from_secs(60)), "done");
    let mut client =
        Partner::start("shift.py", &[&address, DEVICE, &accept_s.to_string(), &outage_s.to_string(), modules]);
    let mut told = std::collections::BTreeMap::new();
    while !told.contains_key("figures") {
        let line: Value =
            serde_json::from_str(&client.line(Duration::from_secs(90 + accept_s + outage_s))).expect("JSON");
        if line["step"] != "do" {
            told.insert(line["step"].as_str().unwrap().to_owned(), line);
            continue;
        }
        match line["what"].as_str().unwrap() {
            "trap" => terminal.ask("trapped"),
            "free" => terminal.ask("freed"),
            "kill" => {
                service.kill();
                service.start_and_wait();
            }
            "stop the database" => database.kill(),
            "start the database" => database.restart(),
            other => panic!("{other}"),
        }
        client.say("done");
    }
    check(&told, accept_s);
    println!("the database was away for {:.1} s", told["outage"]["lasted_s"].as_f64().unwrap());
    assert!(told["outage"]["lasted_s"].as_f64().unwrap() >= outage_s as f64);
    let stored = stored(&url);
    let seen = |name: &str| told["resumed"][name].as_array().unwrap().iter().map(|it| it.as_i64().unwrap());
    assert_eq!(stored, seen("seqs").zip(seen("kinds")).collect::<Vec<_>>(), "the store has what watchers saw, once");
    assert!(client.process.status_within(Duration::from_secs(60)).is_some_and(|status| status.success()));
    assert!(service.terminate(Duration::from_secs(10)).0.success());
}

fn check(told: &std::collections::BTreeMap<String, Value>, accept_s: u64) {
    let received = &told["received"]["event"];
    assert_eq!(received["source"], "INCIDENT_SOURCE_SENSOR", "{received}");
    let scene = &received["incident"];
    for (name, want) in [
        ("rule", json!("trapped-reported")),
        ("rescueCode", json!("640001")),
        ("address", json!("1 Renmin Road")),
        ("occupied", json!(true)),
        ("certainty", json!("CERTAINTY_OBSERVED")),
    ] {
        assert_eq!(scene[name], want, "{name} of {scene}");
    }
    assert_eq!(told["called"]["same"], true);

    let after_s = told["unanswered"]["after_s"].as_f64().unwrap();
    println!(
        "tier-unanswered was heard {after_s:.3} s after the command, across a kill; {accept_s} s are allowed to answer"
    );
    assert!((after_s - accept_s as f64).abs() <= 1.0, "{after_s}");
    assert_eq!(told["impossible"]["code"], "FAILED_PRECONDITION");
    let details = told["impossible"]["details"].as_str().unwrap();
    assert!(details.contains("possible is command, accept, decline, free, false-alarm, note"), "{details}");

    let listed = told["listed"]["incidents"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0]["state"], &listed[0]["sensorsSayOver"]), (&json!("INCIDENT_STATE_ARRIVED"), &json!(true)));
    assert_eq!(told["unfinished"]["code"], "INVALID_ARGUMENT");
    assert!(told["unfinished"]["details"].as_str().unwrap().contains("ending.persons_freed"));
    assert_eq!(told["closed"]["incident"]["state"], "INCIDENT_STATE_CLOSED");

    let resumed = &told["resumed"];
    let seqs: Vec<u64> = resumed["seqs"].as_array().unwrap().iter().map(|seq| seq.as_u64().unwrap()).collect();
    assert!(seqs.iter().zip(1..).all(|(seq, n)| *seq == n), "nothing is missing and nothing doubled: {seqs:?}");
    assert_eq!(resumed["same"], true, "both watchers were told the same: {resumed}");
    let previous: Vec<u64> = resumed["previous"].as_array().unwrap().iter().map(|seq| seq.as_u64().unwrap()).collect();
    assert!(previous.iter().zip(&seqs).all(|(previous, seq)| previous + 1 == *seq), "{previous:?}");
    check_figures(&told["figures"]);
}

/// The events that the database has, by seq and kind.
fn stored(url: &str) -> Vec<(i64, i64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = vigil::store::open(url, vigil::store::Options::default()).await.unwrap();
        let events = store.incident_events_after(1, 0, 1_000).await.unwrap();
        events.iter().map(|it| (it.entry.seq as i64, i64::from(it.entry.what.number()))).collect()
    })
}

/// JSON has 64-bit numbers as texts, and leaves out zeros.
fn number(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

/// Reckoned by hand from the timeline.
fn check_figures(figures: &Value) {
    let of = |nth: usize, kind: &str| {
        let kind = format!("INCIDENT_EVENT_KIND_{kind}");
        let timeline = figures["timelines"][nth].as_array().unwrap();
        let of_kind = timeline.iter().filter(|entry| entry["kind"] == kind.as_str());
        of_kind.map(|entry| number(&entry["sinceMs"])).collect::<Vec<_>>()
    };
    let (at, other) = (|kind: &str| of(0, kind), |kind: &str| of(1, kind));
    let (commanded, accepted) = (at("COMMANDED"), at("ACCEPTED"));
    assert_eq!((commanded.len(), accepted.len()), (2, 1), "{figures:#}");
    assert_eq!((other("COMMANDED").len(), other("HANDED_OVER").len(), other("FALSE_ALARM").len()), (1, 1, 1));
    let (arrived, freed) = (at("ARRIVED")[0], at("FREED")[0]);
    // The terminal itself said that somebody is trapped: it was asked at once, and answered.
    assert_eq!((at("REASSURANCE_ASKED").len(), at("REASSURED").len()), (1, 1), "{figures:#}");
    assert_eq!(figures["past"], true);
    let kpis = &figures["kpis"];
    let mean = |name: &str| (number(&kpis[name]["count"]), number(&kpis[name]["of"]), number(&kpis[name]["meanMs"]));
    let responses = [accepted[0] - commanded[1], other("ACCEPTED")[0] - other("COMMANDED")[0]];
    assert_eq!(mean("response"), (2, 3, responses.iter().sum::<i64>() / 2));
    assert_eq!(mean("turnout"), (1, 3, at("TURNED_OUT")[0] - commanded[1]));
    assert_eq!(mean("arrival"), (1, 1, arrived));
    assert_eq!(mean("rescue"), (1, 1, freed - arrived));
    let rate = |name: &str| (number(&kpis[name]["numerator"]), number(&kpis[name]["denominator"]));
    assert_eq!((rate("turnouts"), rate("inTime"), rate("falseAlarm")), ((1, 3), (1, 1), (1, 2)));
    assert_eq!((number(&kpis["incidents"]), number(&kpis["personsFreed"])), (2, 2));
    assert_eq!(rate("coverage"), (1, 1), "the one lift of the archive reported");
    assert_eq!(at("UNANSWERED").len(), 1, "once, though it was killed");
}

/// A program that is told what to do, and tells what it did, line by line.
struct Partner {
    process: Process,
    to: std::process::ChildStdin,
    from: std::sync::mpsc::Receiver<String>,
}

impl Partner {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = python::command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let (process, pipes) = Process::start(command);
        let from = process::lines(pipes.out.expect("it was piped"));
        Self { process, to: pipes.to.expect("it was piped"), from }
    }

    fn line(&self, patience: Duration) -> String {
        self.from.recv_timeout(patience).expect("nothing more came; standard error says why")
    }

    fn say(&mut self, what: &str) {
        writeln!(self.to, "{what}").expect("it reads");
    }

    fn ask(&mut self, what: &str) {
        self.say(what);
        assert_eq!(self.line(Duration::from_secs(60)), "done");
    }
}
