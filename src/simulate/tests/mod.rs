//! The fleet is checked from outside: by what it sends, read by other code than what wrote it.

mod judge;
mod load;
mod publishing;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use self::judge::{Raised, Seen};
use super::score::{Score, TRAPPED_RULES, Tally};
use super::terminal::Habit;
use super::{Fleet, FleetOptions, IncidentKind, Message, Pace};
use crate::limits;
use crate::model::archive::Entry;
use crate::model::ids::Subject;
use crate::model::time::Wall;

const HOUR_MS: i64 = 3_600_000;

fn options(seed: u64) -> FleetOptions {
    // 2026-11-22T00:00:00Z
    FleetOptions { seed, lifts: 200, cylinders: 240, stations: 4, began: Wall(1_795_305_600_000), pace: Pace::DEMO }
}

fn play(options: &FleetOptions, span_ms: i64) -> (Fleet, Vec<Message>) {
    let mut fleet = Fleet::new(options);
    let messages = fleet.advance(options.began + span_ms);
    (fleet, messages)
}

/// An hour of seed 7, played once for all who look at it.
fn hour() -> &'static (Fleet, Vec<Message>) {
    static HOUR: LazyLock<(Fleet, Vec<Message>)> = LazyLock::new(|| play(&options(7), HOUR_MS));
    &HOUR
}

fn checksum(messages: &[Message]) -> u32 {
    messages.iter().fold(0, |sum, message| {
        let sum = crc32c::crc32c_append(sum, &message.at.ms().to_le_bytes());
        let sum = crc32c::crc32c_append(sum, &[message.qos, u8::from(message.retain)]);
        crc32c::crc32c_append(crc32c::crc32c_append(sum, message.topic.as_bytes()), &message.payload)
    })
}

#[test]
fn a_seed_gives_the_same_bytes_however_it_is_advanced() {
    let (_, messages) = play(&options(7), HOUR_MS / 12);
    assert!(messages.len() > 5_000, "{}", messages.len());
    // A change of this number is a change of what every seed in a bug report means.
    assert_eq!(checksum(&messages[..5_000]), GOLDEN);
    let mut fleet = Fleet::new(&options(7));
    let mut again = Vec::new();
    while fleet.next_at() <= options(7).began + HOUR_MS / 12 {
        again.extend(fleet.advance(fleet.next_at()));
    }
    assert_eq!(again, messages);
    assert!(messages.is_sorted_by_key(|message| message.at));
    assert_ne!(checksum(&play(&options(8), HOUR_MS / 12).1[..5_000]), GOLDEN);
}
const GOLDEN: u32 = 4_273_338_116;

#[test]
fn one_lift_more_changes_no_other() {
    let one_more = FleetOptions { lifts: 201, ..options(7) };
    let code = super::archive::lift_code(200);
    let mut more = play(&one_more, HOUR_MS / 12).1;
    more.retain(|message| !message.topic.contains(code.as_str()));
    assert_eq!(more, play(&options(7), HOUR_MS / 12).1);
}

/// A frame or scan, and when it was sent.
type Sent = (Wall, Map<String, Value>);

/// By lift or scanner, in the order in which they are sent.
fn items_by_device(messages: &[Message]) -> BTreeMap<String, Vec<Sent>> {
    let mut devices: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for message in messages {
        assert_eq!(message.qos, 1);
        assert!(message.payload.len() <= limits::PAYLOAD_BYTES);
        if message.topic.ends_with("/status") {
            assert!(message.retain && [&b"online"[..], b"offline"].contains(&&message.payload[..]), "{message:?}");
            continue;
        }
        assert!(!message.retain);
        for item in read::items(message) {
            let code = message.topic.split('/').nth(3).unwrap();
            let scanner = item.get("scanner").map(|scanner| scanner.as_str().unwrap()).unwrap_or_default();
            devices.entry(format!("{code}{scanner}")).or_default().push((message.at, item));
        }
    }
    devices
}

fn key(item: &Map<String, Value>) -> (u64, u64) {
    (item["boot"].as_u64().unwrap(), item["seq"].as_u64().unwrap())
}

