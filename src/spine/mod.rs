//! The loop that ties inbox, core and outbox together (`docs/adr/0004-one-spine-thread.md`).
//!
//! `Spine` is the loop's body: what one group of inputs does. It knows journals but no clock, thread or queue, so that
//! tests drive it step by step; `driver` is the thread around it.

pub mod driver;
pub mod image;
pub mod input;
pub mod poison;
pub mod recover;
pub mod retrace;
pub mod takeover;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use self::image::Image;
use self::input::{Durable, Input, Token};
use self::poison::Poison;
use crate::core::Core;
use crate::core::ahead::AHEAD;
use crate::core::telemetry::heard::Way;
use crate::journal::{Identity, Journal, JournalError, codec};
use crate::limits;
use crate::model::alert::AlertEvent;
use crate::model::downlink::Downlink;
use crate::model::incident::IncidentEvent;
use crate::model::record::{Kind, Link, Outcome, Record};
use crate::model::row::{Effects, Tally};
use crate::model::time::{Elapsed, Wall};

/// Downtime counts as elapsed time, but no more than this: a clock that was wrong must not fire everything at once.
const DOWNTIME_MAX_MS: i64 = 24 * 3_600_000;

/// Why the spine can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SpineError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It is noted, and will be passed over after a restart.
    #[error("the record at position {pos} of the inbox made the core fail; it will be skipped")]
    Poisoned { pos: u64 },
}

/// How much the journals may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    pub inbox_bytes: u64,
    pub outbox_bytes: u64,
}

/// What one group of inputs led to.
#[derive(Debug, Default)]
pub struct Released {
    pub events: Vec<AlertEvent>,
    pub incidents: Vec<IncidentEvent>,
    /// For devices. Of what is judged now only: a replay's effects never come here.
    pub downlinks: Vec<Downlink>,
    pub tally: Tally,
    /// Records applied.
    pub records: usize,
    /// What became of the last one, where it is a command that nobody waits for.
    pub outcome: Option<Outcome>,
}

/// A place in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub identity: Identity,
    pub position: u64,
    pub hash: u32,
}

impl Point {
    /// Where a journal's next record will stand.
    pub fn end(journal: &dyn Journal) -> Self {
        Self { identity: journal.identity(), position: journal.next(), hash: journal.hash() }
    }
}

pub struct Spine {
    inbox: Box<dyn Journal>,
    outbox: Box<dyn Journal>,
    core: Core,
    poison: Box<dyn Poison>,
    quotas: Quotas,
    /// What the broker's side was told last.
    durable: Durable,
    /// A report of the present connection was not taken.
    refusing: bool,
    /// Scratch: the records of the group at hand, and who waits for them.
    group: Vec<(Record, Waiter)>,
    bytes: Vec<u8>,
}

/// Who waits for a record to be durable, or for what comes of it.
enum Waiter {
    Nobody,
    Broker(Token),
    Caller(oneshot::Sender<Outcome>),
}

impl std::fmt::Debug for Spine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (inbox, outbox) = (self.inbox.next(), self.outbox.next());
        f.debug_struct("Spine").field("inbox", &inbox).field("outbox", &outbox).finish_non_exhaustive()
    }
}

impl Spine {
    pub fn core(&self) -> &Core {
        &self.core
    }

    pub fn inbox(&self) -> &dyn Journal {
        &*self.inbox
    }

    pub fn outbox(&self) -> &dyn Journal {
        &*self.outbox
    }

    /// When a `Tick` is due if nothing else comes.
    pub fn next_deadline(&self) -> Option<Elapsed> {
        self.core.next_deadline()
    }

    /// The elapsed time at which a start at `wall` goes on: that of the last record, and what the wall clock says has
    /// passed since, within reason.
    pub fn resumes_at(&self, wall: Wall) -> Elapsed {
        let last = self.core.now();
        let is_first = self.core.next() == 0;
        let down_ms = if is_first { 0 } else { (wall - last.wall).clamp(0, DOWNTIME_MAX_MS) };
        last.elapsed + down_ms
    }

    pub fn is_withheld(&self) -> bool {
        self.durable.withheld
    }

