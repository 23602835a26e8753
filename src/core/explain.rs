//! Why a rule of a lift is where it is at some moment, and why it isn't elsewhere. Pure: reads the state, changes nothing.
//!
//! What is asked about the past is answered by a core that was replayed to it. Lifts don't depend on each other, so such
//! a core holds one of them only, and passes over what others reported.

pub mod stored;

use std::fmt;

use super::books::Now;
use super::decode::is_of;
use super::judge::Context;
use super::judge::run::Footing;
use super::rules::{self, Family, Tri};
use super::{Core, Effects};
use crate::limits;
use crate::model::alert::{Certainty, Severity, Title};
use crate::model::archive::{self, Entry};
use crate::model::frame::Frame;
use crate::model::ids::{AlertId, DeviceCode, RuleId};
use crate::model::record::{Action, Command, Kind, Record};
use crate::model::time::Wall;

/// One lift at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub device: DeviceCode,
    pub at: Wall,
    /// Counts the policies that were in force, from 1.
    pub policy: u32,
    pub registered: bool,
    pub footing: Footing,
    /// How long ago its last frame arrived; `None`: none ever did.
    pub heard_ago_ms: Option<i64>,
    pub keep_alive_ms: i64,
    /// Silent for so long that nothing it reported is known any more.
    pub is_silent: bool,
    /// Every rule of lifts and of what is due on them, by id.
    pub rules: Vec<Explained>,
    /// Open alerts that no rule of the files raised.
    pub built_in: Vec<BuiltInAlert>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltInAlert {
    pub alert: AlertId,
    pub severity: Severity,
    pub opened_at: Wall,
    pub title: Title,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    pub rule: RuleId,
    pub family: Family,
    pub title: Title,
    pub when: Clause,
    /// What keeps it from opening while it is true.
    pub suppress: Option<Clause>,
    /// Other rules that it gives way to, and whether they are open.
    pub unless: Vec<(RuleId, bool)>,
    /// The severity that it has, or would open with.
    pub severity: Severity,
    /// The certainty that it has, or would open with on sound footing.
    pub certainty: Certainty,
    /// How long its condition must hold.
    pub for_ms: i64,
    pub standing: Standing,
    /// Why it isn't open; empty when it is.
    pub why_not: Vec<WhyNot>,
    /// When time alone changes it next, if no frame comes.
    pub next: Option<Wall>,
}

/// A condition with what it read.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// As the rule file writes it.
    pub text: Box<str>,
    pub is: Tri,
    pub values: Vec<Reading>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub name: Box<str>,
    pub value: Box<str>,
    /// How long ago it was reported, where it was reported at all.
    pub age_ms: Option<i64>,
    /// Why the value is unknown, if it is.
    pub unknown: Option<Unknown>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    NeverReported,
    /// Its last report said so, could not be read, or was made void by what came later.
    Reported,
    Silent,
    NotInArchive,
}

impl Unknown {
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverReported => "never-reported",
            Self::Reported => "reported-unknown",
            Self::Silent => "device-silent",
            Self::NotInArchive => "not-in-archive",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    Idle,
    /// Its condition holds, but not for long enough, or something else is in the way.
    Holding {
        since: Wall,
        held_ms: i64,
    },
    Open(Box<OpenAlert>),
}

/// An open alert.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    pub alert: AlertId,
    pub opened_at: Wall,
    pub acknowledged_by: Option<Box<str>>,
    /// It was opened by what may be over, and sends nobody until it is confirmed.
    pub unproven: bool,
    pub clears: Clears,
}

/// What ends an open alert, and how far that has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Clears {
    ByHand,
    /// A record of maintenance, or a person.
    Maintained,
    /// With the next frame.
    Heard,
    /// Once nothing that the rule counts has occurred for so long.
    Quiet {
        done_ms: i64,
        for_ms: i64,
    },
    /// Once this has been true for so long. `done_ms` is kept while it is unknown.
    When {
        clause: Clause,
        done_ms: i64,
        for_ms: i64,
    },
}

