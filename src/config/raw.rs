//! From text to values with their places. What can be told without knowing a key's meaning is told here:
//! broken TOML, unknown sections, keys and variables, values that are no text.
//!
//! The document is walked rather than deserialized, because a deserializer ends at its first error.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Variables;
use super::fault::{Fault, Place, Wrong};
use super::keys::{self, KEYS, Key};
use crate::limits;

pub(super) const VARIABLE_PREFIX: &str = "VIGIL_";

/// What was given, by key path. A key that isn't here has its default.
#[derive(Debug, Default)]
pub(super) struct Raw {
    values: BTreeMap<String, Given>,
    /// The sections `[[notify]]`, in order.
    pub(super) notify: Vec<Target>,
}

/// One section `[[notify]]`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    values: BTreeMap<&'static str, Vec<Given>>,
}

impl Target {
    /// The value of a key, with its default where there is one.
    pub(super) fn get(&self, key: &Key) -> Option<Given> {
        let given = self.values.get(key.name).and_then(|all| all.first().cloned());
        given.or_else(|| key.default.map(|text| Given { text: text.into(), place: Place::Default }))
    }

    /// All values of a key that may have several.
    pub(super) fn all(&self, name: &str) -> &[Given] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: Place,
}

impl Raw {
    /// The value of a key, with its default where there is one.
    pub(super) fn get(&self, key: &Key) -> Option<Given> {
        let given = self.values.get(&key.path()).cloned();
        given.or_else(|| key.default.map(|text| Given { text: text.into(), place: Place::Default }))
    }
}

