//! The columns of what was rejected, of what devices say of their connection, of changes of the archive, and of rows set
//! aside.

use super::{Columns, Read, Value, json};
use crate::model::archive::EntryKind;
use crate::model::ids::DeviceCode;
use crate::model::row::{ChangeKind, ChangeRow, RejectReason, RejectRow, StatusRow};
use crate::store::{Numbered, SetAside, StoreError};

pub(crate) const REJECT_COLUMNS: &[&str] = &["topic", "reason", "pointer", "detail", "payload", "received_at"];
pub(crate) const STATUS_COLUMNS: &[&str] = &["device", "online", "received_at"];
pub(crate) const SET_ASIDE_COLUMNS: &[&str] = &["what", "sqlstate", "detail", "content", "set_aside_at"];

/// Longest content kept of a row that was set aside, in characters.
const CONTENT_CHARS: usize = 8_192;

pub(crate) fn push_reject<'a>(row: &'a RejectRow, out: &mut Vec<Value<'a>>) {
    out.extend([
        Value::text(&row.topic),
        Value::text(row.reason.name()),
        Value::text(&row.pointer),
        Value::text(&row.detail),
        Value::Bytes(&row.payload),
        Value::Time(row.received_at),
    ]);
}

fn read_reject(columns: &mut dyn Columns) -> Result<RejectRow, StoreError> {
    let c = columns;
    let (topic, reason) = (c.boxed()?, c.named(reject_reason)?);
    let (pointer, detail, payload, received_at) = (c.boxed()?, c.boxed()?, c.bytes()?, c.time()?);
    Ok(RejectRow {
        topic: c.present(topic)?,
        reason,
        pointer: c.present(pointer)?,
        detail: c.present(detail)?,
        payload: payload.into(),
        received_at: c.present(received_at)?,
    })
}

fn reject_reason(name: &str) -> Option<RejectReason> {
    RejectReason::ALL.iter().copied().find(|reason| reason.name() == name)
}

pub(crate) fn push_status<'a>(row: &'a StatusRow, out: &mut Vec<Value<'a>>) {
    out.extend([Value::text(row.device.as_str()), Value::Bool(row.online), Value::Time(row.received_at)]);
}

fn read_status(columns: &mut dyn Columns) -> Result<StatusRow, StoreError> {
    let c = columns;
    let (device, online, received_at) = (c.parsed(DeviceCode::parse)?, c.bool()?, c.time()?);
    Ok(StatusRow { device: c.present(device)?, online: c.present(online)?, received_at: c.present(received_at)? })
}

pub(crate) const CHANGE_COLUMNS: &[&str] = &["kind", "code", "what", "changed_at", "actor", "fields"];

pub(crate) fn push_change<'a>(row: &'a ChangeRow, out: &mut Vec<Value<'a>>) {
    out.extend([
        Value::text(row.kind.name()),
        Value::text(&row.code),
        Value::text(row.what.name()),
        Value::Time(row.changed_at),
        Value::text(&row.actor),
        json::changes_text(&row.fields).map_or(Value::Null, Value::Json),
    ]);
}

fn read_change(columns: &mut dyn Columns) -> Result<ChangeRow, StoreError> {
    let c = columns;
    let (kind, code, what) = (c.named(EntryKind::from_name)?, c.boxed()?, c.named(change_kind)?);
    let (changed_at, actor, fields) = (c.time()?, c.boxed()?, c.json()?);
    Ok(ChangeRow {
        kind,
        code: c.present(code)?,
        what,
        changed_at: c.present(changed_at)?,
        actor: c.present(actor)?,
        fields: json::changes_from(fields.as_deref())?,
    })
}

fn change_kind(name: &str) -> Option<ChangeKind> {
    ChangeKind::ALL.iter().copied().find(|what| what.name() == name)
}

/// The store's own number stands before the columns.
fn numbered<T>(columns: &mut dyn Columns, read: Read<T>) -> Result<Numbered<T>, StoreError> {
    let n = columns.number()?;
    Ok(Numbered { n: columns.present(n)?, row: read(columns)? })
}

pub(crate) fn read_numbered_reject(columns: &mut dyn Columns) -> Result<Numbered<RejectRow>, StoreError> {
    numbered(columns, read_reject)
}

pub(crate) fn read_numbered_status(columns: &mut dyn Columns) -> Result<Numbered<StatusRow>, StoreError> {
    numbered(columns, read_status)
}

pub(crate) fn read_numbered_change(columns: &mut dyn Columns) -> Result<Numbered<ChangeRow>, StoreError> {
    numbered(columns, read_change)
}

/// What is written down of a row that its own table can't hold: its debug form, which escapes what databases refuse.
pub(crate) fn content(row: &impl std::fmt::Debug) -> String {
    format!("{row:?}").chars().take(CONTENT_CHARS).collect()
}

pub(crate) fn push_set_aside<'a>(
    aside: &'a SetAside,
    content: &'a str,
    now: crate::model::time::Wall,
    out: &mut Vec<Value<'a>>,
) {
    out.extend([
        Value::text(aside.what),
        Value::text(&aside.sqlstate),
        Value::text(&aside.detail),
        Value::text(content),
        Value::Time(now),
    ]);
}
