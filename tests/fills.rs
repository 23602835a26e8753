//! Filling guns against the service as it is shipped, over real brokers.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::gun::Gun;
use support::mosquitto::{Mosquitto, Settings};
use support::vigil::Vigil;
use vigil::model::archive::{Cylinder, Entry, Site, SiteKind};
use vigil::model::ids::{CylinderCode, SiteCode};
use vigil::model::time::CivilDay;
use vigil::proto::v1::UpsertDevicesRequest;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::serve::upsert_entry;

const SITE: &str = "640104-0001";
const CYLINDER: &str = "264001000001";
const PATIENCE: Duration = Duration::from_secs(30);
/// Far more than an answer takes.
const SILENCE: Duration = Duration::from_secs(2);

fn archive() -> Vec<Entry> {
    let site = SiteCode::parse(SITE).unwrap();
    vec![
        Entry::Site(Site {
            code: site,
            kind: SiteKind::FillingStation,
            name: "a station".into(),
            address: None,
            district: None,
        }),
        Entry::Cylinder(Cylinder {
            filling_unit: Some(site),
            medium: Some("lpg".into()),
            made_on: CivilDay::parse("2025-01-01"),
            inspection_due: CivilDay::parse("2029-01-01"),
            ..Cylinder::new(CylinderCode::parse(CYLINDER).unwrap())
        }),
    ]
}

/// Brings entries into the archive.
fn import(grpc_url: String, entries: &[Entry]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let requests: Vec<_> = entries
        .iter()
        .map(|entry| UpsertDevicesRequest {
            request_id: "import".into(),
            entry: Some(upsert_entry(entry)),
            ..Default::default()
        })
        .collect();
    let answer = runtime.block_on(async {
        let mut client = RegistryServiceClient::connect(grpc_url).await.unwrap();
        client.upsert_devices(tokio_stream::iter(requests)).await.unwrap().into_inner()
    });
    assert_eq!((answer.failed, answer.changed), (0, entries.len() as u64), "{:?}", answer.errors);
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn scan(seq: u64, event: &str) -> Value {
    json!({"boot": 1, "seq": seq, "observed_at_ms": now_ms(), "scanner": "gun-1", "cylinder": CYLINDER,
           "event": event, "passed": true, "medium": "lpg"})
}

fn request(seq: u64, name: &str) -> Value {
    let mut request = scan(seq, "fill_requested");
    request["request"] = name.into();
    request
}

/// Flow: a gun checks a cylinder and asks; asks without a name; the cylinder is filled and it asks again; it sends its first
/// request once more.
/// Asserts: each is answered as the contract has it, the last one not at all.
fn check_a_gun(broker: SocketAddr, mut vigil: Vigil) {
    import(vigil.grpc_url(), &archive());
    let gun = Gun::connect(broker, SITE, "gun-1");
    gun.scan(&scan(1, "checked_before_fill"));
    let first = request(2, "r-1");
    gun.scan(&first);
    let verdict = gun.verdict(PATIENCE).expect("an answer");
    let (issued, expires) = (verdict["issued_at"].as_str().unwrap(), verdict["expires_at"].as_str().unwrap());
    let [issued, expires]: [jiff::Timestamp; 2] = [issued.parse().unwrap(), expires.parse().unwrap()];
    assert_eq!(expires.as_millisecond() - issued.as_millisecond(), 10_000);
    let told = json!({"cylinder": CYLINDER, "scanner": "gun-1", "request": "r-1", "allow": true, "reasons": [],
                      "issued_at": verdict["issued_at"], "expires_at": verdict["expires_at"]});
    assert_eq!(verdict, told);

    gun.scan(&scan(3, "fill_requested"));
    let verdict = gun.verdict(PATIENCE).expect("an answer");
    assert_eq!((&verdict["allow"], &verdict["reasons"]), (&json!(false), &json!(["no-request"])));

    gun.scan(&scan(4, "filled"));
    gun.scan(&request(5, "r-2"));
    let verdict = gun.verdict(PATIENCE).expect("an answer");
    assert_eq!((&verdict["request"], &verdict["reasons"]), (&json!("r-2"), &json!(["unchecked"])));
    gun.scan(&first);
    assert_eq!(gun.verdict(SILENCE), None);
    vigil.stop();
}

/// Mosquitto keeps what a device publishes for a session that is there: so the service subscribes first.
fn serve(broker: SocketAddr) -> Vigil {
    let mut vigil = Vigil::with_sqlite(broker);
    let http = vigil.http();
    vigil.wait_for("the broker", PATIENCE, || {
        let (_, metrics) = support::vigil::page(http, "/metrics").ok()?;
        metrics.lines().any(|line| line == "vigil_mqtt_connected 1").then_some(())
    });
    vigil
}

#[test]
fn a_gun_over_mosquitto() {
    let broker = Mosquitto::start(Settings::default());
    check_a_gun(broker.addr(), serve(broker.addr()));
}

#[cfg(feature = "demo")]
#[test]
fn a_gun_over_the_embedded_broker() {
    let broker = vigil::ingest::embedded::EmbeddedBroker::start("127.0.0.1:0".parse().unwrap()).unwrap();
    check_a_gun(broker.addr(), serve(broker.addr()));
}
