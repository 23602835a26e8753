//! Lifts and cylinders with all that befalls them in a year, drawn from a seed: firms that come late, or upload late,
//! inspections too early, failed and repeated, archives that know little.

use super::by_hand::{Cylinder, Done, Event, Lift};
use super::calendar::{Calendar, Day};

/// SplitMix64: a seed and a subject give the same numbers for ever.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn of(seed: u64, subject: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ subject.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both among them.
    fn day(&mut self, low: Day, high: Day) -> Day {
        low + (self.next() % (high - low + 1) as u64) as Day
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// Something that comes to be known on a day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upload {
    pub(crate) on: Day,
    pub(crate) done: Done,
    pub(crate) done_on: Day,
    pub(crate) passed: bool,
}

/// A lift, and its year from the day on which the archive knows it.
pub(crate) fn lift(draw: &mut Draw, calendar: &Calendar, first: Day, last: Day) -> (Lift, Vec<Upload>) {
    let base = draw.chance(96).then(|| draw.day(calendar.day(2005, 1, 1), first - 1));
    let known = if draw.chance(90) { first } else { draw.day(first, last - 1) };
    let since = base.map_or(first - 1_000, |base| (base + 200).max(first - 1_000));
    let inspected = (draw.chance(60) && since < first).then(|| draw.day(since, first - 1));
    let own_date = draw.chance(30).then(|| draw.day(first - 30, first + 400));
    let contract = draw.chance(95).then(|| draw.day(first - 2_000, first + 60));
    // It is a part of the contract.
    let on_demand_days = draw.chance(10).then(|| draw.day(10, 90)).filter(|_| contract.is_some());
    let lift = Lift { base, inspected, own_date, contract, on_demand_days, known, ..Lift::default() };

    let mut uploads = Vec::new();
    visits(draw, &mut uploads, known, last);
    inspections(draw, calendar, &mut uploads, base.unwrap_or(first), first, last);
    let mut drill = draw.day(first, first + 200);
    while drill <= last {
        let on = drill + draw.day(0, 10);
        uploads.push(Upload { on, done: Done::Drilled, done_on: drill, passed: draw.chance(97) });
        drill += draw.day(150, 210);
    }
    uploads.retain(|upload| upload.on >= known && upload.on <= last);
    uploads.sort_by_key(|upload| upload.on);
    (lift, uploads)
}

fn visits(draw: &mut Draw, uploads: &mut Vec<Upload>, known: Day, last: Day) {
    let mut at = known + draw.day(-10, 15);
    // Since when each greater kind is wanted.
    let mut wanted = [0, known + draw.day(60, 95), known + draw.day(150, 190), known + draw.day(300, 380)];
    while at <= last {
        let kind = (1..4).rev().find(|kind| at >= wanted[*kind]).unwrap_or(0);
        for (kind, days) in (1..=kind).zip([80, 170, 355]) {
            wanted[kind] = at + days + draw.day(0, 15);
        }
        let late = if draw.chance(15) { draw.day(2, 20) } else { draw.day(0, 1) };
        uploads.push(Upload { on: at + late, done: Done::Visited(kind), done_on: at, passed: true });
        at += if draw.chance(80) { draw.day(12, 16) } else { draw.day(17, 30) };
    }
}

fn inspections(draw: &mut Draw, calendar: &Calendar, uploads: &mut Vec<Upload>, base: Day, first: Day, last: Day) {
    let (_, month, _) = calendar.date(base);
    for year in calendar.date(first).0..=calendar.date(last).0 {
        if draw.chance(15) {
            continue;
        }
        let mut at = calendar.month_end(year, month, 0) + draw.day(-100, 60);
        let done = if draw.chance(55) { Done::Inspected } else { Done::Tested };
        let mut passed = draw.chance(85);
        loop {
            uploads.push(Upload { on: at + draw.day(0, 12), done, done_on: at, passed });
            if passed {
                break;
            }
            at += draw.day(5, 30);
            passed = true;
        }
    }
    for (percent, done) in [(3, Done::Repaired), (1, Done::Renovated)] {
        if draw.chance(percent) {
            let at = draw.day(first, last);
            uploads.push(Upload { on: at + draw.day(0, 30), done, done_on: at, passed: draw.chance(90) });
        }
    }
    // From an archive in a cellar.
    if draw.chance(10) {
        let (on, done_on) = (draw.day(first, last), draw.day(first - 3_000, first - 400));
        uploads.push(Upload { on, done: Done::Inspected, done_on, passed: true });
    }
}

/// Kind, medium, and the years of its interval, of its life and of an extension (domain reference, section 6).
pub(crate) const MAKES: [(&str, &str, [i32; 3]); 6] = [
    ("lpg-welded", "lpg", [4, 8, 4]),
    ("seamless", "nitrogen", [5, 30, 0]),
    ("seamless", "oxygen", [3, 30, 0]),
    ("welded", "ammonia", [2, 20, 0]),
    ("seamless", "nitrogen+oxygen", [3, 30, 0]),
    ("vehicle", "cng", [3, 15, 0]),
];

/// A cylinder, and what befalls it: rounds to customers and back, inspections, an extension of its life.
pub(crate) fn cylinder(
    draw: &mut Draw,
    calendar: &Calendar,
    first: Day,
    last: Day,
) -> (usize, Cylinder, Vec<(Day, Event)>) {
    let make = if draw.chance(85) { 0 } else { 1 + (draw.next() % 5) as usize };
    let [years, life_years, more_years] = MAKES[make].2;
    // Those of a vehicle end their lives in this year, too.
    let made = draw.day(first - 5_600, first - 200);
    let inspected = draw.chance(70).then(|| draw.day((made + 100).max(first - 1_500), first - 1));
    let own_date = draw.chance(30).then(|| draw.day(first - 60, first + 500));
    let end_of_life = calendar.later(made, 12 * life_years);
    let extended = draw.chance(15).then(|| end_of_life + draw.day(-100, 1_800));
    let cylinder = Cylinder { years, life_years, more_years, made, inspected, own_date, extended, scanned: None };

    let mut events = Vec::new();
    if draw.chance(5) {
        events.push((draw.day(first, last), Event::Extended(end_of_life + draw.day(-100, 1_800))));
    }
    let mut at = first + draw.day(0, 200);
    while at <= last {
        for event in [Event::Filled, Event::Dispatched, Event::Delivered, Event::Returned] {
            if at <= last {
                events.push((at, event));
            }
            at += draw.day(0, 30);
        }
        at += draw.day(20, 200);
    }
    if draw.chance(25) {
        let on = draw.day(first, last);
        let valid_until = draw.chance(40).then(|| on + draw.day(0, 2_000));
        events.push((on, Event::Inspected { passed: draw.chance(85), valid_until }));
    }
    (make, cylinder, events)
}
