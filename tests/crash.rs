//! The service as a process, in trouble: killed, cut off, flooded, without room, with a wrong clock; and the broker, the
//! database and the clients around it likewise. All of them are real.
//!
//! `cargo test --test crash -- --nocapture` prints what was measured. `CRASH_LONGER=5` makes the loads five times as
//! long. Some of it needs root, to mount small file systems, and says so.

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
