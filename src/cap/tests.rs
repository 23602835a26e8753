//! Messages against files written by hand, against the standard's rules, and against `docs/cap.md`.

use proptest::prelude::*;

use super::*;
use crate::core::dispatch::machine;
use crate::limits;
use crate::model::alert::{Alert, Certainty, EventKind, Evidence, Group, Place, Reason, Severity, StormScope, Title};
use crate::model::arbitrary;
use crate::model::ids::{AlertId, DeviceCode, District, FirmId, PlaceId, RuleId};
use crate::model::incident::{
    Caller, Cause, Ending, Entry, Incident, IncidentId, Joined, Leg, Party, Scene, Source, State, Tier, What,
};

fn profile() -> Profile {
    Profile {
        instance: "vigil-1".into(),
        sender: "vigil@96333.example".into(),
        status: Status::Exercise,
        restriction: "For rescue services".into(),
        sender_name_zh: Some("96333 应急处置中心".into()),
        sender_name_en: Some("96333 centre".into()),
        web: Some("https://96333.example/lifts".into()),
        contact: Some("96333".into()),
        expires_ms: Some(3_600_000),
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
    }
}

fn site() -> Site {
    let position = Some(Position { latitude_e7: 384_872_001, longitude_e7: -1_062_309_000 });
    Site { position, rescue_code: Some("640001".into()) }
}

fn event(seq: u64, kind: EventKind, reason: Reason, change: impl FnOnce(&mut Alert)) -> AlertEvent {
    let opened_at = Wall(1_763_766_031_000);
    let mut alert = Alert {
        id: AlertId::parse("31106401052012000157/trapped-out-of-zone/2").unwrap(),
        state: AlertState::Open,
        severity: Severity::Critical,
        certainty: Certainty::Likely,
        opened_at,
        cleared_at: None,
        acknowledged: None,
        evidence: vec![
            Evidence { name: "passenger".into(), value: "true".into(), age_ms: Some(31_000) },
            Evidence { name: "extras['<a&b>']".into(), value: "unknown".into(), age_ms: None },
        ],
        unregistered: false,
        place: Place {
            district: District::parse("640104").ok(), address: Some("人民路 1 号 <\u{1b}B> & 座".into())
        },
        title: Title { en: "Passenger trapped outside the door zone".into(), zh: "轿厢非平层困人".into() },
        dispatch: Some("rescue".into()),
        occupied: Some(true),
        group: None,
        flapping: false,
    };
    change(&mut alert);
    let at = opened_at + 60_000 * (seq as i64 - 7);
    AlertEvent {
        seq,
        epoch: 1,
        kind,
        reason,
        at,
        published_at: at + 4,
        delayed: false,
        actor: Some("somebody".into()),
        note: Some("a note with a phone number".into()),
        alert,
    }
}

/// Flow: an alert opens, joins others, and clears.
/// Asserts: Alert, Update, Cancel as written by hand, each naming all before it.
#[test]
fn a_chain_is_as_it_was_written_by_hand() {
    let grouped = |alert: &mut Alert| {
        let place = PlaceId::parse("F12").unwrap();
        let began = Cursor { epoch: 1, seq: 6 };
        alert.certainty = Certainty::Observed;
        alert.group =
            Some(Group { scope: StormScope::Feeder, place, began, began_at: Wall(1_763_766_000_000), lifts: 60 });
    };
    let cleared = |alert: &mut Alert| {
        alert.state = AlertState::Cleared;
        alert.cleared_at = Some(Wall(1_763_766_631_000));
        alert.occupied = Some(false);
        alert.evidence.clear();
    };
    let events = [
        event(7, EventKind::Opened, Reason::ConditionHeld, |_| {}),
        event(8, EventKind::Grouped, Reason::Storm, grouped),
        event(17, EventKind::Cleared, Reason::ConditionEnded, cleared),
    ];
    let told = messages(&profile(), events.iter().map(Told::Alert), &site());
    let wanted = [
        include_str!("../../tests/cap/1-alert.xml"),
        include_str!("../../tests/cap/2-update.xml"),
        include_str!("../../tests/cap/3-cancel.xml"),
    ];
    assert_eq!(told.len(), wanted.len());
    for (message, wanted) in told.iter().zip(wanted) {
        assert_eq!(message.xml, wanted);
        rules::check(&message.xml).unwrap();
    }
}

