//! How many rejects are kept: a quota per topic and hour, so that a babbling device fills no disk.

use std::collections::BTreeMap;

use crate::limits;
use crate::model::time::Elapsed;

const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quota {
    pub(crate) began: Elapsed,
    /// Kept so far in this hour, by topic; the empty topic is all those beyond the bound.
    pub(crate) kept: BTreeMap<Box<str>, u32>,
}

impl Quota {
    /// Whether one more reject of this topic is kept.
    pub fn admits(&mut self, topic: &str, now: Elapsed) -> bool {
        if now - self.began >= HOUR_MS {
            self.began = now;
            self.kept.clear();
        }
        let known = self.kept.contains_key(topic) || self.kept.len() < limits::REJECT_TOPICS;
        let kept = self.kept.entry(if known { topic.into() } else { "".into() }).or_default();
        *kept += 1;
        *kept <= limits::REJECTS_PER_TOPIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_is_by_topic_and_hour() {
        let mut quota = Quota::default();
        let mut admitted =
            |topic: &str, at_s: i64| (0..150).filter(|_| quota.admits(topic, Elapsed(at_s * 1_000))).count();
        assert_eq!(
            (admitted("a", 0), admitted("b", 0), admitted("a", 3_599), admitted("a", 3_600)),
            (100, 100, 0, 100)
        );
        let others =
            (0..limits::REJECT_TOPICS + 500).filter(|n| quota.admits(&format!("t{n}"), Elapsed(3_601_000))).count();
        assert_eq!(others, limits::REJECT_TOPICS - 1 + 100, "topics beyond the bound share one count");
    }
}
