//! The whole service beside a subscriber that only acknowledges, and beside a COPY of the same rows.
//!
//! The contestants take turns, each with a broker of its own, and the median of the rounds counts. CPU is that of the
//! contestant's process, all threads, until the last row is in the store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::bare::{self, Subscriber};
use crate::load::Lifts;
use crate::measure::{ProcessCpu, median, us};
use crate::service::Service;
use crate::table::{Budget, Table};
use crate::{Bench, LIFTS, traffic};

pub const POLL: Duration = Duration::from_millis(50);
const WARM_UP: u64 = LIFTS as u64;

#[derive(Clone, Copy, PartialEq)]
enum Contestant {
    Bare,
    Postgres,
    Sqlite,
}

/// What one round of one contestant came to.
struct Figures {
    cpu_us: f64,
    taken_per_s: f64,
    stored_per_s: f64,
}

pub fn measure(bench: &Bench, table: &mut Table) {
    single(bench, table, false);
    if !bench.quick {
        single(bench, table, true);
    }
    tenfold(bench, table);
}

impl Bench {
    /// Reports that the service takes in a second at most.
    pub fn highest_per_s(&self) -> f64 {
        *self.highest_per_s.get_or_init(|| {
            eprintln!("  looking for the highest rate");
            ours(self, Contestant::Postgres, Load { reports: 100_000, frames: 1, on_disk: false }).0.taken_per_s
        })
    }
}

/// What is sent, to a broker that keeps its own data on disk or doesn't.
#[derive(Clone, Copy)]
struct Load {
    reports: u64,
    frames: u64,
    on_disk: bool,
}

fn single(bench: &Bench, table: &mut Table, on_disk: bool) {
    use Contestant::{Bare, Postgres, Sqlite};
    let load = Load { reports: bench.quicker(150_000, 60_000), frames: 1, on_disk };
    let contestants = [("bare", Bare), ("PostgreSQL", Postgres), ("SQLite", Sqlite)];
    let mut rounds: [Vec<Figures>; 3] = Default::default();
    let mut threads = BTreeMap::new();
    for _ in 0..bench.quicker(3, 1) {
        for ((_, contestant), rounds) in contestants.iter().zip(&mut rounds) {
            rounds.push(match contestant {
                Bare => bare(bench, load),
                Postgres | Sqlite => {
                    let (figures, by_name) = ours(bench, *contestant, load);
                    if *contestant == Postgres {
                        threads = by_name;
                    }
                    figures
                }
            });
        }
    }
    let of = |rounds: &[Figures], figure: fn(&Figures) -> f64| median(rounds.iter().map(figure));
    let disk = if on_disk { ", broker on disk" } else { "" };
    for ((name, _), ours) in contestants.iter().zip(&rounds).skip(1) {
        let cpu_us = |figures: &Figures| figures.cpu_us;
        table
            .row(format!("single frames, {name}{disk}: CPU a report"), "µs", of(ours, cpu_us))
            .floor(of(&rounds[0], cpu_us))
            .budget(Budget::RatioAtMost(2.5));
        let taken = |figures: &Figures| figures.taken_per_s;
        table
            .row(format!("single frames, {name}{disk}: taken"), "/s", of(ours, taken))
            .floor(of(&rounds[0], taken))
            .budget(Budget::RatioAtLeast(0.8));
        let stored = of(ours, |figures| figures.stored_per_s);
        table.row(format!("single frames, {name}{disk}: stored"), "/s", stored).floor(of(&rounds[0], taken));
    }
    if !on_disk {
        let of_a_report = |(name, cpu): (&String, &Duration)| format!("{name} {:.2}", us(*cpu) / load.reports as f64);
        let threads: Vec<String> = threads.iter().map(of_a_report).collect();
        table.note(format!("µs a report by threads, PostgreSQL, last round: {}", threads.join(", ")));
        if !bench.quick {
            // The other parts load it by this.
            let _known_already = bench.highest_per_s.set(of(&rounds[1], |figures| figures.taken_per_s));
        }
    }
}

fn bare(bench: &Bench, load: Load) -> Figures {
    let broker = bench.broker(load.on_disk);
    let addr = broker.addr();
    let mut lifts = Lifts::new(LIFTS);
    let mut subscriber = Subscriber::start(addr, WARM_UP);
    traffic::flood(addr, &mut lifts, WARM_UP, 1);
    subscriber.wait_until_taken();
    drop(subscriber);
    let mut subscriber = Subscriber::start(addr, load.reports);
    let mut cpu = subscriber.cpu();
    let (before, began) = (cpu.look(), Instant::now());
    let publisher = std::thread::spawn(move || traffic::flood(addr, &mut lifts, load.reports, load.frames));
    subscriber.wait_until_taken();
    let per_s = load.reports as f64 / began.elapsed().as_secs_f64();
    let cpu_us = us(cpu.look() - before) / load.reports as f64;
    publisher.join().expect("the publisher did its work");
    Figures { cpu_us, taken_per_s: per_s, stored_per_s: per_s }
}

