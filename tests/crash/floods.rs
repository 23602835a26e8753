//! More than anybody should send: what can't be read, and what the broker kept for whoever subscribes.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use vigil::limits;

use crate::support::fleet::code;
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::publisher::Publisher;
use crate::support::service::Service;
use crate::support::wait;

const STORED_WITHIN: Duration = Duration::from_secs(60);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);

fn report_topic(lift: u32) -> String {
    format!("vigil/v1/elevator/{}/report", code(lift))
}

fn good(seq: u64) -> String {
    format!(r#"{{"boot":1,"seq":{seq},"mode":"normal","car":"stopped","door":"open","passenger":false}}"#)
}

fn number(service: &Service, sql: &str) -> i64 {
    let history = Connection::open(service.data().join("vigil.db")).expect("the database is there");
    history.busy_timeout(Duration::from_secs(5)).expect("it can wait");
    history.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn end(service: &mut Service) {
    let (status, _) = service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", service.log());
}

const BAD_LIFTS: u32 = 20;
const GOOD_LIFTS: u32 = 100;
const BAD_REPORTS: u64 = 40_000;
/// A good report among so many bad ones.
const ONE_GOOD_IN: u64 = 20;

/// Flow: twenty lifts send nothing but what can't be read, some of it large, as fast as the broker takes it; a hundred
/// send good reports in between.
/// Asserts: every good report is stored once; of the bad ones of each topic as many as the quota are kept, all are
/// counted, and all are acknowledged; memory doesn't grow with them.
#[test]
fn a_flood_of_what_cannot_be_read_costs_the_good_reports_nothing() {
    let broker = Mosquitto::start(Settings::default());
    let mut service = Service::prepare(broker.addr(), "sqlite:vigil.db");
    service.start_and_wait();
    let before = service.memory();
    let bad = [
        b"\xff\xff\xff\xff".to_vec(),
        b"{\"boot\":".to_vec(),
        b"[".repeat(1_000),
        [b"{".to_vec(), b"x".repeat(60_000)].concat(),
        br#"{"boot":1,"seq":"soon"}"#.to_vec(),
    ];

    let began = Instant::now();
    let mut lifts = Publisher::connect(broker.addr(), "the-lifts").expect("the broker runs");
    let mut good_reports = 0;
    for n in 0..BAD_REPORTS * u64::from(crate::longer()) {
        // The large one seldom: it is the number that counts.
        let which = if n % 50 == 3 { 3 } else { [0, 1, 2, 4][n as usize % 4] };
        lifts.publish(&report_topic(n as u32 % BAD_LIFTS), &bad[which]).expect("the broker runs");
        if n % ONE_GOOD_IN == 0 {
            let lift = BAD_LIFTS + (good_reports % u64::from(GOOD_LIFTS)) as u32;
            lifts
                .publish(&report_topic(lift), good(1 + good_reports / u64::from(GOOD_LIFTS)).as_bytes())
                .expect("it runs");
            good_reports += 1;
        }
    }
    lifts.finish().expect("the broker runs");
    let published_in = began.elapsed();
    let is_stored = || number(&service, "SELECT count(*) FROM frame") as u64 == good_reports;
    wait::is_soon(STORED_WITHIN, is_stored);
    let took = began.elapsed();
    let memory = service.memory();
    let rejected = service.metric("vigil_items_total{what=\"reject\"}") as u64;
    end(&mut service);

    let kept = number(&service, "SELECT count(*) FROM reject");
    println!(
        "{rejected} bad and {good_reports} good reports, published in {} ms, taken in {} ms; {kept} bad ones kept; {} MiB \
         before, {} MiB at most",
        published_in.as_millis(),
        took.as_millis(),
        before.now_mib,
        memory.peak_mib,
    );
    assert_eq!(number(&service, "SELECT count(*) FROM frame") as u64, good_reports);
    assert_eq!(
        number(&service, "SELECT count(*) FROM (SELECT DISTINCT device, boot, seq FROM frame)") as u64,
        good_reports
    );
    assert_eq!(rejected, BAD_REPORTS * u64::from(crate::longer()));
    assert_eq!(kept, i64::from(BAD_LIFTS * limits::REJECTS_PER_TOPIC));
    assert_eq!(number(&service, "SELECT max(n) FROM (SELECT count(*) AS n FROM reject GROUP BY topic)"), 100);
    assert!(memory.peak_mib <= 300, "{memory:?}");
}

/// As many as there are codes for, but one.
const RETAINED: u32 = 9_999;

/// Flow: the broker keeps ten thousand retained statuses and as many retained reports when the service subscribes for the
/// first time; while they come, a lift reports that somebody is trapped.
/// Asserts: the service gets ready, takes all of them once, and doesn't become blind; memory is bounded. After a
/// restart it gets them again, and stores none of them twice.
#[test]
fn a_storm_of_retained_messages_is_taken_once() {
    let broker = Mosquitto::start(Settings { max_inflight: 1_000, ..Settings::default() });
    let mut devices = Publisher::connect(broker.addr(), "the-devices").expect("the broker runs");
    for lift in 0..RETAINED {
        devices.publish_retained(&format!("vigil/v1/elevator/{}/status", code(lift)), b"online").expect("it runs");
        devices.publish_retained(&report_topic(lift), good(1).as_bytes()).expect("the broker runs");
    }
    devices.finish().expect("the broker runs");

    let mut service = Service::prepare(broker.addr(), "sqlite:vigil.db");
    let began = Instant::now();
    let ready_in = service.start_and_wait();
    let lift = RETAINED;
    let trapped = br#"{"boot":1,"seq":1,"mode":"normal","car":"stopped","door":"closed","passenger":true,"conditions":["trapped"]}"#;
    let is_told = |service: &Service| service.metric("vigil_alert_transitions_total{rule=\"trapped-reported\"") > 0.0;
    wait::is_soon(STORED_WITHIN, || service.metric("vigil_mqtt_connected") == 1.0);
    let reported = Instant::now();
    devices.publish(&report_topic(lift), trapped).expect("the broker runs");
    devices.finish().expect("the broker runs");
    assert!(wait::is_soon(STORED_WITHIN, || is_told(&service)), "{}", service.log());
    let told_in = reported.elapsed();
    let (frames, statuses) = ("SELECT count(*) FROM frame", "SELECT count(*) FROM status");
    let stored = |service: &Service| (number(service, frames), number(service, statuses));
    let all = (i64::from(RETAINED) + 1, i64::from(RETAINED));
    assert!(wait::is_soon(STORED_WITHIN, || stored(&service) == all), "{:?}", stored(&service));
    let taken_in = began.elapsed();
    let memory = service.memory();
    let blind = service.metric("vigil_alert_transitions_total{rule=\"ingest-blind\"");
    end(&mut service);

    service.start_and_wait();
    devices.publish(&report_topic(lift), good(2).as_bytes()).expect("the broker runs");
    devices.finish().expect("the broker runs");
    // It subscribes before it gets anything else, so that all that is kept comes before this.
    let (_, statuses_before) = all;
    let is_there = |service: &Service| stored(service).0 > all.0;
    assert!(wait::is_soon(STORED_WITHIN, || is_there(&service)), "{:?}", stored(&service));
    let again = service.metric("vigil_items_total{what=\"repeat\"}");
    end(&mut service);
    println!(
        "{} retained messages: ready after {} ms, taken after {} ms; somebody trapped meanwhile was told of after {} ms; \
         {} MiB at most",
        2 * RETAINED,
        ready_in.as_millis(),
        taken_in.as_millis(),
        told_in.as_millis(),
        memory.peak_mib,
    );
    assert_eq!(blind, 0.0);
    assert!(again >= f64::from(RETAINED), "only {again} came again");
    assert_eq!(stored(&service), (all.0 + 1, statuses_before), "some were stored again");
    assert!(memory.peak_mib <= 300, "{memory:?}");
}
