//! The spine on journals in memory, under a simulated clock: what is durable is judged, and judged the same again.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::collections::BTreeSet;

use bytes::Bytes;
use tokio::sync::oneshot;
use vigil::feed::outbox::Outbox;
use vigil::journal::codec::decode_events;
use vigil::journal::memory::{Crash, MemoryDisk};
use vigil::journal::{Entry, Identity, Journal as _};
use vigil::model::actor::Actor;
use vigil::model::alert::{Cursor, EventKind};
use vigil::model::archive::Entry as ArchiveEntry;
use vigil::model::record::{Action, Command, Kind, Link, Outcome, PolicyText};
use vigil::model::time::{Elapsed, Wall};
use vigil::simulate::{Fleet, FleetOptions, Pace};
use vigil::spine::input::{Durable, Input, Token};
use vigil::spine::recover::{Parts, RecoverError, Replayed};
use vigil::spine::{Quotas, Spine, SpineError};

const BEGAN: Wall = Wall(1_790_000_000_000);
const PLENTY: Quotas = Quotas { inbox_bytes: 1 << 40, outbox_bytes: 1 << 40 };

/// Two journals that outlive the spines on them.
struct House {
    inbox: MemoryDisk,
    outbox: MemoryDisk,
    poison: BTreeSet<u64>,
    quotas: Quotas,
}

impl House {
    fn new() -> Self {
        let identity = |id| Identity { id, epoch: 1 };
        Self {
            inbox: MemoryDisk::new(identity(1)),
            outbox: MemoryDisk::new(identity(2)),
            poison: BTreeSet::new(),
            quotas: PLENTY,
        }
    }

    fn open(&self, snapshot: Option<&[u8]>) -> Result<(Spine, Replayed), RecoverError> {
        self.open_on(&self.outbox, snapshot)
    }

    fn open_on(&self, outbox: &MemoryDisk, snapshot: Option<&[u8]>) -> Result<(Spine, Replayed), RecoverError> {
        Spine::recover(Parts {
            inbox: Box::new(self.inbox.open().0),
            outbox: Box::new(outbox.open().0),
            poison: Box::new(self.poison.clone()),
            snapshot: snapshot.map(Bytes::copy_from_slice),
            quotas: self.quotas,
        })
    }
}

fn policy() -> PolicyText {
    let file = |name: &str| {
        let text = std::fs::read_to_string(format!("config/rules/{name}")).expect("the shipped rules");
        (name.into(), text.into())
    };
    PolicyText {
        rules: ["cylinder.toml", "elevator.toml", "inspection.toml"].map(file).to_vec(),
        zone: "Asia/Shanghai".into(),
        tzdb: "test".into(),
        topic_prefix: "vigil/v1".into(),
    }
}

fn entries(disk: &MemoryDisk) -> Vec<Entry> {
    let (journal, _) = disk.open();
    let mut reader = journal.reader();
    let (mut all, mut some) = (Vec::new(), Vec::new());
    loop {
        reader.read(all.len() as u64, 1_000, 1 << 20, &mut some).unwrap();
        if some.is_empty() {
            return all;
        }
        all.append(&mut some);
    }
}

fn report(n: u64, topic: &str, payload: Bytes) -> Input {
    Input::Report { token: Token { connection: 1, n }, topic: topic.into(), payload }
}

fn upsert(entries: Vec<ArchiveEntry>, request: &str) -> (Input, oneshot::Receiver<Outcome>) {
    let (reply, outcome) = oneshot::channel();
    let command = Command { request: request.into(), actor: Actor::local_admin(), action: Action::Upsert(entries) };
    (Input::Command { command, reply }, outcome)
}

/// A fleet's life, fed into a spine: groups of uneven size, a marker every 5 s, a broken link in the middle.
struct Life {
    fleet: Fleet,
    at: Elapsed,
    n: u64,
}

impl Life {
    fn new() -> Self {
        let options = FleetOptions { seed: 7, lifts: 50, cylinders: 40, stations: 2, began: BEGAN, pace: Pace::DEMO };
        Self { fleet: Fleet::new(&options), at: Elapsed(0), n: 0 }
    }

    fn begin(&mut self, spine: &mut Spine) {
        spine.enter(Kind::Start { version: "test".into() }, self.at, BEGAN).unwrap();
        spine.enter(Kind::Policy(policy()), self.at, BEGAN).unwrap();
        let (input, mut outcome) = upsert(self.fleet.archive(), "archive");
        spine.take([input, Input::Link(Link::Up)], self.at, BEGAN, |_| ()).unwrap();
        assert!(matches!(outcome.try_recv(), Ok(Outcome::Done { changed: 90.., .. })));
    }

