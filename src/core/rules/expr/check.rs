//! Type-checks a syntax tree against a family's schema and compiles it. Finds all faults of a condition at once.

mod comparison;
mod functions;
mod raising;
mod silence;

use std::collections::BTreeMap;

use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue, operators};

use self::comparison::{negated, relation};
pub(in crate::core::rules) use self::silence::Silence;
use super::eval::{Node, Operand};
use super::parse::{self, Syntax};
use super::suggest::did_you_mean;
use super::{Expr, Fault, Reads, Term};
use crate::core::rules::schema::{CodeList, Family, Field, Type, Words};
use crate::core::rules::{Fold, RuleIx, Window};
use crate::limits;
use crate::model::ids::RuleId;

/// What a condition may refer to beside its family's fields.
pub(in crate::core::rules) struct Scope<'a> {
    pub(in crate::core::rules) family: Family,
    /// The rule that the condition belongs to, where its id could be read.
    pub(in crate::core::rules) own: Option<&'a RuleId>,
    pub(in crate::core::rules) rules: &'a BTreeMap<RuleId, (RuleIx, Option<Family>)>,
    /// Grows by the extras that the condition names.
    pub(in crate::core::rules) extras: &'a mut Vec<Box<str>>,
    /// Grows by the windows that the condition names.
    pub(in crate::core::rules) windows: &'a mut Vec<Window>,
    /// What it waits for is counted: it may be nothing but codes and conditions.
    pub(in crate::core::rules) is_counted: bool,
    /// What a silence that goes on may make of it.
    pub(in crate::core::rules) silence: Silence,
    /// Whether it is told which rule may have been meant.
    pub(in crate::core::rules) has_hints: bool,
}

pub(in crate::core::rules) fn compile(text: &str, scope: &mut Scope<'_>) -> Result<Expr, Vec<Fault>> {
    let syntax = parse::parse(text).map_err(|fault| vec![fault])?;
    let mut checker = Checker { syntax: &syntax, scope, terms: Vec::new(), silences: Vec::new(), faults: Vec::new() };
    let root = checker.condition(&syntax.root, 0);
    if checker.scope.is_counted && checker.faults.is_empty() {
        checker.check_counted();
    }
    if let (Some(root), true) = (&root, checker.faults.is_empty()) {
        checker.check_silence(root);
    }
    let silences_ms = checker.silences_ms();
    let Checker { terms, faults, .. } = checker;
    match root {
        Some(root) if faults.is_empty() => {
            let reads = terms.iter().fold(Reads::NONE, |all, term| all | term.reads());
            Ok(Expr { raising: raising::raising(&root), root, reads, terms: terms.into(), silences_ms })
        }
        _ => Err(faults),
    }
}

struct Checker<'c, 's> {
    syntax: &'c Syntax<'c>,
    scope: &'c mut Scope<'s>,
    terms: Vec<Term>,
    /// Where silence is compared with a number, and which second of it makes the difference; in the order of the text.
    silences: Vec<(usize, i64)>,
    faults: Vec<Fault>,
}

/// One side of a comparison.
enum Side {
    /// A field of named values.
    Names(Field, Words),
    Number(Operand),
    /// A word in upper case that is no field: a value of some field's names.
    Constant(String),
    Text,
    Truth(Node),
}

impl Checker<'_, '_> {
    fn fault<T>(&mut self, at: usize, message: impl Into<String>) -> Option<T> {
        self.faults.push(Fault { at, message: message.into() });
        None
    }

    /// Reports a fault at the start of `node`.
    fn reject<T>(&mut self, node: &IdedExpr, message: impl Into<String>) -> Option<T> {
        let at = self.syntax.start(node);
        self.fault(at, message)
    }

    fn term(&mut self, term: Term) {
        if !self.terms.contains(&term) {
            self.terms.push(term);
        }
    }

