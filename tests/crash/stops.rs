//! SIGTERM, and starts that are refused.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::books::{Books, outbox_next};
use crate::support::fleet::{Fleet, Plan, Published};
use crate::support::mosquitto::Mosquitto;
use crate::support::postgres::Postgres;
use crate::support::service::Service;
use crate::support::wait;

const PLAN: Plan = Plan { lifts: 200, boot: 1, reports_per_s: 2_400, last: Duration::from_secs(75) };
const DRAINS_WITHIN: Duration = Duration::from_secs(10);
const STORED_WITHIN: Duration = Duration::from_secs(30);
const REFUSED_WITHIN: Duration = Duration::from_secs(20);

fn terminate(service: &mut Service) {
    let (status, took) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status} after {took:?}:\n{}", service.log());
    println!("SIGTERM took {} ms", took.as_millis());
}

/// Some hundred reports that are like no others: the terminals have restarted since those of the round before.
fn publish(broker: &Mosquitto, round: u32) -> Published {
    let fleet = Fleet::start(broker.addr(), Plan { boot: 1 + 2 * round, ..PLAN });
    wait::until(fleet.began() + Duration::from_millis(200));
    let published = fleet.stop();
    assert!(published.acknowledged().count() > 100);
    published
}

/// Waits until the store has what was published.
fn await_stored(books: &Books, published: &[&Published]) {
    let acknowledged: usize = published.iter().map(|published| published.acknowledged().count()).sum();
    let stored = wait::is_soon(STORED_WITHIN, || books.stored() as usize >= acknowledged);
    assert!(stored, "{} of {acknowledged} reports are stored", books.stored());
}

/// Flow: a fleet reports 2,400 frames a second all the time. The service is told to end, once with the database there
/// and once without it, and started again each time.
/// Asserts: it ends within 10 s, in good order; with the database there, the store has all that the journals lead to;
/// in the end everything is stored once.
#[test]
fn sigterm_under_load_drains_within_ten_seconds() {
    let broker = Mosquitto::start(Default::default());
    let mut postgres = Postgres::start(true);
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    service.start_and_wait();
    let fleet = Fleet::start(broker.addr(), PLAN);

    wait::until(fleet.began() + Duration::from_secs(4));
    terminate(&mut service);
    let position = Books::open(&url).number("SELECT position FROM checkpoint");
    assert_eq!(position, outbox_next(service.data()), "the store lacks something that the journals led to");

    service.start_and_wait();
    postgres.stop_and_keep_data();
    wait::until(Instant::now() + Duration::from_secs(2));
    terminate(&mut service);
    postgres.restart();

    service.start_and_wait();
    let published = fleet.stop();
    let books = Books::open(&url);
    await_stored(&books, &[&published]);
    terminate(&mut service);
    books.load(&published);
    books.check_frames();
}

/// Flow: a service has filled its store and is ended. Then services are pointed to that store that it doesn't belong
/// to: one with new journals, one with journals of its own, one whose journals are an old copy. Each time reports wait
/// at the broker.
/// Asserts: each is refused, saying why and what to do; and none of the reports was acknowledged to the wrong journals:
/// the right one gets all of them.
#[test]
fn a_store_of_other_journals_is_refused() {
    let broker = Mosquitto::start(Default::default());
    let postgres = Postgres::start(false);
    let (url, other_url) = (postgres.database(), postgres.database());
    let books = Books::open(&url);
    let mut service = Service::prepare(broker.addr(), &url);

    // As long as nobody subscribes, the broker keeps nothing.
    service.start_and_wait();
    let mut published = vec![publish(&broker, 0)];
    await_stored(&books, &published.iter().collect::<Vec<_>>());
    terminate(&mut service);
    let mut old_copy = Service::prepare(broker.addr(), &url);
    let copied = Command::new("cp").arg("-r").arg(service.data()).arg(old_copy.data()).status().expect("cp runs");
    assert!(copied.success());
    service.start_and_wait();
    published.push(publish(&broker, 1));
    await_stored(&books, &published.iter().collect::<Vec<_>>());
    terminate(&mut service);
    let mut new = Service::prepare(broker.addr(), &url);
    let mut other = Service::prepare(broker.addr(), &other_url);
    other.start_and_wait();
    terminate(&mut other);
    other.configure(broker.addr(), &url);

    for (n, wrong, why) in [
        (2, &mut new, "the database follows the journal"),
        (3, &mut other, "the database follows the journal"),
        (4, &mut old_copy, "and the outbox ends at"),
    ] {
        published.push(publish(&broker, n));
        wrong.start();
        let (status, said) =
            wrong.ends_within(REFUSED_WITHIN).unwrap_or_else(|| panic!("{n}: it runs:\n{}", wrong.log()));
        assert!(!status.success(), "{n}: {said}");
        for words in [why, "`vigil recover`"] {
            assert_eq!(said.matches(words).count(), 1, "{n}: {words:?} should be said once:\n{said}");
        }
    }
    service.start_and_wait();
    await_stored(&books, &published.iter().collect::<Vec<_>>());
    terminate(&mut service);
    for published in published {
        books.load(&published);
    }
    books.check_frames();
}

