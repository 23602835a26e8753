//! `vigil profile check`: every fault of the profiles, or what they say.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::show::clean;
use super::super::{Terminal, count};
use crate::app::policy::{RuleFiles, empty_files, read_profiles};
use crate::app::text_file::{self, shown};
use crate::config::{Config, process_variables};
use crate::core::decode::profile::{PROFILES_FOLDER, Profile, Profiles};
use crate::core::rules::RuleFault;
use crate::limits;
use crate::scenario::show_ms;

/// Check source profiles: every fault with file, line and column, or one line a profile
///
/// Reads every *.toml of the folder as `vigil serve` does. The exit code is 1 when anything is wrong.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// A folder of profiles, or one profile; otherwise the folder that the configuration names
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/vigil.toml")]
    config: PathBuf,
    /// One JSON object a line: a profile, or a fault
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let (path, prefix) = match args.path {
        Some(path) => (path, None),
        None => match Config::load(&args.config, &process_variables()) {
            Ok(config) => (config.profiles.dir, Some(config.mqtt.topic_prefix)),
            Err(faults) => {
                terminal.notice(&faults.to_string())?;
                return Ok(ExitCode::FAILURE);
            }
        },
    };
    let (dir, files) = read(&path)?;
    let mut faults = empty_files(&files);
    match Profiles::parse(prefix.as_deref(), &files) {
        Ok(profiles) if faults.is_empty() => {
            for profile in profiles.all() {
                terminal.line(&if args.json { as_json(profile).to_string() } else { line(profile) })?;
            }
            if !args.json {
                terminal.notice(&format!("{}: no faults", count(files.len() as u64, "profile")))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        Ok(_) => {}
        Err(found) => faults.extend(found),
    }
    for fault in &faults {
        if args.json {
            let file = place(&dir, fault).display().to_string();
            let fault =
                json!({ "fault": fault.message, "file": file, "line": fault.line, "column": fault.column }).to_string();
            terminal.line(&fault)?;
        } else {
            terminal.notice(&placed(&dir, fault))?;
        }
    }
    if !args.json {
        terminal.notice(&count(faults.len() as u64, "fault"))?;
    }
    Ok(ExitCode::FAILURE)
}

/// The profiles of a folder, or the one; with the folder.
pub(super) fn read(path: &Path) -> anyhow::Result<(PathBuf, RuleFiles)> {
    if path.is_dir() {
        return Ok((path.to_owned(), read_profiles(path)?));
    }
    let text = text_file::read(path, limits::PROFILE_FILE_BYTES)?;
    let name = format!("{PROFILES_FOLDER}{}", path.file_name().unwrap_or_default().to_string_lossy());
    let dir = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok((dir, vec![(name.into(), text.into())]))
}

fn place(dir: &Path, fault: &RuleFault) -> PathBuf {
    dir.join(fault.file.strip_prefix(PROFILES_FOLDER).unwrap_or(&fault.file))
}

/// With the folder before the file, so that editors find it.
pub(super) fn placed(dir: &Path, fault: &RuleFault) -> String {
    let RuleFault { line, column, message, .. } = fault;
    clean(&format!("{}:{line}:{column}: {message}", shown(&place(dir, fault))))
}

/// `tower  tower/+/state  keep-alive 30s, counted by the device, 10 fields, 1 extra, 2 lists of codes`.
fn line(profile: &Profile) -> String {
    let (fields, extras, codes) = profile.len();
    let counts = [count(fields as u64, "field"), count(extras as u64, "extra"), count(codes as u64, "list")].join(", ");
    let keep_alive = show_ms(i64::from(profile.keep_alive_s) * 1_000);
    let (name, topic, key) = (&profile.name, clean(&profile.topic), profile.key());
    format!("{name:<16} {topic:<24} keep-alive {keep_alive}, {key}, {counts} of codes")
}

fn as_json(profile: &Profile) -> Value {
    let (fields, extras, codes) = profile.len();
    json!({
        "name": profile.name,
        "topic": profile.topic,
        "keep_alive_s": profile.keep_alive_s,
        "key": profile.key(),
        "fields": fields,
        "extras": extras,
        "codes": codes,
    })
}
