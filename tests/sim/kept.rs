//! What the store must have of the archive, of records and of due dates: all that was told up to its checkpoint, each once.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures_util::FutureExt as _;
use vigil::model::archive::{Entry, EntryKind};
use vigil::model::ids::{DeviceCode, Subject};
use vigil::model::obligation::DueRow;
use vigil::model::report::ReportRow;
use vigil::model::row::{ChangeRow, Row};
use vigil::model::time::{CivilDay, Wall};
use vigil::model::visit::{ChainLink, Digest};
use vigil::store::{
    ChangeQuery, DueQuery, Fut, LinkQuery, Numbered, ReportQuery, StandingCursor, StandingQuery, Store as _,
};

use crate::links;
use crate::model::Told;
use crate::world::{Check, World};

const ALL: usize = 1_000_000;

fn at_once<T>(answer: Fut<'_, T>) -> Result<T, String> {
    answer.now_or_never().expect("it is in memory").map_err(|error| error.to_string())
}

fn rows<T>(numbered: Vec<Numbered<T>>) -> Vec<T> {
    numbered.into_iter().map(|it| it.row).collect()
}

fn same<T: PartialEq + Debug>(what: &str, of: &dyn Debug, stored: &[T], told: &[&T]) -> Check {
    if stored.iter().eq(told.iter().copied()) {
        return Ok(());
    }
    Err(format!("P4: of {of:?} the store has as {what} {stored:?}, and told were {told:?}"))
}

impl World {
    /// P4: nothing that was told is lost, doubled or changed.
    pub(crate) fn check_kept(&self, told: &[Told]) -> Check {
        let mut all = All::default();
        told.iter().flat_map(|told| &told.effects.rows).for_each(|row| all.add(row));
        let store = &self.house.database.inner;
        for (device, told) in &all.links {
            let (device, after) = (*device, None);
            let query = LinkQuery { device, from: Wall(i64::MIN), to: Wall::MAX, after, limit: ALL };
            let stored = rows(at_once(store.links(query))?);
            check_chain(device, &stored)?;
            same("links", &device, &stored, &told.iter().collect::<Vec<_>>())?;
        }
        for (device, told) in &all.reports {
            let stored = at_once(store.reports(ReportQuery { device: *device, after: None, limit: ALL }))?;
            same("reports", device, &rows(stored), told)?;
        }
        for ((kind, code), entry) in &all.entries {
            let stored = at_once(store.entry(*kind, (*code).to_owned()))?;
            same("entry", code, stored.as_slice(), &[*entry])?;
        }
        for ((kind, code), told) in &all.changes {
            let (from, to) = (Wall(i64::MIN), Wall::MAX);
            let query = ChangeQuery { kind: *kind, code: (*code).to_owned(), from, to, after: None, limit: ALL };
            same("changes", code, &rows(at_once(store.changes(query))?), told)?;
        }
        for (subject, told) in &all.dues {
            let stored = at_once(store.due_history(DueQuery { subject: *subject, after: None, limit: ALL }))?;
            same("due dates", subject, &rows(stored), told)?;
        }
        self.check_standing_in_store(&all)?;
        self.check_incidents_in_store(told)
    }

    fn check_incidents_in_store(&self, told: &[Told]) -> Check {
        let told: Vec<_> = told.iter().flat_map(|told| &told.effects.incidents).collect();
        let mut stored = Vec::new();
        loop {
            let after = stored.len() as u64;
            let page = at_once(self.house.database.inner.incident_events_after(1, after, ALL))?;
            if page.is_empty() {
                break;
            }
            stored.extend(page);
        }
        same("entries of incidents", &"all", &stored, &told)?;
        let last: BTreeMap<_, _> = told.iter().map(|event| (event.incident.id, &event.incident)).collect();
        last.into_iter().try_for_each(|(id, incident)| {
            let stored = at_once(self.house.database.inner.incident(id))?;
            same("incident", &id, stored.as_slice(), &[incident])
        })
    }