    /// One second of it.
    fn second(&mut self, spine: &mut Spine) -> Vec<EventKind> {
        self.at = self.at + 1_000;
        let wall = BEGAN + self.at.0;
        let second = self.at.0 / 1_000;
        let mut inputs: Vec<Input> = Vec::new();
        let cut_off = (100..130).contains(&second);
        match second {
            100 => inputs.push(Input::Link(Link::Down)),
            130 => inputs.push(Input::Link(Link::Up)),
            n if n % 5 == 0 && !cut_off => inputs.push(Input::Link(Link::Heard { sent: self.at })),
            _ => {}
        }
        if !cut_off {
            for message in self.fleet.advance(wall) {
                self.n += 1;
                inputs.push(report(self.n, &message.topic, message.payload));
            }
        }
        let mut kinds = Vec::new();
        // Uneven groups: what is one group and what two must not matter for what is judged.
        let split = inputs.len() * (second as usize % 3) / 3;
        let rest = inputs.split_off(split);
        for group in [inputs, rest] {
            let released = spine.take(group, self.at, wall, |_| ()).unwrap();
            kinds.extend(released.events.iter().map(|event| event.kind));
        }
        while spine.next_deadline().is_some_and(|due| due <= self.at) {
            kinds.extend(spine.tick(self.at, wall).unwrap().events.iter().map(|event| event.kind));
        }
        kinds
    }
}

/// Flow: a fleet lives for five minutes; the state is frozen every 20 s. Then the inbox is replayed from the start and
/// from every snapshot, onto the outbox as it is and onto one that ends at any snapshot.
/// Asserts: the same outbox, byte for byte, and the same state at the end; and that much happened.
#[test]
fn replay_from_anywhere_gives_the_same() {
    let house = House::new();
    let (mut spine, _) = house.open(None).unwrap();
    let mut life = Life::new();
    life.begin(&mut spine);
    let mut images = Vec::new();
    let mut kinds = Vec::new();
    for second in 0..300 {
        kinds.extend(life.second(&mut spine));
        if second % 20 == 7 {
            let image = spine.freeze().unwrap().expect("nothing is left over after a second");
            images.push((image.outbox.position, image.encode()));
        }
    }
    spine.sync().unwrap();
    let state = spine.freeze().unwrap().unwrap().encode();
    let whole = entries(&house.outbox);
    let count = |kind| kinds.iter().filter(|k| **k == kind).count();
    assert!(count(EventKind::Opened) > 10 && count(EventKind::Cleared) > 3, "{kinds:?}");
    drop(spine);

    for snapshot in std::iter::once(None).chain(images.iter().map(Some)) {
        let from = snapshot.map_or(0, |(position, _)| *position);
        let bytes = snapshot.map(|(_, bytes)| bytes.as_slice());
        let (mut again, replayed) = house.open(bytes).unwrap();
        assert_eq!((replayed.compared, replayed.added), (whole.len() as u64 - from, 0));
        assert_eq!(again.freeze().unwrap().unwrap().encode(), state, "from {from}");
        for (cut, _) in images.iter().filter(|(cut, _)| *cut >= from) {
            let shorter = outbox_up_to(&whole, *cut);
            let (mut again, replayed) = house.open_on(&shorter, bytes).unwrap();
            assert_eq!(replayed.added, whole.len() as u64 - cut);
            again.sync().unwrap();
            assert_eq!(again.freeze().unwrap().unwrap().encode(), state, "from {from}, cut at {cut}");
            drop(again);
            assert_eq!(entries(&shorter), whole, "from {from}, cut at {cut}");
        }
    }
}

/// Retention yields before a journal fills up, and to a clock that was set ahead: the outbox may have been stored, and
/// trimmed, beyond where the newest snapshot was taken.
#[test]
fn an_outbox_that_was_trimmed_beyond_the_snapshot_is_gone_on_with() {
    let mut house = House::new();
    house.outbox = MemoryDisk::with_segments_of(Identity { id: 2, epoch: 1 }, 4_096);
    let (mut spine, _) = house.open(None).unwrap();
    let mut life = Life::new();
    life.begin(&mut spine);
    life.second(&mut spine);
    let image = spine.freeze().unwrap().expect("nothing is left over after a second");
    (0..60).for_each(|_| _ = life.second(&mut spine));
    spine.sync().unwrap();
    let state = spine.freeze().unwrap().unwrap().encode();
    spine.trim(0, spine.outbox().next()).unwrap();
    assert!(spine.outbox().first() > image.outbox.position, "nothing was trimmed that the snapshot names");
    drop(spine);
    let (mut again, _) = house.open(Some(&image.encode())).unwrap();
    assert_eq!(again.freeze().unwrap().unwrap().encode(), state);
}

