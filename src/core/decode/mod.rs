//! From a topic and a payload to frames and scans. `docs/devices.md` is the contract this keeps.
//!
//! A bad field costs that field, a bad identity that item, and only what can't be told apart costs the report. Both
//! encodings meet in [`value::Value`], so that what is taken, and what is not, is decided once.

use bytes::Bytes;

use crate::limits;
use crate::model::frame::Frame;
use crate::model::ids::{DeviceCode, SiteCode};
use crate::model::row::RejectReason;
use crate::model::scan::Scan;

mod elevator;
mod identity;
mod json;
pub mod profile;
mod protobuf;
mod raw;
mod report;
mod rfc3339;
mod scan;
mod topic;
mod value;

#[cfg(test)]
mod tests;

use elevator::FrameDraft;
use report::Draft;
use scan::ScanDraft;
use topic::Topic;

/// What a message came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    Frames {
        device: DeviceCode,
        items: Items<Frame>,
    },
    Scans {
        site: SiteCode,
        items: Items<Scan>,
    },
    Status {
        device: DeviceCode,
        online: bool,
    },
    /// What became of a command.
    CommandResult {
        device: DeviceCode,
        /// 1 to 64 characters.
        id: Box<str>,
        ok: bool,
    },
    /// The message is set aside whole.
    Rejected(Rejected),
}

/// Whether a message of that topic is about this lift. Those that can't be told are about none.
pub fn is_of(prefix: &str, topic: &str, device: &DeviceCode) -> bool {
    // Most are of others, and most of those end here.
    topic.contains(device.as_str())
        && matches!(topic::parse(prefix, topic),
            Ok(Topic::Report(of) | Topic::Status(of) | Topic::Result(of)) if of == *device)
}

/// The lift whose report has that topic, if it is one.
pub fn reporter(prefix: &str, topic: &str) -> Option<DeviceCode> {
    match topic::parse(prefix, topic) {
        Ok(Topic::Report(device)) => Some(device),
        _ => None,
    }
}

/// Whether a topic is among those that are ours, whatever it says.
fn is_own(prefix: &str, topic: &str) -> bool {
    match prefix {
        "" => ["elevator", "cylinder", "service"].contains(&topic.split('/').next().unwrap_or_default()),
        _ => topic.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// The frames or scans of one report.
#[derive(Debug, Clone, PartialEq)]
pub struct Items<T> {
    /// By (boot, seq); those with equal keys as they were sent.
    pub good: Vec<T>,
    /// As they were sent.
    pub rejects: Vec<Rejected>,
    /// Fields that the contract doesn't know, in all of the report.
    pub unknown_fields: u32,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { good: Vec::new(), rejects: Vec::new(), unknown_fields: 0 }
    }
}

/// A message, or one item of it, that is set aside.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    pub reason: RejectReason,
    /// JSON pointer from the top of the payload to what is wrong; empty for the whole. The items of a protobuf report
    /// are named as those of a JSON one: `/frames/3/seq`.
    pub pointer: Box<str>,
    /// For the people who build the device. Holds no NUL.
    pub detail: Box<str>,
    /// The item where it can be told apart, else the whole payload.
    pub payload: Bytes,
}

/// Reads one message. `prefix` is the first levels of our topics, without a slash at the end.
///
/// Takes any topic and any bytes, never panics, and works for a time that is bounded by `limits::PAYLOAD_BYTES`.
pub fn decode(prefix: &str, topic: &str, payload: &Bytes) -> Decoded {
    read(prefix, topic, payload).unwrap_or_else(Decoded::Rejected)
}

fn read(prefix: &str, topic: &str, payload: &Bytes) -> Result<Decoded, Rejected> {
    let topic = topic::parse(prefix, topic).map_err(|detail| reject(RejectReason::BadTopic, "", detail, payload))?;
    if payload.len() > limits::PAYLOAD_BYTES {
        let detail = format!("{} bytes; the most is {}: send smaller reports", payload.len(), limits::PAYLOAD_BYTES);
        return Err(reject(RejectReason::TooLarge, "", detail, &payload.slice(..limits::PAYLOAD_BYTES)));
    }
    match topic {
        Topic::Report(device) => Ok(Decoded::Frames { items: report::<FrameDraft>(device.as_str(), payload)?, device }),
        Topic::Scan(site) => Ok(Decoded::Scans { items: report::<ScanDraft>(site.as_str(), payload)?, site }),
        Topic::Status(device) => Ok(Decoded::Status { device, online: status(payload)? }),
        Topic::Result(device) => {
            let (id, ok) = json::command_result(payload)?;
            Ok(Decoded::CommandResult { device, id, ok })
        }
    }
}

fn report<D: Draft>(owner: &str, payload: &Bytes) -> Result<Items<D::Item>, Rejected> {
    match payload.first() {
        // No report of ours in protobuf begins with these: they would open field 15 or 11 as a group.
        Some(b'{' | b'[') => json::report::<D>(owner, payload),
        Some(_) => protobuf::report::<D>(owner, payload),
        None => Ok(Items::default()),
    }
}

fn status(payload: &Bytes) -> Result<bool, Rejected> {
    match payload.as_ref() {
        b"online" => Ok(true),
        b"offline" => Ok(false),
        _ => Err(reject(RejectReason::Unreadable, "", "a status is the text online or offline, nothing else", payload)),
    }
}

fn reject(
    reason: RejectReason,
    pointer: impl Into<Box<str>>,
    detail: impl Into<Box<str>>,
    payload: &Bytes,
) -> Rejected {
    Rejected { reason, pointer: pointer.into(), detail: detail.into(), payload: payload.clone() }
}
