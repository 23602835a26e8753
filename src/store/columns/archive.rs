//! The columns of the archive: one table a kind of entry, keyed by its first column.

use std::borrow::Cow;

use super::{Columns, Read, Value, json};
use crate::model::archive::{
    Contract, ContractKind, Cylinder, Entry, EntryKind, Equipment, Firm, Lift, Position, Site, SiteKind, Worker,
};
use crate::model::ids::{Catalogue, CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode, WorkerId};
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
            "catalogue",
            "registration",
            "use_registration",
            "latitude_e7",
            "longitude_e7",
            "contract_from",
            "contract_to",
            "on_demand_days",
            "officer",
            "officer_phone",
            "terminal",
            "base_on",
            "inspected_on",
            "out_of_use_since",
        ],
        EntryKind::Cylinder => &[
            "code",
            "filling_unit",
            "medium",
            "made_on",
            "inspection_due",
            "scrapped",
            "district",
            "aliases",
            "stamped_number",
            "kind",
            "standard",
            "volume_ml",
            "tare_g",
            "max_fill_g",
            "filling_unit_since",
            "entrusted",
            "inspected_on",
            "extended_until",
        ],
        EntryKind::Firm => &["code", "name", "phone", "address", "district"],
        EntryKind::Site => &["code", "kind", "name", "address", "district"],
        EntryKind::Worker => &["code", "name", "firm", "phone", "certificate", "certified_until"],
    }
}

pub(crate) fn push<'a>(entry: &'a Entry, out: &mut Vec<Value<'a>>) {
    match entry {
        Entry::Lift(lift) => push_lift(lift, out),
        Entry::Cylinder(cylinder) => push_cylinder(cylinder, out),
        Entry::Firm(firm) => out.extend([
            Value::text(firm.id.as_str()),
            Value::text(&firm.name),
            Value::text_or_null(&firm.phone),
            Value::text_or_null(&firm.address),
            code(firm.district.as_ref().map(District::as_str)),
        ]),
        Entry::Site(site) => out.extend([
            Value::text(site.code.as_str()),
            Value::text(site.kind.name()),
            Value::text(&site.name),
            Value::text_or_null(&site.address),
            code(site.district.as_ref().map(District::as_str)),
        ]),
        Entry::Worker(worker) => out.extend([
            Value::text(worker.id.as_str()),
            Value::text(&worker.name),
            code(worker.firm.as_ref().map(FirmId::as_str)),
            Value::text_or_null(&worker.phone),
            Value::text_or_null(&worker.certificate),
            Value::day_or_null(worker.certified_until),
        ]),
    }
}

fn push_lift<'a>(lift: &'a Lift, out: &mut Vec<Value<'a>>) {
    let degrees = |of: fn(Position) -> i32| lift.position.map_or(Value::Null, |place| Value::Int(of(place)));
    let on_demand = lift.contract.and_then(|contract| match contract.kind {
        ContractKind::Calendar => None,
        ContractKind::OnDemand { every_days } => Some(u32::from(every_days)),
    });
    out.extend([
        Value::text(lift.code.as_str()),
        Value::text(lift.equipment.name()),
        Value::text_or_null(&lift.address),
        code(lift.district.as_ref().map(District::as_str)),
        Value::text_or_null(&lift.rescue_code),
        code(lift.firm.as_ref().map(FirmId::as_str)),
        Value::text_or_null(&lift.use_unit),
        Value::u32_or_null(lift.keep_alive_s),
        Value::day_or_null(lift.inspection_due),
        code(lift.building.as_ref().map(PlaceId::as_str)),
        code(lift.feeder.as_ref().map(PlaceId::as_str)),
        code(lift.catalogue.as_ref().map(Catalogue::as_str)),
        code(lift.registration.as_ref().map(DeviceCode::as_str)),
        Value::text_or_null(&lift.use_registration),
        degrees(|place| place.latitude_e7),
        degrees(|place| place.longitude_e7),
        Value::day_or_null(lift.contract.map(|contract| contract.from)),
        Value::day_or_null(lift.contract.and_then(|contract| contract.to)),
        Value::u32_or_null(on_demand),
        Value::text_or_null(&lift.officer),
        Value::text_or_null(&lift.officer_phone),
        Value::text_or_null(&lift.terminal),
        Value::day_or_null(lift.base_on),
        Value::day_or_null(lift.inspected_on),
        Value::day_or_null(lift.out_of_use_since),
    ]);
}

