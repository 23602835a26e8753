//! `tables/maintenance.toml`: what is to be done at each visit, by class of equipment.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use crate::core::rules::section::{Faults, Section, article, table};
use crate::limits;
use crate::model::alert::Title;
use crate::model::archive::Equipment;
use crate::model::visit::VisitKind;

/// The kinds of visits that have items, the least one first: each contains those before it.
const KINDS: [VisitKind; 4] = [VisitKind::HalfMonth, VisitKind::Quarter, VisitKind::HalfYear, VisitKind::Year];

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maintenance {
    pub classes: Vec<Class>,
}

/// Lifts that have the same list of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub name: Box<str>,
    /// What the catalogue numbers of its lifts begin with.
    catalogue: Vec<Box<str>>,
    /// It is also that of lifts whose catalogue number isn't known.
    default_of: Option<Equipment>,
    /// Ascending by id.
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: Box<str>,
    /// The least visit that sees to it.
    pub from: VisitKind,
    pub title: Title,
}

impl Maintenance {
    /// The one with the longest fitting beginning of the catalogue number, else the one for such equipment.
    pub fn class_for(&self, equipment: Equipment, catalogue: Option<&str>) -> Option<&Class> {
        let fit = |class: &Class| {
            let catalogue = catalogue?;
            class.catalogue.iter().filter(|begin| catalogue.starts_with(&***begin)).map(|begin| begin.len()).max()
        };
        let fitting =
            self.classes.iter().filter_map(|class| Some((fit(class)?, class))).max_by_key(|(length, _)| *length);
        fitting
            .map(|(_, class)| class)
            .or_else(|| self.classes.iter().find(|class| class.default_of == Some(equipment)))
    }
}

impl Class {
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.binary_search_by(|item| (*item.id).cmp(id)).ok().map(|at| &self.items[at])
    }

    /// What a visit of the schedule sees to; nothing for the others.
    pub fn required(&self, kind: VisitKind) -> impl Iterator<Item = &Item> {
        let kind = KINDS.contains(&kind).then_some(kind);
        self.items.iter().filter(move |item| kind.is_some_and(|kind| item.from <= kind))
    }
}

const KEYS: &[&str] = &["name", "catalogue", "default_of", "source", "half-month", "quarter", "half-year", "year"];

pub(super) fn read(root: &DeTable<'_>, faults: &mut Faults) -> Maintenance {
    let file = Section::new(root, 0, "a table of maintenance", &["class"], faults);
    let mut classes: Vec<Class> = Vec::new();
    for value in file.array("class", faults).unwrap_or_default() {
        let Some((start, values)) = table("class", value, faults) else { continue };
        let section = Section::new(values, start, "a class", KEYS, faults);
        let Some(class) = class(&section, faults) else { continue };
        if classes.iter().any(|other| other.name == class.name) {
            faults.add::<()>(start, format!("class {} is there twice", class.name));
        }
        classes.push(class);
    }
    Maintenance { classes }
}

fn class(section: &Section<'_>, faults: &mut Faults) -> Option<Class> {
    let name = section.need_text("name", faults).map(|text| text.value.into());
    section.need_text("source", faults);
    let mut catalogue = Vec::new();
    for text in section.texts("catalogue", faults) {
        if (1..=4).contains(&text.value.len()) && text.value.bytes().all(|b| b.is_ascii_digit()) {
            catalogue.push(text.value.into());
        } else {
            faults.add::<()>(text.span.start, "the beginning of a catalogue number has 1 to 4 digits");
        }
    }
    let default_of = section.text("default_of", faults).and_then(|text| match text.value {
        "lift" => Some(Equipment::Lift),
        "escalator" => Some(Equipment::Escalator),
        other => faults.add(text.span.start, format!("`default_of` is \"lift\" or \"escalator\", not {other:?}")),
    });
    let mut items = Vec::new();
    for kind in KINDS {
        read_items(section, kind, &mut items, faults);
    }
    items.sort_by(|a: &Item, b| a.id.cmp(&b.id));
    Some(Class { name: name?, catalogue, default_of, items })
}

fn read_items(section: &Section<'_>, kind: VisitKind, items: &mut Vec<Item>, faults: &mut Faults) {
    let Some(value) = section.need(kind.name(), faults) else { return };
    let list = match value.get_ref() {
        DeValue::Array(list) => list,
        other => {
            let message = format!("`{}` is a list of items, not {}", kind.name(), article(other));
            faults.add::<()>(value.span().start, message);
            return;
        }
    };
    let mut seen: BTreeSet<Box<str>> = items.iter().map(|item| item.id.clone()).collect();
    for value in list {
        let Some((start, values)) = table("item", value, faults) else { continue };
        let section = Section::new(values, start, "an item", &["id", "zh", "en"], faults);
        let Some(item) = item(&section, kind, faults) else { continue };
        if items.len() == limits::VISIT_ITEMS {
            faults.add::<()>(start, format!("a class has at most {} items", limits::VISIT_ITEMS));
            return;
        }
        if seen.insert(item.id.clone()) {
            items.push(item);
        } else {
            faults.add::<()>(start, format!("item {} is there twice: a greater visit contains the lesser", item.id));
        }
    }
}

