//! What leaves the core: rows for the store, events for the feed, the answer to a command.

use bytes::Bytes;

use super::alert::AlertEvent;
use super::archive::{Entry, EntryKind, FieldChange};
use super::downlink::Downlink;
use super::fill::Verdict;
use super::frame::Frame;
use super::ids::{DeviceCode, SiteCode};
use super::incident::IncidentEvent;
use super::obligation::DueRow;
use super::record::Outcome;
use super::report::ReportRow;
use super::scan::Scan;
use super::time::Wall;
use super::visit::{SignatureRow, VisitRow};

/// All that one record changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effects {
    pub rows: Vec<Row>,
    pub events: Vec<AlertEvent>,
    /// Of rescues, numbered apart from those of alerts.
    pub incidents: Vec<IncidentEvent>,
    /// For devices. As with the reply: a replay's are thrown away, and they are not written down.
    pub downlinks: Vec<Downlink>,
    /// Only ever released to whoever is waiting for it; a replay's is thrown away.
    pub reply: Option<Outcome>,
    /// For the figures of the service; not written down.
    pub tally: Tally,
}

/// What came in with one record, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Newer frames.
    pub frames: u32,
    /// Frames that were late, judged or not.
    pub late: u32,
    pub scans: u32,
    /// Answers to fill requests: how many allow, how many deny.
    pub allowed: u32,
    pub denied: u32,
    /// Frames and scans that had been taken before.
    pub repeats: u32,
    /// Items and reports set aside, in the order of `RejectReason::ALL`.
    pub rejects: [u32; RejectReason::ALL.len()],
    /// Fields that the wire contract doesn't know.
    pub unknown_fields: u32,
    /// Messages that nobody waits for.
    pub ignored: u32,
    /// Alerts and calls that would have been one rescue more than are taken.
    pub rescues_refused: u32,
}

impl Tally {
    pub fn note_reject(&mut self, reason: RejectReason) {
        let at = RejectReason::ALL.iter().position(|other| *other == reason);
        if let Some(n) = at.and_then(|at| self.rejects.get_mut(at)) {
            *n += 1;
        }
    }

    pub fn rejects(&self) -> u32 {
        self.rejects.iter().sum()
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.late += other.late;
        self.scans += other.scans;
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.repeats += other.repeats;
        for (ours, more) in self.rejects.iter_mut().zip(other.rejects) {
            *ours += more;
        }
        self.unknown_fields = self.unknown_fields.saturating_add(other.unknown_fields);
        self.ignored += other.ignored;
        self.rescues_refused += other.rescues_refused;
    }
}

impl Effects {
    /// Whether there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.events.is_empty() && self.incidents.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    Frame(FrameRow),
    Scan(ScanRow),
    Reject(RejectRow),
    Status(StatusRow),
    /// The archive's present entry, whole.
    Entry(Entry),
    Change(ChangeRow),
    Due(DueRow),
    Report(ReportRow),
    Visit(Box<VisitRow>),
    Signature(SignatureRow),
}

/// Where a frame's time in history comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// The device's own clock.
    Claimed,
    /// The device gave no time: it is the time received.
    Absent,
    /// The device's clock is more than 5 min ahead or 7 days behind: it is the time received.
    Wrong,
}

/// How a frame stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Newer,
    /// Older than the newest, and not seen before.
    Late,
    /// So old that whether it was seen before is no longer known: kept apart, under a key that tells, and not judged.
    VeryLate,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FrameRow {
    pub device: DeviceCode,
    /// Counts the terminals of the device, from 0.
    pub generation: u32,
    pub frame: Frame,
    pub received_at: Wall,
    pub effective_at: Wall,
    pub time_source: TimeSource,
    pub order: Order,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ScanRow {
    pub site: SiteCode,
    pub generation: u32,
    pub scan: Scan,
    pub received_at: Wall,
    pub effective_at: Wall,
    pub time_source: TimeSource,
    pub order: Order,
    /// What is wrong with it by the rules of who may say what: ascending, without repeats.
    pub flags: Vec<ScanFlag>,
    /// The answer to a fill request.
    pub verdict: Option<Verdict>,
}

/// A message, or one item of it, that was set aside.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectRow {
    pub topic: Box<str>,
    pub reason: RejectReason,
    /// JSON pointer to the place; empty for the whole payload.
    pub pointer: Box<str>,
    /// What a person needs to mend it.
    pub detail: Box<str>,
    /// The bytes of what was set aside: the payload, or the item where it can be told apart.
    pub payload: Bytes,
    pub received_at: Wall,
}

