//! Entries of the archive, both ways. All that is wrong with one is told at once.

use super::text;
use crate::limits::ARCHIVE_TEXT_CHARS;
use crate::model::archive::{Cylinder, Entry, EntryKind, Equipment, Firm, Lift, Site, SiteKind};
use crate::model::ids::{CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode};
use crate::model::time::CivilDay;
use crate::proto::v1;
use crate::proto::v1::get_device_response::Entry as Shown;
pub(in super::super) use crate::proto::v1::upsert_devices_request::Entry as ArchiveEntry;
use crate::serve::grpc::Violations;

/// `None` if anything was noted.
pub(in super::super) fn entry_from(entry: ArchiveEntry, violations: &mut Violations) -> Option<Entry> {
    let before = violations.0.len();
    let entry = match entry {
        ArchiveEntry::Lift(e) => lift_from(&e, violations).map(Entry::Lift),
        ArchiveEntry::Cylinder(e) => cylinder_from(&e, violations).map(Entry::Cylinder),
        ArchiveEntry::Firm(e) => firm_from(&e, violations).map(Entry::Firm),
        ArchiveEntry::Site(e) => site_from(&e, violations).map(Entry::Site),
    };
    entry.filter(|_| violations.0.len() == before)
}

pub(in super::super) fn entry_kind(kind: i32) -> Result<EntryKind, &'static str> {
    match v1::EntryKind::try_from(kind) {
        Ok(v1::EntryKind::Lift) => Ok(EntryKind::Lift),
        Ok(v1::EntryKind::Cylinder) => Ok(EntryKind::Cylinder),
        Ok(v1::EntryKind::Firm) => Ok(EntryKind::Firm),
        Ok(v1::EntryKind::Site) => Ok(EntryKind::Site),
        Ok(v1::EntryKind::Unspecified) | Err(_) => Err("must be lift, cylinder, firm or site"),
    }
}

fn lift_from(e: &v1::Lift, v: &mut Violations) -> Option<Lift> {
    let code = v.take("lift.code", DeviceCode::parse(&e.code));
    let equipment = match v1::Equipment::try_from(e.equipment) {
        Ok(v1::Equipment::Unspecified | v1::Equipment::Lift) => Equipment::Lift,
        Ok(v1::Equipment::Escalator) => Equipment::Escalator,
        Err(_) => {
            v.add("lift.equipment", format!("{} is no equipment", e.equipment));
            Equipment::Lift
        }
    };
    if e.keep_alive_s.is_some_and(|s| !(1..=86_400).contains(&s)) {
        v.add("lift.keep_alive_s", "must be 1 to 86400 s");
    }
    let address = v.optional_text("lift.address", &e.address, ARCHIVE_TEXT_CHARS);
    let district = v.optional("lift.district", &e.district, District::parse);
    let rescue_code = v.optional("lift.rescue_code", &e.rescue_code, rescue_code);
    let firm = v.optional("lift.firm", &e.firm, FirmId::parse);
    let use_unit = v.optional_text("lift.use_unit", &e.use_unit, ARCHIVE_TEXT_CHARS);
    let inspection_due = v.optional("lift.inspection_due", &e.inspection_due, day);
    let building = v.optional("lift.building", &e.building, PlaceId::parse);
    let feeder = v.optional("lift.feeder", &e.feeder, PlaceId::parse);
    Some(Lift {
        code: code?,
        equipment,
        address,
        district,
        rescue_code,
        building,
        feeder,
        firm,
        use_unit,
        keep_alive_s: e.keep_alive_s,
        inspection_due,
    })
}

fn cylinder_from(e: &v1::Cylinder, v: &mut Violations) -> Option<Cylinder> {
    let code = v.take("cylinder.code", CylinderCode::parse(&e.code));
    let filling_unit = v.optional("cylinder.filling_unit", &e.filling_unit, SiteCode::parse);
    let medium = v.optional("cylinder.medium", &e.medium, medium);
    let made_on = v.optional("cylinder.made_on", &e.made_on, day);
    let inspection_due = v.optional("cylinder.inspection_due", &e.inspection_due, day);
    let district = v.optional("cylinder.district", &e.district, District::parse);
    Some(Cylinder { code: code?, filling_unit, medium, made_on, inspection_due, scrapped: e.scrapped, district })
}

