//! Spans and sizes as people write them: a whole number and a unit.

use super::fault::Wrong;

const SPANS_MS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES_BYTES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads a span between `least` and `most`, which are written the same way.
pub(super) fn span_ms(text: &str, least: &str, most: &str) -> Result<i64, Wrong> {
    let ms = within(text, least, most, SPANS_MS, "a span of time")?;
    Ok(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Reads a size between `least` and `most`, which are written the same way.
pub(super) fn size_bytes(text: &str, least: &str, most: &str) -> Result<u64, Wrong> {
    within(text, least, most, SIZES_BYTES, "a size")
}

fn within(text: &str, least: &str, most: &str, units: &[(&str, u64)], sort: &str) -> Result<u64, Wrong> {
    let bound = |bound| amount(bound, units).expect("bounds are written in our own units");
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Some(value) = amount(text, units) else {
        let remedy = format!("write a whole number and one of {}, for example {least:?}", names());
        return Err(Wrong::new(format!("{text:?} is not {sort}"), remedy));
    };
    if value < bound(least) {
        return Err(Wrong::new(format!("{text:?} is too little"), format!("give at least {least}")));
    }
    if value > bound(most) {
        return Err(Wrong::new(format!("{text:?} is too much"), format!("give at most {most}")));
    }
    Ok(value)
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_a_whole_number_and_a_unit() {
        for (text, want) in [("250ms", 250), ("30s", 30_000), ("5 m", 300_000), ("24h", 86_400_000)] {
            assert_eq!(amount(text, SPANS_MS), Some(want), "{text}");
        }
        assert_eq!(amount("8MiB", SIZES_BYTES), Some(8 << 20));
        for bad in ["", "s", "30", "1.5s", "-1s", "1h30m", "30S", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(amount(bad, SPANS_MS), None, "{bad}");
        }
        assert_eq!(amount("8GB", SIZES_BYTES), None);
    }
}
