//! SIGKILL at any moment.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::books::{Books, reports_in_inbox};
use crate::support::fleet::{Fleet, Plan, Published};
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::postgres::Postgres;
use crate::support::service::Service;
use crate::support::wait;
use crate::support::watcher::{Watched, Watcher};

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
    let broker = Mosquitto::start(Settings { max_inflight: 2_000, ..Settings::default() });
    let mut postgres = Postgres::start(true);
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    let mut figures = Figures { first_start: service.start_and_wait(), ..Figures::default() };
    let watcher = Watcher::start(service.grpc());
    let fleet = Fleet::start(broker.addr(), PLAN);

    let mut random = ChaCha8Rng::seed_from_u64(crate::seed());
    for kill in 1..=KILLS {
        kill_once(kill, &mut random, &mut service, &mut figures);
        assert!(fleet.is_working(), "the fleet has ended before its time");
        trouble_database(kill, &mut postgres, &mut figures);
    }
    wait::until(fleet.began() + PLAN.last);
    let books = Books::open(&url);
    books.await_settled(&PLAN, SETTLES_WITHIN);
    let published = fleet.stop();
    let acknowledged = published.acknowledged().count() as i64;
    // Should they never come, the comparison says which.
    wait::is_soon(STORED_WITHIN, || books.stored() >= acknowledged);
    let (status, drained_in) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    let watched = watcher.stop();

    figures.drained_in = drained_in;
    figures.count(&published, &watched, &books, &service);
    println!("{figures}");
    books.load(&published);
    books.check_frames();
    books.check_alerts(&PLAN, &watched);
    figures.check();
    let logs = service.logs();
    let errors: Vec<&str> = logs.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert_eq!(errors, Vec::<&str>::new());

    service.start_and_wait();
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
}

/// Every fourth kill comes while the service still starts, or just after.
fn kill_once(kill: u32, random: &mut ChaCha8Rng, service: &mut Service, figures: &mut Figures) {
    let is_early = kill.is_multiple_of(4);
    let spare_ms = if is_early { 5 + random.next_u64() % 150 } else { 1_000 + random.next_u64() % 4_000 };
    wait::until(Instant::now() + Duration::from_millis(spare_ms));
    figures.kills += 1;
    figures.kills_while_starting += u32::from(is_early && !service.is_ready());
    service.kill();
    if (kill + 1).is_multiple_of(4) {
        service.start();
    } else {
        figures.recoveries.push(service.start_and_wait());
    }
}

fn trouble_database(after_kill: u32, postgres: &mut Postgres, figures: &mut Figures) {
    if after_kill + 1 == *AWAY.start() {
        postgres.stop_and_keep_data();
        figures.away_since = Some(Instant::now());
    }
    if after_kill == BOTH {
        figures.away_since = Some(Instant::now());
        postgres.kill();
    }
    if after_kill == *AWAY.end() || after_kill == BOTH {
        postgres.restart();
        figures.outages.extend(figures.away_since.take().map(|since| since..Instant::now()));
    }
}

/// How many records each start replayed, as the log tells.
fn replayed(logs: &str) -> impl Iterator<Item = i64> {
    let lines = logs.lines().filter_map(|line| line.split_once("replayed the inbox records="));
    lines.filter_map(|(_, rest)| rest.split(' ').next()?.parse().ok())
}

#[derive(Default)]
struct Figures {
    first_start: Duration,
    kills: u32,
    kills_while_starting: u32,
    recoveries: Vec<Duration>,
    away_since: Option<Instant>,
    outages: Vec<Range<Instant>>,
    events_while_away: Vec<usize>,
    /// During the first outage, on how many streams: each is of another run of the service.
    streams_while_away: usize,
    load: Duration,
    published: usize,
    sent_again: u64,
    broken: u64,
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
    fn count(&mut self, published: &Published, watched: &Watched, books: &Books, service: &Service) {
        self.load = published.took;
        self.published = published.sent.len();
        self.sent_again = published.again;
        self.broken = published.broken;
        self.acknowledged = published.acknowledged().count() as i64;
        self.taken = reports_in_inbox(service.data());
        self.replayed_max = replayed(&service.logs()).max().unwrap_or_default();
        self.stored = books.stored();
        self.events = watched.seen.len();
        self.streams = watched.streams;
        let seen_in = |outage: &Range<Instant>| -> Vec<u32> {
            watched.seen.iter().filter(|seen| outage.contains(&seen.at)).map(|seen| seen.stream).collect()
        };
        let streams: Vec<Vec<u32>> = self.outages.iter().map(seen_in).collect();
        self.events_while_away = streams.iter().map(Vec::len).collect();
        self.streams_while_away = streams[0].iter().collect::<BTreeSet<_>>().len();
    }

    fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.load.as_secs_f64()
    }

    /// A crash test in which nothing happened would show nothing.
    fn check(&self) {
        assert!(self.kills >= KILLS);
        assert_eq!(self.broken, 0, "the broker ran all the time");
        assert!(self.rate() >= REPORTS_PER_S_MIN, "only {:.0} reports/s: is the machine busy?", self.rate());
        assert!(self.sent_again > 0 && self.taken > self.stored, "nothing came twice");
        // Snapshots are written although no run of the service lasts until one is due.
        assert!((1..self.taken / 2).contains(&self.replayed_max), "a start replayed {} records", self.replayed_max);
        assert_eq!(self.outages.len(), 2);
        let away = self.outages[0].end - self.outages[0].start;
        assert!(away >= Duration::from_secs(5), "the database was away for {away:?} only");
        assert!(
            self.streams_while_away > 1,
            "no event came, while the database was away, from a service that had started without it"
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
        let outages: Vec<u128> = self.outages.iter().map(|away| (away.end - away.start).as_millis()).collect();
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
