//! How many frames a second the stores take, in batches of different sizes, beside what a bare COPY of the same rows
//! into a table of the same shape with the same index does. Run with `cargo bench --bench store`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::Client;
use tokio_stream::StreamExt as _;

use support::postgres::{self, Postgres};
use support::rows;
use vigil::clock::Clock;
use vigil::model::frame::Reported;
use vigil::model::row::{Effects, FrameRow};
use vigil::store::{self, Batch, Checkpoint, Options, Store};

const ROWS: usize = 200_000;
const DEVICES: u32 = 25_000;
/// What one report holds.
const FRAMES_A_REPORT: usize = 10;
const CHUNK_BYTES: usize = 64 * 1024;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let frames = frames();
    let server = postgres::is_installed().then(|| Postgres::start(true));
    println!("{ROWS} frames of {DEVICES} lifts, {FRAMES_A_REPORT} a report; rows/s");
    println!("{:>10} {:>12} {:>12} {:>12} {:>8}", "batch", "SQLite", "PostgreSQL", "bare COPY", "ratio");
    for batch_rows in [10_000, 2_000, 500] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("history.db").display());
        let sqlite = commit_all(&url, &frames, batch_rows).await;
        let Some(server) = &server else {
            println!("{batch_rows:>10} {sqlite:>12.0}");
            continue;
        };
        let (ours, bare) = beside_bare_copy(server, &frames, batch_rows).await;
        println!("{batch_rows:>10} {sqlite:>12.0} {ours:>12.0} {bare:>12.0} {:>8.2}", ours / bare);
    }
}

/// Frames as a fleet sends them: devices in no order, a fault now and then.
fn frames() -> Vec<FrameRow> {
    let now = Clock::default().wall();
    let mut frames = Vec::with_capacity(ROWS);
    for report in 0..ROWS / FRAMES_A_REPORT {
        let device = rows::device((report as u32).wrapping_mul(2_654_435_761) % DEVICES);
        for i in 0..FRAMES_A_REPORT {
            let n = report * FRAMES_A_REPORT + i;
            let mut row = rows::frame(device, n as u64 + 1, now - (ROWS - n) as i64);
            row.frame.load_kg = Reported::Known(n as u32 % 1_000);
            if n.is_multiple_of(50) {
                row.frame.faults.items = vec![3];
            }
            frames.push(row);
        }
    }
    frames
}

fn batches(frames: &[FrameRow], batch_rows: usize) -> Vec<Arc<Batch>> {
    let at = |position| Checkpoint { journal: 1, epoch: 1, position, hash: 0 };
    let batch = |(part, n): (&[FrameRow], u64)| {
        let effects: Vec<Effects> = part.chunks(FRAMES_A_REPORT).map(rows::frames).collect();
        Arc::new(Batch { from: (n > 0).then(|| at(n)), to: at(n + 1), effects })
    };
    frames.chunks(batch_rows).zip(0..).map(batch).collect()
}

async fn opened(url: &str) -> Arc<dyn Store> {
    let store = store::open(url, Options::default()).await.expect("a new store opens");
    store.maintain(Clock::default().wall()).await.expect("days are created");
    store
}

async fn commit_all(url: &str, frames: &[FrameRow], batch_rows: usize) -> f64 {
    let store = opened(url).await;
    let batches = batches(frames, batch_rows);
    let begun = Instant::now();
    for batch in batches {
        store.commit(batch).await.expect("a good batch is stored");
    }
    frames.len() as f64 / begun.elapsed().as_secs_f64()
}

/// Batch by batch in turn, so that whatever else the machine does hits both alike.
///
/// What the bare COPY sends was stored and read back before, so it is PostgreSQL's own binary form of the same rows.
async fn beside_bare_copy(server: &Postgres, frames: &[FrameRow], batch_rows: usize) -> (f64, f64) {
    let source = server.database();
    commit_all(&source, frames, batch_rows).await;
    let source = connected(&source).await;
    let url = server.database();
    let store = opened(&url).await;
    let client = connected(&url).await;
    let setup = "CREATE TABLE bare (LIKE frame); CREATE INDEX ON bare (device, effective_at); CHECKPOINT";
    client.batch_execute(setup).await.expect("a table");

    let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
    for (batch, first) in batches(frames, batch_rows).into_iter().zip((0..).step_by(batch_rows)) {
        let sql = format!(
            "COPY (SELECT * FROM frame WHERE seq > {first} AND seq <= {} ORDER BY seq) TO STDOUT (FORMAT binary)",
            first + batch_rows
        );
        let bytes = copy_out(&source, &sql).await;
        let begun = Instant::now();
        store.commit(batch).await.expect("a good batch is stored");
        ours += begun.elapsed();
        let begun = Instant::now();
        copy_in(&client, bytes).await;
        bare += begun.elapsed();
    }
    let stored = client.query_one("SELECT count(*) FROM bare", &[]).await.expect("it is counted");
    assert_eq!(stored.get::<_, i64>(0), frames.len() as i64);
    let rate = |spent: Duration| frames.len() as f64 / spent.as_secs_f64();
    (rate(ours), rate(bare))
}

async fn connected(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the server runs");
    tokio::spawn(connection);
    client
}

async fn copy_in(client: &Client, chunks: Vec<Bytes>) {
    let sink = client.copy_in("COPY bare FROM STDIN (FORMAT binary)").await.expect("COPY begins");
    tokio::pin!(sink);
    for chunk in chunks {
        sink.send(chunk).await.expect("it is sent");
    }
    sink.finish().await.expect("COPY ends");
}

async fn copy_out(client: &Client, sql: &str) -> Vec<Bytes> {
    let stream = client.copy_out(sql).await.expect("COPY begins");
    tokio::pin!(stream);
    let mut whole = Vec::new();
    while let Some(part) = stream.next().await {
        whole.extend_from_slice(&part.expect("it is received"));
    }
    whole.chunks(CHUNK_BYTES).map(Bytes::copy_from_slice).collect()
}
