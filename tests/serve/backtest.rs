//! `vigil rules backtest`: what a core made of some hours, stored, and replayed through the same rules and through others.

use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use vigil::cli::run;
use vigil::clock::Clock;
use vigil::limits;
use vigil::model::alert::EventKind;
use vigil::model::archive::{Entry, Lift};
use vigil::model::record::Action;
use vigil::model::row::Row;
use vigil::proto::v1::{GetRulesRequest, ListLiftsRequest};
use vigil::serve::history::Happened;

use crate::cli::{Printed, papers, print, typed};
use crate::timeline::{BEGAN_WALL, Timeline, lift_code, shipped};
use crate::world::{World, within};

/// How long ago everything began, and what is compared: an hour, two hours ago.
const AGO_MS: i64 = 4 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;
/// From the beginning.
const FROM_MS: i64 = 2 * HOUR_MS;

const IDLE: &str = r#""mode":"normal","car":"stopped","door_zone":true,"door":"closed","passenger":false"#;
const STUCK: &str = r#""mode":"normal","car":"stopped","door_zone":false,"door":"closed","passenger":true"#;
const ALARM: &str =
    r#""mode":"normal","car":"stopped","door_zone":true,"door":"closed","passenger":true,"alarms":[90]"#;

/// What a service would have stored of some lifts.
struct Past {
    timeline: Timeline,
    seqs: std::collections::BTreeMap<String, u64>,
}

impl Past {
    fn new() -> Self {
        let mut timeline = Timeline::new(&shipped());
        let now = Clock::default().wall();
        timeline.wall_step_ms = now.0 / 1_000 * 1_000 - AGO_MS - BEGAN_WALL.0;
        Self { timeline, seqs: Default::default() }
    }

    fn at_ms(&self, at_ms: i64) -> String {
        (BEGAN_WALL + self.timeline.wall_step_ms + at_ms).to_string()
    }

    fn archive(&mut self, lift: &str, district: &str) -> Entry {
        let entry = Entry::Lift(Lift {
            district: Some(district.parse().unwrap()),
            ..Lift::new(lift_code(lift).parse().unwrap())
        });
        self.timeline.command(&format!("archive {lift}"), Action::Upsert(vec![entry.clone()]));
        entry
    }

    fn frame(&mut self, at_ms: i64, lift: &str, state: &str) {
        self.timeline.advance_to(at_ms);
        let seq = self.seqs.entry(lift.to_owned()).or_default();
        *seq += 1;
        let frame = format!(r#"{{"boot":1,"seq":{seq},"observed_at_ms":{},{state}}}"#, self.timeline.wall().0);
        self.timeline.report(&format!("vigil/v1/elevator/{}/report", lift_code(lift)), frame);
    }

    /// A frame a minute, in that state, from and to.
    fn minutes(&mut self, from_ms: i64, to_ms: i64, lift: &str, state: &str) {
        for at_ms in (from_ms..to_ms).step_by(60_000) {
            self.frame(at_ms, lift, state);
        }
    }

    fn clear(&mut self, at_ms: i64, rule: &str) {
        self.timeline.advance_to(at_ms);
        let open = self.timeline.core.open_alerts();
        let alert = open.into_iter().find(|alert| alert.id.rule.as_str() == rule).unwrap().id;
        self.timeline.command(&format!("clear {at_ms}"), Action::Clear { alert, note: None });
    }

    /// Puts all of it into the store of a server.
    async fn serve(mut self, entries: Vec<Entry>) -> World {
        self.timeline.advance_to(AGO_MS - 1_000);
        let world = World::start().await;
        let mut memory = world.store.memory.lock().unwrap();
        let frames = self.timeline.rows.into_iter().filter_map(|row| match row {
            Row::Frame(row) => Some(row),
            _ => None,
        });
        memory.frames = frames.collect();
        memory.happened = self.timeline.events.into_iter().map(Happened::Alert).collect();
        drop(memory);
        let by_code = |entry: Entry| ((entry.kind(), entry.code().into()), entry);
        world.store.archive.lock().unwrap().extend(entries.into_iter().map(by_code));
        world
    }
}

/// Four lifts: A is stuck three times in the span, for two minutes, for 40 s and, at its beginning, for 50 s; B's
/// passenger presses the alarm, a dispatcher clears that after 20 s; C falls silent; D, which the archive doesn't know,
/// is stuck all along.
fn busy() -> (Past, Vec<Entry>) {
    let mut past = Past::new();
    let entries = vec![past.archive("A", "640104"), past.archive("B", "640106"), past.archive("C", "640104")];
    past.minutes(0, FROM_MS - 20_000, "A", IDLE);
    past.frame(FROM_MS - 20_000, "A", STUCK);
    past.frame(FROM_MS + 30_000, "A", IDLE);
    past.frame(FROM_MS + 600_000, "A", STUCK);
    past.frame(FROM_MS + 660_000, "A", STUCK);
    past.frame(FROM_MS + 720_000, "A", IDLE);
    past.frame(FROM_MS + 1_200_000, "A", STUCK);
    past.frame(FROM_MS + 1_240_000, "A", IDLE);
    past.frame(FROM_MS + 1_300_000, "B", IDLE);
    past.frame(FROM_MS + 1_305_000, "C", IDLE);
    past.frame(FROM_MS + 1_310_000, "D", STUCK);
    past.frame(FROM_MS + 1_320_000, "B", ALARM);
    past.clear(FROM_MS + 1_350_000, "trapped-alarm");
    for at_ms in (FROM_MS + 1_380_000..FROM_MS + HOUR_MS).step_by(60_000) {
        past.frame(at_ms, "A", IDLE);
        past.frame(at_ms, "B", IDLE);
    }
    (past, entries)
}

/// The shipped rules, edited.
fn rules(edit: impl Fn(String) -> String) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tables")).unwrap();
    for (name, text) in shipped().rules {
        std::fs::write(dir.path().join(&*name), edit(text.into())).unwrap();
    }
    dir
}

