//! The real journal on real files, in memory where the system has a place for them, and what the end of the machine does
//! to them. There is no trait for files under `journal/local`: its promises rest on what it does to a directory, and a
//! simulated directory would prove them for itself only. What is not synced is played on the files between two starts.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tempfile::TempDir;
use vigil::journal::local::{LocalJournal, Options};
use vigil::journal::{Identity, Journal as _, JournalError};

use crate::dice::Dice;
use crate::faults::{Canary, Fault, Faults};

const HEADER_BYTES: u64 = 72;
const SYNC_POINT_BYTES: u64 = 20;
/// What a disk writes as one.
const PAGE_BYTES: u64 = 512;
const IN_MEMORY: &str = "/dev/shm";

/// One journal's directory. Clones are the same.
#[derive(Clone)]
pub(crate) struct Files(Arc<Mutex<State>>);

struct State {
    dir: TempDir,
    options: Options,
    /// The segment being written, and how many of its bytes are durable.
    first: u64,
    durable_bytes: u64,
    synced_to: u64,
    /// Where a write that failed came to.
    written_to: Option<u64>,
    /// First positions of segments that stand aside, beside those that still have their name.
    aside: Vec<u64>,
    /// The process ended as it had begun the segment, and before the directory was synced.
    unnamed: bool,
}

