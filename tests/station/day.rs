//! How the day is played: by the test, and by the benchmark.
//!
//! Flow: an archive of cylinders of which each lacks one thing by its place in a table, or nothing; they are scanned into
//! the state of that table; guns ask in turn at a fixed rate. Half way the database is stopped, and comes back at the end.
//! Asserts: every request is answered, in time, with just the reasons that the table has; an answer that doesn't come is a
//! failure. What was asked stands in the database in the end.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::gun::Gun;
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::postgres::Postgres;
use crate::support::vigil::Vigil;
use serde_json::{Value, json};
use vigil::model::archive::{Cylinder, Entry, Site, SiteKind};
use vigil::model::ids::{CylinderCode, SiteCode};
use vigil::model::time::CivilDay;
use vigil::proto::v1::UpsertDevicesRequest;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::serve::upsert_entry;

pub(crate) const OWN: &str = "640104-0001";
pub(crate) const OTHER: &str = "640104-0002";
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A request that is not answered by then has failed.
const TIMED_OUT: Duration = Duration::from_secs(5);

pub(crate) struct Size {
    pub(crate) cylinders: u32,
    pub(crate) guns: u32,
    fills: u32,
    per_second: u32,
}

/// What came of it.
pub(crate) struct Played {
    /// PUBLISH to the answer heard, of every request, ascending.
    pub(crate) took: Vec<Duration>,
    /// Requests a second.
    pub(crate) per_s: f64,
}

pub(crate) const SMALL: Size = Size { cylinders: 2_000, guns: 4, fills: 300, per_second: 50 };
pub(crate) const WHOLE: Size = Size { cylinders: 40_000, guns: 12, fills: 3_000, per_second: 50 };

/// What is the matter with a cylinder, and with how it is asked for, and the reasons that follow: written down by hand.
const CASES: &[(Case, &[&str])] = &[
    (Case::InOrder, &[]),
    (Case::Overdue, &["cylinder-overdue"]),
    (Case::NoDates, &["cylinder-overdue", "cylinder-past-life"]),
    (Case::PastLife, &["cylinder-past-life"]),
    (Case::Foreign, &["cylinder-foreign"]),
    (Case::Unknown, &["cylinder-unregistered", "no-medium", "unchecked"]),
    (Case::Scrapped, &["cylinder-unregistered"]),
    (Case::OtherMedium, &["cylinder-wrong-medium"]),
    (Case::NoMedium, &["no-medium"]),
    (Case::NoRequest, &["no-request"]),
    (Case::Stale, &["stale"]),
    (Case::Reserved, &["reserved"]),
    (Case::Unchecked, &["unchecked"]),
    (Case::FailedCheck, &["unchecked"]),
    (Case::CheckUsed, &["unchecked"]),
    (Case::Disabled, &["disabled"]),
    (Case::Lost, &["lost"]),
    (Case::AtInspection, &["at-inspection"]),
    (Case::LostAndOverdue, &["cylinder-overdue", "lost"]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    InOrder,
    Overdue,
    NoDates,
    PastLife,
    Foreign,
    Unknown,
    Scrapped,
    OtherMedium,
    NoMedium,
    NoRequest,
    Stale,
    Reserved,
    Unchecked,
    FailedCheck,
    CheckUsed,
    Disabled,
    Lost,
    AtInspection,
    LostAndOverdue,
}

/// Every other cylinder is in order.
fn case_of(n: u32) -> (Case, &'static [&'static str]) {
    if n.is_multiple_of(2) { CASES[0] } else { CASES[1 + (n as usize / 2) % (CASES.len() - 1)] }
}

pub(crate) fn code(n: u32) -> String {
    format!("264001{n:06}")
}

fn day(text: &str) -> Option<CivilDay> {
    Some(CivilDay::parse(text).unwrap())
}

