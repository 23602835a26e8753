//! What a city's state takes in memory, counted allocation by allocation: exact, and the same on every machine.
//!
//! The allocator's own share stands apart: a header and rounding up to 16 bytes, so 16 bytes a block at the most.
#![allow(unreachable_pub, reason = "a test and a benchmark use it, each a crate of its own")]

use allocation_counter::{AllocationInfo, measure};
use vigil::core::Core;
use vigil::core::cylinder::Cylinder;
use vigil::core::lift::Lift;
use vigil::limits;
use vigil::model::actor::Actor;
use vigil::model::archive::Entry;
use vigil::model::record::{Action, Command, Kind, Link, Record};
use vigil::model::time::Elapsed;

use crate::load::{self, BEGAN, Lifts};

/// Frames of each lift, a minute apart: enough to be at every point of a trip.
const ROUNDS: i64 = 10;
const ROUND_MS: i64 = 60_000;

/// Bytes a subject, by part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Footprint {
    /// `size_of`, with what its page adds.
    pub own: f64,
    /// What it alone holds on the heap: the runs of its rules and the like.
    pub heap: f64,
    /// Where it stands, and when it is due.
    pub index_and_timers: f64,
    pub archive_entry: f64,
    /// Blocks on the heap.
    pub blocks: f64,
}

impl Footprint {
    pub fn asked_for(&self) -> f64 {
        self.own + self.heap + self.index_and_timers + self.archive_entry
    }

    /// With the most that the allocator may add to each block.
    pub fn all_in(&self) -> f64 {
        self.asked_for() + 16.0 * self.blocks
    }
}

/// Of lifts in normal service, as a city has them: registered, and heard a while.
pub fn of_lifts(count: u32) -> Footprint {
    let entries: Vec<Entry> = (0..count).map(load::lift).collect();
    let with = grown(|core| archive(core, &entries), count);
    let without = grown(|_| (), count);
    let lifts = with.core.lifts();
    let clones = measure_kept(|| lifts.iter().cloned().collect::<Vec<Lift>>());
    part(count, size_of::<Lift>(), &with.took, &without.took, &clones)
}

/// Of cylinders that the archive knows.
pub fn of_cylinders(count: u32) -> Footprint {
    let entries: Vec<Entry> = (0..count).map(load::cylinder).collect();
    let grown = grown(|core| archive(core, &entries), 1);
    let known = grown.core.cylinders().len();
    let cylinders = grown.core.cylinders();
    let clones = measure_kept(|| cylinders.iter().cloned().collect::<Vec<Cylinder>>());
    // A cylinder without an entry comes to be by a scan only; what its entry takes isn't told apart from its index.
    part(known as u32, size_of::<Cylinder>(), &grown.took, &grown.took, &clones)
}

fn part(
    count: u32,
    size: usize,
    with: &AllocationInfo,
    without: &AllocationInfo,
    clones: &AllocationInfo,
) -> Footprint {
    let a_subject = |bytes: i64| bytes as f64 / f64::from(count);
    // The vector of the clones is one block of `size` each; of shared texts a clone takes nothing.
    let heap = a_subject(clones.bytes_current) - size as f64;
    let pages = f64::from(count).mul_add(1.0, 63.0).div_euclid(64.0) * 64.0 * size as f64;
    let own = pages / f64::from(count);
    Footprint {
        own,
        heap,
        index_and_timers: a_subject(without.bytes_current) - own - heap,
        archive_entry: a_subject(with.bytes_current - without.bytes_current),
        blocks: a_subject(with.count_current),
    }
}

struct Grown {
    core: Core,
    took: AllocationInfo,
}

fn grown(archive: impl FnOnce(&mut Core), count: u32) -> Grown {
    let mut core = Core::new(1);
    let mut lifts = Lifts::new(count);
    let count = i64::from(count);
    // With a frame a minute all of them look as if somebody was trapped for a moment; what rescues take is not counted here.
    let mut policy = load::policy();
    policy.rules.iter_mut().for_each(|(_, text)| *text = text.replace("dispatch = \"rescue\"\n", "").into());
    apply(&mut core, 0, Kind::Policy(policy));
    apply(&mut core, 0, Kind::Link(Link::Up));
    let took = measure(|| {
        archive(&mut core);
        for round in 0..ROUNDS {
            let at_ms = round * ROUND_MS;
            apply(&mut core, at_ms, Kind::Link(Link::Heard { sent: Elapsed(at_ms) }));
            for n in 0..count {
                let at_ms = at_ms + n * ROUND_MS / count;
                let (topic, payload) = lifts.report(1, BEGAN + at_ms);
                let topic = topic.into();
                apply(&mut core, at_ms, Kind::Report { topic, payload });
            }
        }
    });
    Grown { core, took }
}

fn archive(core: &mut Core, entries: &[Entry]) {
    for (n, entries) in entries.chunks(limits::COMMAND_ITEMS).enumerate() {
        let action = Action::Upsert(entries.to_vec());
        let request = format!("{n}").into();
        apply(core, 0, Kind::Command(Command { request, actor: Actor::local_admin(), action }));
    }
}

fn apply(core: &mut Core, at_ms: i64, kind: Kind) {
    core.apply(&Record { pos: core.next(), elapsed: Elapsed(at_ms), wall: BEGAN + at_ms, kind });
}

fn measure_kept<T>(make: impl FnOnce() -> T) -> AllocationInfo {
    let mut kept = None;
    let info = measure(|| kept = Some(make()));
    drop(kept);
    info
}
