//! Random rescues: whatever people, sensors, time and restarts do, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use vigil::core::dispatch::kpi::{self, Kpis, Rate, Spans};
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
    /// The archive learns, or forgets, who maintains lift B.
    Contract(bool),
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
        1 => any::<bool>().prop_map(Op::Contract),
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
        Op::Contract(holds) => world.contract("B", *holds),
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
            What::Received | What::Commanded | What::Declined => deadline = Some(now + ACCEPT_MS),
            What::Unanswered | What::Accepted => deadline = None,
            _ if state.is_some_and(|state| !state.is_pending()) => deadline = None,
            _ => {}
        }
    }
}

/// All spans of one kind, and of how many it could be known.
#[derive(Debug, Default)]
struct Reckoned {
    ms: Vec<i64>,
    of: u64,
}

impl Reckoned {
    fn note(&mut self, ms: Option<i64>) {
        self.of += 1;
        self.ms.extend(ms);
    }

    /// The mean, the middle, and the least that nine of ten don't exceed: each by what it means.
    fn check(&self, what: &str, got: &Spans) {
        let (mut ms, count) = (self.ms.clone(), self.ms.len() as i64);
        ms.sort();
        let middle = ms.get(ms.len() / 2).map(|upper| (ms[(ms.len() - 1) / 2] + upper) / 2);
        let p90 = ms.iter().find(|most| 10 * ms.iter().filter(|ms| ms <= most).count() as i64 >= 9 * count).copied();
        let mean = (count > 0).then(|| ms.iter().sum::<i64>() / count);
        let wanted = (self.of, count as u64, mean, middle, p90);
        assert_eq!((got.of, got.count(), got.mean_ms(), got.median_ms(), got.p90_ms()), wanted, "{what}");
    }
}

type Rates = BTreeMap<Box<str>, Rate>;

/// From the entries alone.
#[derive(Debug, Default)]
struct Hand {
    response: Reckoned,
    turnout: Reckoned,
    arrival: Reckoned,
    rescue: Reckoned,
    /// Everything that is counted.
    kpis: Kpis,
}

fn hit(rate: &mut Rate, is_hit: bool) {
    rate.denominator += 1;
    if is_hit {
        rate.numerator += 1;
    }
}

/// From a command on: the answer, and the first turn-out or arrival of whoever went upon it, also of who took over.
fn reckon_command(hand: &mut Hand, from: &[&IncidentEvent]) {
    let commanded = from[0].entry.since_ms;
    let upon: Vec<_> = from[1..].iter().take_while(|event| event.entry.what != What::Commanded).collect();
    let first = |whats: &[What]| upon.iter().find(|event| whats.contains(&event.entry.what)).map(|event| &event.entry);
    hand.response.note(first(&[What::Accepted]).map(|entry| entry.since_ms - commanded));
    let went = first(&[What::TurnedOut, What::Arrived]);
    hit(&mut hand.kpis.turnouts, went.is_some());
    let turned_out = went.filter(|entry| entry.what == What::TurnedOut);
    hand.turnout.note(turned_out.map(|entry| entry.since_ms - commanded));
}

fn reckon(timelines: &BTreeMap<IncidentId, Vec<&IncidentEvent>>) -> Hand {
    let mut hand = Hand::default();
    for told in timelines.values() {
        let at = |what: What| told.iter().find(|event| event.entry.what == what).map(|event| event.entry.since_ms);
        let (is_false, is_closed) = (at(What::FalseAlarm).is_some(), at(What::Closed).is_some());
        let commands = (0..told.len()).filter(|nth| told[*nth].entry.what == What::Commanded);
        commands.for_each(|nth| reckon_command(&mut hand, &told[nth..]));
        if at(What::Commanded).is_some() && !is_false {
            hand.arrival.note(at(What::Arrived));
            let is_late = at(What::ArrivalLate).is_some();
            hit(&mut hand.kpis.in_time, at(What::Arrived).is_some() && !is_late);
            if let Some(arrived) = at(What::Arrived) {
                hand.rescue.note(at(What::Freed).map(|freed| freed - arrived));
            }
        }
        let kpis = &mut hand.kpis;
        kpis.incidents += 1;
        kpis.freed += u64::from(at(What::Freed).is_some());
        kpis.false_alarms += u64::from(is_false);
        kpis.going += u64::from(!is_false && !is_closed);
        let endings = told.iter().filter_map(|event| event.entry.ending.as_ref());
        kpis.persons_freed += endings.map(|ending| u64::from(ending.persons_freed)).sum::<u64>();
        if is_false || is_closed {
            hit(&mut kpis.false_alarm, is_false);
            let scene = told.iter().filter_map(|event| event.entry.scene.as_deref()).next_back().unwrap();
            let mut by = |rates: fn(&mut Kpis) -> &mut Rates, name: Option<&str>| {
                hit(rates(kpis).entry(name.unwrap_or_default().into()).or_default(), is_false);
            };
            by(|it| &mut it.false_alarm_by_rule, scene.rule.as_ref().map(|rule| rule.as_str()));
            by(|it| &mut it.false_alarm_by_firm, scene.firm.as_ref().map(|firm| firm.as_str()));
            by(|it| &mut it.false_alarm_by_terminal, scene.terminal.as_deref().map(|_| "T-100"));
        }
    }
    hand
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
    hand.response.check("response", &kpis.response);
    hand.turnout.check("turnout", &kpis.turnout);
    hand.arrival.check("arrival", &kpis.arrival);
    hand.rescue.check("rescue", &kpis.rescue);
    let spans = Kpis::default();
    let (response, turnout, arrival, rescue) = (spans.response, spans.turnout, spans.arrival, spans.rescue);
    assert_eq!(Kpis { response, turnout, arrival, rescue, ..kpis }, hand.kpis);
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
