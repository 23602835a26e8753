//! Rows to store: plain ones for tests that count, and any that the model allows for tests that compare.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use vigil::model::alert::{
    Acknowledged, Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Evidence, Group, Place, Reason,
    Severity, StormScope, Title,
};
use vigil::model::archive::{
    Contract, ContractKind, Cylinder, Entrustment, Entry, Equipment, Firm, Lift, Position, Site, SiteKind, Worker,
};
use vigil::model::fill::Verdict;
use vigil::model::frame::{Car, Direction, Door, Ended, Frame, FrameKey, Listed, Mode, Reported};
use vigil::model::ids::{
    AlertId, Catalogue, CylinderCode, DeviceCode, District, FirmId, PlaceId, RecordId, RuleId, SiteCode, Subject,
    WorkerId,
};
use vigil::model::obligation::{DueKind, DueRow, Party};
use vigil::model::report::{Report, ReportKind, ReportRow};
use vigil::model::row::{
    Effects, FrameRow, Order, RejectReason, RejectRow, Row, ScanFlag, ScanRow, StatusRow, TimeSource,
};
use vigil::model::scan::{Scan, ScanEvent};
use vigil::model::time::{CivilDay, Wall};

pub(crate) fn device(n: u32) -> DeviceCode {
    DeviceCode::parse(&format!("3130500112201{n:07}")).expect("20 digits")
}

pub(crate) fn cylinder(n: u32) -> CylinderCode {
    CylinderCode::parse(&format!("6401{n:08}")).expect("12 digits")
}

/// A frame of a healthy lift, claimed and received at `at`.
pub(crate) fn frame(device: DeviceCode, seq: u64, at: Wall) -> FrameRow {
    let frame = Frame {
        key: FrameKey { boot: 1, seq },
        claimed_at: Some(at),
        mode: Reported::Known(Mode::Normal),
        car: Reported::Known(Car::Running),
        direction: Reported::Known(Direction::Up),
        door: Reported::Known(Door::Locked),
        passenger: Reported::Known(true),
        floor: Reported::Known((seq % 30) as i32),
        speed_mm_s: Reported::Known(1_750),
        runs: Reported::Known(100_000 + seq),
        has_status: true,
        ..Frame::default()
    };
    FrameRow {
        device,
        generation: 0,
        frame,
        received_at: at,
        effective_at: at,
        time_source: TimeSource::Claimed,
        order: Order::Newer,
    }
}

pub(crate) fn reject(detail: &str, at: Wall) -> RejectRow {
    RejectRow {
        topic: "vigil/v1/elevator/31305001122014017242/report".into(),
        reason: RejectReason::UnreadableItem,
        pointer: "/frames/0".into(),
        detail: detail.into(),
        payload: bytes::Bytes::from_static(&[0, 1, 0xff]),
        received_at: at,
    }
}

/// Something without a date.
pub(crate) fn due(subject: Subject, kind: DueKind) -> DueRow {
    DueRow {
        subject,
        kind,
        due_on: None,
        basis_on: None,
        clause: "TSG T7001-2023".into(),
        district: None,
        party: None,
        recorded_on: CivilDay(0),
        recorded_at: Wall(0),
    }
}

/// The opening of an alert.
pub(crate) fn opened(seq: u64, subject: Subject, at: Wall) -> AlertEvent {
    let alert = Alert {
        id: AlertId { subject, rule: RuleId::parse("trapped-reported").expect("a good id"), opening: 1 },
        state: AlertState::Open,
        severity: Severity::Critical,
        certainty: Certainty::Likely,
        opened_at: at,
        cleared_at: None,
        acknowledged: None,
        evidence: vec![Evidence { name: "passenger".into(), value: "true".into(), age_ms: Some(1_500) }],
        unregistered: false,
        place: Place { district: District::parse("640104").ok(), address: Some("解放西街 1 号".into()) },
        title: Title { en: "Passenger trapped".into(), zh: "困人".into() },
        dispatch: Some("rescue".into()),
        occupied: Some(true),
        group: None,
        flapping: false,
    };
    AlertEvent {
        seq,
        epoch: 1,
        kind: EventKind::Opened,
        reason: Reason::ConditionHeld,
        at,
        published_at: at,
        delayed: false,
        actor: None,
        note: None,
        alert,
    }
}

