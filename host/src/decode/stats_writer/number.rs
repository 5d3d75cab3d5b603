//! Decimal numbers as the protocol has them: digits, and a `-` only where a
//! number may be negative; no `+`, no blank.

use crate::decode::token::Token;

/// The unsigned number that is all of the argument; `line` is where that stands.
#[inline]
pub(super) fn unsigned(line: &[u8], token: Token<'_>) -> Option<u64> {
    // Most numbers are short, and are read with what stands before them: so nothing
    // depends on how long they are.
    match line.get(..token.end()).and_then(<[u8]>::last_chunk) {
        Some(bytes) if (1..=8).contains(&token.bytes.len()) => {
            up_to_8_digits(u64::from_le_bytes(*bytes), token.bytes.len())
        }
        _ => unsigned_text(token.bytes),
    }
}

/// The same; a number of one digit, which it mostly is, costs less.
#[inline]
pub(super) fn unsigned_small(line: &[u8], token: Token<'_>) -> Option<u64> {
    match token.bytes {
        [byte] => digit(*byte).map(u64::from),
        _ => unsigned(line, token),
    }
}

/// The unsigned number that is all of `text`.
#[inline(never)]
fn unsigned_text(text: &[u8]) -> Option<u64> {
    match text.len() {
        0 => None,
        1..4 => digit_by_digit(text),
        4..=8 => up_to_8_digits(top_bytes(text)?, text.len()),
        9..=16 => {
            let (high, low) = text.split_at(text.len() - 8);
            // The bytes of `high` are the first ones of the first 8.
            let first = u64::from_le_bytes(*text.first_chunk()?) << (8 * (8 - high.len()));
            let low = u64::from_le_bytes(*low.first_chunk()?);
            Some(up_to_8_digits(first, high.len())? * 100_000_000 + up_to_8_digits(low, 8)?)
        }
        _ => digit_by_digit(text),
    }
}

fn digit_by_digit(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |number, &byte| {
        number.checked_mul(10)?.checked_add(u64::from(digit(byte)?))
    })
}

/// The 4 to 8 bytes of `text` as the highest of a word, the last one on top.
#[inline]
fn top_bytes(text: &[u8]) -> Option<u64> {
    let first = u64::from(u32::from_le_bytes(*text.first_chunk()?));
    let last = u64::from(u32::from_le_bytes(*text.last_chunk()?));
    // Where they overlap, they are the same.
    Some(first << (8 * (8 - text.len())) | last << 32)
}

/// The number whose `count` digits, 1 to 8, are the highest bytes of `word`, the
/// first digit lowest; all digits are looked at in the same steps.
#[inline]
fn up_to_8_digits(word: u64, count: usize) -> Option<u64> {
    const EVERY: u64 = 0x0101_0101_0101_0101;
    let others = 8 * (8 - count);
    // Bytes below the first digit become 0, as if they were zeros before it.
    let digits = (word ^ (u64::from(b'0') * EVERY)) >> others << others;
    // Adding 0x76 sets the highest bit of a byte above 9. What is carried comes
    // from a byte whose highest bit is set already.
    if (digits.wrapping_add(0x76 * EVERY) | digits) & (0x80 * EVERY) != 0 {
        return None;
    }
    // Neighbours become numbers of 2 digits, then of 4, then of 8.
    let twos = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = twos.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

/// The number up to `u32::MAX` that is all of the argument.
#[inline]
pub(super) fn unsigned_32(line: &[u8], token: Token<'_>) -> Option<u32> {
    unsigned(line, token)?.try_into().ok()
}

/// The signed number that is all of the argument.
#[inline]
pub(super) fn signed(line: &[u8], token: Token<'_>) -> Option<i64> {
    match token.bytes.strip_prefix(b"-") {
        Some(digits) => 0_i64.checked_sub_unsigned(unsigned_text(digits)?),
        None => unsigned(line, token)?.try_into().ok(),
    }
}

fn digit(byte: u8) -> Option<u8> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

#[cfg(test)]
mod tests {
    use crate::decode::token::Token;

    /// The argument as it is read behind other bytes, which never matter.
    fn read<T: PartialEq + std::fmt::Debug>(
        text: &[u8],
        read: fn(&[u8], Token<'_>) -> Option<T>,
    ) -> Option<T> {
        let found = read(text, Token { start: 0, bytes: text });
        for before in [&b"1"[..], b"EVENT\t0\t", b"EVENT\t12345678901234567890", &[0xff; 16]] {
            let line = [before, text, b"\t7"].concat();
            let token = Token { start: before.len(), bytes: &line[before.len()..][..text.len()] };
            assert_eq!(read(&line, token), found, "{line:?}");
        }
        found
    }

    fn unsigned(text: &[u8]) -> Option<u64> {
        let number = read(text, super::unsigned);
        assert_eq!(read(text, super::unsigned_small), number);
        number
    }

    fn unsigned_32(text: &[u8]) -> Option<u32> {
        read(text, super::unsigned_32)
    }

    fn signed(text: &[u8]) -> Option<i64> {
        read(text, super::signed)
    }

    #[test]
    fn numbers_of_every_length_are_what_they_say() {
        for text in ["18446744073709551615", "12345678901234567890", "10000000000000000000"] {
            for len in 1..=text.len() {
                let text = &text.as_bytes()[..len];
                assert_eq!(unsigned(text), std::str::from_utf8(text).unwrap().parse().ok());
                for place in 0..len {
                    for wrong in [b'0' - 1, b'9' + 1, 0, 0xff, 0x80 | b'0', b'0' ^ 0x40] {
                        let mut text = text.to_vec();
                        text[place] = wrong;
                        assert_eq!(unsigned(&text), None, "{text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_are_digits_only() {
        let check = |text: &str, expected: (Option<u64>, Option<i64>)| {
            assert_eq!((unsigned(text.as_bytes()), signed(text.as_bytes())), expected, "{text}");
        };
        check("0", (Some(0), Some(0)));
        check("007", (Some(7), Some(7)));
        check("-0", (None, Some(0)));
        check("-12", (None, Some(-12)));
        check("9223372036854775807", (Some(i64::MAX as u64), Some(i64::MAX)));
        check("9223372036854775808", (Some(1 << 63), None));
        check("-9223372036854775808", (None, Some(i64::MIN)));
        check("-9223372036854775809", (None, None));
        check("18446744073709551615", (Some(u64::MAX), None));
        check("18446744073709551616", (None, None));
        check("00000000000000000000000000001", (Some(1), Some(1)));
        for bad in ["", "-", "+1", " 1", "1 ", "1a", "--1", "0x1", "1.0", "99999999999999999999999"]
        {
            check(bad, (None, None));
        }
        assert_eq!(unsigned_32(b"4294967295"), Some(u32::MAX));
        assert_eq!(unsigned_32(b"4294967296"), None);
    }
}
