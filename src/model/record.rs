//! What enters the core: the closed list of all that can change anything.

use bytes::Bytes;

use super::actor::Actor;
use super::alert::{Alert, EventKind};
use super::archive::Entry;
use super::fill::{FillRequest, Finding, Stored, Verdict};
use super::ids::{AlertId, CylinderCode, DeviceCode, SiteCode};
use super::incident::{self, Call, IncidentId, Step};
use super::report::{ReportRow, ReportUpload};
use super::time::{CivilDay, Elapsed, Wall};
use super::visit::{ChainLink, Sign, Upload};

/// One entry of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its position in the inbox, from 0.
    pub pos: u64,
    /// Never less than that of the record before it.
    pub elapsed: Elapsed,
    pub wall: Wall,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// This version of the core judges from here on, and has judged what stands before it and wasn't judged yet. The
    /// first record of an inbox, and the first that another version writes (`docs/adr/0005-core-versions.md`).
    Core {
        version: u32,
        /// The one that the inbox has here.
        epoch: u32,
    },
    /// Another version of the core took over, and what it makes of records that were judged before is not what was
    /// told: from here on both agree.
    Correction(Correction),
    /// The service began. What happened between the record before and this one was not heard.
    Start {
        version: Box<str>,
    },
    /// A person had journals and store go on together although they didn't fit (`vigil recover`): from here on positions
    /// and numbers may mean something else than before, and no cylinder is filled until somebody has told of it.
    Recovered {
        epoch: u32,
        /// The store is new: the archive is told to it again.
        retell: bool,
    },
    /// All that judging depends on. Always the whole of it.
    Policy(PolicyText),
    /// A message from the broker, as it came.
    Report {
        topic: Box<str>,
        payload: Bytes,
    },
    Link(Link),
    Command(Command),
    /// A deadline came and nothing else did.
    Tick,
    Health(Health),
}

/// How to get from what a version of the core has told to what the one after it holds. There may be several in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Correction {
    pub epoch: u32,
    /// Of the last event that was told before.
    pub seq: u64,
    /// The same of incidents.
    pub incident_seq: u64,
    /// Alerts that were told of and that this version never opened: their numbers are not given again.
    pub numbers: Vec<AlertId>,
    /// At most `limits::CORRECTIONS`.
    pub alerts: Vec<Corrected>,
    /// Rescues with how they go on, where this version would have told them otherwise. Without entries: not by that id.
    pub rescues: Vec<(IncidentId, Vec<incident::Entry>)>,
}

/// One alert that doesn't stand as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrected {
    pub kind: EventKind,
    pub at: Wall,
    pub alert: Alert,
}

/// The way between the devices and us, as far as the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A session with the broker is up; what it kept for us is still to come.
    Up,
    Down,
    /// The marker that we sent through the broker at this time came back: all that the broker
    /// took before it has been delivered. The first one sent after `Up` ends the backlog.
    Heard {
        sent: Elapsed,
    },
}

/// The rules and settings that judging depends on, as text, so that a copy of the inbox needs no other file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyText {
    /// (file name, content), by name.
    pub rules: Vec<(Box<str>, Box<str>)>,
    /// The zone in which civil dates turn, as the tz database names it.
    pub zone: Box<str>,
    /// The version of the tz database: another one may turn days at other times.
    pub tzdb: Box<str>,
    /// The first levels of every topic of ours, without a slash at the end: `vigil/v1`.
    pub topic_prefix: Box<str>,
}

