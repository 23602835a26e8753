//! Rules to judge by: the shipped ones, variants that leave the foretold rules as they are, and one that can't be read.

use vigil::model::record::PolicyText;

use crate::dice::Dice;

const ELEVATOR: &str = include_str!("../../config/rules/elevator.toml");
const CYLINDER: &str = include_str!("../../config/rules/cylinder.toml");
const INSPECTION: &str = include_str!("../../config/rules/inspection.toml");
const MAINTENANCE: &str = include_str!("../../config/rules/maintenance.toml");
const RECORDS: &str = include_str!("../../config/rules/records.toml");
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

fn policy(elevator: &str) -> PolicyText {
    let rules = [
        ("cylinder.toml", CYLINDER),
        ("elevator.toml", elevator),
        ("inspection.toml", INSPECTION),
        ("maintenance.toml", MAINTENANCE),
        ("records.toml", RECORDS),
    ];
    PolicyText {
        rules: rules
            .into_iter()
            .chain(TABLES)
            .map(|(name, text)| (name.into(), first_class(name, text).into()))
            .collect(),
        zone: "Asia/Shanghai".into(),
        tzdb: "sim".into(),
        topic_prefix: "vigil/v1".into(),
    }
}

impl Policies {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let renamed = ELEVATOR.replace("id = \"power-lost\"", "id = \"power-gone\"");
        let slower = ELEVATOR.replace("for = \"120s\"", "for = \"90s\"");
        assert!(renamed != ELEVATOR && slower != ELEVATOR, "the variants are no longer any");
        let first = dice.below(2) as usize;
        let mut all = vec![policy(ELEVATOR), policy(&renamed), policy(&slower)];
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
