//! Records of maintenance, both ways. The numbers are the fields of `journal.proto`.

use bytes::Bytes;

use crate::model::ids::{DeviceCode, FirmId, RecordId, WorkerId};
use crate::model::time::{CivilDay, Wall};
use crate::model::visit::{
    ChainLink, Digest, ItemDone, ItemResult, Person, Photo, Problem, Sign, SignatureRow, Upload, Visit, VisitFlag,
    VisitKind, VisitRow,
};
use crate::proto::internal as wire;
use crate::proto::read::{CodecError, Result, each, numbered, some_code, some_text, there};
use crate::proto::write::{number, some_day};
use crate::proto::writer::Writer;

pub(super) fn upload(w: &mut Writer<'_>, it: &Upload) {
    w.message(1, |w| visit(w, &it.visit));
    w.bytes(2, &it.salt);
    w.uint(3, it.looked_up);
}

pub(super) fn visit(w: &mut Writer<'_>, it: &Visit) {
    w.text(1, it.firm.as_str());
    w.text(2, it.record.as_str());
    w.text(3, it.device.as_str());
    w.uint(4, number(it.kind.number()));
    for id in &it.workers {
        w.present_text(5, id.as_str());
    }
    w.text(6, it.recorder.as_str());
    w.int(7, it.started_at.0);
    w.int(8, it.ended_at.0);
    for it in &it.items {
        w.message(9, |w| {
            w.text(1, &it.item);
            w.uint(2, number(it.result.number()));
            w.some_text(3, it.note.as_deref());
        });
    }
    w.uint(10, number(it.problem.number()));
    w.some_text(11, it.note.as_deref());
    for it in &it.photos {
        w.message(12, |w| photo(w, it));
    }
    some_day(w, 13, it.next_on);
    w.some_text(14, it.supersedes.as_ref().map(|id| id.as_str()));
    for id in &it.rectifies {
        w.present_text(15, id.as_str());
    }
    for it in &it.people {
        w.message(16, |w| {
            w.text(1, &it.duty);
            w.text(2, &it.name);
            w.some_text(3, it.phone.as_deref());
        });
    }
}

fn photo(w: &mut Writer<'_>, it: &Photo) {
    w.bytes(1, &it.digest.0);
    w.text(2, &it.media);
    w.uint(3, it.bytes);
    w.some_int(4, it.taken_at.map(Wall::ms));
    w.some_text(5, it.item.as_deref());
}

pub(super) fn sign(w: &mut Writer<'_>, it: &Sign) {
    w.text(1, it.device.as_str());
    w.text(2, it.firm.as_str());
    w.text(3, it.record.as_str());
    w.text(4, &it.signatory);
    w.some_text(5, it.note.as_deref());
}

pub(super) fn visit_row(w: &mut Writer<'_>, it: &VisitRow) {
    w.message(1, |w| visit(w, &it.visit));
    w.uint(2, it.number);
    w.int(3, it.recorded_at.0);
    w.uints(4, it.flags.iter().map(|flag| number(flag.number())));
    w.bytes(5, &it.people_digest.0);
    if let Some(salt) = &it.salt {
        w.present_bytes(6, salt);
    }
    w.bytes(7, &it.link.0);
}

pub(super) fn signature_row(w: &mut Writer<'_>, it: &SignatureRow) {
    w.message(1, |w| sign(w, &it.sign));
    w.uint(2, it.number);
    w.uint(3, it.visit_number);
    w.int(4, it.signed_at.0);
    w.bytes(5, &it.link.0);
}

pub(super) fn link(w: &mut Writer<'_>, it: &ChainLink) {
    match it {
        ChainLink::Visit(it) => w.message(1, |w| visit_row(w, it)),
        ChainLink::Signature(it) => w.message(2, |w| signature_row(w, it)),
    }
}

