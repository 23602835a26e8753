//! Brings the outbox into the store, in order, each entry once; for as long as the store is away, it waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::batches::Batches;
use super::known::{Known, KnownStore};
use super::{Batch, Checkpoint, Store, StoreError};
use crate::journal::codec::CodecError;
use crate::journal::{Identity, JournalError, JournalReader};
use crate::observe::{StoreRecovered, StoreStalled, emit};
use crate::spine::driver::Vitals;
use crate::spine::input::{Inputs, SHUT};

/// Batches begin so far apart, unless they are full: fewer commits, and nobody waits for the store.
const BATCH_EVERY: Duration = Duration::from_millis(200);
/// How often what is known of the store is noted anew.
const NOTE_EVERY: Duration = Duration::from_secs(60);
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
    #[error("the outbox's reader has failed: {0}")]
    Reading(String),
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
    /// What comes in. Shut until it is known that it comes into the right journals.
    pub inputs: Inputs,
    pub known: KnownStore,
}

/// How many times as long a store is waited for that these journals have never met.
const FIRST_ANSWER: u32 = 10;

impl Writer {
    /// Refuses a store that doesn't belong to the journals, if it answers now: before anything is acknowledged that
    /// nobody would look for in these journals. If it is away, `run` asks it once it is back; until then `inputs` are
    /// shut, unless the journals are known to have belonged to it.
    pub async fn check(&mut self, within: Duration) -> Result<(), WriterError> {
        let store = Arc::clone(&self.store);
        // In a task of its own, so that a new database that takes longer is set up all the same.
        let mut asked = tokio::spawn(async move { meet(&*store).await });
        let answer = match tokio::time::timeout(within, &mut asked).await {
            // Journals that have met no store take nothing without its answer, and a new one is some seconds in the making.
            Err(_) if self.known.read().is_err() => tokio::time::timeout(within * FIRST_ANSWER, &mut asked).await,
            answer => answer,
        };
        match answer {
            Ok(Ok(Ok((_, stored)))) => self.begin(stored).map(|_| ()),
            Ok(Ok(Err(error))) if !error.is_transient() => Err(error.into()),
            Ok(_) | Err(_) => match self.recollect()? {
                Ok(known) => {
                    let position = known.at.position;
                    tracing::info!(position, "the store doesn't answer; these journals are known to belong to it");
                    Ok(())
                }
                Err(why) => {
                    self.inputs.shut();
                    tracing::error!(why, "{SHUT}");
                    Ok(())
                }
            },
        }
    }

    /// What was noted of these journals, or why nothing can be made of it.
    fn recollect(&mut self) -> Result<Result<Known, String>, WriterError> {
        let known = match self.known.read() {
            Ok(known) => known,
            Err(why) => return Ok(Err(why)),
        };
        Ok(match self.follows(known.at)? {
            Ok(()) => Ok(known),
            Err(why) => Err(format!("they are not the ones that met it: {why}")),
        })
    }

    /// Runs until `shutdown`, then stores what is there and returns; or until something is wrong that time won't mend.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), WriterError> {
        let ask = |store: Arc<dyn Store>| -> Attempt<_> { Box::pin(async move { meet(&*store).await }) };
        let Some((id, stored)) = retry(&self.store, &self.vitals, &shutdown, ask).await? else {
            return Ok(());
        };
        let at = self.begin(stored)?;
        if self.known.read().is_ok_and(|known| known.store.is_some_and(|before| before != id)) {
            tracing::warn!("this store is another one than before; it gets what the outbox holds");
        }
        let Self { store, outbox, identity, released, vitals, inputs, known } = self;
        let mut storing = Storing { store, released, vitals, known, id, noted_at: Instant::now(), shutdown };
        storing.note(at).await;
        inputs.open();
        storing.run(Batches::new(outbox, identity.epoch, stored, at), at).await
    }

    /// Where to go on, if the store and the outbox fit together.
    pub fn begin(&mut self, stored: Option<Checkpoint>) -> Result<Checkpoint, WriterError> {
        let apart = |why: String| Err(WriterError::Apart { why });
        let (first, Identity { id, epoch }) = (self.outbox.first(), self.identity);
        let Some(stored) = stored else {
            if first > 0 {
                return apart(format!("the database is empty, but the outbox begins at position {first}"));
            }
            return Ok(Checkpoint { journal: id, epoch, position: 0, hash: 0 });
        };
        match self.follows(stored)? {
            Ok(()) => Ok(stored),
            Err(why) => apart(format!("the database {why}")),
        }
    }

    /// Whether a place is one of this outbox, or why not.
    fn follows(&mut self, place: Checkpoint) -> Result<Result<(), String>, WriterError> {
        let (first, next, id) = (self.outbox.first(), self.outbox.next(), self.identity.id);
        if place.journal != id {
            return Ok(Err(format!("follows the journal {:032x}, and this is {id:032x}", place.journal)));
        }
        if place.position > next {
            return Ok(Err(format!("is at position {}, and the outbox ends at {next}", place.position)));
        }
        if place.position < first {
            return Ok(Err(format!("is at position {}, and the outbox begins at {first}", place.position)));
        }
        Ok(match self.hash_before(place.position)? {
            Some(hash) if hash != place.hash => Err(format!("had other content before position {}", place.position)),
            _ => Ok(()),
        })
    }

    /// The running hash before a position; `None` where nothing before it is held any more.
    fn hash_before(&mut self, position: u64) -> Result<Option<u32>, WriterError> {
        let Some(last) = position.checked_sub(1).filter(|last| *last >= self.outbox.first()) else { return Ok(None) };
        let mut entries = Vec::new();
        self.outbox.read(last, 1, 1, &mut entries)?;
        Ok(entries.first().map(|entry| entry.hash_after))
    }
}

