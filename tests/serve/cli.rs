//! `vigil watch` and the other commands, as they are typed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;
use vigil::cli::{Command, Terminal, run};
use vigil::model::alert::{AlertEvent, Cursor, EventKind, Group, StormScope};
use vigil::model::archive::{EntryKind, FieldChange};
use vigil::model::fill::Verdict;
use vigil::model::frame::Reported;
use vigil::model::ids::PlaceId;
use vigil::model::row::{ChangeKind, ChangeRow, Order};
use vigil::model::scan::ScanEvent;
use vigil::model::time::Wall;
use vigil::serve::history::Happened;

use crate::history::{frame, scan};
use crate::world::{World, alert, event, eventually};

#[derive(Parser)]
struct Typed {
    #[command(subcommand)]
    command: Command,
}

/// Collects what is written.
#[derive(Clone, Default)]
pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Printed {
    pub(crate) out: Paper,
    pub(crate) err: Paper,
    /// `Err` has the error as the user sees it.
    pub(crate) result: Result<bool, String>,
}

pub(crate) fn typed(world: &World, words: &[&str]) -> Command {
    let server = format!("http://{}", world.address);
    let words = ["vigil"].iter().chain(words).copied().chain(["--server", &server]);
    Typed::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).command
}

pub(crate) fn papers() -> (Paper, Paper, Terminal) {
    let (out, err) = (Paper::default(), Paper::default());
    let terminal = Terminal { out: Box::new(out.clone()), err: Box::new(err.clone()), colour: false, progress: false };
    (out, err, terminal)
}

pub(crate) async fn print(world: &World, words: &[&str]) -> Printed {
    let (out, err, mut terminal) = papers();
    let result = run(typed(world, words), &mut terminal, CancellationToken::new()).await;
    let result = result.map(|code| code == std::process::ExitCode::SUCCESS).map_err(|error| format!("{error:#}"));
    Printed { out, err, result }
}

/// Flow: `vigil watch` follows; the server ends and comes back while events go on.
/// Asserts: every event is shown once, in order.
#[tokio::test]
async fn watching_goes_on_across_a_restart_of_the_server() {
    let mut world = World::start().await;
    world.open(0, 3);
    let (out, err, mut terminal) = papers();
    let stop = CancellationToken::new();
    let command = typed(&world, &["watch", "--from", "1:0", "--json"]);
    let watching = tokio::spawn({
        let stop = stop.clone();
        async move { run(command, &mut terminal, stop).await }
    });
    let shown = |n: usize| {
        let out = out.clone();
        async move { eventually("the events", async || (out.text().lines().count() >= n).then_some(())).await }
    };
    shown(3).await;
    world.restart().await;
    world.open(3, 4);
    shown(7).await;
    stop.cancel();
    watching.await.unwrap().unwrap();
    let seqs: Vec<u64> = out
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=7).collect::<Vec<_>>());
    assert!(err.text().contains("going on from 1:3"), "{}", err.text());
    world.end().await;
}

#[tokio::test]
async fn a_line_says_what_a_dispatcher_needs() {
    let world = World::start().await;
    world.open(3, 1);
    world.teller.lock().unwrap().tell(EventKind::Cleared, {
        let mut cleared = alert(3);
        let (place, began) = (PlaceId::parse("F12").unwrap(), Cursor { epoch: 1, seq: 1 });
        let group = Group { scope: StormScope::Feeder, place, began, began_at: Wall(0), lifts: 60 };
        (cleared.occupied, cleared.group, cleared.flapping) = (Some(false), Some(group), true);
        cleared.place.address = Some("a\u{1b}[2Jb".into());
        cleared.title.en = "".into();
        cleared
    });
    let (out, _, mut terminal) = papers();
    let stop = CancellationToken::new();
    let command = typed(&world, &["watch", "--from", "1:0", "--min-severity", "major", "--district", "6401"]);
    let watching = tokio::spawn({
        let stop = stop.clone();
        async move { run(command, &mut terminal, stop).await }
    });
    eventually("two lines", async || (out.text().lines().count() == 2).then_some(())).await;
    stop.cancel();
    watching.await.unwrap().unwrap();
    assert_eq!(
        out.text(),
        "2025-11-22 07:00:31.000 critical opened       00000000000000000003 | 北京路 1 号 | Passenger trapped outside the \
         door zone (likely) | passenger=true for 31s | people in the car | 31s old | condition-held | 1:1\n\
         2025-11-22 07:00:31.000 critical cleared      00000000000000000003 | a\u{fffd}[2Jb | trapped-out-of-zone (likely) \
         | passenger=true for 31s | car empty | group trapped-out-of-zone in feeder F12: 60 lifts | flapping | 31s old \
         | condition-held | 1:2\n"
    );
    world.end().await;
}

