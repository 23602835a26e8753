//! `[[codes]]`: lists of a vendor's codes, and what they mean.

use toml::Spanned;
use toml::de::DeValue;

use super::super::super::elevator::{ALARMS, EVENTS, FAULTS};
use super::super::{Codes, Source, Standing, State, Target};
use super::{map, pointer, short, source};
use crate::core::rules::did_you_mean;
use crate::core::rules::section::{Faults, Section, article, table, text};
use crate::limits;

const KEYS: &[&str] =
    &["from", "message", "point", "split", "code", "state", "states", "into", "map", "ignore", "required"];
const CONDITIONS: [&str; 3] = ["trapped", "overtravel_top", "overtravel_bottom"];

pub(super) fn read(profile: &Section<'_>, has_points: bool, faults: &mut Faults) -> Vec<Codes> {
    let mut all: Vec<Codes> = Vec::new();
    let Some((_, value)) = profile.key("codes") else { return all };
    let DeValue::Array(list) = value.get_ref() else {
        faults.add::<()>(value.span().start, format!("write [[codes]]: a list, not {}", article(value.get_ref())));
        return all;
    };
    if list.len() > limits::PROFILE_CODES {
        faults.add::<()>(value.span().start, format!("more than {} lists of codes", limits::PROFILE_CODES));
        return all;
    }
    for value in list {
        let Some((start, values)) = table("codes", value, faults) else { continue };
        let section = Section::new(values, start, "`codes`", KEYS, faults);
        all.extend(codes(&section, has_points, faults));
    }
    share(&mut all);
    all
}

/// Codes of a list that feeds several fields: what one of them maps is no stranger to the others.
fn share(all: &mut [Codes]) {
    let maps: Vec<(Source, Vec<Box<str>>)> = all
        .iter()
        .map(|codes| {
            let mapped = codes.map.iter().flatten().map(|(code, _)| code.clone());
            (codes.source.clone(), mapped.chain(codes.ignore.iter().cloned()).collect())
        })
        .collect();
    for codes in all {
        let of_others = maps.iter().filter(|(source, _)| *source == codes.source).flat_map(|(_, known)| known);
        let is_own = |code: &str| codes.map.iter().flatten().any(|(own, _)| **own == *code);
        let mut ignore: Vec<Box<str>> = of_others.filter(|code| !is_own(code)).cloned().collect();
        ignore.sort();
        ignore.dedup();
        codes.ignore = ignore;
    }
}

fn codes(section: &Section<'_>, has_points: bool, faults: &mut Faults) -> Option<Codes> {
    let source = source(section, &["from", "message", "point"], has_points, faults);
    let split = section.key("split").and_then(|(_, value)| short("split", value, faults));
    let code = section.key("code").and_then(|(_, value)| pointer("code", value, faults));
    if let (Some((at, _)), true) = (section.key("split"), code.is_some()) {
        faults.add::<()>(at, "`split` is for codes in one text, `code` for elements that are objects: choose one");
    }
    let state = state(section, faults);
    let into = match section.text("into", faults) {
        None => FAULTS,
        Some(text) => match text.value {
            "faults" => FAULTS,
            "events" => EVENTS,
            "alarms" => ALARMS,
            "conditions" | "cleared" => {
                faults.add::<()>(text.span.start, "conditions are named in `map`, and `states` says what is cleared");
                FAULTS
            }
            other => {
                let hint = did_you_mean(other, ["faults", "events", "alarms"]);
                let why = format!("`into` is \"faults\", \"events\" or \"alarms\", not {other:?}{hint}");
                faults.add::<()>(text.span.start, why);
                FAULTS
            }
        },
    };
    let map = section.key("map").and_then(|(_, value)| map("map", value, faults, target));
    let ignore = ignored(section, faults);
    let required = section.flag("required", faults).unwrap_or(true);
    for (code, _) in map.iter().flatten() {
        if ignore.contains(code) {
            faults.add::<()>(section.start, format!("code {code:?} is both mapped and ignored: choose one"));
        }
    }
    Some(Codes { source: source?, split, code, state, into, map, ignore, required })
}

fn state(section: &Section<'_>, faults: &mut Faults) -> Option<State> {
    let (at, has_states) = match (section.key("state"), section.key("states")) {
        (None, None) => return None,
        (Some((at, _)), states) => (at, states.is_some()),
        (None, Some((at, _))) => (at, false),
    };
    if !has_states || !section.has("state") {
        return faults.add(at, "`state` is where it stands, `states` what its values mean: give both");
    }
    let (_, value) = section.key("state")?;
    let pointer = pointer("state", value, faults);
    let (_, value) = section.key("states")?;
    let states = map("states", value, faults, |value, faults| {
        let word = text("states", value, faults)?;
        match word.value {
            "active" => Some(Standing::Active),
            "cleared" => Some(Standing::Cleared),
            other => {
                let hint = did_you_mean(other, ["active", "cleared"]);
                faults.add(word.span.start, format!("a state is \"active\" or \"cleared\", not {other:?}{hint}"))
            }
        }
    });
    Some(State { pointer: pointer?, values: states? })
}

fn target(value: &Spanned<DeValue<'_>>, faults: &mut Faults) -> Option<Target> {
    let at = value.span().start;
    match value.get_ref() {
        DeValue::Integer(n) => match u32::from_str_radix(n.as_str(), n.radix()) {
            Ok(code) if code > 0 => Some(Target::Code(code)),
            _ => faults.add(at, "a code of ours is a whole number from 1 on; list what means nothing under `ignore`"),
        },
        DeValue::String(name) if (1..=limits::CONDITION_CHARS).contains(&name.chars().count()) => {
            let hint = did_you_mean(name, CONDITIONS);
            if CONDITIONS.contains(&&**name) || hint.is_empty() {
                return Some(Target::Condition(Box::from(&**name)));
            }
            faults.add(at, format!("no rule knows the condition {name:?}{hint}"))
        }
        other => {
            let why = "a vendor's code is mapped to a code of ours (3) or the name of a condition (\"trapped\")";
            faults.add(at, format!("{why}, not {}", article(other)))
        }
    }
}

fn ignored(section: &Section<'_>, faults: &mut Faults) -> Vec<Box<str>> {
    let Some((_, value)) = section.key("ignore") else { return Vec::new() };
    let DeValue::Array(list) = value.get_ref() else {
        faults.add::<()>(value.span().start, "`ignore` is a list of codes in brackets");
        return Vec::new();
    };
    if list.len() > limits::PROFILE_MAP {
        faults.add::<()>(value.span().start, format!("`ignore` has more than {} codes", limits::PROFILE_MAP));
        return Vec::new();
    }
    list.iter().filter_map(|value| short("ignore", value, faults)).collect()
}
