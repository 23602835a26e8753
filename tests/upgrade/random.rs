//! Any tail, any two versions, any crash.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use vigil::journal::memory::Crash;
use vigil::spine::takeover::Way;

use crate::world::{self, House, Judging, Life, NEW, OLD, effects, frames, judging, live, told};

const CONDITIONS: &[&str] = &["fault(1)", "fault(2)", "fault(1) || fault(2)", "false"];
const STEPS: &[&str] = &["A", "A 1", "A 2", "A 1 2", "B", "B 1", "B 2", "Z", "Z 9", "-", "-", "archive A", "archive Z"];
const HELD: &[&str] = &["0s", "8s", "20s"];
const PREFIXES: &[&str] = &["vigil/v1", "vigil/v1", "elsewhere"];
const CRASHES: &[Crash] = &[Crash::Process, Crash::Machine, Crash::Torn];

fn any_judging() -> impl Strategy<Value = Judging> {
    (select(CONDITIONS), select(HELD), select(PREFIXES)).prop_map(|(when, held, prefix)| Judging {
        held,
        prefix,
        ..judging(when)
    })
}

fn any_tail() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(STEPS), 1..12).prop_map(|steps| steps.join(";"))
}

/// Which sync fails (0: none), of the inbox or the outbox, and what is lost with it.
type Kill = (u64, bool, Crash);

fn any_kill() -> impl Strategy<Value = Kill> {
    (0..6_u64, any::<bool>(), select(CRASHES))
}

/// What the lives met, so that they can't pass by being dull.
#[derive(Debug, Default)]
struct Met {
    killed: u32,
    corrected: u32,
    same: u32,
}

/// Flow: an old version lives and ends, its outbox more or less short; a new one starts, is killed at some sync or not
/// at all, starts again, and goes on.
/// Asserts: as for each single case, whatever came before.
fn check(
    (old, own): (Judging, Judging),
    tail: &str,
    (lost, with_snapshot): (Index, bool),
    (nth, of_inbox, crash): Kill,
    met: &mut Met,
) {
    let (left, alone) = (live(OLD, old, tail), live(NEW, own, tail));
    let snapshot = with_snapshot.then_some(left.snapshots[0].as_slice());
    // What came before the snapshot was synced with it.
    let kept_least = if with_snapshot { 2 } else { 0 };
    let house = House::of(&left, own, lost.index(left.outbox.len() - kept_least + 1));
    if nth > 0 {
        let failing = if of_inbox { &house.inbox } else { &house.outbox };
        failing.fail_sync(nth);
        if let Ok((spine, _)) = house.open(NEW, snapshot) {
            // The failure didn't come in time, and would come at any time later.
            return world::check(&spine);
        }
        met.killed += 1;
        house.inbox.crash(crash);
        house.outbox.crash(crash);
    }
    let (spine, replayed) = house.open(NEW, snapshot).unwrap();
    world::check(&spine);
    match replayed.takeover.unwrap().way {
        Way::Corrected { .. } => met.corrected += 1,
        Way::SameEvents | Way::Snapshot => met.same += 1,
    }
    let (stored, wanted) = (frames(&told(&spine)), frames(&effects(&alone.outbox)));
    assert!(wanted.iter().all(|frame| stored.contains(frame)), "{stored:?} lacks some of {wanted:?}");
    let mut life = Life::new(spine, left.seq);
    life.steps("A 1;B 2;-;-;A;Z");
    world::check(&life.spine);
}

#[test]
fn readers_end_where_the_core_stands() {
    let config = Config { source_file: Some(file!()), ..Config::default() };
    let met = RefCell::new(Met::default());
    let versions = (any_judging(), any_judging());
    let strategy = (versions, any_tail(), (any::<Index>(), any::<bool>()), any_kill());
    TestRunner::new(config)
        .run(&strategy, |(versions, tail, found, kill)| {
            check(versions, &tail, found, kill, &mut met.borrow_mut());
            Ok(())
        })
        .unwrap();
    let Met { killed, corrected, same } = met.into_inner();
    assert!(killed > 20 && corrected > 20 && same > 20, "{killed} killed, {corrected} corrected, {same} the same");
}
