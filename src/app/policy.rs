//! The rule files, read into the text that the inbox keeps.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::text_file::{self, TextFileError, shown};
use crate::config::Config;
use crate::core::decode::profile::{PROFILES_FOLDER, Profiles};
use crate::core::policy;
use crate::core::rules::{RuleFault, RuleSet, TABLES_FOLDER, one_a_line};
use crate::limits;
use crate::model::record::PolicyText;

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the rules in {} can't be read: {source}{}", shown(.dir), advice(.source))]
    Folder { dir: PathBuf, source: io::Error },
    #[error("there is no *.toml in {}: set rules.dir to the folder of the rule files", shown(.dir))]
    NoFiles { dir: PathBuf },
    #[error("{} holds more than {} rule files", shown(.dir), limits::RULE_FILES)]
    TooMany { dir: PathBuf },
    #[error("{} holds more than {} profiles", shown(.dir), limits::PROFILES)]
    TooManyProfiles { dir: PathBuf },
    #[error("rule file {0}")]
    File(#[from] TextFileError),
    #[error("the rules are wrong:\n{}", one_a_line(.0))]
    Wrong(Vec<RuleFault>),
}

/// Reads and checks every `*.toml` of the folders of rules and profiles.
pub fn load(config: &Config) -> Result<(PolicyText, RuleSet, Profiles), PolicyError> {
    let mut files = read_folder(&config.rules.dir)?;
    files.extend(read_profiles(&config.profiles.dir)?);
    let policy = PolicyText {
        rules: files,
        zone: config.service.zone.as_str().into(),
        tzdb: tzdb_version().into(),
        topic_prefix: config.mqtt.topic_prefix.as_str().into(),
    };
    let mut faults = empty_files(&policy.rules);
    match policy::check(&policy) {
        Ok((set, profiles)) if faults.is_empty() => return Ok((policy, set, profiles)),
        Ok(_) => {}
        Err(found) => faults.extend(found),
    }
    Err(PolicyError::Wrong(faults))
}

/// Checks files that are to be given to a service: every fault comes back.
pub fn check_files(files: &RuleFiles) -> Result<RuleSet, Vec<RuleFault>> {
    let mut faults = empty_files(files);
    match policy::check_rules(files) {
        Ok(set) if faults.is_empty() => return Ok(set),
        Ok(_) => {}
        Err(found) => faults.extend(found),
    }
    Err(faults)
}

/// Files that say nothing: most likely they were emptied by mistake, or are not written yet. Only what people keep as
/// files is held to this: in a policy that was taken once, such a file is no fault.
pub fn empty_files(files: &RuleFiles) -> Vec<RuleFault> {
    let is_empty = |text: &str| text.parse::<toml::Table>().is_ok_and(|table| table.is_empty());
    let fault = |file: &str| RuleFault {
        file: file.into(),
        line: 1,
        column: 1,
        message: "the file is empty: remove it, or bring its rules back".into(),
    };
    files.iter().filter(|(_, text)| is_empty(text)).map(|(file, _)| fault(file)).collect()
}

/// (name, text), by name.
pub type RuleFiles = Vec<(Box<str>, Box<str>)>;

/// Every `*.toml` of a folder, and of the folder `tables` in it.
pub fn read_folder(dir: &Path) -> Result<RuleFiles, PolicyError> {
    let of = |dir: &Path| {
        let files = rule_files(dir).map_err(|source| PolicyError::Folder { dir: dir.to_owned(), source })?;
        match files.len() {
            n if n > limits::RULE_FILES => Err(PolicyError::TooMany { dir: dir.to_owned() }),
            _ => Ok(files),
        }
    };
    let rules = of(dir)?;
    if rules.is_empty() {
        return Err(PolicyError::NoFiles { dir: dir.to_owned() });
    }
    let tables = of(&dir.join(TABLES_FOLDER)).or_else(nothing_there)?;
    let rules = rules.iter().map(|file| Ok(read_file(file, "")?));
    rules.chain(tables.iter().map(|file| Ok(read_file(file, TABLES_FOLDER)?))).collect()
}

/// Every `*.toml` of the folder of profiles.
pub fn read_profiles(dir: &Path) -> Result<RuleFiles, PolicyError> {
    let files = match rule_files(dir) {
        Ok(files) if files.len() > limits::PROFILES => {
            return Err(PolicyError::TooManyProfiles { dir: dir.to_owned() });
        }
        Ok(files) => files,
        // Who has no foreign feeds needs no folder for them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(PolicyError::Folder { dir: dir.to_owned(), source }),
    };
    files.iter().map(|file| Ok(read_file(file, PROFILES_FOLDER)?)).collect()
}