/// Several events may come of one record, and a segment may begin with it.
#[test]
fn every_event_is_found_in_an_outbox_that_begins_with_it() {
    let mut house = House::new();
    house.outbox = MemoryDisk::with_segments_of(Identity { id: 2, epoch: 1 }, 1);
    let (mut spine, _) = house.open(None).unwrap();
    let mut life = Life::new();
    life.begin(&mut spine);
    (0..60).for_each(|_| _ = life.second(&mut spine));
    let mut several = 0;
    for Entry { pos, payload, .. } in entries(&house.outbox.clone()) {
        let events = decode_events(payload).unwrap();
        let Some(first) = events.first() else { continue };
        several += usize::from(events.len() > 1);
        let (mut outbox, _) = house.outbox.open();
        outbox.trim(pos).unwrap();
        let after = Cursor { epoch: first.epoch, seq: first.seq - 1 };
        assert_eq!(Outbox::new(outbox.reader()).after(after, events.len()).unwrap(), Some(events));
    }
    assert!(several > 0, "no record led to several events");
}

fn outbox_up_to(whole: &[Entry], end: u64) -> MemoryDisk {
    let disk = MemoryDisk::new(Identity { id: 2, epoch: 1 });
    let (mut journal, _) = disk.open();
    for entry in &whole[..end as usize] {
        journal.append(&entry.payload).unwrap();
    }
    journal.sync().unwrap();
    disk
}

/// Flow: a crash of each kind after every second of two minutes, then recovery from the last snapshot, and on.
/// Asserts: nothing that was said to be durable is missing from the inbox, alert numbers have no gap, and a replay of
/// the whole inbox at the end finds nothing different.
#[test]
fn crashes_lose_nothing_durable() {
    for crash in [Crash::Process, Crash::Machine, Crash::Torn] {
        let house = House::new();
        let (mut spine, _) = house.open(None).unwrap();
        let mut life = Life::new();
        life.begin(&mut spine);
        let mut snapshot = None;
        let mut durable = 0;
        for second in 0..120 {
            let at = life.at;
            let message = Bytes::from_static(b"{\"seq\":0}");
            let mut told = Durable::default();
            life.second(&mut spine);
            spine.take([report(durable + 1, "no-where", message)], at, BEGAN + at.0, |now| told = now).unwrap();
            durable = told.token.n;
            if second % 13 == 0 {
                snapshot = spine.freeze().unwrap().map(|image| image.encode());
            }
            drop(spine);
            house.inbox.crash(crash);
            house.outbox.crash(crash);
            spine = house.open(snapshot.as_deref()).unwrap().0;
            spine.enter(Kind::Start { version: "test".into() }, life.at, BEGAN + life.at.0).unwrap();
            spine.enter(Kind::Link(Link::Up), life.at, BEGAN + life.at.0).unwrap();
        }
        assert_eq!(durable, 120);
        spine.sync().unwrap();
        drop(spine);
        let kept = entries(&house.inbox).iter().filter(|e| e.payload.windows(8).any(|w| w == b"no-where")).count();
        assert_eq!(kept, 120, "{crash:?}");
        let (_, replayed) = house.open(None).unwrap();
        assert_eq!(replayed.added, 0, "{crash:?}");
        let mut seqs = entries(&house.outbox)
            .into_iter()
            .flat_map(|entry| vigil::journal::codec::decode_effects(entry.payload).unwrap().1.events)
            .map(|event| event.seq);
        assert!((1..).zip(&mut seqs).all(|(wanted, seq)| wanted == seq), "{crash:?}");
    }
}

#[test]
fn nothing_is_said_to_be_durable_after_a_failed_sync() {
    let house = House::new();
    let (mut spine, _) = house.open(None).unwrap();
    house.inbox.fail_sync(1);
    let mut told = false;
    let result = spine.take([report(1, "t", Bytes::new())], Elapsed(0), BEGAN, |_| told = true);
    assert!(matches!(result, Err(SpineError::Journal(_))) && !told);
    assert!(spine.tick(Elapsed(0), BEGAN).is_err(), "and nothing more is taken");
}

