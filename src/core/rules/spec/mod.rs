//! Rule files: TOML in, a checked rule set out, or every fault of every file.

mod fingerprint;
mod moments;
mod numbers;
mod overrides;
pub(crate) mod place;
mod rule;
pub mod section;
mod texts;
mod waits;

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::section::{Faults, Section};
pub(super) use self::texts::texts;
pub use self::texts::{RuleText, Texts};
use super::{Family, FlappingRule, Moments, Overrides, Rule, RuleFault, RuleIx, RuleSet, StormRule, Window};
use crate::core::decode::profile::PROFILES_FOLDER;
use crate::limits;
use crate::model::ids::RuleId;
pub(super) use section::parse_span_ms;

/// What is known of all rules before the first condition is read.
pub(super) type Directory = BTreeMap<RuleId, (RuleIx, Option<Family>)>;

/// Tables of intervals, and profiles, lie in folders of their own and are read elsewhere.
pub(super) fn is_table(name: &str) -> bool {
    name.starts_with(TABLES_FOLDER) || name.starts_with(PROFILES_FOLDER)
}

/// What the names of table files begin with.
pub const TABLES_FOLDER: &str = "tables/";

pub(super) fn parse(files: &[(Box<str>, Box<str>)]) -> Result<RuleSet, Vec<RuleFault>> {
    check_bounds(files).map_err(|fault| vec![fault])?;
    let rules = files.iter().filter(|(name, _)| !is_table(name));
    let mut docs: Vec<Doc<'_>> = rules.map(|(name, text)| Doc::read(name, text)).collect();
    let directory = list_rules(&mut docs);
    let mut reader = Reader {
        directory: &directory,
        moments: None,
        storm: None,
        flapping: None,
        extras: Vec::new(),
        windows: Vec::new(),
        rules: Vec::new(),
    };
    for (nth, doc) in docs.iter_mut().enumerate() {
        reader.read(nth, doc);
    }
    let Reader { moments, storm, flapping, extras, windows, mut rules, .. } = reader;
    let overrides = read_overrides(&mut docs, &rules, &directory);
    // Only a rule set without faults has the indices that its conditions were compiled with.
    if docs.iter().all(|doc| doc.faults.0.is_empty()) {
        rules.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        let (rules, places): (Vec<Rule>, Vec<(usize, usize)>) = rules.into_iter().unzip();
        match waits::order(&rules) {
            Ok(order) => {
                let (moments, overrides) = (moments.unwrap_or_default(), Overrides::new(overrides));
                let (storm, flapping) = (storm.unwrap_or_default(), flapping.unwrap_or_default());
                return Ok(RuleSet { rules, order, moments, extras, windows, overrides, storm, flapping });
            }
            Err(cycle) => {
                let (doc, at) = places[usize::from(cycle.rule)];
                docs[doc].faults.add::<()>(at, cycle.message);
            }
        }
    }
    Err(report(docs))
}

fn check_bounds(files: &[(Box<str>, Box<str>)]) -> Result<(), RuleFault> {
    let mut bytes = 0;
    for (nth, (file, text)) in files.iter().filter(|(name, _)| !name.starts_with(PROFILES_FOLDER)).enumerate() {
        bytes += text.len();
        let message = if nth == limits::RULE_FILES {
            format!("more than {} rule files", limits::RULE_FILES)
        } else if bytes > limits::RULE_FILES_BYTES {
            format!("the rule files together have more than {} KiB", limits::RULE_FILES_BYTES / 1024)
        } else {
            continue;
        };
        return Err(RuleFault { file: file.clone(), line: 1, column: 1, message: message.into() });
    }
    Ok(())
}

/// One file on its way.
struct Doc<'a> {
    name: &'a str,
    text: &'a str,
    root: Option<Spanned<DeTable<'a>>>,
    is_toml: bool,
    faults: Faults,
}

impl<'a> Doc<'a> {
    /// A file that is not TOML is looked into only as far as its rules' ids go: others may name them.
    fn read(name: &'a str, text: &'a str) -> Self {
        let mut faults = Faults::default();
        if text.len() > limits::RULE_FILE_BYTES {
            let most = limits::RULE_FILE_BYTES / 1024;
            faults.add::<()>(0, format!("the file has {} bytes, more than the {most} KiB allowed", text.len()));
            return Self { name, text, root: None, is_toml: false, faults };
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            faults.add::<()>(at, format!("not TOML: {}", error.message()));
        }
        Self { name, text, root: Some(root), is_toml: faults.0.is_empty(), faults }
    }

    fn rules(&self) -> impl Iterator<Item = &Spanned<DeValue<'a>>> {
        let rules = self.root.as_ref().and_then(|root| root.get_ref().get("rule"));
        rules.and_then(|rules| rules.get_ref().as_array()).into_iter().flat_map(|rules| rules.iter())
    }
}

