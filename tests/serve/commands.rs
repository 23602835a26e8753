//! Acknowledging, clearing, and what can go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_types::StatusExt as _;
use vigil::limits;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::upsert_devices_request::Entry;
use vigil::proto::v1::{AcknowledgeAlertRequest, Alert, AlertState, ClearAlertRequest, Lift, UpsertDevicesRequest};
use vigil::serve::{Settings, serve};
use vigil::spine::input::{Input, Inputs};

use crate::world::{World, alert, eventually, within};

fn acknowledge(request: &str, number: u64) -> AcknowledgeAlertRequest {
    AcknowledgeAlertRequest {
        request_id: request.into(),
        alert_id: alert(number).id.to_string(),
        note: "called the car".into(),
    }
}

#[tokio::test]
async fn commands_answer_with_their_position_and_the_alert_after_them() {
    let world = World::start().await;
    world.open(0, 3);
    let mut client = world.alerts().await;
    let first = client.acknowledge_alert(acknowledge("a", 1)).await.unwrap().into_inner();
    assert_eq!(first.position, 4);
    assert_eq!(first.alert.as_ref().unwrap().acknowledged.as_ref().unwrap().by, "local");
    let again = client.acknowledge_alert(acknowledge("a", 1)).await.unwrap().into_inner();
    assert_eq!(again, first);
    assert_eq!(world.head().seq, 4);

    let clear = ClearAlertRequest { request_id: "c".into(), alert_id: alert(1).id.to_string(), note: String::new() };
    let cleared = client.clear_alert(clear).await.unwrap().into_inner();
    let shown: Alert = cleared.alert.unwrap();
    assert_eq!((cleared.position, shown.state()), (5, AlertState::Cleared));
    world.end().await;
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let world = World::start().await;
    world.open(0, 3);
    let mut client = world.alerts().await;
    client.acknowledge_alert(acknowledge("a", 1)).await.unwrap();
    let mut as_regulator = tonic::Request::new(acknowledge("r", 2));
    as_regulator.metadata_mut().insert("role", "regulator".parse().unwrap());
    for (request, code, words) in [
        (tonic::Request::new(acknowledge("b", 1)), Code::FailedPrecondition, "acknowledged already"),
        (tonic::Request::new(acknowledge("a", 2)), Code::AlreadyExists, "choose a new one"),
        (tonic::Request::new(acknowledge("b2", 77)), Code::NotFound, "alert 00000000000000000077/"),
        (within("640100", acknowledge("b3", 1)), Code::NotFound, "not within your scope"),
        (as_regulator, Code::PermissionDenied, "dispatcher, admin"),
    ] {
        let status = client.acknowledge_alert(request).await.unwrap_err();
        assert_eq!(status.code(), code);
        assert!(status.message().contains(words), "{}", status.message());
    }
    world.end().await;
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let world = World::start().await;
    let bad = AcknowledgeAlertRequest { request_id: String::new(), alert_id: "x".into(), note: "n".repeat(501) };
    let status = world.alerts().await.acknowledge_alert(bad).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let named = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(named.iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), ["request_id", "alert_id", "note"]);
    world.end().await;
}

/// Asserts the code and the words of a command's answer when the spine's queue holds one input and `spine` deals with it.
async fn check_spine(spine: impl FnOnce(std::sync::mpsc::Receiver<Input>) + Send + 'static, code: Code, words: &str) {
    let world = World::start().await;
    world.open(0, 1);
    let (sender, receiver) = sync_channel(1);
    let backend = vigil::serve::Backend { inputs: Inputs::new(sender), ..world.backend.clone() };
    spine(receiver);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let settings = Settings { command_wait: Duration::from_millis(50), ..world.settings.clone() };
    let server = tokio::spawn(serve(listener, backend, settings, stop.clone()));
    let mut client = AlertServiceClient::connect(format!("http://{address}")).await.unwrap();
    let mut status = client.acknowledge_alert(acknowledge("a", 0)).await.unwrap_err();
    if code == Code::ResourceExhausted {
        // The first one filled the queue.
        status = client.acknowledge_alert(acknowledge("b", 0)).await.unwrap_err();
    }
    assert_eq!(status.code(), code);
    assert!(status.message().contains(words), "{}", status.message());
    stop.cancel();
    server.await.unwrap().unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_spine_that_is_full_silent_or_gone_is_told_apart() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = |kept: &Arc<std::sync::Mutex<Vec<_>>>| {
        let kept = Arc::clone(kept);
        move |receiver| kept.lock().unwrap().push(receiver)
    };
    check_spine(keep(&kept), Code::DeadlineExceeded, "same request id").await;
    check_spine(keep(&kept), Code::ResourceExhausted, "more to do").await;
    check_spine(drop, Code::Unavailable, "shutting down").await;
}

