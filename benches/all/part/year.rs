//! A year of a city's days in the core, as `tests/year.rs` lives it, in a process of its own.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use vigil::core::Core;

use super::memory::mib;
use crate::Bench;
use crate::measure::{ms, percentile, resident_bytes};
use crate::table::{Budget, Table};
use crate::year::{DAYS, Lived, live};
use crate::{CYLINDERS, LIFTS, support};

pub const YEAR: &str = "be-a-year";
pub const STATE: &str = "be-a-state";
/// No work of the core may take longer.
const APPLY_MS: f64 = 2.0;

pub fn measure(bench: &Bench, table: &mut Table) {
    let (lifts, cylinders) = bench.quicker((LIFTS, CYLINDERS), (LIFTS / 10, CYLINDERS / 10));
    let mut command = support::process::command(std::env::current_exe().expect("this program has a file"));
    command.args([YEAR, &lifts.to_string(), &cylinders.to_string()]).stderr(Stdio::inherit());
    let output = command.output().expect("it runs already");
    assert!(output.status.success(), "the year ended with {}", output.status);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.split('\t');
        let (name, unit, value) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
        let value: f64 = value.parse().expect("it says a number");
        match unit {
            "ms" => {
                let row = table.row(format!("{lifts} lifts, {cylinders} cylinders: {name}"), "ms", value);
                if name.ends_with("longest") {
                    row.budget(Budget::AtMost(APPLY_MS));
                }
            }
            "MiB" => _ = table.row(name, "MiB", value),
            _ => table.note(format!("{name}: {value}")),
        }
    }
}

/// What that process does: prints names, units and figures.
pub fn live_it(lifts: u64, cylinders: u64) {
    let Lived { told, expected, costs, snapshot } = live(lifts, cylinders, 1);
    assert!(told == expected, "other alerts than those worked out by hand: cargo test --test year shows them");
    println!("events of alerts in {DAYS} days, each as worked out by hand\t\t{}", told.len());
    for (what, times) in costs.sorted() {
        let at = |percent: f64| ms(percentile(&times, percent));
        println!("{what}, CPU: p50\tms\t{}", at(50.0));
        println!("the same: p99\tms\t{}", at(99.0));
        println!("the same, of {}: longest\tms\t{}", times.len(), at(100.0));
    }
    println!("the state written down\tMiB\t{}", mib(snapshot.len() as u64));
    drop((told, expected));
    println!("the state in memory\tMiB\t{}", mib(resident(&snapshot)));
}

/// In a process of its own: what was freed here before would be taken for nothing.
fn resident(snapshot: &[u8]) -> u64 {
    let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this folder");
    file.write_all(snapshot).expect("there is room");
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    let output = command.arg(STATE).arg(file.path()).stderr(Stdio::inherit()).output().expect("it runs already");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("it says a number")
}

/// What that process does: prints by how much its memory grows with a state.
pub fn restore(file: &str) {
    let before = resident_bytes("self");
    let core =
        Core::restore(Bytes::from(std::fs::read(file).expect("it was just written"))).expect("it was written so");
    // What was read is given back, as nothing of it is held.
    let after = resident_bytes("self");
    assert!(!core.lifts().is_empty());
    println!("{}", after.saturating_sub(before));
}
