//! What decoding takes, the store takes, and gives back as it was.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vigil::core::decode::{Decoded, Rejected, decode};
use vigil::limits;
use vigil::model::ids::CylinderCode;
use vigil::model::row::{Effects, FrameRow, Order, RejectRow, Row, ScanRow, TimeSource};
use vigil::model::time::Wall;
use vigil::store::memory::MemoryStore;
use vigil::store::sqlite::SqliteStore;
use vigil::store::{Batch, Checkpoint, FrameQuery, Options, RejectQuery, ScanQuery, Store};

use super::decode::{PREFIX, REPORT, SCAN};

/// A database is left after so many batches, so that it stays small.
const BATCHES: u64 = 64;

/// That of `REPORT`.
const DEVICE: &str = "31305001122014017242";

thread_local! {
    static STORES: RefCell<Option<Stores>> = const { RefCell::new(None) };
}

/// The same bytes as a lift's report and as a site's.
pub fn store(input: &[u8]) {
    let payload = Bytes::copy_from_slice(input);
    let rows: Vec<Row> = [REPORT, SCAN].iter().flat_map(|topic| rows(topic, &payload)).collect();
    if rows.is_empty() {
        return;
    }
    STORES.with_borrow_mut(|stores| {
        if stores.as_ref().is_none_or(|stores| stores.batches == BATCHES) {
            *stores = Some(Stores::open());
        }
        stores.as_mut().expect("it was just made").check(rows);
    });
}

/// Each with a time of its own, by which it is found again.
fn rows(topic: &str, payload: &Bytes) -> Vec<Row> {
    let mut rows = Vec::new();
    let time_source = TimeSource::Absent;
    let (generation, order) = (0, Order::Newer);
    let (received_at, effective_at) = (Wall(0), Wall(0));
    let rejects = match decode(PREFIX, topic, payload) {
        Decoded::Frames { device, items } => {
            let row = |frame| FrameRow { device, generation, frame, received_at, effective_at, time_source, order };
            rows.extend(items.good.into_iter().map(row).map(Row::Frame));
            items.rejects
        }
        Decoded::Scans { site, items } => {
            let flags = Vec::new();
            let row = |scan| ScanRow {
                site,
                generation,
                scan,
                received_at,
                effective_at,
                time_source,
                order,
                flags: flags.clone(),
            };
            rows.extend(items.good.into_iter().map(row).map(Row::Scan));
            items.rejects
        }
        Decoded::Rejected(rejected) => vec![rejected],
        _ => Vec::new(),
    };
    let reject = |Rejected { reason, pointer, detail, payload }| RejectRow {
        topic: topic.into(),
        reason,
        pointer,
        detail,
        payload,
        received_at,
    };
    rows.extend(rejects.into_iter().map(reject).map(Row::Reject));
    rows
}

struct Stores {
    runtime: Runtime,
    stores: [Box<dyn Store>; 2],
    at: Option<Checkpoint>,
    batches: u64,
    _folder: TempDir,
}

impl Stores {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let path = folder.path().join("history.sqlite");
        let sqlite = runtime.block_on(SqliteStore::open(path, Options::default())).expect("a new file can be opened");
        let stores: [Box<dyn Store>; 2] = [Box::new(sqlite), Box::new(MemoryStore::new(Options::default()))];
        Self { runtime, stores, at: None, batches: 0, _folder: folder }
    }

    /// Every batch has a ms of its own.
    fn check(&mut self, mut rows: Vec<Row>) {
        self.batches += 1;
        let at = Wall(self.batches as i64);
        for row in &mut rows {
            match row {
                Row::Frame(row) => (row.received_at, row.effective_at) = (at, at),
                Row::Scan(row) => (row.received_at, row.effective_at) = (at, at),
                Row::Reject(row) => row.received_at = at,
                Row::Status(_) | Row::Entry(_) => {}
            }
        }
        let to = Checkpoint { journal: 1, epoch: 1, position: self.batches, hash: 0 };
        let effects = vec![Effects { rows: rows.clone(), ..Effects::default() }];
        let batch = Arc::new(Batch { from: self.at.replace(to), to, effects });
        for store in &self.stores {
            self.runtime.block_on(async {
                let committed = store.commit(batch.clone()).await.expect("a batch is stored");
                assert!(committed.set_aside.is_empty(), "{committed:?}");
                check_kept(store.as_ref(), &rows, at).await;
            });
        }
    }
}

/// Everything that the store gives of this ms, by what may hold it.
async fn check_kept(store: &dyn Store, rows: &[Row], from: Wall) {
    let (to, limit) = (Wall(from.0 + 1), limits::PAGE_ROWS);
    let device = DEVICE.parse().expect("a good code");
    let query = FrameQuery { device, from, to, after: None, limit };
    let frames = store.frames(query).await.expect("frames can be read");
    let query = RejectQuery { from, to, after: None, limit, topic: None, reason: None };
    let rejects = store.rejects(query).await.expect("rejects can be read");
    let cylinders: BTreeSet<CylinderCode> = rows.iter().filter_map(cylinder).collect();
    let mut scans = Vec::new();
    for cylinder in cylinders {
        let query = ScanQuery { cylinder, from, to, after: None, limit };
        scans.extend(store.scans(query).await.expect("scans can be read"));
    }
    // A page may be full.
    let is_whole = |found: usize| found < limit;
    for row in rows {
        let kept = match row {
            Row::Frame(row) => !is_whole(frames.len()) || frames.contains(row),
            Row::Scan(row) => scans.contains(row),
            Row::Reject(row) => !is_whole(rejects.len()) || rejects.iter().any(|found| found.row == *row),
            Row::Status(_) | Row::Entry(_) => true,
        };
        assert!(kept, "{row:?} is stored, and not found");
    }
}

fn cylinder(row: &Row) -> Option<CylinderCode> {
    if let Row::Scan(row) = row { Some(row.scan.cylinder) } else { None }
}
