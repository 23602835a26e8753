//! Rules that change while the service runs: the shipped binary, a real broker, files on disk, and calls.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::process::{Command, Output};
use std::time::Duration;

use support::mosquitto::{Mosquitto, Settings};
use support::publisher::Publisher;
use support::vigil::{BINARY, Vigil};
use support::watcher::{Watched, Watcher};
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use vigil::limits;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::rules_service_client::RulesServiceClient;
use vigil::proto::v1::{Alert, AlertEvent, AlertEventKind, ListAlertsRequest, ReloadRulesRequest, ReloadRulesResponse};

/// Far above what anything takes, so that only what never comes runs into it.
const PATIENCE: Duration = Duration::from_secs(60);
const LIFT: &str = "31305001122014017242";
/// How long both rules of [`rules`] hold at first: longer than two looks at the folder.
const HOLD_S: u64 = 10;

struct World {
    _broker: Mosquitto,
    rules: TempDir,
    vigil: Vigil,
    lift: Publisher,
    runtime: tokio::runtime::Runtime,
}

fn rule(id: &str, for_s: u64) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\non = \"elevator\"\nwhen = \"car == STOPPED && !door_zone\"\nfor = \"{for_s}s\"\n\
         severity = \"major\"\ncertainty = \"likely\"\ntitle = {{ en = \"{id}\", zh = \"{id}\" }}\n"
    )
}

fn rules(steady_s: u64, tuned_s: u64) -> String {
    rule("steady", steady_s) + &rule("tuned", tuned_s)
}

impl World {
    fn start(watch: bool) -> Self {
        let broker = Mosquitto::start(Settings::default());
        let rules_dir = tempfile::tempdir().unwrap();
        std::fs::write(rules_dir.path().join("lift.toml"), rules(HOLD_S, HOLD_S)).unwrap();
        let vigil = Vigil::start_watching(broker.addr(), "sqlite:vigil.db", rules_dir.path(), watch);
        let lift = Publisher::connect(broker.addr(), "lift").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { _broker: broker, rules: rules_dir, vigil, lift, runtime }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.rules.path().join("lift.toml"), text).unwrap();
    }

    /// The lift stands between floors from now on.
    fn stop_lift(&mut self) {
        let frame = br#"{"boot":1,"seq":1,"mode":"normal","car":"stopped","door":"closed","door_zone":false}"#;
        self.lift.publish(&format!("vigil/v1/elevator/{LIFT}/report"), frame).unwrap();
        self.lift.finish().unwrap();
        self.wait("the frame", |world| world.metric("vigil_items_total{what=\"newer\"}") == 1.0);
    }

    fn metric(&self, line: &str) -> f64 {
        let page = self.vigil.page("/metrics").map(|(_, text)| text).unwrap_or_default();
        let lines = page.lines().filter(|of_page| of_page.starts_with(line));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn reloads(&self, by: &str, outcome: &str) -> f64 {
        self.metric(&format!("vigil_rules_reloads_total{{by=\"{by}\",outcome=\"{outcome}\"}}"))
    }

    fn wait(&self, what: &str, is_true: impl Fn(&Self) -> bool) {
        assert!(support::wait::is_soon(PATIENCE, || is_true(self)), "{what}: never:\n{}", self.vigil.log());
    }

    fn alerts(&self) -> Vec<Alert> {
        self.runtime.block_on(async {
            let mut client = AlertServiceClient::connect(self.vigil.grpc_url()).await.unwrap();
            client.list_alerts(ListAlertsRequest::default()).await.unwrap().into_inner().alerts
        })
    }

    fn wait_open(&self, rule: &str) -> Alert {
        self.wait(rule, |world| world.alerts().iter().any(|alert| alert.rule == rule));
        self.alerts().into_iter().find(|alert| alert.rule == rule).unwrap()
    }

    fn reload(&self, request_id: &str) -> Result<ReloadRulesResponse, Status> {
        self.runtime.block_on(async {
            let mut client = RulesServiceClient::connect(self.vigil.grpc_url()).await.unwrap();
            let asked = ReloadRulesRequest { request_id: request_id.into() };
            client.reload_rules(asked).await.map(tonic::Response::into_inner)
        })
    }

    fn typed(&self) -> Output {
        let mut command = Command::new(BINARY);
        command.args(["rules", "reload", "--server", &self.vigil.grpc_url()]).output().unwrap()
    }
}

