use super::*;

fn at(seq: u64) -> Cursor {
    Cursor { epoch: 1, seq }
}

fn note(seq: u64) -> Note {
    Note { place: Place { cursor: at(seq), ..Place::default() }, at: Wall(1_000), ..Note::default() }
}

fn delivery(seq: u64, outcome: Outcome) -> Delivery {
    let (reason, detail) = (String::new(), String::new());
    Delivery { cursor: at(seq), outcome, reason, detail, attempts: 1, happened_at: Wall(1), done_at: Wall(2) }
}

#[tokio::test]
async fn a_place_outlives_the_process_and_is_of_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify.db");
    let ledger = Ledger::open(&file, &["a"], Wall(0)).unwrap();
    assert_eq!(ledger.place("a", false).await.unwrap(), None);
    let place = Place { cursor: at(7), replay_to: 9, replayed_at: Wall(5) };
    ledger.note("a", Note { place, ..note(7) }).await.unwrap();
    drop(ledger);
    let ledger = Ledger::open(&file, &["a"], Wall(0)).unwrap();
    assert_eq!(ledger.place("a", false).await.unwrap(), Some(place));
    assert_eq!(ledger.place("a", true).await.unwrap(), None);
    assert_eq!(ledger.place("b", false).await.unwrap(), None);
}

#[tokio::test]
async fn only_the_last_deliveries_are_kept_and_those_given_up_longer() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("notify.db"), &[], Wall(0)).unwrap();
    let all = limits::NOTIFY_DELIVERIES as u64 + 50;
    for seq in 1..=all {
        let outcome = if seq % 2 == 0 { Outcome::Delivered } else { Outcome::GivenUp };
        ledger.note("a", Note { delivery: Some(delivery(seq, outcome)), ..note(seq) }).await.unwrap();
        if seq > 50 {
            ledger.note("a", Note { delivery: Some(delivery(seq, Outcome::Delivered)), ..note(seq) }).await.unwrap();
        }
    }
    let kept = ledger.deliveries("a", false).await.unwrap();
    let delivered = kept.iter().filter(|it| it.outcome == Outcome::Delivered).count();
    assert_eq!(delivered, limits::NOTIFY_DELIVERIES);
    assert_eq!(kept[0].cursor, at(all));
    let given_up = ledger.deliveries("a", true).await.unwrap();
    assert_eq!(given_up.len() as u64, all / 2);
    assert!(given_up.iter().all(|it| it.outcome == Outcome::GivenUp));
    assert!(ledger.deliveries("b", false).await.unwrap().is_empty());
}

/// Which messages stand before an event, by how many references it would have.
#[tokio::test]
async fn a_chain_is_what_was_taken_before() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&folder.path().join("notify.db"), &[], Wall(0)).unwrap();
    let take = async |seq, kind| {
        let message = Earlier { cursor: at(seq), sent: Wall(0) };
        let taken = Some(Taken { chain: "x".into(), message, kind });
        ledger.note("a", Note { taken, ..note(seq) }).await.unwrap();
    };
    let check = async |before, want| {
        let chain = ledger.chain("a", "x", at(before)).await.unwrap();
        assert_eq!(chain.len(), want, "before {before}");
    };
    for round in 0..2 {
        take(1, MessageKind::Alert).await;
        take(4, MessageKind::Update).await;
        check(1, 0).await;
        check(4, 1).await;
        check(5, 2).await;
        take(6, MessageKind::Cancel).await;
        take(8, MessageKind::Alert).await;
        check(7, 0).await;
        check(9, 1).await;
        // Told again, each message refers to what it referred to the first time.
        check(5 - round, 2 - round as usize).await;
    }
    assert_eq!(ledger.chain("b", "x", at(9)).await.unwrap().len(), 0);
}

/// Flow: two targets take turns, one of them with three messages for each of the other's; all of it was over long ago.
/// Asserts: of each at most as many messages are kept as come between two tidyings; a start tidies up, too.
#[tokio::test]
async fn each_target_is_tidied_up_by_itself() {
    const LATER: Wall = Wall(10 * limits::NOTIFY_CHAIN_MS);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify.db");
    let ledger = Ledger::open(&file, &["a", "b"], Wall(0)).unwrap();
    let kept = |target: &'static str| {
        let other = Connection::open(&file).unwrap();
        let sql = "SELECT count(*) FROM message WHERE target = ?";
        other.query_row(sql, [target], |row| row.get::<_, i64>(0)).unwrap() as usize
    };
    for n in 1..=2 * limits::NOTIFY_TIDY_EVERY as u64 - 1 {
        for (target, of) in [("a", 1), ("b", 3)] {
            for each in 0..of {
                let message = Earlier { cursor: at(3 * n + each), sent: Wall(0) };
                let taken = Some(Taken { chain: format!("{n}/{each}"), message, kind: MessageKind::Cancel });
                ledger.note(target, Note { taken, at: LATER, ..note(n) }).await.unwrap();
            }
        }
        assert!(kept("a") < limits::NOTIFY_TIDY_EVERY && kept("b") < limits::NOTIFY_TIDY_EVERY, "after {n}");
    }
    assert!(kept("a") > 0);
    drop(ledger);
    Ledger::open(&file, &["a", "b"], LATER).unwrap();
    assert_eq!((kept("a"), kept("b")), (0, 0));
}

#[tokio::test]
async fn who_is_no_longer_configured_is_forgotten_after_a_week() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify.db");
    let open = |targets: &[&str], day: i64| Ledger::open(&file, targets, Wall(day * DAY_MS)).unwrap();
    open(&[], 0).note("a", note(7)).await.unwrap();
    assert!(open(&[], 6).place("a", false).await.unwrap().is_some());
    assert!(open(&["a"], 30).place("a", false).await.unwrap().is_some());
    assert!(open(&[], 30).place("a", false).await.unwrap().is_none());
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify.db");
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 7).unwrap();
    assert!(matches!(Ledger::open(&file, &[], Wall(0)), Err(LedgerError::Later(7))));
}
