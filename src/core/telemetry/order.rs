//! Which frame is newer, late, seen before, or the first of a new terminal (`docs/adr/0002-frame-identity.md`).

use thin_vec::ThinVec;

use super::derived::is_derived;
use crate::model::frame::FrameKey;
use crate::model::time::{Elapsed, Wall};

/// Three ascending lower frames, all claimed later than the newest accepted one, over at least this long …
const RESET_RUN: u32 = 3;
const RESET_SPAN_MS: i64 = 10_000;
/// … or ten, whatever they claim, over at least this many keep-alives, mean a new generation.
const SLOW_RESET_RUN: u32 = 10;
const SLOW_RESET_KEEP_ALIVES: i64 = 3;

/// Boots before the newest one whose frames are still told apart.
pub(crate) const EARLIER_BOOTS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Newer {
        /// The terminal was replaced or reset: it counts afresh.
        new_generation: bool,
    },
    /// Not seen before, older than the newest.
    Late,
    /// Too old to know whether it was seen before.
    VeryLate,
    Repeat,
}

/// What has been seen of a device's frames. Bounded: 256 frames of the newest boot, 64 of each of the four before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    pub(crate) generation: u32,
    pub(crate) newest: Option<Newest>,
    /// Descending by boot.
    pub(crate) earlier: ThinVec<Boot>,
    /// The latest time that an accepted frame of this generation claimed.
    pub(crate) claimed: Option<Wall>,
    /// Boxed: hardly any device has one.
    pub(crate) run: Option<Box<Run>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) key: FrameKey,
    /// Bit n of word w: the frame w × 64 + n before the newest was seen.
    pub(crate) seen: [u64; 4],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot {
    pub(crate) boot: u32,
    pub(crate) seq: u64,
    pub(crate) seen: u64,
}

/// Ascending frames below the newest: perhaps a new terminal that counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) count: u32,
    pub(crate) last: FrameKey,
    /// Frames that are taken already, should there be a new terminal: those of the run, and others that were claimed later
    /// than the newest accepted frame. As in `Order`.
    pub(crate) newest: Newest,
    pub(crate) earlier: ThinVec<Boot>,
    /// The latest time that one of these claimed.
    pub(crate) claimed: Option<Wall>,
    pub(crate) began: Elapsed,
    /// All of them were claimed later than the newest accepted frame.
    pub(crate) all_claimed_later: bool,
}

impl Order {
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The newest frame accepted.
    pub fn newest(&self) -> Option<FrameKey> {
        self.newest.as_ref().map(|newest| newest.key)
    }

