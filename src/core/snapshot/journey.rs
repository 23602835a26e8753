//! Random days in the life of a small fleet: what comes, when, and in what state of the way to us. The shell is played
//! as it is: deadlines become ticks.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::core::Core;
use crate::model::actor::Actor;
use crate::model::archive::{Cylinder, Entry, Firm, Lift, Site, SiteKind};
use crate::model::record::{Action, Command, Health, Kind, Link, PolicyText, Record};
use crate::model::row::Effects;
use crate::model::time::{CivilDay, Elapsed, Wall};

/// 2026-11-22T08:00 in Shanghai.
pub(super) const BEGIN: Wall = Wall(1_795_305_600_000);
const TODAY: CivilDay = CivilDay(20_779);

pub(super) const LIFTS: [&str; 3] = ["31305001122014017242", "31305001122014017243", "3330500112201401724A"];
const CYLINDERS: [&str; 2] = ["6401-00000001", "6401-00000002"];
const SITES: [&str; 2] = ["6401-FILL", "6401-TEST"];

const ELEVATOR: &str = include_str!("../../../config/rules/elevator.toml");
const CYLINDER: &str = include_str!("../../../config/rules/cylinder.toml");
const OBLIGATION: &str = include_str!("../../../config/rules/inspection.toml");
const EXTRA: &str = r#"
[[rule]]
id = "shaking"
on = "elevator"
when = "extras['vibration_mg'] > 50 || avg_over(extras['vibration_mg'], '5m') > 40"
for = "10s"
severity = "minor"
certainty = "observed"
title = { en = "The car shakes", zh = "轿厢振动" }
"#;

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) after_ms: i64,
    /// How far the wall clock is set meanwhile.
    pub(super) set_ms: i64,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Nothing,
    Frames(usize, Vec<FrameStep>),
    Scan {
        site: usize,
        scanner: u8,
        cylinder: usize,
        event: &'static str,
        back: u64,
    },
    Other {
        topic: &'static str,
        payload: &'static str,
    },
    Start,
    Link(Link),
    /// A marker that was sent so long ago.
    Marker {
        behind_ms: i64,
    },
    /// On the n-th open alert, if there are so many.
    OnAlert {
        n: prop::sample::Index,
        clear: bool,
        request: u8,
    },
    Upsert(Vec<Entry>),
    Policy {
        variant: u8,
        zone: &'static str,
    },
    Health(Health),
}

#[derive(Debug, Clone)]
pub(super) struct FrameStep {
    order: Turn,
    late_ms: Option<i64>,
    /// JSON members, each beginning with a comma.
    members: String,
}

/// How a frame's key follows from the newest one's.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Next(u64),
    Back(u64),
    Reboot,
    EarlierBoot(u64),
    /// A terminal that begins anew.
    Anew,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..80)
}

/// So many lifts report a trapped passenger twice, which holds until it opens.
pub(super) fn plain(lifts: usize) -> Vec<Step> {
    let members =
        r#","mode":"normal","car":"stopped","door_zone":false,"door":"closed","passenger":true,"alarms":[90]"#;
    let frame = || FrameStep { order: Turn::Next(1), late_ms: Some(0), members: members.into() };
    let step = |after_ms, what| Step { after_ms, set_ms: 0, what };
    let report = |lift| step(20_000, What::Frames(lift, vec![frame()]));
    (0..lifts).chain(0..lifts).map(report).collect()
}

fn step() -> impl Strategy<Value = Step> {
    let after_ms = prop_oneof![
        6 => 0..3_000i64,
        4 => 3_000..20_000i64,
        3 => 20_000..150_000i64,
        1 => 150_000..1_300_000i64,
        1 => 3_600_000..100_000_000i64,
    ];
    let set_ms = prop_oneof![30 => Just(0), 1 => -90_000_000..90_000_000i64];
    (after_ms, set_ms, what()).prop_map(|(after_ms, set_ms, what)| Step { after_ms, set_ms, what })
}

