//! The commands that the pages tell their readers to copy, copied, and what the pages say will happen.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use support::mosquitto::{Mosquitto, Settings};
use support::process::{self, Process};
use support::python;
use support::vigil::{BINARY, Vigil};
use tempfile::TempDir;

/// Far above what anything takes, so that only what never comes runs into it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A reader's shell, in the folder of the repository, whose Mosquitto clients know the broker.
struct Shell {
    folder: TempDir,
    path: String,
}

impl Shell {
    fn new(broker: &Mosquitto) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("-h 127.0.0.1\n-p {}\n", broker.port());
        for client in ["mosquitto_pub", "mosquitto_sub"] {
            std::fs::write(folder.path().join(client), &options).unwrap();
        }
        // The compiler that comes with grpcio-tools is protoc by another name.
        let shim = format!("#!/bin/sh\nexec {} -m grpc_tools.protoc \"$@\"\n", python::interpreter().display());
        let protoc = folder.path().join("protoc");
        std::fs::write(&protoc, shim).unwrap();
        std::fs::set_permissions(&protoc, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        Self { path: format!("{}:{path}", folder.path().display()), folder }
    }

    fn run(&self, script: &str) {
        let output = Command::new("sh")
            .args(["-e", "-c", script])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("PATH", &self.path)
            .env_remove("B")
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{script}\n{said}");
    }
}

/// The ```sh blocks of a page in which something is published.
fn publishing(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).filter(|block| block.contains("mosquitto_pub")).collect()
}

/// What `vigil watch --json` tells, from the first event of all.
struct Watch {
    _process: Process,
    lines: Receiver<String>,
}

impl Watch {
    fn start(vigil: &Vigil) -> Self {
        let mut command = process::command(BINARY);
        command.args(["watch", "--json", "--from", "1:0", "--server", &vigil.grpc_url()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let (process, pipes) = Process::start(command);
        Self { _process: process, lines: process::lines(pipes.out.expect("it was piped")) }
    }

    /// The next event of that kind and rule.
    fn next(&self, kind: &str, rule: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("{rule} is never {kind}"));
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["kind"] == kind && event["alert"]["rule"] == rule {
                return event;
            }
        }
    }
}

/// What a query of history answers, one text a row.
fn rows(history: &Path, sql: &str) -> Vec<String> {
    let history = Connection::open(history).unwrap();
    let mut query = history.prepare(sql).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Flow: both frames of the README are published as it says, the second one once the alert of the first is open.
/// Asserts: it opens 30 s after the first, as the README describes it; it clears 5 s after the second.
#[test]
fn the_lift_of_the_readme_traps_and_frees_its_passenger() {
    let broker = Mosquitto::start(Settings::default());
    let (shell, mut vigil) = (Shell::new(&broker), Vigil::with_sqlite(broker.addr()));
    let watch = Watch::start(&vigil);
    let blocks = publishing("README.md");
    let [trapped, freed] = &blocks[..] else { panic!("not two frames: {blocks:?}") };

    let begun = Instant::now();
    shell.run(trapped);
    let opened = watch.next("opened", "trapped-out-of-zone");
    let took = begun.elapsed();
    assert!((30..35).contains(&took.as_secs()), "after {took:?}");
    assert_eq!(opened["alert"]["severity"], "critical");
    assert_eq!(opened["alert"]["subject"], "31305001122014017242");
    let evidence: Vec<_> = opened["alert"]["evidence"].as_array().expect("evidence").iter().collect();
    for (name, value) in [("passenger", "true"), ("car", "STOPPED"), ("door_zone", "false")] {
        assert!(evidence.iter().any(|e| e["name"] == name && e["value"] == value), "{name}: {opened}");
    }

    let begun = Instant::now();
    shell.run(freed);
    let cleared = watch.next("cleared", "trapped-out-of-zone");
    let took = begun.elapsed();
    assert!((5..10).contains(&took.as_secs()), "after {took:?}");
    assert_eq!(cleared["alert"]["id"], opened["alert"]["id"]);
    drop(watch);
    assert!(vigil.stop().success());
}

/// Flow: every command of the page is run, from the top to the bottom.
/// Asserts: history has each frame, scan and status once, nothing is set aside, and no field is invalid.
#[test]
fn every_command_for_makers_of_devices_is_taken() {
    let broker = Mosquitto::start(Settings::default());
    let (shell, mut vigil) = (Shell::new(&broker), Vigil::with_sqlite(broker.addr()));
    let blocks = publishing("docs/devices.md");
    // What sets `B` has a broker's address that isn't ours.
    let blocks: Vec<_> = blocks.iter().filter(|block| !block.contains("export B=")).collect();
    let commands: usize = blocks.iter().map(|block| block.matches("mosquitto_pub").count()).sum();
    assert!(commands >= 8, "only {commands} commands were found");
    for block in blocks {
        shell.run(block);
    }
    let history = vigil.sqlite();
    let all = "SELECT 'frame ' || boot || '/' || seq || ' ' || coalesce(invalid_fields, '') AS x FROM frame \
               UNION ALL SELECT 'scan ' || boot || '/' || seq || ' ' || coalesce(invalid_fields, '') FROM scan \
               UNION ALL SELECT 'status ' || online FROM status UNION ALL SELECT 'reject ' || detail FROM reject ORDER BY x";
    let want = ["frame 3/1042 ", "frame 3/1043 ", "frame 3/1044 ", "scan 1/87 ", "scan 1/88 ", "status 1"];
    vigil.wait_for("the store", PATIENCE, || Some(()).filter(|()| rows(&history, all).len() >= want.len()));
    assert_eq!(rows(&history, all), want);
    assert!(vigil.stop().success());
    assert_eq!(rows(&history, all), want, "nothing came after it");
}
