//! Those who watch alerts, and those who ask for changes.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use vigil::model::actor::Actor;
use vigil::model::alert::Cursor;
use vigil::model::archive::{Contract, ContractKind, Cylinder, Entrustment, Entry, Lift, Site, SiteKind};
use vigil::model::ids::{DeviceCode, District, FirmId, PlaceId, RecordId, Subject};
use vigil::model::record::{Action, Command, Outcome, PolicyText};
use vigil::model::time::{CivilDay, Elapsed, Wall};
use vigil::spine::input::{Input, Inputs};

use crate::dice::Dice;
use crate::faults::{Canary, Fault, Faults};
use crate::lifts::{self, Nature};
use crate::model::Model;
use crate::papers::{self, Desk};
use crate::process::Process;
use crate::stations::{self, ALIASES, CYLINDERS, SITES};

/// Answers older than this may have been forgotten.
const REMEMBERED_MS: i64 = 23 * 3_600_000;

#[derive(Default)]
pub(crate) struct Watcher {
    cursor: Cursor,
    seen: u64,
    away_until: i64,
}

impl Watcher {
    pub(crate) fn new() -> Self {
        Self { cursor: Cursor { epoch: 1, seq: 0 }, seen: 0, away_until: 0 }
    }

    /// P3: reads on from where it was, and gets the same events as the outbox has, each once.
    pub(crate) fn read(
        &mut self,
        process: &Process,
        model: &Model,
        now: i64,
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Result<(), String> {
        if now < self.away_until && !faults.over {
            return Ok(());
        }
        if self.away_until > 0 {
            self.away_until = 0;
            if faults.has(Canary::ResumeFromHead) {
                self.cursor = process.feed.head();
            }
        }
        if faults.draw(dice, Fault::WatcherAway, 30) {
            self.away_until = now + dice.between(10_000, 1_200_000);
            return Ok(());
        }
        let slow = faults.draw(dice, Fault::WatcherSlow, 300);
        let events = process.read(self.cursor, if slow { 1 } else { 256 })?;
        for event in events {
            self.cursor = event.cursor();
            self.seen += 1;
            let told = model.events.get(self.seen as usize - 1).map(|(_, told)| told);
            if told != Some(&*event) {
                return Err(format!(
                    "P3: a watcher got {} as number {}, and the outbox has {told:?}",
                    event.cursor(),
                    self.seen
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn is_behind(&self, model: &Model) -> bool {
        self.seen < model.events.len() as u64
    }
}

#[derive(Default)]
pub(crate) struct Asker {
    asked: u64,
    pending: Vec<(Command, oneshot::Receiver<Outcome>, Elapsed)>,
    answered: BTreeMap<Box<str>, (Command, Outcome, Elapsed)>,
    /// Uploads that were answered: each item of them is known again by itself.
    uploaded: Vec<Command>,
    /// Nobody knows what became of them.
    unanswered: Vec<Command>,
    desk: Desk,
    has_begun: bool,
    policies: Vec<(bool, PolicyText, oneshot::Receiver<Outcome>)>,
}

impl Asker {
    /// Asks for something new, or for something old once more.
    pub(crate) fn ask(
        &mut self,
        inputs: &Inputs,
        (elapsed, today): (Elapsed, CivilDay),
        model: &Model,
        lifts: &[lifts::Lift],
        dice: &mut Dice,
        faults: &mut Faults,
    ) {
        let Some(command) = self.choose((elapsed, today), model, lifts, dice, faults) else { return };
        self.offer(inputs, elapsed, command);
    }

    fn offer(&mut self, inputs: &Inputs, elapsed: Elapsed, command: Command) -> bool {
        let (reply, outcome) = oneshot::channel();
        let is_taken = inputs.offer(Input::Command { command: command.clone(), reply }).is_ok();
        if is_taken {
            self.pending.push((command, outcome, elapsed));
        }
        is_taken
    }

    /// Something new that somebody has written. Whether there was room for it.
    pub(crate) fn send(&mut self, inputs: &Inputs, elapsed: Elapsed, actor: Actor, action: Action) -> bool {
        self.asked += 1;
        let command = Command { request: format!("request-{}", self.asked).into(), actor, action };
        self.offer(inputs, elapsed, command)
    }

    pub(crate) fn has_written(&self, record: (FirmId, RecordId)) -> bool {
        self.desk.has_written(record)
    }

    /// Uploads, signatures, and what becomes of firms and cylinders.
    pub(crate) fn compose(
        &mut self,
        lifts: &[DeviceCode],
        now: Wall,
        today: CivilDay,
        dice: &mut Dice,
        faults: &Faults,
    ) -> Option<(Actor, Action)> {
        let local = |action| Some((Actor::local_admin(), action));
        // Most archives know their lifts and sites before anything else happens.
        if !std::mem::replace(&mut self.has_begun, true) && faults.is_enabled(Fault::InspectionReported) {
            let mut entries: Vec<Entry> = (0..SITES.len()).map(|n| Entry::Site(site_as_it_is(n))).collect();
            entries.extend(lifts.iter().map(|code| entry(code.as_str(), today, dice)));
            return local(Action::Upsert(entries));
        }
        match dice.below(10) {
            0..4 if faults.is_enabled(Fault::RecordUploaded) => Some(self.desk.visits(lifts, now, dice, faults)),
            4..6 if faults.is_enabled(Fault::RecordSigned) => local(self.desk.sign(lifts, dice)?),
            6..8 if faults.is_enabled(Fault::InspectionReported) => Some(self.desk.reports(lifts, today, dice, faults)),
            8 if faults.is_enabled(Fault::FirmEntered) => {
                local(Action::Upsert(vec![papers::firm_entry(dice), papers::worker_entry(today, dice)]))
            }
            9 if faults.is_enabled(Fault::CylinderTransferred) => {
                let any = |dice: &mut Dice| match dice.chance(800) {
                    true => stations::cylinder(dice.below(CYLINDERS - 1)),
                    false => stations::alias(dice.below(ALIASES)),
                };
                let cylinders = (0..dice.between(1, 3)).map(|_| any(dice)).collect();
                let to = stations::site(if dice.chance(700) { 0 } else { dice.below(3) as usize });
                let on = CivilDay(today.0 - dice.between(-1, 8).max(0) as i32 + i32::from(dice.chance(50)));
                local(Action::TransferCylinders { cylinders, to, on })
            }
            _ => None,
        }
    }

    fn choose(
        &mut self,
        (now, today): (Elapsed, CivilDay),
        model: &Model,
        lifts: &[lifts::Lift],
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Option<Command> {
        let old = self.answered.len() as u64;
        if old > 0 && faults.draw(dice, Fault::RequestRepeated, 200) {
            if !self.uploaded.is_empty() && dice.chance(250) {
                return Some(dice.pick(&self.uploaded).clone());
            }
            let (command, _, since) = self.answered.values().nth(dice.below(old) as usize)?;
            // Of a terminal nobody says a day later once more that it has just been replaced.
            let is_of_terminal = matches!(command.action, Action::ReplaceTerminal { .. });
            return (!is_of_terminal || now - *since <= REMEMBERED_MS).then(|| command.clone());
        }
        if let Some(command) = self.unanswered.pop() {
            faults.count(Fault::RequestRepeated);
            return Some(if faults.has(Canary::UploadedAnew) { anew(command) } else { command });
        }
        let action = self.action(model, lifts, today, dice, faults)?;
        if old > 0 && faults.draw(dice, Fault::RequestReused, 60) {
            let (command, ..) = self.answered.values().nth(dice.below(old) as usize)?;
            return Some(Command { action, ..command.clone() });
        }
        self.asked += 1;
        Some(Command { request: format!("request-{}", self.asked).into(), actor: Actor::local_admin(), action })
    }

    fn action(
        &self,
        model: &Model,
        lifts: &[lifts::Lift],
        today: CivilDay,
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Option<Action> {
        if faults.draw(dice, Fault::ArchiveChanged, 400) {
            let entries = (0..dice.between(1, 3)).map(|_| entry(&dice.pick(lifts).code, today, dice));
            return Some(Action::Upsert(entries.collect()));
        }
        if faults.draw(dice, Fault::CylinderEntered, 200) {
            let entries = (0..dice.between(1, 3)).map(|_| Entry::Cylinder(cylinder(today, dice)));
            return Some(Action::Upsert(entries.collect()));
        }
        if faults.draw(dice, Fault::SiteEntered, 100) {
            return Some(Action::Upsert(vec![Entry::Site(site(dice))]));
        }
        let open: Vec<_> = model.open.keys().collect();
        let alert = (*open.get(dice.below(open.len().max(1) as u64) as usize)?).clone();
        // What becomes of orderly lifts is foretold: nobody interferes.
        let is_orderly = |lift: &&lifts::Lift| lift.nature == Nature::Orderly;
        let orderly = lifts.iter().filter(is_orderly).any(|lift| alert.subject.to_string() == lift.code);
        let by_hand = !orderly && matches!(alert.subject, Subject::Device(_));
        if by_hand && faults.draw(dice, Fault::AlertCleared, 300) {
            return Some(Action::Clear { alert, note: None });
        }
        faults.draw(dice, Fault::AlertAcknowledged, 500).then_some(Action::Acknowledge { alert, note: None })
    }

    pub(crate) fn reload(&mut self, inputs: &Inputs, good: bool, policy: PolicyText) {
        let (reply, outcome) = oneshot::channel();
        if inputs.offer(Input::Policy { policy: policy.clone(), reply }).is_ok() {
            self.policies.push((good, policy, outcome));
        }
    }

    /// Looks at the answers. Returns the policy that is in force now, if there is a new one.
    pub(crate) fn listen(&mut self, model: &mut Model) -> Result<Option<PolicyText>, String> {
        for (command, mut receiver, at) in std::mem::take(&mut self.pending) {
            match receiver.try_recv() {
                Ok(outcome) => self.answer(command, outcome, at, model)?,
                Err(TryRecvError::Empty) => self.pending.push((command, receiver, at)),
                // A terminal counts on meanwhile: it is told from the one before it by that.
                Err(TryRecvError::Closed) if matches!(command.action, Action::ReplaceTerminal { .. }) => {}
                Err(TryRecvError::Closed) => self.unanswered.push(command),
            }
        }
        let mut reloaded = None;
        for (good, policy, mut receiver) in std::mem::take(&mut self.policies) {
            match receiver.try_recv() {
                Ok(Outcome::Done { .. }) if good => reloaded = Some(policy),
                Ok(Outcome::Precondition { .. }) if !good => {}
                Ok(other) => return Err(format!("a policy (good: {good}) was answered {other:?}")),
                Err(TryRecvError::Empty) => self.policies.push((good, policy, receiver)),
                Err(TryRecvError::Closed) => {}
            }
        }
        Ok(reloaded)
    }

    /// The same request gets the same answer, and another one under its id none.
    fn answer(&mut self, command: Command, outcome: Outcome, at: Elapsed, model: &mut Model) -> Result<(), String> {
        model.heard.push((command.clone(), outcome.clone()));
        if let Outcome::Items { position, .. } = outcome {
            model.answer(position, &command.request)?;
            self.uploaded.push(command);
            return Ok(());
        }
        let Some((first, known, since)) = self.answered.get(&command.request) else {
            if let Outcome::Done { position, .. } | Outcome::Incident { position, .. } = outcome {
                model.answer(position, &command.request)?;
            }
            self.answered.insert(command.request.clone(), (command, outcome, at));
            return Ok(());
        };
        let expected = if first.action == command.action { known } else { &Outcome::RequestReused };
        if at - *since > REMEMBERED_MS || outcome == *expected {
            return Ok(());
        }
        Err(format!("P2: request {} was answered {outcome:?}, and expected was {expected:?}", command.request))
    }
}

/// The canary: the same records, as if they were others.
fn anew(mut command: Command) -> Command {
    if let Action::UploadVisits(uploads) = &mut command.action {
        for upload in uploads {
            upload.visit.record = RecordId::parse(&format!("{}-again", upload.visit.record)).expect("it is short");
        }
    }
    command
}

fn contract(today: CivilDay, dice: &mut Dice) -> Contract {
    let from = CivilDay(today.0 - dice.between(0, 400) as i32);
    let kind = if dice.chance(800) {
        ContractKind::Calendar
    } else {
        ContractKind::OnDemand { every_days: dice.between(10, 120) as u16 }
    };
    Contract { from, to: dice.chance(300).then(|| CivilDay(today.0 + dice.between(-20, 400) as i32)), kind }
}

fn entry(code: &str, today: CivilDay, dice: &mut Dice) -> Entry {
    let inspected_on = dice.chance(150).then(|| CivilDay(today.0 - dice.between(0, 800) as i32));
    Entry::Lift(Lift {
        firm: dice.chance(600).then(|| papers::firm(dice)),
        contract: dice.chance(500).then(|| contract(today, dice)),
        base_on: dice.chance(200).then(|| CivilDay(today.0 - dice.between(0, 3_000) as i32)),
        inspected_on,
        out_of_use_since: dice.chance(60).then(|| CivilDay(today.0 - dice.between(0, 500) as i32)),
        address: dice.chance(500).then(|| format!("{} Simulation Road", dice.below(100)).into()),
        district: dice.chance(700).then(|| District::parse("640104").expect("it is a district")),
        // Where a lift stands is not drawn anew with each entry: then they would never raise anything together.
        building: code.ends_with(['1', '2', '3']).then(|| PlaceId::parse("B1").expect("a good id")),
        feeder: (!code.ends_with('0')).then(|| PlaceId::parse("F1").expect("a good id")),
        keep_alive_s: dice.chance(500).then_some(60),
        inspection_due: dice.chance(800).then(|| CivilDay(today.0 + dice.between(-2, 2) as i32)),
        ..Lift::new(DeviceCode::parse(code).expect("codes of the simulation are well formed"))
    })
}

/// Any cylinder but the last, which nobody ever enters; rarely one under a code that others bear as well.
fn cylinder(today: CivilDay, dice: &mut Dice) -> Cylinder {
    let code = if dice.chance(20) { stations::alias(0) } else { stations::cylinder(dice.below(CYLINDERS - 1)) };
    let aliases = if dice.chance(250) { vec![stations::alias(dice.below(ALIASES))] } else { Vec::new() };
    let entrusted = |dice: &mut Dice| Entrustment {
        site: stations::site(dice.below(2) as usize),
        from: CivilDay(today.0 - dice.between(0, 20) as i32),
        to: dice.chance(500).then(|| CivilDay(today.0 + dice.between(-1, 20) as i32)),
    };
    Cylinder {
        aliases: aliases.into_iter().filter(|alias| *alias != code).collect(),
        kind: dice.chance(300).then(|| "lpg-welded".into()),
        filling_unit_since: dice.chance(300).then(|| CivilDay(today.0 - dice.between(0, 12) as i32)),
        entrusted: (0..dice.below(2)).map(|_| entrusted(dice)).collect(),
        filling_unit: dice.chance(700).then(|| stations::site(dice.below(2) as usize)),
        medium: dice.chance(700).then(|| "lpg".into()),
        made_on: Some(CivilDay(today.0 - 1_000)),
        inspection_due: dice.chance(800).then(|| CivilDay(today.0 + dice.between(-2, 2) as i32)),
        scrapped: dice.chance(80),
        district: dice.chance(700).then(|| District::parse("640104").expect("it is a district")),
        ..Cylinder::new(code)
    }
}

fn site_as_it_is(which: usize) -> Site {
    Site::new(stations::site(which), SITES[which].1, "a site")
}

/// Mostly as what it is.
fn site(dice: &mut Dice) -> Site {
    let site = site_as_it_is(dice.below(SITES.len() as u64) as usize);
    if dice.chance(850) { site } else { Site { kind: *dice.pick(SiteKind::ALL), ..site } }
}
