//! Times as formats write them, and as others may.
//!
//! RFC 3339 (<https://www.rfc-editor.org/rfc/rfc3339>, section 5.6), with years of
//! more or fewer than four digits as our formats write them, and seconds since 1970.
//! Dates become days by `days_from_civil` of Howard Hinnant's "chrono-Compatible
//! Low-Level Date Algorithms" (<https://howardhinnant.github.io/date_algorithms.html>).

use fantail_sdk::Timestamp;

use super::number::canonical_integer;

/// What a time has to be, for an error.
pub(super) const EXPECTED: &str = "a time that microseconds can tell";

/// The time that an RFC 3339 text means; `None` also when microseconds can't tell it.
#[inline]
pub(super) fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    usual(text).or_else(|| any_rfc3339(text))
}

/// The time in the form that formats write, `2019-06-19T10:38:25.422744Z`; `None` is
/// no answer.
fn usual(text: &[u8]) -> Option<Timestamp> {
    const LEAST: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";
    const MOST: &[u8; 27] = b"9999-99-99T99:99:99.999999Z";
    let text: &[u8; 27] = text.try_into().ok()?;
    let mut digits = [0_u8; 27];
    let mut in_form = true;
    for place in 0..27 {
        digits[place] = text[place].wrapping_sub(LEAST[place]);
        in_form &= digits[place] <= MOST[place] - LEAST[place];
    }
    let number = |place: usize| i64::from(digits[place]) * 10 + i64::from(digits[place + 1]);
    let (year, month, day) = (number(0) * 100 + number(2), number(5), number(8));
    let (hour, minute, second) = (number(11), number(14), number(17));
    let exists = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let micros = (number(20) * 100 + number(22)) * 100 + number(24);
    (in_form && exists).then(|| Timestamp::from_micros(seconds * 1_000_000 + micros))
}

