//! What is told about the running service. One event struct is one log line and its metrics, so that the two
//! can't drift apart: whoever sees something happen builds the struct and calls [`emit`].
//!
//! What each message does is logged at TRACE; a WARN is worth waking someone for. Labels come from bounded sets,
//! never from what devices send. A line's target is the module that the event is about, so that a log filter can
//! name it. `docs/metrics.md` lists the metrics.

mod downlinks;
mod incidents;
mod list;
mod notify;
mod rules;

use std::io::IsTerminal as _;

use metrics::{Counter, Unit, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing::{debug, error, info, trace, warn};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::model::alert::{EventKind, Group, Reason, Severity};
use crate::model::ids::RuleId;
use crate::model::row::{RejectReason, Tally};
use crate::spine::takeover::Way;

pub use self::downlinks::{DownlinksDropped, DownlinksPublished};
pub use self::incidents::{IncidentMoved, NotAdopted, RescuesRefused};
pub use self::list::{METRICS, Metric, Sort};
pub use self::notify::{
    NotifyAttemptFailed, NotifyDelivered, NotifyGivenUp, NotifyLedgerFailed, NotifyLedgerSetAside, NotifyPanicked,
    NotifyStands,
};
pub use self::rules::{ReloadedBy, RulesRefused, RulesReloaded};

/// Something that happened, worth telling people and counting.
pub trait Event {
    fn log(&self);
    fn measure(&self);
}

pub fn emit(event: impl Event) {
    event.log();
    event.measure();
}

/// A session with the broker is up.
#[derive(Debug)]
pub struct Connected<'a> {
    pub broker: &'a str,
    /// The broker had kept our session.
    pub resumed: bool,
}

impl Event for Connected<'_> {
    fn log(&self) {
        info!(target: "vigil::ingest", broker = self.broker, resumed = self.resumed, "connected to the broker");
    }

    fn measure(&self) {
        let resumed = if self.resumed { "true" } else { "false" };
        counter!("vigil_mqtt_connects_total", "resumed" => resumed).increment(1);
        gauge!("vigil_mqtt_connected").set(1.0);
    }
}

/// So that whoever watches for a lost broker sees one that was never there as well.
pub fn not_connected_yet() {
    gauge!("vigil_mqtt_connected").set(0.0);
}

/// The session has ended: until the next one nothing is heard, and absence timers stand still.
#[derive(Debug)]
pub struct Disconnected<'a> {
    /// From a bounded set.
    pub reason: &'static str,
    pub detail: &'a str,
}

impl Event for Disconnected<'_> {
    fn log(&self) {
        warn!(target: "vigil::ingest", reason = self.reason, detail = self.detail, "lost the broker");
    }

    fn measure(&self) {
        counter!("vigil_mqtt_disconnects_total", "reason" => self.reason).increment(1);
        gauge!("vigil_mqtt_connected").set(0.0);
    }
}

/// The store has stopped taking rows; they wait in the outbox.
#[derive(Debug)]
pub struct StoreStalled<'a> {
    pub cause: &'a str,
}

impl Event for StoreStalled<'_> {
    fn log(&self) {
        warn!(target: "vigil::store", cause = self.cause, "the store takes nothing; rows wait in the outbox");
    }

    fn measure(&self) {
        counter!("vigil_store_stalls_total").increment(1);
        gauge!("vigil_store_stalled").set(1.0);
    }
}

/// The store takes rows again.
#[derive(Debug)]
pub struct StoreRecovered {
    pub after_ms: i64,
}

impl Event for StoreRecovered {
    fn log(&self) {
        info!(target: "vigil::store", after_ms = self.after_ms, "the store takes rows again");
    }

    fn measure(&self) {
        gauge!("vigil_store_stalled").set(0.0);
    }
}

#[derive(Debug)]
pub struct SnapshotWritten {
    pub bytes: u64,
    pub took_ms: i64,
}

impl Event for SnapshotWritten {
    fn log(&self) {
        debug!(target: "vigil::spine", bytes = self.bytes, took_ms = self.took_ms, "wrote a snapshot");
    }

