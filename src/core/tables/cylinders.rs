//! `tables/cylinders.toml`: how often gas cylinders are inspected, and how long they live, by type, medium and make date.

use toml::de::{DeTable, DeValue};

use super::Source;
use super::read::{day, name, names, need_count, source};
use crate::core::rules::did_you_mean;
use crate::core::rules::section::{Faults, Section, Text, table};
use crate::limits;
use crate::model::time::CivilDay;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cylinders {
    kinds: Box<[Box<str>]>,
    classes: Box<[Class]>,
    /// In the order of the file: the first one that fits counts.
    intervals: Box<[Interval]>,
    lives: Box<[Life]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    name: Box<str>,
    media: Box<[Box<str>]>,
}

/// What cylinders an entry is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Which {
    /// Empty: any.
    kinds: Box<[Box<str>]>,
    /// One bit a class; none: any medium.
    classes: u32,
    made_from: Option<CivilDay>,
    made_before: Option<CivilDay>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    which: Which,
    pub years: u32,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    which: Which,
    pub years: u32,
    /// How much longer an extension may go.
    pub extension_years: Option<u32>,
    pub source: Source,
}

/// What the tables go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Make<'a> {
    pub kind: Option<&'a str>,
    /// The parts of a mixture are joined by `+`.
    pub medium: Option<&'a str>,
    pub made_on: Option<CivilDay>,
}

impl Cylinders {
    /// How often a cylinder is inspected: of a mixture, the shortest interval of its parts.
    pub fn interval(&self, make: Make<'_>) -> Option<&Interval> {
        let fitting = |class| self.intervals.iter().find(|entry| entry.which.fits(make, class));
        self.parts(make.medium).filter_map(fitting).min_by_key(|entry| entry.years)
    }

    /// How long a cylinder lives: with a mixture, the shortest that one of its parts asks for.
    pub fn life(&self, make: Make<'_>) -> Option<&Life> {
        let fitting = |class| self.lives.iter().find(|entry| entry.which.fits(make, class));
        self.parts(make.medium).filter_map(fitting).min_by_key(|entry| entry.years)
    }

    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| &**kind)
    }

    pub fn knows_kind(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| **known == *kind)
    }

    /// Whether every part of it is in a class.
    pub fn knows_medium(&self, medium: &str) -> bool {
        self.parts(Some(medium)).all(|class| matches!(class, Medium::Of(1..)))
    }

    /// The classes of a medium's parts.
    fn parts<'a>(&'a self, medium: Option<&'a str>) -> impl Iterator<Item = Medium> + 'a {
        let known = medium.map(str::trim).filter(|medium| !medium.is_empty());
        let unknown = known.is_none().then_some(Medium::Unknown);
        let parts = known.into_iter().flat_map(|medium| medium.split('+'));
        unknown.into_iter().chain(parts.map(|part| Medium::Of(self.class_of(part.trim()))))
    }

    /// The bit of the class that has a medium; 0 where none has.
    fn class_of(&self, medium: &str) -> u32 {
        let has = |class: &Class| class.media.iter().any(|known| **known == *medium);
        self.classes.iter().position(has).map_or(0, |nth| 1 << nth)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Unknown,
    /// One of the class with that bit.
    Of(u32),
}

impl Which {
    fn fits(&self, make: Make<'_>, medium: Medium) -> bool {
        let of_medium = match medium {
            _ if self.classes == 0 => true,
            Medium::Unknown => false,
            Medium::Of(class) => self.classes & class != 0,
        };
        let of_kind = match make.kind {
            _ if self.kinds.is_empty() => true,
            // An entry that names media as well is found by them.
            None => self.classes != 0,
            Some(kind) => self.kinds.iter().any(|wanted| **wanted == *kind),
        };
        // Nothing follows for a cylinder of which nothing is known.
        let is_known = !self.kinds.is_empty() || self.classes != 0 || medium != Medium::Unknown;
        let since =
            |from: Option<CivilDay>| from.is_none_or(|from| make.made_on.is_some_and(|made_on| made_on >= from));
        let until = self.made_before.is_none_or(|before| make.made_on.is_some_and(|made_on| made_on < before));
        is_known && of_medium && of_kind && since(self.made_from) && until
    }
}