    /// P7: no rescue that goes on is lost, none is there that wasn't told, and each has its whole timeline.
    pub(crate) fn check_rescues(&self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let core = process.spine.core();
        if self.judged_to as u64 != core.next() {
            return Ok(());
        }
        for (id, rescue) in &self.rescues.all {
            let found = core.dispatch().get(id);
            let is_same =
                found.is_some_and(|kept| kept.incident == rescue.incident && kept.timeline == rescue.timeline);
            // What is over may have been let go of.
            if !is_same && (found.is_some() || !rescue.incident.state.is_over()) {
                return Err(format!("P7: of incident {id} the core has {found:?}, and told was {rescue:?}"));
            }
        }
        let unknown = core.dispatch().iter().find(|kept| !self.rescues.all.contains_key(&kept.incident.id));
        if let Some(kept) = unknown {
            return Err(format!("P7: nobody was told of {kept:?}"));
        }
        match self.model.inbox.last() {
            Some(last) if core.is_settled() => self.rescues.check_deadlines(last.elapsed),
            _ => Ok(()),
        }
    }

    /// Of each kind the last date that was told stands, if it is any.
    fn check_standing_in_store(&self, all: &All<'_>) -> Check {
        let last: BTreeMap<_, &DueRow> =
            all.dues.values().flatten().map(|row| (StandingCursor::of(row), *row)).collect();
        let told: Vec<&DueRow> = last.into_values().filter(|row| row.due_on.is_some()).collect();
        let query = StandingQuery {
            as_of: CivilDay::LAST,
            due_before: CivilDay::LAST,
            subject: None,
            kinds: Vec::new(),
            districts: Vec::new(),
            party: None,
            after: None,
            limit: ALL,
        };
        same("what is due", &"all", &at_once(self.house.database.inner.due_standing(query))?, &told)
    }

    /// P7: each chain goes on where it ended.
    pub(crate) fn check_heads(&self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let core = process.spine.core();
        if self.judged_to as u64 != core.next() {
            return Ok(());
        }
        for lift in core.lifts().iter() {
            let expected = self.ledger.files.get(&lift.code).map(|file| file.chain()).filter(|(links, _)| *links > 0);
            if lift.chain() != expected {
                let (code, found) = (lift.code, lift.chain());
                return Err(format!("P7: the chain of {code} goes on from {found:?}, and should from {expected:?}"));
            }
        }
        Ok(())
    }
}

/// P4: every link is whole, and follows on the one before it.
fn check_chain(device: DeviceCode, stored: &[ChainLink]) -> Check {
    let mut head = Digest::default();
    for (number, link) in (1..).zip(stored) {
        let (expected, people) = match link {
            ChainLink::Visit(row) => (links::visit(&head, row), links::people(row) == row.people_digest),
            ChainLink::Signature(row) => (links::signature(&head, row), true),
        };
        if link.number() != number || link.link() != expected || !people {
            return Err(format!("P4: the chain of {device} is broken at its link {number}: {link:?}"));
        }
        head = expected;
    }
    Ok(())
}

#[derive(Default)]
struct All<'a> {
    links: BTreeMap<DeviceCode, Vec<ChainLink>>,
    reports: BTreeMap<DeviceCode, Vec<&'a ReportRow>>,
    /// The last one under each code.
    entries: BTreeMap<(EntryKind, &'a str), &'a Entry>,
    changes: BTreeMap<(EntryKind, &'a str), Vec<&'a ChangeRow>>,
    dues: BTreeMap<Subject, Vec<&'a DueRow>>,
}

impl<'a> All<'a> {
    fn add(&mut self, row: &'a Row) {
        match row {
            Row::Visit(row) => {
                self.links.entry(row.visit.device).or_default().push(ChainLink::Visit(row.clone()));
            }
            Row::Signature(row) => {
                self.links.entry(row.sign.device).or_default().push(ChainLink::Signature(row.clone()));
            }
            Row::Report(row) => self.reports.entry(row.report.device).or_default().push(row),
            Row::Entry(entry) => _ = self.entries.insert((entry.kind(), entry.code()), entry),
            Row::Change(row) => self.changes.entry((row.kind, &*row.code)).or_default().push(row),
            Row::Due(row) => self.dues.entry(row.subject).or_default().push(row),
            Row::Frame(_) | Row::Scan(_) | Row::Reject(_) | Row::Status(_) => {}
        }
    }
}
