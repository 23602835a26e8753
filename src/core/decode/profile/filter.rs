//! MQTT topic filters: which topics they take, and whether two of them could take the same one.

use crate::limits;

/// Why a text is no filter of a profile. For people.
pub(super) fn fault(filter: &str) -> Option<String> {
    if filter.is_empty() || filter.len() > limits::TOPIC_BYTES {
        return Some(format!("a topic filter has 1 to {} bytes", limits::TOPIC_BYTES));
    }
    if filter.contains('\0') {
        return Some("a topic filter holds no NUL".into());
    }
    if filter.starts_with('$') {
        return Some("topics that begin with $ are the broker's own".into());
    }
    let levels: Vec<&str> = filter.split('/').collect();
    let misplaced = levels.iter().enumerate().find(|(nth, level)| {
        let is_last = nth + 1 == levels.len();
        level.contains('+') && **level != "+" || level.contains('#') && (**level != "#" || !is_last)
    });
    misplaced.map(|(_, level)| format!("{level:?}: + and # stand for whole levels, # only for the last ones"))
}

/// Whether a topic is among those that the filter stands for.
pub(super) fn takes(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Whether some topic is taken by both.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_mqtt_says() {
        for (filter, topic, want) in [
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a//c", true),
            ("a/+/c", "a/b/c/d", false),
            ("a/+", "a", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("+/b", "$SYS/b", false),
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
        ] {
            assert_eq!(takes(filter, topic), want, "{filter} {topic}");
        }
    }

    #[test]
    fn filters_overlap_where_a_topic_fits_both() {
        for (one, other, want) in [
            ("a/+", "a/b", true),
            ("a/+", "+/b", true),
            ("a/+/c", "a/b/d", false),
            ("a/#", "a", true),
            ("a/b/#", "a/+", true),
            ("a/b/#", "a/+/c/d", true),
            ("a/+", "a/b/c", false),
            ("#", "x/y", true),
        ] {
            assert_eq!((overlap(one, other), overlap(other, one)), (want, want), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_filter_is_named() {
        for filter in ["", "a/#/b", "a+/b", "a/b#", "$share/x/y", "a\0b"] {
            assert!(fault(filter).is_some(), "{filter:?}");
        }
        for filter in ["a", "+", "a/+/b", "a/#", "/a", "北/+"] {
            assert_eq!(fault(filter), None, "{filter:?}");
        }
    }
}
