//! 400 lifts lose their power at once, with people in seven of them: what a dispatch centre sees of it on the real service.
//!
//! `tests/dispatch/shift.rs` has the same by a simulated clock where nobody says that people are trapped, so that the hold of
//! `trapped-out-of-zone` has to pass. Here the terminals of the seven, which run on their batteries, say so themselves.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::time::{Duration, Instant};

use support::mosquitto::{Mosquitto, Settings};
use support::publisher::Publisher;
use support::vigil::Vigil;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::transport::Channel;
use vigil::model::archive::{Entry, Lift};
use vigil::model::ids::{DeviceCode, District, PlaceId};
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::dispatch_service_client::DispatchServiceClient;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::proto::v1::watch_incidents_response::Message;
use vigil::proto::v1::{
    Alert, IncidentEvent, IncidentEventKind, ListAlertsRequest, ListIncidentsRequest, UpsertDevicesRequest,
    WatchIncidentsRequest,
};
use vigil::serve::upsert_entry;

const LIFTS: usize = 400;
const PATIENCE: Duration = Duration::from_secs(60);

fn code(n: usize) -> DeviceCode {
    DeviceCode::parse(&format!("{:020}", 640_104_000 + n)).unwrap()
}

/// Seven of them; the last one is the last to report.
fn is_occupied(n: usize) -> bool {
    (LIFTS - 1 - n).is_multiple_of(60)
}

fn frame(n: usize) -> String {
    let standing = r#""mode":"normal","car":"stopped","door_zone":false,"door":"closed""#;
    let (passenger, conditions) = if is_occupied(n) { (true, r#"["trapped"]"#) } else { (false, "[]") };
    format!(
        r#"{{"boot":1,"seq":1,{standing},"passenger":{passenger},"faults":["41"],"alarms":[],"conditions":{conditions}}}"#
    )
}

async fn archive(channel: &Channel) {
    let lift = |n| Lift {
        district: District::parse("640104").ok(),
        feeder: PlaceId::parse("F12").ok(),
        address: Some(format!("No. {n} Renmin Road").into()),
        ..Lift::new(code(n))
    };
    let requests = (0..LIFTS).map(move |n| UpsertDevicesRequest {
        request_id: if n == 0 { "archive".into() } else { String::new() },
        entry: Some(upsert_entry(&Entry::Lift(lift(n)))),
        ..Default::default()
    });
    let answer = RegistryServiceClient::new(channel.clone()).upsert_devices(tokio_stream::iter(requests)).await;
    assert_eq!(answer.unwrap().into_inner().changed, LIFTS as u64);
}

/// What a watcher sees of incidents, and when, from now on.
async fn watch(channel: &Channel) -> UnboundedReceiver<(Instant, IncidentEvent)> {
    let mut client = DispatchServiceClient::new(channel.clone());
    let mut stream = client.watch_incidents(WatchIncidentsRequest::default()).await.unwrap().into_inner();
    // The first heartbeat says that the stream has begun.
    assert!(matches!(stream.message().await.unwrap().unwrap().message, Some(Message::Heartbeat(_))));
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(message)) = stream.message().await {
            if let Some(Message::Event(event)) = message.message {
                _ = sender.send((Instant::now(), event));
            }
        }
    });
    receiver
}

async fn open_alerts(channel: &Channel) -> Vec<Alert> {
    let request = ListAlertsRequest { page_size: 1_000, ..Default::default() };
    AlertServiceClient::new(channel.clone()).list_alerts(request).await.unwrap().into_inner().alerts
}

/// Flow: the archive knows 400 lifts of one feeder; all of them report that their power is lost, seven that people are trapped.
/// Asserts: seven incidents, opened by `trapped-reported`, the seventh with a watcher within a second of the last PUBLISH; they
/// are all that is listed, and the alerts of these seven lifts come before all others, of which nearly all are of one group.
#[tokio::test(flavor = "multi_thread")]
async fn seven_of_four_hundred_are_seen_at_once() {
    let occupied: Vec<String> = (0..LIFTS).filter(|n| is_occupied(*n)).map(|n| code(n).to_string()).collect();
    assert!(occupied.len() == 7 && is_occupied(LIFTS - 1));
    let broker = Mosquitto::start(Settings::default());
    let mut vigil = Vigil::with_sqlite(broker.addr());
    let channel = Channel::from_shared(vigil.grpc_url()).unwrap().connect().await.unwrap();
    archive(&channel).await;
    let mut seen = watch(&channel).await;

    let mut lifts = Publisher::connect(broker.addr(), "lifts").unwrap();
    let frames: Vec<(String, String)> =
        (0..LIFTS).map(|n| (format!("vigil/v1/elevator/{}/report", code(n)), frame(n))).collect();
    let began = Instant::now();
    for (topic, frame) in &frames[..LIFTS - 1] {
        lifts.publish(topic, frame.as_bytes()).unwrap();
    }
    let last_publish = Instant::now();
    let (topic, frame) = &frames[LIFTS - 1];
    lifts.publish(topic, frame.as_bytes()).unwrap();
    lifts.finish().unwrap();

    let mut received = Vec::new();
    while received.len() < 7 {
        let (at, event) = tokio::time::timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
        if event.kind == i32::from(IncidentEventKind::Received) {
            received.push((at, event.incident.unwrap()));
        }
    }
    let after = received[6].0.saturating_duration_since(last_publish);
    println!(
        "400 lifts within {} ms; the seventh incident was seen {} ms after the last PUBLISH",
        (last_publish - began).as_millis(),
        after.as_millis()
    );
    assert!(after <= Duration::from_secs(1), "{after:?}");
    let devices: Vec<&str> = received.iter().map(|(_, incident)| &*incident.device).collect();
    assert_eq!(devices, occupied);
    assert!(received.iter().all(|(_, incident)| incident.rule == "trapped-reported"));

    let mut centre = DispatchServiceClient::new(channel.clone());
    let listed = centre.list_incidents(ListIncidentsRequest::default()).await.unwrap().into_inner().incidents;
    assert_eq!(listed.len(), 7);
    assert!(listed.iter().all(|incident| incident.occupied == Some(true)));

    let is_grouped = |alert: &&Alert| alert.rule == "power-lost" && alert.group.is_some();
    let now = tokio::runtime::Handle::current();
    let storm = || Some(now.block_on(open_alerts(&channel))).filter(|all| all.iter().filter(is_grouped).count() > 380);
    let alerts = tokio::task::block_in_place(|| vigil.wait_for("nearly all are of one group", PATIENCE, storm));
    let of_occupied = |alert: &Alert| occupied.iter().any(|device| alert.id.starts_with(&**device));
    assert_eq!(alerts.iter().take_while(|alert| of_occupied(alert)).count(), 14, "two of each, before all others");
    assert!(vigil.stop().success());
}
