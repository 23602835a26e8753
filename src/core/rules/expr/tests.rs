//! The compiled form against the truth tables, against a slow evaluator of the syntax tree, and against nonsense.

use std::collections::BTreeMap;

use cel::common::ast::{Expr as Cel, IdedExpr, LiteralValue, operators};
use proptest::prelude::*;

use super::*;
use crate::core::rules::schema::{Family, Words};

/// What one subject looks like. What isn't in here is unknown.
#[derive(Debug, Clone, Default)]
struct Subject {
    fields: BTreeMap<Field, Value>,
    codes: BTreeMap<(CodeList, u32), Tri>,
    trapped: Option<bool>,
    vibration: Option<f64>,
    other_open: bool,
}

impl Facts for Subject {
    fn field(&self, field: Field) -> Value {
        self.fields.get(&field).copied().unwrap_or(Value::Unknown)
    }

    fn code(&self, list: CodeList, code: u32) -> Tri {
        self.codes.get(&(list, code)).copied().unwrap_or(Tri::Unknown)
    }

    fn condition(&self, name: &str) -> Tri {
        assert_eq!(name, "trapped");
        self.trapped.into()
    }

    fn in_district(&self, district: &District) -> Tri {
        District::parse("640104").unwrap().is_within(district).into()
    }

    fn window(&self, _: u16, _: Fold) -> Option<f64> {
        self.vibration
    }

    fn extra(&self, extra: u16) -> Option<f64> {
        assert_eq!(extra, 0);
        self.vibration
    }

    fn is_open(&self, rule: RuleIx) -> bool {
        assert_eq!(rule, 7);
        self.other_open
    }
}

fn compiled(text: &str) -> Result<Expr, Vec<Fault>> {
    let rules = BTreeMap::from([(RuleId::parse("other").unwrap(), (7, Some(Family::Elevator)))]);
    let mut extras = Vec::new();
    compile(
        text,
        &mut Scope {
            family: Family::Elevator,
            own: None,
            rules: &rules,
            extras: &mut extras,
            windows: &mut Vec::new(),
            is_counted: false,
            silence: Silence::Either,
            has_hints: true,
        },
    )
}

#[test]
fn logic_is_kleenes() {
    use Tri::{False as F, True as T, Unknown as U};
    let tables: [(&str, [[Tri; 3]; 3]); 5] = [
        ("passenger && door_zone", [[F, F, F], [F, U, U], [F, U, T]]),
        ("passenger || door_zone", [[F, U, T], [U, U, T], [T, T, T]]),
        ("passenger == door_zone", [[T, U, F], [U, U, U], [F, U, T]]),
        ("passenger != door_zone", [[F, U, T], [U, U, U], [T, U, F]]),
        ("!passenger && (door_zone || true)", [[T, T, T], [U, U, U], [F, F, F]]),
    ];
    let values = [(F, Value::Bool(false)), (U, Value::Unknown), (T, Value::Bool(true))];
    for (text, table) in tables {
        let expr = compiled(text).unwrap();
        for (row, (_, passenger)) in table.iter().zip(values) {
            for (expected, (_, door_zone)) in row.iter().zip(values) {
                let fields = BTreeMap::from([(Field::Passenger, passenger), (Field::DoorZone, door_zone)]);
                let subject = Subject { fields, ..Subject::default() };
                assert_eq!(expr.eval(&subject), *expected, "{text} with {passenger:?}, {door_zone:?}");
            }
        }
    }
}

#[test]
fn comparisons_with_the_unknown_are_unknown() {
    let subject = Subject { fields: BTreeMap::from([(Field::Floor, Value::Int(3))]), ..Subject::default() };
    for (text, expected) in [
        ("car == STOPPED", Tri::Unknown),
        ("car != STOPPED", Tri::Unknown),
        ("load_kg > 0", Tri::Unknown),
        ("load_kg in [1, 2]", Tri::Unknown),
        ("extras['vibration_mg'] <= 4.5", Tri::Unknown),
        ("floor == 3", Tri::True),
        ("3 < floor", Tri::False),
        ("floor >= 2.5", Tri::True),
        ("floor in [1, 3]", Tri::True),
        ("floor > -4", Tri::True),
        ("floor == load_kg", Tri::Unknown),
        ("open('other')", Tri::False),
        ("fault(3) == false", Tri::Unknown),
    ] {
        assert_eq!(compiled(text).unwrap().eval(&subject), expected, "{text}");
    }
}

