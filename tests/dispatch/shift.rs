//! A dispatcher's shift by a simulated clock, and who may do what.

use vigil::core::dispatch::kpi;
use vigil::model::actor::Actor;
use vigil::model::alert::{Certainty, EventKind};
use vigil::model::archive::{Entry, Lift};
use vigil::model::ids::{DeviceCode, District};
use vigil::model::incident::{Call, Caller, Source, State, Step, Tier, What, Whom};
use vigil::model::record::{Action, Command, Kind, Outcome};
use vigil::pages::{IncidentFilter, Incidents};

use crate::timeline::BEGAN_WALL;
use crate::world::{ACCEPT_MS, MINUTE_MS, URBAN_MS, World, close, command, device, firm, opened, place, within};

/// Flow: a sensor alert; a call joins it; tier 1 is silent; the service is killed on the way; tier 2 is commanded by a
/// person, goes, is late by a minute, and frees two.
/// Asserts: each entry at its time, the deadlines to the ms although the service was away, the alerts about the rescue, and the
/// figures as a hand reckons them.
#[test]
fn a_rescue_from_the_alert_to_its_end() {
    let mut world = World::new(false);
    world.frame("A", true);
    world.advance(30_000);
    let id = world.timeline.incidents[0].incident.id;
    let incident = world.incident(id);
    assert_eq!(incident.state, State::Received);
    assert_eq!(incident.scene.rule.as_ref().map(|rule| rule.as_str()), Some("trapped-out-of-zone"));
    assert_eq!(incident.scene.place, place("640104", "1 Renmin Road"));
    assert_eq!(incident.certainty, Certainty::Likely);
    assert_eq!(incident.proposed.map(|party| (party.tier, party.name)), Some((Tier::Firm, "first firm".into())));

    world.advance(10_000);
    let caller = Caller { name: Some("a passenger".into()), phone: Some("139".into()) };
    let call = Call { rescue_code: Some("640001".into()), caller, occupied: Some(true), ..Call::default() };
    assert_eq!(opened(&world.act(Action::OpenIncident(call))), id, "the call joins");
    assert_eq!(world.incident(id).certainty, Certainty::Observed);

    world.advance(20_000);
    world.step(id, command(Tier::Firm));
    let commanded_ms = world.timeline.now_ms;
    world.advance(2 * MINUTE_MS);
    world.restart();
    world.advance(MINUTE_MS - 1);
    assert_eq!(world.incident(id).accept_by_ms, Some(30_000 + ACCEPT_MS), "it isn't 3 min yet");
    world.advance(1);
    assert_eq!(world.timeline.now_ms, commanded_ms + ACCEPT_MS);
    assert_eq!(world.open().last().unwrap(), &format!("incident:{id}/tier-unanswered/1"));
    assert_eq!(world.incident(id).proposed.unwrap().tier, Tier::Station);

    world.step(id, command(Tier::Station));
    assert!(!world.open().iter().any(|alert| alert.contains("tier-unanswered")), "somebody else is asked");
    world.advance(MINUTE_MS);
    world.step(id, Step::Accept);
    world.advance(MINUTE_MS);
    world.step(id, Step::TurnOut);
    // The 30 min count from the first command on.
    world.advance(URBAN_MS - 5 * MINUTE_MS);
    assert_eq!(world.open().last().unwrap(), &format!("incident:{id}/arrival-late/1"));
    world.advance(MINUTE_MS);
    world.step(id, Step::Arrive);
    assert!(!world.open().iter().any(|alert| alert.contains("arrival-late")));

    // The sensors say that it is over; people end it.
    world.advance(2 * MINUTE_MS);
    world.frame("A", false);
    world.advance(5_000);
    assert!(world.incident(id).sensors_say_over());
    assert_eq!(world.state(id), State::Arrived);
    world.step(id, Step::Free);
    world.advance(MINUTE_MS);
    world.step(id, close(2));
    assert_eq!(world.state(id), State::Closed);

    let s = 1_000;
    let arrived = 30 * s + URBAN_MS + MINUTE_MS;
    assert_eq!(
        world.entries(id),
        [
            (What::Received, 0),
            (What::Proposed, 0),
            (What::CallJoined, 10 * s),
            (What::Commanded, 30 * s),
            // Nothing was heard of the lift any more: trapped-stale.
            (What::AlertJoined, 90 * s),
            (What::Unanswered, 210 * s),
            (What::Proposed, 210 * s),
            (What::Commanded, 210 * s),
            (What::Accepted, 270 * s),
            (What::TurnedOut, 330 * s),
            (What::ArrivalLate, 30 * s + URBAN_MS),
            (What::Proposed, 30 * s + URBAN_MS),
            (What::Arrived, arrived),
            (What::AlertCleared, arrived + 120 * s),
            (What::AlertCleared, arrived + 125 * s),
            (What::Freed, arrived + 125 * s),
            (What::Closed, arrived + 185 * s),
        ]
    );
    let kpis = kpi::reckon([&world.incident(id)]);
    assert_eq!((kpis.response.count(), kpis.response.of, kpis.response.mean_ms()), (1, 2, Some(60 * s)));
    assert_eq!((kpis.turnout.count(), kpis.turnout.of, kpis.turnout.median_ms()), (1, 2, Some(120 * s)));
    assert_eq!((kpis.arrival.of, kpis.arrival.p90_ms()), (1, Some(arrived)));
    assert_eq!(kpis.rescue.mean_ms(), Some(125 * s));
    assert_eq!((kpis.turnouts.numerator, kpis.turnouts.denominator), (1, 2));
    assert_eq!((kpis.in_time.numerator, kpis.in_time.denominator), (0, 1));
    assert_eq!((kpis.false_alarm.numerator, kpis.false_alarm.denominator, kpis.persons_freed), (0, 1, 2));
    assert_eq!(kpis.false_alarm_by_terminal["T-100"].denominator, 1);
}