fn ms(at: Option<prost_types::Timestamp>) -> i64 {
    let at = at.unwrap();
    at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000
}

fn of_rule<'a>(watched: &'a Watched, rule: &str, kind: AlertEventKind) -> Vec<&'a AlertEvent> {
    let of_rule = |event: &&AlertEvent| event.alert.as_ref().is_some_and(|alert| alert.rule == rule);
    watched.seen.iter().map(|seen| &seen.event).filter(of_rule).filter(|event| event.kind() == kind).collect()
}

/// Flow: two holds begin; the file is left half-written, and refused; it is completed, with a longer hold for one of the
/// two.
/// Asserts: the refusal names the place, once, in the log, on the page of readiness and in the metrics; the unchanged
/// rule opens as long after its frame as if nothing had been; the changed one counts from the reload on.
#[test]
fn a_changed_file_is_taken_and_a_half_written_one_is_not() {
    let mut world = World::start(true);
    let watcher = Watcher::start(world.vigil.grpc());
    world.stop_lift();
    let whole = rules(HOLD_S, HOLD_S + 1);
    world.write(&whole[..whole.len() - 40]);
    world.wait("the refusal", |world| world.metric("vigil_rules_refused") == 1.0);
    let refusals = || world.vigil.log().matches("the rules were not reloaded").count();
    assert!(world.vigil.log().contains("lift.toml:"), "{}", world.vigil.log());
    let (status, page) = world.vigil.page("/readyz").unwrap();
    assert!(status == 200 && page.contains("were refused") && page.contains("lift.toml:"), "{page}");

    world.write(&whole);
    world.wait("the reload", |world| world.reloads("file", "taken") == 1.0);
    assert_eq!((world.metric("vigil_rules_refused"), world.reloads("file", "refused"), refusals()), (0.0, 1.0, 1));
    assert_eq!(world.vigil.page("/readyz").unwrap().1, "ready\n");
    let steady = world.wait_open("steady");
    let tuned = world.wait_open("tuned");
    let watched = watcher.stop();
    assert_eq!(watched.faults, Vec::<String>::new());
    let opened = of_rule(&watched, "steady", AlertEventKind::Opened);
    let held_ms = ms(opened[0].at) - ms(opened[0].alert.as_ref().unwrap().opened_at);
    assert_eq!((opened.len(), held_ms), (1, 0));
    let after_ms = ms(tuned.opened_at) - ms(steady.opened_at);
    // It began anew no sooner than the change was looked at twice, which is so long after the frame.
    let looked_ms = i64::try_from(limits::RULES_LOOK_MS).unwrap();
    assert!(after_ms >= 1_000 + looked_ms, "{after_ms}");
    assert!(world.vigil.stop().success());
}

