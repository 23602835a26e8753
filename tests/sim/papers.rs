//! What firms and inspection bodies write: records of visits, signatures, reports, and what they get wrong.

use std::collections::{BTreeMap, BTreeSet};

use vigil::model::actor::{Actor, Role, Scope};
use vigil::model::archive::{Entry, Firm, Worker};
use vigil::model::ids::{DeviceCode, FirmId, RecordId, WorkerId};
use vigil::model::incident::{Call, Cause, Ending, IncidentId, State, Step, Tier, Whom};
use vigil::model::obligation::Party;
use vigil::model::record::Action;
use vigil::model::report::{Report, ReportKind, ReportUpload};
use vigil::model::time::{CivilDay, Wall};
use vigil::model::visit::{Digest, ItemDone, ItemResult, Person, Photo, Problem, Sign, Upload, Visit, VisitKind};

use crate::dice::Dice;
use crate::faults::{Fault, Faults};
use crate::records;
use crate::stations;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
const FIRMS: u64 = 2;
const WORKERS: u64 = 5;
const KINDS: [VisitKind; 8] = [
    VisitKind::OnDemand,
    VisitKind::OnDemand,
    VisitKind::Repair,
    VisitKind::Repair,
    VisitKind::HalfMonth,
    VisitKind::HalfMonth,
    VisitKind::Quarter,
    VisitKind::Year,
];
const REPORTS: [ReportKind; 9] = [
    ReportKind::Periodic,
    ReportKind::Periodic,
    ReportKind::Testing,
    ReportKind::Installation,
    ReportKind::MajorRepair,
    ReportKind::SelfCheck,
    ReportKind::Drill,
    ReportKind::Drill,
    ReportKind::Drill,
];

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("ids of the simulation are well formed")
}

pub(crate) fn firm(dice: &mut Dice) -> FirmId {
    id(&format!("F-{}", dice.below(FIRMS)))
}

fn worker(number: u64) -> WorkerId {
    id(&format!("W-{number}"))
}

/// All that was written so far: what is written next may name it, or say something else in its place.
#[derive(Default)]
pub(crate) struct Desk {
    visits: Vec<Visit>,
    written: BTreeSet<(FirmId, RecordId)>,
    reports: Vec<Report>,
}

impl Desk {
    pub(crate) fn has_written(&self, record: (FirmId, RecordId)) -> bool {
        self.written.contains(&record)
    }

    /// Records of one firm, or of several, in one upload.
    pub(crate) fn visits(
        &mut self,
        lifts: &[DeviceCode],
        now: Wall,
        dice: &mut Dice,
        faults: &Faults,
    ) -> (Actor, Action) {
        let uploads: Vec<Upload> = (0..dice.between(1, 4))
            .map(|_| {
                let visit = self.visit(lifts, now, dice, faults);
                let salt = std::array::from_fn(|_| dice.below(256) as u8);
                Upload { visit, salt, looked_up: dice.chance(300) }
            })
            .collect();
        self.visits.extend(uploads.iter().map(|upload| upload.visit.clone()));
        self.written.extend(uploads.iter().map(|upload| (upload.visit.firm, upload.visit.record)));
        // Somebody else's records are refused.
        let is_own = dice.chance(850);
        let scope = if is_own { Scope::All } else { Scope::Firm(firm(dice)) };
        let actor = Actor { id: "desk".into(), roles: vec![Role::Firm], scope };
        (actor, Action::UploadVisits(uploads))
    }

    fn visit(&self, lifts: &[DeviceCode], now: Wall, dice: &mut Dice, faults: &Faults) -> Visit {
        let count = self.visits.len() as u64;
        let old = (count > 0).then(|| self.visits[dice.below(count) as usize].clone());
        let mut may = |fault, per_mille| faults.is_enabled(fault) && dice.chance(per_mille);
        match old {
            Some(old) if may(Fault::RecordRepeated, 120) => old,
            Some(old) if may(Fault::RecordOfOtherContent, 60) => {
                let people = vec![Person { name: "Anybody else".into(), ..person(dice) }];
                if dice.chance(500) { Visit { people, ..old } } else { Visit { note: Some("otherwise".into()), ..old } }
            }
            Some(old) if may(Fault::RecordCorrected, 150) => {
                let device = if dice.chance(900) { old.device } else { *dice.pick(lifts) };
                Visit { firm: old.firm, device, supersedes: Some(old.record), ..self.fresh(lifts, now, dice, faults) }
            }
            Some(old) if may(Fault::HazardRectified, 150) => {
                let (rectifies, problem) = (vec![old.record], Problem::None);
                let fresh = self.fresh(lifts, now, dice, faults);
                Visit { firm: old.firm, device: old.device, rectifies, problem, ..fresh }
            }
            _ => self.fresh(lifts, now, dice, faults),
        }
    }

