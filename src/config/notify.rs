//! The targets of notifications: sections `[[notify]]`, which only the file has.

use std::fmt;
use std::path::{Path, PathBuf};

use url::{Host, Url};

use super::check::fit;
use super::fault::{Fault, Place, Wrong};
use super::keys;
use super::raw::{Given, Raw, Target};
use super::units::span_ms;
use crate::limits;
use crate::model::alert::{EventKind, Severity};
use crate::model::ids::{District, RuleId};
use crate::model::incident::What;
use crate::notify::{Filter, read_secrets};

/// Somebody who is told of what happens.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyTarget {
    /// 1 to 32 characters of a-z 0-9 -. Its place is kept under it.
    pub name: Box<str>,
    pub url: NotifyUrl,
    /// What bodies are signed with. Read at each delivery.
    pub secret_file: PathBuf,
    /// Whom to trust instead of those whom the machine trusts.
    pub ca_file: Option<PathBuf>,
    incidents: bool,
    pub format: NotifyFormat,
    pub filter: Filter,
    /// For one attempt, 100 ms to 1 min.
    pub timeout_ms: i64,
    /// Older events are given up, 1 min to 30 d.
    pub max_age_ms: i64,
}

impl NotifyTarget {
    /// It is told of incidents, else of alerts.
    pub fn wants_incidents(&self) -> bool {
        self.incidents
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyFormat {
    Json,
    Cap,
}

impl NotifyFormat {
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cap => "cap",
        }
    }
}

/// Where to. What follows the host may be a token of the receiver's, so that nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct NotifyUrl(Url);

impl NotifyUrl {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Scheme, host and port.
    pub fn shown(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Debug for NotifyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// Checks all of them, whatever has failed before. `None` only where `faults` has got one.
pub(super) fn check(raw: &Raw, base: &Path, faults: &mut Vec<Fault>) -> Option<Vec<NotifyTarget>> {
    let targets: Vec<_> = raw.notify.iter().map(|given| (given, Checker { given, base, faults }.target())).collect();
    if raw.notify.len() > limits::NOTIFY_TARGETS {
        let what = Wrong::new(
            format!("is there {} times", raw.notify.len()),
            format!("give at most {} targets", limits::NOTIFY_TARGETS),
        );
        faults.push(Fault::new(raw.notify[limits::NOTIFY_TARGETS].place.clone(), keys::NOTIFY, what));
        return None;
    }
    for (n, (given, target)) in targets.iter().enumerate() {
        let Some(target) = target else { continue };
        let same = targets[..n].iter().any(|(_, other)| other.as_ref().is_some_and(|other| other.name == target.name));
        if same {
            let place = given.get(key("name")).map_or_else(|| given.place.clone(), |given| given.place);
            let what = Wrong::new(format!("{:?} is the name of another target", target.name), "give it one of its own");
            faults.push(Fault::new(place, "notify.name", what));
            return None;
        }
    }
    targets.into_iter().map(|(_, target)| target).collect()
}

fn key(name: &str) -> &'static keys::Key {
    keys::NOTIFY_KEYS.iter().find(|key| key.name == name).expect("only known keys are asked for")
}

struct Checker<'a> {
    given: &'a Target,
    base: &'a Path,
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn target(mut self) -> Option<NotifyTarget> {
        let base = self.base;
        let name = self.needed("name", target_name);
        let insecure = self.needed("insecure", switch);
        let allowed = insecure.unwrap_or(true);
        let url = self.needed("url", |text| target_url(text, allowed));
        let secret_file = self.needed("secret_file", |text| secret_file(&base.join(text)));
        let ca_file = self.maybe("ca_file", |text| Ok(base.join(text)));
        let incidents = self.needed("events", |text| match text {
            "alerts" => Ok(false),
            "incidents" => Ok(true),
            _ => Err(Wrong::new(
                format!("{text:?} is not what targets are told of"),
                "write \"alerts\" or \"incidents\"",
            )),
        });
        let format = self.needed("format", |text| match text {
            "json" => Ok(NotifyFormat::Json),
            "cap" => Ok(NotifyFormat::Cap),
            _ => Err(Wrong::new(format!("{text:?} is not a format"), "write \"json\" or \"cap\"")),
        });
        let minimum_severity = self.maybe("minimum_severity", severity);
        let rules = self.list("rules", |text| RuleId::parse(text).map_err(code));
        let districts = self.list("districts", |text| District::parse(text).map_err(code));
        let is_incidents = incidents.unwrap_or_default();
        let kinds = if is_incidents { Some(Vec::new()) } else { self.list("kinds", kind) };
        let entries = if is_incidents { self.list("kinds", entry) } else { Some(Vec::new()) };
        let timeout_ms = self.needed("timeout", |text| span_ms(text, "100ms", "1m"));
        let max_age_ms = self.needed("max_age", |text| span_ms(text, "1m", "30d"));
        let filter = Filter {
            minimum_severity: minimum_severity?,
            rules: rules?,
            districts: districts?,
            kinds: kinds?,
            entries: entries?,
        };
        insecure?;
        Some(NotifyTarget {
            name: name?,
            url: url?,
            secret_file: secret_file?,
            ca_file: ca_file?,
            incidents: incidents?,
            format: format?,
            filter,
            timeout_ms: timeout_ms?,
            max_age_ms: max_age_ms?,
        })
    }