    /// Whether frames below the newest keep coming that claim to be later than it, and aren't known yet to be a new
    /// terminal's. An old backlog claims earlier times: that is late, not broken.
    pub fn is_broken(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.count >= 2 && run.all_claimed_later)
    }

    /// The terminal was replaced: whatever comes next begins a new generation. Nothing is begun before something came.
    pub fn replace(&mut self) {
        if self.newest.is_some() {
            *self = Self { generation: self.generation + 1, ..Self::default() };
        }
    }

    /// Takes note of a frame. `claimed` is the time it gave itself, if any.
    pub fn take(&mut self, key: FrameKey, claimed: Option<Wall>, now: Elapsed, keep_alive_ms: i64) -> Verdict {
        let Some(newest) = &mut self.newest else {
            self.accept_first(key, claimed);
            return Verdict::Newer { new_generation: false };
        };
        if key > newest.key {
            newest.advance(&mut self.earlier, key);
            self.claimed = self.claimed.max(claimed);
            self.run = None;
            return Verdict::Newer { new_generation: false };
        }
        let claimed_later = matches!((claimed, self.claimed), (Some(this), Some(newest)) if this > newest);
        let verdict = mark(newest, &mut self.earlier, key);
        let opens = match verdict {
            Verdict::Repeat => claimed_later && self.is_of_another(key, claimed),
            _ => self.run_opens(key, claimed, claimed_later, now, keep_alive_ms),
        };
        if !opens {
            return verdict;
        }
        // Late frames of the terminal before are no part of the one that a known frame tells of.
        let run = self.run.take().filter(|run| verdict != Verdict::Repeat || run.all_claimed_later);
        // What a derived key was given to is known by this alone.
        let given = self.earlier.iter().filter(|known| is_derived(key) && known.seq <= key.seq).cloned().collect();
        *self = Self { generation: self.generation + 1, earlier: given, ..Self::default() };
        self.accept_first(key, claimed);
        if let Some(mut run) = run {
            run.note(key);
            if !is_derived(key) {
                self.earlier = run.earlier;
            }
            (self.newest, self.claimed) = (Some(run.newest), run.claimed.max(claimed));
        }
        Verdict::Newer { new_generation: true }
    }

    /// Whether a known frame that was claimed later than the newest accepted one is of another terminal, and not a repeat
    /// of the one that isn't known yet to be another.
    fn is_of_another(&mut self, key: FrameKey, claimed: Option<Wall>) -> bool {
        let Some(run) = &mut self.run else { return true };
        if !run.knows(key) {
            return true;
        }
        let is_repeat = claimed <= run.claimed;
        if !is_repeat {
            // Replaced once more: nothing of the run is its.
            self.run = None;
        }
        !is_repeat
    }

    fn accept_first(&mut self, key: FrameKey, claimed: Option<Wall>) {
        self.newest = Some(Newest::first(key));
        self.claimed = claimed;
    }

    fn run_opens(
        &mut self,
        key: FrameKey,
        claimed: Option<Wall>,
        later: bool,
        now: Elapsed,
        keep_alive_ms: i64,
    ) -> bool {
        // A frame without a time of its own never opens a generation, and says nothing about one.
        if claimed.is_none() {
            return false;
        }
        match &mut self.run {
            Some(run) if key > run.last => {
                run.count = run.count.saturating_add(1);
                run.all_claimed_later &= later;
                run.last = key;
                run.note(key);
                run.claimed = run.claimed.max(claimed);
            }
            run => {
                // Frames of a new terminal may come out of order: what was taken of it stays known.
                let known = run.take().filter(|run| later && run.all_claimed_later);
                let fresh = Run {
                    count: 1,
                    last: key,
                    newest: Newest::first(key),
                    earlier: ThinVec::new(),
                    claimed,
                    began: now,
                    all_claimed_later: later,
                };
                let mut begun = match known {
                    Some(known) => Run {
                        claimed: known.claimed.max(claimed),
                        newest: known.newest,
                        earlier: known.earlier,
                        ..fresh
                    },
                    None => fresh,
                };
                begun.note(key);
                *run = Some(Box::new(begun));
            }
        }
        let Some(run) = &self.run else { return false };
        let span_ms = now - run.began;
        let of_newest_boot =
            self.newest.as_ref().is_some_and(|newest| newest.key.boot == key.boot && !is_derived(newest.key));
        (run.all_claimed_later && run.count >= RESET_RUN && span_ms >= RESET_SPAN_MS)
            || (!of_newest_boot && run.count >= SLOW_RESET_RUN && span_ms >= SLOW_RESET_KEEP_ALIVES * keep_alive_ms)
    }
}

/// Marks a frame that isn't newer as seen.
fn mark(newest: &mut Newest, earlier: &mut ThinVec<Boot>, key: FrameKey) -> Verdict {
    if is_derived(key) {
        return match () {
            () if key == newest.key => Verdict::Repeat,
            () if Order::has_derived(earlier, key) => Verdict::Late,
            () => Verdict::VeryLate,
        };
    }
    if key.boot == newest.key.boot {
        let back = newest.key.seq - key.seq;
        return match usize::try_from(back / 64).ok().and_then(|word| newest.seen.get_mut(word)) {
            Some(word) => mark_bit(word, back % 64),
            None => Verdict::VeryLate,
        };
    }
    match earlier.iter().position(|b| b.boot <= key.boot) {
        Some(at) if earlier[at].boot == key.boot => {
            let boot = &mut earlier[at];
            if key.seq > boot.seq {
                boot.seen = boot.seen.checked_shl(saturating_u32(key.seq - boot.seq)).unwrap_or(0) | 1;
                boot.seq = key.seq;
                return Verdict::Late;
            }
            let back = boot.seq - key.seq;
            if back < 64 { mark_bit(&mut boot.seen, back) } else { Verdict::VeryLate }
        }
        place => {
            // While there is room, no boot was ever forgotten: this one is new to us.
            let at = place.unwrap_or(earlier.len());
            if at == EARLIER_BOOTS {
                return Verdict::VeryLate;
            }
            earlier.insert(at, Boot { boot: key.boot, seq: key.seq, seen: 1 });
            earlier.truncate(EARLIER_BOOTS);
            Verdict::Late
        }
    }
}

