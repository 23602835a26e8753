//! The file under the ledger: opened, made, and begun anew when it is damaged.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::{LedgerError, Place, put_place};
use crate::limits;
use crate::model::time::Wall;
use crate::observe::{NotifyLedgerSetAside, emit};

const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE place (
        target TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, incidents INTEGER NOT NULL,
        replay_to INTEGER NOT NULL, replayed_at INTEGER NOT NULL, noted_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE delivery (
        n INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
        delivered INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, attempts INTEGER NOT NULL,
        happened_at INTEGER NOT NULL, done_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX delivery_of ON delivery (target, delivered, n);
    CREATE TABLE message (
        target TEXT NOT NULL, chain TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL,
        sent INTEGER NOT NULL, is_over INTEGER NOT NULL, PRIMARY KEY (target, chain, epoch, seq)
    ) STRICT;
";

pub(super) struct File {
    path: PathBuf,
    /// `None`: it is opened with what is wanted of it next.
    connection: Option<Connection>,
    pub(super) known: BTreeMap<String, Known>,
    /// Why that had to be.
    pub(super) set_aside: Option<String>,
}

/// What is remembered of a target beside the file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// Of which stream, and when it was written down.
    pub(super) place: Option<(Place, bool, Wall)>,
    /// Messages since they were tidied up.
    pub(super) untidied: usize,
}

impl File {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), connection: None, known: BTreeMap::new(), set_aside: None }
    }

    pub(super) fn connection(&mut self) -> Result<&mut Connection, LedgerError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Does something with it; where it turns out to be damaged, once more with a new one.
    pub(super) fn mending<T>(&mut self, work: impl Fn(&mut Self) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        match work(self) {
            Err(error) if error.is_damage() => {
                self.set_aside(&error)?;
                work(self)
            }
            done => done,
        }
    }

    fn open(&self) -> Result<Connection, LedgerError> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_millis(limits::STORE_BUSY_MS))?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0_i64 => {
                connection
                    .execute_batch(&format!("BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"))?;
            }
            SCHEMA_VERSION => {}
            later => return Err(LedgerError::Later(later)),
        }
        for (target, known) in &self.known {
            if let Some((place, incidents, at)) = known.place {
                put_place(&connection, target, place, incidents, at)?;
            }
        }
        Ok(connection)
    }

    fn set_aside(&mut self, error: &LedgerError) -> Result<(), LedgerError> {
        self.connection = None;
        match std::fs::rename(&self.path, self.path.with_added_extension("damaged")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(LedgerError::Aside(error)),
            _ => {}
        }
        for beside in ["db-wal", "db-shm"] {
            // They belong to the file that was moved, and need not be there.
            let _ = std::fs::remove_file(self.path.with_extension(beside));
        }
        let (file, detail) = (self.path.display().to_string(), error.to_string());
        let places = self.known.values().filter(|known| known.place.is_some()).count();
        emit(NotifyLedgerSetAside { file: &file, detail: &detail, places });
        self.set_aside = Some(detail);
        Ok(())
    }
}
