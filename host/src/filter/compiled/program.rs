//! Filters as programs: for each test where to go on when it is true, and where
//! when it is false. So AND, OR and NOT cost nothing when an event is asked.
//!
//! A filter is first cut into its *conjuncts*, the parts that all have to be
//! true; each is a program of its own, because what led to a filter may have
//! answered some of them. Many values of one field, joined by OR, are one step.

use super::predicate::{KeyId, PredicateId, Predicates};
use crate::filter::ast::{Expr, Node, NodeId};

/// From so many on, values of one field that are joined by OR are one step.
const SET_MIN: usize = 4;

/// A step's place among all steps, or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target(u32);

impl Target {
    /// The end: the conjunct is true.
    const TRUE: Target = Target(u32::MAX);
    /// The end: the conjunct is false.
    const FALSE: Target = Target(u32::MAX - 1);

    /// The step, unless it is an answer.
    fn step(self) -> Option<usize> {
        (self.0 < Self::FALSE.0).then_some(self.0 as usize)
    }
}

/// One test, and where its answer leads.
#[derive(Clone, Copy, Debug)]
struct Step {
    asks: Asks,
    on_true: Target,
    on_false: Target,
}

/// What a step asks.
#[derive(Clone, Copy, Debug)]
enum Asks {
    /// Whether the predicate is true.
    One(PredicateId),
    /// Whether one of the set is, by the set's number.
    AnyOf(u32),
}

/// Who answers for an event what steps ask.
pub(super) trait Answers {
    /// Whether the predicate is true.
    fn is_true(&mut self, id: PredicateId) -> bool;

    /// Whether one of the values is the field's.
    fn is_any_true(&mut self, set: &ValueSet) -> bool;
}

/// Values of one field.
#[derive(Clone, Debug)]
pub(super) struct ValueSet {
    /// The field.
    pub(super) key: KeyId,
    /// Its tests, in ascending order.
    pub(super) members: Box<[PredicateId]>,
}

/// The steps of all filters.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    steps: Vec<Step>,
    sets: Vec<ValueSet>,
}

/// A part of a filter that has to be true, or false.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conjunct {
    /// Its topmost node.
    pub(super) root: NodeId,
    /// What it has to be.
    pub(super) wanted: bool,
}

/// A filter with the numbers of its tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered<'f> {
    pub(super) expr: &'f Expr,
    /// By the tests' order in the filter.
    pub(super) tests: &'f [PredicateId],
}

impl Numbered<'_> {
    /// The parts that all have to be true for the filter to be, in its order.
    pub(super) fn conjuncts(&self) -> Vec<Conjunct> {
        let mut found = Vec::new();
        let mut rest: Vec<(NodeId, bool)> =
            self.expr.root().map(|id| (id, true)).into_iter().collect();
        while let Some((root, wanted)) = rest.pop() {
            match (self.expr.node(root), wanted) {
                (Node::And(left, right), true) | (Node::Or(left, right), false) => {
                    rest.extend([(right, wanted), (left, wanted)]);
                }
                (Node::Not(child), _) => rest.push((child, !wanted)),
                _ => found.push(Conjunct { root, wanted }),
            }
        }
        found
    }

    /// The number of a test that is a leaf.
    pub(super) fn leaf(&self, node: Node) -> Option<PredicateId> {
        match node {
            Node::Test(test) => Some(self.tests[test.index()]),
            _ => None,
        }
    }

    /// The nodes below `root` and itself, children first.
    pub(super) fn subtree(&self, root: NodeId) -> Vec<NodeId> {
        let mut first = root;
        loop {
            first = match self.expr.node(first) {
                Node::Test(_) => break,
                Node::Not(child) => child,
                Node::And(left, _) | Node::Or(left, _) => left,
            };
        }
        std::iter::successors(Some(first), |id| (*id != root).then(|| id.next())).collect()
    }
}

impl Programs {
    /// Runs a conjunct's program.
    pub(super) fn run(&self, mut at: Target, answers: &mut impl Answers) -> bool {
        while let Some(step) = at.step() {
            let step = &self.steps[step];
            let answer = match step.asks {
                Asks::One(predicate) => answers.is_true(predicate),
                Asks::AnyOf(set) => answers.is_any_true(&self.sets[set as usize]),
            };
            at = if answer { step.on_true } else { step.on_false };
        }
        at == Target::TRUE
    }