pub(crate) fn rows(rows: impl IntoIterator<Item = Row>) -> Effects {
    Effects { rows: rows.into_iter().collect(), ..Effects::default() }
}

pub(crate) fn frames(rows: &[FrameRow]) -> Effects {
    self::rows(rows.iter().cloned().map(Row::Frame))
}

pub(crate) fn events(events: impl IntoIterator<Item = AlertEvent>) -> Effects {
    Effects { events: events.into_iter().collect(), ..Effects::default() }
}

/// Any time that a frame may have.
fn any_time() -> impl Strategy<Value = Wall> {
    prop_oneof![
        Just(Wall(0)),
        Just(Wall::LAST),
        (0..=Wall::LAST.ms()).prop_map(Wall),
        (1_700_000_000_000..1_900_000_000_000_i64).prop_map(Wall)
    ]
}

/// Text with all that is awkward but allowed.
fn any_text() -> impl Strategy<Value = Box<str>> {
    prop_oneof!["[a-z]{0,8}", "[^\u{0}]{0,12}", Just("\\N\t\"'困".to_owned())].prop_map(Into::into)
}

fn any_name() -> impl Strategy<Value = Box<str>> {
    "[a-z][a-z0-9_]{0,20}".prop_map(Into::into)
}

fn reported<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Reported<T>> {
    prop_oneof![Just(Reported::Absent), Just(Reported::Unknown), value.prop_map(Reported::Known)]
}

fn codes() -> impl Strategy<Value = Listed<u32>> {
    let items = btree_set(prop_oneof![1..100_u32, Just(u32::MAX)], 0..5);
    (items, any::<bool>()).prop_map(|(items, partial)| Listed { items: items.into_iter().collect(), partial })
}

fn any_key() -> impl Strategy<Value = FrameKey> {
    let seq = prop_oneof![1..1_000_u64, Just(i64::MAX as u64)];
    (prop_oneof![0..5_u32, Just(u32::MAX)], seq).prop_map(|(boot, seq)| FrameKey { boot, seq })
}

fn any_number() -> impl Strategy<Value = f64> {
    let edges = [0.0, -0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 0.1 + 0.2, 1e23, 123_456_789.123_456_78];
    prop_oneof![select(edges.to_vec()), prop::num::f64::NORMAL, prop::num::f64::SUBNORMAL]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let status = (
        reported(select(Mode::ALL)),
        reported(select(Car::ALL)),
        reported(select(Direction::ALL)),
        reported(any::<bool>()),
        reported(select(Door::ALL)),
        reported(any::<bool>()),
    );
    let measured = (
        reported(any::<i32>()),
        reported(any_text()),
        reported(any::<u32>()),
        reported(any::<i32>()),
        reported(0..=i64::MAX as u64),
        reported(any::<u32>()),
    );
    let conditions = (btree_set(any_name(), 0..3), any::<bool>())
        .prop_map(|(items, partial)| Listed { items: items.into_iter().collect(), partial });
    let ended = prop_oneof![any::<u32>().prop_map(Ended::Code), any_name().prop_map(Ended::Condition)];
    let lists = (codes(), codes(), codes(), conditions, vec(ended, 0..3));
    let rest = (btree_map(any_name(), any_number(), 0..4), any::<bool>(), btree_set(any_text(), 0..3));
    (any_key(), option::of(any_time()), status, measured, lists, rest).prop_map(
        |(key, claimed_at, status, measured, lists, (extras, has_status, invalid))| {
            let (mode, car, direction, door_zone, door, passenger) = status;
            let (floor, floor_label, load_kg, speed_mm_s, runs, run_hours) = measured;
            let (faults, events, alarms, conditions, cleared) = lists;
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
                extras: extras.into_iter().collect(),
                cleared,
                has_status,
                invalid: invalid.into_iter().collect(),
            }
        },
    )
}

fn any_source() -> impl Strategy<Value = TimeSource> {
    select(vec![TimeSource::Claimed, TimeSource::Absent, TimeSource::Wrong])
}

