//! Why a rule is where it is: asked of the inbox, of stored frames, and of nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tonic::Code;
use vigil::clock::Clock;
use vigil::core::Core;
use vigil::core::decode::{Decoded, decode};
use vigil::journal::memory::MemoryDisk;
use vigil::journal::snapshots::SnapshotDir;
use vigil::journal::{Identity, Journal, JournalReader, codec};
use vigil::limits;
use vigil::model::record::{Kind, Link, PolicyText, Record};
use vigil::model::row::{FrameRow, Order, TimeSource};
use vigil::model::time::{Elapsed, Wall};
use vigil::proto::v1::explained_rule::Phase;
use vigil::proto::v1::{ExplainBasis, ExplainRequest, ExplainResponse, ExplainedRule, Truth};
use vigil::spine::retrace::Past;

use crate::cli::print;
use crate::world::{World, within};

const LIFT: &str = "31305001122014017242";
const STUCK: &str = r#""mode":"normal","car":"stopped","door_zone":false,"door":"closed","passenger":true"#;
/// How long ago everything began.
const AGO_MS: i64 = 3_600_000;

/// An inbox as the spine writes it, an hour ago.
struct Inbox {
    journal: Box<dyn Journal>,
    disk: MemoryDisk,
    core: Core,
    began: Wall,
    folder: TempDir,
    snapshots: SnapshotDir,
}

fn an_hour_ago() -> Wall {
    Wall(Clock::default().wall().0 / 1_000 * 1_000 - AGO_MS)
}

impl Inbox {
    fn new() -> Self {
        Self::beginning(an_hour_ago())
    }

    fn beginning(began: Wall) -> Self {
        let disk = MemoryDisk::with_segments_of(Identity { id: 7, epoch: 1 }, 64 * 1024);
        let folder = tempfile::tempdir().unwrap();
        let snapshots = SnapshotDir::open(folder.path()).unwrap();
        let journal = Box::new(disk.open().0);
        let mut inbox = Self { journal, disk, core: Core::new(1), began, folder, snapshots };
        inbox.at(0, Kind::Start { version: "test".into() });
        inbox.at(0, Kind::Policy(shipped()));
        inbox.at(0, Kind::Link(Link::Up));
        inbox.at(0, Kind::Link(Link::Heard { sent: Elapsed(0) }));
        inbox
    }

    fn at(&mut self, at_ms: i64, kind: Kind) {
        let record = Record { pos: self.core.next(), elapsed: Elapsed(at_ms), wall: self.began + at_ms, kind };
        self.core.apply(&record);
        let mut bytes = Vec::new();
        codec::encode_record(&record, &mut bytes);
        self.journal.append(&bytes).unwrap();
        self.journal.sync().unwrap();
    }

    /// Markers and ticks as they fall due.
    fn until(&mut self, from_ms: i64, to_ms: i64) {
        for at_ms in (from_ms..=to_ms).step_by(5_000) {
            self.at(at_ms, Kind::Link(Link::Heard { sent: Elapsed(at_ms) }));
            while !self.core.is_settled() {
                self.at(at_ms, Kind::Tick);
            }
        }
    }

    fn report(&mut self, at_ms: i64, device: &str, seq: u64, members: &str) {
        let (topic, payload) = message(device, seq, self.began + at_ms, members);
        self.at(at_ms, Kind::Report { topic: topic.into(), payload: payload.into() });
    }

    fn snapshot(&self) {
        let core = self.core.freeze();
        let point = |position| vigil::proto::internal::JournalPoint {
            id: 7_u128.to_le_bytes().to_vec().into(),
            epoch: 1,
            position,
            hash: 0,
        };
        let file = vigil::proto::internal::SnapshotFile {
            inbox: Some(point(core.next())),
            outbox: None,
            core: vec![core.encode().into()],
        };
        let bytes = prost::Message::encode_to_vec(&file);
        let (next, wall) = (core.next(), self.core.now().wall);
        self.snapshots.write(next, wall, |out| std::io::Write::write_all(out, &bytes)).unwrap();
    }

