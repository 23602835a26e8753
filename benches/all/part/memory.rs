//! What a city's lifts take in memory: of the core alone, and of the whole service by its resident memory.

use std::process::Stdio;

use vigil::core::Core;
use vigil::core::lift::Lift;
use vigil::model::record::{Kind, Record};

use super::end_to_end::{POLL, await_stored};
use super::restart::lifts_csv;
use super::rules::Traffic;
use crate::load::{BEGAN, Lifts};
use crate::measure::resident_bytes;
use crate::service::Service;
use crate::table::{Budget, Table};
use crate::{Bench, support, traffic};

pub const CORE: &str = "be-core";
const SIZES: [u32; 3] = [25_000, 250_000, 1_000_000];
/// All that a lift needs.
pub const LIFT_BYTES: f64 = 1_024.0;

pub fn measure(bench: &Bench, table: &mut Table) {
    let sizes = &SIZES[..bench.quicker(3, 2)];
    for lifts in sizes {
        let name = format!("the core alone, {lifts} lifts of which each has spoken: a lift");
        table.row(name, "B", core_bytes(*lifts) as f64 / f64::from(*lifts)).budget(Budget::AtMost(LIFT_BYTES));
    }
    table.note(format!("the structure of a lift, without what it points to: {} B", size_of::<Lift>()));
    service(bench, table, sizes);
}

/// One service, to which lifts are added; the growth of its resident memory.
fn service(bench: &Bench, table: &mut Table, sizes: &[u32]) {
    let broker = bench.broker(false);
    let mut service = Service::start(broker.addr(), None);
    let empty = service.resident_bytes();
    let mut lifts = Lifts::new(sizes[sizes.len() - 1]);
    let mut known = 0;
    for size in sizes {
        let before = service.resident_bytes();
        service.import("lifts", &lifts_csv(known..*size));
        let imported = service.resident_bytes();
        traffic::flood(broker.addr(), &mut lifts, u64::from(size - known), 1);
        service.await_that("each lift was heard", POLL, |service| service.frames() >= u64::from(*size));
        await_stored(&service, None, 0, u64::from(*size));
        let spoken = service.resident_bytes();
        let a_lift = spoken.saturating_sub(before) as f64 / f64::from(size - known);
        table.row(format!("the service with {size} lifts of which each has spoken: resident"), "MiB", mib(spoken));
        table.row(format!("the same, growth by a lift since {known}"), "B", a_lift);
        table.note(format!("{size} lifts: {:.0} MiB when imported, before they spoke", mib(imported)));
        known = *size;
    }
    table.note(format!("the service when empty: {:.0} MiB", mib(empty)));
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// In a process of its own: what was freed here before would be taken for nothing.
pub fn core_bytes(lifts: u32) -> u64 {
    let mut command = support::process::command(std::env::current_exe().expect("this program has a file"));
    let output = command.args([CORE, &lifts.to_string()]).stderr(Stdio::inherit()).output().expect("it runs already");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("it says a number")
}

/// What that process does: prints by how much its memory grew.
pub fn core(lifts: u32) {
    let mut traffic = Traffic::new(lifts);
    let before = resident_bytes("self");
    let mut core = Core::new(1);
    let mut apply = |kind, at: (_, _)| {
        core.apply(&Record { pos: core.next(), elapsed: at.0, wall: at.1, kind });
    };
    for kind in traffic.opening() {
        apply(kind, (traffic.elapsed(), BEGAN));
    }
    for _ in 0..lifts {
        let (topic, payload) = traffic.report(1);
        apply(Kind::Report { topic, payload }, (traffic.elapsed(), traffic.wall()));
    }
    assert_eq!(core.lifts().len(), lifts as usize);
    println!("{}", resident_bytes("self").saturating_sub(before));
}
