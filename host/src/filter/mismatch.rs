//! Comparisons that cannot work with the value that an event brings: they are
//! false, and worth one message for each place in a filter.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use super::ast::{FieldTest, Test, TestId};
use super::set::FilterSet;

/// Why a comparison cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MismatchKind {
    /// A number is compared with `<n>m`, which is mega or minutes.
    AmbiguousUnit,
    /// A text or a list is compared with another operator than `=`.
    TextInequality,
    /// An address is compared with another operator than `=`.
    AddressInequality,
    /// A number is compared with what is none.
    NotANumber,
    /// A number is compared with a pattern, and with another operator than `=`.
    PatternInequality,
    /// An address is compared with what is none.
    NotAnAddress,
    /// A point in time is compared at all.
    Timestamp,
}

/// A place in the filters of a [`FilterSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The filter's index in the set.
    pub filter: u32,
    /// The test in that filter.
    pub test: TestId,
}

/// A comparison that did not work, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mismatch {
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it.
    pub kind: MismatchKind,
}

impl MismatchKind {
    /// A bit that stands for it, alone or with the kinds that are one message to
    /// Dovecot: a place that has warned of one of them is silent about the others.
    const fn bit(self) -> u8 {
        match self {
            MismatchKind::AmbiguousUnit => 1,
            MismatchKind::TextInequality => 2,
            MismatchKind::AddressInequality => 4,
            MismatchKind::NotANumber
            | MismatchKind::PatternInequality
            | MismatchKind::NotAnAddress => 8,
            MismatchKind::Timestamp => 16,
        }
    }
}

/// Which mismatches of a set have been seen: one for all workers.
#[derive(Debug)]
pub struct SeenMismatches {
    /// For each test of each filter the bits of the kinds.
    filters: Box<[Box<[AtomicU8]>]>,
}

impl SeenMismatches {
    /// Nothing of `set` seen yet.
    pub fn new(set: &FilterSet) -> Self {
        let places = |filter: &super::Filter| {
            filter.expr().tests().map(|_| AtomicU8::new(0)).collect::<Box<[_]>>()
        };
        SeenMismatches { filters: set.filters().iter().map(places).collect() }
    }

    /// Whether this is the first one of its kind at its place. Costs one load
    /// when it is not. `mismatch` must be one of the set this was made for.
    pub fn is_first(&self, mismatch: Mismatch) -> bool {
        let Place { filter, test } = mismatch.place;
        let seen = &self.filters[filter as usize][test.index()];
        let bit = mismatch.kind.bit();
        // Relaxed: the bits guard nothing but themselves.
        seen.load(Ordering::Relaxed) & bit == 0 && seen.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

/// A mismatch in one sentence, from [`FilterSet::describe`].
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    pub(super) test: &'a Test,
    pub(super) kind: MismatchKind,
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Test::Field(FieldTest { key, op, value }) = self.test else { return Ok(()) };
        let op = op.text();
        let value = value.text();
        match self.kind {
            MismatchKind::AmbiguousUnit => write!(
                f,
                "the number in `{key}` can't be compared with `{value}`, which may be mega or \
                 minutes: write `mins` or `MB`"
            ),
            MismatchKind::TextInequality => {
                write!(f, "the text in `{key}` can be compared with `=` only, not with `{op}`")
            }
            MismatchKind::AddressInequality => {
                write!(f, "the address in `{key}` can be compared with `=` only, not with `{op}`")
            }
            MismatchKind::NotANumber => {
                write!(f, "the number in `{key}` can't be compared with `{value}`")
            }
            MismatchKind::PatternInequality => write!(
                f,
                "the number in `{key}` can be compared with the pattern `{value}` with `=` only, \
                 not with `{op}`"
            ),
            MismatchKind::NotAnAddress => {
                write!(f, "the address in `{key}` can't be compared with `{value}`")
            }
            MismatchKind::Timestamp => {
                write!(f, "the time in `{key}` can't be compared with anything")
            }
        }
    }
}
