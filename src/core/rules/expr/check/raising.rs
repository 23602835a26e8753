//! Which codes and conditions a condition waits for.

use crate::core::rules::expr::CodeTerm;
use crate::core::rules::expr::eval::Node;

/// Ascending, without repeats. One that must be absent is not waited for.
pub(super) fn raising(root: &Node) -> Box<[CodeTerm]> {
    let mut raising = Vec::new();
    collect(root, Sign::Plain, &mut raising);
    raising.sort();
    raising.dedup();
    raising.into()
}

/// Whether a part must be true, or false, for the whole to become true.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Plain,
    Negated,
    Either,
}

fn collect(node: &Node, sign: Sign, raising: &mut Vec<CodeTerm>) {
    match node {
        Node::Code(list, code) if sign != Sign::Negated => raising.push(CodeTerm::Code(*list, *code)),
        Node::Condition(name) if sign != Sign::Negated => raising.push(CodeTerm::Condition(name.clone())),
        Node::Not(inner) => {
            let sign = match sign {
                Sign::Plain => Sign::Negated,
                Sign::Negated => Sign::Plain,
                Sign::Either => Sign::Either,
            };
            collect(inner, sign, raising);
        }
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| collect(node, sign, raising)),
        Node::Same(pair) => pair.iter().for_each(|node| collect(node, Sign::Either, raising)),
        Node::Code(..) | Node::Condition(_) => {}
        Node::Const(_) | Node::District(_) | Node::Flag(_) | Node::OneOf(..) | Node::Compare(..) | Node::Open(_) => {}
    }
}
