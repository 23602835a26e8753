//! One `[[rule]]` table.

use toml::Spanned;
use toml::de::DeValue;

use super::section::{Faults, Section, Text, table};
use super::{Directory, fingerprint};
use crate::core::rules::expr::{self, Scope, Silence, did_you_mean};
use crate::core::rules::{Clear, Count, Escalation, Expr, Family, Rule, RuleIx, Window};
use crate::limits;
use crate::model::alert::{Certainty, Severity, Title};
use crate::model::ids::RuleId;

const KEYS: &[&str] = &[
    "id",
    "on",
    "when",
    "suppress",
    "deny",
    "for",
    "drop",
    "clear",
    "clear_for",
    "count",
    "within",
    "each",
    "absent",
    "unless",
    "crossings",
    "severity",
    "escalate",
    "certainty",
    "causes",
    "dispatch",
    "title",
    "todo",
    "tags",
];

/// A critical hold is reset only by a condition that was known false for so long: sensors flicker.
pub(super) const CRITICAL_DROP_MS: i64 = 3_000;
/// The incidents that a rule may open.
const DISPATCHES: &[&str] = &["rescue"];

/// What reading a rule needs beside its table.
pub(super) struct Context<'c> {
    pub(super) directory: &'c Directory,
    pub(super) extras: &'c mut Vec<Box<str>>,
    pub(super) windows: &'c mut Vec<Window>,
    /// The text of the whole file.
    pub(super) file: &'c str,
    pub(super) faults: &'c mut Faults,
}

/// The rule, unless something is wrong with it.
pub(super) fn read<'a>(value: &'a Spanned<DeValue<'a>>, context: &mut Context<'_>) -> Option<Rule> {
    let faults_before = context.faults.0.len();
    let (start, values) = table("rule", value, context.faults)?;
    let section = Section::new(values, start, "a rule", KEYS, context.faults);
    let id = context.id(&section);
    let family = context.family(&section);
    check_company(&section, family, context.faults);
    let severity = context.word(&section, "severity", Severity::ALL, Severity::name);
    let certainty = if section.has("certainty") {
        context.word(&section, "certainty", Certainty::ALL, Certainty::name)
    } else {
        Some(Certainty::Observed)
    };
    let title = context.title(&section, "title");
    let todo = section.has("todo").then(|| context.title(&section, "todo"));
    let dispatch = context.dispatch(&section, family);
    let tags = context.tags(&section);
    let absent = absent(&section, context.faults);
    let is_counting = section.has("count") && matches!(family, Some(Family::Elevator) | None);
    let count = if is_counting { context.count(&section) } else { None };
    let for_ms = section.span_ms("for", context.faults).unwrap_or(0);
    let drop_ms = section.span_ms("drop", context.faults);
    let clear_for_ms = section.span_ms("clear_for", context.faults);
    let when = section.need_text("when", context.faults);
    // What a condition may name depends on the family: without it the conditions can't be checked.
    let (family, id) = (family?, id.as_ref());
    let unless = context.unless(&section, family, id);
    let when = when.and_then(|text| context.compile(&text, family, id, is_counting, Silence::True));
    let suppress =
        section.text("suppress", context.faults).and_then(|text| context.condition(&text, family, id, Silence::False));
    let deny =
        section.text("deny", context.faults).and_then(|text| context.condition(&text, family, id, Silence::Either));
    let clear = context.clear(&section, family, id);
    if clear == Some(Clear::Quiet) && section.has("count") && (clear_for_ms == Some(0) || !section.has("clear_for")) {
        let at =
            section.key("clear_for").or(section.key("clear")).map_or(section.start, |(_, value)| value.span().start);
        context.faults.add::<()>(at, "`clear = \"quiet\"` needs a `clear_for` longer than 0, such as \"30m\"");
    }
    let crossings = crossings(&section, context.faults);
    let escalate = context.escalate(&section, family, id, severity, certainty);
    let causes = context.causes(&section, family, id);
    if context.faults.0.len() > faults_before {
        return None;
    }
    let (severity, when) = (severity?, when?);
    let drop_default_ms = if severity == Severity::Critical { CRITICAL_DROP_MS } else { 0 };
    let mut rule = Rule {
        id: id?.clone(),
        family,
        raising: when.raising().to_vec(),
        when,
        suppress,
        deny,
        for_ms,
        drop_ms: drop_ms.unwrap_or(drop_default_ms),
        clear: clear?,
        clear_for_ms: clear_for_ms.unwrap_or(0),
        count,
        absent,
        unless,
        crossings,
        severity,
        escalate,
        certainty: certainty?,
        causes,
        dispatch,
        title: title?,
        todo: todo.flatten(),
        tags,
        fingerprint: 0,
    };
    rule.fingerprint = fingerprint::of(&rule, context.extras, context.directory);
    Some(rule)
}

