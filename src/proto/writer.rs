//! Protobuf's encoding, as far as journals and snapshots need it.

use prost::encoding::{encode_varint, encoded_len_varint};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// Appends fields to a buffer. A field that has protobuf's default value is left out, unless it goes by the method
/// for optional ones.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// uint32, uint64, bool, or an enum's number.
    pub fn uint(&mut self, field: u32, value: impl Into<u64>) {
        let value = value.into();
        if value != 0 {
            self.present_uint(field, value);
        }
    }

    pub fn int(&mut self, field: u32, value: i64) {
        self.uint(field, value as u64);
    }

    /// sint32 or sint64: zigzag, so that small negative numbers are short too.
    pub fn sint(&mut self, field: u32, value: impl Into<i64>) {
        self.uint(field, zigzag(value.into()));
    }

    pub fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.present_text(field, text);
        }
    }

    pub fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.present_bytes(field, bytes);
        }
    }

    pub fn some_uint(&mut self, field: u32, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.present_uint(field, value);
        }
    }

    pub fn some_int(&mut self, field: u32, value: Option<i64>) {
        self.some_uint(field, value.map(|value| value as u64));
    }

    pub fn some_sint(&mut self, field: u32, value: Option<impl Into<i64>>) {
        self.some_uint(field, value.map(|value| zigzag(value.into())));
    }

    pub fn some_text(&mut self, field: u32, text: Option<&str>) {
        if let Some(text) = text {
            self.present_text(field, text);
        }
    }

    pub fn texts(&mut self, field: u32, texts: &[Box<str>]) {
        for text in texts {
            self.present_text(field, text);
        }
    }

    pub fn present_double(&mut self, field: u32, value: f64) {
        self.key(field, FIXED64);
        self.out.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    /// A packed list.
    pub fn uints(&mut self, field: u32, values: impl ExactSizeIterator<Item = u32>) {
        if values.len() > 0 {
            self.message(field, |w| values.for_each(|value| w.varint(u64::from(value))));
        }
    }

    pub(crate) fn ints(&mut self, field: u32, values: impl ExactSizeIterator<Item = i64>) {
        if values.len() > 0 {
            self.message(field, |w| values.for_each(|value| w.varint(value as u64)));
        }
    }

    pub(crate) fn fixed(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.key(field, FIXED64);
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A packed list of fixed64.
    pub(crate) fn fixeds(&mut self, field: u32, values: &[u64]) {
        if !values.is_empty() {
            self.message(field, |w| values.iter().for_each(|value| w.out.extend_from_slice(&value.to_le_bytes())));
        }
    }

    pub fn present_uint(&mut self, field: u32, value: impl Into<u64>) {
        self.key(field, VARINT);
        self.varint(value.into());
    }

    pub fn present_text(&mut self, field: u32, text: &str) {
        self.present_bytes(field, text.as_bytes());
    }

    pub fn present_bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// A nested message, which may be empty.
    pub fn message(&mut self, field: u32, fields: impl FnOnce(&mut Self)) {
        self.key(field, BYTES);
        let at = self.out.len();
        // Its length comes first but is known last. Most fit one byte; the others move up.
        self.out.push(0);
        fields(self);
        let end = self.out.len();
        let length = end - at - 1;
        if length < 0x80 {
            self.out[at] = length as u8;
            return;
        }
        let head = encoded_len_varint(length as u64);
        self.out.resize(end + head - 1, 0);
        self.out.copy_within(at + 1..end, at + head);
        encode_varint(length as u64, &mut &mut self.out[at..at + head]);
    }

    /// A nested message that is left out when nothing stands in it.
    pub(crate) fn part(&mut self, field: u32, fields: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        let mut is_empty = false;
        self.message(field, |w| {
            let at = w.out.len();
            fields(w);
            is_empty = w.out.len() == at;
        });
        if is_empty {
            self.out.truncate(before);
        }
    }

    pub fn some_message<T>(&mut self, field: u32, it: Option<T>, write: impl FnOnce(&mut Self, T)) {
        if let Some(it) = it {
            self.message(field, |w| write(w, it));
        }
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.out.push(value as u8);
        } else {
            encode_varint(value, self.out);
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
