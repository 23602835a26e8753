//! The content of a snapshot file: two places in the journals, and the core's state in pieces. Written and read piece by
//! piece: those of a city need not be in memory at a time.

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::Point;
use crate::core::snapshot::Frozen;
use crate::journal::Identity;
use crate::proto::internal as wire;

/// What becomes a snapshot file.
pub struct Image {
    pub inbox: Point,
    pub outbox: Point,
    pub core: Frozen,
}

/// The fields of `SnapshotFile`, in which all are messages or bytes.
const INBOX: u64 = 1;
const OUTBOX: u64 = 2;
const CORE: u64 = 3;

impl Image {
    pub fn encode(&self) -> Vec<u8> {
        let mut content = Vec::new();
        let again = Self { core: self.core.clone(), ..*self };
        again.write(&mut content).expect("memory takes what is written");
        content
    }

    /// The same, piece by piece. Returns how many bytes it took.
    pub fn write(self, out: &mut dyn io::Write) -> io::Result<u64> {
        let points =
            wire::SnapshotFile { inbox: Some(self.inbox.wire()), outbox: Some(self.outbox.wire()), core: Vec::new() };
        let mut head = points.encode_to_vec();
        let mut bytes = 0;
        let mut written = Ok(());
        self.core.pieces(|piece| {
            encode_key(CORE as u32, WireType::LengthDelimited, &mut head);
            encode_varint(piece.len() as u64, &mut head);
            bytes += (head.len() + piece.len()) as u64;
            if written.is_ok() {
                written = out.write_all(&head).and_then(|()| out.write_all(piece));
            }
            head.clear();
        });
        written.map(|()| bytes)
    }
}

impl Point {
    fn wire(&self) -> wire::JournalPoint {
        let Identity { id, epoch } = self.identity;
        wire::JournalPoint { id: id.to_le_bytes().to_vec().into(), epoch, position: self.position, hash: self.hash }
    }
}

/// One part of it.
pub enum Part {
    Inbox(wire::JournalPoint),
    Outbox(wire::JournalPoint),
    Core(Bytes),
}

/// Reads the parts in the order in which they were written: the places come first. What isn't such a file is
/// `InvalidData`, and ends it.
pub struct Parts<R> {
    pub input: R,
}

impl<R: BufRead> Iterator for Parts<R> {
    type Item = io::Result<Part>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl<R: BufRead> Parts<R> {
    fn read(&mut self) -> io::Result<Option<Part>> {
        while !self.input.fill_buf()?.is_empty() {
            let key = self.varint()?;
            if key & 7 != WireType::LengthDelimited as u64 {
                return Err(invalid("a field of another kind than this program knows"));
            }
            let length = self.varint()?;
            let mut bytes = Vec::new();
            // It grows with what is really there, whatever the length says.
            if self.input.by_ref().take(length).read_to_end(&mut bytes)? as u64 != length {
                return Err(invalid("a field that goes beyond its end"));
            }
            let bytes = Bytes::from(bytes);
            return Ok(Some(match key >> 3 {
                INBOX => Part::Inbox(point(bytes)?),
                OUTBOX => Part::Outbox(point(bytes)?),
                CORE => Part::Core(bytes),
                _ => continue,
            }));
        }
        Ok(None)
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.input.read_exact(&mut byte)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(invalid("a number of too many bytes"))
    }
}

fn point(bytes: Bytes) -> io::Result<wire::JournalPoint> {
    wire::JournalPoint::decode(bytes).map_err(|error| invalid(&error.to_string()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut read = Vec::new();
        for part in (Parts { input: bytes }) {
            let part = part.map_err(|error| error.to_string())?;
            read.push(match part {
                Part::Inbox(point) => format!("inbox at {}", point.position),
                Part::Outbox(point) => format!("outbox at {}", point.position),
                Part::Core(piece) => String::from_utf8(piece.to_vec()).expect("this test wrote text"),
            });
        }
        Ok(read)
    }

    #[test]
    fn a_file_is_read_part_by_part_and_a_cut_one_is_refused() {
        let at = |position| Some(wire::JournalPoint { position, ..wire::JournalPoint::default() });
        let core = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")];
        let bytes = wire::SnapshotFile { inbox: at(7), outbox: at(200), core: core.to_vec() }.encode_to_vec();
        let whole = ["inbox at 7", "outbox at 200", "one", "", "three"].map(String::from);
        assert_eq!(check(&bytes).unwrap(), whole);
        for cut in 0..bytes.len() {
            match check(&bytes[..cut]) {
                Ok(read) => assert!(read.len() < whole.len() && whole.starts_with(&read), "{cut}: {read:?}"),
                Err(why) => {
                    assert!(why.contains("beyond its end") || why.contains("fill whole buffer"), "{cut}: {why}")
                }
            }
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        assert!(check(&[0x08, 0x01]).unwrap_err().contains("another kind"));
        assert!(check(&[0xff; 11]).unwrap_err().contains("too many bytes"));
        // A length far beyond what is there takes no memory.
        assert!(
            check(&[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0])
                .unwrap_err()
                .contains("beyond its end")
        );
        assert!(check(&[0x0a, 0x01, 0xff]).is_err());
        assert_eq!(check(&[0x22, 0x01, 0x00, 0x1a, 0x01, b'x']).unwrap(), ["x"], "a field of a later version");
    }
}
