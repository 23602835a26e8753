//! Archive entries as the core keeps them: what judging reads at hand, what many have in common once, the rest in one
//! block of bytes. Most of a city's state would otherwise be the headers of short texts.

mod pool;

use std::num::NonZeroU32;
use std::sync::Arc;

pub use self::pool::Pools;
use crate::model::archive::{self, Contract, Entrustment, Equipment, Position};
use crate::model::ids::{Catalogue, CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode};
use crate::model::time::CivilDay;

/// Fields in one block, each of which may be absent. Copies share it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packed(Arc<[u8]>);

impl Packed {
    fn pack(fields: &[Option<&[u8]>]) -> Self {
        let mut bytes = Vec::new();
        for field in fields {
            // Its length and one more in base 128; absent is 0.
            let mut rest = field.map_or(0, |field| field.len() + 1);
            while rest >= 0x80 {
                bytes.push(0x80 | (rest & 0x7f) as u8);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            bytes.extend_from_slice(field.unwrap_or_default());
        }
        Self(bytes.into())
    }

    fn unpack<const N: usize>(&self) -> [Option<&[u8]>; N] {
        let mut bytes = &self.0[..];
        std::array::from_fn(|_| {
            let (mut length, mut shift) = (0, 0);
            while let Some((byte, rest)) = bytes.split_first() {
                bytes = rest;
                length |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if *byte < 0x80 {
                    break;
                }
            }
            let (field, rest) = bytes.split_at(length.checked_sub(1)?);
            bytes = rest;
            Some(field)
        })
    }
}

/// A day that may be absent, without room for saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day(i32);

impl Day {
    fn get(self) -> Option<CivilDay> {
        Some(CivilDay(self.0)).filter(|_| self != Self::from(None))
    }
}

impl From<Option<CivilDay>> for Day {
    fn from(day: Option<CivilDay>) -> Self {
        Self(day.map_or(i32::MIN, |day| day.0))
    }
}

/// [`archive::Lift`] without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLift {
    pub equipment: Equipment,
    /// Never 0.
    keep_alive_s: Option<NonZeroU32>,
    common: Arc<LiftCommon>,
    own: Packed,
}

/// What the lifts of a building mostly have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LiftCommon {
    district: Option<District>,
    building: Option<PlaceId>,
    feeder: Option<PlaceId>,
    firm: Option<FirmId>,
    contract: Option<Contract>,
    use_unit: Option<Box<str>>,
    officer: Option<Box<str>>,
    officer_phone: Option<Box<str>>,
}

impl From<&archive::Lift> for KeptLift {
    fn from(it: &archive::Lift) -> Self {
        let days = [it.inspection_due, it.base_on, it.inspected_on, it.out_of_use_since];
        let days = days.map(|day| day.map(|day| day.0.to_le_bytes()));
        let [inspection_due, base_on, inspected_on, out_of_use_since] =
            days.each_ref().map(|day| day.as_ref().map(short));
        let position = it.position.map(|it| [it.latitude_e7.to_le_bytes(), it.longitude_e7.to_le_bytes()].concat());
        let own = [
            inspection_due,
            base_on,
            inspected_on,
            out_of_use_since,
            it.catalogue.as_ref().map(|code| code.as_str().as_bytes()),
            it.address.as_deref().map(str::as_bytes),
            it.rescue_code.as_deref().map(str::as_bytes),
            it.registration.as_ref().map(|code| code.as_str().as_bytes()),
            it.use_registration.as_deref().map(str::as_bytes),
            it.terminal.as_deref().map(str::as_bytes),
            position.as_deref(),
        ];
        let common = LiftCommon {
            district: it.district,
            building: it.building,
            feeder: it.feeder,
            firm: it.firm,
            contract: it.contract,
            use_unit: it.use_unit.clone(),
            officer: it.officer.clone(),
            officer_phone: it.officer_phone.clone(),
        };
        Self {
            equipment: it.equipment,
            keep_alive_s: it.keep_alive_s.and_then(NonZeroU32::new),
            common: common.into(),
            own: Packed::pack(&own),
        }
    }
}

impl KeptLift {
    /// Has what others have in common with it in memory once.
    pub fn share(&mut self, pools: &mut Pools) {
        pools.lifts.share(&mut self.common);
    }

    pub fn district(&self) -> Option<District> {
        self.common.district
    }

