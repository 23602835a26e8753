//! The rules on people in the car.

use crate::script::check;

#[test]
fn out_of_zone_is_held_for_thirty_seconds_and_needs_no_further_frame() {
    check(
        "0s     frame A stuck floor=3
         30s    expect opened A trapped-out-of-zone critical likely condition-held at=30s dispatch=rescue floor=3
         40s    end",
    );
    check(
        "0s     frame A stuck
         29.9s  frame A door=open
         40s    frame A door=closed
         70s    expect opened A trapped-out-of-zone at=70s",
    );
    check(
        "0s     proto A stuck
         30s    expect opened A trapped-out-of-zone critical likely",
    );
}

#[test]
fn out_of_zone_near_misses() {
    for state in [
        "empty stopped zone=no door=closed",
        "passenger running door=closed",
        "passenger stopped zone=yes door=closed",
        "passenger stopped zone=no door=open",
        "passenger stopped door=closed",
        "stopped zone=no door=closed",
        "passenger zone=no door=closed",
        "passenger stopped zone=no door=unknown",
    ] {
        check(&format!("0s frame A {state} \n 44s end"));
    }
    for door in ["locked", "not_fully_closed"] {
        check(&format!(
            "0s frame A passenger stopped zone=no door={door}
             30s expect opened A trapped-out-of-zone"
        ));
    }
}

#[test]
fn a_door_that_moves_for_ten_seconds_counts_as_shut() {
    check(
        "0s     frame A passenger stopped zone=no door=opening
         20s    frame A door=closing
         40s    expect opened A trapped-out-of-zone at=40s",
    );
    // A jammed door whose sensor fails now and then jams on.
    check(
        "0s     frame A passenger stopped zone=no door=opening
         8s     frame A door=unknown
         9s     frame A door=opening
         16s    frame A door=unknown
         17s    frame A door=opening
         40s    expect opened A trapped-out-of-zone",
    );
}

#[test]
fn a_hold_is_dropped_only_when_known_false_for_three_seconds() {
    check(
        "0s     frame A stuck
         10s    frame A empty
         12.9s  frame A passenger
         30s    expect opened A trapped-out-of-zone at=30s",
    );
    check(
        "0s     frame A stuck
         10s    frame A empty
         13s    frame A passenger
         43s    expect opened A trapped-out-of-zone at=43s",
    );
    // A sensor that flickers.
    check(
        "0s     frame A stuck
         1s..28s/2s frame A empty
         2s..29s/2s frame A passenger
         30s    expect opened A trapped-out-of-zone",
    );
    // It doesn't open while it is known to be false.
    check(
        "0s     frame A stuck
         29s    frame A empty
         31s    frame A passenger
         31s    expect opened A trapped-out-of-zone",
    );
}

#[test]
fn it_clears_when_open_in_zone_or_empty_for_five_seconds() {
    for end in ["door=open", "zone=yes", "empty"] {
        check(&format!(
            "0s     frame A stuck
             30s    expect opened A trapped-out-of-zone
             60s    frame A {end}
             65s    expect cleared A trapped-out-of-zone condition-ended at=65s !delayed
             66s    end"
        ));
    }
    check(
        "0s     frame A stuck
         30s    expect opened A trapped-out-of-zone
         60s    frame A door=open
         64.9s  frame A door=closed
         80s    end",
    );
}

#[test]
fn silence_clears_nothing_and_stops_no_hold() {
    check(
        "0s     frame A stuck
         30s    expect opened A trapped-out-of-zone
         120s   expect opened A trapped-stale critical silence
         180s   expect opened A offline minor silence
         1h     end",
    );
    // A clear that was seen to begin completes by the clock.
    check(
        "0s     frame A stuck
         30s    expect opened A trapped-out-of-zone
         31s    frame A door=open
         36s    expect cleared A trapped-out-of-zone
         215s   expect opened A offline   # markers prove it every 5 s",
    );
}