#[test]
fn a_condition_tells_what_it_reads_and_waits_for() {
    let check = |text: &str, terms: &str, reads: Reads, raising: &[CodeTerm]| {
        let expr = compiled(text).unwrap();
        let names: Vec<Box<str>> = expr.terms().iter().map(Term::name).collect();
        assert_eq!(names.join(" "), terms, "{text}");
        assert_eq!(expr.reads(), reads, "{text}");
        assert_eq!(expr.raising(), raising, "{text}");
    };
    let code = CodeTerm::Code;
    check("true", "", Reads::NONE, &[]);
    check(
        "car == STOPPED && (code(90) || code(3)) && car != RUNNING",
        "car code(90) code(3)",
        Reads::field(Field::Car) | Reads::CODES,
        &[code(CodeList::Any, 3), code(CodeList::Any, 90)],
    );
    check("!(fault(4) && !alarm(90))", "fault(4) alarm(90)", Reads::CODES, &[code(CodeList::Alarm, 90)]);
    check(
        "event(40) == passenger",
        "event(40) passenger",
        Reads::CODES | Reads::field(Field::Passenger),
        &[code(CodeList::Event, 40)],
    );
    check(
        "condition('trapped') || extras['vibration_mg'] > 1 || open('other')",
        "condition('trapped') extras['vibration_mg'] open('other')",
        Reads::CONDITIONS | Reads::EXTRAS | Reads::OPEN,
        &[CodeTerm::Condition("trapped".into())],
    );
}

#[test]
fn evidence_is_written_as_conditions_are() {
    let subject = Subject {
        fields: BTreeMap::from([
            (Field::Car, Value::Int(1)),
            (Field::Floor, Value::Int(-2)),
            (Field::Passenger, Value::Bool(true)),
        ]),
        codes: BTreeMap::from([((CodeList::Any, 3), Tri::True)]),
        vibration: Some(4.5),
        ..Subject::default()
    };
    let expr = compiled(
        "car == STOPPED && floor < 0 && passenger && door == OPEN && code(3) && extras['vibration_mg'] > 4 && open('other')",
    );
    let written: Vec<String> =
        expr.unwrap().terms().iter().map(|term| format!("{term}={}", term.value(&subject))).collect();
    assert_eq!(
        written.join(" "),
        "car=STOPPED floor=-2 passenger=true door=unknown code(3)=true extras['vibration_mg']=4.5 open('other')=false"
    );
}

#[test]
fn faults_point_at_the_culprit() {
    for (text, at, part) in [
        ("passenger && dor == OPEN", 13, "did you mean `door`"),
        ("// 困人 comment\n passenger && cod (3)", 32, "did you mean `code`"),
        ("passenger && && car", 13, "`&&` doesn't belong here"),
        ("// 困人\npassenger &", 20, "for and, write `&&`"),
        ("car = STOPPED", 4, "to compare, write `==`"),
        ("condition('trapped", 10, "not closed"),
        ("(passenger", 10, "missing `)`"),
        ("passenger &&", 12, "ends too early"),
        ("floor == 99999999999999999999", 9, "this number is too large"),
        ("  ", 0, "empty"),
        ("passenger.door.car && true", 0, "unknown field `passenger.door.car`"),
    ] {
        let faults = compiled(text).unwrap_err();
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        assert_eq!(faults[0].at, at, "{text}: {faults:?}");
        assert!(faults[0].message.contains(part), "{text}: {faults:?}");
    }
}

#[test]
fn faults_are_told_in_our_own_words() {
    for text in [
        "extras[",
        "extras[]",
        "extras['a'",
        "passenger.",
        "device..district",
        "floor == 0x",
        "floor == 1e999999",
        "floor == 1u",
        "floor == 0xffffffffffffffffff",
        "floor in",
        "in [1]",
        "x{",
        "{",
        "if",
        "for && passenger",
        "'\\q' == ''",
        "b'\\q' == b''",
        "passenger ? true",
        "passenger ? : true",
        "code(",
        "code(,)",
        "a.?b",
        "?",
        "`a`",
        "\u{1f600}",
        "1 2",
        ")",
        "-",
        "!",
    ] {
        for Fault { message, .. } in compiled(text).unwrap_err() {
            let words =
                ["Context", "literal", "Error", "Syntax", "Incomplete", "No `", "limit", "expecting", "unsupported"];
            assert!(!words.iter().any(|word| message.contains(word)), "{text}: {message}");
        }
    }
}

