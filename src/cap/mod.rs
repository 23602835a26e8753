//! Alerts and rescues as messages of the Common Alerting Protocol (OASIS CAP 1.2), for other alerting systems.
//!
//! Pure: an event, what is known of its place and the messages before it go in, XML comes out. `docs/cap.md` has the tables
//! of what becomes of our terms.

mod chain;
mod describe;
mod terms;
mod text;
mod write;

use jiff::tz::TimeZone;

pub use self::chain::{Chain, Earlier, MessageKind};
use crate::config::Config;
use crate::model::alert::{AlertEvent, AlertState, Cursor};
use crate::model::archive::Position;
use crate::model::incident::IncidentEvent;
use crate::model::time::Wall;

/// What the messages of this service have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The service's name at its broker; with it identifiers are unique among several services of one sender.
    pub instance: Box<str>,
    /// Globally unique; no spaces, no commas, no `<` and no `&`.
    pub sender: Box<str>,
    pub status: Status,
    /// Who may see the messages, in words.
    pub restriction: Box<str>,
    pub sender_name_zh: Option<Box<str>>,
    pub sender_name_en: Option<Box<str>>,
    pub web: Option<Box<str>>,
    pub contact: Option<Box<str>>,
    /// How long a message is good; `None`: until another one says otherwise.
    pub expires_ms: Option<i64>,
    /// In which times are written.
    pub zone: TimeZone,
}

impl Profile {
    pub fn of(config: &Config) -> Self {
        let cap = &config.cap;
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        Self {
            instance: config.service.instance.as_str().into(),
            sender: cap.sender.as_str().into(),
            status: cap.status,
            restriction: cap.restriction.as_str().into(),
            sender_name_zh: text(&cap.sender_name_zh),
            sender_name_en: text(&cap.sender_name_en),
            web: text(&cap.web),
            contact: text(&cap.contact),
            expires_ms: cap.expires_ms,
            // It was looked up when the configuration was checked.
            zone: TimeZone::get(&config.service.zone).unwrap_or(TimeZone::UTC),
        }
    }
}

/// What messages are for, as CAP names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Actual,
    Exercise,
    System,
    Test,
    Draft,
}

impl Status {
    pub const ALL: &'static [Self] = &[Self::Actual, Self::Exercise, Self::System, Self::Test, Self::Draft];

    pub fn name(self) -> &'static str {
        match self {
            Self::Actual => "Actual",
            Self::Exercise => "Exercise",
            Self::System => "System",
            Self::Test => "Test",
            Self::Draft => "Draft",
        }
    }
}

/// What the archive has on a place beyond what the event says itself. All of it may be unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    pub position: Option<Position>,
    pub rescue_code: Option<Box<str>>,
}

/// One event of either stream.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    Alert(&'a AlertEvent),
    Incident(&'a IncidentEvent),
}

impl Told<'_> {
    pub fn stream(&self) -> &'static str {
        match self {
            Self::Alert(_) => "alert",
            Self::Incident(_) => "incident",
        }
    }

    pub fn cursor(&self) -> Cursor {
        match self {
            Self::Alert(event) => event.cursor(),
            Self::Incident(event) => event.cursor(),
        }
    }

    /// When it was told.
    pub fn at(&self) -> Wall {
        match self {
            Self::Alert(event) => event.published_at,
            Self::Incident(event) => event.entry.at,
        }
    }

    /// What the message belongs to: those of one name refer to each other.
    pub fn of(&self) -> String {
        match self {
            Self::Alert(event) => event.alert.id.to_string(),
            Self::Incident(event) => event.incident.id.to_string(),
        }
    }

    /// There is nothing more to be done about it.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Alert(event) => event.alert.state == AlertState::Cleared,
            Self::Incident(event) => event.incident.state.is_over(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub identifier: String,
    pub kind: MessageKind,
    pub sent: Wall,
    pub xml: String,
}

/// The identifier of the message that tells of one event: the same whenever it is told again.
pub fn identifier(instance: &str, stream: &str, cursor: Cursor) -> String {
    format!("{instance}.{stream}.{}.{}", cursor.epoch, cursor.seq)
}

/// The message for an event, or `None` if there is nothing to tell: it says that something is over of which whoever reads the
/// chain was told nothing.
pub fn message(profile: &Profile, told: Told<'_>, site: &Site, chain: &Chain) -> Option<Message> {
    let kind = chain.next(told.is_over())?;
    let identifier = identifier(&profile.instance, told.stream(), told.cursor());
    let references = chain.references(profile, told.stream());
    let content = describe::content(profile, told, site);
    let xml = write::alert(profile, &identifier, told.at(), kind, references.as_deref(), &content);
    Some(Message { identifier, kind, sent: told.at(), xml })
}

/// All messages about one alert or incident, from its events in order.
pub fn messages<'a>(profile: &Profile, events: impl IntoIterator<Item = Told<'a>>, site: &Site) -> Vec<Message> {
    let mut chain = Chain::default();
    let mut messages = Vec::new();
    for told in events {
        if let Some(message) = message(profile, told, site, &chain) {
            chain.push(Earlier { cursor: told.cursor(), sent: told.at() }, message.kind);
            messages.push(message);
        }
    }
    messages
}

#[cfg(test)]
#[path = "../../tests/support/cap.rs"]
mod rules;
#[cfg(test)]
mod tests;