#[tokio::test]
async fn uploads_at_a_time_are_bounded_and_their_first_message_must_name_them() {
    let world = World::start().await;
    let registry = world.registry().await;
    let begin = UpsertDevicesRequest { request_id: "u".into(), ..Default::default() };
    let mut open = Vec::new();
    for _ in 0..limits::UPLOADS {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(begin.clone()).await.unwrap();
        let mut registry = registry.clone();
        let call = tokio::spawn(async move { registry.upsert_devices(ReceiverStream::new(receiver)).await });
        // The second message finds room only when the first has been sent on.
        sender.reserve().await.unwrap();
        open.push((sender, call));
    }
    eventually("the refusal", async || {
        let refused = registry.clone().upsert_devices(tokio_stream::once(begin.clone())).await.err()?;
        (refused.code() == Code::ResourceExhausted).then_some(())
    })
    .await;
    for (sender, call) in open {
        drop(sender);
        let answer = call.await.unwrap().unwrap().into_inner();
        // It held no entry.
        assert_eq!((answer.failed, answer.errors[0].line), (1, 1));
    }
    let status =
        registry.clone().upsert_devices(tokio_stream::once(UpsertDevicesRequest::default())).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "request_id");
    world.end().await;
}

/// Flow: a client sends 6,000 entries, each in a frame of its own, while the core stands still; then the core goes on.
/// Asserts: the client is held back, and not hung up on for what it sent ahead.
#[tokio::test]
async fn an_upload_that_runs_ahead_is_held_back() {
    const ENTRIES: u64 = 6_000;
    let world = World::start().await;
    let sent = Arc::new(AtomicU64::new(0));
    let entries = {
        let sent = Arc::clone(&sent);
        futures_util::stream::unfold(0_u64, move |n| {
            sent.store(n, Ordering::Relaxed);
            async move {
                // What is ready at once would go into one frame.
                tokio::task::yield_now().await;
                let lift = Lift { code: format!("{n:020}"), ..Lift::default() };
                let request_id = if n == 0 { "ahead".into() } else { String::new() };
                let request = UpsertDevicesRequest { request_id, entry: Some(Entry::Lift(lift)), ..Default::default() };
                (n < ENTRIES).then_some((request, n + 1))
            }
        })
    };
    let mut client = world.registry().await;
    let still = Arc::clone(&world.teller);
    let (stopped, wait) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let _still = still.lock().unwrap();
        wait.recv().unwrap();
    });
    let upload = tokio::spawn(async move { client.upsert_devices(entries).await });
    let (mut seen, mut same) = (0, 0);
    let stands_still = async || {
        let before = std::mem::replace(&mut seen, sent.load(Ordering::Relaxed));
        same = if seen == before && seen > 0 { same + 1 } else { 0 };
        (same == 20 || upload.is_finished()).then_some(())
    };
    eventually("the client is held back, or has ended", stands_still).await;
    assert!(seen < ENTRIES, "nothing held it back");
    stopped.send(()).unwrap();
    holder.join().unwrap();
    let answer = upload.await.unwrap().unwrap().into_inner();
    assert_eq!((answer.changed, answer.failed), (ENTRIES, 0));
    world.end().await;
}
