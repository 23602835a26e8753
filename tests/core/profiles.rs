//! Feeds of other vendors: judged by the profile that was in force, known again, and back after a restart.

use bytes::Bytes;
use vigil::core::Core;
use vigil::model::frame::Reported;
use vigil::model::record::{Kind, PolicyText, Record};
use vigil::model::row::{Effects, FrameRow, Order, Row};

use crate::timeline::{BEGAN, BEGAN_WALL, Timeline, lift_code, shipped};

/// Whether somebody is in the car is the other way round where `invert` says so.
fn profile(invert: bool) -> PolicyText {
    let text = format!(
        "topic = \"a/+\"\nkeep_alive = \"20s\"\ndevice = {{ from = \"/dev\" }}\nkey = \"record\"\n\
         fields.observed_at = {{ from = \"/t\", time = \"epoch_ms\" }}\n\
         fields.passenger = {{ from = \"/p\", invert = {invert} }}\n"
    );
    let mut policy = shipped();
    policy.rules.push(("profiles/a.toml".into(), text.into()));
    policy
}

fn message(records: &[(&str, i64, bool)]) -> Kind {
    let record = |(lift, at_ms, passenger): &(&str, i64, bool)| {
        format!("{{\"dev\":\"{}\",\"t\":{},\"p\":{passenger}}}", lift_code(lift), BEGAN_WALL.ms() + at_ms)
    };
    let records: Vec<String> = records.iter().map(record).collect();
    Kind::Report { topic: "a/1".into(), payload: Bytes::from(format!("[{}]", records.join(","))) }
}

fn frames(effects: &Effects) -> Vec<&FrameRow> {
    effects.rows.iter().filter_map(|row| if let Row::Frame(row) = row { Some(row) } else { None }).collect()
}

fn passengers(effects: &Effects) -> Vec<(Reported<bool>, Order)> {
    frames(effects).iter().map(|row| (row.frame.passenger, row.order)).collect()
}

const HERE: Reported<bool> = Reported::Known(true);
const NOBODY: Reported<bool> = Reported::Known(false);

#[test]
fn a_message_may_be_of_several_lifts_and_what_comes_twice_is_known() {
    let mut timeline = Timeline::new(&profile(false));
    let first = message(&[("B", 2, true), ("A", 1, true), ("B", 1, false)]);
    let effects = timeline.apply(first.clone());
    let lifts: Vec<&str> = frames(effects).iter().map(|row| row.device.as_str()).collect();
    assert_eq!(lifts, [lift_code("A"), lift_code("B"), lift_code("B")]);
    assert_eq!(passengers(effects), [(HERE, Order::Newer), (NOBODY, Order::Newer), (HERE, Order::Newer)]);
    let effects = timeline.apply(first);
    assert_eq!((frames(effects).len(), effects.tally.repeats), (0, 3));
    // Of the same ms, and not the same: as it came.
    assert_eq!(passengers(timeline.apply(message(&[("A", 1, false)]))), [(NOBODY, Order::Newer)]);
    assert_eq!(passengers(timeline.apply(message(&[("A", 0, true)]))), [(HERE, Order::Late)]);
}

#[test]
fn its_keep_alive_counts_for_silence() {
    let mut timeline = Timeline::new(&profile(false));
    timeline.apply(message(&[("A", 0, false)]));
    let lift = timeline.core.lifts().iter().next().unwrap();
    assert_eq!(lift.keep_alive_ms(&Default::default()), 20_000);
}

/// Flow: a feed is judged by a profile, and by another one after a reload; the same records are taken by a second core, which
/// is restored from a snapshot after each of them.
/// Asserts: each message is read by the profile of its time, and both cores say the same.
#[test]
fn a_replay_reads_each_message_by_the_profile_of_its_time() {
    let kinds = [
        Kind::Start { version: "test".into() },
        Kind::Policy(profile(false)),
        message(&[("A", 1, true)]),
        Kind::Policy(profile(true)),
        message(&[("A", 2, true)]),
        message(&[("A", 1, true)]),
        Kind::Policy(shipped()),
        message(&[("A", 3, true)]),
    ];
    let (mut core, mut again) = (Core::new(1), Core::new(1));
    let mut told = Vec::new();
    for (pos, kind) in (0..).zip(kinds) {
        let elapsed = BEGAN + i64::try_from(pos).unwrap();
        let record = Record { pos, elapsed, wall: BEGAN_WALL + i64::try_from(pos).unwrap(), kind };
        let effects = core.apply(&record);
        assert_eq!(again.apply(&record), effects, "{record:?}");
        again = Core::restore(Bytes::from(again.freeze().encode())).unwrap();
        told.push(effects);
    }
    assert_eq!(passengers(&told[2]), [(HERE, Order::Newer)]);
    assert_eq!(passengers(&told[4]), [(NOBODY, Order::Newer)]);
    assert_eq!((told[5].tally.repeats, frames(&told[5]).len()), (1, 0));
    let rejects: Vec<_> = told[7]
        .rows
        .iter()
        .filter_map(|row| if let Row::Reject(it) = row { Some(it.reason.name()) } else { None })
        .collect();
    assert_eq!(rejects, ["bad-topic"], "nobody takes it any more");
}