/// Starts a service that doesn't know the database, which is away, and waits until it has left the broker again.
fn start_in_doubt(service: &mut Service) {
    service.start();
    let said = "the broker keeps what devices send until the store has answered";
    let left = wait::is_soon(REFUSED_WITHIN, || service.log().contains(said));
    assert!(left, "it doesn't wait for the database:\n{}", service.log());
    let (ready, log) = (service.page("/readyz"), service.log());
    for text in [&ready, &log] {
        assert!(text.contains("vigil recover --without-store"), "it doesn't say what to do:\n{ready}\n{log}");
    }
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert_eq!(service.metric("vigil_ingest_acknowledged_total"), 0.0);
    assert_eq!(service.metric("vigil_items_total{what=\"newer\"}"), 0.0);
}

/// Flow: a service has filled its store and is ended; the database goes away, and reports wait at the broker. Services
/// start that the database would refuse: one with new journals, and one with an old copy, until the database is back. Then
/// it goes away once more, and the right service starts.
/// Asserts: the wrong ones acknowledge nothing and say why, the copy is refused once the database answers; the right
/// one takes all reports without waiting for the database, and in the end each is stored once.
#[test]
fn without_the_database_only_journals_that_have_met_it_take_reports() {
    let broker = Mosquitto::start(Default::default());
    let mut postgres = Postgres::start(true);
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    service.start_and_wait();
    let mut published = vec![publish(&broker, 0)];
    await_stored(&Books::open(&url), &published.iter().collect::<Vec<_>>());
    terminate(&mut service);
    let (mut new, mut old_copy) = (Service::prepare(broker.addr(), &url), Service::prepare(broker.addr(), &url));
    let copied = Command::new("cp").arg("-a").arg(service.data()).arg(old_copy.data()).status().expect("cp runs");
    assert!(copied.success());
    service.start_and_wait();
    published.push(publish(&broker, 1));
    await_stored(&Books::open(&url), &published.iter().collect::<Vec<_>>());
    terminate(&mut service);

    postgres.stop_and_keep_data();
    published.push(publish(&broker, 2));
    start_in_doubt(&mut new);
    terminate(&mut new);
    start_in_doubt(&mut old_copy);
    postgres.restart();
    let refused = old_copy.ends_within(REFUSED_WITHIN);
    let (status, said) = refused.unwrap_or_else(|| panic!("it runs:\n{}", old_copy.log()));
    assert!(!status.success() && said.contains("and the outbox ends at"), "{status}:\n{said}");

    postgres.stop_and_keep_data();
    service.start_and_wait();
    let waiting = published[2].acknowledged().count() as u64;
    let taken = || service.metric("vigil_items_total{what=\"newer\"}");
    assert!(wait::is_soon(STORED_WITHIN, || taken() >= waiting as f64), "{} of {waiting} were taken", taken());
    postgres.restart();
    let books = Books::open(&url);
    await_stored(&books, &published.iter().collect::<Vec<_>>());
    terminate(&mut service);
    for published in published {
        books.load(&published);
    }
    books.check_frames();
}

/// Flow: a new service starts while the new database can't be reached. Devices report. Then the database comes.
/// Asserts: until then nothing is acknowledged; from the first subscription on nothing is lost.
#[test]
fn a_first_start_without_the_database_waits_for_it() {
    let broker = Mosquitto::start(Default::default());
    let mut postgres = Postgres::start(true);
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    postgres.stop_and_keep_data();
    start_in_doubt(&mut service);
    let published = publish(&broker, 0);
    assert!(!service.is_ready());
    postgres.restart();
    assert!(wait::is_soon(STORED_WITHIN, || service.is_ready()), "it doesn't get ready:\n{}", service.log());
    let books = Books::open(&url);
    await_stored(&books, &[&published]);
    terminate(&mut service);
    books.load(&published);
    books.check_frames();
}
