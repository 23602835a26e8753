//! What falls due on a lift, escalator or moving walk.

use super::months::{Month, days_after, months_after};
use super::schedule::Schedule;
use super::{Clause, Due, Dues, latest};
use crate::core::tables::lifts::{Every, Lifts, Years};
use crate::core::tables::{Source, Tables};
use crate::model::obligation::DueKind;
use crate::model::time::CivilDay;

/// All that the dates follow from. Of records it has the latest day of each sort, so that the order in which they arrive
/// is irrelevant and an old one that arrives late moves nothing back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiftFacts {
    /// The archive: installation's (or renovation's) supervisory inspection.
    pub base_on: Option<CivilDay>,
    /// The archive: the last periodic inspection passed.
    pub inspected_on: Option<CivilDay>,
    /// The archive: the last day on which the present inspection is good.
    pub inspection_due: Option<CivilDay>,
    pub out_of_use_since: Option<CivilDay>,
    /// The day on which the archive first told of this lift. What fell due before it is taken for done, unless the
    /// archive says otherwise: no records of it can be expected here.
    pub known_since: Option<CivilDay>,
    /// Where the first maintenance contract that was told begins. A renewal, or another firm's contract, doesn't move it:
    /// visits are counted from visits then.
    pub maintained_from: Option<CivilDay>,
    pub on_demand: Option<OnDemand>,
    /// The last visits, by `VISITS`. An on-demand contract's visit is a half-monthly one.
    pub visited_on: [Option<CivilDay>; 4],
    /// The last report of a passed periodic inspection.
    pub reported_on: Option<CivilDay>,
    /// Of a testing, likewise.
    pub tested_on: Option<CivilDay>,
    /// Of a supervisory inspection of a major repair.
    pub supervised_on: Option<CivilDay>,
    /// Of an installation's or renovation's supervisory inspection: a new base.
    pub renovated_on: Option<CivilDay>,
    pub self_checked_on: Option<CivilDay>,
    pub drilled_on: Option<CivilDay>,
}

/// A contract by which visits follow demand, not the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDemand {
    pub every_days: u32,
    /// The day on which the lift's data link ceased to be healthy; `None` while it is.
    pub link_lost_on: Option<CivilDay>,
}

/// The kinds of visits, each contained in the next one.
pub const VISITS: [DueKind; 4] = [DueKind::HalfMonth, DueKind::Quarter, DueKind::HalfYear, DueKind::Year];

/// All that is due, the next one of each kind.
pub fn due(tables: &Tables, facts: &LiftFacts) -> Dues {
    let mut dues = Dues::new();
    // A lift that is out of use is neither inspected nor maintained: `restart_needs_inspection`.
    if facts.out_of_use_since.is_some() {
        return dues;
    }
    let table = &tables.lifts;
    inspections(table, facts, &mut dues);
    visits(table, facts, &mut dues);
    dues.extend(self_check(table, facts));
    let drill = table.drill.as_ref();
    dues.extend(drill.and_then(|every| after_last(DueKind::Drill, every, facts.drilled_on, facts)));
    dues
}

/// Why something is due, for people.
pub fn words(tables: &Tables, due: &Due) -> Box<str> {
    due.words(source(tables, due))
}

/// What the interval is taken from, if it is from a table.
pub fn source<'t>(tables: &'t Tables, due: &Due) -> Option<&'t Source> {
    let Lifts { inspection, testing, visits, on_demand, self_check, drill, .. } = &tables.lifts;
    match (due.kind, due.clause) {
        (_, Clause::OnDemand { .. } | Clause::LinkLost { .. }) => on_demand.as_ref().map(|rule| &rule.source),
        (DueKind::Inspection, _) => inspection.as_ref().map(|years| &years.source),
        (DueKind::Testing, _) => testing.as_ref(),
        (DueKind::HalfMonth | DueKind::Quarter | DueKind::HalfYear | DueKind::Year, _) => {
            visits.as_ref().map(|visits| &visits.source)
        }
        (DueKind::SelfCheck, _) => self_check.as_ref().map(|every| &every.source),
        (DueKind::Drill, _) => drill.as_ref().map(|every| &every.source),
        (DueKind::CylinderInspection | DueKind::CylinderLife, _) => None,
    }
}

/// Whether a lift that runs on that day should have been inspected before: it was out of use for long, and nobody has
/// inspected it in that time, or too long ago.
pub fn restart_needs_inspection(tables: &Tables, facts: &LiftFacts, on: CivilDay) -> bool {
    let (Some(every), Some(since)) = (&tables.lifts.restart, facts.out_of_use_since) else { return false };
    let inspected_on =
        latest([facts.base_on, facts.inspected_on, facts.reported_on, facts.supervised_on, facts.renovated_on]);
    on >= months_after(since.max(inspected_on.unwrap_or(since)), every.months)
}

