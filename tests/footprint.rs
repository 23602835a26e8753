//! How much memory the state takes, and how much of it one record copies: counted allocation by allocation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "../benches/all/footprint.rs"]
mod footprint;
#[path = "../benches/all/load.rs"]
mod load;

use allocation_counter::measure;
use bytes::Bytes;
use vigil::core::snapshot::Restoring;
use vigil::core::{CORE_VERSION, Core};
use vigil::limits::COMMAND_ITEMS;
use vigil::model::actor::Actor;
use vigil::model::alert::{Alert, AlertEvent, EventKind, StormScope};
use vigil::model::archive::{Entry, Firm, Lift, Site, SiteKind};
use vigil::model::ids::{AlertId, DeviceCode, FirmId, PlaceId, SiteCode};
use vigil::model::record::{Action, Command, Kind, Link, PolicyText, Record};
use vigil::model::time::{Elapsed, Wall};

/// The budgets of the design, with all that the allocator may add.
const LIFT_BYTES: f64 = 1_024.0;
const CYLINDER_BYTES: f64 = 256.0;

#[test]
fn a_lift_and_a_cylinder_stay_within_their_budgets() {
    let (lift, cylinder) = (footprint::of_lifts(5_000), footprint::of_cylinders(20_000));
    assert!(lift.all_in() <= LIFT_BYTES, "{lift:?}: {:.0} B in all", lift.all_in());
    assert!(cylinder.all_in() <= CYLINDER_BYTES, "{cylinder:?}: {:.0} B in all", cylinder.all_in());
    // Less than this would mean that something wasn't counted.
    assert!(lift.asked_for() > 400.0 && cylinder.asked_for() > 100.0, "{lift:?} {cylinder:?}");
}

const MANY: u32 = 20_000;

fn apply(core: &mut Core, kind: Kind) {
    core.apply(&Record { pos: core.next(), elapsed: Elapsed(0), wall: Wall(1_795_305_600_000), kind });
}

fn command(request: &str, action: Action) -> Kind {
    Kind::Command(Command { request: request.into(), actor: Actor::local_admin(), action })
}

fn firm(n: u32, name: &str) -> Entry {
    Entry::Firm(Firm::new(FirmId::parse(&format!("FIRM-{n}")).unwrap(), name))
}

fn site(n: u32, name: &str) -> Entry {
    let code = SiteCode::parse(&format!("6401-{n:06}")).unwrap();
    Entry::Site(Site { code, kind: SiteKind::Shop, name: name.into(), address: None, district: None })
}

fn lift(n: u32, keep_alive_s: u32) -> Entry {
    Entry::Lift(Lift {
        address: Some("Example Road 1".into()),
        keep_alive_s: Some(keep_alive_s),
        ..Lift::new(DeviceCode::parse(&format!("3130500112201{n:07}")).unwrap())
    })
}

fn full() -> Core {
    filled((0..MANY).flat_map(|n| [firm(n, "before"), site(n, "before"), lift(n, 60)]).collect())
}

fn filled(entries: Vec<Entry>) -> Core {
    let mut core = Core::new(1);
    for (n, entries) in entries.chunks(COMMAND_ITEMS).enumerate() {
        apply(&mut core, command(&format!("upsert {n}"), Action::Upsert(entries.to_vec())));
    }
    core
}

/// Flow: a state full of everything is written as a snapshot, piece by piece.
/// Asserts: the pieces make up the whole, and no more than a few of them are in memory at a time.
#[test]
fn a_snapshot_is_written_without_a_second_copy_of_the_state() {
    let frozen = full().freeze();
    let (mut pieces, mut bytes) = (0, 0);
    let took = measure(|| {
        frozen.clone().pieces(|piece| {
            pieces += 1;
            bytes += piece.len();
        });
    });
    assert!(pieces > 10 && bytes > 2 * 1_024 * 1_024, "{bytes} bytes in {pieces} pieces are too few to show anything");
    assert!(took.bytes_max <= 256 * 1_024, "{took:?} for {bytes} bytes");
    let whole = frozen.encode();
    assert_eq!(whole.len(), bytes);
    assert!(Core::restore(whole.clone().into()).unwrap().freeze().encode() == whole);
}

