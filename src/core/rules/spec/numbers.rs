//! The `[storm]` and `[flapping]` tables: what is said of alerts that come in numbers.

use toml::de::DeTable;

use super::section::{Faults, Section, table};
use crate::core::rules::{FlappingRule, StormRule};
use crate::limits;

/// Reads a table of all rules, which stands in one file only.
pub(super) fn read<T>(
    top: &Section<'_>,
    key: &'static str,
    place: &mut Option<T>,
    read: fn(&DeTable<'_>, usize, &mut Faults) -> T,
    faults: &mut Faults,
) {
    let Some((at, value)) = top.key(key) else { return };
    let Some((_, values)) = table(key, value, faults) else { return };
    if place.is_some() {
        faults.add::<()>(at, format!("`[{key}]` stands in another file already"));
    }
    *place = Some(read(values, at, faults));
}

/// What isn't given, or is faulty, has its default; so below.
pub(super) fn storm(values: &DeTable<'_>, start: usize, faults: &mut Faults) -> StormRule {
    let keys = &["within", "building", "feeder", "district"];
    let section = Section::new(values, start, "`[storm]`", keys, faults);
    let mut rule = StormRule::default();
    within(&section, limits::STORM_MS, &mut rule.within_ms, faults);
    for (key, place) in
        [("building", &mut rule.building), ("feeder", &mut rule.feeder), ("district", &mut rule.district)]
    {
        several(&section, key, limits::STORM_LIFTS as u32, place, faults);
    }
    rule
}

pub(super) fn flapping(values: &DeTable<'_>, start: usize, faults: &mut Faults) -> FlappingRule {
    let section = Section::new(values, start, "`[flapping]`", &["openings", "within"], faults);
    let mut rule = FlappingRule::default();
    within(&section, limits::RULE_SPAN_MS, &mut rule.within_ms, faults);
    several(&section, "openings", limits::FLAPPING_OPENINGS, &mut rule.openings, faults);
    rule
}

fn within(section: &Section<'_>, most_ms: i64, place: &mut i64, faults: &mut Faults) {
    let (Some((_, value)), Some(span_ms)) = (section.key("within"), section.span_ms("within", faults)) else { return };
    if (1..=most_ms).contains(&span_ms) {
        *place = span_ms;
    } else {
        let most_h = most_ms / 3_600_000;
        faults.add::<()>(value.span().start, format!("`within` must be longer than 0 and at most {most_h} h"));
    }
}

/// One alone is neither a storm nor flapping.
fn several(section: &Section<'_>, key: &str, most: u32, place: &mut u32, faults: &mut Faults) {
    let Some((_, value)) = section.key(key) else { return };
    match section.count(key, most, faults) {
        Some(1) => _ = faults.add::<()>(value.span().start, format!("`{key}` is a whole number from 2 to {most}")),
        Some(count) => *place = count,
        None => {}
    }
}
