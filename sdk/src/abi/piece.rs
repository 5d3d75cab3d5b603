//! Pieces of a payload, of which the compiler knows how long they can be.

use super::buffer::Tail;

/// What a [`Tail`] appends at once: an array, a [`Prefix`], an [integer](crate::integer), a
/// [time](crate::TimeWriter::piece), or a tuple of pieces, one behind the other.
///
/// Room is made once for all of them, and each is copied without a decision.
pub trait Piece: private::Write {}

impl<P: private::Write> Piece for P {}

mod private {
    pub trait Write {
        /// At most so many bytes are written.
        const ROOM: usize;

        /// Writes the piece to `at`, and says how many bytes it has: [`ROOM`](Self::ROOM) at most.
        /// Those behind it may be overwritten, too.
        ///
        /// # Safety
        ///
        /// `ROOM` bytes from `at` on can be written, and nothing that the piece refers to is there.
        unsafe fn write(self, at: *mut u8) -> usize;
    }
}

/// The first bytes of a block. The whole block is copied, for that takes no decision; its rest is
/// overwritten by what comes next.
#[derive(Clone, Copy, Debug)]
pub struct Prefix<'a, const N: usize> {
    block: &'a [u8; N],
    len: usize,
}

impl<'a, const N: usize> Prefix<'a, N> {
    /// The first `len` bytes of `block`: all, if it has fewer.
    #[inline(always)]
    pub fn new(block: &'a [u8; N], len: usize) -> Self {
        Prefix { block, len: len.min(N) }
    }
}

/// The first bytes of a block that nobody else has.
pub(crate) struct Digits<const N: usize> {
    block: [u8; N],
    len: usize,
}

impl<const N: usize> Digits<N> {
    /// The first `len` bytes of `block`: all, if it has fewer.
    #[inline(always)]
    pub(crate) fn new(block: [u8; N], len: usize) -> Self {
        Digits { block, len: len.min(N) }
    }
}

/// One of two pieces. (An array that is one thing in one branch and another in the next is kept in
/// memory, and the processor waits for that.)
pub(crate) enum Either<A, B> {
    This(A),
    That(B),
}

impl Tail<'_> {
    /// Appends a piece, or several.
    ///
    /// # Panics
    ///
    /// As [`Buffer::reserve`](crate::Buffer::reserve).
    #[inline(always)]
    pub fn put<P: Piece>(&mut self, piece: P) {
        let at = self.room(P::ROOM);
        // SAFETY: there is room for so many bytes, in memory that nothing else refers to: the
        // buffer is held alone, and no piece is made from what has not been written.
        let len = unsafe { piece.write(at) };
        // SAFETY: so many bytes have just been written there, as `write` promises.
        unsafe { self.advance(len) }
    }
}

impl<const N: usize> private::Write for &[u8; N] {
    const ROOM: usize = N;

    #[inline(always)]
    unsafe fn write(self, at: *mut u8) -> usize {
        // SAFETY: by this function's contract, N bytes can be written there.
        unsafe { at.cast::<[u8; N]>().write_unaligned(*self) };
        N
    }
}

impl<const N: usize> private::Write for Prefix<'_, N> {
    const ROOM: usize = N;

    #[inline(always)]
    unsafe fn write(self, at: *mut u8) -> usize {
        // SAFETY: by this function's contract, N bytes can be written there.
        unsafe { at.cast::<[u8; N]>().write_unaligned(*self.block) };
        self.len
    }
}

impl<const N: usize> private::Write for Digits<N> {
    const ROOM: usize = N;

    #[inline(always)]
    unsafe fn write(self, at: *mut u8) -> usize {
        // SAFETY: by this function's contract, N bytes can be written there.
        unsafe { at.cast::<[u8; N]>().write_unaligned(self.block) };
        self.len
    }
}

impl<A: private::Write, B: private::Write> private::Write for Either<A, B> {
    const ROOM: usize = if A::ROOM > B::ROOM { A::ROOM } else { B::ROOM };

    #[inline(always)]
    unsafe fn write(self, at: *mut u8) -> usize {
        match self {
            // SAFETY: there is as much room as either needs.
            Either::This(piece) => unsafe { piece.write(at) },
            // SAFETY: as above.
            Either::That(piece) => unsafe { piece.write(at) },
        }
    }
}

macro_rules! tuple {
    ($($piece:ident: $type:ident),*) => {
        impl<$($type: private::Write),*> private::Write for ($($type,)*) {
            const ROOM: usize = $($type::ROOM +)* 0;

            #[inline(always)]
            unsafe fn write(self, at: *mut u8) -> usize {
                let ($($piece,)*) = self;
                let mut len = 0;
                $(
                    // SAFETY: the pieces before took no more than their room, so this is within the
                    // room of all.
                    let next = unsafe { at.add(len) };
                    // SAFETY: its own room is left there.
                    len += unsafe { $piece.write(next) };
                )*
                len
            }
        }
    };
}

tuple!(a: A, b: B);
tuple!(a: A, b: B, c: C);
tuple!(a: A, b: B, c: C, d: D);

#[cfg(test)]
mod tests {
    use super::{Digits, Prefix};
    use crate::abi::lend_buffer;

    /// Alone and together, whole and in part, against a `Vec`, from no capacity on.
    #[test]
    fn pieces_stand_one_behind_the_other() {
        let mut bytes = b"before".to_vec();
        bytes.shrink_to_fit();
        let mut expected = bytes.clone();
        lend_buffer(&mut bytes, |raw| {
            for round in 0..200 {
                let block = b"0123456789abcdef0123456789ABCDEF";
                let (long, short) = (round % 40, round % 11);
                let prefix = Prefix::new(block, long);
                let digits = || Digits::new(*b"01234567", short);
                let mut tail = raw.tail(6);
                tail.put(b"whole");
                tail.put(prefix);
                tail.put((prefix, digits()));
                tail.put((b"|", digits(), b"", (prefix, b"ends")));
                let len = tail.len();
                drop(tail);
                assert_eq!(len + 6, raw.len());
                for piece in [
                    b"whole",
                    &block[..long.min(32)],
                    &block[..long.min(32)],
                    &block[..short.min(8)],
                    b"|",
                    &block[..short.min(8)],
                    &block[..long.min(32)],
                    b"ends",
                ] {
                    expected.extend_from_slice(piece);
                }
                assert_eq!(raw.as_slice(), expected);
            }
        });
        assert_eq!(bytes, expected);
    }
}