    pub fn firm(&self) -> Option<FirmId> {
        self.common.firm
    }

    pub fn contract(&self) -> Option<Contract> {
        self.common.contract
    }

    /// Its building and its feeder.
    pub fn places(&self) -> [Option<PlaceId>; 2] {
        [self.common.building, self.common.feeder]
    }

    pub fn keep_alive_s(&self) -> Option<u32> {
        self.keep_alive_s.map(NonZeroU32::get)
    }

    pub fn inspection_due(&self) -> Option<CivilDay> {
        let [inspection_due] = self.own.unpack();
        day(inspection_due)
    }

    /// The supervisory inspection that the years of inspection count from.
    pub fn base_on(&self) -> Option<CivilDay> {
        let [_, base_on] = self.own.unpack();
        day(base_on)
    }

    pub fn inspected_on(&self) -> Option<CivilDay> {
        let [_, _, inspected_on] = self.own.unpack();
        day(inspected_on)
    }

    pub fn out_of_use_since(&self) -> Option<CivilDay> {
        let [_, _, _, out_of_use_since] = self.own.unpack();
        day(out_of_use_since)
    }

    pub fn catalogue(&self) -> Option<Catalogue> {
        let [_, _, _, _, catalogue] = self.own.unpack();
        code(catalogue)
    }

    pub fn address(&self) -> Option<Box<str>> {
        let [_, _, _, _, _, address] = self.own.unpack();
        text(address)
    }

    pub fn entry(&self, of: DeviceCode) -> archive::Lift {
        let [inspection_due, base_on, inspected_on, out_of_use_since, rest @ ..] = self.own.unpack::<11>();
        let [catalogue, address, rescue_code, registration, use_registration, terminal, place] = rest;
        let common = LiftCommon::clone(&self.common);
        archive::Lift {
            code: of,
            equipment: self.equipment,
            catalogue: code(catalogue),
            registration: code(registration),
            use_registration: text(use_registration),
            address: text(address),
            district: common.district,
            position: position(place),
            rescue_code: text(rescue_code),
            building: common.building,
            feeder: common.feeder,
            firm: common.firm,
            contract: common.contract,
            use_unit: common.use_unit,
            officer: common.officer,
            officer_phone: common.officer_phone,
            keep_alive_s: self.keep_alive_s(),
            terminal: text(terminal),
            base_on: day(base_on),
            inspected_on: day(inspected_on),
            inspection_due: day(inspection_due),
            out_of_use_since: day(out_of_use_since),
        }
    }
}

/// [`archive::Cylinder`] without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCylinder {
    common: Arc<CylinderCommon>,
    filling_unit_since: Day,
    made_on: Day,
    inspected_on: Day,
    inspection_due: Day,
    extended_until: Day,
    volume_ml: Option<NonZeroU32>,
    tare_g: Option<NonZeroU32>,
    stamped_number: Short,
    rare: Option<Box<Rare>>,
    pub scrapped: bool,
}

/// What the cylinders of one model and one unit have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CylinderCommon {
    kind: Option<Box<str>>,
    medium: Option<Box<str>>,
    standard: Option<Box<str>>,
    max_fill_g: Option<u32>,
    filling_unit: Option<SiteCode>,
    entrusted: Box<[Entrustment]>,
    district: Option<District>,
}

/// What few cylinders have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rare {
    aliases: Box<[CylinderCode]>,
    stamped_number: Option<Box<str>>,
}

/// A short text in place: what is longer, or absent, is looked for elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    bytes: [u8; Self::BYTES],
    /// `u8::MAX`: not here.
    len: u8,
}

impl Short {
    const BYTES: usize = 15;
    const NOT_HERE: Self = Self { bytes: [0; Self::BYTES], len: u8::MAX };