#[test]
fn frames_may_be_partial_repeated_late_and_across_boots() {
    check(
        "0s     frame A passenger
         1s     frame A stopped zone=no
         2s     frame A door=closed
         3s     frame A seq=3 claimed=2s
         4s     frame A seq=4 floor=1
         5s     boot A
         6s     frame A floor=1
         7s     frame A boot=1 seq=5 claimed=4.5s door=open   # late: the door's register is older
         8.9s   frame A door=closed
         32s    expect opened A trapped-out-of-zone",
    );
    // A late frame writes only what nothing newer wrote.
    check(
        "0s     frame A stuck seq=5
         1s     frame A seq=7 floor=2
         2s     frame A seq=4 claimed=-1s door=open
         30s    expect opened A trapped-out-of-zone",
    );
}

#[test]
fn a_wrong_clock_makes_nobody_late() {
    for clock in ["-3h", "3h", "-10d", "400d"] {
        let wrong = if clock == "-3h" { "" } else { "0s expect opened A clock-wrong warning" };
        check(&format!(
            "0s     clock A {clock}
             0s     frame A stuck
             {wrong}
             10s    frame A stuck
             30s    expect opened A trapped-out-of-zone critical likely condition-held
             31s    frame A door=open
             36s    expect cleared A trapped-out-of-zone !delayed"
        ));
    }
}

#[test]
fn inspection_and_fire_modes_suppress_but_reset_nothing() {
    for mode in ["inspection", "fire_return", "firefighter"] {
        check(&format!(
            "0s     frame A stuck mode={mode}
             60s    frame A mode=normal
             60s    expect opened A trapped-out-of-zone at=60s
             70s    frame A mode={mode}
             90s    end"
        ));
    }
    for mode in ["unknown", "emergency_power", "earthquake", "stopped_service"] {
        check(&format!(
            "0s     frame A stuck mode={mode}
             30s    expect opened A trapped-out-of-zone"
        ));
    }
}

#[test]
fn in_zone_needs_a_failed_opening_or_the_alarm() {
    check(
        "0s     frame A waiting fault=3
         45s    expect opened A trapped-in-zone critical likely
         50s    frame A passenger running
         55s    expect cleared A trapped-in-zone",
    );
    check(
        "0s     frame A waiting event=3
         45s    expect opened A trapped-in-zone",
    );
    check(
        "0s     frame A waiting fault=3
         44s    frame A waiting
         100s   end",
    );
    // The code stands in the frame that shows the door open: it can't clear it.
    check(
        "0s     frame A waiting fault=3
         45s    expect opened A trapped-in-zone
         50s    frame A waiting door=open fault=3
         60s    frame A waiting door=open
         65s    expect cleared A trapped-in-zone",
    );
    check(
        "0s     frame A waiting event=3
         45s    expect opened A trapped-in-zone
         50s    frame A waiting door=open event=3
         52s    frame A waiting door=open
         57s    expect cleared A trapped-in-zone",
    );
    check(
        "0s     frame A waiting fault=3 mode=inspection
         60s    frame A waiting fault=3 mode=firefighter
         60s    expect opened A trapped-in-zone",
    );
}

#[test]
fn the_quiet_rule_gives_way_to_stronger_ones() {
    check(
        "0s     frame A waiting
         60s    frame A floor=1
         120s   expect opened A trapped-in-zone-quiet major possible dispatch=rescue
         120s   frame A floor=2
         130s   frame A fault=3 waiting
         175s   expect opened A trapped-in-zone critical
         175s   expect cleared A trapped-in-zone-quiet superseded
         176s   end",
    );
    check(
        "0s     frame A waiting
         119s   frame A door=open
         150s   frame A door=open",
    );
    // Its hold has no drop.
    check(
        "0s     frame A waiting
         60s    frame A empty
         61s    frame A passenger
         120s   frame A floor=1
         170s   frame A floor=1
         181s   expect opened A trapped-in-zone-quiet",
    );
    // It doesn't open while a stronger one is open.
    check(
        "0s     frame A waiting cond=trapped
         0s     expect opened A trapped-reported critical observed dispatch=rescue
         60s    frame A waiting cond=trapped
         120s   frame A waiting cond=trapped
         150s   frame A waiting cleared=trapped
         150s   expect cleared A trapped-reported
         150s   expect opened A trapped-in-zone-quiet at=150s",
    );
}

