//! Resident memory with a city's archive, before and after each lift has spoken, and what a restart takes with it.

use std::fmt::Write as _;

use vigil::core::cylinder::Cylinder;
use vigil::core::lift::Lift;
use vigil::model::archive::Entry;

use super::load::Lifts;
use super::service::Service;
use super::{CYLINDERS, LIFTS, POLL, broker, traffic};

pub fn measure() {
    let broker = broker(false);
    let mut service = Service::start(broker.addr(), None);
    let mut lifts = Lifts::with_cylinders(LIFTS, CYLINDERS);
    let [lifts_csv, cylinders_csv] = tables(lifts.archive());
    let empty = service.resident();
    service.import("lifts", &lifts_csv);
    let with_lifts = service.resident();
    service.import("cylinders", &cylinders_csv);
    let with_cylinders = service.resident();
    traffic::flood(broker.addr(), &mut lifts, u64::from(LIFTS), 1);
    service.await_that("each lift was heard", POLL, |service| service.frames() == u64::from(LIFTS));
    let heard = service.resident();
    let (ended, ready) = service.restart();
    let again = service.resident();

    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    println!(
        "{:48} {:.0} MiB empty, {:.0} with {LIFTS} lifts, {:.0} with {CYLINDERS} cylinders, {:.0} with a frame of each lift, {:.0} after a restart",
        "memory: resident",
        mib(empty),
        mib(with_lifts),
        mib(with_cylinders),
        mib(heard),
        mib(again)
    );
    println!(
        "{:48} {} a lift, {} a cylinder by the growth; {} a subject after the restart",
        "memory: bytes",
        (with_lifts.saturating_sub(empty) + heard.saturating_sub(with_cylinders)) / u64::from(LIFTS),
        with_cylinders.saturating_sub(with_lifts) / u64::from(CYLINDERS),
        again.saturating_sub(empty) / u64::from(LIFTS + CYLINDERS),
    );
    println!(
        "{:48} {} a lift, {} a cylinder; the bench `memory` counts all that belongs to them",
        "memory: size_of",
        size_of::<Lift>(),
        size_of::<Cylinder>(),
    );
    println!(
        "{:48} ended in {:.2} s, ready {:.2} s after its start",
        "restart with that state",
        ended.as_secs_f64(),
        ready.as_secs_f64()
    );
}

/// Lifts and cylinders as `vigil import` takes them.
fn tables(archive: &[Entry]) -> [String; 2] {
    let mut lifts = String::from("code,address,district,rescue_code,firm,keep_alive_s,inspection_due\n");
    let mut cylinders = String::from("code,filling_unit,medium,made_on,inspection_due,district\n");
    for entry in archive {
        let written = match entry {
            Entry::Lift(it) => writeln!(
                lifts,
                "{},\"{}\",{},{},{},{},{}",
                it.code,
                it.address.as_deref().unwrap_or_default(),
                shown(&it.district),
                it.rescue_code.as_deref().unwrap_or_default(),
                shown(&it.firm),
                shown(&it.keep_alive_s),
                shown(&it.inspection_due)
            ),
            Entry::Cylinder(it) => writeln!(
                cylinders,
                "{},{},{},{},{},{}",
                it.code,
                shown(&it.filling_unit),
                it.medium.as_deref().unwrap_or_default(),
                shown(&it.made_on),
                shown(&it.inspection_due),
                shown(&it.district)
            ),
            Entry::Firm(_) | Entry::Site(_) => Ok(()),
        };
        written.expect("a text takes everything");
    }
    [lifts, cylinders]
}

fn shown(value: &Option<impl ToString>) -> String {
    value.as_ref().map_or_else(String::new, ToString::to_string)
}
