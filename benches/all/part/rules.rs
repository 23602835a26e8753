//! Judging, beside decoding the same reports and nothing else; and the spine around it, on journals in memory.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use vigil::core::Core;
use vigil::core::ahead::AHEAD;
use vigil::core::decode::decode;
use vigil::core::rules;
use vigil::journal::Identity;
use vigil::journal::codec::{decode_effects, encode_effects, encode_record};
use vigil::journal::memory::MemoryDisk;
use vigil::limits;
use vigil::model::actor::Actor;
use vigil::model::record::{Action, Command, Kind, Link, Record};
use vigil::model::row::Effects;
use vigil::model::time::{Elapsed, Wall};
use vigil::spine::input::{Input, Token};
use vigil::spine::recover::Parts;
use vigil::spine::{Quotas, Spine};

use crate::load::{self, BEGAN, Lifts};
use crate::measure::{cpu_of, least, us};
use crate::table::{Budget, Table};
use crate::{Bench, LIFTS};

use super::memory::{LIFT_BYTES, core_bytes};

/// Jiangsu: 610,490 lifts, a frame each 30 s. So each of ours speaks every 1.2 s.
const REPORTS_PER_S: i64 = 20_350;
/// So many reports; in a city that is one of each lift.
const ROUND: u32 = LIFTS;
/// Jiangsu's lifts, a few left out so that they speak in whole rounds.
const PROVINCE: u32 = 600_000;
/// So often each lift has spoken before anything is measured: the first reports bring them to life.
const WARM_UP: usize = 10;
const FRAMES_PER_S_MIN: f64 = 2e6;

pub fn measure(bench: &Bench, table: &mut Table) {
    let rounds = bench.quicker(20, 6);
    for (lifts, frames) in [(LIFTS, 1), (PROVINCE, 1), (LIFTS, 10)] {
        let what = format!("{lifts} lifts, {}", if frames == 1 { "single frames" } else { "ten frames a report" });
        let stages = stages(lifts, frames, rounds);
        let of_a_frame = |span: Duration| us(span) / f64::from(ROUND) / frames as f64;
        let (decode_us, apply_us) = (of_a_frame(stages.decode), of_a_frame(stages.apply));
        table.row(format!("{what}: decode and judge, CPU a frame"), "µs", apply_us).floor(decode_us);
        let judged = table.row(format!("{what}: judge alone"), "frames/s", 1e6 / (apply_us - decode_us));
        if lifts == LIFTS {
            judged.budget(Budget::AtLeast(FRAMES_PER_S_MIN));
        }
        if frames == 1 {
            let bytes = core_bytes(lifts) as f64 / f64::from(lifts);
            table.row(format!("{lifts} lifts: the core's state of one"), "B", bytes).budget(Budget::AtMost(LIFT_BYTES));
        }
        table.note(format!(
            "{what}, CPU a frame: {:.2} µs to encode the record, {:.2} to encode the effects, {:.2} to decode them for the store",
            of_a_frame(stages.encode_record),
            of_a_frame(stages.encode_effects),
            of_a_frame(stages.decode_effects),
        ));
        if (lifts, frames) == (LIFTS, 1) {
            for group in [1, 100, 1_000] {
                let name = format!("the spine on journals in memory, groups of {group}: CPU a report");
                table.row(name, "µs", of_a_frame(spine(group, rounds))).floor(decode_us);
            }
        }
    }
    table.note(format!("{} rules", rules::parse(&load::policy().rules).map_or(0, |set| set.rules.len())));
}

/// Time, and the reports that come with it.
pub struct Traffic {
    lifts: Lifts,
    count: u32,
    n: i64,
}

impl Traffic {
    pub fn new(lifts: u32) -> Self {
        Self { lifts: Lifts::new(lifts), count: lifts, n: 0 }
    }

    pub fn elapsed(&self) -> Elapsed {
        Elapsed(self.n * 1_000 / REPORTS_PER_S)
    }

    pub fn wall(&self) -> Wall {
        BEGAN + self.elapsed().0
    }

    pub fn report(&mut self, frames: u64) -> (Box<str>, Bytes) {
        self.n += 1;
        let wall = self.wall();
        let (topic, payload) = self.lifts.report(frames, wall);
        (topic.into(), payload)
    }

    /// What comes before the first report: the archive among it.
    pub fn opening(&self) -> impl Iterator<Item = Kind> + use<> {
        let lifts = self.count;
        let upsert = move |first: u32| {
            let past = lifts.min(first + limits::COMMAND_ITEMS as u32);
            let action = Action::Upsert((first..past).map(load::lift).collect());
            Kind::Command(Command { request: format!("{first}").into(), actor: Actor::local_admin(), action })
        };
        let start = Kind::Start { version: "bench".into() };
        let heard = Kind::Link(Link::Heard { sent: Elapsed(0) });
        [start, Kind::Policy(load::policy()), Kind::Link(Link::Up), heard]
            .into_iter()
            .chain((0..lifts).step_by(limits::COMMAND_ITEMS).map(upsert))
    }
}

