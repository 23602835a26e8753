//! How long it takes from a device's PUBLISH until a dispatch centre has the event, while the rest of the city reports.
//!
//! Probes go out at their times, whether or not those before them have led to an event: what delays one delays the ones
//! behind it too, and all of them count. Three looks from outside divide the way: a subscriber of its own sees when the
//! broker passes the report on, the event says when its group was begun (in whole ms), and the client when it came.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message as _;
use tokio::runtime::Builder;
use vigil::proto::v1;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::watch_alerts_response::Message;

use super::end_to_end::POLL;
use crate::load::{Lifts, device};
use crate::measure::{ms, percentile};
use crate::service::Service;
use crate::support::publisher::Publisher;
use crate::support::wait::until;
use crate::table::{Budget, Table};
use crate::traffic::wall;
use crate::{Bench, LIFTS, traffic};

/// Devices that probe, one after the other, so that one has its event before its turn comes again.
const PROBES: u32 = 50;
/// Their codes follow on those of the other lifts.
const FIRST_PROBE: u32 = 9_000_000;
/// Off the beat of everything that happens each few ms.
const EVERY: Duration = Duration::from_micros(9_700);
/// The first ones warm the way up.
const WARM_UP: usize = 50;
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// Upper ends of the histogram's classes, in ms.
const CLASSES_MS: [f64; 10] = [1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 25.0, 50.0, 100.0];
/// With a p99 of at most so many ms at half load.
const P99_MS: f64 = 25.0;

pub fn measure(bench: &Bench, table: &mut Table) {
    let highest_per_s = bench.highest_per_s();
    table.note(format!("the highest rate is {highest_per_s:.0} reports/s"));
    for percent in [0, 10, 50, 90] {
        let rounds = bench.quicker(3, 1);
        let mut rounds: Vec<Round> =
            (0..rounds).map(|_| round(bench, highest_per_s * f64::from(percent) / 100.0)).collect();
        // What else runs on the machine only ever adds: the best round is the nearest to what is ours.
        rounds.sort_by_key(|round| round.percentile(99.0));
        let p99s: Vec<String> = rounds.iter().map(|round| format!("{:.1}", ms(round.percentile(99.0)))).collect();
        let best = rounds.remove(0);
        let name = format!("at {percent} % ({:.0}/s)", best.sent_per_s);
        for (quantile, percent_of) in [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9)] {
            let row = table.row(format!("{name}: {quantile}"), "ms", ms(best.percentile(percent_of)));
            if percent == 50 && quantile == "p99" {
                row.budget(Budget::AtMost(P99_MS));
            }
        }
        table.row(format!("{name}: CPU of the service"), "% of a core", best.cpu_percent);
        table.note(format!("{name}: p99 of the rounds {} ms; in the best {}", p99s.join(", "), best.parts()));
        table.note(format!("{name}: {}", best.histogram()));
    }
}

/// When one probe was where.
struct Probe {
    sent: Instant,
    passed_on: Instant,
    grouped: Instant,
    came: Instant,
}

struct Round {
    /// In ascending order.
    latencies: Vec<Duration>,
    probes: Vec<Probe>,
    sent_per_s: f64,
    cpu_percent: f64,
}

impl Round {
    fn percentile(&self, percent: f64) -> Duration {
        percentile(&self.latencies, percent)
    }

    /// Of each part of the way.
    fn parts(&self) -> String {
        let part = |what: &str, from: fn(&Probe) -> Instant, to: fn(&Probe) -> Instant| {
            let span = |probe| to(probe).saturating_duration_since(from(probe));
            let mut spans: Vec<Duration> = self.probes.iter().map(span).collect();
            spans.sort_unstable();
            format!("{what} {:.1} and {:.1}", ms(percentile(&spans, 50.0)), ms(percentile(&spans, 99.0)))
        };
        let parts = [
            part("through the broker", |probe| probe.sent, |probe| probe.passed_on),
            part("until its group begins", |probe| probe.passed_on, |probe| probe.grouped),
            part("durable, judged and told", |probe| probe.grouped, |probe| probe.came),
        ];
        format!("p50 and p99 {}", parts.join(", "))
    }

