//! Which payloads are acknowledged: all below a mark, and a few ranges above it.

use super::record::Mark;

/// Payloads that follow each other, acknowledged out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub first: Mark,
    /// The place behind the last.
    pub end: Mark,
}

impl Range {
    /// The number of payloads.
    pub(super) fn payloads(&self) -> u64 {
        self.end.sequence.saturating_sub(self.first.sequence)
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.end.bytes.saturating_sub(self.first.bytes)
    }
}

/// What is acknowledged of a spool.
#[derive(Clone, Debug, Default)]
pub(super) struct Acknowledged {
    /// Everything below it.
    low: Mark,
    /// Apart from each other and from `low`, in order.
    above: Vec<Range>,
}

impl Acknowledged {
    /// Everything below the mark, and nothing above it.
    pub(super) fn new(low: Mark) -> Acknowledged {
        Acknowledged { low, above: Vec::new() }
    }

    /// Everything below it is acknowledged.
    pub(super) fn low(&self) -> Mark {
        self.low
    }

    /// The ranges above.
    pub(super) fn above(&self) -> &[Range] {
        &self.above
    }

    /// Adds a range.
    pub(super) fn add(&mut self, mut range: Range) {
        if range.end.sequence <= self.low.sequence || range.payloads() == 0 {
            return;
        }
        if range.first.sequence <= self.low.sequence {
            return self.raise(range.end);
        }
        // Those that it overlaps or touches.
        let (first, end) = (range.first.sequence, range.end.sequence);
        let from = self.above.partition_point(|other| other.end.sequence < first);
        let to = self.above.partition_point(|other| other.first.sequence <= end);
        let merged = &self.above[from..to];
        if let Some(other) = merged.first().filter(|other| other.first.sequence < first) {
            range.first = other.first;
        }
        if let Some(other) = merged.last().filter(|other| other.end.sequence > end) {
            range.end = other.end;
        }
        self.above.splice(from..to, [range]);
    }

    /// Raises the mark to this one, if it is higher or in other bytes, and over the
    /// ranges that it then meets.
    pub(super) fn raise(&mut self, mark: Mark) {
        if mark.sequence < self.low.sequence {
            return;
        }
        self.low = mark;
        let mut merged = 0;
        for range in &self.above {
            if range.first.sequence > self.low.sequence {
                break;
            }
            if range.end.sequence > self.low.sequence {
                self.low = range.end;
            }
            merged += 1;
        }
        self.above.drain(..merged);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Acknowledged, Mark, Range};

    fn mark(sequence: u64) -> Mark {
        Mark { sequence, bytes: sequence * 10 }
    }

    proptest! {
        /// Beside a set of numbers, of which each has ten bytes.
        #[test]
        fn ranges_are_a_set(ranges in prop::collection::vec((0_u64..60, 1_u64..8), 1..30)) {
            let mut acknowledged = Acknowledged::default();
            let mut set = BTreeSet::new();
            for (first, count) in ranges {
                let range = Range { first: mark(first), end: mark(first + count) };
                acknowledged.add(range);
                set.extend(first..first + count);
                let low = (0..).find(|number| !set.contains(number)).unwrap();
                prop_assert_eq!(acknowledged.low(), mark(low));
                let above = acknowledged.above();
                prop_assert!(above.windows(2).all(|two| two[0].end.sequence < two[1].first.sequence));
                let listed = above.iter().flat_map(|range| range.first.sequence..range.end.sequence);
                let held = set.iter().copied().filter(|&number| number >= low);
                prop_assert!(listed.eq(held));
                let is_exact = |range: &Range| range.bytes() == range.payloads() * 10;
                prop_assert!(above.iter().all(is_exact));
            }
        }
    }

    #[test]
    fn the_mark_is_raised_over_the_ranges_that_it_meets() {
        let mut acknowledged = Acknowledged::default();
        for first in [2, 4, 5, 0, 1] {
            acknowledged.add(Range { first: mark(first), end: mark(first + 1) });
        }
        assert_eq!(acknowledged.low(), mark(3));
        // Into the middle of a range.
        acknowledged.raise(mark(5));
        assert_eq!(acknowledged.low(), mark(6));
        assert!(acknowledged.above().is_empty());
    }
}
