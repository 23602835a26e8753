//! Other spans, counts and severities for single lifts and for districts.

use vigil::model::record::{Kind, Outcome, PolicyText};

use crate::script::{Script, run};
use crate::timeline::{Timeline, lift_code, shipped};

fn with(overrides: &str) -> PolicyText {
    let mut policy = shipped();
    let overrides = overrides.replace("LIFT-B", &lift_code("B"));
    policy.rules.push(("overrides.toml".into(), overrides.into()));
    policy
}

fn check(overrides: &str, script: &str) -> Script {
    run(Timeline::new(&with(overrides)), script)
}

const SPANS: &str = r#"
[[override]]
rule = "stopped-out-of-zone"
district = "64"
for = "60s"

[[override]]
rule = "stopped-out-of-zone"
district = "640104"
for = "20s"

[[override]]
rule = "stopped-out-of-zone"
device = "LIFT-B"
for = "10s"
severity = "critical"
"#;

#[test]
fn the_nearest_counts_and_only_that_one() {
    check(
        SPANS,
        "0s     archive lift A district=640104
         0s     archive lift B district=640104
         0s     archive lift C district=640121
         0s     archive lift D district=320100
         0s     frame A empty stopped zone=no
         0s     frame B empty stopped zone=no
         0s     frame C empty stopped zone=no
         0s     frame D empty stopped zone=no
         0s     frame E empty stopped zone=no
         10s    expect opened B stopped-out-of-zone critical
         20s    expect opened A stopped-out-of-zone major
         45s    expect opened D stopped-out-of-zone
         45s    expect opened E stopped-out-of-zone
         60s    expect opened C stopped-out-of-zone",
    );
    // A lift that the archive doesn't know has no district, but a code.
    check(
        SPANS,
        "0s     frame B empty stopped zone=no
         10s    expect opened B stopped-out-of-zone critical unregistered",
    );
}

#[test]
fn a_lift_follows_its_district() {
    check(
        SPANS,
        "0s     archive lift A district=640121
         0s     frame A empty stopped zone=no
         30s    archive lift A district=640104
         30s    expect opened A stopped-out-of-zone
         35s    archive lift A district=320100
         40s    end",
    );
}

const OFF: &str = "[[override]]\nrule = \"power-lost\"\ndistrict = \"6401\"\ndisabled = true\n";

#[test]
fn a_rule_that_is_switched_off_judges_nothing_and_clears() {
    check(
        OFF,
        "0s     archive lift A district=640104
         0s     frame A fault=41
         1s     frame B fault=41
         1s     expect opened B power-lost
         5s     archive lift B district=640104
         5s     expect cleared B power-lost archive-changed
         10s    archive lift B district=320100
         10s    expect opened B power-lost opening=2",
    );
    let mut script =
        check("", "0s archive lift A district=640104 \n 0s frame A fault=41 \n 0s expect opened A power-lost");
    let reload = |script: &mut Script, policy| {
        let reply = script.timeline.apply(Kind::Policy(policy)).reply.clone();
        assert!(matches!(reply, Some(Outcome::Done { .. })), "{reply:?}");
    };
    reload(&mut script, with(OFF));
    script.play("0s expect cleared A power-lost rule-changed \n 5s end");
    reload(&mut script, with(""));
    script.play("5s expect opened A power-lost opening=2");
}

#[test]
fn what_is_open_or_held_goes_on_under_other_spans() {
    let mut script = check(
        "",
        "0s     archive lift A district=640104
         0s     frame A stuck
         0s     frame B stuck
         10s    end",
    );
    let other = "[[override]]\nrule = \"trapped-out-of-zone\"\ndistrict = \"640104\"\nfor = \"15s\"\n";
    script.timeline.apply(Kind::Policy(with(other)));
    script.play(
        "15s    expect opened A trapped-out-of-zone
         30s    expect opened B trapped-out-of-zone",
    );
    script.timeline.apply(Kind::Policy(with("")));
    script.play("35s end");
}

#[test]
fn silence_and_counts_can_be_overridden() {
    check(
        "[[override]]\nrule = \"offline\"\ndevice = \"LIFT-B\"\nabsent = { keep_alives = 10 }\n
         [[override]]\nrule = \"door-fault\"\ndevice = \"LIFT-B\"\ncount = 2\nwithin = \"1m\"\nclear_for = \"1m\"",
        "0s     frame B idle event=2
         5s     frame B idle event=2
         5s     expect opened B door-fault
         5s     frame A idle
         65s    expect cleared B door-fault
         185s   expect opened A offline
         605s   expect opened B offline",
    );
}

#[test]
fn a_condition_may_ask_for_the_district() {
    let rule = "[[rule]]\nid = \"local\"\non = \"elevator\"\nwhen = \"code(9) && in_district('6401')\"\n\
                severity = \"minor\"\ntitle = { en = \"x\", zh = \"x\" }\n";
    check(
        rule,
        "0s     archive lift A district=640104
         0s     archive lift B district=640221
         1s     frame A idle fault=9
         1s     expect opened A local in_district('6401')=true
         1s     frame B idle fault=9
         1s     frame C idle fault=9
         5s     archive lift B district=640104
         5s     expect opened B local",
    );
}
