//! Times as people write and read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// In which zone times are written and read.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Zone {
    /// Time zone in which times are read and shown
    #[arg(long = "zone", value_name = "NAME", default_value = "Asia/Shanghai", value_parser = zone)]
    pub(super) zone: TimeZone,
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("{name:?} is no time zone: write a name such as Asia/Shanghai or UTC"))
}

/// A moment, given as such or as a span before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    Civil(jiff::civil::DateTime),
    Ago(jiff::SignedDuration),
}

/// The forms of a moment, for help texts.
pub(super) const FORMS: &str =
    "2026-11-22, 2026-11-22T14:30 (in --zone), 2026-11-22T14:30:00+08:00, or a span before now: 90s, 15m, 2h, 7d";

impl Moment {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time: write {FORMS}");
        if let Some(span) = ago(text) {
            return Ok(Self::Ago(span));
        }
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        if is_last_year(text) {
            return Err(out_of_range(text));
        }
        // A zone that jiff would ignore must not be ignored.
        if text.contains(['Z', 'z', '+', '[']) {
            return Err(wrong());
        }
        text.parse().map(Self::Civil).map_err(|_| wrong())
    }

    pub(super) fn resolve(self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
        match self {
            Self::At(at) => Ok(at),
            Self::Civil(civil) => zone.to_timestamp(civil).map_err(|_| out_of_range(&civil.to_string())),
            Self::Ago(span) => now.checked_sub(span).map_err(|_| out_of_range("that long ago")),
        }
    }
}

/// Written as a time is, in the year whose end no timestamp reaches in every zone.
fn is_last_year(text: &str) -> bool {
    let civil = text.get(..19).and_then(|head| head.parse::<jiff::civil::DateTime>().ok());
    civil.is_some_and(|civil| civil.year() == 9_999)
}

fn out_of_range(what: &str) -> String {
    format!("{what} is out of range: times go from the year -9999 to 9999-12-30T22:00:00Z")
}

/// The service writes times in its texts in UTC: beside others of the same page they stand in its zone.
pub(super) fn in_zone(text: &str, zone: &TimeZone) -> String {
    const LENGTH: usize = "2026-11-22T06:00:00.000Z".len();
    let (mut told, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let at = rest.get(..LENGTH).filter(|head| head.ends_with('Z')).and_then(|head| head.parse::<Timestamp>().ok());
        let length = match at {
            Some(at) => {
                told += &format!("{:.3}", zone.to_datetime(at)).replace('T', " ");
                LENGTH
            }
            None => {
                told.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    told
}

fn ago(text: &str) -> Option<jiff::SignedDuration> {
    let unit_s = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let n: i64 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    n.checked_mul(unit_s).map(jiff::SignedDuration::from_secs)
}

pub(super) fn to_proto(at: Timestamp) -> prost_types::Timestamp {
    let ns = at.as_nanosecond();
    // Rounded down, and so never negative in its lesser part.
    let seconds = ns.div_euclid(1_000_000_000) as i64;
    prost_types::Timestamp { seconds, nanos: ns.rem_euclid(1_000_000_000) as i32 }
}

pub(super) fn from_proto(at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

/// RFC 3339, for programs.
pub(super) fn rfc3339(at: Option<&prost_types::Timestamp>) -> Option<String> {
    from_proto(at).map(|at| format!("{at:.3}"))
}

/// For people, in `zone`.
pub(super) fn civil(at: Option<&prost_types::Timestamp>, zone: &TimeZone) -> String {
    match from_proto(at) {
        Some(at) => format!("{:.3}", zone.to_datetime(at)).replace('T', " "),
        None => "-".to_owned(),
    }
}

/// A span in its two largest units: `1h 5m`.
pub(super) fn span(ms: i64) -> String {
    let s = ms.max(0) / 1_000;
    match s {
        0 => format!("{} ms", ms.max(0)),
        1..60 => format!("{s}s"),
        60..3_600 => format!("{}m {}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h {}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_their_forms_only() {
        let now: Timestamp = "2026-11-22T06:00:00Z".parse().unwrap();
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        for (text, want) in [
            ("2026-11-22", "2026-11-21T16:00:00Z"),
            ("2026-11-22T14:30", "2026-11-22T06:30:00Z"),
            ("2026-11-22T14:30:00+00:00", "2026-11-22T14:30:00Z"),
            ("90s", "2026-11-22T05:58:30Z"),
            ("7d", "2026-11-15T06:00:00Z"),
        ] {
            assert_eq!(Moment::parse(text).unwrap().resolve(now, &shanghai).unwrap().to_string(), want, "{text}");
        }
        for bad in ["", "now", "-1h", "1.5h", "é", "2026-13-01", "99999999999999999999d", "2026-11-22[UTC]"] {
            assert!(Moment::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Moment::parse("9223372036854775807s").unwrap().resolve(now, &shanghai).is_err());
        let range = "times go from the year -9999 to 9999-12-30T22:00:00Z";
        assert!(Moment::parse("9999-12-31T23:59:59Z").unwrap_err().contains(range));
        let last = Moment::parse("9999-12-31T23:59:59").and_then(|last| last.resolve(now, &TimeZone::UTC));
        assert!(last.unwrap_err().contains(range));
    }

    #[test]
    fn times_in_a_text_stand_in_the_zone_of_the_page() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        for (text, want) in [
            ("nothing since 2026-11-22T06:00:00.000Z: away", "nothing since 2026-11-22 14:00:00.000: away"),
            ("2026-11-22T18:30:00.125Z", "2026-11-23 02:30:00.125"),
            ("门 2026-11-22T06:00:00Z, 2026-13-22T06:00:00.000Z", "门 2026-11-22T06:00:00Z, 2026-13-22T06:00:00.000Z"),
            ("", ""),
        ] {
            assert_eq!(in_zone(text, &shanghai), want);
        }
    }

    #[test]
    fn spans_show_two_units() {
        for (ms, want) in
            [(-5, "0 ms"), (999, "999 ms"), (31_000, "31s"), (3_599_000, "59m 59s"), (90_000_000, "1d 1h")]
        {
            assert_eq!(span(ms), want);
        }
    }
}
