//! Rule files: every wrong one in `tests/rules/` is refused with exactly the faults that it announces, and the shipped
//! ones are what the domain reference wants.
//!
//! A wrong file says what is wrong with it in lines that begin with `# expect: `, as `line:column: message`.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use vigil::core::rules::{self, Clear, CodeList, CodeTerm, Count, Family, Field, Moments, Reads, Rule, RuleSet};
use vigil::limits;
use vigil::model::alert::Severity;
use vigil::model::ids::RuleId;

fn read(folder: &str) -> Vec<(Box<str>, Box<str>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(Box<str>, Box<str>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().to_str().unwrap().into(), fs::read_to_string(entry.path()).unwrap().into()))
        .collect();
    files.sort();
    files
}

fn one(text: impl Into<Box<str>>) -> Vec<(Box<str>, Box<str>)> {
    vec![("rules.toml".into(), text.into())]
}

fn shipped() -> RuleSet {
    rules::parse(&read("config/rules")).unwrap_or_else(|faults| panic!("{}", lines(&faults)))
}

fn lines(faults: &[rules::RuleFault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn every_wrong_file_is_refused_with_all_that_is_wrong_in_it() {
    let files = read("tests/rules");
    assert!(files.len() >= 40, "{} files", files.len());
    let mut wrong = String::new();
    for (name, text) in files {
        let expected: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("# expect: "))
            .map(|rest| format!("{name}:{rest}\n"))
            .collect();
        assert!(!expected.is_empty(), "{name} says nothing of what is wrong");
        let got = match rules::parse(&[(name.clone(), text)]) {
            Ok(_) => "nothing\n".to_owned(),
            Err(faults) => lines(&faults),
        };
        if got != expected {
            wrong += &format!("--- {name}\nexpected:\n{expected}got:\n{got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_shipped_rules_are_these() {
    let rules = shipped();
    let ids: Vec<&str> = rules.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "cylinder-foreign",
            "cylinder-inspection-due",
            "cylinder-overdue",
            "cylinder-overfilled",
            "cylinder-past-life",
            "cylinder-unchecked",
            "cylinder-unregistered",
            "cylinder-wrong-medium",
            "door-fault",
            "drill-overdue",
            "escalator-stop",
            "fault-repeats",
            "hazard-reported",
            "inspection-due",
            "inspection-overdue",
            "maintenance-overdue",
            "offline",
            "overtravel",
            "power-lost",
            "record-unsigned",
            "restart-uninspected",
            "safety-circuit",
            "stopped-out-of-zone",
            "testing-overdue",
            "trapped-alarm",
            "trapped-in-zone",
            "trapped-in-zone-quiet",
            "trapped-out-of-zone",
            "trapped-reported",
            "trapped-stale",
            "unintended-movement",
        ]
    );
    assert_eq!(rules.moments, Moments::default(), "the file states the defaults");
    assert!(rules.extras.is_empty());
    for rule in &rules.rules {
        let todo = rule.todo.as_ref().unwrap_or_else(|| panic!("{} says not what to do", rule.id));
        assert!(!todo.zh.is_ascii() && !rule.title.zh.is_ascii(), "{} is not translated", rule.id);
        let is_lift = rule.id.as_str().starts_with("trapped");
        assert_eq!(rule.dispatch.as_deref(), is_lift.then_some("rescue"), "{}", rule.id);
    }
}

fn rule<'a>(rules: &'a RuleSet, id: &str) -> &'a Rule {
    rules.rule(rules.find(&RuleId::parse(id).unwrap()).unwrap())
}

