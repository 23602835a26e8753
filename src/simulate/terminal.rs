//! The box in a lift's machine room that turns what it sees into reports, each with habits of its own.

use std::sync::Arc;

use bytes::Bytes;

use super::dice::Dice;
use super::fault::{Fault, Faults, Mishaps};
use super::lift::State;
use super::wire::{self, Encoding, Envelope, Frame, Item, Reporter};
use super::{Equip, FleetOptions, Message, Tape, Writing};
use crate::limits;
use crate::model::frame::{Car, FrameKey};
use crate::model::ids::DeviceCode;
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
}

const BUFFERED_MS: i64 = 30_000;
const OVERTAKEN_MS: i64 = 3_000;
/// A device that catches up is judged up to 15 s later, and 2 s after its last arrival.
const CATCHING_UP_MS: i64 = 17_000;

/// Until the second press of the alarm button, where the first was lost.
const PRESSED_AGAIN_MS: i64 = 24_000;
/// The samples of one report lie within this, so that none of them counts as late.
const SAMPLED_WITHIN_MS: i64 = 4_000;

impl Habit {
    pub(super) fn of(lift: u32, faults: Faults) -> Self {
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
            Self::Prompt | Self::Repeating | Self::GoesSilent | Self::Restarts => 0,
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
}

impl Terminal {
    pub(super) fn new(code: DeviceCode, lift: u32, options: &FleetOptions, equip: Equip, dice: &mut Dice) -> Self {
        let habit = Habit::of(lift, equip.faults);
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
            terse: terse && !matches!(habit, Habit::Losing | Habit::Garbling),
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
        }
    }

    pub(super) fn lateness_ms(&self) -> i64 {
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
        self.held.iter().map(|held| held.due).min().unwrap_or(Wall::MAX)
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
            _ => self.send(now, &bodies, false, tape),
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
    pub(super) fn flush(&mut self, now: Wall, tape: &mut Tape) {
        if self.next_at() > now {
            return;
        }
        if self.habit == Habit::Buffering {
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

    fn frame<'a>(&self, now: Wall, state: &'a State, whole: bool, dice: &mut Dice) -> Frame<'a> {
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
            passenger: changed(|a, b| a.load_kg != b.load_kg).then_some(state.load_kg > 0),
            floor: changed(|a, b| a.floor != b.floor).then_some(state.floor),
            load_kg: changed(|a, b| a.load_kg != b.load_kg).then_some(state.load_kg),
            speed_mm_s: changed(|a, b| a.speed_mm_s != b.speed_mm_s).then_some(state.speed_mm_s),
            runs: changed(|a, b| a.runs != b.runs).then_some(state.runs),
            run_hours: changed(|a, b| a.run_hours != b.run_hours).then_some(state.run_hours),
            faults: state.fault.as_slice(),
            events: state.event.as_slice(),
            alarms: if state.alarm { &[90] } else { &[] },
            conditions: if state.trapped { &["trapped"] } else { &[] },
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
