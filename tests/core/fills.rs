//! Requests to fill: every reason why not, one gun at a time, and nothing by what is no longer so.

use vigil::model::actor::Actor;
use vigil::model::fill::{Against, FillRequest, Stored, Verdict};
use vigil::model::ids::{CylinderCode, SiteCode};
use vigil::model::record::{Action, Outcome};
use vigil::model::row::{Row, ScanFlag};
use vigil::model::time::Elapsed;

use crate::script::{Script, begin, check, said};
use crate::timeline::{Timeline, shipped};

/// Two stations, a body, and a cylinder of the first one that is in order.
const STATION: &str = "0s archive site FILL-01 filling_station
                       0s archive site FILL-02 filling_station
                       0s archive site BODY-01 inspection_body
                       0s archive cylinder CYL00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-01-01\n";

/// Plays it after the archive, and the same with a restart after each step: what is told must be the same.
fn plays(script: &str) -> Script {
    check(&format!("{STATION}{script}"))
}

#[test]
fn a_cylinder_in_order_is_allowed_once_a_check() {
    plays(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg => allow
         5s scan FILL-01 filled CYL00001 medium=lpg
         6s scan FILL-01 checked_after_fill CYL00001 passed
         7s scan FILL-01 fill_requested CYL00001 request=r2 medium=lpg => unchecked
         8s scan FILL-01 checked_before_fill CYL00001 passed
         9s scan FILL-01 fill_requested CYL00001 request=r3 medium=lpg => allow",
    );
}

#[test]
fn each_reason_is_given_and_all_of_them_together() {
    let checked = "1s scan FILL-01 checked_before_fill CYL00001 passed\n";
    for (script, told) in [
        ("2s scan FILL-01 fill_requested CYL00001 medium=lpg", "no-request"),
        ("2s scan FILL-01 fill_requested CYL00001 request=r", "no-medium"),
        ("2s scan FILL-01 fill_requested CYL00001 request=r medium=oxygen", "cylinder-wrong-medium"),
        ("2s scan FILL-02 fill_requested CYL00001 request=r medium=lpg", "cylinder-foreign"),
        ("1s scan FILL-01 disabled CYL00001\n2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg", "disabled"),
        ("1s scan FILL-01 lost CYL00001\n2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg", "lost"),
        (
            "1s scan FILL-01 sent_for_inspection CYL00001\n2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg",
            "at-inspection",
        ),
        (
            "1s archive cylinder CYL00001 due=2026-11-21 unit=FILL-01 medium=lpg made=2024-01-01
             2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg",
            "cylinder-overdue",
        ),
        (
            // What isn't known isn't in order.
            "1s archive cylinder CYL00001 unit=FILL-01 medium=lpg
             2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg",
            "cylinder-overdue,cylinder-past-life",
        ),
        (
            "1s archive cylinder CYL00001 due=2028-01-01 medium=lpg made=2024-01-01
             2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg",
            "cylinder-foreign",
        ),
        (
            "1s archive cylinder CYL00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2018-11-22
             2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg",
            "cylinder-past-life",
        ),
        (
            "1s scan FILL-01 checked_before_fill CYL00001 passed=false
             2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg",
            "unchecked",
        ),
        (
            "1s archive cylinder CYL00001 due=2026-11-21 unit=FILL-02 medium=oxygen made=2024-01-01
             1s scan FILL-02 disabled CYL00001
             1s scan FILL-02 lost CYL00001
             1s scan FILL-02 sent_for_inspection CYL00001
             1s scan FILL-01 checked_before_fill CYL00001
             20s scan FILL-01 fill_requested CYL00001 medium=lpg at=5s",
            "at-inspection,cylinder-foreign,cylinder-overdue,cylinder-wrong-medium,disabled,lost,no-request,stale,unchecked",
        ),
    ] {
        plays(&format!("{checked}{script} => {told}"));
    }
    plays(
        "1s scan FILL-01 scrapped CYL00001
         1s expect opened cylinder:CYL00001 cylinder-unregistered
         2s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => cylinder-unregistered",
    );
    plays(
        "1s scan FILL-01 fill_requested CYL00009 request=r medium=lpg => cylinder-unregistered,no-medium,unchecked
         1s expect opened cylinder:CYL00009 cylinder-unregistered",
    );
}

