//! When something is due and which alerts follow, worked out the long way from the domain reference: it looks at all that was
//! ever done, year by year and day by day, and imports nothing of what it checks.

use super::calendar::{Calendar, Day};

/// TSG T7001-2023, then every year.
const INSPECTED: [i32; 7] = [1, 4, 7, 9, 11, 13, 15];
/// TSG T5002-2017.
const VISIT_DAYS: [Day; 4] = [15, 90, 180, 365];
const CRITICAL_DAYS: Day = 7;
const CROSSINGS: [Day; 4] = [60, 30, 7, 0];
const YEARS_MAX: i32 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Inspected,
    Tested,
    Repaired,
    Renovated,
    Drilled,
    /// Half-monthly, quarterly, half-yearly, yearly.
    Visited(usize),
}

/// A lift as the archive tells of it, and what was reported of it so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lift {
    pub(crate) base: Option<Day>,
    pub(crate) inspected: Option<Day>,
    pub(crate) own_date: Option<Day>,
    pub(crate) contract: Option<Day>,
    pub(crate) on_demand_days: Option<Day>,
    /// The day on which it came into the archive.
    pub(crate) known: Day,
    pub(crate) done: Vec<(Done, Day)>,
    pub(crate) due: Due,
}

/// What is due next, as long as nothing else becomes known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Due {
    inspection: Option<Day>,
    testing: Option<Day>,
    drill: Option<Day>,
}

impl Lift {
    fn base(&self) -> Option<(Day, bool)> {
        let renovated = self.days(Done::Renovated).max();
        let base = renovated.max(self.base)?;
        Some((base, self.base == Some(base)))
    }

