//! The checks that every store must pass.

use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

use vigil::limits::PAGE_ROWS;
use vigil::model::alert::{AlertEvent, AlertState, Cursor, EventKind, Group, Reason, StormScope};
use vigil::model::archive::{Cylinder, Entry, EntryKind, FieldChange, Firm, Lift};
use vigil::model::frame::FrameKey;
use vigil::model::ids::{CylinderCode, DeviceCode, FirmId, PlaceId, Subject};
use vigil::model::obligation::DueRow;
use vigil::model::report::ReportRow;
use vigil::model::row::{ChangeKind, ChangeRow, FrameRow, Order, RejectReason, Row, ScanRow, StatusRow};
use vigil::model::scan::{Scan, ScanEvent};
use vigil::model::time::Wall;
use vigil::store::{
    AlertCursor, AlertQuery, ChangeQuery, DueQuery, FrameCursor, FrameQuery, LiftQuery, RejectQuery, ReportQuery,
    ScanCursor, ScanQuery, StatusQuery, StoreError,
};

pub(crate) use crate::dues::due_dates_stand_until_another_is_recorded;
pub(crate) use crate::incidents::{
    an_incident_is_as_its_last_event_left_it, incidents_stay_as_long_as_alerts, lifts_that_report_are_counted,
};
pub(crate) use crate::retention::{
    evidence_outlives_the_frames_and_alerts_their_evidence, retention_drops_what_is_old,
};
use crate::support::rows::{self, cylinder, device, frame};
use crate::world::{Kind, World, now};

pub(crate) const ALWAYS: (Wall, Wall) = (Wall(i64::MIN), Wall::MAX);
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Flow: batches of any rows are committed, and each kind is read back by pages.
/// Asserts: what comes back is what went in, in the promised order.
pub(crate) async fn everything_reads_back_as_it_was(mut world: World) {
    let mut runner = TestRunner::deterministic();
    let mut any = |n: usize| AnyRows::new(&mut runner, n);
    let mut expected = AnyRows::default();
    let (mut frame_keys, mut scan_keys) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for _ in 0..20 {
        let mut batch = any(12);
        // No frame is stored twice but the very late; between two of one key reading has no order.
        batch.frames.retain(|row| row.order == Order::VeryLate || frame_keys.insert(FrameCursor::of(row)));
        batch.scans.retain(|row| row.order == Order::VeryLate || scan_keys.insert(ScanCursor::of(row)));
        let first = expected.events.len() as u64 + 1;
        batch.events.iter_mut().zip(first..).for_each(|(event, seq)| event.seq = seq);
        let committed = world.commit(batch.effects()).await;
        assert_eq!(committed.set_aside, []);
        expected.add(batch);
    }
    expected.sort();

    let frames = world.frames_by(device(1), 7).await;
    assert_eq!(frames, expected.frames);
    let bits = |rows: &[FrameRow]| -> Vec<u64> {
        rows.iter().flat_map(|row| &row.frame.extras).map(|(_, value)| value.to_bits()).collect()
    };
    assert_eq!(bits(&frames), bits(&expected.frames), "also the sign of zero");
    assert_eq!(scans_by(&world, 7).await, expected.scans);

    let (from, to) = ALWAYS;
    let query = StatusQuery { device: device(1), from, to, after: None, limit: PAGE_ROWS };
    let statuses: Vec<_> = world.store.statuses(query).await.unwrap().into_iter().map(|s| s.row).collect();
    assert_eq!(statuses, expected.statuses);
    let query = RejectQuery { from, to, topic: None, reason: None, after: None, limit: PAGE_ROWS };
    let rejects: Vec<_> = world.store.rejects(query).await.unwrap().into_iter().map(|r| r.row).collect();
    assert_eq!(rejects, expected.rejects);
    assert_eq!(world.store.alert_events_after(1, 0, PAGE_ROWS).await.unwrap(), expected.events);
    let subject = Subject::Device(device(1));
    let dues = world.store.due_history(DueQuery { subject, after: None, limit: PAGE_ROWS }).await.unwrap();
    assert_eq!(dues.into_iter().map(|due| due.row).collect::<Vec<_>>(), expected.dues);
    let reports = world.store.reports(ReportQuery { device: device(1), after: None, limit: PAGE_ROWS }).await.unwrap();
    assert_eq!(reports.into_iter().map(|report| report.row).collect::<Vec<_>>(), expected.reports);
    let report = &expected.reports[7];
    let own = |row: &&ReportRow| (row.report.party, row.report.id) == (report.report.party, report.report.id);
    let found = world.store.report(report.report.party, report.report.id).await.unwrap();
    assert_eq!(found.as_ref(), expected.reports.iter().find(own));
    for entry in &expected.entries {
        let last = expected.entries.iter().rfind(|e| (e.kind(), e.code()) == (entry.kind(), entry.code()));
        let found = world.store.entry(entry.kind(), entry.code().to_owned()).await.unwrap();
        assert_eq!(found.as_ref(), last);
    }
    assert!(expected.frames.len() > 200 && expected.scans.len() > 200, "too little was generated");
}

