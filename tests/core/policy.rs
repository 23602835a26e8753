//! A new policy: what didn't change goes on, what changed begins anew, and a bad one changes nothing.

use vigil::limits;
use vigil::model::actor::Actor;
use vigil::model::archive::{Cylinder, Entry};
use vigil::model::ids::CylinderCode;
use vigil::model::record::{Action, Command, Kind, Outcome, PolicyText};
use vigil::model::time::CivilDay;

use crate::script::{Script, check, run};
use crate::timeline::{Timeline, shipped};

fn edited(file: &str, edit: impl Fn(&str) -> String) -> PolicyText {
    let mut policy = shipped();
    let (_, text) = policy.rules.iter_mut().find(|(name, _)| &**name == file).unwrap();
    let new = edit(text);
    assert_ne!(**text, new, "the edit changes nothing");
    *text = new.into();
    policy
}

/// Applies a policy now.
fn reload(script: &mut Script, policy: PolicyText) -> Outcome {
    script.timeline.apply(Kind::Policy(policy)).reply.clone().unwrap()
}

const BEFORE: &str = "
    0s     frame A stuck
    0s     frame B fault=41
    0s     expect opened B power-lost
    10s    frame C stuck
    20s    frame D empty stopped zone=no
    30s    expect opened A trapped-out-of-zone
    35s    end";

#[test]
fn unchanged_rules_keep_holds_and_open_alerts() {
    let mut script = check(BEFORE);
    reload(&mut script, shipped());
    // Titles and hints judge nothing.
    reload(&mut script, edited("elevator.toml", |text| text.replace("Main power lost", "Power lost")));
    script.play(
        "40s    expect opened C trapped-out-of-zone at=40s
         65s    expect opened D stopped-out-of-zone at=65s
         66s    frame A door=open
         66s    frame B mode=normal
         66s    expect cleared B power-lost
         71s    expect cleared A trapped-out-of-zone condition-ended",
    );
}

#[test]
fn a_shorter_keep_alive_counts_at_once() {
    let mut script = check("0s frame A idle \n 30s frame A idle \n 35s end");
    reload(&mut script, edited("elevator.toml", |text| text.replace("keep_alive = \"60s\"", "keep_alive = \"10s\"")));
    script.play("60s expect opened A offline");
}

#[test]
fn changed_rules_clear_and_begin_anew() {
    let mut script = check(BEFORE);
    reload(&mut script, edited("elevator.toml", |text| text.replace("for = \"30s\"", "for = \"20s\"")));
    script.play(
        "35s    expect cleared A trapped-out-of-zone rule-changed at=35s
         55s    expect opened A trapped-out-of-zone opening=2 at=55s
         55s    expect opened C trapped-out-of-zone opening=1
         65s    expect opened D stopped-out-of-zone
         66s    end",
    );
}

#[test]
fn a_rule_that_is_gone_clears_its_alerts() {
    let mut script = check(BEFORE);
    let mut policy = shipped();
    policy.rules.retain(|(name, _)| &**name != "elevator.toml");
    reload(&mut script, policy);
    script.play(
        "35s    expect cleared A trapped-out-of-zone rule-changed
         35s    expect cleared B power-lost rule-changed
         5m     frame A stuck
         5m     end",
    );
    reload(&mut script, shipped());
    script.play(
        "5m      expect opened B power-lost opening=2
         5m      expect opened B offline
         5m      expect opened C offline
         5m      expect opened D offline
         5m30s   expect opened A trapped-out-of-zone opening=2
         5m30s   expect opened C trapped-out-of-zone opening=1
         5m30s   expect opened C trapped-stale
         5m45s   expect opened D stopped-out-of-zone",
    );
}

#[test]
fn a_bad_policy_changes_nothing_and_says_why() {
    let bad_rule = edited("elevator.toml", |text| text.replace("car == STOPPED", "car == STOPED"));
    let bad_zone = PolicyText { zone: "Asia/Nowhere".into(), ..shipped() };
    let taken_id = edited("elevator.toml", |text| text.replace("id = \"offline\"", "id = \"clock-wrong\""));
    for (policy, why) in [(bad_rule, "elevator.toml:"), (bad_zone, "Asia/Nowhere"), (taken_id, "`clock-wrong`")] {
        let mut script = check(BEFORE);
        let Outcome::Precondition { why: said } = reload(&mut script, policy) else { panic!("it was taken") };
        assert!(said.contains(why), "{said}");
        assert_eq!(*script.timeline.core.policy(), shipped());
        script.play(
            "40s    expect opened C trapped-out-of-zone at=40s
             65s    expect opened D stopped-out-of-zone at=65s",
        );
    }
}

#[test]
fn another_zone_turns_the_day_at_another_time() {
    let mut script = check("0s archive lift A due=2026-11-22 \n 0s expect opened A inspection-due");
    reload(&mut script, PolicyText { zone: "Pacific/Kiritimati".into(), ..shipped() });
    // 16:00 of the 22nd there; the day turns in 8 h.
    script.play("8h expect cleared A inspection-due \n 8h expect opened A inspection-overdue \n 9h end");
    reload(&mut script, shipped());
    script.play("9h expect opened A inspection-due \n 9h expect cleared A inspection-overdue");
    script.play("14h expect cleared A inspection-due \n 14h expect opened A inspection-overdue");
}

