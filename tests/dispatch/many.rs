//! As many rescues as are taken, and what becomes of one more.

use std::collections::BTreeSet;

use vigil::limits;
use vigil::model::incident::{Call, Step, What};
use vigil::model::record::{Action, Kind, Outcome};

use crate::world::{World, opened, place};

/// Flow: people call about as many places as rescues are taken; then somebody calls once more, a lift traps somebody, one rescue
/// is ended, and somebody calls again. Then the service is recovered.
/// Asserts: both refusals are counted and the caller is told what to do; what is ended makes room; all that stand are told
/// anew, each once.
#[test]
fn one_rescue_too_many_is_refused_aloud() {
    let mut world = World::new(false);
    world.timeline.unchecked = true;
    let call = |n: usize| {
        let place = place("640104", &format!("hall {n}"));
        Action::OpenIncident(Call { place, ..Call::default() })
    };
    let first = opened(&world.act(call(0)));
    for n in 1..limits::INCIDENTS {
        opened(&world.act(call(n)));
    }
    let Outcome::Precondition { why } = world.act(call(limits::INCIDENTS)) else { panic!("one too many") };
    assert!(why.contains("20000 incidents are going on") && why.contains("close those"), "{why}");
    assert_eq!(world.timeline.tally.rescues_refused, 1);
    world.frame("A", true);
    world.advance(31_000);
    assert!(world.open().iter().any(|alert| alert.contains("trapped-out-of-zone")), "the alert stands all the same");
    assert_eq!(world.timeline.tally.rescues_refused, 2);

    assert!(matches!(world.step(first, Step::FalseAlarm), Outcome::Incident { .. }));
    let last = opened(&world.act(call(limits::INCIDENTS)));
    let before = world.timeline.incidents.len();
    world.timeline.apply(Kind::Recovered { epoch: 2, retell: false });
    let anew = &world.timeline.incidents[before..];
    assert!(anew.iter().all(|it| it.entry.what == What::Retold && it.entry.epoch == 2));
    let told: BTreeSet<_> = anew.iter().map(|it| it.incident.id).collect();
    assert_eq!((told.len(), anew.len()), (limits::INCIDENTS, limits::INCIDENTS));
    assert!(told.contains(&last) && !told.contains(&first));
}
