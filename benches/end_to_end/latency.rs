//! How long it takes from a device's PUBLISH until a dispatch centre has the event.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use prost::Message as _;
use vigil::proto::v1;
use vigil::proto::v1::alert_service_client::AlertServiceClient;

use super::support::publisher::Publisher;
use crate::traffic::wall;

const DEVICE: &str = "31996401002026999999";
/// Between two probes; the load goes on meanwhile.
const EVERY: Duration = Duration::from_millis(40);
/// A first frame says that we follow the stream, and warms the way up.
const WARM_UP: usize = 10;

pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// A device says by turns that somebody is trapped, and that it is over, until `over`.
pub fn probe(broker: SocketAddr, grpc: SocketAddr, over: &Receiver<()>) -> Latencies {
    let events = watch(grpc);
    let mut device = Publisher::connect(broker, "probe").expect("the broker is there");
    let topic = format!("vigil/v1/elevator/{DEVICE}/report");
    let mut took = Vec::new();
    for seq in 1.. {
        let mut frame = v1::ElevatorFrame { boot: 1, seq, observed_at_ms: wall().ms(), ..Default::default() };
        let list = if seq % 2 == 1 { &mut frame.conditions } else { &mut frame.cleared };
        list.push("trapped".into());
        let payload = v1::ElevatorReport { frames: vec![frame], device: String::new() }.encode_to_vec();
        let began = Instant::now();
        device.publish(&topic, &payload).expect("the broker takes it");
        device.finish().expect("the broker acknowledges");
        let came = events.recv_timeout(Duration::from_secs(30)).expect("every probe leads to an event");
        took.push(came.duration_since(began));
        if !matches!(over.recv_timeout(EVERY.saturating_sub(began.elapsed())), Err(RecvTimeoutError::Timeout)) {
            break;
        }
    }
    took.drain(..WARM_UP.min(took.len() - 1));
    took.sort_unstable();
    Latencies(took)
}

/// The moments at which events about the probe's device come.
fn watch(grpc: SocketAddr) -> Receiver<Instant> {
    let (came, events) = channel();
    let (watching, is_watching) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut client = AlertServiceClient::connect(format!("http://{grpc}")).await.expect("the service runs");
            let filter = v1::AlertFilter { subjects: vec![DEVICE.into()], ..Default::default() };
            let request = v1::WatchAlertsRequest { filter: Some(filter), ..Default::default() };
            let mut stream = client.watch_alerts(request).await.expect("it may watch").into_inner();
            while let Ok(Some(message)) = stream.message().await {
                if !matches!(message.message, Some(v1::watch_alerts_response::Message::Event(_))) {
                    // The first heartbeat comes at once: whatever happens from now on is told. Nobody waits for others.
                    let _heard = watching.send(());
                } else if came.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    });
    is_watching.recv().expect("the stream begins with a heartbeat");
    events
}
