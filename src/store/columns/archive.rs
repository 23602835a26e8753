//! The columns of the archive: one table a kind of entry, keyed by its first column.

use super::{Columns, Read, Value};
use crate::model::archive::{Cylinder, Entry, EntryKind, Equipment, Firm, Lift, Site, SiteKind};
use crate::model::ids::{CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode};
use crate::store::StoreError;

/// Tables are named after the kind.
pub(crate) fn columns(kind: EntryKind) -> &'static [&'static str] {
    match kind {
        EntryKind::Lift => &[
            "code",
            "equipment",
            "address",
            "district",
            "rescue_code",
            "firm",
            "use_unit",
            "keep_alive_s",
            "inspection_due",
            "building",
            "feeder",
        ],
        EntryKind::Cylinder => &["code", "filling_unit", "medium", "made_on", "inspection_due", "scrapped", "district"],
        EntryKind::Firm => &["code", "name", "phone"],
        EntryKind::Site => &["code", "kind", "name", "address", "district"],
    }
}

pub(crate) fn push<'a>(entry: &'a Entry, out: &mut Vec<Value<'a>>) {
    let day = |day| Option::map_or(day, Value::Null, Value::Day);
    let district = |district: &'a Option<District>| district.as_ref().map_or(Value::Null, |d| Value::text(d.as_str()));
    let place = |place: &'a Option<PlaceId>| place.as_ref().map_or(Value::Null, |p| Value::text(p.as_str()));
    match entry {
        Entry::Lift(lift) => out.extend([
            Value::text(lift.code.as_str()),
            Value::text(equipment_name(lift.equipment)),
            Value::text_or_null(&lift.address),
            district(&lift.district),
            Value::text_or_null(&lift.rescue_code),
            lift.firm.as_ref().map_or(Value::Null, |firm| Value::text(firm.as_str())),
            Value::text_or_null(&lift.use_unit),
            Value::u32_or_null(lift.keep_alive_s),
            day(lift.inspection_due),
            place(&lift.building),
            place(&lift.feeder),
        ]),
        Entry::Cylinder(cylinder) => out.extend([
            Value::text(cylinder.code.as_str()),
            cylinder.filling_unit.as_ref().map_or(Value::Null, |site| Value::text(site.as_str())),
            Value::text_or_null(&cylinder.medium),
            day(cylinder.made_on),
            day(cylinder.inspection_due),
            Value::Bool(cylinder.scrapped),
            district(&cylinder.district),
        ]),
        Entry::Firm(firm) => {
            out.extend([Value::text(firm.id.as_str()), Value::text(&firm.name), Value::text_or_null(&firm.phone)])
        }
        Entry::Site(site) => out.extend([
            Value::text(site.code.as_str()),
            Value::text(site.kind.name()),
            Value::text(&site.name),
            Value::text_or_null(&site.address),
            district(&site.district),
        ]),
    }
}

pub(crate) fn reader(kind: EntryKind) -> Read<Entry> {
    match kind {
        EntryKind::Lift => read_lift,
        EntryKind::Cylinder => read_cylinder,
        EntryKind::Firm => read_firm,
        EntryKind::Site => read_site,
    }
}

// The fields of a struct expression are evaluated in the order in which they stand: below, that of the columns.

fn read_lift(c: &mut dyn Columns) -> Result<Entry, StoreError> {
    Ok(Entry::Lift(Lift {
        code: required(c, |c| c.parsed(DeviceCode::parse))?,
        equipment: c.named(equipment_from)?,
        address: c.boxed()?,
        district: c.parsed(District::parse)?,
        rescue_code: c.boxed()?,
        firm: c.parsed(FirmId::parse)?,
        use_unit: c.boxed()?,
        keep_alive_s: c.number()?,
        inspection_due: c.day()?,
        building: c.parsed(PlaceId::parse)?,
        feeder: c.parsed(PlaceId::parse)?,
    }))
}

fn read_cylinder(c: &mut dyn Columns) -> Result<Entry, StoreError> {
    Ok(Entry::Cylinder(Cylinder {
        code: required(c, |c| c.parsed(CylinderCode::parse))?,
        filling_unit: c.parsed(SiteCode::parse)?,
        medium: c.boxed()?,
        made_on: c.day()?,
        inspection_due: c.day()?,
        scrapped: required(c, |c| c.bool())?,
        district: c.parsed(District::parse)?,
    }))
}

fn read_firm(c: &mut dyn Columns) -> Result<Entry, StoreError> {
    Ok(Entry::Firm(Firm {
        id: required(c, |c| c.parsed(FirmId::parse))?,
        name: required(c, |c| c.boxed())?,
        phone: c.boxed()?,
    }))
}

fn read_site(c: &mut dyn Columns) -> Result<Entry, StoreError> {
    Ok(Entry::Site(Site {
        code: required(c, |c| c.parsed(SiteCode::parse))?,
        kind: c.named(SiteKind::from_name)?,
        name: required(c, |c| c.boxed())?,
        address: c.boxed()?,
        district: c.parsed(District::parse)?,
    }))
}

fn required<T>(
    columns: &mut dyn Columns,
    read: impl Fn(&mut dyn Columns) -> Result<Option<T>, StoreError>,
) -> Result<T, StoreError> {
    let value = read(columns)?;
    columns.present(value)
}

fn equipment_name(equipment: Equipment) -> &'static str {
    match equipment {
        Equipment::Lift => "lift",
        Equipment::Escalator => "escalator",
    }
}

fn equipment_from(name: &str) -> Option<Equipment> {
    [Equipment::Lift, Equipment::Escalator].into_iter().find(|equipment| equipment_name(*equipment) == name)
}
