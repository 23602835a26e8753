//! From TOML to profiles, or every fault of every file.

mod codes;
mod field;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::identity::{OBSERVED_AT_MS, SEQ};
use super::{Device, Key, PROFILES_FOLDER, Points, Profile, Source, filter};
use crate::core::rules::RuleFault;
use crate::core::rules::section::{Faults, Section, article, table, text};
use crate::core::tables::read::File;
use crate::limits;

type Files = [(Box<str>, Box<str>)];

pub(super) fn parse(prefix: Option<&str>, files: &Files) -> Result<Vec<Profile>, Vec<RuleFault>> {
    let profiles = files.iter().filter_map(|(path, text)| Some((path, path.strip_prefix(PROFILES_FOLDER)?, text)));
    let mut read: Vec<(File<'_>, Option<(Profile, usize)>)> = Vec::new();
    let mut bytes = 0;
    for (path, name, text) in profiles {
        let mut file = File::new(path, text);
        bytes += text.len();
        let found = match out_of_bounds(read.len(), text.len(), bytes) {
            Some(why) => {
                file.fault(0, why);
                read.push((file, None));
                break;
            }
            None => file.read(|root, faults| profile(name, root, faults)),
        };
        read.push((file, found));
    }
    check_topics(prefix, &mut read);
    let (files, profiles): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let faults: Vec<RuleFault> = files.into_iter().flat_map(File::faults).collect();
    if faults.is_empty() {
        Ok(profiles.into_iter().flatten().map(|(profile, _)| profile).collect())
    } else {
        Err(faults)
    }
}

fn out_of_bounds(before: usize, len: usize, all: usize) -> Option<String> {
    let kib = |bytes: usize| bytes / 1024;
    if before == limits::PROFILES {
        return Some(format!("more than {} profiles", limits::PROFILES));
    }
    if len > limits::PROFILE_FILE_BYTES {
        return Some(format!(
            "the file has {len} bytes, more than the {} KiB allowed",
            kib(limits::PROFILE_FILE_BYTES)
        ));
    }
    (all > limits::PROFILES_BYTES)
        .then(|| format!("the profiles together have more than {} KiB", kib(limits::PROFILES_BYTES)))
}

/// A message is for one profile, or for our own devices.
fn check_topics(prefix: Option<&str>, read: &mut [(File<'_>, Option<(Profile, usize)>)]) {
    let ours: Vec<String> = match prefix {
        None => Vec::new(),
        Some("") => ["elevator", "cylinder", "service"].map(|kind| format!("{kind}/#")).to_vec(),
        Some(prefix) => vec![format!("{prefix}/#")],
    };
    let topics: Vec<Option<(Box<str>, Box<str>)>> = read
        .iter()
        .map(|(_, found)| found.as_ref().map(|(profile, _)| (profile.name.clone(), profile.topic.clone())))
        .collect();
    for (nth, (file, found)) in read.iter_mut().enumerate() {
        let Some((profile, at)) = found else { continue };
        for own in ours.iter().filter(|own| filter::overlap(own, &profile.topic)) {
            file.fault(*at, format!("`topic` takes topics of our own devices ({own}): give the feed others"));
        }
        let others = topics.iter().take(nth).flatten();
        for (name, topic) in others.filter(|(_, topic)| filter::overlap(topic, &profile.topic)) {
            file.fault(
                *at,
                format!("`topic` takes topics that profile {name} takes ({topic}): a topic has one profile"),
            );
        }
    }
}

const KEYS: &[&str] =
    &["topic", "keep_alive", "records", "device", "key", "points", "fields", "extras", "codes", "title"];

/// With the place of its topic.
fn profile(name: &str, root: &DeTable<'_>, faults: &mut Faults) -> Option<(Profile, usize)> {
    let before = faults.0.len();
    let section = Section::new(root, 0, "a profile", KEYS, faults);
    let name = name.strip_suffix(".toml").unwrap_or(name);
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=limits::PROFILE_NAME_BYTES).contains(&name.len()) || !name.bytes().all(is_plain) {
        let most = limits::PROFILE_NAME_BYTES;
        faults.add::<()>(0, format!("a profile's file is called by 1 to {most} of a–z, 0–9 and -, not {name:?}"));
    }
    let topic = section.need_text("topic", faults);
    if let Some(topic) = &topic
        && let Some(why) = filter::fault(topic.value)
    {
        faults.add::<()>(topic.span.start, why);
    }
    let keep_alive_s = keep_alive(&section, faults);
    let records = section.key("records").and_then(|(_, value)| pointer("records", value, faults));
    let points = points(&section, faults);
    let device = device(&section, faults);
    let fields = field::fields(&section, points.is_some(), faults);
    let extras = field::extras(&section, points.is_some(), faults);
    let codes = codes::read(&section, points.is_some(), faults);
    let observed = fields.iter().find(|field| field.number == OBSERVED_AT_MS);
    let is_timed = observed.is_some_and(|field| field.required && field.default.is_none());
    let is_counted = fields.iter().any(|field| field.number == SEQ);
    let key = key(&section, is_counted, is_timed, faults);
    if fields.iter().all(|field| field.number <= OBSERVED_AT_MS) && extras.is_empty() && codes.is_empty() {
        faults.add::<()>(0, "the profile maps nothing that says anything of a lift: add [fields] or [[codes]]");
    }
    let topic = topic?;
    let profile = Profile {
        name: name.into(),
        topic: topic.value.into(),
        keep_alive_s: keep_alive_s?,
        records,
        device: device?,
        key: key?,
        points,
        fields,
        extras,
        codes,
    };
    (faults.0.len() == before).then_some((profile, topic.span.start))
}

fn keep_alive(section: &Section<'_>, faults: &mut Faults) -> Option<u16> {
    let value = section.need("keep_alive", faults)?;
    let ms = section.span_ms("keep_alive", faults)?;
    if !(1_000..=limits::PROFILE_KEEP_ALIVE_MS).contains(&ms) {
        return faults.add(value.span().start, "`keep_alive` is from 1s to 12h: the longest time between two records");
    }
    u16::try_from(ms / 1_000).ok()
}

fn points(section: &Section<'_>, faults: &mut Faults) -> Option<Points> {
    let (_, value) = section.key("points")?;
    let (start, values) = table("points", value, faults)?;
    let section = Section::new(values, start, "`points`", &["list", "label", "value"], faults);
    let mut of = |key: &str| {
        let value = section.need(key, faults)?;
        pointer(key, value, faults)
    };
    Some(Points { list: of("list")?, label: of("label")?, value: of("value")? })
}

fn device(section: &Section<'_>, faults: &mut Faults) -> Option<Device> {
    let value = section.need("device", faults)?;
    let (start, values) = table("device", value, faults)?;
    let section = Section::new(values, start, "`device`", &["level", "from", "message"], faults);
    if !section.has("level") {
        return source(&section, &["level", "from", "message"], false, faults).map(Device::At);
    }
    if section.has("from") || section.has("message") {
        return faults.add(start, "`device` has one of `level`, `from` and `message`");
    }
    let level = section.count("level", 128, faults)?;
    Some(Device::Level(usize::try_from(level).ok()?))
}

fn key(section: &Section<'_>, is_counted: bool, is_timed: bool, faults: &mut Faults) -> Option<Key> {
    let Some((at, value)) = section.key("key") else {
        if is_counted {
            return Some(Key::Counted);
        }
        let what = "nothing tells records apart: map `seq`, or give `key = { from = \"/…\" }` for a message id, or \
                    `key = \"record\"` for the time observed and a hash of the record";
        return faults.add(0, what);
    };
    if is_counted {
        return faults.add(at, "`key` stands in for `seq`, which is mapped: leave one of them out");
    }
    match value.get_ref() {
        DeValue::String(word) if word == "record" && is_timed => Some(Key::Record),
        DeValue::String(word) if word == "record" => {
            faults.add(at, "`key = \"record\"` needs `observed_at` among the fields, required and without a default")
        }
        DeValue::Table(values) => {
            let section = Section::new(values, value.span().start, "`key`", &["from", "message"], faults);
            source(&section, &["from", "message"], false, faults).map(Key::MessageId)
        }
        other => faults
            .add(value.span().start, format!("`key` is \"record\" or {{ from = \"/…\" }}, not {}", article(other))),
    }
}

/// The one place where a value stands.
fn source(section: &Section<'_>, choice: &[&str], has_points: bool, faults: &mut Faults) -> Option<Source> {
    let mut found = choice.iter().filter(|key| section.has(key));
    let (Some(key), None) = (found.next(), found.next()) else {
        return faults.add(section.start, format!("exactly one of {} says where the value is", choice.join(", ")));
    };
    let (at, value) = section.key(key)?;
    match *key {
        "from" => pointer(key, value, faults).map(Source::Record),
        "message" => pointer(key, value, faults).map(Source::Message),
        "point" if !has_points => faults.add(at, "`point` needs [points], which says where they are"),
        "point" => short(key, value, faults).map(Source::Point),
        _ => None,
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(key: &str, value: &Spanned<DeValue<'_>>, faults: &mut Faults) -> Option<Box<str>> {
    let text = text(key, value, faults)?;
    let is_escaped = |part: &str| part.starts_with(['0', '1']);
    let is_good = (text.value.is_empty() || text.value.starts_with('/'))
        && text.value.split('~').skip(1).all(is_escaped)
        && text.value.len() <= limits::PROFILE_TEXT_BYTES;
    if is_good {
        return Some(text.value.into());
    }
    let most = limits::PROFILE_TEXT_BYTES;
    let hint = if text.value.starts_with('/') { String::new() } else { format!("; did you mean \"/{}\"?", text.value) };
    faults.add(
        text.span.start,
        format!("`{key}` is a JSON pointer of at most {most} bytes, such as \"/data/0/state\", with ~ as ~0{hint}"),
    )
}

/// A text of a bounded length.
fn short(key: &str, value: &Spanned<DeValue<'_>>, faults: &mut Faults) -> Option<Box<str>> {
    let text = text(key, value, faults)?;
    let most = limits::PROFILE_TEXT_BYTES;
    if text.value.is_empty() || text.value.len() > most {
        return faults.add(text.span.start, format!("`{key}` has 1 to {most} bytes"));
    }
    Some(text.value.into())
}

/// The entries of a table that maps texts of the vendor, ascending.
fn map<'a, T>(
    key: &str,
    value: &'a Spanned<DeValue<'a>>,
    faults: &mut Faults,
    mut each: impl FnMut(&'a Spanned<DeValue<'a>>, &mut Faults) -> Option<T>,
) -> Option<Vec<(Box<str>, T)>> {
    let (start, values) = table(key, value, faults)?;
    if values.is_empty() || values.len() > limits::PROFILE_MAP {
        return faults.add(start, format!("`{key}` has 1 to {} entries", limits::PROFILE_MAP));
    }
    let mut entries = Vec::new();
    for (name, value) in values.iter() {
        if let Some(meant) = each(value, faults) {
            entries.push((Box::from(&**name.get_ref()), meant));
        }
    }
    entries.sort_by(|(a, _): &(Box<str>, T), (b, _)| a.cmp(b));
    Some(entries)
}

/// A value as JSON.
fn json(value: &DeValue<'_>) -> Option<Box<str>> {
    Some(match value {
        DeValue::String(text) => serde_json::Value::from(&**text).to_string().into(),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok()?.to_string().into(),
        DeValue::Float(n) => n.as_str().parse::<f64>().ok().filter(|n| n.is_finite())?.to_string().into(),
        DeValue::Boolean(flag) => flag.to_string().into(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}
