//! Timelines: records as people write them.

use std::path::Path;

use serde::Deserialize;
use vigil::model::actor::{Actor, Role, Scope};
use vigil::model::archive::{Cylinder, Entry, Firm, Lift, Site, SiteKind};
use vigil::model::ids::AlertId;
use vigil::model::incident::{Call, Cause, Ending, IncidentId, Step, Tier, Whom};
use vigil::model::record::{Action, Command, Health, Kind, Link, PolicyText, Record};
use vigil::model::time::{CivilDay, Elapsed, Wall};

/// 2026-11-22T08:00 in Shanghai, the zone of all timelines.
const BEGIN: Wall = Wall(1_795_305_600_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeline {
    #[serde(rename = "about")]
    _about: String,
    /// A marker comes back just before each record that follows the first `link = "up"`.
    #[serde(default)]
    markers: bool,
    record: Vec<Line>,
}

/// One record. Of which kind it is, its keys say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Seconds since the beginning.
    at: f64,
    /// By how many seconds the wall clock is set just before.
    #[serde(default)]
    set: i64,
    start: Option<String>,
    rules: Option<Vec<String>>,
    zone: Option<String>,
    link: Option<String>,
    /// The marker that was sent then comes back.
    heard: Option<f64>,
    #[serde(default)]
    tick: bool,
    health: Option<HealthLine>,
    lift: Option<String>,
    site: Option<String>,
    topic: Option<String>,
    /// In it `@` is the present, in ms since 1970, and `@-1000` a second before.
    payload: Option<String>,
    request: Option<String>,
    /// Who asks sees no more than these; without them everything.
    districts: Option<Vec<String>>,
    acknowledge: Option<String>,
    clear: Option<String>,
    note: Option<String>,
    /// A call about that lift.
    open: Option<String>,
    /// `INCIDENT STEP`, and for `command` the tier.
    advance: Option<String>,
    #[serde(default)]
    entries: Vec<EntryLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthLine {
    journal_fill_percent: u8,
    store_stalled_ms: i64,
    dropped: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    lift: Option<String>,
    cylinder: Option<String>,
    firm: Option<String>,
    site: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    district: Option<String>,
    address: Option<String>,
    filling_unit: Option<String>,
    keep_alive_s: Option<u32>,
    due: Option<String>,
}

pub(crate) fn read(file: &Path) -> Vec<Record> {
    let timeline: Timeline = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let folder = file.parent().unwrap();
    let (mut set_ms, mut records, mut is_up) = (0, Vec::new(), false);
    for line in &timeline.record {
        set_ms += line.set * 1_000;
        let elapsed = ms(line.at);
        let wall = BEGIN + elapsed.0 + set_ms;
        let marker = (timeline.markers && is_up).then_some(Kind::Link(Link::Heard { sent: elapsed }));
        for kind in marker.into_iter().chain([line.kind(folder, wall)]) {
            records.push(Record { pos: records.len() as u64, elapsed, wall, kind });
        }
        is_up |= line.link.is_some();
    }
    records
}

fn ms(seconds: f64) -> Elapsed {
    Elapsed((seconds * 1_000.0).round() as i64)
}

impl Line {
    fn kind(&self, folder: &Path, wall: Wall) -> Kind {
        if let Some(version) = &self.start {
            return Kind::Start { version: version.as_str().into() };
        }
        if let Some(files) = &self.rules {
            return Kind::Policy(policy(folder, files, self.zone.as_deref().unwrap_or("Asia/Shanghai")));
        }
        if let Some(link) = self.link() {
            return Kind::Link(link);
        }
        if let Some(HealthLine { journal_fill_percent, store_stalled_ms, dropped }) = self.health {
            return Kind::Health(Health { journal_fill_percent, store_stalled_ms, dropped });
        }
        if let Some(payload) = &self.payload {
            return Kind::Report { topic: self.topic().into(), payload: with_times(payload, wall).into() };
        }
        if let Some(request) = &self.request {
            return Kind::Command(self.command(request));
        }
        assert!(self.tick, "the line at {} s has no key that says what it is", self.at);
        Kind::Tick
    }

    fn link(&self) -> Option<Link> {
        match (self.link.as_deref(), self.heard) {
            (Some("up"), None) => Some(Link::Up),
            (Some("down"), None) => Some(Link::Down),
            (None, Some(sent)) => Some(Link::Heard { sent: ms(sent) }),
            (None, None) => None,
            other => panic!("{other:?} is no state of a link"),
        }
    }

    fn topic(&self) -> String {
        let own = match (&self.lift, &self.site) {
            (Some(lift), None) => format!("elevator/{lift}/report"),
            (None, Some(site)) => format!("cylinder/{site}/scan"),
            _ => self.topic.clone().unwrap(),
        };
        format!("vigil/v1/{own}")
    }

    fn command(&self, request: &str) -> Command {
        let note = || self.note.as_deref().map(Into::into);
        let action = if let Some(id) = &self.acknowledge {
            Action::Acknowledge { alert: AlertId::parse(id).unwrap(), note: note() }
        } else if let Some(id) = &self.clear {
            Action::Clear { alert: AlertId::parse(id).unwrap(), note: note() }
        } else if let Some(code) = &self.open {
            Action::OpenIncident(Call { device: Some(code.parse().unwrap()), ..Call::default() })
        } else if let Some(words) = &self.advance {
            advance(words)
        } else {
            Action::Upsert(self.entries.iter().map(EntryLine::entry).collect())
        };
        let actor = match &self.districts {
            Some(codes) => {
                let scope = Scope::Districts(codes.iter().map(|code| code.parse().unwrap()).collect());
                Actor { id: "dispatcher".into(), roles: vec![Role::Dispatcher], scope }
            }
            None => Actor::local_admin(),
        };
        Command { request: request.into(), actor, action }
    }
}

fn advance(words: &str) -> Action {
    let words: Vec<&str> = words.split(' ').collect();
    let ending = || Ending { persons_freed: 2, cause: Cause::Door, action: "door freed by hand".into() };
    let step = match words[1] {
        "command" => Step::Command(Whom { tier: Tier::from_name(words[2]).unwrap(), id: None }),
        "accept" => Step::Accept,
        "arrive" => Step::Arrive,
        "free" => Step::Free,
        "close" => Step::Close(ending()),
        "false-alarm" => Step::FalseAlarm,
        other => panic!("{other:?} is no step of these timelines"),
    };
    Action::AdvanceIncident { incident: IncidentId::parse(words[0]).unwrap(), step, note: None }
}

fn policy(folder: &Path, files: &[String], zone: &str) -> PolicyText {
    let text = |name: &String| {
        let content = std::fs::read_to_string(folder.join("rules").join(name)).unwrap();
        (name.as_str().into(), content.into())
    };
    PolicyText {
        rules: files.iter().map(text).collect(),
        zone: zone.into(),
        tzdb: "test".into(),
        topic_prefix: "vigil/v1".into(),
    }
}

fn with_times(payload: &str, now: Wall) -> String {
    let mut parts = payload.split('@');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != '-' && c != '+').unwrap();
        let span_ms: i64 = if end == 0 { 0 } else { part[..end].parse().unwrap() };
        text += &(now + span_ms).0.to_string();
        text += &part[end..];
    }
    text
}