#[derive(Default)]
struct AnyRows {
    frames: Vec<FrameRow>,
    scans: Vec<ScanRow>,
    rejects: Vec<vigil::model::row::RejectRow>,
    statuses: Vec<StatusRow>,
    entries: Vec<Entry>,
    dues: Vec<DueRow>,
    reports: Vec<ReportRow>,
    events: Vec<vigil::model::alert::AlertEvent>,
}

impl AnyRows {
    fn new(runner: &mut TestRunner, n: usize) -> Self {
        fn draw<T: std::fmt::Debug>(runner: &mut TestRunner, n: usize, row: impl Strategy<Value = T>) -> Vec<T> {
            vec(row, n).new_tree(runner).expect("nothing is filtered").current()
        }
        Self {
            frames: draw(runner, n, rows::any_frame_row()),
            scans: draw(runner, n, rows::any_scan_row()),
            rejects: draw(runner, n, rows::any_reject()),
            statuses: draw(runner, n, rows::any_status()),
            entries: draw(runner, n, rows::any_entry()),
            dues: draw(runner, n, rows::any_due()),
            reports: draw(runner, n, rows::any_report()),
            events: draw(runner, n, rows::any_event()),
        }
    }

    fn effects(&self) -> Vec<vigil::model::row::Effects> {
        let all = self.frames.iter().cloned().map(Row::Frame);
        let all = all.chain(self.scans.iter().cloned().map(Row::Scan));
        let all = all.chain(self.rejects.iter().cloned().map(Row::Reject));
        let all = all.chain(self.statuses.iter().cloned().map(Row::Status));
        let all = all.chain(self.entries.iter().cloned().map(Row::Entry));
        let all = all.chain(self.dues.iter().cloned().map(Row::Due));
        let all = all.chain(self.reports.iter().cloned().map(Row::Report));
        vec![rows::rows(all), rows::events(self.events.clone())]
    }

    fn add(&mut self, batch: Self) {
        self.frames.extend(batch.frames);
        self.scans.extend(batch.scans);
        self.rejects.extend(batch.rejects);
        self.statuses.extend(batch.statuses);
        self.entries.extend(batch.entries);
        self.dues.extend(batch.dues);
        self.reports.extend(batch.reports);
        self.events.extend(batch.events);
    }

    /// As reading orders them; of very late ones with the same key only the first is kept.
    fn sort(&mut self) {
        let mut seen = std::collections::BTreeSet::new();
        self.frames.retain(|row| {
            let key = (row.frame.key, row.frame.claimed_at);
            row.order != Order::VeryLate || seen.insert(key)
        });
        self.frames.sort_by_key(FrameCursor::of);
        let mut seen = std::collections::BTreeSet::new();
        self.scans.retain(|row| {
            let key = (row.site, row.scan.scanner.clone(), row.scan.key, row.scan.claimed_at);
            row.order != Order::VeryLate || seen.insert(key)
        });
        self.scans.sort_by_key(ScanCursor::of);
    }
}

