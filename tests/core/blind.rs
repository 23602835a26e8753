//! While we can't hear the devices: silence is not safety, and not every lift's fault.

use crate::script::check;

#[test]
fn critical_holds_fire_as_possible_and_live_frames_confirm() {
    check(
        "0s     frame A stuck
         10s    link down
         25s    expect opened vigil ingest-blind critical observed self-check
         30s    expect opened A trapped-out-of-zone critical possible ingest-blind dispatch=rescue
         40s    link up
         41s    frame A stuck
         41s    expect raised A trapped-out-of-zone critical likely confirmed dispatch=rescue
         42s    drained
         42s    expect cleared vigil ingest-blind
         50s    end",
    );
    // It was over before it fell due, which only the backlog knew.
    check(
        "0s     frame A stuck
         10s    link down
         20s    queue A door=open
         25s    expect opened vigil ingest-blind
         30s    expect opened A trapped-out-of-zone possible ingest-blind
         40s    link up
         41s    deliver
         42s    drained
         42s    expect cleared A trapped-out-of-zone condition-ended at=35s delayed
         42s    expect cleared vigil ingest-blind
         60s    end",
    );
    // Nobody says otherwise: once the backlog is in, what still stands is confirmed.
    check(
        "0s     frame A stuck
         10s    link down
         25s    expect opened vigil ingest-blind
         30s    expect opened A trapped-out-of-zone possible ingest-blind
         40s    link up
         41s    drained
         41s    expect raised A trapped-out-of-zone likely confirmed
         41s    expect cleared vigil ingest-blind
         42s    end",
    );
}

#[test]
fn other_holds_wait_until_we_hear_again() {
    check(
        "0s     frame A empty stopped zone=no
         10s    link down
         25s    expect opened vigil ingest-blind
         60s    link up
         61s    drained
         61s    expect opened A stopped-out-of-zone observed condition-held at=45s delayed
         61s    expect cleared vigil ingest-blind",
    );
}

#[test]
fn one_alert_says_that_we_are_blind() {
    check(
        "0s     link down
         14s    link up
         14.5s  drained
         60s    link down
         70s    link up
         74.5s  expect opened vigil ingest-blind at=74.5s   # the last marker came back at 59.5 s
         80s    link down
         90s    link up
         91s    drained
         91s    expect cleared vigil ingest-blind",
    );
    // Markers that stay away say the same, and when they come back what waited is looked at.
    check(
        "0s     frame A empty stopped zone=no
         12s    markers off
         25s    expect opened vigil ingest-blind at=25s
         62s    markers on
         62s    expect opened A stopped-out-of-zone at=45s delayed
         62s    expect cleared vigil ingest-blind",
    );
    check(
        "0s     link down
         15s    expect opened vigil ingest-blind
         20s    clear vigil/ingest-blind/1
         20s    expect cleared vigil ingest-blind operator
         620s   expect opened vigil ingest-blind opening=2
         700s   link up
         700s   drained
         700s   expect cleared vigil ingest-blind condition-ended",
    );
}

#[test]
fn silence_stands_still_while_we_are_blind() {
    check(
        "0s     frame A stuck
         0s     frame B idle
         30s    expect opened A trapped-out-of-zone
         60s    link down
         75s    expect opened vigil ingest-blind
         2h     link up
         2h1s   drained
         2h1s   expect cleared vigil ingest-blind
         2h30s  frame B idle
         2h61s  expect opened A trapped-stale        # 60 s before, 60 s after, markers every 5 s
         2h121s expect opened A offline
         2h190s end",
    );
}

#[test]
fn a_frame_of_the_backlog_was_heard_when_the_link_was_lost() {
    check(
        "0s     frame A idle
         60s    link down
         75s    expect opened vigil ingest-blind
         2h     link up
         2h     frame A idle
         2h1s   drained
         2h1s   expect cleared vigil ingest-blind
         2h181s expect opened A offline",
    );
}

#[test]
fn a_start_is_a_link_down_since_the_record_before_it() {
    check(
        "0s     frame A stuck
         10s    restart
         25s    expect opened vigil ingest-blind
         30s    expect opened A trapped-out-of-zone possible ingest-blind
         60s    link up
         61s    drained
         61s    expect raised A trapped-out-of-zone likely confirmed
         61s    expect cleared vigil ingest-blind
         70s    end",
    );
    check(
        "0s     frame A stuck
         10s    restart
         11s    link up
         12s    drained
         30s    expect opened A trapped-out-of-zone likely condition-held",
    );
    check(
        "0s     frame A stuck
         30s    expect opened A trapped-out-of-zone
         40s    restart
         41s    restart
         42s    link up
         43s    drained
         44s    frame A door=open
         49s    expect cleared A trapped-out-of-zone",
    );
}

#[test]
fn a_hold_that_falls_due_unknown_is_possible() {
    // A running car makes the zone unknown; the hold goes on.
    check(
        "0s     frame A stuck
         10s    frame A door=unknown
         30s    expect opened A trapped-out-of-zone critical possible condition-unknown dispatch=rescue
         40s    frame A door=closed
         40s    expect raised A trapped-out-of-zone likely confirmed",
    );
    check(
        "0s     frame A empty stopped zone=no
         10s    frame A bad=passenger
         45s    frame A floor=1
         60s    frame A empty
         60s    expect opened A stopped-out-of-zone observed at=60s",
    );
    check(
        "0s     frame A bad=passenger stopped zone=no door=closed
         120s   end",
    );
}

#[test]
fn health_becomes_alerts() {
    check(
        "0s     health fill=49
         1s     health fill=50
         1s     expect opened vigil journal-filling major
         2s     health fill=80
         2s     expect raised vigil journal-filling critical
         3s     health fill=40
         4s     health fill=39
         4s     expect cleared vigil journal-filling critical
         5s     health stalled=29s
         6s     health stalled=30s
         6s     expect opened vigil store-behind major
         7s     health stalled=1s
         8s     health
         8s     expect cleared vigil store-behind
         9s     health dropped=3
         9s     expect opened vigil broker-drops major
         69s    health dropped=3
         609s   expect cleared vigil broker-drops
         700s   end",
    );
}
