//! `vigil rules backtest` of the service as it is shipped, and of any journey of a lift.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "support/timeline.rs"]
mod timeline;

use std::process::Output;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::Value;
use support::mosquitto::{Mosquitto, Settings};
use support::process;
use support::publisher::Publisher;
use support::vigil::{BINARY, Vigil};
use timeline::{Timeline, lift_code, shipped};
use vigil::backtest::{Act, Alert, Alerts, Arrivals, LiftReplay, Rules, Span, Told, compare};
use vigil::core::policy::check_rules;
use vigil::core::replay::Replay;
use vigil::model::ids::{DeviceCode, Subject};
use vigil::model::record::{Action, PolicyText};
use vigil::model::row::{FrameRow, Row};

const LIFT: &str = "31305001122014017242";
const PATIENCE: Duration = Duration::from_secs(60);

/// A rule of its own, with that hold, in a folder of its own.
fn rules(hold: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rule = format!(
        "[[rule]]\nid = \"between-floors\"\non = \"elevator\"\nwhen = \"!door_zone && car == STOPPED\"\nfor = \"{hold}\"\n\
         severity = \"major\"\ncertainty = \"observed\"\ndispatch = \"rescue\"\ntitle = {{ en = \"Between floors\", zh = \"非平层\" }}\n"
    );
    std::fs::write(dir.path().join("lift.toml"), rule).unwrap();
    dir
}