    /// Adds a conjunct's steps; returns where they begin.
    pub(super) fn add(
        &mut self,
        filter: Numbered<'_>,
        conjunct: Conjunct,
        predicates: &Predicates,
    ) -> Target {
        let nodes = filter.subtree(conjunct.root);
        let at = |id: NodeId| id.index() - nodes[0].index();
        let sets = Sets::find(filter, &nodes, predicates);
        let begin = self.steps.len();

        // In postfix order the tests come in the order of reading.
        let mut first_steps: Vec<Target> = Vec::with_capacity(nodes.len());
        let mut next = begin;
        for (place, &id) in nodes.iter().enumerate() {
            let node = filter.expr.node(id);
            let first = match node {
                _ if sets.covers(place) => Target(0),
                Node::Not(child) => first_steps[at(child)],
                Node::And(left, _) | Node::Or(left, _) if !sets.is_one(place) => {
                    first_steps[at(left)]
                }
                _ => {
                    next += 1;
                    Target(super::small(next - 1))
                }
            };
            first_steps.push(first);
        }

        // From the top down: where each node's answers lead.
        let ends = if conjunct.wanted {
            (Target::TRUE, Target::FALSE)
        } else {
            (Target::FALSE, Target::TRUE)
        };
        let mut targets = vec![ends; nodes.len()];
        let nowhere =
            Step { asks: Asks::AnyOf(0), on_true: Target::FALSE, on_false: Target::FALSE };
        self.steps.resize(next, nowhere);
        for (place, &id) in nodes.iter().enumerate().rev() {
            if sets.covers(place) {
                continue;
            }
            let (on_true, on_false) = targets[place];
            let node = filter.expr.node(id);
            let asks = match node {
                _ if sets.is_one(place) => Asks::AnyOf(self.add_set(&sets, filter, &nodes, place)),
                Node::Test(test) => Asks::One(filter.tests[test.index()]),
                Node::Not(child) => {
                    targets[at(child)] = (on_false, on_true);
                    continue;
                }
                Node::And(left, right) => {
                    targets[at(right)] = (on_true, on_false);
                    targets[at(left)] = (first_steps[at(right)], on_false);
                    continue;
                }
                Node::Or(left, right) => {
                    targets[at(right)] = (on_true, on_false);
                    targets[at(left)] = (on_true, first_steps[at(right)]);
                    continue;
                }
            };
            let step = first_steps[place].step().expect("invariant: a leaf has a step");
            self.steps[step] = Step { asks, on_true, on_false };
        }
        first_steps[at(conjunct.root)]
    }

    fn add_set(
        &mut self,
        sets: &Sets,
        filter: Numbered<'_>,
        nodes: &[NodeId],
        place: usize,
    ) -> u32 {
        let run = &sets.0[place];
        let below = &nodes[run.first..place];
        let mut members: Vec<_> =
            below.iter().filter_map(|id| filter.leaf(filter.expr.node(*id))).collect();
        members.sort_unstable();
        members.dedup();
        let key = run.key.expect("invariant: a set is of one field");
        self.sets.push(ValueSet { key, members: members.into() });
        super::small(self.sets.len() - 1)
    }
}

/// Which nodes are values of one field joined by OR.
struct Sets(Vec<Run>);

/// A node as a set.
#[derive(Clone, Copy)]
struct Run {
    /// The field, when it is nothing but values of one field joined by OR.
    key: Option<KeyId>,
    /// The place of the first node below it.
    first: usize,
    /// How many values.
    count: usize,
    /// Whether it is a part of a larger set.
    is_covered: bool,
}

impl Sets {
    fn find(filter: Numbered<'_>, nodes: &[NodeId], predicates: &Predicates) -> Sets {
        let at = |id: NodeId| id.index() - nodes[0].index();
        let mut runs: Vec<Run> = Vec::with_capacity(nodes.len());
        for (place, &id) in nodes.iter().enumerate() {
            let node = filter.expr.node(id);
            let run = match node {
                Node::Test(test) => {
                    let key = predicates.get(filter.tests[test.index()]).value_key();
                    Run { key, first: place, count: 1, is_covered: false }
                }
                Node::Not(child) => Run { key: None, ..runs[at(child)] },
                Node::And(left, _) => Run { key: None, ..runs[at(left)] },
                Node::Or(left, right) => {
                    let (left, right) = (runs[at(left)], runs[at(right)]);
                    let key = left.key.filter(|key| right.key == Some(*key));
                    Run { key, count: left.count + right.count, ..left }
                }
            };
            runs.push(run);
        }
        let mut sets = Sets(runs);
        for place in (0..nodes.len()).rev() {
            if !sets.0[place].is_covered && sets.is_one(place) {
                let first = sets.0[place].first;
                sets.0[first..place].iter_mut().for_each(|run| run.is_covered = true);
            }
        }
        sets
    }

    /// Whether the node is asked as a set.
    fn is_one(&self, place: usize) -> bool {
        let run = &self.0[place];
        run.key.is_some() && run.count >= SET_MIN
    }

    /// Whether the node is a part of a set.
    fn covers(&self, place: usize) -> bool {
        self.0[place].is_covered
    }
}
