//! String lists, the one field value with more than one part.
//!
//! A list travels as one run of bytes from the wire to the plugin: its elements
//! escaped and joined by TAB, and their number beside it (an empty list and a
//! list of one empty element are the same bytes). The escapes are the ones of
//! Dovecot's line protocols: the byte 0x01 followed by `0` is NUL, `1` is 0x01
//! itself, `t` is TAB, `r` is CR and `n` is LF. Nothing has to be copied to
//! look at an element that has no escape in it.

use std::borrow::Cow;

/// The byte that introduces an escape.
const ESCAPE: u8 = 0x01;

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
}

/// Undoes the escapes of one element. A 0x01 that introduces nothing known is
/// kept, with the byte behind it.
fn unescape(element: &[u8]) -> Cow<'_, [u8]> {
    if !element.contains(&ESCAPE) {
        return Cow::Borrowed(element);
    }
    let mut plain = Vec::with_capacity(element.len());
    let mut bytes = element.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            plain.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'0') => plain.push(0),
            Some(b'1') => plain.push(ESCAPE),
            Some(b't') => plain.push(b'\t'),
            Some(b'r') => plain.push(b'\r'),
            Some(b'n') => plain.push(b'\n'),
            Some(other) => plain.extend([ESCAPE, other]),
            None => plain.push(ESCAPE),
        }
    }
    Cow::Owned(plain)
}

/// Escapes one element.
#[cfg(feature = "runner")]
pub(crate) fn escape(element: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(element.len());
    for &byte in element {
        match byte {
            0 => escaped.extend([ESCAPE, b'0']),
            ESCAPE => escaped.extend([ESCAPE, b'1']),
            b'\t' => escaped.extend([ESCAPE, b't']),
            b'\r' => escaped.extend([ESCAPE, b'r']),
            b'\n' => escaped.extend([ESCAPE, b'n']),
            plain => escaped.push(plain),
        }
    }
    escaped
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
}
