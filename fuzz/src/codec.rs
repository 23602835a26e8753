//! What journals hold.

use bytes::Bytes;
use vigil::journal::codec::{decode_effects, decode_events, decode_record, encode_effects, encode_record};

/// A record that can be read is written in one way, and read from that as the same.
pub fn record(input: &[u8]) {
    let Ok(record) = decode_record(7, Bytes::copy_from_slice(input)) else { return };
    let written = |record| {
        let mut out = Vec::new();
        encode_record(record, &mut out);
        out
    };
    let bytes = written(&record);
    let again = decode_record(7, bytes.clone().into()).expect("what was written can be read");
    // By their bytes: a number that is none differs from itself.
    assert_eq!(written(&again), bytes, "{record:?}");
}

/// The same of effects, and that those who look for alert events only find the same ones.
pub fn effects(input: &[u8]) {
    let input = Bytes::copy_from_slice(input);
    let events = decode_events(input.clone());
    let Ok((cause, effects)) = decode_effects(input) else { return };
    assert_eq!(events.expect("what can be read whole can be read in part"), effects.events);
    let written = |effects| {
        let mut out = Vec::new();
        encode_effects(cause, effects, &mut out);
        out
    };
    let bytes = written(&effects);
    assert_eq!(decode_events(bytes.clone().into()).expect("what was written can be read"), effects.events);
    let (cause_again, again) = decode_effects(bytes.clone().into()).expect("what was written can be read");
    assert_eq!(cause_again, cause);
    assert_eq!(written(&again), bytes, "{effects:?}");
}