    fn fresh(&self, lifts: &[DeviceCode], now: Wall, dice: &mut Dice, faults: &Faults) -> Visit {
        let kind = *dice.pick(&KINDS);
        let first = dice.below(WORKERS - 1);
        let long_ago = dice.chance(60);
        let ended_at = now - dice.between(0, if long_ago { 420 } else { 25 }) * DAY_MS - dice.between(0, 600) * 1_000;
        let mut visit = Visit {
            firm: firm(dice),
            record: id(&format!("R-{}-{}", self.visits.len(), dice.below(1_000_000))),
            device: *dice.pick(lifts),
            kind,
            workers: vec![worker(first), worker(first + 1)],
            recorder: worker(first),
            started_at: ended_at - dice.between(5, 90) * MINUTE_MS,
            ended_at,
            items: (1..=records::items_of(kind)).map(|number| done(number, dice)).collect(),
            problem: if dice.chance(250) { *dice.pick(Problem::ALL) } else { Problem::None },
            note: dice.chance(300).then(|| "seen to 已处理".into()),
            photos: (0..dice.below(3)).map(|_| photo(ended_at, dice)).collect(),
            next_on: None,
            supersedes: None,
            rectifies: Vec::new(),
            people: (0..dice.below(2)).map(|_| person(dice)).collect(),
        };
        if faults.is_enabled(Fault::RecordRefused) && dice.chance(120) {
            match dice.below(6) {
                0 => visit.workers.truncate(1),
                1 => visit.ended_at = visit.started_at,
                2 => visit.ended_at = visit.started_at + 2 * DAY_MS,
                3 => visit.ended_at = now + 600_000,
                4 => _ = visit.items.pop(),
                _ => visit.rectifies = vec![visit.record],
            }
        }
        visit
    }

    /// The use unit signs one of the last ones, or one that is there no more.
    pub(crate) fn sign(&self, lifts: &[DeviceCode], dice: &mut Dice) -> Option<Action> {
        let count = self.visits.len() as u64;
        let back = 1 + dice.below(count.clamp(1, 12));
        let visit = self.visits.get(count.checked_sub(back)? as usize)?;
        let device = if dice.chance(950) { visit.device } else { *dice.pick(lifts) };
        let note = dice.chance(300).then(|| "seen".into());
        Some(Action::Sign(Sign { device, firm: visit.firm, record: visit.record, signatory: "officer-1".into(), note }))
    }

    pub(crate) fn reports(
        &mut self,
        lifts: &[DeviceCode],
        today: CivilDay,
        dice: &mut Dice,
        faults: &Faults,
    ) -> (Actor, Action) {
        let reports: Vec<Report> = (0..dice.between(1, 3)).map(|_| self.report(lifts, today, dice, faults)).collect();
        self.reports.extend(reports.iter().cloned());
        let uploads = reports.into_iter().map(|report| ReportUpload { report, looked_up: dice.chance(300) }).collect();
        let scope = if dice.chance(900) { Scope::All } else { Scope::Site(stations::site(2)) };
        let actor = Actor { id: "body".into(), roles: vec![Role::Inspector], scope };
        (actor, Action::UploadReports(uploads))
    }

    fn report(&self, lifts: &[DeviceCode], today: CivilDay, dice: &mut Dice, faults: &Faults) -> Report {
        let count = self.reports.len() as u64;
        let old = (count > 0).then(|| self.reports[dice.below(count) as usize].clone());
        let fresh = self.fresh_report(lifts, today, dice, faults);
        let mut may = |fault, per_mille| faults.is_enabled(fault) && dice.chance(per_mille);
        match old {
            Some(old) if may(Fault::InspectionRepeated, 150) => old,
            Some(old) if may(Fault::InspectionOfOtherContent, 60) => {
                Report { passed: !old.passed, findings: vec!["otherwise".into()], ..old }
            }
            Some(old) if may(Fault::InspectionCorrected, 250) => {
                let (party, device, kind) = (old.party, old.device, old.kind);
                Report { party, device, kind, supersedes: Some(old.id), ..fresh }
            }
            _ => fresh,
        }
    }

