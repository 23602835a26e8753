//! Source profiles: how the feeds of other vendors become frames, as data. `docs/profiles.md` is their language.
//!
//! A vendor's value is written as the wire contract would have it and taken as such, so that ranges, bounds and what
//! becomes of bad values are decided where they are for our own devices.

mod apply;
mod filter;
mod read;
mod value;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::value::Convert;
use super::{Rejected, is_own};
use crate::core::rules::RuleFault;
use crate::model::frame::Frame;
use crate::model::ids::DeviceCode;

/// What the names of profiles begin with among the files of a policy.
pub const PROFILES_FOLDER: &str = "profiles/";

/// All profiles in force.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profiles(Vec<Profile>);

impl Profiles {
    /// Reads those of a policy's files, given as (name, text), that are profiles. Without `prefix` it isn't looked
    /// whether they take topics of our own.
    pub fn parse(prefix: Option<&str>, files: &[(Box<str>, Box<str>)]) -> Result<Self, Vec<RuleFault>> {
        read::parse(prefix, files).map(Self)
    }

    /// The one that a message of that topic is for. Topics of our own are nobody's.
    pub fn find(&self, prefix: &str, topic: &str) -> Option<&Profile> {
        if self.0.is_empty() || is_own(prefix, topic) {
            return None;
        }
        self.0.iter().find(|profile| filter::takes(&profile.topic, topic))
    }

    pub fn all(&self) -> &[Profile] {
        &self.0
    }
}

/// One vendor's feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub name: Box<str>,
    /// An MQTT topic filter.
    pub topic: Box<str>,
    /// The longest time between two records of a healthy device.
    pub keep_alive_s: u16,
    /// Where the list of records is; `None`: the message is one, or an array of them.
    records: Option<Box<str>>,
    device: Device,
    key: Key,
    points: Option<Points>,
    fields: Vec<Field>,
    /// By name.
    extras: Vec<(Box<str>, Field)>,
    codes: Vec<Codes>,
}

impl Profile {
    /// Makes frames of a message. Takes any bytes, never panics, and works for a time that is bounded by
    /// `limits::PAYLOAD_BYTES`.
    pub fn decode(&self, topic: &str, payload: &Bytes) -> Feed {
        apply::decode(self, topic, payload)
    }

    /// How its records are told apart, for people.
    pub fn key(&self) -> &'static str {
        match self.key {
            Key::Counted => "counted by the device",
            Key::MessageId(_) => "by message id",
            Key::Record => "by time and content",
        }
    }

    /// How many fields, extras and lists of codes it maps.
    pub fn len(&self) -> (usize, usize, usize) {
        (self.fields.len(), self.extras.len(), self.codes.len())
    }
}

/// What a message of a feed came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Feed {
    /// By device, then by key, then as they were sent.
    pub frames: Vec<(DeviceCode, Mapped)>,
    pub rejects: Vec<Rejected>,
}

/// A frame that was made of a vendor's record.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    pub frame: Frame,
    /// What the record is known by where nobody counts: then the frame's key is yet to be given to it.
    pub id: Option<u64>,
}

/// Where the device code comes from.
#[derive(Debug, Clone, PartialEq)]
enum Device {
    /// A level of the topic, from 1.
    Level(usize),
    At(Source),
}

/// What tells records apart.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    /// `seq`, and `boot` if there is one, are fields.
    Counted,
    MessageId(Source),
    /// The time observed, and a hash of the record.
    Record,
}

/// Where a value stands. Pointers are RFC 6901.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Record(Box<str>),
    /// From the top of the message.
    Message(Box<str>),
    /// The value of the point with that label.
    Point(Box<str>),
    Nowhere,
}

/// A list of {label, value} in each record.
#[derive(Debug, Clone, PartialEq)]
struct Points {
    list: Box<str>,
    label: Box<str>,
    value: Box<str>,
}

/// How one field of a frame is filled.
#[derive(Debug, Clone, PartialEq)]
struct Field {
    /// As the wire contract numbers it.
    number: u8,
    source: Source,
    convert: Convert,
    /// As JSON. Of a constant, what it is.
    default: Option<Box<str>>,
    required: bool,
}

/// How a list of codes is read, and where they go.
#[derive(Debug, Clone, PartialEq)]
struct Codes {
    source: Source,
    /// Between the codes of one text.
    split: Option<Box<str>>,
    /// Of the code inside each element.
    code: Option<Box<str>>,
    state: Option<State>,
    /// The list for what becomes a code.
    into: u8,
    /// By the vendor's code; `None`: the codes are ours.
    map: Option<Vec<(Box<str>, Target)>>,
    /// Deliberately unmapped, or somebody else's: ascending.
    ignore: Vec<Box<str>>,
    required: bool,
}

/// The field that says whether a code stands or is over.
#[derive(Debug, Clone, PartialEq)]
struct State {
    pointer: Box<str>,
    /// What its values mean, ascending.
    values: Vec<(Box<str>, Standing)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Active,
    Cleared,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Code(u32),
    Condition(Box<str>),
}
