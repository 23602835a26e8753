//! Type-checks a syntax tree against a family's schema and compiles it. Finds all faults of a condition at once.

use std::collections::BTreeMap;

use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue, operators};

use super::eval::{Node, Operand, Relation};
use super::parse::{self, Syntax};
use super::suggest::did_you_mean;
use super::{CodeTerm, Expr, Fault, Reads, Term};
use crate::core::rules::RuleIx;
use crate::core::rules::schema::{self, CodeList, Family, Field, Type, Words};
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
}

pub(in crate::core::rules) fn compile(text: &str, scope: &mut Scope<'_>) -> Result<Expr, Vec<Fault>> {
    let syntax = parse::parse(text).map_err(|fault| vec![fault])?;
    let mut checker = Checker { syntax: &syntax, scope, terms: Vec::new(), faults: Vec::new() };
    let root = checker.condition(&syntax.root, 0);
    let Checker { terms, faults, .. } = checker;
    match root {
        Some(root) if faults.is_empty() => {
            let reads = terms.iter().fold(Reads::NONE, |all, term| all | term.reads());
            let mut raising = Vec::new();
            collect_raising(&root, Sign::Plain, &mut raising);
            raising.sort();
            raising.dedup();
            Ok(Expr { root, reads, terms: terms.into(), raising: raising.into() })
        }
        _ => Err(faults),
    }
}