/// A write that someone asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Chosen by the asker, 1 to 64 characters: the same one again gets the same answer and changes nothing.
    pub request: Box<str>,
    pub actor: Actor,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Acknowledge {
        alert: AlertId,
        note: Option<Box<str>>,
    },
    Clear {
        alert: AlertId,
        note: Option<Box<str>>,
    },
    /// At most `limits::COMMAND_ITEMS` entries.
    Upsert(Vec<Entry>),
    /// A call about somebody trapped.
    OpenIncident(Call),
    AdvanceIncident {
        incident: IncidentId,
        step: Step,
        note: Option<Box<str>>,
    },
    /// A rescue as others have it: its timeline, from how it was received on. After journals were lost, or are older than the
    /// store; and where another version of the core told of one that this version doesn't know.
    AdoptIncident {
        incident: IncidentId,
        timeline: Vec<incident::Entry>,
    },
    /// The lift has another terminal, which counts afresh (`docs/adr/0002-frame-identity.md`).
    ReplaceTerminal {
        device: DeviceCode,
        /// As the archive is to have it; `None`: not known.
        terminal: Option<Box<str>>,
    },
    /// The cylinders are another filling unit's, all of them or none.
    TransferCylinders {
        /// At most `limits::TRANSFERRED`.
        cylinders: Vec<CylinderCode>,
        to: SiteCode,
        /// The first day on which they are.
        on: CivilDay,
    },
    /// Records of maintenance visits, at most `limits::VISITS` of them. Each is known again by its firm and id, however
    /// long ago it came: the request doesn't tell a repeat.
    UploadVisits(Vec<Upload>),
    /// The use unit signs a record.
    Sign(Sign),
    /// Reports of inspections, tests, checks and drills, at most `limits::COMMAND_ITEMS` of them. Each is known again by its
    /// reporter and id: the request doesn't tell a repeat.
    UploadReports(Vec<ReportUpload>),
    /// The journals were lost: these records, at most `limits::VISITS`, are what the store has, each device's in the order
    /// of its chain. Only `vigil recover` says so.
    AdoptRecords(Vec<ChainLink>),
    /// The same for reports, at most `limits::COMMAND_ITEMS`, each lift's in the order in which they were stored.
    AdoptReports(Vec<ReportRow>),
    /// The same for what scans say of cylinders, at most `limits::COMMAND_ITEMS`.
    AdoptCustody(Vec<Stored>),
    /// The same as a gun's `fill_requested`.
    CheckFill(FillRequest),
    /// Which of these cylinders, at most `limits::BATCH_CYLINDERS`, are not in order at a site. Changes nothing.
    CheckBatch {
        site: SiteCode,
        cylinders: Vec<CylinderCode>,
    },
}

/// How the shell around the core is doing; recorded when it changes, at most once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Fullness of the fuller journal, in percent of its limit.
    pub journal_fill_percent: u8,
    /// The store has not taken anything for this long although there is something to take.
    pub store_stalled_ms: i64,
    /// Messages that the broker, or we, dropped before the inbox since the start.
    pub dropped: u64,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done {
        position: u64,
        changed: u32,
    },
    /// Of a command on an incident, or one that opened it.
    Incident {
        position: u64,
        incident: IncidentId,
        /// A call that joined what stood, and opened nothing.
        joined: bool,
    },
    Fill {
        position: u64,
        verdict: Verdict,
    },
    /// In the order of the asking.
    Findings {
        position: u64,
        findings: Vec<Finding>,
    },
    NotFound {
        what: Box<str>,
    },
    /// It doesn't fit the state of things; the text says what would.
    Precondition {
        why: Box<str>,
    },
    Denied {
        why: Box<str>,
    },
    /// The same request id came with another action before.
    RequestReused,
    /// Of a command that takes each of its items by itself: one outcome an item, in their order.
    Items {
        position: u64,
        items: Vec<ItemOutcome>,
    },
}

/// What became of one item of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It is recorded, with what is odd about it, by name.
    Taken {
        flags: Vec<&'static str>,
    },
    /// The very same was recorded before: nothing changed.
    Known,
    /// Another one is recorded under this id.
    Exists {
        why: Box<str>,
    },
    Invalid(Vec<ItemFault>),
    NotFound {
        what: Box<str>,
    },
    /// It doesn't fit the state of things; the text says what would.
    Precondition {
        why: Box<str>,
    },
    Denied {
        why: Box<str>,
    },
}

/// What is wrong with a field of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFault {
    /// As the caller names it, such as `items[3].item`.
    pub field: Box<str>,
    pub why: Box<str>,
}
