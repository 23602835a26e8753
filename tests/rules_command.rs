//! `vigil rules check` and `vigil rules test`, as they are typed.
//!
//! A wrong timeline in `tests/timelines/wrong/` says what is wrong with it in lines that begin with `# expect: `, as
//! `line:column: message`; one in `tests/timelines/failing/` which expectations are not met, after `# fails: `.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, in its helpers too")]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use tokio_util::sync::CancellationToken;
use vigil::cli::{Command, Terminal, run};
use vigil::scenario::{Options, Scenario};

#[derive(Parser)]
struct Typed {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether it succeeded, and what it wrote to both outputs.
fn typed(words: &[&str]) -> (bool, String, String) {
    let (out, err) = (Paper::default(), Paper::default());
    let mut terminal =
        Terminal { out: Box::new(out.clone()), err: Box::new(err.clone()), colour: false, progress: false };
    let command =
        Typed::try_parse_from(["vigil", "rules"].iter().chain(words)).unwrap_or_else(|e| panic!("{e}")).command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(run(command, &mut terminal, CancellationToken::new()));
    let text = |paper: &Paper| String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    match result {
        Ok(code) => (code == std::process::ExitCode::SUCCESS, text(&out), text(&err)),
        Err(error) => (false, text(&out), text(&err) + &format!("{error:#}")),
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn path(name: &str) -> String {
    folder(name).display().to_string()
}

/// (name, text, what it announces in lines that begin with `mark`).
fn announced(name: &str, mark: &str) -> Vec<(String, String, Vec<String>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect();
        (file.file_name().unwrap().to_str().unwrap().to_owned(), text, lines)
    };
    files.into_iter().map(read).collect()
}

fn shipped() -> vigil::scenario::Files {
    vigil::app::policy::read_folder(&folder("config/rules")).unwrap()
}

#[test]
fn a_wrong_timeline_is_refused_with_all_that_is_wrong_in_it() {
    for (name, text, expected) in announced("tests/timelines/wrong", "# expect: ") {
        let read = Scenario::read(&name, &text);
        let faults = read.and_then(|it| it.run(&shipped(), Options::default())).map(|_| ()).unwrap_err();
        let got: Vec<String> = faults.iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn what_a_timeline_bounds_is_bounded() {
    for (text, why) in [
        (format!("#{}", "x".repeat(300_000)), "KiB allowed"),
        (format!("shows = 'x'\nstep = [{}]", "{at='0s',wall='1s'},".repeat(10_001)), "more than 10000 of `step`"),
        (format!("shows = 'x'\nstep = [{}]", "{at='0s',every='1s',until='1h',wall='1s'},".repeat(3)), "10000 steps"),
        ("shows = 'x'\nstep = [{at='32d',wall='1s'}]".into(), "longer than 31 days"),
    ] {
        let faults = Scenario::read("x.toml", &text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.message.contains(why)), "{why}: {faults:?}");
    }
}

#[test]
fn each_failure_is_told_with_its_place_and_what_came() {
    for (name, text, expected) in announced("tests/timelines/failing", "# fails: ") {
        let run = Scenario::read(&name, &text).unwrap().run(&shipped(), Options::default()).unwrap();
        let got: Vec<String> = run.failures.iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn test_plays_what_it_is_given_and_says_how_it_went() {
    let (rules, scenarios) = (path("config/rules"), path("tests/scenarios/trapped-reported"));
    let (good, out, _) = typed(&["test", &scenarios, "--rules", &rules, "--restarts"]);
    assert!(good && out.ends_with("all as expected\n") && out.contains("ok    "), "{out}");
    let (good, out, _) = typed(&["test", &scenarios, "--rules", &rules, "--filter", "reported/hit", "--verbose"]);
    assert!(good && out.starts_with("ok    ") && out.contains("=> opened trapped-reported of A"), "{out}");
    assert!(out.ends_with("1 timeline: all as expected\n"), "{out}");
    let failing = path("tests/timelines/failing");
    let (good, out, _) = typed(&["test", &failing, &scenarios, "--rules", &rules]);
    assert!(!good && out.contains("FAIL") && out.contains("it came at 30s") && out.ends_with(" failed\n"), "{out}");
    let wrong = path("tests/timelines/wrong/names.toml");
    let (good, out, _) = typed(&["test", &wrong, "--rules", &rules]);
    assert!(!good && out.contains("names.toml:6:11: there is no rule `ofline`"), "{out}");
    for (words, why) in [
        (&["test", "no/such/folder", "--rules", &rules][..], "there is no no/such/folder"),
        (&["test", &scenarios, "--rules", "no/such/folder"][..], "no/such/folder can't be read"),
        (&["test", &scenarios, "--rules", &rules, "--filter", "nothing of the kind"][..], "no timeline to play"),
    ] {
        let (good, out, err) = typed(words);
        assert!(!good && err.contains(why), "{words:?}: {out}{err}");
    }
}

#[test]
fn check_lists_the_rules_or_tells_every_fault() {
    let (good, out, err) = typed(&["check", &path("config/rules")]);
    assert!(good && err.ends_with("no faults\n"), "{out}{err}");
    assert!(out.lines().any(|line| line.starts_with("trapped-out-of-zone ") && line.contains("holds 30s")), "{out}");
    let (good, out, err) = typed(&["check", &path("config/rules"), "--json"]);
    assert!(good && err.is_empty());
    for line in out.lines() {
        let rule: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(rule["id"].is_string() && rule["for_ms"].is_i64(), "{line}");
    }
    // The folder that the configuration names.
    let (good, configured, _) = typed(&["check", "--config", &path("config/vigil.toml"), "--json"]);
    assert!(good && configured == out);
}

#[test]
fn check_tells_every_fault_of_every_file_with_its_place() {
    let wrong = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(wrong.path().join(name), text).unwrap();
    let rule = |id: &str, when: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\non = \"elevator\"\nwhen = \"{when}\"\nseverity = \"minor\"\n\
             title = {{ en = \"x\", zh = \"x\" }}\n"
        )
    };
    write("a.toml", &rule("one", "pasenger"));
    write("b.toml", &(rule("two", "doors == OPEN") + "colour = 1\n"));
    let dir = wrong.path().display().to_string();
    let (good, out, err) = typed(&["check", &dir]);
    assert!(!good && out.is_empty());
    for fault in
        ["a.toml:4:9: unknown field `pasenger`", "b.toml:4:9: unknown field `doors`", "b.toml:7:1: unknown key"]
    {
        assert!(err.contains(&format!("{dir}/{fault}")), "{fault} in {err}");
    }
    assert!(err.ends_with("3 faults\n"), "{err}");
    let (good, out, _) = typed(&["check", &dir, "--json"]);
    let faults: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!good && faults.len() == 3 && faults[0]["line"] == 4, "{out}");
    // Alone in its folder, an id that the service uses itself.
    std::fs::remove_file(wrong.path().join("b.toml")).unwrap();
    write("a.toml", &rule("ingest-blind", "passenger"));
    let (good, _, err) = typed(&["check", &dir]);
    assert!(!good && err.contains("a.toml:2:1: rule `ingest-blind` has the id of an alert of this service"), "{err}");
}
