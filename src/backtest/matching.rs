//! Which alert of a replay is which that was raised, and what differs.

use std::collections::BTreeMap;

use super::alerts::Alert;
use super::rules::Rules;
use super::span::Span;
use crate::model::ids::RuleId;
use crate::model::time::Wall;

/// Alerts of one rule and lift are the same when they were open at the same time, or opened no further apart than this:
/// what a person cleared at once may open later under other rules, and would still be what that person was called for.
pub const TOLERANCE_MS: i64 = 10 * 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Gained,
    Lost,
    /// The same alert, opened at another time, or with another severity or certainty.
    Moved,
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Moved => "moved",
        }
    }
}

/// Something that was raised otherwise than it would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub change: Change,
    /// As it was; `None`: gained.
    pub raised: Option<Alert>,
    /// As it would have been; `None`: lost.
    pub replayed: Option<Alert>,
    /// The rules in force, replayed, differ from what was raised likewise: it is not by the rules. Or the replay ended
    /// while the alert could still have come.
    pub unsure: bool,
}

impl Difference {
    pub fn rule(&self) -> &RuleId {
        let alert = self.raised.as_ref().or(self.replayed.as_ref()).expect("a difference is of one alert at least");
        &alert.rule
    }

    /// How much later it would have opened.
    pub fn shift_ms(&self) -> Option<i64> {
        Some(self.replayed.as_ref()?.opened_at - self.raised.as_ref()?.opened_at)
    }
}

/// One rule of one lift.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// Alerts that were raised in the span.
    pub raised: u64,
    /// Alerts that would have been.
    pub replayed: u64,
    /// Alerts raised in the span that the rules in force raise in the replay as well, at the same time and alike.
    pub reproduced: u64,
    pub differences: Vec<Difference>,
}

/// What differs for one lift, by rule: what was raised, what the new rules come to, and what those in force do, if they
/// were replayed.
pub fn compare(
    span: &Span,
    rules: &Rules,
    raised: &[Alert],
    new: &[Alert],
    old: Option<&[Alert]>,
) -> BTreeMap<RuleId, Compared> {
    let mut by_rule: BTreeMap<&RuleId, [Vec<&Alert>; 3]> = BTreeMap::new();
    for (nth, alerts) in [raised, new, old.unwrap_or_default()].into_iter().enumerate() {
        for alert in alerts.iter().filter(|alert| rules.covers(&alert.rule)) {
            by_rule.entry(&alert.rule).or_default()[nth].push(alert);
        }
    }
    let of_rule = |(rule, mut lists): (&RuleId, [Vec<&Alert>; 3])| {
        lists.iter_mut().for_each(|list| list.sort_by_key(|alert| alert.opened_at));
        let [raised, new, in_force] = &lists;
        let decided_to = span.end - rules.opens_within_ms(rule);
        let same_time_ms = rules.same_time_ms(rule);
        let old = old.map(|_| in_force.as_slice());
        (rule.clone(), compare_rule(span, decided_to, same_time_ms, raised, new, old))
    };
    by_rule.into_iter().map(of_rule).collect()
}

fn compare_rule(
    span: &Span,
    decided_to: Wall,
    same_time_ms: i64,
    raised: &[&Alert],
    new: &[&Alert],
    old: Option<&[&Alert]>,
) -> Compared {
    let is_alike = |a: &Alert, b: &Alert| is_alike(a, b, same_time_ms);
    let to_new = pairs(raised, new);
    let to_old = old.map(|old| (old, pairs(raised, old)));
    let mut compared = Compared::default();
    for (nth, alert) in raised.iter().enumerate().filter(|(_, alert)| span.holds(alert.opened_at)) {
        let replayed = to_new.partner(nth).map(|at| new[at]);
        let in_force = to_old.as_ref().map(|(old, pairs)| pairs.partner(nth).map(|at| old[at]));
        compared.raised += 1;
        compared.reproduced += u64::from(in_force.flatten().is_some_and(|in_force| is_alike(alert, in_force)));
        if replayed.is_some_and(|replayed| is_alike(alert, replayed)) {
            continue;
        }
        let unsure = match (replayed, in_force) {
            (None, _) if alert.opened_at > decided_to => true,
            (_, None) => false,
            (None, Some(in_force)) => in_force.is_none(),
            (Some(replayed), Some(in_force)) => in_force.is_some_and(|in_force| is_alike(replayed, in_force)),
        };
        let change = if replayed.is_some() { Change::Moved } else { Change::Lost };
        let (raised, replayed) = (Some((*alert).clone()), replayed.cloned());
        compared.differences.push(Difference { change, raised, replayed, unsure });
    }
    compared.replayed = new.iter().filter(|alert| span.holds(alert.opened_at)).count() as u64;
    let alone = |alerts: &[&Alert], pairs: &Pairs| -> Vec<usize> {
        (0..alerts.len()).filter(|at| !pairs.of_right.contains_key(at)).collect()
    };
    let gained = alone(new, &to_new);
    let gained_by_both: Vec<usize> = to_old.as_ref().map_or_else(Vec::new, |(old, pairs_of_old)| {
        let by_new: Vec<&Alert> = gained.iter().map(|at| new[*at]).collect();
        let by_old: Vec<&Alert> = alone(old, pairs_of_old).into_iter().map(|at| old[at]).collect();
        pairs(&by_new, &by_old).of_left.into_keys().map(|at| gained[at]).collect()
    });
    for at in gained.into_iter().filter(|at| span.holds(new[*at].opened_at)) {
        let (replayed, unsure) = (Some(new[at].clone()), gained_by_both.contains(&at));
        compared.differences.push(Difference { change: Change::Gained, raised: None, replayed, unsure });
    }
    compared
}

