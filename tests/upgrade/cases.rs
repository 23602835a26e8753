//! What a new version makes of what an old one left.

use vigil::journal::Journal as _;
use vigil::model::incident::What;
use vigil::spine::recover::RecoverError;
use vigil::spine::takeover::{Takeover, Way};

use crate::world::{self, House, Judging, Life, NEW, OLD, corrections, effects, frames, judging, live, short, told};

/// Flow: the tail is lived under `old` by the old version, which then ends without a clean shutdown, its outbox
/// `lost` entries short; the new one, which judges as `own`, goes on from the snapshot before the tail, and again from
/// nothing but the journals.
/// Asserts: what was corrected, in order (`None`: the epoch stays); each frame is stored once, and all of those that the
/// new version would have stored by itself; readers of the outbox end where the core stands; a restart goes on as after
/// any other. Returns the life that goes on.
fn check(old: Judging, own: Judging, tail: &str, lost: usize, corrected: Option<&[&str]>) -> Life {
    let left = live(OLD, old, tail);
    let alone = live(NEW, own, tail);
    let mut last = None;
    for snapshot in [Some(left.snapshots[0].as_slice()), None] {
        let house = House::of(&left, own, lost);
        let (spine, replayed) = house.open(NEW, snapshot).unwrap();
        world::check(&spine);
        assert_eq!(corrections(&told(&spine)), corrected.unwrap_or_default(), "{old:?} {own:?} {tail} {lost}");
        let way = match corrected {
            Some(alerts) => Way::Corrected { epoch: 2, alerts: alerts.len() },
            None => Way::SameEvents,
        };
        assert_eq!(replayed.takeover, Some(Takeover { from: OLD, to: NEW, way }));

        let (stored, wanted) = (frames(&told(&spine)), frames(&effects(&alone.outbox)));
        assert!(wanted.iter().all(|frame| stored.contains(frame)), "{stored:?} lacks some of {wanted:?}");

        let mut life = Life::new(spine, left.seq);
        life.steps("Y 9;Y");
        let image = life.spine.freeze().unwrap().unwrap().encode();
        life.step("W 9");
        life.spine.sync().unwrap();
        let (spine, replayed) = house.open(NEW, Some(&image)).unwrap();
        assert_eq!((replayed.takeover, replayed.added), (None, 0));
        assert!(replayed.compared > 0);
        world::check(&spine);
        // Should that snapshot be lost, the older one leads to the same.
        let (spine, replayed) = house.open(NEW, snapshot).unwrap();
        assert_eq!(replayed.takeover.unwrap().way, Way::SameEvents);
        world::check(&spine);
        last = Some(Life::new(spine, left.seq + 3));
    }
    last.unwrap()
}

const ONE: &str = "fault(1)";
const ONE_OR_TWO: &str = "fault(1) || fault(2)";

#[test]
fn the_same_events_need_no_correction() {
    for lost in 0..=6 {
        check(judging(ONE), judging("fault(1) || fault(77)"), "A 1;B 1;archive A;A;-;C 1;C", lost, None);
    }
}

#[test]
fn an_alert_that_only_the_new_version_has_is_told() {
    check(judging(ONE), judging(ONE_OR_TWO), "A 2;B 1", 0, Some(&["opened A/r/1"]));
    // Also one whose record the old version had taken, and not judged.
    check(judging(ONE), judging(ONE_OR_TWO), "A 2;B 1;C 1", 1, Some(&["opened A/r/1", "opened C/r/1"]));
    // One that is over is told as over.
    check(judging(ONE), judging(ONE_OR_TWO), "A 2;A;B 1", 0, Some(&["cleared A/r/1"]));
    check(judging(ONE), judging(ONE_OR_TWO), "A 2;B 1;C 1;C", 2, Some(&["opened A/r/1", "cleared C/r/1"]));
}

#[test]
fn an_alert_that_only_the_old_version_had_is_cleared() {
    check(judging(ONE_OR_TWO), judging(ONE), "A 2;B 1", 0, Some(&["cleared A/r/1"]));
    check(judging(ONE_OR_TWO), judging(ONE), "A 1;A 2", 0, Some(&["cleared A/r/1"]));
}

#[test]
fn an_alert_that_both_have_since_another_time_is_moved() {
    let later = Judging { held: "10s", ..judging(ONE) };
    check(judging(ONE), later, "A 1;-;-;-", 0, Some(&["raised A/r/1"]));
}

