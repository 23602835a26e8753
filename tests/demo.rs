//! `vigil demo`, as a newcomer runs it, and with nothing to judge by.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::process::{self, Process};
use support::vigil::BINARY;

/// Promised for the first alert of a trapped passenger.
const FIRST_ALERT_WITHIN: Duration = Duration::from_secs(60);
/// Promised for the end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// Rules that find nothing are seen through once the first incidents should have been told, a minute after the start.
const MISSED_WITHIN: Duration = Duration::from_secs(75);

struct Demo {
    process: Process,
    begun: Instant,
    lines: Receiver<String>,
    /// All that was said so far, for failures.
    said: Vec<String>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = process::command(BINARY);
        command.args(["demo", "--seed", "1"]).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let begun = Instant::now();
        let (process, pipes) = Process::start(command);
        Self { process, begun, lines: process::lines(pipes.out.expect("it was piped")), said: Vec::new() }
    }

    /// The next line that is `wanted`; it must come within `time` of the start.
    fn line(&mut self, what: &str, time: Duration, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let left = time.saturating_sub(self.begun.elapsed());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("{what}: not within {time:?}:\n{}", self.said.join("\n"));
            };
            self.said.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Ctrl-C. Returns what was said from then on.
    fn interrupt(&mut self) -> Vec<String> {
        self.process.signal(Signal::INT);
        let status = self.process.status_within(ENDS_WITHIN);
        let ended_well = status.is_some_and(|status| status.code() == Some(0));
        assert!(ended_well, "{status:?}:\n{}", self.lines.try_iter().collect::<Vec<_>>().join("\n"));
        let rest: Vec<String> = self.lines.iter().collect();
        rest
    }
}

/// The number before a word in a line of figures.
fn figure(line: &str, word: &str) -> u64 {
    let before = line.split_once(&format!(" {word}")).unwrap_or_else(|| panic!("no {word:?} in {line:?}")).0;
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{word:?} in {line:?}"))
}

fn is_figures(line: &str) -> bool {
    line.starts_with("-- ")
}

/// Asserts: the addresses come first; somebody trapped is told within a minute, with lift, address and evidence; the
/// figures after it have nothing missed and nothing false; Ctrl-C ends it with a last word.
#[test]
fn the_demo_tells_of_the_trapped_and_misses_nobody() {
    let mut demo = Demo::start(&[]);
    let addresses = demo.line("addresses", FIRST_ALERT_WITHIN, |_| true);
    for address in ["MQTT 127.0.0.1:", "gRPC 127.0.0.1:", "http://127.0.0.1:", "data in "] {
        assert!(addresses.contains(address), "{addresses}");
    }
    let data = addresses.split_once("data in ").map(|(_, folder)| folder.to_owned()).expect("a folder");
    let is_trapped = |line: &str| line.contains(" critical opened ") && line.contains("Passenger trapped");
    let alert = demo.line("somebody trapped", FIRST_ALERT_WITHIN, is_trapped);
    for part in ["Example Road", "passenger=true", " old |"] {
        assert!(alert.contains(part), "{alert}");
    }
    let figures = demo.line("figures", FIRST_ALERT_WITHIN + Duration::from_secs(12), is_figures);
    assert!(figure(&figures, "incidents") > 0 && figure(&figures, "in time") > 0, "{figures}");
    let rest = demo.interrupt();
    assert_eq!(rest.last().map(String::as_str), Some("ended cleanly"), "{rest:?}");
    let last = rest.iter().rfind(|line| is_figures(line)).expect("the last figures");
    for figures in [&figures, last] {
        assert_eq!((figure(figures, "missed"), figure(figures, "false")), (0, 0), "{}", demo.said.join("\n"));
    }
    assert!(!Path::new(&data).exists(), "{data} is left behind");
}

/// Asserts: what nobody judges is missed, and is counted so: the figures don't come from the fleet.
#[test]
fn with_rules_that_find_nothing_the_demo_misses() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "[[rule]]\nid = 'never'\non = 'elevator'\nwhen = 'load_kg > 100000'\nseverity = 'minor'\n\
                title = { en = 'never', zh = '从不' }\n";
    std::fs::write(folder.path().join("elevator.toml"), rule).unwrap();
    let mut demo = Demo::start(&["--rules", folder.path().to_str().unwrap()]);
    let figures = demo.line("something missed", MISSED_WITHIN, |line| is_figures(line) && figure(line, "missed") > 0);
    assert_eq!((figure(&figures, "in time"), figure(&figures, "late")), (0, 0), "{figures}");
    demo.interrupt();
}
