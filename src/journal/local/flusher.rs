//! Brings what was written and not synced to the disk little by little, on a thread of its own.
//!
//! The outbox is synced only when it closes a segment and before a snapshot. The system keeps what was written in
//! memory for half a minute, so that sync would have a whole segment to write, and for some tenths of a second nothing
//! would be judged.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use crate::limits::JOURNAL_FLUSH_BYTES;

#[derive(Debug)]
pub(super) struct Flusher {
    /// To the thread, which ends with it. `None`: there was nothing to do yet, or there can be no thread.
    files: Option<SyncSender<PathBuf>>,
    /// Ends the attempts to start one.
    begun: bool,
    flush: fn(&Path),
    unflushed_bytes: u64,
}

impl Flusher {
    pub(super) fn new() -> Self {
        Self::with(flush)
    }

    fn with(flush: fn(&Path)) -> Self {
        Self { files: None, begun: false, flush, unflushed_bytes: 0 }
    }

    /// So many bytes more were written to `file`. Never waits.
    pub(super) fn wrote(&mut self, bytes: usize, file: impl FnOnce() -> PathBuf) {
        self.unflushed_bytes += bytes as u64;
        if self.unflushed_bytes < JOURNAL_FLUSH_BYTES {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.files = begin(self.flush);
        }
        let Some(files) = &self.files else { return };
        match files.try_send(file()) {
            // What is there is flushed with the file that waits already, or at the next attempt.
            Err(TrySendError::Full(_)) => {}
            Ok(()) | Err(TrySendError::Disconnected(_)) => self.unflushed_bytes = 0,
        }
    }

    pub(super) fn synced(&mut self) {
        self.unflushed_bytes = 0;
    }
}

fn begin(flush: fn(&Path)) -> Option<SyncSender<PathBuf>> {
    let (files, waiting) = sync_channel::<PathBuf>(1);
    let thread = std::thread::Builder::new().name("flusher".into());
    let work = move || waiting.iter().for_each(|file| flush(&file));
    // Without a thread, syncing takes as long as it does.
    thread.spawn(work).ok().map(|_| files)
}

/// A handle of its own: the journal's one keeps whatever error there is, and its next sync finds it.
fn flush(file: &Path) {
    if let Ok(file) = File::open(file) {
        let _seen_by_the_journal = file.sync_data();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;

    static FLUSHED: OnceLock<Sender<PathBuf>> = OnceLock::new();

    fn note(file: &Path) {
        FLUSHED.get().unwrap().send(file.to_owned()).unwrap();
    }

    #[test]
    fn a_file_is_flushed_whenever_so_much_was_written_and_not_synced() {
        let (sender, flushed) = channel();
        FLUSHED.set(sender).unwrap();
        let mut flusher = Flusher::with(note);
        let not_enough = JOURNAL_FLUSH_BYTES as usize - 1;
        flusher.wrote(not_enough, || unreachable!("it is less"));
        flusher.synced();
        flusher.wrote(not_enough, || unreachable!("what was synced doesn't count"));
        for name in ["one", "two", "three"] {
            flusher.wrote(JOURNAL_FLUSH_BYTES as usize, || name.into());
            assert_eq!(flushed.recv_timeout(Duration::from_secs(10)), Ok(name.into()));
        }
    }
}
