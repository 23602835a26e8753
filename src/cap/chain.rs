//! Which messages about one alert or incident stand, and so what the next one is and refers to.

use super::{Profile, identifier, text};
use crate::limits;
use crate::model::alert::Cursor;
use crate::model::time::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    Alert,
    Update,
    Cancel,
}

impl MessageKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "Alert",
            Self::Update => "Update",
            Self::Cancel => "Cancel",
        }
    }
}

/// A message that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    pub cursor: Cursor,
    pub sent: Wall,
}

/// The messages that the next one updates or cancels, in order. What comes after a Cancel begins anew.
#[derive(Debug, Clone, Default)]
pub struct Chain(Vec<Earlier>);

impl Chain {
    pub fn push(&mut self, told: Earlier, kind: MessageKind) {
        match kind {
            MessageKind::Cancel => self.0.clear(),
            MessageKind::Alert | MessageKind::Update => self.0.push(told),
        }
        // The first one opened the case and the last ones are what receivers show; those between were superseded long ago.
        if self.0.len() > limits::CAP_REFERENCES {
            self.0.remove(1);
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the next message is; `None`: there is nothing to cancel.
    pub(super) fn next(&self, is_over: bool) -> Option<MessageKind> {
        match (is_over, self.0.is_empty()) {
            (false, true) => Some(MessageKind::Alert),
            (false, false) => Some(MessageKind::Update),
            (true, false) => Some(MessageKind::Cancel),
            (true, true) => None,
        }
    }

    /// `sender,identifier,sent` of each, separated by spaces.
    pub(super) fn references(&self, profile: &Profile, stream: &str) -> Option<String> {
        let one = |earlier: &Earlier| {
            let identifier = identifier(&profile.instance, stream, earlier.cursor);
            format!("{},{identifier},{}", profile.sender, text::time(earlier.sent, &profile.zone))
        };
        let all: Vec<String> = self.0.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }
}
