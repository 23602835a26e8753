//! Reports of inspections, tests, checks and drills: which are taken, and what follows from them.

use super::maintenance::known::{Key, KnownRecord};
use super::obligation::upkeep::Counted;
use super::{Core, Effects, chain};
use crate::limits;
use crate::model::actor::{Actor, Scope};
use crate::model::archive::SiteKind;
use crate::model::obligation::Party;
use crate::model::record::{ItemFault, ItemOutcome, Outcome};
use crate::model::report::{Report, ReportKind, ReportRow, ReportUpload};
use crate::model::row::Row;
use crate::model::time::CivilDay;

impl Core {
    /// Takes reports, each by itself.
    pub(super) fn upload_reports(&mut self, out: &mut Effects, actor: &Actor, uploads: &[ReportUpload]) -> Outcome {
        if uploads.len() > limits::COMMAND_ITEMS {
            let why = format!("{} reports; send at most {} at a time", uploads.len(), limits::COMMAND_ITEMS);
            return Outcome::Precondition { why: why.into() };
        }
        let today = self.day();
        self.known_records.sweep(today);
        let items = uploads.iter().map(|upload| self.take_upload(out, actor, upload, today)).collect();
        Outcome::Items { position: self.next - 1, items }
    }

    fn take_upload(&mut self, out: &mut Effects, actor: &Actor, upload: &ReportUpload, today: CivilDay) -> ItemOutcome {
        let ReportUpload { report, looked_up } = upload;
        let (key, content) = (key_of(report), KnownRecord::content_of(&chain::content_of_report(report)));
        let checked = self.check_report(actor, report, today);
        if let Err(outcome @ ItemOutcome::Denied { .. }) = checked {
            return outcome;
        }
        if let Some(known) = self.known_records.find(key, today) {
            return again(report, known.content == content);
        }
        if !looked_up && today.days_since(report.done_on) > i64::from(limits::RECORD_MEMORY_DAYS) {
            let why = "it is so old that it isn't known whether it was uploaded before: the database must be asked";
            return ItemOutcome::Precondition { why: why.into() };
        }
        let ix = match checked {
            Ok(ix) => ix,
            Err(outcome) => return outcome,
        };
        if self.known_records.len() >= limits::RECORD_IDS {
            let why = "this service remembers as many records as it can: try again tomorrow";
            return ItemOutcome::Precondition { why: why.into() };
        }
        self.know_report(report, today);
        let row = ReportRow { report: report.clone(), recorded_by: actor.id.clone(), recorded_at: self.books.now.wall };
        out.rows.push(Row::Report(row));
        self.follow_report(out, ix, report, today);
        ItemOutcome::Taken { flags: Vec::new() }
    }

    /// Takes what the store has for what was reported.
    pub(super) fn adopt_reports(&mut self, out: &mut Effects, rows: &[ReportRow]) -> Outcome {
        let today = self.day();
        for row in rows.iter().take(limits::COMMAND_ITEMS) {
            let Some(ix) = self.lift(&row.report.device) else { continue };
            self.know_report(&row.report, CivilDay::of(row.recorded_at, &self.policy.zone));
            self.follow_report(out, ix, &row.report, today);
        }
        self.done(u32::try_from(rows.len()).unwrap_or(u32::MAX))
    }

    /// Remembers the report's id, and that the one it supersedes is superseded.
    fn know_report(&mut self, report: &Report, on: CivilDay) {
        let content = KnownRecord::content_of(&chain::content_of_report(report));
        let device = KnownRecord::device_of(&report.device);
        self.known_records.insert(key_of(report), &KnownRecord { content, device, day: on, superseded: false });
        if let Some(old) = superseded(report)
            && let Some(known) = self.known_records.find(old, on)
        {
            self.known_records.insert(old, &KnownRecord { superseded: true, ..known });
        }
    }

    /// The lift, if the report may be taken.
    fn check_report(&self, actor: &Actor, report: &Report, today: CivilDay) -> Result<u32, ItemOutcome> {
        let ix = self.lift_at(&report.device).filter(|ix| self.lifts.get(*ix).entry.is_some());
        let district = ix.and_then(|ix| self.lifts.get(ix).entry.as_ref()?.district());
        let is_theirs = match &actor.scope {
            Scope::All => true,
            Scope::Firm(own) => report.party == Party::Firm(*own),
            Scope::Site(own) => report.party == Party::Site(*own),
            Scope::Districts(_) => actor.sees(district.as_ref()),
        };
        if !is_theirs {
            let why = format!("you may not upload reports of {}", report.party);
            return Err(ItemOutcome::Denied { why: why.into() });
        }
        self.check_reporter(report)?;
        let ix = ix.ok_or_else(|| ItemOutcome::NotFound { what: format!("lift {}", report.device).into() })?;
        let faults = faults(report, today);
        if !faults.is_empty() {
            return Err(ItemOutcome::Invalid(faults));
        }
        self.check_superseded(report, ix, today)?;
        Ok(ix)
    }

