//! The escapes of Dovecot's line protocols.
//!
//! Most texts are short and have nothing to escape. So eight bytes at a time are
//! looked at and copied; the rest of the text from the first special byte on goes
//! another, slower way.

use fantail_sdk::{
    Buffer,
    tab_escape::{ESCAPE, escape_code},
};

/// Appends `text` with its escapes.
#[inline]
pub(crate) fn write_escaped(text: &[u8], out: &mut Buffer<'_>) {
    let mut rest = text;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        if may_be_special(u64::from_le_bytes(*chunk)) {
            return write_special(rest, out);
        }
        out.extend(chunk);
        rest = tail;
    }
    if rest.is_empty() {
        return;
    }
    let word = short_word(rest);
    if may_be_special(word) {
        return write_special(rest, out);
    }
    // Eight bytes and back again: cheaper than a copy of a length not known
    // to the compiler.
    let len = out.len() + rest.len();
    out.extend(&word.to_le_bytes());
    out.truncate(len);
}

const EVERY: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EVERY;

/// Whether one of eight bytes is below 0x0e, where all special ones are.
#[inline]
fn may_be_special(word: u64) -> bool {
    word.wrapping_sub(0x0e * EVERY) & !word & HIGH != 0
}

/// One to seven bytes as a little-endian word, filled up with spaces.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let filling = (0x20 * EVERY) << (8 * len);
    let read = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // The two overlap in bytes that are the same in both.
        (Some(first), Some(last)) => {
            let first = u64::from(u32::from_le_bytes(*first));
            first | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => {
            let at = |index: usize| u64::from(bytes[index]) << (8 * index);
            at(0) | at(len / 2) | at(len - 1)
        }
    };
    read | filling
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
