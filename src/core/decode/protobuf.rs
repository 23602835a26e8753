//! Reports as protobuf, read from the bytes straight into drafts: each item fails by itself, and widths are checked.

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::report::{At, Collector, Draft, JSON_ONLY, LIST};
use super::value::{Broken, Choice, Elements, Fault, Next, Read, Value, checked, ended_text};
use super::{Items, Rejected};
use crate::model::frame::{Ended, Reported};
use crate::model::row::RejectReason;

const BAD_KEY: Broken = "a field's key can't be read";
const BAD_WIRE_TYPE: Broken = "a field has another wire type than telemetry.proto says";
const BAD_VARINT: Broken = "a varint doesn't end where it must";
const BAD_LENGTH: Broken = "a length reaches beyond the end";
const BAD_UNKNOWN: Broken = "an unknown field can't be skipped";
const NOT_UTF8: Broken = "a text is not UTF-8";

/// The list of items and the device or site: the same fields in both reports.
const ITEM: u32 = 1;
const CODE: u32 = 2;

pub(super) fn report<D: Draft>(owner: &str, payload: &Bytes) -> Result<Items<D::Item>, Rejected> {
    let mut report = Collector::<D>::new(owner, payload);
    let unreadable = |broken: Broken| super::reject(RejectReason::Unreadable, "", broken, payload);
    let mut rest = payload.as_ref();
    let mut index = 0;
    while !rest.is_empty() {
        let (field, wire_type) = decode_key(&mut rest).map_err(|_| unreadable(BAD_KEY))?;
        match field {
            ITEM => {
                let bytes = read(wire_type, &mut rest).and_then(Wire::bytes).map_err(unreadable)?;
                let at = At::List(D::NAMES[usize::from(LIST)], index);
                index += 1;
                report.has_room_for(at)?;
                let mut unknown = 0;
                report.take(at, bytes, item(bytes, &mut unknown));
                report.count_unknown(unknown);
            }
            CODE => {
                let bytes = read(wire_type, &mut rest).and_then(Wire::bytes).map_err(unreadable)?;
                let code = std::str::from_utf8(bytes).map_err(|_| unreadable(NOT_UTF8))?;
                report.check_owner(None, Some(code))?;
            }
            _ => {
                skip(field, wire_type, &mut rest).map_err(unreadable)?;
                report.count_unknown(1);
            }
        }
    }
    Ok(report.finish())
}

fn item<D: Draft>(bytes: &[u8], unknown: &mut u32) -> Result<D, Broken> {
    let mut draft = D::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (field, wire_type) = decode_key(&mut rest).map_err(|_| BAD_KEY)?;
        match u8::try_from(field) {
            Ok(known) if known < JSON_ONLY && !D::NAMES[usize::from(known)].is_empty() => {
                draft.set(known, read(wire_type, &mut rest)?)?;
            }
            _ => {
                skip(field, wire_type, &mut rest)?;
                *unknown += 1;
            }
        }
    }
    Ok(draft)
}

fn skip(field: u32, wire_type: WireType, rest: &mut &[u8]) -> Result<(), Broken> {
    // The context bounds how deep groups may be nested.
    skip_field(wire_type, field, rest, DecodeContext::default()).map_err(|_| BAD_UNKNOWN)
}

/// One value, as its wire type tells it apart.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

fn read<'a>(wire_type: WireType, rest: &mut &'a [u8]) -> Result<Wire<'a>, Broken> {
    match wire_type {
        WireType::Varint => varint(rest).map(Wire::Varint),
        WireType::SixtyFourBit => rest.try_get_u64_le().map(Wire::Fixed64).map_err(|_| BAD_LENGTH),
        WireType::LengthDelimited => {
            let len = usize::try_from(varint(rest)?).map_err(|_| BAD_LENGTH)?;
            let (bytes, after) = rest.split_at_checked(len).ok_or(BAD_LENGTH)?;
            *rest = after;
            Ok(Wire::Bytes(bytes))
        }
        // No field of ours is a fixed32 or a group.
        WireType::ThirtyTwoBit | WireType::StartGroup | WireType::EndGroup => Err(BAD_WIRE_TYPE),
    }
}

