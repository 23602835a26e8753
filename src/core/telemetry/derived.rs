//! Keys for frames of feeds that count nothing (`docs/adr/0024-source-profiles.md`).
//!
//! Such a frame's `seq` is made of the time it was observed, and of how many of that moment came before it; what it is
//! known by again is a hash. Counters of terminals never get so high, so the two can't be taken for each other.

use super::order::{Boot, Order};
use crate::limits;
use crate::model::frame::FrameKey;
use crate::model::time::Wall;

/// Above it, a `seq` is derived.
const FIRST: u64 = 1 << 62;
/// Bits that count the frames of one ms.
const WITHIN: u32 = 14;
const WITHIN_MAX: u64 = (1 << WITHIN) - 1;

pub fn is_derived(key: FrameKey) -> bool {
    key.boot == 0 && key.seq >= FIRST
}

/// What sorts the frames of a message; 1970 where there is no time.
pub fn provisional(at: Option<Wall>) -> FrameKey {
    FrameKey { boot: 0, seq: first_of(at.unwrap_or(Wall(0))) }
}

fn first_of(at: Wall) -> u64 {
    // 48 bits hold the last moment there is.
    FIRST | (at.ms().clamp(0, Wall::LAST.ms()) as u64) << WITHIN
}

fn moment_of(seq: u64) -> u64 {
    seq >> WITHIN
}

fn is_memory(boot: &Boot) -> bool {
    is_derived(FrameKey { boot: boot.boot, seq: boot.seq })
}

impl Order {
    /// Gives a frame its key; `None`: it was given one before, and is a repeat. To be taken by that key at once.
    ///
    /// The last `limits::DERIVED_KEYS` are remembered, in the place of earlier boots, which such a device doesn't have.
    pub fn derive(&mut self, at: Wall, id: u64) -> Option<FrameKey> {
        if self.earlier.iter().any(|known| is_memory(known) && known.seen == id) {
            return None;
        }
        let first = first_of(at);
        let newest = self.newest.as_ref().map(|newest| newest.key).filter(|key| is_derived(*key)).map(|key| key.seq);
        let known = self.earlier.iter().filter(|known| is_memory(known)).map(|known| known.seq);
        let of_moment = known.chain(newest).filter(|seq| moment_of(*seq) == moment_of(first)).max();
        let seq = match of_moment {
            Some(last) if last & WITHIN_MAX == WITHIN_MAX => return None,
            Some(last) => last + 1,
            None => first,
        };
        let place = self.earlier.iter().position(|known| !is_memory(known) || known.seq < seq);
        let place = place.unwrap_or(self.earlier.len());
        if place < limits::DERIVED_KEYS {
            self.earlier.insert(place, Boot { boot: 0, seq, seen: id });
            self.earlier.truncate(limits::DERIVED_KEYS);
            return Some(FrameKey { boot: 0, seq });
        }
        // Too old to be remembered: whether it came before is for the store to tell, by this.
        Some(FrameKey { boot: 0, seq: first | (id & WITHIN_MAX) })
    }

    /// Whether a derived key was given to a frame lately.
    pub(super) fn has_derived(earlier: &[Boot], key: FrameKey) -> bool {
        earlier.iter().any(|known| is_memory(known) && known.seq == key.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Verdict;
    use super::*;
    use crate::model::time::Elapsed;

    const NEWER: Option<Verdict> = Some(Verdict::Newer { new_generation: false });
    const LATE: Option<Verdict> = Some(Verdict::Late);
    const RESET: Option<Verdict> = Some(Verdict::Newer { new_generation: true });

    fn take(order: &mut Order, at_s: i64, id: u64, now_s: i64) -> Option<Verdict> {
        let at = Wall(at_s * 1_000);
        let key = order.derive(at, id)?;
        Some(order.take(key, Some(at), Elapsed(now_s * 1_000), 60_000))
    }

    /// Steps: (observed in s, what it is known by, received in s, what is expected; `None` is a repeat).
    fn check(steps: &[(i64, u64, i64, Option<Verdict>)]) -> Order {
        let mut order = Order::default();
        for &(at_s, id, now_s, expected) in steps {
            assert_eq!(take(&mut order, at_s, id, now_s), expected, "{id} at {now_s} s of {steps:?}");
        }
        order
    }

    #[test]
    fn what_was_observed_at_once_counts_as_it_came() {
        let order =
            check(&[(9, 1, 10, NEWER), (9, 2, 10, NEWER), (9, 1, 10, None), (9, 2, 11, None), (9, 3, 11, NEWER)]);
        assert_eq!(order.newest(), Some(FrameKey { boot: 0, seq: FIRST | 9_000 << WITHIN | 2 }));
    }

    #[test]
    fn what_was_observed_before_is_late_and_known_again() {
        check(&[(60, 1, 60, NEWER), (30, 2, 61, LATE), (45, 3, 62, LATE), (30, 2, 63, None), (45, 3, 63, None)]);
    }

    #[test]
    fn what_is_older_than_all_that_is_remembered_is_kept_apart() {
        let mut order = Order::default();
        for n in 0..limits::DERIVED_KEYS as u64 {
            assert_eq!(take(&mut order, 100 + n as i64, n, 200), NEWER);
        }
        assert_eq!(take(&mut order, 99, 99, 200), Some(Verdict::VeryLate));
        assert_eq!(take(&mut order, 99, 99, 200), Some(Verdict::VeryLate), "with the same key: the store knows it");
        assert_eq!(take(&mut order, 100, 0, 200), None);
        assert_eq!(take(&mut order, 140, 140, 200), NEWER);
        assert_eq!(order.earlier.len(), limits::DERIVED_KEYS);
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_given_up_after_a_while() {
        let mut steps = vec![(4_000_000_000, 1, 0, NEWER)];
        steps.extend((1..10).map(|n| (1_000 + 60 * n, 10 + n as u64, 60 * n, LATE)));
        steps.extend([(1_600, 30, 600, RESET), (1_600, 30, 601, None), (1_660, 31, 660, NEWER)]);
        check(&steps);
    }

    #[test]
    fn a_terminal_that_counts_may_follow_and_be_followed() {
        let mut order = check(&[(60, 1, 60, NEWER), (61, 2, 61, NEWER)]);
        let counted = |order: &mut Order, boot, seq, s: i64| {
            order.take(FrameKey { boot, seq }, Some(Wall(s * 1_000)), Elapsed(s * 1_000), 60_000)
        };
        assert_eq!(counted(&mut order, 1, 1, 70), Verdict::Newer { new_generation: false });
        assert_eq!(counted(&mut order, 0, 5, 71), Verdict::VeryLate, "of its own terminal's earlier boot, perhaps");
        assert_eq!(take(&mut order, 72, 3, 72), LATE);
        assert_eq!(take(&mut order, 78, 4, 78), LATE);
        assert_eq!(take(&mut order, 83, 5, 83), RESET, "three of them, all claimed later than the newest");
    }
}
