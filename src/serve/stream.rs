//! Streams that work only when they are asked for more: a slow client costs its place in the stream, not a queue.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, ReusableBoxFuture};
use tonic::Status;

/// Where the messages of a stream come from. An error or `None` ends it.
pub(super) trait Source: Send + 'static {
    type Item: Send;

    fn next(&mut self) -> impl Future<Output = Option<Result<Self::Item, Status>>> + Send;
}

type Step<S> = (S, Option<Result<<S as Source>::Item, Status>>);

/// A source as a gRPC stream, which ends itself when the service stops, and when the client takes nothing for `stall`.
pub(super) struct Pulled<S: Source> {
    /// `None` once the stream has ended.
    step: Option<ReusableBoxFuture<'static, Step<S>>>,
    pace: Arc<Mutex<Pace>>,
    stop: CancellationToken,
}

/// What the client did last. `slot` is given back as soon as it is taken for gone.
#[derive(Debug)]
struct Pace {
    /// When the last message was handed over; `None` while the client waits for one.
    given: Option<Instant>,
    slot: Option<OwnedSemaphorePermit>,
}

impl<S: Source> Pulled<S> {
    pub(super) fn new(source: S, slot: OwnedSemaphorePermit, stall: Duration, stop: CancellationToken) -> Self {
        let pace = Arc::new(Mutex::new(Pace { given: Some(Instant::now()), slot: Some(slot) }));
        tokio::spawn(watch_pace(Arc::downgrade(&pace), stall));
        Self { step: Some(ReusableBoxFuture::new(step(source, stop.clone()))), pace, stop }
    }
}

async fn step<S: Source>(mut source: S, stop: CancellationToken) -> Step<S> {
    let item = tokio::select! {
        biased;
        () = stop.cancelled() => Some(Err(Status::unavailable("the service is shutting down: go on with the last cursor or token"))),
        item = source.next() => item,
    };
    (source, item)
}

async fn watch_pace(pace: std::sync::Weak<Mutex<Pace>>, stall: Duration) {
    loop {
        tokio::time::sleep(stall / 4).await;
        let Some(pace) = pace.upgrade() else { return };
        let mut pace = lock(&pace);
        if pace.given.is_some_and(|given| given.elapsed() >= stall) {
            pace.slot = None;
            metrics::counter!("vigil_streams_dropped_total", "reason" => "stalled").increment(1);
            tracing::info!(stall_s = stall.as_secs(), "a stream was dropped: its client took nothing");
            return;
        }
    }
}

fn lock(pace: &Mutex<Pace>) -> MutexGuard<'_, Pace> {
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Source> Stream for Pulled<S> {
    type Item = Result<S::Item, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(future) = &mut this.step else { return Poll::Ready(None) };
        {
            let mut pace = lock(&this.pace);
            if pace.slot.is_none() {
                this.step = None;
                return Poll::Ready(Some(Err(Status::aborted(
                    "the stream was dropped because nothing was taken from it for too long: go on with the last cursor or token",
                ))));
            }
            pace.given = None;
        }
        let (source, item) = ready!(future.poll(cx));
        match item {
            Some(Ok(item)) => {
                future.set(step(source, this.stop.clone()));
                lock(&this.pace).given = Some(Instant::now());
                Poll::Ready(Some(Ok(item)))
            }
            ended => {
                this.step = None;
                lock(&this.pace).slot = None;
                Poll::Ready(ended)
            }
        }
    }
}
