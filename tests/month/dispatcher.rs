//! Dispatchers: they call the car, and clear what nobody in it knows of.

use std::collections::BTreeMap;

use vigil::model::ids::{AlertId, Subject};

/// So long after it was opened, and with nobody trapped any more, an alert is cleared by hand.
const CALL_AFTER_MS: i64 = 15 * 60_000;
/// What comes back more often in a day is left to the maintenance firm.
const CLEARS_A_DAY: u32 = 3;
const DAY_MS: i64 = 86_400_000;

#[derive(Default)]
pub(crate) struct Dispatcher {
    /// The trapped alerts that stand open, and since when.
    open: BTreeMap<AlertId, i64>,
    /// Times that they were cleared by hand, by lift, rule and day.
    cleared: BTreeMap<(Subject, Box<str>), (i64, u32)>,
}

impl Dispatcher {
    pub(crate) fn opened(&mut self, alert: AlertId, now_ms: i64) {
        self.open.insert(alert, now_ms);
    }

    pub(crate) fn ended(&mut self, alert: &AlertId) {
        self.open.remove(alert);
    }

    /// What is to be cleared now. `is_trapped`: whether somebody still is, who would say so on the telephone.
    pub(crate) fn clear(&mut self, now_ms: i64, is_trapped: impl Fn(Subject) -> bool) -> Vec<AlertId> {
        let day = now_ms / DAY_MS;
        let called = self.open.iter().filter(|(_, since)| now_ms - **since >= CALL_AFTER_MS);
        let over = called.filter(|(alert, _)| !is_trapped(alert.subject));
        let mut clear = Vec::new();
        for (alert, _) in over {
            let times = self.cleared.entry((alert.subject, alert.rule.as_str().into())).or_insert((day, 0));
            if times.0 != day {
                *times = (day, 0);
            }
            if times.1 < CLEARS_A_DAY {
                times.1 += 1;
                clear.push(alert.clone());
            }
        }
        clear
    }
}
