//! Conditions: CEL syntax, parsed by a library, checked against the schema of a family, evaluated by ourselves with
//! three values. Evaluating allocates nothing.

mod check;
mod eval;
mod parse;
mod suggest;

#[cfg(test)]
mod tests;

use std::fmt;

use eval::{Canonical, Node};

use super::schema::{CodeList, Field, Type};
use super::{Fold, RuleIx};
use crate::model::ids::{District, RuleId};

pub(super) use check::{Scope, Silence, compile};
pub use suggest::did_you_mean;

/// A fault in a condition: a byte offset into its text, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
}

/// Kleene's three values: unknown is neither true nor false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tri {
    False,
    Unknown,
    True,
}

impl Tri {
    pub fn is_true(self) -> bool {
        self == Self::True
    }

    pub fn is_false(self) -> bool {
        self == Self::False
    }

    pub fn is_unknown(self) -> bool {
        self == Self::Unknown
    }
}

impl From<bool> for Tri {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl From<Option<bool>> for Tri {
    fn from(value: Option<bool>) -> Self {
        value.map_or(Self::Unknown, Self::from)
    }
}

impl std::ops::Not for Tri {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::Unknown => Self::Unknown,
            Self::False => Self::True,
        }
    }
}

/// What a field holds just now. Enums are the number that `Words` gives their names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Unknown,
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Into::into)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// Where conditions read from: the state of one subject. What it has nothing of is not known.
pub trait Facts {
    fn field(&self, field: Field) -> Value;

    fn code(&self, _list: CodeList, _code: u32) -> Tri {
        Tri::Unknown
    }

    fn condition(&self, _name: &str) -> Tri {
        Tri::Unknown
    }

    /// Whether the archive has it in that district or within.
    fn in_district(&self, _district: &District) -> Tri {
        Tri::Unknown
    }

    /// By its index in `RuleSet::extras`.
    fn extra(&self, _extra: u16) -> Option<f64> {
        None
    }

    /// By its index in `RuleSet::windows`; `None` while no value lies in it.
    fn window(&self, _window: u16, _fold: Fold) -> Option<f64> {
        None
    }

    /// Whether that rule's alert is open for the same subject.
    fn is_open(&self, rule: RuleIx) -> bool;
}

/// A checked condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    root: Node,
    reads: Reads,
    /// In the order of the text, without repeats.
    terms: Box<[Term]>,
    raising: Box<[CodeTerm]>,
    /// Ascending, without repeats.
    silences_ms: Box<[i64]>,
}

impl Expr {
    pub fn eval<F: Facts>(&self, facts: &F) -> Tri {
        self.root.eval(facts)
    }

    /// Whatever changes its value is in here.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// The values it reads, in the order of its text, without repeats: what evidence is made of.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Its one way to be written, whatever its spaces and brackets were. `extras` and `rules` are the names by index.
    pub(super) fn canonical<'a>(&'a self, extras: &'a [Box<str>], rules: &'a [&'a str]) -> Canonical<'a> {
        Canonical { node: &self.root, extras, rules }
    }

    /// How long a silence has lasted when it may change by that alone. Ascending.
    pub fn silences_ms(&self) -> &[i64] {
        &self.silences_ms
    }

    /// The codes and conditions whose appearing can make it true.
    pub fn raising(&self) -> &[CodeTerm] {
        &self.raising
    }
}

/// A code or condition that a rule waits for: a frame that carries it can't clear the rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeTerm {
    Code(CodeList, u32),
    Condition(Box<str>),
}

impl CodeTerm {
    /// Whether it waits for what `occurred` says happened, in one list.
    pub fn waits_for(&self, occurred: &Self) -> bool {
        match (self, occurred) {
            (Self::Code(list, code), Self::Code(in_list, occurred)) => {
                code == occurred && (*list == CodeList::Any || list == in_list)
            }
            (Self::Condition(name), Self::Condition(occurred)) => name == occurred,
            _ => false,
        }
    }
}

impl fmt::Display for CodeTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(list, code) => write!(f, "{}({code})", list.name()),
            Self::Condition(name) => write!(f, "condition('{name}')"),
        }
    }
}

