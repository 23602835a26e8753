//! A life under an old version, and what a new one finds of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use vigil::journal::memory::MemoryDisk;
use vigil::journal::{Entry, Identity, Journal as _, JournalReader, codec};
use vigil::model::actor::Actor;
use vigil::model::alert::{Alert, Reason};
use vigil::model::archive;
use vigil::model::ids::DeviceCode;
use vigil::model::record::{Action, Command, Kind, Link, PolicyText};
use vigil::model::row::{Effects, Row};
use vigil::model::time::{Elapsed, Wall};
use vigil::pages::Board;
use vigil::spine::recover::{Parts, RecoverError, Replayed};
use vigil::spine::{Quotas, Spine};
use vigil::store::memory::MemoryStore;
use vigil::store::{Batch, Checkpoint, Options, Store as _};

const BEGAN: Wall = Wall(1_790_000_000_000);
const STEP_MS: i64 = 5_000;
pub const OLD: u32 = 1;
pub const NEW: u32 = 2;

/// How a version judges the tail: the condition of its one rule, how long that must hold, and which topics are its own.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    pub when: &'static str,
    pub held: &'static str,
    pub prefix: &'static str,
    /// Whether its rule sends somebody.
    pub rescues: bool,
}

pub fn judging(when: &'static str) -> Judging {
    Judging { when, held: "0s", prefix: "vigil/v1", rescues: false }
}

impl Judging {
    fn policy(self) -> PolicyText {
        let Self { when, held, prefix, rescues } = self;
        let rule = |id: &str, when: &str, held: &str| {
            let sends = if rescues && id == "r" { "dispatch = \"rescue\"\n" } else { "" };
            format!(
                "[[rule]]\nid = \"{id}\"\n{sends}on = \"elevator\"\nwhen = \"{when}\"\nfor = \"{held}\"\nseverity = \"major\"\n\
                 certainty = \"observed\"\ntitle = {{ en = \"{id}\", zh = \"{id}\" }}\n"
            )
        };
        let rules = [rule("steady", "fault(9)", "0s"), rule("r", when, held)].concat();
        let rules = format!("[elevator]\nreopen_within = \"1s\"\n{rules}");
        PolicyText {
            rules: vec![("rules.toml".into(), rules.into())],
            zone: "Asia/Shanghai".into(),
            tzdb: "test".into(),
            topic_prefix: prefix.into(),
        }
    }
}

pub fn code(lift: &str) -> String {
    format!("{lift:X<20}")
}

/// A spine that lives: every step takes 5 s, and the link is heard all the time.
pub struct Life {
    pub spine: Spine,
    seq: u64,
}

impl Life {
    /// `seq`: no frame before has a higher one.
    pub fn new(spine: Spine, seq: u64) -> Self {
        Self { spine, seq }
    }

    fn at(&self) -> Elapsed {
        self.spine.core().now().elapsed
    }

    pub fn enter(&mut self, kind: Kind) {
        let at = self.at();
        self.spine.enter(kind, at, BEGAN + at.0).unwrap();
        self.spine.settle().unwrap();
    }

    /// `A 1 2` is a frame of lift A with the faults 1 and 2, `archive A` an entry for it, `-` a pause.
    pub fn step(&mut self, step: &str) {
        let until = self.at() + STEP_MS;
        while let Some(due) = self.spine.next_deadline().filter(|due| *due <= until) {
            self.spine.tick(due, BEGAN + due.0).unwrap();
        }
        self.spine.tick(until, BEGAN + until.0).unwrap();
        self.enter(Kind::Link(Link::Heard { sent: until }));
        match step.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["-"] => {}
            ["archive", lift] => {
                let entry = archive::Entry::Lift(archive::Lift {
                    address: Some(format!("at {}", until.0).into()),
                    ..archive::Lift::new(DeviceCode::parse(&code(lift)).unwrap())
                });
                self.enter(Kind::Command(Command {
                    request: until.0.to_string().into(),
                    actor: Actor::local_admin(),
                    action: Action::Upsert(vec![entry]),
                }));
            }
            [lift, faults @ ..] => {
                self.seq += 1;
                let (seq, faults, at) = (self.seq, faults.join(","), (BEGAN + until.0).0);
                let payload =
                    format!(r#"{{"boot":1,"seq":{seq},"observed_at_ms":{at},"car":"stopped","faults":[{faults}]}}"#);
                let topic = format!("vigil/v1/elevator/{}/report", code(lift)).into();
                self.enter(Kind::Report { topic, payload: payload.into() });
            }
            [] => unreachable!("a step is never empty"),
        }
    }

