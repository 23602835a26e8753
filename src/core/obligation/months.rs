//! Arithmetic of days, months and years: all that due dates need of the calendar.

use crate::model::time::CivilDay;

/// A month of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(i32);

impl Month {
    pub fn of(day: CivilDay) -> Self {
        let date = day.date();
        Self(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }

    pub fn year(self) -> i32 {
        self.0.div_euclid(12)
    }

    pub fn plus(self, months: u32) -> Self {
        Self(self.0.saturating_add_unsigned(months))
    }

    /// How many months it lies after another one.
    pub fn since(self, other: Self) -> i32 {
        self.0.saturating_sub(other.0)
    }

    /// Its last day, or the last day of all.
    pub fn last(self) -> CivilDay {
        let (year, month) = (self.year(), self.0.rem_euclid(12) + 1);
        let first = i16::try_from(year).ok().and_then(|year| {
            let month = i8::try_from(month).ok()?;
            jiff::civil::Date::new(year, month, 1).ok()
        });
        first.map_or(CivilDay::LAST, |first| CivilDay::from_date(first.last_of_month()))
    }
}

/// The same day of the month so many months later; in a month without it, that month's last day.
pub fn months_after(day: CivilDay, months: u32) -> CivilDay {
    let span = jiff::Span::new().try_months(months);
    span.and_then(|span| day.date().checked_add(span)).map_or(CivilDay::LAST, CivilDay::from_date)
}

pub fn years_after(day: CivilDay, years: u32) -> CivilDay {
    months_after(day, years.saturating_mul(12))
}

pub fn days_after(day: CivilDay, days: u32) -> CivilDay {
    CivilDay(day.0.saturating_add_unsigned(days)).min(CivilDay::LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> CivilDay {
        CivilDay::parse(text).unwrap()
    }

    #[test]
    fn a_month_that_lacks_the_day_gives_its_last_one() {
        for (from, months, to) in [
            ("2024-02-29", 12, "2025-02-28"),
            ("2024-02-29", 48, "2028-02-29"),
            ("2025-02-28", 12, "2026-02-28"),
            ("2026-08-31", 6, "2027-02-28"),
            ("2027-08-31", 6, "2028-02-29"),
            ("2026-01-31", 1, "2026-02-28"),
            ("2026-12-15", 1, "2027-01-15"),
            ("2096-02-29", 48, "2100-02-28"),
            ("9999-06-30", 12, "9999-12-31"),
        ] {
            assert_eq!(months_after(day(from), months), day(to), "{from} and {months} months");
        }
        assert_eq!(months_after(day("2026-01-01"), u32::MAX), CivilDay::LAST);
        assert_eq!(days_after(CivilDay(i32::MAX), u32::MAX), CivilDay::LAST);
        assert_eq!(days_after(day("2026-12-20"), 15), day("2027-01-04"));
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        for (of, plus, last) in [
            ("2024-02-29", 0, "2024-02-29"),
            ("2024-02-01", 12, "2025-02-28"),
            ("2026-11-22", 1, "2026-12-31"),
            ("2026-12-31", 1, "2027-01-31"),
            ("9999-12-31", 1, "9999-12-31"),
        ] {
            assert_eq!(Month::of(day(of)).plus(plus).last(), day(last), "{of} and {plus} months");
        }
        assert_eq!(Month::of(day("2027-01-01")).since(Month::of(day("2026-11-30"))), 2);
    }
}
