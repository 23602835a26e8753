//! No room: for the journals by their quota, on the disk of the journals, on the disk of the database.

use std::time::{Duration, Instant};

use prost::Message as _;
use tonic::transport::Endpoint;
use vigil::limits;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::{
    AcknowledgeAlertRequest, AlertEventKind, Car, Door, ElevatorFrame, ElevatorReport, Mode, Severity,
};

use crate::books::{Books, as_acknowledged_by_the_service, number_of};
use crate::support::fleet::{Fleet, Plan, code};
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::publisher::Publisher;
use crate::support::service::Service;
use crate::support::small_disk::SmallDisk;
use crate::support::wait;
use crate::support::watcher::{Watched, Watcher};

const ENDS_WITHIN: Duration = Duration::from_secs(60);
const STORED_WITHIN: Duration = Duration::from_secs(120);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

/// When it was first told that an alert of this rule did this.
fn told(watched: &Watched, rule: &str, kind: AlertEventKind, severity: Severity) -> Instant {
    let is_it = |event: &vigil::proto::v1::AlertEvent| {
        let alert = event.alert.as_ref().expect("an event is of an alert");
        alert.rule == rule && event.kind() == kind && alert.severity() == severity
    };
    let found = watched.seen.iter().find(|seen| is_it(&seen.event));
    found.unwrap_or_else(|| panic!("nobody was told: {rule} {kind:?} {severity:?}")).at
}

const BAD_LIFTS: u32 = 14;
/// What can't be read is kept as it came, for the first hundred of a topic: so that both journals, of 256 MiB each, are full
/// before all of it is there, at little cost.
const BAD_REPORTS: u32 = BAD_LIFTS * limits::REJECTS_PER_TOPIC;

fn report_topic(lift: u32) -> String {
    format!("vigil/v1/elevator/{}/report", code(lift))
}

fn trapped() -> Vec<u8> {
    let frame = ElevatorFrame {
        boot: 1,
        seq: 1,
        mode: Mode::Normal.into(),
        car: Car::Stopped.into(),
        door: Door::Closed.into(),
        door_zone: Some(false),
        passenger: Some(true),
        ..ElevatorFrame::default()
    };
    ElevatorReport { frames: vec![frame], ..ElevatorReport::default() }.encode_to_vec()
}

