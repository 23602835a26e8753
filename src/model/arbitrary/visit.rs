//! Records of maintenance.

use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{civil_day, code_of, device_code, firm_id, text, wall};
use crate::model::ids::{RecordId, WorkerId};
use crate::model::visit::{
    ChainLink, Digest, ItemDone, ItemResult, Person, Photo, Problem, Sign, SignatureRow, Upload, Visit, VisitFlag,
    VisitKind, VisitRow,
};

pub fn record_id() -> impl Strategy<Value = RecordId> {
    code_of("09AZaz-_.:", 1..=64).prop_map(|id| RecordId::parse(&id).unwrap())
}

pub fn worker_id() -> impl Strategy<Value = WorkerId> {
    code_of("09AZaz-_", 1..=32).prop_map(|id| WorkerId::parse(&id).unwrap())
}

pub fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

pub fn visit() -> impl Strategy<Value = Visit> {
    let item =
        (text(), select(ItemResult::ALL), of(text())).prop_map(|(item, result, note)| ItemDone { item, result, note });
    let photo = (digest(), text(), any::<u32>(), of(wall()), of(text()))
        .prop_map(|(digest, media, bytes, taken_at, item)| Photo { digest, media, bytes, taken_at, item });
    let person = (text(), text(), of(text())).prop_map(|(duty, name, phone)| Person { duty, name, phone });
    let what = (firm_id(), record_id(), device_code(), select(VisitKind::ALL), select(Problem::ALL));
    let who = (vec(worker_id(), 0..4), worker_id(), wall(), wall());
    let of_it = (vec(item, 0..4), of(text()), vec(photo, 0..3), of(civil_day()));
    let others = (of(record_id()), vec(record_id(), 0..3), vec(person, 0..3));
    (what, who, of_it, others).prop_map(|(what, who, of_it, others)| {
        let (firm, record, device, kind, problem) = what;
        let (workers, recorder, started_at, ended_at) = who;
        let (items, note, photos, next_on) = of_it;
        let (supersedes, rectifies, people) = others;
        Visit {
            firm,
            record,
            device,
            kind,
            workers,
            recorder,
            started_at,
            ended_at,
            items,
            problem,
            note,
            photos,
            next_on,
            supersedes,
            rectifies,
            people,
        }
    })
}

pub fn upload() -> impl Strategy<Value = Upload> {
    (visit(), any::<[u8; 16]>(), any::<bool>()).prop_map(|(visit, salt, looked_up)| Upload { visit, salt, looked_up })
}

pub fn visit_row() -> impl Strategy<Value = VisitRow> {
    let flags = btree_set(select(VisitFlag::ALL), 0..=VisitFlag::ALL.len());
    (visit(), any::<u64>(), wall(), flags, digest(), of(any::<[u8; 16]>()), digest()).prop_map(
        |(visit, number, recorded_at, flags, people_digest, salt, link)| {
            let flags = flags.into_iter().collect();
            VisitRow { visit, number, recorded_at, flags, people_digest, salt, link }
        },
    )
}

pub fn link() -> impl Strategy<Value = ChainLink> {
    prop_oneof![
        visit_row().prop_map(|row| ChainLink::Visit(Box::new(row))),
        signature_row().prop_map(ChainLink::Signature),
    ]
}

pub fn sign() -> impl Strategy<Value = Sign> {
    (device_code(), firm_id(), record_id(), text(), of(text()))
        .prop_map(|(device, firm, record, signatory, note)| Sign { device, firm, record, signatory, note })
}

pub fn signature_row() -> impl Strategy<Value = SignatureRow> {
    (sign(), any::<u64>(), any::<u64>(), wall(), digest()).prop_map(|(sign, number, visit_number, signed_at, link)| {
        SignatureRow { sign, number, visit_number, signed_at, link }
    })
}
