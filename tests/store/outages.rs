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
