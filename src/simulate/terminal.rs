//! The box in a lift's machine room that turns what it sees into reports, each with habits of its own.

use std::sync::Arc;

use bytes::Bytes;

use super::dice::Dice;
use super::fault::{Fault, Faults, Mishaps};
use super::lift::State;
use super::truth::{NearMiss, NearMissKind};
use super::wire::{self, Encoding, Envelope, Frame, Item, Reporter};
use super::{Equip, FleetOptions, Message, Tape, Writing};
use crate::limits;
use crate::model::frame::{Car, FrameKey};
use crate::model::ids::{DeviceCode, Subject};
use crate::model::time::Wall;

/// What is special about a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    Prompt,
    /// Its clock is wrong by this much, always.
    WrongClock {
        offset_ms: i64,
    },
    /// Now and then it has no way out for half a minute, and then sends all at once.
    Buffering,
    /// Sends some reports again, seconds later.
    Repeating,
    /// Now and then one frame overtakes the one before it.
    Reordering,
    /// Falls silent for some keep-alives.
    GoesSilent,
    /// Restarts, and counts from 1 again with the next boot.
    Restarts,
    /// Now and then a frame is lost on the way.
    Losing,
    /// Now and then a report can't be read when it arrives.
    Garbling,
    /// Now and then it has no network, for minutes or hours. Then it sends all at once, or it has kept nothing.
    CutOff {
        keeps: bool,
    },
    /// Says one thing in [`THROTTLED_MS`]: how it is then.
    Throttled,
    /// Names for ever what it has named once.
    NeverClears,
}

/// How often a terminal is cut off, and for how long; the shortest is long enough for it to count as offline.
const CUT_OFF_EVERY_MS: (i64, i64) = (6 * 3_600_000, 48 * 3_600_000);
const CUT_OFF_MS: (i64, i64) = (300_000, 3 * 3_600_000);
const THROTTLED_MS: i64 = 240_000;

const BUFFERED_MS: i64 = 30_000;
const OVERTAKEN_MS: i64 = 3_000;
/// A device that catches up is judged up to 15 s later, and 2 s after its last arrival.
const CATCHING_UP_MS: i64 = 17_000;

/// Until the second press of the alarm button, where the first was lost.
const PRESSED_AGAIN_MS: i64 = 24_000;
/// The samples of one report lie within this, so that none of them counts as late.
const SAMPLED_WITHIN_MS: i64 = 4_000;

impl Habit {
    pub(super) fn of(lift: u32, faults: Faults, lifelike: bool) -> Self {
        match lift % 50 {
            1 if lifelike => return Self::CutOff { keeps: true },
            9 if lifelike => return Self::CutOff { keeps: false },
            11 if lifelike => return Self::NeverClears,
            5 | 31 if lifelike => return Self::Throttled,
            _ => {}
        }
        let (fault, habit) = match lift % 50 {
            3 => (Fault::Lost, Self::Losing),
            7 => (Fault::Clock, Self::WrongClock { offset_ms: 5 * 3_600_000 }),
            13 => (Fault::Clock, Self::WrongClock { offset_ms: -3 * 3_600_000 }),
            19 => (Fault::Late, Self::Buffering),
            23 => (Fault::Corrupt, Self::Garbling),
            29 => (Fault::Repeated, Self::Repeating),
            37 => (Fault::Reordered, Self::Reordering),
            43 => (Fault::Silent, Self::GoesSilent),
            47 => (Fault::Reboot, Self::Restarts),
            _ => return Self::Prompt,
        };
        if faults.has(fault) { habit } else { Self::Prompt }
    }

    /// How late what it sends may arrive and be judged.
    fn lateness_ms(self, keep_alive_ms: i64) -> i64 {
        match self {
            Self::Buffering => BUFFERED_MS + CATCHING_UP_MS,
            Self::Reordering => OVERTAKEN_MS,
            // Until its offset is known, it counts as late.
            Self::WrongClock { .. } => CATCHING_UP_MS,
            // The next frame says all that the lost one did, but for the alarm button.
            Self::Losing | Self::Garbling => keep_alive_ms + PRESSED_AGAIN_MS,
            Self::Throttled => THROTTLED_MS,
            Self::Prompt
            | Self::Repeating
            | Self::GoesSilent
            | Self::Restarts
            | Self::CutOff { .. }
            | Self::NeverClears => 0,
        }
    }
}

