//! Timelines in `tests/scenarios/`, a test each, under the shipped rules: what `vigil rules test` plays.
//!
//! Every one is played twice, the second time with a snapshot after each step, which may change nothing.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, in its helpers too")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use vigil::core::rules;
use vigil::scenario::{Files, Options, Scenario};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn timelines(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            timelines(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
}

fn shipped() -> Files {
    vigil::app::policy::read_folder(&root().join("config/rules")).unwrap()
}

fn play(file: &Path) -> Result<(), Failed> {
    let name = file.strip_prefix(root()).unwrap().display().to_string();
    let told = |faults: Vec<rules::RuleFault>| {
        Failed::from(faults.iter().map(|fault| format!("{fault}\n")).collect::<String>())
    };
    let scenario = Scenario::read(&name, &std::fs::read_to_string(file).unwrap()).map_err(told)?;
    let rules = shipped();
    for restarts in [false, true] {
        let run = scenario.run(&rules, Options { restarts }).map_err(told)?;
        if !run.failures.is_empty() {
            let snapshots = if restarts { "with a snapshot after each step:\n" } else { "" };
            return Err(format!("{snapshots}{}", run.explained(&name)).into());
        }
    }
    Ok(())
}

/// A rule without timelines is guarded by nothing, and so is one whose name no folder bears.
fn every_rule_has_timelines(files: &[PathBuf]) -> Result<(), Failed> {
    let folders: BTreeSet<String> =
        files.iter().map(|file| file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let set = rules::parse(&shipped()).unwrap();
    let without: Vec<&str> =
        set.rules.iter().map(|rule| rule.id.as_str()).filter(|id| !folders.contains(*id)).collect();
    if without.is_empty() { Ok(()) } else { Err(format!("rules without timelines: {without:?}").into()) }
}

fn main() -> ExitCode {
    let mut files = Vec::new();
    timelines(&root().join("tests/scenarios"), &mut files);
    let mut trials: Vec<Trial> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(root().join("tests/scenarios")).unwrap().display().to_string();
            let file = file.clone();
            Trial::test(name, move || play(&file))
        })
        .collect();
    trials.push(Trial::test("every_rule_has_timelines", move || every_rule_has_timelines(&files)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
