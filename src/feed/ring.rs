//! The latest events, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ReadError;
use crate::model::alert::{AlertEvent, Cursor};
use crate::pages::Gap;

/// **Invariant:** its events are of one epoch and their seqs have no gap; the last one is `head`'s.
#[derive(Debug)]
pub(super) struct Ring {
    events: VecDeque<Arc<AlertEvent>>,
    capacity: usize,
    head: Cursor,
}

impl Ring {
    pub(super) fn new(head: Cursor, capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity, head }
    }

    pub(super) fn push(&mut self, events: &[AlertEvent]) -> Result<(), Gap> {
        for event in Gap::check(self.head, events)? {
            if event.epoch != self.head.epoch {
                self.events.clear();
            }
            if self.events.len() == self.capacity {
                self.events.pop_front();
            }
            self.head = event.cursor();
            self.events.push_back(Arc::new(event.clone()));
        }
        Ok(())
    }

    /// What follows on `after`; `None` if it begins before the oldest one here.
    pub(super) fn after(&self, after: Cursor, limit: usize) -> Result<Option<Vec<Arc<AlertEvent>>>, ReadError> {
        if after.epoch != self.head.epoch {
            return Err(ReadError::OtherEpoch { asked: after.epoch, now: self.head.epoch });
        }
        let Some(behind) = self.head.seq.checked_sub(after.seq) else {
            return Err(ReadError::Ahead { asked: after, now: self.head });
        };
        let skip = usize::try_from(behind).ok().and_then(|behind| self.events.len().checked_sub(behind));
        Ok(skip.map(|skip| self.events.iter().skip(skip).take(limit).map(Arc::clone).collect()))
    }
}
