//! `vigil rules check`: every fault of the rule files, or what they say.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::show::clean;
use super::Terminal;
use crate::app::policy::{self, PolicyError, RuleFiles, read_folder};
use crate::app::text_file::shown;
use crate::core::rules::{Clear, Rule, RuleFault, RuleSet};
use crate::model::alert::{Certainty, Severity};
use crate::scenario::show_ms;

/// Check rule files: every fault with file, line and column, or one line a rule
///
/// Reads every *.toml of the folder as `vigil serve` does. The exit code is 1 when anything is wrong.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The folder of the rule files; otherwise the one that the configuration names
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/vigil.toml")]
    config: PathBuf,
    /// One JSON object a line: a rule, or a fault
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => match super::configured_folder(&args.config, terminal)? {
            Some(dir) => dir,
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let dir_read = dir.clone();
    let (files, checked) = match tokio::task::spawn_blocking(move || read_and_check(&dir_read)).await? {
        Ok(read) => read,
        Err(unreadable) if args.json => {
            terminal.line(&unreadable_json(&dir, &unreadable).to_string())?;
            return Ok(ExitCode::FAILURE);
        }
        Err(unreadable) => return Err(unreadable.into()),
    };
    match checked {
        Ok(set) => {
            let names = |rule: &Rule| rule.unless.iter().map(|ix| set.rule(*ix).id.to_string()).collect::<Vec<_>>();
            for rule in &set.rules {
                let line = if args.json { as_json(rule, &names(rule)).to_string() } else { line(rule, &names(rule)) };
                terminal.line(&line)?;
            }
            if !args.json {
                let (rules, files) = (super::super::count(set.rules.len() as u64, "rule"), files.len());
                terminal.notice(&format!("{rules} in {}: no faults", super::super::count(files as u64, "file")))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            for fault in &faults {
                if args.json {
                    terminal.line(&fault_json(&dir, fault).to_string())?;
                } else {
                    terminal.notice(&placed(&dir, fault))?;
                }
            }
            if !args.json {
                terminal.notice(&super::super::count(faults.len() as u64, "fault"))?;
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

type Checked = (RuleFiles, Result<RuleSet, Vec<RuleFault>>);

fn read_and_check(dir: &Path) -> Result<Checked, PolicyError> {
    let files = read_folder(dir)?;
    let checked = policy::check_files(&files);
    Ok((files, checked))
}

/// With the folder before the file, so that editors find it.
pub(super) fn placed(dir: &Path, fault: &RuleFault) -> String {
    let RuleFault { file, line, column, message } = fault;
    clean(&format!("{}:{line}:{column}: {message}", shown(&dir.join(&**file))))
}

/// A fault of no place in a text.
fn unreadable_json(dir: &Path, error: &PolicyError) -> Value {
    let file = if let PolicyError::File(error) = error { error.file() } else { dir };
    json!({ "fault": error.to_string(), "file": file.display().to_string(), "line": null, "column": null })
}

fn fault_json(dir: &Path, fault: &RuleFault) -> Value {
    let file = dir.join(&*fault.file).display().to_string();
    json!({ "fault": fault.message, "file": file, "line": fault.line, "column": fault.column })
}

/// `trapped-out-of-zone  elevator  critical  likely    holds 30s, clears after 5s, dispatches rescue`.
fn line(rule: &Rule, unless: &[String]) -> String {
    let mut words = Vec::new();
    let mut add = |is: bool, word: String| words.extend(is.then_some(word));
    add(rule.for_ms > 0, format!("holds {}", show_ms(rule.for_ms)));
    add(rule.for_ms > 0 && rule.drop_ms > 0, format!("drops after {}", show_ms(rule.drop_ms)));
    add(rule.absent.is_some(), format!("after {} keep-alives of silence", rule.absent.unwrap_or_default()));
    if let Some(count) = &rule.count {
        let each = if count.each { ", each for itself" } else { "" };
        add(true, format!("at {} in {}{each}", count.times, show_ms(count.within_ms)));
    }
    let clears = match &rule.clear {
        Clear::Manual => "a person clears it".into(),
        Clear::Maintained => "a record of maintenance clears it".into(),
        Clear::Heard => "a frame clears it".into(),
        Clear::Quiet => format!("clears after {} of quiet", show_ms(rule.clear_for_ms)),
        Clear::When(_) | Clear::WhenFalse if rule.clear_for_ms > 0 => {
            format!("clears after {}", show_ms(rule.clear_for_ms))
        }
        Clear::When(_) => "clears by a condition".into(),
        Clear::WhenFalse => "clears when over".into(),
    };
    add(true, clears);
    add(rule.suppress.is_some(), "may be suppressed".into());
    add(!unless.is_empty(), format!("unless {}", unless.join(", ")));
    for step in &rule.escalate {
        let to = step.severity.map(Severity::name).into_iter().chain(step.certainty.map(Certainty::name));
        add(true, format!("rises to {}", to.collect::<Vec<_>>().join(" and ")));
    }
    add(rule.dispatch.is_some(), format!("dispatches {}", rule.dispatch.as_deref().unwrap_or_default()));
    let (id, on) = (rule.id.as_str(), rule.family.name());
    format!("{id:<24} {on:<11} {:<9} {:<9} {}", rule.severity.name(), rule.certainty.name(), words.join(", "))
}

fn as_json(rule: &Rule, unless: &[String]) -> Value {
    let clear = match &rule.clear {
        Clear::Manual => "manual",
        Clear::Maintained => "maintained",
        Clear::Heard => "heard",
        Clear::Quiet => "quiet",
        Clear::When(_) => "condition",
        Clear::WhenFalse => "over",
    };
    json!({
        "id": rule.id.as_str(),
        "on": rule.family.name(),
        "severity": rule.severity.name(),
        "escalates_to": rule.escalate.iter().filter_map(|step| step.severity).max().map(Severity::name),
        "certainty": rule.certainty.name(),
        "for_ms": rule.for_ms,
        "drop_ms": rule.drop_ms,
        "clear": clear,
        "clear_for_ms": rule.clear_for_ms,
        "count": rule.count.map(|count| count.times),
        "within_ms": rule.count.map(|count| count.within_ms),
        "each": rule.count.map(|count| count.each),
        "absent_keep_alives": rule.absent,
        "suppressed": rule.suppress.is_some(),
        "unless": unless,
        "dispatch": rule.dispatch,
        "title": { "en": rule.title.en, "zh": rule.title.zh },
        "tags": rule.tags,
    })
}
