//! `vigil explain`: why the rules of a lift are where they are.

use std::process::ExitCode;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::show::{Language, clean};
use super::time::{FORMS, Moment, Zone, civil, in_zone, rfc3339, span, to_proto};
use super::{Server, Terminal, count, history, refused};
use crate::model::alert::{Certainty, Severity};
use crate::proto::v1::explained_rule::Phase;
use crate::proto::v1::history_service_client::HistoryServiceClient;
use crate::proto::v1::{
    ExplainBasis, ExplainRequest, ExplainResponse, ExplainedAlert, ExplainedCondition, ExplainedRule, Footing, Truth,
};

/// Show why each rule of a lift did or didn't raise an alert
///
/// Every rule is true, false or unknown at that moment: the values that it read and their age, how long it has held,
/// and what stood in the way.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Device code of the lift
    device: String,
    #[command(flatten)]
    server: Server,
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, help = format!("At this time, instead of now: {FORMS}"))]
    at: Option<Moment>,
    /// Only this rule
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// One JSON object instead
    #[arg(long)]
    json: bool,
    /// Language of titles
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    #[command(flatten)]
    zone: Zone,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let zone = args.zone.zone;
    let at = args.at.map(|at| at.resolve(history::now(), &zone)).transpose().map_err(anyhow::Error::msg)?;
    let request = ExplainRequest { device: args.device, at: at.map(to_proto), rule: args.rule.unwrap_or_default() };
    let mut client = HistoryServiceClient::new(args.server.connect().await?);
    let told = |status: tonic::Status| refused(&tonic::Status::new(status.code(), in_zone(status.message(), &zone)));
    let answer = client.explain(request).await.map_err(told)?.into_inner();
    if args.json {
        terminal.line(&answer_json(&answer).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let page = Page { zone, language: args.lang, colour: terminal.colour };
    for line in page.answer(&answer) {
        terminal.line(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How it looks to a person.
struct Page {
    zone: TimeZone,
    language: Language,
    colour: bool,
}

impl Page {
    fn answer(&self, answer: &ExplainResponse) -> Vec<String> {
        let mut lines = self.head(answer);
        for alert in &answer.other_alerts {
            lines.push(String::new());
            lines.push(self.paint(Phase::Open, &format!("{}: OPEN", clean(&alert.rule))));
            lines.push(format!("  {}", self.title(alert.title.as_ref())));
            lines.push(format!("  alert     {}", self.alert(alert)));
        }
        let mut rules: Vec<&ExplainedRule> = answer.rules.iter().collect();
        // What matters most comes first.
        rules.sort_by_key(|rule| (std::cmp::Reverse(rule.phase), std::cmp::Reverse(truth(rule.when.as_ref()))));
        for rule in rules {
            lines.push(String::new());
            self.rule(rule, &mut lines);
        }
        lines
    }

    fn head(&self, answer: &ExplainResponse) -> Vec<String> {
        let time = |at: Option<&_>| civil(at, &self.zone);
        let (from, to) = (time(answer.basis_from.as_ref()), time(answer.basis_to.as_ref()));
        let basis = match answer.basis() {
            ExplainBasis::StoredFrames => format!(
                "from stored frames, by the rules of now (version {}): {} of {from} to {to}",
                answer.policy_version,
                count(answer.basis_count, "frame")
            ),
            ExplainBasis::Inbox | ExplainBasis::Unspecified => format!(
                "from the inbox, by the rules of then (version {}): {} of {from} to {to}{}",
                answer.policy_version,
                count(answer.basis_count, "record"),
                answer.position.map(|position| format!(", position {position}")).unwrap_or_default()
            ),
        };
        let heard = match answer.heard_ago_ms {
            None => "it has never sent a frame".to_owned(),
            Some(ago_ms) => format!("last frame {} before", span(ago_ms)),
        };
        let footing = match answer.footing() {
            Footing::CatchingUp => " | its frames came late",
            Footing::Blind => " | we were blind: it may not have been heard",
            Footing::Sound | Footing::Unspecified => "",
        };
        let mut lines = vec![
            format!("lift {} at {}", clean(&answer.device), time(answer.at.as_ref())),
            basis,
            format!(
                "{heard} | keep-alive {}{}{footing}{}",
                span(answer.keep_alive_ms),
                if answer.silent { " | silent for so long that nothing is known any more" } else { "" },
                if answer.registered { "" } else { " | not in the archive" },
            ),
        ];
        lines.extend(answer.caveats.iter().map(|caveat| format!("note: {}", in_zone(&clean(caveat), &self.zone))));
        lines
    }

    fn rule(&self, rule: &ExplainedRule, lines: &mut Vec<String>) {
        let word = truth_word(truth(rule.when.as_ref()));
        let state = match rule.phase() {
            Phase::Open => format!("OPEN, condition {word}"),
            Phase::Holding => {
                format!("HOLDING, condition {word}, held {} of {}", seconds(rule.held_ms), seconds(rule.for_ms))
            }
            Phase::Idle | Phase::Unspecified => format!("condition {word}"),
        };
        lines.push(self.paint(rule.phase(), &format!("{}: {state}", clean(&rule.rule))));
        lines.push(format!(
            "  {} ({}, {})",
            self.title(rule.title.as_ref()),
            Severity::from_number(rule.severity).map_or("unknown", Severity::name),
            Certainty::from_number(rule.certainty).map_or("unknown", Certainty::name),
        ));
        self.condition("when", rule.when.as_ref(), lines);
        self.condition("suppress", rule.suppress.as_ref(), lines);
        let unless: Vec<String> = rule
            .unless
            .iter()
            .map(|other| format!("{} {}", clean(&other.rule), if other.open { "(open)" } else { "(not open)" }))
            .collect();
        if !unless.is_empty() {
            lines.push(format!("  unless    {}", unless.join(", ")));
        }
        for why in &rule.why_not {
            lines.push(format!("  why not   {}", in_zone(&clean(&why.text), &self.zone)));
        }
        if let Some(alert) = &rule.alert {
            lines.push(format!("  alert     {}", self.alert(alert)));
            self.condition("clears if", alert.clear.as_ref(), lines);
        }
        if rule.next_at.is_some() {
            lines.push(format!("  next      {}", civil(rule.next_at.as_ref(), &self.zone)));
        }
    }

    fn condition(&self, what: &str, condition: Option<&ExplainedCondition>, lines: &mut Vec<String>) {
        let Some(condition) = condition else { return };
        lines.push(format!("  {what:<9} {:<7} {}", truth_word(condition.truth()), clean(&condition.text)));
        let values: Vec<String> = condition.values.iter().map(value).collect();
        if !values.is_empty() {
            lines.push(format!("            {}", values.join(", ")));
        }
    }

    fn alert(&self, alert: &ExplainedAlert) -> String {
        let mut text = format!("since {}", civil(alert.opened_at.as_ref(), &self.zone));
        if !alert.id.is_empty() {
            text = format!("{} {text}", clean(&alert.id));
        }
        if !alert.acknowledged_by.is_empty() {
            text += &format!(" | acknowledged by {}", clean(&alert.acknowledged_by));
        }
        if alert.unproven {
            text += " | not confirmed: its frames came late";
        }
        text + &match &*alert.clears_by {
            "person" => " | only a person clears it".to_owned(),
            "maintenance" => " | a record of maintenance or a person clears it".to_owned(),
            "frame" => " | any frame clears it".to_owned(),
            "quiet" => format!(" | quiet for {} of {}", seconds(alert.clear_held_ms), seconds(alert.clear_for_ms)),
            "condition" if alert.clear_for_ms > 0 => {
                format!(" | clearing for {} of {}", seconds(alert.clear_held_ms), seconds(alert.clear_for_ms))
            }
            _ => String::new(),
        }
    }

    fn title(&self, title: Option<&crate::proto::v1::AlertTitle>) -> String {
        let Some(title) = title else { return String::new() };
        clean(if self.language == Language::Zh { &title.zh } else { &title.en })
    }

    fn paint(&self, phase: Phase, text: &str) -> String {
        let code = match phase {
            Phase::Open => "1;31",
            Phase::Holding => "33",
            Phase::Idle | Phase::Unspecified => "1",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn truth(condition: Option<&ExplainedCondition>) -> Truth {
    condition.map_or(Truth::Unspecified, ExplainedCondition::truth)
}

fn truth_word(truth: Truth) -> &'static str {
    match truth {
        Truth::False => "false",
        Truth::True => "true",
        Truth::Unknown | Truth::Unspecified => "unknown",
    }
}

/// `passenger=true (3s ago)`, `door=unknown (never reported)`.
fn value(value: &crate::proto::v1::ReadValue) -> String {
    let because = match &*value.unknown_because {
        "" => None,
        "never-reported" => Some("never reported".to_owned()),
        "reported-unknown" => Some("reported as unknown".to_owned()),
        "device-silent" => Some("device silent".to_owned()),
        "not-in-archive" => Some("not in the archive".to_owned()),
        other => Some(clean(other)),
    };
    let remarks: Vec<String> = because.into_iter().chain(value.age_ms.map(|ms| format!("{} ago", span(ms)))).collect();
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    format!("{}={}{remarks}", clean(&value.name), clean(&value.value))
}

fn seconds(ms: i64) -> String {
    crate::core::explain::Seconds(ms).to_string()
}

fn answer_json(answer: &ExplainResponse) -> Value {
    json!({
        "device": answer.device,
        "at": rfc3339(answer.at.as_ref()),
        "basis": match answer.basis() {
            ExplainBasis::Inbox => "inbox",
            ExplainBasis::StoredFrames => "stored_frames",
            ExplainBasis::Unspecified => "unknown",
        },
        "basis_from": rfc3339(answer.basis_from.as_ref()),
        "basis_to": rfc3339(answer.basis_to.as_ref()),
        "basis_count": answer.basis_count,
        "position": answer.position,
        "policy_version": answer.policy_version,
        "registered": answer.registered,
        "footing": match answer.footing() {
            Footing::Sound => "sound",
            Footing::CatchingUp => "catching_up",
            Footing::Blind => "blind",
            Footing::Unspecified => "unknown",
        },
        "heard_ago_ms": answer.heard_ago_ms,
        "keep_alive_ms": answer.keep_alive_ms,
        "silent": answer.silent,
        "rules": answer.rules.iter().map(rule_json).collect::<Vec<_>>(),
        "other_alerts": answer.other_alerts.iter().map(alert_json).collect::<Vec<_>>(),
        "caveats": answer.caveats,
    })
}

fn rule_json(rule: &ExplainedRule) -> Value {
    json!({
        "rule": rule.rule,
        "title": rule.title.as_ref().map(|t| json!({ "en": t.en, "zh": t.zh })),
        "on": rule.on,
        "when": rule.when.as_ref().map(condition_json),
        "suppress": rule.suppress.as_ref().map(condition_json),
        "unless": rule.unless.iter().map(|o| json!({ "rule": o.rule, "open": o.open })).collect::<Vec<_>>(),
        "severity": Severity::from_number(rule.severity).map(Severity::name),
        "certainty": Certainty::from_number(rule.certainty).map(Certainty::name),
        "phase": match rule.phase() {
            Phase::Idle => "idle",
            Phase::Holding => "holding",
            Phase::Open => "open",
            Phase::Unspecified => "unknown",
        },
        "held_since": rfc3339(rule.held_since.as_ref()),
        "held_ms": rule.held_ms,
        "for_ms": rule.for_ms,
        "why_not": rule.why_not.iter().map(|w| json!({ "reason": w.reason, "text": w.text })).collect::<Vec<_>>(),
        "alert": rule.alert.as_ref().map(alert_json),
        "next_at": rfc3339(rule.next_at.as_ref()),
    })
}

fn condition_json(condition: &ExplainedCondition) -> Value {
    let value = |v: &crate::proto::v1::ReadValue| json!({ "name": v.name, "value": v.value, "age_ms": v.age_ms, "unknown_because": v.unknown_because });
    json!({
        "text": condition.text,
        "truth": truth_word(condition.truth()),
        "values": condition.values.iter().map(value).collect::<Vec<_>>(),
    })
}

fn alert_json(alert: &ExplainedAlert) -> Value {
    json!({
        "id": alert.id,
        "rule": alert.rule,
        "severity": Severity::from_number(alert.severity).map(Severity::name),
        "opened_at": rfc3339(alert.opened_at.as_ref()),
        "acknowledged_by": alert.acknowledged_by,
        "unproven": alert.unproven,
        "clears_by": alert.clears_by,
        "clear": alert.clear.as_ref().map(condition_json),
        "clear_held_ms": alert.clear_held_ms,
        "clear_for_ms": alert.clear_for_ms,
    })
}
