//! The recorded lift sensors (Zenodo 3653909), which lie beside the repository and not in it: `tests/run` looks for them.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prost_types::Timestamp;
use support::mosquitto::{Mosquitto, Settings};
use support::postgres::Postgres;
use support::publisher::Publisher;
use support::vigil::Vigil;
use tokio::runtime::Runtime;
use vigil::clock::Clock;
use vigil::proto::v1::history_service_client::HistoryServiceClient;
use vigil::proto::v1::{ArrivalOrder, QueryFramesRequest, StoredFrame, TimeSource};

const ROWS: usize = 112_001;
/// Four rows a second.
const ROW_MS: i64 = 250;
/// The terminal buffers a minute, and restarts once in a while.
const ROWS_A_REPORT: usize = 240;
const ROWS_A_BOOT: usize = 50_000;
const DEVICE: &str = "31106401052012000157";
/// Ours of the recording's columns. Its units aren't told.
const SENSORS: [&str; 3] = ["ball_bearing_revolutions", "humidity", "vibration"];
/// Far above what anything takes, so that only what never comes runs into it.
const PATIENCE: Duration = Duration::from_secs(300);

/// The recording with its header line, unpacked.
fn recording() -> String {
    let folder = std::env::var_os("SHARED_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        std::path::PathBuf::from,
    );
    let unpacked = Command::new("gzip")
        .arg("-dc")
        .arg(folder.join("lift-sensors-zenodo-3653909.csv.gz"))
        .stdin(Stdio::null())
        .output()
        .expect("gzip runs");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    String::from_utf8(unpacked.stdout).expect("the recording is text")
}

