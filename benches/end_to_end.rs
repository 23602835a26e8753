//! The whole service beside the floors under it, in one run on one machine: `cargo bench --bench end_to_end`.
//!
//! Needs mosquitto, setpriv and PostgreSQL, which it starts itself. The contestants take turns, each with a broker of
//! its own, and the median of the rounds counts. CPU is that of the contestant's process, all threads, until the last
//! row is in the store. `docs/benchmarks.md` says what the figures mean and what limits them.

#![allow(unreachable_pub, reason = "a program, whose modules only it reads")]

#[path = "end_to_end/floor.rs"]
mod floor;
#[path = "end_to_end/latency.rs"]
mod latency;
#[path = "load/mod.rs"]
mod load;
#[path = "end_to_end/memory.rs"]
mod memory;
#[path = "end_to_end/service.rs"]
mod service;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "end_to_end/traffic.rs"]
mod traffic;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use floor::BareSubscriber;
use load::Lifts;
use service::Service;
use support::mosquitto::{Mosquitto, Settings};
use support::postgres::Postgres;
use tokio::runtime::Runtime;

const LIFTS: u32 = 25_000;
const CYLINDERS: u32 = 162_000;
const MESSAGES: u64 = 150_000;
const TENFOLD: u64 = 40_000;
const ROUNDS: usize = 3;
const LATENCY_LASTS: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, word, broker, messages] = args.as_slice()
        && word == floor::BARE_SUBSCRIBER
    {
        return floor::subscribe(broker, messages.parse().expect("a number"));
    }
    let wanted = |part: &str| args.iter().skip(1).all(|arg| arg.starts_with("--") || part.contains(arg.as_str()));
    let postgres = Postgres::start(true);
    println!("load average {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    println!("{:48} {:>9} {:>7} {:>10} {:>7} {:>10}", "", "CPU µs", "ratio", "taken/s", "ratio", "stored/s");
    let highest_per_s = if wanted("single") { single(&postgres) } else { 12_000.0 };
    if wanted("tenfold") {
        tenfold(&postgres);
    }
    if wanted("latency") {
        latency(&postgres, highest_per_s);
    }
    if wanted("memory") {
        memory::measure();
    }
    println!("load average {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
}

/// Bounds as `deploy/mosquitto.conf` has them.
fn broker(persistence: bool) -> Mosquitto {
    let extra = if persistence { "autosave_interval 5" } else { "" }.to_owned();
    Mosquitto::start(Settings { persistence, max_inflight: 4_000, extra, ..Settings::default() })
}

/// What one round of one contestant came to.
struct Figures {
    cpu_us: f64,
    taken_per_s: f64,
    stored_per_s: Option<f64>,
}

fn median(rounds: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[derive(Clone, Copy)]
enum Contestant {
    Bare,
    Postgres,
    Sqlite,
}

/// Single-frame reports; the highest rate at which ours takes them with PostgreSQL.
fn single(postgres: &Postgres) -> f64 {
    use Contestant::{Bare, Postgres, Sqlite};
    let contestants = [
        ("bare subscriber", Bare, false),
        ("vigil, PostgreSQL", Postgres, false),
        ("vigil, SQLite", Sqlite, false),
        ("bare subscriber, broker on disk", Bare, true),
        ("vigil, PostgreSQL, broker on disk", Postgres, true),
    ];
    let mut rounds: Vec<Vec<Figures>> = contestants.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, contestant, persistence), figures) in contestants.iter().zip(&mut rounds) {
            figures.push(match contestant {
                Bare => bare(*persistence),
                Postgres => ours(Some(postgres.database()), MESSAGES, 1, *persistence),
                Sqlite => ours(None, MESSAGES, 1, *persistence),
            });
        }
    }
    for (at, (name, _, persistence)) in contestants.iter().enumerate() {
        let floor = &rounds[if *persistence { 3 } else { 0 }];
        print_row(&format!("single frames: {name}"), &rounds[at], floor);
    }
    median(&rounds[1], |figures| figures.taken_per_s)
}

fn print_row(name: &str, rounds: &[Figures], floor: &[Figures]) {
    let (cpu_us, floor_us) = (median(rounds, |f| f.cpu_us), median(floor, |f| f.cpu_us));
    let (taken, floor_taken) = (median(rounds, |f| f.taken_per_s), median(floor, |f| f.taken_per_s));
    let stored = median(rounds, |f| f.stored_per_s.unwrap_or_default());
    let (cpu_ratio, taken_ratio) = (cpu_us / floor_us, taken / floor_taken);
    println!("{name:48} {cpu_us:>9.2} {cpu_ratio:>7.2} {taken:>10.0} {taken_ratio:>7.2} {stored:>10.0}");
}

fn bare(persistence: bool) -> Figures {
    let broker = broker(persistence);
    let mut lifts = Lifts::new(LIFTS);
    let warm_up = u64::from(LIFTS);
    let mut subscriber = BareSubscriber::start(broker.addr(), warm_up);
    traffic::flood(broker.addr(), &mut lifts, warm_up, 1);
    subscriber.wait_until_taken();
    drop(subscriber);
    let mut subscriber = BareSubscriber::start(broker.addr(), MESSAGES);
    let (before, began) = (subscriber.cpu(), Instant::now());
    let addr = broker.addr();
    let publisher = std::thread::spawn(move || traffic::flood(addr, &mut lifts, MESSAGES, 1));
    subscriber.wait_until_taken();
    let seconds = began.elapsed().as_secs_f64();
    let cpu_us = (subscriber.cpu() - before).as_secs_f64() * 1e6 / MESSAGES as f64;
    publisher.join().expect("the publisher did its work");
    Figures { cpu_us, taken_per_s: MESSAGES as f64 / seconds, stored_per_s: None }
}

