//! A backlog tells no lies: what is over isn't raised as if it stood, and what stands isn't hidden.

use crate::script::check;

#[test]
fn what_a_queued_frame_ended_is_raised_and_cleared_and_says_so() {
    check(
        "0s     frame A idle
         5s     link down
         10s    queue A stuck
         20s    expect opened vigil ingest-blind
         60s    queue A door=open
         100s   queue A door=open floor=1
         300s   link up
         301s   deliver
         301s   expect opened A trapped-out-of-zone possible catching-up at=40s delayed !dispatch=rescue
         301s   expect cleared A trapped-out-of-zone condition-ended at=65s delayed
         302s   drained
         302s   expect cleared vigil ingest-blind
         400s   end",
    );
    // Ended before it was due: nothing to say.
    check(
        "0s     frame A idle
         5s     link down
         10s    queue A stuck
         20s    expect opened vigil ingest-blind
         30s    queue A door=open
         300s   link up
         301s   deliver
         302s   drained
         302s   expect cleared vigil ingest-blind
         400s   end",
    );
}

#[test]
fn what_still_stands_is_confirmed_when_the_backlog_is_in() {
    check(
        "0s     frame A idle
         5s     link down
         10s    queue A stuck
         20s    expect opened vigil ingest-blind
         70s    queue A stuck
         300s   link up
         301s   deliver
         301s   expect opened A trapped-out-of-zone possible catching-up at=40s delayed !dispatch=rescue
         302s   drained
         302s   expect raised A trapped-out-of-zone likely confirmed dispatch=rescue
         302s   expect cleared vigil ingest-blind
         320s   end",
    );
    // Due only after the last queued frame: it waits for the backlog, not for a frame.
    check(
        "0s     frame A idle
         5s     link down
         20s    expect opened vigil ingest-blind
         290s   queue A stuck
         300s   link up
         301s   deliver
         302s   drained
         302s   expect cleared vigil ingest-blind
         320s   expect opened A trapped-out-of-zone likely condition-held at=320s",
    );
    check(
        "0s     frame A idle
         5s     link down
         20s    expect opened vigil ingest-blind
         200s   queue A stuck
         300s   link up
         301s   deliver
         302s   drained
         302s   expect opened A trapped-out-of-zone likely condition-held at=230s delayed dispatch=rescue
         302s   expect cleared vigil ingest-blind",
    );
}

#[test]
fn the_quiet_rule_of_a_backlog_is_dispatched_once_it_is_confirmed() {
    check(
        "0s     frame A idle
         5s     link down
         10s    queue A waiting
         20s    expect opened vigil ingest-blind
         160s   queue A waiting
         300s   link up
         301s   deliver
         301s   expect opened A trapped-in-zone-quiet possible catching-up !dispatch=rescue
         302s   drained
         302s   expect raised A trapped-in-zone-quiet possible confirmed dispatch=rescue
         302s   expect cleared vigil ingest-blind
         320s   end",
    );
}

/// The link broke again before the first backlog was in. The second one is waited for as the first was: its frames
/// aren't overtaken by the clock between them.
#[test]
fn a_backlog_in_two_parts_is_waited_for_twice() {
    check(
        "0s     frame A idle
         5s     link down
         20s    expect opened vigil ingest-blind
         90s    queue A idle
         100s   link up
         101s   deliver
         103s   link down
         110s   queue A waiting
         115s   queue A stuck
         125s   queue A door=open
         300s   link up
         301s   deliver
         302s   drained
         302s   expect cleared vigil ingest-blind
         400s   end",
    );
}

#[test]
fn a_terminal_that_catches_up_is_waited_for() {
    // Due at 45 s; its frames come 20 s late: two seconds after the last one it is looked at.
    check(
        "0s     frame A idle
         35s    frame A stuck claimed=15s
         44s    frame A floor=1 claimed=24s
         46s    end
         46s    expect opened A trapped-out-of-zone likely condition-held at=45s",
    );
    check(
        "0s     frame A idle
         44s    frame A stuck claimed=10s
         45s    frame A floor=1 claimed=12s
         47s    expect opened A trapped-out-of-zone likely at=40s delayed",
    );
    // However long they keep coming, at most 15 s.
    check(
        "0s     frame A idle
         30s    frame A stuck claimed=15s
         31s..60s/1s frame A floor=1 claimed=16s
         45s    expect opened A trapped-out-of-zone likely at=45s",
    );
    // A queued frame ends it in time.
    check(
        "0s     frame A idle
         44s    frame A stuck claimed=10s
         45s    frame A door=open claimed=35s
         60s    end",
    );
}