pub(crate) async fn scans_by(world: &World, limit: usize) -> Vec<ScanRow> {
    let (from, to) = ALWAYS;
    let mut all: Vec<ScanRow> = Vec::new();
    loop {
        let after = all.last().map(ScanCursor::of);
        let query = ScanQuery { cylinder: cylinder(1), from, to, after, limit };
        let page = world.store.scans(query).await.unwrap();
        let is_last = page.len() < limit;
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

pub(crate) async fn nothing_is_stored_at_first(world: World) {
    world.store.ping().await.unwrap();
    assert_eq!(world.store.checkpoint().await.unwrap(), None);
    assert_eq!(world.frames(device(1)).await, []);
    assert_eq!(world.store.entry(EntryKind::Lift, "X".to_owned()).await.unwrap(), None);
}

pub(crate) async fn the_checkpoint_moves_only_from_where_it_is(mut world: World) {
    world.commit(vec![rows::frames(&[frame(device(1), 1, now())])]).await;
    let stored = world.at.expect("committed");
    assert_eq!(world.store.checkpoint().await.unwrap(), Some(stored));

    let others = [
        None,
        Some(vigil::store::Checkpoint { journal: 1, ..stored }),
        Some(vigil::store::Checkpoint { epoch: 2, ..stored }),
        Some(vigil::store::Checkpoint { position: 0, ..stored }),
        Some(vigil::store::Checkpoint { hash: 0, ..stored }),
    ];
    for from in others {
        world.at = from;
        let error = world.try_commit(vec![rows::frames(&[frame(device(1), 2, now())])]).await.unwrap_err();
        assert_eq!(error, StoreError::CheckpointMoved { expected: from, stored: Some(stored) });
        assert!(!error.is_transient());
    }
    assert_eq!(world.frames(device(1)).await.len(), 1);
    assert_eq!(world.store.checkpoint().await.unwrap(), Some(stored));

    let reset = vigil::store::Checkpoint { journal: 5, epoch: 9, position: 77, hash: 3 };
    world.store.reset_checkpoint(reset).await.unwrap();
    assert_eq!(world.store.checkpoint().await.unwrap(), Some(reset));
    world.at = Some(reset);
    world.commit(vec![rows::frames(&[frame(device(1), 2, now())])]).await;
}

pub(crate) async fn a_batch_is_stored_once(mut world: World) {
    let at = now();
    let effects = vec![rows::frames(&[frame(device(1), 1, at), frame(device(1), 2, at)])];
    let batch = world.batch(effects.clone());
    world.commit(effects).await;
    let error = world.store.commit(batch.clone()).await.unwrap_err();
    assert_eq!(error, StoreError::CheckpointMoved { expected: None, stored: Some(batch.to) });
    assert_eq!(world.frames(device(1)).await.len(), 2);
}

pub(crate) async fn a_failing_batch_leaves_nothing(mut world: World) {
    let at = now();
    let event = rows::opened(1, Subject::Service, at);
    world.commit(vec![rows::events([event.clone()])]).await;
    let before = world.at;
    // The same event again can't be stored, whatever else is in the batch.
    let late = FrameRow { order: Order::VeryLate, ..frame(device(1), 2, at) };
    let mixed = vec![rows::frames(&[frame(device(1), 1, at), late]), rows::events([event])];
    let error = world.try_commit(mixed).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert_eq!(world.store.checkpoint().await.unwrap(), before);
    assert_eq!(world.frames(device(1)).await, []);
    world.commit(vec![rows::frames(&[frame(device(1), 1, at)])]).await;
    assert_eq!(world.frames(device(1)).await.len(), 1);
}

pub(crate) async fn a_very_late_frame_is_stored_once(mut world: World) {
    let at = now() - DAY_MS;
    let late = |seq, claimed_at| {
        let mut row = frame(device(1), seq, at);
        row.order = Order::VeryLate;
        row.frame.claimed_at = claimed_at;
        row
    };
    let (first, untimed, other) = (late(1, Some(at)), late(1, None), late(1, Some(at - 1)));
    world.commit(vec![rows::frames(&[first.clone(), untimed.clone(), first.clone()])]).await;
    world.commit(vec![rows::frames(&[untimed.clone(), other.clone(), first.clone()])]).await;
    assert_eq!(world.frames(device(1)).await, [untimed, other, first]);
}

pub(crate) async fn a_very_late_scan_is_stored_once(mut world: World) {
    let mut runner = TestRunner::deterministic();
    let scan = rows::any_scan_row().new_tree(&mut runner).unwrap().current();
    let late = ScanRow { order: Order::VeryLate, ..scan.clone() };
    let live = ScanRow { order: Order::Newer, ..scan };
    world.commit(vec![rows::rows([late.clone(), live.clone(), late.clone()].map(Row::Scan))]).await;
    world.commit(vec![rows::rows([late.clone()].map(Row::Scan))]).await;
    assert_eq!(scans_by(&world, PAGE_ROWS).await, [live, late]);
}

/// Flow: among good rows stand a frame whose number no column can hold and a reject with a NUL in its text.
/// Asserts: the frame is set aside; the reject is kept or set aside; all others are kept, in order.
pub(crate) async fn a_row_that_cannot_be_stored_costs_only_itself(mut world: World) {
    let at = now();
    let mut sent: Vec<_> = (1..=200).map(|seq| frame(device(1), seq, at + seq as i64)).collect();
    sent[77].frame.key.seq = u64::MAX;
    let mut rejects: Vec<_> = (0..20).map(|n| rows::reject(&format!("reject {n}"), at)).collect();
    rejects[3].detail = "a\0b".into();
    let all = rows::rows(rejects.iter().cloned().map(Row::Reject));
    let committed = world.commit(vec![rows::frames(&sent), all]).await;

    let bad = sent.remove(77);
    assert_eq!(world.frames(device(1)).await, sent, "without {bad:?}");
    let aside = &committed.set_aside[0];
    assert_eq!((aside.what, aside.sqlstate.as_str()), ("frame", "22003"), "{aside:?}");

    let (from, to) = ALWAYS;
    let query = RejectQuery { from, to, topic: None, reason: None, after: None, limit: PAGE_ROWS };
    let kept: Vec<_> = world.store.rejects(query).await.unwrap().into_iter().map(|r| r.row).collect();
    if world.kind == Kind::Postgres {
        let aside = &committed.set_aside[1];
        assert_eq!((aside.what, aside.sqlstate.as_str()), ("reject", "22021"), "{aside:?}");
        rejects.remove(3);
    }
    assert_eq!(kept, rejects);
    assert_eq!(kept.len() + sent.len() + committed.set_aside.len(), 220);
}

pub(crate) async fn pages_follow_each_other_without_gap_or_repeat(mut world: World) {
    let at = now();
    // Many frames of one moment, so that pages end within it; and another device's in between.
    let sent: Vec<_> = (1..=90).map(|seq| frame(device(1), seq, at + (seq / 30) as i64)).collect();
    let others: Vec<_> = (1..=90).map(|seq| frame(device(2), seq, at)).collect();
    let mut late = frame(device(1), 31, at + 1);
    late.order = Order::VeryLate;
    let mixed: Vec<_> = sent.iter().rev().zip(&others).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    world.commit(vec![rows::frames(&mixed), rows::frames(&[late.clone()])]).await;
    let whole = world.frames(device(1)).await;
    let mut expected = sent.clone();
    expected.insert(31, late);
    assert_eq!(whole, expected);
    for limit in [1, 2, 7, 30, 91, 92] {
        assert_eq!(world.frames_by(device(1), limit).await, whole, "by {limit}");
    }

    let subject = Subject::Device(device(1));
    let events: Vec<_> = (1..=20).map(|seq| rows::opened(seq, subject, at + (seq / 5) as i64)).collect();
    world.commit(vec![rows::events(events.clone())]).await;
    let mut read = Vec::new();
    while read.len() < events.len() {
        let after = read.last().map(AlertCursor::of);
        let query = AlertQuery { subject, from: at, to: at + 100, after, limit: 3 };
        let page = world.store.alert_events(query).await.unwrap();
        assert!(!page.is_empty());
        read.extend(page);
    }
    assert_eq!(read, events);
}

pub(crate) async fn ranges_hold_their_beginning_and_not_their_end(mut world: World) {
    let at = now();
    let sent: Vec<_> = (1..=5).map(|seq| frame(device(1), seq, at + seq as i64)).collect();
    world.commit(vec![rows::frames(&sent)]).await;
    for (from, to, expected) in [(2, 4, 1..3), (0, 1, 0..0), (1, 2, 0..1), (5, 6, 4..5), (6, 9, 0..0), (4, 2, 0..0)] {
        let query = FrameQuery { device: device(1), from: at + from, to: at + to, after: None, limit: 10 };
        assert_eq!(world.store.frames(query).await.unwrap(), sent[expected], "{from}..{to}");
        // A cursor from before the range hides nothing of it.
        let after = Some(FrameCursor { generation: 9, ..FrameCursor::of(&frame(device(1), 9, at - 1)) });
        let query = FrameQuery { device: device(1), from: at + 2, to: at + 4, after, limit: 10 };
        assert_eq!(world.store.frames(query).await.unwrap(), sent[1..3]);
    }
}

pub(crate) async fn frames_far_from_now_are_kept(mut world: World) {
    let at = now();
    let moments = [
        Wall(0),
        at - 400 * DAY_MS,
        at - 9 * DAY_MS,
        at - 8 * DAY_MS,
        at,
        at + 2 * DAY_MS,
        at + 9 * DAY_MS,
        Wall::LAST,
    ];
    let sent: Vec<_> = (1..).zip(moments).map(|(seq, at)| frame(device(1), seq, at)).collect();
    world.commit(vec![rows::frames(&sent)]).await;
    assert_eq!(world.frames_by(device(1), 3).await, sent);
}

pub(crate) async fn an_alert_is_as_its_last_event_left_it(mut world: World) {
    let at = now();
    let opened = rows::opened(1, Subject::Device(device(1)), at);
    let mut cleared = rows::opened(2, Subject::Device(device(1)), at + 5);
    cleared.kind = EventKind::Cleared;
    cleared.alert.state = AlertState::Cleared;
    cleared.alert.cleared_at = Some(at + 5);
    let mut again = rows::opened(3, Subject::Device(device(1)), at + 9);
    again.alert.id.opening = 2;
    let id = opened.alert.id.clone();
    assert_eq!(world.store.alert(id.clone()).await.unwrap(), None);
    world.commit(vec![rows::events([opened.clone()])]).await;
    assert_eq!(world.store.alert(id.clone()).await.unwrap(), Some(opened.alert.clone()));
    // Of two events in one batch the later counts.
    let mut raised = opened;
    (raised.seq, raised.alert.unregistered) = (4, true);
    (cleared.seq, again.seq) = (5, 6);
    world.commit(vec![rows::events([raised]), rows::events([cleared.clone(), again.clone()])]).await;
    assert_eq!(world.store.alert(id).await.unwrap(), Some(cleared.alert));
    assert_eq!(world.store.alert(again.alert.id.clone()).await.unwrap(), Some(again.alert.clone()));
    // What it has in common with others comes and goes with its events.
    let place = PlaceId::parse("F12").unwrap();
    let began = Cursor { epoch: 1, seq: 7 };
    let group = Group { scope: StormScope::Feeder, place, began, began_at: at, lifts: 60 };
    let mut grouped = AlertEvent { seq: 7, kind: EventKind::Grouped, reason: Reason::Storm, ..again.clone() };
    (grouped.alert.group, grouped.alert.occupied, grouped.alert.flapping) = (Some(group), None, true);
    world.commit(vec![rows::events([grouped.clone()])]).await;
    assert_eq!(world.store.alert(again.alert.id.clone()).await.unwrap(), Some(grouped.alert.clone()));
    assert_eq!(world.store.alert_events_after(1, 6, 2).await.unwrap(), [grouped]);
    again.seq = 8;
    again.alert.occupied = Some(false);
    world.commit(vec![rows::events([again.clone()])]).await;
    assert_eq!(world.store.alert(again.alert.id.clone()).await.unwrap(), Some(again.alert));
}

pub(crate) async fn events_are_resumed_by_seq(mut world: World) {
    let at = now();
    let mut events: Vec<_> = (1..=9).map(|seq| rows::opened(seq, Subject::Service, at)).collect();
    events[8].epoch = 2;
    world.commit(vec![rows::events(events.clone())]).await;
    assert_eq!(world.store.alert_events_after(1, 4, 2).await.unwrap(), events[4..6]);
    assert_eq!(world.store.alert_events_after(1, 6, 9).await.unwrap(), events[6..8]);
    assert_eq!(world.store.alert_events_after(2, 0, 9).await.unwrap(), events[8..]);
    assert_eq!(world.store.alert_events_after(3, u64::MAX, 9).await.unwrap(), []);
}

pub(crate) async fn rejects_are_filtered(mut world: World) {
    let at = now();
    let mut sent: Vec<_> = (0..6).map(|n| rows::reject(&n.to_string(), at + n)).collect();
    sent[2].topic = "other".into();
    sent[4].reason = RejectReason::TooLarge;
    world.commit(vec![rows::rows(sent.iter().cloned().map(Row::Reject))]).await;
    let all = || RejectQuery { from: at, to: at + 6, topic: None, reason: None, after: None, limit: 10 };
    let cases = [
        (all(), vec![0, 1, 2, 3, 4, 5]),
        (RejectQuery { topic: Some("other".to_owned()), ..all() }, vec![2]),
        (RejectQuery { reason: Some(RejectReason::TooLarge), ..all() }, vec![4]),
        (RejectQuery { topic: Some("other".to_owned()), reason: Some(RejectReason::TooLarge), ..all() }, vec![]),
        (RejectQuery { from: at + 1, to: at + 3, ..all() }, vec![1, 2]),
        (RejectQuery { limit: 2, ..all() }, vec![0, 1]),
    ];
    for (query, expected) in cases {
        let found = world.store.rejects(query.clone()).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|i| sent[i].clone()).collect();
        assert_eq!(found.into_iter().map(|r| r.row).collect::<Vec<_>>(), expected, "{query:?}");
    }
    let third = world.store.rejects(all()).await.unwrap()[2].n;
    let rest = world.store.rejects(RejectQuery { after: Some(third), ..all() }).await.unwrap();
    assert_eq!(rest.into_iter().map(|r| r.row).collect::<Vec<_>>(), sent[3..]);
}

pub(crate) async fn an_entry_is_replaced_whole(mut world: World) {
    let firm = |id: &str, name: &str, phone: Option<&str>| {
        Entry::Firm(Firm { phone: phone.map(Into::into), ..Firm::new(FirmId::parse(id).unwrap(), name) })
    };
    let upsert = |entries: &[Entry]| vec![rows::rows(entries.iter().cloned().map(Row::Entry))];
    world.commit(upsert(&[firm("b", "old", Some("1")), firm("B", "other", None)])).await;
    world.commit(upsert(&[firm("a", "x", None), firm("b", "newer", Some("2")), firm("b", "newest", None)])).await;
    let expected = [firm("B", "other", None), firm("a", "x", None), firm("b", "newest", None)];
    assert_eq!(world.store.entries(EntryKind::Firm, None, 10).await.unwrap(), expected);
    assert_eq!(world.store.entries(EntryKind::Firm, None, 2).await.unwrap(), expected[..2]);
    assert_eq!(world.store.entries(EntryKind::Firm, Some("a".to_owned()), 10).await.unwrap(), expected[2..]);
    assert_eq!(world.store.entries(EntryKind::Site, None, 10).await.unwrap(), []);
}

pub(crate) async fn changes_of_an_entry_stay_in_their_order(mut world: World) {
    let change = |kind, code: &str, what, fields: &[(&str, &str, &str)]| ChangeRow {
        kind,
        code: code.into(),
        what,
        changed_at: now(),
        actor: "clerk \u{1f6d7}".into(),
        fields: fields
            .iter()
            .map(|(field, before, after)| FieldChange {
                field: (*field).into(),
                before: (*before).into(),
                after: (*after).into(),
            })
            .collect(),
    };
    let mut sent = [
        change(EntryKind::Lift, "b", ChangeKind::Created, &[]),
        change(EntryKind::Firm, "b", ChangeKind::Created, &[]),
        change(EntryKind::Lift, "b", ChangeKind::Changed, &[("address", "", "\"北京路\" 1"), ("firm", "x", "")]),
        change(EntryKind::Lift, "B", ChangeKind::Transferred, &[]),
        change(EntryKind::Lift, "b", ChangeKind::TerminalReplaced, &[("generation", "0", "1")]),
    ];
    let begins = now();
    (0..).zip(&mut sent).for_each(|(nth, row)| row.changed_at = begins + nth);
    let (first, second) = sent.split_at(2);
    world.commit(vec![rows::rows(first.iter().cloned().map(Row::Change))]).await;
    world.commit(vec![rows::rows(second.iter().cloned().map(Row::Change))]).await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (from, to) = (Wall(i64::MIN), Wall::MAX);
        let query = ChangeQuery { kind: EntryKind::Lift, code: "b".into(), from, to, after, limit: 2 };
        let page = world.store.changes(query).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.n);
        found.extend(page.into_iter().map(|it| it.row));
    }
    assert_eq!(found, [&sent[0], &sent[2], &sent[4]].map(Clone::clone));
    // By time: from the first on, and up to the last but not it.
    let at = |n: usize| sent[n].changed_at;
    for (from, to, want) in [(at(0), at(4), vec![0, 2]), (at(2), Wall::MAX, vec![2, 4]), (at(2), at(2), vec![])] {
        let query = ChangeQuery { kind: EntryKind::Lift, code: "b".into(), from, to, after: None, limit: 9 };
        let page = world.store.changes(query).await.unwrap();
        let want: Vec<_> = want.into_iter().map(|n: usize| sent[n].clone()).collect();
        assert_eq!(page.into_iter().map(|it| it.row).collect::<Vec<_>>(), want);
    }
}

