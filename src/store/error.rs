//! Why a store did not do what it was asked.

use super::Checkpoint;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy or out of space. The same call may succeed later.
    #[error("the database can't be used now: {detail}")]
    Unavailable { detail: String },
    /// Somebody else stored something, or the database was restored from a backup.
    #[error(
        "the batch begins at {} but the store holds {}: another vigil writes to this database, or it was restored \
         from a backup; see `vigil recover`",
        show(.expected), show(.stored)
    )]
    CheckpointMoved { expected: Option<Checkpoint>, stored: Option<Checkpoint> },
    /// The database won't, and asking again won't help until somebody changes something.
    #[error("the database refused: {detail}")]
    Refused { detail: String },
    /// What is stored can't be read back.
    #[error("{what} in the database can't be read: {detail}")]
    Corrupt { what: &'static str, detail: String },
}

impl StoreError {
    /// Whether the same call may succeed later although nobody does anything about it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(super) fn unavailable(detail: impl ToString) -> Self {
        Self::Unavailable { detail: detail.to_string() }
    }

    pub(super) fn refused(detail: impl ToString) -> Self {
        Self::Refused { detail: detail.to_string() }
    }

    pub(super) fn corrupt(what: &'static str, detail: impl ToString) -> Self {
        Self::Corrupt { what, detail: detail.to_string() }
    }
}

fn show(checkpoint: &Option<Checkpoint>) -> String {
    match checkpoint {
        None => "nothing".to_owned(),
        Some(c) => {
            format!("position {} of journal {:032x}, epoch {}, hash {:08x}", c.position, c.journal, c.epoch, c.hash)
        }
    }
}
