//! Model to bytes. The numbers are the fields of `journal.proto`.

use super::visit;
use crate::model::actor::{Actor, Scope};
use crate::model::alert::{Alert, AlertEvent};
use crate::model::fill::FillRequest;
use crate::model::frame::{Ended, Frame, Listed, Reported};
use crate::model::ids::AlertId;
use crate::model::obligation::DueRow;
use crate::model::record::{Action, Command, Correction, Kind, Link, Record};
use crate::model::report::{Report, ReportRow};
use crate::model::row::{ChangeRow, Effects, FrameRow, Order, RejectRow, Row, ScanRow, StatusRow, TimeSource};
use crate::model::scan::Scan;
use crate::model::time::Wall;
use crate::proto::incident;
use crate::proto::write::{acknowledged, entry, evidence, health, number, policy, some_day, verdict};
use crate::proto::writer::Writer;

pub(super) fn record(w: &mut Writer<'_>, record: &Record) {
    w.int(1, record.elapsed.0);
    w.int(2, record.wall.0);
    match &record.kind {
        Kind::Start { version } => w.message(3, |w| w.text(1, version)),
        Kind::Recovered { epoch, retell } => w.message(10, |w| {
            w.uint(1, *epoch);
            w.uint(2, *retell);
        }),
        Kind::Core { version, epoch } => w.message(11, |w| {
            w.uint(1, *version);
            w.uint(2, *epoch);
        }),
        Kind::Correction(it) => w.message(12, |w| correction(w, it)),
        Kind::Policy(it) => w.message(4, |w| policy(w, it)),
        Kind::Report { topic, payload } => w.message(5, |w| {
            w.text(1, topic);
            w.bytes(2, payload);
        }),
        Kind::Link(it) => w.message(6, |w| match it {
            Link::Up => w.present_uint(1, true),
            Link::Down => w.present_uint(2, true),
            Link::Heard { sent } => w.some_int(3, Some(sent.0)),
        }),
        Kind::Command(it) => w.message(7, |w| command(w, it)),
        Kind::Tick => w.message(8, |_| {}),
        Kind::Health(it) => w.message(9, |w| health(w, it)),
    }
}

fn correction(w: &mut Writer<'_>, it: &Correction) {
    w.uint(1, it.epoch);
    w.uint(2, it.seq);
    for id in &it.numbers {
        w.present_text(3, &id.to_string());
    }
    for it in &it.alerts {
        w.message(4, |w| {
            w.uint(1, number(it.kind.number()));
            w.int(2, it.at.0);
            w.message(3, |w| alert(w, &it.alert));
        });
    }
    w.uint(5, it.incident_seq);
    for (id, timeline) in &it.rescues {
        w.message(6, |w| {
            w.text(1, &id.to_string());
            for entry in timeline {
                w.message(2, |w| incident::write_entry(w, entry));
            }
        });
    }
}

