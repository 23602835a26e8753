//! Bytes to model, by way of the generated types.

use bytes::Bytes;
use prost::Message as _;

use super::fields::Fields;
use super::frame::frame_row;
use super::{visit, write};
use crate::model::actor::{Actor, Role, Scope};
use crate::model::alert::{
    Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Group, Place, Reason, Severity, StormScope, Title,
};
use crate::model::archive::{EntryKind, FieldChange};
use crate::model::fill::{Against, FillRequest, Stored};
use crate::model::frame::FrameKey;
use crate::model::ids::{AlertId, CylinderCode, DeviceCode, District, FirmId, PlaceId, RecordId, SiteCode, Subject};
use crate::model::incident::IncidentId;
use crate::model::obligation::{DueKind, DueRow, Party};
use crate::model::record::{Action, Command, Corrected, Correction, Kind, Link, Record};
use crate::model::report::{Report, ReportKind, ReportRow, ReportUpload};
use crate::model::row::{
    ChangeKind, ChangeRow, Effects, Order, RejectReason, RejectRow, Row, ScanFlag, ScanRow, StatusRow, TimeSource,
};
use crate::model::scan::{Scan, ScanEvent};
use crate::model::time::{CivilDay, Elapsed, Wall};
use crate::proto::incident;
use crate::proto::internal as wire;
use crate::proto::read::{
    Result, acknowledged, each, entry, evidence, health, known, numbered, policy, some_code, some_text, texts, there,
    verdict,
};

pub(super) fn record(pos: u64, it: wire::Record) -> Result<Record> {
    use wire::record::Kind as Wire;
    let kind = match there("a kind of record", it.kind)? {
        Wire::Start(start) => Kind::Start { version: start.version.into() },
        Wire::Recovered(it) => Kind::Recovered { epoch: it.epoch, retell: it.retell },
        Wire::Core(it) => Kind::Core { version: it.version, epoch: it.epoch },
        Wire::Correction(it) => Kind::Correction(correction(it)?),
        Wire::Policy(it) => Kind::Policy(policy(it)),
        Wire::Report(report) => Kind::Report { topic: report.topic.into(), payload: report.payload },
        Wire::Link(it) => Kind::Link(link(it)?),
        Wire::Command(it) => Kind::Command(command(it)?),
        Wire::Tick(wire::Tick {}) => Kind::Tick,
        Wire::Health(it) => Kind::Health(health(it)?),
    };
    Ok(Record { pos, elapsed: Elapsed(it.elapsed_ms), wall: Wall(it.wall_ms), kind })
}

fn correction(it: wire::Correction) -> Result<Correction> {
    let corrected = |it: wire::Corrected| {
        Ok(Corrected {
            kind: numbered("kind of event", it.kind, EventKind::from_number)?,
            at: Wall(it.at_ms),
            alert: alert(there("an alert", it.alert)?)?,
        })
    };
    Ok(Correction {
        epoch: it.epoch,
        seq: it.seq,
        incident_seq: it.incident_seq,
        numbers: each(it.numbers, |id| Ok(AlertId::parse(&id)?))?,
        alerts: each(it.alerts, corrected)?,
        rescues: each(it.rescues, |it| Ok((IncidentId::parse(&it.id)?, each(it.timeline, incident::entry)?)))?,
    })
}

fn link(it: wire::Link) -> Result<Link> {
    use wire::link::State;
    Ok(match there("the state of the link", it.state)? {
        State::Up(_) => Link::Up,
        State::Down(_) => Link::Down,
        State::HeardSentMs(sent) => Link::Heard { sent: Elapsed(sent) },
    })
}

