//! `vigil explain` asked of the service as it is shipped, behind a real broker.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use support::mosquitto::{Mosquitto, Settings};
use support::process;
use support::publisher::Publisher;
use support::vigil::{BINARY, Vigil};

const LIFT: &str = "31305001122014017242";
const PATIENCE: Duration = Duration::from_secs(60);

fn explain(url: &str, words: &[&str]) -> Output {
    process::command(BINARY).args(["explain", LIFT, "--server", url]).args(words).output().unwrap()
}

/// The rule of `explain --json`, and the moment that it was asked for.
fn rule(output: &Output, id: &str) -> Option<(String, Value)> {
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    assert_eq!(answer["basis"], "inbox", "{answer}");
    let rules = answer["rules"].as_array()?;
    let rule = rules.iter().find(|rule| rule["rule"] == id)?.clone();
    Some((answer["at"].as_str()?.to_owned(), rule))
}

/// Flow: a lift reports a passenger in a car that stands outside its zone; somebody asks why nothing is raised, and
/// later asks again for that moment.
/// Asserts: before anything is known it says so; then that the condition is held, and of the past it says the same.
#[test]
fn a_hold_is_explained_while_it_goes_on_and_afterwards() {
    let broker = Mosquitto::start(Settings::default());
    let mut vigil = Vigil::with_sqlite(broker.addr());
    let url = vigil.grpc_url();
    let unknown = explain(&url, &["--json"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && said.contains("NotFound"), "{said}");

    let mut lift = Publisher::connect(broker.addr(), "lift").unwrap();
    let frame =
        br#"{"boot":1,"seq":1,"mode":"normal","car":"stopped","door_zone":false,"door":"closed","passenger":true}"#;
    lift.publish(&format!("vigil/v1/elevator/{LIFT}/report"), frame).unwrap();
    lift.finish().unwrap();
    let holds = |words: &[&str]| {
        let (at, rule) = rule(&explain(&url, words), "trapped-out-of-zone")?;
        (rule["phase"] == "holding").then_some((at, rule))
    };
    let (at, then) = vigil.wait_for("the hold", PATIENCE, || holds(&["--json"]));
    assert_eq!((&then["when"]["truth"], &then["for_ms"]), (&"true".into(), &30_000.into()), "{then}");
    assert_eq!(then["why_not"][0]["reason"], "hold-goes-on", "{then}");
    assert_eq!(then["when"]["values"][0]["name"], "passenger", "{then}");

    let (_, afterwards) = holds(&["--json", "--at", &at]).expect("it was held then");
    assert_eq!(afterwards, then);

    let page = String::from_utf8(explain(&url, &[]).stdout).unwrap();
    assert!(page.contains("trapped-out-of-zone: HOLDING, condition true, held "), "{page}");
    assert!(vigil.stop().success());
}