fn command(w: &mut Writer<'_>, it: &Command) {
    w.text(1, &it.request);
    w.message(2, |w| actor(w, &it.actor));
    match &it.action {
        Action::Acknowledge { alert, note } => w.message(3, |w| alert_action(w, alert, note.as_deref())),
        Action::Clear { alert, note } => w.message(4, |w| alert_action(w, alert, note.as_deref())),
        Action::Upsert(entries) => w.message(5, |w| {
            for it in entries {
                w.message(1, |w| entry(w, it));
            }
        }),
        Action::OpenIncident(call) => w.message(40, |w| incident::write_call(w, call)),
        Action::AdvanceIncident { incident, step, note } => {
            w.message(41, |w| incident::write_advance(w, incident, step, note.as_deref()));
        }
        Action::AdoptIncident { incident: id, timeline } => w.message(60, |w| {
            w.text(1, &id.to_string());
            for entry in timeline {
                w.message(2, |w| incident::write_entry(w, entry));
            }
        }),
        Action::ReplaceTerminal { device, terminal } => w.message(6, |w| {
            w.text(1, device.as_str());
            w.some_text(2, terminal.as_deref());
        }),
        Action::TransferCylinders { cylinders, to, on } => w.message(7, |w| {
            for code in cylinders {
                w.present_text(1, code.as_str());
            }
            w.text(2, to.as_str());
            w.sint(3, on.0);
        }),
        Action::UploadVisits(uploads) => w.message(8, |w| {
            for it in uploads {
                w.message(1, |w| visit::upload(w, it));
            }
        }),
        Action::Sign(it) => w.message(9, |w| visit::sign(w, it)),
        Action::UploadReports(uploads) => w.message(10, |w| {
            for it in uploads {
                w.message(1, |w| {
                    w.message(1, |w| report(w, &it.report));
                    w.uint(2, it.looked_up);
                });
            }
        }),

        Action::CheckFill(it) => w.message(11, |w| fill_request(w, it)),
        Action::CheckBatch { site, cylinders } => w.message(13, |w| {
            w.text(1, site.as_str());
            for code in cylinders {
                w.present_text(2, code.as_str());
            }
        }),
        Action::AdoptReports(rows) => w.message(14, |w| {
            for it in rows {
                w.message(1, |w| report_row(w, it));
            }
        }),
        Action::AdoptCustody(stored) => w.message(15, |w| {
            for it in stored {
                w.message(1, |w| {
                    w.text(1, it.cylinder.as_str());
                    w.uints(2, it.against.iter().map(|against| number(against.number())));
                    w.some_int(3, it.inspected_at.map(|at| at.0));
                    w.some_int(4, it.valid_until.map(|at| at.0));
                });
            }
        }),
        Action::AdoptRecords(links) => w.message(12, |w| {
            for it in links {
                w.message(1, |w| visit::link(w, it));
            }
        }),
    }
}

fn fill_request(w: &mut Writer<'_>, it: &FillRequest) {
    w.text(1, it.site.as_str());
    w.text(2, &it.scanner);
    w.text(3, it.cylinder.as_str());
    w.some_text(4, it.medium.as_deref());
    w.some_text(5, it.operator.as_deref());
    w.int(6, it.age_ms);
    w.int(7, it.asked.0);
}

fn actor(w: &mut Writer<'_>, it: &Actor) {
    w.text(1, &it.id);
    for role in &it.roles {
        w.present_text(2, role.name());
    }
    match &it.scope {
        Scope::All => w.present_uint(3, true),
        Scope::Districts(districts) => w.message(4, |w| {
            for district in districts {
                w.present_text(1, district.as_str());
            }
        }),
        Scope::Firm(firm) => w.present_text(5, firm.as_str()),
        Scope::Site(site) => w.present_text(6, site.as_str()),
    }
}

fn alert_action(w: &mut Writer<'_>, alert: &AlertId, note: Option<&str>) {
    w.text(1, &alert.to_string());
    w.some_text(2, note);
}

pub(super) fn effects(w: &mut Writer<'_>, cause: u64, effects: &Effects) {
    w.uint(1, cause);
    for it in &effects.rows {
        w.message(2, |w| row(w, it));
    }
    for it in &effects.events {
        w.message(3, |w| alert_event(w, it));
    }
    for it in &effects.incidents {
        w.message(4, |w| incident::write_event(w, it));
    }
}

fn row(w: &mut Writer<'_>, row: &Row) {
    match row {
        Row::Frame(it) => w.message(1, |w| frame_row(w, it)),
        Row::Scan(it) => w.message(2, |w| scan_row(w, it)),
        Row::Reject(it) => w.message(3, |w| reject_row(w, it)),
        Row::Status(it) => w.message(4, |w| status_row(w, it)),
        Row::Entry(it) => w.message(5, |w| entry(w, it)),
        Row::Due(it) => w.message(6, |w| due_row(w, it)),
        Row::Report(it) => w.message(7, |w| report_row(w, it)),
        Row::Visit(it) => w.message(8, |w| visit::visit_row(w, it)),
        Row::Signature(it) => w.message(9, |w| visit::signature_row(w, it)),
        Row::Change(it) => w.message(10, |w| change_row(w, it)),
    }
}

fn change_row(w: &mut Writer<'_>, it: &ChangeRow) {
    w.text(1, it.kind.name());
    w.text(2, &it.code);
    w.uint(3, number(it.what.number()));
    w.int(4, it.changed_at.0);
    w.text(5, &it.actor);
    for it in &it.fields {
        w.message(6, |w| {
            w.text(1, &it.field);
            w.text(2, &it.before);
            w.text(3, &it.after);
        });
    }
}