#[test]
fn one_gun_at_a_time() {
    plays(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 scanner=GUN-1 request=r1 medium=lpg => allow
         3s scan FILL-01 fill_requested CYL00001 scanner=GUN-2 request=r2 medium=lpg => reserved
         4s scan FILL-01 fill_requested CYL00001 scanner=GUN-1 request=r3 medium=lpg => allow
         13.999s scan FILL-01 fill_requested CYL00001 scanner=GUN-2 request=r4 medium=lpg => reserved
         14s scan FILL-01 fill_requested CYL00001 scanner=GUN-2 request=r5 medium=lpg => allow
         15s scan FILL-01 fill_requested CYL00001 scanner=GUN-1 request=r6 medium=lpg => reserved
         16s scan FILL-01 filled CYL00001 scanner=GUN-2 medium=lpg
         17s scan FILL-01 fill_requested CYL00001 scanner=GUN-1 request=r7 medium=lpg => unchecked",
    );
    // A denial reserves nothing.
    plays(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 scanner=GUN-1 medium=lpg => no-request
         3s scan FILL-01 fill_requested CYL00001 scanner=GUN-2 request=r2 medium=lpg => allow",
    );
}

#[test]
fn the_same_scan_again_gets_its_first_verdict_while_that_holds() {
    plays(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 => allow
         11.999s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 at=2s => allow
         12s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 at=2s => nothing",
    );
    // Not after the filling, nor after anything else that it would not be given after.
    for ends in ["filled", "disabled", "lost", "sent_for_inspection"] {
        plays(&format!(
            "1s scan FILL-01 checked_before_fill CYL00001 passed
             2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 => allow
             3s scan FILL-01 {ends} CYL00001 seq=51 medium=lpg
             4s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 at=2s => nothing"
        ));
    }
    // Nor when it was checked again since: that check is another filling's.
    plays(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 => allow
         3s scan FILL-01 filled CYL00001 seq=51 medium=lpg
         4s scan FILL-01 checked_before_fill CYL00001 passed seq=52
         5s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 at=2s => nothing",
    );
    plays(
        "2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 => unchecked
         3s scan FILL-01 checked_before_fill CYL00001 passed seq=51
         4s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 at=2s => unchecked
         5s scan FILL-01 fill_requested CYL00001 request=r2 medium=lpg seq=52 => allow",
    );
}

#[test]
fn what_was_asked_long_ago_is_stale() {
    let checked = "1s scan FILL-01 checked_before_fill CYL00001 passed\n";
    for script in [
        "20s scan FILL-01 fill_requested CYL00001 request=r medium=lpg at=9.999s => stale",
        "20s scan FILL-01 fill_requested CYL00001 request=r medium=lpg at=10s => allow",
        // Behind the newest scan of its gun, of the same age: as old as it says.
        "20s scan FILL-01 stocked_in CYL00002 seq=9
         20s expect opened cylinder:CYL00002 cylinder-unregistered
         21s scan FILL-01 fill_requested CYL00001 request=r medium=lpg seq=8 at=5s => stale",
        // A gun whose clock is wrong has to be known for as long as an answer is good.
        "20s scan FILL-01 fill_requested CYL00001 scanner=OLD request=r1 medium=lpg at=-1h => stale
         31s scan FILL-01 fill_requested CYL00001 scanner=OLD request=r2 medium=lpg at=-3589s => allow
         50s scan FILL-01 fill_requested CYL00001 scanner=OLD request=r3 medium=lpg at=-3588s => stale",
        // What the broker kept for us while we were away: by the gun's clock, and where it has none it is old.
        "30s link down
         40s link up
         41s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg at=30s => stale
         42s scan FILL-01 fill_requested CYL00001 request=r2 medium=lpg at=41s => allow
         43s scan FILL-01 fill_requested CYL00001 request=r3 medium=lpg observed_at=none => stale
         44s drained
         45s scan FILL-01 fill_requested CYL00001 request=r4 medium=lpg observed_at=none => allow",
    ] {
        plays(&format!("{checked}{script}"));
    }
}

