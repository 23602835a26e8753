//! What a cylinder's scan may hold, and what becomes of what it may not.

use super::identity::{self, BOOT, BadIdentity, OBSERVED_AT_MS, SEQ, time_ms, time_text};
use super::report::{Draft, FIELDS, LIST, OBSERVED_AT, OWNER, VALID_UNTIL};
use super::value::{Broken, Choice, Elements, Fault, Marks, Read, Value, checked, known, words};
use crate::limits;
use crate::model::frame::{FrameKey, Reported};
use crate::model::ids::CylinderCode;
use crate::model::scan::{Scan, ScanEvent};
use crate::model::time::Wall;

const SCANNER: u8 = 4;
const CYLINDER: u8 = 5;
const EVENT: u8 = 6;
const OPERATOR: u8 = 7;
const COUNTERPARTY: u8 = 8;
const MEDIUM: u8 = 9;
const TARE_G: u8 = 10;
const GROSS_G: u8 = 11;
const NET_G: u8 = 12;
const PRESSURE_KPA: u8 = 13;
const PASSED: u8 = 14;
const FINDINGS: u8 = 15;
const LATITUDE_E7: u8 = 16;
const LONGITUDE_E7: u8 = 17;
const REQUEST: u8 = 18;
const VALID_UNTIL_MS: u8 = 19;

const LATITUDE_E7_MAX: u32 = 900_000_000;
const LONGITUDE_E7_MAX: u32 = 1_800_000_000;

#[derive(Default)]
pub(super) struct ScanDraft {
    key: FrameKey,
    claimed_at: Option<Wall>,
    scanner: Option<Box<str>>,
    cylinder: Option<CylinderCode>,
    event: Option<ScanEvent>,
    operator: Option<Box<str>>,
    counterparty: Option<Box<str>>,
    medium: Option<Box<str>>,
    tare_g: Option<u32>,
    gross_g: Option<u32>,
    net_g: Option<u32>,
    pressure_kpa: Option<u32>,
    passed: Option<bool>,
    findings: Vec<Box<str>>,
    latitude_e7: Option<i32>,
    longitude_e7: Option<i32>,
    request: Option<Box<str>>,
    valid_until: Option<Wall>,
    marks: Marks,
}

impl Draft for ScanDraft {
    type Item = Scan;

    const NAMES: [&'static str; FIELDS] = {
        let mut names = [""; FIELDS];
        names[BOOT as usize] = "boot";
        names[SEQ as usize] = "seq";
        names[OBSERVED_AT_MS as usize] = "observed_at_ms";
        names[SCANNER as usize] = "scanner";
        names[CYLINDER as usize] = "cylinder";
        names[EVENT as usize] = "event";
        names[OPERATOR as usize] = "operator";
        names[COUNTERPARTY as usize] = "counterparty";
        names[MEDIUM as usize] = "medium";
        names[TARE_G as usize] = "tare_g";
        names[GROSS_G as usize] = "gross_g";
        names[NET_G as usize] = "net_g";
        names[PRESSURE_KPA as usize] = "pressure_kpa";
        names[PASSED as usize] = "passed";
        names[FINDINGS as usize] = "findings";
        names[LATITUDE_E7 as usize] = "latitude_e7";
        names[LONGITUDE_E7 as usize] = "longitude_e7";
        names[REQUEST as usize] = "request";
        names[VALID_UNTIL_MS as usize] = "valid_until_ms";
        names[OBSERVED_AT as usize] = "observed_at";
        names[VALID_UNTIL as usize] = "valid_until";
        names[OWNER as usize] = "site";
        names[LIST as usize] = "scans";
        names
    };

