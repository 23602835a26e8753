//! What decoding takes, the store takes, and gives back as it was.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
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

/// A database is left after so many inputs, so that it stays small.
const INPUTS: u64 = 8_192;
/// The most inputs that go into one batch.
const TOGETHER: usize = 64;

/// That of `REPORT`.
const DEVICE: &str = "31305001122014017242";

thread_local! {
    static STORES: RefCell<Option<Stores>> = const { RefCell::new(None) };
}

/// The same bytes as a lift's report and as a site's.
pub fn store(input: &[u8]) {
    store_after(input, 1);
}

/// The same, in batches of several inputs, since a commit takes longer than all the rest. Which of them it was that
/// fails is said with the row: the input that is reported is merely the batch's last.
pub fn store_together(input: &[u8]) {
    store_after(input, TOGETHER);
}

fn store_after(input: &[u8], together: usize) {
    let payload = Bytes::copy_from_slice(input);
    let rows: Vec<Row> = [REPORT, SCAN].iter().flat_map(|topic| rows(topic, &payload)).collect();
    if rows.is_empty() {
        return;
    }
    STORES.with_borrow_mut(|stores| {
        let stores = stores.get_or_insert_with(Stores::open);
        // A page must have room for all rows of a batch, and for those of the next input.
        if stores.waiting.len() + rows.len() > limits::PAGE_ROWS {
            stores.check();
        }
        stores.take(rows);
        if stores.inputs % together as u64 == 0 {
            stores.check();
        }
        if stores.inputs == INPUTS {
            *stores = Stores::open();
        }
    });
}

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
                verdict: None,
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
    /// Since the stores were opened.
    inputs: u64,
    /// Taken, and not yet stored.
    waiting: Vec<Row>,
    /// The time of the first of them.
    from: Wall,
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
        Self { runtime, stores, at: None, inputs: 0, waiting: Vec::new(), from: Wall(1), _folder: folder }
    }

    /// Every input has a ms of its own, by which its rows are found again.
    fn take(&mut self, mut rows: Vec<Row>) {
        self.inputs += 1;
        let at = Wall(self.inputs as i64);
        for row in &mut rows {
            match row {
                Row::Frame(row) => (row.received_at, row.effective_at) = (at, at),
                Row::Scan(row) => (row.received_at, row.effective_at) = (at, at),
                Row::Reject(row) => row.received_at = at,
                Row::Status(_)
                | Row::Entry(_)
                | Row::Change(_)
                | Row::Due(_)
                | Row::Report(_)
                | Row::Visit(_)
                | Row::Signature(_) => {}
            }
        }
        self.waiting.append(&mut rows);
    }

    fn check(&mut self) {
        let rows = std::mem::take(&mut self.waiting);
        let from = std::mem::replace(&mut self.from, Wall(self.inputs as i64 + 1));
        if rows.is_empty() {
            return;
        }
        let to = Checkpoint { journal: 1, epoch: 1, position: self.inputs, hash: 0 };
        let effects = vec![Effects { rows: rows.clone(), ..Effects::default() }];
        let batch = Arc::new(Batch { from: self.at.replace(to), to, effects });
        for store in &self.stores {
            self.runtime.block_on(async {
                let committed = store.commit(batch.clone()).await.expect("a batch is stored");
                assert!(committed.set_aside.is_empty(), "{committed:?}");
                check_kept(store.as_ref(), &rows, from..self.from).await;
            });
        }
    }
}

/// Everything that the store gives of these ms, by what may hold it.
async fn check_kept(store: &dyn Store, rows: &[Row], times: Range<Wall>) {
    let (from, to, limit) = (times.start, times.end, limits::PAGE_ROWS);
    let device = DEVICE.parse().expect("a good code");
    let query = FrameQuery { device, from, to, after: None, limit };
    let frames = store.frames(query).await.expect("frames can be read");
    let query = RejectQuery { from, to, after: None, limit, topic: None, reason: None };
    let rejects = store.rejects(query).await.expect("rejects can be read");
    let cylinders: BTreeSet<CylinderCode> = rows.iter().filter_map(cylinder).collect();
    let mut scans: BTreeMap<CylinderCode, Vec<ScanRow>> = BTreeMap::new();
    for cylinder in cylinders {
        let query = ScanQuery { cylinder, from, to, after: None, limit };
        scans.insert(cylinder, store.scans(query).await.expect("scans can be read"));
    }
    // A page may be full.
    let is_whole = |found: usize| found < limit;
    for row in rows {
        let kept = match row {
            Row::Frame(row) => !is_whole(frames.len()) || frames.contains(row),
            Row::Scan(row) => scans[&row.scan.cylinder].contains(row),
            Row::Reject(row) => !is_whole(rejects.len()) || rejects.iter().any(|found| found.row == *row),
            Row::Status(_)
            | Row::Entry(_)
            | Row::Change(_)
            | Row::Due(_)
            | Row::Report(_)
            | Row::Visit(_)
            | Row::Signature(_) => true,
        };
        assert!(kept, "{row:?} is stored, and not found");
    }
}

fn cylinder(row: &Row) -> Option<CylinderCode> {
    if let Row::Scan(row) = row { Some(row.scan.cylinder) } else { None }
}