/// One round of the service, until the last row is stored; and what its threads used.
fn ours(bench: &Bench, contestant: Contestant, load: Load) -> (Figures, BTreeMap<String, Duration>) {
    let store = (contestant == Contestant::Postgres).then(|| bench.postgres().database());
    ours_into(bench, store.as_deref(), load)
}

fn ours_into(bench: &Bench, store: Option<&str>, load: Load) -> (Figures, BTreeMap<String, Duration>) {
    let broker = bench.broker(load.on_disk);
    let mut service = Service::start(broker.addr(), store);
    let mut lifts = Lifts::new(LIFTS);
    traffic::flood(broker.addr(), &mut lifts, WARM_UP, 1);
    service.await_that("the warm-up is judged", POLL, |service| service.frames() == WARM_UP);
    await_stored(&service, store, WARM_UP, WARM_UP);
    let mut cpu = service.cpu();
    let (before, threads_before, began) = (cpu.look(), cpu.by_name(), Instant::now());
    let addr = broker.addr();
    let publisher = std::thread::spawn(move || traffic::flood(addr, &mut lifts, load.reports, load.frames));
    let all = WARM_UP + load.reports * load.frames;
    service.await_that("all is judged", POLL, |service| service.frames() == all);
    let taken = began.elapsed();
    cpu.look();
    await_stored(&service, store, WARM_UP + load.reports, all);
    let stored = began.elapsed();
    let cpu_us = us(cpu.look() - before) / load.reports as f64;
    publisher.join().expect("the publisher did its work");
    let per_s = |took: Duration| load.reports as f64 / took.as_secs_f64();
    let figures = Figures { cpu_us, taken_per_s: per_s(taken), stored_per_s: per_s(stored) };
    (figures, since(&threads_before, &cpu))
}

fn since(before: &BTreeMap<String, Duration>, cpu: &ProcessCpu) -> BTreeMap<String, Duration> {
    let grown = |(name, cpu): (String, Duration)| {
        let before = before.get(&name).copied().unwrap_or_default();
        (name, cpu.saturating_sub(before))
    };
    cpu.by_name().into_iter().map(grown).collect()
}

/// Waits until the store has `reports`, each an entry of the outbox, and the frames in them. Rows are counted only when
/// the store says that it is nearly there: counting costs the database as much as storing.
pub fn await_stored(service: &Service, store: Option<&str>, reports: u64, frames: u64) {
    let (reports, frames) = (reports as i64, frames as i64);
    const POSITION: &str = "SELECT coalesce(max(position), 0) FROM checkpoint";
    let Some(url) = store else {
        let database = rusqlite::Connection::open(service.sqlite()).expect("the service has made it");
        let ask = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("it can be read");
        while ask(POSITION) < reports || ask("SELECT coalesce(max(id), 0) FROM frame") < frames {
            std::thread::sleep(POLL);
        }
        return;
    };
    Runtime::new().expect("a runtime").block_on(async {
        let client = bare::connect(url).await;
        let ask = async |sql: &str| client.query_one(sql, &[]).await.expect("it can be read").get::<_, i64>(0);
        while ask(POSITION).await < reports || ask("SELECT count(*) FROM frame").await < frames {
            tokio::time::sleep(POLL).await;
        }
    });
}

/// Ten frames a report, beside the same rows by a COPY and nothing else.
fn tenfold(bench: &Bench, table: &mut Table) {
    let runtime = Runtime::new().expect("a runtime");
    let load = Load { reports: bench.quicker(40_000, 10_000), frames: 10, on_disk: false };
    let (mut rounds, mut floors, mut sqlite) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.quicker(3, 1) {
        let url = bench.postgres().database();
        rounds.push(ours_into(bench, Some(&url), load).0);
        floors.push(runtime.block_on(async { bare::copy(&bare::connect(&url).await, 10_000).await }));
        sqlite.push(ours(bench, Contestant::Sqlite, load).0);
    }
    let floor_per_s = median(floors);
    for (name, rounds) in [("PostgreSQL", &rounds), ("SQLite", &sqlite)] {
        let stored_per_s = median(rounds.iter().map(|figures| figures.stored_per_s * 10.0));
        let row = table.row(format!("ten frames a report, {name}: stored"), "frames/s", stored_per_s);
        if name == "PostgreSQL" {
            row.floor(floor_per_s).budget(Budget::RatioAtLeast(0.8));
        }
        let cpu_us = median(rounds.iter().map(|figures| figures.cpu_us / 10.0));
        table.row(format!("ten frames a report, {name}: CPU a frame"), "µs", cpu_us);
    }
}
