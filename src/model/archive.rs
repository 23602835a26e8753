//! What is known of devices beside what they send: the archive (一机一档, 一瓶一码一档).

mod fields;

pub use self::fields::{FieldChange, changes, field_names, field_texts, position_from};
use super::ids::{Catalogue, CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode, WorkerId};
use super::time::CivilDay;

/// One entry, whole: an upsert replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entry {
    Lift(Lift),
    Cylinder(Cylinder),
    Firm(Firm),
    Site(Site),
    Worker(Worker),
}

/// What sort of archive entry, in words that file headers and databases use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    Lift,
    Cylinder,
    Firm,
    Site,
    Worker,
}

impl EntryKind {
    /// Those that others name stand before them.
    pub const ALL: &'static [Self] = &[Self::Firm, Self::Site, Self::Worker, Self::Lift, Self::Cylinder];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lift => "lift",
            Self::Cylinder => "cylinder",
            Self::Firm => "firm",
            Self::Site => "site",
            Self::Worker => "worker",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl Entry {
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Lift(_) => EntryKind::Lift,
            Self::Cylinder(_) => EntryKind::Cylinder,
            Self::Firm(_) => EntryKind::Firm,
            Self::Site(_) => EntryKind::Site,
            Self::Worker(_) => EntryKind::Worker,
        }
    }

    pub fn code(&self) -> &str {
        match self {
            Self::Lift(e) => e.code.as_str(),
            Self::Cylinder(e) => e.code.as_str(),
            Self::Firm(e) => e.id.as_str(),
            Self::Site(e) => e.code.as_str(),
            Self::Worker(e) => e.id.as_str(),
        }
    }
}

/// Equipment catalogue: what a device is (`docs/devices.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Equipment {
    /// 3110, 3120 and the other lifts.
    #[default]
    Lift,
    /// 3310 escalator, 3320 moving walk.
    Escalator,
}

impl Equipment {
    pub const ALL: &'static [Self] = &[Self::Lift, Self::Escalator];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lift => "lift",
            Self::Escalator => "escalator",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|equipment| equipment.name() == name)
    }

    /// What the catalogue's first two digits say: 33 are escalators and moving walks, the other 3x are lifts.
    pub fn of(catalogue: &Catalogue) -> Option<Self> {
        match catalogue.as_str().as_bytes() {
            [b'3', b'3', ..] => Some(Self::Escalator),
            [b'3', ..] => Some(Self::Lift),
            _ => None,
        }
    }
}

/// A place on earth, WGS 84, in units of 1e-7 degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    pub latitude_e7: i32,
    pub longitude_e7: i32,
}

/// The contract of a lift with its maintenance firm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contract {
    /// The first day.
    pub from: CivilDay,
    /// The last day; `None`: until further notice.
    pub to: Option<CivilDay>,
    pub kind: ContractKind,
}

impl Contract {
    pub fn covers(&self, day: CivilDay) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContractKind {
    /// Visits by the calendar (TSG T5002-2017).
    Calendar,
    /// Visits as needed (按需维保), with no more than so many days between two of them.
    OnDemand { every_days: u16 },
}

/// A lift, escalator or moving walk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lift {
    /// Device code (设备代码).
    pub code: DeviceCode,
    pub equipment: Equipment,
    /// What it is by the equipment catalogue: 3110, 3310, …
    pub catalogue: Option<Catalogue>,
    /// Registration code (注册代码), which has the form of a device code.
    pub registration: Option<DeviceCode>,
    /// Number of the use registration certificate (使用登记证编号). At most 200 characters; so are all other free texts of
    /// the archive.
    pub use_registration: Option<Box<str>>,
    pub address: Option<Box<str>>,
    pub district: Option<District>,
    pub position: Option<Position>,
    /// 6 digits by default.
    pub rescue_code: Option<Box<str>>,
    /// The building that it stands in, and the feeder that gives it its power: lifts that raise alerts together are
    /// counted by them. One of each name in the whole archive.
    pub building: Option<PlaceId>,
    pub feeder: Option<PlaceId>,
    /// The maintenance firm under contract.
    pub firm: Option<FirmId>,
    /// Its contract. `None`: nothing is known of it but the firm.
    pub contract: Option<Contract>,
    pub use_unit: Option<Box<str>>,
    /// The use unit's safety officer (安全员).
    pub officer: Option<Box<str>>,
    pub officer_phone: Option<Box<str>>,
    /// The longest time between two frames of a healthy terminal, 1 to 86,400 s.
    pub keep_alive_s: Option<u32>,
    /// The monitoring terminal: its model and number.
    pub terminal: Option<Box<str>>,
    /// The supervisory inspection of the installation or of a renovation: what the years of inspection count from.
    pub base_on: Option<CivilDay>,
    /// The last periodic inspection that it passed.
    pub inspected_on: Option<CivilDay>,
    /// The last day on which the present inspection is good.
    pub inspection_due: Option<CivilDay>,
    /// It has been out of use since then.
    pub out_of_use_since: Option<CivilDay>,
}

