//! Entries of the archive, both ways. All that is wrong with one is told at once.

mod cylinder;
mod lift;
#[cfg(test)]
mod tests;

use self::cylinder::cylinder_from;
pub(in crate::serve::grpc) use self::cylinder::cylinder_to;
use self::lift::lift_from;
pub(in super::super) use self::lift::{lift_to, rescue_code};
use super::{text, timestamp};
use crate::limits::ARCHIVE_TEXT_CHARS;
use crate::model::archive::{Entry, EntryKind, FieldChange, Firm, Site, SiteKind, Worker};
use crate::model::ids::{District, FirmId, SiteCode, WorkerId};
use crate::model::row::{ChangeKind, ChangeRow};
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
        ArchiveEntry::Worker(e) => worker_from(&e, violations).map(Entry::Worker),
    };
    entry.filter(|_| violations.0.len() == before)
}

pub(in super::super) fn entry_kind(kind: i32) -> Result<EntryKind, &'static str> {
    match v1::EntryKind::try_from(kind) {
        Ok(v1::EntryKind::Lift) => Ok(EntryKind::Lift),
        Ok(v1::EntryKind::Cylinder) => Ok(EntryKind::Cylinder),
        Ok(v1::EntryKind::Firm) => Ok(EntryKind::Firm),
        Ok(v1::EntryKind::Site) => Ok(EntryKind::Site),
        Ok(v1::EntryKind::Worker) => Ok(EntryKind::Worker),
        Ok(v1::EntryKind::Unspecified) | Err(_) => Err("must be lift, cylinder, firm, site or worker"),
    }
}

fn firm_from(e: &v1::Firm, v: &mut Violations) -> Option<Firm> {
    let id = v.take("firm.id", FirmId::parse(&e.id));
    let name = v.text("firm.name", &e.name, ARCHIVE_TEXT_CHARS);
    let phone = v.optional_text("firm.phone", &e.phone, ARCHIVE_TEXT_CHARS);
    let address = v.optional_text("firm.address", &e.address, ARCHIVE_TEXT_CHARS);
    let district = v.optional("firm.district", &e.district, District::parse);
    Some(Firm { id: id?, name: name?, phone, address, district })
}

fn site_from(e: &v1::Site, v: &mut Violations) -> Option<Site> {
    let code = v.take("site.code", SiteCode::parse(&e.code));
    let kind = v.take("site.kind", site_kind(e.kind));
    let name = v.text("site.name", &e.name, ARCHIVE_TEXT_CHARS);
    let address = v.optional_text("site.address", &e.address, ARCHIVE_TEXT_CHARS);
    let district = v.optional("site.district", &e.district, District::parse);
    Some(Site { code: code?, kind: kind?, name: name?, address, district })
}

fn worker_from(e: &v1::Worker, v: &mut Violations) -> Option<Worker> {
    let id = v.take("worker.id", WorkerId::parse(&e.id));
    let name = v.text("worker.name", &e.name, ARCHIVE_TEXT_CHARS);
    let firm = v.optional("worker.firm", &e.firm, FirmId::parse);
    let phone = v.optional_text("worker.phone", &e.phone, ARCHIVE_TEXT_CHARS);
    let certificate = v.optional_text("worker.certificate", &e.certificate, ARCHIVE_TEXT_CHARS);
    let certified_until = v.optional("worker.certified_until", &e.certified_until, day);
    Some(Worker { id: id?, name: name?, firm, phone, certificate, certified_until })
}

fn site_kind(kind: i32) -> Result<SiteKind, &'static str> {
    match v1::SiteKind::try_from(kind) {
        Ok(v1::SiteKind::FillingStation) => Ok(SiteKind::FillingStation),
        Ok(v1::SiteKind::Shop) => Ok(SiteKind::Shop),
        Ok(v1::SiteKind::InspectionBody) => Ok(SiteKind::InspectionBody),
        Ok(v1::SiteKind::Unspecified) | Err(_) => Err("must be filling_station, shop or inspection_body"),
    }
}

pub(in super::super) fn day(text: &str) -> Result<CivilDay, String> {
    CivilDay::parse(text).ok_or_else(|| format!("{:?} is no date: write YYYY-MM-DD, from 1970 on", short(text)))
}

/// Notes it if the second of two days, where both are known, comes before the first one.
fn in_order(v: &mut Violations, first: (&str, Option<CivilDay>), second: (&str, Option<CivilDay>)) {
    if let (Some(first_day), Some(second_day)) = (first.1, second.1)
        && second_day < first_day
    {
        let name = first.0.rsplit('.').next().unwrap_or(first.0);
        v.add(second.0, format!("{second_day} is before `{name}`, which is {first_day}"));
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
        Shown::Worker(worker) => Asked::Worker(worker),
    }
}

pub(in super::super) fn entry_to(entry: &Entry) -> Shown {
    match entry {
        Entry::Lift(e) => Shown::Lift(lift_to(e)),
        Entry::Cylinder(e) => Shown::Cylinder(cylinder_to(e)),
        Entry::Firm(e) => Shown::Firm(firm_to(e)),
        Entry::Site(e) => Shown::Site(site_to(e)),
        Entry::Worker(e) => Shown::Worker(worker_to(e)),
    }
}

pub(in super::super) fn archive_entry(entry: &Entry) -> v1::ArchiveEntry {
    use v1::archive_entry::Entry as Listed;
    let entry = match entry_to(entry) {
        Shown::Lift(lift) => Listed::Lift(lift),
        Shown::Cylinder(cylinder) => Listed::Cylinder(cylinder),
        Shown::Firm(firm) => Listed::Firm(firm),
        Shown::Site(site) => Listed::Site(site),
        Shown::Worker(worker) => Listed::Worker(worker),
    };
    v1::ArchiveEntry { entry: Some(entry) }
}

pub(in super::super) fn device_change(row: &ChangeRow) -> v1::DeviceChange {
    let what = match row.what {
        ChangeKind::Created => v1::DeviceChangeKind::Created,
        ChangeKind::Changed => v1::DeviceChangeKind::Changed,
        ChangeKind::TerminalReplaced => v1::DeviceChangeKind::TerminalReplaced,
        ChangeKind::Transferred => v1::DeviceChangeKind::Transferred,
    };
    let field = |it: &FieldChange| v1::FieldChange {
        field: it.field.to_string(),
        before: it.before.to_string(),
        after: it.after.to_string(),
    };
    v1::DeviceChange {
        what: what.into(),
        changed_at: Some(timestamp(row.changed_at)),
        actor: row.actor.to_string(),
        fields: row.fields.iter().map(field).collect(),
    }
}

fn firm_to(e: &Firm) -> v1::Firm {
    v1::Firm {
        id: e.id.to_string(),
        name: e.name.to_string(),
        phone: text(e.phone.as_deref()),
        address: text(e.address.as_deref()),
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

fn worker_to(e: &Worker) -> v1::Worker {
    v1::Worker {
        id: e.id.to_string(),
        name: e.name.to_string(),
        firm: shown(e.firm),
        phone: text(e.phone.as_deref()),
        certificate: text(e.certificate.as_deref()),
        certified_until: shown(e.certified_until),
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
