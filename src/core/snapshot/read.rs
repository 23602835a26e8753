//! Bytes to state, by way of the generated types. What a subject holds is read by `subject`.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::subject::{self, Rules};
use super::{FORMAT, FORMAT_OLDEST, SnapshotError, incidents, records, storms, write};
use crate::core::books::{Books, Now};
use crate::core::cylinder::Cylinder;
use crate::core::cylinder::fills::{Asked, Fills, Given, How};
use crate::core::dispatch::Dispatch;
use crate::core::doubt::Doubt;
use crate::core::judge::built_in::Numbers;
use crate::core::kept::{KeptCylinder, Pools};
use crate::core::lift::Lift;
use crate::core::maintenance::known::{Key, KnownRecord};
use crate::core::paged::Paged;
use crate::core::policy::{Known, Policy};
use crate::core::rejects::Quota;
use crate::core::requests::{Remembered, Requests};
use crate::core::scanner::Scanner;
use crate::core::service::Service;
use crate::core::storms::Storms;
use crate::core::sweep::Today;
use crate::core::telemetry::heard::{Hearing, Way};
use crate::core::timers::Timers;
use crate::core::{Core, Index};
use crate::limits;
use crate::model::fill::Finding;
use crate::model::frame::FrameKey;
use crate::model::ids::{CylinderCode, DeviceCode, RuleId};
use crate::model::incident::IncidentId;
use crate::model::record::Outcome;
use crate::model::time::{CivilDay, Elapsed, Wall};
use crate::proto::internal as wire;
use crate::proto::read::{CodecError, Result, each, firm, health, known, policy, site, texts, there, verdict, worker};

type Restored<T> = std::result::Result<T, SnapshotError>;

/// What every snapshot begins with, if the rest can be read.
fn head(bytes: &Bytes) -> Restored<wire::SnapshotHead> {
    let head: wire::SnapshotHead = at("its head", decode(bytes.clone()))?;
    if !(FORMAT_OLDEST..=FORMAT).contains(&head.format) {
        return Err(SnapshotError::Format { got: head.format });
    }
    Ok(head)
}

/// A state that is read piece by piece, each cut between two fields: what subjects hold is converted as it comes, so that
/// no more than a piece of it is in memory twice.
pub struct Restoring {
    /// What it is to be gone on from by.
    version: u32,
    /// Of all subjects only this lift.
    only: Option<DeviceCode>,
    taken_by: Option<u32>,
    /// All but the subjects. It comes before them.
    rest: wire::Snapshot,
    lifts: Paged<Lift>,
    cylinders: Paged<Cylinder>,
    scanners: Paged<Scanner>,
    pools: Pools,
    known_records: Vec<(Key, KnownRecord)>,
}

impl Restoring {
    /// From a snapshot of this version of the core or an older one.
    pub fn new(version: u32) -> Self {
        Self {
            version,
            only: None,
            taken_by: None,
            rest: wire::Snapshot::default(),
            lifts: Paged::default(),
            cylinders: Paged::default(),
            scanners: Paged::default(),
            pools: Pools::default(),
            known_records: Vec::new(),
        }
    }

    /// With one lift and no other subject, to be gone on from by `apply_to`: the rest isn't even read.
    pub fn one(version: u32, device: &DeviceCode) -> Self {
        Self { only: Some(*device), ..Self::new(version) }
    }

    /// The version of the core that took the snapshot, once its first piece is taken.
    pub fn taken_by(&self) -> Option<u32> {
        self.taken_by
    }

