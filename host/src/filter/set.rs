//! The filters of all metrics together: which of them an event matches.
//!
//! This is the seam: callers see indices, and how they come about may change.
//! Events are put to the compiled filters; only who wants to hear of comparisons
//! that can't work has every filter asked, one after the other, by the naive
//! evaluator.

use std::sync::Arc;

use super::Filter;
use super::ast::TestId;
use super::certain::Asked;
use super::compiled::{self, Compiled, Matcher, Strategies};
use super::mismatch::{Description, Mismatch, MismatchKind, Place};
use super::naive;
use crate::event::{Event, Symbols, Wanted};

/// Filters, by the order in which they were given.
#[derive(Clone, Debug, Default)]
pub struct FilterSet {
    filters: Vec<Filter>,
    named_only: bool,
    compiled: Compiled,
}

impl FilterSet {
    /// A set of `filters`; the first one's index is 0.
    pub fn new(filters: impl IntoIterator<Item = Filter>) -> Self {
        Self::of(filters, true)
    }

    /// The same; unless `unnamed`, no unnamed event matches, whatever the filters need.
    pub fn of(filters: impl IntoIterator<Item = Filter>, unnamed: bool) -> Self {
        Self::with_few(filters, unnamed, compiled::FEW)
    }

    /// The same, with `few` filters or less asked one by one where that many are
    /// found in the same way: no choice of it changes an answer.
    pub fn with_few(filters: impl IntoIterator<Item = Filter>, unnamed: bool, few: usize) -> Self {
        let filters: Vec<_> = filters.into_iter().collect();
        let named_only = !unnamed || filters.iter().all(Filter::requires_event_name);
        let asked = if named_only { Asked::Named } else { Asked::Any };
        let compiled = Compiled::new(&filters, few, asked);
        FilterSet { filters, named_only, compiled }
    }

    /// The names that the filters ask for, among all fields: for decoding events for this
    /// set alone.
    pub fn symbols(&self) -> Arc<Symbols> {
        let mut wanted = Wanted::all();
        self.wants(&mut wanted);
        Arc::new(Symbols::new(&wanted))
    }

    /// Adds what the filters ask events for.
    pub fn wants(&self, wanted: &mut Wanted) {
        self.filters.iter().for_each(|filter| filter.wants(wanted));
    }

    /// The filters.
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// Whether unnamed events are dropped unseen, as Dovecot does when every
    /// filter needs a name, and 2.3's stats process always. So `NOT event=a` alone never matches an unnamed event,
    /// and does beside a filter that needs no name.
    pub fn drops_unnamed(&self) -> bool {
        self.named_only
    }

    /// How the filters that match are found.
    pub fn strategies(&self) -> Strategies {
        self.compiled.strategies(self.named_only)
    }

    /// Puts the indices of the filters that match into `matched`, in ascending
    /// order. What was in it is gone; its capacity stays for the next event.
    ///
    /// # Panics
    ///
    /// When `matcher` was made for another, smaller set.
    #[inline]
    pub fn matches_into(&self, event: &Event<'_>, matcher: &mut Matcher, matched: &mut Vec<u32>) {
        matched.clear();
        if self.drops(event) {
            return;
        }
        self.compiled.matches_into(event, matcher, matched);
    }

    /// As [`matches_into`](Self::matches_into), by asking every filter, and tells
    /// `report` of every comparison that can't work, each time it is made.
    /// [`SeenMismatches`](super::SeenMismatches) knows the first.
    pub fn matches_into_reporting(
        &self,
        event: &Event<'_>,
        matched: &mut Vec<u32>,
        report: &mut dyn FnMut(Mismatch),
    ) {
        matched.clear();
        if self.drops(event) {
            return;
        }
        for (index, filter) in (0..).zip(&self.filters) {
            let mut report = |test: TestId, kind: MismatchKind| {
                report(Mismatch { place: Place { filter: index, test }, kind });
            };
            if naive::matches(filter.expr(), event, &mut report) {
                matched.push(index);
            }
        }
    }

    /// Whether the event is dropped unseen.
    fn drops(&self, event: &Event<'_>) -> bool {
        self.named_only && event.name.is_none_or(<[u8]>::is_empty)
    }

    /// The mismatch in one sentence. It must be one of this set.
    pub fn describe(&self, mismatch: Mismatch) -> Description<'_> {
        let Place { filter, test } = mismatch.place;
        Description { test: self.filters[filter as usize].expr().test(test), kind: mismatch.kind }
    }

    /// The text that stands for all filters in a FILTER line: their canonical
    /// texts, joined by OR. Empty filters add nothing to it.
    pub fn canonical(&self) -> String {
        let texts: Vec<_> = self
            .filters
            .iter()
            .filter(|filter| !filter.is_empty())
            .map(Filter::canonical)
            .collect();
        texts.join(" OR ")
    }

    pub(super) fn compiled(&self) -> &Compiled {
        &self.compiled
    }
}
