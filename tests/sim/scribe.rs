//! The store's writer as a step by step machine: the real decisions, and a commit that takes its time.

use std::sync::Arc;

use futures_util::FutureExt as _;
use vigil::store::batches::Batches;
use vigil::store::writer::{Writer, WriterError, store_once};
use vigil::store::{Batch, Checkpoint, Store as _, StoreError};

use crate::database::Database;
use crate::dice::Dice;
use crate::faults::{Canary, Fault, Faults};

pub(crate) struct Scribe {
    /// Until it has met the store.
    writer: Option<Writer>,
    /// From then on.
    batches: Option<Batches>,
    database: Arc<Database>,
    doing: Doing,
    /// What the store is known to hold.
    at: Option<Checkpoint>,
    /// Since when nothing could be stored.
    pub(crate) stalled_since: Option<i64>,
}

enum Doing {
    Nothing,
    Waiting { until: i64, batch: Option<Arc<Batch>> },
    Committing { batch: Arc<Batch>, applies_at: i64, answers_at: i64, applied: Option<Result<(), StoreError>> },
}

impl Scribe {
    pub(crate) fn new(writer: Writer, database: Arc<Database>) -> Self {
        Self { writer: Some(writer), batches: None, database, doing: Doing::Nothing, at: None, stalled_since: None }
    }

    pub(crate) fn stored_to(&self) -> u64 {
        self.at.map_or(0, |at| at.position)
    }

    pub(crate) fn next_at(&self, released: u64) -> i64 {
        match &self.doing {
            Doing::Nothing if self.at.is_some_and(|at| released <= at.position) => i64::MAX,
            Doing::Nothing => 0,
            Doing::Waiting { until, .. } => *until,
            Doing::Committing { applies_at, answers_at, applied, .. } => {
                if applied.is_some() {
                    *answers_at
                } else {
                    *applies_at
                }
            }
        }
    }

    /// One thing that is due.
    pub(crate) fn step(
        &mut self,
        now: i64,
        released: u64,
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Result<(), WriterError> {
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Nothing => self.begin(now, released, None, dice, faults)?,
            Doing::Waiting { until, batch } if now >= until => self.begin(now, released, batch, dice, faults)?,
            Doing::Committing { batch, applies_at, answers_at, applied: None } if now >= applies_at => {
                let result = store_once(&*self.database, Arc::clone(&batch)).now_or_never();
                let applied = Some(result.expect("a store in memory answers at once"));
                self.doing = Doing::Committing { batch, applies_at, answers_at, applied };
            }
            Doing::Committing { batch, answers_at, applied: Some(applied), .. } if now >= answers_at => {
                self.hear(now, batch, applied, dice, faults)?;
            }
            waiting => self.doing = waiting,
        }
        Ok(())
    }

    fn begin(
        &mut self,
        now: i64,
        released: u64,
        batch: Option<Arc<Batch>>,
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Result<(), WriterError> {
        let Some((at, batches)) = self.at.zip(self.batches.as_mut()) else {
            match self.database.checkpoint().now_or_never().expect("a store in memory answers at once") {
                Ok(stored) => self.meet(stored)?,
                Err(error) if error.is_transient() => self.wait(now, None, dice),
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        };
        let batch = match batch {
            Some(batch) => batch,
            None if released <= at.position => return Ok(()),
            None => {
                batches.fill()?;
                Arc::new(batches.take())
            }
        };
        let slow = faults.draw(dice, Fault::CommitSlow, 50);
        let takes_ms = if slow { dice.between(1_000, 20_000) } else { dice.between(1, 60) };
        if faults.draw(dice, Fault::CommitFailed, 40) {
            self.database.weather(|weather| weather.fail = true);
        } else if faults.draw(dice, Fault::CommitAnswerLost, 40) {
            self.database.weather(|weather| weather.lose_answer = true);
        }
        let applies_at = now + dice.between(0, takes_ms);
        self.doing = Doing::Committing { batch, applies_at, answers_at: now + takes_ms, applied: None };
        Ok(())
    }

    fn meet(&mut self, stored: Option<Checkpoint>) -> Result<(), WriterError> {
        let mut writer = self.writer.take().expect("it meets its store once");
        let at = writer.begin(stored)?;
        self.at = Some(at);
        self.batches = Some(Batches::new(writer.outbox, writer.identity.epoch, stored, at));
        Ok(())
    }

    fn hear(
        &mut self,
        now: i64,
        batch: Arc<Batch>,
        applied: Result<(), StoreError>,
        dice: &mut Dice,
        faults: &Faults,
    ) -> Result<(), WriterError> {
        match applied {
            Err(error) if error.is_transient() && !faults.has(Canary::CommitNotTriedAgain) => {
                self.stalled_since.get_or_insert(now);
                self.wait(now, Some(batch), dice);
            }
            Err(error) if !error.is_transient() => return Err(error.into()),
            _ => {
                self.stalled_since = None;
                self.at = Some(batch.to);
            }
        }
        Ok(())
    }

    fn wait(&mut self, now: i64, batch: Option<Arc<Batch>>, dice: &mut Dice) {
        self.stalled_since.get_or_insert(now);
        self.doing = Doing::Waiting { until: now + dice.between(100, 5_000), batch };
    }

    /// What a dying process leaves on its way to the database.
    pub(crate) fn orphan(self) -> Option<(i64, Arc<Batch>)> {
        match self.doing {
            Doing::Committing { batch, applies_at, applied: None, .. } => Some((applies_at, batch)),
            _ => None,
        }
    }
}
