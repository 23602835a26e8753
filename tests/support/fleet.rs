//! Lifts that report one frame at a time, at a steady rate, some of them with somebody trapped at known times; and the
//! books of what the broker acknowledged of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prost::Message as _;
use vigil::clock::Clock;
use vigil::proto::v1::{Car, Door, ElevatorFrame, ElevatorReport, Mode};

use super::publisher::Publisher;
use super::wait;

const TURN: Duration = Duration::from_millis(20);
/// The fleet's connection breaks this often, with messages on their way: they are sent again, with the same seq.
const BREAK_EVERY: Duration = Duration::from_secs(7);
/// How long the broker may be away, and how often it is tried.
const BROKER_AWAY_MAX: Duration = Duration::from_secs(30);
const TRY_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub lifts: u32,
    /// Where the terminals begin to count their restarts; some restart once.
    pub boot: u32,
    pub reports_per_s: u32,
    /// Nobody is trapped after this, so that all is over by the end.
    pub last: Duration,
}

/// One frame, as it was handed to the broker.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub lift: u32,
    pub boot: u32,
    pub seq: u64,
    pub claimed_ms: i64,
    /// Since the fleet's beginning.
    pub at: Duration,
    pub in_trouble: bool,
    /// A value of its own for each, to recognise it by.
    pub runs: u64,
}

#[derive(Debug, Default)]
pub struct Published {
    pub sent: Vec<Sent>,
    /// Parallel to `sent`.
    pub acknowledged: Vec<bool>,
    /// Times that a message was sent again because its connection broke.
    pub again: u64,
    /// Times that the broker broke it.
    pub broken: u64,
    pub took: Duration,
}

impl Published {
    pub fn acknowledged(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().zip(&self.acknowledged).filter_map(|(sent, is)| is.then_some(sent))
    }
}

pub fn code(lift: u32) -> String {
    format!("3130500112201401{lift:04}")
}

/// What is the matter with a lift, and when, counted from the fleet's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The terminal says that somebody is trapped.
    Reported,
    /// Somebody stands in a closed car between floors for long enough.
    OutOfZone,
    /// The same for a moment: no alert may come of it.
    Moment,
}

impl Plan {
    fn trouble(&self, lift: u32) -> Option<(Trouble, Duration, Duration)> {
        let (trouble, lasts_ms, every_ms) = match lift % 20 {
            // Some for a single frame.
            0 => (Trouble::Reported, [300, 2_500, 7_000][lift as usize / 20 % 3], 1_370),
            7 => (Trouble::OutOfZone, 40_000, 970),
            13 => (Trouble::Moment, 10_000, 1_130),
            _ => return None,
        };
        let lasts = Duration::from_millis(lasts_ms);
        let room_ms = self.last.saturating_sub(lasts).as_millis() as u64;
        let from =
            Duration::from_millis(1_000 + u64::from(lift / 20) * every_ms % room_ms.saturating_sub(1_000).max(1));
        Some((trouble, from, from + lasts))
    }

    /// The alerts that must come of it, by lift and rule, each with the number of openings.
    pub fn alerts(&self) -> BTreeMap<(String, String), i64> {
        let rule = |lift| match self.trouble(lift)?.0 {
            Trouble::Reported => Some((code(lift), "trapped-reported".to_owned())),
            Trouble::OutOfZone => Some((code(lift), "trapped-out-of-zone".to_owned())),
            Trouble::Moment => None,
        };
        (0..self.lifts).filter_map(rule).map(|key| (key, 1)).collect()
    }

    fn restarts_at(&self, lift: u32) -> Option<Duration> {
        (lift % 7 == 3).then(|| self.last * (lift % 50) / 50)
    }

    fn frame(&self, sent: Sent) -> ElevatorFrame {
        let mut frame = ElevatorFrame {
            boot: sent.boot,
            seq: sent.seq,
            observed_at_ms: sent.claimed_ms,
            mode: Mode::Normal.into(),
            car: Car::Stopped.into(),
            door_zone: Some(true),
            door: Door::Open.into(),
            passenger: Some(true),
            floor: Some(3),
            runs: Some(sent.runs),
            ..ElevatorFrame::default()
        };
        match self.trouble(sent.lift).filter(|_| sent.in_trouble).map(|(trouble, ..)| trouble) {
            Some(Trouble::Reported) => frame.conditions.push("trapped".into()),
            Some(Trouble::OutOfZone | Trouble::Moment) => {
                (frame.door_zone, frame.door) = (Some(false), Door::Closed.into());
            }
            None if sent.at.as_secs() % 8 < 4 => {
                (frame.car, frame.door, frame.door_zone) = (Car::Running.into(), Door::Closed.into(), None);
            }
            None => {}
        }
        frame
    }
}

/// The fleet at work, on a thread of its own.
pub struct Fleet {
    working: Option<JoinHandle<Published>>,
    stop: Arc<AtomicBool>,
    began: Instant,
}

