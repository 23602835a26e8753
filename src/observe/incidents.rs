//! Rescues.

use metrics::{counter, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use tracing::{error, info};

use super::Event;
use crate::limits;
use crate::model::incident::{IncidentId, State, What};

/// Upper bounds for the time of rescues: from a minute to twice what is allowed where it takes longest.
const BUCKETS_S: &[f64] = &[60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1_200.0, 1_800.0, 2_700.0, 3_600.0, 7_200.0];

pub(super) fn with_buckets(builder: PrometheusBuilder) -> Result<PrometheusBuilder, BuildError> {
    builder.set_buckets_for_metric(Matcher::Full("vigil_rescue_seconds".into()), BUCKETS_S)
}

/// Something happened to a rescue.
#[derive(Debug)]
pub struct IncidentMoved {
    pub incident: IncidentId,
    pub what: What,
    pub state: State,
    pub since_ms: i64,
}

impl Event for IncidentMoved {
    fn log(&self) {
        info!(target: "vigil::incident",
            incident = %self.incident,
            what = self.what.name(),
            state = self.state.name(),
            since_ms = self.since_ms,
            "a rescue moved"
        );
    }

    fn measure(&self) {
        counter!("vigil_incident_events_total", "what" => self.what.name()).increment(1);
        if matches!(self.what, What::Accepted | What::Arrived | What::Freed) {
            histogram!("vigil_rescue_seconds", "what" => self.what.name()).record(self.since_ms as f64 / 1_000.0);
        }
    }
}

/// As many rescues stand as are taken: alerts or calls that should have begun one did not.
#[derive(Debug)]
pub struct RescuesRefused {
    pub count: u32,
}

impl Event for RescuesRefused {
    fn log(&self) {
        error!(target: "vigil::incident",
            count = self.count,
            most = limits::INCIDENTS,
            "no more rescues are taken: close those that are over, then take down by OpenIncident (vigil call) what open \
             alerts have no rescue of"
        );
    }

    fn measure(&self) {
        counter!("vigil_rescues_refused_total").increment(self.count.into());
    }
}

/// Something that the store has was not taken by the journals that lack it.
#[derive(Debug)]
pub struct NotAdopted<'a> {
    pub what: &'static str,
    pub why: &'a str,
}

impl Event for NotAdopted<'_> {
    fn log(&self) {
        error!(target: "vigil::recover",
            what = self.what,
            why = self.why,
            "what the store has was not taken: look it up there (vigil trace, vigil incidents --from), and enter by hand what \
             is still missing; a rescue that goes on by vigil call"
        );
    }

    fn measure(&self) {
        counter!("vigil_recover_refused_total", "what" => self.what).increment(1);
    }
}