    fn set<'a, V: Value<'a>>(&mut self, field: u8, value: V) -> Result<(), Broken> {
        let marks = &mut self.marks;
        match field {
            BOOT | SEQ | OBSERVED_AT_MS | OBSERVED_AT => {
                identity::set(&mut self.key, &mut self.claimed_at, marks, field, value)?;
            }
            SCANNER => self.scanner = known(marks.take(SCANNER, words(value.text(), limits::SCANNER_CHARS))?),
            CYLINDER => self.cylinder = known(marks.take(CYLINDER, cylinder(value))?),
            EVENT => self.event = known(marks.take(EVENT, value.choice(event()))?),
            OPERATOR => self.operator = text(marks, OPERATOR, value)?,
            COUNTERPARTY => self.counterparty = text(marks, COUNTERPARTY, value)?,
            MEDIUM => self.medium = text(marks, MEDIUM, value)?,
            TARE_G => self.tare_g = known(marks.take(TARE_G, value.uint32())?),
            GROSS_G => self.gross_g = known(marks.take(GROSS_G, value.uint32())?),
            NET_G => self.net_g = known(marks.take(NET_G, value.uint32())?),
            PRESSURE_KPA => self.pressure_kpa = known(marks.take(PRESSURE_KPA, value.uint32())?),
            PASSED => self.passed = known(marks.take(PASSED, value.boolean())?),
            FINDINGS => findings(&mut self.findings, marks, value)?,
            LATITUDE_E7 => {
                let read = checked(value.sint32(), |n| n.unsigned_abs() <= LATITUDE_E7_MAX);
                self.latitude_e7 = known(marks.take(LATITUDE_E7, read)?);
            }
            LONGITUDE_E7 => {
                let read = checked(value.sint32(), |n| n.unsigned_abs() <= LONGITUDE_E7_MAX);
                self.longitude_e7 = known(marks.take(LONGITUDE_E7, read)?);
            }
            REQUEST => self.request = text(marks, REQUEST, value)?,
            VALID_UNTIL_MS => {
                self.valid_until = known(marks.take(VALID_UNTIL_MS, time_ms(value))?);
            }
            // As with `observed_at`.
            VALID_UNTIL if marks.is_present(VALID_UNTIL_MS) => {}
            VALID_UNTIL => self.valid_until = known(marks.take(VALID_UNTIL, time_text(value))?),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Scan, BadIdentity> {
        identity::check(&self.marks, self.key)?;
        let wrong = |field, want| BadIdentity { field, want };
        Ok(Scan {
            scanner: self.scanner.ok_or(wrong(SCANNER, "a text of 1 to 32 characters without NUL"))?,
            key: self.key,
            claimed_at: self.claimed_at,
            cylinder: self.cylinder.ok_or(wrong(CYLINDER, CylinderCode::FORM))?,
            event: self.event.ok_or(wrong(EVENT, "one of the events of CylinderScan"))?,
            operator: self.operator,
            counterparty: self.counterparty,
            medium: self.medium,
            tare_g: self.tare_g,
            gross_g: self.gross_g,
            net_g: self.net_g,
            pressure_kpa: self.pressure_kpa,
            passed: self.passed,
            findings: self.findings,
            latitude_e7: self.latitude_e7,
            longitude_e7: self.longitude_e7,
            request: self.request,
            valid_until: self.valid_until,
            invalid: self.marks.pointers(&Self::NAMES, Vec::new()),
        })
    }

    fn key(item: &Scan) -> FrameKey {
        item.key
    }
}

fn event() -> Choice<ScanEvent> {
    Choice { name: ScanEvent::from_name, number: ScanEvent::from_number, unknown: None }
}

fn cylinder<'a, V: Value<'a>>(value: V) -> Read<CylinderCode> {
    match value.text()? {
        Reported::Known(text) => CylinderCode::parse(&text).map(Reported::Known).map_err(|_| Fault::Field),
        Reported::Absent | Reported::Unknown => Ok(Reported::Absent),
    }
}

fn text<'a, V: Value<'a>>(marks: &mut Marks, field: u8, value: V) -> Result<Option<Box<str>>, Broken> {
    Ok(known(marks.take(field, words(value.text(), limits::SCAN_TEXT_CHARS))?))
}

fn findings<'a, V: Value<'a>>(found: &mut Vec<Box<str>>, marks: &mut Marks, value: V) -> Result<(), Broken> {
    marks.take_list(FINDINGS, (Elements::Texts, limits::FINDINGS), value, |element| {
        found.push(known(words(element.text(), limits::SCAN_TEXT_CHARS)?).ok_or(Fault::Field)?);
        Ok(Reported::Known(()))
    })?;
    Ok(())
}