impl EntryLine {
    fn entry(&self) -> Entry {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let district = self.district.as_ref().map(|code| code.parse().unwrap());
        let inspection_due = self.due.as_ref().map(|day| CivilDay::parse(day).unwrap());
        if let Some(code) = &self.lift {
            return Entry::Lift(Lift {
                address: text(&self.address),
                district,
                firm: self.firm.as_ref().map(|id| id.parse().unwrap()),
                keep_alive_s: self.keep_alive_s,
                inspection_due,
                ..Lift::new(code.parse().unwrap())
            });
        }
        if let Some(code) = &self.cylinder {
            return Entry::Cylinder(Cylinder {
                filling_unit: self.filling_unit.as_ref().map(|code| code.parse().unwrap()),
                inspection_due,
                district,
                ..Cylinder::new(code.parse().unwrap())
            });
        }
        let name = text(&self.name).unwrap();
        if let Some(code) = &self.site {
            let kind = SiteKind::from_name(self.kind.as_ref().unwrap()).unwrap();
            return Entry::Site(Site {
                code: code.parse().unwrap(),
                kind,
                name,
                address: text(&self.address),
                district,
            });
        }
        Entry::Firm(Firm::new(self.firm.as_ref().unwrap().parse().unwrap(), &name))
    }
}