#[test]
fn keys_ascend_but_where_a_terminal_is_meant_to_break_them() {
    let (fleet, messages) = hour();
    let devices = items_by_device(messages);
    let mut broken = BTreeSet::new();
    for (code, items) in &devices {
        let keys: Vec<_> = items.iter().map(|(_, item)| key(item)).collect();
        if !keys.is_sorted_by(|a, b| a < b) {
            broken.insert(code.clone());
        }
        let mut once = keys.clone();
        once.sort_unstable();
        once.dedup();
        let follows = |pair: &[(u64, u64)]| {
            let [(boot, seq), next] = [pair[0], pair[1]];
            next == (boot, seq + 1) || next == (boot + 1, 1)
        };
        assert_eq!(once[0].1, 1, "{code}");
        assert!(once.windows(2).all(follows), "{code}: no frame is lost");
    }
    let meant = (0..200)
        .filter(|n| matches!(Habit::of(*n, super::Equip::DEMO.faults, false), Habit::Repeating | Habit::Reordering));
    let meant: BTreeSet<_> = meant.map(|n| super::archive::lift_code(n).to_string()).collect();
    assert_eq!(broken, meant);
    let restarted = devices.values().filter(|items| items[0].1["boot"] != items[items.len() - 1].1["boot"]).count();
    assert!(restarted > 0);
    let offline = messages.iter().filter(|message| &message.payload[..] == b"offline").count();
    assert!(offline > 0);
    let online = messages.iter().filter(|message| &message.payload[..] == b"online").count();
    assert!(online >= 200 + offline, "{online}");
    assert_eq!(fleet.now(), options(7).began + HOUR_MS);
}

#[test]
fn frames_say_what_the_wire_contract_wants() {
    let (_, messages) = hour();
    let first_bytes = |wanted: &[u8]| {
        let reports = messages.iter().filter(|message| !message.retain);
        reports.filter(|message| wanted.contains(&message.payload[0])).count()
    };
    for way in [&b"{"[..], b"[", b"\x0a"] {
        assert!(first_bytes(way) > 1_000, "{way:?}");
    }
    let lifts = judge::by_lift(messages);
    for (n, lift) in (0..200).map(|n| (n, super::archive::lift_code(n))) {
        let frames = &lifts[&lift];
        for pair in frames.windows(2) {
            let gap_ms = pair[1].at - pair[0].at;
            let most_ms = match Habit::of(n, super::Equip::DEMO.faults, false) {
                // Its last will says so; and three keep-alives make it offline.
                Habit::GoesSilent => 140_000,
                Habit::Restarts => 36_000,
                _ => 20_000,
            };
            assert!((0..=most_ms).contains(&gap_ms), "{lift}: {gap_ms}");
        }
        for seen in frames {
            let frame = &seen.frame;
            assert!(frame.contains_key("car"), "every frame reports status");
            assert!(frame["car"] == "running" || frame.contains_key("door_zone"), "{lift}: {frame:?}");
            let label = frame.get("floor_label").map(|label| label.as_str().unwrap());
            let floor = frame.get("floor").map(|floor| floor.as_i64().unwrap());
            assert_eq!(floor.is_some(), label.is_some());
            assert!(label.is_none_or(|label| (1..=8).contains(&label.len()) && label != "0"));
        }
        // What counts up never counts down.
        let runs = frames.iter().filter_map(|seen| seen.frame.get("runs")?.as_u64());
        assert!(runs.is_sorted());
    }
}

/// What a service without faults raises for a fleet.
fn raised(fleet: &Fleet, messages: &[Message]) -> Vec<Raised> {
    let mut raised = judge::raised(&judge::by_lift(messages));
    // What the rules say of cylinders needs no judging: the archive has it.
    let known: BTreeMap<_, _> = fleet.archive().iter().map(|entry| (entry.code().to_owned(), entry.clone())).collect();
    let mut open = BTreeSet::new();
    for message in messages.iter().filter(|message| message.topic.ends_with("/scan")) {
        for scan in read::items(message) {
            let code = scan["cylinder"].as_str().unwrap();
            let out = ["filled", "dispatched", "delivered"].contains(&scan["event"].as_str().unwrap());
            let rule = match known.get(code) {
                None => "cylinder-unregistered",
                Some(Entry::Cylinder(it)) if out && it.inspection_due < Some(today()) => "cylinder-overdue",
                Some(_) => continue,
            };
            if open.insert(code.to_owned()) {
                let subject = Subject::parse(&format!("cylinder:{code}")).unwrap();
                raised.push(Raised { subject, rule, at: message.at, opened: true });
            }
        }
    }
    raised
}

