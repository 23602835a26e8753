//! How long to wait before the next attempt to connect, or to tell somebody something.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Doubles from `min` to `max`. Each wait is drawn from its upper half, so that the clients of a broker that comes back
/// don't all come at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    random: ChaCha8Rng,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        // Not even a configuration of zero may turn into a busy loop.
        let min = min.max(Duration::from_millis(10));
        Self { min, max: max.max(min), next: min, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    pub(crate) fn next_wait(&mut self) -> Duration {
        let whole = self.next.min(self.max);
        self.next = whole.saturating_mul(2);
        let share = self.random.next_u32();
        whole / 2 + (whole / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// The connection has proven to be good.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000), 7);
        for whole in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.next_wait();
            assert!((ms(whole / 2)..=ms(whole)).contains(&wait), "{wait:?} of {whole} ms");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= ms(100));
    }

    #[test]
    fn zero_is_no_busy_loop_and_seeds_differ() {
        assert!(Backoff::new(Duration::ZERO, Duration::ZERO, 1).next_wait() >= Duration::from_millis(5));
        let first = |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(1), seed).next_wait();
        assert_ne!(first(1), first(2));
    }
}
