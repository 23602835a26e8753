//! The `[[override]]` tables: other spans, counts or a severity for one lift or one district.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::Directory;
use super::rule::{CRITICAL_DROP_MS, absent, not_one_of};
use super::section::{Faults, Section, Text, table};
use crate::core::rules::overrides::Whom;
use crate::core::rules::{Clear, Family, Rule, RuleIx};
use crate::limits;
use crate::model::alert::Severity;
use crate::model::ids::{DeviceCode, District, RuleId};

const KEYS: &[&str] =
    &["rule", "device", "district", "disabled", "for", "drop", "clear_for", "count", "within", "absent", "severity"];
/// What it may say otherwise than the rule.
const CHANGES: &[&str] = &["for", "drop", "clear_for", "count", "within", "absent", "severity"];

pub(super) type Override = (RuleIx, Whom, Option<Box<Rule>>);

/// `known` is what was overridden so far; a rule that has faults itself is missing among `rules`.
pub(super) fn read<'a>(
    value: &'a Spanned<DeValue<'a>>,
    file: &str,
    rules: &BTreeMap<RuleIx, &Rule>,
    directory: &Directory,
    known: &mut BTreeMap<(RuleIx, Whom), ()>,
    faults: &mut Faults,
) -> Option<Override> {
    let faults_before = faults.0.len();
    let (start, values) = table("override", value, faults)?;
    let section = Section::new(values, start, "an override", KEYS, faults);
    let whom = whom(&section, file, faults);
    let ix = rule(&section, file, directory, faults);
    let is_off = section.flag("disabled", faults).unwrap_or(false);
    let changes: Vec<&str> = CHANGES.iter().copied().filter(|key| section.has(key)).collect();
    if is_off && let Some(first) = changes.first() {
        faults.add::<()>(start, format!("`{first}` means nothing where `disabled = true` switches the rule off"));
    }
    if !is_off && changes.is_empty() {
        faults.add::<()>(start, format!("an override changes something: {}, or `disabled = true`", CHANGES.join(", ")));
    }
    let (ix, whom) = (ix?, whom?);
    if known.insert((ix, whom), ()).is_some() {
        faults.add::<()>(start, "the same rule is overridden for the same lifts already");
    }
    let instead = rules.get(&ix).and_then(|base| changed(base, &section, file, faults));
    if faults.0.len() > faults_before {
        return None;
    }
    Some((ix, whom, if is_off { None } else { Some(Box::new(instead?)) }))
}

fn whom(section: &Section<'_>, file: &str, faults: &mut Faults) -> Option<Whom> {
    let of = |text: Option<Text<'_>>, parse: &dyn Fn(&str) -> Result<Whom, String>, faults: &mut Faults| {
        let text = text?;
        match parse(text.value) {
            Ok(whom) => Some(whom),
            Err(message) => faults.add(text.start(file), message),
        }
    };
    match (section.has("device"), section.has("district")) {
        (true, false) => {
            let device = |text: &str| DeviceCode::parse(text).map(Whom::Device).map_err(|error| error.to_string());
            of(section.text("device", faults), &device, faults)
        }
        (false, true) => {
            let district = |text: &str| District::parse(text).map(Whom::District).map_err(|error| error.to_string());
            of(section.text("district", faults), &district, faults)
        }
        _ => faults.add(section.start, "an override is for one `device` or one `district`"),
    }
}

fn rule(section: &Section<'_>, file: &str, directory: &Directory, faults: &mut Faults) -> Option<RuleIx> {
    let text = section.need_text("rule", faults)?;
    let known = RuleId::parse(text.value).ok().and_then(|id| directory.get(&id).copied());
    match known {
        None => {
            let hint = faults.hint(text.value, directory);
            faults.add(text.start(file), format!("unknown rule `{}`{hint}", text.value))
        }
        Some((_, Some(Family::Cylinder))) => {
            faults.add(text.start(file), format!("`{}` is a rule on cylinders; only lifts have overrides", text.value))
        }
        Some((ix, _)) => Some(ix),
    }
}

/// The rule as it stands for these lifts.
fn changed(base: &Rule, section: &Section<'_>, file: &str, faults: &mut Faults) -> Option<Rule> {
    let mut rule = base.clone();
    let mut forbid = |keys: &[&str], why: &str| {
        for key in keys {
            if let Some((at, _)) = section.key(key) {
                faults.add::<()>(at, format!("`{key}` means nothing for `{}`: {why}", base.id));
            }
        }
    };
    match base {
        Rule { family: Family::Obligation | Family::Record | Family::Cylinder, .. } => {
            forbid(&["for", "drop", "clear_for", "count", "within", "absent"], "it is judged by the day");
        }
        Rule { absent: Some(_), .. } => {
            forbid(&["for", "drop", "clear_for", "count", "within"], "it waits for silence");
        }
        Rule { count: Some(_), .. } => forbid(&["for", "drop", "absent"], "it counts occurrences"),
        _ => forbid(&["count", "within", "absent"], "it holds a condition"),
    }
    if base.clear.is_by_people() {
        forbid(&["clear_for"], "a person clears it");
    }
    if let Some(text) = section.text("severity", faults) {
        match Severity::ALL.iter().find(|severity| severity.name() == text.value) {
            Some(severity) => rule.severity = *severity,
            None => {
                let names: Vec<&str> = Severity::ALL.iter().map(|severity| severity.name()).collect();
                faults.add::<()>(text.start(file), not_one_of("severity", text.value, &names));
            }
        }
    }
    if rule.is_critical() && !base.is_critical() && base.family.is_timed() {
        rule.drop_ms = rule.drop_ms.max(CRITICAL_DROP_MS);
    }
    for (key, span_ms) in
        [("for", &mut rule.for_ms), ("drop", &mut rule.drop_ms), ("clear_for", &mut rule.clear_for_ms)]
    {
        if let Some(new_ms) = section.span_ms(key, faults) {
            *span_ms = new_ms;
        }
    }
    if rule.clear == Clear::Quiet && rule.clear_for_ms == 0 {
        let at = section.key("clear_for").map_or(section.start, |(_, value)| value.span().start);
        faults.add::<()>(at, format!("`clear_for` of `{}` must be longer than 0", base.id));
    }
    if let Some(count) = &mut rule.count {
        count.times = section.count("count", limits::WINDOW_BUCKETS, faults).unwrap_or(count.times);
        count.within_ms = section.span_ms("within", faults).unwrap_or(count.within_ms);
        if count.within_ms == 0 {
            let at = section.key("within").map_or(section.start, |(_, value)| value.span().start);
            faults.add::<()>(at, "`within` must be longer than 0");
        }
    }
    if section.has("absent") {
        rule.absent = absent(section, faults).or(rule.absent);
    }
    Some(rule)
}