impl Run {
    /// Notes a frame as taken; whether it was noted before.
    fn note(&mut self, key: FrameKey) -> bool {
        if key > self.newest.key {
            self.newest.advance(&mut self.earlier, key);
            return false;
        }
        mark(&mut self.newest, &mut self.earlier, key) == Verdict::Repeat
    }

    fn knows(&mut self, key: FrameKey) -> bool {
        key <= self.newest.key && self.note(key)
    }
}

impl Newest {
    fn first(key: FrameKey) -> Self {
        Self { key, seen: [1, 0, 0, 0] }
    }

    /// Takes a newer frame; a boot that it ends goes to the earlier ones.
    fn advance(&mut self, earlier: &mut ThinVec<Boot>, key: FrameKey) {
        if key.boot == self.key.boot {
            shift(&mut self.seen, key.seq - self.key.seq);
            self.key = key;
        } else {
            earlier.insert(0, Boot { boot: self.key.boot, seq: self.key.seq, seen: self.seen[0] });
            earlier.truncate(EARLIER_BOOTS);
            *self = Self::first(key);
        }
    }
}

fn mark_bit(word: &mut u64, bit: u64) -> Verdict {
    let mask = 1 << bit;
    if *word & mask != 0 {
        return Verdict::Repeat;
    }
    *word |= mask;
    Verdict::Late
}

/// Makes room for `by` newer frames, of which the last one is seen.
fn shift(seen: &mut [u64; 4], by: u64) {
    let (words, bits) = (usize::try_from(by / 64).unwrap_or(usize::MAX), by % 64);
    let old = *seen;
    for (to, word) in seen.iter_mut().enumerate() {
        let low = to.checked_sub(words).map_or(0, |from| old[from] << bits);
        let carry = if bits == 0 {
            0
        } else {
            to.checked_sub(words.saturating_add(1)).map_or(0, |from| old[from] >> (64 - bits))
        };
        *word = low | carry;
    }
    seen[0] |= 1;
}

