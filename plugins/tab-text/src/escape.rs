//! The escapes of Dovecot's line protocols.
//!
//! Most texts have nothing to escape. So many bytes at a time are looked at and copied; a text with a
//! special byte goes another, slower way.

use fantail_sdk::{
    BLOCK, Tail,
    tab_escape::{ESCAPE, escape_code},
};
use wide::{CmpEq, i8x16, u8x16};

/// A bit for each byte below 0x0e, where all special ones are.
#[inline(always)]
pub(crate) fn special(block: &[u8; BLOCK]) -> u32 {
    let half = |start: usize| special_in(std::array::from_fn(|at| block[start + at]));
    half(0) | half(16) << 16
}

/// The same for half a block.
#[inline(always)]
fn special_in(bytes: [u8; 16]) -> u32 {
    let above: [u8; 16] = u8x16::new(bytes).saturating_sub(u8x16::splat(0x0d)).to_array();
    let is_special = i8x16::new(above.map(|byte| byte as i8)).cmp_eq(i8x16::splat(0));
    is_special.move_mask() as u32
}

/// Appends `text` with its escapes.
#[inline(always)]
pub(crate) fn put_escaped<'a>(text: &[u8], mut tail: Tail<'a>) -> Tail<'a> {
    if tail.extend_if(text, |block| special_in(block) == 0) {
        return tail;
    }
    put_special(text, tail)
}

/// The same for a text that may have something to escape.
#[inline(never)]
fn put_special<'a>(text: &[u8], mut tail: Tail<'a>) -> Tail<'a> {
    let taken = tail.put_replacing(text, None, special, |byte| {
        Some(match escape_code(byte) {
            Some(code) => ([ESCAPE, code, 0, 0, 0, 0, 0, 0], 2),
            None => ([byte, 0, 0, 0, 0, 0, 0, 0], 1),
        })
    });
    debug_assert_eq!(taken, text.len(), "there is something for every byte");
    tail
}
