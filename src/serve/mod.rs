//! What users call: gRPC for machines, HTTP for those who run the service.

pub mod auth;
mod command;
mod conn;
mod grpc;
pub mod history;
pub mod http;
pub mod reloads;
pub mod stored;
mod stream;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use self::auth::{Authenticate, LoopbackOnly};
use self::history::HistoryStore;
use self::reloads::Reloads;
use crate::clock::Clock;
use crate::feed::Feed;
use crate::limits;
use crate::model::ids::DeviceCode;
use crate::model::incident::IncidentEvent;
use crate::model::row::FrameRow;
use crate::notify::Notifier;
use crate::pages::{Board, Incidents};
use crate::proto::v1::StoredFrame;
use crate::spine::input::{Inputs, SHUT};
use crate::spine::retrace::Past;

/// All that calls are answered from. Cloning it is cheap.
#[derive(Clone)]
pub struct Backend {
    pub feed: Arc<Feed>,
    pub board: Arc<Board>,
    pub incident_feed: Arc<Feed<IncidentEvent>>,
    pub incidents: Arc<Incidents>,
    pub inputs: Inputs,
    pub store: Arc<dyn HistoryStore>,
    pub clock: Clock,
    /// The inbox, to be judged again.
    pub past: Arc<Past>,
    pub reloads: Reloads,
    /// Whom the service tells of what happens.
    pub notifier: Notifier,
}

/// How calls are served. Tests shorten the times.
#[derive(Clone)]
pub struct Settings {
    pub auth: Arc<dyn Authenticate>,
    /// How long a connection may take to begin.
    pub greeting: Duration,
    /// Between two heartbeats of a watch.
    pub heartbeat: Duration,
    /// A stream that makes no progress for this long is ended. Several heartbeats.
    pub stall: Duration,
    /// Longest wait for the outcome of a command.
    pub command_wait: Duration,
    /// Longest wait for a read to catch up with a command.
    pub catch_up_wait: Duration,
    /// Time for calls to end once shutdown is asked for.
    pub shutdown: Duration,
    /// Watchers at a time.
    pub watchers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: Arc::new(LoopbackOnly),
            greeting: Duration::from_millis(limits::GREETING_MS),
            heartbeat: Duration::from_millis(limits::HEARTBEAT_MS),
            stall: Duration::from_millis(limits::STREAM_STALL_MS),
            command_wait: Duration::from_millis(limits::COMMAND_WAIT_MS),
            catch_up_wait: Duration::from_millis(limits::CATCH_UP_WAIT_MS),
            shutdown: Duration::from_millis(limits::SHUTDOWN_MS),
            watchers: limits::WATCHERS,
        }
    }
}

/// What every service holds.
#[derive(Clone)]
struct Shared {
    backend: Backend,
    settings: Settings,
    watchers: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    explanations: Arc<Semaphore>,
    /// Who waits for one of them.
    explanations_awaited: Arc<Semaphore>,
    stop: CancellationToken,
}

/// Every service, to be called within a runtime: its calls and streams end with `shutdown`.
pub fn services(backend: Backend, settings: Settings, shutdown: CancellationToken) -> Result<Routes, ServeError> {
    let shared = Shared {
        backend,
        watchers: Arc::new(Semaphore::new(settings.watchers)),
        queries: Arc::new(Semaphore::new(limits::QUERIES)),
        uploads: Arc::new(Semaphore::new(limits::UPLOADS)),
        explanations: Arc::new(Semaphore::new(limits::EXPLANATIONS)),
        explanations_awaited: Arc::new(Semaphore::new(limits::EXPLANATIONS_WAITING)),
        stop: shutdown,
        settings,
    };
    grpc::routes(&shared)
}

/// Serves gRPC on `listener` until `shutdown`, and returns at the latest `settings.shutdown` after it, streams or not.
pub async fn serve(
    listener: TcpListener,
    backend: Backend,
    settings: Settings,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (grace, greeting) = (settings.shutdown, settings.greeting);
    let routes = services(backend, settings, shutdown.clone())?;
    let cut = CancellationToken::new();
    // Whatever way this function is left, no connection outlives it.
    let _cut = cut.clone().drop_guard();
    let incoming = conn::incoming(listener, greeting, shutdown.clone(), cut.clone());
    let mut builder = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .initial_stream_window_size(limits::STREAM_AHEAD_BYTES)
        .initial_connection_window_size(limits::CONNECTION_AHEAD_BYTES)
        .max_concurrent_streams(limits::CALLS_PER_CONNECTION);
    let server = builder.add_routes(routes).serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
    tokio::pin!(server);
    let too_late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = &mut server => Ok(ended?),
        () = too_late => {
            tracing::warn!(grace_ms = grace.as_millis() as u64, "clients still had calls open at the end of the grace time");
            Ok(())
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("gRPC server: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// An entry of the archive as `UpsertDevices` takes it.
pub fn upsert_entry(entry: &crate::model::archive::Entry) -> crate::proto::v1::upsert_devices_request::Entry {
    grpc::entry_to_upsert(entry)
}

/// An entry of the archive as `ListEntries` told it, or what is wrong with it.
pub fn listed_entry(told: crate::proto::v1::ArchiveEntry) -> Result<crate::model::archive::Entry, String> {
    grpc::entry(told)
}

/// A frame as `QueryFrames` told it, or what is wrong with it.
pub fn frame_row(device: DeviceCode, stored: &StoredFrame) -> Result<FrameRow, String> {
    grpc::frame_row(device, stored)
}

/// Whether a record is one that `UploadRecords` would look at, or what is wrong with which field.
pub fn check_record(told: &crate::proto::v1::MaintenanceRecord) -> Result<(), Vec<(String, String)>> {
    grpc::check_record(told)
}

/// A lift as the archive's calls told it, or what is wrong with it.
pub fn lift(told: &crate::proto::v1::Lift) -> Result<crate::model::archive::Lift, String> {
    grpc::lift(told)
}

impl Backend {
    /// What stands in the way of serving, in words; empty when the service is ready. That the database or the broker
    /// is away doesn't count by itself: alerts are served all the same.
    pub fn not_ready(&self) -> Vec<String> {
        if self.inputs.is_shut() {
            return vec![SHUT.into()];
        }
        let judged = self.feed.judged_now();
        if judged == crate::feed::Judged::default() {
            return vec!["the core has judged nothing yet".into()];
        }
        let behind_ms = self.clock.wall() - judged.wall;
        if behind_ms > limits::CORE_STALL_MS {
            return vec![format!("the core has judged nothing for {} s", behind_ms / 1_000)];
        }
        Vec::new()
    }
}

impl Backend {
    /// What those who run the service should mend, although it serves.
    pub fn notices(&self) -> Vec<String> {
        let refused = self.reloads.refused();
        let refused = refused.map(|why| format!("the rule files were refused, those in force stay: {why}"));
        refused.into_iter().chain(self.notifier.notices()).collect()
    }
}

/// Too many of something at a time.
fn overload(what: &str) -> tonic::Status {
    use tonic_types::{ErrorDetails, StatusExt as _};
    let details = ErrorDetails::with_quota_failure_violation("service", format!("too many {what} at a time"));
    let message = format!("there are too many {what} already: try again later");
    tonic::Status::with_error_details(tonic::Code::ResourceExhausted, message, details)
}