/// Keys that make no sense beside each other, or in this family.
fn check_company(section: &Section<'_>, family: Option<Family>, faults: &mut Faults) {
    let mut forbid = |keys: &[&str], why: &str| {
        for key in keys {
            if let Some((at, _)) = section.key(key) {
                faults.add::<()>(at, format!("`{key}` means nothing {why}"));
            }
        }
    };
    if matches!(family, Some(Family::Elevator | Family::Obligation)) {
        forbid(&["deny"], "but on cylinders: nothing else is filled");
    }
    match family {
        Some(Family::Cylinder) => {
            forbid(&["for", "drop", "clear_for", "absent"], "on cylinders: they are judged at each scan");
            forbid(&["count", "within", "each"], "on cylinders: they have no codes");
        }
        Some(Family::Obligation) => {
            forbid(&["for", "drop", "clear_for", "absent"], "on obligations: they are judged by the day");
            forbid(&["count", "within", "each"], "on obligations: they have no codes");
        }
        Some(Family::Record) => {
            forbid(&["for", "drop", "clear_for", "absent"], "on records: they are judged by the hour");
            forbid(&["count", "within", "each"], "on records: they have no codes");
            forbid(&["crossings"], "on records: nothing of them is due on a day");
        }
        Some(Family::Elevator) | None => {
            forbid(&["crossings"], "on elevators: nothing of them is due on a day");
            let clear = section.key("clear").and_then(|(_, value)| value.get_ref().as_str());
            if section.has("count") {
                forbid(&["for", "drop"], "in a counting rule: `within` is the span that counts");
                forbid(&["absent"], "in a counting rule: silence doesn't occur");
                return;
            }
            forbid(&["within", "each"], "without `count`");
            if clear == Some(QUIET) {
                forbid(&["clear"], "as \"quiet\" without `count`: there is nothing that it could count");
            }
            if section.has("absent") {
                forbid(&["for", "drop"], "in an absence rule: `absent` says how long the silence must last");
                forbid(&["clear", "clear_for"], "in an absence rule: a frame clears it");
            } else if !section.has("for") {
                forbid(&["drop"], "without `for`: there is no hold that it could reset");
            }
            if clear == Some(MANUAL) {
                forbid(&["clear_for"], "with `clear = \"manual\"`: a person clears at once");
            }
            if clear == Some(MAINTAINED) {
                forbid(&["clear_for"], "with `clear = \"maintained\"`: a record clears at once");
            }
        }
    }
}

const MANUAL: &str = "manual";
const MAINTAINED: &str = "maintained";
const QUIET: &str = "quiet";

