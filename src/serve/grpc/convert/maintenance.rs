//! Records of maintenance, both ways. All that is wrong with one is told at once.

use prost_types::Timestamp;
use tonic::Code;

use super::archive::day;
use super::{moment, text, timestamp};
use crate::limits::{
    REQUEST_ID_CHARS, VISIT_ITEMS, VISIT_NOTE_CHARS, VISIT_PEOPLE, VISIT_PHOTOS, VISIT_RECTIFIES, VISIT_WORD_CHARS,
    VISIT_WORKERS,
};
use crate::model::ids::{DeviceCode, FirmId, RecordId, WorkerId};
use crate::model::record::{ItemFault, ItemOutcome};
use crate::model::time::Wall;
use crate::model::visit::{
    ChainLink, Digest, ItemDone, ItemResult, Person, Photo, Problem, Sign, SignatureRow, Visit, VisitKind, VisitRow,
};
use crate::observe::{Uploaded, emit};
use crate::proto::v1;
use crate::serve::grpc::Violations;

/// `None` if anything was noted.
pub(in super::super) fn visit_from(it: &v1::MaintenanceRecord, v: &mut Violations) -> Option<Visit> {
    let before = v.0.len();
    let firm = v.take("firm", FirmId::parse(&it.firm));
    let record = v.take("record", RecordId::parse(&it.record));
    let device = v.take("device", DeviceCode::parse(&it.device));
    let wrong = || "is missing, or not one of those that there are";
    let kind = v.take("kind", VisitKind::from_number(it.kind).ok_or_else(wrong));
    let problem = v.take("problem", Problem::from_number(it.problem).ok_or_else(wrong));
    let recorder = v.take("recorder", WorkerId::parse(&it.recorder));
    let started_at = at("started_at", it.started_at.as_ref(), v);
    let ended_at = at("ended_at", it.ended_at.as_ref(), v);
    let workers = each("workers", &it.workers, VISIT_WORKERS, v, |field, id, v| v.take(field, WorkerId::parse(id)));
    let rectifies =
        each("rectifies", &it.rectifies, VISIT_RECTIFIES, v, |field, id, v| v.take(field, RecordId::parse(id)));
    let supersedes = v.optional("supersedes", &it.supersedes, RecordId::parse);
    let next_on = v.optional("next_on", &it.next_on, day);
    let note = v.optional_text("note", &it.note, VISIT_NOTE_CHARS);
    let items = each("items", &it.items, VISIT_ITEMS, v, item_from);
    let photos = each("photos", &it.photos, VISIT_PHOTOS, v, photo_from);
    let people = each("people", &it.people, VISIT_PEOPLE, v, person_from);
    let visit = Visit {
        firm: firm?,
        record: record?,
        device: device?,
        kind: kind?,
        workers,
        recorder: recorder?,
        started_at: started_at?,
        ended_at: ended_at?,
        items,
        problem: problem?,
        note,
        photos,
        next_on,
        supersedes,
        rectifies,
        people,
    };
    Some(visit).filter(|_| v.0.len() == before)
}

