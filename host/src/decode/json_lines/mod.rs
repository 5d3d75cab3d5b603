//! Events as lines of JSON, as the format `json` and Dovecot's write them.
//!
//! A line is one object with any of the members `event`, `hostname`, `start_time`,
//! `end_time`, `categories` and `fields`, in any order and with blanks where JSON
//! allows them. Limits: a line of 2 GiB, 1000 fields, 1000 categories, 64 levels of
//! nesting in a field's value.
//!
//! Written again by `json` with the same `time_format`, a line that such a format
//! wrote comes out byte for byte. So a string stays text, whatever it looks like; an
//! integer of 64 bits is one; a number with six digits behind the point is a time; an
//! array of strings is a list; and any other value is kept as its text. A line
//! that could not be kept whole, such as one with a field twice, is refused.

use fantail_sdk::Timestamp;

use super::error::{LineError, Reason};
use super::json_reader::JsonReader;
use super::line::{Draft, LineScratch, Name};
use super::time;
use crate::event::{Event, Parts, Span};

/// The event in `line`, a line without its LF.
///
/// # Errors
///
/// When the line is not a JSON object as described above; the whole line is refused.
pub fn decode<'a>(line: &'a [u8], scratch: &'a mut LineScratch) -> Result<Event<'a>, LineError> {
    let mut draft = Draft::new(line, scratch)?;
    if let Err(error) = str::from_utf8(line) {
        return Err(LineError::new(Reason::Utf8, error.valid_up_to(), "valid UTF-8"));
    }
    let mut reader = JsonReader::new(line);
    reader.skip_blanks();
    if !reader.take(b'{') {
        return Err(reader.error(Reason::Syntax, "an object"));
    }
    if !reader.take(b'}') {
        loop {
            member(&mut reader, &mut draft)?;
            if !reader.next_member()? {
                break;
            }
        }
        reader.skip_blanks();
    }
    reader.end()?;
    Ok(draft.finish())
}

/// Takes one of the event's parts.
fn member(reader: &mut JsonReader<'_>, draft: &mut Draft<'_>) -> Result<(), LineError> {
    let offset = reader.offset();
    let key = reader.key(&mut draft.scratch.text)?;
    let part = match draft.at(key) {
        b"event" => Parts::NAME,
        b"hostname" => Parts::HOSTNAME,
        b"start_time" => Parts::START_TIME,
        b"end_time" => Parts::END_TIME,
        b"categories" => Parts::CATEGORIES,
        b"fields" => Parts::FIELDS,
        _ => {
            let expected = "event, hostname, start_time, end_time, categories or fields";
            return Err(LineError::new(Reason::UnknownPart, offset, expected));
        }
    };
    if draft.has(part) {
        return Err(LineError::new(Reason::Duplicate, offset, "no part a second time"));
    }
    draft.set(part);
    match part {
        Parts::NAME => draft.name = Some(text(reader, draft, "a string as the event's name")?),
        Parts::HOSTNAME => draft.hostname = Some(text(reader, draft, "a string as the hostname")?),
        Parts::START_TIME => draft.start_time = Some(point_in_time(reader, draft)?),
        Parts::END_TIME => draft.end_time = Some(point_in_time(reader, draft)?),
        Parts::CATEGORIES => categories(reader, draft)?,
        _ => fields(reader, draft)?,
    }
    Ok(())
}

fn text(
    reader: &mut JsonReader<'_>,
    draft: &mut Draft<'_>,
    expected: &'static str,
) -> Result<Span, LineError> {
    if reader.peek() != Some(b'"') {
        return Err(reader.error(Reason::WrongType, expected));
    }
    reader.string(&mut draft.scratch.text)
}

/// Takes a date as a string, or seconds since 1970 as a number.
fn point_in_time(
    reader: &mut JsonReader<'_>,
    draft: &mut Draft<'_>,
) -> Result<Timestamp, LineError> {
    let offset = reader.offset();
    let time = match reader.peek() {
        Some(b'"') => {
            let date = reader.string(&mut draft.scratch.text)?;
            time::rfc3339(draft.at(date))
        }
        Some(b'-' | b'0'..=b'9') => time::unix(reader.number_text()?),
        _ => return Err(reader.error(Reason::WrongType, "a string or a number as a time")),
    };
    time.ok_or(LineError::new(Reason::Time, offset, time::EXPECTED))
}

fn categories(reader: &mut JsonReader<'_>, draft: &mut Draft<'_>) -> Result<(), LineError> {
    if !reader.take(b'[') {
        return Err(reader.error(Reason::WrongType, "an array of categories"));
    }
    if reader.peek() == Some(b']') {
        reader.take(b']');
        return Ok(());
    }
    loop {
        let offset = reader.offset();
        let name = text(reader, draft, "a string as a category")?;
        draft.category(name, offset)?;
        reader.skip_blanks();
        if reader.take(b']') {
            return Ok(());
        }
        if !reader.take(b',') {
            return Err(reader.error(Reason::Syntax, "a comma or the end of the array"));
        }
    }
}

fn fields(reader: &mut JsonReader<'_>, draft: &mut Draft<'_>) -> Result<(), LineError> {
    if !reader.take(b'{') {
        return Err(reader.error(Reason::WrongType, "an object of fields"));
    }
    if reader.take(b'}') {
        return Ok(());
    }
    loop {
        let offset = reader.offset();
        let name = match draft.foreseen(offset, 1, 2) {
            Some((name, value)) => {
                reader.go_to(value);
                name
            }
            None => field_name(reader, draft)?,
        };
        if name.skipped {
            reader.skip_value(&mut draft.scratch.text)?;
        } else {
            let value = reader.value(&mut draft.scratch.text)?;
            draft.field(name, value, offset)?;
        }
        if !reader.next_member()? {
            return Ok(());
        }
    }
}

/// Takes a field's name that may be any, and the colon behind it.
#[inline(never)]
fn field_name(reader: &mut JsonReader<'_>, draft: &mut Draft<'_>) -> Result<Name, LineError> {
    let (offset, written) = (reader.offset(), draft.scratch.text.len());
    let key = reader.key(&mut draft.scratch.text)?;
    let len = draft.at(key).len();
    // Quotes and colon belong to what is learned, so that it tells where the name ends.
    let head = reader.between(offset, offset + len + 3);
    let head = head.filter(|head| draft.scratch.text.len() == written && head.ends_with(b"\":"));
    draft.read_name(key, head, offset)
}

#[cfg(test)]
mod tests;
