//! `[fields]` and `[extras]`: where one value comes from, and what is done with it.

use toml::Spanned;
use toml::de::DeValue;

use super::super::super::elevator::{
    CAR, DIRECTION, DOOR, DOOR_ZONE, EXTRAS, FLOOR_LABEL, FrameDraft, MODE, PASSENGER,
};
use super::super::super::identity::{BOOT, OBSERVED_AT_MS, SEQ};
use super::super::super::raw::Raw;
use super::super::super::report::Draft as _;
use super::super::value::{Convert, Time, local, offset_s};
use super::super::{Field, Source};
use super::{json, map, source};
use crate::core::rules::did_you_mean;
use crate::core::rules::section::{Faults, Section, table, text};
use crate::limits;
use crate::model::frame::{Car, Direction, Door, Mode};
use crate::model::time::Wall;

/// Fields of a frame that hold one value, by what a profile calls them.
const FIELDS: [(&str, u8); 15] = [
    ("boot", BOOT),
    ("seq", SEQ),
    ("observed_at", OBSERVED_AT_MS),
    ("mode", MODE),
    ("car", CAR),
    ("direction", DIRECTION),
    ("door_zone", DOOR_ZONE),
    ("door", DOOR),
    ("passenger", PASSENGER),
    ("floor", 10),
    ("floor_label", FLOOR_LABEL),
    ("load_kg", 12),
    ("speed_mm_s", 13),
    ("runs", 14),
    ("run_hours", 15),
];

const KEYS: &[&str] =
    &["from", "message", "point", "const", "default", "required", "map", "invert", "scale", "add", "time", "offset"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Flag,
    Whole,
    Real,
    Text,
    Time,
}

fn kind(number: u8) -> Kind {
    match number {
        MODE | CAR | DIRECTION | DOOR => Kind::Name,
        DOOR_ZONE | PASSENGER => Kind::Flag,
        FLOOR_LABEL => Kind::Text,
        OBSERVED_AT_MS => Kind::Time,
        EXTRAS => Kind::Real,
        _ => Kind::Whole,
    }
}

pub(super) fn fields(profile: &Section<'_>, has_points: bool, faults: &mut Faults) -> Vec<Field> {
    let mut fields = Vec::new();
    let Some((_, value)) = profile.key("fields") else { return fields };
    let Some((_, values)) = table("fields", value, faults) else { return fields };
    for (name, value) in values.iter() {
        let word = name.get_ref();
        let Some((known, number)) = FIELDS.iter().find(|(known, _)| known == word) else {
            let hint = did_you_mean(word, FIELDS.iter().map(|(known, _)| *known));
            let lists = ["faults", "events", "alarms", "conditions", "cleared"];
            let hint = match lists.contains(&&**word) {
                true => "; codes are mapped by [[codes]]".to_owned(),
                false if hint.is_empty() => {
                    "; docs/devices.md lists the fields, and [extras] takes further sensors".into()
                }
                false => hint,
            };
            faults.add::<()>(name.span().start, format!("no field of a frame is called `{word}`{hint}"));
            continue;
        };
        fields.extend(field(known, *number, value, has_points, faults));
    }
    fields.sort_by_key(|field| field.number);
    fields
}

pub(super) fn extras(profile: &Section<'_>, has_points: bool, faults: &mut Faults) -> Vec<(Box<str>, Field)> {
    let mut extras = Vec::new();
    let Some((at, value)) = profile.key("extras") else { return extras };
    let Some((_, values)) = table("extras", value, faults) else { return extras };
    if values.len() > limits::EXTRAS {
        faults.add::<()>(at, format!("more than {} extras", limits::EXTRAS));
        return extras;
    }
    for (name, value) in values.iter() {
        let word = name.get_ref();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=limits::EXTRA_NAME_BYTES).contains(&word.len()) || !word.bytes().all(plain) {
            let most = limits::EXTRA_NAME_BYTES;
            let why = format!("an extra is called by 1 to {most} of a–z, 0–9 and _, its unit last: vibration_mg");
            faults.add::<()>(name.span().start, why);
            continue;
        }
        if let Some(field) = field(word, EXTRAS, value, has_points, faults) {
            extras.push((Box::from(&**word), field));
        }
    }
    extras.sort_by(|(a, _), (b, _)| a.cmp(b));
    extras
}