/// Flow: both alerts open; one rule is changed, one is added, then one is removed, each with a call.
/// Asserts: the answers name each rule in its list; only the changed and the removed one's alerts clear, and say why; the
/// same request is answered alike; what doesn't differ is no record.
#[test]
fn a_call_says_what_became_of_each_rule() {
    let mut world = World::start(false);
    let first = world.reload("as it is").unwrap();
    assert_eq!((first.policy_version, first.position, first.unchanged.len()), (1, None, 2));
    let watcher = Watcher::start(world.vigil.grpc());
    world.stop_lift();
    world.wait_open("steady");
    world.wait_open("tuned");

    world.write(&(rules(HOLD_S, 600) + &rule("third", 600)));
    let answer = world.reload("tune").unwrap();
    let position = answer.position.expect("a record was written");
    let want = ReloadRulesResponse {
        policy_version: 2,
        position: Some(position),
        added: vec!["third".into()],
        changed: vec!["tuned".into()],
        unchanged: vec!["steady".into()],
        ..ReloadRulesResponse::default()
    };
    assert_eq!(answer, want);
    world.wait("the changed rule's alert is cleared", |world| world.alerts().len() == 1);
    // Also when the files have changed since.
    world.write(&rules(HOLD_S, 600).replace("en = \"steady\"", "en = \"calm\""));
    assert_eq!(world.reload("tune").unwrap(), want);
    let answer = world.reload("remove").unwrap();
    assert_eq!((answer.removed, answer.reworded), (vec!["third".to_owned()], vec!["steady".to_owned()]));
    assert_eq!((answer.policy_version, answer.unchanged), (3, vec!["tuned".to_owned()]));
    let same = world.reload("again").unwrap();
    assert_eq!((same.policy_version, same.position), (3, None));

    assert_eq!(world.alerts().iter().map(|alert| alert.rule.as_str()).collect::<Vec<_>>(), ["steady"]);
    let watched = watcher.stop();
    assert_eq!(watched.faults, Vec::<String>::new());
    assert_eq!(of_rule(&watched, "steady", AlertEventKind::Cleared).len(), 0);
    let cleared = of_rule(&watched, "tuned", AlertEventKind::Cleared);
    assert_eq!(cleared.iter().map(|event| event.reason.as_str()).collect::<Vec<_>>(), ["rule-changed"]);
    assert!(world.vigil.stop().success());
}

/// Asserts: a call names each fault with its place, however many there are, and so does the command; an empty folder is
/// refused, not taken for no rules; a request needs an id.
#[test]
fn a_call_on_wrong_files_names_each_fault_and_changes_nothing() {
    let mut world = World::start(false);
    let bad = rules(HOLD_S, HOLD_S).replace("STOPPED", "STOPED").replace("major", "grave");
    let path = world.rules.path().join("lift.toml");
    world.write(&bad);
    let status = world.reload("bad").unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let failure = status.get_error_details().precondition_failure().unwrap().clone();
    let places: Vec<_> = failure.violations.iter().map(|v| (v.r#type.as_str(), v.subject.as_str())).collect();
    let fault = |place| ("RULE_FAULT", place);
    let want = ["lift.toml:4:16", "lift.toml:6:13", "lift.toml:12:16", "lift.toml:14:13"];
    assert_eq!(places, want.map(fault), "{failure:?}");
    assert!(failure.violations.iter().all(|v| !v.description.is_empty()));

    let output = world.typed();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && want.iter().all(|place| said.contains(place)), "{said}");

    // As many faults as there may be: their status must still reach a client.
    let many: String = (0..limits::RULES).map(|n| rule(&format!("r-{n}"), 5).replace("STOPPED", "STOPED")).collect();
    world.write(&many);
    let status = world.reload("many").unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let failure = status.get_error_details().precondition_failure().unwrap().clone();
    assert_eq!(failure.violations.last().unwrap().r#type, "MORE_FAULTS");

    std::fs::remove_file(&path).unwrap();
    let status = world.reload("gone").unwrap_err();
    assert!(status.code() == Code::FailedPrecondition && status.message().contains("no *.toml"), "{status:?}");
    assert_eq!(world.reload("").unwrap_err().code(), Code::InvalidArgument);

    // What was refused is read again under the same id, and these are the rules in force all along.
    world.write(&rules(HOLD_S, HOLD_S));
    assert_eq!(world.reload("bad").unwrap().policy_version, 1);
    let output = world.typed();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("nothing differs: policy 1 stays in force, 2 rules"), "{said}");
    world.write(&rules(HOLD_S, 600));
    let said = String::from_utf8(world.typed().stdout).unwrap();
    assert!(said.contains("changed   tuned, begins anew\npolicy 2 is in force since position "), "{said}");
    assert!(world.vigil.stop().success());
}

#[test]
fn a_hangup_reads_the_files_at_once() {
    let mut world = World::start(false);
    world.write(&rules(HOLD_S, 600));
    world.vigil.hang_up();
    world.wait("the reload", |world| world.reloads("signal", "taken") == 1.0);
    assert_eq!(world.reload("after").unwrap().policy_version, 2);
    assert!(world.vigil.stop().success());
}
