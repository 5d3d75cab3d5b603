//! A filter as the one text that stands for all its spellings: what a FILTER
//! line carries.
//!
//! The whole is in parentheses, each AND, OR and NOT in its own, and values are
//! quoted and normalised. Unlike Dovecot's, this text parses back to the same
//! filter: it keeps the escapes without which a value would be a pattern, a
//! number or a log type.

use super::ast::{Expr, NameTest, Node, NodeId, Test};
use super::literal::Literal;
use crate::event::LogType;

/// The canonical text; empty for the empty filter.
pub(super) fn canonical(expr: &Expr) -> String {
    let Some(root) = expr.root() else { return String::new() };
    let mut out = String::from("(");
    let mut rest = vec![Step::Node(root)];
    while let Some(step) = rest.pop() {
        let node = match step {
            Step::Text(text) => {
                out.push_str(text);
                continue;
            }
            Step::Node(id) => expr.node(id),
        };
        // The last step pushed is the first one taken.
        match node {
            Node::Test(id) => write_test(expr.test(id), &mut out),
            Node::Not(child) => {
                out.push_str("(NOT ");
                rest.extend([Step::Text(")"), Step::Node(child)]);
            }
            Node::And(left, right) | Node::Or(left, right) => {
                let joint = if matches!(node, Node::And(..)) { " AND " } else { " OR " };
                out.push('(');
                rest.push(Step::Text(")"));
                rest.extend([Step::Node(right), Step::Text(joint), Step::Node(left)]);
            }
        }
    }
    out.push(')');
    out
}

enum Step {
    Node(NodeId),
    Text(&'static str),
}

fn write_test(test: &Test, out: &mut String) {
    match test {
        Test::Name(NameTest::Exact(name)) => {
            out.push_str("event=");
            write_quoted(&literally(name), out);
        }
        Test::Name(NameTest::Pattern(pattern)) => {
            out.push_str("event=");
            write_quoted(pattern.text(), out);
        }
        Test::Category(name) => {
            out.push_str("category=");
            let is_log_type = LogType::ALL.iter().any(|log_type| log_type.name() == &**name);
            let escape = if is_log_type { "\\" } else { "" };
            write_quoted(&format!("{escape}{}", quotable(name)), out);
        }
        Test::LogType(log_type) => {
            out.push_str("category=");
            out.push_str(log_type.name());
        }
        Test::Source(text) => {
            out.push_str("source_location=");
            write_quoted(&quotable(text), out);
        }
        Test::Field(test) => {
            write_quoted(&quotable(&test.key), out);
            out.push_str(test.op.text());
            match &test.value {
                Literal::Integer(number) => write_quoted(&number.to_string(), out),
                Literal::Network(network) => write_quoted(network.text(), out),
                Literal::Text(text) => write_quoted(&as_text(text), out),
                Literal::Pattern(pattern) => write_quoted(pattern.text(), out),
                Literal::Ambiguous(text) => write_quoted(text, out),
            }
        }
    }
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

/// `text` with what it needs between quotes; the apostrophe is Dovecot's custom.
fn quotable(text: &str) -> String {
    escaped(text, &['"', '\'', '\\'])
}

/// `text` with what it needs to be no pattern.
fn literally(text: &str) -> String {
    escaped(text, &['"', '\'', '\\', '*', '?'])
}

/// `text` with what it needs to be a field's text, and neither a pattern nor a
/// number: nothing with an escape in it is a number.
fn as_text(text: &str) -> String {
    let escaped = literally(text);
    match Literal::parse(&escaped) {
        (Literal::Text(_), _) => escaped,
        _ => format!("\\{escaped}"),
    }
}

fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if special.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
