//! What is known of devices beside what they send: the archive (一机一档, 一瓶一码一档).

use super::ids::{CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode};
use super::time::CivilDay;

/// One entry, whole: an upsert replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Lift(Lift),
    Cylinder(Cylinder),
    Firm(Firm),
    Site(Site),
}

/// What sort of archive entry, in words that file headers and databases use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    Lift,
    Cylinder,
    Firm,
    Site,
}

impl EntryKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Lift => "lift",
            Self::Cylinder => "cylinder",
            Self::Firm => "firm",
            Self::Site => "site",
        }
    }
}

impl Entry {
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Lift(_) => EntryKind::Lift,
            Self::Cylinder(_) => EntryKind::Cylinder,
            Self::Firm(_) => EntryKind::Firm,
            Self::Site(_) => EntryKind::Site,
        }
    }

    pub fn code(&self) -> &str {
        match self {
            Self::Lift(e) => e.code.as_str(),
            Self::Cylinder(e) => e.code.as_str(),
            Self::Firm(e) => e.id.as_str(),
            Self::Site(e) => e.code.as_str(),
        }
    }
}

/// Equipment catalogue: what a device is (`docs/devices.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Equipment {
    /// 3110, 3120 and the other lifts.
    #[default]
    Lift,
    /// 3310 escalator, 3320 moving walk.
    Escalator,
}

/// A lift, escalator or moving walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    pub code: DeviceCode,
    pub equipment: Equipment,
    /// At most 200 characters; so are all other free texts of the archive.
    pub address: Option<Box<str>>,
    pub district: Option<District>,
    /// 6 digits by default.
    pub rescue_code: Option<Box<str>>,
    /// The building that it stands in, and the feeder that gives it its power: lifts that raise alerts together are
    /// counted by them. One of each name in the whole archive.
    pub building: Option<PlaceId>,
    pub feeder: Option<PlaceId>,
    /// The maintenance firm under contract.
    pub firm: Option<FirmId>,
    pub use_unit: Option<Box<str>>,
    /// The longest time between two frames of a healthy terminal, 1 to 86,400 s.
    pub keep_alive_s: Option<u32>,
    /// The last day on which the present inspection is good.
    pub inspection_due: Option<CivilDay>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cylinder {
    pub code: CylinderCode,
    /// The fixed filling unit.
    pub filling_unit: Option<SiteCode>,
    pub medium: Option<Box<str>>,
    pub made_on: Option<CivilDay>,
    /// The last day on which the present inspection is good.
    pub inspection_due: Option<CivilDay>,
    /// A void code: never to be used again.
    pub scrapped: bool,
    pub district: Option<District>,
}

/// A maintenance firm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firm {
    pub id: FirmId,
    pub name: Box<str>,
    /// The 24 h hotline (TSG T5002-2017).
    pub phone: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SiteKind {
    FillingStation,
    Shop,
    InspectionBody,
}

impl SiteKind {
    pub const ALL: &'static [Self] = &[Self::FillingStation, Self::Shop, Self::InspectionBody];

    pub fn name(self) -> &'static str {
        match self {
            Self::FillingStation => "filling_station",
            Self::Shop => "shop",
            Self::InspectionBody => "inspection_body",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// A place where cylinders are scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub code: SiteCode,
    pub kind: SiteKind,
    pub name: Box<str>,
    pub address: Option<Box<str>>,
    pub district: Option<District>,
}
