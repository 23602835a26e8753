//! What the two encodings have in common: a value is asked for what its field should hold.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::limits;
use crate::model::frame::{Ended, Reported};

/// What is wrong with an item's bytes: nothing in it can be told apart any more.
pub(super) type Broken = &'static str;

/// Why a value could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It isn't what its field should hold. The rest of the item stands.
    Field,
    Item(Broken),
}

pub(super) type Read<T> = Result<Reported<T>, Fault>;

/// Whether to go on with the rest of a list.
pub(super) type Next = Result<ControlFlow<()>, Fault>;

/// Whether a list holds numbers or texts: protobuf writes them differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elements {
    Numbers,
    Texts,
}

/// The names of an enum, as the contract has them.
pub(super) struct Choice<T> {
    pub name: fn(&str) -> Option<T>,
    pub number: fn(i64) -> Option<T>,
    /// The number of the value `unknown`, where there is one.
    pub unknown: Option<i64>,
}

/// One value as it was sent.
pub(super) trait Value<'a>: Copy {
    /// A number that was never set looks like 0.
    const ZERO_IS_ABSENT: bool;

    fn uint32(self) -> Read<u32>;
    fn sint32(self) -> Read<i32>;
    /// 0 to 2^63 − 1: what PostgreSQL can hold.
    fn uint63(self) -> Read<u64>;
    fn int64(self) -> Read<i64>;
    fn boolean(self) -> Read<bool>;
    fn text(self) -> Read<Cow<'a, str>>;
    fn choice<T>(self, choice: Choice<T>) -> Read<T>;
    /// One code of a list.
    fn code(self) -> Read<u32>;
    /// One element of `cleared`.
    fn ended(self) -> Read<Ended>;
    /// Calls `each` with the elements of a list, or with those of a part of it.
    fn elements(self, kind: Elements, each: impl FnMut(Self) -> Next) -> Result<(), Fault>;
    /// Calls `each` with the entries of a map to numbers, or with one of them.
    fn entries(self, each: impl FnMut(Cow<'a, str>, Read<f64>)) -> Result<(), Fault>;
}

/// A text of 1 to `chars_max` characters. An empty one says nothing.
pub(super) fn words(read: Read<Cow<'_, str>>, chars_max: usize) -> Read<Box<str>> {
    match read? {
        Reported::Known(text) if text.is_empty() => Ok(Reported::Absent),
        Reported::Known(text) if fits(&text, chars_max) => Ok(Reported::Known(text.into())),
        Reported::Known(_) => Err(Fault::Field),
        Reported::Unknown => Ok(Reported::Unknown),
        Reported::Absent => Ok(Reported::Absent),
    }
}

/// Whether a text is at most so long, and without NUL, which PostgreSQL doesn't take.
fn fits(text: &str, chars_max: usize) -> bool {
    (text.len() <= chars_max || text.chars().nth(chars_max).is_none()) && !text.contains('\0')
}

/// A code or condition that ended, given as a text.
pub(super) fn ended_text(read: Read<Cow<'_, str>>) -> Read<Ended> {
    match words(read, limits::CONDITION_CHARS)? {
        Reported::Known(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map(|code| Reported::Known(Ended::Code(code))).map_err(|_| Fault::Field)
        }
        Reported::Known(text) => Ok(Reported::Known(Ended::Condition(text))),
        Reported::Absent | Reported::Unknown => Err(Fault::Field),
    }
}

pub(super) fn known<T>(reported: Reported<T>) -> Option<T> {
    match reported {
        Reported::Known(value) => Some(value),
        Reported::Absent | Reported::Unknown => None,
    }
}

/// Keeps a known value only if it is as it must be.
pub(super) fn checked<T>(read: Read<T>, good: impl FnOnce(&T) -> bool) -> Read<T> {
    match read? {
        Reported::Known(value) if !good(&value) => Err(Fault::Field),
        other => Ok(other),
    }
}

/// Fields by their number: which were there, and which of them could not be read.
#[derive(Debug, Default)]
pub(super) struct Marks {
    present: u32,
    bad: u32,
    /// How many elements each list has had; protobuf may send a list in parts.
    counts: [u16; 32],
    /// Elements that could not be taken. At most as many as the lists may hold, and one more each.
    bad_elements: Vec<(u8, u16)>,
}

impl Marks {
    /// Notes how the reading of a field with a single value went. Of a repeated field the last one counts.
    pub(super) fn take<T>(&mut self, field: u8, read: Read<T>) -> Result<Reported<T>, Broken> {
        let bit = 1 << field;
        self.present |= bit;
        self.bad &= !bit;
        match read {
            Ok(Reported::Absent) => {
                self.present &= !bit;
                Ok(Reported::Absent)
            }
            Ok(value) => Ok(value),
            Err(Fault::Field) => {
                self.bad |= bit;
                Ok(Reported::Unknown)
            }
            Err(Fault::Item(broken)) => Err(broken),
        }
    }

    /// Reads a list, or a part of one, and hands `take` its first `limit` elements. Returns whether all could be taken.
    pub(super) fn take_list<'a, V: Value<'a>>(
        &mut self,
        field: u8,
        (kind, limit): (Elements, usize),
        value: V,
        mut take: impl FnMut(V) -> Read<()>,
    ) -> Result<bool, Broken> {
        let bad_before = self.bad_elements.len();
        let count = &mut self.counts[usize::from(field)];
        let read = value.elements(kind, |element| {
            let index = *count;
            if usize::from(index) > limit {
                return Ok(ControlFlow::Break(()));
            }
            *count += 1;
            let taken = if usize::from(index) == limit { Err(Fault::Field) } else { take(element) };
            match taken {
                Ok(Reported::Known(())) => {}
                Ok(Reported::Absent | Reported::Unknown) | Err(Fault::Field) => self.bad_elements.push((field, index)),
                Err(broken) => return Err(broken),
            }
            Ok(ControlFlow::Continue(()))
        });
        match read {
            Ok(()) => Ok(self.bad_elements.len() == bad_before),
            Err(Fault::Field) => {
                self.mark_bad(field);
                Ok(false)
            }
            Err(Fault::Item(broken)) => Err(broken),
        }
    }

    pub(super) fn mark_bad(&mut self, field: u8) {
        self.bad |= 1 << field;
    }

    pub(super) fn is_bad(&self, field: u8) -> bool {
        self.bad & (1 << field) != 0
    }

    pub(super) fn is_present(&self, field: u8) -> bool {
        self.present & (1 << field) != 0
    }

    /// Pointers to all that could not be read, ascending. An empty one stands for those beyond the bound.
    pub(super) fn pointers(self, names: &[&str], further: Vec<Box<str>>) -> Vec<Box<str>> {
        if self.bad == 0 && self.bad_elements.is_empty() && further.is_empty() {
            return Vec::new();
        }
        let fields = (0..names.len()).filter(|n| self.bad & (1 << n) != 0).map(|n| format!("/{}", names[n]).into());
        let elements = self.bad_elements.iter().map(|(n, index)| format!("/{}/{index}", names[usize::from(*n)]).into());
        let mut pointers: Vec<Box<str>> = fields.chain(elements).chain(further).collect();
        pointers.sort_unstable();
        pointers.dedup();
        if pointers.len() > limits::INVALID_FIELDS {
            pointers.truncate(limits::INVALID_FIELDS);
            pointers.insert(0, "".into());
        }
        pointers
    }
}
