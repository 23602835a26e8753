//! Fleets as `vigil simulate` makes them: at a rate, with faults that are asked for, and with a truth on file.

use super::{options, play, raised, score};
use crate::limits;
use crate::model::ids::Subject;
use crate::model::time::Wall;
use crate::simulate::truth_file::{self, Run, TruthError};
use crate::simulate::{Equip, Fault, Faults, Fleet, FleetOptions, IncidentKind, Pace, is_of_fleet};

#[test]
fn a_fleet_keeps_the_rate_that_was_asked_for() {
    for rate in [1.0 / 300.0, 1.0 / 30.0, 0.2, 1.0] {
        let pace = Pace::of_rate(rate, 10 * 3_600_000);
        let options = FleetOptions { lifts: 300, cylinders: 0, stations: 0, pace, ..options(11) };
        let mut fleet = Fleet::equipped(&options, Equip::PLAIN);
        // No burst at the beginning: it goes on as it begins, once every lift is on the line.
        let mut from = options.began + pace.keep_alive_ms();
        fleet.advance(from);
        for _ in 0..3 {
            let (before, span_ms) = (fleet.counts().frames, (60_000.0 / rate) as i64);
            from = from + span_ms;
            fleet.advance(from);
            let reached = (fleet.counts().frames - before) as f64 * 1_000.0 / span_ms as f64 / 300.0;
            assert!((0.95..1.08).contains(&(reached / rate)), "{rate}: {reached}");
        }
    }
}

/// Asserts: with samples, as without, rules without faults find all of it and nothing else.
#[test]
fn samples_of_a_state_change_nothing() {
    let pace = Pace::of_rate(0.2, 600_000);
    let options = FleetOptions { lifts: 100, cylinders: 0, stations: 0, pace, ..options(12) };
    for samples in [1, 10] {
        let mut fleet = Fleet::equipped(&options, Equip { frames_per_report: samples, ..Equip::PLAIN });
        let messages = fleet.advance(options.began + 1_800_000);
        for (_, sent) in super::items_by_device(&messages) {
            for report in sent.chunk_by(|(at, _), (next, _)| at == next) {
                let claimed = report.iter().map(|(_, frame)| frame["observed_at_ms"].as_i64().unwrap());
                let (at, claimed) = (report[0].0.ms(), claimed.collect::<Vec<_>>());
                assert_eq!((claimed.len(), claimed.last()), (usize::from(samples), Some(&at)));
                assert!(claimed.is_sorted() && at - claimed[0] <= 4_000, "{claimed:?}");
            }
        }
        let tally = score(&fleet, &raised(&fleet, &messages), &super::all_rules());
        assert_eq!((tally.missed, tally.late, tally.false_alerts), (0, 0, 0));
        assert!(tally.in_time > 200, "{tally:?}");
    }
}

#[test]
fn faults_occur_where_they_are_asked_for_and_nowhere_else() {
    let options = options(13);
    for fault in Fault::ALL {
        let equip = Equip { faults: Faults::NONE.with(fault), ..Equip::PLAIN };
        let mut fleet = Fleet::equipped(&options, equip);
        fleet.advance(options.began + super::HOUR_MS);
        for other in Fault::ALL {
            assert_eq!(fleet.counts().of(other) > 0, other == fault, "{other:?} where {fault:?} was asked for");
        }
    }
    assert_eq!(Faults::ALL.iter().count(), Fault::ALL.len());
    assert!(Fault::ALL.into_iter().all(|fault| Fault::from_name(fault.name()) == Some(fault)));
}

#[test]
fn a_fleet_knows_its_own() {
    let (fleet, _) = play(&options(1), 600_000);
    let FleetOptions { lifts, cylinders, stations, .. } = *fleet.options();
    let is_own = |subject| is_of_fleet(subject, lifts, cylinders, stations);
    assert!(!fleet.truth().is_empty() && fleet.truth().iter().all(|incident| is_own(incident.subject)));
    for other in
        ["31106401042008000200", "31306401042008000000", "cylinder:264001000240", "cylinder:264002000000", "vigil"]
    {
        assert!(!is_own(Subject::parse(other).unwrap()), "{other}");
    }
}

fn written(fleet: &Fleet) -> Vec<u8> {
    let mut file = Vec::new();
    let run = Run { ran_ms: fleet.now() - fleet.options().began, ..Run::new(7, fleet.options().began) };
    truth_file::write(&mut file, &run, fleet.truth(), fleet.near_misses()).unwrap();
    file
}

#[test]
fn a_truth_file_reads_back_what_was_true() {
    let (fleet, _) = play(&options(7), super::HOUR_MS / 2);
    let file = written(&fleet);
    let (run, truth) = truth_file::read(file.as_slice()).unwrap();
    assert_eq!((run.began_at(), run.ended_at()), (options(7).began, fleet.now()));
    assert_eq!(truth, fleet.truth());
    let lines = file.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 1 + fleet.truth().len() + fleet.near_misses().len());
    assert!(fleet.near_misses().len() > 100);
    // Another day, the same story.
    let later = FleetOptions { began: Wall(options(7).began.ms() + 86_400_000), ..options(7) };
    let later = written(&play(&later, super::HOUR_MS / 2).0);
    let story = |file: &[u8]| String::from_utf8(file.to_vec()).unwrap().split_once('\n').unwrap().1.to_owned();
    assert_eq!(story(&later), story(&file));
}

/// Asserts: such a file is refused in these words.
fn check_refused(text: &str, says: &str) {
    let error: TruthError = truth_file::read(text.as_bytes()).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn a_truth_file_that_is_none_is_refused_with_its_line() {
    let run = serde_json::to_string(&Run::new(1, Wall(0))).unwrap();
    let line = r#"{"subject":"31106401042008000000","rule":"trapped-alarm","kind":"alarm-pressed","started_ms":1,
        "due_ms":2,"raise_by_ms":3,"ended_ms":null,"late_ms":0}"#
        .replace('\n', " ");
    assert_eq!(truth_file::read(format!("{run}\n{line}\n").as_bytes()).unwrap().1[0].kind, IncidentKind::AlarmPressed);
    check_refused("", "it is empty");
    check_refused("{}\n", "line 1: missing field");
    check_refused(&format!("{}\n", run.replace("\"truth\":1", "\"truth\":2")), "of version 2");
    check_refused(&format!("{run}\n{line}"), "line 2: it is cut short");
    check_refused(&format!("{run}\n{}\n", line.replace("31106401042008000000", "x")), "line 2: device code \"x\"");
    check_refused(&format!("{run}\n{}\n", line.replace("alarm-pressed", "bored")), "\"bored\" is no kind of incident");
    check_refused(&format!("{run}\n{}\n", "x".repeat(limits::TRUTH_LINE_BYTES)), "line 2: it is cut short, or longer");
}
