//! The stream behind `WatchIncidents`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use super::convert;
use super::watch::status;
use crate::feed::Feed;
use crate::limits;
use crate::model::alert::Cursor;
use crate::model::incident::IncidentEvent;
use crate::pages::IncidentFilter;
use crate::proto::v1::WatchIncidentsResponse;
use crate::proto::v1::watch_incidents_response::Message;
use crate::serve::stream::Source;

const LISTER: &str = "ListIncidents";

/// Reads by seq from where it stands; events are never queued for it.
pub(super) struct WatchIncidents {
    feed: Arc<Feed<IncidentEvent>>,
    heads: watch::Receiver<Cursor>,
    filter: IncidentFilter,
    /// All events up to here have been looked at.
    scanned: Cursor,
    /// The seq that passed before.
    previous: u64,
    piece: std::vec::IntoIter<Arc<IncidentEvent>>,
    heartbeat: Duration,
    beat_at: Instant,
}

impl WatchIncidents {
    /// Begins after `cursor`, or with the next event to happen. Fails if it can't be read from there.
    pub(super) async fn begin(
        feed: Arc<Feed<IncidentEvent>>,
        cursor: Option<Cursor>,
        filter: IncidentFilter,
        heartbeat: Duration,
    ) -> Result<Self, Status> {
        let after = cursor.unwrap_or_else(|| feed.head());
        let heads = feed.heads();
        let piece = feed.read(after, limits::FEED_BATCH).await.map_err(|error| status(&error, LISTER))?.into_iter();
        Ok(Self { heads, filter, scanned: after, previous: after.seq, piece, heartbeat, beat_at: Instant::now(), feed })
    }

    /// The next event that passes, and the seq of the one that passed before it.
    fn next_passing(&mut self) -> Option<(Arc<IncidentEvent>, u64)> {
        let Self { piece, scanned, filter, .. } = self;
        let event = piece.find(|event| {
            *scanned = event.cursor();
            filter.passes(&event.incident)
        })?;
        let previous = std::mem::replace(&mut self.previous, event.entry.seq);
        Some((event, previous))
    }
}

impl Source for WatchIncidents {
    type Item = WatchIncidentsResponse;

    async fn next(&mut self) -> Option<Result<WatchIncidentsResponse, Status>> {
        loop {
            let now = Instant::now();
            if now >= self.beat_at {
                self.beat_at = now + self.heartbeat;
                let heartbeat = convert::heartbeat(self.scanned, self.feed.judged_now());
                return Some(Ok(message(Message::Heartbeat(heartbeat))));
            }
            if let Some((event, previous)) = self.next_passing() {
                return Some(Ok(message(Message::Event(convert::incident_event(&event, previous)))));
            }
            self.heads.borrow_and_update();
            match self.feed.read(self.scanned, limits::FEED_BATCH).await {
                Err(error) => return Some(Err(status(&error, LISTER))),
                Ok(events) if events.is_empty() => tokio::select! {
                    _ = self.heads.changed() => {}
                    () = tokio::time::sleep_until(self.beat_at) => {}
                },
                Ok(events) => self.piece = events.into_iter(),
            }
            // A long stretch in which nothing passes mustn't keep others from running.
            tokio::task::consume_budget().await;
        }
    }
}

fn message(message: Message) -> WatchIncidentsResponse {
    WatchIncidentsResponse { message: Some(message) }
}
