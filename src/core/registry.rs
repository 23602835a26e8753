//! Writes to the archive: entries as a whole, another terminal for a lift, another filling unit for cylinders. Each change
//! is told with who made it.

use rpds::RedBlackTreeMapSync;

use super::kept::{KeptCylinder, KeptLift};
use super::{Core, Effects};
use crate::limits;
use crate::model::actor::Actor;
use crate::model::archive::{self, Entrustment, Entry, EntryKind, FieldChange, SiteKind};
use crate::model::ids::{CylinderCode, DeviceCode, SiteCode};
use crate::model::record::Outcome;
use crate::model::row::{ChangeKind, ChangeRow, Row};
use crate::model::time::CivilDay;

/// Cylinders that are named when a transfer is refused.
const REFUSED_NAMED: usize = 10;

impl Core {
    pub(super) fn upsert(&mut self, out: &mut Effects, actor: &Actor, entries: &[Entry]) -> Outcome {
        if entries.len() > limits::COMMAND_ITEMS {
            let why = format!("{} entries; send at most {} at a time", entries.len(), limits::COMMAND_ITEMS);
            return Outcome::Precondition { why: why.into() };
        }
        let mut changed = 0;
        for entry in entries {
            match self.upsert_one(out, actor, entry) {
                Some(true) => changed += 1,
                Some(false) => {}
                None => {
                    let (kind, code) = (entry.kind().name(), entry.code());
                    let why = format!("{kind} {code} would be more of its kind than this service takes");
                    return Outcome::Precondition { why: why.into() };
                }
            }
        }
        self.done(changed)
    }

    /// Whether it changed anything; `None`: there are too many.
    fn upsert_one(&mut self, out: &mut Effects, actor: &Actor, entry: &Entry) -> Option<bool> {
        let before = self.present_entry(entry);
        if before.as_ref() == Some(entry) {
            return Some(false);
        }
        match entry {
            Entry::Lift(lift) => self.put_lift(out, lift)?,
            Entry::Cylinder(cylinder) => self.put_cylinder(out, cylinder)?,
            Entry::Firm(firm) => put(&mut self.firms, firm.id, firm, limits::FIRMS)?,
            Entry::Site(site) => put(&mut self.sites, site.code, site, limits::SITES)?,
            Entry::Worker(worker) => put(&mut self.workers, worker.id, worker, limits::WORKERS)?,
        }
        let (what, fields) = match &before {
            Some(before) => (ChangeKind::Changed, archive::changes(before, entry)),
            None => (ChangeKind::Created, Vec::new()),
        };
        self.tell_entry(out, actor, entry.clone(), what, fields);
        Some(true)
    }

    fn put_lift(&mut self, out: &mut Effects, entry: &archive::Lift) -> Option<()> {
        let ix = self.lift(&entry.code)?;
        let mut kept = KeptLift::from(entry);
        kept.share(&mut self.pools);
        let today = self.day();
        let (mut cx, lifts, _) = self.context(out);
        let lift = lifts.get_mut(ix);
        lift.entry = Some(kept);
        lift.follow(&mut cx, today);
        lift.judge_due_dates(&mut cx, today);
        lift.entry_changed(&mut cx);
        self.settle(ix);
        self.note_rescue_code(ix, entry.rescue_code.as_deref());
        self.follow_archive(out, entry.code);
        Some(())
    }

    fn put_cylinder(&mut self, out: &mut Effects, entry: &archive::Cylinder) -> Option<()> {
        let ix = match self.cylinder_named(&entry.code) {
            Some(ix) => ix,
            None => self.new_cylinder(&entry.code)?,
        };
        let mut kept = KeptCylinder::from(entry);
        kept.share(&mut self.pools);
        self.inherit(ix, &kept);
        self.relabel(ix, &kept);
        let (today, filled_at) = (self.day(), self.filled_at(ix));
        let (mut cx, _, cylinders) = self.context(out);
        let cylinder = cylinders.get_mut(ix);
        cylinder.entry = Some(kept);
        // Whoever changes the archive has looked which of the two cylinders it is.
        cylinder.duplicate = false;
        cylinder.follow(&mut cx, filled_at, today);
        Some(())
    }