    /// Fullness of the fuller journal, in percent of its quota.
    pub fn fill_percent(&self) -> u8 {
        let of = |journal: &dyn Journal, quota: u64| journal.size_bytes().saturating_mul(100) / quota.max(1);
        let fill = of(&*self.inbox, self.quotas.inbox_bytes).max(of(&*self.outbox, self.quotas.outbox_bytes));
        u8::try_from(fill.min(100)).unwrap_or(100)
    }

    /// Takes a group of inputs: writes them down, makes them durable with one fsync, says so, judges them, and
    /// releases what follows. An error ends the spine; what was durable is judged after the restart.
    pub fn take(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        elapsed: Elapsed,
        wall: Wall,
        mut durable: impl FnMut(Durable),
    ) -> Result<Released, SpineError> {
        let elapsed = elapsed.max(self.core.now().elapsed);
        let told = self.durable;
        self.note_fill();
        self.group.clear();
        for input in inputs {
            let Some((kind, waiter)) = self.admit(input) else { continue };
            if let Waiter::Broker(token) = waiter {
                self.durable.token = token;
            }
            self.write_down(kind, waiter, elapsed, wall)?;
        }
        self.inbox.sync()?;
        if self.durable != told {
            durable(self.durable);
        }
        self.judge()
    }

    /// A group with nothing in it but a record of time passing.
    pub fn tick(&mut self, elapsed: Elapsed, wall: Wall) -> Result<Released, SpineError> {
        self.enter(Kind::Tick, elapsed, wall)
    }

    /// A group of one record that nobody waits for.
    pub fn enter(&mut self, kind: Kind, elapsed: Elapsed, wall: Wall) -> Result<Released, SpineError> {
        self.group.clear();
        self.write_down(kind, Waiter::Nobody, elapsed.max(self.core.now().elapsed), wall)?;
        self.inbox.sync()?;
        self.judge()
    }

    /// What of an input is written down. Reports are not taken while the journals are nearly full: nobody is told
    /// that they are safe, so the broker keeps them. Once one of a connection was not taken, none after it is, since
    /// acknowledgements are in order; and no marker either, since not all before it was heard.
    fn admit(&mut self, input: Input) -> Option<(Kind, Waiter)> {
        match input {
            Input::Report { token, .. } if self.durable.withheld || self.refusing => {
                self.refusing = true;
                self.durable.refused = token.connection;
                None
            }
            Input::Report { token, topic, payload } => Some((Kind::Report { topic, payload }, Waiter::Broker(token))),
            Input::Link(Link::Heard { .. }) if self.refusing => None,
            Input::Link(link) => {
                self.refusing &= link != Link::Down;
                Some((Kind::Link(link), Waiter::Nobody))
            }
            Input::Command { command, reply } => Some((Kind::Command(command), Waiter::Caller(reply))),
            Input::Policy { policy, reply } => Some((Kind::Policy(policy), Waiter::Caller(reply))),
            Input::Health(health) => Some((Kind::Health(health), Waiter::Nobody)),
            Input::Stop => None,
        }
    }

    /// Finds out whether reports are to be withheld. Done with every group, and between groups by the driver.
    pub fn note_fill(&mut self) {
        let fill = u64::from(self.fill_percent());
        let most = 100 - limits::JOURNAL_RESERVE_PERCENT;
        // Some room has to come free before reports are taken again, or it would flutter.
        self.durable.withheld =
            fill >= if self.durable.withheld { most - limits::JOURNAL_RESERVE_PERCENT } else { most };
    }

    fn write_down(&mut self, kind: Kind, waiter: Waiter, elapsed: Elapsed, wall: Wall) -> Result<(), SpineError> {
        let mut record = Record { pos: 0, elapsed, wall, kind };
        self.bytes.clear();
        codec::encode_record(&record, &mut self.bytes);
        record.pos = self.inbox.append(&self.bytes)?;
        self.group.push((record, waiter));
        Ok(())
    }

    fn judge(&mut self) -> Result<Released, SpineError> {
        let mut released = Released::default();
        let mut group = std::mem::take(&mut self.group);
        for chunk in group.chunks_mut(AHEAD) {
            if chunk.len() > 1 {
                self.core.look_ahead(chunk.iter().map(|(record, _)| record));
            }
            for (record, waiter) in chunk {
                self.judge_one(record, std::mem::replace(waiter, Waiter::Nobody), &mut released)?;
            }
        }
        // Its room is used again.
        group.clear();
        self.group = group;
        self.outbox.release()?;
        Ok(released)
    }

