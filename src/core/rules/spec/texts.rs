//! Conditions as people wrote them: what they are shown when they ask why.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::model::ids::RuleId;

/// By rule.
pub type Texts = BTreeMap<RuleId, RuleText>;

/// In one line each; empty where the rule has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleText {
    pub when: Box<str>,
    pub suppress: Box<str>,
    pub clear: Box<str>,
}

pub(in crate::core::rules) fn texts(files: &[(Box<str>, Box<str>)]) -> Texts {
    files.iter().filter(|(name, _)| !super::is_table(name)).flat_map(|(_, text)| of_file(text)).collect()
}

fn of_file(text: &str) -> Texts {
    let (root, _) = DeTable::parse_recoverable(text);
    let rules = root.get_ref().get("rule").and_then(|rules| rules.get_ref().as_array());
    let read = |rule: &DeValue<'_>| {
        let text = |key| rule.get(key).and_then(|value| value.get_ref().as_str()).map_or("".into(), one_line);
        let id = rule.get("id").and_then(|id| RuleId::parse(id.get_ref().as_str()?).ok())?;
        Some((id, RuleText { when: text("when"), suppress: text("suppress"), clear: text("clear") }))
    };
    rules.into_iter().flat_map(|rules| rules.iter()).filter_map(|rule| read(rule.get_ref())).collect()
}

fn one_line(text: &str) -> Box<str> {
    text.split_whitespace().collect::<Vec<_>>().join(" ").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_come_as_they_were_written_in_one_line() {
        let file = r#"
            [[rule]]
            id = "a"
            when = """
            passenger
              && code(3)"""
            clear = "!passenger"
            [[rule]]
            id = "b"
            when = 'true'
        "#;
        let texts = texts(&[("x.toml".into(), file.into())]);
        let id = |id: &str| RuleId::parse(id).unwrap();
        assert_eq!(&*texts[&id("a")].when, "passenger && code(3)");
        assert_eq!(&*texts[&id("a")].clear, "!passenger");
        assert_eq!(texts[&id("b")], RuleText { when: "true".into(), ..RuleText::default() });
    }
}
