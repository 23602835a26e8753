//! A journal on a simulated disk that fails when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use vigil::journal::memory::{Crash, MemoryDisk, MemoryJournal};
use vigil::journal::{Identity, Journal, JournalError, JournalReader, SegmentInfo};
use vigil::model::time::Wall;

/// What the next armed operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing, and it says so.
    Undone,
    /// What it should, but the process dies before it hears of it.
    Done,
}

/// One journal's disk. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk {
    memory: MemoryDisk,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The n-th operation from now on fails: 0 is the next.
    armed: Option<(u32, Failure)>,
    /// Of the handle that is open: a failure is final.
    failed: bool,
    used_after_failure: u32,
    /// The canary: nothing is synced.
    lies: bool,
    /// The canary: nothing is appended.
    mute: bool,
    now: Wall,
    /// When a segment was last written to, by its first position.
    written_at: BTreeMap<u64, Wall>,
}

impl Disk {
    pub(crate) fn new(id: u128, segment_bytes: u64) -> Self {
        let memory = MemoryDisk::with_segments_of(Identity { id, epoch: 1 }, segment_bytes);
        Self { memory, state: Arc::default() }
    }

    pub(crate) fn open(&self) -> SimJournal {
        let mut state = self.state();
        (state.failed, state.armed) = (false, None);
        SimJournal { inner: self.memory.open().0, disk: self.clone() }
    }

    pub(crate) fn arm(&self, in_ops: u32, failure: Failure) {
        self.state().armed = Some((in_ops, failure));
    }

    pub(crate) fn crash(&self, crash: Crash) {
        self.memory.crash(crash);
    }

    pub(crate) fn crash_keeping(&self, records: u64) {
        self.memory.crash_keeping(records);
    }

    pub(crate) fn lie(&self) {
        self.state().lies = true;
    }

    pub(crate) fn mute(&self, mute: bool) {
        self.state().mute = mute;
    }

    pub(crate) fn set_time(&self, now: Wall) {
        self.state().now = now;
    }

    /// How often a journal was written to after it had failed.
    pub(crate) fn used_after_failure(&self) -> u32 {
        self.state().used_after_failure
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

pub(crate) struct SimJournal {
    inner: MemoryJournal,
    disk: Disk,
}

impl SimJournal {
    fn operate<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut MemoryJournal) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let failure = {
            let mut state = self.disk.state();
            if state.failed {
                state.used_after_failure += 1;
                return Err(JournalError::Failed { why: "it failed before".into() });
            }
            let failure = match &mut state.armed {
                Some((0, failure)) => Some(*failure),
                Some((ops, _)) => {
                    *ops -= 1;
                    None
                }
                None => None,
            };
            state.failed = failure.is_some();
            failure
        };
        if failure != Some(Failure::Undone) {
            let done = work(&mut self.inner)?;
            if failure.is_none() {
                return Ok(done);
            }
        }
        let source = io::Error::other("the simulation wants it to fail");
        Err(JournalError::Io { doing, file: "simulated".into(), source })
    }
}

impl Journal for SimJournal {
    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    fn first(&self) -> u64 {
        self.inner.first()
    }

    fn next(&self) -> u64 {
        self.inner.next()
    }

    fn append(&mut self, payload: &[u8]) -> Result<u64, JournalError> {
        if self.disk.state().mute {
            return Ok(self.inner.next());
        }
        let pos = self.operate("write", |journal| journal.append(payload))?;
        let first = self.inner.segments().last().map_or(0, |segment| segment.first);
        let mut state = self.disk.state();
        let now = state.now;
        state.written_at.insert(first, now);
        Ok(pos)
    }

    fn release(&mut self) -> Result<(), JournalError> {
        self.operate("write", |journal| journal.release())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let lies = self.disk.state().lies;
        self.operate("sync", |journal| if lies { journal.release() } else { journal.sync() })
    }

    fn hash(&self) -> u32 {
        self.inner.hash()
    }

    fn hash_at(&self, pos: u64) -> Result<Option<u32>, JournalError> {
        self.inner.hash_at(pos)
    }

    fn reader(&self) -> Box<dyn JournalReader> {
        self.inner.reader()
    }

    fn trim(&mut self, before: u64) -> Result<(), JournalError> {
        self.operate("remove a file of", |journal| journal.trim(before))
    }

    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        let mut segments = self.inner.segments();
        let closed = segments.len() - 1;
        let state = self.disk.state();
        for segment in &mut segments[..closed] {
            segment.closed_at = state.written_at.get(&segment.first).copied();
        }
        segments
    }

    fn set_mark(&mut self, mark: u64) {
        self.inner.set_mark(mark);
    }

    fn raise_epoch(&mut self, epoch: u32) -> Result<(), JournalError> {
        self.operate("write", |journal| journal.raise_epoch(epoch))
    }
}
