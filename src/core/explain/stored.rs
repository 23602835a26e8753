//! A lift as stored frames alone tell it, where the inbox no longer reaches.

use super::Explanation;
use crate::core::Core;
use crate::core::books::Now;
use crate::model::actor::Actor;
use crate::model::archive::{self, Entry};
use crate::model::ids::DeviceCode;
use crate::model::record::{Action, Command, Kind, Link, PolicyText, Record};
use crate::model::row::FrameRow;
use crate::model::time::{Elapsed, Wall};

/// How often the pretended link proves that it is open.
const MARKER_MS: i64 = 5_000;
/// The link opens so long before the first frame.
const LEAD_MS: i64 = 1_000;

/// What this policy makes of these frames, `received_at` ascending and none after `at`, on a link that never broke.
/// `None`: there are none, or they can't be judged.
pub fn explain(
    policy: &PolicyText,
    entry: Option<archive::Lift>,
    device: DeviceCode,
    frames: &[FrameRow],
    at: Wall,
) -> Option<Explanation> {
    let begin = frames.first()?.received_at - LEAD_MS;
    let mut past = Past { core: Core::new(1), begin, now: Elapsed(0), marker: Elapsed(MARKER_MS) };
    past.apply(Kind::Start { version: "stored frames".into() });
    past.apply(Kind::Policy(policy.clone()));
    past.apply(Kind::Link(Link::Up));
    past.apply(Kind::Link(Link::Heard { sent: Elapsed(0) }));
    if let Some(entry) = entry {
        let action = Action::Upsert(vec![Entry::Lift(entry)]);
        past.apply(Kind::Command(Command { request: "archive".into(), actor: Actor::local_admin(), action }));
    }
    for report in frames.chunk_by(|one, next| one.received_at == next.received_at) {
        past.advance_to(report[0].received_at);
        let now = past.moment();
        past.core.take_again(now, device, report.iter().map(|row| row.frame.clone()).collect());
    }
    past.advance_to(at);
    past.core.explain(&device, past.moment())
}

struct Past {
    core: Core,
    /// The civil time at which elapsed time was 0.
    begin: Wall,
    now: Elapsed,
    /// When the next marker comes back.
    marker: Elapsed,
}

impl Past {
    fn moment(&self) -> Now {
        Now { elapsed: self.now, wall: self.begin + self.now.0 }
    }

    fn apply(&mut self, kind: Kind) {
        let Now { elapsed, wall } = self.moment();
        self.core.apply(&Record { pos: self.core.next(), elapsed, wall, kind });
    }

    /// Lets time pass, with markers and ticks as they fall due.
    fn advance_to(&mut self, wall: Wall) {
        let to = Elapsed(wall - self.begin).max(self.now);
        loop {
            let tick = self.core.next_deadline().filter(|due| *due < self.marker);
            let next = tick.unwrap_or(self.marker);
            if next > to {
                break;
            }
            self.now = self.now.max(next);
            if tick.is_none() {
                self.marker = self.marker + MARKER_MS;
                self.apply(Kind::Link(Link::Heard { sent: self.now }));
            } else {
                self.apply(Kind::Tick);
            }
        }
        self.now = to;
    }
}
