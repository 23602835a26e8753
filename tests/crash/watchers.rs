//! Clients: many at once, and some that don't read.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use prost::Message as _;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use vigil::clock::Clock;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::watch_alerts_response::Message;
use vigil::proto::v1::{
    AlertEventKind, Car, Door, ElevatorFrame, ElevatorReport, Mode, WatchAlertsRequest, WatchAlertsResponse,
};

use crate::support::fleet::code;
use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::{Holds, Proxy};
use crate::support::publisher::Publisher;
use crate::support::service::Service;
use crate::support::wait;

const WATCHERS: usize = 1_000;
/// Some that open a stream and don't read it, and some whose connection carries nothing more.
const IDLE: usize = 20;
const CUT_OFF: usize = 20;
const LIFTS: u32 = 100;
/// Each trouble is two events.
const TROUBLES: u32 = 200;
const EVERY: Duration = Duration::from_millis(100);
/// The least that a stream may keep for a client that doesn't read it.
const WINDOW_BYTES: u32 = 16 * 1024;
const READ_WITHIN: Duration = Duration::from_secs(60);
const DROPPED_WITHIN: Duration = Duration::from_secs(100);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);
const MEMORY_MIB_MAX: u64 = 400;

async fn watch(service: SocketAddr) -> Result<Streaming<WatchAlertsResponse>, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{service}")).expect("a URL");
    let endpoint = endpoint.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
    let channel: Channel = endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let stream = AlertServiceClient::new(channel).watch_alerts(WatchAlertsRequest::default()).await?;
    Ok(stream.into_inner())
}

/// What one watcher saw: its events, which have to follow on each other, and how long after its cause each came.
struct Seen {
    events: u64,
    late_ms: Vec<u32>,
}

/// When the report that opens an alert was handed to the broker, by lift and opening.
type Causes = Arc<Mutex<HashMap<(String, u32), Instant>>>;

async fn follow(
    service: SocketAddr,
    causes: Causes,
    begun: watch::Sender<usize>,
    mut last: watch::Receiver<u64>,
) -> Seen {
    let mut stream = watch(service).await.expect("there is room for a watcher");
    let mut seen = Seen { events: 0, late_ms: Vec::new() };
    let mut at: Option<u64> = None;
    loop {
        let response = tokio::select! {
            response = stream.message() => response.expect("the stream stands").expect("it doesn't end"),
            _ = last.wait_for(|last| *last > 0 && at.is_some_and(|at| at >= *last)) => return seen,
        };
        match response.message {
            Some(Message::Heartbeat(heartbeat)) => {
                let scanned = heartbeat.scanned.expect("a heartbeat names it").seq;
                if at.is_none() {
                    begun.send_modify(|begun| *begun += 1);
                }
                assert_eq!(*at.get_or_insert(scanned), scanned, "a heartbeat passes over events");
            }
            Some(Message::Event(event)) => {
                let before = at.expect("a heartbeat comes first");
                assert_eq!((event.previous_seq, event.seq), (before, before + 1), "events follow on each other");
                at = Some(event.seq);
                seen.events += 1;
                if event.kind() == AlertEventKind::Opened {
                    let alert = event.alert.expect("an event is of an alert");
                    let cause = causes.lock().expect("nobody panics").get(&(alert.subject, alert.opening)).copied();
                    seen.late_ms.extend(cause.map(|at| at.elapsed().as_millis() as u32));
                }
            }
            None => {}
        }
    }
}

/// Lifts in each of which somebody is trapped for a moment, again and again.
fn make_trouble(broker: SocketAddr, causes: &Causes) {
    let mut publisher = Publisher::connect(broker, "the-lifts").expect("the broker runs");
    let (clock, began) = (Clock::default(), Instant::now());
    for n in 0..TROUBLES {
        wait::until(began + EVERY * n);
        let (lift, opening) = (code(n % LIFTS), n / LIFTS + 1);
        for trapped in [true, false] {
            let frame = ElevatorFrame {
                boot: 1,
                seq: u64::from(2 * (n / LIFTS) + if trapped { 1 } else { 2 }),
                observed_at_ms: clock.wall().0,
                mode: Mode::Normal.into(),
                car: Car::Stopped.into(),
                door: Door::Open.into(),
                door_zone: Some(true),
                passenger: Some(true),
                conditions: trapped.then(|| "trapped".to_owned()).into_iter().collect(),
                ..ElevatorFrame::default()
            };
            if trapped {
                causes.lock().expect("nobody panics").insert((lift.clone(), opening), Instant::now());
            }
            let report = ElevatorReport { frames: vec![frame], ..ElevatorReport::default() };
            publisher.publish(&format!("vigil/v1/elevator/{lift}/report"), &report.encode_to_vec()).expect("it runs");
        }
        publisher.send().expect("the broker runs");
    }
    publisher.finish().expect("the broker runs");
}

