//! Archive entries as the core keeps them: what judging reads at hand, the rest in one block of bytes. Most of a city's
//! state would otherwise be the headers of short texts.

use std::sync::Arc;

use crate::model::archive::{self, Equipment};
use crate::model::ids::{CylinderCode, DeviceCode, District, PlaceId};
use crate::model::time::CivilDay;

/// Texts in one block, each of which may be absent. Copies share it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Texts(Arc<[u8]>);

impl Texts {
    fn pack(texts: &[Option<&str>]) -> Self {
        let mut bytes = Vec::new();
        for text in texts {
            // Its length and one more in base 128; absent is 0.
            let mut rest = text.map_or(0, |text| text.len() + 1);
            while rest >= 0x80 {
                bytes.push(0x80 | (rest & 0x7f) as u8);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        Self(bytes.into())
    }

    fn unpack<const N: usize>(&self) -> [Option<&str>; N] {
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
            let (text, rest) = bytes.split_at(length.checked_sub(1)?);
            bytes = rest;
            Some(std::str::from_utf8(text).expect("only texts were packed"))
        })
    }
}

/// [`archive::Lift`] without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLift {
    pub equipment: Equipment,
    pub keep_alive_s: Option<u32>,
    pub inspection_due: Option<CivilDay>,
    /// District, address, rescue code, firm, use unit, building, feeder.
    texts: Texts,
}

impl From<&archive::Lift> for KeptLift {
    fn from(entry: &archive::Lift) -> Self {
        let district = entry.district.as_ref().map(District::as_str);
        let firm = entry.firm.as_ref().map(|firm| firm.as_str());
        let building = entry.building.as_ref().map(PlaceId::as_str);
        let feeder = entry.feeder.as_ref().map(PlaceId::as_str);
        let (address, rescue_code) = (entry.address.as_deref(), entry.rescue_code.as_deref());
        let texts = [district, address, rescue_code, firm, entry.use_unit.as_deref(), building, feeder];
        let archive::Lift { equipment, keep_alive_s, inspection_due, .. } = *entry;
        Self { equipment, keep_alive_s, inspection_due, texts: Texts::pack(&texts) }
    }
}

impl KeptLift {
    pub fn district(&self) -> Option<District> {
        let [district] = self.texts.unpack();
        code(district)
    }

    pub fn address(&self) -> Option<Box<str>> {
        let [_, address] = self.texts.unpack();
        address.map(Into::into)
    }

    /// Its building and its feeder.
    pub fn places(&self) -> [Option<PlaceId>; 2] {
        let [_, _, _, _, _, building, feeder] = self.texts.unpack();
        [code(building), code(feeder)]
    }

    pub fn entry(&self, of: DeviceCode) -> archive::Lift {
        let [district, address, rescue_code, firm, use_unit, building, feeder] = self.texts.unpack();
        archive::Lift {
            code: of,
            equipment: self.equipment,
            address: address.map(Into::into),
            district: code(district),
            rescue_code: rescue_code.map(Into::into),
            building: code(building),
            feeder: code(feeder),
            firm: code(firm),
            use_unit: use_unit.map(Into::into),
            keep_alive_s: self.keep_alive_s,
            inspection_due: self.inspection_due,
        }
    }
}

/// [`archive::Cylinder`] without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCylinder {
    pub made_on: Option<CivilDay>,
    pub inspection_due: Option<CivilDay>,
    pub scrapped: bool,
    /// District, filling unit, medium.
    texts: Texts,
}

impl From<&archive::Cylinder> for KeptCylinder {
    fn from(entry: &archive::Cylinder) -> Self {
        let district = entry.district.as_ref().map(District::as_str);
        let unit = entry.filling_unit.as_ref().map(|unit| unit.as_str());
        let archive::Cylinder { made_on, inspection_due, scrapped, .. } = *entry;
        Self { made_on, inspection_due, scrapped, texts: Texts::pack(&[district, unit, entry.medium.as_deref()]) }
    }
}

impl KeptCylinder {
    pub fn district(&self) -> Option<District> {
        let [district] = self.texts.unpack();
        code(district)
    }

    pub fn filling_unit(&self) -> Option<crate::model::ids::SiteCode> {
        let [_, unit] = self.texts.unpack();
        code(unit)
    }

    pub fn medium(&self) -> Option<&str> {
        let [_, _, medium] = self.texts.unpack();
        medium
    }

    pub fn entry(&self, of: CylinderCode) -> archive::Cylinder {
        let [district, unit, medium] = self.texts.unpack();
        archive::Cylinder {
            code: of,
            filling_unit: code(unit),
            medium: medium.map(Into::into),
            made_on: self.made_on,
            inspection_due: self.inspection_due,
            scrapped: self.scrapped,
            district: code(district),
        }
    }
}

/// A code that was packed as one.
fn code<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
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
            match entry {
                Entry::Lift(it) => {
                    let kept = KeptLift::from(&it);
                    prop_assert_eq!((kept.district(), kept.address()), (it.district, it.address.clone()));
                    prop_assert_eq!(kept.places(), [it.building, it.feeder]);
                    prop_assert_eq!(kept.entry(it.code), it);
                }
                Entry::Cylinder(it) => {
                    let kept = KeptCylinder::from(&it);
                    prop_assert_eq!((kept.district(), kept.filling_unit()), (it.district, it.filling_unit));
                    prop_assert_eq!(kept.entry(it.code), it);
                }
                Entry::Firm(_) | Entry::Site(_) => {}
            }
        }

        #[test]
        fn texts_of_any_length_come_back(texts in prop::collection::vec(prop::option::of(0..40_000usize), 4)) {
            let texts = texts.into_iter().map(|length| length.map(|length| "字".repeat(length))).collect::<Vec<_>>();
            let wanted: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            let packed = Texts::pack(&wanted);
            prop_assert_eq!(&packed.unpack::<4>()[..], &wanted[..]);
        }
    }
}
