//! What is remembered of maintenance, both ways.

use super::read::bounded;
use super::subject::span;
use crate::core::maintenance::known::{Key, KnownRecord, KnownRecords};
use crate::core::maintenance::records::{Hazard, Records, Unsigned};
use crate::limits;
use crate::model::time::{CivilDay, Elapsed};
use crate::model::visit::{Digest, Problem};
use crate::proto::internal as wire;
use crate::proto::read::{CodecError, Result, each, numbered};
use crate::proto::write::number;
use crate::proto::writer::Writer;

pub(super) fn known(w: &mut Writer<'_>, key: Key, it: &KnownRecord) {
    w.fixed(1, (key.0 >> 64) as u64);
    w.fixed(2, key.0 as u64);
    w.fixed(3, it.content);
    w.uint(4, it.device);
    w.sint(5, it.day.0);
    w.uint(6, it.superseded);
}

pub(super) fn state(w: &mut Writer<'_>, it: &Records) {
    w.uint(1, it.links);
    w.bytes(2, &it.head.0);
    for it in &it.unsigned {
        w.message(3, |w| {
            w.text(1, &it.name);
            w.uint(2, it.number);
            w.int(3, it.since.0);
        });
    }
    for it in &it.hazards {
        w.message(4, |w| {
            w.text(1, &it.name);
            w.uint(2, number(it.problem.number()));
            w.int(3, it.since.0);
            it.rectified_by.iter().for_each(|by| w.text(4, by));
        });
    }
    w.int(5, it.judged.0);
}

pub(super) fn read_known(it: &wire::KnownRecord) -> (Key, KnownRecord) {
    let known =
        KnownRecord { content: it.content, device: it.device, day: CivilDay(it.day.max(0)), superseded: it.superseded };
    (key(it.key_high, it.key_low), known)
}

fn key(high: u64, low: u64) -> Key {
    Key(u128::from(high) << 64 | u128::from(low))
}

pub(super) fn read_all(known: Vec<(Key, KnownRecord)>, swept_high: u64, swept_low: u64) -> Result<KnownRecords> {
    KnownRecords::restore(known.into_iter(), key(swept_high, swept_low))
        .ok_or(CodecError::Unfit("its records are not in their order"))
}

pub(super) fn read_state(it: wire::RecordsState) -> Result<Records> {
    bounded(it.unsigned.len(), limits::UNSIGNED_RECORDS)?;
    bounded(it.hazards.len(), limits::OPEN_HAZARDS + limits::RECTIFIED_HAZARDS)?;
    let unsigned = |it: wire::UnsignedRecord| -> Result<Unsigned> {
        Ok(Unsigned { name: it.name.into(), number: it.number, since: Elapsed(span(it.since_ms)?) })
    };
    let hazard = |it: wire::HazardRecord| -> Result<Hazard> {
        bounded(it.rectified_by.len(), limits::RECTIFIED_BY)?;
        Ok(Hazard {
            rectified_by: it.rectified_by.into_iter().map(Into::into).collect(),
            name: it.name.into(),
            problem: numbered("problem code", it.problem, Problem::from_number)?,
            since: Elapsed(span(it.since_ms)?),
        })
    };
    let head = it.head.as_ref().try_into().map_err(|_| CodecError::Missing("the head of a chain"))?;
    Ok(Records {
        links: it.links,
        head: Digest(head),
        unsigned: each(it.unsigned, unsigned)?.into(),
        hazards: each(it.hazards, hazard)?.into(),
        judged: Elapsed(span(it.judged_ms)?),
    })
}
