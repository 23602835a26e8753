//! Reports of inspections, tests, checks and drills.

use toml::de::DeTable;

use super::Reader;
use crate::core::rules::section::Section;
use crate::model::ids::{DeviceCode, RecordId};
use crate::model::obligation::Party;
use crate::model::report::{Report, ReportKind};

const KEYS: &[&str] = &["kind", "by", "done_on", "passed", "findings", "id", "supersedes"];

impl<'a> Reader<'a> {
    pub(super) fn report(&mut self, start: usize, table: &'a DeTable<'a>, device: DeviceCode) -> Option<Report> {
        let section = Section::new(table, start, "a report", KEYS, &mut self.faults);
        for key in ["kind", "by", "done_on"] {
            section.need(key, &mut self.faults)?;
        }
        let kind = self.word(&section, "kind", ReportKind::ALL, ReportKind::name)?;
        let party = self.code(&section, "by", Party::parse)?;
        let done_on = self.day(&section, "done_on")?;
        let passed = self.flag(&section, "passed").unwrap_or(true);
        let mut findings: Vec<Box<str>> =
            section.texts("findings", &mut self.faults).into_iter().map(|text| text.value.into()).collect();
        if !passed && !section.has("findings") {
            findings.push("a finding".into());
        }
        // One at a place of the file is one report, however often the step is repeated.
        let own = || RecordId::parse(&format!("report-{start}")).ok();
        let id = if section.has("id") { self.code(&section, "id", RecordId::parse) } else { own() };
        let supersedes = self.code(&section, "supersedes", RecordId::parse);
        Some(Report { party, id: id?, device, kind, done_on, passed, findings, supersedes })
    }
}