/// Opened at the same time, with the same severity and certainty as far as they are known.
fn is_alike(a: &Alert, b: &Alert, same_time_ms: i64) -> bool {
    let is_level = a.level.zip(b.level).is_none_or(|(a, b)| a == b);
    is_level && (a.opened_at - b.opened_at).abs() <= same_time_ms
}

/// Which of the left are which of the right, by their places.
#[derive(Debug, Default)]
struct Pairs {
    of_left: BTreeMap<usize, usize>,
    of_right: BTreeMap<usize, usize>,
}

impl Pairs {
    fn partner(&self, left: usize) -> Option<usize> {
        self.of_left.get(&left).copied()
    }
}

/// Each alert has one partner at most; those that opened nearest to each other come first. Both lists are in the order
/// in which alerts opened.
fn pairs(left: &[&Alert], right: &[&Alert]) -> Pairs {
    let mut near: Vec<(i64, usize, usize)> = Vec::new();
    for (at, alert) in left.iter().enumerate() {
        // Before those that opened in time, only the last one can still have been open.
        let first = right.partition_point(|other| other.opened_at < alert.opened_at - TOLERANCE_MS).saturating_sub(1);
        let ends = alert.cleared_at.map_or(alert.opened_at, |cleared| cleared.max(alert.opened_at));
        let within = right[first..].iter().enumerate().take_while(|(_, other)| {
            alert.cleared_at.is_none() || other.opened_at <= ends.max(alert.opened_at + TOLERANCE_MS)
        });
        let same = within.filter(|(_, other)| is_same(alert, other));
        near.extend(same.map(|(n, other)| ((alert.opened_at - other.opened_at).abs(), at, first + n)));
    }
    near.sort_unstable();
    let mut pairs = Pairs::default();
    for (_, left, right) in near {
        if !pairs.of_left.contains_key(&left) && !pairs.of_right.contains_key(&right) {
            pairs.of_left.insert(left, right);
            pairs.of_right.insert(right, left);
        }
    }
    pairs
}

