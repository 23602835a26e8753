//! Events older than memory: from the outbox as long as it has them, else from the store.

use std::sync::{Arc, Mutex, PoisonError};

use super::log::{EventLog, LogError, LogFuture};
use super::outbox::Outbox;
use crate::journal::JournalReader;
use crate::model::alert::{AlertEvent, Cursor};
use crate::model::incident::IncidentEvent;
use crate::store::{Store, StoreError};

pub struct Events {
    outbox: Arc<Mutex<Outbox>>,
    store: Arc<dyn Store>,
}

impl Events {
    pub fn new(outbox: Box<dyn JournalReader>, store: Arc<dyn Store>) -> Self {
        Self { outbox: Arc::new(Mutex::new(Outbox::new(outbox))), store }
    }

    async fn read(&self, after: Cursor, limit: usize) -> Result<Vec<AlertEvent>, LogError> {
        let outbox = Arc::clone(&self.outbox);
        let search = tokio::task::spawn_blocking(move || {
            // One search at a time: it reads the disk, and those who were away so long can wait for each other's page.
            outbox.lock().unwrap_or_else(PoisonError::into_inner).after(after, limit)
        });
        let found = search.await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        match found.map_err(|error| LogError::Unavailable(error.to_string()))? {
            Some(events) => Ok(events),
            None => read_store(&*self.store, after, limit).await,
        }
    }
}

/// What the store has after `after`, once the outbox no longer does.
pub async fn read_store(store: &dyn Store, after: Cursor, limit: usize) -> Result<Vec<AlertEvent>, LogError> {
    let events = store.alert_events_after(after.epoch, after.seq, limit).await.map_err(|error| match error {
        StoreError::Unavailable { detail } => LogError::Unavailable(detail),
        other => LogError::Unavailable(other.to_string()),
    })?;
    match events.first() {
        Some(first) if first.seq == after.seq + 1 => Ok(events),
        _ => Err(LogError::TooOld),
    }
}

/// Events of incidents older than memory are in the store: those of the last days are in memory.
pub struct StoredIncidents(pub Arc<dyn Store>);

impl EventLog<IncidentEvent> for StoredIncidents {
    fn after(&self, after: Cursor, limit: usize) -> LogFuture<'_, IncidentEvent> {
        Box::pin(async move {
            let read = self.0.incident_events_after(after.epoch, after.seq, limit).await;
            let events = read.map_err(|error| LogError::Unavailable(error.to_string()))?;
            // None means that the store hasn't taken them yet, or that there are none.
            let follows = events.first().is_none_or(|first| first.entry.seq == after.seq + 1);
            if follows { Ok(events) } else { Err(LogError::TooOld) }
        })
    }
}

impl EventLog for Events {
    fn after(&self, after: Cursor, limit: usize) -> LogFuture<'_> {
        Box::pin(self.read(after, limit))
    }
}
