//! What is told about answers to devices.

use metrics::counter;
use tracing::{trace, warn};

use super::Event;

/// Answers went to the broker.
#[derive(Debug)]
pub struct DownlinksPublished {
    pub count: u64,
}

impl Event for DownlinksPublished {
    fn log(&self) {
        trace!(target: "vigil::downlink", count = self.count, "published");
    }

    fn measure(&self) {
        counter!("vigil_downlinks_published_total").increment(self.count);
    }
}

/// Answers to devices were not sent: they were no longer good, or there was no room.
#[derive(Debug)]
pub struct DownlinksDropped {
    /// From a bounded set.
    pub reason: &'static str,
    pub count: u64,
}

impl Event for DownlinksDropped {
    fn log(&self) {
        warn!(target: "vigil::downlink", reason = self.reason, count = self.count, "answers to devices were not sent");
    }

    fn measure(&self) {
        counter!("vigil_downlinks_dropped_total", "reason" => self.reason).increment(self.count);
    }
}