#[test]
fn long_and_deep_texts_are_refused_before_they_cost_anything() {
    let many = |part: &str, n: usize| part.repeat(n);
    for text in [
        many("passenger || ", 200) + "passenger",
        many("(", 33) + "passenger" + &many(")", 33),
        many("!(", 33) + "passenger" + &many(")", 33),
        many("passenger == ", 100) + "passenger",
        many("floor + ", 200) + "1 == 1",
        many("a.", 1_000) + "a",
        many("passenger ? true : ", 105) + "false",
        many("[", 2_000),
        many("a<", 1_000) + "b",
        many("-", 2_000) + "a",
        many("(passenger == ", 33) + "passenger" + &many(")", 33),
    ] {
        assert!(!compiled(&text).unwrap_err().is_empty(), "{text}");
    }
    assert!(compiled(&(many("(", 32) + "passenger" + &many(")", 32))).is_ok());
    assert!(compiled(&(many("passenger && ", 150) + "passenger")).is_ok());
    // What only looks like the beginning of a text hides no brackets.
    for before in ["// it's\n", "'\\'' == '' || ", "r'\\' == '' || ", "'''it's''' == '' || ", "b'\"' == b'' || "] {
        let text = before.to_owned() + &many("(", 33) + "passenger" + &many(")", 33);
        let faults = compiled(&text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.message.starts_with("nested deeper")), "{text}: {faults:?}");
    }
    assert!(compiled(&format!("passenger // it's {}\n && door_zone", many("(", 100))).is_ok());
    // Brackets in a text are not nesting.
    assert!(
        compiled(&format!("condition('{}')", many("(", 100))).unwrap_err()[0].message.starts_with("unknown condition")
    );
}

/// A value as the slow evaluator sees it; nothing in common with the compiled form.
#[derive(Debug, Clone, PartialEq)]
enum Slow {
    Truth(Option<bool>),
    Number(Option<f64>),
    Name(Option<String>),
}

fn slow(node: &IdedExpr, subject: &Subject) -> Slow {
    match &node.expr {
        Cel::Literal(LiteralValue::Boolean(value)) => Slow::Truth(Some(*value.inner())),
        Cel::Literal(LiteralValue::Int(value)) => Slow::Number(Some(*value.inner() as f64)),
        Cel::Literal(LiteralValue::Double(value)) => Slow::Number(Some(*value.inner())),
        Cel::Ident(name) => slow_name(name, subject),
        Cel::Call(call) => slow_call(&call.func_name, &call.args, subject),
        other => panic!("the generator made {other:?}"),
    }
}

fn slow_name(name: &str, subject: &Subject) -> Slow {
    let Some(field) = Field::from_name(Family::Elevator, name) else { return Slow::Name(Some(name.to_owned())) };
    match (subject.field(field), field.field_type()) {
        (Value::Bool(value), _) => Slow::Truth(Some(value)),
        (Value::Int(value), Type::Enum(words)) => Slow::Name(words.constant(value)),
        (Value::Int(value), _) => Slow::Number(Some(value as f64)),
        (_, Type::Bool) => Slow::Truth(None),
        (_, Type::Int) => Slow::Number(None),
        (_, Type::Enum(_)) => Slow::Name(None),
    }
}

fn slow_call(function: &str, args: &[IdedExpr], subject: &Subject) -> Slow {
    let known = |tri: Tri| Slow::Truth((!tri.is_unknown()).then_some(tri.is_true()));
    if let Some(list) = CodeList::from_name(function) {
        let Slow::Number(Some(code)) = slow(&args[0], subject) else { panic!("code without a number") };
        return known(subject.code(list, code as u32));
    }
    match function {
        "condition" => return Slow::Truth(subject.trapped),
        "open" => return Slow::Truth(Some(subject.other_open)),
        operators::INDEX => return Slow::Number(subject.vibration),
        operators::IN => {
            let Cel::List(list) = &args[1].expr else { panic!("`in` without a list") };
            let left = slow(&args[0], subject);
            let hits = list.elements.iter().map(|element| slow_equal(&left, &slow(element, subject)));
            return Slow::Truth(hits.fold(Some(false), slow_or));
        }
        _ => {}
    }
    let values: Vec<Slow> = args.iter().map(|arg| slow(arg, subject)).collect();
    Slow::Truth(match (function, values.as_slice()) {
        (operators::LOGICAL_NOT, [Slow::Truth(value)]) => value.map(|v| !v),
        (operators::LOGICAL_OR, [Slow::Truth(left), Slow::Truth(right)]) => slow_or(*left, *right),
        (operators::LOGICAL_AND, [Slow::Truth(left), Slow::Truth(right)]) => {
            slow_or(left.map(|v| !v), right.map(|v| !v)).map(|v| !v)
        }
        (operators::EQUALS, [left, right]) => slow_equal(left, right),
        (operators::NOT_EQUALS, [left, right]) => slow_equal(left, right).map(|v| !v),
        (operator, [Slow::Number(left), Slow::Number(right)]) => left.zip(*right).map(|(l, r)| match operator {
            operators::LESS => l < r,
            operators::LESS_EQUALS => l <= r,
            operators::GREATER => l > r,
            operators::GREATER_EQUALS => l >= r,
            other => panic!("the generator made {other}"),
        }),
        other => panic!("the generator made {other:?}"),
    })
}

