//! The numbered events that a target is told of: those of alerts or those of incidents.

use std::sync::Arc;

use tokio::sync::watch;

use crate::cap::Told;
use crate::feed::{Feed, ReadError};
use crate::model::alert::{AlertEvent, Cursor};
use crate::model::incident::IncidentEvent;

#[derive(Clone)]
pub enum Source {
    Alerts(Arc<Feed>),
    Incidents(Arc<Feed<IncidentEvent>>),
}

#[derive(Debug, Clone)]
pub(super) enum Event {
    Alert(Arc<AlertEvent>),
    Incident(Arc<IncidentEvent>),
}

impl Event {
    pub(super) fn told(&self) -> Told<'_> {
        match self {
            Self::Alert(event) => Told::Alert(event),
            Self::Incident(event) => Told::Incident(event),
        }
    }
}

impl Source {
    pub(super) fn head(&self) -> Cursor {
        match self {
            Self::Alerts(feed) => feed.head(),
            Self::Incidents(feed) => feed.head(),
        }
    }

    pub(super) fn heads(&self) -> watch::Receiver<Cursor> {
        match self {
            Self::Alerts(feed) => feed.heads(),
            Self::Incidents(feed) => feed.heads(),
        }
    }

    pub(super) async fn read(&self, after: Cursor, limit: usize) -> Result<Vec<Event>, ReadError> {
        Ok(match self {
            Self::Alerts(feed) => feed.read(after, limit).await?.into_iter().map(Event::Alert).collect(),
            Self::Incidents(feed) => feed.read(after, limit).await?.into_iter().map(Event::Incident).collect(),
        })
    }

    /// The same of an epoch that is over.
    pub(super) async fn read_past(&self, after: Cursor, limit: usize) -> Result<Vec<Event>, ReadError> {
        Ok(match self {
            Self::Alerts(feed) => feed.read_past(after, limit).await?.into_iter().map(Event::Alert).collect(),
            Self::Incidents(feed) => feed.read_past(after, limit).await?.into_iter().map(Event::Incident).collect(),
        })
    }

    /// Whether what follows on a cursor can be read.
    pub(super) async fn check(&self, after: Cursor) -> Result<(), ReadError> {
        self.read(after, 1).await.map(|_| ())
    }
}