    pub fn leave(self, snapshots: [Vec<u8>; 2]) -> Left {
        let (inbox, outbox) = (read(&mut *self.spine.inbox().reader()), entries(&self.spine));
        Left { inbox, outbox, snapshots, seq: self.seq }
    }

    pub fn steps(&mut self, steps: &str) {
        steps.split(';').for_each(|step| self.step(step));
    }
}

/// What an old version left.
pub struct Left {
    pub inbox: Vec<Entry>,
    pub outbox: Vec<Entry>,
    /// Before the tail, and at the end.
    pub snapshots: [Vec<u8>; 2],
    /// Frames sent.
    pub seq: u64,
}

/// Flow: lift Z has an alert; the old version takes a snapshot; its own policy comes into force; then the tail.
pub fn live(version: u32, as_: Judging, tail: &str) -> Left {
    let (inbox, outbox) = (disk(1, &[]), disk(2, &[]));
    let (spine, _) = open(version, &inbox, &outbox, None).unwrap();
    let mut life = Life::new(spine, 0);
    life.enter(Kind::Core { version, epoch: 1 });
    life.enter(Kind::Start { version: "test".into() });
    life.enter(Kind::Policy(judging("false").policy()));
    life.enter(Kind::Link(Link::Up));
    life.steps("-;Z 9;Z 9");
    let before = life.spine.freeze().unwrap().unwrap().encode();
    life.enter(Kind::Policy(as_.policy()));
    life.steps(tail);
    life.spine.settle().unwrap();
    let after = life.spine.freeze().unwrap().unwrap().encode();
    life.spine.sync().unwrap();
    life.leave([before, after])
}

/// Journals that a version finds.
pub struct House {
    pub inbox: MemoryDisk,
    pub outbox: MemoryDisk,
}

impl House {
    /// What `left` left, of whose outbox the last `lost` entries didn't reach the disk, with the policy of the tail read as
    /// `own`.
    pub fn of(left: &Left, own: Judging, lost: usize) -> Self {
        let mut inbox = left.inbox.clone();
        let mut policies = inbox.iter_mut().filter_map(|entry| {
            let record = codec::decode_record(entry.pos, entry.payload.clone()).unwrap();
            matches!(record.kind, Kind::Policy(_)).then_some((entry, record))
        });
        let (entry, mut record) = policies.nth(1).unwrap();
        record.kind = Kind::Policy(own.policy());
        let mut bytes = Vec::new();
        codec::encode_record(&record, &mut bytes);
        entry.payload = bytes.into();
        let kept = left.outbox.len() - lost;
        Self { inbox: disk(1, &inbox), outbox: disk(2, &left.outbox[..kept]) }
    }

    pub fn open(&self, version: u32, snapshot: Option<&[u8]>) -> Result<(Spine, Replayed), RecoverError> {
        open(version, &self.inbox, &self.outbox, snapshot)
    }
}

pub fn entries(spine: &Spine) -> Vec<Entry> {
    read(&mut *spine.outbox().reader())
}

/// What the outbox holds.
pub fn told(spine: &Spine) -> Vec<Effects> {
    effects(&entries(spine))
}

pub fn effects(outbox: &[Entry]) -> Vec<Effects> {
    outbox.iter().map(|entry| codec::decode_effects(entry.payload.clone()).unwrap().1).collect()
}

/// What was told as a correction.
pub fn corrections(effects: &[Effects]) -> Vec<String> {
    let events = effects.iter().flat_map(|effects| &effects.events);
    let corrections = events.filter(|event| event.reason == Reason::CoreChanged);
    corrections.map(|event| format!("{} {}", event.kind.name(), short(&event.alert))).collect()
}

/// Every frame that is stored, as often as it is, in order.
pub fn frames(effects: &[Effects]) -> Vec<(DeviceCode, u64)> {
    let rows = effects.iter().flat_map(|effects| &effects.rows);
    let frame = |row: &Row| if let Row::Frame(it) = row { Some((it.device, it.frame.key.seq)) } else { None };
    let mut frames: Vec<_> = rows.filter_map(frame).collect();
    frames.sort_unstable();
    frames
}

