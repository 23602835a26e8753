//! A filling station's day: guns that ask over a real broker, at a rate of their own whether or not they are answered, with
//! every reason for a denial among their cylinders; the database is stopped half way.
//!
//! `VIGIL_STATION=whole` plays the size of the promise, and prints the distribution.

#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

#[path = "station/day.rs"]
mod day;
mod support;

use std::time::Duration;

use day::{Case, Hand, OTHER, OWN, PATIENCE, Played, SMALL, WHOLE, code, entry, import, play};
use serde_json::{Value, json};
use support::gun::Gun;
use support::mosquitto::{Mosquitto, Settings};
use support::vigil::Vigil;
use vigil::model::archive::{Cylinder, Entry, Site, SiteKind};
use vigil::model::ids::{CylinderCode, SiteCode};

/// The promise: PUBLISH to the answer heard, for 99 of 100.
const PROMISED: Duration = Duration::from_millis(300);

#[test]
fn a_stations_day() {
    let is_whole = std::env::var("VIGIL_STATION").is_ok_and(|size| size == "whole");
    let size = if is_whole { WHOLE } else { SMALL };
    let Played { took, per_s } = play(&size);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    eprintln!(
        "{} cylinders, {} guns, {} requests at {per_s:.0}/s: p50 {:?}, p99 {:?}, worst {:?}",
        size.cylinders,
        size.guns,
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
    if is_whole {
        assert!(at(0.99) <= PROMISED, "p99 {:?}", at(0.99));
    }
}

/// Flow: a cylinder's life over two relabellings, scanned under each code; a client written with grpcio looks at it and some
/// others as when a vehicle is unloaded, and asks for its life by each code; so does `vigil trace`.
/// Asserts: each finding; the same whole life by whichever code, with its holders and fillings in order.
#[test]
fn a_relabelled_cylinders_life() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(Settings::default());
    let mut vigil = Vigil::with_sqlite(broker.addr());
    let http = vigil.http();
    let site = |code: &str, kind| {
        let code = SiteCode::parse(code).unwrap();
        Entry::Site(Site { code, kind, name: "a site".into(), address: None, district: None })
    };
    let labelled = |n: u32, aliases: &[u32]| {
        let Some(Entry::Cylinder(cylinder)) = entry(n, Case::InOrder) else { unreachable!("it has an entry") };
        let aliases = aliases.iter().map(|n| CylinderCode::parse(&code(*n)).unwrap()).collect();
        Entry::Cylinder(Cylinder { aliases, ..cylinder })
    };
    let others = [(10, Case::Foreign), (11, Case::Scrapped), (12, Case::Overdue)];
    let others = others.into_iter().filter_map(|(n, case)| entry(n, case));
    let stations = [OWN, OTHER].map(|code| site(code, SiteKind::FillingStation));
    import(vigil.grpc_url(), &stations.into_iter().chain([labelled(1, &[])]).chain(others).collect::<Vec<_>>());
    let mut hand = Hand { gun: Gun::connect(broker.addr(), OWN, "gun-1"), name: "gun-1".into(), seq: 0 };
    let scans = || -> Option<f64> {
        let (_, metrics) = support::vigil::page(http, "/metrics").ok()?;
        metrics.lines().find_map(|line| line.strip_prefix("vigil_items_total{what=\"scan\"} ")?.parse().ok())
    };
    let mut scan = |vigil: &mut Vigil, n: u32, event: &str, more: Value| {
        hand.scan(n, event, &more);
        let wanted = hand.seq as f64;
        vigil.wait_for("the scan", PATIENCE, || scans().filter(|scans| *scans >= wanted));
    };
    let passed = json!({"passed": true});
    scan(&mut vigil, 1, "checked_before_fill", passed.clone());
    scan(&mut vigil, 1, "filled", json!({"medium": "oxygen"}));
    scan(&mut vigil, 1, "dispatched", json!({"counterparty": "VAN-7"}));
    import(vigil.grpc_url(), &[labelled(2, &[1])]);
    scan(&mut vigil, 2, "returned", json!({}));
    import(vigil.grpc_url(), &[labelled(3, &[2])]);
    scan(&mut vigil, 3, "filled", json!({"medium": "oxygen"}));
    scan(&mut vigil, 3, "disabled", json!({}));

    support::python::generate(folder.path());
    let mut client = support::python::command("station.py");
    client.args([vigil.grpc().to_string(), folder.path().to_str().unwrap().to_owned(), OWN.to_owned()]);
    let output =
        client.args([3, 10, 11, 12, 13].map(code)).args(["--", &code(1), &code(2), &code(3)]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let step = |name: &str| told.iter().find(|it| it["step"] == name).unwrap_or_else(|| panic!("{name}: {told:#?}"));
    let findings = json!([
        [code(3), ["disabled"]],
        [code(10), ["cylinder-foreign"]],
        [code(11), ["cylinder-unregistered"]],
        [code(12), ["cylinder-overdue"]],
        [code(13), ["cylinder-unregistered"]],
    ]);
    assert_eq!(step("batch")["findings"], findings);
    assert_eq!(step("refusals")["codes"], json!(["INVALID_ARGUMENT", "INVALID_ARGUMENT"]));
    let life = json!([
        ["checked_before_fill", code(1), OWN, 0],
        ["filled", code(1), OWN, 1],
        ["dispatched", code(1), "VAN-7", 1],
        ["returned", code(2), OWN, 1],
        ["filled", code(3), OWN, 2],
        ["disabled", code(3), OWN, 2],
    ]);
    for by in [1, 2, 3].map(code) {
        let life_by = told.iter().find(|it| it["step"] == "life" && it["by"] == *by).unwrap();
        assert_eq!((&life_by["scans"], &life_by["code"]), (&life, &json!(code(3))), "by {by}");
    }
    let mut trace = support::process::command(support::vigil::BINARY);
    let output = trace.args(["trace", &code(1), "--server", &vigil.grpc_url()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let fillings: Vec<&str> = said.lines().filter(|line| line.contains("| filling")).collect();
    assert!(fillings.len() == 2 && fillings[1].contains(&format!("as {}", code(3))), "{said}");
}
