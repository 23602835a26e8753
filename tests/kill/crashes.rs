//! SIGKILL at any moment.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::books::{Alerts, Books, reports_in_inbox};
use crate::support::fleet::{Fleet, Plan};
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::postgres::Postgres;
use crate::support::service::Service;
use crate::support::wait;
use crate::support::watcher::Watcher;

const KILLS: u32 = 20;
/// PostgreSQL is away from before the first of these kills until after the last.
const AWAY: std::ops::RangeInclusive<u32> = 7..=10;
/// PostgreSQL crashes with this kill of the service.
const BOTH: u32 = 15;
const PLAN: Plan = Plan { lifts: 1_000, boot: 1, reports_per_s: 2_400, last: Duration::from_secs(75) };
const REPORTS_PER_S_MIN: f64 = 2_000.0;
/// A clear is held for 5 s in which it is known to be true, and it isn't while the lift runs.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// Also for what has piled up while the database was away, on a busy machine.
const STORED_WITHIN: Duration = Duration::from_secs(60);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

/// Flow: a fleet reports ≥ 2,000 frames a second, some of them of trapped people. The service is killed 20 times at
/// random moments, a quarter of them while it still starts. In the midst PostgreSQL is stopped, so that the service is
/// killed and started without it; later both crash together. The fleet's own connection breaks every few seconds,
/// so that it sends some again.
/// Asserts: whatever the broker acknowledged is stored once, as it was sent. Every trouble has led to exactly one alert,
/// and nothing else has. Somebody who watches by cursor saw every event once, in order, and the same as the store
/// has; also while the database was away. The journals replay without a difference.
#[test]
fn twenty_kills_lose_nothing_and_double_nothing() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock_seed);
    println!("seed {seed}: KILL_SEED={seed} draws the same moments again");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut figures = Figures::default();

    let broker = Mosquitto::start(Settings { max_inflight: 2_000, ..Settings::default() });
    let mut postgres = Postgres::start(true);
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    figures.first_start = service.start_and_wait();
    let watcher = Watcher::start(service.grpc());
    let fleet = Fleet::start(broker.addr(), PLAN);

    let mut away = None;
    for kill in 1..=KILLS {
        // Every fourth kill comes while the service still starts, or just after.
        let spare_ms = if kill % 4 == 0 { 20 + random.next_u64() % 500 } else { 1_000 + random.next_u64() % 4_000 };
        let spare = Duration::from_millis(spare_ms);
        if kill % 4 == 0 {
            wait::until(Instant::now() + spare);
            service.kill();
            service.start();
            figures.kills_while_starting += 1;
        } else {
            wait::until(Instant::now() + spare);
            service.kill();
            figures.recoveries.push(service.start_and_wait());
        }
        figures.kills += 1;
        assert!(fleet.is_working(), "the fleet has ended before its time");
        if kill + 1 == *AWAY.start() {
            postgres.stop_and_keep_data();
            away = Some(Instant::now());
        }
        if kill == *AWAY.end() {
            postgres.restart();
            figures.outages.extend(away.take().map(|since| (since, Instant::now())));
        }
        if kill == BOTH {
            let since = Instant::now();
            postgres.kill();
            postgres.restart();
            figures.outages.push((since, Instant::now()));
        }
    }
    wait::until(fleet.began() + PLAN.last);
    let books = Books::open(&url);
    let settled = wait::is_soon(SETTLES_WITHIN, || books.open_alerts().is_empty());
    assert!(settled, "still open on lifts that report that all is well:\n{}", books.stories(&books.open_alerts()));
    let published = fleet.stop();

    let acknowledged = published.acknowledged().count() as i64;
    let all_stored = wait::is_soon(STORED_WITHIN, || books.stored() >= acknowledged);
    println!("{} of {acknowledged} stored, all: {all_stored}", books.stored());
    let (status, drained_in) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    let watched = watcher.stop();

    figures.published = published.sent.len();
    figures.sent_again = published.again;
    figures.acknowledged = acknowledged;
    figures.replayed_max = replayed(&service.logs()).max().unwrap_or_default();
    figures.taken = reports_in_inbox(service.data());
    figures.load = published.took;
    figures.stored = books.stored();
    figures.events = watched.seen.len();
    figures.streams = watched.streams;
    figures.drained_in = drained_in;
    figures.streams_while_away = {
        let (from, to) = figures.outages[0];
        let seen = watched.seen.iter().filter(|seen| (from..to).contains(&seen.at));
        seen.map(|seen| seen.stream).collect::<BTreeSet<_>>().len()
    };
    figures.events_while_away = figures
        .outages
        .iter()
        .map(|(from, to)| watched.seen.iter().filter(|seen| (*from..*to).contains(&seen.at)).count())
        .collect();
    println!("{figures}");

    books.load(&published);
    books.check_frames();
    assert_eq!(watched.faults, Vec::<String>::new());
    let (alerts, wanted) = (books.alerts(), PLAN.alerts());
    let differs = |of: &Alerts, to: &Alerts| {
        let differing: Vec<String> =
            of.iter().filter(|(key, n)| to.get(*key) != Some(*n)).map(|(key, _)| key.0.clone()).collect();
        differing
    };
    let wrong = [differs(&alerts, &wanted), differs(&wanted, &alerts)].concat();
    assert!(wrong.is_empty(), "{} alerts are too many or too few:\n{}", wrong.len(), books.stories(&wrong));
    assert_eq!(books.open_alerts(), Vec::<String>::new());
    assert_eq!(books.number("SELECT count(*) FROM alert WHERE rule IN ('record-skipped', 'broker-drops')"), 0);
    for table in ["reject", "set_aside"] {
        assert_eq!(books.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    books.check_events(&watched);
    figures.check();

    service.start_and_wait();
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
}

/// How many records each start replayed, as the log tells.
fn replayed(logs: &str) -> impl Iterator<Item = i64> {
    let lines = logs.lines().filter_map(|line| line.split_once("replayed the inbox records="));
    lines.filter_map(|(_, rest)| rest.split(' ').next()?.parse().ok())
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64 % 1_000_000)
}

