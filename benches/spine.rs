//! What judging costs: the spine on journals in memory, with the shipped rules and 25,000 lifts.
//!
//! `cargo bench --bench spine` prints the CPU of the spine's thread a report, then the stages one by one: the same
//! reports through each alone. The least of several rounds counts: what disturbs a round only ever adds to it.

#[path = "load/mod.rs"]
mod load;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use load::Lifts;
use tokio::sync::oneshot;
use vigil::core::Core;
use vigil::core::decode::decode;
use vigil::journal::Identity;
use vigil::journal::codec::{decode_effects, encode_effects, encode_record};
use vigil::journal::memory::MemoryDisk;
use vigil::limits;
use vigil::model::actor::Actor;
use vigil::model::record::{Action, Command, Kind, Link, PolicyText, Record};
use vigil::model::row::Effects;
use vigil::model::time::{Elapsed, Wall};
use vigil::spine::input::{Input, Token};
use vigil::spine::recover::Parts;
use vigil::spine::{Quotas, Spine};

const LIFTS: u32 = 25_000;
const BEGAN: Wall = Wall(1_795_305_600_000);
/// Jiangsu: 610,490 lifts, a frame each 30 s. So each of ours speaks every 1.2 s.
const REPORTS_PER_S: i64 = 20_350;
/// A round is one report of each lift; the first ones bring the lifts to life.
const WARM_UP: usize = 10;
const ROUNDS: usize = 20;

fn main() {
    println!("{:<44} {:>12} {:>12}", "spine, journals in memory", "µs a report", "reports/s");
    for group in [1, 20, 100, 1_000] {
        row(&format!("single frames, groups of {group}"), spine(group), 1);
    }
    for frames in [1, 10] {
        let what = if frames == 1 { "single frames" } else { "ten frames a report" };
        println!("\n{:<44} {:>12} {:>12}", format!("stages, {what}"), "µs a frame", "frames/s");
        for (stage, took) in stages(frames) {
            row(stage, took, frames);
        }
    }
    println!("\nThe budget of the last design is 2,000,000 frames/s for judging: decoding apart.");
}

fn row(what: &str, took: Duration, frames: u64) {
    let seconds = took.as_secs_f64() / f64::from(LIFTS) / frames as f64;
    println!("{what:<44} {:>12.2} {:>12.0}", seconds * 1e6, 1.0 / seconds);
}

/// Time, and the reports that come with it.
struct Traffic {
    lifts: Lifts,
    n: i64,
}

impl Traffic {
    fn new() -> Self {
        Self { lifts: Lifts::new(LIFTS), n: 0 }
    }

    fn elapsed(&self) -> Elapsed {
        Elapsed(self.n * 1_000 / REPORTS_PER_S)
    }

    fn wall(&self) -> Wall {
        BEGAN + self.elapsed().0
    }

    fn report(&mut self, frames: u64) -> (Box<str>, Bytes) {
        self.n += 1;
        let wall = self.wall();
        let (topic, payload) = self.lifts.report(frames, wall);
        (topic.into(), payload)
    }

    fn opening(&self) -> Vec<Kind> {
        let policy = PolicyText {
            rules: load::rule_files(),
            zone: "Asia/Shanghai".into(),
            tzdb: "bench".into(),
            topic_prefix: "vigil/v1".into(),
        };
        let mut kinds = vec![Kind::Start { version: "bench".into() }, Kind::Policy(policy), Kind::Link(Link::Up)];
        kinds.push(Kind::Link(Link::Heard { sent: Elapsed(0) }));
        kinds.extend(self.lifts.archive().chunks(limits::COMMAND_ITEMS).zip(0..).map(|(entries, n)| {
            let action = Action::Upsert(entries.to_vec());
            Kind::Command(Command { request: format!("{n}").into(), actor: Actor::local_admin(), action })
        }));
        kinds
    }
}

