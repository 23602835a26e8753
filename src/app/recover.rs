//! `vigil recover`: the ways on when journals and store no longer belong together. Each of them loses something, which
//! is why somebody has to choose, and each raises the epoch, so that nobody takes what follows for a continuation.

use std::sync::Arc;

use super::{AppError, adopt, journals, policy};
use crate::clock::Clock;
use crate::config::Config;
use crate::journal::Journal;
use crate::limits;
use crate::model::actor::Actor;
use crate::model::archive::EntryKind;
use crate::model::record::{Action, Command, Kind};
use crate::spine::Spine;
use crate::store::known::{Known, KnownStore};
use crate::store::{Checkpoint, Store, StoreError};

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The store is new and empty: it gets the archive and all that the outbox still holds.
    Reproject,
    /// The store stays as it is, and goes on with what it can still get; what is missing in between stays missing.
    Gap,
    /// The journals are lost: new ones begin, with the archive and the rescues that go on, as the store has them.
    FromStore,
    /// The database is away, and people can't wait for it: these journals are taken for the right ones. Should the store
    /// turn out to follow others, one of the other ways has to be chosen then.
    WithoutStore,
}

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error("{0}")]
    App(#[from] AppError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the note beside the journals can't be written: {0}")]
    Note(std::io::Error),
    #[error("{0}")]
    NotThatWay(&'static str),
}

/// What was done, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    pub epoch: u32,
    /// Where in the outbox the store goes on.
    pub position: u64,
    /// Entries of the archive that came from the store.
    pub entries: usize,
}

/// The service must not be running: the journals' locks see to that.
pub async fn recover(config: &Config, way: Way) -> Result<Done, RecoverError> {
    let store = super::store(config);
    let stored = if way == Way::WithoutStore { None } else { store.checkpoint().await? };
    match way {
        Way::Reproject => reproject(config, &*store, stored).await,
        Way::Gap => gap(config, &*store, stored).await,
        Way::FromStore => from_store(config, store, stored).await,
        Way::WithoutStore => without_store(config),
    }
}

async fn reproject(config: &Config, store: &dyn Store, stored: Option<Checkpoint>) -> Result<Done, RecoverError> {
    if stored.is_some() {
        return Err(RecoverError::NotThatWay(
            "--reproject fills an empty store, and this one isn't empty: point store.url to a new database",
        ));
    }
    let mut spine = existing(config)?;
    let epoch = spine.core().epoch() + 1;
    spine.raise_epoch(epoch, true).and_then(|()| spine.sync()).map_err(AppError::Spine)?;
    let position = spine.outbox().first();
    go_on(config, store, spine, position, 0).await
}

async fn gap(config: &Config, store: &dyn Store, stored: Option<Checkpoint>) -> Result<Done, RecoverError> {
    let mut spine = existing(config)?;
    let outbox = spine.outbox();
    let (first, next) = (outbox.first(), outbox.next());
    let same = stored.filter(|stored| stored.journal == outbox.identity().id);
    // Behind our oldest entry, all that we have is new to it. Elsewhere we can't tell what it has, and nothing may be
    // stored twice: it goes on with what comes from now on.
    let position = if same.is_some_and(|stored| stored.position <= first) { first } else { next };
    let stored_epoch = stored.map_or(0, |stored| stored.epoch);
    let epoch = spine.core().epoch().max(stored_epoch) + 1;
    // These journals may be older than the store.
    adopt::custody(store, &mut spine).await?;
    adopt::progress(store, &mut spine).await?;
    spine.raise_epoch(epoch, false).map_err(AppError::Spine)?;
    // Rescues that began since: those that are known are not taken twice.
    adopt::incidents(store, &mut spine).await?;
    spine.sync().map_err(AppError::Spine)?;
    go_on(config, store, spine, position, 0).await
}

async fn from_store(config: &Config, store: Arc<dyn Store>, stored: Option<Checkpoint>) -> Result<Done, RecoverError> {
    if journals::exist(config) {
        return Err(RecoverError::NotThatWay(
            "--from-store begins new journals, and service.data_dir holds some: move its inbox, outbox and snapshots \
             away, and keep them",
        ));
    }
    let Some(stored) = stored else {
        return Err(RecoverError::NotThatWay("the store is empty: there is nothing to recover; start the service"));
    };
    let (policy, ..) = policy::load(config).map_err(AppError::Policy)?;
    let clock = Clock::default();
    let mut spine = journals::replay(config, stored.epoch + 1)?.spine;
    journals::begin(&mut spine, policy, &clock).map_err(AppError::Spine)?;
    let mut entries = 0;
    for kind in EntryKind::ALL.iter().copied() {
        let mut after = None;
        loop {
            let page = store.entries(kind, after, limits::COMMAND_ITEMS).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.code().to_owned());
            entries += page.len();
            let command = Command {
                request: format!("recover-{entries}").into(),
                actor: Actor::local_admin(),
                action: Action::Upsert(page),
            };
            spine.enter(Kind::Command(command), clock.elapsed(), clock.wall()).map_err(AppError::Spine)?;
        }
    }
    adopt::records(&*store, &mut spine).await?;
    adopt::reports(&*store, &mut spine).await?;
    adopt::custody(&*store, &mut spine).await?;
    let recovered = Kind::Recovered { epoch: spine.core().epoch(), retell: false };
    spine.enter(recovered, clock.elapsed(), clock.wall()).map_err(AppError::Spine)?;
    spine.settle().map_err(AppError::Spine)?;
    // In the epoch that they go on in.
    adopt::incidents(&*store, &mut spine).await?;
    spine.sync().map_err(AppError::Spine)?;
    go_on(config, &*store, spine, 0, entries).await
}

/// Makes the journals if there are none yet.
fn without_store(config: &Config) -> Result<Done, RecoverError> {
    let mut spine = journals::replay(config, 1)?.spine;
    spine.sync().map_err(AppError::Spine)?;
    let at = checkpoint(&spine, spine.outbox().next())?;
    note(config, Known { store: None, at })?;
    Ok(Done { epoch: at.epoch, position: at.position, entries: 0 })
}

fn note(config: &Config, known: Known) -> Result<(), RecoverError> {
    KnownStore::new(&config.service.data_dir).write(&known).map_err(RecoverError::Note)
}

fn existing(config: &Config) -> Result<Spine, RecoverError> {
    if !journals::exist(config) {
        return Err(RecoverError::NotThatWay("service.data_dir holds no journals: use --from-store"));
    }
    Ok(journals::replay(config, 1)?.spine)
}

/// Tells the store where it goes on.
async fn go_on(
    config: &Config,
    store: &dyn Store,
    spine: Spine,
    position: u64,
    entries: usize,
) -> Result<Done, RecoverError> {
    let to = checkpoint(&spine, position)?;
    drop(spine);
    store.reset_checkpoint(to).await?;
    note(config, Known { store: Some(store.id().await?), at: to })?;
    Ok(Done { epoch: to.epoch, position, entries })
}

fn checkpoint(spine: &Spine, position: u64) -> Result<Checkpoint, RecoverError> {
    let outbox: &dyn Journal = spine.outbox();
    let (journal, epoch) = (outbox.identity().id, outbox.identity().epoch);
    let hash = outbox.hash_at(position).map_err(|error| AppError::Spine(error.into()))?;
    let hash = hash.expect("the position is one that the outbox holds");
    Ok(Checkpoint { journal, epoch, position, hash })
}
