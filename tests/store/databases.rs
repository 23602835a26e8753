//! What only stores with a database behind them can be asked: that it lasts, is shared, and can be read with SQL.

use vigil::model::archive::{Cylinder, Entry};
use vigil::model::frame::{Car, Direction, Door, Mode, Reported};
use vigil::model::ids::CylinderCode;
use vigil::model::row::{Order, Row, TimeSource};
use vigil::model::time::Wall;
use vigil::store::{self, StoreError};

use crate::support::rows::{self, device, frame};
use crate::world::{Kind, OPTIONS, World, now, run, server};

const DATABASES: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

#[test]
fn what_is_stored_outlives_the_store() {
    run(|| async {
        for kind in DATABASES {
            let mut world = World::new(kind).await;
            let sent = [frame(device(1), 1, now()), frame(device(1), 2, now())];
            world.commit(vec![rows::frames(&sent)]).await;
            world.store = world.again().await;
            assert_eq!(world.store.checkpoint().await.unwrap(), world.at);
            assert_eq!(world.frames(device(1)).await, sent);
            world.commit(vec![rows::frames(&[frame(device(1), 3, now())])]).await;
        }
    });
}

/// Flow: two stores on one database commit at the same moment from the same place, many times.
/// Asserts: exactly one of them succeeds each time, and only its row is there.
#[test]
fn of_two_writers_one_wins() {
    run(|| async {
        for kind in DATABASES {
            let mut world = World::new(kind).await;
            let other = world.again().await;
            for round in 1..=20 {
                let batch = |n| world.batch(vec![rows::frames(&[frame(device(n), round, now())])]);
                let (one, two) = (world.store.commit(batch(1)), other.commit(batch(2)));
                let (one, two) = tokio::join!(one, two);
                assert!(one.is_ok() != two.is_ok(), "{kind:?}: {one:?}, {two:?}");
                let lost = one.err().or(two.err()).unwrap();
                assert!(matches!(lost, StoreError::CheckpointMoved { .. }), "{lost}");
                world.at = Some(world.next(1));
            }
            let stored = world.frames(device(1)).await.len() + world.frames(device(2)).await.len();
            assert_eq!(stored, 20);
        }
    });
}

#[test]
fn a_new_database_may_be_opened_twice_at_once() {
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        for url in [format!("sqlite:{}", folder.path().join("history.db").display()), server().database()] {
            let open = || store::open(&url, OPTIONS);
            let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
            for opened in [a, b, c, d] {
                opened.unwrap().ping().await.unwrap();
            }
        }
    });
}

#[test]
fn a_url_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "this is not a database, but it is long enough to be read as the header of one").unwrap();
    let missing = format!("sqlite:{}", folder.path().join("no/such/folder.db").display());
    let secured = server().url() + "?sslmode=require";
    let nobody = server().url().replace("/postgres", "/no_such_database");
    let cases = [
        ("mysql://user:secret@host/db", "must begin with postgres://"),
        ("postgres://user:secret@host:99999999/db", "the store's URL can't be read"),
        ("postgres://user:secret@host/db?sslmode=verify-full", "the store's URL can't be read"),
        (&secured, "can't speak TLS"),
        (&nobody, "no_such_database"),
        (&missing, "no/such"),
        (&format!("sqlite:{}", text.display()), "not a database"),
    ];
    run(|| async {
        for (url, expected) in cases {
            let Err(error) = store::open(url, OPTIONS).await else { panic!("{url} was opened") };
            let message = error.to_string();
            assert!(message.contains(expected), "{url}: {message}");
            assert!(!message.contains("secret"), "{message}");
            assert!(!error.is_transient(), "{message}");
        }
    });
}

