//! What came of a run, for people and for programs.

use serde_json::{Value, json};

use crate::model::time::Wall;
use crate::simulate::publisher::Published;
use crate::simulate::score::Tally;
use crate::simulate::{Counts, Fault, Fleet};

/// What was sent, and how fast.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    pub(super) seconds: f64,
    pub(super) reports: u64,
    pub(super) published: Option<Published>,
    pub(super) lag_max_ms: i64,
}

/// A lag of less is nobody's limit.
const LAG_MS: i64 = 1_000;

impl Traffic {
    /// Made, and sent to nobody.
    pub(super) fn dry(reports: u64, seconds: f64) -> Self {
        Self { seconds, reports, ..Self::default() }
    }

    /// What kept the rate from being what was asked for.
    fn limit(&self) -> Option<&'static str> {
        let published = self.published?;
        if self.lag_max_ms < LAG_MS {
            return None;
        }
        let blocked = published.blocked_ms as f64 > 100.0 * self.seconds;
        Some(if blocked { "the broker, which acknowledged too slowly" } else { "this program and its machine" })
    }

    fn per_s(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(0.001)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Percentiles {
    count: usize,
    p50: i64,
    p90: i64,
    p99: i64,
    max: i64,
}

impl Percentiles {
    pub(super) fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        // The least value that so many percent don't exceed.
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or_default()
        };
        Self { count: values.len(), p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }

    fn text(&self) -> String {
        if self.count == 0 {
            return "none".to_owned();
        }
        format!("p50 {}, p90 {}, p99 {}, max {} ms of {}", self.p50, self.p90, self.p99, self.max, self.count)
    }

    fn json(&self) -> Value {
        json!({ "count": self.count, "p50": self.p50, "p90": self.p90, "p99": self.p99, "max": self.max })
    }
}

/// An incident or an alert, and when in the run it began.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) subject: String,
    pub(super) rule: String,
    pub(super) at_ms: i64,
}