#[tokio::test]
async fn watching_a_rule_that_is_not_in_force_is_told_of() {
    let world = World::start().await;
    let (_, err, mut terminal) = papers();
    let stop = CancellationToken::new();
    let command = typed(&world, &["watch", "--rule", "ingest-blnd", "--rule", "store-behind"]);
    let watching = tokio::spawn({
        let stop = stop.clone();
        async move { run(command, &mut terminal, stop).await }
    });
    let told = "# no rule \"ingest-blnd\" is in force, and its alerts are waited for all the same; did you mean \
                `ingest-blind`?\n";
    eventually("a word about it", async || (!err.text().is_empty()).then_some(())).await;
    stop.cancel();
    watching.await.unwrap().unwrap();
    assert!(err.text().starts_with(told) && !err.text().contains("store-behind"), "{}", err.text());
    world.end().await;
}

/// Flow: the service comes to another epoch while `vigil watch` follows.
/// Asserts: it says that something may be missing, shows what is open, and goes on.
#[tokio::test]
async fn watching_starts_over_when_the_epoch_has_changed() {
    let world = World::start().await;
    world.open(0, 2);
    let (out, err, mut terminal) = papers();
    let stop = CancellationToken::new();
    let command = typed(&world, &["watch", "--from", "1:0", "--json"]);
    let watching = tokio::spawn({
        let stop = stop.clone();
        async move { run(command, &mut terminal, stop).await }
    });
    let shown = async |n: usize| {
        eventually("the lines", async || (out.text().lines().count() >= n).then_some(())).await;
    };
    shown(2).await;
    let publish = |seq: u64| {
        let event = AlertEvent { epoch: 2, ..event(seq, EventKind::Opened, alert(6 + seq)) };
        world.backend.feed.publish(&[event], world.backend.feed.judged_now()).unwrap();
    };
    publish(1);
    shown(5).await;
    publish(2);
    shown(6).await;
    stop.cancel();
    watching.await.unwrap().unwrap();
    let lines: Vec<serde_json::Value> = out.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let open: Vec<_> = lines[2..5].iter().map(|line| line["open"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(open, [7, 1, 0].map(|number| alert(number).id.to_string()));
    assert_eq!((lines[5]["epoch"].as_u64(), lines[5]["seq"].as_u64()), (Some(2), Some(2)));
    assert!(err.text().contains("events may be missing here"), "{}", err.text());
    world.end().await;
}

#[tokio::test]
async fn frames_are_shown_as_a_table_or_as_json() {
    let world = World::start().await;
    let mut late = frame(2, Wall(1_763_766_001_000));
    late.order = Order::Late;
    late.frame.faults.items = vec![3];
    late.frame.floor_label = Reported::Known("B1".into());
    world.store.memory.lock().unwrap().frames = vec![frame(1, Wall(1_763_766_000_000)), late];
    let words = ["history", "00000000000000000001", "--from", "2025-11-22", "--to", "2025-11-23"];
    let printed = print(&world, &words).await;
    let rows: Vec<_> =
        printed.out.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        rows[1..],
        [
            "2025-11-22 07:00:00.000 1/1 normal - - - - ? - - - vibration_mg=4.5",
            "2025-11-22 07:00:01.000 1/2 normal - - - - ? B1 - - fault:03 vibration_mg=4.5 (late)",
        ]
    );
    assert_eq!(printed.err.text(), "# 2 frames\n");
    let printed = print(&world, &[&words[..], &["--json", "--limit", "1"]].concat()).await;
    let frame: serde_json::Value = serde_json::from_str(&printed.out.text()).unwrap();
    assert_eq!((&frame["mode"], &frame["unknown"][0]), (&"normal".into(), &"passenger".into()));
    assert_eq!(frame["effective_at"], "2025-11-21T23:00:00.000Z");
    world.end().await;
}

#[tokio::test]
async fn no_frames_of_a_lift_are_not_the_same_as_no_lift() {
    let world = World::start().await;
    world.store.memory.lock().unwrap().frames = vec![frame(1, Wall(1_763_766_000_000))];
    let imported = print(&world, &["import", "lifts", "tests/import/lifts-good.csv"]).await;
    assert_eq!(imported.result, Ok(true));
    // One that sent frames at another time, and one of the archive that never sent any.
    for lift in ["00000000000000000001", "31105001122014017242"] {
        let printed = print(&world, &["history", lift, "--from", "2025-11-01", "--to", "2025-11-02"]).await;
        assert_eq!(printed.out.text(), "", "no header above nothing");
        let want = format!("# lift {lift} sent no frames in that time; --from and --to choose another\n");
        assert_eq!((printed.err.text(), printed.result), (want, Ok(true)));
    }
    let printed = print(&world, &["history", "99999999999999999999"]).await;
    let why = printed.result.unwrap_err();
    assert!(why.starts_with("lift 99999999999999999999 is not known: "), "{why}");
    world.end().await;
}

#[tokio::test]
async fn a_trace_shows_scans_in_words() {
    let world = World::start().await;
    world.store.memory.lock().unwrap().happened =
        (1..=250).map(|seq| scan(seq, Wall(1_763_766_000_000 + seq as i64))).collect();
    let printed = print(&world, &["trace", "564010012345"]).await;
    assert_eq!(printed.out.text().lines().count(), 250);
    assert_eq!(
        printed.out.text().lines().next().unwrap(),
        "2025-11-22 07:00:00.001 filled             at 6401-A by gun-1 | operator op-7 | medium lpg | tare 16500 g | gross \
         31400 g | passed | foreign-site | filling 1 | now with 6401-A"
    );
    let field = |field: &str, before: &str, after: &str| FieldChange {
        field: field.into(),
        before: before.into(),
        after: after.into(),
    };
    let change = ChangeRow {
        kind: EntryKind::Cylinder,
        code: "564010012345".into(),
        what: ChangeKind::Transferred,
        changed_at: Wall(1_763_766_060_000),
        actor: "desk".into(),
        fields: vec![field("filling_unit", "6401-A", "6401-B"), field("medium", "", "lpg")],
    };
    world.store.memory.lock().unwrap().happened.push(Happened::Change(change));
    let printed = print(&world, &["trace", "564010012345"]).await;
    assert_eq!(
        printed.out.text().lines().last().unwrap(),
        "2025-11-22 07:01:00.000 archive: transferred by desk | filling_unit 6401-A -> 6401-B | medium nothing -> lpg"
    );
    let printed = print(&world, &["trace", "564010012346"]).await;
    assert!(printed.err.text().contains("nothing is known"), "{}", printed.err.text());
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_words() {
    let world = World::start().await;
    world.open(0, 3);
    for (words, want) in [
        (&["watch", "--from", "1:9"][..], "the service answered OutOfRange: the cursor 1:9 lies in the future"),
        (&["watch", "--district", "x"], "the service answered InvalidArgument: filter.districts[0]: district \"x\""),
        (&["history", "x"], "the service answered InvalidArgument: device: device code \"x\" does not fit"),
        (&["trace", "x"], "the service answered InvalidArgument: cylinder: cylinder code \"x\" does not fit"),
        (&["history", "x", "--from", "9999-12-31"], "to: must be later"),
    ] {
        let error = print(&world, words).await.result.unwrap_err();
        assert!(error.contains(want), "{words:?}: {error}");
    }
    // Nobody reloads rules in this world.
    let printed = print(&world, &["rules", "reload"]).await;
    let error = printed.result.unwrap_err();
    assert!(
        error.contains("Unavailable twice") && error.contains("run it again") && !error.contains("request id"),
        "{error}"
    );
    assert_eq!(printed.err.text(), "# the service has not answered yet: asking it once more\n");
    let silent = TcpAddress::unused().await;
    let words = ["vigil", "trace", "x", "--server", &silent.0];
    let command = Typed::try_parse_from(words).unwrap().command;
    let (_, _, mut terminal) = papers();
    let error = run(command, &mut terminal, CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("can't be reached"), "{error}");
    world.end().await;
}

/// Flow: alerts are open; one is acknowledged, then cleared, by somebody at a terminal.
/// Asserts: what is listed, with filters and as JSON; what is said of each step, and of what isn't there.
#[tokio::test]
async fn alerts_are_listed_acknowledged_and_cleared() {
    let world = World::start().await;
    let printed = print(&world, &["alerts"]).await;
    assert_eq!((printed.out.text().as_str(), printed.err.text().as_str()), ("", "# no alert is open\n"));
    world.open(0, 4);
    let id = alert(2).id.to_string();
    let printed = print(&world, &["alerts"]).await;
    let text = printed.out.text();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.lines().any(|line| line.ends_with(&format!(" | {id}"))), "{text}");
    let subject = alert(2).id.subject.to_string();
    let printed = print(&world, &["alerts", "--subject", &subject, "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&printed.out.text()).unwrap();
    assert_eq!(shown["id"], id.as_str());
    let printed = print(&world, &["alerts", "--rule", "trapped"]).await;
    assert!(printed.err.text().starts_with("# no rule \"trapped\" is in force"), "{}", printed.err.text());

    let printed = print(&world, &["alert", &id, "ack", "--by", "Li", "--note", "on the way"]).await;
    assert_eq!(printed.result, Ok(true));
    assert!(printed.out.text().contains(" | acknowledged by "), "{}", printed.out.text());
    assert_eq!(print(&world, &["alerts", "--unacknowledged"]).await.out.text().lines().count(), 3);
    let printed = print(&world, &["alert", &id, "clear", "--by", "Li"]).await;
    assert_eq!(printed.out.text(), format!("cleared: {id}\n"));
    assert_eq!(print(&world, &["alerts"]).await.out.text().lines().count(), 3);

    for (words, want) in [
        (&["alert", "x", "ack", "--by", "Li"][..], "InvalidArgument"),
        (&["alert", &id, "ack", "--by", " "], "--by is empty"),
        (&["sign", "31105001122014017242", "r-1", "--firm", "F-1", "--by", ""], "InvalidArgument"),
    ] {
        let printed = print(&world, words).await;
        let error = printed.result.unwrap_err();
        assert!(error.contains(want), "{words:?}: {error}");
    }
    world.end().await;
}

/// Asserts: every command that talks to a service refuses to do so in plain text where TLS was asked for, before anything is sent.
#[tokio::test]
async fn an_encrypted_address_is_refused_by_every_command() {
    let list = "tests/import/lifts-good.csv";
    for words in [
        &["watch"][..],
        &["alerts"],
        &["alert", "x", "ack", "--by", "Li"],
        &["incidents"],
        &["incident", "1-1"],
        &["advance", "1-1", "note", "--note", "on the way"],
        &["call", "--address", "x"],
        &["cap", "x"],
        &["notify", "status"],
        &["history", "x"],
        &["trace", "x"],
        &["overdue"],
        &["rules", "reload"],
        &["sign", "x", "r", "--firm", "F", "--by", "o"],
        &["import", "lifts", list],
        &["export", "lifts"],
    ] {
        let words = ["vigil"].iter().chain(words).copied().chain(["--server", "https://127.0.0.1:1"]);
        let words: Vec<&str> = words.collect();
        let command = Typed::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}")).command;
        let (_, _, mut terminal) = papers();
        let error = run(command, &mut terminal, CancellationToken::new()).await.unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("doesn't speak TLS yet") && said.contains("ssh -L"), "{words:?}: {said}");
    }
}

/// Flow: a check passes whose scanner had no clock, and the gun is told that the cylinder is unchecked; then another one, which is
/// used by a filling.
/// Asserts: a trace says so in words, only where it was so.
#[tokio::test]
async fn a_check_that_did_not_count_is_named() {
    let world = World::start().await;
    let at = |n: i64| Wall(1_763_766_000_000 + n);
    let of = |seq: u64, event: ScanEvent, denied: bool| {
        let mut happened = scan(seq, at(seq as i64));
        let Happened::Scan(row) = &mut happened else { panic!("a scan") };
        (row.scan.event, row.scan.passed) = (event, Some(true));
        let reasons = if denied { vec!["unchecked".into()] } else { Vec::new() };
        row.verdict = (event == ScanEvent::FillRequested).then(|| Verdict { reasons, expires_at: at(99) });
        happened
    };
    world.store.memory.lock().unwrap().happened = vec![
        of(1, ScanEvent::FillRequested, true),
        of(2, ScanEvent::CheckedBeforeFill, false),
        of(3, ScanEvent::FillRequested, true),
        of(4, ScanEvent::FillRequested, false),
        of(5, ScanEvent::Filled, false),
        of(6, ScanEvent::FillRequested, true),
    ];
    let printed = print(&world, &["trace", "564010012345"]).await;
    let said: Vec<bool> = printed.out.text().lines().map(|line| line.contains("does not count")).collect();
    assert_eq!(said, [false, false, true, false, false, false], "{}", printed.out.text());
    assert!(
        printed.out.text().contains("the check of 2025-11-22 07:00:00.002 does not count"),
        "{}",
        printed.out.text()
    );
    world.end().await;
}

struct TcpAddress(String);

impl TcpAddress {
    /// An address at which nobody listens.
    async fn unused() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self(format!("http://{}", listener.local_addr().unwrap()))
    }
}

#[test]
fn arguments_that_do_not_fit_are_named() {
    for (words, want) in [
        (&["vigil", "watch", "--from", "7"][..], "EPOCH:SEQ"),
        (&["vigil", "watch", "--min-severity", "bad"], "warning, minor, major or critical"),
        (&["vigil", "watch", "--zone", "Mars"], "is no time zone"),
        (&["vigil", "history", "x", "--from", "yesterday"], "is no time"),
        (&["vigil", "import", "boats", "x.csv"], "lifts"),
        (&["vigil", "notify", "replay", "--target", "city", "--from", "1:x"], "SEQ or EPOCH:SEQ"),
        (&["vigil", "alert", "x", "ack"], "--by"),
    ] {
        let Err(error) = Typed::try_parse_from(words) else { panic!("{words:?} was taken") };
        assert!(error.to_string().contains(want), "{words:?}: {error}");
    }
}