pub(super) fn read(file: &Path, text: &str, variables: &Variables, faults: &mut Vec<Fault>) -> Raw {
    let mut reader = Reader { file, text, raw: Raw::default(), faults, broken_lines: Vec::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let remedy = "a line is [section], key = \"text\" or # a comment";
        let what = Wrong::new(format!("this is not TOML: {}", error.message()), remedy);
        let start = error.span().map_or(0, |span| span.start);
        reader.fault(start, "", what);
        reader.broken_lines.push(reader.line_at(start));
    }
    reader.document(document.get_ref());
    reader.variables(variables);
    reader.raw
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    raw: Raw,
    faults: &'a mut Vec<Fault>,
    /// Lines that are no TOML: what was made of the rest of them isn't looked at.
    broken_lines: Vec<usize>,
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            let (section, start) = (name.get_ref().as_ref(), name.span().start);
            if self.is_broken(start) {
                continue;
            }
            if !keys::sections().any(|known| known == section) {
                let what = match KEYS.iter().find(|key| key.name == section && !value.get_ref().is_table()) {
                    Some(key) => Wrong::new("stands in no section", format!("put it below [{}]", key.section)),
                    None => unknown("section", section, &keys::sections().collect::<Vec<_>>()),
                };
                self.fault(start, section, what);
            } else if section == keys::NOTIFY {
                self.targets(value.get_ref(), start);
            } else if let Some(table) = value.get_ref().as_table() {
                self.section(section, table);
            } else {
                let remedy = format!("write [{section}] on a line of its own and its keys below it");
                self.fault(start, section, Wrong::new("is a section, not a value", remedy));
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let (name, start) = (name.get_ref().as_ref(), name.span().start);
            let path = format!("{section}.{name}");
            if self.is_broken(start) {
                continue;
            }
            let Some(key) = keys::find(section, name) else {
                self.fault(start, &path, unknown_key(section, name));
                continue;
            };
            match value.get_ref() {
                DeValue::String(text) => {
                    let given = Given { text: text.clone().into_owned(), place: self.place(value.span().start) };
                    self.raw.values.insert(path, given);
                }
                other => {
                    let example = key.default.unwrap_or("text");
                    let remedy = format!("write text in quotes, for example {name} = {example:?}");
                    let what = Wrong::new(format!("is of the type {}, not text", other.type_str()), remedy);
                    self.fault(value.span().start, &path, what);
                }
            }
        }
    }

    fn targets(&mut self, value: &DeValue<'_>, start: usize) {
        let tables = value.as_array().map(|all| all.iter().map(|it| (it.get_ref().as_table(), it.span().start)));
        let Some(tables) = tables else {
            let remedy = "write [[notify]] on a line of its own for each target, and its keys below it";
            return self.fault(start, keys::NOTIFY, Wrong::new("is one section for each target", remedy));
        };
        for (table, start) in tables {
            match table {
                Some(table) => self.target(table, start),
                None => {
                    self.fault(start, keys::NOTIFY, Wrong::new("is no section", "write [[notify]] and keys below it"))
                }
            }
        }
    }

    fn target(&mut self, table: &DeTable<'_>, start: usize) {
        let mut target = Target { place: self.place(start), values: BTreeMap::new() };
        for (name, value) in table {
            let (name, start) = (name.get_ref().as_ref(), name.span().start);
            let path = format!("{}.{name}", keys::NOTIFY);
            let Some(key) = keys::NOTIFY_KEYS.iter().find(|key| key.name == name) else {
                let known: Vec<&str> = keys::NOTIFY_KEYS.iter().map(|key| key.name).collect();
                self.fault(start, &path, unknown("key", name, &known));
                continue;
            };
            let given = |text: &str, start: usize| Given { text: text.into(), place: self.place(start) };
            let is_list = keys::NOTIFY_LISTS.contains(&name);
            let at = value.span().start;
            let texts = match value.get_ref() {
                DeValue::String(text) if !is_list => Some(vec![given(text, at)]),
                DeValue::Boolean(value) if name == "insecure" => Some(vec![given(&value.to_string(), at)]),
                DeValue::Array(all) if is_list => {
                    all.iter().map(|it| Some(given(it.get_ref().as_str()?, it.span().start))).collect()
                }
                _ => None,
            };
            match texts {
                Some(texts) => _ = target.values.insert(key.name, texts),
                None => {
                    let form = match name {
                        "insecure" => "true",
                        _ if is_list => "[\"text\", \"text\"]",
                        _ => "\"text\"",
                    };
                    let what = format!("is of the type {}", value.get_ref().type_str());
                    self.fault(value.span().start, &path, Wrong::new(what, format!("write it as {name} = {form}")));
                }
            }
        }
        self.raw.notify.push(target);
    }

    fn variables(&mut self, variables: &Variables) {
        for (name, text) in variables.iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)) {
            let place = Place::Variable(name.clone());
            match KEYS.iter().find(|key| variable(key) == *name) {
                Some(key) => {
                    self.raw.values.insert(key.path(), Given { text: text.clone(), place });
                }
                None => {
                    let what = unknown_variable(name);
                    self.faults.push(Fault::new(place, "", what));
                }
            }
        }
    }

    fn fault(&mut self, offset: usize, key: &str, what: Wrong) {
        if self.faults.len() < limits::CONFIG_FAULTS {
            let key: String = key.chars().filter(|c| !c.is_control()).take(80).collect();
            self.faults.push(Fault::new(self.place(offset), key, what));
        }
    }

    fn is_broken(&self, offset: usize) -> bool {
        !self.broken_lines.is_empty() && self.broken_lines.contains(&self.line_at(offset))
    }

    /// From 1.
    fn line_at(&self, offset: usize) -> usize {
        self.before(offset).matches('\n').count() + 1
    }

    fn before(&self, offset: usize) -> &str {
        self.text.get(..offset).unwrap_or(self.text)
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.before(offset);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].chars().count() + 1;
        Place::Line { file: self.file.to_owned(), line: self.line_at(offset), column }
    }
}

/// `VIGIL_MQTT_URL` for `mqtt.url`.
fn variable(key: &Key) -> String {
    format!("{VARIABLE_PREFIX}{}_{}", key.section, key.name).to_uppercase()
}

fn unknown_key(section: &str, name: &str) -> Wrong {
    // The right key in the wrong section is as common as a slip of the finger.
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Wrong::new("is not a known key", format!("did you mean {name} in section [{}]?", key.section));
    }
    let of_section: Vec<&str> = KEYS.iter().filter(|key| key.section == section).map(|key| key.name).collect();
    unknown("key", name, &of_section)
}

fn unknown(sort: &str, got: &str, known: &[&str]) -> Wrong {
    let remedy = match keys::closest(got, known.iter().copied()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("remove it; known here: {}", known.join(", ")),
    };
    Wrong::new(format!("is not a known {sort}"), remedy)
}

fn unknown_variable(got: &str) -> Wrong {
    let known: Vec<String> = KEYS.iter().map(variable).collect();
    let remedy = match keys::closest(got, known.iter().map(String::as_str)) {
        Some(name) => format!("did you mean {name}? If it isn't meant for vigil, unset it"),
        None => "unset it; ours are named VIGIL_<SECTION>_<KEY>".into(),
    };
    Wrong::new("is not known", remedy)
}