fn any_order() -> impl Strategy<Value = Order> {
    select(vec![Order::Newer, Order::Late, Order::VeryLate])
}

/// Frames of one device in any place of its history.
pub(crate) fn any_frame_row() -> impl Strategy<Value = FrameRow> {
    (any_frame(), 0..3_u32, any_time(), any_time(), any_source(), any_order()).prop_map(
        |(frame, generation, received_at, effective_at, time_source, order)| FrameRow {
            device: device(1),
            generation,
            frame,
            received_at,
            effective_at,
            time_source,
            order,
        },
    )
}

fn any_scan() -> impl Strategy<Value = Scan> {
    let who = (any_text(), option::of(any_text()), option::of(any_text()), option::of(any_text()));
    let numbers = (
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(any::<i32>()),
        option::of(any::<i32>()),
    );
    let rest = (option::of(any::<bool>()), vec(any_text(), 0..3), option::of(any_text()), option::of(any_time()));
    let times = (any_key(), option::of(any_time()), select(ScanEvent::ALL), btree_set(any_text(), 0..3));
    (times, who, numbers, rest).prop_map(|((key, claimed_at, event, invalid), who, numbers, rest)| {
        let (scanner, operator, counterparty, medium) = who;
        let (tare_g, gross_g, net_g, pressure_kpa, latitude_e7, longitude_e7) = numbers;
        let (passed, findings, request, valid_until) = rest;
        Scan {
            scanner,
            key,
            claimed_at,
            cylinder: cylinder(1),
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
            invalid: invalid.into_iter().collect(),
        }
    })
}

/// Scans of one cylinder.
pub(crate) fn any_scan_row() -> impl Strategy<Value = ScanRow> {
    let verdict = option::of((btree_set(any_text(), 0..3), any_time()))
        .prop_map(|it| it.map(|(reasons, expires_at)| Verdict { reasons: reasons.into_iter().collect(), expires_at }));
    let told = (btree_set(select(ScanFlag::ALL), 0..3), verdict);
    let place = (select(vec!["6401-A", "6401-B"]), 0..3_u32, told);
    (any_scan(), place, any_time(), any_time(), any_source(), any_order()).prop_map(
        |(scan, (site, generation, (flags, verdict)), received_at, effective_at, time_source, order)| ScanRow {
            site: SiteCode::parse(site).expect("a good code"),
            generation,
            scan,
            received_at,
            effective_at,
            time_source,
            order,
            flags: flags.into_iter().collect(),
            verdict,
        },
    )
}

pub(crate) fn any_reject() -> impl Strategy<Value = RejectRow> {
    (any_text(), select(RejectReason::ALL), any_text(), any_text(), vec(any::<u8>(), 0..20), any_time()).prop_map(
        |(topic, reason, pointer, detail, payload, received_at)| RejectRow {
            topic,
            reason,
            pointer,
            detail,
            payload: payload.into(),
            received_at,
        },
    )
}

pub(crate) fn any_status() -> impl Strategy<Value = StatusRow> {
    (any::<bool>(), any_time()).prop_map(|(online, received_at)| StatusRow { device: device(1), online, received_at })
}

fn any_day() -> impl Strategy<Value = Option<CivilDay>> {
    option::of((0..=CivilDay::LAST.0).prop_map(CivilDay))
}

fn any_district() -> impl Strategy<Value = Option<District>> {
    option::of("[0-9]{2,6}").prop_map(|text| text.map(|text| District::parse(&text).expect("2 to 6 digits")))
}

fn any_contract() -> impl Strategy<Value = Option<Contract>> {
    let kind = prop_oneof![
        Just(ContractKind::Calendar),
        (1..=365_u16).prop_map(|every_days| ContractKind::OnDemand { every_days })
    ];
    let contract = (0..=CivilDay::LAST.0, any_day(), kind);
    option::of(contract.prop_map(|(from, to, kind)| Contract { from: CivilDay(from), to, kind }))
}

