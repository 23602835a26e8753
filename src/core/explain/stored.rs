//! A lift as stored frames alone tell it, where the inbox no longer reaches.

use super::Explanation;
use crate::core::replay::Replay;
use crate::model::archive;
use crate::model::ids::DeviceCode;
use crate::model::record::PolicyText;
use crate::model::row::FrameRow;
use crate::model::time::Wall;

/// The link opens so long before the first frame.
const LEAD_MS: i64 = 1_000;

/// What this policy makes of these frames, `received_at` ascending and none after `at`, on a link that never broke.
/// `None`: there are none, or they can't be judged.
pub fn explain(
    policy: &PolicyText,
    entry: Option<archive::Lift>,
    device: DeviceCode,
    frames: &[FrameRow],
    at: Wall,
) -> Option<Explanation> {
    let begin = frames.first()?.received_at - LEAD_MS;
    let mut replay = Replay::begin(policy, entry, device, begin);
    for report in frames.chunk_by(|one, next| one.received_at == next.received_at) {
        replay.advance_to(report[0].received_at);
        replay.take(report.iter().map(|row| row.frame.clone()).collect());
    }
    replay.advance_to(at);
    replay.core().explain(&device, replay.moment())
}
