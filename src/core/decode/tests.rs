//! Both encodings against each other and against bytes that nobody meant to send.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::{Decoded, Items, decode};
use crate::model::frame::{Car, Direction, Door, Ended, Frame, FrameKey, Listed, Mode, Reported};
use crate::model::ids::{CylinderCode, DeviceCode, SiteCode};
use crate::model::scan::{Scan, ScanEvent};
use crate::model::time::Wall;
use crate::proto::v1;

const REPORT: &str = "vigil/v1/elevator/31305001122014017242/report";
const SCAN: &str = "vigil/v1/cylinder/6401-A/scan";

fn frames(payload: impl Into<Bytes>) -> Items<Frame> {
    match decode("vigil/v1", REPORT, &payload.into()) {
        Decoded::Frames { device, items } => {
            assert_eq!(device, DeviceCode::parse("31305001122014017242").unwrap());
            items
        }
        other => panic!("not frames: {other:?}"),
    }
}

fn scans(payload: impl Into<Bytes>) -> Items<Scan> {
    match decode("vigil/v1", SCAN, &payload.into()) {
        Decoded::Scans { site, items } => {
            assert_eq!(site, SiteCode::parse("6401-A").unwrap());
            items
        }
        other => panic!("not scans: {other:?}"),
    }
}

fn good<T>(items: Vec<T>) -> Items<T> {
    Items { good: items, ..Items::default() }
}

mod encode {
    use super::*;

    /// Of what was reported; an enum that isn't known has its own number.
    fn number<T: Copy>(reported: Reported<T>, number: fn(T) -> i32, unknown: i32) -> i32 {
        match reported {
            Reported::Absent => 0,
            Reported::Unknown => unknown,
            Reported::Known(value) => number(value),
        }
    }

    fn ended(ended: &Ended) -> String {
        match ended {
            Ended::Code(code) => format!("{code:02}"),
            Ended::Condition(name) => name.to_string(),
        }
    }

    pub(super) fn frame(frame: &Frame) -> v1::ElevatorFrame {
        v1::ElevatorFrame {
            boot: frame.key.boot,
            seq: frame.key.seq,
            observed_at_ms: frame.claimed_at.map_or(0, Wall::ms),
            mode: number(frame.mode, Mode::number, 8),
            car: number(frame.car, Car::number, 0),
            direction: number(frame.direction, Direction::number, 0),
            door_zone: frame.door_zone.known().copied(),
            door: number(frame.door, Door::number, 1),
            passenger: frame.passenger.known().copied(),
            floor: frame.floor.known().copied(),
            floor_label: frame.floor_label.known().map(ToString::to_string).unwrap_or_default(),
            load_kg: frame.load_kg.known().copied(),
            speed_mm_s: frame.speed_mm_s.known().copied(),
            runs: frame.runs.known().copied(),
            run_hours: frame.run_hours.known().copied(),
            faults: frame.faults.items.clone(),
            events: frame.events.items.clone(),
            alarms: frame.alarms.items.clone(),
            conditions: frame.conditions.items.iter().map(ToString::to_string).collect(),
            extras: frame.extras.iter().map(|(name, n)| (name.to_string(), *n)).collect::<BTreeMap<_, _>>(),
            cleared: frame.cleared.iter().map(ended).collect(),
        }
    }

    fn name<T: Copy>(reported: Reported<T>, name: fn(T) -> &'static str) -> Json {
        match reported {
            Reported::Absent => Json::Null,
            Reported::Unknown => json!("unknown"),
            Reported::Known(value) => json!(name(value)),
        }
    }

    pub(super) fn frame_json(frame: &Frame) -> Json {
        json!({
            "boot": frame.key.boot,
            "seq": frame.key.seq,
            "observed_at": frame.claimed_at.map(|at| at.to_string()),
            "mode": name(frame.mode, Mode::name),
            "car": name(frame.car, Car::name),
            "direction": name(frame.direction, Direction::name),
            "door_zone": frame.door_zone.known(),
            "door": name(frame.door, Door::name),
            "passenger": frame.passenger.known(),
            "floor": frame.floor.known(),
            "floor_label": frame.floor_label.known().map(|label| label.as_ref()),
            "load_kg": frame.load_kg.known(),
            "speed_mm_s": frame.speed_mm_s.known(),
            "runs": frame.runs.known(),
            "run_hours": frame.run_hours.known(),
            "faults": frame.faults.items,
            "events": frame.events.items.iter().map(|code| format!("{code:02}")).collect::<Vec<_>>(),
            "alarms": frame.alarms.items,
            "conditions": frame.conditions.items.iter().map(|name| name.as_ref()).collect::<Vec<_>>(),
            "extras": frame.extras.iter().map(|(name, n)| (name.as_ref(), *n)).collect::<BTreeMap<_, _>>(),
            "cleared": frame.cleared.iter().map(ended).collect::<Vec<_>>(),
        })
    }

