//! For those who run the service: health, reflection, readiness, metrics.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use vigil::serve::http;

use crate::world::{PATIENCE, World, eventually};

#[tokio::test]
async fn health_follows_the_core() {
    let world = World::start().await;
    let client = HealthClient::new(world.channel().await);
    let is = async |service: &str, want: ServingStatus| {
        eventually("the status", async || {
            let request = HealthCheckRequest { service: service.into() };
            let status = client.clone().check(request).await.ok()?.into_inner().status();
            (status == want).then_some(())
        })
        .await;
    };
    is("", ServingStatus::NotServing).await;
    world.open(0, 1);
    for service in
        ["", "vigil.v1.AlertService", "vigil.v1.RegistryService", "vigil.v1.RulesService", "vigil.v1.HistoryService"]
    {
        is(service, ServingStatus::Serving).await;
    }
    world.end().await;
}

#[tokio::test]
async fn reflection_lists_all_services() {
    let world = World::start().await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(world.channel().await);
    let mut stream = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = stream.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    for name in
        ["grpc.health.v1.Health", "vigil.v1.AlertService", "vigil.v1.HistoryService", "vigil.v1.RegistryService"]
    {
        assert!(names.iter().any(|own| own == name), "{name} is not in {names:?}");
    }
    drop(stream);
    world.end().await;
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: vigil\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let world = World::start().await;
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::with_local_recorder(&recorder, || metrics::counter!("vigil_test_total").increment(3));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let pages = http::Pages {
        backend: world.backend.clone(),
        metrics,
        silence: Duration::from_millis(300),
        shutdown: shutdown.clone(),
    };
    let server = tokio::spawn(http::serve(listener, pages));

    let check = async |path: &str, status: &str, words: &str| {
        let answer = get(address, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words), "{path}: {answer}");
    };
    check("/healthz", "200", "ok").await;
    check("/readyz", "503", "the core has judged nothing yet").await;
    world.open(0, 1);
    check("/readyz", "200", "ready").await;
    check("/metrics", "200", "vigil_test_total 3").await;
    ends(address, b"GET /metrics HTTP/1.1\r\nHos").await;
    let stalled = vigil::feed::Judged { wall: vigil::model::time::Wall(0), ..world.backend.feed.judged_now() };
    world.backend.feed.judged(stalled);
    check("/readyz", "503", "the core has judged nothing for").await;
    check("/nothing", "404", "").await;

    shutdown.cancel();
    server.await.unwrap().unwrap();
    world.end().await;
}

/// Whoever says no more than this is hung up on.
async fn ends(address: SocketAddr, words: &[u8]) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(words).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
    // In order or not: either way nothing more comes.
    let _read = ended.expect("the connection is ended");
}

#[tokio::test]
async fn a_connection_that_does_not_begin_makes_room_for_others() {
    let world = World::with(|settings| settings.greeting = Duration::from_millis(100)).await;
    ends(world.address, b"").await;
    ends(world.address, b"PRI * HTTP/2.0\r\n").await;
    world.end().await;
}
