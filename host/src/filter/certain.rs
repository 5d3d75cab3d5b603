//! What can be told without an event: tests that are always false or always true,
//! ANDs of tests that can't be true together, and what follows for each part of the
//! filter.
//!
//! Only what is certain counts. Lists and missing fields make most pairs of tests
//! of one field possible: `a=1 AND a=2` is true of a list.

use std::collections::HashSet;

use super::ast::{Expr, FieldTest, NameTest, Node, NodeId, Op, Test, TestId};
use super::literal::Literal;
use super::wildcard::Pattern;
use crate::event::LogType;

/// What is certain about a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// The tests that are always false.
    pub(super) false_tests: Vec<TestId>,
    /// The tests that can't be true together with one that is ANDed with them.
    pub(super) contradictions: Vec<TestId>,
    /// What is certain about each node.
    truths: Vec<Truth>,
}

/// What is certain about a part of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// No event makes it true.
    Never,
    /// Every event does.
    Always,
    /// It takes an event to tell.
    Open,
}

/// The events that a filter may be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All.
    Any,
    /// Those that have a name.
    Named,
}

impl Findings {
    /// What is certain about the node.
    pub(super) fn of(&self, id: NodeId) -> Truth {
        self.truths[id.index()]
    }

    /// What is certain about the whole filter; the empty one never matches.
    pub(super) fn whole(&self) -> Truth {
        self.truths.last().copied().unwrap_or(Truth::Never)
    }

    /// Whether anything is certain about any part of it.
    pub(super) fn any(&self) -> bool {
        self.truths.iter().any(|truth| *truth != Truth::Open)
    }
}

/// Looks at the whole filter, in time that grows with its length only.
pub(super) fn find(expr: &Expr, asked: Asked) -> Findings {
    let mut findings = Findings::default();
    let mut truths: Vec<Truth> = Vec::with_capacity(expr.nodes().len());
    for (id, node) in expr.nodes() {
        let of = |child: NodeId| truths[child.index()];
        let truth = match node {
            Node::Test(test) if is_never_true(expr.test(test)) => {
                findings.false_tests.push(test);
                Truth::Never
            }
            Node::Test(test) if is_always_true(expr.test(test), asked) => Truth::Always,
            Node::Test(_) => Truth::Open,
            Node::Not(child) => match of(child) {
                Truth::Never => Truth::Always,
                Truth::Always => Truth::Never,
                Truth::Open => Truth::Open,
            },
            Node::And(left, right) => match (of(left), of(right)) {
                (Truth::Never, _) | (_, Truth::Never) => Truth::Never,
                (Truth::Always, Truth::Always) => Truth::Always,
                _ if is_outermost_and(expr, id) => match contradiction(expr, id) {
                    Some(test) => {
                        findings.contradictions.push(test);
                        Truth::Never
                    }
                    None => Truth::Open,
                },
                _ => Truth::Open,
            },
            Node::Or(left, right) => match (of(left), of(right)) {
                (Truth::Never, Truth::Never) => Truth::Never,
                (Truth::Always, _) | (_, Truth::Always) => Truth::Always,
                _ => Truth::Open,
            },
        };
        truths.push(truth);
    }
    findings.truths = truths;
    findings
}

/// Whether the test is true of every event that the filter is asked about.
fn is_always_true(test: &Test, asked: Asked) -> bool {
    match test {
        Test::Name(NameTest::Pattern(pattern)) => asked == Asked::Named && pattern.takes_any(),
        _ => false,
    }
}

/// Whether the test is false whatever the event.
fn is_never_true(test: &Test) -> bool {
    match test {
        Test::Name(NameTest::Exact(name)) => name.is_empty(),
        Test::Name(NameTest::Pattern(_)) | Test::LogType(_) => false,
        Test::Category(name) => name.is_empty(),
        Test::Source(text) => match text.rsplit_once(':') {
            Some((_, line)) => line.parse::<u32>().ok().is_none_or(|n| n.to_string() != line),
            None => text.is_empty(),
        },
        Test::Field(test) => is_never_true_of_a_field(test),
    }
}

fn is_never_true_of_a_field(test: &FieldTest) -> bool {
    match &test.value {
        Literal::Integer(_) => false,
        Literal::Pattern(pattern) if test.is_duration() => {
            test.op != Op::Equal || !pattern.is_numeric()
        }
        // `>""` is true of a missing field.
        _ => test.is_duration() || (test.op != Op::Equal && !test.value.is_empty()),
    }
}

fn is_outermost_and(expr: &Expr, id: NodeId) -> bool {
    let parent = expr.parent(id).map(|parent| expr.node(parent));
    !matches!(parent, Some(Node::And(..)))
}

/// The first test that can't be true together with those before it, among all
/// that the AND at `id` joins.
fn contradiction(expr: &Expr, id: NodeId) -> Option<TestId> {
    let mut known = Known::default();
    let mut rest = vec![id];
    while let Some(id) = rest.pop() {
        let (test, wanted) = match expr.node(id) {
            Node::And(left, right) => {
                rest.extend([right, left]);
                continue;
            }
            Node::Test(test) => (test, true),
            Node::Not(child) => match expr.node(child) {
                Node::Test(test) => (test, false),
                _ => continue,
            },
            Node::Or(..) => continue,
        };
        if !known.admits(expr.test(test), wanted) {
            return Some(test);
        }
    }
    None
}

/// What the tests so far say of the event.
#[derive(Debug, Default)]
struct Known<'a> {
    name: Option<&'a str>,
    name_patterns: Vec<&'a Pattern>,
    log_type: Option<LogType>,
    duration: Option<(i128, i128)>,
    tests: HashSet<(&'a Test, bool)>,
}

impl<'a> Known<'a> {
    /// Whether the test's answer can be `wanted` as well.
    fn admits(&mut self, test: &'a Test, wanted: bool) -> bool {
        if self.tests.contains(&(test, !wanted)) {
            return false;
        }
        if !self.tests.insert((test, wanted)) || !wanted {
            return true;
        }
        match test {
            Test::Name(NameTest::Exact(name)) => {
                let first = *self.name.get_or_insert(name);
                first == &**name && self.name_patterns.iter().all(|known| fits(known, name))
            }
            Test::Name(NameTest::Pattern(pattern)) => {
                self.name_patterns.push(pattern);
                self.name.is_none_or(|name| fits(pattern, name))
            }
            Test::LogType(log_type) => *self.log_type.get_or_insert(*log_type) == *log_type,
            Test::Field(test) if test.is_duration() => self.admits_duration(test),
            Test::Category(_) | Test::Source(_) | Test::Field(_) => true,
        }
    }

    fn admits_duration(&mut self, test: &FieldTest) -> bool {
        let Literal::Integer(number) = test.value else { return true };
        let number = i128::from(number);
        let (low, high) = self.duration.get_or_insert((i128::from(i64::MIN), i128::from(i64::MAX)));
        if matches!(test.op, Op::Equal | Op::GreaterOrEqual | Op::Greater) {
            *low = (*low).max(number + i128::from(test.op == Op::Greater));
        }
        if matches!(test.op, Op::Equal | Op::LessOrEqual | Op::Less) {
            *high = (*high).min(number - i128::from(test.op == Op::Less));
        }
        low <= high
    }
}

fn fits(pattern: &Pattern, name: &str) -> bool {
    pattern.matches(name.bytes(), super::wildcard::Case::Sensitive)
}