#[derive(Default)]
struct Figures {
    first_start: Duration,
    kills: u32,
    kills_while_starting: u32,
    recoveries: Vec<Duration>,
    outages: Vec<(Instant, Instant)>,
    events_while_away: Vec<usize>,
    /// On how many streams, each of another run of the service.
    streams_while_away: usize,
    load: Duration,
    published: usize,
    sent_again: u64,
    taken: i64,
    /// The most records of the inbox that one start had to judge again.
    replayed_max: i64,
    acknowledged: i64,
    stored: i64,
    events: usize,
    streams: u32,
    drained_in: Duration,
}

impl Figures {
    fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.load.as_secs_f64()
    }

    /// A crash test in which nothing happened would show nothing.
    fn check(&self) {
        assert!(self.kills >= KILLS);
        assert!(self.rate() >= REPORTS_PER_S_MIN, "only {:.0} reports/s: is the machine busy?", self.rate());
        assert!(self.sent_again > 0 && self.taken > self.stored, "nothing came twice");
        // Snapshots are written also when no run of the service lasts until one is due.
        assert!((1..self.taken / 2).contains(&self.replayed_max), "a start replayed {} records", self.replayed_max);
        assert_eq!(self.outages.len(), 2);
        let (from, to) = self.outages[0];
        assert!(to - from >= Duration::from_secs(5), "the database was away for {:?} only", to - from);
        assert!(
            self.streams_while_away > 1,
            "no event came while the database was away from a service that had started without it"
        );
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |span: &Duration| span.as_millis();
        let mut recoveries: Vec<u128> = self.recoveries.iter().map(ms).collect();
        recoveries.sort_unstable();
        writeln!(
            f,
            "{} kills, {} of them while it started; a start took {} ms at first, then {recoveries:?} ms",
            self.kills,
            self.kills_while_starting,
            ms(&self.first_start)
        )?;
        let outages: Vec<u128> = self.outages.iter().map(|(from, to)| (*to - *from).as_millis()).collect();
        writeln!(
            f,
            "PostgreSQL was away for {outages:?} ms, during which {:?} events were seen",
            self.events_while_away
        )?;
        writeln!(
            f,
            "{} reports in {:.0} s, {} sent again; {} acknowledged ({:.0}/s), {} stored",
            self.published,
            self.load.as_secs_f64(),
            self.sent_again,
            self.acknowledged,
            self.rate(),
            self.stored
        )?;
        writeln!(
            f,
            "{} reports taken, {} of them repeats; a start replayed {} records at most",
            self.taken,
            self.taken - self.stored,
            self.replayed_max
        )?;
        write!(f, "{} events seen on {} streams; SIGTERM took {} ms", self.events, self.streams, ms(&self.drained_in))
    }
}