#[test]
fn a_check_counts_for_one_filling_in_whatever_order_the_scans_come() {
    for script in [
        // A check that comes late, from before the last filling, is used.
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         60s scan FILL-01 filled CYL00001 medium=lpg
         61s scan FILL-01 checked_before_fill CYL00001 passed scanner=OTHER at=40s
         62s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => unchecked",
        // A filling that comes late, from before the check, uses none.
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 stocked_in CYL00001 scanner=OTHER
         60s scan FILL-01 checked_before_fill CYL00001 passed
         61s scan FILL-01 filled CYL00001 medium=lpg scanner=OTHER at=30s
         62s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => allow",
        // One that may have been after it does.
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 stocked_in CYL00001 scanner=OTHER
         60s scan FILL-01 checked_before_fill CYL00001 passed
         70s scan FILL-01 filled CYL00001 medium=lpg scanner=OTHER at=58s
         72s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => unchecked",
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         60s scan FILL-01 filled CYL00001 medium=lpg scanner=OTHER observed_at=none
         62s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => unchecked",
        // A check of unknown age proves nothing.
        "30s link down
         40s link up
         41s scan FILL-01 checked_before_fill CYL00001 passed observed_at=none
         42s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => unchecked",
    ] {
        plays(script);
    }
}

/// What speaks against a fill doesn't end with a new label, and a check stays with the one that was scanned.
#[test]
fn a_relabelled_cylinder_is_the_same_cylinder() {
    let relabelled =
        "2s archive cylinder NEW00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-01-01 alias=CYL00001";
    for (event, told) in
        [("stocked_in", "allow"), ("disabled", "disabled"), ("lost", "lost"), ("sent_for_inspection", "at-inspection")]
    {
        plays(&format!(
            "1s scan FILL-01 {event} CYL00001
             {relabelled}
             3s scan FILL-01 checked_before_fill NEW00001 passed
             4s scan FILL-01 fill_requested NEW00001 request=r medium=lpg => {told}
             5s archive cylinder NEW00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-02-01 alias=CYL00001
             6s scan FILL-01 returned NEW00001
             7s scan FILL-01 fill_requested NEW00001 request=r2 medium=lpg => {}",
            if event == "sent_for_inspection" { "at-inspection" } else { "allow" }
        ));
    }
    plays(&format!(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         {relabelled}
         3s scan FILL-01 fill_requested NEW00001 request=r medium=lpg => unchecked"
    ));
    plays(&format!(
        "1s scan FILL-01 scrapped CYL00001
         1s expect opened cylinder:CYL00001 cylinder-unregistered
         {relabelled}
         3s scan FILL-01 checked_before_fill NEW00001 passed
         3s expect opened cylinder:NEW00001 cylinder-unregistered
         4s scan FILL-01 fill_requested NEW00001 request=r medium=lpg => cylinder-unregistered"
    ));
}

#[test]
fn who_may_say_it_and_who_may_end_it() {
    for (script, told) in [
        ("2s scan FILL-02 disabled CYL00001", "allow"),
        ("2s scan FILL-02 lost CYL00001", "allow"),
        ("2s scan FILL-02 sent_for_inspection CYL00001", "allow"),
        ("2s scan FILL-01 disabled CYL00001\n3s scan FILL-02 returned CYL00001", "disabled"),
        ("2s scan FILL-01 disabled CYL00001\n3s scan FILL-01 returned CYL00001", "allow"),
        ("2s scan FILL-01 lost CYL00001\n3s scan FILL-01 returned CYL00001", "allow"),
        ("2s scan FILL-01 lost CYL00001\n3s scan BODY-01 inspected CYL00001 passed", "lost"),
        ("2s scan FILL-01 sent_for_inspection CYL00001\n3s scan FILL-01 returned CYL00001", "at-inspection"),
        ("2s scan FILL-01 sent_for_inspection CYL00001\n3s scan FILL-01 inspected CYL00001 passed", "at-inspection"),
        (
            "2s scan FILL-01 sent_for_inspection CYL00001\n3s scan BODY-01 inspected CYL00001 passed=false",
            "at-inspection",
        ),
        ("2s scan FILL-01 sent_for_inspection CYL00001\n3s scan BODY-01 inspected CYL00001 passed", "allow"),
        // What is known to be over when it comes isn't so any more; what isn't known to be over is.
        (
            "2s scan FILL-01 returned CYL00001 scanner=B\n40s scan FILL-01 returned CYL00001 scanner=B\n41s scan FILL-01 lost CYL00001 at=20s",
            "allow",
        ),
        (
            "2s scan FILL-01 returned CYL00001 scanner=B\n40s scan FILL-01 stocked_in CYL00001 scanner=B\n41s scan FILL-01 lost CYL00001 at=20s",
            "lost",
        ),
    ] {
        plays(&format!(
            "1s scan FILL-01 checked_before_fill CYL00001 passed
             {script}
             50s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => {told}"
        ));
    }
}