fn firm_from(e: &v1::Firm, v: &mut Violations) -> Option<Firm> {
    let id = v.take("firm.id", FirmId::parse(&e.id));
    let name = v.text("firm.name", &e.name, ARCHIVE_TEXT_CHARS);
    let phone = v.optional_text("firm.phone", &e.phone, ARCHIVE_TEXT_CHARS);
    Some(Firm { id: id?, name: name?, phone })
}

fn site_from(e: &v1::Site, v: &mut Violations) -> Option<Site> {
    let code = v.take("site.code", SiteCode::parse(&e.code));
    let kind = v.take("site.kind", site_kind(e.kind));
    let name = v.text("site.name", &e.name, ARCHIVE_TEXT_CHARS);
    let address = v.optional_text("site.address", &e.address, ARCHIVE_TEXT_CHARS);
    let district = v.optional("site.district", &e.district, District::parse);
    Some(Site { code: code?, kind: kind?, name: name?, address, district })
}

fn site_kind(kind: i32) -> Result<SiteKind, &'static str> {
    match v1::SiteKind::try_from(kind) {
        Ok(v1::SiteKind::FillingStation) => Ok(SiteKind::FillingStation),
        Ok(v1::SiteKind::Shop) => Ok(SiteKind::Shop),
        Ok(v1::SiteKind::InspectionBody) => Ok(SiteKind::InspectionBody),
        Ok(v1::SiteKind::Unspecified) | Err(_) => Err("must be filling_station, shop or inspection_body"),
    }
}

fn day(text: &str) -> Result<CivilDay, String> {
    CivilDay::parse(text).ok_or_else(|| format!("{:?} is no date: write YYYY-MM-DD, from 1970 on", short(text)))
}

fn rescue_code(text: &str) -> Result<Box<str>, String> {
    let good = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if good { Ok(text.into()) } else { Err(format!("{:?} does not fit: 1 to 12 digits", short(text))) }
}