    /// Whether it is theirs to say.
    fn check_reporter(&self, report: &Report) -> Result<(), ItemOutcome> {
        let kind = report.kind.name();
        let why = match (report.kind, report.party) {
            (ReportKind::SelfCheck | ReportKind::Drill, Party::Firm(_)) => return Ok(()),
            (ReportKind::SelfCheck | ReportKind::Drill, Party::Site(_)) => {
                format!("a {kind} is reported by the maintenance firm")
            }
            (_, Party::Firm(_)) => format!("{kind} is reported by an inspection body"),
            (_, Party::Site(code)) => match self.sites.get(&code) {
                Some(site) if site.kind == SiteKind::InspectionBody => return Ok(()),
                Some(_) => format!("{code} is no inspection body"),
                None => format!("the archive has no inspection body {code}: register it first"),
            },
        };
        Err(ItemOutcome::Denied { why: why.into() })
    }

    fn check_superseded(&self, report: &Report, ix: u32, today: CivilDay) -> Result<(), ItemOutcome> {
        let (Some(old), Some(key)) = (&report.supersedes, superseded(report)) else { return Ok(()) };
        let what = format!("report {old} of {}, which it supersedes,", report.party);
        let precondition = |why: &str| Err(ItemOutcome::Precondition { why: format!("{what} {why}").into() });
        let upkeep = self.lifts.get(ix).upkeep.as_ref();
        match self.known_records.find(key, today) {
            None => Err(ItemOutcome::NotFound { what: what.into() }),
            Some(known) if known.superseded => precondition("is superseded already: supersede the one that did"),
            Some(known) if known.device != KnownRecord::device_of(&report.device) => precondition("is of another lift"),
            Some(_) if upkeep.and_then(|upkeep| upkeep.find(short(key))).is_none() => {
                precondition("lies behind too many later ones of this lift to be corrected")
            }
            Some(_) => Ok(()),
        }
    }

    fn follow_report(&mut self, out: &mut Effects, ix: u32, report: &Report, today: CivilDay) {
        let (mut cx, lifts, _) = self.context(out);
        let lift = lifts.get_mut(ix);
        lift.follow(&mut cx, today);
        let upkeep = lift.upkeep_mut();
        if let Some(old) = superseded(report) {
            upkeep.withdraw(short(old));
        }
        let Report { kind, done_on, passed, .. } = *report;
        upkeep.note_report(Counted { key: short(key_of(report)), done_on, kind, passed });
        lift.judge_due_dates(&mut cx, today);
        // A lift that may run again.
        lift.look_again(&mut cx);
        self.settle(ix);
    }
}

fn key_of(report: &Report) -> Key {
    Key::of_report(&report.party, &report.id)
}

fn superseded(report: &Report) -> Option<Key> {
    report.supersedes.as_ref().map(|old| Key::of_report(&report.party, old))
}

/// What a lift remembers of it.
fn short(key: Key) -> u64 {
    key.0 as u64
}

/// All that is wrong with it by itself.
fn faults(report: &Report, today: CivilDay) -> Vec<ItemFault> {
    let mut faults = Vec::new();
    let mut add = |field: &str, why: String| faults.push(ItemFault { field: field.into(), why: why.into() });
    if report.done_on > today {
        add("done_on", format!("is {}, and today is {today}: report what has been done", report.done_on));
    }
    if !report.passed && report.findings.is_empty() {
        add("findings", "is empty: say why it failed".into());
    }
    if report.findings.len() > limits::FINDINGS {
        add("findings", format!("has {} entries: at most {} are taken", report.findings.len(), limits::FINDINGS));
    }
    if report.supersedes == Some(report.id) {
        add("supersedes", "is the report's own id: a correction has an id of its own".into());
    }
    faults
}

/// What becomes of a report that was taken before.
pub fn again(report: &Report, is_same: bool) -> ItemOutcome {
    if is_same {
        return ItemOutcome::Known;
    }
    let Report { party, id, .. } = report;
    let why = format!(
        "{party} has uploaded another report as {id}: send a correction under an id of its own that names it in \
         `supersedes`"
    );
    ItemOutcome::Exists { why: why.into() }
}
