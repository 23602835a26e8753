//! From when to when things are compared, and how far around that is replayed.

use crate::core::rules::{Family, Moments, Rule, RuleSet};
use crate::limits;
use crate::model::time::Wall;

use super::matching::TOLERANCE_MS;

/// Alerts count that opened within `from` ≤ t < `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Frames are replayed from here on, so that it is known what stands at `from`.
    pub begin: Wall,
    pub from: Wall,
    pub to: Wall,
    /// Up to here: an alert that was raised before `to` may come later under other rules.
    pub end: Wall,
    /// Some rule looks back further than frames are replayed.
    pub is_cut: bool,
}

impl Span {
    /// Around `from`..`to` as these rules need it, and nothing after `now`.
    pub fn around(from: Wall, to: Wall, now: Wall, sets: &[&RuleSet]) -> Self {
        let most = |of: &dyn Fn(&Rule, &Moments) -> i64| {
            let of_set = |set: &&RuleSet| set.all_rules().into_iter().map(|rule| of(rule, &set.moments)).max();
            sets.iter().filter_map(of_set).max().unwrap_or(0)
        };
        let moments_ms = sets.iter().map(|set| back_ms(set)).max().unwrap_or(0);
        let needed_ms = most(&|rule, moments| until_open_ms(rule, moments) + rule.clear_for_ms) + moments_ms;
        let before_ms = needed_ms.clamp(limits::BACKTEST_WARM_UP_MS_MIN, limits::BACKTEST_WARM_UP_MS);
        let after_ms = TOLERANCE_MS + most(&until_open_ms).min(limits::BACKTEST_WARM_UP_MS);
        let end = (to + after_ms).min(now.max(to));
        Self { begin: (from - before_ms).max(Wall(0)), from, to, end, is_cut: needed_ms > before_ms }
    }

    pub fn holds(&self, at: Wall) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// How long it may take from what a rule is about to its alert.
pub(super) fn until_open_ms(rule: &Rule, moments: &Moments) -> i64 {
    if rule.family != Family::Elevator {
        return 0;
    }
    let counted_ms = rule.count.map_or(0, |count| count.within_ms);
    let silent_ms = rule.absent.map_or(0, |keep_alives| i64::from(keep_alives) * moments.keep_alive_ms);
    rule.for_ms + counted_ms + silent_ms
}

/// How far back all rules of the set look by what they have in common.
fn back_ms(set: &RuleSet) -> i64 {
    let Moments { reopen_within_ms, late_codes_ms, rearm_ms, unknown_after_ms, .. } = set.moments;
    let windows_ms = set.windows.iter().map(|window| i64::from(window.span_ms)).max().unwrap_or(0);
    (reopen_within_ms + late_codes_ms).max(rearm_ms).max(unknown_after_ms).max(windows_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rules;

    const HOUR_MS: i64 = 3_600_000;

    fn set(more: &str) -> RuleSet {
        let rule = "[[rule]]\nid = \"a\"\non = \"elevator\"\nwhen = \"passenger\"\nseverity = \"minor\"\n\
                    certainty = \"likely\"\ntitle = { en = \"A\", zh = \"甲\" }\n";
        rules::parse(&[("a.toml".into(), format!("{rule}{more}").into())]).unwrap()
    }

    /// How long before and after ten hours, twenty hours ago, is replayed, and whether that is too short.
    fn check(rules: &[&str], before_ms: i64, after_ms: i64, is_cut: bool) {
        let sets: Vec<RuleSet> = rules.iter().map(|more| set(more)).collect();
        let (from, to, now) = (Wall(1_000 * HOUR_MS), Wall(1_010 * HOUR_MS), Wall(1_030 * HOUR_MS));
        let span = Span::around(from, to, now, &sets.iter().collect::<Vec<_>>());
        assert_eq!((from - span.begin, span.end - to, span.is_cut), (before_ms, after_ms, is_cut), "{rules:?}");
    }

    #[test]
    fn the_longest_of_all_rules_counts_within_bounds() {
        check(&["for = \"30s\""], HOUR_MS, TOLERANCE_MS + 30_000, false);
        check(&["for = \"30s\"", "for = \"2h\""], 2 * HOUR_MS + 660_000, TOLERANCE_MS + 2 * HOUR_MS, false);
        let over = "[[override]]\nrule = \"a\"\ndistrict = \"6401\"\nfor = \"3h\"";
        check(
            &["for = \"30s\"", &format!("for = \"2h\"\n{over}")],
            3 * HOUR_MS + 660_000,
            TOLERANCE_MS + 3 * HOUR_MS,
            false,
        );
        check(
            &["for = \"2h\"\nclear_for = \"720h\"", ""],
            limits::BACKTEST_WARM_UP_MS,
            TOLERANCE_MS + 2 * HOUR_MS,
            true,
        );
        // Nothing is known of the future.
        check(&["for = \"30h\""], 30 * HOUR_MS + 660_000, 20 * HOUR_MS, false);
    }
}
