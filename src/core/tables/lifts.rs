//! `tables/lifts.toml`: what falls due on lifts, escalators and moving walks, and how often.

use toml::de::DeTable;

use super::Source;
use super::read::{need_count, source};
use crate::core::rules::section::{Faults, Section, count, table};
use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifts {
    pub inspection: Option<Years>,
    /// In the years without inspection.
    pub testing: Option<Source>,
    pub visits: Option<Visits>,
    pub on_demand: Option<OnDemand>,
    pub self_check: Option<Every>,
    pub drill: Option<Every>,
    /// How long a lift may be out of use and run again without inspection.
    pub restart: Option<Every>,
}

/// The years of inspection, counted from the base inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Years {
    /// Ascending, at least one.
    listed: Box<[u32]>,
    /// The distance after the last one listed.
    then_every: u32,
    /// How many months before the month it is due in an inspection counts for it.
    pub months_early: u32,
    pub source: Source,
}

/// How many days after the last one the next visit is due: half-monthly, quarterly, half-yearly, yearly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visits {
    pub days: [u32; 4],
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDemand {
    /// A contract with a greater distance is taken for one with this.
    pub days_max: u32,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every {
    pub months: u32,
    pub source: Source,
}

impl Years {
    fn last_listed(&self) -> u32 {
        self.listed.last().copied().unwrap_or(0)
    }

    pub fn inspects_in(&self, year: u32) -> bool {
        let last = self.last_listed();
        if year > last { (year - last).is_multiple_of(self.then_every) } else { self.listed.contains(&year) }
    }

    /// The next year of inspection after that one.
    pub fn inspection_after(&self, year: u32) -> u32 {
        let last = self.last_listed();
        let listed = self.listed.iter().copied().find(|listed| *listed > year);
        listed.unwrap_or_else(|| last + ((year - last) / self.then_every + 1) * self.then_every)
    }

    /// The last year of inspection before that one; 0 where there is none.
    pub fn inspection_before(&self, year: u32) -> u32 {
        let last = self.last_listed();
        if year > last {
            return last + (year - 1 - last) / self.then_every * self.then_every;
        }
        self.listed.iter().copied().rfind(|listed| *listed < year).unwrap_or(0)
    }

    /// A span of years that holds one for testing, if any does.
    pub(in crate::core) fn testing_within(&self) -> u32 {
        self.last_listed() + self.then_every
    }

    /// The least distance of two inspections: what counts where nobody knows which year it is.
    pub fn shortest_months(&self) -> u32 {
        let gaps = self.listed.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.chain([self.then_every]).min().unwrap_or(self.then_every) * 12
    }
}

pub(super) fn read(root: &DeTable<'_>, faults: &mut Faults) -> Lifts {
    const KEYS: &[&str] = &["inspection", "testing", "visits", "on_demand", "self_check", "drill", "restart"];
    let top = Section::new(root, 0, "the table of lifts", KEYS, faults);
    Lifts {
        inspection: part(&top, "inspection", &["years", "then_every_years", "months_early"], faults, years),
        testing: part(&top, "testing", &[], faults, |section, faults| Some(source(section, faults))),
        visits: part(&top, "visits", &VISITS, faults, visits),
        on_demand: part(&top, "on_demand", &["days_max"], faults, |section, faults| {
            let source = source(section, faults);
            Some(OnDemand { days_max: need_count(section, "days_max", limits::TABLE_DAYS, faults)?, source })
        }),
        self_check: part(&top, "self_check", &["months"], faults, every),
        drill: part(&top, "drill", &["months"], faults, every),
        restart: part(&top, "restart", &["months"], faults, every),
    }
}

const VISITS: [&str; 4] = ["half_month_days", "quarter_days", "half_year_days", "year_days"];

fn part<T>(
    top: &Section<'_>,
    key: &'static str,
    keys: &[&'static str],
    faults: &mut Faults,
    read: impl FnOnce(&Section<'_>, &mut Faults) -> Option<T>,
) -> Option<T> {
    let (at, value) = top.key(key)?;
    let (_, values) = table(key, value, faults)?;
    let keys: Vec<&str> = keys.iter().copied().chain(["source", "standing"]).collect();
    let section = Section::new(values, at, key_name(key), &keys, faults);
    read(&section, faults)
}

fn key_name(key: &'static str) -> &'static str {
    key
}

fn every(section: &Section<'_>, faults: &mut Faults) -> Option<Every> {
    let source = source(section, faults);
    Some(Every { months: need_count(section, "months", limits::TABLE_MONTHS, faults)?, source })
}

fn visits(section: &Section<'_>, faults: &mut Faults) -> Option<Visits> {
    let source = source(section, faults);
    let [half_month, quarter, half_year, year] = VISITS.map(|key| need_count(section, key, limits::TABLE_DAYS, faults));
    Some(Visits { days: [half_month?, quarter?, half_year?, year?], source })
}

fn years(section: &Section<'_>, faults: &mut Faults) -> Option<Years> {
    let source = source(section, faults);
    let listed = listed(section, faults);
    let then_every = need_count(section, "then_every_years", limits::TABLE_YEARS, faults);
    // Earlier than that, a day would count for two years.
    let months_early = need_count(section, "months_early", 11, faults);
    Some(Years { listed: listed?, then_every: then_every?, months_early: months_early?, source })
}

fn listed(section: &Section<'_>, faults: &mut Faults) -> Option<Box<[u32]>> {
    let place = section.need("years", faults)?.span().start;
    let items = section.array("years", faults)?;
    let mut listed: Vec<u32> = Vec::with_capacity(items.len());
    for item in items {
        let year = count("years", item, limits::TABLE_YEARS, faults)?;
        if listed.last().is_some_and(|last| *last >= year) {
            return faults.add(item.span().start, "the years ascend");
        }
        listed.push(year);
    }
    match listed.is_empty() {
        true => faults.add(place, "`years` has one year at least"),
        false => Some(listed.into()),
    }
}