fn command(it: wire::Command) -> Result<Command> {
    use wire::command::Action as Wire;
    let action = match there("an action", it.action)? {
        Wire::Acknowledge(it) => Action::Acknowledge { alert: AlertId::parse(&it.alert)?, note: some_text(it.note) },
        Wire::Clear(it) => Action::Clear { alert: AlertId::parse(&it.alert)?, note: some_text(it.note) },
        Wire::Upsert(it) => Action::Upsert(each(it.entries, entry)?),
        Wire::OpenIncident(it) => Action::OpenIncident(incident::call(it)?),
        Wire::AdvanceIncident(it) => {
            let (incident, step, note) = incident::advance(it)?;
            Action::AdvanceIncident { incident, step, note }
        }
        Wire::AdoptIncident(it) => Action::AdoptIncident {
            incident: IncidentId::parse(&it.incident)?,
            timeline: each(it.timeline, incident::entry)?,
        },
        Wire::UploadReports(it) => Action::UploadReports(each(it.uploads, report_upload)?),
        Wire::ReplaceTerminal(it) => {
            Action::ReplaceTerminal { device: DeviceCode::parse(&it.device)?, terminal: some_text(it.terminal) }
        }
        Wire::TransferCylinders(it) => Action::TransferCylinders {
            cylinders: each(it.cylinders, |code| Ok(CylinderCode::parse(&code)?))?,
            to: SiteCode::parse(&it.to)?,
            on: CivilDay(it.on_day),
        },
        Wire::UploadVisits(it) => Action::UploadVisits(each(it.uploads, visit::read_upload)?),
        Wire::Sign(it) => Action::Sign(visit::read_sign(it)?),
        Wire::AdoptRecords(it) => Action::AdoptRecords(each(it.records, visit::read_link)?),
        Wire::AdoptReports(it) => Action::AdoptReports(each(it.reports, report_row)?),
        Wire::AdoptCustody(it) => Action::AdoptCustody(each(it.cylinders, stored)?),
        Wire::CheckFill(it) => Action::CheckFill(fill_request(it)?),
        Wire::CheckBatch(it) => batch_check(it)?,
    };
    Ok(Command { request: it.request.into(), actor: actor(there("an actor", it.actor)?)?, action })
}

fn stored(it: wire::StoredCustody) -> Result<Stored> {
    let against = |number| numbered("thing said of a cylinder", number, Against::from_number);
    Ok(Stored {
        cylinder: CylinderCode::parse(&it.cylinder)?,
        against: each(it.against, against)?,
        inspected_at: it.inspected_at_ms.map(Wall),
        valid_until: it.valid_until_ms.map(Wall),
    })
}

fn batch_check(it: wire::BatchCheck) -> Result<Action> {
    let cylinders = each(it.cylinders, |code| Ok(CylinderCode::parse(&code)?))?;
    Ok(Action::CheckBatch { site: SiteCode::parse(&it.site)?, cylinders })
}

fn fill_request(it: wire::FillRequest) -> Result<FillRequest> {
    Ok(FillRequest {
        site: SiteCode::parse(&it.site)?,
        scanner: it.scanner.into(),
        cylinder: CylinderCode::parse(&it.cylinder)?,
        medium: some_text(it.medium),
        operator: some_text(it.operator),
        age_ms: it.age_ms,
        asked: Elapsed(it.asked_ms),
    })
}

fn actor(it: wire::Actor) -> Result<Actor> {
    use wire::actor::Scope as Wire;
    let scope = match there("a scope", it.scope)? {
        Wire::All(_) => Scope::All,
        Wire::Districts(it) => Scope::Districts(each(it.codes, |code| Ok(District::parse(&code)?))?),
        Wire::Firm(id) => Scope::Firm(FirmId::parse(&id)?),
        Wire::Site(code) => Scope::Site(SiteCode::parse(&code)?),
    };
    let roles = each(it.roles, |name| known("role", name.as_str(), Role::from_name))?;
    Ok(Actor { id: it.id.into(), roles, scope })
}

pub(super) fn alert_events(bytes: &Bytes) -> Result<Vec<AlertEvent>> {
    let mut events = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        if field == 3 {
            events.push(alert_event(wire::AlertEvent::decode(value.bytes()?)?)?);
        }
    }
    Ok(events)
}

pub(super) fn effects(bytes: &Bytes) -> Result<(u64, Effects)> {
    let (mut cause, mut effects) = (0, Effects::default());
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => cause = value.u64()?,
            2 => effects.rows.push(row(value.bytes()?, bytes)?),
            3 => effects.events.push(alert_event(wire::AlertEvent::decode(value.bytes()?)?)?),
            4 => effects.incidents.push(incident::event(wire::IncidentEvent::decode(value.bytes()?)?)?),
            _ => {}
        }
    }
    Ok((cause, effects))
}

