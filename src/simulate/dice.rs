//! Random choices from a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Each device has a stream of its own, so that one device more changes none of the others.
#[derive(Debug, Clone)]
pub(super) struct Dice(ChaCha8Rng);

/// Which part of the fleet a stream of random numbers belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Lift(u32),
    Station(u32),
    ArchivedLift(u32),
    ArchivedCylinder(u32),
}

impl Stream {
    fn number(self) -> u64 {
        let (kind, index) = match self {
            Self::Lift(index) => (0, index),
            Self::Station(index) => (1, index),
            Self::ArchivedLift(index) => (2, index),
            Self::ArchivedCylinder(index) => (3, index),
        };
        kind << 32 | u64::from(index)
    }
}

impl Dice {
    pub(super) fn new(seed: u64, stream: Stream) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream.number());
        Self(random)
    }

    /// 0 to `n` − 1; 0 where `n` is 0.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// From the first to the second, both included.
    pub(super) fn between(&mut self, (least, most): (i64, i64)) -> i64 {
        let span = most.saturating_sub(least).max(0) as u128 + 1;
        least + ((u128::from(self.0.next_u64()) * span) >> 64) as i64
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}
