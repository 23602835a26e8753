//! A simulated month with ground truth: the fleet of `vigil simulate`, with all that goes wrong in a month, reports to the real
//! core by a simulated clock. `tests/long/month` plays a whole one of a town; here it is a small one of two days.
//!
//! The generator knows what really happened. So every entrapment must be found in time, and every alert that somebody is
//! trapped where nobody is must have a cause that the generator knows and that no rule could have told from an entrapment.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "month/causes.rs"]
mod causes;
#[path = "month/dispatcher.rs"]
mod dispatcher;
#[path = "month/life.rs"]
mod life;
#[path = "month/report.rs"]
mod report;
#[path = "month/rules.rs"]
mod rules;

use std::time::Instant;

use life::{Life, Size};
use report::Report;
use vigil::simulate::IncidentKind;

fn number(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, and should be a number"))
    })
}

fn play(size: Size, rules: Vec<(Box<str>, Box<str>)>) -> Report {
    let began = Instant::now();
    let mut report = Life::new(size, rules).live();
    report.took = began.elapsed();
    report
}

/// Flow: lifts live for some days with every fault, trap passengers in seven ways, and raise alerts; our link breaks, and the
/// service restarts from its snapshot.
/// Asserts: no entrapment is missed or found late, but for those of which nothing came through, of which silence was told; no
/// alert is without a cause; every fault and every way of being trapped occurred.
#[test]
fn nobody_is_missed_and_every_false_alert_has_a_cause() {
    let size = Size {
        seed: u64::from(number("VIGIL_MONTH_SEED", 1)),
        lifts: number("VIGIL_MONTH_LIFTS", 100),
        days: number("VIGIL_MONTH_DAYS", 2),
        entrapment_every_h: number("VIGIL_MONTH_ENTRAPMENT_EVERY_H", 12),
        idle_s: number("VIGIL_MONTH_IDLE_S", 2_400),
    };
    let report = play(size, rules::shipped());
    println!("{report}");
    assert!(report.faults().is_empty(), "{}", report.faults().join("\n"));
    assert!(report.is_eventful(), "hardly anything happened");
}

/// What is broken on purpose is found: a rule that waits for too long, and one that is switched off.
#[test]
fn a_rule_that_is_broken_misses_entrapments() {
    let size = Size { seed: 2, lifts: 30, days: 1, entrapment_every_h: 4, idle_s: 2_400 };
    for (broken, kind) in [
        (rules::lengthened("trapped-out-of-zone", "for = \"30s\"", "for = \"55s\""), IncidentKind::BetweenFloors),
        (rules::switched_off("trapped-reported"), IncidentKind::Reported),
    ] {
        let report = play(size, broken);
        assert!(report.not_in_time(kind) > 5, "{kind:?} was found all the same:\n{report}");
        assert!(report.faults().iter().any(|fault| fault.contains(kind.name())), "{report}");
        assert_eq!(report.not_in_time(IncidentKind::DoorFault), 0, "{report}");
    }
}
