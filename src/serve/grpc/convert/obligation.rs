//! What is due, and the reports that say it was done, both ways.

use super::archive::day;
use super::maintenance::record_answer;
use super::{districts, text, timestamp};
use crate::limits::{ARCHIVE_TEXT_CHARS, FINDINGS};
use crate::model::ids::{CodeError, DeviceCode, FirmId, RecordId, SiteCode, Subject};
use crate::model::obligation::{DueKind, DueRow, Party};
use crate::model::record::ItemOutcome;
use crate::model::report::{Report, ReportKind, ReportRow};
use crate::model::time::CivilDay;
use crate::proto::v1;
use crate::serve::grpc::Violations;
use crate::store::StandingQuery;

/// `None` if anything was noted.
pub(in super::super) fn report_from(it: &v1::InspectionReport, v: &mut Violations) -> Option<Report> {
    let before = v.0.len();
    let party = party(&it.body, &it.firm, v);
    let id = v.take("report", RecordId::parse(&it.report));
    let device = v.take("device", DeviceCode::parse(&it.device));
    let wrong = || "is missing, or not one of those that there are";
    let kind = v.take("kind", ReportKind::from_number(it.kind).ok_or_else(wrong));
    let done_on = v.take("done_on", day(&it.done_on));
    let supersedes = v.optional("supersedes", &it.supersedes, RecordId::parse);
    let mut findings = Vec::new();
    if it.findings.len() > FINDINGS {
        v.add("findings", format!("has {} elements: at most {FINDINGS} are taken", it.findings.len()));
    } else {
        for (nth, finding) in it.findings.iter().enumerate() {
            findings.extend(v.text(&format!("findings[{nth}]"), finding, ARCHIVE_TEXT_CHARS));
        }
    }
    let report = Report {
        party: party?,
        id: id?,
        device: device?,
        kind: kind?,
        done_on: done_on?,
        passed: it.passed,
        findings,
        supersedes,
    };
    Some(report).filter(|_| v.0.len() == before)
}

fn party(body: &str, firm: &str, v: &mut Violations) -> Option<Party> {
    match (body.is_empty(), firm.is_empty()) {
        (false, true) => v.take("body", SiteCode::parse(body)).map(Party::Site),
        (true, false) => v.take("firm", FirmId::parse(firm)).map(Party::Firm),
        (true, true) => {
            v.add("body", "is missing, and so is `firm`: one of them says who reports");
            None
        }
        (false, false) => {
            v.add("firm", "stands beside `body`: one of them says who reports");
            None
        }
    }
}

fn report_to(it: &Report) -> v1::InspectionReport {
    let (body, firm) = match it.party {
        Party::Site(code) => (code.to_string(), String::new()),
        Party::Firm(id) => (String::new(), id.to_string()),
    };
    v1::InspectionReport {
        body,
        firm,
        report: it.id.to_string(),
        device: it.device.to_string(),
        kind: it.kind.number(),
        done_on: it.done_on.to_string(),
        passed: it.passed,
        findings: it.findings.iter().map(|finding| String::from(&**finding)).collect(),
        supersedes: it.supersedes.map(|id| id.to_string()).unwrap_or_default(),
    }
}

pub(in super::super) fn stored_report(it: &ReportRow) -> v1::StoredReport {
    v1::StoredReport {
        report: Some(report_to(&it.report)),
        recorded_by: text(Some(&it.recorded_by)),
        recorded_at: Some(timestamp(it.recorded_at)),
    }
}

/// What became of a report.
pub(in super::super) fn report_result(report: String, outcome: &ItemOutcome) -> v1::ReportResult {
    let v1::UploadRecordsResponse { outcome, code, message, faults, .. } = record_answer(0, String::new(), 0, outcome);
    v1::ReportResult { report, outcome, code, message, faults }
}

/// The part of a question about what is due that several calls have.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Asked<'a> {
    pub(in super::super) districts: &'a [String],
    pub(in super::super) kinds: &'a [i32],
    pub(in super::super) firm: &'a str,
    pub(in super::super) site: &'a str,
}

/// All of what was due as of a day, but for the page. What is wrong is noted.
pub(in super::super) fn standing_from(asked: Asked<'_>, as_of: CivilDay, v: &mut Violations) -> StandingQuery {
    let districts = districts(asked.districts, v);
    let kind = |(nth, number): (usize, &i32)| {
        let wrong = || format!("{number} is no kind of what is due");
        v.take(&format!("kinds[{nth}]"), DueKind::from_number(*number).ok_or_else(wrong))
    };
    let mut kinds: Vec<DueKind> = asked.kinds.iter().take(DueKind::ALL.len()).enumerate().filter_map(kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if asked.kinds.len() > DueKind::ALL.len() {
        v.add("kinds", format!("holds {} items: there are {} kinds", asked.kinds.len(), DueKind::ALL.len()));
    }
    let firm = v.optional::<_, CodeError>("firm", asked.firm, FirmId::parse);
    let site = v.optional::<_, CodeError>("site", asked.site, SiteCode::parse);
    if !asked.firm.is_empty() && !asked.site.is_empty() {
        v.add("site", "stands beside `firm`: ask for one of them at a time");
    }
    StandingQuery {
        as_of,
        due_before: CivilDay(CivilDay::LAST.0 + 1),
        subject: None,
        kinds,
        districts,
        party: firm.map(Party::Firm).or(site.map(Party::Site)),
        after: None,
        limit: 0,
    }
}

pub(in super::super) fn due_item(row: &DueRow, as_of: CivilDay) -> v1::DueItem {
    let (device, cylinder) = match row.subject {
        Subject::Cylinder(code) => (String::new(), code.to_string()),
        other => (other.to_string(), String::new()),
    };
    let (firm, site) = match row.party {
        Some(Party::Firm(id)) => (id.to_string(), String::new()),
        Some(Party::Site(code)) => (String::new(), code.to_string()),
        None => (String::new(), String::new()),
    };
    let days_overdue = row.due_on.map_or(0, |due| as_of.days_since(due));
    let day = |day: Option<CivilDay>| day.map(|day| day.to_string()).unwrap_or_default();
    v1::DueItem {
        device,
        cylinder,
        kind: row.kind.number(),
        due_on: day(row.due_on),
        days_overdue: i32::try_from(days_overdue).unwrap_or(i32::MAX),
        basis_on: day(row.basis_on),
        clause: text(Some(&row.clause)),
        district: row.district.map(|district| district.to_string()).unwrap_or_default(),
        firm,
        site,
        recorded_on: row.recorded_on.to_string(),
    }
}
