//! A message of a feed, turned into frames by its profile.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::elevator::{ALARMS, CLEARED, CONDITIONS, EVENTS, EXTRAS, FAULTS, FrameDraft};
use super::super::identity::{BOOT, BadIdentity, OBSERVED_AT_MS, SEQ};
use super::super::raw::Raw;
use super::super::report::Draft as _;
use super::super::value::Broken;
use super::super::{Rejected, json, reject};
use super::value::{UNREADABLE, label};
use super::{Codes, Device, Feed, Field, Key, Mapped, Points, Profile, Source, Standing, State, Target};
use crate::core::telemetry::derived;
use crate::limits;
use crate::model::ids::DeviceCode;
use crate::model::row::RejectReason;

pub(super) fn decode(profile: &Profile, topic: &str, payload: &Bytes) -> Feed {
    let mut feed = Feed::default();
    if let Err(rejected) = read(profile, topic, payload, &mut feed) {
        return Feed { rejects: vec![rejected], ..Feed::default() };
    }
    feed.frames.sort_by(|(a, one), (b, other)| a.cmp(b).then(one.frame.key.cmp(&other.frame.key)));
    feed
}

/// An error costs the whole message.
fn read(profile: &Profile, topic: &str, payload: &Bytes, feed: &mut Feed) -> Result<(), Rejected> {
    if payload.len() > limits::PAYLOAD_BYTES {
        let detail = format!("{} bytes; the most is {}: send smaller messages", payload.len(), limits::PAYLOAD_BYTES);
        return Err(reject(RejectReason::TooLarge, "", detail, &payload.slice(..limits::PAYLOAD_BYTES)));
    }
    if payload.is_empty() {
        return Ok(());
    }
    let text = json::checked_text(payload)?;
    let message: Value = serde_json::from_str(text).map_err(|error| json::unreadable(error, payload))?;
    let (list, base) = match &profile.records {
        Some(pointer) => match message.pointer(pointer) {
            Some(Value::Array(list)) => (list.as_slice(), Some(&**pointer)),
            found => {
                let what = if found.is_some() { "is no list" } else { "is not there" };
                let detail = format!("the list of records {what}: profile {} has records = {pointer:?}", profile.name);
                return Err(reject(RejectReason::ProfileMisfit, &**pointer, detail, payload));
            }
        },
        None => match &message {
            Value::Array(list) => (list.as_slice(), Some("")),
            _ => (std::slice::from_ref(&message), None),
        },
    };
    if list.len() > limits::REPORT_ITEMS {
        let detail = format!("more than {} records: send several messages", limits::REPORT_ITEMS);
        return Err(reject(RejectReason::TooMany, base.unwrap_or_default(), detail, payload));
    }
    for (nth, record) in list.iter().enumerate() {
        let at = base.map_or_else(String::new, |base| format!("{base}/{nth}"));
        let one = One { profile, topic, message: &message, record, points: points(profile.points.as_ref(), record) };
        match one.frame() {
            Ok(frame) => feed.frames.push(frame),
            Err(misfit) => {
                // Who sees it has to find it again: a record that is the message is told as it came.
                let bytes = base.map_or_else(|| payload.clone(), |_| Bytes::from(record.to_string()));
                feed.rejects.push(misfit.of(profile, &at, &bytes));
            }
        }
    }
    Ok(())
}

/// What didn't fit, and where.
struct Misfit {
    reason: RejectReason,
    source: Source,
    detail: String,
}

impl Misfit {
    fn of(self, profile: &Profile, at: &str, bytes: &Bytes) -> Rejected {
        let pointer = match &self.source {
            Source::Record(pointer) => format!("{at}{pointer}"),
            Source::Message(pointer) => pointer.to_string(),
            Source::Point(_) => format!("{at}{}", profile.points.as_ref().map_or("", |points| &points.list)),
            Source::Nowhere => at.to_owned(),
        };
        let detail = format!("{} (profile {})", self.detail, profile.name).replace('\0', "\u{fffd}");
        reject(self.reason, pointer, detail, bytes)
    }
}

/// One record.
struct One<'a> {
    profile: &'a Profile,
    topic: &'a str,
    message: &'a Value,
    record: &'a Value,
    points: BTreeMap<String, &'a Value>,
}

/// Of a label that is there twice the last counts.
fn points<'a>(points: Option<&Points>, record: &'a Value) -> BTreeMap<String, &'a Value> {
    let Some(Points { list, label: at, value }) = points else { return BTreeMap::new() };
    let elements = record.pointer(list).and_then(Value::as_array);
    let entry = |element: &'a Value| Some((label(element.pointer(at)?)?, element.pointer(value)?));
    elements.into_iter().flatten().filter_map(entry).collect()
}

