//! Reading from the broker: our subscriber beside bare ones of the same client library.
//!
//! CPU is that of the subscriber's own thread; the broker, the publisher and the spine stand in other ones. The
//! contestants take turns, and the median of the rounds counts.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, EventLoop, Packet, QoS};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vigil::clock::Clock;
use vigil::ingest::{self, MqttOptions};
use vigil::limits;
use vigil::model::record::Link;
use vigil::spine::input::{Durable, Input, Inputs};

use crate::Bench;
use crate::measure::{median, thread_cpu, us};
use crate::support::publisher::Publisher;
use crate::table::Table;

const TOPIC: &str = "vigil/v1/elevator/31305001122014017242/report";
/// As large as a frame in protobuf.
const PAYLOAD: [u8; 51] = [0x5a; 51];
const MESSAGES: usize = 100_000;

#[derive(Clone, Copy)]
enum Contestant {
    BareAutomatic,
    BareByHand,
    Vigil { fsync: Duration },
}

const CONTESTANTS: [(&str, Contestant); 4] = [
    ("a bare subscriber", Contestant::BareAutomatic),
    ("bare with `try_ack`", Contestant::BareByHand),
    ("vigil's, all durable at once", Contestant::Vigil { fsync: Duration::ZERO }),
    ("vigil's, an fsync of 0.4 ms", Contestant::Vigil { fsync: Duration::from_micros(400) }),
];

struct Cost {
    cpu_us: f64,
    per_s: f64,
}

pub fn measure(bench: &Bench, table: &mut Table) {
    let mut costs: Vec<Vec<Cost>> = CONTESTANTS.iter().map(|_| Vec::new()).collect();
    for _ in 0..bench.quicker(3, 1) {
        for ((_, contestant), costs) in CONTESTANTS.iter().zip(&mut costs) {
            costs.push(one_round(bench, *contestant));
        }
    }
    let cpu_us = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu_us));
    let per_s = |costs: &[Cost]| median(costs.iter().map(|cost| cost.per_s));
    for ((name, _), contestant) in CONTESTANTS.iter().zip(&costs).skip(1) {
        table.row(format!("{name}: CPU a message"), "µs", cpu_us(contestant)).floor(cpu_us(&costs[0]));
        table.row(format!("{name}: rate"), "/s", per_s(contestant)).floor(per_s(&costs[0]));
    }
}

fn one_round(bench: &Bench, contestant: Contestant) -> Cost {
    let broker = bench.broker(false);
    let addr = broker.addr();
    let (ready, is_ready) = sync_channel(1);
    let name = match contestant {
        Contestant::BareAutomatic => "bare",
        Contestant::BareByHand => "bare-by-hand",
        Contestant::Vigil { .. } => "vigil",
    };
    // Named, so that a profiler can tell them apart.
    let subscriber = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let before = thread_cpu();
        match contestant {
            Contestant::BareAutomatic => bare(addr, false, &ready),
            Contestant::BareByHand => bare(addr, true, &ready),
            Contestant::Vigil { fsync } => vigil(addr, fsync, ready),
        }
        thread_cpu() - before
    });
    let subscriber = subscriber.expect("a thread");
    is_ready.recv().expect("the subscriber is subscribed");
    let began = Instant::now();
    let publisher = thread::spawn(move || {
        let mut publisher = Publisher::connect(addr, "a-device").expect("the broker is there");
        for _ in 0..MESSAGES {
            publisher.publish(TOPIC, &PAYLOAD).expect("the broker takes it");
        }
        publisher.finish().expect("the broker acknowledges");
    });
    let cpu = subscriber.join().expect("the subscriber did its work");
    let seconds = began.elapsed().as_secs_f64();
    publisher.join().expect("the publisher did its work");
    Cost { cpu_us: us(cpu) / MESSAGES as f64, per_s: MESSAGES as f64 / seconds }
}

fn bare(addr: SocketAddr, by_hand: bool, ready: &SyncSender<()>) {
    let mut options = rumqttc::MqttOptions::new("bare", addr.ip().to_string(), addr.port());
    options.set_clean_session(false).set_manual_acks(by_hand);
    // 4,096 would be too few: reading goes before writing often enough for the channel to fill up.
    let (client, mut events) = AsyncClient::new(options, 65_536);
    events.network_options.set_tcp_nodelay(true);
    client.try_subscribe("vigil/v1/elevator/+/report", QoS::AtLeastOnce).expect("there is room");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(take_all(&client, &mut events, by_hand, ready));
}

async fn take_all(client: &AsyncClient, events: &mut EventLoop, by_hand: bool, ready: &SyncSender<()>) {
    let mut taken = 0;
    while taken < MESSAGES {
        match events.poll().await.expect("the broker stays") {
            rumqttc::Event::Incoming(Packet::Publish(publish)) => {
                taken += 1;
                if by_hand {
                    client.try_ack(&publish).expect("there is room");
                }
            }
            rumqttc::Event::Incoming(Packet::SubAck(_)) => ready.send(()).expect("somebody waits"),
            _ => {}
        }
    }
}

fn vigil(addr: SocketAddr, fsync: Duration, ready: SyncSender<()>) {
    let (sender, inputs) = sync_channel(limits::INPUT_QUEUE);
    let (durable, watch) = watch::channel(Durable::default());
    let shutdown = CancellationToken::new();
    let end = shutdown.clone();
    let spine = thread::Builder::new().name("spine".to_owned()).spawn(move || {
        take_and_sync(&inputs, &durable, fsync, &ready);
        end.cancel();
        // The subscriber sends the last acknowledgements before it ends.
        while !matches!(inputs.recv_timeout(Duration::from_secs(10)), Err(RecvTimeoutError::Disconnected)) {}
    });
    let spine = spine.expect("a thread");
    let options = MqttOptions::new(&addr.ip().to_string(), addr.port(), "vigil/v1", "bench");
    let run = ingest::run(options, Inputs::new(sender), watch, Clock::default(), shutdown);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run).expect("it ends when it is told to");
    spine.join().expect("the spine did its work");
}

/// As the spine does, without doing anything: takes what waits, syncs, says so.
fn take_and_sync(inputs: &Receiver<Input>, durable: &watch::Sender<Durable>, fsync: Duration, ready: &SyncSender<()>) {
    let mut taken = 0;
    while taken < MESSAGES {
        let first = inputs.recv().expect("the subscriber goes on");
        let mut last = None;
        for input in std::iter::once(first).chain(inputs.try_iter().take(limits::GROUP_RECORDS - 1)) {
            match input {
                Input::Report { token, .. } => {
                    taken += 1;
                    last = Some(token);
                }
                Input::Link(Link::Heard { .. }) => drop(ready.try_send(())),
                _ => {}
            }
        }
        if let Some(token) = last {
            if !fsync.is_zero() {
                thread::sleep(fsync);
            }
            durable.send_modify(|durable| durable.token = token);
        }
    }
}
