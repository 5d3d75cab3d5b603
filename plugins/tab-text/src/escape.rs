//! The escapes of Dovecot's line protocols.
//!
//! Most texts are short and have nothing to escape. So sixteen bytes at a time are looked
//! at and copied; a text with a special byte goes another, slower way.

use fantail_sdk::{
    Buffer,
    tab_escape::{ESCAPE, escape_code},
};
use wide::u8x16;

/// Appends `text` with its escapes.
#[inline]
pub(crate) fn write_escaped(text: &[u8], out: &mut Buffer<'_>) {
    if !out.extend_if(text, is_plain) {
        write_special(text, out);
    }
}

/// Whether none is below 0x0e, where all special ones are.
#[inline]
fn is_plain(block: [u8; 16]) -> bool {
    let block = u8x16::new(block);
    block.max(u8x16::splat(0x0e)).cmp_eq(block).all()
}

/// The same as [`write_escaped`] for a text that may have something to escape.
#[cold]
fn write_special(text: &[u8], out: &mut Buffer<'_>) {
    let mut run = 0;
    for (at, &byte) in text.iter().enumerate() {
        let Some(code) = escape_code(byte) else { continue };
        out.extend(&text[run..at]);
        out.extend(&[ESCAPE, code]);
        run = at + 1;
    }
    out.extend(&text[run..]);
}
