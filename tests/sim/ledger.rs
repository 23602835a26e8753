//! What must become of each command, worked out from the inbox alone: the archive and its history. `records` has the
//! records and reports. Nothing here knows the core.

use std::collections::{BTreeMap, BTreeSet};

use vigil::limits;
use vigil::model::archive::{self, Cylinder, Entrustment, Entry, Firm, Lift, Site, SiteKind, Worker};
use vigil::model::ids::{CylinderCode, DeviceCode, FirmId, RecordId, SiteCode, WorkerId};
use vigil::model::obligation::Party;
use vigil::model::record::{Action, Command, ItemOutcome, Outcome};
use vigil::model::report::Report;
use vigil::model::row::{ChangeKind, ChangeRow, Row};
use vigil::model::time::{CivilDay, Elapsed, Wall};
use vigil::model::visit::Visit;

use crate::cylinders::{Yard, day};
use crate::faults::Fault;
use crate::records::File;

/// An answer, but for its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done(u32),
    Items(Vec<Item>),
    NotFound,
    Precondition,
    Reused,
    /// Others look at it.
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Taken(Vec<&'static str>),
    Known,
    Exists,
    /// Of these fields, ascending.
    Invalid(Vec<Box<str>>),
    NotFound,
    Precondition,
    Denied,
}

impl Answer {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done { changed, .. } => Self::Done(*changed),
            Outcome::Items { items, .. } => Self::Items(items.iter().map(Item::of).collect()),
            Outcome::NotFound { .. } => Self::NotFound,
            Outcome::Precondition { .. } => Self::Precondition,
            Outcome::RequestReused => Self::Reused,
            Outcome::Fill { .. } | Outcome::Findings { .. } | Outcome::Incident { .. } | Outcome::Denied { .. } => {
                Self::Any
            }
        }
    }
}

impl Item {
    fn of(outcome: &ItemOutcome) -> Self {
        match outcome {
            ItemOutcome::Taken { flags } => Self::Taken(flags.clone()),
            ItemOutcome::Known => Self::Known,
            ItemOutcome::Exists { .. } => Self::Exists,
            ItemOutcome::Invalid(faults) => {
                let fields: BTreeSet<_> = faults.iter().map(|fault| fault.field.clone()).collect();
                Self::Invalid(fields.into_iter().collect())
            }
            ItemOutcome::NotFound { .. } => Self::NotFound,
            ItemOutcome::Precondition { .. } => Self::Precondition,
            ItemOutcome::Denied { .. } => Self::Denied,
        }
    }
}

/// The record that brings a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) wall: Wall,
    pub(crate) elapsed: Elapsed,
}

impl At {
    pub(crate) fn today(self) -> CivilDay {
        day(self.wall)
    }
}

/// Something that was taken, and whether a correction stands in its place.
#[derive(Debug, Clone)]
pub(crate) struct Taken<T> {
    pub(crate) said: T,
    pub(crate) superseded: bool,
}

/// All that commands have led to so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) lifts: BTreeMap<DeviceCode, Lift>,
    pub(crate) cylinders: BTreeMap<CylinderCode, Cylinder>,
    pub(crate) sites: BTreeMap<SiteCode, Site>,
    pub(crate) firms: BTreeMap<FirmId, Firm>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) visits: BTreeMap<(FirmId, RecordId), Taken<Visit>>,
    pub(crate) reports: BTreeMap<(Party, RecordId), Taken<Report>>,
    /// What is known of a lift beside its entry.
    pub(crate) files: BTreeMap<DeviceCode, File>,
    /// Lifts that have sent something or stand in the archive.
    known: BTreeSet<DeviceCode>,
    /// The terminals that each lift must have had by now, one less.
    generations: BTreeMap<DeviceCode, u32>,
    /// By actor and request.
    requests: BTreeMap<(Box<str>, Box<str>), Remembered>,
    /// By position: the request and what it must be answered.
    answers: BTreeMap<u64, (Box<str>, Answer)>,
    by_request: BTreeMap<Box<str>, Vec<Answer>>,
    /// What was taken, to be counted.
    pub(crate) counted: Vec<Fault>,
    /// The canary: what was corrected can be corrected again.
    pub(crate) corrects_twice: bool,
}

#[derive(Debug, Clone)]
struct Remembered {
    action: Action,
    answer: Answer,
    since: Elapsed,
}

/// Whether rows are of the kinds that are foretold here.
fn is_foretold(row: &&Row) -> bool {
    matches!(row, Row::Entry(_) | Row::Change(_) | Row::Report(_) | Row::Visit(_) | Row::Signature(_))
}

impl Ledger {
    pub(crate) fn new(corrects_twice: bool) -> Self {
        Self { corrects_twice, ..Self::default() }
    }