fn medium(text: &str) -> Result<Box<str>, String> {
    let good = text.len() <= 32 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if good {
        Ok(text.into())
    } else {
        Err(format!("{:?} does not fit: at most 32 characters of a-z 0-9 _", short(text)))
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// An entry as `UpsertDevices` takes it.
pub(in crate::serve) fn entry_to_upsert(entry: &Entry) -> v1::upsert_devices_request::Entry {
    use v1::upsert_devices_request::Entry as Asked;
    match entry_to(entry) {
        Shown::Lift(lift) => Asked::Lift(lift),
        Shown::Cylinder(cylinder) => Asked::Cylinder(cylinder),
        Shown::Firm(firm) => Asked::Firm(firm),
        Shown::Site(site) => Asked::Site(site),
    }
}

pub(in super::super) fn entry_to(entry: &Entry) -> Shown {
    match entry {
        Entry::Lift(e) => Shown::Lift(lift_to(e)),
        Entry::Cylinder(e) => Shown::Cylinder(cylinder_to(e)),
        Entry::Firm(e) => {
            Shown::Firm(v1::Firm { id: e.id.to_string(), name: e.name.to_string(), phone: text(e.phone.as_deref()) })
        }
        Entry::Site(e) => Shown::Site(site_to(e)),
    }
}

pub(in super::super) fn lift_to(e: &Lift) -> v1::Lift {
    let equipment = match e.equipment {
        Equipment::Lift => v1::Equipment::Lift,
        Equipment::Escalator => v1::Equipment::Escalator,
    };
    v1::Lift {
        code: e.code.to_string(),
        equipment: equipment.into(),
        address: text(e.address.as_deref()),
        district: shown(e.district),
        rescue_code: text(e.rescue_code.as_deref()),
        firm: shown(e.firm),
        use_unit: text(e.use_unit.as_deref()),
        keep_alive_s: e.keep_alive_s,
        inspection_due: shown(e.inspection_due),
        building: shown(e.building),
        feeder: shown(e.feeder),
    }
}

pub(in crate::serve::grpc) fn cylinder_to(e: &Cylinder) -> v1::Cylinder {
    v1::Cylinder {
        code: e.code.to_string(),
        filling_unit: shown(e.filling_unit),
        medium: text(e.medium.as_deref()),
        made_on: shown(e.made_on),
        inspection_due: shown(e.inspection_due),
        scrapped: e.scrapped,
        district: shown(e.district),
    }
}

fn site_to(e: &Site) -> v1::Site {
    let kind = match e.kind {
        SiteKind::FillingStation => v1::SiteKind::FillingStation,
        SiteKind::Shop => v1::SiteKind::Shop,
        SiteKind::InspectionBody => v1::SiteKind::InspectionBody,
    };
    v1::Site {
        code: e.code.to_string(),
        kind: kind.into(),
        name: e.name.to_string(),
        address: text(e.address.as_deref()),
        district: shown(e.district),
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lift() -> v1::Lift {
        v1::Lift {
            code: "31305001122014017242".into(),
            equipment: v1::Equipment::Escalator.into(),
            address: "北京路 1 号".into(),
            district: "640104".into(),
            rescue_code: "640123".into(),
            firm: "nx-lift".into(),
            use_unit: "Hall".into(),
            keep_alive_s: Some(60),
            inspection_due: "2027-03-31".into(),
            building: "B.7".into(),
            feeder: "F12".into(),
        }
    }

    fn check(entry: ArchiveEntry, want: &[&str]) {
        let mut violations = Violations::default();
        let read = entry_from(entry, &mut violations);
        let fields: Vec<_> = violations.0.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, want);
        assert_eq!(read.is_none(), !want.is_empty());
    }

    #[test]
    fn an_entry_shows_what_was_written() {
        let read = entry_from(ArchiveEntry::Lift(lift()), &mut Violations::default()).unwrap();
        assert_eq!(entry_to(&read), Shown::Lift(lift()));
        let cylinder = v1::Cylinder {
            code: "564010012345".into(),
            filling_unit: "6401-A".into(),
            medium: "lpg".into(),
            made_on: "2020-02-29".into(),
            inspection_due: "2027-01-01".into(),
            scrapped: true,
            district: "6401".into(),
        };
        let read = entry_from(ArchiveEntry::Cylinder(cylinder.clone()), &mut Violations::default()).unwrap();
        assert_eq!(entry_to(&read), Shown::Cylinder(cylinder));
    }

    #[test]
    fn all_faults_of_an_entry_are_told_at_once() {
        check(ArchiveEntry::Lift(lift()), &[]);
        let bad = v1::Lift {
            code: "x".into(),
            equipment: 9,
            address: "a\nb".into(),
            district: "64o1".into(),
            rescue_code: "1234567890123".into(),
            firm: "a b".into(),
            use_unit: "u".repeat(201),
            keep_alive_s: Some(0),
            inspection_due: "2027-02-30".into(),
            building: "楼".into(),
            feeder: "a/b".into(),
        };
        let fields = [
            "code",
            "equipment",
            "keep_alive_s",
            "address",
            "district",
            "rescue_code",
            "firm",
            "use_unit",
            "inspection_due",
            "building",
            "feeder",
        ];
        check(ArchiveEntry::Lift(bad), &fields.map(|f| format!("lift.{f}")).each_ref().map(String::as_str));
        check(ArchiveEntry::Site(v1::Site::default()), &["site.code", "site.kind", "site.name"]);
        check(ArchiveEntry::Firm(v1::Firm::default()), &["firm.id", "firm.name"]);
        let medium = v1::Cylinder { code: "12345678".into(), medium: "LPG".into(), ..Default::default() };
        check(ArchiveEntry::Cylinder(medium), &["cylinder.medium"]);
    }
}