    pub(super) fn scan(scan: &Scan) -> v1::CylinderScan {
        let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
        v1::CylinderScan {
            boot: scan.key.boot,
            seq: scan.key.seq,
            observed_at_ms: scan.claimed_at.map_or(0, Wall::ms),
            scanner: scan.scanner.to_string(),
            cylinder: scan.cylinder.to_string(),
            event: scan.event.number(),
            operator: text(&scan.operator),
            counterparty: text(&scan.counterparty),
            medium: text(&scan.medium),
            tare_g: scan.tare_g,
            gross_g: scan.gross_g,
            net_g: scan.net_g,
            pressure_kpa: scan.pressure_kpa,
            passed: scan.passed,
            findings: scan.findings.iter().map(ToString::to_string).collect(),
            latitude_e7: scan.latitude_e7,
            longitude_e7: scan.longitude_e7,
            request: text(&scan.request),
            valid_until_ms: scan.valid_until.map(Wall::ms),
        }
    }

    pub(super) fn scan_json(scan: &Scan) -> Json {
        json!({
            "boot": scan.key.boot,
            "seq": scan.key.seq,
            "observed_at_ms": scan.claimed_at.map(Wall::ms),
            "scanner": scan.scanner.as_ref(),
            "cylinder": scan.cylinder.as_str(),
            "event": scan.event.name(),
            "operator": scan.operator.as_deref(),
            "counterparty": scan.counterparty.as_deref(),
            "medium": scan.medium.as_deref(),
            "tare_g": scan.tare_g,
            "gross_g": scan.gross_g,
            "net_g": scan.net_g,
            "pressure_kpa": scan.pressure_kpa,
            "passed": scan.passed,
            "findings": scan.findings.iter().map(|text| text.as_ref()).collect::<Vec<_>>(),
            "latitude_e7": scan.latitude_e7,
            "longitude_e7": scan.longitude_e7,
            "request": scan.request.as_deref(),
            "valid_until": scan.valid_until.map(|at| at.to_string()),
        })
    }
}

mod any {
    use super::*;

