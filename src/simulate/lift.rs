//! One lift: plays its script, reports on change and keeps alive, and plans what comes next.

use super::activity::{
    Activity, Complication, LIFELIKE_ODDITIES, LONGEST_LIFELIKE_ODDITY_MS, LONGEST_ODDITY_MS, LONGEST_TRIP_MS, ODDITIES,
};
use super::dice::{Dice, Stream};
use super::script::{Act, Script};
use super::terminal::{Habit, Terminal};
use super::truth::{Incident, IncidentKind, NearMiss, NearMissKind};
use super::{Equip, Fault, FleetOptions, Pace, Tape};
use crate::model::frame::{Car, Direction, Door, Mode};
use crate::model::ids::{DeviceCode, Subject};
use crate::model::time::Wall;

/// All that a terminal can see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) car: Car,
    pub(super) direction: Direction,
    /// In the door zone; means nothing while the car runs.
    pub(super) level: bool,
    pub(super) door: Door,
    /// 0: nobody is inside.
    pub(super) load_kg: u32,
    /// What the passenger sensor says, where that is wrong.
    pub(super) sensed: Option<bool>,
    pub(super) floor: i32,
    pub(super) speed_mm_s: i32,
    pub(super) runs: u64,
    pub(super) run_hours: u32,
    pub(super) fault: Option<u32>,
    pub(super) alarm: bool,
    /// The source's own word for it.
    pub(super) trapped: bool,
    /// Since the last frame.
    pub(super) event: Option<u32>,
}

impl State {
    pub(super) fn passenger(&self) -> bool {
        self.sensed.unwrap_or(self.load_kg > 0)
    }
}

#[derive(Debug)]
pub(super) struct Lift {
    code: DeviceCode,
    dice: Dice,
    pace: Pace,
    state: State,
    floors: (i32, i32),
    shut: Door,
    terminal: Terminal,
    silent: bool,
    script: Script,
    last_frame_at: Wall,
    next_entrapment_at: Wall,
    next_oddity_at: Wall,
    oddities: u32,
    /// Where its incident stands in the truth, and what only looks like one among the near misses.
    incident: Option<usize>,
    near_miss: Option<usize>,
    /// Nothing has been planned yet.
    is_new: bool,
    lifelike: bool,
}

/// The golden ratio's fraction: its multiples, however many, are spread evenly over the unit interval.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

impl Lift {
    pub(super) fn new(options: &FleetOptions, equip: Equip, index: u32, code: DeviceCode) -> Self {
        let mut dice = Dice::new(options.seed, Stream::Lift(index));
        let pace = options.pace;
        let floors = (-(dice.below(3) as i32), 5 + dice.below(26) as i32);
        let shut = if dice.chance(30) { Door::Locked } else { Door::Closed };
        let floor = dice.between((i64::from(floors.0), i64::from(floors.1))) as i32;
        let state = State {
            mode: Mode::Normal,
            car: Car::Stopped,
            direction: Direction::None,
            level: true,
            door: shut,
            load_kg: 0,
            sensed: None,
            floor,
            speed_mm_s: 0,
            runs: u64::from(dice.below(2_000_000)),
            run_hours: dice.below(60_000),
            fault: None,
            alarm: false,
            trapped: false,
            event: None,
        };
        let phase = if pace.first_at_once { 0.0 } else { f64::from(options.seed as u16) / 65_536.0 };
        let phase = (phase + f64::from(index) * GOLDEN).fract();
        let terminal = Terminal::new(code, index, options, equip, &mut dice);
        let mut lift = Self {
            code,
            pace,
            state,
            floors,
            shut,
            terminal,
            silent: true,
            script: Script::default(),
            last_frame_at: options.began,
            next_entrapment_at: options.began + (phase * pace.entrapment_every_ms as f64) as i64,
            next_oddity_at: options.began + dice.between((0, pace.oddity_every_ms)),
            oddities: dice.below(ODDITIES.len() as u32),
            incident: None,
            near_miss: None,
            is_new: true,
            lifelike: equip.lifelike,
            dice,
        };
        lift.script.begin(options.began);
        if index == 0 && pace.first_at_once {
            lift.begin_with_an_entrapment();
        } else {
            // Spread, or all of them would go on to keep alive at the same moment.
            let within_ms = if pace.from_the_middle { pace.keep_alive_ms() } else { pace.keep_alive_ms().min(20_000) };
            let wait_ms = lift.dice.between((0, within_ms));
            lift.script.after(wait_ms, Act::Hear { restarted: false });
        }
        lift
    }

