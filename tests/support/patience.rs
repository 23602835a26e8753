//! Waiting for what another process does: it can only be asked for again and again.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer; panics when there is none within `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {limit:?}: {what}");
        pause();
    }
}

/// Between two questions.
pub fn pause() {
    std::thread::sleep(PAUSE);
}

/// Between two questions, where others run on the same thread.
pub async fn pause_async() {
    tokio::time::sleep(PAUSE).await;
}