/// Who has no tables has nothing that falls due by them.
fn nothing_there(error: PolicyError) -> Result<Vec<PathBuf>, PolicyError> {
    match error {
        PolicyError::Folder { source, .. } if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => Err(other),
    }
}

/// By name, without hidden ones; of too many, one more than may be.
fn rule_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let file = entry?.path();
        let is_rules = file.extension().is_some_and(|extension| extension == "toml") && !text_file::is_hidden(&file);
        if is_rules && files.len() <= limits::RULE_FILES {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(file: &Path, folder: &str) -> Result<(Box<str>, Box<str>), TextFileError> {
    let text = text_file::read(file, limits::RULE_FILE_BYTES)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok((format!("{folder}{name}").into(), text.into()))
}

/// What to do about a folder that can't be read.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; let the user that vigil runs as read the folder",
        _ => "; set rules.dir to the folder of the rule files",
    }
}

/// What the rule files look like from outside: equal as long as nobody changes them. A folder that can't be looked at
/// looks like nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look(Result<Vec<(OsString, u64, SystemTime)>, io::ErrorKind>);

impl Look {
    /// At all that a policy is read from.
    pub fn at_all(config: &Config) -> Self {
        let Self(rules) = Self::at(&config.rules.dir);
        let profiles = match Self::at(&config.profiles.dir) {
            Self(Err(io::ErrorKind::NotFound)) => Ok(Vec::new()),
            Self(profiles) => profiles,
        };
        Self(rules.and_then(|rules| Ok([rules, profiles?].concat())))
    }

    pub fn at(dir: &Path) -> Self {
        let of_file = |file: &PathBuf| {
            let about = fs::metadata(file)?;
            Ok((file.file_name().unwrap_or_default().to_owned(), about.len(), about.modified()?))
        };
        let tables = rule_files(&dir.join(TABLES_FOLDER)).unwrap_or_default();
        let all = rule_files(dir).and_then(|files| files.iter().chain(&tables).map(of_file).collect());
        Self(all.map_err(|error: io::Error| error.kind()))
    }
}

/// The tz database is linked in, so its version is this program's.
fn tzdb_version() -> String {
    format!("bundled with vigil {}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_leave_in_the_folder_is_passed_over_and_what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let link = |name: &str| std::os::unix::fs::symlink("somebody@machine.4711", dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join("lift.toml"), "[elevator]\n").unwrap();
        let before = Look::at(dir.path());
        link(".#lift.toml");
        assert_eq!(read_folder(dir.path()).unwrap().len(), 1);
        assert!(Look::at(dir.path()) == before && before.0.is_ok(), "nor is it a change");
        link("gone.toml");
        let why = read_folder(dir.path()).unwrap_err().to_string();
        assert!(why.contains("/gone.toml can't be read") && why.contains("remove the link"), "{why}");
        let why = read_folder(&dir.path().join("nowhere")).unwrap_err().to_string();
        assert!(why.ends_with("set rules.dir to the folder of the rule files"), "{why}");
    }

    #[test]
    fn tables_are_read_with_the_rules_and_watched_like_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let names =
            || -> Vec<String> { read_folder(dir.path()).unwrap().into_iter().map(|(name, _)| name.into()).collect() };
        write("lift.toml", "[elevator]\n");
        assert_eq!(names(), ["lift.toml"], "whoever has no tables needs no folder for them");
        let before = Look::at(dir.path());
        std::fs::create_dir(dir.path().join("tables")).unwrap();
        write("tables/lifts.toml", "[drill]\n");
        assert_eq!(names(), ["lift.toml", "tables/lifts.toml"]);
        assert!(Look::at(dir.path()) != before);
        // No rule is looked for in them.
        assert!(crate::core::rules::parse(&read_folder(dir.path()).unwrap()).is_ok());
    }

    #[test]
    fn a_file_that_says_nothing_is_a_fault() {
        let check = |text: &str, faults: &[&str]| {
            let found = check_files(&vec![("a.toml".into(), text.into())]).map(|_| Vec::new());
            let found: Vec<String> = found.unwrap_or_else(|found| found).iter().map(ToString::to_string).collect();
            assert_eq!(found, faults, "{text:?}");
        };
        let empty = &["a.toml:1:1: the file is empty: remove it, or bring its rules back"];
        check("", empty);
        check("# only a remark\n\n", empty);
        check("[elevator]\n", &[]);
        check("rule = []", &[]);
    }
}
