//! What goes down to devices.

use super::fill::FillAnswer;
use super::ids::DeviceCode;
use super::incident::IncidentId;
use super::time::{Elapsed, Wall};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downlink {
    Fill(FillAnswer),
    Reassure(Reassure),
}

/// Asks a lift's terminal to reassure whoever is in the car.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassure {
    pub device: DeviceCode,
    pub incident: IncidentId,
    pub issued_at: Wall,
    pub expires_at: Wall,
    /// Not to be sent after this.
    pub good_until: Elapsed,
}

impl Reassure {
    const PREFIX: &str = "reassure-";

    /// What the terminal names in its result. There is one for each incident.
    pub fn id(&self) -> String {
        format!("{}{}", Self::PREFIX, self.incident)
    }

    /// The incident that a result is about; `None`: it is of nothing that was asked.
    pub fn incident_of(id: &str) -> Option<IncidentId> {
        IncidentId::parse(id.strip_prefix(Self::PREFIX)?).ok()
    }
}

impl Downlink {
    pub fn good_until(&self) -> Elapsed {
        match self {
            Self::Fill(answer) => answer.good_until,
            Self::Reassure(reassure) => reassure.good_until,
        }
    }

    pub fn fill(&self) -> Option<&FillAnswer> {
        match self {
            Self::Fill(answer) => Some(answer),
            Self::Reassure(_) => None,
        }
    }

    pub fn reassure(&self) -> Option<&Reassure> {
        match self {
            Self::Fill(_) => None,
            Self::Reassure(reassure) => Some(reassure),
        }
    }
}
