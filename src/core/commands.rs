//! What people and other systems ask for: acknowledge, clear, and the archive.

use super::books::{ByHand, Label, Who};
use super::judge::built_in;
use super::judge::run::{RuleNo, Run, Transition};
use super::kept::{KeptCylinder, KeptLift};
use super::policy::Policy;
use super::{Core, Effects, service};
use crate::limits;
use crate::model::alert::{Alert, Reason, Title};
use crate::model::archive::{self, Entry};
use crate::model::ids::{AlertId, Subject};
use crate::model::record::{Action, Command, Outcome, PolicyText};
use crate::model::row::Row;

impl Core {
    pub(super) fn take_policy(&mut self, text: &PolicyText) -> Outcome {
        match Policy::compile(text, &self.policy, &mut self.books) {
            Ok(policy) => {
                self.policy = policy.into();
                self.sweep_all();
                self.done(1)
            }
            Err(why) => Outcome::Precondition { why: why.into() },
        }
    }

    pub(super) fn take_command(&mut self, out: &mut Effects, command: &Command) -> Outcome {
        // What is taken item by item is known again by its items.
        if let Action::UploadVisits(uploads) = &command.action {
            return self.upload_visits(out, &command.actor, uploads);
        }
        if let Some(outcome) = self.requests.find(command) {
            return outcome;
        }
        let outcome = match &command.action {
            Action::Acknowledge { alert, note } => self.on_alert(out, command, alert, note.as_deref(), false),
            Action::Clear { alert, note } => self.on_alert(out, command, alert, note.as_deref(), true),
            Action::Upsert(entries) => self.upsert(out, entries),
            Action::OpenIncident(call) => self.take_call(out, command, call),
            Action::AdvanceIncident { incident, step, note } => {
                self.advance(out, command, *incident, step, note.as_deref())
            }
            Action::UploadVisits(uploads) => self.upload_visits(out, &command.actor, uploads),
            Action::Sign(sign) => self.sign(out, &command.actor, sign),
            Action::AdoptRecords(links) => self.adopt_records(out, links),
        };
        self.requests.remember(command, &outcome, self.books.now.elapsed);
        outcome
    }

    pub(super) fn done(&self, changed: u32) -> Outcome {
        Outcome::Done { position: self.next - 1, changed }
    }

    fn on_alert(
        &mut self,
        out: &mut Effects,
        command: &Command,
        id: &AlertId,
        note: Option<&str>,
        clear: bool,
    ) -> Outcome {
        let not_found = Outcome::NotFound { what: id.to_string().into() };
        let at = self.books.now.elapsed;
        let Some(number) = self.books.names.iter().position(|name| *name == id.rule) else { return not_found };
        let number = RuleNo(u16::try_from(number).unwrap_or(u16::MAX));
        let title = self.title(number);
        let dispatch = self.policy.rule_of(number).and_then(|(_, rule)| rule.dispatch.clone());
        let place = match id.subject {
            Subject::Device(code) => self.lift_at(&code),
            Subject::Cylinder(code) => self.cylinder_at(&code),
            Subject::Service => Some(0),
            Subject::Incident(id) => self.dispatch.get(&id).map(|_| 0),
        };
        let Some(place) = place else { return not_found };
        let (who, runs) = match id.subject {
            Subject::Device(_) => {
                let lift = self.lifts.get_mut(place);
                (lift.who(), &mut lift.runs)
            }
            Subject::Cylinder(_) => {
                let cylinder = self.cylinders.get_mut(place);
                (cylinder.who(None), &mut cylinder.runs)
            }
            Subject::Service => (service::who(), &mut self.service.runs),
            Subject::Incident(id) => {
                let who = self.dispatch.get(&id).map(|kept| kept.who());
                let Some((who, runs)) = who.zip(self.dispatch.runs_mut(&id)) else { return not_found };
                (who, runs)
            }
        };
        if !command.actor.sees(who.place.district.as_ref()) {
            return not_found;
        }
        if runs.openings(number) < id.opening {
            return not_found;
        }
        let is_it = |run: &&mut Run| run.rule == number && run.openings == id.opening && run.open().is_some();
        let Some(run) = runs.iter_mut().find(is_it) else {
            return Outcome::Precondition {
                why: format!("alert {id} is no longer open; list the open ones again").into(),
            };
        };
        if !clear && let Some(first) = run.open().and_then(|open| open.acknowledged.as_ref()) {
            return Outcome::Precondition {
                why: format!("{} has acknowledged {id} already, at {}", first.by, first.at).into(),
            };
        }
        let label = Label { title: &title, dispatch: dispatch.as_deref(), rules: None };
        let by = ByHand { actor: Some(&command.actor.id), note };
        if clear {
            let transition = Transition::Clear { reason: Reason::Operator, at };
            self.books.carry_out(out, &who, run, &label, transition, Vec::new(), &by);
        } else {
            self.books.acknowledge(out, &who, run, &label, &by);
        }
        if clear && matches!(id.subject, Subject::Device(_)) {
            self.look_again(out, place);
        }
        self.done(1)
    }

