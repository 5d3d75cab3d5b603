//! Many filters as one structure, in which an event finds the filters that match
//! it at a cost that depends on the event and on what can match, not on how many
//! filters there are.
//!
//! The distinct tests of all filters are *predicates* (`predicate`), each
//! evaluated at most once for an event. What an event has leads to the predicates
//! that are true of it, by hash (names, values), by prefix (networks), by literal
//! parts (patterns: `pattern`), by order (bounds) and so on: the *facts* (`facts`,
//! with the tables of `value`), found only as far as they matter. Facts lead from
//! node to node of a tree (`index`) at which the filters hang; the way that a
//! filter hangs at was chosen from its *guards* (`guard`). What a way leaves open
//! of a filter is asked by a small program (`program`).
//!
//! Nothing here changes when events are asked about: what does is a worker's own
//! [`Matcher`]. It is told apart from event to event by a number, so that nothing
//! has to be cleared.
//!
//! The meaning of every test is [`naive`](super::naive)'s, which stays the
//! reference: tests and a fuzz target compare the two.

mod facts;
mod guard;
mod index;
mod matcher;
mod pattern;
mod predicate;
mod program;
mod strategy;
mod value;

pub(super) use index::FEW;
pub use matcher::Matcher;
pub use strategy::Strategies;

use std::collections::HashSet;

use super::Filter;
use super::ast::Test;
use super::never;
use crate::event::Event;
use facts::{FactTables, Facts};
use guard::Guard;
use index::{Builder, Entry, Index, Way};
use predicate::{Interner, PredicateId, Predicates};
use program::{Asks, Numbered, Programs, Target};

/// Filters, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled {
    predicates: Predicates,
    tables: FactTables,
    programs: Programs,
    /// Where the conjuncts' programs begin, one filter's behind the other's.
    conjuncts: Vec<Target>,
    /// Where each filter's begin in `conjuncts`; and the end of the last one's.
    starts: Vec<u32>,
    index: Index,
    ways: Vec<Option<Way>>,
    is_needless: bool,
}

impl Compiled {
    /// Compiles the filters. No more than `few` that are found in the same way are
    /// asked one by one.
    pub(super) fn new(filters: &[Filter], few: usize) -> Self {
        let mut interner = Interner::default();
        let mut programs = Programs::default();
        let (mut conjuncts, mut starts) = (Vec::new(), vec![0]);
        let mut guards: Vec<Vec<Option<Guard>>> = Vec::with_capacity(filters.len());
        let mut can_match = Vec::with_capacity(filters.len());
        for filter in filters {
            let expr = filter.expr();
            let tests: Vec<PredicateId> =
                expr.tests().map(|(_, test)| interner.intern(test)).collect();
            let numbered = Numbered { expr, tests: &tests };
            let predicates = interner.predicates();
            let parts = numbered.conjuncts();
            guards.push(parts.iter().map(|part| Guard::of(numbered, *part, predicates)).collect());
            conjuncts.extend(parts.iter().map(|part| programs.add(numbered, *part, predicates)));
            starts.push(small(conjuncts.len()));
            can_match.push(!never::find(expr).never);
        }
        let predicates = interner.into_predicates();
        let members = (0..).zip(&can_match).filter(|(_, can)| **can).map(|(filter, _)| filter);
        let (index, ways) = Builder::build(&guards, &predicates, few, members);
        let tables = FactTables::new(&predicates, |id| index.uses(id));
        let is_needless = filters.len() <= few && shares_nothing(filters);
        Compiled { predicates, tables, programs, conjuncts, starts, index, ways, is_needless }
    }

    /// Whether asking the filters one by one costs less: they are few, and no two
    /// tests ask for the same field.
    pub(super) fn is_needless(&self) -> bool {
        self.is_needless
    }

    /// Puts the filters that match into `matched`, in ascending order.
    pub(super) fn matches_into(
        &self,
        event: &Event<'_>,
        matcher: &mut Matcher,
        matched: &mut Vec<u32>,
    ) {
        let mut open = std::mem::take(&mut matcher.open);
        let mut facts = Facts::begin(self, event, matcher);
        open.push(Index::ROOT);
        while let Some(number) = open.pop() {
            let place = self.index.place(number);
            for entry in &place.entries {
                if facts.is_first_look(entry.filter) && self.passes(*entry, &mut facts) {
                    matched.push(entry.filter);
                }
            }
            facts.relevant(place, |facts| {
                for &fact in facts {
                    open.extend(self.index.follow(number, fact));
                }
            });
        }
        facts.end();
        matcher.open = open;
        if !matched.is_sorted() {
            matched.sort_unstable();
        }
    }

    /// How the filters are found.
    pub(super) fn strategies(&self) -> Strategies {
        Strategies::new(&self.ways)
    }

    /// Whether what is left of the filter is true.
    fn passes(&self, entry: Entry, facts: &mut Facts<'_, '_>) -> bool {
        if entry.left == 0 {
            return true;
        }
        let filter = entry.filter as usize;
        let conjuncts =
            &self.conjuncts[self.starts[filter] as usize..self.starts[filter + 1] as usize];
        entry.conjuncts_left(conjuncts.len()).all(|conjunct| self.run(conjuncts[conjunct], facts))
    }

    fn run(&self, mut at: Target, facts: &mut Facts<'_, '_>) -> bool {
        while let Some(step) = at.step() {
            let step = &self.programs.steps[step];
            let answer = match step.asks {
                Asks::One(predicate) => facts.is_true(predicate),
                Asks::AnyOf(set) => facts.is_any_true(&self.programs.sets[set as usize]),
            };
            at = if answer { step.on_true } else { step.on_false };
        }
        at == Target::TRUE
    }
}

/// Whether no two tests ask for the same field.
fn shares_nothing(filters: &[Filter]) -> bool {
    let mut seen = HashSet::new();
    filters.iter().flat_map(|filter| filter.expr().tests()).all(|(_, test)| match test {
        Test::Field(test) => seen.insert(&test.key),
        Test::Name(_) | Test::Category(_) | Test::LogType(_) | Test::Source(_) => true,
    })
}

/// An index among what filters are made of.
fn small(index: usize) -> u32 {
    u32::try_from(index).expect("invariant: filters are shorter than 4 GiB in all")
}