/// One value that a condition reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    Field(Field),
    Code(CodeList, u32),
    Condition(Box<str>),
    District(District),
    Extra(u16, Box<str>),
    Window { window: u16, fold: Fold, extra: Box<str>, span_ms: u32 },
    Open(RuleIx, RuleId),
}

impl Term {
    /// As conditions write it: `passenger`, `code(3)`, `extras['vibration_mg']`.
    pub fn name(&self) -> Box<str> {
        self.to_string().into()
    }

    /// Its value as conditions write it: `true`, `STOPPED`, `4.5`; `unknown` where it is not known.
    pub fn value<F: Facts>(&self, facts: &F) -> Box<str> {
        match self {
            Self::Field(field) => field_value(*field, facts.field(*field)),
            Self::Code(list, code) => facts.code(*list, *code).to_string().into(),
            Self::Condition(name) => facts.condition(name).to_string().into(),
            Self::District(district) => facts.in_district(district).to_string().into(),
            Self::Extra(extra, _) => facts.extra(*extra).map_or("unknown".into(), |v| v.to_string().into()),
            Self::Window { window, fold, .. } => {
                facts.window(*window, *fold).map_or("unknown".into(), |v| v.to_string().into())
            }
            Self::Open(rule, _) => Tri::from(facts.is_open(*rule)).to_string().into(),
        }
    }

    fn reads(&self) -> Reads {
        match self {
            Self::Field(field) => Reads::field(*field),
            Self::Code(..) => Reads::CODES,
            Self::Condition(_) => Reads::CONDITIONS,
            Self::District(_) => Reads::field(Field::DeviceRegistered),
            Self::Extra(..) | Self::Window { .. } => Reads::EXTRAS,
            Self::Open(..) => Reads::OPEN,
        }
    }
}

fn field_value(field: Field, value: Value) -> Box<str> {
    match (value, field.field_type()) {
        (Value::Unknown, _) => "unknown".into(),
        (Value::Int(number), Type::Enum(words)) => words.constant(number).map_or("unknown".into(), Into::into),
        (Value::Bool(value), _) => value.to_string().into(),
        (Value::Int(value), _) => value.to_string().into(),
        (Value::Float(value), _) => value.to_string().into(),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Code(list, code) => write!(f, "{}({code})", list.name()),
            Self::Condition(name) => write!(f, "condition('{name}')"),
            Self::District(district) => write!(f, "in_district('{district}')"),
            Self::Extra(_, name) => write!(f, "extras['{name}']"),
            Self::Window { fold, extra, span_ms, .. } => {
                write!(f, "{}(extras['{extra}'], '{}s')", fold.name(), span_ms / 1_000)
            }
            Self::Open(_, rule) => write!(f, "open('{rule}')"),
        }
    }
}

impl fmt::Display for Tri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        })
    }
}

/// A set of what conditions read, so that a rule is judged only when something it reads has changed.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads(u64);

impl Reads {
    pub const NONE: Self = Self(0);
    /// Whatever there is to read.
    pub const ALL: Self = Self(u64::MAX);
    /// An occurrence of something that a counting rule counts.
    pub const COUNTED: Self = Self(1 << 59);
    /// Any code, in whichever list.
    pub const CODES: Self = Self(1 << 60);
    pub const CONDITIONS: Self = Self(1 << 61);
    /// Any of the extras that some rule reads.
    pub const EXTRAS: Self = Self(1 << 62);
    /// Whether an alert is open.
    pub const OPEN: Self = Self(1 << 63);

    pub const fn field(field: Field) -> Self {
        Self(1 << field as u8)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn touches(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Reads {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl std::ops::BitOrAssign for Reads {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.and(other);
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = Field::ALL.iter().map(|field| (Self::field(*field), field.name()));
        let rest = [
            (Self::COUNTED, "counted"),
            (Self::CODES, "codes"),
            (Self::CONDITIONS, "conditions"),
            (Self::EXTRAS, "extras"),
            (Self::OPEN, "open"),
        ];
        f.debug_set().entries(fields.chain(rest).filter(|(bit, _)| self.touches(*bit)).map(|(_, name)| name)).finish()
    }
}