/// Asserts: nobody who reads the outbox finds anything twice, missing, or otherwise than the core holds it.
pub fn check(spine: &Spine) {
    let effects = told(spine);
    let board = Board::default();
    for effects in &effects {
        board.apply(&effects.events).expect("numbers have no gap within an epoch");
    }
    let core = spine.core();
    assert_eq!(board.cursor().seq, core.seq());
    assert!(board.cursor().epoch <= core.epoch());
    let open: BTreeMap<_, _> = core.open_alerts().into_iter().map(|alert| (alert.id.clone(), alert)).collect();
    let mut alerts: BTreeMap<_, Alert> = BTreeMap::new();
    let mut archive = BTreeMap::new();
    for effects in &effects {
        alerts.extend(effects.events.iter().map(|event| (event.alert.id.clone(), event.alert.clone())));
        archive.extend(effects.rows.iter().filter_map(|row| match row {
            Row::Entry(entry) => Some((entry.code().to_owned(), entry.clone())),
            _ => None,
        }));
    }
    for entry in archive.values() {
        assert_eq!(core.present_entry(entry).as_ref(), Some(entry), "the store has an old entry");
    }
    let told = effects.iter().flat_map(|effects| &effects.rows).filter_map(|row| match row {
        Row::Due(due) => Some(((due.subject, due.kind), due.clone())),
        _ => None,
    });
    let last_told: BTreeMap<_, _> = told.collect();
    for due in last_told.values() {
        let now = core.present_due(due).map(|now| (now.due_on, now.basis_on, now.clause, now.district, now.party));
        let told = (due.due_on, due.basis_on, due.clause.clone(), due.district, due.party);
        assert!(now.is_none_or(|now| now == told), "the store has an old date: {due:?}");
    }
    let frames = frames(&effects);
    assert_eq!(frames.iter().collect::<BTreeSet<_>>().len(), frames.len(), "a frame is stored twice: {frames:?}");

    let store = MemoryStore::new(Options::default());
    let to = Checkpoint { journal: 2, epoch: core.epoch(), position: effects.len() as u64, hash: 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        store.commit(Batch { from: None, to, effects }.into()).await.unwrap();
        for (id, told) in alerts {
            let (stored, open) = (store.alert(id.clone()).await.unwrap().unwrap(), open.get(&id));
            assert_eq!(stored, told);
            assert_eq!(stored.cleared_at.is_none(), open.is_some(), "{id} is told otherwise than it stands");
            let of = |it: &Alert| (it.severity, it.certainty, it.opened_at, it.acknowledged.clone());
            assert!(open.is_none_or(|open| of(open) == of(&stored)), "{id}: {open:?} {stored:?}");
        }
        for id in open.keys() {
            assert!(store.alert(id.clone()).await.unwrap().is_some(), "nobody was told of {id}");
        }
    });
}

/// `A/r/1`.
pub fn short(alert: &Alert) -> String {
    alert.id.to_string().replace('X', "")
}

fn open(
    version: u32,
    inbox: &MemoryDisk,
    outbox: &MemoryDisk,
    snapshot: Option<&[u8]>,
) -> Result<(Spine, Replayed), RecoverError> {
    let parts = Parts {
        inbox: Box::new(inbox.open().0),
        outbox: Box::new(outbox.open().0),
        poison: Box::new(BTreeSet::new()),
        snapshot: snapshot.map(Bytes::copy_from_slice),
        quotas: Quotas { inbox_bytes: 1 << 40, outbox_bytes: 1 << 40 },
    };
    Spine::recover_as(version, parts)
}

fn disk(id: u128, entries: &[Entry]) -> MemoryDisk {
    let disk = MemoryDisk::new(Identity { id, epoch: 1 });
    let (mut journal, _) = disk.open();
    for entry in entries {
        journal.append(&entry.payload).unwrap();
    }
    journal.sync().unwrap();
    disk
}

fn read(reader: &mut dyn JournalReader) -> Vec<Entry> {
    let (mut all, mut some) = (Vec::new(), Vec::new());
    loop {
        reader.read(all.len() as u64, 1_000, 1 << 20, &mut some).unwrap();
        if some.is_empty() {
            return all;
        }
        all.append(&mut some);
    }
}

/// An inbox of these entries.
pub fn disk_of(entries: &[Entry]) -> MemoryDisk {
    disk(1, entries)
}
