//! From text to the library's syntax tree, within our bounds, with faults in plain words.

use cel::common::ast::{Expr as Cel, IdedExpr, SourceInfo, operators};
use cel::parser::{ParseError, Parser};

use super::Fault;
use crate::limits;

/// A syntax tree that knows where in the text its nodes stand.
pub(super) struct Syntax<'a> {
    pub(super) root: IdedExpr,
    text: &'a str,
    offsets: SourceInfo,
}

pub(super) fn parse(text: &str) -> Result<Syntax<'_>, Fault> {
    check_bounds(text)?;
    let (root, offsets) = Parser::new()
        .parse_with_source_info(text)
        .map_err(|errors| errors.errors.first().map_or_else(unreadable, |first| explain(text, first)))?;
    Ok(Syntax { root, text, offsets })
}

/// Length and nesting, before a parser with a stack of its own sees the text.
fn check_bounds(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault { at: 0, message: "the condition is empty".to_owned() });
    }
    if text.len() > limits::CONDITION_TEXT_BYTES {
        let message = format!(
            "the condition has {} bytes, more than the {} allowed: split the rule",
            text.len(),
            limits::CONDITION_TEXT_BYTES
        );
        return Err(Fault { at: 0, message });
    }
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let mut next = at + 1;
        match byte {
            b'/' if bytes.get(next) == Some(&b'/') => {
                next = text[at..].find('\n').map_or(bytes.len(), |length| at + length);
            }
            b'\'' | b'"' => match end_of_text(bytes, at) {
                Some(end) => next = end,
                None => return Err(Fault { at, message: UNCLOSED.to_owned() }),
            },
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::CONDITION_NESTING {
            return Err(Fault { at, message: too_deep() });
        }
        at = next;
    }
    Ok(())
}

const UNCLOSED: &str = "a text that is not closed, or that holds an unknown escape";

/// Behind a text that begins at `start`, as the parser sees it: in one or three quotes, with escapes unless it is raw.
fn end_of_text(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let is_raw = start.checked_sub(1).is_some_and(|before| matches!(bytes[before], b'r' | b'R'));
    let quotes = if bytes[start..].starts_with(&[quote; 3]) { 3 } else { 1 };
    let mut at = start + quotes;
    loop {
        match bytes.get(at)? {
            b'\\' if !is_raw => at += 2,
            b'\n' | b'\r' if quotes == 1 => return None,
            _ if bytes[at..].starts_with(&[quote; 3][..quotes]) => return Some(at + quotes),
            _ => at += 1,
        }
    }
}

pub(super) fn too_deep() -> String {
    format!("nested deeper than {} levels: write it flatter", limits::CONDITION_NESTING)
}

fn unreadable() -> Fault {
    Fault { at: 0, message: "the condition can't be read".to_owned() }
}

/// The parser's first complaint; what it says after that are mostly consequences.
fn explain(text: &str, error: &ParseError) -> Fault {
    let (line, column) = error.pos;
    let line_start: usize = text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0)).map(str::len).sum();
    let skipped = usize::try_from(column - 1).unwrap_or(0);
    let rest = text.get(line_start..).unwrap_or_default();
    let at = line_start + rest.char_indices().nth(skipped).map_or(rest.len(), |(offset, _)| offset);
    Fault { at: at.min(text.len()), message: in_plain_words(&error.msg) }
}

fn in_plain_words(message: &str) -> String {
    // What it says when its own bound on nesting is met, which only chains without brackets do.
    if message == "UNKNOWN" || message.contains("ecursion limit") {
        return too_deep();
    }
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    if let Some(rest) = message.strip_prefix("token recognition error at: ") {
        let token = rest.strip_prefix('\'').and_then(|r| r.strip_suffix('\'')).unwrap_or(rest);
        return match token.chars().next() {
            Some('=') => "a single `=`; to compare, write `==`".to_owned(),
            Some('&') => "a single `&`; for and, write `&&`".to_owned(),
            Some('|') => "a single `|`; for or, write `||`".to_owned(),
            Some('\'' | '"') => UNCLOSED.to_owned(),
            _ => format!("`{}` means nothing in a condition", token.trim_end()),
        };
    }
    for start in ["extraneous input ", "mismatched input ", "no viable alternative at input "] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        let token = rest.split(" expecting ").next().unwrap_or(rest).trim_matches('\'');
        return match token {
            "<EOF>" => "the condition ends too early".to_owned(),
            token => format!("`{token}` doesn't belong here"),
        };
    }
    if let Some(rest) = message.strip_prefix("missing ") {
        let token = rest.split(" at ").next().unwrap_or(rest).trim_matches('\'');
        return format!("missing `{token}`");
    }
    if let Some(word) = message.strip_prefix("reserved identifier: ") {
        return format!("`{word}` is a word that conditions keep for themselves");
    }
    // What else it says is meant for whoever writes parsers.
    let starts = |start: &str| message.starts_with(start);
    if starts("invalid int") || starts("invalid uint") || starts("invalid double") {
        "this number is too large, or is no number"
    } else if starts("invalid string") || starts("invalid bytes") {
        "this text holds an unknown escape"
    } else {
        "this can't be read: something is missing here, or doesn't belong here"
    }
    .to_owned()
}

impl Syntax<'_> {
    /// The byte offset of the node's first character; of a comparison that is where its left side begins.
    pub(super) fn start(&self, node: &IdedExpr) -> usize {
        let mut node = node;
        loop {
            node = match &node.expr {
                Cel::Select(select) if select.test => return self.before(self.offset(node), operators::HAS),
                Cel::Select(select) => &select.operand,
                Cel::Call(call) => match (&call.target, call.args.first()) {
                    (Some(target), _) => target,
                    (None, Some(first)) if is_infix(&call.func_name) => first,
                    (None, _) if is_prefix(&call.func_name) => return self.offset(node),
                    (None, _) => return self.before(self.offset(node), &call.func_name),
                },
                _ => return self.offset(node),
            };
        }
    }

    /// Where the node's own sign stands: the operator of a comparison, the bracket of a call.
    pub(super) fn offset(&self, node: &IdedExpr) -> usize {
        self.offsets.offset_for(node.id).map_or(0, |(start, _)| (start as usize).min(self.text.len()))
    }

    /// The start of `name`, which ends before `at` but for spaces.
    fn before(&self, at: usize, name: &str) -> usize {
        self.text.get(..at).map_or(at, |head| head.trim_end().len().saturating_sub(name.len()))
    }
}

fn is_prefix(function: &str) -> bool {
    matches!(function, operators::LOGICAL_NOT | operators::NEGATE)
}

fn is_infix(function: &str) -> bool {
    function == operators::IN || (function.starts_with('_') && function != "_")
}
