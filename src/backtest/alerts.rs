//! Alerts by their events, whether those were told at the time or come of a replay.

use std::collections::BTreeMap;

use crate::model::alert::{AlertEvent, AlertState, Certainty, EventKind, Reason, Severity};
use crate::model::ids::RuleId;
use crate::model::time::Wall;

/// An alert event, as far as a comparison goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub rule: RuleId,
    pub opening: u32,
    pub kind: EventKind,
    pub reason: Option<Reason>,
    pub published_at: Wall,
    /// The alert after it.
    pub state: AlertState,
    pub opened_at: Wall,
    pub cleared_at: Option<Wall>,
    pub severity: Severity,
    pub certainty: Certainty,
}

impl From<&AlertEvent> for Told {
    fn from(event: &AlertEvent) -> Self {
        let alert = &event.alert;
        Self {
            rule: alert.id.rule.clone(),
            opening: alert.id.opening,
            kind: event.kind,
            reason: Some(event.reason),
            published_at: event.published_at,
            state: alert.state,
            opened_at: alert.opened_at,
            cleared_at: alert.cleared_at,
            severity: alert.severity,
            certainty: alert.certainty,
        }
    }
}

impl Told {
    /// Whether a person cleared it.
    pub fn is_by_hand(&self) -> bool {
        self.kind == EventKind::Cleared && self.reason == Some(Reason::Operator)
    }
}

/// One alert of a lift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub rule: RuleId,
    pub opened_at: Wall,
    /// `None`: it was still open at the end.
    pub cleared_at: Option<Wall>,
    /// The highest it had; `None`: nothing was told of it in time.
    pub level: Option<(Severity, Certainty)>,
}

/// The alerts of one lift, up to a moment.
#[derive(Debug, Clone)]
pub struct Alerts {
    until: Wall,
    found: BTreeMap<(RuleId, Wall, u32), Alert>,
}

impl Alerts {
    /// What is told after `until` only counts as far as it says that an alert was open by then.
    pub fn until(until: Wall) -> Self {
        Self { until, found: BTreeMap::new() }
    }

    /// Events come in the order in which they were published.
    pub fn note(&mut self, told: &Told) {
        if told.opened_at >= self.until {
            return;
        }
        let until = self.until;
        let alert = self.open(&told.rule, told.opened_at, told.opening);
        if told.published_at < until {
            let (severity, certainty) = alert.level.unwrap_or((told.severity, told.certainty));
            alert.level = Some((severity.max(told.severity), certainty.max(told.certainty)));
            alert.cleared_at = told.cleared_at.filter(|_| told.state == AlertState::Cleared);
        }
    }

    /// An alert that is known to have been open, and of which no event was told.
    pub fn note_open(&mut self, rule: &RuleId, opened_at: Wall, opening: u32) {
        if opened_at < self.until {
            self.open(rule, opened_at, opening);
        }
    }

    fn open(&mut self, rule: &RuleId, opened_at: Wall, opening: u32) -> &mut Alert {
        let alert = || Alert { rule: rule.clone(), opened_at, cleared_at: None, level: None };
        self.found.entry((rule.clone(), opened_at, opening)).or_insert_with(alert)
    }

    /// By rule, and by when they opened.
    pub fn into_vec(self) -> Vec<Alert> {
        self.found.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: EventKind, opened_s: i64, at_s: i64, severity: Severity) -> Told {
        let is_over = kind == EventKind::Cleared;
        Told {
            rule: RuleId::parse("door-fault").unwrap(),
            opening: 1,
            kind,
            reason: None,
            published_at: Wall(at_s * 1_000),
            state: if is_over { AlertState::Cleared } else { AlertState::Open },
            opened_at: Wall(opened_s * 1_000),
            cleared_at: is_over.then_some(Wall(at_s * 1_000)),
            severity,
            certainty: Certainty::Likely,
        }
    }

    /// Each as (opened, cleared, severity), in s.
    fn check(events: &[Told], want: &[(i64, Option<i64>, Option<Severity>)]) {
        let mut alerts = Alerts::until(Wall(100_000));
        events.iter().for_each(|event| alerts.note(event));
        let found = alerts.into_vec();
        let got = found.iter().map(|it| {
            (it.opened_at.0 / 1_000, it.cleared_at.map(|at| at.0 / 1_000), it.level.map(|(severity, _)| severity))
        });
        assert_eq!(got.collect::<Vec<_>>(), want, "{events:?}");
    }

    #[test]
    fn an_alert_is_what_its_events_say_until_the_end() {
        use EventKind::{Cleared, Opened, Raised, Reopened};
        use Severity::{Critical, Minor};
        check(&[told(Opened, 1, 1, Minor)], &[(1, None, Some(Minor))]);
        check(&[told(Opened, 1, 1, Minor), told(Cleared, 1, 9, Minor)], &[(1, Some(9), Some(Minor))]);
        let reopened = [told(Opened, 1, 1, Minor), told(Cleared, 1, 9, Minor), told(Reopened, 1, 12, Minor)];
        check(&reopened, &[(1, None, Some(Minor))]);
        let risen = [told(Opened, 1, 1, Minor), told(Raised, 1, 5, Critical), told(Cleared, 1, 9, Critical)];
        check(&risen, &[(1, Some(9), Some(Critical))]);
        // After the end it is only known that it was open, and what opened then is nothing.
        check(&[told(Opened, 1, 1, Minor), told(Cleared, 1, 100, Critical)], &[(1, None, Some(Minor))]);
        check(&[told(Cleared, 1, 120, Minor)], &[(1, None, None)]);
        check(&[told(Opened, 100, 100, Minor)], &[]);
    }
}
