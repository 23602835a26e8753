//! What devices send.

use std::fmt::Debug;

use bytes::Bytes;
use prost::Message as _;
use vigil::core::decode::{Decoded, Items, Rejected, decode};
use vigil::limits;
use vigil::model::frame::{Ended, Frame, FrameKey, Reported};
use vigil::model::row::RejectReason;
use vigil::model::scan::Scan;
use vigil::model::time::Wall;

use super::encode;

pub const PREFIX: &str = "vigil/v1";
pub const REPORT: &str = "vigil/v1/elevator/31305001122014017242/report";
pub const SCAN: &str = "vigil/v1/cylinder/6401-A/scan";
const STATUS: &str = "vigil/v1/elevator/31305001122014017242/status";
const RESULT: &str = "vigil/v1/elevator/31305001122014017242/result";

/// The first line is the topic, the rest the payload. A topic is taken if, and only if, it is one of ours.
pub fn topic(input: &[u8]) {
    let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let Ok(topic) = std::str::from_utf8(&input[..end]) else { return };
    let payload = Bytes::copy_from_slice(input.get(end + 1..).unwrap_or_default());
    let want = match decode(PREFIX, topic, &payload) {
        Decoded::Frames { device, .. } => format!("{PREFIX}/elevator/{device}/report"),
        Decoded::Scans { site, .. } => format!("{PREFIX}/cylinder/{site}/scan"),
        Decoded::Status { device, .. } => format!("{PREFIX}/elevator/{device}/status"),
        Decoded::CommandResult { device, .. } => format!("{PREFIX}/elevator/{device}/result"),
        Decoded::Rejected(rejected) => return check_reject(&rejected, &payload),
    };
    assert_eq!(topic, want);
}

/// The two small payloads.
pub fn status(input: &[u8]) {
    let payload = Bytes::copy_from_slice(input);
    match decode(PREFIX, STATUS, &payload) {
        Decoded::Status { online, .. } => assert_eq!(input, if online { &b"online"[..] } else { b"offline" }),
        Decoded::Rejected(rejected) => check_reject(&rejected, &payload),
        other => panic!("not a status: {other:?}"),
    }
    match decode(PREFIX, RESULT, &payload) {
        Decoded::CommandResult { id, ok, .. } => {
            assert!((1..=limits::COMMAND_ID_CHARS).contains(&id.chars().count()) && !id.contains('\0'), "{id:?}");
            let again = Bytes::from(serde_json::json!({ "id": id, "ok": ok }).to_string());
            let same = matches!(decode(PREFIX, RESULT, &again), Decoded::CommandResult { id: i, ok: o, .. } if i == id && o == ok);
            assert!(same, "{id:?} {ok}");
        }
        Decoded::Rejected(rejected) => check_reject(&rejected, &payload),
        other => panic!("not a result: {other:?}"),
    }
}

pub fn elevator_json(input: &[u8]) {
    json::<Frame>(input);
}

pub fn elevator_protobuf(input: &[u8]) {
    protobuf::<Frame>(input);
}

pub fn scan_json(input: &[u8]) {
    json::<Scan>(input);
}

pub fn scan_protobuf(input: &[u8]) {
    protobuf::<Scan>(input);
}

/// Bytes as a whole report, and as one item among good ones.
fn protobuf<I: Item>(input: &[u8]) {
    if !matches!(input.first(), None | Some(b'{' | b'[')) {
        check_report::<I>(&Bytes::copy_from_slice(input));
    }
    let mut report = Vec::new();
    for item in [&I::protobuf(&I::neighbour(1)), input, &I::protobuf(&I::neighbour(2))] {
        prost::encoding::bytes::encode(1, &item.to_vec(), &mut report);
    }
    let items = read::<I>(&report.into()).unwrap_or_else(|rejected| panic!("one item costs all: {rejected:?}"));
    check_neighbours::<I>(&items);
}

/// Text as a whole report, and as one item among good ones if it is JSON at all.
fn json<I: Item>(input: &[u8]) {
    let is_json = serde_json::from_slice::<serde_json::Value>(input).is_ok();
    // Without one of these at the start it would be read as protobuf.
    if matches!(input.first(), Some(b'{' | b'[')) {
        check_report::<I>(&Bytes::copy_from_slice(input));
    }
    if !is_json {
        return;
    }
    let mut report = I::json(&I::neighbour(1)).into_bytes();
    report.insert(0, b'[');
    report.push(b',');
    report.extend_from_slice(input);
    report.push(b',');
    report.extend_from_slice(I::json(&I::neighbour(2)).as_bytes());
    report.push(b']');
    match read::<I>(&report.into()) {
        Ok(items) => check_neighbours::<I>(&items),
        // A foreign code, and nesting, are the two that cost the whole report.
        Err(rejected) => assert!(
            matches!(rejected.reason, RejectReason::WrongDevice | RejectReason::TooDeep),
            "one item costs all: {rejected:?}"
        ),
    }
}

