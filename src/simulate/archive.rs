//! The archive of a simulated fleet: who and where, and what is due when. Names and addresses are plainly made up.

use super::FleetOptions;
use super::dice::{Dice, Stream};
use crate::model::archive::{Cylinder, Entry, Firm, Lift, Site, SiteKind};
use crate::model::ids::{CylinderCode, DeviceCode, District, FirmId, SiteCode, Subject};
use crate::model::time::CivilDay;

/// The districts and counties of Yinchuan (GB/T 2260).
const DISTRICTS: [&str; 6] = ["640104", "640105", "640106", "640121", "640122", "640181"];
/// China has one zone and no summer time.
const CHINA_OFFSET_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;
const LIFTS_PER_FIRM: u32 = 40;
const FIRMS: u32 = 30;

pub(super) fn lift_code(index: u32) -> DeviceCode {
    let made = 2_008 + index % 17;
    let code = format!("3110{}{made}{index:06}", DISTRICTS[index as usize % DISTRICTS.len()]);
    DeviceCode::parse(&code).expect("20 digits, as there are at most six of the index")
}

pub(super) fn site_code(station: u32) -> SiteCode {
    SiteCode::parse(&format!("6401-GAS-{:03}", station + 1)).expect("digits and capitals")
}

/// What is wrong with a cylinder, by its number, so that sixty are enough to have all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Overdue,
    /// The archive doesn't know it.
    Unregistered,
}

impl Standing {
    pub(super) fn of(cylinder: u32) -> Self {
        match cylinder {
            n if n % 40 == 3 => Self::Overdue,
            n if n % 60 == 8 => Self::Unregistered,
            _ => Self::Good,
        }
    }
}

/// A medium, and every how many years its cylinders are inspected (TSG 23-2021).
pub(super) fn medium(cylinder: u32) -> (&'static str, i64) {
    match cylinder % 20 {
        16 => ("nitrogen", 5),
        17 | 18 => ("oxygen", 3),
        19 => ("acetylene", 3),
        _ => ("lpg", 4),
    }
}

/// The filling unit whose cylinder it is; `stations` is at least 1.
pub(super) fn station_of(cylinder: u32, stations: u32) -> u32 {
    cylinder % stations
}

/// Type 1, province 2, filling unit 3, serial 6: 12 digits.
pub(super) fn cylinder_code(cylinder: u32, stations: u32) -> CylinderCode {
    let code = format!("264{:03}{cylinder:06}", station_of(cylinder, stations) + 1);
    CylinderCode::parse(&code).expect("12 digits")
}

/// Whether a fleet of this size has it.
pub fn is_of_fleet(subject: Subject, lifts: u32, cylinders: u32, stations: u32) -> bool {
    // The code's last six digits are the number.
    let number = |code: &str| code.get(code.len().saturating_sub(6)..).and_then(|digits| digits.parse().ok());
    match subject {
        Subject::Device(code) => number(code.as_str()).is_some_and(|n| n < lifts && lift_code(n) == code),
        Subject::Cylinder(code) => {
            number(code.as_str()).is_some_and(|n| n < cylinders && stations > 0 && cylinder_code(n, stations) == code)
        }
        Subject::Service | Subject::Incident(_) => false,
    }
}

/// All firms, lifts, filling stations and registered cylinders, in this order, made as they are taken.
pub fn entries(options: &FleetOptions) -> impl Iterator<Item = Entry> + Send + use<> {
    let options = options.clone();
    let today = CivilDay((options.began.ms() + CHINA_OFFSET_MS).div_euclid(DAY_MS) as i32);
    let firms = firms(&options);
    let firm_entries =
        (0..firms).map(|n| Entry::Firm(Firm::new(firm_id(n), &format!("Maintenance firm {:02}", n + 1))));
    let of_lifts = options.clone();
    let lifts = (0..options.lifts).map(move |n| Entry::Lift(lift(&of_lifts, n, firms, today)));
    let sites = (0..options.stations).map(|n| Entry::Site(site(n)));
    let cylinders = (0..options.cylinders)
        .filter(|n| Standing::of(*n) != Standing::Unregistered)
        .map(move |n| Entry::Cylinder(cylinder(&options, n, today)));
    firm_entries.chain(lifts).chain(sites).chain(cylinders)
}

fn firms(options: &FleetOptions) -> u32 {
    options.lifts.div_ceil(LIFTS_PER_FIRM).clamp(1, FIRMS)
}

fn firm_id(firm: u32) -> FirmId {
    FirmId::parse(&format!("FIRM-{:02}", firm + 1)).expect("digits and capitals")
}

fn district(index: u32) -> District {
    District::parse(DISTRICTS[index as usize % DISTRICTS.len()]).expect("six digits")
}

fn lift(options: &FleetOptions, index: u32, firms: u32, today: CivilDay) -> Lift {
    let mut dice = Dice::new(options.seed, Stream::ArchivedLift(index));
    let due_in_days = match index % 25 {
        4 => -dice.between((1, 90)),
        9 => dice.between((1, 60)),
        _ => dice.between((61, 900)),
    };
    // A building has four lifts, an estate ten buildings.
    let (lift, building, house) = (index % 4 + 1, index / 4 % 10 + 1, index / 40 + 1);
    Lift {
        address: Some(format!("No. {house} Example Road, building {building}, lift {lift}").into()),
        district: Some(district(index)),
        rescue_code: Some(format!("{index:06}").into()),
        firm: Some(firm_id(dice.below(firms))),
        use_unit: Some(format!("Use unit {house:04}").into()),
        keep_alive_s: Some(options.pace.keep_alive_s),
        inspection_due: Some(CivilDay(today.0 + due_in_days as i32)),
        ..Lift::new(lift_code(index))
    }
}

fn site(station: u32) -> Site {
    let number = station + 1;
    Site {
        code: site_code(station),
        kind: SiteKind::FillingStation,
        name: format!("Filling station {number:02}").into(),
        address: Some(format!("No. {number} Sample Street").into()),
        district: Some(district(station)),
    }
}

fn cylinder(options: &FleetOptions, index: u32, today: CivilDay) -> Cylinder {
    let mut dice = Dice::new(options.seed, Stream::ArchivedCylinder(index));
    let (medium, years) = medium(index);
    let interval_days = years * 365;
    // Made so that the first interval is what counts: none is near the end of its life.
    let age_days = match Standing::of(index) {
        Standing::Overdue => interval_days + dice.between((10, 300)),
        _ => dice.between((30, interval_days - 90)),
    };
    let made_on = CivilDay((i64::from(today.0) - age_days) as i32);
    let station = station_of(index, options.stations);
    Cylinder {
        filling_unit: Some(site_code(station)),
        medium: Some(medium.into()),
        made_on: Some(made_on),
        inspection_due: Some(CivilDay(made_on.0 + interval_days as i32)),
        district: Some(district(station)),
        ..Cylinder::new(cylinder_code(index, options.stations))
    }
}