    fn days(&self, what: Done) -> impl Iterator<Item = Day> + '_ {
        self.done.iter().filter(move |(done, _)| *done == what).map(|(_, day)| *day)
    }

    /// The next inspection, and the next testing.
    fn years(&self, calendar: &Calendar) -> Option<(Day, Option<Day>)> {
        let (base, is_archived) = self.base()?;
        let (base_year, month, _) = calendar.date(base);
        let own = self.own_date.filter(|_| is_archived);
        let archived = self.inspected.filter(|day| is_archived && *day > base);
        let end = |n: i32| calendar.month_end(base_year, month, 12 * n);
        let own_year = own.and_then(|own| (1..YEARS_MAX).find(|n| own > end(n - 1) && own <= end(*n)));
        let opens = |n: i32| match (own_year == Some(n), own) {
            (true, Some(own)) => {
                let (year, month, _) = calendar.date(own);
                calendar.month_start(year, month, -2)
            }
            _ => calendar.month_start(base_year, month, 12 * n - 2),
        };
        let is_inspected = |n: i32| INSPECTED.contains(&n) || n > 15 || own_year == Some(n);
        let inspections: Vec<Day> = self.days(Done::Inspected).chain(archived).collect();
        let seen = |n: i32| {
            inspections.iter().any(|day| *day >= opens(n))
                || self.days(Done::Repaired).any(|day| day >= opens(n) || calendar.date(day).0 >= base_year + n)
        };
        let presumed = |n: i32| match (archived, own_year) {
            (Some(_), _) => false,
            (None, Some(own)) => n < own,
            (None, None) => end(n) < self.known,
        };
        let inspection = (1..YEARS_MAX).find(|n| is_inspected(*n) && !seen(*n) && !presumed(*n))?;
        let due = if own_year == Some(inspection) { own? } else { end(inspection) };
        let tested = |n: i32| self.days(Done::Tested).any(|day| day >= opens(n));
        let is_before_own =
            |n: i32| archived.is_none() && own_year.is_some_and(|own| ((n + 1)..own).any(&is_inspected));
        let testing = (1..YEARS_MAX)
            .find(|n| !is_inspected(*n) && !seen(*n) && !tested(*n) && end(*n) >= self.known && !is_before_own(*n));
        Some((due, testing.map(end)))
    }

    /// After something else became known.
    pub(crate) fn look(&mut self, calendar: &Calendar) {
        let years = self.years(calendar);
        let inspection = years.map_or_else(|| self.without_base(calendar), |(due, _)| Some(due));
        self.due = Due { inspection, testing: years.and_then(|(_, testing)| testing), drill: self.drill(calendar) };
    }

    /// The archive's date, and from then on the same month of each year.
    fn without_base(&self, calendar: &Calendar) -> Option<Day> {
        let inspections = self.days(Done::Inspected).chain(self.days(Done::Repaired)).chain(self.inspected);
        let Some(last) = inspections.max() else { return self.own_date };
        let (year, month, _) = calendar.date(self.own_date.unwrap_or(last));
        let from = if self.own_date.is_some() { 0 } else { 1 };
        let next = (from..YEARS_MAX)
            .find(|n| self.own_date.is_none() || last < calendar.month_start(year, month, 12 * n - 2))?;
        if next == 0 { self.own_date } else { Some(calendar.month_end(year, month, 12 * next)) }
    }

    /// By how many days the visit that is overdue for longest is overdue; 0 or less while none is.
    fn visits_overdue(&self, today: Day) -> Day {
        let start = self.contract.map(|from| from.max(self.known));
        let overdue = |least: usize| {
            // Nobody's link is healthy here: on-demand contracts fall back to the calendar.
            let days = match self.on_demand_days {
                Some(days) if least == 0 => days.min(VISIT_DAYS[0]),
                _ => VISIT_DAYS[least],
            };
            let visits = self.done.iter().filter_map(|(done, day)| match done {
                Done::Visited(kind) if *kind >= least => Some(*day),
                _ => None,
            });
            visits.chain(start).map(|day| today - day - days).min()
        };
        (0..4).filter_map(overdue).max().unwrap_or(0)
    }

    fn drill(&self, calendar: &Calendar) -> Option<Day> {
        let start = self.contract.map(|from| from.max(self.known));
        self.days(Done::Drilled).chain(start).map(|day| calendar.later(day, 6)).max()
    }

    /// What stands today: of each rule, the days left where it tells of them, and whether it is critical.
    pub(crate) fn standing(&self, today: Day) -> Vec<(&'static str, Level)> {
        let mut standing = Vec::new();
        let Due { inspection, testing, drill } = self.due;
        if let Some(left) = inspection.map(|due| due - today) {
            match left {
                ..0 => standing.push(("inspection-overdue", Level::Critical)),
                0..=60 => standing.push(("inspection-due", crossed(left))),
                _ => {}
            }
        }
        if testing.is_some_and(|due| due < today) {
            standing.push(("testing-overdue", Level::Major));
        }
        match self.visits_overdue(today) {
            ..=0 => {}
            1..CRITICAL_DAYS => standing.push(("maintenance-overdue", Level::Major)),
            _ => standing.push(("maintenance-overdue", Level::Critical)),
        }
        if drill.is_some_and(|due| due < today) {
            standing.push(("drill-overdue", Level::Minor));
        }
        standing
    }
}

/// How urgent it is, in ascending order; a rise is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// So many of the crossings lie behind.
    Warning(usize),
    Minor,
    Major,
    Critical,
}

fn crossed(left: Day) -> Level {
    Level::Warning(CROSSINGS.iter().filter(|crossing| left <= **crossing).count())
}

/// A cylinder, its interval and its life by hand.
#[derive(Debug, Clone)]
pub(crate) struct Cylinder {
    pub(crate) years: i32,
    pub(crate) life_years: i32,
    /// How much longer an extension may let it go on.
    pub(crate) more_years: i32,
    pub(crate) made: Day,
    pub(crate) inspected: Option<Day>,
    pub(crate) own_date: Option<Day>,
    pub(crate) extended: Option<Day>,
    /// The last inspection that a body scanned and that it passed, with the date that the body set.
    pub(crate) scanned: Option<(Day, Option<Day>)>,
}

