//! Reports as JSON.
//!
//! serde_json finds where each value begins and ends ([`RawValue`]); what it is worth is decided in [`super::raw`].

use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::raw::Raw;
use super::report::{At, Collector, Draft, FIELDS, LIST, OWNER};
use super::value::{Broken, Value as _, words};
use super::{Items, Rejected, reject};
use crate::limits;
use crate::model::frame::Reported;
use crate::model::row::RejectReason;

pub(super) fn report<D: Draft>(owner: &str, payload: &Bytes) -> Result<Items<D::Item>, Rejected> {
    let text = checked_text(payload)?;
    let mut report = Collector::<D>::new(owner, payload);
    if text.starts_with('[') {
        items(&mut report, Raw(text), At::Array)?;
        return Ok(report.finish());
    }
    let slots: Slots<'_, D> = serde_json::from_str(text).map_err(|error| unreadable(error, payload))?;
    match slots.values[usize::from(LIST)] {
        Some(list) => {
            report.count_unknown(slots.beside_list());
            check_owner(&report, None, &slots)?;
            items(&mut report, list, |index| At::List(D::NAMES[usize::from(LIST)], index))?;
        }
        None if slots.has_item() => take(&mut report, At::Top, text, slots)?,
        // As in protobuf, a report with nothing but its device in it is an empty one.
        None => check_owner(&report, None, &slots)?,
    }
    Ok(report.finish())
}

/// What became of a command: its id, and whether it was carried out.
pub(super) fn command_result(payload: &Bytes) -> Result<(Box<str>, bool), Rejected> {
    let text = checked_text(payload)?;
    let (mut id, mut ok) = (Ok(Reported::Absent), Ok(Reported::Absent));
    let read = Raw(text).members(|name, value| match name.as_ref() {
        "id" => id = words(value.text(), limits::COMMAND_ID_CHARS),
        "ok" => ok = value.boolean(),
        _ => {}
    });
    read.map_err(|error| unreadable(error, payload))?;
    let wrong = |pointer: &str, detail: &str| reject(RejectReason::Unreadable, pointer, detail, payload);
    let Ok(Reported::Known(id)) = id else {
        return Err(wrong("/id", "id must be that of the command, a text of 1 to 64 characters"));
    };
    let Ok(Reported::Known(ok)) = ok else { return Err(wrong("/ok", "ok must be true or false")) };
    Ok((id, ok))
}

/// The payload as text that is nested no deeper than it may be.
pub(super) fn checked_text(payload: &Bytes) -> Result<&str, Rejected> {
    let text = std::str::from_utf8(payload).map_err(|error| {
        let detail = format!("not UTF-8 at byte {}; JSON is always UTF-8", error.valid_up_to());
        reject(RejectReason::Unreadable, "", detail, payload)
    })?;
    if depth_exceeds(text.as_bytes(), limits::JSON_DEPTH) {
        let detail = format!("nested deeper than {} levels", limits::JSON_DEPTH);
        return Err(reject(RejectReason::TooDeep, "", detail, payload));
    }
    Ok(text)
}

/// Counts brackets outside of texts, before anything that might recurse sees them.
fn depth_exceeds(text: &[u8], depth_max: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        if depth > depth_max {
            return true;
        }
    }
    false
}

pub(super) fn unreadable(error: serde_json::Error, payload: &Bytes) -> Rejected {
    reject(RejectReason::Unreadable, "", not_json(&error, payload), payload)
}

