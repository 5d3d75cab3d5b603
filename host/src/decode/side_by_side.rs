//! Looks at many bytes of a line at once.
//!
//! Sixteen bytes are compared in one step, which every processor that we are
//! built for can do; `wide` writes it down without `unsafe`.

use wide::u8x16;

/// Bytes in a [`Block`].
pub(super) const BLOCK: usize = 64;

/// Bytes in the longest text that [`starts_with`] compares.
pub(super) const HEAD: usize = 32;

/// The bits of the bytes of `block` that are `byte`, the first one's lowest.
#[inline]
pub(super) fn places_of(byte: u8, block: &[u8; BLOCK]) -> u64 {
    let (sixteens, _) = block.as_chunks::<16>();
    let wanted = u8x16::splat(byte);
    sixteens
        .iter()
        .rev()
        .fold(0, |places, sixteen| places << 16 | u64::from(equal(u8x16::new(*sixteen), wanted)))
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

/// Whether the bytes of `text` and `head` are equal wherever `mask` has a bit.
#[inline]
pub(super) fn equal_in(mask: u32, text: &[u8; HEAD], head: &[u8; HEAD]) -> bool {
    let ([text_low, text_high], _) = text.as_chunks::<16>() else { return false };
    let ([head_low, head_high], _) = head.as_chunks::<16>() else { return false };
    let low = equal(u8x16::new(*text_low), u8x16::new(*head_low));
    let high = equal(u8x16::new(*text_high), u8x16::new(*head_high));
    (u32::from(high) << 16 | u32::from(low)) & mask == mask
}

/// Whether the bytes of two blocks are equal wherever `mask` has a bit.
#[inline]
pub(super) fn equal_in_block(mask: u64, one: &[u8; BLOCK], other: &[u8; BLOCK]) -> bool {
    let ((ones, _), (others, _)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    let places = ones.iter().zip(others).rev().fold(0, |places, (one, other)| {
        places << 16 | u64::from(equal(u8x16::new(*one), u8x16::new(*other)))
    });
    places & mask == mask
}

#[inline]
fn equal(one: u8x16, other: u8x16) -> u16 {
    one.cmp_eq(other).move_mask() as u16
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
        let head: [u8; HEAD] = std::array::from_fn(|place| place as u8 + 0x70);
        for place in 0..HEAD {
            let mut text = head;
            text[place] ^= 0x80;
            assert!(!equal_in(u32::MAX, &text, &head) && !equal_in(1 << place, &text, &head));
            assert!(equal_in(!(1 << place), &text, &head) && equal_in(0, &text, &head));
        }
        assert!(equal_in(u32::MAX, &head, &head));
    }
}
