//! Events by seq, of alerts and of incidents, each in a feed of its own: the latest from memory, older ones from the log. Nobody is ever told of a gap by silence.

pub mod events;
mod log;
pub mod outbox;
mod ring;
pub mod sieve;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

pub use self::log::{EventLog, LogError, LogFuture};
use self::ring::Ring;
use crate::limits;
use crate::model::alert::{AlertEvent, Cursor};
use crate::model::time::Wall;
use crate::pages::{Board, Gap, Page, Told};

/// How far the core has judged, and how the rest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judged {
    /// Position in the inbox; `None`: nothing yet.
    pub position: Option<u64>,
    /// Up to when everything taken has been judged.
    pub wall: Wall,
    pub link: LinkState,
    /// The store has not taken anything for this long although there is something to take.
    pub store_stalled_ms: i64,
}

/// The way between the devices and us, as watchers are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    #[default]
    Unknown,
    Up,
    Down,
    /// The broker is back and what it kept is being worked off.
    Draining,
}

/// Why events can't be read from a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the cursor is of epoch {asked}, and this is epoch {now}")]
    OtherEpoch { asked: u32, now: u32 },
    #[error("the cursor {asked} lies in the future: the last event is {now}")]
    Ahead { asked: Cursor, now: Cursor },
    #[error("events after {asked} are no longer kept")]
    TooOld { asked: Cursor },
    #[error("events after {asked} can't be read now: {why}")]
    Unavailable { asked: Cursor, why: String },
}

/// Readers ask for what comes after the seq they have; nothing is queued for any of them.
pub struct Feed<E = AlertEvent> {
    ring: RwLock<Ring<E>>,
    log: Arc<dyn EventLog<E>>,
    board: Arc<dyn Page<E>>,
    head: watch::Sender<Cursor>,
    judged: watch::Sender<Judged>,
}

impl<E: Told> std::fmt::Debug for Feed<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Feed {
    /// Begins behind the last event that `board` knows; older ones are in `log`.
    pub fn new(board: Arc<Board>, log: Arc<dyn EventLog>) -> Self {
        Self::after(board, log, Vec::new())
    }
}

impl<E: Told> Feed<E> {
    /// The same, with those of `recent`, in order, that lead up to it in memory already.
    pub fn after(board: Arc<dyn Page<E>>, log: Arc<dyn EventLog<E>>, recent: Vec<E>) -> Self {
        let at = board.cursor();
        Self {
            ring: RwLock::new(Ring::leading_to(at, recent, limits::FEED_RING)),
            log,
            board,
            head: watch::Sender::new(at),
            judged: watch::Sender::new(Judged::default()),
        }
    }

    /// Takes the next events, with the board, and wakes whoever waits for them. Waits for nobody but readers that copy
    /// a few pointers. Events that are known already are passed over.
    ///
    /// Ring, then board, then `judged`: so a cursor that the board names can always be read from, and a position that
    /// counts as judged is on the board.
    pub fn publish(&self, events: &[E], judged: Judged) -> Result<(), Gap> {
        if let Some(last) = events.last() {
            self.ring.write().unwrap_or_else(PoisonError::into_inner).push(events)?;
            self.board.apply(events)?;
            let last = last.cursor();
            self.head.send_if_modified(|head| last > std::mem::replace(head, last.max(*head)));
        }
        self.judged(judged);
        Ok(())
    }

    /// To be told at least every second, also while there is nothing to judge: watchers take old news of it for death.
    pub fn judged(&self, judged: Judged) {
        self.judged.send_replace(judged);
    }

    pub fn head(&self) -> Cursor {
        *self.head.borrow()
    }

    /// Changes when there are new events.
    pub fn heads(&self) -> watch::Receiver<Cursor> {
        self.head.subscribe()
    }

    pub fn judged_now(&self) -> Judged {
        *self.judged.borrow()
    }

    /// Returns when the input at `position` has been judged and is on the board.
    pub async fn reached(&self, position: u64) {
        let mut judged = self.judged.subscribe();
        // The sender lives in `self`, so waiting can't fail before `self` ends.
        let _ = judged.wait_for(|j| j.position.is_some_and(|p| p >= position)).await;
    }

    /// At most `limit` events after `after`, without a gap; empty if there are none yet.
    pub async fn read(&self, after: Cursor, limit: usize) -> Result<Vec<Arc<E>>, ReadError> {
        let from_ring = self.ring.read().unwrap_or_else(PoisonError::into_inner).after(after, limit)?;
        match from_ring {
            Some(events) => Ok(events),
            None => self.read_log(after, limit).await,
        }
    }

