//! Points in time as events carry them, and their dates.
//!
//! Days become dates by `civil_from_days` of Howard Hinnant's "chrono-Compatible
//! Low-Level Date Algorithms" (<https://howardhinnant.github.io/date_algorithms.html>).

use std::fmt;

/// The seconds of a day.
pub(crate) const SECONDS_OF_DAY: i64 = 86_400;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// The range of an `i64` (some 292,000 years either way) holds every time that
/// can arrive; a format decides what it does with years beyond 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `micros` microseconds after the epoch; negative means before it.
    #[inline]
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// The point `seconds` and `micros` after the epoch, or `None` when that
    /// lies outside the range.
    pub fn from_parts(seconds: i64, micros: i64) -> Option<Self> {
        let micros = i128::from(seconds) * 1_000_000 + i128::from(micros);
        i64::try_from(micros).ok().map(Timestamp)
    }

    /// Microseconds since the epoch.
    #[inline]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[inline]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Microseconds within the second: 0 to 999,999, for times before the epoch too.
    #[inline]
    pub const fn subsec_micros(self) -> u32 {
        self.0.rem_euclid(1_000_000) as u32
    }

    /// The wall clock's time.
    pub fn now() -> Self {
        let micros = match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
            }
        };
        Timestamp(micros)
    }
}

/// As a date: `2019-06-19T10:38:25.422744Z`.
///
/// Years have four digits, more from 10000 on, and a minus sign before year 0.
/// A [`TimeWriter`](crate::TimeWriter) writes the same, faster.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds().div_euclid(SECONDS_OF_DAY));
        let second = self.seconds().rem_euclid(SECONDS_OF_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let micros = self.subsec_micros();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of the day `days` after 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    const DAYS_OF_ERA: i64 = 146_097;
    // Eras of 400 years from 0000-03-01: a leap day is then the last of its year.
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_OF_ERA);
    let day_of_era = days.rem_euclid(DAYS_OF_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn parts_round_down_before_the_epoch() {
        let time = Timestamp::from_micros(-1);
        assert_eq!((time.seconds(), time.subsec_micros()), (-1, 999_999));
        assert_eq!(Timestamp::from_parts(-1, 999_999), Some(time));
        assert_eq!(Timestamp::from_parts(i64::MAX, 0), None);
        let first = Timestamp::from_micros(i64::MIN);
        let parts = (first.seconds(), i64::from(first.subsec_micros()));
        assert_eq!(Timestamp::from_parts(parts.0, parts.1), Some(first));
    }
}