    fn text(chars_max: usize) -> impl Strategy<Value = Box<str>> {
        prop::collection::vec(any::<char>().prop_filter("NUL", |c| *c != '\0'), 1..=chars_max)
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
        let extras =
            prop::collection::btree_map("[a-z0-9_]{1,64}", prop::num::f64::NORMAL | prop::num::f64::ZERO, 0..4);
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
}

fn report(frames: &[Frame]) -> Vec<u8> {
    let frames = frames.iter().map(encode::frame).collect();
    v1::ElevatorReport { frames, device: String::new() }.encode_to_vec()
}

fn in_order(mut frames: Vec<Frame>) -> Vec<Frame> {
    frames.sort_by_key(|frame| frame.key);
    frames
}

proptest! {
    #[test]
    fn frames_survive_both_encodings(sent in prop::collection::vec(any::frame(), 0..4)) {
        let json = json!({ "frames": sent.iter().map(encode::frame_json).collect::<Vec<_>>() });
        let want = good(in_order(sent.clone()));
        prop_assert_eq!(&frames(report(&sent)), &want);
        prop_assert_eq!(&frames(json.to_string()), &want);
    }

    #[test]
    fn scans_survive_both_encodings(sent in any::scan()) {
        let report = v1::ScanReport { scans: vec![encode::scan(&sent)], site: "6401-A".into() };
        let json = encode::scan_json(&sent).to_string();
        let want = good(vec![sent]);
        prop_assert_eq!(&scans(report.encode_to_vec()), &want);
        prop_assert_eq!(&scans(json), &want);
    }

    #[test]
    fn any_bytes_on_any_topic_are_only_set_aside(topic in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let is_rejected = matches!(decode("vigil/v1", &topic, &bytes), Decoded::Rejected(_));
        prop_assert!(is_rejected);
        for topic in [REPORT, SCAN] {
            check_bounds(topic, &bytes);
        }
    }

    #[test]
    fn a_damaged_frame_costs_no_neighbour(
        sent in any::frame(),
        neighbour in any::frame(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        first in any::<bool>(),
    ) {
        let mut damaged = encode::frame(&sent).encode_to_vec();
        for (at, byte) in damage {
            *at.get_mut(&mut damaged) = byte;
        }
        let whole = encode::frame(&neighbour).encode_to_vec();
        let mut payload = Vec::new();
        let order = if first { [&damaged, &whole] } else { [&whole, &damaged] };
        for frame in order {
            prost::encoding::bytes::encode(1, frame, &mut payload);
        }
        let items = frames(payload);
        prop_assert_eq!(items.good.len() + items.rejects.len(), 2);
        prop_assert!(items.good.contains(&neighbour), "{items:?}");
    }

    #[test]
    fn a_damaged_payload_is_only_set_aside(
        sent in any::frame(),
        as_json in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut payload = if as_json { encode::frame_json(&sent).to_string().into_bytes() } else { report(&[sent]) };
        for (at, byte) in damage {
            *at.get_mut(&mut payload) = byte;
        }
        check_bounds(REPORT, &Bytes::from(payload));
    }
}

/// What holds for whatever is sent: nothing that comes out is larger than it may be.
fn check_bounds(topic: &str, payload: &Bytes) {
    let rejects = match decode("vigil/v1", topic, payload) {
        Decoded::Frames { items, .. } => {
            for frame in &items.good {
                assert!(frame.key.seq > 0 && frame.invalid.is_sorted(), "{frame:?}");
                assert!(frame.extras.is_sorted_by_key(|(name, _)| name) && frame.faults.items.is_sorted(), "{frame:?}");
            }
            items.rejects
        }
        Decoded::Scans { items, .. } => items.rejects,
        Decoded::Rejected(rejected) => vec![rejected],
        other => panic!("not asked for: {other:?}"),
    };
    for reject in rejects {
        assert!(reject.detail.len() < 1_000 && reject.pointer.len() < 100, "{reject:?}");
        assert!(!reject.detail.is_empty() && !reject.detail.contains('\0'), "{reject:?}");
    }
}

fn key(boot: u32, seq: u64) -> FrameKey {
    FrameKey { boot, seq }
}

#[test]
fn a_report_is_a_list_an_array_or_one_bare_frame() {
    let want = good(vec![Frame { key: key(0, 2), ..Frame::default() }]);
    for payload in [
        r#"{"seq":2}"#,
        r#"[{"seq":2}]"#,
        r#"{"frames":[{"seq":2}]}"#,
        r#"{"device":"31305001122014017242","frames":[{"seq":2}]}"#,
        r#"{"device":"31305001122014017242","seq":2}"#,
        r#"{ "s\u0065q" : 2 , "mode" : null }"#,
    ] {
        assert_eq!(frames(payload), want, "{payload}");
    }
    assert_eq!(frames(vec![0x0a, 2, 0x10, 2]), want);
    assert_eq!(frames(""), good(Vec::new()));
}

#[test]
fn items_come_in_the_order_of_their_keys_and_equal_keys_as_sent() {
    let payload =
        r#"[{"boot":2,"seq":1},{"boot":1,"seq":9,"floor":1},{"boot":1,"seq":3},{"boot":1,"seq":9,"floor":2}]"#;
    let found: Vec<_> = frames(payload).good.iter().map(|f| (f.key.boot, f.key.seq, f.floor)).collect();
    let floor = Reported::Known;
    assert_eq!(found, [(1, 3, Reported::Absent), (1, 9, floor(1)), (1, 9, floor(2)), (2, 1, Reported::Absent)]);
}

#[test]
fn unknown_fields_are_counted_wherever_they_stand() {
    let json = r#"{"v":1,"seq":7,"frames":[{"seq":1,"x":{"y":1}},{"seq":2,"frames":[]},{"x":1}]}"#;
    assert_eq!(frames(json).unknown_fields, 5);
    // Field 9 of the report, field 22 of the frame, and a group in it.
    assert_eq!(frames(vec![0x48, 1, 0x0a, 9, 0x10, 1, 0xb0, 1, 1, 0xf3, 1, 0xf4, 1]).unknown_fields, 3);
}

#[test]
fn what_is_set_aside_is_the_item_alone() {
    let items = frames(r#"{"frames":[ {"seq":1}, {"seq":0,"mode":"normal"} , 7]}"#);
    let found: Vec<_> = items.rejects.iter().map(|r| (&*r.pointer, &r.payload[..])).collect();
    assert_eq!(found, [("/frames/1/seq", &br#"{"seq":0,"mode":"normal"}"#[..]), ("/frames/2", b"7")]);
    let items = frames(vec![0x0a, 2, 0x10, 0, 0x0a, 2, 0x10, 1]);
    assert_eq!(&items.rejects[0].payload[..], [0x10, 0]);
    assert_eq!(items.good.len(), 1);
}

#[test]
fn the_small_topics_say_what_they_say() {
    let device = DeviceCode::parse("31305001122014017242").unwrap();
    let decode = |what: &str, payload: &'static str| {
        decode("a/b", &format!("a/b/elevator/{device}/{what}"), &Bytes::from_static(payload.as_bytes()))
    };
    assert_eq!(decode("status", "online"), Decoded::Status { device, online: true });
    assert_eq!(decode("status", "offline"), Decoded::Status { device, online: false });
    assert_eq!(
        decode("result", r#"{"id":"r-1","note":[1],"ok":true,"ok":false}"#),
        Decoded::CommandResult { device, id: "r-1".into(), ok: false }
    );
}
