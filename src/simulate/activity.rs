//! What lifts and their passengers do. Durations stay clear of the holds of `config/rules/`: what looks odd here
//! and is no incident must raise no trapped alert.

use super::dice::Dice;
use super::script::{Act, Script};
use super::truth::{IncidentKind, NearMissKind as Oddity};
use crate::model::frame::{Door, Mode};
use crate::model::time::Wall;

/// No trip takes longer, waiting for it left aside.
pub(super) const LONGEST_TRIP_MS: i64 = 90_000;
/// No oddity takes longer, but for silence.
pub(super) const LONGEST_ODDITY_MS: i64 = 420_000;
/// The same of a lifelike fleet.
pub(super) const LONGEST_LIFELIKE_ODDITY_MS: i64 = 900_000;
/// The alarm button counts for 60 s after its last frame; nobody stands in a closed car so soon after an incident.
const QUIET_AFTERWARDS_MS: i64 = 90_000;

const FLOOR_MS: i64 = 2_000;
const SPEED_MM_S: i32 = 1_500;
const CREEP_MM_S: i32 = 200;

/// In the order in which a lift goes through them: faults come back so seldom that no count of them fills.
pub(super) const ODDITIES: [Oddity; 8] = [
    Oddity::Idler,
    Oddity::BriefDoorFault,
    Oddity::Inspection,
    Oddity::ZoneFlicker,
    Oddity::AlarmWhileRunning,
    Oddity::Relevel,
    Oddity::DoorFlicker,
    Oddity::PowerDip,
];

/// The same of a lifelike fleet.
pub(super) const LIFELIKE_ODDITIES: [Oddity; 14] = [
    Oddity::Idler,
    Oddity::BriefDoorFault,
    Oddity::LongIdler,
    Oddity::Inspection,
    Oddity::PassengerFlicker,
    Oddity::ZoneFlicker,
    Oddity::Fire,
    Oddity::AlarmWhileRunning,
    Oddity::Relevel,
    Oddity::Ghost,
    Oddity::Idler,
    Oddity::DoorFlicker,
    Oddity::PowerDip,
    Oddity::Inspection,
];

/// What else goes wrong while somebody is trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complication {
    /// The terminal loses its power too, some time after the lift.
    TerminalDies,
    TerminalRestarts,
    /// Sensors flicker while the rule still waits.
    SensorsFlicker,
}

/// Writes one lift's script, from a car that is empty, level and closed to one that is so again.
pub(super) struct Activity<'a> {
    pub(super) script: &'a mut Script,
    pub(super) dice: &'a mut Dice,
    pub(super) floor: i32,
    /// The lowest and the highest.
    pub(super) floors: (i32, i32),
    /// How this lift says that its door is shut: some only know closed, some locked.
    pub(super) shut: Door,
}

