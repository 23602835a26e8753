//! The rule files, read into the text that the inbox keeps.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::core::policy;
use crate::limits;
use crate::model::record::PolicyText;

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the rules in {} can't be read: {source}; set rules.dir to the folder of the rule files", .dir.display())]
    Read { dir: PathBuf, source: std::io::Error },
    #[error("{} is larger than {} bytes", .file.display(), limits::RULE_FILE_BYTES)]
    TooLarge { file: PathBuf },
    #[error("{} is not UTF-8 text", .file.display())]
    NotText { file: PathBuf },
    /// One fault a line, each with file, line and column.
    #[error("the rules are wrong:\n{0}")]
    Wrong(String),
}

/// Reads and checks every `*.toml` of the rules' folder.
pub fn load(config: &Config) -> Result<PolicyText, PolicyError> {
    let policy = PolicyText {
        rules: read_folder(&config.rules.dir)?,
        zone: config.service.zone.as_str().into(),
        tzdb: tzdb_version().into(),
        topic_prefix: config.mqtt.topic_prefix.as_str().into(),
    };
    policy::check(&policy).map_err(PolicyError::Wrong)?;
    Ok(policy)
}

/// Every `*.toml` of a folder, as (name, text), by name.
pub fn read_folder(dir: &Path) -> Result<Vec<(Box<str>, Box<str>)>, PolicyError> {
    let read = |source| PolicyError::Read { dir: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let file = entry.map_err(read)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    files.iter().map(|file| read_file(dir, file)).collect()
}

fn read_file(dir: &Path, file: &Path) -> Result<(Box<str>, Box<str>), PolicyError> {
    let bytes = fs::read(file).map_err(|source| PolicyError::Read { dir: dir.to_owned(), source })?;
    if bytes.len() > limits::RULE_FILE_BYTES {
        return Err(PolicyError::TooLarge { file: file.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|_| PolicyError::NotText { file: file.to_owned() })?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok((name.into(), text.into()))
}

/// The tz database is linked in, so its version is this program's.
fn tzdb_version() -> String {
    format!("bundled with vigil {}", env!("CARGO_PKG_VERSION"))
}
