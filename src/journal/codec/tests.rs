use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::model::actor::Actor;
use crate::model::arbitrary;
use crate::model::frame::Frame;
use crate::model::record::{Action, Command, Kind};
use crate::model::row::{FrameRow, Order, Row, TimeSource};
use crate::model::time::{Elapsed, Wall};

fn record_bytes(record: &Record) -> Bytes {
    let mut out = b"what stood there before".to_vec();
    let start = out.len();
    encode_record(record, &mut out);
    Bytes::from(out).slice(start..)
}

fn effects_bytes(cause: u64, effects: &Effects) -> Bytes {
    let mut out = Vec::new();
    encode_effects(cause, effects, &mut out);
    out.into()
}

proptest! {
    /// The generated types write fields in the order of their numbers, as we do. So equal bytes show that every field
    /// is there, with its right type, and that the shortest form was chosen.
    #[test]
    fn a_record_is_read_as_it_was_written_and_is_what_the_schema_says(record in arbitrary::record()) {
        let bytes = record_bytes(&record);
        prop_assert_eq!(&wire::Record::decode(bytes.clone()).unwrap().encode_to_vec(), &bytes);
        prop_assert_eq!(decode_record(record.pos, bytes).unwrap(), record);
    }

    #[test]
    fn effects_are_read_as_they_were_written_and_are_what_the_schema_says(cause: u64, effects in arbitrary::effects()) {
        let bytes = effects_bytes(cause, &effects);
        prop_assert_eq!(&wire::Effects::decode(bytes.clone()).unwrap().encode_to_vec(), &bytes);
        prop_assert_eq!(decode_effects(bytes).unwrap(), (cause, effects));
    }

    #[test]
    fn spoilt_bytes_never_panic(effects in arbitrary::effects(), at: prop::sample::Index, mask in 1..=u8::MAX) {
        let mut bytes = effects_bytes(7, &effects).to_vec();
        bytes.push(0);
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        let _either = decode_effects(bytes.clone().into());
        let _either = decode_record(0, bytes.into());
    }

    #[test]
    fn floats_keep_their_bits(bits: u64) {
        let extras = vec![("x".into(), f64::from_bits(bits))];
        let (_, read) = decode_effects(effects_bytes(0, &frame_effects(Frame { extras, ..Frame::default() }))).unwrap();
        let Row::Frame(row) = &read.rows[0] else { panic!("{read:?}") };
        prop_assert_eq!(row.frame.extras[0].1.to_bits(), bits);
    }
}

fn frame_effects(frame: Frame) -> Effects {
    let row = FrameRow {
        device: "31305001122014017242".parse().unwrap(),
        generation: 0,
        frame,
        received_at: Wall(0),
        effective_at: Wall(0),
        time_source: TimeSource::Claimed,
        order: Order::Newer,
    };
    Effects { rows: vec![Row::Frame(row)], ..Effects::default() }
}

#[test]
fn minus_zero_stays_minus_zero() {
    let extras = vec![("x".into(), -0.0)];
    let (_, read) = decode_effects(effects_bytes(0, &frame_effects(Frame { extras, ..Frame::default() }))).unwrap();
    let Row::Frame(row) = &read.rows[0] else { panic!("{read:?}") };
    assert!(row.frame.extras[0].1.is_sign_negative());
}

#[test]
fn a_payload_is_not_copied() {
    let kind = Kind::Report { topic: "t".into(), payload: Bytes::from(vec![7; 100]) };
    let bytes = record_bytes(&Record { pos: 0, elapsed: Elapsed(1), wall: Wall(2), kind });
    let range = bytes.as_ptr_range();
    let Kind::Report { payload, .. } = decode_record(0, bytes.clone()).unwrap().kind else { panic!() };
    assert!(range.contains(&payload.as_ptr()));
}

#[test]
fn long_messages_get_long_lengths() {
    for length in [0, 1, 100, 126, 127, 128, 129, 16_000, 16_383, 16_384, 70_000, 3_000_000] {
        let request: Box<str> = "x".repeat(length).into();
        let command = Command { request, actor: Actor::local_admin(), action: Action::Upsert(Vec::new()) };
        let record = Record { pos: 0, elapsed: Elapsed(0), wall: Wall(0), kind: Kind::Command(command) };
        assert_eq!(decode_record(0, record_bytes(&record)).unwrap(), record, "{length}");
    }
}

#[test]
fn what_a_newer_version_wrote_is_named() {
    let check = |bytes: Vec<u8>, expected: &str| {
        let error = decode_effects(bytes.into()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(wire::Effects { rows: vec![wire::Row { row: None }], ..Default::default() }.encode_to_vec(), "a kind of row");
    let reject = wire::RejectRow { reason: 999, ..Default::default() };
    let row = wire::Row { row: Some(wire::row::Row::Reject(reject)) };
    check(wire::Effects { rows: vec![row], ..Default::default() }.encode_to_vec(), "reason of a reject is \"999\"");
    let status = wire::StatusRow { device: "short".into(), ..Default::default() };
    let row = wire::Row { row: Some(wire::row::Row::Status(status)) };
    check(wire::Effects { rows: vec![row], ..Default::default() }.encode_to_vec(), "device code is \"short\"");
    check(vec![0xff; 3], "not of the form");
    assert!(matches!(decode_record(0, Bytes::new()), Err(CodecError::Missing("a kind of record"))));
}
