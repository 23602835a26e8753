//! A maintenance firm's day, with a client that isn't ours and the service as it is shipped.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod support;

use std::fmt::Write as _;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::mosquitto::{Mosquitto, Settings};
use support::process;
use support::python;
use support::vigil::{BINARY, Vigil};
use vigil::model::time::CivilDay;

const LIFTS: u64 = 3_000;
const RECORDS: usize = 500;

fn device(n: u64) -> String {
    format!("311{n:017}")
}

fn cli(words: &[&str]) -> (Output, String) {
    let output = process::command(BINARY).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

/// What the client told of each step, in order.
fn told(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Flow: a firm, its workers and 3,000 lifts are imported, two rows of them bad. A client written with grpcio streams 500
/// records, one of them bad, and all of them again, corrects one, has it signed, and follows that lift's chain. The service
/// is killed and started again; records are imported from a file; somebody changes one in the database.
/// Asserts: each answer, due dates and timeline as they must be; `vigil verify` finds every chain whole, until it doesn't.
#[test]
fn a_firms_day() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let broker = Mosquitto::start(Settings::default());
    let mut vigil = Vigil::with_sqlite(broker.addr());
    let server = vigil.grpc_url();
    let import = |kind: &str, file: &str| cli(&["import", kind, file, "--server", &server]);
    let (_, said) = import("firms", &write("firms.csv", "id,name\nF-1,First\n"));
    assert!(said.starts_with("1 row: 1 changed"), "{said}");
    let workers = "id,name,firm,certified_until\nW-1,One,F-1,2099-01-01\nW-2,Two,F-1,2099-01-01\n";
    let (_, said) = import("workers", &write("workers.csv", workers));
    assert!(said.starts_with("2 rows: 2 changed"), "{said}");
    let mut lifts = "code,catalogue,district,firm,contract_from\n".to_owned();
    for n in 1..=LIFTS {
        writeln!(lifts, "{},3110,640104,F-1,2026-01-01", device(n)).unwrap();
    }
    lifts += "3110000000000000000X9Y,3110,640104,F-1,2026-01-01\n31100000000000099999,31,640104,F-1,2026-01-01\n";
    let (output, said) = import("lifts", &write("lifts.csv", &lifts));
    assert!(said.contains("3002 rows: 3000 changed, 0 unchanged, 2 failed"), "{said}");
    assert!(said.contains("lifts.csv:3002:1: code") && said.contains("lifts.csv:3003:2: catalogue"), "{said}");
    assert_eq!(output.status.code(), Some(1));

    python::generate(folder.path());
    let client = || {
        let mut command: Command = python::command("firm.py");
        let arguments = [vigil.grpc().to_string(), folder.path().to_str().unwrap().to_owned(), RECORDS.to_string()];
        told(&command.args(arguments).output().unwrap())
    };
    let told = client();
    let step = |name: &str| told.iter().find(|it| it["step"] == name).unwrap_or_else(|| panic!("{name}: {told:#?}"));
    let uploaded = step("uploaded");
    assert_eq!(uploaded["outcomes"], json!({"RECORD_OUTCOME_TAKEN": 499, "RECORD_OUTCOME_REFUSED": 1}));
    let refused = &uploaded["refused"][0];
    assert_eq!(
        (&refused["line"], &refused["code"], &refused["faults"][0][0]),
        (&json!(250), &json!(3), &json!("workers"))
    );
    assert_eq!(uploaded["flags"], json!([]));
    assert_eq!(step("again")["outcomes"], json!({"RECORD_OUTCOME_KNOWN": 499, "RECORD_OUTCOME_REFUSED": 1}));
    let changed = step("changed");
    assert_eq!((&changed["code"], &changed["outcome"]), (&json!(6), &json!("RECORD_OUTCOME_REFUSED")));
    assert!(changed["message"].as_str().unwrap().contains("supersedes"), "{changed}");
    assert_eq!(step("corrected")["outcome"], "RECORD_OUTCOME_TAKEN");
    assert_eq!((&step("signed")["again"], &step("refusal")["code"]), (&json!(true), &json!("NOT_FOUND")));
    let chain = step("chain");
    assert_eq!((&chain["numbers"], &chain["whole"]), (&json!([1, 2, 3]), &json!(true)), "{chain}");
    assert_eq!(step("moved")["outcome"], "RECORD_OUTCOME_TAKEN");
    let order = json!(["record", "record", "signature"]);
    assert_eq!((&chain["what"], &step("timeline")["items"]), (&order, &order));

    check_due_dates(step("due"), step("all_due"));
    let config = vigil.config();
    let verify = |words: &[&str]| cli(&[&["verify", "--config", config.to_str().unwrap()], words].concat());
    let (output, said) = verify(&[]);
    // Nothing that was uploaded is in a snapshot yet.
    assert!(said.contains("502 records of 499 lifts: each follows") && output.status.success(), "{said}");
    assert!(said.contains("not confirmed") || said.contains("only the next snapshot can tell"), "{said}");

    // The same from a file: two are known, one is new, one is bad.
    let header = "firm,record,device,kind,workers,recorder,started_at,ended_at,items,note\n";
    let row = |record: &str, n: u64, note: &str| {
        let (began, ended) = ("2026-02-01T09:00:00+08:00", "2026-02-01T10:00:00+08:00");
        format!("F-1,{record},{},half-month,W-1 W-2,W-1,{began},{ended},t01..t31 t05=adjusted,{note}\n", device(n))
    };
    let good = header.to_owned() + &row("f-1", 600, "") + &row("f-2", 601, "oiled");
    let file = write("records.csv", &good);
    let (output, said) = import("records", &file);
    assert!(said.starts_with("2 rows: 2 recorded, 0 known before, 0 failed") && output.status.success(), "{said}");
    let file = write("records.csv", &(good + &row("f-3", 99_999, "") + "F-1,f-4,x,weekly,W-1,W-1,,,,\n"));
    let (output, said) = import("records", &file);
    assert!(said.contains("4 rows: 0 recorded, 2 known before, 2 failed"), "{said}");
    assert!(
        said.contains("records.csv:4: lift 31100000000000099999") && said.contains("records.csv:5:4: kind"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));

    let sign =
        |record: &str| cli(&["sign", &device(600), record, "--firm", "F-1", "--by", "officer-2", "--server", &server]);
    let (output, said) = sign("f-1");
    assert!(said.contains("record f-1 of") && said.contains("is signed by officer-2"), "{said}");
    assert!(output.status.success());
    let (output, said) = sign("f-9");
    assert!(said.contains("NotFound") && said.contains("--request cli-") && !output.status.success(), "{said}");

    // A clean end takes a snapshot, which the ends of the chains are held against.
    assert!(vigil.stop().success());
    let (_, said) = verify(&[]);
    assert!(said.contains("505 records of 501 lifts: each follows"), "{said}");
    assert!(said.contains("the end of each whole chain is confirmed by the snapshot as of 20"), "{said}");
    let (output, said) = verify(&[&device(LIFTS)]);
    assert!(said.contains("no records, so that there is nothing to prove") && output.status.success(), "{said}");
    let (output, said) = verify(&["31109999999999999999"]);
    assert!(said.contains("lift 31109999999999999999 is not known") && !output.status.success(), "{said}");
    let history = rusqlite::Connection::open(vigil.sqlite()).unwrap();
    history
        .execute("UPDATE maintenance SET note = 'nothing was done' WHERE device = ? AND number = 2", [device(1)])
        .unwrap();
    history.execute("DELETE FROM maintenance WHERE device = ?", [device(600)]).unwrap();
    let (output, said) = verify(&[]);
    assert!(said.contains(&format!("{}: number 2 is not what was recorded", device(1))), "{said}");
    assert!(said.contains(&format!("{}: it ends with number 0", device(600))), "{said}");
    assert!(said.contains("2 chains broken") && output.status.code() == Some(1), "{said}");
    let (output, said) = verify(&[&device(2)]);
    assert!(said.contains("1 record of 1 lift: each follows") && output.status.success(), "{said}");
}

/// Each lift that was visited is due 15 days after that, each other one 15 days after it came to be known, also one whose
/// visit was corrected to a day before: each with its reason, and all of them are found by the firm.
fn check_due_dates(due: &Value, all: &Value) {
    let day = |value: &Value| CivilDay::parse(value.as_str().unwrap()).unwrap();
    let words = |item: &Value, wanted: &str| {
        assert!(item[2].as_str().unwrap().contains(wanted), "{item}");
        assert_eq!(item[3], "F-1");
    };
    for lift in due["visited"].as_array().unwrap() {
        let item = &lift[0];
        assert_eq!((day(&item[1]), day(&item[0])), (day(&due["visited_on"]), CivilDay(day(&item[1]).0 + 15)), "{item}");
        words(item, "last visit");
    }
    for lift in due["others"].as_array().unwrap() {
        let item = &lift[0];
        assert_eq!(day(&item[0]), CivilDay(day(&item[1]).0 + 15), "{item}");
        words(item, "no visit");
    }
    assert_eq!(all["items"], LIFTS);
}
