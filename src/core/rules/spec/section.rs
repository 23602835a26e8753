//! Typed reading of one TOML table that notes every fault instead of stopping at the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Directory, place};
use crate::core::rules::expr::did_you_mean;
use crate::limits;
use crate::model::ids::RuleId;

/// Faults of one file, by byte offset.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<(usize, String)>);

impl Faults {
    pub fn add<T>(&mut self, at: usize, message: impl Into<String>) -> Option<T> {
        self.0.push((at, message.into()));
        None
    }

    /// The rule that may have been meant, while there are few faults.
    pub(super) fn hint(&self, word: &str, directory: &Directory) -> String {
        if self.0.len() >= limits::RULE_HINTS {
            return String::new();
        }
        did_you_mean(word, directory.keys().map(RuleId::as_str))
    }
}

/// A string of the file.
#[derive(Debug, Clone)]
pub struct Text<'a> {
    pub value: &'a str,
    pub span: Range<usize>,
}

impl Text<'_> {
    /// Where in the file the byte `at` of the value stands.
    pub(crate) fn offset(&self, file: &str, at: usize) -> usize {
        self.span.start + file.get(self.span.clone()).map_or(0, |raw| place::within_string(raw, at))
    }

    /// The first character of the value.
    pub fn start(&self, file: &str) -> usize {
        self.offset(file, 0)
    }
}

/// A table whose keys are known in advance.
pub struct Section<'a> {
    table: &'a DeTable<'a>,
    /// Where it begins, for what is missing from it.
    pub start: usize,
    /// For messages: `a rule`.
    what: &'static str,
}

impl<'a> Section<'a> {
    /// Reports every key that is not in `keys`.
    pub fn new(table: &'a DeTable<'a>, start: usize, what: &'static str, keys: &[&str], faults: &mut Faults) -> Self {
        for key in table.keys() {
            let name = key.get_ref();
            if !keys.contains(&name.as_ref()) {
                let hint = did_you_mean(name, keys.iter().copied());
                let hint = if hint.is_empty() { format!("; it may have {}", keys.join(", ")) } else { hint };
                faults.add::<()>(key.span().start, format!("unknown key `{name}` in {what}{hint}"));
            }
        }
        Self::of(table, start, what)
    }

    /// Of a table whose keys were looked at already.
    pub fn of(table: &'a DeTable<'a>, start: usize, what: &'static str) -> Self {
        Self { table, start, what }
    }

    pub fn key(&self, key: &str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        self.table.get_key_value(key).map(|(key, value)| (key.span().start, value))
    }

    pub fn has(&self, key: &str) -> bool {
        self.key(key).is_some()
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, faults: &mut Faults) -> Option<&'a Spanned<DeValue<'a>>> {
        match self.key(key) {
            Some((_, value)) => Some(value),
            None => faults.add(self.start, format!("{} needs `{key}`", self.what)),
        }
    }

    /// A short text that must be there.
    pub fn need_text(&self, key: &str, faults: &mut Faults) -> Option<Text<'a>> {
        let value = self.need(key, faults)?;
        text(key, value, faults)
    }

    pub fn text(&self, key: &str, faults: &mut Faults) -> Option<Text<'a>> {
        let (_, value) = self.key(key)?;
        text(key, value, faults)
    }

    /// A span such as `30s`, in ms.
    pub(crate) fn span_ms(&self, key: &str, faults: &mut Faults) -> Option<i64> {
        let (_, value) = self.key(key)?;
        span_ms(key, value, faults)
    }

    pub fn count(&self, key: &str, most: u32, faults: &mut Faults) -> Option<u32> {
        let (_, value) = self.key(key)?;
        count(key, value, most, faults)
    }

    pub(crate) fn flag(&self, key: &str, faults: &mut Faults) -> Option<bool> {
        let (_, value) = self.key(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => faults.add(value.span().start, format!("`{key}` is true or false, not {}", article(other))),
        }
    }

    /// Texts in brackets; the good ones, where some are bad.
    pub fn texts(&self, key: &str, faults: &mut Faults) -> Vec<Text<'a>> {
        let items = self.array(key, faults).unwrap_or_default();
        items.iter().filter_map(|item| text(key, item, faults)).collect()
    }

    /// At most `limits::RULE_LIST` values in brackets.
    pub(crate) fn array(&self, key: &str, faults: &mut Faults) -> Option<&'a [Spanned<DeValue<'a>>]> {
        let (_, value) = self.key(key)?;
        match value.get_ref() {
            DeValue::Array(items) if items.len() > limits::RULE_LIST => {
                faults.add(value.span().start, format!("`{key}` has more than {} entries", limits::RULE_LIST))
            }
            DeValue::Array(items) => Some(items),
            other => faults.add(value.span().start, format!("`{key}` is a list, not {}", article(other))),
        }
    }
}

