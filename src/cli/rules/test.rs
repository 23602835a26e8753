//! `vigil rules test`: timelines played to the rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::Terminal;
use crate::app::policy::read_folder;
use crate::core::rules::RuleFault;
use crate::limits;
use crate::scenario::{Files, Options, Run, Scenario};

/// Test rules with timelines: what lifts send, and which alerts must come of it
///
/// Plays every *.toml of the folders, and of those in them, to the real core with a simulated clock. An alert that was
/// not expected is a failure, as one that didn't come is. docs/rules-testing.md has the format. The exit code is 1 when
/// anything failed.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Folders of timelines, or single files
    #[arg(value_name = "DIR", required = true)]
    paths: Vec<PathBuf>,
    /// The folder of the rules; otherwise the one that the configuration names
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/vigil.toml")]
    config: PathBuf,
    /// Only timelines whose path holds this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print each timeline whole: every step and every alert event
    #[arg(long)]
    verbose: bool,
    /// Make a snapshot after every step and go on from it: nothing may come out otherwise
    #[arg(long)]
    restarts: bool,
}

pub(super) fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let rules = match &args.rules {
        Some(dir) => dir.clone(),
        None => match super::configured_folder(&args.config, terminal)? {
            Some(dir) => dir,
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, &mut files)?;
    }
    if let Some(filter) = &args.filter {
        files.retain(|file| file.to_string_lossy().contains(filter.as_str()));
    }
    if files.is_empty() {
        anyhow::bail!("there is no timeline to play: name a folder with *.toml files, or another --filter");
    }
    let mut folders = Folders { default: rules, read: BTreeMap::new() };
    let mut failed = 0;
    for file in &files {
        failed += usize::from(!play(file, &mut folders, &args, terminal)?);
    }
    let played = super::super::count(files.len() as u64, "timeline");
    terminal.line(&if failed == 0 {
        format!("{played}: all as expected")
    } else {
        format!("{played}, {failed} failed")
    })?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether it went as expected.
fn play(file: &Path, folders: &mut Folders, args: &Args, terminal: &mut Terminal) -> anyhow::Result<bool> {
    let name = file.display().to_string();
    let run = match try_play(file, &name, folders, Options { restarts: args.restarts })? {
        Ok(run) => run,
        Err(faults) => {
            terminal.line(&format!("WRONG {name}"))?;
            for fault in faults {
                terminal.line(&fault.to_string())?;
            }
            return Ok(false);
        }
    };
    let (shows, run) = run;
    terminal.line(&format!("{}  {name}: {shows}", if run.failures.is_empty() { "ok  " } else { "FAIL" }))?;
    if args.verbose {
        for told in &run.timeline {
            terminal.line(&format!("  {told}"))?;
        }
    }
    if !run.failures.is_empty() {
        terminal.line(run.explained(&name).trim_end())?;
    }
    Ok(run.failures.is_empty())
}

type Played = Result<(Box<str>, Run), Vec<RuleFault>>;

fn try_play(file: &Path, name: &str, folders: &mut Folders, options: Options) -> anyhow::Result<Played> {
    let size = fs::metadata(file).with_context(|| format!("{name} can't be read"))?.len();
    if size > limits::SCENARIO_FILE_BYTES as u64 {
        anyhow::bail!("{name} has {size} bytes; a timeline has at most {} KiB", limits::SCENARIO_FILE_BYTES / 1024);
    }
    let text = fs::read_to_string(file).with_context(|| format!("{name} can't be read"))?;
    let scenario = match Scenario::read(name, &text) {
        Ok(scenario) => scenario,
        Err(faults) => return Ok(Err(faults)),
    };
    let own = scenario.rules.as_deref().map(|dir| file.parent().unwrap_or(Path::new("")).join(dir));
    let rules = folders.get(own)?;
    Ok(scenario.run(rules, options).map(|run| (scenario.shows.clone(), run)))
}

/// Rule folders, each read once.
struct Folders {
    default: PathBuf,
    read: BTreeMap<PathBuf, Files>,
}

impl Folders {
    fn get(&mut self, own: Option<PathBuf>) -> anyhow::Result<&Files> {
        let dir = own.unwrap_or_else(|| self.default.clone());
        if !self.read.contains_key(&dir) {
            let files = read_folder(&dir)?;
            self.read.insert(dir.clone(), files);
        }
        Ok(&self.read[&dir])
    }
}

/// Every `*.toml` at or below a path, by name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        anyhow::ensure!(path.exists(), "there is no {}", path.display());
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("{} can't be read", path.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
            collect(&path, files)?;
        }
        let most = limits::SCENARIO_FILES;
        anyhow::ensure!(files.len() <= most, "more than {most} timelines: name a smaller folder");
    }
    Ok(())
}