    /// The same of an epoch that is over; empty if there is nothing more of it.
    pub async fn read_past(&self, after: Cursor, limit: usize) -> Result<Vec<Arc<E>>, ReadError> {
        let events = self.log.after(after, limit).await.map_err(|error| match error {
            LogError::TooOld => ReadError::TooOld { asked: after },
            LogError::Unavailable(why) => ReadError::Unavailable { asked: after, why },
        })?;
        Ok(events.into_iter().map(Arc::new).collect())
    }

    async fn read_log(&self, after: Cursor, limit: usize) -> Result<Vec<Arc<E>>, ReadError> {
        let events = self.log.after(after, limit).await.map_err(|error| match error {
            LogError::TooOld => ReadError::TooOld { asked: after },
            LogError::Unavailable(why) => ReadError::Unavailable { asked: after, why },
        })?;
        if events.first().map(Told::cursor).is_some_and(|first| first.epoch == after.epoch && first.seq > after.seq + 1)
        {
            return Err(ReadError::TooOld { asked: after });
        }
        // The ring says that there are later ones, so an empty answer means a log that lags behind.
        let gapless = (1..).zip(&events).all(|(n, e)| e.cursor() == Cursor { seq: after.seq + n, ..after });
        if events.is_empty() || !gapless || events.len() > limit {
            let why = format!("the log gave {} events that don't follow on each other", events.len());
            return Err(ReadError::Unavailable { asked: after, why });
        }
        Ok(events.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{MemoryLog, event, lift};
    use super::*;
    use crate::model::alert::EventKind;

    fn feed(log: MemoryLog) -> Feed {
        Feed::new(Arc::new(Board::default()), Arc::new(log))
    }

    fn at(epoch: u32, seq: u64) -> Cursor {
        Cursor { epoch, seq }
    }

    /// Publishes events 1 to `n` in uneven pieces.
    fn fill(feed: &Feed, n: u64) -> Vec<AlertEvent> {
        let events: Vec<_> = (1..=n).map(|seq| event(seq, lift(seq % 50), EventKind::Opened)).collect();
        for piece in events.chunks(777) {
            feed.publish(piece, Judged::default()).unwrap();
        }
        events
    }

    #[tokio::test]
    async fn reading_on_gives_every_seq_once_across_ring_and_log() {
        let log = MemoryLog::default();
        let feed = feed(log.clone());
        let n = limits::FEED_RING as u64 + 5_000;
        log.extend(fill(&feed, n));
        for (start, step) in [(0, 256), (4_990, 7), (n - 3, 256)] {
            let mut cursor = at(1, start);
            while cursor != feed.head() {
                let events = feed.read(cursor, step).await.unwrap();
                assert!(!events.is_empty() && events.len() <= step);
                for event in events {
                    assert_eq!(event.cursor(), at(1, cursor.seq + 1));
                    cursor = event.cursor();
                }
            }
        }
        assert!(log.reads() > 0);
    }

    #[tokio::test]
    async fn what_cannot_be_read_says_why() {
        let log = MemoryLog::default();
        let feed = feed(log.clone());
        let n = limits::FEED_RING as u64 + 10;
        let events = fill(&feed, n);
        let check = async |cursor: Cursor, want: ReadError| assert_eq!(feed.read(cursor, 5).await, Err(want));
        check(at(2, 0), ReadError::OtherEpoch { asked: 2, now: 1 }).await;
        check(at(1, n + 1), ReadError::Ahead { asked: at(1, n + 1), now: at(1, n) }).await;
        log.extend(events[4..].to_vec());
        check(at(1, 3), ReadError::TooOld { asked: at(1, 3) }).await;
        assert_eq!(feed.read(at(1, 4), 5).await.unwrap().len(), 5);
        log.go_away();
        check(at(1, 4), ReadError::Unavailable { asked: at(1, 4), why: "away".into() }).await;
        assert_eq!(feed.read(at(1, n), 5).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_log_with_a_hole_is_not_believed() {
        let log = MemoryLog::default();
        let feed = feed(log.clone());
        let mut events = fill(&feed, limits::FEED_RING as u64 + 10);
        events.remove(2);
        log.extend(events);
        assert!(matches!(feed.read(at(1, 0), 8).await, Err(ReadError::Unavailable { .. })));
    }

    #[test]
    fn a_gap_is_refused_and_a_new_epoch_begins_afresh() {
        let feed = feed(MemoryLog::default());
        fill(&feed, 3);
        let hole = feed.publish(&[event(5, lift(1), EventKind::Opened)], Judged::default());
        assert_eq!(hole, Err(Gap { had: at(1, 3), got: at(1, 5) }));
        let next = AlertEvent { epoch: 2, ..event(1, lift(1), EventKind::Opened) };
        feed.publish(&[next], Judged::default()).unwrap();
        assert_eq!(feed.head(), at(2, 1));
    }
}
