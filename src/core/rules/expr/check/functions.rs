//! Functions, and `extras`, which is read like one.

use cel::common::ast::{Expr as Cel, IdedExpr, LiteralValue, operators};

use super::Checker;
use crate::core::rules::expr::Term;
use crate::core::rules::expr::eval::{Node, Operand};
use crate::core::rules::expr::suggest::did_you_mean;
use crate::core::rules::schema::{self, CodeList, Family, Field};
use crate::core::rules::spec::parse_span_ms;
use crate::core::rules::{Fold, Window};
use crate::limits;
use crate::model::ids::{District, RuleId};

/// Who has a function.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    /// Every family.
    All,
    /// Families with codes, to ask for something that occurs.
    Codes,
    /// Families with codes, to ask for something else.
    Lifts,
}

const FUNCTIONS: &[(&str, Of)] = &[
    ("code", Of::Codes),
    ("fault", Of::Codes),
    ("alarm", Of::Codes),
    ("event", Of::Codes),
    ("condition", Of::Codes),
    ("in_district", Of::Lifts),
    ("max_over", Of::Lifts),
    ("avg_over", Of::Lifts),
    ("open", Of::All),
];

/// The functions that conditions of this family have.
pub(super) fn known(family: Family) -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().filter(move |(_, of)| family.has_codes() || *of == Of::All).map(|(function, _)| *function)
}

/// Whether what a function asks for is something that occurs.
pub(super) fn is_counted(function: &str) -> bool {
    FUNCTIONS.iter().any(|(name, of)| *of == Of::Codes && *name == function)
}

impl Checker<'_, '_> {
    pub(super) fn extra(&mut self, node: &IdedExpr, base: &IdedExpr, index: &IdedExpr) -> Option<Operand> {
        let at = self.extra_ix(node, base, index)?;
        self.term(Term::Extra(at, self.scope.extras[usize::from(at)].clone()));
        Some(Operand::Extra(at))
    }

    /// Where an extra stands among those that rules read.
    fn extra_ix(&mut self, node: &IdedExpr, base: &IdedExpr, index: &IdedExpr) -> Option<u16> {
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
        match u16::try_from(at) {
            Ok(at) => Some(at),
            Err(_) => self.reject(node, "the rules name too many extras"),
        }
    }

    pub(super) fn window(&mut self, node: &IdedExpr, fold: Fold, args: &[IdedExpr]) -> Option<Operand> {
        let name = fold.name();
        let [of, span] = args else {
            let wanted = format!("`{name}(extras['vibration_mg'], '5m')`");
            return self.reject(node, format!("`{name}` takes an extra and a span, as in {wanted}"));
        };
        let extra = match &of.expr {
            Cel::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                self.extra_ix(of, &call.args[0], &call.args[1])
            }
            _ => self.reject(of, format!("`{name}` is taken of an extra, as in `extras['vibration_mg']`")),
        };
        let text = self.text(span, "a span in quotes, as in '5m'");
        let (extra, text) = (extra?, text?);
        let fits = |ms: &i64| (limits::WINDOW_MS_MIN..=limits::RULE_SPAN_MS).contains(ms);
        let Some(span_ms) = parse_span_ms(&text).filter(fits).and_then(|ms| u32::try_from(ms).ok()) else {
            return self.reject(span, format!("`{text}` is no span of 16 s to 31 days; write one such as '5m'"));
        };
        let (extra_name, windows) = (self.scope.extras[usize::from(extra)].clone(), &mut *self.scope.windows);
        let known = windows.iter().position(|window| window.extra == extra_name && window.span_ms == span_ms);
        if known.is_none() && windows.len() >= limits::WINDOWS {
            return self.reject(node, format!("the rules name more than {} windows", limits::WINDOWS));
        }
        let at = known.unwrap_or_else(|| {
            windows.push(Window { extra: extra_name.clone(), span_ms });
            windows.len() - 1
        });
        let window = u16::try_from(at).expect("windows are bounded far below 2^16");
        self.term(Term::Window { window, fold, extra: extra_name, span_ms });
        Some(Operand::Window { window, fold, extra, span_ms })
    }

    pub(super) fn function(&mut self, node: &IdedExpr, name: &str, args: &[IdedExpr]) -> Option<Node> {
        if !known(self.scope.family).any(|function| function == name) {
            let message = self.unknown_function(name);
            return self.reject(node, message);
        }
        let [arg] = args else {
            return self.reject(node, format!("`{name}` takes one argument, and has {}", args.len()));
        };
        match CodeList::from_name(name) {
            Some(list) => self.code(list, arg),
            None if name == "condition" => self.mapped_condition(arg),
            None if name == "in_district" => self.in_district(arg),
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
        format!("unknown function `{name}`{}", did_you_mean(name, known(family)))
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

    fn in_district(&mut self, arg: &IdedExpr) -> Option<Node> {
        let text = self.text(arg, "a district or the beginning of one, as in `in_district('6401')`")?;
        match District::parse(&text) {
            Ok(district) => {
                self.term(Term::District(district));
                Some(Node::District(district))
            }
            Err(error) => self.reject(arg, error.to_string()),
        }
    }

    fn open(&mut self, arg: &IdedExpr) -> Option<Node> {
        let name = self.text(arg, "the id of a rule, as in `open('trapped-in-zone')`")?;
        let known = RuleId::parse(&name).ok().and_then(|id| Some((self.scope.rules.get(&id).copied()?, id)));
        let Some(((rule, family), id)) = known else {
            let is_told = self.scope.has_hints && self.faults.len() < limits::RULE_HINTS;
            let ids = self.scope.rules.keys().map(RuleId::as_str);
            let hint = if is_told { did_you_mean(&name, ids) } else { String::new() };
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
