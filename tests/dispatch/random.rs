//! Random rescues: whatever people, sensors, time and restarts do, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use vigil::core::dispatch::kpi;
use vigil::model::incident::{Incident, IncidentEvent, IncidentId, State, Step, StepKind, Tier, What, Whom};
use vigil::model::record::Outcome;

use crate::moves::{step_of, table};
use crate::world::{ACCEPT_MS, MINUTE_MS, URBAN_MS, World};

#[derive(Debug, Clone)]
enum Op {
    Wait(i64),
    Frame(&'static str, bool),
    Call(&'static str),
    /// On the n-th incident.
    Step(usize, StepKind),
    Send(usize, Tier),
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let lift = || select(vec!["A", "B"]);
    prop_oneof![
        3 => select(vec![1_000, 31_000, MINUTE_MS, ACCEPT_MS, ACCEPT_MS + 1, URBAN_MS]).prop_map(Op::Wait),
        2 => (lift(), any::<bool>()).prop_map(|(lift, trapped)| Op::Frame(lift, trapped)),
        1 => lift().prop_map(Op::Call),
        6 => (0..4_usize, select(StepKind::ALL)).prop_map(|(nth, kind)| Op::Step(nth, kind)),
        2 => (0..4_usize, select(Tier::ALL)).prop_map(|(nth, tier)| Op::Send(nth, tier)),
        1 => Just(Op::Restart),
    ]
}

fn carry_out(world: &mut World, op: &Op) {
    let ids: BTreeSet<IncidentId> = world.timeline.incidents.iter().map(|event| event.incident.id).collect();
    // The latest are those with which something can still be done.
    let nth = |nth: usize| ids.iter().rev().nth(nth % ids.len().max(1)).copied();
    match op {
        Op::Wait(ms) => world.advance(*ms),
        Op::Frame(lift, trapped) => world.frame(lift, *trapped),
        Op::Call(lift) => _ = world.call(lift),
        Op::Restart => world.restart(),
        Op::Step(at, kind) => try_step(world, nth(*at), step_of(*kind)),
        Op::Send(at, tier) => try_step(world, nth(*at), Step::Command(Whom { tier: *tier, id: None })),
    }
}

/// Whether it is possible is the table's to say, but that nobody may be known of a tier.
fn try_step(world: &mut World, id: Option<IncidentId>, step: Step) {
    let Some(id) = id else { return };
    let state = world.state(id);
    let legal = table().iter().any(|(of, kind, to)| (*of, *kind) == (state, step.kind()) && to.is_some());
    match world.step(id, step) {
        Outcome::Incident { incident, .. } => assert!(legal && incident == id),
        Outcome::Precondition { .. } => assert!(!legal),
        Outcome::NotFound { .. } => assert!(legal),
        other => panic!("{other:?}"),
    }
}

/// How the timeline reads: what each entry makes of the state, by the words of the specification.
fn check_timeline(told: &[&IncidentEvent]) {
    let mut state = None;
    let mut deadline: Option<i64> = None;
    let mut last_ms = 0;
    for (nth, event) in told.iter().enumerate() {
        let (entry, now) = (&event.entry, event.entry.since_ms);
        assert!(now >= last_ms, "time runs on");
        assert_eq!(event.incident.entries as usize, nth + 1, "nothing is missing from the timeline");
        assert!(deadline.is_none_or(|by| now <= by), "an answer was due at {deadline:?}: {entry:?}");
        last_ms = now;
        let before = state;
        state = Some(match entry.what {
            What::Received => State::Received,
            What::Commanded => State::Commanded,
            What::Accepted => State::Accepted,
            What::Declined => State::Received,
            What::TurnedOut => State::TurnedOut,
            What::Arrived => State::Arrived,
            What::Freed => State::Freed,
            What::Closed => State::Closed,
            What::FalseAlarm => State::FalseAlarm,
            _ => before.expect("the first entry is how it was received"),
        });
        assert_eq!(Some(event.incident.state), state, "{entry:?}");
        assert_eq!(nth == 0, entry.what == What::Received);
        if entry.what == What::Unanswered {
            assert_eq!(deadline, Some(now), "to the ms");
        }
        match entry.what {
            What::Commanded => deadline = Some(now + ACCEPT_MS),
            What::Unanswered | What::Accepted | What::Declined => deadline = None,
            _ if state.is_some_and(|state| !state.is_pending()) => deadline = None,
            _ => {}
        }
    }
}

/// Sum, count and number of all spans of one kind, from the entries alone.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reckoned {
    response: (i64, u64, u64),
    arrival: (i64, u64, u64),
    rescue: (i64, u64),
    turnouts: (u64, u64),
    false_alarms: (u64, u64),
}

fn reckon(timelines: &BTreeMap<IncidentId, Vec<&IncidentEvent>>) -> Reckoned {
    let mut all = Reckoned::default();
    for told in timelines.values() {
        let at = |what: What| told.iter().find(|event| event.entry.what == what).map(|event| event.entry.since_ms);
        let is_false = at(What::FalseAlarm).is_some();
        let mut answers: Option<i64> = None;
        let mut turned_out = true;
        for event in told {
            let now = event.entry.since_ms;
            match event.entry.what {
                What::Commanded => {
                    (answers, turned_out) = (Some(now), false);
                    all.response.2 += 1;
                    all.turnouts.1 += 1;
                }
                What::Accepted => {
                    all.response.0 += now - answers.take().unwrap();
                    all.response.1 += 1;
                }
                // Who takes over was not commanded: what they do counts for nobody.
                What::HandedOver => turned_out = true,
                What::TurnedOut | What::Arrived if !turned_out => {
                    turned_out = true;
                    all.turnouts.0 += 1;
                }
                _ => {}
            }
        }
        if at(What::Commanded).is_some() && !is_false {
            all.arrival.2 += 1;
            if let Some(arrived) = at(What::Arrived) {
                all.arrival.0 += arrived;
                all.arrival.1 += 1;
                if let Some(freed) = at(What::Freed) {
                    all.rescue.0 += freed - arrived;
                    all.rescue.1 += 1;
                }
            }
        }
        if is_false || at(What::Closed).is_some() {
            all.false_alarms.0 += u64::from(is_false);
            all.false_alarms.1 += 1;
        }
    }
    all
}

fn mean(sum: i64, count: u64) -> Option<i64> {
    (count > 0).then(|| sum / count as i64)
}

fn check(ops: &[Op], automatic: bool) -> BTreeSet<State> {
    let mut world = World::new(automatic);
    ops.iter().for_each(|op| carry_out(&mut world, op));
    world.restart();
    let mut timelines: BTreeMap<IncidentId, Vec<&IncidentEvent>> = BTreeMap::new();
    for event in &world.timeline.incidents {
        timelines.entry(event.incident.id).or_default().push(event);
    }
    timelines.values().for_each(|told| check_timeline(told));
    // What a restart knows of the timelines is what was told.
    assert_eq!(world.timeline.core.incident_events(), world.timeline.incidents);

    let incidents: Vec<Incident> = timelines.keys().map(|id| world.incident(*id)).collect();
    let (kpis, hand) = (kpi::reckon(&incidents), reckon(&timelines));
    let (response, arrival, rescue) = (&kpis.response, &kpis.arrival, &kpis.rescue);
    assert_eq!((response.mean_ms(), response.count(), response.of), {
        (mean(hand.response.0, hand.response.1), hand.response.1, hand.response.2)
    });
    assert_eq!((arrival.mean_ms(), arrival.count(), arrival.of), {
        (mean(hand.arrival.0, hand.arrival.1), hand.arrival.1, hand.arrival.2)
    });
    assert_eq!((rescue.mean_ms(), rescue.count()), (mean(hand.rescue.0, hand.rescue.1), hand.rescue.1));
    assert_eq!((kpis.turnouts.numerator, kpis.turnouts.denominator), hand.turnouts);
    assert_eq!((kpis.false_alarm.numerator, kpis.false_alarm.denominator), hand.false_alarms);
    world.timeline.incidents.iter().map(|event| event.incident.state).collect()
}

#[test]
fn no_order_of_things_leads_astray() {
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let met = std::cell::RefCell::new(BTreeSet::new());
    runner
        .run(&(vec(op(), 1..80), any::<bool>()), |(ops, automatic)| {
            met.borrow_mut().extend(check(&ops, automatic));
            Ok(())
        })
        .unwrap();
    assert_eq!(met.into_inner().len(), State::ALL.len(), "some rescue comes to each state");
}
