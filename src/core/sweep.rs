//! What every subject has to be looked at for, a bounded number at a time: a new policy, a new day.

use std::ops::Bound;

use rpds::RedBlackTreeMapSync;

use super::{Core, Effects};
use crate::limits;
use crate::model::archive::Entry;
use crate::model::ids::{FirmId, SiteCode, WorkerId};
use crate::model::row::Row;
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
    /// Tell the store the archive on the way, firms, sites and workers before all.
    retell: Option<Retell>,
}

/// What of the archive was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retell {
    Firms { after: Option<FirmId> },
    Sites { after: Option<SiteCode> },
    Workers { after: Option<WorkerId> },
    Subjects,
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
            self.sweep = Some(Sweep { next: 0, retell: self.sweep.and_then(|sweep| sweep.retell) });
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
        self.sweep = Some(Sweep { next: 0, retell: self.sweep.and_then(|sweep| sweep.retell) });
    }

    /// Numbers from before mean something else: events and checkpoints say so by a higher epoch.
    pub(super) fn take_recovery(&mut self, epoch: u32, retell: bool) {
        self.books.epoch = self.books.epoch.max(epoch);
        self.begin_doubt();
        // What the store has of rescues that go on may be anything: this is how they stand.
        self.retell_incidents(self.dispatch.seq);
        if retell {
            self.sweep = Some(Sweep { next: 0, retell: Some(Retell::Firms { after: None }) });
        }
    }

    /// Tells the next firms, sites and workers, and how far it came; `Subjects` once all of them are told.
    fn retell(&self, out: &mut Effects, mut from: Retell) -> Retell {
        for _ in 0..limits::SWEEP_SUBJECTS {
            from = match from {
                Retell::Firms { after } => match behind(&self.firms, after) {
                    Some((id, firm)) => {
                        out.rows.push(Row::Entry(Entry::Firm(firm.clone())));
                        Retell::Firms { after: Some(*id) }
                    }
                    None => Retell::Sites { after: None },
                },
                Retell::Sites { after } => match behind(&self.sites, after) {
                    Some((code, site)) => {
                        out.rows.push(Row::Entry(Entry::Site(site.clone())));
                        Retell::Sites { after: Some(*code) }
                    }
                    None => Retell::Workers { after: None },
                },
                Retell::Workers { after } => match behind(&self.workers, after) {
                    Some((id, worker)) => {
                        out.rows.push(Row::Entry(Entry::Worker(worker.clone())));
                        Retell::Workers { after: Some(*id) }
                    }
                    None => Retell::Subjects,
                },
                Retell::Subjects => break,
            };
        }
        from
    }

    pub(super) fn continue_sweep(&mut self, out: &mut Effects) {
        let Some(Sweep { next, retell }) = self.sweep else { return };
        let retell = retell.map(|from| self.retell(out, from));
        if retell.is_some_and(|told| told != Retell::Subjects) {
            self.sweep = Some(Sweep { next, retell });
            return;
        }
        let retells = retell.is_some();
        let (lifts, all) = (self.lifts.len(), self.lifts.len() + self.cylinders.len());
        // A lift has more to look at. What room the last ones leave is the cylinders'.
        let lifts_now = lifts.saturating_sub(next).min(limits::SWEEP_LIFTS);
        let room = (limits::SWEEP_LIFTS - lifts_now) * limits::SWEEP_SUBJECTS / limits::SWEEP_LIFTS;
        let cylinders_now = if next + lifts_now >= lifts { room } else { 0 };
        let end = (next + lifts_now + cylinders_now).min(all);
        let today = self.day();
        for at in next..end {
            let lift_ix = u32::try_from(at).ok().filter(|_| at < lifts);
            let cylinder_ix = at.checked_sub(lifts).and_then(|ix| u32::try_from(ix).ok());
            let filled_at = cylinder_ix.and_then(|ix| self.filled_at(ix));
            let (mut cx, lifts_table, cylinders) = self.context(out);
            match lift_ix {
                Some(ix) => {
                    let lift = lifts_table.get_mut(ix);
                    lift.follow(&mut cx, today);
                    if retells {
                        lift.forget_told();
                    }
                    lift.judge_due_dates(&mut cx, today);
                    lift.judge_records(&mut cx);
                    if retells {
                        cx.out.rows.extend(lift.archived().map(|entry| Row::Entry(Entry::Lift(entry))));
                    }
                    self.settle(ix);
                }
                None => {
                    let ix = u32::try_from(at - lifts).expect("tables are bounded far below 2^32");
                    let cylinder = cylinders.get_mut(ix);
                    if retells {
                        cylinder.forget_told();
                    }
                    cylinder.follow(&mut cx, filled_at, today);
                    if retells {
                        cx.out.rows.extend(cylinder.archived().map(|entry| Row::Entry(Entry::Cylinder(entry))));
                    }
                }
            }
        }
        self.sweep = (end < all).then_some(Sweep { next: end, retell });
    }
}

/// The first one behind a key.
fn behind<K: Ord, V>(map: &RedBlackTreeMapSync<K, V>, after: Option<K>) -> Option<(&K, &V)> {
    match after {
        None => map.first(),
        Some(after) => map.range((Bound::Excluded(after), Bound::Unbounded)).next(),
    }
}