/// Flow: the database is away while lifts send more than the journals may hold, none of it readable. Somebody is trapped just before they
/// are full. Then the database comes back.
/// Asserts: it is told at half and at four fifths; near the end reports are no longer acknowledged, but timers fire and
/// a dispatcher can acknowledge an alert; once the database is back everything is stored once, and what was told
/// is over.
pub(crate) fn journals_that_are_full_withhold_reports_and_nothing_else() {
    let broker = Mosquitto::start(Settings { max_inflight: 100, ..Settings::default() });
    let mut postgres = Postgres::start(false);
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    service.set("VIGIL_JOURNAL_INBOX_MAX", "256MiB");
    service.set("VIGIL_JOURNAL_OUTBOX_MAX", "256MiB");
    service.start_and_wait();
    let watcher = Watcher::start(service.grpc());
    let connected = |service: &Service| service.metric("vigil_mqtt_connected") == 1.0;
    assert!(wait::is_soon(ENDS_WITHIN, || connected(&service)), "{}", service.log());
    postgres.stop_and_keep_data();

    let began = Instant::now();
    let mut lifts = Publisher::connect(broker.addr(), "the-lifts").expect("the broker runs");
    lifts.publish(&report_topic(BAD_LIFTS), &trapped()).expect("the broker runs");
    let unreadable = [b"{".to_vec(), b"x".repeat(limits::PAYLOAD_BYTES - 1)].concat();
    for n in 0..BAD_REPORTS {
        lifts.publish(&report_topic(n % BAD_LIFTS), &unreadable).expect("the broker runs");
    }
    lifts.finish().expect("the broker runs");
    let withheld =
        wait::is_soon(ENDS_WITHIN, || service.metric("vigil_mqtt_disconnects_total{reason=\"withheld\"}") > 0.0);
    assert!(withheld, "reports are still taken:\n{}", service.log());
    let withheld_at = Instant::now();
    // Asked of the service: what a watcher hears of it is some milliseconds older.
    let warned = service.metric("vigil_alert_transitions_total{rule=\"journal-filling\",kind=\"raised\"");
    let taken = |service: &Service| service.metric("vigil_items_total{what=\"reject\"}");
    let taken_before = taken(&service);

    let out_of_zone =
        || service.metric("vigil_alert_transitions_total{rule=\"trapped-out-of-zone\",kind=\"opened\"") == 1.0;
    assert!(wait::is_soon(ENDS_WITHIN, out_of_zone), "no alert came of somebody who is trapped:\n{}", service.log());
    acknowledge(&service, &format!("{}/trapped-out-of-zone/1", code(BAD_LIFTS)));
    let memory = service.memory();
    assert_eq!(taken(&service), taken_before, "reports were taken all the same");
    assert!(!connected(&service));

    postgres.restart();
    let back = Instant::now();
    let books = Books::open(&url);
    let stored = || books.number("SELECT count(*) FROM reject");
    wait::is_soon(STORED_WITHIN, || stored() >= i64::from(BAD_REPORTS));
    let stored_in = back.elapsed();
    let filling = |kind: &str| {
        service.metric(&format!("vigil_alert_transitions_total{{rule=\"journal-filling\",kind=\"{kind}\""))
    };
    assert!(wait::is_soon(STORED_WITHIN, || filling("cleared") == 1.0), "the journals stay full:\n{}", service.log());
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    let watched = watcher.stop();

    let half = told(&watched, "journal-filling", AlertEventKind::Opened, Severity::Major);
    let most = told(&watched, "journal-filling", AlertEventKind::Raised, Severity::Critical);
    let trapped_at = told(&watched, "trapped-out-of-zone", AlertEventKind::Opened, Severity::Critical);
    println!(
        "journals: told at half after {} ms, at four fifths after {} ms, full after {} ms with {taken_before} reports taken; \
         somebody trapped was told of {} ms later; {} of {BAD_REPORTS} stored within {} ms of the database's return; {} MiB at most",
        (half - began).as_millis(),
        (most - began).as_millis(),
        (withheld_at - began).as_millis(),
        trapped_at.saturating_duration_since(withheld_at).as_millis(),
        stored(),
        stored_in.as_millis(),
        memory.peak_mib,
    );
    assert!(half < most && warned == 1.0, "warnings come before it is too late");
    assert!(taken_before < f64::from(BAD_REPORTS), "nothing was left to be withheld");
    let most = books.number("SELECT max(n) FROM (SELECT count(*) AS n FROM reject GROUP BY topic) AS t");
    assert_eq!((stored(), most), (i64::from(BAD_REPORTS), i64::from(limits::REJECTS_PER_TOPIC)));
    assert_eq!(books.stored(), 1);
    assert_eq!(watched.faults, Vec::<String>::new());
    assert!(memory.peak_mib <= 500, "{memory:?}");
}

fn acknowledge(service: &Service, alert: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{}", service.grpc())).expect("a URL");
        let channel = endpoint.connect().await.expect("the service listens");
        let request = AcknowledgeAlertRequest {
            request_id: "while-the-journals-are-full".into(),
            alert_id: alert.into(),
            ..AcknowledgeAlertRequest::default()
        };
        AlertServiceClient::new(channel).acknowledge_alert(request).await
    });
    let answer = answer.expect("a dispatcher is always heard").into_inner();
    assert!(answer.alert.expect("it is on the board").acknowledged.is_some());
}

const PLAN: Plan = Plan { lifts: 200, boot: 1, reports_per_s: 2_000, last: Duration::from_secs(48) };
const DISK_MIB: u32 = 96;
const LEFT_BYTES: u64 = 4 * 1024 * 1024;