fn field(name: &str, number: u8, value: &Spanned<DeValue<'_>>, has_points: bool, faults: &mut Faults) -> Option<Field> {
    let (start, values) = table(name, value, faults)?;
    let section = Section::new(values, start, "a field", KEYS, faults);
    if let Some((at, value)) = section.key("const") {
        if KEYS.iter().any(|key| *key != "const" && section.has(key)) {
            return faults.add(at, "a constant is read from nowhere: leave the other keys out");
        }
        if matches!(number, SEQ | OBSERVED_AT_MS) {
            return faults.add(at, format!("`{name}` tells records apart: it can't be the same in all of them"));
        }
        let default = fitting(name, number, value, faults);
        return Some(Field { number, source: Source::Nowhere, convert: Convert::Same, default, required: false });
    }
    let source = source(&section, &["from", "message", "point"], has_points, faults);
    let convert = convert(name, number, &section, faults);
    let default = match section.key("default") {
        Some((at, _)) if matches!(number, SEQ | OBSERVED_AT_MS) => {
            faults.add::<()>(at, format!("`{name}` tells records apart: it has no default; say required = false"));
            None
        }
        Some((_, value)) => fitting(name, number, value, faults),
        None => None,
    };
    let required = section.flag("required", faults).unwrap_or(true);
    Some(Field { number, source: source?, convert: convert?, default, required })
}

fn convert(name: &str, number: u8, section: &Section<'_>, faults: &mut Faults) -> Option<Convert> {
    let kind = kind(number);
    let is_numeric = matches!(kind, Kind::Whole | Kind::Real);
    let allowed = |key: &str| match key {
        "map" => kind != Kind::Time,
        "invert" => kind == Kind::Flag,
        "scale" | "add" => is_numeric,
        _ => kind == Kind::Time,
    };
    for key in ["map", "invert", "scale", "add", "time", "offset"] {
        if let Some((at, _)) = section.key(key)
            && (!allowed(key) || key != "map" && section.has("map"))
        {
            let why = if section.has("map") && key != "map" { "beside `map`" } else { "for this field" };
            return faults.add(at, format!("`{key}` means nothing {why}: `{name}` is {}", what(kind)));
        }
    }
    if let Some((_, value)) = section.key("map") {
        return map("map", value, faults, |value, faults| fitting(name, number, value, faults)).map(Convert::Map);
    }
    Some(match kind {
        Kind::Flag if section.flag("invert", faults).unwrap_or(false) => Convert::Invert,
        Kind::Flag | Kind::Name => Convert::Same,
        Kind::Text => Convert::Text,
        Kind::Time => Convert::Time(time(section, faults)?),
        Kind::Whole | Kind::Real => {
            let (scale, add) = (real("scale", 1.0, section, faults)?, real("add", 0.0, section, faults)?);
            Convert::Number { scale, add, whole: kind == Kind::Whole }
        }
    })
}

fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Name => "one of several names",
        Kind::Flag => "true or false",
        Kind::Whole => "a whole number",
        Kind::Real => "a number",
        Kind::Text => "a text",
        Kind::Time => "a time",
    }
}

fn real(key: &str, otherwise: f64, section: &Section<'_>, faults: &mut Faults) -> Option<f64> {
    let Some((_, value)) = section.key(key) else { return Some(otherwise) };
    let number = match value.get_ref() {
        DeValue::Float(n) => n.as_str().replace('_', "").parse::<f64>().ok(),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| n as f64),
        _ => None,
    };
    let number = number.filter(|n| n.is_finite() && (key != "scale" || *n != 0.0));
    match number {
        Some(number) => Some(number),
        None => faults.add(value.span().start, format!("`{key}` is a number, such as 0.1 or 1000, and no scale is 0")),
    }
}

