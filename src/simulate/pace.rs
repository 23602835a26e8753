//! How much happens in a fleet.

use super::truth::TOLERANCE_MS;
use super::{Equip, Fleet, FleetOptions};
use crate::model::time::Wall;

/// How much happens. Pairs are the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// From the end of one trip to the next.
    pub idle_ms: (i64, i64),
    /// The longest time between two frames of a lift, 1 to 86,400 s; the archive says the same.
    pub keep_alive_s: u32,
    /// How often each lift traps somebody. The lifts' turns are spread evenly over this time.
    pub entrapment_every_ms: i64,
    /// The first lift traps its passenger within 10 s.
    pub first_at_once: bool,
    /// Lifts come on the line within a keep-alive, and some of them are about to run: the same happens from the
    /// beginning to the end. Otherwise all come within 5 s, and at rest.
    pub from_the_middle: bool,
    /// From the time at which the alert should have opened to the opening of the door.
    pub rescue_ms: (i64, i64),
    /// How often each lift does something odd; at least 6 min, or counts of repeated faults fill.
    pub oddity_every_ms: i64,
    /// How often each station begins to fill a cylinder.
    pub fill_every_ms: i64,
}

const DAY_MS: i64 = 86_400_000;
/// Lifts whose frames are counted to find a pace.
const SAMPLE_LIFTS: u32 = 200;
/// Frames of each of them.
const SAMPLE_FRAMES: f64 = 60.0;
/// Each halves the doubt about how long a lift is idle.
const SAMPLES: u32 = 12;

impl Pace {
    /// Much to see: with 200 lifts one entrapment every 20 to 50 s, freed within a minute or two.
    pub const DEMO: Self = Self {
        idle_ms: (20_000, 90_000),
        keep_alive_s: 20,
        entrapment_every_ms: 6_000_000,
        first_at_once: true,
        from_the_middle: false,
        rescue_ms: (20_000, 60_000),
        oddity_every_ms: 1_200_000,
        fill_every_ms: 20_000,
    };

    /// As in a province: 0.55 % of the lifts a month trap somebody, for about 18 minutes.
    pub const REALISTIC: Self = Self {
        idle_ms: (60_000, 1_200_000),
        keep_alive_s: 60,
        entrapment_every_ms: 30 * DAY_MS / 55 * 10_000,
        first_at_once: false,
        from_the_middle: false,
        rescue_ms: (600_000, 1_500_000),
        oddity_every_ms: 21_600_000,
        fill_every_ms: 60_000,
    };

    /// One at which each lift sends so many frames a second in the mean, at most 1: about half of them because
    /// something changed, the others to keep alive.
    ///
    /// How long lifts are idle between two trips is found by trying it on a small fleet, so the same arguments always
    /// give the same pace.
    pub fn of_rate(frames_per_lift_s: f64, entrapment_every_ms: i64) -> Self {
        let rate = frames_per_lift_s.clamp(1.0 / 86_400.0, 1.0);
        let every_s = 1.0 / rate;
        // A lift that reports much is hardly ever idle, so that little is left for keep-alives.
        let keep_alive_s = if rate > 0.4 { every_s.ceil() } else { 2.0 * every_s };
        let pace = |idle_ms: f64| Self {
            idle_ms: ((idle_ms * 0.5) as i64, (idle_ms * 1.5) as i64),
            keep_alive_s: keep_alive_s.min(86_400.0) as u32,
            entrapment_every_ms,
            first_at_once: false,
            from_the_middle: true,
            rescue_ms: (60_000, 180_000),
            oddity_every_ms: ((100_000.0 * every_s) as i64).max(400_000),
            fill_every_ms: 60_000,
        };
        let (mut shortest_ms, mut longest_ms) = (100.0, 200_000.0 * every_s);
        for _ in 0..SAMPLES {
            let idle_ms = f64::sqrt(shortest_ms * longest_ms);
            if sampled_rate(pace(idle_ms), every_s) > rate { shortest_ms = idle_ms } else { longest_ms = idle_ms }
        }
        pace(f64::sqrt(shortest_ms * longest_ms))
    }

    pub(super) fn keep_alive_ms(&self) -> i64 {
        i64::from(self.keep_alive_s) * 1_000
    }

    /// Makes it one that a fleet can live by: nothing takes no time or less.
    pub(super) fn sound(self) -> Self {
        const CENTURY_MS: i64 = 100 * 365 * DAY_MS;
        let at_least = |least: i64, span_ms: i64| span_ms.clamp(least, CENTURY_MS);
        let pair = |least: i64, (from, to): (i64, i64)| (at_least(least, from), at_least(least, to));
        Self {
            idle_ms: pair(1, self.idle_ms),
            keep_alive_s: self.keep_alive_s.clamp(1, 86_400),
            entrapment_every_ms: at_least(60_000, self.entrapment_every_ms),
            // A rescue in a hurry would come before the time by which the alert is due.
            rescue_ms: pair(TOLERANCE_MS, self.rescue_ms),
            oddity_every_ms: at_least(360_000, self.oddity_every_ms),
            fill_every_ms: at_least(1, self.fill_every_ms),
            ..self
        }
    }
}

/// Frames a second of one lift, once all have come on the line.
fn sampled_rate(pace: Pace, every_s: f64) -> f64 {
    let options = FleetOptions { seed: 1, lifts: SAMPLE_LIFTS, cylinders: 0, stations: 0, began: Wall(0), pace };
    let mut fleet = Fleet::equipped(&options, Equip::PLAIN);
    let warm_up_ms = pace.keep_alive_ms() + 1;
    let span_ms = (SAMPLE_FRAMES * every_s * 1_000.0) as i64;
    fleet.advance(Wall(warm_up_ms));
    let before = fleet.counts().frames;
    fleet.advance(Wall(warm_up_ms + span_ms));
    let frames = fleet.counts().frames - before;
    frames as f64 * 1_000.0 / (span_ms as f64 * f64::from(SAMPLE_LIFTS))
}