/// The score of a service that has only these rules.
fn score(fleet: &Fleet, raised: &[Raised], rules: &[&str]) -> Tally {
    let mut score = Score::default();
    for raised in raised.iter().filter(|raised| rules.contains(&raised.rule)) {
        let tell = if raised.opened { Score::opened } else { Score::cleared };
        tell(&mut score, raised.subject, raised.rule, raised.at);
    }
    score.advance(fleet.truth(), fleet.now() + super::score::SKEW_MS);
    let seed = fleet.options().seed;
    assert_eq!(score.false_alerts(), [], "seed {seed}");
    for missed in score.missed().map(|n| &fleet.truth()[n]) {
        assert!(!rules.contains(&missed.kind.accept()[0]), "seed {seed}: {missed:?}");
    }
    score.tally()
}

fn today() -> crate::model::time::CivilDay {
    crate::model::time::CivilDay::parse("2026-11-22").unwrap()
}

fn all_rules() -> Vec<&'static str> {
    TRAPPED_RULES.into_iter().chain(super::score::CYLINDER_RULES).collect()
}

#[test]
fn rules_without_faults_find_every_incident_and_nothing_else() {
    for seed in [1, 2] {
        let (fleet, messages) = play(&options(seed), HOUR_MS);
        let tally = score(&fleet, &raised(&fleet, &messages), &all_rules());
        assert_eq!((tally.missed, tally.late, tally.false_alerts), (0, 0, 0), "seed {seed}");
        let kinds: BTreeSet<_> = fleet.truth().iter().map(|incident| incident.kind).collect();
        assert_eq!(kinds.len(), 9, "seed {seed}: {kinds:?}");
        let entrapments = fleet.truth().iter().filter(|incident| incident.kind.is_entrapment()).count();
        assert!((80..=140).contains(&entrapments), "seed {seed}: {entrapments}");
        assert!(tally.in_time + tally.waiting == tally.incidents && tally.in_time > 80, "seed {seed}: {tally:?}");
    }
}

#[test]
fn a_rule_that_is_missing_misses_its_incidents() {
    let (fleet, messages) = play(&options(1), HOUR_MS);
    let raised = raised(&fleet, &messages);
    let due = |rule: &str| {
        let due = fleet.truth().iter().filter(|i| i.kind.accept() == [rule] && i.must_alert_by <= fleet.now());
        due.count()
    };
    for missing in all_rules() {
        let rules: Vec<_> = all_rules().into_iter().filter(|rule| *rule != missing).collect();
        assert!(due(missing) > 0, "{missing}");
        assert_eq!(score(&fleet, &raised, &rules).missed, due(missing), "{missing}");
    }
    let all: usize = all_rules().into_iter().map(due).sum();
    assert_eq!(score(&fleet, &raised, &[]).missed, all);
}