fn varint(rest: &mut &[u8]) -> Result<u64, Broken> {
    decode_varint(rest).map_err(|_| BAD_VARINT)
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Result<&'a [u8], Broken> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) => Err(BAD_WIRE_TYPE),
        }
    }

    fn varint(self) -> Result<u64, Fault> {
        match self {
            Self::Varint(n) => Ok(n),
            Self::Bytes(_) | Self::Fixed64(_) => Err(Fault::Item(BAD_WIRE_TYPE)),
        }
    }

    /// An unsigned number that fits its type; a wider one is a bad field.
    fn unsigned<T: TryFrom<u64>>(self) -> Read<T> {
        T::try_from(self.varint()?).map(Reported::Known).map_err(|_| Fault::Field)
    }
}

impl<'a> Value<'a> for Wire<'a> {
    const ZERO_IS_ABSENT: bool = true;

    fn uint32(self) -> Read<u32> {
        self.unsigned()
    }

    fn sint32(self) -> Read<i32> {
        let zigzag = u32::try_from(self.varint()?).map_err(|_| Fault::Field)?;
        Ok(Reported::Known((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32)))
    }

    fn uint63(self) -> Read<u64> {
        checked(self.unsigned(), |n| i64::try_from(*n).is_ok())
    }

    fn int64(self) -> Read<i64> {
        Ok(Reported::Known(self.varint()? as i64))
    }

    fn boolean(self) -> Read<bool> {
        match self.varint()? {
            0 => Ok(Reported::Known(false)),
            1 => Ok(Reported::Known(true)),
            _ => Err(Fault::Field),
        }
    }

    fn text(self) -> Read<Cow<'a, str>> {
        let bytes = self.bytes().map_err(Fault::Item)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Fault::Item(NOT_UTF8))?;
        Ok(Reported::Known(Cow::Borrowed(text)))
    }

    fn choice<T>(self, choice: Choice<T>) -> Read<T> {
        match self.varint()? as i64 {
            0 => Ok(Reported::Absent),
            n if choice.unknown == Some(n) => Ok(Reported::Unknown),
            n => (choice.number)(n).map(Reported::Known).ok_or(Fault::Field),
        }
    }

    fn code(self) -> Read<u32> {
        self.uint32()
    }

    fn ended(self) -> Read<Ended> {
        ended_text(self.text())
    }

    fn elements(self, kind: Elements, mut each: impl FnMut(Self) -> Next) -> Result<(), Fault> {
        match (kind, self) {
            (Elements::Numbers, Self::Bytes(mut packed)) => {
                let mut wanted = ControlFlow::Continue(());
                // A list that isn't read to its end must still be whole, or the item isn't.
                while !packed.is_empty() {
                    let element = Self::Varint(varint(&mut packed).map_err(Fault::Item)?);
                    if wanted.is_continue() {
                        wanted = each(element)?;
                    }
                }
                Ok(())
            }
            _ => each(self).map(drop),
        }
    }

    fn entries(self, mut each: impl FnMut(Cow<'a, str>, Read<f64>)) -> Result<(), Fault> {
        let mut rest = self.bytes().map_err(Fault::Item)?;
        let (mut name, mut number) = (Cow::Borrowed(""), 0.0);
        while !rest.is_empty() {
            let (field, wire_type) = decode_key(&mut rest).map_err(|_| Fault::Item(BAD_KEY))?;
            match field {
                1 => {
                    if let Reported::Known(text) = read(wire_type, &mut rest).map_err(Fault::Item)?.text()? {
                        name = text;
                    }
                }
                2 => match read(wire_type, &mut rest).map_err(Fault::Item)? {
                    Self::Fixed64(bits) => number = f64::from_bits(bits),
                    Self::Varint(_) | Self::Bytes(_) => return Err(Fault::Item(BAD_WIRE_TYPE)),
                },
                _ => skip(field, wire_type, &mut rest).map_err(Fault::Item)?,
            }
        }
        each(name, checked(Ok(Reported::Known(number)), |n| n.is_finite()));
        Ok(())
    }
}
