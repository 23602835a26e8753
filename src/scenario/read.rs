//! Timeline files: TOML in, a timeline out, or every fault of it with line and column.

mod archive;
mod frames;
mod report;
mod steps;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::compose::Extra;
use super::span;
use super::{NamedLift, Scenario};
use crate::core::rules::section::{Faults, Section, Text, article, table, text};
use crate::core::rules::{RuleFault, line_and_column};
use crate::limits;
use crate::model::archive::Entry;
use crate::model::ids::RuleId;
use crate::model::time::Wall;

const KEYS: &[&str] = &[
    "shows",
    "rules",
    "extra_rules",
    "zone",
    "begins",
    "until",
    "ignore",
    "lift",
    "site",
    "cylinder",
    "states",
    "step",
];

/// A Sunday, 10:00 in Shanghai.
const BEGINS: Wall = Wall(1_795_312_800_000);
const ZONE: &str = "Asia/Shanghai";

/// What reading the steps needs to know of the rest of the file.
struct Reader<'a> {
    text: &'a str,
    faults: Faults,
    lifts: Vec<NamedLift>,
    archive: Vec<Entry>,
    states: BTreeMap<String, Map<String, Value>>,
}

pub(super) fn scenario(file: &str, text: &str) -> Result<Scenario, Vec<RuleFault>> {
    let mut faults = Faults::default();
    if text.len() > limits::SCENARIO_FILE_BYTES {
        let most = limits::SCENARIO_FILE_BYTES / 1024;
        faults.add::<()>(0, format!("the file has {} bytes, more than the {most} KiB allowed", text.len()));
        return Err(told(file, text, faults));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        faults.add::<()>(at, format!("not TOML: {}", error.message()));
    }
    if !faults.0.is_empty() {
        return Err(told(file, text, faults));
    }
    let mut reader = Reader { text, faults, lifts: Vec::new(), archive: Vec::new(), states: BTreeMap::new() };
    match reader.scenario(file, root.get_ref()) {
        Some(scenario) if reader.faults.0.is_empty() => Ok(scenario),
        _ => Err(told(file, text, reader.faults)),
    }
}

fn told(file: &str, text: &str, mut faults: Faults) -> Vec<RuleFault> {
    faults.0.sort();
    faults.0.dedup();
    let more = faults.0.len().saturating_sub(limits::SCENARIO_FAULTS);
    faults.0.truncate(limits::SCENARIO_FAULTS);
    if let (1.., Some((_, last))) = (more, faults.0.last_mut()) {
        *last += &format!(" (and {more} more faults)");
    }
    let all = faults.0.into_iter();
    all.map(|(at, message)| {
        let (line, column) = line_and_column(text, at);
        RuleFault { file: file.into(), line, column, message: message.into() }
    })
    .collect()
}

impl<'a> Reader<'a> {
    fn scenario(&mut self, file: &str, root: &'a DeTable<'a>) -> Option<Scenario> {
        let top = Section::new(root, 0, "a timeline", KEYS, &mut self.faults);
        let shows = top.need_text("shows", &mut self.faults);
        let shows = shows.and_then(|shows| self.sentence(&shows));
        let rules = top.text("rules", &mut self.faults).map(|text| Box::from(text.value));
        let extra_rules = top.text("extra_rules", &mut self.faults).map(|text| self.extra(&text));
        let zone = self.zone(&top);
        let begins = self.begins(&top);
        let until_ms = self.span(&top, "until", 0);
        let ignore = self.rules(&top, "ignore");
        self.read_states(&top);
        self.read_archive(&top);
        let (steps, expected) = self.steps(&top);
        let last_ms = steps.iter().map(|step| step.at_ms).chain(expected.iter().map(|it| it.to_ms)).max();
        let until_ms = until_ms.unwrap_or(0).max(last_ms.unwrap_or(0));
        if steps.is_empty() {
            self.faults.add::<()>(0, "nothing happens in this timeline: it needs a `step`");
        }
        Some(Scenario {
            file: file.into(),
            shows: shows?,
            rules,
            extra_rules,
            zone: zone?,
            begins: begins?,
            until_ms,
            ignore,
            archive: std::mem::take(&mut self.archive),
            lifts: std::mem::take(&mut self.lifts),
            steps,
            expected,
            text: self.text.into(),
        })
    }

