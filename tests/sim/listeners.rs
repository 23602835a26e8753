//! Those who watch some of the alerts, as `WatchAlerts` serves them: the real sieve on the real feed.

use futures_util::FutureExt as _;
use vigil::feed::sieve::Sieve;
use vigil::model::actor::{Actor, Scope};
use vigil::model::alert::{AlertEvent, Cursor, EventKind, Severity};
use vigil::model::ids::{DeviceCode, District, RuleId, Subject};
use vigil::pages::Filter;

use crate::dice::Dice;
use crate::faults::{Canary, Fault, Faults};
use crate::model::Model;
use crate::process::Process;
use crate::stations;

const RULES: [&str; 6] = [
    "trapped-out-of-zone",
    "offline",
    "cylinder-overdue",
    "cylinder-unregistered",
    "inspection-overdue",
    "ingest-blind",
];

/// What somebody wants; what is empty doesn't restrict.
struct Wanted {
    severity: Option<Severity>,
    rules: Vec<&'static str>,
    subjects: Vec<Subject>,
    kinds: Vec<EventKind>,
    /// Theirs, of which they may see all and nothing else.
    own: Option<&'static str>,
    district: Option<&'static str>,
    unacknowledged: bool,
}

pub(crate) struct Listener {
    wanted: Wanted,
    /// What it would resume with.
    cursor: Cursor,
    /// The cursor is that of a heartbeat.
    by_heartbeat: bool,
    stream: Option<Stream>,
    /// Where among all events the next one that it wants may stand.
    next: usize,
    /// Events that it got.
    pub(crate) got: u64,
}

struct Stream {
    sieve: Sieve,
    /// The start of the service that it is of.
    of_start: u64,
    previous: u64,
}

/// What a listener has to do with.
pub(crate) struct Surroundings<'a> {
    pub(crate) process: &'a Process,
    pub(crate) model: &'a Model,
    pub(crate) start: u64,
    pub(crate) store_away: bool,
}

impl Listener {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let cursor = Cursor { epoch: 1, seq: 0 };
        Self { wanted: Wanted::any(dice), cursor, by_heartbeat: false, stream: None, next: 0, got: 0 }
    }

    /// P3: takes what is there, or a little of it, and holds it against all that was told.
    pub(crate) fn read(
        &mut self,
        around: &Surroundings<'_>,
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Result<(), String> {
        if self.stream.as_ref().is_some_and(|stream| stream.of_start != around.start)
            || faults.draw(dice, Fault::StreamDropped, 100)
        {
            self.stream = None;
        }
        if self.stream.is_none() {
            faults.drawn[Fault::ResumedByHeartbeat as usize] += u64::from(self.by_heartbeat);
            let sieve = Sieve::new(self.cursor, self.wanted.filter(), self.wanted.kinds.clone());
            self.stream = Some(Stream { sieve, of_start: around.start, previous: self.cursor.seq });
        }
        let most = if faults.draw(dice, Fault::StreamSlow, 300) { 1 } else { 1_000 };
        for _ in 0..most {
            if !self.take(around, faults)? {
                break;
            }
        }
        if dice.chance(500) { self.hear(around, faults) } else { Ok(()) }
    }

    /// `false`: there is nothing more.
    fn take(&mut self, around: &Surroundings<'_>, faults: &Faults) -> Result<bool, String> {
        let stream = self.stream.as_mut().expect("it has just been opened");
        let (event, previous) = loop {
            if let Some(found) = stream.sieve.next_passing() {
                break found;
            }
            let read = around.process.feed.read(stream.sieve.scanned(), 7).now_or_never().expect("nothing in it waits");
            match read {
                Ok(events) if events.is_empty() => return Ok(false),
                Ok(events) => stream.sieve.fill(events),
                // What is neither in the outbox nor to be had from the store has to wait.
                Err(_) if around.store_away => return Ok(false),
                Err(error) => return Err(format!("P3: {error}")),
            }
        };
        let previous = if faults.has(Canary::PreviousOfAll) { event.seq - 1 } else { previous };
        let due = self.wanted.next_of(around.model, self.next);
        if due.map(|ix| &around.model.events[ix].1) != Some(&*event) {
            return Err(format!("P3: a filtered stream got {}, and due was number {due:?}", event.cursor()));
        }
        let known = std::mem::replace(&mut stream.previous, event.seq);
        if previous != known {
            return Err(format!(
                "P3: event {} names {previous} as the one before it, which was {known}",
                event.cursor()
            ));
        }
        (self.cursor, self.by_heartbeat) = (event.cursor(), false);
        (self.next, self.got) = (event.seq as usize, self.got + 1);
        Ok(true)
    }

    /// A heartbeat names the seq up to which nothing else passes.
    fn hear(&mut self, around: &Surroundings<'_>, faults: &Faults) -> Result<(), String> {
        let stream = self.stream.as_ref().expect("it has just been opened");
        let ahead = faults.has(Canary::HeartbeatsRunAhead);
        let scanned = if ahead { around.process.feed.head() } else { stream.sieve.scanned() };
        let due = self.wanted.next_of(around.model, self.next).filter(|ix| (*ix as u64) < scanned.seq);
        if let Some(ix) = due {
            return Err(format!("P3: a heartbeat names {scanned}, and event {} was never sent", ix + 1));
        }
        if scanned < self.cursor || scanned > around.process.feed.head() {
            return Err(format!("P3: a heartbeat names {scanned} after {}", self.cursor));
        }
        self.by_heartbeat |= scanned > self.cursor;
        self.cursor = scanned;
        Ok(())
    }

    pub(crate) fn is_behind(&self, model: &Model) -> bool {
        self.wanted.next_of(model, self.next).is_some()
    }
}

