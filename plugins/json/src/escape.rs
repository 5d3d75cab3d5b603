//! JSON strings from bytes of any kind.
//!
//! Valid UTF-8 stays, but for what JSON wants escaped and for U+2028 and U+2029,
//! which end lines in JavaScript; each byte that is not part of valid UTF-8
//! becomes U+FFFD. Escapes are the short ones where JSON has one, and `\u001F`
//! in upper case otherwise.
//!
//! Most strings are ASCII. So many bytes at a time are looked at and copied, up to the next
//! that is to be escaped; from the first character on that is not ASCII a string goes another,
//! slower way.

use fantail_sdk::{BLOCK, Prefix, Tail};
use wide::{CmpEq, CmpLt, i8x16};

/// A bit for each byte that is not ASCII, a control character, `"` or `\`.
#[inline(always)]
pub(crate) fn special(block: &[u8; BLOCK]) -> u32 {
    let half = |start: usize| special_in(std::array::from_fn(|at| block[start + at]));
    half(0) | half(16) << 16
}

/// The same for half a block.
#[inline(always)]
pub(crate) fn special_in(bytes: [u8; 16]) -> u32 {
    // As signed numbers, what is not ASCII is below the control characters.
    let bytes = i8x16::new(bytes.map(|byte| byte as i8));
    let special = bytes.cmp_lt(i8x16::splat(0x20))
        | bytes.cmp_eq(i8x16::splat(b'"' as i8))
        | bytes.cmp_eq(i8x16::splat(b'\\' as i8));
    special.move_mask() as u32
}

/// Appends what stands between the quotes of a JSON string, and `end`.
#[inline(always)]
pub(crate) fn put_content<'a, const N: usize>(
    text: &[u8],
    end: &[u8; N],
    mut tail: Tail<'a>,
) -> Tail<'a> {
    if !tail.extend_if(text, |block| special_in(block) == 0) {
        tail = put_escaped(text, tail);
    }
    tail.put(end);
    tail
}

/// Appends a text with something to escape.
#[inline(never)]
fn put_escaped<'a>(text: &[u8], mut tail: Tail<'a>) -> Tail<'a> {
    let taken = tail.put_replacing(text, None, special, escape);
    if taken < text.len() {
        tail = put_any(&text[taken..], tail);
    }
    tail
}

/// The escape of a byte that always has one, and how many bytes it is.
#[inline(always)]
fn escape(byte: u8) -> Option<([u8; 8], usize)> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    match ESCAPES[usize::from(byte)] {
        NONE => None,
        CONTROL => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            Some(([b'\\', b'u', b'0', b'0', high, low, 0, 0], 6))
        }
        letter => Some(([b'\\', letter, 0, 0, 0, 0, 0, 0], 2)),
    }
}

/// What [`ESCAPES`] says of a byte that stays, or that is not ASCII.
const NONE: u8 = 0;
/// What it says of a control character without an escape of its own.
const CONTROL: u8 = b'u';

/// For each byte one of the two above, or the letter of its escape.
const ESCAPES: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = CONTROL;
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends a text of any bytes.
#[inline(never)]
fn put_any<'a>(text: &[u8], mut tail: Tail<'a>) -> Tail<'a> {
    for chunk in text.utf8_chunks() {
        tail = put_utf8(chunk.valid().as_bytes(), tail);
        for _ in chunk.invalid() {
            tail.extend("\u{fffd}".as_bytes());
        }
    }
    tail
}

/// Appends valid UTF-8 with its escapes, the runs between them at once.
fn put_utf8<'a>(text: &[u8], mut tail: Tail<'a>) -> Tail<'a> {
    let mut run = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let (escape, len, taken) = match (escape(byte), text.get(at + 1..at + 3)) {
            (Some((escape, len)), _) => (escape, len, 1),
            (None, Some(&[0x80, last @ (0xa8 | 0xa9)])) if byte == 0xe2 => {
                ([b'\\', b'u', b'2', b'0', b'2', b'8' + (last - 0xa8), 0, 0], 6, 3)
            }
            (None, _) => {
                at += 1;
                continue;
            }
        };
        tail.extend(&text[run..at]);
        tail.put(Prefix::new(&escape, len));
        at += taken;
        run = at;
    }
    tail.extend(&text[run..]);
    tail
}
