//! A timeline as a file that `vigil rules test` plays, with what the model foretells as expectations.

use serde_json::{Map, Value};
use vigil::model::alert::Reason;

use crate::model::rules::OWN;
use crate::timeline::{Frame, LiftSpec, Step, Timeline, What};
use crate::told::{Told, lift_name};

pub(crate) fn file(timeline: &Timeline, foretold: &[Told]) -> String {
    let mut text = String::from("shows = \"As the reference model foretells it.\"\n");
    text += &format!("extra_rules = '''{OWN}'''\n");
    text += &format!("until = \"{}\"\n", span(timeline.until_ms));
    text +=
        "ignore = [\"ingest-blind\", \"clock-wrong\", \"order-broken\", \"rule-blind\", \"unreadable\"]\n\nstep = [\n";
    // Where our clock is set, every frame says what its own shows.
    let is_set = timeline.steps.iter().any(|step| matches!(step.what, What::Wall { .. }));
    for Step { at_ms, what } in &timeline.steps {
        text += &format!("  {{ at = \"{}\", {} }},\n", span(*at_ms), step(what, *at_ms, is_set, foretold));
    }
    text += "\n";
    let mut foretold = foretold.to_vec();
    foretold.sort_by_key(|told| told.told_ms);
    for told in &foretold {
        text += &format!("  {{ {} }},\n", expectation(told));
    }
    text += "]\n";
    for lift in &timeline.lifts {
        let LiftSpec { keep_alive_s, is_escalator, is_registered } = lift;
        let equipment = if *is_escalator { "escalator" } else { "lift" };
        let registered = format!("keep_alive_s = {keep_alive_s}\nequipment = \"{equipment}\"");
        text += &format!("\n[[lift]]\n{}\n", if *is_registered { &registered } else { "registered = false" });
    }
    text
}

/// What a person does, and whether it is refused, since nothing such is open or somebody has done it before.
fn by_hand(at_ms: i64, lift: usize, key: &str, rule: &str, foretold: &[Told]) -> String {
    let does =
        |told: &&Told| told.reason == Reason::Operator && (told.lift, told.rule, told.told_ms) == (lift, rule, at_ms);
    let refused = if foretold.iter().any(|told| does(&told)) { "" } else { ", refused = true" };
    format!("lift = \"{}\", {key} = \"{rule}\"{refused}", lift_name(lift))
}

fn step(what: &What, at_ms: i64, is_set: bool, foretold: &[Told]) -> String {
    let own_ms = Some(at_ms).filter(|_| !is_set);
    match what {
        What::Report { lift, frames } => {
            let invalid: Vec<&str> = frames.iter().flat_map(Frame::unreadable).collect();
            let invalid = if invalid.is_empty() { String::new() } else { format!(", invalid = {invalid:?}") };
            let frames: Vec<String> = frames.iter().map(|one| frame(one, own_ms)).collect();
            format!("lift = \"{}\", frames = [{}]{invalid}", lift_name(*lift), frames.join(", "))
        }
        What::LinkDown => "link = \"down\"".into(),
        What::LinkUp => "link = \"up\"".into(),
        What::Drained => "link = \"drained\"".into(),
        What::Restart { down_ms } => format!("restart = \"{}\"", span(*down_ms)),
        What::Wall { by_ms } => format!("wall = \"{}\"", span(*by_ms)),
        What::Clear { lift, rule } => by_hand(at_ms, *lift, "clear_by_hand", rule, foretold),
        What::Acknowledge { lift, rule } => by_hand(at_ms, *lift, "acknowledge", rule, foretold),
    }
}

/// `own_ms`: what a frame claims that doesn't say otherwise.
fn frame(frame: &Frame, own_ms: Option<i64>) -> String {
    let mut fields: Map<String, Value> = frame.fields();
    fields.insert("boot".into(), frame.boot.into());
    fields.insert("seq".into(), frame.seq.into());
    let claimed = match frame.claimed_ms {
        None => Some("none".to_owned()),
        Some(claimed_ms) => (Some(claimed_ms) != own_ms).then(|| span(claimed_ms)),
    };
    fields.extend(claimed.map(|claimed| ("claimed".to_owned(), Value::from(claimed))));
    // JSON's strings, numbers, flags and lists are TOML's.
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!("{{ {} }}", fields.join(", "))
}

fn expectation(told: &Told) -> String {
    let dispatch = if told.dispatch { "rescue" } else { "none" };
    let mut text = format!(
        "at = \"{}\", lift = \"{}\", {} = \"{}\", severity = \"{}\", certainty = \"{}\", reason = \"{}\"",
        span(told.told_ms),
        lift_name(told.lift),
        told.kind.name(),
        told.rule,
        told.severity.name(),
        told.certainty.name(),
        told.reason.name(),
    );
    text += &format!(", dispatch = \"{dispatch}\", opening = {}, unregistered = {}", told.opening, told.unregistered);
    if told.reason != Reason::Confirmed {
        text += &format!(", came_true = \"{}\", delayed = {}", span(told.true_ms), told.delayed);
    }
    text
}

fn span(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.abs();
    if ms % 1_000 == 0 { format!("{sign}{}s", ms / 1_000) } else { format!("{sign}{}.{:03}s", ms / 1_000, ms % 1_000) }
}
