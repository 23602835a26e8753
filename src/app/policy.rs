//! The rule files, read into the text that the inbox keeps.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::Config;
use crate::core::policy;
use crate::core::rules::{RuleFault, RuleSet, one_a_line};
use crate::limits;
use crate::model::record::PolicyText;

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the rules in {} can't be read: {source}; set rules.dir to the folder of the rule files", .dir.display())]
    Read { dir: PathBuf, source: io::Error },
    #[error("there is no *.toml in {}: set rules.dir to the folder of the rule files", .dir.display())]
    NoFiles { dir: PathBuf },
    #[error("{} holds more than {} rule files", .dir.display(), limits::RULE_FILES)]
    TooMany { dir: PathBuf },
    #[error("{} is no file", .file.display())]
    NoFile { file: PathBuf },
    #[error("{} is larger than {} bytes", .file.display(), limits::RULE_FILE_BYTES)]
    TooLarge { file: PathBuf },
    #[error("{} is not UTF-8 text", .file.display())]
    NotText { file: PathBuf },
    #[error("the rules are wrong:\n{}", one_a_line(.0))]
    Wrong(Vec<RuleFault>),
}

/// Reads and checks every `*.toml` of the rules' folder.
pub fn load(config: &Config) -> Result<(PolicyText, RuleSet), PolicyError> {
    let policy = PolicyText {
        rules: read_folder(&config.rules.dir)?,
        zone: config.service.zone.as_str().into(),
        tzdb: tzdb_version().into(),
        topic_prefix: config.mqtt.topic_prefix.as_str().into(),
    };
    let (set, _) = policy::check(&policy).map_err(PolicyError::Wrong)?;
    Ok((policy, set))
}

/// (name, text), by name.
pub type RuleFiles = Vec<(Box<str>, Box<str>)>;

/// Every `*.toml` of a folder.
pub fn read_folder(dir: &Path) -> Result<RuleFiles, PolicyError> {
    let files = rule_files(dir).map_err(|source| PolicyError::Read { dir: dir.to_owned(), source })?;
    match files.len() {
        0 => Err(PolicyError::NoFiles { dir: dir.to_owned() }),
        n if n > limits::RULE_FILES => Err(PolicyError::TooMany { dir: dir.to_owned() }),
        _ => files.iter().map(|file| read_file(dir, file)).collect(),
    }
}

/// By name; of too many, one more than may be.
fn rule_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") && files.len() <= limits::RULE_FILES {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(dir: &Path, file: &Path) -> Result<(Box<str>, Box<str>), PolicyError> {
    let read = |source| PolicyError::Read { dir: dir.to_owned(), source };
    // Opening a pipe would wait for whoever writes into it.
    if !fs::metadata(file).map_err(read)?.is_file() {
        return Err(PolicyError::NoFile { file: file.to_owned() });
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(read)?;
    opened.take(limits::RULE_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() > limits::RULE_FILE_BYTES {
        return Err(PolicyError::TooLarge { file: file.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|_| PolicyError::NotText { file: file.to_owned() })?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok((name.into(), text.into()))
}

/// What the rule files look like from outside: equal as long as nobody changes them. A folder that can't be looked at
/// looks like nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look(Result<Vec<(OsString, u64, SystemTime)>, io::ErrorKind>);

impl Look {
    pub fn at(dir: &Path) -> Self {
        let of_file = |file: &PathBuf| {
            let about = fs::metadata(file)?;
            Ok((file.file_name().unwrap_or_default().to_owned(), about.len(), about.modified()?))
        };
        let all = rule_files(dir).and_then(|files| files.iter().map(of_file).collect());
        Self(all.map_err(|error: io::Error| error.kind()))
    }
}

/// The tz database is linked in, so its version is this program's.
fn tzdb_version() -> String {
    format!("bundled with vigil {}", env!("CARGO_PKG_VERSION"))
}
