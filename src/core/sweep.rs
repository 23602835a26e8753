//! What every subject has to be looked at for, a bounded number at a time: a new policy, a new day.

use super::{Core, Effects};
use crate::limits;
use crate::model::time::{CivilDay, Elapsed, Wall};

/// The civil day in the policy's zone, and when it begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    pub day: CivilDay,
    pub begins: Wall,
    pub ends: Wall,
}

/// How far it has come: lifts first, then cylinders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sweep {
    next: usize,
}

impl Core {
    /// Takes note of the civil day. When it is another one than before, also because the clock was set, all due dates
    /// are looked at again.
    pub(super) fn turn_day(&mut self) {
        let wall = self.books.now.wall;
        if self.today.is_some_and(|today| (today.begins..today.ends).contains(&wall)) {
            return;
        }
        let zone = &self.policy.zone;
        let day = CivilDay::of(wall, zone);
        let today = Today { day, begins: day.begins(zone), ends: CivilDay(day.0 + 1).begins(zone) };
        if self.today.replace(today).is_some_and(|before| before.day != day) {
            self.sweep = Some(Sweep::default());
        }
    }

    pub(super) fn day(&self) -> CivilDay {
        self.today.map_or_else(|| CivilDay::of(self.books.now.wall, &self.policy.zone), |today| today.day)
    }

    pub(super) fn day_turns_at(&self) -> Option<Elapsed> {
        let now = self.books.now;
        self.today.map(|today| now.elapsed + (today.ends - now.wall).max(0))
    }

    /// Every subject is to be looked at, from the first one on.
    pub(super) fn sweep_all(&mut self) {
        self.today = None;
        self.sweep = Some(Sweep::default());
    }

    pub(super) fn continue_sweep(&mut self, out: &mut Effects) {
        let Some(Sweep { next }) = self.sweep else { return };
        let (lifts, all) = (self.lifts.len(), self.lifts.len() + self.cylinders.len());
        let end = (next + limits::SWEEP_SUBJECTS).min(all);
        let today = self.day();
        for at in next..end {
            let lift_ix = u32::try_from(at).ok().filter(|_| at < lifts);
            let (mut cx, lifts_table, cylinders) = self.context(out);
            match lift_ix {
                Some(ix) => {
                    let lift = lifts_table.get_mut(ix);
                    lift.follow(&mut cx, today);
                    lift.judge_due_dates(&mut cx, today);
                    self.timers.forget_silence(ix);
                    self.settle(ix);
                }
                None => {
                    let ix = u32::try_from(at - lifts).expect("tables are bounded far below 2^32");
                    cylinders.get_mut(ix).follow(&mut cx, today);
                }
            }
        }
        self.sweep = (end < all).then_some(Sweep { next: end });
    }
}
