//! What is known of a lift at one moment, looked up in all the frames that were taken so far.

use std::collections::BTreeSet;

use vigil::model::frame::{Car, Door, Mode};

use crate::timeline::{Frame, Item, LiftSpec, Said};

/// True, false, or not known.
pub(crate) type Tri = Option<bool>;

pub(crate) fn and(all: &[Tri]) -> Tri {
    if all.contains(&Some(false)) {
        Some(false)
    } else if all.contains(&None) {
        None
    } else {
        Some(true)
    }
}

pub(crate) fn or(any: &[Tri]) -> Tri {
    not(and(&any.iter().map(|it| not(*it)).collect::<Vec<_>>()))
}

pub(crate) fn not(it: Tri) -> Tri {
    it.map(|it| !it)
}

/// Codes among the events, and the alarm button wherever it was carried, count for so long at least (domain, section 8).
const LINGER_MS: i64 = 60_000;
const ALARM_BUTTON: u32 = 90;
/// A door that opens or closes for so long is shut.
pub(crate) const DOOR_MOVES_MS: i64 = 10_000;

/// A frame that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) frame: Frame,
    /// Generation of the terminal, boot, seq: the higher, the newer.
    pub(crate) key: (u32, u32, u64),
    pub(crate) judged_ms: i64,
    /// Its events count: it isn't late by too much.
    pub(crate) lingers: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) mode: Option<Mode>,
    pub(crate) car: Option<Car>,
    pub(crate) zone: Tri,
    pub(crate) door: Option<Door>,
    pub(crate) door_shut: Tri,
    /// It is on its way, and hasn't been for long: what becomes of it shows soon.
    pub(crate) door_settles: bool,
    pub(crate) passenger: Tri,
    /// Codes and conditions that count as active.
    pub(crate) active: BTreeSet<Item>,
    /// Those that stand in a list, not those that linger.
    pub(crate) listed: BTreeSet<Item>,
    /// What the frame at hand carries in any list.
    pub(crate) carried: BTreeSet<Item>,
    /// The frame at hand shows the car running.
    pub(crate) frame_runs: bool,
    /// The lift has been silent for so long that nothing is known of it.
    pub(crate) is_silent: bool,
    /// For `QUIET_MS`.
    pub(crate) is_quiet: bool,
    pub(crate) equipment_is_lift: Tri,
}

impl Facts {
    /// After all these frames, at this moment.
    pub(crate) fn look_up(frames: &[Taken], at_ms: i64, spec: LiftSpec, is_silent: bool) -> Self {
        let listed = if is_silent { BTreeSet::new() } else { listed(frames.iter()) };
        let mut active = listed.clone();
        if !is_silent {
            active.extend(lingering(frames, at_ms).map(|(item, _)| item));
        }
        Self {
            mode: value(frames, |frame| frame.mode, is_silent),
            car: value(frames, |frame| frame.car, is_silent),
            zone: if is_silent { None } else { zone(frames) },
            door: value(frames, |frame| frame.door, is_silent),
            door_shut: None,
            door_settles: false,
            passenger: value(frames, |frame| frame.passenger, is_silent),
            active,
            listed,
            carried: carried(frames),
            frame_runs: newest_runs(frames),
            is_silent,
            is_quiet: false,
            equipment_is_lift: spec.is_registered.then_some(!spec.is_escalator),
        }
    }

    pub(crate) fn code(&self, code: u32) -> Tri {
        self.item(Item::Code(code))
    }

    pub(crate) fn condition(&self, name: &'static str) -> Tri {
        self.item(Item::Condition(name))
    }

    fn item(&self, item: Item) -> Tri {
        (!self.is_silent).then_some(self.active.contains(&item))
    }

    pub(crate) fn is_mode(&self, modes: &[Mode]) -> Tri {
        self.mode.map(|mode| modes.contains(&mode))
    }

    pub(crate) fn is_stopped(&self) -> Tri {
        self.car.map(|car| car == Car::Stopped)
    }

