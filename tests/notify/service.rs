//! The real service, killed.

use std::time::Duration;

use serde_json::Value;
use vigil::model::incident::StepKind;
use vigil::proto::v1::dispatch_service_client::DispatchServiceClient;
use vigil::proto::v1::notification_service_client::NotificationServiceClient;
use vigil::proto::v1::{
    AdvanceIncidentRequest, ExportCapRequest, ListDeliveriesRequest, ListTargetsRequest, NotificationTarget,
    OpenIncidentRequest, ReplayDeliveriesRequest, TargetState,
};

use crate::support::cap;
use crate::support::receiver::{Mood, Received, Receiver};
use crate::support::service::Service;
use crate::world::{PATIENCE, SECRET, target, target_at, write_secret};

async fn client(service: &Service) -> DispatchServiceClient<tonic::transport::Channel> {
    DispatchServiceClient::connect(format!("http://{}", service.grpc())).await.unwrap()
}

async fn open(service: &Service, n: u32) -> String {
    let call = OpenIncidentRequest {
        request_id: format!("call-{n}"),
        district: "640104".into(),
        address: format!("{n} Renmin Road"),
        ..Default::default()
    };
    client(service).await.open_incident(call).await.unwrap().into_inner().incident.unwrap().id
}

async fn advance(service: &Service, id: &str, step: StepKind) {
    let request = AdvanceIncidentRequest {
        request_id: format!("{id}-{}", step.name()),
        incident_id: id.into(),
        step: step.number(),
        ..Default::default()
    };
    client(service).await.advance_incident(request).await.unwrap();
}

fn seqs(received: &[Received]) -> Vec<u64> {
    crate::world::seqs(received)
}

/// Without repeats of what came just before.
fn distinct(mut all: Vec<u64>) -> Vec<u64> {
    all.dedup();
    all
}

/// Flow: rescues are opened by callers while one target takes all, one hangs and one isn't there. The service is killed in the
/// midst, twice; the second time it is down while nobody was told. Then those that were dead come to life. A rescue turns out to
/// be a false alarm.
/// Asserts: each target is told everything in order, nothing is left out, and only what was in flight at a kill comes twice;
/// standings, deliveries, replay and the CAP export of the service say what happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_by_a_kill() {
    let mut service = Service::prepare(([127, 0, 0, 1], crate::support::ports::free()).into(), "sqlite:vigil.db");
    let (alive, hangs) = (Receiver::start(), Receiver::start());
    hangs.be(Mood::Hang);
    let absent = ([127, 0, 0, 1], crate::support::ports::free()).into();
    let incidents = "events = \"incidents\"";
    let targets = [
        target("alive", &alive, incidents),
        target("hangs", &hangs, incidents),
        target_at("absent", &format!("http://{absent}/"), &format!("{incidents}\nformat = \"cap\"")),
    ];
    service.append(&targets.concat());
    write_secret(&service.beside("secret"), SECRET);
    service.start_and_wait();
    // A target that is new begins with what happens once it is known: the service has to have got so far.
    targets_of(&service, |all| all.len() == 3 && all.iter().all(is_done)).await;

    let mut ids = Vec::new();
    for n in 1..=6 {
        ids.push(open(&service, n).await);
        if n == 3 {
            alive.wait_taken(2, PATIENCE);
            service.kill();
            service.start_and_wait();
        }
    }
    service.kill();
    service.start_and_wait();
    advance(&service, &ids[1], StepKind::FalseAlarm).await;
    let told = targets_of(&service, |all| is_done(&all[0])).await;
    let last = told[0].head.unwrap().seq;
    assert!(last >= 7, "six calls and a false alarm are more than {last} events");
    assert_eq!(distinct(seqs(&alive.taken())), (1..=last).collect::<Vec<_>>());
    let repeats = alive.taken().len() as u64 - last;
    assert!(repeats <= 2, "{repeats} came twice by two kills");

    hangs.be(Mood::Take);
    let late = Receiver::at(absent);
    targets_of(&service, |all| all.iter().all(is_done)).await;
    assert_eq!(distinct(seqs(&hangs.taken())), (1..=last).collect::<Vec<_>>());
    // Every event of a rescue is a message, until it is over.
    assert_eq!(seqs(&late.taken()), (1..=last).collect::<Vec<_>>());
    let body: Value = alive.taken()[0].json();
    assert_eq!((&body["stream"], &body["event"]["incident"]["address"]), (&"incident".into(), &"1 Renmin Road".into()));

    check_calls(&service, &ids, &late, last).await;
    let told = service.metric("vigil_notify_delivered_total{target=\"absent\"}");
    assert_eq!(told as u64, last + 3);
    assert!(service.terminate(Duration::from_secs(10)).0.success());
    let errors = service.logs().lines().filter(|line| line.contains(" ERROR ")).count();
    assert_eq!(errors, 0, "{}", service.logs());
}

