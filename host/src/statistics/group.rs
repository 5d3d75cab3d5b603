//! From a field's value to the name of its group.

use std::fmt::Write as _;

use crate::config::group_by::{Function, Modifier, ModifierPart};

/// How a field's value makes a group.
#[derive(Clone, Debug)]
pub enum Grouping {
    /// Each value is a group of its own.
    Values,
    /// Texts become groups through a modifier; other values are as they are.
    Modified(Modifier),
    /// Integers fall into buckets; other values into none.
    Buckets(Buckets),
}

/// Buckets of integers, from the least to the greatest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// The greatest value of each bucket, ascending; the last is `i64::MAX`.
    ends: Vec<i64>,
}

/// All labels of a series together are about so long, in bytes; one label is as
/// many characters long at most.
pub(super) const LABELS_MAX: usize = 256;

/// Stands for what is no text, and for control characters.
const REPLACEMENT: char = '\u{fffd}';
/// Stands for the rest of a label.
const ELLIPSIS: char = '…';

impl Grouping {
    /// Groups by value, named by a modifier.
    pub fn discrete(modifier: Modifier) -> Self {
        if modifier == Modifier::default() {
            Grouping::Values
        } else {
            Grouping::Modified(modifier)
        }
    }
}

impl Buckets {
    /// Buckets that end at the powers of `base`, from `base^min` to `base^max`; the
    /// last of them has no end.
    pub fn exponential(base: u32, min: u32, max: u32) -> Self {
        let powers = (min..=max).map_while(|power| i64::from(base).checked_pow(power));
        Buckets { ends: powers.chain([i64::MAX]).collect() }
    }

    /// Buckets that end at `min`, then every `step`, and at `max`; the last of them
    /// has no end. `step` is more than 0.
    pub fn linear(min: i64, max: i64, step: i64) -> Self {
        let next = |&end: &i64| (end < max).then(|| end.saturating_add(step).min(max));
        Buckets { ends: std::iter::successors(Some(min), next).chain([i64::MAX]).collect() }
    }

    /// The bucket of a value.
    pub fn find(&self, value: i64) -> usize {
        self.ends.partition_point(|&end| end < value)
    }

    /// The greatest value of each bucket; the last one's is the greatest of all.
    pub fn ends(&self) -> &[i64] {
        &self.ends
    }

    /// A bucket's name: `n_ninf_10`, `n_11_100`, `n_101_inf`.
    pub fn label(&self, field: &str, bucket: usize) -> String {
        let mut label = field.to_owned();
        let last = self.ends.len() - 1;
        let _ = match bucket.checked_sub(1).map(|before| self.ends[before] + 1) {
            None => write!(label, "_ninf_{}", self.ends[0]),
            Some(start) if bucket >= last => write!(label, "_{start}_inf"),
            Some(start) => write!(label, "_{start}_{}", self.ends[bucket]),
        };
        label
    }
}

/// Appends the text that the modifier makes of `value`. Nothing is allocated once
/// `out` is large enough.
pub(super) fn modify(modifier: &Modifier, value: &[u8], out: &mut Vec<u8>) {
    for part in &modifier.0 {
        match part {
            ModifierPart::Literal(text) => out.extend_from_slice(text.as_bytes()),
            ModifierPart::Value(functions) => {
                let start = out.len();
                out.extend_from_slice(value);
                functions.iter().for_each(|function| apply(*function, start, out));
            }
        }
    }
}

/// Changes what stands in `out` from `start` on.
fn apply(function: Function, start: usize, out: &mut Vec<u8>) {
    let at = || out[start..].iter().position(|&byte| byte == b'@');
    match function {
        Function::Domain => match at() {
            Some(at) => drop(out.drain(start..start + at + 1)),
            None => out.truncate(start),
        },
        Function::Username => {
            if let Some(at) = at() {
                out.truncate(start + at);
            }
        }
        Function::Lower => out[start..].make_ascii_lowercase(),
        Function::Upper => out[start..].make_ascii_uppercase(),
    }
}

