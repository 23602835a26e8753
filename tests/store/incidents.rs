//! Rescue incidents: what happened to each, and how it stands.

use vigil::core::dispatch::machine;
use vigil::limits::PAGE_ROWS;
use vigil::model::alert::{Cursor, Place};
use vigil::model::archive::{Entry as Archived, Lift};
use vigil::model::ids::{District, FirmId};
use vigil::model::incident::{Entry, Incident, IncidentEvent, IncidentId, Party, Scene, Source, Tier, What};
use vigil::model::row::{Effects, Row};
use vigil::model::time::Wall;
use vigil::store::{IncidentQuery, ReportingQuery};

use crate::support::rows::{device, frame};
use crate::world::{World, now};

fn entry(seq: u64, at: Wall, what: What) -> Entry {
    let party = Party { tier: Tier::Firm, id: "F1".into(), name: "first firm".into(), phone: Some("1".into()) };
    let place = Place { district: District::parse("640104").ok(), address: Some("人民路1号".into()) };
    let firm = FirmId::parse("F1").ok();
    let scene = Scene { device: Some(device(1)), place, firm, ..Scene::default() };
    Entry {
        seq,
        epoch: 1,
        at,
        since_ms: 0,
        what,
        source: Source::Dispatcher,
        actor: Some("local".into()),
        note: Some("it's \u{1f6d7}".into()),
        scene: (what == What::Received).then(|| scene.into()),
        party: (what == What::Commanded).then_some(party),
        alert: None,
        severity: None,
        certainty: None,
        occupied: None,
        caller: None,
        accept_by_ms: Some(180_000),
        arrive_by_ms: None,
        ending: None,
        reassure_by_ms: None,
    }
}

fn told(events: &[&IncidentEvent]) -> Effects {
    Effects { incidents: events.iter().map(|event| (*event).clone()).collect(), ..Effects::default() }
}

/// Flow: three incidents are received, two of them in one ms, and one is commanded in a later batch.
/// Asserts: each is as its last event left it, whatever batch that came in; timelines and events are resumed by their numbers; a
/// range of the time of receipt is read by pages of any size.
pub(crate) async fn an_incident_is_as_its_last_event_left_it(mut world: World) {
    let began = now();
    let id = |number| IncidentId { epoch: 1, number };
    let receive = |number, seq, at| {
        let entry = entry(seq, at, What::Received);
        IncidentEvent { incident: machine::begin(id(number), &entry), entry }
    };
    let first = receive(1, 1, began);
    let (second, third) = (receive(2, 2, began + 5), receive(3, 3, began + 5));
    let commanded = {
        let (entry, mut incident) = (entry(4, began + 9, What::Commanded), first.incident.clone());
        machine::take(&mut incident, &entry);
        IncidentEvent { entry, incident }
    };
    world.commit(vec![told(&[&first, &second]), told(&[&third])]).await;
    assert_eq!(world.store.incident(id(1)).await.unwrap(), Some(first.incident.clone()));
    world.commit(vec![told(&[&commanded])]).await;
    assert_eq!(world.store.incident(id(1)).await.unwrap(), Some(commanded.incident.clone()));
    assert_eq!(world.store.incident(id(9)).await.unwrap(), None);

    let timeline = world.store.incident_timeline(id(1), Cursor::default(), PAGE_ROWS).await.unwrap();
    assert_eq!(timeline, [first.clone(), commanded.clone()]);
    let rest = world.store.incident_timeline(id(1), first.cursor(), PAGE_ROWS).await.unwrap();
    assert_eq!(rest, std::slice::from_ref(&commanded));
    let after = world.store.incident_events_after(1, 1, 2).await.unwrap();
    assert_eq!(after, [second.clone(), third.clone()]);
    assert_eq!(world.store.incident_events_after(2, 0, 2).await.unwrap(), []);

    let wanted = [&commanded, &second, &third].map(|event| event.incident.clone());
    for limit in [1, 2, PAGE_ROWS] {
        let (mut found, mut after) = (Vec::<Incident>::new(), None);
        loop {
            let query = IncidentQuery { from: began, to: began + 6, after, limit };
            let page = world.store.incidents(query).await.unwrap();
            after = page.last().map(|last| (last.received_at, last.id));
            let is_last = page.len() < limit;
            found.extend(page);
            if is_last {
                break;
            }
        }
        assert_eq!(found, wanted, "by pages of {limit}");
    }
    let none = IncidentQuery { from: began + 6, to: began + 60, after: None, limit: 9 };
    assert_eq!(world.store.incidents(none).await.unwrap(), []);
}