/// (id, family, for, drop, clear_for in ms, silent keep-alives, severity): section 8 of the domain reference.
#[test]
fn the_shipped_rules_hold_as_long_as_they_should() {
    use Family::{Cylinder, Elevator, Obligation, Record};
    use Severity::{Critical, Major, Minor, Warning};
    let rules = shipped();
    for (id, family, for_ms, drop_ms, clear_for_ms, absent, severity) in [
        ("trapped-out-of-zone", Elevator, 30_000, 3_000, 5_000, None, Critical),
        ("trapped-in-zone", Elevator, 45_000, 3_000, 5_000, None, Critical),
        ("trapped-in-zone-quiet", Elevator, 120_000, 0, 5_000, None, Major),
        ("trapped-reported", Elevator, 0, 3_000, 0, None, Critical),
        ("trapped-alarm", Elevator, 10_000, 3_000, 0, None, Critical),
        ("trapped-stale", Elevator, 0, 3_000, 0, Some(2), Critical),
        ("stopped-out-of-zone", Elevator, 45_000, 0, 5_000, None, Major),
        ("power-lost", Elevator, 0, 0, 0, None, Minor),
        ("offline", Elevator, 0, 0, 0, Some(3), Minor),
        ("safety-circuit", Elevator, 0, 0, 0, None, Major),
        ("unintended-movement", Elevator, 0, 3_000, 0, None, Critical),
        ("overtravel", Elevator, 20_000, 3_000, 5_000, None, Critical),
        ("door-fault", Elevator, 0, 0, 1_800_000, None, Minor),
        ("escalator-stop", Elevator, 0, 0, 0, None, Major),
        ("fault-repeats", Elevator, 0, 0, 3_600_000, None, Warning),
        ("cylinder-overdue", Cylinder, 0, 3_000, 0, None, Critical),
        ("cylinder-unregistered", Cylinder, 0, 3_000, 0, None, Critical),
        ("cylinder-foreign", Cylinder, 0, 3_000, 0, None, Critical),
        ("cylinder-unchecked", Cylinder, 0, 0, 0, None, Major),
        ("cylinder-inspection-due", Cylinder, 0, 0, 0, None, Warning),
        ("cylinder-overfilled", Cylinder, 0, 3_000, 0, None, Critical),
        ("cylinder-past-life", Cylinder, 0, 3_000, 0, None, Critical),
        ("cylinder-wrong-medium", Cylinder, 0, 3_000, 0, None, Critical),
        ("inspection-overdue", Obligation, 0, 3_000, 0, None, Critical),
        ("record-unsigned", Record, 0, 0, 0, None, Minor),
        ("hazard-reported", Record, 0, 3_000, 0, None, Critical),
    ] {
        let rule = rule(&rules, id);
        assert_eq!(
            (rule.family, rule.for_ms, rule.drop_ms, rule.clear_for_ms, rule.absent, rule.severity),
            (family, for_ms, drop_ms, clear_for_ms, absent, severity),
            "{id}"
        );
    }
    assert!(matches!(rule(&rules, "trapped-alarm").clear, Clear::Manual));
    assert!(matches!(rule(&rules, "trapped-stale").clear, Clear::Heard));
    assert!(matches!(rule(&rules, "trapped-reported").clear, Clear::WhenFalse));
    assert!(rule(&rules, "trapped-stale").suppress.is_none());
    assert!(rule(&rules, "trapped-reported").suppress.is_none());
    assert_eq!(rule(&rules, "power-lost").escalate[0].severity, Some(Critical));
    assert_eq!(rule(&rules, "escalator-stop").escalate[0].severity, Some(Critical));
    assert!(matches!(rule(&rules, "unintended-movement").clear, Clear::Maintained));
    assert!(matches!(rule(&rules, "door-fault").clear, Clear::Quiet));
    assert!(matches!(rule(&rules, "fault-repeats").clear, Clear::Quiet));
    let count = |times, within_ms, each| Some(Count { times, within_ms, each });
    assert_eq!(rule(&rules, "door-fault").count, count(3, 600_000, false));
    assert_eq!(rule(&rules, "fault-repeats").count, count(5, 3_600_000, true));
}

