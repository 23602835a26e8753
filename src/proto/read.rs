//! Bytes to model: the helpers, and the nouns that both journals and snapshots hold.

use crate::model::alert::{Acknowledged, Evidence};
use crate::model::archive::{Cylinder, Entry, Equipment, Firm, Lift, Site, SiteKind};
use crate::model::fill::Verdict;
use crate::model::ids::{CodeError, CylinderCode, DeviceCode, District, FirmId, PlaceId, SiteCode};
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

pub(crate) type Result<T> = std::result::Result<T, CodecError>;

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
pub(crate) fn known<N: Copy + ToString, T>(what: &'static str, got: N, find: impl FnOnce(N) -> Option<T>) -> Result<T> {
    find(got).ok_or_else(|| CodecError::Unknown { what, got: got.to_string() })
}

pub(crate) fn numbered<T>(what: &'static str, got: u32, find: impl FnOnce(i32) -> Option<T>) -> Result<T> {
    known(what, got, |got| i32::try_from(got).ok().and_then(find))
}

pub(crate) fn there<T>(what: &'static str, it: Option<T>) -> Result<T> {
    it.ok_or(CodecError::Missing(what))
}

pub(crate) fn each<A, B>(list: Vec<A>, read: impl Fn(A) -> Result<B>) -> Result<Vec<B>> {
    list.into_iter().map(read).collect()
}

pub(crate) fn texts(list: Vec<String>) -> Vec<Box<str>> {
    list.into_iter().map(String::into_boxed_str).collect()
}

pub(crate) fn some_text(it: Option<String>) -> Option<Box<str>> {
    it.map(String::into_boxed_str)
}

pub(crate) fn some_code<T>(
    it: Option<String>,
    parse: impl FnOnce(&str) -> std::result::Result<T, CodeError>,
) -> Result<Option<T>> {
    Ok(it.as_deref().map(parse).transpose()?)
}

pub(crate) fn policy(it: wire::Policy) -> PolicyText {
    PolicyText {
        rules: it.rules.into_iter().map(|file| (file.name.into(), file.content.into())).collect(),
        zone: it.zone.into(),
        tzdb: it.tzdb.into(),
        topic_prefix: it.topic_prefix.into(),
    }
}

pub(crate) fn health(it: wire::Health) -> Result<Health> {
    Ok(Health {
        journal_fill_percent: numbered("journal fill", it.journal_fill_percent, |n| n.try_into().ok())?,
        store_stalled_ms: it.store_stalled_ms,
        dropped: it.dropped,
    })
}

pub(crate) fn entry(it: wire::Entry) -> Result<Entry> {
    use wire::entry::Entry as Wire;
    Ok(match there("a kind of archive entry", it.entry)? {
        Wire::Lift(it) => Entry::Lift(lift(it)?),
        Wire::Cylinder(it) => Entry::Cylinder(cylinder(it)?),
        Wire::Firm(it) => Entry::Firm(firm(it)?),
        Wire::Site(it) => Entry::Site(site(it)?),
    })
}

pub(crate) fn lift(it: wire::Lift) -> Result<Lift> {
    Ok(Lift {
        code: DeviceCode::parse(&it.code)?,
        equipment: if it.escalator { Equipment::Escalator } else { Equipment::Lift },
        address: some_text(it.address),
        district: some_code(it.district, District::parse)?,
        rescue_code: some_text(it.rescue_code),
        building: some_code(it.building, PlaceId::parse)?,
        feeder: some_code(it.feeder, PlaceId::parse)?,
        firm: some_code(it.firm, FirmId::parse)?,
        use_unit: some_text(it.use_unit),
        keep_alive_s: it.keep_alive_s,
        inspection_due: it.inspection_due_day.map(CivilDay),
    })
}

pub(crate) fn cylinder(it: wire::Cylinder) -> Result<Cylinder> {
    Ok(Cylinder {
        code: CylinderCode::parse(&it.code)?,
        filling_unit: some_code(it.filling_unit, SiteCode::parse)?,
        medium: some_text(it.medium),
        made_on: it.made_on_day.map(CivilDay),
        inspection_due: it.inspection_due_day.map(CivilDay),
        scrapped: it.scrapped,
        district: some_code(it.district, District::parse)?,
    })
}

pub(crate) fn firm(it: wire::Firm) -> Result<Firm> {
    Ok(Firm { id: FirmId::parse(&it.id)?, name: it.name.into(), phone: some_text(it.phone) })
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

pub(crate) fn verdict(it: wire::Verdict) -> Verdict {
    Verdict { reasons: texts(it.reasons), expires_at: Wall(it.expires_at_ms) }
}

pub(crate) fn acknowledged(it: wire::Acknowledged) -> Acknowledged {
    Acknowledged { by: it.by.into(), at: Wall(it.at_ms) }
}

pub(crate) fn evidence(it: wire::Evidence) -> Evidence {
    Evidence { name: it.name.into(), value: it.value.into(), age_ms: it.age_ms }
}
