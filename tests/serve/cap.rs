//! Alerts as CAP messages, by the call and by the command.

use tonic::Code;
use vigil::limits;
use vigil::model::alert::{Alert, AlertEvent, AlertState, EventKind, Severity};
use vigil::model::archive::{Entry, EntryKind, Lift, Position};
use vigil::model::time::Wall;
use vigil::proto::v1::notification_service_client::NotificationServiceClient;
use vigil::proto::v1::{ExportCapRequest, ListTargetsRequest, ReplayDeliveriesRequest};
use vigil::serve::history::Happened;

use crate::cap_rules as rules;
use crate::cli::print;
use crate::world::{World, alert, device, within};

fn cleared(n: u64) -> Alert {
    Alert { state: AlertState::Cleared, cleared_at: Some(Wall(1_763_766_100_000)), ..alert(n) }
}

fn tell(world: &World, kind: EventKind, alert: Alert) {
    world.teller.lock().unwrap().tell(kind, alert);
}

/// Flow: an alert opens, rises and clears; the archive knows where the lift is.
/// Asserts: `vigil cap` prints how it stands, and all there was; both are valid, and say where it is.
#[tokio::test]
async fn the_command_prints_how_an_alert_stands() {
    let world = World::start().await;
    let position = Some(Position { latitude_e7: 384_872_000, longitude_e7: 1_062_309_000 });
    let lift = Lift { position, ..Lift::new(device(1)) };
    let key = (EntryKind::Lift, device(1).as_str().into());
    world.store.archive.lock().unwrap().insert(key, Entry::Lift(lift));
    tell(&world, EventKind::Opened, alert(1));
    tell(&world, EventKind::Opened, alert(2));
    tell(&world, EventKind::Raised, Alert { severity: Severity::Critical, ..alert(1) });
    tell(&world, EventKind::Cleared, cleared(1));
    let id = alert(1).id.to_string();

    let last = print(&world, &["cap", &id]).await;
    assert_eq!(last.result, Ok(true));
    let last = rules::check(&last.out.text()).unwrap();
    assert_eq!(last.text_of("msgType"), Some("Cancel"));
    let info = last.all("info").next().unwrap();
    assert_eq!(info.all("area").next().unwrap().text_of("circle"), Some("38.4872000,106.2309000 0.05"));

    let chain = print(&world, &["cap", &id, "--chain"]).await.out.text();
    let documents: Vec<&str> = chain.split_inclusive("</alert>\n").collect();
    let kinds: Vec<_> =
        documents.iter().map(|it| rules::check(it).unwrap().text_of("msgType").unwrap().to_owned()).collect();
    assert_eq!(kinds, ["Alert", "Update", "Cancel"]);
    let refused = print(&world, &["cap", "1-99"]).await.result.unwrap_err();
    assert!(refused.contains("NotFound") && refused.contains("incident 1-99"), "{refused}");
    world.end().await;
}

/// Flow: an alert opens, and so many others that its beginning is only in the database; it rises.
/// Asserts: what is in the database comes first, and without it the caller is told so; another district sees nothing of it.
#[tokio::test]
async fn an_old_alert_needs_the_database() {
    let world = World::start().await;
    tell(&world, EventKind::Opened, alert(1));
    world.open(10, limits::FEED_RING as u64);
    tell(&world, EventKind::Raised, Alert { severity: Severity::Critical, ..alert(1) });
    let of_one = |event: &&AlertEvent| event.alert.id == alert(1).id;
    let told: Vec<AlertEvent> =
        world.teller.lock().unwrap().log.0.lock().unwrap().iter().filter(of_one).cloned().collect();
    assert_eq!(told.len(), 2);
    world.store.memory.lock().unwrap().happened.push(Happened::Alert(told[0].clone()));
    let mut client = NotificationServiceClient::new(world.channel().await);
    let ask = || ExportCapRequest { alert_id: alert(1).id.to_string(), ..Default::default() };
    let messages = client.export_cap(ask()).await.unwrap().into_inner().messages;
    let kinds: Vec<_> = messages.iter().map(|it| (it.kind.as_str(), it.identifier.as_str())).collect();
    let last = format!("vigil-1.alert.1.{}", limits::FEED_RING + 2);
    assert_eq!(kinds, [("Alert", "vigil-1.alert.1.1"), ("Update", &last)]);
    let denied = client.export_cap(within("640102", ask())).await.unwrap_err();
    assert_eq!(denied.code(), Code::NotFound);
    assert_eq!(client.export_cap(within("640101", ask())).await.unwrap().into_inner().messages.len(), 2);
    world.store.memory.lock().unwrap().away = true;
    assert_eq!(client.export_cap(ask()).await.unwrap_err().code(), Code::Unavailable);
    world.end().await;
}

#[tokio::test]
async fn targets_are_for_those_who_run_the_service() {
    let world = World::start().await;
    let mut client = NotificationServiceClient::new(world.channel().await);
    let as_role = |role: &'static str| {
        let mut request = tonic::Request::new(ListTargetsRequest {});
        request.metadata_mut().insert("role", tonic::metadata::MetadataValue::from_static(role));
        request
    };
    assert!(client.list_targets(as_role("auditor")).await.unwrap().into_inner().targets.is_empty());
    assert_eq!(client.list_targets(as_role("dispatcher")).await.unwrap_err().code(), Code::PermissionDenied);
    let replay = ReplayDeliveriesRequest { target: "city".into(), from_seq: 1, from_epoch: 0 };
    assert_eq!(client.replay_deliveries(replay).await.unwrap_err().code(), Code::NotFound);
    let status = print(&world, &["notify", "status"]).await;
    assert_eq!((status.result, status.out.text()), (Ok(true), String::new()));
    assert!(status.err.text().contains("nobody is told"), "{}", status.err.text());
    world.end().await;
}