#[test]
fn trapped_reported_follows_its_source() {
    check(
        "0s     frame A idle cond=trapped mode=inspection
         0s     expect opened A trapped-reported critical observed
         10s    frame A floor=1
         20s    frame A cleared=trapped
         20s    expect cleared A trapped-reported condition-ended
         30s    frame A cond=trapped
         30s    expect opened A trapped-reported opening=2
         40s    frame A idle
         40s    expect cleared A trapped-reported",
    );
    // Within one frame what is listed comes after what is cleared.
    check(
        "0s     frame A cleared=trapped cond=trapped
         0s     expect opened A trapped-reported",
    );
    check(
        "0s     frame A cond=overtravel_top,something_else
         10s    end",
    );
}

#[test]
fn the_alarm_button_lingers_for_a_minute() {
    check(
        "0s     frame A runs alarm=90
         1s     frame A runs
         50s    frame A stuck
         60s    end",
    );
    check(
        "0s     frame A runs alarm=90
         1s     frame A runs cleared=90
         49s    frame A passenger stopped door=closed
         59s    expect opened A trapped-alarm critical likely dispatch=rescue",
    );
    check(
        "0s     frame A runs alarm=90
         30s    frame A runs alarm=90
         31s    frame A passenger stopped door=closed
         41s    expect opened A trapped-alarm",
    );
    check(
        "0s     frame A waiting alarm=90
         9.9s   frame A door=open
         30s    frame A door=open",
    );
    check(
        "0s     frame A waiting event=90
         10s    expect opened A trapped-alarm
         45s    expect opened A trapped-in-zone",
    );
}

#[test]
fn the_alarm_rule_clears_only_by_a_person_and_rearms() {
    check(
        "0s     frame A waiting alarm=90
         10s    expect opened A trapped-alarm
         20s    frame A idle
         60s    frame A idle door=open
         100s   clear A/trapped-alarm/1 note=spoken
         100s   expect cleared A trapped-alarm operator by=local
         101s   clear A/trapped-alarm/1 -> precondition
         101s   clear A/trapped-alarm/2 -> not-found
         102s   frame A waiting alarm=90
         112s   expect opened A trapped-alarm opening=2",
    );
    // Still pressed: armed again after ten minutes, and then held.
    check(
        "0s     frame A runs alarm=90
         1s     frame A passenger stopped door=closed alarm=90
         11s    expect opened A trapped-alarm
         20s    clear A/trapped-alarm/1
         20s    expect cleared A trapped-alarm operator
         30s..660s/30s frame A passenger stopped door=closed alarm=90
         600s   expect opened A rule-blind door_zone=unknown
         630s   expect opened A trapped-alarm opening=2",
    );
    // Known false in between: armed at once.
    check(
        "0s     frame A passenger stopped door=closed alarm=90
         10s    expect opened A trapped-alarm
         20s    clear A/trapped-alarm/1
         20s    expect cleared A trapped-alarm
         30s    frame A door=open
         40s    frame A door=closed alarm=90
         50s    expect opened A trapped-alarm opening=2",
    );
}

#[test]
fn a_stale_case_is_told_until_a_frame_comes_or_the_case_ends() {
    check(
        "0s     archive lift A keep_alive=10
         0s     frame A stuck
         30s    expect opened A trapped-out-of-zone
         30s    expect opened A trapped-stale critical silence dispatch=rescue
         30s    expect opened A offline
         50s    frame A floor=3
         50s    expect cleared A offline heard
         50s    expect cleared A trapped-stale heard
         69s    frame A floor=3
         90s    expect opened A trapped-stale
         91s    clear A/trapped-out-of-zone/1
         91s    expect cleared A trapped-out-of-zone
         91s    expect cleared A trapped-stale condition-ended
         100s   expect reopened A offline opening=1",
    );
    // Cleared by hand it comes back after ten minutes of further silence.
    check(
        "0s     frame A stuck
         30s    expect opened A trapped-out-of-zone
         120s   expect opened A trapped-stale
         180s   expect opened A offline
         200s   clear A/trapped-stale/1
         200s   expect cleared A trapped-stale operator
         800s   expect opened A trapped-stale opening=2
         1h     end",
    );
}

#[test]
fn critical_alerts_never_reopen() {
    check(
        "0s     frame A stuck
         30s    expect opened A trapped-out-of-zone opening=1
         31s    frame A door=open
         36s    expect cleared A trapped-out-of-zone
         37s    frame A door=closed
         67s    expect opened A trapped-out-of-zone opening=2",
    );
}
