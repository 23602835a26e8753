//! Positions of the inbox whose records made the core fail. Belongs to the inbox: a copy of it is copied with this.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use crate::journal::JournalError;
use crate::model::record::Record;

pub trait Poison: Send {
    fn holds(&self, pos: u64) -> bool;

    /// Durable when it returns.
    fn add(&mut self, pos: u64) -> Result<(), JournalError>;

    /// Hears of each record that the core has judged, before anything comes of it. What panics in here has made the core
    /// fail, as far as the spine can tell: no input is known that does, so the simulation needs a way to.
    fn judged(&self, _record: &Record) {}
}

/// For tests and simulation.
impl Poison for BTreeSet<u64> {
    fn holds(&self, pos: u64) -> bool {
        self.contains(&pos)
    }

    fn add(&mut self, pos: u64) -> Result<(), JournalError> {
        self.insert(pos);
        Ok(())
    }
}

/// One position a line, in a file that is replaced as a whole.
#[derive(Debug)]
pub struct PoisonFile {
    file: PathBuf,
    positions: BTreeSet<u64>,
}

impl PoisonFile {
    pub fn open(file: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let file = file.into();
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(JournalError::io("read", &file)(error)),
        };
        let mut positions = BTreeSet::new();
        for (n, line) in text.lines().enumerate() {
            let pos = line.trim().parse().map_err(|_| JournalError::Damaged {
                file: file.clone(),
                offset: 0,
                what: format!("line {} is no position of the inbox: {line:?}", n + 1),
            })?;
            positions.insert(pos);
        }
        Ok(Self { file, positions })
    }
}

impl Poison for PoisonFile {
    fn holds(&self, pos: u64) -> bool {
        !self.positions.is_empty() && self.positions.contains(&pos)
    }

    fn add(&mut self, pos: u64) -> Result<(), JournalError> {
        self.positions.insert(pos);
        let mut text = String::new();
        for pos in &self.positions {
            let _infallible = writeln!(text, "{pos}");
        }
        let new = self.file.with_extension("new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.file)?;
            let dir = self.file.parent().filter(|dir| !dir.as_os_str().is_empty());
            File::open(dir.unwrap_or(std::path::Path::new(".")))?.sync_all()
        };
        write().map_err(JournalError::io("write", &self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("poison");
        let mut poison = PoisonFile::open(&file).unwrap();
        assert!(!poison.holds(7));
        poison.add(7).unwrap();
        poison.add(3).unwrap();
        let again = PoisonFile::open(&file).unwrap();
        assert!(again.holds(3) && again.holds(7) && !again.holds(5));
        fs::write(&file, "3\nx\n").unwrap();
        assert!(PoisonFile::open(&file).unwrap_err().to_string().contains("line 2"));
    }
}
