//! A version of the core goes on where another one stopped (`docs/adr/0005-core-versions.md`).
//!
//! What the version before has told of the tail stays told. The tail is judged again, rows that the outbox lacks are
//! added, and where this version would have told other events, a higher epoch begins with what corrects them. Each step
//! goes on from what is there, so that a crash between any two of them costs nothing but another epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use super::recover::{READ_RECORDS, RecoverError, Replayed};
use super::{Released, Spine, SpineError, apply};
use crate::core::Core;
use crate::core::correction::{self, Alerts, Rescues, differences};
use crate::journal::{Entry, Journal, codec};
use crate::limits;
use crate::model::alert::AlertEvent;
use crate::model::archive::{self, EntryKind};
use crate::model::ids::Subject;
use crate::model::incident::{self, IncidentEvent, IncidentId};
use crate::model::obligation::{DueKind, DueRow};
use crate::model::record::{Corrected, Correction, Kind, Record};
use crate::model::row::{Effects, Row};
use crate::model::time::{Elapsed, Wall};

/// How a version of the core came to go on from another one's journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover {
    /// The version before.
    pub from: u32,
    pub to: u32,
    pub way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It had ended in good order: there was nothing to judge again.
    Snapshot,
    /// What was judged again led to the same events.
    SameEvents,
    /// It led to others: a higher epoch begins, with so many corrections.
    Corrected { epoch: u32, alerts: usize },
}

type Dues = BTreeMap<(Subject, DueKind), DueRow>;

/// What the outbox has of the tail.
struct Told {
    /// Frames, scans, rejects and statuses, by what makes each the same.
    rows: BTreeSet<u64>,
    /// What was told last of an entry of the archive.
    entries: BTreeMap<(EntryKind, Box<str>), archive::Entry>,
    /// What was told last of what is due.
    dues: Dues,
    /// By cause.
    events: BTreeMap<u64, u64>,
    alerts: Alerts,
    rescues: Rescues,
    /// Of the last event, and of the last one of an incident.
    seq: u64,
    incident_seq: u64,
    /// The position after the last cause.
    end: u64,
}

/// What this version makes of the tail.
struct Own {
    alerts: Alerts,
    /// Entries of the archive that it would have told.
    entries: BTreeMap<(EntryKind, Box<str>), archive::Entry>,
    dues: Dues,
    /// Other events than those told.
    differs: bool,
}

pub(super) fn take_over(mut spine: Spine, outbox_from: u64, judged_by: u32) -> Result<(Spine, Replayed), RecoverError> {
    let is_clean = spine.inbox.next() == spine.core.next();
    if outbox_from < spine.outbox.first() {
        return Err(RecoverError::Trimmed { first: spine.outbox.first(), wanted: outbox_from, judged_by });
    }
    let mut told = Told::read(&*spine.outbox, outbox_from, &spine.core)?;
    if told.end > spine.inbox.next() {
        let why = format!("it has effects of position {}, the inbox ends before {}", told.end - 1, spine.inbox.next());
        return Err(RecoverError::Ahead { why });
    }
    spine.sign()?;
    let mut replayed = Replayed::default();
    let mut own = rejudge(&mut spine, &mut told, &mut replayed)?;
    replayed.added += tell_entries(&mut spine, &told, &own)?;
    spine.outbox.release()?;
    let is_corrected = own.differs
        || told.seq > spine.core.seq()
        || !own.differences(&told, &spine.core).is_empty()
        || !told.rescues(&spine.core, 0).is_empty();
    let way = if is_corrected {
        let (epoch, alerts) = correct(&mut spine, &mut told, &mut own)?;
        Way::Corrected { epoch, alerts }
    } else if is_clean {
        Way::Snapshot
    } else {
        Way::SameEvents
    };
    spine.sync()?;
    replayed.takeover = Some(Takeover { from: judged_by, to: spine.core.version(), way });
    Ok((spine, replayed))
}

impl Spine {
    /// Notes in the inbox that this version judges from here on, before anything else is written: an older program that
    /// is started again finds it, whatever comes in between.
    fn sign(&mut self) -> Result<(), RecoverError> {
        let (elapsed, wall) = last_moment(&*self.inbox, &self.core)?;
        let kind = Kind::Core { version: self.core.version(), epoch: self.inbox.identity().epoch };
        let mut bytes = Vec::new();
        codec::encode_record(&Record { pos: 0, elapsed, wall, kind }, &mut bytes);
        self.inbox.append(&bytes)?;
        self.inbox.sync()?;
        Ok(())
    }
}

