//! One scanner or filling gun of a site: which of its scans are new, and how old they are.

use crate::core::books::Now;
use crate::core::telemetry::offset::{LATE_MS, Offset};
use crate::core::telemetry::order::{Order, Verdict};
use crate::model::fill::GOOD_MS;
use crate::model::frame::FrameKey;
use crate::model::ids::SiteCode;
use crate::model::time::{Elapsed, Wall};

/// Scanners send when somebody scans, not at intervals: this stands in for a keep-alive when a new generation is told.
const KEEP_ALIVE_MS: i64 = 60_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Scanner {
    pub site: SiteCode,
    pub name: Box<str>,
    pub(crate) order: Order,
    pub(crate) offset: Offset,
    /// Since when its clock has been where it is now, against ours, and where that was.
    pub(crate) steady: Option<Steady>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steady {
    pub(crate) since: Elapsed,
    pub(crate) least_ms: i64,
}

/// How long ago something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    pub ms: i64,
    /// Otherwise nobody knows; it may be any time ago.
    pub is_certain: bool,
}

impl Scanner {
    pub fn new(site: SiteCode, name: Box<str>) -> Self {
        Self { site, name, order: Order::default(), offset: Offset::default(), steady: None }
    }

    /// `drained`: the broker keeps nothing back for us.
    pub fn take(&mut self, key: FrameKey, claimed: Option<Wall>, now: Now, drained: bool) -> (Verdict, Age) {
        let verdict = self.order.take(key, claimed, now.elapsed, KEEP_ALIVE_MS);
        let age = match verdict {
            Verdict::Repeat => Age { ms: 0, is_certain: false },
            Verdict::Newer { .. } => self.age_of_newer(claimed, now, drained),
            Verdict::Late | Verdict::VeryLate => {
                let ms = self.offset.lateness_of_late_ms(claimed, now.wall, now.elapsed);
                Age { ms, is_certain: self.is_certain(claimed, now, drained) }
            }
        };
        (verdict, age)
    }

    fn age_of_newer(&mut self, claimed: Option<Wall>, now: Now, drained: bool) -> Age {
        let ms = self.offset.lateness_ms(claimed, now.wall, now.elapsed, drained);
        self.steady = self.offset.least_ms().map(|least_ms| match self.steady {
            Some(steady) if steady.least_ms.abs_diff(least_ms) <= LATE_MS.unsigned_abs() => steady,
            _ => Steady { since: now.elapsed, least_ms },
        });
        Age { ms, is_certain: self.is_certain(claimed, now, drained) }
    }

    /// A gun that was cut off sends all at once what it asked long ago, and that alone would look like a clock that is
    /// slow. So a clock other than ours is believed once it has been where it is for as long as an answer is good.
    fn is_certain(&self, claimed: Option<Wall>, now: Now, drained: bool) -> bool {
        let Some(claimed) = claimed else { return drained };
        let agrees = (now.wall - claimed).abs() <= GOOD_MS;
        agrees || self.steady.is_some_and(|steady| now.elapsed - steady.since >= GOOD_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_790_000_000_000;

    /// Steps: (received at, claimed at, drained, age or `None` where it isn't known), in s.
    fn check(steps: &[(i64, Option<i64>, bool, Option<i64>)]) {
        let mut scanner = Scanner::new(SiteCode::parse("6401-0001").unwrap(), "gun-1".into());
        for (seq, (now_s, claimed_s, drained, age_s)) in (1..).zip(steps) {
            let now = Now { elapsed: Elapsed(now_s * 1_000), wall: Wall(T0 + now_s * 1_000) };
            let claimed = claimed_s.map(|s| Wall(T0 + s * 1_000));
            let (_, age) = scanner.take(FrameKey { boot: 1, seq }, claimed, now, *drained);
            let got = age.is_certain.then_some(age.ms / 1_000);
            assert_eq!(got, *age_s, "{now_s} s of {steps:?}");
        }
    }

    #[test]
    fn a_gun_that_agrees_with_us_is_known_at_once() {
        check(&[(100, Some(99), true, Some(0)), (101, Some(100), true, Some(0)), (130, Some(101), true, Some(28))]);
    }

    #[test]
    fn a_wrong_clock_alone_makes_nobody_old_once_it_is_known() {
        check(&[
            (100, Some(-3_500), true, None),
            (105, Some(-3_495), true, None),
            (111, Some(-3_489), true, Some(0)),
            (131, Some(-3_489), true, Some(20)),
        ]);
        check(&[(100, Some(4_000), true, None), (120, Some(4_020), true, Some(0))]);
    }

    #[test]
    fn a_backlog_flushed_by_an_unknown_gun_is_of_unknown_age() {
        check(&[
            (1_000, Some(0), true, None),
            (1_001, Some(300), true, None),
            (1_002, Some(600), true, None),
            (1_011, Some(900), true, None),
            (1_012, Some(1_011), true, Some(0)),
        ]);
        // Nor does it help to send slowly.
        let slowly: Vec<_> = (0..8).map(|n| (1_000 + 2 * n, Some(6 * n), true, None)).collect();
        check(&slowly);
    }

    #[test]
    fn a_backlog_of_a_known_gun_is_as_old_as_it_is() {
        check(&[
            (100, Some(100), true, Some(0)),
            (1_000, Some(400), true, Some(600)),
            (1_001, Some(1_001), true, Some(0)),
        ]);
        check(&[(100, Some(100), true, Some(0)), (1_000, Some(400), false, Some(600))]);
    }

    #[test]
    fn what_has_no_time_is_as_old_as_the_broker_may_have_kept_it() {
        check(&[(100, None, true, Some(0)), (101, None, false, None)]);
    }

    #[test]
    fn a_clock_that_is_set_back_is_learnt_anew() {
        check(&[
            (100, Some(100), true, Some(0)),
            (200, Some(200), true, Some(0)),
            (201, Some(-400), true, None),
            (212, Some(-389), true, Some(0)),
        ]);
    }
}