/// A writer that has met its store.
struct Storing {
    store: Arc<dyn Store>,
    released: watch::Receiver<u64>,
    vitals: Arc<Vitals>,
    known: KnownStore,
    /// The store's own.
    id: u128,
    noted_at: Instant,
    shutdown: CancellationToken,
}

impl Storing {
    /// Stores what comes after `at`, until the shutdown and the end of what is there.
    async fn run(mut self, mut batches: Batches, mut at: Checkpoint) -> Result<(), WriterError> {
        let mut due = Instant::now();
        self.vitals.store_stalled_ms.store(0, Ordering::Relaxed);
        loop {
            self.vitals.stored_to.store(at.position, Ordering::Release);
            if self.noted_at.elapsed() >= NOTE_EVERY {
                self.note(at).await;
            }
            if !batches.is_full() {
                if batches.is_empty() && !self.is_more_than(batches.next()).await {
                    return Ok(());
                }
                tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => {}
                    () = self.shutdown.cancelled() => {}
                }
                batches = fill(batches).await?;
            }
            due = Instant::now() + BATCH_EVERY;
            if batches.is_empty() {
                continue;
            }
            let batch = Arc::new(batches.take());
            let (stored, filled) = tokio::join!(self.commit(&batch), fill(batches));
            if !stored? {
                return Ok(());
            }
            batches = filled?;
            at = batch.to;
        }
    }

    /// Waits until the outbox goes on after `next`. `false`: it doesn't, and the shutdown came.
    async fn is_more_than(&mut self, next: u64) -> bool {
        while *self.released.borrow_and_update() <= next {
            if self.shutdown.is_cancelled() {
                return false;
            }
            tokio::select! {
                changed = self.released.changed() => if changed.is_err() { return false },
                () = self.shutdown.cancelled() => {}
            }
        }
        true
    }

    /// Whether it was stored; `false`: shutdown came first.
    async fn commit(&self, batch: &Arc<Batch>) -> Result<bool, WriterError> {
        let attempt = |store: Arc<dyn Store>| -> Attempt<()> {
            let batch = Arc::clone(batch);
            Box::pin(async move { store_once(&*store, batch).await })
        };
        let stored = retry(&self.store, &self.vitals, &self.shutdown, attempt).await?.is_some();
        if stored {
            self.vitals.store_stalled_ms.store(0, Ordering::Relaxed);
        }
        Ok(stored)
    }

    /// Notes that store and journals belonged together up to here.
    async fn note(&mut self, at: Checkpoint) {
        let (note, known) = (self.known.clone(), Known { store: Some(self.id), at });
        let written = tokio::task::spawn_blocking(move || note.write(&known)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::warn!(%error, "the store could not be noted beside the journals: a start without it would wait for it");
        }
        self.noted_at = Instant::now();
    }
}

/// Reads on, on a thread that may wait for the disk. Not to be dropped half-way: the reader would be gone.
async fn fill(mut batches: Batches) -> Result<Batches, WriterError> {
    let filling = tokio::task::spawn_blocking(move || batches.fill().map(|()| batches));
    filling.await.unwrap_or_else(|error| Err(WriterError::Reading(error.to_string())))
}

type Attempt<T> = std::pin::Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Which store it is, and what it has.
async fn meet(store: &dyn Store) -> Result<(u128, Option<Checkpoint>), StoreError> {
    Ok((store.id().await?, store.checkpoint().await?))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal as _;
    use crate::journal::memory::MemoryDisk;
    use crate::store::memory::MemoryStore;

    const IDENTITY: Identity = Identity { id: 5, epoch: 1 };

    /// A writer between an outbox that has been trimmed, and a store that has `stored` of it; or of none.
    async fn check(stored: impl FnOnce(u64, u64) -> Option<u64>) -> Result<(), String> {
        let disk = MemoryDisk::with_segments_of(IDENTITY, 100);
        let (mut outbox, _) = disk.open();
        let mut hashes = vec![outbox.hash()];
        for _ in 0..20 {
            outbox.append(&[7; 30]).unwrap();
            hashes.push(outbox.hash());
        }
        outbox.release().unwrap();
        outbox.trim(10).unwrap();
        let (first, next) = (outbox.first(), outbox.next());
        assert!(first > 1 && first < next);
        let store = MemoryStore::new(crate::store::Options::default());
        if let Some(position) = stored(first, next) {
            let hash = hashes.get(position as usize).copied().unwrap_or_default();
            store.reset_checkpoint(Checkpoint { journal: 5, epoch: 1, position, hash }).await.unwrap();
        }
        let (queue, _inputs) = std::sync::mpsc::sync_channel(1);
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer {
            store: Arc::new(store),
            outbox: outbox.reader(),
            identity: IDENTITY,
            released: watch::channel(next).1,
            vitals: Arc::default(),
            inputs: Inputs::new(queue),
            known: KnownStore::new(folder.path()),
        };
        writer.check(Duration::from_secs(10)).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_store_that_lacks_what_is_trimmed_is_refused() {
        assert_eq!(check(|first, _| Some(first)).await, Ok(()));
        assert_eq!(check(|_, next| Some(next)).await, Ok(()));
        let empty = check(|_, _| None).await.unwrap_err();
        assert!(empty.contains("the database is empty, but the outbox begins at"), "{empty}");
        let restored = check(|first, _| Some(first - 1)).await.unwrap_err();
        assert!(restored.contains("and the outbox begins at"), "{restored}");
        let ahead = check(|_, next| Some(next + 1)).await.unwrap_err();
        assert!(ahead.contains("and the outbox ends at"), "{ahead}");
        for why in [empty, restored, ahead] {
            assert!(why.contains("`vigil recover`"), "{why}");
        }
    }
}