struct Checker<'c, 's> {
    syntax: &'c Syntax<'c>,
    scope: &'c mut Scope<'s>,
    terms: Vec<Term>,
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
        if FUNCTIONS.iter().any(|(function, timed)| *function == name && (family.has_codes() || !timed)) {
            let example = if CodeList::from_name(name).is_some() { "3" } else { "'…'" };
            return format!("`{name}` is a function; write `{name}({example})`");
        }
        if name == "extras" && family.has_codes() {
            return "`extras` is read by name, as in `extras['vibration_mg']`".to_owned();
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
            (name, args) => self.function(node, name, args).map(Side::Truth),
        }
    }

    fn comparison(
        &mut self,
        node: &IdedExpr,
        left: &IdedExpr,
        relation: Relation,
        right: &IdedExpr,
        depth: usize,
    ) -> Option<Node> {
        let (left_side, right_side) = (self.side(left, depth + 1), self.side(right, depth + 1));
        let is_order = !matches!(relation, Relation::Equal | Relation::NotEqual);
        let at = self.syntax.offset(node);
        match (left_side?, right_side?) {
            (Side::Names(field, _), _) | (_, Side::Names(field, _)) if is_order => {
                self.fault(at, format!("the values of `{}` have no order; use `==`, `!=` or `in`", field.name()))
            }
            (Side::Truth(_), _) | (_, Side::Truth(_)) if is_order => {
                self.fault(at, "true and false have no order; use `==` or `!=`")
            }
            (Side::Names(field, words), other) => self.names(field, words, relation, right, other),
            (other, Side::Names(field, words)) => self.names(field, words, relation, left, other),
            (Side::Number(left), Side::Number(right)) => self.numbers(node, left, relation, right),
            (Side::Truth(left), Side::Truth(right)) => Some(same(left, relation == Relation::Equal, right)),
            (Side::Constant(name), _) => self.reject(left, self.lone_constant(&name)),
            (_, Side::Constant(name)) => self.reject(right, self.lone_constant(&name)),
            (Side::Text, _) => self.reject(left, "no field holds a text to compare with"),
            (_, Side::Text) => self.reject(right, "no field holds a text to compare with"),
            (Side::Number(_), Side::Truth(_)) => self.fault(at, "a number is compared with true or false"),
            (Side::Truth(_), Side::Number(_)) => self.fault(at, "true or false is compared with a number"),
        }
    }

    fn names(&mut self, field: Field, words: Words, relation: Relation, other: &IdedExpr, side: Side) -> Option<Node> {
        let number = self.constant(field, words, other, side)?;
        let node = Node::OneOf(field, 1 << number);
        Some(if relation == Relation::NotEqual { negated(node) } else { node })
    }

    /// The number that `side` has among the values of `field`.
    fn constant(&mut self, field: Field, words: Words, node: &IdedExpr, side: Side) -> Option<i64> {
        let (name, constants) = (field.name(), words.constants());
        let all = constants.join(", ");
        match side {
            Side::Constant(constant) => {
                if let Some(number) = words.number(&constant) {
                    return Some(number);
                }
                let message = if constant == UNKNOWN {
                    self.lone_constant(&constant)
                } else if let Some(owner) = self.owner(&constant) {
                    format!("`{constant}` is a value of `{owner}`; `{name}` is one of {all}")
                } else {
                    let hint = did_you_mean(&constant, constants.iter().map(String::as_str));
                    let hint = if hint.is_empty() { format!("; it is one of {all}") } else { hint };
                    format!("`{constant}` is not a value of `{name}`{hint}")
                };
                self.reject(node, message)
            }
            Side::Text => self.reject(node, format!("`{name}` is one of {all}, without quotes")),
            Side::Names(other, _) => {
                let message = format!("`{name}` is compared with `{}`; compare it with one of {all}", other.name());
                self.reject(node, message)
            }
            Side::Number(_) | Side::Truth(_) => self.reject(node, format!("`{name}` is one of {all}")),
        }
    }

    fn lone_constant(&self, constant: &str) -> String {
        if constant == UNKNOWN {
            return "nothing can be compared with UNKNOWN: that would itself be unknown, never true or false"
                .to_owned();
        }
        match self.owner(constant) {
            Some(field) => format!("`{constant}` is a value of `{field}`; write `{field} == {constant}`"),
            None => format!("unknown name `{constant}`"),
        }
    }

    /// The field of this family that has such a value.
    fn owner(&self, constant: &str) -> Option<&'static str> {
        fields(self.scope.family)
            .find(|field| matches!(field.field_type(), Type::Enum(words) if words.number(constant).is_some()))
            .map(Field::name)
    }

    fn numbers(&mut self, node: &IdedExpr, left: Operand, relation: Relation, right: Operand) -> Option<Node> {
        let fixed = |operand| matches!(operand, Operand::Int(_) | Operand::Float(_));
        if fixed(left) && fixed(right) {
            return self.reject(node, "both sides are fixed numbers: this never changes");
        }
        // Extras are floats. Two ways to write a number must not make two conditions.
        let alike = |operand, other| match (operand, other) {
            (Operand::Int(value), Operand::Extra(_)) => Operand::Float(value as f64),
            _ => operand,
        };
        Some(Node::Compare(alike(left, right), relation, alike(right, left)))
    }

    fn membership(&mut self, left: &IdedExpr, right: &IdedExpr, depth: usize) -> Option<Node> {
        let side = self.side(left, depth + 1);
        let Cel::List(list) = &right.expr else {
            return self.reject(right, "`in` wants a list, as in `mode in [INSPECTION, FIRE_RETURN]`");
        };
        if list.elements.is_empty() {
            return self.reject(right, "the list is empty: nothing is in it");
        }
        let elements: Vec<Option<Side>> = list.elements.iter().map(|e| self.side(e, depth + 1)).collect();
        let elements = list.elements.iter().zip(elements.into_iter().collect::<Option<Vec<_>>>()?);
        match side? {
            Side::Names(field, words) => {
                let numbers: Vec<Option<i64>> =
                    elements.map(|(node, side)| self.constant(field, words, node, side)).collect();
                let bits = numbers.into_iter().try_fold(0_u64, |bits, number| Some(bits | 1 << number?))?;
                Some(Node::OneOf(field, bits))
            }
            Side::Number(operand) => {
                let nodes: Vec<Option<Node>> = elements
                    .map(|(node, side)| match side {
                        Side::Number(element) => self.numbers(node, operand, Relation::Equal, element),
                        _ => self.reject(node, "a number is looked for among numbers"),
                    })
                    .collect();
                nodes.into_iter().collect::<Option<Vec<_>>>().map(|nodes| Node::Any(nodes.into()))
            }
            Side::Truth(_) | Side::Constant(_) | Side::Text => {
                self.reject(left, "only a number or a field of named values can be `in` a list")
            }
        }
    }

    fn extra(&mut self, node: &IdedExpr, base: &IdedExpr, index: &IdedExpr) -> Option<Operand> {
        if !self.scope.family.has_codes() || !matches!(&base.expr, Cel::Ident(name) if name == "extras") {
            return self
                .reject(node, "only `extras` of elevator rules is read by name, as in `extras['vibration_mg']`");
        }
        let name = self.text(index, "the name of an extra, as in `extras['vibration_mg']`")?;
        let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if name.is_empty() || name.len() > limits::EXTRA_NAME_BYTES || !name.bytes().all(fits) {
            let most = limits::EXTRA_NAME_BYTES;
            return self.reject(index, format!("an extra is named with 1 to {most} characters of a-z 0-9 _"));
        }
        let known = self.scope.extras.iter().position(|extra| **extra == *name);
        let at = known.unwrap_or_else(|| {
            self.scope.extras.push(name.as_str().into());
            self.scope.extras.len() - 1
        });
        let Ok(at) = u16::try_from(at) else { return self.reject(node, "the rules name too many extras") };
        self.term(Term::Extra(at, name.into()));
        Some(Operand::Extra(at))
    }

    fn function(&mut self, node: &IdedExpr, name: &str, args: &[IdedExpr]) -> Option<Node> {
        let has_codes = self.scope.family.has_codes();
        if !FUNCTIONS.iter().any(|(function, timed)| *function == name && (has_codes || !timed)) {
            let message = self.unknown_function(name);
            return self.reject(node, message);
        }
        let [arg] = args else {
            return self.reject(node, format!("`{name}` takes one argument, and has {}", args.len()));
        };
        match CodeList::from_name(name) {
            Some(list) => self.code(list, arg),
            None if name == "condition" => self.mapped_condition(arg),
            None => self.open(arg),
        }
    }

    fn unknown_function(&self, name: &str) -> String {
        let family = self.scope.family;
        if Field::from_name(family, name).is_some() {
            return format!("`{name}` is a field of {} rules, not a function", family.name());
        }
        if FUNCTIONS.iter().any(|(function, _)| *function == name) {
            return format!("`{name}` is a function of elevator rules; this is a rule on {}", family.name());
        }
        let known = FUNCTIONS.iter().filter(|(_, timed)| family.has_codes() || !timed).map(|(function, _)| *function);
        format!("unknown function `{name}`{}", did_you_mean(name, known))
    }

    fn code(&mut self, list: CodeList, arg: &IdedExpr) -> Option<Node> {
        let code = match &arg.expr {
            Cel::Literal(LiteralValue::Int(value)) => u32::try_from(*value.inner()).ok().filter(|code| *code > 0),
            _ => None,
        };
        let Some(code) = code else {
            let name = list.name();
            return self.reject(arg, format!("`{name}` takes a code as a number from 1, as in `{name}(3)`"));
        };
        self.term(Term::Code(list, code));
        Some(Node::Code(list, code))
    }

    fn mapped_condition(&mut self, arg: &IdedExpr) -> Option<Node> {
        let name = self.text(arg, "the name of a condition, as in `condition('trapped')`")?;
        if !schema::CONDITIONS.contains(&name.as_str()) {
            let all = schema::CONDITIONS.join(", ");
            let hint = did_you_mean(&name, schema::CONDITIONS.iter().copied());
            let hint = if hint.is_empty() { format!("; it is one of {all}") } else { hint };
            return self.reject(arg, format!("unknown condition `{name}`{hint}"));
        }
        self.term(Term::Condition(name.as_str().into()));
        Some(Node::Condition(name.into()))
    }

    fn open(&mut self, arg: &IdedExpr) -> Option<Node> {
        let name = self.text(arg, "the id of a rule, as in `open('trapped-in-zone')`")?;
        let known = RuleId::parse(&name).ok().and_then(|id| Some((self.scope.rules.get(&id).copied()?, id)));
        let Some(((rule, family), id)) = known else {
            let hint = did_you_mean(&name, self.scope.rules.keys().map(RuleId::as_str));
            return self.reject(arg, format!("unknown rule `{name}`{hint}"));
        };
        if self.scope.own == Some(&id) {
            return self.reject(arg, format!("`{name}` can't wait for itself"));
        }
        // A family that can't be read is reported where it stands.
        if let Some(family) = family
            && family != self.scope.family
        {
            let (own, other) = (self.scope.family.name(), family.name());
            return self.reject(arg, format!("`{name}` is a rule on {other}; this is a rule on {own}"));
        }
        self.term(Term::Open(rule, id));
        Some(Node::Open(rule))
    }

    fn text(&mut self, node: &IdedExpr, wanted: &str) -> Option<String> {
        match &node.expr {
            Cel::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
            _ => self.reject(node, format!("here stands {wanted}")),
        }
    }
}

