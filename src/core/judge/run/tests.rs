use super::*;
use crate::core::books::{Books, ByHand, Label, Now};
use crate::core::rules;
use crate::core::service;
use crate::model::alert::{EventKind, Title};
use crate::model::row::Effects;

const GRAVE: &str = "for = \"30s\"\ndrop = \"3s\"\nclear = \"floor == 2\"\nclear_for = \"5s\"\nseverity = \"critical\"";
const LESSER: &str = "for = \"30s\"\nclear = \"floor == 2\"\nclear_for = \"5s\"\nseverity = \"minor\"";
const AT_ONCE: &str = "severity = \"minor\"";
const MANUAL: &str = "clear = \"manual\"\nseverity = \"critical\"";

fn rule(keys: &str) -> Rule {
    let title = "title = { en = \"x\", zh = \"x\" }\ncertainty = \"likely\"";
    let text = format!("[[rule]]\nid = \"x\"\non = \"elevator\"\nwhen = \"floor == 1\"\n{keys}\n{title}\n");
    let mut set = rules::parse(&[("x.toml".into(), text.into())]).unwrap();
    set.rules.remove(0)
}

/// `left-1`: one of its crossings lies behind.
fn crossed(words: &[&str]) -> Option<u8> {
    words.iter().find_map(|word| word.strip_prefix("left-")).map(|number| number.parse().unwrap())
}

fn tri(letter: &str) -> Tri {
    match letter {
        "T" => Tri::True,
        "F" => Tri::False,
        "?" => Tri::Unknown,
        other => panic!("{other:?} is none of T F ?"),
    }
}

/// Steps: (second, what the conditions say, what happens). What they say is `when` and `clear`, each one of T, F and ?,
/// and further words; `hand` alone is a person who clears it.
fn check(keys: &str, steps: &[(f64, &str, &str)]) {
    let rule = rule(keys);
    let moments = Moments::default();
    let mut books = Books::new(1);
    let mut run = Run::new(books.number(&rule.id));
    let label = Label { title: &Title::default(), dispatch: None, rules: None };
    for &(second, said, expected) in steps {
        let at = Elapsed((second * 1_000.0) as i64);
        books.now = Now { elapsed: at, wall: Wall(at.ms()) };
        let words: Vec<&str> = said.split(' ').collect();
        let has = |word| words.contains(&word);
        let inputs = (!has("hand")).then(|| Inputs {
            at,
            when: tri(words[0]),
            will_be_known: false,
            clear: tri(words[1]),
            carried: false,
            suppressed: has("suppressed"),
            superseded: has("superseded"),
            severity: if has("grave") { Severity::Critical } else { rule.severity },
            certainty: if has("sure") { Certainty::Observed } else { rule.certainty },
            crossed: crossed(&words),
            footing: match (has("late"), has("blind")) {
                (true, _) => Footing::CatchingUp,
                (_, true) => Footing::Blind,
                _ => Footing::Sound,
            },
        });
        let transition = match &inputs {
            None => Some(Transition::Clear { reason: Reason::Operator, at }),
            Some(inputs) => run.step(&rule, &moments, inputs),
        };
        let mut out = Effects::default();
        if let Some(transition) = transition {
            books.carry_out(&mut out, &service::who(), &mut run, &label, transition, Vec::new(), &ByHand::default());
            if let Some(inputs) = &inputs {
                run.note_crossed(inputs);
            }
        }
        let happened: Vec<String> = out.events.iter().map(describe).collect();
        assert_eq!(happened.join(", "), expected, "at {second} s, {said:?}, in {steps:?}");
    }
}

fn describe(event: &crate::model::alert::AlertEvent) -> String {
    let (kind, reason, at) = (event.kind.name(), event.reason.name(), event.at.ms() as f64 / 1_000.0);
    match event.kind {
        EventKind::Cleared => format!("{kind} {reason} {at}"),
        _ => {
            let (severity, certainty) = (event.alert.severity.name(), event.alert.certainty.name());
            format!("{kind} {severity} {certainty} {reason} {at}")
        }
    }
}

#[test]
fn an_alert_is_told_again_with_each_crossing_that_it_passes_while_it_is_open() {
    check(
        AT_ONCE,
        &[
            (0.0, "F T", ""),
            (1.0, "T F left-1", "opened minor likely condition-held 1"),
            (2.0, "T F left-1", ""),
            (3.0, "T F left-2", "raised minor likely crossed 3"),
            // Unknown is no crossing; what was told before is not told again.
            (4.0, "? ?", ""),
            (5.0, "T F left-2", ""),
            // The day was put off a little, and comes closer again.
            (6.0, "T F left-1", ""),
            (7.0, "T F left-3", "raised minor likely crossed 7"),
            // A higher severity tells as much.
            (8.0, "T F left-4 grave", "raised critical likely escalated 8"),
            (9.0, "T F left-4 grave", ""),
            (10.0, "F T", "cleared condition-ended 10"),
        ],
    );
}

