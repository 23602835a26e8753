//! Waiting for what another process will do soon, and keeping a pace.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// How often a condition of another process is looked at: there is nothing to be woken by.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits for what will be true soon; whether it came true within the limit.
pub fn is_soon(limit: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !is_true() {
        if Instant::now() >= deadline {
            return false;
        }
        park_timeout(LOOK_EVERY);
    }
    true
}

/// Returns at `at`: for what happens at a given time, not for what may be awaited.
pub fn until(at: Instant) {
    while let Some(left) = at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        park_timeout(left);
    }
}

/// Between two looks, where others run on the same thread.
pub async fn pause() {
    tokio::time::sleep(LOOK_EVERY).await;
}