/// The view for analysts names constants; the model names them too.
#[test]
fn frame_history_speaks_the_models_words() {
    let at = now();
    let mut sent = Vec::new();
    for i in 0..7 {
        let mut row = frame(device(1), i + 1, at);
        let i = i as usize;
        row.frame.mode = Mode::ALL.get(i).map_or(Reported::Unknown, |mode| Reported::Known(*mode));
        row.frame.car = Car::ALL.get(i).map_or(Reported::Unknown, |car| Reported::Known(*car));
        row.frame.direction = Direction::ALL.get(i).map_or(Reported::Absent, |way| Reported::Known(*way));
        row.frame.door = Door::ALL.get(i).map_or(Reported::Absent, |door| Reported::Known(*door));
        row.time_source = [TimeSource::Claimed, TimeSource::Absent, TimeSource::Wrong][i % 3];
        row.order = [Order::Newer, Order::Late, Order::VeryLate][i % 3];
        sent.push(row);
    }
    let name = |name: Option<&'static str>| name.unwrap_or("-").to_owned();
    let expected: Vec<Vec<String>> = sent
        .iter()
        .map(|row| {
            let frame = &row.frame;
            vec![
                name(frame.mode.known().map(|mode| mode.name())),
                name(frame.car.known().map(|car| car.name())),
                name(frame.direction.known().map(|direction| direction.name())),
                name(frame.door.known().map(|door| door.name())),
                format!("{:?}", row.time_source).to_lowercase(),
                format!("{:?}", row.order).to_lowercase().replace("verylate", "very_late"),
            ]
        })
        .collect();
    let columns = ["mode", "car", "direction", "door", "time_source", "arrival_order"];
    let columns = columns.map(|column| format!("coalesce({column}, '-')")).join(", ");
    let sql = format!("SELECT {columns} FROM frame_history ORDER BY seq");
    run(|| async {
        let mut world = World::new(Kind::Postgres).await;
        world.commit(vec![rows::frames(&sent)]).await;
        let rows = client(&world.url).await.query(&sql, &[]).await.unwrap();
        let found: Vec<Vec<String>> = rows.iter().map(|row| (0..6).map(|i| row.get(i)).collect()).collect();
        assert_eq!(found, expected);

        let mut world = World::new(Kind::Sqlite).await;
        world.commit(vec![rows::frames(&sent)]).await;
        let file = rusqlite::Connection::open(world.url.strip_prefix("sqlite:").unwrap()).unwrap();
        let mut statement = file.prepare(&sql).unwrap();
        let found = statement.query_map([], |row| (0..6).map(|i| row.get(i)).collect()).unwrap();
        assert_eq!(found.collect::<Result<Vec<Vec<String>>, _>>().unwrap(), expected);
        let shown: String =
            file.query_row("SELECT min(effective_at) FROM frame_history", [], |row| row.get(0)).unwrap();
        assert_eq!(shown, at.to_string());
    });
}

/// Flow: many cylinders, of which some were relabelled; the databases are asked how they would find one by a code that it
/// bore.
/// Asserts: by an index, and not by going through all that were relabelled.
#[test]
fn codes_of_before_are_found_by_an_index() {
    let code = |n: u32| CylinderCode::parse(&format!("16400{n:07}")).unwrap();
    let cylinder = |n: u32| {
        let aliases = if n % 2 == 0 { vec![code(1_000_000 + n)] } else { Vec::new() };
        Row::Entry(Entry::Cylinder(Cylinder { aliases, ..Cylinder::new(code(n)) }))
    };
    run(|| async {
        let mut world = World::new(Kind::Postgres).await;
        world.commit(vec![rows::rows((0..4_000).map(cylinder))]).await;
        let sql =
            "EXPLAIN SELECT code FROM cylinder WHERE aliases IS NOT NULL AND aliases @> ARRAY['164001000100'::text]";
        let client = client(&world.url).await;
        client.batch_execute("ANALYZE cylinder").await.unwrap();
        let plan: Vec<String> = client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains("on cylinder_relabelled")), "{plan:#?}");

        let mut world = World::new(Kind::Sqlite).await;
        world.commit(vec![rows::rows((0..4_000).map(cylinder))]).await;
        let file = rusqlite::Connection::open(world.url.strip_prefix("sqlite:").unwrap()).unwrap();
        let sql = "EXPLAIN QUERY PLAN SELECT code FROM cylinder WHERE aliases IS NOT NULL \
                   AND code IN (SELECT bears FROM cylinder_alias WHERE alias = '164001000100')";
        let mut statement = file.prepare(sql).unwrap();
        let plan = statement.query_map([], |row| row.get(3)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
        let is_found = |of: &str| plan.iter().any(|line| line.starts_with("SEARCH") && line.contains(of));
        assert!(
            is_found("cylinder_alias USING PRIMARY KEY (alias=?)") && is_found("SEARCH cylinder USING"),
            "{plan:#?}"
        );
        assert!(!plan.iter().any(|line| line.starts_with("SCAN")), "{plan:#?}");
        let found = world.store.relabelled(code(1_000_100)).await.unwrap();
        assert!(matches!(&found[..], [Entry::Cylinder(it)] if it.code == code(100)), "{found:?}");
    });
}

