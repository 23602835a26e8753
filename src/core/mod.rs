//! The deterministic core: a fold over the inbox. `apply` takes a record and says what it changed.
//!
//! **Invariant:** no I/O, no clock, no random numbers, no iteration without an order, one thread. The same records give
//! the same effects and the same state, byte for byte. `docs/ARCHITECTURE.md` says why everything hangs on that.

pub mod decode;
pub mod judge;
pub mod rules;
pub mod tables;
pub mod telemetry;

pub mod books;
pub mod chain;
pub mod cylinder;
pub mod dispatch;
pub mod explain;
pub mod inspection;
pub mod kept;
pub mod lift;
pub mod maintenance;
pub mod obligation;
pub mod paged;
pub mod policy;
pub mod scanner;
pub mod service;
pub mod snapshot;

pub mod ahead;
mod commands;
pub mod correction;
pub mod doubt;
mod filling;
mod places;
mod registry;
pub mod rejects;
pub mod replay;
mod reports;
pub mod requests;
pub mod storms;
pub mod sweep;
pub mod timers;

use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use self::books::{Books, Now};
use self::cylinder::Cylinder;
use self::cylinder::fills::Fills;
use self::dispatch::Dispatch;
use self::doubt::Doubt;
use self::judge::Context;
use self::kept::Pools;
use self::lift::Lift;
use self::maintenance::known::KnownRecords;
use self::paged::Paged;
use self::places::Places;
use self::policy::Policy;
use self::rejects::Quota;
use self::requests::Requests;
use self::scanner::Scanner;
use self::service::Service;
use self::sweep::{Sweep, Today};
use self::telemetry::heard::{Change, Hearing};
use self::timers::Timers;
use crate::model::alert::Alert;
use crate::model::archive;
use crate::model::ids::{CylinderCode, FirmId, SiteCode, WorkerId};
use crate::model::record::{Kind, Link, PolicyText, Record};
use crate::model::row::{Effects, RejectReason, RejectRow, Row};
use crate::model::time::{Elapsed, Wall};

/// Rises when the effects of the golden journals in the tests change (`docs/adr/0005-core-versions.md`).
pub const CORE_VERSION: u32 = 1;

/// The last moment that the core goes by: a civil day of any zone still ends after it.
const LAST_WALL: Wall = Wall(Wall::LAST.0 - 3 * 86_400_000);

#[derive(Debug, Clone)]
pub struct Core {
    /// `CORE_VERSION`, but in tests of how one version follows another.
    version: u32,
    /// The position of the next record.
    next: u64,
    books: Books,
    policy: Arc<Policy>,
    hearing: Hearing,
    lifts: Paged<Lift>,
    cylinders: Paged<Cylinder>,
    scanners: Paged<Scanner>,
    /// Copies of these three share all that they have in common, as those of `requests` do.
    sites: RedBlackTreeMapSync<SiteCode, archive::Site>,
    firms: RedBlackTreeMapSync<FirmId, archive::Firm>,
    workers: RedBlackTreeMapSync<WorkerId, archive::Worker>,
    service: Service,
    dispatch: Dispatch,
    requests: Requests,
    known_records: KnownRecords,
    fills: Fills,
    /// Since journals were lost or replaced.
    doubt: Option<Doubt>,
    quota: Arc<Quota>,
    today: Option<Today>,
    sweep: Option<Sweep>,
    index: Index,
    timers: Timers,
    /// Follows from the entries of lifts and cylinders.
    pools: Pools,
}

/// Where subjects stand in their tables: lifts and cylinders by code, scanners by site and name; lifts also by rescue code.
#[derive(Debug, Clone, Default)]
struct Index {
    lifts: Places,
    cylinders: Places,
    scanners: Places,
    rescue_codes: Places,
    /// Codes that cylinders had before they were relabelled, and which cylinder that was.
    aliases: RedBlackTreeSetSync<(CylinderCode, u32)>,
}

impl Core {
    /// The state before the first record.
    pub fn new(epoch: u32) -> Self {
        Self::new_as(CORE_VERSION, epoch)
    }