/// Where the table says so, nobody has to be asked: firm, station and public rescue follow each other.
#[test]
fn tiers_follow_by_themselves_where_the_table_says_so() {
    let mut world = World::new(true);
    let id = world.call("A");
    world.advance(3 * ACCEPT_MS);
    let tiers: Vec<_> = world.incident(id).legs.iter().map(|leg| (leg.party.tier, leg.commanded_ms)).collect();
    assert_eq!(tiers, [(Tier::Firm, 0), (Tier::Station, ACCEPT_MS), (Tier::Public, 2 * ACCEPT_MS)]);
    let unanswered = world.timeline.events.iter().filter(|event| event.alert.id.rule.as_str() == "tier-unanswered");
    let kinds: Vec<_> = unanswered.map(|event| event.kind).collect();
    use EventKind::{Cleared, Opened};
    assert_eq!(kinds, [Opened, Cleared, Opened, Cleared, Opened], "each tier that is silent is told of");
    // Nobody is behind the last one: the alert stands.
    world.step(id, Step::Accept);
    assert!(world.open().is_empty());

    // Of a lift of no firm, in a district of no station, public rescue is the first.
    let id = world.call("B");
    assert_eq!(world.incident(id).assignee().unwrap().party.tier, Tier::Public);
    assert_eq!(world.incident(id).arrive_by_ms, Some(60 * MINUTE_MS));
    world.step(id, Step::Decline);
    assert_eq!(world.state(id), State::Received, "nobody further is known");
}

#[test]
fn who_declines_is_followed_by_the_next() {
    let mut world = World::new(false);
    let id = world.call("A");
    world.step(id, command(Tier::Firm));
    world.step(id, Step::Decline);
    assert_eq!(world.incident(id).proposed.unwrap().tier, Tier::Station);
    // A roster, a station and a firm can be named.
    let by_name = |tier, id: &str| Step::Command(Whom { tier, id: Some(id.into()) });
    assert!(matches!(world.step(id, by_name(Tier::Station, "6401-GRID")), Outcome::Incident { .. }));
    assert!(matches!(world.step(id, by_name(Tier::Station, "6401-NONE")), Outcome::NotFound { .. }));
    assert!(matches!(world.step(id, by_name(Tier::Firm, "F2")), Outcome::NotFound { .. }));
}