pub fn table<'a>(key: &str, value: &'a Spanned<DeValue<'a>>, faults: &mut Faults) -> Option<(usize, &'a DeTable<'a>)> {
    match value.get_ref() {
        DeValue::Table(table) => Some((value.span().start, table)),
        other => faults.add(value.span().start, format!("`{key}` is a table, not {}", article(other))),
    }
}

pub fn text<'a>(key: &str, value: &'a Spanned<DeValue<'a>>, faults: &mut Faults) -> Option<Text<'a>> {
    match value.get_ref() {
        DeValue::String(text) => Some(Text { value: text, span: value.span() }),
        other => faults.add(value.span().start, format!("`{key}` is a text in quotes, not {}", article(other))),
    }
}

pub(crate) fn count(key: &str, value: &Spanned<DeValue<'_>>, most: u32, faults: &mut Faults) -> Option<u32> {
    let number = match value.get_ref() {
        DeValue::Integer(n) => u32::from_str_radix(n.as_str(), n.radix()).ok().filter(|n| (1..=most).contains(n)),
        _ => None,
    };
    match number {
        Some(number) => Some(number),
        None => faults.add(value.span().start, format!("`{key}` is a whole number from 1 to {most}")),
    }
}

pub(crate) fn span_ms(key: &str, value: &Spanned<DeValue<'_>>, faults: &mut Faults) -> Option<i64> {
    let DeValue::String(text) = value.get_ref() else {
        let other = article(value.get_ref());
        return faults.add(value.span().start, format!("`{key}` is a span such as \"30s\", not {other}"));
    };
    match parse_span_ms(text) {
        Some(span_ms) if span_ms <= limits::RULE_SPAN_MS => Some(span_ms),
        Some(_) => faults.add(value.span().start, format!("`{key}` is longer than 31 days")),
        None => {
            let wanted = "a whole number with s, m or h, such as \"30s\", \"2m\" or \"24h\", or \"0\"";
            faults.add(value.span().start, format!("`{key}` is {text:?}, which is no span: write {wanted}"))
        }
    }
}

/// `30s`, `5m`, `24h` or `0`, in ms.
pub(in crate::core::rules) fn parse_span_ms(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // A number too large to count is too long, not misspelt.
    plain.then(|| digits.parse::<i64>().map_or(i64::MAX, |n| n.saturating_mul(unit_ms)))
}

/// What stands there instead, with its article.
pub fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_numbers_with_one_unit() {
        for (text, span_ms) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("30s", Some(30_000)),
            ("2m", Some(120_000)),
            ("24h", Some(86_400_000)),
            ("99999999999999999999h", Some(i64::MAX)),
            ("", None),
            ("s", None),
            ("30", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5m", None),
            ("1d", None),
            ("1 s", None),
            ("1m30s", None),
            ("3分", None),
        ] {
            assert_eq!(parse_span_ms(text), span_ms, "{text:?}");
        }
    }
}