    pub fn new_as(version: u32, epoch: u32) -> Self {
        Self {
            version,
            next: 0,
            books: Books::new(epoch),
            policy: Arc::new(Policy::none()),
            hearing: Hearing::default(),
            lifts: Paged::default(),
            cylinders: Paged::default(),
            scanners: Paged::default(),
            sites: RedBlackTreeMapSync::new_sync(),
            firms: RedBlackTreeMapSync::new_sync(),
            workers: RedBlackTreeMapSync::new_sync(),
            service: Service::default(),
            dispatch: Dispatch::default(),
            requests: Requests::default(),
            known_records: KnownRecords::default(),
            fills: Fills::default(),
            doubt: None,
            quota: Arc::default(),
            today: None,
            sweep: None,
            index: Index::default(),
            timers: Timers::default(),
            pools: Pools::default(),
        }
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    /// The position of the record that `apply` wants next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The elapsed time of the last record.
    pub fn now(&self) -> Now {
        self.books.now
    }

    pub fn epoch(&self) -> u32 {
        self.books.epoch
    }

    /// Of the last alert event.
    pub fn seq(&self) -> u64 {
        self.books.seq
    }

    pub fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    pub fn policy(&self) -> &PolicyText {
        &self.policy.text
    }

    /// Counts the policies, from 1.
    pub fn policy_version(&self) -> u32 {
        self.policy.version
    }

    pub fn lifts(&self) -> &Paged<Lift> {
        &self.lifts
    }

    pub fn cylinders(&self) -> &Paged<Cylinder> {
        &self.cylinders
    }

    /// Takes the next record and says what it changed.
    pub fn apply(&mut self, record: &Record) -> Effects {
        let mut out = self.begin(record);
        match &record.kind {
            Kind::Core { epoch, .. } => self.take_core(record.pos, *epoch),
            Kind::Correction(correction) => self.take_correction(&mut out, correction),
            Kind::Start { .. } => self.hearing.start(record.elapsed),
            Kind::Recovered { epoch, retell } => self.take_recovery(*epoch, *retell),
            Kind::Policy(text) => out.reply = Some(self.take_policy(text)),
            Kind::Report { topic, payload } => self.take_report(&mut out, topic, payload),
            Kind::Link(link) => self.take_link(*link),
            Kind::Command(command) => out.reply = Some(self.take_command(&mut out, command)),
            Kind::Tick => {}
            Kind::Health(health) => self.service.take_health(&mut self.books, &mut out, *health),
        }
        self.finish(&mut out);
        out
    }

    /// Passes over a record that made `apply` panic before: it is kept, and people are told.
    pub fn skip(&mut self, record: &Record) -> Effects {
        let mut out = self.begin(record);
        let (topic, payload) = match &record.kind {
            Kind::Report { topic, payload } => (topic.clone(), payload.clone()),
            _ => ("".into(), bytes::Bytes::new()),
        };
        out.rows.push(Row::Reject(RejectRow {
            topic,
            reason: RejectReason::Skipped,
            pointer: "".into(),
            detail: format!("the record at position {} of the inbox made the core fail", record.pos).into(),
            payload,
            received_at: record.wall,
        }));
        self.service.say_skipped(&mut self.books, &mut out, record.pos);
        self.finish(&mut out);
        out
    }

    fn begin(&mut self, record: &Record) -> Effects {
        assert_eq!(record.pos, self.next, "records are applied one by one, in order");
        self.next += 1;
        // The inbox never lets elapsed time step back; should a foreign one, timers must not run backwards.
        let elapsed = record.elapsed.max(self.books.now.elapsed);
        // A clock that is out of its mind must not leave the calendar, whose days would then never turn.
        self.books.now = Now { elapsed, wall: record.wall.clamp(Wall(0), LAST_WALL) };
        // No record is judged by the day of the one before it.
        self.turn_day();
        Effects::default()
    }

    /// What time alone brings, after whatever the record brought.
    fn finish(&mut self, out: &mut Effects) {
        self.turn_day();
        self.fire_due(out);
        self.fire_deadlines(out);
        self.continue_sweep(out);
        self.follow_alerts(out);
        self.continue_retelling(out);
        self.service.look(&mut self.books, out, &self.hearing);
        self.tell_groups(out);
    }

    /// When the shell must append a `Tick` if nothing else comes. In the past: at once.
    pub fn next_deadline(&self) -> Option<Elapsed> {
        let now = self.books.now;
        let service = self.service.next_timer(&self.books, &self.hearing);
        let day = self.day_turns_at();
        let silence = self.timers.first_silence().filter(|due| *due <= self.hearing.now()).map(|_| now.elapsed);
        let incidents = self.dispatch.first_due();
        [self.due_at_once(), service, day, silence, incidents, self.timers.first()].into_iter().flatten().min()
    }

    /// The present, if something is left over from the last record.
    fn due_at_once(&self) -> Option<Elapsed> {
        let has_more = self.sweep.is_some()
            || self.timers.has_woken()
            || self.books.storms.has_waiting()
            || !self.dispatch.is_all_told();
        has_more.then_some(self.books.now.elapsed)
    }

    /// When time alone next changes something, if the link stays proven all along: as the above, but for blindness, and
    /// with silence when it will have been heard.
    pub fn next_due_if_heard(&self) -> Option<Elapsed> {
        let now = self.books.now.elapsed;
        let silence = self.timers.first_silence().map(|due| self.hearing.elapsed_at(due).max(now));
        [self.due_at_once(), self.day_turns_at(), silence, self.timers.first()].into_iter().flatten().min()
    }

    /// Takes the link for proven up to `to`, as by all the markers that nothing falls due before: what they would have
    /// changed, and no more.
    pub fn hear_through(&mut self, to: Elapsed) {
        self.hearing.prove(to);
    }

    fn take_link(&mut self, link: Link) {
        let now = self.books.now.elapsed;
        if self.hearing.take(link, now) == Change::Drained {
            self.timers.wake_waiting();
        }
    }

    /// Whether nothing is left over from the last record. Only then is the state a snapshot's: what is left over
    /// isn't part of it.
    pub fn is_settled(&self) -> bool {
        self.next_deadline().is_none_or(|due| due > self.books.now.elapsed)
    }

    /// The open alerts, by subject and rule.
    pub fn open_alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for lift in self.lifts.iter() {
            self.collect_open(&mut alerts, &lift.runs, || lift.who());
        }
        for cylinder in self.cylinders.iter() {
            self.collect_open(&mut alerts, &cylinder.runs, || cylinder.who(None));
        }
        self.collect_open(&mut alerts, &self.service.runs, service::who);
        for kept in self.dispatch.iter() {
            self.collect_open(&mut alerts, &kept.runs, || kept.who());
        }
        alerts.sort_by(|a, b| a.id.cmp(&b.id));
        alerts
    }

    fn context<'a>(&'a mut self, out: &'a mut Effects) -> (Context<'a>, &'a mut Paged<Lift>, &'a mut Paged<Cylinder>) {
        let cx = Context { policy: &self.policy, books: &mut self.books, hearing: &self.hearing, out };
        (cx, &mut self.lifts, &mut self.cylinders)
    }
}