    /// What speaks against filling a cylinder doesn't end with a new label: it goes over from the codes that the new entry is
    /// the first to name.
    fn inherit(&mut self, ix: u32, entry: &KeptCylinder) {
        for code in entry.aliases() {
            let is_named = self.index.aliases.contains(&(*code, ix));
            let Some(before) = self.cylinder_named(code).filter(|before| !is_named && *before != ix) else { continue };
            let before = self.cylinders.get(before).clone();
            self.cylinders.get_mut(ix).inherit(&before);
        }
    }

    /// Has the cylinder found by the codes that its new entry says it had before.
    fn relabel(&mut self, ix: u32, entry: &KeptCylinder) {
        let before = self.cylinders.get(ix).entry.as_ref().map_or(&[][..], KeptCylinder::aliases);
        for code in before {
            self.index.aliases.remove_mut(&(*code, ix));
        }
        for code in entry.aliases() {
            self.index.aliases.insert_mut((*code, ix));
        }
    }

    /// The entry as it is now, and how it came to be.
    fn tell_entry(&self, out: &mut Effects, actor: &Actor, entry: Entry, what: ChangeKind, fields: Vec<FieldChange>) {
        let (kind, code, changed_at) = (entry.kind(), entry.code().into(), self.books.now.wall);
        out.rows.push(Row::Entry(entry));
        out.rows.push(Row::Change(ChangeRow { kind, code, what, changed_at, actor: actor.id.clone(), fields }));
    }

    /// Another terminal for a lift, whether the archive knows the lift or not.
    pub(super) fn replace_terminal(
        &mut self,
        out: &mut Effects,
        actor: &Actor,
        device: &DeviceCode,
        terminal: Option<&str>,
    ) -> Outcome {
        let not_found = || Outcome::NotFound { what: format!("lift {device}").into() };
        let Some(ix) = self.lift_at(device) else { return not_found() };
        let before = self.lifts.get(ix).archived();
        let is_seen = before.clone().map_or(actor.sees(None), |entry| actor.sees_entry(&Entry::Lift(entry)));
        if !is_seen {
            return not_found();
        }
        let (mut cx, lifts, _) = self.context(out);
        let (counted, counts) = lifts.get_mut(ix).replace_terminal(&mut cx);
        self.settle(ix);
        let generation = FieldChange {
            field: "generation".into(),
            before: counted.to_string().into(),
            after: counts.to_string().into(),
        };
        let mut fields = vec![generation];
        let after = before.clone().map(|before| archive::Lift { terminal: terminal.map(Into::into), ..before });
        if let (Some(before), Some(after)) = (before, after) {
            fields.extend(archive::changes(&Entry::Lift(before), &Entry::Lift(after.clone())));
            self.put_lift(out, &after).expect("a lift that is there needs no room");
            self.tell_entry(out, actor, Entry::Lift(after), ChangeKind::TerminalReplaced, fields);
        } else {
            out.rows.push(Row::Change(ChangeRow {
                kind: EntryKind::Lift,
                code: device.as_str().into(),
                what: ChangeKind::TerminalReplaced,
                changed_at: self.books.now.wall,
                actor: actor.id.clone(),
                fields,
            }));
        }
        self.done(1)
    }