pub(crate) async fn lifts_are_found_by_what_people_know_of_them(mut world: World) {
    let lift = |n: u32, address: &str| Lift {
        address: Some(address.into()),
        rescue_code: Some(format!("{:06}", n / 2).into()),
        registration: (n > 1).then(|| device(n + 50)),
        ..Lift::new(device(n))
    };
    let sent =
        [lift(0, "Anna Straße 1"), lift(1, "anna strasse 2"), lift(2, "100 % ANNA_ROAD"), lift(3, "北京路 3 号")];
    let mut entries: Vec<_> = sent.iter().cloned().map(Entry::Lift).collect();
    entries.push(Entry::Lift(Lift::new(device(9))));
    world.commit(vec![rows::rows(entries.into_iter().map(Row::Entry))]).await;
    let address = |part: &str| LiftQuery { address: Some(part.into()), limit: 9, ..LiftQuery::default() };
    let code = |code: DeviceCode| LiftQuery { registration: Some(code.to_string()), limit: 9, ..LiftQuery::default() };
    let rescue = LiftQuery { rescue_code: Some("000000".into()), limit: 9, ..LiftQuery::default() };
    let after = |n: u32| Some(device(n).to_string());
    for (query, want) in [
        (address("anna"), vec![0, 1, 2]),
        (LiftQuery { limit: 2, ..address("anna") }, vec![0, 1]),
        (LiftQuery { after: after(1), ..address("anna") }, vec![2]),
        (address("Straße"), vec![0]),
        (address("STRAßE"), vec![0]),
        (address("%"), vec![2]),
        (address("a_r"), vec![2]),
        (address("a_s"), vec![]),
        (address("京路"), vec![3]),
        (rescue.clone(), vec![0, 1]),
        (LiftQuery { address: Some("strasse".into()), ..rescue }, vec![1]),
        (code(device(1)), vec![1]),
        (code(device(52)), vec![2]),
        (code(device(51)), vec![]),
    ] {
        let found = world.store.lifts(query.clone()).await.unwrap();
        let want: Vec<_> = want.into_iter().map(|n: usize| Entry::Lift(sent[n].clone())).collect();
        assert_eq!(found, want, "{query:?}");
    }
}

