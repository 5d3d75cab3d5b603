//! Integers as decimal text.
//!
//! The digits of eight places come from three multiplications that work on several places of one
//! word at a time (the division by constants of Granlund and Montgomery, "Division by
//! Invariant Integers using Multiplication", 1994): there is no loop whose length depends on the number, so
//! nothing to be guessed wrongly.

use crate::abi::{Digits, Either, Piece, Prefix};

/// What eight digits count.
const EIGHT: u64 = 100_000_000;

/// The decimal digits of `number`, with a minus sign if it is negative.
#[inline(always)]
pub fn integer(number: i64) -> impl Piece {
    let sign = Prefix::new(b"-", usize::from(number < 0));
    let number = number.unsigned_abs();
    let digits = if number < EIGHT {
        let digits = u64::from_le_bytes(eight_digits(number));
        // The last one stays, also when it is a zero.
        let zeros = ((digits ^ ZEROS) | (1 << 56)).trailing_zeros() / 8;
        Either::This(Digits::new((digits >> (8 * zeros)).to_le_bytes(), 8 - zeros as usize))
    } else {
        Either::That(long_digits(number))
    };
    (sign, digits)
}

/// The digits of a number that may have more than eight.
#[inline(never)]
fn long_digits(number: u64) -> Digits<24> {
    let mut digits = [0; 24];
    let parts = [number / EIGHT / EIGHT, number / EIGHT % EIGHT, number % EIGHT];
    for (eight, part) in digits.chunks_exact_mut(8).zip(parts) {
        eight.copy_from_slice(&eight_digits(part));
    }
    let zeros = digits.iter().position(|&digit| digit != b'0').unwrap_or(digits.len() - 1);
    digits.rotate_left(zeros);
    Digits::new(digits, digits.len() - zeros)
}

/// Eight times `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The digits of a number below 10^8, leading zeros included.
#[inline(always)]
pub(crate) fn eight_digits(number: u64) -> [u8; 8] {
    // Places of 32 bits that hold four digits each, then of 16 with two, then of 8 with one; the
    // first digit is the lowest byte.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | ZEROS).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::{eight_digits, integer, EIGHT};
    use crate::{abi::lend_buffer, Buffer};

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        let mut numbers = vec![0, i64::MAX, i64::MIN, -1];
        let mut power: i64 = 1;
        while let Some(next) = power.checked_mul(10) {
            numbers.extend([power, power - 1, power + 1, -power, 1 - power, power * 7]);
            power = next;
        }
        let mut state = 1_u64;
        for bits in 0..64_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            numbers.push((state as i64) >> (bits % 64));
        }
        let mut bytes = Vec::new();
        lend_buffer(&mut bytes, |raw| {
            let mut out = Buffer::new(raw);
            for number in numbers {
                out.truncate(0);
                out.tail().put(integer(number));
                assert_eq!(out.as_slice(), number.to_string().as_bytes());
            }
        });
    }

    /// Not all hundred million: the halves do not know of each other.
    #[test]
    fn every_group_of_four_digits_is_right_in_both_places() {
        for four in 0..10_000 {
            for number in [four, four * 10_000, four * 10_001, EIGHT - 1 - four] {
                assert_eq!(eight_digits(number), *format!("{number:08}").as_bytes());
            }
        }
    }
}