fn what() -> impl Strategy<Value = What> {
    let frames = (0..LIFTS.len(), vec(frame(), 1..4)).prop_map(|(lift, frames)| What::Frames(lift, frames));
    let events = select(vec!["filled", "dispatched", "inspected", "returned", "scrapped"]);
    let scan = (0..SITES.len(), 0..2u8, 0..CYLINDERS.len(), events, 0..3u64)
        .prop_map(|(site, scanner, cylinder, event, back)| What::Scan { site, scanner, cylinder, event, back });
    let other = select(vec![
        ("vigil/v1/elevator/31305001122014017242/report", "{"),
        ("vigil/v1/elevator/31305001122014017242/report", r#"{"seq":0}"#),
        ("vigil/v1/elevator/31305001122014017242/status", "offline"),
        ("vigil/v1/elevator/x/report", "[]"),
        ("elsewhere", ""),
    ])
    .prop_map(|(topic, payload)| What::Other { topic, payload });
    let link = select(vec![Link::Up, Link::Up, Link::Down]).prop_map(What::Link);
    let marker = select(vec![0, 100, 2_000, 40_000]).prop_map(|behind_ms| What::Marker { behind_ms });
    let on_alert = (any::<prop::sample::Index>(), any::<bool>(), 0..6u8)
        .prop_map(|(n, clear, request)| What::OnAlert { n, clear, request });
    let zone = prop_oneof![4 => Just("Asia/Shanghai"), 1 => Just("America/New_York"), 1 => Just("Nowhere/Else")];
    let policy = (0..6u8, zone).prop_map(|(variant, zone)| What::Policy { variant, zone });
    let health = (select(vec![0u8, 45, 60, 90]), select(vec![0, 10_000, 40_000]), 0..3u64).prop_map(
        |(journal_fill_percent, store_stalled_ms, dropped)| {
            What::Health(Health { journal_fill_percent, store_stalled_ms, dropped })
        },
    );
    prop_oneof![
        12 => frames,
        4 => scan,
        1 => other,
        1 => Just(What::Start),
        2 => link,
        12 => marker,
        3 => on_alert,
        2 => vec(entry(), 1..3).prop_map(What::Upsert),
        2 => policy,
        1 => health,
        2 => Just(What::Nothing),
    ]
}

fn frame() -> impl Strategy<Value = FrameStep> {
    let order = prop_oneof![
        12 => (1..3u64).prop_map(Turn::Next),
        1 => (60..300u64).prop_map(Turn::Next),
        3 => (0..5u64).prop_map(Turn::Back),
        1 => (60..300u64).prop_map(Turn::Back),
        1 => Just(Turn::Reboot),
        1 => (1..4u64).prop_map(Turn::EarlierBoot),
        1 => Just(Turn::Anew),
    ];
    let late_ms = prop_oneof![10 => 0..400i64, 2 => 4_000..60_000i64, 1 => -400_000..900_000_000i64];
    let member = |name: &'static str, values: Vec<&'static str>| {
        weighted(0.7, select(values))
            .prop_map(move |value| value.map_or(String::new(), |v| format!(r#","{name}":{v}"#)))
    };
    let list = |name: &'static str, values: Vec<&'static str>| {
        weighted(0.3, subsequence(values.clone(), 0..=values.len()))
            .prop_map(move |picked| picked.map_or(String::new(), |it| format!(r#","{name}":[{}]"#, it.join(","))))
    };
    let trapping = Just(
        r#","mode":"normal","car":"stopped","door_zone":false,"door":"closed","passenger":true,"floor":-2"#.to_owned(),
    );
    let status = (
        member("mode", vec![r#""normal""#, r#""inspection""#, r#""unknown""#]),
        member("car", vec![r#""stopped""#, r#""stopped""#, r#""running""#]),
        member("door_zone", vec!["true", "false"]),
        member("door", vec![r#""closed""#, r#""open""#, r#""opening""#, r#""nonsense""#]),
        member("passenger", vec!["true", "true", "false"]),
    )
        .prop_map(|(mode, car, zone, door, passenger)| [mode, car, zone, door, passenger].concat());
    let status = prop_oneof![2 => trapping, 3 => status, 1 => Just(String::new())];
    let lists = (
        list("faults", vec!["3", "4", "5", "41"]),
        list("events", vec!["40", "3"]),
        list("alarms", vec!["90"]),
        list("conditions", vec![r#""trapped""#, r#""overtravel_top""#]),
        list("cleared", vec![r#""03""#, r#""trapped""#]),
        weighted(0.2, select(vec!["60.5", "-0.0", "3"]))
            .prop_map(|it| it.map_or(String::new(), |v| format!(r#","extras":{{"vibration_mg":{v}}}"#))),
    )
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].concat());
    (order, weighted(0.95, late_ms), status, lists).prop_map(|(order, late_ms, status, lists)| FrameStep {
        order,
        late_ms,
        members: status + &lists,
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let due = || of((TODAY.0 - 2..TODAY.0 + 3).prop_map(CivilDay));
    let district = || of(Just("640104".parse().unwrap()));
    let lift = (select(&LIFTS[..]), due(), of(select(vec![20u32, 60, 3_600])), district(), of(Just("No. 1".into())))
        .prop_map(|(code, inspection_due, keep_alive_s, district, address)| {
            Entry::Lift(Lift {
                address,
                district,
                firm: Some("firm-1".parse().unwrap()),
                keep_alive_s,
                inspection_due,
                ..Lift::new(code.parse().unwrap())
            })
        });
    let cylinder = (select(&CYLINDERS[..]), due(), any::<bool>()).prop_map(|(code, inspection_due, scrapped)| {
        Entry::Cylinder(Cylinder {
            filling_unit: Some(SITES[0].parse().unwrap()),
            medium: Some("lpg".into()),
            inspection_due,
            scrapped,
            ..Cylinder::new(code.parse().unwrap())
        })
    });
    let site = (select(&SITES[..]), select(SiteKind::ALL)).prop_map(|(code, kind)| {
        Entry::Site(Site { code: code.parse().unwrap(), kind, name: "a site".into(), address: None, district: None })
    });
    let firm = Just(Entry::Firm(Firm { phone: Some("1".into()), ..Firm::new("firm-1".parse().unwrap(), "A firm") }));
    prop_oneof![4 => lift, 3 => cylinder, 2 => site, 1 => firm]
}

pub(super) fn policy(variant: u8, zone: &str) -> PolicyText {
    let elevator = match variant {
        1 => ELEVATOR.replace(r#"for = "30s""#, r#"for = "5s""#),
        2 => ELEVATOR.replace(r#"keep_alive = "60s""#, r#"keep_alive = "20s""#),
        3 => ELEVATOR.replace(r#"keep_alive = "60s""#, r#"keep_alive = "300s""#),
        4 => ELEVATOR.replace("door_shut", "no_such_field"),
        _ => ELEVATOR.to_owned(),
    };
    let mut rules = vec![
        ("cylinder.toml".into(), CYLINDER.into()),
        ("elevator.toml".into(), elevator.into()),
        ("extra.toml".into(), EXTRA.into()),
    ];
    if variant != 5 {
        rules.push(("inspection.toml".into(), OBLIGATION.into()));
    }
    PolicyText { rules, zone: zone.into(), tzdb: "test".into(), topic_prefix: "vigil/v1".into() }
}

/// Of one rule.
pub(super) fn small_policy() -> PolicyText {
    PolicyText { rules: vec![("extra.toml".into(), EXTRA.into())], ..policy(0, "Asia/Shanghai") }
}

/// The world around the cores, which all get the same records.
pub(super) struct World {
    pub(super) cores: Vec<Core>,
    /// All that they got.
    pub(super) records: Vec<Record>,
    elapsed: Elapsed,
    wall: Wall,
    /// Newest (boot, seq) by lift, and the seq of scanners.
    keys: [(u64, u64); 3],
    scans: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            cores: vec![Core::new(1)],
            records: Vec::new(),
            elapsed: Elapsed(0),
            wall: BEGIN,
            keys: [(1, 0); 3],
            scans: 0,
        };
        world.apply(Kind::Start { version: "1".into() });
        world.apply(Kind::Policy(policy(0, "Asia/Shanghai")));
        world.apply(Kind::Link(Link::Up));
        world.apply(Kind::Link(Link::Heard { sent: Elapsed(0) }));
        world
    }

    /// Every core gets the record, and must say the same.
    pub(super) fn apply(&mut self, kind: Kind) -> Effects {
        let record = Record { pos: self.cores[0].next(), elapsed: self.elapsed, wall: self.wall, kind };
        let effects = self.cores[0].apply(&record);
        for (n, core) in self.cores.iter_mut().enumerate().skip(1) {
            assert_eq!(
                core.apply(&record),
                effects,
                "core {n}, restored, says something else than the first, of {record:?}"
            );
        }
        self.records.push(record);
        effects
    }

    /// Brings on what a step says, and the ticks before it. All effects come back, in order.
    pub(super) fn take(&mut self, step: &Step) -> Vec<Effects> {
        let until = self.elapsed + step.after_ms;
        let mut all = self.tick_until(until);
        self.pass(until);
        self.wall = self.wall + step.set_ms;
        if let Some(kind) = self.kind(&step.what) {
            all.push(self.apply(kind));
        }
        all
    }

    fn pass(&mut self, to: Elapsed) {
        self.wall = self.wall + (to - self.elapsed).max(0);
        self.elapsed = self.elapsed.max(to);
    }

    /// At most a thousand: more would be a shell that spins.
    fn tick_until(&mut self, until: Elapsed) -> Vec<Effects> {
        let mut all = Vec::new();
        while let Some(due) = self.cores[0].next_deadline().filter(|due| *due <= until) {
            self.pass(due);
            all.push(self.apply(Kind::Tick));
            assert!(all.len() < 1_000, "ticks without end at {:?}: {due:?}", self.elapsed);
        }
        all
    }

    /// Until nothing is left over.
    pub(super) fn settle(&mut self) {
        self.tick_until(self.elapsed);
    }

    fn kind(&mut self, what: &What) -> Option<Kind> {
        let now = self.elapsed;
        Some(match what {
            What::Nothing => Kind::Tick,
            What::Frames(lift, frames) => {
                let frames: Vec<String> = frames.iter().map(|frame| self.frame(*lift, frame)).collect();
                report(format!("elevator/{}/report", LIFTS[*lift]), format!("[{}]", frames.join(",")))
            }
            What::Scan { site, scanner, cylinder, event, back } => {
                self.scans += 1;
                let scan = format!(
                    r#"{{"seq":{},"observed_at_ms":{},"scanner":"gun-{scanner}","cylinder":"{}","event":"{event}","passed":true,"valid_until_ms":{}}}"#,
                    self.scans.saturating_sub(*back).max(1),
                    self.wall.0,
                    CYLINDERS[*cylinder],
                    self.wall.0 + 86_400_000,
                );
                report(format!("cylinder/{}/scan", SITES[*site]), scan)
            }
            What::Other { topic, payload } => {
                Kind::Report { topic: (*topic).into(), payload: Bytes::from_static(payload.as_bytes()) }
            }
            What::Start => Kind::Start { version: "2".into() },
            What::Link(link) => Kind::Link(*link),
            What::Marker { behind_ms } => Kind::Link(Link::Heard { sent: now - *behind_ms }),
            What::OnAlert { n, clear, request } => {
                let open = self.cores[0].open_alerts();
                let alert = open.get(n.index(open.len().max(1)))?.id.clone();
                let note = Some("seen".into());
                let action = if *clear { Action::Clear { alert, note } } else { Action::Acknowledge { alert, note } };
                command(format!("alert-{request}"), action)
            }
            What::Upsert(entries) => command(format!("upsert-{}", now.0), Action::Upsert(entries.clone())),
            What::Policy { variant, zone } => Kind::Policy(policy(*variant, zone)),
            What::Health(health) => Kind::Health(*health),
        })
    }

    fn frame(&mut self, lift: usize, frame: &FrameStep) -> String {
        let newest = &mut self.keys[lift];
        let key = match frame.order {
            Turn::Next(by) => (newest.0, newest.1 + by),
            Turn::Reboot => (newest.0 + 1, 1),
            Turn::Back(by) => (newest.0, newest.1.saturating_sub(by).max(1)),
            Turn::EarlierBoot(by) => (newest.0.saturating_sub(by), newest.1),
            Turn::Anew => (1, 1),
        };
        if key > *newest || matches!(frame.order, Turn::Anew) {
            *newest = key;
        }
        let claimed =
            frame.late_ms.map_or(String::new(), |late_ms| format!(r#","observed_at_ms":{}"#, self.wall.0 - late_ms));
        format!(r#"{{"boot":{},"seq":{}{claimed}{}}}"#, key.0, key.1, frame.members)
    }
}

fn report(topic: String, payload: String) -> Kind {
    Kind::Report { topic: format!("vigil/v1/{topic}").into(), payload: payload.into() }
}

fn command(request: String, action: Action) -> Kind {
    Kind::Command(Command { request: request.into(), actor: Actor::local_admin(), action })
}
