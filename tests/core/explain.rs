//! Why a rule is where it is: each reason once, under the shipped rules.

use vigil::core::books::Now;
use vigil::core::explain::{Clears, Explained, Explanation, Standing};
use vigil::model::ids::DeviceCode;

use crate::script::{Script, check as play, run};
use crate::timeline::{Timeline, lift_code, shipped};

fn explain(script: &Script) -> Explanation {
    let timeline = &script.timeline;
    let device = DeviceCode::parse(&lift_code("A")).unwrap();
    let at = Now { elapsed: timeline.elapsed(), wall: timeline.wall() };
    timeline.core.explain(&device, at).expect("the lift is known")
}

fn rule<'a>(explanation: &'a Explanation, id: &str) -> &'a Explained {
    explanation.rules.iter().find(|rule| rule.rule.as_str() == id).unwrap_or_else(|| panic!("no rule {id}"))
}

/// `true holding | held 12 s of 30 s`
fn line(explained: &Explained) -> String {
    let standing = match explained.standing {
        Standing::Idle => "idle",
        Standing::Holding { .. } => "holding",
        Standing::Open(_) => "open",
    };
    let why: String = explained.why_not.iter().map(|why| format!(" | {}: {why}", why.name())).collect();
    format!("{} {standing}{why}", explained.when.is)
}

fn check(script: &str, id: &str, want: &str) {
    let script = play(script);
    let explanation = explain(&script);
    assert_eq!(line(rule(&explanation, id)), want, "{explanation:#?}");
}

#[test]
fn each_reason_for_which_a_rule_is_not_open() {
    for (script, rule, want) in [
        (
            "0s frame A empty stopped zone=yes door=closed \n 10s end",
            "trapped-out-of-zone",
            "false idle | condition-false: its condition is false",
        ),
        (
            "0s frame A stopped zone=no door=closed \n 10s end",
            "trapped-out-of-zone",
            "unknown idle | condition-unknown: its condition is unknown: `passenger` was never reported",
        ),
        (
            "0s frame A bad=passenger stopped zone=no door=closed \n 10s end",
            "trapped-out-of-zone",
            "unknown idle | condition-unknown: its condition is unknown: `passenger` was last reported as unknown",
        ),
        (
            "0s archive lift A \n 10s end",
            "inspection-overdue",
            "unknown idle | condition-unknown: its condition is unknown: `days_overdue` is not in the archive",
        ),
        ("0s frame A stuck \n 12.5s end", "trapped-out-of-zone", "true holding | hold-goes-on: held 12.5 s of 30 s"),
        (
            "0s frame A stuck \n 10s frame A door=open \n 11s end",
            "trapped-out-of-zone",
            "false holding | condition-flickers: its condition has been false for 1 s; 3 s drop the hold",
        ),
        (
            "0s frame A stuck mode=inspection \n 40s end",
            "trapped-out-of-zone",
            "true holding | suppressed: suppressed by mode in [INSPECTION, FIRE_RETURN, FIREFIGHTER]",
        ),
        (
            "0s   frame A waiting alarm=90
             10s  expect opened A trapped-alarm
             45s  expect opened A trapped-in-zone
             100s frame A floor=1
             125s end",
            "trapped-in-zone-quiet",
            "true holding | gives-way: gives way to trapped-alarm, which is open | \
             gives-way: gives way to trapped-in-zone, which is open",
        ),
        (
            "0s  frame A idle event=2
             30s frame A idle event=3
             60s end",
            "door-fault",
            "false idle | too-few: has occurred 2 of 3 times within 10 min",
        ),
        ("0s frame A idle \n 60s end", "offline", "true idle | not-silent: silent for 60 s of 3 min"),
        (
            "0s   frame A idle
             20s  link down
             35s  expect opened vigil ingest-blind
             300s end",
            "offline",
            "true idle | not-silent: silent for 20 s of 3 min | \
             ingest-blind: waiting because we were blind: nothing proves that the device could be heard",
        ),
        (
            "0s   frame A empty stopped zone=no door=closed
             20s  link down
             35s  expect opened vigil ingest-blind
             50s  end",
            "stopped-out-of-zone",
            "true holding | ingest-blind: waiting because we were blind: nothing proves that the device could be heard",
        ),
        (
            "0s   frame A empty stopped zone=no door=closed
             30s  frame A bad=passenger
             50s  end",
            "stopped-out-of-zone",
            "unknown holding | condition-unknown: its condition is unknown: `passenger` was last reported as unknown",
        ),
        (
            "0s   frame A idle
             10s  frame A idle
             100s queue A stuck
             110s deliver
             111s end",
            "trapped-out-of-zone",
            "true holding | hold-goes-on: held 11 s of 30 s | \
             catching-up: waiting because the device's frames come late, for another 1 s if none comes",
        ),
        (
            "0s   frame A stuck
             30s  expect opened A trapped-out-of-zone
             40s  clear A/trapped-out-of-zone/1
             40s  expect cleared A trapped-out-of-zone
             50s  end",
            "trapped-out-of-zone",
            "true idle | disarmed: disarmed by a manual clear 10 s ago: opens again once its condition was known false, \
             or in 9 min 50 s",
        ),
        (
            "0s archive lift A \n 10s end",
            "trapped-out-of-zone",
            "unknown idle | not-judged: not judged: the device has never sent a frame",
        ),
        (
            "0s archive lift A \n 10s end",
            "offline",
            "true idle | not-judged: not judged: the device has never sent a frame",
        ),
    ] {
        check(script, rule, want);
    }
}

