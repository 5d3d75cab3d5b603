//! Lists of the same name along a chain of events are one list.

use std::ops::Range;

use fantail_sdk::List;

use super::key_index::{Inserted, KeyIndex};

/// Merges lists, and keeps the merged ones until they are cleared.
#[derive(Clone, Debug, Default)]
pub struct ListUnion {
    /// The merged lists, one behind the other.
    escaped: Vec<u8>,
    /// Where the elements of the latest one are in `escaped`.
    elements: Vec<Range<usize>>,
    index: KeyIndex,
}

/// A list that a [`ListUnion`] keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedList {
    place: Range<usize>,
    count: usize,
}

impl ListUnion {
    /// Forgets the merged lists.
    pub fn clear(&mut self) {
        self.escaped.clear();
    }

    /// The elements of all `lists` in order of appearance, each once.
    pub fn merge<'e>(&mut self, lists: impl IntoIterator<Item = List<'e>>) -> MergedList {
        let start = self.escaped.len();
        self.elements.clear();
        self.index.clear();
        for list in lists.into_iter().filter(|list| !list.is_empty()) {
            for element in list.escaped().split(|&byte| byte == b'\t') {
                self.add(element);
            }
        }
        MergedList { place: start..self.escaped.len(), count: self.elements.len() }
    }

    /// The list, as long as nothing was cleared since it was merged.
    pub fn get(&self, merged: &MergedList) -> List<'_> {
        List::from_escaped(&self.escaped[merged.place.clone()], merged.count)
    }

    fn add(&mut self, element: &[u8]) {
        let known = |number: usize| &self.escaped[self.elements[number].clone()];
        if self.index.insert(element, known) != Inserted::New {
            return;
        }
        if !self.elements.is_empty() {
            self.escaped.push(b'\t');
        }
        let start = self.escaped.len();
        self.escaped.extend_from_slice(element);
        self.elements.push(start..self.escaped.len());
    }
}

/// Whether the list has few elements, each once: so it is its own union, as most are.
pub fn is_short_union(list: List<'_>) -> bool {
    const FEW: usize = 4;
    if list.len() > FEW {
        return false;
    }
    let escaped = list.escaped();
    let mut elements: [&[u8]; FEW] = [&[]; FEW];
    let ends = memchr::memchr_iter(b'\t', escaped).chain([escaped.len()]);
    let mut start = 0;
    for (number, end) in ends.take(list.len()).enumerate() {
        let element = &escaped[start..end];
        if elements[..number].contains(&element) {
            return false;
        }
        elements[number] = element;
        start = end + 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{ListUnion, is_short_union};
    use fantail_sdk::List;

    #[test]
    fn a_union_has_each_element_once_in_order_of_appearance() {
        let mut union = ListUnion::default();
        let mut check = |lists: &[(&'static [u8], usize)], expected: (&[u8], usize)| {
            let lists = lists.iter().map(|&(escaped, count)| List::from_escaped(escaped, count));
            let merged = union.merge(lists.clone());
            if let Ok([list]) = <[_; 1]>::try_from(lists.collect::<Vec<_>>()) {
                let is_short = expected == (list.escaped(), list.len()) && list.len() <= 4;
                assert_eq!(is_short_union(list), is_short, "{list:?}");
            }
            assert_eq!(union.get(&merged), List::from_escaped(expected.0, expected.1));
        };
        check(&[], (b"", 0));
        check(&[(b"a\tb", 2), (b"b\tc\tc", 3)], (b"a\tb\tc", 3));
        check(&[(b"", 0), (b"x", 1)], (b"x", 1));
        check(&[(b"", 0)], (b"", 0));
        check(&[(b"", 1)], (b"", 1));
        check(&[(b"\t", 2)], (b"", 1));
        check(&[(b"a\t", 2)], (b"a\t", 2));
        check(&[(b"a\tb\tab\tc", 4)], (b"a\tb\tab\tc", 4));
        check(&[(b"a\tb\tab\tc\td", 5)], (b"a\tb\tab\tc\td", 5));
        check(&[(b"a\tb\tc\ta", 4)], (b"a\tb\tc", 3));
        check(&[(b"a\ta", 2)], (b"a", 1));
        check(&[(b"", 0), (b"", 1)], (b"", 1));
        check(&[(b"", 1), (b"", 1)], (b"", 1));
        check(&[(b"", 1), (b"a", 1)], (b"\ta", 2));
        check(&[(b"a\x01tb", 1), (b"a\tb", 2)], (b"a\x01tb\ta\tb", 3));
    }
}