impl Fleet {
    pub fn start(broker: SocketAddr, plan: Plan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let began = Instant::now();
        let work = move || {
            let mut work = Work::new(broker, plan, began);
            while !stopped.load(Ordering::Relaxed) {
                work.turn();
            }
            work.finish()
        };
        Self { working: Some(std::thread::spawn(work)), stop, began }
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    pub fn is_working(&self) -> bool {
        self.working.as_ref().is_some_and(|working| !working.is_finished())
    }

    /// Returns once the broker has acknowledged everything.
    pub fn stop(mut self) -> Published {
        self.stop.store(true, Ordering::Relaxed);
        self.working.take().expect("it is stopped once").join().expect("the fleet doesn't panic")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(working) = self.working.take() {
            let _panicked = working.join();
        }
    }
}

struct Work {
    broker: SocketAddr,
    plan: Plan,
    began: Instant,
    clock: Clock,
    /// Boot and seq of each lift.
    keys: Vec<(u32, u64)>,
    /// Lifts that have said what is the matter with them.
    told: BTreeSet<u32>,
    published: Published,
    publisher: Publisher,
    connections: u32,
    /// Sent on the present connection and not acknowledged, and how many of it were, as of the last look.
    unacknowledged: VecDeque<usize>,
    acknowledged: u64,
    turn_at: Instant,
    break_at: Instant,
}

impl Work {
    fn new(broker: SocketAddr, plan: Plan, began: Instant) -> Self {
        Self {
            keys: vec![(plan.boot, 0); plan.lifts as usize],
            told: BTreeSet::new(),
            published: Published::default(),
            publisher: connect(broker, 1),
            connections: 1,
            unacknowledged: VecDeque::new(),
            acknowledged: 0,
            clock: Clock::default(),
            turn_at: began,
            break_at: began + BREAK_EVERY,
            broker,
            plan,
            began,
        }
    }

    fn turn(&mut self) {
        self.turn_at += TURN;
        wait::until(self.turn_at);
        if Instant::now() >= self.break_at {
            self.break_at += BREAK_EVERY;
            self.reconnect();
        }
        let due = self.turn_at.duration_since(self.began).as_millis() * u128::from(self.plan.reports_per_s) / 1_000;
        while (self.published.sent.len() as u128) < due {
            self.report();
        }
        if self.publisher.send().is_err() {
            self.recover();
        }
        self.note_acknowledged();
    }

    fn report(&mut self) {
        let at = self.began.elapsed();
        let n = self.published.sent.len();
        let lift = (n % self.plan.lifts as usize) as u32;
        let (boot, seq) = &mut self.keys[lift as usize];
        *seq += 1;
        if *boot == self.plan.boot && self.plan.restarts_at(lift).is_some_and(|restarts| at >= restarts) {
            (*boot, *seq) = (*boot + 1, 1);
        }
        let key = (*boot, *seq);
        let in_trouble = self.is_in_trouble(lift, at);
        let claimed_ms = self.clock.wall().0;
        let sent = Sent { lift, boot: key.0, seq: key.1, claimed_ms, at, in_trouble, runs: n as u64 };
        self.published.sent.push(sent);
        self.published.acknowledged.push(false);
        if self.publish(n).is_err() {
            self.recover();
        }
    }

    /// However short a trouble is, one report tells of it.
    fn is_in_trouble(&mut self, lift: u32, at: Duration) -> bool {
        let Some((_, from, to)) = self.plan.trouble(lift) else { return false };
        at >= from && (self.told.insert(lift) || at < to)
    }

    fn publish(&mut self, n: usize) -> io::Result<()> {
        let sent = self.published.sent[n];
        let report = ElevatorReport { frames: vec![self.plan.frame(sent)], ..ElevatorReport::default() };
        let topic = format!("vigil/v1/elevator/{}/report", code(sent.lift));
        self.unacknowledged.push_back(n);
        self.publisher.publish(&topic, &report.encode_to_vec())
    }

    /// The broker has ended the connection, or has ended itself.
    fn recover(&mut self) {
        self.published.broken += 1;
        self.reconnect();
    }

    /// Some of what is sent again had arrived: the service has to know.
    fn reconnect(&mut self) {
        self.note_acknowledged();
        let again = std::mem::take(&mut self.unacknowledged);
        self.published.again += again.len() as u64;
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < BROKER_AWAY_MAX, "the broker doesn't come back");
            self.connections += 1;
            self.acknowledged = 0;
            self.unacknowledged.clear();
            let connected = Publisher::connect(self.broker, &format!("fleet-{}", self.connections));
            let sent = connected.and_then(|publisher| {
                self.publisher = publisher;
                again.iter().try_for_each(|n| self.publish(*n))
            });
            if sent.is_ok() {
                return;
            }
            wait::until(Instant::now() + TRY_EVERY);
        }
    }

    fn note_acknowledged(&mut self) {
        let acknowledged = self.publisher.acknowledged();
        for _ in self.acknowledged..acknowledged {
            let n = self.unacknowledged.pop_front().expect("only what was sent is acknowledged");
            self.published.acknowledged[n] = true;
        }
        self.acknowledged = acknowledged;
    }

    fn finish(mut self) -> Published {
        while self.publisher.finish().is_err() {
            self.recover();
        }
        self.note_acknowledged();
        self.published.took = self.began.elapsed();
        self.published
    }
}

fn connect(broker: SocketAddr, n: u32) -> Publisher {
    Publisher::connect(broker, &format!("fleet-{n}")).expect("the broker runs all the time")
}
