//! Comparisons and `in`: what may stand beside what.

use cel::common::ast::{Expr as Cel, IdedExpr, operators};

use super::{Checker, Side, fields, silence};
use crate::core::rules::expr::eval::{Node, Operand, Relation};
use crate::core::rules::expr::suggest::did_you_mean;
use crate::core::rules::schema::{Field, Type, Words};

/// What people write when they mean a value that is not known.
const UNKNOWN: &str = "UNKNOWN";

impl Checker<'_, '_> {
    pub(super) fn comparison(
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

    pub(super) fn lone_constant(&self, constant: &str) -> String {
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
        if silence::is_silence(left) || silence::is_silence(right) {
            self.silence(node, left, relation, right)?;
        }
        // Extras are floats. Two ways to write a number must not make two conditions.
        let alike = |operand, other| match (operand, other) {
            (Operand::Int(value), Operand::Extra(_) | Operand::Window { .. }) => Operand::Float(value as f64),
            _ => operand,
        };
        Some(Node::Compare(alike(left, right), relation, alike(right, left)))
    }

    pub(super) fn membership(&mut self, left: &IdedExpr, right: &IdedExpr, depth: usize) -> Option<Node> {
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
}

pub(super) fn relation(operator: &str) -> Option<Relation> {
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

pub(super) fn negated(node: Node) -> Node {
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
