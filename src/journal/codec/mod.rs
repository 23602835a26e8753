//! Records and effects as bytes, by `proto/vigil/internal/v1/journal.proto`.
//!
//! Writing goes field by field straight into the buffer, without copies on the way; equal values give equal bytes.
//! Reading goes through the generated types, but for frames. Payloads are slices of what was read.

mod fields;
mod frame;
mod read;
#[cfg(test)]
mod tests;
mod visit;
mod write;

use bytes::Bytes;
use prost::Message as _;

use crate::model::alert::AlertEvent;
use crate::model::record::Record;
use crate::model::row::Effects;
use crate::proto::internal as wire;
pub use crate::proto::read::CodecError;
use crate::proto::writer::Writer;

/// Appends `record` without its position, which is the journal's.
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    write::record(&mut Writer::new(out), record);
}

pub fn decode_record(pos: u64, bytes: Bytes) -> Result<Record, CodecError> {
    read::record(pos, wire::Record::decode(bytes)?)
}

/// Appends what the record at inbox position `cause` has led to. The reply is left out: it is for whoever waits now.
pub fn encode_effects(cause: u64, effects: &Effects, out: &mut Vec<u8>) {
    write::effects(&mut Writer::new(out), cause, effects);
}

/// Only the alert events of an entry. Its rows, which are many and large, are passed over unread.
pub fn decode_events(bytes: Bytes) -> Result<Vec<AlertEvent>, CodecError> {
    read::alert_events(&bytes)
}

/// Returns also the inbox position that they come from.
pub fn decode_effects(bytes: Bytes) -> Result<(u64, Effects), CodecError> {
    read::effects(&bytes)
}