/// Flow: further alerts of the lift come and go, before people are free and after.
/// Asserts: they join while somebody may be trapped; another case afterwards is another incident; lifts don't mix.
#[test]
fn alerts_join_the_incident_that_stands() {
    let mut world = World::new(false);
    let called = world.call("A");
    world.frame("A", true);
    world.frame("B", true);
    world.advance(30_000);
    let of_b = world.timeline.incidents.iter().find(|event| event.incident.id != called).unwrap().incident.id;
    assert_eq!(world.incident(of_b).scene.device, Some(device("B")));
    assert_eq!(world.incident(called).alerts.len(), 1);
    world.frame("A", false);
    world.advance(5_000);
    assert!(world.incident(called).sensors_say_over());
    world.step(called, Step::Free);
    world.frame("A", true);
    world.advance(30_000);
    let again = world.timeline.incidents.last().unwrap().incident.id;
    assert_ne!(again, called, "whoever is trapped now is another one");
    assert_eq!(world.state(called), State::Freed);
    assert_eq!(world.call("A"), again);
}

#[test]
fn the_same_request_is_carried_out_once_also_after_a_restart() {
    let mut world = World::new(false);
    let id = world.call("A");
    let action = Action::AdvanceIncident { incident: id, step: command(Tier::Firm), note: Some("go".into()) };
    let command = Command { request: "again".into(), actor: Actor::local_admin(), action };
    let first = world.timeline.apply(Kind::Command(command.clone())).reply.clone();
    let told = world.timeline.incidents.len();
    world.restart();
    let second = world.timeline.apply(Kind::Command(command.clone())).reply.clone();
    assert_eq!(second, first);
    assert_eq!(world.timeline.incidents.len(), told);
    let other = Action::AdvanceIncident { incident: id, step: Step::Free, note: None };
    let reused = world.timeline.apply(Kind::Command(Command { action: other, ..command })).reply.clone();
    assert_eq!(reused, Some(Outcome::RequestReused));
}

#[test]
fn everybody_does_what_is_theirs() {
    let mut world = World::new(false);
    let id = world.call("A");
    let step = |step: Step| Action::AdvanceIncident { incident: id, step, note: None };
    assert!(matches!(world.act_as(firm("F2"), step(Step::Note)), Outcome::NotFound { .. }), "not theirs to see");
    assert!(
        matches!(world.act_as(firm("F1"), step(Step::Note)), Outcome::Denied { .. }),
        "theirs, but nobody sent them"
    );
    assert!(matches!(world.act_as(within("6404"), step(Step::Note)), Outcome::NotFound { .. }));
    assert!(matches!(world.act_as(within("6401"), step(command(Tier::Firm))), Outcome::Incident { .. }));
    assert!(matches!(world.act_as(firm("F1"), step(Step::Accept)), Outcome::Incident { .. }));
    let told = world.timeline.incidents.last().unwrap().entry.clone();
    assert_eq!((told.source, told.actor.as_deref()), (Source::Rescuer, Some("F1")));
    assert!(matches!(world.act_as(firm("F1"), step(Step::FalseAlarm)), Outcome::Denied { .. }), "the centre says that");
    world.step(id, command(Tier::Station));
    assert!(matches!(world.act_as(firm("F1"), step(Step::Arrive)), Outcome::Denied { .. }), "no longer on it");
}