/// Flow: one lift out of a city's snapshot.
/// Asserts: it takes little more memory than a piece, and what it gives is that lift and no other.
#[test]
fn one_lift_is_restored_without_a_copy_of_the_others() {
    let mut whole = Vec::new();
    filled((0..MANY).map(|n| lift(n, 60)).collect()).freeze().pieces(|piece| whole.push(Bytes::copy_from_slice(piece)));
    let bytes: usize = whole.iter().map(Bytes::len).sum();
    assert!(whole.len() > 10);
    let wanted = lift(MANY / 2, 60);
    let device = DeviceCode::parse(wanted.code()).unwrap();
    let mut one = None;
    let took = measure(|| {
        let mut restoring = Restoring::one(CORE_VERSION, &device);
        whole.iter().for_each(|piece| restoring.take(piece.clone()).unwrap());
        one = Some(restoring.finish().unwrap());
    });
    assert_eq!(one.unwrap().lifts().iter().map(|lift| lift.code).collect::<Vec<_>>(), [device]);
    assert!(took.bytes_max <= 256 * 1_024, "{took:?} for one lift out of {bytes} bytes");
}

/// Flow: a state full of everything; a snapshot that holds all of it; one more change of each kind.
/// Asserts: what that allocates has to do with the change, not with how much there is.
#[test]
fn after_a_snapshot_a_change_copies_a_little_and_not_a_table() {
    let mut core = full();
    let alert = AlertId::parse("31305001122014017242/trapped-reported/1").unwrap();
    let acknowledge = || Action::Acknowledge { alert: alert.clone(), note: None };
    for n in 0..MANY {
        apply(&mut core, command(&format!("acknowledge {n}"), acknowledge()));
    }
    let page_bytes = 16 * (size_of::<vigil::core::lift::Lift>() as u64 + 32);
    for (what, action, most_bytes) in [
        ("a firm", Action::Upsert(vec![firm(MANY / 2, "after")]), 0),
        ("a site", Action::Upsert(vec![site(MANY / 3, "after")]), 0),
        ("a lift", Action::Upsert(vec![lift(MANY / 4, 90)]), page_bytes),
        ("an answer", acknowledge(), 0),
    ] {
        let frozen = core.freeze();
        let kind = command(what, action);
        let copied = measure(|| apply(&mut core, kind));
        let most_bytes = most_bytes + 16 * 1_024;
        assert!(copied.bytes_total <= most_bytes, "{what}: {copied:?}, more than {most_bytes}");
        drop(frozen);
    }
}

/// Flow: lifts report, each of them has three codes once, as faults and as events, and none for long after that.
/// Asserts: nothing is left of them: what was kept meanwhile is let go of, room and all.
#[test]
fn what_is_over_takes_no_memory() {
    const LIFTS: u32 = 500;
    let mut core = Core::new(1);
    // Rules would remember that they had opened.
    apply(&mut core, Kind::Policy(PolicyText { rules: Vec::new(), ..load::policy() }));
    let mut say = |seq: u32, at_s: i64, faults: &str| {
        for n in 0..LIFTS {
            let topic = format!("vigil/v1/elevator/3130500112201{n:07}/report").into();
            let payload = format!(
                r#"{{"boot":1,"seq":{seq},"mode":"normal","car":"stopped","door":"open","faults":{faults},"events":{faults}}}"#
            );
            let (pos, wall) = (core.next(), Wall(1_795_305_600_000 + 1_000 * at_s));
            let kind = Kind::Report { topic, payload: payload.into_bytes().into() };
            let effects = core.apply(&Record { pos, elapsed: Elapsed(1_000 * at_s), wall, kind });
            assert_eq!(effects.tally.frames, 1);
        }
    };
    say(1, 0, "[]");
    let left = measure(|| {
        for (seq, at_s, faults) in [(2, 10, "[3,5,41]"), (3, 20, "[]"), (4, 1_400, "[]")] {
            say(seq, at_s, faults);
        }
    });
    let of_a_lift = left.bytes_current / i64::from(LIFTS);
    assert!(of_a_lift <= 8, "{of_a_lift} B of each lift: {left:?}");
}

