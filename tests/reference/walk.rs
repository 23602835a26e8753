//! Walks a plan: keeps the state of each lift and the counters of its terminal, and says who sends what when.

use std::collections::BTreeSet;

use vigil::model::frame::{Car, Door, Mode};

use crate::draw::{Act, Almost, Beat, Field, Gap, Plan, Situation};
use crate::timeline::{Frame, Item, Said, Step, Timeline, What};

/// How much of a quiet span counts that we didn't hear is promised to no more than a keep-alive: where we are cut off,
/// a timeline ends before one could be over.
const BEFORE_QUIET_MS: i64 = 600_000;

/// The alarm button is told among the alarms, all else among the faults.
const BUTTON: u32 = 90;
/// What `fault-repeats` counts.
const COUNTED: &[u32] = &[1, 2, 3, 4, 5, 6, 61, 62, 63];

pub(crate) fn walk(plan: &Plan) -> Timeline {
    let mut walk = Walk {
        now_ms: 0,
        times: vec![0],
        steps: Vec::new(),
        busy_to_ms: 0,
        most_ms: i64::MAX,
        lifts: vec![Walker::NEW; plan.lifts.len()],
    };
    let is_cut_off = |beat: &Beat| matches!(beat.act, Act::Outage { .. } | Act::Restart(_));
    walk.most_ms = if plan.beats.iter().any(is_cut_off) { BEFORE_QUIET_MS } else { i64::MAX };
    for beat in &plan.beats {
        if walk.now_ms > walk.most_ms {
            break;
        }
        walk.beat(beat);
    }
    // What is delayed comes among what happened meanwhile.
    walk.steps.sort_by_key(|step| step.at_ms);
    let last_ms = walk.steps.last().map_or(0, |step| step.at_ms);
    Timeline { lifts: plan.lifts.clone(), steps: walk.steps, until_ms: last_ms.max(walk.now_ms) + plan.rest_ms }
}

struct Walk {
    now_ms: i64,
    /// Of all steps so far.
    times: Vec<i64>,
    steps: Vec<Step>,
    /// The link, or the service, is away until then.
    busy_to_ms: i64,
    /// It doesn't go on for longer.
    most_ms: i64,
    lifts: Vec<Walker>,
}

/// A lift, and the terminal that tells of it.
#[derive(Debug, Clone)]
struct Walker {
    boot: u32,
    seq: u64,
    /// How far its clock is off.
    off_ms: i64,
    /// It sends nothing until then.
    withholds_to_ms: i64,
    state: State,
    /// What was told last.
    told: Option<State>,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    mode: Said<Mode>,
    car: Said<Car>,
    zone: Said<bool>,
    door: Said<Door>,
    passenger: Said<bool>,
    faults: BTreeSet<u32>,
    alarms: BTreeSet<u32>,
    conditions: BTreeSet<&'static str>,
}

