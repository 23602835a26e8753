//! The years of TSG T7001-2023: which of them are for inspection and which for testing, and through which a day counts.

use super::months::Month;
use crate::core::tables::lifts::Years;
use crate::model::time::CivilDay;

/// One lift's schedule. Year n falls due in the base's month, n years on; it begins when year n − 1 has ended.
pub(super) struct Schedule<'t> {
    years: &'t Years,
    base: Month,
    /// The archive's own date, and the year whose date it replaces.
    own: Option<(u32, CivilDay)>,
}

impl<'t> Schedule<'t> {
    pub(super) fn new(years: &'t Years, base_on: CivilDay, own_date: Option<CivilDay>) -> Self {
        let mut schedule = Self { years, base: Month::of(base_on), own: None };
        // A date of the base's month or before it is of another base.
        let with_year = own_date.map(|day| (schedule.year_of(day), day));
        schedule.own = with_year.filter(|(year, _)| *year > 0);
        schedule
    }

    /// The year whose date the archive gives.
    pub(super) fn own_year(&self) -> Option<u32> {
        self.own.map(|(year, _)| year)
    }

    pub(super) fn is_own(&self, year: u32) -> bool {
        self.own_year() == Some(year)
    }

    /// The last day on which it is in time: the last one of the base's month, or the archive's date.
    pub(super) fn due_on(&self, year: u32) -> CivilDay {
        let own = self.own.filter(|(own, _)| *own == year);
        own.map_or_else(|| self.base.plus(year.saturating_mul(12)).last(), |(_, day)| day)
    }

    /// The year that a day lies in; 0 for the base's month and all before it.
    pub(super) fn year_of(&self, day: CivilDay) -> u32 {
        let months = Month::of(day).since(self.base);
        u32::try_from(months.saturating_add(11).div_euclid(12)).unwrap_or(0)
    }

    /// The year that falls due in a day's calendar year.
    pub(super) fn in_calendar_year_of(&self, day: CivilDay) -> u32 {
        u32::try_from(Month::of(day).year() - self.base.year()).unwrap_or(0)
    }

    /// The last year that was over before a day.
    pub(super) fn over_before(&self, day: CivilDay) -> u32 {
        self.year_of(day).saturating_sub(1)
    }

    /// The last year for which it is not too early on a day.
    pub(super) fn open_through(&self, day: CivilDay) -> u32 {
        let month = Month::of(day).plus(self.years.months_early);
        let by_base = u32::try_from(month.since(self.base).div_euclid(12)).unwrap_or(0);
        let by_own = self.own.filter(|(_, own)| month >= Month::of(*own)).map_or(0, |(year, _)| year);
        by_base.max(by_own)
    }

    /// The next year with an inspection.
    pub(super) fn inspection_after(&self, year: u32) -> u32 {
        let by_table = self.years.inspection_after(year);
        self.own_year().filter(|own| *own > year).map_or(by_table, |own| own.min(by_table))
    }

    /// The last year with an inspection before the one whose date the archive gives.
    pub(super) fn inspected_before_own(&self) -> u32 {
        self.own_year().map_or(0, |own| self.years.inspection_before(own))
    }

    /// The next year for testing, if there is any more.
    pub(super) fn testing_after(&self, year: u32) -> Option<u32> {
        let next = year.saturating_add(1);
        let is_tested = |year: &u32| !self.is_own(*year) && !self.years.inspects_in(*year);
        (next..=next.saturating_add(self.years.testing_within())).find(is_tested)
    }
}
