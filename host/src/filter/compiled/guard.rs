//! What has to be true of an event for a conjunct to be true.

use super::predicate::{Kind, PredicateId, Predicates};
use super::program::{Conjunct, Numbered};
use crate::filter::ast::Node;

/// Predicates of which at least one is true whenever a conjunct is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    /// In ascending order.
    pub(super) predicates: Box<[PredicateId]>,
    /// Whether the conjunct is true whenever one of them is.
    pub(super) is_exact: bool,
    /// The least narrow kind among them.
    pub(super) kind: Kind,
}

impl Guard {
    /// The guard of a conjunct. `None` when nothing that is true of an event
    /// leads to it: it is negated, or true of what an event lacks.
    ///
    /// Negation is followed down to the tests: `NOT (NOT a=1 OR b=2)` is guarded
    /// by `a=1`.
    pub(super) fn of(
        filter: Numbered<'_>,
        conjunct: Conjunct,
        predicates: &Predicates,
    ) -> Option<Guard> {
        let nodes = filter.subtree(conjunct.root);
        let at = |id: crate::filter::ast::NodeId| id.index() - nodes[0].index();
        let mut wanted = vec![conjunct.wanted; nodes.len()];
        for (place, &id) in nodes.iter().enumerate().rev() {
            match filter.expr.node(id) {
                Node::Test(_) => {}
                Node::Not(child) => wanted[at(child)] = !wanted[place],
                Node::And(left, right) | Node::Or(left, right) => {
                    wanted[at(left)] = wanted[place];
                    wanted[at(right)] = wanted[place];
                }
            }
        }
        let mut open: Vec<Option<Draft>> = Vec::new();
        for (place, &id) in nodes.iter().enumerate() {
            let node = filter.expr.node(id);
            let draft = match (node, wanted[place]) {
                (Node::Test(_), false) => None,
                (Node::Test(test), true) => Draft::of_test(filter.tests[test.index()], predicates),
                (Node::Not(_), _) => open.pop().flatten(),
                (Node::And(..), true) | (Node::Or(..), false) => {
                    let (right, left) = (open.pop().flatten(), open.pop().flatten());
                    Draft::of_both(left, right)
                }
                (Node::And(..), false) | (Node::Or(..), true) => {
                    let (right, left) = (open.pop().flatten(), open.pop().flatten());
                    Draft::of_either(left, right)
                }
            };
            open.push(draft);
        }
        open.pop().flatten().map(Draft::finish)
    }
}

struct Draft {
    predicates: Vec<PredicateId>,
    is_exact: bool,
    kind: Kind,
}

impl Draft {
    fn of_test(id: PredicateId, predicates: &Predicates) -> Option<Self> {
        let kind = predicates.get(id).kind()?;
        Some(Draft { predicates: vec![id], is_exact: true, kind })
    }

    /// Both have to be true: the narrower one's guard is enough, and no longer exact.
    fn of_both(left: Option<Self>, right: Option<Self>) -> Option<Self> {
        let mut better = match (left, right) {
            (Some(left), Some(right)) => {
                let cost = |draft: &Draft| (draft.kind, draft.predicates.len());
                if cost(&right) < cost(&left) { right } else { left }
            }
            (left, right) => left.or(right)?,
        };
        better.is_exact = false;
        Some(better)
    }

    /// One has to be true: it takes both guards.
    fn of_either(left: Option<Self>, right: Option<Self>) -> Option<Self> {
        let (left, right) = (left?, right?);
        let is_exact = left.is_exact && right.is_exact;
        let kind = left.kind.max(right.kind);
        // The longer one grows, so that a row of thousands takes linear time.
        let (mut longer, shorter) = if left.predicates.len() < right.predicates.len() {
            (right.predicates, left.predicates)
        } else {
            (left.predicates, right.predicates)
        };
        longer.extend(shorter);
        Some(Draft { predicates: longer, is_exact, kind })
    }

    fn finish(mut self) -> Guard {
        self.predicates.sort_unstable();
        self.predicates.dedup();
        Guard { predicates: self.predicates.into(), is_exact: self.is_exact, kind: self.kind }
    }
}
