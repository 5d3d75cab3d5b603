//! A parsed filter as a tree that lies flat in one vector.
//!
//! Nodes stand in postfix order: children before their parent, the left child's
//! subtree right before the right child's. So a node's whole subtree is one run
//! that ends with it, its leftmost test comes first in that run, and nothing
//! here or in the rooms that read it needs recursion, however deep a filter is.

use super::literal::Literal;
use super::wildcard::{Case, Pattern};
use crate::event::LogType;

/// A node's place in its [`Expr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// A test's place in its [`Expr`]: tests count from 0 in the order of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TestId(u32);

/// One node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A leaf.
    Test(TestId),
    /// True when the child is false.
    Not(NodeId),
    /// True when both children are. The left one is asked first, and the right
    /// one only when the left one does not decide.
    And(NodeId, NodeId),
    /// True when one of the children is, asked as with `And`.
    Or(NodeId, NodeId),
}

/// What joins two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// `AND`
    And,
    /// `OR`
    Or,
}

/// What a leaf asks an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `event=`: the event's own name.
    Name(NameTest),
    /// `category=`: the category or a descendant of it.
    Category(Box<str>),
    /// `category=` with the word of a log type.
    LogType(LogType),
    /// `source_location=`: `file`, or `file:line` when there is a colon.
    Source(Box<str>),
    /// Any other key.
    Field(FieldTest),
}

/// What an event's name has to be; names have upper and lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameTest {
    /// This name.
    Exact(Box<str>),
    /// A name that matches.
    Pattern(Pattern),
}

/// A comparison of one field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldTest {
    /// The field's name.
    pub key: Box<str>,
    /// How to compare.
    pub op: Op,
    /// What to compare the field with.
    pub value: Literal,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `>=`
    GreaterOrEqual,
    /// `<=`
    LessOrEqual,
}

/// A parsed filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expr {
    nodes: Vec<Node>,
    parents: Vec<Option<NodeId>>,
    tests: Vec<Test>,
}

impl Expr {
    /// The whole expression; `None` for the empty filter, which matches nothing.
    pub fn root(&self) -> Option<NodeId> {
        self.nodes.len().checked_sub(1).map(NodeId::new)
    }

    /// The node at `id`.
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id.index()]
    }

    /// All nodes, children before their parents.
    pub fn nodes(
        &self,
    ) -> impl ExactSizeIterator<Item = (NodeId, Node)> + DoubleEndedIterator + '_ {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId::new(index), *node))
    }

    /// The node's parent; `None` for the root.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.parents[id.index()]
    }

    /// The test at `id`.
    pub fn test(&self, id: TestId) -> &Test {
        &self.tests[id.index()]
    }

    /// All tests in the order of reading.
    pub fn tests(&self) -> impl ExactSizeIterator<Item = (TestId, &Test)> + '_ {
        self.tests.iter().enumerate().map(|(index, test)| (TestId::new(index), test))
    }

    /// Adds a leaf.
    pub(super) fn push_test(&mut self, test: Test) -> NodeId {
        let id = TestId::new(self.tests.len());
        self.tests.push(test);
        self.push(Node::Test(id))
    }

    /// Negates the expression added last.
    pub(super) fn push_not(&mut self, child: NodeId) -> NodeId {
        let id = self.push(Node::Not(child));
        self.parents[child.index()] = Some(id);
        id
    }

    /// Joins the two expressions added last.
    pub(super) fn push_joined(&mut self, left: NodeId, joint: Joint, right: NodeId) -> NodeId {
        let id = self.push(match joint {
            Joint::And => Node::And(left, right),
            Joint::Or => Node::Or(left, right),
        });
        self.parents[left.index()] = Some(id);
        self.parents[right.index()] = Some(id);
        id
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.parents.push(None);
        NodeId::new(self.nodes.len() - 1)
    }
}

impl NodeId {
    fn new(index: usize) -> Self {
        NodeId(small(index))
    }

    /// The place in the order of [`Expr::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The node whose place is right behind this one's.
    pub(super) fn next(self) -> Self {
        NodeId(self.0 + 1)
    }
}

impl TestId {
    pub(super) fn new(index: usize) -> Self {
        TestId(small(index))
    }

    /// The place in the order of [`Expr::tests`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

fn small(index: usize) -> u32 {
    u32::try_from(index).expect("invariant: a filter's text is shorter than 4 GiB")
}

impl NameTest {
    /// Whether an event with that name passes.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            NameTest::Exact(wanted) => wanted.as_bytes() == name,
            NameTest::Pattern(pattern) => pattern.matches(name.iter().copied(), Case::Sensitive),
        }
    }
}

impl FieldTest {
    /// Whether the key is `duration`, which is computed and never read from a field.
    pub fn is_duration(&self) -> bool {
        &*self.key == "duration"
    }
}

impl Op {
    /// How a filter writes it.
    pub const fn text(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::Greater => ">",
            Op::Less => "<",
            Op::GreaterOrEqual => ">=",
            Op::LessOrEqual => "<=",
        }
    }

    /// Whether the comparison of `left` with `right` holds.
    pub const fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Op::Equal => left == right,
            Op::Greater => left > right,
            Op::Less => left < right,
            Op::GreaterOrEqual => left >= right,
            Op::LessOrEqual => left <= right,
        }
    }
}
