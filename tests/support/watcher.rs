//! A dispatch centre: follows all alerts by cursor, and comes back after every break.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::watch_alerts_response::Message;
use vigil::proto::v1::{AlertEvent, Cursor, WatchAlertsRequest};

const COME_BACK_AFTER: Duration = Duration::from_millis(50);
const SILENT_MAX: Duration = Duration::from_secs(15);

#[derive(Debug, Clone)]
pub struct Seen {
    pub event: AlertEvent,
    pub at: Instant,
    /// On which of its streams, from 1.
    pub stream: u32,
}

/// What it has come to know.
#[derive(Debug, Default)]
pub struct Watched {
    pub seen: Vec<Seen>,
    pub streams: u32,
    /// What must not happen: gaps, repeats, a cursor that is refused.
    pub faults: Vec<String>,
}

pub struct Watcher {
    watching: Option<JoinHandle<Watched>>,
    stop: CancellationToken,
}

impl Watcher {
    /// Returns once it watches, from the next event on: nothing that happens afterwards escapes it.
    pub fn start(service: SocketAddr) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (begun, begins) = channel();
        let watching = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let mut watch = Watch { watched: Watched::default(), at: None, begun: Some(begun) };
            runtime.block_on(async {
                let mut pace = tokio::time::interval(COME_BACK_AFTER);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        () = stopped.cancelled() => break,
                        status = watch.follow(service) => watch.judge(&status),
                    }
                    pace.tick().await;
                }
            });
            watch.watched
        });
        let began: Receiver<()> = begins;
        began.recv_timeout(SILENT_MAX).expect("the service tells watchers at once where they stand");
        Self { watching: Some(watching), stop }
    }

    pub fn stop(mut self) -> Watched {
        self.stop.cancel();
        self.watching.take().expect("it is stopped once").join().expect("the watcher doesn't panic")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(watching) = self.watching.take() {
            let _panicked = watching.join();
        }
    }
}

struct Watch {
    watched: Watched,
    at: Option<Cursor>,
    begun: Option<std::sync::mpsc::Sender<()>>,
}

impl Watch {
    /// One stream to its end.
    async fn follow(&mut self, service: SocketAddr) -> Status {
        match self.stream(service).await {
            Ok(()) => Status::unavailable("the stream ended"),
            Err(status) => status,
        }
    }

    async fn stream(&mut self, service: SocketAddr) -> Result<(), Status> {
        let endpoint = Endpoint::from_shared(format!("http://{service}")).expect("an address is a URL");
        let endpoint = endpoint.connect_timeout(SILENT_MAX);
        let channel = endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let request = WatchAlertsRequest { cursor: self.at, ..WatchAlertsRequest::default() };
        let mut stream = AlertServiceClient::new(channel).watch_alerts(request).await?.into_inner();
        self.watched.streams += 1;
        loop {
            let message = tokio::time::timeout(SILENT_MAX, stream.message()).await;
            let silent = || Status::deadline_exceeded(format!("no heartbeat for {SILENT_MAX:?}"));
            let Some(response) = message.map_err(|_| silent())?? else { return Ok(()) };
            match response.message {
                Some(Message::Event(event)) => self.event(event),
                Some(Message::Heartbeat(heartbeat)) => self.heartbeat(heartbeat.scanned.unwrap_or_default()),
                None => {}
            }
        }
    }

    fn event(&mut self, event: AlertEvent) {
        let at = Cursor { epoch: event.epoch, seq: event.seq };
        let next = self.at.map(|before| Cursor { seq: before.seq + 1, ..before });
        if next != Some(at) || event.previous_seq + 1 != event.seq {
            self.watched.faults.push(format!("after {:?} came {at:?}, which follows {}", self.at, event.previous_seq));
        }
        self.at = Some(at);
        self.watched.seen.push(Seen { event, at: Instant::now(), stream: self.watched.streams });
    }

    /// Without a filter nothing is passed over, so it names the last event told.
    fn heartbeat(&mut self, scanned: Cursor) {
        if *self.at.get_or_insert(scanned) != scanned {
            self.watched.faults.push(format!("a heartbeat names {scanned:?} after {:?}", self.at));
        }
        if let Some(begun) = self.begun.take() {
            let _gone = begun.send(());
        }
    }

    /// Streams break when the service is killed. That a cursor is refused is another matter.
    fn judge(&mut self, status: &Status) {
        if matches!(status.code(), Code::OutOfRange | Code::DeadlineExceeded | Code::Aborted | Code::InvalidArgument) {
            self.watched.faults.push(format!("{:?} at {:?}: {}", status.code(), self.at, status.message()));
        }
    }
}