impl Walk {
    fn beat(&mut self, beat: &Beat) {
        let at_ms = match beat.gap {
            Gap::Ms(ms) => self.now_ms + ms,
            Gap::Span { span_ms, off_ms, back } => {
                let of = self.times[self.times.len().saturating_sub(back + 1)];
                of + span_ms + off_ms
            }
        };
        self.at(at_ms);
        let lift = beat.lift % self.lifts.len();
        match &beat.act {
            Act::Almost(Almost::Held(situation, item, span_ms)) => {
                let state = &mut self.lifts[lift].state;
                *state = State::IDLE;
                state.find(*situation);
                if let Some(item) = item {
                    state.begin(*item);
                }
                self.send(lift, 0, true, |_| {});
                self.at(self.now_ms + span_ms - 1);
                self.recover(lift);
            }
            Act::Almost(Almost::Repeated(item)) => {
                self.lifts[lift].state.begin(*item);
                self.send(lift, 0, true, |_| {});
                self.at(self.now_ms + 1_000);
                self.recover(lift);
                if *item == Item::Code(5) && self.now_ms >= self.busy_to_ms {
                    self.push(What::Clear { lift, rule: "unintended-movement" });
                }
                self.repeat(1);
            }
            Act::Again { back } => self.repeat(*back),
            Act::Reboots => {
                let walker = &mut self.lifts[lift];
                (walker.boot, walker.seq) = (walker.boot + 1, 0);
            }
            Act::Clock(off_ms) => self.lifts[lift].off_ms = *off_ms,
            Act::Withholds(ms) => self.lifts[lift].withholds_to_ms = self.now_ms + ms,
            Act::Outage { down_ms, drained_ms } => self.outage(*down_ms, *drained_ms),
            // People can't do anything while the service is away.
            Act::Wall(_) | Act::Restart(_) | Act::Clear(_) | Act::Acknowledge(_) if self.now_ms < self.busy_to_ms => {}
            Act::Wall(by_ms) => self.push(What::Wall { by_ms: *by_ms }),
            Act::Restart(down_ms) => {
                self.busy_to_ms = self.now_ms + down_ms + 1;
                self.push(What::Restart { down_ms: *down_ms });
            }
            Act::Clear(rule) => self.push(What::Clear { lift, rule }),
            Act::Acknowledge(rule) => self.push(What::Acknowledge { lift, rule }),
            Act::Burst { code, times, every_ms } => self.again(*times, (*every_ms).min(self.most_ms / 4), |walk| {
                walk.send(lift, 0, true, |frame| frame.events.push(*code));
            }),
            Act::Goes { times, every_ms } => {
                self.again(*times, (*every_ms).min(self.most_ms / 10), |walk| walk.send(lift, 0, true, |_| {}))
            }
            Act::Occurs(code) => self.send(lift, beat.delay_ms, beat.whole, |frame| frame.events.push(*code)),
            Act::SaidToEnd(item) => {
                self.lifts[lift].state.end(*item);
                self.send(lift, beat.delay_ms, beat.whole, |frame| frame.cleared.push(*item));
            }
            act => {
                self.lifts[lift].state.change(act);
                self.send(lift, beat.delay_ms, beat.whole, |_| {});
            }
        }
    }

    /// The door opens, everybody gets out, and the lift runs on.
    fn recover(&mut self, lift: usize) {
        self.lifts[lift].state = State { door: Said::Is(Door::Open), ..State::IDLE };
        self.lifts[lift].state.car = Said::Is(Car::Running);
        self.send(lift, 0, true, |_| {});
    }

    fn repeat(&mut self, back: usize) {
        let report = |step: &&Step| matches!(step.what, What::Report { .. }) && step.at_ms <= self.now_ms;
        if let Some(what) = self.steps.iter().rev().filter(report).nth(back).map(|step| step.what.clone()) {
            self.push(what);
        }
    }

    fn outage(&mut self, down_ms: i64, drained_ms: i64) {
        if self.now_ms < self.busy_to_ms {
            return;
        }
        let up_ms = self.now_ms + down_ms;
        self.busy_to_ms = up_ms + drained_ms + 1;
        self.push(What::LinkDown);
        self.steps.push(Step { at_ms: up_ms, what: What::LinkUp });
        self.steps.push(Step { at_ms: up_ms + drained_ms, what: What::Drained });
    }

    fn again(&mut self, times: usize, every_ms: i64, what: impl Fn(&mut Self)) {
        let from_ms = self.now_ms;
        for nth in 0..times {
            self.at(from_ms + every_ms * i64::try_from(nth).unwrap());
            what(self);
        }
    }

    fn at(&mut self, at_ms: i64) {
        self.now_ms = self.now_ms.max(at_ms);
        self.times.push(self.now_ms);
    }

    fn push(&mut self, what: What) {
        self.steps.push(Step { at_ms: self.now_ms, what });
    }