impl Named {
    fn json(&self) -> Value {
        json!({ "subject": self.subject, "rule": self.rule, "at_ms": self.at_ms })
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Judged {
    pub(super) tally: Tally,
    pub(super) near_misses: Option<u64>,
    /// From the first moment at which a rule could find an incident to its alert.
    pub(super) latency_ms: Percentiles,
    /// The same of devices that deliver late because of a fault.
    pub(super) latency_faulty_ms: Percentiles,
    /// From the service's judgement to us.
    pub(super) delivery_ms: Percentiles,
    pub(super) missed: Vec<Named>,
    pub(super) late: Vec<Named>,
    pub(super) false_alerts: Vec<Named>,
    /// Why not all that the service said is known.
    pub(super) unheard: Option<String>,
}

/// Named in the text; --json has more.
const NAMED: usize = 10;

impl Judged {
    pub(super) fn is_good(&self) -> bool {
        self.unheard.is_none() && self.tally.missed + self.tally.late + self.tally.false_alerts == 0
    }

    pub(super) fn json(&self) -> Value {
        let list = |named: &[Named]| named.iter().map(Named::json).collect::<Vec<_>>();
        json!({
            "good": self.is_good(),
            "incidents": self.tally.incidents,
            "in_time": self.tally.in_time,
            "late": self.tally.late,
            "missed": self.tally.missed,
            "not_due": self.tally.waiting,
            "false": self.tally.false_alerts,
            "near_misses": self.near_misses,
            "latency_ms": self.latency_ms.json(),
            "latency_faulty_ms": self.latency_faulty_ms.json(),
            "delivery_ms": self.delivery_ms.json(),
            "missed_named": list(&self.missed),
            "late_named": list(&self.late),
            "false_named": list(&self.false_alerts),
            "unheard": self.unheard,
        })
    }

    pub(super) fn text(&self) -> String {
        let Tally { incidents, in_time, late, missed, waiting, false_alerts, .. } = self.tally;
        let mut text = format!(
            "judged:   {incidents} incidents: {in_time} in time, {late} late, {missed} missed, {waiting} not due yet; \
             {false_alerts} false alerts",
        );
        if let Some(near_misses) = self.near_misses {
            text += &format!("; {near_misses} near misses");
        }
        text += &format!("\nlatency:  {} (from due to published)", self.latency_ms.text());
        if self.latency_faulty_ms != Percentiles::default() {
            text += &format!("\n          {} of devices that deliver late", self.latency_faulty_ms.text());
        }
        if self.delivery_ms != Percentiles::default() {
            text += &format!("\ndelivery: {} (from published to here)", self.delivery_ms.text());
        }
        for (what, named) in [("missed", &self.missed), ("late", &self.late), ("false", &self.false_alerts)] {
            for it in named.iter().take(NAMED) {
                let at_s = it.at_ms as f64 / 1_000.0;
                text += &format!("\n{what}: {} of {} at {at_s:.1} s", it.rule, it.subject);
            }
            if named.len() > NAMED {
                text += &format!("\n{what}: and {} more; --json names them", named.len() - NAMED);
            }
        }
        if let Some(why) = &self.unheard {
            text += &format!("\nnot all was heard: {why}");
        }
        text + if self.is_good() { "\ngood" } else { "\nNOT GOOD" }
    }
}

/// All of a run.
#[derive(Debug)]
pub(super) struct RunResult {
    pub(super) wanted_per_s: f64,
    pub(super) counts: Counts,
    pub(super) traffic: Traffic,
    pub(super) judged: Option<Judged>,
}

impl RunResult {
    pub(super) fn is_good(&self) -> bool {
        self.judged.as_ref().is_none_or(Judged::is_good)
    }

    pub(super) fn json(&self) -> Value {
        let Traffic { seconds, reports, published, lag_max_ms } = &self.traffic;
        let faults: serde_json::Map<String, Value> =
            Fault::ALL.into_iter().map(|fault| (fault.name().to_owned(), self.counts.of(fault).into())).collect();
        json!({
            "seconds": seconds,
            "frames": self.counts.frames,
            "scans": self.counts.scans,
            "reports": reports,
            "frames_per_s_wanted": self.wanted_per_s,
            "frames_per_s": self.traffic.per_s(self.counts.frames),
            "reports_per_s": self.traffic.per_s(*reports),
            "sent": published.map(|it| it.sent),
            "acknowledged": published.map(|it| it.acknowledged),
            "connections_made": published.map(|it| it.connections),
            "lag_max_ms": lag_max_ms,
            "limit": self.traffic.limit(),
            "faults": faults,
            "judged": self.judged.as_ref().map(Judged::json),
        })
    }

    pub(super) fn text(&self) -> String {
        let traffic = &self.traffic;
        let (frames, scans) = (self.counts.frames, self.counts.scans);
        let mut text = format!(
            "sent:     {frames} frames and {scans} scans in {} reports, in {:.1} s: {:.0} frames/s of {:.0} wanted",
            traffic.reports,
            traffic.seconds,
            traffic.per_s(frames),
            self.wanted_per_s
        );
        if let Some(published) = &traffic.published {
            let left = published.taken.saturating_sub(published.acknowledged);
            text += &format!("; {left} not acknowledged, lag at most {} ms", traffic.lag_max_ms);
        }
        if let Some(limit) = traffic.limit() {
            text += &format!("\nlimited:  by {limit}");
        }
        let faults = Fault::ALL.into_iter().filter(|fault| self.counts.of(*fault) > 0);
        let faults: Vec<_> = faults.map(|fault| format!("{} {}", self.counts.of(fault), fault.name())).collect();
        if !faults.is_empty() {
            text += &format!("\nfaults:   {}", faults.join(", "));
        }
        if let Some(judged) = &self.judged {
            text = format!("{text}\n{}", judged.text());
        }
        text
    }
}

/// Every 10 s.
#[derive(Debug)]
pub(super) struct Progress {
    began_at: Wall,
    before: (Wall, u64),
}

impl Progress {
    pub(super) fn new(began_at: Wall) -> Self {
        Self { began_at, before: (began_at, 0) }
    }

    pub(super) fn line(&mut self, now: Wall, published: &Published, tally: Option<Tally>, fleet: &Fleet) -> String {
        let (since, sent) = std::mem::replace(&mut self.before, (now, published.sent));
        let per_s = (published.sent - sent) as f64 * 1_000.0 / (now - since).max(1) as f64;
        let in_flight = published.taken.saturating_sub(published.acknowledged);
        let seconds = (now - self.began_at) / 1_000;
        let mut line = format!(
            "{seconds:>6} s | {per_s:.0} reports/s | {} sent, {} acknowledged, {in_flight} in flight | lag {} ms",
            published.sent, published.acknowledged, published.lag_ms
        );
        match tally {
            Some(tally) => {
                line += &format!(
                    " | {} incidents: {} in time, {} late, {} missed, {} not due | {} false",
                    tally.incidents, tally.in_time, tally.late, tally.missed, tally.waiting, tally.false_alerts
                );
            }
            None => line += &format!(" | {} incidents", fleet.truth().len()),
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        for (values, want) in [
            (vec![], [0, 0, 0, 0]),
            (vec![7], [7, 7, 7, 7]),
            (vec![3, 1, 2], [2, 3, 3, 3]),
            ((1..=100).rev().collect(), [50, 90, 99, 100]),
            ((1..=1_000).collect(), [500, 900, 990, 1_000]),
        ] {
            let Percentiles { p50, p90, p99, max, count } = Percentiles::of(values.clone());
            assert_eq!(([p50, p90, p99, max], count), (want, values.len()));
        }
    }
}