impl Context<'_> {
    fn id(&mut self, section: &Section<'_>) -> Option<RuleId> {
        let text = section.need_text("id", self.faults)?;
        match RuleId::parse(text.value) {
            Ok(id) => Some(id),
            Err(error) => self.faults.add(text.start(self.file), error.to_string()),
        }
    }

    fn family(&mut self, section: &Section<'_>) -> Option<Family> {
        self.word(section, "on", Family::ALL, Family::name)
    }

    /// One word of a closed set.
    fn word<T: Copy>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let text = section.need_text(key, self.faults)?;
        let found = all.iter().copied().find(|word| name(*word) == text.value);
        if found.is_none() {
            let names: Vec<&str> = all.iter().map(|word| name(*word)).collect();
            let message = not_one_of(key, text.value, &names);
            self.faults.add::<()>(text.start(self.file), message);
        }
        found
    }

    fn title(&mut self, section: &Section<'_>, key: &'static str) -> Option<Title> {
        let value = section.need(key, self.faults)?;
        let (start, values) = table(key, value, self.faults)?;
        let what = if key == "todo" { "`todo`" } else { "`title`" };
        let section = Section::new(values, start, what, &["en", "zh"], self.faults);
        let (en, zh) = (section.need_text("en", self.faults), section.need_text("zh", self.faults));
        let (en, zh) = (self.line(key, en?), self.line(key, zh?));
        Some(Title { en: en?, zh: zh? })
    }

    /// One line of text for people.
    fn line(&mut self, key: &str, text: Text<'_>) -> Option<Box<str>> {
        let most = limits::RULE_TEXT_CHARS;
        let fits = (1..=most).contains(&text.value.chars().count());
        if fits && !text.value.trim().is_empty() && !text.value.chars().any(char::is_control) {
            return Some(text.value.into());
        }
        self.faults.add(text.span.start, format!("`{key}` has one line of 1 to {most} characters"))
    }

    fn tags(&mut self, section: &Section<'_>) -> Vec<Box<str>> {
        let tags = section.texts("tags", self.faults);
        tags.into_iter().filter_map(|tag| self.line("tags", tag)).collect()
    }

    fn dispatch(&mut self, section: &Section<'_>, family: Option<Family>) -> Option<Box<str>> {
        let text = section.text("dispatch", self.faults)?;
        if !DISPATCHES.contains(&text.value) {
            return self.faults.add(text.start(self.file), not_one_of("dispatch", text.value, DISPATCHES));
        }
        if family.is_some_and(|family| family != Family::Elevator) {
            return self.faults.add(text.start(self.file), "only rules on elevators open a rescue");
        }
        Some(text.value.into())
    }

    fn count(&mut self, section: &Section<'_>) -> Option<Count> {
        section.key("count")?;
        let times = section.count("count", limits::WINDOW_BUCKETS, self.faults);
        let each = section.flag("each", self.faults).unwrap_or(false);
        let value = section.need("within", self.faults)?;
        let within_ms = section.span_ms("within", self.faults)?;
        if within_ms == 0 {
            return self.faults.add(value.span().start, "`within` must be longer than 0");
        }
        Some(Count { times: times?, within_ms, each })
    }

    fn unless(&mut self, section: &Section<'_>, family: Family, own: Option<&RuleId>) -> Vec<RuleIx> {
        let mut unless = Vec::new();
        for text in section.texts("unless", self.faults) {
            let at = text.start(self.file);
            let known = RuleId::parse(text.value).ok().and_then(|id| Some((*self.directory.get(&id)?, id)));
            let Some(((rule, other), id)) = known else {
                let hint = self.faults.hint(text.value, self.directory);
                self.faults.add::<()>(at, format!("unknown rule `{}` in `unless`{hint}", text.value));
                continue;
            };
            match other {
                _ if own == Some(&id) => self.faults.add(at, format!("`{id}` can't exclude itself")),
                Some(other) if other != family => {
                    let (own, other) = (family.name(), other.name());
                    self.faults.add(at, format!("`{id}` is a rule on {other}; this is a rule on {own}"))
                }
                _ if unless.contains(&rule) => self.faults.add(at, format!("`{id}` stands twice in `unless`")),
                _ => {
                    unless.push(rule);
                    Some(())
                }
            };
        }
        unless.sort_unstable();
        unless
    }

    fn condition(&mut self, text: &Text<'_>, family: Family, own: Option<&RuleId>, silence: Silence) -> Option<Expr> {
        self.compile(text, family, own, false, silence)
    }

    fn compile(
        &mut self,
        text: &Text<'_>,
        family: Family,
        own: Option<&RuleId>,
        is_counted: bool,
        silence: Silence,
    ) -> Option<Expr> {
        let mut scope = Scope {
            family,
            own,
            rules: self.directory,
            extras: &mut *self.extras,
            windows: &mut *self.windows,
            is_counted,
            silence,
            has_hints: self.faults.0.len() < limits::RULE_HINTS,
        };
        match expr::compile(text.value, &mut scope) {
            Ok(expr) => Some(expr),
            Err(found) => {
                for fault in found {
                    self.faults.add::<()>(text.offset(self.file, fault.at), fault.message);
                }
                None
            }
        }
    }

    fn clear(&mut self, section: &Section<'_>, family: Family, own: Option<&RuleId>) -> Option<Clear> {
        if section.has("absent") {
            return Some(Clear::Heard);
        }
        if !section.has("clear") && section.has("count") && family == Family::Elevator {
            let at = section.key("count").map_or(section.start, |(at, _)| at);
            let wanted = "`clear`: \"quiet\" with `clear_for`, \"manual\", or a condition";
            return self.faults.add(at, format!("a rule with `count` needs {wanted}"));
        }
        if !section.has("clear") {
            return Some(Clear::WhenFalse);
        }
        let text = section.text("clear", self.faults)?;
        match text.value {
            MANUAL => return Some(Clear::Manual),
            MAINTAINED if family == Family::Elevator => return Some(Clear::Maintained),
            QUIET => return Some(Clear::Quiet),
            _ => {}
        }
        self.condition(&text, family, own, Silence::False).map(Clear::When)
    }

    fn escalate(
        &mut self,
        section: &Section<'_>,
        family: Family,
        own: Option<&RuleId>,
        severity: Option<Severity>,
        certainty: Option<Certainty>,
    ) -> Vec<Escalation> {
        let mut steps = Vec::new();
        for value in section.array("escalate", self.faults).unwrap_or_default() {
            let Some((start, values)) = table("escalate", value, self.faults) else { continue };
            let step = Section::new(values, start, "`escalate`", &["when", "severity", "certainty"], self.faults);
            let when = step
                .need_text("when", self.faults)
                .and_then(|text| self.condition(&text, family, own, Silence::Either));
            if !step.has("severity") && !step.has("certainty") {
                self.faults.add::<()>(start, "`escalate` needs `severity` or `certainty`");
            }
            let severity = self.higher(&step, "severity", Severity::ALL, Severity::name, severity);
            let certainty = self.higher(&step, "certainty", Certainty::ALL, Certainty::name, certainty);
            steps.extend(when.map(|when| Escalation { when, severity, certainty }));
        }
        steps
    }

    fn causes(&mut self, section: &Section<'_>, family: Family, own: Option<&RuleId>) -> Vec<(Expr, Box<str>)> {
        let mut causes = Vec::new();
        for value in section.array("causes", self.faults).unwrap_or_default() {
            let Some((start, values)) = table("causes", value, self.faults) else { continue };
            let cause = Section::new(values, start, "`causes`", &["when", "cause"], self.faults);
            let when = cause
                .need_text("when", self.faults)
                .and_then(|text| self.condition(&text, family, own, Silence::Either));
            let name = cause.need_text("cause", self.faults).and_then(|text| self.line("cause", text));
            causes.extend(when.zip(name));
        }
        causes
    }

    /// A word above the rule's own, where there is one.
    fn higher<T: Copy + Ord>(
        &mut self,
        step: &Section<'_>,
        key: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
        own: Option<T>,
    ) -> Option<T> {
        let (_, value) = step.key(key)?;
        let word = self.word(step, key, all, &name)?;
        match own.filter(|own| word <= *own) {
            Some(own) => {
                let message = format!("`escalate` to {} doesn't rise above {}", name(word), name(own));
                self.faults.add(value.span().start, message)
            }
            None => Some(word),
        }
    }
}

