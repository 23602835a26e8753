//! The new version is killed while it takes over.

use vigil::journal::memory::Crash;

use crate::world::{House, NEW, OLD, check, frames, judging, live, told};

/// Flow: the takeover with the most steps: other events, alerts gained, lost and moved in number, rows that lack. The
/// n-th sync of the inbox, or of the outbox, fails; then the process, or the machine, is gone. The new version starts again.
/// Asserts: it refuses nothing, and ends where it ends without a crash; an older version is refused from then on.
#[test]
fn killed_at_any_step_it_gets_there_at_the_next_start() {
    let tail = "A 1;A 2;A 1;B 2;C 1;archive C;D 2;D;E 1";
    let (old, own) = (judging("fault(1)"), judging("fault(2) || fault(1)"));
    let left = live(OLD, old, tail);
    let before = Some(left.snapshots[0].as_slice());
    let house = House::of(&left, own, 3);
    let (spine, _) = house.open(NEW, before).unwrap();
    let (stored, open) = (frames(&told(&spine)), spine.core().open_alerts());
    drop(spine);

    let mut kills = 0;
    for crash in [Crash::Process, Crash::Machine, Crash::Torn] {
        for of_inbox in [true, false] {
            for nth in 1.. {
                let house = House::of(&left, own, 3);
                // Opening makes the disks' handles; the failure counts from there.
                let failing = if of_inbox { &house.inbox } else { &house.outbox };
                failing.fail_sync(nth);
                if house.open(NEW, before).is_ok() {
                    break;
                }
                kills += 1;
                house.inbox.crash(crash);
                house.outbox.crash(crash);
                let (spine, _) = house.open(NEW, before).unwrap();
                check(&spine);
                assert_eq!(frames(&told(&spine)), stored, "{crash:?} {of_inbox} {nth}");
                assert_eq!(spine.core().open_alerts(), open, "{crash:?} {of_inbox} {nth}");
                drop(spine);
                assert!(house.open(OLD, before).is_err());
            }
        }
    }
    assert!(kills >= 15, "only {kills} kills");
}