/// All that is wrong with it, by field.
pub(in crate::serve) fn check_record(it: &v1::MaintenanceRecord) -> Result<(), Vec<(String, String)>> {
    let mut violations = Violations::default();
    visit_from(it, &mut violations);
    let faults: Vec<_> = violations.0.into_iter().map(|it| (it.field, it.why)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

pub(in super::super) fn sign_from(it: &v1::SignRecordRequest, v: &mut Violations) -> Option<Sign> {
    let device = v.take("device", DeviceCode::parse(&it.device));
    let firm = v.take("firm", FirmId::parse(&it.firm));
    let record = v.take("record", RecordId::parse(&it.record));
    let signatory = v.text("signatory", &it.signatory, REQUEST_ID_CHARS);
    let note = v.optional_text("note", &it.note, VISIT_NOTE_CHARS);
    Some(Sign { device: device?, firm: firm?, record: record?, signatory: signatory?, note })
}

/// The good elements; what is wrong with the others is noted by their index. None of a list that is too long.
fn each<A, B>(
    field: &str,
    list: &[A],
    most: usize,
    v: &mut Violations,
    read: impl Fn(&str, &A, &mut Violations) -> Option<B>,
) -> Vec<B> {
    if list.len() > most {
        v.add(field, format!("has {} elements: at most {most} are taken", list.len()));
        return Vec::new();
    }
    let read = |(nth, it)| read(&format!("{field}[{nth}]"), it, v);
    list.iter().enumerate().filter_map(read).collect()
}

fn item_from(field: &str, it: &v1::RecordItem, v: &mut Violations) -> Option<ItemDone> {
    let item = v.text(&format!("{field}.item"), &it.item, VISIT_WORD_CHARS);
    let result = ItemResult::from_number(it.result).ok_or("must be good, adjusted, failed or not_applicable");
    let result = v.take(&format!("{field}.result"), result);
    let note = v.optional_text(&format!("{field}.note"), &it.note, VISIT_NOTE_CHARS);
    Some(ItemDone { item: item?, result: result?, note })
}

fn photo_from(field: &str, it: &v1::RecordPhoto, v: &mut Violations) -> Option<Photo> {
    let digest = Digest::parse(&it.sha256).ok_or("must be 64 digits of base 16");
    let digest = v.take(&format!("{field}.sha256"), digest);
    let media = v.text(&format!("{field}.media_type"), &it.media_type, VISIT_WORD_CHARS);
    let taken_at = it.taken_at.as_ref().and_then(|at| v.take(&format!("{field}.taken_at"), moment(at)));
    let item = v.optional_text(&format!("{field}.item"), &it.item, VISIT_WORD_CHARS);
    Some(Photo { digest: digest?, media: media?, bytes: it.size_bytes, taken_at, item })
}

fn person_from(field: &str, it: &v1::RecordPerson, v: &mut Violations) -> Option<Person> {
    let duty = v.text(&format!("{field}.duty"), &it.duty, VISIT_WORD_CHARS);
    let name = v.text(&format!("{field}.name"), &it.name, VISIT_NOTE_CHARS);
    let phone = v.optional_text(&format!("{field}.phone"), &it.phone, VISIT_NOTE_CHARS);
    Some(Person { duty: duty?, name: name?, phone })
}

fn at(field: &str, at: Option<&Timestamp>, v: &mut Violations) -> Option<Wall> {
    v.take(field, at.ok_or("is missing").and_then(moment))
}

/// The answer to a record; `position` is where it was decided.
pub(in super::super) fn record_answer(
    line: u64,
    record: String,
    position: u64,
    outcome: &ItemOutcome,
) -> v1::UploadRecordsResponse {
    let answer = match outcome {
        ItemOutcome::Taken { flags } => v1::UploadRecordsResponse {
            outcome: v1::RecordOutcome::Taken.into(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            ..Default::default()
        },
        ItemOutcome::Known => {
            v1::UploadRecordsResponse { outcome: v1::RecordOutcome::Known.into(), ..Default::default() }
        }
        ItemOutcome::Invalid(faults) => {
            let message: Vec<_> = faults.iter().map(|it| format!("{}: {}", it.field, it.why)).collect();
            let fault = |it: &ItemFault| v1::RecordFault { field: it.field.to_string(), message: it.why.to_string() };
            let faults = faults.iter().map(fault).collect();
            v1::UploadRecordsResponse { faults, ..refused(Code::InvalidArgument, &message.join("; ")) }
        }
        ItemOutcome::NotFound { what } => refused(Code::NotFound, &format!("{what} is not known")),
        ItemOutcome::Exists { why } => refused(Code::AlreadyExists, why),
        ItemOutcome::Denied { why } => refused(Code::PermissionDenied, why),
        ItemOutcome::Precondition { why } => refused(Code::FailedPrecondition, why),
    };
    v1::UploadRecordsResponse { line, record, position, ..answer }
}

/// Counts what became of something that was uploaded.
pub(in super::super) fn count_upload(what: &'static str, outcome: v1::RecordOutcome, code: i32) {
    let outcome = match (outcome, Code::from(code)) {
        (v1::RecordOutcome::Taken, _) => "taken",
        (v1::RecordOutcome::Known, _) => "known",
        (_, Code::InvalidArgument) => "invalid",
        (_, Code::NotFound) => "not-found",
        (_, Code::AlreadyExists) => "exists",
        (_, Code::PermissionDenied) => "denied",
        (_, Code::Unavailable) => "away",
        _ => "unfit",
    };
    emit(Uploaded { what, outcome });
}

pub(in super::super) fn record_refused(line: u64, record: String, code: Code, why: &str) -> v1::UploadRecordsResponse {
    v1::UploadRecordsResponse { line, record, ..refused(code, why) }
}

fn refused(code: Code, message: &str) -> v1::UploadRecordsResponse {
    v1::UploadRecordsResponse {
        outcome: v1::RecordOutcome::Refused.into(),
        code: code.into(),
        message: message.to_owned(),
        ..Default::default()
    }
}

pub(in super::super) fn chain_link(link: &ChainLink) -> v1::ChainLink {
    use v1::chain_link::What;
    let what = match link {
        ChainLink::Visit(row) => What::Record(stored_record(row)),
        ChainLink::Signature(row) => What::Signature(stored_signature(row)),
    };
    v1::ChainLink {
        number: link.number(),
        recorded_at: Some(timestamp(link.recorded_at())),
        link: link.link().to_string(),
        what: Some(what),
    }
}

fn stored_record(row: &VisitRow) -> v1::StoredRecord {
    let digest = &row.people_digest;
    v1::StoredRecord {
        record: Some(visit_to(&row.visit)),
        flags: row.flags.iter().map(|flag| flag.name().to_owned()).collect(),
        people_sha256: if digest.is_zero() { String::new() } else { digest.to_string() },
    }
}

fn stored_signature(row: &SignatureRow) -> v1::StoredSignature {
    v1::StoredSignature {
        firm: row.sign.firm.to_string(),
        record: row.sign.record.to_string(),
        record_number: row.visit_number,
        signatory: row.sign.signatory.to_string(),
        note: text(row.sign.note.as_deref()),
    }
}

/// A record as `UploadRecords` takes it.
pub(super) fn visit_to(it: &Visit) -> v1::MaintenanceRecord {
    let strings = |ids: &[RecordId]| ids.iter().map(ToString::to_string).collect();
    let item = |it: &ItemDone| v1::RecordItem {
        item: it.item.to_string(),
        result: it.result.number(),
        note: text(it.note.as_deref()),
    };
    let photo = |it: &Photo| v1::RecordPhoto {
        sha256: it.digest.to_string(),
        media_type: it.media.to_string(),
        size_bytes: it.bytes,
        taken_at: it.taken_at.map(timestamp),
        item: text(it.item.as_deref()),
    };
    let person = |it: &Person| v1::RecordPerson {
        duty: it.duty.to_string(),
        name: it.name.to_string(),
        phone: text(it.phone.as_deref()),
    };
    v1::MaintenanceRecord {
        firm: it.firm.to_string(),
        record: it.record.to_string(),
        device: it.device.to_string(),
        kind: it.kind.number(),
        workers: it.workers.iter().map(ToString::to_string).collect(),
        recorder: it.recorder.to_string(),
        started_at: Some(timestamp(it.started_at)),
        ended_at: Some(timestamp(it.ended_at)),
        items: it.items.iter().map(item).collect(),
        problem: it.problem.number(),
        note: text(it.note.as_deref()),
        photos: it.photos.iter().map(photo).collect(),
        next_on: it.next_on.map(|day| day.to_string()).unwrap_or_default(),
        supersedes: it.supersedes.map(|id| id.to_string()).unwrap_or_default(),
        rectifies: strings(&it.rectifies),
        people: it.people.iter().map(person).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary::visit as arbitrary;

    proptest! {
        /// A record that was taken is told as it came.
        #[test]
        fn a_record_comes_back_as_it_was(visit in arbitrary::visit()) {
            let mut violations = Violations::default();
            if let Some(taken) = visit_from(&visit_to(&visit), &mut violations) {
                // A text that is empty is one that isn't there.
                prop_assert_eq!(visit_to(&taken), visit_to(&visit));
            } else {
                prop_assert!(!violations.0.is_empty());
            }
        }
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let bad = v1::MaintenanceRecord {
            firm: "a b".into(),
            kind: 9,
            workers: vec!["W1".into(), "W 2".into()],
            items: vec![v1::RecordItem { item: "t01".into(), result: 7, note: "x".repeat(201) }],
            photos: vec![v1::RecordPhoto { sha256: "00".into(), ..Default::default() }],
            people: vec![v1::RecordPerson { name: "a\nb".into(), ..Default::default() }],
            next_on: "2026-13-01".into(),
            rectifies: vec!["r".into(); 17],
            ..Default::default()
        };
        let mut violations = Violations::default();
        assert_eq!(visit_from(&bad, &mut violations), None);
        let fields: Vec<_> = violations.0.iter().map(|it| it.field.as_str()).collect();
        let expected = [
            "firm",
            "record",
            "device",
            "kind",
            "problem",
            "recorder",
            "started_at",
            "ended_at",
            "workers[1]",
            "rectifies",
            "next_on",
            "items[0].result",
            "items[0].note",
            "photos[0].sha256",
            "photos[0].media_type",
            "people[0].duty",
            "people[0].name",
        ];
        assert_eq!(fields, expected);
    }
}