fn rescue(seq: u64, what: What, state: State, legs: Vec<Leg>) -> IncidentEvent {
    let received_at = Wall(1_763_766_031_000);
    let at = received_at + 60_000 * (seq as i64 - 7);
    let scene = Scene {
        device: DeviceCode::parse("31106401052012000157").ok(),
        rescue_code: Some("640001".into()),
        place: Place { district: District::parse("640104").ok(), address: None },
        firm: FirmId::parse("F1").ok(),
        terminal: None,
        rule: RuleId::parse("trapped-reported").ok(),
    };
    let entry = Entry {
        seq,
        epoch: 2,
        at,
        since_ms: at - received_at,
        what,
        source: Source::Dispatcher,
        actor: Some("somebody".into()),
        note: Some("a note with a phone number".into()),
        scene: None,
        party: None,
        alert: None,
        severity: None,
        certainty: None,
        occupied: None,
        caller: None,
        accept_by_ms: None,
        arrive_by_ms: None,
        ending: None,
        reassure_by_ms: None,
    };
    let incident = Incident {
        state,
        scene,
        arrival_late: state == State::Commanded,
        legs,
        received_at,
        severity: Severity::Critical,
        certainty: Certainty::Likely,
        occupied: Some(true),
        caller: Some(Caller { name: Some("somebody".into()), phone: Some("13900000000".into()) }),
        ..machine::begin(IncidentId { epoch: 2, number: 42 }, &entry)
    };
    IncidentEvent { entry, incident }
}

/// Flow: a rescue is received, the firm commanded, and it was a false alarm. Nobody knows the address.
/// Asserts: the last two messages as written by hand; nobody's name, number or note is in any.
#[test]
fn a_rescue_is_as_it_was_written_by_hand() {
    let party = Party { tier: Tier::Firm, id: "F1".into(), name: "a person".into(), phone: Some("13900000001".into()) };
    let leg = Leg {
        party,
        commanded_ms: 120_000,
        took_over: false,
        accepted_ms: None,
        turned_out_ms: None,
        arrived_ms: None,
        ended_ms: None,
        declined: false,
    };
    let events = [
        rescue(7, What::Received, State::Received, Vec::new()),
        rescue(9, What::Commanded, State::Commanded, vec![leg]),
        rescue(16, What::FalseAlarm, State::FalseAlarm, Vec::new()),
        rescue(17, What::Noted, State::FalseAlarm, Vec::new()),
    ];
    let told = messages(&profile(), events.iter().map(Told::Incident), &Site::default());
    assert_eq!(told.len(), 3);
    assert_eq!(told[1].xml, include_str!("../../tests/cap/4-rescue-update.xml"));
    assert_eq!(told[2].xml, include_str!("../../tests/cap/5-rescue-cancel.xml"));
    for message in told {
        rules::check(&message.xml).unwrap();
        assert!(
            !["13900", "somebody", "person", "note with"].iter().any(|it| message.xml.contains(it)),
            "{}",
            message.xml
        );
    }
}

