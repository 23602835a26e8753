//! Rules that count how often something occurs.

use vigil::model::record::PolicyText;

use crate::script::{check, run};
use crate::timeline::{Timeline, shipped};

/// One counting rule, and nothing else.
fn counting(keys: &str) -> PolicyText {
    let rule = format!(
        "[[rule]]\nid = \"counts\"\non = \"elevator\"\nseverity = \"minor\"\ntitle = {{ en = \"x\", zh = \"x\" }}\n{keys}\n"
    );
    PolicyText { rules: vec![("counts.toml".into(), rule.into())], ..shipped() }
}

fn check_rule(keys: &str, script: &str) {
    run(Timeline::new(&counting(keys)), script);
}

const THREE: &str = "when = \"code(2) || code(3) || condition('trapped')\"\ncount = 3\nwithin = \"10m\"\nclear = \"quiet\"\nclear_for = \"30m\"";
const EACH: &str =
    "when = \"code(2) || code(3)\"\ncount = 3\neach = true\nwithin = \"10m\"\nclear = \"quiet\"\nclear_for = \"30m\"";

#[test]
fn it_opens_at_the_last_occurrence_and_clears_after_quiet() {
    check_rule(
        THREE,
        "0s          frame A fault=2 idle
         10s         frame A idle
         5m          frame A fault=3 idle
         5m10s       frame A idle
         10m         frame A fault=2 idle
         10m         expect opened A counts minor observed condition-held count(code(2))=2 count(code(3))=1
         11m..70m/1m frame A idle
         40m         expect cleared A counts condition-ended at=2400s",
    );
    // A moment later the first one is too long ago.
    check_rule(
        THREE,
        "0s          frame A fault=2 idle
         10s         frame A idle
         5m          frame A fault=3 idle
         5m10s       frame A idle
         10m1s       frame A fault=2 idle
         11m         frame A idle
         11m1s       frame A event=2 idle
         11m1s       expect opened A counts count(code(2))=2 count(code(3))=1",
    );
}

#[test]
fn what_stands_occurs_once() {
    check_rule(
        THREE,
        "0s..9m/10s  frame A fault=2 idle
         9m1s        end",
    );
    // Frames without status add to what stands.
    check_rule(
        THREE,
        "0s          frame A fault=2 idle
         1s..10s/1s  frame A fault=2
         11s         frame A floor=2 extras
         12s         frame A fault=2 idle
         20s         end"
            .replace(" extras", "")
            .as_str(),
    );
    // Across a restart of the terminal as well; what a new boot brings counts.
    check_rule(
        THREE,
        "0s          frame A fault=2 idle
         10s         boot A
         11s         frame A fault=2 idle
         20s         boot A
         21s         frame A fault=2,3 idle
         30s         frame A idle
         40s         boot A
         41s         frame A fault=2 idle
         41s         expect opened A counts",
    );
}

#[test]
fn a_code_counts_from_any_list_and_once_a_frame() {
    check_rule(
        THREE,
        "0s          frame A fault=2 event=2 alarm=2 idle
         10s         frame A idle
         20s         frame A fault=2 event=2 idle
         30s         frame A idle event=3
         30s         expect opened A counts count(code(2))=2 count(code(3))=1",
    );
    check_rule(
        THREE,
        "0s          frame A event=2
         10s         frame A event=2
         15s         frame A event=9 fault=9 idle
         20s         frame A cond=trapped idle
         20s         expect opened A counts count(code(2))=2 count(condition('trapped'))=1",
    );
    // What a source ends and lists again in one frame has come back.
    check_rule(
        THREE,
        "0s          frame A fault=2
         10s         frame A fault=2 cleared=2
         20s         frame A fault=2 cleared=2
         20s         expect opened A counts",
    );
}

#[test]
fn each_code_counts_for_itself_where_the_rule_says_so() {
    check_rule(
        EACH,
        "0s          frame A event=2
         1s          frame A event=3
         2s          frame A event=2
         3s          frame A event=3
         4s          frame A event=2
         4s          expect opened A counts count(code(2))=3 count(code(3))=2",
    );
}

#[test]
fn a_repeat_and_an_old_frame_count_nothing_and_a_late_one_does() {
    check_rule(
        THREE,
        "0s          frame A event=2
         1s          frame A event=2
         2s          frame A seq=2 event=2 claimed=1s
         3s          frame A seq=1 event=2 claimed=0s
         10s         end",
    );
    check_rule(
        THREE,
        "0s          frame A event=2
         1s          frame A event=2
         5m          frame A seq=10 idle
         5m          frame A seq=5 event=2 claimed=10s
         5m          expect opened A counts",
    );
    // Older than ten minutes.
    check_rule(
        THREE,
        "0s          frame A event=2
         1s          frame A event=2
         9m59s       frame A seq=10 idle
         9m59s       frame A seq=5 event=2 claimed=-5s
         10m         end",
    );
}

#[test]
fn a_code_that_stands_through_a_late_backlog_occurs_once() {
    // The live frame overtakes what the terminal kept.
    check_rule(
        THREE,
        "0s          frame A fault=2 idle
         60s         frame A seq=9 idle
         61s         frame A seq=2 fault=2 idle claimed=10s
         62s         frame A seq=3 fault=2 idle claimed=20s
         63s         frame A seq=5 idle claimed=30s
         64s         frame A seq=6 fault=2 idle claimed=40s
         65s         frame A seq=7 fault=2 idle claimed=50s
         66s         end",
    );
    check_rule(
        THREE,
        "0s          frame A fault=2 idle
         60s         frame A seq=9 idle
         61s         frame A seq=2 idle claimed=10s
         62s         frame A seq=3 fault=2 idle claimed=20s
         63s         frame A seq=5 idle claimed=30s
         64s         frame A seq=6 fault=2 idle claimed=40s
         64s         expect opened A counts",
    );
}