/// Flow: a quota so small that a few reports fill it.
/// Asserts: then reports are refused, also later ones of the same connection, while links and commands are taken; once
/// there is room, a new connection's reports are taken.
#[test]
fn nearly_full_journals_withhold_reports_and_nothing_else() {
    let mut house = House::new();
    house.inbox = MemoryDisk::with_segments_of(Identity { id: 1, epoch: 1 }, 4_096);
    house.quotas = Quotas { inbox_bytes: 100_000, ..PLENTY };
    let (mut spine, _) = house.open(None).unwrap();
    let mut durable = Durable::default();
    let mut n = 0;
    while !durable.withheld {
        n += 1;
        assert!(n < 1_000, "it never fills");
        spine.take([report(n, "t", Bytes::from(vec![b'x'; 1_000]))], Elapsed(0), BEGAN, |now| durable = now).unwrap();
    }
    let taken = spine.inbox().next();
    let (command, mut outcome) = upsert(Vec::new(), "r");
    let heard = Input::Link(Link::Heard { sent: Elapsed(0) });
    let refused = report(n + 1, "t", Bytes::new());
    spine.take([refused, heard, command], Elapsed(0), BEGAN, |now| durable = now).unwrap();
    assert_eq!(spine.inbox().next(), taken + 1, "the command, and neither the report nor the marker behind it");
    assert!(outcome.try_recv().is_ok());
    assert_eq!((durable.refused, durable.withheld), (1, true));

    spine.trim(taken, 0).unwrap();
    spine.take([report(n + 2, "t", Bytes::new())], Elapsed(0), BEGAN, |now| durable = now).unwrap();
    assert!(!durable.withheld);
    assert!(durable.token.n < n + 1, "to acknowledge a later one would acknowledge the refused one");
    let fresh = Input::Report { token: Token { connection: 2, n: 1 }, topic: "t".into(), payload: Bytes::new() };
    let group = [Input::Link(Link::Down), Input::Link(Link::Up), fresh];
    spine.take(group, Elapsed(0), BEGAN, |now| durable = now).unwrap();
    assert_eq!(durable.token, Token { connection: 2, n: 1 });
}

#[test]
fn a_poisoned_record_is_passed_over_and_told_of() {
    let mut house = House::new();
    let (mut spine, _) = house.open(None).unwrap();
    spine.take([report(1, "t", Bytes::from_static(b"bad"))], Elapsed(0), BEGAN, |_| ()).unwrap();
    drop(spine);
    house.poison.insert(0);
    let outbox = MemoryDisk::new(Identity { id: 2, epoch: 1 });
    let (spine, replayed) = house.open_on(&outbox, None).unwrap();
    assert_eq!(replayed.records, 1);
    let open = spine.core().open_alerts();
    assert_eq!(open.iter().map(|alert| alert.id.to_string()).collect::<Vec<_>>(), ["vigil/record-skipped/1"]);
    drop(spine);
    let kept = entries(&outbox);
    assert!(kept[0].payload.windows(3).any(|w| w == b"bad"), "the record itself is kept");
}

/// Journals and snapshots that don't belong together are refused, each with what is apart.
#[test]
fn what_does_not_belong_together_is_refused() {
    let house = House::new();
    let (mut spine, _) = house.open(None).unwrap();
    let mut life = Life::new();
    life.begin(&mut spine);
    life.second(&mut spine);
    let image = spine.freeze().unwrap().unwrap().encode();
    life.second(&mut spine);
    spine.sync().unwrap();
    drop(spine);
    let error = |house: &House, outbox: &MemoryDisk| house.open_on(outbox, Some(&image)).unwrap_err().to_string();

    let foreign = MemoryDisk::new(Identity { id: 9, epoch: 1 });
    assert!(error(&house, &foreign).contains("the outbox and the snapshot don't belong together"));
    let lost = MemoryDisk::new(Identity { id: 2, epoch: 1 });
    assert!(error(&house, &lost).contains("the snapshot wants"));
    let other = House { outbox: house.outbox.clone(), ..House::new() };
    assert!(error(&other, &other.outbox).contains("the inbox and the snapshot don't belong together"));
    let shorter = House { inbox: MemoryDisk::new(Identity { id: 1, epoch: 1 }), ..House::new() };
    let no_inbox = shorter.open_on(&house.outbox, None).unwrap_err();
    assert!(matches!(no_inbox, RecoverError::Ahead { .. }), "{no_inbox}");
}