impl Activity<'_> {
    pub(super) fn trip(&mut self) {
        if self.dice.chance(50) {
            self.ride(true);
        }
        self.board();
        self.ride(true);
        self.alight();
    }

    pub(super) fn oddity(&mut self, oddity: Oddity) {
        self.script.and(Act::NearMiss(oddity));
        self.act_out(oddity);
        self.script.and(Act::NearMissEnded);
    }

    fn act_out(&mut self, oddity: Oddity) {
        match oddity {
            Oddity::Idler => {
                self.board();
                self.pause((40_000, 95_000));
                self.alight();
            }
            Oddity::Inspection => self.inspection(),
            Oddity::ZoneFlicker => {
                self.board();
                self.ride(true);
                for _ in 0..3 {
                    self.script.after(4_000, Act::Level(false));
                    self.script.after(1_500, Act::Level(true));
                }
                self.alight();
            }
            Oddity::DoorFlicker => {
                self.board();
                for _ in 0..4 {
                    self.script.after(700, Act::Door(Door::NotFullyClosed));
                    self.script.after(700, Act::Door(self.shut));
                }
                self.ride(true);
                self.alight();
            }
            Oddity::BriefDoorFault => {
                self.board();
                self.ride(true);
                self.fail_to_open();
                self.pause((12_000, 25_000));
                self.script.and(Act::Fault(None));
                self.alight();
            }
            Oddity::AlarmWhileRunning => {
                self.board();
                let up = self.floor < self.floors.1;
                let by = if up { 1 } else { -1 };
                self.floor += by;
                self.script.after(800, Act::Depart { up, speed_mm_s: by * SPEED_MM_S });
                self.script.after(2_000, Act::Alarm(true));
                self.script.and(Act::Floor(self.floor));
                self.script.after(1_500, Act::Alarm(false));
                self.script.after(3_000, Act::Stop { level: true });
                self.alight();
                self.script.after(QUIET_AFTERWARDS_MS, Act::Wait);
            }
            Oddity::Relevel => {
                self.board();
                self.ride(false);
                self.pause((8_000, 18_000));
                self.script.and(Act::Depart { up: true, speed_mm_s: CREEP_MM_S });
                self.script.after(2_000, Act::Stop { level: true });
                self.alight();
            }
            Oddity::PowerDip => {
                self.script.after(1_000, Act::Mode(Mode::EmergencyPower));
                self.script.and(Act::Fault(Some(41)));
                self.script.after(2_500, Act::Mode(Mode::Normal));
                self.script.and(Act::Fault(None));
                self.script.and(Act::Event(40));
            }
            Oddity::PassengerFlicker => {
                for _ in 0..4 {
                    self.script.after(1_000, Act::Sense(Some(true)));
                    self.script.after(700, Act::Sense(None));
                }
            }
            Oddity::LongIdler => {
                self.board();
                self.pause((150_000, 400_000));
                self.alight();
            }
            Oddity::Ghost => {
                self.script.after(1_000, Act::Sense(Some(true)));
                self.pause((130_000, 400_000));
                self.script.and(Act::Sense(None));
            }
            Oddity::Fire => self.fire(),
            Oddity::CutOff | Oddity::SeenInPassing | Oddity::NeverCleared => {}
        }
    }

    /// Back to a floor in fire return, then firefighters: what they do between floors is no entrapment.
    fn fire(&mut self) {
        self.script.after(1_000, Act::Mode(Mode::FireReturn));
        self.ride(true);
        self.open();
        self.pause((20_000, 60_000));
        self.script.and(Act::Mode(Mode::Firefighter));
        self.board();
        self.ride(false);
        self.pause((40_000, 120_000));
        self.script.and(Act::Depart { up: true, speed_mm_s: CREEP_MM_S });
        self.script.after(6_000, Act::Stop { level: true });
        self.pause((20_000, 200_000));
        self.alight();
        self.script.after(5_000, Act::Mode(Mode::Normal));
    }

    /// No frame and no keep-alive for `silent_ms`, in a car that is empty.
    pub(super) fn silence(&mut self, silent_ms: i64, keep_alive_ms: i64) {
        self.script.after(1_000, Act::Hush);
        self.script.after(keep_alive_ms * 3 / 2, Act::LastWill);
        self.script.after(silent_ms - keep_alive_ms * 3 / 2, Act::Hear { restarted: false });
    }

    pub(super) fn restart(&mut self) {
        self.script.after(1_000, Act::Hush);
        self.pause((6_000, 15_000));
        self.script.and(Act::Hear { restarted: true });
    }

    /// Somebody boards, and is trapped.
    pub(super) fn entrapment(&mut self, kind: IncidentKind, rescue_ms: i64, complication: Option<Complication>) {
        self.board();
        self.entrap(kind, rescue_ms, complication);
    }

    /// Traps whoever is inside a closed, level car, and frees them `rescue_ms` after the hold of the rule that finds it.
    pub(super) fn entrap(&mut self, kind: IncidentKind, rescue_ms: i64, complication: Option<Complication>) {
        let between_floors = matches!(kind, IncidentKind::BetweenFloors | IncidentKind::PowerLost);
        self.ride(!between_floors);
        let has_fault_04 = self.dice.chance(50);
        let presses = self.dice.chance(50);
        match kind {
            IncidentKind::BetweenFloors if has_fault_04 => self.script.and(Act::Fault(Some(4))),
            IncidentKind::PowerLost => {
                self.script.and(Act::Fault(Some(41)));
                self.script.and(Act::Mode(Mode::EmergencyPower));
            }
            IncidentKind::DoorFault => self.fail_to_open(),
            IncidentKind::DoorJammed => {
                self.script.after(1_500, Act::Door(Door::Opening));
                self.script.and(Act::Fault(Some(3)));
                // An opening door counts as closed once it has been opening for so long.
                self.script.after(10_000, Act::Wait);
            }
            IncidentKind::AlarmPressed => {
                self.pause((3_000, 6_000));
                self.script.and(Act::Alarm(true));
            }
            IncidentKind::Reported => {
                self.pause((4_000, 8_000));
                self.script.and(Act::Trapped(true));
            }
            _ => {}
        }
        self.script.and(Act::Began(kind));
        let freed_at = self.script.end() + (kind.hold_ms() + rescue_ms);
        if let Some(complication) = complication {
            self.complicate(complication, between_floors);
        }
        match kind {
            IncidentKind::AlarmPressed => {
                self.script.after(2_000, Act::Alarm(false));
                self.press_alarm((18_000, 22_000));
            }
            IncidentKind::BetweenFloors if presses => self.press_alarm((12_000, 20_000)),
            _ => {}
        }
        self.rescue(freed_at, between_floors, kind == IncidentKind::PowerLost);
        if complication == Some(Complication::TerminalDies) {
            self.script.after(10_000, Act::Hear { restarted: true });
            self.script.and(Act::NearMissEnded);
        }
    }

    fn complicate(&mut self, complication: Complication, between_floors: bool) {
        match complication {
            Complication::TerminalDies => {
                self.pause((60_000, 150_000));
                self.script.and(Act::Hush);
                self.script.and(Act::NearMiss(Oddity::CutOff));
                self.script.after(90_000, Act::LastWill);
            }
            Complication::TerminalRestarts => {
                self.script.after(4_000, Act::Hush);
                self.script.after(9_000, Act::Hear { restarted: true });
            }
            Complication::SensorsFlicker => {
                for _ in 0..2 {
                    self.script.after(1_500, Act::Sense(Some(false)));
                    self.script.after(1_200, Act::Sense(None));
                }
                if between_floors {
                    self.script.after(2_000, Act::Level(true));
                    self.script.after(1_500, Act::Level(false));
                }
            }
        }
    }

    fn rescue(&mut self, freed_at: Wall, between_floors: bool, power_was_lost: bool) {
        if between_floors {
            // By hand: the car is moved without the terminal taking it for a run.
            self.script.at(freed_at - 5_000, Act::Level(true));
        }
        self.script.at(freed_at - 1_500, Act::Door(Door::Opening));
        self.script.and(Act::Fault(None));
        if power_was_lost {
            self.script.and(Act::Mode(Mode::Normal));
            self.script.and(Act::Event(40));
        }
        self.script.at(freed_at, Act::Door(Door::Open));
        self.script.and(Act::Trapped(false));
        self.script.and(Act::Ended);
        self.script.after(5_000, Act::Load(0));
        self.close();
        self.script.after(QUIET_AFTERWARDS_MS, Act::Wait);
    }

    fn press_alarm(&mut self, after_ms: (i64, i64)) {
        self.pause(after_ms);
        self.script.and(Act::Alarm(true));
        self.script.after(2_000, Act::Alarm(false));
    }

    /// A worker rides on the car and stops it between floors: a lift in inspection mode traps nobody.
    fn inspection(&mut self) {
        self.open();
        self.script.after(2_000, Act::Mode(Mode::Inspection));
        self.script.after(1_500, Act::Load(80));
        self.close();
        self.script.after(2_000, Act::Depart { up: true, speed_mm_s: CREEP_MM_S });
        self.script.after(4_000, Act::Stop { level: false });
        self.pause((60_000, 180_000));
        // Long enough, before the mode is normal again, for every hold to be reset.
        self.script.and(Act::Depart { up: false, speed_mm_s: -CREEP_MM_S });
        self.script.after(6_000, Act::Stop { level: true });
        self.open();
        self.script.after(3_000, Act::Load(0));
        self.script.after(3_000, Act::Mode(Mode::Normal));
        self.close();
    }

    fn fail_to_open(&mut self) {
        self.script.after(1_500, Act::Door(Door::Opening));
        self.script.after(2_500, Act::Door(self.shut));
        self.script.and(Act::Fault(Some(3)));
    }

    fn open(&mut self) {
        self.script.after(800, Act::Door(Door::Opening));
        self.script.after(1_600, Act::Door(Door::Open));
    }

    fn close(&mut self) {
        self.pause((2_500, 6_000));
        self.script.and(Act::Door(Door::Closing));
        self.script.after(1_900, Act::Door(self.shut));
    }

    fn board(&mut self) {
        self.open();
        let people = 1 + self.dice.below(3);
        let load_kg = people * (55 + self.dice.below(35));
        self.pause((1_000, 3_000));
        self.script.and(Act::Load(load_kg));
        self.close();
    }

    fn alight(&mut self) {
        self.open();
        self.pause((1_500, 3_500));
        self.script.and(Act::Load(0));
        self.close();
    }

    /// Runs to another floor, and stops there or just beside it.
    fn ride(&mut self, level: bool) {
        let (lowest, highest) = self.floors;
        let up = self.floor <= lowest || (self.floor < highest && self.dice.chance(50));
        let most = i64::from(if up { highest - self.floor } else { self.floor - lowest }).clamp(1, 6);
        let by = self.dice.between((1, most)) as i32;
        let step = if up { 1 } else { -1 };
        self.script.after(800, Act::Depart { up, speed_mm_s: step * SPEED_MM_S });
        for _ in 0..by {
            self.floor += step;
            self.script.after(FLOOR_MS, Act::Floor(self.floor));
        }
        self.script.after(1_200, Act::Stop { level });
    }

    fn pause(&mut self, span_ms: (i64, i64)) {
        let span_ms = self.dice.between(span_ms);
        self.script.after(span_ms, Act::Wait);
    }
}
