//! Points in time as text: what an exporter's `time_format` chooses between.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    integer::eight_digits,
    time::{civil_from_days, SECONDS_OF_DAY},
    Buffer, Tail, Timestamp,
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

/// Writes points in time, and remembers the last second's text.
///
/// A format's instance keeps one: times that come after each other differ in little.
#[derive(Clone, Debug)]
pub struct TimeWriter {
    format: TimeFormat,
    /// The second that `text` holds, since 1970, and its day.
    second: i64,
    day: i64,
    text: [u8; TEXT_LEN],
}

/// The length of `2019-06-19T10:38:25.422744Z`.
const TEXT_LEN: usize = 27;

impl TimeWriter {
    /// A writer for this format.
    pub fn new(format: TimeFormat) -> Self {
        TimeWriter { format, second: 0, day: 0, text: *b"1970-01-01T00:00:00.000000Z" }
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
        self.put(time, &mut out.tail());
    }

    /// The same at a payload's tail.
    #[inline(always)]
    pub fn put(&mut self, time: Timestamp, out: &mut Tail<'_>) {
        let (seconds, micros) = (time.seconds(), eight_digits(time.subsec_micros().into()));
        let [_, _, micros @ ..] = micros;
        if self.format == TimeFormat::Unix {
            out.put_integer(seconds);
            out.put(b".", 1);
            out.put(&micros, micros.len());
        } else if seconds == self.second || self.go_to(seconds) {
            self.text[20..26].copy_from_slice(&micros);
            out.put(&self.text, TEXT_LEN);
        } else {
            out.extend(time.to_string().as_bytes());
        }
    }

    /// Has `text` hold this second. False for a year without four digits: there is no
    /// room for it, and the text stays as it is.
    #[inline(never)]
    fn go_to(&mut self, seconds: i64) -> bool {
        let day = seconds.div_euclid(SECONDS_OF_DAY);
        if day != self.day {
            let (year, month, day_of_month) = civil_from_days(day);
            let Ok(year @ 0..=9999) = u32::try_from(year) else { return false };
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
        self.second = seconds;
        true
    }
}

fn put_two_digits(text: &mut [u8], at: usize, number: u32) {
    text[at] = b'0' + (number / 10 % 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
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