/// One round of the service, until the last row is stored.
fn ours(store: Option<String>, reports: u64, frames: u64, persistence: bool) -> Figures {
    let broker = broker(persistence);
    let mut service = Service::start(broker.addr(), store.clone());
    let mut lifts = Lifts::new(LIFTS);
    let warm_up = u64::from(LIFTS);
    traffic::flood(broker.addr(), &mut lifts, warm_up, 1);
    service.await_that("the warm-up is judged", POLL, |service| service.frames() == warm_up);
    await_stored(&service, store.as_deref(), warm_up);
    let (before, began) = (service.cpu(), Instant::now());
    let addr = broker.addr();
    let publisher = std::thread::spawn(move || traffic::flood(addr, &mut lifts, reports, frames));
    let all = warm_up + reports * frames;
    service.await_that("all is judged", POLL, |service| service.frames() == all);
    let taken = began.elapsed();
    await_stored(&service, store.as_deref(), all);
    let stored = began.elapsed();
    let cpu_us = (service.cpu() - before).as_secs_f64() * 1e6 / reports as f64;
    publisher.join().expect("the publisher did its work");
    let per_s = |took: Duration| reports as f64 / took.as_secs_f64();
    Figures { cpu_us, taken_per_s: per_s(taken), stored_per_s: Some(per_s(stored)) }
}

fn await_stored(service: &Service, store: Option<&str>, frames: u64) {
    let wanted = frames as i64;
    let Some(url) = store else {
        let file = service.folder().join("vigil.db");
        let database = rusqlite::Connection::open(file).expect("the service has made it");
        let count = || database.query_row("SELECT count(*) FROM frame", [], |row| row.get::<_, i64>(0));
        while count().expect("it can be read beside the writer") < wanted {
            std::thread::sleep(POLL);
        }
        return;
    };
    Runtime::new().expect("a runtime").block_on(async {
        let client = floor::connect(url).await;
        loop {
            let row = client.query_one("SELECT count(*) FROM frame", &[]).await.expect("it can be read");
            if row.get::<_, i64>(0) >= wanted {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    });
}

/// Ten frames a report, beside the same rows by a COPY and nothing else.
fn tenfold(postgres: &Postgres) {
    let runtime = Runtime::new().expect("a runtime");
    let (mut rounds, mut floors) = (Vec::new(), [Vec::new(), Vec::new()]);
    let batches = [10_000, 2_000];
    for _ in 0..ROUNDS {
        let url = postgres.database();
        rounds.push(ours(Some(url.clone()), TENFOLD, 10, false));
        let per_s = runtime.block_on(async {
            let client = floor::connect(&url).await;
            [floor::copy(&client, batches[0]).await, floor::copy(&client, batches[1]).await]
        });
        for (floor, per_s) in floors.iter_mut().zip(per_s) {
            floor.push(Figures { cpu_us: 0.0, taken_per_s: per_s, stored_per_s: Some(per_s) });
        }
    }
    let of = |rounds: &[Figures]| median(rounds, |figures| figures.stored_per_s.unwrap_or_default());
    for (batch, floor) in batches.iter().zip(&floors) {
        println!("{:48} {:>43.0} frames", format!("ten frames: bare COPY in batches of {batch}"), of(floor));
    }
    let (frames_per_s, floor) = (of(&rounds) * 10.0, of(&floors[0]));
    let cpu_us = median(&rounds, |figures| figures.cpu_us) / 10.0;
    println!(
        "{:48} {cpu_us:>9.2} a frame {frames_per_s:>25.0} frames: {:.2} of the first",
        "ten frames: vigil, PostgreSQL",
        frames_per_s / floor
    );
}

/// From PUBLISH to the event at a dispatch centre, while the rest of the city reports.
fn latency(postgres: &Postgres, highest_per_s: f64) {
    for percent in [0, 10, 50] {
        let broker = broker(false);
        let mut service = Service::start(broker.addr(), Some(postgres.database()));
        let mut lifts = Lifts::new(LIFTS);
        traffic::flood(broker.addr(), &mut lifts, u64::from(LIFTS), 1);
        service.await_that("the warm-up is judged", POLL, |service| service.frames() == u64::from(LIFTS));
        let per_s = highest_per_s * f64::from(percent) / 100.0;
        let (addr, grpc) = (broker.addr(), service.grpc());
        let (over, is_over) = channel();
        let probe = std::thread::spawn(move || latency::probe(addr, grpc, &is_over));
        let before = service.cpu();
        let sent = traffic::steady(addr, &mut lifts, per_s, LATENCY_LASTS);
        let cpu = service.cpu() - before;
        over.send(()).expect("the probe goes on until it is told");
        let latencies = probe.join().expect("every probe was answered");
        println!(
            "{:48} p50 {:.1} ms, p99 {:.1} ms of {} probes; CPU {:.1} % of a core, {:.2} µs a report",
            format!("PUBLISH to gRPC event at {percent} % ({per_s:.0}/s)"),
            latencies.percentile(50).as_secs_f64() * 1e3,
            latencies.percentile(99).as_secs_f64() * 1e3,
            latencies.len(),
            cpu.as_secs_f64() * 100.0 / LATENCY_LASTS.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / sent.max(1) as f64,
        );
    }
}
