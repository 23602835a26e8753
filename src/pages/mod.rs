//! What the core has published, readable without the database.

mod board;
mod filter;
mod incidents;

pub use board::{Board, Gap, Listing, Place};
pub use filter::Filter;
pub use incidents::{IncidentFilter, IncidentListing, IncidentPlace, Incidents};

use crate::model::alert::{AlertEvent, Cursor};
use crate::model::incident::IncidentEvent;

/// An event with a number of its own.
pub trait Told: Clone + Send + Sync + 'static {
    fn cursor(&self) -> Cursor;
}

/// What events come to, for reading.
pub trait Page<E>: Send + Sync {
    /// The last event that it knows.
    fn cursor(&self) -> Cursor;
    /// Takes events in order; those it knows already are passed over.
    fn apply(&self, events: &[E]) -> Result<(), Gap>;
}

impl Told for AlertEvent {
    fn cursor(&self) -> Cursor {
        AlertEvent::cursor(self)
    }
}

impl Told for IncidentEvent {
    fn cursor(&self) -> Cursor {
        IncidentEvent::cursor(self)
    }
}
