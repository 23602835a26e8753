//! Source profiles: the worked examples by the shipped command, and a foreign feed from the broker to an alert.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::mosquitto::{Mosquitto, Settings};
use support::publisher::Publisher;
use support::vigil::{BINARY, Vigil};
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::history_service_client::HistoryServiceClient;
use vigil::proto::v1::{Alert, ListAlertsRequest, ListRejectsRequest, Reject};

const PATIENCE: Duration = Duration::from_secs(60);
const EXAMPLES: [&str; 3] = ["guard", "tower", "yunti"];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles/examples")
}

fn run(args: &[&str]) -> (String, String, bool) {
    let out = Command::new(BINARY).args(args).current_dir(examples()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(out.stdout), text(out.stderr), out.status.success())
}

/// What each example makes of its samples stands beside them. `BLESS=1` writes it anew.
#[test]
fn the_worked_examples_give_the_frames_that_are_written_beside_them() {
    for name in EXAMPLES {
        let (out, err, is_clean) = run(&["profile", "test", &format!("{name}.toml"), &format!("{name}/samples.txt")]);
        let file = examples().join(name).join("frames.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, &out).unwrap();
        }
        assert_eq!(out, std::fs::read_to_string(&file).unwrap(), "{name}: {err}");
        assert!(!is_clean && err.contains("set aside"), "each has something that doesn't fit: {err}");
    }
}

#[test]
fn the_examples_are_in_order_and_may_stand_together() {
    let (out, err, is_clean) = run(&["profile", "check", "."]);
    assert!(is_clean && err.contains("3 profiles: no faults"), "{err}");
    assert_eq!(out.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(), EXAMPLES);
    let (out, _, _) = run(&["profile", "check", "tower.toml", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((line["name"].as_str(), line["keep_alive_s"].as_u64()), (Some("tower"), Some(30)));
}

#[test]
fn faults_are_named_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.toml");
    std::fs::write(
        &file,
        "topic = \"x/+\"\nkeep_alive = \"30s\"\ndevice = { level = 2 }\nfields.sek = { from = \"/n\" }\n",
    )
    .unwrap();
    let (_, err, is_clean) = run(&["profile", "check", dir.path().to_str().unwrap()]);
    assert!(!is_clean && err.contains("x.toml:4:8: no field of a frame is called `sek`; did you mean `seq`?"), "{err}");
    let (_, err, is_clean) = run(&["profile", "test", file.to_str().unwrap(), "tower/samples.txt"]);
    assert!(!is_clean && err.contains("x.toml:4:8:"), "{err}");
    let (_, err, is_clean) = run(&["profile", "test", "tower.toml", "yunti/samples.txt"]);
    assert!(!is_clean && err.contains("the profile doesn't take topic \"yunti/push\""), "{err}");
}

struct World {
    _broker: Mosquitto,
    vigil: Vigil,
    feed: Publisher,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn start() -> Self {
        let broker = Mosquitto::start(Settings::default());
        let vigil = Vigil::with_sqlite(broker.addr());
        let feed = Publisher::connect(broker.addr(), "feed").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { _broker: broker, vigil, feed, runtime }
    }

    /// As the service of its own folder reads it.
    fn add(&mut self, name: &str) {
        let folder = self.vigil.config().parent().unwrap().join("profiles");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(examples().join(format!("{name}.toml")), folder.join(format!("{name}.toml"))).unwrap();
    }

    fn metric(&self, line: &str) -> f64 {
        let page = self.vigil.page("/metrics").map(|(_, text)| text).unwrap_or_default();
        let lines = page.lines().filter(|of_page| of_page.starts_with(line));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
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

    /// Once they are stored.
    fn rejects(&self, profile: &str) -> Vec<Reject> {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let asked = ListRejectsRequest {
            from: at(0),
            to: at(4_000_000_000),
            profile: profile.into(),
            reason: "profile-misfit".into(),
            ..Default::default()
        };
        let ask = || {
            self.runtime.block_on(async {
                let mut client = HistoryServiceClient::connect(self.vigil.grpc_url()).await.unwrap();
                client.list_rejects(asked.clone()).await.unwrap().into_inner().rejects
            })
        };
        self.wait("the reject in the store", |_| !ask().is_empty());
        ask()
    }

    fn publish(&mut self, topic: &str, payload: &str) {
        self.feed.publish(topic, payload.as_bytes()).unwrap();
        self.feed.finish().unwrap();
    }
}

/// Flow: a running service gets a profile; its vendor's box says, twice, that somebody is trapped, and then something that
/// doesn't fit; the profile goes.
/// Asserts: the topics are subscribed to without a restart; one alert is open; the repeat is counted as one and what doesn't
/// fit as set aside; a change of files alone takes no profile out of force.
#[test]
fn a_foreign_feed_opens_an_alert() {
    let mut world = World::start();
    world.add("guard");
    world.wait("the profile", |world| world.metric("vigil_rules_reloads_total{by=\"file\",outcome=\"taken\"}") == 1.0);
    let trapped = r#"{"head":{"id":"1","dev":"31305001122014017242"},"sent":NOW,"faults":[{"code":"K01"}]}"#
        .replace("NOW", &now_ms().to_string());
    let topic = "guard/v2/gw-1/event";
    // Kept by the broker, since nobody sees from outside when a subscription is answered.
    world.feed.publish_retained(topic, trapped.as_bytes()).unwrap();
    world.feed.finish().unwrap();
    world.wait("the frame", |world| world.metric("vigil_items_total{what=\"newer\"}") == 1.0);
    world.publish(topic, &trapped);
    world.wait("the repeat", |world| world.metric("vigil_items_total{what=\"repeat\"}") >= 1.0);
    world.publish(topic, r#"{"head":{"dev":"31305001122014017242"},"sent":1}"#);
    world.wait("the reject", |world| world.metric("vigil_rejects_total{reason=\"profile-misfit\"}") == 1.0);
    let set_aside = world.rejects("guard");
    assert_eq!(
        set_aside.iter().map(|it| (&*it.pointer, &*it.reason)).collect::<Vec<_>>(),
        [("/head/id", "profile-misfit")]
    );
    assert!(
        set_aside[0].detail.contains("the message id") && set_aside[0].payload.starts_with(b"{\"head\""),
        "{set_aside:?}"
    );
    world.wait("the alert", |world| world.alerts().iter().any(|alert| alert.rule == "trapped-reported"));
    assert_eq!(world.metric("vigil_items_total{what=\"newer\"}"), 1.0);

    std::fs::remove_file(world.vigil.config().parent().unwrap().join("profiles/guard.toml")).unwrap();
    let refusals = "vigil_rules_reloads_total{by=\"file\",outcome=\"refused\"}";
    world.wait("the refusal", |world| world.metric(refusals) == 1.0);
    world.wait("its reason", |world| world.vigil.log().contains("no profile takes guard/v2/+/event any more"));
}

fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

/// The message, the profile and the frame that `docs/profiles.md` shows belong together.
#[test]
fn the_guide_shows_what_is() {
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/profiles.md")).unwrap();
    let blocks = |of: &str| -> Vec<String> {
        guide.split(&format!("```{of}\n")).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
    };
    let (json, toml) = (blocks("json"), blocks("toml"));
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (profile, sample) = (write("tower.toml", &toml[0]), write("sample.json", &json[0]));
    let topic = "tower/31305001122014017242/state";
    let (out, err, is_clean) = run(&["profile", "test", &profile, &sample, "--topic", topic]);
    assert!(is_clean && err.contains("1 frame; 0 records set aside"), "{err}");
    assert_eq!(out, format!("31305001122014017242 {}", json[1]));
}
