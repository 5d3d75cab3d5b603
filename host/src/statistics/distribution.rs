//! The statistics of one value of one series.
//!
//! Count, sum, least and greatest value are exact, always. As long as there are
//! at most [`EXACT_MAX`] values, so is everything else: they are kept, in
//! a vector that grows with them. What comes behind that makes a sketch of
//! them. Distributions of several workers merge, and what is exact for one worker
//! is exact for many.

use super::sketch::Sketch;

/// So many values are kept as they are: as many as Dovecot keeps.
pub const EXACT_MAX: usize = 480;

/// The statistics of one value of one series.
#[derive(Clone, Debug)]
pub struct Distribution {
    sum: i128,
    count: u64,
    min: i64,
    max: i64,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    /// All of them; in ascending order in totals, as they came elsewhere.
    Kept(Vec<i64>),
    /// Too many to keep.
    Sketched(Box<Sketch>),
}

impl Distribution {
    /// No value yet; nothing is allocated.
    pub const EMPTY: Distribution = Distribution {
        sum: 0,
        count: 0,
        min: i64::MAX,
        max: i64::MIN,
        values: Values::Kept(Vec::new()),
    };

    /// Adds a value.
    #[inline]
    pub(super) fn add(&mut self, value: i64) {
        self.count += 1;
        self.sum += i128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        match &mut self.values {
            Values::Sketched(sketch) => sketch.add(value),
            Values::Kept(kept) if kept.len() < EXACT_MAX => kept.push(value),
            Values::Kept(_) => self.sketch().add(value),
        }
    }

