//! `vigil watch` and the other commands, as they are typed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;
use vigil::cli::{Command, Terminal, run};
use vigil::model::alert::EventKind;

use crate::world::{World, alert, eventually};

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
         door zone (likely) | passenger=true for 31s | 31s old | condition-held | 1:1\n\
         2025-11-22 07:00:31.000 critical cleared      00000000000000000003 | a\u{fffd}[2Jb | trapped-out-of-zone (likely) \
         | passenger=true for 31s | 31s old | condition-held | 1:2\n"
    );
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
        (&["trace", "x"], "the service answered InvalidArgument: subject: cylinder code \"x\" does not fit"),
        (&["history", "x", "--from", "9999-12-31"], "to: must be later"),
    ] {
        let error = print(&world, words).await.result.unwrap_err();
        assert!(error.contains(want), "{words:?}: {error}");
    }
    let silent = TcpAddress::unused().await;
    let words = ["vigil", "trace", "x", "--server", &silent.0];
    let command = Typed::try_parse_from(words).unwrap().command;
    let (_, _, mut terminal) = papers();
    let error = run(command, &mut terminal, CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("can't be reached"), "{error}");
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
    ] {
        let Err(error) = Typed::try_parse_from(words) else { panic!("{words:?} was taken") };
        assert!(error.to_string().contains(want), "{words:?}: {error}");
    }
}