/// When the last record was written.
fn last_moment(inbox: &dyn Journal, core: &Core) -> Result<(Elapsed, Wall), RecoverError> {
    let mut entries = Vec::new();
    if inbox.next() > core.next() {
        inbox.reader().read(inbox.next() - 1, 1, 1, &mut entries)?;
    }
    let Some(Entry { pos, payload, .. }) = entries.pop() else {
        return Ok((core.now().elapsed, core.now().wall));
    };
    let last = codec::decode_record(pos, payload).map_err(|error| RecoverError::Record { pos, error })?;
    Ok((last.elapsed, last.wall))
}

impl Told {
    fn read(outbox: &dyn Journal, from: u64, core: &Core) -> Result<Self, RecoverError> {
        let mut told = Self {
            rows: BTreeSet::new(),
            entries: BTreeMap::new(),
            dues: Dues::new(),
            events: BTreeMap::new(),
            alerts: core.open_alerts().into_iter().collect(),
            rescues: rescues_of(core),
            seq: core.seq(),
            incident_seq: core.incident_cursor().seq,
            end: core.next(),
        };
        let (mut reader, mut entries) = (outbox.reader(), Vec::new());
        let mut next = from;
        loop {
            reader.read(next, READ_RECORDS, limits::GROUP_BYTES, &mut entries)?;
            let Some(last) = entries.last() else { return Ok(told) };
            next = last.pos + 1;
            for Entry { pos, payload, .. } in entries.drain(..) {
                let entry = codec::decode_effects(payload).map_err(|error| RecoverError::Entry { pos, error })?;
                told.take(entry.0, entry.1);
            }
        }
    }

    fn take(&mut self, cause: u64, effects: Effects) {
        self.end = self.end.max(cause + 1);
        if !effects.events.is_empty() || !effects.incidents.is_empty() {
            self.events.insert(cause, sum(&effects));
        }
        for row in effects.rows {
            match row {
                Row::Entry(entry) => _ = self.entries.insert(key_of_entry(&entry), entry),
                Row::Due(due) => _ = self.dues.insert((due.subject, due.kind), due),
                row => _ = self.rows.insert(key(cause, &row)),
            }
        }
        self.take_events(&effects.events);
        self.take_incidents(&effects.incidents);
    }

    /// How rescues go on that were told otherwise than the core has them.
    fn rescues(&self, core: &Core, epoch: u32) -> Vec<(IncidentId, Vec<incident::Entry>)> {
        correction::rescues(&self.rescues, &rescues_of(core), epoch, core.dispatch().number)
    }

    fn take_incidents(&mut self, incidents: &[IncidentEvent]) {
        correction::add_rescues(&mut self.rescues, incidents);
        let last = incidents.iter().map(|event| event.entry.seq).max();
        self.incident_seq = self.incident_seq.max(last.unwrap_or_default());
    }

    fn take_events(&mut self, events: &[AlertEvent]) {
        for event in events {
            self.alerts.take(event);
            self.seq = self.seq.max(event.seq);
        }
    }
}

fn rescues_of(core: &Core) -> Rescues {
    let mut rescues = Rescues::new();
    correction::add_rescues(&mut rescues, &core.incident_events());
    rescues
}

/// What makes a row the same, by whichever version: of a frame or scan what the device said of it, of others what they
/// come from. Generations are counted by us; only where the device gives no time they must tell frames apart.
fn key(cause: u64, row: &Row) -> u64 {
    let mut hash = DefaultHasher::new();
    match row {
        Row::Frame(it) => {
            let generation = it.frame.claimed_at.is_none().then_some(it.generation);
            (1, it.device, it.frame.key.boot, it.frame.key.seq, it.frame.claimed_at.map(Wall::ms), generation)
                .hash(&mut hash);
        }
        Row::Scan(it) => {
            let generation = it.scan.claimed_at.is_none().then_some(it.generation);
            let (scan, claimed) = (&it.scan, it.scan.claimed_at.map(Wall::ms));
            (2, it.site, &scan.scanner, scan.key.boot, scan.key.seq, claimed, generation).hash(&mut hash);
        }
        Row::Reject(it) => (3, cause, &it.topic, it.reason, &it.pointer).hash(&mut hash),
        Row::Status(it) => (4, cause, it.device).hash(&mut hash),
        Row::Entry(it) => (5, cause, it.kind().name(), it.code()).hash(&mut hash),
        Row::Change(it) => (10, cause, it.kind.name(), &it.code, it.what).hash(&mut hash),
        Row::Due(it) => (6, cause, it.subject, it.kind).hash(&mut hash),
        Row::Report(it) => (7, cause, it.report.party, it.report.id).hash(&mut hash),
        Row::Visit(it) => (8, it.visit.device, it.number).hash(&mut hash),
        Row::Signature(it) => (8, it.sign.device, it.number).hash(&mut hash),
    }
    hash.finish()
}

