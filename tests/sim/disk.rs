//! A journal on a disk that fails when it is told to: in memory, or the real one on files.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use vigil::journal::local::LocalJournal;
use vigil::journal::memory::{Crash, MemoryDisk, MemoryJournal};
use vigil::journal::{Identity, Journal, JournalError, JournalReader, SegmentInfo};
use vigil::model::time::Wall;

use crate::dice::Dice;
use crate::faults::{Fault, Faults};
use crate::files::Files;

/// What the next armed operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing, and it says so.
    Undone,
    /// On files: part of what it should write, in per mille, and it says so.
    Partly(u16),
    /// What it should, but the process dies before it hears of it.
    Done,
}

/// When it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The n-th operation from now on: 0 is the next.
    In(u32),
    /// On files: the one that begins a segment, which is done.
    SegmentBegins,
    /// On files: the one that removes segments, which is done, but nobody knows how durably.
    SegmentsGo,
}

/// One journal's disk. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk {
    medium: Medium,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
enum Medium {
    Memory(MemoryDisk),
    Files(Files),
}

#[derive(Default)]
struct State {
    armed: Option<(When, Failure)>,
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
    pub(crate) fn new(id: u128, segment_bytes: u64, on_files: bool) -> Self {
        let identity = Identity { id, epoch: 1 };
        let medium = if on_files {
            Medium::Files(Files::new(identity, segment_bytes))
        } else {
            Medium::Memory(MemoryDisk::with_segments_of(identity, segment_bytes))
        };
        Self { medium, state: Arc::default() }
    }

    /// Where its files are, if it has any.
    pub(crate) fn dir(&self) -> Option<PathBuf> {
        match &self.medium {
            Medium::Memory(_) => None,
            Medium::Files(files) => Some(files.dir()),
        }
    }

    pub(crate) fn open(&self) -> Result<SimJournal, JournalError> {
        let mut state = self.state();
        (state.failed, state.armed) = (false, None);
        let inner = match &self.medium {
            Medium::Memory(memory) => Inner::Memory(memory.open().0),
            Medium::Files(files) => Inner::Files(Box::new(files.open()?), files.clone()),
        };
        Ok(SimJournal { inner, disk: self.clone() })
    }

    pub(crate) fn arm(&self, when: When, failure: Failure) {
        self.state().armed = Some((when, failure));
    }

    /// Ends the open handle and loses what such a crash loses.
    pub(crate) fn crash(&self, kind: Fault, dice: &mut Dice, faults: &mut Faults) {
        match (&self.medium, kind) {
            (Medium::Files(files), _) => files.crash(kind, dice, faults),
            (Medium::Memory(memory), Fault::CrashOfMachine) => memory.crash(Crash::Machine),
            (Medium::Memory(memory), Fault::TornTail) => memory.crash(Crash::Torn),
            (Medium::Memory(memory), Fault::PartOfTailKept) => memory.crash_keeping(dice.below(6)),
            (Medium::Memory(memory), _) => memory.crash(Crash::Process),
        }
    }

    /// Whether the machine, and not only the process, must have ended.
    pub(crate) fn is_unnamed(&self) -> bool {
        matches!(&self.medium, Medium::Files(files) if files.is_unnamed())
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

enum Inner {
    Memory(MemoryJournal),
    Files(Box<LocalJournal>, Files),
}

pub(crate) struct SimJournal {
    inner: Inner,
    disk: Disk,
}

impl SimJournal {
    fn journal(&self) -> &dyn Journal {
        match &self.inner {
            Inner::Memory(journal) => journal,
            Inner::Files(journal, _) => &**journal,
        }
    }

    fn journal_mut(&mut self) -> &mut dyn Journal {
        match &mut self.inner {
            Inner::Memory(journal) => journal,
            Inner::Files(journal, _) => &mut **journal,
        }
    }

    fn operate<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut dyn Journal) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let failure = self.disk.state().next_failure()?;
        let done = match failure {
            Some(Failure::Undone) => None,
            Some(Failure::Partly(per_mille)) => {
                self.write_partly(per_mille)?;
                None
            }
            Some(Failure::Done) | None => Some(work(self.journal_mut())?),
        };
        let has_begun = match &self.inner {
            // A disk that lies says "sync" as well, and nothing is durable.
            Inner::Files(journal, files) => {
                let has_synced = doing == "sync" && done.is_some() && !self.disk.state().lies;
                files.note(journal, has_synced)
            }
            Inner::Memory(_) => false,
        };
        match done {
            Some(done) if failure.is_none() && !self.ends_unnamed(has_begun) => Ok(done),
            _ => {
                let source = io::Error::other("the simulation wants it to fail");
                Err(JournalError::Io { doing, file: "simulated".into(), source })
            }
        }
    }

