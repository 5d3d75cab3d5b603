//! Where a format writes its payload.

use crate::abi::RawBuffer;

/// A growing run of bytes that one payload is appended to.
///
/// It also is a [`std::io::Write`] that never fails, for `write!` and for serializers.
pub struct Buffer<'a> {
    raw: &'a mut RawBuffer,
    start: usize,
}

impl<'a> Buffer<'a> {
    pub(crate) fn new(raw: &'a mut RawBuffer) -> Self {
        let start = raw.len();
        Buffer { raw, start }
    }

    /// Appends bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.raw.extend(bytes);
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.raw.push(byte);
    }

    /// Makes room for at least `additional` more bytes.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.raw.reserve(additional);
    }

    /// The number of bytes that this payload has so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.raw.len() - self.start
    }

    /// Whether the payload has no byte yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.raw.as_slice()[self.start..]
    }

    /// Takes bytes away from the payload's end until `len` are left.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.raw.truncate(self.start.saturating_add(len));
    }
}

impl std::io::Write for Buffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