fn time(section: &Section<'_>, faults: &mut Faults) -> Option<Time> {
    let value = section.need("time", faults)?;
    let format = text("time", value, faults)?;
    let time = match format.value {
        "rfc3339" => Time::Rfc3339,
        "epoch_s" => Time::EpochS,
        "epoch_ms" => Time::EpochMs,
        own if own.contains('%') => return local_time(own, format.span.start, section, faults),
        other => {
            let hint = did_you_mean(other, ["rfc3339", "epoch_s", "epoch_ms"]);
            let forms = "\"rfc3339\", \"epoch_s\", \"epoch_ms\" or a form such as \"%Y-%m-%d %H:%M:%S\"";
            return faults.add(format.span.start, format!("`time` is {forms}, not {other:?}{hint}"));
        }
    };
    if let Some((at, _)) = section.key("offset") {
        return faults
            .add(at, format!("`offset` means nothing here: {} says itself which zone it is of", format.value));
    }
    Some(time)
}

fn local_time(format: &str, at: usize, section: &Section<'_>, faults: &mut Faults) -> Option<Time> {
    let offset = section.need_text("offset", faults)?;
    let Some(offset_s) = offset_s(offset.value) else {
        return faults
            .add(offset.span.start, "`offset` is how far its clock is ahead of UTC, such as \"+08:00\" or \"Z\"");
    };
    // What can be written must be read again as it was, at least to the second.
    let sample = jiff::civil::date(2026, 11, 22).at(8, 30, 7, 0);
    let written = (format.len() <= limits::PROFILE_TEXT_BYTES)
        .then(|| jiff::fmt::strtime::format(format, sample).ok())
        .flatten()
        .and_then(|text| local(format, offset_s, &text));
    if written != Some(Wall(1_795_336_207_000 - offset_s * 1_000)) {
        return faults
            .add(at, format!("{format:?} doesn't hold a whole date and time of day; an example is %Y-%m-%d %H:%M:%S"));
    }
    Some(Time::Local { format: format.into(), offset_s })
}

/// A value of ours, as JSON, that the field takes.
fn fitting(name: &str, number: u8, value: &Spanned<DeValue<'_>>, faults: &mut Faults) -> Option<Box<str>> {
    let at = value.span().start;
    let found = json(value.get_ref());
    let is_good = |text: &str| match number {
        EXTRAS => text.parse::<f64>().is_ok(),
        _ => {
            let mut draft = FrameDraft::default();
            draft.set(number, Raw(text)).is_ok() && !draft.is_bad(number)
        }
    };
    if let Some(text) = found.clone().filter(|text| is_good(text)) {
        return Some(text);
    }
    let shown = found.map_or_else(|| "this".to_owned(), |text| text.to_string());
    let names = names(number);
    if names.is_empty() {
        return faults.add(at, format!("{shown} is no value of `{name}`, which is {}", what(kind(number))));
    }
    let hint = did_you_mean(shown.trim_matches('"'), names.iter().copied());
    let hint = if hint.is_empty() { format!("; it may be {}", names.join(", ")) } else { hint };
    faults.add(at, format!("{shown} is no value of `{name}`{hint}"))
}

fn names(number: u8) -> Vec<&'static str> {
    let known = |names: Vec<&'static str>| names.into_iter().chain(["unknown"]).collect();
    match number {
        MODE => known(Mode::ALL.iter().map(|it| it.name()).collect()),
        DOOR => known(Door::ALL.iter().map(|it| it.name()).collect()),
        CAR => Car::ALL.iter().map(|it| it.name()).collect(),
        DIRECTION => Direction::ALL.iter().map(|it| it.name()).collect(),
        _ => Vec::new(),
    }
}
