//! String lists, the one field value with more than one part.
//!
//! A list travels as one run of bytes from the wire to the plugin: its elements
//! escaped and joined by TAB, and their number beside it (an empty list and a
//! list of one empty element are the same bytes). The escapes are those of
//! [`tab_escape`]. Nothing has to be copied to look at an element that has no
//! escape in it.

use std::borrow::Cow;

use crate::tab_escape::{self, ESCAPE};

/// A borrowed list of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a> {
    escaped: &'a [u8],
    count: usize,
}

impl<'a> List<'a> {
    /// A list of `count` elements, given escaped and joined by TAB.
    ///
    /// `escaped` must hold `count - 1` TABs, and be empty when `count` is 0;
    /// otherwise [`iter`](Self::iter) yields fewer or more elements than
    /// [`len`](Self::len) says.
    pub const fn from_escaped(escaped: &'a [u8], count: usize) -> Self {
        List { escaped, count }
    }

    /// The number of elements.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether the list has no element.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements, escaped and joined by TAB.
    pub const fn escaped(&self) -> &'a [u8] {
        self.escaped
    }

    /// The elements in order, each unescaped; only an element that has an
    /// escape in it is copied.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'a, [u8]>> + 'a {
        let escaped = self.escaped;
        let count = self.count;
        escaped.split(|&byte| byte == b'\t').take(count).map(unescape)
    }

    /// The element at `index`, unescaped; `None` behind the last. Looks at all before it.
    pub fn get(&self, index: usize) -> Option<Cow<'a, [u8]>> {
        self.iter().nth(index)
    }

    /// The elements, escaped and joined by TAB: what [`from_escaped`](Self::from_escaped)
    /// takes.
    pub fn escape<E: AsRef<[u8]>>(elements: &[E]) -> Vec<u8> {
        let mut escaped = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                escaped.push(b'\t');
            }
            tab_escape::escape_into(element.as_ref(), &mut escaped);
        }
        escaped
    }
}

/// One element without its escapes.
fn unescape(element: &[u8]) -> Cow<'_, [u8]> {
    if !element.contains(&ESCAPE) {
        return Cow::Borrowed(element);
    }
    let mut plain = Vec::with_capacity(element.len());
    tab_escape::unescape_into(element, &mut plain);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn elements_come_unescaped_and_in_order() {
        let check = |escaped: &[u8], count, expected: &[&[u8]]| {
            let list = List::from_escaped(escaped, count);
            assert_eq!(list.len(), expected.len());
            assert!(list.iter().eq(expected.iter().copied()), "{escaped:?}");
        };
        check(b"", 0, &[]);
        check(b"", 1, &[b""]);
        check(b"a\tb", 2, &[b"a", b"b"]);
        check(b"\t", 2, &[b"", b""]);
        check(b"a\x01tb\t\x010\x011\x01r\x01n", 2, &[b"a\tb", b"\0\x01\r\n"]);
        check(b"\x01\tx\x01z", 2, &[b"\x01", b"x\x01z"]);
    }

    #[test]
    fn elements_are_escaped_and_joined() {
        let check = |elements: &[&str], expected: &[u8]| {
            assert_eq!(List::escape(elements), expected);
        };
        check(&[], b"");
        check(&[""], b"");
        check(&["", ""], b"\t");
        check(&["a\tb", "\0\x01\r\n", "c"], b"a\x01tb\t\x010\x011\x01r\x01n\tc");
    }
}
