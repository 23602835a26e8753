//! Rescues of which nobody is on it: they don't stand without a word.

use vigil::cap::Told;
use vigil::model::alert::Severity;
use vigil::model::archive::{Entry, Lift};
use vigil::model::ids::District;
use vigil::model::incident::{Call, IncidentId, Source, State, Step, Tier, What};
use vigil::model::record::{Action, Outcome};
use vigil::notify::Filter;

use crate::world::{ACCEPT_MS, MINUTE_MS, World, command, device, opened, within};

fn last(world: &World, id: IncidentId, what: What) -> Vec<i64> {
    world.entries(id).into_iter().filter(|(told, _)| *told == what).map(|(_, at)| at).collect()
}

fn proposed(world: &World, id: IncidentId) -> Option<Tier> {
    world.incident(id).proposed.map(|party| party.tier)
}

/// Flow: a rescue of which the firm is only proposed; the service is killed and comes back; nobody commands anybody.
/// Asserts: 3 min after it was received `tier-unanswered` opens, the next tier is proposed, and nothing more is told.
#[test]
fn whoever_is_only_proposed_is_missed() {
    let mut world = World::new(false);
    let id = world.call("A");
    assert_eq!(proposed(&world, id), Some(Tier::Firm));
    world.advance(2 * MINUTE_MS);
    world.restart();
    world.advance(MINUTE_MS - 1);
    assert_eq!(last(&world, id, What::Unanswered), [] as [i64; 0], "it isn't 3 min yet");
    world.advance(1);
    assert_eq!(last(&world, id, What::Unanswered), [ACCEPT_MS]);
    assert_eq!(world.open(), [format!("incident:{id}/tier-unanswered/1")]);
    assert_eq!((proposed(&world, id), world.state(id)), (Some(Tier::Station), State::Received));
    assert_eq!(world.incident(id).unanswered_ms, Some(ACCEPT_MS));
    world.advance(60 * MINUTE_MS);
    assert_eq!(last(&world, id, What::Unanswered).len(), 1);
    world.step(id, command(Tier::Station));
    assert_eq!((world.open().len(), world.incident(id).unanswered_ms), (0, None));
}

/// The first tier is proposed and each next one commanded: that somebody forgot the former costs 3 min, and no more.
#[test]
fn the_next_tier_is_commanded_where_the_table_says_so() {
    let mut world = World::with(|table| table.replace("next = \"propose\"", "next = \"command\""));
    let id = world.call("A");
    world.advance(ACCEPT_MS);
    let leg = world.incident(id).assignee().cloned().unwrap();
    assert_eq!((leg.party.tier, leg.commanded_ms), (Tier::Station, ACCEPT_MS));
    assert_eq!(world.incident(id).accept_by_ms, Some(2 * ACCEPT_MS));
}

/// Flow: who was commanded is silent, then declines; so does the next one; then nobody is commanded any more.
/// Asserts: each silence is a case of its own, counted from the last answer.
#[test]
fn after_all_declined_somebody_is_missed_again() {
    let mut world = World::new(false);
    let id = world.call("A");
    world.step(id, command(Tier::Firm));
    world.advance(ACCEPT_MS + MINUTE_MS);
    world.step(id, Step::Decline);
    assert_eq!(world.incident(id).accept_by_ms, Some(2 * ACCEPT_MS + MINUTE_MS));
    assert_eq!(world.open().len(), 1, "that nobody came still stands");
    world.advance(ACCEPT_MS);
    assert_eq!(last(&world, id, What::Unanswered), [ACCEPT_MS, 2 * ACCEPT_MS + MINUTE_MS]);
    assert_eq!(world.open(), [format!("incident:{id}/tier-unanswered/2")]);
    world.step(id, command(Tier::Station));
    world.step(id, Step::Decline);
    assert_eq!((proposed(&world, id), world.incident(id).assignee()), (Some(Tier::Public), None));
    world.restart();
    world.advance(ACCEPT_MS);
    assert_eq!(last(&world, id, What::Unanswered).len(), 3);
    world.step(id, Step::Free);
    assert_eq!(world.open(), [] as [&str; 0]);
    world.advance(10 * ACCEPT_MS);
    assert_eq!(last(&world, id, What::Unanswered).len(), 3, "whoever is free waits for nobody");
}