/// A bracket in the text is at most two steps down the tree; `a == b == c` goes down without any.
const DEEPEST: usize = 2 * limits::CONDITION_NESTING;

/// What people write when they mean a value that is not known.
const UNKNOWN: &str = "UNKNOWN";

/// Functions, and whether only families with codes have them.
const FUNCTIONS: &[(&str, bool)] =
    &[("code", true), ("fault", true), ("alarm", true), ("event", true), ("condition", true), ("open", false)];

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

fn relation(operator: &str) -> Option<Relation> {
    Some(match operator {
        operators::EQUALS => Relation::Equal,
        operators::NOT_EQUALS => Relation::NotEqual,
        operators::LESS => Relation::Less,
        operators::LESS_EQUALS => Relation::AtMost,
        operators::GREATER => Relation::More,
        operators::GREATER_EQUALS => Relation::AtLeast,
        _ => return None,
    })
}

fn negated(node: Node) -> Node {
    match node {
        Node::Not(inner) => *inner,
        node => Node::Not(Box::new(node)),
    }
}

fn same(left: Node, wanted: bool, right: Node) -> Node {
    let node = match (left, right) {
        (Node::Const(true), node) | (node, Node::Const(true)) => node,
        (Node::Const(false), node) | (node, Node::Const(false)) => negated(node),
        (left, right) => Node::Same(Box::new([left, right])),
    };
    if wanted { node } else { negated(node) }
}

/// Whether a part must be true, or false, for the whole to become true.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Plain,
    Negated,
    Either,
}

fn collect_raising(node: &Node, sign: Sign, raising: &mut Vec<CodeTerm>) {
    match node {
        Node::Code(list, code) if sign != Sign::Negated => raising.push(CodeTerm::Code(*list, *code)),
        Node::Condition(name) if sign != Sign::Negated => raising.push(CodeTerm::Condition(name.clone())),
        Node::Not(inner) => {
            let sign = match sign {
                Sign::Plain => Sign::Negated,
                Sign::Negated => Sign::Plain,
                Sign::Either => Sign::Either,
            };
            collect_raising(inner, sign, raising);
        }
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| collect_raising(node, sign, raising)),
        Node::Same(pair) => pair.iter().for_each(|node| collect_raising(node, Sign::Either, raising)),
        Node::Code(..) | Node::Condition(_) => {}
        Node::Const(_) | Node::Flag(_) | Node::OneOf(..) | Node::Compare(..) | Node::Open(_) => {}
    }
}
