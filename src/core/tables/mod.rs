//! The tables of intervals: TOML in, checked tables out, or every fault of every file. What is due when follows from them.
//!
//! They are files of the rules' folder `tables`, and so a part of every policy record. Without a file its table is empty,
//! and nothing follows from it.

pub mod cylinders;
pub mod dispatch;
pub mod lifts;
pub mod maintenance;
pub(crate) mod read;

use self::cylinders::Cylinders;
use self::dispatch::Dispatching;
use self::lifts::Lifts;
use self::maintenance::Maintenance;
use self::read::File;
use super::rules::{RuleFault, TABLES_FOLDER, did_you_mean};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    pub lifts: Lifts,
    pub cylinders: Cylinders,
    pub dispatch: Dispatching,
    pub maintenance: Maintenance,
}

/// Where an interval comes from, for whoever asks why something is due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    pub text: Box<str>,
    /// Our own choice, and not what a standard says.
    pub assumed: bool,
}

/// Reads the files in the folder `tables` of a policy's files, given as (name, text); the others are rules.
pub fn parse(files: &[(Box<str>, Box<str>)]) -> Result<Tables, Vec<RuleFault>> {
    let mut tables = Tables::default();
    let mut faults = Vec::new();
    for (path, text) in files {
        let Some(name) = path.strip_prefix(TABLES_FOLDER) else { continue };
        let mut file = File::new(path, text);
        match name {
            "lifts.toml" => tables.lifts = file.read(lifts::read),
            "maintenance.toml" => tables.maintenance = file.read(maintenance::read),
            "cylinders.toml" => tables.cylinders = file.read(cylinders::read),
            "dispatch.toml" => tables.dispatch = file.read(dispatch::read),
            other => file.refuse(format!("no table is called `{other}`{}", did_you_mean(other, NAMES.iter().copied()))),
        }
        faults.extend(file.faults());
    }
    if faults.is_empty() { Ok(tables) } else { Err(faults) }
}

const NAMES: &[&str] = &["lifts.toml", "cylinders.toml", "maintenance.toml", "dispatch.toml"];
