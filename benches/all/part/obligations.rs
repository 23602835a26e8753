//! Records of maintenance uploaded and verified, and what is overdue listed, with a city's lifts.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;
use vigil::clock::Clock;
use vigil::model::time::{CivilDay, Wall};
use vigil::proto::v1;
use vigil::proto::v1::inspection_service_client::InspectionServiceClient;

use super::end_to_end::POLL;
use super::import::{ask, lifts_csv};
use crate::bare::connect;
use crate::load::device;
use crate::measure::{cpu_of, ms, percentile};
use crate::service::Service;
use crate::table::Table;
use crate::{Bench, LIFTS};

/// Firms, of which each has so many of the lifts (`load::lift`).
const FIRMS: u32 = 300;
/// Items of a half-monthly visit to a traction lift.
const ITEMS: u32 = 31;
const DAY_MS: i64 = 86_400_000;
const ZONE_MS: i64 = 8 * 3_600_000;
/// Most items in a page.
const PAGE: usize = 1_000;

pub fn measure(bench: &Bench, table: &mut Table) {
    let records = bench.quicker(50_000, 10_000);
    let pages = bench.quicker(40, 10);
    for name in ["PostgreSQL", "SQLite"] {
        let url = (name == "PostgreSQL").then(|| bench.postgres().database());
        let broker = bench.broker(false);
        let service = Service::start(broker.addr(), url.as_deref());
        service.import("firms", &firms_csv());
        service.import("workers", &workers_csv());
        service.import("lifts", &lifts_csv(LIFTS));
        upload(table, name, &service, url.as_deref(), records);
        verify(table, name, &service, records);
        overdue(table, name, &service, url.as_deref(), pages);
    }
    table.row("SHA-256 alone, of 2 kB", "digests/s", digests_per_s());
}

fn upload(table: &mut Table, name: &str, service: &Service, url: Option<&str>, records: u32) {
    let csv = records_csv(records);
    let mut cpu = service.cpu();
    let (before, began) = (cpu.look(), Instant::now());
    service.import("records", &csv);
    let taken = began.elapsed();
    while ask(service, url, "SELECT count(*) FROM maintenance") < i64::from(records) {
        std::thread::sleep(POLL);
    }
    let stored = began.elapsed();
    let cpu_us = (cpu.look() - before).as_secs_f64() * 1e6 / f64::from(records);
    let per_s = |span: Duration| f64::from(records) / span.as_secs_f64();
    table.row(format!("{name}: {records} records of {ITEMS} items, told to be safe"), "records/s", per_s(taken));
    table.row("until the last one is stored", "records/s", per_s(stored));
    table.row("the same, CPU of the service", "µs", cpu_us);
}

fn verify(table: &mut Table, name: &str, service: &Service, records: u32) {
    let began = Instant::now();
    let said = service.run(&["verify"]);
    let per_s = f64::from(records) / began.elapsed().as_secs_f64();
    assert!(said.contains("every chain is whole"), "{said}");
    table.row(format!("{name}: `vigil verify` of these in {} chains", LIFTS.min(records)), "records/s", per_s);
}