fn any_rfc3339(text: &[u8]) -> Option<Timestamp> {
    let mut rest = text;
    let year = year(&mut rest)?;
    let month = number(&mut rest, b"-", 1, 12)?;
    let day = number(&mut rest, b"-", 1, days_in_month(year, month))?;
    let hour = number(&mut rest, b"Tt ", 0, 23)?;
    let minute = number(&mut rest, b":", 0, 59)?;
    let second = number(&mut rest, b":", 0, 59)?;
    let micros = match rest {
        [b'.', digits @ ..] => {
            let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            rest = &digits[len..];
            fraction(&digits[..len])?
        }
        _ => 0,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    from_parts(seconds - offset(rest)?, micros)
}

/// The time that so many seconds since 1970 are; `None` also when microseconds
/// can't tell it.
///
/// Before 1970 the seconds are rounded down and the fraction is added to them, as
/// our formats write it; another number of digits than theirs would leave open
/// who wrote it, so it means nothing.
pub(super) fn unix(text: &[u8]) -> Option<Timestamp> {
    let point = memchr::memchr(b'.', text).unwrap_or(text.len());
    let seconds = canonical_integer(&text[..point])?;
    let digits = text.get(point + 1..);
    if seconds < 0 && digits.is_none_or(|digits| digits.len() != 6) {
        return None;
    }
    from_parts(seconds, digits.map_or(Some(0), fraction)?)
}

fn from_parts(seconds: i64, micros: i64) -> Option<Timestamp> {
    let micros = i128::from(seconds) * 1_000_000 + i128::from(micros);
    i64::try_from(micros).ok().map(Timestamp::from_micros)
}

/// The microseconds that the digits behind a point are, if they are exact.
fn fraction(digits: &[u8]) -> Option<i64> {
    let (exact, beyond) = digits.split_at(digits.len().min(6));
    if exact.is_empty() || beyond.iter().any(|&digit| digit != b'0') {
        return None;
    }
    let missing = 6 - exact.len() as u32;
    exact.iter().try_fold(0, append_digit).map(|micros: i64| micros * 10i64.pow(missing))
}

fn append_digit(number: i64, digit: &u8) -> Option<i64> {
    digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
}

/// A year: four digits, more without a zero in front, or a minus sign and three or more.
fn year(rest: &mut &[u8]) -> Option<i64> {
    let negative = rest.first() == Some(&b'-');
    let text = &rest[usize::from(negative)..];
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let least = 4 - usize::from(negative);
    if !(least..=6).contains(&len) || (len > least && text[0] == b'0') {
        return None;
    }
    *rest = &text[len..];
    let year: i64 = text[..len].iter().try_fold(0, append_digit)?;
    Some(if negative { -year } else { year })
}

/// Two digits behind one of the separators.
fn number(rest: &mut &[u8], separators: &[u8], min: i64, max: i64) -> Option<i64> {
    let [separator, tens, ones, after @ ..] = *rest else { return None };
    if !separators.contains(separator) {
        return None;
    }
    *rest = after;
    let number = [*tens, *ones].iter().try_fold(0, append_digit)?;
    (min..=max).contains(&number).then_some(number)
}

/// The seconds that a zone is before UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', ..] => (1, zone),
        [b'-', ..] => (-1, zone),
        _ => return None,
    };
    let hours = number(&mut rest, b"+-", 0, 23)?;
    let minutes = number(&mut rest, b":", 0, 59)?;
    rest.is_empty().then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day's number, counted from 1970-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years from March on: a leap day is then the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::{any_rfc3339, rfc3339, unix, usual};

    #[test]
    fn dates_are_read_when_microseconds_can_tell_them() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(rfc3339(text.as_bytes()).map(|time| time.as_micros()), expected, "{text}");
        };
        check("1970-01-01T00:00:00.000000Z", Some(0));
        check("2019-06-19T10:38:25.422744Z", Some(1_560_940_705_422_744));
        check("2019-06-19t12:38:25.422744+02:00", Some(1_560_940_705_422_744));
        check("2019-06-19 06:08:25.422744-04:30", Some(1_560_940_705_422_744));
        check("2019-06-19T10:38:25Z", Some(1_560_940_705_000_000));
        check("2019-06-19T10:38:25.4Z", Some(1_560_940_705_400_000));
        check("2019-06-19T10:38:25.422744000Z", Some(1_560_940_705_422_744));
        check("2019-06-19T10:38:25.4227441Z", None);
        check("1969-12-31T23:59:59.500000Z", Some(-500_000));
        check("2000-02-29T00:00:00Z", Some(951_782_400_000_000));
        check("0000-01-01T00:00:00Z", Some(-62_167_219_200_000_000));
        check("-001-12-31T23:59:59.999999Z", Some(-62_167_219_200_000_001));
        check("10000-01-01T00:00:00.000000Z", Some(253_402_300_800_000_000));
        check("294247-01-10T04:00:54.775807Z", Some(i64::MAX));
        check("294247-01-10T04:00:54.775808Z", None);
        check("-290308-12-21T19:59:05.224192Z", Some(i64::MIN));
        check("-290308-12-21T19:59:05.224191Z", None);
        for text in [
            "",
            "2019",
            "2019-06-19",
            "2019-06-19T10:38Z",
            "2019-06-19T10:38:25",
            "2019-6-19T10:38:25Z",
            "2019-02-29T00:00:00Z",
            "2019-13-01T00:00:00Z",
            "2019-00-01T00:00:00Z",
            "2019-01-00T00:00:00Z",
            "2019-06-31T00:00:00Z",
            "2019-06-19T24:00:00Z",
            "2019-06-19T10:60:00Z",
            "2019-06-19T10:38:60Z",
            "2019-06-19T10:38:25.Z",
            "2019-06-19T10:38:25ZZ",
            "2019-06-19T10:38:25+2:00",
            "2019-06-19T10:38:25+24:00",
            "2019-06-19T10:38:25+02:00Z",
            "+2019-06-19T10:38:25Z",
            "999-06-19T10:38:25Z",
            "1000000-06-19T10:38:25Z",
            "-01-06-19T10:38:25Z",
            "02019-06-19T10:38:25Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn the_usual_form_is_read_as_any_other() {
        let check = |text: &[u8]| {
            let expected = any_rfc3339(text);
            assert!(usual(text).is_none_or(|time| Some(time) == expected), "{text:?}");
            usual(text) == expected
        };
        for year in [0, 4, 100, 400, 1600, 1969, 1970, 1999, 2000, 2019, 2024, 2100, 9999] {
            for month in 0..=13 {
                for day in 0..=32 {
                    let text = format!("{year:04}-{month:02}-{day:02}T23:59:09.004560Z");
                    assert!(check(text.as_bytes()), "{text}");
                }
            }
        }
        for time in ["24:00:00", "23:60:00", "23:59:60", "00:00:00", "09:08:07"] {
            assert!(check(format!("2019-06-19T{time}.999999Z").as_bytes()), "{time}");
        }
        for place in 0..27 {
            for byte in 0..=u8::MAX {
                let mut text = *b"2019-06-19T10:38:25.422744Z";
                text[place] = byte;
                // A small or no T, and a year before 0, are for the other.
                assert!(check(&text) || matches!(byte, b't' | b' ' | b'z' | b'-'), "{text:?}");
            }
        }
        assert!(!check(b"2019-06-19T12:38:25.4+02:00"));
    }

    #[test]
    fn seconds_are_read_when_microseconds_can_tell_them() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(unix(text.as_bytes()).map(|time| time.as_micros()), expected, "{text}");
        };
        check("0.000000", Some(0));
        check("1560940705.422744", Some(1_560_940_705_422_744));
        check("1560940705", Some(1_560_940_705_000_000));
        check("1560940705.25", Some(1_560_940_705_250_000));
        check("1560940705.2500000", Some(1_560_940_705_250_000));
        check("1560940705.2500001", None);
        check("-1.500000", Some(-500_000));
        check("9223372036854.775807", Some(i64::MAX));
        check("9223372036854.775808", None);
        check("-9223372036855.224192", Some(i64::MIN));
        check("-9223372036855.224191", None);
        for text in
            ["", ".", "1.", ".5", "-1", "-1.5", "-0.500000", "01.000000", "1e3", "1.5e3", "+1"]
        {
            check(text, None);
        }
    }
}
