//! One value of a vendor, written as the wire contract would have it.

use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use serde_json::Value;

use super::super::rfc3339;
use crate::model::time::Wall;

/// What no field takes: a value that could not be made out is given as this, and counts as unknown.
pub(super) const UNREADABLE: &str = "{}";

/// What is done with a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Convert {
    /// It is as ours.
    Same,
    /// By the vendor's text of it, ascending, what it means as JSON.
    Map(Vec<(Box<str>, Box<str>)>),
    /// A text; of a number what it looks like.
    Text,
    /// True is false.
    Invert,
    /// Times the first, plus the second; a whole number where the third says so.
    Number {
        scale: f64,
        add: f64,
        whole: bool,
    },
    Time(Time),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Time {
    Rfc3339,
    EpochS,
    EpochMs,
    /// As strptime has it, and how far local time is ahead of UTC.
    Local {
        format: Box<str>,
        offset_s: i64,
    },
}

impl Convert {
    /// The value as JSON of ours; [`UNREADABLE`] where it is none that this knows.
    pub(super) fn apply(&self, value: &Value) -> String {
        self.read(value).unwrap_or_else(|| UNREADABLE.to_owned())
    }

    fn read(&self, value: &Value) -> Option<String> {
        match self {
            Self::Same => Some(value.to_string()),
            Self::Map(map) => {
                let label = label(value)?;
                let at = map.binary_search_by(|(known, _)| (**known).cmp(label.as_str())).ok()?;
                Some(map[at].1.to_string())
            }
            Self::Text => label(value).map(|text| Value::from(text).to_string()),
            Self::Invert => Some((!value.as_bool()?).to_string()),
            Self::Number { scale, add, whole } => {
                if *whole
                    && (*scale, *add) == (1.0, 0.0)
                    && let Some(number) = integer(value)
                {
                    return Some(number.to_string());
                }
                let number = real(value)? * scale + add;
                let number = if *whole { number.round() } else { number };
                // No field of ours holds more, and beyond it a whole number isn't whole any more.
                (number.is_finite() && (!whole || number.abs() < 9.0e15)).then(|| number.to_string())
            }
            Self::Time(time) => time.read(value).map(|at| at.ms().to_string()),
        }
    }
}

impl Time {
    fn read(&self, value: &Value) -> Option<Wall> {
        match self {
            Self::Rfc3339 => rfc3339::parse(value.as_str()?),
            Self::EpochS => match integer(value) {
                Some(s) => s.checked_mul(1_000).map(Wall),
                None => {
                    real(value).map(|s| s * 1_000.0).filter(|ms| ms.abs() < 9.0e15).map(|ms| Wall(ms.round() as i64))
                }
            },
            Self::EpochMs => integer(value).map(Wall),
            Self::Local { format, offset_s } => local(format, *offset_s, value.as_str()?),
        }
    }
}

/// A date and time of day in a zone that is always so far ahead of UTC.
pub(super) fn local(format: &str, offset_s: i64, text: &str) -> Option<Wall> {
    let at = BrokenDownTime::parse(format, text).ok()?.to_datetime().ok()?;
    let since_1970 = at.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    let local_ms = i64::try_from(since_1970.as_millis()).ok()?;
    local_ms.checked_sub(offset_s * 1_000).map(Wall)
}

/// `+08:00`, `-03:30` or `Z`, in seconds.
pub(super) fn offset_s(text: &str) -> Option<i64> {
    // What reads it in times of day reads it here: the offset of a moment whose time in UTC is known.
    let at = rfc3339::parse(&format!("2000-01-02T00:00:00{text}"))?;
    let midnight = rfc3339::parse("2000-01-02T00:00:00Z")?;
    Some((midnight.ms() - at.ms()) / 1_000)
}

/// The text by which maps and labels know a value; lists and objects have none.
pub(super) fn label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Also of a text: many vendors write their numbers so.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn real(value: &Value) -> Option<f64> {
    let number: Option<f64> = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}
