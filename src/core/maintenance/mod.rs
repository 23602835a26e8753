//! Records of maintenance visits: which are taken, and what follows from them.

mod check;
pub mod known;
pub mod records;
#[cfg(test)]
mod tests;

use sha2::{Digest as _, Sha256};

use self::known::{Key, KnownRecord, name};
use self::records::Records;
use super::obligation::lift::VISITS;
use super::obligation::upkeep::Visited;
use super::tables::maintenance::Class;
use super::{Core, Effects, chain};
use crate::limits;
use crate::model::actor::{Actor, Scope};
use crate::model::archive::Worker;
use crate::model::ids::FirmId;
use crate::model::obligation::DueKind;
use crate::model::record::{ItemOutcome, Outcome};
use crate::model::row::Row;
use crate::model::time::CivilDay;
use crate::model::visit::{ChainLink, Digest, Sign, SignatureRow, Upload, Visit, VisitFlag, VisitKind, VisitRow};

fn digest(text: &str) -> Digest {
    Digest(Sha256::digest(text.as_bytes()).into())
}

impl Core {
    /// Takes records, each by itself.
    pub(super) fn upload_visits(&mut self, out: &mut Effects, actor: &Actor, uploads: &[Upload]) -> Outcome {
        if uploads.len() > limits::VISITS {
            let why = format!("{} records; send at most {} at a time", uploads.len(), limits::VISITS);
            return Outcome::Precondition { why: why.into() };
        }
        let today = self.day();
        self.known_records.sweep(today);
        let items = uploads.iter().map(|upload| self.take_visit(out, actor, upload, today)).collect();
        Outcome::Items { position: self.next - 1, items }
    }

    fn take_visit(&mut self, out: &mut Effects, actor: &Actor, upload: &Upload, today: CivilDay) -> ItemOutcome {
        let visit = &upload.visit;
        if let Err(outcome) = self.may_upload(actor, visit) {
            return outcome;
        }
        let (key, content) = (Key::of(&visit.firm, &visit.record), KnownRecord::content_of(&chain::content(visit)));
        if let Some(known) = self.known_records.find(key, today) {
            return again(visit, known.content == content);
        }
        if !upload.looked_up && self.is_beyond_memory(visit, today) {
            let why = "it is so old that it isn't known whether it was uploaded before: the database must be asked";
            return ItemOutcome::Precondition { why: why.into() };
        }
        let ix = match self.lift_at(&visit.device) {
            Some(ix) if self.lifts.get(ix).entry.is_some() => ix,
            _ => return ItemOutcome::NotFound { what: format!("lift {}", visit.device).into() },
        };
        let class = self.class_of(ix);
        let faults = check::faults(visit, class, self.books.now.wall);
        if !faults.is_empty() {
            return ItemOutcome::Invalid(faults);
        }
        let mut flags = check::flags(visit, class);
        if let Err(outcome) = self.check_others(visit, ix, today) {
            return outcome;
        }
        if self.known_records.len() >= limits::RECORD_IDS {
            let why = "this service remembers as many records as it can: try again tomorrow";
            return ItemOutcome::Precondition { why: why.into() };
        }
        flags.extend(self.flags_by_archive(visit, ix));
        flags.sort_unstable();
        flags.dedup();
        self.know(visit, content, today);
        let names = flags.iter().map(|flag| flag.name()).collect();
        self.record(out, ix, upload, flags);
        ItemOutcome::Taken { flags: names }
    }

    fn may_upload(&self, actor: &Actor, visit: &Visit) -> Result<(), ItemOutcome> {
        let is_theirs = match &actor.scope {
            Scope::All => true,
            Scope::Firm(own) => *own == visit.firm,
            Scope::Districts(_) => {
                let lift = self.lift_at(&visit.device).map(|ix| self.lifts.get(ix));
                let district = lift.and_then(|lift| lift.entry.as_ref()).and_then(|entry| entry.district());
                actor.sees(district.as_ref())
            }
            Scope::Site(_) => false,
        };
        if is_theirs {
            return Ok(());
        }
        Err(ItemOutcome::Denied { why: format!("you may not upload records of firm {}", visit.firm).into() })
    }

    fn is_beyond_memory(&self, visit: &Visit, today: CivilDay) -> bool {
        let ended = CivilDay::of(visit.ended_at, &self.policy.zone);
        today.days_since(ended) > i64::from(limits::RECORD_MEMORY_DAYS)
    }