    fn fresh_report(&self, lifts: &[DeviceCode], today: CivilDay, dice: &mut Dice, faults: &Faults) -> Report {
        let kind = *dice.pick(&REPORTS);
        let is_of_firms = matches!(kind, ReportKind::SelfCheck | ReportKind::Drill);
        // Now and then somebody says what isn't theirs to say, or a site that is no inspection body.
        let is_refused = faults.is_enabled(Fault::InspectionRefused) && dice.chance(120);
        let body = stations::site(if is_refused { 0 } else { 2 });
        let party = if is_of_firms { Party::Firm(firm(dice)) } else { Party::Site(body) };
        let passed = dice.chance(800);
        let is_ahead = is_refused && dice.chance(300);
        Report {
            party,
            id: id::<RecordId>(&format!("I-{}-{}", self.reports.len(), dice.below(1_000_000))),
            device: *dice.pick(lifts),
            kind,
            done_on: CivilDay(today.0 + if is_ahead { 2 } else { -(dice.between(0, 230) as i32) }),
            passed,
            findings: if passed || is_refused { Vec::new() } else { vec!["door lock worn".into()] },
            supersedes: None,
        }
    }
}

fn done(number: usize, dice: &mut Dice) -> ItemDone {
    let result = if dice.chance(970) { ItemResult::Good } else { *dice.pick(ItemResult::ALL) };
    ItemDone { item: records::item(number).into(), result, note: (result == ItemResult::Failed).then(|| "worn".into()) }
}

fn photo(at: Wall, dice: &mut Dice) -> Photo {
    let digest = Digest(std::array::from_fn(|_| dice.below(256) as u8));
    Photo { digest, media: "image/jpeg".into(), bytes: 40_000, taken_at: dice.chance(500).then_some(at), item: None }
}

fn person(dice: &mut Dice) -> Person {
    Person {
        duty: "responsible".into(),
        name: "Somebody".into(),
        phone: dice.chance(500).then(|| format!("139{:08}", dice.below(100_000_000)).into()),
    }
}

/// A firm, or a worker of one.
pub(crate) fn firm_entry(dice: &mut Dice) -> Entry {
    let firm = firm(dice);
    Entry::Firm(Firm { phone: dice.chance(500).then(|| "0951-1".into()), ..Firm::new(firm, "a firm") })
}

pub(crate) fn worker_entry(today: CivilDay, dice: &mut Dice) -> Entry {
    Entry::Worker(Worker {
        firm: dice.chance(900).then(|| firm(dice)),
        certified_until: dice.chance(900).then(|| CivilDay(today.0 + dice.between(-30, 300) as i32)),
        ..Worker::new(worker(dice.below(WORKERS)), "a worker")
    })
}

/// A call about somebody trapped, or a step of a rescue, legal or not.
pub(crate) fn rescue(
    lifts: &[DeviceCode],
    incidents: &BTreeMap<IncidentId, State>,
    dice: &mut Dice,
) -> (Actor, Action) {
    let going: Vec<_> = incidents.iter().filter(|(_, state)| !state.is_over()).collect();
    if going.is_empty() || dice.chance(250) {
        let mut call = Call { occupied: Some(true), ..Call::default() };
        match dice.below(20) {
            0 => call.device = Some(id("31105001122014019999")),
            1 => call.rescue_code = Some("654321".into()),
            2 => call.place.address = Some("somewhere".into()),
            _ => call.device = Some(*dice.pick(lifts)),
        }
        return (Actor::local_admin(), Action::OpenIncident(call));
    }
    let (incident, state) = *dice.pick(&going);
    let incident =
        if dice.chance(950) { *incident } else { IncidentId { number: dice.between(1, 99) as u64, ..*incident } };
    let whom = |dice: &mut Dice| Whom {
        tier: *dice.pick(Tier::ALL),
        id: dice.chance(200).then(|| firm(dice).to_string().into()),
    };
    let sensible = match state {
        State::Received => Step::Command(whom(dice)),
        State::Commanded => Step::Accept,
        State::Accepted => Step::TurnOut,
        State::TurnedOut => Step::Arrive,
        State::Arrived => Step::Free,
        _ => Step::Close(Ending { persons_freed: 1, cause: Cause::Door, action: "opened the door".into() }),
    };
    let step = if dice.chance(500) {
        sensible
    } else {
        match dice.below(9) {
            0 => Step::Command(whom(dice)),
            1 => Step::Decline,
            2 => Step::Arrive,
            3 => Step::Free,
            4 | 5 => Step::HandOver(whom(dice)),
            6 => Step::FalseAlarm,
            7 => sensible,
            _ => Step::Note,
        }
    };
    let is_firm = dice.chance(150);
    let of_firm = Actor { id: "rescuer".into(), roles: vec![Role::Firm], scope: Scope::Firm(firm(dice)) };
    let note = (step == Step::Note).then(|| "noted".into());
    (if is_firm { of_firm } else { Actor::local_admin() }, Action::AdvanceIncident { incident, step, note })
}
