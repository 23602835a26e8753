//! A number for what a rule judges by: the same for the same meaning, in every run and on every machine.

use std::fmt::{self, Write as _};

use super::Directory;
use crate::core::rules::{Clear, Count, Rule};
use crate::model::ids::RuleId;

/// FNV-1a, 64 bits. It must never change: it decides what state survives a reload.
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}

/// Indices differ from rule set to rule set, so names stand for them.
pub(super) fn of(rule: &Rule, extras: &[Box<str>], directory: &Directory) -> u64 {
    let rules: Vec<&str> = directory.keys().map(RuleId::as_str).collect();
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    write(&mut hash, rule, extras, &rules).expect("hashing can't fail");
    hash.0
}

fn write(hash: &mut Fnv, rule: &Rule, extras: &[Box<str>], rules: &[&str]) -> fmt::Result {
    writeln!(hash, "{} on {}", rule.id, rule.family.name())?;
    writeln!(hash, "when {}", rule.when.canonical(extras, rules))?;
    if let Some(suppress) = &rule.suppress {
        writeln!(hash, "suppress {}", suppress.canonical(extras, rules))?;
    }
    if let Some(deny) = &rule.deny {
        writeln!(hash, "deny {}", deny.canonical(extras, rules))?;
    }
    writeln!(hash, "for {} drop {} clear_for {}", rule.for_ms, rule.drop_ms, rule.clear_for_ms)?;
    match &rule.clear {
        Clear::WhenFalse => writeln!(hash, "clear")?,
        Clear::When(expr) => writeln!(hash, "clear when {}", expr.canonical(extras, rules))?,
        Clear::Manual => writeln!(hash, "clear manual")?,
        Clear::Maintained => writeln!(hash, "clear maintained")?,
        Clear::Heard => writeln!(hash, "clear heard")?,
        Clear::Quiet => writeln!(hash, "clear quiet")?,
    }
    if let Some(Count { times, within_ms, each }) = rule.count {
        writeln!(hash, "count {times} within {within_ms} each {each}")?;
    }
    writeln!(hash, "absent {}", rule.absent.unwrap_or(0))?;
    for other in &rule.unless {
        writeln!(hash, "unless {}", rules[usize::from(*other)])?;
    }
    // Rules without any keep the number that they had before there were crossings.
    if !rule.crossings.is_empty() {
        writeln!(hash, "crossings {:?}", rule.crossings)?;
    }
    writeln!(hash, "{} {}", rule.severity.name(), rule.certainty.name())?;
    for step in &rule.escalate {
        let when = step.when.canonical(extras, rules);
        if let Some(severity) = step.severity {
            writeln!(hash, "escalate {} when {when}", severity.name())?;
        }
        if let Some(certainty) = step.certainty {
            writeln!(hash, "escalate certainty {} when {when}", certainty.name())?;
        }
    }
    writeln!(hash, "dispatch {}", rule.dispatch.as_deref().unwrap_or_default())
}