/// `all` is what the row is a part of.
fn row(bytes: &[u8], all: &Bytes) -> Result<Row> {
    let mut row = None;
    let mut fields = Fields::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => row = Some(Row::Frame(frame_row(value.bytes()?)?)),
            2 => row = Some(Row::Scan(scan_row(wire::ScanRow::decode(value.bytes()?)?)?)),
            3 => row = Some(Row::Reject(reject_row(wire::RejectRow::decode(all.slice_ref(value.bytes()?))?)?)),
            4 => row = Some(Row::Status(status_row(wire::StatusRow::decode(value.bytes()?)?)?)),
            5 => row = Some(Row::Entry(entry(wire::Entry::decode(value.bytes()?)?)?)),
            10 => row = Some(Row::Change(change_row(wire::ChangeRow::decode(value.bytes()?)?)?)),
            6 => row = Some(Row::Due(due_row(wire::DueRow::decode(value.bytes()?)?)?)),
            7 => row = Some(Row::Report(report_row(wire::ReportRow::decode(value.bytes()?)?)?)),
            8 => {
                let it = visit::read_visit_row(wire::VisitRow::decode(value.bytes()?)?)?;
                row = Some(Row::Visit(Box::new(it)));
            }
            9 => row = Some(Row::Signature(visit::read_signature_row(wire::SignatureRow::decode(value.bytes()?)?)?)),
            _ => {}
        }
    }
    there("a kind of row", row)
}

fn reject_row(it: wire::RejectRow) -> Result<RejectRow> {
    Ok(RejectRow {
        topic: it.topic.into(),
        reason: numbered("reason of a reject", it.reason, RejectReason::from_number)?,
        pointer: it.pointer.into(),
        detail: it.detail.into(),
        payload: it.payload,
        received_at: Wall(it.received_at_ms),
    })
}

fn status_row(it: wire::StatusRow) -> Result<StatusRow> {
    let device = DeviceCode::parse(&it.device)?;
    Ok(StatusRow { device, online: it.online, received_at: Wall(it.received_at_ms) })
}

fn change_row(it: wire::ChangeRow) -> Result<ChangeRow> {
    let field = |it: wire::FieldChange| FieldChange {
        field: it.field.into(),
        before: it.before.into(),
        after: it.after.into(),
    };
    Ok(ChangeRow {
        kind: known("kind of archive entry", it.kind.as_str(), EntryKind::from_name)?,
        code: it.code.into(),
        what: numbered("change", it.what, ChangeKind::from_number)?,
        changed_at: Wall(it.changed_at_ms),
        actor: it.actor.into(),
        fields: it.fields.into_iter().map(field).collect(),
    })
}

fn due_row(it: wire::DueRow) -> Result<DueRow> {
    Ok(DueRow {
        subject: Subject::parse(&it.subject)?,
        kind: numbered("kind of what is due", it.kind, DueKind::from_number)?,
        due_on: it.due_on_day.map(CivilDay),
        basis_on: it.basis_on_day.map(CivilDay),
        clause: it.clause.into(),
        district: some_code(it.district, District::parse)?,
        party: some_code(it.party, Party::parse)?,
        recorded_on: CivilDay(it.recorded_on_day),
        recorded_at: Wall(it.recorded_at_ms),
    })
}

fn report_row(it: wire::ReportRow) -> Result<ReportRow> {
    Ok(ReportRow {
        report: report(there("a report", it.report)?)?,
        recorded_by: it.recorded_by.into(),
        recorded_at: Wall(it.recorded_at_ms),
    })
}

fn report_upload(it: wire::UploadReport) -> Result<ReportUpload> {
    Ok(ReportUpload { report: report(there("a report", it.report)?)?, looked_up: it.looked_up })
}

fn report(it: wire::DeviceReport) -> Result<Report> {
    Ok(Report {
        party: Party::parse(&it.party)?,
        id: RecordId::parse(&it.id)?,
        device: DeviceCode::parse(&it.device)?,
        kind: numbered("kind of report", it.kind, ReportKind::from_number)?,
        done_on: CivilDay(it.done_on_day),
        passed: it.passed,
        findings: texts(it.findings),
        supersedes: some_code(it.supersedes, RecordId::parse)?,
    })
}

