//! All lifts and cylinders of the year as the calculation by hand follows them, and all that it says must be told.

use std::collections::BTreeMap;

use crate::by_hand::{Alerts, Cylinder, Lift, Told};
use crate::calendar::{Calendar, Day};
use crate::core_side::{cylinder_code, lift_code};
use crate::world::{self, Draw, Upload};

/// Day, subject, rule, and what was told of it.
pub(crate) type Line = (Day, String, &'static str, Told);

pub(crate) struct Foretold {
    calendar: Calendar,
    first: Day,
    lifts: Vec<(Lift, Alerts)>,
    /// With the number of their make.
    cylinders: Vec<(usize, Cylinder, Alerts)>,
    /// By the day on which they arrive, with the number of their lift.
    uploads: BTreeMap<Day, Vec<(usize, Upload)>>,
    pub(crate) lines: Vec<Line>,
}

impl Foretold {
    pub(crate) fn new(calendar: Calendar, seed: u64, lifts: u64, cylinders: u64, first: Day, last: Day) -> Self {
        let mut uploads: BTreeMap<Day, Vec<(usize, Upload)>> = BTreeMap::new();
        let mut followed = Vec::new();
        for nth in 0..lifts {
            let (lift, of_lift) = world::lift(&mut Draw::of(seed, nth), &calendar, first, last);
            of_lift.into_iter().for_each(|it| uploads.entry(it.on).or_default().push((followed.len(), it)));
            followed.push((lift, Alerts::default()));
        }
        let cylinder = |nth| world::cylinder(&mut Draw::of(seed + 1, nth), first);
        let cylinders = (0..cylinders).map(cylinder).map(|(make, it)| (make, it, Alerts::default())).collect();
        Self { calendar, first, lifts: followed, cylinders, uploads, lines: Vec::new() }
    }

    /// Who comes into the archive on a day; all cylinders do on the first.
    pub(crate) fn entering(&self, today: Day) -> impl Iterator<Item = (usize, &Lift)> {
        self.lifts.iter().map(|(lift, _)| lift).enumerate().filter(move |(_, lift)| lift.known == today)
    }

    pub(crate) fn cylinders(&self) -> impl Iterator<Item = (usize, &Cylinder)> {
        self.cylinders.iter().map(|(make, cylinder, _)| (*make, cylinder))
    }

    pub(crate) fn uploads(&self, today: Day) -> &[(usize, Upload)] {
        self.uploads.get(&today).map_or(&[], Vec::as_slice)
    }

    /// The day begins.
    pub(crate) fn turn(&mut self, today: Day) {
        for nth in 0..self.lifts.len() {
            if self.lifts[nth].0.known < today {
                self.judge_lift(nth, today);
            }
        }
        if today > self.first {
            self.judge_cylinders(today);
        }
    }

    /// What comes to be known in the course of it.
    pub(crate) fn take(&mut self, today: Day) {
        if today == self.first {
            self.judge_cylinders(today);
        }
        for nth in 0..self.lifts.len() {
            if self.lifts[nth].0.known == today {
                self.lifts[nth].0.look(&self.calendar);
                self.judge_lift(nth, today);
            }
        }
        for (nth, upload) in self.uploads.remove(&today).unwrap_or_default() {
            // What failed satisfies nothing.
            if upload.passed {
                self.lifts[nth].0.done.push((upload.done, upload.done_on));
                self.lifts[nth].0.look(&self.calendar);
                self.judge_lift(nth, today);
            }
        }
    }

    fn judge_lift(&mut self, nth: usize, today: Day) {
        let (lift, alerts) = &mut self.lifts[nth];
        let lines = &mut self.lines;
        alerts.follow(lift.standing(today), |rule, told| lines.push((today, lift_code(nth), rule, told)));
    }

    fn judge_cylinders(&mut self, today: Day) {
        let lines = &mut self.lines;
        for (nth, (_, cylinder, alerts)) in self.cylinders.iter_mut().enumerate() {
            let standing = cylinder.standing(&self.calendar, today);
            alerts.follow(standing, |rule, told| lines.push((today, cylinder_code(nth), rule, told)));
        }
    }
}
