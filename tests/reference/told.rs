//! An alert event as both sides tell it, and how the two are held against each other.

use std::collections::BTreeMap;
use std::fmt;

use vigil::model::alert::{Certainty, EventKind, Reason, Severity};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// When it was published; both times in ms from the beginning.
    pub(crate) told_ms: i64,
    pub(crate) lift: usize,
    pub(crate) rule: &'static str,
    pub(crate) kind: EventKind,
    pub(crate) opening: u32,
    pub(crate) severity: Severity,
    pub(crate) certainty: Certainty,
    pub(crate) reason: Reason,
    /// When it came true.
    pub(crate) true_ms: i64,
    pub(crate) delayed: bool,
    pub(crate) dispatch: bool,
    pub(crate) unregistered: bool,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { told_ms, lift, rule, kind, opening, severity, certainty, reason, true_ms, .. } = self;
        write!(f, "{told_ms:>9} ms  {} {rule}/{opening} {} ", lift_name(*lift), kind.name())?;
        write!(f, "{} {} {}, true at {true_ms}", severity.name(), certainty.name(), reason.name())?;
        let mut flag = |is: bool, word: &str| if is { write!(f, ", {word}") } else { Ok(()) };
        flag(self.delayed, "delayed")?;
        flag(self.dispatch, "dispatched")?;
        flag(self.unregistered, "unregistered")
    }
}

pub(crate) fn lift_name(lift: usize) -> char {
    char::from(b'A' + u8::try_from(lift).unwrap())
}

/// Where the two differ, rule by rule of each lift: in which order different rules speak at the same ms isn't promised.
pub(crate) fn difference(foretold: &[Told], told: &[Told]) -> Option<String> {
    let (foretold, told) = (by_rule(foretold), by_rule(told));
    let rules: std::collections::BTreeSet<_> = foretold.keys().chain(told.keys()).collect();
    let mut text = String::new();
    for rule in rules {
        let of = |side: &BTreeMap<_, Vec<Told>>| side.get(rule).cloned().unwrap_or_default();
        let (model, engine) = (of(&foretold), of(&told));
        let same = model.iter().zip(&engine).take_while(|(a, b)| is_same(a, b)).count();
        if same == model.len().max(engine.len()) {
            continue;
        }
        text += &format!("{} {}:\n", lift_name(rule.0), rule.1);
        for event in &model[..same] {
            text += &format!("  both:   {event}\n");
        }
        for event in &model[same..] {
            text += &format!("  model:  {event}\n");
        }
        for event in &engine[same..] {
            text += &format!("  engine: {event}\n");
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Without what nobody promises: to which moment of the device's own time a confirmation belongs. It is known to be so
/// now, by all that came in meanwhile.
fn promised(event: Told) -> Told {
    let is_confirmed = event.kind == EventKind::Raised && event.reason == Reason::Confirmed;
    if is_confirmed { Told { true_ms: event.told_ms, delayed: false, ..event } } else { event }
}

/// When it has been quiet for long enough is promised to the second: silence in between is known by markers.
fn is_same(one: &Told, other: &Told) -> bool {
    let is_quiet = matches!(one.rule, "door-fault" | "fault-repeats") && one.reason == Reason::ConditionEnded;
    let is_near = is_quiet && (one.told_ms - other.told_ms).abs() <= 1_000;
    let told = if is_near { Told { told_ms: other.told_ms, true_ms: other.true_ms, ..*one } } else { *one };
    told == *other
}

fn by_rule(events: &[Told]) -> BTreeMap<(usize, &'static str), Vec<Told>> {
    let mut by_rule: BTreeMap<_, Vec<Told>> = BTreeMap::new();
    for event in events {
        by_rule.entry((event.lift, event.rule)).or_default().push(promised(*event));
    }
    by_rule
}
