//! SIGKILL of all three: broker, database and service, one at a time and together.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rustix::process::{Signal, kill_process};

use crate::books::{Books, as_acknowledged_by_the_service, number_of};
use crate::support::fleet::{Fleet, Plan};
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::service::Service;
use crate::support::wait;
use crate::support::watcher::Watcher;

const ROUNDS: u32 = 10;
const PLAN: Plan = Plan { lifts: 500, boot: 1, reports_per_s: 1_000, last: Duration::from_secs(60) };
const STORED_WITHIN: Duration = Duration::from_secs(60);
const CONNECTED_WITHIN: Duration = Duration::from_secs(30);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);
const MEMORY_MIB_MAX: u64 = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Broker,
    /// The process of the server that serves the service: the server then restarts by itself.
    Backend,
    Database,
    Service,
    BrokerAndService,
    All,
}

const VICTIMS: [Victim; 6] =
    [Victim::Broker, Victim::Backend, Victim::Database, Victim::Service, Victim::BrokerAndService, Victim::All];

/// Flow: a fleet reports 1,000 frames a second. Every two seconds or so one of broker, database, a process of the
/// database and service is killed, or several, and started again. The broker saves its state once a second, so
/// that it comes back with less than it had, and with some that the service had acknowledged.
/// Asserts: every report that the service acknowledged, as the wire between it and the broker shows, is stored once, as
/// it was sent; nothing else is stored. Acknowledgements came in order, each on the connection of its report.
/// Somebody who watches by cursor saw every event once, and the same as the store has.
#[test]
fn killed_in_turn_they_lose_nothing_that_the_service_acknowledged() {
    let mut random = ChaCha8Rng::seed_from_u64(crate::seed());
    let extra = "autosave_interval 1\n".to_owned();
    let mut broker = Mosquitto::start(Settings { max_inflight: 500, extra, ..Settings::default() });
    let mut postgres = Postgres::start(true);
    let url = postgres.database();
    let proxy = Proxy::start(broker.addr(), number_of);
    let mut service = Service::prepare(proxy.addr(), &url);
    service.start_and_wait();
    let watcher = Watcher::start(service.grpc());
    let fleet = Fleet::start(broker.addr(), PLAN);

    let (mut connected_ms, mut peak_mib) = (Vec::new(), 0);
    let mut draw = Vec::new();
    // Journals that have never met their store say so, as an error, while it is away.
    assert!(wait::is_soon(STORED_WITHIN, || Books::open(&url).stored() > 0), "nothing is stored:\n{}", service.log());
    for _ in 0..ROUNDS * crate::longer() {
        wait::until(Instant::now() + Duration::from_millis(800 + random.next_u64() % 1_500));
        if draw.is_empty() {
            draw = VICTIMS.to_vec();
        }
        let victim = draw.swap_remove(random.next_u64() as usize % draw.len());
        peak_mib = peak_mib.max(service.memory().peak_mib);
        let began = Instant::now();
        kill(victim, &mut broker, &mut postgres, &mut service, &url);
        let connected = wait::is_soon(CONNECTED_WITHIN, || service.metric("vigil_mqtt_connected") == 1.0);
        assert!(connected, "{victim:?}: no connection again:\n{}", service.log());
        connected_ms.push((victim, began.elapsed().as_millis()));
    }
    let mut published = fleet.stop();
    let by_broker = published.acknowledged().count();
    // What the broker still has for the service has come when a marker sent after it has.
    let books = Books::open(&url);
    let settled = || proxy.heard().acknowledged.len() as i64 == books.stored();
    wait::is_soon(STORED_WITHIN, settled);
    peak_mib = peak_mib.max(service.memory().peak_mib);
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    let watched = watcher.stop();

    let heard = proxy.heard();
    as_acknowledged_by_the_service(&mut published, &heard);
    let acknowledged = published.acknowledged().count();
    connected_ms.sort_unstable();
    println!("killed, and ms until a session with the broker was up again: {connected_ms:?}");
    println!(
        "{} reports, {} sent again by the fleet; the broker took {by_broker} and forgot {}; the service was given {} on \
         {} connections and acknowledged {acknowledged}; {} are stored; {peak_mib} MiB at most",
        published.sent.len(),
        published.again,
        by_broker.saturating_sub(acknowledged),
        heard.delivered,
        heard.connections,
        books.stored(),
    );
    books.load(&published);
    books.check_frames();
    assert_eq!(watched.faults, Vec::<String>::new());
    books.check_events(&watched);
    assert!(acknowledged * 10 > published.sent.len() * 8, "too little came through to show anything");
    assert!(heard.delivered > acknowledged as u64, "nothing came twice");
    assert!(peak_mib <= MEMORY_MIB_MAX, "{peak_mib} MiB");
    let logs = service.logs();
    let errors: Vec<&str> = logs.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert_eq!(errors, Vec::<&str>::new());
}

fn kill(victim: Victim, broker: &mut Mosquitto, postgres: &mut Postgres, service: &mut Service, url: &str) {
    use Victim::{All, Backend, Broker, BrokerAndService, Database};
    match victim {
        Backend => {
            // There is none while the service hasn't stored anything since the last kill.
            if let Some(backend) = Books::open(url).backend() {
                let _gone = kill_process(backend, Signal::KILL);
            }
            return;
        }
        Broker => broker.kill(),
        Database => postgres.kill(),
        Victim::Service => service.kill(),
        BrokerAndService => {
            broker.kill();
            service.kill();
        }
        All => {
            broker.kill();
            postgres.kill();
            service.kill();
        }
    }
    if matches!(victim, Broker | BrokerAndService | All) {
        broker.start_again();
    }
    if matches!(victim, Victim::Service | BrokerAndService | All) {
        service.start();
    }
    if matches!(victim, Database | All) {
        postgres.restart();
    }
}