/// A group's label as it is shown: text without control characters, and at most
/// `characters_max` of them.
pub(super) fn label(value: &[u8], characters_max: usize) -> String {
    let mut label = String::with_capacity(value.len().min(4 * characters_max));
    let mut characters = 0;
    // Where the last character begins that there is room for.
    let mut last = 0;
    for chunk in value.utf8_chunks() {
        let valid = chunk.valid().chars();
        let invalid = chunk.invalid().iter().map(|_| REPLACEMENT);
        for character in valid.chain(invalid) {
            if characters == characters_max {
                label.truncate(last);
                label.push(ELLIPSIS);
                return label;
            }
            characters += 1;
            last = label.len();
            let is_control = character.is_ascii_control();
            label.push(if is_control { REPLACEMENT } else { character });
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::{Buckets, label, modify};
    use crate::config::group_by::{self, Method};

    #[test]
    fn buckets_have_the_ends_and_names_of_dovecot() {
        let check = |buckets: Buckets, ends: &[i64], labels: &[&str]| {
            assert_eq!(buckets.ends(), ends);
            let all = (0..ends.len()).map(|bucket| buckets.label("n", bucket));
            assert_eq!(all.collect::<Vec<_>>(), labels);
            for (bucket, &end) in ends.iter().enumerate() {
                assert_eq!(buckets.find(end), bucket);
                assert_eq!(buckets.find(end.saturating_add(1)), (bucket + 1).min(ends.len() - 1));
            }
            assert_eq!(buckets.find(i64::MIN), 0);
        };
        check(
            Buckets::exponential(10, 1, 3),
            &[10, 100, 1000, i64::MAX],
            &["n_ninf_10", "n_11_100", "n_101_1000", "n_1001_inf"],
        );
        check(Buckets::exponential(2, 0, 1), &[1, 2, i64::MAX], &["n_ninf_1", "n_2_2", "n_3_inf"]);
        check(
            Buckets::linear(0, 50, 20),
            &[0, 20, 40, 50, i64::MAX],
            &["n_ninf_0", "n_1_20", "n_21_40", "n_41_50", "n_51_inf"],
        );
        assert_eq!(Buckets::exponential(2, 0, 62).ends().len(), 64);
        assert_eq!(Buckets::linear(0, i64::MAX - 1, i64::MAX / 2).ends().len(), 4);
    }

    #[test]
    fn modifiers_change_texts() {
        let check = |text: &str, value: &str, expected: &str| {
            let levels = group_by::parse(&format!("f:discrete:{text}")).unwrap();
            let Method::Discrete { modifier } = &levels[0].method else { unreachable!() };
            let mut out = b"before ".to_vec();
            modify(modifier, value.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("before {expected}"), "{text}");
        };
        check("%{value}", "A@B", "A@B");
        check("%{value|domain}", "A@B@c", "B@c");
        check("%{value|domain}", "A", "");
        check("%{value|username}", "A@B@c", "A");
        check("%{value|username}", "A", "A");
        check("%{value|domain|lower}", "A@BC", "bc");
        check("%{domain|upper}", "a@b", "B");
        check("to-%{domain}-of-%{value}%%", "a@b", "to-b-of-a@b%");
        check("%{value|lower}", "É@B", "É@b");
    }

    #[test]
    fn labels_are_plain_text_of_bounded_length() {
        let check = |value: &[u8], max, expected: &str| assert_eq!(label(value, max), expected);
        check(b"", 3, "");
        check(b"a b/\"", 9, "a b/\"");
        check(b"a\tb\x01\x7f", 9, "a\u{fffd}b\u{fffd}\u{fffd}");
        check(b"a\xff\xfeb\xc3", 9, "a\u{fffd}\u{fffd}b\u{fffd}");
        check(b"abc", 3, "abc");
        check(b"abcd", 3, "ab…");
        check("ééé".as_bytes(), 3, "ééé");
        check("éééé".as_bytes(), 3, "éé…");
        check(b"ab", 1, "…");
    }
}