#[test]
fn the_shipped_rules_read_and_wait_for_what_they_should() {
    let rules = shipped();
    let fields = |all: &[Field]| all.iter().fold(Reads::NONE, |sum, field| sum | Reads::field(*field));
    let stopped = fields(&[Field::Passenger, Field::Car, Field::DoorZone, Field::DoorShut, Field::Mode, Field::Door]);
    let code = |code| CodeTerm::Code(CodeList::Any, code);
    for (id, reads, raising) in [
        ("trapped-out-of-zone", stopped, vec![]),
        ("trapped-in-zone", stopped | Reads::CODES, vec![code(3), code(90)]),
        ("trapped-in-zone-quiet", stopped | Reads::OPEN, vec![]),
        ("trapped-reported", Reads::CONDITIONS, vec![CodeTerm::Condition("trapped".into())]),
        (
            "trapped-alarm",
            fields(&[Field::Passenger, Field::Car, Field::DoorShut, Field::Mode]) | Reads::CODES,
            vec![code(90)],
        ),
        ("trapped-stale", Reads::OPEN, vec![]),
        (
            "stopped-out-of-zone",
            fields(&[Field::Passenger, Field::Car, Field::DoorZone, Field::Mode]) | Reads::CODES,
            vec![code(4)],
        ),
        ("power-lost", fields(&[Field::Passenger, Field::Mode]) | Reads::CODES, vec![code(41)]),
        ("offline", Reads::NONE, vec![]),
        ("safety-circuit", fields(&[Field::Mode, Field::NormalRun]) | Reads::CODES, vec![code(1)]),
        ("unintended-movement", Reads::CODES, vec![code(5)]),
        (
            "overtravel",
            fields(&[Field::Mode, Field::DoorZone]) | Reads::CONDITIONS,
            vec![CodeTerm::Condition("overtravel_bottom".into()), CodeTerm::Condition("overtravel_top".into())],
        ),
        ("door-fault", fields(&[Field::Mode]) | Reads::CODES | Reads::COUNTED, vec![code(2), code(3)]),
        (
            "escalator-stop",
            fields(&[Field::DeviceEquipment, Field::NormalRun]) | Reads::CODES,
            (61..=65).map(code).collect(),
        ),
        ("fault-repeats", Reads::CODES | Reads::COUNTED, (1..=8).chain(61..=65).map(code).collect()),
        ("cylinder-overdue", fields(&[Field::ScanEvent, Field::CylinderDaysOverdue]), vec![]),
        ("cylinder-unregistered", fields(&[Field::CylinderRegistered]), vec![]),
        ("cylinder-foreign", fields(&[Field::ScanEvent, Field::OwnFilling]), vec![]),
        (
            "cylinder-unchecked",
            fields(&[Field::ScanEvent, Field::CheckedBefore, Field::CheckedAfter, Field::FilledSinceDispatch]),
            vec![],
        ),
        ("cylinder-inspection-due", fields(&[Field::CylinderDaysOverdue]), vec![]),
        ("cylinder-overfilled", fields(&[Field::ScanEvent, Field::OverFillG]), vec![]),
        ("cylinder-past-life", fields(&[Field::ScanEvent, Field::DaysPastLife]), vec![]),
        ("cylinder-wrong-medium", fields(&[Field::ScanEvent, Field::OtherMedium]), vec![]),
        ("inspection-overdue", fields(&[Field::ObligationKind, Field::ObligationDaysOverdue]), vec![]),
    ] {
        let rule = rule(&rules, id);
        assert_eq!((rule.reads(), &rule.raising), (reads, &raising), "{id}");
    }
}

#[test]
fn rules_come_after_those_they_look_at() {
    let rules = shipped();
    let place = |id: &str| {
        let rule = rules.find(&RuleId::parse(id).unwrap()).unwrap();
        rules.order.iter().position(|other| *other == rule).unwrap()
    };
    assert_eq!(rules.order.len(), rules.rules.len());
    let quiet: Vec<&str> =
        rule(&rules, "trapped-in-zone-quiet").unless.iter().map(|other| rules.rule(*other).id.as_str()).collect();
    assert_eq!(quiet, ["trapped-alarm", "trapped-in-zone", "trapped-out-of-zone", "trapped-reported"]);
    for stronger in quiet {
        assert!(place(stronger) < place("trapped-in-zone-quiet"), "{stronger}");
    }
    assert!(place("trapped-in-zone-quiet") < place("trapped-stale"));
}

const PLAIN: &str = r#"
[[rule]]
id = "plain"
on = "elevator"
when = "passenger && car == STOPPED && extras['vibration_mg'] > 4"
for = "30s"
severity = "minor"
title = { en = "Plain", zh = "普通" }
"#;

