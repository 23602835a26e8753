//! Every payload of `tests/malformed/` through Mosquitto into the running service, and what its database has of it.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

#[path = "support/malformed.rs"]
#[allow(dead_code, reason = "the decoder's own test uses the rest of it")]
mod corpus;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use corpus::{Case, Expect, NEIGHBOUR_BOOT};
use rusqlite::Connection;
use support::mosquitto::{Mosquitto, Settings};
use support::publisher::Publisher;
use support::vigil::Vigil;
use vigil::limits;

/// Those of the corpus, all of whose cases speak for one lift and one site.
const DEVICE: &str = "31305001122014017242";
const SITE: &str = "6401-A";
const LAST_DEVICE: &str = "31305001122014999999";
const PATIENCE: Duration = Duration::from_secs(60);

/// A case with a lift or a site of its own, as long as the one it replaces: else the cases' frames would repeat each
/// other, and their rejects exceed what is kept of one topic.
fn with_own_code(n: usize, mut case: Case) -> Case {
    for (code, own) in [(DEVICE, format!("31305001122014{n:06}")), (SITE, format!("64{n:04}"))] {
        assert_eq!(code.len(), own.len());
        case.topic = case.topic.replace(code, &own);
        case.payload = replace(&case.payload, code.as_bytes(), own.as_bytes());
    }
    case
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
        }
        at += 1;
    }
    bytes
}

/// Whether the service subscribes to the topic; what nobody subscribes to can't be set aside.
fn is_subscribed(topic: &str) -> bool {
    let levels: Vec<_> = topic.split('/').collect();
    matches!(
        levels[..],
        ["vigil", "v1", "elevator", _, "report" | "status" | "result"] | ["vigil", "v1", "cylinder", _, "scan"]
    )
}

/// The code that a topic names.
fn code_of(topic: &str) -> &str {
    topic.split('/').nth(3).unwrap_or_default()
}

/// What the database has of one code or topic.
#[derive(Debug, Default)]
struct Stored {
    /// Boots and the invalid fields of frames and scans.
    items: Vec<(u32, Vec<String>)>,
    rejects: Vec<Reject>,
}

#[derive(Debug)]
struct Reject {
    reason: String,
    pointer: String,
    detail: String,
    payload: Vec<u8>,
}

fn read(history: &Path) -> BTreeMap<String, Stored> {
    let history = Connection::open(history).unwrap();
    let mut stored: BTreeMap<String, Stored> = BTreeMap::new();
    let items = "SELECT device, boot, invalid_fields FROM frame UNION ALL SELECT site, boot, invalid_fields FROM scan";
    let mut query = history.prepare(items).unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let invalid: Option<String> = row.get(2).unwrap();
        let invalid = invalid.map(|list| serde_json::from_str(&list).unwrap()).unwrap_or_default();
        stored.entry(row.get(0).unwrap()).or_default().items.push((row.get(1).unwrap(), invalid));
    }
    let mut query = history.prepare("SELECT topic, reason, pointer, detail, payload FROM reject").unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let topic: String = row.get(0).unwrap();
        let reject = Reject {
            reason: row.get(1).unwrap(),
            pointer: row.get(2).unwrap(),
            detail: row.get(3).unwrap(),
            payload: row.get(4).unwrap(),
        };
        stored.entry(code_of(&topic).to_owned()).or_default().rejects.push(reject);
    }
    stored
}

/// Flow: all cases are published, each for a lift or site of its own, then one good frame.
/// Asserts: good neighbours are stored and not blamed; what is set aside is kept with reason, place and bytes; a bad
/// field is named in its stored frame; the good frame at the end is stored, and the service ends well.
#[test]
fn what_devices_should_not_send_is_stored_or_set_aside_as_the_corpus_says() {
    let broker = Mosquitto::start(Settings::default());
    let mut vigil = Vigil::with_sqlite(broker.addr());
    let cases: Vec<Case> = corpus::cases().into_iter().enumerate().map(|(n, case)| with_own_code(n, case)).collect();

    let mut device = Publisher::connect(broker.addr(), "a-bad-device").unwrap();
    for case in &cases {
        device.publish(&case.topic, &case.payload).unwrap();
    }
    let last = format!("vigil/v1/elevator/{LAST_DEVICE}/report");
    device.publish(&last, br#"{"boot":1,"seq":1,"mode":"normal","car":"running","direction":"up"}"#).unwrap();
    device.finish().unwrap();

    let history = vigil.sqlite();
    // A broker delivers what came by one connection in its order, so what came before is stored too.
    vigil.wait_for("the last frame", PATIENCE, || {
        let there = Connection::open(&history).ok()?.query_row(
            "SELECT count(*) FROM frame WHERE device = ?1",
            [LAST_DEVICE],
            |row| row.get(0),
        );
        (there == Ok(1)).then_some(())
    });
    let ready = vigil.page("/readyz").unwrap();
    assert_eq!(ready.0, 200, "{ready:?}");
    assert!(vigil.stop().success(), "{}", vigil.log());

    let mut stored = read(&history);
    let came: Vec<_> = cases.iter().filter(|case| is_subscribed(&case.topic)).collect();
    assert!(came.len() >= 120, "only {} cases came to the service", came.len());
    let failures: Vec<String> = came
        .iter()
        .filter_map(|case| {
            let stored = stored.remove(code_of(&case.topic)).unwrap_or_default();
            check(case, &stored).err().map(|wrong| format!("{}: {wrong}; stored: {stored:?}", case.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
    stored.remove(LAST_DEVICE);
    assert!(stored.is_empty(), "nobody sent {stored:?}");
}

fn check(case: &Case, stored: &Stored) -> Result<(), String> {
    let (neighbours, own): (Vec<_>, Vec<_>) = stored.items.iter().partition(|(boot, _)| *boot == NEIGHBOUR_BOOT);
    let good = neighbours.iter().filter(|(_, invalid)| invalid.is_empty()).count();
    let wanted = if matches!(case.expect, Expect::Whole { .. }) { 0 } else { case.neighbours };
    if (good, neighbours.len()) != (wanted, wanted) {
        return Err(format!("{good} of {wanted} good neighbours"));
    }
    match &case.expect {
        Expect::Whole { reason, pointer } => {
            let kept = &case.payload[..case.payload.len().min(limits::PAYLOAD_BYTES)];
            set_aside(stored, own.len(), reason.name(), pointer, |bytes| bytes == kept)
        }
        Expect::SetAside { reason, pointer } => set_aside(stored, own.len(), reason.name(), pointer, |bytes| {
            bytes.is_empty() || case.payload.windows(bytes.len()).any(|part| part == bytes)
        }),
        Expect::Kept { invalid, .. } => match &own[..] {
            [(_, named)] if named == invalid && stored.rejects.is_empty() => Ok(()),
            _ => Err(format!("not kept with {invalid:?}")),
        },
        Expect::Empty if own.is_empty() && stored.rejects.is_empty() => Ok(()),
        Expect::Empty => Err("not empty".to_owned()),
    }
}

fn set_aside(
    stored: &Stored,
    own: usize,
    reason: &str,
    pointer: &str,
    has_bytes: impl Fn(&[u8]) -> bool,
) -> Result<(), String> {
    let wanted = |reject: &Reject| {
        reject.reason == reason && reject.pointer == pointer && !reject.detail.is_empty() && has_bytes(&reject.payload)
    };
    match &stored.rejects[..] {
        [reject] if own == 0 && wanted(reject) => Ok(()),
        _ => Err(format!("not set aside as {reason} at {pointer:?}")),
    }
}