    fn measure(&self) {
        gauge!("vigil_snapshot_bytes").set(self.bytes as f64);
        histogram!("vigil_snapshot_seconds").record(self.took_ms as f64 / 1_000.0);
    }
}

/// A journal ended in the middle of a record. Nobody had been told that this record was safe.
#[derive(Debug)]
pub struct JournalTornTail {
    /// `inbox` or `outbox`.
    pub journal: &'static str,
    pub cut_bytes: u64,
}

impl Event for JournalTornTail {
    fn log(&self) {
        info!(target: "vigil::journal", journal = self.journal, cut_bytes = self.cut_bytes, "cut off an unfinished record; nothing told is lost");
    }

    fn measure(&self) {
        counter!("vigil_journal_torn_bytes_total", "journal" => self.journal).increment(self.cut_bytes);
    }
}

/// The record at this place made the core fail; it was kept apart and passed over.
#[derive(Debug)]
pub struct RecordSkipped {
    pub pos: u64,
}

impl Event for RecordSkipped {
    fn log(&self) {
        error!(target: "vigil::spine", pos = self.pos, "skipped a record that made the core fail; please report it with a copy of the inbox");
    }

    fn measure(&self) {
        counter!("vigil_records_skipped_total").increment(1);
    }
}

/// Another version of the core had judged the journals before this start.
#[derive(Debug)]
pub struct CoreTookOver {
    pub from: u32,
    pub to: u32,
    pub way: Way,
}

impl Event for CoreTookOver {
    fn log(&self) {
        let Self { from, to, way } = *self;
        match way {
            Way::Snapshot => {
                info!(target: "vigil::spine", from, to, "core version {to} goes on from the snapshot of version {from}'s clean end");
            }
            Way::SameEvents => {
                info!(target: "vigil::spine", from, to, "core version {to} judged what version {from} had left again: the events are the same");
            }
            Way::Corrected { epoch, alerts } => {
                warn!(target: "vigil::spine", from, to, epoch, alerts, "core version {to} judged what version {from} had left otherwise: epoch {epoch} begins, with {alerts} alerts corrected");
            }
        }
    }

    fn measure(&self) {
        let (way, alerts) = match self.way {
            Way::Snapshot => ("snapshot", 0),
            Way::SameEvents => ("same-events", 0),
            Way::Corrected { alerts, .. } => ("corrected", alerts),
        };
        counter!("vigil_core_takeovers_total", "way" => way).increment(1);
        counter!("vigil_alerts_corrected_total").increment(alerts as u64);
    }
}

/// A group of records was judged.
#[derive(Debug)]
pub struct JudgedReports {
    pub records: usize,
    pub tally: Tally,
}

impl Event for JudgedReports {
    fn log(&self) {
        trace!(target: "vigil::spine", records = self.records, tally = ?self.tally, "judged a group");
    }

    fn measure(&self) {
        // Rescues have an event of their own.
        let Tally { frames, late, scans, allowed, denied, repeats, rejects: by_reason, .. } = self.tally;
        let Tally { unknown_fields, ignored, rescues_refused: _, .. } = self.tally;
        let rejects = self.tally.rejects();
        counter!("vigil_records_judged_total").increment(self.records as u64);
        for (reason, n) in RejectReason::ALL.iter().zip(by_reason).filter(|(_, n)| *n > 0) {
            counter!("vigil_rejects_total", "reason" => reason.name()).increment(n.into());
        }
        for (what, n) in [("newer", frames), ("late", late), ("scan", scans), ("repeat", repeats), ("reject", rejects)]
        {
            counter!("vigil_items_total", "what" => what).increment(n.into());
        }
        for (verdict, n) in [("allow", allowed), ("deny", denied)] {
            counter!("vigil_fill_verdicts_total", "verdict" => verdict).increment(n.into());
        }
        counter!("vigil_unknown_fields_total").increment(unknown_fields.into());
        counter!("vigil_messages_ignored_total").increment(ignored.into());
    }
}