    pub fn take(&mut self, piece: Bytes) -> Restored<()> {
        if self.taken_by.is_none() {
            let got = head(&piece)?.core_version;
            if got > self.version {
                return Err(SnapshotError::CoreVersion { got, ours: self.version });
            }
            self.taken_by = Some(got);
        }
        at("what it is made of", self.rest.merge(piece).map_err(CodecError::from))?;
        let rules = Rules { count: self.rest.books.as_ref().map_or(0, |books| books.names.len()) };
        let mut lifts = std::mem::take(&mut self.rest.lift_states);
        let mut cylinders = std::mem::take(&mut self.rest.cylinder_states);
        let mut scanners = std::mem::take(&mut self.rest.scanner_states);
        let known = std::mem::take(&mut self.rest.known_records);
        let mut known = known.into_iter().map(|it| records::read_known(&it));
        if let Some(device) = &self.only {
            self.rest.fills.clear();
            self.rest.doubt = None;
            let device_part = KnownRecord::device_of(device);
            self.known_records.extend(known.by_ref().filter(|(_, known)| known.device == device_part));
            lifts.retain(|lift| names(lift, device));
            cylinders.clear();
            scanners.clear();
        }
        self.known_records.extend(known);
        at("the records", bounded(self.known_records.len(), limits::RECORD_IDS))?;
        let pools = &mut self.pools;
        append(&mut self.lifts, "lift", lifts, limits::SUBJECTS, |it| subject::lift(it, rules, pools))?;
        append(&mut self.cylinders, "cylinder", cylinders, limits::SUBJECTS, |it| subject::cylinder(it, rules, pools))?;
        append(&mut self.scanners, "scanner", scanners, limits::SCANNERS, subject::scanner)
    }

    pub fn finish(self) -> Restored<Core> {
        let Self { version, only, taken_by, rest: it, lifts, cylinders, scanners, known_records, pools } = self;
        let Some(taken_by) = taken_by else { return Err(SnapshotError::Format { got: 0 }) };
        let mut books = at("the books", books(it.books.unwrap_or_default()))?;
        let rules = Rules { count: books.names.len() };
        let policy = at("the policy", policy_state(it.policy.unwrap_or_default(), &mut books, taken_by == version))?;
        let mut core = Core {
            version,
            next: it.next,
            books,
            policy: Arc::new(policy),
            hearing: at("the state of the link", hearing(&it.hearing.unwrap_or_default()))?,
            lifts,
            cylinders,
            scanners,
            sites: at("the sites", each(it.sites, site))?.into_iter().map(|it| (it.code, it)).collect(),
            firms: at("the firms", each(it.firms, firm))?.into_iter().map(|it| (it.id, it)).collect(),
            dispatch: Dispatch::default(),
            workers: at("the workers", each(it.workers, worker))?.into_iter().map(|it| (it.id, it)).collect(),
            service: at("the state of the service", service(it.service.unwrap_or_default(), rules))?,
            requests: at("the answers to commands", requests(it.answers))?,
            doubt: it.doubt.map(|it| Doubt { before: it.before, since_s: it.since_s }),
            fills: at("the answers to fill requests", fills(it.fills))?,
            known_records: at(
                "the records",
                records::read_all(known_records, it.records_swept_high, it.records_swept_low),
            )?,
            quota: Arc::new(at("the quota of rejects", quota(it.quota.unwrap_or_default()))?),
            today: it.today.map(|it| today(&it)),
            sweep: None,
            index: Index::default(),
            timers: Timers::default(),
            pools,
        };
        // One lift alone is no storm.
        if only.is_none() {
            core.books.storms = at("the storms", storms::read(it.storms.unwrap_or_default(), rules))?;
            core.dispatch = at("the incidents", incidents::read(it.dispatch, it.incident_states, rules))?;
        }
        at("what it is made of", index(&mut core))?;
        storms::recount(&mut core.books.storms, &core.lifts);
        let policy = core.policy.clone();
        for ix in 0..core.lifts.len() {
            if !policy.set.overrides.is_empty() {
                core.lifts.get_mut(number(ix)).find_reach(&policy);
            }
            core.settle(number(ix));
        }
        Ok(core)
    }
}

