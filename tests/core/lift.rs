//! The rules on the lift itself, and on what it stops saying.

use crate::script::check;

#[test]
fn stopped_out_of_zone_takes_a_code_or_an_empty_car() {
    check(
        "0s     frame A empty stopped zone=no
         45s    expect opened A stopped-out-of-zone major observed !dispatch=rescue
         50s    frame A zone=yes
         55s    expect cleared A stopped-out-of-zone condition-ended",
    );
    check(
        "0s     frame A waiting door=open fault=4
         45s    expect opened A stopped-out-of-zone
         50s    frame A fault=4 floor=2
         60s    frame A waiting door=open
         65s    expect cleared A stopped-out-of-zone",
    );
    check(
        "0s     frame A empty stopped zone=no
         44.9s  frame A zone=yes
         100s   end",
    );
    check(
        "0s     frame A empty stopped zone=no mode=inspection
         60s    frame A mode=normal
         60s    expect opened A stopped-out-of-zone",
    );
    // No drop: known false once is enough.
    check(
        "0s     frame A empty stopped zone=no
         20s    frame A passenger
         21s    frame A empty
         66s    expect opened A stopped-out-of-zone",
    );
}

#[test]
fn what_is_not_critical_reopens_within_a_minute() {
    check(
        "0s     frame A empty stopped zone=no
         45s    expect opened A stopped-out-of-zone opening=1
         46s    frame A zone=yes
         51s    expect cleared A stopped-out-of-zone
         60s    frame A zone=no
         105s   expect reopened A stopped-out-of-zone opening=1",
    );
    check(
        "0s     frame A empty stopped zone=no
         45s    expect opened A stopped-out-of-zone opening=1
         46s    frame A zone=yes
         51s    expect cleared A stopped-out-of-zone
         67s    frame A zone=no
         112s   expect opened A stopped-out-of-zone opening=2",
    );
    check(
        "0s     frame A fault=41
         0s     expect opened A power-lost minor
         10s    frame A event=40 cleared=41
         10s    expect cleared A power-lost
         70s    frame A fault=41
         70s    expect reopened A power-lost opening=1",
    );
}

#[test]
fn power_lost_rises_when_a_passenger_becomes_known_and_never_falls() {
    check(
        "0s     frame A fault=41
         0s     expect opened A power-lost minor observed condition-held
         10s    frame A passenger fault=41
         10s    expect raised A power-lost critical escalated
         20s    frame A empty fault=41
         30s    frame A idle
         30s    expect cleared A power-lost critical",
    );
    check(
        "0s     frame A passenger stopped fault=41
         0s     expect opened A power-lost critical",
    );
    // The code in the frame keeps it open, whatever the mode.
    check(
        "0s     frame A mode=normal fault=41
         0s     expect opened A power-lost
         10s    frame A mode=normal fault=41
         20s    frame A mode=emergency_power
         30s    frame A mode=normal
         30s    expect cleared A power-lost",
    );
    check(
        "0s     frame A event=41
         0s     expect opened A power-lost
         5s     frame A event=40
         5s     expect cleared A power-lost",
    );
}

#[test]
fn offline_counts_keep_alives_and_any_frame_ends_it() {
    check(
        "0s     frame A floor=1
         179s   frame A floor=1
         359s   end
         360s   expect opened A offline minor observed silence
         400s   frame A seq=1 claimed=-1h            # a repeat says nothing
         401s   frame A floor=2
         401s   expect cleared A offline heard
         581s   end",
    );
    check(
        "0s     archive lift A keep_alive=20
         0s     frame A floor=1
         60s    expect opened A offline !unregistered
         100s   archive lift A keep_alive=600",
    );
    // A keep-alive that the archive shortens counts at once.
    check(
        "0s     archive lift A keep_alive=3600
         0s     frame A floor=1
         10s    archive lift A keep_alive=10
         30s    expect opened A offline",
    );
    // Cleared by a person it stays so for ten minutes.
    check(
        "0s     frame A floor=1
         180s   expect opened A offline
         190s   clear A/offline/1
         190s   expect cleared A offline operator
         790s   expect opened A offline opening=2
         20m    end",
    );
}

