//! Brings the outbox into the store, in order, each entry once; for as long as the store is away, it waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Batch, Checkpoint, Store, StoreError};
use crate::journal::codec::{self, CodecError};
use crate::journal::{Entry, Identity, JournalError, JournalReader};
use crate::limits;
use crate::observe::{StoreRecovered, StoreStalled, emit};
use crate::spine::driver::Vitals;

/// A batch waits so long for more to join it, unless it is full: fewer commits, and nobody waits for the store.
const LINGER: Duration = Duration::from_millis(50);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the outbox's entry at position {pos} can't be read: {error}")]
    Entry { pos: u64, error: CodecError },
    #[error("the database and the journals don't belong together: {why}. `vigil recover` lists the ways on")]
    Apart { why: String },
}

pub struct Writer {
    pub store: Arc<dyn Store>,
    pub outbox: Box<dyn JournalReader>,
    pub identity: Identity,
    /// The position after the outbox's last entry, as it grows.
    pub released: watch::Receiver<u64>,
    pub vitals: Arc<Vitals>,
}

impl Writer {
    /// Refuses a store that doesn't belong to the journals, if it answers now: before anything is acknowledged that
    /// nobody would look for in these journals. One that is away is asked by `run`, once it is back.
    pub async fn check(&mut self, within: Duration) -> Result<(), WriterError> {
        let store = Arc::clone(&self.store);
        // In a task of its own, so that a new database that takes longer is set up all the same.
        let asked = tokio::spawn(async move { store.checkpoint().await });
        match tokio::time::timeout(within, asked).await {
            Ok(Ok(Ok(stored))) => self.begin(stored).map(|_| ()),
            Ok(Ok(Err(error))) if !error.is_transient() => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Runs until `shutdown`, then stores what is there and returns; or until something is wrong that time won't mend.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), WriterError> {
        let ask = |store: Arc<dyn Store>| -> Attempt<_> { Box::pin(async move { store.checkpoint().await }) };
        let Some(stored) = retry(&self.store, &self.vitals, &shutdown, ask).await? else {
            return Ok(());
        };
        let mut at = self.begin(stored)?;
        let mut from = stored;
        loop {
            self.vitals.stored_to.store(at.position, Ordering::Release);
            if *self.released.borrow_and_update() <= at.position {
                self.vitals.store_stalled_ms.store(0, Ordering::Relaxed);
                if shutdown.is_cancelled() {
                    return Ok(());
                }
                tokio::select! {
                    changed = self.released.changed() => if changed.is_err() { return Ok(()) },
                    () = shutdown.cancelled() => {}
                }
                tokio::time::sleep(LINGER).await;
                continue;
            }
            let batch = Arc::new(self.batch(from, at)?);
            if !self.commit(&batch, &shutdown).await? {
                return Ok(());
            }
            at = batch.to;
            from = Some(at);
        }
    }

    /// Where to go on, if the store and the outbox fit together.
    pub fn begin(&mut self, stored: Option<Checkpoint>) -> Result<Checkpoint, WriterError> {
        let apart = |why: String| Err(WriterError::Apart { why });
        let (first, next) = (self.outbox.first(), self.outbox.next());
        let Identity { id, epoch } = self.identity;
        let Some(stored) = stored else {
            if first > 0 {
                return apart(format!("the database is empty, but the outbox begins at position {first}"));
            }
            return Ok(Checkpoint { journal: id, epoch, position: 0, hash: 0 });
        };
        if stored.journal != id {
            return apart(format!("the database follows the journal {:032x}, and this is {id:032x}", stored.journal));
        }
        if !(first..=next).contains(&stored.position) {
            return apart(format!("the outbox holds {first} to {next}, and the database is at {}", stored.position));
        }
        match self.hash_before(stored.position)? {
            Some(hash) if hash != stored.hash => {
                apart(format!("they differ in what came before position {}", stored.position))
            }
            _ => Ok(stored),
        }
    }

    /// The running hash before a position; `None` where nothing before it is held any more.
    fn hash_before(&mut self, position: u64) -> Result<Option<u32>, WriterError> {
        let Some(last) = position.checked_sub(1).filter(|last| *last >= self.outbox.first()) else { return Ok(None) };
        let mut entries = Vec::new();
        self.outbox.read(last, 1, 1, &mut entries)?;
        Ok(entries.first().map(|entry| entry.hash_after))
    }

    /// What comes after `at`, as much as one transaction should hold.
    pub fn batch(&mut self, from: Option<Checkpoint>, at: Checkpoint) -> Result<Batch, WriterError> {
        let mut entries = Vec::new();
        self.outbox.read(at.position, limits::BATCH_ROWS, limits::BATCH_BYTES / 2, &mut entries)?;
        let mut to = Checkpoint { epoch: self.identity.epoch, ..at };
        let mut effects = Vec::with_capacity(entries.len());
        for Entry { pos, hash_after, payload } in entries {
            let (_, of_one) = codec::decode_effects(payload).map_err(|error| WriterError::Entry { pos, error })?;
            effects.push(of_one);
            to = Checkpoint { position: pos + 1, hash: hash_after, ..to };
        }
        Ok(Batch { from, to, effects })
    }

    /// Whether it was stored; `false`: shutdown came first.
    async fn commit(&mut self, batch: &Arc<Batch>, shutdown: &CancellationToken) -> Result<bool, WriterError> {
        let attempt = |store: Arc<dyn Store>| -> Attempt<()> {
            let batch = Arc::clone(batch);
            Box::pin(async move { store_once(&*store, batch).await })
        };
        Ok(retry(&self.store, &self.vitals, shutdown, attempt).await?.is_some())
    }
}

type Attempt<T> = std::pin::Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// One attempt at a batch. A transient error leaves open whether it arrived: the same batch again finds out.
pub async fn store_once(store: &dyn Store, batch: Arc<Batch>) -> Result<(), StoreError> {
    let to = batch.to;
    match store.commit(batch).await {
        // An attempt before this one had arrived after all.
        Err(StoreError::CheckpointMoved { stored, .. }) if stored == Some(to) => Ok(()),
        Err(error) => Err(error),
        Ok(committed) => {
            for row in &committed.set_aside {
                tracing::warn!(
                    what = row.what,
                    sqlstate = row.sqlstate,
                    detail = row.detail,
                    "the database set a row aside"
                );
            }
            Ok(())
        }
    }
}

/// Tries until it works, waiting longer each time; says so once when it begins to wait and once when it is over.
/// `None`: shutdown came first.
async fn retry<T>(
    store: &Arc<dyn Store>,
    vitals: &Vitals,
    shutdown: &CancellationToken,
    attempt: impl Fn(Arc<dyn Store>) -> Attempt<T>,
) -> Result<Option<T>, WriterError> {
    let began = Instant::now();
    let mut backoff = BACKOFF_MIN;
    let mut stalled = false;
    loop {
        match attempt(Arc::clone(store)).await {
            Ok(done) => {
                if stalled {
                    emit(StoreRecovered { after_ms: millis(began.elapsed()) });
                }
                return Ok(Some(done));
            }
            Err(error) if error.is_transient() => {
                if !stalled {
                    emit(StoreStalled { cause: &error.to_string() });
                }
                stalled = true;
            }
            Err(error) => return Err(error.into()),
        }
        vitals.store_stalled_ms.store(millis(began.elapsed()).max(1), Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(jittered(backoff)) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Between half and all of it, so that several services don't come back in step.
fn jittered(span: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0) % 512;
    span * (512 + u32::try_from(random).unwrap_or_default()) / 1_024
}
