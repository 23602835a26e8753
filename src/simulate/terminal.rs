//! The box in a lift's machine room that turns what it sees into reports, each with habits of its own.

use std::sync::Arc;

use bytes::Bytes;

use super::Message;
use super::dice::Dice;
use super::lift::State;
use super::wire::{self, Encoding, Envelope, Frame, Item, Reporter};
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
}

const BUFFERED_MS: i64 = 30_000;
const OVERTAKEN_MS: i64 = 3_000;
/// A device that catches up is judged up to 15 s later, and 2 s after its last arrival.
const CATCHING_UP_MS: i64 = 17_000;

impl Habit {
    /// By the lift's number and not by dice, so that fifty lifts are enough to have all of them.
    pub(super) fn of(lift: u32) -> Self {
        match lift % 50 {
            7 => Self::WrongClock { offset_ms: 5 * 3_600_000 },
            13 => Self::WrongClock { offset_ms: -3 * 3_600_000 },
            19 => Self::Buffering,
            29 => Self::Repeating,
            37 => Self::Reordering,
            43 => Self::GoesSilent,
            47 => Self::Restarts,
            _ => Self::Prompt,
        }
    }

    /// How late what it sends may arrive and be judged.
    pub(super) fn lateness_ms(self) -> i64 {
        match self {
            Self::Buffering => BUFFERED_MS + CATCHING_UP_MS,
            Self::Reordering => OVERTAKEN_MS,
            // Until its offset is known, it counts as late.
            Self::WrongClock { .. } => CATCHING_UP_MS,
            Self::Prompt | Self::Repeating | Self::GoesSilent | Self::Restarts => 0,
        }
    }
}

/// A report that leaves later than it was made.
#[derive(Debug)]
struct Held {
    due: Wall,
    body: Bytes,
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
}

impl Terminal {
    pub(super) fn new(code: DeviceCode, habit: Habit, began: Wall, dice: &mut Dice) -> Self {
        let encoding = if dice.chance(50) {
            Encoding::Protobuf { names_itself: dice.chance(30) }
        } else {
            let envelope = [Envelope::Bare, Envelope::Array, Envelope::Object][dice.below(3) as usize];
            Encoding::Json { envelope, rfc3339: dice.chance(30), text_codes: dice.chance(30) }
        };
        Self {
            code,
            report_topic: format!("{}/elevator/{code}/report", super::TOPIC_PREFIX).into(),
            encoding,
            terse: dice.chance(30),
            zone_while_running: dice.chance(20),
            vibration: dice.chance(15),
            habit,
            key: FrameKey { boot: dice.below(40), seq: 0 },
            said: None,
            held: Vec::new(),
            next_buffering_at: began + dice.between((20_000, 120_000)),
        }
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

    pub(super) fn say_status(&self, now: Wall, online: bool, out: &mut Vec<Message>) {
        let topic = format!("{}/elevator/{}/status", super::TOPIC_PREFIX, self.code).into();
        let payload = Bytes::from_static(if online { b"online" } else { b"offline" });
        out.push(Message { at: now, topic, payload, qos: 1, retain: true });
    }

    /// Makes a frame and sends it, as far as this terminal's habit lets it out at once.
    pub(super) fn say(&mut self, now: Wall, state: &State, whole: bool, dice: &mut Dice, out: &mut Vec<Message>) {
        self.key.seq += 1;
        let body = self.frame(now, state, whole, dice).encode(self.encoding);
        if self.terse {
            self.said = Some(state.clone());
        }
        match self.habit {
            Habit::Buffering => self.buffer(now, body, dice, out),
            Habit::Reordering => self.overtake(now, body, dice, out),
            Habit::Repeating if dice.chance(10) => {
                self.held.push(Held { due: now + dice.between((1_000, 20_000)), body: body.clone() });
                self.send(now, &[body], out);
            }
            _ => self.send(now, &[body], out),
        }
    }

    /// Lets out what was held back until now.
    pub(super) fn flush(&mut self, now: Wall, out: &mut Vec<Message>) {
        if self.next_at() > now {
            return;
        }
        if self.habit == Habit::Buffering {
            let bodies: Vec<Bytes> = self.held.drain(..).map(|held| held.body).collect();
            return self.send(now, &bodies, out);
        }
        let (due, later) = self.held.drain(..).partition(|held| held.due <= now);
        self.held = later;
        for held in due {
            self.send(now, &[held.body], out);
        }
    }

    fn buffer(&mut self, now: Wall, body: Bytes, dice: &mut Dice, out: &mut Vec<Message>) {
        if now >= self.next_buffering_at && self.held.is_empty() {
            let due = now + BUFFERED_MS;
            self.next_buffering_at = due + dice.between((60_000, 240_000));
            self.held.push(Held { due, body });
        } else if let Some(first) = self.held.first() {
            let due = first.due;
            self.held.push(Held { due, body });
        } else {
            self.send(now, &[body], out);
        }
    }

    fn overtake(&mut self, now: Wall, body: Bytes, dice: &mut Dice, out: &mut Vec<Message>) {
        if self.held.is_empty() && dice.chance(15) {
            self.held.push(Held { due: now + OVERTAKEN_MS, body });
            return;
        }
        self.send(now, &[body], out);
        for held in std::mem::take(&mut self.held) {
            self.send(now, &[held.body], out);
        }
    }

    fn send(&self, now: Wall, bodies: &[Bytes], out: &mut Vec<Message>) {
        let payload = wire::report(bodies, self.encoding, Reporter::lift(self.code.as_str()));
        out.push(Message { at: now, topic: self.report_topic.clone(), payload, qos: 1, retain: false });
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
