//! `QueryFrames` of one lift's day out of a history of many millions of frames, beside the same SELECT without a service.
//!
//! The rows are made by the database itself, in the order in which a fleet would have sent them: the frames of a lift lie
//! far apart. Each day is asked for once, so that nothing but the index is likely to be in memory already.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use vigil::clock::Clock;
use vigil::model::time::Wall;
use vigil::proto::v1;
use vigil::proto::v1::history_service_client::HistoryServiceClient;
use vigil::store::{self, Batch, Checkpoint, Options};

use crate::Bench;
use crate::bare::connect;
use crate::load::device;
use crate::measure::{ms, percentile};
use crate::service::Service;
use crate::support::postgres::Postgres;
use crate::support::rows;
use crate::table::Table;

const DAYS: i64 = 7;
const DAY_MS: i64 = 86_400_000;
const FRAME_EVERY_S: i64 = 30;
const FRAMES_A_DAY: u64 = (DAY_MS / 1_000 / FRAME_EVERY_S) as u64;
/// Days asked for, each of another lift. Ours and the floor's take turns.
const QUERIES: u32 = 200;

pub fn measure(bench: &Bench, table: &mut Table) {
    let lifts = u32::try_from(bench.rows / (DAYS as u64 * FRAMES_A_DAY)).expect("fewer lifts than the world has");
    // It may be lost, and writing it takes long: so it is not synced.
    let server = Postgres::start(false);
    let url = server.database();
    let first_day = Wall(Clock::default().wall().ms() / DAY_MS * DAY_MS - DAYS * DAY_MS);
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        make_days(&url, first_day).await;
        let client = connect(&url).await;
        let began = Instant::now();
        let rows = fill(&client, lifts, first_day).await;
        let bytes: i64 =
            client.query_one("SELECT pg_database_size(current_database())", &[]).await.expect("it can be asked").get(0);
        table.note(format!(
            "{rows} frames of {lifts} lifts in {DAYS} days: {:.1} GB, made in {:.0} s",
            bytes as f64 / 1e9,
            began.elapsed().as_secs_f64()
        ));
        let broker = bench.broker(false);
        let service = Service::start(broker.addr(), Some(&url));
        ask(table, &service, &client, rows, lifts, first_day).await;
    });
}

/// Makes the tables, and the partitions of those days as the store does: when a frame of that day comes.
async fn make_days(url: &str, first_day: Wall) {
    let store = store::open(url, Options::default()).await.expect("a new store opens");
    let frame = |day: i64| rows::frame(rows::device(0), 1, first_day + day * DAY_MS);
    let frames: Vec<_> = (0..DAYS).map(frame).collect();
    let to = Checkpoint { journal: 1, epoch: 1, position: 1, hash: 0 };
    let batch = Batch { from: None, to, effects: vec![rows::frames(&frames)] };
    store.commit(Arc::new(batch)).await.expect("a good batch is stored");
    // As if nothing had ever been stored.
    let client = connect(url).await;
    client.batch_execute("DELETE FROM frame; DELETE FROM checkpoint").await.expect("there is nothing to lose");
}

/// Fills the history; how many rows it has then.
async fn fill(client: &Client, lifts: u32, first_day: Wall) -> u64 {
    // An index is built in a fraction of the time in which it grows.
    client.batch_execute("DROP INDEX frame_device").await.expect("there is one");
    let mut rows = 0;
    for day in 0..DAYS {
        let sql = format!(
            "INSERT INTO frame (effective_at, received_at, claimed_at, seq, boot, generation, runs, load_kg, run_hours, \
             floor, speed_mm_s, time_source, arrival_order, mode, car, direction, door, door_zone, passenger, has_status, \
             device, floor_label) \
             SELECT at, at + interval '120 ms', at, {day} * {FRAMES_A_DAY} + n, 3, 0, 123456 + n / 8, n % 8 * 75, 9876, \
             (n + lift) % 18, n % 2 * 1750, 1, 1, 2, 1 + n % 2, 1, 3, n % 2 = 0, n % 3 > 0, true, \
             '3130500112201' || lpad(lift::text, 7, '0'), ((n + lift) % 18 + 1)::text \
             FROM generate_series(0, {FRAMES_A_DAY} - 1) AS n CROSS JOIN generate_series(0, {lifts} - 1) AS lift \
             CROSS JOIN LATERAL (SELECT to_timestamp({first_s}) + n * interval '{FRAME_EVERY_S} s' \
             + lift % 30000 * interval '1 ms' AS at) AS moment",
            first_s = (first_day.ms() + day * DAY_MS) / 1_000,
        );
        rows += client.execute(&sql, &[]).await.expect("it fits the table");
        eprintln!("  {rows} rows");
    }
    let index =
        "SET maintenance_work_mem = '512MB'; CREATE INDEX frame_device ON frame (device, effective_at); ANALYZE frame";
    client.batch_execute(index).await.expect("it can be built");
    rows
}

async fn ask(table: &mut Table, service: &Service, client: &Client, rows: u64, lifts: u32, first_day: Wall) {
    let mut history =
        HistoryServiceClient::connect(format!("http://{}", service.grpc())).await.expect("the service runs");
    let sql = "SELECT * FROM frame WHERE device = $1 AND effective_at >= $2::text::timestamptz \
               AND effective_at < $2::text::timestamptz + interval '1 day' ORDER BY effective_at";
    let statement = client.prepare(sql).await.expect("it is good SQL");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let mut cpu = service.cpu();
    let before = cpu.look();
    for n in 0..2 * QUERIES {
        // Neighbours would share pages of the index.
        let lift = n.wrapping_mul(2_654_435_761) % lifts;
        let day = Wall(first_day.ms() + i64::from(n / 2) % DAYS * DAY_MS);
        let began = Instant::now();
        let (frames, spans) = if n % 2 == 0 {
            (query(&mut history, lift, day).await, &mut ours)
        } else {
            let from = format!("epoch {}", day.ms());
            let from = jiff::Timestamp::from_millisecond(day.ms()).map_or(from, |at| at.to_string());
            let found = client.query(&statement, &[&device(lift).as_str(), &from]).await;
            (found.expect("it can be asked").len(), &mut bare)
        };
        spans.push(began.elapsed());
        assert_eq!(frames as u64, FRAMES_A_DAY);
    }
    let used = cpu.look() - before;
    ours.sort_unstable();
    bare.sort_unstable();
    for (quantile, percent) in [("p50", 50.0), ("p99", 99.0)] {
        let of = |spans: &[Duration]| ms(percentile(spans, percent));
        let name = format!("a lift's day, {FRAMES_A_DAY} frames of {} M: {quantile}", (rows + 500_000) / 1_000_000);
        table.row(name, "ms", of(&ours)).floor(of(&bare));
    }
    table.row("the same, CPU of the service", "ms", ms(used) / f64::from(QUERIES));
}

/// How many frames `QueryFrames` gives of that day.
async fn query(history: &mut HistoryServiceClient<tonic::transport::Channel>, lift: u32, day: Wall) -> usize {
    let at = |ms: i64| Some(prost_types::Timestamp { seconds: ms / 1_000, nanos: 0 });
    let request = v1::QueryFramesRequest {
        device: device(lift).to_string(),
        from: at(day.ms()),
        to: at(day.ms() + DAY_MS),
        ..Default::default()
    };
    let mut stream = history.query_frames(request).await.expect("it may ask").into_inner();
    let mut frames = 0;
    while let Some(page) = stream.message().await.expect("it is answered") {
        frames += page.frames.len();
    }
    frames
}
