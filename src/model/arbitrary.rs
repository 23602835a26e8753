//! Strategies for property tests: every value that the types allow, within the bounds that decoding keeps.

#![allow(clippy::unwrap_used, reason = "for tests only")]

pub mod incident;
pub mod visit;

use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::actor::{Actor, Role, Scope};
use super::alert::{
    Acknowledged, Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Evidence, Group, Place, Reason,
    Severity, StormScope, Title,
};
use super::archive::{
    Contract, ContractKind, Cylinder, Entrustment, Entry, EntryKind, Equipment, FieldChange, Firm, Lift, Position,
    Site, SiteKind, Worker,
};
use super::fill::{Against, FillRequest, Stored, Verdict};
use super::frame::{Car, Direction, Door, Ended, Frame, FrameKey, Listed, Mode, Reported};
use super::ids::{
    AlertId, Catalogue, CylinderCode, DeviceCode, District, FirmId, PlaceId, RecordId, RuleId, SiteCode, Subject,
    WorkerId,
};
use super::obligation::{DueKind, DueRow, Party};
use super::record::{Action, Command, Corrected, Correction, Health, Kind, Link, PolicyText, Record};
use super::report::{Report, ReportKind, ReportRow, ReportUpload};
use super::row::{
    ChangeKind, ChangeRow, Effects, FrameRow, Order, RejectReason, RejectRow, Row, ScanFlag, ScanRow, StatusRow,
    TimeSource,
};
use super::scan::{Scan, ScanEvent};
use super::time::{CivilDay, Elapsed, Wall};

/// Up to eight characters of any script, without NUL.
pub fn text() -> impl Strategy<Value = Box<str>> {
    vec(any::<char>().prop_filter("NUL is let in nowhere", |c| *c != '\0'), 0..8)
        .prop_map(|chars| chars.into_iter().collect::<String>().into())
}

pub(super) fn code_of(
    alphabet: &'static str,
    length: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = String> {
    vec(select(alphabet.as_bytes().to_vec()), length).prop_map(|bytes| bytes.into_iter().map(char::from).collect())
}

pub fn device_code() -> impl Strategy<Value = DeviceCode> {
    code_of("0123456789AZ", 17..=20).prop_map(|code| DeviceCode::parse(&code).unwrap())
}

pub fn site_code() -> impl Strategy<Value = SiteCode> {
    code_of("0189AZ-", 4..=32).prop_map(|code| SiteCode::parse(&code).unwrap())
}

pub fn cylinder_code() -> impl Strategy<Value = CylinderCode> {
    code_of("0189AZ-", 8..=32).prop_map(|code| CylinderCode::parse(&code).unwrap())
}

pub fn district() -> impl Strategy<Value = District> {
    code_of("0123456789", 2..=6).prop_map(|code| District::parse(&code).unwrap())
}

pub fn firm_id() -> impl Strategy<Value = FirmId> {
    code_of("09AZaz-_", 1..=32).prop_map(|code| FirmId::parse(&code).unwrap())
}

pub fn worker_id() -> impl Strategy<Value = WorkerId> {
    code_of("09AZaz-_", 1..=32).prop_map(|code| WorkerId::parse(&code).unwrap())
}

fn place_id() -> impl Strategy<Value = PlaceId> {
    code_of("09AZaz-_.", 1..=32).prop_map(|code| PlaceId::parse(&code).unwrap())
}

pub fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        device_code().prop_map(Subject::Device),
        cylinder_code().prop_map(Subject::Cylinder),
        Just(Subject::Service),
        incident::incident_id().prop_map(Subject::Incident),
    ]
}

pub fn rule_id() -> impl Strategy<Value = RuleId> {
    vec(code_of("az09", 1..=8), 1..4).prop_map(|words| RuleId::parse(&words.join("-")).unwrap())
}

pub fn alert_id() -> impl Strategy<Value = AlertId> {
    (subject(), rule_id(), 1..=u32::MAX).prop_map(|(subject, rule, opening)| AlertId { subject, rule, opening })
}

