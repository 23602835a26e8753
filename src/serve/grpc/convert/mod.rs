//! Between the model and protobuf, by hand.

mod alert;
mod archive;
mod explain;
mod history;
mod incident;
mod maintenance;
mod obligation;
mod stored;

use prost_types::Timestamp;

pub(super) use self::alert::{alert, alert_event, districts, filter, heartbeat, kinds};
pub(in crate::serve) use self::archive::entry_to_upsert;
pub(super) use self::archive::{
    ArchiveEntry, archive_entry, cylinder_to, day, device_change, entry_from, entry_kind, entry_to, lift_to,
    rescue_code,
};
pub(super) use self::explain::explanation;
pub(super) use self::history::{stored_frame, timeline_item};
pub(super) use self::incident::{call, incident, incident_event, incident_filter, kpis, step};
pub(in crate::serve) use self::maintenance::check_record;
pub(super) use self::maintenance::{chain_link, count_upload, record_answer, record_refused, sign_from, visit_from};
pub(super) use self::obligation::{Asked, due_item, report_from, report_result, standing_from, stored_report};
pub(in crate::serve) use self::stored::{entry, frame_row, lift};
use super::Violations;
use crate::model::time::Wall;

pub(super) fn timestamp(at: Wall) -> Timestamp {
    Timestamp { seconds: at.0.div_euclid(1_000), nanos: (at.0.rem_euclid(1_000) * 1_000_000) as i32 }
}

/// A bound of a range, rounded up to the ms, so that half-open ranges that meet still meet.
fn wall(at: &Timestamp) -> Result<Wall, &'static str> {
    let ms = i64::from(at.nanos).saturating_add(999_999).div_euclid(1_000_000);
    let wall = at.seconds.checked_mul(1_000).and_then(|s| s.checked_add(ms)).map(Wall);
    wall.filter(|wall| (0..=Wall::LAST.0 + 1).contains(&wall.0)).ok_or("is not between the years 1970 and 9999")
}

/// One moment, as a person names it: the ms in which it lies.
pub(super) fn moment(at: &Timestamp) -> Result<Wall, &'static str> {
    wall(&Timestamp { seconds: at.seconds, nanos: at.nanos.div_euclid(1_000_000) * 1_000_000 })
}

/// The half-open range `from`..`to`, or `None` and what is wrong with it noted.
pub(super) fn range(
    from: Option<&Timestamp>,
    to: Option<&Timestamp>,
    violations: &mut Violations,
) -> Option<(Wall, Wall)> {
    let mut bound = |field, at: Option<&Timestamp>| violations.take(field, at.ok_or("is missing").and_then(wall));
    let (from, to) = (bound("from", from), bound("to", to));
    let (from, to) = (from?, to?);
    if from >= to {
        violations.add("to", format!("must be later than `from`, which is {from}: the range holds nothing"));
        return None;
    }
    Some((from, to))
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_before_they_are_asked() {
        let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
        for (from, to, want) in [
            (at(1, 0), at(2, 1), Ok((Wall(1_000), Wall(2_001)))),
            (at(0, 0), at(253_402_300_800, 0), Ok((Wall(0), Wall(253_402_300_800_000)))),
            (at(2, 0), at(2, 0), Err("to")),
            (None, at(2, 0), Err("from")),
            (at(1, 0), None, Err("to")),
            (at(-1, 0), at(2, 0), Err("from")),
            (at(i64::MIN, i32::MIN), at(i64::MAX, i32::MAX), Err("from to")),
        ] {
            let mut violations = Violations::default();
            let range = range(from.as_ref(), to.as_ref(), &mut violations);
            let fields: Vec<_> = violations.0.into_iter().map(|v| v.field).collect();
            assert_eq!(range.ok_or(fields.join(" ")), want.map_err(str::to_owned), "{from:?} {to:?}");
        }
    }

    #[test]
    fn times_before_1970_keep_their_ms() {
        assert_eq!(timestamp(Wall(-1)), Timestamp { seconds: -1, nanos: 999_000_000 });
        assert_eq!(timestamp(Wall(1_234)), Timestamp { seconds: 1, nanos: 234_000_000 });
    }
}