/// Finds every id, so that rules may name each other across files in any order. Reports those given twice.
fn list_rules(docs: &mut [Doc<'_>]) -> Directory {
    let mut directory = Directory::new();
    let mut first: BTreeMap<RuleId, (&str, &str, usize)> = BTreeMap::new();
    for doc in docs {
        let mut again = Vec::new();
        for rule in doc.rules() {
            let Some(id) = rule.get_ref().get("id") else { continue };
            let Some(Ok(parsed)) = id.get_ref().as_str().map(RuleId::parse) else { continue };
            let on = rule.get_ref().get("on").and_then(|on| on.get_ref().as_str());
            if let Some((file, text, at)) = first.get(&parsed) {
                let (line, _) = place::line_and_column(text, *at);
                again.push((id.span().start, format!("rule `{parsed}` stands already at {file}:{line}")));
                continue;
            }
            // There are too many in any case, which is told where they are read.
            if directory.len() == limits::RULES {
                continue;
            }
            first.insert(parsed.clone(), (doc.name, doc.text, id.span().start));
            directory.insert(parsed, (0, on.and_then(Family::from_name)));
        }
        doc.faults.0.extend(again);
    }
    for (at, (_, (rule, _))) in directory.iter_mut().enumerate() {
        *rule = RuleIx::try_from(at).unwrap_or(RuleIx::MAX);
    }
    directory
}

/// For lifts and districts apart, wherever their rules stand.
fn read_overrides(
    docs: &mut [Doc<'_>],
    rules: &[(Rule, (usize, usize))],
    directory: &Directory,
) -> Vec<overrides::Override> {
    let ix = |rule: &Rule| directory.get(&rule.id).map(|(ix, _)| *ix);
    let rules: BTreeMap<RuleIx, &Rule> = rules.iter().filter_map(|(rule, _)| Some((ix(rule)?, rule))).collect();
    let (mut all, mut known) = (Vec::new(), BTreeMap::new());
    for doc in docs.iter_mut().filter(|doc| doc.is_toml) {
        let (Some(root), faults) = (&doc.root, &mut doc.faults) else { continue };
        let Some(value) = root.get_ref().get("override") else { continue };
        let DeValue::Array(tables) = value.get_ref() else {
            faults.add::<()>(value.span().start, "overrides are written as `[[override]]`, with two brackets");
            continue;
        };
        for table in tables.iter() {
            if known.len() == limits::OVERRIDES {
                faults.add::<()>(table.span().start, format!("more than {} overrides", limits::OVERRIDES));
                return all;
            }
            all.extend(overrides::read(table, doc.text, &rules, directory, &mut known, faults));
        }
    }
    all
}

/// What a rule file may have.
const TABLES: &[&str] = &["rule", "elevator", "override", "storm", "flapping"];

struct Reader<'d> {
    directory: &'d Directory,
    moments: Option<Moments>,
    storm: Option<StormRule>,
    flapping: Option<FlappingRule>,
    extras: Vec<Box<str>>,
    windows: Vec<Window>,
    /// With the file and the byte offset of each.
    rules: Vec<(Rule, (usize, usize))>,
}

impl Reader<'_> {
    fn read(&mut self, nth: usize, doc: &mut Doc<'_>) {
        if !doc.is_toml {
            return;
        }
        let (Some(root), faults) = (&doc.root, &mut doc.faults) else { return };
        let top = Section::new(root.get_ref(), 0, "a rule file", TABLES, faults);
        if let Some((at, value)) = top.key("elevator")
            && let Some((_, table)) = section::table("elevator", value, faults)
        {
            if self.moments.is_some() {
                faults.add::<()>(at, "`[elevator]` stands in another file already");
            }
            self.moments = Some(moments::read(table, at, faults));
        }
        numbers::read(&top, "storm", &mut self.storm, numbers::storm, faults);
        numbers::read(&top, "flapping", &mut self.flapping, numbers::flapping, faults);
        let Some((at, value)) = top.key("rule") else { return };
        let DeValue::Array(rules) = value.get_ref() else {
            faults.add::<()>(at, "rules are written as `[[rule]]`, with two brackets");
            return;
        };
        for table in rules.iter() {
            if self.rules.len() == limits::RULES {
                faults.add::<()>(table.span().start, format!("more than {} rules", limits::RULES));
                return;
            }
            let mut context = rule::Context {
                directory: self.directory,
                extras: &mut self.extras,
                windows: &mut self.windows,
                file: doc.text,
                faults: &mut *faults,
            };
            if let Some(rule) = rule::read(table, &mut context) {
                self.rules.push((rule, (nth, table.span().start)));
            }
        }
    }
}

fn report(docs: Vec<Doc<'_>>) -> Vec<RuleFault> {
    let (mut all, mut more) = (Vec::new(), 0);
    for Doc { name, text, mut faults, .. } in docs {
        faults.0.sort();
        faults.0.dedup();
        let told = faults.0.len().min(limits::RULE_FAULTS - all.len());
        more += faults.0.len() - told;
        all.extend(faults.0.into_iter().take(told).map(|(at, message)| {
            let (line, column) = place::line_and_column(text, at);
            RuleFault { file: name.into(), line, column, message: message.into() }
        }));
    }
    if let (1.., Some(last)) = (more, all.last_mut()) {
        last.message = format!("{} (and {more} more faults)", last.message).into();
    }
    all
}