/// A report that leaves later than it was made.
#[derive(Debug)]
struct Held {
    due: Wall,
    /// It has been sent before.
    again: bool,
    bodies: Vec<Bytes>,
}

#[derive(Debug)]
pub(super) struct Terminal {
    code: DeviceCode,
    report_topic: Arc<str>,
    encoding: Encoding,
    /// Reports only what has changed, and all of it with each keep-alive.
    terse: bool,
    /// Reports the door zone while running, where it means nothing.
    zone_while_running: bool,
    vibration: bool,
    habit: Habit,
    key: FrameKey,
    /// What the last frame said, where a terse terminal can leave it out of the next.
    said: Option<State>,
    /// Bounded by what half a minute brings.
    held: Vec<Held>,
    next_buffering_at: Wall,
    mishaps: Mishaps,
    keep_alive_ms: i64,
    /// Samples in each report.
    samples: u16,
    lane: u32,
    next_cut_off_at: Wall,
    cut_off_until: Wall,
    throttle: Throttle,
    /// Of those that never take one back.
    latched: Latched,
}

#[derive(Debug)]
struct Throttle {
    said_at: Wall,
    /// What is to be said when it may be.
    waits: Option<State>,
    /// What it said last looks like a passenger in a closed car that stands: its place among the near misses.
    passing: Option<usize>,
}

/// Every code that was ever named, and whether one of them is over and has been told of as a near miss.
#[derive(Debug, Default)]
struct Latched {
    faults: Vec<u32>,
    alarm: bool,
    trapped: bool,
    told: bool,
}

impl Latched {
    fn take(&mut self, state: &State) {
        self.faults.extend(state.fault.filter(|fault| !self.faults.contains(fault)));
        self.alarm |= state.alarm;
        self.trapped |= state.trapped;
    }

    fn is_more_than(&self, state: &State) -> bool {
        let over = |fault: &u32| state.fault != Some(*fault);
        self.faults.iter().any(over) || (self.alarm && !state.alarm) || (self.trapped && !state.trapped)
    }
}

impl Terminal {
    pub(super) fn new(code: DeviceCode, lift: u32, options: &FleetOptions, equip: Equip, dice: &mut Dice) -> Self {
        let habit = Habit::of(lift, equip.faults, equip.lifelike);
        let encoding = if dice.chance(50) {
            Encoding::Protobuf { names_itself: dice.chance(30) }
        } else {
            let envelope = [Envelope::Bare, Envelope::Array, Envelope::Object][dice.below(3) as usize];
            Encoding::Json { envelope, rfc3339: dice.chance(30), text_codes: dice.chance(30) }
        };
        let encoding =
            if equip.writing == Writing::Protobuf { Encoding::Protobuf { names_itself: false } } else { encoding };
        let terse = dice.chance(30);
        let began = options.began;
        Self {
            code,
            report_topic: format!("{}/elevator/{code}/report", super::TOPIC_PREFIX).into(),
            encoding,
            // Who leaves out what it has said before can't afford to lose it.
            terse: terse && !matches!(habit, Habit::Losing | Habit::Garbling | Habit::CutOff { .. } | Habit::Throttled),
            zone_while_running: dice.chance(20),
            vibration: dice.chance(15),
            habit,
            key: FrameKey { boot: equip.first_boot.saturating_add(dice.below(40)), seq: 0 },
            said: None,
            held: Vec::new(),
            next_buffering_at: began + dice.between((20_000, 120_000)),
            mishaps: Mishaps::new(began + i64::from(lift % 7) * 5_000),
            keep_alive_ms: options.pace.keep_alive_ms(),
            samples: equip.frames_per_report.clamp(1, limits::SIMULATED_SAMPLES),
            lane: lift,
            next_cut_off_at: if matches!(habit, Habit::CutOff { .. }) {
                began + dice.between((0, CUT_OFF_EVERY_MS.1))
            } else {
                Wall::MAX
            },
            cut_off_until: began,
            throttle: Throttle { said_at: Wall(began.ms() - THROTTLED_MS), waits: None, passing: None },
            latched: Latched::default(),
        }
    }