/// Flow: among many rejects some have what PostgreSQL can't hold: a NUL, a time out of its range.
/// Asserts: each is found, set aside with its content, and the others are kept in order.
#[test]
fn poison_is_found_among_many_and_kept() {
    run(|| async {
        let mut world = World::new(Kind::Postgres).await;
        let at = now();
        let mut sent: Vec<_> = (0..600).map(|n| rows::reject(&format!("reject {n}"), at)).collect();
        let nuls = [0, 299, 300, 599];
        nuls.iter().for_each(|i| sent[*i].detail = format!("nul {i}: \0").into());
        sent[444].received_at = Wall(-1_000_000_000_000_000);
        let committed = world.commit(vec![rows::rows(sent.iter().cloned().map(Row::Reject))]).await;
        let states: Vec<_> = committed.set_aside.iter().map(|aside| aside.sqlstate.as_str()).collect();
        assert_eq!(states, ["22021", "22021", "22021", "22008", "22021"]);

        let client = client(&world.url).await;
        let rows = client.query("SELECT content FROM set_aside ORDER BY id", &[]).await.unwrap();
        for (row, i) in rows.iter().zip([0, 299, 300, 444, 599]) {
            assert!(row.get::<_, &str>(0).contains(&format!("{:?}", sent[i].detail)), "{row:?}");
        }
        let rows = client.query("SELECT detail FROM reject ORDER BY id", &[]).await.unwrap();
        let kept: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let good = sent.iter().enumerate().filter(|(i, _)| !nuls.contains(i) && *i != 444);
        assert_eq!(kept, good.map(|(_, row)| &*row.detail).collect::<Vec<_>>());
    });
}

/// Flow: frames from around alerts lie in two old days; retention comes, and fails in the midst of the second day: with
/// the frame at hand copied and not yet deleted. Then nothing stands in its way any more.
/// Asserts: after the failure every frame is there once, and in the end those from around the alerts are.
#[test]
fn retention_that_fails_half_way_loses_and_doubles_nothing() {
    const DAY_MS: i64 = 86_400_000;
    run(|| async {
        for kind in DATABASES {
            let mut world = World::new(kind).await;
            let at = now();
            let days = [at - 6 * DAY_MS, at - 5 * DAY_MS];
            let sent: Vec<_> = (1..)
                .zip(days.iter().flat_map(|day| (0..40).map(|n| *day + n * 60_000)))
                .map(|(seq, at)| frame(device(1), seq, at))
                .collect();
            world.commit(vec![rows::frames(&sent)]).await;
            let subject = vigil::model::ids::Subject::Device(device(1));
            let events = (1..).zip(days).map(|(seq, day)| rows::opened(seq, subject, day + 20 * 60_000));
            world.commit(vec![rows::events(events)]).await;

            let is_evidence = |seq: &u64| (10..=30).contains(&((seq - 1) % 40));
            let evidence: Vec<_> = (1..=80).filter(is_evidence).collect();
            let second_day = 41..=80;
            let later = at + 29 * DAY_MS;
            stop_deletion_of(&world, 60).await;
            for _ in 0..2 {
                world.store.maintain(later).await.unwrap_err();
                let mut left = seqs(&world).await;
                assert!(left.is_sorted_by(|a, b| a < b), "{kind:?}: one is there twice in {left:?}");
                // The first day has ended where days end by themselves.
                left.retain(|seq| second_day.contains(seq) || is_evidence(seq));
                let expected = (1..=80).filter(|seq| second_day.contains(seq) || is_evidence(seq));
                assert_eq!(left, expected.collect::<Vec<_>>(), "{kind:?}");
                world.store = world.again().await;
            }
            execute(&world, &format!("DROP TRIGGER stop{}", if kind == Kind::Postgres { " ON frame" } else { "" }))
                .await;
            let done = world.store.maintain(later).await.unwrap();
            assert_eq!((done.left, seqs(&world).await), (None, evidence), "{kind:?}");
        }
    });
}

async fn seqs(world: &World) -> Vec<u64> {
    world.frames(device(1)).await.iter().map(|row| row.frame.key.seq).collect()
}

async fn stop_deletion_of(world: &World, seq: u64) {
    if world.kind == Kind::Postgres {
        execute(
            world,
            "CREATE FUNCTION stop() RETURNS trigger AS $$ BEGIN RAISE 'stopped here'; END $$ LANGUAGE plpgsql",
        )
        .await;
        let trigger = "CREATE TRIGGER stop BEFORE DELETE ON frame FOR EACH ROW";
        execute(world, &format!("{trigger} WHEN (OLD.seq = {seq}) EXECUTE FUNCTION stop()")).await;
    } else {
        let trigger = "CREATE TRIGGER stop BEFORE DELETE ON frame FOR EACH ROW";
        let body = "BEGIN SELECT RAISE(ABORT, 'stopped here'); END";
        execute(world, &format!("{trigger} WHEN OLD.seq = {seq} {body}")).await;
    }
}

pub(crate) async fn execute(world: &World, sql: &str) {
    match world.url.strip_prefix("sqlite:") {
        Some(file) => rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap(),
        None => client(&world.url).await.batch_execute(sql).await.unwrap(),
    }
}

pub(crate) async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