pub(super) fn read(root: &DeTable<'_>, faults: &mut Faults) -> Cylinders {
    let top = Section::new(root, 0, "the table of cylinders", &["kinds", "class", "interval", "life"], faults);
    let kinds = names(&top, "kinds", faults);
    let classes = entries(&top, "class", limits::TABLE_CLASSES, faults, |start, table, faults| {
        let section = Section::new(table, start, "a class", &["name", "media"], faults);
        let name = section.need_text("name", faults).and_then(|text| name(&text, faults))?;
        section.need("media", faults)?;
        Some((start, Class { name, media: names(&section, "media", faults) }))
    });
    let classes = apart(classes, faults);
    let known = Known { kinds: &kinds, classes: &classes };
    let intervals = entries(&top, "interval", limits::TABLE_ENTRIES, faults, |start, table, faults| {
        let section = Section::new(table, start, "an interval", &with_which(&["years"]), faults);
        let (which, source) = (known.which(&section, faults), source(&section, faults));
        Some(Interval { which, years: need_count(&section, "years", limits::TABLE_YEARS, faults)?, source })
    });
    let lives = entries(&top, "life", limits::TABLE_ENTRIES, faults, |start, table, faults| {
        let section = Section::new(table, start, "a life", &with_which(&["years", "extension_years"]), faults);
        let (which, source) = (known.which(&section, faults), source(&section, faults));
        let extension_years = section.count("extension_years", limits::TABLE_YEARS, faults);
        let years = need_count(&section, "years", limits::TABLE_YEARS, faults)?;
        Some(Life { which, years, extension_years, source })
    });
    Cylinders { kinds, classes, intervals, lives }
}

/// Of two classes with the same name or medium nobody knows which is meant.
fn apart(classes: Box<[(usize, Class)]>, faults: &mut Faults) -> Box<[Class]> {
    let mut all: Vec<Class> = Vec::with_capacity(classes.len());
    for (start, class) in classes {
        for before in &all {
            if before.name == class.name {
                faults.add::<()>(start, format!("class `{}` stands in this file already", class.name));
            }
            for medium in class.media.iter().filter(|medium| before.media.contains(medium)) {
                faults.add::<()>(start, format!("`{medium}` is in class `{}` already", before.name));
            }
        }
        all.push(class);
    }
    all.into()
}

fn with_which<'a>(own: &[&'a str]) -> Vec<&'a str> {
    ["kinds", "classes", "made_from", "made_before", "source", "standing"].iter().chain(own).copied().collect()
}

/// The tables written as `[[key]]`; the good ones, where some are bad.
pub(super) fn entries<'a, T>(
    top: &Section<'a>,
    key: &str,
    most: usize,
    faults: &mut Faults,
    read: impl Fn(usize, &'a DeTable<'a>, &mut Faults) -> Option<T>,
) -> Box<[T]> {
    let Some((at, value)) = top.key(key) else { return Box::default() };
    let DeValue::Array(items) = value.get_ref() else {
        faults.add::<()>(at, format!("`{key}` is written as `[[{key}]]`, with two brackets"));
        return Box::default();
    };
    if items.len() > most {
        faults.add::<()>(at, format!("more than {most} of `[[{key}]]`"));
        return Box::default();
    }
    let mut all = Vec::with_capacity(items.len());
    for item in items.iter() {
        let entry = table(key, item, faults).and_then(|(start, table)| read(start, table, faults));
        all.extend(entry);
    }
    all.into()
}

struct Known<'a> {
    kinds: &'a [Box<str>],
    classes: &'a [Class],
}

impl Known<'_> {
    fn which(&self, section: &Section<'_>, faults: &mut Faults) -> Which {
        let (made_from, made_before) = (day(section, "made_from", faults), day(section, "made_before", faults));
        let kinds = section.texts("kinds", faults);
        let kinds = kinds.iter().filter_map(|text| self.kind(text, faults)).collect();
        let classes = section.texts("classes", faults);
        let classes = classes.iter().filter_map(|text| self.class(text, faults)).fold(0, |all, class| all | class);
        Which { kinds, classes, made_from, made_before }
    }

    fn kind(&self, text: &Text<'_>, faults: &mut Faults) -> Option<Box<str>> {
        if self.kinds.iter().any(|kind| **kind == *text.value) {
            return Some(text.value.into());
        }
        let hint = did_you_mean(text.value, self.kinds.iter().map(|kind| &**kind));
        faults.add(text.span.start, format!("`kinds` of this file has no {:?}{hint}", text.value))
    }

    fn class(&self, text: &Text<'_>, faults: &mut Faults) -> Option<u32> {
        if let Some(nth) = self.classes.iter().position(|class| *class.name == *text.value) {
            return Some(1 << nth);
        }
        let hint = did_you_mean(text.value, self.classes.iter().map(|class| &*class.name));
        faults.add(text.span.start, format!("no `[[class]]` is called {:?}{hint}", text.value))
    }
}
