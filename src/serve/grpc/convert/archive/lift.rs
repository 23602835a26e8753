//! Lifts, escalators and moving walks.

use super::{day, in_order, short, shown};
use crate::limits::ARCHIVE_TEXT_CHARS;
use crate::model::archive::{Contract, ContractKind, Equipment, Lift, Position};
use crate::model::ids::{Catalogue, DeviceCode, District, FirmId, PlaceId};
use crate::proto::v1;
use crate::serve::grpc::Violations;
use crate::serve::grpc::convert::text;

/// Its fields that aren't codes may be wrong, too: whoever asks looks whether anything was noted.
pub(super) fn lift_from(e: &v1::Lift, v: &mut Violations) -> Option<Lift> {
    let code = v.take("lift.code", DeviceCode::parse(&e.code));
    let catalogue = v.optional("lift.catalogue", &e.catalogue, catalogue);
    let equipment = equipment(e, catalogue, v);
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
    let registration = v.optional("lift.registration", &e.registration, registration);
    let use_registration = v.optional_text("lift.use_registration", &e.use_registration, ARCHIVE_TEXT_CHARS);
    let position = e.position.as_ref().and_then(|it| position(it, v));
    let officer = v.optional_text("lift.officer", &e.officer, ARCHIVE_TEXT_CHARS);
    let officer_phone = v.optional_text("lift.officer_phone", &e.officer_phone, ARCHIVE_TEXT_CHARS);
    let contract = e.contract.as_ref().and_then(|it| contract(it, v));
    if e.contract.is_some() && e.firm.is_empty() {
        v.add("lift.contract", "says nothing without `firm`: name the firm that it is with, or leave it out");
    }
    let base_on = v.optional("lift.base_on", &e.base_on, day);
    let inspected_on = v.optional("lift.inspected_on", &e.inspected_on, day);
    in_order(v, ("lift.base_on", base_on), ("lift.inspected_on", inspected_on));
    in_order(v, ("lift.inspected_on", inspected_on), ("lift.inspection_due", inspection_due));
    let out_of_use_since = v.optional("lift.out_of_use_since", &e.out_of_use_since, day);
    in_order(v, ("lift.base_on", base_on), ("lift.out_of_use_since", out_of_use_since));
    let terminal = v.optional_text("lift.terminal", &e.terminal, ARCHIVE_TEXT_CHARS);
    Some(Lift {
        code: code?,
        equipment,
        catalogue,
        registration,
        use_registration,
        address,
        district,
        position,
        rescue_code,
        building,
        feeder,
        firm,
        contract,
        use_unit,
        officer,
        officer_phone,
        keep_alive_s: e.keep_alive_s,
        terminal,
        base_on,
        inspected_on,
        inspection_due,
        out_of_use_since,
    })
}

fn equipment(e: &v1::Lift, catalogue: Option<Catalogue>, v: &mut Violations) -> Equipment {
    let by_catalogue = catalogue.as_ref().and_then(Equipment::of);
    let told = match v1::Equipment::try_from(e.equipment) {
        Ok(v1::Equipment::Unspecified) => by_catalogue.unwrap_or_default(),
        Ok(v1::Equipment::Lift) => Equipment::Lift,
        Ok(v1::Equipment::Escalator) => Equipment::Escalator,
        Err(_) => {
            v.add("lift.equipment", format!("{} is no equipment", e.equipment));
            by_catalogue.unwrap_or_default()
        }
    };
    if let Some(wanted) = by_catalogue.filter(|wanted| *wanted != told) {
        let (told, wanted, number) = (told.name(), wanted.name(), &e.catalogue);
        v.add(
            "lift.equipment",
            format!("is {told}, and catalogue number {number} is that of {wanted}s: correct one of them"),
        );
    }
    told
}

fn catalogue(text: &str) -> Result<Catalogue, String> {
    let number = Catalogue::parse(text).map_err(|error| error.to_string())?;
    let is_ours = Equipment::of(&number).is_some();
    if is_ours {
        Ok(number)
    } else {
        Err(format!("{text:?} is no lift, escalator or moving walk: theirs begin with 3"))
    }
}

fn registration(text: &str) -> Result<DeviceCode, String> {
    DeviceCode::parse(text).map_err(|_| format!("{:?} does not fit: {}", short(text), DeviceCode::FORM))
}

fn position(it: &v1::Position, v: &mut Violations) -> Option<Position> {
    let v1::Position { latitude_e7, longitude_e7 } = *it;
    for (field, e7, most) in [("latitude_e7", latitude_e7, 90), ("longitude_e7", longitude_e7, 180)] {
        if i64::from(e7).abs() > most * 10_000_000 {
            v.add(format!("lift.position.{field}"), format!("{e7} is beyond {most} degrees, which are {most}0000000"));
        }
    }
    Some(Position { latitude_e7, longitude_e7 })
}

fn contract(it: &v1::MaintenanceContract, v: &mut Violations) -> Option<Contract> {
    let from = v.take("lift.contract.from", day(&it.from));
    let to = v.optional("lift.contract.to", &it.to, day);
    in_order(v, ("lift.contract.from", from), ("lift.contract.to", to));
    let kind = match it.on_demand_days {
        0 => ContractKind::Calendar,
        days => match u16::try_from(days).ok().filter(|days| *days <= 365) {
            Some(every_days) => ContractKind::OnDemand { every_days },
            None => {
                v.add("lift.contract.on_demand_days", format!("{days} is more than 365"));
                return None;
            }
        },
    };
    Some(Contract { from: from?, to, kind })
}

pub(in crate::serve::grpc) fn rescue_code(text: &str) -> Result<Box<str>, String> {
    let good = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if good { Ok(text.into()) } else { Err(format!("{:?} does not fit: 1 to 12 digits", short(text))) }
}

pub(in crate::serve::grpc) fn lift_to(e: &Lift) -> v1::Lift {
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
        catalogue: shown(e.catalogue),
        registration: shown(e.registration),
        use_registration: text(e.use_registration.as_deref()),
        position: e.position.map(|it| v1::Position { latitude_e7: it.latitude_e7, longitude_e7: it.longitude_e7 }),
        officer: text(e.officer.as_deref()),
        officer_phone: text(e.officer_phone.as_deref()),
        contract: e.contract.map(contract_to),
        base_on: shown(e.base_on),
        inspected_on: shown(e.inspected_on),
        out_of_use_since: shown(e.out_of_use_since),
        terminal: text(e.terminal.as_deref()),
    }
}

fn contract_to(it: Contract) -> v1::MaintenanceContract {
    let on_demand_days = match it.kind {
        ContractKind::Calendar => 0,
        ContractKind::OnDemand { every_days } => every_days.into(),
    };
    v1::MaintenanceContract { from: it.from.to_string(), to: shown(it.to), on_demand_days }
}