/// All that will be overdue in 400 days, by what is known now.
fn overdue(table: &mut Table, name: &str, service: &Service, url: Option<&str>, rounds: u32) {
    let as_of = CivilDay(today().0 + 400);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = format!("http://{}", service.grpc());
        let mut inspection = InspectionServiceClient::connect(server).await.expect("the service runs");
        let (mut items, mut pages, mut token) = (0, Vec::new(), String::new());
        let began = Instant::now();
        loop {
            let (answer, took) = page(&mut inspection, as_of, "", token).await;
            items += answer.items.len();
            pages.push(took);
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let whole = began.elapsed();
        pages.sort_unstable();
        let sql = format!(
            "SELECT subject, kind, due_on, basis_on, clause, district, party, recorded_on FROM due \
             WHERE until_on IS NULL AND due_on < {} ORDER BY subject, kind",
            if url.is_some() { format!("DATE '{as_of}'") } else { format!("'{as_of}'") }
        );
        let began = Instant::now();
        let there = match url {
            Some(url) => connect(url).await.query(&sql, &[]).await.expect("it can be asked").len(),
            None => {
                let database = rusqlite::Connection::open(service.sqlite()).expect("the service has made it");
                let mut statement = database.prepare(&sql).expect("it is good SQL");
                let clauses: rusqlite::Result<Vec<String>> =
                    statement.query_map([], |row| row.get("clause")).and_then(Iterator::collect);
                clauses.expect("it can be read").len()
            }
        };
        let bare = began.elapsed();
        assert_eq!(items, there, "nothing is missing");
        let what = format!("{name}: ListOverdue, {items} items of {LIFTS} lifts in pages of {PAGE}: all");
        table.row(what, "ms", ms(whole)).floor(ms(bare));
        table.row("a page: p50", "ms", ms(percentile(&pages, 50.0)));
        table.row("a page: longest", "ms", ms(percentile(&pages, 100.0)));
        let mut of_firm = Vec::new();
        for n in 0..rounds {
            of_firm.push(page(&mut inspection, as_of, &format!("firm-{}", n % FIRMS), String::new()).await.1);
        }
        of_firm.sort_unstable();
        table.row("the first page of one firm's: p50", "ms", ms(percentile(&of_firm, 50.0)));
        table.row("the same: longest", "ms", ms(percentile(&of_firm, 100.0)));
    });
}

async fn page(
    inspection: &mut InspectionServiceClient<Channel>,
    as_of: CivilDay,
    firm: &str,
    page_token: String,
) -> (v1::ListOverdueResponse, Duration) {
    let request = v1::ListOverdueRequest {
        as_of: as_of.to_string(),
        firm: firm.to_owned(),
        page_size: PAGE as u32,
        page_token,
        ..Default::default()
    };
    let began = Instant::now();
    let answer = inspection.list_overdue(request).await.expect("it is answered").into_inner();
    (answer, began.elapsed())
}

fn today() -> CivilDay {
    CivilDay(((Clock::default().wall().ms() + ZONE_MS) / DAY_MS) as i32)
}

fn digests_per_s() -> f64 {
    const COUNT: u32 = 100_000;
    let bytes = [7; 2_000];
    let took =
        cpu_of(|| (0..COUNT).for_each(|_| _ = std::hint::black_box(Sha256::digest(std::hint::black_box(bytes)))));
    f64::from(COUNT) / took.as_secs_f64()
}

fn firms_csv() -> String {
    let line = |n| format!("firm-{n},Example maintenance {n}\n");
    ["id,name\n".to_owned()].into_iter().chain((0..FIRMS).map(line)).collect()
}

fn workers_csv() -> String {
    let line = |n: u32| format!("W-{n},A Worker,firm-{},2099-12-31\n", n / 2);
    ["id,name,firm,certified_until\n".to_owned()].into_iter().chain((0..2 * FIRMS).map(line)).collect()
}

/// Visits to one lift after the other, by its own firm, two days ago and before.
fn records_csv(records: u32) -> String {
    let mut csv = String::from(
        "firm,record,device,kind,workers,recorder,started_at,ended_at,items,responsible,responsible_phone\n",
    );
    let now = Clock::default().wall();
    for n in 0..records {
        let (lift, round) = (n % LIFTS, n / LIFTS);
        let firm = lift / 10 % FIRMS;
        let at = |minutes: i64| {
            let at = Wall(now.ms() - (2 + i64::from(round)) * DAY_MS + minutes * 60_000);
            jiff::Timestamp::from_millisecond(at.ms()).map_or_else(|_| String::new(), |at| at.to_string())
        };
        let (first, second) = (2 * firm, 2 * firm + 1);
        writeln!(
            csv,
            "firm-{firm},V-{n},{},half-month,W-{first} W-{second},W-{first},{},{},t01..t{ITEMS} t05=adjusted,A Person,13900000000",
            device(lift),
            at(0),
            at(40)
        )
        .expect("a text takes everything");
    }
    csv
}
