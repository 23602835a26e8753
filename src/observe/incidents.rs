//! Rescues.

use metrics::{counter, histogram};
use tracing::info;

use super::Event;
use crate::model::incident::{IncidentId, State, What};

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
