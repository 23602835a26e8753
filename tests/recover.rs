//! What `vigil serve` refuses to go on with, and what `vigil recover` makes of it.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vigil::app::recover::{Way, recover};
use vigil::app::{self, Addresses, AppError};
use vigil::config::{Config, StoreAt};
use vigil::model::archive::{Entry, EntryKind, Lift};
use vigil::model::ids::DeviceCode;
use vigil::model::time::CivilDay;
use vigil::observe::Metrics;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::proto::v1::{UpsertDevicesRequest, UpsertDevicesResponse};
use vigil::serve::upsert_entry;
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
        let answer = self.try_import().await.unwrap();
        assert_eq!((answer.changed, answer.failed), (1, 0));
        answer.position
    }

    async fn try_import(&self) -> Result<UpsertDevicesResponse, tonic::Status> {
        let entry = Entry::Lift(Lift {
            code: DeviceCode::parse(OVERDUE).unwrap(),
            equipment: Default::default(),
            address: Some("No. 1 Example Road".into()),
            district: None,
            rescue_code: None,
            firm: None,
            use_unit: None,
            keep_alive_s: None,
            inspection_due: CivilDay::parse("2020-01-01"),
        });
        let request =
            UpsertDevicesRequest { request_id: "r".into(), entry: Some(upsert_entry(&entry)), ..Default::default() };
        let mut client = RegistryServiceClient::connect(self.url()).await.unwrap();
        client.upsert_devices(tokio_stream::iter([request])).await.map(tonic::Response::into_inner)
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
