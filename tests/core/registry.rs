//! The archive: what its history tells, terminals that are replaced, cylinders that change hands.

use vigil::model::actor::{Actor, Role, Scope};
use vigil::model::archive::{Cylinder, Entrustment, Entry, Firm, Lift, Site, SiteKind};
use vigil::model::ids::{CylinderCode, DeviceCode, District, SiteCode};
use vigil::model::record::{Action, Outcome};
use vigil::model::row::{ChangeKind, ChangeRow, Order, Row};
use vigil::model::time::CivilDay;

use crate::timeline::{Timeline, lift_code, shipped};

fn day(text: &str) -> CivilDay {
    CivilDay::parse(text).unwrap()
}

fn site(code: &str) -> SiteCode {
    SiteCode::parse(code).unwrap()
}

fn cylinder(n: u32) -> CylinderCode {
    CylinderCode::parse(&format!("CYL{n:05}")).unwrap()
}

fn changes(timeline: &Timeline) -> Vec<&ChangeRow> {
    timeline.rows.iter().filter_map(|row| if let Row::Change(row) = row { Some(row) } else { None }).collect()
}

/// `created lift 313…`, `changed firm nx name=B`, and who.
fn told(row: &ChangeRow) -> String {
    let fields: String = row.fields.iter().map(|it| format!(" {}={}>{}", it.field, it.before, it.after)).collect();
    format!("{} {} {}{fields}, by {}", row.what.name(), row.kind.name(), row.code, row.actor)
}

fn firm_actor(id: &str) -> Actor {
    Actor { id: id.into(), roles: vec![Role::Firm], scope: Scope::Firm(id.parse().unwrap()) }
}

#[test]
fn every_change_is_told_with_who_and_what() {
    let mut timeline = Timeline::new(&shipped());
    let entry = |name: &str, phone: Option<&str>| {
        Entry::Firm(Firm { phone: phone.map(Into::into), ..Firm::new("nx".parse().unwrap(), name) })
    };
    let clerk = Actor { id: "clerk-7".into(), ..Actor::local_admin() };
    let mut put = |actor: &Actor, request: &str, entry: Entry| {
        timeline.command_of(actor.clone(), request, Action::Upsert(vec![entry]))
    };
    for (actor, request, entry, changed) in [
        (&Actor::local_admin(), "1", entry("A", None), 1),
        (&clerk, "2", entry("B", Some("12")), 1),
        (&clerk, "3", entry("B", Some("12")), 0),
        (&clerk, "2", entry("B", Some("12")), 1),
        (&Actor::local_admin(), "4", entry("B", None), 1),
    ] {
        let outcome = put(actor, request, entry);
        assert!(matches!(outcome, Outcome::Done { changed: got, .. } if got == changed), "{request}: {outcome:?}");
    }
    let told: Vec<_> = changes(&timeline).into_iter().map(told).collect();
    assert_eq!(
        told,
        [
            "created firm nx, by local",
            "changed firm nx name=A>B phone=>12, by clerk-7",
            "changed firm nx phone=12>, by local"
        ]
    );
    assert!(changes(&timeline).iter().all(|row| row.changed_at == timeline.wall()));
}