    /// Another filling unit for cylinders. Nothing is changed if it can't be for one of them.
    pub(super) fn transfer(
        &mut self,
        out: &mut Effects,
        actor: &Actor,
        cylinders: &[CylinderCode],
        to: &SiteCode,
        on: CivilDay,
    ) -> Outcome {
        let refused = |why: String| Outcome::Precondition { why: why.into() };
        if cylinders.len() > limits::TRANSFERRED {
            return refused(format!("{} cylinders; send at most {} at a time", cylinders.len(), limits::TRANSFERRED));
        }
        if self.sites.get(to).is_none_or(|site| site.kind != SiteKind::FillingStation) {
            return refused(format!("{to} is no filling station that the archive knows: enter it first"));
        }
        let today = self.day();
        if on > today {
            return refused(format!("{on} is to come, today is {today}: transfer cylinders on the day or after it"));
        }
        let mut moved: Vec<(archive::Cylinder, archive::Cylinder)> = Vec::new();
        let mut faults = Vec::new();
        for code in cylinders {
            match self.transferred(actor, code, to, on) {
                // It may be named by several of its codes.
                Ok(Some((before, _))) if moved.iter().any(|(other, _)| other.code == before.code) => {}
                Ok(pair) => moved.extend(pair),
                Err(Refused::NotFound) => return Outcome::NotFound { what: format!("cylinder {code}").into() },
                Err(Refused::Because(why)) => faults.push(format!("{code}: {why}")),
            }
        }
        if !faults.is_empty() {
            let more = faults.len().saturating_sub(REFUSED_NAMED);
            faults.truncate(REFUSED_NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return refused(format!("nothing is transferred: {}{more}", faults.join("; ")));
        }
        let count = moved.len() as u32;
        for (before, after) in moved {
            let fields = archive::changes(&Entry::Cylinder(before), &Entry::Cylinder(after.clone()));
            self.put_cylinder(out, &after).expect("a cylinder that is there needs no room");
            self.tell_entry(out, actor, Entry::Cylinder(after), ChangeKind::Transferred, fields);
        }
        self.done(count)
    }

    /// A cylinder as it is and as it will be; `None`: it is that unit's already.
    fn transferred(
        &self,
        actor: &Actor,
        code: &CylinderCode,
        to: &SiteCode,
        on: CivilDay,
    ) -> Result<Option<(archive::Cylinder, archive::Cylinder)>, Refused> {
        let found = self.cylinder_at(code).map(|ix| self.cylinders.get(ix)).ok_or(Refused::NotFound)?;
        let before = found.archived().ok_or(Refused::NotFound)?;
        if !actor.sees_entry(&Entry::Cylinder(before.clone())) {
            return Err(Refused::NotFound);
        }
        if before.filling_unit == Some(*to) {
            return Ok(None);
        }
        if before.scrapped || found.scrapped {
            return Err(Refused::Because("it is scrapped, and its code void".to_owned()));
        }
        if found.duplicate {
            let why = "two cylinders bear this code: put its entry right first";
            return Err(Refused::Because(why.to_owned()));
        }
        let first = before.filling_unit_since.max(before.made_on).filter(|first| on < *first);
        if let Some(first) = first {
            return Err(Refused::Because(format!(
                "it is its present unit's, or made, since {first}, which is after {on}"
            )));
        }
        // What its former unit entrusted to others ends with the unit.
        let ends = CivilDay(on.0.saturating_sub(1));
        let entrusted = before.entrusted.iter().filter(|it| it.from <= ends);
        let entrusted = entrusted.map(|it| Entrustment { to: Some(it.to.map_or(ends, |to| to.min(ends))), ..*it });
        let entrusted = entrusted.collect();
        let after =
            archive::Cylinder { filling_unit: Some(*to), filling_unit_since: Some(on), entrusted, ..before.clone() };
        Ok(Some((before, after)))
    }
}

/// Why a cylinder can't be transferred.
enum Refused {
    NotFound,
    Because(String),
}

/// Puts an entry into its table; `None`: the table is full.
fn put<K: Ord, V: Clone>(table: &mut RedBlackTreeMapSync<K, V>, key: K, entry: &V, most: usize) -> Option<()> {
    if table.size() >= most && !table.contains_key(&key) {
        return None;
    }
    table.insert_mut(key, entry.clone());
    Some(())
}