/// With the one hold of that rule set to another span.
fn with_hold(text: String, rule: &str, hold: &str) -> String {
    let Some(at) = text.find(&format!("id = \"{rule}\"")) else { return text };
    let from = at + text[at..].find("\nfor = \"").unwrap() + "\nfor = \"".len();
    let to = from + text[from..].find('"').unwrap();
    format!("{}{hold}{}", &text[..from], &text[to..])
}

async fn backtest(world: &World, span: (&str, &str), rules: &TempDir, more: &[&str]) -> Printed {
    let dir = rules.path().display().to_string();
    let words = ["rules", "backtest", "--rules", &dir, "--from", span.0, "--to", span.1, "--zone", "UTC"];
    print(world, &[&words, more].concat()).await
}

fn lines(printed: &Printed) -> Vec<Value> {
    printed.out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Each difference in words, with `?` where it is unsure; and of all rules together, what was raised, would have been,
/// and is reproduced.
fn told(printed: &Printed) -> (Vec<String>, [i64; 3]) {
    assert_eq!(printed.result, Ok(true), "{}", printed.err.text());
    let lines = lines(printed);
    let differences = lines.iter().filter(|line| line["what"] == "difference").map(|line| {
        let text = |name: &str| line[name].as_str().unwrap();
        let lift = text("device").chars().last().unwrap();
        let shift = line["shift_ms"].as_i64().map(|ms| format!(" {ms}")).unwrap_or_default();
        let unsure = if line["unsure"] == true { "?" } else { "" };
        format!("{}{unsure} {lift} {}{shift}", text("change"), text("rule"))
    });
    let all = lines.last().unwrap();
    assert_eq!(all["what"], "summary");
    (differences.collect(), ["raised", "replayed", "reproduced"].map(|name| all[name].as_i64().unwrap()))
}

/// Flow: a core judges four lifts for some hours, in which alerts open, clear, and are cleared by hand.
/// Asserts: replayed through the same rules nothing differs, and all that was raised is raised again, at its time.
#[tokio::test]
async fn the_same_rules_make_the_same_alerts_of_history() {
    let (past, entries) = busy();
    let raised = past.timeline.events.iter().filter(|event| event.kind == EventKind::Opened).count();
    assert!(raised >= 6, "{raised}");
    let (from, to) = (past.at_ms(FROM_MS), past.at_ms(FROM_MS + HOUR_MS));
    let world = past.serve(entries).await;
    let same = rules(|text| text);
    let printed = backtest(&world, (&from, &to), &same, &["--json"]).await;
    let (differences, [raised, replayed, reproduced]) = told(&printed);
    assert_eq!((differences, raised == replayed, raised == reproduced), (Vec::new(), true, true));
    assert!(raised >= 5, "{raised}");

    let printed = backtest(&world, (&from, &to), &same, &[]).await;
    let text = printed.out.text();
    assert!(text.contains(": 3 lifts, "), "{text}");
    assert!(text.contains(&format!(" by the rules in force (policy 1): {raised} of {raised}\n")), "{text}");
    let all = text.lines().find(|line| line.starts_with("all ")).unwrap();
    let zeros = all.split_whitespace().skip(3).collect::<Vec<_>>();
    assert_eq!(zeros, ["0", "0", "0", "-", "-", "0"], "{text}");
    world.end().await;
}

/// Asserts: a longer hold loses what was shorter and moves the rest by as much; one that is shorter gains; a clear by
/// hand counts for the alert that would have come a little later; rules that are in one set only are said to be.
#[tokio::test]
async fn other_rules_gain_lose_and_move_alerts() {
    let (past, entries) = busy();
    let (from, to) = (past.at_ms(FROM_MS), past.at_ms(FROM_MS + HOUR_MS));
    let world = past.serve(entries).await;
    let tried = async |edit: &dyn Fn(String) -> String, more: &[&str]| {
        let rules = rules(edit);
        told(&backtest(&world, (&from, &to), &rules, &[&["--json"], more].concat()).await).0
    };

    let longer = |text| with_hold(text, "trapped-out-of-zone", "45s");
    let want = ["moved A trapped-out-of-zone 15000", "moved A trapped-out-of-zone 15000", "lost A trapped-out-of-zone"];
    assert_eq!(tried(&longer, &[]).await, want);
    assert_eq!(tried(&longer, &["--devices", "640106"]).await, [""; 0]);
    assert_eq!(tried(&longer, &["--devices", &lift_code("B")]).await, [""; 0]);
    // The archive doesn't know it, and it is named.
    let both = format!("{},{}", lift_code("D"), lift_code("A"));
    let of_both = tried(&longer, &["--devices", &both]).await;
    assert_eq!(of_both, [&want[..], &["moved D trapped-out-of-zone 15000"]].concat());

    // The alarm would come 30 s after it was cleared, and is cleared then: it isn't open to the end.
    let later = |text| with_hold(text, "trapped-alarm", "55s");
    let rules_later = rules(later);
    let printed = backtest(&world, (&from, &to), &rules_later, &["--json"]).await;
    assert_eq!(told(&printed).0, ["moved B trapped-alarm 45000"]);
    let moved = &lines(&printed)[0];
    assert!(moved["replayed"]["cleared_at"].is_string(), "{moved}");

    let sooner = |text| with_hold(text, "trapped-in-zone-quiet", "5s");
    assert!(tried(&sooner, &[]).await.iter().any(|it| it == "gained B trapped-in-zone-quiet"));

    // One that is gone, and one that is new.
    let renamed = |text: String| {
        text.replace("id = \"trapped-out-of-zone\"", "id = \"stuck\"").replace("trapped-out-of-zone", "stuck")
    };
    let rules_renamed = rules(renamed);
    let printed = backtest(&world, (&from, &to), &rules_renamed, &[]).await;
    let text = printed.out.text();
    let row = |rule: &str| text.lines().find(|line| line.starts_with(rule)).unwrap().to_owned();
    assert!(row("trapped-out-of-zone ").ends_with("not among the rules tried"), "{text}");
    assert!(row("stuck ").ends_with("only among the rules tried"), "{text}");
    assert!(text.contains("\nlost (3):\n") && text.contains("\ngained (3):\n"), "{text}");
    let short = backtest(&world, (&from, &to), &rules_renamed, &["--list", "1"]).await.out.text();
    assert!(short.contains("\nlost (3, the first 1):\n"), "{short}");
    let none = backtest(&world, (&from, &to), &rules_renamed, &["--list", "0"]).await.out.text();
    assert!(!none.contains("\nlost ("), "{none}");
    world.end().await;
}

/// Flow: what was raised came of other rules than those in force now.
/// Asserts: what both show otherwise is unsure, and counts as neither; with the rules of then, nothing is.
#[tokio::test]
async fn what_the_rules_in_force_do_not_reproduce_is_unsure() {
    let (past, entries) = busy();
    let (from, to) = (past.at_ms(FROM_MS), past.at_ms(FROM_MS + HOUR_MS));
    let world = past.serve(entries).await;
    let then = rules(|text| with_hold(text, "trapped-out-of-zone", "45s"));
    let dir = then.path().display().to_string();
    let printed = backtest(&world, (&from, &to), &then, &["--json", "--current", &dir]).await;
    let (differences, [raised, _, reproduced]) = told(&printed);
    assert!(differences.len() == 3 && differences.iter().all(|it| it.contains('?')), "{differences:?}");
    assert_eq!(raised - reproduced, 3);
    let all = lines(&printed).pop().unwrap();
    assert_eq!((&all["unsure"], &all["lost"], &all["moved"]), (&3.into(), &0.into(), &0.into()));
    assert_eq!(all["compared_with"], format!("the rules of {dir}"));
    world.end().await;
}

/// Flow: the broker is away for ten minutes.
/// Asserts: as the service said so, the replay raises no silence either; for whom that is not to see, it does, and it is
/// not laid to the rules.
#[tokio::test]
async fn what_could_not_be_heard_is_no_silence() {
    let mut past = Past::new();
    let entry = past.archive("A", "640104");
    past.minutes(0, FROM_MS + 600_000, "A", IDLE);
    past.timeline.link_down();
    past.timeline.advance_to(FROM_MS + 1_200_000);
    past.timeline.link_up();
    past.timeline.drained();
    past.minutes(FROM_MS + 1_205_000, FROM_MS + HOUR_MS, "A", IDLE);
    let (from, to) = (past.at_ms(FROM_MS), past.at_ms(FROM_MS + HOUR_MS));
    let world = past.serve(vec![entry]).await;
    let printed = backtest(&world, (&from, &to), &rules(|text| text), &["--json"]).await;
    assert_eq!(told(&printed), (Vec::new(), [0, 0, 0]));
    let remarks = lines(&printed).pop().unwrap()["remarks"].to_string();
    assert!(remarks.contains("1 time at which the service could not hear its devices"), "{remarks}");
    // As if the service had said nothing.
    let not_of_service =
        |it: &Happened| matches!(it, Happened::Alert(event) if event.alert.id.subject.to_string() != "vigil");
    world.store.memory.lock().unwrap().happened.retain(not_of_service);
    let printed = backtest(&world, (&from, &to), &rules(|text| text), &["--json"]).await;
    assert_eq!(told(&printed).0, ["gained? A offline"]);
    world.end().await;
}

/// Asserts: whatever can't be done is told in words that say what to do, and only that is a failure.
#[tokio::test]
async fn what_keeps_it_from_running_is_told() {
    let (past, entries) = busy();
    let (from, to, before) = (past.at_ms(FROM_MS), past.at_ms(FROM_MS + HOUR_MS), past.at_ms(-100 * HOUR_MS));
    let first = past.at_ms(0);
    let world = past.serve(entries).await;
    let same = rules(|text| text);
    let check = async |span: (&str, &str), more: &[&str], want: &str| {
        let printed = backtest(&world, span, &same, more).await;
        let error = printed.result.expect_err("it can't run");
        assert!(error.contains(want), "{want}: {error}");
    };
    let span = (from.as_str(), to.as_str());
    check((&to, &from), &[], "--from must be before --to").await;
    check(("0s", "0s"), &[], "--from must be before --to").await;
    check(span, &["--devices", "64o1"], "\"64o1\" is no device code").await;
    check(span, &["--devices", "1101"], "the archive has no lift in these districts").await;
    check(span, &["--devices", &lift_code("Z")], "None is stored of any other time either: check the codes").await;
    let first = format!("is of {}", first.trim_end_matches('Z').replace('T', " "));
    check((&before, "90h"), &[], &first).await;
    check(span, &["--current", "no/such/folder"], "no/such/folder can't be read").await;

    let wrong = rules(|text| text.replace("passenger &&", "pasenger &&"));
    let printed = backtest(&world, span, &wrong, &[]).await;
    let said = printed.err.text();
    assert_eq!(printed.result, Ok(false));
    assert!(said.contains("elevator.toml:") && said.contains("unknown field `pasenger`"), "{said}");
    assert!(said.trim_end().ends_with(" faults") && printed.out.text().is_empty(), "{said}");

    // Emptied by mistake, as a service would refuse them, and not every alert lost.
    let printed = backtest(&world, span, &rules(|_| String::new()), &[]).await;
    assert_eq!(printed.result, Ok(false));
    assert!(printed.err.text().contains("elevator.toml:1:1: the file is empty"), "{}", printed.err.text());

    world.store.memory.lock().unwrap().away = true;
    check(span, &[], "the database is away").await;
    world.shutdown();
}

/// Asserts: a person who has waited long enough is told that it wasn't finished, and so is a script.
#[tokio::test]
async fn it_ends_when_it_is_asked_to() {
    let (past, entries) = busy();
    let (from, to) = (past.at_ms(FROM_MS), past.at_ms(FROM_MS + HOUR_MS));
    let world = past.serve(entries).await;
    let same = rules(|text| text);
    let dir = same.path().display().to_string();
    let command = typed(&world, &["rules", "backtest", "--rules", &dir, "--from", &from, "--to", &to]);
    let (out, err, mut terminal) = papers();
    let stop = CancellationToken::new();
    stop.cancel();
    let code = run(command, &mut terminal, stop).await.unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::from(130)));
    assert!(out.text().is_empty() && err.text().contains("stopped before the end"), "{}", err.text());
    world.end().await;
}

