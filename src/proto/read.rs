//! Bytes to model: the helpers, and the nouns that both journals and snapshots hold.

use crate::model::alert::{Acknowledged, Evidence};
use crate::model::archive::{
    Contract, ContractKind, Cylinder, Entrustment, Entry, Equipment, Firm, Lift, Position, Site, SiteKind, Worker,
};
use crate::model::fill::Verdict;
use crate::model::ids::{
    Catalogue, CodeError, CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode, WorkerId,
};
use crate::model::record::{Health, PolicyText};
use crate::model::time::{CivilDay, Wall};
use crate::proto::internal as wire;

/// Why something that was kept can't be read. Its checksum was right: either it was written by a program newer than
/// this one, or one of the two has a fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CodecError {
    #[error("it is not of the form that this program knows: {0}")]
    Malformed(String),
    #[error("it lacks {0}, or has one of a kind that this program does not know: was it written by a newer version?")]
    Missing(&'static str),
    #[error("its {what} is {got:?}, which this program does not know: was it written by a newer version?")]
    Unknown { what: &'static str, got: String },
    #[error("{0}")]
    Unfit(&'static str),
}

pub type Result<T> = std::result::Result<T, CodecError>;

impl From<prost::DecodeError> for CodecError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<CodeError> for CodecError {
    fn from(error: CodeError) -> Self {
        Self::Unknown { what: error.what, got: error.got }
    }
}

/// Turns a number or name into what it stands for.
pub fn known<N: Copy + ToString, T>(what: &'static str, got: N, find: impl FnOnce(N) -> Option<T>) -> Result<T> {
    find(got).ok_or_else(|| CodecError::Unknown { what, got: got.to_string() })
}

pub fn numbered<T>(what: &'static str, got: u32, find: impl FnOnce(i32) -> Option<T>) -> Result<T> {
    known(what, got, |got| i32::try_from(got).ok().and_then(find))
}

pub fn there<T>(what: &'static str, it: Option<T>) -> Result<T> {
    it.ok_or(CodecError::Missing(what))
}

pub fn each<A, B>(list: Vec<A>, read: impl Fn(A) -> Result<B>) -> Result<Vec<B>> {
    list.into_iter().map(read).collect()
}

pub fn texts(list: Vec<String>) -> Vec<Box<str>> {
    list.into_iter().map(String::into_boxed_str).collect()
}

pub fn some_text(it: Option<String>) -> Option<Box<str>> {
    it.map(String::into_boxed_str)
}

pub fn some_code<T>(
    it: Option<String>,
    parse: impl FnOnce(&str) -> std::result::Result<T, CodeError>,
) -> Result<Option<T>> {
    Ok(it.as_deref().map(parse).transpose()?)
}

pub fn policy(it: wire::Policy) -> PolicyText {
    PolicyText {
        rules: it.rules.into_iter().map(|file| (file.name.into(), file.content.into())).collect(),
        zone: it.zone.into(),
        tzdb: it.tzdb.into(),
        topic_prefix: it.topic_prefix.into(),
    }
}

pub fn health(it: wire::Health) -> Result<Health> {
    Ok(Health {
        journal_fill_percent: numbered("journal fill", it.journal_fill_percent, |n| n.try_into().ok())?,
        store_stalled_ms: it.store_stalled_ms,
        dropped: it.dropped,
    })
}

pub fn entry(it: wire::Entry) -> Result<Entry> {
    use wire::entry::Entry as Wire;
    Ok(match there("a kind of archive entry", it.entry)? {
        Wire::Lift(it) => Entry::Lift(lift(it)?),
        Wire::Cylinder(it) => Entry::Cylinder(cylinder(it)?),
        Wire::Firm(it) => Entry::Firm(firm(it)?),
        Wire::Site(it) => Entry::Site(site(it)?),
        Wire::Worker(it) => Entry::Worker(worker(it)?),
    })
}

pub(crate) fn lift(it: wire::Lift) -> Result<Lift> {
    Ok(Lift {
        code: DeviceCode::parse(&it.code)?,
        equipment: if it.escalator { Equipment::Escalator } else { Equipment::Lift },
        catalogue: some_code(it.catalogue, Catalogue::parse)?,
        registration: some_code(it.registration, DeviceCode::parse)?,
        use_registration: some_text(it.use_registration),
        address: some_text(it.address),
        district: some_code(it.district, District::parse)?,
        position: it.position.map(|it| Position { latitude_e7: it.latitude_e7, longitude_e7: it.longitude_e7 }),
        rescue_code: some_text(it.rescue_code),
        building: some_code(it.building, PlaceId::parse)?,
        feeder: some_code(it.feeder, PlaceId::parse)?,
        firm: some_code(it.firm, FirmId::parse)?,
        contract: it.contract.map(|it| contract(&it)).transpose()?,
        use_unit: some_text(it.use_unit),
        officer: some_text(it.officer),
        officer_phone: some_text(it.officer_phone),
        keep_alive_s: it.keep_alive_s,
        terminal: some_text(it.terminal),
        base_on: it.base_on_day.map(CivilDay),
        inspected_on: it.inspected_on_day.map(CivilDay),
        inspection_due: it.inspection_due_day.map(CivilDay),
        out_of_use_since: it.out_of_use_since_day.map(CivilDay),
    })
}

fn contract(it: &wire::Contract) -> Result<Contract> {
    let kind = match it.on_demand_days {
        None => ContractKind::Calendar,
        Some(days) => {
            let every_days = known("span between visits", days, |got| u16::try_from(got).ok())?;
            ContractKind::OnDemand { every_days }
        }
    };
    Ok(Contract { from: CivilDay(it.from_day), to: it.to_day.map(CivilDay), kind })
}

pub(crate) fn cylinder(it: wire::Cylinder) -> Result<Cylinder> {
    Ok(Cylinder {
        code: CylinderCode::parse(&it.code)?,
        aliases: each(it.aliases, |code| Ok(CylinderCode::parse(&code)?))?,
        stamped_number: some_text(it.stamped_number),
        kind: some_text(it.kind),
        medium: some_text(it.medium),
        standard: some_text(it.standard),
        made_on: it.made_on_day.map(CivilDay),
        volume_ml: it.volume_ml,
        tare_g: it.tare_g,
        max_fill_g: it.max_fill_g,
        filling_unit: some_code(it.filling_unit, SiteCode::parse)?,
        filling_unit_since: it.filling_unit_since_day.map(CivilDay),
        entrusted: each(it.entrusted, entrustment)?,
        inspected_on: it.inspected_on_day.map(CivilDay),
        inspection_due: it.inspection_due_day.map(CivilDay),
        extended_until: it.extended_until_day.map(CivilDay),
        scrapped: it.scrapped,
        district: some_code(it.district, District::parse)?,
    })
}

fn entrustment(it: wire::Entrustment) -> Result<Entrustment> {
    Ok(Entrustment { site: SiteCode::parse(&it.site)?, from: CivilDay(it.from_day), to: it.to_day.map(CivilDay) })
}

pub(crate) fn firm(it: wire::Firm) -> Result<Firm> {
    Ok(Firm {
        id: FirmId::parse(&it.id)?,
        name: it.name.into(),
        phone: some_text(it.phone),
        address: some_text(it.address),
        district: some_code(it.district, District::parse)?,
    })
}

pub(crate) fn worker(it: wire::Worker) -> Result<Worker> {
    Ok(Worker {
        id: WorkerId::parse(&it.id)?,
        name: it.name.into(),
        firm: some_code(it.firm, FirmId::parse)?,
        phone: some_text(it.phone),
        certificate: some_text(it.certificate),
        certified_until: it.certified_until_day.map(CivilDay),
    })
}

pub(crate) fn site(it: wire::Site) -> Result<Site> {
    Ok(Site {
        code: SiteCode::parse(&it.code)?,
        kind: known("kind of site", it.kind.as_str(), SiteKind::from_name)?,
        name: it.name.into(),
        address: some_text(it.address),
        district: some_code(it.district, District::parse)?,
    })
}

pub fn verdict(it: wire::Verdict) -> Verdict {
    Verdict { reasons: texts(it.reasons), expires_at: Wall(it.expires_at_ms) }
}

pub fn acknowledged(it: wire::Acknowledged) -> Acknowledged {
    Acknowledged { by: it.by.into(), at: Wall(it.at_ms) }
}

pub fn evidence(it: wire::Evidence) -> Evidence {
    Evidence { name: it.name.into(), value: it.value.into(), age_ms: it.age_ms }
}
