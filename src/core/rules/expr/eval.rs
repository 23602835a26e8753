//! The compiled form of a condition and how it is evaluated.

use std::cmp::Ordering;
use std::fmt;

use super::{Facts, Tri, Value};
use crate::core::rules::schema::{CodeList, Field, Type};
use crate::core::rules::{Fold, RuleIx};
use crate::model::ids::District;

/// A checked condition: nothing in it can fail. The checker bounds its depth.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::core::rules) enum Node {
    Const(bool),
    /// A field that is true or false.
    Flag(Field),
    /// A field of named values holds one of those whose bits are set.
    OneOf(Field, u64),
    Compare(Operand, Relation, Operand),
    Code(CodeList, u32),
    Condition(Box<str>),
    District(District),
    Open(RuleIx),
    Not(Box<Node>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    /// Both are true or both are false.
    Same(Box<[Node; 2]>),
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::core::rules) enum Operand {
    Field(Field),
    Extra(u16),
    /// `window` is its place in `RuleSet::windows`; what it is of stands here as well.
    Window {
        window: u16,
        fold: Fold,
        extra: u16,
        span_ms: u32,
    },
    Int(i64),
    Float(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core::rules) enum Relation {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Relation {
    /// The same with its sides exchanged.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }

    pub(super) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::More => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

impl Node {
    pub(super) fn eval<F: Facts>(&self, facts: &F) -> Tri {
        match self {
            Self::Const(value) => Tri::from(*value),
            Self::Flag(field) => match facts.field(*field) {
                Value::Bool(value) => Tri::from(value),
                _ => Tri::Unknown,
            },
            Self::OneOf(field, bits) => match facts.field(*field) {
                Value::Int(number @ 0..64) => Tri::from(bits >> number & 1 == 1),
                _ => Tri::Unknown,
            },
            Self::Compare(left, relation, right) => compare(left.get(facts), *relation, right.get(facts)),
            Self::Code(list, code) => facts.code(*list, *code),
            Self::Condition(name) => facts.condition(name),
            Self::District(district) => facts.in_district(district),
            Self::Open(rule) => Tri::from(facts.is_open(*rule)),
            Self::Not(node) => !node.eval(facts),
            Self::All(nodes) => settle(nodes, facts, Tri::False),
            Self::Any(nodes) => settle(nodes, facts, Tri::True),
            Self::Same(pair) => match (pair[0].eval(facts), pair[1].eval(facts)) {
                (Tri::Unknown, _) | (_, Tri::Unknown) => Tri::Unknown,
                (left, right) => Tri::from(left == right),
            },
        }
    }
}

/// `decisive` settles the whole; else one unknown leaves it unknown; else it is the opposite.
fn settle<F: Facts>(nodes: &[Node], facts: &F, decisive: Tri) -> Tri {
    let mut result = !decisive;
    for node in nodes {
        let value = node.eval(facts);
        if value == decisive {
            return decisive;
        }
        if value == Tri::Unknown {
            result = Tri::Unknown;
        }
    }
    result
}

impl Operand {
    fn get<F: Facts>(self, facts: &F) -> Value {
        match self {
            Self::Field(field) => facts.field(field),
            Self::Extra(extra) => facts.extra(extra).map_or(Value::Unknown, Value::Float),
            Self::Window { window, fold, .. } => facts.window(window, fold).map_or(Value::Unknown, Value::Float),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
        }
    }
}

fn compare(left: Value, relation: Relation, right: Value) -> Tri {
    let ordering = match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
        (Value::Int(left), Value::Float(right)) => (left as f64).partial_cmp(&right),
        (Value::Float(left), Value::Int(right)) => left.partial_cmp(&(right as f64)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(&right),
        _ => None,
    };
    ordering.map(|ordering| relation.holds(ordering)).into()
}

/// Writes a condition in one form, whatever its spaces, brackets and notation were: what fingerprints are taken of.
pub(in crate::core::rules) struct Canonical<'a> {
    pub(super) node: &'a Node,
    pub(super) extras: &'a [Box<str>],
    /// By index.
    pub(super) rules: &'a [&'a str],
}

impl fmt::Display for Canonical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Node::Const(value) => write!(f, "{value}"),
            Node::Flag(field) => f.write_str(field.name()),
            Node::OneOf(field, bits) => write_one_of(f, *field, *bits),
            Node::Compare(left, relation, right) => {
                self.operand(f, *left)?;
                write!(f, " {relation} ")?;
                self.operand(f, *right)
            }
            Node::Code(list, code) => write!(f, "{}({code})", list.name()),
            Node::Condition(name) => write!(f, "condition('{name}')"),
            Node::District(district) => write!(f, "in_district('{district}')"),
            Node::Open(rule) => write!(f, "open('{}')", self.rules[usize::from(*rule)]),
            Node::Not(node) => write!(f, "!({})", self.with(node)),
            Node::All(nodes) => self.joined(f, nodes, " && "),
            Node::Any(nodes) => self.joined(f, nodes, " || "),
            Node::Same(pair) => self.joined(f, pair.as_slice(), " == "),
        }
    }
}

impl<'a> Canonical<'a> {
    fn with(&self, node: &'a Node) -> Self {
        Self { node, ..*self }
    }

    fn joined(&self, f: &mut fmt::Formatter<'_>, nodes: &'a [Node], word: &str) -> fmt::Result {
        for (n, node) in nodes.iter().enumerate() {
            let word = if n == 0 { "" } else { word };
            write!(f, "{word}({})", self.with(node))?;
        }
        Ok(())
    }

    fn operand(&self, f: &mut fmt::Formatter<'_>, operand: Operand) -> fmt::Result {
        match operand {
            Operand::Field(field) => f.write_str(field.name()),
            Operand::Extra(extra) => write!(f, "extras['{}']", self.extras[usize::from(extra)]),
            Operand::Window { fold, extra, span_ms, .. } => {
                write!(f, "{}(extras['{}'], {span_ms})", fold.name(), self.extras[usize::from(extra)])
            }
            Operand::Int(value) => write!(f, "{value}"),
            Operand::Float(value) => write!(f, "{value:?}"),
        }
    }
}

fn write_one_of(f: &mut fmt::Formatter<'_>, field: Field, bits: u64) -> fmt::Result {
    let Type::Enum(words) = field.field_type() else { return write!(f, "{} in {bits:#x}", field.name()) };
    let chosen: Vec<String> = (0..64).filter(|n| bits >> n & 1 == 1).filter_map(|n| words.constant(n)).collect();
    write!(f, "{} in [{}]", field.name(), chosen.join(", "))
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        })
    }
}