    /// Adds all that `other` counted. Kept values are in ascending order afterwards.
    pub(super) fn merge(&mut self, other: Distribution) {
        if other.count == 0 {
            return;
        }
        match (&mut self.values, &other.values) {
            (Values::Kept(kept), Values::Kept(more)) if kept.len() + more.len() <= EXACT_MAX => {
                kept.extend_from_slice(more);
                kept.sort_unstable();
            }
            (_, Values::Kept(more)) => {
                let sketch = self.sketch();
                more.iter().for_each(|&value| sketch.add(value));
            }
            (_, Values::Sketched(more)) => self.sketch().merge(more, other.count, other.sum),
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The sketch of the values, made now if they are still kept.
    #[cold]
    fn sketch(&mut self) -> &mut Sketch {
        if let Values::Kept(kept) = &self.values {
            self.values = Values::Sketched(Box::new(Sketch::new(kept)));
        }
        match &mut self.values {
            Values::Sketched(sketch) => sketch,
            Values::Kept(_) => unreachable!("invariant: made above"),
        }
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> i128 {
        self.sum
    }

    /// The least of them; 0 when there is none.
    pub fn min(&self) -> i64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The greatest of them; 0 when there is none.
    pub fn max(&self) -> i64 {
        if self.count == 0 { 0 } else { self.max }
    }

    /// Their mean; 0 when there is none.
    pub fn avg(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The value in the middle; of two, their mean, rounded towards 0.
    pub fn median(&self) -> i64 {
        let Some(last) = self.count.checked_sub(1) else { return 0 };
        let middle = i128::from(self.at(last / 2)) + i128::from(self.at(self.count / 2));
        i64::try_from(middle / 2).unwrap_or(i64::MAX)
    }

    /// The mean squared distance from the mean; 0 when there is no value.
    pub fn variance(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        match &self.values {
            Values::Sketched(sketch) => sketch.variance(self.count, self.sum),
            Values::Kept(kept) => {
                let avg = self.avg();
                let square = |value: i64| (value as f64 - avg) * (value as f64 - avg);
                kept.iter().map(|&value| square(value)).sum::<f64>() / self.count as f64
            }
        }
    }

    /// The value below which `fraction` of the values are: 0.95 asks for the 95th
    /// percentile. 0 when there is none.
    pub fn quantile(&self, fraction: f64) -> i64 {
        if self.count == 0 { 0 } else { self.at(rank(self.count, fraction)) }
    }

    /// The value at `rank`, counted from 0 in ascending order; the distribution is
    /// one of the totals.
    fn at(&self, rank: u64) -> i64 {
        match &self.values {
            Values::Kept(kept) => {
                debug_assert!(kept.is_sorted(), "quantiles are asked of totals");
                let place = usize::try_from(rank).unwrap_or(usize::MAX);
                kept.get(place).copied().unwrap_or(self.max)
            }
            Values::Sketched(_) if rank == 0 => self.min,
            Values::Sketched(_) if rank + 1 >= self.count => self.max,
            Values::Sketched(sketch) => sketch.at_rank(rank, self.count).clamp(self.min, self.max),
        }
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Distribution::EMPTY
    }
}

/// The rank that a fraction of `count` values asks for. An exact boundary belongs
/// to the value below it, as in Dovecot; as fractions are not exact, "exact" is
/// within 1e-8.
fn rank(count: u64, fraction: f64) -> u64 {
    if fraction >= 1.0 {
        return count - 1;
    }
    if fraction.is_nan() || fraction <= 0.0 {
        return 0;
    }
    let place = count as f64 * fraction;
    let below = place.trunc();
    let rank = below as u64;
    let on_boundary = place - below < 1e-8 * count as f64;
    rank.saturating_sub(u64::from(on_boundary)).min(count - 1)
}

#[cfg(test)]
mod tests {
    use super::{Distribution, EXACT_MAX, rank};
    use crate::statistics::sketch::ERROR_MAX;

    fn of(values: impl IntoIterator<Item = i64>) -> Distribution {
        let mut raw = Distribution::EMPTY;
        values.into_iter().for_each(|value| raw.add(value));
        let mut total = Distribution::EMPTY;
        total.merge(raw);
        total
    }

    #[test]
    fn a_boundary_belongs_to_the_value_below() {
        for (count, fraction, expected) in [
            (100, 0.5, 49),
            (100, 0.95, 94),
            (100, 0.999, 99),
            (100, 1.0, 99),
            (100, 1.5, 99),
            (100, 0.0, 0),
            (100, -1.0, 0),
            (100, f64::NAN, 0),
            (10, 1e-12, 0),
            (1, 0.5, 0),
            (2, 0.5, 0),
            (3, 0.5, 1),
            (4, 0.95, 3),
        ] {
            assert_eq!(rank(count, fraction), expected, "{fraction} of {count}");
        }
    }

    #[test]
    fn nothing_counted_is_0() {
        let empty = Distribution::EMPTY;
        assert_eq!((empty.count(), empty.sum(), empty.min(), empty.max()), (0, 0, 0, 0));
        assert_eq!((empty.median(), empty.quantile(0.5)), (0, 0));
        assert_eq!((empty.avg(), empty.variance()), (0.0, 0.0));
    }

    #[test]
    fn the_ends_of_the_range_are_exact() {
        let ends = of([i64::MIN, i64::MAX, i64::MAX]);
        assert_eq!((ends.min(), ends.max(), ends.median()), (i64::MIN, i64::MAX, i64::MAX));
        assert_eq!(ends.sum(), i128::from(i64::MAX) - 1);
        assert_eq!(of([i64::MAX; 2]).median(), i64::MAX);
        assert_eq!(of([-5, 5]).median(), 0);
        let many = of([i64::MIN, i64::MAX, 0].into_iter().cycle().take(3 * EXACT_MAX));
        assert_eq!((many.min(), many.max(), many.median()), (i64::MIN, i64::MAX, 0));
        assert_eq!(many.sum(), -(EXACT_MAX as i128));
    }

    #[test]
    fn a_sketch_is_off_by_one_per_cent_at_most() {
        for spread in [1_i64, 1000, 1_000_003, 1 << 40] {
            let values: Vec<i64> =
                (0..5000).map(|number| (number - 2000) * spread + number % 7).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let all = of(values.iter().copied());
            // In parts, of which some are kept and some sketched already.
            let mut parts = Distribution::EMPTY;
            let in_two = |part: &[i64]| {
                let (few, many) = part.split_at(100);
                [few.to_vec(), many.to_vec()]
            };
            for part in values.chunks(700).flat_map(in_two) {
                let mut shard = Distribution::EMPTY;
                part.iter().for_each(|&value| shard.add(value));
                parts.merge(shard);
            }
            for distribution in [&all, &parts] {
                for percent in 0..=100 {
                    let fraction = f64::from(percent) / 100.0;
                    let exact = sorted[rank(5000, fraction) as usize];
                    let got = distribution.quantile(fraction);
                    let off = (got as f64 - exact as f64).abs();
                    assert!(off <= exact.abs() as f64 * ERROR_MAX + 0.5, "{got} for {exact}");
                }
                let mean = values.iter().sum::<i64>() as f64 / 5000.0;
                let square = |value: &i64| (*value as f64 - mean).powi(2);
                let variance = values.iter().map(square).sum::<f64>() / 5000.0;
                assert!((distribution.variance() / variance - 1.0).abs() < 1e-9);
            }
        }
    }
}
