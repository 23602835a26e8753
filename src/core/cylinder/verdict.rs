//! Whether a cylinder may be filled: every reason why not. No answer at all means no as well, so whatever isn't known
//! to be in order is a reason.

use super::custody::{Custody, Flag};
use crate::core::rules::Tri;
use crate::model::fill::reason;

/// How it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFacts {
    /// The gun gave its request a name, by which it will know the answer.
    pub has_request: bool,
    /// It was asked longer ago than an answer is good, or nobody knows when.
    pub is_stale: bool,
    /// Another gun was allowed to fill it, and that may still come.
    pub is_reserved: bool,
    /// Both the gun and the archive name a medium.
    pub has_medium: bool,
}

/// How the cylinder stands, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingFacts {
    /// Archived, and neither scrapped nor one of two with the same code.
    pub is_registered: bool,
    pub custody: Custody,
    /// Somebody who may has told of it since journals were lost or replaced, if they were.
    pub is_confirmed: bool,
}

/// All that applies, ascending, without repeats; none: it may be filled. `rules`: what the rules that deny fillings say
/// of it, each with its id.
pub fn reasons<'a>(
    request: &RequestFacts,
    standing: &StandingFacts,
    rules: impl Iterator<Item = (&'a str, Tri)>,
) -> Vec<Box<str>> {
    let own = [
        (reason::NO_REQUEST, !request.has_request),
        (reason::STALE, request.is_stale),
        (reason::RESERVED, request.is_reserved),
        (reason::NO_MEDIUM, !request.has_medium),
        (reason::UNCHECKED, !standing.custody.has(Flag::Checked)),
    ];
    ascending(of_standing(standing, rules).chain(applying(own)))
}

/// What of it doesn't depend on a request.
pub fn standing_reasons<'a>(standing: &StandingFacts, rules: impl Iterator<Item = (&'a str, Tri)>) -> Vec<Box<str>> {
    ascending(of_standing(standing, rules))
}

/// A rule whose condition isn't known denies, too; but what isn't known of a cylinder that isn't registered is told as one
/// thing.
fn of_standing<'a>(
    standing: &StandingFacts,
    rules: impl Iterator<Item = (&'a str, Tri)>,
) -> impl Iterator<Item = &'a str> {
    let mut rules = rules.peekable();
    let has = |flag| standing.custody.has(flag);
    let own = [
        (reason::NO_RULES, rules.peek().is_none()),
        (reason::UNREGISTERED, !standing.is_registered),
        (reason::UNCONFIRMED, !standing.is_confirmed),
        (reason::DISABLED, has(Flag::Disabled)),
        (reason::LOST, has(Flag::Lost)),
        (reason::AT_INSPECTION, has(Flag::AtInspection)),
    ];
    let is_registered = standing.is_registered;
    let denying = rules.filter(move |(_, says)| says.is_true() || (says.is_unknown() && is_registered));
    denying.map(|(id, _)| id).chain(applying(own))
}

fn applying<const N: usize>(reasons: [(&str, bool); N]) -> impl Iterator<Item = &str> {
    reasons.into_iter().filter_map(|(reason, applies)| applies.then_some(reason))
}

fn ascending<'a>(reasons: impl Iterator<Item = &'a str>) -> Vec<Box<str>> {
    let mut reasons: Vec<&str> = reasons.collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons.into_iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_order() -> (RequestFacts, StandingFacts) {
        let custody = Custody { flags: Flag::Checked as u8, ..Custody::default() };
        (
            RequestFacts { has_request: true, is_stale: false, is_reserved: false, has_medium: true },
            StandingFacts { is_registered: true, custody, is_confirmed: true },
        )
    }

    const RULES: [&str; 3] = ["cylinder-foreign", "cylinder-overdue", "cylinder-unregistered"];

    #[test]
    fn a_rule_that_says_nothing_certain_denies_what_the_archive_has() {
        let (request, standing) = in_order();
        let rules = |says: [Tri; 3]| RULES.into_iter().zip(says);
        let all_false = [Tri::False; 3];
        assert_eq!(reasons(&request, &standing, rules(all_false)), []);
        let unknown = [Tri::False, Tri::Unknown, Tri::False];
        assert_eq!(reasons(&request, &standing, rules(unknown)), ["cylinder-overdue".into()]);
        let nowhere = StandingFacts { is_registered: false, ..standing };
        assert_eq!(reasons(&request, &nowhere, rules(unknown)), ["cylinder-unregistered".into()]);
        assert_eq!(reasons(&request, &standing, std::iter::empty()), ["no-rules".into()]);
    }

    proptest! {
        /// Each thing that is wrong has its reason, whatever else is wrong, and only with nothing wrong there is none.
        #[test]
        fn reasons_are_complete_and_ascending(
            wrong in prop::collection::vec(any::<bool>(), 9),
            says in prop::collection::vec(prop::sample::select(vec![Tri::True, Tri::False, Tri::Unknown]), 3),
        ) {
            let (mut request, mut standing) = in_order();
            request.has_request = !wrong[0];
            request.is_stale = wrong[1];
            request.is_reserved = wrong[2];
            request.has_medium = !wrong[3];
            let flags = [(Flag::Disabled, wrong[5]), (Flag::Lost, wrong[6]), (Flag::AtInspection, wrong[7])];
            standing.custody.flags = flags.iter().filter(|(_, is)| *is).map(|(flag, _)| *flag as u8).sum();
            standing.custody.flags |= if wrong[4] { 0 } else { Flag::Checked as u8 };
            standing.is_confirmed = !wrong[8];
            let names = ["no-request", "stale", "reserved", "no-medium", "unchecked", "disabled", "lost", "at-inspection", "unconfirmed"];
            let mut wanted: Vec<&str> = names.into_iter().zip(&wrong).filter(|(_, is)| **is).map(|(name, _)| name).collect();
            wanted.extend(RULES.into_iter().zip(&says).filter(|(_, says)| !says.is_false()).map(|(id, _)| id));
            wanted.sort_unstable();
            let got = reasons(&request, &standing, RULES.into_iter().zip(says));
            prop_assert_eq!(got.iter().map(|it| &**it).collect::<Vec<_>>(), wanted);
        }
    }
}