/// Flow: a thousand clients watch all alerts, each by a connection of its own. Twenty more open a stream and never
/// read it; the connections of another twenty carry nothing any more. Then alerts open and clear.
/// Asserts: each of the thousand sees every event once, in order; those that don't read cost little, and are dropped
/// after a minute without progress, which is counted, and told to those who come to read at last.
pub(crate) fn a_thousand_watchers_see_everything_whoever_else_does_not_read() {
    let broker = Mosquitto::start(Default::default());
    let mut service = Service::prepare(broker.addr(), "sqlite:vigil.db");
    service.start_and_wait();
    let empty = service.memory();
    let cut_off = Proxy::start(service.grpc(), |_, _| None);
    let causes = Causes::default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");

    let (begun, mut begins) = watch::channel(0);
    let (last, is_last) = watch::channel(0);
    let following: FuturesUnordered<_> = (0..WATCHERS)
        .map(|_| runtime.spawn(follow(service.grpc(), Arc::clone(&causes), begun.clone(), is_last.clone())))
        .collect();
    let all = runtime
        .block_on(async { tokio::time::timeout(READ_WITHIN, begins.wait_for(|n| *n == WATCHERS)).await.is_ok() });
    assert!(all, "only {} of {WATCHERS} watch:\n{}", *begun.borrow(), service.log());
    let streams_of = |service: SocketAddr, n: usize| -> Vec<_> {
        (0..n).map(|_| runtime.block_on(watch(service)).expect("there is room for a watcher")).collect()
    };
    let idle = streams_of(service.grpc(), IDLE);
    let unreachable = streams_of(cut_off.addr(), CUT_OFF);
    cut_off.hold_all(Holds::BOTH);
    let with_watchers = service.memory();

    let began = Instant::now();
    make_trouble(broker.addr(), &causes);
    let took = began.elapsed();
    last.send_replace(u64::from(2 * TROUBLES));
    let seen: Vec<Seen> = runtime.block_on(async {
        let all = following.map(|seen| seen.expect("the watcher doesn't panic")).collect();
        tokio::time::timeout(READ_WITHIN, all).await.expect("all see the last event in time")
    });
    let memory = service.memory();
    let mut late_ms: Vec<u32> = seen.iter().flat_map(|seen| seen.late_ms.iter().copied()).collect();
    late_ms.sort_unstable();
    let events: u64 = seen.iter().map(|seen| seen.events).sum();
    println!(
        "{WATCHERS} watchers saw {events} events in {:.0} s, {} and {} ms (median, 99 %) after the report was published; \
         memory: {} MiB without watchers, {} with them, {} at most",
        took.as_secs_f64(),
        late_ms[late_ms.len() / 2],
        late_ms[late_ms.len() * 99 / 100],
        empty.now_mib,
        with_watchers.now_mib,
        memory.peak_mib,
    );
    assert_eq!(events, u64::from(2 * TROUBLES) * WATCHERS as u64);

    let dropped = || service.metric("vigil_streams_dropped_total");
    let is_dropped = wait::is_soon(DROPPED_WITHIN, || dropped() >= IDLE as f64);
    assert!(is_dropped, "{} of {IDLE} were dropped", dropped());
    println!("{} streams that nobody read were dropped within {} s", dropped(), began.elapsed().as_secs());
    for mut stream in idle {
        let ended = runtime.block_on(async { tokio::time::timeout(READ_WITHIN, end_of(&mut stream)).await });
        let status = ended.expect("it has an end");
        assert_eq!((status.code(), status.message().contains("no progress")), (Code::Aborted, true), "{status}");
    }
    drop(unreachable);
    assert!(memory.peak_mib <= MEMORY_MIB_MAX, "{memory:?}");
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
}

async fn end_of(stream: &mut Streaming<WatchAlertsResponse>) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok("it just ended"),
            Err(status) => return status,
        }
    }
}