/// What holds now is said, and nothing of what held before, in both languages and among the parameters.
#[test]
fn what_is_over_is_not_said_to_stand() {
    let check = |told: Told<'_>, zh: &str, en: &str, occupied: bool| {
        let mut chain = Chain::default();
        chain.push(Earlier { cursor: Cursor { epoch: 1, seq: 1 }, sent: Wall(0) }, MessageKind::Alert);
        let xml = message(&profile(), told, &site(), &chain).unwrap().xml;
        rules::check(&xml).unwrap();
        assert!(xml.contains(zh) && xml.contains(en), "{zh} {en}: {xml}");
        let stands = xml.contains("There are people in the car.") || xml.contains("轿厢内有人");
        assert_eq!((stands, xml.contains("vigil:occupied")), (occupied, occupied), "{xml}");
    };
    let cleared = |reason| event(9, EventKind::Cleared, reason, |alert| alert.state = AlertState::Cleared);
    let ended = cleared(Reason::ConditionEnded);
    check(Told::Alert(&ended), "传感器已不再报告困人。", "The sensors no longer say that people are trapped.", false);
    check(Told::Alert(&cleared(Reason::Operator)), "轿厢内曾有人。", "There were people in the car.", false);
    let freed = rescue(9, What::Freed, State::Freed, Vec::new());
    check(Told::Incident(&freed), "已无人被困。", "Nobody is trapped any more.", false);
    let mut closed = rescue(9, What::Closed, State::Closed, Vec::new());
    closed.incident.ending = Some(Ending { persons_freed: 2, cause: Cause::Door, action: "by hand".into() });
    check(Told::Incident(&closed), "解救人数：2。", "Persons freed: 2.", false);
    let going = rescue(9, What::Noted, State::Received, Vec::new());
    check(Told::Incident(&going), "轿厢内有人。", "There are people in the car.", true);
    let mut says_over = going;
    let alert = AlertId::parse("31106401052012000157/trapped-reported/1").unwrap();
    says_over.incident.alerts = vec![Joined { alert, is_open: false, by_hand: false }];
    check(Told::Incident(&says_over), "传感器显示已脱困，待人工确认。", "There were people in the car.", false);
    // Who cleared it by hand has not seen that they are free.
    says_over.incident.alerts[0].by_hand = true;
    check(Told::Incident(&says_over), "轿厢内有人。", "There are people in the car.", true);
}

/// Which kinds of message events of one case become; `-`: none.
fn kinds(told: &[bool]) -> Vec<&'static str> {
    let mut chain = Chain::default();
    let mut all = Vec::new();
    for (seq, is_over) in (1..).zip(told) {
        let kind = chain.next(*is_over);
        all.push(kind.map_or("-", MessageKind::name));
        if let Some(kind) = kind {
            chain.push(Earlier { cursor: Cursor { epoch: 1, seq }, sent: Wall(0) }, kind);
        }
    }
    all
}

#[test]
fn what_comes_after_a_cancel_begins_anew() {
    assert_eq!(kinds(&[false, false, true]), ["Alert", "Update", "Cancel"]);
    assert_eq!(kinds(&[true]), ["-"]);
    assert_eq!(kinds(&[false, true, true, false, false, true]), ["Alert", "Cancel", "-", "Alert", "Update", "Cancel"]);
}

#[test]
fn a_long_chain_names_its_first_and_its_last() {
    let mut chain = Chain::default();
    for seq in 1..=100 {
        chain.push(Earlier { cursor: Cursor { epoch: 1, seq }, sent: Wall(0) }, MessageKind::Update);
    }
    let references = chain.references(&profile(), "alert").unwrap();
    let named: Vec<&str> = references.split(' ').map(|one| one.split(',').nth(1).unwrap()).collect();
    assert_eq!(named.len(), limits::CAP_REFERENCES);
    assert_eq!((named[0], named[1], named[31]), ("vigil-1.alert.1.1", "vigil-1.alert.1.70", "vigil-1.alert.1.100"));
    assert!(references.len() <= limits::CAP_REFERENCES_CHARS);
}

/// The tables of the documentation are what is done.
#[test]
fn the_tables_of_the_documentation_hold() {
    let docs = include_str!("../../docs/cap.md");
    for severity in Severity::ALL {
        let row = format!(
            "| `{}` | {} | {} | {} | {} |",
            severity.name(),
            terms::severity(*severity),
            terms::urgency(*severity, false),
            terms::response(*severity, false, false),
            terms::response(*severity, true, false),
        );
        assert!(docs.contains(&row), "{row}");
    }
    for certainty in Certainty::ALL {
        let row = format!("| `{}` | {} |", certainty.name(), terms::certainty(*certainty));
        assert!(docs.contains(&row), "{row}");
    }
}