/// The present is no part of it: dates are far in the past, or in a future that this test won't see.
pub(crate) fn entry(n: u32, case: Case) -> Option<Entry> {
    let site = |code: &str| Some(SiteCode::parse(code).unwrap());
    let cylinder = Cylinder {
        filling_unit: site(OWN),
        medium: Some("lpg".into()),
        kind: Some("welded".into()),
        // Before GB 5842-2006 began to count, with a life of 20 years.
        made_on: day("2006-06-01"),
        extended_until: None,
        inspection_due: day("2099-01-01"),
        ..Cylinder::new(CylinderCode::parse(&code(n)).unwrap())
    };
    let oxygen = Cylinder { medium: Some("oxygen".into()), kind: None, ..cylinder.clone() };
    let entry = match case {
        Case::Unknown => return None,
        Case::Overdue | Case::LostAndOverdue => Cylinder { inspection_due: day("2020-01-01"), ..oxygen },
        Case::NoDates => Cylinder { inspection_due: None, made_on: None, ..oxygen },
        Case::PastLife => Cylinder { made_on: day("2001-01-01"), ..cylinder },
        Case::Foreign => Cylinder { filling_unit: site(OTHER), ..oxygen },
        Case::Scrapped => Cylinder { scrapped: true, ..oxygen },
        _ => oxygen,
    };
    Some(Entry::Cylinder(entry))
}

pub(crate) fn import(grpc_url: String, entries: &[Entry]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let request_id = format!("station-{}", entries[0].code());
    let request = |entry| UpsertDevicesRequest {
        request_id: request_id.clone(),
        entry: Some(upsert_entry(entry)),
        ..Default::default()
    };
    let requests: Vec<_> = entries.iter().map(request).collect();
    let answer = runtime.block_on(async {
        let mut client = RegistryServiceClient::connect(grpc_url).await.unwrap();
        client.upsert_devices(tokio_stream::iter(requests)).await.unwrap().into_inner()
    });
    assert_eq!((answer.failed, answer.changed), (0, entries.len() as u64), "{:?}", answer.errors);
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A gun, and how often it has scanned.
pub(crate) struct Hand {
    pub(crate) gun: Gun,
    pub(crate) name: String,
    pub(crate) seq: u64,
}

impl Hand {
    pub(crate) fn scan(&mut self, n: u32, event: &str, more: &Value) -> String {
        self.seq += 1;
        let mut scan = json!({"boot": 1, "seq": self.seq, "observed_at_ms": now_ms(), "scanner": self.name,
                              "cylinder": code(n), "event": event});
        for (key, value) in more.as_object().unwrap() {
            scan[key] = value.clone();
        }
        self.gun.scan(&scan);
        format!("{}-{}", self.name, self.seq)
    }

    /// Brings the cylinder into the state of its case.
    fn prepare(&mut self, n: u32, case: Case) {
        let passed = json!({"passed": true});
        match case {
            Case::Unknown | Case::Unchecked => return,
            Case::FailedCheck => _ = self.scan(n, "checked_before_fill", &json!({"passed": false})),
            _ => _ = self.scan(n, "checked_before_fill", &passed),
        }
        match case {
            Case::CheckUsed => _ = self.scan(n, "filled", &json!({"medium": "oxygen"})),
            Case::Disabled => _ = self.scan(n, "disabled", &json!({})),
            Case::Lost | Case::LostAndOverdue => _ = self.scan(n, "lost", &json!({})),
            Case::AtInspection => _ = self.scan(n, "sent_for_inspection", &json!({})),
            _ => {}
        }
    }

    /// Asks; returns the request's name.
    fn ask(&mut self, n: u32, case: Case) -> String {
        let name = format!("{}-{}", self.name, self.seq + 1);
        let medium = if case == Case::PastLife { "lpg" } else { "oxygen" };
        let mut more = json!({"medium": medium, "request": name});
        let fields = more.as_object_mut().unwrap();
        match case {
            Case::OtherMedium => _ = fields.insert("medium".into(), "nitrogen".into()),
            Case::NoMedium => _ = fields.remove("medium"),
            Case::NoRequest => _ = fields.remove("request"),
            Case::Stale => _ = fields.insert("observed_at_ms".into(), (now_ms() - 11_000).into()),
            _ => {}
        }
        self.scan(n, "fill_requested", &more)
    }
}

/// A request on its way.
struct Asked {
    at: Instant,
    reasons: &'static [&'static str],
    case: Case,
}

