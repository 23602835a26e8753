//! What stands in a segment file: a header, then records and sync points. All numbers are little-endian.
//!
//! ```text
//! header      magic 8 · version u32 · epoch u32 · id u128 · first u64 · mark u64 · hash before u32
//!             · first and bytes of the previous segment u64, u64 · CRC-32C of all this u32
//! record      length u32 · chained CRC-32C u32 · payload
//! sync point  tag u32 · CRC-32C u32 · position u64 · running hash u32
//! ```
//!
//! A sync point is written after an fdatasync succeeded. It proves that all records before it were durable: whatever
//! is bad before one is damage, and only what is bad behind the last one can be the torn end of a write.

use super::super::{Identity, chain};
use crate::limits::JOURNAL_RECORD_BYTES;

pub(super) const HEADER_BYTES: usize = 72;
pub(super) const RECORD_HEAD_BYTES: usize = 8;
pub(super) const SYNC_POINT_BYTES: usize = 20;

const MAGIC: &[u8; 8] = b"vigiljrn";
const VERSION: u32 = 1;
/// No record is that long.
const SYNC_TAG: u32 = 0xff_67_69_76;

const _: () = assert!(SYNC_TAG as usize > JOURNAL_RECORD_BYTES);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: Identity,
    pub(super) first: u64,
    pub(super) mark: u64,
    pub(super) hash_before: u32,
    /// So that a missing segment, or one that lost its end, is found without reading all; both 0 in the very first.
    pub(super) previous_first: u64,
    pub(super) previous_bytes: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.identity.epoch.to_le_bytes());
        out.extend(self.identity.id.to_le_bytes());
        out.extend(self.first.to_le_bytes());
        out.extend(self.mark.to_le_bytes());
        out.extend(self.hash_before.to_le_bytes());
        out.extend(self.previous_first.to_le_bytes());
        out.extend(self.previous_bytes.to_le_bytes());
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        out.try_into().expect("the fields make up 72 bytes")
    }

    /// The error says what is wrong, and at which byte.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, (u64, String)> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err((bytes.len() as u64, "it ends within its header".into()));
        };
        if &bytes[..8] != MAGIC {
            return Err((0, "it does not begin like a segment of a journal".into()));
        }
        let version = u32_at(bytes, 8);
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[16..32]);
        let header = Self {
            identity: Identity { id: u128::from_le_bytes(id), epoch: u32_at(bytes, 12) },
            first: u64_at(bytes, 32),
            mark: u64_at(bytes, 40),
            hash_before: u32_at(bytes, 48),
            previous_first: u64_at(bytes, 52),
            previous_bytes: u64_at(bytes, 60),
        };
        if crc32c::crc32c(&bytes[..68]) != u32_at(bytes, 68) {
            return Err((0, "its header does not match its checksum".into()));
        }
        if version != VERSION {
            return Err((8, format!("it has format {version}, and this program reads format {VERSION}")));
        }
        Ok(header)
    }
}

/// What stands next in a segment, with the running hash behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    Record {
        payload_bytes: usize,
        hash_after: u32,
    },
    SyncPoint,
    /// To tell, one needs this many bytes from here.
    Short {
        need: usize,
    },
    Bad(&'static str),
}

/// Looks at the beginning of `bytes`, where position `pos` follows the running hash `hash`.
pub(super) fn frame(bytes: &[u8], identity: Identity, pos: u64, hash: u32) -> Frame {
    if bytes.len() < RECORD_HEAD_BYTES {
        return Frame::Short { need: RECORD_HEAD_BYTES };
    }
    let length = u32_at(bytes, 0);
    if length == SYNC_TAG {
        return match sync_point(bytes, identity) {
            Some(found) if found == (pos, hash) => Frame::SyncPoint,
            None if bytes.len() < SYNC_POINT_BYTES => Frame::Short { need: SYNC_POINT_BYTES },
            _ => Frame::Bad("a sync point does not match what stands before it"),
        };
    }
    let payload_bytes = length as usize;
    if payload_bytes > JOURNAL_RECORD_BYTES {
        return Frame::Bad("a record claims an impossible length");
    }
    match bytes.get(RECORD_HEAD_BYTES..RECORD_HEAD_BYTES + payload_bytes) {
        None => Frame::Short { need: RECORD_HEAD_BYTES + payload_bytes },
        Some(payload) => {
            let hash_after = chain(hash, pos, payload);
            if hash_after != u32_at(bytes, 4) {
                return Frame::Bad("a record does not match its checksum, or does not follow the one before it");
            }
            Frame::Record { payload_bytes, hash_after }
        }
    }
}

pub(super) fn push_record(out: &mut Vec<u8>, payload: &[u8], hash_after: u32) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&hash_after.to_le_bytes());
    out.extend_from_slice(payload);
}

pub(super) fn encode_sync_point(identity: Identity, pos: u64, hash: u32) -> [u8; SYNC_POINT_BYTES] {
    let mut out = [0; SYNC_POINT_BYTES];
    out[..4].copy_from_slice(&SYNC_TAG.to_le_bytes());
    out[8..16].copy_from_slice(&pos.to_le_bytes());
    out[16..].copy_from_slice(&hash.to_le_bytes());
    let crc = sync_crc(identity, &out[8..]);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Whether anything in `bytes` proves that the record at `pos` was durable. Cheap enough for a whole segment.
pub(super) fn proves_durable(bytes: &[u8], identity: Identity, pos: u64) -> bool {
    let tag = SYNC_TAG.to_le_bytes();
    let mut windows = bytes.windows(SYNC_POINT_BYTES);
    windows.any(|w| w[..4] == tag && sync_point(w, identity).is_some_and(|(next, _)| next > pos))
}

/// The position and running hash of a sync point of this journal that stands at the beginning of `bytes`.
fn sync_point(bytes: &[u8], identity: Identity) -> Option<(u64, u32)> {
    let bytes = bytes.get(..SYNC_POINT_BYTES)?;
    (sync_crc(identity, &bytes[8..]) == u32_at(bytes, 4)).then(|| (u64_at(bytes, 8), u32_at(bytes, 16)))
}

/// Depends on the journal's id, which no device knows: no payload can pass for a sync point.
fn sync_crc(identity: Identity, rest: &[u8]) -> u32 {
    let seed = crc32c::crc32c_append(identity.epoch, &identity.id.to_le_bytes());
    crc32c::crc32c_append(seed, rest)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
