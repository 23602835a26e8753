//! What goes wrong on our own side: a worker that panics, a ledger that is damaged, an archive that hangs.

use std::io::Write as _;
use std::sync::atomic::Ordering;

use vigil::model::alert::EventKind;
use vigil::model::ids::{DeviceCode, Subject};
use vigil::notify::Outcome;

use crate::support::receiver::Receiver;
use crate::world::{ArchiveMood, PATIENCE, World, alert, seqs, target};

fn lift(n: u64) -> DeviceCode {
    let Subject::Device(device) = alert(n).id.subject else { panic!("a lift") };
    device
}

/// Flow: what makes the message of the second of three alerts panics each time, for one target; another one has JSON.
/// Asserts: it is given up after three times, listed and said; all others come, also to the other target.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_is_too_much_costs_itself() {
    let mut world = World::new();
    let [cap, json] = [(); 2].map(|()| Receiver::start());
    let poison = lift(2);
    world.archive.be(move |device| if device == poison { ArchiveMood::Panic } else { ArchiveMood::Answer });
    world.start(&[target("cap", &cap, "format = \"cap\""), target("json", &json, "")].concat());
    world.begun("cap").await;
    world.begun("json").await;
    world.open(3);
    assert_eq!(seqs(&cap.wait_taken(2, PATIENCE)), [1, 3]);
    assert_eq!(seqs(&json.wait_taken(3, PATIENCE)), [1, 2, 3]);
    let standing = world.until("cap", |it| it.behind == 0 && it.given_up == 1).await;
    assert_eq!((standing.panics, world.standing("json").panics), (3, 0));
    let given_up = world.notifier().deliveries("cap", true).await.unwrap();
    let told: Vec<_> = given_up.iter().map(|it| (it.cursor.seq, it.outcome, it.reason.as_str())).collect();
    assert_eq!(told, [(2, Outcome::GivenUp, "panicked")]);
    assert!(given_up[0].detail.contains("to be too much"), "{}", given_up[0].detail);
    let notices = world.notifier().notices();
    assert!(notices.len() == 1 && notices[0].contains("cap has failed 3 times"), "{notices:?}");
}

/// Flow: what makes a message panics once, and then no more.
/// Asserts: the worker goes on where it was, and nothing is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_panics_is_started_again() {
    let (mut world, receiver) = (World::new(), Receiver::start());
    let panics = std::sync::atomic::AtomicUsize::new(0);
    world.archive.be(move |_| match panics.fetch_add(1, Ordering::Relaxed) {
        1 => ArchiveMood::Panic,
        _ => ArchiveMood::Answer,
    });
    world.start(&target("city", &receiver, "format = \"cap\""));
    world.begun("city").await;
    world.open(3);
    assert_eq!(seqs(&receiver.wait_taken(3, PATIENCE)), [1, 2, 3]);
    let standing = world.until("city", |it| it.behind == 0).await;
    assert_eq!((standing.panics, standing.given_up), (1, 0));
}

/// Flow: `notify.db` is overwritten while one target is told and another has nothing to be told; then the service is started anew.
/// Asserts: deliveries go on at once, where they were, and the loss is said; after the start, too, nothing is left out or told twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ledger_that_is_damaged_while_it_is_used_is_set_aside() {
    let (mut world, busy, calm) = (World::new(), Receiver::start(), Receiver::start());
    let targets = [target("busy", &busy, ""), target("calm", &calm, "kinds = [\"cleared\"]")].concat();
    world.start(&targets);
    world.begun("busy").await;
    world.begun("calm").await;
    world.open(2);
    busy.wait_taken(2, PATIENCE);
    world.until("busy", |it| it.behind == 0).await;
    world.until("calm", |it| it.behind == 0).await;
    damage(&world.folder.path().join("notify.db"));
    world.open(2);
    assert_eq!(seqs(&busy.wait_taken(4, PATIENCE)), [1, 2, 3, 4]);
    world.until("busy", |it| it.behind == 0).await;
    assert!(world.folder.path().join("notify.db.damaged").exists());
    let notices = world.notifier().notices();
    assert!(notices.len() == 1 && notices[0].starts_with("notify.db was damaged"), "{notices:?}");
    let listed = world.notifier().deliveries("busy", false).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.cursor.seq).collect::<Vec<_>>(), [4, 3]);

    world.stop().await;
    world.open(1);
    let mut over = alert(9);
    over.state = vigil::model::alert::AlertState::Cleared;
    world.tell(EventKind::Cleared, over);
    world.start(&targets);
    assert_eq!(seqs(&busy.wait_taken(6, PATIENCE)), [1, 2, 3, 4, 5, 6]);
    assert_eq!(seqs(&calm.wait_taken(1, PATIENCE)), [6]);
}

/// As a disk that returns other bytes than were written: every reader has to look at it anew.
fn damage(file: &std::path::Path) {
    let other = rusqlite::Connection::open(file).unwrap();
    other.busy_timeout(PATIENCE).unwrap();
    other.execute("UPDATE place SET noted_at = noted_at + 1", []).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(other);
    let length = std::fs::metadata(file).unwrap().len();
    let mut opened = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    opened.write_all(&vec![0xA5; length as usize]).unwrap();
    opened.sync_all().unwrap();
}

/// Flow: the archive's database hangs while twenty alerts open, for two targets that take CAP.
/// Asserts: it is asked a few times in all, not for each message; the messages come without a place.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_archive_that_hangs_is_not_waited_for_with_each_message() {
    let mut world = World::new();
    let [one, other] = [(); 2].map(|()| Receiver::start());
    world.archive.be(|_| ArchiveMood::Hang);
    world.start(&[target("one", &one, "format = \"cap\""), target("other", &other, "format = \"cap\"")].concat());
    world.begun("one").await;
    world.begun("other").await;
    world.open(20);
    assert_eq!(one.wait_taken(20, PATIENCE).len(), 20);
    assert_eq!(other.wait_taken(20, PATIENCE).len(), 20);
    let asked = world.archive.asked.load(Ordering::Relaxed);
    assert!(asked <= 6, "{asked} times");
}