    /// How late it delivers what happens now.
    pub(super) fn lateness_ms(&self, now: Wall) -> i64 {
        let cut_off_ms = (self.cut_off_until - now).max(0);
        let then_ms = match self.habit {
            Habit::CutOff { keeps: true } => CATCHING_UP_MS,
            _ => self.keep_alive_ms,
        };
        self.usual_lateness_ms() + if cut_off_ms > 0 { cut_off_ms + then_ms } else { 0 }
    }

    /// Whether all that it sees comes through in the end.
    pub(super) fn keeps(&self) -> bool {
        self.habit != Habit::CutOff { keeps: false }
    }

    /// Whether what lasts for a moment may be over before it says anything.
    pub(super) fn misses_moments(&self) -> bool {
        matches!(self.habit, Habit::CutOff { keeps: false } | Habit::Throttled)
    }

    pub(super) fn keep_alive_s(&self) -> u32 {
        let least_s = if self.habit == Habit::Throttled { THROTTLED_MS / 1_000 } else { 0 };
        (self.keep_alive_ms / 1_000).max(least_s) as u32
    }

    pub(super) fn usual_lateness_ms(&self) -> i64 {
        // The oldest of several samples, overtaken too, is late enough for the terminal to count as catching up.
        let catches_up = self.habit == Habit::Reordering && self.samples > 1;
        self.habit.lateness_ms(self.keep_alive_ms) + if catches_up { CATCHING_UP_MS } else { 0 }
    }

    pub(super) fn habit(&self) -> Habit {
        self.habit
    }

    pub(super) fn restart(&mut self) {
        self.key = FrameKey { boot: self.key.boot + 1, seq: 0 };
        self.said = None;
    }

    /// When something that was held back leaves.
    pub(super) fn next_at(&self) -> Wall {
        let held = self.held.iter().map(|held| held.due).min().unwrap_or(Wall::MAX);
        if self.throttle.waits.is_some() { held.min(self.throttle.said_at + THROTTLED_MS) } else { held }
    }

    pub(super) fn say_status(&self, now: Wall, online: bool, tape: &mut Tape) {
        let topic = format!("{}/elevator/{}/status", super::TOPIC_PREFIX, self.code).into();
        let payload = Bytes::from_static(if online { b"online" } else { b"offline" });
        tape.out.push(Message { at: now, topic, payload, qos: 1, retain: true, lane: self.lane });
    }

    /// Reports `state`, as far as this terminal's habit lets it out at once. `before` is what stood since when until now.
    pub(super) fn say(
        &mut self,
        now: Wall,
        before: (&State, Wall),
        state: &State,
        whole: bool,
        dice: &mut Dice,
        tape: &mut Tape,
    ) {
        if self.habit == Habit::Throttled && now < self.throttle.said_at + THROTTLED_MS {
            let event = self.throttle.waits.and_then(|waits| waits.event).or(state.event);
            self.throttle.waits = Some(State { event, ..*state });
            return;
        }
        if self.habit == Habit::NeverClears {
            self.latch(now, state, tape);
        }
        let mut bodies = Vec::with_capacity(usize::from(self.samples));
        let (stood, since) = before;
        let apart_ms = SAMPLED_WITHIN_MS / i64::from(self.samples);
        for back in (1..self.samples).rev() {
            let at = (now + -(i64::from(back) * apart_ms)).max(since);
            bodies.push(self.sample(at, stood, whole, dice));
        }
        bodies.push(self.sample(now, state, whole, dice));
        if matches!(self.habit, Habit::WrongClock { .. }) {
            tape.counts.add(Fault::Clock, bodies.len() as u64);
        }
        match self.habit {
            Habit::Buffering => self.buffer(now, bodies, dice, tape),
            Habit::Reordering => self.overtake(now, bodies, dice, tape),
            Habit::Repeating if dice.chance(10) => {
                let due = now + dice.between((1_000, 20_000));
                self.held.push(Held { due, again: true, bodies: bodies.clone() });
                self.send(now, &bodies, false, tape);
            }
            Habit::Losing if self.mishaps.strike(now, 2 * self.keep_alive_ms) => {
                tape.counts.add(Fault::Lost, bodies.len() as u64);
            }
            Habit::Garbling if self.mishaps.strike(now, 2 * self.keep_alive_ms) => {
                tape.counts.add(Fault::Corrupt, 1);
                let garbled = garble(self.report(&bodies), self.key.seq);
                self.publish(now, garbled, tape);
            }
            Habit::CutOff { keeps } => self.send_unless_cut_off(now, bodies, keeps, tape),
            Habit::Throttled => {
                self.send(now, &bodies, false, tape);
                self.passed(now, state, tape);
            }
            _ => self.send(now, &bodies, false, tape),
        }
    }

