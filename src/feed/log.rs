//! Where events older than memory are read.

use std::pin::Pin;

use crate::model::alert::{AlertEvent, Cursor};

pub type LogFuture<'a, E = AlertEvent> = Pin<Box<dyn Future<Output = Result<Vec<E>, LogError>> + Send + 'a>>;

/// Outbox and store, as one.
pub trait EventLog<E = AlertEvent>: Send + Sync {
    /// The events of the epoch of `after` that follow on it: ascending, without a gap, at most `limit`, and at least
    /// one if there is one.
    fn after(&self, after: Cursor, limit: usize) -> LogFuture<'_, E>;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The one that follows on the cursor is no longer kept.
    #[error("no longer kept")]
    TooOld,
    #[error("{0}")]
    Unavailable(String),
}