/// Something that somebody uploaded was answered.
#[derive(Debug)]
pub struct Uploaded {
    /// `record` or `report`.
    pub what: &'static str,
    /// What became of it, in the words of `docs/metrics.md`.
    pub outcome: &'static str,
}

impl Event for Uploaded {
    fn log(&self) {
        trace!(target: "vigil::serve", what = self.what, outcome = self.outcome, "answered an upload");
    }

    fn measure(&self) {
        counter!("vigil_uploads_total", "what" => self.what, "outcome" => self.outcome).increment(1);
    }
}

/// A client took nothing for so long that its stream was ended.
#[derive(Debug)]
pub struct StreamDropped {
    pub after_ms: u64,
}

impl Event for StreamDropped {
    fn log(&self) {
        info!(target: "vigil::serve", after_ms = self.after_ms, "dropped a stream that made no progress");
    }

    fn measure(&self) {
        counter!("vigil_streams_dropped_total").increment(1);
    }
}

/// What passes between the broker and the inbox. Looked up once: a message is too small a thing to look for its counter
/// each time, or to be logged.
pub struct IngestCounters {
    /// By QoS.
    pub received: [Counter; 3],
    pub acknowledged: Counter,
    /// Messages of QoS 0 that there was no room for.
    pub dropped: Counter,
}

impl std::fmt::Debug for IngestCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestCounters").finish_non_exhaustive()
    }
}

impl Default for IngestCounters {
    fn default() -> Self {
        Self::new()
    }
}

impl IngestCounters {
    pub fn new() -> Self {
        Self {
            received: ["0", "1", "2"].map(|qos| counter!("vigil_ingest_received_total", "qos" => qos)),
            acknowledged: counter!("vigil_ingest_acknowledged_total"),
            dropped: counter!("vigil_ingest_dropped_total"),
        }
    }
}

#[derive(Debug)]
pub struct AlertTransition<'a> {
    /// As many as `limits::RULES`.
    pub rule: &'a RuleId,
    pub subject: &'a str,
    pub kind: EventKind,
    pub severity: Severity,
    pub reason: Reason,
}

impl Event for AlertTransition<'_> {
    fn log(&self) {
        info!(target: "vigil::alert",
            rule = self.rule.as_str(),
            subject = self.subject,
            severity = self.severity.name(),
            reason = self.reason.name(),
            "alert {}",
            self.kind.name()
        );
    }

    fn measure(&self) {
        counter!(
            "vigil_alert_transitions_total",
            "rule" => self.rule.as_str().to_owned(),
            "kind" => self.kind.name(),
            "severity" => self.severity.name(),
            "reason" => self.reason.name()
        )
        .increment(1);
    }
}

/// Lifts of one place raised a rule together.
#[derive(Debug)]
pub struct StormBegan<'a> {
    pub rule: &'a RuleId,
    pub group: &'a Group,
}

impl Event for StormBegan<'_> {
    fn log(&self) {
        warn!(target: "vigil::alert",
            rule = self.rule.as_str(),
            scope = self.group.scope.name(),
            place = self.group.place.as_str(),
            lifts = self.group.lifts,
            "many lifts of one place raise a rule together"
        );
    }

    fn measure(&self) {
        counter!("vigil_storms_total", "scope" => self.group.scope.name()).increment(1);
    }
}

/// Upper bounds of histograms, in seconds: from one fsync to what a watchdog would end.
const BUCKETS_S: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What has been measured so far.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error("log.level {filter:?} is not a filter: {error}")]
    Filter { filter: String, error: String },
    #[error("{0} of this process is already set up")]
    Twice(&'static str),
}

impl Metrics {
    /// Makes this process measure. Once a process.
    pub fn install() -> Result<Self, ObserveError> {
        let (recorder, metrics) = Self::build();
        metrics::set_global_recorder(recorder).map_err(|_| ObserveError::Twice("the recorder of metrics"))?;
        describe();
        Ok(metrics)
    }

