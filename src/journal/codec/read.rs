//! Bytes to model, by way of the generated types.

use bytes::Bytes;
use prost::Message as _;

use super::CodecError;
use super::fields::Fields;
use super::frame::frame_row;
use super::write;
use crate::model::actor::{Actor, Role, Scope};
use crate::model::alert::{
    Acknowledged, Alert, AlertEvent, AlertState, Certainty, EventKind, Evidence, Place, Reason, Severity, Title,
};
use crate::model::archive::{Cylinder, Entry, Equipment, Firm, Lift, Site, SiteKind};
use crate::model::frame::FrameKey;
use crate::model::ids::{AlertId, CodeError, CylinderCode, DeviceCode, District, FirmId, SiteCode};
use crate::model::record::{Action, Command, Health, Kind, Link, PolicyText, Record};
use crate::model::row::{Effects, Order, RejectReason, RejectRow, Row, ScanFlag, ScanRow, StatusRow, TimeSource};
use crate::model::scan::{Scan, ScanEvent};
use crate::model::time::{CivilDay, Elapsed, Wall};
use crate::proto::internal as wire;

type Result<T> = std::result::Result<T, CodecError>;

impl From<CodeError> for CodecError {
    fn from(error: CodeError) -> Self {
        Self::Unknown { what: error.what, got: error.got }
    }
}

/// Turns a number or name into what it stands for.
pub(super) fn known<N: Copy + ToString, T>(what: &'static str, got: N, find: impl FnOnce(N) -> Option<T>) -> Result<T> {
    find(got).ok_or_else(|| CodecError::Unknown { what, got: got.to_string() })
}

fn numbered<T>(what: &'static str, got: u32, find: impl FnOnce(i32) -> Option<T>) -> Result<T> {
    known(what, got, |got| i32::try_from(got).ok().and_then(find))
}

pub(super) fn there<T>(what: &'static str, it: Option<T>) -> Result<T> {
    it.ok_or(CodecError::Missing(what))
}

fn each<A, B>(list: Vec<A>, read: impl Fn(A) -> Result<B>) -> Result<Vec<B>> {
    list.into_iter().map(read).collect()
}

fn texts(list: Vec<String>) -> Vec<Box<str>> {
    list.into_iter().map(String::into_boxed_str).collect()
}

fn some_text(it: Option<String>) -> Option<Box<str>> {
    it.map(String::into_boxed_str)
}

fn some_code<T>(
    it: Option<String>,
    parse: impl FnOnce(&str) -> std::result::Result<T, CodeError>,
) -> Result<Option<T>> {
    Ok(it.as_deref().map(parse).transpose()?)
}

pub(super) fn record(pos: u64, it: wire::Record) -> Result<Record> {
    use wire::record::Kind as Wire;
    let kind = match there("a kind of record", it.kind)? {
        Wire::Start(start) => Kind::Start { version: start.version.into() },
        Wire::Recovered(it) => Kind::Recovered { epoch: it.epoch, retell: it.retell },
        Wire::Policy(it) => Kind::Policy(policy(it)),
        Wire::Report(report) => Kind::Report { topic: report.topic.into(), payload: report.payload },
        Wire::Link(it) => Kind::Link(link(it)?),
        Wire::Command(it) => Kind::Command(command(it)?),
        Wire::Tick(wire::Tick {}) => Kind::Tick,
        Wire::Health(it) => Kind::Health(Health {
            journal_fill_percent: numbered("journal fill", it.journal_fill_percent, |n| n.try_into().ok())?,
            store_stalled_ms: it.store_stalled_ms,
            dropped: it.dropped,
        }),
    };
    Ok(Record { pos, elapsed: Elapsed(it.elapsed_ms), wall: Wall(it.wall_ms), kind })
}

fn policy(it: wire::Policy) -> PolicyText {
    PolicyText {
        rules: it.rules.into_iter().map(|file| (file.name.into(), file.content.into())).collect(),
        zone: it.zone.into(),
        tzdb: it.tzdb.into(),
        topic_prefix: it.topic_prefix.into(),
    }
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
    };
    Ok(Command { request: it.request.into(), actor: actor(there("an actor", it.actor)?)?, action })
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

fn entry(it: wire::Entry) -> Result<Entry> {
    use wire::entry::Entry as Wire;
    Ok(match there("a kind of archive entry", it.entry)? {
        Wire::Lift(it) => Entry::Lift(Lift {
            code: DeviceCode::parse(&it.code)?,
            equipment: if it.escalator { Equipment::Escalator } else { Equipment::Lift },
            address: some_text(it.address),
            district: some_code(it.district, District::parse)?,
            rescue_code: some_text(it.rescue_code),
            firm: some_code(it.firm, FirmId::parse)?,
            use_unit: some_text(it.use_unit),
            keep_alive_s: it.keep_alive_s,
            inspection_due: it.inspection_due_day.map(CivilDay),
        }),
        Wire::Cylinder(it) => Entry::Cylinder(Cylinder {
            code: CylinderCode::parse(&it.code)?,
            filling_unit: some_code(it.filling_unit, SiteCode::parse)?,
            medium: some_text(it.medium),
            made_on: it.made_on_day.map(CivilDay),
            inspection_due: it.inspection_due_day.map(CivilDay),
            scrapped: it.scrapped,
            district: some_code(it.district, District::parse)?,
        }),
        Wire::Firm(it) => {
            Entry::Firm(Firm { id: FirmId::parse(&it.id)?, name: it.name.into(), phone: some_text(it.phone) })
        }
        Wire::Site(it) => Entry::Site(Site {
            code: SiteCode::parse(&it.code)?,
            kind: known("kind of site", it.kind.as_str(), SiteKind::from_name)?,
            name: it.name.into(),
            address: some_text(it.address),
            district: some_code(it.district, District::parse)?,
        }),
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
    let evidence = |it: wire::Evidence| Evidence { name: it.name.into(), value: it.value.into(), age_ms: it.age_ms };
    Ok(Alert {
        id: AlertId::parse(&it.id)?,
        state: numbered("state", it.state, AlertState::from_number)?,
        severity: numbered("severity", it.severity, Severity::from_number)?,
        certainty: numbered("certainty", it.certainty, Certainty::from_number)?,
        opened_at: Wall(it.opened_at_ms),
        cleared_at: it.cleared_at_ms.map(Wall),
        acknowledged: it.acknowledged.map(|it| Acknowledged { by: it.by.into(), at: Wall(it.at_ms) }),
        evidence: it.evidence.into_iter().map(evidence).collect(),
        unregistered: it.unregistered,
        place: Place { district: some_code(it.district, District::parse)?, address: some_text(it.address) },
        title: Title { en: it.title_en.into(), zh: it.title_zh.into() },
        dispatch: some_text(it.dispatch),
    })
}