    fn past(self) -> (Past, TempDir) {
        let inbox: Box<dyn JournalReader> = self.journal.reader();
        let past = Past {
            identity: Identity { id: 7, epoch: 1 },
            snapshots: Some(Arc::new(self.snapshots)),
            inbox: Mutex::new(inbox),
            poison: Box::new(BTreeSet::new()),
        };
        drop(self.disk);
        (past, self.folder)
    }
}

fn message(device: &str, seq: u64, claimed: Wall, members: &str) -> (String, String) {
    let payload = format!(r#"{{"boot":1,"seq":{seq},"observed_at_ms":{},{members}}}"#, claimed.0);
    (format!("vigil/v1/elevator/{device}/report"), payload)
}

fn shipped() -> PolicyText {
    let rules = ["cylinder.toml", "elevator.toml", "inspection.toml"].map(|name| {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules").join(name);
        (name.into(), std::fs::read_to_string(file).unwrap().into())
    });
    PolicyText {
        rules: rules.to_vec(),
        zone: "Asia/Shanghai".into(),
        tzdb: "test".into(),
        topic_prefix: "vigil/v1".into(),
    }
}

fn stored(seq: u64, received_at: Wall, members: &str) -> FrameRow {
    let (topic, payload) = message(LIFT, seq, received_at, members);
    let Decoded::Frames { device, mut items } = decode("vigil/v1", &topic, &payload.into()) else {
        panic!("no frames")
    };
    FrameRow {
        device,
        generation: 0,
        frame: items.good.remove(0),
        received_at,
        effective_at: received_at,
        time_source: TimeSource::Claimed,
        order: Order::Newer,
    }
}

fn timestamp(at: Wall) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: at.0 / 1_000, nanos: (at.0 % 1_000 * 1_000_000) as i32 })
}

fn asked(at: Wall) -> ExplainRequest {
    ExplainRequest { device: LIFT.into(), at: timestamp(at), rule: String::new() }
}

fn rule(answer: &ExplainResponse, id: &str) -> ExplainedRule {
    answer.rules.iter().find(|rule| rule.rule == id).unwrap_or_else(|| panic!("no {id} in {answer:#?}")).clone()
}

/// A passenger is stuck at 10 s; another lift talks all the time.
fn entrapment(began: Wall, snapshot_at_ms: Option<i64>) -> Inbox {
    let mut inbox = Inbox::beginning(began);
    for second in 1..=60 {
        let at_ms = second * 1_000;
        inbox.report(at_ms, "31305001122014999999", second as u64, STUCK);
        if second == 10 {
            inbox.report(at_ms, LIFT, 1, STUCK);
        }
        inbox.until(at_ms, at_ms);
        if snapshot_at_ms == Some(at_ms) {
            inbox.snapshot();
        }
    }
    inbox
}

/// Asserts: a hold and an open alert are explained from the inbox, from its beginning and from a snapshot alike.
#[tokio::test]
async fn the_inbox_says_how_long_it_had_held() {
    let mut answers = Vec::new();
    let began = an_hour_ago();
    for snapshot_at_ms in [None, Some(15_000)] {
        let inbox = entrapment(began, snapshot_at_ms);
        let (past, _folder) = inbox.past();
        let world = World::after(past, |_| {}).await;
        let mut client = world.history().await;
        let held = client.explain(asked(began + 22_500)).await.unwrap().into_inner();
        assert_eq!(held.basis(), ExplainBasis::Inbox);
        assert_eq!(held.basis_from, timestamp(began + snapshot_at_ms.unwrap_or(0)));
        assert_eq!(held.basis_to, timestamp(began + 22_000));
        assert_eq!((held.heard_ago_ms, held.caveats.len()), (Some(12_500), 0), "{held:#?}");
        let trapped = rule(&held, "trapped-out-of-zone");
        assert_eq!((trapped.phase(), trapped.held_ms, trapped.for_ms), (Phase::Holding, 12_500, 30_000));
        assert_eq!(trapped.when.as_ref().unwrap().truth(), Truth::True);
        assert_eq!(trapped.next_at, timestamp(began + 40_000));
        assert_eq!(trapped.why_not[0].text, "held 12.5 s of 30 s");

        let open = client.explain(asked(began + 50_000)).await.unwrap().into_inner();
        let trapped = rule(&open, "trapped-out-of-zone");
        assert_eq!((trapped.phase(), trapped.why_not.len()), (Phase::Open, 0));
        assert_eq!(trapped.alert.unwrap().id, format!("{LIFT}/trapped-out-of-zone/1"));

        let request = ExplainRequest { rule: "offline".into(), ..asked(began + 22_500) };
        let one = client.explain(request).await.unwrap().into_inner();
        assert_eq!(one.rules.iter().map(|rule| &*rule.rule).collect::<Vec<_>>(), ["offline"]);
        answers.push([held.rules, open.rules]);
        world.end().await;
    }
    assert_eq!(answers[0], answers[1]);
}

