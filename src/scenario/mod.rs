//! Timelines: what lifts send, minute by minute, and which alerts are to come of it (`vigil rules test`).
//!
//! A timeline is a TOML file that people write by hand; `docs/rules-testing.md` has its form. It is played to the real
//! core with a simulated clock: nothing here decides anything about alerts.
//!
//! **Invariant:** an event that nobody expected is a failure, as one that didn't come is.

mod compose;
pub mod drive;
mod expect;
mod play;
mod read;
mod span;
mod spec;
mod tell;

use std::collections::BTreeSet;

use crate::core::judge::built_in::{ARRIVAL_LATE, TIER_UNANSWERED};
use crate::core::rules::RuleFault;
use crate::model::ids::{RuleId, Subject};
use crate::model::time::Wall;

pub use self::compose::Files;
pub use self::span::show_ms;
pub use self::spec::{Action, Claimed, Command, Expected, FrameSpec, Step, Want};
pub use self::tell::Told;

/// A timeline that has been read and found well formed.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// As messages name it.
    pub file: Box<str>,
    /// What it shows, in one sentence.
    pub shows: Box<str>,
    /// The folder of the rules it is played under, relative to the file; otherwise what the caller gives.
    pub rules: Option<Box<str>>,
    /// Rules of its own: they are added, or replace those of the same id.
    pub extra_rules: Option<compose::Extra>,
    pub zone: Box<str>,
    /// The civil time at which it begins.
    pub begins: Wall,
    /// When it ends, from its beginning.
    pub until_ms: i64,
    /// Rules whose events need not be expected, with their places.
    pub ignore: Vec<(RuleId, usize)>,
    /// What the archive holds at the beginning.
    pub archive: Vec<crate::model::archive::Entry>,
    pub lifts: Vec<NamedLift>,
    /// In the order of their times; those of the same time as the file has them.
    pub steps: Vec<Step>,
    pub expected: Vec<Expected>,
    /// The whole file, for places in messages.
    text: Box<str>,
}

impl Scenario {
    /// Whether events of a rule need not be expected. Who shows what a rule opens need not show the rescue that follows: that nobody
    /// comes is nobody's surprise in a timeline where nobody calls, is sent, or is expected to be missed.
    fn ignores(&self, rule: &RuleId) -> bool {
        let of_rescues = |rule: &RuleId| [&TIER_UNANSWERED, &ARRIVAL_LATE].iter().any(|it| it.id == rule.as_str());
        let has_rescues = || {
            let is_step = |step: &Step| matches!(step.action, Action::Call { .. } | Action::Rescue(_));
            self.steps.iter().any(is_step) || self.expected.iter().any(|it| of_rescues(&it.rule.0))
        };
        self.ignore.iter().any(|(ignored, _)| ignored == rule) || (of_rescues(rule) && !has_rescues())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLift {
    pub name: Box<str>,
    pub code: crate::model::ids::DeviceCode,
}

/// How a timeline is played.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The core is turned into bytes and back after each step: nothing may come out otherwise.
    pub restarts: bool,
}

/// What became of a timeline.
#[derive(Debug, Clone)]
pub struct Run {
    pub failures: Vec<Failure>,
    /// All that happened, in order.
    pub timeline: Vec<Told>,
}

/// An expectation that was not met, or something that nobody expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub line: u32,
    pub column: u32,
    pub message: String,
    /// Near which moment to look.
    pub at_ms: i64,
}

/// Lines of the timeline shown around a failure, before and after it.
const AROUND: usize = 6;

impl Run {
    /// Every failure with its place, and then what happened around them.
    pub fn explained(&self, file: &str) -> String {
        let mut text = String::new();
        let mut shown = BTreeSet::new();
        for Failure { line, column, message, at_ms } in &self.failures {
            text += &format!("{file}:{line}:{column}: {message}\n");
            let near = self.timeline.partition_point(|told| told.at_ms < *at_ms);
            shown.extend(near.saturating_sub(AROUND)..(near + AROUND).min(self.timeline.len()));
        }
        let mut next = 0;
        for at in shown {
            if at > next {
                text += "         …\n";
            }
            text += &format!("  {}\n", self.timeline[at]);
            next = at + 1;
        }
        text
    }
}

impl Scenario {
    /// Reads a timeline. Every fault comes back at once.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<RuleFault>> {
        read::scenario(file, text)
    }

    /// Plays it under the rules of a folder. The error says what is wrong with the rules, or with the rules that the
    /// timeline names.
    pub fn run(&self, folder: &Files, options: Options) -> Result<Run, Vec<RuleFault>> {
        let policies = compose::policies(self, folder)?;
        Ok(play::play(self, &policies, options))
    }

    /// What messages call a subject: a lift's name, a cylinder's code.
    fn name_of(&self, subject: Subject) -> String {
        let named = self.lifts.iter().find(|lift| Subject::Device(lift.code) == subject);
        named.map_or_else(|| subject.to_string(), |lift| lift.name.to_string())
    }

    fn fault(&self, at: usize, message: impl Into<Box<str>>) -> RuleFault {
        let (line, column) = crate::core::rules::line_and_column(&self.text, at);
        RuleFault { file: self.file.clone(), line, column, message: message.into() }
    }
}