/// A number that people know an alert by is never another alert's.
#[test]
fn numbers_are_not_given_again() {
    // What was told is over under both: nothing to correct but the numbers.
    let mut life = check(judging(ONE_OR_TWO), judging(ONE), "A 2;A", 0, Some(&[]));
    life.step("A 1");
    life.spine.sync().unwrap();
    let open: Vec<_> = life.spine.core().open_alerts().iter().map(short).filter(|id| id.starts_with("A/")).collect();
    assert_eq!(open, ["A/r/2"]);
    world::check(&life.spine);
    // One that lasts under the new version was two for the old one: it gets the number of the one that is open.
    check(judging(ONE), judging(ONE_OR_TWO), "A 1;A 2;A 1", 0, Some(&["raised A/r/2"]));
}

/// What the old version didn't store is stored; what it did is stored once.
#[test]
fn rows_are_neither_lost_nor_doubled() {
    let deaf = Judging { prefix: "elsewhere", ..judging(ONE) };
    for lost in 0..4 {
        let expected: Option<&[&str]> = if lost < 3 { Some(&["opened A/r/1"]) } else { None };
        check(deaf, judging(ONE), "A 1;B;C", lost, expected);
        let expected: Option<&[&str]> = if lost < 3 { Some(&["cleared A/r/1"]) } else { None };
        check(judging(ONE), deaf, "A 1;B;C", lost, expected);
    }
    let never = Judging { prefix: "elsewhere", ..judging("false") };
    check(never, judging("false"), "A 1;B;archive B;archive B", 0, None);
}

/// Flow: the old version ends cleanly; the new one starts from its last snapshot.
/// Asserts: nothing is judged again, no epoch is raised, what stood goes on.
#[test]
fn after_a_clean_end_the_new_version_goes_on_from_the_snapshot() {
    let left = live(OLD, judging(ONE), "A 1;B 2");
    let house = House::of(&left, judging(ONE), 0);
    let (spine, replayed) = house.open(NEW, Some(&left.snapshots[1])).unwrap();
    assert_eq!(replayed.takeover, Some(Takeover { from: OLD, to: NEW, way: Way::Snapshot }));
    assert_eq!((replayed.records, replayed.added, spine.core().epoch()), (1, 0, 1));
    world::check(&spine);
    let mut life = Life::new(spine, left.seq);
    life.step("A");
    world::check(&life.spine);
    let told = told(&life.spine).pop().unwrap().events.pop().unwrap();
    assert_eq!((told.kind.name(), short(&told.alert).as_str()), ("cleared", "A/r/1"));
}

/// An older version is refused, from the first thing that the newer one writes, whatever snapshot it finds.
#[test]
fn there_is_no_way_back() {
    for (told, own) in [(ONE, ONE), (ONE, ONE_OR_TWO), (ONE_OR_TWO, ONE)] {
        let left = live(OLD, judging(told), "A 2;B 1");
        for lost in [0, 2] {
            let house = House::of(&left, judging(own), lost);
            let (mut spine, _) = house.open(NEW, Some(&left.snapshots[0])).unwrap();
            spine.settle().unwrap();
            let newer = spine.freeze().unwrap().unwrap().encode();
            drop(spine);
            for snapshot in [Some(newer.as_slice()), Some(&left.snapshots[0]), None] {
                let refused = house.open(OLD, snapshot).unwrap_err();
                assert!(matches!(refused, RecoverError::Newer { got: NEW, ours: OLD }), "{refused}");
                assert!(refused.to_string().contains("Start that version again"), "{refused}");
            }
        }
    }
}

#[test]
fn an_outbox_that_is_ahead_of_the_inbox_is_refused() {
    let left = live(OLD, judging(ONE), "A 1;B 1");
    let mut house = House::of(&left, judging(ONE), 0);
    house.inbox = crate::world::disk_of(&left.inbox[..left.inbox.len() - 4]);
    let refused = house.open(NEW, Some(&left.snapshots[0])).unwrap_err();
    assert!(matches!(refused, RecoverError::Ahead { .. }), "{refused}");
}