#[test]
fn a_fingerprint_changes_with_what_a_rule_judges_by_and_with_nothing_else() {
    let fingerprint = |text: String| rules::parse(&one(text)).map(|rules| rule(&rules, "plain").fingerprint).unwrap();
    let plain = fingerprint(PLAIN.to_owned());
    let other = "[[rule]]\nid = 'another'\non = 'elevator'\nwhen = 'extras[\"aa\"] > 1'\nseverity = 'minor'\ntitle = { en = 'x', zh = 'x' }\n";
    for same in [
        PLAIN.replace("passenger && car", "(passenger) &&  car"),
        PLAIN.replace("> 4", "> 4.0"),
        PLAIN.replace("\"30s\"", "'30s'"),
        PLAIN.replace("Plain", "Still plain"),
        format!("{other}{PLAIN}"),
        format!("{PLAIN}tags = ['x']\n"),
        format!("{PLAIN}causes = [{{ when = 'passenger', cause = 'x' }}]\n"),
    ] {
        assert_eq!(fingerprint(same.clone()), plain, "{same}");
    }
    for changed in [
        PLAIN.replace("STOPPED", "RUNNING"),
        PLAIN.replace("> 4", ">= 4"),
        PLAIN.replace("vibration_mg", "noise_db"),
        PLAIN.replace("30s", "31s"),
        PLAIN.replace("minor", "major"),
        format!("{PLAIN}clear = 'manual'\n"),
        format!("{PLAIN}dispatch = 'rescue'\n"),
        format!("{PLAIN}certainty = 'possible'\n"),
        PLAIN.replace("extras['vibration_mg'] > 4", "max_over(extras['vibration_mg'], '5m') > 4"),
        PLAIN.replace("extras['vibration_mg'] > 4", "avg_over(extras['vibration_mg'], '5m') > 4"),
        PLAIN.replace("extras['vibration_mg'] > 4", "in_district('64')"),
        format!("{PLAIN}suppress = 'mode == INSPECTION'\n"),
        format!("{PLAIN}escalate = [{{ when = 'passenger', severity = 'major' }}]\n"),
    ] {
        assert_ne!(fingerprint(changed.clone()), plain, "{changed}");
    }
    // A constant: were it to change, every reload onto a new version would forget all holds and openings.
    assert_eq!(plain, PLAIN_FINGERPRINT);
}

const PLAIN_FINGERPRINT: u64 = 17_160_659_548_819_635_146;

#[test]
fn rules_name_each_other_across_files_in_any_order() {
    let waits = PLAIN.replace("plain", "waits").replace("passenger &&", "open('plain') &&");
    let files = [("a.toml".into(), waits.clone().into()), ("b.toml".into(), PLAIN.into())];
    let rules = rules::parse(&files).unwrap_or_else(|faults| panic!("{}", lines(&faults)));
    assert_eq!(rules.order, [0, 1]);
    assert_eq!(rules.extras, ["vibration_mg".into()]);
    let faults = rules::parse(&files[..1]).unwrap_err();
    assert_eq!(lines(&faults), "a.toml:5:14: unknown rule `plain`\n");
    let twice = [("a.toml".into(), PLAIN.into()), ("b.toml".into(), PLAIN.into())];
    assert_eq!(lines(&rules::parse(&twice).unwrap_err()), "b.toml:3:6: rule `plain` stands already at a.toml:3\n");
    let elevator = "[elevator]\nrearm = '5m'\n";
    let twice = [("a.toml".into(), elevator.into()), ("b.toml".into(), elevator.into())];
    assert_eq!(lines(&rules::parse(&twice).unwrap_err()), "b.toml:1:2: `[elevator]` stands in another file already\n");
    for table in ["storm", "flapping"] {
        let text = format!("[{table}]\nwithin = '5m'\n");
        let twice = [("a.toml".into(), text.clone().into()), ("b.toml".into(), text.into())];
        let faults = lines(&rules::parse(&twice).unwrap_err());
        assert_eq!(faults, format!("b.toml:1:2: `[{table}]` stands in another file already\n"));
    }
    // A file that is not TOML doesn't make the rules of others name unknown ones.
    let broken = [("a.toml".into(), waits.into()), ("b.toml".into(), format!("{PLAIN}x = \n").into())];
    let faults = lines(&rules::parse(&broken).unwrap_err());
    assert!(faults.starts_with("b.toml:9:5: not TOML") && faults.lines().count() == 1, "{faults}");
}