fn slow_or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

fn slow_equal(left: &Slow, right: &Slow) -> Option<bool> {
    match (left, right) {
        (Slow::Truth(left), Slow::Truth(right)) => left.zip(*right).map(|(l, r)| l == r),
        (Slow::Number(left), Slow::Number(right)) => left.zip(*right).map(|(l, r)| l == r),
        (Slow::Name(Some(left)), Slow::Name(Some(right))) => Some(left == right),
        (Slow::Name(_), Slow::Name(_)) => None,
        other => panic!("the generator compared {other:?}"),
    }
}

const NAMES: [(Field, Words); 3] = [(Field::Car, Words::Car), (Field::Door, Words::Door), (Field::Mode, Words::Mode)];

/// A well-typed condition.
fn condition() -> impl Strategy<Value = String> {
    let constant = |words: Words| prop::sample::select(words.constants());
    let name = prop::sample::select(NAMES.to_vec());
    let is_name = (name.clone(), prop::sample::select(vec!["==", "!="]), any::<bool>()).prop_flat_map(
        move |((field, words), operator, swapped)| {
            constant(words).prop_map(move |constant| match swapped {
                true => format!("{constant} {operator} {}", field.name()),
                false => format!("{} {operator} {constant}", field.name()),
            })
        },
    );
    let in_names = name.prop_flat_map(move |(field, words)| {
        prop::collection::vec(constant(words), 1..4)
            .prop_map(move |constants| format!("{} in [{}]", field.name(), constants.join(", ")))
    });
    let variable = prop::sample::select(vec!["floor", "load_kg", "extras['vibration_mg']"]);
    let number = prop_oneof![(-3..4_i32).prop_map(|n| n.to_string()), (-3..4_i32).prop_map(|n| format!("{n}.5"))];
    let relation = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let sides = prop_oneof![
        (variable.clone(), number.clone()).prop_map(|(v, n)| (v.to_owned(), n)),
        (variable.clone(), number.clone()).prop_map(|(v, n)| (n, v.to_owned())),
        (variable.clone(), variable.clone()).prop_map(|(v, w)| (v.to_owned(), w.to_owned())),
    ];
    let is_number = (sides, relation).prop_map(|((left, right), relation)| format!("{left} {relation} {right}"));
    let in_numbers = (variable, prop::collection::vec(number, 1..4))
        .prop_map(|(variable, numbers)| format!("{variable} in [{}]", numbers.join(", ")));
    let code = (prop::sample::select(CodeList::ALL.to_vec()), prop::sample::select(vec![3, 90]))
        .prop_map(|(list, code)| format!("{}({code})", list.name()));
    let plain = prop::sample::select(vec![
        "passenger",
        "door_zone",
        "door_shut",
        "true",
        "false",
        "condition('trapped')",
        "open('other')",
    ]);
    let leaf = prop_oneof![plain.prop_map(str::to_owned), is_name, in_names, is_number, in_numbers, code];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| format!("!({part})")),
            (prop::collection::vec(inner.clone(), 2..5), prop::sample::select(vec!["&&", "||"]))
                .prop_map(|(parts, operator)| format!("({})", parts.join(&format!(") {operator} (")))),
            (inner.clone(), prop::sample::select(vec!["==", "!="]), inner)
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
        ]
    })
}