/// Flow: scans of three cylinders are committed, and those that tell how one stands are read in pages of two.
/// Asserts: just these come, by cylinder and time, without gap or repeat.
pub(crate) async fn scans_that_tell_how_a_cylinder_stands_are_read_in_order(mut world: World) {
    let code = |n: u32| CylinderCode::parse(&format!("16400{n:07}")).unwrap();
    let at = now();
    let mut runner = TestRunner::deterministic();
    let any = rows::any_scan_row().new_tree(&mut runner).unwrap().current();
    let row = |n: u32, seq: u64, event: ScanEvent| {
        let scan = Scan { key: FrameKey { boot: 1, seq }, cylinder: code(n), event, ..any.scan.clone() };
        ScanRow { scan, effective_at: at + seq as i64, order: Order::Newer, ..any.clone() }
    };
    let sent = [
        row(2, 1, ScanEvent::Disabled),
        row(1, 2, ScanEvent::Filled),
        row(1, 3, ScanEvent::Returned),
        row(3, 4, ScanEvent::Inspected),
        row(2, 5, ScanEvent::Scrapped),
        row(2, 6, ScanEvent::FillRequested),
        row(1, 7, ScanEvent::Lost),
    ];
    world.commit(vec![rows::rows(sent.iter().cloned().map(Row::Scan))]).await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = world.store.telling_scans(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.scan.cylinder, ScanCursor::of(last)));
        found.extend(page);
    }
    assert_eq!(found, [2, 6, 0, 4, 3].map(|n: usize| sent[n].clone()));
}

