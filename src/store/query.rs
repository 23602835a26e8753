//! What can be asked for, and the cursors by which pages follow each other.
//!
//! A range holds `from` and not `to`. `after` is the cursor of the last row of the page before.

use crate::limits;
use crate::model::alert::AlertEvent;
use crate::model::archive::{EntryKind, Lift};
use crate::model::ids::{CylinderCode, DeviceCode, District, FirmId, SiteCode, Subject};
use crate::model::incident::IncidentId;
use crate::model::obligation::{DueKind, DueRow, Party};
use crate::model::row::{FrameRow, RejectReason, ScanRow};
use crate::model::time::{CivilDay, Wall};
use crate::model::visit::ChainLink;

use super::columns::order_number;

/// How many rows a page has when `limit` are asked for.
pub(super) fn page_rows(limit: usize) -> usize {
    limit.clamp(1, limits::PAGE_ROWS)
}

#[derive(Debug, Clone)]
pub struct FrameQuery {
    pub device: DeviceCode,
    pub from: Wall,
    pub to: Wall,
    pub after: Option<FrameCursor>,
    pub limit: usize,
}

/// The place of a frame in its device's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameCursor {
    pub effective_at: Wall,
    pub generation: u32,
    pub boot: u32,
    pub seq: u64,
    /// How it stands to those before it, as a number: a very late frame may repeat one that is in history already,
    /// and comes after it.
    pub arrival_order: i16,
    pub claimed_at: Option<Wall>,
}

impl FrameCursor {
    pub fn of(row: &FrameRow) -> Self {
        Self {
            effective_at: row.effective_at,
            generation: row.generation,
            boot: row.frame.key.boot,
            seq: row.frame.key.seq,
            arrival_order: order_number(row.order),
            claimed_at: row.frame.claimed_at,
        }
    }
}

#[derive(Debug, Clone)]
pub struct ScanQuery {
    pub cylinder: CylinderCode,
    pub from: Wall,
    pub to: Wall,
    pub after: Option<ScanCursor>,
    pub limit: usize,
}

/// The place of a scan in its cylinder's history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScanCursor {
    pub effective_at: Wall,
    pub site: SiteCode,
    pub scanner: Box<str>,
    pub generation: u32,
    pub boot: u32,
    pub seq: u64,
    pub arrival_order: i16,
    pub claimed_at: Option<Wall>,
}

impl ScanCursor {
    pub fn of(row: &ScanRow) -> Self {
        Self {
            effective_at: row.effective_at,
            site: row.site,
            scanner: row.scan.scanner.clone(),
            generation: row.generation,
            boot: row.scan.key.boot,
            seq: row.scan.key.seq,
            arrival_order: order_number(row.order),
            claimed_at: row.scan.claimed_at,
        }
    }
}

/// A row with the number by which the store ordered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered<T> {
    /// Ascending, with gaps. It is the cursor.
    pub n: u64,
    pub row: T,
}

/// The range is of when they were recorded.
#[derive(Debug, Clone)]
pub struct LinkQuery {
    pub device: DeviceCode,
    pub from: Wall,
    pub to: Wall,
    pub after: Option<LinkCursor>,
    pub limit: usize,
}

/// The place of a record in its device's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkCursor {
    pub number: u64,
    /// The store's own number: where somebody has tampered, two may stand in one place.
    pub n: u64,
}

impl LinkCursor {
    pub fn of(link: &Numbered<ChainLink>) -> Self {
        Self { number: link.row.number(), n: link.n }
    }
}

/// The range is of `received_at`.
#[derive(Debug, Clone)]
pub struct StatusQuery {
    pub device: DeviceCode,
    pub from: Wall,
    pub to: Wall,
    pub after: Option<u64>,
    pub limit: usize,
}

