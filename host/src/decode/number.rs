//! Integers as formats write them.

/// The value of an integer in canonical form: no plus sign, no zeros in front,
/// not `-0`, within 64 bits. Written again it is the same bytes.
#[inline]
pub(super) fn canonical_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // Nineteen digits are below 2^64.
    let mut magnitude: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[cfg(test)]
mod tests {
    use super::canonical_integer;

    #[test]
    fn only_what_is_written_again_the_same_is_an_integer() {
        for number in [0, 1, -1, 10, 1953, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
            assert_eq!(canonical_integer(number.to_string().as_bytes()), Some(number));
        }
        let others =
            ["", "-", "-0", "00", "01", "+1", "1.0", "1e3", " 1", "1 ", "9223372036854775808"];
        for text in others.into_iter().chain(["-9223372036854775809", "99999999999999999999"]) {
            assert_eq!(canonical_integer(text.as_bytes()), None, "{text}");
        }
    }
}