/// Plays it, and panics if an answer is wrong or doesn't come.
pub(crate) fn play(size: &Size) -> Played {
    let broker = Mosquitto::start(Settings::default());
    let mut postgres = Postgres::start(false);
    let url = postgres.url();
    let mut vigil = Vigil::start(broker.addr(), &url);
    let station = |code: &str| {
        Entry::Site(Site {
            code: SiteCode::parse(code).unwrap(),
            kind: SiteKind::FillingStation,
            name: code.into(),
            address: None,
            district: None,
        })
    };
    let cylinders = (0..size.cylinders).filter_map(|n| entry(n, case_of(n).0));
    import(vigil.grpc_url(), &[station(OWN), station(OTHER)].into_iter().chain(cylinders).collect::<Vec<_>>());

    let mut hands: Vec<Hand> = (0..size.guns)
        .map(|n| format!("gun-{n}"))
        .map(|name| Hand { gun: Gun::connect(broker.addr(), OWN, &name), name, seq: 0 })
        .collect();
    // One that hears what all guns are told.
    let ear = Gun::connect(broker.addr(), OWN, "ear");
    let mut other = Hand { gun: Gun::connect(broker.addr(), OWN, "other"), name: "other".into(), seq: 0 };
    let http = vigil.http();
    let figure = |name: &str| -> Option<f64> {
        let (_, metrics) = crate::support::vigil::page(http, "/metrics").ok()?;
        let sum = metrics.lines().filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok());
        sum.reduce(|a, b| a + b)
    };
    vigil.wait_for("the broker", PATIENCE, || figure("vigil_mqtt_connected ").filter(|is| *is == 1.0));
    for n in 0..size.fills {
        hands[0].prepare(n, case_of(n).0);
    }
    let prepared = hands[0].seq as f64;
    vigil.wait_for("the checks", PATIENCE, || {
        figure("vigil_items_total{what=\"scan\"}").filter(|scans| *scans >= prepared)
    });

    let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
    let mut took: Vec<Duration> = Vec::new();
    let (mut wrong, mut unnamed) = (Vec::new(), 0);
    let mut hear = |within: Duration, asked: &mut BTreeMap<String, Asked>| {
        let Some((at, verdict)) = ear.timed_verdict(within) else { return false };
        let name = verdict["request"].as_str().unwrap();
        // A request without a name is answered without one: by its cylinder.
        let key = if name.is_empty() { verdict["cylinder"].as_str().unwrap() } else { name };
        if let Some(Asked { at: sent, reasons, case }) = asked.remove(key) {
            took.push(at - sent);
            let is_right = verdict["reasons"] == json!(reasons) && verdict["allow"] == json!(reasons.is_empty());
            if !is_right {
                wrong.push(format!("{case:?}: {verdict}"));
            }
        } else {
            unnamed += 1;
        }
        true
    };
    let begun = Instant::now();
    for n in 0..size.fills {
        // Open loop: the next one is due by the clock, whatever became of those before.
        let due = begun + Duration::from_secs(1) * n / size.per_second;
        while Instant::now() < due {
            hear(due.saturating_duration_since(Instant::now()), &mut asked);
        }
        if n == size.fills / 2 {
            postgres.stop_and_keep_data();
        }
        let (case, reasons) = case_of(n);
        let hand = &mut hands[(n % size.guns) as usize];
        if case == Case::Reserved {
            // Another gun comes first.
            let first = other.ask(n, Case::InOrder);
            asked.insert(first, Asked { at: Instant::now(), reasons: &[], case: Case::InOrder });
            // In the order of asking, also over two connections.
            let deadline = Instant::now() + TIMED_OUT;
            while asked.keys().any(|name| name.starts_with("other")) && Instant::now() < deadline {
                hear(Duration::from_millis(10), &mut asked);
            }
        }
        let at = Instant::now();
        let name = hand.ask(n, case);
        let key = if case == Case::NoRequest { code(n) } else { name };
        asked.insert(key, Asked { at, reasons, case });
    }
    let per_s = f64::from(size.fills) / begun.elapsed().as_secs_f64();
    let deadline = Instant::now() + TIMED_OUT;
    while !asked.is_empty() && Instant::now() < deadline {
        hear(Duration::from_millis(50), &mut asked);
    }
    took.sort();
    assert!(wrong.is_empty(), "{} wrong answers: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert_eq!((asked.len(), unnamed), (0, 0), "requests without an answer, answers without a request");
    postgres.restart();
    let expected = took.len() as i64;
    vigil.wait_for("the history", PATIENCE, || (answered(&url) == Some(expected)).then_some(()));
    assert!(vigil.stop().success());
    Played { took, per_s }
}

/// Requests that the database has an answer to, if it can be asked.
fn answered(url: &str) -> Option<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.ok()?;
        tokio::spawn(connection);
        let query = "SELECT count(*) FROM scan WHERE verdict_expires_at IS NOT NULL";
        Some(client.query_one(query, &[]).await.ok()?.get(0))
    })
}
