//! Times for people: RFC 3339 in UTC, with microseconds.

use fantail_sdk::Timestamp;

/// `2019-06-19T10:38:25.422744Z`. Years need not have four digits.
pub fn format(time: Timestamp) -> String {
    let seconds = time.seconds();
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let micros = time.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day number since 1970-01-01, in the proleptic Gregorian
/// calendar: Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days` (years begin in March, eras have 400 years).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::format;
    use fantail_sdk::Timestamp;

    #[test]
    fn times_are_written_in_utc() {
        let check = |micros, expected| {
            assert_eq!(format(Timestamp::from_micros(micros)), expected);
        };
        check(1_560_940_705_422_744, "2019-06-19T10:38:25.422744Z");
        check(0, "1970-01-01T00:00:00.000000Z");
        check(-1, "1969-12-31T23:59:59.999999Z");
        check(951_782_400_000_000, "2000-02-29T00:00:00.000000Z");
        check(253_402_300_800_000_000, "10000-01-01T00:00:00.000000Z");
        check(i64::MIN, "-290308-12-21T19:59:05.224192Z");
    }
}
