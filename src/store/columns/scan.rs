//! The columns of a cylinder scan.

use std::borrow::Cow;

use super::{Columns, Unfit, Value, big, order, order_number, time_source, time_source_number};
use crate::model::fill::Verdict;
use crate::model::frame::FrameKey;
use crate::model::ids::{CylinderCode, SiteCode};
use crate::model::row::{ScanFlag, ScanRow};
use crate::model::scan::{Scan, ScanEvent};
use crate::store::StoreError;

pub(crate) const COLUMNS: &[&str] = &[
    "site",
    "scanner",
    "generation",
    "boot",
    "seq",
    "claimed_at",
    "received_at",
    "effective_at",
    "time_source",
    "arrival_order",
    "cylinder",
    "event",
    "operator",
    "counterparty",
    "medium",
    "tare_g",
    "gross_g",
    "net_g",
    "pressure_kpa",
    "passed",
    "findings",
    "latitude_e7",
    "longitude_e7",
    "request",
    "valid_until",
    "invalid_fields",
    "flags",
    "verdict_expires_at",
    "verdict_reasons",
];

pub(crate) fn push<'a>(row: &'a ScanRow, out: &mut Vec<Value<'a>>) -> Result<(), Unfit> {
    let scan = &row.scan;
    let seq = big("seq", scan.key.seq)?;
    let degrees = |value: Option<i32>| value.map_or(Value::Null, Value::Int);
    out.extend([
        Value::text(row.site.as_str()),
        Value::text(&scan.scanner),
        row.generation.into(),
        scan.key.boot.into(),
        seq,
        Value::time_or_null(scan.claimed_at),
        Value::Time(row.received_at),
        Value::Time(row.effective_at),
        Value::Small(time_source_number(row.time_source)),
        Value::Small(order_number(row.order)),
        Value::text(scan.cylinder.as_str()),
        Value::text(scan.event.name()),
        Value::text_or_null(&scan.operator),
        Value::text_or_null(&scan.counterparty),
        Value::text_or_null(&scan.medium),
        Value::u32_or_null(scan.tare_g),
        Value::u32_or_null(scan.gross_g),
        Value::u32_or_null(scan.net_g),
        Value::u32_or_null(scan.pressure_kpa),
        scan.passed.map_or(Value::Null, Value::Bool),
        Value::texts(&scan.findings),
        degrees(scan.latitude_e7),
        degrees(scan.longitude_e7),
        Value::text_or_null(&scan.request),
        Value::time_or_null(scan.valid_until),
        Value::texts(&scan.invalid),
        Value::list(row.flags.iter().map(|flag| Cow::Borrowed(flag.name())).collect()),
        Value::time_or_null(row.verdict.as_ref().map(|verdict| verdict.expires_at)),
        row.verdict.as_ref().map_or(Value::Null, |verdict| Value::texts(&verdict.reasons)),
    ]);
    Ok(())
}

pub(crate) fn read(columns: &mut dyn Columns) -> Result<ScanRow, StoreError> {
    let c = columns;
    let (site, scanner, generation) = (c.parsed(SiteCode::parse)?, c.boxed()?, c.number()?);
    let (boot, seq) = (c.number()?, c.number()?);
    let (claimed_at, received_at, effective_at) = (c.time()?, c.time()?, c.time()?);
    let (time_source, order) = (time_source(c)?, order(c)?);
    let (cylinder, event) = (c.parsed(CylinderCode::parse)?, c.named(ScanEvent::from_name)?);
    let (operator, counterparty, medium) = (c.boxed()?, c.boxed()?, c.boxed()?);
    let (tare_g, gross_g, net_g, pressure_kpa) = (c.number()?, c.number()?, c.number()?, c.number()?);
    let (passed, findings) = (c.bool()?, c.boxes()?);
    let (latitude_e7, longitude_e7) = (c.int()?, c.int()?);
    let (request, valid_until, invalid, flags) = (c.boxed()?, c.time()?, c.boxes()?, c.texts()?);

    let (expires_at, reasons) = (c.time()?, c.boxes()?);
    let verdict = expires_at.map(|expires_at| Verdict { reasons, expires_at });

    let flags = flags.iter().map(|name| flag(c.what(), name)).collect::<Result<_, _>>()?;
    let scan = Scan {
        scanner: c.present(scanner)?,
        key: FrameKey { boot: c.present(boot)?, seq: c.present(seq)? },
        claimed_at,
        cylinder: c.present(cylinder)?,
        event,
        operator,
        counterparty,
        medium,
        tare_g,
        gross_g,
        net_g,
        pressure_kpa,
        passed,
        findings,
        latitude_e7,
        longitude_e7,
        request,
        valid_until,
        invalid,
    };
    Ok(ScanRow {
        site: c.present(site)?,
        generation: c.present(generation)?,
        scan,
        received_at: c.present(received_at)?,
        effective_at: c.present(effective_at)?,
        time_source,
        order,
        flags,
        verdict,
    })
}

fn flag(what: &'static str, name: &str) -> Result<ScanFlag, StoreError> {
    let known = ScanFlag::ALL.iter().copied().find(|flag| flag.name() == name);
    known.ok_or_else(|| StoreError::corrupt(what, format!("flag {name:?}")))
}