fn backtest(url: &str, rules: &tempfile::TempDir, more: &[&str]) -> Output {
    let mut command = process::command(BINARY);
    command.args(["rules", "backtest", "--from", "1h", "--server", url, "--rules"]).arg(rules.path()).args(more);
    command.output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Flow: a lift that the archive doesn't know stands between floors for more than three seconds, under a rule that holds
/// one; then history is replayed, through the rule as it is and with other holds.
/// Asserts: nothing differs by the same rule; a hold that is two seconds longer moves the alert by as much; one of an
/// hour loses it. Without the service there, it says so.
#[test]
fn a_running_service_is_asked_what_other_rules_would_have_raised() {
    let broker = Mosquitto::start(Settings::default());
    let same = rules("1s");
    let mut vigil = Vigil::start_with(broker.addr(), "sqlite:vigil.db", same.path());
    let url = vigil.grpc_url();
    let mut lift = Publisher::connect(broker.addr(), "lift").unwrap();
    let frame = |seq: u64, zone: bool| format!(r#"{{"boot":1,"seq":{seq},"car":"stopped","door_zone":{zone}}}"#);
    let topic = format!("vigil/v1/elevator/{LIFT}/report");
    let none = backtest(&url, &same, &["--devices", LIFT]);
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(!none.status.success() && said.contains("there is nothing to replay"), "{said}");
    let none = backtest(&url, &same, &[]);
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(!none.status.success() && said.contains("the archive has no lift"), "{said}");

    lift.publish(&topic, frame(1, false).as_bytes()).unwrap();
    lift.finish().unwrap();
    // The hold of three seconds is over by the service's own clock, too.
    let longer = rules("3s");
    let json = ["--json", "--devices", LIFT];
    let moved = vigil.wait_for("an alert that moves", PATIENCE, || {
        let output = backtest(&url, &longer, &json);
        lines(&output).into_iter().find(|line| line["what"] == "difference" && line["change"] == "moved")
    });
    // The service's civil clock and its monotonic one may part by some ms.
    let shift_ms = moved["shift_ms"].as_i64().unwrap();
    assert!((1_900..2_100).contains(&shift_ms) && moved["unsure"] == false, "{moved}");
    let mut lift = Publisher::connect(broker.addr(), "lift").unwrap();
    lift.publish(&topic, frame(2, true).as_bytes()).unwrap();
    lift.finish().unwrap();

    let cleared = |line: &Value| line["raised"]["cleared_at"].is_string();
    let lost = vigil.wait_for("the alert is cleared", PATIENCE, || {
        let output = backtest(&url, &rules("1h"), &json);
        lines(&output).into_iter().find(|line| line["what"] == "difference" && cleared(line))
    });
    assert_eq!((&lost["change"], &lost["replayed"]), (&"lost".into(), &Value::Null), "{lost}");
    let output = backtest(&url, &same, &json);
    let found = lines(&output);
    assert!(output.status.success() && found.len() == 3, "{found:?}");
    let all = &found[2];
    assert_eq!((&all["raised"], &all["reproduced"], &all["frames"]), (&1.into(), &1.into(), &2.into()), "{all}");
    what_rescues_say(&mut vigil, &url, &same);

    assert!(vigil.stop().success());
    let gone = backtest(&url, &same, &[]);
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(!gone.status.success() && said.contains("can't be reached"), "{said}");
}

/// Flow: people free somebody from the lift and say so; a caller tells of another one, which was nothing.
/// Asserts: the same rules would have missed nobody, those that hold an hour would have; both are found among those of the past.
fn what_rescues_say(vigil: &mut Vigil, url: &str, same: &tempfile::TempDir) {
    let run = |arguments: &[&str]| {
        let output = process::command(BINARY).args(arguments).args(["--server", url]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    run(&["advance", "1-1", "free"]);
    run(&["advance", "1-1", "close", "--persons", "1", "--cause", "door", "--action", "door freed by hand"]);
    let called = lines(&run(&["call", "--address", "a hall", "--phone", "139", "--occupied", "true", "--json"]));
    assert_eq!((&called[0]["id"], &called[0]["occupied"]), (&"1-2".into(), &true.into()), "{called:?}");
    run(&["advance", "1-2", "false-alarm"]);
    let past = vigil.wait_for("both are stored", PATIENCE, || {
        let past = lines(&run(&["incidents", "--from", "1h", "--json"]));
        (past.len() == 2 && past.iter().all(|it| !it["over_ms"].is_null())).then_some(past)
    });
    assert_eq!((&past[0]["device"], &past[0]["ending"]["persons_freed"]), (&LIFT.into(), &1.into()), "{past:?}");
    let json = ["--json", "--devices", LIFT];
    for (rules, missed) in [(same, 0), (&rules("1h"), 1)] {
        let found = lines(&backtest(url, rules, &json));
        let all = found.iter().find(|line| line["what"] == "rescues").unwrap();
        assert_eq!((&all["real"], &all["missed"], &all["unsure"]), (&1.into(), &missed.into(), &0.into()), "{found:?}");
        assert!(found.iter().any(|line| line["what"] == "rescue" && line["incident"] == "1-1"), "{found:?}");
    }
    let table = backtest(url, &rules("1h"), &["--devices", LIFT]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("1 rescue of people who were trapped: 1 would have been missed"), "{table}");
    assert!(table.contains(&format!("{LIFT}  incident 1-1")), "{table}");
}

/// What a lift does next.
#[derive(Debug, Clone)]
struct Step {
    after_ms: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// One report, each frame as what is added to the newest seq, how late it is, and its members.
    Report(Vec<(Turn, Option<i64>, String)>),
    /// A dispatcher clears one of the open alerts.
    Clear(Index),
    Nothing,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Next(u64),
    Back(u64),
    Reboot,
}

fn frame() -> impl Strategy<Value = (Turn, Option<i64>, String)> {
    let turn =
        prop_oneof![8 => (1..3u64).prop_map(Turn::Next), 1 => (1..4u64).prop_map(Turn::Back), 1 => Just(Turn::Reboot)];
    let late_ms = weighted(0.9, prop_oneof![8 => 0..400i64, 2 => 4_000..60_000i64, 1 => -1_000..2_000_000i64]);
    let member = |name: &'static str, values: Vec<&'static str>| {
        let picked = weighted(0.7, select(values));
        picked.prop_map(move |value| value.map_or(String::new(), |v| format!(r#","{name}":{v}"#)))
    };
    let list = |name: &'static str, values: Vec<&'static str>| {
        let picked = weighted(0.3, subsequence(values.clone(), 0..=values.len()));
        picked.prop_map(move |picked| picked.map_or(String::new(), |it| format!(r#","{name}":[{}]"#, it.join(","))))
    };
    let stuck = r#","mode":"normal","car":"stopped","door_zone":false,"door":"closed","passenger":true"#;
    let any_status = (
        member("mode", vec![r#""normal""#, r#""inspection""#, r#""unknown""#]),
        member("car", vec![r#""stopped""#, r#""stopped""#, r#""running""#]),
        member("door_zone", vec!["true", "false"]),
        member("door", vec![r#""closed""#, r#""open""#, r#""opening""#, r#""nonsense""#]),
        member("passenger", vec!["true", "true", "false"]),
    );
    let any_status =
        any_status.prop_map(|(mode, car, zone, door, passenger)| [mode, car, zone, door, passenger].concat());
    let status = prop_oneof![2 => Just(stuck.to_owned()), 3 => any_status, 1 => Just(String::new())];
    let lists = (
        list("faults", vec!["1", "3", "4", "5", "41", "\"x\""]),
        list("events", vec!["40", "3"]),
        list("alarms", vec!["90"]),
        list("conditions", vec![r#""trapped""#, r#""overtravel_top""#]),
        list("cleared", vec![r#""03""#, r#""trapped""#]),
    );
    let lists = lists.prop_map(|(a, b, c, d, e)| [a, b, c, d, e].concat());
    (turn, late_ms, status, lists).prop_map(|(turn, late_ms, status, lists)| (turn, late_ms, status + &lists))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let after_ms =
        prop_oneof![6 => 1..3_000i64, 4 => 3_000..20_000i64, 3 => 20_000..150_000i64, 1 => 150_000..1_300_000i64];
    let what = prop_oneof![
        10 => vec(frame(), 1..3).prop_map(What::Report),
        2 => any::<Index>().prop_map(What::Clear),
        1 => Just(What::Nothing),
    ];
    vec((after_ms, what).prop_map(|(after_ms, what)| Step { after_ms, what }), 1..60)
}

/// What the service makes of it: what is stored, and when which alert was cleared by hand.
fn live(steps: &[Step], device: DeviceCode) -> (Timeline, Vec<FrameRow>) {
    let mut timeline = Timeline::new(&shipped());
    timeline.unchecked = true;
    let (mut boot, mut newest) = (1, 0);
    for Step { after_ms, what } in steps {
        timeline.advance_to(timeline.now_ms + after_ms);
        match what {
            What::Nothing => {}
            What::Clear(n) => {
                let open = timeline.core.open_alerts();
                let open: Vec<_> =
                    open.into_iter().filter(|alert| alert.id.subject == Subject::Device(device)).collect();
                if let Some(alert) = open.get(n.index(open.len().max(1))) {
                    let alert = alert.id.clone();
                    timeline.command(&format!("at {}", timeline.now_ms), Action::Clear { alert, note: None });
                }
            }
            What::Report(frames) => {
                let frame = |(turn, late_ms, members): &(Turn, Option<i64>, String)| {
                    let seq = match turn {
                        Turn::Next(n) => newest + n,
                        Turn::Back(n) => newest.saturating_sub(*n).max(1),
                        Turn::Reboot => {
                            boot += 1;
                            newest = 0;
                            1
                        }
                    };
                    newest = newest.max(seq);
                    let claimed = late_ms
                        .map(|ms| format!(r#","observed_at_ms":{}"#, timeline.wall().0 - ms))
                        .unwrap_or_default();
                    format!(r#"{{"boot":{boot},"seq":{seq}{claimed}{members}}}"#)
                };
                let frames: Vec<String> = frames.iter().map(frame).collect();
                timeline.report(&format!("vigil/v1/elevator/{device}/report"), format!("[{}]", frames.join(",")));
            }
        }
    }
    timeline.advance_to(timeline.now_ms + 7_200_000);
    let mut rows: Vec<FrameRow> = Vec::new();
    for row in &timeline.rows {
        if let Row::Frame(row) = row {
            rows.push(row.clone());
        }
    }
    rows.sort_by_key(|row| (row.effective_at, row.generation, row.frame.key));
    (timeline, rows)
}

fn replayed(policy: &PolicyText, span: &Span, device: DeviceCode, told: &[Told], rows: &[FrameRow]) -> Vec<Alert> {
    let clears = told.iter().filter(|told| told.is_by_hand());
    let agenda = clears.map(|told| (told.published_at, Act::Clear(told.rule.clone())));
    let mut lift = LiftReplay::new(&Replay::begin(policy, span.begin), device, None, agenda, span.end);
    let mut arrivals = Arrivals::default();
    for row in rows {
        arrivals.push(row.clone());
        while let Some(report) = arrivals.next_report() {
            lift.take(&report);
        }
    }
    arrivals.end();
    while let Some(report) = arrivals.next_report() {
        lift.take(&report);
    }
    lift.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    /// Whatever a lift does, as long as the link holds: its stored frames, replayed through the rules that judged it, tell
    /// what was raised, to the millisecond.
    #[test]
    fn the_same_rules_reproduce_any_journey(steps in steps()) {
        let device: DeviceCode = lift_code("A").parse().unwrap();
        let begin = timeline::BEGAN_WALL;
        let (timeline, rows) = live(&steps, device);
        let of_lift = timeline.events.iter().filter(|event| event.alert.id.subject == Subject::Device(device));
        let told: Vec<Told> = of_lift.map(Told::from).collect();
        let end = timeline.wall();
        let span = Span { begin, from: begin, to: end, end, is_cut: false };
        let set = check_rules(&shipped().rules).unwrap();
        let rules = Rules::of(&set, &set);
        let mut raised = Alerts::until(end);
        told.iter().for_each(|told| raised.note(told));
        let covered = |alerts: Vec<Alert>| alerts.into_iter().filter(|it| rules.covers(&it.rule)).collect::<Vec<_>>();
        let raised = covered(raised.into_vec());
        let replayed = covered(replayed(&shipped(), &span, device, &told, &rows));
        prop_assert_eq!(&replayed, &raised);
        for compared in compare(&span, &rules, &raised, &replayed, Some(&replayed)).into_values() {
            prop_assert_eq!((compared.differences.len(), compared.raised), (0, compared.reproduced));
        }
    }
}