    fn begin_cut_off(&mut self, now: Wall, dice: &mut Dice, tape: &mut Tape) {
        self.cut_off_until = now + dice.between(CUT_OFF_MS);
        self.next_cut_off_at = self.cut_off_until + dice.between(CUT_OFF_EVERY_MS);
        let (subject, ended_at) = (Subject::Device(self.code), Some(self.cut_off_until));
        tape.near_misses.push(NearMiss { subject, kind: NearMissKind::CutOff, began_at: now, ended_at });
    }

    fn send_unless_cut_off(&mut self, now: Wall, bodies: Vec<Bytes>, keeps: bool, tape: &mut Tape) {
        if now >= self.cut_off_until {
            self.send(now, &bodies, false, tape);
        } else if keeps {
            self.held.push(Held { due: self.cut_off_until, again: false, bodies });
        } else {
            tape.counts.add(Fault::Lost, bodies.len() as u64);
        }
    }

    /// Notes what the one thing that was said may be taken for.
    fn passed(&mut self, now: Wall, state: &State, tape: &mut Tape) {
        self.throttle.said_at = now;
        self.throttle.waits = None;
        if let Some(before) = self.throttle.passing.take() {
            tape.near_misses[before].ended_at = Some(now);
        }
        if state.passenger() && state.car == Car::Stopped {
            self.throttle.passing = Some(tape.near_misses.len());
            let subject = Subject::Device(self.code);
            let kind = NearMissKind::SeenInPassing;
            tape.near_misses.push(NearMiss { subject, kind, began_at: now, ended_at: None });
        }
    }

    fn latch(&mut self, now: Wall, state: &State, tape: &mut Tape) {
        self.latched.take(state);
        if self.latched.is_more_than(state) && !self.latched.told {
            self.latched.told = true;
            let subject = Subject::Device(self.code);
            let kind = NearMissKind::NeverCleared;
            tape.near_misses.push(NearMiss { subject, kind, began_at: now, ended_at: None });
        }
    }

    fn sample(&mut self, at: Wall, state: &State, whole: bool, dice: &mut Dice) -> Bytes {
        self.key.seq += 1;
        let body = self.frame(at, state, whole, dice).encode(self.encoding);
        if self.terse {
            self.said = Some(*state);
        }
        body
    }

    /// Lets out what was held back until now.
    pub(super) fn flush(&mut self, now: Wall, dice: &mut Dice, tape: &mut Tape) {
        // Before anything is said that may be lost with it.
        if now >= self.next_cut_off_at {
            self.begin_cut_off(now, dice, tape);
        }
        if self.next_at() > now {
            return;
        }
        if let Some(state) = self.throttle.waits.take() {
            return self.say(now, (&state, now), &state, true, dice, tape);
        }
        if matches!(self.habit, Habit::Buffering | Habit::CutOff { .. }) {
            let bodies: Vec<Bytes> = self.held.drain(..).flat_map(|held| held.bodies).collect();
            tape.counts.add(Fault::Late, bodies.len() as u64);
            for bodies in bodies.chunks(limits::REPORT_ITEMS / 2) {
                self.send(now, bodies, false, tape);
            }
            return;
        }
        let (due, later) = self.held.drain(..).partition(|held| held.due <= now);
        self.held = later;
        for held in due {
            tape.counts.add(Fault::Repeated, u64::from(held.again));
            self.send(now, &held.bodies, held.again, tape);
        }
    }

