//! Any tail, any two versions, any crash.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use vigil::journal::memory::Crash;

use crate::world::{self, House, Judging, Life, NEW, OLD, effects, frames, judging, live, told};

const CONDITIONS: &[&str] = &["fault(1)", "fault(2)", "fault(1) || fault(2)", "false"];
const STEPS: &[&str] = &["A", "A 1", "A 2", "A 1 2", "B", "B 1", "B 2", "Z", "Z 9", "-", "-", "archive A", "archive Z"];

fn any_judging() -> impl Strategy<Value = Judging> {
    (select(CONDITIONS), select(&["0s", "8s", "20s"][..]), select(&["vigil/v1", "vigil/v1", "elsewhere"][..]))
        .prop_map(|(when, held, prefix)| Judging { held, prefix, ..judging(when) })
}

fn any_tail() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(STEPS), 1..12).prop_map(|steps| steps.join(";"))
}

proptest! {
    /// Flow: an old version lives and ends, its outbox more or less short; a new one starts, is killed at some sync or not at
    /// all, starts again, and goes on.
    /// Asserts: as for each single case, whatever came before.
    #[test]
    fn readers_end_where_the_core_stands(
        old in any_judging(),
        own in any_judging(),
        tail in any_tail(),
        lost: Index,
        with_snapshot: bool,
        kill in (0..8_u64, any::<bool>(), select(&[Crash::Process, Crash::Machine, Crash::Torn][..])),
    ) {
        let (left, alone) = (live(OLD, old, &tail), live(NEW, own, &tail));
        let snapshot = with_snapshot.then_some(left.snapshots[0].as_slice());
        // What came before the snapshot is synced with it.
        let kept_least = if with_snapshot { 2 } else { 0 };
        let house = House::of(&left, own, lost.index(left.outbox.len() - kept_least + 1));
        let (nth, of_inbox, crash) = kill;
        let mut spine = None;
        if nth > 0 {
            let failing = if of_inbox { &house.inbox } else { &house.outbox };
            failing.fail_sync(nth);
            spine = house.open(NEW, snapshot).ok();
            if spine.is_none() {
                house.inbox.crash(crash);
                house.outbox.crash(crash);
            }
        }
        let (spine, _) = match spine {
            // The failure that didn't come in time must not come later.
            Some((spine, _)) => {
                world::check(&spine);
                return Ok(());
            }
            None => house.open(NEW, snapshot).unwrap(),
        };
        world::check(&spine);
        let (stored, wanted) = (frames(&told(&spine)), frames(&effects(&alone.outbox)));
        prop_assert!(wanted.iter().all(|frame| stored.contains(frame)), "{stored:?} lacks some of {wanted:?}");
        let mut life = Life::new(spine, left.seq);
        life.steps("A 1;B 2;-;-;A;Z");
        world::check(&life.spine);
    }
}
