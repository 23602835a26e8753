//! Which lift the clock has to look at next. One entry a lift; an entry may be early, never late.

use std::collections::BTreeSet;

use super::lift::Lift;
use super::paged::Paged;
use super::policy::Policy;
use super::telemetry::heard::Heard;
use super::{Core, Effects};
use crate::limits;
use crate::model::time::Elapsed;

/// An entry of silence that is so much too early is put right at the lift's next frame.
const PUT_OFF_MS: i64 = 60_000;

/// Follows from the lifts, but for how early an entry is.
#[derive(Debug, Clone, Default)]
pub struct Timers {
    by_clock: BTreeSet<(Elapsed, u32)>,
    by_silence: BTreeSet<(Heard, u32)>,
    /// The entries above, by lift. Changed far less often than looked at.
    entries: Paged<Entry>,
    /// Lifts that wait for firmer ground.
    waiting: BTreeSet<u32>,
    /// Those of them that have it now: the backlog is in.
    woken: BTreeSet<u32>,
}

/// One lift's entries. The end of time stands for none.
#[derive(Debug, Clone, Copy)]
struct Entry {
    clock: Elapsed,
    silence: Heard,
}

impl Entry {
    const NONE: Self = Self { clock: Elapsed::MAX, silence: Heard(i64::MAX) };
}

impl Timers {
    pub fn first(&self) -> Option<Elapsed> {
        self.by_clock.first().map(|(at, _)| *at)
    }

    pub fn first_silence(&self) -> Option<Heard> {
        self.by_silence.first().map(|(at, _)| *at)
    }

    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// A part of what `settle` reads.
    pub(super) fn touch(&self, ix: u32) -> u64 {
        // A lift that has only been archived has none yet.
        if (ix as usize) < self.entries.len() { self.entries.get(ix).clock.0.unsigned_abs() } else { 0 }
    }

    /// Sees to it that the lift is looked at in time. A later deadline than the entry's needs no change: the entry
    /// comes early and is then put right, which is cheaper than moving it with every frame.
    pub fn settle(&mut self, ix: u32, lift: &Lift, policy: &Policy, drained: bool) {
        while self.entries.len() <= ix as usize {
            self.entries.push(Entry::NONE);
        }
        let entry = *self.entries.get(ix);
        if let Some(due) = lift.next_timer(policy, drained)
            && due < entry.clock
        {
            self.by_clock.remove(&(entry.clock, ix));
            self.by_clock.insert((due, ix));
            self.entries.get_mut(ix).clock = due;
        }
        // A shorter keep-alive, from the archive or a new policy, brings silence forward. Frames put it off, but not each
        // of them; nor is that left to the clock: heard time comes in steps, and many would be looked at in one of them.
        if let Some(due) = lift.next_silence(policy)
            && (due < entry.silence || due.0.saturating_sub(entry.silence.0) >= PUT_OFF_MS)
        {
            self.by_silence.remove(&(entry.silence, ix));
            self.by_silence.insert((due, ix));
            self.entries.get_mut(ix).silence = due;
        }
        if lift.catching_up.is_some() || lift.is_unsettled(policy) {
            self.waiting.insert(ix);
        } else if !self.waiting.is_empty() {
            self.waiting.remove(&ix);
        }
    }

    /// The backlog is in: every waiting lift is looked at.
    pub fn wake_waiting(&mut self) {
        // Those that still wait when they have been looked at are put back then.
        self.woken.append(&mut self.waiting);
    }

    fn pop_clock(&mut self, now: Elapsed) -> Option<(Elapsed, u32)> {
        let entry = *self.by_clock.first().filter(|entry| entry.0 <= now)?;
        self.by_clock.pop_first();
        self.entries.get_mut(entry.1).clock = Elapsed::MAX;
        Some(entry)
    }

    fn pop_silence(&mut self, now: Heard) -> Option<(Heard, u32)> {
        let entry = *self.by_silence.first().filter(|entry| entry.0 <= now)?;
        self.by_silence.pop_first();
        self.entries.get_mut(entry.1).silence = Heard(i64::MAX);
        Some(entry)
    }
}

impl Core {
    /// Fires what is due, in the order of (deadline, lift), a bounded number at a time: the rest is due at the next
    /// record, which a `Tick` brings at once. Early entries don't count, so that a core that was restored from a
    /// snapshot, and has none, fires the same.
    pub(super) fn fire_due(&mut self, out: &mut Effects) {
        let today = self.day();
        for _ in 0..limits::FIRES_PER_RECORD {
            let Some(ix) = self.timers.woken.pop_first() else { break };
            let (mut cx, lifts, _) = self.context(out);
            lifts.get_mut(ix).follow(&mut cx, today);
            lifts.get_mut(ix).drained(&mut cx);
            self.settle(ix);
        }
        for _ in 0..limits::FIRES_PER_RECORD {
            let Some((due, ix)) = self.next_by_clock() else { break };
            let (mut cx, lifts, _) = self.context(out);
            lifts.get_mut(ix).follow(&mut cx, today);
            lifts.get_mut(ix).fire(&mut cx, due);
            self.settle(ix);
        }
        for _ in 0..limits::FIRES_PER_RECORD {
            let Some(ix) = self.next_by_silence() else { break };
            let (mut cx, lifts, _) = self.context(out);
            lifts.get_mut(ix).follow(&mut cx, today);
            lifts.get_mut(ix).fall_silent(&mut cx);
            self.settle(ix);
        }
    }

    fn next_by_clock(&mut self) -> Option<(Elapsed, u32)> {
        let now = self.books.now.elapsed;
        let drained = self.hearing.is_drained();
        loop {
            let (entry, ix) = self.timers.pop_clock(now)?;
            if let Some(due) = self.lifts.get(ix).next_timer(&self.policy, drained).filter(|due| *due <= entry) {
                return Some((due, ix));
            }
            self.settle(ix);
        }
    }

    fn next_by_silence(&mut self) -> Option<u32> {
        let now = self.hearing.now();
        loop {
            let (entry, ix) = self.timers.pop_silence(now)?;
            if self.lifts.get(ix).next_silence(&self.policy).is_some_and(|due| due <= entry) {
                return Some(ix);
            }
            self.settle(ix);
        }
    }

    pub(super) fn settle(&mut self, ix: u32) {
        self.timers.settle(ix, self.lifts.get(ix), &self.policy, self.hearing.is_drained());
    }
}