fn key_of_entry(entry: &archive::Entry) -> (EntryKind, Box<str>) {
    (entry.kind(), entry.code().into())
}

/// Equal for events that make no difference to whoever acts on them. What they give as evidence, and how they call it,
/// may differ.
fn sum(effects: &Effects) -> u64 {
    let mut hash = DefaultHasher::new();
    for AlertEvent { epoch, seq, kind, alert, .. } in &effects.events {
        let acknowledged = alert.acknowledged.as_ref().map(|it| (&it.by, it.at.ms()));
        let stands = (alert.severity, alert.certainty, alert.opened_at.ms(), &alert.dispatch, acknowledged);
        (epoch, seq, kind, alert.id.to_string(), stands).hash(&mut hash);
    }
    for IncidentEvent { entry, incident } in &effects.incidents {
        let stands = (incident.id, incident.state, entry.party.as_ref().map(|party| (party.tier, &party.id)));
        (entry.epoch, entry.seq, entry.what, entry.since_ms, stands).hash(&mut hash);
    }
    hash.finish()
}

/// Judges the tail. As long as the events are those that were told, it is gone on with where the outbox ends; once they
/// are not, only rows are added, since later events would carry numbers that are taken.
fn rejudge(spine: &mut Spine, told: &mut Told, replayed: &mut Replayed) -> Result<Own, RecoverError> {
    let Spine { inbox, outbox, core, poison, .. } = spine;
    let alerts = core.open_alerts().into_iter().collect();
    let mut own = Own { alerts, entries: BTreeMap::new(), dues: Dues::new(), differs: false };
    let (mut reader, mut entries, mut bytes) = (inbox.reader(), Vec::new(), Vec::new());
    loop {
        reader.read(core.next(), READ_RECORDS, limits::GROUP_BYTES, &mut entries)?;
        if entries.is_empty() {
            return Ok(own);
        }
        for Entry { pos, payload, .. } in entries.drain(..) {
            let record = codec::decode_record(pos, payload).map_err(|error| RecoverError::Record { pos, error })?;
            own.meet(&record, core.version())?;
            let effects = apply(core, &mut **poison, &record)?;
            replayed.records += 1;
            let lacking = own.lacking(told, pos, effects);
            if lacking.is_empty() {
                replayed.compared += u64::from(told.events.contains_key(&pos));
                continue;
            }
            bytes.clear();
            codec::encode_effects(pos, &lacking, &mut bytes);
            let next_seq = core.seq().max(told.seq) + 1;
            outbox.set_mark(lacking.events.first().map_or(next_seq, |event| event.seq));
            outbox.append(&bytes)?;
            replayed.added += 1;
        }
    }
}