fn any_lift() -> impl Strategy<Value = Lift> {
    let texts = || option::of(any_text());
    let place = option::of(any::<(i32, i32)>());
    let place = place.prop_map(|it| it.map(|(latitude_e7, longitude_e7)| Position { latitude_e7, longitude_e7 }));
    let codes = (option::of("[0-9]{4}"), option::of("[0-9A-Z]{17,20}"));
    let what = (0..5_u32, select(Equipment::ALL), codes, place, any_contract(), any_district());
    let words = (texts(), texts(), texts(), texts(), texts(), texts(), texts());
    let days = (any_day(), any_day(), any_day(), any_day());
    (what, words, days).prop_map(|(what, words, days)| {
        let (n, equipment, (catalogue, registration), position, contract, district) = what;
        let (address, rescue_code, use_unit, use_registration, officer, officer_phone, terminal) = words;
        let (base_on, inspected_on, inspection_due, out_of_use_since) = days;
        Lift {
            code: device(n),
            equipment,
            catalogue: catalogue.map(|code| Catalogue::parse(&code).expect("4 digits")),
            registration: registration.map(|code| DeviceCode::parse(&code).expect("a good code")),
            use_registration,
            address,
            district,
            position,
            rescue_code,
            building: (n % 3 > 0).then(|| PlaceId::parse("B.7").expect("a good id")),
            feeder: (n % 3 > 1).then(|| PlaceId::parse("F_12").expect("a good id")),
            firm: (n % 2 == 0).then(|| FirmId::parse("firm-1").expect("a good id")),
            contract,
            use_unit,
            officer,
            officer_phone,
            keep_alive_s: (n > 0).then_some(n),
            terminal,
            base_on,
            inspected_on,
            inspection_due,
            out_of_use_since,
        }
    })
}

