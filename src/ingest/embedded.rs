//! A broker inside the process, for demonstrations and tests: it keeps everything in memory and forgets it at the end.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use rumqttd::protocol::v4::V4;
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use tokio::runtime;
use tokio_util::sync::CancellationToken;

use crate::limits;

/// How often another port is chosen when somebody else takes the one found free.
const PORT_ATTEMPTS: usize = 16;
/// How long a drop waits for the port to be free again.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Serves MQTT 3.1.1 from `start` until it is dropped.
///
/// One small thing of it stays until the process ends: rumqttd's router, a thread that sleeps, can't be told to stop.
#[derive(Debug)]
pub struct EmbeddedBroker {
    addr: SocketAddr,
    stop: CancellationToken,
    ended: mpsc::Receiver<()>,
}

impl EmbeddedBroker {
    /// Listens on `listen`; on port 0, on one that is free. Returns once clients can connect.
    pub fn start(listen: SocketAddr) -> io::Result<Self> {
        if listen.port() != 0 {
            return Self::start_on(listen);
        }
        let mut attempts = 1;
        loop {
            // rumqttd doesn't say which port it was given, so we choose one. It may be taken until rumqttd binds it.
            let free = TcpListener::bind(listen)?.local_addr()?;
            match Self::start_on(free) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts < PORT_ATTEMPTS => attempts += 1,
                done => return done,
            }
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn start_on(addr: SocketAddr) -> io::Result<Self> {
        // rumqttd hides the kind of a failed bind; trying it first tells the usual ones.
        drop(TcpListener::bind(addr)?);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (started, starting) = mpsc::sync_channel(1);
        let (ending, ended) = mpsc::sync_channel::<()>(0);
        thread::Builder::new().name("embedded-broker".to_owned()).spawn(move || {
            // Goes when the thread has nothing left to do, and so tells that it has ended.
            let _ending = ending;
            runtime.block_on(serve(addr, started, stopped));
            drop(runtime);
        })?;
        let broker = Self { addr, stop, ended };
        match starting.recv() {
            Ok(None) => Ok(broker),
            Ok(Some(reason)) => Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{addr}: {reason}"))),
            Err(_) => Err(io::Error::other(format!("the embedded broker on {addr} ended as it began"))),
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.stop.cancel();
        // Not longer: rumqttd's connections wait for its router on this thread, and nothing bounds that.
        let _ended = self.ended.recv_timeout(ENDS_WITHIN);
    }
}

/// Says through `started` why it can't serve, or that it does.
async fn serve(addr: SocketAddr, started: mpsc::SyncSender<Option<String>>, stop: CancellationToken) {
    let router = Router::new(0, router_config()).spawn();
    let mut server = Server::new(server_settings(addr), router, V4);
    let mut serving = pin!(server.start(LinkType::Remote));
    // The first poll binds, then waits for a client: so after it the broker is there, or we know why not.
    let first = poll_fn(|context| Poll::Ready(serving.as_mut().poll(context))).await;
    let failure = match first {
        Poll::Pending => None,
        Poll::Ready(Ok(())) => Some("it ended at once".to_owned()),
        Poll::Ready(Err(error)) => Some(error.to_string()),
    };
    let failed = failure.is_some();
    if started.send(failure).is_err() || failed {
        return;
    }
    tokio::select! {
        () = stop.cancelled() => {}
        Err(error) = serving => tracing::error!("the embedded broker ended: {error}"),
    }
}

fn server_settings(listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        name: "embedded".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 10_000,
            // It breaks the connection of who sends more, before a subscriber sees it.
            max_payload_size: limits::PAYLOAD_BYTES + 2 * limits::TOPIC_BYTES,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    }
}

/// For each filter, memory holds up to segments × size of what came last, read or not.
fn router_config() -> RouterConfig {
    RouterConfig {
        max_connections: 10_000,
        max_outgoing_packet_count: 200,
        max_segment_size: 8 * 1024 * 1024,
        max_segment_count: 8,
        custom_segment: None,
        initialized_filters: None,
        ..RouterConfig::default()
    }
}
