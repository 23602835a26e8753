//! The composition root: what the service is made of, who feeds whom, and in which order it ends.
//!
//! ```text
//! broker → ingest → inputs → spine (thread) → outlet → feed, board → gRPC
//!                                  │             └ notify → webhooks
//!                                  └ outbox → store writer → database → gRPC
//! ```

mod adopt;
mod journals;
mod notify;
mod outlet;
pub mod policy;
pub mod recover;
mod reload;
pub mod text_file;
pub mod verify;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::journals::{Opened, is_poisoned};
use self::outlet::ToFeed;
use self::reload::Reloader;
use crate::clock::Clock;
use crate::config::{Config, StoreAt};
use crate::feed::Feed;
use crate::feed::events::{Events, StoredIncidents};
use crate::ingest::downlink::{self, Downlinks};
use crate::ingest::{self, IngestError, Login, MqttOptions};
use crate::limits;
use crate::model::alert::Cursor;
use crate::observe::Metrics;
use crate::pages::{Board, Incidents, Page};
use crate::serve::reloads::Reloads;
use crate::serve::stored::Stored;
use crate::serve::{self, Backend, ServeError, Settings, http};
use crate::spine::SpineError;
use crate::spine::driver::{Driver, Options, Vitals};
use crate::spine::input::{Durable, Input, Inputs};
use crate::spine::recover::RecoverError;
use crate::store::absent::OpenedLater;
use crate::store::known::KnownStore;
use crate::store::writer::{Writer, WriterError};
use crate::store::{self, Store};

