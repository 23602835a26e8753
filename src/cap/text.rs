//! Texts and times as CAP takes them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::time::Wall;

/// Without what XML 1.0 can't carry, and without other control characters; on one line, at most `chars` long.
pub(super) fn clean(text: &str, chars: usize) -> String {
    let kept = text.chars().filter_map(|c| match c {
        '\t' | '\n' | '\r' => Some(' '),
        '\u{fffe}' | '\u{ffff}' => None,
        c if c.is_control() => None,
        c => Some(c),
    });
    let mut kept: Vec<char> = kept.take(chars + 1).collect();
    if kept.len() > chars {
        kept.truncate(chars.saturating_sub(1));
        kept.push('…');
    }
    let text: String = kept.into_iter().collect();
    text.trim().to_owned()
}

/// Whether nothing of it is left.
pub(super) fn is_blank(text: &str) -> bool {
    clean(text, usize::MAX - 1).is_empty()
}

/// To the second, with a numeric offset, which CAP wants to be `-00:00` for UTC and never `Z`.
pub(super) fn time(at: Wall, zone: &TimeZone) -> String {
    // What lies outside of the years that can be written is our own clock gone mad: the message still has to be valid.
    let at = Timestamp::from_millisecond(at.ms().clamp(0, LAST_MS)).unwrap_or_default().to_zoned(zone.clone());
    let text = at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    match text.strip_suffix("+00:00") {
        Some(utc) => format!("{utc}-00:00"),
        None => text,
    }
}

/// 9999-12-30T00:00:00Z: with any offset still in a year of four digits.
const LAST_MS: i64 = 253_402_128_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_numeric_offset() {
        let zone = |name| TimeZone::get(name).unwrap();
        let at = Wall(1_763_766_031_987);
        assert_eq!(time(at, &zone("Asia/Shanghai")), "2025-11-22T07:00:31+08:00");
        assert_eq!(time(at, &zone("UTC")), "2025-11-21T23:00:31-00:00");
        assert_eq!(time(at, &zone("America/St_Johns")), "2025-11-21T19:30:31-03:30");
        assert_eq!(time(Wall(i64::MIN), &zone("UTC")), "1970-01-01T00:00:00-00:00");
        assert!(time(Wall(i64::MAX), &zone("Asia/Shanghai")).starts_with("9999-12-30T08:00:00"));
    }

    #[test]
    fn texts_lose_what_xml_cannot_carry() {
        for (text, want) in [
            ("北京路 1 号", "北京路 1 号"),
            (" a\u{0}b\u{1b}c\u{85}d\u{fffe}e\n", "abcde"),
            ("two\r\nlines\tand <tags> & \"marks\"", "two  lines and <tags> & \"marks\""),
            ("12345678901", "123456789…"),
        ] {
            assert_eq!(clean(text, if text.starts_with('1') { 10 } else { 60 }), want, "{text:?}");
        }
    }
}