    fn needed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let found = self.maybe(name, parse)?;
        if found.is_none() {
            let what = Wrong::new("is missing", "each [[notify]] has a name, a url and a secret_file");
            self.fault(self.given.place.clone(), name, what);
        }
        found
    }

    /// The inner option: whether a value was given. The outer one: whether it is right.
    fn maybe<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<Option<T>> {
        let Some(given) = self.given.get(key(name)) else { return Some(None) };
        self.parse(name, given, parse).map(Some)
    }

    fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let all = self.given.all(name);
        if let Some(one) = all.get(limits::FILTER_ITEMS) {
            let what =
                Wrong::new(format!("has {} values", all.len()), format!("give at most {}", limits::FILTER_ITEMS));
            self.fault(one.place.clone(), name, what);
            return None;
        }
        let read: Vec<Option<T>> = all.iter().map(|given| self.parse(name, given.clone(), &parse)).collect();
        read.into_iter().collect()
    }

    fn parse<T>(&mut self, name: &str, given: Given, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        match fit(&given.text).and_then(|()| parse(&given.text)) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault(given.place, name, what);
                None
            }
        }
    }

    fn fault(&mut self, place: Place, name: &str, what: Wrong) {
        self.faults.push(Fault::new(place, format!("{}.{name}", keys::NOTIFY), what));
    }
}

fn target_name(text: &str) -> Result<Box<str>, Wrong> {
    let fits =
        text.len() <= limits::NOTIFY_NAME_CHARS && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if fits {
        return Ok(text.into());
    }
    Err(Wrong::new(format!("{text:?} is not a target's name"), "use 1 to 32 characters of a-z 0-9 -"))
}

fn switch(text: &str) -> Result<bool, Wrong> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Wrong::new(format!("{text:?} is neither true nor false"), "write true or false")),
    }
}

/// The text isn't shown: it may hold a token.
fn target_url(text: &str, insecure: bool) -> Result<NotifyUrl, Wrong> {
    const FORM: &str = "write it as https://HOST/PATH";
    let mut url = Url::parse(text).map_err(|error| Wrong::new(format!("is not a URL: {error}"), FORM))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(Wrong::new("names no host", FORM)),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback || insecure => {}
        "http" => {
            let remedy = "use https, or write insecure = true below it if the way there is safe by other means";
            return Err(Wrong::new("is not encrypted, and leads to another machine", remedy));
        }
        other => return Err(Wrong::new(format!("has the scheme {other}"), FORM)),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("holds credentials", "leave them out: deliveries are signed with the secret"));
    }
    if url.port() == Some(0) {
        return Err(Wrong::new("has the port 0", "give the receiver's port"));
    }
    url.set_fragment(None);
    Ok(NotifyUrl(url))
}

fn secret_file(file: &Path) -> Result<PathBuf, Wrong> {
    match read_secrets(file) {
        Ok(_) => Ok(file.to_owned()),
        Err(error) => {
            let remedy = "name a file of your own that holds what the receiver checks signatures with";
            Err(Wrong::new(format!("{}: {error}", file.display()), remedy))
        }
    }
}

fn severity(text: &str) -> Result<Severity, Wrong> {
    named("severity", text, Severity::from_name, Severity::ALL.iter().map(|it| it.name()))
}

fn kind(text: &str) -> Result<EventKind, Wrong> {
    named("kind of event of alerts", text, EventKind::from_name, EventKind::ALL.iter().map(|it| it.name()))
}

fn entry(text: &str) -> Result<What, Wrong> {
    named("kind of event of incidents", text, What::from_name, What::ALL.iter().map(|it| it.name()))
}

fn named<T>(
    sort: &str,
    text: &str,
    from_name: impl Fn(&str) -> Option<T>,
    known: impl Iterator<Item = &'static str>,
) -> Result<T, Wrong> {
    from_name(text).ok_or_else(|| {
        let known: Vec<&str> = known.collect();
        let remedy = match keys::closest(text, known.iter().copied()) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("write one of {}", known.join(", ")),
        };
        Wrong::new(format!("{text:?} is no {sort}"), remedy)
    })
}

fn code(error: crate::model::ids::CodeError) -> Wrong {
    Wrong::new(format!("{:?} is no {}", error.got, error.what), format!("write {}", error.want))
}
