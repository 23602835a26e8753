//! Cylinders, due dates, and what people ask for.

use vigil::model::actor::{Actor, Role, Scope};
use vigil::model::ids::District;
use vigil::model::record::{Action, Outcome};
use vigil::model::row::{Row, ScanFlag, ScanRow};

use crate::script::{Script, alert_of, check};

fn scans(script: &Script) -> Vec<&ScanRow> {
    let mut scans = Vec::new();
    for row in &script.timeline.rows {
        if let Row::Scan(scan) = row {
            scans.push(scan);
        }
    }
    scans
}

#[test]
fn an_overdue_cylinder_alerts_when_it_is_used() {
    let site = "0s archive site FILL-01 filling_station district=640104
                0s archive site BODY-01 inspection_body\n";
    check(&format!(
        "{site}
         0s     archive cylinder CYL00001 due=2026-11-21 unit=FILL-01
         1s     scan FILL-01 stocked_in CYL00001
         1s     scan FILL-01 checked_before_fill CYL00001 passed
         2s     scan FILL-01 filled CYL00001
         2s     expect opened cylinder:CYL00001 cylinder-overdue critical observed scanned event=FILLED days_overdue=1
         2s     scan FILL-01 checked_after_fill CYL00001 passed
         3s     scan FILL-01 dispatched CYL00001
         4s     scan FILL-01 inspected CYL00001 passed valid_until=2030-11-22T00:00:00+08:00
         5s     scan BODY-01 inspected CYL00001 passed valid_until=2030-11-22T00:00:00+08:00
         5s     expect cleared cylinder:CYL00001 cylinder-overdue
         6s     scan FILL-01 checked_before_fill CYL00001 passed
         6s     scan FILL-01 filled CYL00001"
    ));
    // A due date runs through its whole civil day, and no report is older than its day.
    check(&format!(
        "{site}
         0s     archive cylinder CYL00001 due=2026-11-22
         0s     expect opened cylinder:CYL00001 cylinder-inspection-due
         1s     scan FILL-01 delivered CYL00001
         13h59m59.999s scan FILL-01 delivered CYL00001
         14h    expect cleared cylinder:CYL00001 cylinder-inspection-due
         14h    scan FILL-01 delivered CYL00001
         14h    expect opened cylinder:CYL00001 cylinder-overdue"
    ));
    check(&format!(
        "{site}
         0s     archive cylinder CYL00001 due=2026-01-01
         1s     scan FILL-01 delivered CYL00001
         1s     expect opened cylinder:CYL00001 cylinder-overdue
         2s     archive cylinder CYL00001 due=2028-01-01
         2s     expect cleared cylinder:CYL00001 cylinder-overdue"
    ));
    check(&format!(
        "{site}
         0s     archive cylinder CYL00001
         1s     scan FILL-01 delivered CYL00001"
    ));
}

#[test]
fn an_unknown_or_scrapped_cylinder_alerts_at_any_scan() {
    check(
        "0s     archive site FILL-01 filling_station
         1s     scan FILL-01 stocked_in CYL00001
         1s     expect opened cylinder:CYL00001 cylinder-unregistered critical unregistered
         2s     scan FILL-01 stocked_in CYL00001
         3s     archive cylinder CYL00001
         3s     expect cleared cylinder:CYL00001 cylinder-unregistered
         4s     archive cylinder CYL00002 scrapped
         5s     scan FILL-01 stocked_in CYL00002
         5s     expect opened cylinder:CYL00002 cylinder-unregistered !unregistered",
    );
    // Scrapped by whom it may be: the code is void from then on.
    check(
        "0s     archive site FILL-01 filling_station
         0s     archive site FILL-02 filling_station
         0s     archive cylinder CYL00001 unit=FILL-01
         1s     scan FILL-02 scrapped CYL00001
         2s     scan FILL-01 stocked_in CYL00001
         3s     scan FILL-01 scrapped CYL00001
         3s     expect opened cylinder:CYL00001 cylinder-unregistered
         4s     scan FILL-01 stocked_in CYL00001",
    );
}

#[test]
fn a_code_registered_again_with_other_fixed_data_is_void_until_the_archive_is_put_right() {
    let known = "0s     archive site FILL-01 filling_station
                 0s     archive site FILL-02 filling_station
                 0s     archive cylinder CYL00001 unit=FILL-01 medium=lpg\n";
    for again in ["FILL-02 registered CYL00001", "FILL-01 registered CYL00001 medium=oxygen"] {
        let script = check(&format!(
            "{known}
             1s     scan {again}
             1s     expect opened cylinder:CYL00001 cylinder-unregistered critical !unregistered
             2s     scan FILL-01 stocked_in CYL00001
             3s     archive cylinder CYL00001 unit=FILL-01 medium=lpg -> changed=0
             4s     archive cylinder CYL00001 unit=FILL-01 medium=lpg due=2030-01-01
             4s     expect cleared cylinder:CYL00001 cylinder-unregistered"
        ));
        assert_eq!(scans(&script)[0].flags.last(), Some(&ScanFlag::DuplicateCode), "{again}");
    }
    let script = check(&format!(
        "{known}
         1s     scan FILL-01 registered CYL00001
         2s     scan FILL-01 registered CYL00001 medium=lpg
         3s     scan FILL-02 stocked_in CYL00001 medium=oxygen"
    ));
    assert!(scans(&script).iter().all(|scan| scan.flags.is_empty()));
}

