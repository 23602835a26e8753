//! The columns of what is due, and of the reports that say it was done.

use super::{Columns, Unfit, Value};
use crate::model::ids::{DeviceCode, District, RecordId, Subject};
use crate::model::obligation::{DueKind, DueRow, Party};
use crate::model::report::{Report, ReportKind, ReportRow};
use crate::model::time::CivilDay;
use crate::store::{Numbered, StoreError};

/// Of the table `due`, which has beside them until when each row stood.
pub(crate) const DUE_COLUMNS: &[&str] =
    &["subject", "kind", "due_on", "basis_on", "clause", "district", "party", "recorded_on", "recorded_at"];
/// The day from which on a later row stands instead.
pub(crate) const UNTIL: &str = "until_on";

pub(crate) const REPORT_COLUMNS: &[&str] =
    &["party", "report", "device", "kind", "done_on", "passed", "findings", "supersedes", "recorded_by", "recorded_at"];

pub(crate) fn kind_number(kind: DueKind) -> i16 {
    // A closed set of a few.
    kind.number() as i16
}

pub(crate) fn day(day: Option<CivilDay>) -> Value<'static> {
    day.map_or(Value::Null, Value::Day)
}

pub(crate) fn push_due<'a>(row: &'a DueRow, out: &mut Vec<Value<'a>>) {
    out.extend([
        Value::Text(row.subject.to_string().into()),
        Value::Small(kind_number(row.kind)),
        day(row.due_on),
        day(row.basis_on),
        Value::text(&row.clause),
        row.district.as_ref().map_or(Value::Null, |district| Value::text(district.as_str())),
        row.party.map_or(Value::Null, |party| Value::Text(party.to_string().into())),
        Value::Day(row.recorded_on),
        Value::Time(row.recorded_at),
    ]);
}

pub(crate) fn read_due(c: &mut dyn Columns) -> Result<DueRow, StoreError> {
    let (subject, kind) = (c.parsed(Subject::parse)?, c.small()?);
    let kind = kind.and_then(|number| DueKind::from_number(i32::from(number)));
    let (due_on, basis_on, clause) = (c.day()?, c.day()?, c.boxed()?);
    let (district, party) = (c.parsed(District::parse)?, c.parsed(Party::parse)?);
    let (recorded_on, recorded_at) = (c.day()?, c.time()?);
    Ok(DueRow {
        subject: c.present(subject)?,
        kind: c.present(kind)?,
        due_on,
        basis_on,
        clause: c.present(clause)?,
        district,
        party,
        recorded_on: c.present(recorded_on)?,
        recorded_at: c.present(recorded_at)?,
    })
}

pub(crate) fn read_numbered_due(c: &mut dyn Columns) -> Result<Numbered<DueRow>, StoreError> {
    let n = c.number()?;
    Ok(Numbered { n: c.present(n)?, row: read_due(c)? })
}

pub(crate) fn push_report<'a>(row: &'a ReportRow, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let report = &row.report;
    out.extend([
        Value::Text(report.party.to_string().into()),
        Value::text(report.id.as_str()),
        Value::text(report.device.as_str()),
        Value::text(report.kind.name()),
        Value::Day(report.done_on),
        Value::Bool(report.passed),
        Value::texts(&report.findings),
        report.supersedes.as_ref().map_or(Value::Null, |id| Value::text(id.as_str())),
        Value::text(&row.recorded_by),
        Value::Time(row.recorded_at),
    ]);
    Ok(())
}

fn read_report(c: &mut dyn Columns) -> Result<ReportRow, StoreError> {
    let (party, id, device) = (c.parsed(Party::parse)?, c.parsed(RecordId::parse)?, c.parsed(DeviceCode::parse)?);
    let (kind, done_on, passed) = (c.named(ReportKind::from_name)?, c.day()?, c.bool()?);
    let (findings, supersedes) = (c.boxes()?, c.parsed(RecordId::parse)?);
    let (recorded_by, recorded_at) = (c.boxed()?, c.time()?);
    let report = Report {
        party: c.present(party)?,
        id: c.present(id)?,
        device: c.present(device)?,
        kind,
        done_on: c.present(done_on)?,
        passed: c.present(passed)?,
        findings,
        supersedes,
    };
    Ok(ReportRow { report, recorded_by: c.present(recorded_by)?, recorded_at: c.present(recorded_at)? })
}

pub(crate) fn read_numbered_report(c: &mut dyn Columns) -> Result<Numbered<ReportRow>, StoreError> {
    let n = c.number()?;
    Ok(Numbered { n: c.present(n)?, row: read_report(c)? })
}