#[test]
fn a_hold_opens_when_it_is_due() {
    check(GRAVE, &[(0.0, "T F", ""), (29.999, "T F", ""), (30.0, "T F", "opened critical likely condition-held 30")]);
    // Looked at late, it says when it was due.
    check(GRAVE, &[(0.0, "T F", ""), (40.0, "T F", "opened critical likely condition-held 30")]);
    check(AT_ONCE, &[(0.0, "? ?", ""), (1.0, "F F", ""), (2.0, "T F", "opened minor likely condition-held 2")]);
}

#[test]
fn only_what_is_known_to_be_false_for_long_enough_resets_a_hold() {
    check(
        GRAVE,
        &[
            (0.0, "T F", ""),
            (10.0, "F F", ""),
            (12.9, "F F", ""),
            (12.95, "T F", ""),
            (20.0, "F F", ""),
            (22.0, "? ?", ""),
            (24.0, "F F", ""),
            (26.0, "T F", ""),
            (30.0, "T F", "opened critical likely condition-held 30"),
        ],
    );
    check(
        GRAVE,
        &[
            (0.0, "T F", ""),
            (10.0, "F F", ""),
            (13.0, "F F", ""),
            (14.0, "? F", ""),
            (15.0, "T F", ""),
            (44.9, "T F", ""),
            (45.0, "T F", "opened critical likely condition-held 45"),
        ],
    );
    check(LESSER, &[(0.0, "T F", ""), (10.0, "F F", ""), (11.0, "T F", ""), (40.0, "T F", "")]);
    // Due while it is false: it waits until it is known otherwise.
    check(
        GRAVE,
        &[
            (0.0, "T F", ""),
            (29.0, "F F", ""),
            (30.0, "F F", ""),
            (31.0, "T F", "opened critical likely condition-held 30"),
        ],
    );
}

#[test]
fn unknown_opens_what_is_grave_as_possible_and_nothing_else() {
    check(
        GRAVE,
        &[
            (0.0, "T F", ""),
            (10.0, "? ?", ""),
            (30.0, "? ?", "opened critical possible condition-unknown 30"),
            (40.0, "? ?", ""),
            (50.0, "T F", "raised critical likely confirmed 50"),
            (60.0, "T F", ""),
        ],
    );
    check(LESSER, &[(0.0, "T F", ""), (30.0, "? ?", ""), (50.0, "T F", "opened minor likely condition-held 50")]);
}

#[test]
fn footing_says_how_sure_it_is() {
    check(
        GRAVE,
        &[
            (0.0, "T F", ""),
            (30.0, "T F blind", "opened critical possible ingest-blind 30"),
            (31.0, "T F late", ""),
            (32.0, "T F", "raised critical likely confirmed 32"),
        ],
    );
    check(LESSER, &[(0.0, "T F", ""), (30.0, "T F blind", ""), (90.0, "T F", "opened minor likely condition-held 30")]);
    check(
        LESSER,
        &[
            (0.0, "T F late", ""),
            (30.0, "T F late", "opened minor possible catching-up 30"),
            (31.0, "T F", "raised minor likely confirmed 31"),
        ],
    );
    check(
        LESSER,
        &[
            (0.0, "T F late", ""),
            (30.0, "T F late", "opened minor possible catching-up 30"),
            (31.0, "F T late", ""),
            (36.0, "F T late", "cleared condition-ended 36"),
        ],
    );
}

#[test]
fn what_suppresses_or_supersedes_delays_but_resets_nothing() {
    check(
        GRAVE,
        &[
            (0.0, "T F suppressed", ""),
            (30.0, "T F suppressed", ""),
            (50.0, "T F", "opened critical likely condition-held 50"),
            (60.0, "T F suppressed", ""),
        ],
    );
    check(
        LESSER,
        &[
            (0.0, "T F", ""),
            (30.0, "T F superseded", ""),
            (40.0, "T F", "opened minor likely condition-held 40"),
            (50.0, "T F superseded", "cleared superseded 50"),
            (60.0, "T F superseded", ""),
        ],
    );
}

#[test]
fn a_clear_is_held_and_unknown_stands_still() {
    let open = (30.0, "T F", "opened critical likely condition-held 30");
    check(
        GRAVE,
        &[(0.0, "T F", ""), open, (40.0, "F T", ""), (44.9, "F T", ""), (45.0, "F T", "cleared condition-ended 45")],
    );
    check(GRAVE, &[(0.0, "T F", ""), open, (40.0, "F T", ""), (60.0, "F T", "cleared condition-ended 45")]);
    check(GRAVE, &[(0.0, "T F", ""), open, (40.0, "F T", ""), (44.0, "F F", ""), (45.0, "F T", ""), (49.9, "F T", "")]);
    check(
        GRAVE,
        &[
            (0.0, "T F", ""),
            open,
            (40.0, "F T", ""),
            (43.0, "? ?", ""),
            (100.0, "? ?", ""),
            (110.0, "F T", ""),
            (112.0, "F T", "cleared condition-ended 112"),
        ],
    );
    check(AT_ONCE, &[(0.0, "T F", "opened minor likely condition-held 0"), (1.0, "F T", "cleared condition-ended 1")]);
}

