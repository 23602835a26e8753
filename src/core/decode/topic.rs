//! What a topic's levels say: what kind of message, and whose.

use crate::limits;
use crate::model::ids::{CodeError, DeviceCode, SiteCode};

/// The topics that devices write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Report(DeviceCode),
    Status(DeviceCode),
    Result(DeviceCode),
    Scan(SiteCode),
}

/// The error is for people: what is wrong with the topic.
pub(super) fn parse(prefix: &str, topic: &str) -> Result<Topic, Box<str>> {
    if topic.len() > limits::TOPIC_BYTES {
        return Err(format!("a topic of {} bytes; the most is {}", topic.len(), limits::TOPIC_BYTES).into());
    }
    let foreign = || {
        let start: String = topic.chars().take(64).collect();
        format!(
            "no device writes {start:?}; known are {prefix}/elevator/CODE/report, status and result, \
             and {prefix}/cylinder/SITE/scan"
        )
    };
    let rest = match prefix {
        "" => Some(topic),
        _ => topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')),
    };
    let rest = rest.ok_or_else(foreign)?;
    // Nearly all there are, and looked at twice. A code has no slash.
    if let Some(code) = rest.strip_prefix("elevator/").and_then(|rest| rest.strip_suffix("/report"))
        && let Ok(device) = DeviceCode::parse(code)
    {
        return Ok(Topic::Report(device));
    }
    let mut levels = rest.split('/');
    let (Some(kind), Some(code), Some(what), None) = (levels.next(), levels.next(), levels.next(), levels.next())
    else {
        return Err(foreign().into());
    };
    let bad_code = |error: CodeError| Box::<str>::from(format!("the topic's {error}"));
    match (kind, what) {
        ("elevator", "report") => DeviceCode::parse(code).map(Topic::Report).map_err(bad_code),
        ("elevator", "status") => DeviceCode::parse(code).map(Topic::Status).map_err(bad_code),
        ("elevator", "result") => DeviceCode::parse(code).map(Topic::Result).map_err(bad_code),
        ("cylinder", "scan") => SiteCode::parse(code).map(Topic::Scan).map_err(bad_code),
        _ => Err(foreign().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_after_the_prefix_say_what_it_is() {
        let device = DeviceCode::parse("31305001122014017242").unwrap();
        let site = SiteCode::parse("6401-A").unwrap();
        for (prefix, topic, want) in [
            ("vigil/v1", "vigil/v1/elevator/31305001122014017242/report", Topic::Report(device)),
            ("vigil/v1", "vigil/v1/elevator/31305001122014017242/status", Topic::Status(device)),
            ("a", "a/elevator/31305001122014017242/result", Topic::Result(device)),
            ("", "cylinder/6401-A/scan", Topic::Scan(site)),
        ] {
            assert_eq!(parse(prefix, topic), Ok(want), "{prefix:?} {topic:?}");
        }
    }

    #[test]
    fn the_prefix_is_whole_levels() {
        for topic in ["vigil/v1elevator/31305001122014017242/report", "vigil/v1", "", "/", "vigil/v1/"] {
            assert!(parse("vigil/v1", topic).is_err(), "{topic:?}");
        }
    }
}