#[test]
fn a_late_code_that_a_newer_status_excludes_is_raised_and_cleared() {
    check(
        "0s     frame A idle
         60s    frame A idle seq=5
         61s    frame A idle seq=4 claimed=50s fault=41
         61s    expect opened A power-lost minor already-over at=50s delayed
         61s    expect cleared A power-lost already-over at=50s delayed
         70s    end",
    );
    check(
        "0s     frame A idle
         60s    frame A idle seq=5
         61s    frame A seq=4 claimed=50s cond=trapped
         61s    expect opened A trapped-reported already-over !dispatch=rescue
         61s    expect cleared A trapped-reported already-over",
    );
    // Ten minutes old it is only stored.
    check(
        "0s     frame A idle
         700s   frame A idle seq=5
         700s   expect cleared A offline
         180s   expect opened A offline
         701s   frame A idle seq=4 claimed=101s fault=41
         710s   end",
    );
    check(
        "0s     frame A idle
         60s    frame A idle seq=5 fault=41
         60s    expect opened A power-lost
         61s    frame A idle seq=4 claimed=50s fault=41
         62s    end",
    );
}

#[test]
fn a_late_code_of_a_rule_that_is_held_says_nothing() {
    check(
        "0s     frame A waiting door=open
         60s    frame A waiting door=open seq=5
         61s    frame A waiting door=open seq=4 claimed=58s fault=4
         120s   end",
    );
}

#[test]
fn a_lift_first_heard_in_a_backlog_is_as_late_as_it_says() {
    check(
        "0s     link down
         10s    queue B stuck
         15s    expect opened vigil ingest-blind
         300s   link up
         301s   deliver
         302s   drained
         302s   expect opened B trapped-out-of-zone likely condition-held at=40s delayed
         302s   expect cleared vigil ingest-blind",
    );
}

#[test]
fn a_late_code_reopens_what_was_open_then() {
    check(
        "0s     frame A fault=41 seq=1
         0s     expect opened A power-lost opening=1
         10s    frame A idle seq=9
         10s    expect cleared A power-lost
         20s    frame A fault=41 seq=5 claimed=5s
         20s    expect reopened A power-lost already-over opening=1
         20s    expect cleared A power-lost already-over",
    );
}

#[test]
fn an_alarm_of_an_old_backlog_still_waits_for_a_person() {
    check(
        "0s     frame A idle
         5s     link down
         20s    expect opened vigil ingest-blind
         60s    queue A waiting alarm=90
         61s    queue A waiting
         90s    queue A waiting
         100s   queue A idle
         2h     link up
         2h1s   deliver
         2h1s   expect opened A trapped-alarm critical possible catching-up at=70s delayed !dispatch=rescue
         2h2s   drained
         2h2s   expect cleared vigil ingest-blind
         2h3s   clear A/trapped-alarm/1
         2h3s   expect cleared A trapped-alarm operator",
    );
}

#[test]
fn a_restart_in_the_middle_takes_up_where_the_backlog_leads() {
    check(
        "0s     frame A stuck
         0s     frame B stuck
         10s    restart
         12s    queue A door=open
         14s    queue B floor=2
         20s    link up
         21s    deliver
         22s    drained
         30s    expect opened B trapped-out-of-zone likely condition-held at=30s
         40s    end",
    );
}

#[test]
fn frames_of_one_report_are_judged_in_order_one_by_one() {
    check(
        "0s     frame A idle
         100s   frame A boot=1 seq=30 claimed=60s door=open | boot=1 seq=20 claimed=20s stuck | boot=1 seq=25 claimed=55s floor=2
         100s   expect opened A trapped-out-of-zone possible catching-up at=50s delayed
         102s   expect cleared A trapped-out-of-zone at=65s delayed",
    );
}
