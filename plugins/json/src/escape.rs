//! JSON strings from bytes of any kind.
//!
//! Valid UTF-8 stays, but for what JSON wants escaped and for U+2028 and U+2029,
//! which end lines in JavaScript; each byte that is not part of valid UTF-8
//! becomes U+FFFD. Escapes are the short ones where JSON has one, and `\u001F`
//! in upper case otherwise.
//!
//! Most strings are short and plain ASCII. So sixteen bytes at a time are looked at and
//! copied; a string with anything else in it goes another, slower way.

use fantail_sdk::Buffer;
use wide::{CmpEq, CmpLt, i8x16};

/// Appends `text` as a JSON string, quotes included.
#[inline]
pub(crate) fn write_string(text: &[u8], out: &mut Buffer<'_>) {
    out.push(b'"');
    write_content(text, b"\"", out);
}

/// Appends what stands between the quotes, and `end`.
#[inline]
pub(crate) fn write_content<const N: usize>(text: &[u8], end: &[u8; N], out: &mut Buffer<'_>) {
    if !out.extend_if(text, is_plain) {
        write_escaped(text, out);
    }
    out.extend(end);
}

/// Whether all are ASCII, and none is a control character, `"` or `\`.
#[inline]
fn is_plain(block: [u8; 16]) -> bool {
    // As signed numbers, what is not ASCII is below the control characters.
    let block = i8x16::new(block.map(|byte| byte as i8));
    let special = block.cmp_lt(i8x16::splat(0x20))
        | block.cmp_eq(i8x16::splat(b'"' as i8))
        | block.cmp_eq(i8x16::splat(b'\\' as i8));
    !special.any()
}

/// The same as [`write_content`] for a text with something to escape.
#[cold]
fn write_escaped(text: &[u8], out: &mut Buffer<'_>) {
    for chunk in text.utf8_chunks() {
        write_utf8(chunk.valid().as_bytes(), out);
        for _ in chunk.invalid() {
            out.extend("\u{fffd}".as_bytes());
        }
    }
}

/// What [`ESCAPES`] says of a byte that stays.
const PLAIN: u8 = 0;
/// What it says of a control character without an escape of its own.
const CONTROL: u8 = b'u';
/// What it says of the byte that U+2028 and U+2029 begin with.
const MAY_END_LINE: u8 = 1;

/// For each byte one of the three above, or the letter of its escape.
const ESCAPES: [u8; 256] = {
    let mut table = [PLAIN; 256];
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
    table[0xe2] = MAY_END_LINE;
    table
};

/// Appends valid UTF-8 with its escapes, the runs between them at once.
fn write_utf8(text: &[u8], out: &mut Buffer<'_>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut run = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let escape = ESCAPES[usize::from(byte)];
        if escape == PLAIN {
            at += 1;
            continue;
        }
        let mut len = 1;
        let (mut line_end, mut control) = (*b"\\u2028", *b"\\u0000");
        let escaped: &[u8] = match escape {
            MAY_END_LINE => match text.get(at + 1..at + 3) {
                Some(&[0x80, last @ (0xa8 | 0xa9)]) => {
                    line_end[5] = b'8' + (last - 0xa8);
                    len = 3;
                    &line_end
                }
                _ => {
                    at += 3;
                    continue;
                }
            },
            CONTROL => {
                control[4] = HEX[usize::from(byte >> 4)];
                control[5] = HEX[usize::from(byte & 15)];
                &control
            }
            letter => &[b'\\', letter],
        };
        out.extend(&text[run..at]);
        out.extend(escaped);
        at += len;
        run = at;
    }
    out.extend(&text[run..]);
}
