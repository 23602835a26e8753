//! One watcher's way through the feed: what passes its filter, and how far it has looked.

use std::sync::Arc;

use crate::model::alert::{AlertEvent, Cursor, EventKind};
use crate::pages::Filter;

#[derive(Debug)]
pub struct Sieve {
    filter: Filter,
    /// Empty: all.
    kinds: Vec<EventKind>,
    /// All events up to here have been looked at.
    scanned: Cursor,
    /// The seq that passed before.
    previous: u64,
    /// The piece being looked at.
    piece: std::vec::IntoIter<Arc<AlertEvent>>,
}

impl Sieve {
    pub fn new(after: Cursor, filter: Filter, kinds: Vec<EventKind>) -> Self {
        Self { filter, kinds, scanned: after, previous: after.seq, piece: Vec::new().into_iter() }
    }

    /// How far it has looked: where to read on once nothing more passes, and what a heartbeat names.
    pub fn scanned(&self) -> Cursor {
        self.scanned
    }

    /// Takes the events that follow on what it has looked at.
    pub fn fill(&mut self, piece: Vec<Arc<AlertEvent>>) {
        self.piece = piece.into_iter();
    }

    /// The next event that passes, and the seq of the one that passed before it.
    pub fn next_passing(&mut self) -> Option<(Arc<AlertEvent>, u64)> {
        let Self { piece, scanned, kinds, filter, .. } = self;
        let event = piece.find(|event| {
            *scanned = event.cursor();
            (kinds.is_empty() || kinds.contains(&event.kind)) && filter.passes(&event.alert)
        })?;
        let previous = std::mem::replace(&mut self.previous, event.seq);
        Some((event, previous))
    }
}
