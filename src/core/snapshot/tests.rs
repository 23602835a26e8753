use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use prost::Message;

use super::journey::{Step, World, steps};
use super::*;
use crate::model::alert::Reason;
use crate::model::time::Elapsed;
use crate::proto::internal as wire;

/// What the journeys met after a restore, so that they can't pass by being empty.
#[derive(Debug, Default)]
struct Met {
    restored: u32,
    reasons: BTreeMap<Reason, u32>,
}

/// Flow: a random journey; at two moments, once what is left over is done, a core is restored from the first one's
/// snapshot and goes on beside it.
/// Asserts: the restored ones freeze to the same bytes, at once and at the end, and say the same in between.
fn check(steps: &[Step], cuts: [prop::sample::Index; 2], met: &mut Met) {
    let mut world = World::new();
    let cuts = cuts.map(|cut| cut.index(steps.len()));
    for (n, step) in steps.iter().enumerate() {
        let effects = world.take(step);
        if world.cores.len() > 1 {
            let events = effects.iter().flat_map(|effects| &effects.events);
            events.for_each(|event| *met.reasons.entry(event.reason).or_default() += 1);
        }
        if cuts.contains(&n) {
            world.settle();
            let restored = restore_the_same(&world.cores[0]);
            world.cores.push(restored);
            met.restored += 1;
        }
    }
    world.settle();
    let bytes: Vec<Vec<u8>> = world.cores.iter().map(|core| core.freeze().encode()).collect();
    assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]), "states differ at the end");
}

fn restore_the_same(core: &Core) -> Core {
    let bytes = core.freeze().encode();
    assert_is_what_the_schema_says(&bytes);
    let restored = Core::restore(bytes.clone().into()).unwrap();
    assert!(restored.is_settled());
    // A core that was restored knows its deadlines exactly; one that wasn't may look early, but never late.
    let deadline = |core: &Core| core.next_deadline().unwrap_or(Elapsed::MAX);
    assert!(deadline(core) <= deadline(&restored), "{:?} {:?}", core.next_deadline(), restored.next_deadline());
    assert!(restored.freeze().encode() == bytes, "a restored core freezes to other bytes");
    let mut restoring = Restoring::new(CORE_VERSION);
    core.freeze().pieces(|piece| restoring.take(Bytes::copy_from_slice(piece)).unwrap());
    assert!(restoring.finish().unwrap().freeze().encode() == bytes, "restored piece by piece it is another one");
    restored
}

/// The generated types write fields in the order of their numbers, as we do. So equal bytes show that every field
/// is there, with its right type, and that the shortest form was chosen.
fn assert_is_what_the_schema_says(bytes: &[u8]) {
    fn check<M: Message + Default + Debug>(bytes: &[u8]) -> M {
        let read = M::decode(bytes).unwrap();
        assert_eq!(read.encode_to_vec(), bytes, "{read:?}");
        read
    }
    let snapshot: wire::Snapshot = check(bytes);
    snapshot.lift_states.iter().for_each(|it| _ = check::<wire::LiftState>(it));
    snapshot.cylinder_states.iter().for_each(|it| _ = check::<wire::CylinderState>(it));
    snapshot.scanner_states.iter().for_each(|it| _ = check::<wire::ScannerState>(it));
}

#[test]
fn a_restored_core_goes_on_as_the_one_it_was_taken_from() {
    let config = Config { source_file: Some(file!()), ..Config::default() };
    let met = RefCell::new(Met::default());
    let strategy = (steps(), any::<[prop::sample::Index; 2]>());
    TestRunner::new(config)
        .run(&strategy, |(steps, cuts)| {
            check(&steps, cuts, &mut met.borrow_mut());
            Ok(())
        })
        .unwrap();
    let Met { restored, reasons } = met.into_inner();
    assert!(restored > 0);
    // What a restored core has to get right is what happens by time alone, and all that waits for something.
    for reason in [
        Reason::ConditionHeld,
        Reason::IngestBlind,
        Reason::CatchingUp,
        Reason::Confirmed,
        Reason::Silence,
        Reason::ConditionEnded,
        Reason::Heard,
        Reason::Operator,
        Reason::Scanned,
        Reason::SelfCheck,
    ] {
        assert!(reasons.contains_key(&reason), "no journey came to {reason:?}: {reasons:?}");
    }
}

