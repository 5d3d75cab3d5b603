//! How often a value was how large.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts values by size. Adding takes no lock; whoever reads may see a value in the
/// counts that is not in the sum yet.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is above the last.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram's counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramFigures {
    /// The greatest value of each bucket but the last, which has no bound.
    pub bounds: &'static [u64],
    /// The values in each bucket; one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// An empty histogram with these bounds, which ascend.
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Adds a value, so many times.
    pub fn add(&self, value: u64, times: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(times, Ordering::Relaxed);
        self.sum.fetch_add(value.wrapping_mul(times), Ordering::Relaxed);
    }

    /// The counts now.
    pub fn figures(&self) -> HistogramFigures {
        HistogramFigures {
            bounds: self.bounds,
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl HistogramFigures {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new(&[1, 10]);
        for (value, times) in [(0, 1), (1, 1), (2, 3), (10, 1), (11, 2), (u64::MAX, 1)] {
            histogram.add(value, times);
        }
        let figures = histogram.figures();
        assert_eq!(figures.counts, [2, 4, 3]);
        assert_eq!(figures.count(), 9);
        histogram.add(0, 0);
        assert_eq!(histogram.figures(), figures);
    }
}