    /// Nobody who watches a demonstration should wait for somebody to board first.
    fn begin_with_an_entrapment(&mut self) {
        self.state.load_kg = 75;
        self.script.and(Act::Hear { restarted: false });
        // In the middle of its floors, so that the ride may go anywhere; one floor each way makes it short.
        let floor = self.state.floor.clamp(self.floors.0 + 1, self.floors.1 - 1);
        self.state.floor = floor;
        self.script.after(5_000, Act::Wait);
        let rescue_ms = self.dice.between(self.pace.rescue_ms);
        let near = (floor - 1, floor + 1);
        self.activity(near).entrap(IncidentKind::BetweenFloors, rescue_ms, None);
        self.next_entrapment_at = self.next_entrapment_at + self.pace.entrapment_every_ms;
    }

    fn activity(&mut self, floors: (i32, i32)) -> Activity<'_> {
        let Self { script, dice, state, shut, .. } = self;
        Activity { script, dice, floor: state.floor, floors, shut: *shut }
    }

    /// When it acts next.
    pub(super) fn next_at(&self) -> Wall {
        self.script.next_at().min(self.keep_alive_at()).min(self.terminal.next_at())
    }

    #[cfg(test)]
    pub(super) fn next_entrapment_at(&self) -> Wall {
        self.next_entrapment_at
    }

    fn keep_alive_at(&self) -> Wall {
        if self.silent { Wall::MAX } else { self.last_frame_at + self.pace.keep_alive_ms() }
    }

    /// Does all that is due at `now`.
    pub(super) fn act(&mut self, now: Wall, tape: &mut Tape) {
        self.terminal.flush(now, &mut self.dice, tape);
        let before = self.state;
        let mut heard = false;
        while let Some(act) = self.script.take(now) {
            heard |= matches!(act, Act::Hear { .. });
            self.play(act, now, tape);
        }
        let keep_alive = now >= self.keep_alive_at();
        if !self.silent && (heard || keep_alive || self.state != before) {
            let whole = heard || keep_alive;
            self.terminal.say(now, (&before, self.last_frame_at), &self.state, whole, &mut self.dice, tape);
            self.state.event = None;
            self.last_frame_at = now;
        }
        if self.script.is_empty() {
            self.plan(now);
        }
    }

    fn play(&mut self, act: Act, now: Wall, tape: &mut Tape) {
        let state = &mut self.state;
        match act {
            Act::Wait => {}
            Act::Door(door) => state.door = door,
            Act::Load(load_kg) => state.load_kg = load_kg,
            Act::Sense(sensed) => state.sensed = sensed,
            Act::Depart { up, speed_mm_s } => {
                state.car = Car::Running;
                state.direction = if up { Direction::Up } else { Direction::Down };
                state.speed_mm_s = speed_mm_s;
                state.runs += 1;
                // A run is short; some four hundred make an hour.
                state.run_hours += u32::from(state.runs.is_multiple_of(400));
            }
            Act::Floor(floor) => state.floor = floor,
            Act::Stop { level } => {
                state.car = Car::Stopped;
                state.direction = Direction::None;
                state.speed_mm_s = 0;
                state.level = level;
            }
            Act::Level(level) => state.level = level,
            Act::Mode(mode) => state.mode = mode,
            Act::Fault(fault) => state.fault = fault,
            Act::Alarm(pressed) => state.alarm = pressed,
            Act::Trapped(trapped) => state.trapped = trapped,
            Act::Event(code) => state.event = Some(code),
            Act::Hush => self.silent = true,
            Act::LastWill => {
                self.terminal.say_status(now, false, tape);
                tape.counts.add(Fault::Silent, 1);
            }
            Act::Hear { restarted } => {
                self.silent = false;
                if restarted {
                    self.terminal.restart();
                    tape.counts.add(Fault::Reboot, 1);
                }
                self.terminal.say_status(now, true, tape);
            }
            Act::Began(kind) => {
                self.incident = Some(tape.truth.len());
                let lateness_ms = self.terminal.lateness_ms(now);
                tape.truth.push(Incident::new(Subject::Device(self.code), kind, now, lateness_ms));
            }
            Act::Ended => {
                if let Some(incident) = self.incident.take() {
                    let incident = &mut tape.truth[incident];
                    incident.ended_at = Some(now);
                    // What came through at last came too late for the rule's hold, which begins with it.
                    incident.unseen = !self.terminal.keeps()
                        && incident.began_at + incident.lateness_ms > now + -incident.kind.hold_ms();
                }
            }
            Act::NearMiss(kind) => {
                self.near_miss = Some(tape.near_misses.len());
                let subject = Subject::Device(self.code);
                tape.near_misses.push(NearMiss { subject, kind, began_at: now, ended_at: None });
            }
            Act::NearMissEnded => {
                if let Some(near_miss) = self.near_miss.take() {
                    tape.near_misses[near_miss].ended_at = Some(now);
                }
            }
        }
    }

    /// Decides what comes next, and waits for it. Whatever begins ends before the next entrapment is due.
    fn plan(&mut self, now: Wall) {
        self.script.begin(now);
        let mut idle_ms = self.dice.between(self.pace.idle_ms);
        if std::mem::take(&mut self.is_new) && self.pace.from_the_middle {
            idle_ms = self.dice.between((0, idle_ms));
        }
        let spare_ms = self.next_entrapment_at - now - idle_ms;
        let wants_oddity = now >= self.next_oddity_at && self.is_odd();
        if wants_oddity && spare_ms > self.longest_oddity_ms() {
            // A run may be shorter than the time between two trips.
            let wait_ms = if self.pace.from_the_middle { idle_ms / 8 } else { idle_ms };
            self.script.after(wait_ms, Act::Wait);
            self.plan_oddity();
            self.next_oddity_at = now + self.pace.oddity_every_ms;
        } else if spare_ms > LONGEST_TRIP_MS {
            self.script.after(idle_ms, Act::Wait);
            self.activity(self.floors).trip();
        } else {
            let late_ms = self.terminal.usual_lateness_ms();
            let rescue_ms = self.dice.between(self.pace.rescue_ms) + late_ms;
            let kind = self.entrapment_kind();
            let complication = if self.lifelike { self.complication(kind) } else { None };
            self.script.at(self.next_entrapment_at, Act::Wait);
            self.activity(self.floors).entrapment(kind, rescue_ms, complication);
            self.next_entrapment_at = self.script.end().max(self.next_entrapment_at + self.pace.entrapment_every_ms);
        }
    }

    /// A terminal that is late would make some oddities look like what they are not.
    fn is_odd(&self) -> bool {
        matches!(self.terminal.habit(), Habit::Prompt | Habit::GoesSilent | Habit::Restarts)
    }

    fn longest_oddity_ms(&self) -> i64 {
        let longest_ms = if self.lifelike { LONGEST_LIFELIKE_ODDITY_MS } else { LONGEST_ODDITY_MS };
        longest_ms.max(7 * self.pace.keep_alive_ms())
    }

    fn plan_oddity(&mut self) {
        let keep_alive_ms = self.pace.keep_alive_ms();
        match self.terminal.habit() {
            Habit::GoesSilent => {
                let silent_ms = self.dice.between((4 * keep_alive_ms, 6 * keep_alive_ms));
                self.activity(self.floors).silence(silent_ms, keep_alive_ms);
            }
            Habit::Restarts => self.activity(self.floors).restart(),
            _ => {
                let oddities: &[NearMissKind] = if self.lifelike { &LIFELIKE_ODDITIES } else { &ODDITIES };
                let oddity = oddities[self.oddities as usize % oddities.len()];
                self.oddities = self.oddities.wrapping_add(1);
                self.activity(self.floors).oddity(oddity);
            }
        }
    }

    fn complication(&mut self, kind: IncidentKind) -> Option<Complication> {
        let chance = self.dice.below(100);
        match self.terminal.habit() {
            Habit::Prompt if kind == IncidentKind::PowerLost && chance < 30 => Some(Complication::TerminalDies),
            // What says so itself needs no sensor, and the quiet rule begins anew with each flicker.
            Habit::Prompt if chance < 60 && !matches!(kind, IncidentKind::Reported | IncidentKind::Quiet) => {
                Some(Complication::SensorsFlicker)
            }
            Habit::Restarts if chance < 60 => Some(Complication::TerminalRestarts),
            _ => None,
        }
    }

    pub(super) fn keep_alive_s(&self) -> u32 {
        self.terminal.keep_alive_s()
    }

    fn entrapment_kind(&mut self) -> IncidentKind {
        match self.dice.below(12) {
            // A button that was pressed for a moment, and never seen to be.
            8..10 if self.terminal.misses_moments() => IncidentKind::Quiet,
            0..3 => IncidentKind::BetweenFloors,
            3..5 => IncidentKind::PowerLost,
            5..7 => IncidentKind::DoorFault,
            7 => IncidentKind::DoorJammed,
            8..10 => IncidentKind::AlarmPressed,
            10 => IncidentKind::Reported,
            _ => IncidentKind::Quiet,
        }
    }
}
