//! The core: what happens to a few lifts and cylinders, record by record.

use std::collections::BTreeSet;

use bytes::Bytes;
use vigil::core::Core;
use vigil::journal::codec::{decode_effects, encode_effects};
use vigil::model::actor::Actor;
use vigil::model::alert::EventKind;
use vigil::model::archive::{Cylinder, Entry, Equipment, Lift, Site, SiteKind};
use vigil::model::ids::AlertId;
use vigil::model::record::{Action, Command, Health, Kind, Link, PolicyText, Record};
use vigil::model::row::Effects;
use vigil::model::time::{CivilDay, Elapsed, Wall};

use super::script::{Script, is_one_in};

/// 2026-11-22T08:00 in Shanghai.
const BEGIN: Wall = Wall(1_795_305_600_000);
const STEPS: usize = 48;
/// Ticks in a row without any other record. A core that wants more of them at one moment stands still.
const TICKS: usize = 4_096;

const LIFTS: [&str; 2] = ["31305001122014017242", "31305001122014017243"];
const ZONES: [&str; 4] = ["Asia/Shanghai", "America/New_York", "Pacific/Apia", "Nowhere/Else"];

const FILES: [(&str, &str); 3] = [
    ("cylinder.toml", include_str!("../../config/rules/cylinder.toml")),
    ("elevator.toml", include_str!("../../config/rules/elevator.toml")),
    ("inspection.toml", include_str!("../../config/rules/inspection.toml")),
];

/// Every event has the number after that of the one before it, those that are open are those that the events left
/// open, what a record led to can be written down, and the state survives a snapshot.
pub fn judge(input: &[u8]) {
    journey(input, Compiled::All);
    journey(input, Compiled::Few);
}

/// Most inputs with the few rules: to compile all of them takes longer than the rest of a journey.
pub fn judge_in_part(input: &[u8]) {
    journey(input, if is_one_in(64, input) { Compiled::All } else { Compiled::Few });
}

/// What rules a reload, or a restored core, has to compile. A journey without either is judged by all rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compiled {
    All,
    Few,
}

fn journey(input: &[u8], compiled: Compiled) {
    let mut script = Script(input);
    let restores = script.index(8) == 0;
    let rules = if restores { compiled } else { Compiled::All };
    let mut world = World { compiled, ..World::new(rules) };
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        world.step(restores, &mut script);
    }
    world.settle();
    if restores {
        world.check_snapshot();
    }
    let open: BTreeSet<AlertId> = world.core.open_alerts().into_iter().map(|alert| alert.id).collect();
    assert_eq!(open, world.open);
}

#[derive(Clone)]
struct World {
    core: Core,
    compiled: Compiled,
    elapsed: i64,
    /// What the wall clock is ahead of `BEGIN` + elapsed.
    set_ms: i64,
    seqs: [u64; 2],
    open: BTreeSet<AlertId>,
}

thread_local! {
    /// Rules in force, a connection, and an archive: read once, and cloned for each input.
    static MORNINGS: [World; 2] = [World::morning(Compiled::All), World::morning(Compiled::Few)];
}

fn policy(compiled: Compiled, choice: u8, zone: &str) -> PolicyText {
    let rules = match compiled {
        Compiled::All => {
            let chosen = FILES.iter().enumerate().filter(|(n, _)| choice & (1 << n) != 0);
            chosen.map(|(_, (name, text))| ((*name).into(), (*text).into())).collect()
        }
        Compiled::Few => vec![("few.toml".into(), few_rules(choice).into())],
    };
    PolicyText { rules, zone: zone.into(), tzdb: "2026a".into(), topic_prefix: "vigil/v1".into() }
}

