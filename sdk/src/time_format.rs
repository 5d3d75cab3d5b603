//! Points in time as text: what an exporter's `time_format` chooses between.

use std::io::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    time::{civil_from_days, SECONDS_OF_DAY},
    Buffer, Timestamp,
};

/// How points in time are written; for a format's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// As a date: `2019-06-19T10:38:25.422744Z`.
    #[default]
    Rfc3339,
    /// As seconds since 1970: `1560940705.422744`.
    Unix,
}

/// Writes points in time, and remembers the last day's date.
///
/// A format's instance keeps one, so that most dates need no calendar.
#[derive(Clone, Debug)]
pub struct TimeWriter {
    format: TimeFormat,
    /// The day that `text` holds the date of, in days since 1970-01-01.
    day: i64,
    text: [u8; TEXT_LEN],
}

/// The length of `2019-06-19T10:38:25.422744Z`.
const TEXT_LEN: usize = 27;

impl TimeWriter {
    /// A writer for this format.
    pub fn new(format: TimeFormat) -> Self {
        TimeWriter { format, day: 0, text: *b"1970-01-01T00:00:00.000000Z" }
    }

    /// The format it writes.
    pub fn format(&self) -> TimeFormat {
        self.format
    }

    /// Appends `time` without quotes.
    ///
    /// Years have four digits, more from 10000 on, and a minus sign before year 0.
    /// In the unix format a time before 1970 is the second rounded down, and behind
    /// the point what is to be added to it: -0.5 seconds are `-1.500000`, as Dovecot
    /// writes them.
    #[inline]
    pub fn write(&mut self, time: Timestamp, out: &mut Buffer<'_>) {
        match self.format {
            TimeFormat::Rfc3339 => self.write_rfc3339(time, out),
            TimeFormat::Unix => write_unix(time, out),
        }
    }

    fn write_rfc3339(&mut self, time: Timestamp, out: &mut Buffer<'_>) {
        let seconds = time.seconds();
        let day = seconds.div_euclid(SECONDS_OF_DAY);
        if day != self.day {
            let (year, month, day_of_month) = civil_from_days(day);
            let Ok(year @ 0..=9999) = u32::try_from(year) else {
                // A year without four digits: there is no room for it in `text`.
                return write!(out, "{time}").expect("invariant: a buffer takes everything");
            };
            put_two_digits(&mut self.text, 0, year / 100);
            put_two_digits(&mut self.text, 2, year % 100);
            put_two_digits(&mut self.text, 5, month);
            put_two_digits(&mut self.text, 8, day_of_month);
            self.day = day;
        }
        let second = seconds.rem_euclid(SECONDS_OF_DAY) as u32;
        put_two_digits(&mut self.text, 11, second / 3600);
        put_two_digits(&mut self.text, 14, second / 60 % 60);
        put_two_digits(&mut self.text, 17, second % 60);
        put_six_digits(&mut self.text, 20, time.subsec_micros());
        out.extend(&self.text);
    }
}

fn write_unix(time: Timestamp, out: &mut Buffer<'_>) {
    const LEN: usize = 21;
    // 14 places hold the seconds of every i64 of microseconds, the sign included.
    const POINT: usize = 14;
    let mut text = [b'.'; LEN];
    let seconds = time.seconds();
    let mut rest = seconds.unsigned_abs();
    let mut start = POINT;
    while rest >= 100 {
        start -= 2;
        put_two_digits(&mut text, start, (rest % 100) as u32);
        rest /= 100;
    }
    if rest >= 10 {
        start -= 2;
        put_two_digits(&mut text, start, rest as u32);
    } else {
        start -= 1;
        text[start] = b'0' + rest as u8;
    }
    if seconds < 0 {
        start -= 1;
        text[start] = b'-';
    }
    put_six_digits(&mut text, POINT + 1, time.subsec_micros());
    out.extend(&text[start..]);
}

/// `00` to `99`.
const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut table = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        table[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    table
};

#[inline]
fn put_two_digits(text: &mut [u8], at: usize, number: u32) {
    text[at..at + 2].copy_from_slice(&TWO_DIGITS[number as usize % 100]);
}

#[inline]
fn put_six_digits(text: &mut [u8], at: usize, number: u32) {
    put_two_digits(text, at, number / 10_000);
    put_two_digits(text, at + 2, number / 100 % 100);
    put_two_digits(text, at + 4, number % 100);
}

#[cfg(test)]
mod tests {
    use super::{TimeFormat, TimeWriter};
    use crate::{abi::lend_buffer, Buffer, Timestamp};

    fn text(writer: &mut TimeWriter, micros: i64) -> String {
        let mut bytes = Vec::new();
        lend_buffer(&mut bytes, |raw| {
            writer.write(Timestamp::from_micros(micros), &mut Buffer::new(raw));
        });
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn times_are_written_in_both_formats() {
        // One writer for all, so that the remembered date is used and replaced.
        let mut rfc3339 = TimeWriter::new(TimeFormat::Rfc3339);
        let mut unix = TimeWriter::new(TimeFormat::Unix);
        let mut check = |micros: i64, date: &str, seconds: &str| {
            assert_eq!(text(&mut rfc3339, micros), date);
            assert_eq!(Timestamp::from_micros(micros).to_string(), date);
            assert_eq!(text(&mut unix, micros), seconds);
        };
        check(0, "1970-01-01T00:00:00.000000Z", "0.000000");
        check(1_560_940_705_422_744, "2019-06-19T10:38:25.422744Z", "1560940705.422744");
        check(1_560_940_705_422_745, "2019-06-19T10:38:25.422745Z", "1560940705.422745");
        check(1_560_988_799_999_999, "2019-06-19T23:59:59.999999Z", "1560988799.999999");
        check(1_560_988_800_000_000, "2019-06-20T00:00:00.000000Z", "1560988800.000000");
        check(951_782_400_000_005, "2000-02-29T00:00:00.000005Z", "951782400.000005");
        check(951_868_800_000_000, "2000-03-01T00:00:00.000000Z", "951868800.000000");
        check(-500_000, "1969-12-31T23:59:59.500000Z", "-1.500000");
        check(-62_167_219_200_000_000, "0000-01-01T00:00:00.000000Z", "-62167219200.000000");
        check(-62_167_219_200_000_001, "-001-12-31T23:59:59.999999Z", "-62167219201.999999");
        check(253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z", "253402300799.999999");
        check(253_402_300_800_000_000, "10000-01-01T00:00:00.000000Z", "253402300800.000000");
        check(i64::MAX, "294247-01-10T04:00:54.775807Z", "9223372036854.775807");
        check(i64::MIN, "-290308-12-21T19:59:05.224192Z", "-9223372036855.224192");
        check(0, "1970-01-01T00:00:00.000000Z", "0.000000");
    }
}