    /// What a file shows is read in lists: one line.
    fn sentence(&mut self, text: &Text<'_>) -> Option<Box<str>> {
        let most = limits::RULE_TEXT_CHARS;
        let chars = text.value.chars().count();
        if (1..=most).contains(&chars) && !text.value.chars().any(char::is_control) {
            return Some(text.value.into());
        }
        self.faults.add(text.span.start, format!("`shows` is one sentence on one line, of 1 to {most} characters"))
    }

    fn extra(&self, text: &Text<'_>) -> Extra {
        let (line, _) = line_and_column(self.text, text.start(self.text));
        Extra { text: text.value.into(), line }
    }

    fn zone(&mut self, top: &Section<'_>) -> Option<Box<str>> {
        let Some(zone) = top.text("zone", &mut self.faults) else { return Some(ZONE.into()) };
        match jiff::tz::TimeZone::get(zone.value) {
            Ok(_) => Some(zone.value.into()),
            Err(_) => self.faults.add(
                zone.span.start,
                format!("{:?} is no time zone: write a name such as \"Asia/Shanghai\"", zone.value),
            ),
        }
    }

    fn begins(&mut self, top: &Section<'_>) -> Option<Wall> {
        let Some(begins) = top.text("begins", &mut self.faults) else { return Some(BEGINS) };
        let at = begins.value.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
        // Earlier or later there are no civil days.
        match at.filter(|at| (0..4_102_444_800_000).contains(at)) {
            Some(at) => Some(Wall(at)),
            None => self.faults.add(
                begins.span.start,
                "`begins` is a time from 1970 to 2099 with its offset, such as \"2026-11-22T10:00:00+08:00\"",
            ),
        }
    }

    /// A span of at least `least_ms`, if the key is there.
    fn span(&mut self, section: &Section<'_>, key: &str, least_ms: i64) -> Option<i64> {
        let text = section.text(key, &mut self.faults)?;
        self.span_of(key, &text, least_ms)
    }

    fn span_of(&mut self, key: &str, text: &Text<'_>, least_ms: i64) -> Option<i64> {
        let at = text.span.start;
        match span::parse_ms(text.value) {
            Some(ms) if ms < least_ms => {
                let least = span::show_ms(least_ms);
                self.faults.add(at, format!("`{key}` is {:?}; it must be at least {least}", text.value))
            }
            Some(ms) if ms.abs() > limits::SCENARIO_SPAN_MS && least_ms >= 0 => {
                self.faults.add(at, format!("`{key}` is longer than 31 days"))
            }
            Some(ms) => Some(ms),
            None => self.faults.add(at, format!("`{key}` is {:?}, which is no span: {}", text.value, span::FORM)),
        }
    }

    /// Ids of rules, with their places.
    fn rules(&mut self, section: &Section<'_>, key: &str) -> Vec<(RuleId, usize)> {
        let texts = section.texts(key, &mut self.faults);
        texts.iter().filter_map(|text| self.rule(text)).collect()
    }

    fn rule(&mut self, text: &Text<'_>) -> Option<(RuleId, usize)> {
        match RuleId::parse(text.value) {
            Ok(id) => Some((id, text.span.start)),
            Err(error) => self.faults.add(text.span.start, error.to_string()),
        }
    }

    fn flag(&mut self, section: &Section<'_>, key: &str) -> Option<bool> {
        let (_, value) = section.key(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                let got = article(other);
                self.faults.add(value.span().start, format!("`{key}` is true or false, not {got}"))
            }
        }
    }

    /// The tables of a list that is written as `[[key]]` or as `key = [{…}, …]`.
    fn tables(&mut self, section: &Section<'a>, key: &'static str, most: usize) -> Vec<(usize, &'a DeTable<'a>)> {
        let Some((_, value)) = section.key(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let message = format!("`{key}` is written as `[[{key}]]`, with two brackets, or as a list of tables");
            self.faults.add::<()>(value.span().start, message);
            return Vec::new();
        };
        if items.len() > most {
            self.faults.add::<()>(value.span().start, format!("more than {most} of `{key}`"));
            return Vec::new();
        }
        items.iter().filter_map(|item| table(key, item, &mut self.faults)).collect()
    }

    fn text_of(&mut self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Text<'a>> {
        text(key, value, &mut self.faults)
    }
}