fn subject() -> impl Strategy<Value = Subject> {
    let truth = || prop::option::of(any::<bool>().prop_map(Value::Bool));
    let number = || prop::option::of((-3..4_i64).prop_map(Value::Int));
    let named = |words: Words| {
        let numbers: Vec<i64> = words.pairs().into_iter().map(|(_, number)| number).collect();
        prop::option::of(prop::sample::select(numbers).prop_map(Value::Int))
    };
    let fields =
        (truth(), truth(), truth(), number(), number(), named(Words::Car), named(Words::Door), named(Words::Mode))
            .prop_map(|(passenger, zone, shut, floor, load, car, door, mode)| {
                [
                    (Field::Passenger, passenger),
                    (Field::DoorZone, zone),
                    (Field::DoorShut, shut),
                    (Field::Floor, floor),
                    (Field::LoadKg, load),
                    (Field::Car, car),
                    (Field::Door, door),
                    (Field::Mode, mode),
                ]
            });
    let codes = prop::collection::vec(prop::option::of(any::<bool>()), 8);
    let vibration = prop::option::of((-6..8_i32).prop_map(|halves| f64::from(halves) / 2.0));
    (fields, codes, prop::option::of(any::<bool>()), vibration, any::<bool>()).prop_map(
        |(fields, codes, trapped, vibration, other_open)| Subject {
            fields: fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect(),
            codes: CodeList::ALL
                .iter()
                .flat_map(|list| [(*list, 3), (*list, 90)])
                .zip(codes.into_iter().map(Tri::from))
                .collect(),
            trapped,
            vibration,
            other_open,
        },
    )
}

proptest! {
    #[test]
    fn the_compiled_form_agrees_with_a_slow_evaluator(text in condition(), subject in subject()) {
        // Two constants side by side, as in `(true) == (false)`, are fine; long texts are refused, rightly.
        prop_assume!(text.len() <= crate::limits::CONDITION_TEXT_BYTES);
        let expr = compiled(&text).map_err(|faults| TestCaseError::fail(format!("{text}: {faults:?}")))?;
        let tree = parse::parse(&text).unwrap();
        let Slow::Truth(expected) = slow(&tree.root, &subject) else { panic!("{text} is no condition") };
        prop_assert_eq!(expr.eval(&subject), Tri::from(expected), "{}", text);
    }

    /// Learning more never turns true into false: what is decided with some things unknown stays decided.
    #[test]
    fn knowing_more_overturns_nothing(text in condition(), subject in subject(), hidden in any::<prop::sample::Index>()) {
        prop_assume!(text.len() <= crate::limits::CONDITION_TEXT_BYTES && !subject.fields.is_empty());
        let expr = compiled(&text).unwrap();
        let mut knows_less = subject.clone();
        let field = *subject.fields.keys().nth(hidden.index(subject.fields.len())).unwrap();
        knows_less.fields.remove(&field);
        let before = expr.eval(&knows_less);
        if !before.is_unknown() {
            prop_assert_eq!(expr.eval(&subject), before, "{} without {:?}", text, field);
        }
    }

    /// Spaces, brackets and the notation of a set are not part of what a condition means.
    #[test]
    fn fingerprints_see_the_meaning_only(text in condition()) {
        let written = |text: &str| compiled(text).unwrap().canonical(&["vibration_mg".into()], &["other"; 8]).to_string();
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        prop_assume!(spaced.len() <= crate::limits::CONDITION_TEXT_BYTES - 2);
        prop_assert_eq!(written(&text), written(&format!("({spaced})")));
    }

    #[test]
    fn nonsense_is_refused_with_a_place(parts in prop::collection::vec(prop::sample::select(FRAGMENTS.to_vec()), 0..24)) {
        let text = parts.concat();
        if let Err(faults) = compiled(&text) {
            prop_assert!(!faults.is_empty(), "{}", text);
            for fault in faults {
                prop_assert!(text.get(fault.at..).is_some(), "{}: {:?}", text, fault);
            }
        }
    }

    #[test]
    fn any_text_is_refused_or_taken(text in "\\PC{0,64}") {
        let _ = compiled(&text).map_err(|faults| assert!(faults.iter().all(|fault| text.get(fault.at..).is_some())));
    }
}

const FRAGMENTS: &[&str] = &[
    "passenger",
    "car",
    "STOPPED",
    "door",
    "floor",
    "extras",
    "code",
    "open",
    "condition",
    "has",
    "device",
    "equipment",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<",
    ">=",
    " in ",
    ".",
    ",",
    "?",
    ":",
    "-",
    "+",
    "*",
    "%",
    "/",
    "//",
    "'",
    "\"",
    "'trapped'",
    "'other'",
    "1",
    "0",
    "-3",
    "4.5",
    "1e999",
    "7u",
    "0x1f",
    "b'x'",
    "r'x'",
    "null",
    "true",
    "all",
    "map",
    "x",
    " ",
    "\n",
    "\r\n",
    "\t",
    "困",
    "😀",
    "\\",
    "`",
    "=",
    "&",
    "|",
    "@",
    "\u{0}",
];
