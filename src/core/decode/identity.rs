//! What frames and scans have in common: the counters that tell them apart, and their time.

use super::report::OBSERVED_AT;
use super::rfc3339;
use super::value::{Broken, Fault, Marks, Read, Value, checked, known};
use crate::model::frame::{FrameKey, Reported};
use crate::model::time::Wall;

pub(super) const BOOT: u8 = 1;
pub(super) const SEQ: u8 = 2;
pub(super) const OBSERVED_AT_MS: u8 = 3;

/// A field without which an item can't be told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadIdentity {
    pub field: u8,
    /// What it should be.
    pub want: &'static str,
}

/// Takes one of the fields above, or `observed_at`.
pub(super) fn set<'a, V: Value<'a>>(
    key: &mut FrameKey,
    claimed_at: &mut Option<Wall>,
    marks: &mut Marks,
    field: u8,
    value: V,
) -> Result<(), Broken> {
    match field {
        BOOT => key.boot = known(marks.take(BOOT, value.uint32())?).unwrap_or(0),
        SEQ => key.seq = known(marks.take(SEQ, value.uint63())?).unwrap_or(0),
        OBSERVED_AT_MS => *claimed_at = known(marks.take(OBSERVED_AT_MS, since_1970(value))?),
        // JSON's other form of the time comes after the first, which counts where both stand.
        OBSERVED_AT if marks.is_present(OBSERVED_AT_MS) => {}
        OBSERVED_AT => *claimed_at = known(marks.take(OBSERVED_AT, time_text(value))?),
        _ => {}
    }
    Ok(())
}

/// To be asked before an item is taken.
pub(super) fn check(marks: &Marks, key: FrameKey) -> Result<(), BadIdentity> {
    let wrong = |field, want| Err(BadIdentity { field, want });
    if marks.is_bad(BOOT) {
        return wrong(BOOT, "an integer from 0 to 4294967295, or absent");
    }
    if key.seq == 0 {
        return wrong(SEQ, "an integer from 1 to 9223372036854775807");
    }
    if marks.is_bad(OBSERVED_AT_MS) {
        return wrong(OBSERVED_AT_MS, "an integer, UTC milliseconds since 1970, up to the year 9999");
    }
    if marks.is_bad(OBSERVED_AT) {
        return wrong(OBSERVED_AT, "RFC 3339 with an offset, in the years 1970 to 9999: 2026-11-22T08:30:00.250+08:00");
    }
    Ok(())
}

/// A time that protobuf can't leave out: 0 stands for none there.
fn since_1970<'a, V: Value<'a>>(value: V) -> Read<Wall> {
    match value.int64()? {
        Reported::Known(0) if V::ZERO_IS_ABSENT => Ok(Reported::Absent),
        ms => wall(ms),
    }
}

/// A time that stands for itself also where it is 0.
pub(super) fn time_ms<'a, V: Value<'a>>(value: V) -> Read<Wall> {
    wall(value.int64()?)
}

pub(super) fn time_text<'a, V: Value<'a>>(value: V) -> Read<Wall> {
    match value.text()? {
        Reported::Known(text) => wall(Reported::Known(rfc3339::parse(&text).ok_or(Fault::Field)?.ms())),
        Reported::Absent | Reported::Unknown => Ok(Reported::Absent),
    }
}

fn wall(ms: Reported<i64>) -> Read<Wall> {
    let ms = checked(Ok(ms), |ms| (0..=Wall::LAST.ms()).contains(ms))?;
    Ok(known(ms).map_or(Reported::Absent, |ms| Reported::Known(Wall(ms))))
}
