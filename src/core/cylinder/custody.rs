//! Where a cylinder is in its round from station to customer and back, as scans tell it, in a few bytes.
//!
//! Scans come late and from clocks that differ, and a fill must never be allowed by what is no longer so. So what speaks
//! for a fill (a check, a return, an inspection) counts only at a moment that is known and that nothing newer has
//! overtaken; what speaks against it counts unless it is known to have been overtaken (`docs/adr/0016-custody.md`).

use crate::model::scan::{Scan, ScanEvent};

/// Of `holder` and `filled_by`: nobody yet.
pub const NOBODY: u32 = u32::MAX;

/// What two scanners' moments may be wrong by against each other: a delay of so much isn't told from a clock that was set.
const MARGIN_S: u32 = 5;

/// Moments are whole seconds of elapsed time; 0: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Custody {
    /// What moved it last.
    pub(crate) last: Option<ScanEvent>,
    pub(crate) flags: u8,
    /// The scanners that told of its last move, and of its last filling.
    pub(crate) holder: u32,
    pub(crate) filled_by: u32,
    pub(crate) moved_s: u32,
    pub(crate) checked_s: u32,
    pub(crate) filled_s: u32,
    /// When its own filling unit had it back, and when it passed an inspection.
    pub(crate) returned_s: u32,
    pub(crate) inspected_s: u32,
}

/// A passed check before filling stands, which no filling has used.
const CHECKED: u8 = 1;
/// The last filling was without one.
const FILLED_UNCHECKED: u8 = 1 << 1;
/// Filled since the last passed check after filling.
const UNVERIFIED: u8 = 1 << 2;
/// Filled since it was last dispatched.
const FILLED: u8 = 1 << 3;
const DISABLED: u8 = 1 << 4;
const LOST: u8 = 1 << 5;
const AT_INSPECTION: u8 = 1 << 6;
pub(crate) const FLAGS: u8 = (1 << 7) - 1;

/// When something happened by our clock, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub s: u32,
    /// It came as it happened: it is younger than all that came before.
    pub is_prompt: bool,
    /// Others may have come before it that happened well after it.
    pub is_late: bool,
    /// Otherwise it may have happened at any time before.
    pub is_certain: bool,
}

/// What a site is to the cylinder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its filling unit.
    pub is_own: bool,
    /// A registered inspection body.
    pub is_body: bool,
}

impl Default for Custody {
    fn default() -> Self {
        Self {
            last: None,
            flags: 0,
            holder: NOBODY,
            filled_by: NOBODY,
            moved_s: 0,
            checked_s: 0,
            filled_s: 0,
            returned_s: 0,
            inspected_s: 0,
        }
    }
}

/// After which events each may follow. A request moves nothing, so it stands nowhere.
const LEGAL: &[(ScanEvent, &[ScanEvent])] = {
    use ScanEvent::*;
    &[
        (Registered, &[Registered]),
        (
            StockedIn,
            &[Registered, StockedIn, CheckedBeforeFill, CheckedAfterFill, Dispatched, Collected, Returned, Inspected],
        ),
        (CheckedBeforeFill, &[Registered, StockedIn, CheckedBeforeFill, CheckedAfterFill, Returned, Inspected]),
        (Filled, &[CheckedBeforeFill]),
        // From stock it is the re-weigh.
        (CheckedAfterFill, &[Filled, CheckedAfterFill, StockedIn]),
        (Dispatched, &[CheckedAfterFill, StockedIn, Returned, Inspected]),
        (Delivered, &[Dispatched, StockedIn]),
        (Collected, &[Delivered]),
        (Returned, &[Dispatched, Delivered, Collected, StockedIn, Inspected, Disabled, Lost]),
        (
            SentForInspection,
            &[Registered, StockedIn, CheckedBeforeFill, CheckedAfterFill, Collected, Returned, Disabled],
        ),
        (Inspected, &[SentForInspection, Inspected]),
        (
            Disabled,
            &[
                Registered,
                StockedIn,
                CheckedBeforeFill,
                Filled,
                CheckedAfterFill,
                Dispatched,
                Delivered,
                Collected,
                Returned,
                SentForInspection,
                Inspected,
                Lost,
            ],
        ),
        (
            Lost,
            &[
                Registered,
                StockedIn,
                CheckedBeforeFill,
                Filled,
                CheckedAfterFill,
                Dispatched,
                Delivered,
                Collected,
                Returned,
                SentForInspection,
                Inspected,
                Disabled,
            ],
        ),
        (
            Scrapped,
            &[
                Registered,
                StockedIn,
                CheckedBeforeFill,
                Filled,
                CheckedAfterFill,
                Collected,
                Returned,
                SentForInspection,
                Inspected,
                Disabled,
                Lost,
            ],
        ),
    ]
};

