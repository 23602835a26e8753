//! Model to bytes: the nouns that both journals and snapshots hold. The numbers are the fields of `journal.proto`.

use super::writer::Writer;
use crate::model::alert::{Acknowledged, Evidence};
use crate::model::archive::{Contract, ContractKind, Cylinder, Entry, Equipment, Firm, Lift, Site, Worker};
use crate::model::fill::Verdict;
use crate::model::record::{Health, PolicyText};
use crate::model::time::CivilDay;

/// The model's enums are numbered from 1.
pub fn number(number: i32) -> u32 {
    number.unsigned_abs()
}

pub fn policy(w: &mut Writer<'_>, it: &PolicyText) {
    for (name, content) in &it.rules {
        w.message(1, |w| {
            w.text(1, name);
            w.text(2, content);
        });
    }
    w.text(2, &it.zone);
    w.text(3, &it.tzdb);
    w.text(4, &it.topic_prefix);
}

pub fn health(w: &mut Writer<'_>, it: &Health) {
    w.uint(1, it.journal_fill_percent);
    w.int(2, it.store_stalled_ms);
    w.uint(3, it.dropped);
}

pub fn entry(w: &mut Writer<'_>, entry: &Entry) {
    match entry {
        Entry::Lift(it) => w.message(1, |w| lift(w, it)),
        Entry::Cylinder(it) => w.message(2, |w| cylinder(w, it)),
        Entry::Firm(it) => w.message(3, |w| firm(w, it)),
        Entry::Site(it) => w.message(4, |w| site(w, it)),
        Entry::Worker(it) => w.message(5, |w| worker(w, it)),
    }
}

pub(crate) fn lift(w: &mut Writer<'_>, it: &Lift) {
    w.text(1, it.code.as_str());
    w.uint(2, it.equipment == Equipment::Escalator);
    w.some_text(3, it.address.as_deref());
    w.some_text(4, it.district.as_ref().map(|code| code.as_str()));
    w.some_text(5, it.rescue_code.as_deref());
    w.some_text(6, it.firm.as_ref().map(|id| id.as_str()));
    w.some_text(7, it.use_unit.as_deref());
    w.some_uint(8, it.keep_alive_s);
    some_day(w, 9, it.inspection_due);
    w.some_text(10, it.building.as_ref().map(|id| id.as_str()));
    w.some_text(11, it.feeder.as_ref().map(|id| id.as_str()));
    w.some_text(12, it.catalogue.as_ref().map(|code| code.as_str()));
    w.some_text(13, it.registration.as_ref().map(|code| code.as_str()));
    w.some_text(14, it.use_registration.as_deref());
    w.some_message(15, it.position, |w, it| {
        w.sint(1, it.latitude_e7);
        w.sint(2, it.longitude_e7);
    });
    w.some_message(16, it.contract, contract);
    w.some_text(17, it.officer.as_deref());
    w.some_text(18, it.officer_phone.as_deref());
    w.some_text(19, it.terminal.as_deref());
    some_day(w, 20, it.base_on);
    some_day(w, 21, it.inspected_on);
    some_day(w, 22, it.out_of_use_since);
}

fn contract(w: &mut Writer<'_>, it: Contract) {
    w.sint(1, it.from.0);
    some_day(w, 2, it.to);
    if let ContractKind::OnDemand { every_days } = it.kind {
        w.present_uint(3, every_days);
    }
}

pub(crate) fn cylinder(w: &mut Writer<'_>, it: &Cylinder) {
    w.text(1, it.code.as_str());
    w.some_text(2, it.filling_unit.as_ref().map(|code| code.as_str()));
    w.some_text(3, it.medium.as_deref());
    some_day(w, 4, it.made_on);
    some_day(w, 5, it.inspection_due);
    w.uint(6, it.scrapped);
    w.some_text(7, it.district.as_ref().map(|code| code.as_str()));
    for code in &it.aliases {
        w.present_text(8, code.as_str());
    }
    w.some_text(9, it.stamped_number.as_deref());
    w.some_text(10, it.kind.as_deref());
    w.some_text(11, it.standard.as_deref());
    w.some_uint(12, it.volume_ml);
    w.some_uint(13, it.tare_g);
    w.some_uint(14, it.max_fill_g);
    some_day(w, 15, it.filling_unit_since);
    for it in &it.entrusted {
        w.message(16, |w| {
            w.text(1, it.site.as_str());
            w.sint(2, it.from.0);
            some_day(w, 3, it.to);
        });
    }
    some_day(w, 17, it.inspected_on);
    some_day(w, 18, it.extended_until);
}

pub fn some_day(w: &mut Writer<'_>, field: u32, day: Option<CivilDay>) {
    w.some_sint(field, day.map(|day| day.0));
}

pub(crate) fn firm(w: &mut Writer<'_>, it: &Firm) {
    w.text(1, it.id.as_str());
    w.text(2, &it.name);
    w.some_text(3, it.phone.as_deref());
    w.some_text(4, it.address.as_deref());
    w.some_text(5, it.district.as_ref().map(|code| code.as_str()));
}

pub(crate) fn worker(w: &mut Writer<'_>, it: &Worker) {
    w.text(1, it.id.as_str());
    w.text(2, &it.name);
    w.some_text(3, it.firm.as_ref().map(|id| id.as_str()));
    w.some_text(4, it.phone.as_deref());
    w.some_text(5, it.certificate.as_deref());
    some_day(w, 6, it.certified_until);
}

pub(crate) fn site(w: &mut Writer<'_>, it: &Site) {
    w.text(1, it.code.as_str());
    w.text(2, it.kind.name());
    w.text(3, &it.name);
    w.some_text(4, it.address.as_deref());
    w.some_text(5, it.district.as_ref().map(|code| code.as_str()));
}

pub fn verdict(w: &mut Writer<'_>, it: &Verdict) {
    w.texts(1, &it.reasons);
    w.int(2, it.expires_at.0);
}

pub fn acknowledged(w: &mut Writer<'_>, it: &Acknowledged) {
    w.text(1, &it.by);
    w.int(2, it.at.0);
}

pub fn evidence(w: &mut Writer<'_>, it: &Evidence) {
    w.text(1, &it.name);
    w.text(2, &it.value);
    w.some_int(3, it.age_ms);
}
