//! A byte buffer of the host that a format appends to, without a copy between.

use abi_stable::StableAbi;

/// A lent `Vec<u8>`: its three parts, and the host's function that makes it grow.
///
/// The plugin writes behind `len` up to `capacity` and raises `len`; it calls
/// `grow` when that is not enough. Only `lend_buffer` makes one.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawBuffer {
    start: *mut u8,
    len: usize,
    capacity: usize,
    grow: unsafe extern "C" fn(&mut RawBuffer, additional: usize),
}

/// Lends `bytes` to `use_it` as a [`RawBuffer`] and takes it back, also when
/// `use_it` panics.
pub(crate) fn lend_buffer<T>(bytes: &mut Vec<u8>, use_it: impl FnOnce(&mut RawBuffer) -> T) -> T {
    struct Loan<'a> {
        raw: RawBuffer,
        owner: &'a mut Vec<u8>,
    }
    impl Drop for Loan<'_> {
        fn drop(&mut self) {
            // SAFETY: the parts came from `into_raw` or `grow`, both in this file, and
            // a plugin changes nothing but `len`, within the capacity, through the
            // methods below; so they are the parts of one live `Vec`, which nobody
            // else owns: `owner` holds an empty one since `into_raw` took its content.
            *self.owner = unsafe { self.raw.take_vec() };
        }
    }
    let raw = RawBuffer::into_raw(std::mem::take(bytes));
    let mut loan = Loan { raw, owner: bytes };
    use_it(&mut loan.raw)
}

impl RawBuffer {
    fn into_raw(bytes: Vec<u8>) -> Self {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        RawBuffer { start: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity(), grow }
    }

