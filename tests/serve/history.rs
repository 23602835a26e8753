//! Frames, timelines and the archive.

use tonic::Code;
use tonic_types::StatusExt as _;
use vigil::limits;
use vigil::model::alert::EventKind;
use vigil::model::archive::{EntryKind, FieldChange};
use vigil::model::frame::{Frame, FrameKey, Mode, Reported};
use vigil::model::ids::{CylinderCode, SiteCode};
use vigil::model::row::{ChangeKind, ChangeRow, FrameRow, Order, ScanRow, StatusRow, TimeSource};
use vigil::model::scan::{Scan, ScanEvent};
use vigil::model::time::Wall;
use vigil::proto::v1::history_service_client::HistoryServiceClient;
use vigil::proto::v1::timeline_item::Item;
use vigil::proto::v1::upsert_devices_request::Entry;
use vigil::proto::v1::{
    GetDeviceRequest, GetTimelineRequest, Lift, QueryFramesRequest, UpsertDevicesRequest, get_device_response,
};
use vigil::serve::history::Happened;

use crate::world::{World, alert, device, event, within};

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

pub(crate) fn frame(seq: u64, at: Wall) -> FrameRow {
    FrameRow {
        device: device(1),
        generation: 0,
        frame: Frame {
            key: FrameKey { boot: 1, seq },
            claimed_at: Some(at),
            mode: Reported::Known(Mode::Normal),
            passenger: Reported::Unknown,
            extras: vec![("vibration_mg".into(), 4.5)],
            ..Frame::default()
        },
        received_at: at + 20,
        effective_at: at,
        time_source: TimeSource::Claimed,
        order: Order::Newer,
    }
}

fn query(number: u64, to: i64) -> QueryFramesRequest {
    QueryFramesRequest { device: device(number).to_string(), from: at(0), to: at(to), ..Default::default() }
}

/// Flow: a client reads 100,000 frames, message by message.
/// Asserts: all come, in order, once; and the store is never read more than a little ahead of the client.
#[tokio::test]
async fn a_hundred_thousand_frames_pass_through_bounded_memory() {
    const FRAMES: u64 = 100_000;
    let world = World::start().await;
    {
        let mut made_up = world.store.made_up.lock().unwrap();
        made_up.frames = FRAMES;
        made_up.row = Some(frame(1, Wall(0)));
    }
    let mut client = HistoryServiceClient::new(world.narrow_channel().await);
    let mut stream = client.query_frames(query(1, 1_000_000)).await.unwrap().into_inner();
    let mut got = 0;
    while let Some(page) = stream.message().await.unwrap() {
        assert!(page.frames.len() <= limits::PAGE_ROWS);
        for stored in &page.frames {
            got += 1;
            assert_eq!(stored.frame.as_ref().unwrap().seq, got);
        }
        assert_eq!(page.next_page_token.is_empty(), got == FRAMES && page.frames.len() < limits::PAGE_ROWS);
        let ahead = world.store.made_up.lock().unwrap().read - got;
        assert!(ahead <= 10 * limits::PAGE_ROWS as u64, "{ahead} frames were read ahead");
    }
    assert_eq!(got, FRAMES);
    world.end().await;
}

#[tokio::test]
async fn a_query_goes_on_behind_its_token_within_range_and_limit() {
    let world = World::start().await;
    // Two frames at each moment: the key breaks the tie.
    let rows = (1..=10).map(|seq| frame(seq, Wall(1_000 * (seq as i64 / 2))));
    world.store.memory.lock().unwrap().frames = rows.collect();
    let mut client = world.history().await;
    let mut request = QueryFramesRequest { limit: 3, from: at(1), ..query(1, 5) };
    let mut seqs = Vec::new();
    loop {
        let mut stream = client.query_frames(request.clone()).await.unwrap().into_inner();
        let mut token = String::new();
        while let Some(page) = stream.message().await.unwrap() {
            seqs.extend(page.frames.iter().map(|stored| stored.frame.as_ref().unwrap().seq));
            token = page.next_page_token;
        }
        if token.is_empty() {
            break;
        }
        request.page_token = token;
    }
    // Half-open: what happened at 5 s, frame 10, is not in it.
    assert_eq!(seqs, (2..=9).collect::<Vec<_>>());

    let mut stream = client.query_frames(QueryFramesRequest { limit: 1, ..query(1, 5) }).await.unwrap().into_inner();
    let stored = stream.message().await.unwrap().unwrap().frames.remove(0);
    let shown = stored.frame.unwrap();
    assert_eq!((shown.mode, shown.passenger, shown.unknown), (2, None, vec!["passenger".to_owned()]));
    assert_eq!(shown.extras["vibration_mg"], 4.5);
    world.end().await;
}

