//! Words to values and back: durations, sizes, numbers, booleans, lists.
//!
//! Durations and sizes are written as in Dovecot: a number, blanks if you
//! like, and a unit, of which any beginning will do (`250 ms`, `1sec`,
//! `5 mins`; `64k`, `32 MiB`). What is printed here reads back the same.

use std::ops::Range;
use std::time::Duration;

/// The longest duration, as in Dovecot: 32 bits of milliseconds, 49 days.
pub(super) const DURATION_MAX: Duration = Duration::from_millis(u32::MAX as u64);

/// Why a word is not a value; completes "`x` ...".
pub(super) type Wrong = String;

/// Names and lengths in milliseconds. The order decides what `m` means.
const UNITS: &[(&str, u64)] = &[
    ("secs", 1000),
    ("seconds", 1000),
    ("mins", 60_000),
    ("minutes", 60_000),
    ("msecs", 1),
    ("mseconds", 1),
    ("millisecs", 1),
    ("milliseconds", 1),
    ("hours", 3_600_000),
    ("days", 86_400_000),
    ("weeks", 604_800_000),
];

/// Reads a duration. Without a unit only `0` is one.
pub(super) fn duration(word: &str) -> Result<Duration, Wrong> {
    let (number, unit) = number_and_unit(word, "a duration like `250 ms` or `10 s`")?;
    if unit.is_empty() && number > 0 {
        return Err(format!("has no unit: did you mean `{number} ms` or `{number} s`?"));
    }
    let Some(&(_, length)) =
        UNITS.iter().find(|(name, _)| name.starts_with(&unit.to_ascii_lowercase()))
    else {
        return Err(format!("has the unknown unit `{unit}`: use ms, s, min, hours, days or weeks"));
    };
    let length = number.checked_mul(length).map(Duration::from_millis);
    length
        .filter(|&length| length <= DURATION_MAX)
        .ok_or_else(|| "is longer than 49 days".to_owned())
}

/// Reads a size in bytes.
pub(super) fn size(word: &str) -> Result<u64, Wrong> {
    let (number, unit) = number_and_unit(word, "a size like `64k` or `32 MiB`")?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "ki" | "kb" | "kib" => 10,
        "m" | "mi" | "mb" | "mib" => 20,
        "g" | "gi" | "gb" | "gib" => 30,
        "t" | "ti" | "tb" | "tib" => 40,
        _ => return Err(format!("has the unknown unit `{unit}`: use B, KiB, MiB, GiB or TiB")),
    };
    number.checked_mul(1 << shift).ok_or_else(|| "is too large".to_owned())
}

fn number_and_unit<'a>(word: &'a str, expected: &str) -> Result<(u64, &'a str), Wrong> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    if digits == 0 {
        return Err(format!("is not {expected}"));
    }
    let number = word[..digits].parse().map_err(|_| "is too large".to_owned())?;
    Ok((number, word[digits..].trim_start()))
}

/// Reads a whole number within a range.
pub(super) fn number(word: &str, min: i64, max: i64) -> Result<i64, Wrong> {
    match word.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        Ok(_) if max == i64::MAX => Err(format!("is less than {min}")),
        Ok(_) => Err(format!("is not between {min} and {max}")),
        Err(_) => Err("is not a whole number".to_owned()),
    }
}

/// Reads `yes` or `no`.
pub(super) fn boolean(word: &str) -> Result<bool, Wrong> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "y" | "1" | "true" => Ok(true),
        "no" | "n" | "0" | "false" => Ok(false),
        _ => Err("is neither `yes` nor `no`".to_owned()),
    }
}

/// Reads a file mode, which is octal.
pub(super) fn mode(word: &str) -> Result<u32, Wrong> {
    match u32::from_str_radix(word, 8) {
        Ok(mode) if mode <= 0o777 && !word.starts_with('+') => Ok(mode),
        _ => Err("is not a file mode like `0660`".to_owned()),
    }
}

/// The words of a list: parted by blanks or commas, or in double quotes.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut at = 0;
    let part = |c: char| c.is_whitespace() || c == ',';
    while let Some(skip) = text[at..].find(|c| !part(c)) {
        let start = at + skip;
        let quoted = text[start..].strip_prefix('"').and_then(|rest| rest.find('"'));
        let (word, end) = match quoted {
            Some(length) => (start + 1..start + 1 + length, start + length + 2),
            None => {
                let end = text[start..].find(part).map_or(text.len(), |length| start + length);
                (start..end, end)
            }
        };
        words.push(word);
        at = end;
    }
    words
}

