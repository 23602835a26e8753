//! Writing frames to the stores and reading them back, beside the databases with nothing of ours.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt as _;
use rusqlite::types::Value;
use tokio_postgres::Client;
use vigil::clock::Clock;
use vigil::model::frame::Reported;
use vigil::model::row::{Effects, FrameRow};
use vigil::model::time::Wall;
use vigil::store::{self, Batch, Checkpoint, FrameCursor, FrameQuery, Options, Store};

use crate::Bench;
use crate::bare::{connect, copy_out, split};
use crate::measure::own_cpu;
use crate::support::postgres::Postgres;
use crate::support::rows;
use crate::table::{Budget, Table};

const LIFTS: u32 = 25_000;
/// So few that each has many frames to be read.
const LIFTS_READ: u32 = 50;
/// What one report holds.
const FRAMES_A_REPORT: usize = 10;
const BATCHES: [usize; 3] = [10_000, 2_000, 500];

pub fn measure(bench: &Bench, table: &mut Table) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let frames = frames(bench.quicker(200_000, 60_000), LIFTS);
        for batch_rows in BATCHES {
            let name = format!("write, batches of {batch_rows}");
            print(table, &format!("PostgreSQL: {name}"), &postgres(bench.postgres(), &frames, batch_rows).await);
            print(table, &format!("SQLite: {name}"), &sqlite(&frames, batch_rows).await);
        }
        read(bench, table).await;
    });
}

/// What both contestants took for the same rows.
struct Both {
    rows: usize,
    ours: Spent,
    bare: Spent,
}

#[derive(Default)]
struct Spent {
    time: Duration,
    /// Of this process: not of PostgreSQL's.
    cpu: Duration,
}

impl Spent {
    async fn on<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (cpu, began) = (own_cpu(), Instant::now());
        let done = work.await;
        self.time += began.elapsed();
        self.cpu += own_cpu() - cpu;
        done
    }
}

fn print(table: &mut Table, name: &str, both: &Both) {
    let per_s = |spent: &Spent| both.rows as f64 / spent.time.as_secs_f64();
    let cpu_us = |spent: &Spent| spent.cpu.as_secs_f64() * 1e6 / both.rows as f64;
    let row = table.row(name, "rows/s", per_s(&both.ours)).floor(per_s(&both.bare));
    if name.ends_with("write, batches of 10000") && name.starts_with("PostgreSQL") {
        row.budget(Budget::RatioAtLeast(0.8));
    }
    table.row("the same, our side's CPU a row", "µs", cpu_us(&both.ours)).floor(cpu_us(&both.bare));
}

