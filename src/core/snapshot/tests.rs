use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use super::journey::{Step, World, steps};
use super::*;
use crate::model::alert::Reason;
use crate::model::time::Elapsed;
use crate::proto::internal as wire;
use prost::Message;
use std::fmt::Debug;

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
    let config = Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        ..Config::default()
    };
    let met = RefCell::new(Met::default());
    let strategy = (steps(), any::<[prop::sample::Index; 2]>());
    TestRunner::new(config)
        .run(&strategy, |(steps, cuts)| {
            check(&steps, cuts, &mut met.borrow_mut());
            Ok(())
        })
        .unwrap();
    println!("{:?}", met);
}
