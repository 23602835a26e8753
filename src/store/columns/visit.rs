//! The columns of records of maintenance: visits and signatures, one table, since they make one chain. The people of a
//! record stand in a table of their own, so that they can be erased.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Columns, Unfit, Value, big};
use crate::model::ids::{DeviceCode, FirmId, RecordId, WorkerId};
use crate::model::time::Wall;
use crate::model::visit::{
    ChainLink, Digest, ItemDone, ItemResult, Person, Photo, Problem, Salt, Sign, SignatureRow, Visit, VisitFlag,
    VisitKind, VisitRow,
};
use crate::store::{Numbered, StoreError};

pub(crate) const TABLE: &str = "maintenance";
pub(crate) const PEOPLE_TABLE: &str = "maintenance_people";

pub(crate) const COLUMNS: &[&str] = &[
    "device",
    "number",
    "what",
    "recorded_at",
    "link",
    "firm",
    "record",
    "kind",
    "workers",
    "recorder",
    "started_at",
    "ended_at",
    "items",
    "problem",
    "note",
    "photos",
    "next_on",
    "supersedes",
    "rectifies",
    "flags",
    "people_digest",
    "visit_number",
    "signatory",
];
pub(crate) const PEOPLE_COLUMNS: &[&str] = &["device", "number", "recorded_at", "salt", "people"];
/// Those that are read beside a record.
pub(crate) const PEOPLE_VALUES: &[&str] = &["salt", "people"];

#[derive(Debug)]
pub(crate) enum ChainRow<'a> {
    Visit(&'a VisitRow),
    Signature(&'a SignatureRow),
}

/// The people of a record.
#[derive(Debug)]
pub(crate) struct People<'a> {
    row: &'a VisitRow,
    salt: Salt,
}

pub(crate) fn people(row: &VisitRow) -> Option<People<'_>> {
    row.salt.map(|salt| People { row, salt })
}

pub(crate) fn push_visit<'a>(row: &'a VisitRow, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let visit = &row.visit;
    let (id, ids) = (|id: &'a WorkerId| Value::text(id.as_str()), |ids: &'a [RecordId]| texts(ids, RecordId::as_str));
    out.extend([
        Value::text(visit.device.as_str()),
        big("number", row.number)?,
        Value::text(VISIT),
        Value::Time(row.recorded_at),
        digest(&row.link),
        Value::text(visit.firm.as_str()),
        Value::text(visit.record.as_str()),
        Value::text(visit.kind.name()),
        texts(&visit.workers, WorkerId::as_str),
        id(&visit.recorder),
        Value::Time(visit.started_at),
        Value::Time(visit.ended_at),
        items(&visit.items),
        Value::text(visit.problem.name()),
        Value::text_or_null(&visit.note),
        photos(&visit.photos),
        visit.next_on.map_or(Value::Null, Value::Day),
        visit.supersedes.as_ref().map_or(Value::Null, |id| Value::text(id.as_str())),
        ids(&visit.rectifies),
        Value::list(row.flags.iter().map(|flag| Cow::Borrowed(flag.name())).collect()),
        if row.people_digest.is_zero() { Value::Null } else { digest(&row.people_digest) },
        Value::Null,
        Value::Null,
    ]);
    Ok(())
}

pub(crate) fn push_signature<'a>(row: &'a SignatureRow, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let sign = &row.sign;
    out.extend([
        Value::text(sign.device.as_str()),
        big("number", row.number)?,
        Value::text(SIGNATURE),
        Value::Time(row.signed_at),
        digest(&row.link),
        Value::text(sign.firm.as_str()),
        Value::text(sign.record.as_str()),
    ]);
    out.extend(std::iter::repeat_n(Value::Null, 7));
    out.push(Value::text_or_null(&sign.note));
    out.extend(std::iter::repeat_n(Value::Null, 6));
    out.extend([big("visit_number", row.visit_number)?, Value::text(&sign.signatory)]);
    Ok(())
}