impl Lift {
    /// Of which nothing else is known.
    pub fn new(code: DeviceCode) -> Self {
        Self {
            code,
            equipment: Equipment::Lift,
            catalogue: None,
            registration: None,
            use_registration: None,
            address: None,
            district: None,
            position: None,
            rescue_code: None,
            building: None,
            feeder: None,
            firm: None,
            contract: None,
            use_unit: None,
            officer: None,
            officer_phone: None,
            keep_alive_s: None,
            terminal: None,
            base_on: None,
            inspected_on: None,
            inspection_due: None,
            out_of_use_since: None,
        }
    }
}

/// Another site than its filling unit may fill a cylinder for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entrustment {
    pub site: SiteCode,
    /// The first day.
    pub from: CivilDay,
    /// The last day; `None`: until further notice.
    pub to: Option<CivilDay>,
}

impl Entrustment {
    pub fn covers(&self, day: CivilDay) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cylinder {
    pub code: CylinderCode,
    /// Codes that it bore before it was labelled anew, or bears beside its own. At most `limits::ALIASES`.
    pub aliases: Vec<CylinderCode>,
    /// The number stamped into it.
    pub stamped_number: Option<Box<str>>,
    /// Its type, by the name that the table of intervals has for it.
    pub kind: Option<Box<str>>,
    /// What it is for; the parts of a mixture are joined by `+`.
    pub medium: Option<Box<str>>,
    /// The standard that it was made to, such as `GB 5842-2006`.
    pub standard: Option<Box<str>>,
    pub made_on: Option<CivilDay>,
    pub volume_ml: Option<u32>,
    pub tare_g: Option<u32>,
    pub max_fill_g: Option<u32>,
    /// The fixed filling unit.
    pub filling_unit: Option<SiteCode>,
    /// The first day on which it was that unit's.
    pub filling_unit_since: Option<CivilDay>,
    /// Who else may fill it, and when. At most `limits::ENTRUSTMENTS`.
    pub entrusted: Vec<Entrustment>,
    /// The last inspection that it passed.
    pub inspected_on: Option<CivilDay>,
    /// The last day on which the present inspection is good.
    pub inspection_due: Option<CivilDay>,
    /// Beyond its design life it may be used up to and with this day.
    pub extended_until: Option<CivilDay>,
    /// A void code: never to be used again.
    pub scrapped: bool,
    pub district: Option<District>,
}

impl Cylinder {
    /// Of which nothing else is known.
    pub fn new(code: CylinderCode) -> Self {
        Self {
            code,
            aliases: Vec::new(),
            stamped_number: None,
            kind: None,
            medium: None,
            standard: None,
            made_on: None,
            volume_ml: None,
            tare_g: None,
            max_fill_g: None,
            filling_unit: None,
            filling_unit_since: None,
            entrusted: Vec::new(),
            inspected_on: None,
            inspection_due: None,
            extended_until: None,
            scrapped: false,
            district: None,
        }
    }
}

/// A maintenance firm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Firm {
    pub id: FirmId,
    pub name: Box<str>,
    /// The 24 h hotline (TSG T5002-2017).
    pub phone: Option<Box<str>>,
    pub address: Option<Box<str>>,
    pub district: Option<District>,
}

impl Firm {
    /// Of which nothing else is known.
    pub fn new(id: FirmId, name: &str) -> Self {
        Self { id, name: name.into(), phone: None, address: None, district: None }
    }
}

/// Somebody who maintains lifts or fills cylinders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Worker {
    pub id: WorkerId,
    pub name: Box<str>,
    /// Whom a maintenance worker works for.
    pub firm: Option<FirmId>,
    pub phone: Option<Box<str>>,
    /// The number of the certificate.
    pub certificate: Option<Box<str>>,
    /// The last day on which the certificate is good.
    pub certified_until: Option<CivilDay>,
}

impl Worker {
    /// Of whom nothing else is known.
    pub fn new(id: WorkerId, name: &str) -> Self {
        Self { id, name: name.into(), firm: None, phone: None, certificate: None, certified_until: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Site {
    pub code: SiteCode,
    pub kind: SiteKind,
    pub name: Box<str>,
    pub address: Option<Box<str>>,
    pub district: Option<District>,
}

impl Site {
    /// Of which nothing else is known.
    pub fn new(code: SiteCode, kind: SiteKind, name: &str) -> Self {
        Self { code, kind, name: name.into(), address: None, district: None }
    }
}
