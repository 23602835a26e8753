//! The answers to fill requests that are still good, and which cylinders they reserve.

use rpds::RedBlackTreeMapSync;

use crate::limits;
use crate::model::fill::{GOOD_MS, Verdict};
use crate::model::frame::FrameKey;
use crate::model::time::{Elapsed, Wall};

/// Copies share all that they have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Fills {
    /// By what asked for them.
    given: RedBlackTreeMapSync<Asked, Given>,
    /// In the order of their giving, which is that of their end.
    queue: RedBlackTreeMapSync<u64, Asked>,
    /// The place in the queue of the next one.
    next: u64,
    /// By cylinder: who may fill it. There is an answer that says so in `given`.
    reserved: RedBlackTreeMapSync<u32, Reserved>,
}

/// A request: the same one again is a repeat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The scanner that asked.
    pub by: u32,
    pub how: How,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    Scan {
        generation: u32,
        key: FrameKey,
    },
    /// By the request id of a call.
    Call(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub cylinder: u32,
    pub verdict: Verdict,
    pub until: Elapsed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    pub by: u32,
    pub until: Elapsed,
}

impl Default for Fills {
    fn default() -> Self {
        Self {
            given: RedBlackTreeMapSync::new_sync(),
            queue: RedBlackTreeMapSync::new_sync(),
            next: 0,
            reserved: RedBlackTreeMapSync::new_sync(),
        }
    }
}

impl Fills {
    /// Whether somebody else than `by` may fill the cylinder at present.
    pub fn is_reserved(&self, cylinder: u32, by: u32, now: Elapsed) -> bool {
        self.reserved.get(&cylinder).is_some_and(|it| it.by != by && now < it.until)
    }

    pub fn has_room(&mut self, now: Elapsed) -> bool {
        self.forget(now);
        self.given.size() < limits::VERDICTS
    }

    /// Remembers an answer. One that allows reserves the cylinder.
    pub fn give(&mut self, asked: Asked, given: Given) {
        if given.verdict.allows() {
            self.reserved.insert_mut(given.cylinder, Reserved { by: asked.by, until: given.until });
        }
        self.put(asked, given);
    }

    /// The answer that the same request got, if it still holds.
    pub fn find(&self, asked: &Asked, now: Elapsed, wall: Wall) -> Option<&Given> {
        let given = self.given.get(asked)?;
        // By both clocks: ours may have been set since, and while we were down nobody saw by how much.
        let is_good = now < given.until && (given.verdict.issued_at()..given.verdict.expires_at).contains(&wall);
        let holds = !given.verdict.allows()
            || self.reserved.get(&given.cylinder).is_some_and(|it| it.by == asked.by && now < it.until);
        (is_good && holds).then_some(given)
    }

    /// The cylinder was filled, or something else ended what was allowed.
    pub fn release(&mut self, cylinder: u32) {
        self.reserved.remove_mut(&cylinder);
    }

    fn forget(&mut self, now: Elapsed) {
        while let Some((place, asked)) = self.queue.first() {
            let (place, asked) = (*place, asked.clone());
            let until = self.given.get(&asked).map(|given| (given.cylinder, given.until));
            if until.is_some_and(|(_, until)| now < until) {
                return;
            }
            self.queue.remove_mut(&place);
            self.given.remove_mut(&asked);
            if let Some((cylinder, _)) = until
                && self.reserved.get(&cylinder).is_some_and(|it| it.until <= now)
            {
                self.reserved.remove_mut(&cylinder);
            }
        }
    }

    fn put(&mut self, asked: Asked, given: Given) {
        self.queue.insert_mut(self.next, asked.clone());
        self.next += 1;
        self.given.insert_mut(asked, given);
    }

    /// In the order of their giving, each with whether it reserves its cylinder: as a snapshot holds them.
    pub fn iter(&self) -> impl Iterator<Item = (&Asked, &Given, bool)> {
        self.queue.values().filter_map(|asked| {
            let given = self.given.get(asked)?;
            let own = Reserved { by: asked.by, until: given.until };
            let reserves = given.verdict.allows() && self.reserved.get(&given.cylinder) == Some(&own);
            Some((asked, given, reserves))
        })
    }

    /// Puts back what a snapshot held, in the same order.
    pub fn restore(&mut self, asked: Asked, given: Given, reserves: bool) {
        if reserves {
            self.reserved.insert_mut(given.cylinder, Reserved { by: asked.by, until: given.until });
        }
        self.put(asked, given);
    }

    pub fn until(now: Elapsed) -> Elapsed {
        now + GOOD_MS
    }
}