pub(crate) fn push_people<'a>(people: &People<'a>, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let row = people.row;
    let list: Vec<_> = row
        .visit
        .people
        .iter()
        .map(|it| PersonJson { duty: it.duty.clone(), name: it.name.clone(), phone: it.phone.clone() })
        .collect();
    out.extend([
        Value::text(row.visit.device.as_str()),
        big("number", row.number)?,
        Value::Time(row.recorded_at),
        Value::Text(hex(&people.salt).into()),
        Value::Json(text(&list)),
    ]);
    Ok(())
}

const VISIT: &str = "visit";
const SIGNATURE: &str = "signature";

/// The store's own number, the columns, and those of the people.
pub(crate) fn read(columns: &mut dyn Columns) -> Result<Numbered<ChainLink>, StoreError> {
    let c = columns;
    let n = c.number()?;
    let (device, number, what) = (c.parsed(DeviceCode::parse)?, c.number()?, c.text()?);
    let (recorded_at, link) = (c.time()?, c.parsed(read_digest)?);
    let (firm, record) = (c.parsed(FirmId::parse)?, c.parsed(RecordId::parse)?);
    let head = Head {
        device: c.present(device)?,
        number: c.present(number)?,
        recorded_at: c.present(recorded_at)?,
        link: c.present(link)?,
        firm: c.present(firm)?,
        record: c.present(record)?,
    };
    let row = match what.as_deref() {
        Some(VISIT) => ChainLink::Visit(Box::new(head.visit(c)?)),
        Some(SIGNATURE) => ChainLink::Signature(head.signature(c)?),
        other => return Err(StoreError::corrupt(c.what(), format!("what {other:?}"))),
    };
    Ok(Numbered { n: c.present(n)?, row })
}

pub(crate) fn read_visit(columns: &mut dyn Columns) -> Result<VisitRow, StoreError> {
    match read(columns)?.row {
        ChainLink::Visit(row) => Ok(*row),
        ChainLink::Signature(_) => Err(StoreError::corrupt(columns.what(), "a signature where a visit must be")),
    }
}

pub(crate) fn read_device(columns: &mut dyn Columns) -> Result<DeviceCode, StoreError> {
    let device = columns.parsed(DeviceCode::parse)?;
    columns.present(device)
}

/// What visits and signatures have in common.
struct Head {
    device: DeviceCode,
    number: u64,
    recorded_at: Wall,
    link: Digest,
    firm: FirmId,
    record: RecordId,
}

impl Head {
    fn visit(self, c: &mut dyn Columns) -> Result<VisitRow, StoreError> {
        let (kind, workers) = (c.named(VisitKind::from_name)?, c.texts()?);
        let (recorder, started_at, ended_at) = (c.parsed(WorkerId::parse)?, c.time()?, c.time()?);
        let (items, problem) = (c.json()?, c.named(Problem::from_name)?);
        let (note, photos, next_on) = (c.boxed()?, c.json()?, c.day()?);
        let (supersedes, rectifies, flags) = (c.parsed(RecordId::parse)?, c.texts()?, c.texts()?);
        let (people_digest, _, _) = (c.parsed(read_digest)?, c.big()?, c.text()?);
        let (salt, people) = (c.parsed(read_salt)?, c.json()?);
        Ok(VisitRow {
            visit: Visit {
                firm: self.firm,
                record: self.record,
                device: self.device,
                kind,
                workers: each(c, &workers, |id| WorkerId::parse(id).ok())?,
                recorder: c.present(recorder)?,
                started_at: c.present(started_at)?,
                ended_at: c.present(ended_at)?,
                items: read_items(c, items.as_deref())?,
                problem,
                note,
                photos: read_photos(c, photos.as_deref())?,
                next_on,
                supersedes,
                rectifies: each(c, &rectifies, |id| RecordId::parse(id).ok())?,
                people: read_people(c, people.as_deref())?,
            },
            number: self.number,
            recorded_at: self.recorded_at,
            flags: each(c, &flags, VisitFlag::from_name)?,
            people_digest: people_digest.unwrap_or_default(),
            salt,
            link: self.link,
        })
    }