/// Up to three of the rules that name no other.
fn few_rules(choice: u8) -> String {
    let rules = FILES.iter().flat_map(|(_, text)| text.split("[[rule]]").skip(1));
    let rules: Vec<&str> = rules.filter(|rule| !rule.contains("unless") && !rule.contains("open(")).collect();
    let mut chosen: Vec<usize> = (0..3).map(|n| usize::from(choice.rotate_left(3 * n)) % (rules.len() + 1)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().filter_map(|n| rules.get(n)).map(|rule| format!("[[rule]]{rule}")).collect()
}

fn archive(variant: u8) -> Vec<Entry> {
    let day = |n: u8| (variant & n != 0).then_some(CivilDay(20_779 + i32::from(variant)));
    let lift = Lift {
        equipment: if variant & 1 == 0 { Equipment::Lift } else { Equipment::Escalator },
        district: "640104".parse().ok(),
        keep_alive_s: (variant & 2 != 0).then_some(u32::from(variant)),
        inspection_due: day(4),
        ..Lift::new(LIFTS[0].parse().expect("a good code"))
    };
    let cylinder = Cylinder {
        filling_unit: "6401-FILL".parse().ok(),
        medium: Some("lpg".into()),
        made_on: Some(CivilDay(18_000)),
        inspection_due: day(8),
        scrapped: variant & 16 != 0,
        ..Cylinder::new("6401-00000001".parse().expect("a good code"))
    };
    let kind = if variant & 32 == 0 { SiteKind::FillingStation } else { SiteKind::InspectionBody };
    let site =
        Site { code: "6401-FILL".parse().expect("a good code"), kind, name: "F".into(), address: None, district: None };
    vec![Entry::Lift(lift), Entry::Cylinder(cylinder), Entry::Site(site)]
}

impl World {
    fn new(rules: Compiled) -> Self {
        MORNINGS.with(|[all, few]| if rules == Compiled::All { all.clone() } else { few.clone() })
    }

    fn morning(compiled: Compiled) -> Self {
        let core = Core::new(1);
        let mut world = World { core, compiled, elapsed: 0, set_ms: 0, seqs: [1; 2], open: BTreeSet::new() };
        world.apply(Kind::Start { version: "0".into() });
        world.apply(Kind::Policy(policy(compiled, 0b111, ZONES[0])));
        let action = Action::Upsert(archive(0));
        world.apply(Kind::Command(Command { request: "a".into(), actor: Actor::local_admin(), action }));
        world.apply(Kind::Link(Link::Up));
        world.apply(Kind::Link(Link::Heard { sent: Elapsed(0) }));
        world.settle();
        world
    }

    fn wall(&self) -> Wall {
        Wall(BEGIN.0.saturating_add(self.elapsed).saturating_add(self.set_ms))
    }

    fn apply(&mut self, kind: Kind) {
        let record = Record { pos: self.core.next(), elapsed: Elapsed(self.elapsed), wall: self.wall(), kind };
        let before = self.core.seq();
        let effects = self.core.apply(&record);
        let seqs = effects.events.iter().map(|event| event.seq);
        assert!(seqs.eq(before + 1..=self.core.seq()), "numbers after {before}: {:?}", effects.events);
        for event in &effects.events {
            let id = &event.alert.id;
            match event.kind {
                EventKind::Opened | EventKind::Reopened => {
                    assert!(self.open.insert(id.clone()), "opened twice: {event:?}")
                }
                EventKind::Cleared => assert!(self.open.remove(id), "cleared, and not open: {event:?}"),
                _ => assert!(self.open.contains(id), "changed, and not open: {event:?}"),
            }
        }
        check_written(record.pos, &effects);
    }

    /// As the shell does it: a tick for every deadline that has come.
    fn settle(&mut self) {
        for _ in 0..TICKS {
            if self.core.is_settled() {
                return;
            }
            self.apply(Kind::Tick);
        }
        panic!("the core wants to be woken at {:?}, and it is {}", self.core.next_deadline(), self.elapsed);
    }

    fn check_snapshot(&mut self) {
        let bytes = self.core.freeze().encode();
        let restored = Core::restore(bytes.clone().into()).expect("what was written can be read");
        assert!(restored.is_settled() && restored.freeze().encode() == bytes, "a restored core has another state");
        self.core = restored;
    }

    fn step(&mut self, restores: bool, script: &mut Script<'_>) {
        match script.index(16) {
            0 => {
                // To the moment when the core wants to be woken.
                let due = self.core.next_deadline().map_or(0, |due| due.0);
                self.elapsed = self.elapsed.max(due.min(self.elapsed + 7 * 24 * 3_600_000));
                self.apply(Kind::Tick);
            }
            1 => self.elapsed += i64::from(script.word()),
            2 => self.elapsed += 60_000 * i64::from(script.word()),
            3 => {
                let by_ms = 30_000 * i64::from(script.word() as i16);
                self.set_ms = self.set_ms.saturating_add(by_ms);
            }
            4..9 => {
                let lift = script.index(LIFTS.len());
                let payload = self.report(lift, script);
                self.hear("elevator", LIFTS[lift], "report", payload.into());
            }
            9 => {
                let payload = scan(script);
                self.hear("cylinder", "6401-FILL", "scan", payload.into());
            }
            10 => {
                let count = script.index(128);
                let payload = Bytes::copy_from_slice(script.bytes(count));
                self.hear("elevator", LIFTS[0], "report", payload);
            }
            11 => {
                let behind = i64::from(script.word()) * 16;
                let link = [Link::Up, Link::Down, Link::Heard { sent: Elapsed((self.elapsed - behind).max(0)) }];
                self.apply(Kind::Link(link[script.index(3)]));
            }
            12 => self.command(script),
            13 => {
                let health = Health {
                    journal_fill_percent: script.byte(),
                    store_stalled_ms: i64::from(script.word()),
                    dropped: script.byte().into(),
                };
                self.apply(Kind::Health(health));
            }
            14 => match script.index(4) {
                0 => self.apply(Kind::Start { version: "1".into() }),
                1 => self.apply(Kind::Policy(policy(self.compiled, script.byte(), ZONES[script.index(ZONES.len())]))),
                _ => self.hear("elevator", LIFTS[1], "status", Bytes::from_static(b"online")),
            },
            _ => {
                self.settle();
                if restores {
                    self.check_snapshot();
                }
            }
        }
    }

    fn hear(&mut self, kind: &str, code: &str, what: &str, payload: Bytes) {
        self.apply(Kind::Report { topic: format!("vigil/v1/{kind}/{code}/{what}").into(), payload });
    }

    fn command(&mut self, script: &mut Script<'_>) {
        let open: Vec<AlertId> = self.open.iter().cloned().collect();
        let which = script.byte();
        let alert = open.get(usize::from(which) % open.len().max(1)).cloned();
        let action = match (script.index(3), alert) {
            (0, Some(alert)) => Action::Acknowledge { alert, note: None },
            (1, Some(alert)) => Action::Clear { alert, note: Some("n".into()) },
            _ => Action::Upsert(archive(which)),
        };
        let request = format!("r{}", script.index(8)).into();
        self.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action }));
    }

    /// One to three frames, of which each says something of what rules look at.
    fn report(&mut self, lift: usize, script: &mut Script<'_>) -> String {
        let frames: Vec<String> = (0..=script.index(3)).map(|_| self.frame(lift, script)).collect();
        format!("[{}]", frames.join(","))
    }

    fn frame(&mut self, lift: usize, script: &mut Script<'_>) -> String {
        let newest = &mut self.seqs[lift];
        let (boot, seq) = match script.byte() {
            turn @ 0..200 => {
                *newest += 1 + u64::from(turn / 128);
                (1, *newest)
            }
            turn @ 200..240 => (1, newest.saturating_sub(u64::from(turn - 199)).max(1)),
            turn @ 240..250 => (turn - 239, 1),
            turn => (0, u64::from(turn - 249)),
        };
        let late_ms = match script.byte() {
            late @ 0..128 => i64::from(late) * 10,
            late @ 128..192 => (i64::from(late) - 128) * 5_000,
            late @ 192..224 => (i64::from(late) - 192) * 3_600_000,
            late => (224 - i64::from(late)) * 20_000,
        };
        let at = self.wall().0 - late_ms;
        let mut frame = format!(r#"{{"boot":{boot},"seq":{seq},"observed_at_ms":{at}"#);
        let [said, state, more] = [script.byte(), script.byte(), script.byte()];
        let mut say = |bit: u8, text: &str| {
            if said & (1 << bit) != 0 {
                frame.push_str(text)
            }
        };
        let truth = |bit: u8| state & (1 << bit) != 0;
        say(
            0,
            ["", r#","mode":"normal""#, r#","mode":"inspection""#, r#","mode":"fire_return""#][usize::from(more & 3)],
        );
        say(1, if truth(0) { r#","car":"running""# } else { r#","car":"stopped""# });
        say(2, &format!(r#","door_zone":{}"#, truth(1)));
        say(
            3,
            [r#","door":"closed""#, r#","door":"open""#, r#","door":"opening""#, r#","door":"unknown""#]
                [usize::from(more >> 2 & 3)],
        );
        say(4, &format!(r#","passenger":{}"#, truth(2)));
        say(5, &format!(r#","faults":[{},{}]"#, more >> 4, if truth(3) { 3 } else { 0 }));
        say(6, if truth(4) { r#","alarms":[90]"# } else { r#","events":[40,90,2]"# });
        say(7, if truth(5) { r#","conditions":["trapped"]"# } else { r#","cleared":["trapped","03","90"]"# });
        frame.push('}');
        frame
    }
}

fn scan(script: &mut Script<'_>) -> String {
    let events =
        ["registered", "filled", "checked_after_fill", "dispatched", "inspected", "scrapped", "lost", "returned"];
    let (scanner, cylinder) = (script.index(2), script.index(3));
    let (seq, event) = (1 + script.index(32), events[script.index(events.len())]);
    format!(r#"{{"seq":{seq},"scanner":"g{scanner}","cylinder":"6401-0000000{cylinder}","event":"{event}","net_g":1}}"#)
}

fn check_written(cause: u64, effects: &Effects) {
    let mut bytes = Vec::new();
    encode_effects(cause, effects, &mut bytes);
    let (cause_read, read) = decode_effects(bytes.into()).expect("what was written can be read");
    assert_eq!((cause_read, &read.rows, &read.events), (cause, &effects.rows, &effects.events));
}