pub(super) fn time_source(got: u32) -> Result<TimeSource> {
    let all = [TimeSource::Claimed, TimeSource::Absent, TimeSource::Wrong];
    known("time source", got, |got| all.into_iter().find(|it| write::time_source(*it) == got))
}

pub(super) fn order(got: u32) -> Result<Order> {
    let all = [Order::Newer, Order::Late, Order::VeryLate];
    known("order", got, |got| all.into_iter().find(|it| write::order(*it) == got))
}

fn scan_row(it: wire::ScanRow) -> Result<ScanRow> {
    Ok(ScanRow {
        site: SiteCode::parse(&it.site)?,
        generation: it.generation,
        scan: scan(there("a scan", it.scan)?)?,
        received_at: Wall(it.received_at_ms),
        effective_at: Wall(it.effective_at_ms),
        time_source: time_source(it.time_source)?,
        order: order(it.order)?,
        flags: each(it.flags, |got| numbered("flag of a scan", got, ScanFlag::from_number))?,
        verdict: it.verdict.map(verdict),
    })
}

fn scan(it: wire::Scan) -> Result<Scan> {
    Ok(Scan {
        scanner: it.scanner.into(),
        key: FrameKey { boot: it.boot, seq: it.seq },
        claimed_at: it.claimed_at_ms.map(Wall),
        cylinder: CylinderCode::parse(&it.cylinder)?,
        event: known("event of a scan", it.event, |got| ScanEvent::from_number(i64::from(got)))?,
        operator: some_text(it.operator),
        counterparty: some_text(it.counterparty),
        medium: some_text(it.medium),
        tare_g: it.tare_g,
        gross_g: it.gross_g,
        net_g: it.net_g,
        pressure_kpa: it.pressure_kpa,
        passed: it.passed,
        findings: texts(it.findings),
        latitude_e7: it.latitude_e7,
        longitude_e7: it.longitude_e7,
        request: some_text(it.request),
        valid_until: it.valid_until_ms.map(Wall),
        invalid: texts(it.invalid),
    })
}

fn alert_event(it: wire::AlertEvent) -> Result<AlertEvent> {
    Ok(AlertEvent {
        seq: it.seq,
        epoch: it.epoch,
        kind: numbered("kind of event", it.kind, EventKind::from_number)?,
        reason: numbered("reason", it.reason, Reason::from_number)?,
        at: Wall(it.at_ms),
        published_at: Wall(it.published_at_ms),
        delayed: it.delayed,
        actor: some_text(it.actor),
        note: some_text(it.note),
        alert: alert(there("an alert", it.alert)?)?,
    })
}

fn alert(it: wire::Alert) -> Result<Alert> {
    Ok(Alert {
        id: AlertId::parse(&it.id)?,
        state: numbered("state", it.state, AlertState::from_number)?,
        severity: numbered("severity", it.severity, Severity::from_number)?,
        certainty: numbered("certainty", it.certainty, Certainty::from_number)?,
        opened_at: Wall(it.opened_at_ms),
        cleared_at: it.cleared_at_ms.map(Wall),
        acknowledged: it.acknowledged.map(acknowledged),
        evidence: it.evidence.into_iter().map(evidence).collect(),
        unregistered: it.unregistered,
        place: Place { district: some_code(it.district, District::parse)?, address: some_text(it.address) },
        title: Title { en: it.title_en.into(), zh: it.title_zh.into() },
        dispatch: some_text(it.dispatch),
        occupied: it.occupied,
        group: it.group.map(|it| group(&it)).transpose()?,
        flapping: it.flapping,
    })
}

fn group(it: &wire::AlertGroup) -> Result<Group> {
    Ok(Group {
        scope: numbered("scope of a group", it.scope, StormScope::from_number)?,
        place: PlaceId::parse(&it.place)?,
        began: Cursor { epoch: it.epoch, seq: it.seq },
        began_at: Wall(it.began_at_ms),
        lifts: it.lifts,
    })
}