/// The least time that a report of each lift took, in groups of so many.
fn spine(group: usize, rounds: usize) -> Duration {
    let disk = |id| Box::new(MemoryDisk::new(Identity { id, epoch: 1 }).open().0);
    let quotas = Quotas { inbox_bytes: 1 << 40, outbox_bytes: 1 << 40 };
    let poison = Box::new(BTreeSet::new());
    let parts = Parts { inbox: disk(1), outbox: disk(2), poison, snapshot: None, quotas };
    let (mut spine, _) = Spine::recover(parts).expect("there is nothing to recover");
    let mut traffic = Traffic::new(LIFTS);
    for kind in traffic.opening() {
        match kind {
            Kind::Command(command) => {
                let (reply, _) = oneshot::channel();
                spine.take([Input::Command { command, reply }], Elapsed(0), BEGAN, |_| ()).map(drop)
            }
            kind => spine.enter(kind, Elapsed(0), BEGAN).map(drop),
        }
        .expect("memory doesn't fail");
    }
    let rounds = (0..WARM_UP + rounds).map(|_| {
        let (heard, wall) = (Kind::Link(Link::Heard { sent: traffic.elapsed() }), traffic.wall());
        spine.enter(heard, traffic.elapsed(), wall).expect("memory doesn't fail");
        let groups: Vec<_> = (0..LIFTS as usize / group)
            .map(|_| {
                let inputs: Vec<Input> = (0..group)
                    .map(|_| {
                        let (topic, payload) = traffic.report(1);
                        Input::Report { token: Token { connection: 1, n: traffic.n as u64 }, topic, payload }
                    })
                    .collect();
                (inputs, traffic.elapsed(), traffic.wall())
            })
            .collect();
        let took = cpu_of(|| {
            for (inputs, elapsed, wall) in groups {
                black_box(spine.take(inputs, elapsed, wall, |_| ()).expect("memory doesn't fail"));
            }
        });
        let (inbox, outbox) = (spine.inbox().next(), spine.outbox().next());
        spine.trim(inbox, outbox).expect("memory doesn't fail");
        took
    });
    least(rounds.skip(WARM_UP))
}

/// What each stage takes for a round.
#[derive(Default)]
struct Stages {
    encode_record: Duration,
    decode: Duration,
    /// Decoding is a part of it, and so is letting go of the effects.
    apply: Duration,
    encode_effects: Duration,
    decode_effects: Duration,
}

fn stages(lifts: u32, frames: u64, rounds: usize) -> Stages {
    let mut core = Core::new(1);
    let mut traffic = Traffic::new(lifts);
    for kind in traffic.opening() {
        core.apply(&Record { pos: core.next(), elapsed: Elapsed(0), wall: BEGAN, kind });
    }
    let warm_up = WARM_UP * (lifts / ROUND) as usize;
    for _ in 0..warm_up {
        let records = reports(&mut core, &mut traffic, frames);
        judge(&mut core, &records);
    }
    let all: Vec<Stages> = (0..rounds).map(|_| round(&mut core, &mut traffic, frames)).collect();
    let least_of = |stage: fn(&Stages) -> Duration| least(all.iter().map(stage));
    Stages {
        encode_record: least_of(|stages| stages.encode_record),
        decode: least_of(|stages| stages.decode),
        apply: least_of(|stages| stages.apply),
        encode_effects: least_of(|stages| stages.encode_effects),
        decode_effects: least_of(|stages| stages.decode_effects),
    }
}

/// The next round's reports, behind a marker.
fn reports(core: &mut Core, traffic: &mut Traffic, frames: u64) -> Vec<Record> {
    let heard = Kind::Link(Link::Heard { sent: traffic.elapsed() });
    core.apply(&Record { pos: core.next(), elapsed: traffic.elapsed(), wall: traffic.wall(), kind: heard });
    let report = |pos| {
        let (topic, payload) = traffic.report(frames);
        let kind = Kind::Report { topic, payload };
        Record { pos, elapsed: traffic.elapsed(), wall: traffic.wall(), kind }
    };
    (core.next()..).take(ROUND as usize).map(report).collect()
}

/// As the spine has it judged; how many newer frames were taken.
fn judge(core: &mut Core, records: &[Record]) -> u64 {
    let mut newer = 0;
    for ahead in records.chunks(AHEAD) {
        core.look_ahead(ahead.iter());
        // The spine lets go of effects as soon as they are written down.
        newer += ahead.iter().map(|record| u64::from(black_box(core.apply(record)).tally.frames)).sum::<u64>();
    }
    newer
}

/// The same reports through each stage alone, and others through those that need all effects of a round.
fn round(core: &mut Core, traffic: &mut Traffic, frames: u64) -> Stages {
    let records = reports(core, traffic, frames);
    let mut bytes = Vec::new();
    let encode_record = each(&records, |record| {
        bytes.clear();
        encode_record(record, &mut bytes);
    });
    let decode = each(&records, |record| {
        if let Kind::Report { topic, payload } = &record.kind {
            drop(black_box(decode("vigil/v1", topic, payload)));
        }
    });
    let mut newer = 0;
    let apply = cpu_of(|| newer = judge(core, &records));
    assert_eq!(newer, u64::from(ROUND) * frames, "every frame is taken");
    let effects: Vec<Effects> = reports(core, traffic, frames).iter().map(|record| core.apply(record)).collect();
    let encode_effects_took = each(&effects, |effects| {
        bytes.clear();
        encode_effects(1, effects, &mut bytes);
    });
    let mut entries: Vec<Bytes> = Vec::with_capacity(effects.len());
    for effects in &effects {
        let mut bytes = Vec::new();
        encode_effects(1, effects, &mut bytes);
        entries.push(bytes.into());
    }
    let decode_effects = each(&entries, |entry| drop(black_box(decode_effects(entry.clone()))));
    Stages { encode_record, decode, apply, encode_effects: encode_effects_took, decode_effects }
}

fn each<T>(items: &[T], mut work: impl FnMut(&T)) -> Duration {
    cpu_of(|| items.iter().for_each(|item| work(black_box(item))))
}