    fn histogram(&self) -> String {
        let of = |count: usize| format!("{:.1} %", count as f64 * 100.0 / self.latencies.len() as f64);
        let below = |limit: f64| self.latencies.partition_point(|latency| ms(*latency) < limit);
        let classes = CLASSES_MS.map(|limit| format!("< {limit} ms {}", of(below(limit))));
        format!("{} probes: {}, longest {:.1} ms", self.latencies.len(), classes.join(", "), ms(self.percentile(100.0)))
    }
}

fn round(bench: &Bench, per_s: f64) -> Round {
    let lasting = Duration::from_secs(bench.quicker(20, 8));
    let broker = bench.broker(false);
    let mut service = Service::start(broker.addr(), Some(&bench.postgres().database()));
    let mut lifts = Lifts::new(LIFTS);
    traffic::flood(broker.addr(), &mut lifts, u64::from(LIFTS), 1);
    service.await_that("the warm-up is judged", POLL, |service| service.frames() == u64::from(LIFTS));
    let (addr, grpc) = (broker.addr(), service.grpc());
    let watching = watch(grpc);
    let passed_on = tap(addr);
    let probing = thread::spawn(move || send_probes(addr, lasting));
    let mut cpu = service.cpu();
    let before = cpu.look();
    let sent = traffic::steady(addr, &mut lifts, per_s, lasting);
    let used = cpu.look() - before;
    let sent_at = probing.join().expect("the probes were sent");
    let probes: Vec<Probe> = collect(sent_at, &passed_on, &watching).into_iter().skip(WARM_UP).collect();
    let mut latencies: Vec<Duration> = probes.iter().map(|probe| probe.came.duration_since(probe.sent)).collect();
    latencies.sort_unstable();
    Round {
        latencies,
        probes,
        sent_per_s: sent as f64 / lasting.as_secs_f64(),
        cpu_percent: used.as_secs_f64() * 100.0 / lasting.as_secs_f64(),
    }
}

/// Which device, and which of its frames.
type Name = (u32, u64);

/// Devices say by turns that somebody is trapped, and that it is over.
fn send_probes(broker: SocketAddr, lasting: Duration) -> Vec<(Name, Instant)> {
    let mut devices = Publisher::connect(broker, "probes").expect("the broker is there");
    let began = Instant::now();
    let mut sent = Vec::new();
    for n in 0.. {
        let due = began + EVERY * n;
        if due > began + lasting {
            break;
        }
        until(due);
        let (probe, seq) = (FIRST_PROBE + n % PROBES, u64::from(n / PROBES) + 1);
        let mut frame = v1::ElevatorFrame { boot: 1, seq, observed_at_ms: wall().ms(), ..Default::default() };
        let list = if seq % 2 == 1 { &mut frame.conditions } else { &mut frame.cleared };
        list.push("trapped".into());
        let payload = v1::ElevatorReport { frames: vec![frame], device: String::new() }.encode_to_vec();
        let topic = format!("vigil/v1/elevator/{}/report", device(probe));
        sent.push(((probe, seq), Instant::now()));
        devices.publish(&topic, &payload).and_then(|()| devices.send()).expect("the broker takes it");
    }
    devices.finish().expect("the broker acknowledges");
    sent
}

/// When the broker passes probes on to a subscriber.
fn tap(broker: SocketAddr) -> Receiver<(Name, Instant)> {
    let (tell, told) = channel();
    let (ready, is_ready) = channel();
    thread::spawn(move || {
        let mut options = rumqttc::MqttOptions::new("tap", broker.ip().to_string(), broker.port());
        options.set_clean_session(true);
        let (client, mut events) = rumqttc::AsyncClient::new(options, 100);
        events.network_options.set_tcp_nodelay(true);
        let filters = (0..PROBES).map(|n| {
            let topic = format!("vigil/v1/elevator/{}/report", device(FIRST_PROBE + n));
            rumqttc::SubscribeFilter::new(topic, rumqttc::QoS::AtMostOnce)
        });
        client.try_subscribe_many(filters).expect("there is room");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        // It ends with the broker.
        runtime.block_on(async {
            while let Ok(event) = events.poll().await {
                tapped(&event, &tell, &ready)
            }
        });
    });
    is_ready.recv().expect("the broker grants it");
    told
}

