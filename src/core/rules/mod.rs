//! The rules: data in TOML, their conditions in CEL syntax, checked as a whole before any of them is used.
//!
//! `spec` reads the files, `expr` their conditions, `schema` says what conditions may name. Judging by them is not here.

mod difference;
mod expr;
mod overrides;
pub mod schema;
mod spec;

use std::fmt;

#[cfg(doc)]
use crate::limits;
use crate::model::alert::{Certainty, Severity, StormScope, Title};
use crate::model::ids::RuleId;

pub use difference::Difference;
pub use expr::{CodeTerm, Expr, Facts, Reads, Term, Tri, Value};
pub use overrides::{Overrides, Reach, Whom};
pub use schema::{CodeList, Family, Field};
pub use spec::{RuleText, TABLES_FOLDER, Texts};

// Other files that people write are read the same way.
pub use expr::did_you_mean;
pub use spec::place::line_and_column;
pub use spec::section;

/// Index into [`RuleSet::rules`]. Good for one rule set only.
pub type RuleIx = u16;

/// Reads rule files, given as (name, text). Every fault of all of them comes back at once, by file and place.
pub fn parse(files: &[(Box<str>, Box<str>)]) -> Result<RuleSet, Vec<RuleFault>> {
    spec::parse(files)
}

/// Every rule's conditions as its file writes them, of files that `parse` took.
pub fn texts(files: &[(Box<str>, Box<str>)]) -> Texts {
    spec::texts(files)
}

/// What is wrong in a rule file, and where. Lines and columns count from 1, columns in characters. Without a file: what
/// is wrong lies in no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    pub file: Box<str>,
    pub line: u32,
    pub column: u32,
    pub message: Box<str>,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        }
        f.write_str(&self.message)
    }
}

pub fn one_a_line(faults: &[RuleFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    /// Ascending by id.
    pub rules: Vec<Rule>,
    /// Every rule once, after all that it names in `open` or `unless`. No two rules wait for each other.
    pub order: Vec<RuleIx>,
    pub moments: Moments,
    /// The extras that some rule reads, in the order of first mention; the rest need not be kept.
    pub extras: Vec<Box<str>>,
    /// The spans of extras that some rule folds, likewise.
    pub windows: Vec<Window>,
    pub overrides: Overrides,
    pub storm: StormRule,
    pub flapping: FlappingRule,
}

impl RuleSet {
    pub fn find(&self, id: &RuleId) -> Option<RuleIx> {
        self.rules.binary_search_by(|rule| rule.id.cmp(id)).ok().and_then(|at| at.try_into().ok())
    }

    pub fn rule(&self, rule: RuleIx) -> &Rule {
        &self.rules[usize::from(rule)]
    }

    /// All rules, and all that stand for one of them somewhere.
    pub fn all_rules(&self) -> Vec<&Rule> {
        self.rules.iter().chain(self.overrides.rules()).collect()
    }
}

/// The last values of an extra, of which rules read the highest or the average.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub extra: Box<str>,
    pub span_ms: u32,
}

/// What is made of the values in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Max,
    Average,
}

impl Fold {
    pub const ALL: &'static [Self] = &[Self::Max, Self::Average];

    /// The function that asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Max => "max_over",
            Self::Average => "avg_over",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fold| fold.name() == name)
    }
}

/// The spans that hold for all rules of lifts: the `[elevator]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moments {
    /// A code that came in `events` counts as active for this long.
    pub event_linger_ms: i64,
    /// (code, span), ascending: counts as active for this long after the last frame that carried it.
    pub alarm_linger: Vec<(u32, i64)>,
    /// A door that is opening or closing counts as shut once that has lasted so long.
    pub door_shut_after_ms: i64,
    /// A rule that comes back within this time reopens the same alert, unless its first severity is critical.
    pub reopen_within_ms: i64,
    /// After a manual clear a rule opens again once it was known false, or after this time.
    pub rearm_ms: i64,
    /// The longest time between two frames of a healthy terminal, for lifts whose archive entry has none.
    pub keep_alive_ms: i64,
    /// What a lift reported is unknown once it has been silent for this long, and for `unknown_keep_alives`.
    pub unknown_after_ms: i64,
    pub unknown_keep_alives: u32,
    /// Codes of a late frame count when it is younger than this.
    pub late_codes_ms: i64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            event_linger_ms: 60_000,
            alarm_linger: vec![(90, 60_000)],
            door_shut_after_ms: 10_000,
            reopen_within_ms: 60_000,
            rearm_ms: 600_000,
            keep_alive_ms: 60_000,
            unknown_after_ms: 600_000,
            unknown_keep_alives: 3,
            late_codes_ms: 600_000,
        }
    }
}

/// How many lifts raise a rule together before their alerts are grouped: the `[storm]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StormRule {
    /// From the first of them to the last, in judged time. A group ends when none has joined it for so long.
    pub within_ms: i64,
    pub building: u32,
    pub feeder: u32,
    pub district: u32,
}

impl StormRule {
    /// At most [`limits::STORM_LIFTS`].
    pub fn lifts(&self, scope: StormScope) -> usize {
        let lifts = match scope {
            StormScope::Building => self.building,
            StormScope::Feeder => self.feeder,
            StormScope::District => self.district,
        };
        lifts as usize
    }
}

impl Default for StormRule {
    fn default() -> Self {
        Self { within_ms: 60_000, building: 3, feeder: 5, district: 10 }
    }
}

/// How often a rule opens for one lift before its alerts are tagged as flapping: the `[flapping]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlappingRule {
    /// Reopenings count. At most [`limits::FLAPPING_OPENINGS`]: each of them is remembered.
    pub openings: u32,
    /// From the first of them to the last, in judged time.
    pub within_ms: i64,
}

