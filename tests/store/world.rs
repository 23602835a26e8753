//! A place for one store, and short ways to use it.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use vigil::clock::Clock;
use vigil::limits::PAGE_ROWS;
use vigil::model::ids::DeviceCode;
use vigil::model::row::{Effects, FrameRow};
use vigil::model::time::Wall;
use vigil::store::{self, Batch, Checkpoint, Committed, FrameCursor, FrameQuery, Options, Store, StoreError};

use crate::support::postgres::Postgres;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgres,
}

/// One server for all tests. It ends when this process does.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(false))
}

pub(crate) const OPTIONS: Options = Options {
    frame_retention_days: Some(30),
    evidence_retention_days: Some(60),
    alert_retention_days: Some(90),
    scan_retention_days: Some(120),
    reject_retention_days: Some(30),
    commit_limit_ms: 60_000,
};

pub(crate) struct World {
    pub kind: Kind,
    pub url: String,
    pub store: Arc<dyn Store>,
    /// Where the next batch begins.
    pub at: Option<Checkpoint>,
    _folder: tempfile::TempDir,
}

pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test());
}

impl World {
    pub(crate) async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match kind {
            Kind::Memory => "memory:".to_owned(),
            Kind::Sqlite => format!("sqlite:{}", folder.path().join("history.db").display()),
            Kind::Postgres => server().database(),
        };
        Self::open(kind, url, OPTIONS, folder).await
    }

    pub(crate) async fn postgres(url: String, options: Options) -> Self {
        Self::open(Kind::Postgres, url, options, tempfile::tempdir().expect("a temporary folder")).await
    }

    async fn open(kind: Kind, url: String, options: Options, folder: tempfile::TempDir) -> Self {
        let store = store::open(&url, options).await.expect("a new store opens");
        Self { kind, url, store, at: None, _folder: folder }
    }

    /// A second way to the same database.
    pub(crate) async fn again(&self) -> Arc<dyn Store> {
        store::open(&self.url, OPTIONS).await.expect("a store opens twice")
    }

    /// The checkpoint `effects` further on.
    pub(crate) fn next(&self, effects: usize) -> Checkpoint {
        let position = self.at.map_or(0, |at| at.position) + effects as u64;
        Checkpoint { journal: u128::MAX - 7, epoch: 1, position, hash: u32::MAX - position as u32 }
    }

    pub(crate) fn batch(&self, effects: Vec<Effects>) -> Arc<Batch> {
        Arc::new(Batch { from: self.at, to: self.next(effects.len()), effects })
    }

    pub(crate) async fn try_commit(&mut self, effects: Vec<Effects>) -> Result<Committed, StoreError> {
        let batch = self.batch(effects);
        let committed = self.store.commit(batch.clone()).await?;
        assert_eq!(committed.to, batch.to.position);
        self.at = Some(batch.to);
        Ok(committed)
    }

    pub(crate) async fn commit(&mut self, effects: Vec<Effects>) -> Committed {
        self.try_commit(effects).await.expect("a good batch is stored")
    }

    /// All frames of a device, by pages of `limit`.
    pub(crate) async fn frames_by(&self, device: DeviceCode, limit: usize) -> Vec<FrameRow> {
        let (from, to) = (Wall(i64::MIN), Wall::MAX);
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let query = FrameQuery { device, from, to, after, limit };
            let page = self.store.frames(query).await.expect("frames are read");
            assert!(page.len() <= limit);
            after = page.last().map(FrameCursor::of);
            let is_last = page.len() < limit;
            all.extend(page);
            if is_last {
                return all;
            }
        }
    }

    pub(crate) async fn frames(&self, device: DeviceCode) -> Vec<FrameRow> {
        self.frames_by(device, PAGE_ROWS).await
    }
}

/// To the millisecond, as everything is stored.
pub(crate) fn now() -> Wall {
    Clock::default().wall()
}
