//! Whether a cylinder may be filled: every reason why not. No answer at all means no as well, so whatever isn't known
//! to be in order is a reason.

use super::custody::{Custody, Flag};
use crate::core::rules::Tri;
use crate::model::fill::reason;

/// What the answer depends on beside the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillFacts {
    /// The gun gave its request a name, by which it will know the answer.
    pub has_request: bool,
    /// It was asked longer ago than an answer is good, or nobody knows when.
    pub is_stale: bool,
    /// Another gun was allowed to fill it, and that may still come.
    pub is_reserved: bool,
    /// Both the gun and the archive name a medium.
    pub has_medium: bool,
    pub is_archived: bool,
    /// Archived, and neither scrapped nor one of two with the same code.
    pub is_registered: bool,
    pub custody: Custody,
}

/// All that applies, ascending, without repeats; none: it may be filled. `rules`: what the rules that deny fillings say
/// of it, each with its id. One whose condition isn't known denies, too; but what isn't known of a cylinder that the
/// archive lacks is told as one thing.
pub fn reasons<'a>(facts: &FillFacts, rules: impl Iterator<Item = (&'a str, Tri)>) -> Vec<Box<str>> {
    let mut reasons: Vec<&str> = Vec::new();
    let mut has_rules = false;
    for (id, says) in rules {
        has_rules = true;
        let denies = says.is_true() || (says.is_unknown() && facts.is_archived);
        reasons.extend(denies.then_some(id));
    }
    let has = |flag| facts.custody.has(flag);
    let own = [
        (reason::NO_RULES, !has_rules),
        (reason::UNREGISTERED, !facts.is_registered),
        (reason::NO_REQUEST, !facts.has_request),
        (reason::STALE, facts.is_stale),
        (reason::RESERVED, facts.is_reserved),
        (reason::NO_MEDIUM, !facts.has_medium),
        (reason::UNCHECKED, !has(Flag::Checked)),
        (reason::DISABLED, has(Flag::Disabled)),
        (reason::LOST, has(Flag::Lost)),
        (reason::AT_INSPECTION, has(Flag::AtInspection)),
    ];
    reasons.extend(own.into_iter().filter_map(|(reason, applies)| applies.then_some(reason)));
    reasons.sort_unstable();
    reasons.dedup();
    reasons.into_iter().map(Into::into).collect()
}