impl<'a> One<'a> {
    fn find(&self, source: &Source) -> Option<&'a Value> {
        let found = match source {
            Source::Record(pointer) => self.record.pointer(pointer),
            Source::Message(pointer) => self.message.pointer(pointer),
            Source::Point(label) => self.points.get(&**label).copied(),
            Source::Nowhere => None,
        };
        found.filter(|value| !value.is_null())
    }

    fn misfit(&self, source: &Source, what: &str) -> Misfit {
        let label = if let Source::Point(label) = source { format!("point {label:?}: ") } else { String::new() };
        let why = if self.find(source).is_some() { "is neither a text nor a number" } else { "is not there" };
        Misfit {
            reason: RejectReason::ProfileMisfit,
            source: source.clone(),
            detail: format!("{label}what {what} is read from {why}"),
        }
    }

    fn missing(&self, source: &Source, what: &str) -> Misfit {
        let misfit = self.misfit(source, what);
        Misfit { detail: format!("{}: send it, or say required = false", misfit.detail), ..misfit }
    }

    fn frame(&self) -> Result<(DeviceCode, Mapped), Misfit> {
        if !self.record.is_object() {
            let detail = "a record must be an object".to_owned();
            return Err(Misfit { reason: RejectReason::UnreadableItem, source: Source::Nowhere, detail });
        }
        let device = self.device()?;
        let mut draft = FrameDraft::default();
        // Nothing but who and when: had it constants, it would say that all is over.
        let says_nothing = self.is_keep_alive();
        for field in &self.profile.fields {
            if !says_nothing || field.is_identity() {
                self.fill(&mut draft, field).map_err(|fault| fault.of(self, field))?;
            }
        }
        if !says_nothing {
            self.extras(&mut draft)?;
            self.codes(&mut draft)?;
        }
        let mut frame = match &self.profile.key {
            Key::Counted => draft,
            // It stands for a count, which is given when the frame is taken.
            Key::MessageId(_) | Key::Record => set(draft, SEQ, "1")?,
        }
        .finish()
        .map_err(|bad| self.bad_identity(bad))?;
        let id = match &self.profile.key {
            Key::Counted => None,
            Key::MessageId(source) => {
                let id = self.find(source).and_then(label).ok_or_else(|| self.misfit(source, "the message id"))?;
                Some(hash(&device, id.as_bytes()))
            }
            // Names stand in an order of their own here, however the vendor writes them.
            Key::Record => Some(hash(&device, self.record.to_string().as_bytes())),
        };
        if id.is_some() {
            frame.key = derived::provisional(frame.claimed_at);
        }
        Ok((device, Mapped { frame, id }))
    }

    fn device(&self) -> Result<DeviceCode, Misfit> {
        let (code, source) = match &self.profile.device {
            Device::Level(level) => (self.topic.split('/').nth(level - 1).map(str::to_owned), Source::Nowhere),
            Device::At(source) => (self.find(source).and_then(label), source.clone()),
        };
        let Some(code) = code else { return Err(self.misfit(&source, "the device code")) };
        DeviceCode::parse(&code).map_err(|error| Misfit {
            reason: RejectReason::ProfileMisfit,
            source,
            detail: format!("the device's {error}"),
        })
    }

    /// Whether all that it could say of the lift is absent.
    fn is_keep_alive(&self) -> bool {
        let Profile { fields, extras, codes, .. } = self.profile;
        let fields = fields.iter().filter(|field| !field.is_identity()).map(|field| &field.source);
        let extras = extras.iter().map(|(_, field)| &field.source);
        let codes = codes.iter().map(|codes| &codes.source);
        fields.chain(extras).chain(codes).all(|source| self.find(source).is_none())
    }

    fn fill(&self, draft: &mut FrameDraft, field: &Field) -> Result<(), Missing> {
        let text = match (self.find(&field.source), &field.default) {
            (Some(value), _) => field.convert.apply(value),
            (None, Some(default)) => default.to_string(),
            (None, None) if field.required => return Err(Missing),
            (None, None) => return Ok(()),
        };
        draft.set(field.number, Raw(&text)).map_err(|_: Broken| Missing)
    }

    fn extras(&self, draft: &mut FrameDraft) -> Result<(), Misfit> {
        let mut all = Vec::new();
        for (name, field) in &self.profile.extras {
            match (self.find(&field.source), &field.default) {
                (Some(value), _) => all.push(format!("{:?}:{}", name, field.convert.apply(value))),
                (None, Some(default)) => all.push(format!("{name:?}:{default}")),
                (None, None) if field.required => return Err(self.missing(&field.source, name)),
                (None, None) => {}
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        put(draft, EXTRAS, &format!("{{{}}}", all.join(",")))
    }

    fn codes(&self, draft: &mut FrameDraft) -> Result<(), Misfit> {
        let mut lists: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for codes in &self.profile.codes {
            match self.find(&codes.source) {
                Some(value) => self.sort_codes(codes, value, &mut lists),
                None if codes.required => return Err(self.missing(&codes.source, "a list of codes")),
                None => {}
            }
        }
        for field in [CLEARED, FAULTS, EVENTS, ALARMS, CONDITIONS] {
            if let Some(list) = lists.get(&field) {
                put(draft, field, &format!("[{}]", list.join(",")))?;
            }
        }
        Ok(())
    }

    fn sort_codes(&self, codes: &Codes, value: &Value, lists: &mut BTreeMap<u8, Vec<String>>) {
        let parts: Vec<Value>;
        let elements = match (value, &codes.split) {
            (Value::Array(list), _) => list.as_slice(),
            (Value::String(text), Some(split)) => {
                let words = text.split(&**split).map(str::trim).filter(|word| !word.is_empty());
                parts = words.map(Value::from).collect();
                &parts
            }
            (Value::String(text), None) if text.is_empty() => &[],
            (one, _) => std::slice::from_ref(one),
        };
        for element in elements {
            match self.sort_code(codes, element) {
                Some(Sorted::Nothing) => {}
                Some(Sorted::Into(field, text)) => lists.entry(field).or_default().push(text),
                None => lists.entry(codes.into).or_default().push(UNREADABLE.to_owned()),
            }
        }
    }

    /// `None`: it can't be made out.
    fn sort_code(&self, codes: &Codes, element: &Value) -> Option<Sorted> {
        let code = label(codes.code.as_ref().map_or(Some(element), |pointer| element.pointer(pointer))?)?;
        if codes.ignore.binary_search_by(|known| (**known).cmp(&code)).is_ok() {
            return Some(Sorted::Nothing);
        }
        let target = match &codes.map {
            Some(map) => {
                let at = map.binary_search_by(|(known, _)| (**known).cmp(&code)).ok()?;
                map[at].1.clone()
            }
            None => Target::Code(code.parse().ok()?),
        };
        let standing = match &codes.state {
            Some(State { pointer, values }) => {
                let of = if codes.code.is_some() { element } else { self.record };
                let state = label(of.pointer(pointer)?)?;
                values.iter().find(|(known, _)| **known == *state)?.1
            }
            None => Standing::Active,
        };
        let text = match &target {
            Target::Code(code) => code.to_string(),
            Target::Condition(name) => Value::from(&**name).to_string(),
        };
        Some(Sorted::Into(
            match (standing, target) {
                (Standing::Cleared, _) => CLEARED,
                (Standing::Active, Target::Code(_)) => codes.into,
                (Standing::Active, Target::Condition(_)) => CONDITIONS,
            },
            text,
        ))
    }

    fn bad_identity(&self, bad: BadIdentity) -> Misfit {
        let field = self.profile.fields.iter().find(|field| field.number == bad.field);
        let name = FrameDraft::NAMES[usize::from(bad.field)].trim_end_matches("_ms");
        let want = match bad.field {
            OBSERVED_AT_MS => "a time in the form that the profile states, in the years 1970 to 9999",
            _ => bad.want,
        };
        Misfit {
            reason: RejectReason::BadIdentity,
            source: field.map_or(Source::Nowhere, |field| field.source.clone()),
            detail: format!("{name} must be {want}"),
        }
    }
}

enum Sorted {
    Nothing,
    Into(u8, String),
}

/// A field that must be there isn't.
struct Missing;

impl Missing {
    fn of(self, one: &One<'_>, field: &Field) -> Misfit {
        one.missing(&field.source, FrameDraft::NAMES[usize::from(field.number)].trim_end_matches("_ms"))
    }
}

impl Field {
    fn is_identity(&self) -> bool {
        matches!(self.number, BOOT | SEQ | OBSERVED_AT_MS)
    }
}

fn put(draft: &mut FrameDraft, field: u8, text: &str) -> Result<(), Misfit> {
    draft.set(field, Raw(text)).map_err(|broken| Misfit {
        reason: RejectReason::UnreadableItem,
        source: Source::Nowhere,
        detail: broken.to_owned(),
    })
}

fn set(mut draft: FrameDraft, field: u8, text: &str) -> Result<FrameDraft, Misfit> {
    put(&mut draft, field, text)?;
    Ok(draft)
}

/// Of a device's record: stays the same in all versions, since it is remembered.
fn hash(device: &DeviceCode, bytes: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(device.as_str()).chain_update([0]).chain_update(bytes).finalize();
    digest.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}