fn check_neighbours<I: Item>(items: &Items<I>) {
    assert_eq!(items.good.len() + items.rejects.len(), 3);
    for n in [1, 2] {
        assert!(items.good.contains(&I::neighbour(n)), "neighbour {n} is gone: {items:?}");
    }
}

/// What holds for any report, and that its clean items come back from either encoding as they are.
fn check_report<I: Item>(payload: &Bytes) {
    let items = match read::<I>(payload) {
        Ok(items) => items,
        Err(rejected) => return check_reject(&rejected, payload),
    };
    let Items { good, rejects, .. } = &items;
    assert!(good.len() + rejects.len() <= limits::REPORT_ITEMS);
    assert!(good.is_sorted_by_key(|item| item.key()));
    good.iter().for_each(I::check);
    rejects.iter().for_each(|rejected| check_reject(rejected, payload));
    let bytes: usize = good.iter().map(I::bytes).sum::<usize>() + rejects.len() * size_of::<Rejected>();
    // The smallest item takes four bytes, and its struct some hundred times that.
    assert!(bytes <= 4_096 + 256 * payload.len(), "{bytes} bytes from {}", payload.len());

    let clean: Vec<&I> = good.iter().filter(|item| item.is_clean()).collect();
    for some in clean.chunks(50) {
        let json = format!("[{}]", some.iter().map(|item| item.json()).collect::<Vec<_>>().join(","));
        check_same(some, &read::<I>(&json.into()));
        let some: Vec<&I> = some.iter().copied().filter(|item| item.fits_protobuf()).collect();
        let mut report = Vec::new();
        some.iter().for_each(|item| prost::encoding::bytes::encode(1, &item.protobuf(), &mut report));
        check_same(&some, &read::<I>(&report.into()));
    }
}

fn check_same<I: Item>(sent: &[&I], items: &Result<Items<I>, Rejected>) {
    let Ok(items) = items else { panic!("{items:?}") };
    assert!(items.rejects.is_empty() && items.unknown_fields == 0, "{items:?}");
    assert!(sent.iter().copied().eq(&items.good), "sent {sent:?}, read {:?}", items.good);
}

fn check_reject(rejected: &Rejected, payload: &Bytes) {
    let Rejected { pointer, detail, payload: kept, .. } = rejected;
    assert!((1..1_000).contains(&detail.len()) && pointer.len() < 100, "{rejected:?}");
    assert!(!detail.contains('\0') && !pointer.contains('\0'), "{rejected:?}");
    assert!(kept.len() <= payload.len(), "{rejected:?}");
}

fn read<I: Item>(payload: &Bytes) -> Result<Items<I>, Rejected> {
    match decode(PREFIX, I::TOPIC, payload) {
        Decoded::Rejected(rejected) => Err(rejected),
        decoded => Ok(I::items(decoded)),
    }
}

/// A frame or a scan.
trait Item: Sized + Debug + PartialEq {
    const TOPIC: &'static str;
    fn items(decoded: Decoded) -> Items<Self>;
    /// A good one that no input is likely to hold.
    fn neighbour(n: u64) -> Self;
    fn key(&self) -> FrameKey;
    /// Whether all of it could be read.
    fn is_clean(&self) -> bool;
    /// Whether protobuf has a form for it.
    fn fits_protobuf(&self) -> bool;
    fn protobuf(&self) -> Vec<u8>;
    fn json(&self) -> String;
    /// That every store takes it, and that it keeps its bounds.
    fn check(&self);
    /// What it takes in memory.
    fn bytes(&self) -> usize;
}

/// In protobuf, no time at all.
fn is_no_time(at: Option<Wall>) -> bool {
    at == Some(Wall(0))
}

fn check_key(key: FrameKey, claimed_at: Option<Wall>) {
    assert!(i64::try_from(key.seq).is_ok_and(|seq| seq > 0), "{key:?}");
    check_time(claimed_at);
}

fn check_time(at: Option<Wall>) {
    assert!(at.is_none_or(|at| (Wall(0)..=Wall::LAST).contains(&at)), "{at:?}");
}

fn check_text(text: &str, chars_max: usize) {
    assert!((1..=chars_max).contains(&text.chars().count()) && !text.contains('\0'), "{text:?}");
}

fn check_invalid(invalid: &[Box<str>]) {
    assert!(invalid.len() <= limits::INVALID_FIELDS + 1 && invalid.is_sorted(), "{invalid:?}");
    assert!(invalid.iter().all(|pointer| pointer.len() < 100 && !pointer.contains('\0')), "{invalid:?}");
}

/// Ascending and without repeats.
fn check_list<T: Ord + Debug>(items: &[T], most: usize) {
    assert!(items.len() <= most && items.is_sorted_by(|a, b| a < b), "{items:?}");
}

fn text_bytes<'a>(texts: impl IntoIterator<Item = &'a Box<str>>) -> usize {
    texts.into_iter().map(|text| size_of::<Box<str>>() + text.len()).sum()
}

