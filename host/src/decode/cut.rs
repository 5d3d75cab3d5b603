//! A line as it was cut out of what was read.

/// A line, and whatever stands behind it in the same buffer.
///
/// A decoder reads the line only. But it may load what follows along with its last
/// bytes: a place is then looked at in the same few steps wherever in the line it is.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    text: &'a [u8],
    len: usize,
}

impl<'a> Line<'a> {
    /// The first `len` bytes of `text`.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[inline]
    pub fn first_of(text: &'a [u8], len: usize) -> Self {
        assert!(len <= text.len(), "invariant: a line is part of what was read");
        Line { text, len }
    }

    /// The line, without what ends it.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        &self.text[..self.len]
    }

    /// The line, and what stands behind it.
    #[inline]
    pub(super) fn text(self) -> &'a [u8] {
        self.text
    }

    /// Bytes in the line.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.len
    }
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Line<'a> {
    /// All of these bytes.
    #[inline]
    fn from(bytes: &'a T) -> Self {
        Line::first_of(bytes.as_ref(), bytes.as_ref().len())
    }
}