    /// # Safety
    ///
    /// The parts must be those of a live `Vec` of this module's side of the
    /// boundary (its allocator frees it), and must not be used as such again.
    unsafe fn take_vec(&mut self) -> Vec<u8> {
        // SAFETY: the caller's promise is the one `from_raw_parts` asks for.
        unsafe { Vec::from_raw_parts(self.start, self.len, self.capacity) }
    }

    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` is valid for `capacity` bytes, of which the first `len`
        // have been written; `&self` keeps `grow` and `extend` away.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// The number of bytes so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes bytes away from the end until `len` are left; no effect if there are fewer.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for at least `additional` more bytes.
    ///
    /// # Panics
    ///
    /// When no buffer can be that large; in the plugin, where it is caught.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        if self.capacity - self.len < additional {
            let wanted = self.len.checked_add(additional);
            assert!(wanted.is_some_and(|wanted| isize::try_from(wanted).is_ok()), "too large");
            // SAFETY: `grow` is this file's function, from the side that lent the
            // buffer, and expects exactly the buffer it came with.
            unsafe { (self.grow)(self, additional) }
        }
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    ///
    /// As [`reserve`](Self::reserve).
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        // SAFETY: `len <= capacity`, so the place is inside or at the end of the allocation.
        let end = unsafe { self.start.add(self.len) };
        // SAFETY: after `reserve` there are `bytes.len()` writable bytes at `end`;
        // `bytes` is not part of the buffer, which `&mut self` holds alone.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len()) }
        self.len += bytes.len();
    }

    /// Appends one byte.
    ///
    /// # Panics
    ///
    /// As [`reserve`](Self::reserve).
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.reserve(1);
        // SAFETY: after `reserve` there is a writable byte behind the first `len`.
        let end = unsafe { self.start.add(self.len) };
        // SAFETY: as above.
        unsafe { end.write(byte) }
        self.len += 1;
    }
}

/// The end of a payload while much is appended to it: where the next byte goes is kept beside the
/// buffer, which need not be asked for every piece. What was appended is part of the payload
/// as soon as this is dropped.
///
/// It is quick as long as nobody is lent it: a function that takes it by reference and is not
/// inlined has the compiler keep it in memory.
pub struct Tail<'a> {
    raw: &'a mut RawBuffer,
    /// Where the next byte goes: within the buffer's allocation, or at its end.
    at: *mut u8,
    /// The allocation's end.
    end: *mut u8,
    /// Where in the buffer the payload begins.
    first: usize,
}

impl RawBuffer {
    /// The end, to append to a payload that begins at `first`.
    #[inline(always)]
    pub(crate) fn tail(&mut self, first: usize) -> Tail<'_> {
        let first = first.min(self.len);
        let (at, end) = self.spare();
        Tail { raw: self, at, end, first }
    }

    /// Where the part begins and ends that has not been written.
    #[inline(always)]
    fn spare(&mut self) -> (*mut u8, *mut u8) {
        // SAFETY: `len <= capacity`, so it is inside or at the end of the allocation.
        let at = unsafe { self.start.add(self.len) };
        // SAFETY: the end of the allocation.
        (at, unsafe { self.start.add(self.capacity) })
    }

    /// Makes room for so many bytes behind `at`, up to where it has been written.
    #[cold]
    #[inline(never)]
    fn grow_at(&mut self, at: *mut u8, additional: usize) -> (*mut u8, *mut u8) {
        self.len = at.addr() - self.start.addr();
        self.reserve(additional);
        self.spare()
    }
}

impl Tail<'_> {
    /// Appends `bytes`.
    ///
    /// # Panics
    ///
    /// As [`RawBuffer::reserve`].
    #[inline(always)]
    pub fn extend(&mut self, bytes: &[u8]) {
        let at = self.room(bytes.len());
        // SAFETY: there is room for them, and they are no part of the buffer's memory that has not
        // been written.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        // SAFETY: all of them have just been written.
        unsafe { self.advance(bytes.len()) }
    }

    /// The number of bytes that the payload has so far.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.end_of_written() - self.first
    }

    /// Whether the payload has no byte yet.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes bytes away from the payload's end until `len` are left; no effect if there are fewer.
    #[inline(always)]
    pub fn truncate(&mut self, len: usize) {
        let len = len.min(self.len());
        // SAFETY: not behind where it was, as `first + self.len()` is that.
        self.at = unsafe { self.raw.start.add(self.first + len) };
    }

    /// How many bytes of the buffer have been written.
    #[inline(always)]
    fn end_of_written(&self) -> usize {
        self.at.addr() - self.raw.start.addr()
    }

    /// Where the next byte goes, with room for so many.
    #[inline(always)]
    pub(super) fn room(&mut self, bytes: usize) -> *mut u8 {
        if self.end.addr() - self.at.addr() < bytes {
            (self.at, self.end) = self.raw.grow_at(self.at, bytes);
        }
        self.at
    }

    /// Makes the next bytes a part of the payload.
    ///
    /// # Safety
    ///
    /// They have been written, within the [`room`](Self::room) that was made for them.
    #[inline(always)]
    pub(super) unsafe fn advance(&mut self, bytes: usize) {
        // SAFETY: by this function's contract they are in the allocation.
        self.at = unsafe { self.at.add(bytes) };
    }
}

impl Drop for Tail<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Every byte up to there has been written.
        self.raw.len = self.end_of_written();
    }
}

/// # Safety
///
/// `raw` must come from [`RawBuffer::into_raw`] of the same library.
unsafe extern "C" fn grow(raw: &mut RawBuffer, additional: usize) {
    // SAFETY: by this function's contract the parts are those of a live `Vec`
    // of this library; `raw` is overwritten below before anybody reads it.
    let mut bytes = unsafe { raw.take_vec() };
    // An allocation that can't be had ends the process, as everywhere in Rust.
    if bytes.try_reserve(additional).is_err() {
        std::process::abort();
    }
    *raw = RawBuffer::into_raw(bytes);
}

#[cfg(test)]
mod tests {
    use super::lend_buffer;

    #[test]
    fn a_lent_buffer_comes_back_with_what_was_appended() {
        let mut bytes = b"before ".to_vec();
        let taken = lend_buffer(&mut bytes, |raw| {
            for _ in 0..1000 {
                raw.extend(b"0123456789");
                raw.push(b'x');
            }
            raw.truncate(7 + 11);
            raw.truncate(100);
            raw.len()
        });
        assert_eq!((taken, bytes.as_slice()), (18, b"before 0123456789x".as_slice()));
    }

    /// From no capacity on, against a `Vec`.
    #[test]
    fn what_a_tail_appends_is_in_the_buffer() {
        let mut bytes = b"before".to_vec();
        bytes.shrink_to_fit();
        let mut expected = bytes.clone();
        lend_buffer(&mut bytes, |raw| {
            for round in 0..200 {
                let mut tail = raw.tail(6);
                tail.put(b"x");
                expected.push(b'x');
                tail.extend(&expected[..round.min(expected.len())]);
                expected.extend_from_within(..round.min(expected.len()));
                assert_eq!(tail.len() + 6, expected.len());
                if round % 7 == 0 {
                    tail.truncate(round);
                    tail.truncate(usize::MAX);
                    expected.truncate(6 + round);
                }
                drop(tail);
                assert_eq!(raw.as_slice(), expected);
            }
        });
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_panic_does_not_lose_the_buffer() {
        let mut bytes = b"kept".to_vec();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lend_buffer(&mut bytes, |raw| {
                raw.extend(b" and more");
                panic!("on purpose");
            })
        }));
        assert!(caught.is_err());
        assert_eq!(bytes, b"kept and more");
    }
}