/// What is wrong, in words of our own: the reader's may change with its version, and what is set aside is history.
fn not_json(error: &serde_json::Error, payload: &[u8]) -> String {
    let line_start: usize =
        payload.split_inclusive(|b| *b == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let at = line_start + error.column().saturating_sub(1);
    match error.classify() {
        Category::Eof => format!("not JSON: it ends too early, after {} bytes", payload.len()),
        Category::Data => "it must be an object".to_owned(),
        Category::Syntax | Category::Io => {
            match payload.get(at..).and_then(|rest| rest.utf8_chunks().next()?.valid().chars().next()) {
                Some(char) => format!("not JSON at byte {at}: {char:?} doesn't belong there"),
                None => format!("not JSON at byte {at}"),
            }
        }
    }
}

fn items<D: Draft>(report: &mut Collector<'_, D>, list: Raw<'_>, at: impl Fn(usize) -> At) -> Result<(), Rejected> {
    if list.is_null() {
        return Ok(());
    }
    let name = D::NAMES[usize::from(LIST)];
    if !list.0.starts_with('[') {
        return Err(report.whole(RejectReason::Unreadable, format!("/{name}"), format!("{name} must be an array")));
    }
    let mut index = 0;
    let mut whole = None;
    let read = list.each(|element| {
        let at = at(index);
        index += 1;
        match report.has_room_for(at).and_then(|()| item(report, at, element)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(rejected) => {
                whole = Some(rejected);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(rejected) = whole {
        return Err(rejected);
    }
    read.map_err(|error| report.whole(RejectReason::Unreadable, String::new(), not_json(&error, report.payload())))
}

fn item<D: Draft>(report: &mut Collector<'_, D>, at: At, element: Raw<'_>) -> Result<(), Rejected> {
    let read = if element.0.starts_with('{') { serde_json::from_str::<Slots<'_, D>>(element.0).ok() } else { None };
    match read {
        Some(slots) => take(report, at, element.0, slots)?,
        None => report.take(at, element.0.as_bytes(), Err("it must be an object with readable keys")),
    }
    Ok(())
}

fn take<D: Draft>(report: &mut Collector<'_, D>, at: At, text: &str, slots: Slots<'_, D>) -> Result<(), Rejected> {
    check_owner(report, Some(at), &slots)?;
    report.count_unknown(slots.unknown + u32::from(slots.values[usize::from(LIST)].is_some()));
    report.take(at, text.as_bytes(), slots.fill());
    Ok(())
}

fn check_owner<D: Draft>(report: &Collector<'_, D>, at: Option<At>, slots: &Slots<'_, D>) -> Result<(), Rejected> {
    match slots.values[usize::from(OWNER)].map(|owner| owner.text()) {
        None | Some(Ok(Reported::Absent)) => Ok(()),
        Some(Ok(Reported::Known(code))) => report.check_owner(at, Some(&code)),
        Some(_) => report.check_owner(at, None),
    }
}

/// The members of an object by their field; of a repeated name the last one stays.
struct Slots<'a, D> {
    values: [Option<Raw<'a>>; FIELDS],
    unknown: u32,
    item: PhantomData<D>,
}

impl<D: Draft> Slots<'_, D> {
    /// Whether anything is there beside owner and list.
    fn has_item(&self) -> bool {
        self.unknown > 0 || self.fields().next().is_some()
    }

    /// What stands beside a list and isn't its owner means nothing there.
    fn beside_list(&self) -> u32 {
        self.unknown + self.fields().count() as u32
    }

    fn fields(&self) -> impl Iterator<Item = (u8, Raw<'_>)> {
        (0..OWNER).filter_map(|field| Some((field, self.values[usize::from(field)]?)))
    }

    fn fill(&self) -> Result<D, Broken> {
        let mut draft = D::default();
        for (field, value) in self.fields() {
            draft.set(field, value)?;
        }
        Ok(draft)
    }
}

impl<'de, D: Draft> Deserialize<'de> for Slots<'de, D> {
    fn deserialize<R: Deserializer<'de>>(reader: R) -> Result<Self, R::Error> {
        struct Members<D>(PhantomData<D>);

        impl<'de, D: Draft> Visitor<'de> for Members<D> {
            type Value = Slots<'de, D>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut slots = Slots { values: [None; FIELDS], unknown: 0, item: PhantomData };
                while let Some(field) = map.next_key_seed(FieldName(&D::NAMES))? {
                    match field {
                        Some(field) => slots.values[field] = Some(Raw(map.next_value::<&RawValue>()?.get())),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                            slots.unknown += 1;
                        }
                    }
                }
                Ok(slots)
            }
        }
        reader.deserialize_map(Members(PhantomData))
    }
}

/// Turns a name into the field's number without keeping the name.
struct FieldName(&'static [&'static str; FIELDS]);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Option<usize>;

    fn deserialize<R: Deserializer<'de>>(self, reader: R) -> Result<Self::Value, R::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == name).filter(|_| !name.is_empty()))
    }
}