impl Item for Frame {
    const TOPIC: &'static str = REPORT;

    fn items(decoded: Decoded) -> Items<Self> {
        match decoded {
            Decoded::Frames { items, .. } => items,
            other => panic!("not frames: {other:?}"),
        }
    }

    fn neighbour(n: u64) -> Self {
        let key = FrameKey { boot: 0xfeed_f00d, seq: 7_000_000 + n };
        Frame { key, floor: Reported::Known(-3), floor_label: Reported::Known("B3".into()), ..Frame::default() }
    }

    fn key(&self) -> FrameKey {
        self.key
    }

    fn is_clean(&self) -> bool {
        self.invalid.is_empty()
    }

    fn fits_protobuf(&self) -> bool {
        !is_no_time(self.claimed_at)
    }

    fn protobuf(&self) -> Vec<u8> {
        encode::frame(self).encode_to_vec()
    }

    fn json(&self) -> String {
        encode::frame_json(self).to_string()
    }

    fn check(&self) {
        check_key(self.key, self.claimed_at);
        assert!(self.runs.known().is_none_or(|runs| i64::try_from(*runs).is_ok()), "{self:?}");
        self.floor_label.known().iter().for_each(|label| check_text(label, limits::FLOOR_LABEL_CHARS));
        for list in [&self.faults, &self.events, &self.alarms] {
            check_list(&list.items, limits::CODES);
            assert!(!list.items.contains(&0), "{self:?}");
        }
        check_list(&self.conditions.items, limits::CONDITIONS);
        self.conditions.items.iter().for_each(|name| check_text(name, limits::CONDITION_CHARS));
        check_list(&self.cleared, limits::CLEARED);
        let names: Vec<_> = self.extras.iter().map(|(name, _)| name).collect();
        check_list(&names, limits::EXTRAS);
        names.iter().for_each(|name| check_text(name, limits::EXTRA_NAME_BYTES));
        assert!(self.extras.iter().all(|(_, number)| number.is_finite()), "{self:?}");
        check_invalid(&self.invalid);
        let is_partial = self.faults.partial || self.events.partial || self.alarms.partial || self.conditions.partial;
        assert!(!is_partial || !self.invalid.is_empty(), "a list that was not read whole isn't named: {self:?}");
    }

    fn bytes(&self) -> usize {
        let Self { faults, events, alarms, conditions, extras, cleared, invalid, .. } = self;
        let ended = cleared.iter().map(|ended| match ended {
            Ended::Code(_) => size_of::<Ended>(),
            Ended::Condition(name) => size_of::<Ended>() + name.len(),
        });
        size_of::<Self>()
            + 4 * (faults.items.len() + events.items.len() + alarms.items.len())
            + text_bytes(&conditions.items)
            + text_bytes(extras.iter().map(|(name, _)| name))
            + text_bytes(invalid)
            + ended.sum::<usize>()
    }
}

impl Item for Scan {
    const TOPIC: &'static str = SCAN;

    fn items(decoded: Decoded) -> Items<Self> {
        match decoded {
            Decoded::Scans { items, .. } => items,
            other => panic!("not scans: {other:?}"),
        }
    }

    fn neighbour(n: u64) -> Self {
        let json = format!(
            r#"{{"boot":4276994061,"seq":{n},"scanner":"gun","cylinder":"6401-00000001","event":"filled","net_g":1}}"#
        );
        let mut items = Scan::items(decode(PREFIX, SCAN, &json.into()));
        items.good.pop().expect("a good scan")
    }

    fn key(&self) -> FrameKey {
        self.key
    }

    fn is_clean(&self) -> bool {
        self.invalid.is_empty()
    }

    fn fits_protobuf(&self) -> bool {
        !is_no_time(self.claimed_at)
    }

    fn protobuf(&self) -> Vec<u8> {
        encode::scan(self).encode_to_vec()
    }

    fn json(&self) -> String {
        encode::scan_json(self).to_string()
    }

    fn check(&self) {
        check_key(self.key, self.claimed_at);
        check_time(self.valid_until);
        check_text(&self.scanner, limits::SCANNER_CHARS);
        let texts = [&self.operator, &self.counterparty, &self.medium, &self.request];
        texts.into_iter().flatten().chain(&self.findings).for_each(|text| check_text(text, limits::SCAN_TEXT_CHARS));
        assert!(self.findings.len() <= limits::FINDINGS, "{self:?}");
        let within = |e7: Option<i32>, most: u32| e7.is_none_or(|e7| e7.unsigned_abs() <= most);
        assert!(within(self.latitude_e7, 900_000_000) && within(self.longitude_e7, 1_800_000_000), "{self:?}");
        check_invalid(&self.invalid);
    }

    fn bytes(&self) -> usize {
        let texts = [&self.operator, &self.counterparty, &self.medium, &self.request].into_iter().flatten();
        size_of::<Self>() + text_bytes(texts.chain(&self.findings).chain(&self.invalid).chain([&self.scanner]))
    }
}