/// Days left at which an open alert is told again, from the most on.
fn crossings(section: &Section<'_>, faults: &mut Faults) -> Vec<i64> {
    let mut crossings: Vec<i64> = Vec::new();
    for value in section.array("crossings", faults).unwrap_or_default() {
        let most = limits::RULE_CROSSING_DAYS;
        match number(value).filter(|days| (0..=most).contains(days)) {
            None => _ = faults.add::<()>(value.span().start, format!("`crossings` has whole numbers from 0 to {most}")),
            Some(days) if crossings.last().is_some_and(|before| *before <= days) => {
                faults.add::<()>(value.span().start, "`crossings` descends: days left get fewer");
            }
            Some(days) => crossings.push(days),
        }
    }
    crossings
}

fn number(value: &Spanned<DeValue<'_>>) -> Option<i64> {
    match value.get_ref() {
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok(),
        _ => None,
    }
}

/// After how many keep-alives of silence.
pub(super) fn absent(section: &Section<'_>, faults: &mut Faults) -> Option<u32> {
    let (_, value) = section.key("absent")?;
    let (start, values) = table("absent", value, faults)?;
    let section = Section::new(values, start, "`absent`", &["keep_alives"], faults);
    section.need("keep_alives", faults)?;
    section.count("keep_alives", limits::RULE_KEEP_ALIVES, faults)
}

pub(super) fn not_one_of(key: &str, word: &str, all: &[&str]) -> String {
    let hint = did_you_mean(word, all.iter().copied());
    let hint = if hint.is_empty() { format!("; it is one of {}", all.join(", ")) } else { hint };
    format!("`{key}` can't be {word:?}{hint}")
}