#[test]
fn files_are_bounded() {
    let check = |files: &[(Box<str>, Box<str>)], expected: &str| {
        assert_eq!(lines(&rules::parse(files).unwrap_err()), expected);
    };
    check(
        &one("#".repeat(limits::RULE_FILE_BYTES + 1)),
        "rules.toml:1:1: the file has 262145 bytes, more than the 256 KiB allowed\n",
    );
    let large: Vec<_> = ["a", "b", "c", "d", "e"]
        .map(|name| (name.into(), "#".repeat(limits::RULE_FILE_BYTES - 1).into()))
        .into_iter()
        .collect();
    check(&large, "e:1:1: the rule files together have more than 1024 KiB\n");
    let rules = |n: usize| -> String { (0..n).map(|n| PLAIN.replace("plain", &format!("r{n}"))).collect() };
    assert_eq!(rules::parse(&one(rules(limits::RULES))).map(|set| set.rules.len()), Ok(limits::RULES));
    check(&one(rules(limits::RULES + 1)), "rules.toml:2050:1: more than 256 rules\n");
    let files: Vec<_> = (0..=limits::RULE_FILES).map(|n| (format!("{n}.toml").into(), "".into())).collect();
    check(&files, "64.toml:1:1: more than 64 rule files\n");
    let faults = rules::parse(&one("[[rule]]\n".repeat(200))).unwrap_err();
    assert_eq!(faults.len(), limits::RULE_FAULTS);
    assert!(faults[limits::RULE_FAULTS - 1].message.ends_with("(and 744 more faults)"), "{}", lines(&faults));
}

/// What may have been meant is sought among the rules that may be in force, and only while there are few faults: each
/// search takes a while, and both numbers are somebody else's choice.
#[test]
fn hints_are_bounded() {
    let hinted =
        |faults: &[rules::RuleFault]| faults.iter().filter(|fault| fault.message.contains("did you mean")).count();
    let opens = vec!["open('plane')"; 105].join(" || ");
    let faulty = |id: &str| PLAIN.replace("plain", id).replace("passenger", &opens);
    let faults = rules::parse(&one(format!("{PLAIN}{}{}", faulty("one"), faulty("two")))).unwrap_err();
    assert_eq!((faults.len(), hinted(&faults)), (210, limits::RULE_HINTS));
    // Of too many rules the last ones are not looked for.
    let many: String = (0..limits::RULES).map(|n| PLAIN.replace("plain", &format!("r{n}"))).collect();
    let last = PLAIN.replace("plain", "one-too-many");
    let asks = PLAIN.replace("passenger", "open('one-too-manny')");
    let faults = rules::parse(&one(format!("{asks}{many}{last}"))).unwrap_err();
    assert_eq!(hinted(&faults), 0, "{}", lines(&faults));
    let unless = format!("{PLAIN}unless = [{}]\n", "'plane',".repeat(16));
    let many: String = (0..limits::RULE_HINTS).map(|n| unless.replace("plain", &format!("r{n}"))).collect();
    let faults = rules::parse(&one(format!("{PLAIN}{many}"))).unwrap_err();
    assert_eq!(hinted(&faults), limits::RULE_HINTS);
}

#[test]
fn no_rule_files_are_an_empty_rule_set() {
    let rules = rules::parse(&[]).unwrap();
    assert!(rules.rules.is_empty() && rules.order.is_empty());
    assert_eq!(rules.moments, Moments::default());
}

proptest! {
    /// However the shipped files are damaged, they are taken, or refused with places that lie in them.
    #[test]
    fn damage_is_refused_or_harmless(
        file in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, any::<prop::sample::Index>()), 1..4),
    ) {
        let mut files = read("config/rules");
        let at = file.index(files.len());
        let mut text: Vec<char> = files[at].1.chars().collect();
        for (place, length, by) in damage {
            let start = place.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, FRAGMENTS[by.index(FRAGMENTS.len())].chars());
        }
        files[at].1 = text.into_iter().collect::<String>().into();
        let Err(faults) = rules::parse(&files) else { return Ok(()) };
        prop_assert!(!faults.is_empty());
        for fault in faults {
            let (_, text) = files.iter().find(|(name, _)| *name == fault.file).unwrap();
            let line = text.split('\n').nth(fault.line as usize - 1);
            prop_assert!(line.is_some_and(|line| fault.column as usize <= line.chars().count() + 1), "{fault}");
        }
    }
}

const FRAGMENTS: &[&str] = &[
    "",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "(",
    ")",
    "=",
    "\n",
    "\r\n",
    "\\",
    "\\u4e2d",
    "#",
    ",",
    "&&",
    "!",
    "-1",
    "1e9",
    "true",
    "30s",
    "when = ",
    "open('offline')",
    "困",
    "\u{0}",
    "\u{feff}",
];