/// One of the reasons for which a rule is not open. Several may hold at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    ConditionFalse,
    /// Counting rules: what they count has not occurred often enough.
    CountsOn {
        counted: u32,
        times: u32,
        within_ms: i64,
    },
    /// With the names of the values that are unknown.
    ConditionUnknown(Vec<(Box<str>, Unknown)>),
    HoldGoesOn {
        held_ms: i64,
        for_ms: i64,
    },
    /// Its condition is false, but not for long enough to drop the hold.
    Flickers {
        false_ms: i64,
        drop_ms: i64,
    },
    Suppressed {
        by: Box<str>,
    },
    GivesWay {
        to: RuleId,
    },
    /// Absence rules, and such as ask for `silent_s`: not silent for long enough, in time that was heard.
    NotSilent {
        silent_ms: i64,
        absent_ms: i64,
    },
    /// Its turn has come, but we can't hear whether it still is so.
    Blind,
    /// The device's frames are late; its timers wait for the rest of them.
    CatchingUp {
        wait_ms: Option<i64>,
    },
    /// A person cleared it: it opens again once its condition was known false, or when it is armed again.
    Disarmed {
        cleared_ago_ms: i64,
        armed_in_ms: i64,
    },
    NotJudged(NotJudged),
    /// By an override, for this lift or its district.
    SwitchedOff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotJudged {
    /// The device has never sent a frame.
    NeverHeard,
    /// The rules have changed, and this lift's turn has not come.
    NewPolicy,
    /// It came true by itself; the next frame or timer looks at it.
    NotLooked,
}

impl WhyNot {
    /// From a closed set, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConditionFalse => "condition-false",
            Self::CountsOn { .. } => "too-few",
            Self::ConditionUnknown(_) => "condition-unknown",
            Self::HoldGoesOn { .. } => "hold-goes-on",
            Self::Flickers { .. } => "condition-flickers",
            Self::Suppressed { .. } => "suppressed",
            Self::GivesWay { .. } => "gives-way",
            Self::NotSilent { .. } => "not-silent",
            Self::Blind => "ingest-blind",
            Self::CatchingUp { .. } => "catching-up",
            Self::Disarmed { .. } => "disarmed",
            Self::NotJudged(_) => "not-judged",
            Self::SwitchedOff => "switched-off",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConditionFalse => f.write_str("its condition is false"),
            Self::CountsOn { counted, times, within_ms } => {
                write!(f, "has occurred {counted} of {times} times within {}", Seconds(*within_ms))
            }
            Self::ConditionUnknown(values) if values.is_empty() => f.write_str("its condition is unknown"),
            Self::ConditionUnknown(values) => {
                f.write_str("its condition is unknown: ")?;
                for (n, (name, why)) in values.iter().enumerate() {
                    write!(f, "{}`{name}` {}", if n == 0 { "" } else { ", " }, why.words())?;
                }
                Ok(())
            }
            Self::HoldGoesOn { held_ms, for_ms } => {
                write!(f, "held {} of {}", Seconds(*held_ms), Seconds(*for_ms))
            }
            Self::Flickers { false_ms, drop_ms } => write!(
                f,
                "its condition has been false for {}; {} drop the hold",
                Seconds(*false_ms),
                Seconds(*drop_ms)
            ),
            Self::Suppressed { by } => write!(f, "suppressed by {by}"),
            Self::GivesWay { to } => write!(f, "gives way to {to}, which is open"),
            Self::NotSilent { silent_ms, absent_ms } => {
                write!(f, "silent for {} of {}", Seconds(*silent_ms), Seconds(*absent_ms))
            }
            Self::Blind => f.write_str("waiting because we were blind: nothing proves that the device could be heard"),
            Self::CatchingUp { wait_ms: None } => {
                f.write_str("waiting because the device's frames come late, until the backlog is in")
            }
            Self::CatchingUp { wait_ms: Some(ms) } => {
                write!(f, "waiting because the device's frames come late, for another {} if none comes", Seconds(*ms))
            }
            Self::Disarmed { cleared_ago_ms, armed_in_ms } => write!(
                f,
                "disarmed by a manual clear {} ago: opens again once its condition was known false, or in {}",
                Seconds(*cleared_ago_ms),
                Seconds(*armed_in_ms)
            ),
            Self::SwitchedOff => f.write_str("switched off for this lift or its district, by an override"),
            Self::NotJudged(NotJudged::NeverHeard) => f.write_str("not judged: the device has never sent a frame"),
            Self::NotJudged(NotJudged::NewPolicy) => {
                f.write_str("not judged yet under these rules: they have just changed")
            }
            Self::NotJudged(NotJudged::NotLooked) => {
                f.write_str("not judged yet: it has come true since the last frame")
            }
        }
    }
}

