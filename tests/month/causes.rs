//! Why an alert said that somebody is trapped where nobody was.

use std::collections::BTreeMap;

use vigil::model::alert::Reason;
use vigil::model::ids::Subject;
use vigil::simulate::{Fleet, NearMiss};

/// An alert may come so long after its cause has ended: its hold, catching up, and the next frame of all.
const AFTERWARDS_MS: i64 = 20_000;

/// What may explain alerts, by lift, with what is long over left out.
#[derive(Default)]
pub(crate) struct Causes {
    /// Places among the near misses.
    by_lift: BTreeMap<Subject, Vec<usize>>,
    known: usize,
}

impl Causes {
    pub(crate) fn learn(&mut self, fleet: &Fleet) {
        for (n, near_miss) in fleet.near_misses().iter().enumerate().skip(self.known) {
            if !near_miss.kind.may_raise().is_empty() {
                self.by_lift.entry(near_miss.subject).or_default().push(n);
            }
        }
        self.known = fleet.near_misses().len();
    }

    /// The name of what explains an alert of that rule, published at that time.
    pub(crate) fn of(&self, fleet: &Fleet, subject: Subject, rule: &str, at_ms: i64) -> Option<&'static str> {
        let explains = |it: &&NearMiss| {
            let until_ms = it.ended_at.map_or(i64::MAX, |end| end.ms() + AFTERWARDS_MS);
            it.kind.may_raise().contains(&rule) && (it.began_at.ms()..=until_ms).contains(&at_ms)
        };
        let of_lift = self.by_lift.get(&subject)?.iter().rev().map(|n| &fleet.near_misses()[*n]);
        of_lift.into_iter().find(explains).map(|it| it.kind.name())
    }
}

/// We could not hear, and said so: the alert names it as its reason, and is only possible.
pub(crate) fn is_ours(reason: Reason) -> bool {
    matches!(reason, Reason::IngestBlind | Reason::CatchingUp)
}