    fn signature(self, c: &mut dyn Columns) -> Result<SignatureRow, StoreError> {
        let _of_visits = (c.text()?, c.texts()?, c.text()?, c.time()?, c.time()?, c.json()?, c.text()?);
        let note = c.boxed()?;
        let _of_visits = (c.json()?, c.day()?, c.text()?, c.texts()?, c.texts()?, c.text()?);
        let (visit_number, signatory) = (c.number()?, c.boxed()?);
        let Self { device, number, recorded_at: signed_at, link, firm, record } = self;
        Ok(SignatureRow {
            sign: Sign { device, firm, record, signatory: c.present(signatory)?, note },
            number,
            visit_number: c.present(visit_number)?,
            signed_at,
            link,
        })
    }
}

fn texts<'a, T>(list: &'a [T], text: impl Fn(&'a T) -> &'a str) -> Value<'a> {
    Value::list(list.iter().map(|it| Cow::Borrowed(text(it))).collect())
}

fn each<T>(c: &dyn Columns, list: &[String], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, StoreError> {
    list.iter().map(|text| read(text).ok_or_else(|| StoreError::corrupt(c.what(), format!("{text:?}")))).collect()
}

fn digest(digest: &Digest) -> Value<'static> {
    Value::Text(digest.to_string().into())
}

fn read_digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| format!("digest {text:?}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_salt(text: &str) -> Result<Salt, String> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    number.map(u128::to_be_bytes).ok_or_else(|| format!("salt {text:?}"))
}

#[derive(Serialize, Deserialize)]
struct ItemJson {
    item: Box<str>,
    result: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct PhotoJson {
    digest: Box<str>,
    media: Box<str>,
    bytes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct PersonJson {
    duty: Box<str>,
    name: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<Box<str>>,
}

fn text(list: &impl Serialize) -> String {
    serde_json::to_string(list).expect("texts and integers always have a JSON form")
}

fn items(list: &[ItemDone]) -> Value<'static> {
    let json =
        |it: &ItemDone| ItemJson { item: it.item.clone(), result: it.result.name().into(), note: it.note.clone() };
    if list.is_empty() { Value::Null } else { Value::Json(text(&list.iter().map(json).collect::<Vec<_>>())) }
}

fn photos(list: &[Photo]) -> Value<'static> {
    let json = |it: &Photo| PhotoJson {
        digest: it.digest.to_string().into(),
        media: it.media.clone(),
        bytes: it.bytes,
        taken_at_ms: it.taken_at.map(Wall::ms),
        item: it.item.clone(),
    };
    if list.is_empty() { Value::Null } else { Value::Json(text(&list.iter().map(json).collect::<Vec<_>>())) }
}

fn list<T: for<'de> Deserialize<'de>>(c: &dyn Columns, json: Option<&str>) -> Result<Vec<T>, StoreError> {
    let Some(json) = json else { return Ok(Vec::new()) };
    serde_json::from_str(json).map_err(|error| StoreError::corrupt(c.what(), error))
}

fn read_items(c: &dyn Columns, json: Option<&str>) -> Result<Vec<ItemDone>, StoreError> {
    let item = |it: ItemJson| {
        let result = ItemResult::from_name(&it.result);
        let result = result.ok_or_else(|| StoreError::corrupt(c.what(), format!("result {:?}", it.result)))?;
        Ok(ItemDone { item: it.item, result, note: it.note })
    };
    list(c, json)?.into_iter().map(item).collect()
}

fn read_photos(c: &dyn Columns, json: Option<&str>) -> Result<Vec<Photo>, StoreError> {
    let photo = |it: PhotoJson| {
        let digest = read_digest(&it.digest).map_err(|error| StoreError::corrupt(c.what(), error))?;
        let PhotoJson { media, bytes, taken_at_ms, item, .. } = it;
        Ok(Photo { digest, media, bytes, taken_at: taken_at_ms.map(Wall), item })
    };
    list(c, json)?.into_iter().map(photo).collect()
}

fn read_people(c: &dyn Columns, json: Option<&str>) -> Result<Vec<Person>, StoreError> {
    let person = |it: PersonJson| Person { duty: it.duty, name: it.name, phone: it.phone };
    Ok(list(c, json)?.into_iter().map(person).collect())
}
