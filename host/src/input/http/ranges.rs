//! Sets of numbers that mostly follow each other, as ranges.

/// Numbers, as ranges that neither overlap nor touch, in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// First and last number of each.
    ranges: Vec<(u64, u64)>,
}

impl Ranges {
    /// Reads `5-9,12`: rising, and none twice; at most `max` ranges.
    pub(super) fn parse(text: &str, max: usize) -> Option<Self> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            let follows = ranges.last().is_none_or(|&(_, before)| before < first);
            if last < first || !follows || ranges.len() == max {
                return None;
            }
            match ranges.last_mut() {
                Some((_, before)) if *before + 1 == first => *before = last,
                _ => ranges.push((first, last)),
            }
        }
        Some(Ranges { ranges })
    }

    /// One number.
    pub(super) fn one(number: u64) -> Self {
        Ranges { ranges: vec![(number, number)] }
    }

    /// How many ranges there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// How many numbers there are.
    pub(super) fn count(&self) -> u64 {
        let counts = self.ranges.iter().map(|(first, last)| (last - first).saturating_add(1));
        counts.fold(0, u64::saturating_add)
    }

    /// All numbers, in rising order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Whether the number is there.
    pub(super) fn contains(&self, number: u64) -> bool {
        let behind = self.ranges.partition_point(|&(first, _)| first <= number);
        behind > 0 && self.ranges[behind - 1].1 >= number
    }

    /// Whether all numbers of `other` are here.
    pub(super) fn contains_all(&self, other: &Ranges) -> bool {
        other.ranges.iter().all(|&(first, last)| {
            let behind = self.ranges.partition_point(|&(begin, _)| begin <= first);
            behind > 0 && self.ranges[behind - 1].1 >= last
        })
    }

    /// Whether some number is in both.
    pub(super) fn intersects(&self, other: &Ranges) -> bool {
        other.ranges.iter().any(|&(first, last)| {
            let behind = self.ranges.partition_point(|&(begin, _)| begin <= last);
            behind > 0 && self.ranges[behind - 1].1 >= first
        })
    }

    /// Adds the numbers of `other`.
    pub(super) fn add(&mut self, other: &Ranges) {
        other.ranges.iter().for_each(|&(first, last)| self.add_range(first, last));
    }

    fn add_range(&mut self, first: u64, last: u64) {
        // Those from `begin` to `end` overlap or touch.
        let begin = self.ranges.partition_point(|&(_, end)| end.saturating_add(1) < first);
        let end = self.ranges.partition_point(|&(start, _)| start <= last.saturating_add(1));
        let merged = self.ranges[begin..end]
            .iter()
            .fold((first, last), |(low, high), &(start, stop)| (low.min(start), high.max(stop)));
        self.ranges.splice(begin..end.max(begin), [merged]);
    }

    /// Forgets the lowest ranges, until there are at most `max`.
    pub(super) fn forget_lowest(&mut self, max: usize) {
        let excess = self.ranges.len().saturating_sub(max);
        self.ranges.drain(..excess);
    }
}

/// A number without sign; nothing else is one.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    use super::Ranges;

    #[test]
    fn ranges_are_read() {
        let check = |text: &str, expected: Option<&[(u64, u64)]>| {
            let found = Ranges::parse(text, 3).map(|found| found.ranges);
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("5", Some(&[(5, 5)]));
        check("5-9,12", Some(&[(5, 9), (12, 12)]));
        check("0,18446744073709551615", Some(&[(0, 0), (u64::MAX, u64::MAX)]));
        check("1,2,3-4,5,6,7", Some(&[(1, 7)]));
        check("1,3,5", Some(&[(1, 1), (3, 3), (5, 5)]));
        for wrong in ["", ",", "1,", "-", "1-", "-1", "+1", " 1", "2-1", "1,1", "2,1", "1-3,3"] {
            check(wrong, None);
        }
        check("1,3,5,7", None);
        check("18446744073709551616", None);
    }

    proptest! {
        /// Against a plain set.
        #[test]
        fn ranges_are_sets(parts in vec((0_u64..60, 0_u64..6), 0..12), other in (0_u64..60, 0_u64..6)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (first, more) in parts {
                ranges.add_range(first, first + more);
                set.extend(first..=first + more);
            }
            prop_assert_eq!(ranges.numbers().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(ranges.count(), set.len() as u64);
            prop_assert!((0..80).all(|number| ranges.contains(number) == set.contains(&number)));
            let touch = |pair: &[(u64, u64)]| pair[0].1 + 1 >= pair[1].0;
            prop_assert!(!ranges.ranges.windows(2).any(touch));
            let other = Ranges { ranges: vec![(other.0, other.0 + other.1)] };
            let common = other.numbers().filter(|number| set.contains(number)).count() as u64;
            prop_assert_eq!(ranges.intersects(&other), common > 0);
            prop_assert_eq!(ranges.contains_all(&other), common == other.count());
        }
    }
}