/// The least time that a report of each lift took, in groups of so many.
fn spine(group: usize) -> Duration {
    let disk = |id| Box::new(MemoryDisk::new(Identity { id, epoch: 1 }).open().0);
    let quotas = Quotas { inbox_bytes: 1 << 40, outbox_bytes: 1 << 40 };
    let poison = Box::new(BTreeSet::new());
    let parts = Parts { inbox: disk(1), outbox: disk(2), poison, snapshot: None, quotas };
    let (mut spine, _) = Spine::recover(parts).expect("there is nothing to recover");
    let mut traffic = Traffic::new();
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
    least((0..WARM_UP + ROUNDS).map(|_| {
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
        let took = cpu_timed(|| {
            for (inputs, elapsed, wall) in groups {
                black_box(spine.take(inputs, elapsed, wall, |_| ()).expect("memory doesn't fail"));
            }
        });
        let (inbox, outbox) = (spine.inbox().next(), spine.outbox().next());
        spine.trim(inbox, outbox).expect("memory doesn't fail");
        took
    }))
}

/// What each stage takes for a report of each lift.
fn stages(frames: u64) -> Vec<(&'static str, Duration)> {
    let mut core = Core::new(1);
    let mut traffic = Traffic::new();
    for kind in traffic.opening() {
        core.apply(&Record { pos: core.next(), elapsed: Elapsed(0), wall: BEGAN, kind });
    }
    let mut took: [Vec<Duration>; 5] = Default::default();
    for _ in 0..WARM_UP + ROUNDS {
        let (elapsed, wall, kind) = (traffic.elapsed(), traffic.wall(), Link::Heard { sent: traffic.elapsed() });
        core.apply(&Record { pos: core.next(), elapsed, wall, kind: Kind::Link(kind) });
        let mut pos = core.next();
        let records: Vec<Record> = (0..LIFTS)
            .map(|_| {
                let (topic, payload) = traffic.report(frames);
                let kind = Kind::Report { topic, payload };
                pos += 1;
                Record { pos: pos - 1, elapsed: traffic.elapsed(), wall: traffic.wall(), kind }
            })
            .collect();
        let mut bytes = Vec::new();
        took[0].push(each(&records, |record| {
            bytes.clear();
            encode_record(record, &mut bytes);
        }));
        took[1].push(each(&records, |record| {
            if let Kind::Report { topic, payload } = &record.kind {
                drop(black_box(decode("vigil/v1", topic, payload)));
            }
        }));
        // What comes out is kept and dropped later, as by the spine: after it has been written down.
        let mut effects: Vec<Effects> = Vec::with_capacity(records.len());
        took[2].push(each(&records, |record| effects.push(core.apply(record))));
        let newer: u64 = effects.iter().map(|effects| u64::from(effects.tally.frames)).sum();
        assert_eq!(newer, u64::from(LIFTS) * frames, "every frame is taken");
        let mut entries: Vec<Bytes> = Vec::with_capacity(effects.len());
        took[3].push(each(&effects, |effects| {
            bytes.clear();
            encode_effects(1, effects, &mut bytes);
        }));
        for effects in &effects {
            let mut bytes = Vec::new();
            encode_effects(1, effects, &mut bytes);
            entries.push(bytes.into());
        }
        took[4].push(each(&entries, |entry| drop(black_box(decode_effects(entry.clone())))));
    }
    let [encode, decode, apply, effects, read] = took.map(|took| least(took.into_iter()));
    vec![
        ("encode the record", encode),
        ("decode the payload", decode),
        ("apply, decoding in it", apply),
        ("apply less decoding: judging", apply.saturating_sub(decode)),
        ("encode the effects", effects),
        ("decode the effects, for the store", read),
    ]
}

fn each<T>(items: &[T], mut work: impl FnMut(&T)) -> Duration {
    cpu_timed(|| items.iter().for_each(|item| work(black_box(item))))
}

fn least(took: impl Iterator<Item = Duration>) -> Duration {
    took.skip(WARM_UP).min().unwrap_or_default()
}

/// The processor's time instead of the clock's: what else runs on the machine counts less.
fn cpu_timed(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let start = now();
    work();
    now() - start
}
