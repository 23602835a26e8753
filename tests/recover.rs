//! What `vigil serve` goes on with and what it refuses, and what `vigil recover` makes of that.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use prost::Message as _;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vigil::app::recover::{Way, recover};
use vigil::app::verify::{self, Known};
use vigil::app::{self, Addresses, AppError};
use vigil::config::{Config, StoreAt};
use vigil::core::CORE_VERSION;
use vigil::journal::Identity;
use vigil::journal::local::{LocalJournal, Options as JournalOptions};
use vigil::journal::snapshots::SnapshotDir;
use vigil::model::alert::Cursor;
use vigil::model::archive::{Cylinder, Entry, EntryKind, Lift, Site, SiteKind};
use vigil::model::ids::{CylinderCode, DeviceCode, SiteCode};
use vigil::model::incident::{IncidentId, State};
use vigil::model::time::CivilDay;
use vigil::observe::Metrics;
use vigil::proto::internal as wire;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::cylinder_service_client::CylinderServiceClient;
use vigil::proto::v1::dispatch_service_client::DispatchServiceClient;
use vigil::proto::v1::inspection_service_client::InspectionServiceClient;
use vigil::proto::v1::maintenance_service_client::MaintenanceServiceClient;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::proto::v1::{
    AdvanceIncidentRequest, CheckFillRequest, GetIncidentRequest, Incident, IncidentCause, IncidentEnding,
    IncidentEventKind, IncidentStep, InspectionReport, MaintenanceRecord, OpenIncidentRequest, Problem, RecordOutcome,
    ReportKind, UploadRecordsRequest, UploadReportsRequest, UpsertDevicesRequest, UpsertDevicesResponse, VisitKind,
};
use vigil::serve::upsert_entry;
use vigil::spine::recover::{Parts, Replayed};
use vigil::spine::takeover::Way as Taken;
use vigil::spine::{Quotas, Spine};
use vigil::store::{self, Options};

const PATIENCE: Duration = Duration::from_secs(20);
const OVERDUE: &str = "31305001122014017242";

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.service.data_dir = dir.join("data");
    config.store.at = StoreAt::Sqlite(dir.join("vigil.db"));
    // Nobody listens there: alerts that need no device must come all the same.
    config.mqtt.port = 1;
    config.grpc.listen.set_port(0);
    config.http.listen.set_port(0);
    config.rules.dir = "config/rules".into();
    config
}

struct Running {
    addresses: Addresses,
    stop: CancellationToken,
    service: JoinHandle<Result<(), AppError>>,
}

/// Starts the service, or returns why it ended.
async fn start(config: &Config) -> Result<Running, AppError> {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| Metrics::install().unwrap()).clone();
    let stop = CancellationToken::new();
    let (ready, addresses) = oneshot::channel();
    let run = app::run(config.clone(), metrics, stop.clone(), |addresses| _ = ready.send(addresses));
    let service = tokio::spawn(run);
    match addresses.await {
        Ok(addresses) => Ok(Running { addresses, stop, service }),
        Err(_) => Err(service.await.unwrap().unwrap_err()),
    }
}

