//! The obvious evaluator: it asks one test after the other, as the filter says.
//!
//! It is the reference for every faster one. It allocates nothing.

use fantail_sdk::{FieldValue, List, tab_escape};

use super::ast::{Expr, FieldTest, NameTest, Node, NodeId, Op, Test, TestId};
use super::literal::{Decimal, Literal};
use super::mismatch::MismatchKind;
use crate::event::Event;

/// Whether the event matches. `report` is told of every comparison that can't
/// work, among the tests that the answer depends on.
pub fn matches(
    expr: &Expr,
    event: &Event<'_>,
    report: &mut dyn FnMut(TestId, MismatchKind),
) -> bool {
    let mut nodes = expr.nodes();
    let Some((mut leaf, _)) = nodes.next() else { return false };
    loop {
        let Node::Test(id) = expr.node(leaf) else {
            unreachable!("invariant: a subtree in postfix order begins with a test")
        };
        let answer = passes(expr.test(id), event, &mut |kind| report(id, kind));
        match decide(expr, leaf, answer) {
            Decision::Whole(answer) => return answer,
            Decision::Ask(next) => leaf = next,
        }
    }
}

enum Decision {
    /// The whole expression's answer.
    Whole(bool),
    /// The answer depends on this test.
    Ask(NodeId),
}

/// What follows from `answer` being the answer of `node`.
fn decide(expr: &Expr, mut node: NodeId, mut answer: bool) -> Decision {
    while let Some(parent) = expr.parent(node) {
        match expr.node(parent) {
            Node::Not(_) => answer = !answer,
            // In postfix order the right child's first test follows the left child.
            Node::And(left, _) if left == node && answer => return Decision::Ask(node.next()),
            Node::Or(left, _) if left == node && !answer => return Decision::Ask(node.next()),
            // The left child decides alone, or the right one decides now.
            Node::And(..) | Node::Or(..) | Node::Test(_) => {}
        }
        node = parent;
    }
    Decision::Whole(answer)
}

/// Whether the event passes one test.
pub(super) fn passes(test: &Test, event: &Event<'_>, report: &mut dyn FnMut(MismatchKind)) -> bool {
    match test {
        Test::Name(wanted) => has_name(event, wanted),
        Test::Category(name) => event.has_category(name.as_bytes()),
        Test::LogType(wanted) => event.log_type == Some(*wanted),
        Test::Source(wanted) => is_at(event, wanted),
        Test::Field(test) => compare(test, event).unwrap_or_else(|kind| {
            report(kind);
            false
        }),
    }
}

/// Whether the event has a name, and that one.
pub(super) fn has_name(event: &Event<'_>, wanted: &NameTest) -> bool {
    event.name.is_some_and(|name| !name.is_empty() && wanted.matches(name))
}

/// Whether the event was created there: `wanted` is the file, or, when it has a colon, the file and
/// the line.
pub(super) fn is_at(event: &Event<'_>, wanted: &str) -> bool {
    let Some(source) = event.source else { return false };
    match wanted.rsplit_once(':') {
        Some((file, line)) => {
            file.as_bytes() == source.file
                && line.as_bytes() == Decimal::new(i64::from(source.line)).as_bytes()
        }
        None => wanted.as_bytes() == source.file,
    }
}

/// Whether the comparison holds.
fn compare(test: &FieldTest, event: &Event<'_>) -> Result<bool, MismatchKind> {
    let value = if test.is_duration() {
        Some(FieldValue::Integer(event.duration))
    } else {
        event.value(test.key.as_bytes())
    };
    compare_value(test, value, event)
}

/// Whether the comparison holds, `value` being what the event has in that field;
/// the further parts of a list are looked up.
pub(super) fn compare_value(
    test: &FieldTest,
    value: Option<FieldValue<'_>>,
    event: &Event<'_>,
) -> Result<bool, MismatchKind> {
    match value {
        None => Ok(test.value.is_empty()),
        Some(FieldValue::Text(text) | FieldValue::Json(text)) => compare_text(test, text),
        Some(FieldValue::Integer(number)) => compare_number(test, number),
        Some(FieldValue::Timestamp(_)) => Err(MismatchKind::Timestamp),
        Some(FieldValue::Ip(address)) => compare_address(test, address),
        Some(FieldValue::List(_)) => compare_list(test, event),
    }
}

fn compare_text(test: &FieldTest, text: &[u8]) -> Result<bool, MismatchKind> {
    if test.op != Op::Equal {
        return Err(MismatchKind::TextInequality);
    }
    if text.is_empty() {
        // A cleared field is a missing one: not even `*` matches it.
        return Ok(test.value.is_empty());
    }
    Ok(test.value.matches_text(text.iter().copied()))
}

fn compare_number(test: &FieldTest, number: i64) -> Result<bool, MismatchKind> {
    match &test.value {
        Literal::Integer(wanted) => Ok(test.op.holds(number, *wanted)),
        Literal::Ambiguous(_) => Err(MismatchKind::AmbiguousUnit),
        Literal::Pattern(pattern) if pattern.is_numeric() => match test.op {
            Op::Equal => {
                let decimal = Decimal::new(number);
                Ok(test.value.matches_text(decimal.as_bytes().iter().copied()))
            }
            _ => Err(MismatchKind::PatternInequality),
        },
        Literal::Pattern(_) | Literal::Text(_) | Literal::Network(_) => {
            Err(MismatchKind::NotANumber)
        }
    }
}

fn compare_address(test: &FieldTest, address: &[u8]) -> Result<bool, MismatchKind> {
    if test.op != Op::Equal {
        return Err(MismatchKind::AddressInequality);
    }
    match &test.value {
        Literal::Network(network) => Ok(network.contains(address)),
        Literal::Pattern(_) | Literal::Ambiguous(_) => {
            Ok(test.value.matches_text(address.iter().copied()))
        }
        Literal::Integer(_) | Literal::Text(_) => Err(MismatchKind::NotAnAddress),
    }
}

/// Whether one element of the list does, along all layers.
fn compare_list(test: &FieldTest, event: &Event<'_>) -> Result<bool, MismatchKind> {
    if test.op != Op::Equal {
        return Err(MismatchKind::TextInequality);
    }
    let mut is_empty = true;
    for part in event.list_parts(test.key.as_bytes()) {
        match part {
            FieldValue::List(list) => {
                is_empty &= list.is_empty();
                if elements(list).any(|element| test.value.matches_text(element)) {
                    return Ok(true);
                }
            }
            // A plain text in an ancestor is a list of one.
            FieldValue::Text(text) => {
                is_empty = false;
                if test.value.matches_text(text.iter().copied()) {
                    return Ok(true);
                }
            }
            FieldValue::Integer(_)
            | FieldValue::Timestamp(_)
            | FieldValue::Ip(_)
            | FieldValue::Json(_) => {}
        }
    }
    Ok(is_empty && test.value.is_empty())
}

/// The elements, unescaped byte by byte.
pub(super) fn elements<'a>(list: List<'a>) -> impl Iterator<Item = Unescaped<'a>> {
    list.escaped().split(|&byte| byte == b'\t').take(list.len()).map(Unescaped)
}

/// The bytes of an escaped text without its escapes.
#[derive(Clone, Debug)]
pub(super) struct Unescaped<'a>(&'a [u8]);

impl Iterator for Unescaped<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        if first != tab_escape::ESCAPE {
            return Some(first);
        }
        let code = rest.first().and_then(|&code| tab_escape::unescape_code(code));
        if code.is_some() {
            self.0 = &rest[1..];
        }
        Some(code.unwrap_or(first))
    }
}
