//! How much of the time we could hear the devices at all. Silence counts in heard time: it stands still while we are blind.

use crate::model::record::Link;
use crate::model::time::Elapsed;

/// Markers are sent every 5 s; when none has come back for this long we don't know what we miss.
pub const MARKER_OVERDUE_MS: i64 = 15_000;

/// Heard time in ms: elapsed time less all the time we were blind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Heard(pub i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Down,
    /// Connected; what the broker kept for us is still coming in.
    Draining,
    Open,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    pub(crate) way: Way,
    /// When the present connection began.
    pub(crate) up_at: Elapsed,
    /// Up to here all was heard, but for the blind time.
    pub(crate) heard_to: Elapsed,
    pub(crate) blind_ms: i64,
    /// When the last marker came back, or the service began.
    pub(crate) proven_at: Elapsed,
}

impl Default for Hearing {
    fn default() -> Self {
        Self { way: Way::Down, up_at: Elapsed(0), heard_to: Elapsed(0), blind_ms: 0, proven_at: Elapsed(0) }
    }
}

/// What a link record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    None,
    /// The backlog is in: we know again what we heard.
    Drained,
}

impl Hearing {
    pub fn way(&self) -> Way {
        self.way
    }

    pub fn is_drained(&self) -> bool {
        self.way == Way::Open
    }

    /// The service began: whatever happened since the record before was not heard.
    pub fn start(&mut self, now: Elapsed) {
        self.way = Way::Down;
        self.proven_at = now;
    }

    pub fn take(&mut self, link: Link, now: Elapsed) -> Change {
        match link {
            Link::Down => self.way = Way::Down,
            Link::Up => {
                self.way = Way::Draining;
                self.up_at = now;
            }
            Link::Heard { sent } => return self.marker(sent.min(now), now),
        }
        Change::None
    }

    fn marker(&mut self, sent: Elapsed, now: Elapsed) -> Change {
        match self.way {
            Way::Down => Change::None,
            Way::Draining if sent < self.up_at => Change::None,
            Way::Draining => {
                // All between the last proof and this marker's sending went unheard.
                self.blind_ms += (sent - self.heard_to).max(0);
                self.heard_to = self.heard_to.max(sent);
                self.proven_at = now;
                self.way = Way::Open;
                Change::Drained
            }
            Way::Open => {
                let was_blind = self.is_blind(now);
                self.heard_to = self.heard_to.max(sent);
                self.proven_at = now;
                if was_blind { Change::Drained } else { Change::None }
            }
        }
    }

    /// Heard time as far as it is proven.
    pub fn now(&self) -> Heard {
        Heard(self.heard_to.0 - self.blind_ms)
    }

    /// Heard time of something that arrives now.
    pub fn of_arrival(&self, now: Elapsed) -> Heard {
        match self.way {
            Way::Open => Heard(now.0 - self.blind_ms),
            Way::Down | Way::Draining => self.now(),
        }
    }

    /// When heard time will have come so far, if we are not blind until then.
    pub fn elapsed_at(&self, heard: Heard) -> Elapsed {
        Elapsed(heard.0.saturating_add(self.blind_ms))
    }

    /// From when on we count as blind, if no marker comes back before. Always blind from the moment the link is down.
    pub fn is_blind(&self, now: Elapsed) -> bool {
        self.way != Way::Open || now - self.proven_at >= MARKER_OVERDUE_MS
    }

    /// When a blindness has lasted so long that people should know; in the past if it has.
    pub fn alarm_at(&self) -> Elapsed {
        self.proven_at + MARKER_OVERDUE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Link = Link::Up;
    const DOWN: Link = Link::Down;

    fn heard(sent_s: i64) -> Link {
        Link::Heard { sent: Elapsed(sent_s * 1_000) }
    }

    /// Steps: (at in s, record, heard time after it in s, whether blind after it).
    fn check(steps: &[(i64, Link, i64, bool)]) -> Hearing {
        let mut hearing = Hearing::default();
        hearing.start(Elapsed(0));
        for &(at_s, link, heard_s, blind) in steps {
            let now = Elapsed(at_s * 1_000);
            hearing.take(link, now);
            assert_eq!(
                (hearing.now(), hearing.is_blind(now)),
                (Heard(heard_s * 1_000), blind),
                "at {at_s} s of {steps:?}"
            );
        }
        hearing
    }

    #[test]
    fn time_counts_as_heard_up_to_the_last_marker_that_came_back() {
        check(&[(1, UP, 0, true), (2, heard(1), 0, false), (7, heard(6), 5, false), (12, heard(11), 10, false)]);
    }

    #[test]
    fn a_broken_link_and_its_backlog_are_not_heard_time() {
        let steps = [
            (0, UP, 0, true),
            (1, heard(0), 0, false),
            (10, heard(10), 10, false),
            (13, DOWN, 10, true),
            (100, UP, 10, true),
        ];
        check(&steps);
        // A marker from before the connection proves nothing; the first one sent after it ends the backlog.
        let mut steps = steps.to_vec();
        steps.extend([(101, heard(12), 10, true), (105, heard(100), 10, false), (110, heard(105), 15, false)]);
        let hearing = check(&steps);
        assert_eq!(hearing.of_arrival(Elapsed(112_000)), Heard(22_000));
    }

    #[test]
    fn a_marker_that_stays_away_makes_blind() {
        let hearing = check(&[(0, UP, 0, true), (1, heard(1), 0, false)]);
        assert!(!hearing.is_blind(Elapsed(15_999)));
        assert!(hearing.is_blind(Elapsed(16_000)));
        assert_eq!(hearing.alarm_at(), Elapsed(16_000));
    }
}