    fn of(text: Option<&str>) -> Self {
        let Some(text) = text.filter(|text| text.len() <= Self::BYTES) else { return Self::NOT_HERE };
        let mut bytes = [0; Self::BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self { bytes, len: text.len() as u8 }
    }

    fn get(&self) -> Option<&str> {
        let bytes = self.bytes.get(..usize::from(self.len))?;
        Some(std::str::from_utf8(bytes).expect("only a whole text was taken"))
    }
}

impl From<&archive::Cylinder> for KeptCylinder {
    fn from(it: &archive::Cylinder) -> Self {
        let stamped_number = Short::of(it.stamped_number.as_deref());
        let long_number = it.stamped_number.clone().filter(|_| stamped_number == Short::NOT_HERE);
        let has_rare = !it.aliases.is_empty() || long_number.is_some();
        let rare = has_rare.then(|| Rare { aliases: it.aliases[..].into(), stamped_number: long_number }.into());
        let common = CylinderCommon {
            kind: it.kind.clone(),
            medium: it.medium.clone(),
            standard: it.standard.clone(),
            max_fill_g: it.max_fill_g,
            filling_unit: it.filling_unit,
            entrusted: it.entrusted[..].into(),
            district: it.district,
        };
        Self {
            common: common.into(),
            filling_unit_since: it.filling_unit_since.into(),
            made_on: it.made_on.into(),
            inspected_on: it.inspected_on.into(),
            inspection_due: it.inspection_due.into(),
            extended_until: it.extended_until.into(),
            // None of them is ever 0.
            volume_ml: it.volume_ml.and_then(NonZeroU32::new),
            tare_g: it.tare_g.and_then(NonZeroU32::new),
            stamped_number,
            rare,
            scrapped: it.scrapped,
        }
    }
}

impl KeptCylinder {
    /// Has what others have in common with it in memory once.
    pub fn share(&mut self, pools: &mut Pools) {
        pools.cylinders.share(&mut self.common);
    }

    pub fn district(&self) -> Option<District> {
        self.common.district
    }

    pub fn filling_unit(&self) -> Option<SiteCode> {
        self.common.filling_unit
    }

    pub fn filling_unit_since(&self) -> Option<CivilDay> {
        self.filling_unit_since.get()
    }

    pub fn entrusted(&self) -> &[Entrustment] {
        &self.common.entrusted
    }

    /// Whether it is that site's own, or entrusted to it on that day.
    pub fn may_be_filled_by(&self, site: &SiteCode, on: CivilDay) -> bool {
        self.common.filling_unit == Some(*site) || self.entrusted().iter().any(|it| it.site == *site && it.covers(on))
    }

    /// Its type.
    pub fn kind(&self) -> Option<&str> {
        self.common.kind.as_deref()
    }

    pub fn medium(&self) -> Option<&str> {
        self.common.medium.as_deref()
    }

    pub fn standard(&self) -> Option<&str> {
        self.common.standard.as_deref()
    }

    pub fn max_fill_g(&self) -> Option<u32> {
        self.common.max_fill_g
    }

    pub fn volume_ml(&self) -> Option<u32> {
        self.volume_ml.map(NonZeroU32::get)
    }

    pub fn tare_g(&self) -> Option<u32> {
        self.tare_g.map(NonZeroU32::get)
    }

    pub fn made_on(&self) -> Option<CivilDay> {
        self.made_on.get()
    }

    pub fn inspected_on(&self) -> Option<CivilDay> {
        self.inspected_on.get()
    }

    pub fn inspection_due(&self) -> Option<CivilDay> {
        self.inspection_due.get()
    }

    pub fn extended_until(&self) -> Option<CivilDay> {
        self.extended_until.get()
    }

    /// Codes that it bears beside its own.
    pub fn aliases(&self) -> &[CylinderCode] {
        self.rare.as_ref().map_or(&[], |rare| &rare.aliases)
    }

    pub fn entry(&self, of: CylinderCode) -> archive::Cylinder {
        let common = CylinderCommon::clone(&self.common);
        let long_number = || self.rare.as_ref()?.stamped_number.clone();
        archive::Cylinder {
            code: of,
            aliases: self.aliases().to_vec(),
            stamped_number: self.stamped_number.get().map(Into::into).or_else(long_number),
            kind: common.kind,
            medium: common.medium,
            standard: common.standard,
            made_on: self.made_on.get(),
            volume_ml: self.volume_ml(),
            tare_g: self.tare_g(),
            max_fill_g: common.max_fill_g,
            filling_unit: common.filling_unit,
            filling_unit_since: self.filling_unit_since.get(),
            entrusted: common.entrusted.into_vec(),
            inspected_on: self.inspected_on.get(),
            inspection_due: self.inspection_due.get(),
            extended_until: self.extended_until.get(),
            scrapped: self.scrapped,
            district: common.district,
        }
    }
}

fn str_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("a text was packed")
}