#[test]
fn a_backlog_in_order_counts_at_its_own_times() {
    // Three in half an hour, told at once.
    check_rule(
        THREE,
        "0s          frame A idle
         31m         frame A event=2 claimed=1m | event=2 claimed=15m | event=2 claimed=30m
         31m         end",
    );
    check_rule(
        THREE,
        "0s          frame A idle
         31m         frame A event=2 claimed=1m | event=2 claimed=5m | event=2 claimed=9m
         31m         expect opened A counts possible catching-up at=540s delayed
         31m2s       expect raised A counts minor observed confirmed",
    );
}

#[test]
fn quiet_begins_anew_with_each_occurrence_and_waits_for_what_stands() {
    check_rule(
        THREE,
        "0s..20s/10s  frame A event=2
         20s          expect opened A counts
         1m..90m/1m   frame A idle
         20m20s       frame A event=2
         50m20s       expect cleared A counts at=3020s",
    );
    // It is quiet, but the door is still faulty.
    check_rule(
        THREE,
        "0s..20s/10s  frame A event=2
         20s          expect opened A counts
         25s..35m/25s frame A fault=2 idle
         36m..90m/1m  frame A idle
         36m          expect cleared A counts at=2160s",
    );
}

#[test]
fn silence_is_not_quiet() {
    // Unknown after ten minutes of silence: those ten count, the next twenty don't.
    check_rule(
        THREE,
        "0s..20s/10s  frame A event=2
         20s          expect opened A counts
         30m20s..90m/1m frame A idle
         50m20s       expect cleared A counts at=3020s",
    );
    // For good.
    check_rule(
        THREE,
        "0s..20s/10s  frame A event=2
         20s          expect opened A counts
         24h          end",
    );
    // Nor is our own blindness, here of five minutes.
    check_rule(
        THREE,
        "0s..20s/10s   frame A event=2
         20s           expect opened A counts
         1m..10m/1m    frame A idle
         10m1s         link down
         15m           link up
         15m           drained
         15m1s..40m/1m frame A idle
         10m15s        expect opened vigil ingest-blind
         15m           expect cleared vigil ingest-blind
         35m20s        expect cleared A counts",
    );
}

#[test]
fn a_backlog_of_our_own_blindness_counts_as_time_in_which_it_was_quiet() {
    check_rule(
        THREE,
        "0s..20s/10s       frame A event=2
         20s               expect opened A counts
         1m..9m/1m         frame A idle
         10m               link down
         10m1s..24m1s/1m   queue A idle
         25m               link up
         25m               deliver
         25m               drained
         25m1s..60m/1m     frame A idle
         10m15s            expect opened vigil ingest-blind
         25m               expect cleared vigil ingest-blind
         # All but the minute up to the first queued frame.
         31m21s            expect cleared A counts",
    );
}

#[test]
fn what_was_cleared_counts_from_nothing() {
    check_rule(
        &THREE.replace("30m", "1m"),
        "0s..20s/10s  frame A event=2
         20s          expect opened A counts opening=1
         80s          expect cleared A counts
         90s          frame A event=2
         91s          frame A event=2
         92s          frame A event=2
         92s          expect reopened A counts opening=1
         152s         expect cleared A counts",
    );
    check_rule(
        "when = \"code(2)\"\ncount = 2\nwithin = \"10m\"\nclear = \"manual\"",
        "0s           frame A event=2
         1s           frame A event=2
         1s           expect opened A counts opening=1
         5s           clear A/counts/1
         5s           expect cleared A counts operator
         6s           frame A event=2
         7s           frame A event=2
         7s           expect opened A counts opening=2",
    );
}

#[test]
fn a_suppressed_count_opens_when_nothing_suppresses_it_any_more() {
    let rule = format!("{THREE}\nsuppress = \"mode == INSPECTION\"");
    check_rule(
        &rule,
        "0s           frame A mode=inspection
         1s..3s/1s    frame A event=2
         5m           frame A mode=normal
         5m           expect opened A counts at=300s",
    );
    check_rule(
        &rule,
        "0s           frame A mode=inspection
         1s..3s/1s    frame A event=2
         10m4s        frame A mode=normal
         11m          end",
    );
}

#[test]
fn the_shipped_rules_on_repeated_faults() {
    check(
        "0s           frame A waiting door=open fault=2
         10s          frame A waiting door=open
         20s          frame A waiting door=open fault=3
         30s          frame A waiting door=open
         40s          frame A waiting door=open fault=2
         40s          expect opened A door-fault minor observed condition-held
         50s          frame A waiting door=open
         60s          frame A waiting door=open fault=2
         65s          frame A waiting door=open
         70s          frame A waiting door=open fault=2
         75s          frame A waiting door=open
         80s          frame A waiting door=open fault=2
         80s          expect opened A fault-repeats warning observed count(code(2))=5 count(code(3))=1
         2m..90m/1m   frame A idle
         31m20s       expect cleared A door-fault
         61m20s       expect cleared A fault-repeats",
    );
}