/// Flow: the disk of the journals fills up while a fleet reports. The service is started again without room, and then
/// with some.
/// Asserts: it ends by itself each time, naming the file and what to do; whatever it acknowledged is stored once in
/// the end.
pub(crate) fn a_full_disk_ends_the_service_and_loses_nothing_acknowledged() {
    let disk = SmallDisk::mount(DISK_MIB);
    let broker = Mosquitto::start(Settings { max_inflight: 500, ..Settings::default() });
    let postgres = Postgres::start(false);
    let url = postgres.database();
    let proxy = Proxy::start(broker.addr(), number_of);
    let mut service = Service::prepare(proxy.addr(), &url);
    service.set_data(&disk.path().join("data"));
    service.start_and_wait();
    let fleet = Fleet::start(broker.addr(), PLAN);
    disk.fill(LEFT_BYTES);

    let began = Instant::now();
    let ends = |service: &mut Service| {
        let (status, said) = service.ends_within(ENDS_WITHIN).expect("without room it can't go on");
        assert_eq!(status.code(), Some(1), "{said}");
        // Whatever else has ended because of it, the last word is the cause.
        let last = said.lines().last().unwrap_or_default();
        for words in ["No space left on device", "Make room on that disk", "data/"] {
            assert!(last.contains(words), "{words:?} isn't said at the end:\n{said}");
        }
        said
    };
    let said = ends(&mut service);
    let full_after = began.elapsed();
    let why = said.lines().last().unwrap_or_default().to_owned();
    // What was cut off may leave room for a start, but not for more.
    service.start();
    ends(&mut service);

    disk.make_room();
    let started_in = service.start_and_wait();
    let books = Books::open(&url);
    let before = proxy.heard().acknowledged.len();
    let goes_on = wait::is_soon(ENDS_WITHIN, || proxy.heard().acknowledged.len() > before + 1_000);
    assert!(goes_on, "nothing more is taken:\n{}", service.log());
    let mut published = fleet.stop();
    let by_broker = published.acknowledged().count();
    books.await_stored(&published, STORED_WITHIN);
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    println!(
        "journals' disk full after {} ms; with room again it was ready after {} ms; {by_broker} reports, {} stored; it said: {why}",
        full_after.as_millis(),
        started_in.as_millis(),
        books.stored(),
    );
    as_acknowledged_by_the_service(&mut published, &proxy.heard());
    assert_eq!(published.acknowledged().count(), by_broker, "the broker still had all that wasn't acknowledged");
    books.load(&published);
    books.check_frames();
}

const DATABASE_MIB: u32 = 256;
const DATABASE_LEFT_BYTES: u64 = 3 * 1024 * 1024;

/// Flow: the disk of the database fills up while a fleet reports, until people are told, and has room again later.
/// Asserts: alerts go on; `store-behind` opens, and clears when rows are taken again; everything is stored once.
pub(crate) fn a_database_without_room_is_waited_for() {
    let disk = SmallDisk::mount(DATABASE_MIB);
    let broker = Mosquitto::start(Settings { max_inflight: 500, ..Settings::default() });
    let postgres = Postgres::start_on(disk.path());
    let url = postgres.database();
    let mut service = Service::prepare(broker.addr(), &url);
    service.start_and_wait();
    let watcher = Watcher::start(service.grpc());
    let fleet = Fleet::start(broker.addr(), PLAN);
    disk.fill(DATABASE_LEFT_BYTES);
    let behind = |kind: &str| {
        service.metric(&format!("vigil_alert_transitions_total{{rule=\"store-behind\",kind=\"{kind}\"")) == 1.0
    };
    let began = Instant::now();
    assert!(wait::is_soon(ENDS_WITHIN, || behind("opened")), "nobody is told:\n{}", service.log());
    let told_after = began.elapsed();
    disk.make_room();
    let back = Instant::now();
    assert!(wait::is_soon(ENDS_WITHIN, || behind("cleared")), "nothing is stored again:\n{}", service.log());
    let cleared_after = back.elapsed();
    wait::until(fleet.began() + PLAN.last);
    let books = Books::open(&url);
    books.await_settled(&PLAN, ENDS_WITHIN);
    let published = fleet.stop();
    books.await_stored(&published, STORED_WITHIN);
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    let watched = watcher.stop();
    println!(
        "database's disk full: told after {} ms, stored again {} ms after there was room; {} frames stored",
        told_after.as_millis(),
        cleared_after.as_millis(),
        books.stored(),
    );
    books.load(&published);
    books.check_frames();
    books.check_alerts(&PLAN, &watched);
}
