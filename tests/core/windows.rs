//! The highest and the average of an extra over a span.

use vigil::model::record::PolicyText;

use crate::script::run;
use crate::timeline::{Timeline, shipped};

fn check(when: &str, script: &str) {
    let rule = format!(
        "[[rule]]\nid = \"shakes\"\non = \"elevator\"\nseverity = \"minor\"\ntitle = {{ en = \"x\", zh = \"x\" }}\nwhen = \"{when}\"\n"
    );
    let policy = PolicyText { rules: vec![("windows.toml".into(), rule.into())], ..shipped() };
    run(Timeline::new(&policy), script);
}

#[test]
fn the_highest_counts_until_it_has_left_the_window() {
    // A sixteenth of 160 s is 10 s, and the scenario begins at a whole one.
    check(
        "max_over(extras['shake_mg'], '160s') > 3.0",
        "0s     frame A idle extra=shake_mg:3
         5s     frame A idle extra=shake_mg:3.5
         5s     expect opened A shakes minor max_over(extras['shake_mg'],
         10s    frame A idle extra=shake_mg:1
         60s    frame A idle extra=shake_mg:1
         120s   frame A idle
         160s   expect cleared A shakes condition-ended at=160s",
    );
}

#[test]
fn the_average_is_of_all_values_in_it() {
    check(
        "avg_over(extras['shake_mg'], '160s') >= 2",
        "0s     frame A idle extra=shake_mg:1
         1s     frame A idle extra=shake_mg:2
         2s     frame A idle extra=shake_mg:3
         2s     expect opened A shakes
         3s     frame A idle extra=shake_mg:1
         3s     expect cleared A shakes",
    );
}

#[test]
fn without_a_value_it_is_unknown() {
    check(
        "max_over(extras['shake_mg'], '160s') < 3",
        "0s     frame A idle extra=other:1
         60s    frame A idle
         100s   frame A idle extra=shake_mg:1
         100s   expect opened A shakes
         120s..16m/60s frame A idle
         16m    end",
    );
}