/// Flow: of three incidents of long ago two are over, one of them with a note of lately; then the retention of alerts passes.
/// Asserts: what is over and has long stood still goes, with its timeline; what goes on stays, however old.
pub(crate) async fn incidents_stay_as_long_as_alerts(mut world: World) {
    const DAY_MS: i64 = 86_400_000;
    let (old, new) = (now() + -91 * DAY_MS, now() + -2 * DAY_MS);
    let id = |number| IncidentId { epoch: 1, number };
    let mut told = Vec::new();
    for number in 1..=3 {
        let entry = entry(number, old, What::Received);
        told.push(IncidentEvent { incident: machine::begin(id(number), &entry), entry });
    }
    let mut go_on = |number: usize, seq, at, what| {
        let mut incident = told.iter().rev().find(|it| it.incident.id == id(number as u64)).unwrap().incident.clone();
        let entry = entry(seq, at, what);
        machine::take(&mut incident, &entry);
        told.push(IncidentEvent { entry, incident });
    };
    go_on(1, 4, old + 5, What::FalseAlarm);
    go_on(2, 5, old + 5, What::FalseAlarm);
    go_on(2, 6, new, What::Noted);
    world.commit(vec![self::told(&told.iter().collect::<Vec<_>>())]).await;
    while world.store.maintain(now()).await.unwrap().left.is_some() {}
    assert_eq!(world.store.incident(id(1)).await.unwrap(), None);
    assert_eq!(world.store.incident(id(2)).await.unwrap().map(|it| it.changed_at), Some(new));
    assert_eq!(world.store.incident(id(3)).await.unwrap().map(|it| it.received_at), Some(old));
    let events = world.store.incident_events_after(1, 0, PAGE_ROWS).await.unwrap();
    assert_eq!(events.iter().map(|event| event.entry.seq).collect::<Vec<_>>(), [6]);
    assert_eq!(world.store.incident_timeline(id(1), Cursor::default(), PAGE_ROWS).await.unwrap(), []);
}

/// Flow: of three lifts in two districts two have sent a frame, one of them before the range.
/// Asserts: lifts count once, in the district and of the firm that is asked for, and only those that reported in the range.
pub(crate) async fn lifts_that_report_are_counted(mut world: World) {
    let began = now();
    let lift = |n, district: &str, firm: &str| {
        let (district, firm) = (District::parse(district).ok(), FirmId::parse(firm).ok());
        Row::Entry(Archived::Lift(Lift { district, firm, ..Lift::new(device(n)) }))
    };
    let frames = [frame(device(1), 1, began), frame(device(1), 2, began + 1), frame(device(2), 1, began - 10_000)]
        .map(Row::Frame);
    let lifts = [lift(1, "640104", "F1"), lift(2, "640104", "F2"), lift(3, "640202", "F1")];
    let rows = lifts.into_iter().chain(frames).collect();
    world.commit(vec![Effects { rows, ..Effects::default() }]).await;
    for (district, firm, want) in [
        (None, None, (3, 1)),
        (Some("6401"), None, (2, 1)),
        (Some("640202"), None, (1, 0)),
        (None, Some("F1"), (2, 1)),
        (Some("6401"), Some("F2"), (1, 0)),
        (Some("65"), None, (0, 0)),
    ] {
        let query = ReportingQuery {
            from: began,
            to: began + 60_000,
            district: district.map(|code| District::parse(code).unwrap()),
            firm: firm.map(|id| FirmId::parse(id).unwrap()),
        };
        assert_eq!(world.store.reporting(query).await.unwrap(), want, "{district:?} {firm:?}");
    }
}