    /// The records that it names.
    fn check_others(&self, visit: &Visit, ix: u32, today: CivilDay) -> Result<(), ItemOutcome> {
        let device = KnownRecord::device_of(&visit.device);
        if let Some(old) = &visit.supersedes {
            let what = || format!("record {old} of firm {}, which it supersedes,", visit.firm);
            match self.known_records.find(Key::of(&visit.firm, old), today) {
                None => return Err(ItemOutcome::NotFound { what: what().into() }),
                Some(known) if known.superseded => {
                    let why = format!("{} is superseded already: supersede the one that did", what());
                    return Err(ItemOutcome::Precondition { why: why.into() });
                }
                Some(known) if known.device != device => {
                    let why = format!("{} is of another lift", what());
                    return Err(ItemOutcome::Precondition { why: why.into() });
                }
                Some(_) => {}
            }
        }
        let open = self.lifts.get(ix).records.as_ref().map_or(&[][..], |records| &records.hazards);
        for id in &visit.rectifies {
            let key = Key::of(&visit.firm, id);
            let is_known = self.known_records.find(key, today).is_some_and(|known| known.device == device);
            if !is_known && !open.iter().any(|it| it.name == name(&visit.firm, id)) {
                let what = format!("record {id} of firm {} and this lift, which it rectifies,", visit.firm);
                return Err(ItemOutcome::NotFound { what: what.into() });
            }
        }
        Ok(())
    }

    /// What is odd about it by the archive, on the day of the visit.
    fn flags_by_archive(&self, visit: &Visit, ix: u32) -> Vec<VisitFlag> {
        let day = CivilDay::of(visit.ended_at, &self.policy.zone);
        let mut flags = Vec::new();
        let mut add = |is: bool, flag| flags.extend(is.then_some(flag));
        add(!self.firms.contains_key(&visit.firm), VisitFlag::FirmUnknown);
        add(!self.is_contracted(visit.firm, ix, day), VisitFlag::NotContracted);
        for id in &visit.workers {
            let worker = self.workers.get(id);
            add(worker.is_none(), VisitFlag::WorkerUnknown);
            add(worker.is_some_and(|it| it.firm != Some(visit.firm)), VisitFlag::ForeignWorker);
            let is_certified = |it: &Worker| it.certified_until.is_some_and(|until| day <= until);
            add(worker.is_some_and(|it| !is_certified(it)), VisitFlag::CertificateExpired);
        }
        flags
    }

    /// Which list of items holds for a lift.
    fn class_of(&self, ix: u32) -> Option<&Class> {
        let entry = self.lifts.get(ix).entry.as_ref()?;
        let catalogue = entry.catalogue();
        self.policy.tables.maintenance.class_for(entry.equipment, catalogue.as_ref().map(|it| it.as_str()))
    }

    fn is_contracted(&self, firm: FirmId, ix: u32, day: CivilDay) -> bool {
        let Some(entry) = &self.lifts.get(ix).entry else { return false };
        entry.firm() == Some(firm) && entry.contract().is_none_or(|contract| contract.covers(day))
    }

    /// Links it to its lift's chain, and says what follows.
    fn record(&mut self, out: &mut Effects, ix: u32, upload: &Upload, flags: Vec<VisitFlag>) {
        let visit = &upload.visit;
        let now = self.books.now;
        let records = self.lifts.get_mut(ix).records.get_or_insert_with(|| Box::new(Records::new(now.elapsed)));
        let number = records.links + 1;
        let people_digest = chain::people(&visit.people, &upload.salt);
        let mut row = VisitRow {
            visit: visit.clone(),
            number,
            recorded_at: now.wall,
            flags,
            people_digest,
            salt: (!visit.people.is_empty()).then_some(upload.salt),
            link: Digest::default(),
        };
        row.link = chain::link_of_visit(&records.head, &row);
        (records.links, records.head) = (number, row.link);
        records.note(visit, number, now.elapsed);
        out.rows.push(Row::Visit(Box::new(row)));
        let today = self.day();
        self.follow_records(out, ix, Some(visit), today);
    }