fn tapped(event: &rumqttc::Event, tell: &Sender<(Name, Instant)>, ready: &Sender<()>) {
    match event {
        rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) => {
            let now = Instant::now();
            let report = v1::ElevatorReport::decode(publish.payload.clone()).expect("we sent it");
            let code = publish.topic.split('/').nth(3).expect("we sent it");
            // Nobody may listen any more.
            let _gone = tell.send(((number(code), report.frames[0].seq), now));
        }
        rumqttc::Event::Incoming(rumqttc::Packet::SubAck(_)) => _ = ready.send(()),
        _ => {}
    }
}

fn number(code: &str) -> u32 {
    code.get(13..).and_then(|n| n.parse().ok()).expect("a device of ours")
}

/// An event, when its group began and when it came.
type Told = (u32, Instant, Instant);

/// Watches the probes' alerts.
fn watch(grpc: SocketAddr) -> Receiver<Told> {
    let (came, events) = channel();
    let (watching, is_watching) = channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut client = AlertServiceClient::connect(format!("http://{grpc}")).await.expect("the service runs");
            let subjects = (0..PROBES).map(|n| device(FIRST_PROBE + n).to_string()).collect();
            let filter = v1::AlertFilter { subjects, ..Default::default() };
            let request = v1::WatchAlertsRequest { filter: Some(filter), ..Default::default() };
            let mut stream = client.watch_alerts(request).await.expect("it may watch").into_inner();
            while let Ok(Some(message)) = stream.message().await {
                let now = Instant::now();
                match message.message {
                    Some(Message::Event(event)) => {
                        let alert = event.alert.as_ref().expect("an event has an alert");
                        // Nobody may listen any more.
                        let _gone = came.send((number(&alert.subject), grouped_at(&event, now), now));
                    }
                    // The first heartbeat comes at once: whatever happens from now on is told. Nobody waits for others.
                    _ => _ = watching.send(()),
                }
            }
        });
    });
    is_watching.recv().expect("the stream begins with a heartbeat");
    events
}

/// Where on our clock `published_at` lies; it is in whole ms, so the middle of one is meant.
fn grouped_at(event: &v1::AlertEvent, now: Instant) -> Instant {
    let at = event.published_at.as_ref().expect("an event has it");
    let since_1970 = Duration::new(at.seconds.unsigned_abs(), at.nanos.unsigned_abs()) + Duration::from_micros(500);
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(since_1970);
    now.checked_sub(age).unwrap_or(now)
}

/// Puts together what was seen of each probe. A device's events come in the order of its frames, one for each.
fn collect(sent: Vec<(Name, Instant)>, tapped: &Receiver<(Name, Instant)>, told: &Receiver<Told>) -> Vec<Probe> {
    let mut seqs: BTreeMap<u32, u64> = BTreeMap::new();
    let mut came = BTreeMap::new();
    let mut passed_on = BTreeMap::new();
    for _ in &sent {
        let (name, at) = tapped.recv_timeout(ARRIVES_WITHIN).expect("the broker passes every probe on");
        passed_on.insert(name, at);
        let (probe, grouped, at) = told.recv_timeout(ARRIVES_WITHIN).expect("every probe leads to an event");
        let seq = seqs.entry(probe).or_default();
        *seq += 1;
        came.insert((probe, *seq), (grouped, at));
    }
    let probe = |(name, sent)| {
        let (grouped, came) = *came.get(&name)?;
        Some(Probe { sent, passed_on: *passed_on.get(&name)?, grouped, came })
    };
    sent.into_iter().map(|sent| probe(sent).expect("as many events as probes")).collect()
}