    /// The rules of a lift after a person cleared an alert: others may depend on it, and one whose condition is over
    /// already is armed again at once.
    fn look_again(&mut self, out: &mut Effects, ix: u32) {
        let (mut cx, lifts, _) = self.context(out);
        lifts.get_mut(ix).look_again(&mut cx);
        self.settle(ix);
    }

    pub(super) fn title(&self, number: RuleNo) -> Title {
        let of_rule = self.policy.rule_of(number).map(|(_, rule)| rule.title.clone());
        of_rule
            .or_else(|| built_in::title_of(&self.books.names[usize::from(number.0)]))
            .unwrap_or_else(built_in::title_of_changed)
    }

    pub(super) fn collect_open(&self, alerts: &mut Vec<Alert>, runs: &[Run], who: impl Fn() -> Who) {
        for run in runs {
            let Some(open) = run.open() else { continue };
            let title = self.title(run.rule);
            let dispatch = self.policy.rule_of(run.rule).and_then(|(_, rule)| rule.dispatch.as_deref());
            let label = Label { title: &title, dispatch, rules: None };
            alerts.push(self.books.alert(&who(), run.rule, run.openings, open, &label));
        }
    }

    fn upsert(&mut self, out: &mut Effects, entries: &[Entry]) -> Outcome {
        if entries.len() > limits::COMMAND_ITEMS {
            let why = format!("{} entries; send at most {} at a time", entries.len(), limits::COMMAND_ITEMS);
            return Outcome::Precondition { why: why.into() };
        }
        let mut changed = 0;
        for entry in entries {
            match self.upsert_one(out, entry) {
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
    fn upsert_one(&mut self, out: &mut Effects, entry: &Entry) -> Option<bool> {
        let changed = match entry {
            Entry::Lift(lift) => self.upsert_lift(out, lift)?,
            Entry::Cylinder(cylinder) => self.upsert_cylinder(out, cylinder)?,
            Entry::Firm(firm) => {
                if self.firms.size() >= limits::FIRMS && !self.firms.contains_key(&firm.id) {
                    return None;
                }
                let known = self.firms.get(&firm.id) == Some(firm);
                if !known {
                    self.firms.insert_mut(firm.id, firm.clone());
                }
                !known
            }
            Entry::Site(site) => {
                if self.sites.size() >= limits::SITES && !self.sites.contains_key(&site.code) {
                    return None;
                }
                let known = self.sites.get(&site.code) == Some(site);
                if !known {
                    self.sites.insert_mut(site.code, site.clone());
                }
                !known
            }
            Entry::Worker(worker) => {
                if self.workers.size() >= limits::WORKERS && !self.workers.contains_key(&worker.id) {
                    return None;
                }
                let known = self.workers.get(&worker.id) == Some(worker);
                if !known {
                    self.workers.insert_mut(worker.id, worker.clone());
                }
                !known
            }
        };
        if changed {
            out.rows.push(Row::Entry(entry.clone()));
        }
        Some(changed)
    }

    fn upsert_lift(&mut self, out: &mut Effects, entry: &archive::Lift) -> Option<bool> {
        let ix = self.lift(&entry.code)?;
        let mut kept = KeptLift::from(entry);
        if self.lifts.get(ix).entry.as_ref() == Some(&kept) {
            return Some(false);
        }
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
        Some(true)
    }

    fn upsert_cylinder(&mut self, out: &mut Effects, entry: &archive::Cylinder) -> Option<bool> {
        let ix = self.cylinder(&entry.code)?;
        let mut kept = KeptCylinder::from(entry);
        if self.cylinders.get(ix).entry.as_ref() == Some(&kept) {
            return Some(false);
        }
        kept.share(&mut self.pools);
        let today = self.day();
        let (mut cx, _, cylinders) = self.context(out);
        let cylinder = cylinders.get_mut(ix);
        cylinder.entry = Some(kept);
        // Whoever changes the archive has looked which of the two cylinders it is.
        cylinder.duplicate = false;
        cylinder.follow(&mut cx, today);
        Some(true)
    }
}