#[test]
fn lifts_that_the_archive_does_not_know_are_marked() {
    check(
        "0s     frame A fault=41
         0s     expect opened A power-lost unregistered
         1s     archive lift A district=640104
         2s     frame A mode=normal
         2s     expect cleared A power-lost !unregistered
         2s     archive lift B
         3s     frame B fault=41
         3s     expect opened B power-lost !unregistered",
    );
}

#[test]
fn a_zone_is_valid_only_where_the_car_stands() {
    check(
        "0s     frame A stuck
         10s    frame A running
         20s    frame A stopped
         60s    end",
    );
    // Said while it runs, by a frame that doesn't say that it runs.
    check(
        "0s     frame A runs
         1s     frame A zone=no
         2s     frame A stopped
         60s    end",
    );
    check(
        "0s     frame A stuck
         1s     frame A running
         5s     frame A stopped
         9s     frame A zone=no
         39s    expect opened A trapped-out-of-zone",
    );
}

#[test]
fn alarms_are_not_crowded_out() {
    let codes = |from: u32| (from..from + 64).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let ended =
        |from: u32| (from..from + 64).map(|n| format!("\"{n}\"").replace('"', "")).collect::<Vec<_>>().join(",");
    check(&format!(
        "0s     frame A passenger stopped door=closed
         1s     frame A cleared={}
         2s     frame A cleared={}
         3s     frame A cleared={}
         4s     frame A alarm=90 event={}
         5s     frame A door=closed
         14s    expect opened A trapped-alarm
         15s    frame A cond=trapped
         15s    expect opened A trapped-reported",
        ended(100),
        ended(200),
        ended(300),
        codes(400),
    ));
}

#[test]
fn the_safety_circuit_ends_with_automatic_operation_or_a_normal_run() {
    check(
        "0s     frame A empty running door=closed mode=normal fault=1
         0s     expect opened A safety-circuit major observed condition-held code(1)=true
         10s    frame A idle
         20s    frame A runs fault=1
         30s    frame A idle event=40
         30s    expect cleared A safety-circuit condition-ended",
    );
    check(
        "0s     frame A idle event=1
         0s     expect opened A safety-circuit
         10s    frame A runs
         10s    expect cleared A safety-circuit at=10s",
    );
    check(
        "0s     frame A idle mode=inspection fault=1
         10s    frame A idle fault=1
         10s    expect opened A safety-circuit",
    );
}

#[test]
fn unintended_movement_and_overtravel_are_critical() {
    check(
        "0s     frame A idle mode=inspection fault=5
         0s     expect opened A unintended-movement critical observed
         10s    frame A runs
         20s    clear A/unintended-movement/1
         20s    expect cleared A unintended-movement operator",
    );
    for end in ["top", "bottom"] {
        check(&format!(
            "0s     frame A idle zone=no door=open cond=overtravel_{end} floor=9
             20s    expect opened A overtravel critical observed floor=9
             30s    frame A idle cond=overtravel_{end}
             40s    frame A idle
             45s    expect cleared A overtravel at=45s"
        ));
    }
    check(
        "0s     frame A idle zone=yes cond=overtravel_top mode=inspection
         30s    frame A idle cond=overtravel_top
         30s    expect opened A overtravel",
    );
}

#[test]
fn an_escalator_that_stops_is_critical_when_it_reverses_or_lacks_a_step() {
    check(
        "0s     archive lift A equipment=escalator
         0s     frame A stopped mode=normal fault=61
         0s     expect opened A escalator-stop major observed
         10s    frame A stopped mode=normal fault=61,64
         10s    expect raised A escalator-stop critical escalated
         20s    frame A stopped mode=normal
         30s    frame A running mode=normal
         30s    expect cleared A escalator-stop",
    );
    // One that the archive doesn't know may be one.
    check(
        "0s     frame A event=63
         0s     expect opened A escalator-stop critical unregistered",
    );
    check(
        "0s     archive lift A
         0s     frame A fault=61
         10s    end",
    );
    // Told late, over by now: as grave as it was.
    check(
        "0s     archive lift A equipment=escalator
         0s     frame A running mode=normal
         60s    frame A seq=5 running mode=normal
         60s    frame A seq=3 stopped mode=normal fault=63 claimed=30s
         60s    expect opened A escalator-stop critical delayed
         60s    expect cleared A escalator-stop delayed",
    );
}
