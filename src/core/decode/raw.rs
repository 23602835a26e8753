//! One value of JSON, judged by its text: so a number that no type can hold (`1e999`), or a text with a broken escape,
//! costs its field and no more.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{Choice, Elements, Fault, Next, Read, Value, checked, ended_text};
use crate::model::frame::{Ended, Reported};

/// The text of a value as it stands in the payload. Only a topmost one may turn out not to be JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) &'a str);

impl<'a> Raw<'a> {
    pub(super) fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The text of a number, if it is one.
    fn number_text(self) -> Option<&'a str> {
        self.0.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(self.0)
    }

    /// An integer is written without fraction and exponent. Those beyond 64 bits fit none of our fields.
    fn integer<T: TryFrom<i64>>(self) -> Read<T> {
        if self.is_null() {
            return Ok(Reported::Absent);
        }
        let number = self.number_text().and_then(|text| text.parse::<i64>().ok());
        number.and_then(|n| T::try_from(n).ok()).map(Reported::Known).ok_or(Fault::Field)
    }

    fn real(self) -> Read<f64> {
        if self.is_null() {
            return Ok(Reported::Absent);
        }
        let number = self.number_text().and_then(|text| text.parse::<f64>().ok());
        checked(number.map(Reported::Known).ok_or(Fault::Field), |n| n.is_finite())
    }

    /// Calls `each` with the elements of an array, as long as it wants to go on. What comes after isn't looked at.
    pub(super) fn each(self, each: impl FnMut(Raw<'a>) -> ControlFlow<()>) -> Result<(), serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(self.0);
        let mut stopped = false;
        let read = reader.deserialize_seq(ArrayWalk { each, stopped: &mut stopped }).and_then(|()| reader.end());
        if stopped { Ok(()) } else { read }
    }

    /// Calls `each` with all members of an object.
    pub(super) fn members(self, each: impl FnMut(Cow<'a, str>, Raw<'a>)) -> Result<(), serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(self.0);
        reader.deserialize_map(ObjectWalk(each)).and_then(|()| reader.end())
    }
}

struct ArrayWalk<'s, F> {
    each: F,
    stopped: &'s mut bool,
}

impl<'de, F: FnMut(Raw<'de>) -> ControlFlow<()>> Visitor<'de> for ArrayWalk<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(value) = array.next_element::<&RawValue>()? {
            if (self.each)(Raw(value.get())).is_break() {
                // serde_json takes what is left over for an error; the flag tells that it isn't one.
                *self.stopped = true;
                return Ok(());
            }
        }
        Ok(())
    }
}

struct ObjectWalk<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, Raw<'de>)> Visitor<'de> for ObjectWalk<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value::<&RawValue>()?;
            (self.0)(Cow::Owned(name), Raw(value.get()));
        }
        Ok(())
    }
}

impl<'a> Value<'a> for Raw<'a> {
    const ZERO_IS_ABSENT: bool = false;

    fn uint32(self) -> Read<u32> {
        self.integer()
    }

    fn sint32(self) -> Read<i32> {
        self.integer()
    }

    fn uint63(self) -> Read<u64> {
        self.integer()
    }

    fn int64(self) -> Read<i64> {
        self.integer()
    }

    fn boolean(self) -> Read<bool> {
        match self.0 {
            "null" => Ok(Reported::Absent),
            "true" => Ok(Reported::Known(true)),
            "false" => Ok(Reported::Known(false)),
            _ => Err(Fault::Field),
        }
    }

    fn text(self) -> Read<Cow<'a, str>> {
        if self.is_null() {
            return Ok(Reported::Absent);
        }
        let inner = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(Fault::Field)?;
        if !inner.contains('\\') {
            return Ok(Reported::Known(Cow::Borrowed(inner)));
        }
        serde_json::from_str(self.0).map(|text| Reported::Known(Cow::Owned(text))).map_err(|_| Fault::Field)
    }

    fn choice<T>(self, choice: Choice<T>) -> Read<T> {
        match self.text()? {
            Reported::Known(name) if name == "unknown" && choice.unknown.is_some() => Ok(Reported::Unknown),
            Reported::Known(name) => (choice.name)(&name).map(Reported::Known).ok_or(Fault::Field),
            Reported::Absent | Reported::Unknown => Ok(Reported::Absent),
        }
    }

    fn code(self) -> Read<u32> {
        if self.number_text().is_some() {
            return self.integer();
        }
        match self.text()? {
            Reported::Known(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().map(Reported::Known).map_err(|_| Fault::Field)
            }
            _ => Err(Fault::Field),
        }
    }

    fn ended(self) -> Read<Ended> {
        if self.number_text().is_some() {
            return Ok(match self.integer()? {
                Reported::Known(code) => Reported::Known(Ended::Code(code)),
                Reported::Absent | Reported::Unknown => Reported::Absent,
            });
        }
        ended_text(self.text())
    }

    fn elements(self, _: Elements, mut each: impl FnMut(Self) -> Next) -> Result<(), Fault> {
        if self.is_null() {
            return Ok(());
        }
        let mut fault = Ok(());
        let read = self.each(|element| {
            each(element).unwrap_or_else(|found| {
                fault = Err(found);
                ControlFlow::Break(())
            })
        });
        fault.and(read.map_err(|_| Fault::Field))
    }

    fn entries(self, mut each: impl FnMut(Cow<'a, str>, Read<f64>)) -> Result<(), Fault> {
        if self.is_null() {
            return Ok(());
        }
        self.members(|name, value| each(name, value.real())).map_err(|_| Fault::Field)
    }
}
