//! The outbox, searched for events: what was found once is found again without reading all that lies before it.

use std::collections::BTreeMap;

use crate::journal::{JournalError, JournalReader, codec};
use crate::limits;
use crate::model::alert::{AlertEvent, Cursor};

const READ_BYTES: usize = 8 * 1024 * 1024;

/// **Invariant:** an entry that was read once is read again only for the events in it, however many readers there are and however
/// far behind each of them is, as long as there are at most [`limits::FEED_INDEX`] entries with events.
pub struct Outbox {
    reader: Box<dyn JournalReader>,
    /// Entries with events by the first of these; the order of both is the same. It has no holes between two neighbours, but
    /// where it was thinned out or nobody has read yet.
    index: BTreeMap<Cursor, u64>,
    index_max: usize,
}

impl Outbox {
    pub fn new(reader: Box<dyn JournalReader>) -> Self {
        Self { reader, index: BTreeMap::new(), index_max: limits::FEED_INDEX }
    }

    /// The events of its epoch that follow on `after`; `None`: the outbox no longer has them.
    pub fn after(&mut self, after: Cursor, limit: usize) -> Result<Option<Vec<AlertEvent>>, JournalError> {
        let Some(mut pos) = self.reader.seek_mark(after.seq + 1) else { return Ok(None) };
        self.forget_trimmed();
        let mut events: Vec<AlertEvent> = Vec::new();
        let mut entries = Vec::new();
        while events.len() < limit {
            let last = events.last().map_or(after, AlertEvent::cursor);
            let wanted = Cursor { seq: last.seq + 1, ..last };
            let known = self.index.range(..=wanted).next_back().map(|(_, at)| *at).filter(|at| *at >= pos);
            pos = known.unwrap_or(pos);
            // One that is known to have events is read alone: the next one with any may stand far behind it.
            let count = if known.is_some() { 1 } else { limit - events.len() };
            match self.reader.read(pos, count, READ_BYTES, &mut entries) {
                Err(JournalError::Trimmed { .. }) => return Ok(None),
                other => other?,
            }
            let Some(last) = entries.last() else { break };
            pos = last.pos + 1;
            let mut is_over = false;
            for entry in entries.drain(..) {
                // What can't be read here stops the store's writer too, which says so; the store may still know better.
                let Ok(found) = codec::decode_events(entry.payload) else { return Ok(None) };
                if let Some(first) = found.first() {
                    self.index.insert(first.cursor(), entry.pos);
                    is_over |= first.epoch > after.epoch;
                }
                events.extend(found.into_iter().filter(|event| event.cursor() > after && event.epoch == after.epoch));
            }
            self.thin_out();
            if is_over {
                break;
            }
        }
        events.truncate(limit);
        let follows = events.first().is_none_or(|first| first.seq == after.seq + 1);
        Ok(follows.then_some(events))
    }

    fn forget_trimmed(&mut self) {
        let first = self.reader.first();
        while self.index.first_entry().is_some_and(|entry| *entry.get() < first) {
            self.index.pop_first();
        }
    }

    /// Every second one says well enough where to begin.
    fn thin_out(&mut self) {
        if self.index.len() > self.index_max {
            let mut is_kept = false;
            self.index.retain(|_, _| {
                is_kept = !is_kept;
                is_kept
            });
        }
    }
}

#[cfg(test)]
mod tests;