/// Asserts: beyond the inbox stored frames answer, by the present rules, and the answer says so.
#[tokio::test]
async fn stored_frames_answer_where_the_inbox_no_longer_reaches() {
    let mut inbox = Inbox::new();
    inbox.until(5_000, 600_000);
    // Enough to fill several segments.
    let noise = "x".repeat(2_000);
    for n in 0..200 {
        inbox.at(600_000 + n, Kind::Report { topic: "elsewhere".into(), payload: noise.clone().into() });
    }
    inbox.snapshot();
    let next = inbox.core.next();
    inbox.journal.trim(next).unwrap();
    assert!(inbox.journal.first() > 0, "nothing was trimmed");
    let began = inbox.began;
    let (past, _folder) = inbox.past();
    let world = World::after(past, |_| {}).await;
    let frames = vec![
        stored(1, began + 10_000, STUCK),
        stored(2, began + 25_000, r#""door":"closed""#),
        stored(3, began + 70_000, r#""door":"open""#),
    ];
    world.store.memory.lock().unwrap().frames = frames;
    let mut client = world.history().await;

    let held = client.explain(asked(began + 30_000)).await.unwrap().into_inner();
    assert_eq!((held.basis(), held.basis_count, held.position), (ExplainBasis::StoredFrames, 2, None));
    assert_eq!((held.basis_from, held.policy_version), (timestamp(began + 10_000), 1));
    assert!(held.caveats.iter().any(|caveat| caveat.contains("as they are now")), "{held:#?}");
    let trapped = rule(&held, "trapped-out-of-zone");
    assert_eq!((trapped.phase(), trapped.held_ms), (Phase::Holding, 20_000), "{trapped:#?}");
    let open = client.explain(asked(began + 60_000)).await.unwrap().into_inner();
    let alert = rule(&open, "trapped-out-of-zone").alert.unwrap();
    assert_eq!((&*alert.id, alert.opened_at), ("", timestamp(began + 40_000)));

    let early = client.explain(asked(began - 60_000)).await.unwrap_err();
    assert_eq!(early.code(), Code::OutOfRange);
    let first = format!("its first stored frame is of {}", began + 10_000);
    assert!(early.message().contains(&first) && early.message().contains("reaches back to"), "{}", early.message());

    world.store.memory.lock().unwrap().away = true;
    assert_eq!(client.explain(asked(began + 30_000)).await.unwrap_err().code(), Code::Unavailable);
    world.end().await;
}

#[tokio::test]
async fn what_can_not_be_explained_is_refused_in_words() {
    let inbox = entrapment(an_hour_ago(), None);
    let began = inbox.began;
    let (past, _folder) = inbox.past();
    let world = World::after(past, |_| {}).await;
    let mut client = world.history().await;
    let good = asked(began + 30_000);
    let future = asked(world.backend.clock.wall() + 60_000);
    let strange = timestamp(Wall(0)).map(|at| prost_types::Timestamp { seconds: i64::MAX, ..at });
    for (request, code, words) in [
        (ExplainRequest { device: "x".into(), ..good.clone() }, Code::InvalidArgument, "device"),
        (ExplainRequest { at: strange, ..good.clone() }, Code::InvalidArgument, "at"),
        (ExplainRequest { rule: "A b".into(), ..good.clone() }, Code::InvalidArgument, "rule"),
        (ExplainRequest { device: "31305001122014000000".into(), ..good.clone() }, Code::NotFound, "not found"),
        (ExplainRequest { rule: "no-such".into(), ..good.clone() }, Code::NotFound, "trapped-out-of-zone"),
        (future, Code::OutOfRange, "future"),
        (asked(began + 5_000), Code::OutOfRange, "the inbox reaches back to"),
        (asked(began - 5_000), Code::OutOfRange, "nothing is known of"),
    ] {
        let refused = client.explain(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{request:?}: {refused:?}");
        assert!(refused.message().contains(words), "{request:?}: {}", refused.message());
    }
    // Whoever sees one district only sees no lift that the archive doesn't put there.
    assert_eq!(client.explain(within("640104", good)).await.unwrap_err().code(), Code::NotFound);
    world.end().await;
}

/// Flow: many ask at once while the inbox can't be read; then it can.
/// Asserts: one explanation is made at a time, so many wait for their turn and get it, and whoever comes on top of them is
/// told at once to try again.
#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "only other threads want it")]
async fn one_is_made_at_a_time_and_some_wait_for_it() {
    let (past, _folder) = entrapment(an_hour_ago(), None).past();
    let world = World::after(past, |_| {}).await;
    let past = Arc::clone(&world.backend.past);
    let held = past.inbox.lock().unwrap();
    let client = world.history().await;
    let most = limits::EXPLANATIONS + limits::EXPLANATIONS_WAITING;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..=most {
        let mut client = client.clone();
        let request = ExplainRequest { device: LIFT.into(), ..ExplainRequest::default() };
        asking.spawn(async move { client.explain(request).await });
    }
    let refused = asking.join_next().await.unwrap().unwrap();
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    drop(held);
    let answered = asking.join_all().await;
    assert_eq!(answered.len(), most);
    assert!(answered.iter().all(Result::is_ok), "{answered:?}");
    world.end().await;
}

#[tokio::test]
async fn a_person_reads_what_stood_in_the_way() {
    let inbox = entrapment(an_hour_ago(), None);
    let at = inbox.began + 22_500;
    let (past, _folder) = inbox.past();
    let world = World::after(past, |_| {}).await;
    let printed = print(&world, &["explain", LIFT, "--at", &at.to_string(), "--zone", "UTC"]).await;
    assert_eq!(printed.result, Ok(true));
    let text = printed.out.text();
    for line in [
        &*format!("lift {LIFT} at "),
        "from the inbox, by the rules of then (version 1): ",
        "last frame 12s before | keep-alive 1m 0s | not in the archive",
        "trapped-out-of-zone: HOLDING, condition true, held 12.5 s of 30 s",
        "  when      true    passenger && car == STOPPED && !door_zone && door_shut",
        "            passenger=true (12s ago), car=STOPPED (12s ago), door_zone=false (12s ago), door_shut=true (12s ago)",
        "  why not   held 12.5 s of 30 s",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    let holding = text.find("trapped-out-of-zone: HOLDING").unwrap();
    assert!(holding < text.find("trapped-in-zone: ").unwrap(), "what holds comes first:\n{text}");

    let printed = print(&world, &["explain", LIFT, "--at", &at.to_string(), "--json", "--rule", "offline"]).await;
    let json: serde_json::Value = serde_json::from_str(&printed.out.text()).unwrap();
    assert_eq!((&json["basis"], &json["rules"][0]["rule"]), (&"inbox".into(), &"offline".into()));
    assert_eq!(json["rules"][0]["why_not"][0]["reason"], "not-silent");

    // One zone on a page, also in what the service says in words.
    let early = ["explain", LIFT, "--at", "2020-01-01T00:00:00Z", "--zone", "Asia/Shanghai"];
    let error = print(&world, &early).await.result.unwrap_err();
    assert!(error.contains("at 2020-01-01 08:00:00.000, nor") && !error.contains("Z;"), "{error}");
    let printed = print(&world, &["explain", "31305001122014000000"]).await;
    assert!(printed.result.unwrap_err().contains("NotFound"));
    world.end().await;
}
