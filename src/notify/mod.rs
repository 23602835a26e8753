//! Where events go that others want to be told of: signed webhooks, each target in order and at least once.
//!
//! ```text
//! feed ─▶ worker (one a target) ─▶ filter ─▶ body ─▶ attempt ─▶ verdict ─▶ ledger (place, outcome)
//! ```
//!
//! Nothing is queued for a target: it reads the numbered events from its own place, which the ledger keeps. So one that is
//! down costs nothing but its own delay.

mod attempt;
mod body;
mod filter;
pub mod ledger;
mod secret;
mod site;
mod source;
mod standing;
pub mod verdict;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::attempt::TlsError;
pub use self::filter::Filter;
pub use self::ledger::{Delivery, Ledger, LedgerError, Outcome};
pub use self::secret::{SecretError, read_secrets, signature};
pub use self::site::Archive;
use self::site::Sites;
pub use self::source::Source;
pub use self::standing::{Standing, State};
use self::worker::Worker;
use crate::cap;
use crate::clock::Clock;
use crate::config::NotifyTarget;
use crate::model::alert::Cursor;
use crate::observe::{NotifyStands, emit};

/// How often the figures of all targets are told.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The targets, as calls see them. Cloning it is cheap.
#[derive(Clone)]
pub struct Notifier(Arc<Held>);

struct Held {
    targets: Vec<Handle>,
    /// `None`: there are no targets.
    ledger: Option<Ledger>,
    profile: Arc<cap::Profile>,
}

struct Handle {
    target: Arc<NotifyTarget>,
    source: Source,
    standing: Arc<standing::Shared>,
    asks: mpsc::Sender<Replay>,
}

/// Somebody wants a target to begin again.
#[derive(Debug)]
pub(super) struct Replay {
    /// The last event before the first one that is wanted.
    after: Cursor,
    done: oneshot::Sender<Result<(), String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there is no target of the name {0:?}")]
    NoTarget(String),
    #[error("{0}")]
    OutOfRange(String),
    #[error("{0}")]
    Unavailable(String),
}

/// What the workers need of the rest of the service.
pub struct Parts {
    pub alerts: Source,
    pub incidents: Source,
    pub archive: Arc<dyn Archive>,
    pub clock: Clock,
    pub profile: Arc<cap::Profile>,
}

impl Notifier {
    /// The targets, and the work of telling them, which ends with `shutdown`.
    pub fn new(
        targets: &[NotifyTarget],
        ledger: Ledger,
        parts: Parts,
        shutdown: CancellationToken,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), TlsError> {
        let mut handles = Vec::new();
        let mut workers = Vec::new();
        let sites = Arc::new(Sites::new(Arc::clone(&parts.archive)));
        for target in targets {
            let target = Arc::new(target.clone());
            let source = if target.wants_incidents() { parts.incidents.clone() } else { parts.alerts.clone() };
            let standing = Arc::new(standing::Shared::default());
            let (asks, asked) = mpsc::channel(1);
            workers.push(Worker::new(&target, &source, &ledger, (&parts, &sites), &standing, asked, shutdown.clone())?);
            handles.push(Handle { target, source, standing, asks });
        }
        let held = Held { targets: handles, ledger: Some(ledger), profile: parts.profile };
        let notifier = Self(Arc::new(held));
        let work = run(notifier.clone(), workers, shutdown);
        Ok((notifier, work))
    }

    /// What its CAP messages have in common.
    pub fn profile(&self) -> &cap::Profile {
        &self.0.profile
    }

    /// Without targets: messages are made only for those who ask.
    pub fn of_nobody(profile: cap::Profile) -> Self {
        Self(Arc::new(Held { targets: Vec::new(), ledger: None, profile: Arc::new(profile) }))
    }

    /// How each target stands, in the order of the configuration.
    pub fn standings(&self) -> Vec<(&NotifyTarget, Standing)> {
        let standing = |handle: &Handle| {
            let mut standing = handle.standing.get();
            let (at, head) = (standing.cursor, handle.source.head());
            standing.head = head;
            standing.behind = if at.epoch == head.epoch { head.seq.saturating_sub(at.seq) } else { head.seq };
            standing
        };
        self.0.targets.iter().map(|handle| (&*handle.target, standing(handle))).collect()
    }

    /// What those who run the service should know: faults of ours, and of the disk.
    pub fn notices(&self) -> Vec<String> {
        let damaged = self.0.ledger.as_ref().and_then(Ledger::set_aside).map(|why| {
            format!("notify.db was damaged ({why}), is set aside as notify.db.damaged and was begun anew: compare what targets have")
        });
        let panicked = self.standings().into_iter().filter(|(_, it)| it.panics > 0).map(|(target, it)| {
            format!(
                "what tells the target {} has failed {} times by a fault of vigil's: please report it",
                target.name, it.panics
            )
        });
        damaged.into_iter().chain(panicked).collect()
    }

    /// What became of the last deliveries of a target, newest first.
    pub async fn deliveries(&self, target: &str, given_up_only: bool) -> Result<Vec<Delivery>, LedgerError> {
        let Some(ledger) = &self.0.ledger else { return Ok(Vec::new()) };
        ledger.deliveries(target, given_up_only).await
    }

    pub fn knows(&self, target: &str) -> bool {
        self.find(target).is_some()
    }

    fn find(&self, target: &str) -> Option<&Handle> {
        self.0.targets.iter().find(|handle| *handle.target.name == *target)
    }

    /// Lets a target begin again with the event of that number, of the present epoch.
    pub async fn replay(&self, target: &str, from: u64) -> Result<Cursor, ReplayError> {
        let handle = self.find(target).ok_or_else(|| ReplayError::NoTarget(target.to_owned()))?;
        let head = handle.source.head();
        let after = Cursor { epoch: head.epoch, seq: from.saturating_sub(1) };
        if after.seq >= head.seq {
            let what = format!("event {from} has not happened yet: the last one is {}", head.seq);
            return Err(ReplayError::OutOfRange(what));
        }
        handle.source.check(after).await.map_err(|error| match error {
            crate::feed::ReadError::Unavailable { .. } => ReplayError::Unavailable(error.to_string()),
            _ => ReplayError::OutOfRange(error.to_string()),
        })?;
        let (done, told) = oneshot::channel();
        let ended = || ReplayError::Unavailable("the service is shutting down".into());
        handle.asks.send(Replay { after, done }).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?.map_err(ReplayError::Unavailable)?;
        Ok(after)
    }
}

async fn run(notifier: Notifier, workers: Vec<Worker>, shutdown: CancellationToken) {
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn(worker.run());
    }
    let mut every = tokio::time::interval(MEASURE_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => notifier.measure(),
            // Workers mend themselves; one that couldn't ends the service, as any other part of it does.
            Some(Err(ended)) = tasks.join_next() => if let Ok(panic) = ended.try_into_panic() {
                std::panic::resume_unwind(panic);
            },
            () = shutdown.cancelled() => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

impl Notifier {
    fn measure(&self) {
        for (target, standing) in self.standings() {
            emit(NotifyStands { target: &target.name, behind: standing.behind, failing: standing.is_failing() });
        }
    }
}