/// Flow: 400 lifts of a district lose their power within four seconds; in seven of them people stand between floors.
/// Asserts: the storm is one group; the seven are seven incidents, told within a second of when the hold of their rule
/// (trapped-out-of-zone, 30 s) is over, and the first of the alerts on the board and of the incidents on the page.
#[test]
fn a_power_cut_hides_nobody() {
    let mut world = World::new(false);
    // Of a group, an open alert says how large it has become, which its event could not know.
    world.timeline.unchecked = true;
    let code = |n: usize| DeviceCode::parse(&format!("{:020}", 640_104_000 + n)).unwrap();
    let lifts = (0..400).map(|n| Entry::Lift(Lift { district: District::parse("640104").ok(), ..Lift::new(code(n)) }));
    for lifts in lifts.collect::<Vec<_>>().chunks(vigil::limits::COMMAND_ITEMS) {
        assert!(matches!(world.act(Action::Upsert(lifts.to_vec())), Outcome::Done { .. } | Outcome::Items { .. }));
    }
    for n in 0..400 {
        world.advance(10);
        let occupied = n % 60 == 5;
        let frame = format!(
            r#"{{"seq":1,"observed_at_ms":{},"mode":"normal","car":"stopped","passenger":{occupied},"door_zone":false,"door":"closed","faults":["41"],"alarms":[]}}"#,
            world.timeline.wall().ms()
        );
        world.timeline.report(&format!("vigil/v1/elevator/{}/report", code(n)), frame);
    }
    world.advance(30_000);
    let told = &world.timeline.incidents;
    let received: Vec<_> = told.iter().filter(|event| event.entry.what == What::Received).collect();
    let devices: Vec<_> = received.iter().filter_map(|event| event.incident.scene.device).collect();
    let occupied: Vec<DeviceCode> = (0..400).filter(|n| n % 60 == 5).map(code).collect();
    assert_eq!(devices, occupied);
    let last = received.last().unwrap();
    assert_eq!(last.incident.scene.rule.as_ref().map(|rule| rule.as_str()), Some("trapped-out-of-zone"));
    let published_at = BEGAN_WALL + 10 * (365 + 1) + 30_000;
    assert!((last.entry.at - published_at).abs() <= 1_000, "{} {published_at}", last.entry.at);

    let alerts = world.timeline.core.open_alerts();
    let grouped = alerts.iter().filter(|alert| alert.id.rule.as_str() == "power-lost" && alert.group.is_some()).count();
    assert!(grouped > 380, "{grouped} of 400 are of the group");
    let mut urgent: Vec<_> = alerts.iter().map(|alert| (alert.urgency(), alert.id.subject)).collect();
    urgent.sort();
    let first: std::collections::BTreeSet<_> = urgent[..14].iter().map(|(_, subject)| subject.to_string()).collect();
    assert_eq!(first.len(), 7, "both alerts of each of the seven come before all others");
    let page = Incidents::restore(told, world.timeline.core.incident_cursor());
    let listed = page.list(&IncidentFilter::all(Actor::local_admin()), false, None, 100);
    assert_eq!(listed.incidents.len(), 7);
    assert!(listed.incidents.iter().all(|event| event.incident.occupied == Some(true)));
}

#[test]
fn calls_are_taken_where_no_lift_is_known() {
    let mut world = World::new(false);
    let call = |code: &str, district: &str| {
        Action::OpenIncident(Call {
            rescue_code: Some(code.into()),
            place: place(district, "a hall"),
            ..Call::default()
        })
    };
    let first = opened(&world.act(call("999999", "640105")));
    assert_eq!(world.incident(first).scene.device, None);
    assert_eq!(opened(&world.act(call("999999", "640105"))), first, "the same plate");
    assert_ne!(opened(&world.act(call("999999", "640106"))), first, "another city's");
    assert!(matches!(world.act_as(within("6404"), call("999998", "640105")), Outcome::NotFound { .. }));
    assert!(matches!(world.act_as(within("6404"), call("640001", "640104")), Outcome::NotFound { .. }));
    // A plate is looked for where the caller says.
    assert_eq!(opened(&world.act(call("640001", "6401"))), world.call("A"));
    let unknown = Call { device: Some(device("Z")), ..Call::default() };
    assert!(matches!(world.act(Action::OpenIncident(unknown)), Outcome::NotFound { .. }));
}
