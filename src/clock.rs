//! The only place that reads a clock. Everything that decides gets its time passed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use crate::model::time::{Elapsed, Wall};

/// Tells the time in both of the ways that records carry it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// What to add to the machine's own time since boot, so that elapsed time goes on where the inbox left it.
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    pub fn elapsed(&self) -> Elapsed {
        Elapsed(boot_ms() + self.offset_ms.load(Ordering::Acquire))
    }

    /// Asked of the C library, so that a test can set the clock of one process wrong.
    pub fn wall(&self) -> Wall {
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Wall(ms(since)),
            Err(before) => Wall(-ms(before.duration())),
        }
    }

    /// Makes this moment be `now`; clones of this clock follow.
    pub fn set_elapsed(&self, now: Elapsed) {
        self.offset_ms.store(now.0 - boot_ms(), Ordering::Release);
    }
}

/// Milliseconds since the machine booted, time asleep included.
fn boot_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}