/// By when after the shutdown the spine must have synced and written its last snapshot, and the store taken what is
/// left. Whoever runs the service kills it after 10 s.
const SPINE_ENDS_BY: Duration = Duration::from_secs(8);
const STORE_ENDS_BY: Duration = Duration::from_secs(9);
/// How long a start waits for the store to say what it belongs to.
const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// A core that stands still for so long is ended: a restart is better than silence.
const CORE_STALL_MS: i64 = 10_000;
const MAINTAIN_EVERY: Duration = Duration::from_secs(600);
const MAINTAIN_AGAIN_AFTER: Duration = Duration::from_secs(30);
const _: () = assert!(limits::SHUTDOWN_MS + 2_000 < SPINE_ENDS_BY.as_millis() as u64, "calls end first");

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Policy(#[from] policy::PolicyError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Spine(#[from] SpineError),
    #[error(transparent)]
    Writer(#[from] WriterError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Notify(#[from] crate::notify::TlsError),
    #[error("notify.db in the data folder: {0}")]
    Ledger(#[from] crate::notify::LedgerError),
    #[error("cannot listen on {addr} ({what}): {source}")]
    Listen { what: &'static str, addr: SocketAddr, source: std::io::Error },
    #[error("HTTP server: {0}")]
    Http(std::io::Error),
    #[error("the core has not come round for {0} s; ending, so that a restart can replay what it was given")]
    Stalled(i64),
    #[error("a part of the service has failed: {0}")]
    Task(String),
}

/// Where the service can be reached.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
}

/// Runs the service until `shutdown`. `ready` is told the addresses once calls are answered.
///
/// A record that makes the core fail ends the parts that depend on it; they are set up again, and that record is
/// passed over.
pub async fn run(
    config: Config,
    metrics: Metrics,
    shutdown: CancellationToken,
    ready: impl FnOnce(Addresses),
) -> Result<(), AppError> {
    let grpc = bind("grpc.listen", config.grpc.listen)?;
    let http = bind("http.listen", config.http.listen)?;
    let addr = |listener: &std::net::TcpListener, what, asked| {
        listener.local_addr().map_err(|source| AppError::Listen { what, addr: asked, source })
    };
    let addresses = Addresses {
        grpc: addr(&grpc, "grpc.listen", config.grpc.listen)?,
        http: addr(&http, "http.listen", config.http.listen)?,
    };
    // Outlives a core that is set up again: the rules in force then are those that were, whatever the files have become.
    let reloader = Arc::new(Mutex::new(Reloader::load(&config)?));
    let mut ready = Some(ready);
    loop {
        let begun = || {
            if let Some(ready) = ready.take() {
                ready(addresses);
            }
        };
        match run_once(&config, &metrics, &shutdown, (&grpc, &http), &reloader, begun).await {
            Err(error) if is_poisoned(&error) && !shutdown.is_cancelled() => {
                tracing::error!(%error, "setting the core up again without that record");
            }
            ended => return ended,
        }
    }
}

fn bind(what: &'static str, addr: SocketAddr) -> Result<std::net::TcpListener, AppError> {
    let listen = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(limits::LISTEN_BACKLOG)?.into_std()
    };
    listen().map_err(|source| AppError::Listen { what, addr, source })
}

fn listener(of: &std::net::TcpListener, what: &'static str, addr: SocketAddr) -> Result<TcpListener, AppError> {
    of.try_clone().and_then(TcpListener::from_std).map_err(|source| AppError::Listen { what, addr, source })
}

async fn run_once(
    config: &Config,
    metrics: &Metrics,
    shutdown: &CancellationToken,
    listeners: (&std::net::TcpListener, &std::net::TcpListener),
    reloader: &Arc<Mutex<Reloader>>,
    ready: impl FnOnce(),
) -> Result<(), AppError> {
    let policy = reloader.lock().await.policy();
    let clock = Clock::default();
    let opened = {
        let (config, clock) = (config.clone(), clock.clone());
        let open = tokio::task::spawn_blocking(move || journals::open(&config, policy, &clock));
        open.await.map_err(|error| AppError::Task(error.to_string()))??
    };
    let Opened { spine, snapshots, outbox_readers: [to_store, to_feed], .. } = opened;
    let store = store(config);
    let (sender, receiver) = sync_channel(limits::INPUT_QUEUE);
    let inputs = Inputs::new(sender);
    let core = spine.core();
    let (reloads, asked, feeds) = {
        let mut reloader = reloader.lock().await;
        reloader.begin(core.policy_version());
        let (reloads, asked) = Reloads::new(reloader.refused(), reloader.in_force());
        (reloads, asked, reloader.feeds())
    };
    let board = Arc::new(Board::restore(core.open_alerts(), Cursor { epoch: core.epoch(), seq: core.seq() }));
    let feed = Arc::new(Feed::new(Arc::clone(&board), Arc::new(Events::new(to_feed, Arc::clone(&store)))));
    let told = core.incident_events();
    let shown = Arc::new(Incidents::restore(&told, core.incident_cursor()));
    let log = Arc::new(StoredIncidents(Arc::clone(&store)));
    let incident_feed = Arc::new(Feed::after(Arc::clone(&shown) as Arc<dyn Page<_>>, log, told));
    let vitals = Arc::new(Vitals::default());
    vitals.alive_at_ms.store(clock.elapsed().0, Ordering::Relaxed);
    let (durable, durable_watch) = watch::channel(Durable::default());
    let (outbox_next, released) = watch::channel(spine.outbox().next());
    let identity = spine.outbox().identity();
    let snapshots = Arc::new(snapshots);
    let past = Arc::new(journals::past(config, &spine, Arc::clone(&snapshots))?);
    let (downlinks, to_publish) = Downlinks::new();
    let driver = Driver {
        spine,
        inputs: receiver,
        clock: clock.clone(),
        durable,
        outlet: Box::new(ToFeed::new(
            Arc::clone(&feed),
            Arc::clone(&incident_feed),
            Arc::clone(&vitals),
            outbox_next,
            downlinks,
        )),
        vitals: Arc::clone(&vitals),
        snapshots,
        options: Options {
            quotas: journals::quotas(config),
            inbox_retention_ms: config.journal.inbox_retention_ms,
            event_retention_ms: config.journal.event_retention_ms,
            snapshot_every_ms: config.journal.snapshot_every_ms,
        },
    };
    let mut writer = Writer {
        store: Arc::clone(&store),
        outbox: to_store,
        identity,
        released,
        vitals: Arc::clone(&vitals),
        inputs: inputs.clone(),
        known: KnownStore::new(&config.service.data_dir),
    };
    writer.check(STORE_ANSWERS_WITHIN).await?;
    // Ends in this order: what comes in, what is asked, then the spine, then the store.
    let (front, back) = (CancellationToken::new(), CancellationToken::new());
    let _front = front.clone().drop_guard();
    let _back = back.clone().drop_guard();
    let told = (&feed, &incident_feed);
    let (notifier, notifying) = notify::begin(config, told, &store, &clock, front.clone()).await?;
    let mut spine_ended = start_thread(driver)?;

    let mut tasks: JoinSet<Result<(), AppError>> = JoinSet::new();
    let backend = Backend {
        feed: Arc::clone(&feed),
        board,
        incident_feed,
        incidents: shown,
        inputs: inputs.clone(),
        store: Arc::new(Stored(Arc::clone(&store))),
        clock: clock.clone(),
        past,
        reloads,
        notifier,
    };
    tasks.spawn(async move {
        notifying.await;
        Ok(())
    });
    let mqtt = MqttOptions { feeds, ..mqtt_options(config, &vitals) };
    let downlinks = downlink::run(mqtt.clone(), to_publish, clock.clone(), front.clone());
    tasks.spawn(async move {
        downlinks.await;
        Ok(())
    });
    let ingest = ingest::run(mqtt, inputs.clone(), durable_watch, clock.clone(), front.clone());
    tasks.spawn(async move { Ok(ingest.await?) });
    let grpc = listener(listeners.0, "grpc.listen", config.grpc.listen)?;
    let calls = serve::serve(grpc, backend.clone(), Settings::default(), front.clone());
    tasks.spawn(async move { Ok(calls.await?) });
    let pages = http::Pages { backend, metrics: metrics.handle(), silence: http::SILENCE, shutdown: front.clone() };
    let http = listener(listeners.1, "http.listen", config.http.listen)?;
    tasks.spawn(async move { http::serve(http, pages).await.map_err(AppError::Http) });
    tasks.spawn(watch_core(clock.clone(), Arc::clone(&vitals), front.clone()));
    tasks.spawn(keep_metrics(metrics.clone(), front.clone()));
    tasks.spawn(maintain(store, clock.clone(), front.clone()));
    tasks.spawn(reload::run(Arc::clone(reloader), inputs.clone(), asked, front.clone()));
    let mut writing = tokio::spawn(writer.run(back.clone()));
    ready();

    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = &mut spine_ended => Err(spine_outcome(ended)),
        ended = &mut writing => Err(match ended {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) => AppError::Task("the store's writer ended".into()),
            Err(error) => AppError::Task(error.to_string()),
        }),
        Some(ended) = tasks.join_next() => match ended {
            Ok(Ok(())) => Err(AppError::Task("a task ended before its time".into())),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(AppError::Task(error.to_string())),
        },
    };
    let asked = Instant::now();
    front.cancel();
    while tasks.join_next().await.is_some() {}
    let mut outcome = outcome;
    if !spine_ended.is_terminated()
        && let Err(cause) = stop_spine(&inputs, spine_ended, asked + SPINE_ENDS_BY).await
    {
        // Others notice that the core has ended as soon as we do: what ended it is what there is to tell.
        outcome = Err(cause.into());
    }
    back.cancel();
    if !writing.is_finished() && tokio::time::timeout_at(asked + STORE_ENDS_BY, &mut writing).await.is_err() {
        tracing::info!("what the store has not taken waits in the outbox for the next start");
        writing.abort();
    }
    outcome
}