fn item(section: &Section<'_>, from: VisitKind, faults: &mut Faults) -> Option<Item> {
    let id = section.need_text("id", faults).and_then(|text| {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=limits::VISIT_WORD_CHARS).contains(&text.value.len()) && text.value.bytes().all(good) {
            Some(text.value.into())
        } else {
            faults.add(text.span.start, format!("an item's id has 1 to {} of a-z 0-9 -", limits::VISIT_WORD_CHARS))
        }
    });
    let mut short = |key: &str| {
        let text = section.need_text(key, faults)?;
        if (1..=limits::RULE_TEXT_CHARS).contains(&text.value.chars().count()) {
            Some(text.value.into())
        } else {
            faults.add(text.span.start, format!("`{key}` has 1 to {} characters", limits::RULE_TEXT_CHARS))
        }
    };
    let (zh, en) = (short("zh"), short("en"));
    Some(Item { id: id?, from, title: Title { en: en?, zh: zh? } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Maintenance {
        let text = include_str!("../../../config/rules/tables/maintenance.toml");
        crate::core::tables::parse(&[("tables/maintenance.toml".into(), text.into())]).unwrap().maintenance
    }

    /// Domain reference, section 5: items to do at half-monthly, quarterly, half-yearly and yearly visits.
    #[test]
    fn the_shipped_lists_have_as_many_items_as_the_regulation() {
        let table = shipped();
        for (equipment, catalogue, name, counts) in [
            (Equipment::Lift, "3110", "traction", [31, 44, 59, 76]),
            (Equipment::Lift, "3210", "hydraulic", [30, 43, 52, 66]),
            (Equipment::Lift, "3430", "dumbwaiter", [20, 28, 38, 52]),
            (Equipment::Escalator, "3310", "escalator", [33, 38, 50, 63]),
        ] {
            let class = table.class_for(equipment, Some(catalogue)).unwrap();
            assert_eq!(&*class.name, name);
            assert_eq!(KINDS.map(|kind| class.required(kind).count()), counts, "{name}");
            for kinds in KINDS.windows(2) {
                let lesser: BTreeSet<_> = class.required(kinds[0]).map(|item| &item.id).collect();
                assert!(lesser.is_subset(&class.required(kinds[1]).map(|item| &item.id).collect()), "{name}");
            }
            assert_eq!(class.required(VisitKind::Repair).count() + class.required(VisitKind::OnDemand).count(), 0);
            let (zh, en): (BTreeSet<_>, BTreeSet<_>) =
                class.items.iter().map(|item| (&item.title.zh, &item.title.en)).unzip();
            assert_eq!((zh.len(), en.len()), (class.items.len(), class.items.len()), "two items of {name} read alike");
        }
    }

    #[test]
    fn a_class_is_found_by_catalogue_number_or_else_by_what_it_is() {
        let table = shipped();
        for (equipment, catalogue, name) in [
            (Equipment::Lift, None, "traction"),
            (Equipment::Escalator, None, "escalator"),
            (Equipment::Lift, Some("3120"), "traction"),
            (Equipment::Lift, Some("3410"), "traction"),
            (Equipment::Lift, Some("3220"), "hydraulic"),
            (Equipment::Escalator, Some("3320"), "escalator"),
            (Equipment::Lift, Some("9999"), "traction"),
        ] {
            assert_eq!(&*table.class_for(equipment, catalogue).unwrap().name, name, "{catalogue:?}");
        }
        assert_eq!(Maintenance::default().class_for(Equipment::Lift, Some("3110")), None);
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let check = |text: &str, faults: &[&str]| {
            let files = [("tables/maintenance.toml".into(), text.into())];
            let found = crate::core::tables::parse(&files).unwrap_err();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            for fault in faults {
                assert!(found.iter().any(|it| it.contains(fault)), "{fault}: {found:#?}");
            }
        };
        let class = |lists: &str| format!("[[class]]\nname = \"x\"\nsource = \"y\"\n{lists}");
        check("[[class]]\nnmae = \"x\"", &["2:1: unknown key `nmae`", "needs `name`", "needs `half-month`"]);
        let item = "{ id = \"a\", zh = \"一\", en = \"one\" }";
        check(
            &class(&format!("half-month = [{item}]\nquarter = [{item}]\nhalf-year = 3\nyear = []")),
            &["item a is there twice", "`half-year` is a list of items, not a number"],
        );
        check(
            &class("half-month = [{ id = \"A b\", zh = \"\" }]"),
            &["an item's id has", "needs `en`", "`zh` has 1 to"],
        );
    }
}