fn due_row(w: &mut Writer<'_>, it: &DueRow) {
    w.text(1, &it.subject.to_string());
    w.uint(2, number(it.kind.number()));
    some_day(w, 3, it.due_on);
    some_day(w, 4, it.basis_on);
    w.text(5, &it.clause);
    w.some_text(6, it.district.as_ref().map(|code| code.as_str()));
    w.some_text(7, it.party.map(|party| party.to_string()).as_deref());
    w.sint(8, it.recorded_on.0);
    w.int(9, it.recorded_at.0);
}

fn report_row(w: &mut Writer<'_>, it: &ReportRow) {
    w.message(1, |w| report(w, &it.report));
    w.text(2, &it.recorded_by);
    w.int(3, it.recorded_at.0);
}

fn report(w: &mut Writer<'_>, it: &Report) {
    w.text(1, &it.party.to_string());
    w.text(2, it.id.as_str());
    w.text(3, it.device.as_str());
    w.uint(4, number(it.kind.number()));
    w.sint(5, it.done_on.0);
    w.uint(6, it.passed);
    w.texts(7, &it.findings);
    w.some_text(8, it.supersedes.as_ref().map(|id| id.as_str()));
}

fn frame_row(w: &mut Writer<'_>, it: &FrameRow) {
    w.text(1, it.device.as_str());
    w.uint(2, it.generation);
    w.message(3, |w| frame(w, &it.frame));
    w.int(4, it.received_at.0);
    w.int(5, it.effective_at.0);
    w.uint(6, time_source(it.time_source));
    w.uint(7, order(it.order));
}

pub(super) fn time_source(it: TimeSource) -> u32 {
    match it {
        TimeSource::Claimed => 1,
        TimeSource::Absent => 2,
        TimeSource::Wrong => 3,
    }
}

pub(super) fn order(it: Order) -> u32 {
    match it {
        Order::Newer => 1,
        Order::Late => 2,
        Order::VeryLate => 3,
    }
}

fn frame(w: &mut Writer<'_>, it: &Frame) {
    let mut unknown = 0;
    let mut known = Known { unknown: &mut unknown };
    w.uint(1, it.key.boot);
    w.uint(2, it.key.seq);
    w.some_int(3, it.claimed_at.map(Wall::ms));
    w.some_uint(4, known.of(4, &it.mode).map(|v| number(v.number())));
    w.some_uint(5, known.of(5, &it.car).map(|v| number(v.number())));
    w.some_uint(6, known.of(6, &it.direction).map(|v| number(v.number())));
    w.some_uint(7, known.of(7, &it.door_zone).copied());
    w.some_uint(8, known.of(8, &it.door).map(|v| number(v.number())));
    w.some_uint(9, known.of(9, &it.passenger).copied());
    w.some_sint(10, known.of(10, &it.floor).copied());
    w.some_text(11, known.of(11, &it.floor_label).map(|v| &**v));
    w.some_uint(12, known.of(12, &it.load_kg).copied());
    w.some_sint(13, known.of(13, &it.speed_mm_s).copied());
    w.some_uint(14, known.of(14, &it.runs).copied());
    w.some_uint(15, known.of(15, &it.run_hours).copied());
    w.uints(16, it.faults.items.iter().copied());
    w.uints(17, it.events.items.iter().copied());
    w.uints(18, it.alarms.items.iter().copied());
    w.texts(19, &it.conditions.items);
    for (name, value) in &it.extras {
        w.message(20, |w| {
            w.text(1, name);
            w.present_double(2, *value);
        });
    }
    for ended in &it.cleared {
        w.message(21, |w| match ended {
            Ended::Code(code) => w.present_uint(1, *code),
            Ended::Condition(name) => w.present_text(2, name),
        });
    }
    w.uint(22, it.has_status);
    w.texts(23, &it.invalid);
    w.uint(24, unknown);
    let partial =
        partial(16, &it.faults) | partial(17, &it.events) | partial(18, &it.alarms) | partial(19, &it.conditions);
    w.uint(25, partial);
}

/// Notes which fields are unknown, while the known ones are written.
struct Known<'a> {
    unknown: &'a mut u32,
}