#[test]
fn a_silent_lift_tells_nothing() {
    let script = play(
        "0s    frame A empty stopped zone=yes door=closed
         180s  expect opened A offline
         700s  end",
    );
    let explanation = explain(&script);
    assert!(explanation.is_silent && explanation.heard_ago_ms == Some(700_000), "{explanation:#?}");
    let trapped = rule(&explanation, "trapped-out-of-zone");
    assert!(line(trapped).contains("`passenger` is too old: the device is silent"), "{trapped:#?}");
    assert_eq!(trapped.when.values[0].age_ms, Some(700_000));
    let offline = rule(&explanation, "offline");
    assert_eq!(line(offline), "true open");
    assert!(matches!(&offline.standing, Standing::Open(open) if open.clears == Clears::Heard));
}

#[test]
fn an_open_rule_says_what_would_clear_it_and_how_far_that_has_come() {
    let script = play(
        "0s    frame A stuck
         30s   expect opened A trapped-out-of-zone
         35s   ack A/trapped-out-of-zone/1
         35s   expect acknowledged A trapped-out-of-zone
         40s   frame A door=open
         42s   end",
    );
    let explanation = explain(&script);
    let trapped = rule(&explanation, "trapped-out-of-zone");
    assert_eq!(line(trapped), "false open");
    assert_eq!(&*trapped.when.text, "passenger && car == STOPPED && !door_zone && door_shut");
    let Standing::Open(open) = &trapped.standing else { panic!("{trapped:#?}") };
    let Clears::When { clause, done_ms, for_ms } = &open.clears else { panic!("{open:#?}") };
    assert_eq!((&*clause.text, clause.is.is_true()), ("door == OPEN || door_zone || !passenger", true));
    assert_eq!((*done_ms, *for_ms, trapped.next), (2_000, 5_000, Some(explanation.at + 3_000)));
    assert!(open.acknowledged_by.is_some() && open.alert.opening == 1, "{open:#?}");
}

#[test]
fn the_next_moment_is_that_of_the_hold() {
    let explanation = explain(&play("0s frame A stuck \n 12s end"));
    let trapped = rule(&explanation, "trapped-out-of-zone");
    assert_eq!(trapped.next, Some(explanation.at + 18_000));
    let offline = rule(&explanation, "offline");
    assert_eq!(offline.next, Some(explanation.at + 168_000));
}

#[test]
fn what_no_rule_file_raises_is_told_beside_the_rules() {
    let script = play(
        "0s..600s/60s  frame A stopped zone=no door=closed
         600s          expect opened A rule-blind",
    );
    let explanation = explain(&script);
    let ids: Vec<String> = explanation.built_in.iter().map(|alert| alert.alert.rule.to_string()).collect();
    assert_eq!(ids, ["rule-blind"]);
}

#[test]
fn a_rule_is_explained_as_it_stands_for_that_lift() {
    let mut policy = shipped();
    let own = format!(
        "[[override]]\nrule = \"trapped-out-of-zone\"\ndevice = \"{0}\"\nfor = \"60s\"\n\
         [[override]]\nrule = \"trapped-reported\"\ndevice = \"{0}\"\ndisabled = true\n",
        lift_code("A")
    );
    policy.rules.push(("overrides.toml".into(), own.into()));
    let explanation = explain(&run(Timeline::new(&policy), "0s frame A stuck cond=trapped \n 40s end"));
    assert_eq!(line(rule(&explanation, "trapped-out-of-zone")), "true holding | hold-goes-on: held 40 s of 60 s");
    let off = rule(&explanation, "trapped-reported");
    let want = "true idle | switched-off: switched off for this lift or its district, by an override";
    assert_eq!(line(off), want);
}

#[test]
fn a_rule_that_asks_for_silence_says_for_how_much_more() {
    let mut policy = shipped();
    let own = "[[rule]]\nid = \"quiet\"\non = \"elevator\"\nwhen = \"!passenger && silent_s >= 40\"\nfor = \"20s\"\n\
               severity = \"minor\"\ntitle = { en = \"Quiet\", zh = \"无数据\" }\n";
    policy.rules.push(("own.toml".into(), own.into()));
    for (script, want, next_ms) in [
        ("0s frame A idle \n 12s end", "false idle | not-silent: silent for 10 s of 40 s", Some(28_000)),
        ("0s frame A waiting \n 12s end", "false idle | condition-false: its condition is false", None),
        ("0s frame A idle \n 45s end", "true holding | hold-goes-on: held 5 s of 20 s", Some(15_000)),
        (
            "0s frame A idle \n 15s link down \n 30s expect opened vigil ingest-blind \n 100s end",
            "false idle | not-silent: silent for 15 s of 40 s | \
             ingest-blind: waiting because we were blind: nothing proves that the device could be heard",
            None,
        ),
        (
            "0s archive lift A \n 10s end",
            "unknown idle | not-judged: not judged: the device has never sent a frame",
            None,
        ),
    ] {
        let explanation = explain(&run(Timeline::new(&policy), script));
        let quiet = rule(&explanation, "quiet");
        assert_eq!((&*line(quiet), quiet.next), (want, next_ms.map(|ms| explanation.at + ms)), "{script}");
    }
}
