//! Lifts, cylinders and sites as the archive knows them.

use toml::de::DeTable;

use super::Reader;
use crate::core::rules::section::Section;
use crate::limits;
use crate::model::archive::{Contract, ContractKind, Cylinder, Entry, Equipment, Lift, Site, SiteKind};
use crate::model::ids::{Catalogue, CodeError, CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode};
use crate::model::time::CivilDay;
use crate::scenario::NamedLift;

const LIFT: &[&str] = &[
    "name",
    "code",
    "registered",
    "equipment",
    "address",
    "district",
    "building",
    "feeder",
    "keep_alive_s",
    "inspection_due",
    "catalogue",
    "firm",
    "contract_from",
    "contract_to",
    "on_demand_days",
    "base_on",
    "inspected_on",
    "out_of_use_since",
];
const CYLINDER: &[&str] = &[
    "code",
    "filling_unit",
    "medium",
    "made_on",
    "inspection_due",
    "scrapped",
    "district",
    "kind",
    "standard",
    "tare_g",
    "max_fill_g",
    "inspected_on",
    "extended_until",
];
const SITE: &[&str] = &["code", "kind", "name", "district"];
const MOST: usize = limits::SCENARIO_SUBJECTS;

impl<'a> Reader<'a> {
    pub(super) fn read_archive(&mut self, top: &Section<'a>) {
        for (nth, (start, table)) in self.tables(top, "lift", MOST).into_iter().enumerate() {
            let section = Section::new(table, start, "a lift", LIFT, &mut self.faults);
            let Some(lift) = self.named(&section, nth) else { continue };
            if self.lifts.iter().any(|other| other.name == lift.name || other.code == lift.code) {
                self.faults.add::<()>(start, format!("there is a lift {} already", lift.name));
            }
            if self.flag(&section, "registered").unwrap_or(true) {
                let entry = self.lift_entry(&section, lift.code);
                self.archive.push(Entry::Lift(entry));
            }
            self.lifts.push(lift);
        }
        if !top.has("lift") {
            let lift = NamedLift { name: "A".into(), code: code_of(0) };
            self.archive.push(Entry::Lift(Lift::new(lift.code)));
            self.lifts.push(lift);
        }
        for (start, table) in self.tables(top, "site", MOST) {
            let entry = self.site(start, table);
            self.archive.extend(entry);
        }
        for (start, table) in self.tables(top, "cylinder", MOST) {
            let entry = self.cylinder(start, table);
            self.archive.extend(entry);
        }
    }

    /// Without a name, the first one is A, the second one B.
    fn named(&mut self, section: &Section<'_>, nth: usize) -> Option<NamedLift> {
        let name = match section.text("name", &mut self.faults) {
            Some(text) if (1..=20).contains(&text.value.chars().count()) => text.value.into(),
            Some(text) => return self.faults.add(text.span.start, "`name` has 1 to 20 characters"),
            None if nth < 26 => char::from(b'A' + u8::try_from(nth).unwrap_or(0)).to_string().into(),
            None => return self.faults.add(section.start, "a lift needs `name`"),
        };
        let code = if section.has("code") { self.code(section, "code", DeviceCode::parse)? } else { code_of(nth) };
        Some(NamedLift { name, code })
    }

    pub(super) fn lift_entry(&mut self, section: &Section<'_>, code: DeviceCode) -> Lift {
        let equipment = section.text("equipment", &mut self.faults).and_then(|text| match text.value {
            "lift" => Some(Equipment::Lift),
            "escalator" => Some(Equipment::Escalator),
            other => {
                let message = format!("`equipment` can't be {other:?}; it is one of lift, escalator");
                self.faults.add(text.span.start, message)
            }
        });
        Lift {
            equipment: equipment.unwrap_or_default(),
            address: section.text("address", &mut self.faults).map(|text| text.value.into()),
            district: self.code(section, "district", District::parse),
            building: self.code(section, "building", PlaceId::parse),
            feeder: self.code(section, "feeder", PlaceId::parse),
            keep_alive_s: section.count("keep_alive_s", 86_400, &mut self.faults),
            inspection_due: self.day(section, "inspection_due"),
            catalogue: self.code(section, "catalogue", Catalogue::parse),
            firm: self.code(section, "firm", FirmId::parse),
            contract: self.contract(section),
            base_on: self.day(section, "base_on"),
            inspected_on: self.day(section, "inspected_on"),
            out_of_use_since: self.day(section, "out_of_use_since"),
            ..Lift::new(code)
        }
    }

