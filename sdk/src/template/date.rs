//! Dates by a format, in UTC.

use std::io::Write;

use crate::{
    time::{civil_from_days, SECONDS_OF_DAY},
    Timestamp,
};

/// The letters that may stand behind a `%`.
pub(super) const LETTERS: &str = "%Y %y %m %d %H %M %S %j %F %T %s %%";

/// A format that has only letters that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DateFormat(String);

impl DateFormat {
    /// How a time is written that has no format.
    pub(super) fn full() -> Self {
        DateFormat("%FT%TZ".to_owned())
    }

    /// # Errors
    ///
    /// The byte of the format at which there is no letter that is known.
    pub(super) fn parse(text: String) -> Result<Self, usize> {
        let mut bytes = text.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            if byte == b'%' && !bytes.next().is_some_and(|(_, letter)| is_letter(letter)) {
                return Err(at);
            }
        }
        Ok(DateFormat(text))
    }

    /// The date of `time`.
    pub(super) fn date(&self, time: Timestamp) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 16);
        let mut bytes = self.0.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'%' => write_letter(bytes.next().unwrap_or(b'%'), time, &mut out),
                _ => out.push(byte),
            }
        }
        out
    }
}

fn is_letter(letter: u8) -> bool {
    LETTERS.split(' ').any(|known| known.as_bytes()[1] == letter)
}

fn write_letter(letter: u8, time: Timestamp, out: &mut Vec<u8>) {
    let days = time.seconds().div_euclid(SECONDS_OF_DAY);
    let second = time.seconds().rem_euclid(SECONDS_OF_DAY);
    let (year, month, day) = civil_from_days(days);
    let written = match letter {
        b'Y' => write!(out, "{year:04}"),
        b'y' => write!(out, "{:02}", year.rem_euclid(100)),
        b'm' => write!(out, "{month:02}"),
        b'd' => write!(out, "{day:02}"),
        b'H' => write!(out, "{:02}", second / 3600),
        b'M' => write!(out, "{:02}", second / 60 % 60),
        b'S' => write!(out, "{:02}", second % 60),
        b'j' => write!(out, "{:03}", day_of_year(days, year)),
        b'F' => write!(out, "{year:04}-{month:02}-{day:02}"),
        b'T' => write!(out, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
        b's' => write!(out, "{}", time.seconds()),
        _ => write!(out, "%"),
    };
    written.expect("invariant: a vector takes everything");
}

/// The day's number in its year, from 1.
fn day_of_year(days: i64, year: i64) -> i64 {
    // The first of January is at most 365 days before.
    let first = (days - 365..=days).find(|&day| civil_from_days(day).0 == year);
    days - first.unwrap_or(days) + 1
}