    fn build() -> (PrometheusRecorder, Self) {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), BUCKETS_S)
            .and_then(incidents::with_buckets)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        (recorder, Self(handle))
    }

    /// In Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// For a page that shows them.
    pub fn handle(&self) -> PrometheusHandle {
        self.0.clone()
    }

    /// To be called every few seconds: until then histograms keep each value, and memory would grow unscraped.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn describe() {
    for metric in METRICS {
        let (name, unit, meaning) = (metric.name, metric.unit.unwrap_or(Unit::Count), metric.meaning);
        match metric.sort {
            Sort::Counter => metrics::describe_counter!(name, unit, meaning),
            Sort::Gauge => metrics::describe_gauge!(name, unit, meaning),
            Sort::Histogram => metrics::describe_histogram!(name, unit, meaning),
        }
    }
}

/// Makes this process log to standard error. Once a process.
pub fn install_log(log: &Log) -> Result<(), ObserveError> {
    let filter = EnvFilter::builder()
        .parse(&log.filter)
        .map_err(|error| ObserveError::Filter { filter: log.filter.clone(), error: error.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for terminals; a file or a log collector would keep them as noise.
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let installed = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    installed.map_err(|_| ObserveError::Twice("the log"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::core::rules::Difference;
    use crate::model::alert::{Cursor, StormScope};
    use crate::model::ids::PlaceId;
    use crate::model::incident::{IncidentId, State, What};
    use crate::model::time::Wall;
    use crate::serve::reloads::Reloaded;

    /// One of each.
    fn emit_all() {
        let rule = RuleId::parse("trapped-reported").unwrap();
        emit(Connected { broker: "127.0.0.1:1883", resumed: true });
        emit(Disconnected { reason: "timeout", detail: "no answer for 30 s" });
        emit(StoreStalled { cause: "connection refused" });
        emit(StoreRecovered { after_ms: 1_500 });
        emit(SnapshotWritten { bytes: 4_096, took_ms: 7 });
        emit(JournalTornTail { journal: "inbox", cut_bytes: 12 });
        emit(RecordSkipped { pos: 41 });
        emit(CoreTookOver { from: 1, to: 2, way: Way::Corrected { epoch: 2, alerts: 3 } });
        let mut tally = Tally { frames: 3, ..Tally::default() };
        tally.note_reject(RejectReason::TooDeep);
        tally.denied = 2;
        emit(JudgedReports { records: 2, tally });
        emit(DownlinksPublished { count: 2 });
        emit(DownlinksDropped { reason: "expired", count: 1 });
        emit(Uploaded { what: "record", outcome: "taken" });
        emit(Uploaded { what: "record", outcome: "taken" });
        emit(StreamDropped { after_ms: 60_000 });
        emit(RulesRefused { by: ReloadedBy::File, actor: "", why: "elevator.toml:1:1: no" });
        let reloaded = Reloaded { version: 2, position: Some(7), difference: Difference::default() };
        emit(RulesReloaded { by: ReloadedBy::Call, actor: "local", reloaded: &reloaded });
        let ingest = IngestCounters::new();
        ingest.received[1].increment(2);
        ingest.acknowledged.increment(2);
        ingest.dropped.increment(1);
        emit(AlertTransition {
            rule: &rule,
            subject: "31305001122014017242",
            kind: EventKind::Opened,
            severity: Severity::Critical,
            reason: Reason::ConditionHeld,
        });
        let (place, began) = (PlaceId::parse("F12").unwrap(), Cursor { epoch: 1, seq: 7 });
        let group = Group { scope: StormScope::Feeder, place, began, began_at: Wall(0), lifts: 5 };
        emit(StormBegan { rule: &rule, group: &group });
        let (target, reason, detail) = ("city", "refused", "status 403");
        emit(NotifyDelivered { target, cursor: began, attempts: 2, after_ms: 700 });
        emit(NotifyAttemptFailed { target, reason: "timed-out", detail, first: true });
        emit(NotifyGivenUp { target, cursor: began, reason, detail });
        emit(NotifyLedgerFailed { target, detail });
        emit(NotifyLedgerSetAside { file: "notify.db", detail, places: 2 });
        emit(NotifyPanicked { target, detail });
        emit(NotifyStands { target, behind: 7, failing: true });
        let incident = IncidentId { epoch: 1, number: 42 };
        emit(IncidentMoved { incident, what: What::Commanded, state: State::Commanded, since_ms: 1_000 });
        emit(IncidentMoved { incident, what: What::Arrived, state: State::Arrived, since_ms: 1_700_000 });
        emit(RescuesRefused { count: 3 });
        emit(NotAdopted { what: "incident", why: "one too many" });
    }

    fn rendered() -> String {
        let (recorder, metrics) = Metrics::build();
        metrics::with_local_recorder(&recorder, || {
            describe();
            emit_all();
        });
        metrics.upkeep();
        metrics.render()
    }

    #[test]
    fn an_event_is_counted_under_its_labels() {
        let text = rendered();
        for line in [
            "vigil_mqtt_connects_total{resumed=\"true\"} 1",
            "vigil_mqtt_disconnects_total{reason=\"timeout\"} 1",
            "vigil_mqtt_connected 0",
            "vigil_rejects_total{reason=\"too-deep\"} 1",
            "vigil_fill_verdicts_total{verdict=\"deny\"} 2",
            "vigil_uploads_total{what=\"record\",outcome=\"taken\"} 2",
            "vigil_downlinks_dropped_total{reason=\"expired\"} 1",
            "vigil_store_stalls_total 1",
            "vigil_store_stalled 0",
            "vigil_snapshot_bytes 4096",
            "vigil_snapshot_seconds_bucket{le=\"0.005\"} 0",
            "vigil_snapshot_seconds_bucket{le=\"0.01\"} 1",
            "vigil_journal_torn_bytes_total{journal=\"inbox\"} 12",
            "vigil_records_skipped_total 1",
            "vigil_rules_reloads_total{by=\"file\",outcome=\"refused\"} 1",
            "vigil_rules_reloads_total{by=\"call\",outcome=\"taken\"} 1",
            "vigil_rules_refused 0",
            "vigil_core_takeovers_total{way=\"corrected\"} 1",
            "vigil_alerts_corrected_total 3",
            "vigil_storms_total{scope=\"feeder\"} 1",
            "vigil_notify_attempts_failed_total{target=\"city\",reason=\"ledger\"} 1",
            "vigil_notify_behind_events{target=\"city\"} 7",
            "vigil_notify_panics_total{target=\"city\"} 1",
            "vigil_notify_ledger_set_aside_total 1",
            "vigil_incident_events_total{what=\"commanded\"} 1",
            "vigil_rescues_refused_total 3",
            "vigil_rescue_seconds_bucket{what=\"arrived\",le=\"1200\"} 0",
            "vigil_rescue_seconds_bucket{what=\"arrived\",le=\"1800\"} 1",
            "vigil_alert_transitions_total{rule=\"trapped-reported\",kind=\"opened\",severity=\"critical\",\
             reason=\"condition-held\"} 1",
        ] {
            assert!(text.lines().any(|got| got == line), "no {line} in\n{text}");
        }
    }

    /// The list, what events really emit, and the page for people name the same metrics.
    #[test]
    fn every_metric_is_listed_and_documented() {
        let text = rendered();
        let told: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter_map(|line| line.split(' ').next())
            .collect();
        let listed: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(told, listed);

        let (page, _) = include_str!("../docs/metrics.md").split_once("## Labels").expect("the page's second part");
        let documented: Vec<String> =
            page.lines().filter(|line| line.starts_with("| `vigil_")).map(str::to_owned).collect();
        let wanted: Vec<String> = METRICS
            .iter()
            .map(|metric| {
                let sort = format!("{:?}", metric.sort).to_lowercase();
                let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
                let labels = if labels.is_empty() { "–".into() } else { labels.join(", ") };
                format!("| `{}` | {sort} | {labels} | {} |", metric.name, metric.meaning)
            })
            .collect();
        assert_eq!(documented, wanted);
    }
}
