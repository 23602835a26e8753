//! `vigil rules test`: timelines played to the rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::super::show::clean;
use super::Terminal;
use super::check::placed;
use crate::app::policy::{PolicyError, empty_files, read_folder};
use crate::app::text_file::{self, is_hidden, shown};
use crate::core::rules::RuleFault;
use crate::limits;
use crate::scenario::{Files, Options, Run, Scenario};

/// Test rules with timelines: what lifts send, and which alerts must come of it
///
/// Plays every *.toml of the folders, and of those in them, to the real core with a simulated clock. An alert that was
/// not expected is a failure, as one that didn't come is. docs/rules-testing.md has the format. The exit code is 1 when
/// anything failed or couldn't be played.
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

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let rules = match &args.rules {
        Some(dir) => dir.clone(),
        None => match super::configured_folder(&args.config, terminal)? {
            Some(dir) => dir,
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let (paths, filter) = (args.paths.clone(), args.filter.clone());
    let files = tokio::task::spawn_blocking(move || find(&paths, filter.as_deref())).await??;
    let mut folders = Folders { default: rules, read: BTreeMap::new() };
    let options = Options { restarts: args.restarts };
    let (mut played, mut failed) = (0, 0);
    for file in files {
        let name = shown(&file);
        // Aside, so that whoever asks for an end needn't wait for it.
        let playing = tokio::task::spawn_blocking(move || (try_play(&file, &mut folders, options), folders));
        let (outcome, back) = playing.await?;
        folders = back;
        played += 1;
        failed += usize::from(!tell(&name, outcome?, args.verbose, terminal)?);
    }
    let played = super::super::count(played, "timeline");
    terminal.line(&if failed == 0 {
        format!("{played}: all as expected")
    } else {
        format!("{played}, {failed} failed")
    })?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What came of one file: what it shows and how it went, or why it can't be played, one reason a line.
type Played = Result<(Box<str>, Run), Vec<String>>;

/// Whether it went as expected.
fn tell(name: &str, played: Played, verbose: bool, terminal: &mut Terminal) -> anyhow::Result<bool> {
    let (shows, run) = match played {
        Ok(run) => run,
        Err(faults) => {
            terminal.line(&format!("WRONG {name}"))?;
            for fault in faults {
                terminal.line(&clean(&fault))?;
            }
            return Ok(false);
        }
    };
    terminal.line(&format!("{}  {name}: {shows}", if run.failures.is_empty() { "ok  " } else { "FAIL" }))?;
    if verbose {
        for told in &run.timeline {
            terminal.line(&format!("  {told}"))?;
        }
    }
    if !run.failures.is_empty() {
        terminal.line(run.explained(name).trim_end())?;
    }
    Ok(run.failures.is_empty())
}

/// The error says what keeps all of them from being played.
fn try_play(file: &Path, folders: &mut Folders, options: Options) -> anyhow::Result<Played> {
    let text = match text_file::read(file, limits::SCENARIO_FILE_BYTES) {
        Ok(text) => text,
        Err(error) => return Ok(Err(vec![error.to_string()])),
    };
    let name = shown(file);
    let scenario = match Scenario::read(&name, &text) {
        Ok(scenario) => scenario,
        Err(faults) => return Ok(Err(faults.iter().map(ToString::to_string).collect())),
    };
    let own = scenario.rules.as_deref().map(|dir| file.parent().unwrap_or(Path::new("")).join(dir));
    let (is_own, dir) = (own.is_some(), own.unwrap_or_else(|| folders.default.clone()));
    let rules = match folders.get(&dir) {
        Ok(rules) => rules,
        Err(error) if is_own => return Ok(Err(vec![error.to_string()])),
        Err(error) => return Err(error.into()),
    };
    let told = |fault: &RuleFault| if *fault.file == *name { fault.to_string() } else { placed(&dir, fault) };
    let run = scenario.run(rules, options).map_err(|faults| faults.iter().map(told).collect());
    Ok(run.map(|run| (scenario.shows.clone(), run)))
}

/// Rule folders, each read once.
struct Folders {
    default: PathBuf,
    read: BTreeMap<PathBuf, Files>,
}

impl Folders {
    fn get(&mut self, dir: &Path) -> Result<&Files, PolicyError> {
        if !self.read.contains_key(dir) {
            // Not more of them at a time than are of use: each may hold a mebibyte.
            if self.read.len() == limits::SCENARIO_RULE_FOLDERS {
                self.read.clear();
            }
            let files = read_folder(dir)?;
            let emptied = empty_files(&files);
            if !emptied.is_empty() {
                return Err(PolicyError::Wrong(emptied));
            }
            self.read.insert(dir.to_owned(), files);
        }
        Ok(&self.read[dir])
    }
}

/// The timelines at or below these paths.
fn find(paths: &[PathBuf], filter: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), 0);
    for path in paths {
        anyhow::ensure!(path.exists(), "there is no {}", shown(path));
        if path.is_dir() {
            collect(path, &mut files, &mut folders)?;
        } else {
            files.push(path.clone());
        }
    }
    if let Some(filter) = filter {
        files.retain(|file| file.to_string_lossy().contains(filter));
    }
    if files.is_empty() {
        anyhow::bail!("there is no timeline to play: name a folder with *.toml files, or another --filter");
    }
    Ok(files)
}

/// Every `*.toml` in a folder and in those below it, by name, without hidden ones. Links to folders aren't followed:
/// they may lead back.
fn collect(dir: &Path, files: &mut Vec<PathBuf>, folders: &mut usize) -> anyhow::Result<()> {
    let most = limits::SCENARIO_FILES;
    *folders += 1;
    anyhow::ensure!(*folders <= most, "more than {most} folders: name a smaller one");
    let unreadable = || format!("{} can't be read", shown(dir));
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let (path, is_dir) = (entry.path(), entry.file_type().with_context(unreadable)?.is_dir());
        let is_timeline = path.extension().is_some_and(|extension| extension == "toml") && !path.is_dir();
        if !is_hidden(&path) && (is_dir || is_timeline) {
            entries.push((path, is_dir));
        }
        anyhow::ensure!(files.len() + entries.len() <= most, "more than {most} timelines: name a smaller folder");
    }
    entries.sort();
    for (path, is_dir) in entries {
        if is_dir {
            collect(&path, files, folders)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