impl Custody {
    /// Whether the event can follow from where the cylinder is. Anything can be the first that is heard of one.
    pub fn is_legal(&self, event: ScanEvent) -> bool {
        let Some(last) = self.last else { return true };
        let row = LEGAL.iter().find(|(to, _)| *to == event);
        row.is_none_or(|(_, from)| from.contains(&last))
    }

    /// Whether it is known to have happened before the last move that was told.
    pub fn is_overtaken(&self, moment: Moment) -> bool {
        moment.is_late && moment.s < self.moved_s
    }

    pub fn has(&self, flag: Flag) -> bool {
        self.flags & flag as u8 != 0
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    pub fn raise(&mut self, flag: Flag) {
        self.set(flag as u8, true);
    }

    /// Takes a scan that isn't a repeat. `by`: the scanner that told it.
    pub fn take(&mut self, scan: &Scan, by: u32, of: Standing, moment: Moment) {
        self.take_consequences(scan, by, of, moment);
        if scan.event != ScanEvent::FillRequested && !self.is_overtaken(moment) {
            self.last = Some(scan.event);
            self.holder = by;
            self.moved_s = self.moved_s.max(moment.s);
        }
    }

    /// Takes over what another label said. A check stays with the label that it was scanned by: it counts for one filling.
    pub fn inherit(&mut self, before: &Self) {
        if self.last.is_none() {
            *self = Self { flags: self.flags | (before.flags & !CHECKED), ..*before };
        } else {
            self.flags |= before.flags & (DISABLED | LOST | AT_INSPECTION);
        }
    }

    /// What speaks against a fill, of a scan so late that it may be a repeat.
    pub fn take_very_late(&mut self, scan: &Scan, moment: Moment) {
        if scan.event == ScanEvent::Filled && stands(moment, self.checked_s) {
            self.set(CHECKED, false);
        }
    }

    fn take_consequences(&mut self, scan: &Scan, by: u32, of: Standing, moment: Moment) {
        match scan.event {
            ScanEvent::CheckedBeforeFill => self.take_check(scan.passed == Some(true), moment),
            ScanEvent::Filled => self.take_filling(by, moment),
            ScanEvent::CheckedAfterFill if scan.passed == Some(true) && counts(moment, self.filled_s) => {
                self.set(UNVERIFIED, false);
            }
            ScanEvent::Dispatched if !self.is_overtaken(moment) => self.set(FILLED, false),
            ScanEvent::Disabled if of.is_own && stands(moment, self.returned_s) => self.set(DISABLED, true),
            ScanEvent::Lost if of.is_own && stands(moment, self.returned_s) => self.set(LOST, true),
            ScanEvent::SentForInspection if of.is_own && stands(moment, self.inspected_s) => {
                self.set(AT_INSPECTION, true);
            }
            ScanEvent::Returned if of.is_own && moment.is_certain => {
                self.returned_s = self.returned_s.max(moment.s);
                if !self.is_overtaken(moment) {
                    self.set(DISABLED | LOST, false);
                }
            }
            ScanEvent::Inspected if of.is_body && scan.passed == Some(true) && moment.is_certain => {
                self.inspected_s = self.inspected_s.max(moment.s);
                if !self.is_overtaken(moment) {
                    self.set(AT_INSPECTION, false);
                }
            }
            _ => {}
        }
    }

    /// A check counts for one filling. One that failed, or doesn't say, takes a passed one back.
    fn take_check(&mut self, passed: bool, moment: Moment) {
        if passed && counts(moment, self.filled_s) {
            self.set(CHECKED, true);
            self.checked_s = self.checked_s.max(moment.s);
        } else if !passed && stands(moment, self.checked_s) {
            self.set(CHECKED, false);
        }
    }

    fn take_filling(&mut self, by: u32, moment: Moment) {
        let uses_check = stands(moment, self.checked_s);
        // A filling from before the one that is known says nothing of how that one was.
        if stands(moment, self.filled_s) {
            let is_checked = self.flags & CHECKED != 0 || !uses_check;
            self.set(FILLED_UNCHECKED, !is_checked);
            self.filled_by = by;
            if !self.is_overtaken(moment) {
                self.set(FILLED | UNVERIFIED, true);
            }
        }
        if uses_check {
            self.set(CHECKED, false);
        }
        self.filled_s = self.filled_s.max(moment.s);
    }
}

/// Whether what speaks for a fill counts: it happened after what would take it back, as far as can be known.
fn counts(moment: Moment, after_s: u32) -> bool {
    moment.is_certain && (moment.is_prompt || moment.s > after_s)
}

/// Whether what speaks against a fill counts: nothing is known to have taken it back since.
fn stands(moment: Moment, before_s: u32) -> bool {
    !(moment.is_certain && moment.is_late && moment.s.saturating_add(MARGIN_S) < before_s)
}

/// What is remembered beside the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    Checked = CHECKED,
    FilledUnchecked = FILLED_UNCHECKED,
    Unverified = UNVERIFIED,
    Filled = FILLED,
    Disabled = DISABLED,
    Lost = LOST,
    AtInspection = AT_INSPECTION,
}