pub(crate) async fn relabelled_cylinders_are_found_by_codes_they_bore(mut world: World) {
    let code = |n: u32| CylinderCode::parse(&format!("16400{n:07}")).unwrap();
    let cylinder = |n: u32, aliases: &[u32]| {
        Entry::Cylinder(Cylinder { aliases: aliases.iter().map(|n| code(*n)).collect(), ..Cylinder::new(code(n)) })
    };
    let sent = [cylinder(1, &[]), cylinder(2, &[1]), cylinder(3, &[4, 2]), cylinder(5, &[2])];
    world.commit(vec![rows::rows(sent.iter().cloned().map(Row::Entry))]).await;
    for (of, want) in [(1, vec![1]), (2, vec![2, 3]), (3, vec![]), (4, vec![2]), (16, vec![])] {
        let want: Vec<Entry> = want.into_iter().map(|n: usize| sent[n].clone()).collect();
        assert_eq!(world.store.relabelled(code(of)).await.unwrap(), want, "{of}");
    }
    // What the archive takes back, or says otherwise, is found no longer; what it says again is found once.
    let then = [cylinder(2, &[]), cylinder(3, &[4, 6]), cylinder(5, &[2]), cylinder(1, &[9])];
    world.commit(vec![rows::rows(then.iter().cloned().map(Row::Entry))]).await;
    for (of, want) in [(1, vec![]), (2, vec![2]), (4, vec![1]), (6, vec![1]), (9, vec![3])] {
        let want: Vec<Entry> = want.into_iter().map(|n: usize| then[n].clone()).collect();
        assert_eq!(world.store.relabelled(code(of)).await.unwrap(), want, "{of}");
    }
}

/// Flow: the chains of two lifts are committed in pieces, visits with and without people among signatures.
/// Asserts: each is read back in its order, by pages and by ranges of time; a record is found by its firm and id; the
/// devices that have records are listed.
pub(crate) async fn records_read_back_as_they_were(mut world: World) {
    crate::records::read_back(&mut world).await;
}
