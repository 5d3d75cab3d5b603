//! What changes a value on its way into a text.

use std::{borrow::Cow, ops::Range};

use super::{date::DateFormat, Value};
use crate::Timestamp;

/// A filter with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Lower,
    Upper,
    Username,
    Domain,
    Default(String),
    Substr {
        offset: i64,
        len: Option<i64>,
    },
    /// Of microseconds since 1970.
    Date(DateFormat),
}

/// The value behind the filter; copied only when its bytes change.
pub(super) fn apply<'a>(value: Value<'a>, filter: &Filter) -> Value<'a> {
    let len = value.len();
    match filter {
        Filter::Lower if value.iter().any(u8::is_ascii_uppercase) => {
            Cow::Owned(value.to_ascii_lowercase())
        }
        Filter::Upper if value.iter().any(u8::is_ascii_lowercase) => {
            Cow::Owned(value.to_ascii_uppercase())
        }
        Filter::Lower | Filter::Upper => value,
        Filter::Username => {
            let at = memchr::memchr(b'@', &value).unwrap_or(len);
            part(value, 0..at)
        }
        Filter::Domain => {
            let behind = memchr::memchr(b'@', &value).map_or(len, |at| at + 1);
            part(value, behind..len)
        }
        Filter::Default(text) if value.is_empty() => Cow::Owned(text.clone().into_bytes()),
        Filter::Default(_) => value,
        Filter::Substr { offset, len: wanted } => {
            let start = position(*offset, len);
            let end = match wanted {
                Some(count @ 0..) => start.saturating_add(usize::try_from(*count).unwrap_or(len)),
                // So many bytes are left out at the end.
                Some(count) => position(*count, len),
                None => len,
            };
            part(value, start..end.clamp(start, len))
        }
        Filter::Date(format) => {
            let micros = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
            let date = micros.map(|micros| format.date(Timestamp::from_micros(micros)));
            Cow::Owned(date.unwrap_or_default())
        }
    }
}

/// The place in `len` bytes that an offset means.
fn position(offset: i64, len: usize) -> usize {
    let distance = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
    if offset < 0 {
        len.saturating_sub(distance)
    } else {
        distance.min(len)
    }
}

fn part(value: Value<'_>, range: Range<usize>) -> Value<'_> {
    match value {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[range]),
        Cow::Owned(bytes) => Cow::Owned(bytes[range].to_vec()),
    }
}