macro_rules! bounded_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant = $number),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
            pub fn number(self) -> i32 { self as i32 }
            pub fn from_number(number: i32) -> Option<Self> { match number { $($number => Some(Self::$variant),)+ _ => None } }
        }
    };
}
pub(crate) use bounded_set;

bounded_set!(
    /// Why something was set aside. It is counted by it.
    RejectReason {
        /// The topic is none of ours, or its code breaks its form.
        BadTopic = 1 "bad-topic",
        /// The payload is larger than `limits::PAYLOAD_BYTES`.
        TooLarge = 2 "too-large",
        /// The payload can't be read at all.
        Unreadable = 3 "unreadable",
        /// JSON nested deeper than `limits::JSON_DEPTH`.
        TooDeep = 4 "too-deep",
        /// More than `limits::REPORT_ITEMS` frames or scans.
        TooMany = 5 "too-many",
        /// A code in the payload differs from the topic's.
        WrongDevice = 6 "wrong-device",
        /// One frame or scan can't be read.
        UnreadableItem = 7 "unreadable-item",
        /// `boot`, `seq`, the time, or a scan's `scanner`, `cylinder` or `event` is missing or bad.
        BadIdentity = 8 "bad-identity",
        /// A value that no database would take.
        Unstorable = 9 "unstorable",
        /// The record that made the core fail: skipped, and kept here.
        Skipped = 10 "skipped",
        /// A vendor's record is not as its source profile says.
        ProfileMisfit = 11 "profile-misfit",
    }
);
bounded_set!(
    /// What a scan may not say, or not about this cylinder. It is recorded all the same, and counted by it.
    ScanFlag {
        /// The archive doesn't know the site.
        UnregisteredSite = 1 "unregistered-site",
        /// Only the cylinder's own filling unit may say that.
        ForeignSite = 2 "foreign-site",
        /// Only a registered inspection body may say that.
        NotAnInspectionBody = 3 "not-an-inspection-body",
        /// The same code was registered with other fixed data.
        DuplicateCode = 4 "duplicate-code",
        /// It doesn't follow from where the cylinder was last: something in between was not scanned.
        IllegalMove = 5 "illegal-move",
        /// No scanner sent it: somebody asked by a call (`CylinderService.CheckFill`).
        ByCall = 6 "by-call",
    }
);

bounded_set!(
    /// What was done to an entry of the archive.
    ChangeKind {
        Created = 1 "created",
        Changed = 2 "changed",
        /// The lift's terminal is another one from here on.
        TerminalReplaced = 3 "terminal_replaced",
        /// The cylinder is another filling unit's from the day on that is told with it.
        Transferred = 4 "transferred",
    }
);

/// A change of the archive: never rewritten. What an entry was before follows from what it is and what was changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    pub kind: EntryKind,
    /// Of the entry.
    pub code: Box<str>,
    pub what: ChangeKind,
    pub changed_at: Wall,
    /// The id of who did it.
    pub actor: Box<str>,
    /// In the order of `archive::field_names`. Empty where it was created.
    pub fields: Vec<FieldChange>,
}

/// `online` or `offline`, as the device or its last will says: for its timeline only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRow {
    pub device: DeviceCode,
    pub online: bool,
    pub received_at: Wall,
}
