//! The statistics of more values than are kept.
//!
//! A sketch counts values in buckets whose bounds grow by two per cent: a
//! quantile is off by one per cent at most, whatever the values are, negative
//! ones too. Two sketches merge into the sketch of all values of both, so the
//! error does not grow with the number of workers. The buckets cover the range
//! of the values: five decades take 5 KB, all 64-bit integers 36 KB.
//!
//! Left out: the count, the sum, the least and the greatest value, which are kept
//! exactly beside it.

use sketches_ddsketch::{Config, DDSketch};

/// How far off a quantile may be, relative to its value.
pub(super) const ERROR_MAX: f64 = 0.01;

/// So many buckets that none has to be given up: from 1 to 2^63 it takes 2184.
const BUCKETS_MAX: u32 = 2304;

/// Everything smaller is 0; values are integers.
const VALUE_MIN: f64 = 0.5;

/// The statistics of any number of values.
#[derive(Clone)]
pub(super) struct Sketch {
    buckets: DDSketch,
    /// A value near the mean: deviations are counted from it.
    center: i64,
    /// The sum of the squared distances from `center`.
    squares: f64,
}

impl Sketch {
    /// The sketch of these values.
    pub(super) fn new(values: &[i64]) -> Self {
        let sum: i128 = values.iter().map(|&value| i128::from(value)).sum();
        let center = sum / (values.len().max(1) as i128);
        let mut sketch = Sketch {
            buckets: DDSketch::new(Config::new(ERROR_MAX, BUCKETS_MAX, VALUE_MIN)),
            center: i64::try_from(center).unwrap_or(0),
            squares: 0.0,
        };
        for &value in values {
            sketch.add(value);
        }
        sketch
    }

    /// Adds a value.
    #[inline]
    pub(super) fn add(&mut self, value: i64) {
        self.buckets.add(value as f64);
        let distance = value.saturating_sub(self.center) as f64;
        self.squares += distance * distance;
    }

    /// Adds the values of `other`, of which there are `count` with this `sum`.
    pub(super) fn merge(&mut self, other: &Sketch, count: u64, sum: i128) {
        let merged = self.buckets.merge(&other.buckets);
        debug_assert!(merged.is_ok(), "all sketches have the same buckets");
        // The squares of `other` are about its own center: moved to ours.
        let shift = other.center as f64 - self.center as f64;
        let from_center = (sum - i128::from(count) * i128::from(other.center)) as f64;
        self.squares += other.squares + 2.0 * shift * from_center + count as f64 * shift * shift;
    }

    /// The value at `rank` of `count`, counted from 0 in ascending order.
    pub(super) fn at_rank(&self, rank: u64, count: u64) -> i64 {
        // The crate asks for a fraction of the last rank and rounds down.
        let last = count.saturating_sub(1).max(1) as f64;
        let fraction = ((rank as f64 + 0.5) / last).min(1.0);
        let value = self.buckets.quantile(fraction).ok().flatten();
        value.unwrap_or_default().round() as i64
    }

    /// The mean squared distance from the mean, for `count` values with this `sum`.
    pub(super) fn variance(&self, count: u64, sum: i128) -> f64 {
        let count = count as f64;
        let shift = (sum as f64) / count - self.center as f64;
        (self.squares / count - shift * shift).max(0.0)
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch").field("buckets", &self.buckets.length()).finish_non_exhaustive()
    }
}