    /// Whether the process ends as a segment was begun, before its name was durable.
    fn ends_unnamed(&self, has_begun: bool) -> bool {
        let mut state = self.disk.state();
        let Inner::Files(_, files) = &self.inner else { return false };
        let ends = has_begun && matches!(state.armed, Some((When::SegmentBegins, _)));
        if ends {
            state.failed = true;
            files.note_unnamed();
        }
        ends
    }

    fn write_partly(&mut self, per_mille: u16) -> Result<(), JournalError> {
        if let Inner::Files(journal, files) = &mut self.inner {
            let before = files.bytes();
            journal.release()?;
            let written = files.bytes() - before;
            files.cut_at_end(before + written * u64::from(per_mille) / 1_000);
        }
        Ok(())
    }
}

impl State {
    /// What becomes of the operation that is to begin.
    fn next_failure(&mut self) -> Result<Option<Failure>, JournalError> {
        if self.failed {
            self.used_after_failure += 1;
            return Err(JournalError::Failed { why: "it failed before".into() });
        }
        let failure = match &mut self.armed {
            Some((When::In(0), failure)) => Some(*failure),
            Some((When::In(ops), _)) => {
                *ops -= 1;
                None
            }
            Some((When::SegmentBegins | When::SegmentsGo, _)) | None => None,
        };
        self.failed = failure.is_some();
        Ok(failure)
    }
}

impl Journal for SimJournal {
    fn identity(&self) -> Identity {
        self.journal().identity()
    }

    fn first(&self) -> u64 {
        self.journal().first()
    }

    fn next(&self) -> u64 {
        self.journal().next()
    }

    fn append(&mut self, payload: &[u8]) -> Result<u64, JournalError> {
        if self.disk.state().mute {
            return Ok(self.next());
        }
        let pos = self.operate("write", |journal| journal.append(payload))?;
        let first = self.journal().segments().last().map_or(0, |segment| segment.first);
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
        self.journal().hash()
    }

    fn hash_at(&self, pos: u64) -> Result<Option<u32>, JournalError> {
        self.journal().hash_at(pos)
    }

    fn reader(&self) -> Box<dyn JournalReader> {
        self.journal().reader()
    }

    fn trim(&mut self, before: u64) -> Result<(), JournalError> {
        let doing = "remove a file of";
        let is_armed = matches!(self.disk.state().armed, Some((When::SegmentsGo, _)));
        let Inner::Files(journal, files) = &self.inner else {
            return self.operate(doing, |journal| journal.trim(before));
        };
        if !is_armed {
            return self.operate(doing, |journal| journal.trim(before));
        }
        let (files, firsts) = (files.clone(), journal.segments().iter().map(|segment| segment.first).collect());
        files.set_aside(firsts);
        self.operate(doing, |journal| journal.trim(before))?;
        if files.have_gone(self.first()) {
            self.disk.state().failed = true;
            let source = io::Error::other("the simulation wants it to fail");
            return Err(JournalError::Io { doing, file: "simulated".into(), source });
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.journal().size_bytes()
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        let mut segments = self.journal().segments();
        let closed = segments.len() - 1;
        let state = self.disk.state();
        for segment in &mut segments[..closed] {
            segment.closed_at = state.written_at.get(&segment.first).copied();
        }
        segments
    }

    fn set_mark(&mut self, mark: u64) {
        self.journal_mut().set_mark(mark);
    }

    fn raise_epoch(&mut self, epoch: u32) -> Result<(), JournalError> {
        self.operate("write", |journal| journal.raise_epoch(epoch))
    }
}