/// Why the service doesn't run: a store that answers at once is asked before anything begins, a slow one soon after.
async fn why_not(config: &Config) -> String {
    match start(config).await {
        Err(error) => error.to_string(),
        Ok(running) => running.end().await,
    }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.service).await.unwrap().unwrap().unwrap();
    }

    /// Why it ended by itself.
    async fn end(self) -> String {
        tokio::time::timeout(PATIENCE, self.service).await.unwrap().unwrap().unwrap_err().to_string()
    }

    fn url(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    /// Returns the position of what was imported.
    async fn import(&self) -> u64 {
        // On a busy machine the store may take a moment to answer for the first time.
        let taken = async {
            loop {
                match self.try_import().await {
                    Err(status) if status.code() == tonic::Code::Unavailable => tokio::task::yield_now().await,
                    answer => break answer.unwrap(),
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, taken).await.unwrap();
        assert_eq!((answer.changed, answer.failed), (1, 0));
        answer.position
    }

    async fn try_import(&self) -> Result<UpsertDevicesResponse, tonic::Status> {
        let entry = Entry::Lift(Lift {
            address: Some("No. 1 Example Road".into()),
            inspection_due: CivilDay::parse("2020-01-01"),
            ..Lift::new(DeviceCode::parse(OVERDUE).unwrap())
        });
        let request =
            UpsertDevicesRequest { request_id: "r".into(), entry: Some(upsert_entry(&entry)), ..Default::default() };
        let mut client = RegistryServiceClient::connect(self.url()).await.unwrap();
        client.upsert_devices(tokio_stream::iter([request])).await.map(tonic::Response::into_inner)
    }

    /// Somebody calls about the lift that was imported; its rescue.
    async fn call(&self) -> String {
        let request = OpenIncidentRequest { request_id: "c".into(), device: OVERDUE.into(), ..Default::default() };
        let mut client = DispatchServiceClient::connect(self.url()).await.unwrap();
        client.open_incident(request).await.unwrap().into_inner().incident.unwrap().id
    }

    async fn advance(&self, id: &str, step: IncidentStep, ending: Option<IncidentEnding>) -> Incident {
        let request = AdvanceIncidentRequest {
            request_id: step.as_str_name().into(),
            incident_id: id.into(),
            step: step.into(),
            ending,
            ..Default::default()
        };
        let mut client = DispatchServiceClient::connect(self.url()).await.unwrap();
        client.advance_incident(request).await.unwrap().into_inner().incident.unwrap()
    }

    /// What happened to a rescue, and in which epoch.
    async fn rescue(&self, id: &str) -> Vec<(u32, i32)> {
        let request = GetIncidentRequest { incident_id: id.into(), at_least: 0 };
        let mut client = DispatchServiceClient::connect(self.url()).await.unwrap();
        let told = client.get_incident(request).await.unwrap().into_inner().timeline;
        told.iter().map(|event| (event.epoch, event.kind)).collect()
    }

    /// The ids of the open alerts, and the epoch.
    async fn open(&self) -> (Vec<String>, u32) {
        self.open_at(0).await
    }

    /// The same, once `at_least` has been judged.
    async fn open_at(&self, at_least: u64) -> (Vec<String>, u32) {
        let mut client = AlertServiceClient::connect(self.url()).await.unwrap();
        let request = vigil::proto::v1::ListAlertsRequest { at_least, ..Default::default() };
        let page = client.list_alerts(request).await.unwrap().into_inner();
        (page.alerts.into_iter().map(|alert| alert.id).collect(), page.cursor.unwrap().epoch)
    }
}

async fn has_entry(config: &Config) -> bool {
    let StoreAt::Sqlite(file) = &config.store.at else { unreachable!("these tests run on SQLite") };
    let store = store::open(&format!("sqlite:{}", file.display()), Options::default()).await.unwrap();
    store.entry(EntryKind::Lift, OVERDUE.into()).await.unwrap().is_some()
}

async fn with_history() -> (TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let running = start(&config).await.unwrap();
    let position = running.import().await;
    let overdue = format!("{OVERDUE}/inspection-overdue/1");
    assert_eq!(running.open_at(position).await, (vec![overdue], 1));
    // Stopping drains the outbox into the store.
    running.stop().await;
    assert!(has_entry(&config).await);
    (dir, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was() {
    let (_dir, config) = with_history().await;
    let running = start(&config).await.unwrap();
    assert_eq!(running.open().await.1, 1);
    assert!(running.open().await.0.contains(&format!("{OVERDUE}/inspection-overdue/1")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_journals_are_noticed_and_begun_anew_from_the_store() {
    let (_dir, config) = with_history().await;
    let refused = recover(&config, Way::FromStore).await.unwrap_err().to_string();
    assert!(refused.contains("move its inbox, outbox and snapshots away"), "{refused}");
    std::fs::remove_dir_all(&config.service.data_dir).unwrap();
    let why = why_not(&config).await;
    assert!(why.contains("the database follows the journal") && why.contains("vigil recover"), "{why}");

    std::fs::remove_dir_all(&config.service.data_dir).unwrap();
    let done = recover(&config, Way::FromStore).await.unwrap();
    assert_eq!((done.epoch, done.position, done.entries), (2, 0, 1));
    let running = start(&config).await.unwrap();
    let (open, epoch) = running.open().await;
    assert_eq!(epoch, 2);
    assert!(open.contains(&format!("{OVERDUE}/inspection-overdue/1")), "{open:?}");
    running.stop().await;
}

impl Running {
    /// What became of a record of a repair.
    async fn repaired(&self, record: &str) -> (RecordOutcome, u64) {
        let at = |seconds: i64| Some(prost_types::Timestamp { seconds: 1_767_225_600 + seconds, nanos: 0 });
        let record = MaintenanceRecord {
            firm: "F-1".into(),
            record: record.into(),
            device: OVERDUE.into(),
            kind: VisitKind::Repair.into(),
            workers: vec!["W-1".into(), "W-2".into()],
            recorder: "W-1".into(),
            started_at: at(0),
            ended_at: at(3_600),
            problem: Problem::S0.into(),
            ..MaintenanceRecord::default()
        };
        let request = UploadRecordsRequest { line: 1, record: Some(record) };
        let mut client = MaintenanceServiceClient::connect(self.url()).await.unwrap();
        let answers = client.upload_records(tokio_stream::iter([request])).await.unwrap();
        let answer = answers.into_inner().message().await.unwrap().unwrap();
        (answer.outcome(), answer.position)
    }
}

/// Flow: records are uploaded, the journals are lost, and new ones begun from the store; then the same records come again,
/// and another one.
/// Asserts: what the store has is known, and the chain goes on where it ended.
#[tokio::test(flavor = "multi_thread")]
async fn chains_of_records_go_on_where_the_store_has_them() {
    let (_dir, config) = with_history().await;
    let running = start(&config).await.unwrap();
    for record in ["r-1", "r-2"] {
        assert_eq!(running.repaired(record).await.0, RecordOutcome::Taken);
    }
    running.stop().await;
    std::fs::remove_dir_all(&config.service.data_dir).unwrap();
    recover(&config, Way::FromStore).await.unwrap();
    let running = start(&config).await.unwrap();
    for (record, outcome) in
        [("r-1", RecordOutcome::Known), ("r-3", RecordOutcome::Taken), ("r-2", RecordOutcome::Known)]
    {
        assert_eq!(running.repaired(record).await.0, outcome, "{record}");
    }
    running.stop().await;
    let (store, known) = verify::open(&config).await.unwrap();
    let device = DeviceCode::parse(OVERDUE).unwrap();
    assert!(matches!(&known, Known::Heads(heads, _) if heads[&device].0 == 3), "{known:?}");
    let verdict = verify::verify(&*store, &known, device).await.unwrap();
    assert_eq!((verdict.links, verdict.broken), (3, None));
}

impl Running {
    async fn import_all(&self, entries: &[Entry]) -> u64 {
        let request = |entry| UpsertDevicesRequest {
            request_id: "all".into(),
            entry: Some(upsert_entry(entry)),
            ..Default::default()
        };
        let requests: Vec<_> = entries.iter().map(request).collect();
        let mut client = RegistryServiceClient::connect(self.url()).await.unwrap();
        let answer = client.upsert_devices(tokio_stream::iter(requests)).await.unwrap().into_inner();
        assert_eq!((answer.changed, answer.failed), (entries.len() as u64, 0), "{:?}", answer.errors);
        answer.position
    }

    /// What became of a report of a periodic inspection that the lift passed.
    async fn inspected(&self) -> (RecordOutcome, u64) {
        let report = InspectionReport {
            body: INSPECTORS.into(),
            report: "i-1".into(),
            device: OVERDUE.into(),
            kind: ReportKind::Periodic.into(),
            done_on: "2026-01-05".into(),
            passed: true,
            ..InspectionReport::default()
        };
        let mut client = InspectionServiceClient::connect(self.url()).await.unwrap();
        let asked = UploadReportsRequest { reports: vec![report] };
        let answer = client.upload_reports(asked).await.unwrap().into_inner();
        (answer.results[0].outcome(), answer.position)
    }

    /// Why a cylinder isn't filled.
    async fn denied(&self, cylinder: &str) -> Vec<String> {
        let request = CheckFillRequest {
            request_id: format!("fill-{cylinder}"),
            site: STATION.into(),
            scanner: "gun-1".into(),
            cylinder: cylinder.into(),
            medium: "oxygen".into(),
            ..CheckFillRequest::default()
        };
        let mut client = CylinderServiceClient::connect(self.url()).await.unwrap();
        client.check_fill(request).await.unwrap().into_inner().reasons
    }
}

const INSPECTORS: &str = "6401-INSP";
const STATION: &str = "6401-FILL";
const DISABLED: &str = "164001000001";
const RETURNED: &str = "164001000002";
const RELABELLED: &str = "164001000003";

/// A scan as the store would have it.
fn store_scan(file: &Path, cylinder: &str, event: &str, at: i64) {
    let history = rusqlite::Connection::open(file).unwrap();
    let sql = "INSERT INTO scan (site, scanner, generation, boot, seq, received_at, effective_at, time_source, \
               arrival_order, cylinder, event) VALUES (?, 'gun-1', 0, 1, ?, ?, ?, 1, 1, ?, ?)";
    history.execute(sql, (STATION, at, at, at, cylinder, event)).unwrap();
}

/// Flow: a lift is inspected; of three cylinders one is disabled, one disabled and returned, and one bore the disabled one's
/// label; the journals are lost, and new ones begun from the store.
/// Asserts: the inspection counts and is known; what the store has against a cylinder is known, and of each one nobody knows the rest.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_inspected_and_disabled_is_known_again() {
    let (_dir, config) = with_history().await;
    let StoreAt::Sqlite(file) = &config.store.at else { unreachable!("these tests run on SQLite") };
    let site = |code: &str, kind| {
        let code = SiteCode::parse(code).unwrap();
        Entry::Site(Site { code, kind, name: code.to_string().into(), address: None, district: None })
    };
    let cylinder = |code: &str, aliases: &[&str]| {
        Entry::Cylinder(Cylinder {
            filling_unit: Some(SiteCode::parse(STATION).unwrap()),
            medium: Some("oxygen".into()),
            made_on: CivilDay::parse("2006-06-01"),
            inspection_due: CivilDay::parse("2099-01-01"),
            aliases: aliases.iter().map(|code| CylinderCode::parse(code).unwrap()).collect(),
            ..Cylinder::new(CylinderCode::parse(code).unwrap())
        })
    };
    let running = start(&config).await.unwrap();
    running
        .import_all(&[
            site(INSPECTORS, SiteKind::InspectionBody),
            site(STATION, SiteKind::FillingStation),
            cylinder(DISABLED, &[]),
            cylinder(RETURNED, &[]),
            cylinder(RELABELLED, &[DISABLED]),
        ])
        .await;
    let (outcome, position) = running.inspected().await;
    assert_eq!(outcome, RecordOutcome::Taken);
    let overdue = format!("{OVERDUE}/inspection-overdue/1");
    assert!(!running.open_at(position).await.0.contains(&overdue));
    running.stop().await;
    for (at, cylinder, event) in
        [(1_000, RETURNED, "disabled"), (2_000, RETURNED, "returned"), (3_000, DISABLED, "disabled")]
    {
        store_scan(file, cylinder, event, at);
    }

    std::fs::remove_dir_all(&config.service.data_dir).unwrap();
    recover(&config, Way::FromStore).await.unwrap();
    let running = start(&config).await.unwrap();
    assert_eq!(running.inspected().await.0, RecordOutcome::Known);
    assert!(!running.open().await.0.iter().any(|id| id.contains("inspection-overdue")));
    assert_eq!(running.denied(DISABLED).await, ["disabled", "unchecked", "unconfirmed"]);
    assert_eq!(running.denied(RELABELLED).await, ["disabled", "unchecked", "unconfirmed"]);
    assert_eq!(running.denied(RETURNED).await, ["unchecked", "unconfirmed"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_store_is_refused_until_somebody_accepts_the_gap() {
    let (_dir, mut config) = with_history().await;
    let (_other_dir, other) = with_history().await;
    config.store.at = other.store.at;
    let why = why_not(&config).await;
    assert!(why.contains("the database follows the journal"), "{why}");
    let done = recover(&config, Way::Gap).await.unwrap();
    assert_eq!(done.epoch, 2);
    let running = start(&config).await.unwrap();
    assert_eq!(running.open().await.1, 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_store_gets_the_archive_again() {
    let (_dir, config) = with_history().await;
    let refused = recover(&config, Way::Reproject).await.unwrap_err().to_string();
    assert!(refused.contains("this one isn't empty"), "{refused}");
    let StoreAt::Sqlite(file) = &config.store.at else { unreachable!("these tests run on SQLite") };
    std::fs::remove_file(file).unwrap();
    let done = recover(&config, Way::Reproject).await.unwrap();
    assert_eq!(done.epoch, 2);
    let running = start(&config).await.unwrap();
    running.stop().await;
    assert!(has_entry(&config).await);
}

/// Flow: a rescue goes on when the store is lost; a new one is filled from the journals.
/// Asserts: the rescue goes on with all that happened to it, told anew in the higher epoch, and the new store has it whole.
#[tokio::test(flavor = "multi_thread")]
async fn rescues_go_on_with_a_new_store() {
    const RETOLD: i32 = IncidentEventKind::Retold as i32;
    let (_dir, config) = with_history().await;
    let running = start(&config).await.unwrap();
    let id = running.call().await;
    let before = running.rescue(&id).await;
    assert!(!before.is_empty() && before.iter().all(|(epoch, kind)| *epoch == 1 && *kind != RETOLD), "{before:?}");
    running.stop().await;
    let StoreAt::Sqlite(file) = &config.store.at else { unreachable!("these tests run on SQLite") };
    std::fs::remove_file(file).unwrap();
    recover(&config, Way::Reproject).await.unwrap();
    let running = start(&config).await.unwrap();
    let after = running.rescue(&id).await;
    assert_eq!((&after[..before.len()], &after[before.len()..]), (&before[..], &[(2, RETOLD)][..]));
    running.stop().await;

    let store = store::open(&format!("sqlite:{}", file.display()), Options::default()).await.unwrap();
    let id = IncidentId::parse(&id).unwrap();
    let stored = store.incident_timeline(id, Cursor::default(), 100).await.unwrap();
    assert_eq!(stored.iter().map(|event| (event.entry.epoch, event.entry.what.number())).collect::<Vec<_>>(), after);
    assert_eq!(store.incident(id).await.unwrap().as_ref(), stored.last().map(|event| &event.incident));
}

/// Flow: a rescue goes on when the journals are lost; new ones are begun from the store.
/// Asserts: it goes on with all that happened to it, by the same id, and can be ended; it has waited all the while.
#[tokio::test(flavor = "multi_thread")]
async fn rescues_go_on_with_new_journals() {
    let (_dir, config) = with_history().await;
    let running = start(&config).await.unwrap();
    let id = running.call().await;
    let mut told = running.rescue(&id).await;
    running.stop().await;
    std::fs::remove_dir_all(&config.service.data_dir).unwrap();
    recover(&config, Way::FromStore).await.unwrap();
    let running = start(&config).await.unwrap();
    told.push((2, IncidentEventKind::Retold as i32));
    assert_eq!(running.rescue(&id).await, told);
    let freed = running.advance(&id, IncidentStep::Free, None).await;
    let waited_ms = freed.changed_at.unwrap().seconds * 1_000 - freed.received_at.unwrap().seconds * 1_000;
    assert!((freed.freed_ms.unwrap() - waited_ms).abs() <= 1_000, "{} {waited_ms}", freed.freed_ms.unwrap());
    running.stop().await;
}

/// Flow: journals are copied while a rescue goes on; people end it; the copy comes back, and the store goes on with it.
/// Asserts: the rescue is over by the journals as well, with all that the store has of it, and isn't told as going on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_that_the_store_has_as_ended_stays_ended() {
    let (_dir, config) = with_history().await;
    let running = start(&config).await.unwrap();
    let id = running.call().await;
    running.stop().await;
    let data = &config.service.data_dir;
    let copy = data.with_file_name("copy");
    copy_all(data, &copy);
    let running = start(&config).await.unwrap();
    running.advance(&id, IncidentStep::Free, None).await;
    let ending = IncidentEnding { persons_freed: Some(2), cause: IncidentCause::Door.into(), action: "by hand".into() };
    running.advance(&id, IncidentStep::Close, Some(ending)).await;
    let told = running.rescue(&id).await;
    running.stop().await;

    std::fs::remove_dir_all(data).unwrap();
    copy_all(&copy, data);
    recover(&config, Way::Gap).await.unwrap();
    let running = start(&config).await.unwrap();
    assert_eq!(running.rescue(&id).await, told);
    running.stop().await;
    let StoreAt::Sqlite(file) = &config.store.at else { unreachable!("these tests run on SQLite") };
    let store = store::open(&format!("sqlite:{}", file.display()), Options::default()).await.unwrap();
    let stored = store.incident(IncidentId::parse(&id).unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.state, State::Closed);
}

/// `to` isn't there yet.
fn copy_all(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// The newest snapshot as a core of that version would have left it: there is none yet.
fn pretend_to_be_of(version: u32, config: &Config) {
    let snapshots = SnapshotDir::open(config.service.data_dir.join("snapshots")).unwrap();
    let newest = snapshots.newest().unwrap().unwrap();
    let mut file = wire::SnapshotFile::decode(newest.content.as_slice()).unwrap();
    let mut core = wire::Snapshot::decode(&*file.core.concat()).unwrap();
    core.core_version = version;
    file.core = vec![core.encode_to_vec().into()];
    // Newer than the one it is made of, which stays behind it.
    let content = file.encode_to_vec();
    snapshots.write(newest.pos, newest.taken_at + 1, |out| out.write_all(&content)).unwrap();
}

/// Of the newest snapshot.
fn core_version_of(config: &Config) -> u32 {
    let snapshots = SnapshotDir::open(config.service.data_dir.join("snapshots")).unwrap();
    let newest = snapshots.newest().unwrap().unwrap();
    let file = wire::SnapshotFile::decode(newest.content.as_slice()).unwrap();
    wire::SnapshotHead::decode(&*file.core.concat()).unwrap().core_version
}

/// Flow: a service ends by its shutdown, which writes a snapshot; a program with a newer core starts, and after it, by
/// mistake, the older one.
/// Asserts: the newer one goes on in the same epoch with the alerts that were open, and leaves a snapshot of its own at
/// once; the older one is refused, and says which version to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_core_goes_on_and_an_older_one_is_refused() {
    let (_dir, config) = with_history().await;
    pretend_to_be_of(CORE_VERSION - 1, &config);
    let running = start(&config).await.unwrap();
    assert_eq!(core_version_of(&config), CORE_VERSION, "the older one's tail would be judged again");
    let (open, epoch) = running.open().await;
    assert_eq!(epoch, 1);
    assert!(open.contains(&format!("{OVERDUE}/inspection-overdue/1")), "{open:?}");
    running.stop().await;

    pretend_to_be_of(CORE_VERSION + 1, &config);
    let why = why_not(&config).await;
    let newer = format!("its core is of version {}", CORE_VERSION + 1);
    assert!(why.contains(&newer) && why.contains("Start that version again"), "{why}");
}

/// A core of that version takes the journals of the data folder, whose snapshots are lost, and ends at once.
fn take_over(version: u32, config: &Config) -> Replayed {
    let identity = Identity { id: 0, epoch: 0 };
    let open = |name: &str| {
        let options = JournalOptions::new(identity);
        Box::new(LocalJournal::open(config.service.data_dir.join(name), &options).unwrap().journal)
    };
    let quotas = Quotas { inbox_bytes: 1 << 30, outbox_bytes: 1 << 30 };
    let parts = Parts {
        inbox: open("inbox"),
        outbox: open("outbox"),
        poison: Box::new(BTreeSet::new()),
        snapshot: None,
        quotas,
    };
    let (spine, replayed) = Spine::recover_as(version, parts).unwrap();
    assert!(spine.outbox().next() > 0);
    replayed
}

/// Flow: a service ends without a snapshot. A newer core takes its journals; then the older service starts again.
/// Asserts: all was judged again to the same end, on disk as in memory; the service is refused although no snapshot says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_core_judges_again_what_has_no_snapshot() {
    let (_dir, config) = with_history().await;
    std::fs::remove_dir_all(config.service.data_dir.join("snapshots")).unwrap();
    let replayed = take_over(CORE_VERSION + 1, &config);
    assert_eq!(replayed.takeover.unwrap().way, Taken::SameEvents);
    assert!(replayed.records > 3 && replayed.compared > 0 && replayed.added == 0, "{replayed:?}");
    let why = why_not(&config).await;
    assert!(why.contains(&format!("its core is of version {}", CORE_VERSION + 1)), "{why}");
}

/// A core of the same version needs no snapshot to know in which epoch the journals began.
#[tokio::test(flavor = "multi_thread")]
async fn a_raised_epoch_needs_no_snapshot() {
    let (_dir, config) = with_history().await;
    assert_eq!(recover(&config, Way::Gap).await.unwrap().epoch, 2);
    std::fs::remove_dir_all(config.service.data_dir.join("snapshots")).unwrap();
    let running = start(&config).await.unwrap();
    assert_eq!(running.open().await.1, 2);
    running.stop().await;
}

/// Flow: a service is set up while its database is away, and asked to import; then somebody decides not to wait.
/// Asserts: until then it takes nothing, and says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_store_is_waited_for_until_somebody_decides_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.store.at = StoreAt::Postgres(Box::new("postgres://vigil@127.0.0.1:1/vigil".parse().unwrap()));
    let running = start(&config).await.unwrap();
    let refused = running.try_import().await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.message().contains("vigil recover --without-store"), "{refused}");
    running.stop().await;

    recover(&config, Way::WithoutStore).await.unwrap();
    let running = start(&config).await.unwrap();
    running.import().await;
    running.stop().await;
}
