//! JSON strings from bytes of any kind.
//!
//! Valid UTF-8 stays, but for what JSON wants escaped and for U+2028 and U+2029,
//! which end lines in JavaScript; each byte that is not part of valid UTF-8
//! becomes U+FFFD. Escapes are the short ones where JSON has one, and `\u001F`
//! in upper case otherwise.
//!
//! Most strings are short and plain ASCII. So eight bytes at a time are looked at
//! and, when there is nothing to escape, copied; the rest of the string from the
//! first such byte on goes another, slower way.

use fantail_sdk::Buffer;

/// Appends `text` as a JSON string, quotes included.
#[inline]
pub(crate) fn write_string(text: &[u8], out: &mut Buffer<'_>) {
    out.push(b'"');
    write_content(text, b"\"", out);
}

/// Appends what stands between the quotes, and `end`.
#[inline]
pub(crate) fn write_content<const N: usize>(text: &[u8], end: &[u8; N], out: &mut Buffer<'_>) {
    const { assert!(N <= 8, "with seven bytes of text it has to be within sixteen") };
    let mut rest = text;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        if is_special(u64::from_le_bytes(*chunk)) {
            return write_escaped(rest, end, out);
        }
        out.extend(chunk);
        rest = tail;
    }
    let word = short_word(rest);
    let filling = (0x20 * EVERY) << (8 * rest.len());
    if is_special(word | filling) {
        return write_escaped(rest, end, out);
    }
    // Sixteen bytes and back again: cheaper than copies of a length not known to
    // the compiler.
    let mut end_word = [0; 16];
    end_word[..N].copy_from_slice(end);
    let last = u128::from(word) | u128::from_le_bytes(end_word) << (8 * rest.len());
    let len = out.len() + rest.len() + N;
    out.extend(&last.to_le_bytes());
    out.truncate(len);
}

const EVERY: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EVERY;

/// Whether one of eight bytes is a control character, `"`, `\` or not ASCII.
#[inline]
fn is_special(word: u64) -> bool {
    let zero_in = |word: u64| word.wrapping_sub(EVERY) & !word;
    let control = word.wrapping_sub(0x20 * EVERY) & !word;
    let quote = zero_in(word ^ (u64::from(b'"') * EVERY));
    let backslash = zero_in(word ^ (u64::from(b'\\') * EVERY));
    (word | control | quote | backslash) & HIGH != 0
}

/// None to seven bytes as a little-endian word.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // The two overlap in bytes that are the same in both.
        (Some(first), Some(last)) => {
            let first = u64::from(u32::from_le_bytes(*first));
            first | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ if len == 0 => 0,
        _ => {
            let at = |index: usize| u64::from(bytes[index]) << (8 * index);
            at(0) | at(len / 2) | at(len - 1)
        }
    }
}

/// The same as [`write_content`] for a text with something to escape.
#[cold]
fn write_escaped(text: &[u8], end: &[u8], out: &mut Buffer<'_>) {
    for chunk in text.utf8_chunks() {
        write_utf8(chunk.valid().as_bytes(), out);
        for _ in chunk.invalid() {
            out.extend("\u{fffd}".as_bytes());
        }
    }
    out.extend(end);
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