#[test]
fn lifts_really_do_what_must_alarm_nobody() {
    let (fleet, messages) = hour();
    let lists = |frame: &Map<String, Value>, list: &str, code: u64| {
        frame.get(list).and_then(Value::as_array).is_some_and(|codes| codes.contains(&code.into()))
    };
    let says = |frame: &Map<String, Value>, name: &str, value: Value| frame.get(name) == Some(&value);
    let mut counts = [0; 6];
    for (code, frames) in judge::by_lift(messages) {
        let own = fleet.truth().iter().filter(|incident| incident.subject == Subject::Device(code));
        let own: Vec<_> = own.map(|i| i.began_at.ms() - 15_000..i.ended_at.map_or(i64::MAX, Wall::ms)).collect();
        for Seen { frame, .. } in frames.iter().filter(|seen| own.iter().all(|span| !span.contains(&seen.at))) {
            let between_floors = says(frame, "passenger", true.into())
                && says(frame, "door_zone", false.into())
                && says(frame, "car", "stopped".into());
            let oddities = [
                says(frame, "door", "not_fully_closed".into()),
                between_floors && says(frame, "mode", "inspection".into()),
                between_floors && says(frame, "mode", "normal".into()),
                says(frame, "car", "running".into()) && lists(frame, "alarms", 90),
                lists(frame, "faults", 3),
                lists(frame, "faults", 41) && says(frame, "passenger", false.into()),
            ];
            for (count, odd) in counts.iter_mut().zip(oddities) {
                *count += u32::from(odd);
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}

#[test]
fn the_first_alert_comes_soon_and_others_follow_steadily() {
    for seed in 0..8 {
        let (fleet, _) = play(&FleetOptions { cylinders: 0, ..options(seed) }, HOUR_MS / 2);
        let truth = fleet.truth();
        assert_eq!(truth[0].kind, IncidentKind::BetweenFloors);
        assert!(truth[0].began_at - options(seed).began <= 10_000, "{:?}", truth[0]);
        let gaps = truth.windows(2).map(|pair| pair[1].began_at - pair[0].began_at);
        assert!(gaps.clone().max() <= Some(80_000), "seed {seed}: {:?}", gaps.collect::<Vec<_>>());
        assert!((45..=75).contains(&truth.len()), "seed {seed}: {}", truth.len());
    }
}

#[test]
fn an_incident_lasts_until_its_alert_is_due() {
    let (fleet, _) = play(&options(3), 2 * HOUR_MS);
    let ended: Vec<_> = fleet.truth().iter().filter_map(|i| Some((i, i.ended_at?))).collect();
    assert!(ended.len() > 100);
    for (incident, ended_at) in ended {
        assert!(incident.must_alert_by <= ended_at, "{incident:?}");
    }
    assert!(fleet.truth().is_sorted_by_key(|incident| incident.began_at));
}

/// Faults by lift, each appearance with its time.
fn occurrences(messages: &[Message]) -> BTreeMap<(String, u64), Vec<i64>> {
    let mut found: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for (code, frames) in judge::by_lift(messages) {
        let mut active = BTreeSet::new();
        for seen in frames {
            let faults = seen.frame.get("faults").and_then(Value::as_array).into_iter().flatten();
            let faults: BTreeSet<u64> = faults.map(|fault| fault.as_u64().unwrap()).collect();
            for fault in faults.difference(&active) {
                found.entry((code.to_string(), *fault)).or_default().push(seen.at);
            }
            active = faults;
        }
    }
    found
}

#[test]
fn faults_come_too_seldom_for_the_rules_that_count_them() {
    let (_, messages) = play(&FleetOptions { lifts: 60, cylinders: 0, ..options(4) }, 4 * HOUR_MS);
    let found = occurrences(&messages);
    assert!(found.len() > 50);
    for ((lift, fault), times) in found {
        let most = |n: usize, span_ms: i64| times.windows(n).all(|w| w[n - 1] - w[0] > span_ms);
        assert!(most(5, HOUR_MS) && most(3, 600_000), "{lift}: {fault} at {times:?}");
        assert!([3, 4, 41].contains(&fault));
    }
}

#[test]
fn clocks_are_wrong_and_reports_late_where_they_are_meant_to_be() {
    let (_, messages) = hour();
    let devices = items_by_device(messages);
    for n in 0..200 {
        let items = &devices[super::archive::lift_code(n).as_str()];
        let delays = items.iter().map(|(at, item)| at.ms() - item["observed_at_ms"].as_i64().unwrap());
        let (least, most) = (delays.clone().min().unwrap(), delays.max().unwrap());
        let want = match Habit::of(n, super::Equip::DEMO.faults, false) {
            Habit::WrongClock { offset_ms } => (-offset_ms, -offset_ms..=-offset_ms),
            Habit::Buffering => (0, 20_000..=30_000),
            Habit::Repeating => (0, 10_000..=20_000),
            Habit::Reordering => (0, 1_000..=3_000),
            Habit::Losing | Habit::Garbling | Habit::CutOff { .. } | Habit::Throttled | Habit::NeverClears => {
                unreachable!("the demo has none of them")
            }
            Habit::Prompt | Habit::GoesSilent | Habit::Restarts => (0, 0..=0),
        };
        assert!(least == want.0 && want.1.contains(&most), "lift {n}: {least} to {most} ms late");
    }
}

#[test]
fn cylinders_are_handled_by_the_book_but_for_those_that_are_meant_not_to_be() {
    let (fleet, messages) = play(&FleetOptions { lifts: 0, ..options(7) }, 4 * HOUR_MS);
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.topic.ends_with("/scan")) {
        for scan in read::items(message) {
            let [event, cylinder] = ["event", "cylinder"].map(|name| scan[name].as_str().unwrap().to_owned());
            let before = last.insert(cylinder.clone(), event.clone());
            let want: &[Option<&str>] = match event.as_str() {
                "stocked_in" => &[None],
                "returned" => &[Some("delivered")],
                "checked_before_fill" => &[Some("stocked_in"), Some("returned")],
                "fill_requested" => &[Some("checked_before_fill")],
                "filled" => &[Some("fill_requested")],
                "checked_after_fill" => &[Some("filled")],
                "dispatched" => &[Some("checked_after_fill")],
                _ => &[Some("dispatched")],
            };
            assert!(want.contains(&before.as_deref()), "{cylinder}: {before:?}, then {event}");
            assert_eq!(scan.contains_key("request"), event == "fill_requested");
            assert_eq!(scan.contains_key("passed"), event.starts_with("checked"));
            let net = scan.get("net_g").map(|net| net.as_u64().unwrap());
            assert!(net.is_none_or(|net| net <= 14_900));
        }
    }
    let archive = fleet.archive();
    let site_of = |code: &str| match archive.iter().find(|entry| entry.code() == code) {
        Some(Entry::Cylinder(cylinder)) => cylinder.filling_unit.map(|site| site.to_string()),
        _ => None,
    };
    for message in messages.iter().filter(|message| message.topic.ends_with("/scan")).take(500) {
        for scan in read::items(message) {
            let own = site_of(scan["cylinder"].as_str().unwrap());
            assert!(own.is_none_or(|site| message.topic.contains(&site)), "filled only by its own station");
        }
    }
    let count = |kind| fleet.truth().iter().filter(|incident| incident.kind == kind).count();
    // Of 240, as it is their numbers that say so; each once, though they go round again.
    assert_eq!((count(IncidentKind::CylinderOverdue), count(IncidentKind::CylinderUnregistered)), (6, 4));
}

#[test]
fn the_archive_knows_whom_it_should() {
    let fleet = Fleet::new(&options(7));
    let archive = fleet.archive();
    let codes: BTreeSet<_> = archive.iter().map(|entry| (entry.kind(), entry.code().to_owned())).collect();
    assert_eq!(codes.len(), archive.len(), "each once");
    let count = |name| archive.iter().filter(|entry| entry.kind().name() == name).count();
    assert_eq!(["firm", "lift", "site", "cylinder"].map(count), [5, 200, 4, 236]);
    let lifts: Vec<_> =
        archive.iter().filter_map(|entry| if let Entry::Lift(lift) = entry { Some(lift) } else { None }).collect();
    assert_eq!(lifts.iter().filter(|lift| lift.inspection_due < Some(today())).count(), 8);
    for lift in &lifts {
        assert!(codes.iter().any(|(_, code)| Some(code.as_str()) == lift.firm.as_ref().map(|firm| firm.as_str())));
        assert!(lift.district.is_some_and(|district| district.as_str().starts_with("6401")));
    }
    assert_eq!(lifts[57].address.as_deref(), Some("No. 2 Example Road, building 5, lift 2"));
}

#[test]
fn a_realistic_fleet_traps_as_many_as_a_province_does() {
    let options = FleetOptions { lifts: 2_000, cylinders: 0, stations: 0, pace: Pace::REALISTIC, ..options(5) };
    let lifts: Vec<_> = (0..options.lifts)
        .map(|n| super::lift::Lift::new(&options, super::Equip::DEMO, n, super::archive::lift_code(n)))
        .collect();
    let month = options.began + 30 * 24 * HOUR_MS;
    let trapped = lifts.iter().filter(|lift| lift.next_entrapment_at() < month).count();
    // 0.55 % of 2,000.
    assert!((10..=12).contains(&trapped), "{trapped}");
    let (fleet, _) = play(&FleetOptions { lifts: 50, ..options }, HOUR_MS);
    assert_eq!(fleet.truth(), []);
}

#[test]
fn a_fleet_of_nothing_does_nothing() {
    let nobody = FleetOptions { lifts: 0, cylinders: 0, stations: 0, ..options(1) };
    let (fleet, messages) = play(&nobody, HOUR_MS);
    assert_eq!((messages.len(), fleet.next_at(), fleet.truth().len()), (0, Wall::MAX, 0));
    // Cylinders are always somebody's.
    let (fleet, _) = play(&FleetOptions { cylinders: 5, ..nobody }, HOUR_MS);
    assert_eq!(fleet.options().stations, 1);
}
