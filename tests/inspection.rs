//! Due dates from end to end: what the archive and reports say, over gRPC, through the service and a database, to whoever
//! asks what is overdue; also after a restart.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use vigil::app::{self, Addresses, AppError};
use vigil::clock::Clock;
use vigil::config::{Config, StoreAt};
use vigil::model::archive::{Contract, ContractKind, Entry, Lift, Site, SiteKind};
use vigil::model::ids::{DeviceCode, FirmId};
use vigil::model::obligation::DueKind;
use vigil::model::report::ReportKind;
use vigil::model::time::CivilDay;
use vigil::observe::Metrics;
use vigil::proto::v1::inspection_service_client::InspectionServiceClient;
use vigil::proto::v1::maintenance_service_client::MaintenanceServiceClient;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::proto::v1::{
    DueItem, InspectionReport, ListDueRequest, ListOverdueRequest, ListReportsRequest, RecordOutcome, ReportResult,
    UploadReportsRequest, UpsertDevicesRequest,
};
use vigil::serve::upsert_entry;

use crate::support::wait::pause;

const PATIENCE: Duration = Duration::from_secs(20);

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.service.data_dir = dir.join("data");
    config.store.at = StoreAt::Sqlite(dir.join("vigil.db"));
    // Nobody listens there: no device is needed.
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

async fn start(dir: &Path, metrics: &Metrics) -> Running {
    let stop = CancellationToken::new();
    let (ready, addresses) = oneshot::channel();
    let run = app::run(config(dir), metrics.clone(), stop.clone(), |addresses| _ = ready.send(addresses));
    let service = tokio::spawn(run);
    Running { addresses: addresses.await.unwrap(), stop, service }
}

