//! What falls due on a gas cylinder.

use super::months::years_after;
use super::{Clause, Due, Dues};
use crate::core::tables::cylinders::Make;
use crate::core::tables::{Source, Tables};
use crate::model::obligation::DueKind;
use crate::model::time::CivilDay;

/// All that the dates follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CylinderFacts<'a> {
    pub make: Make<'a>,
    /// The archive: the last inspection passed.
    pub inspected_on: Option<CivilDay>,
    /// The archive: the last day on which the present inspection is good.
    pub inspection_due: Option<CivilDay>,
    /// The archive: the last day of the extension of its life.
    pub extended_until: Option<CivilDay>,
    /// The newest passed inspection that an inspection body scanned or reported.
    pub report: Option<Inspected>,
    /// Its code is void: nothing falls due any more.
    pub scrapped: bool,
    /// The last day on which it was filled, dispatched or delivered.
    pub used_on: Option<CivilDay>,
}

/// A passed inspection, with the date that the body set for the next one. Of two the later one counts, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    pub on: CivilDay,
    pub valid_until: Option<CivilDay>,
}

/// The next inspection, and the end of its life.
pub fn due(tables: &Tables, facts: &CylinderFacts<'_>) -> Dues {
    let mut dues = Dues::new();
    if !facts.scrapped {
        dues.extend(inspection(tables, facts));
        dues.extend(life(tables, facts));
    }
    dues
}

/// Why something is due, for people.
pub fn words(tables: &Tables, make: Make<'_>, due: &Due) -> Box<str> {
    due.words(source(tables, make, due))
}

/// What the interval is taken from, if it is from a table.
pub fn source<'t>(tables: &'t Tables, make: Make<'_>, due: &Due) -> Option<&'t Source> {
    match due.kind {
        DueKind::CylinderLife => tables.cylinders.life(make).map(|life| &life.source),
        _ => tables.cylinders.interval(make).map(|interval| &interval.source),
    }
}

/// The last day on which it may be used again without an inspection, having been idle.
pub fn idle_until(tables: &Tables, facts: &CylinderFacts<'_>) -> Option<CivilDay> {
    let years = tables.cylinders.interval(facts.make)?.years;
    let inspected_on = facts.inspected_on.max(facts.report.map(|report| report.on));
    Some(years_after(facts.used_on?.max(inspected_on?), years))
}

fn inspection(tables: &Tables, facts: &CylinderFacts<'_>) -> Option<Due> {
    let years = tables.cylinders.interval(facts.make).map(|interval| interval.years);
    let by_report = facts.report.and_then(|report| next(years, report.on, report.valid_until, Clause::Report));
    let is_newer = facts.report.zip(facts.inspected_on).map(|(report, inspected_on)| report.on > inspected_on);
    match (is_newer, facts.inspection_due) {
        (Some(true), own) => by_report.or_else(|| own.map(|own| of(own, None, Clause::Archive))),
        (Some(false), own) => next(years, facts.inspected_on?, own, Clause::Archive),
        (None, own) => {
            let by_archive = match (facts.inspected_on, own) {
                (Some(day), own) => next(years, day, own, Clause::Archive),
                (None, Some(own)) => Some(of(own, None, Clause::Archive)),
                (None, None) => None,
            };
            // Nobody knows which of the two inspections was the later one: the one that is good for longer.
            let known = [by_archive, by_report].into_iter().flatten().max_by_key(|due| due.due_on);
            known.or_else(|| {
                let (years, made_on) = (years?, facts.make.made_on?);
                Some(of(years_after(made_on, years), Some(made_on), Clause::FromMake { years }))
            })
        }
    }
}

/// After an inspection: by the interval, or a date that was set if that is earlier or nothing else says.
fn next(years: Option<u32>, on: CivilDay, set: Option<CivilDay>, clause: Clause) -> Option<Due> {
    let by_interval = years.map(|years| of(years_after(on, years), Some(on), Clause::Interval { years }));
    let by_date = set.map(|set| of(set, Some(on), clause));
    [by_interval, by_date].into_iter().flatten().min_by_key(|due| due.due_on)
}

fn of(due_on: CivilDay, basis_on: Option<CivilDay>, clause: Clause) -> Due {
    Due { kind: DueKind::CylinderInspection, due_on, basis_on, clause }
}

/// It ends with the day before the anniversary: at that age a cylinder is too old.
fn life(tables: &Tables, facts: &CylinderFacts<'_>) -> Option<Due> {
    let life = tables.cylinders.life(facts.make)?;
    let made_on = facts.make.made_on?;
    let last_day = |years| CivilDay(years_after(made_on, years).0 - 1);
    let of = |due_on, clause| Due { kind: DueKind::CylinderLife, due_on, basis_on: Some(made_on), clause };
    let by_design = of(last_day(life.years), Clause::Life { years: life.years });
    let (Some(more), Some(extended)) = (life.extension_years, facts.extended_until) else { return Some(by_design) };
    let years = life.years + more;
    let extended = if extended < last_day(years) {
        of(extended, Clause::Extension)
    } else {
        of(last_day(years), Clause::Scrap { years })
    };
    Some(if extended.due_on > by_design.due_on { extended } else { by_design })
}
