//! What all table files have in common.

use toml::de::DeTable;

use super::Source;
use crate::core::rules::section::{Faults, Section, Text};
use crate::core::rules::{RuleFault, line_and_column};
use crate::limits;
use crate::model::time::CivilDay;

/// One file on its way.
pub(crate) struct File<'a> {
    path: &'a str,
    text: &'a str,
    faults: Faults,
}

impl<'a> File<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, faults: Faults::default() }
    }

    pub(crate) fn refuse(&mut self, why: String) {
        self.fault(0, why);
    }

    pub(crate) fn fault(&mut self, at: usize, why: String) {
        self.faults.add::<()>(at, why);
    }

    /// What stands in it; nothing of a file that is not TOML.
    pub(crate) fn read<T: Default>(&mut self, read: impl FnOnce(&DeTable<'_>, &mut Faults) -> T) -> T {
        if self.text.len() > limits::RULE_FILE_BYTES {
            let (bytes, most) = (self.text.len(), limits::RULE_FILE_BYTES / 1024);
            self.refuse(format!("the file has {bytes} bytes, more than the {most} KiB allowed"));
            return T::default();
        }
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            self.faults.add::<()>(at, format!("not TOML: {}", error.message()));
        }
        if errors.is_empty() { read(root.get_ref(), &mut self.faults) } else { T::default() }
    }

    pub(crate) fn faults(self) -> impl Iterator<Item = RuleFault> {
        let Self { path, text, mut faults } = self;
        faults.0.sort();
        faults.0.dedup();
        faults.0.truncate(limits::RULE_FAULTS);
        faults.0.into_iter().map(move |(at, message)| {
            let (line, column) = line_and_column(text, at);
            RuleFault { file: path.into(), line, column, message: message.into() }
        })
    }
}

/// Every entry says where it comes from.
pub(super) fn source(section: &Section<'_>, faults: &mut Faults) -> Source {
    let text = section.need_text("source", faults).filter(|text| is_short(text, faults));
    let assumed = section.need_text("standing", faults).and_then(|standing| match standing.value {
        "std" => Some(false),
        "assumed" => Some(true),
        other => {
            let message = format!("`standing` is \"std\" or \"assumed\", not {other:?}");
            faults.add(standing.span.start, message)
        }
    });
    Source { text: text.map_or("", |text| text.value).into(), assumed: assumed.unwrap_or_default() }
}

fn is_short(text: &Text<'_>, faults: &mut Faults) -> bool {
    let fits = (1..=limits::TABLE_TEXT_CHARS).contains(&text.value.chars().count());
    if !fits {
        let message = format!("a text of 1 to {} characters is wanted here", limits::TABLE_TEXT_CHARS);
        faults.add::<()>(text.span.start, message);
    }
    fits
}

/// A whole number that must be there.
pub(super) fn need_count(section: &Section<'_>, key: &str, most: u32, faults: &mut Faults) -> Option<u32> {
    section.need(key, faults)?;
    section.count(key, most, faults)
}

/// A name as tables write them: of kinds, classes and media.
pub(super) fn name(text: &Text<'_>, faults: &mut Faults) -> Option<Box<str>> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (1..=limits::TABLE_NAME_BYTES).contains(&text.value.len()) && text.value.bytes().all(plain);
    if fits {
        return Some(text.value.into());
    }
    let most = limits::TABLE_NAME_BYTES;
    faults.add(text.span.start, format!("{:?} is no name: 1 to {most} of a–z, 0–9 and -", text.value))
}

pub(super) fn names(section: &Section<'_>, key: &str, faults: &mut Faults) -> Box<[Box<str>]> {
    let texts = section.texts(key, faults);
    texts.iter().filter_map(|text| name(text, faults)).collect()
}

pub(super) fn day(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<CivilDay> {
    let text = section.text(key, faults)?;
    match CivilDay::parse(text.value) {
        Some(day) => Some(day),
        None => {
            faults.add(text.span.start, format!("`{key}` is {:?}, which is no date such as \"2007-02-01\"", text.value))
        }
    }
}
