//! Time, as values that are passed in. Nothing below reads a clock.
//!
//! Spans are plain `i64` milliseconds, and names that hold one end in `_ms`.

use std::fmt;
use std::ops::{Add, Sub};

macro_rules! instant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub i64);

        impl $name {
            pub const MAX: Self = Self(i64::MAX);

            pub fn ms(self) -> i64 {
                self.0
            }
        }

        impl Add<i64> for $name {
            type Output = Self;
            fn add(self, span_ms: i64) -> Self {
                Self(self.0.saturating_add(span_ms))
            }
        }

        impl Sub<i64> for $name {
            type Output = Self;
            fn sub(self, span_ms: i64) -> Self {
                Self(self.0.saturating_sub(span_ms))
            }
        }

        impl Sub for $name {
            /// Milliseconds from the right one to the left one.
            type Output = i64;
            fn sub(self, other: Self) -> i64 {
                self.0.saturating_sub(other.0)
            }
        }
    };
}

instant!(
    /// Civil time as UTC milliseconds since 1970. It may step: nothing is timed by it.
    Wall
);
instant!(
    /// Milliseconds since the inbox began, suspend and (clamped) downtime included. It never steps back: timers run on it.
    Elapsed
);

impl Wall {
    /// 9999-12-31T23:59:59.999Z, the last time a frame may claim.
    pub const LAST: Self = Self(253_402_300_799_999);
}

impl fmt::Display for Wall {
    /// RFC 3339 in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Civil time reaches the end of the year 9999; a timestamp of the library ends a day before.
        let since_1970 = jiff::SignedDuration::from_millis(self.0);
        match CivilDay::EPOCH.to_datetime(jiff::civil::Time::midnight()).checked_add(since_1970) {
            Ok(at) => write!(f, "{at:.3}Z"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} ms", self.0)
    }
}

/// A civil date, as days since 1970-01-01. Due dates are civil: what day it is depends on the configured zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilDay(pub i32);

impl CivilDay {
    const EPOCH: jiff::civil::Date = jiff::civil::date(1970, 1, 1);
    /// 9999-12-31.
    pub const LAST: Self = Self(2_932_896);

    /// Reads `2026-11-22`, from 1970-01-01 to 9999-12-31.
    pub fn parse(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = (text.len() == 10).then(|| text.parse().ok())??;
        Some(Self::from_date(date)).filter(|day| (0..=Self::LAST.0).contains(&day.0))
    }

    pub(crate) fn from_date(date: jiff::civil::Date) -> Self {
        Self(date.since(Self::EPOCH).map_or(0, |span| span.get_days()))
    }

    /// The day on which `at` falls in `zone`; beyond what the library's timestamps reach, their first or last one.
    pub fn of(at: Wall, zone: &jiff::tz::TimeZone) -> Self {
        use jiff::Timestamp;
        // 9999-12-31 is a common way to write "for ever".
        let beyond = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let at = Timestamp::from_millisecond(at.0).unwrap_or(beyond);
        Self::from_date(zone.to_datetime(at).date())
    }

    /// The moment this day begins in `zone`: 00:00, or the first moment after it where the clock jumps over midnight.
    pub fn begins(self, zone: &jiff::tz::TimeZone) -> Wall {
        let start = zone.to_ambiguous_timestamp(self.date().to_datetime(jiff::civil::Time::midnight())).compatible();
        Wall(start.map_or(i64::MAX, |at| at.as_millisecond()))
    }

    /// How many days it lies after another one.
    pub fn days_since(self, other: Self) -> i64 {
        i64::from(self.0) - i64::from(other.0)
    }

    pub(crate) fn date(self) -> jiff::civil::Date {
        Self::EPOCH.saturating_add(jiff::Span::new().days(self.0.clamp(-1_000_000, Self::LAST.0)))
    }
}

impl fmt::Display for CivilDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl fmt::Debug for CivilDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_civil_day_turns_at_midnight_of_its_zone() {
        let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
        let day = CivilDay::parse("2026-11-22").unwrap();
        let begins = day.begins(&zone);
        assert_eq!(begins.to_string(), "2026-11-21T16:00:00.000Z");
        assert_eq!(CivilDay::of(begins, &zone), day);
        assert_eq!(CivilDay::of(begins - 1, &zone), CivilDay(day.0 - 1));
        assert_eq!(day.to_string(), "2026-11-22");
    }

    #[test]
    fn the_last_day_of_all_is_late_and_not_early() {
        let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(CivilDay::of(Wall::LAST, &zone), CivilDay::LAST);
        assert!(CivilDay::of(Wall(i64::MIN), &zone) < CivilDay(0));
        assert_eq!(Wall::LAST.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Wall(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Wall(i64::MAX).to_string(), "9223372036854775807 ms");
    }

    #[test]
    fn dates_are_read_strictly() {
        for bad in ["2026-02-30", "26-01-01", "1969-12-31", "2026-1-1", "10000-01-01", "2026-11-22T"] {
            assert_eq!(CivilDay::parse(bad), None, "{bad}");
        }
        assert_eq!(CivilDay::parse("9999-12-31"), Some(CivilDay::LAST));
    }
}
