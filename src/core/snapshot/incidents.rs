//! Incidents, from the generated types.

use bytes::Bytes;
use prost::Message as _;

use super::read::bounded;
use super::subject::{Rules, span};
use crate::core::dispatch::{Dispatch, Kept, machine};
use crate::limits;
use crate::model::incident::{IncidentId, What};
use crate::model::time::Elapsed;
use crate::proto::internal as wire;
use crate::proto::read::{CodecError, Result, each};
use crate::proto::{incident, internal};

pub(super) fn read(state: Option<wire::DispatchState>, incidents: Vec<Bytes>, rules: Rules) -> Result<Dispatch> {
    bounded(incidents.len(), limits::INCIDENTS + limits::INCIDENTS_OVER)?;
    let state = state.unwrap_or_default();
    let mut dispatch = Dispatch::after(state.seq, state.number);
    for bytes in incidents {
        let kept = kept(internal::IncidentState::decode(bytes)?, rules)?;
        if dispatch.get(&kept.incident.id).is_some() {
            return Err(CodecError::Unfit("an incident is in it twice"));
        }
        dispatch.put(kept);
    }
    Ok(dispatch)
}

/// How it stands is what its timeline comes to.
fn kept(it: wire::IncidentState, rules: Rules) -> Result<Kept> {
    let id = IncidentId::parse(&it.id)?;
    let timeline = each(it.timeline, incident::entry)?;
    let (first, rest) = match timeline.split_first() {
        Some((first, rest)) if first.what == What::Received => (first, rest),
        _ => return Err(CodecError::Unfit("an incident doesn't begin with how it was received")),
    };
    let mut incident = machine::begin(id, first);
    for entry in rest {
        span(entry.since_ms)?;
        machine::take(&mut incident, entry);
    }
    Ok(Kept { incident, received: Elapsed(span(it.received_ms)?), timeline, runs: rules.runs(it.runs)? })
}