    /// Takes what was told of a record that is no command.
    pub(crate) fn hear(&mut self, pos: u64, told: &[Row]) -> Result<(), String> {
        for row in told {
            let Row::Frame(row) = row else { continue };
            self.known.insert(row.device);
            if self.generations.get(&row.device).is_some_and(|least| row.generation < *least) {
                let device = row.device;
                return Err(format!("P2: at {pos} a frame of {device} is of a terminal that was replaced: {row:?}"));
            }
        }
        Ok(())
    }

    /// P2 and P4: a command led to what it must lead to and to nothing else.
    pub(crate) fn take(
        &mut self,
        pos: u64,
        at: At,
        command: &Command,
        told: &[Row],
        yard: &Yard,
    ) -> Result<(), String> {
        let told: Vec<&Row> = told.iter().filter(is_foretold).collect();
        let (expected, answer) = self.judge(at, command, &told, yard);
        if !expected.iter().eq(told.iter().copied()) {
            return Err(format!("P2: request {} at {pos} led to {told:?}, expected {expected:?}", command.request));
        }
        self.by_request.entry(command.request.clone()).or_default().push(answer.clone());
        self.answers.insert(pos, (command.request.clone(), answer));
        Ok(())
    }

    /// P2: whoever asked heard what became of it, also if it was asked again.
    pub(crate) fn check_answer(&self, command: &Command, outcome: &Outcome) -> Result<(), String> {
        let (request, heard) = (&command.request, Answer::of(outcome));
        let fits = |answer: &Answer| *answer == Answer::Any || *answer == heard;
        let is_right = match outcome {
            Outcome::Done { position, .. } | Outcome::Items { position, .. } => {
                self.answers.get(position).is_some_and(|(asked, answer)| asked == request && fits(answer))
            }
            _ => self.by_request.get(request).is_some_and(|answers| answers.iter().any(fits)),
        };
        if is_right {
            return Ok(());
        }
        let expected = self.by_request.get(request);
        Err(format!("P2: request {request} was answered {outcome:?}, expected was {expected:?}, of {command:?}"))
    }

    fn judge(&mut self, at: At, command: &Command, told: &[&Row], yard: &Yard) -> (Vec<Row>, Answer) {
        // These are known again item by item.
        match &command.action {
            Action::UploadVisits(uploads) => return self.upload_visits(at, &command.actor, uploads),
            Action::UploadReports(uploads) => return self.upload_reports(at, &command.actor, uploads),
            _ => {}
        }
        let key = (command.actor.id.clone(), command.request.clone());
        if let Some(first) = self.requests.get(&key).cloned() {
            let is_young = at.elapsed - first.since <= limits::REQUEST_MS;
            let same = first.action == command.action;
            if is_young {
                return (Vec::new(), if same { first.answer } else { Answer::Reused });
            }
            // It may have been forgotten since.
            if told.is_empty() {
                return (Vec::new(), Answer::Any);
            }
        }
        let (rows, answer) = match &command.action {
            Action::Upsert(entries) => self.upsert(at, command, entries),
            Action::ReplaceTerminal { device, terminal } => {
                self.replace_terminal(at, command, *device, terminal.as_deref(), told)
            }
            Action::TransferCylinders { cylinders, to, on } => self.transfer(at, command, (cylinders, *to, *on), yard),
            Action::Sign(sign) => self.sign(at, sign),
            _ => (Vec::new(), Answer::Any),
        };
        let remembered = Remembered { action: command.action.clone(), answer: answer.clone(), since: at.elapsed };
        self.requests.insert(key, remembered);
        (rows, answer)
    }

    fn present(&self, entry: &Entry) -> Option<Entry> {
        match entry {
            Entry::Lift(it) => self.lifts.get(&it.code).cloned().map(Entry::Lift),
            Entry::Cylinder(it) => self.cylinders.get(&it.code).cloned().map(Entry::Cylinder),
            Entry::Firm(it) => self.firms.get(&it.id).cloned().map(Entry::Firm),
            Entry::Site(it) => self.sites.get(&it.code).cloned().map(Entry::Site),
            Entry::Worker(it) => self.workers.get(&it.id).cloned().map(Entry::Worker),
        }
    }

    fn put(&mut self, at: At, entry: &Entry) {
        match entry {
            Entry::Lift(it) => {
                self.known.insert(it.code);
                self.lifts.insert(it.code, it.clone());
                self.note_entry(at, it);
            }
            Entry::Cylinder(it) => _ = self.cylinders.insert(it.code, it.clone()),
            Entry::Firm(it) => _ = self.firms.insert(it.id, it.clone()),
            Entry::Site(it) => _ = self.sites.insert(it.code, it.clone()),
            Entry::Worker(it) => _ = self.workers.insert(it.id, it.clone()),
        }
    }