fn inspections(table: &Lifts, facts: &LiftFacts, dues: &mut Dues) {
    let Some(years) = &table.inspection else {
        // Whoever has no table goes by the date in the archive alone.
        let due = |due_on| Due { kind: DueKind::Inspection, due_on, basis_on: None, clause: Clause::Archive };
        dues.extend(facts.inspection_due.map(due));
        return;
    };
    let Some(base_on) = latest([facts.base_on, facts.renovated_on]) else {
        dues.extend(without_base(years, facts));
        return;
    };
    // What the archive tells of inspections goes with the base that it tells: before a renovation it doesn't tell of yet.
    let told = facts.base_on == Some(base_on);
    let inspected_on = facts.inspected_on.filter(|day| told && *day > base_on);
    let schedule = Schedule::new(years, base_on, facts.inspection_due.filter(|_| told));

    let by_report = latest([inspected_on, facts.reported_on]).map_or(0, |day| schedule.open_through(day));
    let by_repair =
        facts.supervised_on.map_or(0, |day| schedule.in_calendar_year_of(day).max(schedule.open_through(day)));
    let known = facts.known_since.map_or(0, |day| schedule.over_before(day));
    let inspected = by_report.max(by_repair);
    // What went before is known of no other way where the archive names no inspection.
    let before = match (inspected_on, schedule.own_year()) {
        (Some(_), _) => 0,
        (None, Some(own)) => own - 1,
        (None, None) => known,
    };
    let due = |kind, year| {
        let clause = if schedule.is_own(year) { Clause::Archive } else { Clause::Year(year) };
        Due { kind, due_on: schedule.due_on(year), basis_on: Some(base_on), clause }
    };
    dues.push(due(DueKind::Inspection, schedule.inspection_after(inspected.max(before))));

    if table.testing.is_some() {
        let by_test = facts.tested_on.map_or(0, |day| schedule.open_through(day));
        let before = if inspected_on.is_none() { schedule.inspected_before_own() } else { 0 };
        let year = schedule.testing_after(by_test.max(inspected).max(known).max(before));
        dues.extend(year.map(|year| due(DueKind::Testing, year)));
    }
}

/// Nobody knows which year it is in: what counts is the archive's date, and the shortest distance there is.
fn without_base(years: &Years, facts: &LiftFacts) -> Option<Due> {
    let months = years.shortest_months();
    let due = |due_on, basis_on, clause| Due { kind: DueKind::Inspection, due_on, basis_on, clause };
    let again = |on: CivilDay, month: Month| due(month.last(), Some(on), Clause::WithoutBase { months });
    let inspected_on = latest([facts.inspected_on, facts.reported_on, facts.supervised_on]);
    match (inspected_on, facts.inspection_due) {
        (None, None) => None,
        (Some(day), None) => Some(again(day, Month::of(day).plus(months))),
        (None, Some(own)) => Some(due(own, None, Clause::Archive)),
        // Early or late, the next one falls due in the same month again.
        (Some(day), Some(own)) => match Month::of(day).plus(years.months_early).since(Month::of(own)) {
            ..0 => Some(due(own, None, Clause::Archive)),
            over => {
                let times = u32::try_from(over).unwrap_or(0) / months + 1;
                Some(again(day, Month::of(own).plus(times.saturating_mul(months))))
            }
        },
    }
}

fn visits(table: &Lifts, facts: &LiftFacts, dues: &mut Dues) {
    let Some(visits) = &table.visits else { return };
    for (nth, kind) in VISITS.into_iter().enumerate() {
        // A greater visit contains the lesser ones.
        let last = latest(facts.visited_on[nth..].iter().copied());
        let Some(from) = last.max(counted_from(facts)) else { continue };
        let days = visits.days[nth];
        let clause = if last == Some(from) { Clause::Visit { days } } else { Clause::NoVisit { days } };
        let by_calendar = Due { kind, due_on: days_after(from, days), basis_on: Some(from), clause };
        let on_demand = facts.on_demand.filter(|_| kind == DueKind::HalfMonth);
        dues.push(match (on_demand, &table.on_demand) {
            (Some(contract), Some(rule)) => by_demand(contract, rule.days_max, by_calendar, days),
            _ => by_calendar,
        });
    }
}

/// The contract's distance; while its data link is unhealthy the calendar's, counted from when it ceased to be.
fn by_demand(contract: OnDemand, days_max: u32, by_calendar: Due, calendar_days: u32) -> Due {
    let Some(from) = by_calendar.basis_on else { return by_calendar };
    let days = contract.every_days.min(days_max);
    let healthy = Due { due_on: days_after(from, days), clause: Clause::OnDemand { days }, ..by_calendar };
    let Some(lost_on) = contract.link_lost_on else { return healthy };
    let from = from.max(lost_on);
    let clause = Clause::LinkLost { days: calendar_days };
    let lost = Due { due_on: days_after(from, calendar_days), basis_on: Some(from), clause, ..by_calendar };
    if lost.due_on < healthy.due_on { lost } else { healthy }
}

/// Since when visits and drills are expected where none is known: not before anybody could tell of them here.
fn counted_from(facts: &LiftFacts) -> Option<CivilDay> {
    facts.maintained_from.map(|from| from.max(facts.known_since.unwrap_or(from)))
}

/// Yearly; the first one before the first inspection or testing.
fn self_check(table: &Lifts, facts: &LiftFacts) -> Option<Due> {
    let (every, kind) = (table.self_check.as_ref()?, DueKind::SelfCheck);
    let base_on = latest([facts.base_on, facts.renovated_on]);
    let (Some(years), Some(base_on)) = (&table.inspection, base_on) else {
        return after_last(kind, every, facts.self_checked_on, facts);
    };
    let schedule = Schedule::new(years, base_on, None);
    let year = facts.known_since.map_or(0, |day| schedule.over_before(day)) + 1;
    let first = Due { kind, due_on: schedule.due_on(year), basis_on: Some(base_on), clause: Clause::Year(year) };
    let next = facts.self_checked_on.map(|day| after(kind, every, day));
    Some(next.filter(|next| next.due_on > first.due_on).unwrap_or(first))
}

fn after_last(kind: DueKind, every: &Every, last: Option<CivilDay>, facts: &LiftFacts) -> Option<Due> {
    let from = last.max(counted_from(facts))?;
    let due = after(kind, every, from);
    Some(if last == Some(from) { due } else { Due { clause: Clause::NoneYet { months: every.months }, ..due } })
}

fn after(kind: DueKind, every: &Every, from: CivilDay) -> Due {
    let Every { months, .. } = *every;
    Due { kind, due_on: months_after(from, months), basis_on: Some(from), clause: Clause::Months { months } }
}
