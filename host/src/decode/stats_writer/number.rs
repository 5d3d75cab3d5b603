//! Decimal numbers as the protocol has them: digits, and a `-` only where a
//! number may be negative; no `+`, no blank.

/// The unsigned number that is all of `text`.
pub(super) fn unsigned(text: &[u8]) -> Option<u64> {
    // 19 digits always fit, so only longer numbers need the checks.
    if text.len() > 19 {
        return text.iter().try_fold(0_u64, |number, &byte| {
            number.checked_mul(10)?.checked_add(u64::from(digit(byte)?))
        });
    }
    if text.is_empty() {
        return None;
    }
    let mut number = 0;
    for &byte in text {
        number = number * 10 + u64::from(digit(byte)?);
    }
    Some(number)
}

/// The number up to `u32::MAX` that is all of `text`.
pub(super) fn unsigned_32(text: &[u8]) -> Option<u32> {
    unsigned(text)?.try_into().ok()
}

/// The signed number that is all of `text`.
pub(super) fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(digits) => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        None => unsigned(text)?.try_into().ok(),
    }
}

fn digit(byte: u8) -> Option<u8> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::{signed, unsigned, unsigned_32};

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
