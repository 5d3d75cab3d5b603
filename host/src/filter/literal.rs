//! The value of a field test, typed from its text alone when a filter is parsed:
//! integer, address or network, size, interval, and otherwise text.
//!
//! Quotes don't matter, and an escape or a live wildcard makes text of anything:
//! `12h` is an interval, `"\12h"` and `"12h*"` are not.

use std::borrow::Cow;

use super::network::Network;
use super::wildcard::{Case, Pattern};

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Literal {
    /// A number; a size is in bytes and an interval in microseconds.
    Integer(i64),
    /// An address or a network.
    Network(Network),
    /// Text without a live wildcard.
    Text(Box<str>),
    /// Text with one.
    Pattern(Pattern),
    /// `<n>m` or `<n>M`, mega or minutes: text, and no number's equal.
    Ambiguous(Box<str>),
}

/// What a value that may have been meant as text was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// A whole number.
    Number,
    /// An IP address, or a network.
    Address,
    /// A size in bytes.
    Size,
    /// An interval in microseconds.
    Interval,
}

impl Literal {
    /// Types `text`, a value as the filter has it: with its escapes, without its
    /// quotes.
    pub fn parse(text: &str) -> (Self, Option<Taken>) {
        if let Some(number) = integer(text) {
            return (Literal::Integer(number), Some(Taken::Number));
        }
        if let Some(network) = Network::parse(text) {
            return (Literal::Network(network), Some(Taken::Address));
        }
        let size = size(text);
        if size.is_some() && text.ends_with(['m', 'M']) {
            return (Literal::Ambiguous(text.into()), None);
        }
        if let Some(bytes) = size.and_then(|bytes| i64::try_from(bytes).ok()) {
            return (Literal::Integer(bytes), Some(Taken::Size));
        }
        if let Some(milliseconds) = interval(text) {
            return (Literal::Integer(i64::from(milliseconds) * 1000), Some(Taken::Interval));
        }
        match Pattern::parse(text) {
            Some(pattern) => (Literal::Pattern(pattern), None),
            None => (Literal::Text(unescape(text).into()), None),
        }
    }

    /// What text in a field is compared with: the normalised text of a number, an
    /// address or a network, and otherwise the filter's own.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Literal::Integer(number) => number.to_string().into(),
            Literal::Network(network) => network.text().into(),
            Literal::Text(text) | Literal::Ambiguous(text) => (&**text).into(),
            Literal::Pattern(pattern) => pattern.text().into(),
        }
    }

    /// Whether it is `""`, which a missing field matches.
    pub fn is_empty(&self) -> bool {
        matches!(self, Literal::Text(text) if text.is_empty())
    }

    /// Whether text in a field, given byte by byte, equals or matches it. The
    /// text of a number, an address or a network is the normalised one.
    pub fn matches_text(&self, bytes: impl Iterator<Item = u8> + Clone) -> bool {
        match self {
            Literal::Integer(number) => Decimal::new(*number).as_bytes().iter().copied().eq(bytes),
            Literal::Network(network) => same_text(network.text(), bytes),
            Literal::Text(text) | Literal::Ambiguous(text) => same_text(text, bytes),
            Literal::Pattern(pattern) => pattern.matches(bytes, Case::Ignored),
        }
    }
}

fn same_text(wanted: &str, mut bytes: impl Iterator<Item = u8>) -> bool {
    wanted.bytes().all(|wanted| bytes.next().is_some_and(|byte| Case::Ignored.same(wanted, byte)))
        && bytes.next().is_none()
}

/// `text` with each `\x` as x.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

/// A number's decimal text, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// Writes `number`.
    pub fn new(number: i64) -> Self {
        let mut decimal = Decimal { digits: [0; 20], start: 20 };
        let mut rest = number.unsigned_abs();
        loop {
            decimal.prepend(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            decimal.prepend(b'-');
        }
        decimal
    }

    fn prepend(&mut self, byte: u8) {
        self.start -= 1;
        self.digits[self.start] = byte;
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// A signed 64-bit integer: digits, with `-` before them or nothing.
fn integer(text: &str) -> Option<i64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// The leading digits as a number, and what follows them and their blanks.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

/// A size in bytes: B, K, M, G or T, then an optional `i`, an optional `B`.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "ki" | "kb" | "kib" => 10,
        "m" | "mi" | "mb" | "mib" => 20,
        "g" | "gi" | "gb" | "gib" => 30,
        "t" | "ti" | "tb" | "tib" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// An interval in milliseconds: the unit is any prefix of one of the words.
fn interval(text: &str) -> Option<u32> {
    const WORDS: [(&str, u64); 10] = [
        ("seconds", 1000),
        ("secs", 1000),
        // Before the milliseconds: "mi" could be either and is minutes.
        ("minutes", 60_000),
        ("mins", 60_000),
        ("mseconds", 1),
        ("msecs", 1),
        ("milliseconds", 1),
        ("millisecs", 1),
        ("hours", 3_600_000),
        ("days", 86_400_000),
    ];
    const WEEKS: (&str, u64) = ("weeks", 7 * 86_400_000);
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.to_ascii_lowercase();
    let mut words = WORDS.iter().chain([&WEEKS]);
    let (_, factor) = words.find(|(word, _)| !unit.is_empty() && word.starts_with(&unit))?;
    u32::try_from(number.checked_mul(*factor)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Literal, Taken};

    #[test]
    fn the_text_alone_decides_the_type() {
        let number = |text: &str, expected: i64, taken: Taken| {
            assert_eq!(Literal::parse(text), (Literal::Integer(expected), Some(taken)), "{text}");
        };
        number("05", 5, Taken::Number);
        number("-0", 0, Taken::Number);
        number("-9223372036854775808", i64::MIN, Taken::Number);
        number("5 ", 5, Taken::Size);
        number("1 kIb", 1024, Taken::Size);
        number("1mi", 1 << 20, Taken::Size);
        number("8388607TB", 8_388_607 << 40, Taken::Size);
        number("1min", 60_000_000, Taken::Interval);
        number("1mil", 1000, Taken::Interval);
        number("1MS", 1000, Taken::Interval);
        number("0s", 0, Taken::Interval);
        number("7w", 7 * 604_800_000_000, Taken::Interval);
        number("4294967295ms", 4_294_967_295_000, Taken::Interval);
    }

    #[test]
    fn what_does_not_fit_is_text() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Literal::parse(text), (Literal::Text(expected.into()), None));
        };
        check("", "");
        check("+5", "+5");
        check("-1KB", "-1KB");
        check("9223372036854775808", "9223372036854775808");
        check("8388608TB", "8388608TB");
        check("8w", "8w");
        check("4294967296ms", "4294967296ms");
        check("1kk", "1kk");
        check("1\tk", "1\tk");
        check(r"\12h", "12h");
        check(r"a\*\n", "a*n");
        for text in ["1m", "10 M", "0M", "8388608m"] {
            assert_eq!(Literal::parse(text), (Literal::Ambiguous(text.into()), None));
        }
        assert!(matches!(Literal::parse("12h*"), (Literal::Pattern(_), None)));
    }

    #[test]
    fn decimals_are_the_shortest() {
        for number in [0, 7, -7, 10, i64::MAX, i64::MIN] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
