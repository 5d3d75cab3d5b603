//! Many filters as one structure, in which an event finds the filters that match
//! it at a cost that depends on the event and on what can match, not on how many
//! filters there are.
//!
//! What is certain of every event that they may be asked about is left out of the
//! filters first (`rest`): a filter of which nothing remains has nothing to be asked.
//!
//! The distinct tests of all filters are *predicates* (`predicate`), each
//! evaluated at most once for an event. What an event has leads to the predicates
//! that are true of it, by hash (names, values), by prefix (networks), by literal
//! parts (patterns: `pattern`), by order (bounds) and so on: the *facts* (`facts`,
//! with the tables of `value`), found only as far as they matter. Facts lead from
//! node to node of a tree (`index`) at which the filters hang; the way that a
//! filter hangs at was chosen from its *guards* (`guard`). What a way leaves open
//! of a filter is asked by a small program (`program`). Filters that are few and share no
//! field are asked by their programs alone (`plain`).
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
mod plain;
mod predicate;
mod program;
mod rest;
mod strategy;
mod value;

pub(super) use index::FEW;
pub use matcher::Matcher;
pub use strategy::Strategies;

use super::Filter;
use super::ast::Test;
use super::certain::{self, Asked, Truth};
use crate::event::Event;
use facts::{FactTables, Facts};
use guard::Guard;
use index::{Builder, Entry, Index, Way};
use plain::Plain;
use predicate::{Interner, PredicateId, Predicates};
use program::{Answers, Numbered, Programs, Target};

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
    /// Whether the filters are few, and no two tests ask for the same field: then each is
    /// asked as it stands, which costs less than to remember what was found.
    is_plain: bool,
}

impl Compiled {
    /// Compiles the filters, for events that are `asked` about. No more than `few` that are
    /// found in the same way are asked one by one.
    pub(super) fn new(filters: &[Filter], few: usize, asked: Asked) -> Self {
        let mut interner = Interner::default();
        let mut programs = Programs::default();
        let (mut conjuncts, mut starts) = (Vec::new(), vec![0]);
        let mut guards: Vec<Vec<Option<Guard>>> = Vec::with_capacity(filters.len());
        let mut can_match = Vec::with_capacity(filters.len());
        let mut of_fields = 0;
        for filter in filters {
            let certain = certain::find(filter.expr(), asked);
            let expr = &*rest::rest(filter.expr(), &certain);
            of_fields += expr.tests().filter(|(_, it)| matches!(it, Test::Field(_))).count();
            let tests: Vec<PredicateId> =
                expr.tests().map(|(_, test)| interner.intern(test)).collect();
            let numbered = Numbered { expr, tests: &tests };
            let predicates = interner.predicates();
            let parts = numbered.conjuncts();
            guards.push(parts.iter().map(|part| Guard::of(numbered, *part, predicates)).collect());
            conjuncts.extend(parts.iter().map(|part| programs.add(numbered, *part, predicates)));
            starts.push(small(conjuncts.len()));
            can_match.push(certain.whole() != Truth::Never);
        }
        let predicates = interner.into_predicates();
        let members = (0..).zip(&can_match).filter(|(_, can)| **can).map(|(filter, _)| filter);
        let (index, ways) = Builder::build(&guards, &predicates, few, members);
        let tables = FactTables::new(&predicates, |id| index.uses(id));
        let is_plain = filters.len() <= few && of_fields == predicates.keys.names().len();
        Compiled { predicates, tables, programs, conjuncts, starts, index, ways, is_plain }
    }

    /// Puts the filters that match into `matched`, in ascending order.
    pub(super) fn matches_into(
        &self,
        event: &Event<'_>,
        matcher: &mut Matcher,
        matched: &mut Vec<u32>,
    ) {
        if self.is_plain {
            let mut plain = Plain { predicates: &self.predicates, names: &matcher.names, event };
            let entries = self.index.place(Index::ROOT).entries.iter();
            let passing = entries.filter(|entry| self.passes(**entry, &mut plain));
            matched.extend(passing.map(|entry| entry.filter));
            return;
        }
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
    pub(super) fn strategies(&self, named: bool) -> Strategies {
        Strategies::new(&self.ways, named)
    }

    /// Whether what is left of the filter is true.
    fn passes(&self, entry: Entry, answers: &mut impl Answers) -> bool {
        if entry.left == 0 {
            return true;
        }
        let filter = entry.filter as usize;
        let conjuncts =
            &self.conjuncts[self.starts[filter] as usize..self.starts[filter + 1] as usize];
        let mut left = entry.conjuncts_left(conjuncts.len());
        left.all(|conjunct| self.programs.run(conjuncts[conjunct], answers))
    }
}

/// An index among what filters are made of.
fn small(index: usize) -> u32 {
    u32::try_from(index).expect("invariant: filters are shorter than 4 GiB in all")
}
