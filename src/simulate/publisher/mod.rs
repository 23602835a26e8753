//! Plays a fleet to a broker, in its own time, and loses nothing on the way.
//!
//! One task advances the fleet, by the clock and not by its own sleep, so that it doesn't drift. It deals what is due to
//! connections, by device, so that what one device says keeps its order. Each connection has a window of messages that
//! the broker has not acknowledged; what a lost connection leaves of them is sent again on the next one, in order.
//! Where the broker takes no more, the windows fill, then the queues before them, and then the fleet waits: it is late,
//! and says so, but nothing is dropped.

mod connection;
mod window;

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::ConnectReturnCode;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::connection::Connection;
use super::{Fleet, Message};
use crate::clock::Clock;
use crate::limits;
use crate::model::time::{Elapsed, Wall};

#[derive(Debug, Clone)]
pub struct PublishOptions {
    pub host: String,
    pub port: u16,
    /// No other client of this broker may use it: each would throw the other out. With more than one connection, it
    /// is what their ids begin with.
    pub client_id: String,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// 1 to `limits::PUBLISH_CONNECTIONS`.
    pub connections: u16,
    /// Messages sent and not yet acknowledged, a connection: 1 to `limits::PUBLISH_WINDOW`. Brokers have a window of
    /// their own, often 20.
    pub window: u16,
    /// The fleet's seconds in one of ours. With another speed than 1 the devices' clocks run away from the service's,
    /// and no hold lasts as long as it claims: good for load, not for truth.
    pub speed: f64,
    /// Where in the fleet's time to end; `None`: at the shutdown.
    pub until: Option<Wall>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Published {
    /// Messages taken from the fleet.
    pub taken: u64,
    /// Written to a connection; a message sent twice counts twice.
    pub sent: u64,
    /// Of those taken, how many the broker has acknowledged.
    pub acknowledged: u64,
    /// Connections made.
    pub connections: u32,
    /// How long ago the oldest message that is not acknowledged was due, in the fleet's time.
    pub lag_ms: i64,
    /// For how long the fleet has waited because the broker took no more.
    pub blocked_ms: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the broker at {host}:{port} refuses client {client_id:?}: {code:?}; check user name, password and ACL")]
    Refused { host: String, port: u16, client_id: String, code: ConnectReturnCode },
}

/// How long the end waits for acknowledgements.
const DRAIN: Duration = Duration::from_secs(5);
/// The fleet is advanced at most and at least so often: so that a write has many messages, and so that its truth is fresh.
const STEP_MS: (i64, i64) = (5, 200);
const TELL_EVERY: Duration = Duration::from_millis(50);
/// What a fleet does in this time is taken at once, though it be late.
const CATCH_UP_MS: i64 = 500;

/// Publishes what `fleet` does, from where it stands now, until `options.until` or `shutdown`; then waits a few seconds
/// for what is not acknowledged. `counts` tells how it goes. Others may look into the fleet meanwhile, to read its truth.
///
/// # Errors
/// Only where the broker refuses the client. While it can't be reached, this tries again, and says so in the log.
pub async fn publish(
    fleet: Arc<Mutex<Fleet>>,
    options: PublishOptions,
    clock: Clock,
    counts: &watch::Sender<Published>,
    shutdown: CancellationToken,
) -> Result<Published, PublishError> {
    let time = FleetTime { began: (clock.elapsed(), lock(&fleet).now()), clock, speed: options.speed };
    let connections = options.connections.clamp(1, limits::PUBLISH_CONNECTIONS);
    let mut tasks = JoinSet::new();
    let mut lanes = Vec::new();
    let mut progress = Vec::new();
    for n in 0..connections {
        let (deal, dealt) = mpsc::channel(limits::PUBLISH_BATCHES);
        let told = Arc::new(Progress::default());
        let mut options = options.clone();
        if connections > 1 {
            options.client_id = format!("{}-{}", options.client_id, n + 1);
        }
        tasks.spawn(Connection::new(options, dealt, Arc::clone(&told)).run());
        lanes.push(deal);
        progress.push(told);
    }
    let dealing = Arc::new(Dealing::default());
    let sums = Sums { dealing: Arc::clone(&dealing), progress, time: time.clone() };
    let dealer = Dealer { fleet, time, until: options.until, lanes, dealing };
    tasks.spawn(dealer.run(shutdown.clone()));
    let give_up = give_up(shutdown);
    tokio::pin!(give_up);
    let mut tell = tokio::time::interval(TELL_EVERY);
    let result = loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => break Ok(()),
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => break Err(error),
                Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            },
            _ = tell.tick() => {
                counts.send_replace(sums.published());
            }
            () = &mut give_up => break Ok(()),
        }
    };
    let published = sums.published();
    counts.send_replace(published);
    result.map(|()| published)
}