#[tokio::test]
async fn queries_that_do_not_fit_are_refused() {
    let world = World::start().await;
    let mut client = world.history().await;
    let good = query(1, 5);
    for (request, field) in [
        (QueryFramesRequest { device: "x".into(), ..good.clone() }, "device"),
        (QueryFramesRequest { from: None, ..good.clone() }, "from"),
        (QueryFramesRequest { from: at(5), ..good.clone() }, "to"),
        (QueryFramesRequest { to: at(i64::MAX), ..good.clone() }, "to"),
        (QueryFramesRequest { page_token: "00".into(), ..good.clone() }, "page_token"),
    ] {
        let status = client.query_frames(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
    world.store.memory.lock().unwrap().away = true;
    let mut stream = client.query_frames(good).await.unwrap().into_inner();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("try again"), "{}", status.message());
    world.end().await;
}

#[tokio::test]
async fn history_shows_only_what_lies_in_scope() {
    let world = World::start().await;
    let mut registry = world.registry().await;
    let lift = Lift { code: device(1).to_string(), district: "640101".into(), ..Default::default() };
    let upload =
        UpsertDevicesRequest { request_id: "u".into(), entry: Some(Entry::Lift(lift.clone())), ..Default::default() };
    registry.upsert_devices(tokio_stream::once(upload)).await.unwrap();
    let mut client = world.history().await;
    let ask = GetDeviceRequest { kind: 1, code: device(1).to_string() };
    for (district, want) in [("6401", Code::Ok), ("640101", Code::Ok), ("640102", Code::NotFound)] {
        let code = |result: Result<(), tonic::Status>| result.map_or_else(|status| status.code(), |()| Code::Ok);
        assert_eq!(code(client.query_frames(within(district, query(1, 5))).await.map(drop)), want, "{district}");
        assert_eq!(code(registry.get_device(within(district, ask.clone())).await.map(drop)), want, "{district}");
    }
    // A lift that the archive doesn't know is for those who may see all.
    let status = client.query_frames(within("6401", query(2, 5))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let shown = registry.get_device(ask).await.unwrap().into_inner().entry.unwrap();
    let equipment = vigil::proto::v1::Equipment::Lift.into();
    assert_eq!(shown, get_device_response::Entry::Lift(Lift { equipment, ..lift }));
    world.end().await;
}

pub(crate) fn scan(seq: u64, at: Wall) -> Happened {
    let text = |text: &str| Some(text.into());
    Happened::Scan(ScanRow {
        site: SiteCode::parse("6401-A").unwrap(),
        generation: 0,
        scan: Scan {
            scanner: "gun-1".into(),
            key: FrameKey { boot: 1, seq },
            claimed_at: Some(at),
            cylinder: CylinderCode::parse("564010012345").unwrap(),
            event: ScanEvent::Filled,
            operator: text("op-7"),
            counterparty: None,
            medium: text("lpg"),
            tare_g: Some(16_500),
            gross_g: Some(31_400),
            net_g: None,
            pressure_kpa: None,
            passed: Some(true),
            findings: Vec::new(),
            latitude_e7: None,
            longitude_e7: None,
            request: None,
            valid_until: None,
            invalid: Vec::new(),
        },
        received_at: at + 5,
        effective_at: at,
        time_source: TimeSource::Claimed,
        order: Order::Newer,
        flags: vec![vigil::model::row::ScanFlag::ForeignSite],
        verdict: None,
    })
}

#[tokio::test]
async fn a_timeline_pages_through_moments_that_share_a_time() {
    let world = World::start().await;
    let times = [1, 2, 2, 2, 2, 2, 3, 3, 4];
    let scans = times.iter().zip(1..).map(|(second, seq)| scan(seq, Wall(second * 1_000)));
    world.store.memory.lock().unwrap().happened = scans.collect();
    let mut client = world.history().await;
    for page_size in 1..=10 {
        let subject = "cylinder:564010012345".to_owned();
        let mut request = GetTimelineRequest { subject, from: at(0), to: at(4), page_size, ..Default::default() };
        let mut seqs = Vec::new();
        loop {
            let page = client.get_timeline(request.clone()).await.unwrap().into_inner();
            assert!(seqs.len() < 20, "it goes round in circles: {seqs:?}");
            for item in page.items {
                let Some(Item::Scan(scan)) = item.item else { panic!("no scan") };
                seqs.push(scan.seq);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(seqs, (1..=8).collect::<Vec<_>>(), "pages of {page_size}");
    }
    world.end().await;
}

/// Flow: a lift's entry is changed twice in the ms in which an alert of it opens and its terminal goes, and once before.
/// Asserts: pages of any size show all of it once, the changes with who made them and what differs; those of another lift,
/// and of a cylinder of that code, aren't there.
#[tokio::test]
async fn a_timeline_holds_what_was_changed_in_the_archive() {
    let world = World::start().await;
    let change = |kind: EntryKind, number: u64, second: i64, before: &str, after: &str| {
        Happened::Change(ChangeRow {
            kind,
            code: device(number).as_str().into(),
            what: ChangeKind::Changed,
            changed_at: Wall(second * 1_000),
            actor: "desk".into(),
            fields: vec![FieldChange { field: "address".into(), before: before.into(), after: after.into() }],
        })
    };
    let status = StatusRow { device: device(1), online: false, received_at: Wall(2_000) };
    let mut event = event(1, EventKind::Opened, alert(1));
    event.at = Wall(2_000);
    world.store.memory.lock().unwrap().happened = vec![
        Happened::Alert(event),
        Happened::Status(status),
        change(EntryKind::Lift, 1, 2, "a", "b"),
        change(EntryKind::Lift, 1, 2, "b", "c"),
        change(EntryKind::Lift, 1, 1, "", "a"),
        change(EntryKind::Lift, 2, 2, "x", "y"),
        change(EntryKind::Cylinder, 1, 2, "x", "z"),
    ];
    let mut client = world.history().await;
    for page_size in 1..=6 {
        let subject = device(1).to_string();
        let mut request = GetTimelineRequest { subject, from: at(0), to: at(9), page_size, ..Default::default() };
        let (mut kinds, mut changes) = (Vec::new(), Vec::new());
        loop {
            let page = client.get_timeline(request.clone()).await.unwrap().into_inner();
            for item in page.items {
                kinds.push(match item.item.unwrap() {
                    Item::AlertEvent(_) => "alert",
                    Item::Status(_) => "status",
                    Item::Change(change) => {
                        assert_eq!((&*change.actor, change.changed_at), ("desk", item.at));
                        changes.push(format!("{} {}", change.fields[0].before, change.fields[0].after));
                        "change"
                    }
                    other => panic!("{other:?}"),
                });
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(kinds, ["change", "alert", "status", "change", "change"], "pages of {page_size}");
        assert_eq!(changes, [" a", "a b", "b c"]);
    }
    world.end().await;
}

#[tokio::test]
async fn a_timeline_holds_alerts_and_status_changes_of_its_subject_only() {
    let world = World::start().await;
    let status = |number, second: i64| {
        Happened::Status(StatusRow { device: device(number), online: false, received_at: Wall(second * 1_000) })
    };
    let told = |number| {
        let mut event = event(1, EventKind::Opened, alert(number));
        event.at = Wall(2_000);
        Happened::Alert(event)
    };
    world.store.memory.lock().unwrap().happened = vec![status(1, 3), told(1), status(2, 1), told(2), scan(1, Wall(1))];
    let mut client = world.history().await;
    let request = GetTimelineRequest { subject: device(1).to_string(), from: at(0), to: at(9), ..Default::default() };
    let items = client.get_timeline(request.clone()).await.unwrap().into_inner().items;
    assert_eq!(items.len(), 2);
    assert!(matches!(&items[0].item, Some(Item::AlertEvent(event)) if event.kind == 1));
    assert!(matches!(&items[1].item, Some(Item::Status(status)) if !status.online));
    let service = GetTimelineRequest { subject: "vigil".into(), ..request };
    assert_eq!(client.get_timeline(within("64", service)).await.unwrap_err().code(), Code::NotFound);
    world.end().await;
}