pub(super) fn read_link(it: wire::AdoptedRecord) -> Result<ChainLink> {
    use wire::adopted_record::Link as Wire;
    Ok(match there("a record", it.link)? {
        Wire::Visit(it) => ChainLink::Visit(Box::new(read_visit_row(it)?)),
        Wire::Signature(it) => ChainLink::Signature(read_signature_row(it)?),
    })
}

pub(super) fn read_upload(it: wire::UploadVisit) -> Result<Upload> {
    Ok(Upload {
        visit: read_visit(there("a visit", it.visit)?)?,
        salt: exact("a salt", &it.salt)?,
        looked_up: it.looked_up,
    })
}

fn read_visit(it: wire::Visit) -> Result<Visit> {
    let item = |it: wire::VisitItem| -> Result<ItemDone> {
        let result = numbered("result of an item", it.result, ItemResult::from_number)?;
        Ok(ItemDone { item: it.item.into(), result, note: some_text(it.note) })
    };
    let photo = |it: wire::VisitPhoto| -> Result<Photo> {
        Ok(Photo {
            digest: Digest(exact("a photo's digest", &it.digest)?),
            media: it.media.into(),
            bytes: it.bytes,
            taken_at: it.taken_at_ms.map(Wall),
            item: some_text(it.item),
        })
    };
    let person = |it: wire::VisitPerson| -> Result<Person> {
        Ok(Person { duty: it.duty.into(), name: it.name.into(), phone: some_text(it.phone) })
    };
    Ok(Visit {
        firm: FirmId::parse(&it.firm)?,
        record: RecordId::parse(&it.record)?,
        device: DeviceCode::parse(&it.device)?,
        kind: numbered("kind of a visit", it.kind, VisitKind::from_number)?,
        workers: each(it.workers, |id| Ok(WorkerId::parse(&id)?))?,
        recorder: WorkerId::parse(&it.recorder)?,
        started_at: Wall(it.started_at_ms),
        ended_at: Wall(it.ended_at_ms),
        items: each(it.items, item)?,
        problem: numbered("problem code", it.problem, Problem::from_number)?,
        note: some_text(it.note),
        photos: each(it.photos, photo)?,
        next_on: it.next_day.map(CivilDay),
        supersedes: some_code(it.supersedes, RecordId::parse)?,
        rectifies: each(it.rectifies, |id| Ok(RecordId::parse(&id)?))?,
        people: each(it.people, person)?,
    })
}

pub(super) fn read_sign(it: wire::Sign) -> Result<Sign> {
    Ok(Sign {
        device: DeviceCode::parse(&it.device)?,
        firm: FirmId::parse(&it.firm)?,
        record: RecordId::parse(&it.record)?,
        signatory: it.signatory.into(),
        note: some_text(it.note),
    })
}

pub(super) fn read_visit_row(it: wire::VisitRow) -> Result<VisitRow> {
    Ok(VisitRow {
        visit: read_visit(there("a visit", it.visit)?)?,
        number: it.number,
        recorded_at: Wall(it.recorded_at_ms),
        flags: each(it.flags, |got| numbered("flag of a visit", got, VisitFlag::from_number))?,
        people_digest: Digest(exact("a digest", &it.people_digest)?),
        salt: it.salt.map(|salt| exact("a salt", &salt)).transpose()?,
        link: Digest(exact("a link", &it.link)?),
    })
}

pub(super) fn read_signature_row(it: wire::SignatureRow) -> Result<SignatureRow> {
    Ok(SignatureRow {
        sign: read_sign(there("what was signed", it.sign)?)?,
        number: it.number,
        visit_number: it.visit_number,
        signed_at: Wall(it.signed_at_ms),
        link: Digest(exact("a link", &it.link)?),
    })
}

fn exact<const N: usize>(what: &'static str, bytes: &Bytes) -> Result<[u8; N]> {
    bytes.as_ref().try_into().map_err(|_| CodecError::Missing(what))
}
