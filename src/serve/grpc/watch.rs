//! The stream behind `WatchAlerts`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{DOMAIN, convert};
use crate::feed::sieve::Sieve;
use crate::feed::{Feed, ReadError};
use crate::limits;
use crate::model::alert::{Cursor, EventKind};
use crate::pages::Filter;
use crate::proto::v1::WatchAlertsResponse;
use crate::proto::v1::watch_alerts_response::Message;
use crate::serve::stream::Source;

const LISTER: &str = "ListAlerts";

/// Reads by seq from where it stands; events are never queued for it.
pub(super) struct Watch {
    feed: Arc<Feed>,
    heads: watch::Receiver<Cursor>,
    sieve: Sieve,
    heartbeat: Duration,
    beat_at: Instant,
}

impl Watch {
    /// Begins after `cursor`, or with the next event to happen. Fails if it can't be read from there.
    pub(super) async fn begin(
        feed: Arc<Feed>,
        cursor: Option<Cursor>,
        filter: Filter,
        kinds: Vec<EventKind>,
        heartbeat: Duration,
    ) -> Result<Self, Status> {
        let after = cursor.unwrap_or_else(|| feed.head());
        let heads = feed.heads();
        let mut sieve = Sieve::new(after, filter, kinds);
        sieve.fill(feed.read(after, limits::FEED_BATCH).await.map_err(|error| status(&error, LISTER))?);
        let beat_at = Instant::now();
        Ok(Self { heads, sieve, heartbeat, beat_at, feed })
    }
}

impl Source for Watch {
    type Item = WatchAlertsResponse;

    async fn next(&mut self) -> Option<Result<WatchAlertsResponse, Status>> {
        loop {
            let now = Instant::now();
            if now >= self.beat_at {
                self.beat_at = now + self.heartbeat;
                return Some(Ok(message(Message::Heartbeat(convert::heartbeat(
                    self.sieve.scanned(),
                    self.feed.judged_now(),
                )))));
            }
            if let Some((event, previous)) = self.sieve.next_passing() {
                return Some(Ok(message(Message::Event(convert::alert_event(&event, previous)))));
            }
            self.heads.borrow_and_update();
            match self.feed.read(self.sieve.scanned(), limits::FEED_BATCH).await {
                Err(error) => return Some(Err(status(&error, LISTER))),
                Ok(events) if events.is_empty() => tokio::select! {
                    _ = self.heads.changed() => {}
                    () = tokio::time::sleep_until(self.beat_at) => {}
                },
                Ok(events) => self.sieve.fill(events),
            }
            // A long stretch in which nothing passes mustn't keep others from running.
            tokio::task::consume_budget().await;
        }
    }
}

fn message(message: Message) -> WatchAlertsResponse {
    WatchAlertsResponse { message: Some(message) }
}

/// Why a stream can't be read, and which call gives a place to begin.
pub(super) fn status(error: &ReadError, lister: &str) -> Status {
    let reason = match error {
        ReadError::OtherEpoch { .. } => "CURSOR_OTHER_EPOCH",
        ReadError::Ahead { .. } => "CURSOR_AHEAD",
        ReadError::TooOld { .. } => "CURSOR_TOO_OLD",
        ReadError::Unavailable { .. } => {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(5)));
            return Status::with_error_details(Code::Unavailable, format!("{error}: try again with it"), details);
        }
    };
    let message = format!("{error}: call {lister} for what is open now, and watch from the cursor that it names");
    Status::with_error_details(Code::OutOfRange, message, ErrorDetails::with_error_info(reason, DOMAIN, []))
}
