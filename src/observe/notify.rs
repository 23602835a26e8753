//! Notifications. Names of targets stand in the configuration, so that they are few.

use metrics::{counter, gauge};
use tracing::{error, info, trace, warn};

use super::Event;
use crate::model::alert::Cursor;

/// A target has taken an event.
#[derive(Debug)]
pub struct NotifyDelivered<'a> {
    pub target: &'a str,
    pub cursor: Cursor,
    pub attempts: u32,
    /// Since it happened.
    pub after_ms: i64,
}

impl Event for NotifyDelivered<'_> {
    fn log(&self) {
        let (target, cursor, attempts, after_ms) = (self.target, self.cursor, self.attempts, self.after_ms);
        // One that had to be repeated is worth a line: the failure before it had one.
        if attempts > 1 {
            info!(target: "vigil::notify", to = target, %cursor, attempts, after_ms, "delivered at last");
        } else {
            trace!(target: "vigil::notify", to = target, %cursor, attempts, after_ms, "delivered");
        }
    }

    fn measure(&self) {
        counter!("vigil_notify_delivered_total", "target" => self.target.to_owned()).increment(1);
    }
}

/// An attempt to tell a target has failed; another one follows.
#[derive(Debug)]
pub struct NotifyAttemptFailed<'a> {
    pub target: &'a str,
    /// From a bounded set.
    pub reason: &'static str,
    pub detail: &'a str,
    /// The first for this event.
    pub first: bool,
}

impl Event for NotifyAttemptFailed<'_> {
    fn log(&self) {
        let (target, reason, detail) = (self.target, self.reason, self.detail);
        if self.first {
            warn!(target: "vigil::notify", to = target, reason, detail, "a delivery failed; it is tried again");
        } else {
            trace!(target: "vigil::notify", to = target, reason, detail, "a delivery failed again");
        }
    }

    fn measure(&self) {
        let (target, reason) = (self.target.to_owned(), self.reason);
        counter!("vigil_notify_attempts_failed_total", "target" => target, "reason" => reason).increment(1);
    }
}

/// An event will not be told to a target any more.
#[derive(Debug)]
pub struct NotifyGivenUp<'a> {
    pub target: &'a str,
    pub cursor: Cursor,
    /// From a bounded set.
    pub reason: &'static str,
    pub detail: &'a str,
}

impl Event for NotifyGivenUp<'_> {
    fn log(&self) {
        let (target, cursor, reason, detail) = (self.target, self.cursor, self.reason, self.detail);
        warn!(target: "vigil::notify", to = target, %cursor, reason, detail, "a delivery was given up");
    }

    fn measure(&self) {
        let (target, reason) = (self.target.to_owned(), self.reason);
        counter!("vigil_notify_given_up_total", "target" => target, "reason" => reason).increment(1);
    }
}

/// What deliveries come to can't be written down: nothing more is told until it can.
#[derive(Debug)]
pub struct NotifyLedgerFailed<'a> {
    pub target: &'a str,
    pub detail: &'a str,
}

impl Event for NotifyLedgerFailed<'_> {
    fn log(&self) {
        warn!(target: "vigil::notify", to = self.target, detail = self.detail, "notify.db can't be used");
    }

    fn measure(&self) {
        let target = self.target.to_owned();
        counter!("vigil_notify_attempts_failed_total", "target" => target, "reason" => "ledger").increment(1);
    }
}

/// The worker of a target has failed by a fault of ours; it is started again.
#[derive(Debug)]
pub struct NotifyPanicked<'a> {
    pub target: &'a str,
    pub detail: &'a str,
}

impl Event for NotifyPanicked<'_> {
    fn log(&self) {
        error!(target: "vigil::notify", to = self.target, detail = self.detail, "the worker of a target has panicked and is started again; please report it");
    }

    fn measure(&self) {
        counter!("vigil_notify_panics_total", "target" => self.target.to_owned()).increment(1);
    }
}

/// `notify.db` was found to be damaged, and begun anew.
#[derive(Debug)]
pub struct NotifyLedgerSetAside<'a> {
    pub file: &'a str,
    pub detail: &'a str,
    /// Of so many targets it is still known how far they were told.
    pub places: usize,
}

impl Event for NotifyLedgerSetAside<'_> {
    fn log(&self) {
        let Self { file, detail, places } = *self;
        error!(target: "vigil::notify", file, detail, places,
            "it is damaged and set aside: lost are the list of deliveries and which CAP messages were taken; targets go on where their place is known, others begin with what happens next"
        );
    }

    fn measure(&self) {
        counter!("vigil_notify_ledger_set_aside_total").increment(1);
    }
}

/// How a target stands, every few seconds.
#[derive(Debug)]
pub struct NotifyStands<'a> {
    pub target: &'a str,
    /// Events that it is not through with.
    pub behind: u64,
    pub failing: bool,
}

impl Event for NotifyStands<'_> {
    fn log(&self) {
        trace!(target: "vigil::notify", to = self.target, behind = self.behind, failing = self.failing, "stands");
    }

    fn measure(&self) {
        gauge!("vigil_notify_behind_events", "target" => self.target.to_owned()).set(self.behind as f64);
        gauge!("vigil_notify_failing", "target" => self.target.to_owned()).set(f64::from(u8::from(self.failing)));
    }
}
