//! What this service says about itself: ordinary alerts on the subject `vigil`.

use crate::core::books::{Books, Who};
use crate::core::judge::built_in::{self, BuiltIn};
use crate::core::judge::run::Run;
use crate::core::judge::runs::Runs;
use crate::core::telemetry::heard::Hearing;
use crate::limits;
use crate::model::alert::{Evidence, Reason, Severity};
use crate::model::ids::Subject;
use crate::model::record::Health;
use crate::model::row::Effects;
use crate::model::time::Elapsed;

/// The store may stand still for so long before people are told.
const STORE_STALLED_MS: i64 = 30_000;
/// Without further losses for so long, `broker-drops` clears.
const DROPS_QUIET_MS: i64 = 10 * 60_000;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Service {
    pub(crate) runs: Runs,
    pub(crate) health: Health,
    /// When messages were last dropped.
    pub(crate) dropped_at: Option<Elapsed>,
}

pub fn who() -> Who {
    Who::new(Subject::Service)
}

fn number(name: &str, value: impl ToString) -> Evidence {
    Evidence { name: name.into(), value: value.to_string().into(), age_ms: None }
}

impl Service {
    pub fn take_health(&mut self, books: &mut Books, out: &mut Effects, health: Health) {
        if health.dropped > self.health.dropped {
            self.dropped_at = Some(books.now.elapsed);
            let lost = vec![number("dropped", health.dropped)];
            self.raise(books, out, &built_in::BROKER_DROPS, built_in::BROKER_DROPS.severity, lost);
        }
        self.health = health;
        if health.store_stalled_ms >= STORE_STALLED_MS {
            let stalled = vec![number("store_stalled_ms", health.store_stalled_ms)];
            self.raise(books, out, &built_in::STORE_BEHIND, built_in::STORE_BEHIND.severity, stalled);
        } else if health.store_stalled_ms == 0 {
            self.clear(books, out, &built_in::STORE_BEHIND);
        }
        let fill = health.journal_fill_percent;
        if fill >= limits::JOURNAL_WARNING_PERCENT {
            let severity = if fill >= limits::JOURNAL_CRITICAL_PERCENT { Severity::Critical } else { Severity::Major };
            self.raise(books, out, &built_in::JOURNAL_FILLING, severity, vec![number("journal_fill_percent", fill)]);
        } else if fill < limits::JOURNAL_FINE_PERCENT {
            self.clear(books, out, &built_in::JOURNAL_FILLING);
        }
    }

    /// Looks at what time alone brings: blindness that lasts, losses that have ended.
    pub fn look(&mut self, books: &mut Books, out: &mut Effects, hearing: &Hearing) {
        let now = books.now.elapsed;
        if !hearing.is_blind(now) {
            self.clear(books, out, &built_in::INGEST_BLIND);
        } else if now >= hearing.alarm_at() {
            let unheard = vec![number("unheard_ms", now - hearing.proven_at)];
            self.raise(books, out, &built_in::INGEST_BLIND, built_in::INGEST_BLIND.severity, unheard);
        }
        if self.dropped_at.is_some_and(|at| now - at >= DROPS_QUIET_MS) {
            self.dropped_at = None;
            self.clear(books, out, &built_in::BROKER_DROPS);
        }
    }

    /// When time alone next changes something.
    pub fn next_timer(&self, books: &Books, hearing: &Hearing) -> Option<Elapsed> {
        let is_blindness = |run: &&Run| books.names[usize::from(run.rule.0)].as_str() == built_in::INGEST_BLIND.id;
        let blindness = self.runs.iter().find(is_blindness);
        // A person who cleared it is told again, but not at once.
        let by_hand = blindness.and_then(|run| run.closed.as_ref()).filter(|closed| closed.by_hand);
        let rearmed = by_hand.map_or(hearing.alarm_at(), |closed| closed.at + built_in::REARM_MS);
        let is_said = blindness.is_some_and(|run| run.open().is_some());
        let blind = (!is_said).then(|| hearing.alarm_at().max(rearmed));
        let quiet = self.dropped_at.map(|at| at + DROPS_QUIET_MS);
        blind.into_iter().chain(quiet).min()
    }

    pub fn say_skipped(&mut self, books: &mut Books, out: &mut Effects, position: u64) {
        let which = vec![number("position", position)];
        self.raise(books, out, &built_in::RECORD_SKIPPED, built_in::RECORD_SKIPPED.severity, which);
    }

    fn raise(
        &mut self,
        books: &mut Books,
        out: &mut Effects,
        which: &BuiltIn,
        severity: Severity,
        evidence: Vec<Evidence>,
    ) {
        built_in::raise_to(books, out, who, &mut self.runs, which, severity, Reason::SelfCheck, || evidence);
    }

    fn clear(&mut self, books: &mut Books, out: &mut Effects, which: &BuiltIn) {
        built_in::clear(books, out, who, &mut self.runs, which, Reason::ConditionEnded);
    }
}