/// Field for field, and not only by its bytes: a field that is left out is left out of both.
fn assert_same(one: &Frozen, other: &Frozen) {
    assert_eq!((one.next, &one.books, &one.hearing), (other.next, &other.books, &other.hearing));
    assert_eq!(one.policy.text, other.policy.text);
    assert_eq!((one.policy.version, one.policy.known()), (other.policy.version, other.policy.known()));
    assert!(one.lifts.iter().eq(other.lifts.iter()), "{:?} {:?}", one.lifts, other.lifts);
    assert!(one.cylinders.iter().eq(other.cylinders.iter()), "{:?} {:?}", one.cylinders, other.cylinders);
    assert!(one.scanners.iter().eq(other.scanners.iter()), "{:?} {:?}", one.scanners, other.scanners);
    assert_eq!((&one.sites, &one.firms, &one.workers), (&other.sites, &other.firms, &other.workers));
    assert_eq!(one.service, other.service);
    assert_eq!((&one.requests, &one.quota, one.today), (&other.requests, &other.quota, other.today));
}

proptest! {
    #[test]
    fn every_state_comes_back_field_for_field(frozen in arbitrary::frozen()) {
        let bytes = frozen.encode();
        assert_is_what_the_schema_says(&bytes);
        let restored = Core::restore(bytes.into()).unwrap();
        assert_same(&restored.parts(), &frozen);
    }

    #[test]
    fn damage_never_panics(frozen in arbitrary::frozen(), at: prop::sample::Index, mask in 1..=u8::MAX, cut: bool) {
        let mut bytes = frozen.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        if cut {
            bytes.truncate(at);
        }
        let _either = Core::restore(bytes.into());
    }
}

/// The errors of a snapshot that was changed, by what must stand in them.
#[test]
fn a_snapshot_that_does_not_fit_is_refused() {
    let check = |change: &dyn Fn(&mut wire::Snapshot), expected: &str| {
        let mut world = World::new();
        let steps: Vec<Step> = journey::plain(2);
        steps.iter().for_each(|step| _ = world.take(step));
        world.settle();
        let bytes = Bytes::from(world.cores[0].freeze().encode());
        let mut snapshot = wire::Snapshot::decode(bytes.clone()).unwrap();
        change(&mut snapshot);
        let changed = snapshot.encode_to_vec();
        assert_ne!(bytes, changed);
        let error = Core::restore(changed.into()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    fn lift(snapshot: &mut wire::Snapshot, change: impl FnOnce(&mut wire::LiftState)) {
        let mut lift = wire::LiftState::decode(snapshot.lift_states[1].clone()).unwrap();
        change(&mut lift);
        snapshot.lift_states[1] = lift.encode_to_vec().into();
    }
    let newer = format!("of format {}, this program reads format {FORMAT}", FORMAT + 1);
    check(&|it| it.format += 1, &newer);
    check(&|it| it.core_version += 1, "core version 2, this program's is 1");
    check(
        &|it| it.lift_states[1] = Bytes::from_static(b"\xff"),
        "lift 1 in the snapshot can't be read: it is not of the form",
    );
    check(&|it| lift(it, |it| it.code = "short".into()), "lift 1 in the snapshot can't be read: its device code is");
    check(&|it| lift(it, |it| it.runs[0].rule = 99), "its number of a rule is \"99\"");
    check(&|it| lift(it, |it| it.runs.swap(0, 1)), "its rules are not in their order");
    check(&|it| lift(it, |it| it.absence_judged_to_ms = i64::MIN), "it has a time that can't be");
    check(&|it| it.lift_states.push(it.lift_states[0].clone()), "is in it twice");
    check(
        &|it| it.books.as_mut().unwrap().names.truncate(1),
        "lift 0 in the snapshot can't be read: its number of a rule is",
    );
    check(&|it| it.policy.as_mut().unwrap().known[0].fingerprint += 1, "its rules mean something else");
    check(&|it| it.policy.as_mut().unwrap().text.as_mut().unwrap().zone = "Nowhere".into(), "have faults");
}

#[test]
fn nothing_is_no_snapshot() {
    assert_eq!(Core::restore(Bytes::new()).unwrap_err(), SnapshotError::Format { got: 0 });
}

/// An older version read the same rules otherwise: they are the same rules, and what they began goes on.
#[test]
fn a_newer_version_reads_the_rules_of_an_older_snapshot_anew() {
    let mut world = World::new();
    journey::plain(2).iter().for_each(|step| _ = world.take(step));
    world.settle();
    let bytes = world.cores[0].freeze().encode();
    let mut snapshot = wire::Snapshot::decode(bytes.as_slice()).unwrap();
    snapshot.policy.as_mut().unwrap().known[0].fingerprint += 1;
    let older = Bytes::from(snapshot.encode_to_vec());
    assert!(Core::restore(older.clone()).is_err());
    let restored = Core::restore_as(CORE_VERSION + 1, older.clone()).unwrap();
    let mut expected = wire::Snapshot::decode(bytes.as_slice()).unwrap();
    expected.core_version += 1;
    assert!(restored.freeze().encode() == expected.encode_to_vec());
    let mut restoring = Restoring::new(CORE_VERSION + 1);
    restoring.take(older).unwrap();
    assert_eq!(restoring.taken_by(), Some(CORE_VERSION));
}
