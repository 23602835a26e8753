//! PostgreSQL that is away, or doesn't answer; and that the tests' own server leaves nothing behind.

use std::time::{Duration, Instant};

use vigil::store::{Options, StoreError};

use crate::databases::client;
use crate::support::postgres::Postgres;
use crate::support::rows::{self, device, frame};
use crate::world::{Kind, OPTIONS, World, now, run};

/// Flow: a server is killed between batches and stopped between others; each time it comes back.
/// Asserts: meanwhile everything fails as transient; afterwards the same store works and nothing is lost or doubled.
#[test]
fn a_server_may_go_and_come_back() {
    run(|| async {
        let mut server = Postgres::start(true);
        let mut world = World::postgres(server.database(), OPTIONS).await;
        for round in 1..=4 {
            world.commit(vec![rows::frames(&[frame(device(1), round, now())])]).await;
            if round % 2 == 0 {
                server.kill()
            } else {
                server.stop_and_keep_data()
            }
            let lost = vec![rows::frames(&[frame(device(1), 99, now())])];
            for error in [
                world.try_commit(lost).await.unwrap_err(),
                world.store.ping().await.unwrap_err(),
                world.store.checkpoint().await.unwrap_err(),
                world.store.maintain(now()).await.unwrap_err(),
            ] {
                assert!(error.is_transient(), "{error}");
            }
            server.restart();
            assert_eq!(world.store.checkpoint().await.unwrap(), world.at);
        }
        let seqs: Vec<_> = world.frames(device(1)).await.iter().map(|row| row.frame.key.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4]);
    });
}

/// Flow: another session holds the table for longer than a batch may take, then lets go.
/// Asserts: the batch fails as transient, and the same batch is stored once afterwards.
#[test]
fn a_batch_that_takes_too_long_is_given_up() {
    run(|| async {
        let url = crate::world::server().database();
        let mut world = World::postgres(url, Options { commit_limit_ms: 300, ..OPTIONS }).await;
        world.commit(vec![rows::frames(&[frame(device(1), 1, now())])]).await;
        let mut holder = client(&world.url).await;
        let holding = holder.transaction().await.unwrap();
        holding.batch_execute("LOCK TABLE frame IN ACCESS EXCLUSIVE MODE").await.unwrap();

        let sent = vec![rows::frames(&[frame(device(1), 2, now())])];
        let error = world.try_commit(sent.clone()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        holding.rollback().await.unwrap();
        // What was given up may hold its lock for another moment.
        let begun = Instant::now();
        while let Err(error) = world.try_commit(sent.clone()).await {
            assert!(error.is_transient() && begun.elapsed() < Duration::from_secs(20), "{error}");
        }
        assert_eq!(world.frames(device(1)).await.len(), 2);
    });
}

/// Flow: retention has put evidence where it stays, but a reader keeps it from ending the day; then the server crashes.
/// Asserts: before the crash, after it, and when the day has been ended, the evidence is there once.
#[test]
fn a_crash_between_the_move_and_the_end_of_a_day_changes_nothing() {
    const DAY_MS: i64 = 86_400_000;
    run(|| async {
        let mut server = Postgres::start(true);
        let mut world = World::postgres(server.database(), OPTIONS).await;
        let at = now() - 5 * DAY_MS;
        let sent: Vec<_> = (1..=30).map(|n| frame(device(1), n, at + n as i64 * 60_000)).collect();
        world.commit(vec![rows::frames(&sent)]).await;
        let subject = vigil::model::ids::Subject::Device(device(1));
        world.commit(vec![rows::events([rows::opened(1, subject, at)])]).await;

        let mut reader = client(&world.url).await;
        let reading = reader.transaction().await.unwrap();
        reading.query("SELECT count(*) FROM frame", &[]).await.unwrap();
        let later = now() + 27 * DAY_MS;
        let done = world.store.maintain(later).await.unwrap();
        assert_eq!((done.frames_moved, done.days_dropped), (10, 0));
        assert!(done.left.is_some());
        server.kill();
        drop(reading);
        server.restart();

        world.store = world.again().await;
        let now_there = world.frames(device(1)).await;
        assert_eq!(now_there[..10], sent[..10]);
        let done = world.store.maintain(later).await.unwrap();
        assert_eq!((done.days_dropped, done.left), (1, None));
        assert_eq!(world.frames(device(1)).await, sent[..10]);
    });
}

/// Flow: the server and all its processes stand still, as on a machine whose disk hangs, while a batch is to be stored; then
/// they go on.
/// Asserts: the batch is given up in its time, and so are further attempts; afterwards it is stored once.
#[test]
fn a_server_that_stops_answering_is_given_up() {
    run(|| async {
        let server = Postgres::start(true);
        let mut world = World::postgres(server.database(), Options { commit_limit_ms: 300, ..OPTIONS }).await;
        world.commit(vec![rows::frames(&[frame(device(1), 1, now())])]).await;
        let batch = world.batch(vec![rows::frames(&[frame(device(1), 2, now())])]);

        server.freeze();
        for _ in 0..3 {
            let begun = Instant::now();
            let error = world.store.commit(batch.clone()).await.unwrap_err();
            assert!(error.is_transient(), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
        }
        server.thaw();
        // What was given up may arrive all the same, or hold its lock for another moment.
        let begun = Instant::now();
        loop {
            match world.store.commit(batch.clone()).await {
                Ok(_) => break,
                Err(StoreError::CheckpointMoved { stored, .. }) if stored == Some(batch.to) => break,
                Err(error) => assert!(error.is_transient() && begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
        }
        assert_eq!(world.frames(device(1)).await.len(), 2);
    });
}

/// Whoever retries after a lost answer learns that it was stored after all.
#[test]
fn a_lost_answer_can_be_asked_for() {
    run(|| async {
        let mut world = World::new(Kind::Postgres).await;
        world.commit(vec![rows::frames(&[frame(device(1), 1, now())])]).await;
        let batch = world.batch(vec![rows::frames(&[frame(device(1), 2, now())])]);
        drop(world.store.commit(batch.clone()).await);
        match world.store.commit(batch.clone()).await {
            Err(StoreError::CheckpointMoved { stored, .. }) => assert_eq!(stored, Some(batch.to)),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_server_ends_with_the_process_that_started_it() {
    let server = Postgres::start(false);
    let pid_file = server.data().join("postmaster.pid");
    let pid = std::fs::read_to_string(pid_file).unwrap().lines().next().unwrap().to_owned();
    let process = std::path::Path::new("/proc").join(pid);
    assert!(process.exists());
    let folder = server.abandon();
    assert!(!process.exists(), "the server still runs");
    assert!(!folder.exists(), "its data is still there");
}
