//! Protobuf's encoding, read field by field.

use prost::encoding::decode_varint;

use super::CodecError;

type Result<T> = std::result::Result<T, CodecError>;

/// The fields of a message, in the order in which they stand.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let (number, rest) = self.rest.split_first_chunk().ok_or_else(cut_off)?;
                self.rest = rest;
                Value::Fixed64(u64::from_le_bytes(*number))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| cut_off())?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(cut_off)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            other => return Err(CodecError::Malformed(format!("a field has wire type {other}"))),
        };
        Ok(Some(((key >> 3) as u32, value)))
    }

    fn varint(&mut self) -> Result<u64> {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => Ok(decode_varint(&mut self.rest)?),
        }
    }
}

fn cut_off() -> CodecError {
    CodecError::Malformed("it ends within a field".into())
}

fn wrong_type() -> CodecError {
    CodecError::Malformed("a field has another wire type than it should".into())
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(wrong_type()) }
    }

    pub(super) fn u64(self) -> Result<u64> {
        if let Self::Varint(number) = self { Ok(number) } else { Err(wrong_type()) }
    }

    pub(super) fn u32(self) -> Result<u32> {
        self.u64().map(|number| number as u32)
    }

    pub(super) fn i64(self) -> Result<i64> {
        self.u64().map(|number| number as i64)
    }

    pub(super) fn bool(self) -> Result<bool> {
        self.u64().map(|number| number != 0)
    }

    pub(super) fn sint32(self) -> Result<i32> {
        self.u32().map(|number| (number >> 1) as i32 ^ -((number & 1) as i32))
    }

    pub(super) fn double(self) -> Result<f64> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(wrong_type()) }
    }

    pub(super) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| CodecError::Malformed("a text is not UTF-8".into()))
    }

    pub(super) fn packed(self) -> Result<Vec<u32>> {
        let mut fields = Fields::new(self.bytes()?);
        let mut numbers = Vec::new();
        while !fields.rest.is_empty() {
            numbers.push(fields.varint()? as u32);
        }
        Ok(numbers)
    }
}
