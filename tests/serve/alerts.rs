//! Watching and listing.

use std::time::Duration;

use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;
use vigil::feed::LinkState;
use vigil::limits;
use vigil::model::alert::{self as model, Alert, EventKind, Group, Severity, StormScope};
use vigil::model::ids::PlaceId;
use vigil::model::time::Wall;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::watch_alerts_response::Message;
use vigil::proto::v1::{
    self, AlertEvent, AlertFilter, Cursor, Heartbeat, ListAlertsRequest, WatchAlertsRequest, WatchAlertsResponse,
};

use crate::world::{PATIENCE, World, alert, device, eventually, within};

fn from(epoch: u32, seq: u64) -> WatchAlertsRequest {
    WatchAlertsRequest { cursor: Some(Cursor { epoch, seq }), ..Default::default() }
}

async fn next(stream: &mut Streaming<WatchAlertsResponse>) -> Result<Option<Message>, Status> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("the stream goes on")?;
    Ok(message.map(|response| response.message.unwrap()))
}

async fn next_event(stream: &mut Streaming<WatchAlertsResponse>) -> AlertEvent {
    // Heartbeats alone mustn't count as going on.
    let event = async {
        loop {
            if let Message::Event(event) = next(stream).await.unwrap().unwrap() {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, event).await.expect("an event comes")
}

async fn next_heartbeat(stream: &mut Streaming<WatchAlertsResponse>) -> Heartbeat {
    loop {
        if let Message::Heartbeat(heartbeat) = next(stream).await.unwrap().unwrap() {
            return heartbeat;
        }
    }
}

/// Takes events up to `last` and checks that none is missing or doubled.
async fn take_all(stream: &mut Streaming<WatchAlertsResponse>, after: u64, last: u64) {
    for seq in after + 1..=last {
        let event = next_event(stream).await;
        assert_eq!((event.seq, event.previous_seq), (seq, seq - 1));
    }
}

#[tokio::test]
async fn a_resumed_watch_goes_on_with_the_next_event_across_log_ring_and_present() {
    let world = World::start().await;
    let told = limits::FEED_RING as u64 + 1_000;
    world.open(0, told);
    let mut client = world.alerts().await;
    // 500 stands in the log only, the head is in the ring, and what is told later comes as it happens.
    for after in [500, told - 10, told] {
        let mut stream = client.watch_alerts(from(1, after)).await.unwrap().into_inner();
        let head = world.head().seq;
        world.open(0, 20);
        take_all(&mut stream, after, head + 20).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_watch_without_a_cursor_begins_now() {
    let world = World::start().await;
    world.open(0, 5);
    let mut stream = world.alerts().await.watch_alerts(WatchAlertsRequest::default()).await.unwrap().into_inner();
    assert_eq!(next_heartbeat(&mut stream).await.scanned, Some(Cursor { epoch: 1, seq: 5 }));
    world.open(0, 1);
    take_all(&mut stream, 5, 6).await;
    world.end().await;
}

#[tokio::test]
async fn a_filter_names_the_seq_sent_before_and_heartbeats_the_seq_scanned() {
    let world = World::with(|settings| settings.heartbeat = Duration::from_millis(20)).await;
    world.open(0, 60);
    for number in 0..20 {
        world.teller.lock().unwrap().tell(EventKind::Acknowledged, alert(number));
    }
    let mut client = world.alerts().await;
    // Lift n has seq n + 1 when opened, n + 61 when acknowledged; district by 3, severity by 4 (3: critical).
    let check = async |client: &mut AlertServiceClient<_>, request: WatchAlertsRequest, want: &[u64]| {
        let mut stream = client.watch_alerts(request).await.unwrap().into_inner();
        let mut previous = 0;
        let mut seen = Vec::new();
        let mut heartbeats = 0;
        loop {
            assert!(heartbeats < 1_000, "the end is never scanned");
            match next(&mut stream).await.unwrap().unwrap() {
                Message::Event(event) => {
                    assert_eq!(event.previous_seq, previous);
                    previous = event.seq;
                    seen.push(event.seq);
                }
                Message::Heartbeat(heartbeat) if heartbeat.scanned.unwrap().seq == 80 => break,
                Message::Heartbeat(_) => heartbeats += 1,
            }
        }
        assert_eq!(seen, want);
    };
    let filter = |filter: AlertFilter, kinds: Vec<v1::AlertEventKind>| WatchAlertsRequest {
        filter: Some(filter),
        kinds: kinds.into_iter().map(i32::from).collect(),
        ..from(1, 0)
    };
    let opened = vec![v1::AlertEventKind::Opened];
    let district = AlertFilter { districts: vec!["640101".into()], ..Default::default() };
    let by_three: Vec<u64> = (0..60).filter(|n| n % 3 == 1).map(|n| n + 1).collect();
    check(&mut client, filter(district.clone(), opened.clone()), &by_three).await;
    let critical = AlertFilter { minimum_severity: v1::Severity::Critical.into(), ..district };
    check(&mut client, filter(critical.clone(), opened), &[8, 20, 32, 44, 56]).await;
    check(&mut client, filter(critical, vec![v1::AlertEventKind::Acknowledged]), &[68, 80]).await;
    let subjects = AlertFilter { subjects: vec![format!("{:020}", 5)], ..Default::default() };
    check(&mut client, filter(subjects, Vec::new()), &[6, 66]).await;
    let rules = AlertFilter { rules: vec!["offline".into()], ..Default::default() };
    check(&mut client, filter(rules, Vec::new()), &[]).await;
    world.end().await;
}

#[tokio::test]
async fn heartbeats_come_at_once_and_say_how_far_the_core_has_judged() {
    let world = World::with(|settings| settings.heartbeat = Duration::from_millis(20)).await;
    world.open(0, 3);
    let mut stream = world.alerts().await.watch_alerts(from(1, 0)).await.unwrap().into_inner();
    let Some(Message::Heartbeat(first)) = next(&mut stream).await.unwrap() else { panic!("no heartbeat at once") };
    assert_eq!(first.scanned, Some(Cursor { epoch: 1, seq: 0 }));
    assert_eq!(first.link(), v1::LinkState::Up);
    let judged = first.judged.unwrap();
    assert_eq!(judged.position, 3);
    assert!(judged.at.is_some(), "nobody can tell how old that is");
    let judged = {
        let mut teller = world.teller.lock().unwrap();
        teller.link = LinkState::Down;
        teller.judge().position.unwrap()
    };
    eventually("a heartbeat with the new state", async || {
        let heartbeat = next_heartbeat(&mut stream).await;
        let reached = heartbeat.judged.unwrap().position == judged && heartbeat.scanned.unwrap().seq == 3;
        (reached && heartbeat.link() == v1::LinkState::Down).then_some(())
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_cursor_that_cannot_be_read_says_how_to_go_on() {
    let world = World::start().await;
    let told = limits::FEED_RING as u64 + 10;
    world.open(0, told);
    world.teller.lock().unwrap().log.0.lock().unwrap().drain(..5);
    let mut client = world.alerts().await;
    for (request, reason) in [
        (from(2, 0), "CURSOR_OTHER_EPOCH"),
        (from(0, 0), "CURSOR_OTHER_EPOCH"),
        (from(1, told + 1), "CURSOR_AHEAD"),
        (from(1, 4), "CURSOR_TOO_OLD"),
    ] {
        let status = client.watch_alerts(request).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{reason}");
        assert_eq!(status.get_details_error_info().unwrap().reason, reason);
        assert!(status.message().contains("ListAlerts"), "{}", status.message());
    }
    let cursor = client.list_alerts(ListAlertsRequest::default()).await.unwrap().into_inner().cursor;
    let again = WatchAlertsRequest { cursor, ..Default::default() };
    let mut stream = client.watch_alerts(again).await.unwrap().into_inner();
    world.open(0, 1);
    take_all(&mut stream, told, told + 1).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_watchers_all_get_everything_and_one_more_is_refused() {
    const WATCHERS: usize = 200;
    const EVENTS: u64 = 300;
    let world = World::with(|settings| settings.watchers = WATCHERS).await;
    world.open(0, 1);
    let client = world.alerts().await;
    let mut streams = Vec::new();
    for _ in 0..WATCHERS {
        streams.push(client.clone().watch_alerts(from(1, 0)).await.unwrap().into_inner());
    }
    let status = client.clone().watch_alerts(from(1, 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let watching: Vec<_> = streams
        .into_iter()
        .map(|mut stream| tokio::spawn(async move { take_all(&mut stream, 0, EVENTS).await }))
        .collect();
    for first in 1..EVENTS {
        world.open(first, 1);
    }
    for watcher in watching {
        watcher.await.unwrap();
    }
    // Whoever goes makes room.
    eventually("a free place", async || client.clone().watch_alerts(from(1, 0)).await.ok()).await;
    world.end().await;
}

/// Tells events up to `last`, a few at a time, while `stream` takes them.
async fn tell_and_take(world: &World, stream: &mut Streaming<WatchAlertsResponse>, last: u64) {
    while world.head().seq < last {
        let head = world.head().seq;
        world.open(head, 100.min(last - head));
        take_all(stream, head, world.head().seq).await;
    }
}

/// Flow: a client opens a watch and takes nothing while thousands of events happen.
/// Asserts: others get everything; its place is given back; the little that was under way is all it ever gets, and
/// then the reason.
#[tokio::test]
async fn a_client_that_takes_nothing_is_dropped_and_holds_nothing_up() {
    const EVENTS: u64 = 10_000;
    let world = World::with(|settings| {
        settings.watchers = 2;
        settings.stall = Duration::from_secs(1);
        settings.heartbeat = Duration::from_millis(50);
    })
    .await;
    world.open(0, 1);
    // Connections of their own: a shared one would hold up its other streams.
    let mut slow =
        AlertServiceClient::new(world.narrow_channel().await).watch_alerts(from(1, 0)).await.unwrap().into_inner();
    let mut quick = world.alerts().await.watch_alerts(from(1, 0)).await.unwrap().into_inner();
    take_all(&mut quick, 0, 1).await;
    tell_and_take(&world, &mut quick, EVENTS).await;
    let mut third = world.alerts().await;
    let third = eventually("the slow one's place", async || third.watch_alerts(from(1, EVENTS)).await.ok()).await;
    drop(third);

    let mut got = 0;
    let status = loop {
        match next(&mut slow).await {
            Ok(Some(Message::Event(_))) => got += 1,
            Ok(Some(Message::Heartbeat(_))) => {}
            Ok(None) => panic!("ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Aborted);
    assert!(got < EVENTS / 2, "{got} events were kept for it");
    world.end().await;
}

#[tokio::test]
async fn shutdown_ends_streams_and_does_not_wait_for_who_takes_nothing() {
    let world = World::with(|settings| settings.shutdown = Duration::from_millis(300)).await;
    world.open(0, 1);
    let mut waiting = world.alerts().await.watch_alerts(from(1, 1)).await.unwrap().into_inner();
    let stuck =
        AlertServiceClient::new(world.narrow_channel().await).watch_alerts(from(1, 0)).await.unwrap().into_inner();
    // What the other one hasn't taken by then no longer fits its window.
    tell_and_take(&world, &mut waiting, 10_000).await;
    world.shutdown();
    let status = loop {
        match next(&mut waiting).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    world.end().await;
    drop(stuck);
}

#[tokio::test]
async fn pages_hold_every_open_alert_once_and_name_one_cursor() {
    let world = World::start().await;
    world.open(0, 25);
    let mut client = world.alerts().await;
    let mut request = ListAlertsRequest { page_size: 7, ..Default::default() };
    let mut ids = Vec::new();
    let mut cursors = Vec::new();
    loop {
        let page = client.list_alerts(request.clone()).await.unwrap().into_inner();
        ids.extend(page.alerts.into_iter().map(|alert| alert.id));
        cursors.extend(page.cursor);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
        // What happens in between comes with the stream from the cursor.
        world.teller.lock().unwrap().tell(EventKind::Raised, alert(3));
    }
    // By severity, which a lift's number gives, and by id among those of one severity.
    let by_severity = (0..4).rev().flat_map(|severity| (0..25).filter(move |n| n % 4 == severity));
    assert_eq!(ids, by_severity.map(|n| alert(n).id.to_string()).collect::<Vec<_>>());
    assert_eq!(cursors, vec![Cursor { epoch: 1, seq: 25 }; 4]);
    world.end().await;
}

/// Flow: critical and minor alerts, of cars that are occupied, empty, or nobody knows; some are one storm, which grows.
/// Asserts: whoever has people inside comes first within a severity, across pages; each says how large the storm is now.
#[tokio::test]
async fn occupied_cars_come_first_and_groups_are_as_large_as_they_are_now() {
    let world = World::start().await;
    let place = PlaceId::parse("F12").unwrap();
    let tell = |kind: EventKind, number: u64, severity: Severity, occupied: Option<bool>, lifts: u32| {
        let began = model::Cursor { epoch: 1, seq: 2 };
        let group = Group { scope: StormScope::Feeder, place, began, began_at: Wall(0), lifts };
        let group = (lifts > 0).then_some(group);
        world.teller.lock().unwrap().tell(kind, Alert { severity, occupied, group, ..alert(number) });
    };
    tell(EventKind::Opened, 1, Severity::Minor, Some(false), 0);
    tell(EventKind::Opened, 2, Severity::Minor, None, 3);
    tell(EventKind::Opened, 3, Severity::Critical, Some(false), 4);
    tell(EventKind::Opened, 4, Severity::Minor, Some(true), 5);
    tell(EventKind::Opened, 5, Severity::Critical, None, 0);
    tell(EventKind::Opened, 6, Severity::Critical, Some(true), 6);
    tell(EventKind::Opened, 7, Severity::Critical, Some(true), 0);
    tell(EventKind::Grouped, 1, Severity::Minor, Some(false), 6);
    let mut client = world.alerts().await;
    let mut request = ListAlertsRequest { page_size: 2, ..Default::default() };
    let mut got = Vec::new();
    loop {
        let page = client.list_alerts(request.clone()).await.unwrap().into_inner();
        got.extend(page.alerts);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let subjects: Vec<_> = got.iter().map(|alert| alert.subject.clone()).collect();
    assert_eq!(subjects, [6, 7, 5, 3, 4, 2, 1].map(|n| device(n).to_string()));
    let lifts: Vec<_> = got.iter().map(|alert| alert.group.as_ref().map_or(0, |group| group.lifts)).collect();
    assert_eq!(lifts, [6, 0, 0, 6, 6, 6, 6]);
    let group = got[0].group.clone().unwrap();
    assert_eq!((group.id.as_str(), group.place.as_str()), ("trapped-out-of-zone/feeder/F12/1:2", "F12"));
    assert_eq!((got[0].occupied, got[2].occupied, got[3].occupied), (Some(true), None, Some(false)));
    // The stream tells what was so at the time, in the order in which it was told.
    let mut stream = client.watch_alerts(from(1, 0)).await.unwrap().into_inner();
    let mut told = Vec::new();
    for _ in 0..8 {
        let event = next_event(&mut stream).await;
        told.push((event.seq, event.alert.unwrap().group.map_or(0, |group| group.lifts)));
    }
    assert_eq!(told, [(1, 0), (2, 3), (3, 4), (4, 5), (5, 0), (6, 6), (7, 0), (8, 6)]);
    world.end().await;
}

#[tokio::test]
async fn tokens_and_fields_that_do_not_fit_are_named() {
    let world = World::start().await;
    world.open(0, 5);
    let mut client = world.alerts().await;
    let first =
        client.list_alerts(ListAlertsRequest { page_size: 2, ..Default::default() }).await.unwrap().into_inner();
    let token = first.next_page_token;
    let mut tampered = token.clone();
    tampered.replace_range(10..11, if &token[10..11] == "0" { "1" } else { "0" });
    let filter = |filter| ListAlertsRequest { filter: Some(filter), ..Default::default() };
    for (request, fields) in [
        (ListAlertsRequest { page_token: tampered, ..Default::default() }, &["page_token"][..]),
        (ListAlertsRequest { page_token: "é".repeat(40), ..Default::default() }, &["page_token"]),
        (ListAlertsRequest { page_token: token, unacknowledged_only: true, ..Default::default() }, &["page_token"]),
        (ListAlertsRequest { page_size: 1_001, ..Default::default() }, &["page_size"]),
        (
            filter(AlertFilter {
                districts: vec!["6401".into(), "x".into()],
                rules: vec!["Offline".into()],
                minimum_severity: 9,
                subjects: vec!["x".into()],
            }),
            &["filter.minimum_severity", "filter.districts[1]", "filter.rules[0]", "filter.subjects[0]"],
        ),
        (filter(AlertFilter { districts: vec!["64".into(); 65], ..Default::default() }), &["filter.districts"]),
    ] {
        let status = client.list_alerts(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let named = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(named.iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), fields);
    }
    world.end().await;
}

#[tokio::test]
async fn nobody_sees_beyond_their_district() {
    let world = World::start().await;
    world.open(0, 12);
    let mut client = world.alerts().await;
    let listed = client.list_alerts(within("640102", ListAlertsRequest::default())).await.unwrap().into_inner();
    let ids = |numbers: [u64; 4]| numbers.map(|n| alert(n).id.to_string()).to_vec();
    assert_eq!(listed.alerts.into_iter().map(|alert| alert.id).collect::<Vec<_>>(), ids([11, 2, 5, 8]));
    let mut stream = client.watch_alerts(within("640102", from(1, 0))).await.unwrap().into_inner();
    for id in ids([2, 5, 8, 11]) {
        assert_eq!(next_event(&mut stream).await.alert.unwrap().id, id);
    }
    // Asking for another district by name shows nothing either.
    let filter = Some(AlertFilter { districts: vec!["640101".into()], ..Default::default() });
    let request = within("640102", ListAlertsRequest { filter, ..Default::default() });
    assert_eq!(client.list_alerts(request).await.unwrap().into_inner().alerts, Vec::new());
    world.end().await;
}

#[tokio::test]
async fn a_listing_waits_for_the_position_it_is_asked_for() {
    let world = World::with(|settings| settings.catch_up_wait = Duration::from_millis(50)).await;
    world.open(0, 4);
    let mut client = world.alerts().await;
    for (at_least, want) in [(4, Code::Ok), (5, Code::Unavailable)] {
        let answer = client.list_alerts(ListAlertsRequest { at_least, ..Default::default() }).await;
        assert_eq!(answer.map_or_else(|status| status.code(), |_| Code::Ok), want, "{at_least}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_page_of_large_alerts_ends_before_clients_refuse_it() {
    let world = World::start().await;
    for number in 0..300 {
        let mut large = alert(number);
        large.evidence[0].value = "x".repeat(20_000).into();
        world.teller.lock().unwrap().tell(EventKind::Opened, large);
    }
    let mut client = world.alerts().await;
    let mut request = ListAlertsRequest { page_size: 1_000, ..Default::default() };
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        // A client refuses messages above 4 MiB.
        let page = client.list_alerts(request.clone()).await.unwrap().into_inner();
        pages += 1;
        ids.extend(page.alerts.into_iter().map(|alert| alert.id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let by_severity = (0..4).rev().flat_map(|severity| (0..300).filter(move |n| n % 4 == severity));
    assert_eq!(ids, by_severity.map(|n| alert(n).id.to_string()).collect::<Vec<_>>());
    assert!(pages >= 6, "{pages}");
    world.end().await;
}