impl Own {
    fn meet(&mut self, record: &Record, ours: u32) -> Result<(), RecoverError> {
        match record.kind {
            Kind::Core { version, .. } if version > ours => Err(RecoverError::Newer { got: version, ours }),
            // An earlier start of this version has come so far: what differed before is corrected from here on.
            Kind::Correction(_) => {
                self.differs = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn differences(&self, told: &Told, core: &Core) -> Vec<Corrected> {
        differences(&told.alerts, &self.alerts.clone().with_open(core.open_alerts()), core.now().wall)
    }

    /// What the outbox lacks of the effects of the record at `pos`. Behind its end that is all of them, so that a version
    /// that judges the same leaves the same bytes.
    fn lacking(&mut self, told: &mut Told, pos: u64, mut effects: Effects) -> Effects {
        let is_judged = pos < told.end;
        effects.events.iter().for_each(|event| self.alerts.take(event));
        let tells = !effects.events.is_empty() || !effects.incidents.is_empty();
        let events = tells.then(|| sum(&effects));
        self.differs |= is_judged && events != told.events.get(&pos).copied();
        let goes_on = !is_judged && !self.differs;
        if !goes_on {
            effects.events.clear();
            effects.incidents.clear();
        }
        told.take_events(&effects.events);
        told.take_incidents(&effects.incidents);
        effects.rows.retain(|row| match row {
            Row::Entry(entry) => {
                self.entries.insert(key_of_entry(entry), entry.clone());
                if goes_on {
                    told.entries.insert(key_of_entry(entry), entry.clone());
                }
                goes_on
            }
            Row::Due(due) => {
                self.dues.insert((due.subject, due.kind), due.clone());
                if goes_on {
                    told.dues.insert((due.subject, due.kind), due.clone());
                }
                goes_on
            }
            row => !told.rows.contains(&key(pos, row)),
        });
        effects
    }
}

/// Tells the archive's entries and the due dates that were touched, where what was told last is not how they stand. Each
/// replaces the one before it, so they can't be told where they lacked.
fn tell_entries(spine: &mut Spine, told: &Told, own: &Own) -> Result<u64, RecoverError> {
    let touched: BTreeMap<_, _> = told.entries.iter().chain(&own.entries).collect();
    let is_told = |entry: &archive::Entry| told.entries.get(&key_of_entry(entry)) == Some(entry);
    let present = touched.values().filter_map(|entry| spine.core.present_entry(entry));
    let mut rows: Vec<Row> = present.filter(|entry| !is_told(entry)).map(Row::Entry).collect();
    let touched: Dues = told.dues.iter().chain(&own.dues).map(|(key, due)| (*key, due.clone())).collect();
    for (key, due) in &touched {
        let stands = |due: &DueRow| (due.due_on, due.basis_on, due.clause.clone(), due.district, due.party);
        let present = spine.core.present_due(due);
        rows.extend(present.filter(|now| told.dues.get(key).map(stands) != Some(stands(now))).map(Row::Due));
    }
    let cause = spine.core.next().saturating_sub(1);
    let mut bytes = Vec::new();
    for rows in rows.chunks(limits::COMMAND_ITEMS) {
        bytes.clear();
        codec::encode_effects(cause, &Effects { rows: rows.to_vec(), ..Effects::default() }, &mut bytes);
        spine.outbox.append(&bytes)?;
    }
    Ok(rows.len().div_ceil(limits::COMMAND_ITEMS) as u64)
}

/// Begins a higher epoch with what corrects the events told. Returns it, and how many alerts were corrected.
fn correct(spine: &mut Spine, told: &mut Told, own: &mut Own) -> Result<(u32, usize), RecoverError> {
    let epoch = spine.inbox.identity().epoch.max(spine.outbox.identity().epoch).max(spine.core.epoch()) + 1;
    let seq = told.seq;
    spine.outbox.set_mark(seq + 1);
    spine.inbox.raise_epoch(epoch)?;
    spine.outbox.raise_epoch(epoch)?;
    // What was told of incidents, whoever told it, goes no further than this.
    let mut incident_seq = told.incident_seq.max(spine.core.incident_cursor().seq);
    // One in each record: a timeline may be long.
    for rescue in told.rescues(&spine.core, epoch) {
        let (numbers, alerts, rescues) = (Vec::new(), Vec::new(), vec![rescue]);
        tell(spine, told, own, Correction { epoch, seq, incident_seq, numbers, alerts, rescues })?;
    }
    // Numbers first: an alert that is open under both may get the one that people know it by.
    let numbers = told.alerts.unknown_to(&own.alerts);
    let (first, rest) = numbers.split_at(numbers.len().min(limits::CORRECTIONS));
    for numbers in std::iter::once(first).chain(rest.chunks(limits::CORRECTIONS)) {
        let correction =
            Correction { epoch, seq, incident_seq, numbers: numbers.to_vec(), alerts: Vec::new(), rescues: Vec::new() };
        // Once they are told anew, they are.
        incident_seq = 0;
        tell(spine, told, own, correction)?;
    }
    let alerts = own.differences(told, &spine.core);
    for alerts in alerts.chunks(limits::CORRECTIONS) {
        tell(
            spine,
            told,
            own,
            Correction {
                epoch,
                seq,
                incident_seq: 0,
                numbers: Vec::new(),
                alerts: alerts.to_vec(),
                rescues: Vec::new(),
            },
        )?;
    }
    Ok((epoch, alerts.len()))
}

fn tell(spine: &mut Spine, told: &mut Told, own: &mut Own, correction: Correction) -> Result<(), SpineError> {
    let now = spine.core.now();
    let Released { events, incidents, .. } = spine.enter(Kind::Correction(correction), now.elapsed, now.wall)?;
    told.take_events(&events);
    told.take_incidents(&incidents);
    events.iter().for_each(|event| own.alerts.take(event));
    Ok(())
}