/// The spine runs on a thread of its own: it waits for the disk.
fn start_thread(driver: Driver) -> Result<oneshot::Receiver<Result<(), SpineError>>, AppError> {
    let (ended, spine_ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("spine".into())
        .spawn(move || _ = ended.send(driver.run()))
        .map_err(|error| AppError::Task(format!("no thread for the core: {error}")))?;
    Ok(spine_ended)
}

fn spine_outcome(ended: Result<Result<(), SpineError>, oneshot::error::RecvError>) -> AppError {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) => AppError::Task("the core ended before its time".into()),
        Err(_) => AppError::Task("the core's thread panicked outside of a record".into()),
    }
}

/// An error is one of the core's own.
async fn stop_spine(
    inputs: &Inputs,
    ended: oneshot::Receiver<Result<(), SpineError>>,
    by: Instant,
) -> Result<(), SpineError> {
    let _full_or_ended = inputs.offer(Input::Stop);
    match tokio::time::timeout_at(by, ended).await {
        Ok(Ok(ended)) => return ended,
        Ok(Err(_)) => tracing::error!("the core's thread panicked while it ended"),
        Err(_) => tracing::error!("the core did not end in time; what it was given is replayed at the next start"),
    }
    Ok(())
}

fn store(config: &Config) -> Arc<dyn Store> {
    let days = |ms: i64| u32::try_from((ms / (24 * 3_600_000)).max(1)).ok();
    let options = store::Options {
        frame_retention_days: days(config.store.frame_retention_ms),
        evidence_retention_days: days(config.store.evidence_retention_ms),
        alert_retention_days: days(config.store.alert_retention_ms),
        scan_retention_days: days(config.store.scan_retention_ms),
        ..store::Options::default()
    };
    match &config.store.at {
        StoreAt::Sqlite(file) => Arc::new(OpenedLater::sqlite(file.clone(), options)),
        StoreAt::Postgres(server) => Arc::new(OpenedLater::postgres((**server).clone(), options)),
    }
}

