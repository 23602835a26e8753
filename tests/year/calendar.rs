//! The civil calendar from 1970 to 2089, day by day, so that nothing about it has to be computed.

pub(crate) type Day = i32;

pub(crate) struct Calendar {
    /// By days since 1970-01-01.
    days: Vec<(i32, u32, u32)>,
}

impl Calendar {
    pub(crate) fn new() -> Self {
        let mut days = Vec::new();
        for year in 1970..2090 {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in (1..).zip(lengths) {
                days.extend((1..=length).map(|day| (year, month, day)));
            }
        }
        Self { days }
    }

    pub(crate) fn date(&self, day: Day) -> (i32, u32, u32) {
        self.days[day as usize]
    }

    pub(crate) fn day(&self, year: i32, month: u32, day: u32) -> Day {
        self.days.binary_search(&(year, month, day)).expect("a day of the calendar") as Day
    }

    /// The last day of the month that lies so many months after another one.
    pub(crate) fn month_end(&self, year: i32, month: u32, months: i32) -> Day {
        self.month_start(year, month, months + 1) - 1
    }

    pub(crate) fn month_start(&self, year: i32, month: u32, months: i32) -> Day {
        let all = year * 12 + month as i32 - 1 + months;
        self.day(all.div_euclid(12), all.rem_euclid(12) as u32 + 1, 1)
    }

    /// The same day so many months later, or the last one of a month that is too short.
    pub(crate) fn later(&self, day: Day, months: i32) -> Day {
        let (year, month, day_of_month) = self.date(day);
        (self.month_start(year, month, months) + day_of_month as i32 - 1).min(self.month_end(year, month, months))
    }
}
