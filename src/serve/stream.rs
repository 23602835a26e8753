//! Streams that work only when they are asked for more: a slow client costs its place in the stream, not a queue.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, ReusableBoxFuture};
use tonic::Status;

use crate::observe::{StreamDropped, emit};

/// Where the messages of a stream come from. An error or `None` ends it.
pub(super) trait Source: Send + 'static {
    type Item: Send;

    fn next(&mut self) -> impl Future<Output = Option<Result<Self::Item, Status>>> + Send;
}

type Step<S> = (S, Option<Result<<S as Source>::Item, Status>>);

/// A source as a gRPC stream, which ends itself when the service stops, and when it makes no progress for `stall`:
/// because the client takes nothing, or the source gives nothing.
pub(super) struct Pulled<S: Source> {
    /// `None` once the stream has ended.
    step: Option<ReusableBoxFuture<'static, Step<S>>>,
    pace: Arc<Mutex<Pace>>,
    stop: CancellationToken,
}

/// `slot` is given back as soon as the stream is taken for dead.
#[derive(Debug)]
struct Pace {
    /// When more was last asked for. A source that has nothing to say sends heartbeats, so that a client which takes
    /// what it is sent asks all the time.
    asked: Instant,
    slot: Option<OwnedSemaphorePermit>,
    waker: Option<Waker>,
}

impl<S: Source> Pulled<S> {
    pub(super) fn new(source: S, slot: OwnedSemaphorePermit, stall: Duration, stop: CancellationToken) -> Self {
        let pace = Arc::new(Mutex::new(Pace { asked: Instant::now(), slot: Some(slot), waker: None }));
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
        if pace.asked.elapsed() >= stall {
            pace.slot = None;
            if let Some(waker) = pace.waker.take() {
                waker.wake();
            }
            emit(StreamDropped { after_ms: stall.as_millis().try_into().unwrap_or(u64::MAX) });
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
                    "the stream was dropped because it made no progress for too long: go on with the last cursor or token",
                ))));
            }
            pace.asked = Instant::now();
            pace.waker = Some(cx.waker().clone());
        }
        let (source, item) = ready!(future.poll(cx));
        match item {
            Some(Ok(item)) => {
                future.set(step(source, this.stop.clone()));
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