    fn send(&mut self, lift: usize, delay_ms: i64, whole: bool, more: impl Fn(&mut Frame)) {
        let walker = &mut self.lifts[lift];
        walker.seq += 1;
        let mut frame = walker.state.frame(walker.told.as_ref().filter(|_| !whole));
        (frame.boot, frame.seq, frame.claimed_ms) = (walker.boot, walker.seq, Some(self.now_ms + walker.off_ms));
        more(&mut frame);
        let at_ms = (self.now_ms + delay_ms).max(walker.withholds_to_ms);
        if at_ms > self.now_ms {
            // Whether a fault that newer frames have both shown and ended occurs anew in a late one isn't promised.
            frame.faults.retain(|code| !COUNTED.contains(code));
        }
        walker.told = Some(walker.state.clone());
        self.steps.push(Step { at_ms, what: What::Report { lift, frames: vec![frame] } });
    }
}

impl Walker {
    const NEW: Self = Self { boot: 1, seq: 0, off_ms: 0, withholds_to_ms: 0, state: State::IDLE, told: None };
}

impl State {
    const IDLE: Self = Self {
        mode: Said::Is(Mode::Normal),
        car: Said::Is(Car::Stopped),
        zone: Said::Is(true),
        door: Said::Is(Door::Closed),
        passenger: Said::Is(false),
        faults: BTreeSet::new(),
        alarms: BTreeSet::new(),
        conditions: BTreeSet::new(),
    };

    fn change(&mut self, act: &Act) {
        match act {
            Act::Is(situation) => self.find(*situation),
            Act::Door(door) => self.door = Said::Is(*door),
            Act::Passenger(is_in) => self.passenger = Said::Is(*is_in),
            Act::Mode(mode) => self.mode = Said::Is(*mode),
            Act::Begins(item) => self.begin(*item),
            Act::Ends(item) => self.end(*item),
            Act::Recovers(situation) => {
                *self = Self::IDLE;
                self.find(*situation);
            }
            Act::Forgets(Field::Mode) => self.mode = Said::Unknown,
            Act::Forgets(Field::Car) => self.car = Said::Unknown,
            Act::Forgets(Field::Zone) => self.zone = Said::Unknown,
            Act::Forgets(Field::Door) => self.door = Said::Unknown,
            Act::Forgets(Field::Passenger) => self.passenger = Said::Unknown,
            _ => {}
        }
    }

    fn find(&mut self, situation: Situation) {
        let is_running = situation == Situation::Running;
        self.car = Said::Is(if is_running { Car::Running } else { Car::Stopped });
        self.zone = Said::Is(matches!(situation, Situation::Idle | Situation::Waiting));
        self.door = Said::Is(Door::Closed);
        self.passenger = Said::Is(matches!(situation, Situation::Waiting | Situation::Stuck | Situation::Running));
    }

    fn begin(&mut self, item: Item) {
        match item {
            Item::Code(BUTTON) => drop(self.alarms.insert(BUTTON)),
            Item::Code(code) => drop(self.faults.insert(code)),
            Item::Condition(name) => drop(self.conditions.insert(name)),
        }
    }

    fn end(&mut self, item: Item) {
        match item {
            Item::Code(code) => {
                self.faults.remove(&code);
                self.alarms.remove(&code);
            }
            Item::Condition(name) => drop(self.conditions.remove(name)),
        }
    }

    /// The whole of it, or what isn't as it was.
    fn frame(&self, told: Option<&Self>) -> Frame {
        fn changed<T: Copy + PartialEq>(is: Said<T>, was: Option<Said<T>>) -> Option<Said<T>> {
            (was != Some(is)).then_some(is)
        }
        Frame {
            mode: changed(self.mode, told.map(|it| it.mode)),
            car: Some(self.car),
            door_zone: changed(self.zone, told.map(|it| it.zone)),
            door: changed(self.door, told.map(|it| it.door)),
            passenger: changed(self.passenger, told.map(|it| it.passenger)),
            faults: self.faults.iter().copied().collect(),
            alarms: self.alarms.iter().copied().collect(),
            conditions: self.conditions.iter().copied().collect(),
            ..Frame::default()
        }
    }
}