fn mqtt_options(config: &Config, vitals: &Vitals) -> MqttOptions {
    let mqtt = &config.mqtt;
    let login = mqtt.credentials.as_ref().map(|credentials| Login {
        name: credentials.username.clone(),
        password: credentials.password.as_ref().map_or_else(String::new, |password| password.reveal().to_owned()),
    });
    MqttOptions {
        client_id: mqtt.client_id.clone(),
        login,
        keep_alive: Duration::from_millis(u64::try_from(mqtt.keep_alive_ms).unwrap_or(30_000)),
        in_flight_bytes: usize::try_from(mqtt.in_flight_max_bytes).unwrap_or(usize::MAX),
        dropped: Arc::clone(&vitals.dropped),
        ..MqttOptions::new(&mqtt.host, mqtt.port, &mqtt.topic_prefix, &config.service.instance)
    }
}

async fn watch_core(clock: Clock, vitals: Arc<Vitals>, shutdown: CancellationToken) -> Result<(), AppError> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        let still_ms = clock.elapsed().0 - vitals.alive_at_ms.load(Ordering::Relaxed);
        if still_ms > CORE_STALL_MS {
            return Err(AppError::Stalled(still_ms / 1_000));
        }
    }
}

async fn keep_metrics(metrics: Metrics, shutdown: CancellationToken) -> Result<(), AppError> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(5)) => metrics.upkeep(),
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

async fn maintain(store: Arc<dyn Store>, clock: Clock, shutdown: CancellationToken) -> Result<(), AppError> {
    loop {
        let round = tokio::select! {
            round = store.maintain(clock.wall()) => round,
            () = shutdown.cancelled() => return Ok(()),
        };
        let wait = match round {
            Ok(_) => MAINTAIN_EVERY,
            Err(error) => {
                tracing::warn!(%error, "the store's upkeep has to wait");
                MAINTAIN_AGAIN_AFTER
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_core_that_stands_still_ends_the_service() {
        let (clock, vitals, shutdown) = (Clock::default(), Arc::new(Vitals::default()), CancellationToken::new());
        vitals.alive_at_ms.store(clock.elapsed().0 - CORE_STALL_MS - 2_000, Ordering::Relaxed);
        let watching = watch_core(clock.clone(), Arc::clone(&vitals), shutdown.clone());
        let ended = tokio::time::timeout(Duration::from_secs(10), watching).await;
        assert!(matches!(ended, Ok(Err(AppError::Stalled(12..)))), "{ended:?}");

        vitals.alive_at_ms.store(clock.elapsed().0, Ordering::Relaxed);
        let watching = tokio::spawn(watch_core(clock, vitals, shutdown.clone()));
        shutdown.cancel();
        assert!(watching.await.unwrap().is_ok(), "a core that is alive is left alone");
    }
}
