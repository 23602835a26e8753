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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::dispatch::machine;
    use crate::feed::testing::incident_entry;
    use crate::feed::{Feed, ReadError};
    use crate::limits;
    use crate::model::incident::{IncidentId, What};
    use crate::model::row::Effects;
    use crate::pages::Incidents;
    use crate::store::memory::MemoryStore;
    use crate::store::{Batch, Checkpoint, Options};

    fn received(seq: u64) -> IncidentEvent {
        let entry = incident_entry(seq, What::Received);
        IncidentEvent { incident: machine::begin(IncidentId { epoch: 1, number: seq }, &entry), entry }
    }

    async fn commit(store: &MemoryStore, from: Option<u64>, to: u64, seqs: std::ops::RangeInclusive<u64>) {
        let point = |position| Checkpoint { journal: 1, epoch: 1, position, hash: 0 };
        let effects = vec![Effects { incidents: seqs.map(received).collect(), ..Effects::default() }];
        store.commit(Arc::new(Batch { from: from.map(point), to: point(to), effects })).await.unwrap();
    }

    /// Flow: more rescues than memory holds, while the store has taken none of them; then it takes the first, then more.
    /// Asserts: what it has yet to take is not there now, which passes; it is never taken for too old. What it has let go of is.
    #[tokio::test]
    async fn a_store_that_lags_behind_makes_no_rescue_too_old() {
        let store = Arc::new(MemoryStore::new(Options::default()));
        let log = Arc::new(StoredIncidents(Arc::clone(&store) as Arc<dyn Store>));
        let feed = Feed::after(Arc::new(Incidents::default()), Arc::clone(&log) as Arc<dyn EventLog<_>>, Vec::new());
        let told: Vec<IncidentEvent> = (1..=limits::FEED_RING as u64 + 10).map(received).collect();
        feed.publish(&told, crate::feed::Judged::default()).unwrap();
        let at = |seq| Cursor { epoch: 1, seq };
        assert!(matches!(feed.read(at(0), 5).await, Err(ReadError::Unavailable { .. })));
        assert_eq!(feed.read_past(at(0), 5).await, Ok(Vec::new()));

        commit(&store, None, 1, 1..=3).await;
        assert_eq!(feed.read(at(0), 5).await.unwrap().len(), 3);
        assert!(matches!(feed.read(at(3), 5).await, Err(ReadError::Unavailable { .. })));
        commit(&store, Some(1), 2, 5..=9).await;
        assert_eq!(log.after(at(3), 5).await, Err(LogError::TooOld));
    }
}