fn any_cylinder() -> impl Strategy<Value = Cylinder> {
    let texts = || option::of(any_text());
    let site = |n: u32| SiteCode::parse(&format!("6401-{n}")).expect("a good code");
    let entrustment = (0..5_u32, 0..=CivilDay::LAST.0, any_day()).prop_map(move |(n, from, to)| Entrustment {
        site: site(n),
        from: CivilDay(from),
        to,
    });
    let what = (0..5_u32, any::<bool>(), any_district(), vec(entrustment, 0..3));
    let words = (texts(), texts(), texts(), texts());
    let numbers = (option::of(1..=u32::MAX), option::of(1..=u32::MAX), option::of(1..=u32::MAX));
    let days = (any_day(), any_day(), any_day(), any_day(), any_day());
    (what, words, numbers, days).prop_map(move |(what, words, numbers, days)| {
        let (n, scrapped, district, entrusted) = what;
        let (medium, stamped_number, kind, standard) = words;
        let (volume_ml, tare_g, max_fill_g) = numbers;
        let (made_on, inspection_due, filling_unit_since, inspected_on, extended_until) = days;
        Cylinder {
            code: cylinder(n),
            aliases: (0..n % 3).map(|n| cylinder(90 + n)).collect(),
            stamped_number,
            kind,
            medium,
            standard,
            made_on,
            volume_ml,
            tare_g,
            max_fill_g,
            filling_unit: (n % 2 == 0).then(|| site(0)),
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

pub(crate) fn any_entry() -> impl Strategy<Value = Entry> {
    let texts = || option::of(any_text());
    let firm_id = |id: &str| FirmId::parse(id).expect("a good id");
    let firm = ("[a-c]", any_text(), texts(), texts(), any_district()).prop_map(
        move |(id, name, phone, address, district)| {
            Entry::Firm(Firm { id: firm_id(&id), name, phone, address, district })
        },
    );
    let site = ("[A-C]{4}", select(SiteKind::ALL), any_text(), texts(), any_district()).prop_map(
        |(code, kind, name, address, district)| {
            Entry::Site(Site { code: SiteCode::parse(&code).expect("a good code"), kind, name, address, district })
        },
    );
    let worker = ("[a-c]", any_text(), option::of("[a-c]"), texts(), texts(), any_day()).prop_map(
        move |(id, name, firm, phone, certificate, certified_until)| {
            let (id, firm) = (WorkerId::parse(&id).expect("a good id"), firm.map(|id| firm_id(&id)));
            Entry::Worker(Worker { id, name, firm, phone, certificate, certified_until })
        },
    );
    prop_oneof![any_lift().prop_map(Entry::Lift), any_cylinder().prop_map(Entry::Cylinder), firm, site, worker]
}

fn any_party() -> impl Strategy<Value = Party> {
    select(vec!["firm:F-1", "firm:F-2", "site:6401-A"]).prop_map(|text| Party::parse(text).expect("a good party"))
}

/// Of one lift.
pub(crate) fn any_due() -> impl Strategy<Value = DueRow> {
    let recorded = ((0..=CivilDay::LAST.0).prop_map(CivilDay), any_time());
    (select(DueKind::ALL), any_day(), any_day(), any_text(), any_district(), option::of(any_party()), recorded)
        .prop_map(|(kind, due_on, basis_on, clause, district, party, (recorded_on, recorded_at))| DueRow {
            due_on,
            basis_on,
            clause,
            district,
            party,
            recorded_on,
            recorded_at,
            ..due(Subject::Device(device(1)), kind)
        })
}

/// Of one lift.
pub(crate) fn any_report() -> impl Strategy<Value = ReportRow> {
    let id = || "[0-9A-Za-z:._-]{1,20}".prop_map(|id| RecordId::parse(&id).expect("a good id"));
    let what = (select(ReportKind::ALL), (0..=CivilDay::LAST.0).prop_map(CivilDay), any::<bool>());
    let rest = (vec(any_text(), 0..3), option::of(id()));
    (any_party(), id(), what, rest, any_text(), any_time()).prop_map(
        |(party, id, (kind, done_on, passed), (findings, supersedes), recorded_by, recorded_at)| {
            let report = Report { party, id, device: device(1), kind, done_on, passed, findings, supersedes };
            ReportRow { report, recorded_by, recorded_at }
        },
    )
}

/// Whether the car was occupied, and the group.
fn any_numbers() -> impl Strategy<Value = (Option<bool>, Option<Group>)> {
    let group = (select(StormScope::ALL), "[0-9A-Za-z_.-]{1,32}", 0..i64::MAX as u64, any_time(), any::<u32>());
    let group = group.prop_map(|(scope, place, seq, began_at, lifts)| {
        let place = PlaceId::parse(&place).expect("a good id");
        Group { scope, place, began: Cursor { epoch: lifts / 2, seq }, began_at, lifts }
    });
    (any::<Option<bool>>(), option::of(group))
}

/// Events of one epoch and subject, whose `seq` are still to be given.
pub(crate) fn any_event() -> impl Strategy<Value = AlertEvent> {
    let evidence = vec((any_text(), any_text(), option::of(any::<i64>())), 0..3).prop_map(|list| {
        list.into_iter().map(|(name, value, age_ms)| Evidence { name, value, age_ms }).collect::<Vec<_>>()
    });
    let alert = (
        1..4_u32,
        select(AlertState::ALL),
        select(Severity::ALL),
        select(Certainty::ALL),
        any_time(),
        option::of(any_time()),
        option::of((any_text(), any_time())),
        evidence,
        any::<bool>(),
        (any_district(), option::of(any_text()), any_text(), any_text(), option::of(any_text()), any_numbers()),
    );
    let alert = alert.prop_map(
        |(opening, state, severity, certainty, opened_at, cleared_at, acknowledged, evidence, unregistered, texts)| {
            let (district, address, en, zh, dispatch, (occupied, group)) = texts;
            Alert {
                id: AlertId {
                    subject: Subject::Device(device(1)),
                    rule: RuleId::parse("offline").expect("a good id"),
                    opening,
                },
                state,
                severity,
                certainty,
                opened_at,
                cleared_at,
                acknowledged: acknowledged.map(|(by, at)| Acknowledged { by, at }),
                evidence,
                unregistered,
                place: Place { district, address },
                title: Title { en, zh },
                dispatch,
                occupied,
                group,
                flapping: group.is_some_and(|group| group.lifts % 2 == 1),
            }
        },
    );
    let own = (select(EventKind::ALL), select(Reason::ALL), any_time(), any_time(), any::<bool>());
    (own, option::of(any_text()), option::of(any_text()), alert).prop_map(
        |((kind, reason, at, published_at, delayed), actor, note, alert)| AlertEvent {
            seq: 0,
            epoch: 1,
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