/// Frames as a fleet sends them: devices in no order, a fault now and then.
fn frames(count: usize, lifts: u32) -> Vec<FrameRow> {
    let now = Clock::default().wall();
    let mut frames = Vec::with_capacity(count);
    for report in 0..count / FRAMES_A_REPORT {
        let device = rows::device((report as u32).wrapping_mul(2_654_435_761) % lifts);
        for i in 0..FRAMES_A_REPORT {
            let n = report * FRAMES_A_REPORT + i;
            let mut row = rows::frame(device, n as u64 + 1, now - (count - n) as i64);
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

async fn filled(url: &str, frames: &[FrameRow]) -> Arc<dyn Store> {
    let store = opened(url).await;
    for batch in batches(frames, BATCHES[0]) {
        store.commit(batch).await.expect("a good batch is stored");
    }
    store
}

/// Batch by batch in turn, so that whatever else the machine does hits both alike.
///
/// What the bare COPY sends was stored and read back before, so it is PostgreSQL's own binary form of the same rows.
async fn postgres(server: &Postgres, frames: &[FrameRow], batch_rows: usize) -> Both {
    let source = server.database();
    filled(&source, frames).await;
    let copied = copy_out(&connect(&source).await, "SELECT * FROM frame ORDER BY seq").await;
    let (chunks, _) = split(&copied, batch_rows);
    let url = server.database();
    let store = opened(&url).await;
    let client = connect(&url).await;
    let setup = "CREATE TABLE bare (LIKE frame); CREATE INDEX ON bare (device, effective_at); CHECKPOINT";
    client.batch_execute(setup).await.expect("a table");

    let mut both = Both { rows: frames.len(), ours: Spent::default(), bare: Spent::default() };
    for (batch, chunk) in batches(frames, batch_rows).into_iter().zip(chunks) {
        both.ours.on(store.commit(batch)).await.expect("a good batch is stored");
        both.bare.on(copy_in(&client, chunk)).await;
    }
    let stored = client.query_one("SELECT count(*) FROM bare", &[]).await.expect("it is counted");
    assert_eq!(stored.get::<_, i64>(0), frames.len() as i64);
    both
}

async fn copy_in(client: &Client, rows: Bytes) {
    let sink = client.copy_in("COPY bare FROM STDIN (FORMAT binary)").await.expect("COPY begins");
    let mut sink = std::pin::pin!(sink);
    sink.send(rows).await.expect("it is sent");
    sink.finish().await.expect("COPY ends");
}

/// Beside a prepared INSERT of the same values into the same table with the same index, as durable as ours.
async fn sqlite(frames: &[FrameRow], batch_rows: usize) -> Both {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this folder for benchmarks");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let store = opened(&format!("sqlite:{}", file("ours.db"))).await;
    filled(&format!("sqlite:{}", file("source.db")), frames).await;
    opened(&format!("sqlite:{}", file("bare.db"))).await;
    let source = rusqlite::Connection::open(file("source.db")).expect("it was just made");
    let mut bare = rusqlite::Connection::open(file("bare.db")).expect("it was just made");
    bare.execute_batch("PRAGMA synchronous = FULL").expect("it is known");

    let mut select = source.prepare("SELECT * FROM frame ORDER BY id").expect("it is there");
    let columns = select.column_count();
    let insert = format!("INSERT INTO frame VALUES ({})", vec!["?"; columns].join(", "));
    let values: Vec<Vec<Value>> = select
        .query_map([], |row| (0..columns).map(|at| row.get(at)).collect())
        .and_then(Iterator::collect)
        .expect("it can be read");
    let mut both = Both { rows: frames.len(), ours: Spent::default(), bare: Spent::default() };
    for (batch, values) in batches(frames, batch_rows).into_iter().zip(values.chunks(batch_rows)) {
        both.ours.on(store.commit(batch)).await.expect("a good batch is stored");
        let insert_all = async {
            let transaction = bare.transaction()?;
            let mut statement = transaction.prepare_cached(&insert)?;
            for row in values {
                statement.execute(rusqlite::params_from_iter(row))?;
            }
            drop(statement);
            transaction.commit()
        };
        both.bare.on(insert_all).await.expect("it takes rows");
    }
    both
}

/// All frames of each lift in turn, page by page, beside one SELECT of the same rows and all their columns.
async fn read(bench: &Bench, table: &mut Table) {
    let frames = frames(bench.quicker(200_000, 60_000), LIFTS_READ);
    let url = bench.postgres().database();
    let store = filled(&url, &frames).await;
    let client = connect(&url).await;
    let sql = "SELECT * FROM frame WHERE device = $1 ORDER BY effective_at";
    let statement = client.prepare(sql).await.expect("it is good SQL");
    let mut both = Both { rows: frames.len(), ours: Spent::default(), bare: Spent::default() };
    for device in (0..LIFTS_READ).map(rows::device) {
        let ours = both.ours.on(all_of(&*store, device)).await;
        let bare = both.bare.on(client.query(&statement, &[&device.as_str()])).await.expect("it can be read");
        assert_eq!(ours, bare.len());
    }
    print(table, "PostgreSQL: read", &both);

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this folder for benchmarks");
    let file = folder.path().join("read.db").display().to_string();
    let store = filled(&format!("sqlite:{file}"), &frames).await;
    let bare = rusqlite::Connection::open(file).expect("it was just made");
    let mut statement = bare.prepare(&sql.replace("$1", "?1")).expect("it is good SQL");
    let columns = statement.column_count();
    let mut both = Both { rows: frames.len(), ours: Spent::default(), bare: Spent::default() };
    for device in (0..LIFTS_READ).map(rows::device) {
        let ours = both.ours.on(all_of(&*store, device)).await;
        let select = async {
            let rows: rusqlite::Result<Vec<Vec<Value>>> = statement
                .query_map([device.as_str()], |row| (0..columns).map(|at| row.get(at)).collect())
                .and_then(Iterator::collect);
            rows.expect("it can be read").len()
        };
        assert_eq!(ours, both.bare.on(select).await);
    }
    print(table, "SQLite: read", &both);
}

/// How many frames the store has of a lift, each of them read.
async fn all_of(store: &dyn Store, device: vigil::model::ids::DeviceCode) -> usize {
    let mut query = FrameQuery { device, from: Wall(0), to: Wall::LAST, after: None, limit: vigil::limits::PAGE_ROWS };
    let mut read = 0;
    loop {
        let page = store.frames(query.clone()).await.expect("it can be read");
        read += page.len();
        match page.last() {
            Some(last) if page.len() == query.limit => query.after = Some(FrameCursor::of(last)),
            _ => return read,
        }
    }
}
