//! What one worker needs to ask a [`FilterSet`](crate::filter::FilterSet): the
//! answers for the event at hand, in memory that is used again for the next one.

use std::sync::Arc;

use fantail_sdk::FieldValue;

use super::Compiled;
use super::predicate::{KeyId, PredicateId};
use crate::event::{Symbol, Symbols};
use crate::filter::FilterSet;

/// A worker's memory for one [`FilterSet`](crate::filter::FilterSet).
///
/// Its size depends on the set; it grows with the largest event, and no more.
#[derive(Debug, Default)]
pub struct Matcher {
    /// The number of the event at hand. What bears another number is forgotten,
    /// so that nothing has to be cleared from event to event.
    pub(super) event: EventNumber,
    /// By predicate.
    pub(super) answers: Vec<Answer>,
    /// By filter: the last event for which it was asked.
    pub(super) looked: Vec<EventNumber>,
    /// By field.
    pub(super) keys: Vec<KeyState>,
    /// What fields hold; empty between events, as are all below.
    pub(super) values: Vec<Option<FieldValue<'static>>>,
    /// The fields that the event has, once they have all been read.
    pub(super) present: Vec<KeyId>,
    /// Predicates that are true, those of one field or aspect in a row.
    pub(super) facts: Vec<PredicateId>,
    /// Nodes of the index that are still to be visited.
    pub(super) open: Vec<u32>,
    /// A text without upper case.
    pub(super) fold: Vec<u8>,
    /// An element of a list without its escapes.
    pub(super) element: Vec<u8>,
    /// The set of the event's categories.
    pub(super) categories: Vec<u64>,
    pub(super) names: Names,
}

/// The number of an event, from 1; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EventNumber(u32);

/// What is known of a predicate: the event's number, whether it is among the
/// facts, and the answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer(u32);

/// What is known of a field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyState {
    /// The event for which it was looked up.
    pub(super) looked_up: EventNumber,
    /// The value's place in [`Matcher::values`] then.
    pub(super) value: u32,
    /// The event for which it is in [`Matcher::present`].
    pub(super) present: EventNumber,
    /// The event for which its facts are known, and which these are.
    pub(super) judged: EventNumber,
    pub(super) facts: Run,
}

/// Some of [`Matcher::facts`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// The names that the filters ask for, in the table by which the events are decoded.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) symbols: Arc<Symbols>,
    /// The symbol of each field that some test asks for.
    keys: Vec<Symbol>,
    /// The field of each symbol, if some test asks for it.
    by_symbol: Vec<Option<KeyId>>,
    /// The test of each of the table's categories, if there is one.
    pub(super) tests: Vec<Option<PredicateId>>,
}

impl Matcher {
    /// For asking `set`, and no other one, about events that were decoded with the
    /// table `symbols`: what the table lacks, no event has.
    pub fn new(set: &FilterSet, symbols: &Arc<Symbols>) -> Self {
        let compiled = set.compiled();
        Matcher {
            answers: vec![Answer::default(); compiled.predicates.len()],
            looked: vec![EventNumber::default(); compiled.starts.len().saturating_sub(1)],
            keys: vec![KeyState::default(); compiled.predicates.keys.names().len()],
            categories: vec![0; symbols.category_words()],
            names: Names::new(compiled, symbols),
            ..Matcher::default()
        }
    }

    /// Forgets the last event.
    pub(super) fn next_event(&mut self) {
        if self.event == EventNumber::LAST {
            self.answers.fill(Answer::default());
            self.looked.fill(EventNumber::default());
            self.keys.fill(KeyState::default());
            self.event = EventNumber::default();
        }
        self.event = EventNumber(self.event.0 + 1);
    }
}

impl EventNumber {
    /// As many as fit into an [`Answer`].
    pub(super) const LAST: EventNumber = EventNumber(u32::MAX >> 2);
}

impl Answer {
    /// The answer for that event.
    pub(super) fn new(event: EventNumber, is_true: bool) -> Self {
        Answer(event.0 << 2 | u32::from(is_true))
    }

    /// The answer of a predicate that is among the facts.
    pub(super) fn fact(event: EventNumber) -> Self {
        Answer(event.0 << 2 | 0b11)
    }

    /// The answer, if it is one for that event.
    pub(super) fn of(self, event: EventNumber) -> Option<bool> {
        (self.0 >> 2 == event.0).then_some(self.0 & 1 != 0)
    }

    /// Whether the predicate is among the event's facts.
    pub(super) fn is_fact(self, event: EventNumber) -> bool {
        self.0 == Answer::fact(event).0
    }
}

impl Run {
    /// The places.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Names {
    fn new(compiled: &Compiled, symbols: &Arc<Symbols>) -> Self {
        let keys = &compiled.predicates.keys;
        let mut names = Names {
            symbols: Arc::clone(symbols),
            keys: keys.names().iter().map(|name| symbols.find(name.as_bytes())).collect(),
            by_symbol: vec![None; symbols.len()],
            tests: vec![None; symbols.categories()],
        };
        for (index, symbol) in names.keys.iter().enumerate() {
            let key = KeyId::new(index);
            // The duration is never read from a field.
            if symbol.is_some() && keys.duration() != Some(key) {
                names.by_symbol[symbol.index()] = Some(key);
            }
        }
        for (name, test) in &compiled.tables.categories {
            if let Some(category) = symbols.find_category(name.as_bytes()) {
                names.tests[category.index()] = Some(*test);
            }
        }
        names
    }

    /// The field's symbol.
    pub(super) fn of_key(&self, key: KeyId) -> Symbol {
        self.keys[key.index()]
    }

    /// The field with that symbol, if some test asks for it.
    pub(super) fn key_of(&self, symbol: Symbol) -> Option<KeyId> {
        self.by_symbol.get(symbol.index()).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{EventNumber, Matcher};
    use crate::event::builder::{EventBuilder, EventChain};
    use crate::filter::{Filter, FilterSet};

    #[test]
    fn events_are_told_apart_when_their_numbers_begin_anew() {
        let texts = ["a=x AND b=y", "a=y OR b=y", "a=x AND NOT b=y", "a=* AND NOT a=y"];
        let set = FilterSet::with_few(texts.map(|text| Filter::parse(text).unwrap()), true, 0);
        let symbols = set.symbols();
        let chain = |event| EventChain::new(event, &[]).resolve(&symbols);
        let one = chain(EventBuilder::new().text("a", "x").text("b", "y"));
        let other = chain(EventBuilder::new().text("a", "y"));
        let mut matcher = Matcher::new(&set, &symbols);
        let check = |matcher: &mut Matcher| {
            for (chain, expected) in [(&one, &[0, 1, 3][..]), (&other, &[1][..])] {
                let mut matched = Vec::new();
                set.matches_into(&chain.event(), matcher, &mut matched);
                assert_eq!(matched, expected, "{:?}", matcher.event);
            }
        };
        // What the first events left behind bears the numbers that come again.
        check(&mut matcher);
        matcher.event = EventNumber(EventNumber::LAST.0 - 2);
        check(&mut matcher);
        assert_eq!(matcher.event, EventNumber::LAST);
        check(&mut matcher);
        assert_eq!(matcher.event, EventNumber(2));
    }
}