fn is_same(a: &Alert, b: &Alert) -> bool {
    let was_open = |alert: &Alert, other: &Alert| {
        alert.opened_at <= other.opened_at && alert.cleared_at.is_none_or(|cleared| other.opened_at <= cleared)
    };
    (a.opened_at - b.opened_at).abs() <= TOLERANCE_MS || was_open(a, b) || was_open(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rules;
    use crate::model::alert::{Certainty, Severity};

    /// From 1,000 s to 2,000 s.
    fn span() -> Span {
        let at = |s: i64| Wall(s * 1_000);
        Span { begin: at(0), from: at(1_000), to: at(2_000), end: at(3_000), is_cut: false }
    }

    /// `1000.5-1060` opened and cleared, in s; `1000-` is still open. `!` after it is graver.
    fn alerts(text: &str) -> Vec<Alert> {
        let read = |word: &str| {
            let (word, severity) = match word.strip_suffix('!') {
                Some(word) => (word, Severity::Critical),
                None => (word, Severity::Major),
            };
            let (opened, cleared) = word.split_once('-').unwrap();
            let at = |s: &str| Wall((s.parse::<f64>().unwrap() * 1_000.0) as i64);
            Alert {
                rule: RuleId::parse("door-fault").unwrap(),
                opened_at: at(opened),
                cleared_at: (!cleared.is_empty()).then(|| at(cleared)),
                level: Some((severity, Certainty::Likely)),
            }
        };
        text.split_whitespace().map(read).collect()
    }

    /// In words: what was raised and would have been, how many the rules in force reproduce, and each difference, with a
    /// question mark where it is unsure.
    fn check(raised: &str, new: &str, old: Option<&str>, want: &str) {
        let (raised, new, old) = (alerts(raised), alerts(new), old.map(alerts));
        let rule = "[[rule]]\nid = \"door-fault\"\non = \"elevator\"\nwhen = \"fault(2)\"\nfor = \"1100s\"\nseverity = \"minor\"\n\
                    certainty = \"likely\"\ntitle = { en = \"A\", zh = \"甲\" }\n";
        let set = rules::parse(&[("a.toml".into(), rule.into())]).unwrap();
        let compared = compare(&span(), &Rules::of(&set, &set), &raised, &new, old.as_deref());
        let compared = compared.into_values().next().unwrap_or_default();
        let mut got = vec![format!("{} {} {}", compared.raised, compared.replayed, compared.reproduced)];
        got.extend(compared.differences.iter().map(|difference| {
            let alert = difference.raised.as_ref().or(difference.replayed.as_ref()).unwrap();
            let (change, opened_s) = (difference.change.name(), alert.opened_at.0 / 1_000);
            let shift = difference.shift_ms().map(|ms| format!(" by {ms}")).unwrap_or_default();
            format!("{change}{} {opened_s}{shift}", if difference.unsure { "?" } else { "" })
        }));
        assert_eq!(got.join(", "), want, "{raised:?} {new:?} {old:?}");
    }

    #[test]
    fn what_differs_is_gained_lost_or_moved() {
        check("", "", None, "0 0 0");
        check("1100-1200", "1100-1200", None, "1 1 0");
        check("1100-1200", "1101-1200", None, "1 1 0");
        check("1100-1200", "1101.001-1200", None, "1 1 0, moved 1100 by 1001");
        check("1100-1200", "1070-1200", None, "1 1 0, moved 1100 by -30000");
        check("1100-1200", "1100-1300", None, "1 1 0");
        check("1100-1200", "1100-1200!", None, "1 1 0, moved 1100 by 0");
        check("1100-1200", "", None, "1 0 0, lost 1100");
        check("", "1100-1200", None, "0 1 0, gained 1100");
    }

    #[test]
    fn the_same_alert_was_open_at_the_same_time_or_opened_soon() {
        check("1000-1010", "1600-1700", None, "1 1 0, moved 1000 by 600000");
        check("1000-1010", "1600.001-1700", None, "1 1 0, lost 1000, gained 1600");
        check("1000-1700", "1650-1700", None, "1 1 0, moved 1000 by 650000");
        check("1000-", "1900-", None, "1 1 0, moved 1000 by 900000");
        // One for one, the nearest first.
        check("1000-1100 1200-1300", "1090-1300", None, "2 1 0, moved 1000 by 90000, lost 1200");
        check("1000-1190", "1000-1050 1100-1190", None, "1 2 0, gained 1100");
        check("1000-1050 1100-1190", "1000-1190", None, "2 1 0, lost 1100");
    }

    #[test]
    fn only_what_opened_within_the_span_counts() {
        check("900-1100", "", None, "0 0 0");
        check("", "900-1100", None, "0 0 0");
        check("2000-2100", "", None, "0 0 0");
        // It was raised before, and would have been later: nothing is gained.
        check("990-1100", "1020-1100", None, "0 1 0");
        // It would have opened before, or only afterwards.
        check("1010-1100", "980-1100", None, "1 0 0, moved 1010 by -30000");
        check("1990-2100", "2020-2100", None, "1 0 0, moved 1990 by 30000");
    }

    #[test]
    fn what_could_still_have_come_is_unsure() {
        // The hold is of 1,100 s, and the replay ends at 3,000 s.
        check("1900-1910", "", Some("1900-1910"), "1 0 1, lost 1900");
        check("1901-1910", "", Some("1901-1910"), "1 0 1, lost? 1901");
        check("1901-1910", "1931-1940", Some("1901-1910"), "1 1 1, moved 1901 by 30000");
    }

    #[test]
    fn what_the_rules_in_force_differ_in_likewise_is_unsure() {
        check("1100-1200", "1100-1200", Some("1100-1200"), "1 1 1");
        check("1100-1200", "", Some("1100-1200"), "1 0 1, lost 1100");
        check("1100-1200", "", Some(""), "1 0 0, lost? 1100");
        check("", "1100-1200", Some(""), "0 1 0, gained 1100");
        check("", "1100-1200", Some("1110-1200"), "0 1 0, gained? 1100");
        check("1100-1200", "1107-1200", Some("1107-1200"), "1 1 0, moved? 1100 by 7000");
        check("1100-1200", "1137-1200", Some("1107-1200"), "1 1 0, moved 1100 by 37000");
        check("1100-1200", "1130-1200", Some(""), "1 1 0, moved 1100 by 30000");
        // The old one that is raised too explains nothing that is new.
        check("1100-1110", "1100-1110 1800-1900", Some("1100-1110"), "1 2 1, gained 1800");
    }
}