pub fn wall() -> impl Strategy<Value = Wall> {
    prop_oneof![(0..=Wall::LAST.0).prop_map(Wall), any::<i64>().prop_map(Wall)]
}

pub fn civil_day() -> impl Strategy<Value = CivilDay> {
    (0..=CivilDay::LAST.0).prop_map(CivilDay)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

pub fn reported<T: Clone + std::fmt::Debug>(known: impl Strategy<Value = T>) -> impl Strategy<Value = Reported<T>> {
    prop_oneof![Just(Reported::Absent), Just(Reported::Unknown), known.prop_map(Reported::Known)]
}

fn listed<T: Ord + std::fmt::Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Listed<T>> {
    (btree_set(item, 0..4), any::<bool>())
        .prop_map(|(items, partial)| Listed { items: items.into_iter().collect(), partial })
}

fn frame_key() -> impl Strategy<Value = FrameKey> {
    (any::<u32>(), 1..=i64::MAX as u64).prop_map(|(boot, seq)| FrameKey { boot, seq })
}

pub fn frame() -> impl Strategy<Value = Frame> {
    let status = (
        reported(select(Mode::ALL)),
        reported(select(Car::ALL)),
        reported(select(Direction::ALL)),
        reported(any::<bool>()),
        reported(select(Door::ALL)),
        reported(any::<bool>()),
        any::<bool>(),
    );
    let values = (
        reported(any::<i32>()),
        reported(text()),
        reported(any::<u32>()),
        reported(any::<i32>()),
        reported(0..=i64::MAX as u64),
        reported(any::<u32>()),
    );
    let codes = || listed(1..=u32::MAX);
    let ended = prop_oneof![(1..=u32::MAX).prop_map(Ended::Code), text().prop_map(Ended::Condition)];
    let finite = any::<f64>().prop_filter("sensors report finite values", |value| value.is_finite());
    let lists = (
        codes(),
        codes(),
        codes(),
        listed(text()),
        btree_map(text(), finite, 0..4),
        vec(ended, 0..4),
        btree_set(text(), 0..3),
    );
    (frame_key(), of(wall()), status, values, lists).prop_map(|(key, claimed_at, status, values, lists)| {
        let (mode, car, direction, door_zone, door, passenger, has_status) = status;
        let (floor, floor_label, load_kg, speed_mm_s, runs, run_hours) = values;
        let (faults, events, alarms, conditions, extras, cleared, invalid) = lists;
        let (extras, invalid) = (extras.into_iter().collect(), invalid.into_iter().collect());
        Frame {
            key,
            claimed_at,
            mode,
            car,
            direction,
            door_zone,
            door,
            passenger,
            floor,
            floor_label,
            load_kg,
            speed_mm_s,
            runs,
            run_hours,
            faults,
            events,
            alarms,
            conditions,
            extras,
            cleared,
            has_status,
            invalid,
        }
    })
}

/// Of the form only.
pub fn verdict() -> impl Strategy<Value = Verdict> {
    (btree_set(text(), 0..3), wall())
        .prop_map(|(reasons, expires_at)| Verdict { reasons: reasons.into_iter().collect(), expires_at })
}

fn fill_request() -> impl Strategy<Value = FillRequest> {
    let who = (site_code(), text(), cylinder_code(), of(text()), of(text()));
    (who, any::<i64>(), any::<i64>()).prop_map(|((site, scanner, cylinder, medium, operator), age_ms, asked)| {
        FillRequest { site, scanner, cylinder, medium, operator, age_ms, asked: Elapsed(asked) }
    })
}

pub fn scan() -> impl Strategy<Value = Scan> {
    let who = (text(), frame_key(), of(wall()), cylinder_code(), select(ScanEvent::ALL));
    let texts = (of(text()), of(text()), of(text()), vec(text(), 0..4), of(text()), btree_set(text(), 0..3));
    let values = (
        of(any::<u32>()),
        of(any::<u32>()),
        of(any::<u32>()),
        of(any::<u32>()),
        of(any::<bool>()),
        of(any::<i32>()),
        of(any::<i32>()),
        of(wall()),
    );
    (who, texts, values).prop_map(|(who, texts, values)| {
        let (scanner, key, claimed_at, cylinder, event) = who;
        let (operator, counterparty, medium, findings, request, invalid) = texts;
        let (tare_g, gross_g, net_g, pressure_kpa, passed, latitude_e7, longitude_e7, valid_until) = values;
        let invalid = invalid.into_iter().collect();
        Scan {
            scanner,
            key,
            claimed_at,
            cylinder,
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
        }
    })
}

fn time_source() -> impl Strategy<Value = TimeSource> {
    select(vec![TimeSource::Claimed, TimeSource::Absent, TimeSource::Wrong])
}

fn order() -> impl Strategy<Value = Order> {
    select(vec![Order::Newer, Order::Late, Order::VeryLate])
}

fn stored() -> impl Strategy<Value = Stored> {
    let against = btree_set(select(Against::ALL), 0..=Against::ALL.len());
    (cylinder_code(), against, of(wall()), of(wall())).prop_map(|(cylinder, against, inspected_at, valid_until)| {
        Stored { cylinder, against: against.into_iter().collect(), inspected_at, valid_until }
    })
}

pub fn row() -> impl Strategy<Value = Row> {
    let frame = (device_code(), any::<u32>(), frame(), wall(), wall(), time_source(), order()).prop_map(
        |(device, generation, frame, received_at, effective_at, time_source, order)| {
            Row::Frame(FrameRow { device, generation, frame, received_at, effective_at, time_source, order })
        },
    );
    let flags = btree_set(select(ScanFlag::ALL), 0..=ScanFlag::ALL.len());
    let told = (flags, of(verdict()));
    let scan = (site_code(), any::<u32>(), scan(), wall(), wall(), time_source(), order(), told).prop_map(
        |(site, generation, scan, received_at, effective_at, time_source, order, (flags, verdict))| {
            let flags = flags.into_iter().collect();
            Row::Scan(ScanRow { site, generation, scan, received_at, effective_at, time_source, order, flags, verdict })
        },
    );
    let reject = (text(), select(RejectReason::ALL), text(), text(), bytes(), wall()).prop_map(
        |(topic, reason, pointer, detail, payload, received_at)| {
            Row::Reject(RejectRow { topic, reason, pointer, detail, payload, received_at })
        },
    );
    let status = (device_code(), any::<bool>(), wall())
        .prop_map(|(device, online, received_at)| Row::Status(StatusRow { device, online, received_at }));
    let due = due_row().prop_map(Row::Due);
    let report = (report(), text(), wall())
        .prop_map(|(report, recorded_by, recorded_at)| Row::Report(ReportRow { report, recorded_by, recorded_at }));
    prop_oneof![
        3 => frame,
        2 => scan,
        1 => reject,
        1 => status,
        1 => entry().prop_map(Row::Entry),
        1 => due,
        1 => report,
        1 => visit::visit_row().prop_map(|row| Row::Visit(Box::new(row))),
        1 => visit::signature_row().prop_map(Row::Signature),
        1 => change().prop_map(Row::Change),
    ]
}

pub fn party() -> impl Strategy<Value = Party> {
    prop_oneof![firm_id().prop_map(Party::Firm), site_code().prop_map(Party::Site)]
}

pub fn due_row() -> impl Strategy<Value = DueRow> {
    let days = (of(civil_day()), of(civil_day()), civil_day());
    (subject(), select(DueKind::ALL), days, text(), of(district()), of(party()), wall()).prop_map(
        |(subject, kind, (due_on, basis_on, recorded_on), clause, district, party, recorded_at)| DueRow {
            subject,
            kind,
            due_on,
            basis_on,
            clause,
            district,
            party,
            recorded_on,
            recorded_at,
        },
    )
}

pub fn report() -> impl Strategy<Value = Report> {
    let record_id = || code_of("0123456789abcXYZ-_.:", 1..=64).prop_map(|id| RecordId::parse(&id).unwrap());
    let what = (device_code(), select(ReportKind::ALL), civil_day(), any::<bool>());
    (party(), record_id(), what, vec(text(), 0..3), of(record_id())).prop_map(
        |(party, id, (device, kind, done_on, passed), findings, supersedes)| Report {
            party,
            id,
            device,
            kind,
            done_on,
            passed,
            findings,
            supersedes,
        },
    )
}

fn change() -> impl Strategy<Value = ChangeRow> {
    let field = (text(), text(), text()).prop_map(|(field, before, after)| FieldChange { field, before, after });
    (select(EntryKind::ALL), text(), select(ChangeKind::ALL), wall(), text(), vec(field, 0..3)).prop_map(
        |(kind, code, what, changed_at, actor, fields)| ChangeRow { kind, code, what, changed_at, actor, fields },
    )
}

fn contract() -> impl Strategy<Value = Contract> {
    let kind = prop_oneof![
        Just(ContractKind::Calendar),
        (1..=365_u16).prop_map(|every_days| ContractKind::OnDemand { every_days })
    ];
    (civil_day(), of(civil_day()), kind).prop_map(|(from, to, kind)| Contract { from, to, kind })
}

fn position() -> impl Strategy<Value = Position> {
    any::<(i32, i32)>().prop_map(|(latitude_e7, longitude_e7)| Position { latitude_e7, longitude_e7 })
}

fn lift() -> impl Strategy<Value = Lift> {
    let catalogue = code_of("0123456789", 4..=4).prop_map(|code| Catalogue::parse(&code).unwrap());
    let what = (device_code(), select(Equipment::ALL), of(catalogue), of(device_code()), of(text()));
    let place = (of(text()), of(district()), of(position()), of(text()), of(place_id()), of(place_id()));
    let whose = (of(firm_id()), of(contract()), of(text()), of(text()), of(text()));
    let rest = (of(1..=86_400_u32), of(text()), of(civil_day()), of(civil_day()), of(civil_day()), of(civil_day()));
    (what, place, whose, rest).prop_map(|(what, place, whose, rest)| {
        let (code, equipment, catalogue, registration, use_registration) = what;
        let (address, district, position, rescue_code, building, feeder) = place;
        let (firm, contract, use_unit, officer, officer_phone) = whose;
        let (keep_alive_s, terminal, base_on, inspected_on, inspection_due, out_of_use_since) = rest;
        Lift {
            code,
            equipment,
            catalogue,
            registration,
            use_registration,
            address,
            district,
            position,
            rescue_code,
            building,
            feeder,
            firm,
            contract,
            use_unit,
            officer,
            officer_phone,
            keep_alive_s,
            terminal,
            base_on,
            inspected_on,
            inspection_due,
            out_of_use_since,
        }
    })
}

fn cylinder() -> impl Strategy<Value = Cylinder> {
    let entrustment =
        (site_code(), civil_day(), of(civil_day())).prop_map(|(site, from, to)| Entrustment { site, from, to });
    let what = (cylinder_code(), vec(cylinder_code(), 0..3), of(text()), of(text()), of(text()), of(text()));
    let made = (of(civil_day()), of(1..=u32::MAX), of(1..=u32::MAX), of(1..=u32::MAX));
    let whose = (of(site_code()), of(civil_day()), vec(entrustment, 0..3), of(district()));
    let rest = (of(civil_day()), of(civil_day()), of(civil_day()), any::<bool>());
    (what, made, whose, rest).prop_map(|(what, made, whose, rest)| {
        let (code, aliases, stamped_number, kind, medium, standard) = what;
        let (made_on, volume_ml, tare_g, max_fill_g) = made;
        let (filling_unit, filling_unit_since, entrusted, district) = whose;
        let (inspected_on, inspection_due, extended_until, scrapped) = rest;
        Cylinder {
            code,
            aliases,
            stamped_number,
            kind,
            medium,
            standard,
            made_on,
            volume_ml,
            tare_g,
            max_fill_g,
            filling_unit,
            filling_unit_since,
            entrusted,
            inspected_on,
            inspection_due,
            extended_until,
            scrapped,
            district,
        }
    })
}

pub fn entry() -> impl Strategy<Value = Entry> {
    let firm = (firm_id(), text(), of(text()), of(text()), of(district()))
        .prop_map(|(id, name, phone, address, district)| Entry::Firm(Firm { id, name, phone, address, district }));
    let site = (site_code(), select(SiteKind::ALL), text(), of(text()), of(district()))
        .prop_map(|(code, kind, name, address, district)| Entry::Site(Site { code, kind, name, address, district }));
    let worker = (worker_id(), text(), of(firm_id()), of(text()), of(text()), of(civil_day())).prop_map(
        |(id, name, firm, phone, certificate, certified_until)| {
            Entry::Worker(Worker { id, name, firm, phone, certificate, certified_until })
        },
    );
    prop_oneof![lift().prop_map(Entry::Lift), cylinder().prop_map(Entry::Cylinder), firm, site, worker]
}

fn group() -> impl Strategy<Value = Group> {
    (select(StormScope::ALL), place_id(), any::<(u32, u64)>(), wall(), any::<u32>()).prop_map(
        |(scope, place, (epoch, seq), began_at, lifts)| Group {
            scope,
            place,
            began: Cursor { epoch, seq },
            began_at,
            lifts,
        },
    )
}

pub fn alert() -> impl Strategy<Value = Alert> {
    let acknowledged = (text(), wall()).prop_map(|(by, at)| Acknowledged { by, at });
    let evidence =
        (text(), text(), of(any::<i64>())).prop_map(|(name, value, age_ms)| Evidence { name, value, age_ms });
    let place = (of(district()), of(text())).prop_map(|(district, address)| Place { district, address });
    let title = (text(), text()).prop_map(|(en, zh)| Title { en, zh });
    let state = (select(AlertState::ALL), select(Severity::ALL), select(Certainty::ALL));
    let times = (wall(), of(wall()), of(acknowledged));
    let numbers = (of(any::<bool>()), of(group()), any::<bool>());
    (alert_id(), state, times, vec(evidence, 0..4), (any::<bool>(), numbers), place, title, of(text())).prop_map(
        |(id, state, times, evidence, (unregistered, (occupied, group, flapping)), place, title, dispatch)| {
            let (state, severity, certainty) = state;
            let (opened_at, cleared_at, acknowledged) = times;
            Alert {
                id,
                state,
                severity,
                certainty,
                opened_at,
                cleared_at,
                acknowledged,
                evidence,
                unregistered,
                place,
                title,
                dispatch,
                occupied,
                group,
                flapping,
            }
        },
    )
}

pub fn alert_event() -> impl Strategy<Value = AlertEvent> {
    let what = (select(EventKind::ALL), select(Reason::ALL), any::<bool>());
    (any::<u64>(), any::<u32>(), what, wall(), wall(), of(text()), of(text()), alert()).prop_map(
        |(seq, epoch, (kind, reason, delayed), at, published_at, actor, note, alert)| AlertEvent {
            seq,
            epoch,
            kind,
            reason,
            at,
            published_at,
            delayed,
            actor,
            note,
            alert,
        },
    )
}

/// Without a reply, which is never written down.
pub fn effects() -> impl Strategy<Value = Effects> {
    (vec(row(), 0..4), vec(alert_event(), 0..3), vec(incident::event(), 0..3))
        .prop_map(|(rows, events, incidents)| Effects { rows, events, incidents, ..Effects::default() })
}

pub fn actor() -> impl Strategy<Value = Actor> {
    let scope = prop_oneof![
        Just(Scope::All),
        vec(district(), 0..3).prop_map(Scope::Districts),
        firm_id().prop_map(Scope::Firm),
        site_code().prop_map(Scope::Site),
    ];
    (text(), btree_set(select(Role::ALL), 0..4), scope).prop_map(|(id, roles, scope)| Actor {
        id,
        roles: roles.into_iter().collect(),
        scope,
    })
}

pub fn command() -> impl Strategy<Value = Command> {
    let action = prop_oneof![
        (alert_id(), of(text())).prop_map(|(alert, note)| Action::Acknowledge { alert, note }),
        (alert_id(), of(text())).prop_map(|(alert, note)| Action::Clear { alert, note }),
        vec(entry(), 0..4).prop_map(Action::Upsert),
        incident::action(),
        vec((report(), any::<bool>()).prop_map(|(report, looked_up)| ReportUpload { report, looked_up }), 0..3)
            .prop_map(Action::UploadReports),
        (device_code(), of(text())).prop_map(|(device, terminal)| Action::ReplaceTerminal { device, terminal }),
        (vec(cylinder_code(), 0..4), site_code(), civil_day())
            .prop_map(|(cylinders, to, on)| Action::TransferCylinders { cylinders, to, on }),
        vec(visit::upload(), 0..3).prop_map(Action::UploadVisits),
        visit::sign().prop_map(Action::Sign),
        vec(visit::link(), 0..3).prop_map(Action::AdoptRecords),
        vec((report(), text(), wall()), 0..3).prop_map(|rows| {
            let row = |(report, recorded_by, recorded_at)| ReportRow { report, recorded_by, recorded_at };
            Action::AdoptReports(rows.into_iter().map(row).collect())
        }),
        vec(stored(), 0..3).prop_map(Action::AdoptCustody),
        fill_request().prop_map(Action::CheckFill),
        (site_code(), vec(cylinder_code(), 0..4)).prop_map(|(site, cylinders)| Action::CheckBatch { site, cylinders }),
    ];
    (text(), actor(), action).prop_map(|(request, actor, action)| Command { request, actor, action })
}

pub fn policy() -> impl Strategy<Value = PolicyText> {
    (vec((text(), text()), 0..3), text(), text(), text()).prop_map(|(rules, zone, tzdb, topic_prefix)| PolicyText {
        rules,
        zone,
        tzdb,
        topic_prefix,
    })
}

fn correction() -> impl Strategy<Value = Correction> {
    let corrected =
        (select(EventKind::ALL), wall(), alert()).prop_map(|(kind, at, alert)| Corrected { kind, at, alert });
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>());
    let rescues = vec((incident::incident_id(), vec(incident::entry(), 0..3)), 0..2);
    (numbers, vec(alert_id(), 0..3), vec(corrected, 0..3), rescues).prop_map(
        |((epoch, seq, incident_seq), numbers, alerts, rescues)| Correction {
            epoch,
            seq,
            incident_seq,
            numbers,
            alerts,
            rescues,
        },
    )
}