/// Flow: three versions in a row, none of which leaves a snapshot; the last judges as the first did.
/// Asserts: what the second told is corrected again, in an epoch of its own.
#[test]
fn a_correction_can_be_corrected_by_the_next_version() {
    let first = live(OLD, judging(ONE), "A 2;B 1");
    let house = House::of(&first, judging(ONE_OR_TWO), 0);
    let (spine, _) = house.open(NEW, None).unwrap();
    let mut life = Life::new(spine, first.seq);
    life.steps("A 2;C 2;D 2");
    life.spine.sync().unwrap();
    let second = life.leave(first.snapshots);
    for snapshot in [Some(second.snapshots[0].as_slice()), None] {
        let house = House::of(&second, judging(ONE), 0);
        let (spine, replayed) = house.open(NEW + 1, snapshot).unwrap();
        let Way::Corrected { epoch, alerts } = replayed.takeover.unwrap().way else { panic!("{replayed:?}") };
        assert_eq!((epoch, alerts), (3, 3));
        world::check(&spine);
        let all = corrections(&told(&spine));
        assert_eq!(all, ["opened A/r/1", "cleared A/r/1", "cleared C/r/1", "cleared D/r/1"]);
    }
}

/// Without what the outbox once held nobody can tell which rows are stored.
#[test]
fn a_trimmed_outbox_is_refused() {
    let left = live(OLD, judging(ONE), "A 1;B 1");
    let house = House::of(&left, judging(ONE), 0);
    let (mut outbox, _) = house.outbox.open();
    outbox.raise_epoch(2).unwrap();
    outbox.trim(outbox.next()).unwrap();
    let refused = house.open(NEW, None).unwrap_err();
    assert!(refused.to_string().contains("let that version start once more"), "{refused}");
}

/// Flow: a machine loses power, and with it the end of an outbox that the store has taken already.
/// Asserts: a version that judges the same leaves the same outbox, byte for byte up to where the other's ended, so that the
/// store still belongs to it.
#[test]
fn what_was_lost_comes_back_byte_for_byte() {
    let left = live(OLD, judging(ONE), "A 1;archive A;B 1;A;archive A;C 1");
    for lost in 0..=5 {
        let house = House::of(&left, judging(ONE), lost);
        let (spine, _) = house.open(NEW, Some(&left.snapshots[0])).unwrap();
        assert_eq!(world::entries(&spine)[..left.outbox.len()], left.outbox, "{lost}");
    }
}

/// Flow: two versions differ in which lifts need a rescue, and so in how they number them; somebody was commanded.
/// Asserts: a rescue that was told goes on by the id and to the state that people know, also one that the new version would
/// not have begun; what only the new version has is added; each is told in the new epoch, and a restart finds the same.
#[test]
fn rescues_go_on_as_they_were_told() {
    let rescuing = |when| Judging { rescues: true, ..judging(when) };
    let check = |old, own, wanted: &[(&str, &str)]| {
        let left = live(OLD, rescuing(old), "A 2;B 1");
        let house = House::of(&left, rescuing(own), 0);
        let rescues = |spine: &vigil::spine::Spine| {
            let kept = spine.core().dispatch().iter().map(|it| &it.incident);
            let short = |it: &vigil::model::incident::Incident| {
                (it.id.to_string(), it.scene.device.unwrap().to_string().replace('X', ""))
            };
            kept.map(short).collect::<Vec<_>>()
        };
        let wanted: Vec<_> = wanted.iter().map(|(id, lift)| (id.to_string(), lift.to_string())).collect();
        for snapshot in [Some(left.snapshots[0].as_slice()), None] {
            let (mut spine, replayed) = house.open(NEW, snapshot).unwrap();
            spine.settle().unwrap();
            let way = replayed.takeover.unwrap().way;
            assert!(matches!(way, Way::Corrected { epoch: 2, .. } | Way::SameEvents), "{way:?}");
            assert_eq!(rescues(&spine), wanted, "{old} {own}");
            world::check(&spine);
            let all = told(&spine);
            let anew = all.iter().flat_map(|it| &it.incidents).filter(|it| it.entry.epoch == 2);
            // Beside that, alerts that this version clears are written down.
            let anew = anew.filter(|it| it.entry.what == What::Retold);
            let mut anew: Vec<_> = anew.map(|it| it.incident.id.to_string()).collect();
            anew.sort();
            assert_eq!(anew, wanted.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), "each is told once");
        }
    };
    check(ONE_OR_TWO, ONE, &[("1-1", "A"), ("1-2", "B")]);
    check(ONE, ONE_OR_TWO, &[("1-1", "B"), ("2-3", "A")]);
}