/// `None` where a spreadsheet has turned the number into a date (`18. Jan`, `Nov-76`). The number can't be told
/// from it (18.01 and 18.1 look the same), so such a cell counts as not reported.
fn cell(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[test]
fn the_recording_is_whole() {
    let text = recording();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(rows.headers().unwrap(), vec!["ball-bearing", "humidity", "vibration"]);
    let (mut count, mut dates) = (0, [0; 3]);
    for row in rows.records() {
        let row = row.unwrap();
        count += 1;
        for (column, text) in row.iter().enumerate() {
            dates[column] += usize::from(cell(text).is_none());
        }
    }
    assert_eq!((count, dates), (ROWS, [535, 0, 5_242]));
}

/// A row of the recording, as the terminal counts and dates it.
struct Row {
    boot: u32,
    seq: u64,
    observed_at_ms: i64,
    /// As the recording writes them.
    cells: Vec<String>,
}

impl Row {
    /// Name and text of each cell that is a number.
    fn numbers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let cells = self.cells.iter().map(String::as_str);
        SENSORS.into_iter().zip(cells).filter(|(_, text)| cell(text).is_some())
    }

    fn json(&self) -> String {
        let extras: Vec<_> = self.numbers().map(|(name, text)| format!("{name:?}:{text}")).collect();
        let Self { boot, seq, observed_at_ms, .. } = self;
        let extras = extras.join(",");
        format!(r#"{{"boot":{boot},"seq":{seq},"observed_at_ms":{observed_at_ms},"extras":{{{extras}}}}}"#)
    }

    fn extras(&self) -> BTreeMap<String, f64> {
        self.numbers().map(|(name, text)| (name.to_owned(), text.parse().expect("a number"))).collect()
    }
}

/// The recording, as if its last row were of now.
fn rows() -> Vec<Row> {
    let text = recording();
    let began_ms = Clock::default().wall().0 - ROW_MS * ROWS as i64;
    let row = |(n, cells): (usize, Result<csv::StringRecord, csv::Error>)| Row {
        boot: 3 + u32::try_from(n / ROWS_A_BOOT).unwrap(),
        seq: 1 + (n % ROWS_A_BOOT) as u64,
        observed_at_ms: began_ms + ROW_MS * n as i64,
        cells: cells.unwrap().iter().map(str::to_owned).collect(),
    };
    csv::Reader::from_reader(text.as_bytes()).into_records().enumerate().map(row).collect()
}

fn frames(runtime: &Runtime, grpc: &str, from_ms: i64, to_ms: i64) -> Vec<StoredFrame> {
    let at =
        |ms: i64| Some(Timestamp { seconds: ms.div_euclid(1_000), nanos: (ms.rem_euclid(1_000) * 1_000_000) as i32 });
    let request =
        QueryFramesRequest { device: DEVICE.into(), from: at(from_ms), to: at(to_ms), ..QueryFramesRequest::default() };
    runtime.block_on(async {
        let mut client = HistoryServiceClient::connect(grpc.to_owned()).await.expect("it serves");
        let mut stream = match client.query_frames(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == tonic::Code::NotFound => return Vec::new(),
            Err(status) => panic!("{status}"),
        };
        let mut frames = Vec::new();
        while let Some(page) = stream.message().await.expect("it streams") {
            frames.extend(page.frames);
        }
        frames
    })
}

/// Flow: the recording is sent as a terminal would that buffers, through Mosquitto, into PostgreSQL.
/// Asserts: QueryFrames gives all rows, in their order, at their times, each value equal to the bit.
#[test]
fn the_recording_comes_back_as_it_was_sent() {
    let postgres = Postgres::start(true);
    let broker = Mosquitto::start(Settings::default());
    let mut vigil = Vigil::start(broker.addr(), &postgres.database());
    let runtime = Runtime::new().unwrap();
    let rows = rows();
    let last = rows.last().expect("there are rows").observed_at_ms;

    let begun = Instant::now();
    let mut terminal = Publisher::connect(broker.addr(), DEVICE).unwrap();
    let topic = format!("vigil/v1/elevator/{DEVICE}/report");
    for report in rows.chunks(ROWS_A_REPORT) {
        let frames: Vec<_> = report.iter().map(Row::json).collect();
        terminal.publish(&topic, format!("{{\"frames\":[{}]}}", frames.join(",")).as_bytes()).unwrap();
    }
    terminal.finish().unwrap();
    let sent = begun.elapsed();
    let grpc = vigil.grpc_url();
    vigil.wait_for("the last row", PATIENCE, || (frames(&runtime, &grpc, last, last + 1).len() == 1).then_some(()));
    let stored = begun.elapsed();

    let reading = Instant::now();
    let found = frames(&runtime, &grpc, rows[0].observed_at_ms, last + 1);
    let read = reading.elapsed();
    check_same(&rows, &found);
    // Not through `println`, which only shows in failures.
    let mut out = std::io::stdout();
    let reports = rows.len().div_ceil(ROWS_A_REPORT);
    let _ = writeln!(
        out,
        "{ROWS} rows in {reports} reports: taken by the broker after {sent:.1?}, in PostgreSQL after {stored:.1?}, \
         read back over gRPC in {read:.1?}"
    );
    assert!(vigil.stop().success(), "{}", vigil.log());
}

fn check_same(rows: &[Row], found: &[StoredFrame]) {
    assert_eq!(found.len(), rows.len());
    for (row, stored) in rows.iter().zip(found) {
        let frame = stored.frame.as_ref().expect("a frame");
        let at = frame.claimed_at.map(|at| at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000);
        assert_eq!((frame.boot, frame.seq, at), (row.boot, row.seq, Some(row.observed_at_ms)));
        assert_eq!(stored.effective_at, frame.claimed_at, "boot {} seq {}", row.boot, row.seq);
        assert_eq!((stored.time_source(), stored.order()), (TimeSource::Claimed, ArrivalOrder::Newer));
        let bits = |extras: BTreeMap<String, f64>| -> BTreeMap<String, u64> {
            extras.into_iter().map(|(name, value)| (name, value.to_bits())).collect()
        };
        assert_eq!(
            bits(frame.extras.clone()),
            bits(row.extras()),
            "boot {} seq {}: {:?}",
            row.boot,
            row.seq,
            row.cells
        );
    }
}
