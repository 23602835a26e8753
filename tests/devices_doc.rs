//! The examples of `docs/devices.md` are copied into terminals: each must be read without a complaint.

use bytes::Bytes;
use vigil::core::decode::{Decoded, Items, decode};

#[test]
fn every_example_is_read_whole() {
    let page = include_str!("../docs/devices.md");
    let examples: Vec<_> = page.lines().filter_map(example).collect();
    assert!(examples.len() >= 8, "only {} examples were found", examples.len());
    for (topic, payload) in examples {
        match decode("vigil/v1", topic, &payload) {
            Decoded::Frames { items, .. } => check(topic, &items, |frame| frame.invalid.is_empty()),
            Decoded::Scans { items, .. } => check(topic, &items, |scan| scan.invalid.is_empty()),
            Decoded::Status { online, .. } => assert!(online, "{topic}"),
            Decoded::CommandResult { ok, .. } => assert!(ok, "{topic}"),
            Decoded::Rejected(rejected) => panic!("{topic}: {rejected:?}"),
        }
    }
}

#[test]
fn the_frame_in_protobuf_is_the_one_in_json() {
    let page = include_str!("../docs/devices.md");
    let mut first = page.lines().filter_map(example).filter(|(topic, _)| topic.ends_with("/report"));
    let json = first.next().map(|(topic, payload)| decode("vigil/v1", topic, &payload));
    let protobuf =
        first.find(|(_, payload)| payload[0] != b'{').map(|(topic, bytes)| decode("vigil/v1", topic, &bytes));
    assert!(json.is_some());
    assert_eq!(json, protobuf);
}

fn check<T: std::fmt::Debug>(topic: &str, items: &Items<T>, is_clean: impl Fn(&T) -> bool) {
    let clean = items.rejects.is_empty() && items.unknown_fields == 0 && items.good.iter().all(is_clean);
    assert!(clean && !items.good.is_empty(), "{topic}: {items:?}");
}

/// Topic and payload of a line that publishes: text after `-m`, or hex digits after `echo`.
fn example(line: &str) -> Option<(&str, Bytes)> {
    let quoted = |option: &str| line.split_once(option)?.1.strip_prefix(" '")?.rsplit_once('\'').map(|(text, _)| text);
    let topic = line.split_once(" -t '")?.1.split_once('\'')?.0;
    if let Some(text) = quoted(" -m") {
        return Some((topic, Bytes::copy_from_slice(text.as_bytes())));
    }
    let digits = line.strip_prefix("echo ")?.split_once(' ')?.0;
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some((topic, (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?.into()))
}
