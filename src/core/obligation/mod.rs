//! What falls due when: pure schedules over what is known of a device, by the tables of intervals.
//!
//! **Invariant:** the same facts and tables give the same dates. There is no today in here: a date that has passed
//! stands until something meets it. `docs/obligations.md` has the rules, where they come from, and what is assumed.

pub mod cylinder;
pub mod lift;
pub mod months;
mod schedule;
pub mod upkeep;

#[cfg(test)]
mod properties;

use std::fmt::Write;

use smallvec::SmallVec;

use super::tables::Source;
use crate::model::obligation::DueKind;
use crate::model::time::CivilDay;

/// What has to be done next, one of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub kind: DueKind,
    /// The last day on which it is done in time.
    pub due_on: CivilDay,
    /// The day it is counted from, where there is one.
    pub basis_on: Option<CivilDay>,
    pub clause: Clause,
}

/// At most one of a kind, in the order of kinds.
pub type Dues = SmallVec<[Due; 8]>;

/// Why it falls due on that day. `lift::words` and `cylinder::words` have it for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clause {
    /// A year of the schedule, counted from the base inspection.
    Year(u32),
    /// The date that the archive holds.
    Archive,
    /// So many months after the last inspection, the base being unknown.
    WithoutBase { months: u32 },
    /// So many days after the last visit of its kind or a greater one.
    Visit { days: u32 },
    /// Likewise from the day since when visits are counted, there being none since.
    NoVisit { days: u32 },
    /// An on-demand contract's distance.
    OnDemand { days: u32 },
    /// The data link that an on-demand contract rests on is unhealthy: counted from then, or from a later visit.
    LinkLost { days: u32 },
    /// So many months after the last one.
    Months { months: u32 },
    /// Likewise from the day since when it is counted, there being none since.
    NoneYet { months: u32 },
    /// So many years after a cylinder's last inspection.
    Interval { years: u32 },
    /// After it was made, there being no inspection since.
    FromMake { years: u32 },
    /// The date that an inspection body set.
    Report,
    /// A cylinder's design life.
    Life { years: u32 },
    /// An extension of it.
    Extension,
    /// The age beyond which no extension goes.
    Scrap { years: u32 },
}

impl Due {
    /// Why, in a sentence: where the interval comes from, and what was counted.
    fn words(&self, source: Option<&Source>) -> Box<str> {
        let mut words = String::new();
        if let Some(source) = source {
            words.push_str(&source.text);
            words.push_str(if source.assumed { " (assumed): " } else { ": " });
        }
        let told = match self.clause {
            Clause::Year(n) => write!(words, "year {n} after the base inspection"),
            Clause::Archive => write!(words, "the date in the archive"),
            Clause::WithoutBase { months } => {
                write!(words, "{months} months after the last inspection, the base being unknown")
            }
            Clause::Visit { days } => write!(words, "{days} days after the last visit of this kind or a greater one"),
            Clause::NoVisit { days } => {
                write!(words, "{days} days from the start of maintenance, no visit since being known")
            }
            Clause::OnDemand { days } => {
                write!(words, "on-demand contract, {days} days while the data link is healthy")
            }
            Clause::LinkLost { days } => {
                write!(words, "on-demand contract, {days} days since the data link was last healthy or the last visit")
            }
            Clause::Months { months } => write!(words, "{months} months after the last one"),
            Clause::NoneYet { months } => write!(words, "{months} months from the start, none since being known"),
            Clause::Interval { years } => write!(words, "{years} years after the last inspection"),
            Clause::FromMake { years } => write!(words, "{years} years after it was made, no inspection being known"),
            Clause::Report => write!(words, "the date set at the last inspection"),
            Clause::Life { years } => write!(words, "design life of {years} years"),
            Clause::Extension => write!(words, "extension of the design life"),
            Clause::Scrap { years } => write!(words, "scrapped at {years} years at the latest"),
        };
        told.expect("a String takes all");
        words.into()
    }
}

/// The later of what is known.
fn latest(days: impl IntoIterator<Item = Option<CivilDay>>) -> Option<CivilDay> {
    days.into_iter().flatten().max()
}