    fn buffer(&mut self, now: Wall, bodies: Vec<Bytes>, dice: &mut Dice, tape: &mut Tape) {
        if now >= self.next_buffering_at && self.held.is_empty() {
            let due = now + BUFFERED_MS;
            self.next_buffering_at = due + dice.between((60_000, 240_000));
            self.held.push(Held { due, again: false, bodies });
        } else if let Some(first) = self.held.first() {
            let due = first.due;
            self.held.push(Held { due, again: false, bodies });
        } else {
            self.send(now, &bodies, false, tape);
        }
    }

    fn overtake(&mut self, now: Wall, bodies: Vec<Bytes>, dice: &mut Dice, tape: &mut Tape) {
        if self.held.is_empty() && dice.chance(15) {
            self.held.push(Held { due: now + OVERTAKEN_MS, again: false, bodies });
            return;
        }
        self.send(now, &bodies, false, tape);
        for held in std::mem::take(&mut self.held) {
            tape.counts.add(Fault::Reordered, held.bodies.len() as u64);
            self.send(now, &held.bodies, false, tape);
        }
    }

    fn send(&self, now: Wall, bodies: &[Bytes], again: bool, tape: &mut Tape) {
        if !again {
            tape.counts.frames += bodies.len() as u64;
        }
        self.publish(now, self.report(bodies), tape);
    }

    fn report(&self, bodies: &[Bytes]) -> Bytes {
        wire::report(bodies, self.encoding, Reporter::lift(self.code.as_str()))
    }

    fn publish(&self, now: Wall, payload: Bytes, tape: &mut Tape) {
        let topic = self.report_topic.clone();
        tape.out.push(Message { at: now, topic, payload, qos: 1, retain: false, lane: self.lane });
    }

    fn frame<'a>(&'a self, now: Wall, state: &'a State, whole: bool, dice: &mut Dice) -> Frame<'a> {
        let latched = &self.latched;
        let said = self.said.as_ref().filter(|_| !whole);
        let changed = |differs: fn(&State, &State) -> bool| said.is_none_or(|said| differs(said, state));
        let running = state.car == Car::Running;
        let offset_ms = if let Habit::WrongClock { offset_ms } = self.habit { offset_ms } else { 0 };
        Frame {
            key: self.key,
            observed_at: now + offset_ms,
            // A frame without any status field could not say that a code is over.
            car: Some(state.car),
            mode: changed(|a, b| a.mode != b.mode).then_some(state.mode),
            direction: changed(|a, b| a.direction != b.direction).then_some(state.direction),
            // After a stop the zone is unknown until it is reported.
            door_zone: (!running || self.zone_while_running).then_some(if running {
                dice.chance(50)
            } else {
                state.level
            }),
            door: changed(|a, b| a.door != b.door).then_some(state.door),
            passenger: changed(|a, b| a.passenger() != b.passenger()).then(|| state.passenger()),
            floor: changed(|a, b| a.floor != b.floor).then_some(state.floor),
            load_kg: changed(|a, b| a.load_kg != b.load_kg).then_some(state.load_kg),
            speed_mm_s: changed(|a, b| a.speed_mm_s != b.speed_mm_s).then_some(state.speed_mm_s),
            runs: changed(|a, b| a.runs != b.runs).then_some(state.runs),
            run_hours: changed(|a, b| a.run_hours != b.run_hours).then_some(state.run_hours),
            faults: if latched.faults.is_empty() { state.fault.as_slice() } else { &latched.faults },
            events: state.event.as_slice(),
            alarms: if state.alarm || latched.alarm { &[90] } else { &[] },
            conditions: if state.trapped || latched.trapped { &["trapped"] } else { &[] },
            vibration_mg: self.vibration.then(|| f64::from(dice.below(if running { 240 } else { 20 })) / 10.0),
        }
    }
}

/// Makes of a report what can only be set aside whole: cut short, or begun by what is neither protobuf nor JSON.
fn garble(report: Bytes, n: u64) -> Bytes {
    if n.is_multiple_of(2) {
        return report.slice(..report.len() - report.len().min(3));
    }
    let mut bytes = report.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = 0xff;
    }
    bytes.into()
}