fn text(bytes: Option<&[u8]>) -> Option<Box<str>> {
    bytes.map(|bytes| str_of(bytes).into())
}

/// A code that was packed as one.
fn code<T: std::str::FromStr>(bytes: Option<&[u8]>) -> Option<T> {
    str_of(bytes?).parse().ok()
}

/// A number without the zeros at its end.
fn short(number: &[u8; 4]) -> &[u8] {
    let length = number.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &number[..length]
}

fn number(bytes: &[u8]) -> Option<i32> {
    let mut number = [0; 4];
    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i32::from_le_bytes(number))
}

fn day(bytes: Option<&[u8]>) -> Option<CivilDay> {
    number(bytes?).map(CivilDay)
}

fn position(bytes: Option<&[u8]>) -> Option<Position> {
    let (latitude, longitude) = bytes?.split_at_checked(4)?;
    Some(Position { latitude_e7: number(latitude)?, longitude_e7: number(longitude)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary;
    use crate::model::archive::Entry;

    proptest! {
        #[test]
        fn entries_come_back_as_they_were(entry in arbitrary::entry()) {
            let mut pools = Pools::default();
            match entry {
                Entry::Lift(it) => {
                    let mut kept = KeptLift::from(&it);
                    kept.share(&mut pools);
                    prop_assert_eq!((kept.district(), kept.address()), (it.district, it.address.clone()));
                    prop_assert_eq!(kept.places(), [it.building, it.feeder]);
                    let days = (kept.base_on(), kept.inspected_on(), kept.out_of_use_since());
                    prop_assert_eq!(days, (it.base_on, it.inspected_on, it.out_of_use_since));
                    prop_assert_eq!((kept.catalogue(), kept.contract()), (it.catalogue, it.contract));
                    prop_assert_eq!(kept.entry(it.code), it);
                }
                Entry::Cylinder(it) => {
                    let mut kept = KeptCylinder::from(&it);
                    kept.share(&mut pools);
                    prop_assert_eq!((kept.district(), kept.filling_unit()), (it.district, it.filling_unit));
                    prop_assert_eq!((kept.kind(), kept.aliases()), (it.kind.as_deref(), &it.aliases[..]));
                    prop_assert_eq!(kept.entry(it.code), it);
                }
                Entry::Firm(_) | Entry::Site(_) | Entry::Worker(_) => {}
            }
        }

        #[test]
        fn fields_of_any_length_come_back(fields in prop::collection::vec(prop::option::of(0..40_000usize), 4)) {
            let fields = fields.into_iter().map(|length| length.map(|length| vec![7; length])).collect::<Vec<_>>();
            let wanted: Vec<Option<&[u8]>> = fields.iter().map(Option::as_deref).collect();
            let packed = Packed::pack(&wanted);
            prop_assert_eq!(&packed.unpack::<4>()[..], &wanted[..]);
        }

        #[test]
        fn stamped_numbers_of_any_length_come_back(text in "[0-9字]{0,20}") {
            let code = "12345678".parse().unwrap();
            let cylinder = archive::Cylinder { stamped_number: Some(text.into()), ..archive::Cylinder::new(code) };
            prop_assert_eq!(KeptCylinder::from(&cylinder).entry(code), cylinder);
        }
    }

    #[test]
    fn whom_it_is_entrusted_to_may_fill_it_meanwhile() {
        let site = |text: &str| SiteCode::parse(text).unwrap();
        let day = |text| CivilDay::parse(text).unwrap();
        let entrusted =
            vec![Entrustment { site: site("6401-B"), from: day("2026-05-01"), to: Some(day("2026-05-31")) }];
        let cylinder = archive::Cylinder {
            filling_unit: Some(site("6401-A")),
            entrusted,
            ..archive::Cylinder::new("12345678".parse().unwrap())
        };
        let kept = KeptCylinder::from(&cylinder);
        for (unit, on, may) in [
            ("6401-A", "2026-04-01", true),
            ("6401-B", "2026-04-30", false),
            ("6401-B", "2026-05-01", true),
            ("6401-B", "2026-05-31", true),
            ("6401-B", "2026-06-01", false),
            ("6401-C", "2026-05-15", false),
        ] {
            assert_eq!(kept.may_be_filled_by(&site(unit), day(on)), may, "{unit} on {on}");
        }
    }
}