/// Flow: a lift that the archive doesn't know traps somebody; later the archive learns where it is and who maintains it.
/// Asserts: the timeline says so, the firm is proposed in place of public rescue, and the station of that district is known.
#[test]
fn a_rescue_takes_up_what_the_archive_learns() {
    let mut world = World::new(false);
    world.frame("Z", true);
    world.advance(31_000);
    let id = world.timeline.incidents.last().unwrap().incident.id;
    assert_eq!((world.incident(id).scene.place.district, proposed(&world, id)), (None, Some(Tier::Public)));
    assert!(matches!(world.step(id, command(Tier::Station)), Outcome::NotFound { .. }), "no station serves nowhere");
    let other = world.call("A");
    let firm = world.incident(other).scene.firm;
    let known = Lift {
        district: District::parse("640104").ok(),
        address: Some("2 Renmin Road".into()),
        firm,
        ..Lift::new(device("Z"))
    };
    world.act(Action::Upsert(vec![Entry::Lift(known.clone())]));
    let it = world.incident(id);
    assert_eq!(it.scene.place.district, known.district);
    assert_eq!((it.scene.place.address.as_deref(), it.scene.firm), (Some("2 Renmin Road"), firm));
    assert_eq!(it.scene.rule.as_ref().map(|rule| rule.as_str()), Some("trapped-out-of-zone"));
    assert_eq!(proposed(&world, id), Some(Tier::Firm));
    let changed: Vec<_> =
        world.told(id).iter().filter(|it| it.entry.what == What::SceneChanged).map(|it| it.entry.source).collect();
    assert_eq!(changed, [Source::Archive]);
    // The same entry again is no news, nor is one after people are free.
    let told = world.told(id).len();
    world.act(Action::Upsert(vec![Entry::Lift(known.clone())]));
    assert_eq!(world.told(id).len(), told);
    world.restart();
    assert_eq!(world.incident(id), it);
    assert!(matches!(
        world
            .act_as(within("6401"), Action::AdvanceIncident { incident: id, step: command(Tier::Station), note: None }),
        Outcome::Incident { .. }
    ));
    world.step(id, Step::Free);
    world.act(Action::Upsert(vec![Entry::Lift(Lift { district: District::parse("640105").ok(), ..known })]));
    assert_eq!(world.incident(id).scene.place.district, it.scene.place.district);
}

/// Flow: an alert opens a rescue, and a person clears the alert; another time the sensors do.
/// Asserts: the timeline names the person, and only of the other one it is said that the sensors say freed.
#[test]
fn who_clears_by_hand_is_no_sensor() {
    let mut world = World::new(false);
    let mut cleared = |by_hand: bool, lift: &str| {
        world.frame(lift, true);
        world.advance(31_000);
        let id = world.timeline.incidents.last().unwrap().incident.id;
        let alert = world.incident(id).alerts[0].alert.clone();
        if by_hand {
            let clear = Action::Clear { alert, note: Some("called back".into()) };
            assert!(matches!(world.act_as(within("64"), clear), Outcome::Done { .. }));
        } else {
            world.frame(lift, false);
            world.advance(10_000);
        }
        let entry = world.told(id).into_iter().find(|it| it.entry.what == What::AlertCleared).unwrap().entry.clone();
        (world.incident(id).sensors_say_over(), entry.source, entry.actor, entry.note)
    };
    let by_hand = (false, Source::Dispatcher, Some("centre".into()), Some("called back".into()));
    assert_eq!(cleared(true, "A"), by_hand);
    assert_eq!(cleared(false, "B"), (true, Source::Sensor, None, None));
}

/// What a caller says of people in the car is how grave it is; what others say later makes it graver, never less so.
#[test]
fn a_call_is_as_grave_as_what_it_says() {
    for (occupied, then, wanted) in [
        (Some(true), None, [Severity::Critical, Severity::Critical]),
        (None, Some(true), [Severity::Major, Severity::Critical]),
        (Some(false), None, [Severity::Warning, Severity::Major]),
        (Some(false), Some(false), [Severity::Warning, Severity::Warning]),
    ] {
        let mut world = World::new(false);
        let call = |occupied| Action::OpenIncident(Call { device: Some(device("A")), occupied, ..Call::default() });
        let id = opened(&world.act(call(occupied)));
        let first = world.incident(id).severity;
        let joins = world.act(call(then));
        assert!(matches!(joins, Outcome::Incident { joined: true, .. }), "{joins:?}");
        assert_eq!([first, world.incident(id).severity], wanted, "{occupied:?} {then:?}");
        // Who is notified of what is grave hears of it.
        let grave = Filter { minimum_severity: Some(Severity::Major), ..Filter::default() };
        let is_told = grave.passes(Told::Incident(world.told(id)[0]));
        assert_eq!(is_told, first >= Severity::Major, "{occupied:?}");
    }
}

/// Flow: three lifts have one rescue code, one of them where the caller's centre may not look.
/// Asserts: the refusal names the two others by code and address.
#[test]
fn an_ambiguous_code_names_the_lifts_that_have_it() {
    let mut world = World::new(false);
    for (lift, district, address) in
        [("X", "640104", Some("3 Renmin Road")), ("Y", "640105", None), ("Z", "640200", None)]
    {
        let (district, address) = (District::parse(district).ok(), address.map(Into::into));
        let lift = Lift { district, address, rescue_code: Some("777777".into()), ..Lift::new(device(lift)) };
        world.act(Action::Upsert(vec![Entry::Lift(lift)]));
    }
    let call = Call { rescue_code: Some("777777".into()), ..Call::default() };
    let Outcome::Precondition { why } = world.act_as(within("6401"), Action::OpenIncident(call)) else { panic!() };
    let [x, y] = ["X", "Y"].map(device);
    let named = format!(": {x} (3 Renmin Road); {y} (address not known)");
    assert!(why.starts_with("3 lifts have the rescue code 777777: ") && why.ends_with(&named), "{why}");
}
