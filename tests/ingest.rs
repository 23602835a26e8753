//! The subscriber against a real Mosquitto, a broker that misbehaves, and the embedded one.

mod support;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::misbehaving::{CONNECT, SUBSCRIBE, Script, connack, serve, serve_deaf, serve_forgetful, suback};
use support::mosquitto::{Mosquitto, Settings};
use support::publisher::Publisher;
use support::spine::{Patience, Seen, Spine, options, payloads, report, wait_until};
use vigil::ingest::{IngestError, MqttOptions};
use vigil::limits;
use vigil::model::record::Link;
use vigil::spine::input::{Input, Token};

const TOPIC: &str = "vigil/v1/elevator/31305001122014017242/report";
const QUEUE: usize = 1_024;
const NEVER: Duration = Duration::from_secs(36_000);

fn publish(addr: SocketAddr, numbers: Range<u32>) {
    let mut publisher = Publisher::connect(addr, "a-device").expect("the broker takes it");
    for number in numbers {
        publisher.publish(TOPIC, number.to_string().as_bytes()).expect("the broker takes it");
    }
    publisher.finish().expect("the broker acknowledges");
}

fn numbers(numbers: Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn connection(seen: &[Seen]) -> u32 {
    seen.first().expect("there are reports").token.connection
}

/// A subscriber that is subscribed and has heard its first marker.
fn ready(addr: SocketAddr) -> Spine {
    ready_with(options(addr), QUEUE)
}

fn ready_with(options: MqttOptions, queue: usize) -> Spine {
    let spine = Spine::start(options, queue);
    assert_eq!(spine.next_link(), Link::Up);
    assert!(matches!(spine.next_link(), Link::Heard { .. }));
    spine
}

/// Flow: ten messages are taken, four are said to be durable, the process is killed and started again.
/// Asserts: the broker sends exactly the other six again. So does it when nothing was durable.
fn check_acknowledged_only_when_durable(addr: SocketAddr) {
    let spine = ready(addr);
    publish(addr, 0..10);
    let seen = spine.reports(10);
    assert_eq!(payloads(&seen), numbers(0..10));
    assert_eq!(seen.iter().map(|seen| seen.token.n).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    spine.say_durable_and_wait(seen[3].token);
    spine.kill();

    let spine = Spine::start(options(addr), QUEUE);
    let again = spine.reports(6);
    assert_eq!(payloads(&again), numbers(4..10));
    assert_eq!(again[0].token, Token { connection: 1, n: 1 }, "a new process counts afresh");
    assert_eq!(spine.reports_until_heard(), []);
    spine.kill();

    let spine = Spine::start(options(addr), QUEUE);
    let again = spine.reports(6);
    assert_eq!(payloads(&again), numbers(4..10));
    spine.say_durable_and_wait(again[5].token);
    spine.kill();

    let spine = Spine::start(options(addr), QUEUE);
    assert_eq!(spine.reports_until_heard(), []);
}

#[test]
fn a_message_is_acknowledged_only_when_it_is_durable() {
    let broker = Mosquitto::start(Settings::default());
    check_acknowledged_only_when_durable(broker.addr());
}

#[test]
fn what_comes_while_the_service_is_down_is_delivered_when_it_is_back() {
    let broker = Mosquitto::start(Settings::default());
    ready(broker.addr()).kill();
    publish(broker.addr(), 0..300);
    let spine = Spine::start(options(broker.addr()), QUEUE);
    assert_eq!(payloads(&spine.reports(300)), numbers(0..300));
}

/// Flow: messages are taken but not durable; the broker ends and comes back with what it had saved.
/// Asserts: the link goes down, up, is heard; all comes again with the next connection's number; what is then said of the
/// old connection acknowledges nothing on the new one.
#[test]
fn a_broker_that_restarts_is_found_again_and_nothing_is_lost() {
    let mut broker = Mosquitto::start(Settings::default());
    let spine = ready(broker.addr());
    publish(broker.addr(), 0..5);
    let first = spine.reports(5);
    broker.stop();
    assert_eq!(spine.next_change(), Link::Down);
    broker.start_again();
    assert_eq!(spine.next_link(), Link::Up);
    let again = spine.reports(5);
    assert_eq!(payloads(&again), numbers(0..5));
    assert_eq!(connection(&again), connection(&first) + 1);

    spine.say_durable_and_wait(first[4].token);
    spine.kill();
    let spine = Spine::start(options(broker.addr()), QUEUE);
    assert_eq!(payloads(&spine.reports(5)), numbers(0..5));
}

#[test]
fn a_broker_that_forgets_everything_is_subscribed_to_again() {
    let mut broker = Mosquitto::start(Settings { persistence: false, ..Settings::default() });
    let spine = ready(broker.addr());
    broker.kill();
    assert_eq!(spine.next_change(), Link::Down);
    broker.start_again();
    assert_eq!(spine.next_link(), Link::Up);
    assert!(matches!(spine.next_link(), Link::Heard { .. }));
    publish(broker.addr(), 0..3);
    assert_eq!(payloads(&spine.reports(3)), numbers(0..3));
}

#[test]
fn a_payload_that_is_too_large_is_cut_and_acknowledged_and_holds_up_nothing() {
    let broker = Mosquitto::start(Settings::default());
    let spine = ready(broker.addr());
    let sizes = [limits::PAYLOAD_BYTES, limits::PAYLOAD_BYTES + 1, 3 * 1024 * 1024, 1];
    let mut publisher = Publisher::connect(broker.addr(), "a-device").unwrap();
    for size in sizes {
        publisher.publish(TOPIC, &vec![b'x'; size]).unwrap();
    }
    publisher.finish().unwrap();
    let seen = spine.reports(sizes.len());
    let kept: Vec<usize> = seen.iter().map(|seen| seen.payload.len()).collect();
    assert_eq!(kept, sizes.map(|size| size.min(limits::PAYLOAD_BYTES + 1)));
    assert_eq!(connection(&seen), 1);
    spine.say_durable_and_wait(seen[3].token);
    spine.kill();
    assert_eq!(Spine::start(options(broker.addr()), QUEUE).reports_until_heard(), []);
}

#[test]
fn a_marker_comes_back_after_what_the_broker_took_before_it() {
    let broker = Mosquitto::start(Settings::default());
    let spine = ready(broker.addr());
    publish(broker.addr(), 0..200);
    assert_eq!(payloads(&spine.reports_until_heard()), numbers(0..200));
    let mut last = spine.elapsed();
    for _ in 0..5 {
        let Link::Heard { sent } = spine.next_link() else { panic!("the link changed") };
        assert!(sent > last, "{sent:?} after {last:?}");
        last = sent;
    }
}

#[test]
fn markers_of_others_are_acknowledged_and_say_nothing() {
    let broker = Mosquitto::start(Settings::default());
    let slow = MqttOptions { marker_every: Duration::from_secs(3_600), silent_max: NEVER, ..options(broker.addr()) };
    let topic = slow.marker_topic();
    let spine = ready_with(slow.clone(), QUEUE);
    let mut publisher = Publisher::connect(broker.addr(), "a-stranger").unwrap();
    for payload in ["", "x", "0000000000000000 1 1", "ffffffffffffffff 1 9999999999999"] {
        publisher.publish(&topic, payload.as_bytes()).unwrap();
    }
    publisher.publish(TOPIC, b"after").unwrap();
    publisher.finish().unwrap();
    let Input::Report { token, payload, .. } = spine.next() else { panic!("a marker of others was taken for ours") };
    assert_eq!((token.n, &*payload), (1, &b"after"[..]), "markers take no number");
    spine.begin_shutdown();
    spine.say_durable(token);
    spine.result().unwrap();
    assert_eq!(Spine::start(options(broker.addr()), QUEUE).reports_until_heard(), []);
}

/// Flow: a queue of four, a spine that reads nothing for a while, two hundred messages.
/// Asserts: all come once and in order, on one connection; acknowledgements went on although reading paused.
#[test]
fn a_full_queue_pauses_reading_and_loses_nothing() {
    let broker = Mosquitto::start(Settings { max_inflight: 20, ..Settings::default() });
    let spine = ready_with(options(broker.addr()), 4);
    publish(broker.addr(), 0..200);
    let mut seen = Vec::new();
    while seen.len() < 200 {
        seen.extend(spine.reports(1));
        spine.say_durable(seen.last().expect("one came").token);
    }
    assert_eq!(payloads(&seen), numbers(0..200));
    assert_eq!(seen[199].token, Token { connection: 1, n: 200 });
}

/// Flow: as before, but the spine reads nothing for longer than a connection may be left unread.
/// Asserts: the link goes down and comes back by itself, and every message comes at least once, in order.
#[test]
fn a_queue_that_stays_full_makes_us_leave_and_come_back() {
    let broker = Mosquitto::start(Settings { max_inflight: 20, ..Settings::default() });
    let short = MqttOptions { keep_alive: Duration::from_secs(1), ..options(broker.addr()) };
    let spine = ready_with(short, 4);
    publish(broker.addr(), 0..60);
    wait_until("the subscriber leaves", || broker.log().contains("Client vigil-test disconnected"));
    let (mut seen, mut changes) = (Vec::new(), Vec::new());
    let patience = Patience::new();
    while seen.last().is_none_or(|seen: &Seen| seen.payload != b"59") {
        match spine.next() {
            Input::Link(link @ (Link::Up | Link::Down)) => changes.push(link),
            input => seen.extend(report(input)),
        }
        if let Some(last) = seen.last() {
            spine.say_durable(last.token);
        }
        patience.check();
    }
    assert_eq!(changes, [Link::Down, Link::Up]);
    let (before, after): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|seen| seen.token.connection == 1);
    assert!(!before.is_empty());
    assert_eq!(payloads(&after), numbers(0..60), "none of the first connection's was acknowledged in time");
}

#[test]
fn qos_0_is_dropped_and_counted_when_there_is_no_room() {
    let broker = Mosquitto::start(Settings::default());
    let slow = MqttOptions { marker_every: Duration::from_secs(3_600), silent_max: NEVER, ..options(broker.addr()) };
    let dropped = slow.dropped.clone();
    let spine = ready_with(slow, 4);
    let mut publisher = Publisher::connect(broker.addr(), "a-device").unwrap();
    for number in 0..10 {
        publisher.publish_qos_0(TOPIC, &[b'0' + number]).unwrap();
    }
    wait_until("six were dropped", || dropped.load(Ordering::Relaxed) == 6);
    assert_eq!(payloads(&spine.reports(4)), numbers(0..4));
    publish(broker.addr(), 10..11);
    let next = spine.reports(1);
    assert_eq!((&*next[0].payload, next[0].token.n), (&b"10"[..], 5), "the dropped ones take no number");
}

#[test]
fn what_is_taken_and_not_yet_durable_is_bounded_in_bytes() {
    let broker = Mosquitto::start(Settings::default());
    let bounded = MqttOptions { in_flight_bytes: 10_000, ..options(broker.addr()) };
    let spine = ready_with(bounded, QUEUE);
    let mut publisher = Publisher::connect(broker.addr(), "a-device").unwrap();
    for number in 0..50_u8 {
        publisher.publish(TOPIC, &[number; 1_000]).unwrap();
    }
    publisher.finish().unwrap();
    let mut seen = Vec::new();
    while let Some(input) = spine.next_within(Duration::from_millis(500)) {
        seen.extend(report(input));
    }
    assert!((5..10).contains(&seen.len()), "{} messages were taken", seen.len());
    while seen.len() < 50 {
        spine.say_durable(seen.last().expect("some came").token);
        seen.extend(spine.reports(1));
    }
    assert_eq!(seen.iter().map(|seen| seen.payload[0]).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    assert_eq!(seen[49].token, Token { connection: 1, n: 50 });
}

#[test]
fn while_the_journals_are_full_the_broker_keeps_what_comes() {
    let broker = Mosquitto::start(Settings::default());
    let spine = ready(broker.addr());
    spine.withhold(true);
    assert_eq!(spine.next_change(), Link::Down);
    publish(broker.addr(), 0..5);
    let connected = broker.log().matches("New client connected").count();
    assert!(spine.next_within(Duration::from_millis(300)).is_none());
    spine.withhold(false);
    assert_eq!(spine.next_link(), Link::Up);
    assert_eq!(payloads(&spine.reports(5)), numbers(0..5));
    assert_eq!(broker.log().matches("New client connected").count(), connected + 1, "it tried in between");
}

#[test]
fn a_shutdown_acknowledges_what_becomes_durable_and_says_goodbye() {
    let broker = Mosquitto::start(Settings::default());
    let spine = ready(broker.addr());
    publish(broker.addr(), 0..5);
    let seen = spine.reports(5);
    spine.begin_shutdown();
    spine.say_durable(seen[4].token);
    spine.result().unwrap();
    wait_until("it says goodbye", || broker.log().contains("Client vigil-test disconnected."));
    assert_eq!(Spine::start(options(broker.addr()), QUEUE).reports_until_heard(), []);
}

#[test]
fn a_shutdown_does_not_wait_for_a_spine_that_stands_still() {
    let broker = Mosquitto::start(Settings::default());
    let spine = ready(broker.addr());
    publish(broker.addr(), 0..5);
    spine.reports(5);
    spine.begin_shutdown();
    spine.result().unwrap();
    assert_eq!(payloads(&Spine::start(options(broker.addr()), QUEUE).reports(5)), numbers(0..5));
}

#[test]
fn a_spine_that_has_ended_ends_the_subscriber() {
    let broker = Mosquitto::start(Settings::default());
    let mut spine = ready(broker.addr());
    spine.end_spine();
    assert!(matches!(spine.result(), Err(IngestError::SpineEnded)));
}

#[test]
fn a_broker_that_is_not_there_yet_is_waited_for() {
    let mut broker = Mosquitto::prepare(Settings::default());
    let spine = Spine::start(options(broker.addr()), QUEUE);
    assert!(spine.next_within(Duration::from_millis(300)).is_none(), "there is no link to speak of");
    broker.start_again();
    assert_eq!(spine.next_link(), Link::Up);
}

const FILTERS: usize = 5;
const GRANTED: u8 = 1;

fn all_granted() -> Vec<(u8, Vec<u8>)> {
    vec![(CONNECT, connack(false, 0)), (SUBSCRIBE, suback(&[GRANTED; FILTERS]))]
}

#[test]
fn a_broker_that_refuses_us_is_asked_again() {
    let refuse = |code| Script(vec![(CONNECT, connack(false, code))]);
    let (addr, _told) = serve(vec![refuse(5), refuse(4), refuse(3), Script(all_granted())]);
    let spine = Spine::start(options(addr), QUEUE);
    assert_eq!(spine.next_link(), Link::Up);
    assert!(spine.next_within(Duration::from_millis(100)).is_none(), "only the last attempt was a link");
}

/// A refused filter, one granted with QoS 0, or no answer at all: each makes us leave and ask again, and no marker is
/// sent before all is granted.
#[test]
fn a_subscription_that_is_not_granted_in_full_is_asked_for_again() {
    let connected = || (CONNECT, connack(false, 0));
    let refused = Script(vec![connected(), (SUBSCRIBE, suback(&[GRANTED, 0x80, GRANTED, GRANTED, GRANTED]))]);
    let weaker = Script(vec![connected(), (SUBSCRIBE, suback(&[GRANTED, GRANTED, GRANTED, GRANTED, 0]))]);
    let short = Script(vec![connected(), (SUBSCRIBE, suback(&[GRANTED; FILTERS - 1]))]);
    let unanswered = Script(vec![connected()]);
    let (addr, told) = serve(vec![refused, weaker, short, unanswered, Script(all_granted())]);
    let spine = Spine::start(MqttOptions { connect_within: Duration::from_secs(1), ..options(addr) }, QUEUE);
    for _ in 0..4 {
        assert_eq!(spine.next_link(), Link::Up);
        assert_eq!(spine.next_link(), Link::Down);
        assert_eq!(told.recv().unwrap(), [CONNECT, SUBSCRIBE]);
    }
    assert_eq!(spine.next_link(), Link::Up);
    spine.kill();
    assert_eq!(told.recv().unwrap()[..2], [CONNECT, SUBSCRIBE]);
}

/// Flow: subscribed once, then the connection is lost to nonsense; the broker still knows the session.
/// Asserts: we don't subscribe again, since the broker would send every retained message again; once it has forgotten the
/// session, we do.
#[test]
fn a_session_that_the_broker_still_has_is_not_subscribed_again() {
    const NONSENSE: u8 = 0xf0;
    let lost = |mut script: Vec<(u8, Vec<u8>)>| {
        let to = script.last().expect("it answers something").0;
        script.push((to, vec![NONSENSE, 0]));
        Script(script)
    };
    let known = lost(vec![(CONNECT, connack(true, 0))]);
    let (addr, told) = serve(vec![lost(all_granted()), known, Script(all_granted())]);
    let spine = Spine::start(options(addr), QUEUE);
    for has_subscribed in [true, false] {
        assert_eq!((spine.next_link(), spine.next_link()), (Link::Up, Link::Down));
        assert_eq!(told.recv().unwrap().contains(&SUBSCRIBE), has_subscribed);
    }
    assert_eq!(spine.next_link(), Link::Up);
    spine.kill();
    assert!(told.recv().unwrap().contains(&SUBSCRIBE));
}

/// What an older subscription of the session left with QoS 2 is answered too: PUBREC when durable, then PUBCOMP.
#[test]
fn qos_2_is_answered_when_durable() {
    const PUBREC: u8 = 0x50;
    const PUBCOMP: u8 = 0x70;
    let mut script = all_granted();
    script.push((SUBSCRIBE, vec![0x34, 6, 0, 1, b't', 0, 7, b'x']));
    script.push((PUBREC, vec![0x62, 2, 0, 7]));
    script.push((PUBCOMP, vec![0x30, 4, 0, 1, b't', b'y']));
    let (addr, told) = serve(vec![Script(script)]);
    let spine = Spine::start(options(addr), QUEUE);
    let seen = spine.reports(1);
    assert_eq!((&*seen[0].topic, &*seen[0].payload), ("t", &b"x"[..]));
    assert!(spine.next_within(Duration::from_millis(100)).is_none(), "answered before it was durable");
    spine.say_durable(seen[0].token);
    assert_eq!(spine.reports(1)[0].payload, b"y", "what the broker sends once it has the PUBCOMP");
    spine.kill();
    let answers: Vec<u8> = told.recv().unwrap().into_iter().filter(|kind| [PUBREC, PUBCOMP].contains(kind)).collect();
    assert_eq!(answers, [PUBREC, PUBCOMP]);
}

/// Nothing comes, but the connection stands.
#[test]
fn a_broker_that_falls_silent_is_left() {
    let (addr, _told) = serve(vec![Script(all_granted()), Script(all_granted())]);
    let impatient = MqttOptions { silent_max: Duration::from_millis(300), ..options(addr) };
    let spine = Spine::start(impatient, QUEUE);
    assert_eq!([spine.next_link(), spine.next_link(), spine.next_link()], [Link::Up, Link::Down, Link::Up]);
}

/// Flow: the broker knows the session and acknowledges our markers, but has lost what we had subscribed to.
/// Asserts: we leave, and subscribe again and again although it still knows the session.
#[test]
fn a_broker_that_passes_on_nothing_is_subscribed_to_again() {
    let (addr, told) = serve_forgetful(3);
    let often = Duration::from_millis(100);
    let impatient = MqttOptions { marker_every: often, silent_max: Duration::from_secs(1), ..options(addr) };
    let spine = Spine::start(impatient, QUEUE);
    for is_up in [true, false, true, false, true] {
        assert_eq!(spine.next_link() == Link::Up, is_up);
    }
    for _ in 0..2 {
        let kinds = told.recv().unwrap();
        assert!(kinds[..2] == [CONNECT, SUBSCRIBE] && kinds.len() > 5, "{kinds:02x?}");
    }
}

/// A subscriber whose every message is durable at once, and whose broker reads none of its acknowledgements.
fn with_deaf_broker(patience: Duration) -> Spine {
    let addr = serve_deaf();
    let small = MqttOptions { send_buffer_bytes: Some(4_096), stuck_acks_after: patience, ..options(addr) };
    let spine = Spine::start(small, QUEUE);
    assert_eq!(spine.next_link(), Link::Up);
    spine
}

fn take_until(spine: &Spine, mut ends: impl FnMut(Option<&Input>) -> bool) {
    let patience = Patience::new();
    loop {
        let input = spine.next_within(Duration::from_millis(500));
        if ends(input.as_ref()) {
            return;
        }
        if let Some(seen) = input.and_then(report) {
            spine.say_durable(seen.token);
        }
        patience.check();
    }
}

#[test]
fn a_broker_that_takes_no_acknowledgements_is_left() {
    let spine = with_deaf_broker(Duration::from_millis(500));
    take_until(&spine, |input| matches!(input, Some(Input::Link(Link::Down))));
}

#[test]
fn a_shutdown_does_not_wait_for_a_broker_that_takes_nothing() {
    let spine = with_deaf_broker(Duration::from_secs(600));
    take_until(&spine, |input| input.is_none());
    let began = std::time::Instant::now();
    spine.begin_shutdown();
    spine.result().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn settings_that_do_not_fit_are_refused_at_once() {
    let addr = "127.0.0.1:1".parse().unwrap();
    let spine = Spine::start(MqttOptions { filters: vec!["a/#/b".to_owned()], ..options(addr) }, QUEUE);
    let error = spine.result().expect_err("the filter is wrong").to_string();
    assert!(error.contains("a/#/b"), "{error}");
}

#[cfg(feature = "demo")]
mod embedded {
    use vigil::ingest::embedded::EmbeddedBroker;

    use super::*;

    #[test]
    fn the_embedded_broker_keeps_the_same_promises() {
        let broker = EmbeddedBroker::start("127.0.0.1:0".parse().unwrap()).unwrap();
        check_acknowledged_only_when_durable(broker.addr());
    }

    #[test]
    fn its_port_is_free_again_when_it_is_dropped() {
        let broker = EmbeddedBroker::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = broker.addr();
        assert!(EmbeddedBroker::start(addr).is_err(), "two on one port");
        drop(broker);
        drop(EmbeddedBroker::start(addr).unwrap());
    }
}
