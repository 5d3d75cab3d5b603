//! Points in time as text: what an exporter's `time_format` chooses between.

use std::{fmt, io::Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    abi::{Digits, Piece, Prefix},
    integer::eight_digits,
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

/// Writes points in time, and remembers the last second's text.
///
/// A format's instance keeps one: times that come after each other differ in little.
#[derive(Clone, Debug)]
pub struct TimeWriter {
    format: TimeFormat,
    /// Where the second begins that `text` holds, in microseconds since 1970; perhaps before the
    /// first [`Timestamp`].
    second: i128,
    /// The day of it, since 1970.
    day: i64,
    /// What stands before the digits of the microseconds, the point included.
    text: [u8; TEXT_LEN],
    text_len: usize,
}

/// The most bytes before the digits of the microseconds: `-290308-12-21T19:59:05.`, and one more.
const TEXT_LEN: usize = 24;

/// The microseconds of a second.
const SECOND: u64 = 1_000_000;

impl TimeWriter {
    /// A writer for this format.
    pub fn new(format: TimeFormat) -> Self {
        let mut writer =
            TimeWriter { format, second: 0, day: i64::MIN, text: [0; TEXT_LEN], text_len: 0 };
        writer.go_to(Timestamp::from_micros(0));
        writer
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
        out.tail().put(self.piece(time));
    }

    /// The same as a piece, to be appended with others.
    #[inline(always)]
    pub fn piece(&mut self, time: Timestamp) -> impl Piece + use<'_> {
        let micros = match u64::try_from(i128::from(time.as_micros()) - self.second) {
            Ok(micros @ 0..SECOND) => micros,
            _ => self.go_to(time),
        };
        // Of eight digits the last six, and the zone.
        let digits = u64::from_le_bytes(eight_digits(micros)) >> 16;
        let zone = u64::from(b'Z') << 48;
        let has_zone = self.format == TimeFormat::Rfc3339;
        let digits = Digits::new((digits | zone).to_le_bytes(), 6 + usize::from(has_zone));
        (Prefix::new(&self.text, self.text_len), digits)
    }

    /// Has `text` hold the second of this time; returns the microseconds since it began.
    #[inline(never)]
    fn go_to(&mut self, time: Timestamp) -> u64 {
        let (seconds, micros) = (time.seconds(), time.subsec_micros());
        self.second = i128::from(time.as_micros()) - i128::from(micros);
        if self.format == TimeFormat::Unix {
            self.set_text(format_args!("{seconds}."));
            return micros.into();
        }
        let day = seconds.div_euclid(SECONDS_OF_DAY);
        if day != self.day {
            let (year, month, day_of_month) = civil_from_days(day);
            self.set_text(format_args!("{year:04}-{month:02}-{day_of_month:02}T00:00:00."));
            self.day = day;
        }
        let second = seconds.rem_euclid(SECONDS_OF_DAY) as u32;
        self.put_two_digits(9, second / 3600);
        self.put_two_digits(6, second / 60 % 60);
        self.put_two_digits(3, second % 60);
        micros.into()
    }

    fn set_text(&mut self, text: fmt::Arguments<'_>) {
        let mut rest = &mut self.text[..];
        rest.write_fmt(text).expect("invariant: there is room for every second");
        self.text_len = TEXT_LEN - rest.len();
    }

    /// Writes two digits that begin so many bytes before the text's end.
    fn put_two_digits(&mut self, before_end: usize, number: u32) {
        let at = self.text_len - before_end;
        self.text[at] = b'0' + (number / 10 % 10) as u8;
        self.text[at + 1] = b'0' + (number % 10) as u8;
    }
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
