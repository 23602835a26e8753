//! Many at once, and what is bounded.

use std::collections::BTreeMap;

use vigil::core::Core;
use vigil::limits;

use vigil::model::record::{Kind, Record};
use vigil::model::row::{Order, Row, TimeSource};
use vigil::model::time::{Elapsed, Wall};

use crate::script::check;
use crate::timeline::{BEGAN, Timeline, shipped};

fn code(n: usize) -> String {
    format!("313050011220140{n:05}")
}

#[test]
fn a_clock_out_of_its_mind_does_not_make_days_turn_without_end() {
    for wall in [i64::MIN, -1, Wall::LAST.ms(), i64::MAX] {
        let mut core = Core::new(1);
        for (pos, elapsed) in [(0, 0), (1, 1)] {
            let _effects = core.apply(&Record { pos, elapsed: Elapsed(elapsed), wall: Wall(wall), kind: Kind::Tick });
        }
        assert!(core.is_settled(), "{wall}");
    }
}

const STUCK: &str =
    r#""boot":1,"passenger":true,"car":"stopped","door_zone":false,"door":"closed","mode":"normal","floor":1"#;

fn report(timeline: &mut Timeline, n: usize, seq: u64) {
    let topic = format!("vigil/v1/elevator/{}/report", code(n));
    let claimed = timeline.wall().ms();
    timeline.append(Kind::Report {
        topic: topic.into(),
        payload: format!(r#"{{{STUCK},"seq":{seq},"observed_at_ms":{claimed}}}"#).into(),
    });
}

#[test]
fn thousands_at_once_are_fired_in_bounded_steps_and_in_order() {
    const LIFTS: usize = 600;
    let mut timeline = Timeline::new(&shipped());
    timeline.unchecked = true;
    // In an order that is neither theirs nor that of their codes; every third is due a moment later.
    for n in (0..LIFTS).map(|n| n * 7 % LIFTS) {
        report(&mut timeline, n, 1);
        if n % 3 == 0 {
            timeline.now_ms += 1;
        }
    }
    // The shell is late: all are due by now.
    timeline.now_ms = 40_000;
    let mut most = 0;
    let mut ticks = 0;
    while ticks == 0 || !timeline.core.is_settled() {
        timeline.append(Kind::Tick);
        ticks += 1;
        most = most.max(timeline.effects.events.len());
    }
    assert!((3..10).contains(&ticks), "{ticks} ticks");
    assert!(most <= limits::FIRES_PER_RECORD + 1, "{most} events in one record");
    let at: Vec<i64> = timeline
        .events
        .iter()
        .filter(|event| event.alert.id.rule.as_str() == "trapped-out-of-zone")
        .map(|event| event.at.ms())
        .collect();
    assert_eq!(at.len(), LIFTS);
    assert!(at.is_sorted(), "not in the order of their deadlines");
}

#[test]
fn a_link_that_was_broken_makes_no_lift_offline() {
    let mut timeline = Timeline::new(&shipped());
    timeline.unchecked = true;
    for n in 0..1_000 {
        report(&mut timeline, n, 1);
    }
    timeline.advance_to(60_000);
    timeline.link_down();
    timeline.advance_to(24 * 3_600_000);
    timeline.link_up();
    timeline.drained();
    timeline.advance_to(24 * 3_600_000 + 100_000);
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    for event in &timeline.events {
        *count.entry(event.alert.id.rule.to_string()).or_default() += 1;
    }
    assert_eq!((count.get("offline"), count["ingest-blind"]), (None, 2), "{count:?}");
}

#[test]
fn a_report_of_a_thousand_frames_is_taken_whole() {
    let mut script = check("0s frame A idle");
    let began = script.timeline.wall().ms();
    script.timeline.now_ms = 1_000_000;
    let frames: Vec<String> = (0..limits::REPORT_ITEMS)
        .rev()
        .map(|n| format!(r#"{{{STUCK},"seq":{},"observed_at_ms":{}}}"#, n + 2, began + n as i64 * 1_000))
        .collect();
    let topic = "vigil/v1/elevator/3130500112201401724A/report";
    script.timeline.markers(true);
    script.timeline.report(topic, format!("[{}]", frames.join(",")));
    assert_eq!(script.timeline.effects.tally.frames, 1_000);
    let orders = script.timeline.rows.iter().filter(|row| matches!(row, Row::Frame(f) if f.order == Order::Newer));
    assert_eq!(orders.count(), 1_001);
    let of_rule = script.timeline.events.iter().filter(|event| event.alert.id.rule.as_str() == "trapped-out-of-zone");
    let kinds: Vec<&str> = of_rule.map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["opened", "raised"], "opened by the backlog, confirmed by its last frame");
    // One more is too many: the whole report is set aside.
    let report = format!("[{},{{{STUCK},\"seq\":5000}}]", frames.join(","));
    script.timeline.report(topic, report);
    assert_eq!(script.timeline.effects.tally.rejects(), 1);
}

#[test]
fn rejects_have_a_quota_by_topic() {
    let mut script = check("0s end");
    let kept = |script: &crate::script::Script| {
        script.timeline.rows.iter().filter(|row| matches!(row, Row::Reject(_))).count()
    };
    for _ in 0..150 {
        script.timeline.report("vigil/v1/elevator/3130500112201401724A/report", "{");
    }
    assert_eq!(kept(&script), 100);
    script.timeline.report("vigil/v1/elevator/3130500112201401724B/report", "{");
    assert_eq!(kept(&script), 101);
    script.play("1h end");
    script.timeline.report("vigil/v1/elevator/3130500112201401724A/report", "{");
    assert_eq!(kept(&script), 102);
    // A neighbour of something bad lives.
    script.timeline.report(
        "vigil/v1/elevator/3130500112201401724A/report",
        r#"[{"seq":0},{"boot":1,"seq":1,"faults":[41]},{"boot":1,"seq":"x"}]"#,
    );
    assert_eq!(kept(&script), 104);
    script.play("1h expect opened A power-lost");
}

#[test]
fn history_shows_when_and_in_which_order() {
    let script = check(
        "0s     frame A floor=1 seq=1000
         10s    frame A floor=1 seq=999 claimed=9s
         20s    frame A floor=1 seq=100 claimed=2s
         30s    frame A floor=1 seq=1001 claimed=none
         40s    frame A floor=1 seq=1002 claimed=-8d
         40s    expect opened A clock-wrong",
    );
    let rows: Vec<_> = script
        .timeline
        .rows
        .iter()
        .filter_map(|row| if let Row::Frame(frame) = row { Some(frame) } else { None })
        .map(|row| (row.order, row.time_source, row.effective_at - crate::timeline::BEGAN_WALL))
        .collect();
    let want = [
        (Order::Newer, TimeSource::Claimed, 0),
        (Order::Late, TimeSource::Claimed, 9_000),
        (Order::VeryLate, TimeSource::Claimed, 2_000),
        (Order::Newer, TimeSource::Absent, 30_000),
        (Order::Newer, TimeSource::Wrong, 40_000),
    ];
    assert_eq!(rows, want);
}

#[test]
fn ticks_are_wanted_only_when_something_is_due() {
    let mut script = check("0s frame A idle \n 3m expect opened A offline");
    script.play("10m frame A idle \n 10m expect cleared A offline");
    // Markers alone keep it awake: a quiet hour needs only what is due by the clock.
    let before = script.timeline.ticks;
    script.play("13m expect opened A offline \n 70m end");
    assert!(script.timeline.ticks - before <= 10, "{} ticks", script.timeline.ticks - before);
    assert_eq!(script.timeline.core.now().elapsed, Elapsed(BEGAN.ms() + 4_200_000));
}
