//! Looks at many bytes of a line at once.
//!
//! Sixteen bytes are compared in one step, which every processor that we are
//! built for can do; `wide` writes it down without `unsafe`.

use wide::u8x16;

/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// Bytes in the longest name that is compared at once.
pub(super) const HEAD: usize = 32;

/// The bits of the bytes of `block` that are `byte`, the first one's lowest.
#[inline]
pub(super) fn places_of(byte: u8, block: &[u8; BLOCK]) -> u64 {
    equal_places(block, &[byte; BLOCK])
}

/// Whether one of the bytes of `block` is `byte`; costs less than [`places_of`].
#[inline]
pub(super) fn contains(byte: u8, block: &[u8; BLOCK]) -> bool {
    let (sixteens, _) = block.as_chunks::<16>();
    let wanted = u8x16::splat(byte);
    let found = sixteens
        .iter()
        .fold(u8x16::ZERO, |found, sixteen| found | u8x16::new(*sixteen).cmp_eq(wanted));
    found.move_mask() != 0
}

/// Whether the bytes of `one` and `other`, 64 at most, are equal wherever `mask` has a bit.
#[inline]
pub(super) fn equal_in<const N: usize>(mask: u64, one: &[u8; N], other: &[u8; N]) -> bool {
    equal_places(one, other) & mask == mask
}

/// The bits of the places where both have the same byte.
#[inline]
fn equal_places<const N: usize>(one: &[u8; N], other: &[u8; N]) -> u64 {
    let ((ones, _), (others, _)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    ones.iter().zip(others).rev().fold(0, |places, (one, other)| {
        let equal = u8x16::new(*one).cmp_eq(u8x16::new(*other)).move_mask() as u16;
        places << 16 | u64::from(equal)
    })
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, HEAD, contains, equal_in, places_of};

    #[test]
    fn every_place_has_its_bit() {
        for place in 0..BLOCK {
            let mut block = [b'\n'; BLOCK];
            block[place] = b'\t';
            assert_eq!(places_of(b'\t', &block), 1 << place);
            assert_eq!(places_of(b'\n', &block), !(1 << place));
            assert!(contains(b'\t', &block) && !contains(b'\t' | 0x80, &block));
        }
    }

    #[test]
    fn bytes_count_where_the_mask_has_a_bit() {
        check::<HEAD>();
        check::<BLOCK>();
    }

    fn check<const N: usize>() {
        let head: [u8; N] = std::array::from_fn(|place| place as u8 + 0x70);
        let all = u64::MAX >> (64 - N);
        for place in 0..N {
            let mut text = head;
            text[place] ^= 0x80;
            assert!(!equal_in(all, &text, &head) && !equal_in(1 << place, &text, &head));
            assert!(equal_in(all & !(1 << place), &text, &head) && equal_in(0, &text, &head));
        }
        assert!(equal_in(all, &head, &head));
    }
}