impl Known<'_> {
    fn of<'v, T>(&mut self, field: u32, value: &'v Reported<T>) -> Option<&'v T> {
        if matches!(value, Reported::Unknown) {
            *self.unknown |= 1 << field;
        }
        value.known()
    }
}

fn partial<T>(field: u32, list: &Listed<T>) -> u32 {
    u32::from(list.partial) << field
}

fn scan_row(w: &mut Writer<'_>, it: &ScanRow) {
    w.text(1, it.site.as_str());
    w.uint(2, it.generation);
    w.message(3, |w| scan(w, &it.scan));
    w.int(4, it.received_at.0);
    w.int(5, it.effective_at.0);
    w.uint(6, time_source(it.time_source));
    w.uint(7, order(it.order));
    w.uints(8, it.flags.iter().map(|flag| number(flag.number())));
    w.some_message(9, it.verdict.as_ref(), verdict);
}

fn scan(w: &mut Writer<'_>, it: &Scan) {
    w.uint(1, it.key.boot);
    w.uint(2, it.key.seq);
    w.some_int(3, it.claimed_at.map(Wall::ms));
    w.text(4, &it.scanner);
    w.text(5, it.cylinder.as_str());
    w.uint(6, number(it.event.number()));
    w.some_text(7, it.operator.as_deref());
    w.some_text(8, it.counterparty.as_deref());
    w.some_text(9, it.medium.as_deref());
    w.some_uint(10, it.tare_g);
    w.some_uint(11, it.gross_g);
    w.some_uint(12, it.net_g);
    w.some_uint(13, it.pressure_kpa);
    w.some_uint(14, it.passed);
    w.texts(15, &it.findings);
    w.some_sint(16, it.latitude_e7);
    w.some_sint(17, it.longitude_e7);
    w.some_text(18, it.request.as_deref());
    w.some_int(19, it.valid_until.map(Wall::ms));
    w.texts(20, &it.invalid);
}

fn reject_row(w: &mut Writer<'_>, it: &RejectRow) {
    w.text(1, &it.topic);
    w.uint(2, number(it.reason.number()));
    w.text(3, &it.pointer);
    w.text(4, &it.detail);
    w.bytes(5, &it.payload);
    w.int(6, it.received_at.0);
}

fn status_row(w: &mut Writer<'_>, it: &StatusRow) {
    w.text(1, it.device.as_str());
    w.uint(2, it.online);
    w.int(3, it.received_at.0);
}

fn alert_event(w: &mut Writer<'_>, it: &AlertEvent) {
    w.uint(1, it.seq);
    w.uint(2, it.epoch);
    w.uint(3, number(it.kind.number()));
    w.uint(4, number(it.reason.number()));
    w.int(5, it.at.0);
    w.int(6, it.published_at.0);
    w.uint(7, it.delayed);
    w.some_text(8, it.actor.as_deref());
    w.some_text(9, it.note.as_deref());
    w.message(10, |w| alert(w, &it.alert));
}

fn alert(w: &mut Writer<'_>, it: &Alert) {
    w.text(1, &it.id.to_string());
    w.uint(2, number(it.state.number()));
    w.uint(3, number(it.severity.number()));
    w.uint(4, number(it.certainty.number()));
    w.int(5, it.opened_at.0);
    w.some_int(6, it.cleared_at.map(Wall::ms));
    if let Some(it) = &it.acknowledged {
        w.message(7, |w| acknowledged(w, it));
    }
    for it in &it.evidence {
        w.message(8, |w| evidence(w, it));
    }
    w.uint(9, it.unregistered);
    w.some_text(10, it.place.district.as_ref().map(|code| code.as_str()));
    w.some_text(11, it.place.address.as_deref());
    w.text(12, &it.title.en);
    w.text(13, &it.title.zh);
    w.some_text(14, it.dispatch.as_deref());
    w.some_uint(15, it.occupied);
    w.some_message(16, it.group, |w, it| {
        w.uint(1, number(it.scope.number()));
        w.text(2, it.place.as_str());
        w.uint(3, it.began.epoch);
        w.uint(4, it.began.seq);
        w.int(5, it.began_at.0);
        w.uint(6, it.lifts);
    });
    w.uint(17, it.flapping);
}