/// Whether it is the state of that lift. One that can't be read is none.
fn names(lift: &Bytes, device: &DeviceCode) -> bool {
    wire::LiftState::decode(lift.clone()).is_ok_and(|lift| lift.code == device.as_str())
}

/// Says where in the snapshot something is wrong.
fn at<T>(place: &str, result: Result<T>) -> Restored<T> {
    result.map_err(|why| SnapshotError::Unreadable { place: place.into(), why: why.to_string().into() })
}

fn decode<M: Message + Default>(bytes: Bytes) -> Result<M> {
    Ok(M::decode(bytes)?)
}

fn append<M: Message + Default, T: Clone>(
    table: &mut Paged<T>,
    what: &str,
    items: Vec<Bytes>,
    most: usize,
    mut read: impl FnMut(M) -> Result<T>,
) -> Restored<()> {
    at(&format!("the {what}s"), bounded(table.len() + items.len(), most))?;
    for bytes in items {
        let item = decode(bytes).and_then(&mut read);
        table.push(at(&format!("{what} {}", table.len()), item)?);
    }
    Ok(())
}

pub(super) fn bounded(count: usize, most: usize) -> Result<()> {
    if count > most { Err(CodecError::Unfit("there are more of them than this program keeps")) } else { Ok(()) }
}

fn number(ix: usize) -> u32 {
    u32::try_from(ix).expect("tables are bounded far below 2^32")
}

/// Where everything stands.
fn index(core: &mut Core) -> Result<()> {
    for ix in 0..number(core.lifts.len()) {
        let code = core.lifts.get(ix).code;
        anew(core.lift_at(&code))?;
        core.index.lifts.insert(&code, ix);
        let entry = core.lifts.get(ix).archived();
        core.note_rescue_code(ix, entry.and_then(|entry| entry.rescue_code).as_deref());
    }
    for (ix, code) in (0..).zip(core.cylinders.iter().map(|it| it.code)) {
        anew(core.cylinder_named(&code))?;
        core.index.cylinders.insert(&code, ix);
    }
    for (ix, entry) in (0..).zip(core.cylinders.iter().map(|it| it.entry.as_ref())) {
        for code in entry.map_or(&[][..], KeptCylinder::aliases) {
            core.index.aliases.insert_mut((*code, ix));
        }
    }
    for (ix, it) in (0..).zip(core.scanners.iter()) {
        anew(core.scanner_at(it.site, &it.name))?;
        core.index.scanners.insert(&(it.site, &*it.name), ix);
    }
    Ok(())
}

fn finding(it: wire::Finding) -> Result<Finding> {
    Ok(Finding { cylinder: CylinderCode::parse(&it.cylinder)?, reasons: texts(it.reasons) })
}

fn fills(given: Vec<wire::GivenFill>) -> Result<Fills> {
    use wire::given_fill::How as Wire;
    bounded(given.len(), limits::VERDICTS)?;
    let mut fills = Fills::default();
    for it in given {
        let how = match there("how a fill was asked for", it.how)? {
            Wire::Scan(it) => How::Scan { generation: it.generation, key: FrameKey { boot: it.boot, seq: it.seq } },
            Wire::Call(request) => How::Call(request.into()),
        };
        let verdict = verdict(there("an answer", it.verdict)?);
        let given = Given { cylinder: it.cylinder, verdict, until: Elapsed(it.until_ms) };
        fills.restore(Asked { by: it.by, how }, given, it.reserves);
    }
    Ok(fills)
}

fn anew(known: Option<u32>) -> Result<()> {
    known.map_or(Ok(()), |_| Err(CodecError::Unfit("a lift, cylinder or scanner is in it twice")))
}

fn books(it: wire::BooksState) -> Result<Books> {
    bounded(it.names.len(), usize::from(u16::MAX))?;
    Ok(Books {
        epoch: it.epoch,
        seq: it.seq,
        now: Now { elapsed: Elapsed(it.now_ms), wall: Wall(it.now_at_ms) },
        names: each(it.names, |name| Ok(RuleId::parse(&name)?))?,
        built_in: Numbers::default(),
        storms: Storms::default(),
    })
}