fn is_done(it: &NotificationTarget) -> bool {
    it.state() == TargetState::Idle && it.behind == 0
}

async fn targets_of(service: &Service, wanted: impl Fn(&[NotificationTarget]) -> bool) -> Vec<NotificationTarget> {
    let mut client = NotificationServiceClient::connect(format!("http://{}", service.grpc())).await.unwrap();
    tokio::time::timeout(PATIENCE, async {
        loop {
            let targets = client.list_targets(ListTargetsRequest {}).await.unwrap().into_inner().targets;
            if wanted(&targets) {
                return targets;
            }
            crate::support::wait::pause().await;
        }
    })
    .await
    .expect("they come to stand so")
}

async fn check_calls(service: &Service, ids: &[String], late: &Receiver, last: u64) {
    let targets = targets_of(service, |all| all.iter().all(is_done)).await;
    let names: Vec<_> = targets.iter().map(|it| (it.name.as_str(), it.stream.as_str(), it.format.as_str())).collect();
    assert_eq!(names, [("alive", "incident", "json"), ("hangs", "incident", "json"), ("absent", "incident", "cap")]);
    assert!(targets.iter().all(|it| it.state() == TargetState::Idle && !it.url.contains("t0ken")), "{targets:?}");

    let mut client = NotificationServiceClient::connect(format!("http://{}", service.grpc())).await.unwrap();
    let ask = |target: &str| ListDeliveriesRequest { target: target.into(), given_up_only: false };
    let deliveries = client.list_deliveries(ask("absent")).await.unwrap().into_inner().deliveries;
    let seqs: Vec<u64> = deliveries.iter().map(|it| it.event.unwrap().seq).collect();
    assert_eq!(seqs, (1..=last).rev().collect::<Vec<_>>());
    assert!(deliveries.iter().all(|it| it.delivered));
    assert_eq!(client.list_deliveries(ask("town")).await.unwrap_err().code(), tonic::Code::NotFound);

    // What was told by the webhook is what the call exports.
    let export = ExportCapRequest { incident_id: ids[1].clone(), ..Default::default() };
    let messages = client.export_cap(export).await.unwrap().into_inner().messages;
    let kinds: Vec<_> = messages.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("Alert", "Cancel"));
    assert!(kinds[1..kinds.len() - 1].iter().all(|kind| *kind == "Update"), "{kinds:?}");
    let told: Vec<String> = late.taken().iter().map(Received::text).collect();
    for message in &messages {
        cap::check(&message.xml).unwrap();
        assert!(told.contains(&message.xml), "{}", message.xml);
    }
    for (export, code) in [
        (ExportCapRequest::default(), tonic::Code::InvalidArgument),
        (ExportCapRequest { incident_id: "1-99".into(), ..Default::default() }, tonic::Code::NotFound),
        (
            ExportCapRequest { alert_id: "31106401052012000157/offline/1".into(), ..Default::default() },
            tonic::Code::NotFound,
        ),
    ] {
        assert_eq!(client.export_cap(export).await.unwrap_err().code(), code);
    }

    let replay = |target: &str, from_seq| ReplayDeliveriesRequest { target: target.into(), from_seq, from_epoch: 0 };
    client.replay_deliveries(replay("absent", last - 2)).await.unwrap();
    let all = late.wait_taken(last as usize + 3, PATIENCE);
    assert_eq!(crate::world::seqs(&all[last as usize..]), [last - 2, last - 1, last]);
    for (target, from, code) in [
        ("absent", 0, tonic::Code::InvalidArgument),
        ("absent", 99, tonic::Code::OutOfRange),
        ("town", 1, tonic::Code::NotFound),
    ] {
        assert_eq!(client.replay_deliveries(replay(target, from)).await.unwrap_err().code(), code, "{target} {from}");
    }
    targets_of(service, |all| all.iter().all(is_done)).await;
}
