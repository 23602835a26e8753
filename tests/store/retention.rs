//! What is old enough goes, and what it is evidence of keeps it.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use vigil::limits::PAGE_ROWS;
use vigil::model::alert::{AlertState, EventKind};
use vigil::model::ids::Subject;
use vigil::model::row::{FrameRow, Order, Row, ScanRow, StatusRow};
use vigil::store::{RejectQuery, StatusQuery};

use crate::contract::{ALWAYS, DAY_MS, scans_by};
use crate::support::rows::{self, device, frame};
use crate::world::{World, now};

/// Flow: rows of today and of ten days ago are stored; a month later the store is maintained.
/// Asserts: what is older than 30 days is gone, the rest is there, and maintaining again does nothing.
pub(crate) async fn retention_drops_what_is_old(mut world: World) {
    let at = now();
    let old_at = at - 10 * DAY_MS;
    let (old, young) = (frame(device(1), 1, old_at), frame(device(1), 2, at));
    let status = |received_at| Row::Status(StatusRow { device: device(1), online: true, received_at });
    let others = [Row::Reject(rows::reject("old", old_at)), status(old_at), status(at)];
    world.commit(vec![rows::frames(&[old.clone(), young.clone()]), rows::rows(others)]).await;
    world.store.maintain(at).await.unwrap();
    assert_eq!(world.frames(device(1)).await.len(), 2);

    let later = at + 25 * DAY_MS;
    let done = world.store.maintain(later).await.unwrap();
    assert_eq!(done.left, None);
    assert_eq!(world.frames(device(1)).await, [young]);
    let (from, to) = ALWAYS;
    let query = RejectQuery { from, to, topic: None, reason: None, after: None, limit: 9 };
    assert_eq!(world.store.rejects(query).await.unwrap(), []);
    let query = StatusQuery { device: device(1), from, to, after: None, limit: 9 };
    assert_eq!(world.store.statuses(query).await.unwrap().len(), 1);
    let again = world.store.maintain(later).await.unwrap();
    assert_eq!((again.days_created, again.days_dropped, again.rows_deleted), (0, 0, 0));
    world.commit(vec![rows::frames(&[frame(device(1), 3, at)])]).await;
}

const MINUTE_MS: i64 = 60_000;

/// Flow: a lift reports before, around and after an alert that lasts an hour, also very late and for a day without a
/// partition; so does a lift without one. Then the retention of each class passes: frames, evidence, alerts, scans.
/// Asserts: frames within 10 min of a transition stay when all others go, each of them once; alerts outlive them; an
/// alert that is open stays.
pub(crate) async fn evidence_outlives_the_frames_and_alerts_their_evidence(mut world: World) {
    let at = now() - 5 * DAY_MS;
    let minutes = [-11, -10, -1, 0, 9, 10, 11, 30, 49, 50, 60, 70, 71];
    let frames_of = |n| {
        let frame = move |(seq, minute)| frame(device(n), seq, at + minute * MINUTE_MS);
        (1..).zip(minutes).map(frame).collect::<Vec<_>>()
    };
    let [mut sent, others] = [1, 2].map(frames_of);
    sent.push(FrameRow { order: Order::VeryLate, ..frame(device(1), 50, at + 70 * MINUTE_MS) });
    sent.push(FrameRow { order: Order::VeryLate, ..frame(device(1), 51, at + 72 * MINUTE_MS) });
    let long_ago = at - 400 * DAY_MS;
    let far = FrameRow { received_at: at, ..frame(device(3), 1, long_ago) };
    world.commit(vec![rows::frames(&sent), rows::frames(&others), rows::frames(&[far.clone(), far_from(&far)])]).await;
    let (first, open) = (Subject::Device(device(1)), Subject::Device(device(3)));
    let (opened, still_open) = (rows::opened(1, first, at), rows::opened(3, open, long_ago));
    let mut cleared = rows::opened(2, first, at + 60 * MINUTE_MS);
    cleared.kind = EventKind::Cleared;
    (cleared.alert.state, cleared.alert.cleared_at) = (AlertState::Cleared, Some(cleared.at));
    let mut told = vec![opened.clone(), cleared, still_open.clone()];
    told.iter_mut().for_each(|event| event.published_at = at);
    world.commit(vec![rows::events(told.clone())]).await;
    let mut runner = TestRunner::deterministic();
    let scan = rows::any_scan_row().new_tree(&mut runner).unwrap().current();
    let scan = ScanRow { received_at: at, order: Order::Newer, ..scan };
    world.commit(vec![rows::rows([Row::Scan(scan.clone())])]).await;
    world.store.maintain(now()).await.unwrap();
    assert_eq!((world.frames(device(1)).await.len(), world.frames(device(2)).await.len()), (15, 13));

    let after_frames = now() + 27 * DAY_MS;
    assert_eq!(world.store.maintain(after_frames).await.unwrap().left, None);
    let is_near = |minute: i64| (-10..=10).contains(&minute) || (50..=70).contains(&minute);
    let kept: Vec<_> = sent.into_iter().filter(|row| is_near((row.effective_at - at) / MINUTE_MS)).collect();
    assert_eq!(kept.len(), 9);
    for limit in [1, 2, PAGE_ROWS] {
        assert_eq!(world.frames_by(device(1), limit).await, kept, "by {limit}");
    }
    assert_eq!(world.frames(device(2)).await, []);
    assert_eq!(world.frames(device(3)).await, [far]);
    let again = world.store.maintain(after_frames).await.unwrap();
    assert_eq!((again.days_dropped, again.rows_deleted, again.frames_moved), (0, 0, 0));

    world.store.maintain(now() + 57 * DAY_MS).await.unwrap();
    assert_eq!((world.frames(device(1)).await, world.frames(device(3)).await), (vec![], vec![]));
    assert_eq!(world.store.alert_events_after(1, 0, 9).await.unwrap(), told);
    assert!(world.store.alert(opened.alert.id.clone()).await.unwrap().is_some());

    world.store.maintain(now() + 87 * DAY_MS).await.unwrap();
    assert_eq!(world.store.alert_events_after(1, 0, 9).await.unwrap(), []);
    assert_eq!(world.store.alert(opened.alert.id).await.unwrap(), None);
    assert_eq!(world.store.alert(still_open.alert.id.clone()).await.unwrap(), Some(still_open.alert));
    assert_eq!(scans_by(&world, 9).await, [scan]);
    world.store.maintain(now() + 117 * DAY_MS).await.unwrap();
    assert_eq!(scans_by(&world, 9).await, []);
}

/// Of the same day, and not around the alert.
fn far_from(row: &FrameRow) -> FrameRow {
    FrameRow { received_at: row.received_at, ..frame(row.device, 2, row.effective_at + 11 * MINUTE_MS) }
}
