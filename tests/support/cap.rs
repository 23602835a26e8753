//! The rules of OASIS CAP 1.2 for a message, from the words of the standard: which elements there are, in which order, how
//! often, and what they may hold. Knows nothing of the service.

#![allow(dead_code, unreachable_pub, reason = "it is a part of several crates, and each uses a part of it")]

use quick_xml::Reader;
use quick_xml::events::Event;

/// An element: its name, its own text, and what it holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first of that name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }
}

/// How often an element may stand there.
#[derive(Clone, Copy)]
enum Times {
    Once,
    Maybe,
    Many,
    AtLeastOnce,
}

use Times::{AtLeastOnce, Many, Maybe, Once};

/// What an element may hold.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    /// An identifier or a sender: no spaces, commas or restricted characters.
    Token,
    Time,
    OneOf(&'static [&'static str]),
    Language,
    Uri,
    Circle,
    References,
    Elements(&'static [(&'static str, Times, Holds)]),
}

use Holds::{Circle, Elements, Language, OneOf, References, Text, Time, Token, Uri};

const STATUS: &[&str] = &["Actual", "Exercise", "System", "Test", "Draft"];
const MESSAGE_TYPE: &[&str] = &["Alert", "Update", "Cancel", "Ack", "Error"];
const SCOPE: &[&str] = &["Public", "Restricted", "Private"];
const CATEGORY: &[&str] =
    &["Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"];
const RESPONSE: &[&str] =
    &["Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"];
const URGENCY: &[&str] = &["Immediate", "Expected", "Future", "Past", "Unknown"];
const SEVERITY: &[&str] = &["Extreme", "Severe", "Moderate", "Minor", "Unknown"];
const CERTAINTY: &[&str] = &["Observed", "Likely", "Possible", "Unlikely", "Unknown"];

const NAMED: Holds = Elements(&[("valueName", Once, Text), ("value", Once, Text)]);
const AREA: Holds = Elements(&[
    ("areaDesc", Once, Text),
    ("polygon", Many, Text),
    ("circle", Many, Circle),
    ("geocode", Many, NAMED),
    ("altitude", Maybe, Text),
    ("ceiling", Maybe, Text),
]);
const INFO: Holds = Elements(&[
    ("language", Maybe, Language),
    ("category", AtLeastOnce, OneOf(CATEGORY)),
    ("event", Once, Text),
    ("responseType", Many, OneOf(RESPONSE)),
    ("urgency", Once, OneOf(URGENCY)),
    ("severity", Once, OneOf(SEVERITY)),
    ("certainty", Once, OneOf(CERTAINTY)),
    ("audience", Maybe, Text),
    ("eventCode", Many, NAMED),
    ("effective", Maybe, Time),
    ("onset", Maybe, Time),
    ("expires", Maybe, Time),
    ("senderName", Maybe, Text),
    ("headline", Maybe, Text),
    ("description", Maybe, Text),
    ("instruction", Maybe, Text),
    ("web", Maybe, Uri),
    ("contact", Maybe, Text),
    ("parameter", Many, NAMED),
    ("area", Many, AREA),
]);
const ALERT: Holds = Elements(&[
    ("identifier", Once, Token),
    ("sender", Once, Token),
    ("sent", Once, Time),
    ("status", Once, OneOf(STATUS)),
    ("msgType", Once, OneOf(MESSAGE_TYPE)),
    ("source", Maybe, Text),
    ("scope", Once, OneOf(SCOPE)),
    ("restriction", Maybe, Text),
    ("addresses", Maybe, Text),
    ("code", Many, Text),
    ("note", Maybe, Text),
    ("references", Maybe, References),
    ("incidents", Maybe, Text),
    ("info", Many, INFO),
]);

/// Reads a message and returns it if it is right, else what is wrong with it.
pub fn check(xml: &str) -> Result<Element, String> {
    if let Some(bad) = xml.chars().find(|c| !is_xml(*c)) {
        return Err(format!("{bad:?} can't stand in XML"));
    }
    let alert = read(xml)?;
    if alert.name != "alert" {
        return Err(format!("the root is {}", alert.name));
    }
    if alert.attributes != [("xmlns".to_owned(), "urn:oasis:names:tc:emergency:cap:1.2".to_owned())] {
        return Err(format!("the root has the attributes {:?}", alert.attributes));
    }
    holds(&alert, ALERT)?;
    together(&alert)?;
    Ok(alert)
}

/// What isn't about one element alone.
fn together(alert: &Element) -> Result<(), String> {
    let (kind, scope) = (alert.text_of("msgType"), alert.text_of("scope"));
    if (alert.text_of("restriction").is_some()) != (scope == Some("Restricted")) {
        return Err("restriction stands where scope is Restricted, and only there".into());
    }
    if scope == Some("Private") && alert.text_of("addresses").is_none() {
        return Err("a private message names its addresses".into());
    }
    if (alert.text_of("references").is_some()) != matches!(kind, Some("Update" | "Cancel")) {
        return Err("an update or cancellation names what it refers to, and a first message has nothing to".into());
    }
    let mut languages: Vec<_> = alert.all("info").map(|info| info.text_of("language")).collect();
    languages.sort_unstable();
    if languages.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("a language stands twice: {languages:?}"));
    }
    // All that isn't words is the same in each language.
    let facts = |info: &Element| {
        let names = ["category", "responseType", "urgency", "severity", "certainty", "onset", "expires"];
        names.map(|name| info.all(name).map(|it| it.text.clone()).collect::<Vec<_>>())
    };
    let mut each = alert.all("info").map(facts);
    let first = each.next();
    if each.any(|other| Some(other) != first) {
        return Err("the languages say different things".into());
    }
    Ok(())
}

