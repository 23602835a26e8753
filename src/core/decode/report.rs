//! The items of a report, as either encoding fills them in.

use std::fmt;

use bytes::Bytes;

use super::identity::BadIdentity;
use super::value::{Broken, Value};
use super::{Items, Rejected, reject};
use crate::limits;
use crate::model::frame::FrameKey;
use crate::model::row::RejectReason;

/// Fields that only JSON has come after those of protobuf, whose numbers are all lower.
pub(super) const JSON_ONLY: u8 = 24;
/// JSON only: RFC 3339, beside `observed_at_ms`.
pub(super) const OBSERVED_AT: u8 = JSON_ONLY;
/// JSON only: a scan's `valid_until`, RFC 3339.
pub(super) const VALID_UNTIL: u8 = JSON_ONLY + 1;
/// JSON only: the device or site, inside an item or beside the list.
pub(super) const OWNER: u8 = JSON_ONLY + 2;
/// JSON only: the list of items.
pub(super) const LIST: u8 = JSON_ONLY + 3;
/// How many fields there may be.
pub(super) const FIELDS: usize = LIST as usize + 1;

/// An item that is being read, field by field.
pub(super) trait Draft: Default {
    type Item;

    /// The names of the fields by their numbers; empty where there is none.
    const NAMES: [&'static str; FIELDS];

    /// Takes one value. `field` has a name, and isn't the owner or the list.
    fn set<'a, V: Value<'a>>(&mut self, field: u8, value: V) -> Result<(), Broken>;

    fn finish(self) -> Result<Self::Item, BadIdentity>;

    fn key(item: &Self::Item) -> FrameKey;
}

/// Where an item stands in its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It is the whole payload.
    Top,
    /// In an array that is the whole payload.
    Array(usize),
    /// In the list of that name.
    List(&'static str, usize),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Array(index) => write!(f, "/{index}"),
            Self::List(name, index) => write!(f, "/{name}/{index}"),
        }
    }
}

/// Collects the items of one report.
pub(super) struct Collector<'p, D: Draft> {
    /// The topic's code, which any code in the payload must equal.
    owner: &'p str,
    payload: &'p Bytes,
    items: Items<D::Item>,
}

impl<'p, D: Draft> Collector<'p, D> {
    pub(super) fn new(owner: &'p str, payload: &'p Bytes) -> Self {
        // Most reports carry one frame; a longer one grows as it is read.
        Self { owner, payload, items: Items { good: Vec::with_capacity(1), ..Items::default() } }
    }

    pub(super) fn finish(mut self) -> Items<D::Item> {
        self.items.good.sort_by_key(D::key);
        self.items
    }

    pub(super) fn payload(&self) -> &'p Bytes {
        self.payload
    }

    pub(super) fn count_unknown(&mut self, fields: u32) {
        self.items.unknown_fields = self.items.unknown_fields.saturating_add(fields);
    }

    /// To be asked before each item is read.
    pub(super) fn has_room_for(&self, at: At) -> Result<(), Rejected> {
        let (list, index) = match at {
            At::Top => return Ok(()),
            At::Array(index) => ("", index),
            At::List(name, index) => (name, index),
        };
        if index < limits::REPORT_ITEMS {
            return Ok(());
        }
        let pointer = if list.is_empty() { String::new() } else { format!("/{list}") };
        let most = limits::REPORT_ITEMS;
        let detail = format!("more than {most} {}: send several reports", D::NAMES[usize::from(LIST)]);
        Err(self.whole(RejectReason::TooMany, pointer, detail))
    }

    /// Takes a finished draft; `bytes` is the part of the payload it was read from.
    pub(super) fn take(&mut self, at: At, bytes: &[u8], draft: Result<D, Broken>) {
        let item = match draft {
            Ok(draft) => draft.finish(),
            Err(broken) => return self.set_aside(RejectReason::UnreadableItem, at.to_string(), broken, bytes),
        };
        match item {
            Ok(item) => self.items.good.push(item),
            Err(BadIdentity { field, want }) => {
                let name = D::NAMES[usize::from(field)];
                let detail = format!("{name} must be {want}");
                self.set_aside(RejectReason::BadIdentity, format!("{at}/{name}"), detail, bytes);
            }
        }
    }

    fn set_aside(&mut self, reason: RejectReason, pointer: String, detail: impl Into<Box<str>>, bytes: &[u8]) {
        let bytes = self.payload.slice_ref(bytes);
        self.items.rejects.push(reject(reason, pointer, detail, &bytes));
    }

    /// Checks a code in the payload. An empty one says nothing; `None` is one that can't be read.
    pub(super) fn check_owner(&self, at: Option<At>, code: Option<&str>) -> Result<(), Rejected> {
        if code.is_some_and(|code| code.is_empty() || code == self.owner) {
            return Ok(());
        }
        let name = D::NAMES[usize::from(OWNER)];
        let pointer = at.map_or_else(|| format!("/{name}"), |at| format!("{at}/{name}"));
        let got: String = code.unwrap_or("no text").chars().take(64).collect();
        let detail = format!("{name} is {got:?}, but the topic says {}: leave it out or send both alike", self.owner);
        Err(self.whole(RejectReason::WrongDevice, pointer, detail))
    }

    pub(super) fn whole(&self, reason: RejectReason, pointer: String, detail: impl Into<Box<str>>) -> Rejected {
        reject(reason, pointer, detail, self.payload)
    }
}
