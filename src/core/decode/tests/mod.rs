//! Both encodings against each other and against bytes that nobody meant to send.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::{Decoded, Items, decode};
use crate::model::frame::{Frame, FrameKey, Reported};
use crate::model::ids::{DeviceCode, SiteCode};
use crate::model::scan::Scan;
use crate::proto::v1;

mod any;
mod encode;

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
    fn a_bad_member_costs_no_neighbour_and_no_alarm(
        sent in any::frame(),
        neighbour in any::frame(),
        member in any::<prop::sample::Index>(),
        junk in prop::sample::select(vec![
            "1e999", "-1", "1.0", "18446744073709551616", "true", "null", "{}", "[[]]", "[1e999]", r#"{"":0}"#, r#""""#,
            r#""\ud800""#, r#""\u0000""#, r#"["\u0000"]"#, r#""a text that is longer than any text of a frame may be, whatever it says""#,
        ]),
    ) {
        let mut members = serde_json::Map::new();
        members.append(encode::frame_json(&sent).as_object_mut().unwrap());
        let name = member.get(&members.keys().cloned().collect::<Vec<_>>()).clone();
        members.remove(&name);
        let rest = Json::Object(members).to_string();
        let damaged = format!(r#"{{"{name}":{junk},{}"#, &rest[1..]);
        let items = frames(format!("[{damaged},{}]", encode::frame_json(&neighbour)));
        prop_assert!(items.good.contains(&neighbour), "{items:?}");
        let is_identity = ["boot", "seq", "observed_at"].contains(&name.as_str());
        prop_assert!(is_identity || items.rejects.is_empty(), "{items:?}");
        if !is_identity {
            let same = |frame: &&Frame| (frame.key, frame.claimed_at) == (sent.key, sent.claimed_at);
            let kept = items.good.iter().find(same).expect("it is kept under its own key");
            prop_assert!(name == "alarms" || kept.alarms == sent.alarms || sent.key == neighbour.key, "{items:?}");
        }
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