fn saturating_u32(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const KEEP_ALIVE_MS: i64 = 60_000;
    const NEWER: Verdict = Verdict::Newer { new_generation: false };
    const RESET: Verdict = Verdict::Newer { new_generation: true };

    /// Steps: (boot, seq, claimed in s, received in s, what is expected).
    fn check(steps: &[(u32, u64, Option<i64>, i64, Verdict)]) -> Order {
        let mut order = Order::default();
        for &(boot, seq, claimed_s, now_s, expected) in steps {
            let claimed = claimed_s.map(|s| Wall(s * 1_000));
            let got = order.take(FrameKey { boot, seq }, claimed, Elapsed(now_s * 1_000), KEEP_ALIVE_MS);
            assert_eq!(got, expected, "boot {boot} seq {seq} at {now_s} s of {steps:?}");
        }
        order
    }

    #[test]
    fn a_terminal_that_is_known_to_be_replaced_counts_afresh_at_once() {
        let mut order = check(&[(7, 900, Some(10), 10, NEWER)]);
        order.replace();
        order.replace();
        let key = FrameKey { boot: 1, seq: 1 };
        // Its clock is slow: by itself it would be known after ten frames.
        assert_eq!(order.take(key, Some(Wall(1_000)), Elapsed(20_000), KEEP_ALIVE_MS), NEWER);
        assert_eq!((order.generation(), order.newest()), (1, Some(key)));
        assert_eq!(order.take(key, Some(Wall(1_000)), Elapsed(21_000), KEEP_ALIVE_MS), Verdict::Repeat);
    }

    #[test]
    fn newer_late_repeat() {
        check(&[
            (1, 5, Some(10), 10, NEWER),
            (1, 7, Some(11), 11, NEWER),
            (1, 6, Some(10), 11, Verdict::Late),
            (1, 6, Some(10), 12, Verdict::Repeat),
            (1, 7, Some(11), 12, Verdict::Repeat),
            (2, 1, Some(13), 13, NEWER),
            (1, 8, Some(12), 13, Verdict::Late),
            (1, 8, Some(12), 14, Verdict::Repeat),
            (1, 1, Some(5), 14, Verdict::Late),
            (0, 1, Some(1), 14, Verdict::Late),
            (0, 1, Some(1), 14, Verdict::Repeat),
        ]);
    }

    #[test]
    fn beyond_the_masks_nothing_is_claimed_to_be_known() {
        check(&[
            (1, 1_000, Some(10), 10, NEWER),
            (1, 745, Some(9), 10, Verdict::Late),
            (1, 745, Some(9), 10, Verdict::Repeat),
            (1, 744, Some(9), 10, Verdict::VeryLate),
            (1, 744, Some(9), 10, Verdict::VeryLate),
            (1, 1_300, Some(11), 11, NEWER),
            (1, 1_000, Some(10), 11, Verdict::VeryLate),
        ]);
        check(&[
            (10, 1, Some(10), 10, NEWER),
            (9, 1, Some(9), 10, Verdict::Late),
            (8, 1, Some(9), 10, Verdict::Late),
            (7, 1, Some(9), 10, Verdict::Late),
            (5, 1, Some(9), 10, Verdict::Late),
            (4, 1, Some(9), 10, Verdict::VeryLate),
            (6, 1, Some(9), 10, Verdict::Late),
            (5, 1, Some(9), 10, Verdict::VeryLate),
        ]);
    }

    #[test]
    fn a_known_key_claimed_later_than_the_newest_is_a_new_terminal() {
        let order = check(&[
            (1, 1, Some(10), 10, NEWER),
            (1, 2, Some(20), 20, NEWER),
            (1, 1, Some(10), 21, Verdict::Repeat),
            (1, 1, Some(30), 30, RESET),
            (1, 2, Some(31), 31, NEWER),
            (1, 1, Some(30), 31, Verdict::Repeat),
        ]);
        assert_eq!(order.generation(), 1);
        check(&[(1, 1, None, 10, NEWER), (1, 2, None, 20, NEWER), (1, 1, None, 30, Verdict::Repeat)]);
    }

    #[test]
    fn three_ascending_lower_frames_over_ten_seconds_are_a_new_terminal() {
        let very = Verdict::VeryLate;
        let order = check(&[
            (9, 900, Some(100), 100, NEWER),
            (9, 1, Some(200), 200, very),
            (9, 2, Some(205), 205, very),
            (9, 3, Some(209), 209, very),
            (9, 4, Some(211), 211, RESET),
        ]);
        assert_eq!((order.generation(), order.newest()), (1, Some(FrameKey { boot: 9, seq: 4 })));
        // The frames by which the new terminal was known were taken before it was, and a repeat of one is no news.
        check(&[
            (9, 900, Some(100), 100, NEWER),
            (0, 7, Some(200), 200, Verdict::Late),
            (1, 1, Some(205), 205, Verdict::Late),
            (0, 7, Some(200), 206, Verdict::Repeat),
            (1, 1, Some(205), 207, Verdict::Repeat),
            (1, 3, Some(211), 211, RESET),
            (1, 1, Some(205), 212, Verdict::Repeat),
            (0, 7, Some(200), 212, Verdict::Repeat),
            (1, 2, Some(206), 213, Verdict::Late),
        ]);
        // Also when they come out of order, and some keys were the old terminal's too.
        check(&[
            (0, 1, Some(90), 90, NEWER),
            (1, 9, Some(100), 100, NEWER),
            (0, 2, Some(205), 205, Verdict::Late),
            (0, 1, Some(200), 206, RESET),
            (0, 2, Some(205), 207, Verdict::Repeat),
            (0, 1, Some(200), 208, Verdict::Repeat),
            (0, 3, Some(210), 210, NEWER),
        ]);
        // A live frame in between says that the old terminal is still there.
        check(&[
            (9, 900, Some(100), 100, NEWER),
            (9, 1, Some(200), 200, very),
            (9, 2, Some(205), 205, very),
            (9, 901, Some(206), 206, NEWER),
            (9, 3, Some(211), 211, very),
        ]);
        // A flushed backlog claims earlier times.
        check(&[
            (9, 900, Some(100), 100, NEWER),
            (9, 1, Some(10), 200, very),
            (9, 2, Some(20), 210, very),
            (9, 3, Some(30), 220, very),
        ]);
    }

    /// It would stand for the newest of the new one, whose frames would then be out of order, and judged twice.
    #[test]
    fn a_late_frame_of_the_old_terminal_is_none_of_the_new_one() {
        check(&[
            (0, 20, Some(100), 100, NEWER),
            (0, 13, Some(80), 110, Verdict::Late),
            (0, 1, Some(111), 111, Verdict::Late),
            (0, 2, Some(117), 117, Verdict::Late),
            (0, 3, Some(121), 121, RESET),
            (0, 4, Some(128), 128, NEWER),
            (0, 3, Some(121), 170, Verdict::Repeat),
        ]);
    }

    /// The key is known of a terminal that isn't recognised yet, but no repeat of it: it would be lost.
    #[test]
    fn a_terminal_that_is_replaced_before_it_was_recognised_loses_nothing() {
        check(&[
            (1, 20, Some(100), 100, NEWER),
            (0, 1, Some(200), 200, Verdict::Late),
            (0, 2, Some(220), 220, Verdict::Late),
            (0, 1, Some(200), 225, Verdict::Repeat),
            (0, 1, Some(230), 230, RESET),
            (0, 2, Some(235), 235, NEWER),
            (0, 1, Some(230), 236, Verdict::Repeat),
        ]);
    }

    #[test]
    fn ten_lower_frames_over_three_keep_alives_are_one_whatever_they_claim() {
        let steps = |boot| (0..10).map(move |n| (boot, 1 + n, Some(1), 200 + 20 * n as i64));
        let run = |boot: u32| {
            let mut order = check(&[(9, 900, Some(100), 100, NEWER)]);
            steps(boot)
                .map(|(boot, seq, claimed, now)| {
                    order.take(
                        FrameKey { boot, seq },
                        claimed.map(|s: i64| Wall(s * 1_000)),
                        Elapsed(now * 1_000),
                        KEEP_ALIVE_MS,
                    )
                })
                .last()
        };
        assert_eq!(run(1), Some(RESET));
        assert_eq!(run(9), Some(Verdict::VeryLate), "of the newest boot: an old backlog");
    }

    proptest! {
        /// Against a naive model that remembers everything: nothing is ever judged twice, and what is
        /// called a repeat was seen.
        #[test]
        fn no_frame_is_taken_twice(keys in prop::collection::vec((0u32..6, 1u64..600), 1..400)) {
            let mut order = Order::default();
            let mut seen = BTreeSet::new();
            let mut newest = FrameKey::default();
            for (boot, seq) in keys {
                let key = FrameKey { boot, seq };
                let was_seen = !seen.insert(key);
                match order.take(key, None, Elapsed(0), KEEP_ALIVE_MS) {
                    Verdict::Newer { new_generation } => {
                        prop_assert!(!new_generation && !was_seen && key > newest);
                        newest = key;
                    }
                    Verdict::Late => prop_assert!(!was_seen && key < newest),
                    Verdict::Repeat => prop_assert!(was_seen),
                    Verdict::VeryLate => prop_assert!(key < newest),
                }
                prop_assert_eq!(order.newest(), Some(newest));
                prop_assert!(order.earlier.len() <= EARLIER_BOOTS);
            }
        }
    }
}
