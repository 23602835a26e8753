//! Spans as timelines write them: `30s`, `29.999s`, `1h5m`, `500ms`.

const UNITS: &[(&str, i64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What a span looks like, for messages.
pub(super) const FORM: &str = "write a number with ms, s, m, h or d, such as \"30s\", \"29.999s\" or \"1h5m\"";

/// In ms; with a sign before it, it may be below 0.
pub(super) fn parse_ms(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut sum_ms = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let unit_ms = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        sum_ms = sum_ms.checked_add(times(number, unit_ms)?)?;
        rest = tail;
    }
    sum_ms.checked_mul(sign)
}

/// A decimal number of units, if it is a whole number of ms.
fn times(number: &str, unit_ms: i64) -> Option<i64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if number.ends_with('.') || whole.is_empty() || decimals.len() > 9 || decimals.contains('.') {
        return None;
    }
    let scale = 10_i64.pow(u32::try_from(decimals.len()).ok()?);
    let part: i64 = if decimals.is_empty() { 0 } else { decimals.parse().ok()? };
    let part_ms = part.checked_mul(unit_ms)?;
    let whole_ms = whole.parse::<i64>().ok()?.checked_mul(unit_ms)?;
    (part_ms % scale == 0).then(|| whole_ms.checked_add(part_ms / scale))?
}

/// The shortest way to write it.
pub fn show_ms(ms: i64) -> String {
    let (sign, mut rest) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let mut text = sign.to_owned();
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)] {
        if rest >= unit_ms {
            text += &format!("{}{unit}", rest / unit_ms);
            rest %= unit_ms;
        }
    }
    if rest > 0 || text.len() == sign.len() {
        let (s, ms) = (rest / 1_000, rest % 1_000);
        let decimals = format!("{ms:03}");
        let decimals = decimals.trim_end_matches('0');
        text += &if decimals.is_empty() { format!("{s}s") } else { format!("{s}.{decimals}s") };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_to_the_millisecond() {
        for (text, ms) in [
            ("0s", Some(0)),
            ("30s", Some(30_000)),
            ("29.999s", Some(29_999)),
            ("1h5m", Some(3_900_000)),
            ("1d2h3m4.5s", Some(93_784_500)),
            ("500ms", Some(500)),
            ("0.5m", Some(30_000)),
            ("-3h", Some(-10_800_000)),
            ("+2s", Some(2_000)),
            ("", None),
            ("-", None),
            ("30", None),
            ("s", None),
            (".5s", None),
            ("1.s", None),
            ("0.0001s", None),
            ("1 s", None),
            ("1w", None),
            ("1..2s", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(parse_ms(text), ms, "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for (ms, text) in [
            (0, "0s"),
            (29_999, "29.999s"),
            (90_000, "1m30s"),
            (195_000, "3m15s"),
            (3_600_000, "1h"),
            (3_661_000, "1h1m1s"),
            (120_000, "2m"),
            (-1_500, "-1.5s"),
        ] {
            assert_eq!(show_ms(ms), text);
            assert_eq!(parse_ms(text), Some(ms));
        }
    }
}
