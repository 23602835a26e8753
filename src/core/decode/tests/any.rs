//! Any frame and any scan that may be sent.

use proptest::prelude::*;

use crate::model::frame::{Car, Direction, Door, Ended, Frame, FrameKey, Listed, Mode, Reported};
use crate::model::ids::CylinderCode;
use crate::model::scan::{Scan, ScanEvent};
use crate::model::time::Wall;

fn text(chars_max: usize) -> impl Strategy<Value = Box<str>> {
    prop::collection::vec(any::<char>().prop_map(|c| if c == '\0' { '0' } else { c }), 1..=chars_max)
        .prop_map(|chars| chars.into_iter().collect::<String>().into())
}

fn reported<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Reported<T>> {
    prop_oneof![Just(Reported::Absent), value.prop_map(Reported::Known)]
}

fn choice<T: Copy + std::fmt::Debug + 'static>(
    all: &'static [T],
    with_unknown: bool,
) -> impl Strategy<Value = Reported<T>> {
    (any::<bool>(), reported(prop::sample::select(all)))
        .prop_map(move |(unknown, value)| if unknown && with_unknown { Reported::Unknown } else { value })
}

fn codes() -> impl Strategy<Value = Listed<u32>> {
    prop::collection::btree_set(1..=u32::MAX, 0..5)
        .prop_map(|set| Listed { items: set.into_iter().collect(), partial: false })
}

fn key() -> impl Strategy<Value = FrameKey> {
    (any::<u32>(), 1..=i64::MAX as u64).prop_map(|(boot, seq)| FrameKey { boot, seq })
}

fn time() -> impl Strategy<Value = Option<Wall>> {
    prop::option::of((1..=Wall::LAST.ms()).prop_map(Wall))
}

pub(super) fn frame() -> impl Strategy<Value = Frame> {
    let status = (
        choice(Mode::ALL, true),
        choice(Car::ALL, false),
        choice(Direction::ALL, false),
        reported(any::<bool>()),
        choice(Door::ALL, true),
        reported(any::<bool>()),
    );
    let measured = (
        reported(any::<i32>()),
        reported(text(8)),
        reported(any::<u32>()),
        reported(any::<i32>()),
        reported(0..=i64::MAX as u64),
        reported(any::<u32>()),
    );
    let condition = || prop_oneof![text(64), Just("trapped".into())];
    let conditions = prop::collection::btree_set(condition(), 0..4);
    let extras = prop::collection::btree_map("[a-z0-9_]{1,64}", prop::num::f64::NORMAL | prop::num::f64::ZERO, 0..4);
    let ended = prop_oneof![
        (1..=u32::MAX).prop_map(Ended::Code),
        condition()
            .prop_filter("reads as a code", |text| !text.bytes().all(|b| b.is_ascii_digit()))
            .prop_map(Ended::Condition)
    ];
    let lists = (codes(), codes(), codes(), conditions, extras, prop::collection::btree_set(ended, 0..4));
    (key(), time(), status, measured, lists).prop_map(|(key, claimed_at, status, measured, lists)| {
        let (mode, car, direction, door_zone, door, passenger) = status;
        let has_status = mode.is_present()
            || car.is_present()
            || direction.is_present()
            || door_zone.is_present()
            || door.is_present()
            || passenger.is_present();
        let door_zone = if car == Reported::Known(Car::Running) { Reported::Absent } else { door_zone };
        let (floor, floor_label, load_kg, speed_mm_s, runs, run_hours) = measured;
        let (faults, events, alarms, conditions, extras, cleared) = lists;
        Frame {
            key,
            claimed_at,
            mode,
            car,
            direction,
            door_zone,
            door,
            passenger,
            floor,
            floor_label,
            load_kg,
            speed_mm_s,
            runs,
            run_hours,
            faults,
            events,
            alarms,
            conditions: Listed { items: conditions.into_iter().collect(), partial: false },
            extras: extras.into_iter().map(|(name, n)| (name.into(), n)).collect(),
            cleared: cleared.into_iter().collect(),
            has_status,
            invalid: Vec::new(),
        }
    })
}

pub(super) fn scan() -> impl Strategy<Value = Scan> {
    let names = (
        text(32),
        "[0-9A-Z-]{8,32}".prop_map(|code| CylinderCode::parse(&code).unwrap()),
        prop::sample::select(ScanEvent::ALL),
        prop::option::of(text(64)),
        prop::option::of(text(64)),
        prop::option::of(text(64)),
        prop::option::of(text(64)),
    );
    let weights = prop::array::uniform4(prop::option::of(any::<u32>()));
    let place = (
        prop::option::of(-900_000_000..=900_000_000),
        prop::option::of(-1_800_000_000..=1_800_000_000),
        prop::option::of(any::<bool>()),
        prop::collection::vec(text(64), 0..4),
        prop::option::of((0..=Wall::LAST.ms()).prop_map(Wall)),
    );
    (key(), time(), names, weights, place).prop_map(|(key, claimed_at, names, weights, place)| {
        let (scanner, cylinder, event, operator, counterparty, medium, request) = names;
        let [tare_g, gross_g, net_g, pressure_kpa] = weights;
        let (latitude_e7, longitude_e7, passed, findings, valid_until) = place;
        Scan {
            scanner,
            key,
            claimed_at,
            cylinder,
            event,
            operator,
            counterparty,
            medium,
            tare_g,
            gross_g,
            net_g,
            pressure_kpa,
            passed,
            findings,
            latitude_e7,
            longitude_e7,
            request,
            valid_until,
            invalid: Vec::new(),
        }
    })
}
