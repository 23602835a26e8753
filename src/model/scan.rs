//! A cylinder scan, decoded. Fields, units and ranges: `docs/devices.md`.

use super::frame::{FrameKey, wire_enum};
use super::ids::CylinderCode;
use super::time::Wall;

wire_enum!(
    /// What happened to the cylinder.
    ScanEvent {
        Registered = 1 "registered", StockedIn = 2 "stocked_in", CheckedBeforeFill = 3 "checked_before_fill",
        FillRequested = 4 "fill_requested", Filled = 5 "filled", CheckedAfterFill = 6 "checked_after_fill",
        Dispatched = 7 "dispatched", Delivered = 8 "delivered", Collected = 9 "collected", Returned = 10 "returned",
        SentForInspection = 11 "sent_for_inspection", Inspected = 12 "inspected", Disabled = 13 "disabled",
        Lost = 14 "lost", Scrapped = 15 "scrapped",
    }
);

/// A scan's identity is (site, scanner, boot, seq); the site is its topic's.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// 1 to 32 characters, unique at its site.
    pub scanner: Box<str>,
    pub key: FrameKey,
    pub claimed_at: Option<Wall>,
    pub cylinder: CylinderCode,
    pub event: ScanEvent,
    pub operator: Option<Box<str>>,
    pub counterparty: Option<Box<str>>,
    pub medium: Option<Box<str>>,
    pub tare_g: Option<u32>,
    pub gross_g: Option<u32>,
    pub net_g: Option<u32>,
    pub pressure_kpa: Option<u32>,
    pub passed: Option<bool>,
    /// At most 16.
    pub findings: Vec<Box<str>>,
    /// 1e-7 degrees, WGS 84.
    pub latitude_e7: Option<i32>,
    pub longitude_e7: Option<i32>,
    pub request: Option<Box<str>>,
    /// The next inspection date, with `inspected` and `passed`.
    pub valid_until: Option<Wall>,
    /// JSON pointers, relative to the scan, of fields that could not be read. Bounded, ascending.
    pub invalid: Vec<Box<str>>,
}
