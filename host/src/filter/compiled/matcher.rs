//! What one worker needs to ask a [`FilterSet`](crate::filter::FilterSet): the
//! answers for the event at hand, in memory that is used again for the next one.

use super::Compiled;
use super::predicate::{KeyId, PredicateId};
use fantail_sdk::FieldValue;

use crate::event::{CategoryId, CategoryRegistry};
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
    pub(super) categories: CategoryCache,
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

/// The tests of a connection's categories, by its registry's own ids. Most events
/// come from the same connection as the one before.
#[derive(Debug, Default)]
pub(super) struct CategoryCache {
    registry: Option<u64>,
    /// What is known; the outer `None` is nothing yet.
    tests: Vec<Option<Option<PredicateId>>>,
}

impl Matcher {
    /// For asking `set`, and no other one.
    pub fn new(set: &FilterSet) -> Self {
        Matcher::of(set.compiled())
    }

    pub(super) fn of(compiled: &Compiled) -> Self {
        Matcher {
            answers: vec![Answer::default(); compiled.predicates.len()],
            looked: vec![EventNumber::default(); compiled.starts.len().saturating_sub(1)],
            keys: vec![KeyState::default(); compiled.predicates.keys.len()],
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

impl CategoryCache {
    /// The test of the category, which `find` looks up by its name the first time.
    pub(super) fn test(
        &mut self,
        registry: &CategoryRegistry,
        id: CategoryId,
        find: impl FnOnce(&[u8]) -> Option<PredicateId>,
    ) -> Option<PredicateId> {
        if self.registry != Some(registry.serial()) {
            self.registry = Some(registry.serial());
            self.tests.clear();
        }
        if self.tests.len() <= id.index() {
            self.tests.resize(id.index() + 1, None);
        }
        *self.tests[id.index()].get_or_insert_with(|| find(registry.name(id)))
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
        let set = FilterSet::with_few(texts.map(|text| Filter::parse(text).unwrap()), 0);
        let one = EventChain::new(EventBuilder::new().text("a", "x").text("b", "y"), &[]);
        let other = EventChain::new(EventBuilder::new().text("a", "y"), &[]);
        let mut matcher = Matcher::new(&set);
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
