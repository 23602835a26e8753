//! The service as a process, in trouble: killed, cut off, flooded, without room, with a wrong clock; and the broker, the
//! database and the clients around it likewise. All of them are real.
//!
//! `cargo test --test crash -- --nocapture` prints what was measured. `CRASH_LONGER=5` makes the loads five times as
//! long, `CRASH_ONLY=link` leaves out those whose names don't hold the word from those that run at once. Some of them need
//! root, to mount small file systems, and say so.

mod support;

#[path = "crash/books.rs"]
mod books;
#[path = "crash/broker.rs"]
mod broker;
#[path = "crash/clock.rs"]
mod clock;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/floods.rs"]
mod floods;
#[path = "crash/kills.rs"]
mod kills;
#[path = "crash/link.rs"]
mod link;
#[path = "crash/outage.rs"]
mod outage;
#[path = "crash/stops.rs"]
mod stops;
#[path = "crash/watchers.rs"]
mod watchers;

/// Those that mostly wait for times to pass run at once, whatever the number of test threads. One after the other they
/// would take six minutes.
#[test]
fn at_once() {
    let all: [(&str, fn()); 6] = [
        ("clock", clock::a_clock_that_leaps_fires_no_timer_and_freezes_none),
        ("disk of the database", disk::a_database_without_room_is_waited_for),
        ("disk of the journals", disk::a_full_disk_ends_the_service_and_loses_nothing_acknowledged),
        ("journals", disk::journals_that_are_full_withhold_reports_and_nothing_else),
        ("link", link::a_link_that_breaks_or_falls_silent_is_noticed_left_and_found_again),
        ("watchers", watchers::a_thousand_watchers_see_everything_whoever_else_does_not_read),
    ];
    let only = std::env::var("CRASH_ONLY").unwrap_or_default();
    let wanted: Vec<_> = all.into_iter().filter(|(name, _)| name.contains(&only)).collect();
    assert!(!wanted.is_empty(), "none of them is called {only:?}");
    let start = |(name, run): (&'static str, fn())| {
        (name, std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread"))
    };
    let running: Vec<_> = wanted.into_iter().map(start).collect();
    // A panic has been printed with the name of its thread.
    let failed: Vec<_> = running.into_iter().filter_map(|(name, run)| run.join().is_err().then_some(name)).collect();
    assert_eq!(failed, Vec::<&str>::new());
}

/// How much longer than usual the loads last.
fn longer() -> u32 {
    std::env::var("CRASH_LONGER").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// What the draws of a test begin with. It is printed, and `CRASH_SEED` draws the same again.
fn seed() -> u64 {
    let clock = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_nanos() as u64 % 1_000_000)
    };
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock);
    println!("seed {seed}: CRASH_SEED={seed} draws the same moments again");
    seed
}