    fn contract(&mut self, section: &Section<'_>) -> Option<Contract> {
        let from = self.day(section, "contract_from")?;
        let to = self.day(section, "contract_to");
        let every_days = section.count("on_demand_days", 365, &mut self.faults).and_then(|days| days.try_into().ok());
        let kind = every_days.map_or(ContractKind::Calendar, |every_days| ContractKind::OnDemand { every_days });
        Some(Contract { from, to, kind })
    }

    /// A lift's new entry, in a step: the whole of it, as an upsert is.
    pub(super) fn changed_lift(&mut self, start: usize, table: &'a DeTable<'a>, code: DeviceCode) -> Entry {
        let keys: Vec<&str> =
            LIFT.iter().copied().filter(|key| !["name", "code", "registered"].contains(key)).collect();
        let section = Section::new(table, start, "a lift's entry", &keys, &mut self.faults);
        Entry::Lift(self.lift_entry(&section, code))
    }

    pub(super) fn cylinder(&mut self, start: usize, table: &'a DeTable<'a>) -> Option<Entry> {
        let section = Section::new(table, start, "a cylinder", CYLINDER, &mut self.faults);
        section.need("code", &mut self.faults)?;
        let code = self.code(&section, "code", CylinderCode::parse)?;
        Some(Entry::Cylinder(Cylinder {
            filling_unit: self.code(&section, "filling_unit", SiteCode::parse),
            medium: section.text("medium", &mut self.faults).map(|text| text.value.into()),
            made_on: self.day(&section, "made_on"),
            inspection_due: self.day(&section, "inspection_due"),
            scrapped: self.flag(&section, "scrapped").unwrap_or(false),
            district: self.code(&section, "district", District::parse),
            kind: section.text("kind", &mut self.faults).map(|text| text.value.into()),
            standard: section.text("standard", &mut self.faults).map(|text| text.value.into()),
            tare_g: section.count("tare_g", 10_000_000, &mut self.faults),
            max_fill_g: section.count("max_fill_g", 10_000_000, &mut self.faults),
            inspected_on: self.day(&section, "inspected_on"),
            extended_until: self.day(&section, "extended_until"),
            ..Cylinder::new(code)
        }))
    }

    fn site(&mut self, start: usize, table: &'a DeTable<'a>) -> Option<Entry> {
        let section = Section::new(table, start, "a site", SITE, &mut self.faults);
        let kind = section.need_text("kind", &mut self.faults)?;
        let Some(kind) = SiteKind::from_name(kind.value) else {
            let names: Vec<&str> = SiteKind::ALL.iter().map(|kind| kind.name()).collect();
            let message = format!("`kind` can't be {:?}; it is one of {}", kind.value, names.join(", "));
            return self.faults.add(kind.span.start, message);
        };
        section.need("code", &mut self.faults)?;
        Some(Entry::Site(Site {
            code: self.code(&section, "code", SiteCode::parse)?,
            kind,
            name: section.text("name", &mut self.faults).map_or("a site".into(), |text| text.value.into()),
            address: None,
            district: self.code(&section, "district", District::parse),
        }))
    }

    /// A code of the right form, if the key is there.
    pub(super) fn code<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, CodeError>,
    ) -> Option<T> {
        let text = section.text(key, &mut self.faults)?;
        match parse(text.value) {
            Ok(code) => Some(code),
            Err(error) => self.faults.add(text.span.start, error.to_string()),
        }
    }

    pub(super) fn day(&mut self, section: &Section<'_>, key: &str) -> Option<CivilDay> {
        let text = section.text(key, &mut self.faults)?;
        match CivilDay::parse(text.value) {
            Some(day) => Some(day),
            None => {
                let message = format!("`{key}` is {:?}, which is no day: write \"2026-11-22\"", text.value);
                self.faults.add(text.span.start, message)
            }
        }
    }
}

/// The code of a lift for which the file names none.
fn code_of(nth: usize) -> DeviceCode {
    let text = format!("31305001122014{:06}", (nth + 1) % 1_000_000);
    DeviceCode::parse(&text).expect("20 digits are a device code")
}
