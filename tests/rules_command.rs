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
use vigil::limits;
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
    typed_until(words, CancellationToken::new())
}

fn typed_until(words: &[&str], stop: CancellationToken) -> (bool, String, String) {
    let (out, err) = (Paper::default(), Paper::default());
    let mut terminal =
        Terminal { out: Box::new(out.clone()), err: Box::new(err.clone()), colour: false, progress: false };
    let command =
        Typed::try_parse_from(["vigil", "rules"].iter().chain(words)).unwrap_or_else(|e| panic!("{e}")).command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(run(command, &mut terminal, stop));
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
        (format!("shows = 'x'\nstep = [{}]", "{at='0s'},".repeat(100)), "(and 37 more faults)"),
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
    let configured = std::process::Command::new(env!("CARGO_BIN_EXE_vigil"))
        .env_clear()
        .args(["rules", "check", "--json", "--config", &path("config/vigil.toml")])
        .output()
        .unwrap();
    assert!(configured.status.success() && configured.stdout == out.as_bytes(), "{configured:?}");
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

/// One that can't be read or played is wrong, and the others are played all the same.
#[test]
fn a_bad_file_does_not_end_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let good = "shows = 'x'\nstep = [{ at = '0s', frame = 'idle' }]\n";
    std::fs::write(at("a-large.toml"), "#".repeat(limits::SCENARIO_FILE_BYTES + 1)).unwrap();
    std::fs::write(at("b-bytes.toml"), [0xff]).unwrap();
    std::fs::write(at("c-nowhere.toml"), format!("rules = 'nowhere'\n{good}")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("d-dangling.toml")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("e-pipe.toml")).status().unwrap().success());
    std::fs::write(at("f-good.toml"), good).unwrap();
    std::fs::create_dir(at(".emptied")).unwrap();
    std::fs::write(at(".emptied/lift.toml"), "# gone").unwrap();
    std::fs::write(at("g-emptied.toml"), format!("rules = '.emptied'\n{good}")).unwrap();
    std::fs::create_dir(at("folder.toml")).unwrap();
    std::fs::write(at("folder.toml/good.toml"), good).unwrap();
    // Nothing of these is a timeline: a link that leads back, and what an editor leaves.
    std::os::unix::fs::symlink("..", at("folder.toml/back")).unwrap();
    std::os::unix::fs::symlink("..", at("folder.toml/back.toml")).unwrap();
    std::os::unix::fs::symlink("nobody@nowhere.1", at(".#f-good.toml")).unwrap();
    let folder = dir.path().display().to_string();
    let (is_good, out, err) = typed(&["test", &folder, "/dev/zero", "--rules", &path("config/rules")]);
    assert!(!is_good && out.ends_with("9 timelines, 7 failed\n"), "{out}{err}");
    for why in [
        "a-large.toml is larger than 256 KiB",
        "b-bytes.toml is not UTF-8 text",
        "nowhere can't be read",
        "d-dangling.toml can't be read",
        "e-pipe.toml is no file",
        "lift.toml:1:1: the file is empty",
        "/dev/zero is no file",
        "ok    ",
    ] {
        assert!(out.contains(why), "{why}: {out}");
    }
    assert_eq!((out.matches("WRONG ").count(), out.matches("ok    ").count()), (7, 2), "{out}");
}

/// Whoever asks for an end is heard at once, and told nothing good.
#[test]
fn a_run_can_be_broken_off() {
    let stop = CancellationToken::new();
    stop.cancel();
    let (good, out, _) = typed_until(&["test", &path("tests/scenarios"), "--rules", &path("config/rules")], stop);
    assert!(!good && !out.contains("as expected"), "{out}");
}

#[test]
fn what_is_wrong_in_a_folder_of_rules_is_told_with_the_folder() {
    let (dir, rules) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rule = |id: &str, when: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\non = \"elevator\"\nwhen = \"{when}\"\nseverity = \"minor\"\n\
             title = {{ en = \"x\", zh = \"x\" }}\n"
        )
    };
    let file = dir.path().join("x.toml");
    let played = |timeline: &str, in_folder: &str| {
        std::fs::write(&file, timeline).unwrap();
        std::fs::write(rules.path().join("lift.toml"), in_folder).unwrap();
        typed(&["test", &file.display().to_string(), "--rules", &rules.path().display().to_string()]).1
    };
    let steps = "step = [{ at = '0s', frame = 'idle' }]\n";
    let out = played(&format!("shows = 'x'\n{steps}"), &rule("one", "pasenger"));
    assert!(out.contains(&format!("{}/lift.toml:4:9: unknown field", rules.path().display())), "{out}");
    // Right by itself, wrong beside what the timeline brings: of what is left of a file the lines are not its own.
    let both = format!("# a remark\n\n{}{}", rule("one", "passenger"), rule("two", "open('one')"));
    let own = rule("one", "passenger").replace("elevator", "obligation").replace("passenger", "overdue_days > 0");
    let out =
        played(&format!("shows = 'x'\nextra_rules = \"\"\"\n{own}\"\"\"\n{steps}").replace("\"one\"", "'one'"), &both);
    assert!(
        out.contains("x.toml:3:1: with these rules, lift.toml of the folder is wrong: `one` is a rule on"),
        "{out}"
    );
}

#[test]
fn check_tells_of_files_that_cannot_be_read_in_the_form_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a\u{1b}[2J.toml"), [0xff]).unwrap();
    let folder = dir.path().display().to_string();
    let (good, out, err) = typed(&["check", &folder, "--json"]);
    let fault: serde_json::Value = serde_json::from_str(out.trim_end()).unwrap();
    assert!(!good && err.is_empty() && fault["fault"].as_str().unwrap().contains("is not UTF-8 text"), "{out}{err}");
    assert!(fault["file"].as_str().unwrap().starts_with(&folder) && fault["line"].is_null(), "{out}");
    let (good, _, err) = typed(&["check", &folder]);
    assert!(!good && err.contains("is not UTF-8 text") && !err.contains('\u{1b}'), "{err:?}");
    std::fs::write(dir.path().join("a\u{1b}[2J.toml"), "# nothing").unwrap();
    let (good, _, err) = typed(&["check", &folder]);
    assert!(!good && err.contains(":1:1: the file is empty") && !err.contains('\u{1b}'), "{err:?}");
}
