//! How late a frame is: measured against the least difference between the terminal's clock and ours that was seen.

/// What a newer frame claimed, and when it came.
#[derive(Debug, Clone, Copy)]
struct Seen {
    claimed_ms: i64,
    came_ms: i64,
    /// The broker kept nothing back for us, so that its age is its own doing.
    is_live: bool,
}

/// A claimed time that falls by more between successive frames is a clock that was set.
const STEP_BACK_MS: i64 = 5_000;
/// Without a measure of the clock, what claims to be so old is believed.
const BEHIND_MS: std::ops::RangeInclusive<i64> = 5_000..=7 * 24 * 3_600_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Lateness(Vec<Seen>);

impl Lateness {
    /// Of a frame that is newer than all before.
    pub(super) fn of_newer(&mut self, claimed_ms: Option<i64>, now_ms: i64, wall_ms: i64, is_live: bool) -> i64 {
        if let Some(claimed_ms) = claimed_ms {
            if self.0.last().is_some_and(|last| last.claimed_ms - claimed_ms > STEP_BACK_MS) {
                self.0.clear();
            }
            self.0.push(Seen { claimed_ms, came_ms: now_ms, is_live });
        }
        self.of_late(claimed_ms, now_ms, wall_ms)
    }

    /// Of any frame: one that isn't newer teaches nothing about the clock.
    pub(super) fn of_late(&self, claimed_ms: Option<i64>, now_ms: i64, wall_ms: i64) -> i64 {
        let Some(claimed_ms) = claimed_ms else { return 0 };
        let live = self.0.iter().filter(|seen| seen.is_live);
        match live.map(|seen| seen.came_ms - seen.claimed_ms).min() {
            Some(offset_ms) => (now_ms - claimed_ms - offset_ms).max(0),
            None if BEHIND_MS.contains(&(wall_ms - claimed_ms)) => wall_ms - claimed_ms,
            None => 0,
        }
    }
}
