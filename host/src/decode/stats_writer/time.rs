//! Times as the protocol has them: seconds, and microseconds behind them.

use fantail_sdk::Timestamp;

use super::item::syntax;
use super::number;
use crate::decode::LineError;
use crate::decode::token::Token;

/// What stands behind a time's seconds.
pub(super) const MICROS: &str = "microseconds from 0 to 999999";

/// Digits of the seconds of every time from 2001 to 2286.
const DIGITS: usize = 10;

/// Reads times. Most of one sender's lie in the second of the one before, so
/// its seconds are remembered and compared; what is read never depends on that.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// The last seconds of so many digits.
    seconds: [u8; DIGITS],
    /// What they say, in microseconds.
    micros: i64,
}

impl Default for Times {
    fn default() -> Self {
        Times { seconds: [b'0'; DIGITS], micros: 0 }
    }
}

impl Times {
    /// The time of these seconds and microseconds, which stand in `line`.
    #[inline]
    pub(super) fn read(
        &mut self,
        line: &[u8],
        seconds: Token<'_>,
        micros: Token<'_>,
    ) -> Result<Timestamp, LineError> {
        if seconds.bytes != self.seconds {
            return self.read_anew(line, seconds, micros);
        }
        // So few digits are far below an overflow.
        Ok(Timestamp::from_micros(self.micros + i64::from(part(line, micros)?)))
    }

    #[inline(never)]
    fn read_anew(
        &mut self,
        line: &[u8],
        seconds: Token<'_>,
        micros: Token<'_>,
    ) -> Result<Timestamp, LineError> {
        let whole =
            number::signed(line, seconds).ok_or_else(|| syntax(seconds, "a number of seconds"))?;
        let part = part(line, micros)?;
        let time = Timestamp::from_parts(whole, i64::from(part))
            .ok_or_else(|| syntax(seconds, "a time within 292,000 years of 1970"))?;
        if let Ok(text) = seconds.bytes.try_into() {
            (self.seconds, self.micros) = (text, time.as_micros() - i64::from(part));
        }
        Ok(time)
    }
}

/// The microseconds of a second.
#[inline]
fn part(line: &[u8], micros: Token<'_>) -> Result<u32, LineError> {
    number::unsigned_32(line, micros)
        .filter(|part| *part < 1_000_000)
        .ok_or_else(|| syntax(micros, MICROS))
}

#[cfg(test)]
mod tests {
    use super::Times;
    use crate::decode::token::Tokens;

    #[test]
    fn what_is_remembered_changes_nothing() {
        let seconds = [
            "0000000000",
            "1795223758",
            "1795223759",
            "1795223758",
            "-795223758",
            "-795223758",
            "9999999999",
            "9999999999",
            "\0\0\0\0\0\0\0\0\0\0",
            "179522375x",
            "1795223758",
            "7",
            "1795223758",
            "01795223758",
            "179522375",
            "9223372036854",
            "9223372036855",
            "",
        ];
        let micros = ["0", "999999", "1000000", "", "000017", "x", "17"];
        let mut remembers = Times::default();
        for seconds in seconds {
            for micros in micros {
                let line = format!("l\t{seconds}\t{micros}");
                let mut tokens = Tokens::new(line.as_bytes()).skip(1);
                let (first, second) = (tokens.next().unwrap(), tokens.next().unwrap());
                let found = remembers.read(line.as_bytes(), first, second);
                let anew = Times::default().read_anew(line.as_bytes(), first, second);
                assert_eq!(found, anew, "{line}");
                let parsed = (seconds.parse::<i64>(), micros.parse::<i64>());
                let expected = match parsed {
                    (Ok(seconds), Ok(micros)) if micros < 1_000_000 => {
                        seconds.checked_mul(1_000_000).and_then(|whole| whole.checked_add(micros))
                    }
                    _ => None,
                };
                assert_eq!(found.ok().map(|time| time.as_micros()), expected, "{line}");
            }
        }
    }
}
