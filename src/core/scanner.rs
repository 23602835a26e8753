//! One scanner or filling gun of a site: which of its scans are new.

use crate::core::telemetry::order::{Order, Verdict};
use crate::model::frame::FrameKey;
use crate::model::ids::SiteCode;
use crate::model::time::{Elapsed, Wall};

/// Scanners send when somebody scans, not at intervals: this stands in for a keep-alive when a new generation is told.
const KEEP_ALIVE_MS: i64 = 60_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Scanner {
    pub site: SiteCode,
    pub name: Box<str>,
    pub(crate) order: Order,
}

impl Scanner {
    pub fn new(site: SiteCode, name: Box<str>) -> Self {
        Self { site, name, order: Order::default() }
    }

    pub fn take(&mut self, key: FrameKey, claimed: Option<Wall>, now: Elapsed) -> Verdict {
        self.order.take(key, claimed, now, KEEP_ALIVE_MS)
    }
}
