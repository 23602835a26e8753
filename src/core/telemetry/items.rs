//! Codes and conditions, and which of them rules wait for.

use crate::core::rules::{CodeList, CodeTerm};
use crate::model::frame::{Frame, Listed};

/// A list of a frame whose active set is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Set {
    Faults,
    Alarms,
    Conditions,
}

/// Codes before conditions, so that looking a code up compares no text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Fault(u32),
    Alarm(u32),
    Condition(Box<str>),
}

impl Item {
    pub(super) fn set(&self) -> Set {
        match self {
            Self::Fault(_) => Set::Faults,
            Self::Alarm(_) => Set::Alarms,
            Self::Condition(_) => Set::Conditions,
        }
    }

    pub(super) fn term(&self) -> CodeTerm {
        match self {
            Self::Fault(code) => CodeTerm::Code(CodeList::Fault, *code),
            Self::Alarm(code) => CodeTerm::Code(CodeList::Alarm, *code),
            Self::Condition(name) => CodeTerm::Condition(name.clone()),
        }
    }

    /// The term by which a rule waits for it.
    pub(super) fn is_waited_for_by(&self, term: &CodeTerm) -> bool {
        match (self, term) {
            (Self::Fault(code), CodeTerm::Code(CodeList::Any | CodeList::Fault, wanted)) => code == wanted,
            (Self::Alarm(code), CodeTerm::Code(CodeList::Any | CodeList::Alarm, wanted)) => code == wanted,
            (Self::Condition(name), CodeTerm::Condition(wanted)) => name == wanted,
            _ => false,
        }
    }
}

/// Whether a frame carries something that a rule waits for.
pub fn carries(frame: &Frame, raising: &[CodeTerm]) -> bool {
    raising.iter().any(|term| match term {
        CodeTerm::Code(list, code) => {
            let among = |wanted: CodeList, codes: &Listed<u32>| {
                (*list == CodeList::Any || *list == wanted) && codes.items.binary_search(code).is_ok()
            };
            among(CodeList::Fault, &frame.faults)
                || among(CodeList::Alarm, &frame.alarms)
                || among(CodeList::Event, &frame.events)
        }
        CodeTerm::Condition(name) => frame.conditions.items.binary_search(name).is_ok(),
    })
}

/// Whether a frame brings an event that a rule waits for.
pub fn brings_event(frame: &Frame, raising: &[CodeTerm]) -> bool {
    raising.iter().any(|term| match term {
        CodeTerm::Code(CodeList::Any | CodeList::Event, code) => frame.events.items.binary_search(code).is_ok(),
        _ => false,
    })
}

/// Whether one of `items` is something that a rule waits for.
pub fn waited_for(items: &[Item], raising: &[CodeTerm]) -> bool {
    items.iter().any(|item| raising.iter().any(|term| item.is_waited_for_by(term)))
}
