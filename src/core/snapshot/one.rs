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
use crate::model::ids::DeviceCode;
use crate::model::record::{Kind, Record};

/// How often a rule stood somewhere, and why it was not open, so that the journeys can't pass by being empty.
type Met = BTreeMap<&'static str, u32>;

fn restored_one(whole: &Core, device: &DeviceCode) -> Core {
    let mut restoring = Restoring::one(CORE_VERSION, device);
    whole.freeze().pieces(|piece| restoring.take(Bytes::copy_from_slice(piece)).unwrap());
    restoring.finish().unwrap()
}

/// Flow: a random journey, with or without its ticks, so that what is due may have to wait for whatever comes next; of each
/// lift one core takes only what bears on it, from the beginning, and another one from a snapshot of that lift alone.
/// Asserts: at some moments of the journey all explain that lift alike, byte for byte.
fn check(steps: &[Step], ticks: bool, cut: prop::sample::Index, looks: &[prop::sample::Index], met: &mut Met) {
    let mut world = World::new();
    steps.iter().for_each(|step| drop(world.take(step)));
    let kept = world.records.into_iter().filter(|record| ticks || record.kind != Kind::Tick);
    let records: Vec<Record> = (0..).zip(kept).map(|(pos, record)| Record { pos, ..record }).collect();
    let looks: Vec<usize> = looks.iter().map(|look| look.index(records.len())).collect();
    let cut = cut.index(records.len());
    let devices = LIFTS.map(|code| DeviceCode::parse(code).unwrap());
    let mut whole = Core::new(1);
    let mut ones = devices.map(|_| Core::new(1));
    let mut restored: Vec<Core> = Vec::new();
    for (n, record) in records.iter().enumerate() {
        if n >= cut && restored.is_empty() && whole.is_settled() {
            restored = devices.iter().map(|device| restored_one(&whole, device)).collect();
            *met.entry("restored").or_default() += 1;
        }
        whole.apply(record);
        for (device, core) in devices.iter().zip(&mut ones).chain(devices.iter().zip(&mut restored)) {
            core.apply_to(record, device);
            assert!(core.lifts().iter().all(|lift| lift.code == *device), "of others it holds nothing");
            assert!(core.cylinders.is_empty() && core.scanners.is_empty());
        }
        if !looks.contains(&n) {
            continue;
        }
        for at in moments(record, records.get(n + 1)) {
            for (device, core) in devices.iter().zip(&ones).chain(devices.iter().zip(&restored)) {
                let (all, one) = (whole.explain(device, at), core.explain(device, at));
                assert_eq!(format!("{one:#?}"), format!("{all:#?}"), "after {record:?}");
                all.iter().for_each(|explanation| note(explanation, met));
            }
        }
    }
}

/// That of a record, and half the way to the next one.
fn moments(record: &Record, next: Option<&Record>) -> [Now; 2] {
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
    let strategy = (steps(), any::<bool>(), any::<prop::sample::Index>(), any::<[prop::sample::Index; 5]>());
    TestRunner::new(config)
        .run(&strategy, |(steps, ticks, cut, looks)| {
            check(&steps, ticks, cut, &looks, &mut met.borrow_mut());
            Ok(())
        })
        .unwrap();
    let met = met.into_inner();
    for name in [
        "restored",
        "idle",
        "holding",
        "open",
        "false",
        "unknown",
        "true",
        "hold-goes-on",
        "suppressed",
        "not-silent",
        "too-few",
    ] {
        assert!(met.contains_key(name), "no journey came to {name}: {met:?}");
    }
}
