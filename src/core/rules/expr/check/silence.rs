//! How long nothing was heard: it grows by itself, and must not end anything by that.

use cel::common::ast::IdedExpr;

use super::Checker;
use crate::core::rules::expr::eval::{Node, Operand, Relation};
use crate::core::rules::schema::Field;
use crate::limits;

/// What a silence that goes on may make of a condition. Silence is not safety: it neither clears an alert, nor ends what
/// leads to one, nor keeps one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core::rules) enum Silence {
    True,
    False,
    /// Nothing hangs on it.
    Either,
}

const LONGEST_S: i64 = limits::RULE_SPAN_MS / 1_000;

pub(super) fn is_silence(operand: Operand) -> bool {
    operand == Operand::Field(Field::SilentS)
}

impl Checker<'_, '_> {
    /// Notes a comparison that has silence on one side at least.
    pub(super) fn silence(&mut self, node: &IdedExpr, left: Operand, relation: Relation, right: Operand) -> Option<()> {
        let (number, relation) = match (left, right) {
            (silent, Operand::Int(number)) if is_silence(silent) => (number, relation),
            (Operand::Int(number), silent) if is_silence(silent) => (number, relation.turned()),
            _ => return self.reject(node, "`silent_s` is compared with a whole number, as in `silent_s > 60`"),
        };
        let changes_at_s = match relation {
            Relation::AtLeast | Relation::Less => number,
            Relation::More | Relation::AtMost => number.saturating_add(1),
            Relation::Equal | Relation::NotEqual => {
                return self.reject(node, "`silent_s` grows by itself; compare it with `<`, `<=`, `>` or `>=`");
            }
        };
        if changes_at_s <= 0 {
            return self.reject(node, "`silent_s` is never below 0: this never changes");
        }
        if changes_at_s > LONGEST_S {
            return self.reject(node, format!("`silent_s` is asked for 31 days at most, which are {LONGEST_S} s"));
        }
        let at = self.syntax.start(node);
        self.silences.push((at, changes_at_s));
        Some(())
    }

    pub(super) fn silences_ms(&self) -> Box<[i64]> {
        let mut all: Vec<i64> = self.silences.iter().map(|(_, s)| s * 1_000).collect();
        all.sort_unstable();
        all.dedup();
        all.into()
    }

    /// Of a condition without other faults.
    pub(super) fn check_silence(&mut self, root: &Node) {
        let message = match self.scope.silence {
            _ if self.silences.is_empty() => return,
            Silence::Either => return,
            Silence::True => {
                "silence would end this: here `silent_s` may only have to be above a number, as in `silent_s > 60`"
            }
            Silence::False => {
                "silence would clear an alert, or keep one back: here `silent_s` may only have to be below a number, \
                 as in `silent_s < 10`"
            }
        };
        let mut makes = Vec::new();
        collect(root, Sign::Plain, &mut makes);
        let places: Vec<usize> = self.silences.iter().map(|(at, _)| *at).collect();
        // Both are in the order of the text.
        for (at, makes) in places.into_iter().zip(makes) {
            if makes != self.scope.silence {
                self.fault::<()>(at, message);
            }
        }
    }
}

/// Whether a part makes the whole true by being true, or by being false.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Plain,
    Negated,
    Either,
}

fn collect(node: &Node, sign: Sign, makes: &mut Vec<Silence>) {
    match node {
        Node::Compare(left, relation, right) if is_silence(*left) || is_silence(*right) => {
            let relation = if is_silence(*left) { *relation } else { relation.turned() };
            let grows = matches!(relation, Relation::More | Relation::AtLeast);
            makes.push(match sign {
                Sign::Either => Silence::Either,
                Sign::Plain if grows => Silence::True,
                Sign::Negated if !grows => Silence::True,
                Sign::Plain | Sign::Negated => Silence::False,
            });
        }
        Node::Not(inner) => {
            let sign = match sign {
                Sign::Plain => Sign::Negated,
                Sign::Negated => Sign::Plain,
                Sign::Either => Sign::Either,
            };
            collect(inner, sign, makes);
        }
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| collect(node, sign, makes)),
        Node::Same(pair) => pair.iter().for_each(|node| collect(node, Sign::Either, makes)),
        Node::Compare(..) | Node::Code(..) | Node::Condition(_) | Node::Const(_) => {}
        Node::District(_) | Node::Flag(_) | Node::OneOf(..) | Node::Open(_) => {}
    }
}