    pub(super) fn sign(&mut self, out: &mut Effects, actor: &Actor, sign: &Sign) -> Outcome {
        let not_found = || {
            let what = format!(
                "record {} of firm {} that waits to be signed, at lift {},",
                sign.record, sign.firm, sign.device
            );
            Outcome::NotFound { what: what.into() }
        };
        let Some(ix) = self.lift_at(&sign.device) else { return not_found() };
        let now = self.books.now;
        let lift = self.lifts.get_mut(ix);
        let district = lift.entry.as_ref().and_then(|entry| entry.district());
        if !actor.sees(district.as_ref()) {
            return not_found();
        }
        let Some(records) = lift.records.as_mut() else { return not_found() };
        let Some(visit_number) = records.sign(&name(&sign.firm, &sign.record)) else { return not_found() };
        let number = records.links + 1;
        let mut row =
            SignatureRow { sign: sign.clone(), number, visit_number, signed_at: now.wall, link: Digest::default() };
        row.link = chain::link_of_signature(&records.head, &row);
        (records.links, records.head) = (number, row.link);
        out.rows.push(Row::Signature(row));
        let today = self.day();
        self.follow_records(out, ix, None, today);
        self.done(1)
    }

    /// Takes what the store has for what was recorded: chains go on where they end.
    pub(super) fn adopt_records(&mut self, out: &mut Effects, links: &[ChainLink]) -> Outcome {
        let (now, today) = (self.books.now.elapsed, self.day());
        for link in links.iter().take(limits::VISITS) {
            let Some(ix) = self.lift(&link.device()) else { continue };
            let records = self.lifts.get_mut(ix).records.get_or_insert_with(|| Box::new(Records::new(now)));
            (records.links, records.head) = (link.number(), link.link());
            let visit = match link {
                ChainLink::Signature(row) => {
                    records.sign(&name(&row.sign.firm, &row.sign.record));
                    None
                }
                ChainLink::Visit(row) => {
                    records.note(&row.visit, row.number, now);
                    Some(&row.visit)
                }
            };
            if let Some(visit) = visit {
                let content = KnownRecord::content_of(&chain::content(visit));
                self.know(visit, content, CivilDay::of(link.recorded_at(), &self.policy.zone));
            }
            self.follow_records(out, ix, visit, today);
        }
        self.done(u32::try_from(links.len()).unwrap_or(u32::MAX))
    }

    /// Remembers the record's id, and that the one it supersedes is superseded.
    fn know(&mut self, visit: &Visit, content: u64, on: CivilDay) {
        let known = KnownRecord { content, device: KnownRecord::device_of(&visit.device), day: on, superseded: false };
        self.known_records.insert(Key::of(&visit.firm, &visit.record), &known);
        if let Some(old) = &visit.supersedes {
            let old = Key::of(&visit.firm, old);
            if let Some(known) = self.known_records.find(old, on) {
                self.known_records.insert(old, &KnownRecord { superseded: true, ..known });
            }
        }
    }

    /// Rules on what is open of a lift's records.
    fn follow_records(&mut self, out: &mut Effects, ix: u32, visit: Option<&Visit>, today: CivilDay) {
        let (mut cx, lifts, _) = self.context(out);
        let lift = lifts.get_mut(ix);
        lift.follow(&mut cx, today);
        if let Some(visit) = visit {
            lift.note_maintained(&mut cx, visit);
            if let Some(old) = &visit.supersedes {
                lift.upkeep_mut().withdraw_visit(Key::of(&visit.firm, old).short());
            }
            if let Some(nth) = place_of(visit.kind) {
                let (on, key) = (CivilDay::of(visit.ended_at, &cx.policy.zone), Key::of(&visit.firm, &visit.record));
                lift.upkeep_mut().note_visit(Visited { nth, on, key: Some(key.short()) });
            }
            lift.judge_due_dates(&mut cx, today);
        }
        lift.judge_records(&mut cx);
        self.settle(ix);
    }
}

/// Where the schedule has such a visit. A visit on demand is the half-monthly one of its contract.
fn place_of(kind: VisitKind) -> Option<u8> {
    let due = match kind {
        VisitKind::HalfMonth | VisitKind::OnDemand => DueKind::HalfMonth,
        VisitKind::Quarter => DueKind::Quarter,
        VisitKind::HalfYear => DueKind::HalfYear,
        VisitKind::Year => DueKind::Year,
        VisitKind::Repair => return None,
    };
    VISITS.iter().position(|kind| *kind == due).map(|nth| nth as u8)
}

/// What becomes of a record that was taken before.
pub fn again(visit: &Visit, is_same: bool) -> ItemOutcome {
    if is_same {
        return ItemOutcome::Known;
    }
    let Visit { firm, record, .. } = visit;
    let why = format!(
        "firm {firm} has uploaded another record as {record}: send a correction under an id of its own that names it in \
         `supersedes`"
    );
    ItemOutcome::Exists { why: why.into() }
}
