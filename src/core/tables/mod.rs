//! The tables of intervals.

pub mod maintenance;

use toml::de::DeTable;

use self::maintenance::Maintenance;
use super::rules::section::Faults;
use super::rules::{RuleFault, TABLES_FOLDER, line_and_column};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    pub maintenance: Maintenance,
}

/// Reads the files in the folder `tables` of a policy's files, given as (name, text); the others are rules.
pub fn parse(files: &[(Box<str>, Box<str>)]) -> Result<Tables, Vec<RuleFault>> {
    let mut tables = Tables::default();
    let mut faults = Faults::default();
    for (path, text) in files {
        let Some("maintenance.toml") = path.strip_prefix(TABLES_FOLDER) else { continue };
        let (root, _) = DeTable::parse_recoverable(text);
        tables.maintenance = maintenance::read(root.get_ref(), &mut faults);
        let fault = |(at, message): (usize, String)| {
            let (line, column) = line_and_column(text, at);
            RuleFault { file: path.clone(), line, column, message: message.into() }
        };
        if !faults.0.is_empty() {
            return Err(faults.0.into_iter().map(fault).collect());
        }
    }
    Ok(tables)
}