#[test]
fn a_policy_in_the_middle_of_a_backlog_doesnt_judge_it_as_the_present() {
    let mut script = check(
        "0s     frame A idle
         5s     link down
         10s    queue A stuck
         20s    expect opened vigil ingest-blind
         30s    queue A door=open
         300s   link up",
    );
    script.play("301s frame A idle seq=2 claimed=8s");
    reload(&mut script, edited("elevator.toml", |text| text.replace("for = \"120s\"", "for = \"60s\"")));
    script.play(
        "302s   frame A stuck seq=10 claimed=10s
         302s   frame A floor=1 seq=11 claimed=45s
         302s   expect opened A trapped-out-of-zone catching-up at=40s delayed
         302s   frame A door=open seq=12 claimed=50s
         303s   drained
         303s   expect cleared A trapped-out-of-zone at=55s
         303s   expect cleared vigil ingest-blind
         320s   end",
    );
}

/// The terminal keeps back what it saw from the first minute on; nobody knows of it when the rules are reloaded.
#[test]
fn a_policy_doesnt_overtake_what_a_terminal_still_keeps_back() {
    const LATE: &str = "
        170s   frame A stuck claimed=70s
        171s   frame A door=open claimed=143s
        171s   expect opened A trapped-out-of-zone possible catching-up at=100s delayed
        173s   expect cleared A trapped-out-of-zone condition-ended at=148s delayed
        200s   end";
    let mut script = check("0s frame A idle \n 60s frame A idle \n 150s end");
    reload(&mut script, edited("elevator.toml", |text| text.replace("for = \"120s\"", "for = \"90s\"")));
    script.play(LATE);
    // Nor does a rule that has changed itself.
    let mut script = check("0s frame A idle \n 60s frame A idle \n 150s end");
    let changed = edited("elevator.toml", |text| text.replace("for = \"30s\"", "for = \"40s\""));
    reload(&mut script, changed);
    script.play(&LATE.replace("at=100s", "at=110s"));
    // A person who clears an alert has its lift looked at again, which doesn't overtake anything either.
    let mut script = check(
        "0s     frame A idle fault=41
         0s     expect opened A power-lost
         60s    frame A idle fault=41
         150s   clear A/power-lost/1
         150s   expect cleared A power-lost operator
         150s   end",
    );
    script.play(LATE);
}

#[test]
fn long_holds_go_on_through_silence() {
    let long = |of: &str| {
        let policy = edited("elevator.toml", |text| text.replace(&format!("for = \"{of}\""), "for = \"15m\""));
        Timeline::new(&policy)
    };
    // Unknown when it falls due: what isn't grave waits, and is looked at when the lift is heard again, whatever it says.
    run(
        long("45s"),
        "0s     frame A idle zone=no
         3m     expect opened A offline
         20m    frame A floor=1
         20m    expect cleared A offline
         20m    expect opened A stopped-out-of-zone at=1200s
         20m    end",
    );
    run(
        long("30s"),
        "0s     frame A stuck
         3m     expect opened A offline
         15m    expect opened A trapped-out-of-zone possible condition-unknown at=900s
         15m    expect opened A trapped-stale
         20m    frame A floor=1
         20m    expect cleared A offline
         20m    expect cleared A trapped-stale
         20m    expect raised A trapped-out-of-zone likely confirmed",
    );
}

/// A look at everything takes many records. What a scan opens by the new rules before it has come as far as its cylinder
/// is nothing that the old ones said.
#[test]
fn what_a_scan_opens_while_a_new_policy_spreads_stays_open() {
    let cylinder = |n: usize| Cylinder {
        inspection_due: Some(CivilDay(0)),
        ..Cylinder::new(CylinderCode::parse(&format!("CYL{n:05}")).unwrap())
    };
    let all: Vec<Entry> = (0..=limits::SWEEP_SUBJECTS).map(|n| Entry::Cylinder(cylinder(n))).collect();
    let mut timeline = Timeline::new(&shipped());
    for (n, entries) in all.chunks(limits::COMMAND_ITEMS).enumerate() {
        let (request, action) = (format!("archive {n}").into(), Action::Upsert(entries.to_vec()));
        timeline.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action }));
    }
    timeline.append(Kind::Policy(edited("cylinder.toml", |text| text.replace("DISPATCHED, DELIVERED", "COLLECTED"))));
    let last = cylinder(limits::SWEEP_SUBJECTS).code;
    let scan = format!(r#"{{"boot":1,"seq":1,"scanner":"gun-1","cylinder":"{last}","event":"collected"}}"#);
    timeline.apply(Kind::Report { topic: "vigil/v1/cylinder/FILL-01/scan".into(), payload: scan.into() });
    let open: Vec<_> = timeline.core.open_alerts().iter().map(|alert| alert.id.to_string()).collect();
    assert_eq!(open, [format!("cylinder:{last}/cylinder-overdue/1")]);
}