    fn condition(&mut self, node: &IdedExpr, depth: usize) -> Option<Node> {
        if depth > DEEPEST {
            return self.reject(node, parse::too_deep());
        }
        if let Cel::Call(call) = &node.expr
            && call.target.is_none()
        {
            match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::LOGICAL_AND, _) => return self.chain(node, operators::LOGICAL_AND, depth).map(Node::All),
                (operators::LOGICAL_OR, _) => return self.chain(node, operators::LOGICAL_OR, depth).map(Node::Any),
                (operators::LOGICAL_NOT, [inner]) => return Some(negated(self.condition(inner, depth + 1)?)),
                _ => {}
            }
        }
        match self.side(node, depth)? {
            Side::Truth(truth) => Some(truth),
            Side::Names(field, words) => {
                let example = words.constants().swap_remove(0);
                let name = field.name();
                self.reject(node, format!("`{name}` is not true or false; compare it, as in `{name} == {example}`"))
            }
            Side::Number(_) => self.reject(node, "a number is not true or false; compare it, as in `… > 0`"),
            Side::Constant(name) => self.reject(node, self.lone_constant(&name)),
            Side::Text => self.reject(node, "a text is not true or false"),
        }
    }

    /// Only what comes and goes by itself can be counted.
    fn check_counted(&mut self) {
        let mut parts = Vec::new();
        flatten(&self.syntax.root, operators::LOGICAL_OR, &mut parts);
        for part in &parts {
            if !matches!(&part.expr, Cel::Call(call) if functions::is_counted(&call.func_name)) {
                let message = "with `count`, `when` is codes and conditions joined by `||`, as in `code(2) || code(3)`";
                self.reject::<()>(part, message);
            }
        }
        if parts.len() > limits::COUNTED_TERMS {
            let most = limits::COUNTED_TERMS;
            self.fault::<()>(0, format!("more than {most} codes and conditions are counted: split the rule"));
        }
    }

    /// All parts of `a && b && c`, which the parser nests in pairs.
    fn chain(&mut self, node: &IdedExpr, operator: &str, depth: usize) -> Option<Box<[Node]>> {
        let mut parts = Vec::new();
        flatten(node, operator, &mut parts);
        let nodes: Vec<Option<Node>> = parts.into_iter().map(|part| self.condition(part, depth + 1)).collect();
        nodes.into_iter().collect()
    }

    fn side(&mut self, node: &IdedExpr, depth: usize) -> Option<Side> {
        if depth > DEEPEST {
            return self.reject(node, parse::too_deep());
        }
        match &node.expr {
            Cel::Literal(literal) => self.literal(node, literal),
            Cel::Ident(_) | Cel::Select(_) => self.named(node),
            Cel::Call(call) => self.call(node, call, depth),
            Cel::List(_) => self.reject(node, "a list stands only on the right of `in`"),
            Cel::Comprehension(_) => self.reject(node, "conditions have no loops (`all`, `exists`, `map`, `filter`)"),
            Cel::Map(_) | Cel::Struct(_) => self.reject(node, "conditions have no maps and no messages"),
            Cel::Unspecified => self.reject(node, "this can't be read"),
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> Option<Side> {
        match literal {
            LiteralValue::Boolean(value) => Some(Side::Truth(Node::Const(*value.inner()))),
            LiteralValue::Int(value) => Some(Side::Number(Operand::Int(*value.inner()))),
            LiteralValue::Double(value) if value.inner().is_finite() => {
                Some(Side::Number(Operand::Float(*value.inner())))
            }
            LiteralValue::Double(_) => self.reject(node, "this number is too large"),
            LiteralValue::UInt(_) => self.reject(node, "write numbers without `u`"),
            LiteralValue::String(_) => Some(Side::Text),
            LiteralValue::Bytes(_) => self.reject(node, "conditions have no bytes"),
            LiteralValue::Null => {
                self.reject(node, "there is no null: what is not known makes a comparison unknown by itself")
            }
        }
    }

    fn named(&mut self, node: &IdedExpr) -> Option<Side> {
        if matches!(&node.expr, Cel::Select(select) if select.test) {
            return self.reject(node, "there is no `has`: what is not known makes a condition unknown by itself");
        }
        let Some(name) = path(node) else { return self.reject(node, "only `device.` has fields of its own") };
        if let Some(field) = Field::from_name(self.scope.family, &name) {
            self.term(Term::Field(field));
            return Some(match field.field_type() {
                Type::Bool => Side::Truth(Node::Flag(field)),
                Type::Int => Side::Number(Operand::Field(field)),
                Type::Enum(words) => Side::Names(field, words),
            });
        }
        if name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.chars().any(|c| c.is_ascii_lowercase()) {
            return Some(Side::Constant(name));
        }
        let message = self.unknown_field(&name);
        self.reject(node, message)
    }

    fn unknown_field(&self, name: &str) -> String {
        let family = self.scope.family;
        if functions::known(family).any(|function| function == name) {
            if Fold::from_name(name).is_some() {
                return format!("`{name}` is a function; write `{name}(extras['vibration_mg'], '5m')`");
            }
            let example = if CodeList::from_name(name).is_some() { "3" } else { "'…'" };
            return format!("`{name}` is a function; write `{name}({example})`");
        }
        if name == "extras" && family.has_codes() {
            return "`extras` is read by name, as in `extras['vibration_mg']`".to_owned();
        }
        if matches!(name, "device.district" | "district") && family.has_codes() {
            return "the district is asked for by its beginning, as in `in_district('6401')`".to_owned();
        }
        if let Some(other) = Field::ALL.iter().find(|field| field.name() == name) {
            let (own, other) = (family.name(), other.family().name());
            return format!("`{name}` is a field of {other} rules; this is a rule on {own}");
        }
        let upper = name.to_ascii_uppercase();
        if fields(family).any(|field| matches!(field.field_type(), Type::Enum(words) if words.number(&upper).is_some()))
        {
            return format!("unknown field `{name}`; did you mean `{upper}`?");
        }
        format!("unknown field `{name}`{}", did_you_mean(name, fields(family).map(Field::name)))
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr, depth: usize) -> Option<Side> {
        if call.target.is_some() {
            let at = self.syntax.offset(node).saturating_sub(call.func_name.len());
            return self.fault(at, format!("there is no method `{}`; functions stand alone", call.func_name));
        }
        if let Some(relation) = relation(&call.func_name)
            && let [left, right] = call.args.as_slice()
        {
            return self.comparison(node, left, relation, right, depth).map(Side::Truth);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
                self.condition(node, depth + 1).map(Side::Truth)
            }
            (operators::IN, [left, right]) => self.membership(left, right, depth).map(Side::Truth),
            (operators::INDEX, [base, index]) => self.extra(node, base, index).map(Side::Number),
            (operators::CONDITIONAL, _) => {
                let at = self.syntax.offset(node);
                self.fault(at, "conditions have no `? :`; write `(a && b) || (!a && c)`")
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO
                | operators::NEGATE,
                _,
            ) => {
                let at = self.syntax.offset(node);
                self.fault(at, "conditions don't calculate; write the result as a number")
            }
            (name, args) => match Fold::from_name(name).filter(|_| self.scope.family.has_codes()) {
                Some(fold) => self.window(node, fold, args).map(Side::Number),
                None => self.function(node, name, args).map(Side::Truth),
            },
        }
    }
}

/// A bracket in the text is at most two steps down the tree; `a == b == c` goes down without any.
const DEEPEST: usize = 2 * limits::CONDITION_NESTING;

fn fields(family: Family) -> impl Iterator<Item = Field> {
    Field::ALL.iter().copied().filter(move |field| field.family() == family)
}

fn flatten<'a>(node: &'a IdedExpr, operator: &str, parts: &mut Vec<&'a IdedExpr>) {
    match &node.expr {
        Cel::Call(call) if call.func_name == operator => call.args.iter().for_each(|a| flatten(a, operator, parts)),
        _ => parts.push(node),
    }
}

/// `device.equipment`, if the node spells a name.
fn path(node: &IdedExpr) -> Option<String> {
    let mut words = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Cel::Ident(name) => {
                words.push(name.as_str());
                words.reverse();
                return Some(words.join("."));
            }
            Cel::Select(select) if !select.test => {
                words.push(&select.field);
                node = &select.operand;
            }
            _ => return None,
        }
    }
}