fn holds(element: &Element, what: Holds) -> Result<(), String> {
    let (name, text) = (&element.name, element.text.as_str());
    let wrong = |what: &str| Err(format!("{name} {what}: {text:?}"));
    if let Elements(known) = what {
        if !text.trim().is_empty() {
            return wrong("holds text beside elements");
        }
        return in_order(element, known);
    }
    if !element.children.is_empty() || !element.attributes.is_empty() {
        return wrong("holds more than text");
    }
    if text.trim().is_empty() {
        return wrong("is empty");
    }
    match what {
        Token if text.contains([' ', ',', '<', '&']) => wrong("holds a space, a comma or a restricted character"),
        Time if !is_time(text) => wrong("is no time with a numeric offset"),
        OneOf(words) if !words.contains(&text) => wrong("is none of the words for it"),
        Language if !text.split('-').all(|part| (1..=8).contains(&part.len()) && is_alphanumeric(part)) => {
            wrong("is no language")
        }
        Uri if !text.contains(':') || text.contains(' ') => wrong("is no URI"),
        Circle if !is_circle(text) => wrong("is no circle"),
        References if !text.split(' ').all(is_reference) => wrong("is no list of messages"),
        _ => Ok(()),
    }
}

fn in_order(element: &Element, known: &'static [(&'static str, Times, Holds)]) -> Result<(), String> {
    let mut children = element.children.iter().peekable();
    for (name, times, what) in known {
        let mut found = 0;
        while let Some(child) = children.next_if(|child| child.name == *name) {
            holds(child, *what)?;
            found += 1;
        }
        let fits = match times {
            Once => found == 1,
            Maybe => found <= 1,
            Many => true,
            AtLeastOnce => found >= 1,
        };
        if !fits {
            return Err(format!("{} stands {found} times in {}", name, element.name));
        }
    }
    match children.next() {
        Some(child) => Err(format!("{} isn't known or out of order in {}", child.name, element.name)),
        None => Ok(()),
    }
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// `2003-06-11T22:39:00-07:00`: no fractions, and `-00:00` for UTC.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if !["0000-00-00T00:00:00-00:00", "0000-00-00T00:00:00+00:00"].contains(&shape.as_str()) {
        return false;
    }
    let number = |from: usize| text[from..from + 2].parse::<u32>().unwrap_or(99);
    let fits = (1..=12).contains(&number(5)) && (1..=31).contains(&number(8));
    let offset = &text[19..];
    fits && number(11) < 24 && number(14) < 60 && number(17) < 60 && number(20) <= 14 && offset != "+00:00"
}

fn is_circle(text: &str) -> bool {
    let read = || {
        let (point, radius) = text.split_once(' ')?;
        let (latitude, longitude) = point.split_once(',')?;
        let radius: f64 = radius.parse().ok()?;
        Some((latitude.parse::<f64>().ok()?, longitude.parse::<f64>().ok()?, radius))
    };
    read().is_some_and(|(latitude, longitude, radius)| {
        latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && (0.0..20_000.0).contains(&radius)
    })
}

fn is_reference(text: &str) -> bool {
    let parts: Vec<&str> = text.split(',').collect();
    parts.len() == 3 && !parts[0].is_empty() && !parts[1].is_empty() && is_time(parts[2])
}

/// What XML 1.0 calls a character.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn read(xml: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                let attributes = start.attributes().map(|it| {
                    let it = it.map_err(|error| error.to_string())?;
                    Ok((it.key.as_ref().to_owned(), it.value.into_owned()))
                });
                let attributes = attributes.collect::<Result<Vec<_>, String>>()?;
                let name = start.name().as_ref().to_owned();
                open.push(Element { name, attributes, ..Element::default() });
            }
            Event::End(_) => {
                let done = open.pop().ok_or("too many ends")?;
                open.last_mut().ok_or("too many ends")?.children.push(done);
            }
            Event::Text(text) => {
                open.last_mut().ok_or("text outside")?.text.push_str(&text);
            }
            Event::GeneralRef(reference) => {
                let name: &str = &reference;
                let c = quick_xml::escape::resolve_predefined_entity(name).ok_or(format!("&{name}; is not known"))?;
                open.last_mut().ok_or("text outside")?.text.push_str(c);
            }
            Event::Decl(_) => {}
            Event::Eof => break,
            other => return Err(format!("{other:?} has no place in a message")),
        }
    }
    let mut root = open.pop().filter(|_| open.is_empty()).ok_or("an element isn't ended")?;
    root.children.pop().filter(|_| root.children.is_empty()).ok_or_else(|| "there is no root".into())
}