impl Default for FlappingRule {
    fn default() -> Self {
        Self { openings: 4, within_ms: 1_800_000 }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub id: RuleId,
    pub family: Family,
    pub when: Expr,
    /// While it is known true the rule doesn't open. It resets no hold and clears nothing.
    pub suppress: Option<Expr>,
    /// How long `when` must hold; 0: opens at once.
    pub for_ms: i64,
    /// A hold is reset only when `when` was known false for this long.
    pub drop_ms: i64,
    /// A fill request of which it isn't known false is denied for this rule.
    pub deny: Option<Expr>,
    pub clear: Clear,
    /// How long the clear condition must hold.
    pub clear_for_ms: i64,
    /// A counting rule: opens when what `when` waits for has occurred so often, and doesn't evaluate `when`.
    pub count: Option<Count>,
    /// An absence rule: opens when a subject for which `when` is true has been silent for so many keep-alives.
    pub absent: Option<u32>,
    /// Doesn't open while one of these is open, and is superseded when one opens. Ascending.
    pub unless: Vec<RuleIx>,
    /// Of what is due on a day: with so many days left an open alert is told again. Descending.
    pub crossings: Vec<i64>,
    pub severity: Severity,
    /// The highest severity and certainty whose conditions are true count. In the order of the file.
    pub escalate: Vec<Escalation>,
    pub certainty: Certainty,
    /// What is named as a cause in the evidence of an alert whenever its condition is true. Judges nothing.
    pub causes: Vec<(Expr, Box<str>)>,
    /// `rescue`: opens or joins the lift's rescue incident.
    pub dispatch: Option<Box<str>>,
    pub title: Title,
    /// What to do, in one line.
    pub todo: Option<Title>,
    /// What `when` waits for: a frame that carries one of these can't clear the rule. Ascending.
    pub raising: Vec<CodeTerm>,
    pub tags: Vec<Box<str>>,
    /// Of all that judging depends on; titles, hints and tags are left out. Rules of different rule sets with equal
    /// fingerprints judge alike, so that state survives a reload, whatever else changed.
    pub fingerprint: u64,
}

impl Rule {
    /// All that may change what becomes of it, conditions of every clause together.
    pub fn reads(&self) -> Reads {
        let clear = match &self.clear {
            Clear::When(expr) => expr.reads(),
            Clear::WhenFalse | Clear::Manual | Clear::Maintained | Clear::Heard | Clear::Quiet => Reads::NONE,
        };
        let suppress = self.suppress.as_ref().map_or(Reads::NONE, Expr::reads);
        let unless = if self.unless.is_empty() { Reads::NONE } else { Reads::OPEN };
        let escalate = self.escalate.iter().fold(Reads::NONE, |all, step| all | step.when.reads());
        self.begins_by() | self.when.reads() | clear | suppress | unless | escalate
    }

    /// How long a silence has lasted when it may change something by that alone.
    pub fn silences_ms(&self) -> impl Iterator<Item = i64> {
        let clear = match &self.clear {
            Clear::When(expr) => Some(expr),
            Clear::WhenFalse | Clear::Manual | Clear::Maintained | Clear::Heard | Clear::Quiet => None,
        };
        let judges = [&self.when].into_iter().chain(&self.suppress).chain(clear);
        let all = judges.chain(self.escalate.iter().map(|step| &step.when));
        all.flat_map(|expr| expr.silences_ms().iter().copied())
    }

    /// What may make it begin where nothing is remembered of it.
    pub fn begins_by(&self) -> Reads {
        if self.count.is_some() { Reads::COUNTED } else { self.when.reads() }
    }

    /// How many of its crossings lie behind; `None`: it has none, or it isn't known on which day something is due.
    pub fn crossed<F: Facts>(&self, facts: &F) -> Option<u8> {
        let field = match self.family {
            _ if self.crossings.is_empty() => return None,
            Family::Obligation => Field::ObligationDaysOverdue,
            Family::Cylinder => Field::CylinderDaysOverdue,
            Family::Elevator | Family::Record => return None,
        };
        let Value::Int(days_overdue) = facts.field(field) else { return None };
        let crossed = self.crossings.iter().filter(|left| days_overdue >= -**left).count();
        u8::try_from(crossed).ok()
    }

    /// The first severity of a new alert is never below this.
    pub fn is_critical(&self) -> bool {
        self.severity == Severity::Critical
    }

    /// Or rises to it.
    pub fn may_be_critical(&self) -> bool {
        self.is_critical() || self.escalate.iter().any(|step| step.severity == Some(Severity::Critical))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Clear {
    /// When `when` is known false.
    WhenFalse,
    When(Expr),
    /// When a person says so.
    Manual,
    /// When a record tells of maintenance that was begun since and left no problem, or a person says so.
    Maintained,
    /// Absence rules: when a frame comes.
    Heard,
    /// Counting rules: when nothing that they count has occurred for `clear_for`.
    Quiet,
}

impl Clear {
    /// Whether nothing that the lift reports clears it, nor that it reports nothing.
    pub fn is_by_people(&self) -> bool {
        matches!(self, Self::Manual | Self::Maintained)
    }
}

/// What an alert rises to while a condition is true: to a severity, a certainty, or both, each above the rule's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    pub when: Expr,
    pub severity: Option<Severity>,
    pub certainty: Option<Certainty>,
}

/// How often what a rule waits for must occur. An occurrence is a code's or condition's appearance in the active set, or a
/// code among the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// At most [`limits::WINDOW_BUCKETS`]: each of them is remembered.
    pub times: u32,
    /// From the first of them to the last, in judged time.
    pub within_ms: i64,
    /// Each code and condition is counted for itself, and one of them must occur so often.
    pub each: bool,
}