/// Asserts: lifts come in pages, by code, and only those within the districts asked for and the caller's own.
#[tokio::test]
async fn lifts_are_listed_within_the_scope() {
    let mut past = Past::new();
    let districts = ["640104", "640106", "640104", "110101"];
    let entries: Vec<Entry> =
        ["A", "B", "C", "D"].iter().zip(districts).map(|(lift, of)| past.archive(lift, of)).collect();
    let world = past.serve(entries).await;
    let mut registry = world.registry().await;
    let mut listed = async |districts: &[&str], scope: &'static str, page_size: u32| {
        let mut request = ListLiftsRequest {
            districts: districts.iter().map(ToString::to_string).collect(),
            page_size,
            ..Default::default()
        };
        let mut found = String::new();
        loop {
            let page = registry.list_lifts(within(scope, request.clone())).await.unwrap().into_inner();
            found.extend(page.lifts.iter().map(|lift| lift.code.chars().last().unwrap()));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return found;
            }
        }
    };
    for page_size in [0, 1, 2, 4, 1_000] {
        assert_eq!(listed(&[], "64", page_size).await, "ABC");
        assert_eq!(listed(&["640104", "11"], "64", page_size).await, "AC");
        assert_eq!(listed(&["64"], "11", page_size).await, "");
    }
    let many = vec!["64".to_owned(); limits::FILTER_ITEMS + 1];
    for bad in [
        ListLiftsRequest { districts: many, ..Default::default() },
        ListLiftsRequest { page_size: 1_001, ..Default::default() },
        ListLiftsRequest { page_token: "x".into(), ..Default::default() },
    ] {
        assert_eq!(registry.list_lifts(bad).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let rules = vigil::proto::v1::rules_service_client::RulesServiceClient::new(world.channel().await)
        .get_rules(GetRulesRequest {})
        .await
        .unwrap()
        .into_inner();
    let files: Vec<_> = rules.files.into_iter().map(|file| (file.name.into(), file.text.into())).collect();
    assert_eq!((rules.policy_version, rules.zone.as_str()), (1, "Asia/Shanghai"));
    assert_eq!(files, shipped().rules, "tables and all");
    world.end().await;
}
