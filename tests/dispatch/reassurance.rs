//! Words for whoever is trapped: asked of the terminal once it is sure, and told with what became of them.

use vigil::model::downlink::{Downlink, Reassure};
use vigil::model::incident::{Call, IncidentId, Reassurance, Source, Step, What};
use vigil::model::record::{Action, Kind};

use crate::timeline::lift_code;
use crate::world::{World, device};

const GOOD_MS: i64 = 60_000;

fn world() -> World {
    World::with(|table| table + "\n[[reassure]]\ndistricts = [\"6401\"]\ngood_for = \"60s\"\n")
}

/// A call about that lift, and what goes to devices upon it.
fn call(world: &mut World, lift: &str) -> (IncidentId, Vec<Downlink>) {
    let id = world.call(lift);
    (id, world.timeline.effects.downlinks.clone())
}

fn answer(world: &mut World, lift: &str, id: &str, ok: bool) {
    let topic = format!("vigil/v1/elevator/{}/result", lift_code(lift));
    world.timeline.report(&topic, format!(r#"{{"id":"{id}","ok":{ok}}}"#));
}

fn of_words(world: &World, id: IncidentId) -> Vec<(What, i64)> {
    use What::{ReassuranceAsked, ReassuranceFailed, ReassuranceUnanswered, Reassured};
    let words = [ReassuranceAsked, Reassured, ReassuranceFailed, ReassuranceUnanswered];
    world.entries(id).into_iter().filter(|(what, _)| words.contains(what)).collect()
}

/// Flow: a sensor says that somebody is trapped; a caller says so; another one does; the terminal answers twice.
/// Asserts: nothing is asked before it is sure, and then once, with an end; the first answer is told, with who gave it.
#[test]
fn the_terminal_is_asked_once_it_is_sure() {
    let mut world = world();
    world.frame("A", true);
    world.advance(30_000);
    let id = world.timeline.incidents[0].incident.id;
    assert_eq!(of_words(&world, id), [], "a rule alone is not sure");
    let (joined, downlinks) = call(&mut world, "A");
    assert_eq!(joined, id);
    let issued_at = world.timeline.wall();
    let asked = Reassure {
        device: device("A"),
        incident: id,
        issued_at,
        expires_at: issued_at + GOOD_MS,
        good_until: world.timeline.elapsed() + GOOD_MS,
    };
    assert_eq!(downlinks, [Downlink::Reassure(asked.clone())]);
    assert_eq!(call(&mut world, "A").1, [], "once for each incident");

    world.advance(2_000);
    answer(&mut world, "B", &asked.id(), true);
    answer(&mut world, "A", "reassure-9-9", true);
    answer(&mut world, "A", "something-else", true);
    assert_eq!(world.incident(id).reassurance, Some(Reassurance::Asked), "none of these was asked for");
    answer(&mut world, "A", &asked.id(), true);
    answer(&mut world, "A", &asked.id(), false);
    assert_eq!(of_words(&world, id), [(What::ReassuranceAsked, 0), (What::Reassured, 2_000)]);
    let told = world.told(id).pop().unwrap();
    assert_eq!((told.entry.source, told.entry.actor.as_deref()), (Source::Terminal, None));
    assert_eq!(told.incident.reassurance, Some(Reassurance::Done));
    world.advance(2 * GOOD_MS);
    assert_eq!(of_words(&world, id).len(), 2, "nothing more is awaited");
}

/// Flow: the terminal doesn't answer; the service is killed meanwhile; an answer comes when nobody waits for it any more.
/// Asserts: that it hasn't answered is told to the ms; nothing is asked again; what comes late is told as well.
#[test]
fn a_terminal_that_is_silent_is_told_of() {
    let mut world = world();
    let (id, downlinks) = call(&mut world, "A");
    assert_eq!(downlinks.len(), 1);
    world.advance(GOOD_MS / 2);
    world.restart();
    assert_eq!(world.timeline.apply(Kind::Tick).downlinks, [], "a restart asks nobody again");
    world.advance(GOOD_MS / 2 - 1);
    assert_eq!(of_words(&world, id).len(), 1);
    world.advance(1);
    assert_eq!(of_words(&world, id), [(What::ReassuranceAsked, 0), (What::ReassuranceUnanswered, GOOD_MS)]);
    assert_eq!(world.open(), [] as [String; 0], "an alert is for what people must do");
    world.advance(5_000);
    answer(&mut world, "A", &format!("reassure-{id}"), false);
    assert_eq!(of_words(&world, id).last(), Some(&(What::ReassuranceFailed, GOOD_MS + 5_000)));
    assert_eq!(world.incident(id).reassurance, Some(Reassurance::Failed));
}

#[test]
fn whoever_is_free_is_waited_for_no_longer() {
    let mut world = world();
    let (id, _) = call(&mut world, "A");
    world.advance(1_000);
    world.step(id, Step::Free);
    world.advance(2 * GOOD_MS);
    assert_eq!(of_words(&world, id), [(What::ReassuranceAsked, 0)]);
}

#[test]
fn nothing_is_said_where_the_table_says_nothing() {
    let mut world = world();
    assert_eq!(call(&mut world, "B").1, [], "another city");
    let unknown = Call { rescue_code: Some("999999".into()), ..Call::default() };
    world.act(Action::OpenIncident(unknown));
    assert_eq!(world.timeline.effects.downlinks, [], "no lift is known");
    let mut shipped = World::new(false);
    assert_eq!(call(&mut shipped, "A").1, [], "off, as shipped");
}
