//! The `[elevator]` table: spans that hold for all rules of lifts.

use toml::de::DeTable;

use super::section::{Faults, Section, span_ms, table};
use crate::core::rules::Moments;
use crate::limits;

const KEYS: &[&str] = &[
    "event_linger",
    "alarm_linger",
    "door_shut_after",
    "reopen_within",
    "rearm",
    "keep_alive",
    "unknown_after",
    "unknown_keep_alives",
    "late_codes",
];

/// What isn't given, or is faulty, has its default.
pub(super) fn read<'a>(values: &'a DeTable<'a>, start: usize, faults: &mut Faults) -> Moments {
    let section = Section::new(values, start, "`[elevator]`", KEYS, faults);
    let mut moments = Moments::default();
    for (key, place) in [
        ("event_linger", &mut moments.event_linger_ms),
        ("door_shut_after", &mut moments.door_shut_after_ms),
        ("reopen_within", &mut moments.reopen_within_ms),
        ("rearm", &mut moments.rearm_ms),
        ("keep_alive", &mut moments.keep_alive_ms),
        ("unknown_after", &mut moments.unknown_after_ms),
        ("late_codes", &mut moments.late_codes_ms),
    ] {
        if let Some(span_ms) = section.span_ms(key, faults) {
            *place = span_ms;
        }
    }
    if let Some((_, value)) = section.key("keep_alive")
        && moments.keep_alive_ms == 0
    {
        faults.add::<()>(value.span().start, "`keep_alive` must be longer than 0");
    }
    if let Some(count) = section.count("unknown_keep_alives", limits::RULE_KEEP_ALIVES, faults) {
        moments.unknown_keep_alives = count;
    }
    if let Some((_, value)) = section.key("alarm_linger")
        && let Some((_, codes)) = table("alarm_linger", value, faults)
    {
        moments.alarm_linger = alarm_linger(codes, faults);
    }
    moments
}

fn alarm_linger<'a>(codes: &'a DeTable<'a>, faults: &mut Faults) -> Vec<(u32, i64)> {
    let mut lingers = Vec::new();
    for (key, value) in codes {
        let Some(code) = key.get_ref().parse::<u32>().ok().filter(|code| *code > 0) else {
            faults.add::<()>(key.span().start, "`alarm_linger` names codes, as in `{ 90 = \"60s\" }`");
            continue;
        };
        lingers.extend(span_ms("alarm_linger", value, faults).map(|span_ms| (code, span_ms)));
    }
    if lingers.len() > limits::CODES {
        let at = codes.keys().next().map_or(0, |key| key.span().start);
        faults.add::<()>(at, format!("`alarm_linger` has more than {} codes", limits::CODES));
    }
    lingers.sort_unstable();
    lingers
}