/// How many lifts of a province stop at once.
const STOPPED: u32 = 25_000;

/// Flow: 25,000 lifts in 2,500 buildings on one feeder in one district lose power within 50 s, one report each; at the height
/// of it a snapshot is taken. Then power comes back, and a minute later one lift loses it again.
/// Asserts: no record allocates more than some alerts take, nor copies the storm after the snapshot; every lift is told of and
/// belongs to it, the last one knowing of all; when it is over, its members are forgotten.
#[test]
fn a_storm_of_a_province_costs_no_record_more_than_another() {
    let place = |name: String| Some(PlaceId::parse(&name).unwrap());
    let stands = |n: u32| {
        let Entry::Lift(it) = lift(n, 3_600) else { unreachable!("it is a lift") };
        let (building, feeder) = (place(format!("B{}", n % 2_500)), place("F12".into()));
        Entry::Lift(Lift { building, feeder, district: "640104".parse().ok(), ..it })
    };
    let entries: Vec<Entry> = (0..STOPPED).map(stands).collect();
    let mut core = Core::new(1);
    apply(&mut core, Kind::Policy(load::policy()));
    apply(&mut core, Kind::Link(Link::Up));
    for (n, entries) in entries.chunks(COMMAND_ITEMS).enumerate() {
        apply(&mut core, command(&format!("upsert {n}"), Action::Upsert(entries.to_vec())));
    }
    let (mut most_bytes, mut told, mut groups) = (0, 0, Vec::new());
    for n in 0..STOPPED {
        let (bytes, events) = report(&mut core, n, 1, 2 * i64::from(n), "[41]");
        most_bytes = most_bytes.max(bytes);
        told += events.iter().filter(|event| event.alert.id.rule.as_str() == "power-lost").count();
        groups.extend(events.iter().filter_map(|event| event.alert.group));
    }
    assert!(most_bytes <= 16 * 1_024, "{most_bytes} bytes for one record");
    // Those before the fifth are told once more.
    assert_eq!((told, groups.len()), (STOPPED as usize + 4, STOPPED as usize));
    assert!(groups.iter().all(|group| (group.scope, group.place.as_str()) == (StormScope::Feeder, "F12")));
    assert_eq!(groups.last().map(|group| group.lifts), Some(STOPPED));
    let open = core.open_alerts();
    let of_all = |alert: &&Alert| alert.group.is_some_and(|group| group.lifts == STOPPED);
    assert_eq!(open.iter().filter(of_all).count(), STOPPED as usize);

    let frozen = core.freeze();
    let (bytes, _) = report(&mut core, 0, 2, 50_000, "[]");
    assert!(bytes <= 128 * 1_024, "{bytes} bytes for a record after a snapshot");
    drop(frozen);
    for n in 1..STOPPED {
        let (_, events) = report(&mut core, n, 2, 50_000 + i64::from(n), "[]");
        assert_eq!(events.iter().filter(|event| event.kind == EventKind::Cleared).count(), 1);
    }
    let storm_bytes = core.freeze().encode().len();
    report(&mut core, 7, 3, 120_000, "[41]");
    let left_bytes = core.freeze().encode().len();
    assert!(left_bytes + 20 * STOPPED as usize <= storm_bytes, "{storm_bytes}, and {left_bytes} when it is over");
}

/// What one report allocates in all, and what it is told to mean.
fn report(core: &mut Core, n: u32, seq: u32, at_ms: i64, faults: &str) -> (u64, Vec<AlertEvent>) {
    let topic = format!("vigil/v1/elevator/3130500112201{n:07}/report").into();
    let mode = if faults == "[]" { "normal" } else { "emergency_power" };
    let payload = format!(r#"{{"boot":1,"seq":{seq},"mode":"{mode}","faults":{faults}}}"#);
    let (pos, wall) = (core.next(), Wall(1_795_305_600_000 + at_ms));
    let kind = Kind::Report { topic, payload: payload.into_bytes().into() };
    let record = Record { pos, elapsed: Elapsed(at_ms), wall, kind };
    let mut events = Vec::new();
    let took = measure(|| events = core.apply(&record).events);
    (took.bytes_total, events)
}
