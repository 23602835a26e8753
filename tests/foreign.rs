//! Clients that aren't ours: a terminal written with paho-mqtt, a dispatch centre's client with grpcio.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::io::Write as _;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::mosquitto::{Mosquitto, Settings};
use support::process::{self, Process};
use support::python;
use support::vigil::Vigil;

const DEVICE: &str = "31106401052012000157";
/// Far above what anything takes, so that only what never comes runs into it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is told what to do, and tells what it did, line by line.
struct Partner {
    process: Process,
    to: Option<ChildStdin>,
    from: Receiver<String>,
}

impl Partner {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = python::command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let (process, pipes) = Process::start(command);
        Self { process, to: pipes.to, from: process::lines(pipes.out.expect("it was piped")) }
    }

    fn line(&self, what: &str) -> String {
        self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} never came; standard error says why"))
    }

    /// What is told next, which is the outcome of `step`.
    fn next(&self, step: &str) -> Value {
        let told: Value = serde_json::from_str(&self.line(step)).expect("JSON");
        assert_eq!(told["step"], step, "{told}");
        told
    }

    fn ask(&mut self, what: &str) {
        let pipe = self.to.as_mut().expect("it was piped");
        writeln!(pipe, "{what}").expect("it reads");
        assert_eq!(self.line(what), "done");
    }
}

/// Flow: a terminal connects, reports somebody trapped (JSON, two frames), then free (protobuf), and dies. A dispatch
/// centre watches, lists, acknowledges twice with one request id, reads frames and timeline.
/// Asserts: each of them sees what the other did, in the words of the published interfaces alone.
#[test]
fn a_terminal_and_a_dispatch_centre_of_other_makers_understand_the_service() {
    let generated = tempfile::tempdir().unwrap();
    python::generate(generated.path());
    let modules = generated.path().to_str().unwrap();
    let broker = Mosquitto::start(Settings::default());
    let mut vigil = Vigil::with_sqlite(broker.addr());

    let mut centre = Partner::start("dispatch.py", &[&vigil.grpc().to_string(), DEVICE, modules]);
    let services = ["", "vigil.v1.AlertService", "vigil.v1.HistoryService", "vigil.v1.RegistryService"];
    assert_eq!(centre.next("health")["serving"], json!(services));
    let reflected = centre.next("reflection");
    for service in ["vigil.v1.AlertService", "vigil.v1.HistoryService", "grpc.health.v1.Health"] {
        assert!(reflected["services"].as_array().unwrap().contains(&json!(service)), "{reflected}");
    }
    assert_eq!(reflected["methods"], json!(["WatchAlerts", "ListAlerts", "AcknowledgeAlert", "ClearAlert"]));
    let heartbeat = &centre.next("watching")["heartbeat"];
    assert!(heartbeat["scanned"]["epoch"].is_u64() && heartbeat["judged"]["at"].is_string(), "{heartbeat}");

    let mut terminal = Partner::start("device.py", &[&broker.port().to_string(), DEVICE, modules]);
    assert_eq!(terminal.line("online"), "done");
    terminal.ask("trapped");

    let opened = &centre.next("opened")["event"];
    let alert = &opened["alert"];
    let id = format!("{DEVICE}/trapped-reported/1");
    for (name, want) in [
        ("id", json!(id)),
        ("state", json!("ALERT_STATE_OPEN")),
        ("severity", json!("SEVERITY_CRITICAL")),
        ("certainty", json!("CERTAINTY_OBSERVED")),
        ("dispatch", json!("rescue")),
        ("unregistered", json!(true)),
    ] {
        assert_eq!(alert[name], want, "{name} of {opened}");
    }
    assert!(alert["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()), "{opened}");
    assert_eq!(centre.next("listed")["ids"], json!([id]));

    let answer = centre.next("answer");
    assert!(answer["position"].as_u64() > Some(0) && answer["position"] == answer["again"], "{answer}");
    assert_eq!(answer["alert"]["acknowledged"]["by"], "local", "{answer}");
    assert_eq!(centre.next("refusal")["code"], "NOT_FOUND");
    let acknowledged = &centre.next("acknowledged")["event"];
    assert_eq!(acknowledged["note"], "two people, calm");
    assert_eq!(
        number(&acknowledged["previousSeq"]),
        number(&opened["seq"]),
        "with a filter: the seq before in the stream"
    );

    check_frames(&centre.next("frames")["frames"]);
    let timeline = centre.next("timeline");
    assert_eq!(kinds(&timeline), ["online", "OPENED", "ACKNOWLEDGED"]);

    terminal.ask("freed");
    let cleared = &centre.next("cleared")["event"];
    assert_eq!(cleared["alert"]["state"], "ALERT_STATE_CLEARED");
    assert_eq!(cleared["alert"]["acknowledged"]["by"], "local");
    assert!(cleared["alert"]["clearedAt"].is_string(), "{cleared}");

    // Mosquitto sends the last will.
    terminal.process.end(Signal::KILL);
    assert_eq!(kinds(&centre.next("gone")), ["online", "OPENED", "ACKNOWLEDGED", "CLEARED", "offline"]);
    let status = centre.process.status_within(PATIENCE);
    assert!(status.is_some_and(|status| status.success()), "{status:?}; standard error says why");
    assert!(vigil.stop().success());
}

/// JSON has 64-bit numbers as texts.
fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

/// What happened, in order: changes of status, and events of the reported entrapment.
fn kinds(timeline: &Value) -> Vec<String> {
    let kind = |item: &Value| {
        let (status, event) = (&item["status"], &item["alertEvent"]);
        if !status.is_null() {
            return Some(if status["online"] == true { "online".to_owned() } else { "offline".to_owned() });
        }
        let is_reported = event["alert"]["rule"] == "trapped-reported";
        event["kind"].as_str().filter(|_| is_reported).map(|kind| kind.replace("ALERT_EVENT_KIND_", ""))
    };
    timeline["items"].as_array().expect("items").iter().filter_map(kind).collect()
}

/// Both frames as the terminal sent them.
fn check_frames(frames: &Value) {
    let frames: Vec<&Value> = frames.as_array().expect("frames").iter().collect();
    assert_eq!(frames.iter().map(|stored| number(&stored["frame"]["seq"])).collect::<Vec<_>>(), [Some(1), Some(2)]);
    for (frame, name, want) in [
        (0, "car", json!("CAR_RUNNING")),
        (0, "speedMmS", json!(1600)),
        (0, "extras", json!({"vibration_mg": 423.20917087271323})),
        (1, "car", json!("CAR_STOPPED")),
        (1, "doorZone", json!(false)),
        (1, "door", json!("DOOR_CLOSED")),
        (1, "passenger", json!(true)),
        (1, "floorLabel", json!("十二")),
        (1, "faults", json!([4])),
        (1, "conditions", json!(["trapped"])),
    ] {
        assert_eq!(frames[frame]["frame"][name], want, "{name} of {}", frames[frame]);
    }
    for stored in frames {
        assert_eq!(stored["timeSource"], "TIME_SOURCE_CLAIMED");
        assert_eq!(stored["order"], "ARRIVAL_ORDER_NEWER");
        assert_eq!(stored["frame"]["claimedAt"], stored["effectiveAt"]);
    }
}
