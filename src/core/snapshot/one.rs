//! A core of one lift beside the whole one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::journey::{LIFTS, Step, World, steps};
use super::*;
use crate::core::books::Now;
use crate::core::explain::{Explanation, Standing};
use crate::core::rules::Tri;

/// How often a rule stood somewhere, and why it was not open, so that the journeys can't pass by being empty.
type Met = BTreeMap<&'static str, u32>;

/// Flow: a random journey; of each lift one core takes only what bears on it, from the beginning, and another one from
/// a snapshot of that lift alone.
/// Asserts: at some moments of the journey all explain that lift alike, byte for byte.
fn check(steps: &[Step], cut: prop::sample::Index, looks: &[prop::sample::Index], met: &mut Met) {
    let mut world = World::new();
    let mut snapshot = None;
    for (n, step) in steps.iter().enumerate() {
        world.take(step);
        if n == cut.index(steps.len()) {
            world.settle();
            let core = &world.cores[0];
            snapshot = Some((core.next(), Bytes::from(core.freeze().encode())));
        }
    }
    let (cut_at, snapshot) = snapshot.expect("there is a step at least");
    let looks: Vec<usize> = looks.iter().map(|look| look.index(world.records.len())).collect();
    let devices = LIFTS.map(|code| DeviceCode::parse(code).unwrap());
    let mut whole = Core::new(1);
    let mut ones = devices.map(|_| Core::new(1));
    let mut restored: Vec<Core> = Vec::new();
    for (n, record) in world.records.iter().enumerate() {
        if record.pos == cut_at {
            restored = devices.iter().map(|device| Core::restore_one(snapshot.clone(), device).unwrap()).collect();
        }
        whole.apply(record);
        for (device, core) in devices.iter().zip(&mut ones).chain(devices.iter().zip(&mut restored)) {
            core.apply_to(record, device);
        }
        if !looks.contains(&n) {
            continue;
        }
        for at in moments(record, world.records.get(n + 1)) {
            for (device, core) in devices.iter().zip(&ones).chain(devices.iter().zip(&restored)) {
                let (all, one) = (whole.explain(device, at), core.explain(device, at));
                assert_eq!(format!("{one:#?}"), format!("{all:#?}"), "after {record:?}");
                all.iter().for_each(|explanation| note(explanation, met));
            }
        }
    }
}

/// That of a record, and half the way to the next one.
fn moments(record: &crate::model::record::Record, next: Option<&crate::model::record::Record>) -> [Now; 2] {
    let later_ms = next.map_or(10_000, |next| next.elapsed - record.elapsed) / 2;
    let now = Now { elapsed: record.elapsed, wall: record.wall };
    [now, Now { elapsed: now.elapsed + later_ms, wall: now.wall + later_ms }]
}

fn note(explanation: &Explanation, met: &mut Met) {
    for rule in &explanation.rules {
        let standing = match rule.standing {
            Standing::Idle => "idle",
            Standing::Holding { .. } => "holding",
            Standing::Open(_) => "open",
        };
        let truth = match rule.when.is {
            Tri::False => "false",
            Tri::Unknown => "unknown",
            Tri::True => "true",
        };
        for name in [standing, truth].into_iter().chain(rule.why_not.iter().map(|why| why.name())) {
            *met.entry(name).or_default() += 1;
        }
        assert_eq!(standing == "open", rule.why_not.is_empty(), "{rule:#?}");
    }
}

#[test]
fn a_core_of_one_lift_explains_as_the_whole_one_does() {
    let config = Config { source_file: Some(file!()), cases: 64, ..Config::default() };
    let met = RefCell::new(Met::default());
    let strategy = (steps(), any::<prop::sample::Index>(), any::<[prop::sample::Index; 5]>());
    TestRunner::new(config)
        .run(&strategy, |(steps, cut, looks)| {
            check(&steps, cut, &looks, &mut met.borrow_mut());
            Ok(())
        })
        .unwrap();
    let met = met.into_inner();
    for name in ["idle", "holding", "open", "false", "unknown", "true", "hold-goes-on", "suppressed", "not-silent"] {
        assert!(met.contains_key(name), "no journey came to {name}: {met:?}");
    }
}