    fn judge_one(&mut self, record: &Record, waiter: Waiter, released: &mut Released) -> Result<(), SpineError> {
        let next_seq = self.core.seq() + 1;
        let mut effects = apply(&mut self.core, &mut *self.poison, record)?;
        if !effects.is_empty() {
            self.outbox.set_mark(next_seq);
            self.bytes.clear();
            codec::encode_effects(record.pos, &effects, &mut self.bytes);
            self.outbox.append(&self.bytes)?;
        }
        released.events.append(&mut effects.events);
        released.incidents.append(&mut effects.incidents);
        released.downlinks.append(&mut effects.downlinks);
        released.tally += effects.tally;
        released.records += 1;
        released.outcome = None;
        match (waiter, effects.reply) {
            (Waiter::Caller(reply), Some(outcome)) => {
                // Whoever asked may have gone; what it asked for is done all the same.
                let _gone = reply.send(outcome);
            }
            (_, outcome) => released.outcome = outcome,
        }
        Ok(())
    }

    /// The state as it stands, to be made a snapshot of by another thread; `None` while something is left over from
    /// the last record. Syncs the outbox first, so that no snapshot is ahead of it.
    pub fn freeze(&mut self) -> Result<Option<Image>, SpineError> {
        if !self.core.is_settled() {
            return Ok(None);
        }
        self.outbox.sync()?;
        Ok(Some(Image { inbox: Point::end(&*self.inbox), outbox: Point::end(&*self.outbox), core: self.core.freeze() }))
    }

    /// Drops what neither a restart nor a reader needs: of the inbox what lies before `inbox`, of the outbox before `outbox`.
    pub fn trim(&mut self, inbox: u64, outbox: u64) -> Result<(), SpineError> {
        self.inbox.trim(inbox)?;
        self.outbox.trim(outbox)?;
        Ok(())
    }

    /// Begins a higher epoch in both journals and notes it, so that nobody takes what follows for a continuation.
    pub fn raise_epoch(&mut self, epoch: u32, retell: bool) -> Result<(), SpineError> {
        self.inbox.raise_epoch(epoch)?;
        self.outbox.raise_epoch(epoch)?;
        let now = self.core.now();
        self.enter(Kind::Recovered { epoch, retell }, now.elapsed, now.wall)?;
        self.settle()
    }

    /// Lets happen what is left over from the last record, at its time.
    pub fn settle(&mut self) -> Result<(), SpineError> {
        let now = self.core.now();
        while !self.core.is_settled() {
            self.tick(now.elapsed, now.wall)?;
        }
        Ok(())
    }

    /// Makes everything durable; the last thing before the end.
    pub fn sync(&mut self) -> Result<(), SpineError> {
        self.inbox.sync()?;
        self.outbox.sync()?;
        Ok(())
    }

    pub fn way(&self) -> Way {
        self.core.hearing().way()
    }
}

/// Applies a record, or passes over it where it made the core fail before. A failure is noted first, durably: the
/// restart that follows must not run into it again.
fn apply(core: &mut Core, poison: &mut dyn Poison, record: &Record) -> Result<Effects, SpineError> {
    if poison.holds(record.pos) {
        return Ok(core.skip(record));
    }
    let judge = || {
        let effects = core.apply(record);
        poison.judged(record);
        effects
    };
    // The core may be half changed after a panic, so it is not used again: the caller ends.
    catch_unwind(AssertUnwindSafe(judge)).map_err(|_| match poison.add(record.pos) {
        Ok(()) => SpineError::Poisoned { pos: record.pos },
        Err(error) => SpineError::Journal(error),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_record_that_makes_the_core_fail_is_noted_and_then_passed_over() {
        let mut poison = BTreeSet::new();
        // The core takes positions in order, and one out of order is a fault that it can't survive.
        let record = Record { pos: 7, elapsed: Elapsed(0), wall: Wall(0), kind: Kind::Tick };
        let failed = apply(&mut Core::new(1), &mut poison, &record);
        assert!(matches!(failed, Err(SpineError::Poisoned { pos: 7 })));
        assert!(poison.holds(7));

        let mut core = Core::new(1);
        poison.insert(0);
        let effects = apply(&mut core, &mut poison, &Record { pos: 0, ..record }).expect("it is passed over");
        assert_eq!((core.next(), effects.events.len()), (1, 1));
    }
}