#[test]
fn moves_that_do_not_follow_are_recorded_and_flagged() {
    let script = plays(
        "1s scan FILL-01 stocked_in CYL00001
         2s scan FILL-01 collected CYL00001
         3s scan FILL-01 returned CYL00001
         4s scan FILL-01 delivered CYL00001",
    );
    let flags = script.timeline.rows.iter().filter_map(|row| match row {
        Row::Scan(row) => Some(row.flags.clone()),
        _ => None,
    });
    let illegal = vec![ScanFlag::IllegalMove];
    assert_eq!(flags.collect::<Vec<_>>(), [vec![], illegal.clone(), vec![], illegal]);
}

fn request(script: &Script, age_ms: i64) -> FillRequest {
    FillRequest {
        site: SiteCode::parse("FILL-01").unwrap(),
        scanner: "GUN-9".into(),
        cylinder: CylinderCode::parse("CYL00001").unwrap(),
        medium: Some("lpg".into()),
        operator: None,
        age_ms,
        asked: script.timeline.elapsed(),
    }
}

fn ask(script: &mut Script, name: &str, request: FillRequest) -> Verdict {
    let outcome = script.timeline.command_of(Actor::local_admin(), name, Action::CheckFill(request));
    let Outcome::Fill { verdict, .. } = outcome else { panic!("{outcome:?}") };
    verdict
}

#[test]
fn a_call_and_a_gun_share_their_reservations() {
    let mut script = begin(Timeline::new(&shipped()));
    script.play(STATION);
    script.play("1s scan FILL-01 checked_before_fill CYL00001 passed");
    let (asked, old) = (request(&script, 0), request(&script, 10_001));
    assert_eq!(said(&ask(&mut script, "c0", old)), "stale");
    let first = ask(&mut script, "c1", asked.clone());
    assert_eq!(said(&first), "allow");
    script.play("2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg => reserved");
    assert_eq!(ask(&mut script, "c1", asked.clone()), first, "the same call again");
    script.play("11s scan FILL-01 fill_requested CYL00001 request=r2 medium=lpg => allow");
    let late = FillRequest { asked: asked.asked + 1, ..asked.clone() };
    assert_eq!(said(&ask(&mut script, "c2", late)), "reserved");
    script.play("12s scan FILL-01 filled CYL00001 medium=lpg");
    // It waited so long to be written down.
    script.play("23s tick");
    assert_eq!(said(&ask(&mut script, "c3", asked)), "stale,unchecked");
    let by_call = |row: &&Row| matches!(row, Row::Scan(row) if row.flags.contains(&ScanFlag::ByCall));
    assert_eq!(script.timeline.rows.iter().filter(by_call).count(), 4);
    assert!(script.timeline.elapsed() > Elapsed(0));
}

#[test]
fn what_was_allowed_outlives_a_restart_and_what_is_not_known_to_hold_is_not_said_again() {
    plays(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 => allow
         3s restart
         4s link up
         5s drained
         5s scan FILL-01 fill_requested CYL00001 request=r2 medium=lpg scanner=GUN-2 => reserved
         6s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 at=2s => allow
         7s wall -1m
         8s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 at=2s => nothing",
    );
}

#[test]
fn without_rules_nothing_is_filled() {
    let mut policy = shipped();
    policy.rules.retain(|(name, _)| &**name != "cylinder.toml");
    let mut script = begin(Timeline::new(&policy));
    script.play(STATION);
    script.play(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => no-rules",
    );
}

