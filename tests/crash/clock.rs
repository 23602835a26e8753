//! The service's own clock, set wrong while it runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prost::Message as _;
use vigil::clock::Clock;
use vigil::proto::v1::{AlertEventKind, Car, Certainty, Door, ElevatorFrame, ElevatorReport, Mode};

use crate::support::fleet::code;
use crate::support::mosquitto::Mosquitto;
use crate::support::publisher::Publisher;
use crate::support::service::Service;
use crate::support::wait;
use crate::support::watcher::Watcher;

/// By how much the clock is wrong, and from when on, in seconds.
const STEPS: [(u64, i64); 6] = [(8, 7_200), (18, -600), (27, 0), (38, 3_600), (46, -3_600), (53, 0)];
const FREED_AT: Duration = Duration::from_secs(43);
const ENDS_AT: Duration = Duration::from_secs(58);
/// Of `trapped-out-of-zone`: how long its condition must have held, and how long its end.
const HELD: Duration = Duration::from_secs(30);
const CLEARED: Duration = Duration::from_secs(5);
/// One report's distance, and a busy machine.
const LATE_MAX: Duration = Duration::from_secs(4);
/// The service counts whole ms: both the moment at which a hold began and its end may be rounded.
const TOLD_EARLY: Duration = Duration::from_millis(1);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

const TRAPPED: u32 = 0;
/// In trouble for a moment only, in which the clock leaps two hours ahead.
const MOMENT: u32 = 1;
const SILENT: u32 = 2;

/// The library that makes a process read another time, from a file that can be changed while it runs.
fn library() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = found.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|file| file.is_file());
    found.next().expect("this test needs libfaketime: install Debian's package of that name, or run ./tests/run")
}

fn set(clock: &Path, wrong_s: i64) {
    // Renamed into its place: it is read at any moment.
    let new = clock.with_extension("new");
    std::fs::write(&new, format!("{wrong_s:+}\n")).expect("a file");
    std::fs::rename(&new, clock).expect("the same folder");
}

fn frame(seq: u64, in_trouble: bool) -> Vec<u8> {
    let frame = ElevatorFrame {
        boot: 1,
        seq,
        observed_at_ms: Clock::default().wall().0,
        mode: Mode::Normal.into(),
        car: Car::Stopped.into(),
        door_zone: Some(!in_trouble),
        door: if in_trouble { Door::Closed } else { Door::Open }.into(),
        passenger: Some(true),
        ..ElevatorFrame::default()
    };
    ElevatorReport { frames: vec![frame], ..ElevatorReport::default() }.encode_to_vec()
}

/// Flow: somebody is trapped while the clock of the service leaps hours ahead and back, again and again; another lift
/// looks like it for a moment; a third one falls silent. The devices' clocks are right all the time.
/// Asserts: the alert comes when its condition has held for 30 s, as likely as ever, and clears 5 s after its end,
/// whatever the clock says; no other alert on a lift comes, but that its clock differs from ours.
pub(crate) fn a_clock_that_leaps_fires_no_timer_and_freezes_none() {
    let broker = Mosquitto::start(Default::default());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clock = folder.path().join("clock");
    set(&clock, 0);
    let mut service = Service::prepare(broker.addr(), "sqlite:vigil.db");
    service.set("LD_PRELOAD", library().display());
    service.set("FAKETIME_TIMESTAMP_FILE", clock.display());
    for switch in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "DONT_FAKE_MONOTONIC"] {
        service.set(switch, 1);
    }
    service.start_and_wait();
    let watcher = Watcher::start(service.grpc());
    let mut lifts = Publisher::connect(broker.addr(), "the-lifts").expect("the broker runs");
    let began = Instant::now();
    let mut steps = STEPS.iter().peekable();
    for n in 0..ENDS_AT.as_secs() * 2 {
        let at = Duration::from_millis(500 * n);
        wait::until(began + at);
        if let Some((_, wrong_s)) = steps.next_if(|(step_at, _)| at.as_secs() >= *step_at) {
            set(&clock, *wrong_s);
        }
        let mut report = |lift: u32, in_trouble: bool| {
            let topic = format!("vigil/v1/elevator/{}/report", code(lift));
            lifts.publish(&topic, &frame(n + 1, in_trouble)).expect("the broker runs");
        };
        report(TRAPPED, at < FREED_AT);
        report(MOMENT, (5..15).contains(&at.as_secs()));
        if n == 0 {
            report(SILENT, false);
        }
        lifts.send().expect("the broker runs");
    }
    lifts.finish().expect("the broker runs");
    assert!(service.is_ready(), "{}", service.log());
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
    let watched = watcher.stop();

    assert_eq!(watched.faults, Vec::<String>::new());
    let told: Vec<_> = watched
        .seen
        .iter()
        .filter_map(|seen| seen.event.alert.as_ref().map(|alert| (seen.at - began, &seen.event, alert)))
        .collect();
    for (at, event, alert) in &told {
        println!(
            "{:>6} ms {} {} {} {}",
            at.as_millis(),
            event.kind().as_str_name(),
            alert.id,
            event.reason,
            event.delayed
        );
    }
    assert!(told.iter().any(|(.., alert)| alert.rule == "clock-wrong"), "did the clock leap at all?");
    let mut others = told.iter().filter(|(.., alert)| alert.rule != "clock-wrong");
    let (opened_at, opened, alert) = others.next().expect("the alert comes");
    assert_eq!(
        (alert.rule.as_str(), opened.kind(), opened.delayed),
        ("trapped-out-of-zone", AlertEventKind::Opened, false)
    );
    assert_eq!((alert.subject.as_str(), alert.certainty()), (code(TRAPPED).as_str(), Certainty::Likely));
    assert!((HELD - TOLD_EARLY..HELD + LATE_MAX).contains(opened_at), "it came after {opened_at:?}");
    let (cleared_at, cleared, alert) = others.next().expect("it clears");
    assert_eq!((alert.rule.as_str(), cleared.kind()), ("trapped-out-of-zone", AlertEventKind::Cleared));
    let due = FREED_AT + CLEARED;
    assert!((due - TOLD_EARLY..due + LATE_MAX).contains(cleared_at), "it cleared after {cleared_at:?}");
    assert_eq!(others.count(), 0);
}
