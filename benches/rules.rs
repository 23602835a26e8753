//! What one evaluation of a shipped condition costs, beside reading the same four values by hand.
//!
//! `cargo bench --bench rules`

use std::hint::black_box;
use std::time::Instant;

use vigil::core::rules::{self, CodeList, Facts, Field, RuleIx, Tri, Value};

/// A lift's registers, as an array by field.
struct Lift {
    values: [Value; 32],
    codes: [u32; 2],
}

impl Facts for Lift {
    fn field(&self, field: Field) -> Value {
        self.values[field as usize]
    }

    fn code(&self, _list: CodeList, code: u32) -> Tri {
        self.codes.contains(&code).into()
    }

    fn condition(&self, _name: &str) -> Tri {
        Tri::False
    }

    fn extra(&self, _extra: u16) -> Option<f64> {
        None
    }

    fn is_open(&self, _rule: RuleIx) -> bool {
        false
    }
}

const ROUNDS: u32 = 2_000_000;

fn main() {
    let text = include_str!("../config/rules/elevator.toml");
    let files = [("elevator.toml".into(), text.into())];
    let rules = match rules::parse(&files) {
        Ok(rules) => rules,
        Err(faults) => panic!("{}", faults[0]),
    };
    let lifts = [lift(true, 1, false, true), lift(true, 2, true, true), lift(false, 1, true, false)];
    let floor_ns = nanoseconds(&lifts, |lift| {
        let is = |field, value| lift.field(field) == value;
        is(Field::Passenger, Value::Bool(true))
            && is(Field::Car, Value::Int(1))
            && is(Field::DoorZone, Value::Bool(false))
            && is(Field::DoorShut, Value::Bool(true))
    });
    println!("{:<24} {floor_ns:>7.1} ns", "by hand, two-valued");
    for rule in &rules.rules {
        let ns = nanoseconds(&lifts, |lift| rule.when.eval(lift).is_true());
        println!("{:<24} {ns:>7.1} ns  {:>5.1} times the first", rule.id, ns / floor_ns);
    }
}

fn lift(passenger: bool, car: i64, door_zone: bool, door_shut: bool) -> Lift {
    let mut values = [Value::Unknown; 32];
    values[Field::Passenger as usize] = Value::Bool(passenger);
    values[Field::Car as usize] = Value::Int(car);
    values[Field::DoorZone as usize] = Value::Bool(door_zone);
    values[Field::DoorShut as usize] = Value::Bool(door_shut);
    Lift { values, codes: [3, 90] }
}

/// The mean of one call, over lifts that decide differently.
fn nanoseconds(lifts: &[Lift], judge: impl Fn(&Lift) -> bool) -> f64 {
    let mut hits = 0_u32;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for lift in lifts {
            hits += u32::from(black_box(judge(black_box(lift))));
        }
    }
    black_box(hits);
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS) / lifts.len() as f64
}