/// A checker that takes everything shows nothing.
#[test]
fn the_checker_finds_what_is_wrong() {
    let right = include_str!("../../tests/cap/2-update.xml");
    rules::check(right).unwrap();
    for (from, to, want) in [
        ("+08:00</sent>", "Z</sent>", "sent is no time"),
        ("31+08:00</sent>", "31.5+08:00</sent>", "sent is no time"),
        ("+08:00</onset>", "+00:00</onset>", "onset is no time"),
        ("<status>Exercise", "<status>exercise", "status is none of the words"),
        ("<urgency>Immediate</urgency>", "", "urgency stands 0 times"),
        (
            "<urgency>Immediate</urgency>",
            "<urgency>Immediate</urgency><urgency>Past</urgency>",
            "urgency stands 2 times",
        ),
        ("<scope>Restricted</scope>", "<scope>Public</scope>", "restriction stands where"),
        ("<msgType>Update", "<msgType>Alert", "an update or cancellation"),
        ("vigil@96333.example</sender>", "vigil @96333.example</sender>", "sender holds a space"),
        ("<language>en<", "<language>zh-CN<", "a language stands twice"),
        (
            "<severity>Severe</severity>\n    <certainty>Observed</certainty>\n    <effective>2025-11-22T07:01:31+08:00</effective>\n    <onset>2025-11-22T07:00:31+08:00</onset>\n    <expires>2025-11-22T08:01:31+08:00</expires>\n    <senderName>96333 centre",
            "<severity>Minor</severity>\n    <certainty>Observed</certainty>\n    <effective>2025-11-22T07:01:31+08:00</effective>\n    <onset>2025-11-22T07:00:31+08:00</onset>\n    <expires>2025-11-22T08:01:31+08:00</expires>\n    <senderName>96333 centre",
            "the languages say different things",
        ),
        ("<contact>96333</contact>", "<contact></contact>", "contact is empty"),
        ("<circle>", "<circle>1", "circle is no circle"),
        ("vigil-1.alert.1.7,2025", "vigil-1.alert.1.7 2025", "references is no list"),
        ("<headline>", "<headline>\u{1}", "can't stand in XML"),
        ("cap:1.2", "cap:1.1", "the root has the attributes"),
        ("</info>\n</alert>", "</info>\n<note>x</note></alert>", "note isn't known or out of order"),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right, "{from:?} isn't there");
        let told = rules::check(&wrong).expect_err(to);
        assert!(told.contains(want), "{to:?}: {told}");
    }
}

fn check(xml: &str) -> rules::Element {
    let alert = rules::check(xml).unwrap_or_else(|wrong| panic!("{wrong}\n{xml}"));
    assert!(xml.len() <= limits::NOTIFY_BODY_BYTES);
    alert
}

proptest! {
    /// Whatever devices, archives and people write, the message is one that the standard allows.
    #[test]
    fn every_alert_becomes_a_valid_message(
        event in arbitrary::alert_event(), title in arbitrary::text(), address in arbitrary::text(), before in 0..4_u64,
        latitude_e7 in any::<i32>(), longitude_e7 in any::<i32>(),
    ) {
        let mut event = event;
        event.alert.title = Title { en: title.clone(), zh: title };
        event.alert.place.address = Some(address);
        let site = Site { position: Some(Position { latitude_e7, longitude_e7 }), rescue_code: None };
        let mut chain = Chain::default();
        for seq in 1..=before {
            chain.push(Earlier { cursor: Cursor { epoch: 1, seq }, sent: event.at }, MessageKind::Update);
        }
        if let Some(message) = message(&profile(), Told::Alert(&event), &site, &chain) {
            check(&message.xml);
        } else {
            prop_assert!(before == 0 && event.alert.state == AlertState::Cleared);
        }
    }

    #[test]
    fn every_rescue_becomes_a_valid_message(event in arbitrary::incident::event(), before in 0..2_u64) {
        let mut chain = Chain::default();
        if before > 0 {
            chain.push(Earlier { cursor: event.cursor(), sent: event.entry.at }, MessageKind::Alert);
        }
        if let Some(message) = message(&profile(), Told::Incident(&event), &Site::default(), &chain) {
            let alert = check(&message.xml);
            for caller in event.incident.caller.iter().flat_map(|caller| [&caller.name, &caller.phone]).flatten() {
                let caller = text::clean(caller, 100);
                let shown = |it: &rules::Element| it.text == caller;
                prop_assert!(caller.is_empty() || !alert.children.iter().any(shown), "the caller is told");
            }
        }
    }
}
