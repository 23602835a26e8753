//! One lift's stored frames judged again, by any rules: a core behind a link that is pretended.

use super::Core;
use super::books::Now;
use crate::model::actor::Actor;
use crate::model::alert::AlertEvent;
use crate::model::archive::{self, Entry};
use crate::model::frame::Frame;
use crate::model::ids::DeviceCode;
use crate::model::record::{Action, Command, Kind, Link, PolicyText, Record};
use crate::model::time::{Elapsed, Wall};

/// How often the pretended link proves that it is open.
pub const MARKER_MS: i64 = 5_000;

#[derive(Debug)]
pub struct Replay {
    core: Core,
    device: DeviceCode,
    /// The civil time at which elapsed time was 0.
    begin: Wall,
    now: Elapsed,
    /// When the next marker comes back.
    marker: Elapsed,
    /// Whether markers come back at all.
    hears: bool,
    /// Alert events since they were last taken.
    events: Vec<AlertEvent>,
}

impl Replay {
    /// On an open link. The policy must be one that `policy::check` takes: one that is refused judges nothing.
    pub fn begin(policy: &PolicyText, entry: Option<archive::Lift>, device: DeviceCode, begin: Wall) -> Self {
        let (now, marker) = (Elapsed(0), Elapsed(MARKER_MS));
        let mut replay = Self { core: Core::new(1), device, begin, now, marker, hears: true, events: Vec::new() };
        replay.apply(Kind::Start { version: "stored frames".into() });
        replay.apply(Kind::Policy(policy.clone()));
        replay.apply(Kind::Link(Link::Up));
        replay.apply(Kind::Link(Link::Heard { sent: Elapsed(0) }));
        if let Some(entry) = entry {
            replay.command("archive", Action::Upsert(vec![Entry::Lift(entry)]));
        }
        replay
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    pub fn moment(&self) -> Now {
        Now { elapsed: self.now, wall: self.begin + self.now.0 }
    }

    pub fn take_events(&mut self) -> Vec<AlertEvent> {
        std::mem::take(&mut self.events)
    }

    /// Frames that arrive now, as one report.
    pub fn take(&mut self, frames: Vec<Frame>) {
        let effects = self.core.take_again(self.moment(), self.device, frames);
        self.events.extend(effects.events);
    }

    /// Somebody asks for this now. A request that was made before does nothing.
    pub fn command(&mut self, request: &str, action: Action) {
        self.apply(Kind::Command(Command { request: request.into(), actor: Actor::local_admin(), action }));
    }

    /// The link breaks now.
    pub fn link_down(&mut self) {
        self.hears = false;
        self.apply(Kind::Link(Link::Down));
    }

    /// The link is there again now, and what was kept back has come in.
    pub fn link_up(&mut self) {
        self.hears = true;
        self.apply(Kind::Link(Link::Up));
        self.hear();
    }

    fn apply(&mut self, kind: Kind) {
        let Now { elapsed, wall } = self.moment();
        let effects = self.core.apply(&Record { pos: self.core.next(), elapsed, wall, kind });
        self.events.extend(effects.events);
    }

    fn hear(&mut self) {
        self.marker = self.now + MARKER_MS;
        self.apply(Kind::Link(Link::Heard { sent: self.now }));
    }

    /// Lets time pass, with markers and ticks as they fall due.
    pub fn advance_to(&mut self, wall: Wall) {
        let to = Elapsed(wall - self.begin).max(self.now);
        loop {
            self.skip_markers(to);
            let marker = self.hears.then_some(self.marker);
            let tick = self.core.next_deadline().filter(|due| marker.is_none_or(|marker| *due < marker));
            let Some(next) = tick.or(marker).filter(|next| *next <= to) else { break };
            self.now = self.now.max(next);
            if tick.is_some() { self.apply(Kind::Tick) } else { self.hear() }
        }
        self.now = to;
    }

    /// Markers that only say once more that the link is open needn't come one by one: the last of them says it all. A
    /// lift that is silent for a month would cost half a million of them.
    fn skip_markers(&mut self, to: Elapsed) {
        let quiet_to = self.core.next_due_if_heard().map_or(to, |due| due.min(to));
        let skipped = (quiet_to - self.marker - 1).max(0) / MARKER_MS;
        if self.hears && skipped > 0 {
            self.now = self.marker + (skipped - 1) * MARKER_MS;
            self.hear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::frame::{FrameKey, Reported};

    const LIFT: &str = "31305001122014017242";
    const BEGIN: Wall = Wall(1_795_305_600_000);

    fn policy() -> PolicyText {
        let rules = vec![("elevator.toml".into(), include_str!("../../config/rules/elevator.toml").into())];
        PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "test".into(), topic_prefix: "vigil/v1".into() }
    }

    fn frame(seq: u64, at_ms: i64) -> Frame {
        let (key, claimed_at) = (FrameKey { boot: 1, seq }, Some(BEGIN + at_ms));
        Frame { key, claimed_at, passenger: Reported::Known(true), has_status: true, ..Frame::default() }
    }

    /// What a lift's silence comes to, with every marker and with as few as `advance_to` makes do with.
    fn check(arrivals_ms: &[i64], until_ms: i64) {
        let device = LIFT.parse().unwrap();
        let told = |one_by_one: bool| {
            let mut replay = Replay::begin(&policy(), None, device, BEGIN);
            let go = |replay: &mut Replay, to_ms: i64| {
                let mut at_ms = replay.now.0;
                while one_by_one && at_ms + MARKER_MS < to_ms {
                    // No more than one marker lies between two stops.
                    at_ms += MARKER_MS;
                    replay.advance_to(BEGIN + at_ms);
                }
                replay.advance_to(BEGIN + to_ms);
            };
            for (nth, at_ms) in arrivals_ms.iter().enumerate() {
                go(&mut replay, *at_ms);
                replay.take(vec![frame(nth as u64 + 1, *at_ms)]);
            }
            go(&mut replay, until_ms);
            let what = |event: AlertEvent| (event.at, event.published_at, event.kind, event.alert.id.rule.to_string());
            replay.take_events().into_iter().map(what).collect::<Vec<_>>()
        };
        let (few, all) = (told(false), told(true));
        assert_eq!(few, all, "{arrivals_ms:?}");
        assert!(few.iter().any(|(_, _, _, rule)| rule == "offline"), "{few:?}");
    }

    #[test]
    fn markers_that_are_skipped_would_have_changed_nothing() {
        check(&[0], 86_400_000);
        check(&[0, 60_000, 61_234, 700_000], 900_000);
        check(&[4_999, 5_000, 5_001, 190_000, 3_600_000, 90_000_000], 100_000_000);
    }
}
