//! Every metric there is.

use metrics::Unit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Counter,
    Gauge,
    Histogram,
}

/// A metric as Prometheus shows it; `docs/metrics.md` says the same, and a test compares them.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub sort: Sort,
    pub unit: Option<Unit>,
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
}

const fn counts(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, sort: Sort::Counter, unit: None, labels, meaning }
}

const fn stands(name: &'static str, unit: Option<Unit>, meaning: &'static str) -> Metric {
    Metric { name, sort: Sort::Gauge, unit, labels: &[], meaning }
}

const fn stands_for(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, sort: Sort::Gauge, unit: None, labels, meaning }
}

const fn takes(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, sort: Sort::Histogram, unit: Some(Unit::Seconds), labels, meaning }
}

/// Every metric there is. One that isn't here is shown without a description, and the test of this list fails.
pub const METRICS: &[Metric] = &[
    counts("vigil_mqtt_connects_total", &["resumed"], "Sessions with the broker begun"),
    counts("vigil_mqtt_disconnects_total", &["reason"], "Sessions with the broker ended"),
    stands("vigil_mqtt_connected", None, "1 while a session with the broker is up"),
    counts("vigil_ingest_received_total", &["qos"], "Messages that the broker sent us"),
    counts("vigil_ingest_acknowledged_total", &[], "Messages acknowledged to the broker"),
    counts("vigil_ingest_dropped_total", &[], "Messages of QoS 0 that there was no room for"),
    counts("vigil_rejects_total", &["reason"], "Reports, frames and scans set aside"),
    counts("vigil_store_stalls_total", &[], "Times that the store stopped taking rows"),
    stands("vigil_store_stalled", None, "1 while the store takes nothing"),
    stands("vigil_snapshot_bytes", Some(Unit::Bytes), "Size of the newest snapshot"),
    takes("vigil_snapshot_seconds", &[], "Time to write a snapshot"),
    counts("vigil_journal_torn_bytes_total", &["journal"], "Unfinished bytes cut off a journal at a start"),
    counts("vigil_records_skipped_total", &[], "Records that made the core fail"),
    counts("vigil_core_takeovers_total", &["way"], "Starts on the journals of another version of the core"),
    counts("vigil_alerts_corrected_total", &[], "Alerts told otherwise by a new version of the core"),
    counts("vigil_records_judged_total", &[], "Records of the inbox judged"),
    counts("vigil_items_total", &["what"], "Frames and scans that came in, by what became of them"),
    counts("vigil_unknown_fields_total", &[], "Fields that the wire contract doesn't know"),
    counts("vigil_fill_verdicts_total", &["verdict"], "Fill requests answered, by the answer"),
    counts("vigil_downlinks_published_total", &[], "Answers and commands to devices that went to the broker"),
    counts("vigil_downlinks_dropped_total", &["reason"], "Answers and commands to devices that were not sent, by why"),
    counts("vigil_messages_ignored_total", &[], "Messages that nobody waits for"),
    counts(
        "vigil_uploads_total",
        &["what", "outcome"],
        "Records and reports that were uploaded, by what became of them",
    ),
    counts("vigil_streams_dropped_total", &[], "Streams ended because their client took nothing"),
    counts("vigil_rules_reloads_total", &["by", "outcome"], "Times that the rule files were read again"),
    stands("vigil_rules_refused", None, "1 while the rule files were refused and those before are in force"),
    counts("vigil_storms_total", &["scope"], "Times that lifts of one place raised a rule together"),
    counts("vigil_incident_events_total", &["what"], "What happened to rescue incidents"),
    takes("vigil_rescue_seconds", &["what"], "Time from the alert or call to what was reached"),
    counts("vigil_rescues_refused_total", &[], "Alerts and calls that would have begun one rescue more than are taken"),
    counts(
        "vigil_recover_refused_total",
        &["what"],
        "What a recovery found in the store and the journals did not take",
    ),
    counts("vigil_notify_delivered_total", &["target"], "Events that a target of notifications took"),
    counts(
        "vigil_notify_attempts_failed_total",
        &["target", "reason"],
        "Attempts to tell a target that failed; another one follows",
    ),
    counts("vigil_notify_given_up_total", &["target", "reason"], "Events that a target will not be told any more"),
    counts("vigil_notify_panics_total", &["target"], "Times that what tells a target failed by a fault of ours"),
    counts("vigil_notify_ledger_set_aside_total", &[], "Times that `notify.db` was found damaged and begun anew"),
    stands_for(
        "vigil_notify_behind_events",
        &["target"],
        "Events that a target is not through with, whether it wants them or not",
    ),
    stands_for("vigil_notify_failing", &["target"], "1 while the last attempt to tell a target has failed"),
    counts("vigil_alert_transitions_total", &["rule", "kind", "severity", "reason"], "What happened to alerts"),
];