impl Running {
    fn url(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.service).await.unwrap().unwrap().unwrap();
    }

    async fn import(&self, entries: Vec<Entry>) {
        let requests = entries.into_iter().map(|entry| UpsertDevicesRequest {
            request_id: "r".into(),
            entry: Some(upsert_entry(&entry)),
            ..Default::default()
        });
        let requests: Vec<_> = requests.collect();
        let mut client = RegistryServiceClient::connect(self.url()).await.unwrap();
        let answer = client.upsert_devices(tokio_stream::iter(requests)).await.unwrap().into_inner();
        assert_eq!(answer.failed, 0, "{answer:?}");
    }

    async fn upload(&self, reports: Vec<InspectionReport>) -> Vec<(RecordOutcome, Code)> {
        let mut client = InspectionServiceClient::connect(self.url()).await.unwrap();
        let answer = client.upload_reports(UploadReportsRequest { reports }).await.unwrap().into_inner();
        let of = |it: ReportResult| (it.outcome(), Code::from_i32(it.code));
        answer.results.into_iter().map(of).collect()
    }

    async fn overdue(&self, request: ListOverdueRequest) -> Vec<DueItem> {
        let mut client = InspectionServiceClient::connect(self.url()).await.unwrap();
        let (mut items, mut request) = (Vec::new(), request);
        loop {
            let page = client.list_overdue(request.clone()).await.unwrap().into_inner();
            items.extend(page.items);
            if page.next_page_token.is_empty() {
                return items;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Waits until the database has it so.
    async fn is_overdue(&self, request: ListOverdueRequest, expected: &[(String, DueKind)]) {
        let begun = Instant::now();
        loop {
            let items = self.overdue(request.clone()).await;
            let found: Vec<_> =
                items.iter().map(|it| (it.device.clone(), DueKind::from_number(it.kind).unwrap())).collect();
            if found == expected {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{found:?}, not {expected:?}");
            pause().await;
        }
    }
}

fn device(n: u32) -> String {
    format!("3130500112201{n:07}")
}

fn inspection(n: u32) -> (String, DueKind) {
    (device(n), DueKind::Inspection)
}

/// Flow: lifts of two districts and firms are imported, one of them unknown to its reporter; reports come out of order,
/// repeated, corrected and wrong; the service is restarted in between.
/// Asserts: each report has its own outcome; what is overdue follows from them by every filter, and is the same after the
/// restart; the command line tells the same.
#[tokio::test(flavor = "multi_thread")]
async fn reports_meet_what_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::install().unwrap();
    let running = start(dir.path(), &metrics).await;
    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    let today = CivilDay::of(Clock::default().wall(), &zone);
    let ago = |days: i32| CivilDay(today.0 - days);

    let lift = |n: u32, due: CivilDay, district: &str, firm: &str| {
        Entry::Lift(Lift {
            district: Some(district.parse().unwrap()),
            firm: FirmId::parse(firm).ok(),
            inspection_due: Some(due),
            ..Lift::new(DeviceCode::parse(&device(n)).unwrap())
        })
    };
    let contract = Contract { from: today, to: None, kind: ContractKind::Calendar };
    let Entry::Lift(under_contract) = lift(4, CivilDay(today.0 + 200), "640104", "F-1") else { unreachable!() };
    let site = |code: &str, kind| {
        let code = code.parse().unwrap();
        Entry::Site(Site { code, kind, name: "A site".into(), address: None, district: None })
    };
    running
        .import(vec![
            site("INSP-01", SiteKind::InspectionBody),
            site("FILL-01", SiteKind::FillingStation),
            lift(1, ago(10), "640104", "F-1"),
            lift(2, ago(1), "640105", "F-2"),
            lift(3, today, "640105", "F-2"),
            Entry::Lift(Lift { contract: Some(contract), ..under_contract }),
        ])
        .await;
    let all = ListOverdueRequest::default;
    running.is_overdue(all(), &[inspection(1), inspection(2)]).await;
    for (request, expected) in [
        (ListOverdueRequest { districts: vec!["640105".into()], ..all() }, vec![inspection(2)]),
        (
            ListOverdueRequest { districts: vec!["6401".into()], page_size: 1, ..all() },
            vec![inspection(1), inspection(2)],
        ),
        (ListOverdueRequest { kinds: vec![DueKind::Drill.number()], ..all() }, vec![]),
        (ListOverdueRequest { firm: "F-1".into(), ..all() }, vec![inspection(1)]),
        (ListOverdueRequest { site: "INSP-01".into(), ..all() }, vec![]),
        (ListOverdueRequest { as_of: ago(1).to_string(), ..all() }, vec![]),
        (ListOverdueRequest { as_of: CivilDay(today.0 + 1).to_string(), ..all() }, (1..=3).map(inspection).collect()),
    ] {
        running.is_overdue(request, &expected).await;
    }

    let report = |id: &str, n: u32, done_on: CivilDay| InspectionReport {
        body: "INSP-01".into(),
        report: id.into(),
        device: device(n),
        kind: ReportKind::Periodic.number(),
        done_on: done_on.to_string(),
        passed: true,
        ..Default::default()
    };
    let failed = InspectionReport { passed: false, findings: vec!["door".into()], ..report("R-4", 1, ago(2)) };
    let outcomes = running
        .upload(vec![
            report("R-1", 2, ago(1)),
            report("R-1", 2, ago(1)),
            report("R-1", 2, ago(2)),
            report("R-2", 2, ago(400)),
            report("R-3", 9, today),
            InspectionReport { done_on: CivilDay(today.0 + 1).to_string(), ..report("R-5", 1, today) },
            InspectionReport { body: "FILL-01".into(), ..report("R-6", 1, today) },
            InspectionReport { body: String::new(), ..report("R-7", 1, today) },
            InspectionReport { supersedes: "R-0".into(), ..report("R-8", 1, today) },
            failed.clone(),
        ])
        .await;
    use RecordOutcome::{Known, Refused, Taken};
    assert_eq!(
        outcomes,
        [
            (Taken, Code::Ok),
            (Known, Code::Ok),
            (Refused, Code::AlreadyExists),
            (Taken, Code::Ok),
            (Refused, Code::NotFound),
            (Refused, Code::InvalidArgument),
            (Refused, Code::PermissionDenied),
            (Refused, Code::InvalidArgument),
            (Refused, Code::NotFound),
            (Taken, Code::Ok),
        ]
    );
    running.is_overdue(all(), &[inspection(1)]).await;

    let mut client = InspectionServiceClient::connect(running.url()).await.unwrap();
    let asked = ListReportsRequest { device: device(2), page_size: 1, ..Default::default() };
    let first = client.list_reports(asked.clone()).await.unwrap().into_inner();
    assert_eq!(first.reports[0].report, Some(report("R-1", 2, ago(1))));
    assert_eq!(first.reports[0].recorded_by, "local");
    let rest = client.list_reports(ListReportsRequest { page_token: first.next_page_token, ..asked }).await.unwrap();
    assert_eq!(rest.into_inner().reports[0].report, Some(report("R-2", 2, ago(400))));

    let mut client = MaintenanceServiceClient::connect(running.url()).await.unwrap();
    let asked = ListDueRequest { device: device(4), ..Default::default() };
    let due = client.list_due(asked).await.unwrap().into_inner().items;
    let kinds: Vec<_> = due.iter().map(|it| DueKind::from_number(it.kind).unwrap()).collect();
    use DueKind::{Drill, HalfMonth, HalfYear, Inspection, Quarter, SelfCheck, Year};
    assert_eq!(kinds, [Inspection, HalfMonth, Quarter, HalfYear, Year, SelfCheck, Drill]);
    let half_month = &due[1];
    assert_eq!((&*half_month.due_on, half_month.days_overdue), (&*CivilDay(today.0 + 15).to_string(), -15));
    assert!(half_month.clause.contains("TSG T5002-2017"), "{half_month:?}");
    let soon = ListDueRequest { until: CivilDay(today.0 + 15).to_string(), firm: "F-1".into(), ..Default::default() };
    let soon = client.list_due(soon).await.unwrap().into_inner().items;
    let soon: Vec<_> = soon.iter().map(|it| (it.device.clone(), DueKind::from_number(it.kind).unwrap())).collect();
    assert_eq!(soon, [inspection(1), (device(4), HalfMonth)]);

    running.stop().await;
    let running = start(dir.path(), &metrics).await;
    running.is_overdue(all(), &[inspection(1)]).await;
    let corrected = InspectionReport { supersedes: "R-4".into(), ..report("R-9", 1, ago(2)) };
    let outcomes = running.upload(vec![failed, corrected.clone(), corrected, report("R-2", 2, ago(400))]).await;
    assert_eq!(outcomes, [(Known, Code::Ok), (Taken, Code::Ok), (Known, Code::Ok), (Known, Code::Ok)]);
    running.is_overdue(all(), &[]).await;
    let withdrawn = InspectionReport { passed: false, findings: vec!["door".into()], ..report("R-10", 2, ago(1)) };
    let outcomes = running.upload(vec![InspectionReport { supersedes: "R-1".into(), ..withdrawn }]).await;
    assert_eq!(outcomes, [(Taken, Code::Ok)]);
    running.is_overdue(all(), &[inspection(2)]).await;

    let typed = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_vigil"))
            .args(["overdue", "--server", &running.url()])
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let (table, csv, json) = tokio::task::block_in_place(|| {
        (typed(&[]), typed(&["--csv", "--bom", "--district", "6401"]), typed(&["--json", "--kind", "inspection"]))
    });
    let line = format!("{}             inspection           {}    1  640105   F-2", device(2), ago(1));
    assert!(table.lines().nth(1).unwrap().starts_with(&line), "{table}");
    assert!(csv.starts_with("\u{feff}device,cylinder,kind,due_on,"), "{csv}");
    assert!(csv.lines().nth(1).unwrap().starts_with(&format!("{},,inspection,{},1,", device(2), ago(1))), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["device"], &json["firm"]), (&device(2).into(), &"F-2".into()));
    running.stop().await;
}