#[test]
fn scans_are_flagged_when_the_wrong_site_says_them() {
    let script = check(
        "0s     archive site FILL-01 filling_station
         0s     archive site FILL-02 filling_station
         0s     archive cylinder CYL00001 unit=FILL-01
         1s     scan FILL-01 lost CYL00001
         2s     scan FILL-02 lost CYL00001
         3s     scan FILL-03 disabled CYL00001
         4s     scan FILL-01 inspected CYL00001 passed
         5s     scan FILL-03 filled CYL00001
         5s     expect opened cylinder:CYL00001 cylinder-foreign
         5s     expect opened cylinder:CYL00001 cylinder-unchecked
         6s     scan FILL-03 filled CYL00001 seq=2 at=5s      # a repeat",
    );
    let flags: Vec<&[ScanFlag]> = scans(&script).iter().map(|scan| &*scan.flags).collect();
    use ScanFlag::{ForeignSite, IllegalMove, NotAnInspectionBody, UnregisteredSite};
    let want: [&[ScanFlag]; 5] = [
        &[],
        &[ForeignSite, IllegalMove],
        &[UnregisteredSite, ForeignSite],
        &[NotAnInspectionBody, IllegalMove],
        &[UnregisteredSite, IllegalMove],
    ];
    assert_eq!(flags, want);
}

#[test]
fn an_inspection_is_overdue_when_its_last_day_has_passed_in_the_zone() {
    // 10:00 in Shanghai: the day turns in 14 h, by a tick.
    check(
        "0s     archive lift A due=2026-11-22 district=640104
         0s     expect opened A inspection-due warning observed kind=INSPECTION days_overdue=0 due_on=2026-11-22
         14h    expect cleared A inspection-due
         14h    expect opened A inspection-overdue critical observed kind=INSPECTION days_overdue=1
         15h    archive lift A due=2027-11-22 district=640104
         15h    expect cleared A inspection-overdue",
    );
    check(
        "0s     archive lift A due=2026-11-21
         0s     expect opened A inspection-overdue
         1s     archive lift A
         30h    end",
    );
    // The clock is set, forth and back.
    check(
        "0s     archive lift A due=2026-11-22
         0s     expect opened A inspection-due
         10s    wall 1d
         10s    expect cleared A inspection-due
         10s    expect opened A inspection-overdue
         20s    wall -1d
         20s    expect reopened A inspection-due
         20s    expect cleared A inspection-overdue",
    );
    // Cleared by a person it is due again when the day turns.
    check(
        "0s     archive lift A due=2026-11-21
         0s     expect opened A inspection-overdue
         1s     clear A/inspection-overdue/1
         1s     expect cleared A inspection-overdue operator
         14h    expect opened A inspection-overdue opening=2",
    );
}

#[test]
fn the_first_record_of_a_day_is_judged_on_that_day() {
    check(
        "0s     archive cylinder CYL00001 due=2026-11-22
         0s     expect opened cylinder:CYL00001 cylinder-inspection-due
         13h59m59s end
         14h0.1s late scan FILL-01 delivered CYL00001
         14h0.1s expect cleared cylinder:CYL00001 cylinder-inspection-due
         14h0.1s expect opened cylinder:CYL00001 cylinder-overdue",
    );
}

#[test]
fn upserts_and_commands_are_idempotent() {
    check(
        "0s     archive lift A req=one
         1s     archive lift A req=two -> changed=0
         2s     archive lift A district=64 req=one -> reused
         3s     archive lift A req=one -> changed=1         # the first answer
         4s     archive lift A district=64 req=three
         5s     frame A fault=41
         5s     expect opened A power-lost
         6s     ack A/power-lost/1 req=four note=seen
         6s     expect acknowledged A power-lost operator acknowledged by=local
         7s     ack A/power-lost/1 req=four note=seen
         7.5s   ack A/power-lost/1 req=again -> precondition       # who saw it first stays
         8s     ack A/power-lost/1 req=four note=other -> reused
         9s     clear A/power-lost/1 req=four -> reused
         10s    clear A/power-lost/1 req=five
         10s    expect cleared A power-lost operator acknowledged
         11s    clear A/power-lost/1 req=five
         12s    clear A/power-lost/1 req=six -> precondition
         13s    ack A/power-lost/1 -> precondition
         14s    ack A/power-lost/2 -> not-found
         15s    ack B/power-lost/1 -> not-found
         16s    ack A/no-such-rule/1 -> not-found
         185s   expect opened A offline
         24h10s end",
    );
}

#[test]
fn nobody_touches_what_lies_outside_their_scope() {
    let mut script = check(
        "0s     archive lift A district=640104
         1s     frame A fault=41
         1s     expect opened A power-lost
         2s     frame B fault=41
         2s     expect opened B power-lost",
    );
    let actor = |district: &str| Actor {
        id: district.into(),
        roles: vec![Role::Dispatcher],
        scope: Scope::Districts(vec![District::parse(district).unwrap()]),
    };
    for (district, alert, seen) in [
        ("6402", "A/power-lost/1", false),
        ("64", "B/power-lost/1", false),
        ("64", "vigil/ingest-blind/1", false),
        ("6401", "A/power-lost/1", true),
    ] {
        let action = Action::Acknowledge { alert: alert_of(alert), note: None };
        let outcome = script.timeline.command_of(actor(district), alert, action);
        assert_eq!(matches!(outcome, Outcome::Done { .. }), seen, "{district} {alert}: {outcome:?}");
    }
}