/// Prints a duration with the largest unit that fits.
pub(super) fn print_duration(duration: Duration) -> String {
    let length = duration.as_millis();
    let units = [(604_800_000, "week"), (86_400_000, "day"), (3_600_000, "hour")];
    let units = units.into_iter().chain([(60_000, "min"), (1000, "s"), (1, "ms")]);
    for (unit, name) in units {
        if length >= unit && length.is_multiple_of(unit) {
            let plural = if length > unit && name.len() > 2 { "s" } else { "" };
            return format!("{} {name}{plural}", length / unit);
        }
    }
    "0".to_owned()
}

/// Prints a size with the largest unit that fits.
pub(super) fn print_size(bytes: u64) -> String {
    for (shift, name) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {name}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// Prints text so that it reads back as the same value.
pub(super) fn print_text(text: &str) -> String {
    let ends = |quote| text.starts_with(quote) || text.ends_with(quote);
    let plain = !text.is_empty()
        && text.trim() == text
        && !text.contains(['#', '$', '"', '\'', '\n', '\r'])
        && !text.starts_with('<')
        && !text.ends_with('\\')
        && !ends('"');
    if plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The candidate that `word` was probably meant to be.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let distance = |candidate: &str| strsim::osa_distance(&word, &candidate.replace('-', "_"));
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        // One slip in three letters, and no more than three.
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_dovecot() {
        let check = |word: &str, expected: Option<u64>| {
            assert_eq!(duration(word).ok(), expected.map(Duration::from_millis), "{word}");
        };
        for (word, expected) in [
            ("250 ms", 250),
            ("250ms", 250),
            ("500msec", 500),
            ("500 msecs", 500),
            ("3 millis", 3),
            ("1sec", 1000),
            ("1s", 1000),
            ("2 SECONDS", 2000),
            ("1min", 60_000),
            ("1m", 60_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1 week", 604_800_000),
            ("0", 0),
            ("0 s", 0),
        ] {
            check(word, Some(expected));
        }
        for word in [
            "",
            "5",
            "s",
            "-1 s",
            "1 x",
            "1 secss",
            "9999 weeks",
            "1.5 s",
            "99999999999999999999 s",
        ] {
            check(word, None);
        }
    }

    #[test]
    fn sizes_read_as_in_dovecot() {
        let check =
            |word: &str, expected: Option<u64>| assert_eq!(size(word).ok(), expected, "{word}");
        check("64k", Some(64 << 10));
        check("32 MiB", Some(32 << 20));
        check("1G", Some(1 << 30));
        check("2TB", Some(2 << 40));
        check("10", Some(10));
        check("10B", Some(10));
        for word in ["", "k", "1x", "1kk", "-1", "99999999T"] {
            check(word, None);
        }
    }

    #[test]
    fn values_print_as_they_read() {
        for length in [0, 1, 250, 1000, 90_000, 60_000, 3_600_000, 86_400_000, 604_800_000] {
            let length = Duration::from_millis(length);
            assert_eq!(duration(&print_duration(length)), Ok(length));
        }
        assert_eq!(print_duration(Duration::from_millis(90_000)), "90 s");
        assert_eq!(print_duration(Duration::from_millis(120_000)), "2 mins");
        assert_eq!(print_duration(Duration::from_millis(3_600_000)), "1 hour");
        for bytes in [0, 1, 1023, 1024, 1536, 64 << 10, 3 << 40] {
            assert_eq!(size(&print_size(bytes)), Ok(bytes));
        }
        assert_eq!(print_size(32 << 20), "32 MiB");
    }

    #[test]
    fn lists_are_parted_by_blanks_and_commas() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<&str> = words(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("", &[]);
        check(" a  b,c , d ", &["a", "b", "c", "d"]);
        check("\"a b\" c", &["a b", "c"]);
        check("\"a b", &["\"a", "b"]);
    }

    #[test]
    fn near_misses_are_found() {
        let check = |word: &str, expected| {
            assert_eq!(nearest(word, ["filter", "fields", "exporter", "http-post"]), expected);
        };
        check("fitler", Some("filter"));
        check("field", Some("fields"));
        check("http_post", Some("http-post"));
        check("exprter", Some("exporter"));
        check("mail_location", None);
        check("x", None);
    }
}
