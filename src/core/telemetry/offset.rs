//! How far a device's clock is from ours, and so how late its frames are.

use crate::model::time::{Elapsed, Wall};

/// A claimed time further ahead or behind than these shows in history as the time received.
pub const AHEAD_MAX_MS: i64 = 5 * 60_000;
pub const BEHIND_MAX_MS: i64 = 7 * 24 * 3_600_000;

/// More than this behind is late.
pub const LATE_MS: i64 = 5_000;
/// A fall of the claimed time by more than this between successive frames is a clock that was set.
const STEP_BACK_MS: i64 = 5_000;

/// The least difference is taken over this many buckets of sending: ten minutes.
const BUCKETS: usize = 5;
const BUCKET_MS: i64 = 2 * 60_000;

/// The least (received − claimed) of recent frames: transport takes time, so the least is nearest to the clocks' difference.
/// Received means in elapsed time, which begins anywhere and never leaps: only what a difference has grown by counts, and
/// a correction of our own clock makes nobody late.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offset {
    /// The least difference of each bucket between elapsed and claimed time, the newest first.
    pub(crate) least_ms: [Least; BUCKETS],
    /// When the newest bucket began.
    pub(crate) began: Elapsed,
    /// What the last newer frame claimed.
    pub(crate) claimed: Option<Wall>,
}

/// A difference, or none, in the room of one: no two times are that far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Least(i64);

impl Least {
    const NONE: Self = Self(i64::MIN);

    pub(crate) fn get(self) -> Option<i64> {
        (self != Self::NONE).then_some(self.0)
    }
}

impl Default for Least {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Option<i64>> for Least {
    fn from(ms: Option<i64>) -> Self {
        ms.map_or(Self::NONE, Self)
    }
}

impl Offset {
    /// The least difference between elapsed and claimed time, if any is known.
    pub fn least_ms(&self) -> Option<i64> {
        self.least_ms.iter().filter_map(|least| least.get()).min()
    }

    /// How late a newer frame is, in ms. `drained`: the broker keeps nothing back for us, so its age is its own doing.
    pub fn lateness_ms(&mut self, claimed: Option<Wall>, received: Wall, now: Elapsed, drained: bool) -> i64 {
        let Some(claimed) = claimed else { return 0 };
        if self.claimed.is_some_and(|before| before - claimed > STEP_BACK_MS) {
            *self = Self::default();
        }
        self.claimed = Some(claimed);
        if drained {
            self.note(difference_ms(now, claimed), now);
        }
        self.late_by(claimed, received, now)
    }

    /// The same for a frame that isn't newer: it teaches nothing about the clock.
    pub fn lateness_of_late_ms(&self, claimed: Option<Wall>, received: Wall, now: Elapsed) -> i64 {
        claimed.map_or(0, |claimed| self.late_by(claimed, received, now))
    }

    fn late_by(&self, claimed: Wall, received: Wall, now: Elapsed) -> i64 {
        let behind_ms = received - claimed;
        match self.least_ms() {
            Some(offset_ms) => difference_ms(now, claimed).saturating_sub(offset_ms).max(0),
            None if (LATE_MS..=BEHIND_MAX_MS).contains(&behind_ms) => behind_ms,
            None => 0,
        }
    }

    fn note(&mut self, difference_ms: i64, now: Elapsed) {
        if self.least_ms[0] != Least::NONE && now - self.began >= BUCKET_MS {
            self.least_ms.rotate_right(1);
            self.least_ms[0] = Least::NONE;
        }
        let newest = &mut self.least_ms[0];
        if *newest == Least::NONE {
            self.began = now;
        }
        *newest = Least(newest.get().map_or(difference_ms, |least| least.min(difference_ms)));
    }
}

fn difference_ms(now: Elapsed, claimed: Wall) -> i64 {
    now.0.saturating_sub(claimed.0)
}

/// Whether a claimed time can't be right.
pub fn is_wrong(claimed: Wall, received: Wall) -> bool {
    claimed - received > AHEAD_MAX_MS || received - claimed > BEHIND_MAX_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_S: i64 = 3_600;

    /// Steps: (claimed in s, received in s, drained, expected lateness in s).
    fn check(steps: &[(i64, i64, bool, i64)]) {
        let mut offset = Offset::default();
        for &(claimed, received, drained, late) in steps {
            let got = offset.lateness_ms(
                Some(Wall(claimed * 1_000)),
                Wall(received * 1_000),
                Elapsed(received * 1_000),
                drained,
            );
            assert_eq!(got, late * 1_000, "received at {received} s, in {steps:?}");
        }
    }

    #[test]
    fn a_wrong_clock_alone_makes_nobody_late() {
        check(&[
            (1_000, 1_000 + 3 * HOUR_S, true, 0),
            (1_010, 1_010 + 3 * HOUR_S, true, 0),
            (1_020, 1_032 + 3 * HOUR_S, true, 12),
        ]);
    }

    #[test]
    fn our_own_clock_being_set_makes_nobody_late_and_nobody_early() {
        for jump_ms in [-7_200_000, -20_000, 20_000, 90_000_000] {
            let mut offset = Offset::default();
            let mut lateness_ms = |claimed: i64, received_at: i64, jump_ms: i64| {
                let received = Wall(1_790_000_000_000 + received_at + jump_ms);
                let claimed = Wall(1_790_000_000_000 + claimed);
                offset.lateness_ms(Some(claimed), received, Elapsed(received_at), true)
            };
            assert_eq!(lateness_ms(1_000, 1_200, 0), 0);
            assert_eq!(lateness_ms(5_000, 5_300, jump_ms), 100);
            assert_eq!(lateness_ms(6_000, 26_200, jump_ms), 20_000, "late is late");
        }
    }

    #[test]
    fn an_unknown_clock_in_a_backlog_is_late_as_it_says() {
        check(&[
            (1_000, 1_060, false, 60),
            (1_050, 1_061, false, 11),
            (1_061, 1_061, true, 0),
            (1_060, 1_062, true, 2),
        ]);
        check(&[(0, 8 * 24 * HOUR_S, false, 0)]);
    }

    #[test]
    fn a_clock_that_is_set_back_starts_afresh() {
        check(&[(10_000, 10_000, true, 0), (9_000, 10_010, true, 0), (9_010, 10_030, true, 10)]);
    }

    #[test]
    fn a_clock_that_drifts_is_followed_within_ten_minutes_of_sending() {
        let mut steps = vec![(0, 0, true, 0)];
        // From then on the clock is 4 s slower: late by it for ten minutes of sending, then that is its offset.
        steps.extend((1..=9).map(|n| (n * 60, n * 60 + 4, true, 4)));
        steps.push((700, 704, true, 0));
        check(&steps);
    }

    #[test]
    fn a_correction_of_our_own_clock_makes_nobody_late() {
        let mut offset = Offset::default();
        let mut late_s = |at_s: i64, wrong_s: i64, claimed_s: i64| {
            let (received, now) = (Wall((at_s + wrong_s) * 1_000), Elapsed(at_s * 1_000));
            offset.lateness_ms(Some(Wall(claimed_s * 1_000)), received, now, true) / 1_000
        };
        let late = [late_s(0, 0, 0), late_s(10, 2 * HOUR_S, 10), late_s(20, -HOUR_S, 20), late_s(42, -HOUR_S, 30)];
        assert_eq!(late, [0, 0, 0, 12]);
    }

    #[test]
    fn the_offset_outlives_silence() {
        check(&[(0, 100, true, 0), (50 * HOUR_S, 50 * HOUR_S + 160, true, 60)]);
    }
}