#[test]
fn severity_only_rises() {
    check(
        AT_ONCE,
        &[
            (0.0, "T F", "opened minor likely condition-held 0"),
            (1.0, "T F grave", "raised critical likely escalated 1"),
            (2.0, "T F", ""),
            (3.0, "F T", "cleared condition-ended 3"),
            (4.0, "T F", "reopened critical likely condition-held 4"),
        ],
    );
}

#[test]
fn what_is_not_critical_reopens_within_a_minute() {
    let open = (0.0, "T F", "opened minor likely condition-held 0");
    let clear = (10.0, "F T", "cleared condition-ended 10");
    check(AT_ONCE, &[open, clear, (70.0, "T F", "reopened minor likely condition-held 70")]);
    check(AT_ONCE, &[open, clear, (70.001, "T F", "opened minor likely condition-held 70.001")]);
    let critical = "severity = \"critical\"";
    check(
        critical,
        &[
            (0.0, "T F", "opened critical likely condition-held 0"),
            (10.0, "F T", "cleared condition-ended 10"),
            (11.0, "T F", "opened critical likely condition-held 11"),
        ],
    );
}

#[test]
fn a_clear_by_hand_disarms_until_known_false_or_ten_minutes_have_passed() {
    let open = (0.0, "T F", "opened critical likely condition-held 0");
    let hand = (10.0, "hand", "cleared operator 10");
    let again = "opened critical likely condition-held";
    check(MANUAL, &[open, (5.0, "F T", ""), hand, (11.0, "T F", ""), (609.9, "? F", "")]);
    check(MANUAL, &[open, hand, (610.0, "T F", &format!("{again} 610"))]);
    check(MANUAL, &[open, hand, (20.0, "F F", ""), (21.0, "T F", &format!("{again} 21"))]);
    // What a person cleared doesn't reopen.
    let open = (0.0, "T F", "opened minor likely condition-held 0");
    check(AT_ONCE, &[open, hand, (20.0, "F F", ""), (21.0, "T F", "opened minor likely condition-held 21")]);
}

#[test]
fn certainty_rises_by_a_condition_and_never_falls() {
    let opened = "opened minor likely condition-held 0";
    check(AT_ONCE, &[(0.0, "T F", opened), (1.0, "T F sure", "raised minor observed confirmed 1"), (2.0, "T F", "")]);
    check(AT_ONCE, &[(0.0, "T F sure", "opened minor observed condition-held 0"), (1.0, "T F", "")]);
    // What is late is no more than possible, whatever its conditions say.
    let possible = "opened minor possible catching-up 0";
    check(AT_ONCE, &[(0.0, "T F sure late", possible), (1.0, "T F sure", "raised minor observed confirmed 1")]);
}

/// After each of these the run must be looked at again at that second, with no further frame.
#[test]
fn deadlines_name_every_moment_that_time_alone_brings() {
    let (rule, moments) = (rule(GRAVE), Moments::default());
    let hold = |since, false_since, waits| Phase::Holding(Hold { since, false_since, waits });
    let at = |s: i64| Elapsed(s * 1_000);
    let open = |clear_since, clear_done_ms| {
        Phase::Open(Box::new(Open {
            severity: Severity::Critical,
            certainty: Certainty::Likely,
            opened_at: Wall(0),
            since: Elapsed(0),
            acknowledged: None,
            unproven: false,
            evidence: Vec::new(),
            clear_since,
            clear_done_ms,
            stood_still_ms: 0,
            occupied: None,
            group: None,
            flapping: false,
            crossed: None,
        }))
    };
    for (phase, due) in [
        (Phase::Idle, None),
        (hold(at(0), None, Wait::No), Some(at(30))),
        (hold(at(0), Some(at(10)), Wait::No), Some(at(13))),
        (hold(at(0), None, Wait::Footing), None),
        (hold(at(0), None, Wait::Condition), None),
        (open(None, 0), None),
        (open(Some(at(40)), 0), Some(at(45))),
        (open(Some(at(40)), 3_000), Some(at(42))),
        (open(Some(at(40)), 9_000), Some(at(40))),
    ] {
        let run = Run { phase: phase.clone(), ..Run::new(RuleNo(0)) };
        assert_eq!(run.deadline(&rule, &moments), due, "{phase:?}");
    }
}