impl Files {
    pub(crate) fn new(identity: Identity, segment_bytes: u64) -> Self {
        let place =
            Some(Path::new(IN_MEMORY)).filter(|dir| dir.is_dir()).map_or_else(std::env::temp_dir, Path::to_owned);
        let dir = tempfile::Builder::new().prefix("vigil-sim-").tempdir_in(place).expect("a temporary folder");
        let options = Options { identity_if_new: identity, segment_bytes, check_all: true };
        let state = State {
            dir,
            options,
            first: 0,
            durable_bytes: 0,
            synced_to: 0,
            written_to: None,
            aside: Vec::new(),
            unnamed: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.state().dir.path().to_owned()
    }

    /// Opening makes everything durable that it finds, but for the sync point that it adds.
    pub(crate) fn open(&self) -> Result<LocalJournal, JournalError> {
        let mut state = self.state();
        let journal = LocalJournal::open(state.dir.path(), &state.options)?.journal;
        (state.first, state.synced_to, state.unnamed) = (newest(&journal), journal.next(), false);
        state.durable_bytes = state.bytes().saturating_sub(SYNC_POINT_BYTES).max(HEADER_BYTES);
        Ok(journal)
    }

    /// Looks at what an operation has made durable. Returns whether it has begun a segment.
    pub(crate) fn note(&self, journal: &LocalJournal, has_synced: bool) -> bool {
        let mut state = self.state();
        let first = newest(journal);
        let has_begun = first != state.first;
        if has_begun {
            // What came before is whole; of this one the header is there.
            (state.first, state.durable_bytes, state.synced_to) = (first, HEADER_BYTES, first);
        }
        if has_synced && journal.next() > state.synced_to {
            // The sync point was written after the sync, and waits for the next one.
            (state.durable_bytes, state.synced_to) = (state.bytes() - SYNC_POINT_BYTES, journal.next());
        }
        has_begun
    }

    pub(crate) fn note_unnamed(&self) {
        self.state().unnamed = true;
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        self.state().unnamed
    }

    /// Keeps segments that are about to be removed, should their removal not last.
    pub(crate) fn set_aside(&self, firsts: Vec<u64>) {
        let mut state = self.state();
        for first in &firsts {
            fs::hard_link(state.file(*first, "segment"), state.file(*first, "aside")).expect("it is there");
        }
        state.aside = firsts;
    }

    /// Whether any have been removed, those before `first`; the others aren't needed aside.
    pub(crate) fn have_gone(&self, first: u64) -> bool {
        let mut state = self.state();
        let kept = state.aside.partition_point(|aside| *aside < first);
        for first in state.aside.split_off(kept) {
            fs::remove_file(state.file(first, "aside")).expect("it is there");
        }
        !state.aside.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes()
    }

    /// The last write got so far, and no further. Readers of the process that hears of it still see all of it, which is
    /// more than they are ever told of.
    pub(crate) fn cut_at_end(&self, bytes: u64) {
        self.state().written_to = Some(bytes);
    }

    /// What the end of the machine leaves. `kind` says how much of what was not synced got onto the disk.
    pub(crate) fn crash(&self, kind: Fault, dice: &mut Dice, faults: &mut Faults) {
        let mut state = self.state();
        if let Some(bytes) = state.written_to.take() {
            state.cut(bytes);
        }
        state.bring_back(dice, faults);
        if faults.draw(dice, Fault::SegmentUnfinished, 80) {
            let rest = vec![0x5a; dice.below(HEADER_BYTES) as usize];
            fs::write(state.file(state.first + 1, "new"), rest).expect("it can be written");
        }
        if kind == Fault::CrashOfProcess {
            return;
        }
        if state.unnamed && state.first > 0 {
            fs::remove_file(state.newest()).expect("it is there");
            faults.count(Fault::SegmentLost);
            return;
        }
        let unsynced = state.bytes() - state.durable_bytes;
        let kept = if kind == Fault::CrashOfMachine { 0 } else { dice.below(unsynced + 1) };
        if unsynced > 0 && kept < SYNC_POINT_BYTES {
            faults.count(Fault::SyncPointLost);
        }
        let end = state.durable_bytes + kept;
        state.cut(end);
        if kind == Fault::TornTail {
            state.lose_pages(end, dice, faults);
        }
        if faults.has(Canary::DurablePageLost) && state.durable_bytes > HEADER_BYTES {
            state.overwrite(HEADER_BYTES, state.durable_bytes.min(HEADER_BYTES + PAGE_BYTES), 0);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }
}

fn newest(journal: &LocalJournal) -> u64 {
    journal.segments().last().map_or(0, |segment| segment.first)
}

impl State {
    fn file(&self, first: u64, extension: &str) -> PathBuf {
        self.dir.path().join(format!("{first:020}.{extension}"))
    }

    fn newest(&self) -> PathBuf {
        self.file(self.first, "segment")
    }

    /// The oldest were removed first, so that it is the newest that come back, or were never removed.
    fn bring_back(&mut self, dice: &mut Dice, faults: &mut Faults) {
        let aside = std::mem::take(&mut self.aside);
        let lost = dice.below(aside.len() as u64 + 1) as usize;
        for (n, first) in aside.iter().enumerate() {
            let file = self.file(*first, "aside");
            let done = if n < lost { fs::remove_file(file) } else { fs::rename(file, self.file(*first, "segment")) };
            done.expect("it is there");
            faults.drawn[Fault::RemovalUndone as usize] += u64::from(n >= lost);
        }
    }

    fn bytes(&self) -> u64 {
        fs::metadata(self.newest()).expect("the segment being written is there").len()
    }

    fn cut(&self, bytes: u64) {
        let file = OpenOptions::new().write(true).open(self.newest()).expect("it is there");
        file.set_len(bytes).expect("it can be cut");
    }

    /// The file has its length, and pages of it were never written.
    fn lose_pages(&self, end: u64, dice: &mut Dice, faults: &mut Faults) {
        let mut from = self.durable_bytes;
        while from < end {
            let to = (from / PAGE_BYTES + 1) * PAGE_BYTES;
            if dice.chance(300) {
                faults.count(Fault::PageLost);
                self.overwrite(from, to.min(end), *dice.pick(&[0, 0, 0xff, 0x5a]));
            }
            from = to;
        }
    }

    fn overwrite(&self, from: u64, to: u64, with: u8) {
        let file = OpenOptions::new().write(true).open(self.newest()).expect("it is there");
        file.write_all_at(&vec![with; (to - from) as usize], from).expect("it can be written");
    }
}
