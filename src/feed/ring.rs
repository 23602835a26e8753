//! The latest events, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ReadError;
use crate::model::alert::Cursor;
use crate::pages::{Gap, Told};

/// **Invariant:** its events are of one epoch and their seqs have no gap; the last one is `head`'s.
#[derive(Debug)]
pub(super) struct Ring<E> {
    events: VecDeque<Arc<E>>,
    capacity: usize,
    head: Cursor,
}

impl<E: Told> Ring<E> {
    pub(super) fn new(head: Cursor, capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity, head }
    }

    /// Begins with those of the events before `head` that lead up to it without a gap. They are in order.
    pub(super) fn leading_to(head: Cursor, before: Vec<E>, capacity: usize) -> Self {
        let mut ring = Self::new(head, capacity);
        let mut next = head;
        for event in before.into_iter().rev().skip_while(|event| event.cursor() > head) {
            if event.cursor() != next || ring.events.len() == capacity {
                break;
            }
            next = Cursor { seq: next.seq.saturating_sub(1), ..next };
            ring.events.push_front(Arc::new(event));
        }
        ring
    }

    pub(super) fn push(&mut self, events: &[E]) -> Result<(), Gap> {
        for event in Gap::check(self.head, events)? {
            if event.cursor().epoch != self.head.epoch {
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
    pub(super) fn after(&self, after: Cursor, limit: usize) -> Result<Option<Vec<Arc<E>>>, ReadError> {
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
