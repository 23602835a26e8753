//! Records that make the core panic, and what keeps the service from taking them again.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use vigil::journal::JournalError;
use vigil::model::record::{Kind, Record};
use vigil::spine::poison::{Poison, PoisonFile};

/// Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Poisoned(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Positions whose records make every core fail that judges them.
    deadly: BTreeSet<u64>,
    /// Positions that the service has noted, and passes over.
    noted: BTreeSet<u64>,
    /// How often a record has made the core fail.
    failures: BTreeMap<u64, u32>,
    /// The canary: nothing is noted.
    forgetful: bool,
    /// Where the journals are files, what the service itself goes by.
    file: Option<PoisonFile>,
}

impl Poisoned {
    pub(crate) fn make_deadly(&self, pos: u64) {
        self.state().deadly.insert(pos);
    }

    pub(crate) fn forget_all(&self) {
        self.state().forgetful = true;
    }

    /// What a start of the service finds in its file.
    pub(crate) fn read(&self, file: &Path) -> Result<(), JournalError> {
        self.state().file = Some(PoisonFile::open(file)?);
        Ok(())
    }

    /// Whether a record is passed over.
    pub(crate) fn contains(&self, pos: u64) -> bool {
        self.state().noted.contains(&pos)
    }

    pub(crate) fn failures(&self, pos: u64) -> u32 {
        self.state().failures.get(&pos).copied().unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().noted.is_empty()
    }

    /// A crash has lost the records from here on, and others may stand there soon. P1: what was judged was durable.
    pub(crate) fn survive(&self, end: u64) -> Result<(), String> {
        let mut state = self.state();
        state.deadly.split_off(&end);
        match state.noted.range(end..).next() {
            None => Ok(()),
            Some(pos) => Err(format!("P1: the record at {pos} made the core fail, and the inbox ends at {end}")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Poison for Poisoned {
    fn holds(&self, pos: u64) -> bool {
        let state = self.state();
        state.file.as_ref().map_or_else(|| state.noted.contains(&pos), |file| file.holds(pos))
    }

    fn add(&mut self, pos: u64) -> Result<(), JournalError> {
        let mut state = self.state();
        if state.forgetful {
            return Ok(());
        }
        state.noted.insert(pos);
        state.file.as_mut().map_or(Ok(()), |file| file.add(pos))
    }

    fn judged(&self, record: &Record) {
        // Without a start or a connection noted, no service would ever come up again.
        let may_fail = matches!(record.kind, Kind::Report { .. } | Kind::Command(_) | Kind::Policy(_));
        let mut state = self.state();
        if may_fail && state.deadly.contains(&record.pos) {
            *state.failures.entry(record.pos).or_default() += 1;
            drop(state);
            // As a panic unwinds, but without a word on stderr.
            resume_unwind(Box::new("the simulation wants the core to fail"));
        }
    }
}
