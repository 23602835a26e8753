//! What happened, as lines for people.

use serde_json::Value;

use super::expect::Heard;
use super::span::show_ms;
use super::{Action, Claimed, FrameSpec, Scenario};
use crate::model::ids::Subject;
use crate::model::incident;
use crate::scenario::spec::{Answer, LinkStep};

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub at_ms: i64,
    /// An alert event; otherwise a step.
    pub is_event: bool,
    pub text: String,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.is_event { "=>" } else { "  " };
        write!(f, "{:>10} {mark} {}", show_ms(self.at_ms), self.text)
    }
}

pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Allow => "that it may fill".into(),
        Answer::Deny(reasons) => format!("not to fill ({})", reasons.join(", ")),
        Answer::None => "nothing".into(),
    }
}

pub(super) fn step(scenario: &Scenario, action: &Action) -> String {
    match action {
        Action::Report { lift, frames, .. } => {
            let frames: Vec<String> = frames.iter().map(frame).collect();
            format!("{} reports {}", scenario.name_of(Subject::Device(*lift)), frames.join(" and "))
        }
        Action::Repeat { lift, of_ms } => {
            format!("{} sends again what it sent at {}", scenario.name_of(Subject::Device(*lift)), show_ms(*of_ms))
        }
        Action::Scan { site, fields, .. } => format!("{site} scans {}", json(fields)),
        Action::Status { lift, online } => {
            let word = if *online { "online" } else { "offline" };
            format!("{} says that it is {word}", scenario.name_of(Subject::Device(*lift)))
        }
        Action::Link(LinkStep::Up) => "the link is up; what the broker kept comes in".into(),
        Action::Link(LinkStep::Down) => "the link is down".into(),
        Action::Link(LinkStep::Drained) => "the first marker is back: all that was kept is in".into(),
        Action::Markers(true) => "markers come back again".into(),
        Action::Markers(false) => "markers no longer come back".into(),
        Action::Restart { down_ms } => format!("the service ends, for {}", show_ms(*down_ms)),
        Action::Terminal { lift, replaced } => {
            let what = if *replaced { "has another terminal" } else { "has its terminal restarted" };
            format!("{} {what}", scenario.name_of(Subject::Device(*lift)))
        }
        Action::Clock { lift, off_ms } => {
            format!("{}'s clock is off by {}", scenario.name_of(Subject::Device(*lift)), show_ms(*off_ms))
        }
        Action::Wall { by_ms } => format!("our own clock is set by {}", show_ms(*by_ms)),
        Action::Command(command) => {
            let what = if command.clears { "clears" } else { "acknowledges" };
            format!("a dispatcher {what} {} of {}", command.rule.0, scenario.name_of(command.subject))
        }
        Action::Archive(entry) => format!("the archive has a new entry for {}", entry.code()),
        Action::Inspected { report, .. } => {
            let (kind, passed) = (report.kind.name(), if report.passed { "passed" } else { "failed" });
            let lift = scenario.name_of(Subject::Device(report.device));
            format!("{} reports {kind} of {lift} on {}: {passed}", report.party, report.done_on)
        }

        Action::Visit(it) => {
            let (lift, kind) = (scenario.name_of(Subject::Device(it.lift)), it.kind.name());
            format!("record {} of a {kind} visit at {lift} is uploaded, {}", it.record, it.problem.name())
        }
        Action::Sign { lift, record } => {
            format!("record {record} of {} is signed", scenario.name_of(Subject::Device(*lift)))
        }
        Action::Call { lift, note } => {
            format!("somebody calls about {}: {note}", scenario.name_of(Subject::Device(*lift)))
        }
        Action::Rescue(it) => {
            let whom = match &it.step {
                incident::Step::Command(whom) | incident::Step::HandOver(whom) => format!(" {}", whom.tier.name()),
                _ => String::new(),
            };
            format!("a dispatcher notes of {}: {}{whom}", scenario.name_of(Subject::Device(it.lift)), it.step.name())
        }
        Action::Reload(_) => "the rules are reloaded".into(),
        Action::Look { subject, .. } => format!("what is open of {} is looked at", scenario.name_of(*subject)),
    }
}

fn frame(frame: &FrameSpec) -> String {
    let claimed = match frame.claimed {
        Claimed::Late(0) => String::new(),
        Claimed::Late(late_ms) => format!(", {} late", show_ms(late_ms)),
        Claimed::At(at_ms) => format!(", seen at {}", show_ms(at_ms)),
        Claimed::None => ", without a time".into(),
    };
    json(&frame.fields) + &claimed
}

fn json(fields: &serde_json::Map<String, Value>) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.join(" ")
}

/// `opened trapped-out-of-zone of A: critical, likely, because condition-held, …`.
pub(super) fn event(scenario: &Scenario, heard: &Heard) -> String {
    let Heard { at_ms, came_true_ms, about, event } = heard;
    let alert = &event.alert;
    let mut text = format!(
        "{} {} of {}: {}, {}, because {}",
        event.kind.name(),
        alert.id.rule,
        scenario.name_of(*about),
        alert.severity.name(),
        alert.certainty.name(),
        event.reason.name(),
    );
    let mut add = |is: bool, word: String| {
        if is {
            text += &format!(", {word}");
        }
    };
    add(came_true_ms != at_ms, format!("came true at {}", show_ms(*came_true_ms)));
    add(event.delayed, "delayed".into());
    add(alert.id.opening > 1, format!("opening {}", alert.id.opening));
    add(alert.unregistered, "unregistered".into());
    add(alert.dispatch.is_some(), format!("dispatch {}", alert.dispatch.as_deref().unwrap_or_default()));
    add(event.actor.is_some(), format!("by {}", event.actor.as_deref().unwrap_or_default()));
    let group = alert.group.map(|it| format!("one of {} lifts of {} {}", it.lifts, it.scope.name(), it.place));
    add(group.is_some(), group.unwrap_or_default());
    add(alert.flapping, "flapping".into());
    let values: Vec<String> = alert.evidence.iter().map(|it| format!("{}={}", it.name, it.value)).collect();
    add(!values.is_empty(), format!("evidence {}", values.join(" ")));
    text
}
