//! What people write: rule files, their conditions, the configuration.

use std::path::Path;

use vigil::config::{Config, Place, Variables};
use vigil::core::rules::{self, CodeList, Facts, Field, Fold, RuleFault, RuleIx, RuleSet, Tri, Value};
use vigil::limits;
use vigil::model::ids::District;

use super::script::is_one_in;

const FILE: &str = "rules/a.toml";

/// Rule files, separated by NUL. They are read the same again, and every fault has its place.
pub fn rules(input: &[u8]) {
    check_rules(input, true);
}

/// The same, and read twice only now and then.
pub fn rules_in_part(input: &[u8]) {
    check_rules(input, is_one_in(16, input));
}

fn check_rules(input: &[u8], twice: bool) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let files: Vec<_> =
        text.split('\0').enumerate().map(|(n, text)| (format!("{n}.toml").into(), text.into())).collect();
    let read = rules::parse(&files);
    match &read {
        Ok(set) => check_set(set),
        Err(faults) => check_faults(&files, faults),
    }
    if twice {
        assert_eq!(read, rules::parse(&files));
    }
}

/// One condition, in a rule for lifts and in one for cylinders.
pub fn condition(input: &[u8]) {
    check_condition(input, &["elevator", "cylinder"]);
}

/// Only in one of the two.
pub fn condition_in_part(input: &[u8]) {
    check_condition(input, if is_one_in(4, input) { &["cylinder"] } else { &["elevator"] });
}

fn check_condition(input: &[u8], families: &[&str]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for family in families {
        let read = parse_condition(family, text);
        let set = match &read {
            Ok(set) => set,
            Err(faults) => {
                check_faults(&[condition_file(family, text)], faults);
                continue;
            }
        };
        match &parse_condition(family, &format!("!({text}\n)")) {
            Ok(negated) => {
                check_set(set);
                for facts in FACTS {
                    let (is, isnt) = (set.rules[0].when.eval(facts), negated.rules[0].when.eval(facts));
                    assert_eq!(!is, isnt, "{text:?} with {facts:?}");
                }
            }
            Err(faults) => {
                // The brackets and the sign may be what is one too many, and what silence opens it would then end.
                let words = ["bytes", "nested", "silence would end"];
                let is_bound = |fault: &RuleFault| words.iter().any(|word| fault.message.contains(word));
                assert!(faults.iter().all(is_bound), "{text:?} is read, but not its opposite: {faults:?}");
            }
        }
    }
}

fn parse_condition(family: &str, condition: &str) -> Result<RuleSet, Vec<RuleFault>> {
    rules::parse(&[condition_file(family, condition)])
}

fn condition_file(family: &str, condition: &str) -> (Box<str>, Box<str>) {
    let when = toml::Value::from(condition);
    let text = format!(
        "[[rule]]\nid = \"a\"\non = \"{family}\"\nwhen = {when}\nseverity = \"minor\"\ncertainty = \"likely\"\n\
         title = {{ en = \"A\", zh = \"B\" }}\n"
    );
    (FILE.into(), text.into())
}

fn check_faults(files: &[(Box<str>, Box<str>)], faults: &[RuleFault]) {
    assert!((1..=limits::RULE_FAULTS + 1).contains(&faults.len()), "{} faults", faults.len());
    for fault in faults {
        let RuleFault { file, line, column, message } = fault;
        let (_, text) = files.iter().find(|(name, _)| name == file).expect("a fault is in one of the files");
        // Behind the last line break there is one more line.
        let lines: Vec<&str> = text.split('\n').collect();
        let line = lines.get(*line as usize - 1).unwrap_or_else(|| panic!("{fault} in {text:?}"));
        assert!((1..=line.chars().count() + 2).contains(&(*column as usize)), "{fault} in {text:?}");
        assert!((1..1_000).contains(&message.len()), "{fault}");
    }
}

fn check_set(set: &RuleSet) {
    assert!(set.rules.is_sorted_by(|a, b| a.id < b.id) && set.order.len() == set.rules.len());
    for rule in &set.rules {
        let conditions =
            [&rule.when].into_iter().chain(&rule.suppress).chain(rule.escalate.iter().map(|step| &step.when));
        for condition in conditions {
            let [unknown, known @ ..] = FACTS.map(|facts| condition.eval(facts));
            // What is so whatever is unknown must be so whatever turns out.
            assert!(
                unknown.is_unknown() || known.iter().all(|known| *known == unknown),
                "{condition:?}: {unknown:?} {known:?}"
            );
            let terms = condition.terms().iter().map(|term| (term.name(), term.value(FACTS[1])));
            terms.for_each(|(name, value)| assert!(!name.is_empty() && !value.is_empty()));
        }
    }
}

/// What a subject may look like at its extremes.
#[derive(Debug)]
struct All(Option<i64>);

const FACTS: [&All; 5] = [&All(None), &All(Some(0)), &All(Some(1)), &All(Some(i64::MAX)), &All(Some(i64::MIN))];

impl Facts for All {
    fn field(&self, field: Field) -> Value {
        use vigil::core::rules::schema::Type;
        let Some(n) = self.0 else { return Value::Unknown };
        match field.field_type() {
            Type::Bool => Value::Bool(n > 0),
            Type::Int | Type::Enum(_) => Value::Int(n),
        }
    }

    fn code(&self, _: CodeList, _: u32) -> Tri {
        self.0.map(|n| n > 0).into()
    }

    fn condition(&self, _: &str) -> Tri {
        self.0.map(|n| n > 0).into()
    }

    fn in_district(&self, _: &District) -> Tri {
        self.0.map(|n| n > 0).into()
    }

    fn extra(&self, _: u16) -> Option<f64> {
        self.0.map(|n| n as f64)
    }

    fn window(&self, _: u16, _: Fold) -> Option<f64> {
        self.0.map(|n| n as f64)
    }

    /// It is always known, and here always the same.
    fn is_open(&self, _: RuleIx) -> bool {
        false
    }
}

/// A configuration file, and after each NUL a variable as `NAME=value`.
pub fn config(input: &[u8]) {
    check_config(input, true);
}

/// The same, and read twice only now and then.
pub fn config_in_part(input: &[u8]) {
    check_config(input, is_one_in(16, input));
}

fn check_config(input: &[u8], twice: bool) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Files that values name are opened: none of this machine's shall be.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let mut parts = text.split('\0');
    let text = parts.next().unwrap_or_default();
    let variables: Variables = parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (format!("VIGIL_{name}"), value.into()))
        .collect();
    let file = Path::new("nowhere/vigil.toml");
    let read = Config::from_text(file, text, &variables);
    if twice {
        assert_eq!(read, Config::from_text(file, text, &variables));
    }
    let Err(faults) = read else { return };
    assert!(!faults.0.is_empty() && faults.0.is_sorted(), "{faults}");
    assert!(faults.0.len() <= limits::CONFIG_FAULTS + 1, "{} faults", faults.0.len());
    for fault in &faults.0 {
        assert!(!fault.wrong.is_empty() && !fault.remedy.is_empty() && fault.to_string().len() < 20_000, "{fault}");
        if let Place::Line { line, column, .. } = fault.place {
            let line = text.split('\n').nth(line - 1).unwrap_or_else(|| panic!("{fault}"));
            assert!((1..=line.chars().count() + 2).contains(&column), "{fault}");
        }
    }
}