/// Changes of one entry of the archive, in the order in which they were made. The range is of `changed_at`.
#[derive(Debug, Clone)]
pub struct ChangeQuery {
    pub kind: EntryKind,
    pub code: String,
    pub from: Wall,
    pub to: Wall,
    pub after: Option<u64>,
    pub limit: usize,
}

/// Lifts for which all holds that is asked for.
#[derive(Debug, Clone, Default)]
pub struct LiftQuery {
    pub rescue_code: Option<String>,
    /// A registration code, or a device code.
    pub registration: Option<String>,
    /// A part of the address, whatever the case of its Latin letters.
    pub address: Option<String>,
    /// The code of the last one of the page before.
    pub after: Option<String>,
    pub limit: usize,
}

impl LiftQuery {
    /// Whether a lift is one of those that are asked for, whatever page it is on.
    pub fn fits(&self, lift: &Lift) -> bool {
        let is_code = |code: &String| {
            lift.code.as_str() == code || lift.registration.as_ref().is_some_and(|own| own.as_str() == code)
        };
        let holds = |part: &String| {
            lift.address.as_ref().is_some_and(|own| own.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
        };
        self.rescue_code.as_deref().is_none_or(|code| lift.rescue_code.as_deref() == Some(code))
            && self.registration.as_ref().is_none_or(is_code)
            && self.address.as_ref().is_none_or(holds)
    }
}

/// The range is of `received_at`.
#[derive(Debug, Clone)]
pub struct RejectQuery {
    pub from: Wall,
    pub to: Wall,
    pub topic: Option<String>,
    pub reason: Option<RejectReason>,
    pub after: Option<u64>,
    pub limit: usize,
}

/// The range is of `at`, the time at which it came true.
#[derive(Debug, Clone)]
pub struct AlertQuery {
    pub subject: Subject,
    pub from: Wall,
    pub to: Wall,
    pub after: Option<AlertCursor>,
    pub limit: usize,
}

/// The range is of `received_at`.
#[derive(Debug, Clone)]
pub struct IncidentQuery {
    pub from: Wall,
    pub to: Wall,
    /// When the last one of the page before was received, and which it was.
    pub after: Option<(Wall, IncidentId)>,
    pub limit: usize,
}

/// The range is of frames.
#[derive(Debug, Clone)]
pub struct ReportingQuery {
    pub from: Wall,
    pub to: Wall,
    /// Only lifts within it, and under contract with that firm.
    pub district: Option<District>,
    pub firm: Option<FirmId>,
}

/// The place of an alert event in its subject's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertCursor {
    pub at: Wall,
    pub epoch: u32,
    pub seq: u64,
}

impl AlertCursor {
    pub fn of(event: &AlertEvent) -> Self {
        Self { at: event.at, epoch: event.epoch, seq: event.seq }
    }
}

/// How the due dates of one subject came to be what they are.
#[derive(Debug, Clone)]
pub struct DueQuery {
    pub subject: Subject,
    pub after: Option<u64>,
    pub limit: usize,
}

/// What stood at the end of a day, by what was recorded by then. A field that is empty or `None` leaves all.
#[derive(Debug, Clone)]
pub struct StandingQuery {
    pub as_of: CivilDay,
    /// Due before this day; the day itself, for what is overdue as of it.
    pub due_before: CivilDay,
    pub subject: Option<Subject>,
    pub kinds: Vec<DueKind>,
    /// In any of them, or within.
    pub districts: Vec<District>,
    pub party: Option<Party>,
    pub after: Option<StandingCursor>,
    pub limit: usize,
}

/// The place of a due date among those that stood: a subject has at most one of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StandingCursor {
    pub subject: Subject,
    pub kind: DueKind,
}

impl StandingCursor {
    pub fn of(row: &DueRow) -> Self {
        Self { subject: row.subject, kind: row.kind }
    }
}

#[derive(Debug, Clone)]
pub struct ReportQuery {
    pub device: DeviceCode,
    pub after: Option<u64>,
    pub limit: usize,
}
