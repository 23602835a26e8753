//! Whatever comes in: events are gapless and fold to what is open (`Timeline` checks both after every record), the core
//! comes to rest, and looking at the clock more often changes nothing.

use proptest::prelude::*;
use proptest::sample::select;
use vigil::model::alert::AlertEvent;
use vigil::model::record::{Action, Kind};

use crate::script::begin;
use crate::timeline::{Timeline, shipped};

#[derive(Debug, Clone)]
enum Op {
    /// A step of a script, without its time.
    Step(String),
    Bytes(Vec<u8>),
    /// A person acknowledges or clears the nth open alert.
    OnAlert {
        nth: usize,
        clear: bool,
    },
    /// The nth variant of the policy.
    Policy(usize),
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

fn frame() -> impl Strategy<Value = String> {
    let lift = one_of(&["A", "A", "A", "B", "C"]);
    let state = prop::collection::vec(
        one_of(&[
            "stuck",
            "stuck",
            "waiting",
            "idle",
            "runs",
            "passenger",
            "empty",
            "stopped",
            "running",
            "zone=yes",
            "zone=no",
            "door=open",
            "door=closed",
            "door=opening",
            "door=unknown",
            "mode=inspection",
            "mode=normal",
            "fault=3",
            "fault=41",
            "fault=4",
            "alarm=90",
            "event=3",
            "event=40",
            "cond=trapped",
            "cleared=trapped",
            "cleared=41,90",
            "bad=door",
            "bad=faults",
            "floor=4",
            "-",
        ]),
        1..4,
    );
    let key = one_of(&["-", "-", "-", "-", "seq=1", "seq=2", "seq=40", "boot=2", "boot=1", "boot=0 seq=3"]);
    let claimed =
        one_of(&["-", "-", "-", "-", "claimed=none", "claimed=0s", "claimed=20s", "claimed=1h", "claimed=-9d"]);
    let proto = any::<bool>();
    (lift, state, key, claimed, proto).prop_map(|(lift, state, key, claimed, proto)| {
        let proto = proto && !state.iter().any(|word| word.starts_with("bad") || word.starts_with("clear"));
        let verb = if proto { "proto" } else { "frame" };
        format!("{verb} {lift} {} {key} {claimed}", state.join(" "))
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => frame().prop_map(Op::Step),
        3 => frame().prop_map(|frame| Op::Step(frame.replace("frame", "queue").replace("proto", "queue"))),
        6 => one_of(&[
            "deliver", "link up", "link up", "link down", "drained", "drained", "markers on", "markers off", "restart", "boot A",
            "replaced A", "clock A -3h", "clock B 0s", "tick", "wall 1d", "wall -20h", "health fill=60",
            "health stalled=40s", "health dropped=1", "health dropped=2", "health",
        ]).prop_map(Op::Step),
        2 => one_of(&[
            "archive lift A due=2026-11-22 -> *", "archive lift A keep_alive=5 -> *", "archive lift B -> *",
            "archive cylinder CYL00001 due=2026-11-21 unit=FILL-01 -> *", "archive site FILL-01 filling_station -> *",
            "scan FILL-01 filled CYL00001", "scan FILL-01 inspected CYL00001", "scan FILL-01 scrapped CYL00001",
            "scan FILL-02 lost CYL00002",
        ]).prop_map(Op::Step),
        2 => (0..6usize, any::<bool>()).prop_map(|(nth, clear)| Op::OnAlert { nth, clear }),
        1 => (0..4usize).prop_map(Op::Policy),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Op::Bytes),
    ]
}

fn policy(nth: usize) -> vigil::model::record::PolicyText {
    let mut policy = shipped();
    let (_, elevator) = policy.rules.iter_mut().find(|(name, _)| &**name == "elevator.toml").unwrap();
    match nth {
        0 => {}
        1 => *elevator = elevator.replace("for = \"30s\"", "for = \"7s\"").into(),
        2 => policy.rules.truncate(1),
        _ => *elevator = "nonsense".into(),
    }
    policy
}

/// Plays it, with a tick more every so often, and gives its events.
fn play(ops: &[(i64, Op)], extra_ticks_ms: Option<i64>) -> Vec<AlertEvent> {
    let mut script = begin(Timeline::new(&shipped()));
    script.timeline.extra_ticks_ms = extra_ticks_ms;
    for (n, (pause_ms, op)) in ops.iter().enumerate() {
        let at = script.timeline.now_ms + pause_ms;
        script.timeline.advance_to(at);
        match op {
            Op::Step(step) => script.play_one(step),
            Op::Bytes(bytes) => {
                script.timeline.report("vigil/v1/elevator/3130500112201401724A/report", bytes.clone());
            }
            Op::OnAlert { nth, clear } => {
                let open = script.timeline.core.open_alerts();
                let Some(alert) = open.get(*nth).map(|alert| alert.id.clone()) else { continue };
                let action = if *clear {
                    Action::Clear { alert, note: None }
                } else {
                    Action::Acknowledge { alert, note: None }
                };
                script.timeline.command(&format!("op-{n}"), action);
            }
            Op::Policy(nth) => {
                script.timeline.apply(Kind::Policy(policy(*nth)));
            }
        }
    }
    let end = script.timeline.now_ms + 3_600_000;
    script.timeline.advance_to(end);
    script.timeline.events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn random_records_keep_what_must_always_hold(
        ops in prop::collection::vec((select(vec![0, 0, 10, 999, 3_000, 5_000, 12_000, 31_000, 61_000, 700_000]), op()), 1..60),
    ) {
        let events = play(&ops, None);
        let more_ticks = play(&ops, Some(1_700));
        prop_assert_eq!(events, more_ticks);
    }
}

/// The generator reaches what it is for.
#[test]
fn random_records_open_and_clear_alerts() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let ops = prop::collection::vec((select(vec![0, 999, 5_000, 31_000]), op()), 60..61);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let ops = ops.new_tree(&mut runner).unwrap().current();
        seen.extend(play(&ops, None).iter().map(|event| (event.kind.name(), event.reason.name())));
    }
    let reasons: std::collections::BTreeSet<&str> = seen.iter().map(|(_, reason)| *reason).collect();
    for reason in [
        "condition-held",
        "condition-unknown",
        "ingest-blind",
        "catching-up",
        "confirmed",
        "silence",
        "condition-ended",
        "already-over",
        "superseded",
        "heard",
        "operator",
        "rule-changed",
        "self-check",
    ] {
        assert!(reasons.contains(reason), "never {reason}: {seen:?}");
    }
}