pub fn record() -> impl Strategy<Value = Record> {
    let link = prop_oneof![
        Just(Link::Up),
        Just(Link::Down),
        any::<i64>().prop_map(|sent| Link::Heard { sent: Elapsed(sent) }),
    ];
    let health =
        (any::<u8>(), any::<i64>(), any::<u64>()).prop_map(|(journal_fill_percent, store_stalled_ms, dropped)| {
            Health { journal_fill_percent, store_stalled_ms, dropped }
        });
    let kind = prop_oneof![
        text().prop_map(|version| Kind::Start { version }),
        (any::<u32>(), any::<bool>()).prop_map(|(epoch, retell)| Kind::Recovered { epoch, retell }),
        (any::<u32>(), any::<u32>()).prop_map(|(version, epoch)| Kind::Core { version, epoch }),
        correction().prop_map(Kind::Correction),
        policy().prop_map(Kind::Policy),
        (text(), bytes()).prop_map(|(topic, payload)| Kind::Report { topic, payload }),
        link.prop_map(Kind::Link),
        command().prop_map(Kind::Command),
        Just(Kind::Tick),
        health.prop_map(Kind::Health),
    ];
    (any::<u64>(), any::<i64>(), wall(), kind).prop_map(|(pos, elapsed, wall, kind)| Record {
        pos,
        elapsed: Elapsed(elapsed),
        wall,
        kind,
    })
}
