//! The database away for long, while all else goes on.

use std::time::{Duration, Instant};

use crate::books::Books;
use crate::support::fleet::{Fleet, Plan};
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::postgres::Postgres;
use crate::support::service::Service;
use crate::support::wait;
use crate::support::watcher::Watcher;

/// A city of 25,000 lifts, each with a frame a minute, for ten minutes: a quarter of a million reports.
const BACKLOG_OF_TEN_MINUTES: usize = 250_000;
const AWAY: Duration = Duration::from_secs(50);
const PLAN: Plan = Plan { lifts: 1_000, boot: 1, reports_per_s: 5_000, last: Duration::from_secs(58) };
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
const STORED_WITHIN: Duration = Duration::from_secs(120);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);
const MEMORY_MIB_MAX: u64 = 400;

/// Flow: the database is away while a fleet reports what a city does in ten minutes, ten times as fast.
/// Asserts: alerts go on meanwhile; somebody who watches sees every one; `store-behind` is told; once the database is
/// back, it gets all of it once, in order; memory doesn't grow with the backlog.
#[test]
fn a_database_that_is_away_costs_no_alert_and_no_memory() {
    let broker = Mosquitto::start(Settings { max_inflight: 2_000, ..Settings::default() });
    let mut postgres = Postgres::start(false);
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    service.start_and_wait();
    let watcher = Watcher::start(service.grpc());
    let fleet = Fleet::start(broker.addr(), PLAN);
    let stored_of = |books: &Books| books.number("SELECT position FROM checkpoint");

    let books = Books::open(&url);
    wait::is_soon(DRAINS_WITHIN, || books.stored() > 0);
    drop(books);
    postgres.stop_and_keep_data();
    let away = Instant::now();
    let before = service.memory();
    wait::until(away + AWAY * crate::longer());
    let after = service.memory();
    let taken = service.metric("vigil_items_total{what=\"newer\"}") as usize;
    postgres.restart();
    let back = Instant::now();
    let books = Books::open(&url);
    let (from, mut position) = (stored_of(&books), 0);
    // Each look finds more than the one before, and no frame without those that came earlier.
    let behind = wait::is_soon(STORED_WITHIN, || {
        let now = stored_of(&books);
        assert!(now >= position, "the store went back from {position} to {now}");
        position = now;
        books.stored() as usize >= taken
    });
    assert!(behind, "{} of {taken} frames are stored:\n{}", books.stored(), service.log());
    let drained_in = back.elapsed();
    wait::until(fleet.began() + PLAN.last);
    books.await_settled(&PLAN, SETTLES_WITHIN);
    let published = fleet.stop();
    books.await_stored(&published, STORED_WITHIN);
    // An event of the very end would be stored, and nobody would be there to be told.
    let is_over = || service.metric("vigil_alert_transitions_total{rule=\"store-behind\",kind=\"cleared\"") == 1.0;
    assert!(wait::is_soon(SETTLES_WITHIN, is_over), "the store stays behind:\n{}", service.log());
    let memory = service.memory();
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    let watched = watcher.stop();

    let told_while_away = watched.seen.iter().filter(|seen| (away..back).contains(&seen.at)).count();
    let backlog = taken.saturating_sub(from as usize);
    println!(
        "PostgreSQL was away for {} s; {told_while_away} events meanwhile; {backlog} frames waited and were stored within \
         {} ms: {:.0}/s; memory went from {} to {} MiB meanwhile, {} MiB at most",
        away.elapsed().as_secs() - back.elapsed().as_secs(),
        drained_in.as_millis(),
        backlog as f64 / drained_in.as_secs_f64(),
        before.now_mib,
        after.now_mib,
        memory.peak_mib,
    );
    books.load(&published);
    books.check_frames();
    books.check_alerts(&PLAN, &watched);
    books.check_order();
    let rules: Vec<&str> =
        watched.seen.iter().filter_map(|seen| seen.event.alert.as_ref()).map(|alert| alert.rule.as_str()).collect();
    assert!(rules.contains(&"store-behind"), "nobody was told that the store is behind");
    assert!(told_while_away > 20, "{told_while_away} events");
    assert!(taken > BACKLOG_OF_TEN_MINUTES * 3 / 4, "only {taken} frames: is the machine busy?");
    assert!(memory.peak_mib <= MEMORY_MIB_MAX, "{memory:?}");
}
