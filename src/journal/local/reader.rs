use std::fs::File;
use std::io;
use std::sync::Arc;

use super::super::{Entry, JournalError, JournalReader};
use super::scan::Scan;
use super::shared::{Shared, View};

pub(super) struct LocalReader {
    shared: Arc<Shared>,
    /// Where the last read ended, so that the next one goes on without searching.
    scan: Option<Scan>,
}

/// What may still be read.
struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    fn take(&mut self, entry: &Entry) {
        self.records -= 1;
        self.bytes = self.bytes.saturating_sub(entry.payload.len());
    }
}

impl LocalReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, scan: None }
    }

    fn read_from(&mut self, mut pos: u64, mut budget: Budget, out: &mut Vec<Entry>) -> Result<(), JournalError> {
        while !budget.is_spent() {
            let (first, released, view) = {
                let state = self.shared.state();
                (state.first(), state.released, state.view(pos))
            };
            let Some(view) = view else { return Err(JournalError::Trimmed { wanted: pos, first }) };
            if pos >= released {
                return Ok(());
            }
            if self.stand_at(pos, &view)? {
                pos = self.read_segment(&view, view.next.min(released), &mut budget, out)?;
            }
        }
        Ok(())
    }

    /// Makes `scan` stand at `pos`, which lies in the viewed segment; `false`: it was trimmed away just now.
    fn stand_at(&mut self, pos: u64, view: &View) -> Result<bool, JournalError> {
        let file = self.shared.segment_file(view.header.first);
        match self.scan.take() {
            Some(scan) if scan.place().pos == pos => {
                if *scan.header() == view.header {
                    self.scan = Some(scan);
                    return Ok(true);
                }
                if scan.place().hash != view.header.hash_before {
                    self.scan = Some(scan);
                    let what = "it does not continue the segment before it".into();
                    return Err(JournalError::Damaged { file, offset: 0, what });
                }
            }
            // A short way ahead: no need to begin anew.
            Some(mut scan) if *scan.header() == view.header && (view.nearest.pos..pos).contains(&scan.place().pos) => {
                scan.skip_to(pos, view.bytes, &file)?;
                self.scan = Some(scan);
                return Ok(true);
            }
            Some(_) | None => {}
        }
        let opened = match File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.first() > pos => return Ok(false),
            opened => opened.map_err(JournalError::io("open", &file))?,
        };
        let mut scan = Scan::new(opened, view.header, view.nearest);
        scan.skip_to(pos, view.bytes, &file)?;
        self.scan = Some(scan);
        Ok(true)
    }

    /// Reads on in one segment, at most up to position `upto`, and returns the position reached.
    fn read_segment(
        &mut self,
        view: &View,
        upto: u64,
        budget: &mut Budget,
        out: &mut Vec<Entry>,
    ) -> Result<u64, JournalError> {
        let scan = self.scan.as_mut().expect("the caller has made it stand there");
        let file = self.shared.segment_file(view.header.first);
        while scan.place().pos < upto && !budget.is_spent() {
            if let Some(entry) = scan.record(view.bytes, &file)? {
                budget.take(&entry);
                out.push(entry);
            }
        }
        Ok(scan.place().pos)
    }
}

impl JournalReader for LocalReader {
    fn read(
        &mut self,
        from: u64,
        max_records: usize,
        max_bytes: usize,
        out: &mut Vec<Entry>,
    ) -> Result<(), JournalError> {
        out.clear();
        let budget = Budget { records: max_records, bytes: max_bytes.max(1) };
        let result = self.read_from(from, budget, out);
        // What was read before a failure is good. The next read goes on there and meets the failure again.
        if out.is_empty() { result } else { Ok(()) }
    }

    fn seek_mark(&mut self, mark: u64) -> Option<u64> {
        let state = self.shared.state();
        state.segments.iter().rev().find(|segment| segment.header.mark <= mark).map(|segment| segment.header.first)
    }

    fn first(&self) -> u64 {
        self.shared.state().first()
    }

    fn next(&self) -> u64 {
        self.shared.state().released
    }
}