/// After `vigil recover` nobody knows what happened in between.
#[test]
fn after_a_loss_a_cylinder_is_filled_once_somebody_who_may_has_told_of_it() {
    for (script, told) in [
        ("", "unconfirmed"),
        ("6s scan FILL-01 stocked_in CYL00001", "unconfirmed"),
        ("6s scan FILL-02 returned CYL00001", "unconfirmed"),
        ("6s scan FILL-01 inspected CYL00001 passed", "unconfirmed"),
        ("6s scan BODY-01 inspected CYL00001 passed=false", "unconfirmed"),
        // From before the loss.
        ("30s scan FILL-01 returned CYL00001 at=4s", "unconfirmed"),
        ("6s scan FILL-01 returned CYL00001", "allow"),
        ("6s scan BODY-01 inspected CYL00001 passed", "allow"),
        // Not in doubt once it is told of, until the next loss.
        ("6s scan FILL-01 returned CYL00001\n8s recovered", "unconfirmed"),
        ("6s scan FILL-01 returned CYL00001\n8s recovered\n9s scan FILL-01 returned CYL00001", "allow"),
    ] {
        plays(&format!(
            "1s scan FILL-01 checked_before_fill CYL00001 passed
             2s scan FILL-01 returned CYL00001
             3s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg => allow
             5s recovered
             {script}
             40s scan FILL-01 fill_requested CYL00001 request=r2 medium=lpg => {told}"
        ));
    }
    // One that came to be known afterwards.
    plays(
        "5s recovered
         6s archive cylinder CYL00002 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-01-01
         7s scan FILL-01 checked_before_fill CYL00002 passed
         8s scan FILL-01 fill_requested CYL00002 request=r medium=lpg => allow",
    );
}

/// Flow: new journals are told what the store has of a cylinder's scans.
/// Asserts: what speaks against a fill is known again, and ends as ever.
#[test]
fn what_the_store_has_against_a_cylinder_is_known_again() {
    let adopted = |against: &[Against]| {
        let mut script = plays("1s scan FILL-01 checked_before_fill CYL00001 passed");
        let cylinder = CylinderCode::parse("CYL00001").unwrap();
        let stored = Stored { cylinder, against: against.to_vec(), inspected_at: None, valid_until: None };
        let unknown = Stored { cylinder: CylinderCode::parse("CYL00009").unwrap(), ..stored.clone() };
        let outcome = script.timeline.command("adopt", Action::AdoptCustody(vec![unknown, stored]));
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        script.timeline.restart();
        script
    };
    for (against, before, after) in [
        (&[Against::Disabled, Against::Lost][..], "disabled,lost", "allow"),
        (&[Against::AtInspection], "at-inspection", "at-inspection"),
        (&[], "allow", "allow"),
    ] {
        adopted(against).play(&format!(
            "2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 => {before}
             3s scan FILL-01 returned CYL00001 seq=51
             4s scan FILL-01 fill_requested CYL00001 request=r2 medium=lpg seq=52 => {after}"
        ));
    }
    for against in [Against::Scrapped, Against::Duplicate] {
        adopted(&[against]).play(
            "2s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg seq=50 => cylinder-unregistered
             2s expect opened cylinder:CYL00001 cylinder-unregistered",
        );
    }
}

#[test]
fn a_relabelled_cylinder_is_the_same_under_both_codes() {
    plays(
        "1s archive cylinder CYL00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-01-01 alias=OLD00001
         2s scan FILL-01 checked_before_fill OLD00001 passed
         3s scan FILL-01 fill_requested CYL00001 scanner=GUN-1 request=r1 medium=lpg => allow
         4s scan FILL-01 fill_requested OLD00001 scanner=GUN-2 request=r2 medium=lpg => reserved
         5s scan FILL-01 filled OLD00001 medium=lpg
         6s scan FILL-01 fill_requested CYL00001 request=r3 medium=lpg => unchecked
         7s archive cylinder CYL00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-01-01
         8s scan FILL-01 stocked_in OLD00001
         8s expect opened cylinder:OLD00001 cylinder-unregistered",
    );
    // What the archive has under the code itself goes before.
    plays(
        "1s archive cylinder OLD00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-01-01
         1s archive cylinder CYL00001 due=2028-01-01 unit=FILL-01 medium=lpg made=2024-01-01 alias=OLD00001
         2s scan FILL-01 checked_before_fill OLD00001 passed
         3s scan FILL-01 fill_requested CYL00001 request=r1 medium=lpg => unchecked",
    );
}

#[test]
fn a_return_from_before_ends_nothing() {
    plays(
        "1s scan FILL-01 checked_before_fill CYL00001 passed
         2s scan FILL-01 stocked_in CYL00001 scanner=B
         30s scan FILL-01 disabled CYL00001
         40s scan FILL-01 returned CYL00001 scanner=B at=10s
         50s scan FILL-01 fill_requested CYL00001 request=r medium=lpg => disabled",
    );
}