async fn give_up(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// The fleet is whole between two calls, even if whoever held the lock panicked.
fn lock(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the fleet should be.
#[derive(Clone)]
struct FleetTime {
    clock: Clock,
    /// The same moment in our time and in the fleet's.
    began: (Elapsed, Wall),
    speed: f64,
}

impl FleetTime {
    fn now(&self) -> Wall {
        self.began.1 + ((self.clock.elapsed() - self.began.0) as f64 * self.speed()) as i64
    }

    fn speed(&self) -> f64 {
        self.speed.clamp(0.001, 1_000_000.0)
    }
}

/// How far one connection is.
#[derive(Debug)]
struct Progress {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    connections: AtomicU32,
    /// When the oldest message that it has and that is not acknowledged was due; `i64::MAX` for none.
    oldest_ms: AtomicI64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            connections: AtomicU32::new(0),
            oldest_ms: AtomicI64::new(i64::MAX),
        }
    }
}

/// How far the fleet is.
#[derive(Debug)]
struct Dealing {
    taken: AtomicU64,
    blocked_ms: AtomicI64,
    /// When something next happens in the fleet; `i64::MAX` when it has ended.
    next_ms: AtomicI64,
}

impl Default for Dealing {
    fn default() -> Self {
        Self { taken: AtomicU64::new(0), blocked_ms: AtomicI64::new(0), next_ms: AtomicI64::new(i64::MAX) }
    }
}

struct Sums {
    dealing: Arc<Dealing>,
    progress: Vec<Arc<Progress>>,
    time: FleetTime,
}

impl Sums {
    fn published(&self) -> Published {
        let mut sum = Published::default();
        // What is due and not taken is late as well.
        let mut oldest_ms = self.dealing.next_ms.load(Ordering::Acquire);
        for progress in &self.progress {
            // First what follows, so that no sum shows an effect without its cause.
            sum.acknowledged += progress.acknowledged.load(Ordering::Acquire);
            sum.sent += progress.sent.load(Ordering::Acquire);
            sum.connections += progress.connections.load(Ordering::Acquire);
            oldest_ms = oldest_ms.min(progress.oldest_ms.load(Ordering::Acquire));
        }
        sum.taken = self.dealing.taken.load(Ordering::Acquire);
        sum.blocked_ms = self.dealing.blocked_ms.load(Ordering::Acquire);
        sum.lag_ms = (self.time.now().ms().saturating_sub(oldest_ms)).max(0);
        sum
    }
}

/// Advances the fleet and deals what it does to the connections.
struct Dealer {
    fleet: Arc<Mutex<Fleet>>,
    time: FleetTime,
    until: Option<Wall>,
    lanes: Vec<mpsc::Sender<Vec<Message>>>,
    dealing: Arc<Dealing>,
}

impl Dealer {
    async fn run(self, shutdown: CancellationToken) -> Result<(), PublishError> {
        self.deal(&shutdown).await;
        self.dealing.next_ms.store(i64::MAX, Ordering::Release);
        Ok(())
    }

    async fn deal(&self, shutdown: &CancellationToken) {
        let mut dealt: Vec<Vec<Message>> = self.lanes.iter().map(|_| Vec::new()).collect();
        loop {
            let now = self.until.map_or(self.time.now(), |until| until.min(self.time.now()));
            let (reached, next_at) = self.take(now, &mut dealt);
            for (lane, batch) in self.lanes.iter().zip(&mut dealt) {
                if batch.is_empty() {
                    continue;
                }
                let waiting_since = self.time.clock.elapsed();
                tokio::select! {
                    sent = lane.send(std::mem::take(batch)) => if sent.is_err() { return },
                    // What was taken and not dealt counts as not acknowledged.
                    () = shutdown.cancelled() => return,
                }
                self.dealing.blocked_ms.fetch_add(self.time.clock.elapsed() - waiting_since, Ordering::AcqRel);
            }
            if self.until.is_some_and(|until| reached >= until) {
                return;
            }
            let wait_ms = if reached < now { 0 } else { (next_at - self.time.now()).clamp(STEP_MS.0, STEP_MS.1) };
            let wait = Duration::from_millis((wait_ms as f64 / self.time.speed().max(1.0)).ceil() as u64);
            tokio::select! {
                () = tokio::time::sleep(wait), if wait_ms > 0 => {}
                () = tokio::task::yield_now(), if wait_ms == 0 => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// How far the fleet is then, and when something happens next.
    fn take(&self, now: Wall, dealt: &mut [Vec<Message>]) -> (Wall, Wall) {
        let mut fleet = lock(&self.fleet);
        let to = now.min(fleet.now().max(fleet.next_at().min(now)) + CATCH_UP_MS);
        let messages = fleet.advance(to);
        self.dealing.taken.fetch_add(messages.len() as u64, Ordering::AcqRel);
        self.dealing.next_ms.store(fleet.next_at().ms(), Ordering::Release);
        let lanes = dealt.len();
        for message in messages {
            dealt[message.lane as usize % lanes].push(message);
        }
        (to, fleet.next_at())
    }
}
