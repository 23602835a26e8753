//! Stopping and starting with a city's state, and what a snapshot of it costs the core.

use std::fmt::Write as _;
use std::ops::Range;

use rustix::process::Signal;
use vigil::core::Core;
use vigil::model::archive::Entry;
use vigil::model::record::Record;

use super::end_to_end::POLL;
use super::memory::mib;
use super::rules::Traffic;
use crate::load::{self, BEGAN, Lifts};
use crate::measure::{ms, timed};
use crate::service::Service;
use crate::table::{Budget, Table};
use crate::{Bench, CYLINDERS, LIFTS, traffic};

/// Until it is ready again.
const RESTART_S: f64 = 5.0;
/// No work of the core may take longer.
const PAUSE_MS: f64 = 2.0;
const CYLINDER_BYTES: f64 = 256.0;

pub fn measure(bench: &Bench, table: &mut Table) {
    let broker = bench.broker(false);
    let mut service = Service::start(broker.addr(), None);
    service.import("lifts", &lifts_csv(0..LIFTS));
    let before = service.resident_bytes();
    service.import("cylinders", &cylinders_csv(0..CYLINDERS));
    let with_cylinders = service.resident_bytes();
    let reports = u64::from(LIFTS) * 4;
    traffic::flood(broker.addr(), &mut Lifts::new(LIFTS), reports, 1);
    service.await_that("each lift was heard", POLL, |service| service.frames() == reports);
    let heard = service.resident_bytes();

    let what = format!("{LIFTS} lifts and {CYLINDERS} cylinders");
    let (_, replayed) = service.restart(Signal::KILL);
    let name = format!("{what}, killed: start to ready, replaying {reports} reports and the import");
    table.row(name, "s", replayed.as_secs_f64()).budget(Budget::AtMost(RESTART_S));
    let (ended, ready) = service.restart(Signal::TERM);
    table.row(format!("{what}: SIGTERM to the end"), "s", ended.as_secs_f64());
    table.row(format!("{what}: start to ready"), "s", ready.as_secs_f64()).budget(Budget::AtMost(RESTART_S));
    let again = service.resident_bytes();
    let a_cylinder = with_cylinders.saturating_sub(before) as f64 / f64::from(CYLINDERS);
    table.row("resident memory, growth by a cylinder", "B", a_cylinder).budget(Budget::AtMost(CYLINDER_BYTES));
    table.row("resident memory before the restarts", "MiB", mib(heard));
    table.row("resident memory after them", "MiB", mib(again));
    snapshot(table);
}

/// What a snapshot costs the core, the thread that encodes it, and a restart.
fn snapshot(table: &mut Table) {
    let mut traffic = Traffic::new(LIFTS);
    let mut core = Core::new(1);
    for kind in traffic.opening() {
        core.apply(&Record { pos: core.next(), elapsed: traffic.elapsed(), wall: BEGAN, kind });
    }
    for _ in 0..LIFTS {
        let (topic, payload) = traffic.report(1);
        let kind = vigil::model::record::Kind::Report { topic, payload };
        core.apply(&Record { pos: core.next(), elapsed: traffic.elapsed(), wall: traffic.wall(), kind });
    }
    let (frozen, pause) = timed(|| core.freeze());
    let (bytes, encoding) = timed(|| frozen.encode());
    let snapshot_bytes = bytes.len() as f64 / f64::from(LIFTS);
    let (restored, restoring) = timed(|| Core::restore(bytes.into()));
    assert!(restored.is_ok_and(|restored| restored.lifts().len() == core.lifts().len()));
    let pause_row = table.row(format!("snapshot of {LIFTS} lifts: the core's pause"), "ms", ms(pause));
    pause_row.budget(Budget::AtMost(PAUSE_MS));
    table.row("the same: encoding, by another thread", "ms", ms(encoding));
    table.row("the same: restoring", "ms", ms(restoring));
    table.row("the same: a lift", "B", snapshot_bytes);
}

/// Lifts as `vigil import` takes them.
pub fn lifts_csv(lifts: Range<u32>) -> String {
    let mut csv = String::from("code,address,district,rescue_code,firm,keep_alive_s,inspection_due\n");
    for entry in lifts.map(load::lift) {
        let Entry::Lift(it) = entry else { continue };
        let address = it.address.as_deref().unwrap_or_default();
        let rescue_code = it.rescue_code.as_deref().unwrap_or_default();
        let [district, firm] = [shown(&it.district), shown(&it.firm)];
        let [keep_alive_s, inspection_due] = [shown(&it.keep_alive_s), shown(&it.inspection_due)];
        writeln!(csv, "{},\"{address}\",{district},{rescue_code},{firm},{keep_alive_s},{inspection_due}", it.code)
            .expect("a text takes everything");
    }
    csv
}

fn cylinders_csv(cylinders: Range<u32>) -> String {
    let mut csv = String::from("code,filling_unit,medium,made_on,inspection_due,district\n");
    for entry in cylinders.map(load::cylinder) {
        let Entry::Cylinder(it) = entry else { continue };
        let medium = it.medium.as_deref().unwrap_or_default();
        let [filling_unit, district] = [shown(&it.filling_unit), shown(&it.district)];
        let [made_on, inspection_due] = [shown(&it.made_on), shown(&it.inspection_due)];
        writeln!(csv, "{},{filling_unit},{medium},{made_on},{inspection_due},{district}", it.code)
            .expect("a text takes everything");
    }
    csv
}

fn shown(value: &Option<impl ToString>) -> String {
    value.as_ref().map_or_else(String::new, ToString::to_string)
}