    pub(crate) fn is_running(&self) -> Tri {
        not(self.is_stopped())
    }

    pub(crate) fn is_open(&self) -> Tri {
        self.door.map(|door| door == Door::Open)
    }

    pub(crate) fn door_moves(&self) -> Tri {
        self.door.map(|door| matches!(door, Door::Opening | Door::Closing))
    }
}

/// What counts for a while, and until when.
pub(crate) fn lingering(frames: &[Taken], at_ms: i64) -> impl Iterator<Item = (Item, i64)> {
    let lately = frames.iter().rev().take_while(move |taken| taken.judged_ms + LINGER_MS > at_ms);
    lately.filter(|taken| taken.lingers).flat_map(|Taken { frame, judged_ms, .. }| {
        let is_pressed = [&frame.faults, &frame.alarms].iter().any(|codes| codes.contains(&ALARM_BUTTON));
        let codes = frame.events.iter().copied().chain(is_pressed.then_some(ALARM_BUTTON));
        codes.map(move |code| (Item::Code(code), judged_ms + LINGER_MS))
    })
}

/// What the newest frame that names a field says of it.
fn value<T: Copy>(frames: &[Taken], field: impl Fn(&Frame) -> Option<Said<T>>, is_silent: bool) -> Option<T> {
    let newest = frames.iter().filter(|taken| field(&taken.frame).is_some()).max_by_key(|taken| taken.key)?;
    match field(&newest.frame)? {
        Said::Is(value) if !is_silent => Some(value),
        _ => None,
    }
}

/// The door zone means nothing while the car runs, and nothing from a run on until it is reported again.
fn zone(frames: &[Taken]) -> Tri {
    let mut in_order: Vec<&Taken> = frames.iter().collect();
    in_order.sort_by_key(|taken| taken.key);
    let (mut zone, mut runs) = (None, false);
    for Taken { frame, .. } in in_order {
        match frame.car {
            Some(Said::Is(car)) => runs = car == Car::Running,
            Some(Said::Unknown) => runs = false,
            None => {}
        }
        if runs {
            zone = None;
            continue;
        }
        match frame.door_zone {
            Some(Said::Is(is_in)) => zone = Some(is_in),
            Some(Said::Unknown) => zone = None,
            None => {}
        }
    }
    zone
}

/// What the newest frame carries in any list: a late one shows nothing of the present.
fn carried(frames: &[Taken]) -> BTreeSet<Item> {
    let newest = frames.iter().max_by_key(|taken| taken.key);
    newest.into_iter().flat_map(|taken| taken.frame.items()).collect()
}

/// The frame at hand is the newest, and shows the car running.
fn newest_runs(frames: &[Taken]) -> bool {
    let is_newest = |last: &&Taken| frames.iter().all(|taken| taken.key <= last.key);
    frames.last().filter(is_newest).is_some_and(|last| last.frame.car == Some(Said::Is(Car::Running)))
}

/// What stands in the active set: the newest frame that has a say of an item decides.
pub(crate) fn listed<'a>(frames: impl Iterator<Item = &'a Taken>) -> BTreeSet<Item> {
    let mut in_order: Vec<&Taken> = frames.collect();
    in_order.sort_by_key(|taken| taken.key);
    // A status carries the whole set: what stood before it says nothing any more.
    let whole = in_order.iter().rposition(|taken| taken.frame.has_status()).unwrap_or(0);
    let mut active = BTreeSet::new();
    for Taken { frame, .. } in &in_order[whole.min(in_order.len())..] {
        for item in &frame.cleared {
            active.remove(item);
        }
        active.extend(stands_in(frame));
    }
    active
}

/// What a frame lists as active: events are moments.
pub(crate) fn stands_in(frame: &Frame) -> BTreeSet<Item> {
    let codes = frame.faults.iter().chain(&frame.alarms).copied().map(Item::Code);
    codes.chain(frame.conditions.iter().map(|name| Item::Condition(name))).collect()
}
