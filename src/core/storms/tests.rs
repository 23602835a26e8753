use super::*;

/// Openings, a line each: the second of it, the lift, its places (`b`, `f` or `d` and a name), and behind `=>` the group
/// that it gets, with as many lifts as it then has, or `-`. A `+5` before the lift says that it is told 5 s late.
fn play(rule: &StormRule, script: &str) -> Storms {
    let mut storms = Storms::default();
    for (seq, line) in (1..).zip(script.lines().map(str::trim).filter(|line| !line.is_empty())) {
        let (what, want) = line.split_once(" => ").unwrap();
        let mut words = what.split_whitespace();
        let at = Elapsed((words.next().unwrap().parse::<f64>().unwrap() * 1_000.0) as i64);
        let mut late_ms = 0;
        let mut lift = words.next().unwrap();
        if let Some(late) = lift.strip_prefix('+') {
            late_ms = 1_000 * late.parse::<i64>().unwrap();
            lift = words.next().unwrap();
        }
        let places = words.map(|word| {
            let (scope, place) = word.split_at(1);
            let scope = match scope {
                "b" => StormScope::Building,
                "f" => StormScope::Feeder,
                _ => StormScope::District,
            };
            (scope, PlaceId::parse(place).unwrap())
        });
        let elapsed = at + late_ms;
        let opening = Opening {
            rule: RuleNo(0),
            lift: DeviceCode::parse(&format!("{lift:0>20}")).unwrap(),
            at,
            now: Now { elapsed, wall: Wall(elapsed.0) },
            event: Cursor { epoch: 1, seq },
        };
        let group = storms.note(rule, places, &opening).map(|group| storms.group(group).unwrap());
        let got = group.map_or("-".into(), |it| format!("{} {} {}", it.scope.name(), it.place, it.lifts));
        assert_eq!(got, want, "{line}");
    }
    storms
}

fn check(script: &str) -> Storms {
    play(&StormRule::default(), script)
}

/// Who is told later that they belong to it.
fn told(storms: &Storms) -> Vec<(String, u64)> {
    let lift = |it: &Joins| it.lift.as_str().trim_start_matches('0').to_owned();
    storms.waiting.iter().map(|it| (lift(it), it.group.seq)).collect()
}

#[test]
fn a_building_takes_three_lifts_and_tells_the_first_two() {
    let storms = check(
        "0  1 bA d64 => -
         1  2 bA d64 => -
         2  3 bA d64 => building A 3
         3  4 bA d64 => building A 4
         4  5 bB d64 => -",
    );
    assert_eq!(told(&storms), [("1".into(), 3), ("2".into(), 3)]);
    assert_eq!(storms.group(Cursor { epoch: 1, seq: 3 }).unwrap().began_at, Wall(0));
}

#[test]
fn the_window_holds_both_ends() {
    check(
        "0    1 bA => -
         30   2 bA => -
         60   3 bA => building A 3
         120  4 bA => building A 4
         180.001 5 bA => -",
    );
    check(
        "0      1 bA => -
         30     2 bA => -
         60.001 3 bA => -
         90     4 bA => building A 3",
    );
}

#[test]
fn a_lift_counts_once() {
    check(
        "0  1 bA => -
         1  1 bA => -
         2  2 bA => -
         3  1 bA => -
         4  3 bA => building A 3
         5  1 bA => building A 3
         50 1 bA => building A 3
         110 2 bA => building A 3
         171 4 bA => -",
    );
}

#[test]
fn a_feeder_whose_buildings_stop_one_after_the_other_is_one_storm() {
    let storms = check(
        "0.0 1 bA f1 d64 => -
         0.1 2 bA f1 d64 => -
         0.2 3 bA f1 d64 => building A 3
         0.3 4 bB f1 d64 => -
         0.4 5 bB f1 d64 => feeder 1 5
         0.5 6 bB f1 d64 => feeder 1 6
         0.6 7 bA f1 d64 => feeder 1 7",
    );
    let all: Vec<(String, u64)> = told(&storms).into_iter().filter(|(_, group)| *group == 5).collect();
    assert_eq!(all.len(), 4, "{all:?}: the building's three too, and not the one that began it");
    assert_eq!(storms.storms.size(), 1, "no alert carries the building's any more");
}

