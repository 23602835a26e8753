//! All lifts and cylinders of the year as the calculation by hand follows them, and all that it says must be told.

use std::collections::BTreeMap;

use super::by_hand::{Alerts, Cylinder, Event, Lift, Told};
use super::calendar::{Calendar, Day};
use super::core::{cylinder_code, lift_code};
use super::world::{self, Draw, Upload};

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
    /// By the day on which they happen, with the number of their cylinder. What the archive tells comes first.
    events: BTreeMap<Day, Vec<(usize, Event)>>,
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
        let mut events: BTreeMap<Day, Vec<(usize, Event)>> = BTreeMap::new();
        let mut bought = Vec::new();
        for nth in 0..cylinders {
            let (make, cylinder, of_it) = world::cylinder(&mut Draw::of(seed + 1, nth), &calendar, first, last);
            of_it.into_iter().for_each(|(on, event)| events.entry(on).or_default().push((bought.len(), event)));
            bought.push((make, cylinder, Alerts::default()));
        }
        events.values_mut().for_each(|of_day| of_day.sort_by_key(|(_, event)| !matches!(event, Event::Extended(_))));
        Self { calendar, first, lifts: followed, cylinders: bought, uploads, events, lines: Vec::new() }
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

    pub(crate) fn events(&self, today: Day) -> &[(usize, Event)] {
        self.events.get(&today).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn cylinder(&self, nth: usize) -> (usize, &Cylinder) {
        let (make, cylinder, _) = &self.cylinders[nth];
        (*make, cylinder)
    }

    /// The day begins.
    pub(crate) fn turn(&mut self, today: Day) {
        for nth in 0..self.lifts.len() {
            if self.lifts[nth].0.known < today {
                self.judge_lift(nth, today);
            }
        }
        if today > self.first {
            (0..self.cylinders.len()).for_each(|nth| self.judge_cylinder(nth, today, None));
        }
    }

    /// What comes to be known in the course of it.
    pub(crate) fn take(&mut self, today: Day) {
        if today == self.first {
            (0..self.cylinders.len()).for_each(|nth| self.judge_cylinder(nth, today, None));
        }
        for (nth, event) in self.events.remove(&today).unwrap_or_default() {
            self.cylinders[nth].1.take(today, event);
            self.judge_cylinder(nth, today, Some(event));
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

    fn judge_cylinder(&mut self, nth: usize, today: Day, event: Option<Event>) {
        let lines = &mut self.lines;
        let (_, cylinder, alerts) = &mut self.cylinders[nth];
        let standing = cylinder.standing(&self.calendar, today, event, alerts);
        alerts.follow(standing, |rule, told| lines.push((today, cylinder_code(nth), rule, told)));
    }
}