    /// Puts an entry in, and tells it with its change.
    fn change(&mut self, at: At, by: &str, entry: Entry, what: ChangeKind) -> [Row; 2] {
        let fields = self.present(&entry).map_or(Vec::new(), |before| archive::changes(&before, &entry));
        self.put(at, &entry);
        let (kind, code) = (entry.kind(), entry.code().into());
        let change = ChangeRow { kind, code, what, changed_at: at.wall, actor: by.into(), fields };
        [Row::Entry(entry), Row::Change(change)]
    }

    fn upsert(&mut self, at: At, command: &Command, entries: &[Entry]) -> (Vec<Row>, Answer) {
        let mut rows = Vec::new();
        for entry in entries {
            let before = self.present(entry);
            if before.as_ref() == Some(entry) {
                continue;
            }
            self.counted.extend(match entry {
                Entry::Cylinder(it) => (!it.aliases.is_empty()).then_some(Fault::CylinderRelabelled),
                Entry::Firm(_) => Some(Fault::FirmEntered),
                Entry::Worker(_) => Some(Fault::WorkerEntered),
                // Counted as they are drawn.
                Entry::Lift(_) | Entry::Site(_) => None,
            });
            let what = if before.is_some() { ChangeKind::Changed } else { ChangeKind::Created };
            rows.extend(self.change(at, &command.actor.id, entry.clone(), what));
        }
        let changed = rows.len() as u32 / 2;
        (rows, Answer::Done(changed))
    }

    fn replace_terminal(
        &mut self,
        at: At,
        command: &Command,
        device: DeviceCode,
        terminal: Option<&str>,
        told: &[&Row],
    ) -> (Vec<Row>, Answer) {
        if !self.known.contains(&device) {
            return (Vec::new(), Answer::NotFound);
        }
        self.counted.push(Fault::TerminalReplacedByHand);
        let what = ChangeKind::TerminalReplaced;
        let mut rows = match self.lifts.get(&device).cloned() {
            Some(before) => {
                let after = Lift { terminal: terminal.map(Into::into), ..before };
                self.change(at, &command.actor.id, Entry::Lift(after), what).to_vec()
            }
            None => {
                let (kind, code) = (archive::EntryKind::Lift, device.as_str().into());
                let actor = command.actor.id.clone();
                let change = ChangeRow { kind, code, what, changed_at: at.wall, actor, fields: Vec::new() };
                vec![Row::Change(change)]
            }
        };
        // Which one it is follows from frames, which others look at: here, that it is told and stays.
        let generation = told.iter().find_map(|row| match row {
            Row::Change(it) => it.fields.first().filter(|field| &*field.field == "generation"),
            _ => None,
        });
        if let (Some(generation), Some(Row::Change(change))) = (generation, rows.last_mut()) {
            let counts = generation.after.parse().unwrap_or_default();
            let least = self.generations.entry(device).or_default();
            *least = (*least).max(counts);
            change.fields.insert(0, generation.clone());
        }
        (rows, Answer::Done(1))
    }

    fn transfer(
        &mut self,
        at: At,
        command: &Command,
        (codes, to, on): (&[CylinderCode], SiteCode, CivilDay),
        yard: &Yard,
    ) -> (Vec<Row>, Answer) {
        let refused = (Vec::new(), Answer::Precondition);
        if self.sites.get(&to).is_none_or(|site| site.kind != SiteKind::FillingStation) || on > at.today() {
            return refused;
        }
        let (mut moved, mut is_refused) = (BTreeSet::new(), false);
        let mut after = Vec::new();
        for code in codes {
            let code = yard.resolve(*code);
            let Some(before) = self.cylinders.get(&code) else { return (Vec::new(), Answer::NotFound) };
            if before.filling_unit == Some(to) || !moved.insert(code) {
                continue;
            }
            let since = before.filling_unit_since.max(before.made_on);
            is_refused |= before.scrapped || yard.is_void(code) || since.is_some_and(|since| on < since);
            let ends = CivilDay(on.0 - 1);
            let ended = |it: &Entrustment| Entrustment { to: Some(it.to.map_or(ends, |to| to.min(ends))), ..*it };
            let entrusted = before.entrusted.iter().filter(|it| it.from <= ends).map(ended).collect();
            let (filling_unit, filling_unit_since) = (Some(to), Some(on));
            after.push(Cylinder { filling_unit, filling_unit_since, entrusted, ..before.clone() });
        }
        if is_refused {
            return refused;
        }
        let answer = Answer::Done(after.len() as u32);
        let mut rows = Vec::new();
        for entry in after {
            self.counted.push(Fault::CylinderTransferred);
            rows.extend(self.change(at, &command.actor.id, Entry::Cylinder(entry), ChangeKind::Transferred));
        }
        (rows, answer)
    }
}
