//! The distinct tests of all filters, each with a number of its own, and the
//! names of the fields they ask for.
//!
//! Tests that differ in the case of their text only are one: text in a field has
//! no case. Everything else that means the same in two spellings was made equal
//! by the parser.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::LogType;
use crate::filter::ast::{FieldTest, NameTest, Op, Test};
use crate::filter::literal::Literal;

/// A distinct test, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PredicateId(u32);

/// A field that some test asks for, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct KeyId(u32);

/// A distinct test.
#[derive(Clone, Debug)]
pub(super) enum Predicate {
    /// Of the event's name.
    Name(NameTest),
    /// Of a category, whose name the index of facts has.
    Category(Box<str>),
    /// Of the severity.
    LogType(LogType),
    /// Of the place in the source.
    Source(Box<str>),
    /// Of a field.
    Field(KeyId, FieldTest),
}

/// How much a predicate that is true narrows down the filters, the narrowest
/// first; and the words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A field equals a value.
    Value,
    /// The event has that name.
    Name,
    /// It comes from that place in the source.
    Source,
    /// A field holds an address of that network.
    Network,
    /// A name or a field matches a pattern that has a literal part.
    Pattern,
    /// A number lies above or below a bound.
    Bound,
    /// The event has that category.
    Category,
    /// It has that severity.
    LogType,
    /// A name or a field matches a pattern of wildcards only.
    Presence,
}

/// All distinct tests.
#[derive(Clone, Debug, Default)]
pub(super) struct Predicates {
    all: Vec<Predicate>,
    pub(super) keys: Keys,
}

/// Gives tests their numbers.
#[derive(Debug, Default)]
pub(super) struct Interner {
    ids: HashMap<Test, PredicateId, RandomState>,
    keys: HashMap<Box<str>, KeyId, RandomState>,
    predicates: Predicates,
}

/// The fields that some test asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    names: Vec<Box<str>>,
    duration: Option<KeyId>,
}

impl Interner {
    /// The test's number; a new one when it has not been seen before.
    pub(super) fn intern(&mut self, test: &Test) -> PredicateId {
        let test = folded(test);
        let next = PredicateId::new(self.predicates.all.len());
        let id = *self.ids.entry(test.clone()).or_insert(next);
        if id == next {
            let predicate = match test {
                Test::Name(wanted) => Predicate::Name(wanted),
                Test::Category(name) => Predicate::Category(name),
                Test::LogType(wanted) => Predicate::LogType(wanted),
                Test::Source(wanted) => Predicate::Source(wanted),
                Test::Field(test) => Predicate::Field(self.key(&test), test),
            };
            self.predicates.all.push(predicate);
        }
        id
    }

    /// The number of the field that the test asks for.
    fn key(&mut self, test: &FieldTest) -> KeyId {
        let keys = &mut self.predicates.keys;
        let next = KeyId::new(keys.names.len());
        let id = *self.keys.entry((*test.key).into()).or_insert(next);
        if id == next {
            keys.names.push((*test.key).into());
            if test.is_duration() {
                keys.duration = Some(id);
            }
        }
        id
    }

    /// What has been given a number.
    pub(super) fn into_predicates(self) -> Predicates {
        self.predicates
    }

    /// What has been given a number so far.
    pub(super) fn predicates(&self) -> &Predicates {
        &self.predicates
    }
}

/// The test as all those write it that mean the same.
fn folded(test: &Test) -> Test {
    let mut test = test.clone();
    if let Test::Field(FieldTest { value, .. }) = &mut test
        && let Literal::Text(text) | Literal::Ambiguous(text) = value
    {
        text.make_ascii_lowercase();
    }
    test
}

impl Predicates {
    /// The predicate with that number.
    pub(super) fn get(&self, id: PredicateId) -> &Predicate {
        &self.all[id.index()]
    }

    /// All of them, by number.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (PredicateId, &Predicate)> {
        self.all.iter().enumerate().map(|(index, it)| (PredicateId::new(index), it))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Keys {
    /// Their names, by number.
    pub(super) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The number of `duration`, if a test asks for it.
    pub(super) fn duration(&self) -> Option<KeyId> {
        self.duration
    }
}

impl Predicate {
    /// How it narrows down when it is true. `None` for one that may be true of
    /// an event that lacks what it asks for, or that is never true: nothing in
    /// the event leads to it.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Predicate::Name(NameTest::Exact(name)) => (!name.is_empty()).then_some(Kind::Name),
            Predicate::Name(NameTest::Pattern(pattern)) => Some(pattern_kind(pattern)),
            Predicate::Category(_) => Some(Kind::Category),
            Predicate::LogType(_) => Some(Kind::LogType),
            Predicate::Source(_) => Some(Kind::Source),
            Predicate::Field(_, FieldTest { op: Op::Equal, value, .. }) => match value {
                Literal::Network(network) if network.is_wide() => Some(Kind::Network),
                Literal::Pattern(pattern) => Some(pattern_kind(pattern)),
                // A missing field equals "".
                _ => (!value.is_empty()).then_some(Kind::Value),
            },
            Predicate::Field(_, FieldTest { value, .. }) => {
                matches!(value, Literal::Integer(_)).then_some(Kind::Bound)
            }
        }
    }

    /// The field of a test that a table of values answers: whether it is true is
    /// known as soon as the field's value was looked up.
    pub(super) fn value_key(&self) -> Option<KeyId> {
        match self {
            Predicate::Field(key, _)
                if matches!(self.kind(), Some(Kind::Value | Kind::Network)) =>
            {
                Some(*key)
            }
            _ => None,
        }
    }
}

fn pattern_kind(pattern: &crate::filter::wildcard::Pattern) -> Kind {
    if super::pattern::literal_part(pattern).is_empty() { Kind::Presence } else { Kind::Pattern }
}

impl PredicateId {
    pub(super) fn new(index: usize) -> Self {
        PredicateId(super::small(index))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl KeyId {
    pub(super) fn new(index: usize) -> Self {
        KeyId(super::small(index))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}