fn push_cylinder<'a>(cylinder: &'a Cylinder, out: &mut Vec<Value<'a>>) {
    let aliases = cylinder.aliases.iter().map(|code| Cow::Borrowed(code.as_str())).collect();
    out.extend([
        Value::text(cylinder.code.as_str()),
        code(cylinder.filling_unit.as_ref().map(SiteCode::as_str)),
        Value::text_or_null(&cylinder.medium),
        Value::day_or_null(cylinder.made_on),
        Value::day_or_null(cylinder.inspection_due),
        Value::Bool(cylinder.scrapped),
        code(cylinder.district.as_ref().map(District::as_str)),
        Value::list(aliases),
        Value::text_or_null(&cylinder.stamped_number),
        Value::text_or_null(&cylinder.kind),
        Value::text_or_null(&cylinder.standard),
        Value::u32_or_null(cylinder.volume_ml),
        Value::u32_or_null(cylinder.tare_g),
        Value::u32_or_null(cylinder.max_fill_g),
        Value::day_or_null(cylinder.filling_unit_since),
        json::entrusted_text(&cylinder.entrusted).map_or(Value::Null, Value::Json),
        Value::day_or_null(cylinder.inspected_on),
        Value::day_or_null(cylinder.extended_until),
    ]);
}

fn code(code: Option<&str>) -> Value<'_> {
    code.map_or(Value::Null, Value::text)
}

pub(crate) fn reader(kind: EntryKind) -> Read<Entry> {
    match kind {
        EntryKind::Lift => read_lift,
        EntryKind::Cylinder => read_cylinder,
        EntryKind::Firm => read_firm,
        EntryKind::Site => read_site,
        EntryKind::Worker => read_worker,
    }
}

// Columns are read in the order in which they stand.

fn read_lift(c: &mut dyn Columns) -> Result<Entry, StoreError> {
    let bare = Lift {
        code: required(c, |c| c.parsed(DeviceCode::parse))?,
        equipment: c.named(Equipment::from_name)?,
        address: c.boxed()?,
        district: c.parsed(District::parse)?,
        rescue_code: c.boxed()?,
        firm: c.parsed(FirmId::parse)?,
        use_unit: c.boxed()?,
        keep_alive_s: c.number()?,
        inspection_due: c.day()?,
        building: c.parsed(PlaceId::parse)?,
        feeder: c.parsed(PlaceId::parse)?,
        catalogue: c.parsed(Catalogue::parse)?,
        registration: c.parsed(DeviceCode::parse)?,
        use_registration: c.boxed()?,
        position: None,
        contract: None,
        officer: None,
        officer_phone: None,
        terminal: None,
        base_on: None,
        inspected_on: None,
        out_of_use_since: None,
    };
    let (latitude_e7, longitude_e7) = (c.int()?, c.int()?);
    let (from, to, every_days) = (c.day()?, c.day()?, c.number()?);
    let kind = every_days.map_or(ContractKind::Calendar, |every_days| ContractKind::OnDemand { every_days });
    Ok(Entry::Lift(Lift {
        position: latitude_e7
            .zip(longitude_e7)
            .map(|(latitude_e7, longitude_e7)| Position { latitude_e7, longitude_e7 }),
        contract: from.map(|from| Contract { from, to, kind }),
        officer: c.boxed()?,
        officer_phone: c.boxed()?,
        terminal: c.boxed()?,
        base_on: c.day()?,
        inspected_on: c.day()?,
        out_of_use_since: c.day()?,
        ..bare
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
        aliases: aliases(c)?,
        stamped_number: c.boxed()?,
        kind: c.boxed()?,
        standard: c.boxed()?,
        volume_ml: c.number()?,
        tare_g: c.number()?,
        max_fill_g: c.number()?,
        filling_unit_since: c.day()?,
        entrusted: json::entrusted_from(c.json()?.as_deref())?,
        inspected_on: c.day()?,
        extended_until: c.day()?,
    }))
}

fn aliases(c: &mut dyn Columns) -> Result<Vec<CylinderCode>, StoreError> {
    let codes = c.texts()?;
    let what = c.what();
    codes.iter().map(|code| CylinderCode::parse(code).map_err(|error| StoreError::corrupt(what, error))).collect()
}

fn read_firm(c: &mut dyn Columns) -> Result<Entry, StoreError> {
    Ok(Entry::Firm(Firm {
        id: required(c, |c| c.parsed(FirmId::parse))?,
        name: required(c, |c| c.boxed())?,
        phone: c.boxed()?,
        address: c.boxed()?,
        district: c.parsed(District::parse)?,
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

fn read_worker(c: &mut dyn Columns) -> Result<Entry, StoreError> {
    Ok(Entry::Worker(Worker {
        id: required(c, |c| c.parsed(WorkerId::parse))?,
        name: required(c, |c| c.boxed())?,
        firm: c.parsed(FirmId::parse)?,
        phone: c.boxed()?,
        certificate: c.boxed()?,
        certified_until: c.day()?,
    }))
}

fn required<T>(
    columns: &mut dyn Columns,
    read: impl Fn(&mut dyn Columns) -> Result<Option<T>, StoreError>,
) -> Result<T, StoreError> {
    let value = read(columns)?;
    columns.present(value)
}