impl Unknown {
    fn words(self) -> &'static str {
        match self {
            Self::NeverReported => "was never reported",
            Self::Reported => "was last reported as unknown",
            Self::Silent => "is too old: the device is silent",
            Self::NotInArchive => "is not in the archive",
        }
    }
}

/// A span in ms as people time rules: `12.5 s`, `10 min 5 s`.
pub struct Seconds(pub i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.max(0) / 100;
        let (s, tenth) = (tenths / 10, tenths % 10);
        match (s / 60, s % 60) {
            (0..2, _) if tenth == 0 => write!(f, "{s} s"),
            (0..2, _) => write!(f, "{s}.{tenth} s"),
            (min, 0) => write!(f, "{min} min"),
            (min, s) => write!(f, "{min} min {s} s"),
        }
    }
}

impl Core {
    pub fn knows(&self, device: &DeviceCode) -> bool {
        self.lift_at(device).is_some()
    }

    /// A lift's archive entry.
    pub fn archived(&self, device: &DeviceCode) -> Option<archive::Lift> {
        self.lifts.get(self.lift_at(device)?).archived()
    }

    /// Why every rule of that lift is where it is. `at` is the last record's moment or later, but before the next one's.
    /// `None`: nothing is known of it.
    pub fn explain(&self, device: &DeviceCode, at: Now) -> Option<Explanation> {
        let lift = self.lifts.get(self.lift_at(device)?);
        let texts = rules::texts(&self.policy.text.rules);
        let mut books = self.books.clone();
        books.now = at;
        let mut nothing = Effects::default();
        let cx = Context { policy: &self.policy, books: &mut books, hearing: &self.hearing, out: &mut nothing };
        Some(lift.explain(&cx, self.day(), &texts))
    }

    /// Takes the next record as far as it bears on this lift: what other subjects reported is passed over, though not
    /// the time at which they did.
    ///
    /// **Invariant:** the lift comes to the same state as by `apply`. The one exception is of some milliseconds: where
    /// more subjects than one record has room for were due at once, the lift doesn't wait for its turn.
    pub fn apply_to(&mut self, record: &Record, device: &DeviceCode) -> Effects {
        match &record.kind {
            Kind::Report { topic, .. } if !self.may_be_of(topic, device) => self.pass(record),
            // A city's archive is no part of what one lift is judged by, and of one lift is what we hold.
            Kind::Command(command) => {
                self.apply(&Record { kind: Kind::Command(command_about(command, device)), ..record.clone() })
            }
            _ => self.apply(record),
        }
    }

    /// A message of a feed may be about any lift, or several.
    fn may_be_of(&self, topic: &str, device: &DeviceCode) -> bool {
        let prefix = &self.policy.text.topic_prefix;
        is_of(prefix, topic, device) || self.policy.profiles.find(prefix, topic).is_some()
    }

    /// Lets only the time of a record pass: what fell due by then fires.
    pub fn pass(&mut self, record: &Record) -> Effects {
        let mut out = self.begin(record);
        self.finish(&mut out);
        out
    }

    /// Takes frames that were decoded before, as if a report of them came now.
    pub fn take_again(&mut self, now: Now, device: DeviceCode, frames: Vec<Frame>) -> Effects {
        let record = Record { pos: self.next, elapsed: now.elapsed, wall: now.wall, kind: Kind::Tick };
        let mut out = self.begin(&record);
        let _room_for_one = self.take_good(&mut out, device, frames);
        self.finish(&mut out);
        out
    }
}

/// What a command does to that lift. Its request stays known, so that one refused as reused does nothing here either.
fn command_about(command: &Command, device: &DeviceCode) -> Command {
    let mut command = command.clone();
    match &mut command.action {
        Action::Upsert(entries) if entries.len() <= limits::COMMAND_ITEMS => {
            // Whether a report counts depends on who makes it.
            entries.retain(|entry| match entry {
                Entry::Lift(lift) => lift.code == *device,
                Entry::Site(_) => true,
                _ => false,
            });
        }
        Action::TransferCylinders { cylinders, .. } => cylinders.clear(),
        _ => {}
    }
    if let Action::UploadVisits(uploads) = &mut command.action
        && uploads.len() <= limits::VISITS
    {
        uploads.retain(|upload| upload.visit.device == *device);
    }
    if let Action::UploadReports(uploads) = &mut command.action
        && uploads.len() <= limits::COMMAND_ITEMS
    {
        uploads.retain(|upload| upload.report.device == *device);
    }
    command
}
