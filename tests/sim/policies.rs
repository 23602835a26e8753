//! Rules to judge by: the shipped ones, variants that leave the foretold rules as they are, and one that can't be read.

use vigil::model::record::PolicyText;

use crate::dice::Dice;

const ELEVATOR: &str = include_str!("../../config/rules/elevator.toml");
const CYLINDER: &str = include_str!("../../config/rules/cylinder.toml");
const INSPECTION: &str = include_str!("../../config/rules/inspection.toml");
const MAINTENANCE: &str = include_str!("../../config/rules/maintenance.toml");
const RECORDS: &str = include_str!("../../config/rules/records.toml");
const DISPATCH: &str = include_str!("../../config/rules/tables/dispatch.toml");
/// None of the shipped rules asks for how long nothing was heard.
const SILENCE: &str = r#"
[[rule]]
id = "silent-with-passenger"
on = "elevator"
when = "passenger && silent_s > 20"
for = "10s"
escalate = [{ when = "silent_s >= 60", severity = "minor" }]
severity = "warning"
title = { en = "Silent with a passenger", zh = "有乘客时无数据" }
"#;
const TABLES: [(&str, &str); 3] = [
    ("tables/cylinders.toml", include_str!("../../config/rules/tables/cylinders.toml")),
    ("tables/lifts.toml", include_str!("../../config/rules/tables/lifts.toml")),
    ("tables/maintenance.toml", include_str!("../../config/rules/tables/maintenance.toml")),
];

pub(crate) struct Policies {
    all: Vec<PolicyText>,
}

/// Of the lists of items the first one, which is that of all lifts here: to read the others takes its time.
fn first_class<'a>(name: &str, text: &'a str) -> &'a str {
    let mut classes = text.match_indices("[[class]]").skip(1);
    if name == "tables/maintenance.toml" { classes.next().map_or(text, |(at, _)| &text[..at]) } else { text }
}

/// By when rescuers answer and arrive, and terminals answer: far sooner than in life, so that they are late.
pub(crate) const ACCEPT_MS: i64 = 40_000;
pub(crate) const ARRIVE_MS: i64 = 300_000;
pub(crate) const ARRIVE_IN_CITY_MS: i64 = 180_000;
pub(crate) const REASSURE_MS: i64 = 8_000;

/// Who is sent to rescues. `commands`: by the service itself, without asking anybody.
fn dispatch(commands: bool) -> String {
    let mut text = DISPATCH.to_owned();
    for (shipped, ours) in [("\"3m\"", "\"40s\""), ("\"60m\"", "\"5m\""), ("\"30m\"", "\"3m\"")] {
        assert!(text.contains(shipped), "the shipped deadlines are others");
        text = text.replace(shipped, ours);
    }
    if commands {
        text = text.replace("\"propose\"", "\"command\"");
    }
    text + "\n[[reassure]]\ngood_for = \"8s\"\n"
}

fn policy(elevator: &str) -> PolicyText {
    policy_that(elevator, false)
}

fn policy_that(elevator: &str, commands: bool) -> PolicyText {
    let rules = [
        ("cylinder.toml", CYLINDER),
        ("elevator.toml", elevator),
        ("inspection.toml", INSPECTION),
        ("maintenance.toml", MAINTENANCE),
        ("records.toml", RECORDS),
    ];
    let rules = rules.into_iter().chain([("silence.toml", SILENCE)]);
    let mut rules: Vec<(Box<str>, Box<str>)> =
        rules.into_iter().chain(TABLES).map(|(name, text)| (name.into(), first_class(name, text).into())).collect();
    rules.push(("tables/dispatch.toml".into(), dispatch(commands).into()));
    rules.sort();
    PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "sim".into(), topic_prefix: "vigil/v1".into() }
}

impl Policies {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let renamed = ELEVATOR.replace("id = \"power-lost\"", "id = \"power-gone\"");
        let slower = ELEVATOR.replace("for = \"120s\"", "for = \"90s\"");
        assert!(renamed != ELEVATOR && slower != ELEVATOR, "the variants are no longer any");
        let first = dice.below(2) as usize;
        let mut all = vec![policy(ELEVATOR), policy(&renamed), policy_that(&slower, true)];
        all.swap(0, first);
        Self { all }
    }

    pub(crate) fn any(&self, dice: &mut Dice) -> PolicyText {
        dice.pick(&self.all).clone()
    }

    pub(crate) fn bad(&self) -> PolicyText {
        policy(&ELEVATOR.replace("when = \"code(41)\"", "when = \"code(41) &&\""))
    }
}
