//! Alerts on what a terminal sends rather than on its lift.

use crate::script::check;

#[test]
fn a_wrong_clock_is_told_until_it_is_right() {
    check(
        "0s     frame A floor=1 claimed=301s
         0s     expect opened A clock-wrong warning self-check ahead_ms=301000
         1s     frame A floor=1 claimed=302s
         2s     frame A floor=1 claimed=302s
         2s     expect cleared A clock-wrong
         3s     frame A floor=1 claimed=-7d
         3s     expect opened A clock-wrong opening=2",
    );
    check("0s frame A floor=1 claimed=300s");
    check("0s frame A floor=1 claimed=none");
}

#[test]
fn lower_frames_that_claim_to_be_later_are_out_of_order() {
    check(
        "0s     frame A floor=1 seq=900
         1s     frame A floor=1 seq=901
         10s    frame A floor=1 seq=1
         12s    frame A floor=1 seq=2
         12s    expect opened A order-broken warning
         22s    frame A floor=1 seq=3
         22s    expect cleared A order-broken
         30s    frame A fault=41 seq=4
         30s    expect opened A power-lost",
    );
    // A known key claimed later than the newest is a new terminal at once.
    check(
        "0s     frame A floor=1 seq=1
         1s     frame A stuck
         10s    replaced A
         10s    frame A stuck
         31s    expect opened A trapped-out-of-zone",
    );
    check(
        "0s     frame A floor=1 seq=1
         1s     frame A floor=1 seq=3
         10s    frame A floor=1 seq=2 claimed=0.5s
         10s    frame A floor=1 seq=2 claimed=0.5s
         60s    end",
    );
}

#[test]
fn a_device_that_keeps_sending_what_cannot_be_read_is_told() {
    check(
        "0s     frame A bad=door
         1s     frame A bad=door
         2s     frame A bad=door
         2s     expect opened A unreadable warning invalid=/door
         3s..13s/1s frame A floor=1
         14s    frame A floor=1
         14s    expect cleared A unreadable",
    );
    // An alarm is never lost to a bad label.
    check(
        "0s     frame A cond=trapped bad=floor_label
         0s     expect opened A trapped-reported",
    );
}

#[test]
fn fields_never_reported_are_told_after_ten_minutes() {
    check(
        "0s..590s/10s frame A stopped door=closed floor=1
         600s   frame A floor=1
         600s   expect opened A rule-blind warning never-reported passenger=unknown door_zone=unknown
         610s   frame A passenger
         620s   frame A zone=no
         620s   expect cleared A rule-blind
         650s   expect opened A trapped-out-of-zone",
    );
}

#[test]
fn unknown_values_are_neither_true_nor_false() {
    // Ten minutes of silence make what was known unknown: a frame that says only where it is changes nothing then.
    check(
        "0s     archive lift A keep_alive=600
         0s     frame A fault=41
         0s     expect opened A power-lost
         1s     frame A stuck
         1s     expect cleared A power-lost
         31s    expect opened A trapped-out-of-zone
         40s    frame A bad=door
         45s    frame A door=unknown
         100s   frame A door=open
         105s   expect cleared A trapped-out-of-zone",
    );
}