#[test]
fn the_narrowest_that_has_enough_of_them_is_taken() {
    // Five lifts of one building are that building's, not the feeder's.
    check(
        "0 1 bA f1 => -
         1 2 bA f1 => -
         2 3 bA f1 => building A 3
         3 4 bA f1 => building A 4
         4 5 bA f1 => building A 5
         5 6 bA f1 => building A 6",
    );
    // A storm on a feeder, and another lift of the district.
    let feeder: String = (1..=12)
        .map(|n| format!("{n} {n} f1 d64 => {}\n", if n < 5 { "-".into() } else { format!("feeder 1 {n}") }))
        .collect();
    check(&format!("{feeder} 13 13 f2 d64 => -\n 14 14 f3 d64 => -\n 15 15 d64 => -\n 16 1 f1 d64 => feeder 1 12"));
    // With as many things as half of what a district takes it is the district's.
    let storms = check(&format!(
        "{feeder} 13 13 f2 d64 => -\n 14 14 f3 d64 => -\n 15 15 d64 => -\n 16 16 d64 => district 64 16\n 17 1 f1 d64 => district 64 16"
    ));
    assert_eq!(told(&storms).iter().filter(|(_, group)| *group == 16).count(), 15);
}

#[test]
fn what_is_told_late_is_counted_by_its_own_time() {
    // A backlog of an hour, told at once, is no storm.
    check("0 +3600 1 bA => -\n 600 +3000 2 bA => -\n 1200 +2400 3 bA => -\n 1800 +1800 4 bA => -");
    // A storm in it is one.
    check("0 +3600 1 bA => -\n 9 +3591 2 bA => -\n 5 +3595 3 bA => building A 3\n 20 +3580 4 bA => building A 4");
    // One that comes late joins, one that lies too far back doesn't.
    check(
        "100 1 bA => -\n 101 2 bA => -\n 102 3 bA => building A 3\n 50 +60 4 bA => building A 4\n 20 +60 5 bA => building A 5\n -60 +180 6 bA => -",
    );
}

#[test]
fn a_group_is_known_as_long_as_an_alert_carries_it() {
    let mut storms = check("0 1 bA => -\n 1 2 bA => -\n 2 3 bA => building A 3");
    let group = Cursor { epoch: 1, seq: 3 };
    storms.carry(group);
    storms.carry(group);
    storms.let_go(Elapsed(62_001));
    assert!(storms.gatherings.is_empty());
    assert_eq!(storms.group(group).map(|it| it.lifts), Some(3));
    storms.put_down(group);
    storms.put_down(group);
    assert_eq!(storms.group(group), None);
    assert!(storms.storms.is_empty());
}

/// Flow: ever other buildings of ever other feeders, one alert each, far apart.
/// Asserts: what is remembered doesn't grow.
#[test]
fn places_are_let_go_of() {
    let script: String = (0..2_000).map(|n| format!("{} {n} b{n} f{n} d64 => -\n", 61 * n)).collect();
    let storms = check(&script);
    assert!(storms.gatherings.size() <= 3 && storms.storms.is_empty(), "{}", storms.gatherings.size());
}

/// Flow: more places than are remembered, all at once.
/// Asserts: the bound holds, and what is remembered is still counted.
#[test]
fn places_are_bounded() {
    let places = limits::STORM_PLACES;
    let mut script: String = (0..places + 10).map(|n| format!("0 {n} b{n} => -\n")).collect();
    script += "1 1000001 b7 => -\n 2 1000002 b7 => building 7 3\n 3 1000003 bnew => -\n";
    assert_eq!(check(&script).gatherings.size(), places);
}