/// Flow: a lift reports; its terminal is replaced, and the new one counts from 1 with a clock that is slow.
/// Asserts: its first frame is newer than all before; who may not see the lift replaces nothing.
#[test]
fn a_replaced_terminal_counts_afresh_at_once() {
    let mut timeline = Timeline::new(&shipped());
    let device = DeviceCode::parse(&lift_code("A")).unwrap();
    let lift = Lift { firm: "nx".parse().ok(), terminal: Some("old 1".into()), ..Lift::new(device) };
    let replace = |terminal: &str| Action::ReplaceTerminal { device, terminal: Some(terminal.into()) };
    assert!(matches!(timeline.command("r", replace("early")), Outcome::NotFound { .. }));
    timeline.command("a", Action::Upsert(vec![Entry::Lift(lift)]));
    let topic = format!("vigil/v1/elevator/{device}/report");
    timeline.report(&topic, r#"{"boot":9,"seq":7,"door":"open"}"#);
    let other = timeline.command_of(firm_actor("other"), "b", replace("new 2"));
    assert!(matches!(other, Outcome::NotFound { .. }), "{other:?}");
    let own = timeline.command_of(firm_actor("nx"), "c", replace("new 2"));
    assert!(matches!(own, Outcome::Done { changed: 1, .. }), "{own:?}");
    timeline.report(&topic, r#"{"boot":1,"seq":1,"observed_at":"2026-11-20T00:00:00Z","door":"open"}"#);
    timeline.report(&topic, r#"{"boot":1,"seq":1,"observed_at":"2026-11-20T00:00:00Z","door":"open"}"#);
    let frames: Vec<_> =
        timeline.rows.iter().filter_map(|row| if let Row::Frame(it) = row { Some(it) } else { None }).collect();
    let orders: Vec<_> = frames.iter().map(|it| (it.generation, it.frame.key.boot, it.order)).collect();
    assert_eq!(orders, [(0, 9, Order::Newer), (1, 1, Order::Newer)]);
    let last = told(changes(&timeline).last().unwrap());
    let want = format!("terminal_replaced lift {device} generation=0>1 terminal=old 1>new 2, by nx");
    assert_eq!(last, want);
    let kept = timeline.core.lifts().iter().find_map(|lift| lift.archived()).unwrap();
    assert_eq!(kept.terminal.as_deref(), Some("new 2"));
}

#[test]
fn a_lift_that_the_archive_does_not_know_has_terminals_too() {
    let mut timeline = Timeline::new(&shipped());
    let device = DeviceCode::parse(&lift_code("B")).unwrap();
    timeline.report(&format!("vigil/v1/elevator/{device}/report"), r#"{"boot":9,"seq":7,"door":"open"}"#);
    let action = Action::ReplaceTerminal { device, terminal: Some("new".into()) };
    assert!(matches!(timeline.command_of(firm_actor("nx"), "a", action.clone()), Outcome::NotFound { .. }));
    assert!(matches!(timeline.command("b", action), Outcome::Done { .. }));
    let last = changes(&timeline).into_iter().next_back().unwrap();
    assert_eq!(
        (last.what, told(last)),
        (ChangeKind::TerminalReplaced, format!("terminal_replaced lift {device} generation=0>1, by local"))
    );
    assert!(!timeline.rows.iter().any(|row| matches!(row, Row::Entry(_))));
}

fn yard() -> Timeline {
    let mut timeline = Timeline::new(&shipped());
    let entrusted =
        |to: &str, from: &str, until: Option<&str>| Entrustment { site: site(to), from: day(from), to: until.map(day) };
    let own = |n: u32| Cylinder {
        filling_unit: Some(site("FILL-01")),
        filling_unit_since: Some(day("2026-03-01")),
        district: District::parse("640104").ok(),
        ..Cylinder::new(cylinder(n))
    };
    let mut entries = vec![
        Entry::Site(Site::new(site("FILL-01"), SiteKind::FillingStation, "one")),
        Entry::Site(Site::new(site("FILL-02"), SiteKind::FillingStation, "two")),
        Entry::Site(Site::new(site("SHOP-01"), SiteKind::Shop, "shop")),
    ];
    entries.extend((1..=3).map(|n| Entry::Cylinder(own(n))));
    entries.push(Entry::Cylinder(Cylinder {
        entrusted: vec![
            entrusted("FILL-02", "2026-04-01", None),
            entrusted("FILL-03", "2026-04-01", Some("2026-05-01")),
            entrusted("FILL-04", "2026-12-01", None),
        ],
        ..own(4)
    }));
    entries.push(Entry::Cylinder(Cylinder { scrapped: true, ..own(5) }));
    entries.push(Entry::Cylinder(Cylinder { filling_unit: Some(site("FILL-02")), ..own(6) }));
    timeline.command("yard", Action::Upsert(entries));
    timeline.rows.clear();
    timeline
}

/// The answer to a transfer in a yard of its own, and what changed.
fn transfer(actor: &Actor, cylinders: &[u32], to: &str, on: &str) -> (Outcome, Vec<String>) {
    let mut timeline = yard();
    let cylinders = cylinders.iter().copied().map(cylinder).collect();
    let action = Action::TransferCylinders { cylinders, to: site(to), on: day(on) };
    let outcome = timeline.command_of(actor.clone(), "t", action);
    (outcome, changes(&timeline).into_iter().map(told).collect())
}

#[test]
fn a_transfer_moves_all_or_nothing() {
    let admin = Actor::local_admin();
    let refused = |cylinders: &[u32], to: &str, on: &str, why: &str| {
        let (outcome, changed) = transfer(&admin, cylinders, to, on);
        let Outcome::Precondition { why: got } = outcome else { panic!("{outcome:?}") };
        assert_eq!((&*got, changed), (why, Vec::<String>::new()));
    };
    refused(&[1], "SHOP-01", "2026-11-22", "SHOP-01 is no filling station that the archive knows: enter it first");
    refused(&[1], "FILL-09", "2026-11-22", "FILL-09 is no filling station that the archive knows: enter it first");
    let why = "2026-11-23 is to come, today is 2026-11-22: transfer cylinders on the day or after it";
    refused(&[1], "FILL-02", "2026-11-23", why);
    let why = "nothing is transferred: CYL00005: it is scrapped, and its code void";
    refused(&[1, 5, 2], "FILL-02", "2026-11-22", why);
    let why = "nothing is transferred: CYL00001: it is its present unit's, or made, since 2026-03-01, which is after 2026-02-28";
    refused(&[1], "FILL-02", "2026-02-28", why);
    let (outcome, changed) = transfer(&admin, &[1, 99], "FILL-02", "2026-11-22");
    assert_eq!(outcome, Outcome::NotFound { what: "cylinder CYL00099".into() });
    assert!(changed.is_empty());
}

#[test]
fn a_transfer_is_told_and_ends_what_was_entrusted() {
    let (outcome, changed) = transfer(&Actor::local_admin(), &[1, 4, 6, 1], "FILL-02", "2026-11-20");
    assert!(matches!(outcome, Outcome::Done { changed: 2, .. }), "{outcome:?}");
    let moved = "filling_unit=FILL-01>FILL-02 filling_unit_since=2026-03-01>2026-11-20";
    let ends = "entrusted=FILL-02 2026-04-01; FILL-03 2026-04-01 2026-05-01; FILL-04 2026-12-01>\
                FILL-02 2026-04-01 2026-11-19; FILL-03 2026-04-01 2026-05-01";
    assert_eq!(
        changed,
        [
            format!("transferred cylinder CYL00001 {moved}, by local"),
            format!("transferred cylinder CYL00004 {moved} {ends}, by local")
        ]
    );
}

#[test]
fn a_cylinder_that_is_named_by_two_of_its_codes_is_transferred_once() {
    let mut timeline = yard();
    let aliases = vec![cylinder(101)];
    let filling_unit = Some(site("FILL-01"));
    let entry = Entry::Cylinder(Cylinder { aliases, filling_unit, ..Cylinder::new(cylinder(1)) });
    timeline.command("a", Action::Upsert(vec![entry]));
    timeline.rows.clear();
    let cylinders = [101, 1, 101].into_iter().map(cylinder).collect();
    let action = Action::TransferCylinders { cylinders, to: site("FILL-02"), on: day("2026-11-20") };
    let outcome = timeline.command("t", action);
    assert!(matches!(outcome, Outcome::Done { changed: 1, .. }), "{outcome:?}");
    assert_eq!(changes(&timeline).len(), 1);
}

#[test]
fn a_station_gives_away_its_own_cylinders_only() {
    let of = |code: &str| Actor { id: code.into(), roles: vec![Role::Station], scope: Scope::Site(site(code)) };
    let (outcome, _) = transfer(&of("FILL-01"), &[1, 2], "FILL-02", "2026-11-22");
    assert!(matches!(outcome, Outcome::Done { changed: 2, .. }), "{outcome:?}");
    let (outcome, changed) = transfer(&of("FILL-02"), &[1, 2], "FILL-02", "2026-11-22");
    assert_eq!(outcome, Outcome::NotFound { what: "cylinder CYL00001".into() });
    assert!(changed.is_empty());
}
