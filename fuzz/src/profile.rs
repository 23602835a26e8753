//! Source profiles, and what they make of messages.

use bytes::Bytes;
use vigil::core::decode::profile::{Feed, Profiles};
use vigil::limits;

use super::decode::PREFIX;

const TOPIC: &str = "a/31305001122014017242";

/// A profile, NUL, and a message. A fault has its place; what is read comes out the same again, and as our own devices could
/// have sent it.
pub fn profile(input: &[u8]) {
    let end = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let Ok(text) = std::str::from_utf8(&input[..end]) else { return };
    let payload = Bytes::copy_from_slice(input.get(end + 1..).unwrap_or_default());
    let files = [("profiles/a.toml".into(), text.into())];
    let read = Profiles::parse(Some(PREFIX), &files);
    assert_eq!(read, Profiles::parse(Some(PREFIX), &files));
    match read {
        Ok(profiles) => {
            for profile in profiles.all() {
                assert!(profiles.find(PREFIX, &format!("{PREFIX}/elevator/x/report")).is_none());
                let feed = profile.decode(TOPIC, &payload);
                assert_eq!(feed, profile.decode(TOPIC, &payload));
                check(&feed, &payload);
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                let lines = text.split('\n').count() as u32;
                assert!((1..=lines).contains(&fault.line) && fault.column >= 1, "{fault}");
                assert!(!fault.message.is_empty());
            }
        }
    }
}

fn check(feed: &Feed, payload: &Bytes) {
    assert!(feed.frames.len() + feed.rejects.len() <= limits::REPORT_ITEMS);
    for (_, mapped) in &feed.frames {
        let frame = &mapped.frame;
        assert!(mapped.id.is_some() || frame.key.seq > 0);
        assert!(frame.faults.items.is_sorted() && frame.faults.items.len() <= limits::CODES);
        assert!(frame.invalid.len() <= limits::INVALID_FIELDS + 1);
        assert!(frame.extras.iter().all(|(_, value)| value.is_finite()));
    }
    for rejected in &feed.rejects {
        assert!(rejected.pointer.is_empty() || rejected.pointer.starts_with('/'), "{rejected:?}");
        assert!(!rejected.detail.contains('\0') && !rejected.detail.is_empty());
        assert!(rejected.payload.len() <= 2 * payload.len() + 16);
    }
}