/// What befalls a cylinder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The archive tells of an extension of its life.
    Extended(Day),
    Filled,
    Dispatched,
    Delivered,
    Returned,
    Inspected {
        passed: bool,
        valid_until: Option<Day>,
    },
}

impl Cylinder {
    /// The last day of its inspection, and of its life.
    fn last_days(&self, calendar: &Calendar) -> (Day, Day) {
        (self.inspection(calendar), self.life(calendar))
    }

    fn inspection(&self, calendar: &Calendar) -> Day {
        let after = |day: Day, set: Option<Day>| {
            let due = calendar.later(day, 12 * self.years);
            set.map_or(due, |set| set.min(due))
        };
        let by_archive = match (self.inspected, self.own_date) {
            (None, Some(own)) => Some(own),
            (None, None) => None,
            (Some(day), own) => Some(after(day, own)),
        };
        match (self.scanned, by_archive) {
            // The archive's inspection lies before the year.
            (Some((day, set)), Some(_)) if self.inspected.is_some() => after(day, set),
            // Nobody told when the archive's date was set: the one that is good for longer.
            (Some((day, set)), Some(own)) => own.max(after(day, set)),
            (Some((day, set)), None) => after(day, set),
            (None, Some(by_archive)) => by_archive,
            (None, None) => after(self.made, None),
        }
    }

    fn life(&self, calendar: &Calendar) -> Day {
        let age = |years: i32| calendar.later(self.made, 12 * years) - 1;
        let extended = self.extended.filter(|_| self.more_years > 0).unwrap_or(Day::MIN);
        age(self.life_years).max(extended.min(age(self.life_years + self.more_years)))
    }

    pub(crate) fn take(&mut self, today: Day, event: Event) {
        match event {
            Event::Extended(until) => self.extended = Some(until),
            Event::Inspected { passed: true, valid_until } => self.scanned = Some((today, valid_until)),
            _ => {}
        }
    }

    /// What stands, after `event` or after the turn of the day. What is `open` because the cylinder was used stays so until
    /// there is no reason for it any more.
    pub(crate) fn standing(
        &self,
        calendar: &Calendar,
        today: Day,
        event: Option<Event>,
        open: &Alerts,
    ) -> Vec<(&'static str, Level)> {
        let mut standing = Vec::new();
        let (inspection, life) = self.last_days(calendar);
        let left = inspection - today;
        if (0..=60).contains(&left) {
            standing.push(("cylinder-inspection-due", crossed(left)));
        }
        let is_used = matches!(event, Some(Event::Filled | Event::Dispatched | Event::Delivered));
        for (rule, last_day) in [("cylinder-overdue", inspection), ("cylinder-past-life", life)] {
            if last_day < today && (is_used || open.has(rule)) {
                standing.push((rule, Level::Critical));
            }
        }
        standing
    }
}

/// Alerts that are open, and what has to be told when other things stand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alerts(Vec<(&'static str, Level)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Opened,
    Raised,
    Cleared,
}

impl Alerts {
    fn has(&self, rule: &str) -> bool {
        self.0.iter().any(|(open, _)| *open == rule)
    }

    pub(crate) fn follow(&mut self, standing: Vec<(&'static str, Level)>, mut tell: impl FnMut(&'static str, Told)) {
        self.0.retain(|(rule, _)| {
            let stands = standing.iter().any(|(standing, _)| standing == rule);
            if !stands {
                tell(rule, Told::Cleared);
            }
            stands
        });
        for (rule, level) in standing {
            match self.0.iter_mut().find(|(open, _)| *open == rule) {
                None => {
                    self.0.push((rule, level));
                    tell(rule, Told::Opened);
                }
                Some((_, before)) => {
                    if level > *before {
                        tell(rule, Told::Raised);
                    }
                    // With another date there may be more days left again. Nothing else falls.
                    if level > *before || matches!(level, Level::Warning(_)) {
                        *before = level;
                    }
                }
            }
        }
    }
}
