//! Times as JSON carries them.

use jiff::civil;

use crate::model::time::Wall;

/// Reads `2026-11-22T08:30:00.250+08:00`: date, `T`, time, any fraction, `Z` or an offset. Nothing else is RFC 3339.
/// What is finer than a millisecond is cut off; a leap second is taken as the second before it.
pub(super) fn parse(text: &str) -> Option<Wall> {
    let bytes = text.as_bytes();
    let (head, rest) = bytes.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, byte)| head[*at] != *byte) || !matches!(head[10], b'T' | b't') {
        return None;
    }
    let two = |at: usize| digits(&head[at..at + 2]).and_then(|n| i8::try_from(n).ok());
    let date = civil::Date::new(i16::try_from(digits(&head[..4])?).ok()?, two(5)?, two(8)?).ok()?;
    let second = if two(17)? == 60 { 59 } else { two(17)? };
    let time = civil::Time::new(two(11)?, two(14)?, second, 0).ok()?;
    let (fraction_ms, rest) = fraction(rest)?;
    // A timestamp of the library would end a day before the year 9999 does.
    let since_1970 = date.to_datetime(time).duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    let local = i64::try_from(since_1970.as_millis()).ok()?;
    Some(Wall(local + fraction_ms - offset_ms(rest)?))
}

fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits_on) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let len = digits_on.iter().take_while(|b| b.is_ascii_digit()).count();
    let (fraction, rest) = digits_on.split_at(len);
    let mut thousandths = [b'0'; 3];
    let kept = len.min(3);
    thousandths[..kept].copy_from_slice(&fraction[..kept]);
    (len > 0).then_some((i64::from(digits(&thousandths)?), rest))
}

fn offset_ms(rest: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match rest {
        b"Z" | b"z" => return Some(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', m1, m2] if hours.len() == 2 => (*sign, hours, [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(&minutes)?);
    let span_ms = i64::from(hours * 60 + minutes) * 60_000;
    (hours < 24 && minutes < 60).then_some(if sign == b'-' { -span_ms } else { span_ms })
}

/// The number that so few digits write.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_rfc_3339_allows() {
        for (text, want) in [
            ("2026-11-22T08:30:00+08:00", "2026-11-22T00:30:00.000Z"),
            ("2026-11-22t00:30:00.25z", "2026-11-22T00:30:00.250Z"),
            ("2026-11-22T00:30:00.123456789012Z", "2026-11-22T00:30:00.123Z"),
            ("2026-11-21T19:00:00.5-05:30", "2026-11-22T00:30:00.500Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("2024-02-29T00:00:00-00:00", "2024-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(parse(text).map(|at| at.to_string()).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn takes_nothing_else() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T08:30:00",
            "2026-11-22 08:30:00Z",
            "2026-11-22T08:30Z",
            "2026-11-22T08:30:00.Z",
            "2026-11-22T08:30:00+0800",
            "2026-11-22T08:30:00+08",
            "2026-11-22T08:30:00+24:00",
            "2026-11-22T08:30:00+08:60",
            "2026-11-22T24:00:00Z",
            "2026-11-22T08:30:61Z",
            "2026-02-29T08:30:00Z",
            "2026-13-01T08:30:00Z",
            "20261122T083000Z",
            "2026-11-22T08:30:00Z ",
            "2026-11-22T08:30:00Z[Asia/Shanghai]",
            "+026-11-22T08:30:00Z",
            "２０２６-11-22T08:30:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