impl Wanted {
    fn any(dice: &mut Dice) -> Self {
        let kinds = [EventKind::Opened, EventKind::Cleared, EventKind::Raised, EventKind::Acknowledged];
        let lift = |n| DeviceCode::parse(&crate::lifts::code(n)).expect("codes of the simulation are well formed");
        let mut wanted = Self {
            severity: None,
            rules: Vec::new(),
            subjects: Vec::new(),
            kinds: Vec::new(),
            own: None,
            district: None,
            unacknowledged: false,
        };
        // One or two restrictions: more, and hardly anything passes.
        for _ in 0..dice.between(1, 2) {
            match dice.below(7) {
                0 => wanted.severity = Some(*dice.pick(&[Severity::Minor, Severity::Major, Severity::Critical])),
                1 => wanted.rules = (0..dice.between(1, 3)).map(|_| *dice.pick(&RULES)).collect(),
                2 => wanted.subjects = (0..2).map(|_| Subject::Device(lift(dice.below(4) as usize))).collect(),
                3 => wanted.subjects = (0..3).map(|n| Subject::Cylinder(stations::cylinder(n))).collect(),
                4 => wanted.kinds = (0..dice.between(1, 2)).map(|_| *dice.pick(&kinds)).collect(),
                5 if dice.chance(500) => wanted.own = Some("64"),
                5 => wanted.district = Some(*dice.pick(&["64", "6401", "640104", "32"])),
                _ => wanted.unacknowledged = true,
            }
        }
        wanted
    }

    fn filter(&self) -> Filter {
        let district = |text: &str| District::parse(text).expect("it is a district");
        let scope = self.own.map_or(Scope::All, |own| Scope::Districts(vec![district(own)]));
        Filter {
            minimum_severity: self.severity,
            rules: self.rules.iter().map(|rule| RuleId::parse(rule).expect("it is a rule")).collect(),
            subjects: self.subjects.clone(),
            districts: self.district.iter().map(|text| district(text)).collect(),
            unacknowledged_only: self.unacknowledged,
            ..Filter::all(Actor { scope, ..Actor::local_admin() })
        }
    }

    fn next_of(&self, model: &Model, from: usize) -> Option<usize> {
        let rest = model.events.get(from..).unwrap_or_default();
        rest.iter().position(|(_, event)| self.is_wanted(event)).map(|ix| from + ix)
    }

    fn is_wanted(&self, event: &AlertEvent) -> bool {
        let alert = &event.alert;
        let lies_in = |whole: &str| alert.place.district.is_some_and(|district| district.as_str().starts_with(whole));
        self.severity.is_none_or(|least| least <= alert.severity)
            && !(self.unacknowledged && alert.acknowledged.is_some())
            && self.own.is_none_or(lies_in)
            && self.district.is_none_or(lies_in)
            && (self.rules.is_empty() || self.rules.contains(&alert.id.rule.as_str()))
            && (self.subjects.is_empty() || self.subjects.contains(&alert.id.subject))
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}
