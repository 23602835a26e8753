//! Days of frames in PostgreSQL: made when they are needed, ended without making anybody wait.

use std::time::{Duration, Instant};

use vigil::model::time::Wall;

use crate::databases::client;
use crate::support::rows::{self, device, frame};
use crate::world::{Kind, World, now, run};

const DAY_MS: i64 = 86_400_000;

async fn days(url: &str) -> i64 {
    let sql = "SELECT count(*) FROM pg_class WHERE relname ~ '^frame_[0-9]{8}$'";
    client(url).await.query_one(sql, &[]).await.unwrap().get(0)
}

async fn count(url: &str, table: &str) -> i64 {
    client(url).await.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

#[test]
fn days_near_now_get_a_partition_and_others_none() {
    run(|| async {
        let mut world = World::new(Kind::Postgres).await;
        let at = now();
        let done = world.store.maintain(at).await.unwrap();
        assert_eq!(
            (done.days_created, done.days_dropped, done.left),
            (4, 0, None),
            "yesterday to the day after tomorrow"
        );

        let offsets = [-400, -9, -8, -7, -1, 0, 1, 2, 3, 400];
        let at_days = offsets.map(|days| at + days * DAY_MS).into_iter().chain([Wall(0), Wall::LAST]);
        let sent: Vec<_> = (1..).zip(at_days).map(|(seq, at)| frame(device(1), seq, at)).collect();
        world.commit(vec![rows::frames(&sent)]).await;
        assert_eq!(days(&world.url).await, 6);
        assert_eq!(count(&world.url, "frame").await, 6);
        assert_eq!(count(&world.url, "frame_out_of_range").await, 6);
        assert_eq!(world.frames(device(1)).await.len(), 12);
    });
}

/// Flow: somebody reads old frames in a long transaction while retention ends their day; commits and other readers go
/// on; then the long reader ends and maintenance comes round again.
/// Asserts: nobody waits, the day is gone for new readers at once, and from the disk in the end.
#[test]
fn a_long_reader_only_delays_the_end_of_a_day() {
    run(|| async {
        let mut world = World::new(Kind::Postgres).await;
        let at = now();
        let sent: Vec<_> =
            [-5, -4, 0].into_iter().zip(1..).map(|(days, seq)| frame(device(1), seq, at + days * DAY_MS)).collect();
        world.commit(vec![rows::frames(&sent)]).await;
        let before = days(&world.url).await;
        assert_eq!(before, 3);

        let mut reader = client(&world.url).await;
        let reading = reader.transaction().await.unwrap();
        let seen = |rows: Vec<tokio_postgres::Row>| rows[0].get::<_, i64>(0);
        assert_eq!(seen(reading.query("SELECT count(*) FROM frame", &[]).await.unwrap()), 3);

        let later = at + 27 * DAY_MS;
        let begun = Instant::now();
        let done = world.store.maintain(later).await.unwrap();
        assert_eq!(done.days_dropped, 0);
        assert!(done.left.unwrap().contains("still reads"));
        world.commit(vec![rows::frames(&[frame(device(1), 4, at)])]).await;
        let seqs: Vec<_> = world.frames(device(1)).await.iter().map(|row| row.frame.key.seq).collect();
        assert_eq!(seqs, [2, 3, 4], "the older day is gone for new readers");
        assert!(begun.elapsed() < Duration::from_secs(20), "somebody waited");

        reading.commit().await.unwrap();
        let done = world.store.maintain(later).await.unwrap();
        assert_eq!((done.days_dropped, done.left), (2, None));
        let seqs: Vec<_> = world.frames(device(1)).await.iter().map(|row| row.frame.key.seq).collect();
        assert_eq!(seqs, [3, 4]);
        let ahead = 4;
        assert_eq!(days(&world.url).await, before - 2 + ahead);
    });
}

/// What an operator has detached to keep it is not ours to drop.
#[test]
fn a_day_that_others_detached_is_left_alone() {
    run(|| async {
        let mut world = World::new(Kind::Postgres).await;
        let at = now();
        world.commit(vec![rows::frames(&[frame(device(1), 1, at - 5 * DAY_MS), frame(device(1), 2, at)])]).await;
        let operator = client(&world.url).await;
        let name: String = operator
            .query_one("SELECT min(relname::text) FROM pg_class WHERE relname ~ '^frame_[0-9]{8}$'", &[])
            .await
            .unwrap()
            .get(0);
        operator.batch_execute(&format!("ALTER TABLE frame DETACH PARTITION {name}")).await.unwrap();
        let done = world.store.maintain(at + 26 * DAY_MS).await.unwrap();
        assert_eq!((done.days_dropped, done.left), (0, None));
        assert_eq!(count(&world.url, &name).await, 1);
        // A frame of that day has no partition now, and none can be made.
        world.commit(vec![rows::frames(&[frame(device(1), 3, at - 5 * DAY_MS)])]).await;
        assert_eq!(world.frames(device(1)).await.len(), 2);
    });
}