/// `same_core`: the same text must mean the same. Another version may read the same rules otherwise; they are the same
/// rules all the same, and what they have begun goes on.
fn policy_state(it: wire::PolicyState, books: &mut Books, same_core: bool) -> Result<Policy> {
    let known_rule = |it: wire::KnownRule| {
        let ix = it.ix.map(|got| known("place of a rule", got, |got| u16::try_from(got).ok())).transpose()?;
        Ok(Known { ix, fingerprint: it.fingerprint, changed_in: it.changed_in })
    };
    let text = policy(it.text.unwrap_or_default());
    let names = books.names.len();
    let mut policy = Policy::restore(it.version, &text, each(it.known, known_rule)?, books)
        .map_err(|_| CodecError::Unfit("its rules, which were in force, have faults for this program"))?;
    if !same_core {
        policy.read_anew();
    }
    if books.names.len() != names || !policy.fits() {
        return Err(CodecError::Unfit("its rules mean something else to this program than to the one that took it"));
    }
    Ok(policy)
}

fn hearing(it: &wire::HearingState) -> Result<Hearing> {
    Ok(Hearing {
        way: known("state of the link", it.way, |got| {
            [Way::Down, Way::Draining, Way::Open].into_iter().find(|way| write::way(*way) == got)
        })?,
        up_at: Elapsed(it.up_ms),
        heard_to: Elapsed(subject::span(it.heard_to_ms)?),
        blind_ms: subject::span(it.blind_ms)?,
        proven_at: Elapsed(it.proven_ms),
    })
}

fn service(it: wire::ServiceState, rules: Rules) -> Result<Service> {
    Ok(Service {
        runs: rules.runs(it.runs)?,
        health: health(it.health.unwrap_or_default())?,
        dropped_at: it.dropped_ms.map(Elapsed),
    })
}

fn requests(answers: Vec<wire::Answer>) -> Result<Requests> {
    bounded(answers.len(), limits::REQUESTS)?;
    let mut requests = Requests::default();
    for it in answers {
        requests.put(answer(it)?);
    }
    Ok(requests)
}

fn answer(it: wire::Answer) -> Result<Remembered> {
    use wire::answer::Outcome as Wire;
    let outcome = match there("an outcome", it.outcome)? {
        Wire::Done(it) => Outcome::Done { position: it.position, changed: it.changed },
        Wire::Incident(it) => {
            let incident = IncidentId::parse(&it.incident)?;
            Outcome::Incident { position: it.position, incident, joined: it.joined }
        }
        Wire::NotFound(what) => Outcome::NotFound { what: what.into() },
        Wire::Precondition(why) => Outcome::Precondition { why: why.into() },
        Wire::Denied(why) => Outcome::Denied { why: why.into() },
        Wire::Findings(it) => Outcome::Findings { position: it.position, findings: each(it.findings, finding)? },
        Wire::Fill(it) => Outcome::Fill { position: it.position, verdict: verdict(there("an answer", it.verdict)?) },
        Wire::RequestReused(_) => Outcome::RequestReused,
    };
    Ok(Remembered {
        at: Elapsed(it.taken_ms),
        actor: it.actor.into(),
        request: it.request.into(),
        action: it.action,
        outcome,
    })
}

fn quota(it: wire::QuotaState) -> Result<Quota> {
    // One more is the count of all topics beyond the bound.
    bounded(it.kept.len(), limits::REJECT_TOPICS + 1)?;
    let kept = it.kept.into_iter().map(|it| (it.topic.into(), it.count)).collect();
    Ok(Quota { began: Elapsed(it.began_ms), kept })
}

fn today(it: &wire::Today) -> Today {
    Today { day: CivilDay(it.day), begins: Wall(it.begins_at_ms), ends: Wall(it.ends_at_ms) }
}
